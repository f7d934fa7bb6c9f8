//! No handshake, and no certificate, ends an Envoy or cuts it off from the controller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contour::event::ControllerEvent;
use contour::serve::Hooks;
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::{Options, TlsLayout};
use contour_core::xds::{Resource, ResourceType};
use contour_tests::backend::Backend;
use contour_tests::certificates::{Pair, authority};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::hello::{Answer, client_hello, greet, server_name};
use contour_tests::load::Load;
use contour_tests::stage::{
    Stage, certificate, ingress_route, options, read, rejected, until_backend,
};
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, secret};
use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRng, TestRunner};
use prost::Message as _;

/// How many first messages are made up, unless `CONTOUR_HELLOS` says otherwise.
const HELLOS: usize = 20_000;
/// How many are under way at a time.
const AT_ONCE: usize = 32;
/// By how much Envoy's memory may have grown after them, in bytes.
const GROWTH: u64 = 4 << 20;

fn secure(name: &str) -> String {
    ingress_route(
        &format!("demo/{name}"),
        &format!(
            "virtualhost: {{fqdn: {name}.test, tls: {{secretName: {name}}}}}\n\
             routes: [{{match: /, services: [{{name: blue, port: 80}}]}}]"
        ),
    )
}

/// A stage with host `good.test`, served over TLS by `blue`.
async fn stage(layout: TlsLayout, hooks: Hooks) -> (Stage, Backend) {
    let stage = Stage::with(Options { tls_layout: layout, ..options() }, hooks).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    add(&stage, "good").await;
    (stage, blue)
}

/// Adds a host, and waits until it is served.
async fn add(stage: &Stage, name: &str) {
    let host = format!("{name}.test");
    let (secret, _) = certificate("demo", name, &[&host]);
    stage.put(&[secret]).await;
    stage.apply(&secure(name)).await.fine();
    until_backend(&stage.https(&host).await, &Ask::get(&host, "/"), "blue").await;
}

/// What Envoy has allocated, in bytes.
async fn allocated(stage: &Stage) -> u64 {
    let memory = stage.envoy.admin_json("/memory").await.expect("the administration answers");
    let text = memory["allocated"].as_str().expect("a number as a text");
    text.parse().expect("a number")
}

