//! What is published, what Envoys made of it, and a journal of what changed.

mod hold;
mod retention;
mod slot;
mod withheld;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};

use super::kinds::PerType;
use super::node::EnvoyVersion;
use hold::Hold;
use retention::Retention;
use slot::Slot;

/// Keys that the journal remembers; a session that is further behind compares everything.
const JOURNAL_KEYS: usize = 16_384;
/// Versions of Envoy that are told apart; those beyond share the last place.
const GROUPS: usize = 64;

/// Envoys of one version: they accept and refuse the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group(u64);

/// What an Envoy of one group should hold of a resource.
#[derive(Clone, Debug)]
pub(super) struct Desired {
    /// The resource; `None` if there is none, or none that this group takes.
    pub(super) resource: Option<Arc<Resource>>,
    /// The newest version was refused by this group, so `resource` is an older one or missing.
    pub(super) refused: bool,
    /// An Envoy that has a version of it keeps that: whether it differs, or is gone, is in doubt.
    pub(super) kept: bool,
}

/// A step of the journal.
#[derive(Debug)]
pub(super) struct Step {
    /// Position in the journal.
    pub(super) sequence: u64,
    /// The revision and its time, if this step is a publish; otherwise a verdict of an Envoy
    /// changed what others should get.
    pub(super) publish: Option<(u64, Instant)>,
    /// What to look at again.
    pub(super) keys: Vec<ResourceKey>,
    /// Everything is to be looked at again: what was kept no longer is.
    pub(super) everything: bool,
}

/// How far the publisher has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// Position of the newest step; 0 until something was published.
    pub(super) sequence: u64,
    /// The newest revision.
    pub(super) revision: u64,
    /// When it was published.
    pub(super) published: Option<Instant>,
}

/// The published resources of all types.
#[derive(Default)]
pub(super) struct Cache {
    slots: PerType<HashMap<Arc<str>, Slot>>,
    journal: VecDeque<Arc<Step>>,
    journaled: usize,
    sequence: u64,
    revision: u64,
    published: Option<Instant>,
    groups: Vec<Option<EnvoyVersion>>,
    retention: Retention,
    hold: Hold,
}

impl Cache {
    /// How far the publisher has come.
    pub(super) fn position(&self) -> Position {
        Position { sequence: self.sequence, revision: self.revision, published: self.published }
    }

    /// The group of Envoys of this version.
    pub(super) fn group(&mut self, version: Option<EnvoyVersion>) -> Group {
        let known = self.groups.iter().position(|v| *v == version);
        let index = known.unwrap_or_else(|| {
            if self.groups.len() < GROUPS {
                self.groups.push(version);
            }
            self.groups.len() - 1
        });
        Group(1 << index)
    }

    /// Takes over what changed while a part of the source cannot be read: Envoys keep what they
    /// have of what is in doubt, and of what is not published, until [`Self::release`].
    pub(super) fn publish_partly(
        &mut self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        doubtful: &BTreeSet<ResourceKey>,
        now: Instant,
    ) {
        self.hold.begin();
        for (key, resource) in changed {
            self.hold.note(key, resource.is_some(), doubtful.contains(key));
        }
        self.publish(revision, changed, now);
    }

    /// Takes over what changed.
    pub(super) fn publish(
        &mut self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        now: Instant,
    ) {
        let mut keys = Vec::with_capacity(changed.len());
        let mut withdrawn = false;
        for (key, resource) in changed {
            let differs = match resource {
                Some(resource) => self.put(resource),
                None => self.withdraw(key),
            };
            if differs {
                keys.push(key.clone());
                withdrawn |= resource.is_none();
            }
        }
        for (key, resource) in changed {
            keys.append(&mut self.lift_if_found(key.kind, &key.name));
            if let Some(resource) = resource {
                keys.append(&mut self.withhold_if_lost(resource));
            }
        }
        if withdrawn {
            keys.append(&mut self.revive_needs());
        }
        keys.append(&mut self.release_retained());
        self.revision = revision;
        self.published = Some(now);
        self.append(Some((revision, now)), keys);
    }

