//! What is known while somebody watches: sums over Envoys, and what changed when.
//!
//! A look begins ([`Collection::begin`]), takes what the engine and Envoys say, in any order, and
//! ends ([`Collection::end`]); then whoever watches is told what differs since where they were
//! ([`Collection::since`]). Nothing is kept for any of them.

mod memory;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::memory::{Memory, add};
use self::table::Table;
use super::feed::{
    Certificate, Cursor, Destination, Endpoint, Envoy, Gone, Increment, Latency, Object, Reason,
    Rows, SCHEMA, Service, ServicePort, Traffic,
};
use super::survey::{Buckets, Endpoints, Numbers, Seen};
use crate::name::ObjectName;
use crate::shift::weights::Place;

/// For how many looks it is known what is gone: whoever was away for longer is told everything.
const MEMORY: u64 = 120;

/// Services whose endpoints are asked for in one look, at most.
const SERVICES: usize = 200;

/// Of these, those at most that something is wrong with.
const URGENT: usize = 100;

/// An object, as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its row.
    pub object: Object,
    /// Where its requests go ([`super::destinations`]).
    pub destinations: Vec<(Place, ServicePort, Option<String>)>,
    /// The certificate that it serves its host with.
    pub certificate: Option<Served>,
}

/// A certificate, and a host that it is served at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The Secret.
    pub secret: ObjectName,
    /// The hosts that it is for.
    pub names: Vec<Arc<str>>,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after_unix: i64,
    /// The host.
    pub host: Arc<str>,
}

/// The destinations of an object: their numbers, and the names that Envoys count them under.
type Numbered = BTreeMap<(Place, ServicePort), (u32, Option<String>)>;

/// See the module.
#[derive(Clone, Debug)]
pub struct Collection {
    id: u64,
    tick: u64,
    unix_millis: u64,
    interval_millis: u32,
    /// The last look that has ended, and when it was. Whoever asks while the next one goes on may
    /// be told of a part of it, and is told again of all of it.
    ended: (u64, u64),
    controller: Arc<str>,
    objects: Table<ObjectName, Object>,
    destinations: Table<u32, Destination>,
    traffic: Table<u32, Traffic>,
    latency: Table<u32, Latency>,
    services: Table<ServicePort, Service>,
    endpoints: Table<(ServicePort, Arc<str>), Endpoint>,
    envoys: Table<Arc<str>, Envoy>,
    certificates: Table<ObjectName, Certificate>,
    /// The number of each destination, by the name that Envoys count it under.
    names: BTreeMap<String, u32>,
    /// The numbers of an object's destinations.
    of_object: BTreeMap<ObjectName, Numbered>,
    served: BTreeMap<ObjectName, Served>,
    next: u32,
    memories: BTreeMap<Arc<str>, Memory>,
    sums: Sums,
    /// Destinations whose sums have grown in this look.
    grown: BTreeSet<u32>,
    slower: BTreeSet<u32>,
    /// The services that are asked about in this look.
    asked: BTreeSet<ServicePort>,
    endpoints_fresh: bool,
    /// Where the last round of services ended.
    round: Option<ServicePort>,
    /// How many endpoints each service had, to know when they are others.
    members: BTreeMap<ServicePort, u32>,
}

/// Sums over all Envoys since the collection began.
#[derive(Clone, Debug, Default)]
struct Sums {
    routes: BTreeMap<u32, [u64; 6]>,
    latencies: BTreeMap<u32, BTreeMap<u64, u64>>,
    services: BTreeMap<ServicePort, [u64; 2]>,
    endpoints: BTreeMap<(ServicePort, Arc<str>), [u64; 3]>,
    requests: BTreeMap<Arc<str>, u64>,
}

