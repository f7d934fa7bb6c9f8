//! What a running controller tells whoever started it.

use std::sync::Arc;
use std::time::Duration;

use contour_core::diagnostic::Diagnostic;
use contour_core::name::ObjectRef;
use contour_core::xds::ResourceKey;

/// Something happened in a controller. Events are for showing; whoever lags behind misses some.
#[derive(Clone, Debug)]
pub enum ControllerEvent {
    /// Changes of objects took effect and were published to Envoys.
    Applied {
        /// The revision that they led to; counts from 1.
        revision: u64,
        /// The files that were read or went away, as the user would name them.
        files: Vec<Arc<str>>,
        /// The objects that changed.
        objects: Vec<ObjectRef>,
        /// How many resources are new, differ or are gone; with 0 no Envoy will acknowledge.
        resources: usize,
        /// How many units were computed.
        units: usize,
        /// Findings that are new, with their places.
        diagnostics: Vec<Diagnostic>,
        /// Findings that no longer stand.
        mended: Vec<Diagnostic>,
        /// Time that it took, in microseconds.
        micros: u64,
    },
    /// An Envoy holds all of a revision.
    Acknowledged {
        /// The revision.
        revision: u64,
        /// The Envoy's node id.
        node: Arc<str>,
        /// Time since the revision was published.
        elapsed: Duration,
    },
    /// An Envoy rejected a resource; it keeps the last good version.
    Rejected {
        /// The Envoy's node id.
        node: Arc<str>,
        /// The resource.
        resource: ResourceKey,
        /// The objects that had a part in it.
        objects: Vec<ObjectRef>,
        /// What Envoy says.
        message: Arc<str>,
    },
    /// An Envoy has accepted a resource that it had rejected before.
    Recovered {
        /// The Envoy's node id.
        node: Arc<str>,
        /// The resource.
        resource: ResourceKey,
        /// The objects that had a part in it.
        objects: Vec<ObjectRef>,
    },
    /// An Envoy connected.
    Connected {
        /// Its node id.
        node: Arc<str>,
    },
    /// An Envoy's stream ended.
    Disconnected {
        /// Its node id.
        node: Arc<str>,
    },
    /// An Envoy was refused.
    Refused {
        /// Its node id.
        node: Arc<str>,
        /// Why, and what to do.
        message: Arc<str>,
    },
    /// Something is newly wrong with files of the source; their last good form stays in force.
    SourceProblem {
        /// What, with places.
        diagnostics: Vec<Diagnostic>,
    },
    /// A file with problems has none any more.
    SourceMended {
        /// The file, as the user would name it.
        file: Arc<str>,
    },
}
