//! A world of one seed: the API server, a controller and its Envoys, and what must hold of them.

mod ending;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contour_cluster::scope::Scope;
use contour_cluster::watch::{self, Output};
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::pipeline::{Change, Gaps, Options};
use contour_core::status::Address;
use contour_core::xds::{Resource, ResourceKey, ResourceType};
use fastrand::Rng;
use tokio::sync::{broadcast, watch as signal};

use super::super::{Ads, Settings};
use super::envoy::{Envoy, Memory};
use super::link::{Around, Blip, Faults, Link};
use super::objects::{self, Draft, SECURE};
use super::server::Server;
use crate::config::Safeguards;
use crate::engine::{Engine, Parts};
use crate::metrics::Metrics;
use crate::source::Batch;
use crate::source::kubernetes::Unread;
use ending::{decoded, pipeline};
pub(super) use tally::Tally;

/// A part of the controller that can be taken away, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything is listed again and compared from time to time.
    Comparison,
    /// Nothing is published before everything has been told.
    Gate,
    /// What could not be read at a start is kept.
    Hold,
}

/// How a world is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    /// What the controller lacks.
    pub(super) without: Option<Part>,
    /// The story is told, to whoever replays a seed.
    pub(super) tells: bool,
}

impl Switches {
    fn has(self, part: Part) -> bool {
        self.without != Some(part)
    }
}

/// The longest that a watch lives, and something more.
const LIFE: Duration = Duration::from_mins(11);

/// A kind that is missing, as far as the API server says, but for a moment only, must not be
/// missed: shorter than the time after which it counts as empty, before and after the start.
const SHORT: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(45));

/// How long it may also last at a start: it counts as empty then, but Envoys keep what they have.
const LONG: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct World {
    rng: Rng,
    base: Instant,
    now: Duration,
    server: Server,
    faults: Faults,
    can_stream: bool,
    settings: watch::Settings,
    switches: Switches,
    metrics: Arc<Metrics>,
    links: Vec<Link>,
    engine: Engine,
    ads: Ads,
    is_synced: bool,
    unread: Unread,
    /// What has not been read since the start.
    gaps: Gaps,
    addresses: Vec<Address>,
    envoys: Vec<Envoy>,
    batch: usize,
    /// What bystanders are turned into, whatever happens to others.
    expected: BTreeMap<ResourceKey, Arc<Resource>>,
    /// Whether bystanders have vanished with the definition of their kind.
    is_vanished: bool,
    was_good: BTreeSet<ObjectRef>,
    pub(super) tally: Tally,
    digest: DefaultHasher,
}

fn engine(metrics: &Arc<Metrics>) -> (Engine, Ads) {
    let ads = Ads::new(Settings::default());
    let parts = Parts {
        options: Options::default(),
        ads: ads.clone(),
        rewrite: None,
        metrics: Arc::clone(metrics),
        events: broadcast::Sender::new(1),
        synced: signal::Sender::new(false),
        safeguards: Safeguards::default(),
        status: None,
    };
    (Engine::new(parts), ads)
}

/// Runs the world of a seed from its beginning to its end.
pub(super) fn run(seed: u64, switches: Switches) -> Result<Tally, String> {
    let mut world = World::new(seed, switches);
    let steps = world.rng.usize(30..110);
    for _ in 0..steps {
        world.step()?;
    }
    world.come_to_rest()?;
    world.check_end()?;
    for number in 0..world.links.len() {
        let counts = world.links[number].counts;
        world.tally.count(&counts);
    }
    world.tally.refusals = world.envoys.iter().map(|e| e.refusals).sum();
    world.tally.digest = world.digest.finish();
    Ok(world.tally)
}

