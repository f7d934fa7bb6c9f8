//! Gates over windows.

use std::fmt::Write as _;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::gate::{
    Counting, Decision, Gate, Health, Histogram, Judgement, Latency, NoData, Quantile, Rules,
    Sample, Tally, Verdict, Window,
};
use contour_core::shift::percent::Percent;
use proptest::prelude::*;

use super::plan::percent;

/// So many requests of which so many fail, all taking so many milliseconds.
fn sample(requests: u64, failures: u64, millis: u64) -> Sample {
    let mut latency = Histogram::default();
    latency.add(Duration::from_millis(millis), requests);
    Sample { requests, failures, masked: 0, latency }
}

fn window(from: Sample, to: Sample) -> Window {
    Window { begin: Timestamp::from_unix(0), from, to }
}

const HEALTHY: Option<Health> = Some(Health { healthy: 3, ejected: 0 });

fn judge(gates: &[Gate], window: Option<&Window>) -> Judgement {
    Judgement::of(gates, &Rules::default(), window, HEALTHY)
}

#[test]
fn verdicts_come_with_their_numbers() {
    let half = Percent::hundredths(50).unwrap();
    let gates = [
        Gate::SuccessRate(percent(99)),
        Gate::Latency(Quantile::P99, 500),
        Gate::Latency(Quantile::P50, 500),
        Gate::ErrorRateDelta(half),
        Gate::P99Ratio(120),
        Gate::Masked(percent(1)),
    ];
    let good = window(sample(1000, 2, 100), sample(1000, 6, 110));
    let bad = window(sample(1000, 2, 100), Sample { masked: 2100, ..sample(1000, 300, 600) });
    let exact = window(sample(1000, 10, 100), sample(1000, 10, 500));
    let few = window(sample(99, 0, 1), sample(99, 0, 1));
    let none = window(sample(1000, 0, 1), Sample::default());
    let lonely = window(Sample::default(), sample(1000, 0, 1));
    let mut slow = Histogram::default();
    slow.add_beyond(1000);
    let slow = Sample { latency: slow, ..sample(1000, 0, 1) };
    let beyond = window(sample(1000, 0, 1), slow.clone());
    let both = window(slow.clone(), slow);
    let windows = [("good", good), ("bad", bad), ("exact", exact), ("few", few), ("none", none)]
        .into_iter()
        .chain([("lonely", lonely), ("beyond", beyond), ("both beyond", both)]);
    let mut text = String::new();
    for (name, window) in windows {
        let judgement = judge(&gates, Some(&window));
        writeln!(text, "{name}: {}", judgement.verdict()).unwrap();
        for finding in judgement.findings {
            writeln!(text, "  {}: {}", finding.verdict, finding.words).unwrap();
        }
    }
    for health in [Health { healthy: 0, ejected: 0 }, Health { healthy: 2, ejected: 2 }] {
        let rules = Rules { max_ejected: Some(1), ..Rules::default() };
        let judgement = Judgement::of(&gates, &rules, None, Some(health));
        let (verdict, at_once) = (judgement.verdict(), judgement.at_once);
        writeln!(text, "{verdict} at once {at_once}: {}", judgement.words()).unwrap();
    }
    writeln!(text, "no statistics: {}", judge(&gates, None).verdict()).unwrap();
    writeln!(text, "no gates: {}", judge(&[], None).verdict()).unwrap();
    insta::assert_snapshot!(text);
}

/// What a row of verdicts comes to, the bake being over since so many seconds, if it is.
fn decide(rules: &Rules, verdicts: &str, over: Option<u64>) -> Decision {
    let gates = [Gate::SuccessRate(percent(99))];
    let mut tally = Tally::default();
    for verdict in verdicts.chars() {
        let window = match verdict {
            'p' => Some(window(sample(100, 0, 1), sample(100, 0, 1))),
            'f' => Some(window(sample(100, 0, 1), sample(100, 50, 1))),
            'i' => Some(window(sample(100, 0, 1), sample(1, 0, 1))),
            _ => None,
        };
        tally.add(&judge(&gates, window.as_ref()), rules);
    }
    tally.decide(rules, true, over.map(Duration::from_secs))
}

