//! A model of what a shift happens in: an API server that loses answers, Envoys that lag, traffic
//! that fails, and clients that are killed. It holds the invariants at every write.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::Note;
use contour_core::shift::gate::{Health, Histogram, Sample, Window};
use contour_core::shift::machine::{
    Action, Answer, Command, Counts, Event, Fleet, Holder, Input, Live, Machine, Observation,
    Outcome, Split, Write,
};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Charter, Phase, Share, State};
use contour_core::shift::weights::Weights;

use super::weights::service;

/// How long a lease lasts that nobody renews.
const LEASE: i64 = 30;
/// Seconds that a window of counts spans.
const WINDOW: i64 = 10;

/// Numbers that follow from a seed (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators").
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// Whether something happens that does so many times of a thousand.
    pub(crate) fn happens(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// What became of acting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits.
    Waits,
    /// It has ended.
    Ended(Outcome),
    /// It was killed.
    Killed,
}

/// The object, as the server keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    uid: Note,
    version: u64,
    generation: i64,
    pub(crate) weights: Vec<Weights>,
    pub(crate) annotation: Option<String>,
    /// All else of the object.
    pub(crate) rest: u64,
}

/// An Envoy, which has the weights of a generation and takes later ones after a time.
struct Envoy {
    name: u64,
    generation: i64,
    weights: Vec<Weights>,
    due: Option<(i64, i64)>,
    stuck: bool,
}

/// How services behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Good,
    Failing,
    Slow,
    Dead,
    Silent,
}

/// How often what goes wrong, of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost_answer: u64,
    pub(crate) lost_write: u64,
    pub(crate) late_write: u64,
    pub(crate) touch: u64,
    pub(crate) lag: u64,
    pub(crate) come_and_go: u64,
    pub(crate) blind: u64,
}

pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) object: Option<Object>,
    versions: u64,
    late: Vec<(i64, Write, Note)>,
    /// Whether what is written now was sent long ago.
    is_late: bool,
    envoys: Vec<Envoy>,
    pub(crate) blue: Behaviour,
    pub(crate) green: Behaviour,
    /// Whether requests to `blue` never end.
    pub(crate) busy: bool,
    pub(crate) lease: Option<(Note, i64)>,
    writer: Option<Note>,
    retired: BTreeSet<Note>,
    /// Seconds in which all Envoys had the weights that are written.
    acknowledged: u64,
    /// Until when they had not.
    behind: i64,
    /// How many changes of weights may be an operator's.
    pub(crate) by_hand: u32,
    /// Whether anybody but a client changed what is shifted.
    pub(crate) tampered: bool,
    pub(crate) commits: u64,
    /// The weights of every version that a client wrote.
    pub(crate) shares: Vec<Share>,
}

pub(crate) fn note(text: &str) -> Note {
    Note::new(text)
}

