//! A shift without anybody's interference: from what is seen to the next step.

use std::time::Duration;

use super::look::{Counts, Observation, after, pair, since};
use super::{Action, Event, Machine, Outcome};
use crate::api::Timestamp;
use crate::shift::Note;
use crate::shift::gate::{Decision, Health, Judgement, Verdict};
use crate::shift::percent::Percent;
use crate::shift::state::{Cause, OnFailure, Phase, Share};

/// Who pauses where nobody asked for it.
const SELF: &str = "contour";
/// How often to look at what takes no time.
const SOON: Duration = Duration::from_secs(1);

impl Machine {
    /// What to do where nothing new is known: end, or look.
    pub(super) fn go_on(&mut self, now: Timestamp) -> Vec<Action> {
        if self.pending.is_some() {
            return vec![Action::Read];
        }
        if let Some(outcome) = Outcome::of(&self.state) {
            return self.end(outcome);
        }
        // Envoys acknowledge within milliseconds; the rest has the time of the plan.
        let soon = matches!(self.state.progress.phase, Phase::Converging | Phase::RollingBack(_))
            && self.look.converged.is_none();
        let interval = self.state.charter.policy.interval.max(SOON);
        let mut until = after(now, if soon { SOON } else { interval });
        if let Some(begin) = self.begin().filter(|begin| *begin > now) {
            until = until.min(begin);
        }
        vec![Action::Wait(until), Action::Observe]
    }

    /// When the initial delay is over, before the first step.
    fn begin(&self) -> Option<Timestamp> {
        let progress = &self.state.progress;
        let first = progress.phase == Phase::Waiting && progress.share == Share::Baseline;
        first.then(|| after(progress.since, self.state.charter.plan.initial_delay()))
    }

    pub(super) fn observed(&mut self, seen: Observation, now: Timestamp) -> Vec<Action> {
        if self.pending.is_some() {
            return self.read(seen.live, now);
        }
        let Some(live) = &seen.live else {
            return self.end(Outcome::Superseded(Note::new("the object was deleted")));
        };
        if let Err(outcome) = self.compare(live) {
            return self.end(outcome);
        }
        self.version = live.version.clone();
        self.generation = live.generation;
        for (slot, health) in self.look.health.iter_mut().zip([seen.from, seen.to]) {
            *slot = health;
        }
        let all = seen.fleet.as_ref().filter(|fleet| fleet.has(self.generation));
        let gap = self.state.charter.policy.interval.saturating_mul(3).max(Duration::from_secs(3));
        let baking = self.state.progress.phase == Phase::Baking;
        self.look.converge(all, baking, gap, now);
        match self.state.progress.phase.clone() {
            Phase::Waiting => self.waiting(now),
            Phase::Converging | Phase::Baking => self.stepping(&seen, baking, now),
            Phase::RollingBack(cause) => self.rolling_back(&seen, &cause, now),
            Phase::Draining => self.draining(&seen, now),
            Phase::Paused { .. }
            | Phase::Holding(_)
            | Phase::Completed { .. }
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => self.go_on(now),
        }
    }

    fn waiting(&mut self, now: Timestamp) -> Vec<Action> {
        if self.is_late(now) {
            return self.pause("the time for the whole shift is over", true, now);
        }
        if self.begin().is_some_and(|begin| now < begin) {
            return self.go_on(now);
        }
        let [_, to] = self.look.health;
        if self.state.progress.share != Share::Baseline && to.is_some_and(|h| h.healthy == 0) {
            return self.fail("no endpoint is healthy", now);
        }
        self.advance(now)
    }

    fn is_late(&self, now: Timestamp) -> bool {
        // An operator who goes on after it has decided.
        let since = self.state.progress.since;
        self.state.charter.deadline.is_some_and(|deadline| now >= deadline && since < deadline)
    }

    /// To the next step, if `to` can bear it, or to the end.
    fn advance(&mut self, now: Timestamp) -> Vec<Action> {
        let Some(step) = self.state.charter.plan.after(self.state.reached()).copied() else {
            return self.finish(now);
        };
        let [_, to] = self.look.health;
        match to {
            None if since(self.look.began, now) < self.patience() => self.go_on(now),
            None => self.pause("nothing is known of the endpoints to shift to", true, now),
            Some(health) if health.healthy < self.needed(step.percent) => {
                let needed = self.needed(step.percent);
                let (percent, healthy) = (step.percent, health.healthy);
                let why =
                    format!("{healthy} endpoints are healthy of {needed} needed for {percent}");
                self.pause(&why, true, now)
            }
            Some(_) => self.turn(Share::At(step.percent), Phase::Converging, now),
        }
    }

    /// How long to wait for what should be known soon.
    fn patience(&self) -> Duration {
        let policy = &self.state.charter.policy;
        let bake =
            self.state.charter.plan.at(self.state.reached()).map_or(Duration::ZERO, |s| s.bake);
        policy.converge.saturating_add(bake)
    }

