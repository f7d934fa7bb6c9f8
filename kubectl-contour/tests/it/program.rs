//! Runs the program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kubectl_contour::sandbox::envoy::{Environment, find};
use serde_json::Value;

/// How long something may take that takes a second on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The program, with nothing of this process's environment that it would heed.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-contour"));
    for variable in ["CONTOUR_ENVOY", "NO_COLOR", "TERM", "http_proxy", "https_proxy"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

/// The Envoy to test with. Without one there is nothing to test: `make test` sees to it.
pub(crate) fn envoy() -> PathBuf {
    find(None, &Environment::of_process()).unwrap_or_else(|failure| {
        panic!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
    })
}

/// A sandbox that runs, telling JSON. Dropping it kills it; nothing of it survives.
pub(crate) struct Sandbox {
    child: Child,
    lines: Receiver<String>,
    /// What `started` told.
    pub(crate) started: Value,
    _directory: tempfile::TempDir,
    /// The directory of manifests.
    pub(crate) path: PathBuf,
}

impl Sandbox {
    /// Starts one on free ports, with further flags, and waits until it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_of(&envoy(), flags)
    }

    /// The same with an Envoy of one's own.
    pub(crate) fn start_of(envoy: &Path, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("example");
        let mut child = program()
            .args(["sandbox", "-o", "json", "--http-port", "0", "--https-port", "0"])
            .args(["--blue-port", "0", "--green-port", "0", "--team-port", "0"])
            .args(flags)
            .arg(&path)
            .env("CONTOUR_ENVOY", envoy)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut sandbox = Self { child, lines, started: Value::Null, _directory: directory, path };
        sandbox.started = sandbox.wait_for("started");
        sandbox
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let line = self.lines.recv_timeout(PATIENCE).ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON: {line}: {e}")))
    }

    /// The next event of a kind.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Value {
        let mut seen = Vec::new();
        while let Some(event) = self.next() {
            if event["event"] == kind {
                return event;
            }
            seen.push(event);
        }
        let mut said = String::new();
        self.kill();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        panic!("no {kind:?} after {seen:#?}\n{said}");
    }

    /// Sends a signal to the program, by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the program: its exit code and what it said on stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }

    /// Envoy's process id.
    pub(crate) fn envoy_pid(&self) -> u64 {
        self.started["envoy"]["pid"].as_u64().unwrap()
    }

    /// Ends it as nobody can resist.
    pub(crate) fn kill(&mut self) {
        // Fails only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Changes a file of the directory in place.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.path.join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        let next = file.with_extension("next");
        std::fs::write(&next, text.replace(from, to)).unwrap();
        std::fs::rename(next, file).unwrap();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process runs; one that has ended and waits to be buried does not.
pub(crate) fn runs(pid: u64) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Waits until a process has ended.
pub(crate) fn gone(pid: u64) -> bool {
    let end = std::time::Instant::now() + PATIENCE;
    while runs(pid) {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Performs a command line as a shell does.
pub(crate) fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
