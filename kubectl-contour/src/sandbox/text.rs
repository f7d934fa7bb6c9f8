//! What the sandbox tells, in words.

use std::fmt::Write as _;
use std::time::Duration;

use contour_core::diagnostic::{self, Diagnostic, Severity};
use serde_json::Value;

use super::change::Field;
use super::event::{Applied, ChangedObject, Event, Started};
use super::load::{Report, count};
use crate::duration;
use crate::output::Palette;

/// How many fields of one object are shown.
const FIELDS: usize = 8;

/// How many objects of one change are shown.
const OBJECTS: usize = 10;

/// How many characters of a value are shown.
const VALUE: usize = 60;

/// Puts events into words.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The colours.
    pub palette: Palette,
    /// Whether only what matters is said.
    pub quiet: bool,
}

/// What to write for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Lines that stay.
    Stays(String),
    /// A line that the next one may replace.
    Passes(String),
    /// Nothing.
    Nothing,
}

impl Words {
    /// What to write for an event that happened so long after the start.
    pub fn say(self, event: &Event, since: Duration) -> Line {
        let text = match event {
            Event::Directory { .. } | Event::Acknowledged { .. } if self.quiet => {
                return Line::Nothing;
            }
            // Of interest to programs only: the sandbox's Envoy comes and goes with it.
            // Nor does the time say anything if Envoy was not there yet when that was made.
            Event::Connected { .. }
            | Event::Disconnected { .. }
            | Event::Acknowledged { initial: true, .. } => return Line::Nothing,
            Event::Directory { path, written } => {
                let path = path.display();
                if *written {
                    format!(
                        "Wrote an example to {path}; it is yours to edit, and is not written again."
                    )
                } else {
                    format!(
                        "Serving the manifests in {path}, which is there already and stays as it is."
                    )
                }
            }
            Event::Started(started) => self.started(started),
            Event::Applied(applied) => return self.applied(applied, since),
            Event::Acknowledged { millis, .. } => {
                let time = duration::show(milliseconds(*millis));
                format!(
                    "          {}",
                    self.palette.good(&format!("acknowledged by Envoy in {time}"))
                )
            }
            Event::Rejected { resource, objects, reason, .. } => {
                self.rejected(since, resource, (objects, reason))
            }
            Event::Recovered { resource, objects, .. } => format!(
                "{}{} {resource}, made from {}",
                at(since),
                self.palette.good("Envoy accepts again"),
                objects.join(", ")
            ),
            Event::Mended { file } => {
                format!("{}{} {file}", at(since), self.palette.good("in order again"))
            }
            Event::Problem { diagnostics } => {
                format!(
                    "{}something is wrong with a file; what it said before stays in force\n{}",
                    at(since),
                    self.findings(diagnostics).trim_end()
                )
            }
            Event::Trouble { message, hint } => {
                let mut text = format!("{}{} {message}", at(since), self.palette.bad("trouble:"));
                if let Some(hint) = hint {
                    // Writing to a String cannot fail.
                    let _unused = write!(text, "\n          hint: {hint}");
                }
                text
            }
            Event::Load(_) if self.quiet => return Line::Nothing,
            Event::Load(report) => return Line::Passes(self.load("load", report)),
            Event::Stopped { reason, load } => match load {
                Some(report) => {
                    let label = format!("load, all {} s:", report.seconds.round());
                    format!("{}\nStopped: {reason}.", self.load(&label, report))
                }
                None if self.quiet => return Line::Nothing,
                None => format!("Stopped: {reason}."),
            },
        };
        Line::Stays(text)
    }

    fn started(self, started: &Started) -> String {
        let Started { http, https, envoy, services, commands, edit, debug, millis, .. } = started;
        let paint = self.palette;
        if self.quiet {
            return format!("{http}\n{https}");
        }
        let mut out = format!(
            "Envoy {} (process {}) serves, {} after the start.\n\n",
            envoy.version,
            envoy.pid,
            duration::show(milliseconds(*millis)),
        );
        let mut row = |name: &str, url: &str| {
            let _unused = writeln!(out, "  {name:<8} {}", paint.link(url));
        };
        row("HTTP", http);
        row("HTTPS", https);
        for service in services {
            row(&service.name, &service.url);
        }
        row("debug", debug);
        if !commands.is_empty() {
            let _unused = writeln!(out, "\n{}", paint.strong("Try"));
        }
        for suggestion in commands {
            let _unused = write!(
                out,
                "\n  {}\n    {}\n",
                paint.faint(&format!("# {}", suggestion.purpose)),
                paint.link(&suggestion.command),
            );
        }
        if let Some(edit) = edit {
            let _unused = writeln!(out, "\n{}\n\n  {edit}", paint.strong("Then"));
        }
        let _unused = write!(out, "\nCtrl-C stops everything.\n");
        out
    }

