//! The routes of a host to a RouteConfiguration and the scope that leads to it.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::config::route::v3::{
    redirect_action, route_action, route_match, scoped_route_configuration,
};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;

use super::resource::{Resource, ResourceKey, ResourceType};
use super::{SCOPE_HEADER, Side, cluster, proto, stats};
use crate::ir::{Action, Destination, Forward, Route, Timeout};
use crate::name::Fqdn;

/// The cookie of the `Cookie` strategy, Contour's.
const AFFINITY_COOKIE: &str = "X-Contour-Session-Affinity";

/// Into how many parts the requests of a route are divided between its destinations.
const PARTS: u32 = 1_000_000;

/// The scope and the RouteConfiguration of one side of a host.
pub fn routes(side: Side, fqdn: &Fqdn, routes: &[Route]) -> [Resource; 2] {
    let name = format!("{}/{fqdn}", side.as_str());
    let mut clusters = BTreeSet::new();
    let envoy_routes = routes.iter().flat_map(|r| envoy_routes(r, &mut clusters)).collect();
    let mut virtual_hosts = Vec::new();
    let host = stats::host(fqdn);
    match side {
        // The scope has chosen the host already, by a key without port.
        Side::Http => virtual_hosts.push(virtual_host(&host, "*", envoy_routes)),
        // The scope has chosen the host by SNI; a Host that is not the SNI's gets 421 (RFC 9110).
        Side::Https => {
            virtual_hosts.push(virtual_host(&host, fqdn.as_str(), envoy_routes));
            virtual_hosts.push(virtual_host(stats::MISDIRECTED, "*", vec![misdirected()]));
        }
    }
    let configuration = route::RouteConfiguration {
        name: name.clone(),
        virtual_hosts,
        ignore_port_in_host_matching: side == Side::Https,
        request_headers_to_remove: vec![SCOPE_HEADER.to_owned()],
        ..route::RouteConfiguration::default()
    };
    let fragment = scoped_route_configuration::key::Fragment {
        r#type: Some(scoped_route_configuration::key::fragment::Type::StringKey(format!(
            "{}|{fqdn}",
            side.as_str()
        ))),
    };
    let scope = route::ScopedRouteConfiguration {
        name: name.clone(),
        route_configuration_name: name.clone(),
        key: Some(scoped_route_configuration::Key { fragments: vec![fragment] }),
        ..route::ScopedRouteConfiguration::default()
    };
    let requires: Vec<ResourceKey> = clusters.into_iter().collect();
    [
        proto::resource(
            ResourceKey::new(ResourceType::Route, name.as_str()),
            &configuration,
            requires.clone(),
        ),
        proto::resource(ResourceKey::new(ResourceType::ScopedRoute, name), &scope, requires),
    ]
}

fn virtual_host(name: &str, domain: &str, routes: Vec<route::Route>) -> route::VirtualHost {
    route::VirtualHost {
        name: name.to_owned(),
        domains: vec![domain.to_owned()],
        routes,
        ..route::VirtualHost::default()
    }
}

fn prefix(prefix: &str) -> route::RouteMatch {
    route::RouteMatch {
        path_specifier: Some(route_match::PathSpecifier::Prefix(prefix.to_owned())),
        ..route::RouteMatch::default()
    }
}

fn respond(status: u32) -> route::route::Action {
    route::route::Action::DirectResponse(route::DirectResponseAction {
        status,
        ..route::DirectResponseAction::default()
    })
}

/// Every route has a name: a filter that looks for a miss knows it by the empty one.
fn misdirected() -> route::Route {
    route::Route {
        name: "misdirected".to_owned(),
        r#match: Some(prefix("/")),
        action: Some(respond(421)),
        ..route::Route::default()
    }
}

