//! A frame, out of what is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::series::{Sum, real};
use super::source::{Measured, Source};
use super::{Board, EVENTS, Slot, warnings};
use crate::name::ObjectName;
use crate::observe::feed::{self, Object, Reason, ServicePort};
use crate::shift::weights::{Place, Weights};
use crate::top::frame::{
    self, Certificate, Coverage, Destination, Endpoint, Envoy, Event, Frame, Route, SCHEMA,
    SourceState, Upstream,
};

/// A source that has missed so many looks is late.
const LATE: u64 = 3;

/// What is known of a service.
#[derive(Clone, Debug, Default)]
struct Load {
    members: Option<u32>,
    healthy: Option<u32>,
    ejected: u32,
    gauges: Option<(u64, u64)>,
    connect_failures: Option<f64>,
    overflows: Option<f64>,
    circuit_open: bool,
}

impl Board {
    /// All there is to be seen at a time in milliseconds since the Unix epoch.
    pub fn frame(&mut self, now: u64) -> Frame {
        self.order();
        let known = self.known();
        let objects = objects(&known);
        let loads = loads(&known);
        let (routes, sums) = self.routes(&objects, &loads);
        let upstreams = self.upstreams(&loads, sums);
        let mut frame = Frame {
            schema: SCHEMA,
            unix_millis: now,
            window_millis: self.window,
            coverage: self.coverage(now),
            warnings: Vec::new(),
            routes,
            upstreams,
            endpoints: self.endpoints(&known, now),
            envoys: self.envoys(),
            certificates: certificates(&known, now),
            shifts: self.shifts.clone(),
            events: self.happened(),
        };
        frame.warnings = warnings::of(&frame);
        frame
    }

    fn coverage(&self, now: u64) -> Coverage {
        let mut coverage = Coverage { limits: self.limits.clone(), ..Coverage::default() };
        for (name, source) in &self.sources {
            let age = source.heard.map(|heard| now.saturating_sub(heard));
            let patience = u64::from(source.interval.unwrap_or(1_000)).saturating_mul(LATE);
            let late = age.filter(|age| *age > patience);
            let lost = age.filter(|_| source.state == SourceState::Lost);
            coverage.stale_millis = coverage.stale_millis.max(lost.or(late));
            for envoy in source.envoys.values() {
                coverage.envoys = coverage.envoys.saturating_add(1);
                if envoy.row.trouble.is_none() {
                    coverage.answered = coverage.answered.saturating_add(1);
                }
            }
            coverage.sources.push(frame::Source {
                name: Arc::clone(name),
                state: source.state,
                heard_unix_millis: source.heard,
                interval_millis: source.interval,
                version: source.version.clone(),
                why: source.why.clone(),
            });
        }
        coverage
    }

    /// All routes, and the traffic of each service.
    fn routes(
        &self,
        objects: &BTreeMap<&ObjectName, &Object>,
        loads: &BTreeMap<&ServicePort, Load>,
    ) -> (Vec<Route>, BTreeMap<ServicePort, (Sum, u32)>) {
        let mut sums: BTreeMap<ServicePort, (Sum, u32)> = BTreeMap::new();
        let mut routes = Vec::with_capacity(self.routes.len());
        let mut objects_left = objects.clone();
        for ((name, place), slot) in &self.routes {
            objects_left.remove(name);
            let object = objects.get(name).copied();
            let weights = object.and_then(|o| o.weights.iter().find(|w| w.place() == place));
            let mut whole = Sum::default();
            let mut destinations = Vec::new();
            for (service, weight) in services(name, weights, slot) {
                let sum = self.sum(slot.counted.get(&service));
                whole.merge(&sum);
                let (of_service, routes) = sums.entry(service.clone()).or_default();
                of_service.merge(&sum);
                *routes = routes.saturating_add(1);
                destinations.push(destination(service, weight, (sum, place), loads));
            }
            shares(&mut destinations, weights);
            let trend = slot.trend.values();
            routes.push(route((name, place), object, whole.numbers(trend), (destinations, loads)));
        }
        // An object that has no sound route is there all the same.
        for (name, object) in objects_left {
            let numbers = frame::Numbers::default();
            let none = Place::Route(Arc::from(""));
            routes.push(route((name, &none), Some(object), numbers, (Vec::new(), loads)));
        }
        routes.sort_by(|a, b| (&a.object, &a.matches).cmp(&(&b.object, &b.matches)));
        (routes, sums)
    }

    /// What was counted in the window for a destination, over all controllers.
    fn sum(&self, counted: Option<&Vec<(Arc<str>, u32)>>) -> Sum {
        let mut sum = Sum::default();
        for (name, id) in counted.into_iter().flatten() {
            let Some(source) = self.sources.get(name) else { continue };
            let Some(counted) = source.destinations.get(id) else { continue };
            if let Some((base, seconds)) = source.window() {
                sum.count(counted.traffic.since(base), seconds);
            }
            counted.latency.since(source.latency_base(self.window), sum.latency());
        }
        sum
    }

