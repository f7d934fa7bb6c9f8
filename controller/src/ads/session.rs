//! The delta xDS protocol with one Envoy, as a state machine without I/O or clock.
//!
//! Inputs are requests ([`Session::request`]), changes of the [`Catalog`] ([`Session::changed`])
//! and the time ([`Session::tick`]); outputs are responses ([`Session::poll`], one at a time, so
//! that a slow Envoy is never sent what is no longer true) and events.
//!
//! *Guarantees.* A lone change travels alone; bulk travels in batches, which are taken apart when
//! refused. A refused version is parked. A resource goes after those it requires, removals after
//! the additions of their revision; neither waits longer than [`PATIENCE`].
//!
//! *Fairness.* Namespaces take turns, and no more is under way than Envoy works off in a moment,
//! so that a change of one does not wait for all that another one changes.
//!
//! *Cost.* A change costs what it changes, whatever the number of resources.

mod gate;
mod holding;
mod ledger;
mod pace;
mod reply;
mod sending;
mod spared;
mod turns;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};

use super::cache::Group;
use super::catalog::Catalog;
use super::kinds::PerType;
use super::node::Node;
use super::{Event, HeldState, RejectedView, Settings, TypeView};
use gate::Gate;
pub(super) use holding::STEP;
use holding::{Age, Endpoints, Holding, Place};
use ledger::Ledger;
use pace::Distance;
use spared::Spared;
pub(super) use waiting::PATIENCE;
use waiting::Waiting;

/// A request, without its node.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: ResourceType,
    pub(super) subscribe: Vec<String>,
    pub(super) unsubscribe: Vec<String>,
    pub(super) initial_versions: HashMap<String, String>,
    pub(super) nonce: String,
    /// Present if the response with that nonce was refused.
    pub(super) error: Option<String>,
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) kind: ResourceType,
    pub(super) nonce: u64,
    pub(super) revision: u64,
    /// Each under the name in which it was asked for.
    pub(super) resources: Vec<(Arc<str>, Arc<Resource>)>,
    pub(super) removed: Vec<Arc<str>>,
}

/// What a step may look at: what is published, and the time.
#[derive(Clone, Copy)]
struct View<'a> {
    catalog: &'a Catalog,
    now: Instant,
}

/// The state of one delta stream.
pub(super) struct Session {
    node: Arc<Node>,
    /// When it was first told something.
    began: Option<Instant>,
    group: Group,
    batch_resources: usize,
    batch_bytes: usize,
    types: PerType<Holding>,
    endpoints: Endpoints,
    gate: Gate,
    /// Position in the journal; 0 until something is published.
    sequence: u64,
    ledger: Ledger,
    spared: Spared,
    waiting: Waiting,
    deferred: VecDeque<(Instant, ResourceKey)>,
    last_nonce: u64,
    distance: Distance,
    events: Vec<Event>,
}

/// The name under which a resource is published that is asked for as `name`. Certificates are
/// asked for by SNI, which is case-insensitive.
fn source(kind: ResourceType, name: &Arc<str>) -> ResourceKey {
    let folds = kind == ResourceType::Secret && name.bytes().any(|b| b.is_ascii_uppercase());
    if folds {
        ResourceKey::new(kind, name.to_ascii_lowercase())
    } else {
        ResourceKey::new(kind, Arc::clone(name))
    }
}

/// Types for which an empty first request means "everything".
fn is_collection(kind: ResourceType) -> bool {
    match kind {
        ResourceType::Cluster | ResourceType::Listener | ResourceType::ScopedRoute => true,
        ResourceType::Endpoint | ResourceType::Secret | ResourceType::Route => false,
    }
}

