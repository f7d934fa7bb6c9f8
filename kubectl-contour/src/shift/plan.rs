//! From flags to a plan and a policy.

use std::num::NonZeroU16;
use std::time::Duration;

use clap::{Args, ValueEnum};
use contour_core::shift::gate::{Counting, Gate, NoData, Quantile, Rules};
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Curve, Plan, Schedule, Settings};
use contour_core::shift::state::{Deadman, OnFailure, Policy};
use contour_core::shift::weights::Scale;

use super::args::{percent, time};
use crate::failure::{Failure, Kind};

/// The steps where none are asked for, in percent.
const DEFAULT: [u16; 5] = [1, 5, 25, 50, 100];

/// What to move where, in which steps, and how each is judged.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// The service that traffic leaves, `NAME` or `NAME:PORT`
    #[arg(long, value_name = "SERVICE")]
    pub from: String,
    /// The service that traffic goes to
    #[arg(long, value_name = "SERVICE")]
    pub to: String,
    /// The steps.
    #[command(flatten)]
    pub steps: StepFlags,
    /// The gates.
    #[command(flatten)]
    pub gates: GateFlags,
    /// What to do when.
    #[command(flatten)]
    pub rules: RuleFlags,
}

/// Flags about steps.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Steps")]
pub struct StepFlags {
    /// The shares one by one, each perhaps with its own bake: `1,5,25@10m,50,100` [default:
    /// 1,5,25,50,100, those of them that are beyond what the new service has]
    #[arg(long, value_name = "LIST", group = "schedule")]
    pub steps: Option<String>,
    /// Equal steps of so many percent, up to --max
    #[arg(long, value_name = "PERCENT", group = "schedule", value_parser = percent)]
    pub step: Option<Percent>,
    /// With --step: where to end [default: 100]
    #[arg(long, value_name = "PERCENT", requires = "step", value_parser = percent)]
    pub max: Option<Percent>,
    /// One move to this share
    #[arg(long, value_name = "PERCENT", group = "schedule", value_parser = percent)]
    pub percent: Option<Percent>,
    /// All at once
    #[arg(long, group = "schedule")]
    pub blue_green: bool,
    /// Rise over a time (--over) in many steps (--count)
    #[arg(long, value_enum, group = "schedule", requires = "over")]
    pub ramp: Option<Ramp>,
    /// With --ramp: the time
    #[arg(long, value_name = "TIME", requires = "ramp", value_parser = time)]
    pub over: Option<Duration>,
    /// With --ramp: how many steps [default: 10, exponential 7]
    #[arg(long, value_name = "N", requires = "ramp")]
    pub count: Option<NonZeroU16>,
    /// How long each step is looked at, counted only while every Envoy has it
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub bake: Duration,
    /// How much longer the last step is looked at
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    pub hold: Duration,
    /// How long to wait before the first step
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    pub initial_delay: Duration,
    /// Stop after this step until somebody resumes; may be repeated
    #[arg(long, value_name = "PERCENT", value_parser = percent, value_delimiter = ',')]
    pub pause_at: Vec<Percent>,
    /// The total of the weights: `keep`, a number such as 100, or `exact`, the smallest multiple at
    /// which all steps are whole
    #[arg(long, value_name = "TOTAL", default_value = "exact", value_parser = scale)]
    pub normalize: Scale,
}

/// How a ramp rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ramp {
    /// By the same at each step.
    Linear,
    /// To the double at each step.
    Exponential,
}

/// Flags about gates.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Gates (what must hold of the new service, in each window)")]
pub struct GateFlags {
    /// At least so many of its requests succeed (no 5xx): `99.5`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub success_rate: Option<Percent>,
    /// Half of its requests take less: `200ms`
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub p50: Option<Duration>,
    /// Nine of ten take less
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub p90: Option<Duration>,
    /// 99 of 100 take less
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub p99: Option<Duration>,
    /// Its error rate exceeds that of the old service by less than so many percentage points
    #[arg(long, value_name = "POINTS", value_parser = percent)]
    pub error_rate_delta: Option<Percent>,
    /// Its p99 is less than so many times that of the old service: `1.2`
    #[arg(long, value_name = "TIMES", value_parser = times)]
    pub p99_ratio: Option<u32>,
    /// Less than so many of its requests needed a retry
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub max_masked: Option<Percent>,
}

