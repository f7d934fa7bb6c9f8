//! What can be pressed now: the footer, the help, and questions.

use ratatui::text::{Line, Span};

use super::{Pen, plan};
use crate::key::Key;
use crate::shift::keymap::{Act, BINDINGS, Binding};
use crate::shift::model::{Effect, Question};
use crate::text;
use crate::theme::Tone;

/// From this many rows on the footer may have two lines.
const TALL: usize = 30;
/// Blanks between keys.
const GAP: usize = 2;

/// What is asked, and which keys answer.
pub(super) fn question(question: Question, pen: Pen<'_>) -> String {
    let snapshot = pen.snapshot();
    let effect = match question {
        Question::Confirm(effect) => effect,
        Question::Leave => {
            let returning = Act::Rollback.effect(snapshot).is_err();
            let pausable = Act::Pause.effect(snapshot).is_ok();
            let pause = if pausable { "p pause here, " } else { "" };
            let back = if returning { "b once all is back" } else { "b roll back" };
            return format!("Leave? {pause}{back}, q as it is, to be resumed, Esc stay");
        }
    };
    let share = snapshot.map_or_else(|| "-".to_owned(), |s| plan::share(&s.state));
    let to = snapshot.and_then(|s| s.state.ends());
    let to = to.map_or_else(|| "-".to_owned(), |(_, to)| to.to_string());
    let words = match effect {
        Effect::PromoteFully => {
            let end =
                snapshot.map_or_else(|| "-".to_owned(), |s| s.state.charter.plan.end().to_string());
            format!("Move {end} to {to}, whatever gates say?")
        }
        Effect::Rollback => format!("Roll back from {share} to the weights from before the shift?"),
        Effect::Abort => format!("End the shift, and leave the weights at {share}?"),
        Effect::Set(percent) => format!("Move {to} from {share} to {percent}, whatever gates say?"),
        Effect::Pause
        | Effect::Resume
        | Effect::Promote
        | Effect::Detach
        | Effect::Suspend
        | Effect::Redraw => "Do it?".to_owned(),
    };
    format!("{words} y/n")
}

/// What is asked, or the answer to the last key.
pub(super) fn prompt(pen: Pen<'_>) -> Vec<Line<'static>> {
    if let Some(asked) = pen.model.question {
        let mut lines = pen.banner(&question(asked, pen), Tone::Key, pen.height);
        if let Some(notice) = &pen.model.notice {
            lines.insert(0, pen.line(notice.clone(), Tone::Warn));
        }
        return lines;
    }
    let leaving = "leaving as soon as nothing moves any more; q leaves now";
    let notice = pen.model.notice.as_deref().or_else(|| pen.model.leaving.then_some(leaving));
    let lines = notice.map_or_else(Vec::new, |notice| text::wrap(notice, pen.width));
    lines.into_iter().map(|line| pen.line(line, Tone::Warn)).collect()
}

/// The keys, those that make no sense now being faint: all, if there is room, or those that do.
/// What is asked has its own.
pub(super) fn footer(pen: Pen<'_>) -> Vec<Line<'static>> {
    if pen.model.question.is_some() {
        return Vec::new();
    }
    let sensible = |b: &&Binding| b.act.effect(pen.snapshot()).is_ok();
    let everything: Vec<&Binding> = BINDINGS.iter().collect();
    let major: Vec<&Binding> = BINDINGS.iter().filter(|b| !b.minor).collect();
    let mut useful: Vec<&Binding> = BINDINGS.iter().filter(sensible).filter(|b| !b.minor).collect();
    // These are found by nobody who does not know them.
    useful.sort_by_key(|b| !matches!(b.act, Act::Help | Act::Leave));
    let rows = if pen.height >= TALL { 2 } else { 1 };
    for bindings in [everything, major] {
        let lines = rows_of(&bindings, pen);
        if lines.len() <= rows {
            return lines;
        }
    }
    rows_of(&useful, pen).into_iter().take(1).collect()
}

fn rows_of(bindings: &[&Binding], pen: Pen<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    for binding in bindings {
        let spans = key(binding, pen);
        let width: usize = spans.iter().map(Span::width).sum();
        let used = lines.last().map_or(0, Line::width);
        if used > 0 && used + GAP + width > pen.width {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            if line.width() > 0 {
                line.push_span(" ".repeat(GAP));
            }
            line.spans.extend(spans);
        }
    }
    lines
}

fn key(binding: &Binding, pen: Pen<'_>) -> [Span<'static>; 2] {
    let sensible = binding.act.effect(pen.snapshot()).is_ok();
    let tones = if sensible { (Tone::Key, Tone::Plain) } else { (Tone::Faint, Tone::Faint) };
    let name = binding.keys.first().map_or_else(String::new, |key| key.name());
    [pen.span(name, tones.0), pen.span(format!(" {}", binding.label), tones.1)]
}

/// Every key, what it does, and why not now.
pub(super) fn help(pen: Pen<'_>) -> Vec<Line<'static>> {
    let share = pen.snapshot().map_or_else(String::new, |s| {
        format!(", {} at {}", s.phase().name(), plan::share(&s.state))
    });
    let mut lines = vec![
        pen.line(format!("Keys of a shift{share}"), Tone::Strong),
        pen.line(pen.glyphs().rule.repeat(pen.width), Tone::Faint),
    ];
    let names = |b: &Binding| b.keys.iter().copied().map(Key::name).collect::<Vec<_>>().join(" ");
    let column = BINDINGS.iter().map(|b| text::width(&names(b))).max().unwrap_or(0) + GAP;
    for binding in &BINDINGS {
        let refusal = binding.act.effect(pen.snapshot()).err();
        let (tone, words) = match refusal {
            None if binding.asks => (Tone::Plain, format!("{} (asks first)", binding.help)),
            None => (Tone::Plain, binding.help.to_owned()),
            Some(why) => (Tone::Faint, format!("{} (not now: {why})", binding.help)),
        };
        let rows = text::wrap(&words, pen.width.saturating_sub(column));
        for (row, text) in rows.into_iter().enumerate() {
            let name = if row == 0 { names(binding) } else { String::new() };
            lines.push(Line::from_iter([
                pen.span(format!("{name:column$}"), Tone::Key),
                pen.span(text, tone),
            ]));
        }
    }
    let glyphs = pen.glyphs();
    let legend = format!(
        "{} good, {} look at it, {} bad, {} too little was seen, - not known, [ ] now",
        glyphs.good, glyphs.warn, glyphs.bad, glyphs.unknown
    );
    lines.push(Line::default());
    lines.extend(text::wrap(&legend, pen.width).into_iter().map(|l| pen.line(l, Tone::Plain)));
    let close = pen.line("any key goes back", Tone::Faint);
    lines.truncate(pen.height.saturating_sub(1));
    lines.resize(pen.height.saturating_sub(1), Line::default());
    lines.push(close);
    lines
}
