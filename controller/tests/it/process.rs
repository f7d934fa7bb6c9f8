//! The process: its exit codes, its messages, its signals.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;

use contour::exit::Exit;
use contour_core::diagnostic::SHOWN;

use crate::support::{PATIENCE, get, service};

/// A `contour`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    seen: String,
    /// Closed when the test is over; until then somebody sees to it that this does not last.
    _watch: mpsc::Sender<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

const FREE: [&str; 9] = [
    "serve",
    "--xds-port=0",
    "--health-address=127.0.0.1",
    "--health-port=0",
    "--http-address=127.0.0.1",
    "--http-port=0",
    "--debug-http-port=0",
    "--log-format=json",
    "--insecure",
];

impl Process {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_contour"))
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (watch, over) = mpsc::channel();
        let pid = child.id().to_string();
        std::thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                // The log ends, and with it whoever waits for it.
                let _sent = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        Self { child, log, seen: String::new(), _watch: watch }
    }

    fn serve(source: &Path) -> Self {
        Self::start(&[&FREE[..], &["--source", source.to_str().unwrap()]].concat())
    }

    /// A line of the log with these words, waited for if it is not there yet.
    pub(crate) fn until(&mut self, words: &str) -> serde_json::Value {
        let mut found = self.seen.lines().find(|l| l.contains(words)).map(str::to_owned);
        while found.is_none() {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "the log ended before {words:?}:\n{}", self.seen);
            self.seen.push_str(&line);
            found = line.contains(words).then_some(line);
        }
        serde_json::from_str(&found.unwrap_or_default()).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end; returns the code and all that was logged.
    pub(crate) fn end(mut self) -> (i32, String) {
        while self.log.read_line(&mut self.seen).unwrap() > 0 {}
        let status = self.child.wait().unwrap();
        (status.code().expect("no signal ended it"), self.seen.clone())
    }
}

pub(crate) fn code(exit: Exit) -> i32 {
    exit.code().into()
}

#[test]
fn wrong_flags_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().to_str().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    let garbage = dir.path().join("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let garbage = garbage.to_str().unwrap();
    let files = [
        "--contour-cafile",
        garbage,
        "--contour-cert-file",
        garbage,
        "--contour-key-file",
        garbage,
    ];
    for (flags, exit, words) in [
        (&["serve", "--source", source][..], Exit::Usage, "--contour-cafile"),
        (&["serve", "--source", source, "--incluster"], Exit::Usage, "--incluster"),
        (&["serve", "--contour-config-name", "x"], Exit::Usage, "--config-path"),
        (
            &["serve", "--insecure", "--root-namespaces=a", "--watch-namespaces=b"],
            Exit::Usage,
            "names a, which",
        ),
        (&[&FREE[..], &["--source", source, "-c", missing]].concat(), Exit::Unreadable, missing),
        (&["serve", "--no-such-flag"], Exit::Usage, "--no-such-flag"),
        (&["serve", "--xds-port", "70000"], Exit::Usage, "--xds-port"),
        (&["serve", "--xds-address", "somewhere"], Exit::Usage, "--xds-address"),
        (
            &["serve", "--source", source, "--insecure", "--debug-http-address", "0.0.0.0"],
            Exit::Usage,
            "loopback",
        ),
        (&[&FREE[..], &["--source", missing]].concat(), Exit::Unreadable, missing),
        (&[&FREE[..], &["--source", garbage]].concat(), Exit::Unreadable, "is not a directory"),
        (&[&["serve", "--source", source], &files[..]].concat(), Exit::Unreadable, "garbage.pem"),
        (&[], Exit::Usage, "Usage"),
    ] {
        let (ended, log) = Process::start(flags).end();
        assert_eq!(ended, code(exit), "{flags:?}: {log}");
        assert!(log.contains(words), "{flags:?}: {log}");
    }
}

#[test]
fn an_address_in_use_is_said_with_the_flag_that_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for flag in ["--xds-port", "--health-port", "--http-port", "--debug-http-port"] {
        let own = format!("{flag}={port}");
        let mut flags: Vec<_> = FREE.iter().filter(|f| !f.starts_with(flag)).copied().collect();
        flags.extend([own.as_str(), "--source", dir.path().to_str().unwrap()]);
        let (ended, log) = Process::start(&flags).end();
        assert_eq!(ended, code(Exit::AddressInUse), "{log}");
        assert!(log.contains(flag), "{flag}: {log}");
    }
}

#[test]
fn a_signal_ends_it_in_order_and_the_addresses_that_were_bound_are_logged() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), service("a", 1)).unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::serve(dir.path());
        let bound = process.until("listening");
        let health: SocketAddr = bound["health"].as_str().unwrap().parse().unwrap();
        assert_ne!(health.port(), 0);
        process.until("in sync");
        assert_eq!(get(health, "/healthz").status, 200);
        process.signal(signal);
        let (ended, log) = process.end();
        assert_eq!(ended, code(Exit::Done), "{log}");
        assert!(log.contains("stopping"), "{log}");
    }
}

