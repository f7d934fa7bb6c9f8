//! Does what the machine says, one thing after the other.

use std::collections::VecDeque;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::observe::watch::{Heard as Reports, Watch};
use contour_core::shift::machine::{
    Action, Answer, Command, Event, Input, Live, Machine, Observation, Outcome, Write,
};
use contour_core::shift::state::{Phase, State};
use tokio::sync::{mpsc, watch};

use super::audience::Told;
use super::lease::Held;
use super::target::{Guard, Target};
use crate::failure::Failure;

/// How long it is waited until a read is tried again that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an object may not be readable.
const PATIENCE: i64 = 120;
/// How often Envoys are looked at that are about to acknowledge.
const GLANCE: Duration = Duration::from_millis(50);
/// How many of these looks make one.
const GLANCES: u32 = 16;

/// What is wanted from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Something of the machine.
    Command(Command),
    /// To let it be, as it is.
    Detach,
}

/// How a client's part ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// As the machine says.
    Outcome(Outcome),
    /// It was let be.
    Detached,
    /// It could not go on.
    Failed(Failure),
}

/// Somebody who is told what happens.
pub trait Audience {
    /// Something happened.
    fn told(&mut self, told: &Told);
    /// This is how it looks now.
    fn looked(&mut self, look: &Look<'_>);
    /// Whether it wants to see more than the machine needs to.
    fn is_watching(&self) -> bool {
        false
    }
    /// Something cannot be heard or read, for this reason.
    fn trouble(&mut self, why: &str);
}

/// How a shift looks.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Where it is.
    pub state: &'a State,
    /// What was seen.
    pub seen: &'a Observation,
    /// How long the present step has been looked at.
    pub baked: Duration,
    /// When.
    pub now: Timestamp,
}

/// A shift in this client's hands.
pub struct Driver<'a, A> {
    target: &'a Target,
    object: &'a ObjectRef,
    machine: Machine,
    watch: Watch,
    audience: &'a mut A,
    /// What of the lease is known.
    lease: Option<watch::Receiver<Held>>,
    /// Since when the object could not be read.
    blind: Option<Timestamp>,
    /// What was told last of what passes.
    last: String,
    /// The object as it was read last.
    live: Option<Live>,
}

/// Why a wait is over.
enum Woken {
    Due,
    Order(Order),
    Lease(Held),
}

impl<'a, A: Audience> Driver<'a, A> {
    /// A driver of a machine that holds the lease.
    pub fn new(
        target: &'a Target,
        object: &'a ObjectRef,
        machine: Machine,
        guard: &Guard,
        audience: &'a mut A,
    ) -> Self {
        let watch = Watch::new(machine.state());
        let lease = match guard {
            Guard::Lease(lease) => Some(lease.news()),
            Guard::File(_) => None,
        };
        Self {
            target,
            object,
            machine,
            watch,
            audience,
            lease,
            blind: None,
            last: String::new(),
            live: None,
        }
    }

    /// Where the shift is.
    pub fn state(&self) -> &State {
        self.machine.state()
    }

    /// Drives it until it ends, or somebody wants it to be let be.
    pub async fn run(&mut self, actions: Vec<Action>, orders: &mut mpsc::Receiver<Order>) -> Ended {
        let mut actions = VecDeque::from(actions);
        loop {
            let Some(action) = actions.pop_front() else {
                // The machine always says what comes next; should it not, it is looked at again.
                actions.push_back(Action::Observe);
                continue;
            };
            if let Some(Held::Until(until)) = self.lease_news() {
                self.machine.renewed(until);
            }
            let input = match action {
                Action::Tell(event) => {
                    self.tell(&event).await;
                    continue;
                }
                Action::End(outcome) => return Ended::Outcome(outcome),
                Action::Write(write) => Some(Input::Wrote(self.write(&write).await)),
                Action::Read => match self.target.read(self.object).await {
                    Ok(found) => Some(Input::Object(found.map(|found| found.live))),
                    Err(failure) => match self.unreadable(failure) {
                        Some(failure) => return Ended::Failed(failure),
                        None => None,
                    },
                },
                Action::Observe => match self.observe(orders).await {
                    Ok(Seen::Look(seen)) => Some(Input::Observed(seen)),
                    Ok(Seen::Order(order)) => match order {
                        Order::Detach => return Ended::Detached,
                        Order::Command(command) => Some(Input::Command(command)),
                    },
                    Err(failure) => match self.unreadable(failure) {
                        Some(failure) => return Ended::Failed(failure),
                        None => None,
                    },
                },
                Action::Wait(until) => match self.wait(until, orders).await {
                    Woken::Due => continue,
                    Woken::Lease(Held::Until(end)) => {
                        self.machine.renewed(end);
                        actions.push_front(Action::Wait(until));
                        continue;
                    }
                    Woken::Lease(Held::Lost(to)) => Some(Input::Lost(to)),
                    Woken::Order(Order::Detach) => return Ended::Detached,
                    Woken::Order(Order::Command(command)) => Some(Input::Command(command)),
                },
            };
            let Some(input) = input else {
                // What could not be read is read again.
                tokio::time::sleep(AGAIN).await;
                actions.push_front(again(&self.machine));
                continue;
            };
            if !matches!(input, Input::Wrote(_)) {
                self.blind = None;
            }
            let (machine, next) = self.machine.clone().step(input, self.target.now());
            self.machine = machine;
            actions = next.into();
        }
    }

