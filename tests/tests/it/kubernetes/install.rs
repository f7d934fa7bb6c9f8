//! `kubectl contour install`, `upgrade` and `uninstall` against a real API server: what they write,
//! what they refuse, and what is left when they are killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use contour_tests::kubernetes::{ADMIN, ApiServer, Audit, Objects, Options};
use contour_tests::program;
use serde_json::{Value, json};

const NAMESPACE: &str = "projectcontour";
const CONTOUR: &str = "/apis/apps/v1/namespaces/projectcontour/deployments/contour";
const INVENTORY: &str = "/api/v1/namespaces/projectcontour/configmaps/contour-inventory";

/// The plugin, with nothing of this process's environment but the kubeconfig.
struct Plugin {
    kubeconfig: PathBuf,
}

impl Plugin {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program::plugin());
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        command
    }

    /// Runs it, and returns stdout and stderr once it has ended with this code.
    fn ends(&self, arguments: &[&str], code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        (out, err)
    }
}

/// An API server that nothing is installed in.
struct Bare {
    server: ApiServer,
    admin: Objects,
    plugin: Plugin,
}

impl Bare {
    async fn start(options: Options) -> Option<Self> {
        let server = ApiServer::start(options).await?;
        let (admin, plugin) = (server.admin(), Plugin { kubeconfig: server.kubeconfig(ADMIN) });
        Some(Self { server, admin, plugin })
    }

    /// What has been written for real since an earlier reading, by the plugin.
    fn written(&self, earlier: &Audit) -> Vec<String> {
        let since = self.server.audit().since(earlier);
        let writes =
            since.filter(|r| r.user == ADMIN && r.is_write() && !r.uri.contains("dryRun=All"));
        writes.requests.iter().map(|r| format!("{} {}", r.verb, r.uri)).collect()
    }

