//! The objects of the chart in a real API server: it takes them without a warning, Pods pass the
//! level `restricted`, and permissions are those that the controller uses.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use contour_core::shift::state::{Deadman, Phase, Policy};
use contour_deploy::{Manifest, Override, Profile, Release, Stage, Values, render};
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, PATIENCE};
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, http, path, serve, shop, status};
use contour_tests::kubernetes::{ApiServer, Audit, Objects, Options, shift};
use contour_tests::program;
use contour_tests::stage::until_backend;
use http::{Method, Request};
use kube::client::Body;
use serde_json::{Value, json};

/// Namespaces where Pods have to be restricted, by the name of what is tried.
async fn restricted(admin: &Objects, name: &str) -> Release {
    let namespace = format!("chart-{name}");
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }},
    });
    admin.apply_value(&object).await.unwrap();
    Release { namespace, ..Release::default() }
}

/// Asks the API server what it would do; the warnings, or why it would not.
async fn dry(
    admin: &Objects,
    (method, path): (Method, &str),
    object: &Value,
) -> Result<Vec<String>, String> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let content =
        if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}{separator}dryRun=All&fieldValidation=Strict&fieldManager=dry"))
        .header("content-type", content)
        .body(Body::from(object.to_string().into_bytes()))
        .unwrap();
    let response = admin.client().send(request).await.map_err(|error| error.to_string())?;
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.map(|w| w.to_str().unwrap().to_owned()).collect();
    let code = response.status();
    let body = response.into_body().collect_bytes().await.unwrap();
    if code.is_success() { Ok(warnings) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
}

async fn dry_apply(admin: &Objects, object: &Value) -> Result<Vec<String>, String> {
    let path = admin.path(object).await.unwrap();
    dry(admin, (Method::PATCH, &format!("{path}?force=true")), object).await
}

/// The Pod that a workload would make.
fn pod(manifest: &Manifest) -> Option<Value> {
    let template = match manifest.kind() {
        "Deployment" | "DaemonSet" | "Job" => "/spec/template",
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    let mut pod = manifest.object.pointer(template)?.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("dry");
    pod["metadata"]["namespace"] = json!(manifest.namespace());
    Some(pod)
}

async fn dry_pod(admin: &Objects, pod: &Value) -> Result<Vec<String>, String> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    dry(admin, (Method::POST, &path), pod).await
}

