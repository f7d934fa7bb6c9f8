//! What the controller may not read.

use std::time::Duration;

use contour_tests::backend::Backend;
use contour_tests::certificates::{authority, base64};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, http, path, serve, shop, status};
use contour_tests::load::Load;
use contour_tests::stage::{until_backend, until_status};
use serde_json::{Value, json};

const WATCHING: &str = "contour_kubernetes_watching{kind=\"Secret\"}";

fn role(namespace: &str, name: &str, groups: &[&str], resources: &[&str]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"namespace": namespace, "name": name},
        "rules": [{"apiGroups": groups, "resources": resources, "verbs": ["*"]}],
    })
}

async fn watching(stage: &KubernetesStage, wanted: bool) {
    eventually(&format!("{WATCHING} is {wanted}"), async || {
        (stage.metric(WATCHING).await == Some(f64::from(wanted))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_may_not_be_read_is_off_and_one_that_may_no_more_stays_as_it_was() {
    let Some(place) = Place::new("permission").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let blue = Backend::http("blue").await;
    serve(admin, namespace, &[&blue]).await;
    let pair = authority().leaf(&["tls.test"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": namespace, "name": "cert"},
        "data": {
            "tls.crt": base64(pair.certificate.as_bytes()),
            "tls.key": base64(pair.key.as_bytes()),
        },
    });
    admin.apply_value(&secret).await.unwrap();
    admin.apply_value(&shop(namespace, "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let mut tls = shop(namespace, "tls", "tls.test", &[("blue", 1)]);
    tls["spec"]["virtualhost"]["tls"] = json!({"secretName": "cert"});
    admin.apply_value(&tls).await.unwrap();

    let kubeconfig = place.server.service_account(namespace, "contour").await;
    let groups = ["", "contour.heptio.com", "discovery.k8s.io", "coordination.k8s.io"];
    let resources = ["services", "endpointslices", "leases", "ingressroutes"];
    let more = ["ingressroutes/status", "tlscertificatedelegations"];
    let most = role(namespace, "most", &groups, &[&resources[..], &more].concat());
    admin.apply_value(&most).await.unwrap();
    place.bind("contour", "Role", "most").await;
    let mut settings = place.settings(kubeconfig);
    settings.watch.watch.settle = Duration::from_millis(300);
    settings.watch.watch.look = Duration::from_millis(200);
    settings.watch.limits.watch = Duration::from_secs(1);
    let stage = KubernetesStage::start(settings).await;
    let envoy = stage.envoy("envoy-1").await;
    let target = http(&envoy).await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    watching(&stage, false).await;
    status(admin, &path(namespace, "tls"), "the Secret is missed", |s| {
        s.condition("ResolvedRefs").starts_with("False")
    })
    .await;

    // Granted, it is noticed.
    admin.apply_value(&role(namespace, "secrets", &[""], &["secrets"])).await.unwrap();
    place.bind("contour", "Role", "secrets").await;
    let https = Target::tls(envoy.listener("ingress_https").await, "tls.test");
    until_status(&https, &Ask::get("tls.test", "/"), 200).await;
    watching(&stage, true).await;
    status(admin, &path(namespace, "tls"), "it is well", Status::is_programmed).await;

    // Revoked, what was read stays in force, for new Envoys too.
    let load = Load::start(&https, &Ask::get("tls.test", "/"), 1);
    let bindings =
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
    admin.delete(&format!("{bindings}/contour-secrets")).await.unwrap();
    watching(&stage, false).await;
    let received = envoy.received().await;
    let late = stage.envoy("late").await;
    let late = Target::tls(late.listener("ingress_https").await, "tls.test");
    assert_eq!(late.get("tls.test", "/").await.unwrap().status, 200);
    assert_eq!(envoy.received().await, received);
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
