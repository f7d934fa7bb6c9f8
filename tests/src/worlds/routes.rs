//! Random IngressRoutes.

use contour_core::api::{
    Delegate, HealthCheck, IngressRoute, IngressRouteService, IngressRouteSpec, Object,
    RetryPolicy, Route, TcpProxy, TimeoutPolicy, Tls, UpstreamValidation, VirtualHost,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::pools::{
    BAD_DURATIONS, BAD_HOSTS, BAD_NAMES, BAD_NUMBERS, BAD_PATHS, BAD_PORTS, BAD_REFERENCES,
    BAD_STRATEGIES, BAD_SUBJECTS, BAD_VERSIONS, likely, metadata, number, seldom, text,
};

/// An IngressRoute, with or without a virtual host.
pub(super) fn ingress_route(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    let root = (metadata(namespace.clone(), &["root", "shop"]), likely(19, virtual_host()));
    let child = (metadata(namespace, &["team", "deep"]), seldom(19, virtual_host()));
    (
        prop_oneof![3 => root, 2 => child],
        prop_oneof![1 => Just(Vec::new()), 15 => vec(route(), 1..5)],
        seldom(7, tcp_proxy()),
    )
        .prop_map(|((metadata, virtualhost), routes, tcpproxy)| {
            Object::IngressRoute(IngressRoute {
                metadata,
                spec: IngressRouteSpec { virtualhost, routes, tcpproxy },
            })
        })
        .boxed()
}

fn virtual_host() -> impl Strategy<Value = VirtualHost> {
    const HOSTS: &[&str] = &[
        "a.example.com",
        "b.example.com",
        "c.example.com",
        "d.example.org",
        "mallory.example.com",
    ];
    (text(HOSTS, &BAD_HOSTS), seldom(1, tls())).prop_map(|(fqdn, tls)| VirtualHost { fqdn, tls })
}

fn tls() -> impl Strategy<Value = Tls> {
    const SECRETS: &[&str] = &[
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "cert",
        "other",
        "expired",
        "broken",
        "missing",
        "alpha/cert",
        "beta/cert",
        "gamma/other",
    ];
    let version = text(&["1.2", "1.3", "1.1"], &BAD_VERSIONS);
    let secret = text(SECRETS, &BAD_REFERENCES);
    let what = prop_oneof![
        20 => secret.clone().prop_map(|secret| (Some(secret), false)),
        3 => Just((None, true)),
        1 => secret.prop_map(|secret| (Some(secret), true)),
        1 => Just((None, false)),
    ];
    (what, seldom(2, version)).prop_map(|((secret_name, passthrough), minimum_protocol_version)| {
        Tls { secret_name, minimum_protocol_version, passthrough }
    })
}

fn route() -> impl Strategy<Value = Route> {
    const PREFIXES: &[&str] = &["/", "/", "/a", "/a/", "/a/b", "/ab", "/b", "/a/b/c"];
    const REWRITES: &[&str] = &["/", "/x", "/x/", "/x/y"];
    const DURATIONS: &[&str] = &["5s", "500ms", "1m30s", "infinity", "infinite", "0s", "1h"];
    let target = prop_oneof![
        16 => vec(service(), 1..3).prop_map(|services| (services, None)),
        3 => delegate().prop_map(|delegate| (Vec::new(), Some(delegate))),
        1 => (vec(service(), 0..2), seldom(1, delegate())),
    ];
    let retry = (number(&[0, 1, 3], BAD_NUMBERS), seldom(1, text(DURATIONS, &BAD_DURATIONS)))
        .prop_map(|(count, per_try_timeout)| RetryPolicy { count, per_try_timeout });
    (
        text(PREFIXES, &BAD_PATHS),
        target,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        seldom(4, text(REWRITES, &BAD_PATHS)),
        seldom(4, seldom(0, text(DURATIONS, &BAD_DURATIONS))),
        seldom(4, retry),
    )
        .prop_map(
            |(prefix, (services, delegate), websockets, insecure, rewrite, timeout, retry)| Route {
                prefix,
                services,
                delegate,
                enable_websockets: websockets,
                permit_insecure: insecure,
                prefix_rewrite: rewrite,
                timeout_policy: timeout.map(|request| TimeoutPolicy { request }),
                retry_policy: retry,
            },
        )
}

fn delegate() -> impl Strategy<Value = Delegate> {
    let names = text(&["team", "team", "deep", "deep", "root", "nobody"], &BAD_NAMES);
    let namespaces = select(vec![None, None, Some("alpha"), Some("beta"), Some("gamma")]);
    (names, namespaces)
        .prop_map(|(name, namespace)| Delegate { name, namespace: namespace.map(Into::into) })
}

fn service() -> BoxedStrategy<IngressRouteService> {
    const NAMES: &[&str] =
        &["blue", "blue", "blue", "green", "green", "green", "slow", "slow", "missing"];
    const STRATEGIES: &[&str] = &["RoundRobin", "WeightedLeastRequest", "Random", "Cookie"];
    (
        text(NAMES, &BAD_NAMES),
        number(&[80, 80, 80, 80, 80, 80, 443, 8080], BAD_PORTS),
        seldom(1, number(&[0, 1, 50, 100, 1_000_000], BAD_NUMBERS)),
        seldom(7, health_check()),
        seldom(3, text(STRATEGIES, &BAD_STRATEGIES)),
        seldom(15, validation()),
    )
        .prop_map(|(name, port, weight, health_check, strategy, validation)| IngressRouteService {
            name,
            port,
            weight,
            health_check,
            strategy,
            validation,
        })
        .boxed()
}

fn health_check() -> impl Strategy<Value = HealthCheck> {
    let some = || seldom(1, number(&[0, 1, 5, 10], BAD_NUMBERS));
    (
        text(&["/", "/healthz"], &BAD_PATHS),
        seldom(2, text(&["checked.example.com"], &BAD_HOSTS)),
        some(),
        some(),
        some(),
        some(),
    )
        .prop_map(|(path, host, interval, timeout, unhealthy, healthy)| HealthCheck {
            path,
            host,
            interval_seconds: interval,
            timeout_seconds: timeout,
            unhealthy_threshold_count: unhealthy,
            healthy_threshold_count: healthy,
        })
}

fn validation() -> impl Strategy<Value = UpstreamValidation> {
    (
        text(&["ca", "ca", "ca", "cert", "missing", "beta/ca"], &BAD_REFERENCES),
        text(&["upstream.example.com"], &BAD_SUBJECTS),
    )
        .prop_map(|(ca_secret, subject_name)| UpstreamValidation { ca_secret, subject_name })
}

fn tcp_proxy() -> impl Strategy<Value = TcpProxy> {
    (vec(service(), 0..3), seldom(2, delegate()))
        .prop_map(|(services, delegate)| TcpProxy { services, delegate })
}
