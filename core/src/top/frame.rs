//! A frame: all there is to be seen at one time. Its JSON form is that of `-o json`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::ObjectName;
use crate::observe::feed::{Held, Reason, Rejection, ServerState, ServicePort};

/// The version of the form of a [`Frame`].
pub const SCHEMA: u32 = 1;

/// All there is to be seen at one time. What is not known is unset, never 0.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When, in milliseconds since the Unix epoch.
    pub unix_millis: u64,
    /// How far back rates and percentiles go at most, in milliseconds.
    pub window_millis: u64,
    /// Who was heard.
    pub coverage: Coverage,
    /// What somebody should look at, the worst first.
    pub warnings: Vec<Warning>,
    /// Routes, by object and match.
    pub routes: Vec<Route>,
    /// Ports of Services that routes lead to, by name.
    pub upstreams: Vec<Upstream>,
    /// Their endpoints, by service and address.
    pub endpoints: Vec<Endpoint>,
    /// Envoys, by node id.
    pub envoys: Vec<Envoy>,
    /// Certificates, by the name of the Secret.
    pub certificates: Vec<Certificate>,
    /// Shifts that are under way, or ended not long ago.
    pub shifts: Vec<Shift>,
    /// What happened, the newest first.
    pub events: Vec<Event>,
}

/// Who was heard, and what is missing for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// The controllers that are asked.
    pub sources: Vec<Source>,
    /// Envoys that are connected to those that were heard.
    pub envoys: u32,
    /// Those of them that answered for their numbers.
    pub answered: u32,
    /// What cannot be shown, and why, in words.
    pub limits: Vec<Arc<str>>,
    /// How long ago the oldest of what is shown was said, in milliseconds, if that is too long;
    /// unset while everything is fresh.
    pub stale_millis: Option<u64>,
}

/// A controller that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its Pod, or its address.
    pub name: Arc<str>,
    /// How it is with it.
    pub state: SourceState,
    /// When it was last heard, in milliseconds since the Unix epoch, by this machine's clock.
    pub heard_unix_millis: Option<u64>,
    /// How often it looks, in milliseconds.
    pub interval_millis: Option<u32>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Why it is not heard.
    pub why: Option<Arc<str>>,
}

/// How it is with a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceState {
    /// It has not told anything yet.
    Waiting,
    /// It tells.
    Fresh,
    /// It has told, and does not any more.
    Lost,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Somebody should look at it.
    Warning,
    /// It does not work.
    Failure,
}

/// What somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// A stable name, documented in docs/top.md: `no-healthy-endpoint`.
    pub code: Arc<str>,
    /// How bad it is.
    pub fault: Fault,
    /// In words: `2 routes have no healthy endpoint`.
    pub text: Arc<str>,
    /// The view that its rows are in; unset if it is about none.
    pub view: Option<Arc<str>>,
    /// The keys of the rows that it is about ([`super::Item::key`]), at most ten.
    pub keys: Vec<Arc<str>>,
}

/// What traffic something had in the window.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Requests a second; unset until there were two looks.
    pub requests_per_second: Option<f64>,
    /// The shares of answers from 1xx to 5xx, in percent; unset if there were none.
    pub classes: Option<[f64; 5]>,
    /// Tries a second that were repeated.
    pub retries_per_second: Option<f64>,
    /// The time that half of the requests took at most, in milliseconds: the upper bound of a
    /// bucket of Envoy's. Unset if nothing was measured.
    pub p50: Option<f64>,
    /// The same of 95 of 100.
    pub p95: Option<f64>,
    /// The same of 99 of 100.
    pub p99: Option<f64>,
    /// Requests a second of the last minute, a value for each second, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trend: Vec<f32>,
}

/// A route of an object.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The object.
    pub object: ObjectName,
    /// Its match, or `tcpproxy`.
    #[serde(rename = "match")]
    pub matches: Arc<str>,
    /// The hosts that it is served at.
    pub hosts: Vec<Arc<str>>,
    /// What became of the object: `valid`, `invalid`, `orphaned`; unset if that is not known.
    pub state: Option<Arc<str>>,
    /// What is wrong with the object, in words.
    pub errors: Vec<Arc<str>>,
    /// All its traffic.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Requests under way at its services, of whatever route.
    pub active: Option<u64>,
    /// Requests a second that circuit breakers of its services refused, of whatever route.
    pub overflows_per_second: Option<f64>,
    /// Where it leads to.
    pub destinations: Vec<Destination>,
}

/// A service that a route leads to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Which.
    pub service: ServicePort,
    /// Its weight as written; unset if it has none.
    pub weight: Option<u32>,
    /// The share of requests that it is to get, in percent.
    pub share: Option<f64>,
    /// The traffic of this route to it.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Its endpoints, and those that get traffic.
    pub members: Option<u32>,
    /// See `members`.
    pub healthy: Option<u32>,
    /// Those that outlier detection took out.
    pub ejected: u32,
}

