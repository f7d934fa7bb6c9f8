use contour_core::diagnostic::json as as_json;
use rcgen::{CertificateParams, KeyPair};

use super::*;

fn secret(name: &str, host: &str, until: i32) -> String {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let indent =
        |pem: String| pem.lines().fold(String::new(), |text, line| format!("{text}    {line}\n"));
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: shop, name: {name}}}\n\
         type: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}---\n",
        indent(certificate.pem()),
        indent(key.serialize_pem())
    )
}

const WORLD: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec: {ports: [{name: http, port: 80}, {name: https, port: 8443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{name: http, port: 8080}]
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {namespace: other, name: first, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  virtualhost: {fqdn: taken.example.com}
  routes: [{match: /, delegate: {name: part}}]
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {namespace: other, name: part, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {routes: [{match: /, services: [{name: x, port: 80}]}]}
---
";

fn snapshot() -> Snapshot {
    let text = format!(
        "{WORLD}{}{}",
        secret("shop-tls", "shop.example.com", 2040),
        secret("old-tls", "old.example.com", 2021)
    );
    let manifest = manifest::read("world", &text, Limits::default());
    assert!(manifest.diagnostics.is_empty(), "{:?}", manifest.diagnostics);
    Snapshot {
        objects: manifest.documents.into_iter().filter_map(|d| d.object).collect(),
        unknown: BTreeSet::new(),
        now: Timestamp::parse("2026-11-25T00:00:00Z"),
    }
}

fn route(host: &str, tls: &str, routes: &str) -> String {
    let tls = if tls.is_empty() { String::new() } else { format!(", tls: {{secretName: {tls}}}") };
    format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{namespace: shop, name: new}}\nspec:\n  virtualhost: {{fqdn: {host}{tls}}}\n  \
         routes: [{routes}]\n"
    )
}

const WEB: &str = "{match: /, services: [{name: web, port: 80}]}";

/// The findings, as `code field: remedy`.
fn found(snapshot: &Snapshot, text: &str) -> Vec<String> {
    check(snapshot, "stdout", text)
        .iter()
        .map(|d| format!("{} {}: {}", d.code, d.field, d.remedy()))
        .collect()
}

/// Each route that is asked for, and what is found.
fn assert_found(cases: &[(&str, &str, &str, &str)]) {
    for (host, tls, routes, expected) in cases {
        let text = route(host, tls, routes);
        let found = found(&snapshot(), &text);
        let expected: Vec<&str> = Some(*expected).filter(|e| !e.is_empty()).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_service_finding_says_what_there_is_instead() {
    assert_found(&[
        ("shop.example.com", "", WEB, ""),
        ("shop.example.com", "shop-tls", WEB, ""),
        (
            "shop.example.com",
            "",
            "{match: /, services: [{name: wbe, port: 80}]}",
            "CTR301 .spec.routes[0].services[0].name: Did you mean web? It has 80 (http), 8443 (https).",
        ),
        (
            "shop.example.com",
            "",
            "{match: /, services: [{name: basket, port: 80}]}",
            "CTR301 .spec.routes[0].services[0].name: The namespace shop has the Service web.",
        ),
        (
            "shop.example.com",
            "",
            "{match: /, services: [{name: web, port: 81}]}",
            "CTR302 .spec.routes[0].services[0].port: service shop/web has no port 81; it has 80 \
             (http), 8443 (https).",
        ),
        (
            "shop.example.com",
            "",
            "{match: /, services: [{name: web, port: 8443}]}",
            "CTR308 : See why its pods are not ready.",
        ),
    ]);
}

#[test]
fn another_finding_says_what_there_is_instead() {
    assert_found(&[
        (
            "taken.example.com",
            "",
            WEB,
            "CTR104 .spec.virtualhost.fqdn: Delegate from the IngressRoute that has it (kubectl contour \
             create delegation), or choose another host.",
        ),
        (
            "shop.example.com",
            "shop-tsl",
            WEB,
            "CTR401 .spec.virtualhost.tls.secretName: Did you mean shop-tls?",
        ),
        (
            "shop.example.com",
            "certificate",
            WEB,
            "CTR401 .spec.virtualhost.tls.secretName: Secret shop/shop-tls has a certificate for \
             shop.example.com.",
        ),
        (
            "shop.example.com",
            "other/tls",
            WEB,
            "CTR403 .spec.virtualhost.tls.secretName: Create a TLSCertificateDelegation in \
             namespace other with secretName tls and target namespace shop.",
        ),
        (
            "shop.example.com",
            "",
            "{match: /, delegate: {namespace: other, name: prat}}",
            "CTR205 .spec.routes[0].delegate: Did you mean part?",
        ),
        (
            "shop.example.com",
            "",
            "{match: /, delegate: {namespace: other, name: first}}",
            "CTR206 .spec.routes[0].delegate: Remove .spec.virtualhost from the IngressRoute \
             delegated to.",
        ),
    ]);
}

#[test]
fn a_certificate_is_for_the_host_and_of_today() {
    let text = route("shop.example.com", "old-tls", WEB);
    let found = check(&snapshot(), "stdout", &text);
    let codes: Vec<_> = found.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::CertificateExpired, Code::CertificateHostMismatch]);
    assert!(!has_errors(&found), "it is served all the same");
}

#[test]
fn prefixes_collide_in_the_route_and_with_a_delegation() {
    let twice = format!("{WEB}, {WEB}");
    let codes = |text: &str| -> Vec<_> {
        check(&snapshot(), "stdout", text).iter().map(|d| d.code).collect()
    };
    assert_eq!(codes(&route("shop.example.com", "", &twice)), [Code::DuplicateMatch]);
    let outside = "{match: /a, delegate: {namespace: other, name: part}}";
    let found = check(&snapshot(), "stdout", &route("shop.example.com", "", outside));
    // It is the other one that is at fault, because of this one.
    let told: Vec<_> =
        found.iter().map(|d| (d.code, d.object.as_ref().unwrap().to_string())).collect();
    assert_eq!(told, [(Code::PrefixOutsideParent, "IngressRoute other/part".to_owned())]);
}

#[test]
fn what_was_wrong_before_is_nobodys_fault_now() {
    let found = found(&snapshot(), &route("shop.example.com", "", WEB));
    assert_eq!(found, Vec::<String>::new(), "other/part routes to a Service that is not there");
}

#[test]
fn an_object_that_is_there_may_be_written_again() {
    let text = "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
                metadata: {namespace: other, name: first}\nspec: {virtualhost: {fqdn: \
                taken.example.com}, routes: [{match: /, delegate: {name: part}}]}\n";
    assert_eq!(check(&snapshot(), "stdout", text).iter().map(|d| d.code).next(), None);
}

#[test]
fn nothing_is_said_of_what_is_not_known() {
    let text = route("taken.example.com", "other/x", "{match: /, services: [{name: no, port: 1}]}");
    let offline = Snapshot::offline(Timestamp::parse("2026-11-25T00:00:00Z"));
    assert_eq!(found(&offline, &text), Vec::<String>::new());
    let mut partly = snapshot();
    partly.unknown.insert(Kind::Service);
    let codes: Vec<_> = check(&partly, "stdout", &text).iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::HostConflict]);
    // What can be told from the text alone is told.
    let broken = route("a..b", "", "{match: x, services: [{name: web, port: 80}]}");
    let codes: Vec<_> = check(&offline, "stdout", &broken).iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::FqdnInvalid, Code::MatchInvalid]);
}

#[test]
fn another_class_is_judged_by_its_own_controller() {
    let text = route("taken.example.com", "", "{match: /, services: [{name: no, port: 80}]}");
    let text = text
        .replace("name: new}", "name: new, annotations: {kubernetes.io/ingress.class: public}}");
    let codes: Vec<_> = check(&snapshot(), "stdout", &text).iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::ServiceNotFound], "the host is another controller's");
}

#[test]
fn findings_have_their_place_in_the_text() {
    let text = route("shop.example.com", "", "{match: /, services: [{name: wbe, port: 80}]}");
    let found = check(&snapshot(), "stdout", &text);
    let location = &as_json(&found[0])["location"];
    assert_eq!((&location["file"], &location["line"]), (&"stdout".into(), &6.into()));
}