impl World {
    fn new(seed: u64, switches: Switches) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut server = Server::new();
        for draft in objects::bystanders() {
            server.put(draft);
        }
        let still = pipeline(&server);
        let expected = still.resources().map(|r| (r.key.clone(), Arc::clone(r))).collect();
        let compare = [Duration::from_mins(2), Duration::from_mins(30)][rng.usize(0..2)];
        let settings = watch::Settings {
            page: rng.u32(1..8),
            compare: if switches.has(Part::Comparison) { compare } else { Duration::MAX },
            ..watch::Settings::default()
        };
        let mut level = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
        let faults = Faults {
            refuse: level(0.5),
            cut: level(0.4),
            slow: level(0.3),
            lose: level(0.4),
            repeat: level(0.4),
            reorder: level(0.4),
            mute: level(0.4),
        };
        let metrics = Arc::new(Metrics::default());
        let (engine, ads) = engine(&metrics);
        let envoys = (0..rng.usize(1..4)).map(|n| Envoy::new(n, rng.u8(0..4) == 0)).collect();
        let mut world = Self {
            base: Instant::now(),
            now: Duration::from_secs(1),
            server,
            faults,
            can_stream: rng.bool(),
            settings,
            switches,
            metrics,
            links: Vec::new(),
            engine,
            ads,
            is_synced: false,
            unread: Unread::default(),
            gaps: Gaps::default(),
            addresses: Vec::new(),
            envoys,
            batch: rng.usize(1..6),
            expected,
            is_vanished: false,
            was_good: BTreeSet::new(),
            tally: Tally::default(),
            digest: DefaultHasher::new(),
            rng,
        };
        let service = objects::envoy_service(&mut world.rng);
        world.server.put(service);
        for _ in 0..world.rng.usize(0..20) {
            world.change();
        }
        world.start_links();
        world
    }

    fn start_links(&mut self) {
        let envoy = ObjectName::new(objects::ENVOY.0, objects::ENVOY.1);
        for link in &self.links {
            self.tally.count(&link.counts);
        }
        let scopes = Scope::all(&[], Some(&envoy));
        let links =
            scopes.into_iter().map(|s| Link::new(s, self.settings, self.can_stream, self.now));
        self.links = links.collect();
        self.addresses.clear();
        self.is_synced = false;
        (self.unread, self.gaps) = (Unread::default(), Gaps::default());
        for number in 0..self.links.len() {
            if self.rng.u8(0..4) == 0 {
                self.blip(number);
            }
        }
    }

    fn is_partial(&self) -> bool {
        !self.gaps.is_empty()
    }

    fn instant(&self) -> Instant {
        self.base + self.now
    }

    fn step(&mut self) -> Result<(), String> {
        let time = match self.rng.u8(0..40) {
            0 => self.rng.u64(0..600_000),
            1..=5 => self.rng.u64(0..30_000),
            _ => self.rng.u64(0..500),
        };
        for _ in 0..self.rng.usize(0..3) {
            self.change();
        }
        self.mishap();
        self.pass(Duration::from_millis(time))?;
        for _ in 0..self.rng.usize(0..12) {
            self.envoy_acts()?;
        }
        Ok(())
    }

    /// Time passes, in parts small enough to be true.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        loop {
            let due = self.links.iter().map(Link::due).min().unwrap_or(end);
            let due = due.max(self.now + Duration::from_millis(1));
            self.now = (self.now + Duration::from_secs(20)).min(due).min(end);
            self.move_links()?;
            for envoy in &mut self.envoys {
                envoy.changed(&self.ads.shared.catalog, self.base + self.now);
            }
            if self.now >= end {
                return Ok(());
            }
        }
    }

    fn move_links(&mut self) -> Result<(), String> {
        let mut gathered = Batch::default();
        for number in 0..self.links.len() {
            let Self { links, server, rng, faults, now, .. } = self;
            let tells = self.switches.tells;
            let mut around = Around { server, rng, faults: *faults, now: *now, tells };
            let output = links[number].step(&mut around)?;
            if tells && !output.is_empty() {
                eprintln!("{:?} {output:?}", self.now);
            }
            self.unread.heard(self.links[number].scope(), &output);
            self.take_in(output, &mut gathered);
            if self.rng.bool() {
                self.apply(std::mem::take(&mut gathered))?;
            }
        }
        let all = self.links.iter().all(|link| link.is_complete);
        gathered.synced = all && !self.is_synced;
        if gathered.synced {
            self.unread.synced();
            self.tally.partial += u64::from(self.is_partial());
        }
        self.is_synced |= all;
        self.apply(gathered)
    }

    fn take_in(&mut self, output: Output, batch: &mut Batch) {
        if let Some(addresses) = output.addresses {
            self.addresses = addresses;
        }
        batch.changes.extend(output.changes);
        if let Some(unread) = self.unread.take().filter(|_| self.switches.has(Part::Hold)) {
            self.gaps = unread.gaps.clone();
            batch.unread = Some(unread);
        }
    }

    fn apply(&mut self, mut batch: Batch) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.synced |= !self.switches.has(Part::Gate);
        self.engine.apply(batch);
        self.check_bystanders()
    }

    /// What is published of bystanders is what it always was.
    fn check_bystanders(&self) -> Result<(), String> {
        let catalog = &self.ads.shared.catalog;
        if catalog.sequence() == 0 || self.is_vanished || self.is_partial() {
            return Ok(());
        }
        let group = catalog.group(None);
        for (key, resource) in &self.expected {
            let Some((version, _)) = catalog.newest(key, group) else {
                return Err(format!("{key} of a bystander is not published at {:?}", self.now));
            };
            if version != resource.version && key.kind != ResourceType::Listener {
                return Err(format!("{key} of a bystander was changed at {:?}", self.now));
            }
        }
        Ok(())
    }

    /// Somebody changes an object.
    fn change(&mut self) {
        self.tally.changes += 1;
        let choice = self.rng.u8(0..20);
        if choice == 0 {
            let draft = objects::envoy_service(&mut self.rng);
            return self.server.put(draft);
        }
        if choice <= 3 {
            let all: Vec<_> = self.server.objects().map(|(k, n, _)| (k, n.clone())).collect();
            let Some((kind, name)) = all.get(self.rng.usize(0..all.len().max(1))) else { return };
            return self.server.touch(*kind, name);
        }
        let mut draft = objects::object(&mut self.rng);
        let reference = draft.name().of(draft.kind);
        match choice {
            4..=7 => self.server.delete(draft.kind, &reference.name),
            8 => {
                self.tally.poisoned += 1;
                objects::poison(&mut draft);
                self.server.put(draft);
            }
            _ => {
                self.was_good.insert(reference);
                self.server.put(draft);
            }
        }
    }

    /// Something goes wrong, at times.
    fn mishap(&mut self) {
        let kinds = [Kind::IngressRoute, Kind::Service, Kind::EndpointSlice, Kind::Secret];
        let kind = kinds[self.rng.usize(0..kinds.len())];
        match self.rng.u8(0..60) {
            0..=2 => self.server.compact(kind),
            3 | 4 => self.server.forget_lists(),
            5 | 6 => {
                let number = self.rng.usize(0..self.links.len());
                self.blip(number);
            }
            7 => self.restart(),
            8 if self.rng.u8(0..3) == 0 => {
                let kind =
                    [Kind::IngressRoute, Kind::TlsCertificateDelegation][self.rng.usize(0..2)];
                self.is_vanished = true;
                self.tally.undefined += 1;
                self.server.undefine(kind);
            }
            9 | 10 => {
                for kind in [Kind::IngressRoute, Kind::TlsCertificateDelegation] {
                    if self.server.of(kind).is_gone {
                        self.server.define(kind);
                    }
                }
            }
            _ => {}
        }
    }

    /// For a while a kind seems to be missing or forbidden, but is not; perhaps again after the
    /// API server has failed otherwise.
    fn blip(&mut self, number: usize) {
        let Self { links, rng, .. } = self;
        if !links[number].blips.is_empty() {
            return;
        }
        let longest = match self.is_synced {
            true => SHORT.1,
            false if rng.u8(0..3) == 0 => LONG,
            false => SHORT.0,
        };
        let mut until = self.now;
        for round in 0..rng.u8(1..4) {
            if round > 0 {
                // Longer than the pause after a 404, so that it is heard of.
                until += Duration::from_secs(rng.u64(15..90));
                links[number].blips.push_back(Blip { code: 503, until });
            }
            until += longest.mul_f64(rng.f64());
            let code = if rng.bool() { 403 } else { 404 };
            links[number].blips.push_back(Blip { code, until });
        }
        until += Duration::from_secs(15);
        links[number].blips.push_back(Blip { code: 500, until });
        self.tally.blips += 1;
    }

    /// The controller is restarted, or the Envoys find another one.
    fn restart(&mut self) {
        self.tally.restarts += 1;
        (self.engine, self.ads) = engine(&self.metrics);
        self.envoys.iter_mut().for_each(Envoy::disconnect);
        self.start_links();
    }

    fn envoy_acts(&mut self) -> Result<(), String> {
        let number = self.rng.usize(0..self.envoys.len());
        let now = self.instant();
        let choice = self.rng.u8(0..40);
        if !self.envoys[number].is_connected() {
            if choice < 20 {
                self.connect(number, false);
            }
            return Ok(());
        }
        let catalog = &self.ads.shared.catalog;
        match choice {
            0 => self.envoys[number].disconnect(),
            1 => self.connect(number, false),
            2 if self.envoys.len() < 5 => {
                let refuses = self.rng.u8(0..4) == 0;
                self.envoys.push(Envoy::new(self.envoys.len(), refuses));
            }
            3..=5 => {
                let hosts = ["secure", "vaulted", "a", "b", "nobody"];
                let name = format!("{}.example.com", hosts[self.rng.usize(0..hosts.len())]);
                self.envoys[number].shake_hands(&name, catalog, now);
            }
            6..=20 => drop(self.envoys[number].answer(catalog, now)),
            _ => drop(self.poll(number)?),
        }
        Ok(())
    }

    fn connect(&mut self, number: usize, is_end: bool) {
        self.tally.connects += 1;
        let memory = match self.rng.u8(0..5) {
            _ if is_end => Memory::Whole,
            0 => Memory::None,
            1 => Memory::Names,
            _ => Memory::Whole,
        };
        let now = self.instant();
        self.envoys[number].connect(memory, self.batch, &self.ads.shared.catalog, now);
    }

    /// The server sends a response, if it has one and may.
    fn poll(&mut self, number: usize) -> Result<bool, String> {
        let (now, catalog) = (self.instant(), &self.ads.shared.catalog);
        let Some(response) = self.envoys[number].poll(catalog, now) else { return Ok(false) };
        let told = |what: &str| Err(format!("Envoy {number} {what} at {:?}", self.now));
        if !self.is_synced {
            return told("was sent something before all was known");
        }
        for (name, resource) in &response.resources {
            (number, name, &response.kind).hash(&mut self.digest);
            let expected = self.expected.get(&resource.key);
            let had = self.envoys[number].held.get(&resource.key);
            let has_it = had.is_some_and(|had| expected.is_some_and(|e| e.body == had.body));
            let differs =
                expected.is_some_and(|e| e.body != resource.body) && (has_it || !self.is_partial());
            if differs && !self.is_vanished && resource.key.kind != ResourceType::Listener {
                return told(&format!("was sent another {} of a bystander", resource.key));
            }
        }
        for name in &response.removed {
            (number, name, &response.kind).hash(&mut self.digest);
            let key = ResourceKey::new(response.kind, Arc::clone(name));
            // What it never got it may be told not to be there, for as long as nobody knows.
            let has_it = self.envoys[number].held.contains_key(&key);
            if !self.is_vanished
                && self.expected.contains_key(&key)
                && (has_it || !self.is_partial())
            {
                return told(&format!("lost {key} of a bystander"));
            }
        }
        self.tally.responses += 1;
        self.tally.removals += response.removed.len() as u64;
        Ok(true)
    }

    /// Nothing goes wrong any more, nobody changes anything, and time passes.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.faults = Faults::default();
        self.links.iter_mut().for_each(|link| link.blips.clear());
        // What was good once and cannot be decoded now would keep the form that the controller
        // happened to see last; only what never was stays as it is.
        for reference in self.was_good.clone() {
            let stored = self.server.of(reference.kind).objects.get(&reference.name);
            let Some(text) = stored.map(|s| Arc::clone(&s.text)) else { continue };
            let changes = decoded(std::iter::once((reference.kind, &reference.name, &text)));
            if matches!(changes.as_slice(), [Change::Undecodable(..)]) {
                self.mend(&reference);
            }
        }
        let compare = self.settings.compare.min(Duration::from_mins(30));
        let end = self.now + compare + LIFE;
        while self.now < end {
            self.pass(Duration::from_mins(1))?;
        }
        self.engine.give_up();
        self.gaps = Gaps::default();
        for number in 0..self.envoys.len() {
            if !self.envoys[number].is_connected() {
                self.connect(number, true);
            }
        }
        for _ in 0..20 {
            self.converse()?;
            let now = self.instant();
            for envoy in &mut self.envoys {
                for host in SECURE {
                    envoy.shake_hands(host, &self.ads.shared.catalog, now);
                }
            }
            self.pass(Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// Somebody mends or deletes an object.
    fn mend(&mut self, reference: &ObjectRef) {
        for _ in 0..500 {
            let draft: Draft = objects::object(&mut self.rng);
            if draft.name().of(draft.kind) == *reference && self.rng.bool() {
                return self.server.put(draft);
            }
        }
        self.server.delete(reference.kind, &reference.name);
    }

    fn converse(&mut self) -> Result<(), String> {
        loop {
            let mut moved = false;
            for number in 0..self.envoys.len() {
                moved |= self.poll(number)?;
                let now = self.instant();
                moved |= self.envoys[number].answer(&self.ads.shared.catalog, now);
            }
            if !moved {
                return Ok(());
            }
        }
    }
}
