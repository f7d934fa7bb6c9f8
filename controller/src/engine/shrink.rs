//! Holds removals back when too many hosts would be gone at once: a source that was emptied by
//! mistake looks like one that was emptied on purpose.
//!
//! What is held back stays in force as it was, with everything that it needs; additions and changes
//! go through. It ends when the source has enough of it again, or after a time.
//!
//! Pure: the time comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::lower::{Fragment, lower};
use contour_core::name::{FieldPath, Fqdn, Kind, ObjectName, ObjectRef};
use contour_core::pipeline::{Change, Pipeline};
use tokio::time::Instant;

use super::start::brief;
use crate::config::Shrink;

/// Hosts that a message names.
const NAMED: usize = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    rule: Option<Shrink>,
    /// What is held back, by object.
    held: BTreeMap<ObjectRef, Change>,
    /// The hosts that would be gone, and how many there would have been.
    lost: BTreeSet<Fqdn>,
    before: usize,
    until: Option<Instant>,
    /// Envoys that have come back with many hosts which the source does not have.
    returned: BTreeMap<Arc<str>, Returned>,
}

/// An Envoy that has come back with many hosts which the source does not have; it keeps them for a
/// while, of which the xDS server takes care.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returned {
    /// How many it has.
    pub(super) hosts: usize,
    /// How many of these the source does not have.
    pub(super) gone: usize,
    /// How long it keeps them.
    pub(super) hold: Duration,
    /// Until when.
    pub(super) until: Instant,
}

/// What is to be done with changes.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    /// To be taken up now.
    pub(super) changes: Vec<Change>,
    /// Whether more or less is held back than before.
    pub(super) differs: bool,
}

impl Guard {
    /// A guard with this rule; with none everything goes through.
    pub(super) fn new(rule: Option<Shrink>) -> Self {
        Self {
            rule,
            held: BTreeMap::new(),
            lost: BTreeSet::new(),
            before: 0,
            until: None,
            returned: BTreeMap::new(),
        }
    }

    /// Sifts changes of the source. `pipeline` is the world before them.
    pub(super) fn sift(
        &mut self,
        changes: Vec<Change>,
        pipeline: &Pipeline,
        now: Instant,
    ) -> Sifted {
        let Some(rule) = self.rule else {
            return Sifted { changes, differs: false };
        };
        let routes = changes.iter().filter(|change| is_about_a_route(change)).count();
        if self.held.is_empty() && routes < Shrink::FEWEST {
            return Sifted { changes, differs: false };
        }
        let was_holding = self.held.len();
        let (removals, hosts) = self.removals(&changes, pipeline);
        let lost = lost(&removals, &hosts, pipeline);
        let before = pipeline.hosts();
        let is_too_much = rule.is_exceeded(lost.len(), before);
        let renewed: BTreeSet<_> = changes.iter().filter_map(subject).collect();
        let mut earlier = std::mem::take(&mut self.held);
        // What was held back and is told anew is as it is told now.
        earlier.retain(|object, _| !renewed.contains(object));
        let all = earlier.into_values().chain(changes);
        if !is_too_much {
            drop(self.release());
            return Sifted { changes: all.collect(), differs: was_holding > 0 };
        }
        let keeps = |object: &ObjectRef| match removals.get(object) {
            // What has a host that others have as well, or none that would be gone, is let go.
            Some(Some(host)) => lost.contains(host),
            Some(None) => true,
            None => false,
        };
        let mut passed = Vec::new();
        for change in all {
            match subject(&change) {
                // Of several forms the last one counts.
                Some(object) if keeps(&object) => drop(self.held.insert(object, change)),
                Some(_) | None => passed.push(change),
            }
        }
        self.lost = lost;
        self.before = before;
        self.until.get_or_insert(now + rule.hold);
        Sifted { changes: passed, differs: true }
    }

    /// The objects that would be gone or give up their host, each with that host, and the hosts
    /// that objects would have.
    fn removals(
        &self,
        changes: &[Change],
        pipeline: &Pipeline,
    ) -> (BTreeMap<ObjectRef, Option<Fqdn>>, BTreeSet<Fqdn>) {
        let mut removals = BTreeMap::new();
        let mut hosts: BTreeMap<ObjectRef, Fqdn> = BTreeMap::new();
        // The last change of each object counts.
        for change in self.held.values().chain(changes) {
            let Some(object) = subject(change) else {
                continue;
            };
            let old = host_of(pipeline, &object);
            let new = host_after(change, pipeline);
            hosts.remove(&object);
            if let Some(new) = &new {
                hosts.insert(object.clone(), new.clone());
            }
            let is_gone = matches!(change, Change::Delete(_));
            let is_undecodable = matches!(change, Change::Undecodable(..));
            if !is_undecodable && (is_gone || (old.is_some() && old != new)) {
                removals.insert(object, old);
            } else {
                removals.remove(&object);
            }
        }
        (removals, hosts.into_values().collect())
    }

