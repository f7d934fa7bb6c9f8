//! Resources that wait until Envoy holds others (make before break).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use contour_core::xds::ResourceKey;

/// How long a resource waits for those it requires. Envoy withholds the acknowledgement of a
/// cluster while any cluster warms, so somebody else's broken one could hold this up for ever.
pub(in crate::ads) const PATIENCE: Duration = Duration::from_secs(5);

/// Who waits for whom.
#[derive(Default)]
pub(super) struct Waiting {
    since: HashMap<ResourceKey, Instant>,
    waiters: HashMap<ResourceKey, Vec<ResourceKey>>,
    deadlines: VecDeque<(Instant, ResourceKey)>,
}

impl Waiting {
    /// `dependent` waits for `required`.
    pub(super) fn block(&mut self, dependent: &ResourceKey, required: ResourceKey, now: Instant) {
        if !self.since.contains_key(dependent) {
            self.since.insert(dependent.clone(), now);
            self.deadlines.push_back((now + PATIENCE, dependent.clone()));
        }
        let waiters = self.waiters.entry(required).or_default();
        if waiters.last() != Some(dependent) {
            waiters.push(dependent.clone());
        }
    }

    /// `dependent` has waited long enough.
    pub(super) fn is_overdue(&self, dependent: &ResourceKey, now: Instant) -> bool {
        self.since.get(dependent).is_some_and(|since| *since + PATIENCE <= now)
    }

    /// `dependent` waits no more.
    pub(super) fn release(&mut self, dependent: &ResourceKey) {
        if !self.since.is_empty() {
            self.since.remove(dependent);
        }
    }

    /// Those that waited for `required`.
    pub(super) fn wake(&mut self, required: &ResourceKey) -> Vec<ResourceKey> {
        if self.waiters.is_empty() {
            return Vec::new();
        }
        self.waiters.remove(required).unwrap_or_default()
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// Those that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<ResourceKey> {
        let mut expired = Vec::new();
        while let Some((deadline, key)) = self.deadlines.pop_front() {
            if deadline > now {
                self.deadlines.push_front((deadline, key));
                break;
            }
            if self.is_overdue(&key, now) {
                expired.push(key);
            }
        }
        if self.since.is_empty() {
            self.waiters.clear();
        }
        expired
    }
}
