use contour_core::xds::ResourceType::{Cluster, Endpoint, Listener, Route, Secret};

use super::*;

struct Lab {
    catalog: Catalog,
    session: Sotw,
    now: Instant,
    revision: u64,
    /// The last response of each type.
    last: BTreeMap<ResourceType, Response>,
}

fn resource(kind: ResourceType, name: &str, version: u32) -> Arc<Resource> {
    let body = format!("{name} {version}").into_bytes();
    Arc::new(Resource::new(ResourceKey::new(kind, name), body, Vec::new()))
}

fn session(catalog: &Catalog) -> Sotw {
    let node = Node { id: "test".into(), cluster: "test".into(), version: None, admin: None };
    let group = catalog.group(None);
    Sotw::new(Arc::new(node), group)
}

impl Lab {
    fn new() -> Self {
        let catalog = Catalog::default();
        Self {
            session: session(&catalog),
            catalog,
            now: Instant::now(),
            revision: 0,
            last: BTreeMap::new(),
        }
    }

    fn publish(&mut self, put: &[Arc<Resource>], gone: &[(ResourceType, &str)]) {
        let put = put.iter().map(|r| (r.key.clone(), Some(Arc::clone(r))));
        let gone = gone.iter().map(|(kind, name)| (ResourceKey::new(*kind, *name), None));
        self.revision += 1;
        self.catalog.publish(self.revision, &put.chain(gone).collect(), self.now);
        self.session.changed(&self.catalog, self.now);
    }

    fn request(&mut self, kind: ResourceType, names: &[&str], error: Option<&str>) {
        let last = self.last.get(&kind);
        let request = Request {
            kind,
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            version: last.map_or_else(String::new, |r| r.version.to_string()),
            nonce: last.map_or_else(String::new, |r| r.nonce.to_string()),
            error: error.map(str::to_owned),
        };
        self.session.request(&request, &self.catalog, self.now);
        self.session.changed(&self.catalog, self.now);
    }

    /// What is sent now: a line for each response.
    fn sent(&mut self) -> String {
        let mut lines = Vec::new();
        while let Some(response) = self.session.poll(&self.catalog, self.now) {
            let names: Vec<_> = response.resources.iter().map(|(n, _)| n.as_ref()).collect();
            lines.push(format!("{} [{}]", response.kind, names.join(" ")));
            self.last.insert(response.kind, response);
        }
        lines.join("\n")
    }
}

#[test]
fn nothing_is_sent_before_the_first_publish() {
    let mut lab = Lab::new();
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "");
    lab.publish(&[], &[]);
    assert_eq!(lab.sent(), "cds []");
}

#[test]
fn every_change_brings_the_whole_state_once() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "cds [a]");
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "");
    lab.publish(&[resource(Cluster, "b", 1)], &[]);
    assert_eq!(lab.sent(), "cds [a b]");
}

#[test]
fn a_slow_client_gets_the_newest_state_only() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "cds [a]");
    for version in 2..100 {
        lab.publish(&[resource(Cluster, "a", version)], &[]);
        assert_eq!(lab.sent(), "");
    }
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "cds [a]");
}

#[test]
fn a_stale_nonce_is_ignored() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Route, "a", 1), resource(Route, "b", 1)], &[]);
    lab.request(Route, &["a"], None);
    assert_eq!(lab.sent(), "rds [a]");
    let stale = Request {
        kind: Route,
        names: vec!["b".to_owned()],
        version: String::new(),
        nonce: "77".to_owned(),
        error: None,
    };
    lab.session.request(&stale, &lab.catalog, lab.now);
    assert_eq!(lab.sent(), "");
}

#[test]
fn names_added_are_answered_and_names_dropped_are_not_sent() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Route, "a", 1), resource(Route, "b", 1)], &[]);
    lab.request(Route, &["a"], None);
    assert_eq!(lab.sent(), "rds [a]");
    lab.request(Route, &["a", "b"], None);
    assert_eq!(lab.sent(), "rds [a b]");
    lab.request(Route, &["b"], None);
    assert_eq!(lab.sent(), "rds [b]");
    lab.request(Route, &[], None);
    lab.sent();
    lab.publish(&[resource(Route, "b", 2)], &[]);
    assert_eq!(lab.sent(), "");
}

#[test]
fn a_reconnecting_client_is_sent_nothing_it_has() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.request(Cluster, &[], None);
    lab.sent();
    let version = lab.last[&Cluster].version.to_string();
    lab.session = session(&lab.catalog);
    let request =
        Request { kind: Cluster, names: Vec::new(), version, nonce: String::new(), error: None };
    lab.session.request(&request, &lab.catalog, lab.now);
    lab.session.changed(&lab.catalog, lab.now);
    assert_eq!(lab.sent(), "");
    let key = ResourceKey::new(Cluster, "a");
    let state = lab.session.state_of(&key, &lab.catalog).map(|(state, _)| state);
    assert_eq!(state, Some(HeldState::Acknowledged));
}

