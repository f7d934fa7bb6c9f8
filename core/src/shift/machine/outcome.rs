//! How a client's part of a shift ends, and what it tells on the way.

use std::fmt;

use crate::shift::Note;
use crate::shift::percent::Percent;
use crate::shift::state::{Cause, Phase, Share, State};

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The end of the plan is reached.
    Done {
        /// Whether the old side has no request left, so that it may be deleted.
        drained: bool,
    },
    /// What was done is taken back, as asked.
    Undone,
    /// All traffic is back, for this reason.
    RolledBack(Note),
    /// It failed, and the weights stay where they are, for this reason.
    Held(Note),
    /// The weights are back, but not all Envoys are known to have them.
    Incomplete(Note),
    /// An operator ended it.
    Aborted {
        /// Whether all traffic is where it was before.
        at_baseline: bool,
    },
    /// Another client has it.
    Locked(Note),
    /// The object changed before each of so many writes.
    Conflict(u32),
    /// An operator has to decide, for this reason.
    Paused(Note),
    /// It cannot begin.
    Preflight(Note),
    /// Somebody else changed weights or state.
    Drifted(Note),
    /// The object is another one, or the shift is driven by another client.
    Superseded(Note),
    /// The API server does not allow it.
    Refused(Note),
}

impl Outcome {
    /// The exit code of the command.
    pub fn code(&self) -> u8 {
        match self {
            Self::Done { .. } | Self::Undone => 0,
            Self::Refused(_) => 1,
            Self::RolledBack(_) | Self::Aborted { at_baseline: true } => 3,
            Self::Held(_) | Self::Incomplete(_) | Self::Aborted { at_baseline: false } => 4,
            Self::Locked(_) | Self::Conflict(_) => 5,
            Self::Paused(_) => 6,
            Self::Preflight(_) => 7,
            Self::Drifted(_) | Self::Superseded(_) => 8,
        }
    }

    /// How a state ends a client's part, if it does.
    pub fn of(state: &State) -> Option<Self> {
        let at_baseline = state.progress.share == Share::Baseline;
        match &state.progress.phase {
            Phase::Waiting
            | Phase::Converging
            | Phase::Baking
            | Phase::RollingBack(_)
            | Phase::Draining => None,
            Phase::Paused { by, why, .. } => {
                Some(Self::Paused(Note::new(&format!("paused by {by}: {why}"))))
            }
            Phase::Holding(why) => Some(Self::Held(why.clone())),
            Phase::Completed { drained } => Some(Self::Done { drained: *drained }),
            Phase::RolledBack(Cause::Undo(_)) => Some(Self::Undone),
            Phase::RolledBack(cause) => Some(Self::RolledBack(Note::new(&cause.words()))),
            Phase::Aborted(_) => Some(Self::Aborted { at_baseline }),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { drained: true } => f.write_str("done: the old side has no requests left"),
            Self::Done { drained: false } => {
                f.write_str("done: the old side may still have requests, so do not delete it yet")
            }
            Self::Undone => f.write_str("the weights are as they were before the shift"),
            Self::RolledBack(why) => write!(f, "rolled back: {why}"),
            Self::Held(why) => write!(f, "failed, and held where it is: {why}"),
            Self::Incomplete(why) => write!(f, "rolled back, but not known to be live: {why}"),
            Self::Aborted { at_baseline: true } => f.write_str("aborted before anything moved"),
            Self::Aborted { at_baseline: false } => f.write_str("aborted: the weights stay"),
            Self::Locked(who) => write!(f, "held by {who}"),
            Self::Conflict(times) => write!(f, "the object changed before each of {times} writes"),
            Self::Paused(why) => f.write_str(why.as_str()),
            Self::Preflight(why) => write!(f, "cannot begin: {why}"),
            Self::Drifted(why) => write!(f, "somebody else changed what is shifted: {why}"),
            Self::Superseded(why) => write!(f, "superseded: {why}"),
            Self::Refused(why) => write!(f, "the write is not possible: {why}"),
        }
    }
}

/// What is told on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The shift was begun.
    Started,
    /// Weights were written: the share of `to` before and now; unset is the baseline.
    Weighted(Option<Percent>, Option<Percent>),
    /// The shift is in another phase.
    Turned(Phase),
    /// What a window says, in words.
    Judged(String),
    /// So many of so many Envoys have the weights.
    Converging(u32, u32),
    /// What an operator asked for.
    Commanded(String),
    /// What an operator asked for and does not get, and why.
    Declined(String),
}

impl Event {
    /// What a write changed.
    pub(super) fn of(before: &State, after: &State) -> Self {
        let percent = |state: &State| match state.progress.share {
            Share::Baseline => None,
            Share::At(percent) => Some(percent),
        };
        match (percent(before), percent(after)) {
            _ if after.progress.writes == 1 => Self::Started,
            (from, to) if from != to => Self::Weighted(from, to),
            _ => Self::Turned(after.progress.phase.clone()),
        }
    }
}
