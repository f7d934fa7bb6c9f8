//! The façade: owns the objects and what was made of them; the only thing consumers construct.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Object, Timestamp};
use crate::diagnostic::Diagnostic;
use crate::name::ObjectRef;
use crate::xds::{Resource, ResourceKey};

/// One change of the world.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is now as given.
    Apply(Box<Object>, Arc<[Diagnostic]>),
    /// The object is gone.
    Delete(ObjectRef),
    /// The object exists but cannot be decoded: what it was before stays in force, and the
    /// diagnostics say why.
    Undecodable(ObjectRef, Arc<[Diagnostic]>),
    /// Time has come to this instant; certificates may have expired.
    Clock(Timestamp),
}

/// Settings of the translation; they hold for the lifetime of a [`Pipeline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where plain HTTP is served.
    pub http: Bind,
    /// Where HTTPS is served.
    pub https: Bind,
    /// Where `/ready` and `/stats/prometheus` are served; `None` for nowhere.
    pub stats: Option<Bind>,
    /// Access log of the plain HTTP listener; empty for none.
    pub http_access_log: Arc<str>,
    /// Access log of the HTTPS listener; empty for none.
    pub https_access_log: Arc<str>,
    /// Namespaces in which roots are allowed; empty for all.
    pub root_namespaces: Vec<Arc<str>>,
    /// Ingress classes that are served; empty for objects without class and of class `contour`.
    pub ingress_classes: Vec<Arc<str>>,
    /// Whether endpoints may have loopback addresses (files on the operator's own machine).
    pub allow_loopback_endpoints: bool,
    /// Whether `permitInsecure` is ignored.
    pub disable_permit_insecure: bool,
    /// Whether listeners expect the PROXY protocol.
    pub use_proxy_protocol: bool,
    /// How hosts with TLS are laid out in the listener.
    pub tls_layout: TlsLayout,
}

/// How hosts with TLS are laid out in the HTTPS listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsLayout {
    /// One filter chain for each TLS profile; certificates on demand by SNI. A change costs the
    /// same at any number of hosts. Excludes TLS session resumption. Needs Envoy 1.37.
    #[default]
    OnDemand,
    /// One filter chain for each host, with session resumption. A change of a host with TLS costs
    /// Envoy in proportion to the number of hosts.
    PerHost,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// An IP address.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        let any = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Self {
            http: Bind {
                address: any,
                port: 8080,
            },
            https: Bind {
                address: any,
                port: 8443,
            },
            stats: Some(Bind {
                address: any,
                port: 8002,
            }),
            http_access_log: "/dev/stdout".into(),
            https_access_log: "/dev/stdout".into(),
            root_namespaces: Vec::new(),
            ingress_classes: Vec::new(),
            allow_loopback_endpoints: false,
            disable_permit_insecure: false,
            use_proxy_protocol: false,
            tls_layout: TlsLayout::default(),
        }
    }
}

/// What a batch of changes led to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Resources that are new or differ; `None` for those that are gone.
    pub resources: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
    /// Objects whose status differs; `None` for those that are gone.
    pub statuses: BTreeMap<ObjectRef, Option<Arc<ObjectStatus>>>,
    /// How many units were computed again: the work that the change cost.
    pub units: usize,
}

/// What became of an object, before any Envoy has said anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// Whether it is served.
    pub state: State,
    /// Everything to tell its owner, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

/// The `currentStatus` of an IngressRoute, contour-compatible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Served whole.
    Valid,
    /// At least one error; what is right of it is served.
    Invalid,
    /// No root delegates to it.
    Orphaned,
}

/// The single writer of the world.
pub struct Pipeline {
    _private: (),
}

impl Pipeline {
    /// A pipeline over an empty world.
    pub fn new(_options: Options) -> Self {
        Self { _private: () }
    }

    /// The resources and statuses that exist before any object does: the listeners.
    pub fn initial(&self) -> Outcome {
        Outcome::default()
    }

    /// Applies changes, computes again what read something that they touched, and says what
    /// differs.
    ///
    /// # Cost
    /// Follows the size of the changes, not of the world.
    pub fn apply(&mut self, _changes: Vec<Change>) -> Outcome {
        Outcome::default()
    }

    /// All resources in force.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        std::iter::empty()
    }

    /// What became of an object.
    pub fn status(&self, _object: &ObjectRef) -> Option<&Arc<ObjectStatus>> {
        None
    }

    /// What became of every object of a kind that has a status.
    pub fn statuses(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<ObjectStatus>)> {
        std::iter::empty()
    }

    /// The resources that an object had a part in.
    ///
    /// # Cost
    /// Follows the number of those resources.
    pub fn resources_of(&self, _object: &ObjectRef) -> Vec<ResourceKey> {
        Vec::new()
    }

    /// The objects that had a part in a resource.
    pub fn owners(&self, _resource: &ResourceKey) -> Vec<ObjectRef> {
        Vec::new()
    }
}
