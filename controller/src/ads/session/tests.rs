//! The rules of the protocol, one by one. `model` tries them together.

mod gate;
mod hold;
mod lab;
mod model;

use std::time::Duration;

use contour_core::xds::ResourceType::{Cluster, Endpoint, Listener, Route, ScopedRoute, Secret};

use super::super::node::EnvoyVersion;
use super::*;
use lab::{Lab, key, names, resource, with_needs};

const MS: Duration = Duration::from_millis(1);

#[test]
fn nothing_is_sent_before_the_first_publish() {
    let mut lab = Lab::default();
    lab.subscribe_all(Cluster);
    lab.subscribe(Secret, &["a.example"]);
    assert_eq!(lab.sent(), "");
    lab.publish(&[], &[]);
    assert_eq!(lab.sent(), "sds -a.example\ncds (empty)");
}

#[test]
fn an_empty_collection_is_answered_at_once_and_once() {
    let mut lab = Lab::ready();
    for kind in [Cluster, Listener, ScopedRoute] {
        lab.subscribe_all(kind);
    }
    assert_eq!(lab.sent(), "cds (empty)\nlds (empty)\nsrds (empty)");
    lab.ack_all();
    lab.publish(&[], &[]);
    assert_eq!(lab.sent(), "");
}

#[test]
fn a_star_asks_for_all_of_any_type() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Route, "r", 1)], &[]);
    lab.subscribe(Route, &["*"]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn an_empty_first_request_for_named_types_asks_for_nothing() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Secret, "s", 1)], &[]);
    lab.subscribe_all(Secret);
    assert_eq!(lab.sent(), "");
}

#[test]
fn a_reconnecting_envoy_is_sent_nothing_it_has() {
    let mut lab = Lab::ready();
    let (a, b) = (resource(Cluster, "a", 1), resource(Cluster, "b", 1));
    let route = resource(Route, "r", 1);
    lab.publish(&[Arc::clone(&a), Arc::clone(&b), Arc::clone(&route)], &[]);
    lab.reconnect();
    lab.first(Cluster, &[], &[&a, &b]);
    lab.first(Route, &["r"], &[&route]);
    assert_eq!(lab.sent(), "");
    assert!(matches!(lab.state("cds:a"), Some(HeldState::Acknowledged)));
}

#[test]
fn a_reconnecting_envoy_is_sent_differences_and_removals() {
    let mut lab = Lab::ready();
    let (a, b, old) =
        (resource(Cluster, "a", 1), resource(Cluster, "b", 2), resource(Cluster, "b", 1));
    let gone = resource(Cluster, "gone", 1);
    lab.publish(&[Arc::clone(&a), b, resource(Cluster, "c", 1)], &[]);
    lab.first(Cluster, &[], &[&a, &old, &gone]);
    assert_eq!(lab.sent(), "cds +b\ncds +c");
    lab.ack_all();
    assert_eq!(lab.sent(), "cds -gone");
}

#[test]
fn a_version_that_is_not_ours_is_replaced() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    let mut request = lab::request(Cluster);
    request.initial_versions.insert("a".to_owned(), "7".to_owned());
    lab.request(&request);
    assert_eq!(lab.sent(), "cds +a");
}

#[test]
fn since_when_a_resource_is_held_moves_with_its_version_alone() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.publish(&[resource(Cluster, "a", 1), resource(Cluster, "b", 1)], &[]);
    assert_eq!(lab.held_since("cds:a"), None);
    lab.pass(250 * MS);
    lab.settle();
    let first = lab.held_since("cds:a").unwrap();
    // Never longer ago than it is.
    assert!((250 * MS..350 * MS).contains(&first), "{first:?}");
    lab.pass(1_000 * MS);
    lab.publish(&[resource(Cluster, "b", 2)], &[]);
    lab.settle();
    lab.subscribe(Cluster, &["a"]);
    lab.settle();
    assert_eq!(lab.held_since("cds:a"), Some(first));
    let second = lab.held_since("cds:b").unwrap();
    assert!(second >= 1_250 * MS, "{second:?}");
    lab.pass(1_000 * MS);
    for version in [3, 2] {
        lab.publish(&[resource(Cluster, "b", version)], &[]);
        lab.settle();
    }
    assert!(lab.held_since("cds:b").unwrap() >= second + 1_000 * MS);
}