impl World {
    pub(crate) fn new(seed: u64, weights: &[Weights], envoys: u64) -> Self {
        let object = Object {
            uid: note("uid-1"),
            version: 1,
            generation: 1,
            weights: weights.to_vec(),
            annotation: None,
            rest: 0,
        };
        let envoy = |name| Envoy {
            name,
            generation: 1,
            weights: weights.to_vec(),
            due: None,
            stuck: false,
        };
        Self {
            now: 1_000_000,
            dice: Dice(seed),
            faults: Faults::default(),
            object: Some(object),
            versions: 1,
            late: Vec::new(),
            is_late: false,
            envoys: (0..envoys).map(envoy).collect(),
            blue: Behaviour::Good,
            green: Behaviour::Good,
            busy: false,
            lease: None,
            writer: None,
            retired: BTreeSet::new(),
            acknowledged: 0,
            behind: 0,
            by_hand: 0,
            tampered: false,
            commits: 0,
            shares: Vec::new(),
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_unix(self.now)
    }

    pub(crate) fn live(&self) -> Option<Live> {
        self.object.as_ref().map(|object| Live {
            uid: object.uid.clone(),
            version: note(&object.version.to_string()),
            generation: object.generation,
            weights: object.weights.clone(),
            annotation: object.annotation.clone(),
        })
    }

    pub(crate) fn state(&self) -> Option<State> {
        State::read(self.object.as_ref()?.annotation.as_ref()?).ok()
    }

    pub(crate) fn stick(&mut self, stuck: bool) {
        self.envoys[0].stuck = stuck;
    }

    fn bump(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    /// Changes the object as somebody does who is no client.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Object)) {
        let version = self.bump();
        if let Some(object) = &mut self.object {
            let before = object.weights.clone();
            change(object);
            object.version = version;
            if object.weights != before {
                object.generation += 1;
                self.tampered = true;
            }
        }
    }

    pub(crate) fn recreate(&mut self) {
        self.tampered = true;
        let version = self.bump();
        if let Some(object) = &mut self.object {
            object.uid = note(&format!("uid-{version}"));
            object.version = version;
            object.generation = 1;
        }
    }

    fn all_have(&self) -> bool {
        let generation = self.object.as_ref().map_or(0, |o| o.generation);
        !self.envoys.is_empty() && self.envoys.iter().all(|e| e.generation == generation)
    }

    /// A second passes.
    pub(crate) fn tick(&mut self) {
        if self.all_have() {
            self.acknowledged += 1;
        } else {
            self.behind = self.now + 1;
        }
        self.now += 1;
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|l| l.0 <= self.now);
        self.late = late;
        let due: Vec<(i64, Write, Note)> = due;
        for (_, write, by) in due {
            // Nobody hears of it.
            self.is_late = true;
            let _lost = self.commit(&write, &by);
            self.is_late = false;
        }
        if self.dice.happens(self.faults.touch) {
            self.edit(|object| object.rest += 1);
        }
        if self.dice.happens(self.faults.come_and_go) && self.envoys.len() > 1 {
            self.envoys.pop();
        }
        let object = self.object.clone();
        if object.is_some() && self.dice.happens(self.faults.come_and_go) {
            let name = 100 + self.dice.below(1_000_000);
            let weights = object.as_ref().map(|o| o.weights.clone()).unwrap_or_default();
            self.envoys.push(Envoy { name, generation: 0, weights, due: None, stuck: false });
        }
        let Some(object) = object else { return };
        for envoy in &mut self.envoys {
            if envoy.generation != object.generation && envoy.due.is_none() && !envoy.stuck {
                let lag = if self.dice.happens(self.faults.lag) { self.dice.below(40) } else { 0 };
                envoy.due = Some((self.now + i64::try_from(lag).unwrap(), object.generation));
            }
            // What is acknowledged is what is there now, and of which a later change is seen again.
            if envoy.due.is_some_and(|(at, _)| at <= self.now) {
                envoy.due = None;
                envoy.generation = object.generation;
                envoy.weights.clone_from(&object.weights);
            }
        }
    }

    fn send(&mut self, write: &Write, by: &Note) -> Answer {
        let faults = self.faults;
        if self.dice.happens(faults.lost_write) {
            return Answer::Unknown;
        }
        if self.dice.happens(faults.late_write) {
            let due = self.now + 1 + i64::try_from(self.dice.below(45)).unwrap();
            self.late.push((due, write.clone(), by.clone()));
            return Answer::Unknown;
        }
        let answer = self.commit(write, by);
        if self.dice.happens(faults.lost_answer) { Answer::Unknown } else { answer }
    }

    fn commit(&mut self, write: &Write, by: &Note) -> Answer {
        let Some(object) = &self.object else { return Answer::Conflict };
        if object.uid != write.uid || note(&object.version.to_string()) != write.version {
            return Answer::Conflict;
        }
        let before = State::read(object.annotation.as_deref().unwrap_or_default()).ok();
        let after = State::read(&write.annotation).expect("what is written can be read");
        assert!(write.expected.iter().all(|e| object.weights.iter().any(|w| w.agrees(e))));
        assert!(after.agrees(&write.weights), "weights and state disagree");
        self.hold(before.as_ref(), &after, by);
        let object = self.object.as_mut().unwrap();
        let mut changed = false;
        for new in &write.weights {
            let old = object.weights.iter_mut().find(|w| w.place() == new.place()).unwrap();
            changed |= !old.agrees(new);
            *old = new.clone();
        }
        if changed {
            object.generation += 1;
            self.acknowledged = 0;
            self.by_hand = self.by_hand.saturating_sub(1);
        }
        object.annotation = Some(write.annotation.clone());
        self.shares.push(after.progress.share);
        self.commits += 1;
        let version = self.bump();
        let object = self.object.as_mut().unwrap();
        object.version = version;
        Answer::Done(note(&version.to_string()), object.generation)
    }

