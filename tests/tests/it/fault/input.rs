//! Bad files: each fault names object, field, line and remedy; the last good form stays, and
//! nothing else is affected.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use contour::config::Config;
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::diagnostic::{Code, Diagnostic, Severity};
use contour_tests::backend::Backend;
use contour_tests::certificates::authority;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::Envoy;
use contour_tests::load::Load;
use contour_tests::stage::{connect, heard, options, until_backend};
use tokio::sync::broadcast::Receiver;

use super::host;

/// A controller over a directory, and an Envoy.
struct Directory {
    dir: tempfile::TempDir,
    events: Receiver<ControllerEvent>,
    envoy: Envoy,
    _controller: Controller,
    _backends: [Backend; 2],
}

fn service(name: &str, address: SocketAddr) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: demo}}\n\
         spec: {{ports: [{{port: 80}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, namespace: demo, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nendpoints: [{{addresses: [\"{}\"]}}]\n\
         ports: [{{name: \"\", port: {}}}]\n",
        address.ip(),
        address.port()
    )
}

fn secret(certificate: &str, key: &str) -> String {
    let indent = |text: &str| text.trim().replace('\n', "\n    ");
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: demo}}\n\
         type: kubernetes.io/tls\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indent(certificate),
        indent(key)
    )
}

impl Directory {
    /// A directory with host `shop.test`, answered by `blue`, and the certificate of `tls.test`.
    async fn new() -> Self {
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        let dir = tempfile::tempdir().unwrap();
        let services = backends.each_ref().map(|b| service(&b.name, b.address)).concat();
        std::fs::write(dir.path().join("services.yaml"), services).unwrap();
        std::fs::write(dir.path().join("shop.yaml"), host("shop", "blue")).unwrap();
        let pair = authority().leaf(&["tls.test"]);
        let tls = host("tls", "blue").replace(
            "virtualhost: {fqdn: tls.test}",
            "virtualhost: {fqdn: tls.test, tls: {secretName: cert}}",
        );
        std::fs::write(dir.path().join("tls.yaml"), tls).unwrap();
        let secret = secret(&pair.certificate, &pair.key);
        std::fs::write(dir.path().join("secret.yaml"), secret).unwrap();

        let mut config = Config::local(Source::Directory(dir.path().into()));
        config.options = options();
        let controller = Controller::start(config, Hooks::default()).await.unwrap();
        let mut events = controller.events();
        let envoy = connect(&controller, "envoy");
        heard(&mut events, "Envoy holds everything", |event| {
            matches!(event, ControllerEvent::Acknowledged { .. }).then_some(())
        })
        .await;
        let all = Self { dir, events, envoy, _controller: controller, _backends: backends };
        all.assert_served("blue").await;
        all
    }

    /// Puts a file in place at once, as editors do.
    fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
    }

    /// Asserts that `shop.test` is answered by this backend, and `tls.test` by `blue`.
    async fn assert_served(&self, backend: &str) {
        let http = Target::plain(self.envoy.listener("ingress_http").await);
        until_backend(&http, &Ask::get("shop.test", "/"), backend).await;
        let https = Target::tls(self.envoy.listener("ingress_https").await, "tls.test");
        until_backend(&https, &Ask::get("tls.test", "/"), "blue").await;
    }

    /// Waits for a finding of this code.
    async fn told(&mut self, code: Code) -> Diagnostic {
        let what = format!("{code} is told");
        heard(&mut self.events, &what, |event| {
            let (ControllerEvent::Applied { diagnostics: all, .. }
            | ControllerEvent::SourceProblem { diagnostics: all }) = event
            else {
                return None;
            };
            all.iter().find(|d| d.code == code).cloned()
        })
        .await
    }

    /// Waits until the controller has taken up a change.
    async fn applied(&mut self) {
        heard(&mut self.events, "the change is taken up", |event| {
            let ControllerEvent::Applied { objects, .. } = event else { return None };
            (!objects.is_empty()).then_some(())
        })
        .await;
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    let new = dir.join(".new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, dir.join(name)).unwrap();
}

/// What is wrong with a text of `demo/shop`, and where it must be said.
struct Case {
    text: String,
    code: Code,
    /// The field, and the word in the text whose line is to be named.
    at: Option<(&'static str, &'static str)>,
    /// Who answers afterwards.
    served: &'static str,
}

fn edited(from: &str, to: &str) -> String {
    let text = host("shop", "green").replace("namespace: demo}", "namespace: demo}\n");
    assert!(text.contains(from), "{text}");
    text.replace(from, to)
}

fn cases() -> Vec<Case> {
    let whole = |text: String, code| Case { text, code, at: None, served: "blue" };
    let field = |from: &str, to: &str, code, field, word, served| Case {
        text: edited(from, to),
        code,
        at: Some((field, word)),
        served,
    };
    vec![
        whole(host("shop", "green").replace("]}", "]"), Code::ManifestSyntax),
        whole("\0\u{1}\u{2}".to_owned(), Code::ManifestSyntax),
        field(
            "port: 80",
            "port: eighty",
            Code::ManifestType,
            ".spec.routes[0].services[0].port",
            "eighty",
            "blue",
        ),
        field("routes:", "routes: none\n  x:", Code::ManifestType, ".spec.routes", "none", "blue"),
        field(
            "match: /",
            "match: /, matsch: /",
            Code::UnknownField,
            ".spec.routes[0].matsch",
            "matsch",
            "green",
        ),
        field(
            "port: 80",
            "port: 80, port: 81",
            Code::DuplicateField,
            ".spec.routes[0].services[0].port",
            "81",
            "blue",
        ),
        field(
            "port: 80",
            "port: 65536",
            Code::PortOutOfRange,
            ".spec.routes[0].services[0].port",
            "65536",
            "503",
        ),
        field(
            "port: 80",
            "port: 80, weight: 4294967296",
            Code::WeightInvalid,
            ".spec.routes[0].services[0].weight",
            "4294967296",
            "503",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_file_names_its_place_and_remedy_and_hurts_nothing_else() {
    let mut directory = Directory::new().await;
    let http = Target::plain(directory.envoy.listener("ingress_http").await);
    for Case { text, code, at, served } in cases() {
        directory.write("shop.yaml", &text);
        let told = directory.told(code).await;
        assert!(told.remedy().len() > 10, "{told}");
        let place =
            told.location.clone().unwrap_or_else(|| panic!("{code} has no place: {told:?}"));
        assert!(place.file.ends_with("shop.yaml"), "{place}");
        if let Some((field, word)) = at {
            assert_eq!(told.field.as_str(), field, "{told}");
            let object = told.object.as_ref().map(ToString::to_string);
            assert_eq!(object.as_deref(), Some("IngressRoute demo/shop"), "{told}");
            let line = text.lines().position(|line| line.contains(word)).unwrap() + 1;
            assert_eq!(place.line as usize, line, "{told} in\n{text}");
        }
        if served == "503" {
            contour_tests::stage::until_status(&http, &Ask::get("shop.test", "/"), 503).await;
        } else {
            directory.assert_served(served).await;
        }
        directory.write("shop.yaml", &host("shop", "blue"));
        directory.assert_served("blue").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_anything_is_told_and_affects_nothing_else() {
    let mut directory = Directory::new().await;
    let big = "x".repeat(1 << 20);
    for (text, code) in [
        (big.clone(), None),
        ("[".repeat(1 << 20), Some(Code::ManifestTooLarge)),
        ("- ".repeat(1 << 19), None),
        (format!("{}\n", "a: &a [*a]\n".repeat(1000)), None),
        (host("big", &big), Some(Code::ServiceNameInvalid)),
        (host("big", "blue").replace("big.test", &big), Some(Code::FqdnInvalid)),
        (
            host("big", "blue").replace("match: /", &format!("match: /{big}")),
            Some(Code::MatchInvalid),
        ),
    ] {
        directory.write("big.yaml", &text);
        if let Some(code) = code {
            directory.told(code).await;
        }
        directory.write("shop.yaml", &host("shop", "green"));
        directory.assert_served("green").await;
        directory.write("shop.yaml", &host("shop", "blue"));
        directory.assert_served("blue").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_secret_is_told_on_the_host_that_uses_it_and_nothing_else_is_affected() {
    let mut directory = Directory::new().await;
    let broken = authority().mismatched(&["tls.test"]);
    directory.write("secret.yaml", &secret(&broken.certificate, &broken.key));
    let told = directory.told(Code::KeyMismatch).await;
    assert!(
        told.object.as_ref().is_some_and(|o| o.name.to_string().starts_with("demo/")),
        "{told}"
    );
    let http = Target::plain(directory.envoy.listener("ingress_http").await);
    until_backend(&http, &Ask::get("shop.test", "/"), "blue").await;

    let expired = authority().expired(&["tls.test"]);
    directory.write("secret.yaml", &secret(&expired.certificate, &expired.key));
    let told = directory.told(Code::CertificateExpired).await;
    assert_eq!(told.severity(), Severity::Warning);
    directory.assert_served("blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_takes_its_objects_along_and_a_new_one_brings_its_own() {
    let mut directory = Directory::new().await;
    let http = Target::plain(directory.envoy.listener("ingress_http").await);
    std::fs::remove_file(directory.dir.path().join("shop.yaml")).unwrap();
    directory.applied().await;
    contour_tests::stage::until_status(&http, &Ask::get("shop.test", "/"), 404).await;
    directory.write("again.yaml", &host("shop", "green"));
    directory.assert_served("green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_file_is_written_again_and_again_even_in_place() {
    let directory = Directory::new().await;
    let http = Target::plain(directory.envoy.listener("ingress_http").await);
    let (ask, path) = (Ask::get("shop.test", "/"), directory.dir.path().join("shop.yaml"));
    let load = Load::start(&http, &ask, 2);
    for _ in 0..20 {
        // Truncated first, as `>` of a shell does.
        std::fs::write(&path, host("shop", "green")).unwrap();
        until_backend(&http, &ask, "green").await;
        directory.write("shop.yaml", &host("shop", "blue"));
        until_backend(&http, &ask, "blue").await;
        // In two halves, with time for the first to be seen.
        let text = host("shop", "green");
        let (first, second) = text.split_at(text.len() / 2);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        file.sync_all().unwrap();
        load.more(20).await;
        file.write_all(second.as_bytes()).unwrap();
        drop(file);
        until_backend(&http, &ask, "green").await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
