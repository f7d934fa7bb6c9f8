//! `contour certgen` into files.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use contour::exit::Exit;
use serde_json::Value;

use crate::process::code;

fn certgen(directory: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_contour"))
        .arg("certgen")
        .arg(directory)
        .args(flags)
        .env_clear()
        .output()
        .unwrap()
}

/// The same, once it has succeeded; what it said.
fn made(directory: &Path, flags: &[&str]) -> String {
    let output = certgen(directory, flags);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn contents(directory: &Path) -> BTreeMap<String, String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn certificates(text: &str) -> Vec<&str> {
    text.split_inclusive("-----END CERTIFICATE-----")
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect()
}

#[test]
fn pem_files_are_made_with_keys_for_their_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("certs");
    made(&directory, &["--pem"]);
    let names: Vec<_> = contents(&directory).into_keys().collect();
    let expected =
        ["cacert.pem", "contourcert.pem", "contourkey.pem", "envoycert.pem", "envoykey.pem"];
    assert_eq!(names, expected);
    for (name, mode) in [("cacert.pem", 0o644), ("contourkey.pem", 0o600), ("envoykey.pem", 0o600)]
    {
        let metadata = std::fs::metadata(directory.join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn what_exists_is_kept_unless_it_is_to_be_overwritten_and_then_its_authority_stays_trusted() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["--pem"]);
    let first = contents(dir.path());
    let said = made(dir.path(), &["--pem"]);
    assert!(said.contains("is kept; it is valid for 36"), "{said}");
    assert_eq!(contents(dir.path()), first);

    std::fs::set_permissions(
        dir.path().join("envoykey.pem"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    made(dir.path(), &["--pem", "--overwrite"]);
    let second = contents(dir.path());
    assert_eq!(first.len(), second.len(), "{:?}", second.keys());
    assert!(first.iter().all(|(name, text)| second[name] != *text));
    let (old, new) = (certificates(&first["cacert.pem"]), certificates(&second["cacert.pem"]));
    assert_eq!((old.len(), new.len()), (1, 2));
    assert_eq!(new[1], old[0]);
    let metadata = std::fs::metadata(dir.path().join("envoykey.pem")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

    made(dir.path(), &["--pem", "--overwrite"]);
    let third = contents(dir.path());
    let third = certificates(&third["cacert.pem"]);
    assert_eq!((third.len(), third[1]), (2, new[0]));
}

#[test]
fn certificates_that_are_about_to_expire_are_kept_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["--pem", "--certificate-lifetime", "20"]);
    let said = made(dir.path(), &["--pem"]);
    assert_eq!(said.matches("is kept, but expires in ").count(), 2, "{said}");
    // Keys do not expire.
    assert!(said.contains("envoykey.pem exists and is kept\n"), "{said}");
}

#[test]
fn a_part_that_is_missing_is_not_made_to_match_nothing() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["--pem"]);
    std::fs::remove_file(dir.path().join("envoycert.pem")).unwrap();
    let before = contents(dir.path());
    let output = certgen(dir.path(), &["--pem"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code(Exit::Unreadable)), "{said}");
    assert!(said.contains("envoycert.pem does not") && said.contains("--overwrite"), "{said}");
    assert_eq!(contents(dir.path()), before);
    made(dir.path(), &["--pem", "--overwrite"]);
}

fn secret(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn manifests_hold_the_secrets_in_either_form() {
    for (format, names, authority) in [
        ("legacy", &["cacert-x.yaml", "contourcert-x.yaml", "envoycert-x.yaml"][..], 0),
        ("compact", &["contourcert-x.yaml", "envoycert-x.yaml"], 2),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let format = format!("--secrets-format={format}");
        let flags = ["--yaml", "--namespace=ns", "--secrets-name-suffix=-x", &format];
        made(dir.path(), &flags);
        let all = contents(dir.path());
        assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), names);
        for (name, text) in &all {
            let secret = secret(text);
            assert_eq!((&secret["kind"], &secret["apiVersion"]), (&"Secret".into(), &"v1".into()));
            assert_eq!(secret["metadata"]["namespace"], "ns");
            assert_eq!(format!("{}.yaml", secret["metadata"]["name"].as_str().unwrap()), *name);
            let keys: Vec<_> = secret["data"].as_object().unwrap().keys().cloned().collect();
            if name == "cacert-x.yaml" {
                assert_eq!((keys, &secret["type"]), (vec!["cacert.pem".into()], &"Opaque".into()));
            } else {
                let expected = ["ca.crt", "tls.crt", "tls.key"];
                let expected = if authority == 0 { &expected[1..] } else { &expected[..] };
                assert_eq!(keys, expected);
                assert_eq!(secret["type"], "kubernetes.io/tls");
            }
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        made(dir.path(), &[&flags[..], &["--overwrite"]].concat());
        let renewed = contents(dir.path());
        let (file, key) = if authority == 0 {
            ("cacert-x.yaml", "cacert.pem")
        } else {
            ("envoycert-x.yaml", "ca.crt")
        };
        let length = |text: &str| secret(text)["data"][key].as_str().unwrap().len();
        let (one, two) = (length(&all[file]), length(&renewed[file]));
        assert!(two > one * 3 / 2, "{one} {two}");
    }
}

#[test]
fn what_is_wrong_with_the_flags_or_the_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let missing = dir.path().join("kubeconfig");
    let kubeconfig = format!("--kubeconfig={}", missing.display());
    for (path, flags, exit, words) in [
        (dir.path(), &[][..], Exit::Usage, "--kube, --yaml or --pem"),
        (dir.path(), &["--pem", "--namespace=A"], Exit::Usage, "--namespace"),
        (dir.path(), &["--pem", "--secrets-name-suffix=_"], Exit::Usage, "--secrets-name-suffix"),
        (dir.path(), &["--pem", "--certificate-lifetime=0"], Exit::Usage, "--certificate-lifetime"),
        (dir.path(), &["--pem", "--secrets-format=new"], Exit::Usage, "compact"),
        (&file, &["--pem"], Exit::Unreadable, "file/cacert.pem"),
        (dir.path(), &["--kube", &kubeconfig], Exit::Kubernetes, "cannot find the cluster"),
        (dir.path(), &["--kube", "--incluster"], Exit::Kubernetes, "cannot find the cluster"),
    ] {
        let output = certgen(path, flags);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code(exit)), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    assert_eq!(contents(dir.path()).len(), 1);
}
