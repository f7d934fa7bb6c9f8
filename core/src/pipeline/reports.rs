//! What there is to tell the owner of each object, kept up to date in steps the size of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ObjectStatus, State};
use crate::diagnostic::{Code, Diagnostic, Findings, SHOWN, Severity, more};
use crate::name::{FieldPath, Kind, ObjectName, ObjectRef};

/// Everything known of one object.
#[derive(Debug, Default)]
struct Report {
    exists: bool,
    is_root: bool,
    /// Found in the object by itself.
    own: Findings,
    /// Found when it was linked, and by how many units: a child of many roots has the same fault
    /// in each.
    linked: BTreeMap<Diagnostic, usize>,
    /// Where units found more than they keep: how much, and how many units found so much.
    beyond: BTreeMap<(Code, usize), usize>,
    /// Found when there was no room for all that it asks for.
    refused: Vec<Diagnostic>,
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
    pub(super) fn set_own(&mut self, object: &ObjectRef, own: Findings, is_root: bool) {
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
            report.own = Findings::default();
        }
    }

    /// Replaces what there is to say of an object for which there is no room.
    pub(super) fn set_refused(&mut self, object: &ObjectRef, findings: Vec<Diagnostic>) {
        if findings.is_empty() && !self.reports.contains_key(object) {
            return;
        }
        self.touch(object).refused = findings;
    }

    /// Replaces what one unit visited, in order, and found.
    pub(super) fn replace_linked(
        &mut self,
        old: (&[ObjectName], &Findings),
        new: (&[ObjectName], &Findings),
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
        self.add_linked(new.1);
        self.remove_linked(old.1);
    }

    /// How many findings are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.reports.values().map(|r| r.own.kept().len() + r.linked.len()).sum()
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

    fn add_linked(&mut self, findings: &Findings) {
        for diagnostic in findings.kept() {
            if let Some(object) = &diagnostic.object {
                *self.touch(object).linked.entry(diagnostic.clone()).or_insert(0) += 1;
            }
        }
        for (object, code, count) in findings.counts() {
            if let Some(object) = object {
                *self.touch(object).beyond.entry((code, count)).or_insert(0) += 1;
            }
        }
    }

    fn remove_linked(&mut self, findings: &Findings) {
        for diagnostic in findings.kept() {
            if let Some(object) = &diagnostic.object {
                decrease(&mut self.touch(object).linked, diagnostic);
            }
        }
        for (object, code, count) in findings.counts() {
            if let Some(object) = object {
                decrease(&mut self.touch(object).beyond, &(code, count));
            }
        }
    }

    fn touch(&mut self, object: &ObjectRef) -> &mut Report {
        self.dirty.insert(object.clone());
        self.reports.entry(object.clone()).or_default()
    }
}

fn decrease<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
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
        let is_silent = self.own.is_empty() && self.linked.is_empty() && self.refused.is_empty();
        if is_silent && !(self.exists && has_status(object.kind)) {
            return None;
        }
        let mut by_code: BTreeMap<(Severity, Code), BTreeSet<&Diagnostic>> = BTreeMap::new();
        for diagnostic in self.own.kept().iter().chain(self.linked.keys()).chain(&self.refused) {
            let key = (diagnostic.severity(), diagnostic.code);
            by_code.entry(key).or_default().insert(diagnostic);
        }
        let is_orphaned =
            object.kind == Kind::IngressRoute && self.exists && !self.is_root && self.visits == 0;
        let message =
            "this IngressRoute is not part of a delegation chain from a root IngressRoute";
        let orphaned = Diagnostic::new(Code::Orphaned, object, FieldPath::root(), message);
        if is_orphaned {
            by_code.entry((orphaned.severity(), orphaned.code)).or_default().insert(&orphaned);
        }
        let has_error = by_code.keys().next().is_some_and(|(s, _)| *s == Severity::Error);
        let mut diagnostics = Vec::new();
        for ((_, code), found) in by_code {
            let hidden = self.count(code, &found).saturating_sub(SHOWN);
            diagnostics.extend(found.into_iter().take(SHOWN).cloned());
            if hidden > 0 {
                diagnostics.push(more(code, object, hidden));
            }
        }
        let state = if is_orphaned {
            State::Orphaned
        } else if has_error {
            State::Invalid
        } else {
            State::Valid
        };
        Some(ObjectStatus { state, diagnostics })
    }

    /// How many findings of a code there are. Units that keep not all of theirs count for the one
    /// that has most: the others found the same nearly always.
    fn count(&self, code: Code, kept: &BTreeSet<&Diagnostic>) -> usize {
        let own = self.own.counts().filter(|(_, other, _)| *other == code);
        let own: Option<usize> = own.map(|(_, _, count)| count).max();
        let linked = self.beyond.range((code, 0)..=(code, usize::MAX)).next_back();
        let linked = linked.map(|((_, count), _)| *count);
        if own.is_none() && linked.is_none() {
            return kept.len();
        }
        let own = own.unwrap_or_else(|| self.own.kept().iter().filter(|d| d.code == code).count());
        let others = self.linked.keys().filter(|d| d.code == code).count();
        own + others.max(linked.unwrap_or(0))
    }
}
