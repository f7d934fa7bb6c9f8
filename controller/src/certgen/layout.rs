//! Which Secret holds what, as Contour lays it out.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::make::{Certificates, Pair};
use super::{CertgenArgs, CertgenError, SecretsFormat};

/// Names and form of the Secrets.
pub(super) struct Layout {
    namespace: String,
    suffix: String,
    format: SecretsFormat,
}

impl Layout {
    pub(super) fn new(args: &CertgenArgs) -> Result<Self, CertgenError> {
        let (namespace, suffix) = (&args.namespace, &args.secrets_name_suffix);
        let wrong = |flag, text: &String| CertgenError::Name { flag, text: text.clone() };
        if !is_label(namespace) {
            return Err(wrong("--namespace", namespace));
        }
        // The longest of the names before it.
        if !is_label(&format!("contourcert{suffix}")) {
            return Err(wrong("--secrets-name-suffix", suffix));
        }
        Ok(Self {
            namespace: namespace.clone(),
            suffix: suffix.clone(),
            format: args.secrets_format,
        })
    }

    /// The names of the Secrets.
    pub(super) fn names(&self) -> Vec<String> {
        let bases: &[_] = match self.format {
            SecretsFormat::Legacy => &["cacert", "contourcert", "envoycert"],
            SecretsFormat::Compact => &["contourcert", "envoycert"],
        };
        bases.iter().map(|base| format!("{base}{}", self.suffix)).collect()
    }

    /// The Secrets that hold these certificates.
    pub(super) fn secrets(&self, made: &Certificates) -> Vec<Secret> {
        let of = |base: &str, pair: &Pair| {
            let mut data = vec![("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
            if self.format == SecretsFormat::Compact {
                data.push(("ca.crt", &made.authorities));
            }
            self.secret(base, "kubernetes.io/tls", &data)
        };
        let mut all = Vec::new();
        if self.format == SecretsFormat::Legacy {
            all.push(self.secret("cacert", "Opaque", &[("cacert.pem", &made.authorities)]));
        }
        all.extend([of("contourcert", &made.contour), of("envoycert", &made.envoy)]);
        all
    }

    fn secret(&self, base: &str, kind: &str, data: &[(&str, &String)]) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(format!("{base}{}", self.suffix)),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([("app".to_owned(), "contour".to_owned())])),
                ..ObjectMeta::default()
            },
            type_: Some(kind.to_owned()),
            data: Some(
                data.iter()
                    .map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }
}

/// What of a Secret says who is trusted.
pub(super) fn authorities(secret: &Secret) -> BTreeMap<String, ByteString> {
    let data = secret.data.iter().flatten();
    data.filter(|(key, _)| matches!(key.as_str(), "ca.crt" | "cacert.pem"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The certificates in a Secret, of whichever form, as PEM.
pub(super) fn texts(secret: Secret) -> Vec<String> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.filter(|(key, _)| matches!(key.as_str(), "tls.crt" | "ca.crt" | "cacert.pem"))
        .map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned())
        .collect()
}

/// A label of DNS (RFC 1123).
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
        for (text, expected) in [
            ("projectcontour", true),
            ("a", true),
            ("a-1", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            ("A", false),
            ("é", false),
            (&too_long, false),
            (&longest, true),
        ] {
            assert_eq!(is_label(text), expected, "{text:?}");
        }
    }
}
