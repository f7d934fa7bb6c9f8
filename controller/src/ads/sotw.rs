//! The state-of-the-world protocol with one client, as a state machine without I/O or clock.
//!
//! Every response carries all that the client asks for of a type. That cannot name the culprit of
//! a refusal unless a single resource changed, and costs what there is instead of what changed;
//! Envoys of this project use the delta protocol ([`super::session`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};

use super::cache::Group;
use super::catalog::Catalog;
use super::kinds::PerType;
use super::node::Node;
use super::session::PATIENCE;
use super::{Event, HeldState, RejectedView, TypeView, digest};

/// A request, without its node.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: ResourceType,
    /// Empty: everything.
    pub(super) names: Vec<String>,
    /// The version that the client holds.
    pub(super) version: String,
    pub(super) nonce: String,
    /// Present if the response with that nonce was refused.
    pub(super) error: Option<String>,
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) kind: ResourceType,
    pub(super) nonce: u64,
    pub(super) version: Version,
    /// Each under the name in which it was asked for.
    pub(super) resources: Vec<(Arc<str>, Arc<Resource>)>,
}

/// The state of one state-of-the-world stream.
pub(super) struct Sotw {
    node: Arc<Node>,
    group: Group,
    types: PerType<State>,
    sequence: u64,
    revision: u64,
    revised: Option<Instant>,
    reported: u64,
    last_nonce: u64,
    events: Vec<Event>,
}

/// What a client asks for of one type.
#[derive(Default, PartialEq, Eq)]
enum Interest {
    /// It has not asked yet.
    #[default]
    None,
    All,
    Named(BTreeSet<Arc<str>>),
}

type Contents = BTreeMap<Arc<str>, Arc<Resource>>;

#[derive(Default)]
struct State {
    interest: Interest,
    /// Something may have changed.
    dirty: bool,
    /// The client waits for a response, even one that says nothing new.
    asked: bool,
    /// Clusters that are gone are sent along until the routes that dropped them are acknowledged.
    keeps: bool,
    nonce: u64,
    sent: Contents,
    /// When `sent` was sent, while it is unacknowledged.
    outstanding: Option<Instant>,
    /// When the client last acknowledged something.
    acknowledged: Option<Instant>,
    held: Contents,
    version: Option<Version>,
    parked: BTreeMap<Arc<str>, (Version, Arc<str>)>,
}

impl State {
    fn is_asked_for(&self, name: &str) -> bool {
        match &self.interest {
            Interest::None => false,
            Interest::All => true,
            Interest::Named(names) => names.contains(name),
        }
    }

    fn is_seen(&self) -> bool {
        self.interest != Interest::None
    }

    /// A response is unacknowledged, and not for so long that others should stop waiting for it.
    fn is_busy(&self, now: Instant) -> bool {
        self.outstanding.is_some_and(|at| at + PATIENCE > now)
    }
}

/// The key under which a resource is published that is asked for as `name`.
fn source(kind: ResourceType, name: &Arc<str>) -> ResourceKey {
    if kind == ResourceType::Secret {
        ResourceKey::new(kind, name.to_ascii_lowercase())
    } else {
        ResourceKey::new(kind, Arc::clone(name))
    }
}

/// The version of a set of resources: the hash of their names and versions.
fn version_of(contents: &Contents) -> Version {
    let lines = contents.iter().map(|(name, r)| format!("{name}\n{}\n", r.version));
    Version::of(lines.collect::<String>().as_bytes())
}

impl Sotw {
    pub(super) fn new(node: Arc<Node>, group: Group) -> Self {
        Self {
            node,
            group,
            types: PerType::default(),
            sequence: 0,
            revision: 0,
            revised: None,
            reported: 0,
            last_nonce: 0,
            events: Vec::new(),
        }
    }

