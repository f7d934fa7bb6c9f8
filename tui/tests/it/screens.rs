//! What is on the screen.

use contour_tui::shift::Model;
use contour_tui::theme::Theme;

use super::scene::{ASCII, COLOR, MONO, SAFE, draw, rows, scenes, styled};

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
