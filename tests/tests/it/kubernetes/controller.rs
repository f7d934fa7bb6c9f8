//! What a controller makes of the objects of a real API server, and what it says of them there.

use contour_core::observe::Report;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::stage::{
    KubernetesStage, NAMESPACE, Status, http, path, serve, settings, shop, status,
};
use contour_tests::kubernetes::{ADMIN, ApiServer, Options};
use contour_tests::stage::{until_backend, until_status};
use serde_json::json;

/// An API server with our CRDs and the namespaces of the tests, alone for the test that stops it.
pub(super) async fn server() -> Option<ApiServer> {
    let server = ApiServer::start(Options::default()).await?;
    let admin = server.admin();
    admin.install_crds().await;
    for namespace in [NAMESPACE, "demo"] {
        admin.namespace(namespace).await;
    }
    Some(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_routed_and_told_so() {
    let Some(server) = server().await else { return };
    let admin = server.admin();
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&admin, "demo", &[&blue, &green]).await;
    admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let stage = KubernetesStage::start(settings(server.kubeconfig(ADMIN))).await;
    let envoy = stage.envoy("envoy-1").await;
    let (target, ask) = (http(&envoy).await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;

    let shop_path = path("demo", "shop");
    let said = status(&admin, &shop_path, "it is programmed", Status::is_programmed).await;
    assert_eq!(
        (said.current(), &said.value["description"]),
        ("valid", &json!("valid IngressRoute"))
    );
    assert_eq!(said.condition("Accepted"), "True Accepted");
    assert_eq!(said.condition("ResolvedRefs"), "True ResolvedRefs");
    assert_eq!(said.message("Programmed"), "1 of 1 Envoys have acknowledged it");

    admin.apply_value(&shop("demo", "shop", "shop.test", &[("green", 1)])).await.unwrap();
    until_backend(&target, &ask, "green").await;
    status(&admin, &shop_path, "the change is programmed", Status::is_programmed).await;

    admin.apply_value(&shop("demo", "shop", "shop.test", &[("gren", 1)])).await.unwrap();
    let said = status(&admin, &shop_path, "the fault is told", |s| s.current() == "invalid").await;
    assert_eq!(said.condition("ResolvedRefs"), "False ServiceNotFound");
    assert!(
        said.message("ResolvedRefs")
            .starts_with(".spec.routes[0].services[0].name: Service [demo/gren:80]"),
        "{said:?}"
    );
    until_status(&target, &ask, 503).await;

    admin.delete(&shop_path).await.unwrap();
    until_status(&target, &ask, 404).await;
    stage.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_an_object_is_told_its_generation_and_since_when_all_have_it() {
    let Some(server) = server().await else { return };
    let admin = server.admin();
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&admin, "demo", &[&blue, &green]).await;
    let weighted =
        |blue, green| shop("demo", "shop", "shop.test", &[("blue", blue), ("green", green)]);
    admin.apply_value(&weighted(1, 1)).await.unwrap();
    let stage = KubernetesStage::start(settings(server.kubeconfig(ADMIN))).await;
    let _envoy = stage.envoy("envoy-1").await;
    let debug = Target::plain(stage.controller.bound().debug);
    // Once all have this generation.
    let report = async |generation: i64| {
        eventually("all have the generation", async || {
            let reply = debug.get("127.0.0.1", "/debug/observe/IngressRoute/demo/shop").await;
            let report: Report = serde_json::from_slice(&reply.unwrap().body).unwrap();
            let is_there = report.generation == Some(generation);
            (is_there && report.fleet.since_unix_millis.is_some()).then_some(report)
        })
        .await
    };
    let first = report(1).await;
    let object = admin.get(&path("demo", "shop")).await.unwrap();
    assert_eq!(object["metadata"]["uid"], json!(first.uid));
    let since = first.fleet.since_unix_millis;

    // What is written by others and does not concern Envoys is no news.
    let patch = json!({"metadata": {"annotations": {"note": "read me"}}});
    admin.merge(&path("demo", "shop"), &patch).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(report(1).await.fleet.since_unix_millis, since);
    admin.apply_value(&weighted(2, 1)).await.unwrap();
    let second = report(2).await;
    assert!(second.fleet.since_unix_millis > since, "{second:?}");

    // To Envoys these are the same weights, but not to those who wait for the generation.
    admin.apply_value(&weighted(4, 2)).await.unwrap();
    let third = report(3).await;
    assert!(third.fleet.since_unix_millis > second.fleet.since_unix_millis, "{third:?}");
    stage.controller.shutdown().await;
}