fn envoy_routes(route: &Route, clusters: &mut BTreeSet<ResourceKey>) -> Vec<route::Route> {
    let action = match &route.action {
        Action::Forward(forward) => {
            clusters.extend(forward.destinations.iter().map(|d| cluster::name(&d.cluster)));
            return forwarding(route, forward);
        }
        Action::RedirectToHttps => route::route::Action::Redirect(route::RedirectAction {
            scheme_rewrite_specifier: Some(redirect_action::SchemeRewriteSpecifier::HttpsRedirect(
                true,
            )),
            ..route::RedirectAction::default()
        }),
        Action::Unavailable => respond(503),
    };
    vec![route::Route {
        name: route.name.to_string(),
        r#match: Some(prefix(route.prefix.as_str())),
        action: Some(action),
        ..route::Route::default()
    }]
}

/// An entry for each destination, so that Envoy counts each by itself
/// (docs/decisions/0017-a-route-entry-for-each-destination.md).
fn forwarding(route: &Route, forward: &Forward) -> Vec<route::Route> {
    let weights: Vec<u32> = forward.destinations.iter().map(|d| d.weight).collect();
    let thresholds = thresholds(&weights);
    let mut entries = Vec::new();
    for (matched, replacement) in rewrites(route, forward) {
        for (destination, threshold) in forward.destinations.iter().zip(&thresholds) {
            let service = &destination.cluster.service;
            entries.push(route::Route {
                name: route.name.to_string(),
                stat_prefix: stats::route(&route.name, service, destination.cluster.port),
                r#match: Some(route::RouteMatch {
                    runtime_fraction: threshold.map(fraction),
                    ..prefix(&matched)
                }),
                action: Some(route::route::Action::Route(route::RouteAction {
                    prefix_rewrite: replacement.clone(),
                    ..route_action(forward, destination)
                })),
                ..route::Route::default()
            });
        }
    }
    entries
}

/// The prefixes to match and what replaces each; nothing if nothing does.
///
/// Envoy puts the replacement where the prefix was, letter by letter. Where only one of the two ends
/// with a slash, `/api/x` would become `//x` or `/v2x`.
fn rewrites(route: &Route, forward: &Forward) -> Vec<(String, String)> {
    let matched = route.prefix.as_str().to_owned();
    let Some(replacement) = forward.prefix_rewrite.as_ref().map(ToString::to_string) else {
        return vec![(matched, String::new())];
    };
    match (matched.ends_with('/'), replacement.ends_with('/')) {
        (true, true) | (false, false) => vec![(matched, replacement)],
        (true, false) => vec![(matched, replacement + "/")],
        (false, true) => {
            vec![(format!("{matched}/"), replacement.clone()), (matched, replacement)]
        }
    }
}

/// For each destination the part of the requests below which it, or one before it, is chosen: Envoy
/// holds all thresholds of a request against the same number. `None` takes what is left: the last
/// one that has a weight. A weight is at least one part; without a weight there is none.
fn thresholds(weights: &[u32]) -> Vec<Option<u32>> {
    let last = weights.iter().rposition(|weight| *weight > 0);
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let (mut before, mut sum) = (0_u32, 0_u64);
    let mut left = weights.iter().filter(|weight| **weight > 0).count();
    let threshold = |(index, weight): (usize, &u32)| {
        if last == Some(index) {
            return None;
        }
        if *weight == 0 {
            return Some(0);
        }
        left -= 1;
        sum += u64::from(*weight);
        let exact = (sum * u64::from(PARTS) + total / 2) / total;
        // Those that follow need their part too.
        let most = PARTS.saturating_sub(u32::try_from(left).unwrap_or(PARTS));
        before = u32::try_from(exact).unwrap_or(PARTS).min(most).max(before + 1);
        Some(before)
    };
    weights.iter().enumerate().map(threshold).collect()
}

/// Without a runtime key: nobody can set it to something else.
fn fraction(numerator: u32) -> RuntimeFractionalPercent {
    RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator,
            denominator: DenominatorType::Million.into(),
        }),
        runtime_key: String::new(),
    }
}

