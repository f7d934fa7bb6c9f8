//! Services: ports, what they speak, limits.

use std::sync::Arc;

use crate::api;
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::ir::{CircuitBreakers, Protocol};
use crate::name::{FieldPath, ObjectRef};

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Whether it is of type ExternalName, which is not routed to.
    pub is_external_name: bool,
    /// The ports, TCP or not.
    pub ports: Vec<ServicePort>,
    /// Limits, by annotation.
    pub circuit_breakers: CircuitBreakers,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The name, which may be empty.
    pub name: Arc<str>,
    /// The number.
    pub port: u16,
    /// Whether it is a TCP port.
    pub is_tcp: bool,
    /// What the endpoints speak.
    pub protocol: Protocol,
}

const UPSTREAM_PROTOCOLS: [(Protocol, [&str; 2]); 3] = [
    (
        Protocol::H2,
        ["projectcontour.io/upstream-protocol.h2", "contour.heptio.com/upstream-protocol.h2"],
    ),
    (
        Protocol::H2c,
        ["projectcontour.io/upstream-protocol.h2c", "contour.heptio.com/upstream-protocol.h2c"],
    ),
    (
        Protocol::Tls,
        ["projectcontour.io/upstream-protocol.tls", "contour.heptio.com/upstream-protocol.tls"],
    ),
];

pub(super) fn lower(
    object: &api::Service,
    reference: &ObjectRef,
    diagnostics: &mut Collector,
) -> Service {
    let mut ports = Vec::new();
    for (index, port) in object.spec.ports.iter().enumerate() {
        let Some(number) = u16::try_from(port.port).ok().filter(|p| *p > 0) else {
            let field = FieldPath::of(".spec.ports").index(index).field("port");
            let message = format!("port {} is not between 1 and 65535", port.port);
            diagnostics.push(Diagnostic::new(Code::PortOutOfRange, reference, field, message));
            continue;
        };
        let declared = by_app_protocol(port.app_protocol.as_deref());
        let port = ServicePort {
            name: Arc::clone(&port.name),
            port: number,
            is_tcp: port.protocol.as_deref().is_none_or(|p| p == "TCP"),
            protocol: declared.unwrap_or_default(),
        };
        ports.push((port, declared.is_some()));
    }
    apply_annotations(object, reference, &mut ports, diagnostics);
    let ports = ports.into_iter().map(|(port, _)| port).collect();
    Service {
        is_external_name: object.spec.kind.as_deref() == Some("ExternalName"),
        ports,
        circuit_breakers: circuit_breakers(object, reference, diagnostics),
    }
}

/// What an `appProtocol` means; `None` where it says nothing of the protocol.
fn by_app_protocol(text: Option<&str>) -> Option<Protocol> {
    match text? {
        "kubernetes.io/h2c" => Some(Protocol::H2c),
        "kubernetes.io/ws" | "http" => Some(Protocol::Http1),
        "kubernetes.io/wss" | "https" => Some(Protocol::Tls),
        _ => None,
    }
}

/// An `appProtocol`, where there is one (the flag beside the port), wins over annotations.
fn apply_annotations(
    object: &api::Service,
    reference: &ObjectRef,
    ports: &mut [(ServicePort, bool)],
    diagnostics: &mut Collector,
) {
    for (protocol, keys) in UPSTREAM_PROTOCOLS {
        let Some(list) = object.metadata.annotation(&keys) else {
            continue;
        };
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let mut found = false;
            for (port, is_declared) in ports.iter_mut() {
                if &*port.name == item || port.port.to_string() == item {
                    found = true;
                    if !*is_declared {
                        port.protocol = protocol;
                    }
                }
            }
            if !found {
                let key = keys.iter().find(|k| object.metadata.annotations.contains_key(**k));
                let field =
                    FieldPath::of(".metadata.annotations").field(key.copied().unwrap_or_default());
                let message = format!("the Service has no port {item:?}");
                diagnostics.push(Diagnostic::new(
                    Code::UpstreamProtocolInvalid,
                    reference,
                    field,
                    message,
                ));
            }
        }
    }
}

fn circuit_breakers(
    object: &api::Service,
    reference: &ObjectRef,
    diagnostics: &mut Collector,
) -> CircuitBreakers {
    let mut read = |name: &str| -> Option<u32> {
        let keys = [format!("projectcontour.io/{name}"), format!("contour.heptio.com/{name}")];
        let (key, text) =
            keys.iter().find_map(|k| object.metadata.annotations.get(&**k).map(|v| (k, v)))?;
        let value = text.trim().parse::<u32>().ok().filter(|v| *v > 0);
        if value.is_none() {
            let field = FieldPath::of(".metadata.annotations").field(key);
            let message = format!("{text:?} is not a number from 1 to {}", u32::MAX);
            diagnostics.push(Diagnostic::new(
                Code::CircuitBreakerInvalid,
                reference,
                field,
                message,
            ));
        }
        value
    };
    CircuitBreakers {
        max_connections: read("max-connections"),
        max_pending_requests: read("max-pending-requests"),
        max_requests: read("max-requests"),
        max_retries: read("max-retries"),
    }
}
