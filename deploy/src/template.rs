//! The part of Helm's template language that the chart uses, read and evaluated as Helm does.
//!
//! There are fields (`.Values.a`, `$.Release.Name`), `if`/`else`, `range`, `define`, comments, the
//! trimming of `{{-` and `-}}`, pipelines, and the functions of `functions`. What Helm would make an
//! empty text of (a field that is missing), or print in a form of Go's own (a map, a number), is an
//! error here, so that a template cannot come to depend on it.

mod evaluate;
mod functions;
mod parse;
mod segment;

use std::collections::BTreeMap;

use serde_json::Value;

/// What is wrong with a template, or with what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{template}:{line}: {what}")]
pub struct TemplateError {
    /// The template's path in the chart.
    pub template: String,
    /// The line in it.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text(String),
    Output {
        line: usize,
        what: Pipeline,
    },
    If {
        line: usize,
        condition: Pipeline,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Range {
        line: usize,
        names: Option<(String, String)>,
        over: Pipeline,
        body: Vec<Self>,
    },
    /// A template of its own that others include.
    Define {
        name: String,
        body: Vec<Self>,
    },
}

/// Commands, each of which is given the result of the one before it as its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pipeline(Vec<Vec<Operand>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    /// `.a.b`, `$.a.b`, `$name`: fields of dot, of the template's data, of a variable.
    Field { of: Base, path: Vec<String> },
    /// `"…"`.
    Text(String),
    /// `4`.
    Number(i64),
    /// A function, or a word that should be one.
    Word(String),
    /// `(…)`.
    Group(Pipeline),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Base {
    Dot,
    Data,
    Variable(String),
}

/// The templates of a chart, ready to be evaluated.
pub(crate) struct Templates {
    files: Vec<(String, Vec<Node>)>,
    defined: BTreeMap<String, (String, Vec<Node>)>,
    /// What `.Files.Get` knows.
    static_files: &'static [(&'static str, &'static str)],
}

impl Templates {
    /// Reads templates: each one's path and text.
    pub(crate) fn read<'a>(
        templates: impl Iterator<Item = (&'a str, &'a str)>,
        static_files: &'static [(&'static str, &'static str)],
    ) -> Result<Self, TemplateError> {
        let mut read = Self { files: Vec::new(), defined: BTreeMap::new(), static_files };
        for (path, text) in templates {
            let at = |(line, what)| TemplateError { template: path.to_owned(), line, what };
            let nodes = parse::parse(text).map_err(at)?;
            for node in &nodes {
                if let Node::Define { name, body } = node {
                    read.defined.insert(name.clone(), (path.to_owned(), body.clone()));
                }
            }
            read.files.push((path.to_owned(), nodes));
        }
        Ok(read)
    }

    /// The text of each template but those that only define, whose names begin with `_`.
    pub(crate) fn evaluate(&self, data: &Value) -> Result<Vec<(&str, String)>, TemplateError> {
        let shown = self.files.iter().filter(|(path, _)| !path.contains("/_"));
        shown
            .map(|(path, nodes)| {
                let mut text = String::new();
                evaluate::Evaluation::new(self, path, data).nodes(nodes, data, &mut text)?;
                Ok((path.as_str(), text))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
