//! Changes under load: no request fails.

use contour_core::name::Kind;
use contour_core::name::ObjectRef;
use contour_core::pipeline::Change;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::load::{Load, Tally};
use contour_tests::stage::{
    Stage, behind, certificate, ingress_route, read, until_backend, until_status,
};
use contour_tests::worlds::{application, applications};

use super::host;

fn assert_unharmed(tally: &Tally) {
    assert!(tally.requests > 100, "{tally:?}");
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}

async fn colours(stage: &Stage) -> (Backend, Backend) {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    (blue, green)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_weights_change() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let weights = |blue: u32| {
        let green = 100 - blue;
        let services = format!(
            "services:\n  - {{name: blue, port: 80, weight: {blue}}}\n  - {{name: green, port: 80, weight: {green}}}"
        );
        let spec = format!("virtualhost: {{fqdn: shop.test}}\nroutes:\n- match: /\n  {services}");
        ingress_route("demo/shop", &spec)
    };
    stage.apply(&weights(100)).await.fine();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 4);
    for step in (0..=100).rev().chain(0..=100) {
        stage.apply(&weights(step)).await.fine();
        load.more(5).await;
    }
    let tally = load.stop().await;
    assert_unharmed(&tally);
    assert!(tally.share("green") > 0.2 && tally.share("blue") > 0.2, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_route_moves_to_clusters_that_were_not_there() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&host("shop", "blue")).await.fine();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 4);
    for _ in 0..20 {
        for service in ["green", "blue"] {
            stage.apply(&host("shop", service)).await.fine();
            load.more(20).await;
        }
    }
    let tally = load.stop().await;
    assert_unharmed(&tally);
    assert!(tally.share("green") > 0.1, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_service_and_its_route_come_and_go_at_once() {
    let stage = Stage::new().await;
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    let change = |service: &str, backend: &Backend, gone: &str| {
        let mut changes = read(&host("shop", service));
        changes.extend(applications(&behind("demo", service, &[backend])));
        let endpoints = format!("{gone}-0");
        for (kind, name) in [(Kind::Service, gone), (Kind::EndpointSlice, &endpoints)] {
            changes.push(Change::Delete(ObjectRef::new(kind, "demo", name)));
        }
        changes
    };
    let mut first = read(&host("shop", "blue"));
    first.extend(applications(&behind("demo", "blue", &[&blue])));
    stage.change(first).await.fine();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 4);
    for _ in 0..20 {
        stage.change(change("green", &green, "blue")).await;
        load.more(20).await;
        stage.change(change("blue", &blue, "green")).await;
        load.more(20).await;
    }
    assert_unharmed(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_endpoints_are_exchanged() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("one").await, Backend::http("two").await);
    stage.put(&behind("demo", "app", &[&one])).await;
    stage.apply(&host("shop", "app")).await.fine();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "one").await;
    let load = Load::start(&target, &ask, 4);
    for _ in 0..20 {
        for backends in [&[&one, &two][..], &[&two], &[&two, &one], &[&one]] {
            let gone = (backends.len()..2).map(|number| {
                let name = format!("app-{number}");
                Change::Delete(ObjectRef::new(Kind::EndpointSlice, "demo", name))
            });
            let mut changes = applications(&behind("demo", "app", backends));
            changes.extend(gone);
            stage.change(changes).await;
            load.more(5).await;
        }
    }
    assert_unharmed(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_other_hosts_with_and_without_tls_come_and_go() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let (secret, _) = certificate("demo", "cert", &["shop.test"]);
    stage.put(&[secret]).await;
    let secure = |name: &str, version: &str| {
        let spec = format!(
            "virtualhost:\n  fqdn: {name}.test\n  tls: {{secretName: cert, minimumProtocolVersion: \"{version}\"}}\n\
             routes:\n- {{match: /, services: [{{name: blue, port: 80}}]}}"
        );
        ingress_route(&format!("demo/{name}"), &spec)
    };
    stage.apply(&secure("shop", "1.2")).await.fine();
    stage.apply(&host("plain", "green")).await.fine();
    let (https, http) = (stage.https("shop.test").await, stage.http().await);
    until_status(&https, &Ask::get("shop.test", "/"), 200).await;
    until_status(&http, &Ask::get("plain.test", "/"), 200).await;
    let tls = Load::start(&https, &Ask::get("shop.test", "/"), 2);
    let plain = Load::start(&http, &Ask::get("plain.test", "/"), 2);
    for round in 0..10 {
        let name = format!("other{round}");
        stage.apply(&secure(&name, "1.2")).await;
        stage.apply(&host(&format!("plain{round}"), "blue")).await.fine();
        tls.more(5).await;
        stage.delete(Kind::IngressRoute, "demo", &name).await;
        plain.more(5).await;
    }
    assert_unharmed(&tls.stop().await);
    assert_unharmed(&plain.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_handshake_fails_while_its_certificate_is_renewed() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let spec = "virtualhost:\n  fqdn: shop.test\n  tls: {secretName: cert}\n\
                routes:\n- {match: /, services: [{name: blue, port: 80}]}";
    let (secret, _) = certificate("demo", "cert", &["shop.test"]);
    stage.put(&[secret]).await;
    stage.apply(&ingress_route("demo/shop", spec)).await.fine();
    let (target, ask) = (stage.https("shop.test").await, Ask::get("shop.test", "/"));
    until_status(&target, &ask, 200).await;
    for _ in 0..20 {
        let (secret, _) = certificate("demo", "cert", &["shop.test"]);
        stage.change(vec![application(secret)]).await.fine();
        for _ in 0..5 {
            assert_eq!(target.ask(&ask).await.unwrap().status, 200);
        }
    }
}
