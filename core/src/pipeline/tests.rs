mod findings;
mod limits;

use super::*;
use crate::diagnostic::Code;
use crate::manifest;
use crate::xds::ResourceType;

const WORLD: &str = r"
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: shop, namespace: demo}
spec:
  virtualhost: {fqdn: Shop.example.com}
  routes:
  - match: /
    services:
    - {name: blue, port: 80, weight: 90}
    - {name: green, port: 80, weight: 10}
  - match: /team
    delegate: {name: team, namespace: team}
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: team, namespace: team}
spec:
  routes:
  - match: /team/a
    services: [{name: a, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: blue, namespace: demo}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: green, namespace: demo}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: blue-1, namespace: demo, labels: {kubernetes.io/service-name: blue}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- addresses: [10.0.0.2]
- addresses: [10.0.0.1]
- addresses: [127.0.0.1]
";

fn changes(text: &str) -> Vec<Change> {
    let manifest = manifest::read("world.yaml", text, manifest::Limits::default());
    assert!(manifest.diagnostics.is_empty(), "{:?}", manifest.diagnostics);
    let documents = manifest.documents.into_iter();
    documents
        .map(|d| {
            Change::Apply(Box::new(d.object.expect("the test's own text")), d.diagnostics.into())
        })
        .collect()
}

fn names(pipeline: &Pipeline, kind: ResourceType) -> Vec<String> {
    pipeline.resources().filter(|r| r.key.kind == kind).map(|r| r.key.name.to_string()).collect()
}

fn codes(pipeline: &Pipeline, kind: Kind, namespace: &str, name: &str) -> Vec<Code> {
    let status = pipeline.status(&ObjectRef::new(kind, namespace, name));
    status.map(|s| s.diagnostics.iter().map(|d| d.code).collect()).unwrap_or_default()
}

fn all(pipeline: &Pipeline) -> (Vec<Arc<Resource>>, BTreeMap<ObjectRef, Arc<ObjectStatus>>) {
    let statuses = pipeline.statuses().map(|(o, s)| (o.clone(), Arc::clone(s))).collect();
    (pipeline.resources().cloned().collect(), statuses)
}

#[test]
fn a_world_becomes_scopes_routes_clusters_and_endpoints() {
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(WORLD));
    assert_eq!(names(&pipeline, ResourceType::ScopedRoute), ["http/shop.example.com"]);
    assert_eq!(names(&pipeline, ResourceType::Route), ["http/shop.example.com"]);
    assert_eq!(
        names(&pipeline, ResourceType::Listener),
        ["gate", "ingress_http", "ingress_https", "stats"]
    );
    assert_eq!(names(&pipeline, ResourceType::Endpoint), ["demo/blue/http", "demo/green/http"]);
    assert_eq!(names(&pipeline, ResourceType::Cluster).len(), 2);
    assert_eq!(codes(&pipeline, Kind::IngressRoute, "demo", "shop"), []);
    assert_eq!(codes(&pipeline, Kind::IngressRoute, "team", "team"), [Code::ServiceNotFound]);
    assert_eq!(codes(&pipeline, Kind::Service, "demo", "green"), [Code::NoEndpoints]);
    assert_eq!(codes(&pipeline, Kind::EndpointSlice, "demo", "blue-1"), [Code::EndpointNotAllowed]);
    let team = ObjectRef::new(Kind::IngressRoute, "team", "team");
    assert!(pipeline.resources_of(&team).iter().any(|k| k.kind == ResourceType::Route));
    let cluster = pipeline.resources().find(|r| r.key.kind == ResourceType::Cluster).unwrap();
    assert!(pipeline.owners(&cluster.key).contains(&team));
}

#[test]
fn a_weight_changes_one_resource_by_one_unit() {
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(WORLD));
    let outcome = pipeline.apply(changes(&WORLD.replace("weight: 90", "weight: 50")));
    assert_eq!(outcome.units, 1);
    let keys: Vec<_> = outcome.resources.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["rds:http/shop.example.com"]);
    assert!(outcome.statuses.is_empty());
}

