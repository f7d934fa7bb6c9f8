//! What a text says, without how it says it.

use std::collections::BTreeMap;

use super::super::scalar::Scalar;
use super::super::spans::{Step, steps};
use super::super::tree::{Entry, NodeId, Tree, Value};
use super::Edit;

/// A value with all that is in it, aliases followed, fields in no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content<'t> {
    Scalar(Scalar<'t>),
    List(Vec<Self>),
    Mapping(BTreeMap<String, Self>),
}

impl<'t> Content<'t> {
    /// What a document says, each value given to `change` once all in it is read.
    pub(super) fn of(tree: &Tree<'t>, change: &impl Fn(NodeId, &mut Self)) -> Self {
        tree.root().map_or(Self::Scalar(Scalar::Null), |root| Self::at(tree, root, change))
    }

    fn at(tree: &Tree<'t>, id: NodeId, change: &impl Fn(NodeId, &mut Self)) -> Self {
        let mut content = match tree.value(id) {
            Some(Value::Scalar(scalar)) => Self::Scalar(scalar.clone()),
            Some(Value::Sequence(items)) => {
                Self::List(items.iter().map(|item| Self::at(tree, *item, change)).collect())
            }
            Some(Value::Mapping(entries)) => {
                let field = |entry: &Entry<'t>| {
                    (entry.key.clone().into_owned(), Self::at(tree, entry.value, change))
                };
                Self::Mapping(entries.iter().map(field).collect())
            }
            Some(Value::Alias(_)) | None => Self::Scalar(Scalar::Null),
        };
        change(id, &mut content);
        content
    }

    /// Makes an edit.
    pub(super) fn make(&mut self, edit: &Edit) {
        let steps = steps(edit.field.as_str());
        match &edit.to {
            Some(to) => self.set(&steps, to.scalar()),
            None => self.remove(&steps, true),
        }
    }

    /// Brings what may have been left by an edit into the form that [`Self::make`] leaves.
    pub(super) fn settle(&mut self, edit: &Edit) {
        if edit.to.is_none() {
            self.remove(&steps(edit.field.as_str()), false);
        }
    }

    fn set(&mut self, steps: &[Step], to: Scalar<'t>) {
        let Some((step, rest)) = steps.split_first() else {
            // However a number is written, it is the same.
            if !matches!((&*self, &to), (Self::Scalar(Scalar::Number(_, a)), Scalar::Number(_, b)) if a == b)
            {
                *self = Self::Scalar(to);
            }
            return;
        };
        match (step, self) {
            (Step::Field(name), Self::Mapping(fields)) => {
                let field = fields.entry(name.clone()).or_insert(Self::Scalar(Scalar::Null));
                field.set(rest, to);
            }
            (Step::Field(name), this @ Self::Scalar(Scalar::Null)) => {
                let mut field = Self::Scalar(Scalar::Null);
                field.set(rest, to);
                *this = Self::Mapping(BTreeMap::from([(name.clone(), field)]));
            }
            (Step::Index(index), Self::List(items)) => {
                if let Some(item) = items.get_mut(*index) {
                    item.set(rest, to);
                }
            }
            (Step::Field(_) | Step::Index(_), _) => {}
        }
    }

    /// Takes a field away if it is `own`, and the mappings around it that have nothing else:
    /// whether those stay, empty or `null`, says nothing.
    fn remove(&mut self, steps: &[Step], own: bool) {
        match (steps, self) {
            ([Step::Field(name)], Self::Mapping(fields)) => {
                if own {
                    fields.remove(name);
                }
            }
            ([Step::Field(name), rest @ ..], Self::Mapping(fields)) => {
                if let Some(field) = fields.get_mut(name) {
                    field.remove(rest, own);
                    let nothing = match field {
                        Self::Mapping(fields) => fields.is_empty(),
                        Self::Scalar(value) => *value == Scalar::Null,
                        Self::List(_) => false,
                    };
                    if nothing {
                        fields.remove(name);
                    }
                }
            }
            ([Step::Index(index), rest @ ..], Self::List(items)) => {
                if let Some(item) = items.get_mut(*index) {
                    item.remove(rest, own);
                }
            }
            (_, _) => {}
        }
    }
}