    fn upstreams(
        &self,
        loads: &BTreeMap<&ServicePort, Load>,
        mut sums: BTreeMap<ServicePort, (Sum, u32)>,
    ) -> Vec<Upstream> {
        for service in loads.keys() {
            sums.entry((*service).clone()).or_default();
        }
        let upstreams = sums.into_iter().map(|(service, (sum, routes))| {
            let load = loads.get(&service).cloned().unwrap_or_default();
            let trend = self.services.get(&service).map(super::Trend::values);
            Upstream {
                routes,
                members: load.members,
                healthy: load.healthy,
                ejected: load.ejected,
                numbers: sum.numbers(trend.unwrap_or_default()),
                active: load.gauges.map(|(active, _)| active),
                connections: load.gauges.map(|(_, connections)| connections),
                connect_failures_per_second: load.connect_failures,
                overflows_per_second: load.overflows,
                circuit_open: load.circuit_open,
                service,
            }
        });
        upstreams.collect()
    }

    fn endpoints(&self, known: &[&Source], now: u64) -> Vec<Endpoint> {
        let mut endpoints: BTreeMap<(&ServicePort, &Arc<str>), Endpoint> = BTreeMap::new();
        for source in known {
            let tells = source.has_told();
            for ((service, address), measured) in &source.endpoints {
                let (age, pace) = self.of_endpoint(source, measured, now);
                let added = endpoint((service, address), &measured.row, (tells, age, pace));
                match endpoints.entry((service, address)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(added);
                    }
                    Entry::Occupied(mut there) => merge_endpoint(there.get_mut(), added),
                }
            }
        }
        let mut endpoints: Vec<_> = endpoints.into_values().collect();
        for endpoint in &mut endpoints {
            let ip = endpoint.address.rsplit_once(':').map_or(&*endpoint.address, |(ip, _)| ip);
            if let Some(pod) = self.pods.get(ip.trim_matches(['[', ']'])) {
                endpoint.pod = Some(Arc::clone(&pod.name));
                endpoint.node = Some(Arc::clone(&pod.node)).filter(|node| !node.is_empty());
            }
        }
        endpoints
    }

    /// How old what is known of an endpoint is, and its requests, errors and failed connections a
    /// second.
    fn of_endpoint(
        &self,
        source: &Source,
        measured: &Measured<feed::Endpoint, 3>,
        now: u64,
    ) -> (u64, Option<[f64; 3]>) {
        let lost = source.state == SourceState::Lost;
        let lost = source.heard.filter(|_| lost).map_or(0, |heard| now.saturating_sub(heard));
        if source.endpoints_fresh {
            let window = source.window();
            let pace = window.map(|(base, s)| measured.counts.since(base).map(|n| real(n) / s));
            return (lost, pace);
        }
        let seen = measured.row.seen_unix_millis;
        let age = source.last().map_or(0, |last| last.saturating_sub(seen));
        (age.saturating_add(lost), measured.counts.pace(self.window))
    }

    fn envoys(&self) -> Vec<Envoy> {
        let mut envoys = Vec::new();
        for (name, source) in self.told() {
            let window = source.window();
            for measured in source.envoys.values() {
                let rate = window.map(|(base, seconds)| {
                    let [requests] = measured.counts.since(base);
                    real(requests) / seconds
                });
                envoys.push(envoy(name, source, &measured.row, rate));
            }
        }
        drift(&mut envoys);
        envoys.sort_by(|a, b| (&a.node, &a.source).cmp(&(&b.node, &b.source)));
        envoys
    }

    fn happened(&self) -> Vec<Event> {
        let mut events: Vec<_> = self.news.iter().chain(&self.events).cloned().collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.unix_millis));
        events.truncate(EVENTS);
        events
    }
}

/// Objects by name, as the first source tells them that knows them, those that are heard first.
fn objects<'a>(known: &[&'a Source]) -> BTreeMap<&'a ObjectName, &'a Object> {
    let mut objects = BTreeMap::new();
    let (fresh, others): (Vec<&Source>, Vec<&Source>) =
        known.iter().copied().partition(|source| source.state == SourceState::Fresh);
    for source in fresh.into_iter().chain(others) {
        for (name, object) in &source.objects {
            objects.entry(name).or_insert(object);
        }
    }
    objects
}

