//! The Client Status Discovery Service (CSDS): what the Envoys connected to this replica have of
//! named resources.
//!
//! Replicas ask each other by it, since an Envoy is connected to one of them alone. The names stand
//! in the metadata of the asking node, under [`RESOURCES`]: to tell of all resources would cost as
//! much as there are, for every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use contour_core::xds::{ResourceKey, ResourceType, Version};
use envoy_types::pb::envoy::admin::v3::{ClientResourceStatus, UpdateFailureState};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server as csds;
use envoy_types::pb::envoy::service::status::v3::{
    ClientConfig, ClientStatusRequest, ClientStatusResponse,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::services::Services;
use super::stream::Responses;
use super::{Ads, HeldState};

/// The field of the node's metadata that names the resources asked about.
const RESOURCES: &str = "resources";

#[async_trait]
impl csds::ClientStatusDiscoveryService for Services {
    type StreamClientStatusStream = Responses<ClientStatusResponse>;

    async fn stream_client_status(
        &self,
        request: Request<Streaming<ClientStatusRequest>>,
    ) -> Result<Response<Self::StreamClientStatusStream>, Status> {
        let server = self.server().clone();
        let answers = request.into_inner().map(move |request| Ok(server.client_status(&request?)));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn fetch_client_status(
        &self,
        request: Request<ClientStatusRequest>,
    ) -> Result<Response<ClientStatusResponse>, Status> {
        Ok(Response::new(self.server().client_status(request.get_ref())))
    }
}

/// The question what Envoys have of these resources.
pub(crate) fn question<'a>(keys: impl Iterator<Item = &'a ResourceKey>) -> ClientStatusRequest {
    let text = |key: &ResourceKey| Value { kind: Some(Kind::StringValue(key.to_string())) };
    let list = ListValue { values: keys.map(text).collect() };
    let list = Value { kind: Some(Kind::ListValue(list)) };
    let metadata = Struct { fields: [(RESOURCES.to_owned(), list)].into() };
    ClientStatusRequest {
        node: Some(Node { metadata: Some(metadata), ..Node::default() }),
        exclude_resource_contents: true,
        ..ClientStatusRequest::default()
    }
}

/// What an Envoy has of a resource, as another replica tells it.
#[derive(Debug)]
pub(crate) struct Held {
    /// The version that the other replica has; another one has nothing to say of ours.
    pub(crate) version: Option<Version>,
    pub(crate) state: HeldState,
}

/// By node id, what Envoys have of the resources that they ask for.
pub(crate) fn read(
    response: ClientStatusResponse,
) -> BTreeMap<Arc<str>, BTreeMap<ResourceKey, Held>> {
    let mut all: BTreeMap<Arc<str>, BTreeMap<_, _>> = BTreeMap::new();
    for config in response.config {
        let node = all.entry(config.node.unwrap_or_default().id.into()).or_default();
        for held in config.generic_xds_configs {
            let Some(kind) = ResourceType::from_type_url(&held.type_url) else { continue };
            let message = || held.error_state.as_ref().map_or("", |e| &e.details).into();
            let state = match held.client_status() {
                ClientResourceStatus::Acked => HeldState::Acknowledged,
                ClientResourceStatus::Nacked => HeldState::Rejected { message: message() },
                ClientResourceStatus::Unknown
                | ClientResourceStatus::Requested
                | ClientResourceStatus::DoesNotExist
                | ClientResourceStatus::ReceivedError
                | ClientResourceStatus::Timeout => HeldState::Sent,
            };
            let version = Version::parse(&held.version_info);
            node.insert(ResourceKey::new(kind, held.name), Held { version, state });
        }
    }
    all
}

fn named(request: &ClientStatusRequest) -> Vec<ResourceKey> {
    let metadata = request.node.as_ref().and_then(|node| node.metadata.as_ref());
    let field = metadata.and_then(|m| m.fields.get(RESOURCES)?.kind.as_ref());
    let Some(Kind::ListValue(list)) = field else { return Vec::new() };
    let key = |value: &Value| match &value.kind {
        Some(Kind::StringValue(text)) => {
            let (short, name) = text.split_once(':')?;
            let kind = ResourceType::ALL.into_iter().find(|kind| kind.short() == short)?;
            Some(ResourceKey::new(kind, name))
        }
        _ => None,
    };
    list.values.iter().filter_map(key).collect()
}

impl Ads {
    fn client_status(&self, request: &ClientStatusRequest) -> ClientStatusResponse {
        let mut configs: BTreeMap<Arc<str>, Vec<GenericXdsConfig>> =
            self.progress().into_keys().map(|node| (node, Vec::new())).collect();
        for key in named(request) {
            for holder in self.holders(&key) {
                if let Some(config) = configs.get_mut(&holder.node) {
                    config.push(described(&key, holder.state, holder.version));
                }
            }
        }
        let config = configs.into_iter().map(|(node, generic_xds_configs)| ClientConfig {
            node: Some(Node { id: node.to_string(), ..Node::default() }),
            generic_xds_configs,
            ..ClientConfig::default()
        });
        ClientStatusResponse { config: config.collect() }
    }
}

fn described(key: &ResourceKey, state: HeldState, version: Option<Version>) -> GenericXdsConfig {
    let version_info = version.map(|version| version.to_string()).unwrap_or_default();
    let mut error_state = None;
    let status = match state {
        HeldState::Pending | HeldState::Sent => ClientResourceStatus::Requested,
        HeldState::Acknowledged => ClientResourceStatus::Acked,
        HeldState::Rejected { message } => {
            error_state = Some(UpdateFailureState {
                details: message.to_string(),
                version_info: version_info.clone(),
                ..UpdateFailureState::default()
            });
            ClientResourceStatus::Nacked
        }
    };
    GenericXdsConfig {
        type_url: key.kind.type_url().to_owned(),
        name: key.name.to_string(),
        version_info,
        client_status: status.into(),
        error_state,
        ..GenericXdsConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resources_asked_about_arrive() {
        let keys = [
            ResourceKey::new(ResourceType::Route, "http/shop.test"),
            ResourceKey::new(ResourceType::Cluster, "demo/blue/80/abc"),
        ];
        assert_eq!(named(&question(keys.iter())), keys);
        assert!(named(&ClientStatusRequest::default()).is_empty());
    }

    #[test]
    fn what_an_envoy_has_is_read_as_it_was_described() {
        let key = ResourceKey::new(ResourceType::Route, "http/shop.test");
        let version = Version::of(b"body");
        let message: Arc<str> = "no".into();
        let rejected = HeldState::Rejected { message: Arc::clone(&message) };
        for (state, expected) in [
            (HeldState::Acknowledged, HeldState::Acknowledged),
            (HeldState::Pending, HeldState::Sent),
            (rejected.clone(), rejected),
        ] {
            let config = ClientConfig {
                node: Some(Node { id: "envoy-1".to_owned(), ..Node::default() }),
                generic_xds_configs: vec![described(&key, state, Some(version))],
                ..ClientConfig::default()
            };
            let told = read(ClientStatusResponse { config: vec![config] });
            let held = &told["envoy-1"][&key];
            assert_eq!((held.version, &held.state), (Some(version), &expected));
        }
    }
}
