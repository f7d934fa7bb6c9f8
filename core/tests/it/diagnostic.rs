//! Diagnostics as people and programs see them.

use contour_core::diagnostic::{Code, Diagnostic, Location, Style, escape, json, markdown, render};
use contour_core::manifest::{Limits, read};
use contour_core::name::{FieldPath, Kind, ObjectRef};
use insta::assert_snapshot;
use proptest::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "what takes it takes no place, too")]
fn at(line: u32, column: u32, length: u32) -> Option<Location> {
    Some(Location { file: "shop.yaml".into(), line, column, length })
}

fn service_not_found(location: Option<Location>) -> Diagnostic {
    let object = ObjectRef::new(Kind::IngressRoute, "demo", "shop");
    let field = FieldPath::of(".spec.routes[0].services[1].name");
    let message = "service \"blue\" does not exist in namespace \"demo\"";
    let mut diagnostic = Diagnostic::new(Code::ServiceNotFound, &object, field, message);
    diagnostic.location = location;
    diagnostic
}

const SOURCE: &str =
    "spec:\n  routes:\n    - match: /\n      services:\n        - name: blue # here\n";

#[test]
fn a_diagnostic_shows_its_line_with_a_caret_below() {
    let diagnostic = service_not_found(at(5, 17, 4));
    assert_snapshot!(render(&diagnostic, Some(SOURCE), Style::Plain), @r#"
    error[CTR301]: service "blue" does not exist in namespace "demo"
     --> shop.yaml:5:17 (IngressRoute demo/shop .spec.routes[0].services[1].name)
      |
    5 |         - name: blue # here
      |                 ^^^^
      = help: Create the Service, or correct its name.
    "#);
}

#[test]
fn the_hint_of_a_diagnostic_wins_over_the_remedy_of_its_code() {
    let diagnostic = service_not_found(at(5, 17, 4)).with_hint("Did you mean `green`?");
    let text = render(&diagnostic, Some(SOURCE), Style::Plain);
    assert!(text.ends_with("\n  = help: Did you mean `green`?"), "{text}");
}

#[test]
fn the_frame_grows_with_the_number_of_the_line() {
    let source = format!("{}bad: [", "#\n".repeat(11));
    let manifest = read("-", &source, Limits::default());
    assert_snapshot!(render(&manifest.diagnostics[0], Some(&source), Style::Plain), @r"
    error[CTR001]: the text cannot be read on: unclosed bracket '['
      --> -:12:6
       |
    12 | bad: [
       |      ^
       = help: Mend the text at the place shown; until then the last good form of the file stays in force.
    ");
}

#[test]
fn without_source_or_place_the_form_is_compact() {
    assert_snapshot!(render(&service_not_found(at(5, 17, 4)), None, Style::Plain), @r#"
    error[CTR301]: service "blue" does not exist in namespace "demo"
     --> shop.yaml:5:17 (IngressRoute demo/shop .spec.routes[0].services[1].name)
      = help: Create the Service, or correct its name.
    "#);
    assert_snapshot!(render(&service_not_found(None), Some(SOURCE), Style::Plain), @r#"
    error[CTR301]: service "blue" does not exist in namespace "demo"
     --> IngressRoute demo/shop .spec.routes[0].services[1].name
      = help: Create the Service, or correct its name.
    "#);
    // The file has changed since.
    let stale = render(&service_not_found(at(50, 17, 4)), Some(SOURCE), Style::Plain);
    assert!(!stale.contains('|'), "{stale}");
}

#[test]
fn colours_are_ansi_sequences_around_the_same_text() {
    let diagnostic = service_not_found(at(5, 17, 4));
    let coloured = render(&diagnostic, Some(SOURCE), Style::Colour);
    assert_snapshot!(coloured.replace('\u{1b}', "␛"), @r#"
    ␛[1;31merror[CTR301]␛[0m␛[1m: service "blue" does not exist in namespace "demo"␛[0m
     ␛[1;34m-->␛[0m shop.yaml:5:17 (IngressRoute demo/shop .spec.routes[0].services[1].name)
      ␛[1;34m|␛[0m
    ␛[1;34m5␛[0m ␛[1;34m|␛[0m         - name: blue # here
      ␛[1;34m|␛[0m                 ␛[1;31m^^^^␛[0m
      ␛[1;34m=␛[0m help: Create the Service, or correct its name.
    "#);
    assert_eq!(strip(&coloured), render(&diagnostic, Some(SOURCE), Style::Plain));
}

/// The text without our own colours.
fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split("\u{1b}[");
    out.push_str(pieces.next().expect("a split has a first piece"));
    for piece in pieces {
        let (code, rest) = piece.split_once('m').expect("a colour ends with m");
        assert!(["0", "1", "1;31", "1;33", "1;34", "1;36"].contains(&code), "{code}");
        out.push_str(rest);
    }
    out
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let mut diagnostic = service_not_found(at(1, 8, 3));
    diagnostic.message =
        "bell \u{7} and \u{1b}[2J and \u{202e}right to left\nsecond line".to_owned();
    diagnostic.hint = Some("csi \u{9b}31m".to_owned());
    diagnostic.field = FieldPath::root().field("a\u{1b}]0;title\u{7}");
    let source = "name: \u{1b}abc\u{202e} \u{200b}x\u{2066}\n";
    assert_snapshot!(render(&diagnostic, Some(source), Style::Plain), @r#"
    error[CTR301]: bell \u{7} and \u{1b}[2J and \u{202e}right to left\nsecond line
     --> shop.yaml:1:8 (IngressRoute demo/shop ["a\u{1b}]0;title\u{7}"])
      |
    1 | name: \u{1b}abc\u{202e} \u{200b}x\u{2066}
      |             ^^^
      = help: csi \u{9b}31m
    "#);
    assert_eq!(escape("plain é 😀"), "plain é 😀");
    assert_eq!(escape("\t\r\n\0\u{feff}"), "\\t\\r\\n\\u{0}\\u{feff}");
}

#[test]
fn a_very_long_line_is_cut_around_the_caret() {
    let source = format!(
        "{{\"a\": \"{}\", \"port\": 70000, \"b\": \"{}\"}}",
        "x".repeat(500),
        "y".repeat(500)
    );
    let column = source.find("70000").expect("it is there") + 1;
    let column = u32::try_from(column).expect("it is small");
    assert_snapshot!(render(&service_not_found(at(1, column, 5)), Some(&source), Style::Plain), @r#"
    error[CTR301]: service "blue" does not exist in namespace "demo"
     --> shop.yaml:1:519 (IngressRoute demo/shop .spec.routes[0].services[1].name)
      |
    1 | …xxxxxxxxxxxxxxxxxxxxxx", "port": 70000, "b": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
      |                                   ^^^^^
      = help: Create the Service, or correct its name.
    "#);
}

#[test]
fn carets_stand_below_wide_characters_and_tabs() {
    let source = "\tname: 漢字 e\u{301}x # 😀\n";
    let text = render(&service_not_found(at(1, 8, 2)), Some(source), Style::Plain);
    let lines: Vec<_> = text.lines().skip(3).take(2).collect();
    assert_eq!(lines, ["1 |     name: 漢字 e\u{301}x # 😀", "  |           ^^^^"]);
}

#[test]
fn lines_of_a_secret_are_never_shown() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: [hunter2]\n";
    let broken = format!("{secret}stringData: {{a: hunter2");
    let one_line = "{\"kind\" : \"Secret\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"s\"}, \"data\": [\"hunter2\"]}";
    for source in [secret, &broken, one_line] {
        let manifest = read("f.yaml", source, Limits::default());
        let mut shown = 0;
        for diagnostic in manifest
            .diagnostics
            .iter()
            .chain(manifest.documents.iter().flat_map(|d| &d.diagnostics))
        {
            let text = render(diagnostic, Some(source), Style::Plain);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(!json(diagnostic).to_string().contains("hunter2"));
            shown += 1;
        }
        assert!(shown > 0, "{source}");
    }
}

#[test]
fn json_has_stable_keys() {
    let diagnostic = service_not_found(at(5, 17, 4));
    assert_snapshot!(format!("{:#}", json(&diagnostic)), @r#"
    {
      "code": "CTR301",
      "reason": "ServiceNotFound",
      "severity": "error",
      "object": {
        "kind": "IngressRoute",
        "namespace": "demo",
        "name": "shop"
      },
      "field": ".spec.routes[0].services[1].name",
      "message": "service \"blue\" does not exist in namespace \"demo\"",
      "remedy": "Create the Service, or correct its name.",
      "location": {
        "file": "shop.yaml",
        "line": 5,
        "column": 17,
        "length": 4
      }
    }
    "#);
    let mut bare = service_not_found(None);
    bare.object = None;
    assert!(json(&bare)["object"].is_null() && json(&bare)["location"].is_null());
}

#[test]
fn the_document_of_diagnostics_is_generated_and_complete() {
    let text = markdown();
    for code in Code::ALL {
        for needle in
            [format!("\n### {code}\n"), format!("| [{code}](#{}) |", code.as_str().to_lowercase())]
        {
            assert_eq!(text.matches(&needle).count(), 1, "{needle}");
        }
    }
    crate::generated::check("docs/diagnostics.md", &text);
}

proptest! {
    #[test]
    fn rendering_never_fails_and_lets_nothing_through(
        source in any::<String>(),
        message in any::<String>(),
        (line, column, length) in (0_u32..5, 0_u32..300, any::<u32>()),
    ) {
        let mut diagnostic = service_not_found(at(line, column, length));
        diagnostic.message = message;
        for source in [Some(source.as_str()), None] {
            let text = strip(&render(&diagnostic, source, Style::Colour));
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
            prop_assert!(text.lines().count() <= 6);
        }
    }
}
