//! Over real sockets on the loopback interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use contour_core::xds::{Resource, ResourceKey, ResourceType};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest,
};
use envoy_types::pb::google::rpc;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tonic::{Code, Streaming};

use super::*;
use crate::ads::{Event, HeldState, Protocol, Settings};

mod tls;

/// A server; it ends with the test.
struct Served {
    ads: Ads,
    address: SocketAddr,
    events: broadcast::Receiver<Event>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    async fn start(security: Security) -> Self {
        let ads = Ads::new(Settings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(ads.clone().serve(listener, security, shutdown.clone()));
        Self { events: ads.events(), ads, address, shutdown, task }
    }

    async fn plaintext() -> Self {
        Self::start(Security::Plaintext).await
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn publish(&self, revision: u64, resources: &[Arc<Resource>]) {
        let changed = resources.iter().map(|r| (r.key.clone(), Some(Arc::clone(r))));
        self.ads.publish(revision, &changed.collect());
    }

    /// The next event that is none of `boring`.
    async fn event(&mut self, boring: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.events.recv().await.expect("an event");
            if !boring(&event) {
                return event;
            }
        }
    }

    async fn delta(&self, first: DeltaDiscoveryRequest) -> Delta {
        let client = AggregatedDiscoveryServiceClient::connect(self.url()).await;
        let (requests, stream) = mpsc::channel(16);
        requests.send(first).await.expect("room");
        let responses = client
            .expect("a connection")
            .delta_aggregated_resources(ReceiverStream::new(stream))
            .await
            .expect("a stream");
        Delta { requests, responses: responses.into_inner() }
    }
}

struct Delta {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Delta {
    async fn next(&mut self) -> DeltaDiscoveryResponse {
        self.responses.message().await.expect("a response").expect("an open stream")
    }

    async fn answer(&self, response: &DeltaDiscoveryResponse, error: Option<&str>) {
        let request = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail: error.map(|message| rpc::Status {
                code: 3,
                message: message.to_owned(),
                details: Vec::new(),
            }),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(request).await.expect("an open stream");
    }
}

fn resource(kind: ResourceType, name: &str, version: u32) -> Arc<Resource> {
    let body = format!("{name} {version}").into_bytes();
    Arc::new(Resource::new(ResourceKey::new(kind, name), body, Vec::new()))
}

fn node(version: &str) -> core::Node {
    core::Node {
        id: "edge-1".to_owned(),
        cluster: "edge".to_owned(),
        user_agent_name: "envoy".to_owned(),
        user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
            version.to_owned(),
        )),
        ..core::Node::default()
    }
}

fn first(kind: ResourceType) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(node("1.40.0")),
        type_url: kind.type_url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(|r| r.name.as_str()).collect()
}

fn is_connecting(event: &Event) -> bool {
    matches!(event, Event::Connected { .. })
}

#[tokio::test]
async fn a_delta_client_is_served_and_observed() {
    let mut served = Served::plaintext().await;
    let mut client = served.delta(first(ResourceType::Cluster)).await;
    assert_eq!(served.event(|_| false).await, Event::Connected { node: "edge-1".into() });
    served.publish(1, &[resource(ResourceType::Cluster, "a", 1)]);
    let response = client.next().await;
    assert_eq!(names(&response), ["a"]);
    let sent = response.resources[0].resource.as_ref().expect("a body");
    assert_eq!(sent.value, b"a 1");
    assert_eq!(sent.type_url, ResourceType::Cluster.type_url());
    client.answer(&response, None).await;
    let event = served.event(|_| false).await;
    assert!(matches!(event, Event::Acknowledged { revision: 1, .. }), "{event:?}");

    let [envoy] = &*served.ads.envoys() else { panic!("one Envoy") };
    assert_eq!((&*envoy.node, &*envoy.cluster, envoy.in_sync), ("edge-1", "edge", 1));
    assert_eq!(envoy.protocol, Protocol::Delta);
    assert_eq!(envoy.version.map(|v| v.to_string()).as_deref(), Some("1.40.0"));
    assert!(envoy.address.is_some_and(|a| a.ip().is_loopback()));
    assert_eq!(envoy.types[0].1.held, 1);

    served.publish(2, &[resource(ResourceType::Cluster, "a", 2)]);
    let response = client.next().await;
    client.answer(&response, Some("bad cluster")).await;
    let event = served.event(|_| false).await;
    assert!(
        matches!(&event, Event::Rejected { message, .. } if &**message == "bad cluster"),
        "{event:?}"
    );
    let holders = served.ads.holders(&ResourceKey::new(ResourceType::Cluster, "a"));
    let [holder] = &*holders else { panic!("one holder, not {holders:?}") };
    assert_eq!(holder.state, HeldState::Rejected { message: "bad cluster".into() });

    drop(client);
    assert_eq!(served.event(|_| false).await, Event::Disconnected { node: "edge-1".into() });
    assert!(served.ads.envoys().is_empty());
}

