//! TCP proxying of TLS hosts: passed through or terminated.

use contour_core::diagnostic::Code;
use contour_tests::backend::Backend;
use contour_tests::certificates::{Pair, authority};
use contour_tests::client::{Ask, Raw, Target};
use contour_tests::envoy::eventually;
use contour_tests::stage::{Stage, behind, certificate, ingress_route, until_status};

fn proxy(name: &str, host: &str, tls: &str, services: &str) -> String {
    ingress_route(
        name,
        &format!("virtualhost:\n  fqdn: {host}\n  tls: {{{tls}}}\ntcpproxy:\n  {services}"),
    )
}

/// Opens a connection once it is greeted by a backend of this name.
async fn greeted(target: &Target, name: &str) -> Raw {
    eventually(&format!("{name} greets"), async || {
        let mut raw = target.raw().await.ok()?;
        let banner = raw.read_until("\n").await.ok()?;
        (banner == format!("{name}\n")).then_some(raw)
    })
    .await
}

async fn assert_echo(raw: &mut Raw) {
    raw.send("ping\n").await.unwrap();
    assert_eq!(raw.read_until("\n").await.unwrap(), "ping\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_passed_through_to_a_backend_that_shows_its_own_certificate() {
    let stage = Stage::new().await;
    let own = authority().leaf(&["db.test"]);
    let backend = Backend::tls_tcp("db", &own).await;
    stage.put(&behind("demo", "db", &[&backend])).await;
    let services = "services: [{name: db, port: 80}]";
    stage.apply(&proxy("demo/db", "db.test", "passthrough: true", services)).await.fine();
    let target = stage.https("db.test").await;
    let mut raw = greeted(&target, "db").await;
    assert_eq!(raw.certificate, Some(own.leaf()));
    assert_echo(&mut raw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_terminated_before_a_tcp_backend() {
    let stage = Stage::new().await;
    let backend = Backend::tcp("db").await;
    stage.put(&behind("demo", "db", &[&backend])).await;
    let (secret, pair) = certificate("demo", "cert", &["db.test"]);
    stage.put(&[secret]).await;
    let services = "services: [{name: db, port: 80}]";
    stage.apply(&proxy("demo/db", "db.test", "secretName: cert", services)).await.fine();
    let target = stage.https("db.test").await;
    let mut raw = greeted(&target, "db").await;
    assert_eq!(raw.certificate, Some(pair.leaf()));
    assert_echo(&mut raw).await;
}

/// Hosts of every kind behind one port.
async fn mixed(stage: &Stage) -> (Vec<Backend>, Pair, Pair) {
    let own = authority().leaf(&["pass.test"]);
    let backends = vec![
        Backend::tls_tcp("pass", &own).await,
        Backend::tcp("term").await,
        Backend::http("web").await,
    ];
    for backend in &backends {
        stage.put(&behind("demo", &backend.name, &[backend])).await;
    }
    let (secret, pair) = certificate("demo", "cert", &["term.test", "web.test"]);
    stage.put(&[secret]).await;
    for (host, tls) in [("pass", "passthrough: true"), ("term", "secretName: cert")] {
        let services = format!("services: [{{name: {host}, port: 80}}]");
        let fqdn = format!("{host}.test");
        stage.apply(&proxy(&format!("demo/{host}"), &fqdn, tls, &services)).await.fine();
    }
    let web = "virtualhost:\n  fqdn: web.test\n  tls: {secretName: cert}\n\
               routes:\n- {match: /, services: [{name: web, port: 80}]}";
    stage.apply(&ingress_route("demo/web", web)).await.fine();
    (backends, own, pair)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_with_and_without_tcp_proxy_share_a_port() {
    let stage = Stage::new().await;
    let (_backends, own, pair) = mixed(&stage).await;
    let address = stage.https_address().await;
    let raw = greeted(&Target::tls(address, "pass.test"), "pass").await;
    assert_eq!(raw.certificate, Some(own.leaf()));
    let raw = greeted(&Target::tls(address, "term.test"), "term").await;
    assert_eq!(raw.certificate, Some(pair.leaf()));
    until_status(&Target::tls(address, "web.test"), &Ask::get("web.test", "/"), 200).await;
    // What serves bytes does not serve requests of other hosts.
    let reply = Target::tls(address, "web.test").get("term.test", "/").await;
    assert_eq!(reply.unwrap().status, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passthrough_host_in_capitals_is_passed_through() {
    let stage = Stage::new().await;
    let (_backends, own, _) = mixed(&stage).await;
    let target = stage.https("PASS.test").await;
    let raw = greeted(&target, "pass").await;
    assert_eq!(raw.certificate, Some(own.leaf()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_proxy_is_delegated_and_shared_out_by_weight() {
    let stage = Stage::new().await;
    let own = authority().leaf(&["db.test"]);
    let one = Backend::tls_tcp("one", &own).await;
    let two = Backend::tls_tcp("two", &own).await;
    for backend in [&one, &two] {
        stage.put(&behind("team", &backend.name, &[backend])).await;
    }
    let delegate = "delegate: {name: db, namespace: team}";
    let root = proxy("demo/db", "db.test", "passthrough: true", delegate);
    stage.apply(&root).await.expect(Code::DelegateNotFound, "demo/db");
    let child = |one: u32, two: u32| {
        let services = format!(
            "tcpproxy:\n  services:\n  - {{name: one, port: 80, weight: {one}}}\n  - {{name: two, port: 80, weight: {two}}}"
        );
        ingress_route("team/db", &services)
    };
    stage.apply(&child(1, 1)).await.fine();
    let target = stage.https("db.test").await;
    greeted(&target, "one").await;
    greeted(&target, "two").await;
    stage.apply(&child(0, 1)).await.fine();
    greeted(&target, "two").await;
    eventually("one gets nothing any more", async || {
        for _ in 0..20 {
            let mut raw = target.raw().await.ok()?;
            if raw.read_until("\n").await.ok()? != "two\n" {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_proxy_without_tls_is_told_to_have_it() {
    let stage = Stage::new().await;
    let backend = Backend::tcp("db").await;
    stage.put(&behind("demo", "db", &[&backend])).await;
    let spec = "virtualhost: {fqdn: db.test}\ntcpproxy:\n  services: [{name: db, port: 80}]";
    let told = stage.apply(&ingress_route("demo/db", spec)).await;
    told.expect(Code::TcpProxyWithoutTls, "demo/db");
}
