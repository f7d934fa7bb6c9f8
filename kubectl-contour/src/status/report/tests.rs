use serde_json::json;

use super::*;
use crate::fleet::NAMESPACE;
use crate::fleet::tests::pod;
use crate::output::Palette;

const NOW: i64 = 1_800_000_000;

fn told(replica: &str, revision: u64, envoys: &[Value]) -> Told<Value> {
    Told {
        namespace: NAMESPACE.to_owned(),
        replica: replica.to_owned(),
        answer: Ok(json!({"revision": revision, "envoys": envoys})),
    }
}

fn silent(replica: &str, answer: ForwardTrouble) -> Told<Value> {
    Told { namespace: NAMESPACE.to_owned(), replica: replica.to_owned(), answer: Err(answer) }
}

fn forbidden() -> ForwardTrouble {
    ForwardTrouble::Forbidden { namespace: NAMESPACE.to_owned() }
}

/// An Envoy as a controller tells of it.
fn view(node: &str, in_sync: u64) -> Value {
    let of = |held: u64| {
        json!({
            "held": held, "outstanding": 0, "pending": 0, "rejected": 0,
            "digest": "9f3a1c07aabbccdd", "acknowledged_unix": NOW - 180,
        })
    };
    json!({
        "node": node, "cluster": "envoy", "version": "1.40.0", "address": "10.0.0.7:4711",
        "connected_unix": NOW - 7_300, "protocol": "delta", "in_sync": in_sync,
        "types": {"cds": of(3), "eds": of(3), "lds": of(2), "rds": of(12), "srds": of(12)},
        "rejections": [],
    })
}

fn rejecting(node: &str) -> Value {
    let mut view = view(node, 7);
    view["types"]["rds"]["rejected"] = json!(1);
    view["rejections"] = json!([{
        "type": "rds", "name": "http/shop.test", "version": "00000000000000ff",
        "message": "Proto constraint validation failed",
        "owners": [{"kind": "IngressRoute", "namespace": "demo", "name": "shop", "field": ".spec.routes"}],
    }]);
    view
}

fn on_the_way(node: &str) -> Value {
    let mut view = view(node, 6);
    view["types"]["rds"]["outstanding"] = json!(2);
    view["types"]["cds"]["pending"] = json!(1);
    view
}

/// One of each state.
pub(crate) fn varied() -> Report {
    let mut late = pod(App::Envoy, "envoy-late");
    late.ready = false;
    late.why = "container envoy: CrashLoopBackOff".to_owned();
    let mut leaving = pod(App::Envoy, "envoy-old");
    leaving.terminating = true;
    let pods = [
        pod(App::Contour, "contour-1"),
        pod(App::Contour, "contour-2"),
        pod(App::Envoy, "envoy-a"),
        pod(App::Envoy, "envoy-b"),
        pod(App::Envoy, "envoy-c"),
        late,
        leaving,
    ];
    let one = [view("envoy-a", 7), rejecting("envoy-b"), view("elsewhere", 7)];
    let told = [told("contour-1", 7, &one), told("contour-2", 7, &[on_the_way("envoy-c")])];
    merge(&pods, &told, NOW)
}

#[test]
fn each_envoy_is_in_the_state_that_its_replica_tells() {
    let report = varied();
    let states: Vec<_> = report.envoys.iter().map(|e| (e.name(), e.state_in_words())).collect();
    let states: Vec<_> = states.iter().map(|(name, state)| (*name, state.as_str())).collect();
    assert_eq!(
        states,
        [
            ("envoy-a", "in sync"),
            ("envoy-b", "1 rejected"),
            ("envoy-c", "3 pending"),
            ("envoy-late", "not connected"),
            ("envoy-old", "terminating"),
            ("elsewhere", "in sync"),
        ]
    );
    assert_eq!(report.verdict(), Verdict::Findings);
    assert_eq!(report.envoys[2].controllers, ["contour-2"]);
    assert_eq!(
        report.reason(),
        "envoy-b has 1 rejected, envoy-c has 3 pending, envoy-late is not connected (pod \
         envoy-late is not ready: container envoy: CrashLoopBackOff)"
    );
}

#[test]
fn all_in_sync_is_a_verdict_and_so_is_not_to_know() {
    let pods = [pod(App::Contour, "contour-1"), pod(App::Envoy, "envoy-a")];
    let verdict = |told: &[Told<Value>]| merge(&pods, told, NOW).verdict();
    assert_eq!(verdict(&[told("contour-1", 7, &[view("envoy-a", 7)])]), Verdict::InSync);
    assert_eq!(verdict(&[told("contour-1", 7, &[view("envoy-a", 8)])]), Verdict::InSync);
    assert_eq!(verdict(&[told("contour-1", 7, &[view("envoy-a", 6)])]), Verdict::Findings);
    assert_eq!(verdict(&[told("contour-1", 7, &[])]), Verdict::Findings);
    assert_eq!(verdict(&[]), Verdict::Unknown);
    assert_eq!(verdict(&[silent("contour-1", forbidden())]), Verdict::Unknown);
    // Connected to the replica that does not answer, or to none: nobody can tell.
    let mixed = [told("contour-2", 7, &[]), silent("contour-1", forbidden())];
    assert_eq!(verdict(&mixed), Verdict::Unknown);
    assert!(merge(&pods, &[silent("contour-1", forbidden())], NOW).forbidden());
    assert!(!merge(&pods, &mixed, NOW).forbidden());
}

#[test]
fn without_answers_a_pod_that_is_not_ready_is_still_a_finding() {
    let mut envoy = pod(App::Envoy, "envoy-a");
    envoy.ready = false;
    let pods = [pod(App::Contour, "contour-1"), envoy];
    let report = merge(&pods, &[silent("contour-1", forbidden())], NOW);
    assert_eq!(report.verdict(), Verdict::Findings);
}

#[test]
fn a_client_that_is_no_envoy_is_none_of_them() {
    let mut client = view("grpcurl", 0);
    client["version"] = Value::Null;
    let pods = [pod(App::Contour, "contour-1"), pod(App::Envoy, "envoy-a")];
    let report = merge(&pods, &[told("contour-1", 7, &[client, view("envoy-a", 7)])], NOW);
    assert_eq!(report.envoys.len(), 1);
    assert_eq!(report.verdict(), Verdict::InSync);
}

#[test]
fn the_report_is_shown_as_a_table() {
    let plain = Palette::new(false);
    insta::assert_snapshot!("table", super::super::show::table(&varied(), false, false, plain));
    insta::assert_snapshot!("wide", super::super::show::table(&varied(), true, true, plain));
}

#[test]
fn the_report_is_an_object_for_programs() {
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&varied()).unwrap());
    insta::assert_snapshot!("yaml", serde_saphyr::to_string(&varied()).unwrap());
}
