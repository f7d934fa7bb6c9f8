use proptest::prelude::*;

use super::*;
use crate::top::{Destination, Numbers, Route, Upstream};

fn route(name: &str, rate: Option<f64>, service: &str) -> Route {
    Route {
        object: ObjectName::new("demo", name),
        matches: "/".into(),
        hosts: Vec::new(),
        state: Some("valid".into()),
        errors: Vec::new(),
        numbers: Numbers { requests_per_second: rate, ..Numbers::default() },
        active: None,
        overflows_per_second: None,
        destinations: vec![Destination {
            service: ServicePort::new("demo", service, 80),
            weight: None,
            share: Some(100.0),
            numbers: Numbers::default(),
            members: Some(2),
            healthy: Some(if service == "dead" { 0 } else { 2 }),
            ejected: 0,
        }],
    }
}

fn frame() -> Frame {
    let routes = vec![
        route("a", Some(5.0), "blue"),
        route("b", None, "dead"),
        route("c", Some(50.0), "green"),
        route("d", Some(5.0), "green"),
    ];
    let upstream = |name: &str| Upstream {
        service: ServicePort::new("demo", name, 80),
        routes: 1,
        members: None,
        healthy: None,
        ejected: 0,
        numbers: Numbers::default(),
        active: None,
        connections: None,
        connect_failures_per_second: None,
        overflows_per_second: None,
        circuit_open: false,
    };
    Frame { routes, upstreams: vec![upstream("blue"), upstream("green")], ..Frame::default() }
}

#[test]
fn rows_are_chosen_and_ordered() {
    let frame = frame();
    let by_rate = |reversed| Some((View::Routes.column("rps").unwrap(), reversed));
    let green = [ServicePort::new("demo", "green", 80)].into();
    let all = Selection::default();
    for (selection, expected) in [
        (all.clone(), vec![0, 1, 2, 3]),
        (Selection { sort: by_rate(false), ..all.clone() }, vec![0, 3, 2, 1]),
        (Selection { sort: by_rate(true), ..all.clone() }, vec![2, 0, 3, 1]),
        (Selection { faults_only: true, ..all.clone() }, vec![1]),
        (
            Selection { filter: Filter::parse("rps>1", View::Routes).unwrap(), ..all.clone() },
            vec![0, 2, 3],
        ),
        (Selection { scope: Some(Scope::Services(green, "x".into())), ..all.clone() }, vec![2, 3]),
        (
            Selection { scope: Some(Scope::Object(ObjectName::new("demo", "d"))), ..all.clone() },
            vec![3],
        ),
        (
            Selection {
                scope: Some(Scope::Keys(["demo/a:/".to_owned()].into(), "x".into())),
                ..all
            },
            vec![0],
        ),
    ] {
        assert_eq!(select(&frame, View::Routes, &selection), expected, "{selection:?}");
    }
}

#[test]
fn a_scope_of_services_holds_in_the_views_of_services() {
    let scope = Some(Scope::Services([ServicePort::new("demo", "green", 80)].into(), "x".into()));
    let selection = Selection { scope, ..Selection::default() };
    assert_eq!(select(&frame(), View::Upstreams, &selection), [1]);
}

proptest! {
    #[test]
    fn an_order_loses_nobody_and_puts_the_unknown_last(
        rates in prop::collection::vec(prop::option::of(0.0_f64..9.0), 0..20),
        reversed in any::<bool>(),
    ) {
        let routes = rates.iter().enumerate();
        let routes = routes.map(|(i, rate)| route(&format!("r{i:02}"), *rate, "blue")).collect();
        let frame = Frame { routes, ..Frame::default() };
        let sort = Some((View::Routes.column("rps").unwrap(), reversed));
        let chosen = select(&frame, View::Routes, &Selection { sort, ..Selection::default() });
        let mut all = chosen.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..rates.len()).collect::<Vec<_>>());
        for pair in chosen.windows(2) {
            match (rates[pair[0]], rates[pair[1]]) {
                (Some(a), Some(b)) => {
                    let ordered = if reversed { a >= b } else { a <= b };
                    prop_assert!(ordered);
                }
                (None, later) => prop_assert!(later.is_none()),
                (Some(_), None) => {}
            }
        }
    }
}
