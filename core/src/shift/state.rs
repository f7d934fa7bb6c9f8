//! What is kept of a shift in an annotation of the route that it shifts.
//!
//! The weights that belong to a state are not kept beside it but follow from it
//! ([`State::weights`]). Fields of later versions are kept as they are; a state whose schema is
//! another one, or that says something unknown, is refused rather than guessed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gate::{Gate, Rules};
use super::percent::Percent;
use super::plan::Plan;
use super::weights::{Lever, Weights};
use super::{Note, weights::Service};
use crate::api::Timestamp;

/// The annotation.
pub const ANNOTATION: &str = "shift.contour.heptio.com/state";
/// The version of the schema.
const SCHEMA: u32 = 1;
/// The most bytes of the annotation, a sixteenth of what an object's annotations may have.
pub const BYTES_MAX: usize = 16 * 1024;
/// What a state may grow by on its way: two notes, which are bounded, and times.
const GROWTH: usize = 4 * 1024;

/// What to do where a gate fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// All traffic goes back at once.
    Rollback,
    /// It goes back in falling steps, each held for a time.
    Stepped {
        /// The shares of `to` on the way; the end is the baseline.
        percents: Vec<Percent>,
        /// How long each is held.
        #[serde(with = "super::seconds")]
        each: Duration,
    },
    /// The weights stay, and the shift has failed.
    Hold,
    /// The weights stay, and an operator decides.
    Pause,
}

/// What to do where the operator's client is gone for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Deadman {
    /// The shift is paused.
    Hold(#[serde(with = "super::seconds")] Duration),
    /// It is rolled back.
    Revert(#[serde(with = "super::seconds")] Duration),
}

/// How a shift is judged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// What must hold of `to`.
    pub gates: Vec<Gate>,
    /// How verdicts are counted.
    pub rules: Rules,
    /// How often to look.
    #[serde(with = "super::seconds")]
    pub interval: Duration,
    /// What to do where a gate fails.
    pub on_failure: OnFailure,
    /// How long Envoys have to acknowledge.
    #[serde(with = "super::seconds")]
    pub converge: Duration,
    /// Whether the split as observed must be that of the weights before a bake begins.
    pub confirm_split: bool,
    /// How long the old side has to finish its requests.
    #[serde(with = "super::seconds")]
    pub drain: Duration,
    /// How many healthy endpoints `to` needs for all traffic; for a part of it, that part of them.
    pub forward_healthy: u32,
    /// How many healthy endpoints `from` needs for traffic to go back to it; at least 1.
    pub rollback_healthy: u32,
    /// What becomes of it without an operator.
    pub deadman: Option<Deadman>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            gates: Vec::new(),
            rules: Rules::default(),
            interval: Duration::from_secs(15),
            on_failure: OnFailure::Rollback,
            converge: Duration::from_mins(1),
            confirm_split: false,
            drain: Duration::from_mins(1),
            forward_healthy: 1,
            rollback_healthy: 1,
            deadman: None,
        }
    }
}

/// What of a shift never changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Charter {
    /// Which shift it is.
    pub id: Note,
    /// The UID of the object.
    pub uid: Note,
    /// The steps.
    pub plan: Plan,
    /// How it is judged.
    pub policy: Policy,
    /// Every place that is shifted.
    pub places: Vec<Lever>,
    /// Who began it.
    pub operator: Note,
    /// Why, in the operator's words.
    pub reason: Note,
    /// When it must be over.
    #[serde(with = "unix_option")]
    pub deadline: Option<Timestamp>,
    /// The version of the tool.
    pub tool: Note,
}

/// Which weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Share {
    /// Those from before the shift, exactly as they were.
    Baseline,
    /// Explicit ones, with this share of the mass for `to`.
    At(Percent),
}

/// Why traffic goes back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// A gate failed: with these numbers.
    Gate(Note),
    /// An operator said so.
    Operator(Note),
    /// An operator took back what was done.
    Undo(Note),
}

impl Cause {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Gate(words) => words.to_string(),
            Self::Operator(who) => format!("asked for by {who}"),
            Self::Undo(who) => format!("taken back by {who}"),
        }
    }
}

/// Where a shift is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Before the next step.
    Waiting,
    /// The step's weights are written; not all Envoys are known to have them.
    Converging,
    /// All Envoys had them, and the bake clock runs.
    Baking,
    /// Stopped for an operator to decide.
    Paused {
        /// Who stopped it.
        by: Note,
        /// Why.
        why: Note,
        /// Whether the step is done, so that going on means the next one.
        done: bool,
    },
    /// It failed, and the weights stay where they are.
    Holding(Note),
    /// Traffic goes back.
    RollingBack(Cause),
    /// All traffic has moved, and the old side finishes its requests.
    Draining,
    /// The end of the plan is reached.
    Completed {
        /// Whether the old side has finished its requests.
        drained: bool,
    },
    /// All traffic is back.
    RolledBack(Cause),
    /// An operator ended it, wherever it was.
    Aborted(Note),
}

