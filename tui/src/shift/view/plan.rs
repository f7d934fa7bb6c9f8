//! The steps of the plan, and which one it is at.

use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Share, State};
use ratatui::text::Line;

use super::Pen;
use crate::shift::model::Snapshot;
use crate::text;
use crate::theme::Tone;

/// What is written as the share before anything has moved.
const BEFORE: &str = "before";

/// The share that is written, in words.
pub(super) fn share(state: &State) -> String {
    match state.progress.share {
        Share::Baseline => BEFORE.to_owned(),
        Share::At(percent) => percent.to_string(),
    }
}

/// The plan on one line: `1% ▸ 5% ▸ [25%] ▸ 50% ▸ 100%`.
pub(super) fn lines(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let state = &snapshot.state;
    let (texts, present) = items(state);
    let arrow = format!(" {} ", pen.glyphs().arrow);
    let room = pen.beside();
    let (first, last) = window(&texts, present, text::width(&arrow), room);
    let mut spans = Vec::new();
    if first > 0 {
        spans.push(pen.span(format!("{}{arrow}", pen.glyphs().ellipsis), Tone::Faint));
    }
    for (index, text) in texts.iter().enumerate().take(last + 1).skip(first) {
        if index > first {
            spans.push(pen.span(arrow.clone(), Tone::Faint));
        }
        let tone = match index.cmp(&present) {
            std::cmp::Ordering::Less => Tone::Plain,
            std::cmp::Ordering::Equal => Tone::Strong,
            std::cmp::Ordering::Greater => Tone::Faint,
        };
        spans.push(pen.span(text.clone(), tone));
    }
    if last + 1 < texts.len() {
        spans.push(pen.span(format!("{arrow}{}", pen.glyphs().ellipsis), Tone::Faint));
    }
    let mut line = Line::from(spans);
    let pauses: Vec<String> = state
        .charter
        .plan
        .steps()
        .iter()
        .filter(|step| step.pause)
        .map(|s| s.percent.to_string())
        .collect();
    let words = format!("   pauses after {}", pauses.join(", "));
    if !pauses.is_empty() && line.width() + text::width(&words) <= room {
        line.push_span(pen.span(words, Tone::Plain));
    }
    pen.labelled("plan", vec![line])
}

/// Every step, and where the present share is among them, in brackets; it may be none of them.
fn items(state: &State) -> (Vec<String>, usize) {
    let percents = state.charter.plan.percents();
    let bracketed = format!("[{}]", share(state));
    let reached = state.reached();
    let is_step = state.progress.share != Share::Baseline && percents.contains(&reached);
    let before = percents.iter().filter(|percent| **percent < reached).count();
    let text = |percent: &Percent| percent.to_string();
    let mut texts: Vec<String> = percents.iter().take(before).map(text).collect();
    texts.push(bracketed);
    texts.extend(percents.iter().skip(before + usize::from(is_step)).map(text));
    (texts, before)
}

/// From which item to which there is room around the present one.
fn window(texts: &[String], present: usize, arrow: usize, room: usize) -> (usize, usize) {
    let end = texts.len().saturating_sub(1);
    let size = |first: usize, last: usize| {
        let shown = texts.get(first..=last).unwrap_or_default();
        let own: usize = shown.iter().map(|text| text::width(text)).sum();
        let cut = usize::from(first > 0) + usize::from(last < end);
        own + arrow * shown.len().saturating_sub(1) + (arrow + 1) * cut
    };
    let (mut first, mut last) = (present, present);
    loop {
        let right = (last < end && size(first, last + 1) <= room).then_some((first, last + 1));
        let left = (first > 0 && size(first - 1, last) <= room).then(|| (first - 1, last));
        let balanced = last - present <= present - first;
        let next = if balanced { right.or(left) } else { left.or(right) };
        match next {
            Some(next) => (first, last) = next,
            None => return (first, last),
        }
    }
}
