//! A model of the API server: objects with versions, a log of what happened to each kind that
//! reaches back only so far, lists by pages and as streams.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use contour_cluster::scope::Scope;
use contour_core::name::{Kind, ObjectName};
use serde_json::{Value, json};

use super::objects::Draft;

/// An object as it is stored.
pub(super) struct Stored {
    value: Value,
    /// As it is sent in an event.
    pub(super) text: Arc<str>,
}

/// Something that happened.
pub(super) struct Happened {
    pub(super) version: u64,
    pub(super) name: ObjectName,
    pub(super) line: Arc<str>,
}

/// The objects of a kind.
#[derive(Default)]
pub(super) struct Collection {
    pub(super) objects: BTreeMap<ObjectName, Stored>,
    pub(super) log: VecDeque<Happened>,
    /// From older versions nobody can go on.
    pub(super) oldest: u64,
    /// Whether the definition of the kind was deleted.
    pub(super) is_gone: bool,
}

/// A list that somebody reads page by page.
struct Snapshot {
    version: u64,
    items: Vec<Arc<str>>,
}

/// See the module.
pub(super) struct Server {
    version: u64,
    collections: BTreeMap<Kind, Collection>,
    snapshots: BTreeMap<u64, Snapshot>,
    lists: u64,
}

/// Whether an object of the scope's kind belongs to the scope.
fn is_in(scope: &Scope, name: &ObjectName) -> bool {
    match scope {
        Scope::Objects { .. } => true,
        Scope::Addresses(service) => service == name,
    }
}

