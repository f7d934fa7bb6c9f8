//! Between which services traffic moves: as written, as Envoys have it, as it was observed.

use contour_core::shift::gate::Health;
use contour_core::shift::machine::{Fleet, Observation};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Phase, Share, State};
use contour_core::shift::weights::{Lever, Place, Service, Weights, Written};
use ratatui::text::Line;

use super::Pen;
use super::phase::fleet_has;
use super::table::{self, Cell, Column};
use crate::shift::model::{Snapshot, share};
use crate::text;
use crate::theme::Tone;

/// What is not known.
const NONE: &str = "-";
/// Bars of shares are at most so wide.
const BAR: usize = 60;

/// In how many Envoys the weights are, and who is awaited.
pub(super) fn fleet(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let seen = snapshot.observation.as_ref();
    let label = if pen.roomy { "" } else { "Envoys " };
    let Some(fleet) = seen.and_then(|seen| seen.fleet.as_ref()) else {
        return pen.words("Envoys", &format!("{label}{NONE}"), Tone::Plain);
    };
    let Fleet { connected, acknowledged, waiting, .. } = fleet;
    let current = seen.and_then(|s| s.live.as_ref()).map(|live| live.generation);
    let (words, tone) = if *connected == 0 {
        ("0/0: none is connected".to_owned(), Tone::Bad)
    } else if fleet_has(seen) {
        (format!("{acknowledged}/{connected} have the weights"), Tone::Good)
    } else if current.is_some_and(|current| fleet.generation < current) {
        let words = format!("{NONE}/{connected}: the controller has not seen the weights yet");
        (words, Tone::Warn)
    } else if waiting.is_empty() {
        (format!("{acknowledged}/{connected} have the weights"), Tone::Warn)
    } else {
        let names: Vec<String> =
            waiting.iter().map(|name| pen.shorten(&text::one_line(name.as_str()), 40)).collect();
        (format!("{acknowledged}/{connected}, waiting: {}", names.join(", ")), Tone::Warn)
    };
    let mark = pen.mark(tone);
    pen.words("Envoys", &format!("{mark} {label}{words}"), pen.seen(tone))
}

/// The two services: their shares as written and as observed, and their health.
pub(super) fn sides(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let (state, seen) = (&snapshot.state, snapshot.observation.as_ref());
    let name = |service: &Service| {
        // Names differ more than ports do.
        if pen.roomy { service.to_string() } else { service.name.to_string() }
    };
    let ends = state.ends().map(|(from, to)| [name(from), name(to)]);
    let names = ends.unwrap_or_else(|| [NONE.to_owned(), NONE.to_owned()]);
    let shares = written(state);
    let observed = observed(seen);
    let old = pen.seen(Tone::Plain);
    let words =
        |value: Option<String>, tone| Cell::Text(value.unwrap_or_else(|| NONE.to_owned()), tone);
    let percent = |value: Option<Percent>, tone| words(value.map(|p| p.to_string()), tone);
    let bar = |value: Option<Percent>| Cell::Bar(value.map(Percent::as_hundredths), Tone::Plain);
    let mut columns = vec![
        Column::rigid(
            "",
            0,
            ["from", "to"].map(|side| words(Some(side.to_owned()), Tone::Faint)).into(),
        ),
        Column {
            heading: "SERVICE",
            cells: names.map(|name| Cell::Text(text::one_line(&name), Tone::Strong)).into(),
            least: 8,
            most: 60,
            rank: 0,
        },
        Column::rigid("SHARE", 0, shares.map(|s| percent(s, Tone::Plain)).into()),
        Column { heading: "", cells: shares.map(bar).into(), least: 6, most: BAR, rank: 6 },
        Column::rigid(
            if pen.roomy { "OBSERVED" } else { "SEEN" },
            1,
            observed.map(|(s, _)| percent(s, old)).into(),
        ),
        Column::rigid(
            "REQUESTS",
            4,
            observed.map(|(_, count)| words(count.map(|c| c.to_string()), old)).into(),
        ),
        Column::rigid("HEALTHY", 2, health(seen).map(|h| healthy(pen, h)).into()),
    ];
    let active = seen.and_then(|seen| seen.active);
    if active.is_some() || *snapshot.phase() == Phase::Draining {
        let count = words(active.map(|a| a.to_string()), old);
        columns.push(Column::rigid("ACTIVE", 3, vec![count, words(None, old)]));
    }
    table::lines(columns, pen)
}

