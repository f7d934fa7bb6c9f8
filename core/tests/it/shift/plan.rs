//! Plans, and what is wrong with others.

use std::num::NonZeroU16;
use std::time::Duration;

use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Curve, Plan, Schedule, Settings};
use proptest::prelude::*;

pub(crate) fn percent(value: u16) -> Percent {
    Percent::whole(value).unwrap()
}

fn shown(plan: &Plan) -> String {
    let step = |s: &contour_core::shift::plan::Step| {
        format!("{}@{}s{}", s.percent, s.bake.as_secs(), if s.pause { "!" } else { "" })
    };
    plan.steps().iter().map(step).collect::<Vec<_>>().join(" ")
}

fn ramp(curve: Curve, minutes: u64, count: u16) -> Schedule {
    let over = Duration::from_mins(minutes);
    Schedule::Ramp { curve, over, count: NonZeroU16::new(count).unwrap() }
}

#[test]
fn schedules_become_steps() {
    let steps = |text| Schedule::parse_steps(text).unwrap();
    let every = |step, max| Schedule::Every { step: percent(step), max: percent(max) };
    for (schedule, want) in [
        (steps("1,5,25,50,100"), "1%@60s 5%@60s 25%@60s! 50%@60s 100%@660s"),
        (steps("5%@2m, 25%@1h1m,100"), "5%@120s 25%@3660s! 100%@660s"),
        (steps("0.5,25%,99.99%@1500ms"), "0.5%@60s 25%@60s! 99.99%@602s"),
        (every(25, 60), "25%@60s! 50%@60s 60%@660s"),
        (every(25, 25), "25%@660s!"),
        (Schedule::To(percent(25)), "25%@660s!"),
        (ramp(Curve::Linear, 30, 4), "25%@450s! 50%@450s 75%@450s 100%@1050s"),
        (ramp(Curve::Exponential, 30, 3), "25%@600s! 50%@600s 100%@1200s"),
    ] {
        let settings = Settings {
            bake: Duration::from_mins(1),
            hold: Duration::from_mins(10),
            pause_at: vec![percent(25)],
            ..Settings::of(schedule)
        };
        assert_eq!(shown(&Plan::new(&settings).unwrap()), want);
    }
    let blue_green =
        Settings { hold: Duration::from_mins(10), ..Settings::of(Schedule::BlueGreen) };
    assert_eq!(shown(&Plan::new(&blue_green).unwrap()), "100%@600s");
}

#[test]
fn what_is_wrong_with_a_plan_is_said_of_its_element() {
    let texts = [
        "", "5,,10", "5,x", "5,101", "5@", "5@2", "0,5", "5,5", "25,5", "0.001", "99999999", "5 5",
    ];
    let mut said: Vec<String> = texts
        .iter()
        .map(|text| {
            let plan = Schedule::parse_steps(text).and_then(|s| Plan::new(&Settings::of(s)));
            format!("{text:?}: {}", plan.unwrap_err())
        })
        .collect();
    let hundred = (1..=101).map(|i| (Percent::hundredths(i).unwrap(), None)).collect();
    let others = [
        Schedule::Every { step: Percent::NONE, max: Percent::ALL },
        Schedule::Every { step: percent(30), max: percent(20) },
        Schedule::To(Percent::NONE),
        Schedule::Steps(vec![]),
        Schedule::Steps(hundred),
        ramp(Curve::Exponential, 1, 20),
        ramp(Curve::Linear, 1, 20_000),
    ];
    said.extend(others.map(|s| Plan::new(&Settings::of(s)).unwrap_err().to_string()));
    let nowhere =
        Settings { pause_at: vec![percent(30)], ..Settings::of(Schedule::To(percent(25))) };
    said.push(Plan::new(&nowhere).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"));
}

proptest! {
    #[test]
    fn percentages_are_read_as_they_are_written(value in 0..=10_000_u16) {
        let percent = Percent::hundredths(value).unwrap();
        prop_assert_eq!(Percent::parse(&percent.to_string()), Ok(percent));
    }

    #[test]
    fn any_text_is_a_plan_or_is_said_to_be_none(text in "[0-9,.%@ms ]{0,30}") {
        let plan = Schedule::parse_steps(&text).and_then(|s| Plan::new(&Settings::of(s)));
        if let Ok(plan) = plan {
            prop_assert!(plan.percents().is_sorted_by(|a, b| a < b));
            prop_assert!(plan.percents()[0] > Percent::NONE);
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
    }

    #[test]
    fn linear_ramps_end_where_they_should(count in 1..=100_u16) {
        let plan = Plan::new(&Settings::of(ramp(Curve::Linear, 30, count))).unwrap();
        prop_assert_eq!(plan.steps().len(), usize::from(count));
        prop_assert_eq!(plan.end(), Percent::ALL);
    }
}
