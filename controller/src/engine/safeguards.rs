//! Where the engine keeps Envoys from losing what is only seemingly gone: what could not be read at
//! the start ([`super::start`]), and many hosts at once ([`super::shrink`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use contour_core::xds::{Resource, ResourceKey};
use tokio::time::Instant;

use super::Engine;
use crate::source::Batch;

/// What is named where something is said of the source as a whole.
const SOURCE: &str = "the source";

impl Engine {
    /// Takes in what a source has to tell.
    pub(crate) fn apply(&mut self, mut batch: Batch) {
        // Before the source is in sync there is nothing that could be gone.
        if self.held.is_some() || batch.changes.is_empty() {
            return self.take_up(batch);
        }
        let changes = std::mem::take(&mut batch.changes);
        let sifted = self.shrink.sift(changes, &self.pipeline, Instant::now());
        batch.changes = sifted.changes;
        batch.places.retain(|(object, spans)| spans.is_some() || !self.shrink.holds(object));
        self.take_up(batch);
        if sifted.differs {
            self.tell_source();
        }
    }

    /// The time is over for which removals were held back because they were so many.
    pub(super) fn remove_held(&mut self, now: Instant) {
        let due = self.shrink.pass(now);
        if !due.is_empty() {
            tracing::warn!(objects = due.len(), "what was held back is removed now");
            self.take_up(Batch { changes: due, ..Batch::default() });
        }
        self.tell_source();
    }

    /// Publishes what changed: what is in doubt as such.
    pub(super) fn send_out(&self, resources: &BTreeMap<ResourceKey, Option<Arc<Resource>>>) {
        let Some(gaps) = self.start.gaps() else {
            return self.parts.ads.publish(self.revision, resources);
        };
        let doubtful = resources.keys().filter(|key| self.pipeline.is_doubtful(key, gaps));
        let doubtful = doubtful.cloned().collect();
        self.parts.ads.publish_partly(self.revision, resources, &doubtful);
    }

    /// The time is over for which Envoys keep what could not be read at the start.
    pub(super) fn stop_keeping(&mut self, now: Instant) {
        if self.start.pass(now) {
            self.parts.ads.release();
            self.tell_source();
        }
    }

    /// Says what there is to say of the source as a whole, if it differs from what was last said.
    pub(super) fn tell_source(&mut self) {
        let mut findings = self.start.findings();
        findings.extend(self.shrink.findings());
        self.tell_file(&SOURCE.into(), findings);
    }

    /// Ends what Envoys keep of what could not be read at the start, as the time would.
    #[cfg(test)]
    pub(crate) fn give_up(&mut self) {
        if let Some(at) = self.start.deadline() {
            self.stop_keeping(at);
        }
    }
}
