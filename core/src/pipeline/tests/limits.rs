//! Who gets no part of what there is room for.

use std::fmt::Write as _;

use super::*;
use crate::options::Limits;

fn route(name: &str, created: Option<u32>, spec: &str) -> String {
    let created = created.map_or_else(String::new, |day| {
        format!(", creationTimestamp: \"2026-01-{:02}T00:00:00Z\"", day + 1)
    });
    let (namespace, name) = name.split_once('/').unwrap();
    format!(
        "---\napiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{name: {name}, namespace: {namespace}{created}}}\nspec: {spec}\n"
    )
}

fn service(name: &str, endpoints: usize) -> String {
    let (namespace, name) = name.split_once('/').unwrap();
    let addresses: Vec<_> =
        (0..endpoints).map(|n| format!("{{addresses: [10.0.{}.{}]}}", n / 250, n % 250)).collect();
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{ports: [{{port: 80}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: \"\", port: 8080}}]\nendpoints: [{}]\n",
        addresses.join(",")
    )
}

/// A root for `NAME.test` of so many routes to Service `s`.
fn root(name: &str, created: Option<u32>, routes: usize) -> String {
    let routes: Vec<_> = (0..routes)
        .map(|n| format!("{{match: /{n}, services: [{{name: s, port: 80}}]}}"))
        .collect();
    let host = name.replace('/', "-");
    let spec = format!("{{virtualhost: {{fqdn: {host}.test}}, routes: [{}]}}", routes.join(","));
    route(name, created, &spec)
}

fn limited(limit: impl FnOnce(&mut Limits)) -> Pipeline {
    let mut options = Options::default();
    limit(&mut options.limits);
    Pipeline::new(options)
}

fn told(pipeline: &Pipeline, name: &str) -> Vec<String> {
    let (namespace, name) = name.split_once('/').unwrap();
    let status = pipeline.status(&ObjectRef::new(Kind::IngressRoute, namespace, name));
    let found = status.into_iter().flat_map(|s| &s.diagnostics);
    found.filter(|d| d.code == Code::TooLarge).map(|d| d.message.clone()).collect()
}

/// Which of the roots are refused.
fn refused<'a>(pipeline: &Pipeline, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| !told(pipeline, name).is_empty()).collect()
}

fn bytes_of(pipeline: &Pipeline, host: &str) -> usize {
    let key = ResourceKey::new(ResourceType::Route, format!("http/{host}.test"));
    pipeline.resource(&key).map_or(0, |resource| resource.body.len())
}

fn delete(name: &str) -> Change {
    let (namespace, name) = name.split_once('/').unwrap();
    Change::Delete(ObjectRef::new(Kind::IngressRoute, namespace, name))
}

#[test]
fn an_object_asks_for_so_many_health_checks_and_no_more() {
    let mut world = String::new();
    for s in 0..12 {
        world.push_str(&service(&format!("f/s{s}"), 1));
    }
    let mut spec = "{virtualhost: {fqdn: k.test}, routes: [".to_owned();
    for r in 0..2_000 {
        let services: Vec<_> = (0..12)
            .map(|s| format!("{{name: s{s}, port: 80, healthCheck: {{path: /h{r}}}}}"))
            .collect();
        write!(spec, "{{match: /r{r}, services: [{}]}},", services.join(",")).unwrap();
    }
    spec.push_str("]}");
    world.push_str(&route("f/k", None, &spec));
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&world));
    // As many as are checked, and one for each Service that is not.
    assert_eq!(names(&pipeline, ResourceType::Cluster).len(), 112);
    let told = told(&pipeline, "f/k");
    let [routes, checks] = told.as_slice() else { panic!("{told:?}") };
    assert!(routes.contains("more than 20000 route entries"), "{routes}");
    assert!(checks.contains("24000 different active health checks, of which 100"), "{checks}");
    let status = pipeline.status(&ObjectRef::new(Kind::IngressRoute, "f", "k")).unwrap();
    let fields: Vec<_> = status.diagnostics.iter().map(|d| d.field.as_str()).collect();
    assert_eq!(fields, [".spec.routes[1666]", ".spec.routes[8].services[4].healthCheck"]);
}

#[test]
fn an_object_leads_to_so_many_clusters_and_no_more() {
    let strategies = ["RoundRobin", "Random", "WeightedLeastRequest", "Cookie"];
    let routes: Vec<_> = strategies
        .map(|s| format!("{{match: /{s}, services: [{{name: s, port: 80, strategy: {s}}}]}}"))
        .into();
    let spec = format!("{{virtualhost: {{fqdn: k.test}}, routes: [{}]}}", routes.join(","));
    let mut pipeline = limited(|limits| limits.object_clusters = 3);
    pipeline.apply(changes(&format!("{}{}", service("f/s", 1), route("f/k", None, &spec))));
    assert_eq!(names(&pipeline, ResourceType::Cluster).len(), 3);
    let told = told(&pipeline, "f/k");
    assert!(told[0].contains("leads to 4 different clusters, of which 3"), "{told:?}");
}

