//! Trees to typed objects, with every fault instead of the first one.
//!
//! A value of the wrong type is reported and a default stands in for it, so that the rest is still
//! looked at. A missing field ends the attempt, as serde wants it; the next attempt has a default
//! in its place. What was made with defaults is thrown away.

mod access;
mod standin;
mod wording;

use std::cell::RefCell;
use std::collections::{BTreeMap, btree_map};
use std::fmt;

use access::{Fields, Items};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use standin::Standin;
use wording::{Wanted, describe, hint};

use super::scalar::Scalar;
use super::suggest;
use super::tree::{Entry, Fault, NodeId, Place, Tree, Value};
use crate::diagnostic::Code;
use crate::name::{FieldPath, Kind};

/// How many missing fields and malformed values of an object are reported at most.
const MAX_ATTEMPTS: usize = 20;

/// How many faults of an object are reported at most.
const MAX_FAULTS: usize = 100;

/// Fields of `metadata` that Kubernetes knows and that are not read.
const OBJECT_META: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generateName",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Fields of an object that are read elsewhere or not meant for us.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "status"];

/// A fault with the field that it concerns.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) field: FieldPath,
    pub(super) fault: Fault,
}

/// Decodes the object at `root`; `None` if a fault is an error.
pub(super) fn decode<T>(tree: &Tree<'_>, root: NodeId, kind: Kind) -> (Option<T>, Vec<Issue>)
where
    T: for<'de> Deserialize<'de>,
{
    let (object, found) = attempt(tree, root, Some(kind), MAX_ATTEMPTS);
    let sound = found.iter().all(|i| i.fault.code == Code::UnknownField);
    (object.filter(|_| sound), found)
}

/// Decodes settings at `root`; `None` if there is any fault, an unknown field among them.
pub(super) fn decode_settings<T>(tree: &Tree<'_>, root: NodeId) -> (Option<T>, Vec<Issue>)
where
    T: for<'de> Deserialize<'de>,
{
    let (settings, found) = attempt(tree, root, None, MAX_FAULTS);
    (settings.filter(|_| found.is_empty()), found)
}

fn attempt<T>(
    tree: &Tree<'_>,
    root: NodeId,
    kind: Option<Kind>,
    attempts: usize,
) -> (Option<T>, Vec<Issue>)
where
    T: for<'de> Deserialize<'de>,
{
    let place = tree.node(root).map_or_else(Place::default, |n| n.place);
    let mut context = Context {
        tree,
        strict: matches!(kind, None | Some(Kind::IngressRoute | Kind::TlsCertificateDelegation)),
        kind,
        secret: kind == Some(Kind::Secret),
        standins: BTreeMap::new(),
        path: RefCell::default(),
        issues: RefCell::default(),
    };
    let mut found = Vec::new();
    let mut object = None;
    for _ in 0..attempts {
        context.issues.borrow_mut().clear();
        context.path.borrow_mut().clear();
        let value = Decoder { context: &context, node: root, place };
        match T::deserialize(value) {
            Ok(value) => {
                object = Some(value);
                break;
            }
            Err(failure) => {
                let (issue, is_new) = context.stand_in(failure, place);
                if is_new || found.is_empty() {
                    found.push(issue);
                }
                if !is_new {
                    break;
                }
            }
        }
    }
    found.append(&mut context.issues.borrow_mut());
    (object, found)
}

struct Context<'t, 'a> {
    tree: &'t Tree<'a>,
    /// Whether unknown fields are reported.
    strict: bool,
    /// The kind of the object; `None` for settings.
    kind: Option<Kind>,
    /// Whether values must not be shown.
    secret: bool,
    /// Fields of mappings for which a default stands in.
    standins: BTreeMap<NodeId, Vec<&'static str>>,
    path: RefCell<Vec<Segment<'t>>>,
    issues: RefCell<Vec<Issue>>,
}

#[derive(Clone, Copy, Debug)]
enum Segment<'t> {
    Field(&'t str),
    Index(usize),
}

impl Context<'_, '_> {
    fn path(&self) -> FieldPath {
        self.path.borrow().iter().fold(FieldPath::root(), |path, segment| match segment {
            Segment::Field(name) => path.field(name),
            Segment::Index(index) => path.index(*index),
        })
    }

    fn is_stood_in(&self, node: NodeId) -> bool {
        self.standins.get(&node).is_some_and(Vec::is_empty)
    }

    /// What the value at the current path is called.
    fn subject(&self) -> String {
        match self.path.borrow().as_slice() {
            [] => "the document".to_owned(),
            [.., Segment::Field(name)] => format!("`{name}`"),
            [.., Segment::Field(name), Segment::Index(index)] => {
                format!("element {index} of `{name}`")
            }
            [.., Segment::Index(index)] => format!("element {index}"),
        }
    }

    fn report(&self, issue: Issue) {
        let mut issues = self.issues.borrow_mut();
        if issues.len() < MAX_FAULTS {
            issues.push(issue);
        }
    }

    /// Turns what ended an attempt into an issue, and sees to it that the next attempt gets past
    /// it. Says whether that is new, so that another attempt makes sense.
    fn stand_in(&mut self, failure: Failure, root: Place) -> (Issue, bool) {
        let (field, place, node) = match failure.at {
            Some(at) => (at.field, at.place, Some(at.node)),
            None => (FieldPath::root(), root, None),
        };
        let standins = node.map(|node| self.standins.entry(node));
        let (code, message, hint, is_new) = match failure.reason {
            Reason::Missing(name) => (
                Code::MissingField,
                format!("the required field `{name}` is missing"),
                Some(format!("Add `{name}`.")),
                standins.is_some_and(|entry| {
                    let names = entry.or_default();
                    let is_new = !names.contains(&name);
                    names.push(name);
                    is_new
                }),
            ),
            Reason::Other(message) => (
                Code::ManifestType,
                if self.secret { "the value is malformed".to_owned() } else { message },
                None,
                standins.is_some_and(|entry| match entry {
                    btree_map::Entry::Vacant(entry) => {
                        entry.insert(Vec::new());
                        true
                    }
                    btree_map::Entry::Occupied(_) => false,
                }),
            ),
        };
        let fault = Fault { code, place, message, hint };
        (Issue { field, fault }, is_new)
    }
}

/// Why an attempt ended.
#[derive(Debug)]
struct Failure {
    reason: Reason,
    at: Option<Where>,
}

#[derive(Debug)]
enum Reason {
    Missing(&'static str),
    Other(String),
}

#[derive(Debug)]
struct Where {
    node: NodeId,
    place: Place,
    field: FieldPath,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Missing(field) => write!(f, "the required field `{field}` is missing"),
            Reason::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { reason: Reason::Other(message.to_string()), at: None }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { reason: Reason::Missing(field), at: None }
    }
}

/// A value that is being decoded.
#[derive(Clone, Copy)]
struct Decoder<'c, 't, 'a> {
    context: &'c Context<'t, 'a>,
    node: NodeId,
    /// Where to point for it.
    place: Place,
}

impl<'t, 'a> Decoder<'_, 't, 'a> {
    fn value(&self) -> Option<&'t Value<'a>> {
        self.context.tree.value(self.node)
    }

    /// Whether a default stands in for the value as a whole.
    fn is_stood_in(&self) -> bool {
        self.context.is_stood_in(self.node)
    }

    fn locate<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|mut failure| {
            if failure.at.is_none() {
                failure.at =
                    Some(Where { node: self.node, place: self.place, field: self.context.path() });
            }
            failure
        })
    }

    /// Reports that the value has another type than is wanted.
    fn mismatch(&self, wanted: Wanted) {
        if self.is_stood_in() {
            return;
        }
        let value = self.value();
        let found = describe(value, self.context.secret);
        self.context.report(Issue {
            field: self.context.path(),
            fault: Fault {
                code: Code::ManifestType,
                place: self.place,
                message: format!(
                    "{} must be {}, not {found}",
                    self.context.subject(),
                    wanted.as_str()
                ),
                hint: hint(wanted, value),
            },
        });
    }

    fn int(&self) -> Option<i64> {
        if let Value::Scalar(Scalar::Number(_, value)) = self.value()? { *value } else { None }
    }
}

