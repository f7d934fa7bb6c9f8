//! `contour certgen --kube`: what becomes of Secrets.

use std::path::Path;
use std::process::{Command, Output};

use contour::exit::Exit;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::{ADMIN, ApiServer, Objects, Options};
use contour_tests::program;
use serde_json::{Value, json};

const NAMESPACE: &str = "projectcontour";
const NAMES: [&str; 2] = ["contourcert", "envoycert"];

fn certgen(kubeconfig: &Path, flags: &[&str]) -> Output {
    Command::new(program::contour())
        .args(["certgen", "--kube", "--secrets-format=compact", "--kubeconfig"])
        .arg(kubeconfig)
        .args(flags)
        .env_clear()
        .output()
        .unwrap()
}

/// What it says, once it has ended in this way.
fn ends(kubeconfig: &Path, flags: &[&str], exit: Exit) -> String {
    let output = certgen(kubeconfig, flags);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit.code().into()), "{said}");
    said
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
}

async fn secrets(admin: &Objects) -> [Value; 2] {
    let [contour, envoy] = NAMES.map(path);
    [admin.get(&contour).await.unwrap(), admin.get(&envoy).await.unwrap()]
}

/// How long the bundle of authorities is, in bytes of base64.
fn bundle(secret: &Value) -> usize {
    secret["data"]["ca.crt"].as_str().unwrap().len()
}

/// Grants these verbs on Secrets to a user.
async fn grant(admin: &Objects, user: &str, verbs: &[&str]) {
    let metadata = json!({"name": user, "namespace": NAMESPACE});
    let api = "rbac.authorization.k8s.io/v1";
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]);
    let role = json!({"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": rules});
    admin.apply_value(&role).await.unwrap();
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    });
    admin.apply_value(&binding).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_created_kept_and_made_anew() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let (admin, config) = (server.admin(), server.kubeconfig(ADMIN));
    let said = ends(&config, &[], Exit::Kubernetes);
    assert!(said.contains("create the namespace"), "{said}");
    admin.namespace(NAMESPACE).await;

    let said = ends(&config, &[], Exit::Done);
    assert!(said.contains("created Secret projectcontour/envoycert"), "{said}");
    let first = secrets(&admin).await;
    for secret in &first {
        assert_eq!(secret["type"], "kubernetes.io/tls");
    }

    let said = ends(&config, &[], Exit::Done);
    assert!(said.contains("Secret projectcontour/contourcert exists and is kept"), "{said}");
    assert_eq!(secrets(&admin).await, first);

    let note = json!({"metadata": {"annotations": {"of": "somebody"}}});
    admin.merge(&path("envoycert"), &note).await.unwrap();
    ends(&config, &["--overwrite", "--certificate-lifetime=10"], Exit::Done);
    let second = secrets(&admin).await;
    for (old, new) in first.iter().zip(&second) {
        assert_ne!(old["data"]["tls.key"], new["data"]["tls.key"]);
        // The authority before is still in it.
        assert!(bundle(new) > bundle(old) * 3 / 2);
    }
    assert_eq!(second[0]["data"]["ca.crt"], second[1]["data"]["ca.crt"]);
    assert_eq!(second[1]["metadata"]["annotations"]["of"], "somebody");
    ends(&config, &["--overwrite", "--certificate-lifetime=10"], Exit::Done);
    let third = secrets(&admin).await;
    assert!(bundle(&third[0]).abs_diff(bundle(&second[0])) < bundle(&first[0]) / 2);

    let said = ends(&config, &[], Exit::Done);
    assert_eq!(said.matches("is kept, but expires in ").count(), 2, "{said}");

    admin.delete(&path("envoycert")).await.unwrap();
    let said = ends(&config, &[], Exit::Kubernetes);
    assert!(said.contains("Secret projectcontour/envoycert does not"), "{said}");
    ends(&config, &["--overwrite"], Exit::Done);
    secrets(&admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_permissions_do_not_allow_is_said_and_those_of_contour_are_enough() {
    let options = Options::default().user("nobody", &[]).user("job", &[]);
    let Some(server) = ApiServer::start(options).await else { return };
    let admin = server.admin();
    admin.namespace(NAMESPACE).await;
    let said = ends(&server.kubeconfig("nobody"), &[], Exit::Kubernetes);
    assert!(said.contains("grant the verbs get, create and update"), "{said}");

    grant(&admin, "job", &["create", "update"]).await;
    let job = server.kubeconfig("job");
    ends(&job, &[], Exit::Done);
    let first = secrets(&admin).await;
    let said = ends(&job, &[], Exit::Done);
    assert!(said.contains("exists and is kept"), "{said}");
    assert_eq!(secrets(&admin).await, first);
    let said = ends(&job, &["--overwrite"], Exit::Done);
    assert!(said.contains("grant the verb get"), "{said}");
    assert_ne!(secrets(&admin).await[0]["data"], first[0]["data"]);

    admin.delete(&path("contourcert")).await.unwrap();
    let said = ends(&job, &[], Exit::Kubernetes);
    assert!(said.contains("--overwrite"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_named() {
    let Some(mut server) = ApiServer::start(Options::default()).await else { return };
    server.kill();
    let said = ends(&server.kubeconfig(ADMIN), &[], Exit::Kubernetes);
    let address = server.url();
    assert!(said.contains("cannot reach the API server at") && said.contains(&address), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_authority_is_trusted_before_certificates_of_it_are_shown() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let (admin, config) = (server.admin(), server.kubeconfig(ADMIN));
    admin.namespace(NAMESPACE).await;
    ends(&config, &[], Exit::Done);
    let first = secrets(&admin).await;
    let said = ends(&config, &["--settle=1s"], Exit::Usage);
    assert!(said.contains("--overwrite"), "{said}");

    let rotation = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || {
            ends(&config, &["--overwrite", "--settle=5s"], Exit::Done);
        })
    };
    let between = eventually("the bundle has grown", async || {
        let now = secrets(&admin).await;
        (bundle(&now[1]) > bundle(&first[1])).then_some(now)
    })
    .await;
    for (old, new) in first.iter().zip(&between) {
        assert_eq!(old["data"]["tls.crt"], new["data"]["tls.crt"]);
        assert_eq!(old["data"]["tls.key"], new["data"]["tls.key"]);
    }
    rotation.await.unwrap();
    let last = secrets(&admin).await;
    for ((old, between), new) in first.iter().zip(&between).zip(&last) {
        assert_ne!(old["data"]["tls.crt"], new["data"]["tls.crt"]);
        assert_eq!(between["data"]["ca.crt"], new["data"]["ca.crt"]);
    }
}
