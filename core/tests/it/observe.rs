//! From what controllers tell to what a shift has to know.

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::observe::meter::Meter;
use contour_core::observe::watch::{Heard, Watch};
use contour_core::observe::{Envoy, Fleet, Report, SCHEMA, Traffic, Upstream};
use contour_core::shift::Note;
use contour_core::shift::gate::{Health, Latency, Quantile};
use contour_core::shift::machine::{Answer, Counts, Holder, Input, Live, Machine};
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{Charter, Policy, Share, State};
use contour_core::shift::weights::{Lever, Place, Scale, Service, Weights};

const START: i64 = 1_000;

fn service(name: &str) -> Service {
    Service { name: name.into(), port: 80 }
}

fn place(prefix: &str) -> Place {
    Place::Route(prefix.into())
}

fn note(text: &str) -> Note {
    Note::new(text)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(START + seconds)
}

fn baseline() -> Weights {
    Weights::new(place("/"), [(service("blue"), Some(1)), (service("green"), Some(0))]).unwrap()
}

/// A shift whose first step of 50 % is written.
fn state() -> State {
    let settings = Settings::of(Schedule::parse_steps("50,100").unwrap());
    let plan = Plan::new(&settings).unwrap();
    let ends = (service("blue"), service("green"));
    let lever = Lever::new(baseline(), &ends.0, &ends.1, Scale::Exact, &plan.percents()).unwrap();
    let policy = Policy { interval: Duration::from_secs(10), ..Policy::default() };
    let charter = Charter {
        id: note("1"),
        uid: note("u"),
        plan,
        policy,
        places: vec![lever],
        operator: note("ann"),
        reason: note(""),
        deadline: None,
        tool: note("test"),
    };
    let live = live(&[baseline()], 1);
    let holder = Holder { name: note("ann"), until: at(1_000) };
    let (machine, _) = Machine::start(holder, charter, &live, at(0)).unwrap();
    let (machine, _) = machine.step(Input::Wrote(Answer::Done(note("2"), 1)), at(0));
    let mut watch = Watch::new(machine.state());
    let report = [report(&[baseline()], 1, &[], 2)];
    let seen =
        watch.look(heard(&report), Some(written(&live, machine.state())), machine.state(), at(0));
    let (machine, _) = machine.step(Input::Observed(Box::new(seen)), at(0));
    let (machine, _) = machine.step(Input::Wrote(Answer::Done(note("3"), 2)), at(0));
    assert!(matches!(machine.state().progress.share, Share::At(_)), "{:?}", machine.state());
    machine.state().clone()
}

fn live(weights: &[Weights], generation: i64) -> Live {
    let weights = weights.to_vec();
    Live { uid: note("u"), version: note("2"), generation, weights, annotation: None }
}

fn written(live: &Live, state: &State) -> Live {
    Live { annotation: Some(state.write().unwrap()), ..live.clone() }
}

fn traffic(name: &str, good: u64, bad: u64) -> Traffic {
    Traffic {
        place: place("/"),
        service: service(name),
        classes: [0, good, 0, 0, bad],
        retries: bad,
        latency: vec![(5_000, good), (900_000, bad)],
    }
}

fn envoy(node: &str, green: (u64, u64)) -> Envoy {
    let upstream = |name: &str, healthy| Upstream {
        service: service(name),
        members: Some(3),
        healthy: Some(healthy),
        ejected: 0,
        active: 4,
    };
    Envoy {
        node: node.into(),
        trouble: None,
        routes: vec![traffic("blue", 10 * green.0, 0), traffic("green", green.0, green.1)],
        services: vec![upstream("blue", 3), upstream("green", if node == "a" { 3 } else { 2 })],
    }
}

fn report(weights: &[Weights], generation: i64, envoys: &[Envoy], have: u32) -> Report {
    Report {
        schema: SCHEMA,
        unix_millis: 5_000_000,
        controller: "test".into(),
        uid: Some("u".into()),
        generation: Some(generation),
        state: None,
        errors: Vec::new(),
        weights: weights.to_vec(),
        fleet: Fleet {
            connected: 2,
            acknowledged: have,
            since_unix_millis: (have == 2).then_some(4_997_500),
            waiting: if have == 2 { [].into() } else { [("b".into(), "pending".into())].into() },
        },
        envoys: if envoys.is_empty() {
            vec![envoy("a", (5, 0)), envoy("b", (5, 0))]
        } else {
            envoys.to_vec()
        },
    }
}

