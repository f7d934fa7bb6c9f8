//! Questions to the engine, and its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contour_core::diagnostic::{Code, Diagnostic, Severity};
use contour_core::name::{FieldPath, Kind, ObjectName, ObjectRef};
use contour_core::pipeline::State;
use contour_core::xds::{Resource, ResourceKey, ResourceType};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Engine;
use super::observed::Observed;
use super::programs::Programs;
use super::watched::Changed;
use crate::ads::EnvoyView;
use crate::kubernetes::peers::Question;

/// A question to the engine, with the way back for the answer.
#[derive(Debug)]
pub(crate) enum Query {
    /// All objects.
    Objects(oneshot::Sender<Vec<ObjectLine>>),
    /// One object; `None` if there is no such object.
    Object(ObjectRef, oneshot::Sender<Option<ObjectView>>),
    /// One IngressRoute with what Envoys have of it; `None` if there is no such object.
    Observe(ObjectRef, oneshot::Sender<Option<Observed>>),
    /// The resources in force, of one type or of all.
    Resources(Option<ResourceType>, oneshot::Sender<Vec<Arc<Resource>>>),
    /// The objects that have a part in each of these resources.
    Owners(Vec<ResourceKey>, oneshot::Sender<Vec<Vec<ObjectRef>>>),
    /// An IngressRoute that is in force, and ports of Services; `None` if it is not, or if the
    /// source is not in sync.
    Route(ObjectRef, Vec<(ObjectName, i64)>, oneshot::Sender<Option<RouteView>>),
    /// All IngressRoutes, or those of which there is something new to say since this was asked
    /// last; whether it is all of them comes with the answer.
    Watch(bool, oneshot::Sender<(Changed, bool)>),
    /// How much there is of everything.
    Counts(oneshot::Sender<Counts>),
    /// What is known of the source.
    Source(oneshot::Sender<SourceView>),
}

/// An object in a list.
#[derive(Debug)]
pub(crate) struct ObjectLine {
    pub(crate) object: ObjectRef,
    /// Unset for kinds that have no status.
    pub(crate) state: Option<State>,
    /// The number of findings about it.
    pub(crate) findings: usize,
}

/// An object and what became of it.
#[derive(Debug)]
pub(crate) struct ObjectView {
    pub(crate) object: ObjectRef,
    pub(crate) state: Option<State>,
    /// Where it stands, if it came from a file.
    pub(crate) place: Option<String>,
    /// The findings, with their places, and what Envoys say against it.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The resources that it has a part in.
    pub(crate) resources: Vec<Arc<Resource>>,
}

/// An IngressRoute in force, as this replica knows it.
#[derive(Debug)]
pub(crate) struct RouteView {
    /// The generation that is in force, if it came from an API server.
    pub(crate) generation: Option<i64>,
    /// What our own Envoys have of it, and what to ask other replicas.
    pub(crate) question: Question,
    /// How many endpoints of each port asked for are ready.
    pub(crate) ready: Vec<usize>,
}

/// How much there is of everything.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) revision: u64,
    pub(crate) objects: BTreeMap<Kind, usize>,
    pub(crate) states: BTreeMap<(Kind, State), usize>,
    pub(crate) diagnostics: BTreeMap<Severity, usize>,
    pub(crate) resources: BTreeMap<ResourceType, usize>,
    pub(crate) rejected: usize,
    pub(crate) source_problems: usize,
    pub(crate) source_unread: usize,
    pub(crate) removals_held: usize,
    pub(crate) status_waiting: usize,
}

/// What is known of the source.
#[derive(Debug)]
pub(crate) struct SourceView {
    /// Whether it has told all that it held at the start.
    pub(crate) is_synced: bool,
    /// What has not been read since the start.
    pub(crate) unread: Vec<Arc<str>>,
    /// For how long Envoys still keep what they have of that.
    pub(crate) kept_for: Option<Duration>,
    /// Objects whose removal is held back, because so many hosts would be gone.
    pub(crate) held: usize,
    /// Those hosts.
    pub(crate) hosts: Vec<Arc<str>>,
    /// When they are removed.
    pub(crate) removed_in: Option<Duration>,
    /// Envoys that keep hosts which the source does not have, with their number.
    pub(crate) returned: Vec<(Arc<str>, usize)>,
}

/// Asks the engine. `None` means that the engine has ended.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry(pub(crate) mpsc::Sender<Query>);

impl Inquiry {
    pub(crate) async fn objects(&self) -> Option<Vec<ObjectLine>> {
        self.ask(Query::Objects).await
    }

    pub(crate) async fn object(&self, object: ObjectRef) -> Option<Option<ObjectView>> {
        self.ask(|answer| Query::Object(object, answer)).await
    }

    pub(crate) async fn observe(&self, object: ObjectRef) -> Option<Option<Observed>> {
        self.ask(|answer| Query::Observe(object, answer)).await
    }

    pub(crate) async fn resources(&self, kind: Option<ResourceType>) -> Option<Vec<Arc<Resource>>> {
        self.ask(|answer| Query::Resources(kind, answer)).await
    }