#[test]
fn one_check_of_many_routes_and_objects_is_one() {
    let spec = |host: &str| {
        let routes: Vec<_> = (0..50)
            .map(|n| {
                format!(
                    "{{match: /{n}, services: [{{name: s, port: 80, healthCheck: {{path: /ok}}}}]}}"
                )
            })
            .collect();
        format!("{{virtualhost: {{fqdn: {host}.test}}, routes: [{}]}}", routes.join(","))
    };
    let mut world = service("f/s", 3);
    let roots: Vec<_> = (0..40).map(|n| format!("f/r{n}")).collect();
    for (n, root) in roots.iter().enumerate() {
        world.push_str(&route(root, None, &spec(&format!("r{n}"))));
    }
    let mut pipeline = limited(|limits| {
        limits.object_checks = 1;
        limits.namespace.checks = 3;
        limits.namespace.clusters = 1;
        limits.namespace.endpoints = 3;
    });
    pipeline.apply(changes(&world));
    assert_eq!(names(&pipeline, ResourceType::Cluster).len(), 1);
    let names: Vec<_> = roots.iter().map(String::as_str).collect();
    assert!(refused(&pipeline, &names).is_empty());
    // Another endpoint is another check of the one cluster.
    pipeline.apply(changes(&service("f/s", 4)));
    assert_eq!(refused(&pipeline, &names), names);
}

#[test]
fn the_hosts_of_a_namespace_that_do_not_fit_beside_older_ones_answer_503() {
    // Ten routes, and two entries for the host itself.
    let mut pipeline = limited(|limits| limits.namespace.routes = 30);
    let names = ["a/old", "a/young", "a/undated", "b/other"];
    let world = [
        service("a/s", 1),
        service("b/s", 1),
        root("a/old", Some(1), 10),
        root("a/young", Some(2), 10),
        root("a/undated", None, 10),
        root("b/other", None, 10),
    ];
    // The youngest comes first.
    for text in world.iter().rev() {
        pipeline.apply(changes(text));
    }
    assert_eq!(refused(&pipeline, &names), ["a/undated"]);
    assert_eq!(
        told(&pipeline, "a/undated"),
        ["host a-undated.test is not served: its 12 route entries are more than what is left of \
          the 30 that namespace a may have (--limit namespace.routes)"]
    );
    let served = bytes_of(&pipeline, "a-old");
    assert!(bytes_of(&pipeline, "a-undated") < served / 3);

    // An older one that grows pushes the younger ones out, as far as they do not fit.
    let outcome = pipeline.apply(changes(&root("a/old", Some(1), 20)));
    assert_eq!(refused(&pipeline, &names), ["a/young", "a/undated"]);
    assert_eq!(outcome.units, 2, "the one that changed, and the one of which it is decided anew");
    // One that would fill the namespace alone is refused itself.
    pipeline.apply(changes(&root("a/old", Some(1), 29)));
    assert_eq!(refused(&pipeline, &names), ["a/old"]);
    // A change of one that is refused concerns nobody else.
    let outcome = pipeline.apply(changes(&root("a/old", Some(1), 100)));
    assert_eq!((outcome.units, outcome.resources.len()), (1, 0));
    pipeline.apply(vec![delete("a/old")]);
    assert!(refused(&pipeline, &names).is_empty());
    assert!(bytes_of(&pipeline, "a-undated") > served);
}

#[test]
fn routes_that_hosts_share_count_for_each() {
    let shared: Vec<_> =
        (0..50).map(|n| format!("{{match: /w/{n}, services: [{{name: s, port: 80}}]}}")).collect();
    let mut world = service("a/s", 1);
    world.push_str(&route("a/w", None, &format!("{{routes: [{}]}}", shared.join(","))));
    let names: Vec<_> = (0..40).map(|n| format!("a/r{n:02}")).collect();
    for name in &names {
        let host = name.replace('/', "-");
        let spec = format!(
            "{{virtualhost: {{fqdn: {host}.test}}, routes: [{{match: /w, delegate: {{name: w}}}}]}}"
        );
        world.push_str(&route(name, None, &spec));
    }
    let mut pipeline = limited(|limits| limits.namespace.routes = 3 * 52);
    pipeline.apply(changes(&world));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(refused(&pipeline, &names), names[3..]);
    // What is delegated to is not at fault, and has a part in them all.
    assert!(codes(&pipeline, Kind::IngressRoute, "a", "w").is_empty());
    // A further route for all of them is too much for the third.
    let more = format!("{{routes: [{}, {{match: /w}}]}}", shared.join(","));
    pipeline.apply(changes(&route("a/w", None, &more)));
    assert_eq!(refused(&pipeline, &names), names[2..]);
    // Nobody is left where the tree alone is too much.
    let again = shared.join(",").replace("/w/", "/w/x");
    let more = format!("{{routes: [{}, {again}, {}]}}", shared.join(","), again.replace('x', "y"));
    pipeline.apply(changes(&route("a/w", None, &more)));
    assert_eq!(refused(&pipeline, &names), names[1..]);
}