fn heard(reports: &[Report]) -> Heard<'_> {
    Heard { reports, complete: true }
}

#[test]
fn only_what_is_added_counts_however_envoys_come_and_go() {
    let mut meter = Meter::new(vec![place("/")]);
    let mut sum = |envoys: &[Envoy]| {
        meter.take(&report(&[], 1, envoys, 2));
        let green = meter.sum(&service("green"));
        (green.requests, green.failures, green.masked)
    };
    assert_eq!(sum(&[envoy("a", (100, 7))]), (0, 0, 0), "where counting begins");
    assert_eq!(sum(&[envoy("a", (110, 9))]), (12, 2, 2));
    assert_eq!(sum(&[envoy("a", (110, 9)), envoy("b", (1_000, 0))]), (12, 2, 2), "one more begins");
    let silent = Envoy { trouble: Some("gone".into()), routes: Vec::new(), ..envoy("a", (0, 0)) };
    assert_eq!(sum(&[silent, envoy("b", (1_001, 0))]), (13, 2, 2));
    assert_eq!(sum(&[envoy("a", (120, 9)), envoy("b", (1_001, 0))]), (23, 2, 2), "heard again");
    assert_eq!(sum(&[envoy("a", (3, 1)), envoy("b", (1_001, 0))]), (27, 3, 3), "started anew");
}

#[test]
fn other_places_do_not_count() {
    let mut meter = Meter::new(vec![place("/other")]);
    meter.take(&report(&[], 1, &[envoy("a", (1, 0))], 2));
    meter.take(&report(&[], 1, &[envoy("a", (9, 0))], 2));
    assert_eq!(meter.sum(&service("green")).requests, 0);
}

#[test]
fn a_window_begins_when_every_envoy_has_the_step_and_they_follow_without_a_gap() {
    let state = state();
    let mut watch = Watch::new(&state);
    let live = live(&state.weights(), 2);
    let weights = state.weights();
    let mut look = |seconds: i64, have: u32, count: u64| {
        let envoys = [envoy("a", (count, 0)), envoy("b", (count, 0))];
        let mut report = report(&weights, 2, &envoys, have);
        // All have it since the 21st second.
        let ago = u64::try_from(seconds - 21).unwrap_or(0) * 1_000;
        report.fleet.since_unix_millis = (have == 2).then(|| report.unix_millis - ago);
        watch.look(heard(&[report]), Some(live.clone()), &state, at(seconds))
    };
    assert_eq!(look(0, 1, 0).counts, Counts::Running);
    assert_eq!(look(20, 1, 10).counts, Counts::Running, "not all have it");
    assert_eq!(look(21, 2, 20).counts, Counts::Running);
    assert_eq!(look(30, 2, 30).counts, Counts::Running);
    let Counts::Over(first) = look(31, 2, 50).counts else { panic!("the window is over") };
    assert_eq!((first.begin, first.to.requests), (at(21), 60));
    let seen = look(42, 2, 51);
    let Counts::Over(second) = seen.counts else { panic!("the window is over") };
    assert_eq!((second.begin, second.to.requests, second.from.requests), (at(31), 2, 20));
    let split = seen.split.unwrap();
    assert_eq!((split.begin, split.from, split.to), (at(21), 620, 62));
    assert_eq!(
        second.to.latency.quantile(Quantile::P99, 1),
        Some(Latency::Within(Duration::from_millis(5)))
    );
}

