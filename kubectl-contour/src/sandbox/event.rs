//! What the sandbox tells, as values: the text for people and the JSON for programs are made from
//! the same ones.

use std::path::PathBuf;

use contour_core::diagnostic::{Diagnostic, Location};
use serde::{Serialize, Serializer};

use super::change::Field;
use super::load::Report;

/// Something to tell. In JSON an object with the member `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Which directory it is, before anything is started.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// Whether the example was just written there.
        written: bool,
    },
    /// Everything runs and Envoy serves.
    Started(Started),
    /// Envoy has connected to the controller.
    Connected {
        /// The Envoy's node id.
        node: String,
    },
    /// Envoy's connection to the controller has ended.
    Disconnected {
        /// The Envoy's node id.
        node: String,
    },
    /// A change of the files is in force.
    Applied(Applied),
    /// Envoy has taken over everything of a revision.
    Acknowledged {
        /// The revision.
        revision: u64,
        /// The Envoy's node id.
        node: String,
        /// From the change's being applied to Envoy's acknowledgement, in milliseconds.
        millis: f64,
        /// Whether it is what stood in the directory at the start.
        initial: bool,
    },
    /// Envoy has accepted a resource that it had refused.
    Recovered {
        /// The Envoy's node id.
        node: String,
        /// The resource.
        resource: String,
        /// The objects that had a part in it.
        objects: Vec<String>,
    },
    /// Envoy refuses a resource; the last good form of it stays in force.
    Rejected {
        /// The Envoy's node id.
        node: String,
        /// The resource.
        resource: String,
        /// The objects that had a part in it.
        objects: Vec<String>,
        /// What Envoy says.
        reason: String,
    },
    /// Something is wrong with files as files; what they said before stays in force.
    Problem {
        /// What.
        #[serde(serialize_with = "findings")]
        diagnostics: Vec<Diagnostic>,
    },
    /// A file that something was wrong with is in order again.
    Mended {
        /// The file.
        file: String,
    },
    /// Something of the sandbox itself could not be done; it goes on without.
    Trouble {
        /// What.
        message: String,
        /// What to do next.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// How the load of the last second fared.
    Load(Report),
    /// Everything is stopped.
    Stopped {
        /// Why.
        reason: &'static str,
        /// How all of the load fared, if there was load.
        #[serde(skip_serializing_if = "Option::is_none")]
        load: Option<Report>,
    },
}

/// What runs, and what to try.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// Where Envoy serves HTTP.
    pub http: String,
    /// Where Envoy serves HTTPS.
    pub https: String,
    /// The directory of manifests.
    pub directory: PathBuf,
    /// Envoy.
    pub envoy: RunningEnvoy,
    /// The demo services.
    pub services: Vec<RunningService>,
    /// Commands to try.
    pub commands: Vec<Suggestion>,
    /// What to edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<String>,
    /// Where the controller tells what it made of each object.
    pub debug: String,
    /// From the start of the program, in milliseconds.
    pub millis: f64,
}

/// The Envoy that runs.
#[derive(Clone, Debug, Serialize)]
pub struct RunningEnvoy {
    /// Where it was found.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
}

/// A demo service that runs.
#[derive(Clone, Debug, Serialize)]
pub struct RunningService {
    /// Its name.
    pub name: String,
    /// Where it answers.
    pub url: String,
}

/// A command to try.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    /// What it shows.
    pub purpose: String,
    /// The command, ready for a shell.
    pub command: String,
}

/// A change that is in force.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// The revision, which counts up from 1.
    pub revision: u64,
    /// The objects that changed.
    pub objects: Vec<ChangedObject>,
    /// How many of Envoy's resources differ.
    pub resources: usize,
    /// How many units were computed again.
    pub units: usize,
    /// How long that took, in milliseconds.
    pub millis: f64,
    /// What is newly to be said about objects.
    #[serde(serialize_with = "findings")]
    pub diagnostics: Vec<Diagnostic>,
    /// What no longer is to be said about objects.
    #[serde(serialize_with = "findings")]
    pub mended: Vec<Diagnostic>,
    /// Whether it is what stood in the directory at the start.
    pub initial: bool,
}

/// An object that changed.
#[derive(Clone, Debug, Serialize)]
pub struct ChangedObject {
    /// Kind, namespace and name.
    pub object: String,
    /// The file in which it stands, or stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What happened to it.
    pub change: ChangeKind,
    /// The fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// What can happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It differs.
    Changed,
    /// It is gone.
    Removed,
}

impl ChangeKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

#[derive(Serialize)]
struct Finding<'a> {
    severity: &'static str,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    message: &'a str,
    remedy: &'a str,
    #[serde(flatten)]
    place: Option<Position<'a>>,
}

#[derive(Serialize)]
struct Position<'a> {
    file: &'a str,
    line: u32,
    column: u32,
}

fn findings<S: Serializer>(list: &[Diagnostic], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|diagnostic| Finding {
        severity: diagnostic.severity().as_str(),
        code: diagnostic.code.to_string(),
        object: diagnostic.object.as_ref().map(ToString::to_string),
        field: diagnostic.field.as_str(),
        message: &diagnostic.message,
        remedy: diagnostic.remedy(),
        place: diagnostic.location.as_ref().map(position),
    }))
}

fn position(location: &Location) -> Position<'_> {
    Position { file: &location.file, line: location.line, column: location.column }
}
