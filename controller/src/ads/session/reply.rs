//! What Envoy made of a response.

use std::sync::Arc;

use contour_core::xds::{ResourceKey, ResourceType};

use super::holding::{Parked, Place, Purpose, Sent};
use super::{Session, View, source};
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
        view: View<'_>,
    ) {
        let Some(sent) = self.types.get_mut(kind).take_outstanding(nonce) else {
            return;
        };
        match (error, sent.purpose) {
            (None, Purpose::Update) => self.acknowledged(kind, &sent, view),
            (Some(message), Purpose::Update) => {
                self.refused(kind, &sent, message, view);
            }
            (error, Purpose::Probe) => self.probed(&sent, error, view),
            (error, Purpose::Removal | Purpose::Answer) => {
                if let Some(message) = error {
                    // There is nothing better to send than that these do not exist.
                    tracing::warn!(node = %self.node.id, %kind, message, "Envoy refused a removal");
                }
                self.removed(kind, &sent, view);
            }
        }
    }

    fn acknowledged(&mut self, kind: ResourceType, sent: &Sent, view: View<'_>) {
        let keys = sent.items.iter().filter_map(|(name, v)| Some((source(kind, name).name, (*v)?)));
        let keys: Vec<_> = keys.collect();
        let items = keys.iter().map(|(name, version)| (name, *version));
        view.catalog.acknowledge(kind, self.group, items);
        let most = self.batch_resources;
        let holding = self.types.get_mut(kind);
        holding.acknowledged = Some(view.now);
        let work = self.distance.answered(view.now.saturating_duration_since(sent.at));
        if sent.bulk {
            holding.pace.worked(work, sent.items.len(), most);
        }
        let age = self.age(view.now);
        for (name, version) in &sent.items {
            let holding = self.types.get_mut(kind);
            holding.set_held(name, *version, age);
            holding.land(name, sent.nonce);
            if holding.is_quiet(name) {
                self.recover(kind, name, view.catalog);
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), view.now);
            }
        }
    }

    fn removed(&mut self, kind: ResourceType, sent: &Sent, view: View<'_>) {
        self.types.get_mut(kind).acknowledged = Some(view.now);
        let age = self.age(view.now);
        for (name, _) in &sent.items {
            let holding = self.types.get_mut(kind);
            holding.set_held(name, None, age);
            holding.land(name, sent.nonce);
            if holding.is_quiet(name) {
                holding.forget_if_unused(name);
                self.recover(kind, name, view.catalog);
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), view.now);
            }
        }
    }

    fn refused(&mut self, kind: ResourceType, sent: &Sent, message: &str, view: View<'_>) {
        if let [(name, Some(version))] = sent.items.as_slice() {
            self.types.get_mut(kind).land(name, sent.nonce);
            let parked = Parked { version: *version, message: message.into(), own: true };
            self.park(kind, name, parked, view);
            if kind == ResourceType::Secret {
                self.withdraw_refused(&sent.items);
            }
            if self.types.get(kind).is_quiet(name) {
                self.settle(&ResourceKey::new(kind, Arc::clone(name)), view.now);
            }
            return;
        }
        tracing::info!(node = %self.node.id, %kind, resources = sent.items.len(), message,
            "Envoy refused a batch, taking it apart");
        if kind == ResourceType::Secret {
            self.withdraw_refused(&sent.items);
            return;
        }
        let holding = self.types.get_mut(kind);
        let mut suspects = Vec::with_capacity(sent.items.len());
        for (name, _) in &sent.items {
            let Some(entry) = holding.entries.get_mut(name) else {
                continue;
            };
            if entry.flight.take_if(|f| f.nonce == sent.nonce).is_some() {
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

    /// Takes Envoy's refusal of a resource that was alone in its response.
    pub(super) fn park(
        &mut self,
        kind: ResourceType,
        name: &Arc<str>,
        parked: Parked,
        view: View<'_>,
    ) {
        let key = source(kind, name);
        let Parked { version, message, .. } = &parked;
        tracing::warn!(node = %self.node.id, resource = %key, %version, message = &**message,
            "Envoy refused a resource");
        view.catalog.refuse(&key, *version, self.group, message);
        let newest = view.catalog.newest(&key, self.group);
        // A version that was overtaken meanwhile is of no interest any more.
        if newest.is_some_and(|(newest, _)| newest == *version) {
            self.note_refusal(&key, name, parked);
        }
    }

    /// Notes that an Envoy of the same release refused the newest version of a resource, so that
    /// this one will not get it.
    pub(super) fn inherit_refusal(
        &mut self,
        kind: ResourceType,
        name: &Arc<str>,
        catalog: &Catalog,
    ) {
        let key = source(kind, name);
        let Some((version, Some(message))) = catalog.newest(&key, self.group) else {
            return;
        };
        let parked = self.types.get(kind).parked.get(name);
        if parked.is_none_or(|parked| parked.version != version) {
            self.note_refusal(&key, name, Parked { version, message, own: false });
        }
    }

    fn note_refusal(&mut self, key: &ResourceKey, name: &Arc<str>, parked: Parked) {
        let Parked { version, message, .. } = &parked;
        self.events.push(Event::Rejected {
            node: Arc::clone(&self.node.id),
            key: key.clone(),
            version: *version,
            message: Arc::clone(message),
        });
        self.types.get_mut(key.kind).parked.insert(Arc::clone(name), parked);
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
