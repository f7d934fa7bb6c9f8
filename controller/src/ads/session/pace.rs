//! How much is on its way to Envoy at a time, when much waits.
//!
//! Envoy works off responses one after the other. What is sent is before everything that is not
//! yet known, so a response is kept as small as Envoy makes of it in a moment, and few of them are
//! under way: what one owner changes alone waits no longer than those take.

use std::time::Duration;

/// Resources in the first response, and in the smallest.
const FIRST: usize = 64;
const LEAST: usize = 16;
/// How long Envoy may work on a response, beyond what the fastest answer took.
const SHORT: Duration = Duration::from_millis(6);
const LONG: Duration = Duration::from_millis(15);

/// How many resources of a type go into a response.
#[derive(Debug)]
pub(super) struct Pace {
    resources: usize,
}

/// The fastest answer so far, which is the way to Envoy and back.
#[derive(Debug, Default)]
pub(super) struct Distance(Option<Duration>);

impl Distance {
    /// An answer took so long; returns how much of that Envoy worked.
    pub(super) fn answered(&mut self, elapsed: Duration) -> Duration {
        let fastest = self.0.map_or(elapsed, |fastest| fastest.min(elapsed));
        self.0 = Some(fastest);
        elapsed.saturating_sub(fastest)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { resources: FIRST }
    }
}

impl Pace {
    /// Resources in the next response; never more than `most`.
    pub(super) fn resources(&self, most: usize) -> usize {
        self.resources.min(most)
    }

    /// Envoy worked so long on a response with so many resources.
    pub(super) fn worked(&mut self, work: Duration, resources: usize, most: usize) {
        if work > LONG {
            self.resources = (self.resources / 2).max(LEAST);
        } else if work < SHORT && resources >= self.resources {
            self.resources = (self.resources * 2).min(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn responses_grow_while_envoy_is_quick_and_shrink_when_it_is_not() {
        let mut pace = Pace::default();
        pace.worked(2 * MS, 64, 1_024);
        assert_eq!(pace.resources(1_024), 128);
        for _ in 0..10 {
            pace.worked(3 * MS, pace.resources(1_024), 1_024);
        }
        assert_eq!(pace.resources(1_024), 1_024);
        for _ in 0..10 {
            pace.worked(60 * MS, pace.resources(1_024), 1_024);
        }
        assert_eq!(pace.resources(1_024), LEAST);
    }

    #[test]
    fn the_way_to_a_distant_envoy_is_no_work() {
        let mut distance = Distance::default();
        assert_eq!(distance.answered(100 * MS), Duration::ZERO);
        assert_eq!(distance.answered(130 * MS), 30 * MS);
        assert_eq!(distance.answered(90 * MS), Duration::ZERO);
    }

    #[test]
    fn a_small_response_says_nothing_of_large_ones() {
        let mut pace = Pace::default();
        pace.worked(2 * MS, 1, 1_024);
        assert_eq!(pace.resources(1_024), FIRST);
    }
}
