//! Whatever is heard, in whatever order.

use std::sync::Arc;

use contour_core::top::{Frame, View};
use contour_tui::key::Key;
use contour_tui::theme::Tone;
use contour_tui::top::{BINDINGS, Event, Model, Mouse, update};
use proptest::prelude::*;

use super::scene::{draw, healthy, many, options, rich, see, selected, showing};
use crate::scene::{COLOR, rows};

/// Keys that do something, and some that are written.
fn keys() -> Vec<Key> {
    let bound = BINDINGS.iter().flat_map(|binding| binding.keys.iter().copied());
    bound.chain("5xx>1 shop\"é日".chars().map(Key::Char)).chain([Key::Other]).collect()
}

fn frame(which: u8, seconds: u64) -> Frame {
    match which {
        0 => Frame { unix_millis: rich().unix_millis + seconds * 1_000, ..rich() },
        1 => healthy(),
        2 => Frame::default(),
        3 => {
            let mut frame = rich();
            frame.routes.reverse();
            frame.endpoints.truncate(3);
            frame.warnings.truncate(1);
            frame
        }
        _ => many(60, seconds),
    }
}

fn event() -> impl Strategy<Value = Event> {
    let size = (0_u16..120, 0_u16..50);
    prop_oneof![
        12 => prop::sample::select(keys()).prop_map(Event::Key),
        3 => (0_u8..5, 0_u64..30).prop_map(|(which, s)| Event::Frame(Arc::new(frame(which, s)))),
        1 => size.clone().prop_map(|(x, y)| Event::Mouse(Mouse::Click(x, y))),
        1 => prop::sample::select(vec![Mouse::WheelUp, Mouse::WheelDown]).prop_map(Event::Mouse),
        1 => size.prop_map(|(columns, rows)| Event::Resize(columns, rows)),
        1 => any::<u64>().prop_map(Event::Tick),
        1 => any::<String>().prop_map(|text| Event::Notice(text, Tone::Warn)),
    ]
}

/// What is chosen is a row of what is shown, and on the screen.
fn is_sound(model: &Model) -> Result<(), TestCaseError> {
    let Some(frame) = model.frame() else {
        prop_assert!(model.selected().is_none());
        return Ok(());
    };
    if let Some((shown, all)) = model.count() {
        prop_assert!(shown <= all && all <= frame.len(model.view()));
        prop_assert_eq!(model.selected().is_some(), shown > 0);
        let chosen = selected(model);
        let exists = frame.items(model.view()).any(|item| item.key() == chosen);
        prop_assert!(shown == 0 || exists, "{} is no row", chosen);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_that_is_heard_does_harm(
        events in prop::collection::vec(event(), 1..60),
        (width, height) in (1_u16..130, 1_u16..45),
    ) {
        let mut model = Model::new(options());
        for event in events {
            model = update(model, event).0;
            is_sound(&model)?;
        }
        let shown = rows(&draw(&model, COLOR, width, height));
        prop_assert!(shown.iter().any(|row| !row.is_empty()));
    }

    #[test]
    fn what_was_chosen_stays_chosen_in_whatever_order_it_comes(
        view in prop::sample::select(View::ALL.to_vec()),
        column in 0_usize..30,
        steps in 1_usize..12,
        swaps in prop::collection::vec((0_usize..12, 0_usize..12), 0..20),
    ) {
        let by = view.columns().get(column % view.columns().len()).map(|column| (column, true));
        let flags = contour_tui::top::Options { view, sort: by, ..options() };
        let mut model = see(Model::new(flags), rich());
        for _ in 0..steps {
            model = update(model, Event::Key(Key::Down)).0;
        }
        let chosen = selected(&model);
        let mut frame = rich();
        for (a, b) in swaps {
            swap(&mut frame.routes, a, b);
            swap(&mut frame.upstreams, a, b);
            swap(&mut frame.endpoints, a, b);
            swap(&mut frame.envoys, a, b);
            swap(&mut frame.certificates, a, b);
            swap(&mut frame.shifts, a, b);
            swap(&mut frame.events, a, b);
        }
        let model = see(model, frame);
        prop_assert_eq!(selected(&model), chosen);
        let shown = rows(&draw(&model, COLOR, 100, 12));
        prop_assert_eq!(shown.iter().filter(|row| row.starts_with(" >")).count(), 1);
    }
}

fn swap<T>(items: &mut [T], a: usize, b: usize) {
    let len = items.len();
    items.swap(a % len, b % len);
}

#[test]
fn what_is_drawn_does_not_depend_on_how_often() {
    let model = showing(many(500, 3));
    assert_eq!(draw(&model, COLOR, 80, 24), draw(&model, COLOR, 80, 24));
}
