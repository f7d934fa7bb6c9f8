//! What there is to say of an object does not grow with the number of its faults.

use std::fmt::Write as _;

use super::*;
use crate::diagnostic::SHOWN;

fn route(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{name: {name}, namespace: a}}\nspec: {spec}\n"
    )
}

fn status(pipeline: &Pipeline, name: &str) -> Arc<ObjectStatus> {
    let status = pipeline.status(&ObjectRef::new(Kind::IngressRoute, "a", name));
    Arc::clone(status.expect("the object has a status"))
}

#[test]
fn the_faults_of_an_object_are_counted_beyond_the_first() {
    let mut faulty = r#"{"virtualhost": {"fqdn": "r.test"}, "routes": ["#.to_owned();
    for route in 0..2_000 {
        let services: Vec<_> =
            (0..64).map(|s| format!(r#"{{"name": "s{s}", "port": 80}}"#)).collect();
        let comma = if route == 0 { "" } else { "," };
        let services = services.join(",");
        write!(faulty, r#"{comma}{{"match": "/r{route}", "services": [{services}]}}"#).unwrap();
    }
    faulty.push_str("]}");
    let mut pipeline = Pipeline::new(Options::default());
    let outcome = pipeline.apply(changes(&route("r", &faulty)));
    assert_eq!(outcome.statuses.len(), 1);
    let told = status(&pipeline, "r");
    assert_eq!(told.state, State::Invalid);
    assert_eq!(told.diagnostics.len(), SHOWN + 1);
    assert!(told.diagnostics.iter().all(|d| d.code == Code::ServiceNotFound));
    let last = told.diagnostics.last().unwrap();
    assert_eq!(last.message, format!("and {} more findings of this kind", 128_000 - SHOWN));
    assert!(told.diagnostics[0].field.as_str().starts_with(".spec.routes[0].services["));
    // What is kept to find out what differs is no more than what is said.
    assert_eq!(pipeline.reports.kept(), SHOWN);

    let outcome = pipeline.apply(changes(&route("r", r#"{"virtualhost": {"fqdn": "r.test"}}"#)));
    let told = outcome.statuses.values().flatten().next().expect("the status differs");
    assert_eq!(told.diagnostics.len(), 1, "{told:?}");
}

#[test]
fn faults_of_the_object_by_itself_are_counted_as_well() {
    let routes: Vec<_> = (0..100).map(|n| format!("{{match: bad{n}}}")).collect();
    let spec = format!("{{virtualhost: {{fqdn: r.test}}, routes: [{}]}}", routes.join(","));
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&route("r", &spec)));
    let told = status(&pipeline, "r");
    assert_eq!(told.diagnostics.len(), SHOWN + 1, "{told:?}");
    assert!(told.diagnostics[SHOWN].message.starts_with("and 80 more"), "{told:?}");
    // One beyond what is shown.
    let spec = spec.replace("{match: bad0},", "").replace("bad", "/ok/bad");
    let spec = spec.replacen("/ok/bad", "bad", SHOWN + 1);
    pipeline.apply(changes(&route("r", &spec)));
    let told = status(&pipeline, "r");
    let last = told.diagnostics.iter().rfind(|d| d.code == Code::MatchInvalid);
    assert_eq!(last.map(|d| d.message.as_str()), Some("and 1 more finding of this kind"));
}

#[test]
fn roots_that_share_a_tree_find_its_faults_once() {
    let names: Vec<_> = (0..60).map(|n| format!("n{n}")).collect();
    let delegate =
        |prefix: &str, name: &str| format!("{{match: {prefix}, delegate: {{name: {name}}}}}");
    let mut world = String::new();
    for name in &names {
        let routes: Vec<_> =
            names.iter().filter(|n| *n != name).map(|n| delegate("/", n)).collect();
        world.push_str(&route(name, &format!("{{routes: [{}]}}", routes.join(","))));
    }
    for root in 0..20 {
        let spec =
            format!("{{virtualhost: {{fqdn: r{root}.test}}, routes: [{}]}}", delegate("/", "n0"));
        world.push_str(&route(&format!("root{root}"), &spec));
    }
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.apply(changes(&world));
    let all: Vec<_> = pipeline.statuses().flat_map(|(_, status)| &status.diagnostics).collect();
    // A code of findings that an object has, and what is beyond them.
    let codes = all.iter().map(|d| (&d.object, d.code)).collect::<BTreeSet<_>>().len();
    assert!(codes > 60, "{codes}");
    assert!(all.len() <= codes * (SHOWN + 1), "{} findings of {codes} codes", all.len());
    assert!(all.len() < 3_000, "{}", all.len());
    let cycle = all.iter().find(|d| d.code == Code::DelegationCycle).expect("there are cycles");
    assert!(!cycle.message.contains("root"), "{cycle}");
    assert!(pipeline.reports.kept() <= codes * SHOWN);
}
