//! What reviews should not have to say.

use std::path::Path;

use contour_core::diagnostic::Code;
use contour_tests::envoy::workspace;
use contour_tests::sources::{is_test, rust_files, text_files, without_tests};

/// Lines of a file of code, tests at its end left out.
const LINES: usize = 600;
/// Lines of a `lib.rs` or `main.rs`.
const ROOT_LINES: usize = 100;

#[test]
fn files_are_short_enough_to_be_read() {
    let mut long = Vec::new();
    for (path, text) in rust_files(&workspace()) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap();
        let root = name == "lib.rs" || name == "main.rs";
        let limit = if root { ROOT_LINES } else { LINES };
        let lines = without_tests(&text).lines().count();
        if lines > limit && !is_test(&path) {
            long.push(format!("{}: {lines} lines of {limit}", path.display()));
        }
    }
    assert_eq!(long, Vec::<String>::new());
}

/// Asserts that no line of a file with code holds one of `words`, written here in halves so that
/// this file does not.
fn assert_absent(words: &[(&str, &str)]) {
    let mut found = Vec::new();
    for (path, text) in rust_files(&workspace()) {
        for (line, number) in text.lines().zip(1..) {
            for (first, second) in words {
                let word = format!("{first}{second}");
                if line.contains(&word) {
                    found.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn nothing_is_left_unfinished() {
    assert_absent(&[("todo", "!("), ("unimplemented", "!("), ("dbg", "!(")]);
}

#[test]
fn no_test_is_left_out() {
    assert_absent(&[("#[", "ignore"), ("#[", "should_panic")]);
}

#[test]
fn lints_are_expected_with_a_reason_instead_of_allowed() {
    assert_absent(&[("#[", "allow("), ("#![", "allow(")]);
}

#[test]
fn modules_are_named_for_what_they_do() {
    for (path, _) in rust_files(&workspace()) {
        for part in &path {
            let name = part.to_string_lossy();
            let stem = name.trim_end_matches(".rs");
            assert!(
                !["util", "utils", "helper", "helpers", "manager", "common", "mod", "misc"]
                    .contains(&stem),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let roots = ["root", "tmp", "work", "home"].map(|r| format!("/{r}/"));
    let mut found = Vec::new();
    for (path, text) in text_files(&workspace()) {
        for (line, number) in text.lines().zip(1..) {
            for root in &roots {
                let mut rest = line;
                while let Some(at) = rest.find(root.as_str()) {
                    let (before, after) = rest.split_at(at);
                    // A path begins after something that is no part of one.
                    if !before.ends_with(|c: char| c.is_alphanumeric() || "._-}/*".contains(c)) {
                        found.push(format!("{}:{number}: {}", path.display(), line.trim()));
                    }
                    rest = after.get(root.len()..).unwrap_or_default();
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_diagnostic_code_is_documented() {
    let path = workspace().join("docs/diagnostics.md");
    let text = std::fs::read_to_string(&path).expect("docs/diagnostics.md exists");
    for code in Code::ALL {
        assert!(text.contains(code.as_str()), "{code} is not in {}", path.display());
    }
}

#[test]
fn fixtures_are_used() {
    let directory = workspace().join("tests/fixtures");
    let sources: String = ["tests/src", "tests/tests"]
        .iter()
        .flat_map(|dir| rust_files(&workspace().join(dir)))
        .map(|(_, text)| text)
        .collect();
    for (path, _) in text_files(&directory) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap();
        let documents = Path::new(name).extension().is_some_and(|e| e == "md");
        assert!(documents || sources.contains(name), "{} is not used", path.display());
    }
}

/// `SECURITY.md` names tests as code, and behind them the file that they are in, also as code.
#[test]
fn every_test_that_the_security_policy_names_exists() {
    let root = workspace();
    let policy = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut tests = Vec::new();
    let (mut found, mut missing) = (0, Vec::new());
    for code in policy.split('`').skip(1).step_by(2) {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if Path::new(code).extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root.join(code)).unwrap_or_default();
            for test in tests.drain(..) {
                let is_there = text.contains(&format!("fn {test}("));
                if is_there { found += 1 } else { missing.push(format!("{test} in {code}")) }
            }
        } else if code.contains('_') && code.chars().all(is_name) {
            tests.push(code);
        }
    }
    missing.extend(tests.into_iter().map(|test| format!("{test}, in no file")));
    assert_eq!(missing, Vec::<String>::new());
    assert!(found > 20, "the policy names {found} tests");
}
