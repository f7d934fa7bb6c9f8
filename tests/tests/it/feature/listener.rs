//! Listeners: PROXY protocol, statistics, what reaches the administration of Envoy.

use contour::serve::Hooks;
use contour_core::pipeline::Options;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::stage::{Stage, ingress_route, options, until_backend, until_status};

fn shop() -> String {
    ingress_route(
        "demo/shop",
        "virtualhost: {fqdn: shop.test}\nroutes:\n- {match: /, services: [{name: blue, port: 80}]}",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_tells_who_the_client_is() {
    let settings = Options { use_proxy_protocol: true, ..options() };
    let stage = Stage::with(settings, Hooks::default()).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    stage.apply(&shop()).await.fine();
    let target = stage.http().await;
    let request = "PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n\
                   GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n";
    eventually("the client's address is passed on", async || {
        let mut raw = target.raw().await.ok()?;
        raw.send(request).await.ok()?;
        let answer = raw.read_until("}}").await.ok()?;
        answer.contains("\"x-forwarded-for\":[\"198.51.100.7\"]").then_some(())
    })
    .await;
    assert!(target.get("shop.test", "/").await.is_err(), "a client without the protocol");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_claim_to_be_another() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    stage.apply(&shop()).await.fine();
    let ask = Ask::get("shop.test", "/")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-envoy-external-address", "203.0.113.9")
        .header("x-envoy-original-path", "/admin");
    let echo = until_backend(&stage.http().await, &ask, "blue").await.echo();
    let last = echo["headers"]["x-forwarded-for"][0].as_str().unwrap().rsplit(',').next().unwrap();
    assert_ne!(last.trim(), "203.0.113.9", "{echo}");
    assert_ne!(echo["headers"]["x-envoy-external-address"][0], "203.0.113.9", "{echo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_administration_only_readiness_and_statistics_are_served() {
    let stage = Stage::new().await;
    let target = Target::plain(stage.envoy.listener("stats").await);
    until_status(&target, &Ask::get("x", "/ready"), 200).await;
    let stats = until_status(&target, &Ask::get("x", "/stats/prometheus"), 200).await;
    assert!(String::from_utf8_lossy(&stats.body).contains("envoy_server_live"));
    let stats = until_status(&target, &Ask::get("x", "/stats?filter=server.live"), 200).await;
    assert_eq!(String::from_utf8_lossy(&stats.body), "server.live: 1\n");
    for path in [
        "/",
        "/config_dump",
        "/certs",
        "/quitquitquit",
        "/healthcheck/fail",
        "/logging?level=trace",
        "/stats/",
        "/stats/recentlookups",
        "/stats/prometheus/..%2f..%2fquitquitquit",
        "/ready/../quitquitquit",
        "//quitquitquit",
        "/READY",
        "/ready/",
    ] {
        let reply = target.get("x", path).await.unwrap();
        assert_ne!(reply.status, 200, "{path}");
    }
    for path in ["/ready", "/stats"] {
        let posted = target.ask(&Ask::get("x", path).post("")).await.unwrap();
        assert_ne!(posted.status, 200, "{path}");
    }
    assert_eq!(stage.envoy.admin("/ready").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_http_are_refused_and_others_go_on() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    stage.apply(&shop()).await.fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: shop.test\r\nhost: other.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "\u{16}\u{3}\u{1}\0nonsense\r\n\r\n",
    ] {
        let mut raw = target.raw().await.unwrap();
        raw.send(request).await.unwrap();
        let head = raw.read_until("\r\n").await.unwrap_or_default();
        let refused = ["HTTP/1.1 400 ", "HTTP/1.1 404 "].iter().any(|s| head.starts_with(s));
        assert!(head.is_empty() || refused, "{request:?}: {head}");
    }
    assert_eq!(target.get("shop.test", "/").await.unwrap().status, 200);
}
