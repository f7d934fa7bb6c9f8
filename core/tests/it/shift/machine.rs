//! The machine, case by case.

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::gate::{Gate, Rules};
use contour_core::shift::machine::{Command, Event, Holder, Input, Machine, Outcome, Split};
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{BYTES_MAX, Deadman, Phase, Policy, Share, State, StateError};
use proptest::prelude::*;

use super::plan::percent;
use super::simulation::{charter, routes};
use super::world::{Behaviour, Client, Dice, Faults, Turn, World, note};

fn settings(steps: &str) -> Settings {
    Settings {
        bake: Duration::from_secs(10),
        ..Settings::of(Schedule::parse_steps(steps).unwrap())
    }
}

fn policy() -> Policy {
    Policy {
        gates: vec![Gate::SuccessRate(percent(99))],
        rules: Rules { min_requests: 5, ..Rules::default() },
        interval: Duration::from_secs(5),
        ..Policy::default()
    }
}

/// A world in which `client` has begun a shift by these steps.
fn begun(settings: &Settings, policy: Policy) -> (World, Client) {
    let mut world = World::new(1, &routes(&[Some(90), None, Some(10)]), 3);
    let charter = charter(&world, Plan::new(settings).unwrap(), policy);
    let client = Client::start(&mut world, "ann", charter).unwrap();
    (world, client)
}

/// Lets a client act until it ends, `each` second being told.
fn run_with(
    world: &mut World,
    client: &mut Client,
    mut each: impl FnMut(&mut World, &mut Client, u64),
) -> Outcome {
    for second in 0..2000 {
        each(world, client, second);
        if let Turn::Ended(outcome) = client.act(world) {
            world.lease = None;
            return outcome;
        }
        world.tick();
    }
    panic!("no end: {:?}", client.machine);
}

fn run(world: &mut World, client: &mut Client) -> Outcome {
    run_with(world, client, |_, _, _| {})
}

fn then(world: &mut World, command: Command) -> Outcome {
    let mut client = match Client::resume(world, "bob", command) {
        Ok(client) => client,
        Err(outcome) => {
            world.lease = None;
            return outcome;
        }
    };
    run(world, &mut client)
}

fn rollback(force: bool) -> Command {
    Command::Rollback { by: note("bob"), force }
}

fn is_before(world: &World) -> bool {
    world.object.as_ref().unwrap().weights == routes(&[Some(90), None, Some(10)])
}

