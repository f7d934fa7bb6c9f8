//! What the API server says.

use http::header::WARNING;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::failure::{Failure, Kind};

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The object or list.
    pub body: Value,
    /// What it warned of.
    pub warnings: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The server cannot be reached.
    #[error("cannot reach the API server {server}: {reason}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The server says no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The reason of the `Status`, such as `NotFound`.
        reason: String,
        /// Its message.
        message: String,
        /// What it says of single fields: their paths and what is wrong.
        causes: Vec<(String, String)>,
    },
}

impl Trouble {
    /// Whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether it conflicts with what is there.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether the user may not do it.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// The HTTP status, if the server answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unreachable { .. } => None,
            Self::Refused { status, .. } => Some(*status),
        }
    }

    /// Why a command fails for it, beginning with what it tried.
    pub fn failure(&self, tried: &str) -> Failure {
        let hint = match self {
            Self::Unreachable { .. } => {
                "kubectl cluster-info says whether kubectl reaches it; --context and --server name another"
            }
            Self::Refused { status: 401, .. } => {
                "the credentials of the kubeconfig are not accepted"
            }
            Self::Refused { status: 403, .. } => {
                "kubectl auth can-i --list says what you may do; --as asks as another user"
            }
            Self::Refused { .. } => "",
        };
        let failure = match self {
            Self::Unreachable { .. } => Failure::new(Kind::Cluster, self.to_string()),
            Self::Refused { status, .. } => {
                let kind = match status {
                    401 | 403 | 429 | 500.. => Kind::Cluster,
                    409 => Kind::Conflict,
                    _ => Kind::Error,
                };
                Failure::new(kind, format!("{tried}: {self}"))
            }
        };
        if hint.is_empty() { failure } else { failure.with_hint(hint) }
    }
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Answer {
    let warnings =
        headers.get_all(WARNING).iter().filter_map(|value| warning(value.to_str().ok()?));
    Answer {
        body: serde_json::from_slice(body)
            .unwrap_or_else(|_error| Value::String(String::from_utf8_lossy(body).into_owned())),
        warnings: warnings.collect(),
    }
}

/// The text of a `Warning` header (RFC 7234, 5.5): `299 - "text"`, with `\` before quotes.
fn warning(header: &str) -> Option<String> {
    let quoted = header.splitn(3, ' ').nth(2)?.trim();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\\"", "\"").replace("\\\\", "\\"))
}

pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Trouble {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
    let message = match text(said.get("message")) {
        message if !message.is_empty() => message,
        _ => {
            let plain = String::from_utf8_lossy(body);
            let plain = plain.lines().next().unwrap_or("").trim();
            format!("the API server answers {status} {plain}").trim_end().to_owned()
        }
    };
    let causes = said.pointer("/details/causes").and_then(Value::as_array);
    Trouble::Refused {
        status: status.as_u16(),
        reason: text(said.get("reason")),
        message,
        causes: causes
            .into_iter()
            .flatten()
            .map(|cause| (text(cause.get("field")), text(cause.get("message"))))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_read_without_its_code_and_quotes() {
        assert_eq!(warning(r#"299 - "the \"old\" way""#).as_deref(), Some(r#"the "old" way"#));
        assert_eq!(warning("299"), None);
    }

    #[test]
    fn a_refusal_without_a_status_object_says_what_was_answered() {
        let trouble = refusal(StatusCode::BAD_GATEWAY, b"upstream gone\nmore");
        assert_eq!(trouble.to_string(), "the API server answers 502 Bad Gateway upstream gone");
        assert_eq!(trouble.failure("reading").kind, Kind::Cluster);
    }
}