impl Collection {
    /// A collection that begins at a time in milliseconds since the Unix epoch, which is its name.
    pub fn new(unix_millis: u64, controller: impl Into<Arc<str>>) -> Self {
        Self {
            id: unix_millis,
            tick: 0,
            unix_millis,
            interval_millis: 0,
            ended: (0, unix_millis),
            controller: controller.into(),
            objects: Table::default(),
            destinations: Table::default(),
            traffic: Table::default(),
            latency: Table::default(),
            services: Table::default(),
            endpoints: Table::default(),
            envoys: Table::default(),
            certificates: Table::default(),
            names: BTreeMap::new(),
            of_object: BTreeMap::new(),
            served: BTreeMap::new(),
            next: 0,
            memories: BTreeMap::new(),
            sums: Sums::default(),
            grown: BTreeSet::new(),
            slower: BTreeSet::new(),
            asked: BTreeSet::new(),
            endpoints_fresh: false,
            round: None,
            members: BTreeMap::new(),
        }
    }

    /// Begins a look, at a time in milliseconds since the Unix epoch; the next one is so many
    /// milliseconds later.
    pub fn begin(&mut self, unix_millis: u64, interval_millis: u32) {
        self.tick += 1;
        (self.unix_millis, self.interval_millis) = (unix_millis, interval_millis);
        self.asked.clear();
    }

    /// Where the last look is that has ended.
    pub fn at(&self) -> Cursor {
        let (tick, _) = self.ended;
        Cursor { collection: self.id, tick }
    }

    /// The objects that are known.
    pub fn object_names(&self) -> impl Iterator<Item = &ObjectName> {
        self.objects.keys()
    }

    /// Objects that are new or differ, and those that are gone (`None`).
    pub fn objects(&mut self, objects: Vec<(ObjectName, Option<Watched>)>) {
        let mut certificates = false;
        for (name, watched) in objects {
            let (destinations, served, object) = match watched {
                Some(watched) => (watched.destinations, watched.certificate, Some(watched.object)),
                None => (Vec::new(), None, None),
            };
            self.name_destinations(&name, destinations);
            let before = match served.clone() {
                Some(served) => self.served.insert(name.clone(), served),
                None => self.served.remove(&name),
            };
            certificates |= before != served;
            match object {
                Some(object) => self.objects.put(self.tick, name, object),
                None => self.objects.remove(self.tick, &name),
            }
        }
        if certificates {
            self.certify();
        }
    }

    fn name_destinations(
        &mut self,
        object: &ObjectName,
        destinations: Vec<(Place, ServicePort, Option<String>)>,
    ) {
        let mut before = self.of_object.remove(object).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (place, service, name) in destinations {
            let key = (place, service);
            let known = before.remove(&key).or_else(|| now.remove(&key));
            let (id, _) = known.unwrap_or_else(|| {
                self.next = self.next.saturating_add(1);
                (self.next, None)
            });
            if let Some(name) = &name {
                self.names.insert(name.clone(), id);
            }
            let (place, service) = key.clone();
            let row = Destination { id, object: object.clone(), place, service };
            self.destinations.put(self.tick, id, row);
            now.insert(key, (id, name));
        }
        for (id, name) in before.into_values() {
            if let Some(name) = name {
                self.names.remove(&name);
            }
            self.destinations.remove(self.tick, &id);
            self.traffic.remove(self.tick, &id);
            self.latency.remove(self.tick, &id);
            self.sums.routes.remove(&id);
            self.sums.latencies.remove(&id);
            self.memories.values_mut().for_each(|memory| memory.forget(id));
        }
        if !now.is_empty() {
            self.of_object.insert(object.clone(), now);
        }
    }

    /// Puts together which certificate is served at which hosts.
    fn certify(&mut self) {
        let mut certificates: BTreeMap<ObjectName, Certificate> = BTreeMap::new();
        for served in self.served.values() {
            let certificate = certificates.entry(served.secret.clone()).or_insert_with(|| {
                let (secret, names) = (served.secret.clone(), served.names.clone());
                let not_after_unix = served.not_after_unix;
                Certificate { secret, names, not_after_unix, hosts: Vec::new() }
            });
            certificate.hosts.push(Arc::clone(&served.host));
        }
        self.certificates.retain(self.tick, |secret| certificates.contains_key(secret));
        for (secret, mut certificate) in certificates {
            certificate.hosts.sort();
            certificate.hosts.dedup();
            self.certificates.put(self.tick, secret, certificate);
        }
    }

