//! Objects as they are written, in JSON: bystanders that nobody touches, and others.

use std::sync::LazyLock;

use contour_core::name::{Kind, ObjectName};
use fastrand::Rng;
use serde_json::{Value, json};

/// The namespaces of objects that nobody touches.
const STILL: &str = "still";
const VAULT: &str = "vault";

/// The namespaces of all others.
const OTHERS: [&str; 2] = ["alpha", "beta"];

/// Hosts with certificates among the bystanders.
pub(super) const SECURE: [&str; 2] = ["secure.example.com", "vaulted.example.com"];

/// The Service whose addresses are those of all hosts.
pub(super) const ENVOY: (&str, &str) = ("projectcontour", "envoy");

/// An object to be written.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) value: Value,
}

impl Draft {
    fn new(kind: Kind, place: (&str, &str), mut value: Value) -> Self {
        value["metadata"]["namespace"] = place.0.into();
        value["metadata"]["name"] = place.1.into();
        Self { kind, value }
    }

    pub(super) fn name(&self) -> ObjectName {
        let text = |key| self.value["metadata"][key].as_str().unwrap();
        ObjectName::new(text("namespace"), text("name"))
    }

    fn created(mut self, at: &str) -> Self {
        self.value["metadata"]["creationTimestamp"] = at.into();
        self
    }
}

/// A certificate and its key in base64, made once.
static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(SECURE.map(str::to_owned)).unwrap();
    (base64(made.cert.pem().as_bytes()), base64(made.signing_key.serialize_pem().as_bytes()))
});

/// As Kubernetes writes bytes.
fn base64(bytes: &[u8]) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap();
    value.as_str().unwrap().to_owned()
}

fn secret(place: (&str, &str)) -> Draft {
    let (certificate, key) = &*PAIR;
    let data = json!({"tls.crt": certificate, "tls.key": key});
    Draft::new(Kind::Secret, place, json!({"type": "kubernetes.io/tls", "data": data}))
}

fn service(place: (&str, &str), ports: &[u16]) -> Draft {
    let ports: Vec<_> = ports
        .iter()
        .map(|p| json!({"name": format!("p{p}"), "port": p, "protocol": "TCP"}))
        .collect();
    Draft::new(Kind::Service, place, json!({"spec": {"type": "ClusterIP", "ports": ports}}))
}

fn slice(place: (&str, &str), service: &str, addresses: &[String]) -> Draft {
    let endpoints: Vec<_> = addresses
        .iter()
        .map(|a| json!({"addresses": [a], "conditions": {"ready": true}}))
        .collect();
    let value = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "p80", "port": 8080, "protocol": "TCP"}],
    });
    Draft::new(Kind::EndpointSlice, place, value)
}

fn route(place: (&str, &str), host: Option<&str>, tls: Option<&str>, routes: &[Value]) -> Draft {
    let mut spec = json!({"routes": routes});
    if let Some(host) = host {
        spec["virtualhost"]["fqdn"] = host.into();
    }
    if let Some(secret) = tls {
        spec["virtualhost"]["tls"]["secretName"] = secret.into();
    }
    Draft::new(Kind::IngressRoute, place, json!({"spec": spec}))
}

fn delegation(place: (&str, &str), secret: &str, to: &str) -> Draft {
    let delegations = json!([{"secretName": secret, "targetNamespaces": [to]}]);
    let value = json!({"spec": {"delegations": delegations}});
    Draft::new(Kind::TlsCertificateDelegation, place, value)
}

/// Objects of every kind that nobody changes in a way that matters.
pub(super) fn bystanders() -> Vec<Draft> {
    let to_web = |prefix: &str| json!({"match": prefix, "services": [{"name": "web", "port": 80}]});
    let to_child = json!({"match": "/child", "delegate": {"name": "child"}});
    let all = [
        service((STILL, "web"), &[80]),
        slice((STILL, "web-1"), "web", &["10.9.0.1".into(), "10.9.0.2".into()]),
        secret((STILL, "cert")),
        secret((VAULT, "shared")),
        delegation((VAULT, "shared"), "shared", STILL),
        route((STILL, "plain"), Some("still.example.com"), None, &[to_web("/"), to_child]),
        route((STILL, "child"), None, None, &[to_web("/child")]),
        route((STILL, "secure"), Some(SECURE[0]), Some("cert"), &[to_web("/")]),
        route((STILL, "vaulted"), Some(SECURE[1]), Some("vault/shared"), &[to_web("/")]),
    ];
    all.into_iter().map(|draft| draft.created("2020-01-01T00:00:00Z")).collect()
}

