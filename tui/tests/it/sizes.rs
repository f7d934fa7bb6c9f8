//! Terminals of any size.

use contour_tui::key::Key;
use contour_tui::shift::Event;

use super::scene::{ASCII, COLOR, MONO, baking, draw, hear, press, rows, scenes};

#[test]
fn every_size_can_be_drawn() {
    for (name, model) in scenes() {
        for width in (1..=30).chain((31..=130).step_by(7)) {
            for height in (1..=12).chain((13..=50).step_by(6)) {
                let shown = rows(&draw(&model, COLOR, width, height));
                assert!(shown.iter().any(|row| !row.is_empty()), "{name} at {width}x{height}");
            }
        }
    }
}

#[test]
fn no_terminal_is_asked_for_more_than_ascii() {
    for (name, model) in scenes() {
        for (width, height) in [(1, 1), (20, 3), (40, 10), (80, 24), (200, 60)] {
            let shown = rows(&draw(&model, ASCII, width, height)).join("\n");
            assert!(shown.is_ascii(), "{name} at {width}x{height}:\n{shown}");
        }
    }
}

#[test]
fn monochrome_screens_have_no_colour() {
    for (name, model) in scenes() {
        let buffer = draw(&model, MONO, 80, 24);
        let plain = ratatui::style::Color::Reset;
        assert!(buffer.content.iter().all(|c| c.fg == plain && c.bg == plain), "{name}");
    }
}

#[test]
fn share_and_phase_are_on_every_screen_that_has_room_for_a_line() {
    for (width, height) in [(10, 1), (23, 3), (24, 4), (40, 10), (80, 24), (200, 60)] {
        let shown = rows(&draw(&baking(), COLOR, width, height)).join("\n");
        assert!(shown.contains("25%") && shown.contains("bakin"), "{width}x{height}:\n{shown}");
    }
}

#[test]
fn what_is_asked_is_on_every_screen_that_has_room_for_it() {
    let model = press(baking(), &[Key::Char('a')]);
    for (width, height) in [(80, 1), (24, 4), (30, 5), (40, 10), (80, 24), (200, 60)] {
        let shown = rows(&draw(&model, COLOR, width, height)).join(" ");
        assert!(shown.contains("End the") && shown.contains("y/n"), "{width}x{height}:\n{shown}");
    }
}

#[test]
fn another_size_changes_nothing_but_what_is_drawn() {
    let model = hear(baking(), Event::Resize);
    assert_eq!(draw(&model, COLOR, 80, 24), draw(&baking(), COLOR, 80, 24));
}
