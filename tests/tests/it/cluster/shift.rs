//! Traffic is shifted on a real cluster while requests of every kind are under way, and none fails.

use contour_tests::client::Ask;
use contour_tests::kubernetes::Cluster;
use contour_tests::kubernetes::stage::{path, shop};
use contour_tests::load::{Load, Tally};
use contour_tests::{program, stage};
use serde_json::Value;

use super::installed::{Edge, backends};

const SHIFTED: &str = "shifted";
/// Requests that are under way in the short test; the long one has 1,000,000.
const REQUESTS: u64 = 50_000;

fn run(cluster: &Cluster, arguments: &[&str]) -> (i32, Vec<Value>, String) {
    let output = std::process::Command::new(program::plugin())
        .arg("shift")
        .args(arguments)
        .args(["-n", SHIFTED, "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let events = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (output.status.code().unwrap(), events, err)
}

fn steps(cluster: &Cluster, from: &str, to: &str) {
    let services = ["start", "shop", "--from", from, "--to", to];
    let plan = ["--step", "1", "--bake", "0s", "--interval", "1s", "--min-requests", "100"];
    let mut flags = [&services[..], &plan[..], &["-y", "-o", "ndjson"]].concat();
    if std::env::var_os("CONTOUR_SHIFT_SPLIT").is_some() {
        // A second more for each step.
        flags.push("--confirm-split");
    }
    let (code, events, said) = run(cluster, &flags);
    let last = events.last();
    assert_eq!(code, 0, "{last:?}\n{said}");
    let live = events.iter().filter(|e| e["event"] == "ShiftLive").count();
    assert_eq!(live, 100, "each step is seen in every Envoy: {last:?}");
}

/// How many requests have to be sent.
fn wanted() -> u64 {
    std::env::var("CONTOUR_SHIFT_REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(REQUESTS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_steps_and_back_fail_no_request_on_a_cluster() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    backends(cluster, SHIFTED, &["blue", "green"], 0);
    let object = shop(SHIFTED, "shop", "shifted.test", &[("blue", 100), ("green", 0)]);
    objects.apply_value(&object).await.unwrap();
    let (target, ask) = (edge.http().await, Ask::get("shifted.test", "/"));
    stage::until_backend(&target, &ask, "blue").await;
    let loads = [
        ("HTTP/1.1", Load::start(&target, &ask, 2)),
        ("HTTP/2", Load::start(&target.clone().http2(), &ask, 2)),
    ];
    let mut rounds = 0;
    loop {
        let cluster = *cluster;
        tokio::task::spawn_blocking(move || {
            steps(cluster, "blue", "green");
            steps(cluster, "green", "blue");
        })
        .await
        .unwrap();
        rounds += 1;
        if loads.iter().map(|(_, load)| load.begun()).sum::<u64>() >= wanted() {
            break;
        }
    }
    let mut sum = 0;
    for (what, load) in loads {
        let tally: Tally = load.stop().await;
        println!(
            "{what}: {} requests in {rounds} rounds, {} failed",
            tally.requests,
            tally.failures()
        );
        assert_eq!((tally.failures(), tally.broken), (0, 0), "{what}: {tally:?}");
        sum += tally.requests;
    }
    assert!(sum >= wanted(), "{sum}");
    let end = objects.get(&path(SHIFTED, "shop")).await.unwrap();
    let weights = &end["spec"]["routes"][0]["services"];
    assert_eq!(
        (&weights[0]["weight"], &weights[1]["weight"]),
        (&100.into(), &0.into()),
        "{weights}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_divides_within_a_point_by_the_answers_themselves() {
    let Some(edge) = Edge::enter().await else { return };
    let Edge { cluster, objects, .. } = &edge;
    backends(cluster, SHIFTED, &["blue", "green"], 0);
    let object = shop(SHIFTED, "split", "split.test", &[("blue", 1), ("green", 0)]);
    objects.apply_value(&object).await.unwrap();
    let (target, ask) = (edge.http().await, Ask::get("split.test", "/"));
    stage::until_backend(&target, &ask, "blue").await;
    for (percent, share) in [("5", 0.05), ("37.5", 0.375), ("90", 0.9)] {
        let cluster = *cluster;
        let (code, _, said) = tokio::task::spawn_blocking(move || {
            // The first time there is nothing to undo.
            run(cluster, &["undo", "split", "-y"]);
            let services = ["start", "split", "--from", "blue", "--to", "green"];
            let flags = ["--percent", percent, "--bake", "0s", "-y"];
            run(cluster, &[&services[..], &flags[..]].concat())
        })
        .await
        .unwrap();
        assert_eq!(code, 0, "{said}");
        let tally = Load::send(&target, &ask, 4, 20_000).await;
        let seen = tally.share("green");
        // Four standard deviations of 20,000 requests, which is at most 1.42 points.
        let bound = 4.0 * (share * (1.0 - share) / 20_000_f64).sqrt();
        assert!((seen - share).abs() <= bound, "{percent}: {seen}");
        println!("{percent} %: {seen:.4} seen in {} requests", tally.requests);
    }
}
