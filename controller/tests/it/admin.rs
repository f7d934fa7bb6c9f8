//! Health, metrics and `/debug` over real sockets.

use contour::config::Config;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::manifest;
use contour_core::pipeline::Change;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{PATIENCE, fetch, get, raw, route, service};

async fn start() -> (Controller, mpsc::Sender<Vec<Change>>) {
    let (sender, changes) = mpsc::channel(4);
    let config = Config::local(Source::Channel(changes));
    (Controller::start(config, Hooks::default()).await.unwrap(), sender)
}

fn changes(text: &str) -> Vec<Change> {
    manifest::read("test.yaml", text, manifest::Limits::default())
        .documents
        .into_iter()
        .map(|d| Change::Apply(Box::new(d.object.unwrap()), d.diagnostics.into()))
        .collect()
}

async fn with_objects() -> (Controller, mpsc::Sender<Vec<Change>>) {
    let (controller, sender) = start().await;
    let text = format!("{}---\n{}", service("blue", 80), route("shop", "blue"));
    sender.send(changes(&text)).await.unwrap();
    tokio::time::timeout(PATIENCE, controller.ready()).await.unwrap();
    (controller, sender)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_alive_at_once_and_ready_when_in_sync() {
    let (controller, sender) = start().await;
    let health = controller.bound().health;
    assert_eq!(fetch(health, "/healthz").await.status, 200);
    assert_eq!(fetch(health, "/health").await.status, 200);
    let waiting = fetch(health, "/readyz").await;
    assert_eq!(waiting.status, 503);
    assert!(waiting.body.contains("the source is not in sync yet"), "{waiting:?}");
    sender.send(Vec::new()).await.unwrap();
    tokio::time::timeout(PATIENCE, controller.ready()).await.unwrap();
    assert_eq!(fetch(health, "/readyz").await.body, "ready\n");
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_there_is() {
    let (controller, _sender) = with_objects().await;
    assert_eq!(controller.bound().metrics, controller.bound().health);
    let metrics = fetch(controller.bound().metrics, "/metrics").await;
    assert!(metrics.head.contains("application/openmetrics-text"), "{}", metrics.head);
    for line in [
        "contour_in_sync 1",
        "contour_revision 1",
        "contour_objects{kind=\"IngressRoute\"} 1",
        "contour_objects{kind=\"Service\"} 1",
        "contour_object_states{kind=\"IngressRoute\",state=\"valid\"} 1",
        "contour_resources{type=\"srds\"} 1",
        "contour_envoys 0",
        "contour_changes_total{operation=\"apply\"} 2",
    ] {
        assert!(metrics.body.lines().any(|l| l == line), "{line} in\n{}", metrics.body);
    }
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_may_have_an_address_of_their_own() {
    let (sender, changes) = mpsc::channel(4);
    let mut config = Config::local(Source::Channel(changes));
    config.listen.metrics.set_ip("127.0.0.2".parse().unwrap());
    let controller = Controller::start(config, Hooks::default()).await.unwrap();
    sender.send(Vec::new()).await.unwrap();
    let bound = controller.bound();
    assert_ne!(bound.metrics, bound.health);
    assert_eq!(fetch(bound.metrics, "/metrics").await.status, 200);
    assert_eq!(fetch(bound.metrics, "/healthz").await.status, 404);
    assert_eq!(fetch(bound.health, "/metrics").await.status, 404);
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_shows_an_object_and_what_it_became() {
    let (controller, _sender) = with_objects().await;
    let debug = controller.bound().debug;
    let list: Value = serde_json::from_str(&fetch(debug, "/debug/objects").await.body).unwrap();
    let kinds: Vec<_> = list["objects"].as_array().unwrap().iter().map(|o| &o["kind"]).collect();
    assert_eq!(kinds, ["IngressRoute", "Service"]);
    assert_eq!(list["objects"][0]["state"], "valid");
    let reply = fetch(debug, "/debug/object/ingressroute/demo/shop").await;
    let object: Value = serde_json::from_str(&reply.body).unwrap();
    let types: Vec<_> =
        object["resources"].as_array().unwrap().iter().map(|r| r["type"].as_str()).collect();
    assert!(types.contains(&Some("rds")) && types.contains(&Some("cds")), "{types:?}");
    let content = object["resources"][0]["content"].as_str().unwrap();
    assert!(content.starts_with("Cluster {"), "{content}");
    let reply = fetch(debug, "/debug/resources?type=lds").await;
    let resources: Value = serde_json::from_str(&reply.body).unwrap();
    assert!(!resources["resources"].as_array().unwrap().is_empty());
    let envoys: Value = serde_json::from_str(&fetch(debug, "/debug/envoys").await.body).unwrap();
    assert_eq!(envoys, json!({"revision": 1, "envoys": []}));
    let source: Value = serde_json::from_str(&fetch(debug, "/debug/source").await.body).unwrap();
    let held = json!({"objects": 0, "hosts": [], "envoys": [], "removed_in_seconds": null});
    assert_eq!(
        source,
        json!({"in_sync": true, "unread": [], "kept_for_seconds": null, "removals_held": held})
    );
    let version: Value = serde_json::from_str(&fetch(debug, "/debug/version").await.body).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["minimumEnvoy"], "1.37");
    for (path, status) in [
        ("/debug/object/IngressRoute/demo/none", 404),
        ("/debug/object/Nothing/demo/shop", 404),
        ("/debug/resources?type=x", 400),
        ("/metrics", 404),
        ("/debug/object", 404),
    ] {
        assert_eq!(fetch(debug, path).await.status, status, "{path}");
    }
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_get_is_served_and_debug_answers_to_its_own_address_alone() {
    let (controller, _sender) = with_objects().await;
    let bound = controller.bound();
    tokio::task::spawn_blocking(move || {
        for address in [bound.health, bound.debug] {
            let post = format!("POST /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(raw(address, &post).status, 405);
        }
        let rebound = "GET /debug/objects HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n";
        assert_eq!(raw(bound.debug, rebound).status, 403);
        let named = rebound.replace("evil.example.com", "localhost:1234");
        assert_eq!(raw(bound.debug, &named).status, 200);
        assert_eq!(get(bound.debug, "/debug/").status, 200);
    })
    .await
    .unwrap();
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_are_not_shown() {
    let (controller, sender) = start().await;
    let made = rcgen::generate_simple_self_signed(["tls.example.com".to_owned()]).unwrap();
    let indent = |text: &str| text.replace('\n', "\n    ");
    let key = made.signing_key.serialize_pem();
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: demo}}\ntype: kubernetes.io/tls\n\
         stringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n---\n{}---\n{}",
        indent(made.cert.pem().trim()),
        indent(key.trim()),
        service("blue", 80),
        route("tls", "blue")
            .replace("fqdn: tls.example.com", "fqdn: tls.example.com\n    tls: {secretName: cert}"),
    );
    sender.send(changes(&text)).await.unwrap();
    tokio::time::timeout(PATIENCE, controller.ready()).await.unwrap();
    let debug = controller.bound().debug;
    let reply = fetch(debug, "/debug/object/IngressRoute/demo/tls").await;
    let object: Value = serde_json::from_str(&reply.body).unwrap();
    let resources = object["resources"].as_array().unwrap();
    let secret = resources.iter().find(|r| r["type"] == "sds").expect("a secret");
    let content = secret["content"].as_str().unwrap();
    assert!(content.contains("BEGIN CERTIFICATE"), "{content}");
    assert!(content.contains("[redacted]"), "{content}");
    let other = fetch(debug, "/debug/object/Secret/demo/cert").await.body;
    let line = key.lines().nth(1).unwrap();
    for body in [&reply.body, &other] {
        assert!(!body.contains("PRIVATE KEY") && !body.contains(line), "{body}");
    }
    controller.shutdown().await;
}
