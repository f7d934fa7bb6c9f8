//! Where objects come from.

pub mod directory;
pub(crate) mod kubernetes;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use contour_cluster::decode::Seen;
use contour_core::diagnostic::Diagnostic;
use contour_core::manifest::Spans;
use contour_core::name::ObjectRef;
use contour_core::pipeline::{Change, Gaps};
use contour_core::status::Address;
use tokio::sync::mpsc;

use crate::config::Kubernetes;

/// Where objects come from.
#[derive(Debug)]
pub enum Source {
    /// Manifests in a directory and its subdirectories, watched.
    Directory(PathBuf),
    /// A Kubernetes API server.
    Kubernetes(Box<Kubernetes>),
    /// Changes made by the program itself. The source counts as in sync after the first batch,
    /// which may be empty. Closing the channel keeps the last state in force.
    Channel(mpsc::Receiver<Vec<Change>>),
}

/// What a source has not been able to read since it was started. What was read once and cannot be
/// read any more is no part of it: its last good form is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// What may lie in it.
    pub gaps: Gaps,
    /// What to make readable: files, or parts of the API.
    pub parts: BTreeSet<Arc<str>>,
}

/// Something that a source has to tell the engine, taken whole or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// What changed of the world.
    pub changes: Vec<Change>,
    /// Where objects now stand; `None` for those that stand nowhere any more.
    pub places: Vec<(ObjectRef, Option<Arc<Spans>>)>,
    /// All that is wrong with a file as a file, by its name; empty if all is well again.
    pub problems: Vec<(Arc<str>, Vec<Diagnostic>)>,
    /// The files that were read or went away.
    pub files: Vec<Arc<str>>,
    /// What a writer of statuses must know of objects that changed.
    pub(crate) seen: Vec<(ObjectRef, Seen)>,
    /// Where hosts are served, if that differs.
    pub(crate) addresses: Option<Vec<Address>>,
    /// What has not been read since the start, if that differs.
    pub unread: Option<Unread>,
    /// Whether the source has now told all that there was when it started.
    pub synced: bool,
}

impl Batch {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.places.is_empty()
            && self.problems.is_empty()
            && self.seen.is_empty()
            && self.addresses.is_none()
            && self.unread.is_none()
            && !self.synced
    }
}

/// Why a source could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The directory is not there or cannot be listed.
    #[error("cannot read the directory {path}: {source}; create it, or name another with --source", path = path.display())]
    Directory {
        /// The directory as given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The path is not a directory.
    #[error("{path} is not a directory; name the directory that holds the manifests with --source", path = path.display())]
    NotADirectory {
        /// The path as given.
        path: PathBuf,
    },
    /// The directory cannot be watched.
    #[error("cannot watch the directory {path}: {message}; if a limit is reached, raise fs.inotify.max_user_watches or max_user_instances", path = path.display())]
    Watch {
        /// The directory as given.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
}
