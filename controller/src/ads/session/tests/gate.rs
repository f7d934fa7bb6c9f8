//! Certificates at the gate. What the lab sends there is written as `gate`.

use contour_core::xds::gate;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    self as wire, TlsCertificate,
};

use super::*;

/// A session with an Envoy that has its gate open, and a host `a.test`.
fn open() -> Lab {
    let mut lab = closed();
    lab.subscribe(Secret, &[gate::SECRET]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    lab
}

/// The same before Envoy has opened it.
fn closed() -> Lab {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Listener, gate::LISTENER, 1), resource(Secret, "a.test", 1)], &[]);
    lab
}

fn sent(lab: &mut Lab) -> String {
    lab.sent().replace(gate::SECRET, "gate")
}

#[test]
fn a_certificate_is_sent_under_its_name_once_it_is_accepted_at_the_gate() {
    let mut lab = open();
    lab.subscribe(Secret, &["a.test"]);
    assert_eq!(sent(&mut lab), "sds +gate");
    assert_eq!(lab.state("sds:a.test"), Some(HeldState::Pending));
    lab.ack_all();
    assert_eq!(sent(&mut lab), "sds +a.test");
    lab.ack_all();
    assert_eq!(lab.state("sds:a.test"), Some(HeldState::Acknowledged));
    // In capitals it is the same certificate.
    lab.subscribe(Secret, &["A.test"]);
    assert_eq!(sent(&mut lab), "sds +A.test");
    lab.ack_all();
    // Another content is another question.
    lab.publish(&[resource(Secret, "a.test", 2)], &[]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    assert_eq!(sent(&mut lab), "sds +A.test\nsds +a.test");
}

#[test]
fn nothing_is_shown_twice_with_the_same_bytes() {
    let mut lab = open();
    let secret = |version| {
        let text = |text: String| DataSource {
            specifier: Some(Specifier::InlineString(text)),
            ..DataSource::default()
        };
        let certificate = TlsCertificate {
            certificate_chain: Some(text(format!("chain {version}\n"))),
            ..TlsCertificate::default()
        };
        let message = wire::Secret {
            name: "a.test".to_owned(),
            r#type: Some(wire::secret::Type::TlsCertificate(certificate)),
        };
        let body = prost::Message::encode_to_vec(&message);
        Arc::new(Resource::new(key(Secret, "a.test"), body, Vec::new()))
    };
    let mut versions = Vec::new();
    lab.subscribe(Secret, &["a.test"]);
    for version in [1, 2, 1, 2] {
        lab.publish(&[secret(version)], &[]);
        assert_eq!(sent(&mut lab), "sds +gate", "version {version}");
        versions.extend_from_slice(lab.last_versions());
        lab.ack_all();
        lab.settle();
    }
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 4);
}

#[test]
fn a_certificate_refused_at_the_gate_does_not_exist_for_its_host() {
    let mut lab = open();
    lab.subscribe(Secret, &["a.test"]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.refuse_if(|_, _| true);
    assert_eq!(lab.events(), ["rejected sds:a.test: no", "acknowledged 2"]);
    // Our own follows the refused one, so that Envoy does not keep that.
    assert_eq!(sent(&mut lab), "sds +gate\nsds -a.test");
    lab.ack_all();
    lab.unsubscribe(Secret, &["a.test"]);
    // Whoever asks again is answered at once, and nothing is said anew.
    lab.subscribe(Secret, &["a.test"]);
    assert_eq!(sent(&mut lab), "sds -a.test");
    lab.ack_all();
    lab.unsubscribe(Secret, &["a.test"]);
    assert_eq!(lab.events(), Vec::<String>::new());
    assert_eq!(lab.session.rejections(&lab.catalog).len(), 1);
    lab.publish(&[resource(Secret, "a.test", 2)], &[]);
    assert_eq!(lab.session.rejections(&lab.catalog), []);
    lab.subscribe(Secret, &["a.test"]);
    lab.settle();
    assert_eq!(lab.state("sds:a.test"), Some(HeldState::Acknowledged));
}

#[test]
fn a_refused_update_sends_nothing_and_the_last_accepted_stays() {
    let mut lab = open();
    lab.subscribe(Secret, &["a.test"]);
    lab.settle();
    lab.publish(&[resource(Secret, "a.test", 2)], &[]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.refuse_if(|_, _| true);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    let message = "no".into();
    assert_eq!(lab.state("sds:a.test"), Some(HeldState::Rejected { message }));
    // A client in capitals gets the last accepted one.
    lab.subscribe(Secret, &["A.test"]);
    assert_eq!(sent(&mut lab), "sds +A.test");
    assert_eq!(lab.last_versions(), [resource(Secret, "a.test", 1).version]);
}

#[test]
fn what_is_refused_under_its_name_all_the_same_is_withdrawn_at_once() {
    let mut lab = open();
    lab.subscribe(Secret, &["a.test"]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    assert_eq!(sent(&mut lab), "sds +a.test");
    lab.refuse_if(|_, _| true);
    assert_eq!(sent(&mut lab), "sds -a.test");
    lab.ack_all();

    // With one before it, that comes back.
    lab.publish(&[resource(Secret, "a.test", 2)], &[]);
    lab.settle();
    lab.publish(&[resource(Secret, "a.test", 3)], &[]);
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    assert_eq!(sent(&mut lab), "sds +a.test");
    lab.refuse_if(|_, _| true);
    assert_eq!(sent(&mut lab), "sds +a.test");
    assert_eq!(lab.last_versions(), [resource(Secret, "a.test", 2).version]);
}

#[test]
fn a_gate_that_does_not_open_lets_nothing_through_and_opens_late() {
    let mut lab = closed();
    lab.subscribe(Secret, &["a.test"]);
    assert_eq!(sent(&mut lab), "");
    lab.pass(PATIENCE);
    assert_eq!(sent(&mut lab), "sds -a.test");
    lab.ack_all();
    lab.subscribe(Secret, &[gate::SECRET]);
    assert_eq!(sent(&mut lab), "sds +gate\nsds +gate");
    lab.ack_all();
    assert_eq!(sent(&mut lab), "sds +a.test");
}

#[test]
fn an_envoy_that_connects_again_with_what_it_should_have_is_asked_nothing() {
    let mut lab = open();
    lab.subscribe(Secret, &["a.test"]);
    lab.settle();
    lab.reconnect();
    let held = resource(Secret, "a.test", 1);
    lab.first(Secret, &["a.test", gate::SECRET], &[&held]);
    // Our own certificate takes the place of whatever was shown last.
    assert_eq!(sent(&mut lab), "sds +gate");
    lab.ack_all();
    assert_eq!(lab.state("sds:a.test"), Some(HeldState::Acknowledged));
    lab.reconnect();
    lab.first(Secret, &["a.test", gate::SECRET], &[&resource(Secret, "a.test", 7)]);
    assert_eq!(sent(&mut lab), "sds +gate\nsds +gate");
}
