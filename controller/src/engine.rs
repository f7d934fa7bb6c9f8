//! The single writer: takes changes in, publishes what they lead to, and tells what happened.
//!
//! # Guarantees
//! - Nothing is published before the source has told all that it held at start.
//! - What a source could not read at its start is taken from no Envoy until everything was read
//!   once, or a time has passed.
//! - Where a large share of all hosts would be gone at once, they are kept for a time.
//! - Changes that wait are taken up together; a change alone is taken up at once.
//! - A finding is logged and told when it is new, not again.

mod ledger;
pub(crate) mod observed;
pub(crate) mod programs;
pub(crate) mod query;
mod safeguards;
mod shrink;
mod start;
pub(crate) mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contour_cluster::decode::Seen;
use contour_core::diagnostic::{Code, Diagnostic, Severity};
use contour_core::name::ObjectRef;
use contour_core::pipeline::{Change, Options, Outcome, Pipeline};
use contour_core::xds::{Resource, ResourceKey, ResourceType};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::ledger::{Difference, Ledger};
use self::programs::{Programs, StatusParts, World, changed, told, until};
use self::query::Query;
use self::shrink::{Guard, Returned};
use self::start::Start;
use crate::ads::{Ads, Event};
use crate::config::Safeguards;
use crate::event::ControllerEvent;
use crate::kubernetes::clock;
use crate::kubernetes::peers::Answer;
use crate::metrics::{Metrics, OfOperation, OfType};
use crate::source::Batch;

/// How often the time is told to the pipeline, which knows no clock of its own.
const CLOCK: Duration = Duration::from_mins(1);

/// Changes that are taken up together at most, so that a flood does not delay everything until
/// its end.
const TOGETHER: usize = 50_000;

/// Replaces a resource before it is published, for tests; `None` leaves it as it is.
pub type Rewrite = Arc<dyn Fn(&Resource) -> Option<Resource> + Send + Sync>;

/// What an engine works with.
pub(crate) struct Parts {
    pub(crate) options: Options,
    pub(crate) ads: Ads,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: broadcast::Sender<ControllerEvent>,
    pub(crate) synced: watch::Sender<bool>,
    pub(crate) safeguards: Safeguards,
    /// What it takes to write status, if there is anybody to write it to.
    pub(crate) status: Option<StatusParts>,
}

/// Why an engine has ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Nothing will ever come from the source again.
    #[error("the source ended")]
    SourceEnded,
    /// Nothing will ever be heard of Envoys again.
    #[error("the xDS server ended")]
    ServerEnded,
}

/// See the module.
pub(crate) struct Engine {
    parts: Parts,
    pipeline: Pipeline,
    ledger: Ledger,
    programs: Option<Programs>,
    /// What differs for those who watch everything, if there are any.
    watching: Option<watched::Watching>,
    revision: u64,
    /// What is to be published once the source is in sync; `None` from then on.
    held: Option<BTreeMap<ResourceKey, Option<Arc<Resource>>>>,
    start: Start,
    shrink: Guard,
}

/// What a batch of changes led to, to be told.
#[derive(Default)]
struct Report {
    files: Vec<Arc<str>>,
    objects: BTreeSet<ObjectRef>,
    difference: Difference,
    resources: usize,
    units: usize,
    synced: bool,
}

impl Engine {
    /// An engine over an empty world.
    pub(crate) fn new(mut parts: Parts) -> Self {
        let programs = parts.status.take().map(Programs::new);
        let pipeline = Pipeline::new(parts.options.clone());
        let initial = pipeline.initial();
        Self {
            start: Start::new(parts.safeguards.unread_hold),
            shrink: Guard::new(parts.safeguards.shrink),
            parts,
            pipeline,
            ledger: Ledger::default(),
            programs,
            watching: None,
            revision: 0,
            held: Some(initial.resources),
        }
    }

