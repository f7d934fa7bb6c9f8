//! What is sent next.
//!
//! Order: answers that a client waits for; endpoints behind their clusters; additions and changes
//! by type; removals in reverse; empty first responses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contour_core::xds::{Resource, ResourceKey, ResourceType};

use super::gate::Passage;
use super::holding::{Entry, Flight, Holding, Place, Purpose, Sent};
use super::turns::Owner;
use super::waiting::PATIENCE;
use super::{Response, Session, View, source};
use crate::ads::catalog::Catalog;

/// Up to this many pending resources of a type travel alone, each in a response of its own, so
/// that a refusal names the culprit.
const ALONE: usize = 16;
/// Responses with more than that, of all types, that may be under way at a time: one that Envoy
/// works on, and the next.
const BULK: usize = 2;
/// How long a newer version of a resource waits for the acknowledgement of the one before it.
const COALESCE: Duration = Duration::from_secs(1);
/// Names in one response that says that they do not exist.
const NAMES: usize = 4_096;

/// What to do about a resource.
enum Verdict {
    Send(Arc<Resource>),
    Remove,
    /// Envoy asked for it and must be told that it does not exist.
    Deny,
    Defer,
    Block(ResourceKey),
    /// It is a certificate that Envoy has not accepted at the gate yet.
    Probe,
    /// It is on its way already.
    Await,
    /// Envoy has what it should have, or the best that it takes.
    Settle,
}

