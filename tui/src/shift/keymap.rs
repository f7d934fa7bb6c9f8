//! The one table of keys: what they do, when, and in which words.

use contour_core::shift::machine::Outcome;
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Phase, Share, State};

use super::model::{Effect, Snapshot};
use crate::key::Key;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Stop at these weights.
    Pause,
    /// Go on.
    Resume,
    /// To the next step.
    Promote,
    /// To the end of the plan.
    PromoteFully,
    /// Move all traffic back.
    Rollback,
    /// End it here.
    Abort,
    /// A larger share.
    More,
    /// A smaller share.
    Less,
    /// Explain the keys.
    Help,
    /// Leave the panel.
    Leave,
    /// Draw all of the screen.
    Redraw,
    /// Stop the process for a while.
    Suspend,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys, the first of which is shown.
    pub keys: &'static [Key],
    /// What they ask for.
    pub act: Act,
    /// In a word or two.
    pub label: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// Whether it is done only after another key confirms it.
    pub asks: bool,
    /// Whether the footer leaves it out where there is little room.
    pub minor: bool,
}

/// All keys, in the order in which they are shown.
pub const BINDINGS: [Binding; 12] = [
    Binding {
        keys: &[Key::Char('p')],
        act: Act::Pause,
        label: "pause",
        help: "stop at these weights",
        asks: false,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('r')],
        act: Act::Resume,
        label: "resume",
        help: "go on after a pause or a failure",
        asks: false,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('n'), Key::Char('P')],
        act: Act::Promote,
        label: "next",
        help: "go to the next step, whatever gates say",
        asks: false,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('F')],
        act: Act::PromoteFully,
        label: "fully",
        help: "go to the end of the plan, whatever gates say",
        asks: true,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('b')],
        act: Act::Rollback,
        label: "roll back",
        help: "move all traffic back to where it was",
        asks: true,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('a')],
        act: Act::Abort,
        label: "abort",
        help: "end the shift, and leave the weights as they are",
        asks: true,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('+'), Key::Char('=')],
        act: Act::More,
        label: "more",
        help: "move to the next larger share, whatever gates say",
        asks: true,
        minor: true,
    },
    Binding {
        keys: &[Key::Char('-')],
        act: Act::Less,
        label: "less",
        help: "move to the next smaller share, whatever gates say",
        asks: true,
        minor: true,
    },
    Binding {
        keys: &[Key::Char('?'), Key::Char('h')],
        act: Act::Help,
        label: "help",
        help: "explain the keys",
        asks: false,
        minor: false,
    },
    Binding {
        keys: &[Key::Char('q'), Key::Esc, Key::Ctrl('c')],
        act: Act::Leave,
        label: "leave",
        help: "leave the panel",
        asks: true,
        minor: false,
    },
    Binding {
        keys: &[Key::Ctrl('l')],
        act: Act::Redraw,
        label: "redraw",
        help: "draw all of the screen again",
        asks: false,
        minor: true,
    },
    Binding {
        keys: &[Key::Ctrl('z')],
        act: Act::Suspend,
        label: "suspend",
        help: "go back to the shell; fg returns here",
        asks: false,
        minor: true,
    },
];

/// How much a share changes where the plan has no step in that direction.
const STRIDE: u16 = 500;

impl Act {
    /// What a key asks for.
    pub fn of(key: Key) -> Option<Self> {
        BINDINGS.iter().find(|b| b.keys.contains(&key)).map(|b| b.act)
    }

    /// What it does to a shift, or why that makes no sense now, in words for the operator.
    /// `Ok(None)` is about the panel alone.
    ///
    /// # Errors
    /// Why not.
    pub fn effect(self, snapshot: Option<&Snapshot>) -> Result<Option<Effect>, String> {
        let effect = match self {
            Self::Help | Self::Leave => return Ok(None),
            Self::Redraw => return Ok(Some(Effect::Redraw)),
            Self::Suspend => return Ok(Some(Effect::Suspend)),
            Self::Pause => Effect::Pause,
            Self::Resume => Effect::Resume,
            Self::Promote => Effect::Promote,
            Self::PromoteFully => Effect::PromoteFully,
            Self::Rollback => Effect::Rollback,
            Self::Abort => Effect::Abort,
            Self::More | Self::Less => {
                let snapshot = known(snapshot)?;
                refuse(Effect::Set(Percent::NONE), snapshot)?;
                let target =
                    if self == Self::More { more(&snapshot.state) } else { less(&snapshot.state) };
                return target.map(|percent| Some(Effect::Set(percent)));
            }
        };
        refuse(effect, known(snapshot)?).map(|()| Some(effect))
    }
}

