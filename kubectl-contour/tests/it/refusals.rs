//! What the sandbox says when it cannot start. None of this needs an Envoy.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use super::program::{program, run};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that calls itself Envoy of some version, and does nothing else.
fn pretender(directory: &tempfile::TempDir, version: &str) -> PathBuf {
    let path = directory.path().join("envoy");
    let script =
        format!("#!/bin/sh\necho 'envoy  version: abc/{version}/Clean/RELEASE/BoringSSL'\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn without_envoy_it_says_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere");
    let output = program()
        .args(["sandbox", "--http-port", "0", "--https-port", "0"])
        .arg("--envoy")
        .arg(&missing)
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = said(&output);
    assert!(said.contains("nowhere") && said.contains("hint: "), "{said}");
}

#[test]
fn an_envoy_that_is_too_old_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = program()
        .arg("sandbox")
        .arg(directory.path())
        .env("CONTOUR_ENVOY", pretender(&directory, "1.36.4"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = said(&output);
    assert!(said.contains("Envoy 1.36.4; the sandbox needs 1.37.0"), "{said}");
    assert!(said.contains("make sandbox"), "{said}");
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_chooses_another() {
    let directory = tempfile::tempdir().unwrap();
    let envoy = pretender(&directory, "1.40.0");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, others) in
        [("--http-port", ["--https-port", "0"]), ("--https-port", ["--http-port", "0"])]
    {
        let output = program()
            .args(["sandbox", flag, &port])
            .args(others)
            .arg(directory.path())
            .env("CONTOUR_ENVOY", &envoy)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = said(&output);
        assert!(said.contains(&format!("port {port} is in use")) && said.contains(flag), "{said}");
    }
}

#[test]
fn a_taken_port_leaves_no_example_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program()
        .args(["sandbox", "--blue-port", "0", "--green-port", &port, "--team-port", "0"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = said(&output);
    assert!(said.contains("green") && said.contains("--green-port"), "{said}");
    assert!(!path.exists());
}

#[test]
fn ports_of_an_example_that_is_there_cannot_be_chosen_again() {
    let directory = tempfile::tempdir().unwrap();
    let output =
        program().args(["sandbox", "--blue-port", "0"]).arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("--blue-port is for a new example"), "{output:?}");
}

#[test]
fn a_file_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = program().arg("sandbox").arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("is not a directory"), "{output:?}");
}

#[test]
fn an_envoy_that_dies_is_reported_with_the_end_of_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("envoy");
    let script = "#!/bin/sh\nif [ \"$1\" = --version ]; then\n\
        echo 'envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL'\nelse\n\
        echo 'cannot go on' >&2\nexit 7\nfi\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let manifests = directory.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    let output = program()
        .args(["sandbox", "--http-port", "0", "--https-port", "0"])
        .arg(&manifests)
        .env("CONTOUR_ENVOY", &path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said = said(&output);
    assert!(said.contains("exit code 7") && said.contains("cannot go on"), "{said}");
}

#[test]
fn wrong_usage_is_told_as_kubectl_users_know_it() {
    for arguments in [
        &["sandbox", "--load", "0"][..],
        &["sandbox", "--exit-after", "10"],
        &["sandbox", "--green-fail-percent", "101"],
        &["sandbox", "--green-delay", "fast"],
        &["sandbox", "-o", "yaml"],
        &["nothing"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let help = run(&["sandbox", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(text.contains("Usage: kubectl contour sandbox"), "{text}");
    assert!(text.contains("Exit codes:"), "{text}");
}

#[test]
fn trouble_goes_to_stderr_and_without_a_terminal_it_has_no_colour() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let plain = run(&["sandbox", &path]);
    assert!(plain.stdout.is_empty());
    assert!(!said(&plain).contains('\x1b'), "{plain:?}");
    let coloured = run(&["--color", "always", "sandbox", &path]);
    assert!(said(&coloured).contains('\x1b'), "{coloured:?}");
}