impl Session {
    /// The next response, if there is one now.
    pub(in crate::ads) fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        if self.sequence == 0 {
            return None;
        }
        loop {
            let response = self.next_response(catalog, now);
            if response.is_some() || !self.has_work(now) {
                return response;
            }
        }
    }

    fn next_response(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        for kind in ResourceType::ALL {
            if let Some(answer) = self.answer(kind, now) {
                return Some(answer);
            }
        }
        if let Some(response) = self.probe(catalog, now) {
            return Some(response);
        }
        if let Some(response) = self.endpoints_behind(catalog, now) {
            return Some(response);
        }
        for kind in ResourceType::ALL {
            let update = self.update(kind, catalog, now);
            // Looking at what is pending may have brought answers to light.
            let response = update.or_else(|| self.answer(kind, now));
            if let Some(response) = response.or_else(|| self.probe(catalog, now)) {
                return Some(response);
            }
        }
        self.removal(catalog, now).or_else(|| self.empty_answer(now))
    }

    /// Looking at one type may have woken something of a type that was looked at before.
    fn has_work(&self, now: Instant) -> bool {
        let waits = |(kind, holding): (ResourceType, &Holding)| {
            let pending = !holding.pending.is_empty() && self.may_send_pending(kind, now);
            (pending || !holding.retries.is_empty()) && holding.window_is_open(now)
        };
        self.types.iter().any(waits)
    }

    /// Whether anything waits to be looked at.
    pub(super) fn has_pending(&self) -> bool {
        self.types.iter().any(|(_, holding)| !holding.pending.is_empty())
    }

    /// Whether what is pending of a type may be sent now: of much only so much at a time.
    fn may_send_pending(&self, kind: ResourceType, now: Instant) -> bool {
        let holding = self.types.get(kind);
        // Clusters warm until they have their endpoints.
        if holding.pending.len() <= ALONE || kind == ResourceType::Endpoint {
            return true;
        }
        // Envoy withholds its acknowledgement of clusters while any of them warms. With one
        // response after the other it acknowledges in between.
        let is_free = kind != ResourceType::Cluster || holding.bulk_under_way(now) == 0;
        let under_way = self.types.iter().map(|(_, holding)| holding.bulk_under_way(now));
        is_free && under_way.sum::<usize>() < BULK
    }

    /// Endpoints that Envoy needs again because their cluster is new to it. Without these it
    /// would wait 15 s, and withhold all acknowledgements of clusters meanwhile.
    fn endpoints_behind(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        let kind = ResourceType::Endpoint;
        let alone = self.endpoints.behind.len() <= ALONE;
        let mut batch = Batch::new(self, alone);
        while let Some(name) = self.endpoints.behind.pop_first() {
            let key = ResourceKey::new(kind, Arc::clone(&name));
            let holding = self.types.get_mut(kind);
            let Some(resource) = catalog.desired(&key, self.group).resource else {
                holding.deny_again(&name);
                self.endpoints.owed.insert(name);
                continue;
            };
            let parked = holding.parked.get(&name);
            if !holding.entries.contains_key(&name)
                || parked.is_some_and(|p| p.refuses(resource.version))
            {
                continue;
            }
            if !batch.has_room(&resource) {
                self.endpoints.behind.insert(name);
                break;
            }
            self.ledger.mark(&key, self.ledger.consumed(), now);
            batch.add(name, resource);
        }
        self.send(kind, batch, now)
    }

    /// Additions and changes of a type.
    fn update(&mut self, kind: ResourceType, catalog: &Catalog, now: Instant) -> Option<Response> {
        if !self.types.get(kind).window_is_open(now) {
            return None;
        }
        let view = View { catalog, now };
        while let Some(part) = self.types.get_mut(kind).retries.pop_front() {
            let mut batch = Batch::new(self, false);
            for name in part {
                let resource = self.consider(kind, &name, Place::Retrying, view);
                if let Some(resource) = resource {
                    batch.add(name, resource);
                }
            }
            if !batch.resources.is_empty() {
                return self.send(kind, batch, now);
            }
        }
        if !self.may_send_pending(kind, now) {
            return None;
        }
        let alone = self.travels_alone(kind);
        let mut batch = Batch::new(self, alone);
        let is_bulk = self.types.get(kind).pending.len() > ALONE;
        batch.bulk = is_bulk && kind != ResourceType::Endpoint;
        if is_bulk {
            batch.max_resources = self.types.get(kind).pace.resources(self.batch_resources);
        }
        let owner = |name: &Arc<str>| catalog.owner(&source(kind, name));
        while let Some((name, owner)) = self.types.get_mut(kind).pending.next(owner) {
            let resource = self.consider(kind, &name, Place::Pending, view);
            let Some(resource) = resource else {
                if self.types.get(kind).absent.len() >= NAMES {
                    break;
                }
                continue;
            };
            if batch.has_room(&resource) {
                batch.add(name, resource);
            } else {
                self.types.get_mut(kind).put_back(name, owner);
                break;
            }
            if batch.is_full() {
                break;
            }
        }
        self.send(kind, batch, now)
    }

    /// Whether what is pending of a type goes one resource at a time. Scopes do not: Envoy builds
    /// the whole set anew for each response, and a scope has nothing that could be refused but a
    /// key that another one has.
    fn travels_alone(&self, kind: ResourceType) -> bool {
        kind != ResourceType::ScopedRoute && self.types.get(kind).pending.len() <= ALONE
    }

    /// Decides about a resource that was in the queue `place`; returns it if it is to be sent.
    fn consider(
        &mut self,
        kind: ResourceType,
        name: &Arc<str>,
        place: Place,
        view: View<'_>,
    ) -> Option<Arc<Resource>> {
        let entry = self.types.get_mut(kind).entries.get_mut(name);
        let entry = entry.filter(|e| e.place == place)?;
        entry.asked |= kind == ResourceType::Endpoint && self.endpoints.owed.contains(name);
        let entry = self.types.get(kind).entries.get(name)?;
        let (verdict, refused) = self.judge(kind, name, entry, view);
        if refused {
            self.inherit_refusal(kind, name, view.catalog);
        }
        let key = ResourceKey::new(kind, Arc::clone(name));
        match verdict {
            Verdict::Remove => self.ledger.is_removal(&key),
            Verdict::Send(_)
            | Verdict::Deny
            | Verdict::Defer
            | Verdict::Block(_)
            | Verdict::Probe
            | Verdict::Await
            | Verdict::Settle => self.ledger.is_add(&key),
        }
        let holding = self.types.get_mut(kind);
        let entry = holding.entries.get_mut(name)?;
        entry.place = match verdict {
            Verdict::Remove => Place::Removing,
            Verdict::Defer => Place::Deferred,
            Verdict::Block(_) | Verdict::Probe => Place::Blocked,
            Verdict::Send(_) | Verdict::Deny | Verdict::Await | Verdict::Settle => Place::Idle,
        };
        match verdict {
            Verdict::Send(resource) => return Some(resource),
            Verdict::Await => {}
            Verdict::Deny => {
                entry.asked = false;
                holding.absent.push(Arc::clone(name));
                if let Some(oldest) = holding.remember_missing(name) {
                    self.drop_name(kind, oldest, view.now);
                }
            }
            Verdict::Remove => {
                entry.asked = false;
                // Not the revision that was looked at: this one may be of a later publish,
                // whose additions have not been taken from the journal yet.
                let revision = view.catalog.position().revision;
                holding.queue_removal(name, revision, view.now);
            }
            Verdict::Defer => self.deferred.push_back((view.now + COALESCE, key)),
            Verdict::Block(required) => self.waiting.block(&key, required, view.now),
            Verdict::Probe => self.gate.wait(source(kind, name).name, name, view.now),
            Verdict::Settle => {
                entry.asked = false;
                holding.forget_if_unused(name);
                self.recover(kind, name, view.catalog);
                self.settle(&key, view.now);
            }
        }
        None
    }

    /// What to do about a resource, and whether this Envoy is kept from its newest version.
    fn judge(
        &self,
        kind: ResourceType,
        name: &Arc<str>,
        entry: &Entry,
        view: View<'_>,
    ) -> (Verdict, bool) {
        let desired = view.catalog.desired(&source(kind, name), self.group);
        let refused = desired.refused;
        let holds_nothing = entry.acked.is_none() && entry.flight.is_none();
        // Who asks again for what it has does not have it any more, and waits for an answer.
        let keeps = entry.acked.is_some() && !entry.asked;
        let verdict = match desired.resource {
            _ if keeps && desired.kept => Verdict::Settle,
            None if keeps && self.is_spared(kind, name) => Verdict::Settle,
            Some(resource) => self.judge_resource(resource, name, entry, view),
            // A secret that Envoy refused under a host's name must leave its memory.
            None if entry.asked && (holds_nothing || kind == ResourceType::Secret) => Verdict::Deny,
            None if refused || holds_nothing => Verdict::Settle,
            None => Verdict::Remove,
        };
        (verdict, refused)
    }

    fn is_spared(&self, kind: ResourceType, name: &Arc<str>) -> bool {
        self.spared.keeps(&ResourceKey::new(kind, Arc::clone(name)))
    }

    fn judge_resource(
        &self,
        resource: Arc<Resource>,
        name: &Arc<str>,
        entry: &Entry,
        view: View<'_>,
    ) -> Verdict {
        let kind = resource.key.kind;
        let version = resource.version;
        if self.types.get(kind).parked.get(name).is_some_and(|p| p.refuses(version)) {
            let unanswered = kind == ResourceType::Secret && entry.asked;
            return if unanswered { Verdict::Deny } else { Verdict::Settle };
        }
        if !entry.asked {
            match entry.flight.as_ref() {
                None if entry.acked == Some(version) => return Verdict::Settle,
                Some(f) if f.version == Some(version) => return Verdict::Await,
                Some(f) if f.version.is_some() && f.at + COALESCE > view.now => {
                    return Verdict::Defer;
                }
                Some(_) | None => {}
            }
        }
        let key = ResourceKey::new(kind, Arc::clone(name));
        if !self.waiting.is_overdue(&key, view.now)
            && let Some(required) = self.unmet(&resource, view.catalog)
        {
            return Verdict::Block(required);
        }
        match self.at_gate(&resource, entry, view) {
            Passage::Free => Verdict::Send(resource),
            Passage::Unknown => Verdict::Probe,
            // Nothing has been accepted, so there is nothing to serve.
            Passage::Closed if entry.asked => Verdict::Deny,
            Passage::Closed => Verdict::Settle,
        }
    }

    /// A resource that has to reach Envoy before this one, and has not.
    fn unmet(&self, resource: &Resource, catalog: &Catalog) -> Option<ResourceKey> {
        let unmet = |required: &&ResourceKey| {
            if resource.key.kind == ResourceType::Cluster && required.kind == ResourceType::Endpoint
            {
                // Those go right behind it.
                return false;
            }
            let holding = self.types.get(required.kind);
            if !holding.is_asked_for(&required.name) {
                return false;
            }
            let Some(version) = catalog.desired_version(required, self.group) else {
                return false;
            };
            let entry = holding.entries.get(&required.name);
            if entry.is_some_and(|e| e.acked.is_some())
                && catalog.desired(required, self.group).kept
            {
                return false;
            }
            let parked = holding.parked.get(&required.name);
            entry.is_none_or(|e| !e.has(Some(version)))
                && !parked.is_some_and(|p| p.refuses(version))
        };
        resource.requires.iter().find(unmet).cloned()
    }

    /// Makes a response of a batch, if there is anything in it.
    fn send(&mut self, kind: ResourceType, batch: Batch, now: Instant) -> Option<Response> {
        if batch.resources.is_empty() {
            return None;
        }
        let nonce = self.next_nonce();
        let holding = self.types.get_mut(kind);
        holding.unanswered = false;
        let mut items = Vec::with_capacity(batch.resources.len());
        for (name, resource) in &batch.resources {
            items.push((Arc::clone(name), Some(resource.version)));
            if let Some(entry) = holding.entries.get_mut(name) {
                entry.asked = false;
                entry.place = Place::Idle;
                entry.flight =
                    Some(Box::new(Flight { nonce, version: Some(resource.version), at: now }));
            }
        }
        for (name, resource) in &batch.resources {
            self.waiting.release(&ResourceKey::new(kind, Arc::clone(name)));
            match kind {
                ResourceType::Cluster => self.owe_endpoints(resource),
                ResourceType::Endpoint => {
                    self.endpoints.owed.remove(name);
                }
                ResourceType::Secret
                | ResourceType::Listener
                | ResourceType::Route
                | ResourceType::ScopedRoute => {}
            }
        }
        let bulk = batch.bulk;
        let sent = Sent { nonce, purpose: Purpose::Update, items, at: now, bulk };
        let mut response = self.dispatch(kind, sent);
        response.resources = batch.resources;
        Some(response)
    }

    /// Envoy needs the endpoints of a cluster that it is sent.
    fn owe_endpoints(&mut self, cluster: &Resource) {
        let endpoint = cluster.requires.iter().find(|r| r.kind == ResourceType::Endpoint);
        let Some(endpoint) = endpoint else { return };
        let name = Arc::clone(&endpoint.name);
        if self.types.get(ResourceType::Endpoint).is_asked_for(&name) {
            self.endpoints.behind.insert(name);
        } else {
            self.endpoints.owed.insert(name);
        }
    }

    /// Tells Envoy which names of a type do not exist.
    fn answer(&mut self, kind: ResourceType, now: Instant) -> Option<Response> {
        let holding = self.types.get_mut(kind);
        if holding.absent.is_empty() {
            return None;
        }
        let mut names = std::mem::take(&mut holding.absent);
        names.retain(|name| match holding.entries.get_mut(name) {
            Some(entry) if entry.place != Place::Idle => {
                // It has changed meanwhile and is going to be looked at again.
                entry.asked = true;
                false
            }
            Some(_) => true,
            None => false,
        });
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| self.remove(kind, names, Purpose::Answer, now))
    }

    /// Removals whose turn it is, the last type first.
    fn removal(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        if catalog.sequence() != self.sequence {
            // A later publish may be the reason, and its additions come first.
            return None;
        }
        let mut later_types_are_busy = false;
        for kind in ResourceType::ALL.into_iter().rev() {
            let names = self.due_removals(kind, later_types_are_busy, catalog, now);
            if !names.is_empty() {
                return Some(self.remove(kind, names, Purpose::Removal, now));
            }
            let holding = self.types.get(kind);
            later_types_are_busy |=
                !holding.removals.is_empty() || holding.removals_outstanding > 0;
        }
        None
    }

    fn due_removals(
        &mut self,
        kind: ResourceType,
        later_types_are_busy: bool,
        catalog: &Catalog,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        let ledger = &mut self.ledger;
        let holding = self.types.get_mut(kind);
        while let Some(removal) = holding.removals.front() {
            let in_turn = !later_types_are_busy && ledger.adds_settled(removal.revision);
            let overdue = removal.since + PATIENCE <= now;
            if !(in_turn || overdue) || names.len() >= NAMES {
                break;
            }
            let Some(name) = holding.next_removal() else {
                continue;
            };
            let key = ResourceKey::new(kind, Arc::clone(&name));
            let desired = catalog.desired(&source(kind, &name), self.group);
            if desired.resource.is_some() || desired.refused || desired.kept {
                ledger.is_add(&key);
                holding.requeue_from(Place::Removing, &name);
            } else {
                holding.take_out(&name);
                names.push(name);
            }
        }
        names
    }

    /// Makes a response that removes `names`.
    fn remove(
        &mut self,
        kind: ResourceType,
        names: Vec<Arc<str>>,
        purpose: Purpose,
        now: Instant,
    ) -> Response {
        let nonce = self.next_nonce();
        let holding = self.types.get_mut(kind);
        holding.unanswered = false;
        for name in &names {
            if let Some(entry) = holding.entries.get_mut(name) {
                entry.flight = Some(Box::new(Flight { nonce, version: None, at: now }));
            }
        }
        holding.removals_outstanding += usize::from(purpose == Purpose::Removal);
        let items = names.iter().map(|name| (Arc::clone(name), None)).collect();
        let sent = Sent { nonce, purpose, items, at: now, bulk: false };
        let mut response = self.dispatch(kind, sent);
        response.removed = names;
        response
    }

    /// The empty response to a client that waits for all of a type of which there is nothing.
    fn empty_answer(&mut self, now: Instant) -> Option<Response> {
        let idle = |h: &Holding| h.entries.values().all(|e| e.place != Place::Blocked);
        let waits = |kind: &ResourceType| {
            let holding = self.types.get(*kind);
            holding.unanswered && idle(holding)
        };
        let kind = ResourceType::ALL.into_iter().find(waits)?;
        Some(self.remove(kind, Vec::new(), Purpose::Answer, now))
    }

    pub(super) fn next_nonce(&mut self) -> u64 {
        self.last_nonce += 1;
        self.last_nonce
    }

    /// An empty response, on record as unacknowledged.
    pub(super) fn dispatch(&mut self, kind: ResourceType, sent: Sent) -> Response {
        let nonce = sent.nonce;
        self.types.get_mut(kind).outstanding.insert(nonce, sent);
        Response {
            kind,
            nonce,
            revision: self.ledger.consumed(),
            resources: Vec::new(),
            removed: Vec::new(),
        }
    }
}