#[test]
fn a_glance_takes_no_window_away() {
    let state = state();
    let mut watch = Watch::new(&state);
    let live = live(&state.weights(), 2);
    let of = |count: u64| {
        let mut report = report(&state.weights(), 2, &[envoy("a", (count, 0))], 2);
        report.fleet.since_unix_millis = None;
        report
    };
    watch.look(heard(&[of(0)]), Some(live.clone()), &state, at(0));
    let seen = watch.glance(heard(&[of(5)]), Some(live.clone()), &state, at(11));
    assert_eq!((seen.counts, seen.split.unwrap().to), (Counts::Running, 5));
    let Counts::Over(window) = watch.look(heard(&[of(7)]), Some(live), &state, at(12)).counts
    else {
        panic!("the window is over")
    };
    assert_eq!((window.begin, window.to.requests), (at(0), 7));
}

#[test]
fn what_is_counted_begins_anew_where_an_envoy_was_behind() {
    let state = state();
    let mut watch = Watch::new(&state);
    let live = live(&state.weights(), 2);
    let mut look = |seconds: i64, since_millis_ago: u64| {
        let mut report = report(&state.weights(), 2, &[], 2);
        report.fleet.since_unix_millis = Some(report.unix_millis - since_millis_ago);
        let seen = watch.look(heard(&[report]), Some(live.clone()), &state, at(seconds));
        (seen.split.unwrap().begin, seen.fleet.unwrap().since.unwrap())
    };
    assert_eq!(look(10, 200), (at(10), at(10)));
    assert_eq!(look(12, 2_000), (at(10), at(10)));
    // By whole seconds it may seem a second later.
    assert_eq!(look(13, 2_900), (at(13), at(11)));
    assert_eq!(look(14, 4_000), (at(13), at(10)));
    assert_eq!(look(20, 1_000), (at(20), at(19)), "one has come");
}

#[test]
fn the_fleet_is_that_of_all_replicas() {
    let state = state();
    let weights = state.weights();
    let fleet = |reports: &[Report], complete| {
        let heard = Heard { reports, complete };
        let live = live(&weights, 2);
        Watch::new(&state).look(heard, Some(live), &state, at(100)).fleet
    };
    let good = report(&weights, 2, &[], 2);
    let both = fleet(&[good.clone(), good.clone()], true).unwrap();
    assert_eq!((both.connected, both.acknowledged, both.generation), (4, 4, 2));
    assert_eq!(both.since, Some(at(98)), "2.5 s ago by the controller's clock");
    assert!(both.has(2));
    let late = fleet(&[good.clone(), report(&weights, 2, &[], 1)], true).unwrap();
    assert_eq!((late.acknowledged, late.since), (3, None));
    assert_eq!(late.waiting, [note("b (pending)")]);
    let behind = fleet(&[good.clone(), report(&[baseline()], 2, &[], 2)], true).unwrap();
    assert!(!behind.has(2), "a replica that has not heard of the weights yet");
    let other = Report { uid: Some("v".into()), ..good.clone() };
    assert!(!fleet(&[other], true).unwrap().has(2), "another object of that name");
    let files = Report { uid: None, generation: None, ..good.clone() };
    assert!(fleet(&[files], true).unwrap().has(2));
    assert_eq!(fleet(&[good], false), None, "a replica that does not answer");
    assert_eq!(fleet(&[], true), None);
}

#[test]
fn health_is_that_of_the_envoy_that_sees_the_least_and_activity_the_sum() {
    let state = state();
    let mut watch = Watch::new(&state);
    let mut look = |reports: &[Report]| {
        watch.look(heard(reports), Some(live(&state.weights(), 2)), &state, at(0))
    };
    let seen = look(&[report(&state.weights(), 2, &[], 2)]);
    assert_eq!(seen.to, Some(Health { healthy: 2, ejected: 0 }));
    assert_eq!(seen.from, Some(Health { healthy: 3, ejected: 0 }));
    assert_eq!(seen.active, Some(8));
    let mute = |node| Envoy {
        trouble: Some("no answer".into()),
        routes: Vec::new(),
        services: Vec::new(),
        ..envoy(node, (0, 0))
    };
    let seen = look(&[report(&state.weights(), 2, &[mute("a"), mute("b")], 2)]);
    assert_eq!((seen.to, seen.active, seen.counts), (None, None, Counts::Unavailable));
}
