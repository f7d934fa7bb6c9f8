//! Between which services traffic moves: as written, as Envoys have it, as it was observed.

use contour_core::shift::gate::Health;
use contour_core::shift::machine::{Fleet, Observation};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Phase, Share, State};
use contour_core::shift::weights::{Weights, Written};
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
    let ends = state.ends().map(|(from, to)| [from.to_string(), to.to_string()]);
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
        Column::rigid("OBSERVED", 1, observed.map(|(s, _)| percent(s, old)).into()),
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
            let of = |lever: &contour_core::shift::weights::Lever| {
                share(lever.to_before().into(), lever.mass().into())
            };
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
    let out = if ejected == 0 { String::new() } else { format!(", {ejected} ejected") };
    Cell::Text(format!("{} {healthy}{out}", pen.mark(tone)), pen.seen(tone))
}

/// Every place with its weights as written, and as they are where that is not the same.
pub(super) fn places(pen: Pen<'_>, snapshot: &Snapshot) -> Vec<Line<'static>> {
    let weights = snapshot.state.weights();
    let live = snapshot.observation.as_ref().and_then(|seen| seen.live.as_ref());
    let column = |heading, cells, rank| Column { heading, cells, least: 6, most: 100, rank };
    let place = |weights: &Weights| text::one_line(&weights.place().to_string());
    let names = weights.iter().map(|w| Cell::Text(place(w), Tone::Plain)).collect();
    let texts = weights.iter().map(|w| Cell::Text(in_words(w), Tone::Plain)).collect();
    let mut columns = vec![column("", names, 0), column("", texts, 0)];
    if let Some(live) = live {
        let drift = |own: &Weights| {
            let found = live.weights.iter().find(|weights| weights.place() == own.place());
            let words = match found {
                Some(found) if found.agrees(own) => return None,
                Some(found) => format!("live: {}", in_words(found)),
                None => "live: gone".to_owned(),
            };
            Some(format!("{} {words}", pen.glyphs().warn))
        };
        let drifts: Vec<Option<String>> = weights.iter().map(drift).collect();
        if drifts.iter().any(Option::is_some) {
            let cells = drifts
                .into_iter()
                .map(|words| Cell::Text(words.unwrap_or_default(), pen.seen(Tone::Warn)));
            columns.push(column("", cells.collect(), 0));
        }
    }
    table::lines(columns, pen)
}

/// `shop-blue:80 75, shop-green:80 25`.
fn in_words(weights: &Weights) -> String {
    let one = |Written(service, weight): &Written| match weight {
        None => format!("{service} unset"),
        Some(weight) => format!("{service} {weight}"),
    };
    let all: Vec<String> = weights.services().iter().map(one).collect();
    text::one_line(&all.join(", "))
}
