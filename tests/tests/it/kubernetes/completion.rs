//! Completion against a real API server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use contour_tests::envoy::eventually;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::behind;
use contour_tests::kubernetes::{ADMIN, ApiServer, Options};
use contour_tests::program;
use serde_json::json;
use tempfile::TempDir;

/// Somebody who presses TAB, with a cache of their own.
struct User {
    kubeconfig: PathBuf,
    cache: TempDir,
}

impl User {
    fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, cache: tempfile::tempdir().unwrap() }
    }

    /// What is offered for the last of the words.
    async fn asks(&self, words: &[&str]) -> String {
        let (last, before) = words.split_last().unwrap();
        let mut command = Command::new(program::plugin());
        // The flags of the cluster may stand anywhere before what is completed, but not between a
        // flag and its value.
        let (before, flag) = match before.split_last() {
            Some((flag, before)) if flag.starts_with("--") => (before, Some(flag)),
            _ => (before, None),
        };
        command.arg("__complete").args(before).arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(self.cache.path()).args(flag).arg(last);
        told(command).await
    }

    /// Waits until that is offered: a machine that has other things to do may need more than the
    /// time that completion takes.
    async fn is_offered(&self, words: &[&str], expected: &str) {
        eventually(&format!("{words:?} offers {expected:?}"), async || {
            (self.asks(words).await == expected).then_some(())
        })
        .await;
    }
}

/// What a command says, which has to end well and without a word on stderr.
async fn told(mut command: Command) -> String {
    let running = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = running.await.unwrap().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    String::from_utf8(stdout).unwrap()
}

/// Puts Service `web`, `IngressRoute` `shop` and Secret `shop-tls` into a place.
async fn furnish(place: &Place) {
    for object in behind(place.namespace, "web", &["127.0.0.1:8080".parse().unwrap()]) {
        place.admin.apply_value(&object).await.unwrap();
    }
    let metadata = |name: &str| json!({"namespace": place.namespace, "name": name});
    let route = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": metadata("shop"),
        "spec": {"virtualhost": {"fqdn": "completion.example.com"}, "routes": [{
            "match": "/", "services": [{"name": "web", "port": 80}],
        }]},
    });
    let pair = contour_tests::certificates::authority().leaf(&["completion.example.com"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": metadata("shop-tls"),
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    let other = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata("shop-password"),
        "stringData": {"password": "hush"},
    });
    for object in [route, secret, other] {
        place.admin.apply_value(&object).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_has_is_offered() {
    let Some(place) = Place::new("completion-live").await else { return };
    furnish(&place).await;
    let user = User::new(place.server.kubeconfig(ADMIN));
    let create = ["create", "ingressroute", "-n", place.namespace];
    let expect = async |words: &[&str], expected: &str| user.is_offered(words, expected).await;
    expect(&["install", "--namespace", "completion-l"], "completion-live\tActive\n:4\n").await;
    let shop = "shop\tcompletion.example.com\n:4\n";
    expect(&[&create[..], &["sh"]].concat(), shop).await;
    expect(&[&create[..], &["shop", "--route", "/a=w"]].concat(), "/a=web:80\thttp\n:4\n").await;
    // Only certificates, and of them only names: nothing of them may be kept.
    expect(&[&create[..], &["shop", "--tls-secret", ""]].concat(), "shop-tls\n:4\n").await;
    let green = ["create", "blue-green", "-n", place.namespace, ""];
    expect(&green, "web\tport 80\ningressroute/shop\tcompletion.example.com\n:4\n").await;
    let other = ["create", "delegation", "--to", "completion-live/s"];
    expect(&other, "completion-live/shop\tcompletion.example.com\n:4\n").await;
    let kept: Vec<_> = std::fs::read_dir(user.cache.path().join("contour")).unwrap().collect();
    assert!(kept.len() >= 4, "{kept:?}");
    for file in kept {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("BEGIN") && !text.contains("tls.key"), "{text}");
    }
    // Who may see nothing is offered nothing, and is told nothing.
    let blind = User::new(place.server.service_account(place.namespace, "blind").await);
    assert_eq!(blind.asks(&[&create[..], &["sh"]].concat()).await, ":4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_not_waited_for() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let user = User::new(server.kubeconfig(ADMIN));
    let namespace = ["install", "--namespace", "default"];
    user.is_offered(&namespace, "default\tActive\n:4\n").await;
    let user = User::new(server.kubeconfig(ADMIN));
    server.stop();
    assert_eq!(user.asks(&namespace).await, ":4\n");
    // What needs no cluster is offered as ever.
    let profile = user.asks(&["install", "--profile", "min"]).await;
    assert!(profile.starts_with("minimal\t"), "{profile}");
    server.cont();
}

/// `kubectl` on PATH, if there is one.
fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|file| file.is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_the_plugin() {
    let Some(kubectl) = kubectl() else {
        contour_tests::kubernetes::left_out("completion through kubectl", "no kubectl on PATH");
        return;
    };
    let Some(place) = Place::new("completion-kubectl").await else { return };
    furnish(&place).await;
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(program::plugin(), directory.path().join("kubectl-contour"))
        .unwrap();
    let home = directory.path().join("home");
    let with_path = |program: &Path| {
        let mut command = Command::new(program);
        let others = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(directory.path().to_path_buf());
        let path = std::env::join_paths(path.chain(std::env::split_paths(&others))).unwrap();
        command.env("PATH", path).env("HOME", &home).env_remove("XDG_DATA_HOME");
        command
    };
    let mut install = with_path(&directory.path().join("kubectl-contour"));
    install.args(["completion", "install", "bash"]);
    // Beside the name that it was called by, which is a link here.
    assert!(told(install).await.contains("/kubectl_complete-contour created\n"));

    let kubeconfig = place.server.kubeconfig(ADMIN);
    eventually("kubectl offers the route", async || {
        let mut complete = with_path(&kubectl);
        complete.args(["__complete", "contour", "create", "ingressroute", "--kubeconfig"]);
        complete.arg(&kubeconfig).args(["-n", place.namespace, "sh"]);
        let output = tokio::task::spawn_blocking(move || complete.output()).await.unwrap().unwrap();
        let offered = String::from_utf8(output.stdout).unwrap();
        (offered == "shop\tcompletion.example.com\n:4\n").then_some(())
    })
    .await;
}
