//! Recordings: all that was told, a line for each.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use contour_core::top::Record;

use crate::failure::{Failure, Kind};

/// The longest line that is read.
const MAX_BYTES: u64 = 64 * 1_024 * 1_024;

/// Adds to a recording.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    path: PathBuf,
}

impl Recorder {
    /// Begins to add to a file, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
            Failure::new(Kind::Usage, format!("cannot record to {}: {error}", path.display()))
        })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<(), Failure> {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        // At once, so that what is lost with the process is at most a part of the last line.
        self.file.write_all(line.as_bytes()).map_err(|error| {
            let message = format!("cannot record to {}: {error}", self.path.display());
            Failure::new(Kind::Error, message)
        })
    }
}

/// The lines of a recording.
#[derive(Debug)]
pub struct Recording<R> {
    lines: R,
    name: String,
    number: u64,
}

impl Recording<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            Failure::new(Kind::Usage, format!("cannot read the recording {name}: {error}"))
        })?;
        Ok(Self::read(BufReader::new(file), name))
    }
}

impl<R: BufRead> Recording<R> {
    /// Reads from anywhere; the name is for messages.
    pub fn read(lines: R, name: impl Into<String>) -> Self {
        Self { lines, name: name.into(), number: 0 }
    }

    /// The next line; `None` at the end. A last line without its end is none: whoever wrote it
    /// was stopped.
    ///
    /// # Errors
    /// If it is no line of a recording.
    pub fn read_next(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let read = (&mut self.lines).take(MAX_BYTES).read_until(b'\n', &mut line);
            let wrong = |why: String| {
                let message = format!("{}:{}: {why}", self.name, self.number);
                Failure::new(Kind::Usage, message).with_hint("top --record FILE writes recordings")
            };
            let read = read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
            if line.last() != Some(&b'\n') {
                return if u64::try_from(read).unwrap_or(u64::MAX) < MAX_BYTES {
                    Ok(None)
                } else {
                    Err(wrong(format!("the line has more than {MAX_BYTES} bytes")))
                };
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let record = serde_json::from_slice(&line);
            return record
                .map(Some)
                .map_err(|error| wrong(format!("no line of a recording: {error}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use contour_core::top::Input;

    use super::*;

    fn record(unix_millis: u64) -> Record {
        Record { unix_millis, input: Input::Limits(vec!["none".into()]) }
    }

    #[test]
    fn what_was_recorded_is_read_again_and_half_a_line_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.ndjson");
        for at in [1, 2] {
            // As two runs that add to one file.
            Recorder::open(&path).unwrap().add(&record(at)).unwrap();
        }
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"\n{\"unixMillis\":3,").unwrap();
        let mut recording = Recording::open(&path).unwrap();
        assert_eq!(recording.read_next().unwrap(), Some(record(1)));
        assert_eq!(recording.read_next().unwrap(), Some(record(2)));
        assert_eq!(recording.read_next().unwrap(), None);
    }

    #[test]
    fn what_is_no_recording_is_said_with_its_line() {
        let line = serde_json::to_string(&record(1)).unwrap();
        let text = format!("{line}\n{{}}\n");
        let mut recording = Recording::read(text.as_bytes(), "r.ndjson");
        assert!(recording.read_next().unwrap().is_some());
        let failure = recording.read_next().unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.message.starts_with("r.ndjson:2: no line of a recording: "), "{failure:?}");
        let failure = Recording::open(Path::new("/nowhere")).unwrap_err();
        assert!(failure.message.contains("cannot read the recording /nowhere"), "{failure:?}");
    }
}
