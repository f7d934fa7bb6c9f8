//! A namespace that changes much does not hold up one that changes little.

use std::fmt::Write as _;
use std::time::Duration;

use contour::event::ControllerEvent;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::load::Load;
use contour_tests::stage::{Stage, ingress_route, read, until_backend};

use super::host;

/// Hosts that one namespace brings at once, unless `CONTOUR_BURST` says otherwise: two resources
/// each, besides a cluster and endpoints for every fourth.
const BURST: usize = 8_000;

fn burst(hosts: usize) -> String {
    let mut text = String::new();
    for number in 0..hosts {
        let service = number / 4;
        let spec = format!(
            "virtualhost: {{fqdn: h{number}.busy.test}}\n\
             routes: [{{match: /, services: [{{name: s{service}, port: 80}}]}}]"
        );
        text.push_str(&ingress_route(&format!("busy/h{number}"), &spec));
        if number % 4 == 0 {
            write!(
                text,
                "---\napiVersion: v1\nkind: Service\n\
                 metadata: {{name: s{service}, namespace: busy}}\n\
                 spec: {{ports: [{{port: 80, targetPort: 8080}}]}}\n"
            )
            .expect("a String takes everything");
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_change_is_acknowledged_while_another_namespace_brings_thousands() {
    let hosts = std::env::var("CONTOUR_BURST").ok();
    let hosts = hosts.map_or(BURST, |hosts| hosts.parse().expect("CONTOUR_BURST is a number"));
    let stage = Stage::new().await;
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    // Both Services stay in use, so that nothing is removed.
    stage.apply(&host("one", "green")).await.fine();
    stage.apply(&host("other", "blue")).await.fine();
    stage.apply(&host("quiet", "blue")).await.fine();
    let target = stage.http().await;
    let ask = Ask::get("quiet.test", "/");
    until_backend(&target, &ask, "blue").await;
    let load = Load::start(&target, &ask, 1);

    let mut events = stage.controller.events();
    let busy = stage.tell(&mut events, read(&burst(hosts))).await.revision;
    let (mut waits, mut is_done) = (Vec::new(), false);
    for service in ["green", "blue"].into_iter().cycle() {
        let quiet = stage.tell(&mut events, read(&host("quiet", service))).await.revision;
        let mut wait = None;
        while wait.is_none() {
            let event = events.recv().await.expect("the controller runs");
            if let ControllerEvent::Acknowledged { revision, elapsed, .. } = event {
                wait = (revision == quiet).then_some(elapsed);
                is_done |= revision == busy;
            }
        }
        if is_done {
            break;
        }
        waits.extend(wait);
    }
    let tally = load.stop().await;
    assert_eq!(tally.failures(), 0, "{tally:?}");
    waits.sort_unstable();
    let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or(Duration::ZERO);
    println!(
        "{} lone changes beside {hosts} hosts: p50 {:?}, p99 {:?}, longest {:?}",
        waits.len(),
        at(50),
        at(99),
        waits.last()
    );
    assert!(waits.len() >= 10, "{} lone changes were acknowledged before all of it", waits.len());
}