#[test]
fn a_shift_tells_what_it_does() {
    let (mut world, mut client) = begun(&settings("5@20s,100"), policy());
    let outcome = run(&mut world, &mut client);
    let mut lines: Vec<_> = client.events.iter().map(|e| format!("{e:?}")).collect();
    lines.push(format!("{outcome} ({})", outcome.code()));
    lines.push(world.object.unwrap().annotation.unwrap());
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_envoy_that_lags_stops_the_shift_before_the_bake() {
    let (mut world, mut client) = begun(&settings("5,100"), policy());
    world.stick(true);
    let outcome = run(&mut world, &mut client);
    assert_eq!(outcome.code(), 6);
    insta::assert_snapshot!(outcome.to_string());
    assert_eq!(client.machine.baked(), Duration::ZERO);
    assert_eq!(client.machine.state().reached(), percent(5));
    world.stick(false);
    assert_eq!(then(&mut world, Command::Resume).code(), 0);
}

#[test]
fn a_failing_side_is_left_and_the_weights_are_exactly_as_before() {
    for behaviour in [Behaviour::Failing, Behaviour::Dead] {
        let (mut world, mut client) = begun(&settings("5,50,100"), policy());
        let outcome = run_with(&mut world, &mut client, |world, _, second| {
            if second == 20 {
                world.green = behaviour;
            }
        });
        assert_eq!(outcome.code(), 3, "{outcome}");
        assert!(is_before(&world));
        world.green = Behaviour::Good;
        assert_eq!(then(&mut world, Command::Retry).code(), 0);
    }
}

#[test]
fn a_dead_side_is_never_begun_with() {
    let (mut world, mut client) = begun(&settings("5,100"), policy());
    world.green = Behaviour::Dead;
    let outcome = run(&mut world, &mut client);
    assert_eq!(outcome.code(), 6, "{outcome}");
    assert!(world.shares.iter().all(|share| *share == Share::Baseline));
}

#[test]
fn traffic_does_not_go_back_onto_a_dead_side_unless_forced() {
    let (mut world, mut client) = begun(&settings("5,50,100"), policy());
    let outcome = run_with(&mut world, &mut client, |world, _, second| {
        if second == 20 {
            (world.blue, world.green) = (Behaviour::Dead, Behaviour::Failing);
        }
    });
    assert_eq!(outcome.code(), 4, "{outcome}");
    assert!(!is_before(&world));
    assert_eq!(then(&mut world, rollback(false)).code(), 4);
    assert!(!is_before(&world));
    assert_eq!(then(&mut world, rollback(true)).code(), 3);
    assert!(is_before(&world));
}

#[test]
fn what_somebody_else_changed_is_told_and_not_overwritten() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 5] = [
        ("weights", |world| world.edit(|o| o.weights = routes(&[Some(3), Some(4), Some(0)]))),
        ("a route is gone", |world| world.edit(|o| drop(o.weights.remove(0)))),
        ("the state is gone", |world| world.edit(|o| o.annotation = None)),
        ("recreated", World::recreate),
        ("deleted", |world| world.object = None),
    ];
    let mut said = Vec::new();
    for (name, change) in changes {
        let (mut world, mut client) = begun(&settings("5,50,100"), policy());
        let mut commits = 0;
        let outcome = run_with(&mut world, &mut client, |world, _, second| {
            if second == 15 {
                change(world);
                commits = world.commits;
            }
        });
        assert_eq!(world.commits, commits, "{name}");
        assert_eq!(outcome.code(), 8);
        said.push(format!("{name}: {outcome}"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn an_edit_of_all_else_is_no_drift() {
    let (mut world, mut client) = begun(&settings("5,50,100"), policy());
    let outcome = run_with(&mut world, &mut client, |world, _, _| world.edit(|o| o.rest += 1));
    assert_eq!(outcome, Outcome::Done { drained: true });
    assert!(world.object.unwrap().rest > 30);
}

#[test]
fn answers_that_are_lost_and_edits_of_all_else_stop_no_shift() {
    for seed in 0..100 {
        let (mut world, mut client) = begun(&settings("1,5,25,50,100"), policy());
        world.dice = Dice(seed);
        world.faults = Faults {
            lost_answer: 300,
            lost_write: 300,
            late_write: 200,
            touch: 300,
            lag: 200,
            ..Faults::default()
        };
        let outcome = run(&mut world, &mut client);
        assert_eq!(outcome, Outcome::Done { drained: true }, "seed {seed}");
    }
}

#[test]
fn of_two_that_begin_one_is_refused() {
    let (mut world, mut first) = begun(&settings("5,100"), policy());
    world.lease = None;
    let charter = charter(&world, Plan::new(&settings("50")).unwrap(), policy());
    // Both have read the object before either has written.
    let mut second = Client::start(&mut world, "bob", charter.clone()).unwrap();
    let won = second.act(&mut world);
    assert_eq!(won, Turn::Waits);
    world.lease = None;
    let lost = first.act(&mut world);
    assert!(matches!(&lost, Turn::Ended(outcome) if outcome.code() == 5), "{lost:?}");
    world.lease = None;
    let third = Client::start(&mut world, "cleo", charter).err().unwrap();
    assert_eq!(third.code(), 5);
    assert!(third.to_string().contains("bob"), "{third}");
}

#[test]
fn a_lease_that_expired_lets_nothing_be_written() {
    let (world, client) = begun(&settings("5,100"), policy());
    let late = Timestamp::from_unix(world.now + 60);
    let text = client.machine.state().write().unwrap();
    let live =
        contour_core::shift::machine::Live { annotation: Some(text), ..world.live().unwrap() };
    let holder = Holder { name: note("bob"), until: late };
    let (machine, _) = Machine::resume(holder, &live, Command::Resume, late).unwrap();
    assert_eq!(machine.outcome().map(Outcome::code), Some(5));
}

#[test]
fn operators_pause_set_promote_and_take_back() {
    let (mut world, mut client) = begun(&settings("5,50,100"), policy());
    let outcome = run_with(&mut world, &mut client, |world, client, second| {
        if second == 8 {
            world.by_hand = 1 + u32::from(client.machine.is_writing());
            client.hear(Input::Command(Command::Pause(note("lunch"))), world);
        }
    });
    assert_eq!(outcome.to_string(), "paused by ann: lunch");
    assert_eq!(then(&mut world, Command::Set(percent(33))).code(), 6);
    assert_eq!(world.state().unwrap().reached(), percent(33));
    assert_eq!(then(&mut world, Command::PromoteFully), Outcome::Done { drained: true });
    assert_eq!(then(&mut world, Command::Resume).code(), 7);
    let undo = Command::Undo { by: note("bob"), force: false };
    assert_eq!(then(&mut world, undo.clone()), Outcome::Undone);
    assert!(is_before(&world));
    assert_eq!(then(&mut world, undo).code(), 7);
}

#[test]
fn a_plan_pauses_where_it_says_and_goes_on_with_the_next_step() {
    let settings = Settings { pause_at: vec![percent(5)], ..settings("5,50") };
    let (mut world, mut client) = begun(&settings, policy());
    assert_eq!(run(&mut world, &mut client).to_string(), "paused by contour: the plan pauses here");
    let wanted =
        Phase::Paused { by: note("contour"), why: note("the plan pauses here"), done: true };
    assert_eq!(world.state().unwrap().progress.phase, wanted);
    assert_eq!(then(&mut world, Command::Resume), Outcome::Done { drained: false });
}

#[test]
fn an_end_is_an_end_where_it_is() {
    let (mut world, mut client) = begun(&settings("5,50"), policy());
    let outcome = run_with(&mut world, &mut client, |world, client, second| {
        if second == 8 {
            client.hear(Input::Command(Command::Abort), world);
        }
    });
    assert_eq!(outcome, Outcome::Aborted { at_baseline: false });
    assert_eq!(world.state().unwrap().reached(), percent(5));
}

#[test]
fn a_side_that_is_not_seen_to_be_idle_is_not_safe_to_delete() {
    let policy = Policy { drain: Duration::from_secs(20), ..policy() };
    let (mut world, mut client) = begun(&settings("100"), policy);
    world.busy = true;
    assert_eq!(run(&mut world, &mut client), Outcome::Done { drained: false });
}

#[test]
fn without_an_operator_it_does_what_was_agreed() {
    let at = Timestamp::from_unix;
    for (deadman, want) in [
        (None, None),
        (Some(Deadman::Hold(Duration::from_mins(10))), Some("Pause")),
        (Some(Deadman::Revert(Duration::from_mins(10))), Some("Rollback")),
    ] {
        let (world, client) = begun(&settings("5,50"), Policy { deadman, ..policy() });
        let state = client.machine.state();
        let command = |gone: i64| {
            Command::of_deadman(state, at(world.now), at(world.now + gone))
                .map(|c| format!("{c:?}"))
        };
        assert_eq!(command(599), None);
        assert_eq!(command(600).map(|c| c.starts_with(want.unwrap())), want.map(|_| true));
    }
}

#[test]
fn a_way_back_that_nobody_goes_on_with_is_gone_on_with() {
    let later = |world: &World| Timestamp::from_unix(world.now + 600);
    for (deadman, want) in [
        (Deadman::Hold(Duration::from_mins(10)), None),
        (Deadman::Revert(Duration::from_mins(10)), Some(Command::Resume)),
    ] {
        let policy = Policy { deadman: Some(deadman), ..policy() };
        let (mut world, mut client) = begun(&settings("5,50"), policy);
        for _ in 0..12 {
            assert_eq!(client.act(&mut world), Turn::Waits);
            world.tick();
        }
        client.hear(Input::Command(rollback(false)), &world);
        while !matches!(world.state().unwrap().progress.phase, Phase::RollingBack(_)) {
            assert_eq!(client.act(&mut world), Turn::Waits);
            world.tick();
        }
        // The client is killed here.
        let state = world.state().unwrap();
        let now = Timestamp::from_unix(world.now);
        let command = Command::of_deadman(&state, now, later(&world));
        assert_eq!(command, want);
        assert_eq!(Command::of_deadman(&state, later(&world), later(&world)), None);
        let Some(command) = command else { continue };
        world.lease = None;
        assert_eq!(then(&mut world, command).code(), 3);
        assert!(is_before(&world));
    }
}

#[test]
fn what_later_versions_add_is_kept_and_what_they_change_is_refused() {
    let (mut world, mut client) = begun(&settings("5,50"), policy());
    for _ in 0..12 {
        assert_eq!(client.act(&mut world), Turn::Waits);
        world.tick();
    }
    let text = world.object.as_ref().unwrap().annotation.clone().unwrap();
    let later = text.replacen("\"v\":1", "\"v\":1,\"mirror\":{\"to\":\"green\"}", 1);
    world.edit(|o| o.annotation = Some(later.clone()));
    world.lease = None;
    assert_eq!(then(&mut world, Command::Resume).code(), 0);
    let kept = world.object.unwrap().annotation.unwrap();
    assert!(kept.contains(r#""mirror":{"to":"green"}"#), "{kept}");
    assert!(matches!(
        State::read(&text.replacen("\"v\":1", "\"v\":2", 1)),
        Err(StateError::Schema(2))
    ));
    for strange in [
        String::new(),
        "{}".to_owned(),
        text.replacen("\"phase\":", "\"phase\":\"new\",\"was\":", 1),
        text.replacen("\"e\":[", "\"e\":[4000000000,", 1),
        text.replacen("\"p\":5000", "\"p\":50", 1),
    ] {
        assert!(matches!(State::read(&strange), Err(StateError::Form(_))), "{strange}");
    }
    assert!(matches!(State::read(&" ".repeat(BYTES_MAX + 1)), Err(StateError::Size(_))));
}

#[test]
fn what_cannot_be_kept_does_not_begin() {
    let world = World::new(1, &routes(&[Some(90), None, Some(10)]), 1);
    let mut charter = charter(&world, Plan::new(&settings("5,50")).unwrap(), policy());
    charter.places = std::iter::repeat_n(charter.places, 100).flatten().collect();
    let holder = Holder { name: note("ann"), until: Timestamp::from_unix(i64::MAX) };
    let refused = Machine::start(holder, charter, &world.live().unwrap(), world.time());
    assert_eq!(refused.err().map(|o| o.code()), Some(7));
}

#[test]
fn a_split_is_that_of_its_weights_within_chance() {
    let begin = Timestamp::from_unix(0);
    let fits =
        |from, to, weights: (u32, u32)| Split { begin, from, to }.fits(weights.0, weights.1, 100);
    for (from, to, weights, want) in [
        (0, 0, (50, 50), None),
        (50, 49, (50, 50), None),
        (500, 500, (50, 50), Some(true)),
        (560, 440, (50, 50), Some(true)),
        (570, 430, (50, 50), Some(false)),
        (9_900, 100, (99, 1), Some(true)),
        (9_800, 200, (99, 1), Some(false)),
        (0, 1000, (0, 100), Some(true)),
        (2, 998, (0, 100), Some(false)),
    ] {
        assert_eq!(fits(from, to, weights), want, "{from}:{to} of {weights:?}");
    }
}

proptest! {
    #[test]
    fn states_are_read_as_they_are_written(
        share in proptest::option::of(0..=10_000_u16),
        since in any::<i64>(),
        words in ".{0,300}",
    ) {
        let (_, client) = begun(&settings("5,50"), policy());
        let mut state = client.machine.state().clone();
        let at = |hundredths| Share::At(Percent::hundredths(hundredths).unwrap());
        state.progress.share = share.map_or(Share::Baseline, at);
        state.progress.since = Timestamp::from_unix(since);
        state.progress.phase = Phase::Holding(note(&words));
        state.charter.reason = note(&words);
        prop_assert_eq!(State::read(&state.write().unwrap()).unwrap(), state);
    }
}

#[test]
fn events_say_what_was_declined() {
    let (mut world, mut client) = begun(&settings("5,50"), policy());
    assert_eq!(client.act(&mut world), Turn::Waits);
    client.hear(Input::Command(Command::Retry), &world);
    for _ in 0..3 {
        assert_eq!(client.act(&mut world), Turn::Waits);
        world.tick();
    }
    assert!(client.events.iter().any(|e| matches!(e, Event::Declined(_))), "{:?}", client.events);
}
