//! Whether what is seen of both services allows to go on.
//!
//! A window's counts are judged by integers alone, so that no data can become 0 or NaN: where
//! there is too little of it, the answer is [`Verdict::Inconclusive`], which is no pass.

mod histogram;
mod tally;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use histogram::{Histogram, Latency, Quantile};
pub use tally::{Counting, Decision, NoData, Rules, Tally};

use super::percent::Percent;
use crate::api::Timestamp;

/// What was seen of one service behind the shifted routes in a window, summed over all Envoys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Requests that were answered or failed, each once, however often it was tried.
    pub requests: u64,
    /// Of these, those that failed in the end, as the client saw it.
    pub failures: u64,
    /// Tries that failed, and that a retry hid from the client.
    pub masked: u64,
    /// How long the requests took.
    pub latency: Histogram,
}

impl Sample {
    /// Adds what another Envoy, or another route, has seen.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.masked = self.masked.saturating_add(other.masked);
        self.latency.merge(&other.latency);
    }

    /// What was added since it was `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failures: self.failures.saturating_sub(before.failures),
            masked: self.masked.saturating_sub(before.masked),
            latency: self.latency.since(&before.latency),
        }
    }
}

/// The endpoints of a service, as the Envoy sees them that sees the fewest healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Those that traffic is sent to.
    pub healthy: u32,
    /// Those that outlier detection took out.
    pub ejected: u32,
}

/// Counts between two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub begin: Timestamp,
    /// The service that traffic is moved from.
    pub from: Sample,
    /// The service that traffic is moved to.
    pub to: Sample,
}

/// A condition that `to` must meet in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// At least so many of its requests succeed.
    SuccessRate(Percent),
    /// A quantile of its latency is below a limit, in milliseconds.
    Latency(Quantile, u32),
    /// Its error rate exceeds that of `from` by less than so many percentage points.
    ErrorRateDelta(Percent),
    /// Its p99 is less than so many hundredths of that of `from`.
    P99Ratio(u32),
    /// Less than so many of its requests needed a retry to succeed.
    Masked(Percent),
}

/// What a window says of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is met.
    Pass,
    /// Too little was seen to say.
    Inconclusive,
    /// What is needed to judge could not be had.
    Error,
    /// It is not met.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        })
    }
}

/// A verdict, with the numbers in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub verdict: Verdict,
    /// Such as `success rate 69.17% < 99%`.
    pub words: String,
}

/// What a window says of all gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Of each gate, in their order.
    pub findings: Vec<Finding>,
    /// Whether it failed in a way that waiting makes worse.
    pub at_once: bool,
}

impl Judgement {
    /// Judges a window, unset if it could not be had. `health` of `to` may be known without one.
    pub fn of(
        gates: &[Gate],
        rules: &Rules,
        window: Option<&Window>,
        health: Option<Health>,
    ) -> Self {
        if let Some(finding) = health.and_then(|h| dead(h, rules)) {
            return Self { findings: vec![finding], at_once: true };
        }
        let findings = match window {
            None if gates.is_empty() => Vec::new(),
            None => vec![Finding {
                verdict: Verdict::Error,
                words: "no statistics could be had of the Envoys".to_owned(),
            }],
            Some(window) => gates.iter().map(|gate| gate.judge(window, rules)).collect(),
        };
        Self { findings, at_once: false }
    }

    /// The worst of all; without gates, a pass.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Pass)
    }

    /// The findings that the verdict comes from, in words.
    pub fn words(&self) -> String {
        let verdict = self.verdict();
        let decisive = self.findings.iter().filter(|f| f.verdict == verdict);
        decisive.map(|f| f.words.as_str()).collect::<Vec<_>>().join("; ")
    }
}

fn dead(health: Health, rules: &Rules) -> Option<Finding> {
    let fail = |words| Some(Finding { verdict: Verdict::Fail, words });
    if health.healthy == 0 {
        return fail("no endpoint is healthy".to_owned());
    }
    let limit = rules.max_ejected.filter(|max| health.ejected > *max)?;
    fail(format!("{} endpoints are ejected > {limit}", health.ejected))
}

