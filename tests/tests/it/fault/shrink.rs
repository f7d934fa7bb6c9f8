//! Many hosts are gone at once, which may be a mistake.

use std::time::Duration;

use contour::config::{Safeguards, Shrink};
use contour::event::ControllerEvent;
use contour_core::diagnostic::Code;
use contour_tests::client::{Ask, Target};
use contour_tests::load::Load;
use contour_tests::stage::{heard, until_status};
use tokio::sync::broadcast;

use super::host;
use super::start::{
    HOSTS, World, assert_all_answer, assert_unharmed, hosts, json, json_of, noticed, serving,
};

/// Held back for as long as a test waits for anything, or for a few seconds.
fn guarded(hold: Duration) -> Safeguards {
    Safeguards { shrink: Some(Shrink { hold, ..Shrink::default() }), ..Safeguards::default() }
}

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_secs(3);

/// Waits until it is said, in words such as these, that removals are held back.
async fn said(events: &mut broadcast::Receiver<ControllerEvent>, words: &str) {
    heard(events, words, |event| {
        let ControllerEvent::SourceProblem { diagnostics } = event else {
            return None;
        };
        let mut held = diagnostics.iter().filter(|d| d.code == Code::RemovalsHeld);
        held.any(|d| d.message.contains(words)).then_some(())
    })
    .await;
}

async fn answer(target: &Target, names: impl Iterator<Item = String>, status: u16) {
    for name in names {
        until_status(target, &Ask::get(&format!("{name}.test"), "/"), status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_vanish_at_once_are_kept_until_they_are_back() {
    let world = World::new(("many.json", &json())).await;
    let controller = world.controller(guarded(LONG)).await;
    let mut events = controller.events();
    let (_envoy, target) = serving(&world).await;
    let load = Load::start(&target, &Ask::get("h0.test", "/"), 1);
    world.write("many.json", "# the template made nothing of it\n");
    // With the host in another file.
    said(&mut events, "20 of 21 hosts would be gone at once").await;
    // What is new and what differs is served.
    world.write("other.yaml", &host("other", "green"));
    world.write("added.yaml", &host("added", "green"));
    answer(&target, ["added".to_owned()].into_iter(), 200).await;
    assert_all_answer(&target).await;
    // Most of them back, the rest is no large share any more.
    world.write("many.json", &json_of(hosts().take(HOSTS - 4)));
    answer(&target, hosts().skip(HOSTS - 4), 404).await;
    answer(&target, hosts().take(HOSTS - 4), 200).await;
    heard(&mut events, "it is over", |event| {
        matches!(event, ControllerEvent::SourceMended { .. }).then_some(())
    })
    .await;
    load.more(10).await;
    assert_unharmed(&load.stop().await);
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_stay_away_are_removed_when_the_time_has_passed() {
    let world = World::new(("many.json", &json())).await;
    let controller = world.controller(guarded(SHORT)).await;
    let mut events = controller.events();
    let (_envoy, target) = serving(&world).await;
    std::fs::remove_file(world.path("many.json")).unwrap();
    said(&mut events, "they are kept for 3s").await;
    answer(&target, hosts(), 404).await;
    answer(&target, ["other".to_owned()].into_iter(), 200).await;
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_starts_on_the_wrong_source_does_not_empty_an_envoy_at_once() {
    let world = World::new(("many.json", &json())).await;
    let first = world.controller(guarded(LONG)).await;
    let (envoy, target) = serving(&world).await;
    let load = Load::start(&target, &Ask::get("h0.test", "/"), 1);
    first.shutdown().await;
    noticed(&envoy).await;
    std::fs::rename(world.path("many.json"), world.path("many.txt")).unwrap();
    let second = world.controller(guarded(SHORT)).await;
    let mut events = second.events();
    said(&mut events, "20 of 21 hosts that Envoy envoy came back with are not in the source").await;
    assert_all_answer(&target).await;
    // Here they are.
    std::fs::rename(world.path("many.txt"), world.path("many.json")).unwrap();
    heard(&mut events, "the hosts are there", |event| {
        let ControllerEvent::Applied { objects, .. } = event else { return None };
        (objects.len() == HOSTS).then_some(())
    })
    .await;
    load.more(10).await;
    assert_unharmed(&load.stop().await);

    // Another time they are gone for good.
    second.shutdown().await;
    noticed(&envoy).await;
    std::fs::remove_file(world.path("many.json")).unwrap();
    let third = world.controller(guarded(SHORT)).await;
    said(&mut third.events(), "it keeps them for 3s").await;
    answer(&target, hosts(), 404).await;
    answer(&target, ["other".to_owned()].into_iter(), 200).await;
    third.shutdown().await;
}
