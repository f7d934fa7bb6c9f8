//! Names and references that cannot be malformed.
//!
//! External text becomes one of these types once, at the edge; afterwards nobody checks again.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kinds of objects that the pipeline reads. Identity carries its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `IngressRoute`, `contour.heptio.com/v1beta1`.
    IngressRoute,
    /// `TLSCertificateDelegation`, `contour.heptio.com/v1beta1`.
    TlsCertificateDelegation,
    /// `Service`, `v1`.
    Service,
    /// `EndpointSlice`, `discovery.k8s.io/v1`.
    EndpointSlice,
    /// `Secret`, `v1`.
    Secret,
    /// `Namespace`, `v1`.
    Namespace,
}

impl Kind {
    /// Every kind, in the order in which they are declared.
    pub const ALL: [Self; 6] = [
        Self::IngressRoute,
        Self::TlsCertificateDelegation,
        Self::Service,
        Self::EndpointSlice,
        Self::Secret,
        Self::Namespace,
    ];

    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IngressRoute => "IngressRoute",
            Self::TlsCertificateDelegation => "TLSCertificateDelegation",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Secret => "Secret",
            Self::Namespace => "Namespace",
        }
    }

    /// The `apiVersion` under which the kind is read.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::IngressRoute | Self::TlsCertificateDelegation => "contour.heptio.com/v1beta1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::Service | Self::Secret | Self::Namespace => "v1",
        }
    }

    /// The kind behind an `apiVersion` and `kind`, if it is one that the pipeline reads.
    pub fn from_gvk(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == kind && k.api_version() == api_version)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Namespace and name of an object, the kind being known from the context.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl ObjectName {
    /// Puts a namespace and a name together.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The same name read as an object of `kind`.
    pub fn of(&self, kind: Kind) -> ObjectRef {
        ObjectRef { kind, name: self.clone() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// As a text: `namespace/name`, or the name alone.
impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (namespace, name) = text.split_once('/').unwrap_or(("", &text));
        Ok(Self::new(namespace, name))
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identity of an object: kind, namespace and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub name: ObjectName,
}

impl ObjectRef {
    /// Puts kind, namespace and name together.
    pub fn new(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: ObjectName::new(namespace, name) }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `text` is a DNS-1123 label: what a namespace or a Service may be called.
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// Whether `text` is a DNS-1123 subdomain: what most objects may be called.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Why a text is not a host name that an `IngressRoute` may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FqdnError {
    /// The text is empty.
    #[error("must be specified")]
    Empty,
    /// The text contains `*`.
    #[error("cannot use wildcards")]
    Wildcard,
    /// The text is no DNS name.
    #[error("is not a DNS name: labels of a-z, 0-9 and '-', up to 253 characters")]
    NotDns,
}

/// A fully qualified host name without wildcard, in lower case and without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqdn(Arc<str>);

impl Fqdn {
    /// Folds case, drops one trailing dot and checks the rest.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, FqdnError> {
        if text.is_empty() {
            return Err(FqdnError::Empty);
        }
        if text.contains('*') {
            return Err(FqdnError::Wildcard);
        }
        let folded = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_dns_subdomain(&folded) { Ok(Self(folded.into())) } else { Err(FqdnError::NotDns) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path of fields inside an object, such as `.spec.routes[2].services[0].port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(String);

impl FieldPath {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path given whole, each segment beginning with `.` or `[`.
    pub fn of(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// The path of field `name` inside this one. A name with other characters than letters,
    /// digits, `_` and `-` is written `["name"]`.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        Self(if plain { format!("{}.{name}", self.0) } else { format!("{}[{name:?}]", self.0) })
    }

    /// The path of element `index` of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path as text; empty for the object itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_folded_and_checked() {
        assert_eq!(Fqdn::parse("Foo.Example.COM.").unwrap().as_str(), "foo.example.com");
        assert_eq!(Fqdn::parse(""), Err(FqdnError::Empty));
        assert_eq!(Fqdn::parse("*.example.com"), Err(FqdnError::Wildcard));
        for bad in ["a..b", "-a.b", "a b", "a\r\nb", "é.com", "a.com..", ".", "a:80", "a_b.com"] {
            assert_eq!(Fqdn::parse(bad), Err(FqdnError::NotDns), "{bad:?}");
        }
        assert_eq!(Fqdn::parse(&"a.".repeat(127)).map(|f| f.as_str().len()), Ok(253));
        assert_eq!(Fqdn::parse(&"a".repeat(64)), Err(FqdnError::NotDns));
    }

    #[test]
    fn a_field_path_reads_as_in_kubectl_explain() {
        let path = FieldPath::root().field("spec").field("routes").index(2).field("a/b");
        assert_eq!(path.as_str(), ".spec.routes[2][\"a/b\"]");
    }
}
