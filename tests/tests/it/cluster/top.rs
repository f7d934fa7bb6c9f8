//! What `top` shows of a real cluster with two Envoys is what clients sent.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually_within;
use contour_tests::kubernetes::Cluster;
use contour_tests::kubernetes::stage::shop;
use contour_tests::load::Load;
use contour_tests::{program, stage};
use serde_json::{Value, json};

use super::LONG;
use super::installed::{Edge, NAMESPACE, backends};

const WATCHED: &str = "watched";

/// Rates are compared over this time.
const WINDOW: Duration = Duration::from_secs(20);

fn top(cluster: &Cluster, arguments: &[&str]) -> Output {
    Command::new(program::plugin())
        .arg("top")
        .args(arguments)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .output()
        .unwrap()
}

fn frames(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let out = String::from_utf8_lossy(&output.stdout);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A second Envoy, as the `DaemonSet` has it, but for the ports of the node.
async fn second_envoy(edge: &Edge) {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/envoy");
    let set = edge.objects.get(&path).await.unwrap();
    let mut template = set["spec"]["template"].clone();
    for container in template["spec"]["containers"].as_array_mut().unwrap() {
        let ports = container.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            port.as_object_mut().unwrap().remove("hostPort");
        }
    }
    template["metadata"]["labels"]["second"] = json!("envoy");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "second-envoy", "namespace": NAMESPACE},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"second": "envoy"}}, "template": template},
    });
    edge.objects.apply_value(&deployment).await.unwrap();
    let wait = ["-n", NAMESPACE, "rollout", "status", "deploy/second-envoy", "--timeout=180s"];
    edge.cluster.kubectl(&wait);
}

async fn without_second_envoy(edge: &Edge) {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/second-envoy");
    edge.objects.delete(&path).await.unwrap();
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=second%3Denvoy");
    eventually_within(LONG, "the second Envoy is gone", async || {
        let pods = edge.objects.get(&pods).await.ok()?;
        pods["items"].as_array()?.is_empty().then_some(())
    })
    .await;
}

/// Where the Pods of all Envoys serve HTTP.
async fn envoys(edge: &Edge) -> Vec<SocketAddr> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Denvoy");
    let pods = edge.objects.get(&path).await.unwrap();
    let address = |pod: &Value| {
        let ip = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
        SocketAddr::new(ip, 8080)
    };
    pods["items"].as_array().unwrap().iter().map(address).collect()
}

fn unix_millis() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(0)
}