impl<'de> Deserializer<'de> for Decoder<'_, '_, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value() {
            Some(Value::Scalar(Scalar::Bool(value))) => self.locate(visitor.visit_bool(*value)),
            Some(Value::Scalar(Scalar::Number(_, Some(value)))) => {
                self.locate(visitor.visit_i64(*value))
            }
            Some(Value::Scalar(Scalar::Number(text, None) | Scalar::Text(text))) => {
                self.locate(visitor.visit_str(text))
            }
            Some(Value::Sequence(_)) => self.deserialize_seq(visitor),
            Some(Value::Mapping(_)) => self.deserialize_map(visitor),
            Some(Value::Scalar(Scalar::Null) | Value::Alias(_)) | None => {
                self.locate(visitor.visit_unit())
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = if let Some(Value::Scalar(Scalar::Bool(value))) = self.value() {
            *value
        } else {
            self.mismatch(Wanted::Bool);
            false
        };
        self.locate(visitor.visit_bool(value))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.int().unwrap_or_else(|| {
            self.mismatch(Wanted::Int);
            0
        });
        self.locate(visitor.visit_i64(value))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let text = match self.value() {
            Some(Value::Scalar(Scalar::Text(text))) => text.as_ref(),
            // As Kubernetes reads a label or an element without value.
            Some(Value::Scalar(Scalar::Null)) => "",
            _ => {
                self.mismatch(Wanted::Text);
                ""
            }
        };
        self.locate(visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.is_stood_in() || self.context.tree.is_null(self.node) {
            return self.locate(visitor.visit_none());
        }
        self.locate(visitor.visit_some(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let items = match self.value() {
            Some(Value::Sequence(items)) => items.as_slice(),
            Some(Value::Scalar(Scalar::Null)) => &[],
            _ => {
                self.mismatch(Wanted::List);
                &[]
            }
        };
        let access = Items { context: self.context, items: items.iter().enumerate() };
        self.locate(visitor.visit_seq(access))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let entries = match self.value() {
            Some(Value::Mapping(entries)) => entries.as_slice(),
            Some(Value::Scalar(Scalar::Null)) => &[],
            _ => {
                self.mismatch(Wanted::Mapping);
                &[]
            }
        };
        let access = Fields {
            context: self.context,
            entries: entries.iter(),
            known: None,
            standins: &[],
            next: None,
        };
        self.locate(visitor.visit_map(access))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Some(Value::Mapping(entries)) = self.value() else {
            self.mismatch(Wanted::Mapping);
            return Standin.deserialize_struct(name, fields, visitor);
        };
        if self.is_stood_in() {
            return Standin.deserialize_struct(name, fields, visitor);
        }
        if self.context.strict {
            self.report_unknown(name, fields, entries);
        }
        let standins = self.context.standins.get(&self.node);
        let access = Fields {
            context: self.context,
            entries: entries.iter(),
            known: Some(fields),
            standins: standins.map_or(&[], Vec::as_slice),
            next: None,
        };
        self.locate(visitor.visit_map(access))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier
    }
}

impl Decoder<'_, '_, '_> {
    /// Reports the fields that a struct does not have.
    fn report_unknown(&self, name: &str, fields: &[&str], entries: &[Entry<'_>]) {
        let ignored: &[&str] = match name {
            "Metadata" => &OBJECT_META,
            "IngressRoute" | "TlsCertificateDelegation" => &ENVELOPE,
            _ => &[],
        };
        for entry in entries {
            let key = entry.key.as_ref();
            if fields.contains(&key) || ignored.contains(&key) {
                continue;
            }
            let candidates = || fields.iter().chain(ignored).copied();
            let hint = match suggest::nearest(key, candidates()) {
                Some(name) => format!("Did you mean `{name}`?"),
                None if fields.is_empty() => "Nothing is known here.".to_owned(),
                None => [
                    Some(suggest::known(fields)),
                    self.context.kind.and_then(|kind| suggest::elsewhere(key, kind)),
                ]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            };
            self.context.report(Issue {
                field: self.context.path().field(key),
                fault: Fault {
                    code: Code::UnknownField,
                    place: entry.key_place,
                    message: match self.context.kind {
                        Some(_) => format!("unknown field `{key}`; it has no effect"),
                        None => format!("unknown key `{key}`"),
                    },
                    hint: Some(hint),
                },
            });
        }
    }
}
