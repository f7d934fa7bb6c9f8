//! What keys do, in each phase.

use contour_core::shift::machine::Outcome;
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Cause, Phase, Share};
use contour_tui::key::Key;
use contour_tui::shift::{Act, BINDINGS, Effect, Event, Model, Snapshot, update};

use super::scene::{COLOR, at, draw, hear, note, panel, percent, press, rows, snapshot};

/// One of each phase, under a name.
fn phases() -> Vec<(&'static str, Snapshot)> {
    let cause = || Cause::Operator(note("ann"));
    let paused = Phase::Paused { by: note("ann"), why: note("lunch"), done: false };
    let quarter = Share::At(percent(25));
    vec![
        ("first", snapshot(Share::Baseline, Phase::Waiting)),
        ("waiting", snapshot(quarter, Phase::Waiting)),
        ("converging", snapshot(quarter, Phase::Converging)),
        ("baking", snapshot(quarter, Phase::Baking)),
        ("paused", snapshot(quarter, paused)),
        ("holding", snapshot(quarter, Phase::Holding(note("no")))),
        ("rolling back", snapshot(quarter, Phase::RollingBack(cause()))),
        ("draining", snapshot(Share::At(Percent::ALL), Phase::Draining)),
        ("completed", snapshot(Share::At(Percent::ALL), Phase::Completed { drained: true })),
        ("rolled back", snapshot(Share::Baseline, Phase::RolledBack(cause()))),
        ("aborted", snapshot(quarter, Phase::Aborted(note("ann")))),
    ]
}

/// What comes of a key, a question being answered with `y`.
fn outcome(model: Model, key: Key) -> String {
    let (model, effects) = update(model, Event::Key(key));
    if !effects.is_empty() {
        return format!("{effects:?}");
    }
    let shown = last_rows(&model);
    let (_, effects) = update(model, Event::Key(Key::Char('y')));
    if effects.is_empty() { shown } else { format!("{shown} -> {effects:?}") }
}

fn last_rows(model: &Model) -> String {
    let rows = rows(&draw(model, COLOR, 200, 24));
    let shown = rows.iter().rev().map(|row| row.trim()).find(|row| !row.starts_with("p pause"));
    shown.unwrap_or_default().to_owned()
}

