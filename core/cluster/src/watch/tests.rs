use contour_core::name::Kind;
use serde_json::{Value, json};

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn watch() -> Watch {
    Watch::new(Scope::Objects { kind: Kind::IngressRoute, namespace: None }, Settings::default())
}

fn route(name: &str, version: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "demo", "resourceVersion": version.to_string()},
        "spec": {"virtualhost": {"fqdn": format!("{name}.example.com")}},
    })
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({"type": kind, "object": object}).to_string().into_bytes()
}

fn bookmark(version: u32, is_end: bool) -> Vec<u8> {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if is_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    event("BOOKMARK", &json!({ "metadata": metadata }))
}

fn page(version: u32, token: &str, items: &[Value]) -> Vec<u8> {
    json!({"metadata": {"resourceVersion": version.to_string(), "continue": token}, "items": items})
        .to_string()
        .into_bytes()
}

fn refusal(code: u16) -> Refusal {
    Refusal { code, message: "no".to_owned(), retry_after: None }
}

/// The names applied (`+a`), deleted (`-a`) and undecodable (`!a`).
fn told(watch: &mut Watch) -> Vec<String> {
    let changes = watch.take_output().changes;
    changes
        .iter()
        .map(|change| match change {
            Change::Apply(object, _) => format!("+{}", object.metadata().name),
            Change::Delete(object) => format!("-{}", object.name.name),
            Change::Undecodable(object, _) => format!("!{}", object.name.name),
            Change::Clock(_) => "clock".to_owned(),
        })
        .collect()
}

/// A watch that has listed `a` and `b` by a stream, at version 10.
fn listed() -> Watch {
    let mut watch = watch();
    assert_eq!(watch.ask(NOW), Request::Stream);
    watch.opened();
    for line in [event("ADDED", &route("a", 1)), event("ADDED", &route("b", 2)), bookmark(10, true)]
    {
        assert_eq!(watch.line(NOW, &line), Next::Read);
    }
    let output = watch.take_output();
    assert!(output.completed && output.health == Some(Health::Watching));
    assert_eq!(output.changes.len(), 2);
    watch
}

#[test]
fn a_streamed_list_goes_over_into_a_watch() {
    let mut watch = listed();
    watch.line(NOW, &event("MODIFIED", &route("a", 11)));
    watch.line(NOW, &event("DELETED", &route("b", 12)));
    assert_eq!(told(&mut watch), ["+a", "-b"]);
    assert_eq!(watch.ended(NOW, End::Whole), Next::Ask(Wait::None));
    assert_eq!(watch.ask(NOW), Request::Watch { from: "12".to_owned() });
}

#[test]
fn an_api_server_without_streamed_lists_is_asked_for_pages() {
    let mut watch = watch();
    assert_eq!(watch.ask(NOW), Request::Stream);
    assert_eq!(watch.refused(NOW, refusal(422)), Next::Ask(Wait::None));
    assert_eq!(watch.ask(NOW), Request::List { token: None });
    assert_eq!(watch.page(NOW, &page(10, "next", &[route("a", 1)])), Next::Ask(Wait::None));
    assert_eq!(watch.ask(NOW), Request::List { token: Some("next".to_owned()) });
    assert!(!watch.take_output().completed);
    watch.page(NOW, &page(10, "", &[route("b", 2)]));
    assert!(watch.take_output().completed);
    assert_eq!(watch.ask(NOW), Request::Watch { from: "10".to_owned() });
}

#[test]
fn an_expired_version_leads_to_a_list_and_only_differences_are_told() {
    let mut watch = listed();
    let gone = event("ERROR", &json!({"code": 410, "message": "too old"}));
    assert_eq!(watch.line(NOW, &gone), Next::Ask(Wait::Retry(0)));
    assert_eq!(watch.ask(NOW), Request::Stream);
    watch.line(NOW, &event("ADDED", &route("a", 1)));
    watch.line(NOW, &event("ADDED", &route("c", 20)));
    assert_eq!(told(&mut watch), Vec::<String>::new(), "not before the list is complete");
    watch.line(NOW, &bookmark(20, true));
    assert_eq!(told(&mut watch), ["-b", "+c"]);
}

