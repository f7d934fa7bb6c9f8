//! `kubectl contour top`: what everything gets, and how it is, live.
//!
//! Whoever is asked tells `contour_core::top::Input`s; its board makes frames of them. Here is what
//! asks, records, and shows: as a screen, or as text for a pipe.

pub mod args;
pub mod away;
pub mod batch;
pub mod clock;
pub mod follow;
pub mod kubernetes;
pub mod objects;
pub mod readiness;
pub mod record;
pub mod replicas;
pub mod screen;
pub mod show;
pub mod source;
pub mod tape;
pub mod teller;

use std::time::Duration;

use contour_core::top::{Selection, View};
use contour_tui::top::Options;

use args::{Format, Mode, RowFlags, TopArgs};
use away::Away;
use batch::{Batch, Pace};
use record::{Recorder, Recording};
use screen::Setup;
use show::Show;
use tape::Tape;

use crate::failure::{Failure, Kind};
use crate::output::{Manner, Palette, Printer};
use crate::shift::panel::{has_terminal, theme};

/// The JSON Schema of frames and of lines of recordings.
pub const SCHEMA: &str = include_str!("../../docs/schema/top.schema.json");

/// How often something is shown if nothing else is said: on the screen, and elsewhere.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// Runs `top`.
///
/// # Errors
/// If nothing can be shown, or a signal ends it.
pub async fn run(args: TopArgs, manner: Manner) -> Result<(), Failure> {
    if args.schema {
        let mut printer = Printer::new(crate::output::Format::Text, manner.color, manner.quiet);
        // Whoever closes the output has seen enough.
        let _closed = printer.lines(SCHEMA.trim_end());
        return Ok(());
    }
    let args = args.settled();
    let mode = args.mode(has_terminal());
    let recorder = args.source.record.as_deref().map(Recorder::open).transpose()?;
    if mode == Mode::Screen {
        let setup = setup(&args, recorder, manner)?;
        let tape = match &args.source.replay {
            Some(path) => Tape::recorded(Recording::open(path)?, args.source.speed.unwrap_or(1.0)),
            None => Tape::Live(source::ask(&args).await?),
        };
        return screen::run(setup, tape).await;
    }
    let printer = Printer::new(crate::output::Format::Text, manner.color, manner.quiet);
    let show = show_of(&args, mode, printer.palette())?;
    let pace = Pace {
        interval: args.pace.interval.unwrap_or(INTERVAL.1),
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

/// What the screen is made of.
fn setup(args: &TopArgs, recorder: Option<Recorder>, manner: Manner) -> Result<Setup, Failure> {
    let view = args.view();
    let namespace = args.cluster.namespace.as_deref();
    let RowFlags { columns, faults, .. } = &args.rows;
    // Of other namespaces there are no rows at all.
    let asked = args.rows.selection(view, None)?;
    let chosen = args.rows.columns(view, Format::Table)?;
    let away = Away { source: args.source.clone(), cluster: args.cluster.clone(), manner };
    let interval = args.pace.interval.unwrap_or(INTERVAL.0).as_millis();
    let options = Options {
        location: source::place(args, namespace),
        view,
        filter: asked.filter,
        sort: asked.sort,
        columns: Some(chosen).filter(|_| !columns.is_empty()),
        wide: false,
        faults_only: *faults,
        interval_millis: u32::try_from(interval).unwrap_or(u32::MAX),
        no_shift: away.refusal(),
        size: (0, 0),
        now_unix_millis: 0,
    };
    let flags = args.screen;
    Ok(Setup {
        options,
        theme: theme(flags.theme, flags.ascii, manner.color),
        mouse: !flags.no_mouse,
        window: args.pace.window,
        show: Show {
            format: Format::Json,
            view,
            alone: false,
            selections: all_of(namespace)?,
            columns: Vec::new(),
            again: true,
            palette: Palette::new(false),
        },
        recorder,
        away,
    })
}

/// All rows of a namespace, or of all.
fn all_of(namespace: Option<&str>) -> Result<Vec<(View, Selection)>, Failure> {
    let all = RowFlags::default();
    View::ALL.into_iter().map(|view| Ok((view, all.selection(view, namespace)?))).collect()
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
    let mut selections = all_of(namespace)?;
    for (of, selection) in &mut selections {
        if *of == view {
            selection.clone_from(&asked);
        }
    }
    Ok(Show {
        format,
        view,
        alone: alone || !matches!(format, Format::Json | Format::Ndjson),
        selections,
        columns,
        again: matches!(mode, Mode::Batch(_)),
        palette,
    })
}