#[test]
fn what_goes_takes_along_what_only_it_used() {
    let mut pipeline = Pipeline::new(Options::default());
    let empty = all(&pipeline);
    let world = changes(WORLD);
    pipeline.apply(world.clone());
    for change in world {
        let Change::Apply(object, _) = change else {
            continue;
        };
        pipeline.apply(vec![Change::Delete(object.reference())]);
    }
    assert_eq!(all(&pipeline), empty);
    assert!(pipeline.values.is_empty() && pipeline.chains.is_empty());
}

#[test]
fn what_appears_later_reaches_who_looked_for_it() {
    let mut pipeline = Pipeline::new(Options::default());
    for change in changes(WORLD) {
        pipeline.apply(vec![change]);
    }
    let mut at_once = Pipeline::new(Options::default());
    at_once.apply(changes(WORLD));
    assert_eq!(all(&pipeline), all(&at_once));
    let service = "
apiVersion: v1
kind: Service
metadata: {name: a, namespace: team}
spec: {ports: [{port: 80}]}
";
    pipeline.apply(changes(service));
    assert_eq!(codes(&pipeline, Kind::IngressRoute, "team", "team"), []);
}

#[test]
fn the_older_root_keeps_a_host() {
    let root = |name: &str, created: &str| {
        format!(
            "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {{name: {name}, namespace: x, \
             creationTimestamp: {created:?}}}\nspec:\n  virtualhost: {{fqdn: a.example.com}}\n  routes:\n  - match: /\n    \
             services: [{{name: blue, port: 80}}]\n"
        )
    };
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&root("younger", "2026-01-02T00:00:00Z")));
    pipeline.apply(changes(&root("zolder", "2026-01-01T00:00:00Z")));
    assert_eq!(codes(&pipeline, Kind::IngressRoute, "x", "younger"), [Code::HostConflict]);
    assert!(!codes(&pipeline, Kind::IngressRoute, "x", "zolder").contains(&Code::HostConflict));
    pipeline.apply(vec![Change::Delete(ObjectRef::new(Kind::IngressRoute, "x", "zolder"))]);
    assert!(!codes(&pipeline, Kind::IngressRoute, "x", "younger").contains(&Code::HostConflict));
}

/// A root without a time of creation.
fn undated(name: &str, host: &str) -> Change {
    let text = format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {{name: {name}, namespace: x}}\n\
         spec:\n  virtualhost: {{fqdn: {host}.example.com}}\n  routes:\n  - match: /\n    \
         services: [{{name: blue, port: 80}}]\n"
    );
    changes(&text).remove(0)
}

/// Applies changes that came at this place of the order.
fn at(pipeline: &mut Pipeline, arrival: u64, mut changes: Vec<Change>) {
    pipeline.date(&mut changes, arrival);
    drop(pipeline.apply(changes));
}

/// Who claims a host, and what those are told who do not have it.
fn claims(pipeline: &Pipeline, host: &str) -> (Vec<String>, Vec<String>) {
    let fqdn = Fqdn::parse(&format!("{host}.example.com")).expect("a host");
    let names: Vec<_> = pipeline.claimants(&fqdn).map(|name| name.name.to_string()).collect();
    let told = names.iter().map(|name| {
        let status = pipeline.status(&ObjectRef::new(Kind::IngressRoute, "x", name.as_str()));
        let mut all = status.into_iter().flat_map(|status| &status.diagnostics);
        let conflict = all.find(|d| d.code == Code::HostConflict);
        conflict.map(|d| d.message.clone()).unwrap_or_default()
    });
    let told = told.collect();
    (names, told)
}