    /// How many healthy endpoints a share of the traffic needs.
    pub(super) fn needed(&self, percent: Percent) -> u32 {
        let all = u64::from(self.state.charter.policy.forward_healthy);
        let part = (all * u64::from(percent.as_hundredths()))
            .div_ceil(u64::from(Percent::ALL.as_hundredths()));
        u32::try_from(part).unwrap_or(u32::MAX).max(1)
    }

    pub(super) fn finish(&mut self, now: Timestamp) -> Vec<Action> {
        let phase = if self.state.reached() == Percent::ALL {
            Phase::Draining
        } else {
            Phase::Completed { drained: false }
        };
        self.turn(self.state.progress.share, phase, now)
    }

    fn pause(&mut self, why: &str, done: bool, now: Timestamp) -> Vec<Action> {
        let phase = Phase::Paused { by: Note::new(SELF), why: Note::new(why), done };
        self.turn(self.state.progress.share, phase, now)
    }

    fn stepping(&mut self, seen: &Observation, baking: bool, now: Timestamp) -> Vec<Action> {
        let mut actions = self.judge(seen, baking);
        let policy = &self.state.charter.policy;
        let step = self.state.charter.plan.at(self.state.reached()).copied();
        let over = step
            .map_or(Some(Duration::ZERO), |step| self.look.baked().checked_sub(step.bake))
            .filter(|_| baking);
        let gated = !policy.gates.is_empty() && step.is_some();
        let next = match self.look.tally.decide(&policy.rules, gated, over) {
            Decision::Fail(why) => self.fail(&why, now),
            Decision::Pause(why) => self.pause(&why, false, now),
            _ if self.is_late(now) => {
                self.pause("the time for the whole shift is over", false, now)
            }
            _ if self.look.converged.is_none() => self.lagging(seen, now),
            Decision::Wait if baking => self.go_on(now),
            Decision::Wait => self.settle(seen, now),
            // A share that an operator set is no step of the plan: what comes next is for them.
            Decision::Go if step.is_none() => self.pause("set by hand", true, now),
            Decision::Go if step.is_some_and(|s| s.pause) => {
                self.pause("the plan pauses here", true, now)
            }
            Decision::Go => self.advance(now),
        };
        actions.extend(next);
        actions
    }

    /// Counts a window, once, if it is about this step: for good only if all of it is.
    fn judge(&mut self, seen: &Observation, baking: bool) -> Vec<Action> {
        let (policy, look) = (&self.state.charter.policy, &mut self.look);
        let window = match &seen.counts {
            Counts::Over(window) if look.judged.is_none_or(|last| window.begin > last) => {
                Some(&**window)
            }
            Counts::Over(_) | Counts::Running | Counts::Unavailable => None,
        };
        let judgement = Judgement::of(&policy.gates, &policy.rules, window, seen.to);
        let missing = window.is_none() && (seen.counts != Counts::Unavailable || !baking);
        let early = window.is_some_and(|w| w.begin < look.began);
        let mixed = window.is_some_and(|w| look.converged.is_none_or(|all| w.begin < all));
        let counts = judgement.at_once
            || !(missing || early || (mixed && judgement.verdict() != Verdict::Fail));
        if !counts || judgement.findings.is_empty() {
            return Vec::new();
        }
        look.judged = window.map(|w| w.begin).or(look.judged);
        look.tally.add(&judgement, &policy.rules);
        vec![Action::Tell(Event::Judged(format!("{}: {}", judgement.verdict(), judgement.words())))]
    }

    /// Not all Envoys have the weights.
    fn lagging(&mut self, seen: &Observation, now: Timestamp) -> Vec<Action> {
        let limit = self.state.charter.policy.converge;
        let (acknowledged, connected) =
            seen.fleet.as_ref().map_or((0, 0), |fleet| (fleet.acknowledged, fleet.connected));
        if since(self.look.lagging, now) < limit {
            let mut actions = vec![Action::Tell(Event::Converging(acknowledged, connected))];
            actions.extend(self.go_on(now));
            return actions;
        }
        let why = behind(seen, limit);
        self.pause(&why, false, now)
    }

    /// All Envoys have the weights: the bake begins, once traffic is seen to be divided so.
    fn settle(&mut self, seen: &Observation, now: Timestamp) -> Vec<Action> {
        let began = self.look.converged.unwrap_or(now);
        match self.is_split(seen, began) {
            Some(true) => self.turn(self.state.progress.share, Phase::Baking, now),
            _ if since(began, now) < self.state.charter.policy.converge => self.go_on(now),
            Some(false) => self.pause("traffic is not divided as the weights are", false, now),
            None => self.pause("too few requests to see how traffic is divided", false, now),
        }
    }

