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
    BUILT.get_or_init(|| build("contour")).clone()
}

/// The binary `kubectl-contour`, built as these tests are.
///
/// # Panics
/// If it cannot be built.
pub fn plugin() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("kubectl-contour")).clone()
}

/// The binary `backend` of this crate.
///
/// # Panics
/// If it cannot be built.
pub fn backend() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("backend")).clone()
}

/// Only the tests of its own package are told where a binary is; others have to build it.
fn build(binary: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // With the features that the whole workspace asks for, as `make test` has built it already.
    build.args(["build", "--quiet", "--workspace", "--bin", binary]);
    // What cargo tells this test of its package is no news of another one: some build scripts run
    // again for it, and all that depends on them is compiled anew, here and by the next cargo.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(name);
        }
    }
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.current_dir(workspace()).status().expect("cargo runs");
    assert!(status.success(), "{binary} cannot be built");
    let test = std::env::current_exe().expect("a test knows its own path");
    let found = test.ancestors().map(|dir| dir.join(binary)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{binary} is not beside {}", test.display()))
}
