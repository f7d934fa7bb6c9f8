use contour_core::xds::ResourceType::{Cluster, Endpoint, Listener, Route};

use super::*;

struct Lab {
    cache: Cache,
    revision: u64,
    groups: [Group; 2],
}

fn key(kind: ResourceType, name: &str) -> ResourceKey {
    ResourceKey::new(kind, name)
}

fn resource(kind: ResourceType, name: &str, version: u32, needs: &[ResourceKey]) -> Resource {
    let body = format!("{name} {version}").into_bytes();
    Resource::new(key(kind, name), body, needs.to_vec())
}

impl Lab {
    fn new() -> Self {
        let mut cache = Cache::default();
        let version = |minor| Some(EnvoyVersion { major: 1, minor, patch: 0 });
        let groups = [cache.group(version(39)), cache.group(version(40))];
        Self { cache, revision: 0, groups }
    }

    fn publish(&mut self, put: Vec<Resource>, gone: &[ResourceKey]) {
        let put = put.into_iter().map(|r| (r.key.clone(), Some(Arc::new(r))));
        let gone = gone.iter().map(|key| (key.clone(), None));
        self.revision += 1;
        self.cache.publish(self.revision, &put.chain(gone).collect(), Instant::now());
    }

    fn acknowledge(&mut self, resource: &Resource, group: usize) {
        let item = (&resource.key.name, resource.version);
        self.cache.acknowledge(resource.key.kind, self.groups[group], std::iter::once(item));
    }

    fn refuse(&mut self, resource: &Resource, group: usize) {
        let (key, message) = (&resource.key, "no".into());
        self.cache.refuse(key, resource.version, self.groups[group], &message);
    }

    fn desired(&self, key: &ResourceKey, group: usize) -> Option<Version> {
        self.cache.desired_version(key, self.groups[group])
    }
}

#[test]
fn the_last_acknowledged_version_stands_in_for_one_that_a_release_refused() {
    let mut lab = Lab::new();
    let [v1, v2, v3] = [1, 2, 3].map(|v| resource(Route, "r", v, &[]));
    lab.publish(vec![v1.clone()], &[]);
    lab.acknowledge(&v1, 0);
    // Nobody acknowledged this one, so it is no stand-in.
    lab.publish(vec![v2], &[]);
    lab.publish(vec![v3.clone()], &[]);
    lab.refuse(&v3, 1);
    assert_eq!(lab.desired(&v3.key, 0), Some(v3.version));
    assert_eq!(lab.desired(&v3.key, 1), Some(v1.version));
    lab.refuse(&v1, 1);
    assert_eq!(lab.desired(&v3.key, 1), None);
}

#[test]
fn a_version_that_one_envoy_of_a_release_took_is_not_withheld_from_the_others() {
    let mut lab = Lab::new();
    let [v1, v2] = [1, 2].map(|v| resource(Route, "r", v, &[]));
    lab.publish(vec![v1.clone()], &[]);
    lab.acknowledge(&v1, 0);
    lab.publish(vec![v2.clone()], &[]);
    lab.refuse(&v2, 0);
    assert_eq!(lab.desired(&v2.key, 0), Some(v1.version));
    lab.acknowledge(&v2, 0);
    assert_eq!(lab.desired(&v2.key, 0), Some(v2.version));
    lab.refuse(&v2, 0);
    assert_eq!(lab.desired(&v2.key, 0), Some(v2.version));
}

#[test]
fn a_refused_version_is_remembered_while_others_come_and_go() {
    let mut lab = Lab::new();
    let [v1, v2] = [1, 2].map(|v| resource(Route, "r", v, &[]));
    lab.publish(vec![v2.clone()], &[]);
    lab.refuse(&v2, 0);
    lab.publish(vec![v1], &[]);
    lab.publish(vec![], &[key(Route, "r")]);
    lab.publish(vec![v2.clone()], &[]);
    assert_eq!(lab.desired(&v2.key, 0), None);
    assert_eq!(lab.desired(&v2.key, 1), Some(v2.version));
}

#[test]
fn what_a_last_good_version_needs_comes_back_with_all_that_it_needs() {
    let mut lab = Lab::new();
    let cluster = resource(Cluster, "c", 1, &[key(Endpoint, "e")]);
    let good = resource(Route, "r", 1, &[key(Cluster, "c")]);
    let bad = resource(Route, "r", 2, &[]);
    let endpoint = resource(Endpoint, "e", 1, &[]);
    lab.publish(vec![cluster, endpoint, good.clone()], &[]);
    lab.acknowledge(&good, 0);
    lab.publish(vec![bad.clone()], &[key(Cluster, "c"), key(Endpoint, "e")]);
    assert_eq!(lab.desired(&key(Cluster, "c"), 0), None);
    lab.refuse(&bad, 0);
    assert!(lab.desired(&key(Cluster, "c"), 0).is_some());
    assert!(lab.desired(&key(Endpoint, "e"), 0).is_some());
    // Mended, and acknowledged: they go for good.
    let mended = resource(Route, "r", 3, &[]);
    lab.publish(vec![mended.clone()], &[]);
    assert!(lab.desired(&key(Cluster, "c"), 0).is_some());
    lab.acknowledge(&mended, 0);
    assert_eq!(lab.desired(&key(Cluster, "c"), 0), None);
    assert_eq!(lab.desired(&key(Endpoint, "e"), 0), None);
}

