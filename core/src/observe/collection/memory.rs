//! What one Envoy said last, and what was added to that since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::observe::feed::ServicePort;
use crate::observe::survey::{Load, Seen};

/// Counts of one Envoy: where it was, so that what it says next can be told apart from it.
///
/// The first that is heard of an Envoy is where counting begins; a count that turns up later
/// began at 0; one that got smaller began anew, so that all of it is new.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    is_known: bool,
    has_latencies: bool,
    routes: BTreeMap<u32, [u64; 6]>,
    latencies: BTreeMap<u32, BTreeMap<u64, u64>>,
    services: BTreeMap<ServicePort, [u64; 2]>,
    endpoints: BTreeMap<(ServicePort, Arc<str>), [u64; 3]>,
    /// The services whose endpoints have been asked for.
    asked: BTreeSet<ServicePort>,
    requests: u64,
    /// What it says of services now.
    pub(super) loads: BTreeMap<ServicePort, Load>,
    /// What it says of endpoints, as it was asked last.
    pub(super) seen: BTreeMap<(ServicePort, Arc<str>), Seen>,
}

/// What was added to each count.
fn added<const N: usize>(before: [u64; N], now: [u64; N]) -> [u64; N] {
    let mut added = now;
    for (added, before) in added.iter_mut().zip(before) {
        *added = added.checked_sub(before).unwrap_or(*added);
    }
    added
}

/// Adds counts to sums.
pub(super) fn add<const N: usize>(sums: &mut [u64; N], counts: [u64; N]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(count);
    }
}

impl Memory {
    /// Ends a look at all counts; from now on, what turns up began at 0.
    pub(super) fn known(&mut self) {
        self.is_known = true;
    }

    /// The same of latencies.
    pub(super) fn latencies_known(&mut self) {
        self.has_latencies = true;
    }

    pub(super) fn route(&mut self, id: u32, now: [u64; 6]) -> [u64; 6] {
        let before = self.routes.insert(id, now);
        added(before.unwrap_or(if self.is_known { [0; 6] } else { now }), now)
    }

    /// What was added to the buckets of a route.
    pub(super) fn latency(&mut self, id: u32, now: BTreeMap<u64, u64>) -> BTreeMap<u64, u64> {
        let count = |buckets: &BTreeMap<u64, u64>| {
            buckets.values().fold(0_u64, |sum, count| sum.saturating_add(*count))
        };
        let before = match self.latencies.get(&id) {
            Some(before) if count(before) <= count(&now) => before.clone(),
            None if !self.has_latencies => now.clone(),
            Some(_) | None => BTreeMap::new(),
        };
        let mut out = BTreeMap::new();
        for (bound, count) in &now {
            let added = count.saturating_sub(before.get(bound).copied().unwrap_or(0));
            if added > 0 {
                out.insert(*bound, added);
            }
        }
        self.latencies.insert(id, now);
        out
    }

    pub(super) fn service(&mut self, service: &ServicePort, now: [u64; 2]) -> [u64; 2] {
        let before = self.services.insert(service.clone(), now);
        added(before.unwrap_or(if self.is_known { [0; 2] } else { now }), now)
    }

    /// Whether the endpoints of a service have been asked for before; they have from now on.
    pub(super) fn ask(&mut self, service: &ServicePort) -> bool {
        !self.asked.insert(service.clone())
    }

    pub(super) fn endpoint(
        &mut self,
        key: &(ServicePort, Arc<str>),
        now: [u64; 3],
        asked_before: bool,
    ) -> [u64; 3] {
        let before = self.endpoints.insert(key.clone(), now);
        added(before.unwrap_or(if asked_before { [0; 3] } else { now }), now)
    }

    pub(super) fn requests(&mut self, now: u64) -> u64 {
        let before = if self.is_known { self.requests } else { now };
        self.requests = now;
        let [added] = added([before], [now]);
        added
    }

    /// Forgets the endpoints of a service that it does not name any more.
    pub(super) fn keep_endpoints(
        &mut self,
        service: &ServicePort,
        named: impl Fn(&(ServicePort, Arc<str>)) -> bool,
    ) {
        self.seen.retain(|key, _| key.0 != *service || named(key));
        self.endpoints.retain(|key, _| key.0 != *service || named(key));
    }

    /// Forgets a destination.
    pub(super) fn forget(&mut self, id: u32) {
        self.routes.remove(&id);
        self.latencies.remove(&id);
    }
}
