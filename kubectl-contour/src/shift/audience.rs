//! What is told of a shift, and in which words.

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::{Event, Outcome};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Cause, Phase, State};
use serde_json::{Map, Value, json};

/// Whether it is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// What was to be expected.
    Plain,
    /// A success.
    Good,
    /// Something to look at.
    Warning,
    /// Something went wrong.
    Bad,
}

/// Something that happened to a shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What, as Events name it: `WeightShifted`.
    pub reason: &'static str,
    /// Whether it is good news.
    pub tone: Tone,
    /// In words.
    pub message: String,
    /// For programs.
    pub fields: Map<String, Value>,
    /// Whether the object's owners should hear of it, or it is only for whoever watches.
    pub lasts: bool,
}

impl Told {
    /// Something that is said by words alone.
    pub fn new(
        at: Timestamp,
        reason: &'static str,
        tone: Tone,
        message: impl Into<String>,
    ) -> Self {
        let (message, fields) = (message.into(), Map::new());
        Self { at, reason, tone, message, fields, lasts: true }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    fn passing(mut self) -> Self {
        self.lasts = false;
        self
    }

    /// What the machine of this client tells, in the words of the services that it is about.
    pub fn of(event: &Event, state: &State, operator: &Note, at: Timestamp) -> Self {
        let to = state.ends().map_or_else(String::new, |(_, to)| to.name.to_string());
        let operator = operator.as_str();
        match event {
            Event::Started => {
                let ends = state.ends().map(|(from, to)| format!("{from} to {to}"));
                let steps = steps(state);
                let ends = ends.unwrap_or_default();
                let message = format!("shift from {ends} begun by {operator}: {steps}");
                Self::new(at, "ShiftStarted", Tone::Plain, because(&message, state))
                    .with("steps", steps)
                    .with("operator", operator)
            }
            Event::Weighted(before, after) => {
                let words = |share: &Option<Percent>| {
                    share.map_or_else(|| "as before the shift".to_owned(), |p| p.to_string())
                };
                let (from, into) = (words(before), words(after));
                let message = format!("{to} {from} -> {into}");
                let tone = if after < before { Tone::Warning } else { Tone::Plain };
                Self::new(at, "WeightShifted", tone, message)
                    .with("before", share(*before))
                    .with("after", share(*after))
            }
            Event::Turned(phase) => Self::turned(phase, &to, at),
            Event::Judged(words) => {
                let (verdict, said) = words.split_once(": ").unwrap_or((words, ""));
                let (reason, tone) = match verdict {
                    "pass" => ("GatePassed", Tone::Good),
                    "fail" => ("GateFailed", Tone::Bad),
                    "error" => ("GateError", Tone::Warning),
                    _ => ("GateInconclusive", Tone::Warning),
                };
                let told = Self::new(at, reason, tone, format!("{to}: {said}"));
                let told = told.with("verdict", verdict);
                // What goes well is told once, with the next step.
                if reason == "GatePassed" { told.passing() } else { told }
            }
            Event::Converging(acknowledged, connected) => {
                let message = format!("{acknowledged} of {connected} Envoys have the weights");
                Self::new(at, "Converging", Tone::Plain, message)
                    .with("acknowledged", *acknowledged)
                    .with("connected", *connected)
                    .passing()
            }
            Event::Commanded(command) => {
                let reason = match command.split([' ', ':']).next() {
                    Some("resume" | "retry") => "ShiftResumed",
                    Some("promote") => "ShiftPromoted",
                    Some("pause") => "ShiftPaused",
                    Some("abort") => "ShiftAborted",
                    _ => "ShiftCommanded",
                };
                Self::new(
                    at,
                    reason,
                    Tone::Plain,
                    because(&format!("{command}, by {operator}"), state),
                )
                .with("command", command.as_str())
                .with("operator", operator)
            }
            Event::Declined(why) => {
                Self::new(at, "ShiftDeclined", Tone::Warning, format!("not done: {why}")).passing()
            }
        }
    }

    fn turned(phase: &Phase, to: &str, at: Timestamp) -> Self {
        let (reason, tone, message) = match phase {
            Phase::Waiting => ("ShiftResumed", Tone::Plain, "going on to the next step".to_owned()),
            Phase::Converging => (
                "ShiftResumed",
                Tone::Plain,
                "waiting for every Envoy to have the weights".to_owned(),
            ),
            Phase::Baking => {
                ("ShiftLive", Tone::Good, "live in every Envoy; looking at it".to_owned())
            }
            Phase::Paused { by, why, .. } => {
                ("ShiftPaused", Tone::Warning, format!("paused by {by}: {why}"))
            }
            Phase::Holding(why) => ("ShiftHeld", Tone::Bad, format!("held where it is: {why}")),
            Phase::RollingBack(cause) => {
                ("ShiftRollingBack", Tone::Bad, format!("rolling back: {}", cause.words()))
            }
            Phase::Draining => {
                let message =
                    format!("all traffic goes to {to}; the old side finishes its requests");
                ("ShiftDraining", Tone::Good, message)
            }
            Phase::Completed { drained: true } => {
                let message = "completed; the old side has no requests left".to_owned();
                ("ShiftCompleted", Tone::Good, message)
            }
            Phase::Completed { drained: false } => {
                let message = "completed; the old side may still have requests".to_owned();
                ("ShiftCompleted", Tone::Good, message)
            }
            Phase::RolledBack(Cause::Undo(by)) => (
                "ShiftUndone",
                Tone::Plain,
                format!("the weights are as before the shift, undone by {by}"),
            ),
            Phase::RolledBack(cause) => {
                ("ShiftRolledBack", Tone::Bad, format!("rolled back: {}", cause.words()))
            }
            Phase::Aborted(by) => {
                ("ShiftAborted", Tone::Warning, format!("ended by {by}; the weights stay"))
            }
        };
        let told = Self::new(at, reason, tone, message);
        let lasts = !matches!(phase, Phase::Waiting | Phase::Converging);
        Self { lasts, ..told }
    }

    /// How a client's part ended.
    pub fn ended(outcome: &Outcome, at: Timestamp) -> Self {
        let (reason, tone) = match outcome {
            Outcome::Done { .. } | Outcome::Undone => ("ShiftEnded", Tone::Good),
            Outcome::Locked(_)
            | Outcome::Conflict(_)
            | Outcome::Drifted(_)
            | Outcome::Superseded(_) => ("ShiftConflict", Tone::Bad),
            Outcome::RolledBack(_) | Outcome::Held(_) | Outcome::Incomplete(_) => {
                ("ShiftEnded", Tone::Bad)
            }
            Outcome::Aborted { .. } | Outcome::Paused(_) => ("ShiftEnded", Tone::Warning),
            Outcome::Preflight(_) | Outcome::Refused(_) => ("ShiftEnded", Tone::Bad),
        };
        let told = Self::new(at, reason, tone, outcome.to_string());
        // The phase was told before, but what others have done was not.
        let lasts = reason == "ShiftConflict";
        Self { lasts, ..told.with("exitCode", outcome.code()) }
    }

    /// As one JSON object.
    pub fn json(&self, object: &ObjectRef) -> Value {
        let mut value = json!({
            "time": self.at.to_string(),
            "event": self.reason,
            "object": format!("{}/{}", object.name.namespace, object.name.name),
            "message": self.message,
        });
        if let Value::Object(into) = &mut value {
            into.extend(self.fields.clone());
        }
        value
    }
}

fn because(message: &str, state: &State) -> String {
    match state.charter.reason.as_str() {
        "" => message.to_owned(),
        reason => format!("{message} ({reason})"),
    }
}

fn share(share: Option<Percent>) -> Value {
    share.map_or(Value::Null, |percent| percent.to_string().into())
}

/// The steps of a shift: `1% 5% 25% 50% 100%`.
pub fn steps(state: &State) -> String {
    let steps = state.charter.plan.steps().iter().map(|step| step.percent.to_string());
    steps.collect::<Vec<_>>().join(" ")
}