    /// What has become of the lease since it was asked last. That it was lost is left for the next
    /// wait: until then the time of the last renewal fences writes.
    fn lease_news(&mut self) -> Option<Held> {
        let lease = self.lease.as_mut()?;
        let is_new = lease.has_changed().unwrap_or(false);
        let held = is_new.then(|| lease.borrow().clone())?;
        if let Held::Until(_) = held {
            lease.mark_unchanged();
        }
        Some(held)
    }

    async fn tell(&mut self, event: &Event) {
        let told = Told::of(event, self.machine.state(), self.target.holder(), self.target.now());
        // Waiting is told once for each change.
        let same = told.message == self.last;
        self.last.clone_from(&told.message);
        if same && !told.lasts {
            return;
        }
        self.audience.told(&told);
        if told.lasts {
            let uid = self.machine.state().charter.uid.clone();
            self.target.publish(self.object, &uid, &told).await;
        }
    }

    async fn write(&self, write: &Write) -> Answer {
        let left = write.not_after.unix().saturating_sub(self.target.now().unix());
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            return Answer::Unknown;
        };
        let limit = Duration::from_secs(left.min(30));
        let written = tokio::time::timeout(limit, self.target.write(self.object, write));
        written.await.unwrap_or(Answer::Unknown)
    }

    /// Looks at Envoys, then at the object. Envoys that are about to acknowledge are looked at
    /// until they do, for a moment.
    async fn observe(&mut self, orders: &mut mpsc::Receiver<Order>) -> Result<Seen, Failure> {
        let mut glances = 0;
        loop {
            let heard = self.target.hear(self.object).await;
            if let Some(trouble) = heard.troubles.first() {
                self.audience.trouble(trouble);
            }
            let found = self.target.read(self.object).await?;
            let (now, state) = (self.target.now(), self.machine.state());
            let complete = heard.troubles.is_empty();
            let reports = Reports { reports: &heard.reports, complete };
            let live = found.map(|found| found.live);
            self.live.clone_from(&live);
            let seen = self.watch.look(reports, live, state, now);
            let baked = self.machine.baked();
            self.audience.looked(&Look { state, seen: &seen, baked, now });
            glances += 1;
            if !is_about_to(state, &seen) || glances >= GLANCES {
                return Ok(Seen::Look(Box::new(seen)));
            }
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
                Some(order) = orders.recv() => return Ok(Seen::Order(order)),
            }
        }
    }

    async fn wait(&mut self, until: Timestamp, orders: &mut mpsc::Receiver<Order>) -> Woken {
        while self.audience.is_watching() && self.target.now().unix() + 1 < until.unix() {
            let soon = Timestamp::from_unix(self.target.now().unix() + 1);
            match self.sleep(soon, orders).await {
                Woken::Due => self.glance().await,
                woken @ (Woken::Order(_) | Woken::Lease(_)) => return woken,
            }
        }
        self.sleep(until, orders).await
    }

    /// Shows whoever watches how it looks, between two looks of the machine.
    async fn glance(&mut self) {
        let heard = self.target.hear(self.object).await;
        if let Some(trouble) = heard.troubles.first() {
            self.audience.trouble(trouble);
            return;
        }
        let (now, state) = (self.target.now(), self.machine.state());
        let reports = Reports { reports: &heard.reports, complete: true };
        let seen = self.watch.glance(reports, self.live.clone(), state, now);
        let baked = self.machine.baked();
        self.audience.looked(&Look { state, seen: &seen, baked, now });
    }

    async fn sleep(&mut self, until: Timestamp, orders: &mut mpsc::Receiver<Order>) -> Woken {
        let left = until.unix().saturating_sub(self.target.now().unix());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        let lease = &mut self.lease;
        let news = async {
            let Some(lease) = lease else { return std::future::pending().await };
            match lease.changed().await {
                Ok(()) => lease.borrow_and_update().clone(),
                Err(_gone) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(order) = orders.recv() => Woken::Order(order),
            held = news => Woken::Lease(held),
            () = tokio::time::sleep(left) => Woken::Due,
        }
    }

    /// The failure to end with, if the object has not been readable for too long.
    fn unreadable(&mut self, failure: Failure) -> Option<Failure> {
        let now = self.target.now();
        let since = *self.blind.get_or_insert(now);
        self.audience.trouble(&failure.message);
        (now.unix().saturating_sub(since.unix()) >= PATIENCE).then_some(failure)
    }
}

/// What came of looking.
enum Seen {
    Look(Box<Observation>),
    Order(Order),
}

/// What is done after a read that failed: a write that may have happened comes first.
fn again(machine: &Machine) -> Action {
    if machine.is_writing() { Action::Read } else { Action::Observe }
}

/// Whether Envoys are about to acknowledge, so that it pays to look again at once.
fn is_about_to(state: &State, seen: &Observation) -> bool {
    let Some(live) = &seen.live else { return false };
    let moving = matches!(state.progress.phase, Phase::Converging | Phase::RollingBack(_));
    let all = seen.fleet.as_ref().is_some_and(|fleet| fleet.has(live.generation));
    let heard = seen.fleet.as_ref().is_some_and(|fleet| fleet.connected > 0);
    moving && heard && !all && state.agrees(&live.weights)
}
