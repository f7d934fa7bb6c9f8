//! What the documents promise about this repository.

use std::collections::BTreeSet;
use std::path::Path;

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
