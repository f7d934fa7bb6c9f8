//! Which revisions an Envoy has not dealt with yet, and because of which resources.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use contour_core::xds::ResourceKey;

/// How long a revision stays open after its last acknowledgement, while Envoy may still ask for
/// something that it brought (a route, after its scope). The time reported does not contain it.
const GRACE: Duration = Duration::from_millis(100);
/// New names per publish that are waited for.
const EXPECTED: usize = 1_024;

/// The unsettled resources of a session, by revision.
#[derive(Default)]
pub(super) struct Ledger {
    dirty: HashMap<ResourceKey, Dirty>,
    open: BTreeMap<u64, Open>,
    /// Unsettled additions and changes by the revision they go back to.
    adds: BTreeMap<u64, usize>,
    /// Names that Envoy will probably ask for, with the revision that brought them.
    expected: HashMap<ResourceKey, u64>,
    graced: VecDeque<(Instant, u64)>,
    consumed: u64,
    done: Vec<(u64, Duration)>,
}

struct Dirty {
    /// The revision since which it has been unsettled.
    first: u64,
    /// The revision that changed it last.
    last: u64,
    removal: bool,
}

struct Open {
    unsettled: usize,
    expected: usize,
    since: Instant,
    settled: Instant,
    /// The first state of a connection: complete only when Envoy stops asking for more.
    initial: bool,
    /// Not to be reported: nobody published it, Envoy refused a part, or a newer one took over.
    silent: bool,
}

impl Ledger {
    /// The newest revision that was taken from the journal.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The newest revision of which, and of all before it, nothing is unsettled.
    pub(super) fn in_sync(&self) -> u64 {
        let oldest = self.open.first_key_value();
        oldest.map_or(self.consumed, |(revision, _)| revision.saturating_sub(1))
    }

    /// Additions and changes that go back to `revision` or before are settled.
    pub(super) fn adds_settled(&self, revision: u64) -> bool {
        self.adds.first_key_value().is_none_or(|(oldest, _)| *oldest > revision)
    }

    /// Opens a revision. Follow with [`Self::mark`] for its keys, then [`Self::seal`].
    pub(super) fn begin(&mut self, revision: u64, since: Instant, initial: bool) {
        self.consumed = revision;
        let open =
            Open { unsettled: 0, expected: 0, since, settled: since, initial, silent: false };
        self.open.insert(revision, open);
    }

    /// Envoy will probably ask for `key`, which `revision` brought.
    pub(super) fn expect(&mut self, key: &ResourceKey, revision: u64) {
        let Some(open) = self.open.get_mut(&revision) else {
            return;
        };
        if open.expected < EXPECTED && self.expected.insert(key.clone(), revision).is_none() {
            open.expected += 1;
        }
    }

    /// All keys of `revision` have been marked.
    pub(super) fn seal(&mut self, revision: u64, now: Instant) {
        self.close_if_settled(revision, now);
    }

    /// The revision that a name asked for just now belongs to.
    pub(super) fn revision_of_request(&mut self, key: &ResourceKey) -> u64 {
        if let Some(revision) = self.expected.remove(key)
            && let Some(open) = self.open.get_mut(&revision)
        {
            open.expected = open.expected.saturating_sub(1);
            return revision;
        }
        self.revision_of_requests()
    }

    /// The revision that requests belong to: the first state of the connection while it is being
    /// fetched.
    pub(super) fn revision_of_requests(&self) -> u64 {
        let initial = self.open.iter().find(|(_, open)| open.initial);
        initial.map_or(self.consumed, |(revision, _)| *revision)
    }

    /// `key` has to be dealt with because of `revision`.
    pub(super) fn mark(&mut self, key: &ResourceKey, revision: u64, now: Instant) {
        let superseded = match self.dirty.get_mut(key) {
            None => {
                let dirty = Dirty { first: revision, last: revision, removal: false };
                self.dirty.insert(key.clone(), dirty);
                *self.adds.entry(revision).or_default() += 1;
                None
            }
            Some(dirty) if dirty.last >= revision => return,
            Some(dirty) => {
                let old = std::mem::replace(&mut dirty.last, revision);
                (old != dirty.first).then_some(old)
            }
        };
        let open = self.open.entry(revision).or_insert_with(|| Open {
            unsettled: 0,
            expected: 0,
            since: now,
            settled: now,
            initial: false,
            silent: true,
        });
        open.unsettled += 1;
        if let Some(old) = superseded {
            self.lower(old, now, true);
        }
    }

    /// `key` turned out to go away: it does not hold removals up.
    pub(super) fn is_removal(&mut self, key: &ResourceKey) {
        let Some(dirty) = self.dirty.get_mut(key).filter(|d| !d.removal) else {
            return;
        };
        dirty.removal = true;
        let first = dirty.first;
        self.lower_adds(first);
    }

    /// `key` turned out to stay after all.
    pub(super) fn is_add(&mut self, key: &ResourceKey) {
        let Some(dirty) = self.dirty.get_mut(key).filter(|d| d.removal) else {
            return;
        };
        dirty.removal = false;
        *self.adds.entry(dirty.first).or_default() += 1;
    }

    /// Nothing is left to do about `key`.
    pub(super) fn settle(&mut self, key: &ResourceKey, now: Instant, refused: bool) {
        let Some(dirty) = self.dirty.remove(key) else {
            return;
        };
        if self.dirty.is_empty() && self.dirty.capacity() > 1_024 {
            self.dirty.shrink_to_fit();
        }
        if !dirty.removal {
            self.lower_adds(dirty.first);
        }
        self.lower(dirty.first, now, refused);
        if dirty.last != dirty.first {
            self.lower(dirty.last, now, refused);
        }
    }

