//! Events of the parser to nodes: anchors, merge keys, tags and the budget.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use granit_parser::{Event, ScalarStyle, Span, StructureStyle, Tag};

use super::super::scalar::{Scalar, plain};
use super::{Entry, Fault, Flaw, Node, NodeId, Place, Tree, Value, narrow, too_deep};
use crate::diagnostic::Code;

/// How many characters of a mapping or list that spans several lines are underlined at most.
const LINE_LENGTH: usize = 200;

/// A mapping or list that is still open.
struct Frame<'a> {
    id: NodeId,
    start: Span,
    flow: bool,
    anchor: usize,
    content: Content<'a>,
}

enum Content<'a> {
    Sequence(Vec<NodeId>),
    Mapping { entries: Vec<Entry<'a>>, merges: Vec<NodeId>, key: Option<Key<'a>> },
}

enum Key<'a> {
    Text(Cow<'a, str>, Place, Range<usize>),
    Merge,
    /// Not one that a field can have; reported already.
    Broken,
}

/// Builds the tree of a document out of the parser's events.
pub(super) struct Builder<'a> {
    text: &'a str,
    depth: usize,
    /// Nodes that may still be read.
    pub(super) budget: usize,
    pub(super) tree: Tree<'a>,
    stack: Vec<Frame<'a>>,
    anchors: BTreeMap<usize, NodeId>,
    /// The node that is an unquoted `<<`.
    merge: Option<NodeId>,
    /// Where the last value so far ends.
    last: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, depth: usize, budget: usize) -> Self {
        Self {
            text,
            depth,
            budget,
            tree: Tree::default(),
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            merge: None,
            last: 0,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's events are open-ended; the others carry nothing"
    )]
    pub(super) fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.place(span, span.end.byte_offset());
                let merge = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                let bytes = self.scalar_bytes(span, &text, style);
                // What is not there has a place, though not always one beside its key.
                if !bytes.is_empty() {
                    self.last = self.last.max(bytes.end);
                }
                let id = self.push(Value::Scalar(Scalar::Null), place, bytes)?;
                let scalar = self.scalar(id, text, style, tag.as_deref());
                if let Some(node) = self.tree.nodes.get_mut(id.index()) {
                    node.value = Value::Scalar(scalar);
                    node.anchored = anchor != 0;
                }
                self.merge = merge.then_some(id);
                self.remember(anchor, id);
                self.attach(id);
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::SequenceStart(style, anchor, tag) => {
                let content = Content::Sequence(Vec::new());
                self.open(content, style, anchor, span)?;
                self.container_tag(tag.as_deref(), "seq");
            }
            Event::MappingStart(style, anchor, tag) => {
                let content =
                    Content::Mapping { entries: Vec::new(), merges: Vec::new(), key: None };
                self.open(content, style, anchor, span)?;
                self.container_tag(tag.as_deref(), "map");
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            _ => {}
        }
        Ok(())
    }

    /// The place of what begins at `span` and ends, on whatever line, at byte `end`.
    fn place(&self, span: &Span, end: Option<usize>) -> Place {
        let length = span
            .start
            .byte_offset()
            .and_then(|start| self.text.get(start..end.unwrap_or(start).max(start)))
            .and_then(|slice| slice.split(['\n', '\r']).next())
            .map_or(1, |line| line.trim_end().chars().count().max(1));
        Place {
            line: narrow(span.start.line()),
            column: narrow(span.start.col() + 1),
            length: narrow(length),
        }
    }

    /// The place of the rest of the line, without a comment.
    fn line_place(&self, span: &Span) -> Place {
        let start = span.start.byte_offset().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or_default();
        let end = rest
            .char_indices()
            .take(LINE_LENGTH)
            .find(|(at, c)| {
                matches!(c, '\n' | '\r')
                    || (c.is_whitespace()
                        && rest.get(*at + c.len_utf8()..).is_some_and(|r| r.starts_with('#')))
            })
            .or_else(|| rest.char_indices().nth(LINE_LENGTH))
            .map_or(rest.len(), |(at, _)| at);
        self.place(span, Some(start + end))
    }

    /// The bytes of a scalar. A block scalar (`|`, `>`) ends with its last line that counts, its
    /// line break excluded.
    fn scalar_bytes(&self, span: &Span, value: &str, style: ScalarStyle) -> Range<usize> {
        let bytes = bytes_of(span);
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return bytes;
        }
        let written = self.text.get(bytes.clone()).unwrap_or_default();
        let kept = if value.ends_with("\n\n") {
            let lines = written.trim_end_matches([' ', '\t']);
            let line = lines.strip_suffix('\n').unwrap_or(lines);
            line.strip_suffix('\r').unwrap_or(line)
        } else {
            written.trim_end()
        };
        bytes.start..bytes.start + kept.len()
    }

    fn push(
        &mut self,
        value: Value<'a>,
        place: Place,
        bytes: Range<usize>,
    ) -> Result<NodeId, Fault> {
        self.spend(1, place)?;
        let id = NodeId(narrow(self.tree.nodes.len()));
        let (block, anchored) = (false, false);
        self.tree.nodes.push(Node { value, place, bytes, block, anchored, weight: 1, height: 0 });
        Ok(id)
    }

    fn spend(&mut self, nodes: usize, place: Place) -> Result<(), Fault> {
        self.budget = self.budget.checked_sub(nodes).ok_or_else(|| Fault {
            code: Code::ManifestTooLarge,
            place,
            message: "the text has more values, counted with its aliases, than are read".to_owned(),
            hint: None,
        })?;
        Ok(())
    }

    fn remember(&mut self, anchor: usize, id: NodeId) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn open(
        &mut self,
        content: Content<'a>,
        style: StructureStyle,
        anchor: usize,
        span: &Span,
    ) -> Result<(), Fault> {
        let place = self.place(span, None);
        if self.stack.len() >= self.depth {
            return Err(too_deep(place));
        }
        let id = self.push(Value::Scalar(Scalar::Null), place, bytes_of(span))?;
        self.stack.push(Frame {
            id,
            start: *span,
            flow: style == StructureStyle::Flow,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: &Span) -> Result<(), Fault> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let place = if frame.flow {
            self.last = self.last.max(bytes_of(end).end);
            self.place(&frame.start, end.end.byte_offset())
        } else {
            self.line_place(&frame.start)
        };
        let start = bytes_of(&frame.start).start;
        let bytes = start..self.last.max(start);
        let value = match frame.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, merges, .. } => {
                Value::Mapping(self.unite(frame.id, entries, merges)?)
            }
        };
        let (weight, height) = self.measure(&value);
        if let Some(node) = self.tree.nodes.get_mut(frame.id.index()) {
            let (block, anchored) = (!frame.flow, frame.anchor != 0);
            *node = Node { value, place, bytes, block, anchored, weight, height };
        }
        self.remember(frame.anchor, frame.id);
        self.attach(frame.id);
        Ok(())
    }

    fn measure(&self, value: &Value<'a>) -> (usize, usize) {
        let mut weight = 1_usize;
        let mut height = 0;
        let mut add = |id: NodeId| {
            if let Some(node) = self.tree.node(id) {
                weight = weight.saturating_add(node.weight);
                height = height.max(node.height);
            }
        };
        match value {
            Value::Sequence(items) => items.iter().copied().for_each(&mut add),
            Value::Mapping(entries) => entries.iter().map(|e| e.value).for_each(&mut add),
            Value::Scalar(_) | Value::Alias(_) => {}
        }
        (weight, height + 1)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), Fault> {
        let place = self.place(span, span.end.byte_offset());
        let Some(target) = self.anchors.get(&anchor).copied() else {
            return Err(Fault {
                code: Code::ManifestSyntax,
                place,
                message: "the alias stands inside what it refers to".to_owned(),
                hint: Some("Write the value out instead of the alias.".to_owned()),
            });
        };
        let (weight, height) = self.tree.node(target).map_or((1, 0), |n| (n.weight, n.height));
        if self.stack.len() + height > self.depth {
            return Err(too_deep(place));
        }
        self.spend(weight.saturating_sub(1), place)?;
        let bytes = bytes_of(span);
        self.last = self.last.max(bytes.end);
        let id = self.push(Value::Alias(target), place, bytes)?;
        if let Some(node) = self.tree.nodes.get_mut(id.index()) {
            node.weight = weight;
            node.height = height;
        }
        self.attach(id);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, id: NodeId) {
        let merge = self.merge.take() == Some(id);
        let Some(frame) = self.stack.last_mut() else {
            self.tree.root = Some(id);
            return;
        };
        let mapping = frame.id;
        match &mut frame.content {
            Content::Sequence(items) => items.push(id),
            Content::Mapping { entries, merges, key } => match key.take() {
                Some(Key::Text(key, key_place, key_bytes)) => {
                    entries.push(Entry { key, key_place, key_bytes, value: id, merged: false });
                }
                Some(Key::Merge) => merges.push(id),
                Some(Key::Broken) => {}
                None if merge => *key = Some(Key::Merge),
                None => {
                    let read = key_of(&self.tree, id);
                    if let Key::Broken = read {
                        let place = self.tree.node(id).map_or_else(Place::default, |n| n.place);
                        self.tree.flaws.push(Flaw {
                            node: mapping,
                            key: None,
                            fault: type_fault(place, "the key of a field must be text"),
                        });
                    }
                    *key = Some(read);
                }
            },
        }
    }

    /// The fields of a mapping: its own, of which the first of a name counts, and then those
    /// that are merged in (`<<`) and do not stand there already.
    fn unite(
        &mut self,
        mapping: NodeId,
        own: Vec<Entry<'a>>,
        merges: Vec<NodeId>,
    ) -> Result<Vec<Entry<'a>>, Fault> {
        let mut lines: BTreeMap<Cow<'a, str>, u32> = BTreeMap::new();
        let mut united = Vec::with_capacity(own.len());
        for entry in own {
            if let Some(first) = lines.get(&entry.key) {
                let message = format!("`{}` stands here and in line {first}", entry.key);
                self.tree.flaws.push(Flaw {
                    node: mapping,
                    key: Some(entry.key.clone().into_owned()),
                    fault: Fault {
                        code: Code::DuplicateField,
                        place: entry.key_place,
                        message,
                        hint: None,
                    },
                });
                continue;
            }
            lines.insert(entry.key.clone(), entry.key_place.line);
            united.push(entry);
        }
        let mut known: BTreeSet<_> = lines.into_keys().collect();
        for source in merges {
            for entry in self.merged(mapping, source) {
                if known.insert(entry.key.clone()) {
                    let node = self.tree.node(entry.value);
                    let (weight, place) =
                        node.map_or_else(|| (1, Place::default()), |n| (n.weight, n.place));
                    self.spend(weight, place)?;
                    united.push(Entry { merged: true, ..entry });
                }
            }
        }
        Ok(united)
    }

    /// The fields that `<<: source` brings in.
    fn merged(&mut self, mapping: NodeId, source: NodeId) -> Vec<Entry<'a>> {
        let mut found = Vec::new();
        let whole = match self.tree.value(source) {
            Some(Value::Mapping(entries)) => {
                found.extend_from_slice(entries);
                true
            }
            Some(Value::Sequence(items)) => items.iter().all(|item| {
                if let Some(Value::Mapping(entries)) = self.tree.value(*item) {
                    found.extend_from_slice(entries);
                    true
                } else {
                    false
                }
            }),
            _ => false,
        };
        if !whole {
            let place = self.tree.node(source).map_or_else(Place::default, |n| n.place);
            self.tree.flaws.push(Flaw {
                node: mapping,
                key: None,
                fault: type_fault(place, "only mappings can be merged by `<<`"),
            });
        }
        found
    }

    fn scalar(
        &mut self,
        id: NodeId,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Scalar<'a> {
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain { plain(text) } else { Scalar::Text(text) };
        };
        let wanted = if tag.parts() == ("", "!") || tag.parts() == ("!", "") {
            Some("str")
        } else {
            tag.core_suffix()
        };
        match (wanted, plain(text.clone())) {
            (Some("str"), _) => Scalar::Text(text),
            (Some("int"), value @ Scalar::Number(_, Some(_)))
            | (Some("float"), value @ Scalar::Number(..))
            | (Some("bool"), value @ Scalar::Bool(_))
            | (Some("null"), value @ Scalar::Null) => value,
            _ => {
                self.bad_tag(id, tag);
                Scalar::Text(text)
            }
        }
    }

    fn container_tag(&mut self, tag: Option<&Tag>, wanted: &str) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(wanted)
            && tag.parts() != ("", "!")
            && tag.parts() != ("!", "")
            && let Some(frame) = self.stack.last()
        {
            self.bad_tag(frame.id, tag);
        }
    }

    fn bad_tag(&mut self, id: NodeId, tag: &Tag) {
        let place = self.tree.node(id).map_or_else(Place::default, |n| n.place);
        self.tree.flaws.push(Flaw {
            node: id,
            key: None,
            fault: type_fault(place, &format!("the tag `{}` has no meaning here", tag.original())),
        });
    }
}

fn bytes_of(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or(0);
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

fn type_fault(place: Place, message: &str) -> Fault {
    Fault { code: Code::ManifestType, place, message: message.to_owned(), hint: None }
}

/// A node as the key of a field.
fn key_of<'a>(tree: &Tree<'a>, id: NodeId) -> Key<'a> {
    let (place, bytes) = tree
        .node(id)
        .map_or_else(|| (Place::default(), 0..0), |node| (node.place, node.bytes.clone()));
    match tree.value(id) {
        Some(Value::Scalar(Scalar::Text(text) | Scalar::Number(text, _))) => {
            Key::Text(text.clone(), place, bytes)
        }
        Some(Value::Scalar(Scalar::Bool(value))) => {
            Key::Text(Cow::Borrowed(if *value { "true" } else { "false" }), place, bytes)
        }
        Some(
            Value::Scalar(Scalar::Null) | Value::Sequence(_) | Value::Mapping(_) | Value::Alias(_),
        )
        | None => Key::Broken,
    }
}