fn hello(name: &[u8]) -> Vec<u8> {
    client_hello(Some(&[server_name(0, name)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_host_can_have_is_closed_before_anybody_is_asked_for_it() {
    for layout in [TlsLayout::OnDemand, TlsLayout::PerHost] {
        let (stage, _blue) = stage(layout, Hooks::default()).await;
        let address = stage.https_address().await;
        let long = [vec![b'a'; 60], vec![b'.'], vec![b'b'; 60]].concat();
        let too_long = [long.as_slice(), b".", &long, b".", &[b'c'; 10]].concat();
        assert!(too_long.len() > 253);
        let label = [b'a'; 64];
        for name in [
            &b"a\xff"[..],
            b"\xc3\xa4.test",
            b"a b.test",
            b"a/b",
            b"a..test",
            b".test",
            b"good.test.",
            b"*.test",
            b"gate/x",
            b"a\n",
            &label,
            &too_long,
        ] {
            let answer = greet(address, &hello(name)).await.expect("an answer");
            assert_eq!(answer, Answer::Closed, "{}", name.escape_ascii());
        }
        let none = greet(address, &client_hello(None)).await.expect("an answer");
        assert_eq!(none, Answer::Closed, "no name");
        assert_eq!(greet(address, &hello(b"Good.TEST")).await.expect("an answer"), Answer::Hello);
        // Nothing was asked for that the controller has no answer to: once the last handshake's
        // certificate is acknowledged, nothing is left.
        eventually("everything asked for is answered", async || {
            let types = stage.controller.envoys().into_iter().flat_map(|envoy| envoy.types);
            let mut secrets = types.filter(|(kind, _)| *kind == ResourceType::Secret);
            let is_quiet = secrets
                .all(|(_, view)| (view.outstanding, view.pending, view.rejected) == (0, 0, 0));
            is_quiet.then_some(())
        })
        .await;
        add(&stage, "later").await;
    }
}

/// First messages of every kind: names that are names, names that are not, several, none, of other
/// types, with wrong lengths, and with any byte changed.
fn hellos() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let name = prop_oneof![
        "[a-z0-9_-]{1,20}(\\.[a-zA-Z0-9-]{1,20}){0,3}".prop_map(String::into_bytes),
        "\\PC{0,40}".prop_map(String::into_bytes),
        "good\\.test.?".prop_map(String::into_bytes),
        bytes.clone(),
    ];
    let entry = (prop_oneof![4 => Just(0), 1 => any::<u8>()], name);
    let entry = entry.prop_map(|(kind, name)| server_name(kind, &name));
    let entry = prop_oneof![8 => entry, 1 => bytes];
    let entries = proptest::option::weighted(0.95, proptest::collection::vec(entry, 0..3));
    let change = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (entries, change).prop_map(|(entries, change)| {
        let mut hello = client_hello(entries.as_deref());
        if let Some((at, byte)) = change {
            let at = at.index(hello.len());
            hello[at] = byte;
        }
        hello
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_first_messages_neither_end_envoy_nor_cut_it_off_nor_stay_in_its_memory() {
    let (stage, _blue) = stage(TlsLayout::OnDemand, Hooks::default()).await;
    let address = stage.https_address().await;
    let mut events = stage.controller.events();
    let count = std::env::var("CONTOUR_HELLOS").ok();
    let count = count.map_or(HELLOS, |count| count.parse().expect("CONTOUR_HELLOS is a number"));
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = hellos();
    let hellos: Vec<_> =
        (0..count).map(|_| strategy.new_tree(&mut runner).expect("a message").current()).collect();

    // The first ones, for what a first handshake costs.
    send(address, &hellos[..count / 10]).await;
    let before = allocated(&stage).await;
    send(address, &hellos[count / 10..]).await;
    // A new host while Envoy has all of that behind it.
    add(&stage, "later").await;
    eventually("Envoy's memory is as before", async || {
        (allocated(&stage).await < before + GROWTH).then_some(())
    })
    .await;
    while let Ok(event) = events.try_recv() {
        let ended = matches!(event, ControllerEvent::Disconnected { .. });
        assert!(!ended, "Envoy was cut off");
    }
    let good = stage.https("good.test").await.get("good.test", "/").await;
    assert_eq!(good.expect("an answer").backend().as_deref(), Some("blue"));
}

/// Sends first messages, the client gone before the answer or after.
async fn send(address: SocketAddr, hellos: &[Vec<u8>]) {
    let sent = stream::iter(hellos).for_each_concurrent(AT_ONCE, |hello| async move {
        // A message that is cut off has no answer; that nobody waits for it is the point.
        let patience = std::time::Duration::from_millis(200);
        let answer = tokio::time::timeout(patience, greet(address, hello)).await;
        if let Ok(answer) = answer {
            answer.expect("Envoy accepts connections");
        }
    });
    sent.await;
}

/// A certificate that asks for a stapled OCSP response (RFC 7633), which Envoy refuses without one.
fn must_staple(host: &str) -> Pair {
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a DNS name");
    let extension = rcgen::CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 5, 5, 7, 1, 24],
        vec![0x30, 3, 2, 1, 5],
    );
    params.custom_extensions.push(extension);
    let key = rcgen::KeyPair::generate().expect("a key can be made");
    let certificate = params.self_signed(&key).expect("it signs itself");
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// Gives `bad.test`, while switched on, a certificate that Envoy refuses, as if our own checks had
/// not found it.
#[derive(Clone, Default)]
struct Spoiler(Arc<AtomicBool>);

impl Spoiler {
    fn switch(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    fn hooks(&self) -> Hooks {
        let on = Arc::clone(&self.0);
        let bad = must_staple("bad.test");
        let rewrite = move |resource: &Resource| {
            let concerned = resource.key.kind == ResourceType::Secret
                && resource.key.name.as_ref() == "bad.test"
                && on.load(Ordering::SeqCst);
            if !concerned {
                return None;
            }
            let mut message = Secret::decode(resource.body.clone()).ok()?;
            let inline = |text: &str| {
                let specifier = Some(Specifier::InlineString(text.to_owned()));
                Some(DataSource { specifier, ..DataSource::default() })
            };
            if let Some(secret::Type::TlsCertificate(certificate)) = &mut message.r#type {
                certificate.certificate_chain = inline(&bad.certificate);
                certificate.private_key = inline(&bad.key);
            }
            Some(Resource::new(resource.key.clone(), message.encode_to_vec(), Vec::new()))
        };
        Hooks { rewrite: Some(Arc::new(rewrite)) }
    }
}

fn bad() -> ObjectRef {
    ObjectRef::new(Kind::IngressRoute, "demo", "bad")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_envoy_refuses_is_met_by_nobody() {
    let spoiler = Spoiler::default();
    let (stage, _blue) = stage(TlsLayout::OnDemand, spoiler.hooks()).await;
    let good = stage.https("good.test").await;
    let load = Load::start(&good, &Ask::get("good.test", "/"), 1);
    spoiler.switch(true);
    let (secret, _) = certificate("demo", "bad", &["bad.test"]);
    let mut events = stage.controller.events();
    let changes = [read(&secure("bad")), contour_tests::worlds::applications(&[secret])].concat();
    stage.tell(&mut events, changes).await;
    let rejection = rejected(&mut events, &bad()).await;
    assert!(rejection.message.to_lowercase().contains("ocsp"), "{}", rejection.message);

    // The first handshake with such a certificate ended Envoy.
    let address = stage.https_address().await;
    for _ in 0..20 {
        let answer = greet(address, &hello(b"bad.test")).await.expect("Envoy lives");
        assert_eq!(answer, Answer::Alert, "the handshake fails at once");
    }
    // Once it is replaced, the next handshake gets the new one.
    spoiler.switch(false);
    add(&stage, "bad").await;
    let tally = load.stop().await;
    assert_eq!(tally.failures(), 0, "{tally:?}");
    assert!(tally.requests > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_certificate_leaves_the_one_before_it_in_force_on_every_listener() {
    let spoiler = Spoiler::default();
    let (stage, _blue) = stage(TlsLayout::OnDemand, spoiler.hooks()).await;
    add(&stage, "bad").await;
    let target = stage.https("bad.test").await;
    let before = target.connect().await.expect("a connection").certificate.clone();
    spoiler.switch(true);
    let again = authority().leaf(&["bad.test"]).secret("demo", "bad");
    let mut events = stage.controller.events();
    stage.tell(&mut events, contour_tests::worlds::applications(&[again])).await;
    rejected(&mut events, &bad()).await;
    // In capitals Envoy asks for it under another name, which it has never had.
    for sni in ["bad.test", "BAD.test", "Bad.Test"] {
        let connection = stage.https(sni).await.connect().await.expect("a connection");
        assert_eq!(connection.certificate, before, "{sni}");
    }
    // An Envoy that starts now has no earlier one.
    let newcomer = contour_tests::stage::connect(&stage.controller, "newcomer");
    let address = newcomer.listener("ingress_https").await;
    let good = Target::tls(address, "good.test");
    until_backend(&good, &Ask::get("good.test", "/"), "blue").await;
    for _ in 0..5 {
        let answer = greet(address, &hello(b"bad.test")).await.expect("Envoy lives");
        assert_ne!(answer, Answer::Closed);
    }
    until_backend(&good, &Ask::get("good.test", "/"), "blue").await;
}
