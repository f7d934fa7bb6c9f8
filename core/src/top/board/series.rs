//! Counts over time: what was added since a time, and how fast.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::top::frame::Numbers;

/// Counts at the times at which they changed. Before the first they were 0.
#[derive(Clone, Debug)]
pub(super) struct Series<const N: usize> {
    marks: VecDeque<(u64, [u64; N])>,
}

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Self { marks: VecDeque::new() }
    }
}

impl<const N: usize> Series<N> {
    /// Takes what is counted at a time. What is older than `base` is not asked for any more.
    pub(super) fn push(&mut self, at: u64, counts: [u64; N], base: u64) {
        while self.marks.get(1).is_some_and(|(second, _)| *second <= base) {
            self.marks.pop_front();
        }
        if self.marks.back().is_some_and(|(last, _)| *last >= at) {
            self.marks.pop_back();
        }
        self.marks.push_back((at, counts));
    }

    /// What was added since a time.
    pub(super) fn since(&self, base: u64) -> [u64; N] {
        let Some((_, last)) = self.marks.back() else { return [0; N] };
        let before = self.marks.iter().rev().find(|(at, _)| *at <= base);
        let before = before.map_or([0; N], |(_, counts)| *counts);
        std::array::from_fn(|i| {
            let at = |counts: &[u64; N]| counts.get(i).copied().unwrap_or(0);
            at(last).saturating_sub(at(&before))
        })
    }

    /// What was added a second between the last mark and the one that is `window` milliseconds
    /// older, or the oldest that there is.
    pub(super) fn pace(&self, window: u64) -> Option<[f64; N]> {
        let (last, _) = self.marks.back()?;
        let base = last.saturating_sub(window);
        let older = self.marks.iter().rev().skip(1);
        let (begun, _) =
            older.clone().find(|(at, _)| *at <= base).or_else(|| self.marks.front())?;
        let seconds = seconds(*begun, *last)?;
        Some(self.since(*begun).map(|added| real(added) / seconds))
    }
}

/// Upper bounds, rising, and how many are below each and not below the one before.
pub(super) type Buckets = Arc<[(u64, u64)]>;

/// Buckets at the times at which they were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    marks: VecDeque<(u64, Buckets)>,
}

impl Latencies {
    /// Takes the buckets at a time.
    pub(super) fn push(&mut self, at: u64, buckets: Buckets, base: u64) {
        while self.marks.get(1).is_some_and(|(second, _)| *second <= base) {
            self.marks.pop_front();
        }
        if self.marks.back().is_some_and(|(last, _)| *last >= at) {
            self.marks.pop_back();
        }
        self.marks.push_back((at, buckets));
    }

    /// Adds to `out` what was added to the buckets since a time.
    pub(super) fn since(&self, base: u64, out: &mut Vec<(u64, u64)>) {
        let Some((at, last)) = self.marks.back() else { return };
        if *at <= base {
            return;
        }
        let before = self.marks.iter().rev().find(|(at, _)| *at <= base);
        let before = before.map_or(&[][..], |(_, buckets)| buckets);
        let mut older = before.iter().peekable();
        for (bound, count) in last.iter() {
            while older.next_if(|(b, _)| b < bound).is_some() {}
            let known = older.peek().filter(|(b, _)| b == bound).map_or(0, |(_, count)| *count);
            let added = count.saturating_sub(known);
            if added > 0 {
                out.push((*bound, added));
            }
        }
    }
}

/// What went to something, summed over Envoys and services.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    /// Answers a second by class; unset until there were two looks.
    classes: Option<[f64; 5]>,
    retries: f64,
    latency: Vec<(u64, u64)>,
}

impl Sum {
    /// Adds what was counted in some seconds: answers by class, and retries.
    pub(super) fn count(&mut self, counts: [u64; 6], seconds: f64) {
        let classes = self.classes.get_or_insert_default();
        for (class, added) in classes.iter_mut().zip(counts) {
            *class += real(added) / seconds;
        }
        let [.., retries] = counts;
        self.retries += real(retries) / seconds;
    }

