//! Drives a shift as a client does: does what its machine says, and keeps its Lease meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::machine::{Action, Answer, Holder, Input, Live, Machine, Outcome, Write};
use contour_core::shift::{Note, sent};
use serde_json::Value;
use tokio::time::Instant;

use super::Work;
use super::lease::{DURATION, Key, ShiftLease, later, renew};
use crate::kubernetes::Fault;

/// How often the Lease is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The time by the API server's clock, as it was told last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) told: Timestamp,
    pub(super) at: Instant,
}

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        later(self.told, self.at.elapsed())
    }
}

/// A Lease that is ours.
#[derive(Clone, Debug)]
pub(super) struct Held {
    key: Key,
    /// When it was renewed last.
    renewed: Timestamp,
    /// Its version then.
    pub(super) version: String,
}

impl Held {
    /// Takes a Lease as it was read.
    pub(super) async fn take(work: &Work, lease: &ShiftLease, clock: Clock) -> Result<Self, Fault> {
        let now = clock.now();
        let patch = lease.take(&work.identity, now);
        let version = work.api.patch_lease(&lease.key, &patch).await?;
        Ok(Self { key: lease.key.clone(), renewed: now, version })
    }

    fn until(&self) -> Timestamp {
        later(self.renewed, DURATION)
    }
}

/// See the module.
pub(super) struct Driver<'a> {
    pub(super) work: &'a Work,
    pub(super) clock: Clock,
    pub(super) route: &'a ObjectRef,
    pub(super) lease: Held,
    /// The route as it was read or written last.
    raw: Value,
}

impl<'a> Driver<'a> {
    pub(super) fn new(work: &'a Work, clock: Clock, route: &'a ObjectRef, lease: Held) -> Self {
        Self { work, clock, route, lease, raw: Value::Null }
    }

    /// Who drives the shift now.
    pub(super) fn holder(&self) -> Holder {
        Holder { name: Note::new(&self.work.identity), until: self.lease.until() }
    }

    /// Does what is to be done, and what follows from it, to the end.
    pub(super) async fn run(&mut self, (mut machine, actions): (Machine, Vec<Action>)) -> Outcome {
        let mut actions = VecDeque::from(actions);
        loop {
            let input = match actions.pop_front() {
                Some(Action::End(outcome)) => return outcome,
                Some(Action::Tell(event)) => {
                    tracing::debug!(object = %self.route, ?event, "a shift without its client");
                    continue;
                }
                Some(Action::Wait(until)) => match self.wait(until).await {
                    Ok(()) => {
                        machine.renewed(self.lease.until());
                        continue;
                    }
                    Err(lost) => Input::Lost(lost),
                },
                Some(Action::Write(write)) => Input::Wrote(self.write(&write).await),
                Some(Action::Observe) => {
                    let sight = self.work.lookout.look(self.route, machine.state()).await;
                    match self.read().await {
                        Ok(live) => Input::Observed(Box::new(sight.observation(live))),
                        Err(lost) => Input::Lost(lost),
                    }
                }
                Some(Action::Read) | None => match self.read().await {
                    Ok(live) => Input::Object(live),
                    Err(lost) => Input::Lost(lost),
                },
            };
            machine.renewed(self.lease.until());
            let (next, then) = machine.step(input, self.clock.now());
            (machine, actions) = (next, then.into());
        }
    }

    /// The route, however long it takes to read it; or that it may be another's meanwhile.
    pub(super) async fn read(&mut self) -> Result<Option<Live>, Note> {
        loop {
            self.keep().await?;
            match self.work.api.route(self.route).await {
                Ok(None) => return Ok(None),
                Ok(Some(value)) => {
                    let Some((live, _)) = sent::read(&value) else {
                        return Err(Note::new("nobody: the route cannot be read"));
                    };
                    self.raw = value;
                    return Ok(Some(live));
                }
                Err(fault) => {
                    tracing::debug!(object = %self.route, "cannot be read: {fault}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn write(&mut self, write: &Write) -> Answer {
        if self.clock.now() >= write.not_after {
            return Answer::Unknown;
        }
        let Some(patch) = sent::patch(&self.raw, write) else { return Answer::Conflict };
        match self.work.api.patch_route(self.route, &patch).await {
            Ok(value) => {
                let Some((live, _)) = sent::read(&value) else { return Answer::Unknown };
                self.raw = value;
                Answer::Done(live.version, live.generation)
            }
            Err(Fault::Refused { code: 409 | 404, .. }) => Answer::Conflict,
            // A test failed, if the object is another one by now; otherwise it is not taken.
            Err(Fault::Refused { code: 422, message }) => match self.read().await {
                Ok(Some(live)) if live.version == write.version => {
                    Answer::Refused(Note::new(&message))
                }
                Ok(_) | Err(_) => Answer::Conflict,
            },
            Err(Fault::Refused { code, message }) if code < 500 && code != 429 => {
                Answer::Refused(Note::new(&format!("{code} {message}")))
            }
            Err(fault) => {
                tracing::debug!(object = %self.route, "a write may have been lost: {fault}");
                tokio::time::sleep(PAUSE).await;
                Answer::Unknown
            }
        }
    }

    async fn wait(&mut self, until: Timestamp) -> Result<(), Note> {
        loop {
            self.keep().await?;
            let left = until.unix().saturating_sub(self.clock.now().unix());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                return Ok(());
            };
            tokio::time::sleep(Duration::from_secs(left).min(RENEW)).await;
        }
    }

    /// Renews the Lease if it is time; says if it is ours no more.
    async fn keep(&mut self) -> Result<(), Note> {
        let now = self.clock.now();
        if now < later(self.lease.renewed, RENEW) {
            return Ok(());
        }
        let patch = renew(&self.work.identity, now);
        match self.work.api.patch_lease(&self.lease.key, &patch).await {
            Ok(version) => {
                (self.lease.renewed, self.lease.version) = (now, version);
                Ok(())
            }
            Err(Fault::Refused { code: 404 | 409 | 422, .. }) => Err(Note::new("another client")),
            Err(fault) if self.clock.now() >= self.lease.until() => {
                Err(Note::new(&format!("nobody: {fault}")))
            }
            Err(_) => Ok(()),
        }
    }
}