    /// The Envoys that are connected, without their numbers, which stay as they were.
    pub fn connected(&mut self, envoys: Vec<Envoy>) {
        let nodes: BTreeSet<_> = envoys.iter().map(|envoy| Arc::clone(&envoy.node)).collect();
        self.envoys.retain(self.tick, |node| nodes.contains(node));
        self.memories.retain(|node, _| nodes.contains(node));
        for mut envoy in envoys {
            if let Some(before) = self.envoys.get(&envoy.node) {
                envoy.state = before.state;
                envoy.uptime_seconds = before.uptime_seconds;
                envoy.memory_bytes = before.memory_bytes;
                envoy.connections = before.connections;
                envoy.requests = before.requests;
                envoy.trouble.clone_from(&before.trouble);
                envoy.answered_unix_millis = before.answered_unix_millis;
                envoy.cost = before.cost;
            }
            self.memories.entry(Arc::clone(&envoy.node)).or_default();
            self.envoys.put(self.tick, Arc::clone(&envoy.node), envoy);
        }
    }

    /// The Envoys whose numbers are to be asked for.
    pub fn nodes(&self) -> Vec<Arc<str>> {
        self.envoys.keys().cloned().collect()
    }

    /// What an Envoy answers to [`super::survey::numbers_query`], and what that has cost: microseconds,
    /// and bytes.
    pub fn numbers(&mut self, node: &Arc<str>, answer: Numbers<'_>, cost: (u64, u64)) {
        let Some(memory) = self.memories.get_mut(node) else { return };
        let Numbers {
            routes,
            services,
            state,
            uptime_seconds,
            memory_bytes,
            connections,
            requests,
        } = answer;
        for (name, now) in routes {
            let Some(id) = self.names.get(name) else { continue };
            let added = memory.route(*id, now);
            if added.iter().any(|count| *count > 0) {
                add(self.sums.routes.entry(*id).or_default(), added);
                self.grown.insert(*id);
            }
        }
        for (service, load) in &services {
            let added = memory.service(service, load.counts);
            add(self.sums.services.entry(service.clone()).or_default(), added);
        }
        memory.loads = services;
        let sum = self.sums.requests.entry(Arc::clone(node)).or_default();
        *sum = sum.saturating_add(memory.requests(requests));
        memory.known();
        if let Some(mut envoy) = self.envoys.get(node).cloned() {
            envoy.state = state;
            envoy.uptime_seconds = uptime_seconds;
            envoy.memory_bytes = memory_bytes;
            envoy.connections = Some(connections);
            envoy.requests = *sum;
            envoy.trouble = None;
            envoy.answered_unix_millis = Some(self.unix_millis);
            envoy.cost = Some(cost);
            self.envoys.put(self.tick, Arc::clone(node), envoy);
        }
    }

    /// Why an Envoy gives no numbers.
    pub fn trouble(&mut self, node: &Arc<str>, why: &str) {
        if let Some(mut envoy) = self.envoys.get(node).cloned() {
            envoy.trouble = Some(why.into());
            self.envoys.put(self.tick, Arc::clone(node), envoy);
        }
    }

    /// What an Envoy answers to [`super::survey::latencies_query`].
    pub fn latencies(&mut self, node: &Arc<str>, answer: BTreeMap<String, Buckets>) {
        let Some(memory) = self.memories.get_mut(node) else { return };
        for (name, now) in answer {
            let Some(id) = self.names.get(&name) else { continue };
            let added = memory.latency(*id, now);
            if added.is_empty() {
                continue;
            }
            let sums = self.sums.latencies.entry(*id).or_default();
            for (bound, count) in added {
                let sum = sums.entry(bound).or_default();
                *sum = sum.saturating_add(count);
            }
            self.slower.insert(*id);
        }
        memory.latencies_known();
    }

