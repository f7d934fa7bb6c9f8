//! A resource as it goes to Envoy: a name, a version that is the hash of its bytes, the bytes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// The xDS resource types that we serve.
///
/// The order is the order in which additions and changes are sent (make before break); removals
/// go the other way (Envoy docs, "xDS REST and gRPC protocol", eventual consistency).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// CDS.
    Cluster,
    /// EDS.
    Endpoint,
    /// SDS.
    Secret,
    /// LDS.
    Listener,
    /// RDS.
    Route,
    /// SRDS.
    ScopedRoute,
}

impl ResourceType {
    /// Every type, in the order of sending.
    pub const ALL: [Self; 6] = [
        Self::Cluster,
        Self::Endpoint,
        Self::Secret,
        Self::Listener,
        Self::Route,
        Self::ScopedRoute,
    ];

    /// The type URL of discovery requests and responses.
    pub fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::ScopedRoute => {
                "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
            }
        }
    }

    /// The type behind a type URL, if we serve it.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.type_url() == url)
    }

    /// A short name for logs, metrics and tables: `cds`, `eds`, …
    pub fn short(self) -> &'static str {
        match self {
            Self::Cluster => "cds",
            Self::Endpoint => "eds",
            Self::Secret => "sds",
            Self::Listener => "lds",
            Self::Route => "rds",
            Self::ScopedRoute => "srds",
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// Identity of a resource: type and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The type.
    pub kind: ResourceType,
    /// The name, unique within the type.
    pub name: Arc<str>,
}

impl ResourceKey {
    /// Puts type and name together.
    pub fn new(kind: ResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The version of a resource: the hash of its bytes, so that replicas and restarts agree on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of these bytes.
    pub fn of(body: &[u8]) -> Self {
        Self(xxh3_64(body))
    }

    /// Reads a version that an Envoy reports; `None` if it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A resource as it goes to Envoy; encoded once, shared by all clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Type and name.
    pub key: ResourceKey,
    /// Hash of `body`.
    pub version: Version,
    /// The encoded message, the `value` of the `Any` that carries it.
    pub body: Bytes,
    /// Resources that an Envoy must hold before this one is of use to it: the clusters that a
    /// RouteConfiguration or Listener names, or that the RouteConfiguration behind a scope names.
    /// A session sends this one only after those (make before break).
    pub requires: Arc<[ResourceKey]>,
    /// The namespace whose objects it comes from, if it is one: namespaces take turns when much
    /// waits for an Envoy. No part of the version.
    pub owner: Option<Arc<str>>,
}

impl Resource {
    /// Makes a resource of an encoded message.
    pub fn new(key: ResourceKey, body: Vec<u8>, requires: Vec<ResourceKey>) -> Self {
        let version = Version::of(&body);
        Self { key, version, body: body.into(), requires: requires.into(), owner: None }
    }

    /// The resource as one of a namespace.
    #[must_use]
    pub fn owned_by(self, namespace: &Arc<str>) -> Self {
        Self { owner: Some(Arc::clone(namespace)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_back_as_it_is_written() {
        let version = Version::of(b"some bytes");
        assert_eq!(Version::parse(&version.to_string()), Some(version));
        assert_eq!(Version::parse("1"), None);
        assert_eq!(Version::parse("zzzzzzzzzzzzzzzz"), None);
    }

    #[test]
    fn a_type_url_names_its_type() {
        for kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_type_url(kind.type_url()), Some(kind));
        }
        assert_eq!(ResourceType::from_type_url(""), None);
    }
}
