//! `contour bootstrap`, judged by the real Envoy.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::envoy;

fn contour(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_contour"))
        .arg("bootstrap")
        .args(flags)
        .env_clear()
        .output()
        .unwrap()
}

/// The bootstrap that these flags lead to, after Envoy has accepted it.
fn accepted(directory: &Path, flags: &[&str]) -> Value {
    let path = directory.join("bootstrap.json");
    let output = contour(&[&[path.to_str().unwrap()], flags].concat());
    assert!(output.status.success(), "{output:?}");
    // Where it may open few files, it says so.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty() || said.contains("ulimit -Hn"), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    validate(&path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Has Envoy judge a bootstrap.
fn validate(path: &Path) {
    let verdict = Command::new(envoy())
        .args(["--mode", "validate", "-l", "error", "-c"])
        .arg(path)
        .args(["--service-node", "n", "--service-cluster", "c"])
        .output()
        .unwrap();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
}

/// Files of a certificate that Envoy can load, as flags.
fn certificate(directory: &Path) -> Vec<String> {
    let made = rcgen::generate_simple_self_signed(["contour".to_owned()]).unwrap();
    let mut flags = Vec::new();
    for (flag, name, text) in [
        ("--envoy-cafile", "ca.crt", made.cert.pem()),
        ("--envoy-cert-file", "tls.crt", made.cert.pem()),
        ("--envoy-key-file", "tls.key", made.signing_key.serialize_pem()),
    ] {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        flags.extend([flag.to_owned(), path.to_str().unwrap().to_owned()]);
    }
    flags
}

fn common_tls(bootstrap: &Value) -> &Value {
    &bootstrap["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]["common_tls_context"]
}

#[test]
fn envoy_accepts_a_plaintext_bootstrap() {
    let dir = tempfile::tempdir().unwrap();
    let admin = dir.path().join("admin.sock");
    let flags = ["--insecure", "--node-id", "one", "--admin-address", admin.to_str().unwrap()];
    let bootstrap = accepted(dir.path(), &flags);
    let ads = &bootstrap["dynamic_resources"]["ads_config"];
    assert_eq!(ads["api_type"], "DELTA_GRPC");
    assert_eq!(ads["set_node_on_first_message_only"], true);
    assert_eq!(bootstrap["node"]["id"], "one");
    assert_eq!(bootstrap["admin"]["address"]["pipe"]["mode"], 0o600);
    assert_eq!(bootstrap["static_resources"]["clusters"][0]["type"], "STATIC");
    let layers = bootstrap["layered_runtime"]["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer.get("admin_layer").is_none()));
}

#[test]
fn envoy_accepts_every_other_setting() {
    let dir = tempfile::tempdir().unwrap();
    let flags = [
        "--insecure",
        "--admin-address",
        "127.0.0.1",
        "--admin-port",
        "9001",
        "--xds-address",
        "contour.example.com",
        "--xds-resource-version",
        "v3",
        "--dns-lookup-family",
        "v4",
        "--namespace",
        "ns",
        "--overload-max-heap",
        "2000000000",
        "--overload-downstream-max-conn",
        "100",
    ];
    let bootstrap = accepted(dir.path(), &flags);
    let cluster = &bootstrap["static_resources"]["clusters"][0];
    assert_eq!(cluster["type"], "STRICT_DNS");
    assert_eq!(cluster["dns_lookup_family"], "V4_ONLY");
    assert_eq!(limits(&bootstrap), (Some(2_000_000_000), Some(100)));
}

/// Bytes of heap and connections of clients.
fn limits(bootstrap: &Value) -> (Option<u64>, Option<u64>) {
    let monitors = bootstrap["overload_manager"]["resource_monitors"].as_array();
    let limit = |field: &str| {
        let found = monitors?.iter().find_map(|monitor| monitor["typed_config"].get(field));
        found?.as_u64()
    };
    (limit("max_heap_size_bytes"), limit("max_active_downstream_connections"))
}

#[test]
fn limits_follow_from_the_memory_and_the_files_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, expected) in [
        (&[][..], (None, Some(375))),
        (&["--memory-limit=1000000000"], (Some(900_000_000), Some(375))),
        (
            &["--memory-limit=1000000000", "--overload-max-heap=5000000"],
            (Some(5_000_000), Some(375)),
        ),
        (&["--memory-limit=1000000000", "--overload-max-heap=0"], (None, Some(375))),
        (&["--overload-downstream-max-conn=0"], (None, None)),
    ] {
        let path = dir.path().join("bootstrap.json");
        let (output, bootstrap) = with_files(1_024, &path, flags);
        assert_eq!(limits(&bootstrap), expected, "{flags:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("warning: a process may open 1024 files here"), "{said}");
        validate(&path);
    }
}

#[test]
fn too_few_files_for_the_connections_asked_for_are_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bootstrap.json");
    let flags = ["--overload-downstream-max-conn=50000"];
    let (output, bootstrap) = with_files(16_384, &path, &flags);
    assert_eq!(limits(&bootstrap), (None, Some(50_000)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("let Envoy open 133400 files or more"), "{said}");
    let (output, _) = with_files(16_384, &path, &["--overload-downstream-max-conn=6000"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// The bootstrap written by a `contour` that may open so many files.
fn with_files(files: u64, path: &Path, flags: &[&str]) -> (Output, Value) {
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"])
        .args([env!("CARGO_BIN_EXE_contour"), "bootstrap", path.to_str().unwrap(), "--insecure"])
        .args(flags)
        .env_remove("ENVOY_MEMORY_LIMIT")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (output, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

#[test]
fn envoy_accepts_mutual_tls_and_checks_the_name_of_the_controller() {
    let dir = tempfile::tempdir().unwrap();
    let flags = certificate(dir.path());
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let bootstrap = accepted(dir.path(), &flags);
    let tls = common_tls(&bootstrap);
    let name = &tls["validation_context"]["match_typed_subject_alt_names"][0];
    assert_eq!(name["matcher"]["exact"], "contour");
    assert!(tls["tls_certificates"][0]["private_key"]["filename"].is_string());
}

#[test]
fn with_a_directory_for_them_certificates_are_pointed_to_so_that_envoy_reloads_them() {
    let dir = tempfile::tempdir().unwrap();
    let resources = dir.path().join("resources");
    let mut flags = certificate(dir.path());
    flags.extend(["--resources-dir".to_owned(), resources.to_str().unwrap().to_owned()]);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let bootstrap = accepted(dir.path(), &flags);
    let tls = common_tls(&bootstrap);
    assert!(tls.get("tls_certificates").is_none() && tls.get("validation_context").is_none());
    for (file, kind) in [
        ("xds-tls-certificate.json", "tls_certificate"),
        ("xds-validation-context.json", "validation_context"),
    ] {
        let text = std::fs::read_to_string(resources.join("sds").join(file)).unwrap();
        let secret: Value = serde_json::from_str(&text).unwrap();
        let watched = &secret["resources"][0][kind]["watched_directory"]["path"];
        assert_eq!(watched, dir.path().to_str().unwrap());
    }
}

#[test]
fn a_dash_writes_to_standard_output() {
    let output = contour(&["-", "--insecure"]);
    assert!(output.status.success());
    let bootstrap: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(bootstrap["node"].get("id").is_none());
}

#[test]
fn what_is_wrong_with_the_flags_is_said() {
    for (flags, code, words) in [
        (&["-"][..], 2, "--envoy-cafile, --envoy-cert-file, --envoy-key-file not given"),
        (&["-", "--insecure", "--admin-address", "127.0.0.1"], 2, "--admin-port"),
        (&["-", "--xds-resource-version", "v2"], 2, "v3"),
        (&["/no/such/directory/x.json", "--insecure"], 3, "/no/such/directory/x.json"),
    ] {
        let output = contour(flags);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {text}");
        assert!(text.contains(words), "{flags:?}: {text}");
        assert!(output.stdout.is_empty());
    }
}
