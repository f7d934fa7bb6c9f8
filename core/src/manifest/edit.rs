//! Single values of an object changed in its text, every other byte left as it is.
//!
//! Edits are planned on the tree of the text as splices of its bytes. What comes out is read again
//! and compared with what was asked, so that a layout that is not understood is refused rather
//! than written.

mod block;
mod content;
mod flow;
mod layout;
mod literal;
mod walk;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use content::Content;
pub use literal::Literal;
use walk::Walk;

use super::tree::{Documents, NodeId, Place, Tree};
use super::{Limits, Manifest, object, too_large};
use crate::diagnostic::{Diagnostic, Severity};
use crate::name::{FieldPath, ObjectRef};

/// What one field is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The field: one of a mapping.
    pub field: FieldPath,
    /// Its value; `None` takes the field away. A field that is not there becomes the last of its
    /// mapping, and mappings around it are made as needed; one that was made so goes away again
    /// with its last field.
    pub to: Option<Literal>,
}

/// Why a text was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text, or the object in it, has a fault, the first of which this is.
    #[error("line {line}, column {column}: {message}")]
    Faulty {
        /// The line, from 1.
        line: u32,
        /// The column, from 1, in characters.
        column: u32,
        /// What is wrong.
        message: String,
    },
    /// The object is not there.
    #[error("{0} is not in the text")]
    Absent(ObjectRef),
    /// The object is there more than once.
    #[error("{0} stands in the text more than once: which one to edit is not clear")]
    Twice(ObjectRef),
    /// A field around the one to edit is not there, or is no mapping or list.
    #[error("{0} cannot be set: what is around it is not there")]
    NoField(FieldPath),
    /// The field cannot be edited on its own.
    #[error("line {line}, column {column}: {field} cannot be edited: {obstacle}")]
    Field {
        /// The field to edit.
        field: FieldPath,
        /// The line of what is in the way, from 1.
        line: u32,
        /// Its column, from 1, in characters.
        column: u32,
        /// What is in the way.
        obstacle: Obstacle,
    },
    /// What came out would not say what was asked, or something else besides.
    #[error("{0} is written in a way that cannot be edited without changing something else")]
    Unsure(ObjectRef),
}

/// Why a field cannot be edited on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It stands behind an alias.
    Alias,
    /// It stands in what aliases refer to, or has an anchor itself.
    Anchor,
    /// It comes from a merge key.
    Merge,
    /// There is a `null`.
    Null,
    /// It is a mapping or list.
    Type,
    /// The layout is unusual.
    Layout,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alias => "an alias stands here, and others use what it refers to; write it out",
            Self::Anchor => "this has an anchor, by which others use it; write those out",
            Self::Merge => "it comes from a merge key (`<<`) of this; write it out",
            Self::Null => "`null` stands here; remove it",
            Self::Type => "this is not a single value",
            Self::Layout => "the layout here is unusual; write one field per line",
        })
    }
}

/// Bytes of the text, and what to put in their stead.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Splice {
    bytes: Range<usize>,
    with: String,
}

/// Makes `edits` to an object in a text of YAML or JSON documents, such as [`read`](super::read)
/// understands, and returns the edited text. A field that has its value already is not touched,
/// however it is written.
///
/// # Errors
/// The text has faults; the object is not there, or twice; a field cannot be edited without
/// changing another one. Never a text that says something else than was asked.
pub fn edit(
    text: &str,
    object: &ObjectRef,
    edits: &[Edit],
    limits: Limits,
) -> Result<String, EditError> {
    let before = Source::read(text, object, limits)?;
    let mut walk = Walk::new(text, &before.own, before.root);
    for edit in edits {
        walk.plan(edit)?;
    }
    let unsure = || EditError::Unsure(object.clone());
    let edited = apply(text, walk.splices).ok_or_else(unsure)?;
    let after = Source::read(&edited, object, limits).map_err(|_fault| unsure())?;
    if before.becomes(&after, edits) { Ok(edited) } else { Err(unsure()) }
}

/// `None` if two splices are about the same place.
fn apply(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|splice| (splice.bytes.start, splice.bytes.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut inserted = None;
    for splice in splices {
        let at = splice.bytes.start;
        if splice.bytes.is_empty() && inserted.replace(at) == Some(at) {
            return None;
        }
        out.push_str(text.get(done..at)?);
        out.push_str(&splice.with);
        done = splice.bytes.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

/// A text, and where the object stands in it.
struct Source<'t> {
    /// The document with the object.
    own: Tree<'t>,
    root: NodeId,
    /// All documents; an empty one stands for the one with the object.
    others: Vec<Tree<'t>>,
    document: usize,
}

impl<'t> Source<'t> {
    fn read(text: &'t str, wanted: &ObjectRef, limits: Limits) -> Result<Self, EditError> {
        if let Some(fault) = too_large(text, limits) {
            return Err(faulty(fault.place, fault.message));
        }
        let file: Arc<str> = Arc::default();
        let mut manifest = Manifest::default();
        let mut others = Vec::new();
        let mut roots = Vec::new();
        for tree in Documents::new(text, limits) {
            let tree = tree.map_err(|fault| faulty(fault.place, fault.message))?;
            let found = object::read(&file, &tree, None, &mut manifest);
            roots.extend(found.into_iter().map(|root| (others.len(), root)));
            others.push(tree);
        }
        let absent = || EditError::Absent(wanted.clone());
        let documents = manifest.documents.iter().zip(roots);
        let mut found = documents.filter(|(one, _)| one.reference == *wanted);
        let (one, (document, root)) = found.next().ok_or_else(absent)?;
        if found.next().is_some() {
            return Err(EditError::Twice(wanted.clone()));
        }
        if one.object.is_none() {
            let mut errors = one.diagnostics.iter().filter(|d| d.severity() == Severity::Error);
            return Err(errors.next().map_or_else(absent, told));
        }
        let own = others.get_mut(document).map(std::mem::take).unwrap_or_default();
        Ok(Self { own, root, others, document })
    }

    /// Whether `after` is this with the edits, and nothing else.
    fn becomes(&self, after: &Self, edits: &[Edit]) -> bool {
        let want = Content::of(&self.own, &|id, content| {
            if id == self.root {
                for edit in edits {
                    content.make(edit);
                }
            }
        });
        let have = Content::of(&after.own, &|id, content| {
            if id == after.root {
                for edit in edits {
                    content.settle(edit);
                }
            }
        });
        let same = |(old, new): (&Tree<'t>, &Tree<'_>)| {
            let nothing = |_: NodeId, _: &mut Content<'_>| {};
            Content::of(old, &nothing) == Content::of(new, &nothing)
        };
        self.document == after.document
            && self.others.len() == after.others.len()
            && self.own.flaws.len() == after.own.flaws.len()
            && want == have
            && self.others.iter().zip(&after.others).all(same)
    }
}

fn faulty(place: Place, message: String) -> EditError {
    EditError::Faulty { line: place.line, column: place.column, message }
}

fn told(diagnostic: &Diagnostic) -> EditError {
    let place = diagnostic.location.as_ref();
    EditError::Faulty {
        line: place.map_or(1, |p| p.line),
        column: place.map_or(1, |p| p.column),
        message: diagnostic.message.clone(),
    }
}
