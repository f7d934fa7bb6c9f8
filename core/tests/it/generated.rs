//! Files of the repository that are generated from the code.

use std::path::Path;

/// Set to write generated files instead of comparing them.
const UPDATE: &str = "CONTOUR_UPDATE_DOCS";

/// Compares a file, named from the root of the repository, with what it is generated to, or
/// writes it.
#[expect(clippy::disallowed_methods, reason = "a test of files, not the core itself")]
pub(crate) fn check(file: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, want).expect("the repository is writable");
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == want,
        "{file} is out of date: run `{UPDATE}=1 cargo test -p contour-core --test it`"
    );
}