#[test]
fn each_key_in_each_phase() {
    let keys = "prnPFba+-".chars().map(Key::Char);
    let keys: Vec<Key> = keys.chain([Key::Char('q'), Key::Esc, Key::Ctrl('c')]).collect();
    let mut table = Vec::new();
    for (name, snapshot) in phases() {
        for key in &keys {
            let outcome = outcome(panel(snapshot.clone()), *key);
            table.push(format!("{name:<13}{:<7}{outcome}", key.name()));
        }
    }
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn whoever_no_longer_drives_a_shift_can_only_leave() {
    let gone: [fn() -> Outcome; 6] = [
        || Outcome::Locked(note("bob")),
        || Outcome::Conflict(20),
        || Outcome::Preflight(note("no")),
        || Outcome::Drifted(note("no")),
        || Outcome::Superseded(note("no")),
        || Outcome::Refused(note("no")),
    ];
    for outcome in gone {
        for (name, mut snapshot) in phases() {
            snapshot.outcome = Some(outcome());
            for key in "prnPFba+-".chars().map(Key::Char) {
                press(panel(snapshot.clone()), &[key, Key::Char('y')]);
            }
            let (_, effects) = update(panel(snapshot), Event::Key(Key::Char('q')));
            assert_eq!(effects, [Effect::Detach], "{name}: {:?}", outcome());
        }
    }
}

#[test]
fn a_rollback_that_was_given_up_can_be_taken_up_again() {
    let mut snapshot =
        snapshot(Share::Baseline, Phase::RollingBack(Cause::Gate(note("success rate"))));
    snapshot.outcome = Some(Outcome::Incomplete(note("2 of 3 Envoys have the weights")));
    let (_, effects) = update(panel(snapshot), Event::Key(Key::Char('r')));
    assert_eq!(effects, [Effect::Resume]);
}

#[test]
fn nothing_can_be_asked_of_a_shift_that_is_not_known() {
    let nothing = || Model::new(at(0));
    for key in "prnPFba+-".chars().map(Key::Char) {
        press(nothing(), &[key, Key::Char('y')]);
    }
    assert_eq!(update(nothing(), Event::Key(Key::Ctrl('c'))).1, [Effect::Detach]);
}

fn at_share(hundredths: u16) -> Model {
    let share = Share::At(Percent::hundredths(hundredths).unwrap());
    panel(snapshot(share, Phase::Baking))
}

#[test]
fn more_and_less_follow_the_plan_and_then_go_by_five_points() {
    for (share, more, less) in [
        (2_500, Some(5_000), Some(500)),
        (3_000, Some(5_000), Some(2_500)),
        (9_900, Some(10_000), Some(5_000)),
        (10_000, None, Some(5_000)),
        (100, Some(500), None),
    ] {
        for (key, expected) in [('+', more), ('-', less)] {
            let model = hear(at_share(share), Event::Key(Key::Char(key)));
            let (_, effects) = update(model, Event::Key(Key::Char('y')));
            let set = expected.and_then(Percent::hundredths).map(Effect::Set);
            assert_eq!(effects, set.into_iter().collect::<Vec<_>>(), "{key} at {share}");
        }
    }
}

#[test]
fn beyond_the_plan_a_share_changes_by_five_points() {
    let plan = |share: u16| {
        let mut snapshot = snapshot(Share::At(percent(share)), Phase::Baking);
        let text = snapshot.state.write().unwrap();
        // A plan that ends at 50 %.
        let text = text.replacen(r#",{"p":10000,"b":300}"#, "", 1);
        snapshot.state = contour_core::shift::state::State::read(&text).unwrap();
        assert_eq!(snapshot.state.charter.plan.end(), percent(50));
        panel(snapshot)
    };
    for (share, expected) in [(50, 55), (98, 100)] {
        let model = hear(plan(share), Event::Key(Key::Char('+')));
        let (_, effects) = update(model, Event::Key(Key::Char('y')));
        assert_eq!(effects, [Effect::Set(percent(expected))]);
    }
}

#[test]
fn what_moves_traffic_is_done_only_when_it_is_confirmed() {
    for binding in BINDINGS.iter().filter(|b| b.asks && b.act != Act::Leave) {
        for key in binding.keys {
            for no in [Key::Char('n'), Key::Char('N'), Key::Char('q'), Key::Esc] {
                let model = press(at_share(2_500), &[*key, Key::Other, Key::Char('b'), no]);
                assert_eq!(last_rows(&model), "nothing was done");
                press(model, &[Key::Char('y')]);
            }
        }
    }
}

#[test]
fn a_question_that_the_shift_has_overtaken_is_dropped() {
    let quarter = Share::At(percent(25));
    let over = snapshot(Share::Baseline, Phase::RolledBack(Cause::Gate(note("success rate"))));
    let next = snapshot(Share::At(percent(50)), Phase::Converging);
    let same = snapshot(quarter, Phase::Baking);
    let ask = |key| press(panel(snapshot(quarter, Phase::Baking)), &[Key::Char(key)]);
    let answer = |model, snapshot: &Snapshot| {
        let model = hear(model, Event::Snapshot(Box::new(snapshot.clone())));
        update(model, Event::Key(Key::Char('y'))).1
    };
    assert_eq!(answer(ask('b'), &over), []);
    assert_eq!(answer(ask('+'), &next), []);
    assert_eq!(answer(ask('+'), &same), [Effect::Set(percent(50))]);
    assert_eq!(answer(ask('b'), &next), [Effect::Rollback]);
    let model = hear(ask('q'), Event::Snapshot(Box::new(over)));
    assert_eq!(last_rows(&model), "nothing moves any more");
}

#[test]
fn leaving_waits_for_what_was_asked_for() {
    let paused = Phase::Paused { by: note("ann"), why: note("left"), done: false };
    let quarter = Share::At(percent(25));
    let back = Cause::Operator(note("ann"));
    for (key, effect, end) in [
        ('p', Effect::Pause, snapshot(quarter, paused)),
        ('b', Effect::Rollback, snapshot(Share::Baseline, Phase::RolledBack(back))),
    ] {
        let model = press(at_share(2_500), &[Key::Ctrl('c')]);
        let (model, effects) = update(model, Event::Key(Key::Char(key)));
        assert_eq!(effects, [effect]);
        let model = hear(model, Event::Snapshot(Box::new(snapshot(quarter, Phase::Baking))));
        assert_eq!(update(model.clone(), Event::Key(Key::Ctrl('c'))).1, [Effect::Detach]);
        assert_eq!(update(model, Event::Snapshot(Box::new(end))).1, [Effect::Detach]);
    }
}

#[test]
fn whoever_asks_for_something_else_has_not_left() {
    let (model, _) = update(press(at_share(2_500), &[Key::Char('q')]), Event::Key(Key::Char('p')));
    let (model, effects) = update(model, Event::Key(Key::Char('n')));
    assert_eq!(effects, [Effect::Promote]);
    let paused = Phase::Paused { by: note("bob"), why: note("lunch"), done: false };
    hear(model, Event::Snapshot(Box::new(snapshot(Share::At(percent(25)), paused))));
}

#[test]
fn a_key_that_is_held_down_asks_once() {
    let (model, effects) = update(at_share(2_500), Event::Key(Key::Char('n')));
    assert_eq!(effects, [Effect::Promote]);
    let model = press(model, &[Key::Char('n'), Key::Char('P')]);
    assert_eq!(last_rows(&model), "asked for already: wait for what comes of it");
    assert_eq!(update(model.clone(), Event::Key(Key::Char('p'))).1, [Effect::Pause]);
    let next = snapshot(Share::At(percent(50)), Phase::Baking);
    let model = hear(model, Event::Snapshot(Box::new(next)));
    assert_eq!(update(model, Event::Key(Key::Char('n'))).1, [Effect::Promote]);
}

#[test]
fn a_rollback_under_way_can_be_waited_for() {
    let back = || Phase::RollingBack(Cause::Gate(note("success rate")));
    let model = panel(snapshot(Share::Baseline, back()));
    let model = press(model, &[Key::Char('q'), Key::Char('p'), Key::Char('b')]);
    let model = hear(model, Event::Snapshot(Box::new(snapshot(Share::Baseline, back()))));
    let end = snapshot(Share::Baseline, Phase::RolledBack(Cause::Gate(note("success rate"))));
    assert_eq!(update(model, Event::Snapshot(Box::new(end))).1, [Effect::Detach]);
}

#[test]
fn leaving_as_it_is_and_staying() {
    let asked = || press(at_share(2_500), &[Key::Esc]);
    for key in [Key::Char('q'), Key::Ctrl('c')] {
        assert_eq!(update(asked(), Event::Key(key)).1, [Effect::Detach]);
    }
    let model = press(asked(), &[Key::Esc]);
    assert_eq!(update(model, Event::Key(Key::Char('p'))).1, [Effect::Pause]);
}

#[test]
fn ctrl_c_leaves_from_every_question_and_from_the_help() {
    for first in [Key::Char('b'), Key::Char('?'), Key::Char('q')] {
        let model = press(at_share(2_500), &[first]);
        let (model, effects) = update(model, Event::Key(Key::Ctrl('c')));
        if effects.is_empty() {
            assert_eq!(update(model, Event::Key(Key::Ctrl('c'))).1, [Effect::Detach]);
        } else {
            assert_eq!(effects, [Effect::Detach]);
        }
    }
}

#[test]
fn keys_do_nothing_behind_the_help_but_close_it() {
    let model = press(at_share(2_500), &[Key::Char('?'), Key::Char('p')]);
    assert_eq!(update(model, Event::Key(Key::Char('p'))).1, [Effect::Pause]);
}

#[test]
fn the_screen_can_be_drawn_anew_and_left_to_the_shell_at_any_time() {
    for before in [vec![], vec![Key::Char('b')], vec![Key::Char('?')], vec![Key::Char('q')]] {
        for (key, effect) in [('l', Effect::Redraw), ('z', Effect::Suspend)] {
            let model = press(at_share(2_500), &before);
            let shown = draw(&model, COLOR, 80, 24);
            let (model, effects) = update(model, Event::Key(Key::Ctrl(key)));
            assert_eq!(effects, [effect]);
            assert_eq!(draw(&model, COLOR, 80, 24), shown);
        }
    }
}

#[test]
fn the_table_of_keys_has_each_key_once_and_help_has_each_row() {
    let mut keys: Vec<String> =
        BINDINGS.iter().flat_map(|b| b.keys.iter().map(|key| key.name())).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
    let help = press(at_share(2_500), &[Key::Char('?')]);
    let shown = rows(&draw(&help, COLOR, 200, 60)).join("\n");
    for binding in &BINDINGS {
        assert!(shown.contains(binding.help), "{}", binding.help);
    }
}
