//! `kubectl contour top`: what everything gets, and how it is, live.
//!
//! Whoever is asked tells `contour_core::top::Input`s; its board makes frames of them. Here is what
//! asks, records, and shows: as a screen, or as text for a pipe.

pub mod args;
pub mod batch;
pub mod follow;
pub mod kubernetes;
pub mod objects;
pub mod readiness;
pub mod record;
pub mod replicas;
pub mod show;
pub mod source;
pub mod teller;

use contour_core::top::View;

use args::{Format, Mode, TopArgs};
use batch::{Batch, Pace};
use record::{Recorder, Recording};
use show::Show;

use crate::failure::{Failure, Kind};
use crate::output::{Manner, Palette, Printer};
use crate::shift::panel::has_terminal;

/// Runs `top`.
///
/// # Errors
/// If nothing can be shown, or a signal ends it.
pub async fn run(args: TopArgs, manner: Manner) -> Result<(), Failure> {
    args.check()?;
    let mode = args.mode(has_terminal());
    let printer = Printer::new(crate::output::Format::Text, manner.color, manner.quiet);
    let show = show_of(&args, mode, printer.palette())?;
    let recorder = args.source.record.as_deref().map(Recorder::open).transpose()?;
    let pace = Pace {
        interval: args.pace.interval,
        window: args.pace.window,
        count: match mode {
            Mode::Batch(count) => count,
            Mode::Once | Mode::Screen => None,
        },
        once: mode == Mode::Once,
    };
    let batch = Batch::new(show, printer, pace, recorder);
    let faulty = if let Some(path) = &args.source.replay {
        batch.replay(Recording::open(path)?, args.source.speed).await?
    } else {
        let mut asked = source::ask(&args).await?;
        let fallback = asked.fallback;
        batch.live(&mut asked.inputs, fallback).await?
    };
    if args.exit_code && faulty {
        return Err(Failure::new(Kind::Findings, "something that is shown is faulty")
            .with_hint("--faults shows nothing else"));
    }
    Ok(())
}

/// What is shown of frames, and how.
fn show_of(args: &TopArgs, mode: Mode, palette: Palette) -> Result<Show, Failure> {
    let (view, format) = (args.view(), args.output.unwrap_or_default());
    let rows = &args.rows;
    let namespace = args.cluster.namespace.as_deref();
    let asked = rows.selection(view, namespace)?;
    let columns = rows.columns(view, format)?;
    // Whoever says what rows are wanted means those of one view.
    let alone =
        args.view.is_some() || rows.filter.is_some() || rows.faults || rows.sort_by.is_some();
    let selections = View::ALL.into_iter().map(|of| {
        if of == view {
            return Ok((of, asked.clone()));
        }
        Ok((of, args::RowFlags::default().selection(of, namespace)?))
    });
    Ok(Show {
        format,
        view,
        alone: alone || !matches!(format, Format::Json | Format::Ndjson),
        selections: selections.collect::<Result<_, Failure>>()?,
        columns,
        again: matches!(mode, Mode::Batch(_)),
        palette,
    })
}
