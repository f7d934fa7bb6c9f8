//! Looking at shifts without touching them.

use std::time::Duration;

use contour_core::api::{IngressRoute, Timestamp};
use contour_core::name::{Kind as ObjectKind, ObjectRef};
use contour_core::observe::watch::{Heard as Reports, Watch};
use contour_core::shift::machine::{Observation, Outcome};
use contour_core::shift::state::{ANNOTATION, State};
use serde_json::{Value, json};

use super::args::{Format, ListArgs, PlaceFlags, StatusArgs};
use super::history::{self, Entry};
use super::lease::{self, Holder};
use super::session::yaml;
use super::show;
use super::start::find;
use super::target::{Found, Named, Target};
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Closed, ColorChoice, Manner, Palette, Printer};
use crate::sandbox::signals::Signals;
use crate::table::{self, Cell};

/// How often a shift is looked at that another drives.
const EVERY: Duration = Duration::from_secs(1);

fn printer() -> Printer {
    Printer::new(crate::output::Format::Text, ColorChoice::Never, false)
}

/// What is known of a shift.
struct Known {
    object: ObjectRef,
    state: State,
    holder: Option<Holder>,
    seen: Option<Observation>,
    troubles: Vec<String>,
}

async fn know(target: &Target, object: ObjectRef, found: Found) -> Result<Known, Failure> {
    let Some(text) = &found.live.annotation else {
        let message = format!("no shift is kept at {object}");
        let begin = target.command("start", &object);
        return Err(Failure::new(Kind::Shift(7), message).with_hint(format!("{begin} begins one")));
    };
    let state = State::read(text)
        .map_err(|error| Failure::new(Kind::Shift(7), format!("{object}: {error}")))?;
    let heard = target.hear(&object).await;
    let holder = holder(target, &object).await;
    let reports = Reports { reports: &heard.reports, complete: heard.troubles.is_empty() };
    let seen = Watch::new(&state).look(reports, Some(found.live), &state, target.now());
    Ok(Known { object, state, holder, seen: Some(seen), troubles: heard.troubles })
}

async fn holder(target: &Target, object: &ObjectRef) -> Option<Holder> {
    let Target::Kubernetes(kubernetes) = target else { return None };
    let lease = kubernetes.cluster().find(&lease::path(object)).await.ok()??;
    let holder = Holder::of(&lease);
    holder.is_held(kubernetes.now()).then_some(holder)
}

impl Known {
    /// Whether the weights are those of the shift.
    fn drifted(&self) -> bool {
        let live = self.seen.as_ref().and_then(|seen| seen.live.as_ref());
        live.is_some_and(|live| !self.state.agrees(&live.weights))
    }

    fn text(&self) -> String {
        let mut text =
            show::text(&self.object, &self.state, self.holder.as_ref(), self.seen.as_ref());
        if self.drifted() {
            let live = self.seen.as_ref().and_then(|seen| seen.live.as_ref());
            for weights in live.iter().flat_map(|live| &live.weights) {
                let (place, weights) = (weights.place(), weights.words());
                let drift = format!("Drift:     {place} has {weights}\n");
                text.push_str(&drift);
            }
        }
        text
    }

    fn json(&self) -> Value {
        let mut value =
            show::json(&self.object, &self.state, self.holder.as_ref(), self.seen.as_ref());
        if let Some(fields) = value.as_object_mut() {
            fields.insert("drifted".to_owned(), self.drifted().into());
        }
        value
    }
}

/// `shift status`.
///
/// # Errors
/// If there is no shift, or its weights are not as they should be.
pub async fn status(args: &StatusArgs, place: &PlaceFlags, _manner: Manner) -> Result<(), Failure> {
    let named = Named::parse(&args.target)?;
    let target = super::target(place, &args.cluster).await?;
    let (object, found) = find(&target, &named.name).await?;
    let known = know(&target, object, found).await?;
    for trouble in &known.troubles {
        write_stderr(&format!("warning: {trouble}\n"));
    }
    let text = match args.output {
        Format::Text => known.text(),
        Format::Json => serde_json::to_string_pretty(&known.json())?,
        Format::Ndjson => known.json().to_string(),
        Format::Yaml => yaml(&known.json())?,
    };
    let _closed = printer().lines(text.trim_end());
    if known.drifted() && !known.state.progress.phase.is_over() {
        let failure = Failure::new(Kind::Shift(8), "the weights are not those of the shift");
        return Err(failure.with_hint("somebody else has changed them; nothing was overwritten"));
    }
    Ok(())
}

/// `shift watch`.
///
/// # Errors
/// How the shift ended, if not well.
pub async fn watch(args: &StatusArgs, place: &PlaceFlags, _manner: Manner) -> Result<(), Failure> {
    let named = Named::parse(&args.target)?;
    let target = super::target(place, &args.cluster).await?;
    let (object, found) = find(&target, &named.name).await?;
    let mut known = know(&target, object.clone(), found).await?;
    let mut signals = Signals::listen()?;
    let mut last = String::new();
    loop {
        let line = match args.output {
            Format::Text => line(&known.state, known.drifted()),
            Format::Json | Format::Yaml | Format::Ndjson => known.json().to_string(),
        };
        if line != last {
            if printer().lines(&line) == Err(Closed) {
                return Ok(());
            }
            last = line;
        }
        if known.state.progress.phase.is_over() {
            return ended(&known.state);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            why = signals.next() => return Err(Failure::new(Kind::Interrupted, why)),
        }
        match target.read(&object).await {
            Ok(Some(found)) => known = know(&target, object.clone(), found).await?,
            Ok(None) => return Err(Failure::new(Kind::Shift(8), format!("{object} was deleted"))),
            Err(failure) => write_stderr(&format!("warning: {}\n", failure.message)),
        }
    }
}

