//! Timeouts, retries, health checks, strategies, websockets.

use std::time::Duration;

use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::eventually;
use contour_tests::load::Load;
use contour_tests::stage::{Stage, behind, ingress_route, until_backend, until_status};

fn shop(route: &str) -> String {
    let route = route.replace('\n', "\n  ");
    ingress_route(
        "demo/shop",
        &format!("virtualhost: {{fqdn: shop.test}}\nroutes:\n- match: /\n  {route}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_slower_than_the_timeout_is_answered_for_with_504() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    let services = "services: [{name: blue, port: 80}]";
    stage.apply(&shop(&format!("{services}\ntimeoutPolicy: {{request: 100ms}}"))).await.fine();
    until_backend(&target, &ask, "blue").await;
    blue.delay(Duration::from_secs(1));
    until_status(&target, &ask, 504).await;
    stage.apply(&shop(&format!("{services}\ntimeoutPolicy: {{request: infinity}}"))).await.fine();
    until_backend(&target, &ask, "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_requests_are_tried_again_as_often_as_asked() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    let services = "services: [{name: blue, port: 80}]";
    for (policy, tries) in [
        ("", 1),
        ("retryPolicy: {count: 3}", 4),
        ("retryPolicy: {count: 0}", 2),
        ("retryPolicy: {count: 1}", 2),
    ] {
        stage.apply(&shop(&format!("{services}\n{policy}"))).await.fine();
        until_status(&target, &ask, 200).await;
        eventually(&format!("{tries} tries with {policy:?}"), async || {
            let before = blue.requests();
            blue.fail_next(tries, 500);
            let reply = target.ask(&ask).await.unwrap();
            let made = blue.requests() - before;
            // Uses up what is left of the plan, if fewer tries were made.
            while target.ask(&ask).await.unwrap().status != 200 {}
            (reply.status == 500 && made == tries as u64).then_some(())
        })
        .await;
        blue.fail_next(tries - 1, 503);
        assert_eq!(target.ask(&ask).await.unwrap().status, 200, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_takes_too_long_is_followed_by_another() {
    let stage = Stage::new().await;
    let (slow, quick) = (Backend::http("slow").await, Backend::http("quick").await);
    slow.delay(Duration::from_secs(15));
    stage.put(&behind("demo", "app", &[&slow, &quick])).await;
    let route = "services: [{name: app, port: 80}]\n\
                 retryPolicy: {count: 5, perTryTimeout: 100ms}\n\
                 timeoutPolicy: {request: 10s}";
    stage.apply(&shop(route)).await.fine();
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    until_backend(&target, &ask, "quick").await;
    let tally = Load::send(&target, &ask, 2, 20).await;
    assert_eq!(tally.failures(), 0, "{tally:?}");
    assert!(slow.requests() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_takes_an_endpoint_out_and_back_in() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("one").await, Backend::http("two").await);
    stage.put(&behind("demo", "app", &[&one, &two])).await;
    let route = "services:\n- name: app\n  port: 80\n  healthCheck: {path: /healthz, \
                 intervalSeconds: 1, timeoutSeconds: 1, unhealthyThresholdCount: 1, \
                 healthyThresholdCount: 1}";
    stage.apply(&shop(route)).await.fine();
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    until_backend(&target, &ask, "one").await;
    until_backend(&target, &ask, "two").await;
    one.set_healthy(false);
    eventually("one is taken out", async || {
        let tally = Load::send(&target, &ask, 2, 20).await;
        assert_eq!(tally.failures(), 0, "{tally:?}");
        (tally.backends.get("two") == Some(&20)).then_some(())
    })
    .await;
    assert!(one.health_checks() > 0);
    one.set_healthy(true);
    until_backend(&target, &ask, "one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_keeps_a_client_at_its_endpoint() {
    let stage = Stage::new().await;
    let names = ["one", "two", "three", "four"];
    let mut backends = Vec::new();
    for name in names {
        backends.push(Backend::http(name).await);
    }
    let all: Vec<_> = backends.iter().collect();
    stage.put(&behind("demo", "app", &all)).await;
    stage.apply(&shop("services: [{name: app, port: 80, strategy: Cookie}]")).await.fine();
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    let reply = until_status(&target, &ask, 200).await;
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("X-Contour-Session-Affinity="), "{cookie}");
    let home = reply.backend().unwrap();
    let kept = Load::send(&target, &ask.clone().header("cookie", &cookie), 4, 100).await;
    assert_eq!(kept.backends.keys().collect::<Vec<_>>(), [&home]);
    let strangers = Load::send(&target, &ask, 4, 200).await;
    assert!(strangers.backends.len() > 1, "{strangers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_reaches_every_endpoint() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("one").await, Backend::http("two").await);
    stage.put(&behind("demo", "app", &[&one, &two])).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    for strategy in ["RoundRobin", "WeightedLeastRequest", "Random"] {
        let service = format!("services: [{{name: app, port: 80, strategy: {strategy}}}]");
        stage.apply(&shop(&service)).await.fine();
        until_status(&target, &ask, 200).await;
        let tally = Load::send(&target, &ask, 4, 400).await;
        assert_eq!(tally.failures(), 0, "{strategy} {tally:?}");
        assert!(tally.share("one") > 0.2 && tally.share("two") > 0.2, "{strategy} {tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_upgraded_only_where_they_are_enabled() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let routes = "virtualhost: {fqdn: shop.test}\nroutes:\n\
                  - {match: /, services: [{name: blue, port: 80}]}\n\
                  - {match: /ws, enableWebsockets: true, services: [{name: blue, port: 80}]}";
    stage.apply(&ingress_route("demo/shop", routes)).await.fine();
    let target = stage.http().await;
    until_status(&target, &Ask::get("shop.test", "/ws"), 200).await;
    let shake = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let mut raw = target.raw().await.unwrap();
    raw.send(shake("/ws/chat")).await.unwrap();
    let head = raw.read_until("\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw.read_until("\n").await.unwrap(), "upgraded\n");
    raw.send("frames\n").await.unwrap();
    assert_eq!(raw.read_until("\n").await.unwrap(), "frames\n");

    let mut raw = target.raw().await.unwrap();
    raw.send(shake("/")).await.unwrap();
    let head = raw.read_until("\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}