fn route_action(forward: &Forward, destination: &Destination) -> route::RouteAction {
    let websocket = route_action::UpgradeConfig {
        upgrade_type: "websocket".to_owned(),
        ..route_action::UpgradeConfig::default()
    };
    route::RouteAction {
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(
            cluster::name(&destination.cluster).name.to_string(),
        )),
        timeout: match forward.timeout {
            Timeout::Default => None,
            Timeout::Infinite => Some(proto::seconds(0)),
            Timeout::After(limit) => Some(proto::duration(limit)),
        },
        retry_policy: forward.retry.as_ref().map(|retry| route::RetryPolicy {
            retry_on: "5xx".to_owned(),
            num_retries: Some(proto::u32_value(retry.count)),
            per_try_timeout: retry.per_try_timeout.map(proto::duration),
            ..route::RetryPolicy::default()
        }),
        hash_policy: if forward.session_affinity { vec![affinity()] } else { Vec::new() },
        upgrade_configs: if forward.websockets { vec![websocket] } else { Vec::new() },
        ..route::RouteAction::default()
    }
}

/// A session cookie, set by Envoy where the client has none.
fn affinity() -> route_action::HashPolicy {
    route_action::HashPolicy {
        terminal: true,
        policy_specifier: Some(route_action::hash_policy::PolicySpecifier::Cookie(
            route_action::hash_policy::Cookie {
                name: AFFINITY_COOKIE.to_owned(),
                ttl: Some(proto::seconds(0)),
                path: "/".to_owned(),
                ..route_action::hash_policy::Cookie::default()
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of the numbers Envoy draws choose each destination.
    fn parts(weights: &[u32]) -> Vec<u32> {
        let mut parts = Vec::new();
        let mut taken = 0;
        for threshold in thresholds(weights) {
            let upper = threshold.unwrap_or(PARTS);
            parts.push(upper.saturating_sub(taken));
            taken = taken.max(upper);
        }
        parts
    }

    #[test]
    fn requests_are_divided_by_weight_to_the_millionth() {
        for (weights, expected) in [
            (&[1][..], &[PARTS][..]),
            (&[7, 0], &[PARTS, 0]),
            (&[0, 7], &[0, PARTS]),
            (&[50, 50], &[500_000, 500_000]),
            (&[1, 1, 1], &[333_333, 333_334, 333_333]),
            (&[0, 1, 0, 3, 0], &[0, 250_000, 0, 750_000, 0]),
            // A weight is at least one part, whoever else has how much.
            (&[1, 1_000_000, 1_000_000], &[1, 499_999, 500_000]),
            (&[1_000_000, 1_000_000, 1_000_000, 1], &[333_333, 333_333, 333_333, 1]),
            (&[u32::MAX, 1, 1, 1], &[999_997, 1, 1, 1]),
        ] {
            assert_eq!(parts(weights), expected, "{weights:?}");
        }
    }

    proptest! {
        #[test]
        fn every_weight_gets_its_share_and_no_other_gets_any(
            weights in prop::collection::vec(prop_oneof![Just(0_u32), 1..200_u32, 1..=1_000_000_u32], 1..65)
        ) {
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            prop_assume!(total > 0);
            let parts = parts(&weights);
            prop_assert_eq!(parts.iter().sum::<u32>(), PARTS);
            for (weight, part) in weights.iter().zip(&parts) {
                prop_assert_eq!(*weight > 0, *part > 0);
                let exact = u64::from(*weight) * u64::from(PARTS) / total;
                // Rounding at both ends, and the least part of up to 64 others.
                prop_assert!(u64::from(*part).abs_diff(exact) <= 66, "{part} for {exact}");
            }
        }
    }

    #[test]
    fn a_host_may_be_called_misdirected() {
        let host = Fqdn::parse("misdirected").expect("a host");
        assert_ne!(stats::host(&host), stats::MISDIRECTED);
    }
}
