//! Moving traffic of existing routes from one service to another, step by step.
//!
//! Blue-green and canary shifts as a pure state machine: what is known goes in, what to do comes
//! out as data, and a driver does the I/O. Only weights are ever touched. What a shift has reached
//! travels in the same write as the weights ([`state`]), so that any client can go on after any
//! kill, and the weights that belong to a state follow from it: the two cannot disagree.

pub mod percent;
pub mod weights;
pub mod plan;
pub mod gate;
pub mod state;
pub mod machine;
pub mod sent;
pub mod text;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What somebody wrote for others to read, bounded and on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "String")]
pub struct Note(Arc<str>);

impl Note {
    /// The most characters that are kept.
    pub const MAX: usize = 200;

    /// Keeps the beginning of a text, control characters as spaces.
    pub fn new(text: &str) -> Self {
        let line = text.chars().take(Self::MAX).map(|c| if c.is_control() { ' ' } else { c });
        Self(line.collect::<String>().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A duration as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u32::deserialize(d).map(|seconds| Duration::from_secs(seconds.into()))
    }
}
