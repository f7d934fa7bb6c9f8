//! An object as those see it who watch its traffic.

use std::sync::Arc;

use contour_core::diagnostic::Severity;
use contour_core::name::{Kind, ObjectRef};
use contour_core::observe::{Fleet, Subject, weights};
use contour_core::pipeline::State;
use contour_core::shift::weights::Weights;

use super::Engine;
use super::programs::World;

/// An object, all of one moment.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) uid: Option<u128>,
    pub(crate) generation: Option<i64>,
    pub(crate) state: Option<State>,
    /// What is wrong with it, and what Envoys say against it.
    pub(crate) errors: Vec<Arc<str>>,
    pub(crate) weights: Vec<Weights>,
    /// What to ask Envoys; nothing if it is not served.
    pub(crate) subject: Option<Subject>,
    pub(crate) fleet: Fleet,
}

impl Engine {
    /// The engine publishes what it makes of an object before it answers, so what Envoys have is
    /// of what is told here.
    pub(super) fn observed(&self, object: &ObjectRef) -> Option<Observed> {
        if object.kind != Kind::IngressRoute || !self.ledger.knows(object) {
            return None;
        }
        let status = self.pipeline.status(object);
        let route = self.pipeline.ingress_route(&object.name);
        let (pipeline, ads, ledger) = (&self.pipeline, &self.parts.ads, &self.ledger);
        let resources = World { pipeline, ads, ledger }.resources(object).unwrap_or_default();
        let keys: Vec<_> = resources.into_iter().map(|(key, _)| key).collect();
        let known = self.programs.as_ref().and_then(|programs| programs.known(object));
        Some(Observed {
            uid: known.and_then(|known| known.uid),
            generation: known.and_then(|known| known.generation),
            state: status.map(|status| status.state),
            errors: self.errors(object),
            weights: route.map(weights).unwrap_or_default(),
            subject: route.map(Subject::of),
            fleet: ads.fleet(&keys, known.map(|known| known.taken)),
        })
    }

    /// What is wrong with an object, and what Envoys say against it.
    pub(super) fn errors(&self, object: &ObjectRef) -> Vec<Arc<str>> {
        let status = self.pipeline.status(object);
        let told = status.map_or_else(|| self.ledger.told(object), |s| &s.diagnostics);
        let rejections = self.ledger.rejections_of(object);
        let errors = told.iter().chain(&rejections);
        let errors = errors.filter(|finding| finding.severity() == Severity::Error);
        errors.map(|finding| finding.message.as_str().into()).collect()
    }
}
