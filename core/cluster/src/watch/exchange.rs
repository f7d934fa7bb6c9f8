//! What a watch is set to, what it asks for, and what it is told.

use std::time::Duration;

use contour_core::name::ObjectRef;
use contour_core::pipeline::Change;
use contour_core::status::Address;

use crate::decode::Seen;

/// What can be set about a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Objects in a page of a list.
    pub page: u32,
    /// How often everything is listed again and compared, for events that got lost.
    pub compare: Duration,
    /// How long a kind must be missing or forbidden before that is believed; at the start it counts
    /// as empty then.
    pub settle: Duration,
    /// How long a kind must be missing before objects that it had count as deleted.
    pub grace: Duration,
    /// How often a kind that is missing or forbidden is looked for.
    pub look: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page: 500,
            compare: Duration::from_mins(30),
            settle: Duration::from_secs(5),
            grace: Duration::from_mins(1),
            look: Duration::from_secs(10),
        }
    }
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A page of the list.
    List {
        /// Where the last page ended.
        token: Option<String>,
    },
    /// The list as a stream of events, and then what changes.
    Stream,
    /// What changes from a version on.
    Watch {
        /// The version.
        from: String,
    },
}

/// How long to wait before asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    None,
    /// As long as is due after so many failures in a row, with jitter.
    Retry(u32),
    /// So long.
    Exactly(Duration),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Drop the answer, wait, and ask.
    Ask(Wait),
}

/// How a scope is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is being watched.
    Watching,
    /// The API server does not have the kind.
    Absent,
    /// The API server does not let us read it; what it says.
    Forbidden(String),
    /// The API server does not answer as it should; what went wrong.
    Failing(String),
}

/// What answers meant.
#[derive(Debug, Default)]
pub struct Output {
    /// What changed of the world.
    pub changes: Vec<Change>,
    /// What a writer of statuses must know of the objects that changed.
    pub seen: Vec<(ObjectRef, Seen)>,
    /// The addresses, if this is about them and they differ.
    pub addresses: Option<Vec<Address>>,
    /// How the scope is, if that differs.
    pub health: Option<Health>,
    /// Whether all that there was at the start has now been told.
    pub completed: bool,
    /// Objects of which not even the name could be read.
    pub unreadable: u64,
    /// Objects that a comparison found to differ although no event had said so.
    pub healed: u64,
}

impl Output {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.seen.is_empty()
            && self.addresses.is_none()
            && self.health.is_none()
            && !self.completed
            && self.unreadable == 0
            && self.healed == 0
    }
}

/// An answer other than 200.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// What the API server says.
    pub message: String,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// By a fault of the connection.
    Failed(String),
    /// Nothing was heard for too long.
    Silent,
}