impl Holding {
    /// Puts a resource back to the front of what is to be looked at.
    fn put_back(&mut self, name: Arc<str>, owner: Owner) {
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.place = Place::Pending;
            self.pending.put_back(name, owner);
        }
    }
}

/// A response being filled.
struct Batch {
    resources: Vec<(Arc<str>, Arc<Resource>)>,
    bytes: usize,
    max_resources: usize,
    max_bytes: usize,
    /// More waits than goes alone.
    bulk: bool,
}

impl Batch {
    fn new(session: &Session, alone: bool) -> Self {
        Self {
            resources: Vec::new(),
            bytes: 0,
            max_resources: if alone { 1 } else { session.batch_resources },
            max_bytes: session.batch_bytes,
            bulk: false,
        }
    }

    fn is_full(&self) -> bool {
        self.resources.len() >= self.max_resources
    }

    fn has_room(&self, resource: &Resource) -> bool {
        let fits = self.bytes + resource.body.len() <= self.max_bytes;
        self.resources.is_empty() || (fits && !self.is_full())
    }

    fn add(&mut self, name: Arc<str>, resource: Arc<Resource>) {
        // Names and type URLs count as well.
        self.bytes += resource.body.len() + name.len() + 128;
        self.resources.push((name, resource));
    }
}