impl Session {
    pub(super) fn new(node: Arc<Node>, group: Group, settings: &Settings) -> Self {
        Self {
            node,
            began: None,
            group,
            batch_resources: settings.batch_resources.max(1),
            batch_bytes: settings.batch_bytes,
            types: PerType::default(),
            endpoints: Endpoints::default(),
            gate: Gate::default(),
            sequence: 0,
            ledger: Ledger::default(),
            spared: Spared::new(settings.shrink),
            waiting: Waiting::default(),
            deferred: VecDeque::new(),
            last_nonce: 0,
            distance: Distance::default(),
            events: Vec::new(),
        }
    }

    /// Takes a request of Envoy.
    pub(super) fn request(&mut self, request: &Request, catalog: &Catalog, now: Instant) {
        let kind = request.kind;
        let view = View { catalog, now };
        self.began.get_or_insert(now);
        if let Ok(nonce) = request.nonce.parse() {
            self.reply(kind, nonce, request.error.as_deref(), view);
        }
        let first = !std::mem::replace(&mut self.types.get_mut(kind).seen, true);
        if first {
            self.first_request(request, view);
        }
        for name in &request.subscribe {
            if name == "*" {
                self.types.get_mut(kind).wildcard = true;
            } else if gate::is_gate(kind, name) {
                self.open_gate(view);
            } else {
                self.subscribe(kind, name, first, view);
            }
        }
        for name in &request.unsubscribe {
            if gate::is_gate(kind, name) {
                self.gate.close();
            } else {
                self.unsubscribe(kind, name, now);
            }
        }
        let asks_for_all = request.subscribe.iter().any(|n| n == "*");
        if self.types.get(kind).wildcard && (first || asks_for_all) {
            self.types.get_mut(kind).unanswered |= request.initial_versions.is_empty();
            let revision = self.ledger.revision_of_requests();
            self.compare(kind, revision, catalog, now);
        }
    }

    /// Takes over what a reconnecting Envoy says it holds.
    fn first_request(&mut self, request: &Request, view: View<'_>) {
        let kind = request.kind;
        let age = self.age(view.now);
        let all = request.subscribe.is_empty() && is_collection(kind);
        let wildcard = all || request.subscribe.iter().any(|n| n == "*");
        self.types.get_mut(kind).wildcard |= wildcard;
        let named: std::collections::HashSet<_> = request.subscribe.iter().collect();
        for (name, version) in &request.initial_versions {
            if (wildcard || named.contains(name)) && !gate::is_gate(kind, name) {
                // A version that is not ours cannot equal one of ours either.
                let ours = Version::parse(version);
                let version = ours.unwrap_or_else(|| Version::of(version.as_bytes()));
                let name = self.intern(kind, name, view.catalog);
                self.types.get_mut(kind).set_held(&name, Some(version), age);
                if view.catalog.desired_version(&source(kind, &name), self.group).is_none() {
                    self.spared.add(ResourceKey::new(kind, name), view.now);
                }
            }
        }
        if kind == ResourceType::ScopedRoute {
            self.count_hosts(view.now);
        }
    }

    /// Envoy has said which hosts it has.
    fn count_hosts(&mut self, now: Instant) {
        let holding = self.types.get(ResourceType::ScopedRoute);
        let is_spared = |name: &Arc<str>| {
            self.spared.keeps(&ResourceKey::new(ResourceType::ScopedRoute, Arc::clone(name)))
        };
        let gone = holding.entries.keys().filter(|name| is_spared(name)).count();
        let hosts = holding.held;
        if let Some(hold) = self.spared.count(hosts, gone, now) {
            self.events.push(Event::Shrunk { node: Arc::clone(&self.node.id), hosts, gone, hold });
        }
    }

    fn age(&self, now: Instant) -> Age {
        Age::of(self.began.map_or_else(Default::default, |began| now.duration_since(began)))
    }

    /// The entry of `name`, made if it is new, under a text shared with the published resource.
    fn intern(&mut self, kind: ResourceType, name: &str, catalog: &Catalog) -> Arc<str> {
        let holding = self.types.get_mut(kind);
        if let Some((name, _)) = holding.entries.get_key_value(name) {
            return Arc::clone(name);
        }
        let name = catalog.name(kind, name).unwrap_or_else(|| name.into());
        holding.entries.entry(Arc::clone(&name)).or_default();
        name
    }

