//! Turns the neutral model into Envoy resources.
//!
//! The shapes keep the cost of a change inside Envoy independent of the number of hosts: a scope
//! and a RouteConfiguration for each host, certificates on demand by SNI
//! (docs/ARCHITECTURE.md).

mod accesslog;
mod cluster;
mod endpoint;
mod fold;
pub mod gate;
mod http;
mod listener;
mod proto;
mod resource;
mod route;
mod sni;
pub mod stats;
mod tls;
mod warm;

pub use cluster::{cluster, name as cluster_name};
pub use endpoint::{endpoints, name as endpoints_name};
pub use listener::{Chain, ChainKind, listeners};
pub use resource::{Resource, ResourceKey, ResourceType, Version};
pub use route::routes;
pub use tls::secret;
pub use warm::Bucket;

/// Name of the plain HTTP listener.
pub const HTTP_LISTENER: &str = "ingress_http";
/// Name of the TLS listener.
pub const HTTPS_LISTENER: &str = "ingress_https";
/// Name of the listener for readiness and statistics.
pub const STATS_LISTENER: &str = "stats";
/// The cluster of Envoy's own admin interface, defined in the bootstrap.
pub const ADMIN_CLUSTER: &str = "envoy-admin";
/// The header that carries the scope of a request inside Envoy; clients cannot set it and
/// upstreams do not see it.
pub const SCOPE_HEADER: &str = "x-contour-scope";

/// Which listener a RouteConfiguration is for. Scopes are one collection for all listeners, so
/// their keys name the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Plain HTTP.
    Http,
    /// HTTP in TLS.
    Https,
}

impl Side {
    /// `http` or `https`: the first part of scope keys and resource names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
