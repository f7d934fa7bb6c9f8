//! What an Envoy that comes back has and nobody publishes. It is not taken away before all has been
//! heard of what it has; and if it is a large share of its hosts, not before a time has passed: a
//! controller may have been started on the wrong source.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use contour_core::xds::ResourceKey;

use crate::config::Shrink;

/// How long after the first an Envoy's first requests for the other types have come in.
const MOMENT: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spared {
    rule: Option<Shrink>,
    keys: BTreeSet<ResourceKey>,
    until: Option<Instant>,
    /// The hosts are too many to be gone.
    is_shrunk: bool,
}

impl Spared {
    /// Nothing is spared without a rule.
    pub(super) fn new(rule: Option<Shrink>) -> Self {
        Self { rule, ..Self::default() }
    }

    /// Envoy says that it has this, which nobody publishes.
    pub(super) fn add(&mut self, key: ResourceKey, now: Instant) {
        if self.rule.is_some() {
            self.until.get_or_insert(now + MOMENT);
            self.keys.insert(key);
        }
    }

    /// Envoy has said which hosts it has: so many, and so many of them spared. Returns for how
    /// long these are spared, if they are too many to be gone.
    pub(super) fn count(&mut self, hosts: usize, gone: usize, now: Instant) -> Option<Duration> {
        let rule = self.rule.filter(|rule| rule.is_exceeded(gone, hosts))?;
        self.until = Some(now + rule.hold);
        self.is_shrunk = true;
        Some(rule.hold)
    }

    /// Whether hosts are spared because they are too many to be gone, and may have come back.
    pub(super) fn is_shrunk(&self) -> bool {
        self.is_shrunk
    }

    /// So many hosts are left that nobody publishes, of so many that Envoy has. If these may be
    /// gone, they are spared no longer.
    pub(super) fn recount(&mut self, hosts: usize, gone: usize, now: Instant) {
        if self.rule.is_none_or(|rule| !rule.is_exceeded(gone, hosts)) {
            self.until = Some(now);
        }
    }

    /// What is spared.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ResourceKey> {
        self.keys.iter()
    }

    /// Whether Envoy keeps this.
    pub(super) fn keeps(&self, key: &ResourceKey) -> bool {
        !self.keys.is_empty() && self.keys.contains(key)
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// What is spared no longer.
    pub(super) fn expire(&mut self, now: Instant) -> BTreeSet<ResourceKey> {
        if self.until.is_none_or(|until| until > now) {
            return BTreeSet::new();
        }
        self.until = None;
        self.is_shrunk = false;
        std::mem::take(&mut self.keys)
    }
}