    fn subscribe(&mut self, kind: ResourceType, name: &str, first: bool, view: View<'_>) {
        let name = self.intern(kind, name, view.catalog);
        let source = source(kind, &name);
        let holding = self.types.get_mut(kind);
        if source.name != name {
            holding.remember_spelling(&source.name, &name);
        }
        let owed = kind == ResourceType::Endpoint && self.endpoints.owed.remove(&name);
        let Some(entry) = holding.entries.get_mut(&name) else {
            return;
        };
        entry.explicit = true;
        // What Envoy says it holds it need not be sent, unless a cluster needs it anew.
        entry.asked |= owed || !(first && entry.acked.is_some());
        let key = ResourceKey::new(kind, name);
        let revision = self.ledger.revision_of_request(&key);
        self.queue(&key, revision, view.now);
    }

    fn unsubscribe(&mut self, kind: ResourceType, name: &str, now: Instant) {
        let holding = self.types.get_mut(kind);
        if name == "*" {
            holding.wildcard = false;
            let unnamed = holding.entries.iter().filter(|(_, e)| !e.explicit);
            let unnamed: Vec<_> = unnamed.map(|(name, _)| Arc::clone(name)).collect();
            for name in unnamed {
                self.drop_name(kind, name, now);
            }
            return;
        }
        let Some((name, _)) = holding.entries.get_key_value(name) else {
            return;
        };
        let name = Arc::clone(name);
        if !holding.wildcard {
            self.drop_name(kind, name, now);
            return;
        }
        // It still gets the resource as one of all; the protocol wants to be told so.
        if let Some(entry) = holding.entries.get_mut(&name) {
            entry.explicit = false;
            entry.asked = true;
        }
        let revision = self.ledger.consumed();
        self.queue(&ResourceKey::new(kind, name), revision, now);
    }

    fn drop_name(&mut self, kind: ResourceType, name: Arc<str>, now: Instant) {
        let holding = self.types.get_mut(kind);
        let refused = holding.parked.remove(&name);
        holding.drop_name(&name);
        if kind == ResourceType::Secret {
            self.gate.forget(&name);
            // Envoy no longer asks for a certificate that it refused, which stays refused.
            if let Some(refused) = refused.filter(|_| source(kind, &name).name == name) {
                holding.parked.insert(Arc::clone(&name), refused);
            }
        }
        self.settle(&ResourceKey::new(kind, name), now);
    }

    /// Takes what changed in the catalog since the last call.
    pub(super) fn changed(&mut self, catalog: &Catalog, now: Instant) {
        self.began.get_or_insert(now);
        if catalog.sequence() == self.sequence {
            return;
        }
        let steps = (self.sequence > 0).then(|| catalog.since(self.sequence));
        let Some(steps) = steps.flatten() else {
            self.catch_up(catalog, now);
            return;
        };
        for step in steps {
            self.sequence = step.sequence;
            let revision = step.publish.map_or_else(|| self.ledger.consumed(), |(r, _)| r);
            if let Some((revision, at)) = step.publish {
                self.ledger.begin(revision, at, false);
            }
            for key in &step.keys {
                self.look_at(key, revision, now);
            }
            if step.everything {
                for kind in ResourceType::ALL {
                    self.compare(kind, revision, catalog, now);
                }
            }
            if step.publish.is_some() {
                self.ledger.seal(revision, now);
            }
        }
        self.recount_hosts(catalog, now);
    }

    /// Hosts that are spared may have come back.
    fn recount_hosts(&mut self, catalog: &Catalog, now: Instant) {
        if !self.spared.is_shrunk() {
            return;
        }
        let scopes = self.spared.keys().filter(|key| key.kind == ResourceType::ScopedRoute);
        let gone = scopes.filter(|key| catalog.desired_version(key, self.group).is_none()).count();
        self.spared.recount(self.types.get(ResourceType::ScopedRoute).held, gone, now);
        self.release_spared(now);
    }

