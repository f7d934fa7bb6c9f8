//! From the object to the field, past what is in the way.

use std::collections::BTreeSet;

use super::super::spans::{Step, steps};
use super::super::tree::{Entry, Node, NodeId, Tree, Value};
use super::layout::Layout;
use super::{Edit, EditError, Literal, Obstacle, Splice};
use crate::name::FieldPath;

/// A mapping or list on the way.
#[derive(Clone, Copy)]
pub(super) struct Link<'w, 't> {
    pub(super) id: NodeId,
    pub(super) node: &'w Node<'t>,
    /// The field that it is the value of; `None` for the object and for elements.
    pub(super) entry: Option<&'w Entry<'t>>,
}

/// What is in the way, and where.
pub(super) type Stop = (Obstacle, NodeId);

/// Plans edits of one object.
pub(super) struct Walk<'w, 't> {
    pub(super) layout: Layout<'t>,
    pub(super) tree: &'w Tree<'t>,
    root: NodeId,
    /// What aliases refer to.
    referred: BTreeSet<NodeId>,
    pub(super) splices: Vec<Splice>,
}

impl<'w, 't> Walk<'w, 't> {
    pub(super) fn new(text: &'t str, tree: &'w Tree<'t>, root: NodeId) -> Self {
        let referred = tree.referred().collect();
        Self { layout: Layout(text), tree, root, referred, splices: Vec::new() }
    }

    /// Adds the splices that make an edit.
    pub(super) fn plan(&mut self, edit: &Edit) -> Result<(), EditError> {
        let path = steps(edit.field.as_str());
        let no_field = || EditError::NoField(edit.field.clone());
        if self.is_so(&path, edit.to.as_ref()) {
            return Ok(());
        }
        let Some((Step::Field(name), around)) = path.split_last() else {
            return Err(no_field());
        };
        let outcome =
            self.follow(around).and_then(|(trail, missing)| match (&edit.to, missing.as_slice()) {
                (Some(to), []) => self.set(&trail, name, to).map(Some),
                (Some(to), missing) => self.make(&trail, missing, name, to),
                (None, []) => self.unset(&trail, name).map(Some),
                (None, _) => Ok(Some(())),
            });
        match outcome {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(no_field()),
            Err((obstacle, at)) => Err(self.stopped(&edit.field, obstacle, at)),
        }
    }

    fn stopped(&self, field: &FieldPath, obstacle: Obstacle, at: NodeId) -> EditError {
        let place = self.tree.node(at).map(|node| node.place).unwrap_or_default();
        let (line, column) = (place.line, place.column);
        EditError::Field { field: field.clone(), line, column, obstacle }
    }

    /// Whether the object says already what is asked.
    fn is_so(&self, path: &[Step], to: Option<&Literal>) -> bool {
        let found = path.iter().try_fold(self.root, |at, step| match step {
            Step::Field(name) => self.tree.field(at, name).map(|entry| entry.value),
            Step::Index(index) => match self.tree.value(at) {
                Some(Value::Sequence(items)) => items.get(*index).copied(),
                Some(Value::Scalar(_) | Value::Mapping(_) | Value::Alias(_)) | None => None,
            },
        });
        match (found.and_then(|id| self.tree.value(id)), to) {
            (Some(Value::Scalar(value)), Some(to)) => to.is(value),
            (Some(_), None) => found.is_some_and(|id| self.tree.is_null(id)),
            (None, to) => to.is_none(),
            (Some(Value::Sequence(_) | Value::Mapping(_) | Value::Alias(_)), Some(_)) => false,
        }
    }

