//! Links checked objects to the neutral model, one unit at a time, through a [`Reader`].
//!
//! What cannot be linked is told on the object and field that asked for it, and takes nothing
//! else with it: a route without any usable service answers 503, its siblings serve.

mod backends;
mod certificates;
mod endpoints;
mod host;
mod tcp;

use std::collections::BTreeSet;

pub use endpoints::{ResolvedEndpoints, endpoints, ready};
pub use host::{ResolvedHost, host};

use crate::budget::Budget;
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::name::{FieldPath, Kind, ObjectName};
use crate::options::Options;
use crate::store::Reader;

/// What one computation gathers beside its result.
struct Context<'a> {
    reader: &'a Reader<'a>,
    options: &'a Options,
    budget: &'a Budget,
    diagnostics: Collector,
    /// The IngressRoutes that have a part in the host.
    visited: BTreeSet<ObjectName>,
}

impl Context<'_> {
    fn report(&mut self, code: Code, object: &ObjectName, field: FieldPath, message: String) {
        self.found(Diagnostic::new(code, &object.of(Kind::IngressRoute), field, message));
    }

    fn found(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}
