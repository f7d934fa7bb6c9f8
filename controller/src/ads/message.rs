//! Between the sessions' own types and the messages on the wire.

use std::sync::Arc;

use contour_core::xds::{Resource, ResourceType};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryResponse, DiscoveryResponse, Resource as WireResource,
};
use envoy_types::pb::google::protobuf::Any;

use super::secret::renamed;
use super::wire::{DeltaRequest, WorldRequest};
use super::{session, sotw};

/// A delta request of a known type, without its node.
pub(super) fn delta_request(kind: ResourceType, request: DeltaRequest) -> session::Request {
    session::Request {
        kind,
        subscribe: request.subscribe,
        unsubscribe: request.unsubscribe,
        initial_versions: request.initial_versions,
        nonce: request.nonce,
        error: request.error,
    }
}

/// A state-of-the-world request of a known type, without its node.
pub(super) fn sotw_request(kind: ResourceType, request: WorldRequest) -> sotw::Request {
    sotw::Request {
        kind,
        names: request.names,
        version: request.version,
        nonce: request.nonce,
        error: request.error,
    }
}

/// A delta response as it goes on the wire.
pub(super) fn delta_response(response: &session::Response) -> DeltaDiscoveryResponse {
    let resources = response.resources.iter().map(|(name, resource)| WireResource {
        name: name.as_ref().to_owned(),
        version: resource.version.to_string(),
        resource: Some(body(name, resource)),
        ..WireResource::default()
    });
    DeltaDiscoveryResponse {
        system_version_info: response.revision.to_string(),
        resources: resources.collect(),
        type_url: response.kind.type_url().to_owned(),
        removed_resources: response.removed.iter().map(|n| n.as_ref().to_owned()).collect(),
        nonce: response.nonce.to_string(),
        ..DeltaDiscoveryResponse::default()
    }
}

/// A state-of-the-world response as it goes on the wire.
pub(super) fn sotw_response(response: &sotw::Response) -> DiscoveryResponse {
    let resources = response.resources.iter();
    DiscoveryResponse {
        version_info: response.version.to_string(),
        resources: resources.map(|(name, resource)| body(name, resource)).collect(),
        type_url: response.kind.type_url().to_owned(),
        nonce: response.nonce.to_string(),
        ..DiscoveryResponse::default()
    }
}

fn body(name: &Arc<str>, resource: &Resource) -> Any {
    let value =
        if *name == resource.key.name { resource.body.to_vec() } else { renamed(name, resource) };
    Any { type_url: resource.key.kind.type_url().to_owned(), value }
}

#[cfg(test)]
mod tests {
    use contour_core::xds::ResourceKey;
    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_secret_asked_for_in_capitals_is_answered_in_capitals() {
        let secret = Secret { name: "a.example".to_owned(), ..Secret::default() };
        let key = ResourceKey::new(ResourceType::Secret, "a.example");
        let resource = Arc::new(Resource::new(key, secret.encode_to_vec(), Vec::new()));
        let response = session::Response {
            kind: ResourceType::Secret,
            nonce: 1,
            revision: 1,
            resources: vec![("A.Example".into(), Arc::clone(&resource))],
            removed: Vec::new(),
        };
        let wire = delta_response(&response);
        let [sent] = wire.resources.as_slice() else {
            panic!("one resource, not {:?}", wire.resources);
        };
        assert_eq!(sent.name, "A.Example");
        assert_eq!(sent.version, resource.version.to_string());
        let body = sent.resource.as_ref().expect("a body");
        let secret = Secret::decode(body.value.as_slice()).expect("a secret");
        assert_eq!(secret.name, "A.Example");
    }
}
