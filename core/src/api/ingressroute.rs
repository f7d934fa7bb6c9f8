//! `IngressRoute`, `contour.heptio.com/v1beta1`, as Contour 0.6 to 1.5 served it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;
use super::crd::{DURATION, FQDN, LABEL, NAMESPACE, PATH, REWRITE, SECRET, STRATEGIES, SUBDOMAIN};

/// Routes of a virtual host, or a part of them that another IngressRoute delegates to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct IngressRoute {
    /// Metadata.
    pub metadata: Metadata,
    /// The routes.
    pub spec: IngressRouteSpec,
}

/// The spec of an IngressRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.tcpproxy) || (has(self.routes) && size(self.routes) > 0)",
        "message": "add routes or a tcpproxy"
    },
    {
        "rule": "!(has(self.virtualhost) && has(self.tcpproxy)) || has(self.virtualhost.tls)",
        "message": "a tcpproxy needs virtualhost.tls, since hosts are told apart by SNI"
    },
    {
        "rule": "!(has(self.virtualhost) && has(self.virtualhost.tls) && has(self.virtualhost.tls.passthrough) && self.virtualhost.tls.passthrough) || has(self.tcpproxy)",
        "message": "TLS passthrough needs a tcpproxy: the requests inside cannot be routed"
    }
]))]
pub struct IngressRouteSpec {
    /// The virtual host. Present in a root; absent in an IngressRoute that is delegated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtualhost: Option<VirtualHost>,
    /// The routes, each with its own match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["match"]))]
    pub routes: Vec<Route>,
    /// Forwards the bytes of TLS connections instead of routing requests. Needs
    /// `virtualhost.tls` in the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcpproxy: Option<TcpProxy>,
}

/// The host that a root IngressRoute claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["fqdn"]))]
pub struct VirtualHost {
    /// The fully qualified host name, without wildcards.
    #[serde(default)]
    #[schemars(length(min = 1, max = 254), regex(pattern = FQDN))]
    pub fqdn: Arc<str>,
    /// TLS for the host. Unset: plain HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// TLS settings of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.passthrough) && self.passthrough) != has(self.secretName)",
        "message": "set either secretName or passthrough: true"
    }
]))]
pub struct Tls {
    /// The TLS Secret, `name` or `namespace/name`; another namespace must delegate it by a
    /// TLSCertificateDelegation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317), regex(pattern = SECRET))]
    pub secret_name: Option<Arc<str>>,
    /// The lowest TLS version accepted: `1.2` (default) or `1.3`. `1.1` is accepted for the sake
    /// of old manifests and means 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["1.1", "1.2", "1.3"]))]
    pub minimum_protocol_version: Option<Arc<str>>,
    /// Forward the encrypted bytes to the tcpproxy's services, which terminate TLS themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passthrough: bool,
}

/// A route: a path prefix and what answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.services) && size(self.services) > 0) != has(self.delegate)",
        "message": "a route has either services or a delegate"
    }
]))]
pub struct Route {
    /// The path prefix. `/foo` matches `/foo` and `/foo/bar`, and `/foobar` as well; see
    /// docs/compatibility.md.
    #[serde(rename = "match")]
    #[schemars(length(max = 1024), regex(pattern = PATH))]
    pub prefix: Arc<str>,
    /// The services that answer, by weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "port"]))]
    pub services: Vec<IngressRouteService>,
    /// Another IngressRoute that has the routes below this prefix. Excludes `services`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Delegate>,
    /// Lets clients upgrade to WebSocket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enable_websockets: bool,
    /// Serves the route over plain HTTP too, where the host has TLS, instead of redirecting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permit_insecure: bool,
    /// Replaces the matched prefix before the request goes upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = REWRITE))]
    pub prefix_rewrite: Option<Arc<str>>,
    /// Time limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_policy: Option<TimeoutPolicy>,
    /// Retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
}

/// Time limits of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct TimeoutPolicy {
    /// The time in which the upstream must have answered whole, as a duration such as `30s`, or
    /// `infinity`. Unset: 15 s, Envoy's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = DURATION))]
    pub request: Option<Arc<str>>,
}

/// Retries of a route, on 5xx answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// How often to try again; at least once.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub count: i64,
    /// The time limit of each try, as a duration. Unset: the route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = DURATION))]
    pub per_try_timeout: Option<Arc<str>>,
}

/// A Service, with a share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressRouteService {
    /// Name of a Service in the namespace of this IngressRoute.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: Arc<str>,
    /// A port that the Service lists.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i64,
    /// The share of traffic, relative to the sum of all weights of the route. All unset or 0:
    /// equal shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<i64>,
    /// Active health checks by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Load balancing: `RoundRobin` (default), `WeightedLeastRequest`, `Random` or `Cookie`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = STRATEGIES))]
    pub strategy: Option<Arc<str>>,
    /// How to verify the upstream's certificate, where it speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<UpstreamValidation>,
}

/// Active health checks by HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The path to request; 200 is healthy.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: Arc<str>,
    /// The Host header to send. Unset: `contour-envoy-healthcheck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = "^[-._:a-zA-Z0-9]*$"))]
    pub host: Option<Arc<str>>,
    /// Seconds between checks. Unset or 0: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub interval_seconds: Option<i64>,
    /// Seconds to wait for an answer. Unset or 0: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 60))]
    pub timeout_seconds: Option<i64>,
    /// Failed checks in a row that take an endpoint out. Unset or 0: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub unhealthy_threshold_count: Option<i64>,
    /// Passed checks in a row that take an endpoint back. Unset or 0: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub healthy_threshold_count: Option<i64>,
}

/// How to verify an upstream's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamValidation {
    /// The Secret with the CA bundle under `ca.crt`; `name` or, where delegated,
    /// `namespace/name`.
    #[schemars(length(min = 1, max = 317), regex(pattern = SECRET))]
    pub ca_secret: Arc<str>,
    /// The DNS name that the certificate must have as a subject alternative name.
    #[schemars(length(min = 1, max = 254), regex(pattern = FQDN))]
    pub subject_name: Arc<str>,
}

/// Names another IngressRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Delegate {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: Arc<str>,
    /// Its namespace. Unset: that of this IngressRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<Arc<str>>,
}

/// Forwards bytes to services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.services) && size(self.services) > 0) != has(self.delegate)",
        "message": "a tcpproxy has either services or a delegate"
    }
]))]
pub struct TcpProxy {
    /// The services that answer, by weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "port"]))]
    pub services: Vec<IngressRouteService>,
    /// Another IngressRoute whose tcpproxy is used. Excludes `services`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Delegate>,
}
