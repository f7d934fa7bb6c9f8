//! From page to page, and what is chosen there.

use contour_core::top::View;
use contour_tui::key::Key;
use contour_tui::theme::Tone;
use contour_tui::top::{Event, Model, Options};

use super::scene::{NOW, hear, many, options, press, rich, see, selected, show, showing, write};
use crate::scene::COLOR;

fn at(view: View) -> Model {
    see(Model::new(Options { view, ..options() }), rich())
}

fn shown(model: &Model) -> String {
    show(model, COLOR, (100, 24))
}

#[test]
fn one_goes_from_a_route_to_its_endpoints_and_back() {
    let route = press(at(View::Routes), &[Key::Down; 5]);
    let upstreams = press(route, &[Key::Enter]);
    assert_eq!((upstreams.view(), upstreams.count()), (View::Upstreams, Some((2, 2))));
    let green = press(upstreams, &[Key::Down]);
    let endpoints = press(green, &[Key::Enter]);
    assert_eq!((endpoints.view(), endpoints.count()), (View::Endpoints, Some((2, 2))));
    assert!(shown(&endpoints).contains("Routes › demo/shop:/ › Upstreams › demo/green:80 › End"));
    let detail = press(endpoints, &[Key::Enter]);
    assert!(shown(&detail).contains("› Endpoints › demo/green:80@10.1.0.6:8080"));
    let back = press(detail, &[Key::Esc, Key::Backspace]);
    assert_eq!(selected(&back), "demo/green:80");
    let back = press(back, &[Key::Esc]);
    assert_eq!(selected(&back), "demo/shop:/");
    assert!(!shown(&back).contains('›'));
}

#[test]
fn what_one_goes_into_is_what_belongs_to_it() {
    let shift = press(at(View::Shifts), &[Key::End, Key::Enter]);
    assert_eq!((shift.view(), shift.count()), (View::Routes, Some((3, 3))));
    for view in [View::Endpoints, View::Envoys, View::Certificates, View::Events] {
        let model = at(view);
        let chosen = selected(&model);
        let detail = press(model, &[Key::Enter]);
        assert_eq!((detail.view(), detail.count()), (view, None));
        assert_eq!(selected(&detail), chosen);
    }
    for view in View::ALL {
        let detail = press(at(view), &[Key::Char('d')]);
        assert_eq!((detail.view(), detail.count()), (view, None));
    }
}

#[test]
fn a_route_that_leads_nowhere_has_no_upstreams() {
    let broken = press(at(View::Routes), &[Key::Down, Key::Down, Key::Enter]);
    assert_eq!(broken.count(), Some((0, 0)));
    assert!(shown(&broken).contains("there are no upstreams of demo/broken:/; Esc goes back"));
}

#[test]
fn tabs_are_reached_by_number_and_in_a_circle() {
    let model = at(View::Routes);
    for (digit, view) in ('1'..='7').zip(View::ALL) {
        assert_eq!(write(model.clone(), &digit.to_string()).view(), view);
    }
    let round = View::ALL.map(|_| Key::Tab);
    for (count, view) in (1..7).zip(View::ALL.into_iter().skip(1)) {
        assert_eq!(press(model.clone(), &round[..count]).view(), view);
    }
    assert_eq!(press(model.clone(), &round).view(), View::Routes);
    assert_eq!(press(model, &[Key::BackTab]).view(), View::Events);
}

#[test]
fn where_one_was_before_is_one_key_away() {
    let inside = press(at(View::Routes), &[Key::Down, Key::Enter]);
    let elsewhere = press(inside.clone(), &[Key::Char('4'), Key::Down]);
    let back = press(elsewhere.clone(), &[Key::Char('-')]);
    assert_eq!(shown(&back), shown(&inside));
    let there = press(back, &[Key::Char('-')]);
    assert_eq!(shown(&there), shown(&elsewhere));
    // The number of the tab on which one is leads to its begin.
    let begin = press(inside, &[Key::Char('1')]);
    assert_eq!(begin.count(), Some((9, 9)));
}

