//! What one Envoy holds, asks for and has on its way, for one resource type.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contour_core::xds::Version;

use super::pace::Pace;
use super::turns::Turns;
use crate::ads::{TypeView, digest};

/// Responses of one type that may be unacknowledged at a time.
const WINDOW: usize = 32;
/// After this an unacknowledged response no longer fills the window: Envoy withholds
/// acknowledgements of clusters while any of them warms.
const WINDOW_AGE: Duration = Duration::from_secs(5);
/// Unacknowledged responses of one type beyond which nothing more is sent, whatever their age.
const WINDOW_LIMIT: usize = 1_024;
/// After this an unacknowledged response with much in it no longer keeps others back.
/// Health checks can make that of a cluster late.
const BULK_AGE: Duration = Duration::from_millis(250);
/// Names asked for that do not exist and are remembered. Clients of Envoy choose them (SNI).
const ABSENT_LIMIT: usize = 10_000;

/// Spellings of existing names in other case that Envoy may hold at a time. Clients choose them
/// (SNI), a host of n letters has 2^n of them, and Envoy keeps each for ever unless told not to.
const SPELLINGS_LIMIT: usize = 256;

/// The state of one resource type in a session.
#[derive(Default)]
pub(super) struct Holding {
    /// The first request of this type has come.
    pub(super) seen: bool,
    /// Every resource of this type is asked for.
    pub(super) wildcard: bool,
    /// Envoy waits for a first response, even an empty one.
    pub(super) unanswered: bool,
    pub(super) entries: HashMap<Arc<str>, Entry>,
    /// Lower-case names with the spellings in which they were asked for, where these differ.
    pub(super) spellings: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// All of those, oldest first.
    spelled: VecDeque<Arc<str>>,
    pub(super) pending: Turns,
    pub(super) pace: Pace,
    /// Parts of refused batches, to be sent each in a response of its own.
    pub(super) retries: VecDeque<Vec<Arc<str>>>,
    /// Names to be answered with "does not exist".
    pub(super) absent: Vec<Arc<str>>,
    pub(super) removals: VecDeque<Removal>,
    /// The valid one of the removals of a name: a resource may come back and go again.
    tickets: HashMap<Arc<str>, u64>,
    last_ticket: u64,
    pub(super) outstanding: BTreeMap<u64, Sent>,
    pub(super) removals_outstanding: usize,
    pub(super) parked: HashMap<Arc<str>, Parked>,
    /// Resources that Envoy holds.
    pub(super) held: usize,
    /// When Envoy last acknowledged something.
    pub(super) acknowledged: Option<Instant>,
    /// Names asked for that do not exist, oldest first.
    missing: VecDeque<Arc<str>>,
}

/// What Envoy has of one resource. There are tens of thousands of these in each session.
#[derive(Default)]
pub(super) struct Entry {
    /// The version that Envoy acknowledged, or told us it holds.
    pub(super) acked: Option<Version>,
    /// What was sent last, while it is unacknowledged.
    pub(super) flight: Option<Box<Flight>>,
    /// Asked for by name.
    pub(super) explicit: bool,
    /// Must be sent even if Envoy has it: it asked, or needs it again.
    pub(super) asked: bool,
    pub(super) place: Place,
    /// Since when `acked` is what it is.
    pub(super) since: Age,
}

/// How exactly is known since when something is held.
pub(in crate::ads) const STEP: Duration = Duration::from_millis(100);

/// Tenths of a second since the session began, rounded up, so that it is never told to be longer
/// ago than it is. In four bytes, which cost an [`Entry`] nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age(u32);

impl Age {
    /// So long after the beginning.
    pub(super) fn of(elapsed: Duration) -> Self {
        Self(u32::try_from(elapsed.as_millis().div_ceil(STEP.as_millis())).unwrap_or(u32::MAX))
    }

    /// The time since the beginning.
    pub(super) fn elapsed(self) -> Duration {
        STEP * self.0
    }
}

impl Entry {
    /// Whether Envoy holds this version (`None`: nothing) and nothing else is on its way to it.
    pub(super) fn has(&self, version: Option<Version>) -> bool {
        let other = |f: &Flight| f.version != version;
        self.acked == version && !self.flight.as_deref().is_some_and(other)
    }
}

/// Something on its way to Envoy.
pub(super) struct Flight {
    pub(super) nonce: u64,
    /// `None`: its removal.
    pub(super) version: Option<Version>,
    pub(super) at: Instant,
}

/// The queue that a resource is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// None: settled or on its way.
    #[default]
    Idle,
    /// To be looked at.
    Pending,
    /// Waits for the resources it requires.
    Blocked,
    /// Changed again while an older version is on its way.
    Deferred,
    /// Part of a refused batch.
    Retrying,
    /// To be removed.
    Removing,
}

