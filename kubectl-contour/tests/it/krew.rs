//! The manifest for krew.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_manifest_for_krew_names_what_a_release_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/krew/contour.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    // krew wants the file named as the plugin.
    assert_eq!(manifest["metadata"]["name"], path.file_stem().unwrap().to_str().unwrap());
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], "vVERSION");
    for field in ["homepage", "shortDescription", "description", "caveats"] {
        assert!(spec[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50);
    assert!(spec["caveats"].as_str().unwrap().contains("kubectl contour completion install"));
    let mut platforms = Vec::new();
    for platform in spec["platforms"].as_array().unwrap() {
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        assert_eq!(platform["bin"], "kubectl-contour");
        let end = format!("/vVERSION/kubectl-contour-vVERSION-{os}-{arch}.tar.gz");
        assert!(platform["uri"].as_str().unwrap().ends_with(&end), "{end}");
        assert_eq!(platform["sha256"], format!("SHA256_{os}_{arch}").to_uppercase());
        let files: Vec<_> =
            platform["files"].as_array().unwrap().iter().map(|f| &f["from"]).collect();
        assert_eq!(files, ["kubectl-contour", "LICENSE"]);
        platforms.push(format!("{os}/{arch}"));
    }
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"]);
}
