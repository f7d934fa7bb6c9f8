//! What must hold of the side that traffic moves to, and whether it does.

use std::time::Duration;

use contour_core::shift::gate::{Finding, Gate, Verdict};
use contour_core::shift::percent::Percent;
use ratatui::text::Line;

use super::Pen;
use super::table::{self, Cell, Column};
use crate::shift::model::{Judged, Snapshot};
use crate::text;
use crate::theme::Tone;

/// So many windows are shown at most.
const TRAIL: usize = 60;

/// The worst verdict on one line, and where it comes from.
pub(super) fn brief(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    if snapshot.state.charter.policy.gates.is_empty() {
        return vec![pen.line("gates none: time alone decides", Tone::Plain)];
    }
    let findings = snapshot.windows.last().map_or(&[][..], |judged| &judged.findings);
    let Some(worst) = findings.iter().map(|finding| finding.verdict).max() else {
        return vec![pen.line("gates -", Tone::Plain)];
    };
    let words = findings.iter().filter(|finding| finding.verdict == worst);
    let words: Vec<&str> = words.map(|finding| finding.words.as_str()).collect();
    let (glyph, tone) = look(pen, worst);
    let line = text::one_line(&format!("{glyph} gates {worst}: {}", words.join("; ")));
    vec![pen.line(pen.clip(&line, pen.width), pen.seen(tone))]
}

/// A row for each gate: the value against the threshold, the verdict, and those of the windows
/// before it.
pub(super) fn lines(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let gates = &snapshot.state.charter.policy.gates;
    let windows = &snapshot.windows;
    let last = windows.last().map_or(&[][..], |judged| &judged.findings);
    let each = last.len() == gates.len();
    let mut rows = Vec::new();
    // One finding for all of them is about none.
    for finding in last.iter().filter(|_| !each) {
        rows.push((finding.words.clone(), Some(finding.verdict), Vec::new()));
    }
    for (index, gate) in gates.iter().enumerate() {
        let finding = last.get(index).filter(|_| each);
        let trail = trail(pen, windows, *gate, index, gates.len());
        rows.push((words(*gate, finding), finding.map(|f| f.verdict), trail));
    }
    if gates.is_empty() {
        rows.push(("none: time alone decides".to_owned(), None, Vec::new()));
    }
    if !gates.iter().any(|gate| matches!(gate, Gate::SuccessRate(_)))
        && windows.iter().any(|judged| judged.success.is_some())
    {
        let rate = windows.last().and_then(|judged| judged.success);
        let rate = rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
        rows.push((format!("success rate {rate}, no gate"), None, spark(pen, windows, |_| None)));
    }
    let cells = rows.iter().map(|(words, ..)| Cell::Text(text::one_line(words), Tone::Plain));
    let verdicts = rows.iter().map(|(_, verdict, _)| verdict_cell(pen, *verdict));
    let columns = vec![
        Column::rigid("VERDICT", 0, verdicts.collect()),
        Column { heading: "GATE", cells: cells.collect(), least: 12, most: 100, rank: 0 },
        Column {
            heading: "LAST WINDOWS",
            cells: rows.iter().map(|(.., trail)| Cell::Trail(trail.clone())).collect(),
            least: 12,
            most: TRAIL,
            rank: 1,
        },
    ];
    table::lines(columns, pen)
}

/// What a gate demands, and what was found where that does not say it.
fn words(gate: Gate, finding: Option<&Finding>) -> String {
    match finding {
        None => demand(gate),
        Some(Finding { verdict: Verdict::Pass | Verdict::Fail, words }) => words.clone(),
        Some(Finding { verdict: Verdict::Inconclusive | Verdict::Error, words }) => {
            format!("{}: {words}", demand(gate))
        }
    }
}

fn demand(gate: Gate) -> String {
    match gate {
        Gate::SuccessRate(min) => format!("success rate >= {min}"),
        Gate::Latency(quantile, limit) => {
            format!("{quantile} < {:?}", Duration::from_millis(limit.into()))
        }
        Gate::ErrorRateDelta(max) => format!("error rate: difference < {max}"),
        Gate::P99Ratio(limit) => format!("p99 < {}.{:02} times that", limit / 100, limit % 100),
        Gate::Masked(max) => format!("failures hidden by retries < {max}"),
    }
}

fn verdict_cell(pen: Pen<'_>, verdict: Option<Verdict>) -> Cell {
    let Some(verdict) = verdict else { return Cell::Text("-".to_owned(), Tone::Faint) };
    let (glyph, tone) = look(pen, verdict);
    Cell::Text(format!("{glyph} {verdict}"), pen.seen(tone))
}

fn look(pen: Pen<'_>, verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Pass => (pen.glyphs().good, Tone::Good),
        Verdict::Inconclusive => (pen.glyphs().unknown, Tone::Warn),
        Verdict::Error => (pen.glyphs().warn, Tone::Warn),
        Verdict::Fail => (pen.glyphs().bad, Tone::Bad),
    }
}

/// A gate's verdicts over time, of a success rate its height.
fn trail(
    pen: Pen<'_>,
    windows: &[Judged],
    gate: Gate,
    index: usize,
    gates: usize,
) -> Vec<(&'static str, Tone)> {
    let verdict = |judged: &Judged| {
        let at = if judged.findings.len() == gates { index } else { 0 };
        judged.findings.get(at).map(|finding| finding.verdict)
    };
    if let Gate::SuccessRate(_) = gate {
        return spark(pen, windows, verdict);
    }
    let glyph = |judged| {
        let (glyph, tone) = verdict(judged).map_or(("-", Tone::Faint), |v| look(pen, v));
        (glyph, pen.seen(tone))
    };
    windows.iter().map(glyph).collect()
}

/// Success rates between the lowest shown and 100 %: the lowest is never more than 99 %, so that
/// what is a hundredth off does not look like a fall.
fn spark(
    pen: Pen<'_>,
    windows: &[Judged],
    verdict: impl Fn(&Judged) -> Option<Verdict>,
) -> Vec<(&'static str, Tone)> {
    let windows = windows.get(windows.len().saturating_sub(TRAIL)..).unwrap_or_default();
    let floor = windows.iter().filter_map(|judged| judged.success).min();
    let floor = floor.map_or(9_900, |lowest| lowest.as_hundredths().min(9_900));
    let levels = pen.glyphs().levels;
    let top = levels.len().saturating_sub(1);
    let glyph = |rate: Percent| {
        let above = usize::from(rate.as_hundredths().saturating_sub(floor));
        let whole = usize::from(Percent::ALL.as_hundredths() - floor).max(1);
        levels.get(above * top / whole).copied().unwrap_or("-")
    };
    let one = |judged: &Judged| {
        let tone = verdict(judged).map_or(Tone::Plain, |verdict| look(pen, verdict).1);
        judged.success.map_or(("-", Tone::Faint), |rate| (glyph(rate), pen.seen(tone)))
    };
    windows.iter().map(one).collect()
}