    fn release_spared(&mut self, now: Instant) {
        for key in self.spared.expire(now) {
            self.queue(&key, self.ledger.revision_of_requests(), now);
        }
    }

    /// Compares everything: at the beginning, or when the journal has been outrun.
    fn catch_up(&mut self, catalog: &Catalog, now: Instant) {
        let position = catalog.position();
        let first = std::mem::replace(&mut self.sequence, position.sequence) == 0;
        let revision = position.revision;
        let since = position.published.filter(|_| !first).unwrap_or(now);
        self.ledger.begin(revision, since, first);
        for kind in ResourceType::ALL {
            self.compare(kind, revision, catalog, now);
        }
        self.ledger.seal(revision, now);
    }

    /// Queues a published key that changed, if this Envoy gets it.
    fn look_at(&mut self, key: &ResourceKey, revision: u64, now: Instant) {
        let holding = self.types.get_mut(key.kind);
        if let Some(spellings) = holding.spellings.get(&key.name) {
            for spelling in spellings.clone() {
                self.queue(&ResourceKey::new(key.kind, spelling), revision, now);
            }
        }
        let holding = self.types.get_mut(key.kind);
        if holding.wildcard && !holding.entries.contains_key(&key.name) {
            holding.entries.entry(Arc::clone(&key.name)).or_default();
        }
        let known = holding.entries.contains_key(&key.name);
        if !known {
            // A certificate that was refused, and is another one now.
            holding.parked.remove(&key.name);
        }
        if !known && key.kind == ResourceType::Route {
            // Envoy asks for a new host's routes when it has got the scope.
            let scopes = self.types.get(ResourceType::ScopedRoute).seen;
            if scopes || self.types.get(ResourceType::Listener).seen {
                self.ledger.expect(key, revision);
            }
        }
        self.queue(key, revision, now);
    }

    fn queue(&mut self, key: &ResourceKey, revision: u64, now: Instant) {
        if self.types.get_mut(key.kind).queue(&key.name) {
            self.ledger.mark(key, revision, now);
        }
    }

    /// Queues everything of a type that differs from what Envoy holds.
    fn compare(&mut self, kind: ResourceType, revision: u64, catalog: &Catalog, now: Instant) {
        if self.sequence == 0 || !self.types.get(kind).seen {
            return;
        }
        let mut differing = Vec::new();
        if self.types.get(kind).wildcard {
            for (name, version) in catalog.versions(kind, self.group) {
                let holding = self.types.get_mut(kind);
                let entry = holding.entries.entry(Arc::clone(&name)).or_default();
                if entry.acked != version && version.is_some() {
                    differing.push(name);
                }
            }
        }
        for (name, entry) in &self.types.get(kind).entries {
            let version = catalog.desired_version(&source(kind, name), self.group);
            if entry.acked != version {
                differing.push(Arc::clone(name));
            }
        }
        // The order of hash maps is nobody's business on the wire.
        differing.sort_unstable();
        for name in differing {
            self.queue(&ResourceKey::new(kind, name), revision, now);
        }
    }

