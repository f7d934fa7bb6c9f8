use serde_json::json;

use super::*;
use crate::check::rules::tests::{checked, well};
use crate::check::snapshot::{Api, Snapshot};

/// One of each: well, a warning, an error, and skipped for it.
fn mixed() -> Report {
    let mut snapshot: Snapshot = well();
    snapshot.api = Ok(Api { version: "v1.34.0".to_owned(), ahead: Some(60) });
    let pods = snapshot.pods.as_mut().unwrap();
    (pods[0].ready, pods[0].why) = (false, "it says <no> & \"why\"".to_owned());
    checked(&snapshot, false)
}

#[test]
fn the_report_is_shown_to_people() {
    let plain = Palette::new(false);
    insta::assert_snapshot!("table", text(&mixed(), false, Marks::of(true), plain));
    insta::assert_snapshot!("short", text(&mixed(), true, Marks::of(false), plain));
    let well = checked(&well(), true);
    insta::assert_snapshot!("well", text(&well, false, Marks::of(true), plain));
    assert_eq!(text(&well, true, Marks::of(false), plain), "Status check results are [ok]\n");
}

#[test]
fn the_report_is_read_by_programs() {
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&mixed()).unwrap());
    insta::assert_snapshot!("junit", junit(&mixed()));
    let value = json!(checked(&well(), false));
    assert_eq!(value["success"], true);
}

#[test]
fn nothing_breaks_out_of_xml() {
    assert_eq!(escape("<a b='c'>&\"\n\u{1}"), "&lt;a b=&apos;c&apos;&gt;&amp;&quot;&#10;\u{fffd}");
}

#[test]
fn colours_go_with_signs_or_words() {
    let coloured = text(&mixed(), true, Marks::of(false), Palette::new(true));
    assert!(coloured.contains("\u{1b}[1;31m[fail]\u{1b}[0m"), "{coloured:?}");
}
