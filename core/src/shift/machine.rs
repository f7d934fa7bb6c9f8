//! What a shift does next: a state and what is known go in, the next state and actions come out.
//!
//! A client drives one [`Machine`]. All that must outlive it is in the [`State`] that it writes
//! together with the weights; what it has merely seen (who acknowledged, for how long, what gates
//! said) dies with it and is seen again by the next. A write that may or may not have happened is
//! followed by a read, and the same write again does no harm, since it names the version that it
//! changes. What does not agree with the state is never overwritten.

mod command;
mod look;
mod outcome;
mod run;

pub use command::Command;
pub use look::{Counts, Fleet, Observation, Split};
pub use outcome::{Event, Outcome};

use look::Look;

use super::Note;
use super::state::{Charter, Phase, Progress, Share, State};
use super::weights::Weights;
use crate::api::Timestamp;

/// Conflicts in a row after which something else is wrong.
const CONFLICTS_MAX: u32 = 20;

/// The object as it is on the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its UID.
    pub uid: Note,
    /// Its resource version.
    pub version: Note,
    /// The generation of its spec.
    pub generation: i64,
    /// The weights of all its places that have sound ones.
    pub weights: Vec<Weights>,
    /// The annotation.
    pub annotation: Option<String>,
}

/// Who drives a shift, and until when nobody else may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The client; no two have the same.
    pub name: Note,
    /// When its lease expires, by the API server's clock.
    pub until: Timestamp,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The answer to [`Action::Write`].
    Wrote(Answer),
    /// The answer to [`Action::Read`]: the object, if there is one.
    Object(Option<Live>),
    /// The answer to [`Action::Observe`].
    Observed(Box<Observation>),
    /// Somebody wants something else.
    Command(Command),
    /// The lease is another's.
    Lost(Note),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It happened: the object is now of this version, and its spec of this generation.
    Done(Note, i64),
    /// The object was of another version.
    Conflict,
    /// It may have happened or not.
    Unknown,
    /// It is not allowed.
    Refused(Note),
}

/// A write of weights and state, which happens whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Only if the object has this UID,
    pub uid: Note,
    /// this version,
    pub version: Note,
    /// and these weights.
    pub expected: Vec<Weights>,
    /// Only before this time, at which the lease may be another's. Whoever cannot send it before
    /// says that it is not known what came of it.
    pub not_after: Timestamp,
    /// The weights to write.
    pub weights: Vec<Weights>,
    /// The state to write, as the annotation.
    pub annotation: String,
}

/// What to do, in order. Input that comes while waiting makes the rest void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this, and say what became of it.
    Write(Box<Write>),
    /// Read the object.
    Read,
    /// Do nothing until then.
    Wait(Timestamp),
    /// Read the object, and look at the Envoys.
    Observe,
    /// Tell the user, and the object's events.
    Tell(Event),
    /// Nothing is left to do.
    End(Outcome),
}

/// A shift in the hands of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    holder: Holder,
    state: State,
    version: Note,
    generation: i64,
    /// The state of a write of which it is not known whether it happened.
    pending: Option<State>,
    conflicts: u32,
    /// What is to be done once that is known.
    queued: Option<Command>,
    look: Look,
    outcome: Option<Outcome>,
}

impl Machine {
    /// Begins a shift, whose preflight has passed. The first write changes no weight.
    ///
    /// # Errors
    /// The outcome, where nothing can begin: another shift is not over, or the object is not the
    /// one that the charter is for.
    pub fn start(
        holder: Holder,
        charter: Charter,
        live: &Live,
        now: Timestamp,
    ) -> Result<(Self, Vec<Action>), Outcome> {
        if let Some(text) = &live.annotation {
            let before = State::read(text).map_err(|e| Outcome::Preflight(note(&e)))?;
            let (id, by) = (&before.charter.id, &before.progress.holder);
            if !before.is_spent(&live.uid) {
                return Err(Outcome::Locked(Note::new(&format!("shift {id} by {by}"))));
            }
        }
        if charter.uid != live.uid {
            return Err(Outcome::Superseded(Note::new("the object was replaced")));
        }
        if charter.places.is_empty() {
            return Err(Outcome::Preflight(Note::new("no route has both services")));
        }
        let state = State::new(charter, holder.name.clone(), now);
        state.fits().map_err(|e| Outcome::Preflight(note(&e)))?;
        if !state.agrees(&live.weights) {
            return Err(Outcome::Drifted(Note::new("weights changed since they were looked at")));
        }
        let mut machine = Self::of(holder, state.clone(), live, now);
        let actions = machine.put(state, now);
        Ok((machine, actions))
    }