    fn put(&mut self, resource: &Arc<Resource>) -> bool {
        let slots = self.slots.get_mut(resource.key.kind);
        let Some(old) = slots.remove(&resource.key.name) else {
            let slot = match self.retention.exhume(&resource.key) {
                Some(grave) => grave.returned(Arc::clone(resource)),
                None => Slot::new(Arc::clone(resource)),
            };
            slots.insert(Arc::clone(&resource.key.name), slot);
            return true;
        };
        let differs = old.current.version != resource.version;
        let slot = if differs {
            old.replaced(Arc::clone(resource))
        } else {
            old.kept(Arc::clone(resource))
        };
        slots.insert(Arc::clone(&resource.key.name), slot);
        differs
    }

    fn withdraw(&mut self, key: &ResourceKey) -> bool {
        let slots = self.slots.get_mut(key.kind);
        if slots.get(&key.name).is_none_or(|slot| slot.retained) {
            return false;
        }
        if let Some(slot) = slots.remove(&key.name) {
            self.retention.bury(slot);
        }
        true
    }

    /// Nothing is kept any more: what is not published is gone.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.hold).is_on() {
            self.note(Step { sequence: 0, publish: None, keys: Vec::new(), everything: true });
        }
    }

    /// Whether Envoys may keep what differs from what is published.
    pub(super) fn is_holding(&self) -> bool {
        self.hold.is_on()
    }

    /// What an Envoy of `group` should hold of `key`.
    pub(super) fn desired(&self, key: &ResourceKey, group: Group) -> Desired {
        let Some(slot) = self.slots.get(key.kind).get(&key.name) else {
            let kept = self.hold.keeps(key, false);
            return Desired { resource: None, refused: false, kept };
        };
        let refused = slot.refusal(group).is_some();
        let kept = self.hold.keeps(key, true);
        Desired { resource: slot.desired(group).cloned(), refused, kept }
    }

    /// The version of what an Envoy of `group` should hold of `key`.
    pub(super) fn desired_version(&self, key: &ResourceKey, group: Group) -> Option<Version> {
        let slot = self.slots.get(key.kind).get(&key.name)?;
        slot.desired(group).map(|r| r.version)
    }

    /// Every resource of a type with the version that `group` should hold.
    pub(super) fn versions(
        &self,
        kind: ResourceType,
        group: Group,
    ) -> Vec<(Arc<str>, Option<Version>)> {
        let slots = self.slots.get(kind).iter();
        slots
            .map(|(name, slot)| {
                let version = slot.desired(group).map(|r| r.version);
                (Arc::clone(name), version)
            })
            .collect()
    }

    /// The namespace that a resource comes from.
    pub(super) fn owner(&self, key: &ResourceKey) -> Option<Arc<str>> {
        self.slots.get(key.kind).get(&key.name)?.current.owner.clone()
    }

    /// Whether a resource is published.
    pub(super) fn has(&self, kind: ResourceType, name: &str) -> bool {
        self.slots.get(kind).contains_key(name)
    }

    /// The shared text of a published name.
    pub(super) fn name(&self, kind: ResourceType, name: &str) -> Option<Arc<str>> {
        let (name, _) = self.slots.get(kind).get_key_value(name)?;
        Some(Arc::clone(name))
    }

    /// The newest version of `key`, and why `group` refused it if it did.
    pub(super) fn newest(
        &self,
        key: &ResourceKey,
        group: Group,
    ) -> Option<(Version, Option<Arc<str>>)> {
        let slot = self.slots.get(key.kind).get(&key.name)?;
        Some((slot.current.version, slot.refusal(group).cloned()))
    }

    /// An Envoy of `group` acknowledged these versions.
    pub(super) fn acknowledge<'a>(
        &mut self,
        kind: ResourceType,
        group: Group,
        items: impl Iterator<Item = (&'a Arc<str>, Version)>,
    ) {
        let mut again = Vec::new();
        for (name, version) in items {
            let slot = self.slots.get_mut(kind).get_mut(name);
            if slot.is_some_and(|slot| slot.acknowledge(version, group)) {
                again.push(ResourceKey::new(kind, Arc::clone(name)));
            }
            again.append(&mut self.lift_if_found(kind, name));
        }
        again.append(&mut self.release_retained());
        if !again.is_empty() {
            self.append(None, again);
        }
    }

    /// An Envoy of `group` refused this version of `key`.
    pub(super) fn refuse(
        &mut self,
        key: &ResourceKey,
        version: Version,
        group: Group,
        message: &Arc<str>,
    ) {
        let slot = self.slots.get_mut(key.kind).get_mut(&key.name);
        let Some(slot) = slot.or_else(|| self.retention.grave(key)) else { return };
        // A listener may be refused for what is so on one machine only, such as a port in use.
        // With nothing older to give them, the other Envoys are better off trying it themselves.
        if key.kind == ResourceType::Listener && slot.fallback().is_none() {
            return;
        }
        if !slot.refuse(version, group, message) {
            return;
        }
        self.retention.note_refusal(key);
        let mut keys = vec![key.clone()];
        keys.append(&mut self.revive_needs_of(key));
        keys.append(&mut self.withhold_dependents(key));
        self.append(None, keys);
    }

    /// Brings back what the fallback of `key` needs and was withdrawn lately: the last good
    /// version of a route is of no use without its clusters.
    fn revive_needs_of(&mut self, key: &ResourceKey) -> Vec<ResourceKey> {
        let slot = self.slots.get(key.kind).get(&key.name);
        let Some(mut needs) = slot.and_then(Slot::fallback).map(|r| r.requires.to_vec()) else {
            return Vec::new();
        };
        let mut revived = Vec::new();
        while let Some(need) = needs.pop() {
            let slots = self.slots.get_mut(need.kind);
            match slots.get(&need.name) {
                Some(slot) if slot.retained => {
                    self.retention.keep_for(key);
                    continue;
                }
                Some(_) => continue,
                None => self.retention.keep_for(key),
            }
            let Some(mut slot) = self.retention.exhume(&need) else {
                continue;
            };
            needs.extend(slot.current.requires.iter().cloned());
            slot.retained = true;
            slots.insert(Arc::clone(&need.name), slot);
            self.retention.retained(need.clone());
            revived.push(need);
        }
        revived
    }

    /// Lets go of what was kept for fallbacks that are gone; says what that was.
    fn release_retained(&mut self) -> Vec<ResourceKey> {
        if self.retention.is_idle() {
            return Vec::new();
        }
        let slots = &self.slots;
        let needed = self.retention.still_needed(|key| {
            let slot = slots.get(key.kind).get(&key.name)?;
            slot.fallback().or_else(|| slot.retained.then_some(&slot.current)).cloned()
        });
        let mut released = Vec::new();
        for key in self.retention.release_all_but(&needed) {
            let slots = self.slots.get_mut(key.kind);
            if let Some(slot) = slots.remove(&key.name) {
                if slot.retained {
                    self.retention.bury(slot);
                    released.push(key);
                } else {
                    slots.insert(Arc::clone(&key.name), slot);
                }
            }
        }
        released
    }

    fn append(&mut self, publish: Option<(u64, Instant)>, keys: Vec<ResourceKey>) {
        self.note(Step { sequence: 0, publish, keys, everything: false });
    }

    /// Writes a step into the journal, at its place.
    fn note(&mut self, step: Step) {
        self.sequence += 1;
        self.journaled += step.keys.len();
        self.journal.push_back(Arc::new(Step { sequence: self.sequence, ..step }));
        // Steps without keys cost too.
        while self.journaled > JOURNAL_KEYS || self.journal.len() > JOURNAL_KEYS {
            let Some(step) = self.journal.pop_front() else {
                break;
            };
            self.journaled -= step.keys.len();
        }
    }

    /// The steps after `sequence`; `None` if the journal no longer reaches back so far.
    pub(super) fn since(&self, sequence: u64) -> Option<Vec<Arc<Step>>> {
        let missed = usize::try_from(self.sequence.saturating_sub(sequence)).ok()?;
        if missed > self.journal.len() {
            return None;
        }
        let steps = self.journal.iter().rev().take_while(|s| s.sequence > sequence);
        let mut steps: Vec<_> = steps.cloned().collect();
        steps.reverse();
        Some(steps)
    }
}

#[cfg(test)]
mod tests;
