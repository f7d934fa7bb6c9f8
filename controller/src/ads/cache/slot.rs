//! One resource through its versions, with what Envoys made of them.

use std::sync::Arc;

use contour_core::xds::{Resource, ResourceKey, Version};

use super::Group;

/// Refusals that are remembered of one resource.
const REFUSALS: usize = 8;

/// A published resource.
pub(super) struct Slot {
    /// The newest version.
    pub(super) current: Arc<Resource>,
    /// Withdrawn by the publisher, but the fallback of another resource needs it.
    pub(super) retained: bool,
    /// Groups in which an Envoy acknowledged `current`, a bit for each.
    acked_in: u64,
    refusals: Vec<Refusal>,
    /// The last version that some Envoy acknowledged, while `current` is not known to be good.
    fallback: Option<Box<Fallback>>,
}

struct Refusal {
    version: Version,
    groups: u64,
    message: Arc<str>,
    /// No Envoy refused it, but this, without which it leads nowhere.
    because: Option<ResourceKey>,
}

struct Fallback {
    resource: Arc<Resource>,
    acked_in: u64,
}

impl Slot {
    pub(super) fn new(current: Arc<Resource>) -> Self {
        Self { current, retained: false, acked_in: 0, refusals: Vec::new(), fallback: None }
    }

    /// Why `group` refuses the newest version, if it does.
    pub(super) fn refusal(&self, group: Group) -> Option<&Arc<str>> {
        self.refusal_of(self.current.version, group)
    }

    fn refusal_of(&self, version: Version, group: Group) -> Option<&Arc<str>> {
        let refuses = |r: &&Refusal| r.version == version && r.groups & group.0 != 0;
        self.refusals.iter().find(refuses).map(|r| &r.message)
    }

    /// The last good version, while the newest is not known to be good.
    pub(super) fn fallback(&self) -> Option<&Arc<Resource>> {
        self.fallback.as_ref().map(|f| &f.resource)
    }

    /// What `group` should hold.
    pub(super) fn desired(&self, group: Group) -> Option<&Arc<Resource>> {
        if self.refusal(group).is_none() {
            return Some(&self.current);
        }
        self.fallback().filter(|r| self.refusal_of(r.version, group).is_none())
    }

    /// The groups that take no version of this at all, and why. Nothing that is withdrawn counts.
    pub(super) fn lost(&self) -> Option<(Group, Arc<str>)> {
        if self.retained {
            return None;
        }
        let refusals = |version| self.refusals.iter().filter(move |r| r.version == version);
        let groups = |version| refusals(version).fold(0, |groups, r| groups | r.groups);
        let newest = refusals(self.current.version).next()?;
        let left = self.fallback().map_or(u64::MAX, |fallback| groups(fallback.version));
        let groups = groups(self.current.version) & left;
        (groups != 0).then(|| (Group(groups), Arc::clone(&newest.message)))
    }

    /// Ends the refusals for the sake of `because`. True if the newest version was among them.
    pub(super) fn lift(&mut self, because: &ResourceKey) -> bool {
        let newest = self.current.version;
        let lifted = |r: &Refusal| r.because.as_ref() == Some(because);
        let mended = self.refusals.iter().any(|r| r.version == newest && lifted(r));
        self.refusals.retain(|r| !lifted(r));
        mended
    }

    /// Whether any group refuses the newest version.
    pub(super) fn is_refused(&self) -> bool {
        self.refusals.iter().any(|r| r.version == self.current.version)
    }

    /// The slot after `next`, another version, was published over it.
    pub(super) fn replaced(self, next: Arc<Resource>) -> Self {
        let fallback = if self.acked_in == 0 {
            self.fallback
        } else {
            Some(Box::new(Fallback { resource: self.current, acked_in: self.acked_in }))
        };
        let refusals = self.refusals;
        let mut slot = Self { refusals, fallback, ..Self::new(next) };
        let version = slot.current.version;
        // Going back to the good version: what is known of it still holds.
        if let Some(back) = slot.fallback.take_if(|f| f.resource.version == version) {
            slot.acked_in = back.acked_in;
        }
        slot
    }

    /// The slot after the same version was published again, maybe with other needs.
    pub(super) fn kept(self, current: Arc<Resource>) -> Self {
        Self { current, retained: false, ..self }
    }

    /// The slot after its resource was withdrawn, in case it comes back.
    pub(super) fn withdrawn(self) -> Self {
        Self { fallback: None, retained: false, ..self }
    }

    /// The slot of a withdrawn resource that came back: what is known of its versions still holds.
    pub(super) fn returned(self, next: Arc<Resource>) -> Self {
        if self.current.version == next.version {
            return self.kept(next);
        }
        Self { fallback: None, ..self.replaced(next) }
    }

    /// An Envoy of `group` acknowledged `version`. True if others of the group have been kept from
    /// the newest version until now.
    pub(super) fn acknowledge(&mut self, version: Version, group: Group) -> bool {
        let mut mended = false;
        for refusal in self.refusals.iter_mut().filter(|r| r.version == version) {
            // Envoys of one version disagree: then it is not the version's fault.
            mended |= refusal.groups & group.0 != 0;
            refusal.groups &= !group.0;
        }
        self.refusals.retain(|r| r.groups != 0);
        if self.current.version != version {
            if let Some(f) = self.fallback.as_mut().filter(|f| f.resource.version == version) {
                f.acked_in |= group.0;
            }
            return false;
        }
        self.acked_in |= group.0;
        if self.refusals.iter().all(|r| r.version != version) {
            self.fallback = None;
        }
        mended
    }

    /// An Envoy of `group` refused `version`. True if the group is to be kept from the newest
    /// version from now on.
    pub(super) fn refuse(&mut self, version: Version, group: Group, message: &Arc<str>) -> bool {
        self.refuse_because(version, group, message, None)
    }

    /// The same for the sake of something that this one needs.
    pub(super) fn refuse_because(
        &mut self,
        version: Version,
        group: Group,
        message: &Arc<str>,
        because: Option<&ResourceKey>,
    ) -> bool {
        let newest = self.current.version == version;
        if newest && self.acked_in & group.0 != 0 {
            return false;
        }
        let same = |r: &&mut Refusal| r.version == version && r.because.as_ref() == because;
        if let Some(refusal) = self.refusals.iter_mut().find(same) {
            refusal.groups |= group.0;
            return newest;
        }
        if self.refusals.len() >= REFUSALS {
            self.refusals.remove(0);
        }
        let message = Arc::clone(message);
        let because = because.cloned();
        self.refusals.push(Refusal { version, groups: group.0, message, because });
        newest
    }
}