    /// Goes on with a shift that another client began, and does what is asked of it. The first
    /// write makes it this client's, so that the other one's writes no longer happen.
    ///
    /// # Errors
    /// The outcome, where there is nothing to go on with.
    pub fn resume(
        holder: Holder,
        live: &Live,
        command: Command,
        now: Timestamp,
    ) -> Result<(Self, Vec<Action>), Outcome> {
        let Some(text) = &live.annotation else {
            return Err(Outcome::Preflight(Note::new("no shift is kept at this object")));
        };
        let state = State::read(text).map_err(|e| Outcome::Preflight(note(&e)))?;
        if state.charter.uid != live.uid {
            return Err(Outcome::Superseded(Note::new("the object was replaced")));
        }
        if !state.agrees(&live.weights) {
            return Err(Outcome::Drifted(difference(&state, &live.weights)));
        }
        let mut machine = Self::of(holder, state, live, now);
        let (progress, by) = machine.commanded(command, now).map_err(Outcome::Preflight)?;
        let mut actions = vec![Action::Tell(by)];
        actions.extend(machine.put_progress(progress, now));
        Ok((machine, actions))
    }

    fn of(holder: Holder, state: State, live: &Live, now: Timestamp) -> Self {
        Self {
            holder,
            state,
            version: live.version.clone(),
            generation: live.generation,
            pending: None,
            conflicts: 0,
            queued: None,
            look: Look::new(now),
            outcome: None,
        }
    }

