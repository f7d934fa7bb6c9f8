//! Envoys and the controller know each other by certificates, or do not talk.

use std::path::{Path, PathBuf};

use contour::bootstrap::{Admin, Bootstrap};
use contour::config::{Config, TlsFiles, XdsSecurity};
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::pipeline::Change;
use contour_tests::backend::Backend;
use contour_tests::certificates::{Authority, Pair};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{ADMIN, Envoy};
use contour_tests::stage::{acknowledged, behind, options, read, until_backend};
use contour_tests::worlds::applications;
use tokio::sync::mpsc;

use super::host;

fn files(dir: &Path, name: &str, ca: &Authority, pair: &Pair) -> TlsFiles {
    let write = |what: &str, text: &str| -> PathBuf {
        let path = dir.join(format!("{name}-{what}.pem"));
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        ca: write("ca", ca.pem()),
        certificate: write("certificate", &pair.certificate),
        key: write("key", &pair.key),
    }
}

fn envoy(port: u16, node: &str, tls: Option<TlsFiles>) -> Envoy {
    let local = Bootstrap::local(Admin::Socket(ADMIN.into()), port, node);
    let bootstrap = Bootstrap { tls, ..local };
    Envoy::start(&bootstrap.render().config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_is_served_only_with_a_certificate_of_the_right_authority() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (sender, changes) = mpsc::channel::<Vec<Change>>(1);
    let mut config = Config::local(Source::Channel(changes));
    config.options = options();
    let own = files(dir.path(), "contour", &ours, &ours.leaf(&["contour"]));
    config.security = XdsSecurity::Mutual(own);
    let controller = Controller::start(config, Hooks::default()).await.unwrap();
    let mut events = controller.events();
    let port = controller.bound().xds.port();
    let blue = Backend::http("blue").await;
    let mut first = read(&host("shop", "blue"));
    first.extend(applications(&behind("demo", "blue", &[&blue])));
    sender.send(first).await.unwrap();

    let strangers = [
        envoy(port, "naked", None),
        envoy(
            port,
            "stranger",
            Some(files(dir.path(), "stranger", &ours, &theirs.leaf(&["envoy"]))),
        ),
        envoy(
            port,
            "distrustful",
            Some(files(dir.path(), "distrustful", &theirs, &ours.leaf(&["envoy"]))),
        ),
    ];
    let tls = files(dir.path(), "envoy", &ours, &ours.leaf(&["envoy"]));
    let envoy = envoy(port, "friend", Some(tls));
    acknowledged(&mut events, "friend", 1).await;
    let target = Target::plain(envoy.listener("ingress_http").await);
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    for stranger in &strangers {
        assert_eq!(stranger.listener_now("ingress_http").await, None);
    }
    while let Ok(event) = events.try_recv() {
        let ControllerEvent::Connected { node } = event else { continue };
        assert_eq!(&*node, "friend");
    }
    let nodes: Vec<_> = controller.envoys().into_iter().map(|e| e.node).collect();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
}