fn loads<'a>(known: &[&'a Source]) -> BTreeMap<&'a ServicePort, Load> {
    let mut loads: BTreeMap<&ServicePort, Load> = BTreeMap::new();
    for source in known {
        let tells = source.has_told();
        for (service, measured) in &source.services {
            let (load, row) = (loads.entry(service).or_default(), &measured.row);
            load.members = load.members.max(row.members);
            load.healthy = match (load.healthy, row.healthy) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            load.ejected = load.ejected.max(row.ejected);
            load.circuit_open |= row.circuit_open;
            if tells {
                let (active, connections) = load.gauges.get_or_insert_default();
                *active = active.saturating_add(row.active);
                *connections = connections.saturating_add(row.connections);
            }
            if let Some((base, seconds)) = source.window() {
                let [failures, overflows] = measured.counts.since(base);
                *load.connect_failures.get_or_insert_default() += real(failures) / seconds;
                *load.overflows.get_or_insert_default() += real(overflows) / seconds;
            }
        }
    }
    loads
}

/// The services of a route with their weights: as written, and then those that still have counts.
fn services(
    object: &ObjectName,
    weights: Option<&Weights>,
    slot: &Slot,
) -> Vec<(ServicePort, Option<u32>)> {
    let written = weights.map_or(&[][..], Weights::services).iter().filter_map(|written| {
        let port = u16::try_from(written.0.port).ok()?;
        let name = Arc::clone(&written.0.name);
        Some((ServicePort::new(Arc::clone(&object.namespace), name, port), written.1))
    });
    let mut services: Vec<_> = written.collect();
    if weights.is_none() {
        services.extend(slot.counted.keys().map(|service| (service.clone(), None)));
    }
    services
}

fn destination(
    service: ServicePort,
    weight: Option<u32>,
    (sum, place): (Sum, &Place),
    loads: &BTreeMap<&ServicePort, Load>,
) -> Destination {
    let load = loads.get(&service);
    let numbers = match place {
        Place::Route(_) => sum.numbers(Vec::new()),
        // Envoy does not count them by route.
        Place::Tcp => frame::Numbers::default(),
    };
    Destination {
        weight,
        share: None,
        numbers,
        members: load.and_then(|load| load.members),
        healthy: load.and_then(|load| load.healthy),
        ejected: load.map_or(0, |load| load.ejected),
        service,
    }
}

/// Shares as Envoy takes weights: relative to their sum, unset ones 0; equal if that is 0.
fn shares(destinations: &mut [Destination], weights: Option<&Weights>) {
    if weights.is_none() || destinations.is_empty() {
        return;
    }
    let total: f64 = destinations.iter().map(|d| f64::from(d.weight.unwrap_or(0))).sum();
    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    let equal = 100.0 / destinations.len() as f64;
    for destination in destinations {
        let weight = f64::from(destination.weight.unwrap_or(0));
        destination.share = Some(if total > 0.0 { weight * 100.0 / total } else { equal });
    }
}

fn route(
    (name, place): (&ObjectName, &Place),
    object: Option<&Object>,
    numbers: frame::Numbers,
    (destinations, loads): (Vec<Destination>, &BTreeMap<&ServicePort, Load>),
) -> Route {
    let of = |value: fn(&Load) -> Option<f64>| {
        let values = destinations.iter().filter_map(|d| value(loads.get(&d.service)?));
        values.reduce(|a, b| a + b)
    };
    let active = destinations.iter().filter_map(|d| loads.get(&d.service)?.gauges);
    let active = active.map(|(active, _)| active).reduce(u64::saturating_add);
    let overflows_per_second = of(|load| load.overflows);
    Route {
        object: name.clone(),
        matches: match place {
            Place::Route(prefix) => Arc::clone(prefix),
            Place::Tcp => "tcpproxy".into(),
        },
        hosts: object.map(|object| object.hosts.clone()).unwrap_or_default(),
        state: object.and_then(|object| object.state.clone()),
        errors: object.map(|object| object.errors.clone()).unwrap_or_default(),
        numbers: match place {
            Place::Route(_) => numbers,
            Place::Tcp => frame::Numbers::default(),
        },
        active,
        overflows_per_second,
        destinations,
    }
}

fn endpoint(
    (service, address): (&ServicePort, &Arc<str>),
    row: &feed::Endpoint,
    (tells, age, pace): (bool, u64, Option<[f64; 3]>),
) -> Endpoint {
    let [rate, errors, failures] = match pace {
        Some(pace) => pace.map(Some),
        None => [None; 3],
    };
    Endpoint {
        service: service.clone(),
        address: Arc::clone(address),
        pod: None,
        node: None,
        envoys: row.envoys,
        reasons: row.reasons.clone(),
        weight: tells.then_some(row.weight),
        active: tells.then_some(row.active),
        connections: tells.then_some(row.connections),
        requests_per_second: rate,
        errors_percent: match (errors, rate) {
            (Some(errors), Some(rate)) if rate > 0.0 => Some((errors * 100.0 / rate).min(100.0)),
            (_, _) => None,
        },
        connect_failures_per_second: failures,
        age_millis: age,
    }
}

