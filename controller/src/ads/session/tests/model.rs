//! Random histories against a model of Envoy.
//!
//! The model warms clusters: it withholds its answers about clusters until their endpoints have
//! come, and it asks for endpoints and routes by name when it learns of them, as Envoy does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use contour_core::xds::ResourceType::{Cluster, Endpoint, Route, ScopedRoute, Secret};
use proptest::prelude::*;

use super::super::super::node::EnvoyVersion;
use super::super::*;
use super::lab::{key, names, request};

/// Resources of each type.
const NAMES: u8 = 4;
/// Of these versions, the last is refused by one release of Envoy, the one before by the other.
const VERSIONS: u8 = 5;

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Change>),
    /// The server sends up to that many responses.
    Send(usize, u8),
    /// The client answers up to that many.
    Answer(usize, u8),
    AskForSecret(usize, u8),
    DropSecret(usize, u8),
    AskAgain(usize, u8),
    Reconnect(usize),
    Pass(u16),
}

#[derive(Clone, Debug)]
struct Change {
    kind: ResourceType,
    name: u8,
    /// 0: withdrawn.
    version: u8,
    /// The clusters that a route or scope needs, a bit for each.
    needs: u8,
}

impl Change {
    fn key(&self) -> ResourceKey {
        key(self.kind, &self.name.to_string())
    }

    fn resource(&self) -> Option<Arc<Resource>> {
        let needs: Vec<_> = match self.kind {
            ResourceType::Cluster => vec![key(Endpoint, &self.name.to_string())],
            ResourceType::Route | ResourceType::ScopedRoute => {
                let needed = (0..NAMES).filter(|i| self.needs & (1 << i) != 0);
                needed.map(|i| key(Cluster, &i.to_string())).collect()
            }
            ResourceType::Endpoint | ResourceType::Secret | ResourceType::Listener => Vec::new(),
        };
        let body = format!("{} {needs:?}", self.version).into_bytes();
        (self.version > 0).then(|| Arc::new(Resource::new(self.key(), body, needs)))
    }
}

/// Whether the release refuses the resource.
fn is_bad(resource: &Resource, client: usize) -> bool {
    let bad = [VERSIONS, VERSIONS - 1][client];
    resource.body.starts_with(format!("{bad} ").as_bytes())
}

struct Client {
    number: usize,
    session: Session,
    held: BTreeMap<ResourceKey, Arc<Resource>>,
    asked: BTreeSet<ResourceKey>,
    inbox: VecDeque<Response>,
    /// Answers about clusters, while any cluster warms.
    withheld: Vec<(Request, Option<Arc<Resource>>)>,
    warming: BTreeSet<Arc<str>>,
}

struct World {
    catalog: Catalog,
    published: BTreeMap<ResourceKey, Arc<Resource>>,
    revision: u64,
    now: Instant,
    clients: Vec<Client>,
    /// What a release refused alone.
    refused: [BTreeSet<(ResourceKey, Version)>; 2],
    /// No time passes in which the server could lose patience.
    patient: bool,
}

