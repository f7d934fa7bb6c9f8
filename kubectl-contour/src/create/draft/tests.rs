use contour_core::api::Tls;
use contour_core::manifest::{self, Limits};

use super::*;
use crate::create::value;

fn wish() -> RouteWish {
    RouteWish {
        name: ObjectName::new("demo", "shop"),
        host: Some(value::host("shop.example.com").unwrap()),
        tls: None,
        routes: vec![value::route("/=web:80").unwrap()],
        tcp: None,
        class: None,
    }
}

/// The text, which must be read without a word.
fn written(documents: &[Document]) -> String {
    let text = text(documents);
    let manifest = manifest::read("x", &text, Limits::default());
    assert_eq!(manifest.diagnostics, [], "{text}");
    for document in manifest.documents {
        assert_eq!(document.diagnostics, [], "{text}");
    }
    text
}

#[test]
fn a_host_with_one_service() {
    insta::assert_snapshot!(written(&[ingressroute(&wish())]));
}

#[test]
fn a_host_with_everything() {
    let tls = Tls {
        secret_name: Some("tls/shop".into()),
        minimum_protocol_version: Some("1.3".into()),
        passthrough: false,
    };
    let routes = [
        "/=web:80,weight=90,retries=3,try-timeout=1s;web-green:80,weight=10,timeout=30s",
        "/api=api:8080,prefix-rewrite=/v1,websocket,permit-insecure,health-path=/healthz",
        "/even=a:80;b:80",
    ];
    let mut routes: Vec<_> = routes.into_iter().map(|text| value::route(text).unwrap()).collect();
    routes.push(value::delegate("/team=team-a/reports").unwrap());
    let wish = RouteWish { tls: Some(tls), routes, class: Some("public".to_owned()), ..wish() };
    insta::assert_snapshot!(written(&[ingressroute(&wish)]));
}

#[test]
fn tls_passed_through() {
    let wish = RouteWish {
        tls: Some(Tls { passthrough: true, ..Tls::default() }),
        routes: Vec::new(),
        tcp: Some(value::tcp_proxy("db:5432").unwrap()),
        ..wish()
    };
    insta::assert_snapshot!(written(&[ingressroute(&wish)]));
}

fn team() -> TeamWish {
    let tls = Tls { secret_name: Some("tls/shop".into()), ..Tls::default() };
    TeamWish {
        root: RouteWish { tls: Some(tls), ..wish() },
        prefix: "/team".into(),
        team: ObjectName::new("team-a", "reports"),
        services: vec![value::service("reports:80").unwrap()],
        lent: false,
    }
}

#[test]
fn a_part_for_a_team() {
    insta::assert_snapshot!(written(&delegation(&team(), &LiveTeam::default()).unwrap()));
}

#[test]
fn what_is_there_is_not_written_again() {
    let wish = TeamWish { lent: true, services: Vec::new(), ..team() };
    assert_eq!(delegation(&wish, &LiveTeam::default()).unwrap().len(), 1);
}

#[test]
fn a_root_that_is_there_gets_one_route_more() {
    let mut live = ingressroute(&wish()).value;
    live["metadata"]["resourceVersion"] = json!("7");
    live["metadata"]["uid"] = json!("u");
    live["spec"]["unheardOf"] = json!({"kept": true});
    live["status"] = json!({"currentStatus": "valid"});
    let there = |root: &Value| LiveTeam { root: Some(root.clone()), team: None };
    let documents = delegation(&team(), &there(&live)).unwrap();
    let root = &documents[0];
    assert_eq!(root.value["spec"]["routes"].as_array().unwrap().len(), 2);
    assert_eq!(root.value["spec"]["unheardOf"], live["spec"]["unheardOf"]);
    assert_eq!(root.value.get("status"), None);
    assert_eq!(root.value["metadata"].as_object().unwrap().len(), 2);
    assert_eq!(root.base.as_ref(), Some(&live));

    // A second time it is the same; a prefix is not taken away from those who have it.
    let again = delegation(&team(), &there(&root.value)).unwrap();
    assert_eq!(again[0].value, root.value);
    let taken = TeamWish { prefix: "/".into(), ..team() };
    let told = delegation(&taken, &there(&live)).unwrap_err();
    assert_eq!(told, "IngressRoute shop has another route / already: remove that one first");
}

#[test]
fn a_team_that_has_a_part_already_gets_another() {
    let first = delegation(&team(), &LiveTeam::default()).unwrap();
    let live = LiveTeam { root: Some(first[0].value.clone()), team: Some(first[1].value.clone()) };
    let second = delegation(&TeamWish { prefix: "/two".into(), ..team() }, &live).unwrap();
    for (document, base) in second.iter().zip(&first).take(2) {
        let count = |value: &Value| value["spec"]["routes"].as_array().unwrap().len();
        assert_eq!(count(&document.value), count(&base.value) + 1);
    }
}
