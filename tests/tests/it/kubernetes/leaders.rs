//! Two replicas: one leads and writes, both serve.

use std::time::{Duration, Instant};

use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::kubernetes::faults::{Class, Fault, Proxy};
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, http, path, serve, shop};
use contour_tests::kubernetes::{Audit, Request};
use contour_tests::load::Load;
use contour_tests::stage::until_backend;
use contour_tests::worlds::cases;

const USERS: [&str; 2] = ["one", "two"];

/// A replica and its Envoy.
struct Replica {
    stage: KubernetesStage,
    envoy: Envoy,
    user: &'static str,
}

impl Replica {
    async fn start(place: &Place, user: &'static str) -> Self {
        let kubeconfig = place.user(user).await;
        let stage = KubernetesStage::start(place.settings(kubeconfig)).await;
        let envoy = stage.envoy(&format!("envoy-of-{user}")).await;
        Self { stage, envoy, user }
    }

    async fn leads(&self) -> bool {
        self.stage.metric("contour_leader").await == Some(1.0)
    }
}

/// Which of two leads, once one does.
async fn leader(replicas: &[Replica]) -> usize {
    eventually("one leads", async || {
        for (index, replica) in replicas.iter().enumerate() {
            if replica.leads().await {
                return Some(index);
            }
        }
        None
    })
    .await
}

/// Successful writes of both, in the order of the audit log.
fn writes(place: &Place) -> Vec<Request> {
    let users = USERS.map(|user| format!("system:serviceaccount:{}:{user}", place.namespace));
    let written = |request: &Request| {
        users.contains(&request.user) && request.is_write() && request.code < 300
    };
    place.server.audit().filter(written).requests
}

/// Asserts that whoever writes something else has written the Lease last.
///
/// Returns how often the writer changed.
fn orderly(writes: &[Request]) -> usize {
    let (mut holder, mut last, mut changes) = ("", "", 0);
    for write in writes {
        if write.resource == "leases" {
            holder = &write.user;
            continue;
        }
        assert_eq!(write.user, holder, "{write:?} while the other leads");
        if last != write.user {
            changes += usize::from(!last.is_empty());
            last = &write.user;
        }
    }
    changes
}

async fn turn(place: &Place, replicas: &[Replica], services: &mut impl Iterator<Item = &str>) {
    let service = services.next().unwrap();
    let route = shop(place.namespace, "shop", "shop.test", &[(service, 1)]);
    let stored = place.admin.apply_value(&route).await.unwrap();
    let generation = stored["metadata"]["generation"].as_i64().unwrap();
    // Both serve it, whoever leads.
    for replica in replicas {
        until_backend(&http(&replica.envoy).await, &Ask::get("shop.test", "/"), service).await;
    }
    let path = path(place.namespace, "shop");
    eventually("somebody says so", async || {
        let object = place.admin.get(&path).await.ok()?;
        (object["status"]["observedGeneration"].as_i64()? >= generation).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_the_other_goes_on_and_they_never_write_both() {
    let Some(place) = Place::new("leaders").await else { return };
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&place.admin, place.namespace, &[&blue, &green]).await;
    let mut services = ["blue", "green"].into_iter().cycle();
    let mut replicas = Vec::new();
    for user in USERS {
        replicas.push(Replica::start(&place, user).await);
    }
    turn(&place, &replicas, &mut services).await;
    let deaths = cases("CONTOUR_TAKEOVERS", 2, 20);
    let mut takeovers = Vec::new();
    for _ in 0..deaths {
        let dead = replicas.remove(leader(&replicas).await);
        let load = Load::start(
            &Target::plain(dead.envoy.listener("ingress_http").await),
            &Ask::get("shop.test", "/"),
            1,
        );
        // Its Lease is not released.
        drop(dead.stage);
        let died = Instant::now();
        turn(&place, &replicas, &mut services).await;
        takeovers.push(died.elapsed());
        load.more(20).await;
        let tally = load.stop().await;
        assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
        assert_eq!(leader(&replicas).await, 0);
        replicas.push(Replica::start(&place, dead.user).await);
    }
    takeovers.sort();
    let writes = writes(&place);
    let changes = orderly(&writes);
    assert!(changes >= takeovers.len(), "{changes} of {takeovers:?}");
    // For whoever runs it with --nocapture.
    println!("took over in {takeovers:?}");

    // Asked to stop, a leader lets the Lease go: it names nobody, or already the other.
    let leaving = replicas.remove(leader(&replicas).await);
    let user = leaving.user;
    leaving.stage.controller.shutdown().await;
    let last = place.audit(user);
    let last = last.requests.iter().rev().find(|r| r.is_write()).unwrap().clone();
    assert_eq!((last.resource.as_str(), last.verb.as_str()), ("leases", "update"), "{last:?}");
    turn(&place, &replicas, &mut services).await;
    assert_eq!(leader(&replicas).await, 0);
    orderly(&self::writes(&place));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_renews_late_loses_no_status() {
    let Some(place) = Place::new("late").await else { return };
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    serve(&place.admin, place.namespace, &[&blue, &green]).await;
    let proxy = Proxy::start(&place.user("one").await).await;
    let stage = KubernetesStage::start(place.settings(proxy.kubeconfig())).await;
    let envoy = stage.envoy("envoy-1").await;
    let replicas = [Replica { stage, envoy, user: "one" }];
    let mut services = ["blue", "green"].into_iter().cycle();
    turn(&place, &replicas, &mut services).await;
    // Reading and writing the Lease takes 2.4 s of the 3 s for which a leader may go on, so when it
    // is being written, it does not.
    proxy.fail(&[], Some("leases"), Fault::Slow(Duration::from_millis(1200)), usize::MAX);
    for _ in 0..3 {
        let before = proxy.count(Class::Write, "leases");
        eventually("the Lease is being renewed", async || {
            (proxy.count(Class::Write, "leases") > before).then_some(())
        })
        .await;
        turn(&place, &replicas, &mut services).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_leaves_the_lease_and_a_follower_writes_nothing() {
    let Some(place) = Place::new("followers").await else { return };
    let blue = Backend::http("blue").await;
    serve(&place.admin, place.namespace, &[&blue]).await;
    let first = Replica::start(&place, "one").await;
    leader(std::slice::from_ref(&first)).await;
    let second = Replica::start(&place, "two").await;
    let mut services = ["blue"].into_iter().cycle();
    turn(&place, std::slice::from_ref(&first), &mut services).await;
    turn(&place, std::slice::from_ref(&second), &mut services).await;
    let follower: Audit = place.audit("two");
    assert!(follower.requests.iter().any(|r| r.resource == "leases" && r.verb == "get"));
    assert_eq!(follower.writes(), 0, "{:?}", follower.tally());

    let lease =
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/leader-elect", place.namespace);
    let held = place.admin.get(&lease).await.unwrap();
    drop(second);
    first.stage.controller.shutdown().await;
    let released = place.admin.get(&lease).await.unwrap();
    assert_ne!(held["spec"]["holderIdentity"], "");
    assert_eq!(released["spec"]["holderIdentity"], "", "{released}");
    assert_eq!(released["spec"]["leaseTransitions"], held["spec"]["leaseTransitions"]);
}