    /// What was made of the objects.
    #[cfg(test)]
    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Works until `stop` is cancelled.
    ///
    /// # Errors
    /// If the source or the xDS server goes away before.
    pub(crate) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        mut queries: mpsc::Receiver<Query>,
        stop: CancellationToken,
    ) -> Result<(), EngineError> {
        let mut events = self.parts.ads.events();
        let mut ticks = tokio::time::interval(CLOCK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut queries_open = true;
        let mut leading = self.programs.as_ref().map(Programs::leading);
        let mut answers = self.programs.as_mut().and_then(Programs::take_answers);
        loop {
            let wake = self.programs.as_ref().and_then(Programs::wake);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = events.recv() => match event {
                    Ok(event) => self.hear(event),
                    Err(RecvError::Lagged(missed)) => {
                        self.parts.metrics.missed_events.inc_by(missed);
                        tracing::warn!(missed, "reports of Envoys came too fast to be read");
                    }
                    Err(RecvError::Closed) => return Err(EngineError::ServerEnded),
                },
                query = queries.recv(), if queries_open => match query {
                    Some(query) => self.answer(query),
                    None => queries_open = false,
                },
                batch = batches.recv() => {
                    let first = batch.ok_or(EngineError::SourceEnded)?;
                    let gathered = gather(first, &mut batches);
                    self.apply(gathered);
                }
                _ = ticks.tick() => self.apply(Batch {
                    changes: vec![Change::Clock(clock().0)],
                    ..Batch::default()
                }),
                () = changed(leading.as_mut()) => {
                    if let Some(programs) = &mut self.programs {
                        programs.look_who_leads(self.revision);
                    }
                }
                answer = told(answers.as_mut()) => self.take_in(answer),
                () = until(wake) => self.judge(),
                () = until(self.shrink.deadline()) => self.remove_held(tokio::time::Instant::now()),
                () = until(self.start.deadline()) => self.stop_keeping(tokio::time::Instant::now()),
            }
        }
    }

    /// Takes up what got past the guard.
    fn take_up(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let now = tokio::time::Instant::from_std(started);
        let mut report =
            Report { synced: batch.synced && self.held.is_some(), ..Report::default() };
        // Of what was there at the start nobody knows what came first.
        if self.held.is_none() {
            self.pipeline.date(&mut batch.changes, self.revision);
        }
        let loose = self.note(&batch.changes, &mut report.objects);
        let seen = self.see(batch.seen);
        for (object, spans) in batch.places {
            match spans {
                Some(spans) => self.ledger.place(object, spans),
                None => self.ledger.gone(&object),
            }
        }
        let outcome = if batch.changes.is_empty() {
            Outcome::default()
        } else {
            // A certificate may have been issued since the last tick, and be valid from then on.
            let mut changes = vec![Change::Clock(clock().0)];
            changes.extend(batch.changes);
            self.pipeline.apply(changes)
        };
        report.files = batch.files;
        report.units = outcome.units;
        self.find(&outcome, loose, &mut report);
        self.parts.metrics.units.inc_by(outcome.units as u64);
        let concerned = self.concerned(&outcome);
        self.note_watched(&outcome, &report.objects);
        let is_told = batch.unread.is_some();
        let is_over = batch.unread.is_some_and(|unread| self.start.heard(unread));
        if report.synced {
            self.start.synced(now);
        }
        self.publish(outcome.resources, &mut report);
        if is_over {
            self.parts.ads.release();
        }
        if let Some(programs) = &mut self.programs {
            for object in seen.iter().chain(&concerned) {
                programs.touch(object, self.revision);
            }
            if let Some(addresses) = batch.addresses {
                programs.set_addresses(addresses, self.revision);
            }
            if report.synced {
                programs.synced(self.revision);
            }
        }
        let elapsed = started.elapsed();
        self.parts.metrics.apply_duration.observe(elapsed.as_secs_f64());
        for (file, problems) in batch.problems {
            self.tell_file(&file, problems);
        }
        if is_told {
            self.tell_source();
        }
        self.tell(report, elapsed);
    }

    /// Notes which objects there are now. Returns the findings of the source about each object
    /// that changed.
    fn note(
        &mut self,
        changes: &[Change],
        objects: &mut BTreeSet<ObjectRef>,
    ) -> BTreeMap<ObjectRef, Arc<[Diagnostic]>> {
        let mut loose = BTreeMap::new();
        for change in changes {
            let (object, diagnostics, operation) = match change {
                Change::Clock(_) => continue,
                Change::Delete(object) => (object.clone(), None, "delete"),
                Change::Apply(object, diagnostics) => {
                    (object.reference(), Some(diagnostics), "apply")
                }
                Change::Undecodable(object, diagnostics) => {
                    (object.clone(), Some(diagnostics), "undecodable")
                }
            };
            let label = OfOperation { operation };
            self.parts.metrics.changes.get_or_create(&label).inc();
            if diagnostics.is_some() {
                self.ledger.exists(&object);
            } else {
                self.ledger.gone(&object);
                if let Some(programs) = &mut self.programs {
                    programs.gone(&object);
                }
            }
            let diagnostics = diagnostics.map_or_else(|| Arc::from([]), Arc::clone);
            loose.insert(object.clone(), diagnostics);
            objects.insert(object);
        }
        loose
    }

    /// Notes how the API server has objects, before anything is said of them: an Event names its
    /// object's UID. One that is gone again is not noted.
    fn see(&mut self, mut seen: Vec<(ObjectRef, Seen)>) -> Vec<ObjectRef> {
        seen.retain(|(object, _)| self.ledger.knows(object));
        self.programs.as_mut().map_or_else(Vec::new, |programs| programs.seen(seen))
    }

    /// Finds out which findings are new. The pipeline tells those about objects that have a
    /// status; of the others, what the source said counts.
    fn find(
        &mut self,
        outcome: &Outcome,
        loose: BTreeMap<ObjectRef, Arc<[Diagnostic]>>,
        report: &mut Report,
    ) {
        let mut differences = Vec::new();
        for (object, status) in &outcome.statuses {
            let findings = status.as_ref().map_or(&[][..], |s| &s.diagnostics);
            differences.push(self.ledger.findings(object, findings));
        }
        for (object, findings) in loose {
            if !outcome.statuses.contains_key(&object) && self.pipeline.status(&object).is_none() {
                differences.push(self.ledger.findings(&object, &findings));
            }
        }
        for difference in differences {
            report.difference.new.extend(difference.new);
            report.difference.mended.extend(difference.mended);
        }
        let panics = report.difference.new.iter();
        let panics = panics.filter(|d| d.code == Code::TranslationPanicked).count();
        self.parts.metrics.panics.inc_by(panics as u64);
        for diagnostic in &report.difference.new {
            log(diagnostic);
        }
        for diagnostic in &report.difference.mended {
            let object = diagnostic.object.as_ref().map(tracing::field::display);
            let code = diagnostic.code.as_str();
            tracing::info!(code, object, "no longer stands: {}", diagnostic.message);
        }
        if let Some(programs) = &self.programs {
            programs.note_findings(&report.difference.new, false);
            programs.note_findings(&report.difference.mended, true);
        }
    }

    /// The objects of whose status there may be something new to say.
    fn concerned(&self, outcome: &Outcome) -> BTreeSet<ObjectRef> {
        if !self.programs.as_ref().is_some_and(Programs::is_on) {
            return BTreeSet::new();
        }
        let keys = outcome.resources.keys().filter(|key| key.kind != ResourceType::Endpoint);
        let owners = keys.flat_map(|key| self.pipeline.owners(key));
        owners.chain(outcome.statuses.keys().cloned()).collect()
    }

    /// Another replica has told what its Envoys have.
    fn take_in(&mut self, answer: Answer) {
        if let Some(programs) = &mut self.programs {
            let (pipeline, ads, ledger) = (&self.pipeline, &self.parts.ads, &self.ledger);
            programs.answered(&World { pipeline, ads, ledger }, answer);
        }
    }

    /// Says what there is to say of objects that waited for Envoys.
    fn judge(&mut self) {
        if let Some(programs) = &mut self.programs {
            let (pipeline, ads, ledger) = (&self.pipeline, &self.parts.ads, &self.ledger);
            programs.judge(&World { pipeline, ads, ledger });
        }
    }

    fn publish(
        &mut self,
        resources: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        report: &mut Report,
    ) {
        let resources = match self.held.take() {
            None => resources,
            Some(mut held) => {
                held.extend(resources);
                if !report.synced {
                    self.held = Some(held);
                    return;
                }
                held
            }
        };
        report.resources = resources.len();
        let quiet = resources.is_empty() && report.objects.is_empty() && !report.synced;
        if quiet {
            return;
        }
        self.revision += 1;
        self.ledger.changed(&resources);
        // The first publish opens the gate for Envoys, even if there is nothing to serve.
        if report.synced || !resources.is_empty() {
            let resources = self.rewritten(resources);
            self.send_out(&resources);
        }
        if report.synced {
            self.parts.synced.send_replace(true);
        }
    }

    fn rewritten(
        &self,
        mut resources: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
    ) -> BTreeMap<ResourceKey, Option<Arc<Resource>>> {
        if let Some(rewrite) = &self.parts.rewrite {
            for resource in resources.values_mut().flatten() {
                if let Some(other) = rewrite(resource) {
                    *resource = Arc::new(other);
                }
            }
        }
        resources
    }

    fn tell(&self, report: Report, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let quiet = report.objects.is_empty() && report.resources == 0 && !report.synced;
        if quiet {
            return;
        }
        if report.synced {
            let (objects, resources) = (report.objects.len(), report.resources);
            tracing::info!(objects, resources, micros, "in sync");
        } else {
            let (objects, resources) = (report.objects.len(), report.resources);
            let (revision, units) = (self.revision, report.units);
            tracing::debug!(revision, objects, resources, units, micros, "applied");
        }
        // The first event names every object there is; nobody may be listening.
        if self.parts.events.receiver_count() > 0 && self.held.is_none() {
            self.send(ControllerEvent::Applied {
                revision: self.revision,
                files: report.files,
                objects: report.objects.into_iter().collect(),
                resources: report.resources,
                units: report.units,
                diagnostics: report.difference.new,
                mended: report.difference.mended,
                micros,
            });
        }
    }

    fn tell_file(&mut self, file: &Arc<str>, problems: Vec<Diagnostic>) {
        let well = problems.is_empty();
        let difference = self.ledger.file(file, problems);
        for diagnostic in &difference.new {
            log(diagnostic);
        }
        if well && !difference.mended.is_empty() {
            tracing::info!(file = %file, "nothing is wrong with it any more");
            let file = Arc::clone(file);
            self.send(ControllerEvent::SourceMended { file });
        } else if !difference.new.is_empty() {
            let diagnostics = difference.new;
            self.send(ControllerEvent::SourceProblem { diagnostics });
        }
    }

    /// An event without listeners is no error.
    fn send(&self, event: ControllerEvent) {
        let _unheard = self.parts.events.send(event);
    }

    /// The xDS server logs what concerns connections; what concerns objects is logged here.
    fn hear(&mut self, event: Event) {
        if let Some(programs) = &mut self.programs {
            programs.hurry();
        }
        match event {
            Event::Connected { node } => {
                self.send(ControllerEvent::Connected { node });
            }
            Event::Disconnected { node } => {
                let relieved = self.ledger.disconnected(&node);
                self.touch(&relieved);
                self.send(ControllerEvent::Disconnected { node });
            }
            Event::Refused { node, message } => {
                self.parts.metrics.refused_envoys.inc();
                self.send(ControllerEvent::Refused { node, message });
            }
            Event::Acknowledged { node, revision, elapsed } => {
                self.parts.metrics.acknowledgement_duration.observe(elapsed.as_secs_f64());
                tracing::debug!(node = %node, revision, ?elapsed, "an Envoy acknowledged");
                self.send(ControllerEvent::Acknowledged { revision, node, elapsed });
            }
            Event::Shrunk { node, hosts, gone, hold } => {
                let until = tokio::time::Instant::now() + hold;
                self.shrink.returned(node, Returned { hosts, gone, hold, until });
                self.tell_source();
            }
            Event::Rejected { node, key, message, .. } => self.reject(node, key, message),
            Event::Recovered { node, key } => {
                let objects = self.ledger.recovered(&key, &node);
                self.touch(&objects);
                tracing::info!(node = %node, resource = %key, "an Envoy accepts again");
                self.send(ControllerEvent::Recovered { node, resource: key, objects });
            }
        }
    }

    fn reject(&mut self, node: Arc<str>, key: ResourceKey, message: Arc<str>) {
        let objects = self.pipeline.owners(&key);
        let label = OfType { r#type: key.kind.short() };
        self.parts.metrics.rejections.get_or_create(&label).inc();
        self.ledger.rejected(&key, (&node, &message), objects.clone());
        let names: Vec<_> = objects.iter().map(ToString::to_string).collect();
        tracing::error!(
            code = Code::EnvoyRejected.as_str(),
            node = %node,
            resource = %key,
            objects = names.join(", "),
            "an Envoy rejected what an object was turned into; its last good form stays in force: {message}"
        );
        self.touch(&objects);
        if let Some(programs) = &self.programs {
            for object in &objects {
                let text = format!(
                    "Envoy {node} rejected {key}, so what it had before stays in force: {message}"
                );
                programs.note_rejection(object, text);
            }
        }
        self.send(ControllerEvent::Rejected { node, resource: key, objects, message });
    }

    /// What Envoys say of these objects differs.
    fn touch(&mut self, objects: &[ObjectRef]) {
        self.touch_watched(objects.iter());
        if let Some(programs) = &mut self.programs {
            for object in objects {
                programs.touch(object, self.revision);
            }
        }
    }
}