#[test]
fn what_a_reconnecting_envoy_has_counts_from_then_on() {
    let mut lab = Lab::ready();
    let a = resource(Cluster, "a", 1);
    lab.publish(&[Arc::clone(&a)], &[]);
    lab.reconnect();
    lab.pass(700 * MS);
    lab.first(Cluster, &[], &[&a]);
    assert_eq!(lab.held_since("cds:a"), Some(700 * MS));
}

#[test]
fn a_name_asked_for_again_is_sent_again() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Route, "r", 1)], &[]);
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "rds +r");
    lab.ack_all();
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn an_absent_name_is_answered_at_once_and_sent_when_it_appears() {
    let mut lab = Lab::ready();
    lab.subscribe(Secret, &["a.example"]);
    assert_eq!(lab.sent(), "sds -a.example");
    lab.ack_all();
    lab.publish(&[resource(Secret, "a.example", 1)], &[]);
    assert_eq!(lab.sent(), "sds +a.example");
    lab.ack_all();
    lab.publish(&[], &[key(Secret, "a.example")]);
    assert_eq!(lab.sent(), "sds -a.example");
    lab.ack_all();
    lab.publish(&[resource(Secret, "a.example", 2)], &[]);
    assert_eq!(lab.sent(), "sds +a.example");
}

#[test]
fn an_unsubscribed_name_is_sent_no_more() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Route, "r", 1)], &[]);
    lab.subscribe(Route, &["r"]);
    lab.settle();
    lab.unsubscribe(Route, &["r"]);
    lab.publish(&[resource(Route, "r", 2)], &[]);
    assert_eq!(lab.sent(), "");
    lab.publish(&[], &[key(Route, "r")]);
    assert_eq!(lab.sent(), "");
}

#[test]
fn a_name_unsubscribed_under_a_wildcard_is_confirmed() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.subscribe(Cluster, &["*", "a", "b"]);
    lab.settle();
    lab.unsubscribe(Cluster, &["a", "b"]);
    assert_eq!(lab.sent(), "cds +a\ncds -b");
}

#[test]
fn unsubscribing_from_the_star_keeps_the_names() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Cluster, "a", 1), resource(Cluster, "b", 1)], &[]);
    lab.subscribe(Cluster, &["*", "a"]);
    lab.settle();
    lab.unsubscribe(Cluster, &["*"]);
    lab.publish(&[resource(Cluster, "a", 2), resource(Cluster, "b", 2)], &[]);
    assert_eq!(lab.sent(), "cds +a");
}

#[test]
fn an_acknowledgement_that_also_subscribes_does_both() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Route, "a", 1), resource(Route, "b", 1)], &[]);
    lab.subscribe(Route, &["a"]);
    assert_eq!(lab.sent(), "rds +a");
    let mut request = lab.ack_request();
    request.subscribe = names(&["b"]);
    lab.request(&request);
    assert_eq!(lab.sent(), "rds +b");
    assert_eq!(lab.state("rds:a"), Some(HeldState::Acknowledged));
}

#[test]
fn a_stale_nonce_acknowledges_nothing_but_may_subscribe() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Route, "a", 1), resource(Route, "b", 1)], &[]);
    lab.subscribe(Route, &["a"]);
    assert_eq!(lab.sent(), "rds +a");
    let mut request = lab::request(Route);
    request.nonce = "999".to_owned();
    request.subscribe = names(&["b"]);
    lab.request(&request);
    assert_eq!(lab.sent(), "rds +b");
    assert_eq!(lab.state("rds:a"), Some(HeldState::Sent));
}

