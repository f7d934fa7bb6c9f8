use contour_core::shift::Note;
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{Charter, Policy};
use contour_core::shift::weights::{Lever, Place, Scale, Service as Named, Weights};
use serde_json::json;

use super::*;

fn route() -> Value {
    json!({
        "apiVersion": "contour.heptio.com/v1beta1",
        "kind": "IngressRoute",
        "metadata": {"name": "shop", "namespace": "demo", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "virtualhost": {"fqdn": "shop.example.com"},
            "routes": [{"match": "/", "services": [
                {"name": "blue", "port": 80, "weight": 90},
                {"name": "green", "port": 80, "weight": 10},
            ]}],
        },
        "status": {"currentStatus": "invalid", "description": "no Service green"},
    })
}

fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
    })
}

fn slice(service: &str, endpoints: &Value) -> Value {
    json!({
        "metadata": {
            "name": format!("{service}-x"), "namespace": "demo",
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "admin", "port": 9_000}, {"name": "http", "port": 8_080}],
        "endpoints": endpoints,
    })
}

#[test]
fn without_a_controller_routes_and_endpoints_are_as_kubernetes_says() {
    let endpoints = json!([
        {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "n1",
         "targetRef": {"kind": "Pod", "name": "blue-1"}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
        {"addresses": ["fd00::3"], "conditions": {"ready": false, "terminating": true}},
        {"addresses": ["10.0.0.4"]},
    ]);
    let slices = [slice("blue", &endpoints)];
    let rows = rows(&[route()], &[service("blue")], &slices);
    let object = &rows.objects[0];
    assert_eq!((&*object.hosts[0], object.state.as_deref()), ("shop.example.com", Some("invalid")));
    assert_eq!(object.errors, ["no Service green".into()]);
    assert_eq!(object.weights.len(), 1);
    let services: Vec<_> =
        rows.services.iter().map(|s| (s.service.to_string(), s.healthy, s.members)).collect();
    let (blue, green) = ("demo/blue:80".to_owned(), "demo/green:80".to_owned());
    assert_eq!(services, [(blue, Some(2), Some(4)), (green, Some(0), Some(0))]);
    let endpoints: Vec<_> =
        rows.endpoints.iter().map(|e| (&*e.address, e.reasons.first().map(|r| r.0))).collect();
    assert_eq!(
        endpoints,
        [
            ("10.0.0.1:8080", None),
            ("10.0.0.2:8080", Some(Reason::EdsUnhealthy)),
            ("[fd00::3]:8080", Some(Reason::EdsDraining)),
            ("10.0.0.4:8080", None),
        ]
    );
    assert_eq!(pods(&slices), [("10.0.0.1".into(), "blue-1".into(), "n1".into())]);
}

fn state(phase: Phase) -> State {
    let service = |name: &str| Named { name: name.into(), port: 80 };
    let baseline = Weights::new(
        Place::Route("/".into()),
        [(service("blue"), Some(100)), (service("green"), None)],
    );
    let hundred = Percent::parse("100").unwrap();
    let (blue, green) = (service("blue"), service("green"));
    let lever = Lever::new(baseline.unwrap(), &blue, &green, Scale::Total(100), &[hundred]);
    let charter = Charter {
        id: Note::new("s1"),
        uid: Note::new("u"),
        plan: Plan::new(&Settings::of(Schedule::To(hundred))).unwrap(),
        policy: Policy::default(),
        places: vec![lever.unwrap()],
        operator: Note::new("ann"),
        reason: Note::new(""),
        deadline: None,
        tool: Note::new("test"),
    };
    let mut state = State::new(charter, Note::new("ann@host/1"), Timestamp::from_unix(1_000));
    state.progress.phase = phase;
    state
}

#[test]
fn a_shift_that_nobody_drives_is_worth_a_look() {
    let of = |phase: Phase, driver: Driver| {
        let now = Timestamp::from_unix(1_060);
        let shift = shift(ObjectName::new("demo", "shop"), &state(phase), driver, now)?;
        Some((shift.fault, shift.driver.map(|d| d.to_string()), shift.why.map(|w| w.to_string())))
    };
    let ann = || Some("ann@host/1".to_owned());
    let held = Driver::Holder("ann@host/1".to_owned());
    assert_eq!(of(Phase::Baking, held), Some((None, ann(), None)));
    assert_eq!(of(Phase::Baking, Driver::Unknown), Some((None, ann(), None)));
    let nobody = Some("nobody drives it".to_owned());
    assert_eq!(of(Phase::Baking, Driver::Nobody), Some((Some(Fault::Warning), None, nobody)));
    let failed = of(Phase::Holding(Note::new("p99")), Driver::Nobody);
    assert_eq!(failed, Some((Some(Fault::Failure), None, Some("p99".to_owned()))));
}

#[test]
fn a_shift_that_has_long_been_over_is_not_shown() {
    let of = |now| {
        let done = state(Phase::Completed { drained: true });
        shift(ObjectName::new("demo", "shop"), &done, Driver::Nobody, Timestamp::from_unix(now))
    };
    assert!(of(1_000 + OVER_FOR).is_some_and(|shift| shift.over && shift.fault.is_none()));
    assert_eq!(of(1_001 + OVER_FOR), None);
}

#[test]
fn events_are_read_in_their_old_and_new_forms() {
    let of = |times: Value| {
        let mut value = json!({
            "type": "Warning", "reason": "GateFailed", "message": "p99",
            "involvedObject": {"kind": "IngressRoute", "namespace": "demo", "name": "shop"},
        });
        value.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        event(&value)
    };
    let old = of(json!({"lastTimestamp": "2026-01-01T00:00:05Z", "count": 3})).unwrap();
    assert_eq!((old.unix_millis, old.count), (1_767_225_605_000, 3));
    assert_eq!((&*old.object, old.fault), ("IngressRoute demo/shop", Some(Fault::Warning)));
    let new = of(json!({"lastTimestamp": null, "eventTime": "2026-01-01T00:00:05.000000Z"}));
    assert_eq!(new.unwrap().count, 1);
    assert_eq!(of(json!({})), None, "nobody knows when");
}
