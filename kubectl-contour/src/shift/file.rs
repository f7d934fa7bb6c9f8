//! Routes in a directory of manifests, or in one file, as what a shift reads and writes.
//!
//! # Guarantees
//! - Which file says what is as the controller's source has it: hidden names are left out, links to
//!   directories are not followed, and of several files that name a route the first by path counts.
//! - A file is written whole or not at all, and only if it is as it was read.
//! - A file that is half-written, or gone for a moment while it is replaced, does not count as one
//!   without the route.
//!
//! All calls block on the disk.

mod catalog;
mod lock;
mod replace;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contour_core::api::IngressRoute;
use contour_core::manifest::Limits;
use contour_core::name::ObjectName;
use contour_core::shift::Note;
use contour_core::shift::machine::{Answer, Live, Write};
use contour_core::shift::state::ANNOTATION;
use contour_core::shift::text::{self, Change};
use contour_core::shift::weights::Weights;
use xxhash_rust::xxh3::xxh3_128;

use self::catalog::Catalog;
pub use self::lock::{Lock, LockError};
use crate::failure::{Failure, Kind};

/// How long a file may be gone while an editor replaces it.
const REPLACED: Duration = Duration::from_millis(200);

/// A directory of manifests, or one file.
#[derive(Debug)]
pub struct Files {
    catalog: Catalog,
}

/// A route, and the file that it stands in.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The file, as it would be named on the command line.
    pub file: PathBuf,
    /// The route.
    pub route: Arc<IngressRoute>,
    /// The hash of the file's bytes.
    version: u128,
}

impl Files {
    /// The manifests below a directory, or in a file whatever it is called.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let catalog = Catalog::new(path);
        catalog.look()?;
        Ok(Self { catalog })
    }

    /// The routes in all files that can be read, in the order of their files.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn routes(&self) -> Result<Vec<Standing>, Failure> {
        Ok(self.catalog.look()?.routes)
    }

    /// The route as its file has it; `None` if no file has it.
    ///
    /// # Errors
    /// The route has faults, or there are files that cannot be read, in which it may be.
    pub fn read(&self, route: &ObjectName) -> Result<Option<Live>, Failure> {
        let found = self.find(route)?;
        Ok(found.map(|standing| Live {
            uid: uid(route),
            version: version(standing.version),
            generation: 0,
            weights: weights(&standing.route),
            annotation: standing
                .route
                .metadata
                .annotations
                .get(ANNOTATION)
                .map(ToString::to_string),
        }))
    }

    /// Writes weights and state into the file that the route stands in, if that is as it was.
    /// When it must be written is not looked at: a [`Lock`] does not expire.
    pub fn write(&self, route: &ObjectName, write: &Write) -> Answer {
        // What is wrong with the files is told by the read that follows a conflict.
        let Ok(Some(standing)) = self.find(route) else {
            return Answer::Conflict;
        };
        let live = weights(&standing.route);
        let same = write.expected.iter().all(|own| live.iter().any(|other| other.agrees(own)));
        if write.uid != uid(route) || write.version != version(standing.version) || !same {
            return Answer::Conflict;
        }
        let change = Change { weights: &write.weights, annotation: Some(&write.annotation) };
        let edit = |before: &str| {
            if xxh3_128(before.as_bytes()) != standing.version {
                return Ok(None);
            }
            let after = text::edit(before, route, &change, Limits::default());
            after.map(Some).map_err(|error| error.to_string())
        };
        match replace::replace(&standing.file, edit) {
            Ok(Some(text)) => Answer::Done(version(xxh3_128(text.as_bytes())), 0),
            Ok(None) => Answer::Conflict,
            Err(replace::Error::Unknown) => Answer::Unknown,
            Err(replace::Error::Refused(why)) => {
                Answer::Refused(Note::new(&format!("{why} ({})", standing.file.display())))
            }
        }
    }

    /// Keeps every other process on this machine from shifting the route, until the lock is
    /// dropped or the process ends. `holder` is told to whoever tries.
    ///
    /// # Errors
    /// Another process has it; the route is not there; the directory cannot be written.
    pub fn lock(&self, route: &ObjectName, holder: &Note) -> Result<Lock, LockError> {
        let standing = self.find(route).map_err(LockError::Failed)?.ok_or_else(|| {
            let message =
                format!("IngressRoute {route} is not in {}", self.catalog.root().display());
            LockError::Failed(Failure::new(Kind::Usage, message))
        })?;
        Lock::take(&standing.file, route, holder)
    }

    fn find(&self, route: &ObjectName) -> Result<Option<Standing>, Failure> {
        let found = self.catalog.look().and_then(|seen| seen.find(route));
        if let Ok(Some(_)) = found {
            return found;
        }
        std::thread::sleep(REPLACED);
        self.catalog.look()?.find(route)
    }
}

/// The weights of all places that have sound ones.
fn weights(route: &IngressRoute) -> Vec<Weights> {
    Weights::of_spec(&route.spec).into_iter().flatten().collect()
}

fn version(hash: u128) -> Note {
    Note::new(&format!("{hash:032x}"))
}

/// A route in files is the same one as long as it has its name.
fn uid(route: &ObjectName) -> Note {
    Note::new(&format!("file:{}", label(route, '/', Note::MAX - "file:".len())))
}

/// Namespace and name, or a hash of them where that is too long.
fn label(route: &ObjectName, between: char, limit: usize) -> String {
    let label = format!("{}{between}{}", route.namespace, route.name);
    if label.len() <= limit { label } else { format!("{:032x}", xxh3_128(label.as_bytes())) }
}

#[cfg(test)]
mod tests;
