//! What the plugin says of an installation: `status`, `version` and `check`, by a real API server,
//! through which it asks a controller that serves a real Envoy.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use contour_core::xds::{Resource, ResourceType, Version};
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::kubelet::{Kubelet, NODE, Ports, run_pod, set_ready};
use contour_tests::kubernetes::stage::{
    KubernetesStage, NAMESPACE, Status, behind, path, settings, shop, status,
};
use contour_tests::kubernetes::{ADMIN, ApiServer, Objects, Options};
use contour_tests::program;
use contour_tests::stage::options;
use serde_json::{Value, json};

const CONTOUR: &str = "contour-1";
pub(crate) const ENVOY: &str = "envoy-1";

/// How the plugin ended, and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }

    /// The result of a check, and what is wrong.
    fn check(&self, what: &str) -> (String, String) {
        let report = self.json();
        let groups = report["categories"].as_array().unwrap().iter();
        let mut checks = groups.flat_map(|group| group["checks"].as_array().unwrap());
        let check = checks.find(|check| check["description"] == what);
        let check = check.unwrap_or_else(|| panic!("no check {what:?} in {report:#}"));
        let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
        (text("result"), text("error"))
    }
}

pub(crate) async fn plugin(kubeconfig: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(program::plugin());
    command.args(arguments).arg("--kubeconfig").arg(kubeconfig).env_clear();
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// A controller and, in the API server, the Pods and Service of an installation.
pub(crate) struct Installed {
    pub(crate) server: ApiServer,
    pub(crate) admin: Objects,
    pub(crate) stage: KubernetesStage,
    _kubelet: Kubelet,
}

impl Installed {
    pub(crate) async fn start() -> Option<Self> {
        let options_of_server = Options::default().user("viewer", &[]);
        let server = ApiServer::start(options_of_server).await?;
        let admin = server.admin();
        admin.install_crds().await;
        for namespace in [NAMESPACE, "demo"] {
            admin.namespace(namespace).await;
        }
        let options =
            contour_core::pipeline::Options { allow_loopback_endpoints: false, ..options() };
        let settings = settings(server.kubeconfig(ADMIN));
        let stage = KubernetesStage::with(settings, options, Some(Arc::new(spoil))).await;
        let bound = stage.controller.bound();
        let ports: Ports = [((CONTOUR, 6060), bound.debug), ((CONTOUR, 8000), bound.metrics)]
            .into_iter()
            .map(|((pod, port), address)| ((pod.to_owned(), port), address))
            .collect();
        let kubelet = Kubelet::start(ports).await;
        kubelet.register(&admin).await;
        run_pod(&admin, NAMESPACE, "contour", CONTOUR, "localhost/contour:test").await;
        run_pod(&admin, NAMESPACE, "envoy", ENVOY, "localhost/envoy:v1.39.0").await;
        let backend = "127.0.0.1:9".parse().unwrap();
        let services = [(NAMESPACE, "envoy"), ("demo", "blue")];
        for object in services.iter().flat_map(|(ns, name)| behind(ns, name, &[backend])) {
            admin.apply_value(&object).await.unwrap();
        }
        Some(Self { server, admin, stage, _kubelet: kubelet })
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        plugin(&self.server.kubeconfig(ADMIN), arguments).await
    }

    pub(crate) async fn grant(&self, allowed: Value) {
        let metadata = json!({"name": "viewer"});
        let api = "rbac.authorization.k8s.io/v1";
        let role = json!({
            "apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": [allowed],
        });
        let binding = json!({
            "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": metadata,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "viewer",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}],
        });
        for object in [role, binding] {
            self.admin.apply_value(&object).await.unwrap();
        }
    }
}

