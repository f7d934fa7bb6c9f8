//! `kubectl contour install` on a real cluster: from nothing to traffic, and what is granted and
//! open then.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use contour_core::shift::state::{Deadman, Phase, Policy};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually_within;
use contour_tests::kubernetes::stage::{Status, path, shop, status};
use contour_tests::kubernetes::{Cluster, Image, Objects, shift};
use contour_tests::{program, stage};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::{LONG, address, backend};

/// The namespace of the installation.
pub(super) const NAMESPACE: &str = "projectcontour";

/// The images of the tests.
const IMAGES: &str = "image.contour.tag=test,image.envoy.tag=test,envoy.concurrency=1";

/// The installation, which the tests of this process share: one after the other, since each does
/// something to it.
pub(super) struct Edge {
    pub(super) cluster: &'static Cluster,
    pub(super) objects: Objects,
    _turn: MutexGuard<'static, ()>,
}

impl Edge {
    /// Waits for this test's turn, and installs if nobody has; `None` where there is no cluster with
    /// its node on this machine.
    pub(super) async fn enter() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let turn = TURN.lock().await;
        let cluster = Cluster::get().filter(|cluster| cluster.is_here())?;
        INSTALLED.get_or_init(async || install(cluster)).await;
        Some(Self { cluster, objects: cluster.objects(), _turn: turn })
    }

    /// Where clients come to.
    pub(super) async fn http(&self) -> Target {
        let envoy = format!("/api/v1/namespaces/{NAMESPACE}/services/envoy");
        let pointer = "/status/loadBalancer/ingress/0/ip";
        Target::plain(address(&self.objects, &envoy, pointer).await)
    }
}

/// Runs the plugin; what it writes to stdout and to stderr.
pub(super) fn plugin(cluster: &Cluster, arguments: &[&str]) -> (String, String) {
    let output = Command::new(program::plugin())
        .args(arguments)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
    (out, err)
}

fn install(cluster: &Cluster) {
    for image in [Image::Contour, Image::Envoy, Image::Backend] {
        cluster.load(image);
    }
    let (_, err) = plugin(cluster, &["install", "--wait", "--set", IMAGES]);
    for part in ["deployment.apps/contour is ready", "daemonset.apps/envoy is ready", "until ready"]
    {
        assert!(err.contains(part), "{part}: {err}");
    }
}

