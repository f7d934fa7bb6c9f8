//! What a board is told, and the form in which that is recorded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::frame::{Event, Shift};
use crate::observe::feed::{Increment, Rows};

/// What somebody tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Input {
    /// The controllers that there are to be asked, by Pod or address; others are forgotten.
    Sources(Vec<Arc<str>>),
    /// One of them tells what has changed.
    Increment(Arc<str>, Box<Increment>),
    /// One of them is not heard, and why.
    Lost(Arc<str>, Arc<str>),
    /// The shifts that there are.
    Shifts(Vec<Shift>),
    /// What Kubernetes says has happened.
    Events(Vec<Event>),
    /// What Kubernetes alone knows: objects with their status, services and endpoints by what its
    /// readiness probes say. Shown where no controller is heard.
    Kubernetes(Box<Rows>),
    /// The Pods behind addresses: `[address, pod, node]`, the address without port.
    Pods(Vec<(Arc<str>, Arc<str>, Arc<str>)>),
    /// What cannot be shown, and why, in words.
    Limits(Vec<Arc<str>>),
}

/// A line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When it was told, in milliseconds since the Unix epoch, by this machine's clock.
    pub unix_millis: u64,
    /// What.
    pub input: Input,
}
