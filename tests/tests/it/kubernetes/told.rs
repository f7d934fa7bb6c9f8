//! What owners are told in the status of their objects and by Events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contour_core::pipeline::Options;
use contour_core::xds::{Resource, ResourceType};
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, http, path, serve, shop, status};
use contour_tests::stage::{options, until_backend};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use prost::Message as _;
use serde_json::{Value, json};

/// Makes Envoy reject, while switched on, what the host `bad.test` is turned into: two virtual
/// hosts with one domain.
fn spoiler(on: &Arc<AtomicBool>) -> contour::serve::Rewrite {
    let on = Arc::clone(on);
    Arc::new(move |resource: &Resource| {
        let is_bad =
            resource.key.kind == ResourceType::Route && resource.key.name.contains("bad.test");
        if !is_bad || !on.load(Ordering::SeqCst) {
            return None;
        }
        let mut routes = RouteConfiguration::decode(resource.body.clone()).ok()?;
        let twin = routes.virtual_hosts.first()?.clone();
        routes.virtual_hosts.push(twin);
        let requires = resource.requires.to_vec();
        Some(Resource::new(resource.key.clone(), routes.encode_to_vec(), requires))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_envoy_rejects_is_told_with_the_envoy_and_its_words() {
    let Some(place) = Place::new("rejection").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(admin, namespace, &[&blue, &green]).await;
    let on = Arc::new(AtomicBool::new(false));
    let options = Options { allow_loopback_endpoints: false, ..options() };
    let settings = place.settings(place.user("contour").await);
    let stage = KubernetesStage::with(settings, options, Some(spoiler(&on))).await;
    let envoy = stage.envoy("envoy-1").await;
    for name in ["bad", "good"] {
        let route = shop(namespace, name, &format!("{name}.test"), &[("blue", 1)]);
        admin.apply_value(&route).await.unwrap();
        status(admin, &path(namespace, name), "it is programmed", Status::is_programmed).await;
    }

    on.store(true, Ordering::SeqCst);
    for name in ["bad", "good"] {
        let route = shop(namespace, name, &format!("{name}.test"), &[("green", 1)]);
        admin.apply_value(&route).await.unwrap();
    }
    let said = status(admin, &path(namespace, "bad"), "the rejection is told", |s| {
        s.condition("Programmed") == "False Rejected"
    })
    .await;
    let message = said.message("Programmed");
    assert!(message.contains("envoy-1") && message.to_lowercase().contains("domain"), "{message}");
    // The object itself is right.
    assert_eq!((said.current(), &*said.condition("Accepted")), ("valid", "True Accepted"));
    status(admin, &path(namespace, "good"), "the other goes on", Status::is_programmed).await;
    let target = http(&envoy).await;
    until_backend(&target, &Ask::get("good.test", "/"), "green").await;
    until_backend(&target, &Ask::get("bad.test", "/"), "blue").await;
    let object = admin.get(&path(namespace, "bad")).await.unwrap();
    eventually("an Event tells it", async || {
        let events = place.events(&object).await;
        let told = events.iter().any(|(reason, kind, note)| {
            reason == "EnvoyRejected" && kind == "Warning" && note.contains("envoy-1")
        });
        told.then_some(())
    })
    .await;
    let good = admin.get(&path(namespace, "good")).await.unwrap();
    assert_eq!(place.events(&good).await, []);

    on.store(false, Ordering::SeqCst);
    let mut route = shop(namespace, "bad", "bad.test", &[("green", 1)]);
    route["spec"]["routes"][0]["match"] = json!("/x");
    admin.apply_value(&route).await.unwrap();
    status(admin, &path(namespace, "bad"), "it recovers", Status::is_programmed).await;
    until_backend(&target, &Ask::get("bad.test", "/x"), "green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_a_new_object_and_its_end_are_told_by_events() {
    let Some(place) = Place::new("findings").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let blue = Backend::http("blue").await;
    serve(admin, namespace, &[&blue]).await;
    let mut settings = place.settings(place.user("contour").await);
    settings.election = None;
    let stage = KubernetesStage::start(settings).await;
    let _envoy = stage.envoy("envoy-1").await;
    let wrong = shop(namespace, "shop", "findings.test", &[("bleu", 1)]);
    let object = admin.apply_value(&wrong).await.unwrap();
    status(admin, &path(namespace, "shop"), "the fault is told", |s| s.current() == "invalid")
        .await;
    eventually("an Event tells the fault", async || {
        let events = place.events(&object).await;
        let told = events.iter().any(|(reason, kind, note)| {
            reason == "ServiceNotFound" && kind == "Warning" && note.contains("bleu")
        });
        told.then_some(())
    })
    .await;
    let right = shop(namespace, "shop", "findings.test", &[("blue", 1)]);
    admin.apply_value(&right).await.unwrap();
    eventually("an Event tells its end", async || {
        let events = place.events(&object).await;
        events.iter().any(|(reason, kind, _)| reason == "Mended" && kind == "Normal").then_some(())
    })
    .await;
    assert_eq!(place.events(&object).await.len(), 2);
}

/// The addresses in the status of an IngressRoute.
fn addresses(status: &Value) -> Value {
    status.pointer("/loadBalancer/ingress").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_of_the_service_are_those_of_what_is_served() {
    let Some(place) = Place::new("addresses").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let blue = Backend::http("blue").await;
    serve(admin, namespace, &[&blue]).await;
    let stage = KubernetesStage::start(place.settings(place.user("contour").await)).await;
    let _envoy = stage.envoy("envoy-1").await;
    let root = shop(namespace, "root", "addresses.test", &[("blue", 1)]);
    admin.apply_value(&root).await.unwrap();
    let mut child = shop(namespace, "orphan", "unused.test", &[("blue", 1)]);
    child["spec"].as_object_mut().unwrap().remove("virtualhost");
    admin.apply_value(&child).await.unwrap();
    let root = path(namespace, "root");
    let said = status(admin, &root, "it is programmed", Status::is_programmed).await;
    assert_eq!(addresses(&said.value), Value::Null);

    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": "envoy"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    });
    admin.apply_value(&service).await.unwrap();
    let of_service = format!("/api/v1/namespaces/{namespace}/services/envoy");
    for ingress in [
        json!([{"ip": "198.51.100.1"}]),
        json!([{"ip": "198.51.100.2"}, {"hostname": "lb.example.test"}]),
    ] {
        let fields = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        admin.merge(&format!("{of_service}/status"), &fields).await.unwrap();
        // The API server adds how an address is meant; we say which.
        status(admin, &root, "the addresses are told", |s| addresses(&s.value) == ingress).await;
    }
    let orphan = status(admin, &path(namespace, "orphan"), "the orphan is told", |s| {
        s.current() == "orphaned"
    })
    .await;
    assert_eq!(addresses(&orphan.value), Value::Null);
    admin.delete(&of_service).await.unwrap();
    status(admin, &root, "they are gone", |s| addresses(&s.value).is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_of_certificates_has_its_condition() {
    let Some(place) = Place::new("delegation").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let stage = KubernetesStage::start(place.settings(place.user("contour").await)).await;
    let _envoy = stage.envoy("envoy-1").await;
    let delegation = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "TLSCertificateDelegation",
        "metadata": {"namespace": namespace, "name": "all"},
        "spec": {"delegations": [{"secretName": "cert", "targetNamespaces": ["*"]}]},
    });
    admin.apply_value(&delegation).await.unwrap();
    let delegation = admin.path(&delegation).await.unwrap();
    let said = status(admin, &delegation, "it is told", |s| !s.condition("Accepted").is_empty());
    let said = said.await;
    // Of a delegation nothing is made for Envoys, and it is no host.
    assert_eq!(said.condition("Programmed"), "");
    assert_eq!(said.value.get("currentStatus"), None);
    assert_eq!(said.condition("Accepted"), "True Accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_concern_nobody_cost_no_work_and_no_word_to_envoys() {
    let Some(place) = Place::new("unrelated").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(admin, namespace, &[&blue, &green]).await;
    let route = |service| shop(namespace, "shop", "unrelated.test", &[(service, 1)]);
    admin.apply_value(&route("blue")).await.unwrap();
    let stage = KubernetesStage::start(place.settings(place.user("contour").await)).await;
    let envoy = stage.envoy("envoy-1").await;
    let (target, ask) = (http(&envoy).await, Ask::get("unrelated.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let shop = path(namespace, "shop");
    status(admin, &shop, "it is programmed", Status::is_programmed).await;

    let units = stage.metric("contour_units_total").await.unwrap();
    let received = envoy.received().await;
    let writes = place.audit("contour").filter(|r| r.resource != "leases").writes();
    let secrets = "contour_objects{kind=\"Secret\"}";
    let before = stage.metric(secrets).await.unwrap_or_default();
    let mut creating = tokio::task::JoinSet::new();
    for worker in 0..8_u32 {
        let admin = admin.clone();
        creating.spawn(async move {
            for number in (worker..1000).step_by(8) {
                for (version, kind, plural) in
                    [("v1", "Secret", "secrets"), ("v1", "ConfigMap", "configmaps")]
                {
                    let object = json!({
                        "apiVersion": version, "kind": kind,
                        "metadata": {"name": format!("unrelated-{number}")},
                    });
                    let into = format!("/api/v1/namespaces/{namespace}/{plural}");
                    admin.create(&into, &object).await.unwrap();
                }
            }
        });
    }
    creating.join_all().await;
    // That they came is seen; Secrets of other types are not even sent.
    eventually("all have been heard of", async || {
        (stage.metric(secrets).await? >= before + 1000.0).then_some(())
    })
    .await;
    assert_eq!(stage.metric("contour_units_total").await, Some(units));
    assert_eq!(envoy.received().await, received);
    assert_eq!(place.audit("contour").filter(|r| r.resource != "leases").writes(), writes);
    admin.apply_value(&route("green")).await.unwrap();
    until_backend(&target, &ask, "green").await;
}