#[test]
fn a_few_changes_travel_alone_and_many_in_batches_of_which_few_are_under_way() {
    let mut lab = Lab::ready();
    lab.subscribe(Route, &["*"]);
    lab.settle();
    let few: Vec<_> = (0..16).map(|i| resource(Route, &format!("few{i:02}"), 1)).collect();
    lab.publish(&few, &[]);
    assert_eq!(lab.sent_sizes(), vec![1; 16]);
    lab.ack_all();
    let many: Vec<_> = (0..2_500).map(|i| resource(Route, &format!("many{i}"), 1)).collect();
    lab.publish(&many, &[]);
    assert_eq!(lab.sent_sizes(), [64, 64]);
    // Each answer makes room for the next, which is larger as Envoy is quick.
    let ack = lab.ack_request();
    lab.request(&ack);
    assert_eq!(lab.sent_sizes(), [128]);
    // An Envoy that is slow is sent less.
    lab.pass(Duration::from_millis(100));
    lab.ack_all();
    assert_eq!(lab.sent_sizes(), [32, 32]);
    lab.ack_all();
    lab.settle();
    assert_eq!(lab.state("rds:many2499"), Some(HeldState::Acknowledged));
}

#[test]
fn a_namespace_that_changes_little_does_not_wait_for_one_that_changes_much() {
    let mut lab = Lab::ready();
    lab.subscribe(Route, &["*"]);
    lab.settle();
    let of = |owner: &str, name: &str| {
        let resource = Arc::unwrap_or_clone(resource(Route, name, 1));
        Arc::new(resource.owned_by(&owner.into()))
    };
    let many: Vec<_> = (0..20_000).map(|i| of("busy", &format!("busy{i}"))).collect();
    lab.publish(&many, &[]);
    assert_eq!(lab.sent_sizes(), [64, 64]);
    lab.publish(&[of("quiet", "one"), of("other", "two")], &[]);
    let ack = lab.ack_request();
    lab.request(&ack);
    let sent = lab.sent();
    assert!(sent.starts_with("rds +one +two +busy"), "{sent}");
    lab.ack_all();
    lab.settle();
    assert_eq!(lab.state("rds:busy19999"), Some(HeldState::Acknowledged));
}

#[test]
fn a_batch_is_bounded_in_bytes() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    let large = vec![b'x'; 700 * 1_024];
    let many = (0..20).map(|i| {
        Arc::new(Resource::new(key(Cluster, &format!("c{i}")), large.clone(), Vec::new()))
    });
    lab.publish(&many.collect::<Vec<_>>(), &[]);
    let mut sizes = lab.sent_sizes();
    while lab.outstanding() > 0 {
        lab.ack_all();
        sizes.extend(lab.sent_sizes());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 20);
    assert_eq!(sizes.iter().max(), Some(&2), "{sizes:?}");
}

#[test]
fn a_slow_envoy_gets_the_newest_version_only() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    for version in 1..=1_000 {
        lab.publish(&[resource(Cluster, "a", version)], &[]);
        let sent = lab.sent();
        assert_eq!(sent, if version == 1 { "cds +a" } else { "" });
    }
    lab.ack_all();
    assert_eq!(lab.sent(), "cds +a");
    let newest = resource(Cluster, "a", 1_000).version;
    assert_eq!(lab.last_versions(), [newest]);
}

#[test]
fn a_newer_version_does_not_wait_for_ever_for_the_one_before() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    assert_eq!(lab.sent(), "cds +a");
    lab.publish(&[resource(Cluster, "a", 2)], &[]);
    assert_eq!(lab.sent(), "");
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.sent(), "cds +a");
}

#[test]
fn what_is_unacknowledged_is_bounded() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    for i in 0..10_000 {
        lab.publish(&[resource(Cluster, &format!("c{i}"), 1)], &[]);
        lab.sent();
    }
    assert_eq!(lab.outstanding(), 32);
    let mut sent = 32;
    while lab.outstanding() > 0 {
        lab.ack_all();
        let sizes = lab.sent_sizes();
        assert!(sizes.len() <= 32, "{} at a time", sizes.len());
        sent += sizes.iter().sum::<usize>();
    }
    assert_eq!(sent, 10_000);
}