#[test]
fn a_list_that_breaks_off_changes_nothing() {
    let mut watch = listed();
    watch.refused(NOW, refusal(410));
    watch.ask(NOW);
    watch.line(NOW, &event("ADDED", &route("c", 20)));
    assert_eq!(watch.ended(NOW, End::Failed("reset".to_owned())), Next::Ask(Wait::Retry(2)));
    assert_eq!(told(&mut watch), Vec::<String>::new());
    assert_eq!(watch.ask(NOW), Request::Stream);
    for line in [
        event("ADDED", &route("a", 1)),
        event("ADDED", &route("b", 2)),
        event("ADDED", &route("c", 20)),
        bookmark(20, true),
    ] {
        watch.line(NOW, &line);
    }
    assert_eq!(told(&mut watch), ["+c"]);
}

#[test]
fn events_that_come_twice_or_late_are_no_news() {
    let mut watch = listed();
    watch.line(NOW, &event("MODIFIED", &route("a", 12)));
    watch.line(NOW, &event("MODIFIED", &route("a", 12)));
    watch.line(NOW, &event("MODIFIED", &route("a", 11)));
    watch.line(NOW, &event("DELETED", &route("a", 11)));
    assert_eq!(told(&mut watch), ["+a"]);
}

#[test]
fn what_no_event_told_is_found_when_everything_is_compared() {
    let mut watch = listed();
    let later = NOW + Settings::default().compare;
    watch.ended(later, End::Whole);
    assert_eq!(watch.ask(later), Request::Stream);
    for line in [event("ADDED", &route("a", 9)), bookmark(30, true)] {
        watch.line(later, &line);
    }
    let output = watch.take_output();
    assert_eq!((output.healed, output.changes.len()), (2, 2));
    watch.ended(later, End::Whole);
    assert_eq!(watch.ask(later), Request::Watch { from: "30".to_owned() });
}

#[test]
fn a_failure_goes_on_where_it_was_and_an_outage_deletes_nothing() {
    let mut watch = listed();
    for attempt in 1..50 {
        watch.ask(NOW);
        let next = watch.ended(NOW, End::Failed("refused".to_owned()));
        assert_eq!(next, Next::Ask(Wait::Retry(attempt)));
    }
    assert_eq!(told(&mut watch), Vec::<String>::new());
    assert_eq!(watch.ask(NOW), Request::Watch { from: "10".to_owned() });
    watch.opened();
    assert_eq!(watch.take_output().health, Some(Health::Watching));
}

#[test]
fn the_api_server_says_when_it_wants_to_be_asked_again() {
    let mut watch = listed();
    watch.ask(NOW);
    let busy = Refusal { retry_after: Some(Duration::from_secs(7)), ..refusal(429) };
    assert_eq!(watch.refused(NOW, busy), Next::Ask(Wait::Exactly(Duration::from_secs(7))));
}

#[test]
fn a_watch_that_ends_at_once_again_and_again_lists_anew() {
    let mut watch = listed();
    for attempt in 1..SILENT_ENDS {
        assert!(matches!(watch.ask(NOW), Request::Watch { .. }));
        assert_eq!(watch.ended(NOW, End::Whole), Next::Ask(Wait::Retry(attempt)));
    }
    watch.ask(NOW);
    watch.ended(NOW, End::Whole);
    assert_eq!(watch.ask(NOW), Request::Stream);
}

#[test]
fn a_missing_kind_is_empty_at_the_start_and_looked_for() {
    let mut watch = watch();
    watch.ask(NOW);
    assert!(matches!(watch.refused(NOW, refusal(404)), Next::Ask(Wait::Retry(_))));
    assert!(!watch.take_output().completed, "it may be about to appear");
    let later = NOW + Settings::default().settle;
    watch.ask(later);
    assert_eq!(
        watch.refused(later, refusal(404)),
        Next::Ask(Wait::Exactly(Settings::default().look))
    );
    let output = watch.take_output();
    assert!(output.completed && output.health == Some(Health::Absent));
    watch.ask(later);
    watch.line(later, &event("ADDED", &route("a", 1)));
    watch.line(later, &bookmark(1, true));
    assert_eq!(told(&mut watch), ["+a"]);
}

