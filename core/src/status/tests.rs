use super::*;
use crate::diagnostic::Code;
use crate::name::FieldPath;

fn route() -> ObjectRef {
    ObjectRef::new(Kind::IngressRoute, "demo", "shop")
}

fn became(findings: &[(Code, &str, &str)]) -> ObjectStatus {
    let diagnostics: Vec<_> = findings
        .iter()
        .map(|(code, field, message)| {
            Diagnostic::new(*code, &route(), FieldPath::of(field), *message)
        })
        .collect();
    let state = match diagnostics.first() {
        None => State::Valid,
        Some(d) if d.code == Code::Orphaned => State::Orphaned,
        Some(_) => State::Invalid,
    };
    ObjectStatus { state, diagnostics }
}

fn envoys(acknowledged: usize, waiting: &[&str], refused: &[(&str, &str)]) -> Programmed {
    Programmed::Envoys {
        acknowledged,
        connected: acknowledged + waiting.len() + refused.len(),
        waiting: waiting.iter().map(|node| (*node).into()).collect(),
        refused: refused
            .iter()
            .map(|(node, message)| Refusal {
                nodes: vec![(*node).into()],
                message: (*message).into(),
            })
            .collect(),
    }
}

fn status(findings: &[(Code, &str, &str)], programmed: &Programmed) -> Status {
    let addresses = Arc::from([Address::of("10.0.0.1"), Address::of("lb.example.com")]);
    Status::new(&route(), Some(7), &became(findings), Some(programmed), &addresses)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

#[test]
fn a_status_reads_like_this() {
    let fine = status(&[], &envoys(3, &[], &[]));
    let broken = status(
        &[
            (Code::MatchInvalid, ".spec.routes[1].match", "the match is not a path"),
            (
                Code::ServiceNotFound,
                ".spec.routes[0].services[0].name",
                "Service [demo/x:80] is invalid or missing",
            ),
        ],
        &envoys(1, &["envoy-2"], &[("envoy-3", "no such cluster")]),
    );
    let orphan = status(
        &[(Code::Orphaned, "", "this IngressRoute is not part of a chain")],
        &Programmed::Nothing,
    );
    let waiting = status(&[], &envoys(2, &["envoy-3"], &[]));
    let alone = status(&[], &Programmed::NoEnvoy);
    let all = [fine, broken, orphan, waiting, alone].map(|s| s.to_json(None, at(0)));
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn a_delegation_has_one_condition_and_no_address() {
    let object = ObjectRef::new(Kind::TlsCertificateDelegation, "demo", "wild");
    let addresses = Arc::from([Address::of("10.0.0.1")]);
    let status = Status::new(&object, Some(1), &became(&[]), None, &addresses);
    let json = status.to_json(None, at(0));
    assert_eq!(json["conditions"].as_array().unwrap().len(), 1);
    assert_eq!(json.get("loadBalancer"), None);
    assert_eq!(json.get("currentStatus"), None);
}

#[test]
fn what_was_written_is_known_again_whatever_the_order_of_its_fields() {
    let status = status(&[], &envoys(3, &[], &[]));
    let mut json = status.to_json(None, at(100));
    let reversed: serde_json::Map<_, _> =
        json.as_object().unwrap().clone().into_iter().rev().collect();
    assert_eq!(Written::read(Value::Object(reversed)).digest(), status.digest());
    json["conditions"][0]["reason"] = "Else".into();
    assert_ne!(Written::read(json).digest(), status.digest());
}

#[test]
fn conditions_of_other_writers_and_the_order_of_all_are_no_news() {
    let status = status(&[], &envoys(3, &[], &[]));
    let mut json = status.to_json(None, at(100));
    let conditions = json["conditions"].as_array_mut().unwrap();
    conditions.insert(0, json!({"type": "Foreign", "status": "True", "reason": "Other"}));
    conditions.reverse();
    assert_eq!(Written::read(json.clone()).digest(), status.digest());
    json["conditions"].as_array_mut().unwrap().retain(|c| c["type"] != "Programmed");
    assert_ne!(Written::read(json).digest(), status.digest());
}

#[test]
fn envoys_that_come_and_go_are_no_news_once_all_have_acknowledged() {
    let three = status(&[], &envoys(3, &[], &[]));
    assert_eq!(three.digest(), status(&[], &envoys(4, &[], &[])).digest());
    assert_ne!(three.digest(), status(&[], &envoys(3, &["late"], &[])).digest());
    let one = status(&[], &envoys(1, &["late"], &[])).digest();
    assert_ne!(one, status(&[], &envoys(2, &["late"], &[])).digest());
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let before = status(&[], &envoys(1, &["late"], &[]));
    let written = Written::read(before.to_json(None, at(100)));
    let now = status(&[], &envoys(2, &[], &[])).to_json(Some(&written), at(200));
    assert_eq!(now["conditions"][0]["lastTransitionTime"], "1970-01-01T00:01:40Z");
    assert_eq!(now["conditions"][2]["lastTransitionTime"], "1970-01-01T00:03:20Z");
}

#[test]
fn a_status_of_another_form_is_replaced() {
    let status = status(&[], &envoys(1, &[], &[]));
    for other in ["null", "{}", "{\"conditions\": 3}", "{\"currentStatus\": \"valid\"}"] {
        let written = Written::read(serde_json::from_str(other).unwrap());
        assert_ne!(written.digest(), status.digest(), "{other}");
    }
}

#[test]
fn of_an_object_that_cannot_be_decoded_the_references_are_not_known() {
    let status = status(&[(Code::ManifestType, ".spec.routes", "no list")], &Programmed::Nothing);
    let conditions = &status.to_json(None, at(0))["conditions"];
    assert_eq!(conditions[0]["reason"], "ManifestType");
    assert_eq!(
        (&conditions[1]["status"], &conditions[1]["reason"]),
        (&json!("Unknown"), &json!("Undecodable"))
    );
}
