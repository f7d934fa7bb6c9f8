//! `check`, `status` and `version` where there is no cluster.

use serde_json::Value;

use super::program::program;

/// Runs the program with a kubeconfig that leads nowhere: its exit code, stdout and stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    // Nothing listens on port 1.
    let config = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": ""}}]}"#;
    std::fs::write(&kubeconfig, config).unwrap();
    let output = program().env("KUBECONFIG", &kubeconfig).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_ends_with_the_same_code_in_each_form() {
    for pre in [&[][..], &["--pre"]] {
        for form in ["table", "short", "json", "junit"] {
            let (code, out, err) = run(&[&["check", "-o", form], pre].concat());
            assert_eq!(code, 9, "{out}{err}");
            assert!(out.contains("cannot reach the API server"), "{out}");
            assert!(err.starts_with("error: cannot reach the API server"), "{err}");
        }
    }
    let (_, out, _) = run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["success"], false);
    assert_eq!(report["categories"][0]["checks"][0]["result"], "error");
    let (_, out, _) = run(&["check"]);
    assert!(out.contains("[fail] the API server answers\n"), "{out}");
}

#[test]
fn check_takes_categories_that_it_has() {
    let (code, _, err) = run(&["check", "--category", "nothing"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("data-path"), "{err}");
    let (code, _, err) = run(&["check", "--pre", "--category", "routes"]);
    assert_eq!(code, 2, "{err}");
    let (code, out, _) = run(&["check", "--category", "routes,envoy", "-o", "json"]);
    assert_eq!(code, 9);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["categories"].as_array().map(Vec::len), Some(3), "{report:#}");
    assert_eq!(report["categories"][0]["checks"].as_array().map(Vec::len), Some(1), "{report:#}");
}

#[test]
fn check_waits_as_long_as_it_is_told() {
    for wait in [&["--wait", "1s"][..], &["--wait", "--timeout", "1s"]] {
        let begun = std::time::Instant::now();
        let (code, _, err) = run(&[&["check", "-o", "json"], wait].concat());
        assert_eq!(code, 9, "{err}");
        assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
        assert_eq!(err.matches("waiting: the API server answers: ").count(), 1, "{err}");
    }
}

#[test]
fn status_fails_without_a_cluster_and_version_does_not() {
    let (code, out, err) = run(&["status", "-o", "json"]);
    assert_eq!((code, out.as_str()), (9, ""), "{err}");
    let (code, out, err) = run(&["version"]);
    assert_eq!(
        (code, out.as_str()),
        (0, concat!("Client Version: ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    assert!(err.starts_with("warning: nothing is known of the cluster: "), "{err}");
    let (code, out, err) = run(&["version", "--client", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let version: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(version["clientVersion"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["version", "--check"]).0, 9);
    assert_eq!(run(&["version", "--check", "--client"]).0, 2);
}