    /// Where buckets are added.
    pub(super) fn latency(&mut self) -> &mut Vec<(u64, u64)> {
        &mut self.latency
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let Some(theirs) = other.classes {
            let ours = self.classes.get_or_insert_default();
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                *ours += theirs;
            }
        }
        self.retries += other.retries;
        self.latency.extend_from_slice(&other.latency);
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.classes.map(|classes| classes.iter().sum())
    }

    pub(super) fn numbers(mut self, trend: Vec<f32>) -> Numbers {
        let rate = self.rate();
        let share = |total: f64, classes: [f64; 5]| classes.map(|class| class * 100.0 / total);
        let [p50, p95, p99] = self.quantiles();
        Numbers {
            requests_per_second: rate,
            classes: rate.filter(|rate| *rate > 0.0).zip(self.classes).map(|(t, c)| share(t, c)),
            retries_per_second: self.classes.map(|_| self.retries),
            p50,
            p95,
            p99,
            trend,
        }
    }

    /// The bounds of the buckets that half, 95 and 99 of 100 are in or below, in milliseconds.
    fn quantiles(&mut self) -> [Option<f64>; 3] {
        self.latency.sort_unstable();
        let total = self.latency.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        [50, 95, 99].map(|percent| {
            let rank = u128::from(total) * percent;
            let mut seen = 0_u128;
            let bucket = self.latency.iter().find(|(_, count)| {
                seen += u128::from(*count);
                seen * 100 >= rank
            });
            bucket.map(|(bound, _)| real(*bound) / 1e3)
        })
    }
}

/// The seconds between two times in milliseconds; nothing if there are none.
pub(super) fn seconds(from: u64, to: u64) -> Option<f64> {
    let millis = to.checked_sub(from).filter(|millis| *millis > 0)?;
    Some(real(millis) / 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_added_is_the_difference_to_the_time_before() {
        let mut series = Series::<1>::default();
        assert_eq!(series.since(0), [0]);
        for (at, count) in [(1_000, 5), (3_000, 9), (4_000, 20)] {
            series.push(at, [count], 0);
        }
        for (base, added) in [(0, 20), (999, 20), (1_000, 15), (2_999, 15), (3_500, 11), (4_000, 0)]
        {
            assert_eq!(series.since(base), [added], "since {base}");
        }
        assert_eq!(series.pace(1_000), Some([11.0]));
        assert_eq!(series.pace(60_000), Some([5.0]));
    }

    #[test]
    fn one_mark_has_no_pace() {
        let mut series = Series::<1>::default();
        assert_eq!(series.pace(1_000), None);
        series.push(5, [7], 0);
        assert_eq!(series.pace(1_000), None);
    }

    #[test]
    fn quantiles_are_bounds_of_buckets_over_all_that_is_summed() {
        let mut sum = Sum::default();
        let mut latencies = Latencies::default();
        latencies.push(1, Arc::from([(1_000, 5), (2_000, 1)]), 0);
        latencies.push(2, Arc::from([(1_000, 5), (1_500, 90), (2_000, 5), (9_000, 1)]), 0);
        latencies.since(1, sum.latency());
        latencies.since(2, sum.latency());
        assert_eq!(sum.latency, [(1_500, 90), (2_000, 4), (9_000, 1)]);
        let mut other = Sum::default();
        other.latency().push((1_500, 5));
        sum.merge(&other);
        let numbers = sum.numbers(Vec::new());
        assert_eq!((numbers.p50, numbers.p95, numbers.p99), (Some(1.5), Some(1.5), Some(2.0)));
        assert_eq!(numbers.requests_per_second, None);
        assert_eq!(Sum::default().numbers(Vec::new()).p50, None);
    }

    #[test]
    fn shares_need_an_answer_and_rates_do_not() {
        let mut sum = Sum::default();
        sum.count([0; 6], 2.0);
        let none = sum.clone().numbers(Vec::new());
        assert_eq!((none.requests_per_second, none.classes), (Some(0.0), None));
        sum.count([0, 6, 0, 0, 2, 1], 2.0);
        let some = sum.numbers(Vec::new());
        assert_eq!(some.requests_per_second, Some(4.0));
        assert_eq!(some.classes, Some([0.0, 75.0, 0.0, 0.0, 25.0]));
        assert_eq!(some.retries_per_second, Some(0.5));
    }

    proptest! {
        #[test]
        fn what_is_forgotten_changes_no_answer(
            steps in prop::collection::vec((1_u64..5, 0_u64..9), 1..40),
            window in 1_u64..20,
        ) {
            let (mut bounded, mut all) = (Series::<1>::default(), Series::<1>::default());
            let (mut at, mut count) = (0, 0);
            for (later, added) in steps {
                at += later;
                count += added;
                let base = at.saturating_sub(window);
                bounded.push(at, [count], base);
                all.push(at, [count], 0);
                for asked in base..=at {
                    prop_assert_eq!(bounded.since(asked), all.since(asked));
                }
                prop_assert!(bounded.marks.len() as u64 <= window + 2);
            }
        }
    }
}
