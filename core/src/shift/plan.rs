//! What is to be reached in which steps, and how long each is looked at.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::percent::{Percent, PercentError};
use crate::lower::go_duration;

/// The most steps of a plan: it is kept in an annotation.
pub const STEPS_MAX: usize = 100;

/// One step: the share that it moves to, and how long that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Step {
    /// What `to` has of the mass.
    #[serde(rename = "p")]
    pub percent: Percent,
    /// How long to look at it once all Envoys have it.
    #[serde(
        rename = "b",
        with = "super::seconds",
        default,
        skip_serializing_if = "Duration::is_zero"
    )]
    pub bake: Duration,
    /// Whether to stop afterwards until an operator lets it go on.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub pause: bool,
}

/// Steps that rise, at least one, none of them to 0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Raw")]
pub struct Plan {
    #[serde(rename = "s")]
    steps: Vec<Step>,
    #[serde(rename = "i", with = "super::seconds")]
    initial_delay: Duration,
}

#[derive(Deserialize)]
struct Raw {
    s: Vec<Step>,
    #[serde(with = "super::seconds")]
    i: Duration,
}

impl TryFrom<Raw> for Plan {
    type Error = PlanError;

    fn try_from(raw: Raw) -> Result<Self, PlanError> {
        Self::checked(raw.s, raw.i)
    }
}

/// How steps are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One by one, each with its own bake or the plan's.
    Steps(Vec<(Percent, Option<Duration>)>),
    /// By equal steps up to `max`.
    Every {
        /// The size of a step; the last may be smaller.
        step: Percent,
        /// Where it ends.
        max: Percent,
    },
    /// At once.
    To(Percent),
    /// Over a time, in so many steps.
    Ramp {
        /// How it rises.
        curve: Curve,
        /// From the first step to the end of the last.
        over: Duration,
        /// How many steps.
        count: NonZeroU16,
    },
    /// All at once, and back at once.
    BlueGreen,
}

/// How a ramp rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// By the same at each step.
    Linear,
    /// To the double at each step.
    Exponential,
}

/// Everything that a plan is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The steps.
    pub schedule: Schedule,
    /// How long a step is looked at that does not say so itself. A ramp has its own.
    pub bake: Duration,
    /// How much longer the last step is looked at.
    pub hold: Duration,
    /// How long to wait before the first step.
    pub initial_delay: Duration,
    /// After which steps an operator has to let it go on.
    pub pause_at: Vec<Percent>,
}

impl Settings {
    /// A schedule without any waiting.
    pub fn of(schedule: Schedule) -> Self {
        Self {
            schedule,
            bake: Duration::ZERO,
            hold: Duration::ZERO,
            initial_delay: Duration::ZERO,
            pause_at: Vec::new(),
        }
    }
}

/// What is wrong with a plan, and with which of its elements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// An element that cannot be read.
    #[error("step {number}: {problem}")]
    Percent {
        /// Which, from 1.
        number: usize,
        /// Why.
        problem: PercentError,
    },
    /// A bake that cannot be read.
    #[error("step {number}: {text:?} is not a duration such as 30s or 5m")]
    Duration {
        /// Which, from 1.
        number: usize,
        /// What stands there.
        text: String,
    },
    /// No step at all.
    #[error("a plan has at least one step")]
    Empty,
    /// More than are kept.
    #[error("{0} steps are more than {STEPS_MAX}")]
    TooMany(usize),
    /// A step to nothing.
    #[error("step {0} is 0%: nothing would move (to move traffic back, roll back)")]
    Zero(usize),
    /// The same step twice.
    #[error("step {number} is {percent} like the step before it")]
    Duplicate {
        /// Which, from 1.
        number: usize,
        /// What it is.
        percent: Percent,
    },
    /// A step that goes back.
    #[error("step {number} is {percent}, less than the {before} before it")]
    Falling {
        /// Which, from 1.
        number: usize,
        /// What it is.
        percent: Percent,
        /// What comes before it.
        before: Percent,
    },
    /// Equal steps of nothing.
    #[error("a step of 0% never arrives")]
    StepZero,
    /// A step beyond where it ends.
    #[error("a step of {step} is more than its end of {max}")]
    StepBeyond {
        /// The step.
        step: Percent,
        /// The end.
        max: Percent,
    },
    /// A ramp that is too fine.
    #[error("{0} steps of a ramp cannot be told apart at 0.01%")]
    Fine(u16),
    /// A pause where there is no step.
    #[error("pause at {0}: no step is there")]
    NoSuchStep(Percent),
}