/// Makes the RouteConfiguration of `bad.test` one that no Envoy takes.
fn spoil(resource: &Resource) -> Option<Resource> {
    let hit = resource.key.kind == ResourceType::Route && resource.key.name.contains("bad.test");
    hit.then(|| {
        let mut other = resource.clone();
        other.body = Bytes::from_static(b"\x0a\x02");
        other.version = Version::of(&other.body);
        other
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_version_ask_controllers_through_the_api_server() {
    let Some(installed) = Installed::start().await else { return };
    installed.stage.controller.ready().await;
    let said = installed.run(&["status"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    assert!(said.out.contains("not connected"), "{}", said.out);
    assert!(said.err.contains("envoy-1 is not connected"), "{}", said.err);
    let said = installed.run(&["status", "--wait", "1s", "-o", "json"]).await;
    assert_eq!(said.code, 6, "{}{}", said.out, said.err);
    assert!(said.err.contains("waiting: envoy-1 is not connected\n"), "{}", said.err);

    installed.admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let _envoy = installed.stage.envoy(ENVOY).await;
    let said = installed.run(&["status", "--wait", "-o", "json"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let envoy = &said.json()["envoys"][0];
    assert_eq!((&envoy["pod"], &envoy["nodeId"]), (&json!(ENVOY), &json!(ENVOY)));
    assert_eq!((&envoy["state"], &envoy["machine"]), (&json!("inSync"), &json!(NODE)));
    assert_eq!(envoy["controllers"], json!([CONTOUR]));

    let said = installed.run(&["version", "-o", "json", "--check"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let versions = said.json();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(versions["controllers"][0]["version"], own);
    assert_eq!(versions["controllers"][0]["source"], "itself");
    // The Envoy itself knows better than the tag of its image.
    assert_eq!(versions["envoys"][0]["source"], "itself");
    assert_ne!(versions["envoys"][0]["version"], "1.39.0");
    assert!(versions["kubernetesVersion"].as_str().unwrap().starts_with("v1."));
    assert_eq!(versions["customResourceDefinitions"][0]["stored"], json!(["v1beta1"]));

    installed.admin.apply_value(&shop("demo", "bad", "bad.test", &[("blue", 1)])).await.unwrap();
    let rejected = |status: &Status| status.condition("Programmed").starts_with("False Rejected");
    status(&installed.admin, &path("demo", "bad"), "it is rejected", rejected).await;
    for form in ["table", "wide", "json", "yaml"] {
        let said = installed.run(&["status", "-o", form]).await;
        assert_eq!(said.code, 7, "{}{}", said.out, said.err);
        assert!(said.err.contains("envoy-1 has 1 rejected"), "{}", said.err);
        assert!(said.out.contains("bad.test"), "{}", said.out);
    }
    let said = installed.run(&["status"]).await;
    assert!(
        said.out.contains("of IngressRoute demo/bad .spec.routes\n  Envoy says: "),
        "{}",
        said.out
    );
    let said = installed.run(&["status", "-A", "-o", "json"]).await;
    let rejection = &said.json()["envoys"][0]["rejections"][0];
    assert_eq!(rejection["owners"][0]["name"], "bad");
    let said = installed.run(&["check", "-o", "json", "--category", "envoy,kubernetes-api"]).await;
    assert_eq!(said.code, 7, "{}", said.err);
    assert_eq!(said.check("no Envoy rejects anything").0, "error");

    // A replica that cannot be asked is named, with what the kubelet says.
    run_pod(&installed.admin, NAMESPACE, "contour", "contour-2", "localhost/contour:test").await;
    let said = installed.run(&["status"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    let told = "controller contour-2 tells nothing: port 6060 of pod contour-2 cannot be asked: \
                nobody listens on port 6060\n";
    assert!(said.err.contains(told), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_forward_ports_is_told_what_kubernetes_knows() {
    let Some(installed) = Installed::start().await else { return };
    let _envoy = installed.stage.envoy(ENVOY).await;
    let viewer = installed.server.kubeconfig("viewer");
    let said = plugin(&viewer, &["status"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert!(said.err.contains("cannot list pods"), "{}", said.err);

    let read = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]});
    installed.grant(read).await;
    let said = eventually("the role counts", async || {
        let said = plugin(&viewer, &["status"]).await;
        said.out.contains("envoy-1").then_some(said)
    })
    .await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert!(said.err.contains("verb create (and get) on pods/portforward"), "{}", said.err);
    assert!(said.out.contains("unknown"), "{}", said.out);
    let said = plugin(&viewer, &["version"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("1.39.0"), "{}", said.out);
    assert!(said.err.contains("pods/portforward"), "{}", said.err);
    set_ready(&installed.admin, NAMESPACE, ENVOY, false).await;
    let said = plugin(&viewer, &["status", "-o", "yaml"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    set_ready(&installed.admin, NAMESPACE, ENVOY, true).await;

    let forward = json!({
        "apiGroups": [""], "resources": ["pods", "pods/portforward"],
        "verbs": ["get", "list", "create"],
    });
    installed.grant(forward).await;
    eventually("the role counts", async || {
        let said = plugin(&viewer, &["status"]).await;
        (said.code == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_goes_through_an_installation() {
    let Some(installed) = Installed::start().await else { return };
    let _envoy = installed.stage.envoy(ENVOY).await;
    let said = installed.run(&["check", "-o", "json"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    let (result, error) = said.check("the Secrets exist");
    assert_eq!(result, "error");
    assert!(error.contains("contourcert"), "{error}");
    assert_eq!(said.check("each side trusts the other").0, "skipped");

    let kubeconfig = installed.server.kubeconfig(ADMIN);
    let made = Command::new(program::contour())
        .args(["certgen", "--kube", "--secrets-format=compact", "--kubeconfig"])
        .arg(&kubeconfig)
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let said = eventually("all is well", async || {
        let said = installed.run(&["check", "-o", "json"]).await;
        (said.code == 0).then_some(said)
    })
    .await;
    assert_eq!(said.json()["success"], true);
    for what in ["each side trusts the other", "one of them leads", "they may read what they need"]
    {
        assert_eq!(said.check(what), ("success".to_owned(), String::new()), "{what}");
    }
    assert_eq!(said.check("there is an inventory").0, "warning");
    assert_eq!(said.check("the certificates are renewed").0, "warning");

    let inventory = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": "contour-inventory"},
        "data": {"version": "0.1.0", "objects": json!([
            {"apiVersion": "v1", "kind": "Service", "namespace": NAMESPACE, "name": "envoy"},
            {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": NAMESPACE, "name": "contour"},
        ]).to_string()},
    });
    installed.admin.apply_value(&inventory).await.unwrap();
    for (form, code) in [("table", 7), ("short", 7), ("json", 7), ("junit", 7)] {
        let said = installed.run(&["check", "-o", form]).await;
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        assert!(said.out.contains("Deployment projectcontour/contour does not exist"));
        assert!(!said.out.contains("Service projectcontour/envoy does not exist"));
    }
    let begun = std::time::Instant::now();
    let said = installed.run(&["check", "--wait", "1s"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    assert!(said.err.contains("waiting: all objects of the inventory exist: Deployment"));
    assert!(said.out.contains("[fail] all objects of the inventory exist"), "{}", said.out);

    // Ahead of another installation, this one is in the way.
    let said = installed.run(&["check", "--pre", "-n", "elsewhere", "-o", "json"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    let (result, error) = said.check("there is no installation in another namespace");
    assert_eq!((result.as_str(), error.contains(NAMESPACE)), ("error", true), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_agrees_with_install_and_changes_nothing() {
    let Some(server) = ApiServer::start(Options::default().user("viewer", &[])).await else {
        return;
    };
    let said = plugin(&server.kubeconfig(ADMIN), &["check", "--pre", "-o", "json"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.check("you may create what is installed").0, "success");
    assert_eq!(said.check("the clocks here and there agree").0, "success");

    let said = plugin(&server.kubeconfig(ADMIN), &["install"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let categories = ["check", "-o", "json", "--category", "crds,installation"];
    let said = plugin(&server.kubeconfig(ADMIN), &categories).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for what in ["there is an inventory", "all objects of the inventory exist"] {
        assert_eq!(said.check(what), ("success".to_owned(), String::new()), "{what}");
    }
    for (namespace, code) in [(NAMESPACE, 0), ("elsewhere", 7)] {
        let said = plugin(&server.kubeconfig(ADMIN), &["check", "--pre", "-n", namespace]).await;
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        assert!(said.out.contains("[ok] nobody else owns the definitions"), "{}", said.out);
    }

    let before = server.audit();
    let said = plugin(&server.kubeconfig("viewer"), &["check", "--pre", "-o", "json"]).await;
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    let (result, error) = said.check("you may create what is installed");
    assert_eq!(result, "error");
    assert!(error.contains("create namespaces") && error.contains("create deployments.apps"));
    let (result, error) = said.check("there is no installation in another namespace");
    assert_eq!((result.as_str(), error.contains("you may not see")), ("warning", true), "{error}");
    // What may be asked is asked by creating a review, which is never stored.
    let audit = server.audit().since(&before).by("viewer");
    for (user, verb, resource, code) in audit.tally().keys() {
        let review = *resource == "selfsubjectaccessreviews";
        assert!(review || matches!(*verb, "get" | "list"), "{user} {verb} {resource} {code}");
    }
    let mut server = server;
    server.kill();
    let said = plugin(&server.kubeconfig(ADMIN), &["check", "-o", "json"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert_eq!(said.check("the API server answers").0, "error");
    assert!(said.err.contains("cannot reach the API server"), "{}", said.err);
    let said = plugin(&server.kubeconfig(ADMIN), &["version"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("Client Version: "), "{}", said.out);
    assert!(said.err.contains("nothing is known of the cluster"), "{}", said.err);
    let said = plugin(&server.kubeconfig(ADMIN), &["version", "--check"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
}
