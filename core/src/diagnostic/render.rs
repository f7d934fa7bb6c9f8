//! One renderer for terminals and documents.

mod text;

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};
pub use text::escape;
use text::{Drawn, draw};

use super::{Code, Diagnostic, Location, Severity};
use crate::name::Kind;

/// How many columns of a source line are shown; longer lines are cut around the caret.
const LINE_WIDTH: usize = 100;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

/// What a piece of output is, for its colour.
#[derive(Clone, Copy)]
enum Part {
    Title(Severity),
    Message,
    Frame,
}

impl Style {
    fn paint(self, part: Part, text: &str) -> String {
        let code = match (self, part) {
            (Self::Plain, _) => return text.to_owned(),
            (Self::Colour, Part::Title(Severity::Error)) => "1;31",
            (Self::Colour, Part::Title(Severity::Warning)) => "1;33",
            (Self::Colour, Part::Title(Severity::Info)) => "1;36",
            (Self::Colour, Part::Message) => "1",
            (Self::Colour, Part::Frame) => "1;34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Draws a diagnostic for a terminal; `source` is the text of the file it stands in, if known.
/// The lines end without a line feed.
///
/// # Guarantees
/// Nothing of the source or the message can steer the terminal or change the order of the text:
/// such characters are written as `\u{…}`. Lines that may hold values of a Secret are not shown.
pub fn render(diagnostic: &Diagnostic, source: Option<&str>, style: Style) -> String {
    let severity = diagnostic.severity();
    let title = format!("{severity}[{}]", diagnostic.code);
    let mut out = style.paint(Part::Title(severity), &title);
    let message = format!(": {}", escape(&diagnostic.message));
    out.push_str(&style.paint(Part::Message, &message));

    let excerpt = diagnostic.location.as_ref().and_then(|location| {
        let line = line_of(source?, location)?;
        (!is_secret(diagnostic, source?, line)).then(|| Excerpt::of(line, location))
    });
    let gutter = match (&excerpt, &diagnostic.location) {
        (Some(_), Some(location)) => location.line.to_string().len(),
        _ => 1,
    };
    if let Some(place) = place(diagnostic) {
        let arrow = style.paint(Part::Frame, "-->");
        let _infallible = write!(out, "\n{:gutter$}{arrow} {place}", "");
    }
    if let (Some(excerpt), Some(location)) = (excerpt, &diagnostic.location) {
        excerpt.write(&mut out, location, gutter, (severity, style));
    }
    let equals = style.paint(Part::Frame, "=");
    let help = escape(diagnostic.remedy());
    let _infallible = write!(out, "\n{:gutter$} {equals} help: {help}", "");
    out
}

/// `file:line:column (IngressRoute demo/shop .spec.routes[0])`, as far as it is known.
fn place(diagnostic: &Diagnostic) -> Option<String> {
    let mut subject = String::new();
    if let Some(object) = &diagnostic.object {
        subject = object.to_string();
    }
    if !diagnostic.field.as_str().is_empty() {
        if !subject.is_empty() {
            subject.push(' ');
        }
        subject.push_str(diagnostic.field.as_str());
    }
    let text = match (&diagnostic.location, subject.is_empty()) {
        (None, true) => return None,
        (None, false) => subject,
        (Some(location), true) => location.to_string(),
        (Some(location), false) => format!("{location} ({subject})"),
    };
    Some(escape(&text).into_owned())
}

/// The line of the source that a place is in.
fn line_of<'s>(source: &'s str, location: &Location) -> Option<&'s str> {
    let index = usize::try_from(location.line).ok()?.checked_sub(1)?;
    source.strip_prefix('\u{feff}').unwrap_or(source).lines().nth(index)
}

/// Whether the line may hold a value of a Secret.
fn is_secret(diagnostic: &Diagnostic, source: &str, line: &str) -> bool {
    match &diagnostic.object {
        Some(object) => object.kind == Kind::Secret || names_secret(line),
        None => names_secret(source),
    }
}

/// Whether a line of the text has something like `kind: Secret`.
fn names_secret(text: &str) -> bool {
    text.lines().any(|line| {
        line.split_once("kind").is_some_and(|(_, rest)| {
            rest.split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "Secret" || word == "SecretList")
        })
    })
}

/// A source line with what is to be underlined of it.
struct Excerpt {
    line: Drawn,
    /// The columns of the drawn line that are underlined.
    marked: Range<usize>,
}

