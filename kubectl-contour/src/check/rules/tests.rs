use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use serde_json::{Value, json};

use super::super::catalog;
use super::super::report::{Report, Severity, evaluate};
use super::super::snapshot::{Api, Missing, Snapshot};
use super::ahead::{HTTP_PROXY, RIGHTS};
use crate::cluster::ForwardTrouble;
use crate::fleet::tests::pod;
use crate::fleet::{App, NAMESPACE, Told};
use crate::object::Id;
use crate::status::report::merge;
use crate::version::DEFINITIONS;

/// 2030-01-01.
const NOW: i64 = 1_893_456_000;
type Day = (i32, u8, u8);
const LONG: Day = (2031, 1, 1);

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2029, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// A Secret with a certificate of an authority, and a bundle.
fn secret(signer: &Issuer<'_, KeyPair>, bundle: &str, name: &str, (y, m, d): Day) -> Value {
    use base64::Engine as _;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2029, 6, 1);
    params.not_after = date_time_ymd(y, m, d);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, signer).unwrap();
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    json!({"data": {
        "ca.crt": encode(bundle),
        "tls.crt": encode(&certificate.pem()),
        "tls.key": encode(&key.serialize_pem()),
    }})
}

/// Secrets that fit each other, valid until a day.
fn secrets(name: &str, until: Day) -> [(&'static str, Result<Option<Value>, Missing>); 2] {
    let (bundle, signer) = authority();
    [
        ("contourcert", Ok(Some(secret(&signer, &bundle, name, until)))),
        ("envoycert", Ok(Some(secret(&signer, &bundle, "envoy", LONG)))),
    ]
}

fn definition() -> Value {
    json!({
        "metadata": {"managedFields": [{"manager": "kubectl-contour"}, {"manager": "kube-apiserver", "subresource": "status"}]},
        "spec": {"versions": [{"name": "v1beta1", "served": true, "storage": true}]},
        "status": {
            "conditions": [{"type": "Established", "status": "True"}],
            "storedVersions": ["v1beta1"],
        },
    })
}

fn told(envoys: &Value) -> Vec<Told<Value>> {
    let (namespace, replica) = (NAMESPACE.to_owned(), "contour-1".to_owned());
    vec![Told { namespace, replica, answer: Ok(json!({"revision": 3, "envoys": envoys})) }]
}

fn envoy(in_sync: u64, rejections: &Value) -> Value {
    json!([{"node": "envoy-1", "version": "1.40.0", "in_sync": in_sync, "rejections": rejections}])
}

/// An installation that is well, on a cluster that is ready for one too.
pub(in crate::check) fn well() -> Snapshot {
    let object = |name: &str| Id {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
    };
    let pods = vec![pod(App::Contour, "contour-1"), pod(App::Envoy, "envoy-1")];
    let status = merge(&pods, &told(&envoy(3, &json!([]))), NOW);
    let metrics = "contour_kubernetes_watching{kind=\"Secret\"} 1\n".to_owned();
    let mut definitions: std::collections::BTreeMap<_, _> =
        DEFINITIONS.into_iter().map(|name| (name, Ok(Some(definition())))).collect();
    definitions.insert(HTTP_PROXY, Ok(None));
    Snapshot {
        now: NOW,
        api: Ok(Api { version: "v1.34.0".to_owned(), ahead: Some(1) }),
        definitions,
        space: Ok(Some(json!({"status": {"phase": "Active"}}))),
        rights: RIGHTS.into_iter().map(|right| (right, Ok(true))).collect(),
        inventories: Ok(vec![json!({"metadata": {"namespace": NAMESPACE}})]),
        inventory: Ok(Some(json!({"data": {"version": "0.1.0"}}))),
        objects: vec![(object("contour"), Ok(true)), (object("envoy"), Ok(true))],
        deployment: Ok(Some(json!({}))),
        secrets: secrets("contour", LONG).into_iter().collect(),
        cron_jobs: Ok(vec![json!({
            "metadata": {"name": "contour-certgen-renew"},
            "status": {
                "lastScheduleTime": "2029-12-01T00:00:00Z",
                "lastSuccessfulTime": "2029-12-01T00:00:09Z",
            },
        })]),
        pods: Ok(pods),
        lease: Ok(Some(json!({"spec": {
            "holderIdentity": "contour-1", "leaseDurationSeconds": 15,
            "renewTime": "2029-12-31T23:59:58.123456Z",
        }}))),
        metrics: vec![Told {
            namespace: NAMESPACE.to_owned(),
            replica: "contour-1".to_owned(),
            answer: Ok(metrics),
        }],
        status: Some(status),
        services: Ok(vec![json!({
            "metadata": {"name": "envoy"},
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
        })]),
        slices: Ok(vec![json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "envoy"}},
            "endpoints": [{"conditions": {"ready": true}}],
        })]),
        routes: Ok(vec![json!({"status": {"currentStatus": "valid"}})]),
        ..Snapshot::new(NAMESPACE.to_owned())
    }
}

