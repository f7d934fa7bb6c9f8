//! A note beside the files of a running sandbox, by which `shift` finds its controller.

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
    /// Writes where the controller answers `/debug`.
    ///
    /// # Errors
    /// If the directory cannot be written to.
    pub fn write(directory: &Path, debug: SocketAddr) -> anyhow::Result<Self> {
        let path = directory.join(NAME);
        std::fs::write(&path, format!("{debug}\n"))
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
    let directory = if path.is_dir() { path } else { path.parent()? };
    std::fs::read_to_string(directory.join(NAME)).ok()?.trim().parse().ok()
}
