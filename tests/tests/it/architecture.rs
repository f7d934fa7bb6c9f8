//! Who may use whom: crates as in the table of docs/ARCHITECTURE.md, core's modules in the order
//! in which they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contour_tests::envoy::workspace;
use contour_tests::sources::{rust_files, without_tests};

/// Each crate of the workspace: its directory, and the others that it may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("contour-core", "core", &[]),
    ("contour-cluster", "core/cluster", &["contour-core"]),
    ("contour-files", "files", &[]),
    ("contour", "controller", &["contour-core", "contour-cluster", "contour-files"]),
    ("contour-deploy", "deploy", &[]),
    ("contour-tui", "tui", &["contour-core"]),
    (
        "kubectl-contour",
        "kubectl-contour",
        &[
            "contour-core",
            "contour-cluster",
            "contour-deploy",
            "contour-files",
            "contour-tui",
            "contour",
        ],
    ),
];

/// The only files of the plugin that may use the controller.
const SANDBOX: &str = "sandbox";

/// Core's modules in the order of its `lib.rs`; each may use those before it.
fn layers() -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join("core/src/lib.rs")).unwrap();
    let modules = text.lines().filter_map(|line| {
        let name = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?;
        name.strip_suffix(';').map(str::to_owned)
    });
    modules.collect()
}

/// The crates of the workspace that a manifest names under `[dependencies]`.
fn dependencies(manifest: &Path, names: &BTreeSet<&str>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest).expect("the crate has a manifest");
    let mut in_dependencies = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line == "[dependencies]";
        } else if in_dependencies {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if names.contains(name) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn crates_depend_only_on_what_their_place_allows() {
    let names: BTreeSet<_> = CRATES.iter().map(|c| c.0).chain(["contour-tests"]).collect();
    for (name, directory, allowed) in CRATES {
        let manifest = workspace().join(directory).join("Cargo.toml");
        for used in dependencies(&manifest, &names) {
            assert!(allowed.contains(&used.as_str()), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn every_crate_has_its_place() {
    let text = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = text
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .expect("the workspace lists its members");
    let listed: BTreeSet<_> =
        members.split('"').skip(1).step_by(2).filter(|m| *m != "tests").collect();
    let known: BTreeSet<_> = CRATES.iter().map(|c| c.1).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_plugin_uses_the_controller_in_the_sandbox_alone() {
    let source = workspace().join("kubectl-contour/src");
    for (path, text) in rust_files(&source) {
        let inside = path.to_string_lossy().contains(SANDBOX);
        let uses = text.contains("use contour::") || text.contains(" contour::");
        assert!(inside || !uses, "{} uses the controller", path.display());
    }
}

/// The modules of core that a text refers to.
fn referred(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest.split_at(end.unwrap_or(rest.len())).0
        })
        .collect()
}

#[test]
fn modules_of_core_use_only_those_before_them() {
    let root = workspace().join("core/src");
    let layers = layers();
    assert!(layers.len() >= 10, "{layers:?}");
    let level: BTreeMap<_, _> = layers.iter().map(String::as_str).zip(0..).collect();
    let mut wrong = Vec::new();
    for (path, text) in rust_files(&root) {
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let top = relative.components().next().unwrap();
        let module = top.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let Some(own) = level.get(&module) else {
            wrong.push(format!("{} has no place among the layers", relative.display()));
            continue;
        };
        for used in referred(without_tests(&text)) {
            if !used.is_empty() && level.get(&used).is_none_or(|other| other > own) {
                wrong.push(format!("{} must not use {used}", relative.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