/// How many requests had begun at which times, until told to stop.
fn sample(
    loads: &Arc<Vec<Load>>,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<(u64, u64)>> {
    let (loads, stop) = (Arc::clone(loads), Arc::clone(stop));
    tokio::spawn(async move {
        let mut samples = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            samples.push((unix_millis(), loads.iter().map(Load::begun).sum()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        samples
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn sent(samples: &[(u64, u64)], end: u64) -> f64 {
    let window = u64::try_from(WINDOW.as_millis()).unwrap();
    let at = |time: u64| samples.iter().rev().find(|(at, _)| *at <= time).unwrap();
    let ((from, before), (to, after)) = (*at(end - window), *at(end));
    (after - before) as f64 * 1e3 / (to - from) as f64
}

fn route<'a>(frame: &'a Value, name: &str) -> &'a Value {
    let routes = frame["routes"].as_array().unwrap();
    routes.iter().find(|route| route["object"] == name).unwrap_or_else(|| panic!("{frame:#}"))
}

/// The process of a Pod's only container, by the id that its control group is named by.
fn process(cluster: &Cluster, app: &str) -> u32 {
    let selector = format!("-l=app={app}");
    let path = "-o=jsonpath={.items[0].status.containerStatuses[0].containerID}";
    let id = cluster.kubectl(&["-n", WATCHED, "get", "pods", &selector, path]);
    let (_, id) = id.trim().split_once("://").unwrap();
    let of_container = |pid: &u32| {
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
        group.is_ok_and(|group| group.contains(id))
    };
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(of_container).unwrap()
}

fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// An endpoint that does not answer any more is shown as Envoy finds it, with the reason, before
/// Kubernetes takes it away.
async fn a_dead_endpoint_shows(cluster: &'static Cluster) {
    let watching = tokio::task::spawn_blocking(move || {
        frames(&top(cluster, &["endpoints", "-b", "-n", "14", "-d", "1s", "-o", "ndjson"]))
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    let pid = process(cluster, "green");
    let stopped = unix_millis();
    signal(pid, "-STOP");
    let frames = watching.await.unwrap();
    signal(pid, "-CONT");
    let failed = |frame: &&Value| {
        let endpoints = frame["endpoints"].as_array().unwrap().iter();
        let mut green = endpoints.filter(|e| e["service"] == "watched/green:80");
        green.any(|e| e["reasons"].to_string().contains("failed_active_hc"))
    };
    let shown =
        frames.iter().find(failed).unwrap_or_else(|| panic!("{:#}", frames.last().unwrap()));
    let after = shown["unixMillis"].as_u64().unwrap() - stopped;
    println!("shown {after} ms after it stopped; its check may take 2 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_of_two_envoys_are_what_was_sent_and_a_dead_endpoint_shows() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    // Answers take 20 ms, so that the rate is steady.
    backends(cluster, WATCHED, &["blue", "green"], 20);
    second_envoy(&edge).await;
    let mut object = shop(WATCHED, "shop", "watched.test", &[("blue", 75), ("green", 25)]);
    for service in 0..2 {
        object["spec"]["routes"][0]["services"][service]["healthCheck"] = json!({
            "path": "/healthz", "intervalSeconds": 1, "timeoutSeconds": 1,
            "unhealthyThresholdCount": 1, "healthyThresholdCount": 1,
        });
    }
    objects.apply_value(&object).await.unwrap();
    let (target, ask) = (edge.http().await, Ask::get("watched.test", "/"));
    stage::until_backend(&target, &ask, "blue").await;
    let addresses = envoys(&edge).await;
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    let loads: Vec<_> =
        addresses.iter().map(|at| Load::start(&Target::plain(*at), &ask, 8)).collect();
    let loads = Arc::new(loads);
    let stop = Arc::new(AtomicBool::new(false));
    let counting = sample(&loads, &stop);
    let last = {
        let cluster = *cluster;
        let watched = tokio::task::spawn_blocking(move || {
            let seconds = (WINDOW.as_secs() + 4).to_string();
            let window = format!("{}s", WINDOW.as_secs());
            let flags = ["-b", "-n", &seconds, "-d", "1s", "--window", &window, "-o", "ndjson"];
            frames(&top(cluster, &flags))
        });
        watched.await.unwrap().pop().unwrap()
    };
    stop.store(true, Ordering::Relaxed);
    let samples = counting.await.unwrap();
    let shown = route(&last, "watched/shop");
    let rate = shown["requestsPerSecond"].as_f64().unwrap();
    let expected = sent(&samples, last["unixMillis"].as_u64().unwrap());
    println!("{rate:.1} requests a second shown, {expected:.1} sent");
    assert!((rate - expected).abs() <= expected * 0.02, "{rate} shown, {expected} sent");
    let of = |i: usize| shown["destinations"][i]["requestsPerSecond"].as_f64().unwrap() / rate;
    // Four standard deviations of some 10,000 requests.
    assert!((of(0) - 0.75).abs() < 0.02 && (of(1) - 0.25).abs() < 0.02, "{shown:#}");
    let p50 = shown["p50"].as_f64().unwrap();
    assert!((20.0..60.0).contains(&p50), "answers take 20 ms: {p50}");
    assert_eq!(last["coverage"]["envoys"], 2, "{:#}", last["coverage"]);
    assert_eq!(last["coverage"]["answered"], 2, "{:#}", last["coverage"]);
    let envoys = last["envoys"].as_array().unwrap();
    let busy = envoys.iter().filter(|e| e["requestsPerSecond"].as_f64().unwrap_or(0.0) > 1.0);
    assert_eq!(busy.count(), 2, "both Envoys serve: {envoys:#?}");
    let upstream = last["upstreams"].as_array().unwrap();
    assert!(upstream.iter().any(|u| u["service"] == "watched/green:80" && u["healthy"] == 1));
    let pods: Vec<_> = last["endpoints"].as_array().unwrap().iter().collect();
    let pods: Vec<_> = pods.iter().filter_map(|e| e["pod"].as_str()).collect();
    assert!(pods.iter().any(|pod| pod.starts_with("green-")), "{pods:?}");
    drop(loads);
    a_dead_endpoint_shows(cluster).await;
    without_second_envoy(&edge).await;
    objects.delete(&format!("/api/v1/namespaces/{WATCHED}")).await.unwrap();
}