    fn lower_adds(&mut self, revision: u64) {
        if let Some(count) = self.adds.get_mut(&revision) {
            *count -= 1;
            if *count == 0 {
                self.adds.remove(&revision);
            }
        }
    }

    fn lower(&mut self, revision: u64, now: Instant, silence: bool) {
        if let Some(open) = self.open.get_mut(&revision) {
            open.unsettled = open.unsettled.saturating_sub(1);
            open.settled = now;
            open.silent |= silence;
            self.close_if_settled(revision, now);
        }
    }

    fn close_if_settled(&mut self, revision: u64, now: Instant) {
        let Some(open) = self.open.get(&revision).filter(|o| o.unsettled == 0) else {
            return;
        };
        if !open.silent && (open.initial || open.expected > 0) {
            self.graced.push_back((now + GRACE, revision));
        } else {
            self.close(revision);
        }
    }

    fn close(&mut self, revision: u64) {
        let Some(open) = self.open.remove(&revision) else {
            return;
        };
        if open.expected > 0 {
            self.expected.retain(|_, r| *r != revision);
        }
        if !open.silent {
            let elapsed = open.settled.saturating_duration_since(open.since);
            self.done.push((revision, elapsed));
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.graced.front().map(|(deadline, _)| *deadline)
    }

    /// Closes the revisions whose grace is over.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some((deadline, revision)) = self.graced.front().copied() {
            if deadline > now {
                return;
            }
            self.graced.pop_front();
            let quiet = |o: &Open| o.unsettled == 0 && o.settled + GRACE <= now;
            if self.open.get(&revision).is_some_and(quiet) {
                self.close(revision);
            }
        }
    }

    /// The revisions that were completed, each with the time it took.
    pub(super) fn take_done(&mut self) -> Vec<(u64, Duration)> {
        std::mem::take(&mut self.done)
    }
}

#[cfg(test)]
mod tests {
    use contour_core::xds::ResourceType;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn key(name: &str) -> ResourceKey {
        ResourceKey::new(ResourceType::Route, name)
    }

    #[test]
    fn a_revision_is_done_when_its_last_resource_is_settled() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        ledger.begin(7, t, false);
        ledger.mark(&key("a"), 7, t);
        ledger.mark(&key("b"), 7, t);
        ledger.seal(7, t);
        ledger.settle(&key("a"), t + MS, false);
        assert_eq!(ledger.take_done(), []);
        assert_eq!(ledger.in_sync(), 6);
        ledger.settle(&key("b"), t + 3 * MS, false);
        assert_eq!(ledger.take_done(), [(7, 3 * MS)]);
        assert_eq!(ledger.in_sync(), 7);
    }

    #[test]
    fn a_stuck_revision_does_not_hold_up_a_later_one() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        for (revision, name) in [(1, "stuck"), (2, "quick")] {
            ledger.begin(revision, t, false);
            ledger.mark(&key(name), revision, t);
            ledger.seal(revision, t);
        }
        ledger.settle(&key("quick"), t + MS, false);
        assert_eq!(ledger.take_done(), [(2, MS)]);
        assert_eq!(ledger.in_sync(), 0);
        assert!(!ledger.adds_settled(1));
    }

    #[test]
    fn a_resource_changed_again_completes_both_revisions_when_settled() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        for revision in 1..=3 {
            ledger.begin(revision, t, false);
            ledger.mark(&key("a"), revision, t);
            ledger.seal(revision, t);
        }
        assert_eq!(ledger.take_done(), []);
        ledger.settle(&key("a"), t + MS, false);
        // Revision 2 was never sent, so nobody acknowledged it.
        assert_eq!(ledger.take_done(), [(1, MS), (3, MS)]);
        assert_eq!(ledger.in_sync(), 3);
    }

    #[test]
    fn a_refused_part_leaves_the_revision_unacknowledged() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        ledger.begin(1, t, false);
        ledger.mark(&key("a"), 1, t);
        ledger.settle(&key("a"), t, true);
        assert_eq!(ledger.take_done(), []);
        assert_eq!(ledger.in_sync(), 1);
    }

    #[test]
    fn a_revision_waits_for_a_name_that_envoy_is_about_to_ask_for() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        ledger.begin(1, t, false);
        ledger.mark(&key("scope"), 1, t);
        ledger.expect(&key("route"), 1);
        ledger.seal(1, t);
        ledger.settle(&key("scope"), t + MS, false);
        assert_eq!(ledger.take_done(), []);
        assert_eq!(ledger.revision_of_request(&key("route")), 1);
        ledger.mark(&key("route"), 1, t + MS);
        ledger.settle(&key("route"), t + 2 * MS, false);
        assert_eq!(ledger.take_done(), [(1, 2 * MS)]);
    }

    #[test]
    fn a_name_that_nobody_asks_for_delays_the_report_but_not_the_figure() {
        let (mut ledger, t) = (Ledger::default(), Instant::now());
        ledger.begin(1, t, false);
        ledger.mark(&key("scope"), 1, t);
        ledger.expect(&key("route"), 1);
        ledger.seal(1, t);
        ledger.settle(&key("scope"), t + MS, false);
        ledger.tick(t + GRACE + MS);
        assert_eq!(ledger.take_done(), [(1, MS)]);
        assert_eq!(ledger.expected.len(), 0);
    }
}
