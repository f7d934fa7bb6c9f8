//! `contour envoy`, without an Envoy or with one that has ended; the rest is in the crate of the
//! tests against a real one.

use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;

use contour::exit::Exit;

use crate::process::{Process, code};
use crate::support::{get, raw};

fn shutdown(directory: &Path, flags: &[&str]) -> Process {
    let ready = format!("--ready-file={}", directory.join("ok").display());
    Process::start(&[&["envoy", "shutdown", &ready], flags].concat())
}

#[test]
fn an_envoy_that_has_ended_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    // What is left of a process that has ended.
    drop(UnixListener::bind(&socket).unwrap());
    let admin = format!("--admin-address={}", socket.display());
    let flags = [admin.as_str(), "--admin-timeout=1h"];
    let (ended, log) = shutdown(dir.path(), &flags).end();
    assert_eq!(ended, code(Exit::Done), "{log}");
    assert!(log.contains("Envoy has ended already"), "{log}");
    assert!(dir.path().join("ok").exists());
}

#[test]
fn an_administration_out_of_reach_is_given_up_and_does_not_hold_up_the_pod() {
    let dir = tempfile::tempdir().unwrap();
    let admin = format!("--admin-address={}", dir.path().join("elsewhere").display());
    let (ended, log) = shutdown(dir.path(), &[&admin, "--admin-timeout=1s"]).end();
    assert_eq!(ended, code(Exit::Failed), "{log}");
    assert!(log.contains("gave up") && log.contains("contour bootstrap"), "{log}");
    assert!(dir.path().join("ok").exists());
}

#[test]
fn what_is_wrong_with_the_flags_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, exit, words) in [
        (&["--admin-address=127.0.0.1"][..], Exit::Usage, "--admin-port"),
        (&["--check-interval=5"], Exit::Usage, "1m30s"),
        (&["--min-open-connections=-1"], Exit::Usage, "--min-open-connections"),
    ] {
        let (ended, log) = shutdown(dir.path(), flags).end();
        assert_eq!(ended, code(exit), "{flags:?}: {log}");
        assert!(log.contains(words), "{flags:?}: {log}");
    }
    let nowhere = dir.path().join("missing/ok");
    let flags =
        ["envoy", "shutdown", "--admin-timeout=0s", "--ready-file", nowhere.to_str().unwrap()];
    let (ended, log) = Process::start(&flags).end();
    assert_eq!(ended, code(Exit::Unreadable), "{log}");
    assert!(log.contains("--ready-file"), "{log}");
}

struct Gate {
    process: Process,
    address: SocketAddr,
}

fn gate(ready: &Path) -> Gate {
    let ready = format!("--ready-file={}", ready.display());
    let mut process = Process::start(&[
        "envoy",
        "shutdown-manager",
        "--serve-address=127.0.0.1",
        "--serve-port=0",
        "--log-format=json",
        &ready,
    ]);
    let line = process.until("listening");
    let address = line["address"].as_str().unwrap().parse().unwrap();
    Gate { process, address }
}

#[test]
fn the_hook_of_envoy_waits_for_the_ready_file() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ok");
    // Of another drain.
    std::fs::write(&ready, "").unwrap();
    let Gate { mut process, address } = gate(&ready);
    assert!(!ready.exists());
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(get(address, "/").status, 404);
    let post = format!("POST /shutdown HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(address, &post).status, 405);

    // Whoever goes away may come again.
    {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: gate\r\n\r\n").unwrap();
        process.until("waits for the ready file");
    }
    let hook = std::thread::spawn(move || get(address, "/shutdown"));
    let alive = get(address, "/healthz");
    assert_eq!(alive.status, 200);
    assert!(!hook.is_finished());
    std::fs::write(&ready, "").unwrap();
    let reply = hook.join().unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "drained\n"));
    process.signal("-TERM");
    let (ended, log) = process.end();
    assert_eq!(ended, code(Exit::Done), "{log}");
}

#[test]
fn a_hook_that_waits_is_answered_also_after_sigterm_and_a_second_signal_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    for second in [false, true] {
        let ready = dir.path().join(format!("ok-{second}"));
        let Gate { mut process, address } = gate(&ready);
        let hook = std::thread::spawn(move || {
            let request = format!("GET /shutdown HTTP/1.1\r\nHost: {address}\r\n\r\n");
            std::panic::catch_unwind(|| raw(address, &request))
        });
        process.until("waits for the ready file");
        process.signal("-TERM");
        process.until("nobody may be left to write");
        if second {
            process.signal("-TERM");
        } else {
            std::fs::write(&ready, "").unwrap();
        }
        let (ended, log) = process.end();
        let expected = if second { Exit::Interrupted } else { Exit::Done };
        assert_eq!(ended, code(expected), "{log}");
        let status = hook.join().unwrap().map(|reply| reply.status).unwrap_or_default();
        assert_eq!(status, if second { 0 } else { 200 });
    }
}

#[test]
fn a_hook_that_comes_after_a_short_drain_is_still_answered() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ok");
    let Gate { mut process, address } = gate(&ready);
    std::fs::write(&ready, "").unwrap();
    process.signal("-TERM");
    process.until("stopping");
    assert_eq!(get(address, "/shutdown").status, 200);
    let (ended, log) = process.end();
    assert_eq!(ended, code(Exit::Done), "{log}");
}

#[test]
fn a_port_in_use_is_said_with_the_flag_that_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ok");
    let first = gate(&ready);
    let port = format!("--serve-port={}", first.address.port());
    let flags = ["envoy", "shutdown-manager", "--serve-address=127.0.0.1", &port];
    let (ended, log) = Process::start(&flags).end();
    assert_eq!(ended, code(Exit::AddressInUse), "{log}");
    assert!(log.contains("--serve-port"), "{log}");
}