/// A Deployment and a Service for each of these backends, which run.
pub(super) fn backends(cluster: &Cluster, namespace: &str, names: &[&str], delay: u32) {
    for name in names {
        let environment = format!("value: {name}}}, {{name: BACKEND_DELAY, value: \"{delay}\"}}]");
        let manifest = backend(namespace, "ClusterIP").replace("blue", name);
        cluster.apply(&manifest.replace(&format!("value: {name}}}]"), &environment));
        let name = format!("deploy/{name}");
        cluster.kubectl(&["-n", namespace, "rollout", "status", &name, "--timeout=120s"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_cluster_to_traffic_and_the_second_time_nothing_changes() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    backends(cluster, "first", &["blue"], 0);
    objects.apply_value(&shop("first", "shop", "first.test", &[("blue", 1)])).await.unwrap();
    let ask = Ask::get("first.test", "/");
    stage::until_backend(&edge.http().await, &ask, "blue").await;
    let service = format!("/api/v1/namespaces/{NAMESPACE}/services/envoy");
    let service = objects.get(&service).await.unwrap();
    let port = service.pointer("/spec/ports/0/nodePort").and_then(Value::as_u64).unwrap();
    let nodes = objects.get("/api/v1/nodes").await.unwrap();
    let node =
        nodes.pointer("/items/0/status/addresses/0/address").and_then(Value::as_str).unwrap();
    let node: SocketAddr = format!("{node}:{port}").parse().unwrap();
    stage::until_backend(&Target::plain(node), &ask, "blue").await;

    let (out, _) = plugin(cluster, &["install", "--wait"]);
    assert!(out.lines().all(|line| line.ends_with(" unchanged")), "{out}");
    let (out, _) = plugin(cluster, &["install", "--dry-run=server", "--diff"]);
    assert_eq!(out, "");
    let namespace = objects.get(&format!("/api/v1/namespaces/{NAMESPACE}")).await.unwrap();
    let level = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(level, "restricted");
}

/// The address of a Pod of an application.
async fn pod(objects: &Objects, app: &str) -> String {
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{app}");
    let pods = objects.get(&pods).await.unwrap();
    pods.pointer("/items/0/status/podIP").and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_reaches_xds_administration_or_debugging() {
    let Some(edge) = Edge::enter().await else { return };
    let (contour, envoy) = (pod(&edge.objects, "contour").await, pod(&edge.objects, "envoy").await);
    let address = |host: &str, port: u16| SocketAddr::new(host.parse().unwrap(), port);
    let is_open = async |host: &str, port| TcpStream::connect(address(host, port)).await.is_ok();
    assert!(is_open(&contour, 8001).await && is_open(&contour, 8000).await);
    assert!(is_open(&envoy, 8080).await && is_open(&envoy, 8002).await);
    assert!(!is_open(&contour, 6060).await, "the debug endpoint is open");
    for port in [9001, 9901, 19000] {
        assert!(!is_open(&envoy, port).await, "port {port} of Envoy is open");
    }

    // With TLS, but without a certificate of one's own: the handshake of TLS 1.3 ends before the
    // server has seen that there is none, so the first answer tells.
    let xds = Target::tls(address(&contour, 8001), "contour").http2();
    let reply = xds.get("contour", "/").await;
    let error = format!("{:#}", reply.expect_err("xDS answers without a client certificate"));
    assert!(!error.contains("in time"), "{error}");

    for path in ["/config_dump", "/quitquitquit", "/certs", "/server_info", "/"] {
        let reply = Target::plain(address(&envoy, 8002)).get("envoy", path).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
    }
}

/// What roles of the installation grant: verb, group, resource.
async fn granted(objects: &Objects) -> BTreeSet<(String, String, String)> {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let mut rules = Vec::new();
    for path in [
        format!("{rbac}/clusterroles/{NAMESPACE}-contour"),
        format!("{rbac}/namespaces/{NAMESPACE}/roles"),
    ] {
        let answer = objects.get(&path).await.unwrap();
        let items = answer.get("items").and_then(Value::as_array).cloned();
        for role in items.unwrap_or_else(|| vec![answer.clone()]) {
            rules.extend(role["rules"].as_array().cloned().unwrap());
        }
    }
    let list = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in &rules {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                all.extend(
                    list(rule, "verbs").into_iter().map(|v| (v, group.clone(), resource.clone())),
                );
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_what_is_used() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    // An owner is told something: by status, also of a delegation, and by an Event.
    cluster.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: told}\n");
    objects.apply_value(&shop("told", "shop", "told.test", &[("absent", 1)])).await.unwrap();
    status(objects, &path("told", "shop"), "it says what is missing", |s| {
        s.value["currentStatus"] == "invalid"
    })
    .await;
    let delegation = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "TLSCertificateDelegation",
        "metadata": {"name": "told", "namespace": "told"},
        "spec": {"delegations": [{"secretName": "absent", "targetNamespaces": ["*"]}]},
    });
    objects.apply_value(&delegation).await.unwrap();
    rolled_back(&edge).await;
    rotate(cluster, "granted", "1s");
    let granted = granted(objects).await;
    assert!(granted.len() > 10, "{granted:?}");
    eventually_within(LONG, "all that is granted is used", async || {
        let audit = cluster.audit();
        let refused: Vec<_> = audit.requests.iter().filter(|r| r.code == 403).collect();
        assert!(refused.is_empty(), "{refused:?}");
        let used: BTreeSet<_> = audit
            .requests
            .iter()
            .filter(|r| !r.resource.is_empty())
            .map(|r| (r.verb.clone(), r.group.clone(), r.resource.clone()))
            .collect();
        let beyond: Vec<_> = used.difference(&granted).collect();
        assert!(beyond.is_empty(), "used, but not granted: {beyond:?}");
        // A server that streams lists is only watched; others have to be asked for pages.
        let is_streamed = |(verb, group, resource): &(String, String, String)| {
            verb == "list" && used.contains(&("watch".to_owned(), group.clone(), resource.clone()))
        };
        granted.difference(&used).all(is_streamed).then_some(())
    })
    .await;
}

/// A shift whose client is gone is taken back by the controller, as was agreed, and its owner told.
async fn rolled_back(edge: &Edge) {
    let Edge { cluster, objects, .. } = edge;
    let shop_of = ("shifted", "shop");
    backends(cluster, shop_of.0, &["blue", "green"], 0);
    let services = [("blue", 100), ("green", 0)];
    let before = shop(shop_of.0, shop_of.1, "shifted.test", &services);
    objects.apply_value(&before).await.unwrap();
    let path = path(shop_of.0, shop_of.1);
    status(objects, &path, "it is programmed", Status::is_programmed).await;
    let limit = Duration::from_secs(1);
    let policy = Policy { deadman: Some(Deadman::Revert(limit)), ..Policy::default() };
    shift::halfway(objects, shop_of, policy, &json!("baking")).await;
    let lease = shift::lease(shop_of, shift::CLIENT, Duration::from_mins(1));
    objects.apply_value(&lease).await.unwrap();
    let (after, cause) = eventually_within(LONG, "it is rolled back", async || {
        let route = objects.get(&path).await.ok()?;
        let Phase::RolledBack(cause) = shift::state(&route).progress.phase else { return None };
        Some((route, cause.words()))
    })
    .await;
    assert_eq!(cause, "asked for by deadman");
    assert_eq!(shift::weights(&after), [Some(100), Some(0)]);
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", shop_of.0);
    eventually_within(LONG, "an Event tells it", async || {
        let events = objects.get(&events).await.ok()?;
        let told = events["items"].as_array()?.iter().any(|event| {
            event["reason"] == "ShiftRolledBack"
                && event["regarding"]["uid"] == after["metadata"]["uid"]
        });
        told.then_some(())
    })
    .await;
    eventually_within(LONG, "the Lease is let go", async || {
        let lease = objects.get(&shift::lease_path(shop_of)).await.ok()?;
        (lease["spec"]["holderIdentity"] == "").then_some(())
    })
    .await;
    stage::until_backend(&edge.http().await, &Ask::get("shifted.test", "/"), "blue").await;
}

/// Runs the rotation of certificates now, with certificates that follow their authority after so
/// long.
pub(super) fn rotate(cluster: &Cluster, name: &str, settle: &str) {
    let name = format!("rotate-{name}-{}", std::process::id());
    let from = "--from=cronjob/contour-certgen";
    let job = ["-n", NAMESPACE, "create", "job", &name, from, "--dry-run=client", "-o", "json"];
    let job = cluster.kubectl(&job);
    assert!(job.contains("--settle=3m"), "{job}");
    cluster.apply(&job.replace("--settle=3m", &format!("--settle={settle}")));
    let job = format!("job/{name}");
    let wait = ["-n", NAMESPACE, "wait", "--for=condition=Complete", &job, "--timeout=300s"];
    cluster.kubectl(&wait);
}