    /// Takes a request of the client.
    pub(super) fn request(&mut self, request: &Request, catalog: &Catalog, now: Instant) {
        let kind = request.kind;
        let state = self.types.get_mut(kind);
        let nonce = request.nonce.parse().unwrap_or(0);
        let first = !state.is_seen();
        if !first && nonce != state.nonce {
            // Overtaken by a newer response, which the client will answer as well.
            return;
        }
        let names: BTreeSet<Arc<str>> = request.names.iter().map(|n| n.as_str().into()).collect();
        // Once a client has named resources, an empty list means none.
        let all = names.is_empty() && (first || state.interest == Interest::All);
        let interest =
            if all || names.contains("*") { Interest::All } else { Interest::Named(names) };
        if first {
            state.version = Version::parse(&request.version);
        }
        if interest != state.interest {
            state.dirty = true;
            state.asked = first || interest != Interest::All;
        }
        state.interest = interest;
        if !first && state.outstanding.take().is_some() {
            match &request.error {
                None => {
                    self.types.get_mut(kind).acknowledged = Some(now);
                    self.acknowledged(kind, catalog);
                }
                Some(message) => self.refused(kind, &message.as_str().into(), catalog),
            }
        }
    }

    fn acknowledged(&mut self, kind: ResourceType, catalog: &Catalog) {
        let state = self.types.get_mut(kind);
        state.held.clone_from(&state.sent);
        let parked = std::mem::take(&mut state.parked);
        let items = state.held.values().map(|r| (&r.key.name, r.version));
        catalog.acknowledge(kind, self.group, items);
        for (name, (version, message)) in parked {
            let key = source(kind, &name);
            let held = state.held.get(&name).map(|r| r.version);
            if catalog.newest(&key, self.group).map(|(v, _)| v) == held {
                self.events.push(Event::Recovered { node: Arc::clone(&self.node.id), key });
            } else {
                state.parked.insert(name, (version, message));
            }
        }
    }

    /// Blames the one resource that changed; of several, those that the message names.
    fn refused(&mut self, kind: ResourceType, message: &Arc<str>, catalog: &Catalog) {
        let state = self.types.get_mut(kind);
        let held = |name: &Arc<str>| state.held.get(name).map(|r| r.version);
        let changed = state.sent.iter().filter(|(name, r)| held(name) != Some(r.version));
        let changed: Vec<_> = changed.map(|(name, r)| (Arc::clone(name), r.version)).collect();
        let alone = changed.len() == 1;
        tracing::warn!(node = %self.node.id, %kind, changed = changed.len(), message = &**message,
            "client refused a state of the world");
        for (name, version) in changed {
            if !alone && !message.contains(&*name) {
                continue;
            }
            let key = source(kind, &name);
            catalog.refuse(&key, version, self.group, message);
            state.parked.insert(name, (version, Arc::clone(message)));
            self.events.push(Event::Rejected {
                node: Arc::clone(&self.node.id),
                key,
                version,
                message: Arc::clone(message),
            });
        }
    }

    /// Takes what changed in the catalog since the last call.
    pub(super) fn changed(&mut self, catalog: &Catalog, now: Instant) {
        let position = catalog.position();
        if position.sequence == self.sequence {
            return;
        }
        let steps = (self.sequence > 0).then(|| catalog.since(self.sequence));
        match steps.flatten() {
            Some(steps) => {
                for key in steps.iter().flat_map(|step| &step.keys) {
                    let state = self.types.get_mut(key.kind);
                    state.dirty |= state.is_seen();
                }
                if steps.iter().any(|step| step.everything) {
                    self.look_at_everything();
                }
            }
            None => self.look_at_everything(),
        }
        self.sequence = position.sequence;
        if position.revision != self.revision {
            self.revision = position.revision;
            self.revised = position.published.or(Some(now));
        }
    }

    fn look_at_everything(&mut self) {
        for kind in ResourceType::ALL {
            let state = self.types.get_mut(kind);
            state.dirty |= state.is_seen();
        }
    }

