//! What happened in worlds, to be counted.

use super::super::link::Counts;

/// What happened, to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ads::simulation) struct Tally {
    pub(in crate::ads::simulation) links: Counts,
    pub(in crate::ads::simulation) changes: u64,
    pub(in crate::ads::simulation) poisoned: u64,
    pub(in crate::ads::simulation) responses: u64,
    pub(in crate::ads::simulation) removals: u64,
    pub(in crate::ads::simulation) refusals: u64,
    pub(in crate::ads::simulation) connects: u64,
    pub(in crate::ads::simulation) restarts: u64,
    pub(in crate::ads::simulation) undefined: u64,
    pub(in crate::ads::simulation) blips: u64,
    /// Starts at which something was published although a part could not be read.
    pub(in crate::ads::simulation) partial: u64,
    pub(in crate::ads::simulation) digest: u64,
}

impl Tally {
    pub(in crate::ads::simulation) fn add(&mut self, other: &Self) {
        self.count(&other.links);
        self.changes += other.changes;
        self.poisoned += other.poisoned;
        self.responses += other.responses;
        self.removals += other.removals;
        self.refusals += other.refusals;
        self.connects += other.connects;
        self.restarts += other.restarts;
        self.undefined += other.undefined;
        self.blips += other.blips;
        self.partial += other.partial;
        self.digest ^= other.digest;
    }

    pub(in crate::ads::simulation) fn count(&mut self, counts: &Counts) {
        self.links.requests += counts.requests;
        self.links.lists += counts.lists;
        self.links.refusals += counts.refusals;
        self.links.cuts += counts.cuts;
        self.links.expired += counts.expired;
        self.links.lost += counts.lost;
        self.links.repeated += counts.repeated;
        self.links.reordered += counts.reordered;
        self.links.healed += counts.healed;
    }
}
