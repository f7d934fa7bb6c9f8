//! What keys and the mouse do.

use std::collections::BTreeSet;
use std::sync::Arc;

use contour_core::name::ObjectName;
use contour_core::shift::weights::Place;
use contour_core::top::View;
use contour_tui::key::Key;
use contour_tui::theme::Tone;
use contour_tui::top::{
    Act, BINDINGS, Binding, Effect, Event, Mode, Model, Mouse, Options, markdown, update,
};

use super::scene::{
    NOW, effects, hear, many, options, press, rich, see, selected, show, showing, write,
};
use crate::scene::COLOR;

fn at(view: View) -> Model {
    see(Model::new(Options { view, ..options() }), rich())
}

/// The line of a screen that has a word in it.
fn line(model: &Model, word: &str) -> String {
    let shown = show(model, COLOR, (120, 40));
    shown.lines().find(|line| line.contains(word)).unwrap_or_default().to_owned()
}

fn click(model: Model, x: u16, y: u16) -> Model {
    hear(model, Event::Mouse(Mouse::Click(x, y)))
}

#[test]
fn no_key_means_two_things_in_one_place() {
    for mode in Mode::ALL {
        let own = BINDINGS.iter().filter(|binding| binding.modes.contains(&mode));
        let keys: Vec<String> = own.flat_map(|b| b.keys.iter().map(|key| key.name())).collect();
        let different: BTreeSet<&String> = keys.iter().collect();
        assert_eq!(keys.len(), different.len(), "{mode:?}: {keys:?}");
    }
}

#[test]
fn one_can_leave_from_everywhere_and_the_screen_can_be_drawn_anew() {
    for (name, model) in super::screens::scenes() {
        assert_eq!(effects(&model, Key::Ctrl('c')), [Effect::Quit], "{name}");
        assert_eq!(effects(&model, Key::Ctrl('l')), [Effect::Redraw], "{name}");
        assert_eq!(effects(&model, Key::Ctrl('z')), [Effect::Suspend], "{name}");
    }
}

#[test]
fn every_key_is_explained_in_the_help_and_in_the_documentation() {
    let help = show(&write(at(View::Routes), "?"), COLOR, (250, 100));
    let document = include_str!("../../../../docs/top.md");
    for binding in BINDINGS {
        let on_pages = binding.modes.contains(&Mode::Table);
        assert!(!on_pages || help.contains(binding.help), "{}", binding.help);
        let closes = binding.modes == [Mode::Help];
        assert!(closes || document.contains(binding.help), "{}", binding.help);
    }
    let (begin, end) = ("<!-- keys -->\n", "<!-- /keys -->");
    let (_, rest) = document.split_once(begin).unwrap();
    let (section, _) = rest.split_once(end).unwrap();
    assert_eq!(section.trim(), markdown().trim());
}