impl Excerpt {
    fn of(line: &str, location: &Location) -> Self {
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let start = number(location.column).saturating_sub(1);
        let end = start.saturating_add(number(location.length).max(1));
        let (line, marked) = draw(line, start..end, LINE_WIDTH);
        Self { line, marked }
    }

    fn write(
        &self,
        out: &mut String,
        location: &Location,
        gutter: usize,
        (severity, style): (Severity, Style),
    ) {
        let bar = style.paint(Part::Frame, "|");
        let number = style.paint(Part::Frame, &location.line.to_string());
        let carets = "^".repeat(self.marked.len().max(1));
        let carets = style.paint(Part::Title(severity), &carets);
        let indent = self.marked.start;
        let _infallible = write!(
            out,
            "\n{:gutter$} {bar}\n{number} {bar} {}\n{:gutter$} {bar} {:indent$}{carets}",
            "",
            self.line.text.trim_end(),
            "",
            ""
        );
    }
}

/// A diagnostic as JSON for programs. The keys are stable: `code`, `reason`, `severity`, `object`
/// (`kind`, `namespace`, `name`, or null), `field`, `message`, `remedy`, `location` (`file`,
/// `line`, `column`, `length`, or null).
pub fn json(diagnostic: &Diagnostic) -> Value {
    let object = diagnostic.object.as_ref().map(|object| {
        json!({
            "kind": object.kind.as_str(),
            "namespace": &*object.name.namespace,
            "name": &*object.name.name,
        })
    });
    let location = diagnostic.location.as_ref().map(|location| {
        json!({
            "file": &*location.file,
            "line": location.line,
            "column": location.column,
            "length": location.length,
        })
    });
    json!({
        "code": diagnostic.code.as_str(),
        "reason": diagnostic.code.reason(),
        "severity": diagnostic.severity().as_str(),
        "object": object,
        "field": diagnostic.field.as_str(),
        "message": diagnostic.message,
        "remedy": diagnostic.remedy(),
        "location": location,
    })
}

/// The groups of codes: the digit that they begin with, and what they are about.
const GROUPS: [(char, &str); 6] = [
    ('0', "Reading the text"),
    ('1', "Hosts and objects as a whole"),
    ('2', "Routes and delegation"),
    ('3', "Services and endpoints"),
    ('4', "TLS and certificates"),
    ('5', "TCP proxies"),
];

/// docs/diagnostics.md.
pub fn markdown() -> String {
    let mut out = "\
# Diagnostics

What the controller and the plugin tell about objects. A code never changes its meaning and is
never used again. An error means that something the object asks for is not served, a warning that
it is served but probably not as meant. Whatever the diagnostic, nothing but the object it is about
is affected.

The reason is what stands in the conditions of an object's status.

Of one object, 20 findings of a code are kept and shown; one more of that code says how many others
there are. They are counted for the host in which there are most.

This file is generated: `CONTOUR_UPDATE_DOCS=1 cargo test -p contour-core --test it` writes it again.
"
    .to_owned();
    let known = GROUPS.map(|(digit, _)| digit);
    let rest =
        Code::ALL.iter().filter(|code| group(**code).is_none_or(|digit| !known.contains(&digit)));
    for (digit, title) in GROUPS {
        let codes = Code::ALL.iter().filter(|c| group(**c) == Some(digit));
        write_group(&mut out, title, codes.copied());
    }
    write_group(&mut out, "Envoy and the controller", rest.copied());
    out
}

fn group(code: Code) -> Option<char> {
    code.as_str().chars().nth("CTR".len())
}

fn write_group(out: &mut String, title: &str, codes: impl Iterator<Item = Code>) {
    let codes: Vec<_> = codes.collect();
    let _infallible =
        write!(out, "\n## {title}\n\n| Code | Reason | Severity | Meaning |\n|---|---|---|---|\n");
    for code in &codes {
        let anchor = code.as_str().to_ascii_lowercase();
        let _infallible = writeln!(
            out,
            "| [{code}](#{anchor}) | `{}` | {} | {} |",
            code.reason(),
            code.severity(),
            code.title()
        );
    }
    for code in &codes {
        let _infallible = write!(
            out,
            "\n### {code}\n\n`{}`, {}. {}\n\n**What to do.** {}\n",
            code.reason(),
            code.severity(),
            code.title(),
            code.remedy()
        );
    }
}
