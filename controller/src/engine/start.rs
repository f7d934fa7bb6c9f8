//! What Envoys keep after a start, while a part of the source cannot be read.
//!
//! ```text
//! Before ── in sync ─┬─ something is unread ─► Keeping ─┬─ everything was read ─► Over
//!                    └─ everything was read ──► Over    └─ the time has passed ─► Over
//! ```
//!
//! Pure: the time comes in.

use std::sync::Arc;
use std::time::Duration;

use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::name::FieldPath;
use contour_core::pipeline::Gaps;
use tokio::time::Instant;

use crate::source::Unread;

/// Parts that a message names.
const NAMED: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The source has not told yet all that it held at the start.
    Before,
    /// Envoys keep what the source cannot say to be gone.
    Keeping { until: Instant },
    /// They do not, and will not again: what is known now stays known.
    Over { is_given_up: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Start {
    /// How long Envoys keep it at most.
    limit: Duration,
    unread: Unread,
    state: State,
}

impl Start {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, unread: Unread::default(), state: State::Before }
    }

    /// This is what could not be read since the start. Returns whether Envoys have to keep nothing
    /// from now on.
    pub(super) fn heard(&mut self, unread: Unread) -> bool {
        self.unread = unread;
        let is_over = matches!(self.state, State::Keeping { .. }) && self.unread.gaps.is_empty();
        if is_over {
            self.state = State::Over { is_given_up: false };
        }
        is_over
    }

    /// The source has told all that it held.
    pub(super) fn synced(&mut self, now: Instant) {
        if self.state != State::Before {
            return;
        }
        let keeps = !self.unread.gaps.is_empty() && !self.limit.is_zero();
        self.state = if keeps {
            State::Keeping { until: now + self.limit }
        } else {
            State::Over { is_given_up: !self.unread.gaps.is_empty() }
        };
    }

    /// What the source cannot say to be gone, while Envoys keep it.
    pub(super) fn gaps(&self) -> Option<&Gaps> {
        matches!(self.state, State::Keeping { .. }).then_some(&self.unread.gaps)
    }

    /// When [`Self::pass`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Keeping { until } => Some(until),
            State::Before | State::Over { .. } => None,
        }
    }

    /// Time has come to this. Returns whether Envoys have to keep nothing from now on.
    pub(super) fn pass(&mut self, now: Instant) -> bool {
        let is_over = self.deadline().is_some_and(|until| until <= now);
        if is_over {
            self.state = State::Over { is_given_up: true };
        }
        is_over
    }

    /// The parts that could not be read since the start.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.unread.parts.iter()
    }

    /// For how long Envoys still keep what was unread; `None` if they do not.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(now))
    }

    /// What there is to say of it.
    pub(super) fn findings(&self) -> Vec<Diagnostic> {
        let parts = &self.unread.parts;
        if parts.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<&str> = parts.iter().take(NAMED).map(AsRef::as_ref).collect();
        let more = format!("{} more", parts.len().saturating_sub(NAMED));
        if parts.len() > NAMED {
            names.push(&more);
        }
        let what = format!("since the start it was not possible to read {}", names.join(", "));
        let (message, hint) = match self.state {
            State::Before | State::Keeping { .. } => (
                format!(
                    "{what}; Envoys keep what they have of it for {} at most",
                    brief(self.limit)
                ),
                "Make it readable before that, or delete it if it is not needed.",
            ),
            State::Over { is_given_up: true } if !self.limit.is_zero() => (
                format!("{what} for {}; what Envoys had of it is removed now", brief(self.limit)),
                "Make it readable, or delete it if it is not needed; --unread-hold sets the time.",
            ),
            State::Over { .. } => (
                format!("{what}; what Envoys had of it is removed"),
                "Make it readable, or delete it if it is not needed.",
            ),
        };
        vec![Diagnostic {
            code: Code::SourceIncomplete,
            object: None,
            field: FieldPath::root(),
            message,
            hint: Some(hint.to_owned()),
            location: None,
        }]
    }
}

/// Whole minutes as minutes, anything else in seconds.
pub(super) fn brief(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{}s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn unread(parts: &[&str]) -> Unread {
        let gaps = if parts.is_empty() { Gaps::default() } else { Gaps::everywhere() };
        Unread { gaps, parts: parts.iter().map(|part| (*part).into()).collect() }
    }

    fn message(start: &Start) -> String {
        start.findings().iter().map(|finding| finding.message.clone()).collect()
    }

    #[test]
    fn envoys_keep_it_until_everything_was_read() {
        let now = Instant::now();
        let mut start = Start::new(60 * SECOND);
        assert!(!start.heard(unread(&["a", "b"])));
        assert_eq!(start.gaps(), None);
        start.synced(now);
        assert_eq!(start.gaps(), Some(&Gaps::everywhere()));
        assert_eq!(
            message(&start),
            "since the start it was not possible to read a, b; Envoys keep what they have of it for 1m at most"
        );
        assert!(!start.heard(unread(&["b"])));
        assert!(!start.pass(now + 59 * SECOND));
        assert!(start.heard(unread(&[])));
        assert_eq!((start.gaps(), start.deadline()), (None, None));
        assert_eq!(start.findings(), []);
        // What was known once stays known: nothing is kept again.
        assert!(!start.heard(unread(&["b"])));
        assert_eq!(start.gaps(), None);
        assert!(!start.pass(now + 100 * SECOND));
    }

    #[test]
    fn envoys_keep_it_for_the_time_set_and_then_it_is_said() {
        let now = Instant::now();
        let mut start = Start::new(90 * SECOND);
        start.heard(unread(&["a"]));
        start.synced(now);
        assert_eq!(start.left(now + 30 * SECOND), Some(60 * SECOND));
        assert!(start.pass(now + 90 * SECOND));
        assert!(!start.pass(now + 91 * SECOND));
        assert_eq!((start.gaps(), start.left(now)), (None, None));
        assert_eq!(
            message(&start),
            "since the start it was not possible to read a for 90s; what Envoys had of it is removed now"
        );
        assert!(!start.heard(unread(&[])));
        assert_eq!(start.findings(), []);
    }

    #[test]
    fn nothing_is_kept_where_everything_was_read_or_no_time_is_given() {
        let now = Instant::now();
        for (limit, parts) in [(60 * SECOND, &[][..]), (Duration::ZERO, &["a"])] {
            let mut start = Start::new(limit);
            start.heard(unread(parts));
            start.synced(now);
            assert_eq!((start.gaps(), start.deadline()), (None, None));
            assert_eq!(start.findings().len(), parts.len());
        }
    }

    #[test]
    fn of_many_parts_a_few_are_named() {
        let mut start = Start::new(SECOND);
        start.heard(unread(&["a", "b", "c", "d", "e", "f", "g"]));
        start.synced(Instant::now());
        assert!(message(&start).contains("read a, b, c, d, e, 2 more; "), "{}", message(&start));
    }
}
