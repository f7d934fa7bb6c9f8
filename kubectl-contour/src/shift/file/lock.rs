//! Who shifts a route that stands in a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contour_core::name::ObjectName;
use contour_core::shift::Note;

use super::label;
use crate::failure::{Failure, Kind};

/// Somebody may take the file away between two steps; more often than this nobody does.
const ATTEMPTS: usize = 100;

/// The right to shift a route, as long as it is kept. It ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Locked as long as it is open.
    _file: File,
}

/// Why a route cannot be locked.
#[derive(Clone, Debug)]
pub enum LockError {
    /// Another process has it: the name that it gave, or nothing if that cannot be read.
    Held(Note),
    /// It cannot be tried.
    Failed(Failure),
}

impl Lock {
    /// Takes the lock of a route beside its file, under a hidden name that no source reads.
    pub(super) fn take(file: &Path, route: &ObjectName, holder: &Note) -> Result<Self, LockError> {
        let failed = |error: io::Error| {
            let message = format!("{} cannot be locked beside it: {error}", file.display());
            LockError::Failed(Failure::new(Kind::Error, message))
        };
        let target = file.canonicalize().map_err(failed)?;
        let directory = target.parent().unwrap_or_else(|| Path::new("/"));
        let path = directory.join(format!(".contour-shift.{}.lock", label(route, '.', 200)));
        for _ in 0..ATTEMPTS {
            let mut options = OpenOptions::new();
            let mut file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(name(&mut file))),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            if is_at(&file, &path) {
                let written =
                    file.set_len(0).and_then(|()| file.write_all(holder.as_str().as_bytes()));
                let lock = Self { path, _file: file };
                return written.map(|()| lock).map_err(failed);
            }
        }
        Err(failed(io::Error::other("it is removed again and again")))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked, so that nobody has it yet. One that stays locks nothing.
        drop(fs::remove_file(&self.path));
    }
}

/// Whether a file still is the one of that name: whoever had it may have removed it.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

fn name(file: &mut File) -> Note {
    let mut text = Vec::new();
    // Who it is serves the message alone.
    drop(file.take(4 * Note::MAX as u64).read_to_end(&mut text));
    Note::new(&String::from_utf8_lossy(&text))
}