    async fn replicas(&self) -> Value {
        self.admin.get(CONTOUR).await.unwrap()["spec"]["replicas"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing_and_a_second_installation_changes_nothing() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    let before = bare.server.audit();
    let (out, _) = plugin.ends(&["install", "--dry-run=server", "--diff"], 1);
    assert!(out.contains("+ deployment.apps/contour in projectcontour created"), "{out}");
    assert_eq!(bare.written(&before), Vec::<String>::new());

    let (out, err) = plugin.ends(&["install"], 0);
    assert!(out.lines().all(|line| line.ends_with(" created")), "{out}");
    assert!(err.contains("next: kubectl contour check --wait"), "{err}");
    assert!(!err.contains("Warning"), "{err}");

    let before = bare.server.audit();
    let (out, _) = plugin.ends(&["install", "--dry-run=server", "--diff"], 0);
    assert_eq!(out, "");
    let (out, _) = plugin.ends(&["install"], 0);
    assert!(out.lines().count() > 15, "{out}");
    assert!(out.lines().all(|line| line.ends_with(" unchanged")), "{out}");
    assert_eq!(bare.written(&before), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_shown_field_by_field_and_values_are_kept() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    plugin.ends(&["install"], 0);
    let three = ["install", "--set", "contour.replicas=3"];
    let (out, _) = plugin.ends(&[&three[..], &["--dry-run=server", "--diff"]].concat(), 1);
    assert!(out.contains("~ .spec.replicas: 2 → 3"), "{out}");
    assert_eq!(bare.replicas().await, 2);

    let (out, _) = plugin.ends(&three, 0);
    let changed: Vec<_> = out.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    assert_eq!(changed, ["deployment.apps/contour configured"]);
    assert_eq!(bare.replicas().await, 3);

    let (out, err) = plugin.ends(&["upgrade"], 0);
    assert!(out.lines().all(|line| line.ends_with(" unchanged")), "{out}");
    assert!(err.contains(r#"{"contour":{"replicas":3}}"#), "{err}");
    let (out, _) = plugin.ends(&["upgrade", "--reset-values", "-o", "json"], 0);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["counts"]["changed"], 1, "{told}");
    assert_eq!(bare.replicas().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_needed_goes_only_when_somebody_agrees() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    plugin.ends(&["install"], 0);
    let deployment = ["install", "--set", "envoy.kind=Deployment"];
    let before = bare.server.audit();
    let (_, err) = plugin.ends(&deployment, 8);
    assert!(err.contains("delete daemonset.apps/envoy") && err.contains("--yes"), "{err}");
    assert_eq!(bare.written(&before), Vec::<String>::new());

    let (out, _) = plugin.ends(&[&deployment[..], &["--yes"]].concat(), 0);
    assert!(out.contains("daemonset.apps/envoy deleted"), "{out}");
    let envoy = "/apis/apps/v1/namespaces/projectcontour/daemonsets/envoy";
    assert!(bare.admin.get(envoy).await.is_err());
    let (out, _) = plugin.ends(&["install"], 0);
    assert!(out.lines().all(|line| line.ends_with(" unchanged")), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_other_managers_are_taken_over_only_on_request() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    plugin.ends(&["install"], 0);
    bare.admin.merge(CONTOUR, &json!({"spec": {"replicas": 5}})).await.unwrap();
    let (_, err) = plugin.ends(&["install"], 5);
    assert!(err.contains("deployment.apps/contour in projectcontour: .spec.replicas"), "{err}");
    assert!(err.contains(" owns fields that this would change"), "{err}");
    plugin.ends(&["install", "--force-conflicts"], 0);
    assert_eq!(bare.replicas().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_of_somebody_else_is_left_alone() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    bare.admin.namespace(NAMESPACE).await;
    let labels = json!({"app": "contour"});
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "contour", "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "contour", "image": "other"}]},
        }},
    });
    let path = CONTOUR.rsplit_once('/').unwrap().0;
    bare.admin.create(path, &foreign).await.unwrap();
    let before = bare.server.audit();
    let (_, err) = plugin.ends(&["install"], 5);
    assert!(err.contains("deployment.apps/contour (made by "), "{err}");
    assert!(err.contains("--adopt"), "{err}");
    assert_eq!(bare.written(&before), Vec::<String>::new());
    plugin.ends(&["uninstall", "--yes"], 0);
    assert!(bare.admin.get(CONTOUR).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_is_not_gone_back_from_unasked() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    let (_, err) = plugin.ends(&["upgrade"], 1);
    assert!(err.contains("nothing is installed in the namespace projectcontour"), "{err}");
    plugin.ends(&["install"], 0);
    let later = json!({"data": {"version": "99.0.0"}});
    bare.admin.merge(INVENTORY, &later).await.unwrap();
    let (_, err) = plugin.ends(&["install"], 5);
    assert!(err.contains("version 99.0.0 is installed"), "{err}");
    plugin.ends(&["install", "--allow-downgrade"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_a_reason() {
    let Some(bare) = Bare::start(Options::default().user("nobody", &[])).await else { return };
    let plugin = &bare.plugin;
    let (_, err) = plugin.ends(&["install", "--set", "contour.replica=3,envoy.kid=x"], 2);
    assert!(err.contains("did you mean contour.replicas?"), "{err}");
    assert!(err.contains("did you mean envoy.kind?"), "{err}");
    let (_, err) = plugin.ends(&["install", "-f", "nowhere.yaml"], 2);
    assert!(err.contains("cannot read --values nowhere.yaml"), "{err}");
    let (_, err) = plugin.ends(&["install", "--profile", "huge"], 2);
    assert!(err.contains("default, minimal, ha, namespaced"), "{err}");
    let (_, err) = plugin.ends(&["install", "--context", "elsewhere"], 9);
    assert!(err.contains("no context \"elsewhere\""), "{err}");
    let (_, err) = plugin.ends(&["install", "--server", "https://127.0.0.1:1"], 9);
    assert!(err.contains("cannot reach the API server https://127.0.0.1:1"), "{err}");

    let nobody = Plugin { kubeconfig: bare.server.kubeconfig("nobody") };
    let (_, err) = nobody.ends(&["install"], 9);
    assert!(err.contains("forbidden") && err.contains("--as"), "{err}");
    let none = Plugin { kubeconfig: Path::new("/nowhere/config").to_owned() };
    let (_, err) = none.ends(&["install"], 9);
    assert!(err.contains("/nowhere/config"), "{err}");
    assert!(bare.admin.get(&format!("/api/v1/namespaces/{NAMESPACE}")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_user_may_not_do_is_told_at_once() {
    let Some(bare) = Bare::start(Options::default().user("reader", &[])).await else { return };
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "reader"}],
    });
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}],
    });
    bare.admin.apply_value(&role).await.unwrap();
    bare.admin.apply_value(&binding).await.unwrap();
    let reader = Plugin { kubeconfig: bare.server.kubeconfig("reader") };
    let (_, err) = reader.ends(&["install"], 9);
    assert!(err.contains("this user may not do all that is needed"), "{err}");
    let named =
        ["customresourcedefinition", "namespace/", "clusterrole", "deployment.apps/contour"];
    assert!(named.iter().all(|name| err.contains(name)), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_killed_at_any_time_is_finished_by_the_next() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    plugin.ends(&["install", "--dry-run=server"], 0);
    let mut writes = 0;
    let mut kills = 0;
    for round in 0.. {
        let name = format!("edge-{round}");
        let before = bare.server.audit();
        let mut child = plugin.command(&["install", "-n", &name]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_done = loop {
            if bare.written(&before).len() > writes {
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status.success();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if is_done {
            break;
        }
        kills += 1;
        plugin.ends(&["install", "-n", &name], 0);
        let (out, _) = plugin.ends(&["install", "-n", &name, "--dry-run=server"], 0);
        assert!(out.lines().all(|l| l.ends_with(" unchanged (server dry run)")), "{round}: {out}");
        let inventory = format!("/api/v1/namespaces/{name}/configmaps/contour-inventory");
        assert_eq!(bare.admin.get(&inventory).await.unwrap()["data"]["phase"], "complete");
        writes += 3;
    }
    assert!(kills > 4, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_says_who_depends_on_it_and_keeps_the_routes() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    let plugin = &bare.plugin;
    plugin.ends(&["install"], 0);
    let route = "
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: shop, namespace: default}
spec: {virtualhost: {fqdn: shop.example.com}, routes: [{match: /, services: [{name: web, port: 80}]}]}";
    bare.admin.apply(route).await.unwrap();
    let before = bare.server.audit();
    let (out, _) = plugin.ends(&["uninstall", "--dry-run=server"], 0);
    assert!(out.contains("daemonset.apps/envoy deleted (server dry run)"), "{out}");
    let (_, err) = plugin.ends(&["uninstall"], 8);
    assert!(err.contains("default/shop shop.example.com") && err.contains("--yes"), "{err}");
    let (_, err) = plugin.ends(&["uninstall", "--yes", "--delete-crds"], 8);
    assert!(
        err.contains("would delete 1 IngressRoutes") && err.contains("--and-all-routes"),
        "{err}"
    );
    assert_eq!(bare.written(&before), Vec::<String>::new());

    let (out, _) = plugin.ends(&["uninstall", "--yes"], 0);
    assert!(out.contains("deployment.apps/contour deleted"), "{out}");
    assert!(!out.contains("customresourcedefinition"), "{out}");
    assert!(bare.admin.get(CONTOUR).await.is_err() && bare.admin.get(INVENTORY).await.is_err());
    let path = "/apis/contour.heptio.com/v1beta1/namespaces/default/ingressroutes/shop";
    assert!(bare.admin.get(path).await.is_ok());
    let (_, err) = plugin.ends(&["uninstall", "--yes"], 0);
    assert!(err.contains("nothing is installed"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_and_says_how_to_go_on() {
    let Some(bare) = Bare::start(Options::default()).await else { return };
    bare.server.stop();
    let mut command = bare.plugin.command(&["install"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    said.read_line(&mut text).unwrap();
    assert!(text.starts_with("looking at "), "{text}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    said.read_to_string(&mut text).unwrap();
    bare.server.cont();
    assert_eq!(status.code(), Some(130), "{text}");
    assert!(text.contains("the same command goes on from here"), "{text}");
}
