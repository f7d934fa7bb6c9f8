//! The Envoy that the sandbox runs.

mod binary;
mod process;

pub use binary::{Binary, Environment, OLDEST, Version, find};
pub use process::{Process, Start};
