//! A shift in words, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::Observation;
use contour_core::shift::state::{Phase, Share, State};
use contour_core::shift::weights::{Lever, Weights};
use serde_json::{Value, json};

use super::lease::Holder;

/// The share that the new service has.
pub fn share(state: &State) -> String {
    match state.progress.share {
        Share::Baseline => "as before".to_owned(),
        Share::At(percent) => percent.to_string(),
    }
}

/// Why it is in that phase, where there is a reason.
pub fn why(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Paused { by, why, .. } => Some(format!("by {by}: {why}")),
        Phase::Holding(why) => Some(why.to_string()),
        Phase::RollingBack(cause) | Phase::RolledBack(cause) => Some(cause.words()),
        Phase::Aborted(by) => Some(format!("by {by}")),
        Phase::Completed { drained: false } => {
            Some("the old side may still have requests".to_owned())
        }
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::Draining
        | Phase::Completed { drained: true } => None,
    }
}

/// How a shift is, in a few lines.
pub fn text(
    object: &ObjectRef,
    state: &State,
    holder: Option<&Holder>,
    seen: Option<&Observation>,
) -> String {
    let mut out = String::new();
    let ends = state.ends().map_or_else(String::new, |(from, to)| format!("{from} -> {to}"));
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: &str| {
        let _unused = writeln!(out, "{name:<11}{value}");
    };
    line("Route:", &format!("{}/{}", object.name.namespace, object.name.name));
    line("Shift:", &format!("{ends}, {} at {}", state.progress.phase.name(), share(state)));
    if let Some(why) = why(&state.progress.phase) {
        line("Why:", &why);
    }
    line("Steps:", &bar(state));
    line("Since:", &state.progress.since.to_string());
    let driven = match holder {
        Some(holder) if !holder.name.is_empty() => holder.name.as_str(),
        _ if state.progress.phase.is_over() => "nobody: it is over",
        _ => "nobody: kubectl contour shift resume goes on",
    };
    line("Driven by:", driven);
    if !state.charter.reason.as_str().is_empty() {
        line("Reason:", state.charter.reason.as_str());
    }
    for now in state.weights() {
        line("Weights:", &format!("{}: {}", now.place(), now.words()));
    }
    if let Some(fleet) = seen.and_then(|seen| seen.fleet.as_ref()) {
        let waiting: Vec<_> = fleet.waiting.iter().map(Note::as_str).collect();
        let waiting = if waiting.is_empty() {
            String::new()
        } else {
            format!("; waiting: {}", waiting.join(", "))
        };
        line(
            "Envoys:",
            &format!("{}/{} have these weights{waiting}", fleet.acknowledged, fleet.connected),
        );
    }
    out
}

/// The steps, with the present one in brackets: `1% 5% [25%] 50% 100%`.
pub fn bar(state: &State) -> String {
    let reached = state.reached();
    let present = state.progress.share != Share::Baseline;
    let steps = state.charter.plan.steps().iter().map(|step| {
        if present && step.percent == reached {
            format!("[{}]", step.percent)
        } else {
            step.percent.to_string()
        }
    });
    steps.collect::<Vec<_>>().join(" ")
}

/// A shift for programs; the form is in docs/shift.md.
pub fn json(
    object: &ObjectRef,
    state: &State,
    holder: Option<&Holder>,
    seen: Option<&Observation>,
) -> Value {
    let services = |w: &Weights| -> Value {
        let one = |w: &contour_core::shift::weights::Written| json!({"name": w.0.name, "port": w.0.port, "weight": w.1});
        w.services().iter().map(one).collect()
    };
    let places: Vec<_> = state
        .charter
        .places
        .iter()
        .zip(state.weights())
        .map(|(lever, now): (&Lever, Weights)| {
            json!({
                "place": lever.place().to_string(),
                "baseline": services(lever.baseline()),
                "weights": services(&now),
            })
        })
        .collect();
    let ends = state.ends();
    let steps = state.charter.plan.steps().iter().map(|step| {
        json!({
            "percent": step.percent.to_string(),
            "bakeSeconds": step.bake.as_secs(),
            "pause": step.pause,
        })
    });
    json!({
        "object": format!("{}/{}", object.name.namespace, object.name.name),
        "id": state.charter.id.as_str(),
        "from": ends.map(|(from, _)| from.to_string()),
        "to": ends.map(|(_, to)| to.to_string()),
        "phase": state.progress.phase.name(),
        "why": why(&state.progress.phase),
        "share": match state.progress.share {
            Share::Baseline => Value::Null,
            Share::At(percent) => percent.to_string().into(),
        },
        "since": state.progress.since.to_string(),
        "steps": steps.collect::<Vec<_>>(),
        "places": places,
        "operator": state.charter.operator.as_str(),
        "reason": state.charter.reason.as_str(),
        "drivenBy": holder.map(|h| h.name.as_str()).filter(|name| !name.is_empty()),
        "envoys": seen.and_then(|s| s.fleet.as_ref()).map(|fleet| json!({
            "connected": fleet.connected,
            "acknowledged": fleet.acknowledged,
            "waiting": fleet.waiting.iter().map(Note::as_str).collect::<Vec<_>>(),
        })),
        "over": state.progress.phase.is_over(),
    })
}

/// How long something takes, in whole seconds or minutes.
pub fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds if seconds > 60 => format!("{}m{}s", seconds / 60, seconds % 60),
        seconds => format!("{seconds}s"),
    }
}

/// How long ago something was.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(now.unix().saturating_sub(then.unix())).unwrap_or(0);
    time(Duration::from_secs(seconds))
}
