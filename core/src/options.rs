//! Settings of the translation.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Settings of the translation; they hold for the lifetime of a `Pipeline`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, named where it is set"
)]
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
    /// Whether Envoys fetch certificates before the first client asks for them, where they come
    /// on demand. Costs an Envoy some 26 kB for each host with TLS.
    pub prefetch_certificates: bool,
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
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            http: Bind { address: any, port: 8080 },
            https: Bind { address: any, port: 8443 },
            stats: Some(Bind { address: any, port: 8002 }),
            http_access_log: "/dev/stdout".into(),
            https_access_log: "/dev/stdout".into(),
            root_namespaces: Vec::new(),
            ingress_classes: Vec::new(),
            allow_loopback_endpoints: false,
            disable_permit_insecure: false,
            use_proxy_protocol: false,
            tls_layout: TlsLayout::default(),
            prefetch_certificates: true,
        }
    }
}
