//! What Envoy rejects stays with the object that caused it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contour::event::ControllerEvent;
use contour::serve::Hooks;
use contour_core::name::{Kind, ObjectRef};
use contour_core::xds::{Resource, ResourceType};
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::load::Load;
use contour_tests::stage::{
    Rejection, Stage, connect, heard, options, read, rejected, until_backend,
};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::google::protobuf::Duration;
use prost::Message as _;

use super::host;

/// Makes Envoy reject, while switched on, what `demo/bad` is turned into.
#[derive(Clone, Default)]
struct Spoiler(Arc<AtomicBool>);

impl Spoiler {
    fn switch(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    fn hooks(&self, kind: ResourceType) -> Hooks {
        let on = Arc::clone(&self.0);
        let rewrite = move |resource: &Resource| {
            if !on.load(Ordering::SeqCst) || resource.key.kind != kind {
                return None;
            }
            let name = &resource.key.name;
            let body = if kind == ResourceType::Route && name.contains("bad.test") {
                let mut routes = RouteConfiguration::decode(resource.body.clone()).ok()?;
                // Two virtual hosts with one domain.
                let twin = routes.virtual_hosts.first()?.clone();
                routes.virtual_hosts.push(twin);
                routes.encode_to_vec()
            } else if kind == ResourceType::Cluster && name.contains("/spoilt/") {
                let mut cluster = Cluster::decode(resource.body.clone()).ok()?;
                cluster.connect_timeout = Some(Duration { seconds: -1, nanos: 0 });
                cluster.encode_to_vec()
            } else {
                return None;
            };
            let requires = resource.requires.to_vec();
            Some(Resource::new(resource.key.clone(), body, requires))
        };
        Hooks { rewrite: Some(Arc::new(rewrite)) }
    }
}

/// A stage with hosts `bad.test` and `good.test`, and backends `blue` and `green`.
async fn stage(hooks: Hooks) -> (Stage, Vec<Backend>, Target) {
    let stage = Stage::with(options(), hooks).await;
    let mut backends = Vec::new();
    for name in ["blue", "green", "spoilt"] {
        let backend = Backend::http(name).await;
        stage.serve("demo", &[&backend]).await;
        backends.push(backend);
    }
    stage.apply(&host("bad", "blue")).await.fine();
    stage.apply(&host("good", "blue")).await.fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("bad.test", "/"), "blue").await;
    until_backend(&target, &Ask::get("good.test", "/"), "blue").await;
    (stage, backends, target)
}

fn bad() -> ObjectRef {
    ObjectRef::new(Kind::IngressRoute, "demo", "bad")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_route_is_told_on_its_object_and_the_others_go_on() {
    let spoiler = Spoiler::default();
    let (stage, _backends, target) = stage(spoiler.hooks(ResourceType::Route)).await;
    let (bad_ask, good_ask) = (Ask::get("bad.test", "/"), Ask::get("good.test", "/"));
    let load = Load::start(&target, &bad_ask, 1);

    spoiler.switch(true);
    let mut events = stage.controller.events();
    stage.tell(&mut events, read(&host("bad", "green"))).await;
    let Rejection { objects, message, resource } = rejected(&mut events, &bad()).await;
    assert!(resource.name.contains("bad.test"), "{resource}");
    assert!(!objects.iter().any(|o| o.name.name.as_ref() == "good"), "{objects:?}");
    assert!(message.to_lowercase().contains("domain"), "{message}");

    // The last good form is served, and the others change.
    for service in ["green", "blue", "green"] {
        stage.apply(&host("good", service)).await.fine();
        until_backend(&target, &good_ask, service).await;
        let reply = target.ask(&bad_ask).await.unwrap();
        assert_eq!(reply.backend().as_deref(), Some("blue"));
    }

    // An Envoy that comes now gets all that is good.
    let newcomer = connect(&stage.controller, "newcomer");
    let new = Target::plain(newcomer.listener("ingress_http").await);
    until_backend(&new, &good_ask, "green").await;
    until_backend(&new, &bad_ask, "blue").await;

    // Mended, it recovers without a restart.
    spoiler.switch(false);
    let (mut events, mut recoveries) = (stage.controller.events(), stage.controller.events());
    stage.tell(&mut events, read(&host("bad", "green").replace("match: /", "match: /x"))).await;
    stage.tell(&mut events, read(&host("bad", "green"))).await;
    heard(&mut recoveries, "the recovery is told", |event| {
        matches!(event, ControllerEvent::Recovered { .. }).then_some(())
    })
    .await;
    until_backend(&target, &bad_ask, "green").await;
    until_backend(&new, &bad_ask, "green").await;
    let tally = load.stop().await;
    assert_eq!(tally.broken, 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_does_not_move_to_a_cluster_that_was_rejected() {
    let spoiler = Spoiler::default();
    let (stage, _backends, target) = stage(spoiler.hooks(ResourceType::Cluster)).await;
    let (bad_ask, good_ask) = (Ask::get("bad.test", "/"), Ask::get("good.test", "/"));
    let load = Load::start(&target, &bad_ask, 2);
    spoiler.switch(true);
    let mut events = stage.controller.events();
    stage.tell(&mut events, read(&host("bad", "spoilt"))).await;
    rejected(&mut events, &bad()).await;
    for service in ["green", "blue"] {
        let mut events = stage.controller.events();
        stage.tell(&mut events, read(&host("good", service))).await;
        until_backend(&target, &good_ask, service).await;
    }
    let tally = load.stop().await;
    assert_eq!(tally.failures(), 0, "{tally:?}");
    assert_eq!(tally.backends.keys().collect::<Vec<_>>(), ["blue"]);

    spoiler.switch(false);
    stage.apply(&host("bad", "green")).await;
    until_backend(&target, &bad_ask, "green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_with_one_bad_member_loses_no_good_one() {
    let spoiler = Spoiler::default();
    let (stage, _backends, target) = stage(spoiler.hooks(ResourceType::Route)).await;
    spoiler.switch(true);
    let mut changes = read(&host("bad", "green"));
    for number in 0..50 {
        changes.extend(read(&host(&format!("host{number}"), "green")));
    }
    let mut events = stage.controller.events();
    stage.tell(&mut events, changes).await;
    rejected(&mut events, &bad()).await;
    for number in 0..50 {
        let ask = Ask::get(&format!("host{number}.test"), "/");
        until_backend(&target, &ask, "green").await;
    }
    let reply = target.get("bad.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
}
