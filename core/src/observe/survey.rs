//! What to ask an Envoy about everything, and what its answers say.
//!
//! Counts and gauges are asked for as text and used ones alone, which costs Envoy the least;
//! histograms, which are the most of it, only as often as Envoy sums them up; endpoints, by the
//! names of their clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::counted::{self, UnreadableError, filtered, literally};
use super::feed::{Reason, ServerState, ServicePort, socket_address};
use crate::xds::stats;

/// Counts of routes and of services, and what the server says of itself.
const NUMBERS: &str = "^(vhost\\.[^.]+\\.route\\.[^.]+\\.upstream_rq_([1-5]xx|retry)\
|cluster\\.[^._]+_[^._]+_[0-9]+\\.(membership_(total|healthy)\
|upstream_(rq_active|cx_active|cx_connect_fail|rq_pending_overflow|rq_retry_overflow)\
|circuit_breakers\\.default\\.(cx|rq|rq_pending|cx_pool)_open\
|outlier_detection\\.ejections_active)\
|server\\.(state|uptime|memory_allocated)\
|http\\.ingress_https?\\.downstream_(cx_active|rq_total))$";

/// How long the answers of routes took.
const LATENCIES: &str = "^vhost\\.[^.]+\\.route\\.[^.]+\\.upstream_rq_time$";

/// What to ask for counts and gauges: a path with a query.
pub fn numbers_query() -> String {
    filtered("/stats?format=text&usedonly", NUMBERS)
}

/// What to ask for how long answers took.
pub fn latencies_query() -> String {
    filtered("/stats?format=json&usedonly&type=Histograms&histogram_buckets=detailed", LATENCIES)
}

/// What to ask for the endpoints of some services. An Envoy older than 1.40 tells all.
pub fn endpoints_query<'a>(services: impl Iterator<Item = &'a ServicePort>) -> String {
    let names: Vec<_> = services
        .map(|s| literally(&format!("{}/{}/{}/", s.service.namespace, s.service.name, s.port)))
        .collect();
    filtered("/clusters?format=json", &format!("^({})[0-9a-f]+$", names.join("|")))
}

/// Counts and gauges of one Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers<'a> {
    /// By the name of a route as far as it leads to a service: answers by class, and retries.
    pub routes: BTreeMap<&'a str, [u64; 6]>,
    /// By service.
    pub services: BTreeMap<ServicePort, Load>,
    /// What the server is doing.
    pub state: Option<ServerState>,
    /// How long it has run, in seconds.
    pub uptime_seconds: Option<u64>,
    /// Memory that it has allocated, in bytes.
    pub memory_bytes: Option<u64>,
    /// Connections of clients.
    pub connections: u64,
    /// Requests of clients since it started.
    pub requests: u64,
}

/// What an Envoy knows of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Endpoints, and those that get traffic. Of several clusters of a service, those of the one
    /// with the fewest that do.
    pub members: Option<(u32, u32)>,
    /// Endpoints that outlier detection took out.
    pub ejected: u32,
    /// Requests under way.
    pub active: u64,
    /// Connections open.
    pub connections: u64,
    /// Connections that failed, and requests that a circuit breaker refused, since it started.
    pub counts: [u64; 2],
    /// Whether a circuit breaker is open.
    pub circuit_open: bool,
}