    fn applied(self, applied: &Applied, since: Duration) -> Line {
        let errors = || applied.diagnostics.iter().any(|d| d.severity() == Severity::Error);
        if self.quiet && !errors() {
            return Line::Nothing;
        }
        let work = duration::show(milliseconds(applied.millis));
        if applied.initial {
            let findings = self.findings(&applied.diagnostics);
            let (objects, resources) = (applied.objects.len(), applied.resources);
            return Line::Stays(format!(
                "{findings}Read {objects} objects, made {resources} resources of them in {work}."
            ));
        }
        let mut out = String::new();
        for (index, object) in applied.objects.iter().take(OBJECTS).enumerate() {
            let margin = if index == 0 { at(since) } else { " ".repeat(10) };
            self.object(&mut out, &margin, object);
        }
        if let Some(more) = applied.objects.len().checked_sub(OBJECTS + 1) {
            let _unused = writeln!(out, "          and {} objects more", more + 1);
        }
        if applied.objects.is_empty() {
            let _unused = writeln!(out, "{}a change took effect", at(since));
        }
        out.push_str(&self.findings(&applied.diagnostics));
        for mended in &applied.mended {
            let good = self.palette.good("in order again:");
            let _unused = writeln!(out, "          {good} {}", mended.message);
        }
        let _unused = match applied.resources {
            0 => write!(out, "          nothing differs for Envoy"),
            1 => write!(out, "          1 resource differs, made in {work}"),
            n => write!(out, "          {n} resources differ, made in {work}"),
        };
        Line::Stays(out)
    }

    fn object(self, out: &mut String, margin: &str, object: &ChangedObject) {
        let _unused = write!(
            out,
            "{margin}{} {}",
            object.change.as_str(),
            self.palette.strong(&object.object)
        );
        if let Some(file) = &object.file {
            let _unused = write!(out, " ({file})");
        }
        out.push('\n');
        for field in object.fields.iter().take(FIELDS) {
            let _unused = writeln!(out, "            {}", self.field(field));
        }
        if let Some(more) = object.fields.len().checked_sub(FIELDS + 1) {
            let _unused = writeln!(out, "            and {} fields more", more + 1);
        }
    }

    fn field(self, field: &Field) -> String {
        let Field { path, before, after } = field;
        match (before, after) {
            (Some(before), Some(after)) => {
                format!("{path}: {} → {}", value(before), self.palette.strong(&value(after)))
            }
            (None, Some(after)) => format!("{path}: new, {}", self.palette.strong(&value(after))),
            (Some(before), None) => format!("{path}: gone, was {}", value(before)),
            (None, None) => path.clone(),
        }
    }

    fn rejected(self, since: Duration, resource: &str, about: (&[String], &str)) -> String {
        let (objects, reason) = about;
        let owners = if objects.is_empty() {
            String::new()
        } else {
            format!(", made from {}", objects.join(", "))
        };
        format!(
            "{}{} {resource}{owners}: {reason}\n          \
             its last good form stays in force, and so does everything else",
            at(since),
            self.palette.bad("Envoy refuses"),
        )
    }

    fn findings(self, diagnostics: &[Diagnostic]) -> String {
        let mut out = String::new();
        for diagnostic in diagnostics {
            let source = diagnostic
                .location
                .as_ref()
                .and_then(|place| std::fs::read_to_string(&*place.file).ok());
            let text = diagnostic::render(diagnostic, source.as_deref(), self.palette.style());
            let _unused = writeln!(out, "{}\n", text.trim_end());
        }
        out
    }

