//! Endpoints to ClusterLoadAssignments.

use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;

use super::proto;
use super::resource::{Resource, ResourceKey, ResourceType};
use crate::ir::{Endpoints, EndpointsName};

/// The name of the endpoints of a Service's port: `namespace/service/port` or
/// `namespace/service`.
pub fn name(name: &EndpointsName) -> ResourceKey {
    let service = &name.service;
    let text =
        if name.port.is_empty() { service.to_string() } else { format!("{service}/{}", name.port) };
    ResourceKey::new(ResourceType::Endpoint, text)
}

/// A ClusterLoadAssignment, empty if there are no endpoints.
pub fn endpoints(endpoints: &Endpoints) -> Resource {
    let key = name(&endpoints.name);
    let lb_endpoints: Vec<_> =
        endpoints.addresses.iter().map(|(address, port)| lb_endpoint(*address, *port)).collect();
    let localities = if lb_endpoints.is_empty() {
        Vec::new()
    } else {
        vec![endpoint::LocalityLbEndpoints {
            lb_endpoints,
            ..endpoint::LocalityLbEndpoints::default()
        }]
    };
    let message = endpoint::ClusterLoadAssignment {
        cluster_name: key.name.to_string(),
        endpoints: localities,
        ..endpoint::ClusterLoadAssignment::default()
    };
    proto::resource(key, &message, Vec::new())
}

fn lb_endpoint(address: std::net::IpAddr, port: u16) -> endpoint::LbEndpoint {
    endpoint::LbEndpoint {
        host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(
            endpoint::Endpoint {
                address: Some(proto::tcp_address(address, port)),
                ..endpoint::Endpoint::default()
            },
        )),
        ..endpoint::LbEndpoint::default()
    }
}
