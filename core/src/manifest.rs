//! YAML and JSON text to objects, with the place of every field.

mod decode;
mod object;
mod scalar;
mod spans;
mod suggest;
mod tree;

use std::sync::Arc;

pub use spans::Spans;
use tree::{Documents, Fault, Place};

use crate::api::Object;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{FieldPath, ObjectRef};

/// Limits of what is read; beyond them the text is refused, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub bytes: usize,
    /// Nesting of mappings and lists.
    pub depth: usize,
    /// Mappings, lists and values of one file, aliases counted as often as they are used.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, depth: 64, nodes: 1_000_000 }
    }
}

/// What one text contained.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The documents that name an object of a kind that is read.
    pub documents: Vec<Document>,
    /// Diagnostics about the text as a whole, or about documents that name no object.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the text was syntactically whole. If not, it may be half-written and the
    /// documents are those before the fault.
    pub complete: bool,
}

/// One document of a text.
#[derive(Clone, Debug)]
pub struct Document {
    /// The identity of the object, even where the object could not be decoded.
    pub reference: ObjectRef,
    /// The object; `None` if a field has the wrong type or is missing.
    pub object: Option<Object>,
    /// What is wrong with it, with places.
    pub diagnostics: Vec<Diagnostic>,
    /// Where its fields stand.
    pub spans: Arc<Spans>,
}

impl Document {
    /// The diagnostic for a document whose object already stands at `first`: that one counts.
    pub fn duplicate_of(&self, first: &Self) -> Diagnostic {
        let place = |document: &Self| document.spans.locate(&FieldPath::root());
        let message = place(first).map_or_else(
            || format!("{} stands in two places", self.reference),
            |place| format!("{} stands in {place} already", self.reference),
        );
        let mut diagnostic =
            Diagnostic::new(Code::DuplicateObject, &self.reference, FieldPath::root(), message);
        diagnostic.location = place(self);
        diagnostic
    }
}

/// Reads a text of any number of YAML or JSON documents. Never fails: what is wrong is told in
/// diagnostics. `file` is the name to show in places. A `List` is read as its items. Objects of
/// namespaced kinds without namespace are put into `default`.
///
/// YAML is read as version 1.2 has it, with anchors, aliases and merge keys; what readers disagree
/// on is text: `yes` and `on`, `010` and `1_000`. A field without value (`null`) counts as absent,
/// as it does for Kubernetes.
///
/// # Guarantees
/// Every error has a place. No message shows a value of a Secret.
pub fn read(file: &str, text: &str, limits: Limits) -> Manifest {
    let file: Arc<str> = file.into();
    let mut manifest = Manifest { complete: true, ..Manifest::default() };
    if text.len() > limits.bytes {
        let fault = Fault {
            code: Code::ManifestTooLarge,
            place: START,
            message: format!(
                "the text has {} bytes, of which at most {} are read",
                text.len(),
                limits.bytes
            ),
            hint: None,
        };
        manifest.diagnostics.push(object::nameless(&file, fault));
        manifest.complete = false;
        return manifest;
    }
    for tree in Documents::new(text, limits) {
        match tree {
            Ok(tree) => object::read(&file, &tree, &mut manifest),
            Err(fault) => {
                manifest.diagnostics.push(object::nameless(&file, fault));
                manifest.complete = false;
            }
        }
    }
    manifest
}

/// The place of a text as a whole.
const START: Place = Place { line: 1, column: 1, length: 1 };