impl World {
    fn new(patient: bool) -> Self {
        let catalog = Catalog::default();
        let now = Instant::now();
        let clients = (0..2).map(|number| {
            Client::connect(number, &catalog, (BTreeMap::new(), BTreeSet::new()), now)
        });
        Self {
            clients: clients.collect(),
            catalog,
            published: BTreeMap::new(),
            revision: 0,
            now,
            refused: Default::default(),
            patient,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Publish(changes) => self.publish(changes),
            Step::Send(client, count) => {
                for _ in 0..*count {
                    self.send(*client);
                }
            }
            Step::Answer(client, count) => {
                for _ in 0..*count {
                    self.answer(*client);
                }
            }
            Step::AskForSecret(client, name) => self.ask(*client, Secret, *name),
            Step::AskAgain(client, name) => {
                if self.clients[*client].asked.contains(&key(Route, &name.to_string())) {
                    self.ask(*client, Route, *name);
                }
            }
            Step::DropSecret(client, name) => {
                let key = key(Secret, &name.to_string());
                let client = &mut self.clients[*client];
                client.drop_name(&key, &self.catalog, self.now);
            }
            Step::Reconnect(number) => {
                let client = &mut self.clients[*number];
                let state = (client.held.clone(), client.asked.clone());
                *client = Client::connect(*number, &self.catalog, state, self.now);
            }
            Step::Pass(ms) => {
                let ms = if self.patient { *ms % 3 } else { *ms };
                self.pass(Duration::from_millis(ms.into()));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for client in &mut self.clients {
            client.session.tick(self.now);
        }
    }

    fn publish(&mut self, changes: &[Change]) {
        let mut changes: BTreeMap<_, _> = changes.iter().map(|c| (c.key(), c.resource())).collect();
        if self.patient {
            self.keep_what_is_needed(&mut changes);
        }
        for (key, resource) in &changes {
            match resource {
                Some(resource) => self.published.insert(key.clone(), Arc::clone(resource)),
                None => self.published.remove(key),
            };
        }
        self.revision += 1;
        self.catalog.publish(self.revision, &changes, self.now);
        self.tell();
    }

    /// A publisher that has its references in order withdraws nothing that is in use, and uses
    /// nothing that it has not.
    fn keep_what_is_needed(&self, changes: &mut BTreeMap<ResourceKey, Option<Arc<Resource>>>) {
        let mut next = self.published.clone();
        for (key, resource) in changes.iter() {
            if let Some(resource) = resource {
                next.insert(key.clone(), Arc::clone(resource));
            } else if key.kind != Cluster {
                next.remove(key);
            }
        }
        let dangles =
            |r: &Resource| r.requires.iter().any(|k| k.kind == Cluster && !next.contains_key(k));
        changes.retain(|_, resource| !resource.as_ref().is_some_and(|r| dangles(r)));
        for (key, resource) in changes.iter() {
            if let Some(resource) = resource {
                next.insert(key.clone(), Arc::clone(resource));
            }
        }
        let needed: BTreeSet<_> = next.values().flat_map(|r| r.requires.to_vec()).collect();
        changes.retain(|key, resource| resource.is_some() || !needed.contains(key));
    }

    /// Sessions hear of what changed.
    fn tell(&mut self) {
        for client in &mut self.clients {
            client.session.changed(&self.catalog, self.now);
        }
    }

    fn ask(&mut self, client: usize, kind: ResourceType, name: u8) {
        let key = key(kind, &name.to_string());
        self.clients[client].ask(&key, &self.catalog, self.now);
    }

    /// The server sends a response, if it has one; checks that it may.
    fn send(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        let Some(response) = client.session.poll(&self.catalog, self.now) else {
            return false;
        };
        eprintln!(
            "  to {number}: {} +{:?} -{:?}",
            response.kind,
            response.resources.iter().map(|r| &r.0).collect::<Vec<_>>(),
            response.removed
        );
        let mut seen = BTreeSet::new();
        for (name, resource) in &response.resources {
            assert!(seen.insert(name), "{name} twice in a response");
            let version = (resource.key.clone(), resource.version);
            assert!(!self.refused[number].contains(&version), "{version:?} again");
            if self.patient && resource.key.kind != Cluster {
                self.check_needs(number, resource);
            }
        }
        for name in &response.removed {
            assert!(seen.insert(name), "{name} twice in a response");
            if self.patient && response.kind == Cluster {
                self.check_unused(number, &key(Cluster, name));
            }
        }
        self.clients[number].inbox.push_back(response);
        true
    }

    fn check_needs(&self, number: usize, resource: &Resource) {
        let client = &self.clients[number];
        for need in resource.requires.iter() {
            let desired = self.catalog.desired_version(need, client.session.group);
            let held = client.held.get(need).map(|r| r.version);
            let refuses = self.published.get(need).is_some_and(|r| is_bad(r, number));
            assert!(
                desired.is_none() || held == desired || refuses,
                "{} sent before {need}: {held:?} held, {desired:?} needed",
                resource.key,
            );
        }
    }

    /// A cluster is not taken away from a route whose newest version does without it.
    fn check_unused(&self, number: usize, cluster: &ResourceKey) {
        for (key, held) in &self.clients[number].held {
            let newest = self.published.get(key);
            let dropped = newest.is_none_or(|r| !r.requires.contains(cluster));
            let asked = key.kind == ScopedRoute || self.clients[number].asked.contains(key);
            let refused = newest.is_some_and(|r| is_bad(r, number));
            assert!(
                !(asked && dropped && !refused && held.requires.contains(cluster)),
                "{cluster} removed while {key} uses it"
            );
        }
    }

    /// The client answers the oldest response.
    fn answer(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        let Some(response) = client.inbox.pop_front() else {
            return false;
        };
        let bad = response.resources.iter().any(|(_, r)| is_bad(r, number));
        let mut reply = request(response.kind);
        reply.nonce = response.nonce.to_string();
        reply.error = bad.then(|| "no".to_owned());
        let mut culprit = None;
        if bad {
            if let [(_, resource)] = response.resources.as_slice() {
                culprit = Some(Arc::clone(resource));
            }
        } else {
            client.apply(&response, &self.published, &self.catalog, self.now);
        }
        if response.kind == Endpoint {
            let carried = response.resources.iter().map(|(name, _)| name);
            for name in carried.chain(&response.removed) {
                client.warming.remove(name);
            }
        }
        let mut replies = Vec::new();
        if response.kind == Cluster {
            client.withheld.push((reply, culprit));
        } else {
            replies.push((reply, culprit));
        }
        if client.warming.is_empty() {
            replies.append(&mut client.withheld);
        }
        for (reply, culprit) in replies {
            self.refused[number].extend(culprit.map(|r| (r.key.clone(), r.version)));
            client.session.request(&reply, &self.catalog, self.now);
        }
        self.tell();
        true
    }

    /// Lets everything come to rest.
    fn settle(&mut self) {
        for _ in 0..40 {
            loop {
                let mut moved = false;
                for number in 0..self.clients.len() {
                    moved |= self.send(number);
                    moved |= self.answer(number);
                }
                if !moved {
                    break;
                }
            }
            self.patient = false;
            self.pass(Duration::from_secs(1));
        }
    }

    /// Every client holds what is published, except for what it refuses.
    fn check_settled(&self) {
        for (number, client) in self.clients.iter().enumerate() {
            assert_eq!(client.warming, BTreeSet::new(), "still warming");
            for (key, resource) in &self.published {
                let held = client.held.get(key).map(|r| r.version);
                if !client.is_asked_for(key) {
                    continue;
                }
                if is_bad(resource, number) {
                    assert_ne!(held, Some(resource.version), "{key}");
                } else if !self.leads_nowhere(resource, number) {
                    assert_eq!(held, Some(resource.version), "client {number}: {key}");
                }
            }
            let any_bad = |r: &Arc<Resource>| (0..2).any(|n| is_bad(r, n));
            if !self.published.values().any(any_bad) {
                let extra = client.held.keys().find(|key| !self.published.contains_key(key));
                assert_eq!(extra, None, "client {number} holds what is gone");
            }
            assert_eq!(client.session.in_sync(), self.revision, "client {number}");
        }
    }
}

impl World {
    /// Whether a route needs a cluster that the release refuses or that is not published (it may
    /// be around for somebody's last good version): it may be kept at an older form.
    fn leads_nowhere(&self, resource: &Resource, number: usize) -> bool {
        let lost = |need| self.published.get(need).is_none_or(|need| is_bad(need, number));
        resource.key.kind == Route && resource.requires.iter().any(lost)
    }
}

impl Client {
    fn connect(
        number: usize,
        catalog: &Catalog,
        state: (BTreeMap<ResourceKey, Arc<Resource>>, BTreeSet<ResourceKey>),
        now: Instant,
    ) -> Self {
        let node = Node {
            id: number.to_string().into(),
            cluster: "test".into(),
            version: Some(EnvoyVersion {
                major: 1,
                minor: 40 + u32::try_from(number).unwrap(),
                patch: 0,
            }),
            admin: None,
        };
        let group = catalog.group(node.version);
        let settings = Settings { batch_resources: 3, ..Settings::default() };
        let (held, asked) = state;
        let mut client = Self {
            number,
            session: Session::new(Arc::new(node), group, &settings),
            held,
            asked,
            inbox: VecDeque::new(),
            withheld: Vec::new(),
            warming: BTreeSet::new(),
        };
        client.session.changed(catalog, now);
        for kind in [Cluster, Endpoint, ScopedRoute, Route, Secret] {
            let asked = client.asked.iter().filter(|key| key.kind == kind);
            let held = client.held.iter().filter(|(key, _)| key.kind == kind);
            let versions = held.map(|(key, r)| (key.name.to_string(), r.version.to_string()));
            let first = Request {
                subscribe: asked.map(|key| key.name.to_string()).collect(),
                initial_versions: versions.collect(),
                ..request(kind)
            };
            if kind == Cluster || kind == ScopedRoute || !first.subscribe.is_empty() {
                client.session.request(&first, catalog, now);
            }
        }
        client
    }

    fn is_asked_for(&self, key: &ResourceKey) -> bool {
        key.kind == Cluster || key.kind == ScopedRoute || self.asked.contains(key)
    }

    fn ask(&mut self, key: &ResourceKey, catalog: &Catalog, now: Instant) {
        self.asked.insert(key.clone());
        let ask = Request { subscribe: names(&[&key.name]), ..request(key.kind) };
        self.session.request(&ask, catalog, now);
    }

    fn drop_name(&mut self, key: &ResourceKey, catalog: &Catalog, now: Instant) {
        self.held.remove(key);
        if self.asked.remove(key) {
            let drop = Request { unsubscribe: names(&[&key.name]), ..request(key.kind) };
            self.session.request(&drop, catalog, now);
        }
    }

    fn apply(
        &mut self,
        response: &Response,
        published: &BTreeMap<ResourceKey, Arc<Resource>>,
        catalog: &Catalog,
        now: Instant,
    ) {
        let follows = match response.kind {
            ResourceType::Cluster => Some(Endpoint),
            ResourceType::ScopedRoute => Some(Route),
            ResourceType::Endpoint
            | ResourceType::Secret
            | ResourceType::Listener
            | ResourceType::Route => None,
        };
        for (name, resource) in &response.resources {
            if !self.is_asked_for(&resource.key) {
                continue;
            }
            self.held.insert(resource.key.clone(), Arc::clone(resource));
            let Some(follower) = follows.map(|kind| key(kind, name)) else {
                continue;
            };
            if !self.asked.contains(&follower) {
                self.ask(&follower, catalog, now);
            }
            let comes = published.get(&follower).is_some_and(|r| !is_bad(r, self.number));
            if response.kind == Cluster && comes {
                self.warming.insert(Arc::clone(name));
            }
        }
        for name in &response.removed {
            self.held.remove(&key(response.kind, name));
            if let Some(kind) = follows {
                self.drop_name(&key(kind, name), catalog, now);
                self.warming.remove(name);
            }
        }
    }
}

fn kinds() -> impl Strategy<Value = ResourceType> {
    prop::sample::select(vec![Cluster, Endpoint, Route, ScopedRoute, Secret])
}

fn change() -> impl Strategy<Value = Change> {
    let fields = (kinds(), 0..NAMES, 0..=VERSIONS, 0..(1_u8 << NAMES));
    fields.prop_map(|(kind, name, version, needs)| Change { kind, name, version, needs })
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..2_usize;
    prop_oneof![
        4 => prop::collection::vec(change(), 1..8).prop_map(Step::Publish),
        6 => (client(), 1..8_u8).prop_map(|(c, n)| Step::Send(c, n)),
        6 => (client(), 1..8_u8).prop_map(|(c, n)| Step::Answer(c, n)),
        1 => (client(), 0..NAMES).prop_map(|(c, n)| Step::AskForSecret(c, n)),
        1 => (client(), 0..NAMES).prop_map(|(c, n)| Step::DropSecret(c, n)),
        1 => (client(), 0..NAMES).prop_map(|(c, n)| Step::AskAgain(c, n)),
        1 => client().prop_map(Step::Reconnect),
        1 => (1..2_000_u16).prop_map(Step::Pass),
    ]
}

/// More cases with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(512), failure_persistence: None, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_history_converges(
        steps in prop::collection::vec(step(), 1..80),
        patient in any::<bool>(),
    ) {
        let mut world = World::new(patient);
        world.publish(&[]);
        for step in &steps {
            world.step(step);
        }
        world.settle();
        world.check_settled();
        for number in 0..world.clients.len() {
            world.step(&Step::Reconnect(number));
            while let Some(response) = {
                let client = &mut world.clients[number];
                client.session.poll(&world.catalog, world.now)
            } {
                let names: Vec<_> = response.resources.iter().map(|(name, _)| name).collect();
                prop_assert_eq!(names, Vec::<&Arc<str>>::new(), "sent again: {}", response.kind);
            }
        }
    }
}
