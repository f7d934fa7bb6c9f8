//! What stands in the directory, as the sandbox itself needs it: whom to be, whom to call, and
//! which fields of an object differ. The routing is the controller's, which reads for itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contour_core::api::Object;
use contour_core::manifest::{self, Limits, Manifest};
use contour_core::name::{Kind, ObjectRef};
use contour_files::Reading;
use serde_json::Value;

use super::change::{self, Field};
use super::demo::{self, Place};

/// An object as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    file: String,
    fields: Value,
}

/// The manifests of a directory at one time.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    path: PathBuf,
    texts: BTreeMap<String, String>,
    manifests: BTreeMap<String, Manifest>,
    objects: BTreeMap<ObjectRef, Standing>,
}

/// A host that the directory asks to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Whether it has TLS that Envoy terminates.
    pub tls: bool,
}

/// How an object differs from what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands, or stood.
    pub file: Option<String>,
    /// Whether it is there.
    pub present: bool,
    /// Whether it was there.
    pub was_present: bool,
    /// The fields that differ, if it was there and is.
    pub fields: Vec<Field>,
}

impl Directory {
    /// A directory of which nothing is known yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what differs from the last time. A file that cannot be read, or is half-written,
    /// counts as it was, as it does for the controller.
    pub fn refresh(&mut self) {
        let listing = contour_files::list(&self.path);
        let paths: Vec<PathBuf> = listing.files.into_iter().map(|(path, _)| path).collect();
        let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        self.texts.retain(|file, _| shown.contains(file));
        self.manifests.retain(|file, _| shown.contains(file));
        self.objects.retain(|_, standing| shown.contains(&standing.file));
        for (path, file) in paths.iter().zip(shown) {
            let Reading::Text(_, text) = contour_files::read(path, Limits::default().bytes) else {
                continue;
            };
            if self.texts.get(&file) != Some(&text) {
                self.replace(&file, &text);
                self.texts.insert(file, text);
            }
        }
    }

    fn replace(&mut self, file: &str, text: &str) {
        let manifest = manifest::read(file, text, Limits::default());
        let known = self.manifests.contains_key(file);
        if known && (!manifest.complete || text.trim().is_empty()) {
            return;
        }
        self.manifests.insert(file.to_owned(), manifest);
        let Ok(values) = serde_saphyr::from_multiple::<Value>(text) else {
            return;
        };
        self.objects.retain(|_, standing| standing.file != file);
        for fields in values.into_iter().flat_map(items) {
            if let Some(reference) = identify(&fields) {
                let standing = Standing { file: file.to_owned(), fields };
                self.objects.entry(reference).or_insert(standing);
            }
        }
    }

    /// Where demo services are to answer.
    pub fn places(&self) -> Vec<Place> {
        demo::places(self.manifests.values())
    }

    /// The hosts of root `IngressRoutes`, except those whose TLS ends behind Envoy.
    pub fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = self
            .manifests
            .values()
            .flat_map(|manifest| &manifest.documents)
            .filter_map(|document| match &document.object {
                Some(Object::IngressRoute(route)) => route.spec.virtualhost.as_ref(),
                Some(_) | None => None,
            })
            .filter(|host| !host.tls.as_ref().is_some_and(|tls| tls.passthrough))
            .map(|host| Host { name: host.fqdn.to_string(), tls: host.tls.is_some() })
            .collect();
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts.dedup_by(|a, b| a.name == b.name);
        hosts
    }

    /// How an object differs from what it was at `before`.
    pub fn difference(&self, before: &Self, object: &ObjectRef) -> Difference {
        let old = before.objects.get(object);
        let new = self.objects.get(object);
        let secret = object.kind == Kind::Secret;
        Difference {
            file: new.or(old).map(|standing| standing.file.clone()),
            present: new.is_some(),
            was_present: old.is_some(),
            fields: match (old, new) {
                (Some(old), Some(new)) => change::between(&old.fields, &new.fields, secret),
                (Some(_) | None, Some(_) | None) => Vec::new(),
            },
        }
    }
}

/// The objects of a document: itself, or the items of a list.
fn items(document: Value) -> Vec<Value> {
    if document.get("kind").and_then(Value::as_str) != Some("List") {
        return vec![document];
    }
    match document.get("items") {
        Some(Value::Array(items)) => items.clone(),
        Some(_) | None => Vec::new(),
    }
}

fn identify(fields: &Value) -> Option<ObjectRef> {
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let kind = Kind::from_gvk(&text(fields, "apiVersion")?, &text(fields, "kind")?)?;
    let metadata = fields.get("metadata")?;
    let namespace = match kind {
        Kind::Namespace => String::new(),
        Kind::IngressRoute
        | Kind::TlsCertificateDelegation
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Secret => text(metadata, "namespace").unwrap_or_else(|| "default".to_owned()),
    };
    Some(ObjectRef::new(kind, namespace, text(metadata, "name")?))
}
