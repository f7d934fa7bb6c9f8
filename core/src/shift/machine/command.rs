//! What operators may ask of a shift, and when they get it.

use super::{Action, Event, Machine};
use crate::api::Timestamp;
use crate::shift::Note;
use crate::shift::percent::Percent;
use crate::shift::state::{Cause, Deadman, Phase, Progress, Share, State};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop at these weights, for a reason.
    Pause(Note),
    /// Go on.
    Resume,
    /// To the next step, whatever gates say.
    Promote,
    /// To the end of the plan, whatever gates say.
    PromoteFully,
    /// To a share; an operator decides what comes next, unless it is a step of the plan.
    Set(Percent),
    /// End it here.
    Abort,
    /// Move all traffic back; forced: even onto a side that cannot bear it.
    Rollback {
        /// Who asks.
        by: Note,
        /// Whether forced.
        force: bool,
    },
    /// Begin again what failed.
    Retry,
    /// Restore the weights from before the shift, even if it is over.
    Undo {
        /// Who asks.
        by: Note,
        /// Whether forced.
        force: bool,
    },
}

impl Command {
    /// What a shift asks for itself whose client has been gone since its lease was renewed last,
    /// if anything. Where traffic goes back already, it is to go on doing so.
    pub fn of_deadman(state: &State, renewed: Timestamp, now: Timestamp) -> Option<Self> {
        let deadman = state.charter.policy.deadman?;
        let (Deadman::Hold(limit) | Deadman::Revert(limit)) = deadman;
        if super::look::since(renewed, now) < limit {
            return None;
        }
        match (&state.progress.phase, deadman) {
            (Phase::Waiting | Phase::Converging | Phase::Baking, Deadman::Hold(_)) => {
                Some(Self::Pause(Note::new("nobody drives it")))
            }
            (Phase::Waiting | Phase::Converging | Phase::Baking, Deadman::Revert(_)) => {
                Some(Self::Rollback { by: Note::new("deadman"), force: false })
            }
            (Phase::RollingBack(_), Deadman::Revert(_)) => Some(Self::Resume),
            (
                Phase::RollingBack(_)
                | Phase::Paused { .. }
                | Phase::Holding(_)
                | Phase::Draining
                | Phase::Completed { .. }
                | Phase::RolledBack(_)
                | Phase::Aborted(_),
                _,
            ) => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Pause(why) => format!("pause: {why}"),
            Self::Resume => "resume".to_owned(),
            Self::Promote => "promote".to_owned(),
            Self::PromoteFully => "promote fully".to_owned(),
            Self::Set(percent) => format!("set {percent}"),
            Self::Abort => "abort".to_owned(),
            Self::Rollback { .. } => "rollback".to_owned(),
            Self::Retry => "retry".to_owned(),
            Self::Undo { .. } => "undo".to_owned(),
        }
    }
}

impl Machine {
    /// Does what is asked, or says why not.
    pub(super) fn command(&mut self, command: Command, now: Timestamp) -> Vec<Action> {
        if self.pending.is_some() {
            self.queued = Some(command);
            return vec![Action::Read];
        }
        match self.commanded(command, now) {
            Ok((progress, event)) => {
                let mut actions = vec![Action::Tell(event)];
                actions.extend(self.put_progress(progress, now));
                actions
            }
            Err(why) => {
                let mut actions = vec![Action::Tell(Event::Declined(why.to_string()))];
                actions.extend(self.go_on(now));
                actions
            }
        }
    }