#[test]
fn the_footer_has_only_what_makes_sense() {
    for (name, model) in super::screens::scenes() {
        let shown = show(&model, COLOR, (250, 40));
        let footer = shown.lines().last().unwrap();
        for binding in BINDINGS.iter().filter(|b| b.modes.contains(&Mode::of(&model))) {
            let key = binding.keys[0].name();
            let told = format!("{key} {}", binding.label(&model));
            let there = format!("  {footer}  ").contains(&format!(" {told} "));
            let refused = binding.act.sense(&model).is_err();
            assert!(!(there && refused), "{name}: {told} in {footer}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_answered_with_the_reason() {
    for (key, why) in [
        (Key::Char('s'), "only a route can be shifted"),
        (Key::Esc, "there is nothing to go back to; q leaves"),
        (Key::Char('-'), "there was no view before"),
        (Key::Char('r'), "no column was chosen to order by"),
    ] {
        let model = press(at(View::Envoys), &[key]);
        assert!(line(&model, why).contains(why), "{key:?}");
        // The next key ends it.
        assert_eq!(line(&press(model, &[Key::Down]), why), "");
    }
    let recorded = Options { no_shift: Some("this is a recording".to_owned()), ..options() };
    let model = press(see(Model::new(recorded), rich()), &[Key::Char('s')]);
    assert!(line(&model, "recording").contains("this is a recording"));
}

#[test]
fn a_shift_is_opened_of_the_route_that_is_chosen() {
    let shop = press(at(View::Routes), &[Key::Down; 6]);
    assert_eq!(selected(&shop), "demo/shop:/api");
    let object = ObjectName::new("demo", "shop");
    let place = Some(Place::Route("/api".into()));
    let expected = [Effect::OpenShift { object: object.clone(), place }];
    assert_eq!(effects(&shop, Key::Char('s')), expected);
    assert_eq!(effects(&press(shop, &[Key::Char('d')]), Key::Char('s')), expected);
    let ledger = press(at(View::Routes), &[Key::End]);
    let of_tcp = Effect::OpenShift {
        object: ObjectName::new("payments", "ledger"),
        place: Some(Place::Tcp),
    };
    assert_eq!(effects(&ledger, Key::Char('s')), [of_tcp]);
    let shift = press(at(View::Shifts), &[Key::End]);
    assert_eq!(effects(&shift, Key::Char('s')), [Effect::OpenShift { object, place: None }]);
}

#[test]
fn what_is_shown_can_be_written_and_asked_for_anew() {
    let model = at(View::Routes);
    let expected = [Effect::Export(Arc::new(rich()))];
    assert_eq!(effects(&model, Key::Char('e')), expected);
    assert_eq!(effects(&model, Key::Ctrl('r')), [Effect::Refresh]);
    let frozen = see(press(model, &[Key::Char(' ')]), many(3, 1));
    assert_eq!(effects(&frozen, Key::Char('e')), expected);
}

#[test]
fn intervals_go_up_and_down_a_ladder_that_has_ends() {
    let mut model = at(View::Routes);
    for (key, millis) in [('[', Some(500)), ('[', None), (']', Some(1_000)), (']', Some(2_000))] {
        let (next, effects) = update(model, Event::Key(Key::Char(key)));
        let expected: Vec<Effect> = millis.map(Effect::Interval).into_iter().collect();
        assert_eq!(effects, expected, "{key}");
        model = next;
    }
    assert!(line(&model, "every").contains("every 2s"));
    let odd = Model::new(Options { interval_millis: 3_000, ..options() });
    assert_eq!(effects(&odd, Key::Char('[')), [Effect::Interval(2_000)]);
    assert_eq!(effects(&odd, Key::Char(']')), [Effect::Interval(5_000)]);
}

#[test]
fn the_mouse_chooses_tabs_rows_and_orders() {
    // Tabs are in the second row, headings in the fourth, rows below.
    let model = at(View::Routes);
    let shown = show(&model, COLOR, (80, 24));
    let lines: Vec<&str> = shown.lines().collect();
    let column = |row: usize, word: &str| {
        let (before, _) = lines[row].split_once(word).unwrap();
        u16::try_from(before.chars().count()).unwrap()
    };
    for view in View::ALL {
        let x = column(1, view.title());
        assert_eq!(click(model.clone(), x, 1).view(), view);
    }
    assert_eq!(selected(&click(model.clone(), 20, 4)), selected(&model));
    assert_eq!(selected(&click(model.clone(), 20, 9)), "demo/shop:/");
    // Below the last row there is nothing.
    assert_eq!(selected(&click(model.clone(), 20, 20)), selected(&model));
    let by_rps = click(model.clone(), column(3, "RPS"), 3);
    assert!(line(&by_rps, "NAME").contains("RPS↓"));
    assert!(selected(&by_rps).starts_with("a-namespace-with-a-rather-long-name/"));
    let inverted = click(by_rps, column(3, "RPS"), 3);
    assert!(line(&inverted, "NAME").contains("RPS↑"));
    assert_eq!(selected(&inverted), "demo/old:/");
    let wheel = |model, mouse| hear(model, Event::Mouse(mouse));
    let down = wheel(model.clone(), Mouse::WheelDown);
    assert_eq!(selected(&down), "demo/lonely:/");
    assert_eq!(selected(&wheel(down, Mouse::WheelUp)), selected(&model));
}

#[test]
fn the_mouse_does_nothing_outside_and_behind_what_is_in_front() {
    let model = at(View::Routes);
    for (x, y) in [(0, 0), (79, 23), (200, 1), (5, 200), (u16::MAX, u16::MAX)] {
        assert_eq!(selected(&click(model.clone(), x, y)), selected(&model));
    }
    let help = write(model, "?");
    assert_eq!(click(help, 20, 1).view(), View::Routes);
}

#[test]
fn columns_are_chosen_one_by_one() {
    let has = |model: &Model, heading: &str| {
        let shown = show(model, COLOR, (250, 40));
        shown.lines().any(|line| line.contains("MATCH") && line.contains(heading))
    };
    let model = at(View::Routes);
    assert!(has(&model, "HOST") && !has(&model, "ERRORS"));
    // The third is that of hosts, the last one that of errors.
    let chosen = press(write(model, "cjj"), &[Key::Char(' '), Key::End, Key::Char(' '), Key::Esc]);
    assert!(!has(&chosen, "HOST") && has(&chosen, "ERRORS"));
    // They are kept while one is elsewhere.
    let back = press(chosen, &[Key::Char('4'), Key::Char('1')]);
    assert!(!has(&back, "HOST") && has(&back, "ERRORS"));
    let again = write(back.clone(), "w");
    assert!(line(&again, "one by one").contains("its columns were chosen one by one"));
    let reset = write(back, "crc");
    assert!(has(&reset, "HOST") && !has(&reset, "ERRORS"));
    assert!(has(&write(reset, "w"), "OVERFL"));
}

#[test]
fn one_column_is_left() {
    let flags = Options { columns: View::Routes.column("rps").map(|c| vec![c]), ..options() };
    let model = see(Model::new(flags), rich());
    let rps = View::Routes.columns().iter().position(|column| column.name == "rps").unwrap();
    let keys = vec![Key::Down; rps];
    let model = press(press(write(model, "c"), &keys), &[Key::Char(' ')]);
    assert!(line(&model, "one column").contains("one column must be left"));
    assert!(line(&model, "] rps").contains("[x]"));
}

#[test]
fn flags_are_of_the_view_that_is_shown_first() {
    let view = View::Upstreams;
    let flags = Options {
        view,
        filter: contour_core::top::Filter::parse("rps>30", view).unwrap(),
        sort: view.column("rps").map(|column| (column, true)),
        columns: ["rps", "service"].map(|name| view.column(name)).into_iter().collect(),
        ..options()
    };
    let model = see(Model::new(flags), rich());
    assert_eq!(model.count(), Some((3, 5)));
    assert_eq!(selected(&model), "demo/blue:80");
    let head = line(&model, "SERVICE");
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["RPS↓", "SERVICE"]);
    let (shown, all) = press(model, &[Key::Char('1')]).count().unwrap();
    assert_eq!(shown, all);
}

#[test]
fn columns_take_their_turns_in_ordering() {
    let columns: Vec<_> = View::Envoys.columns().iter().filter(|column| !column.wide).collect();
    let mut model = at(View::Envoys);
    for column in &columns {
        model = press(model, &[Key::Char('>')]);
        let by = line(&model, " by ");
        assert!(by.contains(&format!("by {} ", column.heading)), "{by}");
    }
    model = press(model, &[Key::Char('>')]);
    assert_eq!(line(&model, " by "), "");
    model = press(model, &[Key::Char('<')]);
    let last = columns.last().unwrap().heading;
    assert!(line(&model, " by ").contains(&format!("by {last} ")));
}

#[test]
fn a_notice_goes_after_a_while() {
    let told = |model: &Model| !line(model, "wrote top.json").is_empty();
    let notice = Event::Notice("wrote top.json".to_owned(), Tone::Good);
    let model = hear(at(View::Routes), notice);
    assert!(told(&model));
    let later = hear(model.clone(), Event::Tick(NOW + 7_000));
    assert!(told(&later));
    assert!(!told(&hear(later, Event::Tick(NOW + 8_000))));
    assert!(!told(&press(model, &[Key::Down])));
}

#[test]
fn an_act_is_known_by_its_key() {
    let of = |key, mode| Binding::of(key, mode).map(|binding| binding.act);
    assert_eq!(of(Key::Enter, Mode::Table), Some(Act::Open));
    assert_eq!(of(Key::Enter, Mode::Filter), Some(Act::Accept));
    assert_eq!(of(Key::Char('x'), Mode::Table), None);
    assert_eq!(showing(rich()).view(), View::Routes);
}