#[test]
fn a_resource_refused_alone_is_parked_until_its_version_changes() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    lab.publish(&[resource(Cluster, "bad", 1), resource(Cluster, "good", 1)], &[]);
    assert_eq!(lab.sent(), "cds +bad\ncds +good");
    lab.refuse_if(|name, _| name == "bad");
    assert_eq!(lab.sent(), "");
    assert_eq!(lab.events(), ["rejected cds:bad: no"]);
    let message = "no".into();
    assert_eq!(lab.state("cds:bad"), Some(HeldState::Rejected { message }));
    lab.pass(Duration::from_hours(1));
    lab.publish(&[resource(Cluster, "other", 1)], &[]);
    assert_eq!(lab.sent(), "cds +other");
    lab.ack_all();
    lab.events();
    lab.publish(&[resource(Cluster, "bad", 2)], &[]);
    assert_eq!(lab.sent(), "cds +bad");
    lab.ack_all();
    assert_eq!(lab.events(), ["recovered cds:bad", "acknowledged 4"]);
}

#[test]
fn a_refused_batch_is_taken_apart_until_the_culprit_is_alone() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    let many: Vec<_> = (0..1_000).map(|i| resource(Cluster, &format!("c{i}"), 1)).collect();
    lab.publish(&many, &[]);
    let responses = lab.converse(|name, _| name == "c537");
    assert!(responses <= 1 + 16 + 16 + 16, "{responses} responses");
    assert_eq!(lab.events(), ["rejected cds:c537: no"]);
    for i in 0..1_000 {
        let state = lab.state(&format!("cds:c{i}"));
        match i {
            537 => assert!(matches!(state, Some(HeldState::Rejected { .. }))),
            _ => assert_eq!(state, Some(HeldState::Acknowledged), "c{i}"),
        }
    }
}

#[test]
fn a_route_waits_for_its_clusters_alone() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe_all(Listener);
    lab.subscribe(Route, &["r", "other"]);
    lab.settle();
    let route = with_needs(&resource(Route, "r", 1), &[key(Cluster, "a")]);
    let other = with_needs(&resource(Route, "other", 1), &[key(Cluster, "b")]);
    lab.publish(&[route, other, resource(Cluster, "a", 1), resource(Cluster, "b", 1)], &[]);
    assert_eq!(lab.sent(), "cds +a\ncds +b");
    lab.ack_names(&["b"]);
    assert_eq!(lab.sent(), "rds +other");
    lab.ack_names(&["a"]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_route_without_needs_does_not_wait_for_somebody_elses_cluster() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    lab.settle();
    lab.publish(&[resource(Cluster, "slow", 1)], &[]);
    assert_eq!(lab.sent(), "cds +slow");
    lab.publish(&[resource(Route, "r", 1)], &[]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_route_does_not_wait_for_ever() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    lab.settle();
    let route = with_needs(&resource(Route, "r", 1), &[key(Cluster, "a")]);
    lab.publish(&[route, resource(Cluster, "a", 1)], &[]);
    assert_eq!(lab.sent(), "cds +a");
    lab.pass(Duration::from_millis(4_999));
    assert_eq!(lab.sent(), "");
    lab.pass(MS);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_route_does_not_wait_for_a_refused_or_absent_cluster() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    lab.settle();
    let needs = [key(Cluster, "bad"), key(Cluster, "absent")];
    let route = with_needs(&resource(Route, "r", 1), &needs);
    lab.publish(&[route, resource(Cluster, "bad", 1)], &[]);
    assert_eq!(lab.sent(), "cds +bad");
    lab.refuse_if(|_, _| true);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_blocked_route_that_is_mended_goes_at_once() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    lab.settle();
    let route = with_needs(&resource(Route, "r", 1), &[key(Cluster, "slow")]);
    lab.publish(&[route, resource(Cluster, "slow", 1)], &[]);
    assert_eq!(lab.sent(), "cds +slow");
    lab.publish(&[resource(Route, "r", 2)], &[]);
    assert_eq!(lab.sent(), "rds +r");
}

#[test]
fn a_cluster_goes_after_the_routes_that_dropped_it() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    let route = with_needs(&resource(Route, "r", 1), &[key(Cluster, "a")]);
    lab.publish(&[route, resource(Cluster, "a", 1)], &[]);
    lab.settle();
    let route = with_needs(&resource(Route, "r", 2), &[key(Cluster, "b")]);
    lab.publish(&[route, resource(Cluster, "b", 1)], &[key(Cluster, "a")]);
    assert_eq!(lab.sent(), "cds +b");
    lab.ack_all();
    assert_eq!(lab.sent(), "rds +r");
    lab.ack_all();
    assert_eq!(lab.sent(), "cds -a");
}

