//! The harness itself: what the other tests take for granted.

use std::time::Duration;

use contour_core::pipeline::Change;
use contour_tests::backend::Backend;
use contour_tests::certificates::authority;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{self, Envoy};
use contour_tests::load::Load;
use contour_tests::validate::Batch;
use contour_tests::worlds;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_says_who_it_is_and_what_it_was_asked() {
    let backend = Backend::http("blue").await;
    for (target, protocol) in [
        (Target::plain(backend.address), "HTTP/1.1"),
        (Target::plain(backend.address).http2(), "HTTP/2.0"),
    ] {
        let ask = Ask::get("shop.test", "/a?b=c").header("x-one", "1").post("body");
        let reply = target.ask(&ask).await.unwrap();
        let echo = reply.echo();
        assert_eq!(reply.status, 200);
        assert_eq!(echo["backend"], "blue");
        assert_eq!(echo["method"], "POST");
        assert_eq!(echo["path"], "/a?b=c");
        assert_eq!(echo["protocol"], protocol);
        assert_eq!(echo["headers"]["x-one"], json!(["1"]));
    }
    assert_eq!(backend.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_fails_and_waits_as_planned() {
    let backend = Backend::http("blue").await;
    let target = Target::plain(backend.address);
    backend.fail_next(2, 503);
    let mut connection = target.connect().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let reply = connection.ask(&Ask::get("shop.test", "/")).await.unwrap();
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(backend.connections(), 1);

    backend.delay(Duration::from_mins(1));
    let ask = Ask::get("shop.test", "/");
    let waited = tokio::time::timeout(Duration::from_millis(50), connection.ask(&ask)).await;
    assert!(waited.is_err(), "the answer came at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_shows_whose_certificate_it_was_and_which_name_was_asked_for() {
    let pair = authority().leaf(&["shop.test"]);
    let backend = Backend::tls("blue", &pair).await;
    let target = Target::tls(backend.address, "Shop.TEST");
    let mut connection = target.connect().await.unwrap();
    let reply = connection.ask(&Ask::get("shop.test", "/")).await.unwrap();
    assert_eq!(connection.certificate, Some(pair.leaf()));
    // rustls, the server, folds the case.
    assert_eq!(reply.echo()["sni"], "shop.test");

    let target = Target::tls_without_sni(backend.address).http2();
    let reply = target.get("shop.test", "/").await.unwrap();
    assert_eq!(reply.echo()["sni"], json!(null));
    assert_eq!(reply.echo()["protocol"], "HTTP/2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_echoed_with_and_without_tls_and_after_an_upgrade() {
    let pair = authority().leaf(&["shop.test"]);
    let plain = Backend::tcp("plain").await;
    let tls = Backend::tls_tcp("tls", &pair).await;
    let http = Backend::http("http").await;
    let upgrade =
        "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    for (target, greeting, answer) in [
        (Target::plain(plain.address), "", "plain\n"),
        (Target::tls(tls.address, "shop.test"), "", "tls\n"),
        (Target::plain(http.address), upgrade, "\r\n\r\nupgraded\n"),
    ] {
        let mut raw = target.raw().await.unwrap();
        raw.send(greeting).await.unwrap();
        let read = raw.read_until("\n").await.unwrap();
        let read = if answer.starts_with('\r') {
            assert!(read.starts_with("HTTP/1.1 101 "), "{read}");
            raw.read_until("\r\n\r\n").await.unwrap();
            format!("\r\n\r\n{}", raw.read_until("\n").await.unwrap())
        } else {
            read
        };
        assert_eq!(read, answer);
        raw.send("ping\n").await.unwrap();
        assert_eq!(raw.read_until("\n").await.unwrap(), "ping\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn load_is_counted_by_status_and_backend_and_failures_show() {
    let backend = Backend::http("blue").await;
    backend.fail_next(3, 500);
    let target = Target::plain(backend.address);
    let tally = Load::send(&target, &Ask::get("shop.test", "/"), 4, 200).await;
    assert_eq!((tally.requests, tally.failures(), tally.broken), (200, 3, 0));
    assert_eq!(tally.backends["blue"], 200);

    let address = backend.address;
    drop(backend);
    envoy::eventually("the backend is gone", async || {
        let refused = Target::plain(address).connect().await;
        refused.is_err().then_some(())
    })
    .await;
    let tally = Load::send(&target, &Ask::get("shop.test", "/"), 2, 10).await;
    assert_eq!(tally.broken, 10, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_envoy_starts_tells_its_state_and_dies() {
    let backend = Backend::http("blue").await;
    let nobody = "127.0.0.1:9".parse().unwrap();
    let mut bootstrap = envoy::bootstrap("test", nobody);
    bootstrap["dynamic_resources"] = json!({});
    bootstrap["static_resources"]["listeners"] = json!([{
        "name": "pipe",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "tcp",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "pipe",
                "cluster": "contour",
            },
        }]}],
    }]);
    let load = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint\
                /address/socket_address/port_value";
    *bootstrap.pointer_mut(load).unwrap() = json!(backend.address.port());

    let mut envoy = Envoy::start(&bootstrap).unwrap();
    let pid = envoy.pid();
    envoy.ready().await;
    let pipe = envoy.listener("pipe").await;
    let reply = Target::plain(pipe).get("shop.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
    assert_eq!(envoy.stat("tcp.pipe.downstream_cx_total").await, Some(1));

    envoy.restart().unwrap();
    assert_ne!(envoy.pid(), pid);
    envoy.ready().await;
    envoy.kill().unwrap();
    assert!(Target::plain(pipe).connect().await.is_err());
}

#[test]
fn validation_tells_good_from_bad() {
    let mut bootstrap = Batch::default().bootstrap();
    envoy::validate(&bootstrap).unwrap();
    let resources = bootstrap.static_resources.as_mut().unwrap();
    let twin = resources.clusters[0].clone();
    resources.clusters.push(twin);
    let error = envoy::validate(&bootstrap).unwrap_err().to_string();
    assert!(error.contains("contour"), "{error}");
}

#[test]
fn random_worlds_follow_from_their_seed_and_differ_from_each_other() {
    let draw = |seed| {
        let mut runner = worlds::runner(seed, 1);
        let strategy = worlds::world();
        let one = worlds::one(&strategy, &mut runner);
        (one, worlds::one(&strategy, &mut runner))
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(draw(1).0, draw(1).1);
}

#[test]
fn the_model_of_a_world_forgets_what_was_deleted() {
    let mut runner = worlds::runner(7, 1);
    let world = worlds::one(&worlds::world(), &mut runner);
    let mut model = worlds::Model::default();
    for change in worlds::applications(&world) {
        model.follow(&change);
    }
    assert_eq!(model.objects().count(), world.len());
    for object in &world {
        model.follow(&Change::Delete(object.reference()));
    }
    assert!(model.from_scratch().is_empty());
}
