//! What the API server has said a moment ago, on disk: TAB is pressed more than once.
//!
//! Names and descriptions are kept, never objects. What cannot be read or written is not there.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::candidates::Candidate;
use crate::cluster::ClusterFlags;

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(5);
/// How long one is left where it is.
const KEPT: Duration = Duration::from_mins(10);

/// A place for one answer.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// What the answer is to: the first line of the file.
    question: String,
    file: PathBuf,
}

impl Place {
    /// The place for what a server says about a path; whom it says it to counts too.
    pub(super) fn new(flags: &ClusterFlags, server: &str, path: &str) -> Option<Self> {
        let directory = match &flags.cache_dir {
            Some(directory) => directory.clone(),
            None => PathBuf::from(std::env::var_os("HOME")?).join(".kube").join("cache"),
        };
        let mut hasher = DefaultHasher::new();
        // Who asks is in the flags, in the kubeconfig that they name, or in that of the environment.
        (server, path, format!("{flags:?}"), std::env::var_os("KUBECONFIG")).hash(&mut hasher);
        Some(Self::at(&directory.join("contour"), &format!("{server} {path}"), hasher.finish()))
    }

    fn at(directory: &Path, question: &str, hash: u64) -> Self {
        Self {
            directory: directory.to_path_buf(),
            question: question.to_owned(),
            file: directory.join(format!("{hash:016x}.complete")),
        }
    }

    /// The answer, if it is fresh.
    pub(super) fn read(&self) -> Option<Vec<Candidate>> {
        if age(&self.file)? > FRESH {
            return None;
        }
        let text = std::fs::read_to_string(&self.file).ok()?;
        let mut lines = text.lines();
        if lines.next()? != self.question {
            return None;
        }
        let candidate = |line: &str| {
            let (value, description) = line.split_once('\t').unwrap_or((line, ""));
            Candidate::new(value, description)
        };
        Some(lines.map(candidate).collect())
    }

    /// Keeps an answer, and forgets those that nobody asks for any more.
    pub(super) fn write(&self, answer: &[Candidate]) -> Option<()> {
        use std::io::Write as _;
        std::fs::create_dir_all(&self.directory).ok()?;
        for entry in std::fs::read_dir(&self.directory).ok()?.flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|extension| extension == "complete");
            if ours && age(&path).is_some_and(|age| age > KEPT) {
                std::fs::remove_file(path).ok()?;
            }
        }
        // Only its owner may read a file that is made like this.
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).ok()?;
        let lines: Vec<_> = answer.iter().map(Candidate::line).collect();
        writeln!(file, "{}\n{}", self.question, lines.join("\n")).ok()?;
        file.persist(&self.file).ok()?;
        Some(())
    }
}

/// How old a file is; nothing if the clock has been set back since.
fn age(file: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(file).ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_question_while_it_is_fresh() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::at(&directory.path().join("contour"), "server /a", 1);
        assert_eq!(place.read(), None);
        let answer = [Candidate::new("shop", "shop.example.com"), Candidate::new("team", "")];
        place.write(&answer).unwrap();
        assert_eq!(place.read().as_deref(), Some(&answer[..]));
        let other = Place::at(&directory.path().join("contour"), "server /b", 1);
        assert_eq!(other.read(), None, "two questions with one number");

        let old = SystemTime::now() - Duration::from_mins(1);
        let file = std::fs::File::options().write(true).open(&place.file).unwrap();
        file.set_modified(old).unwrap();
        assert_eq!(place.read(), None);
        file.set_modified(old - KEPT).unwrap();
        Place::at(&directory.path().join("contour"), "server /b", 2).write(&[]).unwrap();
        assert!(!place.file.exists(), "what nobody asks for goes");
    }
}