#[test]
fn removals_go_in_reverse_order_each_after_the_one_before() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe_all(ScopedRoute);
    lab.subscribe(Route, &["r"]);
    lab.subscribe(Endpoint, &["c"]);
    let kinds = [(Cluster, "c"), (Endpoint, "c"), (Route, "r"), (ScopedRoute, "s")];
    let all: Vec<_> = kinds.iter().map(|(kind, name)| resource(*kind, name, 1)).collect();
    lab.publish(&all, &[]);
    lab.settle();
    let keys: Vec<_> = all.iter().map(|r| r.key.clone()).collect();
    lab.publish(&[], &keys);
    for expected in ["srds -s", "rds -r", "eds -c", "cds -c"] {
        assert_eq!(lab.sent(), expected);
        lab.ack_all();
    }
    assert_eq!(lab.sent(), "");
}

#[test]
fn a_removal_does_not_wait_for_later_additions() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe_all(ScopedRoute);
    lab.publish(&[resource(Cluster, "a", 1), resource(ScopedRoute, "s", 1)], &[]);
    lab.settle();
    lab.publish(&[resource(Cluster, "slow", 1)], &[]);
    lab.publish(&[], &[key(Cluster, "a")]);
    assert_eq!(lab.sent(), "cds +slow");
    lab.publish(&[resource(Cluster, "slower", 1)], &[]);
    assert_eq!(lab.sent(), "cds +slower");
    lab.ack_names(&["slow"]);
    assert_eq!(lab.sent(), "cds -a");
}

#[test]
fn a_removal_does_not_wait_for_ever() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe_all(ScopedRoute);
    lab.publish(&[resource(ScopedRoute, "s", 1)], &[]);
    lab.settle();
    lab.publish(&[resource(Cluster, "slow", 1)], &[key(ScopedRoute, "s")]);
    assert_eq!(lab.sent(), "cds +slow");
    lab.pass(PATIENCE);
    assert_eq!(lab.sent(), "srds -s");
}

#[test]
fn a_resource_that_comes_back_before_its_removal_is_not_removed() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.settle();
    lab.publish(&[resource(Cluster, "slow", 1)], &[key(Cluster, "a")]);
    assert_eq!(lab.sent(), "cds +slow");
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.ack_all();
    assert_eq!(lab.sent(), "");
    assert_eq!(lab.state("cds:a"), Some(HeldState::Acknowledged));
}

#[test]
fn endpoints_follow_right_behind_a_changed_cluster() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    let cluster = |version| with_needs(&resource(Cluster, "c", version), &[key(Endpoint, "e")]);
    lab.publish(&[cluster(1), resource(Endpoint, "e", 1)], &[]);
    assert_eq!(lab.sent(), "cds +c");
    lab.subscribe(Endpoint, &["e"]);
    assert_eq!(lab.sent(), "eds +e");
    lab.ack_all();
    lab.publish(&[cluster(2), resource(Cluster, "z", 1)], &[]);
    assert_eq!(lab.sent(), "cds +c\neds +e\ncds +z");
}

#[test]
fn endpoints_shared_by_clusters_are_sent_once_behind_a_batch() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Endpoint, &["e"]);
    lab.publish(&[resource(Endpoint, "e", 1)], &[]);
    lab.settle();
    let clusters = (0..40)
        .map(|i| with_needs(&resource(Cluster, &format!("c{i:02}"), 1), &[key(Endpoint, "e")]));
    lab.publish(&clusters.collect::<Vec<_>>(), &[]);
    let sent = lab.sent();
    assert!(sent.ends_with("\neds +e"), "{sent}");
    assert_eq!(sent.matches("+e").count(), 1, "{sent}");
}