impl Gate {
    fn judge(self, window: &Window, rules: &Rules) -> Finding {
        let (to, from) = (&window.to, &window.from);
        if let Some(few) = too_few("to", to, rules) {
            return few;
        }
        let compares = matches!(self, Self::ErrorRateDelta(_) | Self::P99Ratio(_));
        if let Some(few) = too_few("from", from, rules).filter(|_| compares) {
            return few;
        }
        match self {
            Self::SuccessRate(min) => {
                let succeeded = to.requests.saturating_sub(to.failures);
                finding(
                    at_least(succeeded, to.requests, min),
                    &format!("success rate {}", rate(succeeded, to.requests)),
                    [">=", "<"],
                    &min.to_string(),
                )
            }
            Self::Masked(max) => finding(
                !at_least(to.masked, to.requests, max),
                &format!("failures hidden by retries {}", rate(to.masked, to.requests)),
                ["<", ">="],
                &max.to_string(),
            ),
            Self::ErrorRateDelta(max) => {
                let rates = [to, from].map(|s| rate(s.failures, s.requests));
                finding(
                    is_close(to, from, max),
                    &format!("error rate {} against {}: difference", rates[0], rates[1]),
                    ["<", ">="],
                    &max.to_string(),
                )
            }
            Self::Latency(quantile, limit) => latency(quantile, limit, to, rules),
            Self::P99Ratio(limit) => ratio(limit, to, from, rules),
        }
    }
}

fn too_few(side: &str, sample: &Sample, rules: &Rules) -> Option<Finding> {
    let enough = sample.requests > 0 && sample.requests >= u64::from(rules.min_requests);
    let words = || {
        format!("{} requests to `{side}`, of {} needed", sample.requests, rules.min_requests.max(1))
    };
    (!enough).then(|| Finding { verdict: Verdict::Inconclusive, words: words() })
}

fn finding(met: bool, value: &str, signs: [&str; 2], limit: &str) -> Finding {
    let [yes, no] = signs;
    let (verdict, sign) = if met { (Verdict::Pass, yes) } else { (Verdict::Fail, no) };
    Finding { verdict, words: format!("{value} {sign} {limit}") }
}

/// Whether `part` of `whole` is at least a share, exactly.
fn at_least(part: u64, whole: u64, share: Percent) -> bool {
    u128::from(part) * u128::from(Percent::ALL.as_hundredths())
        >= u128::from(whole) * u128::from(share.as_hundredths())
}

/// Whether the error rate of `to` exceeds that of `from` by less than `max`, exactly.
fn is_close(to: &Sample, from: &Sample, max: Percent) -> bool {
    let [a, n, b, m] = [to.failures, to.requests, from.failures, from.requests].map(u128::from);
    // a/n < b/m + max, without a division. Counts beyond 2^50 do not occur in a window.
    let (all, max) = (u128::from(Percent::ALL.as_hundredths()), u128::from(max.as_hundredths()));
    let left = a.saturating_mul(m).saturating_mul(all);
    let right = b.saturating_mul(n).saturating_mul(all);
    left < right.saturating_add(n.saturating_mul(m).saturating_mul(max))
}

/// A share in percent, rounded down to a hundredth. More parts than a whole, as of tries that were
/// repeated twice, is more than 100 %.
fn rate(part: u64, whole: u64) -> String {
    match (u128::from(part) * 10_000).checked_div(u128::from(whole)) {
        None => "-".to_owned(),
        Some(hundredths) => format!("{}.{:02}%", hundredths / 100, hundredths % 100),
    }
}

fn latency(quantile: Quantile, limit: u32, to: &Sample, rules: &Rules) -> Finding {
    let limit = Duration::from_millis(limit.into());
    match to.latency.quantile(quantile, rules.min_requests) {
        None => Finding {
            verdict: Verdict::Inconclusive,
            words: format!("{quantile} of too few requests"),
        },
        Some(value) => finding(
            value.is_below(limit),
            &format!("{quantile} {value}"),
            ["<", "is not below"],
            &format!("{limit:?}"),
        ),
    }
}

fn ratio(limit: u32, to: &Sample, from: &Sample, rules: &Rules) -> Finding {
    let p99 = |sample: &Sample| sample.latency.quantile(Quantile::P99, rules.min_requests);
    let (Some(new), Some(old)) = (p99(to), p99(from)) else {
        let words = "p99 of too few requests".to_owned();
        return Finding { verdict: Verdict::Inconclusive, words };
    };
    let times = format!("{}.{:02} times that", limit / 100, limit % 100);
    // Nothing can be said of how many times what is beyond the last bucket is.
    match (new, old) {
        (Latency::Within(new), Latency::Within(old)) => finding(
            new.as_micros() * 100 < old.as_micros() * u128::from(limit),
            &format!("p99 {new:?} against {old:?}:"),
            ["<", "is not below"],
            &times,
        ),
        (Latency::Beyond(_), Latency::Within(_)) => {
            finding(false, &format!("p99 {new} against {old}:"), ["<", "is not below"], &times)
        }
        (_, Latency::Beyond(_)) => Finding {
            verdict: Verdict::Inconclusive,
            words: format!("p99 of `from` is {old}, which nothing can be compared with"),
        },
    }
}