    /// The state as it is known to be written.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a write is under way of which it is not known what came of it.
    pub fn is_writing(&self) -> bool {
        self.pending.is_some()
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// How long the present step has been looked at while all Envoys had it.
    pub fn baked(&self) -> std::time::Duration {
        self.look.baked()
    }

    /// The lease was renewed, and expires then. Nothing else is to be done for that.
    pub fn renewed(&mut self, until: Timestamp) {
        self.holder.until = self.holder.until.max(until);
    }

    /// Takes what was heard, and says what to do.
    #[must_use]
    pub fn step(mut self, input: Input, now: Timestamp) -> (Self, Vec<Action>) {
        if self.outcome.is_some() {
            return (self, Vec::new());
        }
        let actions = match input {
            Input::Wrote(answer) => self.wrote(answer, now),
            Input::Object(live) => self.read(live, now),
            Input::Observed(seen) => self.observed(*seen, now),
            Input::Command(command) => self.command(command, now),
            Input::Lost(to) => self.end(Outcome::Locked(to)),
        };
        (self, actions)
    }

    fn end(&mut self, outcome: Outcome) -> Vec<Action> {
        self.outcome = Some(outcome.clone());
        vec![Action::End(outcome)]
    }

    fn wrote(&mut self, answer: Answer, now: Timestamp) -> Vec<Action> {
        match (answer, self.pending.take()) {
            (_, None) => self.go_on(now),
            (Answer::Done(version, generation), Some(state)) => {
                (self.version, self.generation) = (version, generation);
                self.adopt(state, now)
            }
            (Answer::Conflict | Answer::Unknown, pending) => {
                self.pending = pending;
                vec![Action::Read]
            }
            (Answer::Refused(why), Some(_)) => self.end(Outcome::Refused(why)),
        }
    }

    /// Whether the object is still what this client takes it for; how it ends, if not.
    fn check(&self, live: &Live, state: &State) -> Result<(), Outcome> {
        if live.uid != self.state.charter.uid {
            return Err(Outcome::Superseded(Note::new("the object was deleted and made anew")));
        }
        if !state.agrees(&live.weights) {
            return Err(Outcome::Drifted(difference(state, &live.weights)));
        }
        Ok(())
    }

    fn read(&mut self, live: Option<Live>, now: Timestamp) -> Vec<Action> {
        let Some(live) = live else {
            return self.end(Outcome::Superseded(Note::new("the object was deleted")));
        };
        if let Err(outcome) = self.compare(&live) {
            return self.end(outcome);
        }
        (self.version, self.generation) = (live.version, live.generation);
        let found = live.annotation.as_deref().and_then(|text| State::read(text).ok());
        match self.pending.take() {
            None => self.go_on(now),
            // The answer was lost, or came from the same write sent twice.
            Some(pending) if found.as_ref() == Some(&pending) => self.adopt(pending, now),
            Some(pending) => {
                self.conflicts += 1;
                if self.conflicts > CONFLICTS_MAX {
                    return self.end(Outcome::Conflict(CONFLICTS_MAX));
                }
                self.put(pending, now)
            }
        }
    }

    /// The object must hold the state as known, or as just written, and its weights.
    fn compare(&self, live: &Live) -> Result<(), Outcome> {
        let Some(text) = &live.annotation else {
            // Nothing has been written yet.
            if self.state.progress.writes == 1 && self.pending.is_some() {
                return self.check(live, &self.state);
            }
            self.check(live, &self.state)?;
            return Err(Outcome::Drifted(Note::new("the state of the shift was taken away")));
        };
        let found = match State::read(text) {
            Ok(found) => found,
            Err(error) => return Err(Outcome::Drifted(note(&error))),
        };
        let begins = self.state.progress.writes == 1 && self.pending.as_ref() == Some(&self.state);
        if found == self.state || self.pending.as_ref() == Some(&found) {
            return self.check(live, &found);
        }
        self.check_uid(live)?;
        // The shift before this one, over which the first write goes.
        if begins && found.charter.id != self.state.charter.id && found.is_spent(&live.uid) {
            return self.check(live, &self.state);
        }
        let (id, by) = (&found.charter.id, &found.progress.holder);
        if begins {
            return Err(Outcome::Locked(Note::new(&format!("shift {id} by {by}"))));
        }
        Err(Outcome::Superseded(Note::new(&format!("shift {id} is now driven by {by}"))))
    }

    fn check_uid(&self, live: &Live) -> Result<(), Outcome> {
        if live.uid == self.state.charter.uid {
            return Ok(());
        }
        Err(Outcome::Superseded(Note::new("the object was deleted and made anew")))
    }

    /// Writes where the shift is to be next.
    fn put_progress(&mut self, progress: Progress, now: Timestamp) -> Vec<Action> {
        self.conflicts = 0;
        let state = self.state.at(progress);
        self.put(state, now)
    }

    /// Writes a share and a phase that begin now.
    fn turn(&mut self, share: Share, phase: Phase, now: Timestamp) -> Vec<Action> {
        let progress = self.progress(share, phase, now);
        self.put_progress(progress, now)
    }

    fn progress(&self, share: Share, phase: Phase, since: Timestamp) -> Progress {
        Progress {
            share,
            phase,
            since,
            holder: self.holder.name.clone(),
            writes: self.state.progress.writes.saturating_add(1),
        }
    }

    fn put(&mut self, state: State, now: Timestamp) -> Vec<Action> {
        if now >= self.holder.until {
            return self.end(Outcome::Locked(Note::new("nobody: the lease has expired")));
        }
        let annotation = match state.write() {
            Ok(annotation) => annotation,
            Err(error) => return self.end(Outcome::Refused(note(&error))),
        };
        let write = Write {
            uid: self.state.charter.uid.clone(),
            version: self.version.clone(),
            expected: self.state.weights(),
            not_after: self.holder.until,
            weights: state.weights(),
            annotation,
        };
        self.pending = Some(state);
        vec![Action::Write(Box::new(write))]
    }

    /// A write has happened.
    fn adopt(&mut self, state: State, now: Timestamp) -> Vec<Action> {
        let mut actions = vec![Action::Tell(Event::of(&self.state, &state))];
        self.look.turned(&self.state.progress, &state.progress, now);
        self.state = state;
        self.conflicts = 0;
        let next = match self.queued.take() {
            Some(command) => self.command(command, now),
            None => match Outcome::of(&self.state) {
                Some(outcome) => self.end(outcome),
                None => vec![Action::Observe],
            },
        };
        actions.extend(next);
        actions
    }
}

fn note(error: &dyn std::error::Error) -> Note {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    Note::new(&text)
}

/// What of the weights is not as the state has it.
fn difference(state: &State, live: &[Weights]) -> Note {
    let words = state.weights().into_iter().find_map(|own| {
        let found = live.iter().find(|weights| weights.place() == own.place());
        match found {
            None => Some(format!("{} is gone", own.place())),
            Some(found) if found.agrees(&own) => None,
            Some(found) => {
                Some(format!("{}: {} instead of {}", own.place(), text(found), text(&own)))
            }
        }
    });
    Note::new(&words.unwrap_or_default())
}

fn text(weights: &Weights) -> String {
    let one = |(service, weight): (String, Option<u32>)| match weight {
        None => format!("{service} unset"),
        Some(weight) => format!("{service} {weight}"),
    };
    let all = weights.services().iter().map(|w| one((w.0.to_string(), w.1)));
    all.collect::<Vec<_>>().join(", ")
}
