//! What there is to tell the owner of each object, kept up to date in steps the size of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ObjectStatus, State};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::name::{FieldPath, Kind, ObjectName, ObjectRef};

/// Everything known of one object.
#[derive(Debug, Default)]
struct Report {
    exists: bool,
    is_root: bool,
    /// Found in the object by itself.
    own: Vec<Diagnostic>,
    /// Found when it was linked, and by how many units: a child of many roots has the same fault
    /// in each.
    linked: BTreeMap<Diagnostic, usize>,
    /// How many hosts it has a part in.
    visits: usize,
    status: Option<Arc<ObjectStatus>>,
}

/// The reports of all objects.
#[derive(Debug, Default)]
pub(super) struct Reports {
    reports: BTreeMap<ObjectRef, Report>,
    dirty: BTreeSet<ObjectRef>,
}

impl Reports {
    pub(super) fn status(&self, object: &ObjectRef) -> Option<&Arc<ObjectStatus>> {
        self.reports.get(object)?.status.as_ref()
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<ObjectStatus>)> {
        self.reports.iter().filter_map(|(object, report)| Some((object, report.status.as_ref()?)))
    }

    /// The object exists, and this is what was found in it by itself.
    pub(super) fn set_own(&mut self, object: &ObjectRef, own: Vec<Diagnostic>, is_root: bool) {
        // Most objects are fine and have no status: they need no report.
        if own.is_empty() && !has_status(object.kind) && !self.reports.contains_key(object) {
            return;
        }
        let report = self.touch(object);
        report.exists = true;
        report.is_root = is_root;
        report.own = own;
    }

    pub(super) fn remove_own(&mut self, object: &ObjectRef) {
        if self.reports.contains_key(object) {
            let report = self.touch(object);
            report.exists = false;
            report.is_root = false;
            report.own.clear();
        }
    }

    pub(super) fn add_linked(&mut self, diagnostic: &Diagnostic) {
        if let Some(object) = &diagnostic.object {
            *self.touch(object).linked.entry(diagnostic.clone()).or_insert(0) += 1;
        }
    }

    /// Replaces what one unit visited, in order, and found.
    pub(super) fn replace_linked(
        &mut self,
        old: (&[ObjectName], &[Diagnostic]),
        new: (&[ObjectName], &[Diagnostic]),
    ) {
        for name in new.0.iter().filter(|name| old.0.binary_search(name).is_err()) {
            self.touch(&name.of(Kind::IngressRoute)).visits += 1;
        }
        for name in old.0.iter().filter(|name| new.0.binary_search(name).is_err()) {
            let report = self.touch(&name.of(Kind::IngressRoute));
            report.visits = report.visits.saturating_sub(1);
        }
        if old.1 == new.1 {
            return;
        }
        new.1.iter().for_each(|diagnostic| self.add_linked(diagnostic));
        old.1.iter().for_each(|diagnostic| self.remove_linked(diagnostic));
    }

    /// The statuses that differ from what they were when this was last asked.
    pub(super) fn take_changed(&mut self) -> BTreeMap<ObjectRef, Option<Arc<ObjectStatus>>> {
        let mut changed = BTreeMap::new();
        for object in std::mem::take(&mut self.dirty) {
            let Some(report) = self.reports.get_mut(&object) else {
                continue;
            };
            let status = report.judge(&object);
            if report.status.as_deref() != status.as_ref() {
                report.status = status.map(Arc::new);
                changed.insert(object.clone(), report.status.clone());
            }
            let is_needed = report.exists || report.visits > 0 || !report.linked.is_empty();
            if !is_needed
                || (report.status.is_none() && report.linked.is_empty() && report.visits == 0)
            {
                self.reports.remove(&object);
            }
        }
        changed
    }

    fn remove_linked(&mut self, diagnostic: &Diagnostic) {
        let Some(object) = &diagnostic.object else {
            return;
        };
        let report = self.touch(object);
        if let Some(count) = report.linked.get_mut(diagnostic) {
            *count -= 1;
            if *count == 0 {
                report.linked.remove(diagnostic);
            }
        }
    }

    fn touch(&mut self, object: &ObjectRef) -> &mut Report {
        self.dirty.insert(object.clone());
        self.reports.entry(object.clone()).or_default()
    }
}

/// Whether objects of the kind have a status of their own, even if there is nothing to tell.
fn has_status(kind: Kind) -> bool {
    match kind {
        Kind::IngressRoute | Kind::TlsCertificateDelegation => true,
        Kind::Service | Kind::EndpointSlice | Kind::Secret | Kind::Namespace => false,
    }
}

impl Report {
    fn judge(&self, object: &ObjectRef) -> Option<ObjectStatus> {
        let mut diagnostics: Vec<Diagnostic> =
            self.own.iter().chain(self.linked.keys()).cloned().collect();
        if diagnostics.is_empty() && !(self.exists && has_status(object.kind)) {
            return None;
        }
        let is_orphaned =
            object.kind == Kind::IngressRoute && self.exists && !self.is_root && self.visits == 0;
        if is_orphaned {
            let message =
                "this IngressRoute is not part of a delegation chain from a root IngressRoute";
            diagnostics.push(Diagnostic::new(Code::Orphaned, object, FieldPath::root(), message));
        }
        diagnostics.sort_by(|a, b| (a.severity(), a).cmp(&(b.severity(), b)));
        diagnostics.dedup();
        let has_error = diagnostics.first().is_some_and(|d| d.severity() == Severity::Error);
        let state = if is_orphaned {
            State::Orphaned
        } else if has_error {
            State::Invalid
        } else {
            State::Valid
        };
        Some(ObjectStatus { state, diagnostics })
    }
}
