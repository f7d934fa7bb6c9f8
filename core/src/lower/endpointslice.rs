//! EndpointSlices: where the endpoints of a Service listen.

use std::net::IpAddr;
use std::sync::Arc;

use super::address;
use crate::api;
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::name::{FieldPath, ObjectName, ObjectRef};
use crate::options::Options;

/// The label that names the Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The usable part of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The Service that it belongs to, if it says so.
    pub service: Option<ObjectName>,
    /// TCP ports by the name of the Service's port.
    pub ports: Vec<(Arc<str>, u16)>,
    /// Addresses that may be sent traffic.
    pub addresses: Vec<(IpAddr, Ready)>,
}

/// How fit an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ready {
    /// Takes traffic.
    Ready,
    /// Goes away but still answers: better than nothing.
    Serving,
}

pub(super) fn lower(
    object: &api::EndpointSlice,
    reference: &ObjectRef,
    options: &Options,
    diagnostics: &mut Collector,
) -> EndpointSlice {
    let meta = &object.metadata;
    let service = meta
        .labels
        .get(SERVICE_NAME)
        .map(|name| ObjectName::new(Arc::clone(&meta.namespace), Arc::clone(name)));
    let mut slice = EndpointSlice { service, ports: Vec::new(), addresses: Vec::new() };
    for (index, port) in object.ports.iter().enumerate() {
        if port.protocol.as_deref().is_some_and(|p| p != "TCP") {
            continue;
        }
        // A port without number stands for all ports (headless Services): nothing to connect to.
        let Some(number) = port.port else { continue };
        match u16::try_from(number) {
            Ok(number) if number > 0 => slice.ports.push((Arc::clone(&port.name), number)),
            _ => diagnostics.push(Diagnostic::new(
                Code::EndpointInvalid,
                reference,
                FieldPath::of(".ports").index(index).field("port"),
                format!("port {number} is not between 1 and 65535"),
            )),
        }
    }
    for (index, endpoint) in object.endpoints.iter().enumerate() {
        let Some(ready) = readiness(endpoint.conditions) else {
            continue;
        };
        let Some(text) = endpoint.addresses.first() else {
            continue;
        };
        let field = || FieldPath::of(".endpoints").index(index).field("addresses").index(0);
        let Ok(address) = text.parse::<IpAddr>() else {
            let message = format!("{text:?} is not an IP address");
            diagnostics.push(Diagnostic::new(Code::EndpointInvalid, reference, field(), message));
            continue;
        };
        // `::ffff:127.0.0.1` is 127.0.0.1.
        let address = address.to_canonical();
        match address::check(address, options.allow_loopback_endpoints) {
            Ok(()) => slice.addresses.push((address, ready)),
            Err(refusal) => {
                let message = format!("traffic may not be sent to {address}: {refusal}");
                let code = Code::EndpointNotAllowed;
                diagnostics.push(Diagnostic::new(code, reference, field(), message));
            }
        }
    }
    slice
}

/// Unset `ready` means ready; unset `serving` means as `ready` (EndpointSlice API).
fn readiness(conditions: api::EndpointConditions) -> Option<Ready> {
    if conditions.ready.unwrap_or(true) {
        Some(Ready::Ready)
    } else if conditions.serving == Some(true) {
        Some(Ready::Serving)
    } else {
        None
    }
}