    /// An Envoy has come back with many hosts which the source does not have.
    pub(super) fn returned(&mut self, node: Arc<str>, with: Returned) {
        self.returned.insert(node, with);
    }

    /// Time has come to this. Returns what is to be taken up now, if its time is over.
    pub(super) fn pass(&mut self, now: Instant) -> Vec<Change> {
        self.returned.retain(|_, returned| returned.until > now);
        let is_due = self.until.is_some_and(|until| until <= now);
        if is_due { self.release() } else { Vec::new() }
    }

    /// When [`Self::pass`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let returned = self.returned.values().map(|returned| returned.until);
        self.until.into_iter().chain(returned).min()
    }

    /// When what is held back is removed.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The Envoys that have come back with many hosts which the source does not have.
    pub(super) fn envoys(&self) -> &BTreeMap<Arc<str>, Returned> {
        &self.returned
    }

    /// Whether the removal of an object is held back.
    pub(super) fn holds(&self, object: &ObjectRef) -> bool {
        self.held.contains_key(object)
    }

    /// How many objects' removals are held back.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The hosts that would be gone.
    pub(super) fn hosts(&self) -> impl ExactSizeIterator<Item = &Fqdn> {
        self.lost.iter()
    }

    fn release(&mut self) -> Vec<Change> {
        self.lost.clear();
        self.until = None;
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// What there is to say of it.
    pub(super) fn findings(&self) -> Vec<Diagnostic> {
        let mut findings: Vec<_> = self
            .returned
            .iter()
            .map(|(node, with)| {
                let (gone, hosts, hold) = (with.gone, with.hosts, brief(with.hold));
                finding(format!(
                    "{gone} of {hosts} hosts that Envoy {node} came back with are not in the source; it keeps them for {hold}"
                ))
            })
            .collect();
        let (Some(rule), false) = (self.rule, self.held.is_empty()) else {
            return findings;
        };
        let mut names: Vec<_> = self.lost.iter().take(NAMED).map(ToString::to_string).collect();
        if self.lost.len() > NAMED {
            names.push(format!("{} more", self.lost.len() - NAMED));
        }
        let message = format!(
            "{} of {} hosts would be gone at once, which is more than {}: {}; they are kept for {}, unless the source has them again before",
            self.lost.len(),
            self.before,
            rule.share,
            names.join(", "),
            brief(rule.hold)
        );
        findings.push(finding(message));
        findings
    }
}

fn finding(message: String) -> Diagnostic {
    Diagnostic {
        code: Code::RemovalsHeld,
        object: None,
        field: FieldPath::root(),
        message,
        hint: None,
        location: None,
    }
}

fn is_about_a_route(change: &Change) -> bool {
    subject(change).is_some_and(|object| object.kind == Kind::IngressRoute)
}

fn subject(change: &Change) -> Option<ObjectRef> {
    match change {
        Change::Apply(object, _) => Some(object.reference()),
        Change::Delete(object) | Change::Undecodable(object, _) => Some(object.clone()),
        Change::Clock(_) => None,
    }
}

/// The host that an object claims as it is in force.
fn host_of(pipeline: &Pipeline, object: &ObjectRef) -> Option<Fqdn> {
    if object.kind != Kind::IngressRoute {
        return None;
    }
    pipeline.ingress_route(&object.name)?.root.as_ref()?.fqdn.clone()
}

/// The host that an object would claim.
fn host_after(change: &Change, pipeline: &Pipeline) -> Option<Fqdn> {
    match change {
        Change::Apply(object, _) if object.reference().kind == Kind::IngressRoute => {
            let (fragment, _) = lower(object, pipeline.options())?;
            match fragment {
                Fragment::IngressRoute(route) => route.root?.fqdn,
                Fragment::Delegation(_)
                | Fragment::Service(_)
                | Fragment::EndpointSlice(_)
                | Fragment::Secret(_)
                | Fragment::Namespace => None,
            }
        }
        Change::Undecodable(object, _) => host_of(pipeline, object),
        Change::Apply(..) | Change::Delete(_) | Change::Clock(_) => None,
    }
}

/// The hosts that nobody would have any more.
fn lost(
    removals: &BTreeMap<ObjectRef, Option<Fqdn>>,
    taken: &BTreeSet<Fqdn>,
    pipeline: &Pipeline,
) -> BTreeSet<Fqdn> {
    let goes = |name: &ObjectName| removals.contains_key(&name.of(Kind::IngressRoute));
    let hosts = removals.values().flatten().filter(|host| !taken.contains(*host));
    hosts.filter(|host| pipeline.claimants(host).all(goes)).cloned().collect()
}

#[cfg(test)]
mod tests;