/// Flags about what to do when.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rules")]
pub struct RuleFlags {
    /// How long a window is
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    pub interval: Duration,
    /// Below so many requests a window says nothing
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub min_requests: u32,
    /// So many failed windows fail a step
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub failures: u32,
    /// Count all failed windows of a step, not only those in a row
    #[arg(long)]
    pub total_failures: bool,
    /// So many good windows in a row are needed at the end of a bake
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub successes: u32,
    /// What to do where a bake ends and too little was seen
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_no_data: NoTraffic,
    /// How long to extend
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub extend: Duration,
    /// So many of its endpoints may be ejected by outlier detection
    #[arg(long, value_name = "N")]
    pub max_ejected: Option<u32>,
    /// What to do where a gate fails
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_failure: Fail,
    /// With rollback-stepped: the shares on the way back and how long each is held: `50,10@30s`
    #[arg(long, value_name = "LIST", default_value = "50,10@30s")]
    pub rollback_steps: String,
    /// How long Envoys have to acknowledge a step
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub converge_timeout: Duration,
    /// Begin a bake only when the observed split is that of the weights
    #[arg(long)]
    pub confirm_split: bool,
    /// How long the old service has to finish its requests at the end
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub drain: Duration,
    /// The whole shift must be over by then, or it pauses
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub deadline: Option<Duration>,
    /// If this client is gone for so long, the controller acts by itself
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub deadman: Option<Duration>,
    /// What it does then
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", requires = "deadman")]
    pub on_deadman: Dead,
}

/// What to do where a gate fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Fail {
    /// All traffic goes back at once.
    #[default]
    Rollback,
    /// It goes back step by step.
    RollbackStepped,
    /// Weights stay, and the shift has failed.
    Hold,
    /// Weights stay, and somebody decides.
    Pause,
}

/// What to do where too little was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NoTraffic {
    /// Look on for a time, then pause.
    #[default]
    Extend,
    /// Pause.
    Pause,
    /// Go on.
    Pass,
    /// As if a gate had failed.
    Fail,
}

/// What becomes of a shift whose client is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Dead {
    /// All traffic goes back.
    #[default]
    Revert,
    /// It is paused.
    Hold,
}

/// What to do on an interrupt where nobody can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Interrupt {
    /// Leave everything as it is, resumable.
    #[default]
    Hold,
    /// Move all traffic back first.
    Rollback,
}

/// The steps where none are asked for, for a service that has a share already.
pub fn default(has: Percent) -> impl Iterator<Item = Percent> {
    let steps = DEFAULT.into_iter().filter_map(Percent::whole);
    steps.filter(move |percent| *percent > has || *percent == Percent::ALL)
}

fn scale(text: &str) -> Result<Scale, String> {
    match text {
        "keep" => Ok(Scale::Keep),
        "exact" => Ok(Scale::Exact),
        number => match number.parse() {
            Ok(total) if total > 0 => Ok(Scale::Total(total)),
            Ok(_) | Err(_) => Err(format!("{number:?} is neither keep, exact nor a total")),
        },
    }
}

/// Reads `1.2` as 120 hundredths.
fn times(text: &str) -> Result<u32, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let wrong = || format!("{text:?} is not a number such as 1.2");
    if whole.is_empty() || part.len() > 2 || !digits(whole) || !digits(part) {
        return Err(wrong());
    }
    let hundredths = format!("{whole}{part:0<2}").parse().map_err(|_error| wrong())?;
    if hundredths == 0 { Err(wrong()) } else { Ok(hundredths) }
}

