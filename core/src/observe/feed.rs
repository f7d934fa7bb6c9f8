//! What a controller tells of everything at once, second by second, and only what has changed.
//!
//! A feed is a sequence of [`Increment`]s. The first of a client is whole; those that follow say
//! what differs since the [`Cursor`] of the one before, so that a client which reconnects goes on
//! where it was, and one that is slow gets fewer and larger ones. A row is replaced as a whole.
//!
//! Counts are sums over the Envoys of one controller since the collection began: they never go
//! down within it, whatever Envoys come, go and restart. What happened in a time is the difference
//! of two.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::ObjectName;
use crate::shift::weights::{Place, Weights};

/// The version of the form of an [`Increment`].
pub const SCHEMA: u32 = 1;

/// A point in a feed: `collection-tick`. A collection begins when somebody begins to watch, and
/// ends some time after nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Which collection: when it began, in milliseconds since the Unix epoch.
    pub collection: u64,
    /// Which of its looks, from 1.
    pub tick: u64,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor has the form <collection>-<tick>")]
pub struct CursorError;

/// A port of a Service: `namespace/name:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePort {
    /// The Service.
    pub service: ObjectName,
    /// The port.
    pub port: u16,
}

/// A text that names no port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a port of a Service has the form <namespace>/<name>:<port>")]
pub struct ServicePortError;

/// What has changed since another increment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Increment {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where it is in the feed.
    pub at: Cursor,
    /// Whether it is everything: what is not in it is not there.
    pub whole: bool,
    /// When Envoys were asked, by the controller's clock, in milliseconds since the Unix epoch.
    pub unix_millis: u64,
    /// The version of the controller.
    pub controller: Arc<str>,
    /// How long it is until the next look, in milliseconds: longer than a second where a look
    /// would cost Envoys too much.
    pub interval_millis: u32,
    /// Whether this look asked about all endpoints: those that are not told are as they were.
    #[serde(default)]
    pub endpoints_fresh: bool,
    /// Rows that are new or differ.
    #[serde(default)]
    pub changed: Rows,
    /// Rows that are gone.
    #[serde(default)]
    pub gone: Gone,
}

/// Rows of all tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rows {
    /// Objects that route, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Names of destinations, by number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// Their traffic, by the same number. One that has none yet is absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<Traffic>,
    /// How long their answers took, by the same number. One that has none yet is absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<Latency>,
    /// Ports of Services that traffic goes to, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Their endpoints, by service and address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// The Envoys that are connected, by node id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envoys: Vec<Envoy>,
    /// Certificates that are served, by the name of the Secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
}

/// Rows that are gone, by what names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gone {
    /// Objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectName>,
    /// Destinations, with their traffic and latency. A number is not used again in a collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<u32>,
    /// Ports of Services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServicePort>,
    /// Endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<(ServicePort, Arc<str>)>,
    /// Envoys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envoys: Vec<Arc<str>>,
    /// Certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<ObjectName>,
}

/// An IngressRoute.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its name.
    pub name: ObjectName,
    /// The hosts that its routes are served at, sorted: its own, or those of whoever delegates to it.
    pub hosts: Vec<Arc<str>>,
    /// What became of it: `valid`, `invalid`, `orphaned`; unset if that is not known.
    pub state: Option<Arc<str>>,
    /// What is wrong with it, in words; what Envoys say against it is among that.
    pub errors: Vec<Arc<str>>,
    /// The weights of all its places, as the controller has them; those of unsound ones are absent.
    pub weights: Vec<Weights>,
}

/// A place of an object, and a service that it sends requests to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The number that it has in this collection.
    pub id: u32,
    /// The object.
    pub object: ObjectName,
    /// Where in the object.
    pub place: Place,
    /// The service.
    pub service: ServicePort,
}

/// What went to a destination since the collection began: `[id, [1xx, 2xx, 3xx, 4xx, 5xx], retries]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "(u32, [u64; 5], u64)", into = "(u32, [u64; 5], u64)")]
pub struct Traffic {
    /// Which destination.
    pub id: u32,
    /// Answers by the class of their status, from 1xx to 5xx, as clients saw them.
    pub classes: [u64; 5],
    /// Tries that were repeated.
    pub retries: u64,
}

/// How long answers took since the collection began: `[id, [[bound, count], …]]`. Envoys sum up
/// every 5 s, so these lag behind the counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Latency(
    /// Which destination.
    pub u32,
    /// The exclusive upper bound of a bucket in microseconds, rising, and how many are in it.
    pub Vec<(u64, u64)>,
);

