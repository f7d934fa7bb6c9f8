//! A real cluster of one node: Pods from images of this machine, Services, and its end.

#[path = "cluster/contour.rs"]
mod contour;
#[path = "cluster/installed.rs"]
mod installed;
#[path = "cluster/rolled.rs"]
mod rolled;
#[path = "cluster/shift.rs"]
mod shift;
#[path = "cluster/top.rs"]
mod top;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contour_tests::client::Target;
use contour_tests::envoy::eventually_within;
use contour_tests::kubernetes::{Cluster, Image, Objects, script};
use serde_json::json;

/// How long the components of a cluster may take to hear of each other.
const LONG: Duration = Duration::from_mins(2);

/// A Deployment of one backend, and a Service of this type.
fn backend(namespace: &str, kind: &str) -> String {
    let image = Image::Backend.reference();
    format!(
        "
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: blue, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: blue}}}}
  template:
    metadata: {{labels: {{app: blue}}}}
    spec:
      containers:
      - name: backend
        image: {image}
        imagePullPolicy: Never
        env: [{{name: BACKEND_NAME, value: blue}}]
        ports: [{{containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: blue, namespace: {namespace}}}
spec:
  type: {kind}
  selector: {{app: blue}}
  ports: [{{port: 80, targetPort: 8080}}]
"
    )
}

/// An address that a Service has been given, at port 80.
async fn address(objects: &Objects, path: &str, pointer: &str) -> SocketAddr {
    let address = eventually_within(LONG, pointer, async || {
        let service = objects.get(path).await.ok()?;
        service.pointer(pointer)?.as_str().map(str::to_owned)
    });
    SocketAddr::new(address.await.parse().unwrap(), 80)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_local_image_answers_at_the_addresses_of_its_service() {
    let Some(cluster) = Cluster::get() else { return };
    cluster.load(Image::Backend);
    let namespace = format!("answers-{}", std::process::id());
    cluster.apply(&backend(&namespace, "LoadBalancer"));
    cluster.kubectl(&["-n", &namespace, "rollout", "status", "deploy/blue", "--timeout=120s"]);
    let pods = cluster.kubectl(&["-n", &namespace, "get", "pods", "--no-headers"]);
    assert!(pods.contains("1/1") && pods.contains("Running"), "{pods}");

    if cluster.is_here() {
        let objects = cluster.objects();
        let service = format!("/api/v1/namespaces/{namespace}/services/blue");
        for pointer in ["/spec/clusterIP", "/status/loadBalancer/ingress/0/ip"] {
            let target = Target::plain(address(&objects, &service, pointer).await);
            // kube-proxy programs an address a moment after it is given.
            let reply =
                eventually_within(LONG, pointer, async || target.get("shop.test", "/a").await.ok())
                    .await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.echo()["backend"], "blue");
            assert_eq!(reply.echo()["path"], "/a");
        }
    }
    cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_and_envoy_run_from_their_images() {
    let Some(cluster) = Cluster::get() else { return };
    let namespace = format!("images-{}", std::process::id());
    cluster.kubectl(&["create", "namespace", &namespace]);
    for (image, name) in [(Image::Contour, "contour"), (Image::Envoy, "envoy")] {
        cluster.load(image);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": name, "image": image.reference(), "imagePullPolicy": "Never",
                "args": [if name == "envoy" { "--version" } else { "--help" }],
            }]},
        });
        cluster.apply(&pod.to_string());
        let pod = format!("pod/{name}");
        let wait = "--for=jsonpath={.status.phase}=Succeeded";
        cluster.kubectl(&["-n", &namespace, "wait", wait, &pod, "--timeout=120s"]);
        let log = cluster.kubectl(&["-n", &namespace, "logs", &pod]);
        assert!(log.contains(name), "{log}");
    }
    cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
}

#[test]
fn up_again_changes_nothing() {
    let Some(cluster) = Cluster::get() else { return };
    if !cluster.is_here() {
        return;
    }
    let run = cluster.kubeconfig().parent().unwrap();
    let before = processes(run);
    assert_eq!(before.len(), 8, "{before:?}");
    let up = Command::new(script()).arg("up").output().unwrap();
    assert!(up.status.success(), "{up:?}");
    assert_eq!(processes(run), before);
}

/// The components of a cluster that run, by what is written down of them.
fn processes(run: &Path) -> Vec<(String, u32)> {
    let mut found: Vec<_> = std::fs::read_dir(run)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(".pid")?.to_owned();
            let pid = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
            let runs = PathBuf::from(format!("/proc/{pid}")).exists();
            runs.then_some((name, pid))
        })
        .collect();
    found.sort();
    found
}
