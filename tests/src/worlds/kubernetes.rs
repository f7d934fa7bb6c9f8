//! Random Services, EndpointSlices, Secrets and TLSCertificateDelegations.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use contour_core::api::{
    CertificateDelegation, Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Object,
    Secret, Service, ServicePort, ServiceSpec, TlsCertificateDelegation,
    TlsCertificateDelegationSpec,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::pools::{
    BAD_ADDRESSES, BAD_LIMITS, BAD_NAMES, BAD_NUMBERS, BAD_PORT_LISTS, BAD_PORTS, likely, metadata,
    number, seldom, text,
};
use crate::certificates::{authority, base64, fixtures};
use crate::objects;

const SERVICES: &[&str] = &["blue", "green", "slow"];

/// Services with endpoints, a certificate and a CA.
pub(super) fn furniture(namespace: &str) -> Vec<Object> {
    let mut all = Vec::new();
    for name in SERVICES {
        let mut service = objects::service(namespace, name, 80);
        let address = SocketAddr::from(([10, 0, 0, 1], 8080));
        let mut slice = objects::endpoint_slice(namespace, name, name, "", address);
        let template = (service.spec.ports.pop(), slice.ports.pop());
        if let (Some(port), Some(endpoint)) = template {
            for (name, number) in [("http", 80), ("https", 443), ("other", 8080)] {
                let name: Arc<str> = name.into();
                service.spec.ports.push(ServicePort {
                    name: Arc::clone(&name),
                    port: number,
                    ..port.clone()
                });
                slice.ports.push(EndpointPort { name, ..endpoint.clone() });
            }
        }
        all.push(Object::Service(service));
        all.push(Object::EndpointSlice(slice));
    }
    all.extend(CONTENTS.first().map(|good| with_values(namespace, "cert", good)));
    all.push(authority().secret(namespace, "ca"));
    all
}

/// A Service.
pub(super) fn service(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    let kind = prop_oneof![
        15 => Just(None),
        1 => Just(Some("ClusterIP")),
        1 => Just(Some("ExternalName")),
    ];
    let protocol = select(vec!["h2", "h2c", "tls"]);
    let ports = text(&["80", "http", "443", "http,443"], &BAD_PORT_LISTS);
    let breaker =
        select(vec!["max-connections", "max-pending-requests", "max-requests", "max-retries"]);
    (
        metadata(namespace, SERVICES),
        kind,
        (likely(3, Just(ServicePort { port: 80, ..ServicePort::default() })), vec(port(), 1..3))
            .prop_map(|(first, others)| first.into_iter().chain(others).collect::<Vec<_>>()),
        seldom(2, (protocol, ports)),
        seldom(4, (breaker, text(&["1", "100"], &BAD_LIMITS))),
    )
        .prop_map(|(mut metadata, kind, ports, protocol, breaker)| {
            if let Some((protocol, ports)) = protocol {
                let key = format!("contour.heptio.com/upstream-protocol.{protocol}");
                metadata.annotations.insert(key.into(), ports);
            }
            if let Some((breaker, limit)) = breaker {
                let key = format!("contour.heptio.com/{breaker}");
                metadata.annotations.insert(key.into(), limit);
            }
            let kind = kind.map(Arc::from);
            Object::Service(Service { metadata, spec: ServiceSpec { kind, ports } })
        })
        .boxed()
}

fn port() -> impl Strategy<Value = ServicePort> {
    (
        text(&["", "", "http", "https"], &BAD_NAMES),
        number(&[80, 80, 80, 443, 8080], BAD_PORTS),
        seldom(9, select(vec!["TCP", "UDP", "bogus"])),
        seldom(4, select(vec!["kubernetes.io/h2c", "https", "http", "x"])),
    )
        .prop_map(|(name, port, protocol, app_protocol)| ServicePort {
            name,
            port,
            protocol: protocol.map(Arc::from),
            app_protocol: app_protocol.map(Arc::from),
        })
}

