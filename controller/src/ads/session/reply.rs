//! What Envoy made of a response.

use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{ResourceKey, ResourceType, Version};

use super::holding::{Parked, Place, Purpose, Sent};
use super::{Session, source};
use crate::ads::Event;
use crate::ads::catalog::Catalog;

/// Into how many parts a refused batch is taken apart. With a thousand resources and a bad one,
/// three rounds of sixteen responses find it; one by one would take a thousand.
const PARTS: usize = 16;

impl Session {
    /// Takes the acknowledgement or refusal of response `nonce`. One that is not outstanding is
    /// ignored.
    pub(super) fn reply(
        &mut self,
        kind: ResourceType,
        nonce: u64,
        error: Option<&str>,
        catalog: &Catalog,
        now: Instant,
    ) {
        let Some(sent) = self.types.get_mut(kind).take_outstanding(nonce) else {
            return;
        };
        match (error, sent.purpose) {
            (None, Purpose::Update) => self.acknowledged(kind, nonce, &sent, catalog, now),
            (Some(message), Purpose::Update) => {
                self.refused(kind, nonce, &sent, message, catalog, now);
            }
            (error, Purpose::Removal | Purpose::Answer) => {
                if let Some(message) = error {
                    // There is nothing better to send than that these do not exist.
                    tracing::warn!(node = %self.node.id, %kind, message, "Envoy refused a removal");
                }
                self.removed(kind, nonce, &sent, now);
            }
        }
    }

    fn acknowledged(
        &mut self,
        kind: ResourceType,
        nonce: u64,
        sent: &Sent,
        catalog: &Catalog,
        now: Instant,
    ) {
        let keys = sent.items.iter().filter_map(|(name, v)| Some((source(kind, name).name, (*v)?)));
        let keys: Vec<_> = keys.collect();
        let items = keys.iter().map(|(name, version)| (name, *version));
        catalog.acknowledge(kind, self.group, items);
        for (name, version) in &sent.items {
            let holding = self.types.get_mut(kind);
            holding.set_held(name, *version);
            holding.land(name, nonce);
            if holding.is_quiet(name) {
                self.recover(kind, name, catalog);
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), now, false);
            }
        }
    }

    fn removed(&mut self, kind: ResourceType, nonce: u64, sent: &Sent, now: Instant) {
        for (name, _) in &sent.items {
            let holding = self.types.get_mut(kind);
            holding.set_held(name, None);
            holding.land(name, nonce);
            if holding.is_quiet(name) {
                holding.forget_if_unused(name);
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), now, false);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a refusal has these parts, used once")]
    fn refused(
        &mut self,
        kind: ResourceType,
        nonce: u64,
        sent: &Sent,
        message: &str,
        catalog: &Catalog,
        now: Instant,
    ) {
        if let [(name, Some(version))] = sent.items.as_slice() {
            self.types.get_mut(kind).land(name, nonce);
            self.park(kind, name, *version, message.into(), catalog);
            if self.types.get(kind).is_quiet(name) {
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), now, true);
            }
            return;
        }
        tracing::info!(node = %self.node.id, %kind, resources = sent.items.len(), message,
            "Envoy refused a batch, taking it apart");
        let holding = self.types.get_mut(kind);
        let mut suspects = Vec::with_capacity(sent.items.len());
        for (name, _) in &sent.items {
            let Some(entry) = holding.entries.get_mut(name) else {
                continue;
            };
            if entry.flight.take_if(|f| f.nonce == nonce).is_some() {
                // What Envoy kept of the batch is unknown.
                entry.asked = true;
                entry.place = Place::Retrying;
                suspects.push(Arc::clone(name));
            }
        }
        let size = suspects.len().div_ceil(PARTS).max(1);
        let parts = suspects.chunks(size).map(<[_]>::to_vec);
        holding.retries.extend(parts);
    }

    /// Notes that this Envoy refuses this version of a resource.
    fn park(
        &mut self,
        kind: ResourceType,
        name: &Arc<str>,
        version: Version,
        message: Arc<str>,
        catalog: &Catalog,
    ) {
        let key = source(kind, name);
        tracing::warn!(node = %self.node.id, resource = %key, %version, message = &*message,
            "Envoy refused a resource");
        catalog.refuse(&key, version, self.group, &message);
        let parked = Parked { version, message: Arc::clone(&message) };
        self.types.get_mut(kind).parked.insert(Arc::clone(name), parked);
        self.events.push(Event::Rejected {
            node: Arc::clone(&self.node.id),
            key,
            version,
            message,
        });
    }

    /// Ends the refusal of `name` if Envoy holds what it should again.
    pub(super) fn recover(&mut self, kind: ResourceType, name: &Arc<str>, catalog: &Catalog) {
        let holding = self.types.get_mut(kind);
        let Some(parked) = holding.parked.get(name) else {
            return;
        };
        let key = source(kind, name);
        let newest = catalog.newest(&key, self.group).map(|(version, _)| version);
        let held = holding.entries.get(name).and_then(|e| e.acked);
        if newest == held && held != Some(parked.version) {
            holding.parked.remove(name);
            self.events.push(Event::Recovered { node: Arc::clone(&self.node.id), key });
        }
    }
}
