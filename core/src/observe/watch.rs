//! From reports to what a shift has to know.

use std::sync::Arc;
use std::time::Duration;

use super::meter::Meter;
use super::{Report, Upstream};
use crate::api::Timestamp;
use crate::shift::Note;
use crate::shift::gate::{Health, Sample, Window};
use crate::shift::machine::{Counts, Fleet, Live, Observation, Split};
use crate::shift::state::{Share, State};
use crate::shift::weights::Service;

/// The sums of both services at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    at: Timestamp,
    from: Sample,
    to: Sample,
}

impl Mark {
    fn since(&self, before: &Self) -> [Sample; 2] {
        [self.from.since(&before.from), self.to.since(&before.to)]
    }
}

/// Watches the traffic of a shift: windows follow each other without a gap, and the first of a step
/// begins when all Envoys have it.
#[derive(Clone, Debug)]
pub struct Watch {
    meter: Meter,
    share: Option<Share>,
    /// When the present step was first seen in all Envoys.
    settled: Option<Mark>,
    /// Where the present window begins.
    begun: Option<Mark>,
}

/// What is seen of the fleet in some reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// What each replica of the controller says of its Envoys.
    pub reports: &'a [Report],
    /// Whether all replicas have answered.
    pub complete: bool,
}

impl Watch {
    /// Watches the places of a shift.
    pub fn new(state: &State) -> Self {
        let places = state.charter.places.iter().map(|lever| lever.place().clone()).collect();
        Self { meter: Meter::new(places), share: None, settled: None, begun: None }
    }

    /// What is to be known of a shift, from what its controllers say and from the object as it was
    /// read after that.
    pub fn look(
        &mut self,
        heard: Heard<'_>,
        live: Option<Live>,
        state: &State,
        now: Timestamp,
    ) -> Observation {
        self.take(heard);
        if self.share != Some(state.progress.share) {
            (self.share, self.settled, self.begun) = (Some(state.progress.share), None, None);
        }
        let mark = self.mark(state, now);
        let fleet = live.as_ref().and_then(|live| fleet(heard, live, state, now));
        let all = live.as_ref().zip(fleet.as_ref()).is_some_and(|(l, f)| f.has(l.generation));
        // An Envoy may have come and been behind between two looks.
        let since = fleet.as_ref().and_then(|fleet| fleet.since);
        let whole = |settled: &Mark| since.is_none_or(|since| since <= settled.at);
        if all && !self.settled.as_ref().is_some_and(whole) {
            (self.settled, self.begun) = (mark.clone(), mark.clone());
        }
        let counts = match mark {
            Some(mark) if is_heard(heard) => self.count(mark, state, now),
            Some(_) | None => Counts::Unavailable,
        };
        Observation { live, fleet, counts, ..self.seen(heard, state) }
    }

    /// The same for whoever only wants to see it: no window begins or ends by that.
    pub fn glance(
        &mut self,
        heard: Heard<'_>,
        live: Option<Live>,
        state: &State,
        now: Timestamp,
    ) -> Observation {
        self.take(heard);
        let fleet = live.as_ref().and_then(|live| fleet(heard, live, state, now));
        Observation { live, fleet, ..self.seen(heard, state) }
    }

    fn take(&mut self, heard: Heard<'_>) {
        for report in heard.reports {
            self.meter.take(report);
        }
    }

    fn mark(&self, state: &State, now: Timestamp) -> Option<Mark> {
        let (from, to) = state.ends()?;
        Some(Mark { at: now, from: self.meter.sum(from), to: self.meter.sum(to) })
    }

    /// The traffic and the endpoints, with no window that is over.
    fn seen(&self, heard: Heard<'_>, state: &State) -> Observation {
        let Some((from, to)) = state.ends() else { return Observation::default() };
        let split = self.settled.as_ref().map(|settled| {
            let since = |service, before: &Sample| self.meter.sum(service).since(before).requests;
            let (from, to) = (since(from, &settled.from), since(to, &settled.to));
            Split { begin: settled.at, from, to }
        });
        let asked = is_heard(heard);
        Observation {
            counts: if asked { Counts::Running } else { Counts::Unavailable },
            from: health(heard, from),
            to: health(heard, to),
            active: asked.then(|| active(heard, from)),
            split,
            ..Observation::default()
        }
    }

