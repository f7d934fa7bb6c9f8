//! The neutral model: what Envoy shall do, whichever API asked for it.
//!
//! Data only. IngressRoute is lowered to it now; HTTPProxy, Ingress and Gateway API will be. Past
//! this point nobody knows which API a route came from, except by its [`Route::name`].

mod certificate;
mod path;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use certificate::{
    Certificate, CertificateAuthority, CertificateError, KeyError, LeafError, NameError, X509Error,
};
pub use path::{PathError, PathPrefix};

use crate::name::{Fqdn, ObjectName};
use crate::options::Upstream;
pub use crate::options::{CircuitBreakers, TlsVersion};

/// A host with everything that answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    /// The host name.
    pub fqdn: Fqdn,
    /// Routes of the plain HTTP listener, the most specific first; `None` if the host is not
    /// served there.
    pub http: Option<Vec<Route>>,
    /// How the TLS listener answers for the host, if it does.
    pub tls: Option<Tls>,
}

/// How the TLS listener answers for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Terminates TLS and routes requests.
    Https {
        /// What the handshake demands.
        profile: TlsProfile,
        /// The certificate to show.
        certificate: Arc<Certificate>,
        /// The routes, the most specific first.
        routes: Vec<Route>,
    },
    /// Terminates TLS and forwards the bytes inside.
    Terminate {
        /// What the handshake demands.
        profile: TlsProfile,
        /// The certificate to show.
        certificate: Arc<Certificate>,
        /// Where the bytes go.
        destinations: Vec<Destination>,
    },
    /// Forwards the encrypted bytes.
    Passthrough {
        /// Where the bytes go.
        destinations: Vec<Destination>,
    },
}

/// What a TLS handshake demands beyond the certificate; hosts of one profile share a filter chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsProfile {
    /// The lowest version accepted.
    pub minimum_version: TlsVersion,
}

/// A match and what answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Names the route in logs and statistics: the object it stands in and its match, such as
    /// `demo/shop:/cart`.
    pub name: Arc<str>,
    /// The path prefix, matched as a string.
    pub prefix: PathPrefix,
    /// What answers.
    pub action: Action,
}

impl Route {
    /// The name of the route with this match that stands in an object.
    pub fn name_of(object: &ObjectName, prefix: &str) -> Arc<str> {
        format!("{object}:{prefix}").into()
    }
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An upstream.
    Forward(Forward),
    /// A redirect to the same URL by HTTPS.
    RedirectToHttps,
    /// 503, because nothing that could answer is left; diagnostics say why.
    Unavailable,
}

/// How a request is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The upstreams by weight; never empty, and the weights never all 0.
    pub destinations: Vec<Destination>,
    /// Whether the client may upgrade to WebSocket.
    pub websockets: bool,
    /// Replaces the matched prefix.
    pub prefix_rewrite: Option<PathPrefix>,
    /// The time limit of the whole request.
    pub timeout: Timeout,
    /// Retries.
    pub retry: Option<Retry>,
    /// Whether a cookie binds the client to an endpoint.
    pub session_affinity: bool,
}

/// A time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// Envoy's own default.
    #[default]
    Default,
    /// No limit.
    Infinite,
    /// So long.
    After(Duration),
}

/// Retries on 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often to try again.
    pub count: u32,
    /// The time limit of each try; `None` for the route's.
    pub per_try_timeout: Option<Duration>,
}

/// An upstream and its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The share, relative to the sum.
    pub weight: u32,
}

/// An upstream: the endpoints of a port of a Service, and how to speak to them.
///
/// Two clusters that differ in anything have different names, so a cluster never changes under
/// its name: what uses it moves on to a new one, made before the old one is broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// The Service.
    pub service: ObjectName,
    /// The number of the Service's port.
    pub port: u16,
    /// The endpoints.
    pub endpoints: EndpointsName,
    /// What the endpoints speak.
    pub protocol: Protocol,
    /// How requests are spread.
    pub load_balancing: LoadBalancing,
    /// Active health checks.
    pub health_check: Option<HealthCheck>,
    /// How to verify the endpoints' certificates, where they speak TLS.
    pub validation: Option<Validation>,
    /// Limits of its own.
    pub circuit_breakers: CircuitBreakers,
    /// Settings that hold for all clusters.
    pub settings: Arc<Upstream>,
}

/// Names the endpoints of a port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointsName {
    /// The Service.
    pub service: ObjectName,
    /// The name of the Service's port, which may be empty.
    pub port: Arc<str>,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1 in the clear.
    #[default]
    Http1,
    /// HTTP/2 in the clear.
    H2c,
    /// HTTP/1.1 in TLS.
    Tls,
    /// HTTP/2 in TLS.
    H2,
}

impl Protocol {
    /// Whether the connection is encrypted.
    pub fn is_tls(self) -> bool {
        match self {
            Self::Tls | Self::H2 => true,
            Self::Http1 | Self::H2c => false,
        }
    }

    /// Whether requests go by HTTP/2.
    pub fn is_http2(self) -> bool {
        match self {
            Self::H2c | Self::H2 => true,
            Self::Http1 | Self::Tls => false,
        }
    }
}

/// How requests are spread over endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoadBalancing {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The less busy of two.
    LeastRequest,
    /// Any.
    Random,
    /// By a cookie, over a hash ring.
    Cookie,
}

/// Active health checks by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// The path to request.
    pub path: Arc<str>,
    /// The Host header to send.
    pub host: Arc<str>,
    /// Time between checks.
    pub interval: Duration,
    /// Time to wait for an answer.
    pub timeout: Duration,
    /// Failures in a row that take an endpoint out.
    pub unhealthy_threshold: u32,
    /// Successes in a row that take it back.
    pub healthy_threshold: u32,
}

/// How to verify an upstream's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Validation {
    /// Whom to trust.
    pub authority: Arc<CertificateAuthority>,
    /// The DNS name that the certificate must have.
    pub subject_name: Fqdn,
}

/// The endpoints of a port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Whose they are.
    pub name: EndpointsName,
    /// Where they listen, sorted, each once.
    pub addresses: Vec<(IpAddr, u16)>,
}
