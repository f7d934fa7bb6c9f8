//! What `top` shows of a sandbox: real controller, real Envoy, real traffic.

use serde_json::Value;

use super::program::{Sandbox, run};
use super::schema::check;
use super::top::{replay, shown, text};

/// A frame of a sandbox, and what was said on stderr.
fn look(sandbox: &Sandbox, flags: &str) -> (Value, String) {
    let fixed = ["top", "-f", sandbox.path.to_str().unwrap(), "-o", "json"];
    let output = run(&fixed.into_iter().chain(flags.split_whitespace()).collect::<Vec<_>>());
    let frame = serde_json::from_str(&shown(&output)).unwrap();
    (frame, text(&output.stderr))
}

fn of<'f>(frame: &'f Value, view: &str, field: &str, name: &str) -> &'f Value {
    let rows = frame[view].as_array().unwrap();
    rows.iter().find(|row| row[field] == name).unwrap_or_else(|| panic!("no {name}: {frame:#}"))
}

#[test]
fn rates_of_the_sandbox_are_those_of_its_load_and_divide_as_weights_do() {
    let mut sandbox = Sandbox::start(&["--load", "1000"]);
    sandbox.wait_for("load");
    let (frame, said) = look(&sandbox, "--once -d 10s");
    assert_eq!(said, "");
    let rates = frame["routes"].as_array().unwrap().iter();
    let total: f64 = rates.filter_map(|route| route["requestsPerSecond"].as_f64()).sum();
    assert!((total - 1000.0).abs() <= 20.0, "{total}: {frame:#}");
    let route = of(&frame, "routes", "object", "demo/shop");
    let shop = route["requestsPerSecond"].as_f64().unwrap();
    let green = route["destinations"].as_array().unwrap();
    let green = green.iter().find(|d| d["service"] == "demo/green:80").unwrap();
    assert_eq!(green["share"], 10.0, "{route:#}");
    let share = green["requestsPerSecond"].as_f64().unwrap() / shop;
    // Four standard deviations of some thousands of requests.
    assert!((share - 0.1).abs() < 0.02, "{share}: {route:#}");
    assert!(route["p99"].as_f64().is_some_and(|p99| p99 > 0.0), "{route:#}");
    let envoy = of(&frame, "envoys", "node", "sandbox");
    assert_eq!(envoy["state"], "live");
    assert_eq!(frame["coverage"]["answered"], 1);
    let schema: Value = serde_json::from_str(&shown(&run(&["top", "--schema"]))).unwrap();
    assert_eq!(check(&schema, &schema["$defs"]["frame"], &frame), Ok(()));
}

#[test]
fn an_endpoint_that_is_gone_and_a_shift_that_stands_are_shown() {
    let sandbox = Sandbox::start(&["--load", "200"]);
    let path = sandbox.path.join("services.yaml");
    let services = std::fs::read_to_string(&path).unwrap();
    let output = run(&[
        "shift",
        "start",
        "shop",
        "-n",
        "demo",
        "-f",
        sandbox.path.to_str().unwrap(),
        "--from",
        "blue",
        "--to",
        "green",
        "--steps",
        "50,100",
        "--bake",
        "1s",
        "--pause-at",
        "50",
        "-y",
    ]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let (frame, _) = look(&sandbox, "");
    let shift = of(&frame, "shifts", "object", "demo/shop");
    assert_eq!((&shift["phase"], &shift["share"]), (&"paused".into(), &"50%".into()), "{shift}");
    assert_eq!(shift["fault"], "warning");
    let dead =
        services.replacen("endpoints:\n- addresses: [\"127.0.0.1\"]\n", "endpoints: []\n", 1);
    assert_ne!(dead, services);
    std::fs::write(&path, dead).unwrap();
    let mut last = Value::Null;
    for _ in 0..10 {
        let (frame, _) = look(&sandbox, "-d 1s");
        let failing = frame["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w["code"] == "no-healthy-endpoint");
        if failing {
            let blue = of(&frame, "upstreams", "service", "demo/blue:80");
            assert_eq!(blue["healthy"], 0, "{blue:#}");
            let (faults, _) = look(&sandbox, "routes --faults");
            assert_eq!(of(&faults, "routes", "object", "demo/shop")["state"], "valid");
            return;
        }
        last = frame;
    }
    panic!("{last:#}");
}

#[test]
fn what_was_recorded_of_a_sandbox_shows_what_was_shown() {
    let sandbox = Sandbox::start(&["--load", "100"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("r.ndjson");
    let fixed =
        ["top", "-f", sandbox.path.to_str().unwrap(), "-b", "-n", "4", "-d", "1s", "-o", "ndjson"];
    let output = run(&[&fixed[..], &["--record", file.to_str().unwrap()]].concat());
    let live = shown(&output);
    assert_eq!(live.lines().count(), 4);
    let again = shown(&replay(&file, "-b -n 4 -d 1s -o ndjson"));
    for (live, again) in live.lines().zip(again.lines()) {
        assert_eq!(live, again);
    }
    let schema: Value = serde_json::from_str(&shown(&run(&["top", "--schema"]))).unwrap();
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(check(&schema, &schema["$defs"]["record"], &record), Ok(()));
    }
}
