//! What is on the screen.

use contour_core::top::{Frame, SourceState, View};
use contour_tui::key::Key;
use contour_tui::theme::Tone;
use contour_tui::top::{Event, Model, Options};

use super::scene::{
    NOW, draw, healthy, hear, many, options, press, rich, see, show, showing, write,
};
use crate::scene::{ASCII, COLOR, MONO, SAFE, styled};

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];

fn at(view: View) -> Model {
    see(Model::new(Options { view, ..options() }), rich())
}

/// What is not a table as it is, under a name.
pub(crate) fn scenes() -> Vec<(&'static str, Model)> {
    let stale = || {
        let mut frame = rich();
        frame.coverage.stale_millis = Some(7_200);
        frame.coverage.sources[0].state = SourceState::Lost;
        frame.coverage.sources[0].why = Some("connection refused".into());
        frame
    };
    let limited = || {
        let mut frame = rich();
        let limits =
            ["no rates: no controller is heard", "no events: not allowed", "no Pods: not allowed"];
        frame.coverage.limits = limits.map(Into::into).into();
        frame
    };
    let frozen = press(at(View::Routes), &[Key::Char('f')]);
    let frozen = hear(see(frozen, many(3, 12)), Event::Tick(NOW + 12_000));
    let first = || {
        let mut frame = Frame { unix_millis: NOW, ..Frame::default() };
        frame.coverage.sources = rich().coverage.sources;
        for source in &mut frame.coverage.sources {
            source.state = SourceState::Waiting;
        }
        frame
    };
    let sorted = press(at(View::Routes), &[Key::Char('<'), Key::Char('<')]);
    let shop = press(at(View::Routes), &[Key::Down; 5]);
    vec![
        ("nothing", Model::new(options())),
        ("waiting", showing(first())),
        ("stale", showing(stale())),
        ("limited", showing(limited())),
        ("frozen", frozen),
        ("sorted", sorted),
        ("filtered", press(write(at(View::Routes), "/shop"), &[Key::Enter])),
        ("filtering", write(at(View::Routes), "/5xx>1")),
        ("wrong_filter", write(at(View::Routes), "/shop rps>much")),
        ("completing", press(write(at(View::Routes), "/na"), &[Key::Tab])),
        ("filtered_out", press(write(at(View::Routes), "/nowhere"), &[Key::Enter])),
        ("all_well", press(showing(healthy()), &[Key::Char('!')])),
        ("faults", press(at(View::Routes), &[Key::Char('!')])),
        ("empty", see(Model::new(Options { view: View::Shifts, ..options() }), Frame::default())),
        ("inside", press(shop.clone(), &[Key::Enter, Key::Enter])),
        ("route", press(shop.clone(), &[Key::Char('d')])),
        ("broken_route", press(at(View::Routes), &[Key::Down, Key::Down, Key::Char('d')])),
        ("gone", see(press(shop, &[Key::Char('d')]), many(3, 1))),
        ("upstream", press(at(View::Upstreams), &[Key::Char('d')])),
        ("endpoint", press(at(View::Endpoints), &[Key::Down, Key::Down, Key::Down, Key::Enter])),
        ("envoy", press(at(View::Envoys), &[Key::Down, Key::Down, Key::Down, Key::Enter])),
        ("certificate", press(at(View::Certificates), &[Key::Enter])),
        ("event", press(at(View::Events), &[Key::Enter])),
        ("columns", press(write(at(View::Routes), "cjj"), &[Key::Char(' ')])),
        ("warnings", write(at(View::Routes), "W")),
        ("help", write(at(View::Routes), "?")),
        ("language", write(at(View::Routes), "/?")),
        ("refused", press(at(View::Envoys), &[Key::Char('s')])),
        ("told", hear(at(View::Routes), Event::Notice("wrote top.json".to_owned(), Tone::Good))),
        ("wide", press(at(View::Routes), &[Key::Char('w')])),
        ("many", press(showing(many(2_000, 0)), &[Key::PageDown, Key::PageDown])),
    ]
}

