//! Where the shift is, in words.

use std::time::Duration;

use contour_core::shift::machine::{Observation, Outcome};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Cause, Phase, Share};
use ratatui::text::Line;

use super::table::bar;
use super::{Pen, plan};
use crate::shift::model::Snapshot;
use crate::text::{since, span};
use crate::theme::Tone;

/// A bar is at least so wide, and at most.
const BAR: (usize, usize) = (10, 60);

/// How it ended, or that it waits for an operator: a headline, what is to be said, and how it is
/// meant.
pub(super) fn ended(snapshot: &Snapshot) -> Option<(&'static str, String, Tone)> {
    let told = match &snapshot.outcome {
        Some(Outcome::Incomplete(why)) => {
            ("ROLLED BACK", format!("but not known to be live: {why}"), Tone::Bad)
        }
        Some(
            outcome @ (Outcome::Locked(_)
            | Outcome::Conflict(_)
            | Outcome::Preflight(_)
            | Outcome::Drifted(_)
            | Outcome::Superseded(_)
            | Outcome::Refused(_)),
        ) => ("NO LONGER DRIVEN FROM HERE", outcome.to_string(), Tone::Bad),
        Some(
            Outcome::Done { .. }
            | Outcome::Undone
            | Outcome::RolledBack(_)
            | Outcome::Held(_)
            | Outcome::Aborted { .. }
            | Outcome::Paused(_),
        )
        | None => return stopped(snapshot),
    };
    Some(told)
}

fn stopped(snapshot: &Snapshot) -> Option<(&'static str, String, Tone)> {
    let share = plan::share(&snapshot.state);
    let told = match snapshot.phase() {
        Phase::Completed { drained: true } => {
            let words = "the old side has no requests left, and may be deleted";
            ("DONE", words.to_owned(), Tone::Good)
        }
        Phase::Completed { drained: false } if snapshot.state.reached() == Percent::ALL => {
            let words = "the old side may still have requests: do not delete it yet";
            ("DONE", words.to_owned(), Tone::Warn)
        }
        Phase::Completed { drained: false } => {
            ("DONE", format!("the plan ends at {share}: both sides have traffic"), Tone::Good)
        }
        Phase::RolledBack(Cause::Undo(_)) => {
            ("UNDONE", "the weights are as they were before the shift".to_owned(), Tone::Good)
        }
        Phase::RolledBack(cause @ Cause::Gate(_)) => ("ROLLED BACK", cause.words(), Tone::Bad),
        Phase::RolledBack(cause @ Cause::Operator(_)) => ("ROLLED BACK", cause.words(), Tone::Warn),
        Phase::Aborted(by) if snapshot.state.progress.share == Share::Baseline => {
            ("ABORTED", format!("by {by}; the weights are as before"), Tone::Warn)
        }
        Phase::Aborted(by) => {
            ("ABORTED", format!("by {by}; the weights stay at {share}"), Tone::Warn)
        }
        Phase::Paused { by, why, .. } => ("PAUSED", format!("by {by}: {why}"), Tone::Warn),
        Phase::Holding(why) => {
            ("HELD", format!("it failed, and stays at {share}: {why}"), Tone::Bad)
        }
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::RollingBack(_)
        | Phase::Draining => return None,
    };
    Some(told)
}

/// The phase, with a bar for what takes a known time.
pub(super) fn lines(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let (words, progress) = match &snapshot.outcome {
        // Nobody here knows how it goes on.
        Some(_) if snapshot.is_moving() => {
            let share = plan::share(&snapshot.state);
            (format!("{} at {share} when last seen", snapshot.phase().name()), None)
        }
        Some(_) | None => words(pen, snapshot),
    };
    let tone = match snapshot.phase() {
        Phase::RollingBack(_) | Phase::Paused { .. } => Tone::Warn,
        Phase::Holding(_) => Tone::Bad,
        Phase::Waiting
        | Phase::Converging
        | Phase::Baking
        | Phase::Draining
        | Phase::Completed { .. }
        | Phase::RolledBack(_)
        | Phase::Aborted(_) => Tone::Strong,
    };
    let mut lines = pen.words("phase", &words, tone);
    let last = lines.last_mut();
    if let (Some(line), Some((passed, whole))) = (last, progress) {
        let room = pen.width.saturating_sub(line.width() + 2);
        if room >= BAR.0 {
            let part = part(passed, whole);
            line.push_span("  ");
            line.spans.extend(bar(Some(part), room.min(BAR.1), Tone::Plain, pen));
        }
    }
    lines
}

