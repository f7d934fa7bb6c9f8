//! Short ways to write objects down.

use std::net::SocketAddr;
use std::sync::Arc;

use contour_core::api::{
    CertificateDelegation, Delegate, Endpoint, EndpointPort, EndpointSlice, IngressRoute,
    IngressRouteService, IngressRouteSpec, Metadata, Object, Route, Service, ServicePort,
    ServiceSpec, TlsCertificateDelegation, TlsCertificateDelegationSpec,
};

/// Metadata of an object without anything particular.
pub fn metadata(namespace: &str, name: &str) -> Metadata {
    Metadata { name: name.into(), namespace: namespace.into(), ..Metadata::default() }
}

/// An IngressRoute with this spec.
pub fn ingress_route(namespace: &str, name: &str, spec: IngressRouteSpec) -> Object {
    Object::IngressRoute(IngressRoute { metadata: metadata(namespace, name), spec })
}

/// A route of a prefix to services.
pub fn route(prefix: &str, services: Vec<IngressRouteService>) -> Route {
    Route { prefix: prefix.into(), services, ..Route::default() }
}

/// A route of a prefix to another IngressRoute.
pub fn delegate(prefix: &str, namespace: Option<&str>, name: &str) -> Route {
    Route {
        prefix: prefix.into(),
        delegate: Some(Delegate { name: name.into(), namespace: namespace.map(Arc::from) }),
        ..Route::default()
    }
}

/// A service of a route.
pub fn to(name: &str, port: i64) -> IngressRouteService {
    IngressRouteService { name: name.into(), port, ..IngressRouteService::default() }
}

/// A service of a route with a weight.
pub fn weighted(name: &str, port: i64, weight: i64) -> IngressRouteService {
    IngressRouteService { weight: Some(weight), ..to(name, port) }
}

/// A Service with one unnamed port.
pub fn service(namespace: &str, name: &str, port: i64) -> Service {
    Service {
        metadata: metadata(namespace, name),
        spec: ServiceSpec {
            kind: None,
            ports: vec![ServicePort { port, ..ServicePort::default() }],
        },
    }
}

/// The EndpointSlice of such a Service.
pub fn slice(namespace: &str, service: &str, addresses: &[SocketAddr]) -> Vec<Object> {
    addresses
        .iter()
        .enumerate()
        .map(|(number, address)| {
            let name = format!("{service}-{number}");
            Object::EndpointSlice(endpoint_slice(namespace, &name, service, "", *address))
        })
        .collect()
}

/// An EndpointSlice with one endpoint for one port of a Service.
pub fn endpoint_slice(
    namespace: &str,
    name: &str,
    service: &str,
    port_name: &str,
    address: SocketAddr,
) -> EndpointSlice {
    let mut metadata = metadata(namespace, name);
    metadata.labels.insert("kubernetes.io/service-name".into(), service.into());
    EndpointSlice {
        metadata,
        address_type: Some(if address.is_ipv4() { "IPv4" } else { "IPv6" }.into()),
        endpoints: vec![Endpoint {
            addresses: vec![address.ip().to_string().into()],
            ..Endpoint::default()
        }],
        ports: vec![EndpointPort {
            name: port_name.into(),
            port: Some(i64::from(address.port())),
            protocol: None,
        }],
    }
}

/// A delegation of a TLS Secret to namespaces.
pub fn certificate_delegation(
    namespace: &str,
    name: &str,
    secret: &str,
    targets: &[&str],
) -> Object {
    Object::TlsCertificateDelegation(TlsCertificateDelegation {
        metadata: metadata(namespace, name),
        spec: TlsCertificateDelegationSpec {
            delegations: vec![CertificateDelegation {
                secret_name: secret.into(),
                target_namespaces: targets.iter().map(|t| Arc::from(*t)).collect(),
            }],
        },
    })
}
