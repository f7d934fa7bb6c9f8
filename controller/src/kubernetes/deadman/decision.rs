//! What becomes of a shift whose client is gone, and what its owners are told. No I/O, no clock.

use contour_core::api::Timestamp;
use contour_core::shift::machine::{Command, Live, Outcome};
use contour_core::shift::state::{State, StateError};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Decision {
    /// Nothing, whatever time it is.
    Nothing,
    /// Nothing, since what is kept cannot be read.
    Unreadable(StateError),
    /// Nothing yet.
    NotYet,
    /// This.
    Act(Command),
}

impl Decision {
    /// Decides for a route whose shift nobody has driven since then.
    pub(super) fn of(live: &Live, since: Timestamp, now: Timestamp) -> Self {
        let Some(annotation) = &live.annotation else { return Self::Nothing };
        let state = match State::read(annotation) {
            Ok(state) => state,
            Err(error) => return Self::Unreadable(error),
        };
        if state.charter.uid != live.uid {
            return Self::Nothing;
        }
        let ever = Timestamp::from_unix(i64::MAX);
        match Command::of_deadman(&state, since, now) {
            Some(command) => Self::Act(command),
            None if Command::of_deadman(&state, since, ever).is_some() => Self::NotYet,
            None => Self::Nothing,
        }
    }
}

/// What owners are told, and how it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) reason: &'static str,
    pub(super) outcome: &'static str,
    pub(super) text: String,
}

/// That somebody else drives a shift from now on.
pub(super) fn begun(command: &Command, holder: &str, gone: i64) -> String {
    let next = match command {
        Command::Pause(_) => "it is paused",
        Command::Rollback { .. } => "all traffic goes back",
        Command::Resume
        | Command::Promote
        | Command::PromoteFully
        | Command::Set(_)
        | Command::Abort
        | Command::Retry
        | Command::Undo { .. } => "it is gone on with",
    };
    format!("the client {holder} has not been heard of for {gone} s: {next}, as was agreed")
}

/// How it ended. Nothing is to be told where the client is back, or the route gone.
pub(super) fn ended(outcome: &Outcome) -> Option<Telling> {
    let (reason, label) = match outcome {
        Outcome::RolledBack(_) | Outcome::Undone => ("ShiftRolledBack", "back"),
        Outcome::Paused(_) => ("ShiftPaused", "paused"),
        Outcome::Held(_) => ("ShiftHeld", "held"),
        Outcome::Incomplete(_) => ("ShiftIncomplete", "incomplete"),
        Outcome::Drifted(_)
        | Outcome::Preflight(_)
        | Outcome::Refused(_)
        | Outcome::Conflict(_)
        | Outcome::Aborted { .. }
        | Outcome::Done { .. } => ("ShiftLeft", "left"),
        Outcome::Locked(_) | Outcome::Superseded(_) => return None,
    };
    let became = if label == "left" { "is left as it is" } else { "has ended" };
    let text = format!("without its client, the shift {became}: {outcome}");
    Some(Telling { reason, outcome: label, text })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contour_core::shift::Note;
    use contour_core::shift::percent::Percent;
    use contour_core::shift::plan::{Plan, Schedule, Settings};
    use contour_core::shift::state::{Charter, Deadman, Policy};
    use contour_core::shift::weights::{Lever, Place, Scale, Service, Weights};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn live(deadman: Option<Deadman>) -> Live {
        let service = |name: &str| Service { name: name.into(), port: 80 };
        let written = [(service("blue"), Some(100)), (service("green"), Some(0))];
        let weights = Weights::new(Place::Route("/".into()), written).unwrap();
        let steps = [Percent::whole(50).unwrap()];
        let ends = (service("blue"), service("green"));
        let lever = Lever::new(weights.clone(), &ends.0, &ends.1, Scale::Keep, &steps).unwrap();
        let plan = Plan::new(&Settings::of(Schedule::To(Percent::whole(50).unwrap()))).unwrap();
        let charter = Charter {
            id: Note::new("1"),
            uid: Note::new("u"),
            plan,
            policy: Policy { deadman, ..Policy::default() },
            places: vec![lever],
            operator: Note::new("alice"),
            reason: Note::default(),
            deadline: None,
            tool: Note::default(),
        };
        let state = State::new(charter, Note::new("alice@laptop"), at(0));
        Live {
            uid: Note::new("u"),
            version: Note::new("7"),
            generation: 1,
            weights: vec![weights],
            annotation: Some(state.write().unwrap()),
        }
    }

    #[test]
    fn what_was_agreed_is_done_when_its_time_has_come() {
        let revert = Some(Deadman::Revert(Duration::from_mins(1)));
        let of = |live: &Live, now| format!("{:?}", Decision::of(live, at(100), at(now)));
        assert_eq!(of(&live(revert), 159), "NotYet");
        assert!(of(&live(revert), 160).starts_with("Act(Rollback"));
        let hold = Some(Deadman::Hold(Duration::from_mins(1)));
        assert!(of(&live(hold), 160).starts_with("Act(Pause"));
        assert_eq!(of(&live(None), 9000), "Nothing");
    }

    #[test]
    fn what_is_no_shift_of_this_object_or_says_something_unknown_is_left_alone() {
        let sound = live(Some(Deadman::Revert(Duration::from_mins(1))));
        let of = |live: Live| format!("{:?}", Decision::of(&live, at(0), at(9000)));
        assert_eq!(of(Live { uid: Note::new("v"), ..sound.clone() }), "Nothing");
        assert_eq!(of(Live { annotation: None, ..sound.clone() }), "Nothing");
        let later = sound.annotation.as_ref().unwrap().replacen("\"v\":1", "\"v\":2", 1);
        assert!(of(Live { annotation: Some(later), ..sound }).starts_with("Unreadable(Schema(2"));
    }

    #[test]
    fn owners_are_told_how_it_ended_unless_it_is_no_longer_ours() {
        let why = || Note::new("why");
        for (outcome, reason, text) in [
            (Outcome::RolledBack(why()), "ShiftRolledBack", "has ended: rolled back: why"),
            (Outcome::Paused(why()), "ShiftPaused", "has ended: why"),
            (Outcome::Held(why()), "ShiftHeld", "has ended: failed, and held where it is: why"),
            (
                Outcome::Incomplete(why()),
                "ShiftIncomplete",
                "has ended: rolled back, but not known to be live: why",
            ),
            (
                Outcome::Drifted(why()),
                "ShiftLeft",
                "is left as it is: somebody else changed what is shifted: why",
            ),
        ] {
            let told = ended(&outcome).unwrap();
            let text = format!("without its client, the shift {text}");
            assert_eq!((told.reason, told.text), (reason, text));
        }
        assert_eq!(ended(&Outcome::Locked(why())), None);
        assert_eq!(ended(&Outcome::Superseded(why())), None);
    }
}