    /// What must be true of every write.
    fn hold(&mut self, before: Option<&State>, after: &State, by: &Note) {
        for lever in &after.charter.places {
            let weights = after.weights();
            let weights = weights.iter().find(|w| w.place() == lever.place()).unwrap();
            let start = lever.at(Percent::NONE);
            if after.progress.share == Share::Baseline {
                assert_eq!(weights, lever.baseline());
            } else {
                assert_eq!(weights.total(), start.total(), "the sum changed");
                assert_eq!(weights.services()[2..], start.services()[2..], "a third changed");
            }
            assert!(weights.total() > 0 && weights.effective().any(|w| w > 0));
        }
        assert_eq!(&after.progress.holder, by);
        assert!(!self.retired.contains(by), "{by} writes after another took over");
        if let Some(last) = self.writer.replace(by.clone()).filter(|last| last != by) {
            let own = self.lease.as_ref().is_some_and(|(holder, _)| holder == by);
            assert!(own || self.is_late, "no lease: {by}");
            self.retired.insert(last);
        }
        let Some(before) = before.filter(|b| b.charter.id == after.charter.id) else { return };
        assert_eq!(before.charter, after.charter, "the charter changed");
        assert_eq!(after.progress.writes, before.progress.writes + 1, "a write was skipped");
        let forward = after.reached() > before.reached()
            || matches!(after.progress.phase, Phase::Draining | Phase::Completed { .. })
                && matches!(before.progress.phase, Phase::Baking | Phase::Converging);
        if let (true, false, Some(step)) =
            (forward, self.by_hand > 0, before.charter.plan.at(before.reached()))
        {
            assert!(
                self.acknowledged >= step.bake.as_secs(),
                "{by} went on from {} after {} s of {:?} to {:?}",
                step.percent,
                self.acknowledged,
                step.bake,
                after.progress
            );
            assert!(!step.pause, "no pause at {}", step.percent);
        }
        if self.by_hand == 0 && after.reached() > before.reached() {
            let next = before.charter.plan.after(before.reached()).unwrap();
            assert_eq!(after.reached(), next.percent, "a step was left out");
        }
    }

    fn sample(&self, name: &str, health: Behaviour, requests: u64) -> Sample {
        let share = |envoy: &Envoy| {
            let weights = &envoy.weights[0];
            let of = weights.effective_of(&service(name)).unwrap();
            (requests * u64::from(of)).checked_div(weights.total()).unwrap_or(0)
        };
        let requests = self.envoys.iter().map(share).sum::<u64>();
        let requests = if health == Behaviour::Silent { 0 } else { requests };
        let millis = if health == Behaviour::Slow { 5000 } else { 50 };
        let failures =
            if matches!(health, Behaviour::Failing | Behaviour::Dead) { requests } else { 0 };
        let mut latency = Histogram::default();
        latency.add(Duration::from_millis(millis), requests);
        Sample { requests, failures, masked: 0, latency }
    }

    fn observe(&mut self) -> Observation {
        let live = self.live();
        if self.dice.happens(self.faults.blind) {
            return Observation { live, ..Observation::default() };
        }
        let generation = self.object.as_ref().map_or(0, |o| o.generation);
        let has = |e: &&Envoy| e.generation == generation;
        let count = |n: usize| u32::try_from(n).unwrap();
        let fleet = Fleet {
            generation,
            connected: count(self.envoys.len()),
            acknowledged: count(self.envoys.iter().filter(has).count()),
            since: self.all_have().then(|| Timestamp::from_unix(self.behind)),
            waiting: self
                .envoys
                .iter()
                .filter(|e| !has(e))
                .map(|e| note(&format!("envoy-{}", e.name)))
                .collect(),
        };
        let health = |health| {
            Some(Health { healthy: if health == Behaviour::Dead { 0 } else { 3 }, ejected: 0 })
        };
        let (from, to) =
            (self.sample("blue", self.blue, 10_000), self.sample("green", self.green, 10_000));
        let split = Split { begin: self.time(), from: from.requests, to: to.requests };
        let begin = Timestamp::from_unix(self.now - WINDOW);
        Observation {
            live,
            fleet: Some(fleet),
            active: Some(if self.all_have() && !self.busy { from.requests } else { 5 }),
            counts: Counts::Over(Box::new(Window { begin, from, to })),
            from: health(self.blue),
            to: health(self.green),
            split: Some(split),
        }
    }

