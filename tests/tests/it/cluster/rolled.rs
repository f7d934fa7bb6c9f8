//! An installation is upgraded, rolled back and given new certificates while requests of every kind
//! are under way, and none fails.

use std::collections::BTreeSet;

use contour_tests::client::Ask;
use contour_tests::envoy::eventually_within;
use contour_tests::kubernetes::stage::shop;
use contour_tests::kubernetes::{Cluster, Objects};
use contour_tests::load::{Load, Tally};
use contour_tests::stage;
use serde_json::Value;

use super::LONG;
use super::installed::{Edge, NAMESPACE, backends, plugin, rotate};

const ROLLED: &str = "rolled";

/// Requests over HTTP/1.1 and HTTP/2, and ones that take a second.
struct Traffic {
    loads: Vec<(&'static str, Load)>,
}

impl Traffic {
    async fn start(edge: &Edge) -> Self {
        let Edge { cluster, objects, .. } = edge;
        backends(cluster, ROLLED, &["blue", "green"], 0);
        backends(cluster, ROLLED, &["slow"], 1000);
        objects.apply_value(&shop(ROLLED, "shop", "rolled.test", &[("blue", 1)])).await.unwrap();
        objects.apply_value(&shop(ROLLED, "slow", "slow.test", &[("slow", 1)])).await.unwrap();
        let target = edge.http().await;
        let (ask, slow) = (Ask::get("rolled.test", "/"), Ask::get("slow.test", "/"));
        stage::until_backend(&target, &ask, "blue").await;
        stage::until_backend(&target, &slow, "slow").await;
        let http2 = target.clone().http2();
        Self {
            loads: vec![
                ("HTTP/1.1", Load::start(&target, &ask, 2)),
                ("HTTP/2", Load::start(&http2, &ask, 2)),
                ("slow, HTTP/1.1", Load::start(&target, &slow, 4)),
                ("slow, HTTP/2", Load::start(&http2, &slow, 4)),
            ],
        }
    }

    async fn none_failed(self) {
        for (what, load) in self.loads {
            let tally: Tally = load.stop().await;
            println!("{what}: {} requests, {} failed", tally.requests, tally.failures());
            assert_eq!((tally.failures(), tally.broken), (0, 0), "{what}: {tally:?}");
            assert!(tally.requests > 20, "{what}: {tally:?}");
        }
    }
}

/// The names of the Pods of an application that are not ending.
async fn pods(objects: &Objects, app: &str) -> BTreeSet<String> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{app}");
    let pods = objects.get(&path).await.unwrap();
    let pods = pods["items"].as_array().cloned().unwrap();
    let lives = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
    lives.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Upgrades with a value that makes all Pods of an application anew.
async fn roll(cluster: &Cluster, objects: &Objects, app: &str, mark: &str) {
    let before = pods(objects, app).await;
    let set = format!("{app}.podAnnotations.mark={mark}");
    plugin(cluster, &["upgrade", "--wait", "--set", &set]);
    let after = pods(objects, app).await;
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
}

async fn until_served(edge: &Edge, colour: &str) {
    let change = shop(ROLLED, "shop", "rolled.test", &[(colour, 1)]);
    edge.objects.apply_value(&change).await.unwrap();
    let (target, ask) = (edge.http().await, Ask::get("rolled.test", "/"));
    // An Envoy may have to wait for kubelet, until it can connect to a controller again.
    eventually_within(LONG, "the change is served", async || {
        let reply = target.ask(&ask).await.ok()?;
        (reply.backend().as_deref() == Some(colour)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_while_controllers_and_envoys_are_upgraded_and_rolled_back() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    let traffic = Traffic::start(&edge).await;
    roll(cluster, objects, "contour", "one").await;
    until_served(&edge, "green").await;
    roll(cluster, objects, "envoy", "one").await;
    until_served(&edge, "blue").await;
    // Back to what it was.
    for app in ["contour", "envoy"] {
        let mark = format!("{app}.podAnnotations.mark=null");
        plugin(cluster, &["upgrade", "--wait", "--set", &mark]);
    }
    until_served(&edge, "green").await;
    traffic.none_failed().await;
}

async fn secret(objects: &Objects, name: &str) -> Value {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}");
    objects.get(&path).await.unwrap()["data"]["tls.crt"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_while_certificates_are_made_anew() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    let traffic = Traffic::start(&edge).await;
    let before = secret(objects, "contourcert").await;
    rotate(cluster, "under-load", "100s");
    assert_ne!(secret(objects, "contourcert").await, before);
    until_served(&edge, "green").await;
    // New connections between all of them.
    roll(cluster, objects, "contour", "rotated").await;
    until_served(&edge, "blue").await;
    eventually_within(LONG, "status is written", async || {
        let path =
            format!("/apis/contour.heptio.com/v1beta1/namespaces/{ROLLED}/ingressroutes/shop");
        let route = objects.get(&path).await.ok()?;
        let conditions = route.pointer("/status/conditions")?.as_array()?.clone();
        conditions.iter().find(|c| c["type"] == "Programmed" && c["status"] == "True").map(drop)
    })
    .await;
    traffic.none_failed().await;
}