    /// The mappings and lists on the way, and the steps for which there are none.
    fn follow<'p>(&self, path: &'p [Step]) -> Result<(Vec<Link<'w, 't>>, Vec<&'p Step>), Stop> {
        let tree = self.tree;
        let mut trail: Vec<Link<'w, 't>> = Vec::new();
        let (mut id, mut entry) = (self.root, None);
        for (done, step) in std::iter::once(None).chain(path.iter().map(Some)).enumerate() {
            if let Some(step) = step {
                let next = match (step, tree.node(id).map(|node| &node.value)) {
                    (Step::Field(name), Some(Value::Mapping(entries))) => entries
                        .iter()
                        .find(|one| one.key == *name)
                        .map(|one| (one.value, Some(one))),
                    (Step::Index(index), Some(Value::Sequence(items))) => {
                        items.get(*index).map(|item| (*item, None))
                    }
                    (Step::Field(_) | Step::Index(_), _) => None,
                };
                let Some(next) = next else {
                    return Ok((trail, path.iter().skip(done - 1).collect()));
                };
                (id, entry) = next;
            }
            let node = tree.node(id).ok_or((Obstacle::Layout, self.root))?;
            if entry.is_some_and(|entry: &Entry<'_>| entry.merged) {
                return Err((Obstacle::Merge, trail.last().map_or(id, |link| link.id)));
            }
            if let Value::Alias(_) = node.value {
                return Err((Obstacle::Alias, id));
            }
            if let Some(anchor) = self.anchor_around(id, node) {
                return Err((Obstacle::Anchor, anchor));
            }
            trail.push(Link { id, node, entry });
        }
        Ok((trail, Vec::new()))
    }

    /// What aliases refer to that this is, or that it stands in.
    fn anchor_around(&self, id: NodeId, node: &Node<'_>) -> Option<NodeId> {
        self.referred.iter().copied().find(|referred| {
            *referred == id
                || self.tree.node(*referred).is_some_and(|target| {
                    matches!(target.value, Value::Mapping(_) | Value::Sequence(_))
                        && target.bytes.start <= node.bytes.start
                        && node.bytes.start < target.bytes.end
                        && node.bytes.end <= target.bytes.end
                        && target.bytes != node.bytes
                })
        })
    }

    /// Gives a field of the last mapping of a trail a value.
    fn set(&mut self, trail: &[Link<'w, 't>], name: &str, to: &Literal) -> Result<(), Stop> {
        let Some(link) = trail.last() else {
            return Err((Obstacle::Layout, self.root));
        };
        match &link.node.value {
            Value::Mapping(entries) => match entries.iter().find(|entry| entry.key == name) {
                Some(entry) => self.replace(*link, entry, to),
                None => self.insert(trail, &[name], to),
            },
            Value::Scalar(_) => self.fill(trail, &[name], to),
            Value::Sequence(_) | Value::Alias(_) => Err((Obstacle::Type, link.id)),
        }
    }

    /// Makes the mappings that are missing, with a field; `None` if what is missing is an element
    /// or stands in no mapping.
    fn make(
        &mut self,
        trail: &[Link<'w, 't>],
        missing: &[&Step],
        name: &str,
        to: &Literal,
    ) -> Result<Option<()>, Stop> {
        let mut names = Vec::new();
        for step in missing {
            match step {
                Step::Field(name) => names.push(name.as_str()),
                Step::Index(_) => return Ok(None),
            }
        }
        names.push(name);
        match trail.last().map(|link| &link.node.value) {
            Some(Value::Mapping(_)) => self.insert(trail, &names, to).map(Some),
            Some(Value::Scalar(_)) => self.fill(trail, &names, to).map(Some),
            Some(Value::Sequence(_) | Value::Alias(_)) | None => Ok(None),
        }
    }

    fn insert(&mut self, trail: &[Link<'w, 't>], names: &[&str], to: &Literal) -> Result<(), Stop> {
        match trail.last() {
            Some(link) if link.node.block => self.insert_line(trail, names, to),
            Some(_) => self.insert_inline(trail, names, to),
            None => Err((Obstacle::Layout, self.root)),
        }
    }

    /// Puts a mapping where a field of a block mapping has no value.
    fn fill(&mut self, trail: &[Link<'w, 't>], names: &[&str], to: &Literal) -> Result<(), Stop> {
        let [.., above, link] = trail else {
            return Err((Obstacle::Layout, self.root));
        };
        if !self.tree.is_null(link.id) {
            return Err((Obstacle::Type, link.id));
        }
        let at = link.entry.and_then(|entry| self.layout.after_colon(entry.key_bytes.end));
        match at {
            Some(at) if above.node.block && link.node.bytes.is_empty() && !link.node.anchored => {
                let mapping = super::flow::chain(names, to, None);
                self.splice(at..at, format!(" {{{mapping}}}"));
                Ok(())
            }
            _ => Err((Obstacle::Null, link.id)),
        }
    }

    /// Puts another value in the place of one.
    fn replace(
        &mut self,
        mapping: Link<'w, 't>,
        entry: &Entry<'t>,
        to: &Literal,
    ) -> Result<(), Stop> {
        let Some(node) = self.tree.node(entry.value) else {
            return Err((Obstacle::Layout, mapping.id));
        };
        match &node.value {
            _ if entry.merged => return Err((Obstacle::Merge, mapping.id)),
            Value::Alias(_) => return Err((Obstacle::Alias, entry.value)),
            Value::Sequence(_) | Value::Mapping(_) => return Err((Obstacle::Type, entry.value)),
            Value::Scalar(_) if self.tree.is_null(entry.value) => {
                return Err((Obstacle::Null, entry.value));
            }
            Value::Scalar(_) if node.anchored => return Err((Obstacle::Anchor, entry.value)),
            Value::Scalar(_) => {}
        }
        let stop = (Obstacle::Layout, entry.value);
        let colon = self.layout.after_colon(entry.key_bytes.end).ok_or(stop)?;
        let between = self.layout.of(colon..node.bytes.start);
        let begin = between.trim_start();
        let start = if begin.starts_with(['|', '>']) {
            // The comment of a block scalar would be lost with its head.
            if begin.contains('#') {
                return Err(stop);
            }
            node.bytes.start - begin.len()
        } else {
            node.bytes.start
        };
        let json = !mapping.node.block && self.is_quoted(entry);
        self.splice(start..node.bytes.end, to.write(json));
        Ok(())
    }

    /// Takes a field away.
    fn unset(&mut self, trail: &[Link<'w, 't>], name: &str) -> Result<(), Stop> {
        let Some(Link { id, node, .. }) = trail.last() else {
            return Err((Obstacle::Layout, self.root));
        };
        let Value::Mapping(entries) = &node.value else {
            return Err((Obstacle::Type, *id));
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == name) else {
            return Ok(());
        };
        match self.tree.node(entry.value) {
            _ if entry.merged => Err((Obstacle::Merge, *id)),
            Some(value) if value.anchored => Err((Obstacle::Anchor, entry.value)),
            Some(_) | None => self.remove(trail, entry, self.end(entry)),
        }
    }

    /// Takes away what begins with a field's name and ends at `end`.
    pub(super) fn remove(
        &mut self,
        trail: &[Link<'w, 't>],
        entry: &Entry<'t>,
        end: usize,
    ) -> Result<(), Stop> {
        match trail.last() {
            Some(link) if link.node.block => self.remove_line(trail, entry, end),
            Some(_) => self.remove_inline(trail, entry, end),
            None => Err((Obstacle::Layout, self.root)),
        }
    }

    /// Where a field ends.
    pub(super) fn end(&self, entry: &Entry<'_>) -> usize {
        let value = self.tree.node(entry.value).filter(|node| !node.bytes.is_empty());
        value.map_or(0, |node| node.bytes.end).max(entry.key_bytes.end)
    }

    pub(super) fn is_quoted(&self, entry: &Entry<'_>) -> bool {
        self.layout.of(entry.key_bytes.clone()).starts_with('"')
    }

    pub(super) fn splice(&mut self, bytes: std::ops::Range<usize>, with: String) {
        self.splices.push(Splice { bytes, with });
    }
}

/// The fields of a mapping that stand in it, in the order of the text.
pub(super) fn own<'w, 't>(node: &'w Node<'t>) -> Vec<&'w Entry<'t>> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().filter(|entry| !entry.merged).collect(),
        Value::Scalar(_) | Value::Sequence(_) | Value::Alias(_) => Vec::new(),
    }
}

/// Whether a mapping has one field, merged ones counted.
pub(super) fn is_only(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::Mapping(entries) if entries.len() == 1)
}
