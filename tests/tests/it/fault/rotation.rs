//! `contour certgen` makes certificates by which a controller and an Envoy know each other, and
//! makes them anew while both are at work.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use contour::bootstrap::{Admin, Bootstrap};
use contour::config::{Config, TlsFiles, XdsSecurity};
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::pipeline::Change;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{ADMIN, Envoy};
use contour_tests::load::Load;
use contour_tests::program;
use contour_tests::stage::{acknowledged, behind, options, read, until_backend};
use contour_tests::worlds::applications;
use tokio::sync::mpsc;

use super::host;

fn certgen(directory: &Path, flags: &[&str]) {
    let output = Command::new(program::contour())
        .arg("certgen")
        .arg(directory)
        .arg("--pem")
        .args(flags)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn files(directory: &Path, side: &str) -> TlsFiles {
    TlsFiles {
        ca: directory.join("cacert.pem"),
        certificate: directory.join(format!("{side}cert.pem")),
        key: directory.join(format!("{side}key.pem")),
    }
}

async fn controller(certs: &Path, port: u16) -> (Controller, mpsc::Sender<Vec<Change>>) {
    let (sender, changes) = mpsc::channel(1);
    let mut config = Config::local(Source::Channel(changes));
    config.options = options();
    config.listen.xds = SocketAddr::from(([127, 0, 0, 1], port));
    config.security = XdsSecurity::Mutual(files(certs, "contour"));
    (Controller::start(config, Hooks::default()).await.unwrap(), sender)
}

/// An Envoy that looks at its files again when they change.
fn envoy(port: u16, node: &str, tls: TlsFiles, resources: &Path) -> Envoy {
    let bootstrap = Bootstrap {
        tls: Some(tls),
        resources: Some(resources.to_path_buf()),
        ..Bootstrap::local(Admin::Socket(ADMIN.into()), port, node)
    };
    let rendered = bootstrap.render();
    for (path, value) in rendered.files {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }
    Envoy::start(&rendered.config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_made_anew_while_an_envoy_is_served_and_it_connects_again_with_them() {
    let (certs, resources) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certgen(certs.path(), &[]);
    let (mut running, mut sender) = controller(certs.path(), 0).await;
    let port = running.bound().xds.port();
    let mut events = running.events();
    let blue = Backend::http("blue").await;
    let mut world = read(&host("shop", "blue"));
    world.extend(applications(&behind("demo", "blue", &[&blue])));
    sender.send(world.clone()).await.unwrap();
    let envoy = envoy(port, "one", files(certs.path(), "envoy"), resources.path());
    acknowledged(&mut events, "one", 1).await;
    let http = Target::plain(envoy.listener("ingress_http").await);
    let ask = Ask::get("shop.test", "/");
    until_backend(&http, &ask, "blue").await;

    let load = Load::start(&http, &ask, 2);
    for round in 0..3 {
        certgen(certs.path(), &["--overwrite"]);
        // The connection that is open goes on.
        sender.send(read(&host(&format!("more{round}"), "blue"))).await.unwrap();
        acknowledged(&mut events, "one", 2).await;
        // A new one takes the new certificates, on both sides.
        running.shutdown().await;
        let handshakes = "cluster.contour.ssl.handshake";
        let before = envoy.stat(handshakes).await.unwrap();
        (running, sender) = controller(certs.path(), port).await;
        events = running.events();
        sender.send(world.clone()).await.unwrap();
        acknowledged(&mut events, "one", 1).await;
        assert!(envoy.stat(handshakes).await.unwrap() > before);
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_before_is_still_accepted_and_the_one_before_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let [certs, old, older] = ["certs", "old", "older"].map(|name| dir.path().join(name));
    let keep = |copy: &Path| {
        std::fs::create_dir(copy).unwrap();
        for file in ["envoycert.pem", "envoykey.pem"] {
            std::fs::copy(certs.join(file), copy.join(file)).unwrap();
        }
    };
    certgen(&certs, &[]);
    keep(&older);
    certgen(&certs, &["--overwrite"]);
    keep(&old);
    certgen(&certs, &["--overwrite"]);
    let (controller, sender) = controller(&certs, 0).await;
    let mut events = controller.events();
    sender.send(Vec::new()).await.unwrap();
    let start = |node: &str, certificate: &Path| {
        // It trusts who the controller is now.
        let tls = TlsFiles { ca: certs.join("cacert.pem"), ..files(certificate, "envoy") };
        envoy(controller.bound().xds.port(), node, tls, &dir.path().join(node))
    };
    let refused = start("older", &older);
    let accepted = start("old", &old);
    acknowledged(&mut events, "old", 0).await;
    accepted.ready().await;
    contour_tests::envoy::eventually("the older one has tried in vain", async || {
        (refused.stat("cluster.contour.upstream_cx_total").await? > 1).then_some(())
    })
    .await;
    let nodes: Vec<_> = controller.envoys().into_iter().map(|e| e.node).collect();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    assert_eq!(refused.listener_now("stats").await, None);
    controller.shutdown().await;
}