/// What either kind of check makes of a snapshot.
pub(in crate::check) fn checked(snapshot: &Snapshot, ahead: bool) -> Report {
    let checks: Vec<_> = catalog::of(ahead).iter().collect();
    evaluate(&checks, snapshot)
}

/// The anchors of all that is not well, with how bad it is and the first words; what is skipped is
/// left out.
fn findings(snapshot: &Snapshot, ahead: bool) -> Vec<(&'static str, Severity, String)> {
    let report = checked(snapshot, ahead);
    let found = report.all().filter_map(|made| {
        let problem = made.result.as_ref().err()?;
        (problem.severity != Severity::Skipped)
            .then(|| (made.check.anchor, problem.severity, problem.what.clone()))
    });
    found.collect()
}

/// Asserts that after a change exactly one check, of either kind, is not well.
#[track_caller]
fn one(anchor: &str, severity: Severity, words: &str, change: impl FnOnce(&mut Snapshot)) {
    let mut snapshot = well();
    change(&mut snapshot);
    let mut found = findings(&snapshot, false);
    for finding in findings(&snapshot, true) {
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    let [(at, how_bad, what)] = found.as_slice() else { panic!("{anchor}: {found:#?}") };
    assert_eq!((*at, *how_bad), (anchor, severity), "{what}");
    assert!(what.contains(words), "{what}");
}

fn service(snapshot: &mut Snapshot) -> &mut Value {
    &mut snapshot.services.as_mut().unwrap()[0]
}

fn of_definition(snapshot: &mut Snapshot) -> &mut Value {
    snapshot.definitions.get_mut(DEFINITIONS[0]).unwrap().as_mut().unwrap().as_mut().unwrap()
}

#[test]
fn what_is_well_is_well() {
    assert_eq!(findings(&well(), false), []);
    assert_eq!(findings(&well(), true), []);
    assert!(checked(&well(), false).success);
}

#[test]
fn the_api_server() {
    use Severity::{Error, Warning};
    one("api-reachable", Error, "refused", |s| s.api = Err(Missing::Unreachable("refused".into())));
    let of = |version: &str, ahead| Ok(Api { version: version.to_owned(), ahead });
    one("kubernetes-version", Error, "v1.28.9", |s| s.api = of("v1.28.9", None));
    one("clock-skew", Warning, "60 s behind", |s| s.api = of("v1.29.0", Some(-60)));
    one("clock-skew", Warning, "11 s ahead of", |s| s.api = of("v1.29.0", Some(11)));
}

#[test]
fn ahead_of_an_installation() {
    use Severity::{Error, Warning};
    one("may-install", Error, "create namespaces, create deployments.apps", |s| {
        s.rights[0].1 = Ok(false);
        s.rights[9].1 = Ok(false);
    });
    one("no-other-installation", Error, "namespace other has one of version 0.0.9", |s| {
        let other = json!({"metadata": {"namespace": "other"}, "data": {"version": "0.0.9"}});
        s.inventories = Ok(vec![other]);
    });
    one("crds-unowned", Error, "Helm release web/contour", |s| {
        let annotations = json!({"meta.helm.sh/release-name": "contour", "meta.helm.sh/release-namespace": "web"});
        of_definition(s)["metadata"]["annotations"] = annotations;
    });
    one("crds-unowned", Warning, "fields of argocd", |s| {
        of_definition(s)["metadata"]["managedFields"][0]["manager"] = json!("argocd");
    });
    one("httpproxy", Warning, "Contour is or was installed", |s| {
        s.definitions.insert(HTTP_PROXY, Ok(Some(json!({}))));
    });
    one("pod-security", Warning, "level \"strict\"", |s| {
        let labels = json!({"pod-security.kubernetes.io/enforce": "strict"});
        s.space = Ok(Some(json!({"metadata": {"labels": labels}})));
    });
}

#[test]
fn a_deployment_of_somebody_else_is_in_the_way() {
    let mut snapshot = well();
    snapshot.inventory = Ok(None);
    let found = findings(&snapshot, true);
    let [(anchor, Severity::Error, what)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(*anchor, "deployment-unowned");
    assert!(what.contains("in no inventory"), "{what}");
    snapshot.deployment = Ok(None);
    assert_eq!(findings(&snapshot, true), []);
}

#[test]
fn on_an_empty_cluster_nothing_is_in_the_way() {
    let mut snapshot = well();
    for found in snapshot.definitions.values_mut() {
        *found = Ok(None);
    }
    (snapshot.space, snapshot.inventory, snapshot.deployment) = (Ok(None), Ok(None), Ok(None));
    (snapshot.inventories, snapshot.services) = (Ok(Vec::new()), Ok(Vec::new()));
    assert_eq!(findings(&snapshot, true), []);
    // As an installation it misses the definitions and its namespace; what depends on them is
    // skipped.
    let anchors: Vec<_> = findings(&snapshot, false).into_iter().map(|(a, ..)| a).collect();
    assert_eq!(anchors, ["crds-exist", "namespace-exists", "service-exists"]);
}

#[test]
fn the_definitions() {
    use Severity::Error;
    one("crds-established", Error, "names conflict", |s| {
        let not = json!([{"type": "Established", "status": "False", "message": "names conflict"}]);
        of_definition(s)["status"]["conditions"] = not;
    });
    one("crds-established", Error, "does not serve v1beta1", |s| {
        of_definition(s)["spec"]["versions"][0]["served"] = json!(false);
    });
    one("stored-versions", Error, "stored as v1alpha1", |s| {
        of_definition(s)["status"]["storedVersions"] = json!(["v1alpha1", "v1beta1"]);
    });
}

#[test]
fn the_installation() {
    use Severity::{Error, Warning};
    one("namespace-exists", Error, "being deleted", |s| {
        s.space = Ok(Some(json!({"status": {"phase": "Terminating"}})));
    });
    one("inventory-complete", Error, "Service projectcontour/envoy does not exist", |s| {
        s.objects[1].1 = Ok(false);
    });
    one("inventory-complete", Warning, "is not known", |s| {
        s.objects[1].1 = Err(Missing::Forbidden("no".into()));
    });
    one("inventory-complete", Warning, "names no objects", |s| s.objects.clear());
    for (phase, words) in [("applying", "installation is under way"), ("removing", "a removal is")]
    {
        one("inventory", Warning, words, |s| {
            s.inventory = Ok(Some(json!({"data": {"phase": phase}})));
        });
    }
    let mut snapshot = well();
    snapshot.objects[1].0.kind = "Job".to_owned();
    snapshot.objects[1].1 = Ok(false);
    assert_eq!(findings(&snapshot, false), []);
}

#[test]
fn the_certificates() {
    use Severity::{Error, Warning};
    one("certificates-exist", Error, "no Secret projectcontour/envoycert", |s| {
        s.secrets.insert("envoycert", Ok(None));
    });
    one("certificates-exist", Warning, "you may not see", |s| {
        for found in s.secrets.values_mut() {
            *found = Err(Missing::Forbidden("secrets is forbidden".into()));
        }
        // Nothing else can be said of them either.
        s.cron_jobs = Err(Missing::Unasked);
    });
    one("certificates-parse", Error, "tls.crt of Secret contourcert cannot be read", |s| {
        let secret = s.secrets.get_mut("contourcert").unwrap().as_mut().unwrap().as_mut().unwrap();
        secret["data"]["tls.crt"] = json!("bm9uc2Vuc2U=");
    });
    one("certificates-parse", Error, "key and certificate of Secret envoycert", |s| {
        let [_, (_, other)] = secrets("contour", LONG);
        let secret = s.secrets.get_mut("envoycert").unwrap().as_mut().unwrap().as_mut().unwrap();
        secret["data"]["tls.key"] = other.unwrap().unwrap()["data"]["tls.key"].clone();
    });
    one("certificates-chain", Error, "ca.crt of envoycert does not accept", |s| {
        let [(_, other), _] = secrets("contour", LONG);
        let other = other.unwrap().unwrap();
        let secret = s.secrets.get_mut("envoycert").unwrap().as_mut().unwrap().as_mut().unwrap();
        secret["data"]["ca.crt"] = other["data"]["ca.crt"].clone();
    });
    one("certificates-names", Error, "not good for the name contour", |s| {
        s.secrets = secrets("elsewhere", LONG).into_iter().collect();
    });
    for (until, severity, words) in [
        ((2030, 1, 20), Warning, "expires in 18 days"),
        ((2030, 1, 3), Error, "expires in 1 day"),
        ((2029, 12, 20), Error, "has expired 12 days ago"),
    ] {
        one("certificates-expiry", severity, words, |s| {
            s.secrets = secrets("contour", until).into_iter().collect();
        });
    }
}

#[test]
fn the_rotation_of_certificates() {
    use Severity::Warning;
    one("certificates-rotation", Warning, "no CronJob", |s| s.cron_jobs = Ok(Vec::new()));
    one("certificates-rotation", Warning, "is suspended", |s| {
        s.cron_jobs.as_mut().unwrap()[0]["spec"] = json!({"suspend": true});
    });
    one("certificates-rotation", Warning, "31 days ago, did not succeed", |s| {
        s.cron_jobs.as_mut().unwrap()[0]["status"]["lastSuccessfulTime"] =
            json!("2029-11-01T00:00:00Z");
    });
}

#[test]
fn the_controller() {
    use Severity::{Error, Warning};
    one("controller-ready", Error, "CrashLoopBackOff", |s| {
        let pods = s.pods.as_mut().unwrap();
        (pods[0].ready, pods[0].why) = (false, "container contour: CrashLoopBackOff".to_owned());
    });
    one("controller-restarts", Warning, "started again 9 times", |s| {
        s.pods.as_mut().unwrap()[0].restarts = 9;
    });
    one("controller-leader", Warning, "no Lease", |s| s.lease = Ok(None));
    one("controller-leader", Error, "nobody holds", |s| {
        s.lease = Ok(Some(json!({"spec": {"holderIdentity": ""}})));
    });
    one("controller-leader", Error, "has not renewed the lease for", |s| {
        s.lease.as_mut().unwrap().as_mut().unwrap()["spec"]["renewTime"] =
            json!("2029-12-31T23:00:00Z");
    });
    one("controller-permissions", Error, "cannot watch objects of kind Secret", |s| {
        s.metrics[0].answer = Ok("contour_kubernetes_watching{kind=\"Secret\"} 0\n".to_owned());
    });
    one("controller-permissions", Warning, "create (and get) on pods/portforward", |s| {
        let namespace = NAMESPACE.to_owned();
        s.metrics[0].answer = Err(ForwardTrouble::Forbidden { namespace });
    });
}

#[test]
fn the_envoys() {
    use Severity::Error;
    let status = |s: &mut Snapshot, envoys: &Value| {
        s.status = Some(merge(s.pods.as_ref().unwrap(), &told(envoys), NOW));
    };
    one("envoy-ready", Error, "pod envoy-1 is not ready: it is Pending", |s| {
        let pods = s.pods.as_mut().unwrap();
        (pods[1].ready, pods[1].why) = (false, "it is Pending".to_owned());
    });
    one("envoy-ready", Error, "there is no pod envoy", |s| {
        s.pods.as_mut().unwrap().truncate(1);
    });
    one("envoy-connected", Error, "envoy-1 is connected to no controller", |s| {
        status(s, &json!([]));
    });
    one("envoy-in-sync", Error, "envoy-1: 1 pending", |s| status(s, &envoy(2, &json!([]))));
    one("envoy-rejections", Error, "rds http/shop of IngressRoute demo/shop: no good", |s| {
        let owner = json!({"kind": "IngressRoute", "namespace": "demo", "name": "shop"});
        let rejection =
            json!({"type": "rds", "name": "http/shop", "message": "no good", "owners": [owner]});
        status(s, &envoy(3, &json!([rejection])));
    });
}

#[test]
fn the_way_in() {
    use Severity::{Error, Warning};
    one("service-exists", Error, "no Service", |s| s.services = Ok(Vec::new()));
    one("service-endpoints", Error, "leads to no Pod", |s| s.slices = Ok(Vec::new()));
    one("service-endpoints", Error, "none of the 1 endpoints", |s| {
        let conditions = json!({"conditions": {"ready": false}});
        s.slices.as_mut().unwrap()[0]["endpoints"][0] = conditions;
    });
    let mut snapshot = well();
    service(&mut snapshot)["status"] = json!({});
    let of = |ahead| findings(&snapshot, ahead);
    let (now, before) = (of(false), of(true));
    assert_eq!((now[0].0, now[0].1), ("service-address", Warning));
    assert_eq!((before[0].0, before[0].1), ("load-balancer", Warning));
}

#[test]
fn routes_that_are_not_valid_are_named_up_to_five() {
    let route = |name: String| {
        json!({
            "metadata": {"namespace": "demo", "name": name},
            "status": {"currentStatus": "invalid", "description": "no such Service"},
        })
    };
    let mut snapshot = well();
    snapshot.routes = Ok((1..=7).map(|n| route(format!("r{n}"))).collect());
    let found = findings(&snapshot, false);
    let [("routes-valid", Severity::Warning, what)] = found.as_slice() else { panic!("{found:?}") };
    assert!(what.starts_with("7 invalid, 0 orphaned\ndemo/r1 is invalid: no such Service\n"));
    assert!(what.ends_with("demo/r5 is invalid: no such Service\nand 2 more"), "{what}");
    assert!(checked(&snapshot, false).success);
}

#[test]
fn what_is_waited_for_may_become_well() {
    let mut snapshot = well();
    assert_eq!(checked(&snapshot, false).waits_for(), None);
    let pods = snapshot.pods.as_mut().unwrap();
    (pods[1].ready, pods[1].why) = (false, "it is Pending".to_owned());
    let waits = checked(&snapshot, false).waits_for();
    assert_eq!(
        waits.as_deref(),
        Some("the Envoys are ready: pod envoy-1 is not ready: it is Pending")
    );
    let mut snapshot = well();
    snapshot.api = Ok(Api { version: "v1.20.0".to_owned(), ahead: None });
    assert_eq!(checked(&snapshot, false).waits_for(), None);
}

#[test]
fn without_a_cluster_everything_else_is_skipped() {
    let snapshot = Snapshot::without_cluster(NAMESPACE.to_owned(), "no cluster is known");
    for ahead in [false, true] {
        let report = checked(&snapshot, ahead);
        assert_eq!(report.failed(), 1);
        assert!(report.all().skip(1).all(|made| made.result_name() == "skipped"));
    }
    assert_eq!(snapshot.unreachable().as_deref(), Some("no cluster is known"));
}