    /// `key` needs nothing more: tells the ledger, and those that waited for it.
    fn settle(&mut self, key: &ResourceKey, now: Instant) {
        let refused = self.types.get(key.kind).parked.contains_key(&key.name);
        self.waiting.release(key);
        self.ledger.settle(key, now, refused);
        for dependent in self.waiting.wake(key) {
            let holding = self.types.get_mut(dependent.kind);
            holding.requeue_from(Place::Blocked, &dependent.name);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        self.ledger.tick(now);
        for name in self.gate.expire(now) {
            self.types.get_mut(ResourceType::Secret).requeue_from(Place::Blocked, &name);
        }
        self.release_spared(now);
        for key in self.waiting.expire(now) {
            self.types.get_mut(key.kind).requeue_from(Place::Blocked, &key.name);
        }
        while let Some((deadline, key)) = self.deferred.pop_front() {
            if deadline > now {
                self.deferred.push_front((deadline, key));
                break;
            }
            self.types.get_mut(key.kind).requeue_from(Place::Deferred, &key.name);
        }
    }

    /// When [`Self::tick`] and [`Self::poll`] should be called although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deferred = self.deferred.front().map(|(deadline, _)| *deadline);
        let types = self.types.iter().flat_map(|(_, holding)| {
            let removal = holding.removals.front().map(|r| r.since + PATIENCE);
            let bulk = holding.bulk_deadline().filter(|_| self.has_pending());
            [removal, holding.window_deadline(), bulk]
        });
        let own = [
            deferred,
            self.waiting.deadline(),
            self.gate.deadline(),
            self.ledger.deadline(),
            self.spared.deadline(),
        ];
        own.into_iter().chain(types).flatten().min()
    }

    /// What happened since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        for (revision, elapsed) in self.ledger.take_done() {
            self.events.push(Event::Acknowledged {
                node: Arc::clone(&self.node.id),
                revision,
                elapsed,
            });
        }
        std::mem::take(&mut self.events)
    }

    /// The newest revision that Envoy has dealt with, with all before it.
    pub(super) fn in_sync(&self) -> u64 {
        self.ledger.in_sync()
    }

    /// How many resources of each type Envoy holds, has on the way and refused.
    pub(super) fn types(&self) -> Vec<(ResourceType, TypeView)> {
        let seen = self.types.iter().filter(|(_, holding)| holding.seen);
        seen.map(|(kind, holding)| (kind, holding.view())).collect()
    }

    /// The resources whose newest version Envoy refused, or is spared.
    pub(super) fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView> {
        let mut rejections = Vec::new();
        for (kind, holding) in self.types.iter() {
            for (name, parked) in &holding.parked {
                let key = source(kind, name);
                let newest = catalog.newest(&key, self.group).map(|(version, _)| version);
                if newest == Some(parked.version) {
                    let (version, message) = (parked.version, Arc::clone(&parked.message));
                    rejections.push(RejectedView { key, version, message });
                }
            }
        }
        rejections.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        rejections
    }

    /// What Envoy has of `key`; `None` if it does not ask for it.
    pub(super) fn state_of(
        &self,
        key: &ResourceKey,
        catalog: &Catalog,
    ) -> Option<(HeldState, Option<Version>)> {
        let holding = self.types.get(key.kind);
        let spelling = || holding.spellings.get(&key.name)?.first();
        let name = if holding.is_asked_for(&key.name) { &key.name } else { spelling()? };
        let newest = catalog.newest(key, self.group);
        let (version, refusal) = newest.map_or((None, None), |(v, r)| (Some(v), r));
        if let Some(parked) = holding.parked.get(name).filter(|p| Some(p.version) == version) {
            let message = Arc::clone(&parked.message);
            return Some((HeldState::Rejected { message }, version));
        }
        if let Some(message) = refusal {
            return Some((HeldState::Rejected { message }, version));
        }
        let entry = holding.entries.get(name);
        let flight = entry.and_then(|e| e.flight.as_ref());
        let held = entry.map_or_else(|| version.is_none(), |e| e.has(version));
        let sent = flight.is_some_and(|f| f.version == version);
        let state = match (held, sent) {
            (true, _) => HeldState::Acknowledged,
            (false, true) => HeldState::Sent,
            (false, false) => HeldState::Pending,
        };
        Some((state, version))
    }

    /// Since when Envoy has had the version of `key` that it has, on this stream; `None` if it has
    /// none.
    pub(super) fn held_since(&self, key: &ResourceKey) -> Option<Instant> {
        let entry = self.types.get(key.kind).entries.get(&key.name)?;
        entry.acked.and(self.began).map(|began| began + entry.since.elapsed())
    }
}

#[cfg(test)]
mod tests;
