//! A list while it is being read.

use std::collections::BTreeSet;

use contour_core::name::ObjectName;
use contour_core::status::Address;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{Decoded, Revision};

/// An object that differs from what was known of it.
#[derive(Debug)]
pub(super) struct Differing {
    pub(super) name: ObjectName,
    pub(super) revision: Revision,
    pub(super) decoded: Decoded,
}

/// A list while it is being read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// What there is.
    pub(super) seen: BTreeSet<ObjectName>,
    /// What differs from what was known, if anything was; told at the end.
    pub(super) differing: Vec<Differing>,
    /// The addresses, if the list has something newer to say of them than was known.
    pub(super) addresses: Option<(ObjectName, Revision, Vec<Address>)>,
    /// Where the last page ended.
    pub(super) token: Option<String>,
    /// Whether a watch could have gone on, so that nothing should differ.
    pub(super) is_comparison: bool,
}

impl Listing {
    pub(super) fn new(is_comparison: bool) -> Self {
        Self { is_comparison, ..Self::default() }
    }

    /// The object has been deleted meanwhile.
    pub(super) fn forget(&mut self, name: &ObjectName) {
        self.seen.remove(name);
        self.differing.retain(|object| object.name != *name);
    }
}

/// A page of a list.
pub(super) struct Page<'a> {
    pub(super) items: Vec<&'a RawValue>,
    pub(super) version: Option<String>,
    /// Where the next page begins, if there is one.
    pub(super) token: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default)]
    metadata: WireMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    #[serde(default)]
    resource_version: Option<String>,
    #[serde(default)]
    r#continue: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        let Wire { metadata, items } = serde_json::from_slice(body)?;
        Ok(Self {
            items: items.unwrap_or_default(),
            version: metadata.resource_version,
            token: metadata.r#continue.filter(|token| !token.is_empty()),
        })
    }
}