#[test]
fn together_namespaces_get_no_more_than_there_is() {
    let names = ["a/one", "b/two", "c/three"];
    let mut pipeline = limited(|limits| limits.all.routes = 30);
    for (day, name) in (1..).zip(names) {
        pipeline.apply(changes(&root(name, Some(day), 10)));
    }
    assert_eq!(refused(&pipeline, &names), ["c/three"]);
    assert!(told(&pipeline, "c/three")[0].contains("the 30 that all namespaces together"));
    // What its own namespace has no room for takes none of the others'.
    let mut pipeline = limited(|limits| {
        limits.all.routes = 30;
        limits.namespace.routes = 20;
    });
    pipeline.apply(changes(&root("a/large", Some(0), 25)));
    for (day, name) in (1..).zip(["b/two", "c/three"]) {
        pipeline.apply(changes(&root(name, Some(day), 10)));
    }
    assert_eq!(refused(&pipeline, &["a/large", "b/two", "c/three"]), ["a/large"]);
    pipeline.apply(vec![delete("a/large")]);
    assert!(pipeline.apply(changes(&root("d/four", Some(9), 10))).statuses.len() == 1);
    assert_eq!(refused(&pipeline, &["b/two", "c/three", "d/four"]), ["d/four"]);
}

#[test]
fn without_room_for_its_checks_a_service_is_used_unchecked() {
    let checked = |name: &str, day, path: &str| {
        let host = name.replace('/', "-");
        let spec = format!(
            "{{virtualhost: {{fqdn: {host}.test}}, routes: [{{match: /, services: [{{name: s, port: 80, \
             healthCheck: {{path: {path}}}}}]}}]}}"
        );
        route(name, Some(day), &spec)
    };
    let names = ["a/one", "a/two", "a/three"];
    let mut pipeline = limited(|limits| limits.namespace.checks = 5);
    pipeline.apply(changes(&service("a/s", 2)));
    for (day, name) in (1..).zip(names) {
        pipeline.apply(changes(&checked(name, day, &format!("/{day}"))));
    }
    assert_eq!(refused(&pipeline, &names), ["a/three"]);
    assert_eq!(names_of_clusters(&pipeline), 3);
    assert!(told(&pipeline, "a/three")[0].contains("asks for 1 active health checks"));
    // Three endpoints leave room for one.
    pipeline.apply(changes(&service("a/s", 3)));
    assert_eq!(refused(&pipeline, &names), ["a/two", "a/three"]);
    assert_eq!(names_of_clusters(&pipeline), 2);
    pipeline.apply(changes(&service("a/s", 1)));
    assert!(refused(&pipeline, &names).is_empty());
    assert_eq!(names_of_clusters(&pipeline), 3);
}

fn names_of_clusters(pipeline: &Pipeline) -> usize {
    names(pipeline, ResourceType::Cluster).len()
}

#[test]
fn without_room_for_its_clusters_an_object_answers_503() {
    let mut pipeline = limited(|limits| {
        limits.namespace = Amounts { clusters: 2, ..limits.namespace };
    });
    for name in ["a/s", "a/t", "a/u"] {
        pipeline.apply(changes(&service(name, 1)));
    }
    let names = ["a/one", "a/two", "a/three"];
    for (day, (name, service)) in (1..).zip(names.into_iter().zip(["s", "t", "u"])) {
        let text = root(name, Some(day), 1).replace("name: s,", &format!("name: {service},"));
        pipeline.apply(changes(&text));
    }
    assert_eq!(refused(&pipeline, &names), ["a/three"]);
    assert_eq!(names_of_clusters(&pipeline), 2);
    pipeline.apply(vec![delete("a/one")]);
    assert!(refused(&pipeline, &names).is_empty());
    assert_eq!(names_of_clusters(&pipeline), 2);
}

#[test]
fn a_certificate_counts_for_each_host_that_shows_it() {
    let pair = rcgen::generate_simple_self_signed(["*.test".to_owned()]).unwrap();
    let size = pair.cert.pem().len() + pair.signing_key.serialize_pem().len();
    let mut world = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: tls, namespace: a}}\nstringData:\n  \
         tls.crt: {:?}\n  tls.key: {:?}\n{}",
        pair.cert.pem(),
        pair.signing_key.serialize_pem(),
        service("a/s", 1)
    );
    let names = ["a/one", "a/two", "a/three"];
    for name in names {
        let tls = root(name, None, 1).replace(".test}", ".test, tls: {secretName: tls}}");
        world.push_str(&tls);
    }
    let mut pipeline = limited(|limits| limits.namespace.bytes = 5 * size);
    pipeline.apply(changes(&world));
    // By name, for none of them has an age.
    assert_eq!(refused(&pipeline, &names), ["a/two"]);
    assert!(told(&pipeline, "a/two")[0].contains("bytes of routes and certificate"));
}
