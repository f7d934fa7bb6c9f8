//! What one controller has told.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::series::{Latencies, Series, seconds};
use crate::name::ObjectName;
use crate::observe::feed::{
    Certificate, Cursor, Destination, Endpoint, Envoy, Increment, Object, Rows, Service,
    ServicePort,
};
use crate::top::frame::SourceState;

/// Percentiles go back this many milliseconds at least: Envoys sum up latencies every 5 s.
const LATENCY: u64 = 10_000;

/// A destination with its counts.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) named: Destination,
    /// Answers by class, and retries.
    pub(super) traffic: Series<6>,
    pub(super) latency: Latencies,
}

/// A row with its counts.
#[derive(Clone, Debug)]
pub(super) struct Measured<T, const N: usize> {
    pub(super) row: T,
    pub(super) counts: Series<N>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) state: SourceState,
    /// By our clock.
    pub(super) heard: Option<u64>,
    /// By how much our clock is ahead of its own, in milliseconds, if that matters.
    pub(super) ahead: i64,
    pub(super) interval: Option<u32>,
    pub(super) version: Option<Arc<str>>,
    pub(super) why: Option<Arc<str>>,
    at: Option<Cursor>,
    /// When it was first heard of this collection, by its clock.
    began: u64,
    /// When it looked, by its clock, as far as the window goes back.
    ticks: VecDeque<u64>,
    pub(super) endpoints_fresh: bool,
    pub(super) objects: BTreeMap<ObjectName, Object>,
    pub(super) destinations: BTreeMap<u32, Counted>,
    /// Connections that failed, and overflows.
    pub(super) services: BTreeMap<ServicePort, Measured<Service, 2>>,
    /// Requests, errors, and connections that failed.
    pub(super) endpoints: BTreeMap<(ServicePort, Arc<str>), Measured<Endpoint, 3>>,
    /// Requests.
    pub(super) envoys: BTreeMap<Arc<str>, Measured<Envoy, 1>>,
    pub(super) certificates: BTreeMap<ObjectName, Certificate>,
}

impl Source {
    /// One that has not told anything yet.
    pub(super) fn new() -> Self {
        Self {
            state: SourceState::Waiting,
            heard: None,
            ahead: 0,
            interval: None,
            version: None,
            why: None,
            at: None,
            began: 0,
            ticks: VecDeque::new(),
            endpoints_fresh: false,
            objects: BTreeMap::new(),
            destinations: BTreeMap::new(),
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            envoys: BTreeMap::new(),
            certificates: BTreeMap::new(),
        }
    }

    /// What Kubernetes alone knows: rows without counts.
    pub(super) fn of_rows(rows: Rows, now: u64) -> Self {
        let mut source = Self { endpoints_fresh: true, heard: Some(now), ..Self::new() };
        source.put(rows, now, 0);
        source.forget_counts();
        source
    }

    /// Whether it has told anything.
    pub(super) fn has_told(&self) -> bool {
        !self.ticks.is_empty()
    }

    /// Whether it tells something that is not measured from where the last was.
    pub(super) fn begins(&self, increment: &Increment) -> bool {
        self.at.is_none_or(|at| at.collection != increment.at.collection)
    }

    /// Takes what has changed.
    pub(super) fn take(&mut self, increment: Increment, now: u64, window: u64) {
        let at = increment.unix_millis;
        if self.begins(&increment) {
            self.forget_counts();
            self.began = at;
        }
        let ahead = i64::try_from(now).unwrap_or(0) - i64::try_from(at).unwrap_or(0);
        // What is less is the way here.
        self.ahead = if ahead.abs() > 2_000 { ahead } else { 0 };
        (self.state, self.heard, self.why) = (SourceState::Fresh, Some(now), None);
        self.interval = Some(increment.interval_millis);
        self.version = Some(increment.controller);
        self.at = Some(increment.at);
        self.endpoints_fresh = increment.endpoints_fresh;
        if increment.whole {
            self.keep(&increment.changed);
        }
        if self.ticks.back().is_none_or(|last| *last < at) {
            self.ticks.push_back(at);
        }
        let oldest = at.saturating_sub(window);
        while self.ticks.len() > 2 && self.ticks.front().is_some_and(|tick| *tick < oldest) {
            self.ticks.pop_front();
        }
        self.put(increment.changed, at, window);
        for id in &increment.gone.destinations {
            self.destinations.remove(id);
        }
        let gone = increment.gone;
        gone.objects.iter().for_each(|name| drop(self.objects.remove(name)));
        gone.services.iter().for_each(|name| drop(self.services.remove(name)));
        gone.endpoints.iter().for_each(|key| drop(self.endpoints.remove(key)));
        gone.envoys.iter().for_each(|node| drop(self.envoys.remove(node)));
        gone.certificates.iter().for_each(|name| drop(self.certificates.remove(name)));
    }

