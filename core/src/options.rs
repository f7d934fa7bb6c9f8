//! Settings of the translation.

mod limits;

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

pub use limits::{Amounts, Limits};

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
    /// What the access logs hold.
    pub access_log: AccessLog,
    /// How long clients' connections and requests may take.
    pub timeouts: Timeouts,
    /// How connections of clients are taken.
    pub downstream: Downstream,
    /// How HTTP of clients is read.
    pub http_rules: HttpRules,
    /// Which TLS clients may use.
    pub tls: TlsRules,
    /// How upstreams are connected to.
    pub upstream: Arc<Upstream>,
    /// How much objects may expand to.
    pub limits: Limits,
}

/// What the access logs hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLog {
    /// How an entry is written.
    pub format: LogFormat,
    /// Which requests get an entry.
    pub level: LogLevel,
}

/// How an entry of an access log is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// As Envoy does by itself.
    #[default]
    Envoy,
    /// By a format of Envoy's command operators.
    Text(Arc<str>),
    /// As a JSON object of these fields, whose values are formats.
    Json(Vec<(Arc<str>, Arc<str>)>),
}

/// Which requests get an entry in the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// All.
    #[default]
    Info,
    /// Those answered with a status of 300 or more.
    Error,
    /// Those answered with a status of 500 or more.
    Critical,
    /// None.
    Disabled,
}

/// A limit of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Envoy's own.
    #[default]
    Envoy,
    /// None.
    Infinite,
    /// This long.
    After(Duration),
}

/// How long clients' connections and requests may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to its last.
    pub request: Limit,
    /// Of a connection without requests.
    pub connection_idle: Limit,
    /// Of a request on which nothing moves.
    pub stream_idle: Limit,
    /// Of a connection altogether.
    pub connection: Limit,
    /// Between the last byte sent and the closing of a connection.
    pub delayed_close: Limit,
    /// Between the two GOAWAY frames of HTTP/2 when a connection is shut down.
    pub drain: Limit,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Limit::Envoy,
            // Contour's.
            connection_idle: Limit::After(Duration::from_mins(1)),
            stream_idle: Limit::Envoy,
            connection: Limit::Envoy,
            delayed_close: Limit::Envoy,
            drain: Limit::Envoy,
        }
    }
}

/// How connections of clients are taken; `None` is Envoy's own setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downstream {
    /// Whether every worker gets the same number of connections, at the price of a lock.
    pub balance_exactly: bool,
    /// Requests on a connection before it is closed.
    pub max_requests_per_connection: Option<u32>,
    /// Bytes that are buffered of a connection.
    pub buffer_limit_bytes: Option<u32>,
    /// Requests at a time on a connection of HTTP/2.
    pub max_concurrent_streams: Option<u32>,
    /// Connections taken up each time that a worker looks for new ones.
    pub max_accepted_per_event: Option<u32>,
    /// Type of service of IPv4 packets to clients.
    pub type_of_service: Option<u8>,
    /// Traffic class of IPv6 packets to clients.
    pub traffic_class: Option<u8>,
    /// Whether JA3 fingerprints of TLS clients are computed, for access logs.
    pub fingerprint_ja3: bool,
    /// Whether JA4 fingerprints of TLS clients are computed, for access logs.
    pub fingerprint_ja4: bool,
}

/// How HTTP of clients is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRules {
    /// The versions that clients may speak.
    pub versions: HttpVersions,
    /// Proxies in front of Envoy that may say who the client is.
    pub trusted_hops: u32,
    /// Whether `shop.example.com.` is the host `shop.example.com`.
    pub strip_trailing_host_dot: bool,
    /// Whether `//` in a path counts as `/`.
    pub merge_slashes: bool,
    /// Whether a request may have `Transfer-Encoding: chunked` and a `Content-Length`, which is
    /// then dropped.
    pub allow_chunked_length: bool,
    /// What answers say of the server.
    pub server_header: ServerHeader,
}

impl Default for HttpRules {
    fn default() -> Self {
        Self {
            versions: HttpVersions::default(),
            trusted_hops: 0,
            strip_trailing_host_dot: true,
            merge_slashes: true,
            allow_chunked_length: false,
            server_header: ServerHeader::default(),
        }
    }
}

/// Versions of HTTP that clients may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1.1 and HTTP/2.
    #[default]
    Both,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// What answers say of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerHeader {
    /// `Server: envoy`.
    #[default]
    Overwrite,
    /// What the upstream says, or `envoy`.
    AppendIfAbsent,
    /// What the upstream says, or nothing.
    PassThrough,
}

/// A TLS version that is still served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Which TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsRules {
    /// The oldest version.
    pub minimum: TlsVersion,
    /// The newest version. A host that asks for a newer one at least gets that.
    pub maximum: TlsVersion,
    /// The cipher suites of TLS 1.2 as Envoy names them; Contour's if empty.
    pub cipher_suites: Vec<Arc<str>>,
    /// The curves as Envoy names them; Envoy's if empty.
    pub curves: Vec<Arc<str>>,
}

impl Default for TlsRules {
    fn default() -> Self {
        Self {
            minimum: TlsVersion::V1_2,
            maximum: TlsVersion::V1_3,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
        }
    }
}

/// How upstreams are connected to; `None` is Envoy's own setting.
///
/// As part of what names a cluster it counts only where it differs from the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Requests on a connection before it is closed.
    pub max_requests_per_connection: Option<u32>,
    /// Bytes that are buffered of a connection.
    pub buffer_limit_bytes: Option<u32>,
    /// Limits of Services that have no annotations of their own.
    pub circuit_breakers: CircuitBreakers,
    /// Connections to each endpoint.
    pub max_connections_per_endpoint: Option<u32>,
    /// Which TLS is spoken to upstreams; `None` for whatever Envoy speaks.
    pub tls: Option<TlsRules>,
}

/// Limits of a cluster; `None` for Envoy's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CircuitBreakers {
    /// Connections.
    pub max_connections: Option<u32>,
    /// Requests that wait for a connection.
    pub max_pending_requests: Option<u32>,
    /// Requests under way.
    pub max_requests: Option<u32>,
    /// Retries under way.
    pub max_retries: Option<u32>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            max_requests_per_connection: None,
            buffer_limit_bytes: None,
            circuit_breakers: CircuitBreakers::default(),
            max_connections_per_endpoint: None,
            tls: None,
        }
    }
}

impl Hash for Upstream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if *self == Self::default() {
            return;
        }
        self.connect_timeout.hash(state);
        self.max_requests_per_connection.hash(state);
        self.buffer_limit_bytes.hash(state);
        self.circuit_breakers.hash(state);
        self.max_connections_per_endpoint.hash(state);
        self.tls.hash(state);
    }
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
            access_log: AccessLog::default(),
            timeouts: Timeouts::default(),
            downstream: Downstream::default(),
            http_rules: HttpRules::default(),
            tls: TlsRules::default(),
            upstream: Arc::default(),
            limits: Limits::default(),
        }
    }
}