    fn count(&mut self, mark: Mark, state: &State, now: Timestamp) -> Counts {
        let length = state.charter.policy.interval.max(Duration::from_secs(1));
        let Some(begun) = &self.begun else { return Counts::Running };
        let passed = now.unix().saturating_sub(begun.at.unix());
        if u64::try_from(passed).unwrap_or(0) < length.as_secs() {
            return Counts::Running;
        }
        let [from, to] = mark.since(begun);
        let window = Window { begin: begun.at, from, to };
        self.begun = Some(mark);
        Counts::Over(Box::new(window))
    }
}

/// Whether some Envoy has said what it counts.
fn is_heard(heard: Heard<'_>) -> bool {
    heard.reports.iter().flat_map(|report| &report.envoys).any(|envoy| envoy.trouble.is_none())
}

/// Which Envoys of all replicas have the object as it is.
fn fleet(heard: Heard<'_>, live: &Live, state: &State, now: Timestamp) -> Option<Fleet> {
    if heard.reports.is_empty() || !heard.complete {
        return None;
    }
    // A controller may still be about to hear of the last write, or of the object itself.
    let is_current = |report: &Report| {
        state.agrees(&report.weights)
            && report.uid.as_deref().is_none_or(|uid| uid == live.uid.as_str())
    };
    let generation = |report: &Report| match report.generation {
        _ if !is_current(report) => live.generation.saturating_sub(1),
        Some(generation) => generation,
        None => live.generation,
    };
    let reports = || heard.reports.iter();
    let since = |report: &Report| {
        // By that clock, which may not be ours.
        let ago = report.unix_millis.checked_sub(report.fleet.since_unix_millis?)?;
        Some(now.unix().saturating_sub(i64::try_from(ago / 1000).unwrap_or(i64::MAX)))
    };
    let whole = reports().filter(|r| r.fleet.connected > 0).map(since).collect::<Option<Vec<_>>>();
    let waiting = reports().flat_map(|r| &r.fleet.waiting);
    Some(Fleet {
        generation: reports().map(generation).min()?,
        connected: reports().fold(0, |sum, r| sum.saturating_add(r.fleet.connected)),
        acknowledged: reports().fold(0, |sum, r| sum.saturating_add(r.fleet.acknowledged)),
        since: whole.and_then(|all| all.into_iter().max()).map(Timestamp::from_unix),
        waiting: waiting.map(|(node, why)| Note::new(&format!("{node} ({why})"))).collect(),
    })
}

fn upstreams<'a>(heard: Heard<'a>, service: &Service) -> impl Iterator<Item = &'a Upstream> {
    let service = service.clone();
    let all = heard.reports.iter().flat_map(|r| &r.envoys).flat_map(|e| &e.services);
    all.filter(move |upstream| upstream.service == service)
}

/// The endpoints as the Envoy sees them that sees the fewest healthy.
fn health(heard: Heard<'_>, service: &Service) -> Option<Health> {
    upstreams(heard, service)
        .filter_map(|u| Some(Health { healthy: u.healthy?, ejected: u.ejected }))
        .min_by_key(|health| health.healthy)
}

fn active(heard: Heard<'_>, service: &Service) -> u64 {
    upstreams(heard, service).fold(0, |sum, u| sum.saturating_add(u.active))
}

/// The node ids of the Envoys that could not be asked, and why.
pub fn troubles(reports: &[Report]) -> Vec<(Arc<str>, Arc<str>)> {
    let envoys = reports.iter().flat_map(|r| &r.envoys);
    envoys.filter_map(|e| Some((Arc::clone(&e.node), Arc::clone(e.trouble.as_ref()?)))).collect()
}