/// A removal that waits for its turn.
pub(super) struct Removal {
    name: Arc<str>,
    ticket: u64,
    /// Additions up to this revision come first.
    pub(super) revision: u64,
    pub(super) since: Instant,
}

/// An unacknowledged response.
pub(super) struct Sent {
    pub(super) nonce: u64,
    pub(super) purpose: Purpose,
    pub(super) items: Vec<(Arc<str>, Option<Version>)>,
    pub(super) at: Instant,
    /// One of many, of which few are under way at a time.
    pub(super) bulk: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Additions and changes.
    Update,
    /// Removals, in their turn.
    Removal,
    /// "Does not exist", or an empty first response.
    Answer,
    /// A certificate at the gate; without an item, one of our own.
    Probe,
}

/// The newest version of a resource, which this Envoy refused or is spared.
pub(super) struct Parked {
    pub(super) version: Version,
    pub(super) message: Arc<str>,
    /// It refused the version itself, so it is not sent that again, whatever its like do.
    pub(super) own: bool,
}

impl Parked {
    /// Whether this Envoy itself refused `version`.
    pub(super) fn refuses(&self, version: Version) -> bool {
        self.own && self.version == version
    }
}

impl Holding {
    /// Whether another response may be sent.
    pub(super) fn window_is_open(&self, now: Instant) -> bool {
        let count = self.outstanding.len();
        if count < WINDOW {
            return true;
        }
        let young = self.outstanding.values().rev().nth(WINDOW - 1);
        count < WINDOW_LIMIT && young.is_none_or(|sent| sent.at + WINDOW_AGE <= now)
    }

    /// When the window opens by age, if something waits for that.
    pub(super) fn window_deadline(&self) -> Option<Instant> {
        if self.pending.is_empty() && self.retries.is_empty() {
            return None;
        }
        let young = self.outstanding.values().rev().nth(WINDOW - 1)?;
        Some(young.at + WINDOW_AGE)
    }

    /// Responses with much in them that Envoy probably works on.
    pub(super) fn bulk_under_way(&self, now: Instant) -> usize {
        self.bulk().filter(|at| *at + BULK_AGE > now).count()
    }

    /// When the next of those no longer counts.
    pub(super) fn bulk_deadline(&self) -> Option<Instant> {
        self.bulk().min().map(|at| at + BULK_AGE)
    }

    fn bulk(&self) -> impl Iterator<Item = Instant> {
        let newest = self.outstanding.values().rev().take(WINDOW);
        newest.filter(|sent| sent.bulk).map(|sent| sent.at)
    }

    /// What Envoy has, as numbers.
    pub(super) fn view(&self) -> TypeView {
        let held = self.entries.iter().filter_map(|(name, entry)| Some((&**name, entry.acked?)));
        TypeView {
            held: self.held,
            outstanding: self.outstanding.values().map(|sent| sent.items.len()).sum(),
            pending: self.entries.values().filter(|entry| entry.place != Place::Idle).count(),
            rejected: self.parked.len(),
            digest: digest(held),
            acknowledged: self.acknowledged,
        }
    }

    /// Whether this Envoy gets `name`.
    pub(super) fn is_asked_for(&self, name: &str) -> bool {
        self.wildcard || self.entries.get(name).is_some_and(|e| e.explicit)
    }

    /// Notes what Envoy holds of `name` now.
    pub(super) fn set_held(&mut self, name: &Arc<str>, version: Option<Version>, now: Age) {
        let Some(entry) = self.entries.get_mut(name) else {
            return;
        };
        self.held += usize::from(version.is_some());
        self.held -= usize::from(entry.acked.is_some());
        if entry.acked != version {
            entry.acked = version;
            entry.since = now;
        }
    }

    /// Queues `name` to be looked at, unless it is in a queue from which it will be anyway.
    /// False if this Envoy has nothing to do with it.
    pub(super) fn queue(&mut self, name: &Arc<str>) -> bool {
        let Some(entry) = self.entries.get_mut(name) else {
            return false;
        };
        match entry.place {
            Place::Pending | Place::Deferred | Place::Retrying => {}
            Place::Idle | Place::Blocked | Place::Removing => {
                entry.place = Place::Pending;
                self.pending.push(Arc::clone(name));
            }
        }
        true
    }

    /// Moves `name` from `place` to the queue of what is to be looked at.
    pub(super) fn requeue_from(&mut self, place: Place, name: &Arc<str>) {
        if let Some(entry) = self.entries.get_mut(name).filter(|e| e.place == place) {
            entry.place = Place::Pending;
            self.pending.push(Arc::clone(name));
        }
    }