#[test]
fn the_one_resource_that_changed_is_blamed_and_its_last_good_version_sent_on() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Listener, "l", 1), resource(Listener, "m", 1)], &[]);
    lab.request(Listener, &[], None);
    lab.sent();
    lab.request(Listener, &[], None);
    lab.sent();
    lab.session.take_events();
    lab.publish(&[resource(Listener, "l", 2)], &[]);
    assert_eq!(lab.sent(), "lds [l m]");
    lab.request(Listener, &[], Some("no"));
    let events = lab.session.take_events();
    assert!(matches!(&*events, [Event::Rejected { key, .. }] if &*key.name == "l"), "{events:?}");
    assert_eq!(lab.sent(), "lds [l m]");
    let held = &lab.last[&Listener].resources[0].1;
    assert_eq!(held.version, resource(Listener, "l", 1).version);
    lab.request(Listener, &[], None);
    assert_eq!(lab.sent(), "");
    lab.publish(&[resource(Listener, "l", 3)], &[]);
    assert_eq!(lab.sent(), "lds [l m]");
    lab.request(Listener, &[], None);
    lab.sent();
    let events = lab.session.take_events();
    assert!(events.iter().any(|e| matches!(e, Event::Recovered { .. })), "{events:?}");
}

#[test]
fn a_refused_state_that_blames_nobody_is_not_sent_again() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1), resource(Cluster, "b", 1)], &[]);
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "cds [a b]");
    lab.request(Cluster, &[], Some("no"));
    assert_eq!(lab.sent(), "");
    lab.publish(&[resource(Cluster, "a", 2)], &[]);
    assert_eq!(lab.sent(), "cds [a b]");
}

#[test]
fn a_cluster_stays_until_the_routes_that_dropped_it_are_acknowledged() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1), resource(Route, "r", 1)], &[]);
    lab.request(Cluster, &[], None);
    lab.request(Route, &["r"], None);
    lab.sent();
    lab.request(Cluster, &[], None);
    lab.sent();
    lab.request(Route, &["r"], None);
    lab.sent();
    let put = [resource(Cluster, "b", 1), resource(Route, "r", 2)];
    lab.publish(&put, &[(Cluster, "a")]);
    assert_eq!(lab.sent(), "cds [a b]");
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "rds [r]");
    lab.request(Route, &["r"], None);
    assert_eq!(lab.sent(), "cds [b]");
}

#[test]
fn endpoints_are_sent_again_behind_clusters() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "c", 1), resource(Endpoint, "e", 1)], &[]);
    lab.request(Cluster, &[], None);
    lab.request(Endpoint, &["e"], None);
    assert_eq!(lab.sent(), "cds [c]\neds [e]");
    lab.request(Cluster, &[], None);
    lab.request(Endpoint, &["e"], None);
    assert_eq!(lab.sent(), "");
    lab.publish(&[resource(Cluster, "c", 2)], &[]);
    assert_eq!(lab.sent(), "cds [c]\neds [e]");
}

#[test]
fn a_secret_is_found_in_any_case() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Secret, "a.example", 1)], &[]);
    lab.request(Secret, &["A.Example"], None);
    assert_eq!(lab.sent(), "sds [A.Example]");
}

#[test]
fn an_acknowledged_publish_is_reported() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1)], &[]);
    lab.request(Cluster, &[], None);
    lab.sent();
    assert_eq!(lab.session.take_events(), []);
    lab.request(Cluster, &[], None);
    lab.sent();
    let events = lab.session.take_events();
    assert!(matches!(&*events, [Event::Acknowledged { revision: 1, .. }]), "{events:?}");
}

#[test]
fn a_client_that_has_something_keeps_it_while_a_part_of_the_source_cannot_be_read() {
    let mut lab = Lab::new();
    lab.publish(&[resource(Cluster, "a", 1), resource(Cluster, "lost", 1)], &[]);
    lab.request(Cluster, &[], None);
    assert_eq!(lab.sent(), "cds [a lost]");
    let held = lab.last[&Cluster].version.to_string();
    // Another controller, which could not read all.
    let catalog = Catalog::default();
    lab = Lab { session: session(&catalog), catalog, ..Lab::new() };
    let found = resource(Cluster, "a", 1);
    let changed = BTreeMap::from([(found.key.clone(), Some(found))]);
    lab.catalog.publish_partly(1, &changed, &BTreeSet::new(), lab.now);
    lab.session.changed(&lab.catalog, lab.now);
    let first = |kind, version: &str| Request {
        kind,
        names: Vec::new(),
        version: version.to_owned(),
        nonce: String::new(),
        error: None,
    };
    lab.session.request(&first(Cluster, &held), &lab.catalog, lab.now);
    lab.session.request(&first(Listener, ""), &lab.catalog, lab.now);
    assert_eq!(lab.sent(), "lds []");
    lab.catalog.release();
    lab.session.changed(&lab.catalog, lab.now);
    assert_eq!(lab.sent(), "cds [a]");
}
