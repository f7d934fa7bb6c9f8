//! The controller is killed, and comes back.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use contour_tests::backend::Backend;
use contour_tests::certificates::authority;
use contour_tests::client::Ask;
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::load::Load;
use contour_tests::stage::{bootstrap, until_backend, until_status};
use contour_tests::worlds::cases;
use contour_tests::{client::Target, program};
use serde_json::{Value, json};

use super::host;

/// A `contour serve`, killed when dropped.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(source: &Path, xds: u16) -> Self {
        let child = Command::new(program::contour())
            .args(["serve", "--insecure", "--xds-address=127.0.0.1"])
            .args(["--envoy-service-http-address=127.0.0.1", "--envoy-service-http-port=0"])
            .args(["--envoy-service-https-address=127.0.0.1", "--envoy-service-https-port=0"])
            .args(["--stats-address=127.0.0.1", "--stats-port=0"])
            .args(["--envoy-http-access-log=", "--envoy-https-access-log="])
            .args(["--health-address=127.0.0.1", "--health-port=0"])
            .args(["--http-address=127.0.0.1", "--http-port=0", "--debug-http-port=0"])
            .arg(format!("--xds-port={xds}"))
            .arg("--source")
            .arg(source)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; it may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A Service on port 80 and its endpoint, as a manifest.
pub(super) fn service(name: &str, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: demo}}\n\
         spec: {{ports: [{{port: 80}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, namespace: demo, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nendpoints: [{{addresses: [\"{ip}\"]}}]\n\
         ports: [{{name: \"\", port: {port}}}]\n"
    )
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The bootstrap of an Envoy that comes back soon after a controller has gone.
pub(crate) fn impatient(xds: u16) -> Value {
    let mut bootstrap = bootstrap(xds, "envoy");
    let backoff = "/dynamic_resources/ads_config/grpc_services/0/envoy_grpc/retry_policy";
    *bootstrap.pointer_mut(backoff).unwrap() =
        json!({"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.2s"}});
    bootstrap
}

pub(super) async fn connected(envoy: &Envoy) {
    eventually("Envoy is connected to the controller", async || {
        (envoy.stat("control_plane.connected_state").await == Some(1)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_again_and_again_costs_no_request_and_resends_nothing() {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    let dir = tempfile::tempdir().unwrap();
    let pair = authority().leaf(&["tls.test"]);
    let secret = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: demo}}\n\
         type: kubernetes.io/tls\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        pair.certificate.trim().replace('\n', "\n    "),
        pair.key.trim().replace('\n', "\n    "),
    );
    let tls = host("tls", "blue").replace(
        "virtualhost: {fqdn: tls.test}",
        "virtualhost: {fqdn: tls.test, tls: {secretName: cert}}",
    );
    let objects =
        [service("blue", blue.address), service("green", green.address), secret, tls].concat();
    std::fs::write(dir.path().join("objects.yaml"), objects).unwrap();
    let route = dir.path().join("route.yaml");
    std::fs::write(&route, host("shop", "blue")).unwrap();

    let port = free_port();
    let mut controller = Process::start(dir.path(), port);
    let envoy = Envoy::start(&impatient(port)).unwrap();
    let target = Target::plain(envoy.listener("ingress_http").await);
    let https = Target::tls(envoy.listener("ingress_https").await, "tls.test");
    let (ask, tls_ask) = (Ask::get("shop.test", "/"), Ask::get("tls.test", "/"));
    until_backend(&target, &ask, "blue").await;
    until_status(&https, &tls_ask, 200).await;
    let before = envoy.received().await;
    assert!(before.len() >= 6, "{before:?}");

    let load = Load::start(&target, &ask, 2);
    let tls_load = Load::start(&https, &tls_ask, 1);
    for _ in 0..cases("CONTOUR_RESTARTS", 50, 500) {
        drop(controller);
        eventually("Envoy has noticed", async || {
            (envoy.stat("control_plane.connected_state").await == Some(0)).then_some(())
        })
        .await;
        controller = Process::start(dir.path(), port);
        connected(&envoy).await;
        load.more(20).await;
    }
    assert_eq!(envoy.received().await, before);
    // It goes on from there.
    let new = dir.path().join("new");
    std::fs::write(&new, host("shop", "green")).unwrap();
    std::fs::rename(new, &route).unwrap();
    until_backend(&target, &ask, "green").await;
    for tally in [load.stop().await, tls_load.stop().await] {
        assert!(tally.requests > 500, "{tally:?}");
        assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    }
    drop(controller);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_the_controller_was_down_is_gone_when_it_is_back() {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    let dir = tempfile::tempdir().unwrap();
    let objects = [service("blue", blue.address), service("green", green.address)].concat();
    std::fs::write(dir.path().join("objects.yaml"), objects).unwrap();
    for name in ["stays", "goes", "moves"] {
        let file = dir.path().join(format!("{name}.yaml"));
        std::fs::write(file, host(name, "blue")).unwrap();
    }
    let port = free_port();
    let controller = Process::start(dir.path(), port);
    let envoy = Envoy::start(&bootstrap(port, "envoy")).unwrap();
    let target = Target::plain(envoy.listener("ingress_http").await);
    for name in ["stays", "goes", "moves"] {
        until_backend(&target, &Ask::get(&format!("{name}.test"), "/"), "blue").await;
    }
    drop(controller);
    std::fs::remove_file(dir.path().join("goes.yaml")).unwrap();
    std::fs::write(dir.path().join("moves.yaml"), host("moves", "green")).unwrap();
    let reply = target.get("goes.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));

    let _controller = Process::start(dir.path(), port);
    until_status(&target, &Ask::get("goes.test", "/"), 404).await;
    until_backend(&target, &Ask::get("moves.test", "/"), "green").await;
    let reply = target.get("stays.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
}
