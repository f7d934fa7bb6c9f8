//! What a path leads to.

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why) => f.write_str(why),
            Self::TooLarge(bytes) => write!(f, "it has {bytes} bytes, which is more than is read"),
            Self::NotText(offset) => write!(f, "it is not UTF-8 text from byte {offset} on"),
        }
    }
}

impl Signature {
    /// How long ago the file was written to; `None` if it says that it is from the future.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = self.modified;
        let since = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        now.duration_since(UNIX_EPOCH + since).ok()
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Which directory a path leads to: a directory that is removed and made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

/// The identity of the directory at `path`, symbolic links followed.
///
/// # Errors
/// If nothing is there, or no directory, or the system says no.
pub fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        Ok(Identity(metadata.dev(), metadata.ino()))
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// What a path was found to be.
#[derive(Debug)]
pub enum Reading {
    /// Nothing is there.
    Missing,
    /// A directory.
    Directory,
    /// A file whose content was not read, and why.
    Refused(Signature, Refusal),
    /// A file, read.
    Text(Signature, String),
}

/// Why a file was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The system says no.
    Unreadable(String),
    /// It has this many bytes, which is too many.
    TooLarge(u64),
    /// It is not UTF-8 from this byte on.
    NotText(usize),
}

/// Reads the file at `path` unless it is larger than `limit` bytes. Never blocks on what is no
/// regular file.
pub fn read(path: &Path, limit: usize) -> Reading {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The name is there, so whoever made it means something by it.
            let dangles = Refusal::Unreadable("it is a symbolic link to nothing".to_owned());
            return if is_link(path) {
                Reading::Refused(nowhere(), dangles)
            } else {
                Reading::Missing
            };
        }
        Err(error) => return Reading::Refused(nowhere(), unreadable(&error)),
    };
    if metadata.is_dir() {
        return Reading::Directory;
    }
    let signature = Signature::of(&metadata);
    // A pipe would block the reader for ever, a device might never end.
    if !metadata.is_file() {
        let refusal = Refusal::Unreadable("it is not a regular file".to_owned());
        return Reading::Refused(signature, refusal);
    }
    if metadata.size() > limit as u64 {
        return Reading::Refused(signature, Refusal::TooLarge(metadata.size()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or(0) + 1);
    let outcome =
        fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Reading::Missing,
        Err(error) => Reading::Refused(signature, unreadable(&error)),
        Ok(count) if count > limit => Reading::Refused(signature, Refusal::TooLarge(count as u64)),
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => Reading::Text(signature, text),
            Err(error) => {
                Reading::Refused(signature, Refusal::NotText(error.utf8_error().valid_up_to()))
            }
        },
    }
}

/// The signature of what is at `path`, if it can be had.
pub fn signature(path: &Path) -> Option<Signature> {
    fs::metadata(path).ok().map(|metadata| Signature::of(&metadata))
}

fn nowhere() -> Signature {
    Signature { device: 0, inode: 0, size: 0, modified: (0, 0), changed: (0, 0) }
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::Unreadable(error.to_string())
}

/// Whether the name at `path` is that of a symbolic link.
pub fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Whether the file at `path` is complete as soon as its name appears: a symbolic link, or a
/// further hard link. A file that was just created will be written and closed.
pub fn appears_whole(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink() || (m.is_file() && m.nlink() > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_regular_text_file_of_bounded_size_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        assert!(matches!(read(&path, 10), Reading::Missing));
        assert!(matches!(read(dir.path(), 10), Reading::Directory));
        fs::write(&path, "12345678901").unwrap();
        assert!(matches!(read(&path, 10), Reading::Refused(_, Refusal::TooLarge(11))));
        fs::write(&path, b"abc\xff").unwrap();
        assert!(matches!(read(&path, 10), Reading::Refused(_, Refusal::NotText(3))));
        fs::write(&path, "abc").unwrap();
        assert!(matches!(read(&path, 10), Reading::Text(_, text) if text == "abc"));
        assert!(matches!(
            read(Path::new("/dev/null"), 10),
            Reading::Refused(_, Refusal::Unreadable(_))
        ));
    }
}
