//! One renderer for terminals and documents.

use super::Diagnostic;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

/// Draws a diagnostic for a terminal; `source` is the text of the file it stands in, if known.
pub fn render(diagnostic: &Diagnostic, _source: Option<&str>, _style: Style) -> String {
    diagnostic.to_string()
}

/// docs/diagnostics.md.
pub fn markdown() -> String {
    String::new()
}
