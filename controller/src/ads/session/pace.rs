//! How much is on its way to Envoy at a time, when much waits.
//!
//! Envoy works off responses one after the other. What is sent is before everything that is not
//! yet known, so a response is kept as small as Envoy makes of it in a moment, and few of them are
//! under way: what one owner changes alone waits no longer than those take.

use std::time::Duration;

/// Resources in the first response, and in the smallest.
const FIRST: usize = 64;
const LEAST: usize = 8;
/// How long Envoy may work on a response, beyond what the fastest answer took.
const SHORT: Duration = Duration::from_millis(6);
const LONG: Duration = Duration::from_millis(15);

/// How many resources of a type go into a response.
#[derive(Debug)]
pub(super) struct Pace {
    resources: usize,
    /// The fastest answer so far, which is the way to Envoy and back.
    fastest: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { resources: FIRST, fastest: None }
    }
}

impl Pace {
    /// Resources in the next response; never more than `most`.
    pub(super) fn resources(&self, most: usize) -> usize {
        self.resources.min(most)
    }

    /// Envoy took so long for a response with so many resources.
    pub(super) fn answered(&mut self, elapsed: Duration, resources: usize, most: usize) {
        let fastest = self.fastest.map_or(elapsed, |fastest| fastest.min(elapsed));
        self.fastest = Some(fastest);
        let work = elapsed.saturating_sub(fastest);
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
        pace.answered(2 * MS, 64, 1_024);
        assert_eq!(pace.resources(1_024), 128);
        for _ in 0..10 {
            pace.answered(3 * MS, pace.resources(1_024), 1_024);
        }
        assert_eq!(pace.resources(1_024), 1_024);
        for _ in 0..10 {
            pace.answered(60 * MS, pace.resources(1_024), 1_024);
        }
        assert_eq!(pace.resources(1_024), LEAST);
    }

    #[test]
    fn the_way_to_a_distant_envoy_is_no_work() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.answered(100 * MS, pace.resources(1_024), 1_024);
        }
        assert_eq!(pace.resources(1_024), 1_024);
    }

    #[test]
    fn a_small_response_says_nothing_of_large_ones() {
        let mut pace = Pace::default();
        pace.answered(2 * MS, 1, 1_024);
        assert_eq!(pace.resources(1_024), FIRST);
    }
}
