//! The harness around a real API server: users, the audit log, and what happens to it in operation.

use std::path::PathBuf;
use std::time::Duration;

use contour_tests::envoy::eventually;
use contour_tests::kubernetes::{ApiServer, Objects, Options, refusal};
use serde_json::{Value, json};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_contents_when_stopped_killed_and_started_anew() {
    let Some(mut server) = ApiServer::start(Options::default()).await else { return };
    let admin = server.admin();
    admin.create(CONFIG_MAPS, &config_map("kept")).await.unwrap();
    let path = format!("{CONFIG_MAPS}/kept");
    let kept = admin.get(&path).await.unwrap();

    server.stop();
    let wait = Duration::from_millis(300);
    let silence = tokio::time::timeout(wait, admin.get(&path)).await;
    assert!(silence.is_err(), "a stopped server answered: {silence:?}");
    server.cont();
    assert_eq!(admin.get(&path).await.unwrap(), kept);

    let (pid, url) = (server.pid(), server.url());
    server.kill();
    let error = admin.get(&path).await.unwrap_err();
    assert!(refusal(&error).is_none(), "a dead server answered: {error}");
    server.restart().await;
    assert_ne!(server.pid(), pid);
    assert_eq!(server.url(), url);
    assert_eq!(admin.get(&path).await.unwrap(), kept);

    // A server that closes connections as often as it may still answers.
    server.restart_with(&["--goaway-chance=0.02"]).await;
    assert_eq!(server.admin().get(&path).await.unwrap(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_rbac_grants_and_the_audit_log_tells_who_did() {
    let options = Options::default().user("reader", &["readers"]);
    let Some(server) = ApiServer::start(options).await else { return };
    let admin = server.admin();
    let before = server.audit();
    admin
        .apply(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reads}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reads}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}
- {kind: ServiceAccount, name: contour, namespace: default}
",
        )
        .await
        .unwrap();

    let reader = server.objects("reader");
    let account = server.service_account("default", "contour").await;
    for (objects, user) in [
        (reader, "reader"),
        (Objects::of_kubeconfig(&account), "system:serviceaccount:default:contour"),
    ] {
        // The authorizer hears of a new binding a moment later.
        eventually("the role counts", async || objects.get(CONFIG_MAPS).await.ok()).await;
        let error = objects.create(CONFIG_MAPS, &config_map("x")).await.unwrap_err();
        let (code, message) = refusal(&error).unwrap();
        assert_eq!(code, 403, "{message}");
        assert!(message.contains(user), "{message}");
        let watch = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1");
        let request = http::Request::get(watch).body(Vec::new()).unwrap();
        objects.client().request_text(request).await.unwrap();

        let audit = server.audit().since(&before).by(user);
        assert!(audit.lists("configmaps") >= 1, "{audit:?}");
        assert_eq!(audit.watches("configmaps"), 1, "{audit:?}");
        assert_eq!(audit.writes(), 1, "{audit:?}");
        assert_eq!(audit.tally()[&(user, "create", "configmaps", 403)], 1);
        assert_eq!(audit.tally()[&(user, "watch", "configmaps", 200)], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_left_when_it_is_dropped() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let config = server.kubeconfig("admin");
    let directory = config.parent().unwrap().to_owned();
    let process = PathBuf::from(format!("/proc/{}", server.pid()));
    assert!(directory.exists() && process.exists());
    drop(server);
    assert!(!directory.exists() && !process.exists());
}
