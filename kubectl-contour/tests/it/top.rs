//! `top` without a terminal: recordings in every form, and the sandbox as it is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use contour_core::name::ObjectName;
use contour_core::observe::feed::{
    Certificate, Cursor, Destination, Endpoint, Envoy, Gone, Increment, Latency, Object, Reason,
    Rejection, Rows, SCHEMA, ServerState, Service, ServicePort, Traffic,
};
use contour_core::shift::weights::{Place, Service as Named, Weights};
use contour_core::top::{Event, Fault, Input, Record, Shift};
use serde_json::Value;

use super::program::{program, run};
use super::schema::check;

/// 2026-01-01T00:00:00Z.
const BEGIN: u64 = 1_767_225_600_000;

fn service(name: &str) -> ServicePort {
    ServicePort::new("demo", name, 80)
}

fn object(name: &str, host: &str, state: &str, weights: &[(&str, i64)]) -> Object {
    let services = weights
        .iter()
        .map(|(name, weight)| (Named { name: (*name).into(), port: 80 }, Some(*weight)));
    Object {
        name: ObjectName::new("demo", name),
        hosts: vec![host.into()],
        state: Some(state.into()),
        errors: if state == "valid" { Vec::new() } else { vec!["no Service \x1b[31mred".into()] },
        weights: vec![Weights::new(Place::Route("/".into()), services).unwrap()],
    }
}

fn endpoint(name: &str, address: &str, reason: Option<Reason>, second: u64) -> Endpoint {
    Endpoint {
        service: service(name),
        address: address.into(),
        envoys: 2,
        reasons: reason.map(|reason| (reason, 2)).into_iter().collect(),
        weight: 1,
        active: 3,
        connections: 4,
        requests: 45 * second,
        errors: if name == "green" { second } else { 0 },
        connect_failures: 0,
        seen_unix_millis: BEGIN + second * 1_000,
    }
}

fn envoy(node: &str, second: u64) -> Envoy {
    Envoy {
        node: node.into(),
        version: Some("1.40.0".into()),
        address: Some("10.0.0.9".into()),
        connected_unix_millis: BEGIN - 3_600_000,
        state: Some(ServerState::Live),
        uptime_seconds: Some(7_200 + second),
        memory_bytes: Some(64 << 20),
        connections: Some(12),
        requests: 50 * second,
        types: Vec::new(),
        rejections: if node == "envoy-b" {
            vec![Rejection {
                resource: "rds:http/shop.example.com".into(),
                message: "no, \"never\"\nreally".into(),
                owners: vec![ObjectName::new("demo", "shop")],
            }]
        } else {
            Vec::new()
        },
        trouble: None,
        answered_unix_millis: Some(BEGIN + second * 1_000),
        cost: Some((1_500, 20_000)),
    }
}

fn traffic(second: u64) -> (Vec<Traffic>, Vec<Latency>) {
    let traffic = vec![
        Traffic { id: 0, classes: [0, 90 * second, 0, 0, 0], retries: 0 },
        Traffic { id: 1, classes: [0, 9 * second, 0, 0, second], retries: second },
    ];
    let latency = |id| Latency(id, vec![(1_000, 80 * second), (250_000, 20 * second)]);
    (traffic, vec![latency(0), latency(1)])
}

fn rows(second: u64) -> Rows {
    let (traffic, latency) = traffic(second);
    let destination = |id, name: &str| Destination {
        id,
        object: ObjectName::new("demo", "shop"),
        place: Place::Route("/".into()),
        service: service(name),
    };
    let of = |name: &str, healthy| Service {
        service: service(name),
        members: Some(2),
        healthy: Some(healthy),
        ejected: 2 - healthy,
        active: 5,
        connections: 6,
        connect_failures: 0,
        overflows: 0,
        circuit_open: false,
    };
    Rows {
        objects: vec![
            object("shop", "shop.example.com", "valid", &[("blue", 90), ("green", 10)]),
            object("old", "old.example.com", "invalid", &[("red", 1)]),
        ],
        destinations: vec![destination(0, "blue"), destination(1, "green")],
        traffic,
        latency,
        services: vec![of("blue", 2), of("green", 1)],
        endpoints: vec![
            endpoint("blue", "10.0.0.1:8080", None, second),
            endpoint("blue", "10.0.0.2:8080", None, second),
            endpoint("green", "10.0.1.1:8080", None, second),
            endpoint("green", "10.0.1.2:8080", Some(Reason::FailedOutlierCheck), second),
        ],
        envoys: vec![envoy("envoy-a", second), envoy("envoy-b", second)],
        certificates: vec![Certificate {
            secret: ObjectName::new("demo", "shop-tls"),
            names: vec!["shop.example.com".into()],
            not_after_unix: i64::try_from(BEGIN / 1_000).unwrap() + 6 * 86_400,
            hosts: vec!["shop.example.com".into()],
        }],
    }
}

fn told(second: u64) -> Input {
    let increment = Increment {
        schema: SCHEMA,
        at: Cursor { collection: BEGIN, tick: second + 1 },
        whole: second == 0,
        unix_millis: BEGIN + second * 1_000,
        controller: "0.1.0".into(),
        interval_millis: 1_000,
        endpoints_fresh: true,
        changed: rows(second),
        gone: Gone::default(),
    };
    Input::Increment("contour-1".into(), Box::new(increment))
}