#[test]
fn what_a_last_good_version_needs_stays_though_it_is_withdrawn_later() {
    let mut lab = Lab::new();
    let cluster = resource(Cluster, "c", 1, &[]);
    let good = resource(Route, "r", 1, std::slice::from_ref(&cluster.key));
    let [bad, mended] = [2, 3].map(|v| resource(Route, "r", v, &[]));
    lab.publish(vec![cluster.clone(), good.clone()], &[]);
    lab.acknowledge(&cluster, 0);
    lab.acknowledge(&good, 0);
    // Somebody else uses the cluster still.
    lab.publish(vec![bad.clone()], &[]);
    lab.refuse(&bad, 0);
    lab.publish(vec![], std::slice::from_ref(&cluster.key));
    assert_eq!(lab.desired(&good.key, 0), Some(good.version));
    assert_eq!(lab.desired(&cluster.key, 0), Some(cluster.version));
    lab.publish(vec![mended.clone()], &[]);
    lab.acknowledge(&mended, 0);
    assert_eq!(lab.desired(&cluster.key, 0), None);
}

#[test]
fn a_route_stays_at_its_last_good_version_while_a_cluster_of_the_newest_is_refused() {
    let mut lab = Lab::new();
    let [old, new] = ["old", "new"].map(|name| resource(Cluster, name, 1, &[]));
    let [v1, v2, v3] = [(1, &old), (2, &new), (3, &new)]
        .map(|(v, cluster)| resource(Route, "r", v, std::slice::from_ref(&cluster.key)));
    let fresh = resource(Route, "fresh", 1, std::slice::from_ref(&new.key));
    lab.publish(vec![old.clone(), v1.clone()], &[]);
    lab.acknowledge(&old, 0);
    lab.acknowledge(&v1, 0);
    lab.publish(vec![new.clone(), v2.clone(), fresh.clone()], std::slice::from_ref(&old.key));
    lab.refuse(&new, 0);
    assert_eq!(lab.desired(&v1.key, 0), Some(v1.version));
    assert_eq!(lab.desired(&v1.key, 1), Some(v2.version), "another release may take it");
    assert_eq!(lab.desired(&old.key, 0), Some(old.version), "the last good version needs it");
    assert_eq!(lab.desired(&fresh.key, 0), Some(fresh.version), "it has no better form");
    // A later version with the same need fares no better, until the cluster is taken.
    lab.publish(vec![v3.clone()], &[]);
    assert_eq!(lab.desired(&v1.key, 0), Some(v1.version));
    let mended = resource(Cluster, "new", 2, &[]);
    lab.publish(vec![mended.clone()], &[]);
    lab.acknowledge(&mended, 0);
    assert_eq!(lab.desired(&v3.key, 0), Some(v3.version));
}

#[test]
fn the_journal_says_what_changed_since_a_position_or_that_it_does_not_know() {
    let mut lab = Lab::new();
    lab.publish(vec![resource(Cluster, "a", 1, &[])], &[]);
    let position = lab.cache.position().sequence;
    lab.publish(vec![resource(Cluster, "b", 1, &[])], &[]);
    // Nothing changes here.
    lab.publish(vec![resource(Cluster, "b", 1, &[])], &[key(Cluster, "never")]);
    let steps = lab.cache.since(position).expect("remembered");
    let keys: Vec<_> = steps.iter().map(|step| step.keys.clone()).collect();
    assert_eq!(keys, [vec![key(Cluster, "b")], vec![]]);
    let many = 0..u32::try_from(JOURNAL_KEYS).unwrap();
    lab.publish(many.map(|i| resource(Endpoint, &i.to_string(), 1, &[])).collect(), &[]);
    assert!(lab.cache.since(position).is_none());
}

#[test]
fn a_listener_that_one_machine_cannot_have_is_tried_on_the_others() {
    let mut lab = Lab::new();
    let [v1, v2] = [1, 2].map(|v| resource(Listener, "l", v, &[]));
    lab.publish(vec![v1.clone()], &[]);
    lab.refuse(&v1, 0);
    assert_eq!(lab.desired(&v1.key, 0), Some(v1.version));
    // Where there is an older one that works, nobody is made to try.
    lab.acknowledge(&v1, 0);
    lab.publish(vec![v2.clone()], &[]);
    lab.refuse(&v2, 0);
    assert_eq!(lab.desired(&v2.key, 0), Some(v1.version));
}
