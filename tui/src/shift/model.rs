//! What the panel knows.

use std::collections::VecDeque;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::gate::{Finding, Judgement};
use contour_core::shift::machine::{Counts, Observation, Outcome};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Phase, Policy, State};

use crate::key::Key;
use crate::text;

/// Lines of what happened that are kept.
const TOLD_MAX: usize = 500;

/// All that is known of a shift at one time. A new one replaces the one before it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is shifted.
    pub object: ObjectRef,
    /// Where that is, in words: context and cluster, or a directory.
    pub location: String,
    /// The hosts whose traffic it is.
    pub hosts: Vec<String>,
    /// The shift as it is known to be written.
    pub state: State,
    /// What was seen last; unset if nothing was yet.
    pub observation: Option<Observation>,
    /// How long the present step has been looked at ([`Machine::baked`]).
    ///
    /// [`Machine::baked`]: contour_core::shift::machine::Machine::baked
    pub baked: Duration,
    /// The windows of this shift, newest last: the last one's findings are the table of gates,
    /// those before it its history. As many as there are columns on a screen are enough.
    pub windows: Vec<Judged>,
    /// How this client's part ended; unset while it drives the shift.
    pub outcome: Option<Outcome>,
    /// When this was so.
    pub now: Timestamp,
}

/// What a window said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How many requests to `to` succeeded, rounded down; unset where there were too few.
    pub success: Option<Percent>,
    /// Of each gate, in their order, or one for all of them.
    pub findings: Vec<Finding>,
}

impl Judged {
    /// Judges what was seen by a policy, as the machine does. `None` if no window was seen: the
    /// same one seen again is for the driver to leave out.
    pub fn of(policy: &Policy, seen: &Observation) -> Option<Self> {
        let Counts::Over(window) = &seen.counts else { return None };
        let (gates, rules) = (&policy.gates, &policy.rules);
        let (all, failed) = (window.to.requests, window.to.failures);
        let enough = all >= u64::from(rules.min_requests);
        Some(Self {
            success: share(all.saturating_sub(failed), all).filter(|_| enough),
            findings: Judgement::of(gates, rules, Some(&**window), seen.to).findings,
        })
    }
}

/// A part of a whole, rounded down; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<Percent> {
    let all = u128::from(Percent::ALL.as_hundredths());
    let hundredths = (u128::from(part) * all).checked_div(u128::from(whole))?;
    u16::try_from(hundredths).ok().and_then(Percent::hundredths)
}

/// How a line of what happened is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It happened.
    Note,
    /// It is well.
    Good,
    /// Somebody should look at it.
    Warning,
    /// It is not well.
    Failure,
}

/// What the panel hears.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// What is known now.
    Snapshot(Box<Snapshot>),
    /// Time has passed.
    Tick(Timestamp),
    /// Something happened, in words. It has the time of the last tick or snapshot.
    Told(String, Severity),
    /// Nothing can be heard, for this reason, until the next snapshot.
    Stale(String),
    /// The terminal has another size.
    Resize,
}

/// What is to be done for the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Stop at these weights.
    Pause,
    /// Go on.
    Resume,
    /// To the next step, whatever gates say.
    Promote,
    /// To the end of the plan, whatever gates say. It was confirmed.
    PromoteFully,
    /// Move all traffic back. It was confirmed.
    Rollback,
    /// End the shift where it is. It was confirmed.
    Abort,
    /// Move to this share, whatever gates say. It was confirmed.
    Set(Percent),
    /// Leave the panel; the shift stays as it is, and another client can go on with it.
    Detach,
    /// Stop the process until the shell lets it go on, the terminal being its own meanwhile.
    Suspend,
    /// Clear the screen, and draw all of it.
    Redraw,
}

/// What is asked before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether to do this.
    Confirm(Effect),
    /// What becomes of a shift that nobody will drive.
    Leave,
}

/// A line of what happened.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) text: String,
    pub(super) severity: Severity,
}

/// The state of the panel.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) now: Timestamp,
    pub(super) snapshot: Option<Box<Snapshot>>,
    pub(super) told: VecDeque<Told>,
    pub(super) stale: Option<String>,
    pub(super) question: Option<Question>,
    /// The answer to the last key, if it needs one.
    pub(super) notice: Option<String>,
    pub(super) help: bool,
    /// What was asked for since the last snapshot.
    pub(super) asked: Option<Effect>,
    /// Whether to leave as soon as nothing moves any more.
    pub(super) leaving: bool,
}

impl Model {
    /// A panel that has heard nothing yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            snapshot: None,
            told: VecDeque::new(),
            stale: None,
            question: None,
            notice: None,
            help: false,
            asked: None,
            leaving: false,
        }
    }

    /// What was heard last.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    /// Whether this client moves traffic, or is about to.
    pub fn is_active(&self) -> bool {
        self.snapshot().is_some_and(Snapshot::is_active)
    }

    pub(super) fn tell(&mut self, text: &str, severity: Severity) {
        let text = text::one_line(text);
        self.told.push_back(Told { at: self.now, text, severity });
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }
}

impl Snapshot {
    pub(super) fn phase(&self) -> &Phase {
        &self.state.progress.phase
    }

    /// Whether it goes on by itself: it is not over, and waits for nobody.
    pub(super) fn is_moving(&self) -> bool {
        match self.phase() {
            Phase::Waiting
            | Phase::Converging
            | Phase::Baking
            | Phase::RollingBack(_)
            | Phase::Draining => true,
            Phase::Paused { .. }
            | Phase::Holding(_)
            | Phase::Completed { .. }
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => false,
        }
    }

    /// Whether this client drives it on.
    pub(super) fn is_active(&self) -> bool {
        self.is_moving() && self.outcome.is_none()
    }
}
