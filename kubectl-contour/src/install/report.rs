//! Tells how an installation goes: on stdout what became of each object, on stderr what is waited
//! for.

use std::time::Instant;

use contour_deploy::Stage;
use serde_json::{Value, json};

use super::difference::{Difference, describe, yaml};
use super::plan::{Change, Counts, Plan, Step};
use crate::duration;
use crate::object::Id;
use crate::output::{Format, Printer, Progress};

/// What has been told, for the summary.
pub(super) struct Report {
    printer: Printer,
    progress: Progress,
    began: Instant,
    stage: Option<(&'static str, Instant)>,
    stages: Vec<(String, f64)>,
    objects: Vec<Value>,
    suffix: &'static str,
}

impl Report {
    /// Begins. `suffix` says what is not done for real, such as ` (server dry run)`.
    pub(super) fn new(printer: Printer, suffix: &'static str) -> Self {
        let progress = Progress::new(printer.quiet());
        Self {
            printer,
            progress,
            began: Instant::now(),
            stage: None,
            stages: Vec::new(),
            objects: Vec::new(),
            suffix,
        }
    }

    /// The progress, for words of one's own.
    pub(super) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// A stage begins, and the one before has ended.
    pub(super) fn stage(&mut self, title: &'static str) {
        self.end_stage();
        self.stage = Some((title, Instant::now()));
    }

    fn end_stage(&mut self) {
        if let Some((title, since)) = self.stage.take() {
            self.stages.push((title.to_owned(), since.elapsed().as_secs_f64()));
        }
    }

    /// What became of an object.
    pub(super) fn step(&mut self, step: &Step) {
        self.object(&step.id, step.change.word());
    }

    /// An object was deleted, or was gone.
    pub(super) fn deleted(&mut self, id: &Id, was_there: bool) {
        self.object(id, if was_there { "deleted" } else { "not found" });
    }

    fn object(&mut self, id: &Id, word: &str) {
        self.progress.clear();
        let palette = self.printer.palette();
        let shown = match word {
            "unchanged" | "not found" => palette.faint(word),
            "deleted" => palette.bad(word),
            _ => palette.good(word),
        };
        self.write(&format!("{id} {shown}{}", self.suffix));
        self.objects.push(json!({
            "apiVersion": id.api_version, "kind": id.kind,
            "namespace": id.namespace, "name": id.name, "result": word,
        }));
    }

    /// What is waited for, and why it is not there.
    pub(super) fn waiting(&mut self, reasons: &[String]) {
        self.progress.say(&format!("waiting for {}", reasons.join("; ").replace("  pod", "pod")));
    }

    /// Something is ready.
    pub(super) fn ready(&mut self, id: &Id) {
        let after = duration::show(self.began.elapsed());
        self.progress.keep(&format!("{id} is ready after {after}"));
    }

    /// The fields that a plan changes.
    pub(super) fn differences(&mut self, plan: &Plan) {
        self.progress.clear();
        for step in &plan.steps {
            let is_secret = step.id.kind == "Secret";
            match &step.change {
                Change::Nothing => {}
                Change::Create => {
                    self.heading('+', &step.id, "created");
                    if is_secret {
                        self.lines(&[('+', "data: ***".to_owned())]);
                    } else {
                        let text = yaml(&step.object);
                        self.lines(
                            &text.lines().map(|line| ('+', line.to_owned())).collect::<Vec<_>>(),
                        );
                    }
                }
                Change::Update(differences) => {
                    self.heading('~', &step.id, "changed");
                    self.fields(differences, is_secret);
                }
                Change::Replace => self.heading('±', &step.id, "deleted and made anew"),
            }
        }
        for id in &plan.superfluous {
            self.heading('-', id, "deleted");
        }
    }

    fn heading(&mut self, sign: char, id: &Id, word: &str) {
        let place =
            if id.namespace.is_empty() { String::new() } else { format!(" in {}", id.namespace) };
        let title = self.printer.palette().strong(&format!("{sign} {id}{place}"));
        self.write(&format!("{title} {word}"));
    }

    fn fields(&mut self, differences: &[Difference], is_secret: bool) {
        self.lines(&describe(differences, is_secret));
    }

    fn lines(&mut self, lines: &[(char, String)]) {
        let palette = self.printer.palette();
        for (sign, line) in lines {
            let text = format!("    {sign} {line}");
            let text = match sign {
                '+' => palette.good(&text),
                '-' => palette.bad(&text),
                _ => text,
            };
            self.write(&text);
        }
    }

    /// How it went in all.
    pub(super) fn end(&mut self, counts: Counts, more: Value) {
        self.end_stage();
        self.progress.clear();
        let total = self.began.elapsed();
        if self.printer.format() == Format::Json {
            let stages: Vec<_> =
                self.stages.iter().map(|(name, s)| json!({"name": name, "seconds": s})).collect();
            let mut all = json!({
                "objects": self.objects, "counts": counts, "stages": stages,
                "seconds": total.as_secs_f64(),
            });
            if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
                all.extend(more);
            }
            // Whoever has closed stdout has seen enough.
            let _closed = self.printer.lines(&all.to_string());
            return;
        }
        let times: Vec<_> = self
            .stages
            .iter()
            .map(|(name, s)| {
                format!("{name} {}", duration::show(std::time::Duration::from_secs_f64(*s)))
            })
            .collect();
        let Counts { created, changed, unchanged, deleted } = counts;
        let times =
            if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) };
        self.progress.keep(&format!(
            "{created} created, {changed} configured, {unchanged} unchanged, {deleted} deleted{} in {}{times}",
            self.suffix,
            duration::show(total),
        ));
    }

    /// What to do next.
    pub(super) fn next(&mut self, namespace: &str, address: Option<&str>, is_ready: bool) {
        if self.printer.format() == Format::Json {
            return;
        }
        let place = if namespace == crate::fleet::NAMESPACE {
            String::new()
        } else {
            format!(" -n {namespace}")
        };
        if !is_ready {
            self.progress.keep(&format!("next: kubectl contour check{place} --wait"));
        }
        match address {
            Some(address) => self.progress.keep(&format!("Envoy serves at {address}")),
            None => self.progress.keep(&format!(
                "the Service envoy has no address from outside yet: kubectl get service envoy -n {namespace}"
            )),
        }
        self.progress.keep("next: kubectl contour create ingressroute");
    }

    fn write(&mut self, text: &str) {
        if self.printer.format() != Format::Json {
            // Whoever has closed stdout has seen enough; the installation goes on.
            let _closed = self.printer.lines(text);
        }
    }
}

/// What people call a stage.
pub(super) fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Definitions => "definitions",
        Stage::Namespace => "namespace",
        Stage::Configuration => "configuration",
        Stage::Certificates => "certificates",
        Stage::Workloads => "controller and Envoy",
    }
}
