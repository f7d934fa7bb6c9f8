//! The routes of a host to a RouteConfiguration and the scope that leads to it.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::config::route::v3::{
    redirect_action, route_action, route_match, scoped_route_configuration, weighted_cluster,
};

use super::resource::{Resource, ResourceKey, ResourceType};
use super::{SCOPE_HEADER, Side, cluster, proto};
use crate::ir::{Action, Forward, Route, Timeout};
use crate::name::Fqdn;

/// The cookie of the `Cookie` strategy, Contour's.
const AFFINITY_COOKIE: &str = "X-Contour-Session-Affinity";

/// The scope and the RouteConfiguration of one side of a host.
pub fn routes(side: Side, fqdn: &Fqdn, routes: &[Route]) -> [Resource; 2] {
    let name = format!("{}/{fqdn}", side.as_str());
    let mut clusters = BTreeSet::new();
    let envoy_routes = routes.iter().flat_map(|r| envoy_routes(r, &mut clusters)).collect();
    let mut virtual_hosts = Vec::new();
    match side {
        // The scope has chosen the host already, by a key without port.
        Side::Http => virtual_hosts.push(virtual_host(fqdn.as_str(), "*", envoy_routes)),
        // The scope has chosen the host by SNI; a Host that is not the SNI's gets 421 (RFC 9110).
        Side::Https => {
            virtual_hosts.push(virtual_host(fqdn.as_str(), fqdn.as_str(), envoy_routes));
            virtual_hosts.push(virtual_host("misdirected", "*", vec![misdirected()]));
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

/// Envoy puts the replacement where the prefix was, letter by letter. Where only one of the two ends
/// with a slash, `/api/x` would become `//x` or `/v2x`.
fn envoy_routes(route: &Route, clusters: &mut BTreeSet<ResourceKey>) -> Vec<route::Route> {
    let mut exact = envoy_route(route, clusters);
    let matched = route.prefix.as_str();
    let Some(route::route::Action::Route(action)) = &mut exact.action else {
        return vec![exact];
    };
    let replacement = &mut action.prefix_rewrite;
    if replacement.is_empty() || matched.ends_with('/') == replacement.ends_with('/') {
        return vec![exact];
    }
    if matched.ends_with('/') {
        replacement.push('/');
        return vec![exact];
    }
    let below = route::Route { r#match: Some(prefix(&format!("{matched}/"))), ..exact.clone() };
    vec![below, exact]
}

fn envoy_route(route: &Route, clusters: &mut BTreeSet<ResourceKey>) -> route::Route {
    let action = match &route.action {
        Action::Forward(forward) => {
            clusters.extend(forward.destinations.iter().map(|d| cluster::name(&d.cluster)));
            route::route::Action::Route(route_action(forward))
        }
        Action::RedirectToHttps => route::route::Action::Redirect(route::RedirectAction {
            scheme_rewrite_specifier: Some(redirect_action::SchemeRewriteSpecifier::HttpsRedirect(
                true,
            )),
            ..route::RedirectAction::default()
        }),
        Action::Unavailable => respond(503),
    };
    route::Route {
        name: route.name.to_string(),
        r#match: Some(prefix(route.prefix.as_str())),
        action: Some(action),
        ..route::Route::default()
    }
}

fn route_action(forward: &Forward) -> route::RouteAction {
    let websocket = route_action::UpgradeConfig {
        upgrade_type: "websocket".to_owned(),
        ..route_action::UpgradeConfig::default()
    };
    route::RouteAction {
        cluster_specifier: Some(cluster_specifier(forward)),
        prefix_rewrite: forward
            .prefix_rewrite
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
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

fn cluster_specifier(forward: &Forward) -> route_action::ClusterSpecifier {
    if let [only] = forward.destinations.as_slice() {
        return route_action::ClusterSpecifier::Cluster(
            cluster::name(&only.cluster).name.to_string(),
        );
    }
    let clusters = forward.destinations.iter().map(|destination| weighted_cluster::ClusterWeight {
        name: cluster::name(&destination.cluster).name.to_string(),
        weight: Some(proto::u32_value(destination.weight)),
        ..weighted_cluster::ClusterWeight::default()
    });
    route_action::ClusterSpecifier::WeightedClusters(route::WeightedCluster {
        clusters: clusters.collect(),
        ..route::WeightedCluster::default()
    })
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
