//! Weights as Envoy takes them, and moved.

use contour_core::shift::percent::Percent;
use contour_core::shift::weights::{
    Lever, Place, Scale, Service, WEIGHT_MAX, WeightError, Weights, Written,
};
use proptest::prelude::*;

pub(crate) fn service(name: &str) -> Service {
    Service { name: name.into(), port: 80 }
}

/// `blue`, `green` and others, with these weights.
pub(crate) fn weights(written: &[Option<i64>]) -> Result<Weights, WeightError> {
    let name = |i: usize| match i {
        0 => "blue".to_owned(),
        1 => "green".to_owned(),
        _ => format!("other-{i}"),
    };
    let services = written.iter().enumerate().map(|(i, w)| (service(&name(i)), *w));
    Weights::new(Place::Route("/".into()), services)
}

pub(crate) fn lever(
    written: &[Option<i64>],
    scale: Scale,
    steps: &[u16],
) -> Result<Lever, WeightError> {
    let steps: Vec<_> = steps.iter().map(|p| Percent::whole(*p).unwrap()).collect();
    Lever::new(weights(written)?, &service("blue"), &service("green"), scale, &steps)
}

fn numbers(weights: &Weights) -> Vec<Option<u32>> {
    weights.services().iter().map(|w| w.1).collect()
}

#[test]
fn weights_mean_what_envoy_makes_of_them() {
    for (written, effective) in [
        (vec![None, None], vec![1, 1]),
        (vec![Some(0), Some(0)], vec![1, 1]),
        (vec![Some(0), None, None], vec![1, 1, 1]),
        (vec![Some(5), None], vec![5, 0]),
        (vec![Some(3), Some(4)], vec![3, 4]),
    ] {
        let weights = weights(&written).unwrap();
        assert_eq!(weights.effective().collect::<Vec<_>>(), effective, "{written:?}");
    }
}

#[test]
fn scales_keep_what_is_observed() {
    let all = |lever: &Lever, percent: u16| {
        let weights = lever.at(Percent::whole(percent).unwrap());
        numbers(&weights).into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    // Unset: 1 each, which is too coarse for a step of 25 %; the smallest multiple is not.
    let unset = [None, None];
    assert!(matches!(lever(&unset, Scale::Keep, &[75]), Err(WeightError::Coarse { mass: 2, .. })));
    assert_eq!(all(&lever(&unset, Scale::Exact, &[75, 100]).unwrap(), 75), [1, 3][..]);
    assert_eq!(all(&lever(&unset, Scale::Total(100), &[75]).unwrap(), 75), [25, 75]);
    // A total of 7 stays; nearest weights, and `from` keeps something until the end.
    let seven = lever(&[Some(7), Some(0)], Scale::Keep, &[25, 50, 100]).unwrap();
    assert_eq!([25, 50, 99, 100].map(|p| all(&seven, p)), [[5, 2], [4, 3], [1, 6], [0, 7]]);
    // Third services keep their share.
    let three = lever(&[Some(60), Some(0), Some(40)], Scale::Keep, &[50]).unwrap();
    assert_eq!(all(&three, 50), [30, 30, 40]);
    let thirds = lever(&[None, None, None], Scale::Exact, &[75]).unwrap();
    assert_eq!(all(&thirds, 75), [1, 3, 2]);
    let rounded = lever(&[None, None, None], Scale::Total(100), &[75]).unwrap();
    assert_eq!(all(&rounded, 0), [67, 0, 33]);
}

#[test]
fn what_cannot_be_shifted_is_refused_with_its_reason() {
    let said = |result: Result<Lever, WeightError>| result.unwrap_err().to_string();
    let at = |written: &[Option<i64>]| said(lever(written, Scale::Keep, &[50]));
    let all = [
        at(&[Some(-1), None]),
        at(&[Some(1_000_001), None]),
        at(&[Some(0), Some(0), Some(5)]),
        at(&[Some(5)]),
        at(&[Some(1), Some(99)]),
        said(lever(&[Some(10_000), Some(0), Some(1)], Scale::Total(100), &[50])),
        said(lever(&[Some(999_999), Some(0)], Scale::Exact, &[1])),
        said(Lever::new(
            weights(&[None, None]).unwrap(),
            &service("blue"),
            &service("blue"),
            Scale::Keep,
            &[],
        )),
        Weights::new(Place::Tcp, [(service("blue"), None), (service("blue"), Some(1))])
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

fn weight() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(0)),
        3 => (0..20_i64).prop_map(Some),
        3 => (0..=i64::from(WEIGHT_MAX)).prop_map(Some),
        1 => any::<u32>().prop_map(|w| Some(i64::from(w))),
    ]
}