    /// Where a command leads.
    pub(super) fn commanded(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<(Progress, Event), Note> {
        let name = command.name();
        let phase = &self.state.progress.phase;
        if phase.is_over() && !matches!(command, Command::Undo { .. } | Command::Retry) {
            return Err(Note::new(&format!("{name}: the shift is over")));
        }
        let (share, next) = match command {
            Command::Pause(why) => self.paused(why)?,
            Command::Resume => return Ok((self.resumed(now), Event::Commanded(name))),
            Command::Promote => self.promoted_once()?,
            Command::PromoteFully => {
                let end = self.state.charter.plan.end();
                self.promoted(Some(end).filter(|end| *end > self.state.reached()))?
            }
            Command::Set(percent) => self.set(percent)?,
            Command::Abort => (self.state.progress.share, Phase::Aborted(self.holder.name.clone())),
            Command::Rollback { by, force } => self.returned(Cause::Operator(by), force)?,
            Command::Undo { by, force } => self.returned(Cause::Undo(by), force)?,
            Command::Retry => self.retried()?,
        };
        Ok((self.progress(share, next, now), Event::Commanded(name)))
    }

    fn paused(&self, why: Note) -> Result<(Share, Phase), Note> {
        if let Phase::RollingBack(_) = self.state.progress.phase {
            return Err(Note::new("pause: traffic goes back; abort to leave it where it is"));
        }
        let by = self.holder.name.clone();
        let done = matches!(self.state.progress.phase, Phase::Paused { done: true, .. });
        Ok((self.state.progress.share, Phase::Paused { by, why, done }))
    }

    /// The same phase in this client's hands; what was seen is seen again.
    fn resumed(&self, now: Timestamp) -> Progress {
        let share = self.state.progress.share;
        let since = self.state.progress.since;
        match &self.state.progress.phase {
            Phase::Waiting => self.progress(share, Phase::Waiting, since),
            Phase::Draining => self.progress(share, Phase::Draining, now),
            Phase::RollingBack(cause) => {
                self.progress(share, Phase::RollingBack(cause.clone()), now)
            }
            // Where nothing was shifted, the first step is yet to come.
            _ if share == Share::Baseline => self.progress(share, Phase::Waiting, since),
            Phase::Paused { done: true, .. } => self.progress(share, Phase::Waiting, now),
            Phase::Paused { .. }
            | Phase::Holding(_)
            | Phase::Converging
            | Phase::Baking
            | Phase::Completed { .. }
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => self.progress(share, Phase::Converging, now),
        }
    }

    /// Beyond the first step, the next one is taken as if the bake were over: if `to` bears it.
    fn promoted_once(&self) -> Result<(Share, Phase), Note> {
        let share = self.state.progress.share;
        if share != Share::Baseline {
            return Ok((share, Phase::Waiting));
        }
        self.promoted(self.state.charter.plan.after(Percent::NONE).map(|s| s.percent))
    }

    fn promoted(&self, to: Option<Percent>) -> Result<(Share, Phase), Note> {
        match to {
            Some(percent) => self.set(percent),
            None if self.state.reached() == Percent::ALL => {
                Ok((self.state.progress.share, Phase::Draining))
            }
            None => Ok((self.state.progress.share, Phase::Completed { drained: false })),
        }
    }

    fn set(&self, percent: Percent) -> Result<(Share, Phase), Note> {
        let [from, to] = self.look.health;
        let dead =
            |health: Option<crate::shift::gate::Health>| health.is_some_and(|h| h.healthy == 0);
        if dead(to) && percent > self.state.reached() {
            return Err(Note::new("no endpoint of the side to shift to is healthy"));
        }
        if dead(from) && percent < self.state.reached() {
            return Err(Note::new("no endpoint of the side to go back to is healthy"));
        }
        Ok((Share::At(percent), Phase::Converging))
    }

    fn returned(&self, cause: Cause, force: bool) -> Result<(Share, Phase), Note> {
        if let Phase::RolledBack(_) = self.state.progress.phase {
            return Err(Note::new("all traffic is back already"));
        }
        // Whether it can be is looked at first, unless forced.
        let share = if force { Share::Baseline } else { self.state.progress.share };
        Ok((share, Phase::RollingBack(cause)))
    }

    fn retried(&self) -> Result<(Share, Phase), Note> {
        let share = self.state.progress.share;
        match &self.state.progress.phase {
            _ if share == Share::Baseline => Ok((share, Phase::Waiting)),
            Phase::Holding(_) | Phase::Paused { .. } | Phase::Aborted(_) => {
                Ok((share, Phase::Converging))
            }
            Phase::Waiting
            | Phase::Converging
            | Phase::Baking
            | Phase::RollingBack(_)
            | Phase::Draining
            | Phase::Completed { .. }
            | Phase::RolledBack(_) => {
                Err(Note::new("nothing has failed that could be tried again"))
            }
        }
    }
}