#[test]
fn a_warning_leads_to_its_rows() {
    let listed = write(at(View::Envoys), "W");
    let rows = press(listed.clone(), &[Key::Down, Key::Down, Key::Enter]);
    assert_eq!((rows.view(), rows.count()), (View::Endpoints, Some((2, 2))));
    assert!(shown(&rows).contains("Endpoints › endpoint-without-traffic › Endpoints"));
    let about_none = press(listed, &[Key::End, Key::Enter]);
    assert!(shown(&about_none).contains("this is about no row"));
    assert_eq!(about_none.view(), View::Envoys);
}

#[test]
fn a_filter_takes_effect_while_it_is_written() {
    let model = write(at(View::Routes), "/5xx>1");
    assert_eq!(model.count(), Some((1, 9)));
    let kept = press(model.clone(), &[Key::Enter]);
    assert!(shown(&kept).contains("filter 5xx>1"));
    assert_eq!(press(model, &[Key::Esc]).count(), Some((9, 9)));
    assert_eq!(press(kept.clone(), &[Key::Esc]).count(), Some((9, 9)));
    // It is written further.
    let further = press(write(kept, "/0000"), &[Key::Enter]);
    assert_eq!(further.count(), Some((0, 9)));
}

#[test]
fn while_a_filter_is_wrong_what_was_right_holds() {
    let model = write(at(View::Routes), "/shop rps>much");
    let told = shown(&model);
    assert!(told.contains("\"much\" is no number"), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    let written = lines.iter().position(|line| line.contains("/ shop rps>much")).unwrap();
    let caret = lines[written + 1].find('^').unwrap();
    assert_eq!(caret, lines[written].find("rps>much").unwrap());
    let refused = press(model, &[Key::Enter]);
    assert!(shown(&refused).contains("the filter is wrong; Esc drops it"));
    let right = press(refused, &[Key::Backspace; 9]);
    assert_eq!(press(right, &[Key::Enter]).count(), Some((3, 9)));
}

#[test]
fn a_question_mark_explains_only_where_a_term_could_begin() {
    let asked = |text: &str| shown(&write(at(View::Routes), text)).contains("Terms stand between");
    assert!(asked("/?") && asked("/shop ?"));
    assert!(!asked("/sho?"));
    assert_eq!(write(at(View::Routes), "/sho?p").count(), Some((3, 9)));
    let back = press(write(at(View::Routes), "/?"), &[Key::Esc]);
    assert_eq!(write(back, "shop").count(), Some((3, 9)));
}

#[test]
fn each_tab_keeps_its_filter_and_order() {
    let model = press(write(at(View::Routes), "/shop"), &[Key::Enter, Key::Char('>')]);
    let back = write(write(model, "2"), "1");
    assert_eq!(back.count(), Some((3, 9)));
    assert!(shown(&back).contains("filter shop"));
}

#[test]
fn faults_only_is_of_all_views() {
    let model = write(at(View::Routes), "!");
    assert_eq!(model.count(), Some((5, 9)));
    let certificates = write(model, "5");
    assert_eq!(certificates.count(), Some((2, 3)));
    assert_eq!(write(write(certificates, "!"), "1").count(), Some((9, 9)));
}

#[test]
fn the_row_that_was_chosen_stays_so_wherever_it_goes() {
    let by_rps = View::Routes.column("rps").map(|column| (column, true));
    let model = see(Model::new(Options { sort: by_rps, ..options() }), many(2_000, 0));
    // Until one is chosen, it is the first, whichever that is.
    let first = selected(&model);
    let later = see(model.clone(), many(2_000, 1));
    assert_ne!(selected(&later), first);
    assert!(shown(&later).contains("row 1 of 2000"));
    let chosen = press(model, &[Key::Down]);
    let key = selected(&chosen);
    for seconds in 1..20 {
        let later = see(chosen.clone(), many(2_000, seconds));
        assert_eq!(selected(&later), key);
        let marked = shown(&later).lines().any(|line| {
            line.starts_with(" >") && line.contains(key.split([':', '/']).nth(1).unwrap())
        });
        assert!(marked, "after {seconds}s");
    }
}

#[test]
fn what_was_chosen_and_is_gone_leaves_its_place_to_another() {
    let model = press(at(View::Routes), &[Key::Down; 5]);
    let mut fewer = rich();
    fewer.routes.remove(5);
    let model = see(model, fewer);
    assert_eq!(selected(&model), "demo/shop:/api");
    let mut none = rich();
    none.routes.clear();
    let model = see(model, none);
    assert_eq!(selected(&model), "");
    // It comes back if the row does.
    assert_eq!(selected(&see(model, rich())), "demo/shop:/api");
}

#[test]
fn what_is_described_is_followed_and_kept_when_it_is_gone() {
    let detail = press(at(View::Routes), &[Key::End, Key::Char('d')]);
    let mut other = rich();
    other.routes.reverse();
    other.routes[0].hosts = vec!["new.example.com".into()];
    let detail = see(detail, other);
    assert!(shown(&detail).contains("new.example.com"));
    let gone = see(detail, many(3, 1));
    let told = shown(&gone);
    assert!(told.contains("it is not there any more") && told.contains("new.example.com"));
    let back = see(gone, rich());
    assert!(!shown(&back).contains("it is not there any more"));
}

#[test]
fn what_is_frozen_changes_only_when_it_goes_on() {
    let frozen = press(at(View::Routes), &[Key::Char(' ')]);
    let model = hear(see(frozen, many(3, 12)), Event::Tick(NOW + 12_000));
    assert!(model.is_frozen());
    assert_eq!(model.count(), Some((9, 9)));
    assert!(shown(&model).contains("frozen for 12s; newer numbers wait: space goes on"));
    let on = press(model, &[Key::Char('f')]);
    assert_eq!(on.count(), Some((3, 3)));
    assert!(!shown(&on).contains("frozen"));
}

#[test]
fn nothing_is_frozen_before_there_is_something() {
    let model = press(Model::new(options()), &[Key::Char(' ')]);
    assert_eq!(see(model, rich()).count(), Some((9, 9)));
}

#[test]
fn keys_go_through_rows_and_pages_and_stop_at_the_ends() {
    let model = showing(many(100, 0));
    let row = |model: &Model| {
        let shown = show(model, COLOR, (80, 24));
        let (_, rest) = shown.split_once(" row ").unwrap();
        rest.split_once(' ').unwrap().0.parse::<usize>().unwrap()
    };
    // 24 rows are header, tabs, heading, status, footer and 19 of the table.
    for (keys, expected) in [
        (vec![Key::Up], 1),
        (vec![Key::Down, Key::Char('j')], 3),
        (vec![Key::PageDown], 20),
        (vec![Key::PageDown, Key::Ctrl('u')], 10),
        (vec![Key::Ctrl('d')], 11),
        (vec![Key::End, Key::Down], 100),
        (vec![Key::Char('G'), Key::PageUp, Key::Char('k')], 80),
        (vec![Key::End, Key::Char('g')], 1),
        (vec![Key::End, Key::Home], 1),
    ] {
        assert_eq!(row(&press(model.clone(), &keys)), expected, "{keys:?}");
    }
}

#[test]
fn what_is_told_is_on_the_line_below_the_page() {
    let model = hear(at(View::Routes), Event::Notice("a\u{1b}[2Jb".to_owned(), Tone::Bad));
    assert!(shown(&model).contains("✗ a [2Jb"));
}

#[test]
fn of_warnings_that_became_fewer_the_last_one_is_chosen() {
    let model = press(write(at(View::Routes), "W"), &[Key::End]);
    let mut fewer = rich();
    fewer.warnings.truncate(2);
    let model = press(see(model, fewer), &[Key::Enter]);
    assert_eq!(selected(&model), "demo/shop:/api");
}