#[test]
fn findings_are_logged_once_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, crate::support::route("shop", "nowhere")).unwrap();
    let mut process = Process::serve(dir.path());
    let finding = process.until("CTR301");
    let place = format!("{}:12:13", file.display());
    assert_eq!(finding["place"], place.as_str(), "{finding}");
    assert_eq!(finding["object"], "IngressRoute demo/shop");
    std::fs::write(&file, format!("# moved\n{}", crate::support::route("shop", "nowhere")))
        .unwrap();
    std::fs::write(dir.path().join("b.yaml"), "kind: [").unwrap();
    process.until("CTR001");
    process.signal("-TERM");
    let (_, log) = process.end();
    assert_eq!(log.matches("CTR301").count(), 1, "{log}");
}

#[test]
fn the_log_is_not_as_long_as_the_faults_of_one_object() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.json");
    let services: Vec<_> =
        (0..64).map(|n| serde_json::json!({ "name": format!("s{n}"), "port": 80 })).collect();
    let route = |n| serde_json::json!({ "match": format!("/r{n}"), "services": services });
    let faulty = serde_json::json!({
        "apiVersion": "contour.heptio.com/v1beta1",
        "kind": "IngressRoute",
        "metadata": { "namespace": "demo", "name": "shop" },
        "spec": {
            "virtualhost": { "fqdn": "shop.test" },
            "routes": (0..500).map(route).collect::<Vec<_>>(),
        },
    });
    std::fs::write(&file, faulty.to_string()).unwrap();
    let mut process = Process::serve(dir.path());
    let count = format!("and {} more findings of this kind", 500 * 64 - SHOWN);
    process.until(&count);
    let bound = process.until("listening");
    let metrics = get(bound["health"].as_str().unwrap().parse().unwrap(), "/metrics");
    let kept = format!("contour_diagnostics{{severity=\"error\"}} {}", SHOWN + 1);
    assert!(metrics.body.lines().any(|line| line == kept), "{}", metrics.body);
    std::fs::remove_file(&file).unwrap();
    process.until(&format!("no longer stands: {count}"));
    process.signal("-TERM");
    let (_, log) = process.end();
    assert_eq!(log.matches("CTR301").count(), 2 * (SHOWN + 1), "{log}");
}

#[test]
fn all_that_is_wrong_with_the_configuration_file_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("contour.yaml");
    std::fs::write(&file, "tls:\n  ciphers: []\nunheard: 1\ntimeouts: {connect-timeout: soon}\n")
        .unwrap();
    let flags = ["--source", dir.path().to_str().unwrap(), "-c", file.to_str().unwrap()];
    let (ended, log) = Process::start(&[&FREE[..], &flags[..]].concat()).end();
    assert_eq!(ended, code(Exit::Unreadable), "{log}");
    for place in [":2:3: tls.ciphers: ", ":3:1: unheard: ", ":4:29: timeouts.connect-timeout: "] {
        assert!(log.contains(&format!("{}{place}", file.display())), "{place}: {log}");
    }
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[test]
fn keys_without_effect_are_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("contour.conf");
    std::fs::write(&file, "compression: {algorithm: gzip}\ntracing: {serviceName: x}\n").unwrap();
    let flags = ["--source", dir.path().to_str().unwrap(), "-c", file.to_str().unwrap()];
    let mut process = Process::start(&[&FREE[..], &flags[..]].concat());
    let line = process.until("without effect");
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("compression.algorithm, tracing.serviceName"), "{message}");
    process.until("in sync");
}

#[test]
fn help_names_every_flag_of_contour() {
    let help = Command::new(env!("CARGO_BIN_EXE_contour")).args(["serve", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for flag in [
        "accesslog-format",
        "config-path",
        "contour-config-name",
        "contour-cafile",
        "contour-cert-file",
        "contour-key-file",
        "debug",
        "debug-http-address",
        "debug-http-port",
        "disable-feature",
        "disable-leader-election",
        "envoy-http-access-log",
        "envoy-https-access-log",
        "envoy-service-http-address",
        "envoy-service-http-port",
        "envoy-service-https-address",
        "envoy-service-https-port",
        "envoy-service-name",
        "envoy-service-namespace",
        "health-address",
        "health-port",
        "http-address",
        "http-port",
        "incluster",
        "kubeconfig",
        "ingress-class-name",
        "ingress-status-address",
        "insecure",
        "kubernetes-client-burst",
        "kubernetes-client-qps",
        "kubernetes-debug",
        "leader-election-lease-duration",
        "leader-election-renew-deadline",
        "leader-election-retry-period",
        "leader-election-resource-name",
        "leader-election-resource-namespace",
        "root-namespaces",
        "stats-address",
        "stats-port",
        "use-proxy-protocol",
        "watch-namespaces",
        "xds-address",
        "xds-port",
    ] {
        let named = help.lines().any(|line| {
            line.split([' ', '[', '=']).any(|word| word.strip_prefix("--") == Some(flag))
        });
        assert!(named, "--{flag}:\n{help}");
    }
    assert!(!help.contains("ingressroute-root-namespaces"), "{help}");
}
