//! YAML text to trees whose nodes know their places, within a budget.

mod builder;

use std::borrow::Cow;
use std::ops::Range;

use builder::Builder;
use granit_parser::{ErrorKind, Event, Parser, ScanError, StrInput};

use super::Limits;
use super::scalar::Scalar;
use crate::diagnostic::Code;

/// Deeper nesting than this is refused whatever the limits say: trees are walked by recursion.
const MAX_DEPTH: usize = 256;

/// A place in the text; line and column from 1, column and length in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) length: u32,
}

/// The index of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// One document.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    root: Option<NodeId>,
    /// What is wrong with the document though it can be read as a tree.
    pub(super) flaws: Vec<Flaw>,
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) value: Value<'a>,
    pub(super) place: Place,
    /// Where it stands in the text: without anchor and tag; a mapping or list written by
    /// indentation from its first key or dash to its last value.
    pub(super) bytes: Range<usize>,
    /// Whether it is a mapping or list that is written by indentation.
    pub(super) block: bool,
    /// Whether it has an anchor.
    pub(super) anchored: bool,
    /// Nodes in it, itself included, aliases counted as often as they are used.
    weight: usize,
    /// How deep mappings and lists nest in it.
    height: usize,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Scalar(Scalar<'a>),
    Sequence(Vec<NodeId>),
    Mapping(Vec<Entry<'a>>),
    /// Stands for another node, which is never an alias itself.
    Alias(NodeId),
}

#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) key_place: Place,
    pub(super) key_bytes: Range<usize>,
    pub(super) value: NodeId,
    /// Whether it was merged in (`<<`) and stands elsewhere.
    pub(super) merged: bool,
}

/// Something wrong with the text.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A fault inside a mapping, with the key that it concerns.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub(super) node: NodeId,
    pub(super) key: Option<String>,
    pub(super) fault: Fault,
}

impl<'a> Tree<'a> {
    pub(super) fn root(&self) -> Option<NodeId> {
        self.root
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that aliases stand for.
    pub(super) fn referred(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().filter_map(|node| match node.value {
            Value::Alias(target) => Some(target),
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => None,
        })
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id.index())
    }

    /// The value behind a node, aliases followed.
    pub(super) fn value(&self, id: NodeId) -> Option<&Value<'a>> {
        match self.node(id).map(|n| &n.value) {
            Some(Value::Alias(target)) => self.node(*target).map(|n| &n.value),
            value => value,
        }
    }

    /// The value of a field of a mapping.
    pub(super) fn field(&self, id: NodeId, key: &str) -> Option<&Entry<'a>> {
        match self.value(id)? {
            Value::Mapping(entries) => entries.iter().find(|e| e.key == key),
            Value::Scalar(_) | Value::Sequence(_) | Value::Alias(_) => None,
        }
    }

    /// The value of a field of a mapping, if it is text.
    pub(super) fn text(&self, id: NodeId, key: &str) -> Option<&str> {
        match self.value(self.field(id, key)?.value)? {
            Value::Scalar(Scalar::Text(text)) => Some(text),
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Alias(_) => None,
        }
    }

    /// Where to point for a field: at its value, or at its key where the value begins on a line
    /// of its own or is not there.
    pub(super) fn field_place(&self, entry: &Entry<'a>) -> Place {
        match self.node(entry.value) {
            Some(node) if !node.block && !node.is_null() => node.place,
            _ => entry.key_place,
        }
    }

    pub(super) fn is_null(&self, id: NodeId) -> bool {
        matches!(self.value(id), Some(Value::Scalar(Scalar::Null)))
    }
}

impl Node<'_> {
    fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(Scalar::Null))
    }
}

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Reads one document after the other.
pub(super) struct Documents<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    depth: usize,
    /// Nodes that may still be read.
    budget: usize,
    ended: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn new(text: &'a str, limits: Limits) -> Self {
        let depth = limits.depth.min(MAX_DEPTH);
        let options = granit_parser::options! {
            emit_comments: false,
            // One more than is read, so that the fault is told in our words.
            flow_nesting_limit: depth + 1,
            block_nesting_limit: depth + 1,
        };
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            depth,
            budget: limits.nodes,
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Tree<'a>>, Fault> {
        let mut builder = Builder::new(self.text, self.depth, self.budget);
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|e| syntax(&e))?;
            if event == Event::StreamEnd {
                return Ok(None);
            }
            if event == Event::DocumentEnd {
                self.budget = builder.budget;
                return Ok(Some(builder.tree));
            }
            builder.event(event, &span)?;
        }
        Ok(None)
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Tree<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn syntax(error: &ScanError) -> Fault {
    let marker = error.marker();
    let place = Place { line: narrow(marker.line()), column: narrow(marker.col() + 1), length: 1 };
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(place);
    }
    Fault {
        code: Code::ManifestSyntax,
        place,
        message: format!("the text cannot be read on: {}", error.kind()),
        hint: None,
    }
}

fn too_deep(place: Place) -> Fault {
    Fault {
        code: Code::ManifestTooLarge,
        place,
        message: "mappings and lists are nested deeper here than is read".to_owned(),
        hint: None,
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