/// What waits is taken up together.
fn gather(first: Batch, batches: &mut mpsc::Receiver<Batch>) -> Batch {
    let mut all = first;
    while all.changes.len() < TOGETHER
        && let Ok(next) = batches.try_recv()
    {
        all.changes.extend(next.changes);
        all.places.extend(next.places);
        all.problems.extend(next.problems);
        all.files.extend(next.files);
        all.seen.extend(next.seen);
        all.addresses = next.addresses.or(all.addresses);
        all.unread = next.unread.or(all.unread);
        all.synced |= next.synced;
    }
    all
}

/// The owner of the object must act, not the operator of the controller: so a warning at most.
fn log(diagnostic: &Diagnostic) {
    let code = diagnostic.code.as_str();
    let object = diagnostic.object.as_ref().map(tracing::field::display);
    let place = diagnostic.location.as_ref().map(tracing::field::display);
    let field = diagnostic.field.as_str();
    let field = (!field.is_empty()).then_some(field);
    let (message, remedy) = (&diagnostic.message, diagnostic.remedy());
    match diagnostic.severity() {
        Severity::Error | Severity::Warning => {
            tracing::warn!(code, object, field, place, remedy, "{message}");
        }
        Severity::Info => tracing::info!(code, object, field, place, remedy, "{message}"),
    }
}