    /// The services whose endpoints are to be asked for in this look: those first that something
    /// is wrong with, or has changed, and then the others in turn.
    pub fn to_ask(&mut self) -> Vec<ServicePort> {
        let mut all: BTreeSet<ServicePort> =
            self.destinations.rows().map(|row| row.service.clone()).collect();
        let mut urgent: BTreeSet<ServicePort> = BTreeSet::new();
        let mut members: BTreeMap<ServicePort, u32> = BTreeMap::new();
        for (service, load) in self.memories.values().flat_map(|memory| &memory.loads) {
            let Some((total, healthy)) = load.members else { continue };
            all.insert(service.clone());
            if healthy < total || load.ejected > 0 {
                urgent.insert(service.clone());
            }
            let most = members.entry(service.clone()).or_default();
            *most = total.max(*most);
        }
        let failing = self.endpoints.rows().filter(|row| !row.reasons.is_empty());
        urgent.extend(failing.map(|row| row.service.clone()));
        let others = members.iter().filter(|(s, total)| self.members.get(*s) != Some(total));
        urgent.extend(others.map(|(service, _)| service.clone()));
        self.members = members;
        self.endpoints_fresh = all.len() <= SERVICES;
        if self.endpoints_fresh {
            self.asked = all;
        } else {
            self.asked = urgent.into_iter().take(URGENT).collect();
            self.turn(&all);
        }
        self.asked.iter().cloned().collect()
    }

    /// Adds services from where the last round ended.
    fn turn(&mut self, all: &BTreeSet<ServicePort>) {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.round.as_ref().map_or(Unbounded, Excluded);
        let later = all.range((after, Unbounded));
        let room = SERVICES.saturating_sub(self.asked.len());
        let next: Vec<_> = later.chain(all.iter()).take(room).cloned().collect();
        self.round = next.last().cloned();
        self.asked.extend(next);
    }

    /// What an Envoy answers to [`super::survey::endpoints_query`] of [`Self::to_ask`].
    pub fn endpoints(&mut self, node: &Arc<str>, answer: &Endpoints) {
        let Some(memory) = self.memories.get_mut(node) else { return };
        for service in &self.asked {
            let asked_before = memory.ask(service);
            memory.keep_endpoints(service, |key| answer.contains_key(key));
            let first = (service.clone(), Arc::from(""));
            let own = answer.range(first..).take_while(|((s, _), _)| s == service);
            for (key, seen) in own {
                let added = memory.endpoint(key, seen.counts, asked_before);
                add(self.sums.endpoints.entry(key.clone()).or_default(), added);
                memory.seen.insert(key.clone(), seen.clone());
            }
        }
    }

    /// Ends a look: what was said becomes rows.
    pub fn end(&mut self) {
        for id in std::mem::take(&mut self.grown) {
            let Some([classes @ .., retries]) = self.sums.routes.get(&id).copied() else {
                continue;
            };
            self.traffic.put(self.tick, id, Traffic { id, classes, retries });
        }
        for id in std::mem::take(&mut self.slower) {
            let buckets = self.sums.latencies.get(&id).into_iter().flatten();
            let buckets = buckets.map(|(bound, count)| (*bound, *count)).collect();
            self.latency.put(self.tick, id, Latency(id, buckets));
        }
        self.end_services();
        self.end_endpoints();
        self.forget();
        self.ended = (self.tick, self.unix_millis);
    }

    fn end_services(&mut self) {
        let mut services: BTreeMap<ServicePort, Service> = BTreeMap::new();
        for (service, load) in self.memories.values().flat_map(|memory| &memory.loads) {
            let row = services
                .entry(service.clone())
                .or_insert_with(|| Service::unknown(service.clone()));
            if let Some((members, healthy)) = load.members {
                row.members = row.members.max(Some(members));
                row.healthy = Some(row.healthy.map_or(healthy, |least| least.min(healthy)));
            }
            row.ejected = row.ejected.max(load.ejected);
            row.active = row.active.saturating_add(load.active);
            row.connections = row.connections.saturating_add(load.connections);
            row.circuit_open |= load.circuit_open;
        }
        for destination in self.destinations.rows() {
            let service = &destination.service;
            services.entry(service.clone()).or_insert_with(|| Service::unknown(service.clone()));
        }
        self.services.retain(self.tick, |service| services.contains_key(service));
        for (service, mut row) in services {
            let sums = self.sums.services.get(&service).copied().unwrap_or_default();
            [row.connect_failures, row.overflows] = sums;
            self.services.put(self.tick, service, row);
        }
    }

