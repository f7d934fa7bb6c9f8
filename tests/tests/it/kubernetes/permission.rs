//! What the controller may not read.

use std::path::PathBuf;
use std::time::Duration;

use contour_tests::backend::Backend;
use contour_tests::certificates::{authority, base64};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::kubernetes::Objects;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, http, path, serve, shop, status};
use contour_tests::load::Load;
use contour_tests::stage::{options, until_backend, until_status};
use serde_json::{Value, json};

use crate::fault::restart::{free_port, impatient};

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

/// Kinds of which a missing permission would take a route away.
const KINDS: [&str; 3] = ["ingressroutes", "services", "endpointslices"];

/// A user for a controller, who is granted each of `kinds` by a Role of its own, and what it always
/// needs. Returns the kubeconfig.
async fn contour_may_read(place: &Place, kinds: &[&str]) -> PathBuf {
    let (admin, namespace) = (&place.admin, place.namespace);
    let kubeconfig = place.server.service_account(namespace, "contour").await;
    let always = ["leases", "secrets", "ingressroutes/status", "tlscertificatedelegations"];
    let groups = ["", "contour.heptio.com", "discovery.k8s.io", "coordination.k8s.io"];
    admin.apply_value(&role(namespace, "always", &groups, &always)).await.unwrap();
    place.bind("contour", "Role", "always").await;
    for kind in kinds {
        admin.apply_value(&role(namespace, kind, &groups, &[kind])).await.unwrap();
        place.bind("contour", "Role", kind).await;
    }
    kubeconfig
}

/// Where the objects of one of [`KINDS`] are listed.
fn list(namespace: &str, kind: &str) -> String {
    let group = match kind {
        "ingressroutes" => "apis/contour.heptio.com/v1beta1",
        "endpointslices" => "apis/discovery.k8s.io/v1",
        _ => "api/v1",
    };
    format!("/{group}/namespaces/{namespace}/{kind}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_starts_without_a_permission_takes_nothing_from_an_envoy() {
    let Some(place) = Place::new("unread").await else { return };
    let (admin, namespace) = (&place.admin, place.namespace);
    let blue = Backend::http("blue").await;
    serve(admin, namespace, &[&blue]).await;
    admin.apply_value(&shop(namespace, "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let kubeconfig = contour_may_read(&place, &KINDS).await;
    let port = free_port();
    let start = async || {
        let mut settings = place.settings(kubeconfig.clone());
        settings.watch.watch.settle = Duration::from_millis(300);
        settings.watch.watch.look = Duration::from_millis(200);
        let options =
            contour_core::pipeline::Options { allow_loopback_endpoints: false, ..options() };
        KubernetesStage::at(port, settings, options, None).await
    };
    let mut stage = start().await;
    let envoy = Envoy::start(&impatient(port)).unwrap();
    let (target, ask) = (http(&envoy).await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 1);
    let unread = async |stage: &KubernetesStage, wanted: u8| {
        eventually(&format!("{wanted} kinds are unread"), async || {
            let unread = stage.metric("contour_source_unread").await;
            (unread == Some(f64::from(wanted))).then_some(())
        })
        .await;
    };
    let bindings =
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
    let own = Objects::of_kubeconfig(&kubeconfig);
    for (round, kind) in KINDS.into_iter().enumerate() {
        stage.controller.shutdown().await;
        admin.delete(&format!("{bindings}/contour-{kind}")).await.unwrap();
        eventually("the permission is gone", async || {
            own.get(&list(namespace, kind)).await.is_err().then_some(())
        })
        .await;
        stage = start().await;
        stage.controller.ready().await;
        unread(&stage, 1).await;
        // What is new and has nothing to do with it is served: the Envoy has come back.
        if kind == "endpointslices" {
            let name = format!("new{round}");
            let host = format!("{name}.test");
            admin.apply_value(&shop(namespace, &name, &host, &[("missing", 1)])).await.unwrap();
            until_status(&target, &Ask::get(&host, "/"), 503).await;
        } else {
            eventually("the Envoy has come back", async || {
                (stage.controller.envoys().len() == 1).then_some(())
            })
            .await;
        }
        load.more(100).await;
        place.bind("contour", "Role", kind).await;
        unread(&stage, 0).await;
        load.more(100).await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    // It has not stopped taking away what is gone.
    admin.delete(&path(namespace, "shop")).await.unwrap();
    until_status(&target, &ask, 404).await;
    stage.controller.shutdown().await;
}
