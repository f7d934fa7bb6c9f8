//! Every key of the file, in one table; docs/configuration.md is written from it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use contour_core::options::{Limit, LogLevel, ServerHeader, TlsVersion};
use serde::Deserialize;

use super::value::{
    Anything, Balancer, Byte, Cipher, Compression, Count, Curve, FeatureFlag, Format, HttpVersion,
    JsonField, LookupFamily, Number, Port, Template, Text,
};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it says.
    Works,
    /// Nothing yet.
    Later,
    /// Nothing, for this reason.
    Never(&'static str),
}

use Effect::{Later, Never, Works};

/// A key of the file.
#[derive(Clone, Debug)]
pub struct Key {
    /// The path with dots, such as `timeouts.request-timeout`.
    pub path: String,
    /// What it does.
    pub effect: Effect,
    /// What it sets, with the values that it takes and its default.
    pub text: &'static str,
}

/// A mapping with keys that are known.
pub(super) trait Section {
    /// Lists all keys below `at`.
    fn keys(at: &str, keys: &mut Vec<Key>);
    /// Lists the paths and effects of those that have a value.
    fn given(&self, at: &str, given: &mut Vec<(String, Effect)>);
}

macro_rules! sections {
    ($($(#[$meta:meta])* $name:ident {
        $($field:ident: $type:ty = $key:literal $effect:expr, $text:literal;)*
        $(+ $sub:ident: $subtype:ty = $subkey:literal;)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(#[doc = $text] #[serde(rename = $key)] pub $field: Option<$type>,)*
            $(#[doc = concat!("What is in `", $subkey, "`.")] #[serde(rename = $subkey)] pub $sub: $subtype,)*
        }

        impl Section for $name {
            fn keys(at: &str, keys: &mut Vec<Key>) {
                $(keys.push(Key { path: format!("{at}{}", $key), effect: $effect, text: $text });)*
                $(<$subtype>::keys(&format!("{at}{}.", $subkey), keys);)*
                // The section without keys needs neither.
                let _used = (at, keys);
            }

            fn given(&self, at: &str, given: &mut Vec<(String, Effect)>) {
                $(if self.$field.is_some() { given.push((format!("{at}{}", $key), $effect)); })*
                $(self.$sub.given(&format!("{at}{}.", $subkey), given);)*
                let _used = (at, given);
            }
        }
    )*};
}

const GATEWAY: Effect = Never("Gateway API is not built");
const HTTPPROXY: Effect = Never("a feature of HTTPProxy, which is not built");

sections! {
    /// The file.
    Configuration {
        debug: bool = "debug" Works, "Log in detail; `--debug`.";
        incluster: bool = "incluster" Works, "Reach the API server by the pod's service account; `--incluster`.";
        kubeconfig: String = "kubeconfig" Works, "The kubeconfig file; `--kubeconfig`.";
        kubernetes_client_qps: Text<f32> = "kubernetesClientQPS" Works, "Requests a second to the API server (100); `--kubernetes-client-qps`.";
        kubernetes_client_burst: Count = "kubernetesClientBurst" Works, "Requests at once to the API server (200); `--kubernetes-client-burst`.";
        ingress_status_address: String = "ingress-status-address" Works, "IP addresses or host names, separated by commas, for the status of objects; `--ingress-status-address`.";
        accesslog_format: Text<Format> = "accesslog-format" Works, "`envoy` (default) or `json`; `--accesslog-format`.";
        accesslog_format_string: Text<Template> = "accesslog-format-string" Works, "The line of the format `envoy`, of Envoy's command operators. A line feed is added at its end.";
        json_fields: Vec<Text<JsonField>> = "json-fields" Works, "The fields of the format `json`, each a known name or `NAME=FORMAT`; Contour's by default.";
        accesslog_level: Text<LogLevel> = "accesslog-level" Works, "`info` (default, all requests), `error` (status 300 and above), `critical` (500 and above) or `disabled`.";
        disable_permit_insecure: bool = "disablePermitInsecure" Works, "Ignore `permitInsecure`: hosts with TLS always redirect plain HTTP.";
        disable_allow_chunked_length: bool = "disableAllowChunkedLength" Works, "Refuse requests with both `Transfer-Encoding: chunked` and `Content-Length`. True by default, other than in Contour.";
        disable_merge_slashes: bool = "disableMergeSlashes" Works, "Keep `//` in paths (false).";
        server_header: Text<ServerHeader> = "serverHeaderTransformation" Works, "`overwrite` (default), `append_if_absent` or `pass_through`.";
        external_names: bool = "enableExternalNameService" Never("Services of type ExternalName are refused (CVE-2021-32783)"), "Serve Services of type ExternalName.";
        envoy_service_namespace: String = "envoy-service-namespace" Works, "Namespace of Envoy's Service; `--envoy-service-namespace`.";
        envoy_service_name: String = "envoy-service-name" Works, "Name of Envoy's Service (`envoy`), whose addresses the status names; `--envoy-service-name`.";
        http_versions: Vec<Text<HttpVersion>> = "default-http-versions" Works, "What clients may speak: `HTTP/1.1`, `HTTP/2`; both by default.";
        feature_flags: Vec<Text<FeatureFlag>> = "featureFlags" Works, "There is no feature flag at present; any is refused, as by Contour.";
        runtime_settings: BTreeMap<String, String> = "runtime-settings" Later, "Settings of Envoy's runtime.";
        + server: Server = "server";
        + gateway: Gateway = "gateway";
        + tls: Tls = "tls";
        + compression: CompressionSection = "compression";
        + timeouts: Timeouts = "timeouts";
        + policy: Policy = "policy";
        + cluster: Cluster = "cluster";
        + network: Network = "network";
        + listener: Listener = "listener";
        + rate_limit: RateLimit = "rateLimitService";
        + ext_auth: ExtAuth = "globalExtAuth";
        + metrics: Metrics = "metrics";
        + tracing: Tracing = "tracing";
        + om_health: OmHealth = "omEnforcedHealthListener";
        + limits: LimitsSection = "limits";
    }

    /// `server`, which is empty today.
    Server {}

    /// `gateway`.
    Gateway {
        + gateway: GatewayRef = "gatewayRef";
    }

    /// `gateway.gatewayRef`.
    GatewayRef {
        name: String = "name" GATEWAY, "The Gateway's name.";
        namespace: String = "namespace" GATEWAY, "The Gateway's namespace.";
    }

    /// `tls`.
    Tls {
        minimum: Text<TlsVersion> = "minimum-protocol-version" Works, "The oldest TLS for clients, `1.2` (default) or `1.3`; hosts may ask for more.";
        maximum: Text<TlsVersion> = "maximum-protocol-version" Works, "The newest TLS for clients, `1.2` or `1.3` (default). A host that asks for 1.3 gets it nevertheless.";
        ciphers: Vec<Text<Cipher>> = "cipher-suites" Works, "The cipher suites of TLS 1.2 as Envoy names them; Contour's four by default.";
        curves: Vec<Text<Curve>> = "ecdh-curves" Works, "The curves as Envoy names them; Envoy's by default.";
        + fallback: Fallback = "fallback-certificate";
        + client: ClientCertificate = "envoy-client-certificate";
        + fingerprint: Fingerprint = "fingerprint";
    }

    /// `tls.fallback-certificate`.
    Fallback {
        name: String = "name" HTTPPROXY, "The Secret's name.";
        namespace: String = "namespace" HTTPPROXY, "The Secret's namespace.";
    }

    /// `tls.envoy-client-certificate`.
    ClientCertificate {
        name: String = "name" Later, "Name of the Secret that Envoy shows to upstreams.";
        namespace: String = "namespace" Later, "The Secret's namespace.";
    }

    /// `tls.fingerprint`.
    Fingerprint {
        ja3: bool = "ja3" Works, "Compute JA3 fingerprints of TLS clients, for access logs (false).";
        ja4: bool = "ja4" Works, "Compute JA4 fingerprints of TLS clients, for access logs (false).";
    }

    /// `compression`.
    CompressionSection {
        algorithm: Text<Compression> = "algorithm" Later, "How answers are compressed: `gzip`, `brotli`, `zstd` or `disabled`. They are passed on as they are.";
    }

    /// `timeouts`.
    Timeouts {
        request: Text<Limit> = "request-timeout" Works, "For a client's request as a whole, to its last byte (no limit).";
        connection_idle: Text<Limit> = "connection-idle-timeout" Works, "For a client's connection without requests (`60s`).";
        stream_idle: Text<Limit> = "stream-idle-timeout" Works, "For a request on which nothing moves (Envoy's, `5m`).";
        connection: Text<Limit> = "max-connection-duration" Works, "For a client's connection as a whole (no limit).";
        delayed_close: Text<Limit> = "delayed-close-timeout" Works, "From the last byte sent to closing a connection (Envoy's, `1s`).";
        drain: Text<Limit> = "connection-shutdown-grace-period" Works, "Between the two GOAWAY frames when a connection is shut down (Envoy's, `5s`).";
        connect: Text<Duration> = "connect-timeout" Works, "For connecting to an upstream (`2s`).";
    }

    /// `policy`.
    Policy {
        apply_to_ingress: bool = "applyToIngress" Later, "Change headers of Ingresses, too.";
        + request: HeaderPolicy = "request-headers";
        + response: HeaderPolicy = "response-headers";
    }

    /// `policy.request-headers` and `policy.response-headers`.
    HeaderPolicy {
        set: BTreeMap<String, String> = "set" Later, "Headers to set.";
        remove: Vec<String> = "remove" Later, "Headers to remove.";
    }

    /// `cluster`.
    Cluster {
        dns: Text<LookupFamily> = "dns-lookup-family" Never("no upstream is found by name"), "`auto`, `v4`, `v6` or `all`.";
        max_requests: Count = "max-requests-per-connection" Works, "Requests on a connection to an upstream before it is closed (no limit).";
        buffer: Count = "per-connection-buffer-limit-bytes" Works, "Bytes buffered of a connection to an upstream (Envoy's, 1 MiB).";
        + breakers: Breakers = "circuit-breakers";
        + tls: UpstreamTls = "upstream-tls";
    }

    /// `cluster.circuit-breakers`.
    Breakers {
        connections: Number = "max-connections" Works, "Connections, for Services without the annotation (Envoy's, 1024).";
        pending: Number = "max-pending-requests" Works, "Requests that wait, for Services without the annotation (1024).";
        requests: Number = "max-requests" Works, "Requests, for Services without the annotation (1024).";
        retries: Number = "max-retries" Works, "Retries, for Services without the annotation (3).";
        per_host: Count = "per-host-max-connections" Works, "Connections to each endpoint (no limit).";
    }

    /// `cluster.upstream-tls`.
    UpstreamTls {
        minimum: Text<TlsVersion> = "minimum-protocol-version" Works, "The oldest TLS to upstreams, `1.2` or `1.3`.";
        maximum: Text<TlsVersion> = "maximum-protocol-version" Works, "The newest TLS to upstreams, `1.2` or `1.3`.";
        ciphers: Vec<Text<Cipher>> = "cipher-suites" Works, "The cipher suites of TLS 1.2 to upstreams.";
        curves: Vec<Text<Curve>> = "ecdh-curves" Works, "The curves to upstreams.";
    }

    /// `network`.
    Network {
        trusted_hops: Number = "num-trusted-hops" Works, "Proxies in front of Envoy whose `X-Forwarded-For` is believed (0).";
        admin_port: Port = "admin-port" Never("Envoy's administration is reached by the socket that the bootstrap names"), "Port of a listener for Envoy's administration.";
        strip_dot: bool = "strip-trailing-host-dot" Works, "Take `shop.example.com.` for `shop.example.com`. True by default, other than in Contour.";
    }

    /// `listener`.
    Listener {
        balancer: Text<Balancer> = "connection-balancer" Works, "`exact` gives every worker of Envoy the same number of connections; empty by default.";
        max_requests: Count = "max-requests-per-connection" Works, "Requests on a client's connection before it is closed (no limit).";
        buffer: Count = "per-connection-buffer-limit-bytes" Works, "Bytes buffered of a client's connection (Envoy's, 1 MiB).";
        io_cycle: Count = "max-requests-per-io-cycle" Later, "Requests taken of a connection at once.";
        streams: Count = "http2-max-concurrent-streams" Works, "Requests at a time on a connection of HTTP/2 (Envoy's).";
        connections: Count = "max-connections-per-listener" Later, "Connections of a listener.";
        accepted: Count = "max-connections-to-accept-per-socket-event" Works, "Connections taken up each time that a worker looks for new ones (Envoy's).";
        + socket: SocketOptions = "socket-options";
    }

    /// `listener.socket-options`.
    SocketOptions {
        tos: Byte = "tos" Works, "Type of service of IPv4 packets to clients, 0 to 255.";
        class: Byte = "traffic-class" Works, "Traffic class of IPv6 packets to clients, 0 to 255; for listeners on an IPv6 address.";
    }

    /// `rateLimitService`.
    RateLimit {
        service: String = "extensionService" HTTPPROXY, "The `ExtensionService`, `NAMESPACE/NAME`.";
        domain: String = "domain" HTTPPROXY, "The domain of requests to it.";
        fail_open: bool = "failOpen" HTTPPROXY, "Serve if it cannot be reached.";
        headers: bool = "enableXRateLimitHeaders" HTTPPROXY, "Tell clients of their limits.";
        exhausted: bool = "enableResourceExhaustedCode" HTTPPROXY, "Answer gRPC with `RESOURCE_EXHAUSTED`.";
        policy: Anything = "defaultGlobalRateLimitPolicy" HTTPPROXY, "The policy of hosts without one.";
    }

    /// `globalExtAuth`.
    ExtAuth {
        service: String = "extensionService" HTTPPROXY, "The `ExtensionService`, `NAMESPACE/NAME`.";
        kind: String = "serviceType" HTTPPROXY, "`grpc` or `http`.";
        http: Anything = "httpSettings" HTTPPROXY, "Settings of the type `http`.";
        timeout: Text<Limit> = "responseTimeout" HTTPPROXY, "How long it may take.";
        fail_open: bool = "failOpen" HTTPPROXY, "Serve if it cannot be reached.";
        policy: Anything = "authPolicy" HTTPPROXY, "Whether it is asked, and what it is told.";
        body: Anything = "withRequestBody" HTTPPROXY, "How much of the body it is sent.";
    }

    /// `metrics`.
    Metrics {
        + contour: ContourMetrics = "contour";
        + envoy: EnvoyMetrics = "envoy";
    }

    /// `metrics.contour`.
    ContourMetrics {
        address: Text<IpAddr> = "address" Works, "Address of the controller's metrics (`0.0.0.0`); `--http-address`.";
        port: Port = "port" Works, "Port of the controller's metrics (8000); `--http-port`.";
        certificate: String = "server-certificate-path" Later, "Certificate for serving them by TLS.";
        key: String = "server-key-path" Later, "Key for serving them by TLS.";
        ca: String = "ca-certificate-path" Later, "Authority of those who may read them.";
    }

    /// `metrics.envoy`.
    EnvoyMetrics {
        address: Text<IpAddr> = "address" Works, "Address of Envoy's readiness and metrics (`0.0.0.0`); `--stats-address`.";
        port: Port = "port" Works, "Port of Envoy's readiness and metrics (8002); `--stats-port`.";
        certificate: String = "server-certificate-path" Later, "Certificate for serving them by TLS.";
        key: String = "server-key-path" Later, "Key for serving them by TLS.";
        ca: String = "ca-certificate-path" Later, "Authority of those who may read them.";
    }

    /// `tracing`.
    Tracing {
        pod_detail: bool = "includePodDetail" Later, "Tell Envoy's pod.";
        service_name: String = "serviceName" Later, "The name of the service in traces.";
        overall: Anything = "overallSampling" Later, "Percent of requests at most.";
        client: Anything = "clientSampling" Later, "Percent of requests for which the client asks.";
        random: Anything = "randomSampling" Later, "Percent of requests at random.";
        path_length: Count = "maxPathTagLength" Later, "Letters of the path.";
        tags: Vec<CustomTag> = "customTags" Later, "Further tags: `tagName` with `literal` or `requestHeaderName`.";
        service: String = "extensionService" Later, "The `ExtensionService`, `NAMESPACE/NAME`.";
    }

    /// `omEnforcedHealthListener`.
    OmHealth {
        address: Text<IpAddr> = "address" Later, "Address of a readiness listener that obeys the connection limit.";
        port: Port = "port" Later, "Its port.";
    }

    /// `limits`, which Contour does not have.
    LimitsSection {
        + object: ObjectLimits = "object";
        + host: HostLimits = "host";
        + namespace: NamespaceLimits = "namespace";
        + all: AllLimits = "all";
    }

    /// `limits.object`.
    ObjectLimits {
        checks: Count = "health-checks" Works, "Different active health checks that one object may ask for (100); `--limit object.health-checks`. For this and the others see limits.md.";
        clusters: Count = "clusters" Works, "Different clusters that one object may lead to (2000); `--limit object.clusters`.";
    }

    /// `limits.host`.
    HostLimits {
        routes: Count = "routes" Works, "Route entries of one host (20000); `--limit host.routes`.";
        bytes: Count = "bytes" Works, "Bytes of these (16777216); `--limit host.bytes`.";
    }

    /// `limits.namespace`.
    NamespaceLimits {
        routes: Count = "routes" Works, "Route entries of the hosts of one namespace (75000); `--limit namespace.routes`.";
        bytes: Count = "bytes" Works, "Bytes of the routes and certificates of the hosts of one namespace, and of the CA bundles of its clusters (134217728); `--limit namespace.bytes`.";
        clusters: Count = "clusters" Works, "Clusters of one namespace (12000); `--limit namespace.clusters`.";
        endpoints: Count = "endpoints" Works, "Endpoints of the clusters of one namespace (50000); `--limit namespace.endpoints`.";
        checks: Count = "health-checks" Works, "Active health checks of endpoints of one namespace (2500); `--limit namespace.health-checks`.";
    }

    /// `limits.all`.
    AllLimits {
        routes: Count = "routes" Works, "Route entries of all hosts (300000); `--limit all.routes`.";
        bytes: Count = "bytes" Works, "Bytes of the routes and certificates of all hosts, and of the CA bundles of all clusters (536870912); `--limit all.bytes`.";
        clusters: Count = "clusters" Works, "All clusters (40000); `--limit all.clusters`.";
        endpoints: Count = "endpoints" Works, "Endpoints of all clusters (200000); `--limit all.endpoints`.";
        checks: Count = "health-checks" Works, "Active health checks of all endpoints (5000); `--limit all.health-checks`.";
    }
}

/// An element of `tracing.customTags`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CustomTag {
    /// The tag.
    #[serde(rename = "tagName")]
    pub name: Option<String>,
    /// Its value.
    pub literal: Option<String>,
    /// The header that holds its value.
    #[serde(rename = "requestHeaderName")]
    pub header: Option<String>,
}

/// Every key, in the order of the table.
pub fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    Configuration::keys("", &mut keys);
    keys
}

impl Configuration {
    /// The keys that have a value, with what they do.
    pub fn given(&self) -> Vec<(String, Effect)> {
        let mut given = Vec::new();
        Section::given(self, "", &mut given);
        given
    }
}
