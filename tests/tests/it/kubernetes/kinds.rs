//! Kinds that are missing, come and go, and objects that nobody can read.

use std::time::Duration;

use contour::config::Kubernetes;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{
    KubernetesStage, NAMESPACE, Status, http, path, serve, settings, shop, status,
};
use contour_tests::kubernetes::{ADMIN, ApiServer, CRDS, Options, refusal};
use contour_tests::load::Load;
use contour_tests::stage::{until_backend, until_status};
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

async fn watching(stage: &KubernetesStage, kind: &str, wanted: bool) {
    let name = format!("contour_kubernetes_watching{{kind=\"{kind}\"}}");
    eventually(&format!("{name} is {wanted}"), async || {
        (stage.metric(&name).await == Some(f64::from(wanted))).then_some(())
    })
    .await;
}

/// A missing kind is believed soon, and looked for often.
fn impatient(settings: &mut Kubernetes) {
    settings.watch.watch.settle = Duration::from_millis(300);
    settings.watch.watch.grace = Duration::from_secs(2);
    settings.watch.watch.look = Duration::from_millis(200);
    settings.watch.limits.watch = Duration::from_secs(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_may_be_missing_come_go_and_come_back() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let admin = server.admin();
    for namespace in [NAMESPACE, "demo"] {
        admin.namespace(namespace).await;
    }
    let blue = Backend::http("blue").await;
    serve(&admin, "demo", &[&blue]).await;
    let mut settings = settings(server.kubeconfig(ADMIN));
    impatient(&mut settings);
    let stage = KubernetesStage::start(settings).await;
    // It is ready without them, and says what is missing.
    let envoy = stage.envoy("envoy-1").await;
    for (kind, wanted) in
        [("IngressRoute", false), ("TLSCertificateDelegation", false), ("Service", true)]
    {
        watching(&stage, kind, wanted).await;
    }

    let (ask, route) =
        (Ask::get("shop.test", "/"), shop("demo", "shop", "shop.test", &[("blue", 1)]));
    for _ in 0..2 {
        admin.install_crds().await;
        watching(&stage, "IngressRoute", true).await;
        admin.apply_value(&route).await.unwrap();
        let target = http(&envoy).await;
        until_backend(&target, &ask, "blue").await;
        status(&admin, &path("demo", "shop"), "it is programmed", Status::is_programmed).await;

        // With the definition, the API server deletes the objects.
        for (_, name, collection) in CRDS {
            admin.delete(&format!("{DEFINITIONS}/{name}")).await.unwrap();
            eventually("the definition is gone", async || {
                let error = admin.get(collection).await.err()?;
                refusal(&error).is_some_and(|(code, _)| code == 404).then_some(())
            })
            .await;
        }
        until_status(&target, &ask, 404).await;
        watching(&stage, "IngressRoute", false).await;
        watching(&stage, "Service", true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_harms_nobody_else_and_can_be_mended() {
    let Some(server) = super::controller::server().await else { return };
    let admin = server.admin();
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&admin, "demo", &[&blue, &green]).await;
    // One field is wrong, so the rest can be told; of the other hardly anything is right.
    let mut old = shop("demo", "old", "old.test", &[("blue", 1)]);
    old["spec"]["routes"][0]["services"][0]["weight"] = json!("many");
    let mut new = shop("demo", "new", "new.test", &[]);
    new["spec"] = json!({"virtualhost": "no mapping", "routes": 7});
    admin.store_past_schema(&old).await;
    admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let stage = KubernetesStage::start(settings(server.kubeconfig(ADMIN))).await;
    let envoy = stage.envoy("envoy-1").await;
    let (target, ask) = (http(&envoy).await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    // Its owner reads what is wrong.
    let object = path("demo", "old");
    let said = status(&admin, &object, "the fault is told", |s| s.current() == "invalid").await;
    assert!(said.condition("Accepted").starts_with("False"), "{said:?}");
    assert!(said.message("Accepted").contains(".weight"), "{said:?}");
    // One that comes in the middle of a watch.
    admin.store_past_schema(&new).await;
    eventually("both are counted", async || {
        let count = "contour_changes_total{operation=\"undecodable\"}";
        (stage.metric(count).await? >= 2.0).then_some(())
    })
    .await;
    admin.apply_value(&shop("demo", "shop", "shop.test", &[("green", 1)])).await.unwrap();
    until_backend(&target, &ask, "green").await;

    // The API server takes no status for it: its owner is told by an Event.
    let object = admin.get(&path("demo", "new")).await.unwrap();
    eventually("an Event tells it", async || {
        let events = admin.get("/apis/events.k8s.io/v1/namespaces/demo/events").await.ok()?;
        let items = events["items"].as_array()?.clone();
        let is_about = |event: &Value| {
            event["regarding"]["uid"] == object["metadata"]["uid"]
                && event["note"].as_str().is_some_and(|note| note.contains(".spec.routes"))
        };
        items.iter().any(is_about).then_some(())
    })
    .await;
    eventually("that no status is taken is counted", async || {
        let count = "contour_status_writes_total{outcome=\"invalid\"}";
        (stage.metric(count).await? >= 1.0).then_some(())
    })
    .await;

    // One is mended, one is deleted.
    let mut mended = admin.get(&path("demo", "old")).await.unwrap();
    mended["spec"] = shop("demo", "old", "old.test", &[("blue", 1)])["spec"].clone();
    admin.replace(&path("demo", "old"), &mended).await.unwrap();
    until_backend(&target, &Ask::get("old.test", "/"), "blue").await;
    status(&admin, &path("demo", "old"), "it is well", |s| s.current() == "valid").await;
    admin.delete(&path("demo", "new")).await.unwrap();
    eventually("nothing is left of the other", async || {
        let count = "contour_object_states{kind=\"IngressRoute\",state=\"invalid\"}";
        (stage.metric(count).await.unwrap_or_default() < 1.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_flaps_harms_no_other() {
    let Some(place) = Place::new("steady").await else { return };
    place.admin.namespace("flapping").await;
    let admin = &place.admin;
    let blue = Backend::http("blue").await;
    serve(admin, "steady", &[&blue]).await;
    admin.apply_value(&shop("steady", "shop", "steady.test", &[("blue", 1)])).await.unwrap();
    let mut settings = place.settings(place.server.kubeconfig(ADMIN));
    settings.watch_namespaces.push("flapping".into());
    let stage = KubernetesStage::start(settings).await;
    let envoy = stage.envoy("envoy-1").await;
    let (target, ask) = (http(&envoy).await, Ask::get("steady.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 2);
    let all: Vec<Value> =
        contour_tests::kubernetes::stage::behind("flapping", "blue", &[blue.address])
            .into_iter()
            .chain([shop("flapping", "shop", "flapping.test", &[("blue", 1)])])
            .collect();
    for _ in 0..15 {
        for object in &all {
            admin.apply_value(object).await.unwrap();
        }
        load.more(10).await;
        for object in &all {
            admin.delete(&admin.path(object).await.unwrap()).await.unwrap();
        }
    }
    until_status(&target, &Ask::get("flapping.test", "/"), 404).await;
    for object in &all {
        admin.apply_value(object).await.unwrap();
    }
    until_backend(&target, &Ask::get("flapping.test", "/"), "blue").await;
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
