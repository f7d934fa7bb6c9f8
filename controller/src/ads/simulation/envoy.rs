//! A model of Envoy at the other end of a session: it warms clusters, asks for endpoints and
//! routes by name when it learns of them, and goes away and comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::ResourceType::{self, Cluster, Endpoint, Listener, Route, ScopedRoute};
use contour_core::xds::{Resource, ResourceKey, gate};

use super::super::Settings;
use super::super::catalog::Catalog;
use super::super::node::{EnvoyVersion, Node};
use super::super::session::{Request, Response, Session};

/// What an Envoy still knows when it connects again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Everything, and it says so.
    Whole,
    /// The names that it asks for.
    Names,
    /// It was restarted.
    None,
}

/// See the module.
pub(super) struct Envoy {
    number: usize,
    /// Whether its release refuses some things.
    pub(super) refuses: bool,
    session: Option<Session>,
    pub(super) held: BTreeMap<ResourceKey, Arc<Resource>>,
    pub(super) asked: BTreeSet<ResourceKey>,
    inbox: VecDeque<Response>,
    /// Answers about clusters, while any cluster warms.
    withheld: Vec<Request>,
    /// Clusters that wait for endpoints, and for which.
    warming: BTreeMap<Arc<str>, ResourceKey>,
    pub(super) refusals: u64,
}

fn request(kind: ResourceType) -> Request {
    Request {
        kind,
        subscribe: Vec::new(),
        unsubscribe: Vec::new(),
        initial_versions: HashMap::new(),
        nonce: String::new(),
        error: None,
    }
}

fn is_collection(kind: ResourceType) -> bool {
    matches!(kind, Cluster | Listener | ScopedRoute)
}

/// What a refusing release does not take. Bystanders are always taken.
pub(super) fn is_bad(resource: &Resource) -> bool {
    let name = &*resource.key.name;
    let may_be = matches!(resource.key.kind, Cluster | Route | ScopedRoute)
        && ["still/", "still.", "secure.", "vaulted."].iter().all(|part| !name.contains(part));
    may_be && resource.body.iter().map(|b| u64::from(*b)).sum::<u64>() % 7 == 3
}

/// What an Envoy that holds the resource asks for by name.
fn follower(resource: &Resource) -> Option<ResourceKey> {
    match resource.key.kind {
        Cluster => resource.requires.iter().find(|key| key.kind == Endpoint).cloned(),
        ScopedRoute => Some(ResourceKey::new(Route, Arc::clone(&resource.key.name))),
        Listener if &*resource.key.name == gate::LISTENER => Some(gate()),
        Endpoint | ResourceType::Secret | Listener | Route => None,
    }
}

/// The secret under which certificates are shown.
fn gate() -> ResourceKey {
    ResourceKey::new(ResourceType::Secret, gate::SECRET)
}