/// The shares of both sides; of the baseline only if it is the same everywhere.
fn written(state: &State) -> [Option<Percent>; 2] {
    let to = match state.progress.share {
        Share::At(percent) => Some(percent),
        Share::Baseline => {
            let mut levers = state.charter.places.iter();
            let of = |lever: &Lever| share(lever.to_before().into(), lever.mass().into());
            let first = levers.next().and_then(of);
            first.filter(|first| levers.all(|lever| of(lever) == Some(*first)))
        }
    };
    [to.map(Percent::rest), to]
}

/// The shares of both sides as observed, and of how many requests.
fn observed(seen: Option<&Observation>) -> [(Option<Percent>, Option<u64>); 2] {
    let Some(split) = seen.and_then(|seen| seen.split) else { return [(None, None); 2] };
    let whole = split.from.saturating_add(split.to);
    [split.from, split.to].map(|count| (share(count, whole), Some(count)))
}

fn health(seen: Option<&Observation>) -> [Option<Health>; 2] {
    seen.map_or([None; 2], |seen| [seen.from, seen.to])
}

fn healthy(pen: Pen<'_>, health: Option<Health>) -> Cell {
    let Some(Health { healthy, ejected }) = health else {
        return Cell::Text(NONE.to_owned(), pen.seen(Tone::Plain));
    };
    let tone = match (healthy, ejected) {
        (0, _) => Tone::Bad,
        (_, 0) => Tone::Good,
        (_, _) => Tone::Warn,
    };
    let out =
        if ejected == 0 || !pen.roomy { String::new() } else { format!(", {ejected} ejected") };
    Cell::Text(format!("{} {healthy}{out}", pen.mark(tone)), pen.seen(tone))
}

/// Every place with its weights as written, and as they are where that is not the same.
pub(super) fn places(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let ends = snapshot.state.ends();
    let live = snapshot.observation.as_ref().and_then(|seen| seen.live.as_ref());
    let (mut names, mut parts, mut drifts) = (Vec::new(), Vec::new(), Vec::new());
    for own in snapshot.state.weights() {
        let found = live.map(|live| live.weights.iter().find(|w| w.place() == own.place()));
        let drift = match found {
            None => None,
            Some(Some(found)) if found.agrees(&own) => None,
            Some(Some(found)) => Some(in_words(found, ends)),
            Some(None) => Some("gone".to_owned()),
        };
        let drift = drift.map_or_else(String::new, |d| format!("{} live: {d}", pen.glyphs().warn));
        drifts.push(Cell::Text(drift, pen.seen(Tone::Warn)));
        parts.push(Cell::Text(in_words(&own, ends), Tone::Plain));
        let name = match own.place() {
            Place::Route(prefix) => text::one_line(prefix),
            Place::Tcp => own.place().to_string(),
        };
        names.push(Cell::Text(name, Tone::Strong));
    }
    let column = |cells| Column { heading: "", cells, least: 6, most: 100, rank: 0 };
    let mut columns = vec![column(names), column(parts)];
    if drifts.iter().any(|cell| !matches!(cell, Cell::Text(text, _) if text.is_empty())) {
        columns.push(column(drifts));
    }
    table::lines(columns, pen)
}

/// `from 75, to 25, shop-old:80 10`: the weights as written.
fn in_words(weights: &Weights, ends: Option<(&Service, &Service)>) -> String {
    let one = |Written(service, weight): &Written| {
        let name = match ends {
            Some((from, _)) if from == service => "from".to_owned(),
            Some((_, to)) if to == service => "to".to_owned(),
            Some(_) | None => service.to_string(),
        };
        weight.map_or_else(|| format!("{name} unset"), |weight| format!("{name} {weight}"))
    };
    let all: Vec<String> = weights.services().iter().map(one).collect();
    text::one_line(&all.join(", "))
}