    /// Rows of the endpoints of the services that were asked about.
    fn end_endpoints(&mut self) {
        let mut endpoints: BTreeMap<(ServicePort, Arc<str>), Endpoint> = BTreeMap::new();
        for service in &self.asked {
            let first = (service.clone(), Arc::from(""));
            for memory in self.memories.values() {
                let own = memory.seen.range(first.clone()..).take_while(|((s, _), _)| s == service);
                for (key, seen) in own {
                    let unknown = || Endpoint::unknown(key.0.clone(), Arc::clone(&key.1));
                    let row = endpoints.entry(key.clone()).or_insert_with(unknown);
                    merge(row, seen);
                }
            }
        }
        let (asked, tick) = (&self.asked, self.tick);
        let stays = |key: &(ServicePort, Arc<str>)| {
            (!asked.contains(&key.0) || endpoints.contains_key(key))
                && self.services.get(&key.0).is_some()
        };
        self.endpoints.retain(tick, stays);
        let fresh = self.endpoints_fresh;
        for (key, mut row) in endpoints {
            [row.requests, row.errors, row.connect_failures] =
                self.sums.endpoints.get(&key).copied().unwrap_or_default();
            row.seen_unix_millis = self.unix_millis;
            // While all are asked about in each look, that goes without saying.
            let is_same = |old: &Endpoint, new: &Endpoint| {
                fresh && Endpoint { seen_unix_millis: new.seen_unix_millis, ..old.clone() } == *new
            };
            self.endpoints.put_unless(tick, key, row, is_same);
        }
        let known: BTreeSet<_> = self.endpoints.keys().cloned().collect();
        self.sums.endpoints.retain(|key, _| known.contains(key));
    }

    fn forget(&mut self) {
        let oldest = self.tick.saturating_sub(MEMORY);
        self.objects.forget(oldest);
        self.destinations.forget(oldest);
        self.traffic.forget(oldest);
        self.latency.forget(oldest);
        self.services.forget(oldest);
        self.endpoints.forget(oldest);
        self.envoys.forget(oldest);
        self.certificates.forget(oldest);
        let Self { sums, services, envoys, .. } = self;
        sums.services.retain(|service, _| services.get(service).is_some());
        sums.requests.retain(|node, _| envoys.get(node).is_some());
    }

    /// What differs since a point of the feed; everything if that is not known any more.
    pub fn since(&self, cursor: Option<Cursor>) -> Increment {
        let known = cursor.filter(|cursor| {
            let oldest = self.tick.saturating_sub(MEMORY);
            cursor.collection == self.id && (oldest..=self.ended.0).contains(&cursor.tick)
        });
        let after = known.map_or(0, |cursor| cursor.tick);
        let gone = match known {
            None => Gone::default(),
            Some(_) => Gone {
                objects: self.objects.gone(after),
                destinations: self.destinations.gone(after),
                services: self.services.gone(after),
                endpoints: self.endpoints.gone(after),
                envoys: self.envoys.gone(after),
                certificates: self.certificates.gone(after),
            },
        };
        Increment {
            schema: SCHEMA,
            at: self.at(),
            whole: known.is_none(),
            unix_millis: self.ended.1,
            controller: Arc::clone(&self.controller),
            interval_millis: self.interval_millis,
            endpoints_fresh: self.endpoints_fresh,
            changed: Rows {
                objects: self.objects.changed(after),
                destinations: self.destinations.changed(after),
                traffic: self.traffic.changed(after),
                latency: self.latency.changed(after),
                services: self.services.changed(after),
                endpoints: self.endpoints.changed(after),
                envoys: self.envoys.changed(after),
                certificates: self.certificates.changed(after),
            },
            gone,
        }
    }
}

/// Adds what one Envoy sees.
fn merge(row: &mut Endpoint, seen: &Seen) {
    row.envoys = row.envoys.saturating_add(1);
    row.weight = row.weight.max(seen.weight);
    row.active = row.active.saturating_add(seen.active);
    row.connections = row.connections.saturating_add(seen.connections);
    let mut reasons: BTreeMap<Reason, u32> = row.reasons.iter().copied().collect();
    for reason in &seen.reasons {
        let count = reasons.entry(*reason).or_default();
        *count = count.saturating_add(1);
    }
    row.reasons = reasons.into_iter().collect();
}

#[cfg(test)]
mod tests;
