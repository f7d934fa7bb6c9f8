//! The sandbox with a real Envoy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::program::{Sandbox, envoy, gone, program, runs, shell};

/// The command of a `started` event whose purpose contains a text.
fn command(sandbox: &Sandbox, purpose: &str) -> String {
    let commands = sandbox.started["commands"].as_array().unwrap();
    let found = commands.iter().find(|c| c["purpose"].as_str().unwrap().contains(purpose));
    let found = found.unwrap_or_else(|| panic!("no {purpose:?} in {commands:#?}"));
    found["command"].as_str().unwrap().replacen("curl ", "curl -sS --max-time 30 ", 1)
}

/// How the services of the host with the most answers share them.
fn shares(report: &Value) -> BTreeMap<String, u64> {
    let services = report["services"]["shop.example.com"].clone();
    serde_json::from_value(services).unwrap()
}

#[test]
fn the_commands_work_as_printed() {
    let sandbox = Sandbox::start(&[]);
    let answer = shell(&command(&sandbox, "blue or green"));
    let (service, rest) = answer.split_once(' ').unwrap();
    assert!(["blue", "green"].contains(&service), "{answer}");
    assert!(rest.starts_with("v1: GET shop.example.com/"), "{answer}");
    let answer = shell(&command(&sandbox, "over TLS"));
    assert!(answer.starts_with("blue v1: GET secure.example.com"), "{answer}");
    let answer = shell(&command(&sandbox, "another team"));
    assert!(answer.starts_with("team v1: GET") && answer.contains("/team/reports"), "{answer}");
    let answer = shell(&command(&sandbox, "redirected"));
    assert!(answer.starts_with("HTTP/1.1 301"), "{answer}");
    assert!(answer.contains("location: https://secure.example.com"), "{answer}");
    let answer = shell(&command(&sandbox, "make green slow"));
    assert!(
        answer.contains(r#""delay":"200 ms""#) && answer.contains(r#""fail":"5%""#),
        "{answer}"
    );
    let answer = shell(&command(&sandbox, "well again"));
    assert!(answer.contains(r#""fail":"0%""#), "{answer}");
    let answer = shell(&command(&sandbox, "what became"));
    assert!(answer.contains("shop"), "{answer}");
}

#[test]
fn an_edited_weight_moves_the_traffic_and_no_request_fails() {
    let mut sandbox = Sandbox::start(&["--load", "400"]);
    sandbox.wait_for("load");
    sandbox.edit("shop.yaml", "weight: 90", "weight: 0");
    let applied = sandbox.wait_for("applied");
    let object = &applied["objects"][0];
    assert_eq!(object["object"], "IngressRoute demo/shop");
    assert_eq!(object["change"], "changed");
    assert!(object["file"].as_str().unwrap().ends_with("shop.yaml"));
    let field = &object["fields"][0];
    assert_eq!(field["path"], "spec.routes[/].services[blue].weight");
    assert_eq!((&field["before"], &field["after"]), (&90.into(), &0.into()));
    assert_eq!(applied["resources"], 1, "one virtual host differs, nothing else: {applied}");
    let acknowledged = sandbox.wait_for("acknowledged");
    assert_eq!(acknowledged["revision"], applied["revision"]);
    assert!(acknowledged["millis"].as_f64().unwrap() > 0.0);
    // The first report holds requests from before the change.
    sandbox.wait_for("load");
    let report = sandbox.wait_for("load");
    let shares = shares(&report);
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["green"], "{report}");
    sandbox.signal("INT");
    let stopped = sandbox.wait_for("stopped");
    let total = &stopped["load"];
    assert_eq!(total["failures"], serde_json::json!({}), "{total}");
    assert_eq!(total["statuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["200"]);
    assert_eq!(total["unsent"], 0);
    assert_eq!(sandbox.end(), (Some(0), String::new()));
}

#[test]
fn the_split_is_as_the_weights_say() {
    let mut sandbox = Sandbox::start(&["--load", "2000"]);
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    while counted.values().sum::<u64>() < 10_000 {
        for (service, count) in shares(&sandbox.wait_for("load")) {
            *counted.entry(service).or_default() += count;
        }
    }
    let all = counted.values().sum::<u64>();
    // 1.5 percentage points are five standard deviations of 10,000 requests.
    let off = (counted["green"] * 1000).abs_diff(all * 100);
    assert!(off <= all * 15, "{counted:?}");
}

#[test]
fn what_is_wrong_is_shown_with_its_place_and_the_last_good_stays() {
    let mut sandbox = Sandbox::start(&[]);
    sandbox.edit("shop.yaml", "name: green", "name: gren");
    let applied = sandbox.wait_for("applied");
    let found = applied["diagnostics"].as_array().unwrap();
    let found = found.iter().find(|d| d["object"] == "IngressRoute demo/shop").unwrap();
    assert_eq!(found["severity"], "error");
    assert!(found["file"].as_str().unwrap().ends_with("shop.yaml"), "{found}");
    assert!(found["line"].as_u64().unwrap() > 1 && found["code"].is_string(), "{found}");
    sandbox.edit("shop.yaml", "name: gren", "name: green");
    let mended = sandbox.wait_for("applied");
    assert!(!mended["mended"].as_array().unwrap().is_empty(), "{mended}");

    std::fs::write(sandbox.path.join("shop.yaml"), "spec: {routes: [").unwrap();
    let problem = sandbox.wait_for("problem");
    assert!(!problem["diagnostics"].as_array().unwrap().is_empty(), "{problem}");
    let answer = shell(&command(&sandbox, "blue or green"));
    assert!(answer.contains("shop.example.com"), "{answer}");
}

#[test]
fn a_demo_service_moves_with_its_endpoint() {
    let mut sandbox = Sandbox::start(&[]);
    sandbox.edit("services.yaml", "addresses: [\"127.0.0.1\"]", "addresses: [\"127.0.0.2\"]");
    sandbox.wait_for("applied");
    sandbox.wait_for("acknowledged");
    let answer = shell(&command(&sandbox, "over TLS"));
    assert!(answer.contains("answered at 127.0.0.2:"), "{answer}");
}

#[test]
fn a_signal_stops_everything() {
    for signal in ["INT", "TERM"] {
        let mut sandbox = Sandbox::start(&[]);
        let pid = sandbox.envoy_pid();
        assert!(runs(pid));
        sandbox.signal(signal);
        assert_eq!(sandbox.wait_for("stopped")["event"], "stopped");
        assert_eq!(sandbox.end(), (Some(0), String::new()), "{signal}");
        assert!(!runs(pid), "Envoy is gone before the sandbox is");
    }
}

#[test]
fn envoy_does_not_outlive_a_sandbox_that_is_killed() {
    let mut sandbox = Sandbox::start(&[]);
    let pid = sandbox.envoy_pid();
    sandbox.kill();
    assert!(gone(pid));
}

#[test]
fn an_envoy_that_is_killed_ends_the_sandbox_with_a_code_of_its_own() {
    let sandbox = Sandbox::start(&[]);
    shell(&format!("kill -KILL {}", sandbox.envoy_pid()));
    let (code, said) = sandbox.end();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("ended by itself, by signal 9"), "{said}");
}

#[test]
fn it_stops_by_itself_after_the_time_given() {
    let mut sandbox = Sandbox::start(&["--exit-after", "100ms"]);
    let stopped = sandbox.wait_for("stopped");
    assert!(stopped["reason"].as_str().unwrap().contains("--exit-after"));
    assert_eq!(sandbox.end(), (Some(0), String::new()));
}

#[test]
fn each_event_has_the_members_that_the_document_names() {
    let sandbox = Sandbox::start(&[]);
    let started = sandbox.started.as_object().unwrap();
    let members: Vec<&str> = started.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "event",
            "http",
            "https",
            "directory",
            "envoy",
            "services",
            "commands",
            "edit",
            "debug",
            "millis"
        ]
    );
    let names: Vec<&str> = started["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 3);
    for name in ["blue", "green", "team"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let document = std::fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/sandbox.md"),
    )
    .unwrap();
    for member in members {
        assert!(document.contains(&format!("`{member}`")), "docs/sandbox.md lacks {member}");
    }
}

#[test]
fn text_without_a_terminal_has_no_escapes_and_names_what_to_try() {
    let directory = tempfile::tempdir().unwrap();
    let output = program()
        .args(["sandbox", "--http-port", "0", "--https-port", "0", "--exit-after", "1500ms"])
        .args(["--blue-port", "0", "--green-port", "0", "--team-port", "0", "--load", "50"])
        .arg("example")
        .current_dir(&directory)
        .env("CONTOUR_ENVOY", envoy())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\x1b') && !text.contains('\r'), "{text}");
    assert!(text.contains("curl -H 'Host: shop.example.com' http://127.0.0.1:"), "{text}");
    assert!(text.contains("--cacert example/ca.crt --resolve secure.example.com:"), "{text}");
    assert!(text.contains("edit a weight in example/shop.yaml"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("load ") && line.contains(" req/s · blue")));
}
