//! What we tell users: a stable code, an object, a field, a sentence and what to do next.

mod code;
mod findings;
mod render;

use std::fmt;
use std::sync::Arc;

pub use code::Code;
pub use findings::{Collector, Findings, SHOWN, more};
pub use render::{Style, escape, json, markdown, render};

use crate::name::{FieldPath, ObjectRef};

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something the object asks for is not served.
    Error,
    /// It is served, but probably not as meant.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// `error`, `warning` or `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a manifest; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file as the user named it, or `-` for standard input.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// How many characters to underline; at least 1.
    pub length: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing to tell the owner of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// The object it is about; `None` where the text could not be read as far as that.
    pub object: Option<ObjectRef>,
    /// The field, the root if it is about the object as a whole.
    pub field: FieldPath,
    /// What happened, as a sentence without a full stop, beginning in lower case.
    pub message: String,
    /// What to do next, where it can be said better than `code` says it in general.
    pub hint: Option<String>,
    /// Where it stands in a manifest, if the object came from one.
    pub location: Option<Location>,
}

impl Diagnostic {
    /// A diagnostic about a field of an object.
    pub fn new(
        code: Code,
        object: &ObjectRef,
        field: FieldPath,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            object: Some(object.clone()),
            field,
            message: message.into(),
            hint: None,
            location: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How much it matters: a property of its code.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// What to do next: the diagnostic's own hint, or else its code's remedy.
    pub fn remedy(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| self.code.remedy())
    }
}

/// One line: `error CTR301 IngressRoute demo/shop .spec.routes[0]: service …`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity(), self.code)?;
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if !self.field.as_str().is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}
