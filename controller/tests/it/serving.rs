//! A controller inside this process, with a real Envoy where one is needed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contour::bootstrap::{Admin, Bootstrap};
use contour::config::{Config, TlsFiles, XdsSecurity};
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::diagnostic::Code;
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::Bind;
use contour_core::xds::{Resource, ResourceType};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::support::{PATIENCE, envoy, fetch, route, service};

/// An Envoy, killed when dropped.
struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Envoy {
    fn start(directory: &Path, xds: u16) -> Self {
        Self::with_tls(directory, xds, None)
    }

    fn with_tls(directory: &Path, xds: u16, tls: Option<TlsFiles>) -> Self {
        let admin = Admin::Socket(directory.join("admin.sock"));
        let mut bootstrap = Bootstrap::local(admin, xds, "envoy-1");
        bootstrap.resources = tls.is_some().then(|| directory.join("resources"));
        bootstrap.tls = tls;
        let rendered = bootstrap.render();
        for (path, content) in &rendered.files {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.to_string()).unwrap();
        }
        let path = directory.join("bootstrap.json");
        std::fs::write(&path, rendered.config.to_string()).unwrap();
        let child = Command::new(envoy())
            .args(["--concurrency", "1", "-l", "error", "--use-dynamic-base-id", "-c"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

struct Fixture {
    dir: TempDir,
    controller: Controller,
    events: broadcast::Receiver<ControllerEvent>,
}

impl Fixture {
    async fn new(files: &[(&str, &str)], hooks: Hooks) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::secured(dir, files, hooks, XdsSecurity::Plaintext).await
    }

    async fn secured(
        dir: TempDir,
        files: &[(&str, &str)],
        hooks: Hooks,
        security: XdsSecurity,
    ) -> Self {
        let source = dir.path().join("routes");
        std::fs::create_dir(&source).unwrap();
        for (name, text) in files {
            std::fs::write(source.join(name), text).unwrap();
        }
        let mut config = Config::local(Source::Directory(source));
        // Envoy's listeners on free ports: nothing is sent through them here.
        let free = Bind { address: "127.0.0.1".parse().unwrap(), port: 0 };
        config.options.http = free.clone();
        config.options.https = free;
        config.options.stats = None;
        config.options.http_access_log = "".into();
        config.options.https_access_log = "".into();
        config.security = security;
        let controller = Controller::start(config, hooks).await.unwrap();
        let events = controller.events();
        Self { dir, controller, events }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("routes").join(name), text).unwrap();
    }

    /// The first event from now on for which `pick` has an answer.
    async fn event<T>(&mut self, pick: impl Fn(&ControllerEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the controller runs");
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the event comes")
    }

    async fn acknowledged(&mut self, wanted: u64) {
        self.event(|event| match event {
            ControllerEvent::Acknowledged { revision, .. } if *revision >= wanted => Some(()),
            _ => None,
        })
        .await;
    }

    /// The next revision that brings resources.
    async fn applied(&mut self) -> u64 {
        self.event(|event| match event {
            ControllerEvent::Applied { revision, resources: 1.., .. } => Some(*revision),
            _ => None,
        })
        .await
    }
}

fn shop() -> ObjectRef {
    ObjectRef::new(Kind::IngressRoute, "demo", "shop")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_names_what_there_was_and_later_ones_what_changed() {
    let files = [("a.yaml", &*service("blue", 80)), ("b.yaml", &*route("shop", "green"))];
    let mut fixture = Fixture::new(&files, Hooks::default()).await;
    let first = fixture.events.recv().await.unwrap();
    let ControllerEvent::Applied { revision: 1, objects, diagnostics, files, .. } = first else {
        panic!("{first:?}");
    };
    assert_eq!((objects.len(), files.len()), (2, 2));
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    assert_eq!(diagnostics[0].code, Code::ServiceNotFound);
    let place = diagnostics[0].location.as_ref().unwrap();
    assert!(place.file.ends_with("b.yaml") && place.line == 12, "{place}");

    fixture.write("b.yaml", &route("shop", "blue"));
    let second = fixture.events.recv().await.unwrap();
    let ControllerEvent::Applied { revision: 2, objects, diagnostics, mended, .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!(objects, [shop()]);
    let codes = |all: &[contour_core::diagnostic::Diagnostic]| -> Vec<_> {
        all.iter().map(|d| d.code).filter(|c| *c != Code::NoEndpoints).collect()
    };
    assert_eq!(codes(&diagnostics), []);
    assert_eq!(codes(&mended), [Code::ServiceNotFound]);

    fixture.write("b.yaml", "kind: [");
    let third = fixture.events.recv().await.unwrap();
    let ControllerEvent::SourceProblem { diagnostics } = third else {
        panic!("{third:?}");
    };
    assert_eq!(diagnostics[0].code, Code::ManifestSyntax);
    fixture.write("b.yaml", &route("shop", "blue"));
    let fourth = fixture.events.recv().await.unwrap();
    assert!(matches!(fourth, ControllerEvent::SourceMended { .. }), "{fourth:?}");
    fixture.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_field_of_a_kind_without_status_is_told() {
    let text = service("blue", 80).replace("port: 80", "port: [80]");
    let mut fixture = Fixture::new(&[("a.yaml", &text)], Hooks::default()).await;
    let codes = fixture
        .event(|event| match event {
            ControllerEvent::Applied { diagnostics, .. } => {
                Some(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>())
            }
            _ => None,
        })
        .await;
    assert_eq!(codes, [Code::ManifestType]);
    fixture.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_envoy_acknowledges_and_debug_says_what_it_holds() {
    let files = [("a.yaml", &*service("blue", 80)), ("b.yaml", &*route("shop", "blue"))];
    let mut fixture = Fixture::new(&files, Hooks::default()).await;
    let _envoy = Envoy::start(fixture.dir.path(), fixture.controller.bound().xds.port());
    fixture.acknowledged(1).await;
    fixture.write("c.yaml", &route("other", "blue"));
    let revision = fixture.applied().await;
    fixture.acknowledged(revision).await;
    assert_eq!(fixture.controller.envoys().len(), 1);
    let debug = fixture.controller.bound().debug;
    let body = fetch(debug, "/debug/object/IngressRoute/demo/other").await.body;
    let object: Value = serde_json::from_str(&body).unwrap();
    let resources = object["resources"].as_array().unwrap();
    let route = resources.iter().find(|r| r["type"] == "rds").expect("a route");
    assert_eq!(route["envoys"][0]["node"], "envoy-1");
    assert_eq!(route["envoys"][0]["state"], "acknowledged");
    assert_eq!(route["envoys"][0]["version"], route["version"]);
    let told = envoys(debug).await;
    let (told, revision) = (&told["envoys"][0], told["revision"].as_u64().unwrap());
    assert!(told["in_sync"].as_u64().unwrap() >= revision, "{told}");
    let routes = &told["types"]["rds"];
    assert_eq!((&routes["held"], &routes["pending"]), (&json!(2), &json!(0)));
    assert_eq!(routes["digest"].as_str().map(str::len), Some(16));
    assert!(routes["acknowledged_unix"].as_u64() >= told["connected_unix"].as_u64(), "{told}");
    let metrics = fetch(fixture.controller.bound().metrics, "/metrics").await.body;
    assert!(metrics.contains("\ncontour_envoys 1\n"), "{metrics}");
    fixture.controller.shutdown().await;
}

/// Makes the RouteConfiguration of `shop` one that no Envoy takes.
fn spoil() -> Hooks {
    Hooks {
        rewrite: Some(Arc::new(|resource: &Resource| {
            let hit = resource.key.kind == ResourceType::Route
                && resource.key.name.contains("shop.example.com")
                && String::from_utf8_lossy(&resource.body).contains("/bad");
            hit.then(|| {
                let mut other = resource.clone();
                other.body = Bytes::from_static(b"\x0a\x02");
                other.version = contour_core::xds::Version::of(&other.body);
                other
            })
        })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_rejects_is_told_on_the_object_until_it_is_mended() {
    let files = [("a.yaml", &*service("blue", 80)), ("b.yaml", &*route("shop", "blue"))];
    let mut fixture = Fixture::new(&files, spoil()).await;
    let _envoy = Envoy::start(fixture.dir.path(), fixture.controller.bound().xds.port());
    fixture.acknowledged(1).await;

    fixture.write("b.yaml", &route("shop", "blue").replace("match: /", "match: /bad"));
    let objects = fixture
        .event(|event| match event {
            ControllerEvent::Rejected { objects, resource, .. } => {
                assert_eq!(resource.kind, ResourceType::Route);
                Some(objects.clone())
            }
            _ => None,
        })
        .await;
    assert!(objects.contains(&shop()), "{objects:?}");
    let debug = fixture.controller.bound().debug;
    let body = fetch(debug, "/debug/object/IngressRoute/demo/shop").await.body;
    assert!(body.contains("CTR901"), "{body}");
    let told = envoys(debug).await;
    let rejection = &told["envoys"][0]["rejections"][0];
    assert_eq!(rejection["type"], "rds");
    let owner = json!({"kind": "IngressRoute", "namespace": "demo", "name": "shop", "field": ".spec.routes"});
    assert_eq!(rejection["owners"], json!([owner]));
    assert!(!rejection["message"].as_str().unwrap().is_empty(), "{rejection}");
    assert_eq!(told["envoys"][0]["types"]["rds"]["rejected"], 1);
    let metrics = fetch(fixture.controller.bound().metrics, "/metrics").await.body;
    assert!(metrics.contains("\ncontour_rejected_resources 1\n"), "{metrics}");

    // Everybody else goes on.
    fixture.write("c.yaml", &route("other", "blue"));
    let revision = fixture.applied().await;
    fixture.acknowledged(revision).await;

    fixture.write("b.yaml", &route("shop", "blue").replace("match: /", "match: /good"));
    let recovered = fixture
        .event(|event| match event {
            ControllerEvent::Recovered { objects, .. } => Some(objects.clone()),
            _ => None,
        })
        .await;
    assert!(recovered.is_empty() || recovered.contains(&shop()), "{recovered:?}");
    let body = fetch(debug, "/debug/object/IngressRoute/demo/shop").await.body;
    assert!(!body.contains("CTR901"), "{body}");
    assert_eq!(envoys(debug).await["envoys"][0]["rejections"], json!([]));
    fixture.controller.shutdown().await;
}

async fn envoys(debug: std::net::SocketAddr) -> Value {
    serde_json::from_str(&fetch(debug, "/debug/envoys").await.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_frees_the_addresses() {
    let fixture = Fixture::new(&[], Hooks::default()).await;
    let bound = fixture.controller.bound();
    tokio::time::timeout(PATIENCE, fixture.controller.ready()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), fixture.controller.shutdown()).await.unwrap();
    for address in [bound.xds, bound.health, bound.debug] {
        std::net::TcpListener::bind(address).expect("the address is free");
    }
}

/// A certificate authority and the files that it has signed, below a directory.
struct Authority {
    certificate: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Equal names of issuer and subject would make what it signs look self-signed.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let key = rcgen::KeyPair::generate().unwrap();
        Self { certificate: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    fn files(&self, directory: &Path, name: &str) -> TlsFiles {
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.certificate).unwrap();
        let directory = directory.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let write = |file: &str, text: String| {
            let path = directory.join(file);
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            ca: write("ca.crt", self.certificate.pem()),
            certificate: write("tls.crt", signed.pem()),
            key: write("tls.key", key.serialize_pem()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_mutual_tls_an_envoy_with_a_certificate_is_served_and_one_of_strangers_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let own = XdsSecurity::Mutual(authority.files(dir.path(), "contour"));
    let theirs = authority.files(dir.path(), "envoy");
    let files = [("a.yaml", &*service("blue", 80)), ("b.yaml", &*route("shop", "blue"))];
    let mut fixture = Fixture::secured(dir, &files, Hooks::default(), own).await;
    let port = fixture.controller.bound().xds.port();

    let other = tempfile::tempdir().unwrap();
    let strangers = Authority::new().files(other.path(), "envoy");
    let strange = TlsFiles { ca: theirs.ca.clone(), ..strangers };
    let _stranger = Envoy::with_tls(other.path(), port, Some(strange));
    let _envoy = Envoy::with_tls(fixture.dir.path(), port, Some(theirs));
    fixture.acknowledged(1).await;
    assert_eq!(fixture.controller.envoys().len(), 1);
    fixture.controller.shutdown().await;
}

/// A root for a host, and what its metadata says besides its name.
fn claim(name: &str, host: &str, more: &str) -> String {
    route(name, "blue")
        .replace(&format!("{name}.example.com"), host)
        .replace("  namespace: demo\n", &format!("  namespace: demo\n{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn in_files_who_has_a_host_keeps_it_whatever_others_say_of_their_age() {
    let age = "  creationTimestamp: 2001-01-01T00:00:00Z\n";
    let mine = claim("mine", "inn.example.com", "");
    let files = [("mine.yaml", &*mine), ("blue.yaml", &*service("blue", 80))];
    let mut fixture = Fixture::new(&files, Hooks::default()).await;
    fixture.applied().await;
    fixture.write("a.yaml", &claim("aa", "inn.example.com", age));
    let told = fixture
        .event(|event| match event {
            ControllerEvent::Applied { diagnostics, .. } if !diagnostics.is_empty() => {
                Some(diagnostics.clone())
            }
            _ => None,
        })
        .await;
    let codes: Vec<_> = told.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::HostConflict, Code::AgeIgnored], "{told:#?}");
    let conflict = told[0].to_string();
    assert!(conflict.contains("IngressRoute demo/aa"), "{conflict}");
    assert!(conflict.ends_with(": demo/mine, which claimed it earlier, has it"), "{conflict}");
    let place = told[1].location.as_ref().unwrap();
    assert!(place.file.ends_with("a.yaml"), "{place}");
    assert_eq!((place.line, place.column), (6, 22));
    // Nor does it take it by being edited, or by mine being edited.
    fixture.write("a.yaml", &claim("aa", "inn.example.com", ""));
    fixture.write("mine.yaml", &mine.replace("match: /", "match: /x"));
    fixture.applied().await;
    let reply =
        fetch(fixture.controller.bound().debug, "/debug/object/IngressRoute/demo/mine").await;
    let object: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(object["state"], "valid", "{object:#}");
    // After a start nobody knows who was first, and the name decides; who loses is told so.
    fixture.controller.shutdown().await;
    let config = Config::local(Source::Directory(fixture.dir.path().join("routes")));
    let second = Controller::start(config, Hooks::default()).await.unwrap();
    second.ready().await;
    let reply = fetch(second.bound().debug, "/debug/object/IngressRoute/demo/mine").await;
    let object: Value = serde_json::from_str(&reply.body).unwrap();
    let message = object["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.contains("demo/aa has it, for its namespace and name come first"), "{message}");
    second.shutdown().await;
}
