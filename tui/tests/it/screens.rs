//! What is on the screen.

use std::time::Duration;

use contour_core::shift::gate::{Sample, Window};
use contour_core::shift::machine::{Counts, Observation};
use contour_core::shift::percent::Percent;
use contour_core::shift::state::{Phase, Policy, Share};
use contour_tui::shift::{Event, Judged, Model, Snapshot};
use contour_tui::theme::Theme;

use super::scene::{
    ASCII, COLOR, MONO, SAFE, at, draw, hear, panel, percent, rows, scenes, snapshot, styled,
};

fn scene(name: &str) -> Model {
    scenes().into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn show(model: &Model, theme: Theme, width: u16, height: u16) -> String {
    rows(&draw(model, theme, width, height)).join("\n")
}

#[test]
fn screens_of_the_usual_size() {
    for (name, model) in scenes() {
        insta::assert_snapshot!(format!("80x24_{name}"), show(&model, COLOR, 80, 24));
    }
}

#[test]
fn large_screens_show_everything() {
    for name in ["baking", "rolling_back", "draining", "completed", "help", "long"] {
        insta::assert_snapshot!(format!("200x60_{name}"), show(&scene(name), COLOR, 200, 60));
    }
}

#[test]
fn small_screens_show_what_matters() {
    for (name, model) in scenes() {
        insta::assert_snapshot!(format!("40x10_{name}"), show(&model, COLOR, 40, 10));
    }
}

#[test]
fn screens_in_ascii() {
    for name in ["baking", "rolling_back", "lagging", "help", "stale", "long"] {
        insta::assert_snapshot!(format!("ascii_{name}"), show(&scene(name), ASCII, 80, 24));
    }
}

#[test]
fn tones_of_each_palette() {
    for (palette, theme) in [("color", COLOR), ("safe", SAFE), ("mono", MONO)] {
        let buffer = draw(&scene("rolling_back"), theme, 80, 24);
        insta::assert_snapshot!(format!("style_{palette}_rolling_back"), styled(&buffer));
    }
    insta::assert_snapshot!("style_color_stale", styled(&draw(&scene("stale"), COLOR, 80, 24)));
    insta::assert_snapshot!("style_mono_confirm", styled(&draw(&scene("confirm"), MONO, 80, 24)));
}

#[test]
fn nothing_is_said_by_colour_alone() {
    for (name, model) in scenes() {
        let shown = [COLOR, SAFE, MONO].map(|theme| show(&model, theme, 80, 24));
        assert!(shown.iter().all(|text| *text == shown[0]), "{name}");
    }
}

fn phase(model: &Model) -> String {
    let shown = show(model, COLOR, 80, 24);
    shown.lines().find(|line| line.trim_start().starts_with("phase")).unwrap().to_owned()
}

fn baked(seconds: u64) -> Snapshot {
    let mut snapshot = snapshot(Share::At(percent(25)), Phase::Baking);
    snapshot.baked = Duration::from_secs(seconds);
    snapshot
}

#[test]
fn the_bake_clock_goes_on_until_the_next_look_is_due() {
    let model = panel(baked(60));
    for (second, expected) in [(610, "1m of 5m"), (617, "1m7s of 5m"), (700, "1m15s of 5m")] {
        let shown = phase(&hear(model.clone(), Event::Tick(at(second))));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn the_bake_clock_stands_where_nothing_says_that_it_runs() {
    let stale = hear(panel(baked(60)), Event::Stale("gone".to_owned()));
    let mut lagging = baked(60);
    if let Some(fleet) = lagging.observation.as_mut().and_then(|seen| seen.fleet.as_mut()) {
        fleet.acknowledged = 2;
    }
    for model in [stale, panel(lagging)] {
        let shown = phase(&hear(model, Event::Tick(at(617))));
        assert!(shown.contains("1m of 5m"), "{shown}");
    }
}

#[test]
fn what_was_not_heard_is_over_with_the_next_snapshot() {
    let model = hear(panel(baked(60)), Event::Stale("connection refused".to_owned()));
    let shown = show(&model, COLOR, 80, 24);
    assert!(shown.contains("nothing is heard for 0s: connection refused"), "{shown}");
    let model = hear(model, Event::Snapshot(Box::new(baked(61))));
    assert!(!show(&model, COLOR, 80, 24).contains("nothing is heard"));
}

#[test]
fn nothing_that_is_not_known_is_shown_as_a_number() {
    let mut unseen = snapshot(Share::Baseline, Phase::Waiting);
    unseen.observation = Some(Observation::default());
    for model in [panel(unseen.clone()), panel(Snapshot { observation: None, ..unseen })] {
        let shown = show(&model, COLOR, 80, 24);
        let row = |name: &str| {
            let row = shown.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(row("Envoys"), ["Envoys", "-"]);
        for side in ["from", "to"] {
            let cells = row(side);
            assert_eq!(cells[cells.len() - 3..], ["-", "-", "-"], "{shown}");
        }
    }
}

#[test]
fn a_window_is_judged_as_the_machine_does() {
    let policy = snapshot(Share::Baseline, Phase::Waiting).state.charter.policy;
    let sample = |requests, failures| Sample { requests, failures, ..Sample::default() };
    let judged = |policy: &Policy, requests, failures| {
        let window = Window { begin: at(0), from: sample(500, 0), to: sample(requests, failures) };
        Judged::of(
            policy,
            &Observation { counts: Counts::Over(Box::new(window)), ..Observation::default() },
        )
    };
    assert_eq!(Judged::of(&policy, &Observation::default()), None);
    for (requests, failures, success) in [
        (200, 1, Percent::hundredths(9_950)),
        (3_000, 1, Percent::hundredths(9_996)),
        (200, 300, Some(Percent::NONE)),
        (99, 0, None),
        (0, 0, None),
    ] {
        let judged = judged(&policy, requests, failures).unwrap();
        assert_eq!(judged.success, success, "{failures} of {requests}");
        assert_eq!(judged.findings.len(), policy.gates.len());
    }
    let mut eager = policy;
    eager.rules.min_requests = 0;
    assert_eq!(judged(&eager, 0, 0).unwrap().success, None);
}
