//! What one client has seen of the present step.

use std::time::Duration;

use super::Live;
use crate::api::Timestamp;
use crate::shift::Note;
use crate::shift::gate::{Health, Tally, Window};
use crate::shift::state::{Phase, Progress};
use crate::shift::weights::Weights;

/// What is seen at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The object, if there is one: read no earlier than all the rest.
    pub live: Option<Live>,
    /// The Envoys; unset if nothing could be heard of them.
    pub fleet: Option<Fleet>,
    /// Counts of both services.
    pub counts: Counts,
    /// The endpoints of the service that traffic is moved from.
    pub from: Option<Health>,
    /// The endpoints of the service that traffic is moved to.
    pub to: Option<Health>,
    /// How requests were divided.
    pub split: Option<Split>,
    /// Requests that `from` has not answered yet.
    pub active: Option<u64>,
}

/// What is known of the requests since the last window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Counts {
    /// Nothing: no statistics could be had.
    #[default]
    Unavailable,
    /// A window has begun, and is not over.
    Running,
    /// A window is over.
    Over(Box<Window>),
}

/// What the Envoys have acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The generation of the object that this is about.
    pub generation: i64,
    /// How many are connected.
    pub connected: u32,
    /// How many of these have what was made of that generation.
    pub acknowledged: u32,
    /// Since when all have had it, if whoever watches them knows: an Envoy may have come and been
    /// behind between two looks.
    pub since: Option<Timestamp>,
    /// Some of those that have not.
    pub waiting: Vec<Note>,
}

/// How requests were divided since a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Since when.
    pub begin: Timestamp,
    /// Requests to `from`.
    pub from: u64,
    /// Requests to `to`.
    pub to: u64,
}

/// Standard deviations within which a split is that of its weights: one of 15 000 is not.
const DEVIATIONS: u128 = 4;

impl Split {
    /// Whether it is that of the weights of two services, as far as chance allows. `None` below
    /// `min` requests.
    pub fn fits(self, from: u32, to: u32, min: u32) -> Option<bool> {
        let count = u128::from(self.from) + u128::from(self.to);
        if count == 0 || count < u128::from(min) {
            return None;
        }
        let (from, to) = (u128::from(from), u128::from(to));
        let mass = from + to;
        // |seen - count·to/mass| <= 4·sqrt(count·from·to)/mass + 1, all times the mass.
        let off = (u128::from(self.to) * mass).abs_diff(count * to).saturating_sub(mass);
        let bound = DEVIATIONS * DEVIATIONS * count * from * to;
        let exact = (from == 0 || to == 0) && off > 0;
        Some(!exact && off.saturating_mul(off) <= bound)
    }
}

/// What one client has seen of the present step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// When the step was written, as far as this client knows.
    pub(super) began: Timestamp,
    /// Since when all Envoys have it.
    pub(super) converged: Option<Timestamp>,
    /// When all Envoys were last seen to have it.
    seen: Option<Timestamp>,
    /// Since when not all have it.
    pub(super) lagging: Timestamp,
    baked: Duration,
    pub(super) tally: Tally,
    /// The window that was judged last.
    pub(super) judged: Option<Timestamp>,
    /// The endpoints as last seen, of `from` and `to`.
    pub(super) health: [Option<Health>; 2],
}

impl Look {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            began: now,
            converged: None,
            seen: None,
            lagging: now,
            baked: Duration::ZERO,
            tally: Tally::default(),
            judged: None,
            health: [None, None],
        }
    }

    pub(super) fn baked(&self) -> Duration {
        self.baked
    }

    /// The shift has come elsewhere. From acknowledged to baking is the same step.
    pub(super) fn turned(&mut self, before: &Progress, after: &Progress, now: Timestamp) {
        let same = before.share == after.share && after.phase == Phase::Baking;
        if !same {
            let health = self.health;
            *self = Self { health, ..Self::new(now) };
        }
    }

    /// Counts the time since all Envoys were last seen to have the step, if nobody looked away
    /// for longer than `gap`, in which anything might have happened.
    pub(super) fn converge(
        &mut self,
        all: Option<&Fleet>,
        baking: bool,
        gap: Duration,
        now: Timestamp,
    ) {
        let Some(fleet) = all else {
            if self.converged.take().is_some() {
                self.lagging = now;
            }
            self.seen = None;
            return;
        };
        if let Some(seen) = self.seen.filter(|seen| baking && since(*seen, now) <= gap) {
            let whole = fleet.since.map_or(seen, |all| all.max(seen));
            self.baked = self.baked.saturating_add(since(whole, now));
        }
        let known = self.converged.unwrap_or(now);
        self.converged = Some(fleet.since.map_or(known, |all| all.min(now).max(known)));
        self.seen = Some(now);
    }
}

impl Fleet {
    /// Whether every Envoy has what was made of a generation. None connected is not all.
    pub fn has(&self, generation: i64) -> bool {
        self.generation >= generation && self.connected > 0 && self.acknowledged == self.connected
    }
}

/// How long ago a time was; nothing if it is yet to come.
pub(super) fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.unix().saturating_sub(then.unix())).unwrap_or(0))
}

/// A time so much later.
pub(super) fn after(then: Timestamp, duration: Duration) -> Timestamp {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(then.unix().saturating_add(seconds))
}

/// The weights of both services at one place.
pub(super) fn pair(
    weights: &Weights,
    ends: (&crate::shift::weights::Service, &crate::shift::weights::Service),
) -> Option<(u32, u32)> {
    weights.effective_of(ends.0).zip(weights.effective_of(ends.1))
}