    fn is_split(&self, seen: &Observation, began: Timestamp) -> Option<bool> {
        let policy = &self.state.charter.policy;
        if !policy.confirm_split {
            return Some(true);
        }
        let split = seen.split.filter(|split| split.begin >= began)?;
        let ends = self.state.ends()?;
        // Rounding may divide places a little differently: one that fits is enough.
        let weights = self.state.weights();
        let fits = weights
            .iter()
            .filter_map(|weights| pair(weights, ends))
            .map(|(from, to)| split.fits(from, to, policy.rules.min_requests));
        fits.max().flatten()
    }

    fn fail(&mut self, why: &str, now: Timestamp) -> Vec<Action> {
        match self.state.charter.policy.on_failure {
            OnFailure::Rollback | OnFailure::Stepped { .. } => {
                self.roll_back(Cause::Gate(Note::new(why)), false, now)
            }
            OnFailure::Hold => {
                self.turn(self.state.progress.share, Phase::Holding(Note::new(why)), now)
            }
            OnFailure::Pause => self.pause(why, false, now),
        }
    }

    /// Moves traffic back, but not onto a side that is dead or too small, unless forced.
    pub(super) fn roll_back(&mut self, cause: Cause, force: bool, now: Timestamp) -> Vec<Action> {
        let share = self.state.progress.share;
        let [from, _] = self.look.health;
        match from {
            _ if force => self.turn(Share::Baseline, Phase::RollingBack(cause), now),
            Some(health) if self.is_able(health) => {
                self.turn(self.back(&cause), Phase::RollingBack(cause), now)
            }
            Some(health) => {
                let why = self.unable(&cause, Some(health));
                self.turn(share, Phase::Holding(why), now)
            }
            // Said now, and done as soon as it is known whether it can be.
            None => self.turn(share, Phase::RollingBack(cause), now),
        }
    }

    fn is_able(&self, from: Health) -> bool {
        from.healthy >= self.state.charter.policy.rollback_healthy.max(1)
    }

    fn unable(&self, cause: &Cause, from: Option<Health>) -> Note {
        let needed = self.state.charter.policy.rollback_healthy.max(1);
        let side = from.map_or_else(
            || "nothing is known of the side to go back to".to_owned(),
            |h| format!("the side to go back to has {} healthy endpoints of {needed}", h.healthy),
        );
        Note::new(&format!("{side}; {}", cause.words()))
    }

    /// The next share on the way back.
    fn back(&self, cause: &Cause) -> Share {
        let steps = match &self.state.charter.policy.on_failure {
            OnFailure::Stepped { percents, .. } if !matches!(cause, Cause::Undo(_)) => percents,
            OnFailure::Stepped { .. }
            | OnFailure::Rollback
            | OnFailure::Hold
            | OnFailure::Pause => return Share::Baseline,
        };
        let lower = steps.iter().filter(|p| **p < self.state.reached() && **p > Percent::NONE);
        lower.max().map_or(Share::Baseline, |percent| Share::At(*percent))
    }

    fn rolling_back(&mut self, seen: &Observation, cause: &Cause, now: Timestamp) -> Vec<Action> {
        let policy = &self.state.charter.policy;
        let passed = since(self.look.began, now);
        let Share::At(percent) = self.state.progress.share else {
            if self.look.converged.is_some() {
                return self.turn(Share::Baseline, Phase::RolledBack(cause.clone()), now);
            }
            if passed >= policy.converge {
                let why = behind(seen, policy.converge);
                return self.end(Outcome::Incomplete(Note::new(&why)));
            }
            return self.go_on(now);
        };
        let [from, _] = self.look.health;
        match (from, &policy.on_failure) {
            (None, _) if passed < policy.converge => self.go_on(now),
            (Some(health), OnFailure::Stepped { percents, each })
                if self.is_able(health) && percents.contains(&percent) && passed < *each =>
            {
                self.go_on(now)
            }
            (Some(health), _) if self.is_able(health) => {
                self.turn(self.back(cause), Phase::RollingBack(cause.clone()), now)
            }
            (_, _) => {
                let why = self.unable(cause, from);
                self.turn(self.state.progress.share, Phase::Holding(why), now)
            }
        }
    }

    fn draining(&mut self, seen: &Observation, now: Timestamp) -> Vec<Action> {
        let drained = seen.active == Some(0) && self.look.converged.is_some();
        let late = since(self.state.progress.since, now) >= self.state.charter.policy.drain;
        if drained || late {
            return self.turn(self.state.progress.share, Phase::Completed { drained }, now);
        }
        self.go_on(now)
    }
}

/// Which Envoys do not have the weights.
fn behind(seen: &Observation, limit: Duration) -> String {
    let Some(fleet) = &seen.fleet else {
        return format!("nothing was heard of the Envoys for {limit:?}");
    };
    let names: Vec<_> = fleet.waiting.iter().take(3).map(Note::as_str).collect();
    let (have, all) = (fleet.acknowledged, fleet.connected);
    format!(
        "{have} of {all} Envoys have the weights after {limit:?}; waiting: {}",
        names.join(", ")
    )
}