impl StepFlags {
    /// The steps in order, checked.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn plan(&self) -> Result<Plan, Failure> {
        self.plan_beyond(Percent::NONE)
    }

    /// The same, where the new service has a share already: of the default steps those are left out
    /// that are not beyond it. What was asked for is never changed.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn plan_beyond(&self, has: Percent) -> Result<Plan, Failure> {
        let usage = |error: &dyn std::fmt::Display| {
            Failure::new(Kind::Usage, format!("the plan cannot be: {error}"))
                .with_hint("steps rise to at most 100%, such as --steps 1,5,25@10m,50,100")
        };
        let settings = Settings {
            bake: self.bake,
            hold: self.hold,
            initial_delay: self.initial_delay,
            pause_at: self.pause_at.clone(),
            ..Settings::of(self.schedule(has).map_err(|error| usage(&error))?)
        };
        Plan::new(&settings).map_err(|error| usage(&error))
    }

    fn schedule(&self, has: Percent) -> Result<Schedule, contour_core::shift::plan::PlanError> {
        if let Some(text) = &self.steps {
            return Schedule::parse_steps(text);
        }
        Ok(match (self.step, self.percent, self.ramp) {
            (Some(step), ..) => Schedule::Every { step, max: self.max.unwrap_or(Percent::ALL) },
            (None, Some(percent), _) => Schedule::To(percent),
            (None, None, Some(ramp)) => {
                let (curve, count) = match ramp {
                    Ramp::Linear => (Curve::Linear, 10),
                    Ramp::Exponential => (Curve::Exponential, 7),
                };
                let count =
                    self.count.or_else(|| NonZeroU16::new(count)).unwrap_or(NonZeroU16::MIN);
                Schedule::Ramp { curve, over: self.over.unwrap_or_default(), count }
            }
            (None, None, None) if self.blue_green => Schedule::BlueGreen,
            (None, None, None) => {
                Schedule::Steps(default(has).map(|percent| (percent, None)).collect())
            }
        })
    }
}

