//! `kubectl contour create` against a real API server.

use std::path::PathBuf;
use std::process::{Command, Output};

use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{behind, path};
use contour_tests::kubernetes::{ADMIN, Objects, refusal};
use contour_tests::{certificates, program};
use serde_json::{Value, json};

/// A user in a namespace.
struct User {
    kubeconfig: PathBuf,
    namespace: &'static str,
}

impl User {
    fn admin(place: &Place) -> Self {
        Self { kubeconfig: place.server.kubeconfig(ADMIN), namespace: place.namespace }
    }

    /// Runs `create` to its end: exit code, stdout, stderr.
    async fn create(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(program::plugin());
        command
            .arg("create")
            .args(arguments)
            .args(["-n", self.namespace])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig);
        let running = tokio::task::spawn_blocking(move || command.output());
        let Output { status, stdout, stderr } = running.await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

async fn exists(admin: &Objects, path: &str) -> Option<Value> {
    match admin.get(path).await {
        Ok(object) => Some(object),
        Err(error) => {
            assert_eq!(refusal(&error).unwrap().0, 404, "{error}");
            None
        }
    }
}

async fn serve(place: &Place, names: &[&str]) {
    for name in names {
        let address = "127.0.0.1:8080".parse().unwrap();
        for object in behind(place.namespace, name, &[address]) {
            place.admin.apply_value(&object).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_written_checked_and_applied() {
    let Some(place) = Place::new("create-route").await else { return };
    serve(&place, &["web", "green"]).await;
    let user = User::admin(&place);
    let shop = ["ingressroute", "shop", "--host", "create.example.com", "--route", "/=web:80"];
    let with = |flags: &[&'static str]| [&shop[..], flags].concat();
    let object = path(place.namespace, "shop");

    // By itself it only prints.
    let (code, yaml, said) = user.create(&shop).await;
    assert_eq!((code, said.as_str()), (0, ""), "{said}");
    assert!(yaml.contains("fqdn: create.example.com"), "{yaml}");
    let (code, dry, said) = user.create(&with(&["--dry-run=server"])).await;
    let full = "ingressroute.contour.heptio.com/shop";
    assert_eq!((code, dry), (0, format!("{full} created (server dry run)\n")), "{said}");
    assert_eq!(exists(&place.admin, &object).await, None, "nothing is stored");

    for expected in ["created", "unchanged"] {
        let (code, applied, said) = user.create(&with(&["--apply"])).await;
        assert_eq!((code, applied), (0, format!("{full} {expected}\n")), "{said}");
    }
    let stored = exists(&place.admin, &object).await.unwrap();
    assert_eq!(stored["metadata"]["managedFields"][0]["manager"], "kubectl-contour");
    assert_eq!(stored["metadata"]["managedFields"][0]["operation"], "Apply");

    let canary = "/=web:80,weight=90;green:80,weight=10";
    let more = ["ingressroute", "shop", "--host", "create.example.com", "--route", canary];
    let (code, applied, said) = user.create(&[&more[..], &["--apply"]].concat()).await;
    assert_eq!((code, applied), (0, format!("{full} configured\n")), "{said}");
    let (code, json, _) = user.create(&[&more[..], &["--apply", "-o", "json"]].concat()).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["spec"]["routes"][0]["services"][0]["weight"]), (0, &json!(90)));

    // What the printed YAML says is what is stored.
    assert_eq!(contour_tests::kubernetes::documents(&yaml)[0]["spec"], stored["spec"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_before_anything_is_applied() {
    let Some(place) = Place::new("create-findings").await else { return };
    serve(&place, &["web"]).await;
    let user = User::admin(&place);
    let pair = certificates::authority().leaf(&["other.example.com"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": place.namespace, "name": "other-tls"},
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    place.admin.apply_value(&secret).await.unwrap();
    let object = path(place.namespace, "shop");
    let host = ["ingressroute", "shop", "--host", "findings.example.com", "--apply"];
    for (flags, expected) in [
        (&["--route", "/=wbe:80"][..], "Did you mean web? It has 80 (http)."),
        (&["--route", "/=web:81"], "create-findings/web has no port 81; it has 80 (http)."),
        (&["--route", "/=web:80", "--tls-secret", "other-tsl"], "Did you mean other-tls?"),
        (&["--route", "/=web:80", "--tls-secret", "default/x"], "CTR403"),
        (&["--route", "/=web:80", "--delegate", "/a=nobody"], "CTR205"),
    ] {
        let (code, out, said) = user.create(&[&host[..], flags].concat()).await;
        assert_eq!((code, out.as_str()), (7, ""), "{flags:?}: {said}");
        assert!(said.contains(expected), "{flags:?}: {said}");
        assert_eq!(exists(&place.admin, &object).await, None);
    }
    // A warning is told and does not stop it.
    let flags = ["--route", "/=web:80", "--tls-secret", "other-tls"];
    let (code, _, said) = user.create(&[&host[..], &flags].concat()).await;
    assert!(code == 0 && said.contains("CTR406"), "{said}");
    // Somebody else has the host now.
    let twin = ["ingressroute", "twin", "--host", "findings.example.com", "--route", "/=web:80"];
    let (code, _, said) = user.create(&twin).await;
    assert!(code == 7 && said.contains("CTR104"), "{said}");
    let (code, out, _) = user.create(&[&twin[..], &["--force"]].concat()).await;
    assert!(code == 0 && out.contains("name: twin"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_nothing_is_told_what_is_not_checked() {
    let Some(place) = Place::new("create-blind").await else { return };
    let kubeconfig = place.server.service_account(place.namespace, "blind").await;
    let user = User { kubeconfig, namespace: place.namespace };
    let shop = ["ingressroute", "shop", "--host", "blind.example.com", "--route", "/=web:80"];
    let (code, yaml, said) = user.create(&shop).await;
    assert_eq!(code, 0, "{said}");
    assert!(yaml.contains("name: web"), "{yaml}");
    assert!(said.contains("not checked against every Service"), "{said}");
    let (code, out, said) = user.create(&[&shop[..], &["--apply"]].concat()).await;
    assert!(code == 9 && out.is_empty(), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_owns_is_left_alone() {
    let Some(place) = Place::new("create-owned").await else { return };
    serve(&place, &["web"]).await;
    let theirs = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {"namespace": place.namespace, "name": "shop"},
        "spec": {"virtualhost": {"fqdn": "owned.example.com"}, "routes": [{
            "match": "/", "services": [{"name": "web", "port": 80, "weight": 50}],
        }]},
    });
    place.admin.apply_value(&theirs).await.unwrap();
    let user = User::admin(&place);
    let route = ["--host", "owned.example.com", "--route", "/=web:80,weight=90", "--apply"];
    let shop = [&["ingressroute", "shop"][..], &route].concat();
    let (code, out, said) = user.create(&shop).await;
    assert_eq!((code, out.as_str()), (5, ""), "{said}");
    assert!(said.contains("weight") && said.contains("--force-conflicts"), "{said}");
    let stored = place.admin.get(&path(place.namespace, "shop")).await.unwrap();
    assert_eq!(stored["spec"], theirs["spec"]);
    let (code, out, said) = user.create(&[&shop[..], &["--force-conflicts"]].concat()).await;
    assert!(code == 0 && out.contains("/shop configured"), "{said}");
}

/// Deployment and Service `web`.
fn web(namespace: &str) -> [Value; 2] {
    let labels = json!({"app": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": "web"},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    [deployment, service]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_version_is_put_beside_the_first() {
    let Some(place) = Place::new("create-green").await else { return };
    let user = User::admin(&place);
    for object in web(place.namespace) {
        place.admin.apply_value(&object).await.unwrap();
    }
    let route = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {"namespace": place.namespace, "name": "shop"},
        "spec": {"virtualhost": {"fqdn": "green.example.com"}, "routes": [{
            "match": "/", "enableWebsockets": true, "services": [{"name": "web", "port": 80}],
        }]},
    });
    place.admin.apply_value(&route).await.unwrap();
    let arguments = ["blue-green", "web", "--image", "example.com/web:2", "--apply"];
    let (code, out, said) = user.create(&arguments).await;
    let expected = "deployment.apps/web-green created\nservice/web-green created\n\
                    ingressroute.contour.heptio.com/shop configured\n";
    assert_eq!((code, out.as_str()), (0, expected), "{said}");

    let stored = place.admin.get(&path(place.namespace, "shop")).await.unwrap();
    let expected = json!([{
        "match": "/", "enableWebsockets": true, "services": [
            {"name": "web", "port": 80, "weight": 100},
            {"name": "web-green", "port": 80, "weight": 0},
        ],
    }]);
    assert_eq!(stored["spec"]["routes"], expected);
    let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", place.namespace);
    let green = place.admin.get(&format!("{deployments}/web-green")).await.unwrap();
    assert_eq!(green["spec"]["selector"]["matchLabels"], json!({"app": "web-green"}));
    let image = &green["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "example.com/web:2");
    let blue = place.admin.get(&format!("{deployments}/web")).await.unwrap();
    assert_eq!(blue["metadata"]["generation"], 1, "the first version is left alone");

    let (code, out, said) = user.create(&arguments).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(out.matches(" unchanged\n").count(), 3, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_gets_its_part_of_a_host() {
    let Some(place) = Place::new("create-root").await else { return };
    place.admin.namespace("create-team").await;
    place.admin.namespace("create-tls").await;
    serve(&place, &["web"]).await;
    for object in behind("create-team", "reports", &["127.0.0.1:80".parse().unwrap()]) {
        place.admin.apply_value(&object).await.unwrap();
    }
    let pair = certificates::authority().leaf(&["team.example.com"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "create-tls", "name": "team"},
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    place.admin.apply_value(&secret).await.unwrap();
    let user = User::admin(&place);
    let part = ["delegation", "shop", "--prefix", "/team", "--to", "create-team/reports"];
    let root = ["--host", "team.example.com", "--route", "/=web:80"];
    let rest = ["--tls-secret", "create-tls/team", "--service", "reports:80", "--apply"];
    let (code, out, said) = user.create(&[&part[..], &root, &rest].concat()).await;
    let expected = "ingressroute.contour.heptio.com/shop created\n\
                    ingressroute.contour.heptio.com/reports created\n\
                    tlscertificatedelegation.contour.heptio.com/team-to-create-root created\n";
    assert_eq!((code, out.as_str(), said.as_str()), (0, expected, ""));

    // The routes of one IngressRoute are all below the prefix that was delegated to it.
    let more = ["delegation", "shop", "--prefix", "/two", "--service", "reports:80", "--apply"];
    let (code, _, said) =
        user.create(&[&more[..], &["--to", "create-team/reports"]].concat()).await;
    assert!(code == 7 && said.contains("CTR204"), "{said}");
    // Another part of the root that is there, for another one; a second time nothing changes.
    let more = [&more[..], &["--to", "create-team/two"]].concat();
    for expected in [("configured", "created"), ("unchanged", "unchanged")] {
        let (code, out, said) = user.create(&more).await;
        let route = "ingressroute.contour.heptio.com";
        let lines = format!("{route}/shop {}\n{route}/two {}\n", expected.0, expected.1);
        assert_eq!((code, out), (0, lines), "{said}");
    }
    let stored = place.admin.get(&path(place.namespace, "shop")).await.unwrap();
    assert_eq!(stored["spec"]["routes"].as_array().unwrap().len(), 3, "{stored:#}");
}