#[test]
fn who_has_a_host_keeps_it_where_nobody_has_an_age() {
    let mut pipeline = Pipeline::new(Options::default());
    at(&mut pipeline, 0, vec![undated("m", "a"), undated("n", "a"), undated("z", "b")]);
    let used = "fqdn \"a.example.com\" is used in multiple IngressRoutes:";
    let by_name = format!(
        "{used} m has it, for its namespace and name come first and nothing else tells them apart"
    )
    .replace("m has", "x/m has");
    let kept = format!("{used} x/m, which claimed it earlier, has it");
    let expected = |names: &[&str], told: &[&str]| {
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        (own(names), own(told))
    };
    // At the start the name decides.
    assert_eq!(claims(&pipeline, "a"), expected(&["m", "n"], &["", &by_name]));
    // Who comes later does not take it, whatever the name; nor who held another host for longer.
    at(&mut pipeline, 1, vec![undated("b", "a")]);
    at(&mut pipeline, 2, vec![undated("z", "a")]);
    let told = ["", &by_name, &kept, &kept];
    assert_eq!(claims(&pipeline, "a"), expected(&["m", "n", "b", "z"], &told));
    // An edit is no new claim; giving it up and taking it again is one.
    at(&mut pipeline, 3, vec![undated("m", "a"), undated("b", "a")]);
    assert_eq!(claims(&pipeline, "a").0, ["m", "n", "b", "z"]);
    at(&mut pipeline, 4, vec![undated("m", "c")]);
    at(&mut pipeline, 5, vec![undated("m", "a")]);
    let kept = kept.replace("x/m", "x/n");
    let told = ["", &kept, &kept, &kept];
    assert_eq!(claims(&pipeline, "a"), expected(&["n", "b", "z", "m"], &told));
}

#[test]
fn a_claim_with_a_time_of_creation_comes_before_those_without() {
    let mut dated = undated("zz", "a");
    if let Change::Apply(object, _) = &mut dated {
        object.metadata_mut().creation_timestamp = Some(Timestamp::from_unix(7));
    }
    let mut pipeline = Pipeline::new(Options::default());
    at(&mut pipeline, 0, vec![undated("m", "a")]);
    at(&mut pipeline, 1, vec![dated]);
    let (names, told) = claims(&pipeline, "a");
    assert_eq!(names, ["zz", "m"]);
    assert!(told[1].ends_with(": x/zz, which has a time of creation, has it"), "{told:?}");
}

/// Any other byte would close all connections of the chain and drop its certificates
/// (docs/decisions/0010-chains-beside-the-default-chain.md).
#[test]
fn no_host_changes_a_byte_of_the_default_chain_or_of_the_listener_around_the_chains() {
    use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
    use prost::Message as _;

    let listener = |pipeline: &Pipeline| -> (FilterChain, Listener) {
        let key = ResourceKey::new(ResourceType::Listener, xds::HTTPS_LISTENER);
        let resource = pipeline.resource(&key).expect("the listener is always there");
        let mut listener = Listener::decode(resource.body.clone()).expect("our own bytes");
        let chains = std::mem::take(&mut listener.filter_chains);
        // Which chain a name gets is changed in place, and drains nobody.
        listener.filter_chain_matcher = None;
        let mut default = chains.into_iter().filter(|chain| chain.name == "tls-1.2");
        (default.next().expect("the default chain"), listener)
    };
    let host = |name: &str, certificate: &rcgen::CertifiedKey<rcgen::KeyPair>, rest: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: demo}}\nstringData:\n  \
             tls.crt: {:?}\n  tls.key: {:?}\n---\n\
             apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
             metadata: {{name: {name}, namespace: demo}}\nspec:\n  virtualhost:\n    \
             fqdn: {name}.example.com\n{rest}\n---\n",
            certificate.cert.pem(),
            certificate.signing_key.serialize_pem()
        )
    };
    let mut pipeline = Pipeline::new(Options::default());
    let before = listener(&pipeline);
    let routes = "  routes:\n  - match: /\n    services: [{name: blue, port: 80}]";
    let tcp = "  tcpproxy:\n    services: [{name: blue, port: 80}]";
    for (name, rest) in [
        ("plain", routes.to_owned()),
        ("default", format!("    tls: {{secretName: default}}\n{routes}")),
        (
            "strict",
            format!("    tls: {{secretName: strict, minimumProtocolVersion: \"1.3\"}}\n{routes}"),
        ),
        ("passed", format!("    tls: {{passthrough: true}}\n{tcp}")),
        ("ended", format!("    tls: {{secretName: ended}}\n{tcp}")),
    ] {
        let pair = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).unwrap();
        let outcome = pipeline.apply(changes(&format!("{}{WORLD}", host(name, &pair, &rest))));
        assert!(codes(&pipeline, Kind::IngressRoute, "demo", name).is_empty(), "{name}");
        assert_eq!(listener(&pipeline), before, "{name}");
        let key = ResourceKey::new(ResourceType::Listener, xds::HTTPS_LISTENER);
        let has_chain = matches!(name, "strict" | "passed" | "ended");
        assert_eq!(outcome.resources.contains_key(&key), has_chain, "{name}");
    }
}