#[test]
fn a_reconnecting_envoy_gets_the_endpoints_of_changed_clusters_again() {
    let mut lab = Lab::ready();
    let cluster = |version| with_needs(&resource(Cluster, "c", version), &[key(Endpoint, "e")]);
    let endpoint = resource(Endpoint, "e", 1);
    lab.publish(&[cluster(2), Arc::clone(&endpoint)], &[]);
    lab.first(Cluster, &[], &[&cluster(1)]);
    assert_eq!(lab.sent(), "cds +c");
    lab.first(Endpoint, &["e"], &[&endpoint]);
    assert_eq!(lab.sent(), "eds +e");
}

#[test]
fn a_new_envoy_gets_the_last_good_version_of_what_its_like_refused() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Listener);
    lab.publish(&[resource(Listener, "l", 1)], &[]);
    lab.settle();
    lab.publish(&[resource(Listener, "l", 2)], &[]);
    assert_eq!(lab.sent(), "lds +l");
    lab.refuse_if(|_, _| true);
    assert_eq!(lab.sent(), "");
    lab.reconnect();
    lab.subscribe_all(Listener);
    assert_eq!(lab.sent(), "lds +l");
    assert_eq!(lab.last_versions(), [resource(Listener, "l", 1).version]);
    lab.ack_all();
    assert!(matches!(lab.state("lds:l"), Some(HeldState::Rejected { .. })));
    // Another release of Envoy may well take it.
    lab.reconnect_as(EnvoyVersion { major: 1, minor: 41, patch: 0 });
    lab.subscribe_all(Listener);
    assert_eq!(lab.sent(), "lds +l");
    assert_eq!(lab.last_versions(), [resource(Listener, "l", 2).version]);
}

#[test]
fn an_envoy_spared_a_version_gets_it_when_one_of_its_like_takes_it() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Listener);
    lab.publish(&[resource(Listener, "l", 1)], &[]);
    lab.settle();
    let newest = resource(Listener, "l", 2);
    lab.publish(&[Arc::clone(&newest)], &[]);
    assert_eq!(lab.sent(), "lds +l");
    lab.refuse_if(|_, _| true);
    lab.reconnect();
    lab.first(Listener, &[], &[&resource(Listener, "l", 1)]);
    assert_eq!(lab.sent(), "");
    assert!(matches!(lab.state("lds:l"), Some(HeldState::Rejected { .. })));
    let item = (&newest.key.name, newest.version);
    lab.catalog.acknowledge(Listener, lab.session.group, std::iter::once(item));
    lab.pass(MS);
    lab.publish(&[], &[]);
    assert_eq!(lab.sent(), "lds +l");
    lab.ack_all();
    assert_eq!(lab.state("lds:l"), Some(HeldState::Acknowledged));
}

#[test]
fn a_refused_route_keeps_the_cluster_of_its_last_good_version() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    let good = with_needs(&resource(Route, "r", 1), &[key(Cluster, "a")]);
    lab.publish(&[good, resource(Cluster, "a", 1)], &[]);
    lab.settle();
    lab.publish(&[resource(Route, "r", 2)], &[key(Cluster, "a")]);
    assert_eq!(lab.sent(), "rds +r");
    lab.refuse_if(|_, _| true);
    assert_eq!(lab.sent(), "");
    lab.reconnect();
    lab.subscribe_all(Cluster);
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "cds +a");
    lab.ack_all();
    assert_eq!(lab.sent(), "rds +r");
    lab.ack_all();
    // Mended: now the cluster can go.
    lab.publish(&[resource(Route, "r", 3)], &[]);
    assert_eq!(lab.sent(), "rds +r");
    lab.ack_all();
    assert_eq!(lab.sent(), "cds -a");
}