#[test]
fn a_kind_that_vanishes_is_empty_only_after_a_grace() {
    let mut watch = listed();
    for seconds in [0, 10, 50] {
        let now = NOW + Duration::from_secs(seconds);
        watch.ask(now);
        watch.refused(now, refusal(404));
        assert_eq!(told(&mut watch), Vec::<String>::new());
    }
    let now = NOW + Settings::default().grace;
    watch.ask(now);
    watch.refused(now, refusal(404));
    assert_eq!(told(&mut watch), ["-a", "-b"]);
}

/// An API server that starts does not know every kind at first, and fails in many ways.
#[test]
fn a_kind_that_is_missing_now_and_then_has_not_vanished() {
    let mut watch = listed();
    for (minutes, code) in [(0, 404), (1, 503), (2, 404), (3, 403), (10, 403), (11, 404)] {
        let now = NOW + Duration::from_mins(minutes);
        watch.ask(now);
        watch.refused(now, refusal(code));
        assert_eq!(told(&mut watch), Vec::<String>::new(), "{code} after {minutes} minutes");
    }
    let mut watch = self::watch();
    for (seconds, code) in [(0, 404), (6, 503), (12, 404), (18, 403)] {
        let now = NOW + Duration::from_secs(seconds);
        watch.ask(now);
        watch.refused(now, refusal(code));
        assert!(!watch.take_output().completed, "{code} after {seconds} seconds");
    }
}

#[test]
fn a_permission_that_is_lost_is_no_deletion() {
    let mut watch = listed();
    for hours in 0..10 {
        let now = NOW + Duration::from_hours(hours);
        watch.ask(now);
        watch.refused(now, refusal(403));
    }
    let output = watch.take_output();
    assert!(output.changes.is_empty());
    assert_eq!(output.health, Some(Health::Forbidden("no".to_owned())));
}

#[test]
fn a_poison_object_concerns_only_itself() {
    let mut watch = listed();
    let mut poison = route("a", 11);
    poison["spec"] = json!(3);
    watch.line(NOW, &event("MODIFIED", &poison));
    watch.line(NOW, &event("MODIFIED", &json!({"metadata": 3})));
    watch.line(NOW, &event("MODIFIED", &route("b", 12)));
    watch.line(NOW, &event("DELETED", &poison));
    let output = watch.take_output();
    assert_eq!(output.unreadable, 1);
    watch.output = Output { changes: output.changes, ..Output::default() };
    assert_eq!(told(&mut watch), ["!a", "+b", "-a"]);
}

#[test]
fn addresses_are_told_when_they_differ() {
    let service = ObjectName::new("projectcontour", "envoy");
    let mut watch = Watch::new(Scope::Addresses(service), Settings::default());
    let envoy = |version: u32, ip: &str| {
        json!({
            "metadata": {"name": "envoy", "namespace": "projectcontour", "resourceVersion": version.to_string()},
            "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
        })
    };
    watch.ask(NOW);
    watch.line(NOW, &event("ADDED", &envoy(1, "10.0.0.1")));
    watch.line(NOW, &bookmark(1, true));
    assert_eq!(watch.take_output().addresses, Some(vec![Address::of("10.0.0.1")]));
    watch.line(NOW, &event("MODIFIED", &envoy(2, "10.0.0.1")));
    assert_eq!(watch.take_output().addresses, None);
    watch.ended(NOW, End::Whole);
    let later = NOW + Settings::default().compare;
    assert_eq!(watch.ask(later), Request::Stream);
    watch.line(later, &event("ADDED", &envoy(2, "10.0.0.1")));
    watch.line(later, &bookmark(2, true));
    assert_eq!(watch.take_output().addresses, None, "a list that says nothing new");
    watch.ended(later, End::Whole);
    let later = later + Settings::default().compare;
    for end in [false, true] {
        assert_eq!(watch.ask(later), Request::Stream);
        watch.line(later, &event("ADDED", &envoy(3, "10.0.0.2")));
        if end {
            watch.line(later, &bookmark(3, true));
        } else {
            watch.ended(later, End::Failed("broken off".to_owned()));
        }
        let told = end.then(|| vec![Address::of("10.0.0.2")]);
        assert_eq!(watch.take_output().addresses, told, "after a list that broke off");
    }
    watch.line(later, &event("DELETED", &envoy(4, "10.0.0.2")));
    let output = watch.take_output();
    assert_eq!(output.addresses, Some(Vec::new()));
    assert!(output.changes.is_empty());
}
