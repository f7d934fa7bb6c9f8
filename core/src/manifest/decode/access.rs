//! The elements of lists and the fields of mappings, as serde asks for them.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use super::super::tree::{Entry, NodeId, Place};
use super::standin::Standin;
use super::{Context, Decoder, Failure, Segment};

/// The elements of a list.
pub(super) struct Items<'c, 't, 'a> {
    pub(super) context: &'c Context<'t, 'a>,
    pub(super) items: std::iter::Enumerate<std::slice::Iter<'t, NodeId>>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let context = self.context;
        // A malformed element has been told of and is left out, as there is no default for it that
        // would certainly do.
        let Some((index, node)) = self.items.find(|(_, node)| !context.is_stood_in(**node)) else {
            return Ok(None);
        };
        context.path.borrow_mut().push(Segment::Index(index));
        let value = seed.deserialize(Decoder {
            context,
            node: *node,
            place: context.tree.node(*node).map_or_else(Place::default, |n| n.place),
        });
        context.path.borrow_mut().pop();
        value.map(Some)
    }
}

/// The fields of a mapping; those of a struct without the ones that it does not know or that have
/// no value, and with stand-ins for missing ones.
pub(super) struct Fields<'c, 't, 'a> {
    pub(super) context: &'c Context<'t, 'a>,
    pub(super) entries: std::slice::Iter<'t, Entry<'a>>,
    pub(super) known: Option<&'static [&'static str]>,
    pub(super) standins: &'c [&'static str],
    pub(super) next: Option<&'t Entry<'a>>,
}

impl<'t, 'a> Fields<'_, 't, 'a> {
    fn advance(&mut self) -> Option<&'t Entry<'a>> {
        let (tree, known, standins) = (self.context.tree, self.known, self.standins);
        self.entries.find(|entry| {
            known.is_none_or(|fields| {
                let key = entry.key.as_ref();
                fields.contains(&key) && !standins.contains(&key) && !tree.is_null(entry.value)
            })
        })
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        self.next = self.advance();
        let key: Option<StrDeserializer<'_, Failure>> = match self.next {
            Some(entry) => Some(entry.key.as_ref().into_deserializer()),
            None => self.standins.split_first().map(|(first, rest)| {
                self.standins = rest;
                (*first).into_deserializer()
            }),
        };
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some(entry) = self.next.take() else {
            return seed.deserialize(Standin);
        };
        let context = self.context;
        context.path.borrow_mut().push(Segment::Field(&entry.key));
        let value = seed.deserialize(Decoder {
            context,
            node: entry.value,
            place: context.tree.field_place(entry),
        });
        context.path.borrow_mut().pop();
        value
    }
}