async fn accounts(admin: &Objects, manifests: &[Manifest]) {
    for account in manifests.iter().filter(|m| m.kind() == "ServiceAccount") {
        admin.apply_value(&account.object).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_every_profile_is_accepted_without_a_warning() {
    let Some(server) = ApiServer::shared().await else { return };
    let admin = server.admin();
    let more = [
        "namespace.create=true",
        "networkPolicies.egress.enabled=true",
        "networkPolicies.egress.envoyTo={203.0.113.0/24}",
        "contour.config.debug=true",
        "envoy.concurrency=2",
        "envoy.extraArgs={--component-log-level,upstream:debug}",
        "envoy.resources.limits.memory=1Gi",
        "envoy.service.httpNodePort=30080",
        "image.pullSecrets[0].name=registry",
    ];
    for profile in Profile::ALL {
        for sets in [&[][..], &more[..]] {
            let release = restricted(&admin, profile.name()).await;
            let sets: Vec<_> = sets.iter().map(|set| Override::Set(set)).collect();
            let values = Values::resolve(profile, &sets).unwrap();
            let manifests = render(&values, &release).unwrap();
            accounts(&admin, &manifests).await;
            for manifest in &manifests {
                let told = format!("{profile}: {} {}", manifest.kind(), manifest.name());
                assert_eq!(dry_apply(&admin, &manifest.object).await, Ok(Vec::new()), "{told}");
                if let Some(pod) = pod(manifest) {
                    assert_eq!(dry_pod(&admin, &pod).await, Ok(Vec::new()), "Pod of {told}");
                }
            }
        }
    }
}

/// That the test above sees what it looks for.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_right_is_noticed() {
    let Some(server) = ApiServer::shared().await else { return };
    let admin = server.admin();
    let release = restricted(&admin, "wrong").await;
    let manifests = render(&Values::default(), &release).unwrap();
    accounts(&admin, &manifests).await;
    let deployment = manifests.iter().find(|m| m.kind() == "Deployment").unwrap();
    let mut unknown = deployment.clone();
    unknown.object["spec"]["replica"] = json!(2);
    assert!(dry_apply(&admin, &unknown.object).await.unwrap_err().contains("replica"));
    let mut lax = deployment.clone();
    lax.object["spec"]["template"]["spec"]["containers"][0]["securityContext"] = json!({});
    let warnings = dry_apply(&admin, &lax.object).await.unwrap();
    assert!(warnings.iter().any(|w| w.contains("PodSecurity")), "{warnings:?}");
    let refused = dry_pod(&admin, &pod(&lax).unwrap()).await.unwrap_err();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}

/// Verb, group and resource, of each request but those of the protocol itself.
fn used(audit: &Audit) -> BTreeSet<(String, String, String)> {
    let of_objects = audit.requests.iter().filter(|r| !r.resource.is_empty());
    of_objects.map(|r| (r.verb.clone(), r.group.clone(), r.resource.clone())).collect()
}

/// What the rules of Roles and `ClusterRoles` of a component grant.
fn granted(manifests: &[Manifest], component: &str) -> BTreeSet<(String, String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let mut found = BTreeSet::new();
    let roles = manifests.iter().filter(|m| matches!(m.kind(), "Role" | "ClusterRole"));
    for role in
        roles.filter(|m| m.object["metadata"]["labels"]["app.kubernetes.io/component"] == component)
    {
        for rule in role.object["rules"].as_array().unwrap() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        found.insert((verb, group.clone(), resource.clone()));
                    }
                }
            }
        }
    }
    found
}

/// A shift without its client is taken back.
async fn rolled_back(admin: &Objects, profile: &str) {
    let green = Backend::http("green").await;
    serve(admin, "shop", &[&green]).await;
    let name = format!("{profile}-shift");
    let services = [("blue", 100), ("green", 0)];
    let host = format!("shift.{profile}.test");
    admin.apply_value(&shop("shop", &name, &host, &services)).await.unwrap();
    let limit = Duration::from_secs(1);
    let policy = Policy { deadman: Some(Deadman::Revert(limit)), ..Policy::default() };
    shift::halfway(admin, ("shop", &name), policy, &json!("baking")).await;
    let lease = shift::lease(("shop", &name), shift::CLIENT, Duration::from_mins(1));
    admin.apply_value(&lease).await.unwrap();
    eventually("it is rolled back", async || {
        let route = admin.get(&path("shop", &name)).await.ok()?;
        matches!(shift::state(&route).progress.phase, Phase::RolledBack(_)).then_some(())
    })
    .await;
}

