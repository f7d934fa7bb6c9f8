//! The repository's own files, for tests about them.

use std::path::{Path, PathBuf};

/// Directories that are not part of the repository.
const FOREIGN: &[&str] = &["target", "node_modules"];

/// Every Rust file below a directory, with its text, in order.
pub fn rust_files(root: &Path) -> Vec<(PathBuf, String)> {
    files(root, &["rs"])
}

/// Every text file below a directory, with its text, in order.
pub fn text_files(root: &Path) -> Vec<(PathBuf, String)> {
    let kinds = [
        "rs", "md", "toml", "yaml", "yml", "json", "sh", "pem", "key", "crt", "lock", "Makefile",
        "run", "txt", "py", "lua",
    ];
    files(root, &kinds)
}

/// Whether a path is that of tests.
pub fn is_test(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The text of a file without the tests at its end.
pub fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]").map_or(text, |(code, _)| code)
}

fn files(root: &Path, kinds: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(root, kinds, &mut found);
    found.sort();
    found
}

fn walk(directory: &Path, kinds: &[&str], found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci";
            if !hidden && !FOREIGN.contains(&name.as_ref()) {
                walk(&path, kinds, found);
            }
        } else if kinds.contains(&name.rsplit('.').next().unwrap_or_default())
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push((path, text));
        }
    }
}