    /// The objects that have a part in each resource that one of these Envoys refused.
    pub(crate) async fn owners_of_rejected(
        &self,
        envoys: &[EnvoyView],
    ) -> Option<BTreeMap<ResourceKey, Vec<ObjectRef>>> {
        let rejections = envoys.iter().flat_map(|envoy| &envoy.rejections);
        let keys: Vec<_> = rejections.map(|rejection| rejection.key.clone()).collect();
        let owners = self.ask(|answer| Query::Owners(keys.clone(), answer)).await?;
        Some(keys.into_iter().zip(owners).collect())
    }

    pub(crate) async fn route(
        &self,
        object: ObjectRef,
        ports: Vec<(ObjectName, i64)>,
    ) -> Option<Option<RouteView>> {
        self.ask(|answer| Query::Route(object, ports, answer)).await
    }

    pub(crate) async fn watch(&self, anew: bool) -> Option<(Changed, bool)> {
        self.ask(|answer| Query::Watch(anew, answer)).await
    }

    pub(crate) async fn counts(&self) -> Option<Counts> {
        self.ask(Query::Counts).await
    }

    pub(crate) async fn source(&self) -> Option<SourceView> {
        self.ask(Query::Source).await
    }

    async fn ask<T>(&self, query: impl FnOnce(oneshot::Sender<T>) -> Query) -> Option<T> {
        let (answer, result) = oneshot::channel();
        self.0.send(query(answer)).await.ok()?;
        result.await.ok()
    }
}

impl Engine {
    /// Whoever asked may have gone away meanwhile.
    pub(super) fn answer(&mut self, query: Query) {
        let _unheard = match query {
            Query::Objects(answer) => answer.send(self.lines()).is_ok(),
            Query::Object(object, answer) => answer.send(self.view(object)).is_ok(),
            Query::Resources(kind, answer) => answer.send(self.resources(kind)).is_ok(),
            Query::Owners(keys, answer) => {
                let owners = keys.iter().map(|key| self.pipeline.owners(key));
                answer.send(owners.collect()).is_ok()
            }
            Query::Observe(object, answer) => answer.send(self.observed(&object)).is_ok(),
            Query::Route(object, ports, answer) => answer.send(self.route(object, &ports)).is_ok(),
            Query::Watch(anew, answer) => answer.send(self.watch(anew)).is_ok(),
            Query::Counts(answer) => answer.send(self.counts()).is_ok(),
            Query::Source(answer) => answer.send(self.source()).is_ok(),
        };
    }

    fn lines(&self) -> Vec<ObjectLine> {
        let mut lines: Vec<_> = self
            .ledger
            .objects()
            .map(|object| ObjectLine {
                object: object.clone(),
                state: self.pipeline.status(object).map(|s| s.state),
                findings: self.ledger.told(object).len(),
            })
            .collect();
        for rejection in self.ledger.rejections().values() {
            for line in &mut lines {
                line.findings += usize::from(rejection.owners.contains(&line.object));
            }
        }
        lines.sort_unstable_by(|a, b| a.object.cmp(&b.object));
        lines
    }

    fn view(&self, object: ObjectRef) -> Option<ObjectView> {
        if !self.ledger.knows(&object) {
            return None;
        }
        let status = self.pipeline.status(&object);
        let here = Diagnostic::new(Code::TooLarge, &object, FieldPath::root(), "");
        let place = self.ledger.located(&[here]).pop()?.location;
        let told = status.map_or_else(|| self.ledger.told(&object), |s| &s.diagnostics);
        let mut diagnostics = self.ledger.located(told);
        diagnostics.extend(self.ledger.rejections_of(&object));
        let keys: BTreeSet<_> = self.pipeline.resources_of(&object).into_iter().collect();
        let mut resources = self.resources(None);
        resources.retain(|r| keys.contains(&r.key));
        Some(ObjectView {
            state: status.map(|s| s.state),
            place: place.map(|p| p.to_string()),
            diagnostics,
            resources,
            object,
        })
    }

    fn resources(&self, kind: Option<ResourceType>) -> Vec<Arc<Resource>> {
        let mut resources: Vec<_> = self
            .pipeline
            .resources()
            .filter(|r| kind.is_none_or(|k| r.key.kind == k))
            .cloned()
            .collect();
        resources.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        resources
    }

    fn source(&self) -> SourceView {
        let now = Instant::now();
        SourceView {
            is_synced: self.held.is_none(),
            unread: self.start.parts().cloned().collect(),
            kept_for: self.start.left(now),
            held: self.shrink.len(),
            hosts: self.shrink.hosts().map(|host| host.as_str().into()).collect(),
            returned: self
                .shrink
                .envoys()
                .iter()
                .map(|(n, with)| (Arc::clone(n), with.gone))
                .collect(),
            removed_in: self.shrink.until().map(|at| at.saturating_duration_since(now)),
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts {
            revision: self.revision,
            objects: self.ledger.count_by_kind(),
            diagnostics: self.ledger.count_by_severity(),
            resources: ResourceType::ALL.into_iter().map(|k| (k, 0)).collect(),
            rejected: self.ledger.rejections().len(),
            source_problems: self.ledger.file_problems(),
            source_unread: self.start.parts().len(),
            removals_held: self.shrink.len(),
            status_waiting: self.programs.as_ref().map_or(0, Programs::waiting),
            ..Counts::default()
        };
        for (object, status) in self.pipeline.statuses() {
            *counts.states.entry((object.kind, status.state)).or_default() += 1;
        }
        for resource in self.pipeline.resources() {
            *counts.resources.entry(resource.key.kind).or_default() += 1;
        }
        counts
    }
}
