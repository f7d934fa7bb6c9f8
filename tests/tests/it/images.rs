//! Archives of images, as `make image` and the tests make them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use contour_tests::envoy::workspace;
use serde_json::Value;

fn make(directory: &Path, name: &str) -> Vec<u8> {
    let archive = directory.join(name);
    let script = workspace().join("deploy/image");
    let mut command = Command::new(&script);
    command.arg(&archive).args(["localhost/shop:1.2", "--user", "65534"]);
    command.arg("--add").arg(format!("{}:/bin/image", script.display()));
    command.arg("--add").arg(format!("{}:/etc/shop", workspace().join("deploy/chart").display()));
    let output = command.args(["--entrypoint", "[\"/bin/image\"]"]).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(archive).unwrap()
}

/// The entries of an archive, as tar lists them, and what is in them.
fn entries(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let list = Command::new("tar").arg("tf").arg(archive).output().expect("tar runs");
    let names = String::from_utf8(list.stdout).unwrap();
    let read = |name: &str| {
        let output = Command::new("tar").arg("xOf").arg(archive).arg(name).output();
        output.expect("tar runs").stdout
    };
    names.lines().map(|name| (name.to_owned(), read(name))).collect()
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum runs");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_archive_is_an_oci_layout_and_what_docker_loads() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), "shop.tar");
    let entries = entries(&directory.path().join("shop.tar"));
    let json = |name: &str| serde_json::from_slice::<Value>(&entries[name]).unwrap();
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");

    // From the index to the layer, each by the digest of what is there.
    let blob = |reference: &Value| {
        let digest = reference["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let content = entries[&format!("blobs/sha256/{digest}")].clone();
        let file = directory.path().join("blob");
        std::fs::write(&file, &content).unwrap();
        assert_eq!(sha256(&file), digest);
        assert_eq!(reference["size"], content.len());
        content
    };
    let entry = &json("index.json")["manifests"][0];
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "localhost/shop:1.2");
    let manifest: Value = serde_json::from_slice(&blob(entry)).unwrap();
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
    assert_eq!(config["config"]["User"], "65534");
    assert_eq!(config["config"]["Entrypoint"][0], "/bin/image");
    let layer = &manifest["layers"][0];
    assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
    let file = directory.path().join("layer.tar");
    std::fs::write(&file, blob(layer)).unwrap();
    let list = Command::new("tar").arg("tvf").arg(&file).output().unwrap().stdout;
    let list = String::from_utf8(list).unwrap();
    assert!(
        list.lines().any(|line| line.starts_with("-rwxr-xr-x 0/0") && line.ends_with(" bin/image")),
        "{list}"
    );
    assert!(list.contains("etc/shop/values.yaml"), "{list}");

    let docker = &json("manifest.json")[0];
    assert_eq!(docker["RepoTags"][0], "localhost/shop:1.2");
    for path in [&docker["Config"], &docker["Layers"][0]] {
        assert!(entries.contains_key(path.as_str().unwrap()), "{path}");
    }
}

#[test]
fn the_same_files_give_the_same_archive() {
    let directory = tempfile::tempdir().unwrap();
    let first = make(directory.path(), "first.tar");
    let second = make(directory.path(), "second.tar");
    assert!(first == second, "the archives differ");
}
