//! Routes whose newest version needs a cluster that Envoy refused.
//!
//! Such a version would answer 503 where the last good one answers. A route without a last good
//! version is sent all the same: its other clusters are of use.

use std::sync::Arc;

use contour_core::xds::{Resource, ResourceKey, ResourceType};

use super::{Cache, Slot};

impl Cache {
    fn slot(&self, key: &ResourceKey) -> Option<&Slot> {
        self.slots.get(key.kind).get(&key.name)
    }

    /// Withholds a route that was just published, if it needs what was refused.
    pub(super) fn withhold_if_lost(&mut self, resource: &Resource) -> Vec<ResourceKey> {
        if resource.key.kind != ResourceType::Route {
            return Vec::new();
        }
        let needs = resource.requires.iter().filter(|need| self.retention.was_refused(need));
        let lost: Vec<_> = needs.cloned().collect();
        lost.iter().flat_map(|lost| self.withhold(&resource.key, lost)).collect()
    }

    /// Withholds the routes that need a cluster of which a group takes no version.
    pub(super) fn withhold_dependents(&mut self, lost: &ResourceKey) -> Vec<ResourceKey> {
        if lost.kind != ResourceType::Cluster || self.slot(lost).and_then(Slot::lost).is_none() {
            return Vec::new();
        }
        let routes = self.slots.get(ResourceType::Route).values();
        let dependents = routes.filter(|slot| slot.current.requires.contains(lost));
        let dependents: Vec<_> = dependents.map(|slot| slot.current.key.clone()).collect();
        dependents.iter().flat_map(|route| self.withhold(route, lost)).collect()
    }

    fn withhold(&mut self, route: &ResourceKey, lost: &ResourceKey) -> Vec<ResourceKey> {
        let Some((group, message)) = self.slot(lost).and_then(Slot::lost) else {
            return Vec::new();
        };
        let message = Arc::from(format!("it needs {lost}, which was rejected: {message}"));
        let slot = self.slots.get_mut(route.kind).get_mut(&route.name);
        let Some(slot) = slot.filter(|slot| slot.fallback().is_some()) else {
            return Vec::new();
        };
        let version = slot.current.version;
        if !slot.refuse_because(version, group, &message, Some(lost)) {
            return Vec::new();
        }
        self.retention.note_refusal(route);
        let mut keys = vec![route.clone()];
        keys.append(&mut self.revive_needs_of(route));
        keys
    }

    /// Lets routes go that were withheld for the sake of a cluster that has a version now which
    /// was not refused, or that is gone.
    pub(super) fn lift_if_found(
        &mut self,
        kind: ResourceType,
        name: &Arc<str>,
    ) -> Vec<ResourceKey> {
        if kind != ResourceType::Cluster {
            return Vec::new();
        }
        let found = ResourceKey::new(kind, Arc::clone(name));
        let lost = self.slot(&found).and_then(Slot::lost).is_some();
        if lost || !self.retention.was_refused(&found) {
            return Vec::new();
        }
        let routes = self.slots.get_mut(ResourceType::Route).values_mut();
        let lifted = routes.filter_map(|s| s.lift(&found).then(|| s.current.key.clone()));
        lifted.collect()
    }

    /// Brings back what the last good versions of refused resources need and was withdrawn.
    pub(super) fn revive_needs(&mut self) -> Vec<ResourceKey> {
        let slots = &self.slots;
        let refused = self.retention.refused(|key| {
            let slot = slots.get(key.kind).get(&key.name);
            slot.is_some_and(Slot::is_refused)
        });
        refused.iter().flat_map(|key| self.revive_needs_of(key)).collect()
    }
}