    fn load(self, label: &str, report: &Report) -> String {
        let mut parts = vec![format!("{label} {:.0} req/s", report.rate)];
        let main = report.services.values().max_by_key(|services| services.values().sum::<u64>());
        if let Some(services) = main {
            let all = count(services.values().sum());
            let shares: Vec<String> = services
                .iter()
                .map(|(name, n)| format!("{name} {:.1} %", count(*n) / all * 100.0))
                .collect();
            parts.push(self.palette.strong(&shares.join("  ")));
        }
        let statuses: Vec<String> = report
            .statuses
            .iter()
            .map(|(status, n)| {
                let text = format!("{status}: {n}");
                if *status < 500 { text } else { self.palette.bad(&text) }
            })
            .collect();
        parts.push(statuses.join("  "));
        for (reason, n) in &report.failures {
            parts.push(self.palette.bad(&format!("no answer ({reason}): {n}")));
        }
        if report.unsent > 0 {
            parts.push(self.palette.bad(&format!("not sent: {}", report.unsent)));
        }
        if let (Some(p50), Some(p99)) = (report.p50_ms, report.p99_ms) {
            let show = |millis| duration::show(milliseconds(millis));
            parts.push(format!("p50 {}  p99 {}", show(p50), show(p99)));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" · ")
    }
}

/// The margin of an event: its time since the start.
fn at(since: Duration) -> String {
    format!("{:<10}", format!("+{:.1} s", since.as_secs_f64()))
}

fn milliseconds(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
}

/// A value on one line.
fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.replace('\n', " "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    if text.chars().count() <= VALUE {
        return text;
    }
    let mut short: String = text.chars().take(VALUE).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::event::ChangeKind;
    use super::*;

    fn say(quiet: bool, event: &Event) -> Line {
        let words = Words { palette: Palette::new(false), quiet };
        words.say(event, Duration::from_millis(12_340))
    }

    fn text(event: &Event) -> String {
        match say(false, event) {
            Line::Stays(text) | Line::Passes(text) => text,
            Line::Nothing => String::new(),
        }
    }

    fn applied(fields: Vec<Field>) -> Event {
        Event::Applied(Applied {
            revision: 3,
            objects: vec![ChangedObject {
                object: "IngressRoute demo/shop".to_owned(),
                file: Some("shop.yaml".to_owned()),
                change: ChangeKind::Changed,
                fields,
            }],
            resources: 1,
            units: 2,
            millis: 0.2,
            diagnostics: Vec::new(),
            mended: Vec::new(),
            initial: false,
        })
    }

    #[test]
    fn a_change_is_told_by_object_file_and_field() {
        let weight = Field {
            path: "spec.routes[/].services[blue].weight".to_owned(),
            before: Some(json!(90)),
            after: Some(json!(50)),
        };
        insta::assert_snapshot!(text(&applied(vec![weight])), @r"
        +12.3 s   changed IngressRoute demo/shop (shop.yaml)
                    spec.routes[/].services[blue].weight: 90 → 50
                  1 resource differs, made in 200 µs
        ");
    }

    #[test]
    fn a_large_change_is_cut_short() {
        let field = |index: usize| Field {
            path: format!("spec.a{index}"),
            before: None,
            after: Some(json!("x".repeat(100))),
        };
        let text = text(&applied((0..20).map(field).collect()));
        assert!(text.contains("spec.a7") && !text.contains("spec.a8"), "{text}");
        assert!(text.contains("and 12 fields more"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 100), "{text}");
    }

    #[test]
    fn a_refusal_names_the_objects_and_what_stays() {
        let event = Event::Rejected {
            node: "sandbox".to_owned(),
            resource: "rds:demo/shop".to_owned(),
            objects: vec!["IngressRoute demo/shop".to_owned()],
            reason: "no good".to_owned(),
        };
        insta::assert_snapshot!(text(&event), @r"
        +12.3 s   Envoy refuses rds:demo/shop, made from IngressRoute demo/shop: no good
                  its last good form stays in force, and so does everything else
        ");
    }

    #[test]
    fn load_says_what_failed_and_never_invents_a_latency() {
        let report = Report {
            rate: 200.0,
            statuses: BTreeMap::from([(200, 171), (500, 9)]),
            failures: BTreeMap::from([("timeout".to_owned(), 2)]),
            unsent: 18,
            ..Report::default()
        };
        insta::assert_snapshot!(
            text(&Event::Load(report)),
            @"load 200 req/s · 200: 171  500: 9 · no answer (timeout): 2 · not sent: 18"
        );
    }

    #[test]
    fn quiet_leaves_out_what_goes_well() {
        assert_eq!(say(true, &applied(Vec::new())), Line::Nothing);
        assert_eq!(say(true, &Event::Load(Report::default())), Line::Nothing);
        let trouble = Event::Trouble { message: "no".to_owned(), hint: None };
        assert_ne!(say(true, &trouble), Line::Nothing);
    }
}
