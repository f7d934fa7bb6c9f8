//! Withdrawn resources that the last good version of a refused one still needs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use contour_core::xds::{Resource, ResourceKey};

use super::slot::Slot;

/// Withdrawn resources that can be brought back.
const GRAVES: usize = 1_024;

/// Remembers the withdrawn, and what was brought back for whom.
#[derive(Default)]
pub(super) struct Retention {
    graves: HashMap<ResourceKey, Slot>,
    order: VecDeque<ResourceKey>,
    /// Refused resources whose fallback needs something that was withdrawn.
    keepers: BTreeSet<ResourceKey>,
    retained: BTreeSet<ResourceKey>,
    /// What was refused and may still be.
    refused: BTreeSet<ResourceKey>,
}

impl Retention {
    /// `key` was refused.
    pub(super) fn note_refusal(&mut self, key: &ResourceKey) {
        self.refused.insert(key.clone());
    }

    /// Whether `key` was refused.
    pub(super) fn was_refused(&self, key: &ResourceKey) -> bool {
        self.refused.contains(key)
    }

    /// What was refused, of which `still` says that it is; the rest is forgotten.
    pub(super) fn refused(&mut self, still: impl Fn(&ResourceKey) -> bool) -> Vec<ResourceKey> {
        self.refused.retain(|key| still(key));
        self.refused.iter().cloned().collect()
    }

    /// Remembers a withdrawn resource for a while.
    pub(super) fn bury(&mut self, slot: Slot) {
        let key = slot.current.key.clone();
        if self.graves.insert(key.clone(), slot.withdrawn()).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > GRAVES {
            if let Some(oldest) = self.order.pop_front() {
                self.graves.remove(&oldest);
            }
        }
    }

    /// A withdrawn resource, if it is still remembered.
    pub(super) fn exhume(&mut self, key: &ResourceKey) -> Option<Slot> {
        if self.graves.is_empty() {
            return None;
        }
        self.graves.remove(key)
    }

    /// A withdrawn resource that stays where it is.
    pub(super) fn grave(&mut self, key: &ResourceKey) -> Option<&mut Slot> {
        self.graves.get_mut(key)
    }

    /// The fallback of `key` needs withdrawn resources.
    pub(super) fn keep_for(&mut self, key: &ResourceKey) {
        self.keepers.insert(key.clone());
    }

    /// `key` was brought back.
    pub(super) fn retained(&mut self, key: ResourceKey) {
        self.retained.insert(key);
    }

    /// Nothing was brought back.
    pub(super) fn is_idle(&self) -> bool {
        self.keepers.is_empty()
    }

    /// Drops the keepers without a fallback, and collects what the others need, however far away.
    pub(super) fn still_needed(
        &mut self,
        kept: impl Fn(&ResourceKey) -> Option<Arc<Resource>>,
    ) -> BTreeSet<ResourceKey> {
        self.keepers.retain(|key| kept(key).is_some());
        let mut needed = BTreeSet::new();
        let mut open: Vec<ResourceKey> = self.keepers.iter().cloned().collect();
        while let Some(key) = open.pop() {
            let Some(resource) = kept(&key) else { continue };
            for need in resource.requires.iter() {
                if needed.insert(need.clone()) && self.retained.contains(need) {
                    open.push(need.clone());
                }
            }
        }
        needed
    }

    /// What was brought back and is not needed any more.
    pub(super) fn release_all_but(&mut self, needed: &BTreeSet<ResourceKey>) -> Vec<ResourceKey> {
        let gone: Vec<_> = self.retained.difference(needed).cloned().collect();
        self.retained.retain(|key| needed.contains(key));
        gone
    }
}