impl Phase {
    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Converging => "converging",
            Self::Baking => "baking",
            Self::Paused { .. } => "paused",
            Self::Holding(_) => "held",
            Self::RollingBack(_) => "rolling back",
            Self::Draining => "draining",
            Self::Completed { .. } => "completed",
            Self::RolledBack(_) => "rolled back",
            Self::Aborted(_) => "aborted",
        }
    }

    /// Whether it is over, so that another shift may begin.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Completed { .. } | Self::RolledBack(_) | Self::Aborted(_) => true,
            Self::Waiting
            | Self::Converging
            | Self::Baking
            | Self::Paused { .. }
            | Self::Holding(_)
            | Self::RollingBack(_)
            | Self::Draining => false,
        }
    }
}

/// How far a shift has come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Which weights are written.
    pub share: Share,
    /// Where it is.
    pub phase: Phase,
    /// Since when it is there.
    #[serde(with = "unix")]
    pub since: Timestamp,
    /// Whose client drives it.
    pub holder: Note,
    /// How many writes there have been.
    pub writes: u32,
}

/// A shift, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct State {
    /// What never changes.
    #[serde(rename = "shift")]
    pub charter: Charter,
    /// What does.
    #[serde(rename = "at")]
    pub progress: Progress,
    /// What later versions have added.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// Why a state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is too long.
    #[error(
        "the state of the shift has {0} bytes, more than the {BYTES_MAX} that are kept: use fewer steps or routes"
    )]
    Size(usize),
    /// Another schema.
    #[error(
        "the state of the shift has schema {0}, of which this version knows {SCHEMA} alone: use a later one"
    )]
    Schema(u32),
    /// Not understood.
    #[error("the state of the shift cannot be read")]
    Form(#[source] serde_json::Error),
}

#[derive(Deserialize, Serialize)]
struct Versioned {
    v: u32,
}

#[derive(Serialize)]
struct Kept<'a> {
    v: u32,
    #[serde(flatten)]
    state: &'a State,
}

impl State {
    /// A shift that has not begun: the weights are as they were.
    pub fn new(charter: Charter, holder: Note, now: Timestamp) -> Self {
        let progress = Progress {
            share: Share::Baseline,
            phase: Phase::Waiting,
            since: now,
            holder,
            writes: 1,
        };
        Self { charter, progress, more: BTreeMap::new() }
    }

    /// The same shift elsewhere.
    pub(super) fn at(&self, progress: Progress) -> Self {
        Self { progress, ..self.clone() }
    }

    /// Reads the annotation.
    pub fn read(text: &str) -> Result<Self, StateError> {
        if text.len() > BYTES_MAX {
            return Err(StateError::Size(text.len()));
        }
        let Versioned { v } = serde_json::from_str(text).map_err(StateError::Form)?;
        if v != SCHEMA {
            return Err(StateError::Schema(v));
        }
        let mut state: Self = serde_json::from_str(text).map_err(StateError::Form)?;
        state.more.remove("v");
        Ok(state)
    }

    /// Writes the annotation: compact JSON.
    pub fn write(&self) -> Result<String, StateError> {
        let kept = Kept { v: SCHEMA, state: self };
        let text = serde_json::to_string(&kept).map_err(StateError::Form)?;
        if text.len() > BYTES_MAX { Err(StateError::Size(text.len())) } else { Ok(text) }
    }

    /// Whether every later state of this shift can be written.
    pub fn fits(&self) -> Result<(), StateError> {
        let length = self.write()?.len() + GROWTH;
        if length > BYTES_MAX { Err(StateError::Size(length)) } else { Ok(()) }
    }

    /// The weights that belong to it, of every place.
    pub fn weights(&self) -> Vec<Weights> {
        let places = self.charter.places.iter();
        places
            .map(|lever| match self.progress.share {
                Share::Baseline => lever.baseline().clone(),
                Share::At(percent) => lever.at(percent),
            })
            .collect()
    }

    /// Whether these are its weights, whatever other places an object has.
    pub fn agrees(&self, live: &[Weights]) -> bool {
        self.weights().iter().all(|own| live.iter().any(|weights| weights.agrees(own)))
    }

    /// Whether another shift may begin at the object with this UID: it is over, or was about an
    /// object that is no more.
    pub fn is_spent(&self, uid: &Note) -> bool {
        self.progress.phase.is_over() || self.charter.uid != *uid
    }

    /// The share that the next step must exceed.
    pub fn reached(&self) -> Percent {
        match self.progress.share {
            Share::Baseline => Percent::NONE,
            Share::At(percent) => percent,
        }
    }

    /// The services that traffic moves between.
    pub fn ends(&self) -> Option<(&Service, &Service)> {
        self.charter.places.first()?.ends()
    }
}

mod unix {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::api::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what is written so")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(time.unix())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(d).map(Timestamp::from_unix)
    }
}

mod unix_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::api::Timestamp;

    #[expect(clippy::ref_option, reason = "serde passes what is written so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::unix).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::deserialize(d)?.map(Timestamp::from_unix))
    }
}
