//! Where the fields of a document stand, in a form small enough to keep for every object.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::tree::{Entry, NodeId, Place, Tree, Value};
use crate::diagnostic::Location;
use crate::name::FieldPath;

/// Fields of an object that nobody is ever told about.
const SKIPPED: [&str; 2] = ["status", "managedFields"];

/// Where the fields of a document stand.
///
/// # Cost
/// 20 bytes for each field and element, keys not counted: of them only hashes are kept.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    file: Option<Arc<str>>,
    /// The fields in the order of the document, each before what is in it.
    marks: Box<[Mark]>,
    /// Marks whose content is that of another mark, in order: YAML aliases.
    aliases: Box<[(u32, u32)]>,
}

/// A field or element.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The hash of the field's name; 0 for elements.
    key: u32,
    /// The index of the first mark behind what is in this one.
    end: u32,
    place: Place,
}

/// A step of a field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    Index(usize),
}

impl Spans {
    /// The place of a field, or of the nearest field around it that stands in the text.
    ///
    /// For a field whose value begins on a line of its own, that is the place of its name.
    pub fn locate(&self, field: &FieldPath) -> Option<Location> {
        let mut at = 0;
        for step in steps(field.as_str()) {
            match self.child(at, &step) {
                Some(child) => at = child,
                None => break,
            }
        }
        let place = self.mark(at)?.place;
        Some(Location {
            file: Arc::clone(self.file.as_ref()?),
            line: place.line,
            column: place.column,
            length: place.length,
        })
    }

    fn mark(&self, at: u32) -> Option<&Mark> {
        self.marks.get(at as usize)
    }

    fn child(&self, at: u32, step: &Step) -> Option<u32> {
        let at = self
            .aliases
            .binary_search_by_key(&at, |(alias, _)| *alias)
            .ok()
            .and_then(|found| self.aliases.get(found))
            .map_or(at, |(_, target)| *target);
        let end = self.mark(at)?.end;
        let children = std::iter::successors(Some(at + 1), |child| Some(self.mark(*child)?.end))
            .take_while(|child| *child < end);
        match step {
            Step::Index(index) => children.into_iter().nth(*index),
            Step::Field(name) => {
                let key = hash(name);
                children.into_iter().find(|child| self.mark(*child).is_some_and(|m| m.key == key))
            }
        }
    }

    /// The places of the object at `root`.
    pub(super) fn of(file: &Arc<str>, tree: &Tree<'_>, root: NodeId) -> Self {
        let mut collector = Collector {
            tree,
            marks: Vec::new(),
            aliases: Vec::new(),
            seen: vec![None; tree.len()],
        };
        let place = tree.node(root).map_or_else(Place::default, |n| n.place);
        collector.visit(root, 0, place);
        Self {
            file: Some(Arc::clone(file)),
            marks: collector.marks.into_boxed_slice(),
            aliases: collector.aliases.into_boxed_slice(),
        }
    }
}

struct Collector<'t, 'a> {
    tree: &'t Tree<'a>,
    marks: Vec<Mark>,
    aliases: Vec<(u32, u32)>,
    /// The mark of each node that has one.
    seen: Vec<Option<u32>>,
}

impl Collector<'_, '_> {
    fn visit(&mut self, id: NodeId, key: u32, place: Place) {
        let Ok(at) = u32::try_from(self.marks.len()) else {
            return;
        };
        self.marks.push(Mark { key, end: at + 1, place });
        let target = match self.tree.node(id).map(|n| &n.value) {
            Some(Value::Alias(target)) => *target,
            _ => id,
        };
        if let Some(known) = self.seen.get(target.index()).copied().flatten() {
            self.aliases.push((at, known));
            return;
        }
        if let Some(seen) = self.seen.get_mut(target.index()) {
            *seen = Some(at);
        }
        match self.tree.value(target) {
            Some(Value::Sequence(items)) => {
                for item in items {
                    let place = self.tree.node(*item).map_or_else(Place::default, |n| n.place);
                    self.visit(*item, 0, place);
                }
            }
            Some(Value::Mapping(entries)) => {
                for entry in entries {
                    self.field(entry);
                }
            }
            Some(Value::Scalar(_) | Value::Alias(_)) | None => {}
        }
        let end = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        if let Some(mark) = self.marks.get_mut(at as usize) {
            mark.end = end;
        }
    }

    fn field(&mut self, entry: &Entry<'_>) {
        if !SKIPPED.contains(&entry.key.as_ref()) {
            let place = self.tree.field_place(entry);
            self.visit(entry.value, hash(&entry.key), place);
        }
    }
}

/// The lower half of a good hash: two fields of one mapping that share it would share a place in
/// a message, and nothing worse.
fn hash(name: &str) -> u32 {
    u32::try_from(xxh3_64(name.as_bytes()) & u64::from(u32::MAX)).unwrap_or_default()
}

/// The steps of a path as [`FieldPath`] writes them; whatever is not understood ends them.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while let Some((step, after)) = step(rest) {
        steps.push(step);
        rest = after;
    }
    steps
}

fn step(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at_checked(end)?;
        return Some((Step::Field(name.to_owned()), rest));
    }
    let rest = path.strip_prefix('[')?;
    if let Some(quoted) = rest.strip_prefix('"') {
        let (name, rest) = unquote(quoted)?;
        return Some((Step::Field(name), rest.strip_prefix(']')?));
    }
    let (digits, rest) = rest.split_once(']')?;
    Some((Step::Index(digits.parse().ok()?), rest))
}

/// Undoes the escapes of Rust's debug format up to the closing quote; also returns what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return Some((name, rest.as_str())),
            '\\' => name.push(match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                    rest = after.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                other => other,
            }),
            other => name.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_path_are_those_it_was_made_of() {
        for name in ["spec", "a/b", "say \"x\"", "tab\there", "\u{202e}", "a]b", "é", ""] {
            let path = FieldPath::root().field("x").index(12).field(name);
            assert_eq!(
                steps(path.as_str()),
                [Step::Field("x".to_owned()), Step::Index(12), Step::Field(name.to_owned())],
                "{name:?}"
            );
        }
        assert_eq!(steps("nonsense"), []);
        assert_eq!(steps(".a[x"), [Step::Field("a".to_owned())]);
    }
}