impl GateFlags {
    fn gates(&self) -> Vec<Gate> {
        let latency = |quantile, limit: Option<Duration>| {
            let millis = u32::try_from(limit?.as_millis()).unwrap_or(u32::MAX);
            Some(Gate::Latency(quantile, millis))
        };
        [
            self.success_rate.map(Gate::SuccessRate),
            latency(Quantile::P50, self.p50),
            latency(Quantile::P90, self.p90),
            latency(Quantile::P99, self.p99),
            self.error_rate_delta.map(Gate::ErrorRateDelta),
            self.p99_ratio.map(Gate::P99Ratio),
            self.max_masked.map(Gate::Masked),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl PlanArgs {
    /// Whether it is a plan, before anything is asked of anybody.
    ///
    /// # Errors
    /// What is wrong with which of its flags.
    pub fn check(&self) -> Result<(), Failure> {
        self.steps.plan()?;
        self.policy().map(|_policy| ())
    }

    /// How the shift is judged. `healthy`: the endpoints that the new and the old side have now.
    ///
    /// # Errors
    /// If the steps back cannot be read.
    pub fn policy(&self) -> Result<Policy, Failure> {
        let rules = &self.rules;
        let on_no_data = match rules.on_no_data {
            NoTraffic::Extend => NoData::Extend(rules.extend),
            NoTraffic::Pause => NoData::Pause,
            NoTraffic::Pass => NoData::Pass,
            NoTraffic::Fail => NoData::Fail,
        };
        let counting = if rules.total_failures { Counting::Total } else { Counting::Consecutive };
        Ok(Policy {
            gates: self.gates.gates(),
            rules: Rules {
                min_requests: rules.min_requests,
                failures: rules.failures,
                counting,
                successes: rules.successes,
                on_no_data,
                max_ejected: rules.max_ejected,
                ..Rules::default()
            },
            interval: rules.interval,
            on_failure: rules.on_failure()?,
            converge: rules.converge_timeout,
            confirm_split: rules.confirm_split,
            drain: rules.drain,
            deadman: rules.deadman.map(|limit| match rules.on_deadman {
                Dead::Revert => Deadman::Revert(limit),
                Dead::Hold => Deadman::Hold(limit),
            }),
            ..Policy::default()
        })
    }
}

impl RuleFlags {
    fn on_failure(&self) -> Result<OnFailure, Failure> {
        Ok(match self.on_failure {
            Fail::Rollback => OnFailure::Rollback,
            Fail::Hold => OnFailure::Hold,
            Fail::Pause => OnFailure::Pause,
            Fail::RollbackStepped => {
                let text = &self.rollback_steps;
                let wrong = |why: &str| {
                    Failure::new(Kind::Usage, format!("--rollback-steps {text}: {why}"))
                        .with_hint("shares that fall, and how long each is held: 50,10@30s")
                };
                let (list, each) = text.split_once('@').unwrap_or((text, "30s"));
                let each = time(each).map_err(|error| wrong(&error))?;
                let percents = list.split(',').map(percent).collect::<Result<Vec<_>, _>>();
                let percents = percents.map_err(|error| wrong(&error))?;
                if !percents.is_sorted_by(|a, b| a > b) {
                    return Err(wrong("the shares do not fall"));
                }
                OnFailure::Stepped { percents, each }
            }
        })
    }
}

#[cfg(test)]
pub(super) fn plan_of(steps: &str) -> Plan {
    Plan::new(&Settings::of(Schedule::parse_steps(steps).unwrap())).unwrap()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        plan: PlanArgs,
    }

    fn read(words: &str) -> PlanArgs {
        let fixed = ["x", "--from", "blue", "--to", "green"];
        Line::try_parse_from(fixed.into_iter().chain(words.split_whitespace())).unwrap().plan
    }

    #[test]
    fn default_steps_begin_beyond_what_the_new_service_has() {
        let of = |has: u16, words: &str| {
            let plan = read(words).steps.plan_beyond(Percent::whole(has).unwrap()).unwrap();
            plan.percents().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(0, ""), "1% 5% 25% 50% 100%");
        assert_eq!(of(10, ""), "25% 50% 100%");
        assert_eq!(of(100, ""), "100%");
        assert_eq!(of(10, "--steps 5,50"), "5% 50%", "what was asked for stays");
    }

    fn shares(words: &str) -> String {
        match read(words).steps.plan() {
            Ok(plan) => {
                let one = |s: &contour_core::shift::plan::Step| {
                    format!("{}@{}s{}", s.percent, s.bake.as_secs(), if s.pause { "!" } else { "" })
                };
                plan.steps().iter().map(one).collect::<Vec<_>>().join(" ")
            }
            Err(failure) => format!("{:?}: {}", failure.kind, failure.message),
        }
    }

    #[test]
    fn steps_are_given_in_many_ways() {
        insta::assert_snapshot!(
            [
                "",
                "--steps 1,5@2m,100 --bake 10s",
                "--step 30 --bake 0s",
                "--step 30 --max 50 --bake 0s",
                "--percent 12.5",
                "--blue-green --bake 5s --hold 10m",
                "--ramp linear --over 100s --count 4",
                "--ramp exponential --over 70s",
                "--steps 10,20,30 --pause-at 10,30",
                "--steps 20,10",
                "--steps 20,120",
                "--steps 0",
                "--steps 10,20 --pause-at 15",
            ]
            .map(|words| format!("{words:36} {}", shares(words)))
            .join("\n"),
        );
    }

    #[test]
    fn gates_and_rules_are_what_the_flags_say() {
        let words = "--success-rate 99.5% --p99 500ms --p99-ratio 1.2 --error-rate-delta 0.5 \
                     --max-masked 1 --on-failure rollback-stepped --rollback-steps 20,5@7s \
                     --failures 3 --total-failures --on-no-data fail --deadman 10m";
        insta::assert_debug_snapshot!(read(words).policy().unwrap());
    }

    #[test]
    fn wrong_words_are_refused_with_what_would_be_right() {
        for words in ["--p99-ratio x", "--p99-ratio 0", "--normalize 0", "--success-rate 101"] {
            let fixed = ["x", "--from", "blue", "--to", "green"];
            let line = fixed.into_iter().chain(words.split_whitespace());
            assert!(Line::try_parse_from(line).is_err(), "{words}");
        }
        let back = read("--on-failure rollback-stepped --rollback-steps 5,20").policy();
        assert_eq!(back.unwrap_err().kind, Kind::Usage);
    }
}
