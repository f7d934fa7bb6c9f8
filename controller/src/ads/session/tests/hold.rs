//! What an Envoy keeps although it is not published.

use std::time::Duration;

use contour_core::xds::ResourceType::{Cluster, Endpoint, Listener, Route, ScopedRoute, Secret};

use super::super::*;
use super::lab::{Lab, key, resource, with_needs};
use crate::config::Shrink;

/// The first request for each type of an Envoy that holds all of `held`.
fn reconnect(lab: &mut Lab, held: &[&Arc<Resource>]) {
    for kind in [Cluster, Listener, ScopedRoute] {
        let of: Vec<_> = held.iter().filter(|r| r.key.kind == kind).copied().collect();
        lab.first(kind, &[], &of);
    }
    for kind in [Endpoint, Route, Secret] {
        let of: Vec<_> = held.iter().filter(|r| r.key.kind == kind).copied().collect();
        let names: Vec<&str> = of.iter().map(|r| &*r.key.name).collect();
        if !names.is_empty() {
            lab.first(kind, &names, &of);
        }
    }
}

#[test]
fn what_is_not_published_is_kept_and_what_is_new_or_differs_is_sent() {
    let mut lab = Lab::default();
    let kinds = [Cluster, Listener, ScopedRoute, Endpoint, Route, Secret];
    let lost = kinds.map(|kind| resource(kind, "lost", 1));
    let (old, new) = (resource(Route, "edited", 1), resource(Route, "edited", 2));
    lab.publish_partly(&[new, resource(ScopedRoute, "added", 1)], &[], &[]);
    let mut held: Vec<_> = lost.iter().collect();
    held.push(&old);
    reconnect(&mut lab, &held);
    assert_eq!(lab.sent(), "rds +edited\nsrds +added");
    lab.ack_all();
    assert_eq!(lab.state("rds:lost"), Some(HeldState::Pending));
    lab.release();
    let mut removed = String::new();
    loop {
        let sent = lab.sent();
        if sent.is_empty() {
            break;
        }
        removed = format!("{removed}{sent}\n");
        lab.ack_all();
    }
    for kind in ["srds", "rds", "lds", "sds", "eds", "cds"] {
        assert!(removed.contains(&format!("{kind} -lost\n")), "{removed}");
    }
    assert!(!removed.contains('+'), "{removed}");
}

#[test]
fn a_version_in_doubt_goes_to_those_alone_who_have_none() {
    let mut lab = Lab::default();
    let (good, poor) = (resource(Route, "r", 1), resource(Route, "r", 2));
    lab.publish_partly(&[Arc::clone(&poor)], &[], std::slice::from_ref(&poor.key));
    lab.first(Route, &["r"], &[&good]);
    assert_eq!(lab.sent(), "");
    lab.reconnect();
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "rds +r");
    lab.reconnect();
    lab.first(Route, &["r"], &[&good]);
    assert_eq!(lab.sent(), "");
    // Published anew without doubt, or with nothing in doubt any more.
    let whole = resource(Route, "r", 3);
    lab.publish_partly(&[whole], &[], &[]);
    assert_eq!(lab.sent(), "rds +r");
    lab.reconnect();
    lab.publish_partly(&[Arc::clone(&poor)], &[], std::slice::from_ref(&poor.key));
    lab.first(Route, &["r"], &[&good]);
    assert_eq!(lab.sent(), "");
    lab.release();
    assert_eq!(lab.sent(), "rds +r");
    assert_eq!(lab.last_versions(), [poor.version]);
}

#[test]
fn what_is_withdrawn_without_doubt_goes_and_clusters_wait_for_the_end() {
    let mut lab = Lab::default();
    let kinds = [ScopedRoute, Route, Endpoint, Cluster];
    let [scope, route, endpoints, cluster] = kinds.map(|kind| resource(kind, "x", 1));
    let unsure = resource(ScopedRoute, "unsure", 1);
    let held = [&scope, &route, &endpoints, &cluster, &unsure];
    let all: Vec<_> = held.into_iter().map(Arc::clone).collect();
    lab.publish_partly(&all, &[], &[]);
    reconnect(&mut lab, &held);
    assert_eq!(lab.sent(), "lds (empty)");
    lab.ack_all();
    let gone: Vec<_> = held.iter().map(|r| r.key.clone()).collect();
    lab.publish_partly(&[], &gone, std::slice::from_ref(&unsure.key));
    assert_eq!(lab.sent(), "srds -x");
    lab.ack_all();
    assert_eq!(lab.sent(), "rds -x");
    lab.ack_all();
    assert_eq!(lab.sent(), "");
    // What comes back and goes again is gone again.
    lab.publish_partly(std::slice::from_ref(&scope), &[], &[]);
    assert_eq!(lab.sent(), "srds +x");
    lab.ack_all();
    lab.publish_partly(&[], std::slice::from_ref(&scope.key), &[]);
    assert_eq!(lab.sent(), "srds -x");
    lab.ack_all();
    lab.release();
    for expected in ["srds -unsure", "eds -x", "cds -x"] {
        assert_eq!(lab.sent(), expected);
        lab.ack_all();
    }
}

#[test]
fn a_name_that_envoy_does_not_have_is_answered() {
    let mut lab = Lab::default();
    lab.publish_partly(&[], &[], &[]);
    let lost = resource(Secret, "lost.test", 1);
    lab.first(Secret, &["lost.test", "unknown.test"], &[&lost]);
    assert_eq!(lab.sent(), "sds -unknown.test");
    lab.ack_all();
    lab.release();
    assert_eq!(lab.sent(), "sds -lost.test");
}

