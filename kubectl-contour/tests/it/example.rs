//! The example directory.

use std::path::Path;

use contour_core::manifest::{self, Limits};
use contour_core::pipeline::{Change, Options, Pipeline, State};
use kubectl_contour::sandbox::demo;
use kubectl_contour::sandbox::directory::{Directory, Host};
use kubectl_contour::sandbox::example::{self, Ports};

const PORTS: Ports = Ports { blue: 19_081, green: 19_082, team: 19_083 };

fn written() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/example");
    example::write(&path, PORTS).unwrap();
    (directory, path)
}

fn manifests(path: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn nothing_is_wrong_with_the_example() {
    let (_guard, path) = written();
    let mut pipeline =
        Pipeline::new(Options { allow_loopback_endpoints: true, ..Options::default() });
    let mut objects = Vec::new();
    let mut changes = Vec::new();
    for (file, text) in manifests(&path) {
        let manifest = manifest::read(&file, &text, Limits::default());
        assert!(manifest.complete && manifest.diagnostics.is_empty(), "{file}: {manifest:?}");
        for document in manifest.documents {
            assert!(document.diagnostics.is_empty(), "{file}: {:?}", document.diagnostics);
            objects.push(document.reference);
            changes.push(Change::Apply(Box::new(document.object.unwrap()), [].into()));
        }
    }
    let outcome = pipeline.apply(changes);
    assert!(!outcome.resources.is_empty());
    let mut judged = 0;
    for object in &objects {
        if let Some(status) = pipeline.status(object) {
            assert_eq!(status.state, State::Valid, "{object}");
            assert!(status.diagnostics.is_empty(), "{object}: {:?}", status.diagnostics);
            judged += 1;
        }
    }
    assert!(judged >= 3, "three IngressRoutes have a status, not {judged}");
}

#[test]
fn the_example_is_written_once_and_never_over_something() {
    let (_guard, path) = written();
    let before = manifests(&path);
    let again = example::write(&path, Ports { blue: 1, ..PORTS });
    assert!(again.is_err());
    assert_eq!(manifests(&path), before);
    let beside: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing half-written is left behind: {beside:?}");
}

#[test]
fn the_demo_services_are_where_the_example_says() {
    let (_guard, path) = written();
    let mut directory = Directory::new(&path);
    directory.refresh();
    let places: Vec<String> =
        directory.places().iter().map(|p| format!("{} {}", p.name, p.address)).collect();
    assert_eq!(places, ["blue 127.0.0.1:19081", "green 127.0.0.1:19082", "team 127.0.0.1:19083"]);
    let expected = [
        Host { name: "secure.example.com".to_owned(), tls: true },
        Host { name: "shop.example.com".to_owned(), tls: false },
    ];
    assert_eq!(directory.hosts(), expected);
}

#[test]
fn the_sandbox_answers_for_nobody_else() {
    let slice = |label: &str, address: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: a\n  \
             labels: {{kubernetes.io/service-name: a{label}}}\naddressType: IPv4\n\
             endpoints:\n- addresses: [{address:?}]\nports:\n- port: 9000\n"
        )
    };
    let places = |text: &str| demo::places([&manifest::read("f", text, Limits::default())]);
    assert_eq!(places(&slice(", sandbox/answers-as: a", "127.0.0.1")).len(), 1);
    assert_eq!(places(&slice(", sandbox/answers-as: a", "10.0.0.1")), []);
    assert_eq!(places(&slice("", "127.0.0.1")), []);
}

#[cfg(unix)]
#[test]
fn the_key_of_the_certificate_is_the_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_guard, path) = written();
    let mode = |file: &str| path.join(file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("certificate.yaml"), 0o600);
    assert_eq!(mode("ca.crt"), 0o644);
    let text = std::fs::read_to_string(path.join("ca.crt")).unwrap();
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn a_change_is_told_by_its_fields() {
    let (_guard, path) = written();
    let mut directory = Directory::new(&path);
    directory.refresh();
    let before = directory.clone();
    let file = path.join("shop.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("weight: 90", "weight: 50")).unwrap();
    directory.refresh();
    let shop =
        contour_core::name::ObjectRef::new(contour_core::name::Kind::IngressRoute, "demo", "shop");
    let difference = directory.difference(&before, &shop);
    assert!(difference.present && difference.was_present);
    let paths: Vec<_> = difference.fields.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["spec.routes[/].services[blue].weight"]);

    let before = directory.clone();
    std::fs::write(&file, "apiVersion: contour.heptio.com/v1beta1\nkind: Ingr\n  bad").unwrap();
    directory.refresh();
    assert!(
        directory.difference(&before, &shop).fields.is_empty(),
        "half-written counts as it was"
    );
}
