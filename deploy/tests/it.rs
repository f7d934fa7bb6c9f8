//! The files of the chart, and the document about them.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contour_deploy::{Override, Profile, Release, Stage, Values, chart_files, reference, render};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("chart")
}

fn walk(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn every_file_of_the_chart_is_known() {
    let mut there = BTreeSet::new();
    walk(&directory(), &mut there);
    let known: BTreeSet<_> = chart_files().iter().map(|(path, _)| directory().join(path)).collect();
    assert_eq!(there, known);
}

#[test]
fn docs_of_the_values_are_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/values.md");
    if std::env::var_os("CONTOUR_UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).expect("docs can be written");
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == reference(),
        "docs/values.md is out of date; CONTOUR_UPDATE_DOCS=1 cargo test -p contour-deploy docs writes it again"
    );
}

#[test]
fn objects_come_in_the_order_in_which_they_are_needed() {
    let values = Values::resolve(Profile::Default, &[Override::Set("namespace.create=true")]);
    let manifests = render(&values.unwrap(), &Release::default()).unwrap();
    assert!(manifests.is_sorted_by_key(|m| m.stage));
    let stages: BTreeSet<_> = manifests.iter().map(|m| m.stage).collect();
    assert_eq!(stages, BTreeSet::from(Stage::ALL));
    for manifest in manifests {
        let told = format!("{} {}", manifest.kind(), manifest.name());
        let labels = &manifest.object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "contour", "{told}");
        let cluster =
            ["CustomResourceDefinition", "Namespace", "ClusterRole", "ClusterRoleBinding"];
        let expected = (!cluster.contains(&manifest.kind())).then_some("projectcontour");
        assert_eq!(manifest.namespace(), expected, "{told}");
        assert!(!manifest.api_version().is_empty(), "{told}");
    }
}

#[test]
fn a_text_stays_where_it_was_put() {
    let evil = "a\"\n---\nkind: {{ .Release }} \u{85}\u{2028}é\t'#: [";
    let file = serde_json::json!({
        "commonLabels": {"x": evil}, "listenAddress": evil,
        "contour": {"config": {"x": evil}, "podAnnotations": {"x": evil}, "extraArgs": [evil]},
        "envoy": {"service": {"annotations": {"x": evil}}, "logLevel": "info"},
        "watchNamespaces": [evil],
    });
    let file = Override::File { name: "evil.json", text: &file.to_string() };
    let values = Values::resolve(Profile::Default, &[file]).unwrap();
    let release = Release { name: evil.to_owned(), namespace: evil.to_owned() };
    let manifests = render(&values, &release).unwrap();
    let usual = Values::resolve(Profile::Default, &[Override::Set("watchNamespaces={a}")]).unwrap();
    let usual = render(&usual, &Release::default()).unwrap();
    assert_eq!(manifests.len(), usual.len());
    for (manifest, usual) in manifests.iter().zip(&usual) {
        assert_eq!(manifest.kind(), usual.kind());
        let namespace = usual.namespace().map(|_| evil);
        assert_eq!(manifest.namespace(), namespace, "{}", manifest.kind());
    }
    let deployment = manifests.iter().find(|m| m.kind() == "Deployment").unwrap();
    let pod = &deployment.object["spec"]["template"];
    assert_eq!(pod["metadata"]["annotations"]["x"], evil);
    assert_eq!(pod["metadata"]["labels"]["x"], evil);
    let config = pod["metadata"]["annotations"]["contour.heptio.com/config"].as_str().unwrap();
    let config: serde_json::Value = serde_json::from_str(config).unwrap();
    assert_eq!(config["x"], evil);
    let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    assert_eq!(arguments.last().unwrap(), evil);
}
