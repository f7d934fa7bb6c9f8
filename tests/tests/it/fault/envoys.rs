//! Several Envoys, restarted ones, and those that are refused.

use std::time::Duration;

use contour::event::ControllerEvent;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{Envoy, old_binary};
use contour_tests::load::Load;
use contour_tests::stage::{
    NODE, Stage, acknowledged, bootstrap, heard, read, refused, until_backend,
};
use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node, node};
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;

use super::host;

async fn colours(stage: &Stage) -> (Backend, Backend) {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    (blue, green)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_envoys_hold_the_same_and_one_may_die() {
    let mut stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&host("shop", "blue")).await.fine();
    let mut second = stage.join("envoy-2").await;
    let ask = Ask::get("shop.test", "/");
    let first = stage.http().await;
    let other = Target::plain(second.listener("ingress_http").await);
    until_backend(&first, &ask, "blue").await;
    until_backend(&other, &ask, "blue").await;
    stage.apply(&host("shop", "green")).await.fine();
    until_backend(&first, &ask, "green").await;
    until_backend(&other, &ask, "green").await;

    let mut events = stage.controller.events();
    second.kill().unwrap();
    heard(&mut events, "it is gone", |event| {
        let ControllerEvent::Disconnected { node } = event else { return None };
        (&**node == "envoy-2").then_some(())
    })
    .await;
    let told = stage.tell(&mut events, read(&host("shop", "blue"))).await;
    acknowledged(&mut events, NODE, told.revision).await;
    until_backend(&first, &ask, "blue").await;
    second.restart().unwrap();
    second.ready().await;
    let other = Target::plain(second.listener("ingress_http").await);
    until_backend(&other, &ask, "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_was_killed_serves_again_as_soon_as_it_is_back() {
    let mut stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&host("shop", "blue")).await.fine();
    for _ in 0..3 {
        stage.envoy.restart().unwrap();
        stage.envoy.ready().await;
        let target = stage.http().await;
        until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    }
}

/// The version `1.minor.0` as Envoys tell it.
fn node(id: &str, minor: u32) -> Node {
    let version = SemanticVersion { major_number: 1, minor_number: minor, patch: 0 };
    Node {
        id: id.to_owned(),
        user_agent_name: "envoy".to_owned(),
        user_agent_version_type: Some(node::UserAgentVersionType::UserAgentBuildVersion(
            BuildVersion { version: Some(version), metadata: None },
        )),
        ..Node::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_is_too_old_is_refused_with_what_to_do_and_disturbs_nobody() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let mut events = stage.controller.events();
    let address = format!("http://{}", stage.controller.bound().xds);
    let mut client = AggregatedDiscoveryServiceClient::connect(address).await.unwrap();
    let request = DeltaDiscoveryRequest {
        node: Some(node("old", 36)),
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    // The stream of requests stays open, as an Envoy's does.
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    sender.send(request).await.unwrap();
    let requests = futures_util::stream::unfold(requests, |mut requests| async {
        requests.recv().await.map(|request| (request, requests))
    });
    let error = match client.delta_aggregated_resources(requests).await {
        Ok(response) => response.into_inner().message().await.unwrap_err(),
        Err(error) => error,
    };
    for word in ["1.36", "1.37", "old"] {
        assert!(error.message().contains(word), "{error}");
    }
    let told = refused(&mut events, "old").await;
    assert!(told.contains("1.37"), "{told}");

    stage.apply(&host("shop", "blue")).await.fine();
    until_backend(&stage.http().await, &Ask::get("shop.test", "/"), "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_old_envoy_is_refused_too() {
    let Some(binary) = old_binary() else {
        // Only where CONTOUR_ENVOY_OLD names one; the test above plays its part elsewhere.
        return;
    };
    let stage = Stage::new().await;
    let mut events = stage.controller.events();
    let port = stage.controller.bound().xds.port();
    let _old = Envoy::start_binary(binary, &bootstrap(port, "old")).unwrap();
    refused(&mut events, "old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_does_not_read_keeps_nobody_waiting() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let address = format!("http://{}", stage.controller.bound().xds);
    let mut client = AggregatedDiscoveryServiceClient::connect(address).await.unwrap();
    let request = DeltaDiscoveryRequest {
        node: Some(node("deaf", 40)),
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    sender.send(request).await.unwrap();
    let requests = futures_util::stream::unfold(requests, |mut requests| async {
        requests.recv().await.map(|request| (request, requests))
    });
    // It never acknowledges anything.
    let _stream = client.delta_aggregated_resources(requests).await.unwrap();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    for _ in 0..50 {
        for service in ["blue", "green"] {
            stage.apply(&host("shop", service)).await.fine();
            until_backend(&target, &ask, service).await;
        }
    }
    assert!(stage.controller.envoys().len() >= 2);
    tokio::time::timeout(Duration::from_secs(10), stage.controller.shutdown())
        .await
        .expect("it does not keep the controller from ending either");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_asks_by_state_of_the_world_is_served_as_well() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&host("shop", "blue")).await.fine();
    let mut other = bootstrap(stage.controller.bound().xds.port(), "sotw");
    *other.pointer_mut("/dynamic_resources/ads_config/api_type").unwrap() = "GRPC".into();
    let envoy = Envoy::start(&other).unwrap();
    envoy.ready().await;
    let target = Target::plain(envoy.listener("ingress_http").await);
    let ask = Ask::get("shop.test", "/");
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 2);
    for service in ["green", "blue", "green"] {
        let mut events = stage.controller.events();
        stage.tell(&mut events, read(&host("shop", service))).await;
        until_backend(&target, &ask, service).await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    stage.apply(&host("other", "blue")).await.fine();
    until_backend(&target, &Ask::get("other.test", "/"), "blue").await;
}
