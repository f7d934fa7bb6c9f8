//! Shifts in the sandbox: real controller, real Envoy, real traffic.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Output, Stdio};

use serde_json::Value;

use super::program::{Sandbox, program, run};
use super::terminal::Terminal;

const FROM_BLUE: [&str; 4] = ["--from", "blue", "--to", "green"];

/// The command line of a verb on the example's route.
fn line<'a>(sandbox: &'a Sandbox, verb: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let path = sandbox.path.to_str().unwrap();
    let fixed = ["shift", verb, "shop", "-n", "demo", "-f", path];
    fixed.into_iter().chain(flags.iter().copied()).collect()
}

fn shift(sandbox: &Sandbox, verb: &str, flags: &[&str]) -> Output {
    run(&line(sandbox, verb, flags))
}

fn start(sandbox: &Sandbox, flags: &[&str]) -> Output {
    let flags: Vec<_> =
        FROM_BLUE.iter().chain(&["-y", "-o", "ndjson"]).chain(flags).copied().collect();
    shift(sandbox, "start", &flags)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn events(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    text(&output.stdout).lines().map(parse).collect()
}

fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["event"] == kind).collect()
}

/// Exit code, and what was said.
#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    err
}

/// A file without the annotation of shifts and the weights: what no shift may change.
fn rest(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let ours = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("shift.contour.heptio.com/")
            || line.starts_with("annotations:")
            || line.starts_with("weight:")
    };
    text.lines().filter(|line| !ours(line)).collect::<Vec<_>>().join("\n")
}

