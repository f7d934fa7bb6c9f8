//! Which file says what.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use contour_core::api::{IngressRoute, Object};
use contour_core::diagnostic::{Diagnostic, Severity};
use contour_core::manifest::{self, Limits};
use contour_core::name::{Kind as ObjectKind, ObjectName};
use contour_files::Reading;
use xxhash_rust::xxh3::xxh3_128;

use super::Standing;
use crate::failure::{Failure, Kind};

/// The files below a path, each read anew only if its bytes differ.
#[derive(Debug)]
pub(super) struct Catalog {
    root: PathBuf,
    known: Mutex<BTreeMap<PathBuf, Arc<Known>>>,
}

/// What a file says.
#[derive(Debug)]
struct Known {
    version: u128,
    /// Its routes, in order; what is wrong with one that cannot be used.
    routes: Vec<(ObjectName, Result<Arc<IngressRoute>, String>)>,
    /// What is wrong with the text as a whole.
    fault: Option<String>,
}

/// What all files say at one time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Routes that can be used, each where it counts.
    pub(super) routes: Vec<Standing>,
    /// Routes that cannot be used, and why.
    faulty: BTreeMap<ObjectName, String>,
    /// What cannot be read, and why.
    unread: Vec<String>,
}

impl Seen {
    /// A route; `None` if no file has it.
    pub(super) fn find(self, route: &ObjectName) -> Result<Option<Standing>, Failure> {
        if let Some(why) = self.faulty.get(route) {
            return Err(Failure::new(Kind::Usage, why.clone()));
        }
        let found = self.routes.into_iter().find(|s| s.route.metadata.object_name() == *route);
        match self.unread.first() {
            // It may be in there.
            Some(why) if found.is_none() => {
                let message = format!("IngressRoute {route} is not found; {why}");
                Err(Failure::new(Kind::Usage, message))
            }
            Some(_) | None => Ok(found),
        }
    }

    fn add(&mut self, path: &Path, known: &Known) {
        if let Some(fault) = &known.fault {
            self.unread.push(fault.clone());
            return;
        }
        for (name, route) in &known.routes {
            let counts = |standing: &Standing| standing.route.metadata.object_name() == *name;
            if self.faulty.contains_key(name) || self.routes.iter().any(counts) {
                continue;
            }
            match route {
                Ok(route) => self.routes.push(Standing {
                    file: path.to_owned(),
                    route: Arc::clone(route),
                    version: known.version,
                }),
                Err(why) => {
                    self.faulty.insert(name.clone(), why.clone());
                }
            }
        }
    }
}

impl Catalog {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), known: Mutex::default() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Looks at all files.
    pub(super) fn look(&self) -> Result<Seen, Failure> {
        let cannot = |error: &io::Error| {
            let message = format!("{} cannot be read: {error}", self.root.display());
            Failure::new(Kind::Usage, message)
        };
        let mut seen = Seen::default();
        let mut files = Vec::new();
        if fs::metadata(&self.root).map_err(|error| cannot(&error))?.is_dir() {
            let listing = contour_files::list(&self.root);
            for (path, error) in &listing.unreadable {
                if *path == self.root {
                    return Err(cannot(error));
                }
                seen.unread.push(format!("{} cannot be read: {error}", path.display()));
            }
            let links = listing.links.iter();
            seen.unread.extend(links.map(|path| {
                format!(
                    "{} is a symbolic link to a directory, which is not followed",
                    path.display()
                )
            }));
            files.extend(listing.files.into_iter().map(|(path, _)| path));
        } else {
            files.push(self.root.clone());
            text(&self.root).map_err(|error| cannot(&error))?;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|path, _| files.binary_search(path).is_ok());
        for path in files {
            match text(&path) {
                Ok(text) => {
                    let version = xxh3_128(text.as_bytes());
                    let file = match known.get(&path) {
                        Some(file) if file.version == version => Arc::clone(file),
                        Some(_) | None => Arc::new(Known::of(&path, &text, version)),
                    };
                    seen.add(&path, &file);
                    known.insert(path, file);
                }
                // What is gone since it was listed was not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    seen.unread.push(format!("{} cannot be read: {error}", path.display()));
                }
            }
        }
        Ok(seen)
    }
}

impl Known {
    fn of(path: &Path, text: &str, version: u128) -> Self {
        let manifest = manifest::read(&path.display().to_string(), text, Limits::default());
        let fault = manifest.diagnostics.iter().find(|_| !manifest.complete).map(place);
        let routes = manifest.documents.into_iter().filter_map(|document| {
            let name = document.reference.name.clone();
            if document.reference.kind != ObjectKind::IngressRoute {
                return None;
            }
            if let Some(Object::IngressRoute(route)) = document.object {
                return Some((name, Ok(Arc::new(route))));
            }
            let mut errors =
                document.diagnostics.iter().filter(|d| d.severity() == Severity::Error);
            let why = errors.next().map_or_else(|| document.reference.to_string(), place);
            Some((name, Err(why)))
        });
        Self { version, routes: routes.collect(), fault }
    }
}

/// A diagnostic in one line, with its place.
fn place(diagnostic: &Diagnostic) -> String {
    match &diagnostic.location {
        Some(location) => format!("{location}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    }
}

/// The text of a regular file of bounded size.
pub(super) fn text(path: &Path) -> io::Result<String> {
    match contour_files::read(path, Limits::default().bytes) {
        Reading::Text(_, text) => Ok(text),
        Reading::Missing => Err(io::ErrorKind::NotFound.into()),
        Reading::Directory => Err(io::ErrorKind::IsADirectory.into()),
        Reading::Refused(_, refusal) => Err(io::Error::other(refusal.to_string())),
    }
}