/// The Service with the addresses of all hosts.
pub(super) fn envoy_service(rng: &mut Rng) -> Draft {
    let ips: Vec<_> = (0..rng.u8(0..3)).map(|i| json!({"ip": format!("192.0.2.{i}")})).collect();
    let mut draft = service(ENVOY, &[80]);
    draft.value["status"] = json!({"loadBalancer": {"ingress": ips}});
    draft
}

fn one<'a>(rng: &mut Rng, pool: &[&'a str]) -> &'a str {
    pool[rng.usize(0..pool.len())]
}

/// Any object that is none of the bystanders', good or bad in its values but of the right types.
pub(super) fn object(rng: &mut Rng) -> Draft {
    let namespace = one(rng, &OTHERS);
    let draft = match rng.u8(0..12) {
        0..=5 => ingress_route(rng, namespace),
        6 | 7 => {
            let name = one(rng, &["blue", "green"]);
            let ports: &[u16] = if rng.bool() { &[80] } else { &[80, 443] };
            service((namespace, name), ports)
        }
        8 | 9 => {
            let count = rng.u8(0..4);
            let addresses: Vec<_> =
                (0..count).map(|_| format!("10.0.0.{}", rng.u8(1..9))).collect();
            let name = one(rng, &["one", "two", "three"]);
            slice((namespace, name), one(rng, &["blue", "green"]), &addresses)
        }
        10 => {
            let mut draft = secret((namespace, one(rng, &["cert", "other"])));
            if rng.u8(0..3) == 0 {
                draft.value["data"]["tls.key"] = "bm9uZQ==".into();
            }
            draft
        }
        _ => delegation((namespace, "all"), one(rng, &["cert", "other"]), one(rng, &OTHERS)),
    };
    let second = rng.u8(0..60);
    draft.created(&format!("2024-01-01T00:00:{second:02}Z"))
}

fn ingress_route(rng: &mut Rng, namespace: &str) -> Draft {
    // Some claim what a bystander has; whoever is younger loses.
    let hosts =
        ["a.example.com", "a.example.com", "b.example.com", "c.example.com", "still.example.com"];
    let routes = (0..rng.u8(1..4)).map(|_| {
        let prefix = one(rng, &["/", "/x", "/y"]);
        if rng.u8(0..5) == 0 {
            let (name, space) = (one(rng, &["r2", "r3"]), one(rng, &OTHERS));
            return json!({"match": prefix, "delegate": {"name": name, "namespace": space}});
        }
        let services: Vec<_> = (0..rng.u8(1..3))
            .map(|_| {
                let name = one(rng, &["blue", "green", "missing"]);
                json!({"name": name, "port": 80, "weight": rng.u8(0..100)})
            })
            .collect();
        json!({"match": prefix, "services": services})
    });
    let routes: Vec<_> = routes.collect();
    let name = one(rng, &["r0", "r1", "r2", "r3"]);
    let host = (name < "r2" || rng.u8(0..4) == 0).then(|| one(rng, &hosts));
    let secrets = ["cert", "other", "alpha/cert", "vault/shared"];
    let tls = (host.is_some() && rng.u8(0..3) == 0).then(|| one(rng, &secrets));
    route((namespace, name), host, tls, &routes)
}

/// Turns an object into one that cannot be decoded.
pub(super) fn poison(draft: &mut Draft) {
    match draft.kind {
        Kind::IngressRoute => draft.value["spec"]["routes"] = "none".into(),
        Kind::TlsCertificateDelegation => draft.value["spec"]["delegations"] = 7.into(),
        Kind::Service => draft.value["spec"]["ports"] = json!({"a": 1}),
        Kind::EndpointSlice => draft.value["endpoints"] = true.into(),
        Kind::Secret => draft.value["data"] = json!([1, 2]),
        Kind::Namespace => {}
    }
}