#[test]
fn verdicts_come_to_decisions() {
    let rules = Rules { successes: 2, on_no_data: NoData::Pause, ..Rules::default() };
    let total = Rules { counting: Counting::Total, ..rules };
    let on = |on_no_data| Rules { on_no_data, ..rules };
    let extend = on(NoData::Extend(Duration::from_mins(1)));
    for (rules, verdicts, over, want) in [
        (rules, "", None, "Wait"),
        (rules, "pp", None, "Wait"),
        (rules, "pp", Some(0), "Go"),
        (rules, "p", Some(0), "Wait"),
        (rules, "pip", Some(0), "Wait"),
        (rules, "ffpff", Some(0), "Wait"),
        (rules, "fifif", None, "Fail"),
        (total, "ffpf", None, "Fail"),
        (total, "ffppp", Some(0), "Go"),
        (rules, "eeee", None, "Wait"),
        (rules, "eeeee", None, "Pause"),
        (rules, "eeepeeee", None, "Wait"),
        (rules, "", Some(0), "Pause"),
        (rules, "ppi", Some(0), "Pause"),
        (on(NoData::Pass), "i", Some(0), "Go"),
        (on(NoData::Pass), "fi", Some(0), "Pause"),
        (on(NoData::Fail), "i", Some(0), "Fail"),
        (extend, "i", Some(59), "Wait"),
        (extend, "i", Some(60), "Pause"),
        (extend, "ipp", Some(59), "Go"),
    ] {
        let decision = format!("{:?}", decide(&rules, verdicts, over));
        assert!(decision.starts_with(want), "{verdicts} {over:?}: {decision}, not {want}");
    }
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let buckets = proptest::collection::vec((1..1000_u64, 0..50_u64), 0..20);
    (buckets, 0..20_u64).prop_map(|(buckets, beyond)| {
        let mut histogram = Histogram::default();
        for (millis, count) in buckets {
            histogram.add(Duration::from_millis(millis), count);
        }
        histogram.add_beyond(beyond);
        histogram
    })
}

proptest! {
    #[test]
    fn no_data_is_never_a_pass(
        min in 0..200_u32,
        requests in 0..200_u64,
        failures in 0..200_u64,
    ) {
        let rules = Rules { min_requests: min, ..Rules::default() };
        let gates = [
            Gate::SuccessRate(Percent::NONE),
            Gate::Masked(Percent::ALL),
            Gate::Latency(Quantile::P50, u32::MAX),
            Gate::ErrorRateDelta(Percent::ALL),
        ];
        let seen = window(sample(1000, 0, 1), sample(requests, failures.min(requests), 1));
        for gate in gates {
            let verdict = Judgement::of(&[gate], &rules, Some(&seen), HEALTHY).verdict();
            let enough = requests > 0 && requests >= u64::from(min);
            prop_assert_eq!(verdict == Verdict::Inconclusive, !enough);
        }
    }

    #[test]
    fn merged_quantiles_lie_between_those_of_the_parts(a in histogram(), b in histogram()) {
        let mut merged = a.clone();
        merged.merge(&b);
        prop_assert_eq!(merged.count(), a.count() + b.count());
        let rank = |latency: Latency| match latency {
            Latency::Within(bound) => bound,
            Latency::Beyond(_) => Duration::MAX,
        };
        for quantile in [Quantile::P50, Quantile::P90, Quantile::P99] {
            let [a, b, all] = [&a, &b, &merged].map(|h| h.quantile(quantile, 0).map(rank));
            match (a, b) {
                (Some(a), Some(b)) => {
                    prop_assert!(all.is_some_and(|all| a.min(b) <= all && all <= a.max(b)));
                }
                (one, other) => prop_assert_eq!(all, one.or(other)),
            }
        }
    }

    #[test]
    fn the_judgement_of_any_counts_is_one(counts in any::<[u64; 6]>(), limit in 0..=10_000_u16) {
        let [a, b, c, d, e, f] = counts;
        let limit = Percent::hundredths(limit).unwrap();
        let seen = window(
            Sample { masked: e, ..sample(a, b, 1) },
            Sample { masked: f, ..sample(c, d, 1) },
        );
        let gates = [Gate::SuccessRate(limit), Gate::ErrorRateDelta(limit), Gate::Masked(limit)];
        prop_assert_eq!(judge(&gates, Some(&seen)).findings.len(), 3);
    }
}
