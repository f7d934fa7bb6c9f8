//! The endpoints of a port of a Service.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::ir::{Endpoints, EndpointsName};
use crate::lower::Ready;
use crate::name::{FieldPath, Kind, ObjectName};
use crate::store::Reader;

/// Endpoints with what there is to say of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoints {
    /// The endpoints, possibly none.
    pub endpoints: Endpoints,
    /// Told on the Service.
    pub findings: Findings,
}

/// Gathers the endpoints of a Service's port over its EndpointSlices. If none is ready, those
/// that are going away but still serve are used (KEP-1669).
pub fn endpoints(reader: &Reader<'_>, name: &EndpointsName) -> ResolvedEndpoints {
    let mut ready = BTreeSet::new();
    let mut serving = BTreeSet::new();
    for slice in reader.slices(&name.service) {
        for (_, port) in slice.ports.iter().filter(|(port, _)| *port == name.port) {
            for (address, state) in &slice.addresses {
                match state {
                    Ready::Ready => ready.insert((*address, *port)),
                    Ready::Serving => serving.insert((*address, *port)),
                };
            }
        }
    }
    let chosen = if ready.is_empty() { serving } else { ready };
    let mut found = None;
    if chosen.is_empty() {
        let port =
            if name.port.is_empty() { String::new() } else { format!(" for port {}", name.port) };
        let message = format!("Service {} has no ready endpoint{port}", name.service);
        let object = name.service.of(Kind::Service);
        found = Some(Diagnostic::new(Code::NoEndpoints, &object, FieldPath::root(), message));
    }
    ResolvedEndpoints {
        endpoints: Endpoints { name: name.clone(), addresses: chosen.into_iter().collect() },
        findings: found.into_iter().collect(),
    }
}

/// How many endpoints of a Service's port are ready; none if there is no such Service or port.
pub fn ready(reader: &Reader<'_>, service: &ObjectName, port: i64) -> usize {
    let found = reader
        .service(service)
        .and_then(|found| found.ports.iter().find(|p| p.is_tcp && i64::from(p.port) == port));
    let Some(found) = found else { return 0 };
    let slices = reader.slices(service);
    let ready = slices.flat_map(|slice| {
        let ports = slice.ports.iter().filter(|(name, _)| *name == found.name);
        ports.flat_map(|(_, port)| {
            let ready = slice.addresses.iter().filter(|(_, state)| *state == Ready::Ready);
            ready.map(|(address, _)| (*address, *port))
        })
    });
    ready.collect::<BTreeSet<_>>().len()
}
