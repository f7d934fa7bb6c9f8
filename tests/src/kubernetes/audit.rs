//! What an API server was asked, by its audit log.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Requests in the order in which they were first written down.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The requests; a watch is there as soon as it has begun.
    pub requests: Vec<Request>,
}

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name, and `PLURAL/SUBRESOURCE` if one was asked for; empty for paths such as
    /// `/readyz`.
    pub resource: String,
    /// The Namespace; empty where there is none.
    pub namespace: String,
    /// The name; empty where many are meant.
    pub name: String,
    /// The path with its query.
    pub uri: String,
    /// The answer's status, of a watch that of its beginning; 0 if there was none.
    pub code: u16,
    /// What the client says it is.
    pub agent: String,
    /// When it came, as RFC 3339 with microseconds.
    pub at: String,
}

impl Request {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    fn parse(event: &Value) -> Self {
        let text = |pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let code = event.pointer("/responseStatus/code").and_then(Value::as_u64);
        let mut resource = text("/objectRef/resource");
        let subresource = text("/objectRef/subresource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        Self {
            user: text("/user/username"),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            uri: text("/requestURI"),
            code: code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default(),
            agent: text("/userAgent"),
            at: text("/requestReceivedTimestamp"),
        }
    }
}

impl Audit {
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path);
        Self::parse(&text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// A watch is written down at its beginning and at its end; it counts once. The last line may
    /// be half written.
    fn parse(text: &str) -> Self {
        let mut places = BTreeMap::new();
        let mut requests = Vec::new();
        for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let id = event.get("auditID").and_then(Value::as_str).unwrap_or_default().to_owned();
            let request = Request::parse(&event);
            let new = *places.entry(id).or_insert(requests.len());
            if new == requests.len() {
                requests.push(request);
            }
        }
        Self { requests }
    }

    /// Those that pass a test.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&Request) -> bool) -> Self {
        Self { requests: self.requests.iter().filter(|r| keep(r)).cloned().collect() }
    }

    /// Those of one user.
    #[must_use]
    pub fn by(&self, user: &str) -> Self {
        self.filter(|request| request.user == user)
    }

    /// Those that came after an earlier reading of the same log.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { requests: self.requests.iter().skip(earlier.requests.len()).cloned().collect() }
    }

    /// How many lists of a resource.
    pub fn lists(&self, resource: &str) -> usize {
        self.count("list", resource)
    }

    /// How many watches of a resource were begun.
    pub fn watches(&self, resource: &str) -> usize {
        self.count("watch", resource)
    }

    /// How many requests that change something, refused ones too.
    pub fn writes(&self) -> usize {
        self.requests.iter().filter(|request| request.is_write()).count()
    }

    /// How many requests of each user, verb, resource and code.
    pub fn tally(&self) -> BTreeMap<(&str, &str, &str, u16), usize> {
        let mut tally = BTreeMap::new();
        for r in &self.requests {
            let key = (r.user.as_str(), r.verb.as_str(), r.resource.as_str(), r.code);
            *tally.entry(key).or_default() += 1;
        }
        tally
    }

    fn count(&self, verb: &str, resource: &str) -> usize {
        self.requests.iter().filter(|r| r.verb == verb && r.resource == resource).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_once_and_half_a_line_not_at_all() {
        let text = r#"
{"auditID":"1","stage":"ResponseStarted","verb":"watch","user":{"username":"a"},"objectRef":{"resource":"services"},"responseStatus":{"code":200}}
{"auditID":"2","stage":"ResponseComplete","verb":"update","user":{"username":"b"},"objectRef":{"resource":"ingressroutes","subresource":"status"},"responseStatus":{"code":409}}
{"auditID":"1","stage":"ResponseComplete","verb":"watch","user":{"username":"a"},"objectRef":{"resource":"services"},"responseStatus":{"code":200}}
{"auditID":"3","stage":"Resp"#;
        let audit = Audit::parse(text);
        assert_eq!(audit.watches("services"), 1);
        assert_eq!(audit.by("b").writes(), 1);
        assert_eq!(
            audit.tally(),
            BTreeMap::from([
                (("a", "watch", "services", 200), 1),
                (("b", "update", "ingressroutes/status", 409), 1),
            ])
        );
    }
}