/// What all Envoys together know of a port of a Service, whatever route leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Which.
    pub service: ServicePort,
    /// Endpoints, as the Envoy sees it that sees the most; unset if none knows of the service yet.
    pub members: Option<u32>,
    /// Those that traffic is sent to, as the Envoy sees it that sees the fewest.
    pub healthy: Option<u32>,
    /// Those that outlier detection took out, at the Envoy where they are the most.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ejected: u32,
    /// Requests under way now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub active: u64,
    /// Connections open now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connections: u64,
    /// Connections that did not come about since the collection began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connect_failures: u64,
    /// Requests and retries that a circuit breaker refused since the collection began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overflows: u64,
    /// Whether a circuit breaker is open now in some Envoy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub circuit_open: bool,
}

/// Why an endpoint gets no traffic, or less; as Envoy's `/clusters` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Reason {
    /// Envoy's own health check failed.
    #[serde(rename = "failed_active_hc")]
    FailedActiveHealthCheck,
    /// Outlier detection took it out.
    #[serde(rename = "failed_outlier_check")]
    FailedOutlierCheck,
    /// It has not been checked yet.
    #[serde(rename = "pending_active_hc")]
    PendingActiveHealthCheck,
    /// The health check got no answer in time.
    #[serde(rename = "active_hc_timeout")]
    ActiveHealthCheckTimeout,
    /// It said itself that it is not to be used.
    #[serde(rename = "excluded_via_immediate_hc_fail")]
    ExcludedByImmediateHealthCheckFail,
    /// Health checks found it degraded.
    #[serde(rename = "degraded_active_hc")]
    FailedActiveDegradedCheck,
    /// It is gone from its Service, and kept while its health check passes.
    #[serde(rename = "pending_dynamic_removal")]
    PendingDynamicRemoval,
    /// Kubernetes says that it is not ready.
    #[serde(rename = "eds_unhealthy")]
    EdsUnhealthy,
    /// Kubernetes says that it is terminating.
    #[serde(rename = "eds_draining")]
    EdsDraining,
    /// Kubernetes says that it is degraded.
    #[serde(rename = "eds_degraded")]
    EdsDegraded,
}

/// An endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Of which.
    pub service: ServicePort,
    /// Its address and port.
    pub address: Arc<str>,
    /// How many Envoys know it.
    pub envoys: u32,
    /// Why it gets no traffic, or less, and at how many of them; empty if it is healthy at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reasons: Vec<(Reason, u32)>,
    /// Its weight among the endpoints.
    pub weight: u32,
    /// Requests under way now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub active: u64,
    /// Connections open now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connections: u64,
    /// Requests since the collection began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: u64,
    /// Of these, those that failed: answered with 5xx, or not at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub errors: u64,
    /// Connections that did not come about since the collection began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connect_failures: u64,
    /// When Envoys were asked about it, in milliseconds since the Unix epoch: where there are very
    /// many services, those that are well are asked about in turn.
    pub seen_unix_millis: u64,
}

/// What an Envoy is doing: `server.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerState {
    /// It serves.
    Live,
    /// It serves no new connections for long.
    Draining,
    /// It waits for clusters.
    PreInitializing,
    /// It waits for listeners and certificates.
    Initializing,
}

/// What an Envoy has of one type of resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The type: `cds`, `eds`, `sds`, `lds`, `rds`, `srds`.
    pub kind: Arc<str>,
    /// Resources that it has acknowledged.
    pub held: u64,
    /// Sent, and not answered yet.
    pub outstanding: u64,
    /// To be sent.
    pub pending: u64,
    /// Refused by it.
    pub rejected: u64,
    /// Of all names and versions that it has; two Envoys with the same have the same.
    pub digest: Option<Arc<str>>,
    /// When it acknowledged something last, in milliseconds since the Unix epoch.
    pub acknowledged_unix_millis: Option<u64>,
}

/// A resource that an Envoy refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// Its type and name: `rds:…`.
    pub resource: Arc<str>,
    /// What Envoy says.
    pub message: Arc<str>,
    /// The objects that it was made of.
    pub owners: Vec<ObjectName>,
}

/// An Envoy that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envoy {
    /// Its node id: the name of its Pod, in a cluster.
    pub node: Arc<str>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Where it connects from.
    pub address: Option<Arc<str>>,
    /// Since when, in milliseconds since the Unix epoch.
    pub connected_unix_millis: u64,
    /// What it is doing; unset if it could not be asked.
    pub state: Option<ServerState>,
    /// How long it has run, in seconds.
    pub uptime_seconds: Option<u64>,
    /// Memory that it has allocated, in bytes.
    pub memory_bytes: Option<u64>,
    /// Connections of clients, now.
    pub connections: Option<u64>,
    /// Requests of clients since the collection began.
    pub requests: u64,
    /// What it has.
    pub types: Vec<Held>,
    /// What it refused.
    pub rejections: Vec<Rejection>,
    /// Why it could not be asked for its numbers.
    pub trouble: Option<Arc<str>>,
    /// When it answered last, in milliseconds since the Unix epoch.
    pub answered_unix_millis: Option<u64>,
    /// What the last look cost: how long it took to answer, in microseconds, and the bytes.
    pub cost: Option<(u64, u64)>,
}