    /// What was counted before has nothing to do with what is counted from now on.
    fn forget_counts(&mut self) {
        self.ticks.clear();
        self.destinations.clear();
        self.services.values_mut().for_each(|service| service.counts = Series::default());
        self.endpoints.values_mut().for_each(|endpoint| endpoint.counts = Series::default());
        self.envoys.values_mut().for_each(|envoy| envoy.counts = Series::default());
    }

    /// Drops all rows but these.
    fn keep(&mut self, rows: &Rows) {
        let objects: BTreeSet<_> = rows.objects.iter().map(|row| &row.name).collect();
        self.objects.retain(|name, _| objects.contains(name));
        let ids: BTreeSet<_> = rows.destinations.iter().map(|row| row.id).collect();
        self.destinations.retain(|id, _| ids.contains(id));
        let services: BTreeSet<_> = rows.services.iter().map(|row| &row.service).collect();
        self.services.retain(|service, _| services.contains(service));
        let endpoints: BTreeSet<_> =
            rows.endpoints.iter().map(|row| (&row.service, &row.address)).collect();
        self.endpoints.retain(|(service, address), _| endpoints.contains(&(service, address)));
        let envoys: BTreeSet<_> = rows.envoys.iter().map(|row| &row.node).collect();
        self.envoys.retain(|node, _| envoys.contains(node));
        let certificates: BTreeSet<_> = rows.certificates.iter().map(|row| &row.secret).collect();
        self.certificates.retain(|secret, _| certificates.contains(secret));
    }

    fn put(&mut self, rows: Rows, at: u64, window: u64) {
        let base = at.saturating_sub(window);
        for object in rows.objects {
            self.objects.insert(object.name.clone(), object);
        }
        for named in rows.destinations {
            let (traffic, latency) = (Series::default(), Latencies::default());
            let counted = || Counted { named: named.clone(), traffic, latency };
            self.destinations.entry(named.id).or_insert_with(counted);
        }
        for row in rows.traffic {
            let mut counts = [row.retries; 6];
            counts.iter_mut().zip(row.classes).for_each(|(count, class)| *count = class);
            if let Some(counted) = self.destinations.get_mut(&row.id) {
                counted.traffic.push(at, counts, base);
            }
        }
        for row in rows.latency {
            if let Some(counted) = self.destinations.get_mut(&row.0) {
                counted.latency.push(at, row.1.into(), at.saturating_sub(window.max(LATENCY)));
            }
        }
        for row in rows.services {
            let counts = [row.connect_failures, row.overflows];
            measure(self.services.entry(row.service.clone()), row, (at, counts, base));
        }
        for row in rows.endpoints {
            let counts = [row.requests, row.errors, row.connect_failures];
            let at = if self.endpoints_fresh { at } else { row.seen_unix_millis };
            let key = (row.service.clone(), Arc::clone(&row.address));
            measure(self.endpoints.entry(key), row, (at, counts, base));
        }
        for row in rows.envoys {
            let counts = [row.requests];
            measure(self.envoys.entry(Arc::clone(&row.node)), row, (at, counts, base));
        }
        for certificate in rows.certificates {
            self.certificates.insert(certificate.secret.clone(), certificate);
        }
    }

    /// When it looked last.
    pub(super) fn last(&self) -> Option<u64> {
        self.ticks.back().copied()
    }

    /// Where the window begins, and how many seconds it has; nothing until there were two looks.
    pub(super) fn window(&self) -> Option<(u64, f64)> {
        let (first, last) = (*self.ticks.front()?, *self.ticks.back()?);
        Some((first, seconds(first, last)?))
    }

    /// The same of the time between the last two looks.
    pub(super) fn step(&self) -> Option<(u64, f64)> {
        let before = *self.ticks.iter().rev().nth(1)?;
        Some((before, seconds(before, *self.ticks.back()?)?))
    }

    /// Where percentiles begin.
    pub(super) fn latency_base(&self, window: u64) -> u64 {
        self.last().unwrap_or(0).saturating_sub(window.max(LATENCY)).max(self.began)
    }

    /// A time by its clock, by ours.
    pub(super) fn ours(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.ahead)
    }
}

fn measure<K: Ord, T, const N: usize>(
    entry: Entry<'_, K, Measured<T, N>>,
    row: T,
    (at, counts, base): (u64, [u64; N], u64),
) {
    let measured = match entry {
        Entry::Occupied(occupied) => {
            let measured = occupied.into_mut();
            measured.row = row;
            measured
        }
        Entry::Vacant(vacant) => vacant.insert(Measured { row, counts: Series::default() }),
    };
    measured.counts.push(at, counts, base);
}