/// A port of a Service that routes lead to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Which.
    pub service: ServicePort,
    /// Routes that lead to it.
    pub routes: u32,
    /// Endpoints; unset if no Envoy knows of it.
    pub members: Option<u32>,
    /// Those that get traffic, as the Envoy sees it that sees the fewest.
    pub healthy: Option<u32>,
    /// Those that outlier detection took out.
    pub ejected: u32,
    /// The traffic of all its routes.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Requests under way.
    pub active: Option<u64>,
    /// Connections open.
    pub connections: Option<u64>,
    /// Connections a second that did not come about.
    pub connect_failures_per_second: Option<f64>,
    /// Requests and retries a second that a circuit breaker refused.
    pub overflows_per_second: Option<f64>,
    /// Whether a circuit breaker is open.
    pub circuit_open: bool,
}

/// An endpoint of a service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Of which.
    pub service: ServicePort,
    /// Its address and port.
    pub address: Arc<str>,
    /// The Pod behind it, and its machine, as far as Kubernetes tells.
    pub pod: Option<Arc<str>>,
    /// See `pod`.
    pub node: Option<Arc<str>>,
    /// Envoys that know it.
    pub envoys: u32,
    /// Why it gets no traffic, or less, and at how many Envoys.
    pub reasons: Vec<(Reason, u32)>,
    /// Its weight among the endpoints.
    pub weight: Option<u32>,
    /// Requests under way.
    pub active: Option<u64>,
    /// Connections open.
    pub connections: Option<u64>,
    /// Requests a second.
    pub requests_per_second: Option<f64>,
    /// The share of them that failed, in percent; unset if there were none.
    pub errors_percent: Option<f64>,
    /// Connections a second that did not come about.
    pub connect_failures_per_second: Option<f64>,
    /// How old this is, in milliseconds, if older than the frame.
    pub age_millis: u64,
}

/// An Envoy.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envoy {
    /// Its node id: the name of its Pod, in a cluster.
    pub node: Arc<str>,
    /// The controller that it is connected to.
    pub source: Arc<str>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Where it connects from.
    pub address: Option<Arc<str>>,
    /// Since when it is connected, in milliseconds since the Unix epoch.
    pub connected_unix_millis: u64,
    /// What it is doing.
    pub state: Option<ServerState>,
    /// How long it has run, in seconds.
    pub uptime_seconds: Option<u64>,
    /// Memory that it has allocated, in bytes.
    pub memory_bytes: Option<u64>,
    /// Connections of clients.
    pub connections: Option<u64>,
    /// Requests of clients a second.
    pub requests_per_second: Option<f64>,
    /// Resources that it has.
    pub held: u64,
    /// Resources that it was sent, or is to be sent, and has not acknowledged.
    pub behind: u64,
    /// When it acknowledged something last, in milliseconds since the Unix epoch.
    pub acknowledged_unix_millis: Option<u64>,
    /// The types of resources of which most other Envoys have something else.
    pub drift: Vec<Arc<str>>,
    /// What it has, by type.
    pub types: Vec<Held>,
    /// What it refused.
    pub rejections: Vec<Rejection>,
    /// Why it could not be asked for its numbers.
    pub trouble: Option<Arc<str>>,
    /// What asking it costs: microseconds until it answers, and bytes.
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
    /// The hosts that it is served at.
    pub hosts: Vec<Arc<str>>,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after_unix: i64,
    /// How long until then, in seconds; less than 0 once it is over.
    pub left_seconds: i64,
}

/// A shift of traffic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// The object.
    pub object: ObjectName,
    /// From which service, such as `blue:80`.
    pub from: Arc<str>,
    /// To which.
    pub to: Arc<str>,
    /// The share that the new one has: `25%`.
    pub share: Arc<str>,
    /// In which phase it is: `baking`.
    pub phase: Arc<str>,
    /// Why, where there is a reason.
    pub why: Option<Arc<str>>,
    /// Since when, in seconds since the Unix epoch.
    pub since_unix: i64,
    /// Who drives it; unset if nobody does.
    pub driver: Option<Arc<str>>,
    /// How bad it is, if it is.
    pub fault: Option<Fault>,
    /// Whether it is over.
    pub over: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, in milliseconds since the Unix epoch.
    pub unix_millis: u64,
    /// How bad it is, if it is.
    pub fault: Option<Fault>,
    /// In a word: `Ejected`, `WeightsChanged`, `EnvoyConnected`.
    pub reason: Arc<str>,
    /// What it happened to: `IngressRoute demo/shop`, `Envoy envoy-x7`.
    pub object: Arc<str>,
    /// In words.
    pub text: Arc<str>,
    /// How often, if Kubernetes has counted.
    pub count: u32,
}
