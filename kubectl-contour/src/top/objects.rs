//! What objects of Kubernetes say of routes, shifts and endpoints, as rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contour_core::api::Timestamp;
use contour_core::name::ObjectName;
use contour_core::observe::feed::{
    Destination, Endpoint, Object, Reason, Rows, Service, ServicePort, socket_address,
};
use contour_core::shift::sent;
use contour_core::shift::state::{ANNOTATION, Phase, State};
use contour_core::top::{Event, Fault, Shift};
use serde_json::Value;

use crate::cluster::clock;
use crate::cluster::value::{items, text};
use crate::shift::show;

/// How long a shift is shown that is over, in seconds.
const OVER_FOR: i64 = 3_600;

/// The label of an EndpointSlice that names its Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// Who drives a shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// That cannot be told; as the shift itself says.
    Unknown,
    /// Nobody.
    Nobody,
    /// Somebody.
    Holder(String),
}

/// The name of an object.
pub fn name(object: &Value) -> ObjectName {
    ObjectName::new(text(object, "/metadata/namespace"), text(object, "/metadata/name"))
}

/// The shift that is kept at an object, if there is one that can be read.
pub fn state(object: &Value) -> Option<State> {
    let annotations = object.pointer("/metadata/annotations")?;
    State::read(annotations.get(ANNOTATION)?.as_str()?).ok()
}

/// A shift as it is shown; `None` if it has been over for long.
pub fn shift(object: ObjectName, state: &State, driver: Driver, now: Timestamp) -> Option<Shift> {
    let phase = &state.progress.phase;
    let since = state.progress.since.unix();
    let over = phase.is_over();
    if over && now.unix().saturating_sub(since) > OVER_FOR {
        return None;
    }
    let moving = !over && !matches!(phase, Phase::Paused { .. } | Phase::Holding(_));
    let left = moving && driver == Driver::Nobody;
    let fault = match phase {
        Phase::Holding(_) => Some(Fault::Failure),
        Phase::Paused { .. } | Phase::RollingBack(_) | Phase::RolledBack(_) => Some(Fault::Warning),
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::Draining
        | Phase::Completed { .. }
        | Phase::Aborted(_) => left.then_some(Fault::Warning),
    };
    let (from, to) =
        state.ends().map(|(from, to)| (from.to_string(), to.to_string())).unwrap_or_default();
    let driver = match driver {
        Driver::Holder(holder) => Some(holder),
        Driver::Unknown if moving => Some(state.progress.holder.to_string()),
        Driver::Unknown | Driver::Nobody => None,
    };
    let why = show::why(phase).or_else(|| left.then(|| "nobody drives it".to_owned()));
    Some(Shift {
        object,
        from: from.into(),
        to: to.into(),
        share: show::share(state).into(),
        phase: phase.name().into(),
        why: why.map(Into::into),
        since_unix: since,
        driver: driver.map(Into::into),
        fault,
        over,
    })
}

/// An Event, as it is shown.
pub fn event(event: &Value) -> Option<Event> {
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    let at = times.into_iter().find_map(|pointer| clock::parse(text(event, pointer)))?;
    let of = |field: &str| text(event, &format!("/involvedObject/{field}"));
    let count = event.pointer("/series/count").or_else(|| event.get("count"));
    Some(Event {
        unix_millis: u64::try_from(at).ok()?.saturating_mul(1_000),
        fault: (text(event, "/type") == "Warning").then_some(Fault::Warning),
        reason: text(event, "/reason").into(),
        object: format!("{} {}/{}", of("kind"), of("namespace"), of("name")).into(),
        text: text(event, "/message").into(),
        count: count.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
    })
}

/// The Pods behind the addresses of EndpointSlices: address, Pod, machine.
pub fn pods(slices: &[Value]) -> Vec<(Arc<str>, Arc<str>, Arc<str>)> {
    let endpoints = slices.iter().flat_map(|slice| items(slice, "/endpoints"));
    let pods = endpoints.filter(|e| text(e, "/targetRef/kind") == "Pod").flat_map(|endpoint| {
        let (pod, node) = (text(endpoint, "/targetRef/name"), text(endpoint, "/nodeName"));
        let addresses = items(endpoint, "/addresses").iter().filter_map(Value::as_str);
        addresses.map(move |address| (address.into(), pod.into(), node.into()))
    });
    let unique: BTreeSet<_> = pods.collect();
    unique.into_iter().collect()
}

/// The Services that routes lead to.
pub fn services(routes: &[Value]) -> BTreeSet<ServicePort> {
    rows_of_routes(routes).destinations.into_iter().map(|d| d.service).collect()
}