pub(crate) fn views() -> Vec<(&'static str, Model)> {
    View::ALL.map(|view| (view.name(), at(view))).into()
}

fn scene(name: &str) -> Model {
    scenes().into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn every_view_at_every_usual_size() {
    for (name, model) in views() {
        for (width, height) in SIZES {
            let shown = show(&model, COLOR, (width, height));
            insta::assert_snapshot!(format!("{width}x{height}_{name}"), shown);
        }
    }
}

#[test]
fn screens_of_the_usual_size() {
    for (name, model) in scenes() {
        insta::assert_snapshot!(format!("80x24_{name}"), show(&model, COLOR, (80, 24)));
    }
}

#[test]
fn small_screens_show_what_matters() {
    for name in ["stale", "filtering", "wrong_filter", "inside", "route", "columns", "help"] {
        insta::assert_snapshot!(format!("40x10_{name}"), show(&scene(name), COLOR, (40, 10)));
    }
}

#[test]
fn large_screens_show_everything() {
    for name in ["wide", "route", "help"] {
        insta::assert_snapshot!(format!("200x60_{name}"), show(&scene(name), COLOR, (200, 60)));
    }
}

#[test]
fn weights_are_drawn_where_there_is_room() {
    let model = scene("filtered");
    for (theme, bar) in
        [(COLOR, "██████▒▒ blue 75, green 25"), (ASCII, "######== blue 75, green 25")]
    {
        let shown = show(&model, theme, (200, 40));
        assert!(shown.contains(bar), "{shown}");
    }
    assert!(!show(&model, COLOR, (80, 24)).contains('▒'));
}

#[test]
fn screens_in_ascii() {
    for (name, model) in views() {
        insta::assert_snapshot!(format!("ascii_{name}"), show(&model, ASCII, (120, 40)));
    }
    for name in ["frozen", "route", "sorted"] {
        insta::assert_snapshot!(format!("ascii_{name}"), show(&scene(name), ASCII, (80, 24)));
    }
}

#[test]
fn tones_of_each_palette() {
    for (palette, theme) in [("color", COLOR), ("safe", SAFE), ("mono", MONO)] {
        let shown = styled(&draw(&at(View::Routes), theme, 80, 24));
        insta::assert_snapshot!(format!("style_{palette}_routes"), shown);
    }
    for name in ["stale", "wrong_filter", "warnings"] {
        insta::assert_snapshot!(
            format!("style_mono_{name}"),
            styled(&draw(&scene(name), MONO, 80, 24))
        );
    }
    insta::assert_snapshot!(
        "style_color_endpoints",
        styled(&draw(&at(View::Endpoints), COLOR, 120, 24))
    );
}

#[test]
fn nothing_is_said_by_colour_alone() {
    for (name, model) in scenes().into_iter().chain(views()) {
        let shown = [COLOR, SAFE, MONO].map(|theme| show(&model, theme, (80, 24)));
        assert!(shown.iter().all(|text| *text == shown[0]), "{name}");
    }
}

#[test]
fn the_theme_is_that_of_the_driver_until_another_is_asked_for() {
    let model = at(View::Routes);
    let cycle = [SAFE, MONO, COLOR];
    let mut next = model.clone();
    for expected in cycle {
        next = press(next, &[Key::Char('t')]);
        assert_eq!(next.theme(COLOR), expected);
        assert_eq!(draw(&next, COLOR, 80, 24), draw(&model, expected, 80, 24));
    }
}

#[test]
fn every_row_of_a_page_that_is_chosen_has_a_mark() {
    for (name, model) in views() {
        let shown = show(&model, MONO, (80, 24));
        let marked = shown.lines().filter(|line| line.starts_with(" >")).count();
        assert_eq!(marked, 1, "{name}:\n{shown}");
    }
}