/// Adds what another controller says of an endpoint.
fn merge_endpoint(ours: &mut Endpoint, theirs: Endpoint) {
    let sum = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
    let failed = |e: &Endpoint| Some(e.errors_percent? * e.requests_per_second? / 100.0);
    let failed = sum(failed(ours), failed(&theirs));
    ours.envoys = ours.envoys.saturating_add(theirs.envoys);
    let mut reasons: BTreeMap<Reason, u32> = ours.reasons.iter().copied().collect();
    for (reason, envoys) in theirs.reasons {
        let count = reasons.entry(reason).or_default();
        *count = count.saturating_add(envoys);
    }
    ours.reasons = reasons.into_iter().collect();
    ours.requests_per_second = sum(ours.requests_per_second, theirs.requests_per_second);
    ours.errors_percent = match (failed, ours.requests_per_second) {
        (Some(failed), Some(rate)) if rate > 0.0 => Some(failed * 100.0 / rate),
        (_, _) => None,
    };
    let failures = (ours.connect_failures_per_second, theirs.connect_failures_per_second);
    ours.connect_failures_per_second = sum(failures.0, failures.1);
    let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    ours.active = add(ours.active, theirs.active);
    ours.connections = add(ours.connections, theirs.connections);
    ours.age_millis = ours.age_millis.max(theirs.age_millis);
}

fn envoy(name: &Arc<str>, source: &Source, row: &feed::Envoy, rate: Option<f64>) -> Envoy {
    let mut types = row.types.clone();
    for held in &mut types {
        held.acknowledged_unix_millis = held.acknowledged_unix_millis.map(|at| source.ours(at));
    }
    let behind = |held: &feed::Held| held.outstanding.saturating_add(held.pending);
    Envoy {
        node: Arc::clone(&row.node),
        source: Arc::clone(name),
        version: row.version.clone(),
        address: row.address.clone(),
        connected_unix_millis: source.ours(row.connected_unix_millis),
        state: row.state,
        uptime_seconds: row.uptime_seconds,
        memory_bytes: row.memory_bytes,
        connections: row.connections,
        requests_per_second: rate.filter(|_| row.answered_unix_millis.is_some()),
        held: types.iter().fold(0, |sum, held| sum.saturating_add(held.held)),
        behind: types.iter().fold(0, |sum, held| sum.saturating_add(behind(held))),
        acknowledged_unix_millis: types.iter().filter_map(|t| t.acknowledged_unix_millis).max(),
        drift: Vec::new(),
        types,
        rejections: row.rejections.clone(),
        trouble: row.trouble.clone(),
        cost: row.cost,
    }
}

/// Says of each Envoy which types it has otherwise than most. What is on the way says nothing, and
/// certificates are asked for by each as its clients want them.
fn drift(envoys: &mut [Envoy]) {
    let mut votes: BTreeMap<(Arc<str>, Arc<str>), usize> = BTreeMap::new();
    for held in envoys.iter().flat_map(settled) {
        *votes.entry(held).or_default() += 1;
    }
    let mut usual: BTreeMap<Arc<str>, (usize, Arc<str>)> = BTreeMap::new();
    for ((kind, digest), count) in votes {
        let best = usual.entry(kind).or_insert_with(|| (0, Arc::clone(&digest)));
        if count > best.0 {
            *best = (count, digest);
        }
    }
    for envoy in envoys {
        let drift = settled(envoy)
            .filter(|(kind, digest)| usual.get(kind).is_some_and(|(_, most)| most != digest));
        let drift: Vec<_> = drift.map(|(kind, _)| kind).collect();
        envoy.drift = drift;
    }
}

fn settled(envoy: &Envoy) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
    let types = envoy
        .types
        .iter()
        .filter(|held| held.outstanding == 0 && held.pending == 0 && &*held.kind != "sds");
    types.filter_map(|held| Some((Arc::clone(&held.kind), Arc::clone(held.digest.as_ref()?))))
}

fn certificates(known: &[&Source], now: u64) -> Vec<Certificate> {
    let mut certificates: BTreeMap<&ObjectName, Certificate> = BTreeMap::new();
    let seconds = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
    for (secret, row) in known.iter().flat_map(|source| &source.certificates) {
        certificates.entry(secret).or_insert_with(|| Certificate {
            secret: secret.clone(),
            names: row.names.clone(),
            hosts: row.hosts.clone(),
            not_after_unix: row.not_after_unix,
            left_seconds: row.not_after_unix.saturating_sub(seconds),
        });
    }
    certificates.into_values().collect()
}