#[test]
fn each_object_is_told_of_its_own_duplicate_match() {
    let text = "
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: root, namespace: demo}
spec:
  virtualhost: {fqdn: twice.example.com}
  routes:
  - match: /a
    services: [{name: blue, port: 80}]
  - match: /
    delegate: {name: first}
  - match: /
    delegate: {name: second}
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: first, namespace: demo}
spec: {routes: [{match: /a, services: [{name: blue, port: 80}]}]}
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: second, namespace: demo}
spec: {routes: [{match: /a, services: [{name: blue, port: 80}]}]}
---
";
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&format!("{text}{WORLD}")));
    for name in ["first", "second"] {
        let told = codes(&pipeline, Kind::IngressRoute, "demo", name);
        assert_eq!(told, [Code::DuplicateMatch], "{name}");
    }
}

#[test]
fn the_owners_of_a_resource_are_those_of_its_hosts_each_once() {
    let pair = rcgen::generate_simple_self_signed(["*.example.com".to_owned()]).unwrap();
    let mut text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: tls, namespace: demo}}\nstringData:\n  \
         tls.crt: {:?}\n  tls.key: {:?}\n---\n",
        pair.cert.pem(),
        pair.signing_key.serialize_pem()
    );
    let tls = "tls: {secretName: tls}";
    let routes = "routes: [{match: /, delegate: {name: child}}]";
    let tcp = "tcpproxy: {services: [{name: blue, port: 80}]}";
    for (name, tls, rest) in
        [("one", tls, routes), ("two", "", routes), ("own-chain", "tls: {passthrough: true}", tcp)]
    {
        let root = format!(
            "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
             metadata: {{name: {name}, namespace: demo}}\nspec:\n  virtualhost:\n    \
             fqdn: {name}.example.com\n    {tls}\n  {rest}\n---\n"
        );
        text.push_str(&root);
    }
    text.push_str(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {name: child, namespace: demo}\n\
         spec: {routes: [{match: /, services: [{name: green, port: 80}]}]}\n---\n",
    );
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&format!(
        "{text}{}",
        WORLD.replace("name: green, port: 80", "name: x, port: 1")
    )));
    let owners = |key: &ResourceKey| -> Vec<String> {
        pipeline.owners(key).iter().map(ToString::to_string).collect()
    };
    let green = pipeline
        .resources()
        .map(|r| &r.key)
        .find(|key| key.kind == ResourceType::Cluster && key.name.starts_with("demo/green/"));
    assert_eq!(
        owners(green.expect("the child's cluster")),
        [
            "IngressRoute demo/child",
            "IngressRoute demo/one",
            "IngressRoute demo/two",
            "Service demo/green"
        ]
    );
    let warm = Bucket::of(&Fqdn::parse("one.example.com").unwrap()).key();
    assert_eq!(owners(&warm), ["IngressRoute demo/child", "IngressRoute demo/one"]);
    let https = ResourceKey::new(ResourceType::Listener, xds::HTTPS_LISTENER);
    assert_eq!(owners(&https), ["IngressRoute demo/own-chain"]);
}

#[test]
fn endpoints_are_counted_that_traffic_can_go_to() {
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(WORLD));
    let ready = |name: &str, port| pipeline.ready(&ObjectName::new("demo", name), port);
    // One of the three is a loopback address.
    assert_eq!((ready("blue", 80), ready("blue", 81)), (2, 0));
    assert_eq!((ready("green", 80), ready("red", 80)), (0, 0));
    assert!(pipeline.has(&ObjectRef::new(Kind::IngressRoute, "demo", "shop")));
    let mut other = changes(WORLD);
    if let Some(Change::Apply(object, _)) = other.first_mut()
        && let Object::IngressRoute(route) = &mut **object
    {
        let class = ("kubernetes.io/ingress.class".into(), "other".into());
        route.metadata.annotations.extend([class]);
    }
    pipeline.apply(other);
    assert!(!pipeline.has(&ObjectRef::new(Kind::IngressRoute, "demo", "shop")));
}
