//! The program `contour serve` against an API server that is not there, or not as it should be.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use contour_tests::client::Target;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::faults::Proxy;
use contour_tests::kubernetes::free_port;
use contour_tests::kubernetes::place::Place;
use contour_tests::program;
use serde_json::json;

/// `contour serve` that finds the API server by a kubeconfig, on these ports of 127.0.0.1.
fn serve(kubeconfig: &Path, xds: u16, health: u16) -> Command {
    let mut command = Command::new(program::contour());
    command
        .args(["serve", "--insecure", "--xds-address=127.0.0.1"])
        .args(["--envoy-service-http-address=127.0.0.1", "--envoy-service-http-port=0"])
        .args(["--envoy-service-https-address=127.0.0.1", "--envoy-service-https-port=0"])
        .args(["--stats-address=127.0.0.1", "--stats-port=0", "--debug-http-port=0"])
        .args(["--health-address=127.0.0.1", "--http-address=127.0.0.1"])
        .args([format!("--xds-port={xds}"), format!("--health-port={health}")])
        .arg(format!("--http-port={health}"))
        .env("KUBECONFIG", kubeconfig)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdin(Stdio::null());
    command
}

/// A kubeconfig that leads to a port of 127.0.0.1.
fn leading_to(port: u16) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": ""}}],
    });
    config.to_string()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The kubeconfig of a user who may read everything, everywhere, and write nothing: the program
/// reads all Namespaces, and other tests own most of them.
async fn reader(place: &Place) -> PathBuf {
    let namespace = place.namespace;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": namespace},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace,
        },
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    });
    for object in [role, binding] {
        place.admin.apply_value(&object).await.unwrap();
    }
    place.server.service_account(namespace, "reader").await
}

/// How it ended, and what it said.
async fn ended(mut command: Command) -> Output {
    let running = tokio::task::spawn_blocking(move || command.output());
    let ended = tokio::time::timeout(contour_tests::client::PATIENCE, running).await;
    ended.expect("it ends").unwrap().unwrap()
}

/// A program, killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_cannot_be_used_and_a_port_in_use_end_it_with_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    for text in [None, Some("clusters: 7"), Some("- no: kubeconfig"), Some("current-context: x")] {
        match text {
            Some(text) => std::fs::write(&kubeconfig, text).unwrap(),
            None => assert!(!kubeconfig.exists()),
        }
        let output = ended(serve(&kubeconfig, 0, 0)).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text:?}: {said}");
        assert!(said.contains("kubeconfig"), "{text:?}: {said}");
        assert!(output.stdout.is_empty());
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::write(&kubeconfig, leading_to(port)).unwrap();
    let output = ended(serve(&kubeconfig, port, 0)).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains(&port.to_string()) && said.contains("--xds-port"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_an_api_server_that_is_not_there_yet() {
    let Some(place) = Place::new("waiting").await else { return };
    let [api, health, xds] = [0; 3].map(|_| free_port());
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, leading_to(api)).unwrap();
    let mut command = serve(&kubeconfig, xds, health);
    let mut process = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let target = Target::plain(local(health));
    let code = async |path: &str| {
        let reply = target.get("localhost", path).await.ok()?;
        Some(reply.status)
    };
    eventually("it is alive", async || (code("/healthz").await == Some(200)).then_some(())).await;
    let failures = "contour_kubernetes_requests_total{kind=\"Secret\",request=\"failure\"}";
    eventually("it has asked in vain", async || {
        let text = target.get("localhost", "/metrics").await.ok()?;
        let text = String::from_utf8_lossy(&text.body).into_owned();
        let line = text.lines().find_map(|l| l.strip_prefix(failures))?;
        (line.trim().parse::<f64>().ok()? >= 3.0).then_some(())
    })
    .await;
    assert_eq!((code("/healthz").await, code("/readyz").await), (Some(200), Some(503)));
    // Envoys that ask now would lose what they have.
    assert!(tokio::net::TcpStream::connect(local(xds)).await.is_ok(), "the port is bound");
    assert_eq!(process.0.try_wait().unwrap(), None);

    let user = reader(&place).await;
    let _proxy = Proxy::start_at(&user, local(api)).await;
    eventually("it is ready", async || (code("/readyz").await == Some(200)).then_some(())).await;
    assert_eq!(process.0.try_wait().unwrap(), None);
}
