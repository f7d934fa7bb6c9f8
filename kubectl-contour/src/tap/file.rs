//! Follows a file that is written to, and that another takes the place of when it has grown.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The longest line that is kept until it ends.
const MAX_BYTES: usize = 1_024 * 1_024;
/// How much is read at a time.
const CHUNK: u64 = 256 * 1_024;

/// See the module.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    rest: Vec<u8>,
}

impl Tail {
    /// Follows from the end of what is there now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn from_end(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file: Some(file), rest: Vec::new() })
    }

    /// The lines that were added, at most as many as fit in some memory; `None` once the file is gone
    /// and read to its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Vec<String>>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        // Whatever was there before the look is read before the next file is.
        let there = std::fs::metadata(&self.path);
        let mut added = Vec::new();
        file.take(CHUNK).read_to_end(&mut added)?;
        if added.is_empty() {
            let here = file.metadata()?;
            match there {
                Ok(there) if is_same(&there, &here) => {}
                Ok(_) => self.file = Some(File::open(&self.path)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.file = None,
                Err(error) => return Err(error),
            }
        }
        self.rest.extend_from_slice(&added);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        if self.rest.len() > MAX_BYTES {
            self.rest.clear();
        }
        let text = String::from_utf8_lossy(&whole);
        Ok(Some(text.lines().map(str::to_owned).collect()))
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn no_line_is_lost_when_another_file_takes_the_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let mut file = File::create(&path).unwrap();
        writeln!(file, "before").unwrap();
        let mut tail = Tail::from_end(&path).unwrap();
        write!(file, "a\nhal").unwrap();
        assert_eq!(tail.read().unwrap().unwrap(), ["a"]);
        writeln!(file, "f").unwrap();
        std::fs::rename(&path, directory.path().join("access.log.1")).unwrap();
        writeln!(file, "late").unwrap();
        std::fs::write(&path, "new\n").unwrap();
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.extend(tail.read().unwrap().unwrap());
        }
        assert_eq!(lines, ["half", "late", "new"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(tail.read().unwrap(), Some(Vec::new()));
        assert_eq!(tail.read().unwrap(), None);
    }
}
