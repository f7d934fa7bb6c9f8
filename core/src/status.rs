//! What became of an object, as the `status` that its owner reads.
//!
//! `currentStatus` and `description` are as IngressRoute always had them; beside them stand
//! conditions in the manner of Gateway API: `Accepted` (the object is understood), `ResolvedRefs`
//! (what it refers to exists and may be used) and `Programmed` (the Envoys have acknowledged what
//! was made of it). Pure: who writes, when, and whether anything differs is decided from values.

mod condition;
mod written;

use std::sync::Arc;

use serde_json::{Value, json};

pub use condition::{Condition, Programmed, Refusal, Truth};
pub use written::Written;

use crate::api::Timestamp;
use crate::diagnostic::Diagnostic;
use crate::name::{Kind, ObjectRef};

/// The types of the conditions, in the order in which they are written.
pub const CONDITIONS: [&str; 3] = ["Accepted", "ResolvedRefs", "Programmed"];

/// What became of an object, before any Envoy has said anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// Whether it is served.
    pub state: State,
    /// Everything to tell its owner, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

/// The `currentStatus` of an IngressRoute, contour-compatible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Served whole.
    Valid,
    /// At least one error; what is right of it is served.
    Invalid,
    /// No root delegates to it.
    Orphaned,
}

impl State {
    /// The word as IngressRoute's `currentStatus` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Orphaned => "orphaned",
        }
    }
}

/// Where hosts are served, as a Service of type `LoadBalancer` has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address.
    Ip(Arc<str>),
    /// A host name.
    Hostname(Arc<str>),
}

impl Address {
    /// An IP address if `text` is one, else a host name.
    pub fn of(text: &str) -> Self {
        if text.parse::<std::net::IpAddr>().is_ok() {
            Self::Ip(text.into())
        } else {
            Self::Hostname(text.into())
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Ip(ip) => json!({ "ip": ip }),
            Self::Hostname(name) => json!({ "hostname": name }),
        }
    }
}

/// The `status` of an object, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    kind: Kind,
    state: State,
    description: String,
    generation: Option<i64>,
    conditions: Vec<(&'static str, Condition)>,
    addresses: Arc<[Address]>,
}

impl Status {
    /// The status of `object`, of which this became. `programmed` is unset for what produces
    /// nothing for Envoys by its nature: a TLSCertificateDelegation.
    pub fn new(
        object: &ObjectRef,
        generation: Option<i64>,
        became: &ObjectStatus,
        programmed: Option<&Programmed>,
        addresses: &Arc<[Address]>,
    ) -> Self {
        let mut conditions = vec![(CONDITIONS[0], condition::accepted(became, object.kind))];
        if object.kind == Kind::IngressRoute {
            conditions.push((CONDITIONS[1], condition::resolved(&became.diagnostics)));
        }
        if let Some(programmed) = programmed {
            conditions.push((CONDITIONS[2], programmed.condition()));
        }
        // Where nothing of the object is served, no address serves it.
        let served = programmed.is_some_and(|p| !matches!(p, Programmed::Nothing));
        Self {
            kind: object.kind,
            state: became.state,
            description: condition::description(became, object.kind),
            generation,
            conditions,
            addresses: if served { Arc::clone(addresses) } else { Arc::from([]) },
        }
    }

    /// What tells this status from another that would be worth a write. How many Envoys have
    /// acknowledged is left out once all have: Envoys come and go, and that is no news of the
    /// object.
    pub fn digest(&self) -> u64 {
        let stable = self.to_value(|condition| {
            let message = if condition.is_settled() { "" } else { &condition.message };
            json!({ "message": message })
        });
        written::digest(&stable)
    }

    /// The `status` as it is sent, with the times at which conditions became what they are: those
    /// that the API server has already, or `now`.
    pub fn to_json(&self, written: Option<&Written>, now: Timestamp) -> Value {
        self.to_value(|condition| {
            let since = written.and_then(|w| w.since(condition.kind, condition.status));
            json!({
                "message": condition.message,
                "lastTransitionTime": since.unwrap_or(now).to_string(),
            })
        })
    }

    fn to_value(&self, more: impl Fn(&Condition) -> Value) -> Value {
        let mut status = serde_json::Map::new();
        let mut put = |name: &str, value: Value| {
            status.insert(name.to_owned(), value);
        };
        if self.kind == Kind::IngressRoute {
            put("currentStatus", json!(self.state.as_str()));
            put("description", json!(self.description));
        }
        if let Some(generation) = self.generation {
            put("observedGeneration", json!(generation));
        }
        let conditions = self.conditions.iter().map(|(kind, condition)| {
            let mut value = json!({
                "type": kind,
                "status": condition.status.as_str(),
                "reason": condition.reason,
            });
            if let Value::Object(fields) = &mut value {
                if let Some(generation) = self.generation {
                    fields.insert("observedGeneration".to_owned(), json!(generation));
                }
                if let Value::Object(more) = more(condition) {
                    fields.extend(more);
                }
            }
            value
        });
        put("conditions", Value::Array(conditions.collect()));
        if !self.addresses.is_empty() {
            let ingress: Vec<_> = self.addresses.iter().map(Address::to_json).collect();
            put("loadBalancer", json!({ "ingress": ingress }));
        }
        Value::Object(status)
    }
}

#[cfg(test)]
mod tests;