/// What can be shown without a controller: routes with their status, and endpoints by what readiness
/// probes say.
pub fn rows(routes: &[Value], services: &[Value], slices: &[Value]) -> Rows {
    let mut rows = rows_of_routes(routes);
    let wanted: BTreeSet<_> = rows.destinations.iter().map(|d| d.service.clone()).collect();
    let ports: BTreeMap<_, _> = services.iter().flat_map(port_names).collect();
    let mut by_service: BTreeMap<ObjectName, Vec<&Value>> = BTreeMap::new();
    for slice in slices {
        let labels = slice.pointer("/metadata/labels");
        let service = labels.and_then(|labels| labels.get(SERVICE)).and_then(Value::as_str);
        if let Some(service) = service {
            let service = ObjectName::new(text(slice, "/metadata/namespace"), service);
            by_service.entry(service).or_default().push(slice);
        }
    }
    for service in wanted {
        // A Service that is not there has no endpoints, as Envoy would have it.
        let port = ports.get(&service).cloned();
        let slices = by_service.get(&service.service).map_or(&[][..], Vec::as_slice);
        let endpoints: Vec<_> = match &port {
            Some(port) => {
                slices.iter().flat_map(|slice| endpoints(slice, &service, port)).collect()
            }
            None => Vec::new(),
        };
        let count = |endpoints: usize| Some(u32::try_from(endpoints).unwrap_or(u32::MAX));
        rows.services.push(Service {
            members: count(endpoints.len()),
            healthy: count(endpoints.iter().filter(|e| e.reasons.is_empty()).count()),
            ..Service::unknown(service)
        });
        rows.endpoints.extend(endpoints);
    }
    rows
}

fn rows_of_routes(routes: &[Value]) -> Rows {
    let mut rows = Rows::default();
    for value in routes {
        let Some((live, _route)) = sent::read(value) else { continue };
        let name = name(value);
        for weights in &live.weights {
            for written in weights.services() {
                let Ok(port) = u16::try_from(written.0.port) else { continue };
                let service = Arc::clone(&written.0.name);
                rows.destinations.push(Destination {
                    id: u32::try_from(rows.destinations.len()).unwrap_or(u32::MAX),
                    object: name.clone(),
                    place: weights.place().clone(),
                    service: ServicePort::new(Arc::clone(&name.namespace), service, port),
                });
            }
        }
        let state = text(value, "/status/currentStatus");
        let said = text(value, "/status/description");
        let wrong = !matches!(state, "" | "valid") && !said.is_empty();
        let host = text(value, "/spec/virtualhost/fqdn");
        rows.objects.push(Object {
            name,
            hosts: Some(host).filter(|host| !host.is_empty()).map(Into::into).into_iter().collect(),
            state: Some(state).filter(|state| !state.is_empty()).map(Into::into),
            errors: wrong.then(|| said.into()).into_iter().collect(),
            weights: live.weights,
        });
    }
    rows
}

/// The ports of a Service, and the names by which EndpointSlices know them.
fn port_names(service: &Value) -> impl Iterator<Item = (ServicePort, String)> {
    let name = name(service);
    items(service, "/spec/ports").iter().filter_map(move |port| {
        let number = u16::try_from(port.get("port")?.as_u64()?).ok()?;
        let of = ServicePort { service: name.clone(), port: number };
        Some((of, text(port, "/name").to_owned()))
    })
}

fn endpoints(slice: &Value, service: &ServicePort, port: &str) -> Vec<Endpoint> {
    let named = |p: &&Value| text(p, "/name") == port;
    let number = items(slice, "/ports").iter().find(named).and_then(|p| p.get("port")?.as_u64());
    let Some(number) = number else { return Vec::new() };
    let endpoints = items(slice, "/endpoints").iter().flat_map(|endpoint| {
        let is = |condition: &str| {
            let pointer = format!("/conditions/{condition}");
            endpoint.pointer(&pointer).and_then(Value::as_bool)
        };
        // Not said means ready (EndpointConditions).
        let reason = match (is("terminating"), is("ready")) {
            (Some(true), _) => Some(Reason::EdsDraining),
            (_, Some(false)) => Some(Reason::EdsUnhealthy),
            (_, _) => None,
        };
        let addresses = items(endpoint, "/addresses").iter().filter_map(Value::as_str);
        addresses.map(move |address| Endpoint {
            reasons: reason.map(|reason| (reason, 0)).into_iter().collect(),
            weight: 1,
            seen_unix_millis: clock::now_millis(),
            ..Endpoint::unknown(service.clone(), socket_address(address, number))
        })
    });
    endpoints.collect()
}

#[cfg(test)]
mod tests;