/// A shift that runs, telling JSON.
struct Running {
    child: Child,
    out: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn begin(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let flags: Vec<_> =
            FROM_BLUE.iter().chain(&["-y", "-o", "ndjson"]).chain(flags).copied().collect();
        let mut child = program()
            .args(line(sandbox, "start", &flags))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    fn wait_for(&mut self, kind: &str) -> Value {
        let mut seen = Vec::new();
        for line in self.out.by_ref().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == kind {
                return event;
            }
            seen.push(event);
        }
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        panic!("no {kind} after {seen:#?}\n{said}");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success()
        );
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

#[test]
fn a_hundred_steps_and_back_divide_as_they_say_and_no_request_fails() {
    let mut sandbox = Sandbox::start(&["--load", "1500"]);
    let all = "weight: 100\n    - name: green\n      port: 80\n      weight: 0";
    sandbox.edit(
        "shop.yaml",
        "weight: 90\n    - name: green\n      port: 80\n      weight: 10",
        all,
    );
    sandbox.wait_for("acknowledged");
    let file = sandbox.path.join("shop.yaml");
    let before = rest(&file);
    let mut flags =
        vec!["--step", "1", "--bake", "0s", "--interval", "1s", "--min-requests", "100"];
    if std::env::var_os("CONTOUR_SHIFT_SPLIT").is_some() {
        // A second more for each step.
        flags.push("--confirm-split");
    }
    let output = start(&sandbox, &flags);
    ended(&output, 0);
    let there = events(&output);
    assert_eq!(of(&there, "WeightShifted").len(), 100, "{there:#?}");
    assert_eq!(of(&there, "ShiftLive").len(), 100, "each is seen in Envoy");
    assert_eq!(of(&there, "ShiftCompleted").len(), 1);
    let back: Vec<_> = ["--from", "green", "--to", "blue", "-y", "-o", "ndjson"]
        .iter()
        .chain(&flags)
        .copied()
        .collect();
    let output = shift(&sandbox, "start", &back);
    ended(&output, 0);
    assert_eq!(of(&events(&output), "WeightShifted").len(), 100);
    assert_eq!(rest(&file), before);
    sandbox.signal("INT");
    let stopped = sandbox.wait_for("stopped");
    let total = &stopped["load"];
    assert_eq!(total["failures"], serde_json::json!({}), "{total}");
    assert_eq!(total["statuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["200"]);
    println!("{total}");
}

#[test]
fn a_green_that_fails_is_left_and_the_report_says_the_numbers() {
    let mut sandbox = Sandbox::start(&["--load", "600", "--green-fail-percent", "20"]);
    sandbox.wait_for("load");
    let file = sandbox.path.join("shop.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let reports = tempfile::tempdir().unwrap();
    let (junit, summary) = (reports.path().join("j.xml"), reports.path().join("s.md"));
    let output = start(
        &sandbox,
        &[
            "--steps",
            "25,50,100",
            "--bake",
            "30s",
            "--interval",
            "2s",
            "--min-requests",
            "50",
            "--success-rate",
            "95",
            "--failures",
            "2",
            "--reason",
            "CHG-7",
            "--junit-file",
            junit.to_str().unwrap(),
            "--summary-file",
            summary.to_str().unwrap(),
        ],
    );
    let said = ended(&output, 3);
    assert!(said.contains("rolled back: success rate ") && said.contains("< 95%"), "{said}");
    let events = events(&output);
    assert_eq!(of(&events, "GateFailed").len(), 2, "within two windows: {events:#?}");
    assert_eq!(of(&events, "WeightShifted").len(), 2, "there and back: {events:#?}");
    let after = std::fs::read_to_string(&file).unwrap();
    let weights = |text: &str| {
        let lines = text.lines().filter(|l| l.trim_start().starts_with("weight:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(weights(&after), weights(&before));
    assert_eq!(rest(&file), {
        let text = before.lines().filter(|l| !l.trim_start().starts_with("weight:"));
        text.collect::<Vec<_>>().join("\n")
    });
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("failures=\"3\"") && junit.contains("rolled back: success rate"),
        "{junit}"
    );
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("CHG-7") && summary.contains("| WeightShifted |"), "{summary}");
}

#[test]
fn a_green_that_is_slow_is_left_too() {
    let mut sandbox = Sandbox::start(&["--load", "300", "--green-delay", "300ms"]);
    sandbox.wait_for("load");
    let output = start(
        &sandbox,
        &[
            "--steps",
            "50,100",
            "--bake",
            "30s",
            "--interval",
            "2s",
            "--min-requests",
            "20",
            "--p99",
            "100ms",
            "--failures",
            "1",
        ],
    );
    let said = ended(&output, 3);
    assert!(said.contains("rolled back: p99 ") && said.contains("is not below 100ms"), "{said}");
}

#[test]
fn without_traffic_nothing_is_concluded() {
    let sandbox = Sandbox::start(&[]);
    let output = start(
        &sandbox,
        &[
            "--steps",
            "50,100",
            "--bake",
            "1s",
            "--interval",
            "1s",
            "--success-rate",
            "99",
            "--on-no-data",
            "pause",
        ],
    );
    let said = ended(&output, 6);
    assert!(said.contains("requests to `to`, of 100 needed"), "{said}");
    assert!(said.contains("shift resume shop -f"), "{said}");
    let status = shift(&sandbox, "status", &["-o", "json"]);
    ended(&status, 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["phase"], &status["share"]), (&"paused".into(), &"50%".into()), "{status}");
    assert_eq!(status["envoys"]["acknowledged"], 1);
    // What was paused can be taken back, with the weights as they were.
    let undone = shift(&sandbox, "undo", &["-y"]);
    ended(&undone, 0);
    let text = std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap();
    assert!(text.contains("weight: 90") && text.contains("weight: 10"), "{text}");
}

#[test]
fn a_dead_blue_is_not_gone_back_to() {
    let mut sandbox = Sandbox::start(&["--load", "600", "--green-fail-percent", "50"]);
    sandbox.wait_for("load");
    let mut running = Running::begin(
        &sandbox,
        &[
            "--steps",
            "50,100",
            "--bake",
            "60s",
            "--interval",
            "4s",
            "--min-requests",
            "50",
            "--success-rate",
            "99",
            "--failures",
            "1",
        ],
    );
    running.wait_for("ShiftLive");
    let path = sandbox.path.join("services.yaml");
    let services = std::fs::read_to_string(&path).unwrap();
    // The first are blue's.
    let dead =
        services.replacen("endpoints:\n- addresses: [\"127.0.0.1\"]\n", "endpoints: []\n", 1);
    assert_ne!(dead, services);
    std::fs::write(&path, dead).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the side to go back to has 0 healthy endpoints of 1"), "{said}");
    let status = shift(&sandbox, "status", &["-o", "json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["phase"], &status["share"]), (&"held".into(), &"50%".into()), "{status}");
}

#[test]
fn an_interrupt_pauses_and_another_client_goes_on() {
    let sandbox = Sandbox::start(&[]);
    let mut running = Running::begin(&sandbox, &["--steps", "50,100", "--bake", "10s"]);
    running.wait_for("ShiftLive");
    let second = start(&sandbox, &["--steps", "100"]);
    let said = ended(&second, 5);
    assert!(said.contains("is being shifted"), "{said}");
    running.signal("INT");
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("shift resume shop -f"), "{said}");
    let status: Value =
        serde_json::from_slice(&shift(&sandbox, "status", &["-o", "json"]).stdout).unwrap();
    assert_eq!(status["phase"], "paused", "{status}");
    let full = shift(&sandbox, "promote", &["--full", "-y", "-o", "json"]);
    ended(&full, 0);
    let full: Value = serde_json::from_slice(&full.stdout).unwrap();
    assert_eq!((&full["phase"], &full["share"]), (&"completed".into(), &"100%".into()), "{full}");
}

#[test]
fn a_client_that_is_killed_leaves_a_shift_that_can_be_gone_on_with() {
    let sandbox = Sandbox::start(&[]);
    let mut running = Running::begin(&sandbox, &["--steps", "50,100", "--bake", "5s"]);
    running.wait_for("WeightShifted");
    running.signal("KILL");
    running.end();
    let output = shift(&sandbox, "resume", &["-o", "ndjson"]);
    ended(&output, 0);
    assert_eq!(of(&events(&output), "ShiftCompleted").len(), 1);
    let text = std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap();
    assert!(text.contains("weight: 0") && !text.contains("weight: 90"), "{text}");
}

#[test]
fn a_manual_edit_is_told_and_nothing_is_overwritten() {
    let sandbox = Sandbox::start(&[]);
    let mut running =
        Running::begin(&sandbox, &["--steps", "50,100", "--bake", "60s", "--interval", "1s"]);
    running.wait_for("ShiftLive");
    sandbox.edit("shop.yaml", "weight: 50\n    - name", "weight: 77\n    - name");
    let edited = std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap();
    let (code, said) = running.end();
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("blue:80 77") && said.contains("instead of"), "{said}");
    assert_eq!(std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap(), edited);
}

#[test]
fn wrong_input_is_refused_with_what_to_do() {
    let sandbox = Sandbox::start(&[]);
    let path = sandbox.path.to_str().unwrap().to_owned();
    let with = |verb: &str, route: &str, flags: &[&str]| {
        let fixed = ["shift", verb, route, "-n", "demo", "-f", &path];
        let arguments: Vec<_> = fixed.into_iter().chain(flags.iter().copied()).collect();
        let output = run(&arguments);
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        (output.status.code().unwrap(), text(&output.stderr))
    };
    for (verb, route, flags, code, words) in [
        ("start", "shup", &["--from", "blue", "--to", "green", "-y"][..], 7, "did you mean shop?"),
        ("start", "shop", &["--from", "blue", "--to", "gren", "-y"], 7, "did you mean green?"),
        (
            "start",
            "shop#/carts",
            &["--from", "blue", "--to", "green", "-y"],
            7,
            "its routes match /",
        ),
        (
            "start",
            "shop",
            &["--from", "blue", "--to", "green", "--steps", "50,120", "-y"],
            2,
            "120 is more than 100 %",
        ),
        (
            "start",
            "shop",
            &["--from", "blue", "--to", "green", "--steps", "50,20", "-y"],
            2,
            "less than the 50% before it",
        ),
        (
            "start",
            "shop",
            &["--from", "blue", "--to", "green", "--steps", "5", "-y"],
            7,
            "has 10 of 100 already",
        ),
        (
            "start",
            "shop",
            &["--from", "blue", "--to", "blue", "-y"],
            7,
            "cannot be shifted to itself",
        ),
        ("start", "shop", &["--from", "blue", "--to", "green"], 2, "add --yes"),
        (
            "start",
            "shop",
            &["--from", "blue", "--to", "green", "-y", "--deadman", "10m"],
            2,
            "--deadman needs a cluster",
        ),
        (
            "start",
            "service/shop",
            &["--from", "blue", "--to", "green", "-y"],
            2,
            "only IngressRoutes",
        ),
        ("resume", "shop", &[], 7, "no shift is kept at"),
        ("status", "shop", &[], 7, "no shift is kept at"),
        ("history", "shop", &[], 2, "files have no history"),
    ] {
        let (found, said) = with(verb, route, flags);
        assert_eq!(found, code, "{verb} {route} {flags:?}: {said}");
        assert!(said.contains(words), "{verb} {route} {flags:?}: {said}");
    }
}

#[test]
fn places_that_cannot_be_shifted_are_refused_and_a_dry_run_writes_nothing() {
    let sandbox = Sandbox::start(&[]);
    let nowhere =
        run(&["shift", "plan", "shop", "-f", "/nowhere", "--from", "blue", "--to", "green"]);
    assert!(ended(&nowhere, 2).contains("does not exist"));
    let directory = tempfile::tempdir().unwrap();
    let lonely = directory.path().to_str().unwrap();
    let lonely = run(&["shift", "plan", "shop", "-f", lonely, "--from", "blue", "--to", "green"]);
    assert!(ended(&lonely, 7).contains("no controller is known"));
    let text_before = std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap();
    let dry = start(&sandbox, &["--dry-run"]);
    ended(&dry, 1);
    assert_eq!(std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap(), text_before);
}

/// A second route from blue to green, in a file of its own.
const SECOND: &str = "# The second shop.
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {namespace: demo, name: second}
spec:
  virtualhost: {fqdn: second.example.com}
  routes:
  - match: /
    services: [{name: blue, port: 80, weight: 90}, {name: green, port: 80, weight: 10}]
";

#[test]
fn several_routes_are_shifted_together_and_go_back_together() {
    let mut sandbox = Sandbox::start(&["--load", "600", "--green-fail-percent", "50"]);
    std::fs::write(sandbox.path.join("second.yaml"), SECOND).unwrap();
    sandbox.wait_for("acknowledged");
    let path = sandbox.path.to_str().unwrap();
    let all = |flags: &[&str]| {
        let fixed =
            ["shift", "start", "-n", "demo", "-f", path, "-y", "-o", "ndjson", "--all-routes"];
        run(&fixed.into_iter().chain(FROM_BLUE).chain(flags.iter().copied()).collect::<Vec<_>>())
    };
    // Of the second, which has no traffic, nothing can be said; the first fails.
    let output = all(&[
        "--steps",
        "50,100",
        "--bake",
        "30s",
        "--interval",
        "2s",
        "--min-requests",
        "50",
        "--success-rate",
        "95",
        "--failures",
        "1",
    ]);
    let said = ended(&output, 3);
    assert!(said.contains("rolled back: success rate"), "{said}");
    let events = events(&output);
    for object in ["demo/shop", "demo/second"] {
        let own: Vec<_> = events.iter().filter(|e| e["object"] == object).cloned().collect();
        assert_eq!(of(&own, "WeightShifted").len(), 2, "{object}: {own:#?}");
        assert_eq!(of(&own, "ShiftRolledBack").len(), 1, "{object}: {own:#?}");
    }
    let second = std::fs::read_to_string(sandbox.path.join("second.yaml")).unwrap();
    assert!(
        second.contains("{name: blue, port: 80, weight: 90}, {name: green, port: 80, weight: 10}"),
        "{second}"
    );
    let output = all(&["--percent", "100", "--bake", "0s", "--drain", "1s"]);
    ended(&output, 0);
    let second = std::fs::read_to_string(sandbox.path.join("second.yaml")).unwrap();
    assert!(
        second.contains("{name: blue, port: 80, weight: 0}, {name: green, port: 80, weight: 100}"),
        "{second}"
    );
    assert!(second.starts_with("# The second shop."), "{second}");
}

#[test]
fn on_a_terminal_the_panel_moves_traffic_by_keys_and_gives_the_screen_back() {
    let sandbox = Sandbox::start(&[]);
    let flags = ["--from", "blue", "--to", "green", "--steps", "50,100", "--bake", "60s", "-y"];
    let arguments = line(&sandbox, "start", &flags).join(" ");
    let program = env!("CARGO_BIN_EXE_kubectl-contour");
    let mut terminal = Terminal::open(&format!("{program} {arguments}"));
    terminal.shows("baking at 50%");
    terminal.press("p");
    terminal.shows("PAUSED");
    terminal.press("r");
    terminal.shows("live in every Envoy");
    terminal.press("b");
    terminal.shows("y/n");
    terminal.press("y");
    terminal.shows("ROLLED BACK");
    terminal.press("q");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(3), "{seen:?}");
    let (enter, leave) = (seen.find("\u{1b}[?1049h"), seen.rfind("\u{1b}[?1049l"));
    assert!(enter.is_some() && enter < leave, "{seen:?}");
    let after = seen.split("\u{1b}[?1049l").last().unwrap();
    assert!(
        after.contains("rolled back: asked for by"),
        "the end is told on the user's own screen: {after:?}"
    );
    let text = std::fs::read_to_string(sandbox.path.join("shop.yaml")).unwrap();
    assert!(text.contains("weight: 90") && text.contains("weight: 10"), "{text}");
}

#[test]
fn a_signal_ends_the_panel_too() {
    let sandbox = Sandbox::start(&[]);
    let flags = ["--from", "blue", "--to", "green", "--steps", "50,100", "--bake", "60s", "-y"];
    let arguments = line(&sandbox, "start", &flags).join(" ");
    let program = env!("CARGO_BIN_EXE_kubectl-contour");
    let mut terminal = Terminal::open(&format!("{program} {arguments}"));
    terminal.shows("baking at 50%");
    let pid = terminal.pid();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(130), "{seen:?}");
    let after = seen.split("\u{1b}[?1049l").last().unwrap();
    assert!(after.contains("shift resume shop -f"), "{after:?}");
    let status = shift(&sandbox, "status", &["-o", "json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["phase"], "paused", "{status}");
}
