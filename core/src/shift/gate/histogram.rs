//! Latencies counted in buckets, which are merged, never averaged.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many requests took how long, by the upper bound of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<Duration, u64>,
    /// Those that took longer than any bucket.
    beyond: u64,
}

/// Which share of the requests is faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Quantile {
    /// Half of them.
    P50,
    /// Nine of ten.
    P90,
    /// 99 of 100.
    P99,
}

impl Quantile {
    fn percent(self) -> u128 {
        match self {
            Self::P50 => 50,
            Self::P90 => 90,
            Self::P99 => 99,
        }
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent())
    }
}

/// A quantile, as well as buckets know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// At most this: the upper bound of its bucket.
    Within(Duration),
    /// More than the last bucket.
    Beyond(Duration),
}

impl Latency {
    /// Whether it is surely below a limit.
    pub fn is_below(self, limit: Duration) -> bool {
        match self {
            Self::Within(bound) => bound < limit,
            Self::Beyond(_) => false,
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(bound) => write!(f, "{bound:?}"),
            Self::Beyond(last) => write!(f, "more than {last:?}"),
        }
    }
}

impl Histogram {
    /// Counts requests that took at most `bound` and longer than the bucket below.
    pub fn add(&mut self, bound: Duration, count: u64) {
        let bucket = self.buckets.entry(bound).or_default();
        *bucket = bucket.saturating_add(count);
    }

    /// Counts requests that took longer than any bucket.
    pub fn add_beyond(&mut self, count: u64) {
        self.beyond = self.beyond.saturating_add(count);
    }

    /// Adds what another Envoy counted.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.buckets {
            self.add(*bound, *count);
        }
        self.add_beyond(other.beyond);
    }

    /// What was added since it was `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut out = Self::default();
        for (bound, count) in &self.buckets {
            let added = count.saturating_sub(before.buckets.get(bound).copied().unwrap_or(0));
            if added > 0 {
                out.add(*bound, added);
            }
        }
        out.add_beyond(self.beyond.saturating_sub(before.beyond));
        out
    }

    /// How many requests are counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().fold(self.beyond, |sum, count| sum.saturating_add(*count))
    }

    /// The bucket that a quantile falls into; `None` below `min` requests, and of none at all.
    pub fn quantile(&self, quantile: Quantile, min: u32) -> Option<Latency> {
        let count = self.count();
        if count == 0 || count < u64::from(min) {
            return None;
        }
        let rank = (u128::from(count) * quantile.percent()).div_ceil(100);
        let mut seen = 0_u128;
        for (bound, in_bucket) in &self.buckets {
            seen += u128::from(*in_bucket);
            if seen >= rank {
                return Some(Latency::Within(*bound));
            }
        }
        Some(Latency::Beyond(self.buckets.keys().next_back().copied().unwrap_or_default()))
    }
}
