//! `tap` in the sandbox: what a real Envoy logs of real requests.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use super::program::{Sandbox, program, run, shell};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A tap that runs, and what it writes.
struct Tap {
    child: Child,
    out: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tap {
    fn begin(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let mut child = program()
            .args(["tap", "-f", sandbox.path.to_str().unwrap()])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    fn next(&mut self) -> String {
        self.out.next().unwrap().unwrap()
    }

    /// Closes its stdout, and waits for its end.
    fn end(self) -> (Option<i32>, String) {
        let Self { child, out } = self;
        drop(out);
        let output = child.wait_with_output().unwrap();
        (output.status.code(), text(&output.stderr))
    }
}

#[test]
fn requests_are_shown_with_what_envoy_says_of_them() {
    let sandbox = Sandbox::start(&["--load", "100"]);
    let http = sandbox.started["http"].as_str().unwrap();
    let mut tap = Tap::begin(&sandbox, &["-o", "json", "--host", "nowhere.example.com", "-c", "1"]);
    // It follows from when it began; one of some is later than that.
    let ask = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do curl -s -o /dev/null --path-as-is -A 'a\" \"b' \
         -H 'Host: nowhere.example.com' '{http}/lost?i='$i; sleep 0.2; done"
    );
    shell(&ask);
    let entry: Value = serde_json::from_str(&tap.next()).unwrap();
    assert_eq!(entry["status"], 404, "{entry}");
    assert_eq!((&entry["method"], &entry["host"]), (&"GET".into(), &"nowhere.example.com".into()));
    assert!(entry["path"].as_str().unwrap().starts_with("/lost?i="), "{entry}");
    assert_eq!(
        (&entry["flags"][0], &entry["reasons"][0]),
        (&"NR".into(), &"no route matches".into())
    );
    assert_eq!(entry["userAgent"], "a\" \"b", "{entry}");
    assert_eq!((&entry["upstream"], &entry["protocol"]), (&Value::Null, &"HTTP/1.1".into()));
    assert_eq!(tap.end(), (Some(0), String::new()));

    let mut tap = Tap::begin(&sandbox, &["--status", "2xx", "--max-rate", "5", "-c", "12"]);
    assert!(tap.next().starts_with("TIME "));
    for _ in 0..12 {
        let line = tap.next();
        assert!(line.contains("  200  ") && line.contains("-> 127.0.0.1:"), "{line}");
        assert!(!line.contains('\x1b'), "{line}");
    }
    let (code, said) = tap.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("more in that second were left out (--max-rate 5)"), "{said}");
}

#[test]
fn whoever_reads_no_more_or_interrupts_ends_it() {
    let sandbox = Sandbox::start(&["--load", "50"]);
    let mut tap = Tap::begin(&sandbox, &["-q"]);
    tap.next();
    assert_eq!(tap.end().0, Some(0));
    let mut tap = Tap::begin(&sandbox, &["-q"]);
    tap.next();
    let pid = tap.child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success()
    );
    assert_eq!(tap.child.wait().unwrap().code(), Some(130));
}

#[test]
fn without_a_sandbox_it_says_how_to_start_one() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(&["tap", "-f", directory.path().to_str().unwrap()]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{err}");
    assert!(err.contains("kubectl contour sandbox"), "{err}");
    for flags in [&["--status", "6xx"][..], &["--max-rate", "x"], &["-o", "csv"], &["-c", "0"]] {
        let output = run(&[&["tap"], flags].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
}
