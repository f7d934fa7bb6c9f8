//! A file replaced by another text at once, if it is as it was.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use super::catalog::text;

/// What a file is called before it has its place: hidden, so that no source reads it.
const PREFIX: &str = ".contour-shift.";

/// How long another process may take that replaces a file in the same directory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a file was not replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// It is as it was, for this reason.
    Refused(String),
    /// It was replaced, but that may be undone if the machine stops now.
    Unknown,
}

/// Replaces the text of a file by what `edit` makes of it, and returns that; `None`, and nothing
/// is done, if `edit` returns nothing or the file changes meanwhile. Of several processes that do
/// this in one directory, one does it at a time. A symbolic link stays, and what it leads to is
/// replaced.
pub(super) fn replace(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<Option<String>, String>,
) -> Result<Option<String>, Error> {
    let cannot = |what: &str, error: &io::Error| Error::Refused(format!("{what}: {error}"));
    let target = path.canonicalize().map_err(|e| cannot("the file is gone", &e))?;
    let directory = target.parent().unwrap_or_else(|| Path::new("/"));
    let guard = guard(directory).map_err(|e| cannot("the directory cannot be locked", &e))?;
    let before = text(&target).map_err(|e| cannot("the file cannot be read", &e))?;
    let Some(after) = edit(&before).map_err(Error::Refused)? else {
        return Ok(None);
    };
    if after == before {
        return Ok(Some(after));
    }
    let written = (|| {
        let metadata = fs::metadata(&target)?;
        let mut file =
            tempfile::Builder::new().prefix(PREFIX).suffix(".tmp").tempfile_in(directory)?;
        file.write_all(after.as_bytes())?;
        keep(file.as_file(), &metadata)?;
        file.as_file().sync_all()?;
        Ok(file)
    })();
    let written = written.map_err(|e| cannot("the directory cannot be written", &e))?;
    if text(&target).map_err(|e| cannot("the file cannot be read", &e))? != before {
        return Ok(None);
    }
    written.persist(&target).map_err(|e| cannot("the file cannot be replaced", &e.error))?;
    guard.sync_all().map_err(|_error| Error::Unknown)?;
    Ok(Some(after))
}

/// The directory, locked for those who heed it until it is closed or the process ends.
fn guard(directory: &Path) -> io::Result<File> {
    let guard = File::open(directory)?;
    let until = Instant::now() + PATIENCE;
    loop {
        match guard.try_lock() {
            Ok(()) => return Ok(guard),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives a file the permissions of another one, and its owner where that is allowed.
fn keep(file: &File, of: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (of.uid(), of.gid()) {
        match fchown(file, Some(of.uid()), Some(of.gid())) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    // After the owner, of which a change may take permissions away.
    file.set_permissions(of.permissions())
}
