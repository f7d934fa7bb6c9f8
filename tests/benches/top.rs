//! What `kubectl contour top` costs whoever watches, at different numbers of routes: `make bench`.
//!
//! A feed is simulated as controllers send it: each second a part of all routes has new counts,
//! every 5 s their latencies change, and one endpoint of a hundred is asked about. What is measured
//! is the CPU time of taking an increment as a line of JSON, of making a frame, and of painting it;
//! the time from a key to its paint; and the memory. Each size runs in a process of its own.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is this program's data, its progress words"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "averages of small counts"
)]

#[path = "cost/process.rs"]
mod process;
#[path = "cost/table.rs"]
mod table;
#[path = "top/feed.rs"]
mod feed;
#[path = "top/watch.rs"]
mod watch;

use anyhow::{Context as _, Result, bail};

use crate::table::{Column, Row};
use crate::watch::World;

/// Routes, Envoys, and the share of routes with traffic in percent.
const WORLDS: [World; 4] = [
    World { routes: 1_000, envoys: 20, active: 100 },
    World { routes: 2_000, envoys: 20, active: 100 },
    World { routes: 10_000, envoys: 20, active: 1 },
    World { routes: 10_000, envoys: 20, active: 100 },
];

/// Tells the child what to watch.
const ARGUMENT: &str = "--watch";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some(ARGUMENT) {
        let number = |index: usize| -> Result<u32> {
            Ok(arguments.get(index).context("a number is missing")?.parse()?)
        };
        let world = World { routes: number(2)?, envoys: number(3)?, active: number(4)? };
        for Row { name, value } in watch::run(world)? {
            println!("{name}\t{value}");
        }
        return Ok(());
    }
    let columns = WORLDS.iter().map(column).collect::<Result<Vec<_>>>()?;
    table::print(&columns);
    Ok(())
}

fn column(world: &World) -> Result<Column> {
    let title = format!("{} routes, {}% active", world.routes, world.active);
    eprintln!("top: {title}");
    let numbers = [world.routes, world.envoys, world.active].map(|n| n.to_string());
    let output = std::process::Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .args(numbers)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{title}: {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    let rows = rows.map(|(name, value)| {
        Row::new(watch::NAMES.iter().find(|n| **n == name).copied().unwrap_or("?"), value)
    });
    Ok(Column { title, rows: rows.collect() })
}