/// A certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The Secret.
    pub secret: ObjectName,
    /// The hosts that it is for, as it says itself.
    pub names: Vec<Arc<str>>,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after_unix: i64,
    /// The hosts that it is served at.
    pub hosts: Vec<Arc<str>>,
}

/// Whether a value goes without saying: rows are sent every second.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.collection, self.tick)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (collection, tick) = text.split_once('-').ok_or(CursorError)?;
        let number = |text: &str| text.parse().map_err(|_no_number| CursorError);
        Ok(Self { collection: number(collection)?, tick: number(tick)? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl ServicePort {
    /// A port of a Service.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>, port: u16) -> Self {
        Self { service: ObjectName::new(namespace, name), port }
    }
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

impl FromStr for ServicePort {
    type Err = ServicePortError;

    fn from_str(text: &str) -> Result<Self, ServicePortError> {
        let (service, port) = text.rsplit_once(':').ok_or(ServicePortError)?;
        let (namespace, name) = service.split_once('/').ok_or(ServicePortError)?;
        let port = port.parse().map_err(|_no_number| ServicePortError)?;
        Ok(Self::new(namespace, name, port))
    }
}

impl Serialize for ServicePort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServicePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An address with a port, as endpoints are named: one of IPv6 stands in brackets.
pub fn socket_address(address: &str, port: impl fmt::Display) -> Arc<str> {
    if address.contains(':') {
        format!("[{address}]:{port}").into()
    } else {
        format!("{address}:{port}").into()
    }
}

impl Service {
    /// One that nobody has told anything of.
    pub fn unknown(service: ServicePort) -> Self {
        Self {
            service,
            members: None,
            healthy: None,
            ejected: 0,
            active: 0,
            connections: 0,
            connect_failures: 0,
            overflows: 0,
            circuit_open: false,
        }
    }
}

impl Endpoint {
    /// One that no Envoy has told of.
    pub fn unknown(service: ServicePort, address: Arc<str>) -> Self {
        Self {
            service,
            address,
            envoys: 0,
            reasons: Vec::new(),
            weight: 0,
            active: 0,
            connections: 0,
            requests: 0,
            errors: 0,
            connect_failures: 0,
            seen_unix_millis: 0,
        }
    }
}

impl From<(u32, [u64; 5], u64)> for Traffic {
    fn from((id, classes, retries): (u32, [u64; 5], u64)) -> Self {
        Self { id, classes, retries }
    }
}

impl From<Traffic> for (u32, [u64; 5], u64) {
    fn from(traffic: Traffic) -> Self {
        (traffic.id, traffic.classes, traffic.retries)
    }
}

impl Reason {
    /// Every reason, in the order in which they are declared.
    pub const ALL: [Self; 10] = [
        Self::FailedActiveHealthCheck,
        Self::FailedOutlierCheck,
        Self::PendingActiveHealthCheck,
        Self::ActiveHealthCheckTimeout,
        Self::ExcludedByImmediateHealthCheckFail,
        Self::FailedActiveDegradedCheck,
        Self::PendingDynamicRemoval,
        Self::EdsUnhealthy,
        Self::EdsDraining,
        Self::EdsDegraded,
    ];

    /// As it is shown, in Envoy's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FailedActiveHealthCheck => "failed_active_hc",
            Self::FailedOutlierCheck => "failed_outlier_check",
            Self::PendingActiveHealthCheck => "pending_active_hc",
            Self::ActiveHealthCheckTimeout => "active_hc_timeout",
            Self::ExcludedByImmediateHealthCheckFail => "excluded_via_immediate_hc_fail",
            Self::FailedActiveDegradedCheck => "degraded_active_hc",
            Self::PendingDynamicRemoval => "pending_dynamic_removal",
            Self::EdsUnhealthy => "eds_unhealthy",
            Self::EdsDraining => "eds_draining",
            Self::EdsDegraded => "eds_degraded",
        }
    }

    /// Whether an endpoint of which this is said still gets traffic.
    pub fn is_served(self) -> bool {
        matches!(
            self,
            Self::FailedActiveDegradedCheck | Self::EdsDegraded | Self::PendingDynamicRemoval
        )
    }
}