impl Schedule {
    /// Reads `1,5,25,50,100`, where each may have its own bake: `5%@2m,25%@10m`.
    pub fn parse_steps(text: &str) -> Result<Self, PlanError> {
        let steps = text.split(',').zip(1..).map(|(element, number)| {
            let (percent, bake) = match element.split_once('@') {
                None => (element, None),
                Some((percent, bake)) => (percent, Some(bake.trim())),
            };
            let percent = Percent::parse(percent)
                .map_err(|problem| PlanError::Percent { number, problem })?;
            let read = |bake: &str| {
                let text = bake.to_owned();
                go_duration(bake).ok_or(PlanError::Duration { number, text })
            };
            Ok((percent, bake.map(read).transpose()?))
        });
        Ok(Self::Steps(steps.collect::<Result<_, _>>()?))
    }

    fn steps(&self) -> Result<Vec<(Percent, Option<Duration>)>, PlanError> {
        match self {
            Self::Steps(steps) => Ok(steps.clone()),
            Self::To(percent) => Ok(vec![(*percent, None)]),
            Self::BlueGreen => Ok(vec![(Percent::ALL, None)]),
            Self::Every { step, max } => every(*step, *max),
            Self::Ramp { curve, over, count } => ramp(*curve, *over, count.get()),
        }
    }
}

fn every(step: Percent, max: Percent) -> Result<Vec<(Percent, Option<Duration>)>, PlanError> {
    if step == Percent::NONE {
        return Err(PlanError::StepZero);
    }
    if step > max {
        return Err(PlanError::StepBeyond { step, max });
    }
    let inner = (step.as_hundredths()..max.as_hundredths()).step_by(step.as_hundredths().into());
    let percents = inner.filter_map(Percent::hundredths).chain([max]);
    Ok(percents.map(|percent| (percent, None)).collect())
}

fn ramp(
    curve: Curve,
    over: Duration,
    count: u16,
) -> Result<Vec<(Percent, Option<Duration>)>, PlanError> {
    let all = u32::from(Percent::ALL.as_hundredths());
    let bake = Some(over / u32::from(count));
    let steps = (1..=count).map(|i| {
        let hundredths = match curve {
            Curve::Linear => all * u32::from(i) / u32::from(count),
            Curve::Exponential => all.checked_shr(u32::from(count - i)).unwrap_or(0),
        };
        u16::try_from(hundredths).ok().and_then(Percent::hundredths).filter(|p| *p > Percent::NONE)
    });
    let steps: Option<Vec<_>> = steps.map(|percent| Some((percent?, bake))).collect();
    steps.ok_or(PlanError::Fine(count))
}

impl Plan {
    /// Checks the settings and makes a plan of them. Times are whole seconds, rounded up.
    pub fn new(settings: &Settings) -> Result<Self, PlanError> {
        let steps = settings.schedule.steps()?;
        let known = |percent: &&Percent| !steps.iter().any(|(p, _)| p == *percent);
        if let Some(absent) = settings.pause_at.iter().find(known) {
            return Err(PlanError::NoSuchStep(*absent));
        }
        let last = steps.len();
        let steps = steps.into_iter().zip(1..).map(|((percent, bake), number)| {
            let hold = if number == last { settings.hold } else { Duration::ZERO };
            let bake = whole(bake.unwrap_or(settings.bake).saturating_add(hold));
            Step { percent, bake, pause: settings.pause_at.contains(&percent) }
        });
        Self::checked(steps.collect(), whole(settings.initial_delay))
    }

    fn checked(steps: Vec<Step>, initial_delay: Duration) -> Result<Self, PlanError> {
        if steps.is_empty() {
            return Err(PlanError::Empty);
        }
        if steps.len() > STEPS_MAX {
            return Err(PlanError::TooMany(steps.len()));
        }
        let mut before = Percent::NONE;
        for (step, number) in steps.iter().zip(1..) {
            let percent = step.percent;
            match percent.cmp(&before) {
                _ if percent == Percent::NONE => return Err(PlanError::Zero(number)),
                std::cmp::Ordering::Less => {
                    return Err(PlanError::Falling { number, percent, before });
                }
                std::cmp::Ordering::Equal => return Err(PlanError::Duplicate { number, percent }),
                std::cmp::Ordering::Greater => before = percent,
            }
        }
        Ok(Self { steps, initial_delay })
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How long to wait before the first.
    pub fn initial_delay(&self) -> Duration {
        self.initial_delay
    }

    /// The percentages of the steps.
    pub fn percents(&self) -> Vec<Percent> {
        self.steps.iter().map(|s| s.percent).collect()
    }

    /// The step that comes after a share.
    pub fn after(&self, percent: Percent) -> Option<&Step> {
        self.steps.iter().find(|s| s.percent > percent)
    }

    /// The step at a share, if it is one.
    pub fn at(&self, percent: Percent) -> Option<&Step> {
        self.steps.iter().find(|s| s.percent == percent)
    }

    /// Where it ends.
    pub fn end(&self) -> Percent {
        self.steps.last().map_or(Percent::NONE, |s| s.percent)
    }
}

/// Whole seconds, rounded up.
pub(super) fn whole(duration: Duration) -> Duration {
    let part = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(duration.as_secs().saturating_add(part))
}
