//! What is going to be written: documents with comments.

mod route;
mod team;

use std::fmt::Write as _;

use contour_core::name::ObjectName;
use serde_json::{Map, Value, json};

pub use route::{RouteWish, ingressroute};
pub use team::{LiveTeam, TeamWish, delegation};

use crate::create::yaml::{self, Comments};

/// An object to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The object, whole.
    pub value: Value,
    /// Comments for whoever reads it.
    pub comments: Comments,
    /// The object as it is, where it is there already and somebody else's: only what differs is
    /// changed, and only if nobody else has changed it meanwhile.
    pub base: Option<Value>,
}

impl Document {
    /// An object with a comment above it.
    pub fn new(value: Value, comment: &str) -> Self {
        let mut document = Self { value, ..Self::default() };
        document.comment("", comment);
        document
    }

    /// Puts a comment above a field.
    pub fn comment(&mut self, field: &str, comment: &str) {
        if !comment.is_empty() {
            self.comments.insert(field.to_owned(), comment.to_owned());
        }
    }
}

/// The documents as one text.
pub fn text(documents: &[Document]) -> String {
    let mut out = String::new();
    for (index, document) in documents.iter().enumerate() {
        let separator = if index == 0 { "" } else { "---\n" };
        // Writing to a String cannot fail.
        let _infallible =
            write!(out, "{separator}{}", yaml::write(&document.value, &document.comments));
    }
    out
}

/// An object of our own kinds.
pub fn object(kind: &str, name: &ObjectName, class: Option<&str>, spec: &Value) -> Value {
    let mut metadata = Map::new();
    metadata.insert("namespace".to_owned(), json!(&*name.namespace));
    metadata.insert("name".to_owned(), json!(&*name.name));
    if let Some(class) = class {
        metadata.insert("annotations".to_owned(), json!({ "kubernetes.io/ingress.class": class }));
    }
    json!({
        "apiVersion": "contour.heptio.com/v1beta1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    })
}

#[cfg(test)]
mod tests;