fn line(state: &State, drifted: bool) -> String {
    let why = show::why(&state.progress.phase).map_or_else(String::new, |why| format!(" ({why})"));
    let drift = if drifted { "; the weights are not those of the shift" } else { "" };
    let (phase, share) = (state.progress.phase.name(), show::share(state));
    format!("{} {phase} at {share}{why}{drift}", state.progress.since)
}

fn ended(state: &State) -> Result<(), Failure> {
    match Outcome::of(state).map_or(0, |outcome| outcome.code()) {
        0 => Ok(()),
        code => Err(Failure::silent(Kind::Shift(code))),
    }
}

/// `shift history`.
///
/// # Errors
/// If it cannot be read.
pub async fn history(
    args: &StatusArgs,
    place: &PlaceFlags,
    _manner: Manner,
) -> Result<(), Failure> {
    let named = Named::parse(&args.target)?;
    let target = super::target(place, &args.cluster).await?;
    let (object, _found) = find(&target, &named.name).await?;
    let Target::Kubernetes(kubernetes) = &target else {
        return Err(Failure::new(Kind::Usage, "files have no history of shifts")
            .with_hint("that of their repository has one"));
    };
    let lease = kubernetes.cluster().find(&lease::path(&object)).await;
    let lease = lease.map_err(|trouble| trouble.failure("cannot read the lease"))?;
    let entries = history::read(&lease.unwrap_or(Value::Null));
    let text = match args.output {
        Format::Text if entries.is_empty() => {
            write_stderr(&format!("no shift of {object} has ended yet\n"));
            return Ok(());
        }
        Format::Text => entry_table(&entries),
        Format::Json => serde_json::to_string_pretty(&entries)?,
        Format::Ndjson => {
            let lines: Result<Vec<_>, _> = entries.iter().map(serde_json::to_string).collect();
            lines?.join("\n")
        }
        Format::Yaml => yaml(&json!(entries))?,
    };
    let _closed = printer().lines(text.trim_end());
    Ok(())
}

fn entry_table(entries: &[Entry]) -> String {
    let head = ["ENDED", "FROM", "TO", "STEPS", "SHARE", "CODE", "OUTCOME", "OPERATOR", "REASON"];
    let rows = entries.iter().map(|entry| {
        let cells = [
            Timestamp::from_unix(entry.ended_unix).to_string(),
            entry.from.clone(),
            entry.to.clone(),
            entry.steps.clone(),
            entry.share.clone(),
            entry.exit_code.to_string(),
            entry.outcome.to_string(),
            entry.operator.to_string(),
            entry.reason.to_string(),
        ];
        cells.map(Cell::from).to_vec()
    });
    table::render(&head, &rows.collect::<Vec<_>>(), Palette::new(false))
}

/// `shift list`.
///
/// # Errors
/// If they cannot be listed.
pub async fn list(args: &ListArgs, place: &PlaceFlags, _manner: Manner) -> Result<(), Failure> {
    let target = super::target(place, &args.cluster).await?;
    let routes = match &target {
        Target::Kubernetes(kubernetes) => kubernetes.routes(args.all_namespaces).await?,
        Target::Files(_) => target.routes().await?,
    };
    let now = target.now();
    let shifts: Vec<_> = routes.iter().filter_map(shift_of).collect();
    let all: Vec<_> = shifts.iter().map(|(o, s)| show::json(o, s, None, None)).collect();
    let text = match args.output {
        Format::Text if shifts.is_empty() => {
            write_stderr("no shift is kept here; -A looks in all namespaces\n");
            return Ok(());
        }
        Format::Text => {
            let head = ["NAMESPACE", "NAME", "FROM", "TO", "PHASE", "SHARE", "AGE", "OPERATOR"];
            let rows = shifts.iter().map(|(object, state)| row(object, state, now));
            table::render(&head, &rows.collect::<Vec<_>>(), Palette::new(false))
        }
        Format::Json => serde_json::to_string_pretty(&all)?,
        Format::Yaml => yaml(&json!(all))?,
        Format::Ndjson => all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
    };
    let _closed = printer().lines(text.trim_end());
    Ok(())
}

fn shift_of(route: &IngressRoute) -> Option<(ObjectRef, State)> {
    let text = route.metadata.annotations.get(ANNOTATION)?;
    let name = route.metadata.object_name();
    let object = ObjectRef::new(ObjectKind::IngressRoute, name.namespace, name.name);
    Some((object, State::read(text).ok()?))
}

fn row(object: &ObjectRef, state: &State, now: Timestamp) -> Vec<Cell> {
    let (from, to) =
        state.ends().map(|(from, to)| (from.to_string(), to.to_string())).unwrap_or_default();
    let cells = [
        object.name.namespace.to_string(),
        object.name.name.to_string(),
        from,
        to,
        state.progress.phase.name().to_owned(),
        show::share(state),
        show::ago(state.progress.since, now),
        state.progress.holder.to_string(),
    ];
    cells.map(Cell::from).to_vec()
}