    /// Queues the removal of `name`, to go after the additions up to `revision`.
    pub(super) fn queue_removal(&mut self, name: &Arc<str>, revision: u64, now: Instant) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.tickets.insert(Arc::clone(name), ticket);
        let name = Arc::clone(name);
        self.removals.push_back(Removal { name, ticket, revision, since: now });
    }

    /// Takes the first removal from its queue; returns the name if it is still to be removed.
    pub(super) fn next_removal(&mut self) -> Option<Arc<str>> {
        let Removal { name, ticket, .. } = self.removals.pop_front()?;
        if self.tickets.get(&name) != Some(&ticket) {
            return None;
        }
        self.tickets.remove(&name);
        let entry = self.entries.get(&name)?;
        (entry.place == Place::Removing).then_some(name)
    }

    /// `name` is in no queue any more.
    pub(super) fn take_out(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.place = Place::Idle;
        }
    }

    /// Envoy is to be told once more that `name` does not exist, unless it is going to be told
    /// something else.
    pub(super) fn deny_again(&mut self, name: &Arc<str>) {
        let waits = |e: &Entry| e.acked.is_none() && e.flight.is_none() && e.place == Place::Idle;
        if self.entries.get(name).is_some_and(waits) {
            self.absent.push(Arc::clone(name));
        }
    }

    /// The flight of response `nonce` is over.
    pub(super) fn land(&mut self, name: &Arc<str>, nonce: u64) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.flight.take_if(|f| f.nonce == nonce);
            if entry.flight.is_none() {
                self.requeue_from(Place::Deferred, name);
            }
        }
    }

    /// Whether nothing is queued or on its way for `name`.
    pub(super) fn is_quiet(&self, name: &str) -> bool {
        let entry = self.entries.get(name);
        entry.is_none_or(|e| e.place == Place::Idle && e.flight.is_none())
    }

    /// Drops what is known of `name` if Envoy neither holds nor asks for it.
    pub(super) fn forget_if_unused(&mut self, name: &str) {
        let unused = |e: &Entry| e.acked.is_none() && !e.explicit && e.flight.is_none();
        let entry = self.entries.get(name);
        if entry.is_some_and(|e| unused(e) && e.place == Place::Idle) {
            self.entries.remove(name);
        }
    }

    /// Envoy no longer asks for `name` by name, nor gets it otherwise.
    pub(super) fn drop_name(&mut self, name: &str) {
        if let Some(entry) = self.entries.remove(name) {
            self.held -= usize::from(entry.acked.is_some());
        }
        self.parked.remove(name);
        self.forget_spelling(name);
    }

    /// Remembers that `name` is another spelling of `canonical`. If that makes too many, the
    /// oldest is taken back: it is answered with "does not exist", and a client that comes back
    /// with it makes Envoy ask again.
    pub(super) fn remember_spelling(&mut self, canonical: &Arc<str>, name: &Arc<str>) {
        let spellings = self.spellings.entry(Arc::clone(canonical)).or_default();
        if spellings.contains(name) {
            return;
        }
        spellings.push(Arc::clone(name));
        self.spelled.push_back(Arc::clone(name));
        if self.spelled.len() <= SPELLINGS_LIMIT {
            return;
        }
        let quiet = self.spelled.iter().position(|name| self.is_quiet(name));
        let Some(oldest) = quiet.and_then(|at| self.spelled.remove(at)) else { return };
        self.forget_spelling(&oldest);
        if let Some(entry) = self.entries.get_mut(&oldest) {
            entry.explicit = false;
            self.absent.push(oldest);
        }
    }

    fn forget_spelling(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        let Some(spellings) = self.spellings.get_mut(lower.as_str()) else { return };
        spellings.retain(|s| **s != *name);
        if spellings.is_empty() {
            self.spellings.remove(lower.as_str());
        }
        self.spelled.retain(|s| **s != *name);
    }

    /// Remembers that `name` was asked for in vain; returns the name to forget for it, if there
    /// are too many.
    pub(super) fn remember_missing(&mut self, name: &Arc<str>) -> Option<Arc<str>> {
        self.missing.push_back(Arc::clone(name));
        if self.missing.len() <= ABSENT_LIMIT {
            return None;
        }
        let oldest = self.missing.pop_front()?;
        let entry = self.entries.get(&oldest)?;
        let vain = entry.acked.is_none() && entry.flight.is_none() && entry.place == Place::Idle;
        (vain && oldest != *name).then_some(oldest)
    }

    /// Takes a response off the list of unacknowledged ones.
    pub(super) fn take_outstanding(&mut self, nonce: u64) -> Option<Sent> {
        let sent = self.outstanding.remove(&nonce)?;
        if sent.purpose == Purpose::Removal {
            self.removals_outstanding = self.removals_outstanding.saturating_sub(1);
        }
        Some(sent)
    }
}

/// The endpoints that have to be sent again behind a cluster.
#[derive(Default)]
pub(super) struct Endpoints {
    /// To be sent next.
    pub(super) behind: BTreeSet<Arc<str>>,
    /// To be sent when Envoy asks for them on this stream, even if it says that it has them.
    pub(super) owed: HashSet<Arc<str>>,
}