/// What was told in twelve seconds of a busy installation with something of everything.
fn records() -> Vec<Record> {
    let shift = Shift {
        object: ObjectName::new("demo", "shop"),
        from: "blue:80".into(),
        to: "green:80".into(),
        share: "10%".into(),
        phase: "paused".into(),
        why: Some("by ann@laptop/1: lunch".into()),
        since_unix: i64::try_from(BEGIN / 1_000).unwrap() - 90,
        driver: None,
        fault: Some(Fault::Warning),
        over: false,
    };
    let event = Event {
        unix_millis: BEGIN - 60_000,
        fault: Some(Fault::Warning),
        reason: "GateFailed".into(),
        object: "IngressRoute demo/shop".into(),
        text: "p99 is 250ms, not below 100ms".into(),
        count: 2,
    };
    let first = [
        Input::Sources(vec!["contour-1".into()]),
        Input::Limits(vec!["Pods of endpoints are not shown: it takes the verb list".into()]),
        Input::Shifts(vec![shift]),
        Input::Events(vec![event]),
        Input::Pods(vec![("10.0.0.1".into(), "blue-1".into(), "node-1".into())]),
    ];
    let first = first.into_iter().map(|input| Record { unix_millis: BEGIN, input });
    let looks = (0..=12)
        .map(|second| Record { unix_millis: BEGIN + second * 1_000 + 5, input: told(second) });
    first.chain(looks).collect()
}

/// A recording in a directory that goes with it.
pub(crate) fn recording() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("top.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    for record in records() {
        writeln!(file, "{}", serde_json::to_string(&record).unwrap()).unwrap();
    }
    (directory, path)
}

pub(crate) fn replay(path: &Path, flags: &str) -> Output {
    let fixed = ["top", "--replay", path.to_str().unwrap()];
    run(&fixed.into_iter().chain(flags.split_whitespace()).collect::<Vec<_>>())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
pub(crate) fn shown(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert!(!output.stdout.contains(&0x1b), "{out:?}");
    out
}

const VIEWS: [&str; 7] =
    ["routes", "upstreams", "endpoints", "envoys", "certificates", "shifts", "events"];

#[test]
fn every_view_is_a_table_where_there_is_no_terminal() {
    let (_directory, path) = recording();
    for view in VIEWS {
        let table = shown(&replay(&path, view));
        insta::assert_snapshot!(format!("table_{view}"), table);
        assert_eq!(shown(&replay(&path, &format!("{view} --once"))), table);
    }
    let output = replay(&path, "routes -o wide --color never");
    insta::assert_snapshot!("wide_routes", shown(&output));
    let said = text(&output.stderr);
    insta::assert_snapshot!("stderr", said);
}

#[test]
fn every_form_is_what_programs_read() {
    let (_directory, path) = recording();
    insta::assert_snapshot!("csv_routes", shown(&replay(&path, "routes -o csv")));
    insta::assert_snapshot!("csv_endpoints", shown(&replay(&path, "endpoints -o csv")));
    insta::assert_snapshot!("csv_envoys", shown(&replay(&path, "envoys -o csv")));
    insta::assert_snapshot!("name", shown(&replay(&path, "endpoints -o name")));
    let whole: Value = serde_json::from_str(&shown(&replay(&path, "-o json"))).unwrap();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&whole).unwrap());
    for view in VIEWS {
        assert!(!whole[view].as_array().unwrap().is_empty(), "{view}");
        let alone: Value =
            serde_json::from_str(&shown(&replay(&path, &format!("{view} -o json")))).unwrap();
        for other in VIEWS {
            let expected =
                if other == view { whole[other].clone() } else { Value::Array(Vec::new()) };
            assert_eq!(alone[other], expected, "{other} of {view}");
        }
        assert_eq!(alone["warnings"], whole["warnings"]);
    }
    let line = shown(&replay(&path, "-o ndjson"));
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), whole);
}

