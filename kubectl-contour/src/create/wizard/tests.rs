use std::collections::BTreeSet;

use contour_core::manifest::{self, Limits};

use super::*;

const WORLD: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: demo, name: web}
spec: {ports: [{name: http, port: 80}, {name: metrics, port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: demo, name: web-green}
spec: {ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {namespace: demo, name: old, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {virtualhost: {fqdn: taken.example.com}, routes: [{match: /, services: [{name: web, port: 80}]}]}
";

fn wizard() -> Wizard {
    let manifest = manifest::read("world", WORLD, Limits::default());
    let objects = manifest.documents.into_iter().filter_map(|document| document.object).collect();
    // Of endpoints nothing is known, so nothing is said of them.
    let unknown = BTreeSet::from([Kind::EndpointSlice]);
    Wizard::new("demo", Snapshot { objects, unknown, now: None }, true)
}

/// Answers one after the other; each with a part of the reason for which it will not do, or
/// nothing.
fn answer(wizard: &mut Wizard, answers: &[(&str, &str)]) {
    for (text, reason) in answers {
        let question = wizard.question();
        match wizard.answer(text) {
            Ok(_) => assert_eq!(*reason, "", "{text:?} to {question:?}"),
            Err(told) => {
                assert!(!reason.is_empty() && told.contains(reason), "{text:?}: {told}");
                assert_eq!(wizard.question(), question, "the same is asked again");
            }
        }
    }
}

#[test]
fn answers_lead_to_an_ingressroute() {
    let mut wizard = wizard();
    answer(
        &mut wizard,
        &[
            ("", "an answer is needed"),
            ("https://shop.example.com/", "did you mean \"shop.example.com\"?"),
            ("taken.example.com", "CTR104"),
            ("shop.example.com", ""),
            ("api", "did you mean \"/api\"?"),
            ("", ""),
            ("9", "there is no number 9, but 1 to 3"),
            ("web", "\"web\" may be web-green:80, web:80, web:9090"),
            ("wbe:80", "did you mean web:80?"),
            ("basket:80", "CTR301"),
            ("web:81", "did you mean web:80?"),
        ],
    );
    answer(&mut wizard, &[("web:80", ""), ("web:80", "is the first service already")]);
    answer(&mut wizard, &[("green", ""), ("150", "no number from 0 to 100"), ("25%", "")]);
    answer(
        &mut wizard,
        &[("/", "has its services already"), ("/metrics", ""), ("9090", "no number 9090")],
    );
    answer(&mut wizard, &[("metrics", "names no port"), ("web:9", ""), ("", ""), ("", "")]);
    answer(&mut wizard, &[("", "")]);
    assert_eq!(wizard.question().text, "Name of the IngressRoute");
    answer(&mut wizard, &[("My_Shop", "did you mean \"my-shop\"?"), ("", "")]);
    assert!(wizard.is_written());
    answer(&mut wizard, &[("delete", "none of these"), ("save", ""), ("", "")]);
    assert_eq!(wizard.ending(), Some(&Ending::Save("shop.yaml".to_owned())));
    let wish = wizard.wish();
    assert_eq!(wish.name.to_string(), "demo/shop");
    let services: Vec<_> = wish.routes[0]
        .services
        .iter()
        .map(|s| format!("{}:{} {:?}", s.name, s.port, s.weight))
        .collect();
    assert_eq!(services, ["web:80 Some(75)", "web-green:80 Some(25)"]);
    assert_eq!(wish.routes[1].services[0].port, 9090);
}

#[test]
fn only_tcp_ports_are_offered_and_applying_only_with_a_cluster() {
    let mut wizard = wizard();
    answer(&mut wizard, &[("shop.example.com", ""), ("", "")]);
    let choices: Vec<_> = wizard.question().choices.into_iter().map(|c| c.value).collect();
    assert_eq!(choices, ["web-green:80", "web:80", "web:9090"]);
    answer(&mut wizard, &[("1", ""), ("", ""), ("", ""), ("", ""), ("", "")]);
    let choices: Vec<_> = wizard.question().choices.into_iter().map(|c| c.value).collect();
    assert_eq!(choices, ["print", "save", "apply"]);
    wizard.connected = false;
    answer(&mut wizard, &[("apply", "is none of these"), ("p", "")]);
    assert_eq!(wizard.ending(), Some(&Ending::Print));
}

#[test]
fn without_a_cluster_names_are_taken_as_they_are() {
    let mut wizard = Wizard::new("demo", Snapshot::offline(None), false);
    answer(
        &mut wizard,
        &[("a.example.com", ""), ("", ""), ("web", "names no port"), ("web:80", "")],
    );
    answer(&mut wizard, &[("", ""), ("", ""), ("tls/a", ""), ("", "")]);
    assert!(wizard.is_written());
}

#[test]
fn a_part_of_a_name_chooses_if_it_is_of_one_only() {
    let choices = ["web:80", "web-green:80", "db:5432"].map(|name| Choice::new(name, ""));
    for (answer, expected) in [
        ("web:80", Ok(Some("web:80"))),
        ("green", Ok(Some("web-green:80"))),
        ("wg", Ok(Some("web-green:80"))),
        ("D", Ok(Some("db:5432"))),
        ("3", Ok(Some("db:5432"))),
        ("0", Err("there is no number 0, but 1 to 3")),
        ("80", Err("there is no number 80, but 1 to 3")),
        ("we", Err("\"we\" may be web:80, web-green:80")),
        ("shop:1", Ok(None)),
    ] {
        let picked = pick(answer, &choices);
        let picked = picked.as_ref().map(|c| c.map(|c| c.value.as_str())).map_err(String::as_str);
        assert_eq!(picked, expected, "{answer}");
    }
}
