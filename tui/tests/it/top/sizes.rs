//! Terminals of any size.

use contour_tui::top::{Event, Model};

use super::scene::{draw, hear, show};
use super::screens::{scenes, views};
use crate::scene::{ASCII, COLOR, MONO, rows};

fn all() -> Vec<(&'static str, Model)> {
    scenes().into_iter().chain(views()).collect()
}

fn is_drawn(name: &str, model: &Model, width: u16, height: u16) {
    let shown = rows(&draw(model, COLOR, width, height));
    assert!(shown.iter().any(|row| !row.is_empty()), "{name} at {width}x{height}");
}

#[test]
fn every_size_can_be_drawn() {
    for (name, model) in all() {
        for width in (1..=200).step_by(11) {
            for height in (1..=60).step_by(7) {
                is_drawn(name, &model, width, height);
            }
        }
    }
}

#[test]
fn every_small_size_can_be_drawn() {
    let chosen = ["routes", "wrong_filter", "route", "columns", "warnings", "help", "frozen"];
    for (name, model) in all().into_iter().filter(|(name, _)| chosen.contains(name)) {
        for width in 1..=45 {
            for height in 1..=15 {
                is_drawn(name, &model, width, height);
                // And if it was told the size before.
                let told = hear(model.clone(), Event::Resize(width, height));
                is_drawn(name, &told, width, height);
            }
        }
    }
}

#[test]
fn no_terminal_is_asked_for_more_than_ascii() {
    for (name, model) in all() {
        for size in [(1, 1), (19, 3), (40, 10), (80, 24), (200, 60)] {
            let shown = show(&model, ASCII, size);
            assert!(shown.is_ascii(), "{name} at {size:?}:\n{shown}");
        }
    }
}

#[test]
fn monochrome_screens_have_no_colour() {
    for (name, model) in all() {
        let buffer = draw(&model, MONO, 120, 40);
        let plain = ratatui::style::Color::Reset;
        assert!(buffer.content.iter().all(|c| c.fg == plain && c.bg == plain), "{name}");
    }
}

#[test]
fn the_worst_is_on_every_screen_that_has_room_for_a_line() {
    let (_, model) = views().remove(0);
    for size in [(60, 1), (60, 3), (80, 12), (200, 60)] {
        let shown = show(&model, COLOR, size);
        assert!(shown.contains("✗ 1 route has a service without"), "{size:?}:\n{shown}");
    }
}

#[test]
fn a_row_that_is_chosen_is_on_the_screen_whatever_the_size() {
    let many = scenes().into_iter().find(|(name, _)| *name == "many").unwrap().1;
    for (width, height) in [(20, 4), (40, 10), (80, 8), (80, 24), (200, 60)] {
        // The size was not told before it is drawn.
        let shown = rows(&draw(&many, COLOR, width, height));
        assert!(shown.iter().any(|row| row.trim_start().starts_with('>')), "{width}x{height}");
    }
}
