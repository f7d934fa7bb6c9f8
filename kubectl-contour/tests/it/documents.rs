//! What the documents promise about this repository.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use contour_core::top::{Column, Unit, View};
use kubectl_contour::tap::args as tap;
use kubectl_contour::tap::flags::FLAGS;
use kubectl_contour::top::args as top;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_dependency_has_its_line_and_each_line_its_dependency() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let declared: BTreeSet<&str> = section
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("path = "))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    assert!(declared.len() > 20, "the section was not read: {declared:?}");
    let table = read("docs/dependencies.md");
    let explained: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| Some(line.split_once(" |")?.0))
        .filter(|name| *name != "crate")
        .collect();
    let missing: Vec<_> = declared.difference(&explained).collect();
    let left_over: Vec<_> = explained.difference(&declared).collect();
    assert!(missing.is_empty(), "docs/dependencies.md says nothing of {missing:?}");
    assert!(left_over.is_empty(), "docs/dependencies.md explains {left_over:?}, which is not used");
}

#[test]
fn each_target_that_the_readme_names_is_in_the_makefile() {
    let makefile = read("Makefile");
    let readme = read("README.md");
    let named: BTreeSet<&str> = readme
        .split("make ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next())
        .filter(|name| ["sandbox", "test", "test-long", "bench", "lint", "tools"].contains(name))
        .collect();
    assert!(named.contains("sandbox") && named.contains("test"), "{named:?}");
    for target in named {
        assert!(makefile.contains(&format!("\n{target}: ")), "no target {target}");
    }
}

#[test]
fn the_exit_codes_are_documented() {
    let document = read("docs/sandbox.md");
    for kind in kubectl_contour::failure::Kind::SANDBOX {
        assert!(document.contains(&format!("\n| {} | ", kind.code())), "{kind:?}");
    }
}

#[test]
fn each_check_has_its_section_and_each_section_its_check() {
    use kubectl_contour::check::catalog::{AHEAD, INSTALLED};
    let document = read("docs/checks.md");
    let sections: Vec<&str> = document.lines().filter_map(|l| l.strip_prefix("### ")).collect();
    let anchors: BTreeSet<&str> = AHEAD.iter().chain(INSTALLED).map(|c| c.anchor).collect();
    for anchor in &anchors {
        assert!(sections.contains(anchor), "docs/checks.md has no section {anchor}");
    }
    assert_eq!(sections.len(), anchors.len(), "{sections:?}");
    let categories: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let named = AHEAD.iter().chain(INSTALLED).map(|check| check.category.name()).collect();
    assert_eq!(categories, named);
    for check in AHEAD.iter().chain(INSTALLED) {
        let section = document.split(&format!("\n### {}\n\n", check.anchor)).nth(1).unwrap();
        let first = section.lines().next().unwrap();
        assert_eq!(first.starts_with("Fatal"), check.fatal, "{}", check.anchor);
        let waits = first.starts_with("Fatal, waits.") || first.starts_with("Waits.");
        assert_eq!(waits, check.patient, "{}", check.anchor);
    }
}

#[test]
fn the_exit_codes_of_commands_that_ask_a_cluster_are_documented() {
    use kubectl_contour::failure::Kind;
    let codes = |name: &str, kinds: &[Kind]| {
        let document = read(name);
        for kind in kinds {
            assert!(document.contains(&format!("\n| {} | ", kind.code())), "{name}: {kind:?}");
        }
    };
    let both = [Kind::Error, Kind::Usage, Kind::Findings, Kind::Cluster];
    codes("docs/checks.md", &both);
    codes("docs/status.md", &both);
    codes("docs/status.md", &[Kind::Timeout]);
}

/// A part of a document between two marks is what the code says; `CONTOUR_UPDATE_DOCS=1` writes it
/// again.
#[track_caller]
fn has_part(name: &str, mark: &str, part: &str) {
    let document = read(name);
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = document.split_once(&begin).expect("the part begins");
    let (_, after) = rest.split_once(&end).expect("the part ends");
    let expected = format!("{before}{begin}{part}{end}{after}");
    if std::env::var_os("CONTOUR_UPDATE_DOCS").is_some() {
        std::fs::write(root().join(name), &expected).unwrap();
        return;
    }
    assert_eq!(
        document, expected,
        "{name}: CONTOUR_UPDATE_DOCS=1 cargo test -p kubectl-contour documents writes it again"
    );
}

#[test]
fn the_columns_of_top_are_documented() {
    let mut part = String::new();
    for view in View::ALL {
        let head = "| column | heading | unit | says |\n|---|---|---|---|";
        writeln!(part, "### {}\n\n{head}", view.name()).unwrap();
        for column in view.columns() {
            let unit = match column.unit {
                Unit::Words => "",
                Unit::Quantity => "number",
                Unit::Percent => "percent",
                Unit::Millis => "ms",
                Unit::Bytes => "bytes",
                Unit::Seconds => "s",
            };
            let wide = if column.wide { " (wide)" } else { "" };
            let Column { name, heading, help, .. } = column;
            writeln!(part, "| `{name}` | {heading} | {unit} | {help}{wide} |").unwrap();
        }
        part.push('\n');
    }
    has_part("docs/top.md", "columns", &part);
}

#[test]
fn the_response_flags_of_tap_are_documented() {
    let lines = FLAGS.iter().map(|(flag, words)| format!("| `{flag}` | {words} |\n"));
    let part = format!("| flag | says |\n|---|---|\n{}", lines.collect::<String>());
    has_part("docs/tap.md", "flags", &part);
}

#[test]
fn the_exit_codes_of_top_and_tap_are_in_their_help_and_documents() {
    for (help, name) in [(top::CODES, "docs/top.md"), (tap::CODES, "docs/tap.md")] {
        let (_, codes) = help.split_once("Exit codes: ").expect("the help has them");
        let document = read(name);
        let documented: Vec<_> = document
            .split_once("## Exit codes")
            .expect("the document has them")
            .1
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" |")?.0.parse::<u8>().ok())
            .collect();
        let told: Vec<_> = codes
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse::<u8>().ok())
            .collect();
        assert_eq!(told, documented, "{name}");
    }
}
