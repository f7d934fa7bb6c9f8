//! The controller and Envoy as Pods of a real cluster, told from the ones that run there already by
//! a namespace of their own.

use std::collections::BTreeSet;
use std::process::Command;

use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{eventually_within, workspace};
use contour_tests::kubernetes::stage::{Status, path, shop, status};
use contour_tests::kubernetes::{CRDS, Cluster, Image, Objects};
use contour_tests::load::Load;
use contour_tests::worlds::cases;
use contour_tests::{program, stage};

use super::{LONG, address, backend};

/// The controller's namespace, and that of the routes.
const NAMESPACE: &str = "projectcontour";
const SHOP: &str = "shop";

fn install(cluster: &Cluster) {
    for image in [Image::Contour, Image::Envoy, Image::Backend] {
        cluster.load(image);
    }
    for (file, name, _) in CRDS {
        let file = workspace().join("deploy/chart/files/crds").join(file);
        cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
        let name = format!("crd/{name}");
        cluster.kubectl(&["wait", "--for=condition=Established", &name, "--timeout=60s"]);
    }
    cluster.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n"));
    let certgen = Command::new(program::contour())
        .args(["certgen", "--kube", "--secrets-format=compact", "--namespace", NAMESPACE])
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .output()
        .unwrap();
    assert!(certgen.status.success(), "{certgen:?}");
    let manifest = workspace().join("tests/fixtures/cluster/contour.yaml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    cluster.apply(&manifest.replace("NAMESPACE", NAMESPACE));
    for workload in ["deploy/contour", "daemonset/envoy"] {
        cluster.kubectl(&["-n", NAMESPACE, "rollout", "status", workload, "--timeout=180s"]);
    }
}

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
    let Some(cluster) = Cluster::get() else { return };
    if !cluster.is_here() {
        return;
    }
    install(cluster);
    for colour in ["blue", "green"] {
        let deployment = backend(SHOP, "ClusterIP").replace("blue", colour);
        cluster.apply(&deployment);
        let name = format!("deploy/{colour}");
        cluster.kubectl(&["-n", SHOP, "rollout", "status", &name, "--timeout=120s"]);
    }
    let objects = cluster.objects();
    objects.apply_value(&shop(SHOP, "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let envoy = format!("/api/v1/namespaces/{NAMESPACE}/services/envoy");
    let target =
        Target::plain(address(&objects, &envoy, "/status/loadBalancer/ingress/0/ip").await);
    let ask = Ask::get("shop.test", "/");
    stage::until_backend(&target, &ask, "blue").await;
    until_programmed(&objects, "the status says so, with the address of the load balancer").await;

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
        objects.apply_value(&shop(SHOP, "shop", "shop.test", &[(colour, 1)])).await.unwrap();
        stage::until_backend(&target, &ask, colour).await;
        load.more(50).await;
    }
    let tally = load.stop().await;
    assert!(tally.requests > 1000, "{tally:?}");
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    until_programmed(&objects, "the last change is programmed").await;
    let audit = cluster.kubectl(&["-n", NAMESPACE, "logs", "deploy/contour", "--tail=200"]);
    assert!(!audit.contains("not permitted"), "a permission is missing: {audit}");
}
