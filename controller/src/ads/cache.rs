//! What is published, what Envoys made of it, and a journal of what changed.

mod retention;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};

use super::kinds::PerType;
use super::node::EnvoyVersion;
use retention::Retention;

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
}

/// One resource through its versions.
struct Slot {
    current: Arc<Resource>,
    /// Groups in which an Envoy acknowledged `current`, a bit for each.
    acked_in: u64,
    refusal: Option<Box<Refusal>>,
    /// The last version that some Envoy acknowledged, while `current` is not known to be good.
    fallback: Option<Box<Fallback>>,
    /// Withdrawn by the publisher, but a fallback still needs it.
    retained: bool,
}

struct Refusal {
    groups: u64,
    message: Arc<str>,
}

struct Fallback {
    resource: Arc<Resource>,
    acked_in: u64,
    refused_in: u64,
}

impl Slot {
    fn new(current: Arc<Resource>) -> Self {
        Self { current, acked_in: 0, refusal: None, fallback: None, retained: false }
    }

    fn refused_in(&self) -> u64 {
        self.refusal.as_ref().map_or(0, |r| r.groups)
    }

    fn desired(&self, group: Group) -> (Option<&Arc<Resource>>, bool) {
        if self.refused_in() & group.0 == 0 {
            return (Some(&self.current), false);
        }
        let fallback = self.fallback.as_ref();
        let usable = fallback.filter(|f| f.refused_in & group.0 == 0);
        (usable.map(|f| &f.resource), true)
    }

    /// The slot after `next` was published over it.
    fn replaced(self, next: Arc<Resource>) -> Self {
        let refused_in = self.refused_in();
        let mut slot = Self::new(next);
        slot.fallback = if self.acked_in == 0 {
            self.fallback
        } else {
            Some(Box::new(Fallback { resource: self.current, acked_in: self.acked_in, refused_in }))
        };
        // Going back to the good version: what is known of it still holds.
        if let Some(back) = slot.fallback.take_if(|f| f.resource.version == slot.current.version) {
            slot.acked_in = back.acked_in;
        }
        slot
    }
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

    /// Takes over what changed.
    pub(super) fn publish(
        &mut self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        now: Instant,
    ) {
        let mut keys = Vec::with_capacity(changed.len());
        for (key, resource) in changed {
            let differs = match resource {
                Some(resource) => self.put(resource),
                None => self.withdraw(key),
            };
            if differs {
                keys.push(key.clone());
            }
        }
        keys.append(&mut self.release_retained());
        self.revision = revision;
        self.published = Some(now);
        self.append(Some((revision, now)), keys);
    }

    fn put(&mut self, resource: &Arc<Resource>) -> bool {
        let slots = self.slots.get_mut(resource.key.kind);
        let Some(old) = slots.remove(&resource.key.name) else {
            let name = Arc::clone(&resource.key.name);
            slots.insert(name, Slot::new(Arc::clone(resource)));
            return true;
        };
        let differs = old.current.version != resource.version;
        let slot = if differs {
            old.replaced(Arc::clone(resource))
        } else {
            Slot { current: Arc::clone(resource), retained: false, ..old }
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
            self.retention.bury(slot.current);
        }
        true
    }

    /// What an Envoy of `group` should hold of `key`.
    pub(super) fn desired(&self, key: &ResourceKey, group: Group) -> Desired {
        let slot = self.slots.get(key.kind).get(&key.name);
        let (resource, refused) = slot.map_or((None, false), |slot| slot.desired(group));
        Desired { resource: resource.cloned(), refused }
    }

    /// The version of what an Envoy of `group` should hold of `key`.
    pub(super) fn desired_version(&self, key: &ResourceKey, group: Group) -> Option<Version> {
        let slot = self.slots.get(key.kind).get(&key.name)?;
        slot.desired(group).0.map(|r| r.version)
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
                let version = slot.desired(group).0.map(|r| r.version);
                (Arc::clone(name), version)
            })
            .collect()
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
        let refusal = slot.refusal.as_ref().filter(|r| r.groups & group.0 != 0);
        Some((slot.current.version, refusal.map(|r| Arc::clone(&r.message))))
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
            let Some(slot) = self.slots.get_mut(kind).get_mut(name) else {
                continue;
            };
            if slot.current.version != version {
                if let Some(f) = slot.fallback.as_mut().filter(|f| f.resource.version == version) {
                    f.acked_in |= group.0;
                }
                continue;
            }
            slot.acked_in |= group.0;
            if let Some(refusal) = slot.refusal.as_mut().filter(|r| r.groups & group.0 != 0) {
                // Envoys of one version disagree: then it is not the version's fault.
                refusal.groups &= !group.0;
                again.push(ResourceKey::new(kind, Arc::clone(name)));
            }
            slot.refusal.take_if(|r| r.groups == 0);
            if slot.refusal.is_none() {
                slot.fallback = None;
            }
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
        let Some(slot) = self.slots.get_mut(key.kind).get_mut(&key.name) else {
            return;
        };
        if let Some(f) = slot.fallback.as_mut().filter(|f| f.resource.version == version) {
            f.refused_in |= group.0;
        }
        if slot.current.version != version || slot.acked_in & group.0 != 0 {
            return;
        }
        let refusal = slot
            .refusal
            .get_or_insert_with(|| Box::new(Refusal { groups: 0, message: Arc::clone(message) }));
        refusal.groups |= group.0;
        let mut keys = vec![key.clone()];
        keys.append(&mut self.revive_needs_of(key));
        self.append(None, keys);
    }

    /// Brings back what the fallback of `key` needs and was withdrawn lately: the last good
    /// version of a route is of no use without its clusters.
    fn revive_needs_of(&mut self, key: &ResourceKey) -> Vec<ResourceKey> {
        let slot = self.slots.get(key.kind).get(&key.name);
        let fallback = slot.and_then(|slot| slot.fallback.as_ref());
        let Some(mut needs) = fallback.map(|f| f.resource.requires.to_vec()) else {
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
            let Some(resource) = self.retention.exhume(&need) else {
                continue;
            };
            needs.extend(resource.requires.iter().cloned());
            let slot = Slot { retained: true, ..Slot::new(resource) };
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
            let fallback = slot.fallback.as_ref().map(|f| &f.resource);
            fallback.or(slot.retained.then_some(&slot.current)).cloned()
        });
        let mut released = Vec::new();
        for key in self.retention.release_all_but(&needed) {
            let slots = self.slots.get_mut(key.kind);
            if slots.get(&key.name).is_some_and(|slot| slot.retained) {
                slots.remove(&key.name);
                released.push(key);
            }
        }
        released
    }

    fn append(&mut self, publish: Option<(u64, Instant)>, keys: Vec<ResourceKey>) {
        self.sequence += 1;
        self.journaled += keys.len();
        self.journal.push_back(Arc::new(Step { sequence: self.sequence, publish, keys }));
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
