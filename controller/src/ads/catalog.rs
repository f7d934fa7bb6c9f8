//! The cache as its readers share it: short locks, a bell that rings when something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version, gate};
use tokio::sync::watch;

use super::cache::{Cache, Desired, Group, Position, Step};
use super::node::EnvoyVersion;
use super::secret;

/// Shared access to the [`Cache`]. Every method holds the lock for a look-up, never longer.
pub(super) struct Catalog {
    cache: RwLock<Cache>,
    bell: watch::Sender<u64>,
    /// What an Envoy's gate is sent before any certificate.
    first_at_gate: Option<Arc<Resource>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            cache: RwLock::default(),
            bell: watch::Sender::new(0),
            first_at_gate: secret::first_at_gate(),
        }
    }
}

impl Catalog {
    fn read(&self) -> RwLockReadGuard<'_, Cache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Cache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the cache and wakes the sessions if that moved the journal.
    fn change<T>(&self, apply: impl FnOnce(&mut Cache) -> T) -> T {
        let (result, sequence) = {
            let mut cache = self.write();
            (apply(&mut cache), cache.position().sequence)
        };
        self.bell.send_if_modified(|rung| {
            let newer = sequence > *rung;
            *rung = sequence.max(*rung);
            newer
        });
        result
    }

    /// What an Envoy's gate is sent before any certificate.
    pub(super) fn first_at_gate(&self) -> Option<&Arc<Resource>> {
        self.first_at_gate.as_ref()
    }

    /// Whether Envoys have a gate, at which certificates are shown before they are served.
    pub(super) fn has_gate(&self) -> bool {
        self.read().has(ResourceType::Listener, gate::LISTENER)
    }

    /// Resolves when the journal has moved.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    pub(super) fn sequence(&self) -> u64 {
        self.position().sequence
    }

    pub(super) fn position(&self) -> Position {
        self.read().position()
    }

    pub(super) fn group(&self, version: Option<EnvoyVersion>) -> Group {
        self.write().group(version)
    }

    pub(super) fn publish(
        &self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        now: Instant,
    ) {
        self.change(|cache| cache.publish(revision, changed, now));
    }

    pub(super) fn publish_partly(
        &self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        doubtful: &BTreeSet<ResourceKey>,
        now: Instant,
    ) {
        self.change(|cache| cache.publish_partly(revision, changed, doubtful, now));
    }

    pub(super) fn release(&self) {
        self.change(Cache::release);
    }

    pub(super) fn is_holding(&self) -> bool {
        self.read().is_holding()
    }

    pub(super) fn acknowledge<'a>(
        &self,
        kind: ResourceType,
        group: Group,
        items: impl Iterator<Item = (&'a Arc<str>, Version)>,
    ) {
        self.change(|cache| cache.acknowledge(kind, group, items));
    }

    pub(super) fn refuse(
        &self,
        key: &ResourceKey,
        version: Version,
        group: Group,
        message: &Arc<str>,
    ) {
        self.change(|cache| cache.refuse(key, version, group, message));
    }

    pub(super) fn desired(&self, key: &ResourceKey, group: Group) -> Desired {
        self.read().desired(key, group)
    }

    pub(super) fn desired_version(&self, key: &ResourceKey, group: Group) -> Option<Version> {
        self.read().desired_version(key, group)
    }

    pub(super) fn versions(
        &self,
        kind: ResourceType,
        group: Group,
    ) -> Vec<(Arc<str>, Option<Version>)> {
        self.read().versions(kind, group)
    }

    pub(super) fn owner(&self, key: &ResourceKey) -> Option<Arc<str>> {
        self.read().owner(key)
    }

    pub(super) fn name(&self, kind: ResourceType, name: &str) -> Option<Arc<str>> {
        self.read().name(kind, name)
    }

    pub(super) fn newest(
        &self,
        key: &ResourceKey,
        group: Group,
    ) -> Option<(Version, Option<Arc<str>>)> {
        self.read().newest(key, group)
    }

    pub(super) fn since(&self, sequence: u64) -> Option<Vec<Arc<Step>>> {
        self.read().since(sequence)
    }
}