    /// Takes the lease if it is free.
    pub(crate) fn acquire(&mut self, name: &Note) -> Option<Holder> {
        let free = self.lease.as_ref().is_none_or(|(by, until)| by == name || *until <= self.now);
        free.then(|| {
            self.lease = Some((name.clone(), self.now + LEASE));
            Holder { name: name.clone(), until: Timestamp::from_unix(self.now + LEASE) }
        })
    }
}

/// A client that drives a shift until it ends or is killed.
pub(crate) struct Client {
    pub(crate) name: Note,
    pub(crate) machine: Machine,
    todo: VecDeque<Action>,
    /// After so many actions it is killed; a write then happens, and its answer is not heard.
    pub(crate) kill_after: Option<u64>,
    pub(crate) acted: u64,
    pub(crate) events: Vec<Event>,
}

impl Client {
    pub(crate) fn start(world: &mut World, name: &str, charter: Charter) -> Result<Self, Outcome> {
        let name = note(name);
        let holder = world.acquire(&name).ok_or_else(|| Outcome::Locked(name.clone()))?;
        let Some(live) = world.live() else {
            return Err(Outcome::Superseded(note("deleted")));
        };
        let (machine, actions) = Machine::start(holder, charter, &live, world.time())?;
        Ok(Self::of(name, machine, actions))
    }

    pub(crate) fn resume(world: &mut World, name: &str, command: Command) -> Result<Self, Outcome> {
        let name = note(name);
        let holder = world.acquire(&name).ok_or_else(|| Outcome::Locked(name.clone()))?;
        let Some(live) = world.live() else {
            return Err(Outcome::Superseded(note("deleted")));
        };
        let by_hand = command != Command::Resume
            || world.state().is_some_and(|s| matches!(s.progress.phase, Phase::Paused { .. }));
        world.by_hand = world.by_hand.max(u32::from(by_hand));
        let (machine, actions) = Machine::resume(holder, &live, command, world.time())?;
        Ok(Self::of(name, machine, actions))
    }

    fn of(name: Note, machine: Machine, actions: Vec<Action>) -> Self {
        let todo = actions.into();
        Self { name, machine, todo, kill_after: None, acted: 0, events: Vec::new() }
    }

    pub(crate) fn hear(&mut self, input: Input, world: &World) {
        let (machine, actions) = self.machine.clone().step(input, world.time());
        self.machine = machine;
        self.todo = actions.into();
    }

    /// Does what can be done at this time.
    pub(crate) fn act(&mut self, world: &mut World) -> Turn {
        match world.lease.clone() {
            Some((holder, _)) if holder == self.name => {
                if let Some(holder) = world.acquire(&self.name) {
                    self.machine.renewed(holder.until);
                }
            }
            Some((other, _)) => self.hear(Input::Lost(other), world),
            None => {}
        }
        for _ in 0..100 {
            if self
                .todo
                .front()
                .is_some_and(|a| matches!(a, Action::Wait(until) if *until > world.time()))
            {
                return Turn::Waits;
            }
            let killed = self.kill_after.is_some_and(|after| self.acted >= after);
            self.acted += 1;
            match self.todo.pop_front() {
                // Its lease has expired: what would come of it is not known.
                Some(Action::Write(write)) if write.not_after <= world.time() => {
                    self.hear(Input::Wrote(Answer::Unknown), world);
                }
                Some(Action::Write(write)) => {
                    let answer = world.send(&write, &self.name);
                    if killed {
                        return Turn::Killed;
                    }
                    self.hear(Input::Wrote(answer), world);
                }
                _ if killed => return Turn::Killed,
                Some(Action::Wait(_)) => {}
                Some(Action::Read) => {
                    let live = world.live();
                    self.hear(Input::Object(live), world);
                }
                Some(Action::Observe) => {
                    let seen = world.observe();
                    self.hear(Input::Observed(Box::new(seen)), world);
                }
                Some(Action::Tell(event)) => self.events.push(event),
                Some(Action::End(outcome)) => return Turn::Ended(outcome),
                None => panic!("nothing to do, and not ended: {:?}", self.machine),
            }
        }
        panic!("busy without an end at {}: {:?}", world.now, self.todo);
    }
}
