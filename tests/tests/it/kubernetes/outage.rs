//! The API server is away, and comes back.

use std::collections::BTreeMap;
use std::time::Instant;

use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::stage::{
    KubernetesStage, NAMESPACE, Status, http, path, serve, settings, shop, status,
};
use contour_tests::kubernetes::{ADMIN, ApiServer, Audit, Options};
use contour_tests::load::Load;
use contour_tests::stage::{connect, until_backend};

const KINDS: [&str; 5] =
    ["IngressRoute", "TLSCertificateDelegation", "Service", "EndpointSlice", "Secret"];

/// Requests of a kind that were made in vain.
async fn failures(stage: &KubernetesStage, kind: &str) -> f64 {
    let name = format!("contour_kubernetes_requests_total{{kind=\"{kind}\",request=\"failure\"}}");
    stage.metric(&name).await.unwrap_or_default()
}

/// Waits until every kind is being watched, or none is.
async fn watching(stage: &KubernetesStage, wanted: bool) {
    for kind in KINDS {
        let name = format!("contour_kubernetes_watching{{kind=\"{kind}\"}}");
        eventually(&format!("{name} is {wanted}"), async || {
            (stage.metric(&name).await == Some(f64::from(wanted))).then_some(())
        })
        .await;
    }
}

/// Asserts that nothing that is watched was listed more than once, whole or as a stream.
///
/// Returns how many lists there were; one that is refused is none.
fn once(audit: &Audit) -> usize {
    let mut lists = BTreeMap::<String, usize>::new();
    for request in &audit.requests {
        let is_list = request.verb == "list" || request.uri.contains("sendInitialEvents=true");
        if is_list && request.code == 200 && request.resource != "leases" {
            let path = request.uri.split('?').next().unwrap_or_default();
            *lists.entry(path.to_owned()).or_default() += 1;
        }
    }
    let more = lists.values().any(|count| *count > 1);
    assert!(!more, "{lists:?}: {:#?}", audit.filter(|r| r.resource != "leases").requests);
    lists.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_costs_no_request_and_is_not_stormed() {
    let options = Options::default().user("contour", &["system:masters"]);
    let Some(mut server) = ApiServer::start(options).await else { return };
    let admin = server.admin();
    admin.install_crds().await;
    for namespace in [NAMESPACE, "demo"] {
        admin.namespace(namespace).await;
    }
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&admin, "demo", &[&blue, &green]).await;
    admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let stage = KubernetesStage::start(settings(server.kubeconfig("contour"))).await;
    let envoy = stage.envoy("envoy-1").await;
    let (target, ask) = (http(&envoy).await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 2);
    assert_eq!(once(&server.audit().by("contour")), 6);

    // It stands still: connections stay open, and nobody answers.
    let before = server.audit();
    server.stop();
    let late = connect(&stage.controller, "late");
    late.ready().await;
    until_backend(&http(&late).await, &ask, "blue").await;
    let meanwhile = shop("demo", "shop", "shop.test", &[("green", 1)]);
    let meanwhile = {
        let admin = admin.clone();
        tokio::spawn(async move { admin.apply_value(&meanwhile).await })
    };
    load.more(200).await;
    server.cont();
    meanwhile.await.unwrap().unwrap();
    until_backend(&target, &ask, "green").await;
    once(&server.audit().since(&before).by("contour"));

    // It is gone, and comes back.
    for (round, service) in ["blue", "green"].into_iter().enumerate() {
        let (before, begin) = (server.audit(), Instant::now());
        let mut failed = BTreeMap::new();
        for kind in KINDS {
            failed.insert(kind, failures(&stage, kind).await);
        }
        server.kill();
        watching(&stage, false).await;
        let late = connect(&stage.controller, &format!("late-{round}"));
        late.ready().await;
        let last = if round == 0 { "green" } else { "blue" };
        until_backend(&http(&late).await, &ask, last).await;
        eventually("it is looked for again and again", async || {
            (failures(&stage, "IngressRoute").await >= failed["IngressRoute"] + 4.0).then_some(())
        })
        .await;
        server.restart().await;
        let admin = server.objects(ADMIN);
        admin.apply_value(&shop("demo", "shop", "shop.test", &[(service, 1)])).await.unwrap();
        until_backend(&target, &ask, service).await;
        watching(&stage, true).await;
        once(&server.audit().since(&before).by("contour"));
        for kind in KINDS {
            let more = failures(&stage, kind).await - failed[kind];
            // Pauses of at least 0.1, 0.2, 0.4, 0.8, 1.6 and then 2 s; Services are read twice.
            let bound = 2.0 * (7.0 + begin.elapsed().as_secs_f64() / 2.0);
            assert!(more >= 1.0 && more <= bound, "{kind}: {more} of {bound}");
        }
        status(&admin, &path("demo", "shop"), "it is programmed", Status::is_programmed).await;
    }
    let tally = load.stop().await;
    assert!(tally.requests > 500, "{tally:?}");
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