#[test]
fn a_secret_is_found_in_any_case_and_kept_up_to_date_under_the_name_asked_for() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Secret, "a.example", 1)], &[]);
    lab.subscribe(Secret, &["A.Example", "B.example"]);
    assert_eq!(lab.sent(), "sds +A.Example\nsds -B.example");
    lab.ack_all();
    lab.publish(&[resource(Secret, "a.example", 2), resource(Secret, "b.example", 1)], &[]);
    assert_eq!(lab.sent(), "sds +A.Example\nsds +B.example");
    lab.ack_all();
    assert_eq!(lab.state("sds:a.example"), Some(HeldState::Acknowledged));
    lab.publish(&[], &[key(Secret, "a.example")]);
    assert_eq!(lab.sent(), "sds -A.Example");
}

#[test]
fn spellings_of_a_name_are_bounded_and_the_oldest_taken_back() {
    let mut lab = Lab::ready();
    lab.publish(&[resource(Secret, "abcdefghij.example", 1)], &[]);
    let spelling = |bits: u32| -> String {
        let letters = "abcdefghij".chars().enumerate();
        let host: String = letters
            .map(|(at, c)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        format!("{host}.example")
    };
    for bits in 1..=256 {
        lab.subscribe(Secret, &[&spelling(bits)]);
        assert_eq!(lab.sent(), format!("sds +{}", spelling(bits)));
        lab.ack_all();
    }
    lab.subscribe(Secret, &[&spelling(257)]);
    let sent = lab.sent();
    let mut sent: Vec<&str> = sent.lines().collect();
    sent.sort_unstable();
    assert_eq!(sent, [format!("sds +{}", spelling(257)), format!("sds -{}", spelling(1))]);
    lab.ack_all();
    // What was taken back is asked for again like any other.
    lab.subscribe(Secret, &[&spelling(1)]);
    assert!(lab.sent().contains(&format!("sds +{}", spelling(1))));
}

#[test]
fn names_asked_for_in_vain_are_bounded() {
    let mut lab = Lab::ready();
    for i in 0..20_000 {
        lab.subscribe(Secret, &[&format!("scan{i}.example")]);
        lab.settle();
    }
    assert!(lab.entries(Secret) <= 10_001, "{}", lab.entries(Secret));
}

#[test]
fn an_acknowledged_publish_is_reported_with_its_time() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.settle();
    lab.pass(Duration::from_secs(1));
    lab.events();
    lab.publish(&[resource(Cluster, "a", 1), resource(Cluster, "b", 1)], &[]);
    lab.sent();
    lab.pass(2 * MS);
    lab.ack_names(&["a"]);
    assert!(lab.raw_events().is_empty());
    lab.pass(MS);
    lab.ack_names(&["b"]);
    let events = lab.raw_events();
    let expected = Event::Acknowledged { node: "test".into(), revision: 2, elapsed: 3 * MS };
    assert_eq!(events, [expected]);
}

#[test]
fn a_new_host_is_reported_when_its_routes_are_acknowledged_too() {
    let mut lab = Lab::ready();
    lab.subscribe_all(ScopedRoute);
    lab.settle();
    lab.pass(Duration::from_secs(1));
    lab.events();
    lab.publish(&[resource(ScopedRoute, "s", 1), resource(Route, "r", 1)], &[]);
    assert_eq!(lab.sent(), "srds +s");
    lab.ack_all();
    assert_eq!(lab.events(), [""; 0]);
    lab.subscribe(Route, &["r"]);
    assert_eq!(lab.sent(), "rds +r");
    lab.ack_all();
    assert_eq!(lab.events(), ["acknowledged 2"]);
}

#[test]
fn a_session_that_outran_the_journal_compares_everything() {
    let mut lab = Lab::ready();
    lab.subscribe_all(Cluster);
    lab.publish(&[resource(Cluster, "gone", 1), resource(Cluster, "kept", 1)], &[]);
    lab.settle();
    lab.publish_unseen(&[], &[key(Cluster, "gone")]);
    for i in 0..20 {
        let many = (0..1_000).map(|n| resource(Endpoint, &format!("e{n}"), i));
        lab.publish_unseen(&many.collect::<Vec<_>>(), &[]);
    }
    lab.publish(&[resource(Cluster, "new", 1)], &[]);
    assert_eq!(lab.sent(), "cds +new");
    lab.ack_all();
    assert_eq!(lab.sent(), "cds -gone");
}