/// In hundredths of a percent.
fn part(passed: Duration, whole: Duration) -> u16 {
    let part = (passed.as_secs().min(whole.as_secs()) * 10_000).checked_div(whole.as_secs());
    part.and_then(|part| u16::try_from(part).ok()).unwrap_or(10_000)
}

type Progress = Option<(Duration, Duration)>;

fn words(pen: Pen<'_>, snapshot: &Snapshot) -> (String, Progress) {
    let state = &snapshot.state;
    let share = plan::share(state);
    let passed = since(state.progress.since, pen.model.now);
    let policy = &state.charter.policy;
    let next = state.charter.plan.after(state.reached());
    let next = next.map_or_else(|| "the end".to_owned(), |step| step.percent.to_string());
    match snapshot.phase() {
        Phase::Waiting => waiting(snapshot, passed, &next),
        Phase::Converging => {
            let (passed, limit) = (span(passed), span(policy.converge));
            let words = if fleet_has(snapshot.observation.as_ref()) {
                format!("all Envoys have it, {passed} so far")
            } else {
                format!("{passed} of at most {limit} until all Envoys have it")
            };
            (format!("converging at {share}: {words}"), None)
        }
        Phase::Baking => baking(pen, snapshot, &share),
        Phase::Paused { done, .. } => {
            let then = if *done { format!("goes on to {next}") } else { "looks at it anew".into() };
            (format!("paused at {share} for {}; resume {then}", span(passed)), None)
        }
        Phase::Holding(_) => {
            (format!("held at {share} for {}; resume looks at it anew", span(passed)), None)
        }
        Phase::RollingBack(cause) if state.progress.share == Share::Baseline => {
            (format!("rolling back: {}", cause.words()), None)
        }
        Phase::RollingBack(cause) => {
            (format!("rolling back, now at {share}: {}", cause.words()), None)
        }
        Phase::Draining => {
            let active = snapshot.observation.as_ref().and_then(|seen| seen.active);
            let active = active.map_or_else(|| "-".to_owned(), |active| active.to_string());
            let left = span(policy.drain.saturating_sub(passed));
            let words = format!("draining: {active} requests left on the old side, {left} to wait");
            (words, Some((passed, policy.drain)))
        }
        phase @ (Phase::Completed { .. } | Phase::RolledBack(_) | Phase::Aborted(_)) => {
            (format!("{} at {share}, {} ago", phase.name(), span(passed)), None)
        }
    }
}

fn waiting(snapshot: &Snapshot, passed: Duration, next: &str) -> (String, Progress) {
    let delay = snapshot.state.charter.plan.initial_delay();
    let first = snapshot.state.progress.share == Share::Baseline;
    if first && passed < delay {
        let left = span(delay.saturating_sub(passed));
        return (format!("waiting: {left} until the first step, {next}"), Some((passed, delay)));
    }
    (format!("waiting: going on to {next}"), None)
}

fn baking(pen: Pen<'_>, snapshot: &Snapshot, share: &str) -> (String, Progress) {
    let state = &snapshot.state;
    let Some(step) = state.charter.plan.at(state.reached()) else {
        return (format!("baking at {share}, set by hand: no step of the plan"), None);
    };
    // Between two looks the clock goes on, if the last one saw that it runs.
    let since_look = since(snapshot.now, pen.model.now).min(state.charter.policy.interval);
    let runs = pen.model.stale.is_none() && fleet_has(snapshot.observation.as_ref());
    let baked = snapshot.baked + if runs { since_look } else { Duration::ZERO };
    let whole = step.bake;
    if baked >= whole {
        return (format!("baked at {share} for {}: waiting for the gates", span(baked)), None);
    }
    let left = span(whole.saturating_sub(baked));
    let words = format!("baking at {share}: {} of {}, {left} left", span(baked), span(whole));
    (words, Some((baked, whole)))
}

/// Whether all Envoys have what the object says.
pub(super) fn fleet_has(seen: Option<&Observation>) -> bool {
    let of = |seen: &Observation| {
        let generation = seen.live.as_ref()?.generation;
        Some(seen.fleet.as_ref()?.has(generation))
    };
    seen.and_then(of).unwrap_or(false)
}