fn scale() -> impl Strategy<Value = Scale> {
    prop_oneof![
        Just(Scale::Keep),
        Just(Scale::Exact),
        (1..=2 * WEIGHT_MAX).prop_map(Scale::Total),
        Just(Scale::Total(100)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn mass_moves_between_two_services_alone(
        written in proptest::collection::vec(weight(), 2..6),
        scale in scale(),
        mut hundredths in proptest::collection::vec(0..=10_000_u16, 1..6),
    ) {
        let beyond = written.iter().flatten().any(|w| *w > i64::from(WEIGHT_MAX));
        let Ok(before) = weights(&written) else {
            prop_assert!(beyond);
            return Ok(());
        };
        prop_assert!(!beyond);
        hundredths.sort_unstable();
        let lever = Lever::new(before.clone(), &service("blue"), &service("green"), scale, &[]);
        let Ok(lever) = lever else { return Ok(()) };
        prop_assert_eq!(lever.baseline(), &before);
        let text = serde_json::to_string(&lever).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Lever>(&text).unwrap(), &lever);

        let none = lever.at(Percent::NONE);
        let total = none.total();
        match scale {
            Scale::Keep => prop_assert_eq!(total, before.total()),
            Scale::Total(wanted) => prop_assert_eq!(total, u64::from(wanted)),
            Scale::Exact => prop_assert_eq!(total % before.total(), 0),
        }
        // What others had, they have: exactly, or to one of the new total.
        for (old, Written(_, new)) in before.effective().zip(none.services()).skip(2) {
            let (old, new) = (u128::from(old), u128::from(new.unwrap()));
            let off = (old * u128::from(total)).abs_diff(new * u128::from(before.total()));
            let bound = if matches!(scale, Scale::Total(_)) { u128::from(before.total()) } else { 1 };
            prop_assert!(off < bound);
        }
        prop_assert_eq!(none.services()[1].1, Some(0));
        prop_assert_eq!(lever.at(Percent::ALL).services()[0].1, Some(0));
        let mass = u64::from(lever.mass());
        let mut last = 0;
        for percent in hundredths.iter().filter_map(|h| Percent::hundredths(*h)) {
            let at = lever.at(percent);
            let now: Vec<u32> = at.services().iter().map(|w| w.1.unwrap()).collect();
            prop_assert_eq!(now.iter().map(|w| u64::from(*w)).sum::<u64>(), total);
            prop_assert!(now.iter().any(|w| *w > 0) && now.iter().all(|w| *w <= WEIGHT_MAX));
            prop_assert_eq!(&at.services()[2..], &none.services()[2..]);
            prop_assert_eq!(u64::from(now[0]) + u64::from(now[1]), mass);
            prop_assert!(now[1] >= last);
            last = now[1];
            // At most one of the mass from what was asked for, and never all before the end.
            let asked = mass * u64::from(percent.as_hundredths());
            prop_assert!((u64::from(now[1]) * 10_000).abs_diff(asked) <= 10_000);
            prop_assert!(percent == Percent::ALL || now[0] > 0);
        }
    }

    #[test]
    fn steps_at_the_exact_scale_are_exact(
        written in proptest::collection::vec(proptest::option::of(0..100_i64), 2..5),
        mut percents in proptest::collection::btree_set(1..=100_u16, 1..6),
    ) {
        let steps: Vec<u16> = std::mem::take(&mut percents).into_iter().collect();
        let Ok(lever) = lever(&written, Scale::Exact, &steps) else { return Ok(()) };
        for percent in steps {
            let to = u64::from(lever.share(Percent::whole(percent).unwrap()));
            prop_assert_eq!(to * 100, u64::from(lever.mass()) * u64::from(percent));
        }
    }
}
