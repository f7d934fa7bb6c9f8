//! TLS of hosts: certificates by SNI, redirects, versions, delegation.

use std::time::{SystemTime, UNIX_EPOCH};

use contour::serve::Hooks;
use contour_core::diagnostic::Code;
use contour_core::name::Kind;
use contour_core::pipeline::{Options, TlsLayout};
use contour_tests::backend::Backend;
use contour_tests::certificates::{Authority, Pair, authority, fixtures, tls_secret};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::objects::certificate_delegation;
use contour_tests::secrets::parts;
use contour_tests::secrets::{CERTIFICATE, Node, pem};
use contour_tests::stage::{
    Stage, certificate, ingress_route, options, until, until_backend, until_status,
};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};

/// The manifest of an IngressRoute with TLS for a host, all of it answered by `blue`.
fn secure(name: &str, host: &str, tls: &str) -> String {
    ingress_route(
        name,
        &format!(
            "virtualhost:\n  fqdn: {host}\n  tls: {{{tls}}}\n\
             routes:\n- {{match: /, services: [{{name: blue, port: 80}}]}}\n\
             - {{match: /open, permitInsecure: true, services: [{{name: blue, port: 80}}]}}"
        ),
    )
}

/// A stage with backend `blue` and host `a.test`, whose certificate is handed out.
async fn stage_with_host(layout: TlsLayout) -> (Stage, Backend, Pair) {
    let settings = Options { tls_layout: layout, ..options() };
    let stage = Stage::with(settings, Hooks::default()).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let (secret, pair) = certificate("demo", "a", &["a.test"]);
    stage.put(&[secret]).await;
    stage.apply(&secure("demo/a", "a.test", "secretName: a")).await.fine();
    let target = stage.https("a.test").await;
    until_backend(&target, &Ask::get("a.test", "/"), "blue").await;
    (stage, blue, pair)
}

async fn shown(target: &Target) -> Option<CertificateDer<'static>> {
    let connection = target.connect().await.ok()?;
    connection.certificate.clone()
}

