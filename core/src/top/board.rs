//! Keeps what was told, and makes frames of it.

mod assemble;
mod news;
mod series;
mod source;
mod warnings;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::source::Source;
use super::frame::{Event, Shift, SourceState};
use super::input::Input;
use crate::name::ObjectName;
use crate::observe::feed::{Increment, ServicePort};
use crate::shift::weights::Place;

/// Events that are kept.
const EVENTS: usize = 500;

/// Values of a trend: a minute.
const TREND: usize = 60;

/// See the module.
#[derive(Clone, Debug)]
pub struct Board {
    /// In milliseconds.
    window: u64,
    sources: BTreeMap<Arc<str>, Source>,
    /// Shown while no controller has told anything.
    kubernetes: Option<Source>,
    shifts: Vec<Shift>,
    events: Vec<Event>,
    /// What was seen to happen, the newest first.
    news: VecDeque<Event>,
    pods: BTreeMap<Arc<str>, Pod>,
    limits: Vec<Arc<str>>,
    routes: BTreeMap<(ObjectName, Place), Slot>,
    services: BTreeMap<ServicePort, Trend>,
    /// Whether `routes` is of what is known now.
    ordered: bool,
}

/// A Pod and its machine.
#[derive(Clone, Debug)]
struct Pod {
    name: Arc<str>,
    node: Arc<str>,
}

/// Where the counts of a route are.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// By service: the source, and the number there.
    counted: BTreeMap<ServicePort, Vec<(Arc<str>, u32)>>,
    trend: Trend,
}

/// Requests a second, a value for each second, the newest last; none while there are none.
#[derive(Clone, Debug, Default)]
struct Trend(VecDeque<f32>);

impl Board {
    /// A board on which nothing stands yet. Rates go back as far as `window`.
    pub fn new(window: Duration) -> Self {
        Self {
            window: u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1),
            sources: BTreeMap::new(),
            kubernetes: None,
            shifts: Vec::new(),
            events: Vec::new(),
            news: VecDeque::new(),
            pods: BTreeMap::new(),
            limits: Vec::new(),
            routes: BTreeMap::new(),
            services: BTreeMap::new(),
            ordered: true,
        }
    }

    /// Takes what somebody tells, at a time in milliseconds since the Unix epoch by this
    /// machine's clock.
    pub fn take(&mut self, input: Input, now: u64) {
        match input {
            Input::Sources(names) => {
                self.sources.retain(|name, _| names.contains(name));
                for name in names {
                    self.sources.entry(name).or_insert_with(Source::new);
                }
                self.ordered = false;
            }
            Input::Increment(name, increment) => self.increment(&name, *increment, now),
            Input::Lost(name, why) => {
                let source = self.sources.entry(name).or_insert_with(Source::new);
                source.state =
                    if source.has_told() { SourceState::Lost } else { SourceState::Waiting };
                source.why = Some(why);
            }
            Input::Shifts(shifts) => self.shifts = shifts,
            Input::Events(events) => self.events = events,
            Input::Kubernetes(rows) => {
                self.kubernetes = Some(Source::of_rows(*rows, now));
                self.ordered = false;
            }
            Input::Pods(pods) => {
                let pods = pods.into_iter().map(|(ip, name, node)| (ip, Pod { name, node }));
                self.pods = pods.collect();
            }
            Input::Limits(limits) => self.limits = limits,
        }
    }

    fn increment(&mut self, name: &Arc<str>, increment: Increment, now: u64) {
        let source = self.sources.entry(Arc::clone(name)).or_insert_with(Source::new);
        let changed = &increment.changed;
        let renames = !changed.objects.is_empty() || !changed.destinations.is_empty();
        let forgets = !increment.gone.objects.is_empty() || !increment.gone.destinations.is_empty();
        self.ordered &= !(renames || forgets || increment.whole);
        for event in news::of(source, &increment, now) {
            // Every replica tells of the same object.
            let same = |e: &Event| {
                (&e.reason, &e.object, &e.text) == (&event.reason, &event.object, &event.text)
            };
            if !self.news.iter().take_while(|e| e.unix_millis + 10_000 > now).any(same) {
                self.news.push_front(event);
            }
        }
        self.news.truncate(EVENTS);
        source.take(increment, now, self.window);
        self.order();
        // One source gives the beat; otherwise two looks could fall into one step of a trend.
        if self.told().next().is_some_and(|(first, _)| first == name) {
            self.step();
        }
    }

    /// The controllers that have told something, or else what Kubernetes has.
    fn told(&self) -> impl Iterator<Item = (&Arc<str>, &Source)> {
        self.sources.iter().filter(|(_, source)| source.has_told())
    }

    fn known(&self) -> Vec<&Source> {
        let told: Vec<_> = self.told().map(|(_, source)| source).collect();
        if told.is_empty() { self.kubernetes.iter().collect() } else { told }
    }

    /// Puts together what belongs to a route.
    fn order(&mut self) {
        if std::mem::replace(&mut self.ordered, true) {
            return;
        }
        let mut routes: BTreeMap<_, Slot> = BTreeMap::new();
        for source in self.known() {
            for object in source.objects.values() {
                for weights in &object.weights {
                    routes.entry((object.name.clone(), weights.place().clone())).or_default();
                }
            }
        }
        for (name, source) in self.told() {
            for (id, counted) in &source.destinations {
                let of = &counted.named;
                let slot = routes.entry((of.object.clone(), of.place.clone())).or_default();
                let ids = slot.counted.entry(of.service.clone()).or_default();
                ids.push((Arc::clone(name), *id));
            }
        }
        for (key, slot) in &mut routes {
            if let Some(before) = self.routes.get_mut(key) {
                slot.trend = std::mem::take(&mut before.trend);
            }
        }
        self.routes = routes;
    }

    /// Adds a value to each trend.
    fn step(&mut self) {
        let mut services: BTreeMap<ServicePort, f32> = BTreeMap::new();
        let Self { routes, sources, .. } = self;
        for slot in routes.values_mut() {
            let mut rate = 0.0;
            for (service, counted) in &slot.counted {
                let to =
                    counted.iter().map(|(name, id)| last_rate(sources, name, *id)).sum::<f32>();
                if to > 0.0 {
                    *services.entry(service.clone()).or_default() += to;
                }
                rate += to;
            }
            slot.trend.push(rate);
        }
        for (service, trend) in &mut self.services {
            trend.push(services.remove(service).unwrap_or_default());
        }
        self.services.retain(|_, trend| !trend.0.is_empty());
        for (service, rate) in services {
            self.services.entry(service).or_default().push(rate);
        }
    }
}

/// Requests a second between the last two looks.
fn last_rate(sources: &BTreeMap<Arc<str>, Source>, name: &Arc<str>, id: u32) -> f32 {
    let rate = || {
        let source = sources.get(name)?;
        let (base, seconds) = source.step()?;
        let [classes @ .., _] = source.destinations.get(&id)?.traffic.since(base);
        let added = classes.into_iter().fold(0_u64, u64::saturating_add);
        #[expect(clippy::cast_possible_truncation, reason = "it is for a drawing")]
        Some((series::real(added) / seconds) as f32)
    };
    rate().unwrap_or(0.0)
}

impl Trend {
    fn push(&mut self, rate: f32) {
        if rate <= 0.0 && self.0.is_empty() {
            return;
        }
        self.0.push_back(rate.max(0.0));
        while self.0.len() > TREND {
            self.0.pop_front();
        }
        if self.0.iter().all(|rate| *rate <= 0.0) {
            self.0.clear();
        }
    }

    fn values(&self) -> Vec<f32> {
        self.0.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests;