    /// The next response, if there is one now.
    pub(super) fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        while let Some(kind) = self.due(now) {
            let response = self.state_of_the_world(kind, catalog, now);
            if response.is_some() {
                return response;
            }
        }
        self.report(now);
        None
    }

    /// The next type to look at.
    fn due(&mut self, now: Instant) -> Option<ResourceType> {
        if self.sequence == 0 {
            return None;
        }
        self.let_go_of_clusters(now);
        ResourceType::ALL.into_iter().find(|kind| {
            let state = self.types.get(*kind);
            state.dirty && !state.is_busy(now) && !self.must_wait(*kind, now)
        })
    }

    /// Listeners and routes wait for clusters and endpoints.
    fn must_wait(&self, kind: ResourceType, now: Instant) -> bool {
        match kind {
            ResourceType::Cluster | ResourceType::Endpoint | ResourceType::Secret => false,
            ResourceType::Listener | ResourceType::Route | ResourceType::ScopedRoute => {
                self.types.get(ResourceType::Cluster).is_busy(now)
            }
        }
    }

    fn state_of_the_world(
        &mut self,
        kind: ResourceType,
        catalog: &Catalog,
        now: Instant,
    ) -> Option<Response> {
        let group = self.group;
        let state = self.types.get_mut(kind);
        state.dirty = false;
        let mut contents = state.desired(kind, catalog, group);
        let dependents_pending = self.dependents_pending();
        let state = self.types.get_mut(kind);
        state.keeps = false;
        if kind == ResourceType::Cluster && dependents_pending {
            for (name, gone) in &state.sent {
                if !contents.contains_key(name) {
                    contents.insert(Arc::clone(name), Arc::clone(gone));
                    state.keeps = true;
                }
            }
        }
        let version = version_of(&contents);
        let is_news = state.version.is_some_and(|held| held != version);
        if is_news && state.nonce == 0 && catalog.is_holding() {
            // What it said that it has cannot be kept in parts.
            return None;
        }
        let asked = std::mem::take(&mut state.asked);
        if state.version == Some(version) && (!asked || state.nonce == 0) {
            // Nothing new; on a new connection the client says that it has this.
            if state.nonce == 0 {
                state.held.clone_from(&contents);
                state.sent = contents;
            }
            return None;
        }
        self.last_nonce += 1;
        state.nonce = self.last_nonce;
        state.version = Some(version);
        state.outstanding = Some(now);
        let resources = contents.iter().map(|(n, r)| (Arc::clone(n), Arc::clone(r)));
        let resources = resources.collect();
        let nonce = state.nonce;
        state.sent = contents;
        if kind == ResourceType::Cluster {
            // A cluster that is new to the client needs its endpoints once more.
            let endpoints = self.types.get_mut(ResourceType::Endpoint);
            endpoints.dirty |= endpoints.is_seen();
            endpoints.asked |= endpoints.is_seen();
        }
        Some(Response { kind, nonce, version, resources })
    }

    fn dependents_pending(&self) -> bool {
        let dependents = [ResourceType::Listener, ResourceType::Route, ResourceType::ScopedRoute];
        dependents.into_iter().any(|kind| {
            let state = self.types.get(kind);
            state.dirty || state.outstanding.is_some()
        })
    }

    /// Sends the clusters without those that are gone when nothing uses them any more.
    fn let_go_of_clusters(&mut self, now: Instant) {
        let dependents_pending = self.dependents_pending();
        let clusters = self.types.get_mut(ResourceType::Cluster);
        let overdue = clusters.outstanding.is_none_or(|at| at + PATIENCE <= now);
        if clusters.keeps && !dependents_pending && overdue {
            clusters.keeps = false;
            clusters.dirty = true;
        }
    }

    /// Whether nothing of the newest revision is left to do.
    fn is_settled(&self) -> bool {
        let busy = |s: &State| s.dirty || s.outstanding.is_some() || s.keeps;
        self.sequence > 0 && !self.types.iter().any(|(_, state)| busy(state))
    }

    fn report(&mut self, now: Instant) {
        let any = self.types.iter().any(|(_, state)| state.is_seen());
        if !any || self.reported == self.revision || !self.is_settled() {
            return;
        }
        self.reported = self.revision;
        if self.types.iter().all(|(_, state)| state.parked.is_empty()) {
            let since = self.revised.unwrap_or(now);
            self.events.push(Event::Acknowledged {
                node: Arc::clone(&self.node.id),
                revision: self.revision,
                elapsed: now.saturating_duration_since(since),
            });
        }
    }

    /// When [`Self::poll`] should be called although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.types.iter().all(|(_, state)| !state.dirty && !state.keeps) {
            return None;
        }
        let outstanding = self.types.iter().filter_map(|(_, state)| state.outstanding);
        outstanding.map(|at| at + PATIENCE).min()
    }

    /// What happened since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The newest revision that the client has dealt with.
    pub(super) fn in_sync(&self) -> u64 {
        self.reported
    }

    /// How many resources of each type the client holds, has on the way and refused.
    pub(super) fn types(&self) -> Vec<(ResourceType, TypeView)> {
        let seen = self.types.iter().filter(|(_, state)| state.is_seen());
        seen.map(|(kind, state)| {
            let held = state.held.iter().map(|(name, resource)| (&**name, resource.version));
            let view = TypeView {
                held: state.held.len(),
                outstanding: state.outstanding.map_or(0, |_| state.sent.len()),
                pending: usize::from(state.dirty),
                rejected: state.parked.len(),
                digest: digest(held),
                acknowledged: state.acknowledged,
            };
            (kind, view)
        })
        .collect()
    }

    /// The resources whose newest version the client refused.
    pub(super) fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView> {
        let mut rejections = Vec::new();
        for (kind, state) in self.types.iter() {
            for (name, (version, message)) in &state.parked {
                let key = source(kind, name);
                let newest = catalog.newest(&key, self.group).map(|(version, _)| version);
                if newest == Some(*version) {
                    let (version, message) = (*version, Arc::clone(message));
                    rejections.push(RejectedView { key, version, message });
                }
            }
        }
        rejections
    }

    /// What the client has of `key`; `None` if it does not ask for it.
    pub(super) fn state_of(
        &self,
        key: &ResourceKey,
        catalog: &Catalog,
    ) -> Option<(HeldState, Option<Version>)> {
        let state = self.types.get(key.kind);
        if !state.is_asked_for(&key.name) {
            return None;
        }
        let newest = catalog.newest(key, self.group);
        let (version, refusal) = newest.map_or((None, None), |(v, r)| (Some(v), r));
        let parked = state.parked.get(&key.name);
        let parked = parked.filter(|(v, _)| Some(*v) == version).map(|(_, m)| Arc::clone(m));
        if let Some(message) = parked.or(refusal) {
            return Some((HeldState::Rejected { message }, version));
        }
        let of = |contents: &Contents| contents.get(&key.name).map(|r| r.version);
        let sent = state.outstanding.is_some() && of(&state.sent) == version;
        let held = match (of(&state.held) == version, sent) {
            (true, _) => HeldState::Acknowledged,
            (false, true) => HeldState::Sent,
            (false, false) => HeldState::Pending,
        };
        Some((held, version))
    }

    /// Since when the client has had `key` at the latest: its acknowledgements are for all that
    /// there is of a type.
    pub(super) fn held_since(&self, key: &ResourceKey) -> Option<Instant> {
        self.types.get(key.kind).acknowledged
    }
}

impl State {
    /// What the client should hold of this type.
    fn desired(&self, kind: ResourceType, catalog: &Catalog, group: Group) -> Contents {
        let names: Vec<Arc<str>> = match &self.interest {
            Interest::None => Vec::new(),
            Interest::All => {
                let all = catalog.versions(kind, group).into_iter();
                all.map(|(name, _)| name).collect()
            }
            Interest::Named(names) => names.iter().cloned().collect(),
        };
        let mut contents = Contents::new();
        for name in names {
            let key = source(kind, &name);
            let desired = catalog.desired(&key, group);
            let parked = self.parked.get(&name).map(|(version, _)| *version);
            let usable = desired.resource.filter(|r| Some(r.version) != parked);
            // To leave out what the client refuses would take away what it has of it.
            let kept = || self.held.get(&name).filter(|_| desired.refused).cloned();
            if let Some(resource) = usable.or_else(kept) {
                contents.insert(name, resource);
            }
        }
        contents
    }
}

#[cfg(test)]
mod tests;