/// A controller with the permissions of the chart and no others.
async fn controller_may_what_it_does(server: &ApiServer, profile: Profile, namespaces: &[&str]) {
    let admin = server.admin();
    let release = Release { namespace: format!("rbac-{profile}"), ..Release::default() };
    admin.namespace(&release.namespace).await;
    let watched = format!("watchNamespaces={{{}}}", namespaces.join(","));
    let sets: Vec<_> =
        (!namespaces.is_empty()).then_some(Override::Set(&watched)).into_iter().collect();
    let manifests = render(&Values::resolve(profile, &sets).unwrap(), &release).unwrap();
    let permissions =
        ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    for manifest in manifests.iter().filter(|m| permissions.contains(&m.kind())) {
        admin.apply_value(&manifest.object).await.unwrap();
    }
    let services = manifests.iter().filter(|m| m.kind() == "Service");
    for manifest in services {
        admin.apply_value(&manifest.object).await.unwrap();
    }
    let kubeconfig = server.service_account(&release.namespace, "contour").await;
    let mut settings = contour_tests::kubernetes::stage::settings(kubeconfig);
    settings.watch_namespaces = namespaces.iter().map(|n| (*n).into()).collect();
    settings.namespace = release.namespace.as_str().into();
    settings.deadman = Duration::from_millis(200);
    if let Some(election) = &mut settings.election {
        election.namespace = release.namespace.as_str().into();
    }
    settings.addresses = contour::config::StatusAddresses::Service(
        contour_core::name::ObjectName::new(release.namespace.as_str(), "envoy"),
    );
    let host = format!("{profile}.test");
    admin.namespace("shop").await;
    let blue = Backend::http("blue").await;
    serve(&admin, "shop", &[&blue]).await;
    admin.apply_value(&shop("shop", profile.name(), &host, &[("blue", 1)])).await.unwrap();
    let stage = KubernetesStage::start(settings).await;
    let envoy = stage.envoy("envoy-1").await;
    let target = http(&envoy).await;
    until_backend(&target, &Ask::get(&host, "/"), "blue").await;
    status(&admin, &path("shop", profile.name()), "it is written", Status::is_programmed).await;
    // What nobody can serve, for an Event.
    let broken = format!("{profile}-broken");
    let missing = shop("shop", &broken, &format!("broken.{host}"), &[("nobody", 1)]);
    admin.apply_value(&missing).await.unwrap();
    rolled_back(&admin, profile.name()).await;
    let account = format!("system:serviceaccount:{}:contour", release.namespace);
    let wanted: BTreeSet<_> = granted(&manifests, "controller")
        .into_iter()
        .filter(|(verb, _, resource)| {
            // No delegation is there to have a status, and a server that streams what there is
            // (WatchList) is not asked for a list of what is watched.
            (verb != "list" || resource == "leases")
                && !(verb == "patch" && resource.starts_with("tlscertificatedelegations"))
        })
        .collect();
    let begin = Instant::now();
    while used(&server.audit().by(&account)) != wanted && begin.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(used(&server.audit().by(&account)), wanted);
    let refused = server.audit().by(&account).filter(|r| r.code == 403);
    assert_eq!(refused.requests, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_uses_all_of_its_permissions_and_needs_no_others() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    server.admin().install_crds().await;
    controller_may_what_it_does(&server, Profile::Default, &[]).await;
    controller_may_what_it_does(&server, Profile::Namespaced, &["shop"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespaced_profile_grants_nothing_outside_of_its_namespaces() {
    let values = Values::resolve(Profile::Namespaced, &[Override::Set("watchNamespaces={a,b}")]);
    let manifests = render(&values.unwrap(), &Release::default()).unwrap();
    assert!(manifests.iter().all(|m| !m.kind().starts_with("ClusterRole")));
    let places: BTreeSet<_> = manifests
        .iter()
        .filter(|m| m.object.to_string().contains("\"secrets\"") && m.stage == Stage::Configuration)
        .map(|m| (m.namespace().unwrap().to_owned(), m.name().to_owned()))
        .collect();
    let expected = [
        ("a", "projectcontour-contour"),
        ("b", "projectcontour-contour"),
        ("projectcontour", "contour-certgen"),
    ];
    assert_eq!(places, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_uses_all_of_its_permissions_and_needs_no_others() {
    let Some(server) = ApiServer::start(Options::default()).await else { return };
    let admin = server.admin();
    let release = restricted(&admin, "certgen").await;
    let manifests = render(&Values::default(), &release).unwrap();
    let component = |m: &&Manifest| {
        m.object["metadata"]["labels"]["app.kubernetes.io/component"] == "certgen"
            && m.stage == Stage::Configuration
    };
    for manifest in manifests.iter().filter(component) {
        admin.apply_value(&manifest.object).await.unwrap();
    }
    let kubeconfig = server.service_account(&release.namespace, "contour-certgen").await;
    for more in [&[][..], &["--overwrite"], &[]] {
        let output = Command::new(program::contour())
            .args(["certgen", "--kube", "--secrets-format=compact"])
            .arg(format!("--namespace={}", release.namespace))
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(more)
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let account = format!("system:serviceaccount:{}:contour-certgen", release.namespace);
    let audit = server.audit().by(&account);
    assert_eq!(used(&audit), granted(&manifests, "certgen"));
    assert_eq!(audit.filter(|r| r.code == 403).requests, Vec::new());
}