fn known(snapshot: Option<&Snapshot>) -> Result<&Snapshot, String> {
    snapshot.ok_or_else(|| "nothing is known of the shift yet".to_owned())
}

/// Whether an effect makes sense.
///
/// # Errors
/// Why not.
pub(super) fn refuse(effect: Effect, snapshot: &Snapshot) -> Result<(), String> {
    if let Some(outcome) = snapshot.outcome.as_ref().filter(|outcome| is_gone(outcome)) {
        return Err(format!("not driven from here any more: {outcome}"));
    }
    let phase = snapshot.phase();
    if phase.is_over() {
        return Err("the shift is over".to_owned());
    }
    let why = match effect {
        Effect::Pause => against_pause(phase),
        Effect::Resume => against_resume(snapshot),
        Effect::Promote | Effect::PromoteFully | Effect::Set(_) => against_move(phase),
        Effect::Rollback => match phase {
            Phase::RollingBack(_) => Some("traffic is on its way back already"),
            Phase::Waiting
            | Phase::Converging
            | Phase::Baking
            | Phase::Paused { .. }
            | Phase::Holding(_)
            | Phase::Draining
            | Phase::Completed { .. }
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => None,
        },
        Effect::Abort | Effect::Detach | Effect::Suspend | Effect::Redraw => None,
    };
    why.map_or(Ok(()), |why| Err(why.to_owned()))
}

/// Whether this client can do nothing more.
fn is_gone(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Locked(_)
        | Outcome::Conflict(_)
        | Outcome::Preflight(_)
        | Outcome::Drifted(_)
        | Outcome::Superseded(_)
        | Outcome::Refused(_) => true,
        Outcome::Done { .. }
        | Outcome::Undone
        | Outcome::RolledBack(_)
        | Outcome::Held(_)
        | Outcome::Incomplete(_)
        | Outcome::Aborted { .. }
        | Outcome::Paused(_) => false,
    }
}

fn against_pause(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::Paused { .. } => Some("it is paused already"),
        Phase::Holding(_) => Some("it is held where it is already"),
        Phase::RollingBack(_) => {
            Some("traffic is on its way back; abort leaves it where it is now")
        }
        Phase::Draining => Some("all traffic has moved: there is nothing to pause"),
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::Completed { .. }
        | Phase::RolledBack(_)
        | Phase::Aborted(_) => None,
    }
}

fn against_resume(snapshot: &Snapshot) -> Option<&'static str> {
    match snapshot.phase() {
        Phase::Paused { .. } | Phase::Holding(_) => None,
        // This client has given up waiting for it.
        Phase::RollingBack(_) if snapshot.outcome.is_some() => None,
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::RollingBack(_)
        | Phase::Draining
        | Phase::Completed { .. }
        | Phase::RolledBack(_)
        | Phase::Aborted(_) => Some("it is not paused"),
    }
}

fn against_move(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::RollingBack(_) => Some("traffic is on its way back"),
        Phase::Draining => Some("all traffic has moved already"),
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::Paused { .. }
        | Phase::Holding(_)
        | Phase::Completed { .. }
        | Phase::RolledBack(_)
        | Phase::Aborted(_) => None,
    }
}

fn more(state: &State) -> Result<Percent, String> {
    let reached = state.reached();
    if reached == Percent::ALL {
        return Err("all traffic has moved already".to_owned());
    }
    let stride = || {
        let all = Percent::ALL.as_hundredths();
        Percent::hundredths(reached.as_hundredths().saturating_add(STRIDE).min(all))
    };
    let next = state.charter.plan.after(reached).map(|step| step.percent).or_else(stride);
    next.ok_or_else(|| "there is no larger share".to_owned())
}

fn less(state: &State) -> Result<Percent, String> {
    let Share::At(reached) = state.progress.share else {
        return Err("nothing has moved yet".to_owned());
    };
    let lower = state.charter.plan.steps().iter().rev().find(|step| step.percent < reached);
    let stride = || {
        let hundredths = reached.as_hundredths().checked_sub(STRIDE)?;
        Percent::hundredths(hundredths).filter(|percent| *percent > Percent::NONE)
    };
    let next = lower.map(|step| step.percent).or_else(stride);
    next.ok_or_else(|| "below the first step there is only rolling back".to_owned())
}