#[test]
fn rows_and_columns_are_those_that_are_asked_for() {
    let (_directory, path) = recording();
    let rows = |flags: &str| {
        let text = shown(&replay(&path, flags));
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows("routes --filter rps>1 -o name"), ["demo/shop:/"]);
    assert_eq!(rows("routes --faults -o name --filter status=invalid"), ["demo/old:/"]);
    assert_eq!(rows("routes -n other -o name"), Vec::<String>::new());
    assert_eq!(rows("routes -n demo -o name").len(), 2);
    assert_eq!(
        rows("upstreams --sort-by -rps --columns service,rps -o csv --filter rps>0")[1..],
        ["blue:80,90", "green:80,10"]
    );
    assert_eq!(
        rows("upstreams --sort-by rps:asc --columns service -o csv")[1..],
        ["green:80", "blue:80", "red:80"]
    );
    let whole: Value = serde_json::from_str(&shown(&replay(&path, "-n other -o json"))).unwrap();
    assert!(whole["routes"].as_array().unwrap().is_empty());
    assert_eq!(whole["envoys"].as_array().unwrap().len(), 2);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_meant() {
    let (_directory, path) = recording();
    for (flags, said) in [
        ("route", "a similar value exists: 'routes'"),
        ("routes --sort-by rsp", "did you mean rps?"),
        ("routes --columns nmae", "did you mean name?"),
        ("routes --filter rsp>1", "did you mean rps?"),
        ("routes -o yaml", "possible values"),
        ("routes --once -b", "cannot be used with"),
    ] {
        let output = replay(&path, flags);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags}: {err}");
        assert!(err.contains(said), "{flags}: {err}");
        assert!(output.stdout.is_empty(), "{flags}");
    }
    let output = run(&["top", "--replay", "/nowhere.ndjson"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn one_table_follows_the_other_until_there_were_enough() {
    let (_directory, path) = recording();
    let output = shown(&replay(&path, "upstreams -b --iterations 2 -d 5s"));
    assert_eq!(shown(&replay(&path, "upstreams -b -n 2 -d 5s")), output);
    insta::assert_snapshot!("batch", output);
    let output = shown(&replay(
        &path,
        "upstreams -b --iterations 2 -d 5s -o csv --columns service,rps --filter rps>0",
    ));
    assert_eq!(
        output,
        "time,service,rps\n\
         2026-01-01T00:00:01.005Z,blue:80,90\n2026-01-01T00:00:01.005Z,green:80,10\n\
         2026-01-01T00:00:06.005Z,blue:80,90\n2026-01-01T00:00:06.005Z,green:80,10\n"
    );
    let frames = shown(&replay(&path, "-b -d 1s -o ndjson"));
    let times: Vec<u64> = frames
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["unixMillis"].as_u64().unwrap())
        .collect();
    assert_eq!(times, (1..=12).map(|s| BEGIN + s * 1_000 + 5).collect::<Vec<_>>());
}

#[test]
fn faults_can_be_an_exit_code() {
    let (_directory, path) = recording();
    assert_eq!(replay(&path, "routes --exit-code").status.code(), Some(7));
    assert_eq!(
        replay(&path, "upstreams --exit-code --filter service=blue:80").status.code(),
        Some(0)
    );
    assert_eq!(replay(&path, "-o json --exit-code").status.code(), Some(7));
}

#[test]
fn whoever_has_seen_enough_ends_it_well() {
    let (_directory, path) = recording();
    let mut child = program()
        .args(["top", "-b", "-d", "100ms", "--speed", "10", "--replay", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("2026-01-01T00:00:01"), "{line}");
    // The other end is closed here.
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_is_replayed_and_recorded_again_is_the_same() {
    let (directory, path) = recording();
    let again = directory.path().join("again.ndjson");
    let flags = format!("-b -d 1s -o ndjson --record {}", again.display());
    let frames = shown(&replay(&path, &flags));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(&again).unwrap());
    assert_eq!(shown(&replay(&again, "-b -d 1s -o ndjson")), frames);
}

#[test]
fn without_anybody_to_ask_it_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let output = run(&["top", "-f", path]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{err}");
    assert!(err.contains("kubectl contour sandbox"), "{err}");
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["top", "--controller", &free.to_string()]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{err}");
    assert!(err.contains("no controller tells anything"), "{err}");
}

#[test]
fn what_is_written_is_as_the_schema_says() {
    let (_directory, path) = recording();
    let schema: Value = serde_json::from_str(&shown(&run(&["top", "--schema"]))).unwrap();
    let (frame, record) = (&schema["$defs"]["frame"], &schema["$defs"]["record"]);
    let whole: Value = serde_json::from_str(&shown(&replay(&path, "-o json"))).unwrap();
    assert_eq!(check(&schema, frame, &whole), Ok(()));
    for line in shown(&replay(&path, "-b -d 1s -o ndjson")).lines() {
        assert_eq!(check(&schema, &schema, &serde_json::from_str(line).unwrap()), Ok(()));
    }
    let mut lines: Vec<_> = records();
    lines.push(Record { unix_millis: 1, input: Input::Lost("a".into(), "gone".into()) });
    lines.push(Record { unix_millis: 1, input: Input::Kubernetes(Box::new(rows(1))) });
    for record_line in lines {
        let value = serde_json::to_value(&record_line).unwrap();
        assert_eq!(check(&schema, record, &value), Ok(()));
    }
    // What is nothing of that is refused.
    let mut wrong = whole.clone();
    wrong["routes"][0]["requestsPerSecond"] = "many".into();
    assert!(check(&schema, frame, &wrong).is_err());
    wrong = whole.clone();
    wrong["routes"][0]["more"] = 1.into();
    assert!(check(&schema, frame, &wrong).is_err());
    // A null stands where something is not known, and every field is described and there.
    for (view, of) in [("routes", "route"), ("upstreams", "upstream"), ("envoys", "envoy")] {
        let described = schema["$defs"][of]["properties"].as_object().unwrap();
        for name in described.keys().filter(|name| *name != "trend") {
            assert!(whole[view][0].get(name).is_some(), "{view} have no {name}");
        }
    }
}
