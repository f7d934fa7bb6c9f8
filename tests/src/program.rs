//! The programs of the workspace, as processes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::envoy::workspace;

/// The binary `contour`, built as these tests are.
///
/// # Panics
/// If it cannot be built.
pub fn contour() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("contour", "contour")).clone()
}

/// Only the tests of its own package are told where a binary is; others have to build it.
fn build(package: &str, binary: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", package, "--bin", binary]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.current_dir(workspace()).status().expect("cargo runs");
    assert!(status.success(), "{binary} cannot be built");
    let test = std::env::current_exe().expect("a test knows its own path");
    let found = test.ancestors().map(|dir| dir.join(binary)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{binary} is not beside {}", test.display()))
}
