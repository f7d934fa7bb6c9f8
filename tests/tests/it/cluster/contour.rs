//! Controllers on a real cluster are killed again and again.

use std::collections::BTreeSet;
use std::process::Command;

use contour_tests::client::Ask;
use contour_tests::envoy::eventually_within;
use contour_tests::kubernetes::stage::{Status, path, shop, status};
use contour_tests::kubernetes::{Cluster, Objects};
use contour_tests::load::Load;
use contour_tests::stage;
use contour_tests::worlds::cases;

use super::LONG;
use super::installed::{Edge, NAMESPACE, backends};

/// The namespace of the routes.
const SHOP: &str = "killed";

/// The process ids of the controllers, which run on this machine.
fn controllers(cluster: &Cluster) -> BTreeSet<u32> {
    let uids = "jsonpath={.items[*].metadata.uid}";
    let uids = cluster.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", "app=contour", "-o", uids]);
    let uids: Vec<_> = uids.split_whitespace().collect();
    let is_ours = |pid: u32| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        read("comm").is_ok_and(|comm| comm.trim() == "contour")
            && read("cgroup").is_ok_and(|cgroup| uids.iter().any(|uid| cgroup.contains(uid)))
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_ours(*pid)).collect()
}

async fn until_programmed(objects: &Objects, what: &str) {
    let path = path(SHOP, "shop");
    let has_address = |s: &Status| s.value.pointer("/loadBalancer/ingress/0/ip").is_some();
    status(objects, &path, what, |s| s.is_programmed() && has_address(s)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_controllers_are_killed_again_and_again() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    backends(cluster, SHOP, &["blue", "green"], 0);
    objects.apply_value(&shop(SHOP, "shop", "killed.test", &[("blue", 1)])).await.unwrap();
    let target = edge.http().await;
    let ask = Ask::get("killed.test", "/");
    stage::until_backend(&target, &ask, "blue").await;
    until_programmed(objects, "the status says so, with the address of the load balancer").await;

    let load = Load::start(&target, &ask, 4);
    for kill in 0..cases("CONTOUR_KILLS", 50, 50) {
        let before = eventually_within(LONG, "two controllers run", async || {
            let found = controllers(cluster);
            (found.len() == 2).then_some(found)
        })
        .await;
        // One of them, now the one and now the other.
        let victims: Vec<_> = before.iter().collect();
        let victim = victims[usize::try_from(kill % 2).unwrap()].to_string();
        let killed = Command::new("kill").args(["-KILL", &victim]).status().unwrap();
        assert!(killed.success());
        let colour = if kill % 2 == 0 { "green" } else { "blue" };
        objects.apply_value(&shop(SHOP, "shop", "killed.test", &[(colour, 1)])).await.unwrap();
        stage::until_backend(&target, &ask, colour).await;
        load.more(50).await;
    }
    let tally = load.stop().await;
    assert!(tally.requests > 1000, "{tally:?}");
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    until_programmed(objects, "the last change is programmed").await;
    let audit = cluster.kubectl(&["-n", NAMESPACE, "logs", "deploy/contour", "--tail=200"]);
    assert!(!audit.contains("not permitted"), "a permission is missing: {audit}");
}
