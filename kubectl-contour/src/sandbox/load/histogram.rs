//! Latencies by buckets that are 1.6 % wide.

use std::time::Duration;

/// Buckets to each doubling.
const STEPS: u32 = 64;
/// `log2(STEPS)`.
const BITS: u32 = STEPS.trailing_zeros();
/// The largest value told apart is 2^36 µs, nineteen hours.
const LARGEST: u64 = (1 << 36) - 1;

/// Counts of latencies, in bounded memory however many there are.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LARGEST);
        let index = bucket(micros.min(LARGEST));
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that so many of a thousand stay below or at; `None` if there is none.
    pub fn per_mille(&self, share: u64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = (self.count * share.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_micros(middle(index)));
            }
        }
        None
    }
}

/// Values below 64 have a bucket each; above, each doubling has 64.
fn bucket(micros: u64) -> usize {
    let exponent = (micros | 1).ilog2().saturating_sub(BITS);
    let step = micros >> exponent;
    let index = u64::from(exponent) * u64::from(STEPS) + step;
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The middle of a bucket.
fn middle(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let steps = u64::from(STEPS);
    if index < 2 * steps {
        return index;
    }
    let exponent = index / steps - 1;
    let step = index - exponent * steps;
    (step << exponent) + ((1 << exponent) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_is_close_to_it() {
        for micros in (0..200).chain([1_000, 1_449, 65_535, 65_536, 1_000_000, LARGEST]) {
            let near = middle(bucket(micros));
            assert!(near.abs_diff(micros) * 100 <= micros * 2, "{micros} → {near}");
        }
        let indices: Vec<usize> = (0..100_000).map(bucket).collect();
        assert!(indices.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1));
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.per_mille(500), None);
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let close = |share, millis: u64| {
            let got = histogram.per_mille(share).unwrap().as_micros();
            got.abs_diff(u128::from(millis) * 1000) * 50 <= u128::from(millis) * 1000
        };
        assert!(close(500, 50) && close(990, 99) && close(1000, 100) && close(0, 1));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.count(), 200);
        assert_eq!(twice.per_mille(500), histogram.per_mille(500));
    }
}