impl<'a> Numbers<'a> {
    /// Reads an answer to [`numbers_query`]. What is of another form is left out.
    pub fn read(answer: &'a str) -> Self {
        let mut numbers = Self::default();
        let mut memberships: BTreeMap<ServicePort, (u32, u32)> = BTreeMap::new();
        for line in answer.lines() {
            let Some((name, value)) = line.rsplit_once(": ") else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            if let Some((route, what)) = counted::of_route(name) {
                numbers.route(route, what, value);
            } else if let Some((cluster, what)) =
                name.strip_prefix("cluster.").and_then(|rest| rest.split_once('.'))
            {
                let Some((service, port)) = stats::service_of(cluster) else { continue };
                let service = ServicePort { service, port };
                let small = u32::try_from(value).unwrap_or(u32::MAX);
                match what {
                    "membership_total" => memberships.entry(service).or_default().0 = small,
                    "membership_healthy" => memberships.entry(service).or_default().1 = small,
                    what => numbers.services.entry(service).or_default().take(what, value),
                }
            } else {
                numbers.server(name, value);
            }
        }
        for (service, members) in memberships {
            numbers.services.entry(service).or_default().members = Some(members);
        }
        numbers
    }

    fn route(&mut self, route: &'a str, what: &str, value: u64) {
        let index = match what {
            "1xx" => 0,
            "2xx" => 1,
            "3xx" => 2,
            "4xx" => 3,
            "5xx" => 4,
            "retry" => 5,
            _ => return,
        };
        // A route may be served at several hosts.
        if let Some(count) = self.routes.entry(route).or_default().get_mut(index) {
            *count = count.saturating_add(value);
        }
    }

    fn server(&mut self, name: &str, value: u64) {
        match name {
            "server.state" => {
                self.state = match value {
                    0 => Some(ServerState::Live),
                    1 => Some(ServerState::Draining),
                    2 => Some(ServerState::PreInitializing),
                    3 => Some(ServerState::Initializing),
                    _ => None,
                };
            }
            "server.uptime" => self.uptime_seconds = Some(value),
            "server.memory_allocated" => self.memory_bytes = Some(value),
            name if name.ends_with(".downstream_cx_active") => {
                self.connections = self.connections.saturating_add(value);
            }
            name if name.ends_with(".downstream_rq_total") => {
                self.requests = self.requests.saturating_add(value);
            }
            _ => {}
        }
    }
}

impl Load {
    fn take(&mut self, what: &str, value: u64) {
        let [failures, overflows] = &mut self.counts;
        match what {
            "upstream_rq_active" => self.active = value,
            "upstream_cx_active" => self.connections = value,
            "upstream_cx_connect_fail" => *failures = value,
            "upstream_rq_pending_overflow" | "upstream_rq_retry_overflow" => {
                *overflows = overflows.saturating_add(value);
            }
            "outlier_detection.ejections_active" => {
                self.ejected = u32::try_from(value).unwrap_or(u32::MAX);
            }
            what if what.starts_with("circuit_breakers.") => self.circuit_open |= value > 0,
            _ => {}
        }
    }
}

