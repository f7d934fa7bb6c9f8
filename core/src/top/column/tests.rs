use std::collections::BTreeSet;

use super::*;
use crate::name::ObjectName;
use crate::observe::feed::{Reason, ServicePort};
use crate::top::{Destination, Endpoint, Frame, Route, Shift};

fn unknown_route() -> Route {
    Route {
        object: ObjectName::new("demo", "shop"),
        matches: "/".into(),
        hosts: Vec::new(),
        state: None,
        errors: Vec::new(),
        numbers: Numbers::default(),
        active: None,
        overflows_per_second: None,
        destinations: Vec::new(),
    }
}

fn texts(item: Item<'_>, names: &[&str]) -> Vec<(String, Mark)> {
    let cell = |name: &&str| {
        let cell = item.view().column(name).unwrap().cell(item, 0);
        (cell.text, cell.mark)
    };
    names.iter().map(cell).collect()
}

#[test]
fn names_of_columns_are_unique_and_easy_to_type() {
    for view in View::ALL {
        let mut seen = BTreeSet::new();
        for column in view.columns() {
            let name = column.name;
            assert!(seen.insert(name), "{name} twice in {}", view.name());
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(name.chars().all(plain), "{name}");
            assert!(column.width.0 <= column.width.1, "{name}");
            assert!(column.heading.chars().count() <= usize::from(column.width.1), "{name}");
            assert_eq!(view.column(&name.to_uppercase()), Some(column));
        }
        assert!(view.columns().iter().any(|column| column.rank == 0), "{}", view.name());
    }
}

#[test]
fn views_may_be_abbreviated_as_long_as_it_is_clear() {
    for (text, expected) in [
        ("routes", Some(View::Routes)),
        ("R", Some(View::Routes)),
        ("cert", Some(View::Certificates)),
        ("env", Some(View::Envoys)),
        ("e", None),
        ("", None),
        ("pods", None),
    ] {
        assert_eq!(View::parse(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_not_known_is_a_dash_and_never_nothing() {
    let route = unknown_route();
    let item = Item::Route(&route);
    for column in View::Routes.columns() {
        if !matches!(column.name, "namespace" | "name" | "match") {
            assert_eq!(column.value(item, 0), Value::Unknown, "{}", column.name);
            assert_eq!(column.cell(item, 0), Cell::unknown(), "{}", column.name);
        }
    }
}

#[test]
fn a_row_of_another_view_has_no_cells() {
    let route = unknown_route();
    for view in View::ALL.into_iter().filter(|view| *view != View::Routes) {
        for column in view.columns() {
            assert_eq!(column.cell(Item::Route(&route), 0), Cell::unknown(), "{}", column.name);
        }
    }
}

#[test]
fn a_route_shows_its_services_with_their_shares() {
    let mut route = unknown_route();
    let to = |name: &str, share, healthy| Destination {
        service: ServicePort::new("demo", name, 80),
        weight: Some(1),
        share: Some(share),
        numbers: Numbers::default(),
        members: Some(3),
        healthy: Some(healthy),
        ejected: 0,
    };
    route.state = Some("valid".into());
    route.numbers.classes = Some([0.0, 98.0, 0.0, 0.5, 1.5]);
    route.destinations = vec![to("blue", 99.97, 3), to("green", 0.03, 2)];
    assert_eq!(
        texts(Item::Route(&route), &["status", "weights", "healthy", "2xx", "5xx"]),
        [
            ("degraded".to_owned(), Mark::Warn),
            ("blue 99.9, green <0.1".to_owned(), Mark::Plain),
            ("5/6".to_owned(), Mark::Warn),
            ("98".to_owned(), Mark::Plain),
            ("1.5".to_owned(), Mark::Warn),
        ]
    );
    // A service without weight harms nobody.
    route.destinations = vec![to("blue", 100.0, 3), to("green", 0.0, 0)];
    assert_eq!(texts(Item::Route(&route), &["status"])[0].0, "ok");
}

#[test]
fn an_endpoint_says_why_and_at_how_many_envoys() {
    let mut endpoint = Endpoint {
        service: ServicePort::new("demo", "blue", 80),
        address: "10.0.0.1:80".into(),
        pod: None,
        node: None,
        envoys: 2,
        reasons: vec![(Reason::FailedActiveHealthCheck, 2), (Reason::FailedOutlierCheck, 1)],
        weight: None,
        active: None,
        connections: None,
        requests_per_second: Some(3.0),
        errors_percent: None,
        connect_failures_per_second: Some(0.0),
        age_millis: 45_000,
    };
    let names = ["health", "rps", "errors", "connectfailures", "age"];
    assert_eq!(
        texts(Item::Endpoint(&endpoint), &names),
        [
            ("failed_active_hc,failed_outlier_check(1/2)".to_owned(), Mark::Bad),
            ("3".to_owned(), Mark::Plain),
            ("-".to_owned(), Mark::Faint),
            ("0".to_owned(), Mark::Faint),
            ("45s".to_owned(), Mark::Faint),
        ]
    );
    endpoint.reasons.clear();
    assert_eq!(
        texts(Item::Endpoint(&endpoint), &["health"])[0],
        ("healthy".to_owned(), Mark::Good)
    );
}

#[test]
fn every_row_can_be_described() {
    let route = unknown_route();
    let shift = Shift {
        object: ObjectName::new("demo", "shop"),
        from: "blue:80".into(),
        to: "green:80".into(),
        share: "25%".into(),
        phase: "baking".into(),
        why: None,
        since_unix: 100,
        driver: None,
        fault: None,
        over: false,
    };
    let frame = Frame { routes: vec![route], shifts: vec![shift], ..Frame::default() };
    for view in [View::Routes, View::Shifts] {
        let item = frame.item(view, 0).unwrap();
        let lines = crate::top::describe(item, 160_000);
        assert!(lines.iter().any(|(label, text, _)| *label == "NAME" && text == "shop"));
    }
    let lines = crate::top::describe(frame.item(View::Shifts, 0).unwrap(), 160_000);
    assert!(lines.iter().any(|(label, text, _)| *label == "SINCE" && text == "60s"));
}