/// Waits until a target shows this certificate.
async fn until_shown(target: &Target, pair: &Pair) {
    eventually("the certificate is shown", async || {
        (shown(target).await? == pair.leaf()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_shows_its_own_certificate_and_other_names_fail_alone() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue, first) = stage_with_host(layout).await;
        let (secret, second) = certificate("demo", "b", &["b.test"]);
        stage.put(&[secret]).await;
        stage.apply(&secure("demo/b", "b.test", "secretName: b")).await.fine();
        let address = stage.https_address().await;
        until_shown(&Target::tls(address, "b.test"), &second).await;
        until_shown(&Target::tls(address, "a.test"), &first).await;
        for stranger in [
            Target::tls(address, "c.test"),
            Target::tls(address, "x.a.test"),
            Target::tls_without_sni(address),
        ] {
            assert!(stranger.connect().await.is_err(), "{stranger:?}");
        }
        let reply = Target::tls(address, "a.test").get("a.test", "/").await;
        assert_eq!(reply.unwrap().backend().as_deref(), Some("blue"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_the_sni_is_misdirected() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue, _) = stage_with_host(layout).await;
        let (secret, _) = certificate("demo", "b", &["b.test"]);
        stage.put(&[secret]).await;
        stage.apply(&secure("demo/b", "b.test", "secretName: b")).await.fine();
        let http1 = stage.https("a.test").await;
        until_status(&stage.https("b.test").await, &Ask::get("b.test", "/"), 200).await;
        for target in [http1.clone(), http1.http2()] {
            for (host, status) in [
                ("a.test", 200),
                ("A.Test", 200),
                ("a.test:8443", 200),
                ("b.test", 421),
                ("c.test", 421),
            ] {
                let reply = target.get(host, "/").await.unwrap();
                assert_eq!(reply.status, status, "{host} {target:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sni_in_capitals_finds_its_host() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue, pair) = stage_with_host(layout).await;
        let target = stage.https("A.TEST").await;
        until_shown(&target, &pair).await;
        let reply = target.get("a.test", "/").await.unwrap();
        assert_eq!(reply.backend().as_deref(), Some("blue"), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_are_redirected_unless_permitted() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let target = stage.http().await;
    let reply = until_status(&target, &Ask::get("a.test", "/x?y=z"), 301).await;
    assert_eq!(reply.header("location"), "https://a.test/x?y=z");
    let reply = target.get("a.test", "/open").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_insecure_can_be_switched_off_for_all() {
    let settings = Options { disable_permit_insecure: true, ..options() };
    let stage = Stage::with(settings, Hooks::default()).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let (secret, _) = certificate("demo", "a", &["a.test"]);
    stage.put(&[secret]).await;
    stage.apply(&secure("demo/a", "a.test", "secretName: a")).await;
    until_status(&stage.http().await, &Ask::get("a.test", "/open"), 301).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lowest_tls_version_is_kept_to() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue, _) = stage_with_host(layout).await;
        let (secret, pair) = certificate("demo", "b", &["b.test"]);
        stage.put(&[secret]).await;
        let spec = "secretName: b, minimumProtocolVersion: \"1.3\"";
        stage.apply(&secure("demo/b", "b.test", spec)).await.fine();
        let address = stage.https_address().await;
        let strict = Target::tls(address, "b.test");
        until_shown(&strict.clone().versions(&[&TLS13]), &pair).await;
        eventually("TLS 1.2 is refused", async || {
            let old = strict.clone().versions(&[&TLS12]).connect().await;
            old.is_err().then_some(())
        })
        .await;
        let lax = Target::tls(address, "a.test");
        for version in [&TLS12, &TLS13] {
            let lax = lax.clone().versions(&[version]);
            assert_eq!(lax.get("a.test", "/").await.unwrap().status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_agreed_on_by_alpn() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let target = stage.https("a.test").await.http2();
    let reply = target.get("a.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_and_open_connections_live_on() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue, _) = stage_with_host(layout).await;
        let target = stage.https("a.test").await;
        let mut open = target.connect().await.unwrap();
        let (secret, renewed) = certificate("demo", "a", &["a.test"]);
        stage.put(&[secret]).await.fine();
        until_shown(&target, &renewed).await;
        let reply = open.ask(&Ask::get("a.test", "/")).await.unwrap();
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_usual_kind_and_form_are_served() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let host = "a.example.com";
    let route = secure("demo/a", host, "secretName: a");
    stage.apply(&route).await.expect(Code::SecretNotFound, "demo/a");
    for pair in [
        authority().leaf_p384(&[host]),
        fixtures::p521(),
        fixtures::ed25519(),
        fixtures::rsa2048(),
        fixtures::exponent3(),
        fixtures::pkcs1(),
        fixtures::sec1(),
        authority().expired(&[host]),
        authority().not_yet_valid(&[host]),
    ] {
        stage.put(&[pair.secret("demo", "a")]).await;
        until_shown(&stage.https(host).await, &pair).await;
    }
}

/// A certificate that is to be sent with an OCSP response; a handshake that asks for such a
/// one ends Envoy 1.40.
fn must_staple() -> Pair {
    let pair = fixtures::sec1();
    let mut leaf = Node::parse(&pair.leaf()).unwrap();
    leaf.at(parts::EXTENSIONS).children_mut().push(parts::tls_feature(&[5]));
    Pair { certificate: pem(CERTIFICATE, &leaf.encode()), ..pair }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_begins_now_is_valid() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let started = second();
    eventually("the next second", async || (second() > started).then_some(())).await;
    let pair = authority().fresh(&["a.test"]);
    stage.put(&[pair.secret("demo", "a")]).await.fine();
    until_shown(&stage.https("a.test").await, &pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_in_the_wrong_order_is_reported() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let Pair { certificate, key } = authority().leaf(&["a.test"]);
    let with = |chain: String| tls_secret("demo", "a", &chain, &key);
    stage.put(&[with(format!("{certificate}{}", authority().pem()))]).await.fine();
    let other = Authority::new("another").leaf(&["a.test"]).certificate;
    let told = stage.put(&[with(format!("{certificate}{other}"))]).await;
    told.expect(Code::CertificateChainOrder, "demo/a");
    let told = stage.put(&[with(format!("{other}{certificate}"))]).await;
    told.expect(Code::KeyMismatch, "demo/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_secret_is_told_and_fails_only_its_own_host() {
    let (stage, _blue, pair) = stage_with_host(TlsLayout::OnDemand).await;
    let bad = [
        (Code::KeyMismatch, authority().mismatched(&["b.test"])),
        (Code::SecretInvalid, fixtures::rsa1024()),
        (Code::SecretInvalid, fixtures::secp256k1()),
        (Code::SecretInvalid, fixtures::encrypted()),
        (Code::SecretInvalid, must_staple()),
    ];
    let route = secure("demo/b", "b.test", "secretName: b");
    let told = stage.apply(&route).await;
    told.expect(Code::SecretNotFound, "demo/b");
    let address = stage.https_address().await;
    for (code, broken) in bad {
        let told = stage.put(&[broken.secret("demo", "b")]).await;
        told.expect(code, "demo/b");
        assert!(Target::tls(address, "b.test").connect().await.is_err());
        until_shown(&Target::tls(address, "a.test"), &pair).await;
        stage.delete(Kind::Secret, "demo", "b").await;
    }
    let (secret, pair) = certificate("demo", "b", &["b.test"]);
    stage.put(&[secret]).await;
    until_shown(&Target::tls(address, "b.test"), &pair).await;
    let rejected = stage.envoy.stat("listener_manager.lds.update_rejected").await;
    assert_eq!(rejected.unwrap_or_default(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_does_not_delay_another_new_host() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let (secret, pair) = certificate("demo", "c", &["c.test"]);
    let mut changes = contour_tests::stage::read(&format!(
        "{}{}",
        secure("demo/b", "b.test", "secretName: b"),
        secure("demo/c", "c.test", "secretName: c"),
    ));
    changes.push(contour_tests::worlds::application(secret));
    stage.change(changes).await.expect(Code::SecretNotFound, "demo/b");
    let target = stage.https("c.test").await;
    until_shown(&target, &pair).await;
    let reply = target.get("c.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_another_namespace_needs_a_delegation_for_as_long_as_it_is_used() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let (secret, pair) = certificate("vault", "b", &["b.test"]);
    stage.put(&[secret]).await;
    let route = secure("demo/b", "b.test", "secretName: vault/b");
    let told = stage.apply(&route).await;
    told.expect(Code::DelegationNotPermitted, "demo/b");
    let target = Target::tls(stage.https_address().await, "b.test");
    assert!(target.connect().await.is_err());

    for targets in [&["demo"][..], &["*"]] {
        let grant = certificate_delegation("vault", "grant", "b", targets);
        stage.put(&[grant]).await;
        until_shown(&target, &pair).await;
        let delegation = Kind::TlsCertificateDelegation;
        stage.delete(delegation, "vault", "grant").await;
        eventually("the certificate is withdrawn", async || {
            target.connect().await.is_err().then_some(())
        })
        .await;
    }
    let grant = certificate_delegation("vault", "grant", "b", &["elsewhere"]);
    stage.put(&[grant]).await;
    assert!(target.connect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_loses_its_tls_is_served_plainly_again() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let plain = ingress_route(
        "demo/a",
        "virtualhost: {fqdn: a.test}\nroutes:\n- {match: /, services: [{name: blue, port: 80}]}",
    );
    stage.apply(&plain).await.fine();
    until_backend(&stage.http().await, &Ask::get("a.test", "/"), "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_hosts_are_served_at_their_first_handshake() {
    let (stage, _blue, _) = stage_with_host(TlsLayout::OnDemand).await;
    let names: Vec<_> = (0..30).map(|n| format!("h{n}.test")).collect();
    let mut changes = Vec::new();
    for name in &names {
        let secret = name.replace('.', "-");
        let (object, _) = certificate("demo", &secret, &[name]);
        changes.push(contour_tests::worlds::application(object));
        let route = secure(&format!("demo/{secret}"), name, &format!("secretName: {secret}"));
        changes.extend(contour_tests::stage::read(&route));
    }
    stage.change(changes).await.fine();
    let address = stage.https_address().await;
    for name in &names {
        let ask = Ask::get(name, "/");
        until(&Target::tls(address, name), &ask, |r| r.status == 200).await;
    }
}