/// An EndpointSlice of a Service of its namespace.
pub(super) fn endpoint_slice(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];
    let flag = || select(vec![None, None, Some(true), Some(false)]);
    let endpoint = (vec(text(ADDRESSES, &BAD_ADDRESSES), 0..3), flag(), flag(), flag()).prop_map(
        |(addresses, ready, serving, terminating)| Endpoint {
            addresses,
            conditions: EndpointConditions { ready, serving, terminating },
        },
    );
    let port = (
        text(&["", "", "http", "https"], &BAD_NAMES),
        seldom(0, number(&[8080, 9090], BAD_NUMBERS)),
        seldom(9, select(vec!["TCP", "UDP"])),
    )
        .prop_map(|(name, port, protocol)| EndpointPort {
            name,
            port,
            protocol: protocol.map(Arc::from),
        });
    let kind = prop_oneof![
        9 => Just(Some("IPv4")),
        3 => Just(Some("IPv6")),
        1 => Just(Some("FQDN")),
        1 => Just(None),
    ];
    (
        metadata(namespace, &["one", "two", "three"]),
        text(SERVICES, &BAD_NAMES),
        kind,
        vec(endpoint, 0..4),
        vec(port, 0..3),
    )
        .prop_map(|(mut metadata, service, kind, endpoints, ports)| {
            let label = "kubernetes.io/service-name";
            metadata.labels.insert(label.into(), service);
            Object::EndpointSlice(EndpointSlice {
                metadata,
                address_type: kind.map(Arc::from),
                endpoints,
                ports,
            })
        })
        .boxed()
}

/// A Secret, good or bad.
pub(super) fn secret(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    let names = select(&["cert", "cert", "other", "expired", "broken", "ca"][..]);
    let good = CONTENTS.iter().take(1).cloned().collect::<Vec<_>>();
    let content = prop_oneof![3 => select(good), 1 => select(CONTENTS.clone())];
    (namespace, names, content)
        .prop_map(|(namespace, name, content)| with_values(namespace, name, &content))
        .boxed()
}

/// Type, certificate and key of a Secret, the latter in base64; the first is good.
type Content = (&'static str, Arc<str>, Arc<str>);

static CONTENTS: LazyLock<Vec<Content>> = LazyLock::new(|| {
    let hosts = ["a.example.com", "b.example.com", "c.example.com"];
    let authority = authority();
    let good = authority.leaf(&hosts);
    let mut all = vec![tls(&good.certificate, &good.key)];
    for pair in [
        authority.leaf(&hosts),
        authority.leaf_p384(&hosts),
        authority.expired(&hosts),
        authority.not_yet_valid(&hosts),
        authority.mismatched(&hosts),
        fixtures::rsa1024(),
        fixtures::rsa2048(),
        fixtures::pkcs1(),
        fixtures::secp256k1(),
        fixtures::encrypted(),
        fixtures::sec1(),
    ] {
        all.push(tls(&pair.certificate, &pair.key));
    }
    let certificate = good.certificate.as_str();
    let key = good.key.as_str();
    let half = certificate.split_at(certificate.len() / 2).0;
    all.extend([
        tls("", ""),
        tls(key, key),
        tls(certificate, certificate),
        tls(key, certificate),
        tls(half, key),
        tls(&format!("{certificate}{half}"), key),
        tls(&format!("noise\n{certificate}\nnoise"), &format!("noise\n{key}")),
        tls(&certificate.replace('\n', "\r\n"), key),
        tls(&certificate.replace('\n', ""), key),
        tls(&certificate.repeat(200), key),
        tls(&format!("{certificate}{}", authority.pem()), key),
        tls(&"x".repeat(1 << 20), key),
        ("Opaque", encoded(certificate), encoded(key)),
        ("kubernetes.io/dockercfg", encoded(certificate), encoded(key)),
    ]);
    all
});

fn tls(certificate: &str, key: &str) -> Content {
    ("kubernetes.io/tls", encoded(certificate), encoded(key))
}

fn encoded(text: &str) -> Arc<str> {
    base64(text.as_bytes()).into()
}

fn with_values(namespace: &str, name: &str, (kind, certificate, key): &Content) -> Object {
    Object::Secret(Secret {
        metadata: objects::metadata(namespace, name),
        kind: Some(Arc::from(*kind)),
        data: [
            (Arc::from("tls.crt"), Arc::clone(certificate)),
            (Arc::from("tls.key"), Arc::clone(key)),
            (Arc::from("ca.crt"), Arc::clone(certificate)),
        ]
        .into(),
        ..Secret::default()
    })
}

/// A TLSCertificateDelegation.
pub(super) fn delegation(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    let targets = vec(select(&["*", "alpha", "beta", "gamma", "mallory"][..]), 0..3);
    let entry = (text(&["cert", "cert", "other", "ca"], &BAD_NAMES), targets).prop_map(
        |(secret_name, targets)| CertificateDelegation {
            secret_name,
            target_namespaces: targets.into_iter().map(Arc::from).collect(),
        },
    );
    (metadata(namespace, &["grant", "other"]), vec(entry, 0..3))
        .prop_map(|(metadata, delegations)| {
            Object::TlsCertificateDelegation(TlsCertificateDelegation {
                metadata,
                spec: TlsCertificateDelegationSpec { delegations },
            })
        })
        .boxed()
}
