//! What the controller runs with, checked: nobody behind this point reads flags or environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use contour_cluster::access::Access;
pub use contour_cluster::driver::Settings as Watch;
use contour_core::name::ObjectName;
use contour_core::pipeline::Options;
use contour_core::shift::percent::Percent;

use crate::source::Source;

/// What `contour serve` runs with.
#[derive(Debug)]
pub struct Config {
    /// Where the objects come from.
    pub source: Source,
    /// Settings of the translation.
    pub options: Options,
    /// Where the controller listens; port 0 takes any free one.
    pub listen: Listen,
    /// How Envoys are told from strangers.
    pub security: XdsSecurity,
    /// What keeps Envoys from losing what is only seemingly gone.
    pub safeguards: Safeguards,
}

impl Config {
    /// A configuration for use inside another program: plaintext, all listeners on free ports of
    /// the loopback address, endpoints on loopback allowed.
    pub fn local(source: Source) -> Self {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            source,
            options: Options { allow_loopback_endpoints: true, ..Options::default() },
            listen: Listen { xds: any, health: any, metrics: any, debug: any },
            security: XdsSecurity::Plaintext,
            // Whoever embeds a controller may well mean to remove everything at once.
            safeguards: Safeguards { shrink: None, ..Safeguards::default() },
        }
    }
}

/// What keeps Envoys from losing what is only seemingly gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safeguards {
    /// How long at most, after a start, Envoys keep what they have while a part of the source
    /// cannot be read; zero for not at all.
    pub unread_hold: Duration,
    /// When removals are held back because they are so many; `None` for never.
    pub shrink: Option<Shrink>,
}

impl Default for Safeguards {
    fn default() -> Self {
        Self { unread_hold: Duration::from_mins(1), shrink: Some(Shrink::default()) }
    }
}

/// When removals are held back because they are so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrink {
    /// The share of all hosts that may be gone at once.
    pub share: Percent,
    /// How long more than that is kept.
    pub hold: Duration,
}

impl Shrink {
    /// Fewer hosts than this may be gone at once whatever their share: in a small set-up somebody
    /// has just deleted them.
    pub const FEWEST: usize = 10;

    /// Whether so many hosts are too many to be gone at once, of so many that there were.
    pub fn is_exceeded(&self, gone: usize, before: usize) -> bool {
        let share = usize::from(self.share.as_hundredths());
        gone >= Self::FEWEST && gone * 10_000 > before * share
    }
}

impl Default for Shrink {
    fn default() -> Self {
        Self { share: Percent::whole(50).unwrap_or(Percent::ALL), hold: Duration::from_mins(1) }
    }
}

/// Addresses that the controller listens on. Also used to tell which ones were bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// xDS, for Envoys.
    pub xds: SocketAddr,
    /// `/healthz`, `/readyz`.
    pub health: SocketAddr,
    /// `/metrics`; the same listener as `health` if the addresses are equal.
    pub metrics: SocketAddr,
    /// `/debug`.
    pub debug: SocketAddr,
}

/// How the xDS listener tells Envoys from strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XdsSecurity {
    /// Anybody may connect, unencrypted.
    Plaintext,
    /// Mutual TLS by these PEM files.
    Mutual(TlsFiles),
}

/// PEM files for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities that the other side's certificate must come from.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub certificate: PathBuf,
    /// The key of our certificate.
    pub key: PathBuf,
}

/// How the objects are read from a Kubernetes API server, and how status is written to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kubernetes {
    /// How the API server is found.
    pub access: Access,
    /// Requests a second that may be made on average, reading and writing.
    pub qps: f32,
    /// Requests that may be made at once after a pause.
    pub burst: u32,
    /// Namespaces whose objects are read; empty for all.
    pub watch_namespaces: Vec<Arc<str>>,
    /// The namespace of the controller: of its Lease and of its Events.
    pub namespace: Arc<str>,
    /// How replicas agree on who writes status; `None` if this one always does.
    pub election: Option<Election>,
    /// Where the status says that hosts are served.
    pub addresses: StatusAddresses,
    /// How watches are made.
    pub watch: Watch,
    /// How often it is looked for shifts whose client is gone.
    pub deadman: Duration,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            access: Access::default(),
            qps: 100.0,
            burst: 200,
            watch_namespaces: Vec::new(),
            namespace: "projectcontour".into(),
            election: Some(Election::default()),
            addresses: StatusAddresses::default(),
            watch: Watch::default(),
            deadman: Duration::from_secs(15),
        }
    }
}

/// How replicas agree, by a Lease, on which of them writes status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// How long a leader that is silent keeps its place.
    pub lease_duration: Duration,
    /// How long a leader tries to renew before it gives up by itself.
    pub renew_deadline: Duration,
    /// How often a leader renews and others look.
    pub retry_period: Duration,
    /// The Lease's name.
    pub name: Arc<str>,
    /// The Lease's namespace.
    pub namespace: Arc<str>,
}

impl Default for Election {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            name: "leader-elect".into(),
            namespace: "projectcontour".into(),
        }
    }
}

/// What an object's status names as the load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAddresses {
    /// The addresses in the status of Envoy's Service: namespace and name.
    Service(ObjectName),
    /// IP addresses or host names given by flag.
    Fixed(Vec<Arc<str>>),
}

impl Default for StatusAddresses {
    fn default() -> Self {
        Self::Service(ObjectName::new("projectcontour", "envoy"))
    }
}