#[test]
fn a_new_route_does_not_wait_for_a_cluster_that_is_kept_as_it_was() {
    let mut lab = Lab::default();
    let (before, now) = (resource(Cluster, "c", 1), resource(Cluster, "c", 2));
    let route = with_needs(&resource(Route, "r", 1), std::slice::from_ref(&now.key));
    lab.publish_partly(&[Arc::clone(&now), route], &[], std::slice::from_ref(&now.key));
    lab.first(Cluster, &[], &[&before]);
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_session_that_outran_the_journal_keeps_all_the_same() {
    let mut lab = Lab::default();
    let lost = resource(ScopedRoute, "lost", 1);
    lab.publish_partly(&[], &[], &[]);
    lab.first(ScopedRoute, &[], &[&lost]);
    for version in 0..20 {
        let many = (0..1_000).map(|n| resource(Endpoint, &format!("e{n}"), version));
        lab.publish_unseen(&many.collect::<Vec<_>>(), &[]);
    }
    lab.publish(&[resource(ScopedRoute, "new", 1)], &[]);
    assert_eq!(lab.sent(), "srds +new");
    lab.ack_all();
    assert_eq!(lab.sent(), "");
    lab.release();
    assert_eq!(lab.sent(), "srds -lost");
    assert_eq!(lab.state("srds:new"), Some(HeldState::Acknowledged));
}

#[test]
fn a_release_without_a_hold_is_nothing() {
    let mut lab = Lab::ready();
    let before = lab.catalog.sequence();
    lab.release();
    assert_eq!(lab.catalog.sequence(), before);
}

/// A host's scope, routes and cluster.
fn host(number: usize) -> [Arc<Resource>; 3] {
    [ScopedRoute, Route, Cluster].map(|kind| resource(kind, &format!("h{number:02}"), 1))
}

/// The hosts of these numbers, as resources.
fn hosts(numbers: std::ops::Range<usize>) -> Vec<Arc<Resource>> {
    numbers.flat_map(host).collect()
}

const MOMENT: Duration = Duration::from_millis(500);

#[test]
fn an_envoy_that_comes_back_with_many_hosts_that_nobody_publishes_keeps_them_for_a_time() {
    let mut lab = Lab::ready();
    lab.publish(&hosts(0..8), &[]);
    lab.reconnect_guarded(Shrink::default());
    let held = hosts(0..20);
    reconnect(&mut lab, &held.iter().collect::<Vec<_>>());
    assert_eq!(lab.sent(), "lds (empty)");
    lab.ack_all();
    assert_eq!(lab.events()[0], "12 of 20 kept");
    lab.pass(MOMENT);
    assert_eq!(lab.sent(), "");
    // What is published again is as it is published, and what is withdrawn now is gone.
    lab.publish(&[resource(Route, "h08", 2)], &[key(ScopedRoute, "h00")]);
    assert_eq!(lab.sent(), "rds +h08");
    lab.ack_all();
    assert_eq!(lab.sent(), "srds -h00");
    lab.ack_all();
    lab.pass(Shrink::default().hold / 2);
    assert_eq!(lab.sent(), "");
    lab.pass(Shrink::default().hold / 2);
    let mut removed = Vec::new();
    loop {
        let sent = lab.sent();
        if sent.is_empty() {
            break;
        }
        removed.push(sent);
        lab.ack_all();
    }
    assert_eq!(removed, [gone("srds", 8), gone("rds", 9), gone("cds", 8)]);
}

/// What is sent when the hosts from this number on are removed.
fn gone(kind: &str, from: usize) -> String {
    let names = (from..20).map(|number| format!("-h{number:02}"));
    std::iter::once(kind.to_owned()).chain(names).collect::<Vec<_>>().join(" ")
}

#[test]
fn hosts_that_come_back_take_with_them_the_reason_to_spare_the_others() {
    let mut lab = Lab::ready();
    lab.reconnect_guarded(Shrink::default());
    let held = hosts(0..20);
    reconnect(&mut lab, &held.iter().collect::<Vec<_>>());
    assert_eq!(lab.sent(), "lds (empty)");
    lab.ack_all();
    lab.publish(&hosts(0..9), &[]);
    assert_eq!(lab.sent(), "");
    lab.publish(&hosts(9..15), &[]);
    for kind in ["srds", "rds", "cds"] {
        assert_eq!(lab.sent(), gone(kind, 15));
        lab.ack_all();
    }
    assert_eq!(lab.sent(), "");
}

#[test]
fn who_asks_again_for_what_it_keeps_is_answered() {
    let mut lab = Lab::ready();
    lab.reconnect_guarded(Shrink::default());
    let held = hosts(0..20);
    reconnect(&mut lab, &held.iter().collect::<Vec<_>>());
    assert_eq!(lab.sent(), "lds (empty)");
    lab.ack_all();
    lab.subscribe(Route, &["h03"]);
    assert_eq!(lab.sent(), "rds -h03");
}

#[test]
fn a_small_share_is_removed_when_all_has_been_heard() {
    let mut lab = Lab::ready();
    lab.publish(&hosts(0..10), &[]);
    lab.reconnect_guarded(Shrink::default());
    let held = hosts(0..20);
    reconnect(&mut lab, &held.iter().collect::<Vec<_>>());
    assert_eq!(lab.sent(), "lds (empty)");
    lab.ack_all();
    assert!(!lab.events().iter().any(|event| event.ends_with("kept")));
    lab.pass(MOMENT);
    for kind in ["srds", "rds", "cds"] {
        assert_eq!(lab.sent(), gone(kind, 10));
        lab.ack_all();
    }
}
