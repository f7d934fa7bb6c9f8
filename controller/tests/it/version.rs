//! `contour version`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn version(flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_contour"))
        .arg("version")
        .args(flags)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_form_says_the_same() {
    let json: Value = serde_json::from_str(&version(&["-o", "json"])).unwrap();
    let yaml: Value = serde_saphyr::from_str(&version(&["--output=yaml"])).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let text = version(&[]);
    for words in [
        format!("Version: {}\n", env!("CARGO_PKG_VERSION")),
        format!("Envoy:   {} or newer\n", json["minimumEnvoy"].as_str().unwrap()),
        "contour.heptio.com/v1beta1 IngressRoute".to_owned(),
    ] {
        assert!(text.contains(&words), "{words:?} in\n{text}");
    }
}

#[test]
fn the_apis_are_those_whose_definitions_are_deployed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/files/crds");
    let mut deployed = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        let spec = &crd["spec"];
        for version in spec["versions"].as_array().unwrap() {
            let api = format!(
                "{}/{}",
                spec["group"].as_str().unwrap(),
                version["name"].as_str().unwrap()
            );
            deployed.insert((api, spec["names"]["kind"].as_str().unwrap().to_owned()));
        }
    }
    let told: Value = serde_json::from_str(&version(&["-ojson"])).unwrap();
    let told: BTreeSet<_> = told["apis"]
        .as_array()
        .unwrap()
        .iter()
        .map(|api| {
            let text = |key: &str| api[key].as_str().unwrap().to_owned();
            (text("apiVersion"), text("kind"))
        })
        .collect();
    assert_eq!(told, deployed);
}
