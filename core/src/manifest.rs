//! YAML and JSON text to objects, with the place of every field.

mod decode;
mod edit;
mod object;
mod scalar;
mod spans;
mod suggest;
mod tree;

use std::sync::Arc;

pub use edit::{Edit, EditError, Literal, Obstacle, edit};
use serde::Deserialize;
pub use spans::Spans;
use tree::{Documents, Fault, Place};

use crate::api::Object;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{FieldPath, Kind, ObjectRef};

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
    /// Takes the time of creation out of the object: in a file anybody can write any. Told where
    /// it could have decided something.
    pub fn forget_age(&mut self) {
        let Some(object) = &mut self.object else {
            return;
        };
        let age = object.metadata_mut().creation_timestamp.take();
        if age.is_none() || self.reference.kind != Kind::IngressRoute {
            return;
        }
        let field = FieldPath::of(".metadata.creationTimestamp");
        let location = self.spans.locate(&field);
        let message = "the time of creation is ignored: a file has no age that can be relied on";
        let mut diagnostic = Diagnostic::new(Code::AgeIgnored, &self.reference, field, message);
        diagnostic.location = location;
        self.diagnostics.push(diagnostic);
    }

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
    read_implied(file, text, None, limits)
}

/// Reads an object as an API server sends it: JSON, in which items of a list do not say their
/// kind. What is wrong is told without places, since nobody sees the text.
pub fn read_sent(kind: Kind, text: &str, limits: Limits) -> Manifest {
    let mut manifest = read_implied("", text, Some(kind), limits);
    let within = manifest.documents.iter_mut().flat_map(|d| &mut d.diagnostics);
    for diagnostic in within.chain(&mut manifest.diagnostics) {
        diagnostic.location = None;
    }
    manifest
}

fn read_implied(file: &str, text: &str, implied: Option<Kind>, limits: Limits) -> Manifest {
    let file: Arc<str> = file.into();
    let mut manifest = Manifest { complete: true, ..Manifest::default() };
    if let Some(fault) = too_large(text, limits) {
        manifest.diagnostics.push(object::nameless(&file, fault));
        manifest.complete = false;
        return manifest;
    }
    for tree in Documents::new(text, limits) {
        match tree {
            Ok(tree) => {
                object::read(&file, &tree, implied, &mut manifest);
            }
            Err(fault) => {
                manifest.diagnostics.push(object::nameless(&file, fault));
                manifest.complete = false;
            }
        }
    }
    manifest
}

/// Reads a text of one YAML or JSON document that is a mapping of settings, by the rules of
/// [`read`] and as strictly as can be: unknown fields are errors. A text without content is an
/// empty mapping.
///
/// # Errors
/// Everything that is wrong, in the order of the text, each with its field and its place.
pub fn settings<T>(file: &str, text: &str, limits: Limits) -> Result<T, Vec<Diagnostic>>
where
    T: for<'de> Deserialize<'de> + Default,
{
    let file: Arc<str> = file.into();
    let told = |fault| vec![object::nameless(&file, fault)];
    if let Some(fault) = too_large(text, limits) {
        return Err(told(fault));
    }
    let mut documents = Documents::new(text, limits);
    let Some(tree) = documents.next().transpose().map_err(told)? else {
        return Ok(T::default());
    };
    if let Some(next) = documents.next() {
        let next = next.map_err(told)?;
        let place = next.root().and_then(|root| next.node(root)).map_or(START, |n| n.place);
        return Err(told(Fault {
            code: Code::ManifestType,
            place,
            message: "a second document begins here".to_owned(),
            hint: Some("Write all settings into one document.".to_owned()),
        }));
    }
    let Some(root) = tree.root().filter(|root| !tree.is_null(*root)) else {
        return Ok(T::default());
    };
    let (settings, mut issues) = decode::decode_settings(&tree, root);
    let flaws = object::flaws_by_node(&tree);
    object::collect_flaws(&tree, &flaws, root, &FieldPath::root(), &mut issues);
    match settings {
        Some(settings) if issues.is_empty() => Ok(settings),
        _ => {
            issues.sort_by_key(|issue| (issue.fault.place.line, issue.fault.place.column));
            Err(issues.into_iter().map(|issue| object::of_field(&file, issue)).collect())
        }
    }
}

/// The name among `candidates` that is so near to `name` that it was probably meant.
pub fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    suggest::nearest(name, candidates)
}

fn too_large(text: &str, limits: Limits) -> Option<Fault> {
    (text.len() > limits.bytes).then(|| Fault {
        code: Code::ManifestTooLarge,
        place: START,
        message: format!(
            "the text has {} bytes, of which at most {} are read",
            text.len(),
            limits.bytes
        ),
        hint: None,
    })
}

/// The place of a text as a whole.
const START: Place = Place { line: 1, column: 1, length: 1 };