impl Envoy {
    pub(super) fn new(number: usize, refuses: bool) -> Self {
        Self {
            number,
            refuses,
            session: None,
            held: BTreeMap::new(),
            asked: BTreeSet::new(),
            inbox: VecDeque::new(),
            withheld: Vec::new(),
            warming: BTreeMap::new(),
            refusals: 0,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn disconnect(&mut self) {
        self.session = None;
        self.inbox.clear();
        self.withheld.clear();
        self.warming.clear();
    }

    pub(super) fn connect(
        &mut self,
        memory: Memory,
        batch: usize,
        catalog: &Catalog,
        now: Instant,
    ) {
        self.disconnect();
        if memory != Memory::Whole {
            self.held.clear();
        }
        if memory == Memory::None {
            self.asked.clear();
        }
        let minor = if self.refuses { 41 } else { 40 };
        let node = Node {
            id: self.number.to_string().into(),
            cluster: "simulated".into(),
            version: Some(EnvoyVersion { major: 1, minor, patch: 0 }),
            admin: None,
        };
        let group = catalog.group(node.version);
        let settings = Settings { batch_resources: batch, ..Settings::default() };
        let mut session = Session::new(Arc::new(node), group, &settings);
        session.changed(catalog, now);
        for kind in [Cluster, Listener, ScopedRoute, Endpoint, Route, ResourceType::Secret] {
            let asked = self.asked.iter().filter(|key| key.kind == kind);
            let held = self.held.iter().filter(|(key, _)| key.kind == kind);
            let versions = held.map(|(key, r)| (key.name.to_string(), r.version.to_string()));
            let first = Request {
                subscribe: asked.map(|key| key.name.to_string()).collect(),
                initial_versions: versions.collect(),
                ..request(kind)
            };
            if is_collection(kind) || !first.subscribe.is_empty() {
                session.request(&first, catalog, now);
            }
        }
        self.session = Some(session);
    }

    pub(super) fn changed(&mut self, catalog: &Catalog, now: Instant) {
        if let Some(session) = &mut self.session {
            session.tick(now);
            session.changed(catalog, now);
        }
    }

    /// The next response, if there is one; it has to be answered.
    pub(super) fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        let session = self.session.as_mut()?;
        drop(session.take_events());
        let response = session.poll(catalog, now)?;
        self.inbox.push_back(response.clone());
        Some(response)
    }

    pub(super) fn ask(&mut self, key: &ResourceKey, catalog: &Catalog, now: Instant) {
        if let Some(session) = &mut self.session
            && self.asked.insert(key.clone())
        {
            let ask = Request { subscribe: vec![key.name.to_string()], ..request(key.kind) };
            session.request(&ask, catalog, now);
        }
    }

    /// A client asks for a host. Its certificate is asked for by a listener, so once there are any.
    pub(super) fn shake_hands(&mut self, host: &str, catalog: &Catalog, now: Instant) {
        if self.asked.contains(&gate()) {
            self.ask(&ResourceKey::new(ResourceType::Secret, host), catalog, now);
        }
    }

    fn drop_name(&mut self, key: &ResourceKey, catalog: &Catalog, now: Instant) {
        self.held.remove(key);
        if self.asked.remove(key)
            && let Some(session) = &mut self.session
        {
            let drop = Request { unsubscribe: vec![key.name.to_string()], ..request(key.kind) };
            session.request(&drop, catalog, now);
        }
    }

    /// Answers the oldest response.
    pub(super) fn answer(&mut self, catalog: &Catalog, now: Instant) -> bool {
        let Some(response) = self.inbox.pop_front() else { return false };
        let is_refused = self.refuses && response.resources.iter().any(|(_, r)| is_bad(r));
        let mut reply = request(response.kind);
        reply.nonce = response.nonce.to_string();
        reply.error = is_refused.then(|| "no".to_owned());
        if is_refused {
            self.refusals += 1;
        } else {
            self.apply(&response, catalog, now);
        }
        if response.kind == Endpoint {
            let carried = response.resources.iter().map(|(name, _)| name);
            for name in carried.chain(&response.removed) {
                self.warming.retain(|_, endpoints| endpoints.name != *name);
            }
        }
        let mut replies = Vec::new();
        if response.kind == Cluster { &mut self.withheld } else { &mut replies }.push(reply);
        if self.warming.is_empty() {
            replies.append(&mut self.withheld);
        }
        if let Some(session) = &mut self.session {
            for reply in replies {
                session.request(&reply, catalog, now);
            }
            session.changed(catalog, now);
        }
        true
    }

    fn apply(&mut self, response: &Response, catalog: &Catalog, now: Instant) {
        for (name, resource) in &response.resources {
            let key = ResourceKey::new(response.kind, Arc::clone(name));
            if !is_collection(key.kind) && !self.asked.contains(&key) {
                continue;
            }
            if key != gate() {
                self.held.insert(key, Arc::clone(resource));
            }
            let Some(follower) = follower(resource) else { continue };
            self.ask(&follower, catalog, now);
            let comes = catalog.name(follower.kind, &follower.name).is_some();
            if comes && follower.kind == Endpoint {
                self.warming.insert(Arc::clone(name), follower);
            }
        }
        for name in &response.removed {
            self.warming.remove(name);
            let old = self.held.remove(&ResourceKey::new(response.kind, Arc::clone(name)));
            let Some(follower) = old.as_deref().and_then(follower) else { continue };
            if !self.held.values().any(|r| self::follower(r).as_ref() == Some(&follower)) {
                self.drop_name(&follower, catalog, now);
            }
        }
    }
}
