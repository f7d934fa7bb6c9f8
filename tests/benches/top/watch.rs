//! Watches a simulated feed for a minute, as fast as it goes.

use std::time::{Duration, Instant};

use anyhow::Result;
use contour_core::observe::feed::Increment;
use contour_core::top::{Board, Filter, Input, Selection, View, select};

use super::feed::{Feed, START};
use super::process;
use super::table::Row;

/// Seconds that are watched.
const SECONDS: u64 = 60;

/// What is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) routes: u32,
    pub(crate) envoys: u32,
    /// In percent.
    pub(crate) active: u32,
}

/// What is measured, in the order of the table.
pub(crate) const NAMES: [&str; 7] = [
    "first line, kB",
    "later lines, kB/s",
    "taking a line, ms",
    "making a frame, ms",
    "filter and order, ms",
    "CPU, % of a core",
    "memory, MB",
];

/// Watches a world.
pub(crate) fn run(world: World) -> Result<Vec<Row>> {
    let mut feed = Feed::new(world);
    let mut board = Board::new(Duration::from_secs(10));
    let mut sizes = Vec::new();
    let (mut taking, mut framing, mut selecting) = (Vec::new(), Vec::new(), Vec::new());
    let mut selection = Selection::default();
    selection.filter = Filter::parse("5xx>0", View::Routes)?;
    selection.sort = View::Routes.column("rps").map(|column| (column, true));
    let mut shown = 0;
    for second in 0..=SECONDS {
        let line = feed.line()?;
        sizes.push(line.len());
        let now = START + second * 1_000;
        let begun = Instant::now();
        let increment: Increment = serde_json::from_str(&line)?;
        board.take(Input::Increment("contour-1".into(), Box::new(increment)), now);
        taking.push(begun.elapsed());
        let begun = Instant::now();
        let frame = board.frame(now);
        framing.push(begun.elapsed());
        let begun = Instant::now();
        shown = select(&frame, View::Routes, &selection).len();
        selecting.push(begun.elapsed());
    }
    anyhow::ensure!(shown > 0, "no route answers with 5xx");
    let mean = |times: &[Duration]| {
        let later = times.get(1..).unwrap_or_default();
        later.iter().map(Duration::as_secs_f64).sum::<f64>() * 1e3 / later.len() as f64
    };
    let first = sizes.first().copied().unwrap_or_default();
    let later = sizes.iter().skip(1).sum::<usize>() as f64 / SECONDS as f64;
    let [take, frame, order] = [&taking, &framing, &selecting].map(|times| mean(times));
    let busy = (take + frame + order) / 10.0;
    let values = [
        format!("{:.0}", first as f64 / 1e3),
        format!("{:.0}", later / 1e3),
        format!("{take:.1}"),
        format!("{frame:.1}"),
        format!("{order:.1}"),
        format!("{busy:.1}"),
        format!("{:.0}", process::rss_mb(std::process::id())),
    ];
    Ok(NAMES.iter().zip(values).map(|(name, value)| Row::new(name, value)).collect())
}