/// Reads an answer to [`latencies_query`]: by the name of a route as far as it leads to a service,
/// the bounds in microseconds and counts of its buckets since Envoy started.
///
/// # Errors
/// The answer is of another form.
pub fn latencies(answer: &str) -> Result<BTreeMap<String, Buckets>, UnreadableError> {
    let mut routes: BTreeMap<String, Buckets> = BTreeMap::new();
    for (name, buckets) in counted::histograms(answer)? {
        let Some((route, "time")) = counted::of_route(&name) else { continue };
        let sums = routes.entry(route.to_owned()).or_default();
        for (bound, count) in buckets {
            let sum = sums.entry(bound).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    Ok(routes)
}

/// Counts by the exclusive upper bounds of buckets, in microseconds.
pub type Buckets = BTreeMap<u64, u64>;

/// Endpoints by service and address.
pub type Endpoints = BTreeMap<(ServicePort, Arc<str>), Seen>;

/// An endpoint, as one Envoy sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Why it gets no traffic, or less.
    pub reasons: Vec<Reason>,
    /// Its weight.
    pub weight: u32,
    /// Requests under way.
    pub active: u64,
    /// Connections open.
    pub connections: u64,
    /// Requests, those that failed, and connections that failed, since Envoy has it.
    pub counts: [u64; 3],
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    observability_name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    address: Address,
    #[serde(default)]
    stats: Vec<Stat>,
    #[serde(default)]
    health_status: Health,
    #[serde(default)]
    weight: u32,
}

#[derive(Deserialize)]
struct Address {
    socket_address: Option<Socket>,
}

#[derive(Deserialize)]
struct Socket {
    address: String,
    #[serde(default)]
    port_value: u32,
}

#[derive(Deserialize)]
struct Stat {
    name: String,
    /// A number as a text; absent if it is 0.
    value: Option<String>,
}

/// `envoy.admin.v3.HostHealthStatus`.
#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "it is Envoy's form")]
struct Health {
    failed_active_health_check: bool,
    failed_outlier_check: bool,
    failed_active_degraded_check: bool,
    pending_dynamic_removal: bool,
    pending_active_hc: bool,
    excluded_via_immediate_hc_fail: bool,
    active_hc_timeout: bool,
    eds_health_status: String,
}

impl Health {
    fn reasons(&self) -> Vec<Reason> {
        let eds = match self.eds_health_status.as_str() {
            "UNHEALTHY" | "TIMEOUT" => Some(Reason::EdsUnhealthy),
            "DRAINING" => Some(Reason::EdsDraining),
            "DEGRADED" => Some(Reason::EdsDegraded),
            _ => None,
        };
        [
            (self.failed_active_health_check, Reason::FailedActiveHealthCheck),
            (self.failed_outlier_check, Reason::FailedOutlierCheck),
            (self.pending_active_hc, Reason::PendingActiveHealthCheck),
            (self.active_hc_timeout, Reason::ActiveHealthCheckTimeout),
            (self.excluded_via_immediate_hc_fail, Reason::ExcludedByImmediateHealthCheckFail),
            (self.failed_active_degraded_check, Reason::FailedActiveDegradedCheck),
            (self.pending_dynamic_removal, Reason::PendingDynamicRemoval),
        ]
        .into_iter()
        .filter_map(|(holds, reason)| holds.then_some(reason))
        .chain(eds)
        .collect()
    }
}

impl Host {
    fn seen(&self) -> Seen {
        let value = |name: &str| {
            let stat = self.stats.iter().find(|stat| stat.name == name);
            stat.and_then(|stat| stat.value.as_ref()?.parse().ok()).unwrap_or(0)
        };
        Seen {
            reasons: self.health_status.reasons(),
            weight: self.weight,
            active: value("rq_active"),
            connections: value("cx_active"),
            counts: [value("rq_total"), value("rq_error"), value("cx_connect_fail")],
        }
    }
}

impl Seen {
    /// Adds what another cluster of the same Envoy knows of the same endpoint: it is as bad as
    /// the worse of both.
    fn merge(&mut self, other: Self) {
        self.reasons.extend(other.reasons);
        self.reasons.sort_unstable();
        self.reasons.dedup();
        self.weight = self.weight.max(other.weight);
        self.active = self.active.saturating_add(other.active);
        self.connections = self.connections.saturating_add(other.connections);
        for (ours, theirs) in self.counts.iter_mut().zip(other.counts) {
            *ours = ours.saturating_add(theirs);
        }
    }
}

/// Reads an answer to [`endpoints_query`]: by service and address.
///
/// # Errors
/// The answer is of another form.
pub fn endpoints(answer: &str) -> Result<Endpoints, UnreadableError> {
    let answer: Clusters = serde_json::from_str(answer)?;
    let mut endpoints = Endpoints::new();
    for cluster in answer.cluster_statuses {
        let Some((service, port)) = stats::service_of(&cluster.observability_name) else {
            continue;
        };
        let service = ServicePort { service, port };
        for host in cluster.host_statuses {
            let Some(socket) = &host.address.socket_address else { continue };
            let address = socket_address(&socket.address, socket.port_value);
            let seen = host.seen();
            endpoints.entry((service.clone(), address)).or_default().merge(seen);
        }
    }
    Ok(endpoints)
}