#[tokio::test]
async fn a_state_of_the_world_client_is_served() {
    let mut served = Served::plaintext().await;
    served.publish(1, &[resource(ResourceType::Cluster, "a", 1)]);
    let mut client = AggregatedDiscoveryServiceClient::connect(served.url()).await.expect("up");
    let (requests, stream) = mpsc::channel(16);
    let request = DiscoveryRequest {
        node: Some(node("1.40.0")),
        type_url: ResourceType::Cluster.type_url().to_owned(),
        ..DiscoveryRequest::default()
    };
    requests.send(request.clone()).await.expect("room");
    let responses = client.stream_aggregated_resources(ReceiverStream::new(stream)).await;
    let mut responses = responses.expect("a stream").into_inner();
    let response = responses.message().await.expect("a response").expect("open");
    assert_eq!(response.resources.len(), 1);
    let acknowledged = DiscoveryRequest {
        response_nonce: response.nonce,
        version_info: response.version_info,
        ..request
    };
    requests.send(acknowledged).await.expect("open");
    let event = served.event(is_connecting).await;
    assert!(matches!(event, Event::Acknowledged { revision: 1, .. }), "{event:?}");
}

#[tokio::test]
async fn an_old_envoy_is_turned_away_with_a_reason() {
    let mut served = Served::plaintext().await;
    let mut old = first(ResourceType::Cluster);
    old.node = Some(node("1.36.2"));
    let mut client = served.delta(old).await;
    let status = client.responses.message().await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("1.36.2"), "{status}");
    assert!(status.message().contains("1.37"), "{status}");
    let event = served.event(|_| false).await;
    assert!(matches!(event, Event::Refused { .. }), "{event:?}");
}

#[tokio::test]
async fn a_client_without_a_node_is_turned_away() {
    let served = Served::plaintext().await;
    let mut client = served.delta(DeltaDiscoveryRequest::default()).await;
    let status = client.responses.message().await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_service_of_one_type_serves_that_type_without_a_url() {
    let served = Served::plaintext().await;
    served.publish(1, &[resource(ResourceType::Cluster, "a", 1)]);
    let mut client = ClusterDiscoveryServiceClient::connect(served.url()).await.expect("up");
    let request = DeltaDiscoveryRequest { node: Some(node("1.40.0")), ..Default::default() };
    let stream = tokio_stream::iter([request]).chain(tokio_stream::pending());
    let responses = client.delta_clusters(stream).await.expect("a stream");
    let response = responses.into_inner().message().await.expect("a response").expect("open");
    assert_eq!(names(&response), ["a"]);
    let fetched = client.fetch_clusters(DiscoveryRequest::default()).await;
    assert_eq!(fetched.expect_err("not served").code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_large_reconnect_is_accepted_and_answered_with_nothing() {
    let served = Served::plaintext().await;
    let name = |i: u32| format!("namespace-{i}/service-with-a-long-name-{i}/8080");
    let all: Vec<_> = (0..100_000).map(|i| resource(ResourceType::Cluster, &name(i), 1)).collect();
    served.publish(1, &all);
    let mut reconnect = first(ResourceType::Cluster);
    let versions = all.iter().map(|r| (r.key.name.to_string(), r.version.to_string()));
    reconnect.initial_resource_versions = versions.collect();
    assert!(prost::Message::encoded_len(&reconnect) > 4 * 1_024 * 1_024);
    let mut client = served.delta(reconnect).await;
    // The first thing sent is what changes next.
    let change = resource(ResourceType::Cluster, "new", 1);
    let listen = DeltaDiscoveryRequest {
        type_url: ResourceType::Listener.type_url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    client.requests.send(listen).await.expect("open");
    let response = client.next().await;
    assert_eq!(response.type_url, ResourceType::Listener.type_url());
    served.publish(2, &[change]);
    assert_eq!(names(&client.next().await), ["new"]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_up_another() {
    let served = Served::plaintext().await;
    let stalled = served.delta(first(ResourceType::Cluster)).await;
    let mut client = served.delta(first(ResourceType::Cluster)).await;
    let body = vec![b'x'; 64 * 1_024];
    let key = ResourceKey::new(ResourceType::Cluster, "a");
    for revision in 1..=200 {
        let body = [body.as_slice(), revision.to_string().as_bytes()].concat();
        let change = Arc::new(Resource::new(key.clone(), body, Vec::new()));
        let changed = BTreeMap::from([(key.clone(), Some(Arc::clone(&change)))]);
        served.ads.publish(revision, &changed);
        let response = client.next().await;
        assert_eq!(response.resources[0].version, change.version.to_string());
        client.answer(&response, None).await;
    }
    drop(stalled);
}

#[tokio::test]
async fn shutdown_ends_streams_and_the_server() {
    let mut served = Served::plaintext().await;
    served.publish(1, &[]);
    let mut client = served.delta(first(ResourceType::Cluster)).await;
    client.next().await;
    served.shutdown.cancel();
    let status = client.responses.message().await.expect_err("ended");
    assert_eq!(status.code(), Code::Unavailable);
    drop(client);
    (&mut served.task).await.expect("no panic").expect("no error");
}