impl Server {
    pub(super) fn new() -> Self {
        let collections = Kind::ALL.into_iter().map(|kind| (kind, Collection::default()));
        Self {
            version: 100,
            collections: collections.collect(),
            snapshots: BTreeMap::new(),
            lists: 0,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn of(&self, kind: Kind) -> &Collection {
        &self.collections[&kind]
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Collection {
        self.collections.entry(kind).or_default()
    }

    /// Every object, as it is sent.
    pub(super) fn objects(&self) -> impl Iterator<Item = (Kind, &ObjectName, &Arc<str>)> {
        let all = self.collections.iter();
        all.flat_map(|(kind, c)| c.objects.iter().map(|(name, o)| (*kind, name, &o.text)))
    }

    /// Creates or replaces an object, if its kind is defined.
    pub(super) fn put(&mut self, draft: Draft) {
        let (kind, name) = (draft.kind, draft.name());
        if self.of(kind).is_gone {
            return;
        }
        self.version += 1;
        let version = self.version;
        let mut value = draft.value;
        let old = self.of(kind).objects.get(&name).map(|o| &o.value["metadata"]);
        let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let uid = old.map_or_else(
            || json!(format!("00000000-0000-4000-8000-{version:012x}")),
            |old| old["uid"].clone(),
        );
        let generation = old.and_then(|old| old["generation"].as_u64()).unwrap_or(0) + 1;
        value["apiVersion"] = kind.api_version().into();
        value["kind"] = kind.as_str().into();
        value["metadata"]["uid"] = uid;
        value["metadata"]["generation"] = generation.into();
        self.happened(kind, name, what, value);
    }

    /// Writes something that nobody reads into an object.
    pub(super) fn touch(&mut self, kind: Kind, name: &ObjectName) {
        let Some(stored) = self.of(kind).objects.get(name) else { return };
        let mut value = stored.value.clone();
        self.version += 1;
        value["metadata"]["managedFields"] = json!([{"manager": "m", "time": self.version}]);
        self.happened(kind, name.clone(), "MODIFIED", value);
    }

    pub(super) fn delete(&mut self, kind: Kind, name: &ObjectName) {
        if let Some(stored) = self.of_mut(kind).objects.remove(name) {
            self.version += 1;
            self.happened(kind, name.clone(), "DELETED", stored.value);
        }
    }

    fn happened(&mut self, kind: Kind, name: ObjectName, what: &str, mut value: Value) {
        let version = self.version;
        value["metadata"]["resourceVersion"] = version.to_string().into();
        let text: Arc<str> = value.to_string().into();
        let line = format!("{{\"type\":\"{what}\",\"object\":{text}}}").into();
        let collection = self.of_mut(kind);
        if what != "DELETED" {
            collection.objects.insert(name.clone(), Stored { value, text });
        }
        collection.log.push_back(Happened { version, name, line });
    }

    /// Forgets what happened to a kind, up to now.
    pub(super) fn compact(&mut self, kind: Kind) {
        let version = self.version;
        let collection = self.of_mut(kind);
        collection.log.clear();
        collection.oldest = version;
    }

    /// Deletes the definition of a kind, and with it the objects.
    pub(super) fn undefine(&mut self, kind: Kind) {
        let names: Vec<_> = self.of(kind).objects.keys().cloned().collect();
        for name in names {
            self.delete(kind, &name);
        }
        self.of_mut(kind).is_gone = true;
    }

    pub(super) fn define(&mut self, kind: Kind) {
        self.version += 1;
        self.of_mut(kind).is_gone = false;
        self.compact(kind);
    }

    /// Continue tokens expire.
    pub(super) fn forget_lists(&mut self) {
        self.snapshots.clear();
    }

    /// A page of a list, and whether more follow; `None` if the token has expired.
    pub(super) fn page(
        &mut self,
        scope: &Scope,
        limit: usize,
        token: Option<&str>,
    ) -> Option<(String, bool)> {
        let (id, offset) = match token {
            Some(token) => {
                let (id, offset) = token.split_once('.')?;
                (id.parse().ok()?, offset.parse().ok()?)
            }
            None => (self.begin_list(scope), 0),
        };
        let snapshot = self.snapshots.get(&id)?;
        let rest = &snapshot.items[offset..];
        let items: Vec<&str> = rest.iter().take(limit).map(AsRef::as_ref).collect();
        let has_more = rest.len() > limit;
        let next = if has_more { format!("{id}.{}", offset + limit) } else { String::new() };
        let (kind, version) = (scope.kind(), snapshot.version);
        let body = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{version}\",\
             \"continue\":\"{next}\"}},\"items\":[{}]}}",
            kind.api_version(),
            items.join(",")
        );
        if !has_more {
            self.snapshots.remove(&id);
        }
        Some((body, has_more))
    }

    fn begin_list(&mut self, scope: &Scope) -> u64 {
        self.lists += 1;
        let items = self.items(scope).into_iter().cloned().collect();
        self.snapshots.insert(self.lists, Snapshot { version: self.version, items });
        self.lists
    }

    fn items(&self, scope: &Scope) -> Vec<&Arc<str>> {
        let all = self.of(scope.kind()).objects.iter();
        all.filter(|(name, _)| is_in(scope, name)).map(|(_, o)| &o.text).collect()
    }

    /// The lines with which a streamed list begins, without the one that ends it.
    pub(super) fn initial_lines(&self, scope: &Scope) -> Vec<Arc<str>> {
        let lines = self.items(scope).into_iter();
        lines.map(|text| format!("{{\"type\":\"ADDED\",\"object\":{text}}}").into()).collect()
    }

    /// What happened in a scope after a version.
    pub(super) fn after<'a>(
        &'a self,
        scope: &'a Scope,
        version: u64,
    ) -> impl Iterator<Item = &'a Happened> {
        let log = self.of(scope.kind()).log.iter();
        log.skip_while(move |h| h.version <= version).filter(|h| is_in(scope, &h.name))
    }
}

/// A bookmark; the one that ends the list of a stream says so.
pub(super) fn bookmark(kind: Kind, version: u64, ends_list: bool) -> String {
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if ends_list {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object =
        json!({"kind": kind.as_str(), "apiVersion": kind.api_version(), "metadata": metadata});
    json!({"type": "BOOKMARK", "object": object}).to_string()
}

/// An error in a stream.
pub(super) fn error(code: u16, message: &str) -> String {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code,
    });
    json!({"type": "ERROR", "object": status}).to_string()
}
