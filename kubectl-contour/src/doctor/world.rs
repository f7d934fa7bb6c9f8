//! What there is on PATH.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::completion;

/// All that is judged.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The directories of PATH, in its order.
    pub directories: Vec<Directory>,
    /// The commands of the plugin, as file names behind `kubectl-contour-`.
    pub commands: Vec<String>,
    /// This program, links followed.
    pub program: PathBuf,
    /// What kubectl says of itself.
    pub kubectl: Kubectl,
}

/// A directory of PATH.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// What there is in it that concerns us, by name.
    pub files: Vec<File>,
}

/// A file in a directory of PATH.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Whether it can be run.
    pub executable: bool,
    /// What it is, links followed.
    pub real: PathBuf,
    /// Whether this program made it.
    pub ours: bool,
}

/// What kubectl says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kubectl {
    /// There is none.
    #[default]
    Missing,
    /// It does not say its version.
    Unclear(String),
    /// Its version: major, minor, and all of it.
    Version(u32, u32, String),
}

impl World {
    /// That of this process.
    pub fn of_process(commands: Vec<String>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::env::current_exe().unwrap_or_default();
        let mut directories: Vec<Directory> = Vec::new();
        for directory in std::env::split_paths(&path) {
            // Named twice it is still one.
            if !directories.iter().any(|known| known.path == directory) {
                directories.push(read(&directory));
            }
        }
        Self {
            directories,
            commands,
            program: std::fs::canonicalize(&own).unwrap_or(own),
            kubectl: kubectl(),
        }
    }
}

fn read(directory: &Path) -> Directory {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("kubectl-contour") && name != completion::EXECUTABLE {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            continue;
        }
        // Programs are not read: none is a script of ours.
        let small = std::fs::metadata(&path).is_ok_and(|data| data.len() < 10_000);
        let content = if small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        files.push(File {
            executable: is_executable(&path),
            ours: completion::is_ours(&String::from_utf8_lossy(&content)),
            real: std::fs::canonicalize(&path).unwrap_or(path),
            name,
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Directory { path: directory.to_path_buf(), files }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

fn kubectl() -> Kubectl {
    let asked = Command::new("kubectl")
        .args(["version", "--client", "-o", "json"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kubectl::Missing,
        Err(error) => Kubectl::Unclear(format!("it cannot be run: {error}")),
        Ok(output) => version(&output.stdout),
    }
}

/// Reads what `kubectl version --client -o json` says.
fn version(said: &[u8]) -> Kubectl {
    let said: Value = serde_json::from_slice(said).unwrap_or_default();
    let text = |name: &str| said.pointer(&format!("/clientVersion/{name}")).and_then(Value::as_str);
    // Some who build it write 32+.
    let number = |name: &str| text(name)?.trim_end_matches('+').parse().ok();
    match (number("major"), number("minor"), text("gitVersion")) {
        (Some(major), Some(minor), Some(all)) => Kubectl::Version(major, minor, all.to_owned()),
        _ => Kubectl::Unclear("its `version --client -o json` says no version".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        let said =
            br#"{"clientVersion": {"major": "1", "minor": "32+", "gitVersion": "v1.32.4-gke"}}"#;
        assert_eq!(version(said), Kubectl::Version(1, 32, "v1.32.4-gke".into()));
        assert!(matches!(version(b"Client Version: v1.20"), Kubectl::Unclear(_)));
        assert!(matches!(version(b"{}"), Kubectl::Unclear(_)));
    }
}
