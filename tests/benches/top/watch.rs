//! Watches a simulated feed for a minute, as fast as it goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use contour_core::observe::feed::Increment;
use contour_core::top::{Board, Filter, Input, View};
use contour_tui::key::Key;
use contour_tui::theme::Theme;
use contour_tui::top::{Event, Model, Options, update, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::feed::{Feed, START};
use super::process;
use super::table::{Row, percentiles};

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
pub(crate) const NAMES: [&str; 8] = [
    "first line, kB",
    "later lines, kB/s",
    "taking a line, ms",
    "making a frame, ms",
    "ordering and painting it, ms",
    "key to paint, ms (p50 / p99)",
    "CPU, % of a core",
    "memory, MB",
];

/// The terminal.
const SIZE: (u16, u16) = (200, 60);

/// Keys pressed in each second.
const KEYS: usize = 10;

/// Watches a world.
pub(crate) fn run(world: World) -> Result<Vec<Row>> {
    let mut feed = Feed::new(world);
    let mut board = Board::new(Duration::from_secs(10));
    let mut screen = Screen::open()?;
    let mut sizes = Vec::new();
    let (mut taking, mut framing, mut painting) = (Vec::new(), Vec::new(), Vec::new());
    let mut keys = Vec::new();
    let mut busy = 0.0;
    let pid = std::process::id();
    for second in 0..=SECONDS {
        let line = feed.line()?;
        sizes.push(line.len());
        let now = START + second * 1_000;
        let cpu = process::cpu_ms(pid);
        let begun = Instant::now();
        let increment: Increment = serde_json::from_str(&line)?;
        board.take(Input::Increment("contour-1".into(), Box::new(increment)), now);
        taking.push(begun.elapsed());
        let begun = Instant::now();
        let frame = Arc::new(board.frame(now));
        framing.push(begun.elapsed());
        let begun = Instant::now();
        screen.hear(Event::Tick(now))?;
        screen.hear(Event::Frame(frame))?;
        painting.push(begun.elapsed());
        if second > 0 {
            busy += process::cpu_ms(pid) - cpu;
        }
        for _ in 0..KEYS {
            let begun = Instant::now();
            screen.hear(Event::Key(Key::Down))?;
            keys.push(begun.elapsed());
        }
    }
    anyhow::ensure!(screen.shows("shop-"), "no route is shown");
    let mean = |times: &[Duration]| {
        let later = times.get(1..).unwrap_or_default();
        let sum: f64 = later.iter().map(Duration::as_secs_f64).sum();
        format!("{:.1}", sum * 1e3 / later.len() as f64)
    };
    let first = sizes.first().copied().unwrap_or_default();
    let later = sizes.iter().skip(1).sum::<usize>() as f64 / SECONDS as f64;
    let values = [
        format!("{:.0}", first as f64 / 1e3),
        format!("{:.0}", later / 1e3),
        mean(&taking),
        mean(&framing),
        mean(&painting),
        percentiles(&mut keys),
        format!("{:.1}", busy / (SECONDS as f64 * 10.0)),
        format!("{:.0}", process::rss_mb(pid)),
    ];
    Ok(NAMES.iter().zip(values).map(|(name, value)| Row::new(name, value)).collect())
}

/// The screen of somebody who looks at the routes with failures, the busiest first.
struct Screen {
    model: Model,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn open() -> Result<Self> {
        let options = Options {
            location: "simulated".to_owned(),
            filter: Filter::parse("5xx>=0", View::Routes)?,
            sort: View::Routes.column("rps").map(|column| (column, true)),
            interval_millis: 1_000,
            size: SIZE,
            now_unix_millis: START,
            ..Options::default()
        };
        let terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1))?;
        Ok(Self { model: Model::new(options), terminal })
    }

    fn hear(&mut self, event: Event) -> Result<()> {
        let (model, _effects) = update(self.model.clone(), event);
        self.model = model;
        let model = &self.model;
        self.terminal.draw(|frame| view(model, Theme::default(), frame))?;
        Ok(())
    }

    fn shows(&self, text: &str) -> bool {
        let cells = &self.terminal.backend().buffer().content;
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().contains(text)
    }
}
