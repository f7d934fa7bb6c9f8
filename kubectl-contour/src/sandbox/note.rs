//! A note beside the files of a running sandbox, by which other commands find its
//! controller, and the access log of its Envoy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Hidden, so that no source reads it.
const NAME: &str = ".contour-sandbox";

/// The note; it goes with the sandbox. One that was left by a sandbox that was killed does no harm:
/// nobody answers there.
#[derive(Debug)]
pub struct Note(PathBuf);

impl Note {
    /// Writes where the controller answers `/debug`, and where the access log is.
    ///
    /// # Errors
    /// If the directory cannot be written to.
    pub fn write(directory: &Path, debug: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let path = directory.join(NAME);
        std::fs::write(&path, format!("{debug}\n{}\n", log.display()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // Whoever removed it before has done the same.
        drop(std::fs::remove_file(&self.0));
    }
}

/// Where the sandbox's controller answers that serves a directory, or one of its files.
pub fn read(path: &Path) -> Option<SocketAddr> {
    text(path)?.lines().next()?.trim().parse().ok()
}

/// Where the access log is of the Envoy of that sandbox.
pub fn access_log(path: &Path) -> Option<PathBuf> {
    text(path)?.lines().nth(1).map(PathBuf::from)
}

fn text(path: &Path) -> Option<String> {
    let directory = if path.is_dir() { path } else { path.parent()? };
    std::fs::read_to_string(directory.join(NAME)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_from_the_directory_and_its_files_and_goes_with_the_sandbox() {
        let directory = tempfile::tempdir().unwrap();
        let debug: SocketAddr = "127.0.0.1:6060".parse().unwrap();
        let log = Path::new("with blank/access.log");
        let note = Note::write(directory.path(), debug, log).unwrap();
        for path in [directory.path().to_owned(), directory.path().join("shop.yaml")] {
            assert_eq!(read(&path), Some(debug));
            assert_eq!(access_log(&path).as_deref(), Some(log));
        }
        drop(note);
        assert_eq!((read(directory.path()), access_log(directory.path())), (None, None));
    }
}
