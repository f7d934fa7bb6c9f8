//! Documents to objects: which kind, which name, and what is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::decode::{Issue, decode};
use super::scalar::Scalar;
use super::suggest;
use super::tree::{Fault, Flaw, NodeId, Place, Tree, Value};
use super::{Document, Manifest, Spans};
use crate::api::{Metadata, Object};
use crate::diagnostic::{Code, Diagnostic, Location};
use crate::name::{FieldPath, Kind, ObjectRef, is_dns_label, is_dns_subdomain};

/// The namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// How many faults outside of objects are told of one text at most.
const MAX_NAMELESS: usize = 1000;

/// Reads the objects of one document. One that does not say its kind is of the kind `implied`.
/// Returns where each stands that was added to the manifest.
pub(super) fn read(
    file: &Arc<str>,
    tree: &Tree<'_>,
    implied: Option<Kind>,
    manifest: &mut Manifest,
) -> Vec<NodeId> {
    let flaws = flaws_by_node(tree);
    let mut reader = Reader { file, tree, flaws, manifest, roots: Vec::new() };
    if let Some(root) = tree.root().filter(|root| !tree.is_null(*root)) {
        reader.document(root, implied);
    }
    reader.roots
}

/// A diagnostic about the text, or about an object that cannot be named.
pub(super) fn nameless(file: &Arc<str>, fault: Fault) -> Diagnostic {
    Diagnostic {
        code: fault.code,
        object: None,
        field: FieldPath::root(),
        message: fault.message,
        hint: fault.hint,
        location: Some(locate(file, fault.place)),
    }
}

/// A diagnostic about a field of no object.
pub(super) fn of_field(file: &Arc<str>, issue: Issue) -> Diagnostic {
    Diagnostic { field: issue.field, ..nameless(file, issue.fault) }
}

fn locate(file: &Arc<str>, place: Place) -> Location {
    Location {
        file: Arc::clone(file),
        line: place.line,
        column: place.column,
        length: place.length.max(1),
    }
}

struct Reader<'r, 't, 'a> {
    file: &'r Arc<str>,
    tree: &'t Tree<'a>,
    flaws: BTreeMap<NodeId, Vec<&'t Flaw>>,
    manifest: &'r mut Manifest,
    /// Where the objects stand that were added to it.
    roots: Vec<NodeId>,
}

impl<'t> Reader<'_, 't, '_> {
    fn tell(&mut self, place: Place, code: Code, field: FieldPath, message: String) {
        self.tell_hint(place, code, field, (message, None));
    }

    fn tell_hint(
        &mut self,
        place: Place,
        code: Code,
        field: FieldPath,
        (message, hint): (String, Option<String>),
    ) {
        if self.manifest.diagnostics.len() >= MAX_NAMELESS {
            return;
        }
        self.manifest.diagnostics.push(Diagnostic {
            code,
            object: None,
            field,
            message,
            hint,
            location: Some(locate(self.file, place)),
        });
    }

    fn place(&self, id: NodeId) -> Place {
        self.tree.node(id).map_or_else(Place::default, |n| n.place)
    }

    /// Reads an object, or the items of a list of them. `implied` is the kind of an item of a
    /// typed list, which need not repeat it.
    fn document(&mut self, root: NodeId, implied: Option<Kind>) {
        if !matches!(self.tree.value(root), Some(Value::Mapping(_))) {
            self.tell_hint(
                self.place(root),
                Code::ManifestType,
                FieldPath::root(),
                (
                    "the document must be a mapping with `apiVersion`, `kind` and `metadata`"
                        .to_owned(),
                    Some("Write a Kubernetes object, or remove the document.".to_owned()),
                ),
            );
            return;
        }
        let api_version = self.tree.text(root, "apiVersion");
        let kind = self.tree.text(root, "kind");
        let (api_version, kind) = match (api_version, kind, implied) {
            (Some(api_version), Some(kind), _) => (api_version, kind),
            (None, None, Some(kind)) => (kind.api_version(), kind.as_str()),
            (None, _, _) => return self.tell_absent(root, "apiVersion"),
            (_, None, _) => return self.tell_absent(root, "kind"),
        };
        if let Some(kind) = Kind::from_gvk(api_version, kind) {
            self.object(root, kind);
        } else if let Some(item) = kind.strip_suffix("List") {
            let implied = Kind::from_gvk(api_version, item);
            if implied.is_some() || (item.is_empty() && api_version == "v1") {
                self.items(root, implied);
            } else {
                self.tell_unsupported(root, api_version, kind);
            }
        } else {
            self.tell_unsupported(root, api_version, kind);
        }
    }

    fn items(&mut self, root: NodeId, implied: Option<Kind>) {
        let Some(entry) = self.tree.field(root, "items") else {
            return self.tell_absent(root, "items");
        };
        match self.tree.value(entry.value) {
            Some(Value::Sequence(items)) => {
                for item in items {
                    self.document(*item, implied);
                }
            }
            Some(Value::Scalar(Scalar::Null)) => {}
            Some(Value::Scalar(_) | Value::Mapping(_) | Value::Alias(_)) | None => {
                let field = FieldPath::root().field("items");
                let message = "`items` must be a list".to_owned();
                self.tell(self.tree.field_place(entry), Code::ManifestType, field, message);
            }
        }
    }

    /// A field that every object needs is missing or no text.
    fn tell_absent(&mut self, root: NodeId, name: &str) {
        let field = FieldPath::root().field(name);
        match self.tree.field(root, name) {
            Some(entry) => {
                let place = self.tree.field_place(entry);
                let message = format!("`{name}` must be text");
                self.tell(place, Code::ManifestType, field, message);
            }
            None => self.tell_hint(
                self.place(root),
                Code::MissingField,
                field,
                (format!("the document has no `{name}`"), Some(format!("Add `{name}`."))),
            ),
        }
    }

    fn tell_unsupported(&mut self, root: NodeId, api_version: &str, kind: &str) {
        let near = Kind::ALL.into_iter().find(|k| k.as_str() == kind).or_else(|| {
            let name = suggest::nearest(kind, Kind::ALL.iter().map(|k| k.as_str()))?;
            Kind::ALL.into_iter().find(|k| k.as_str() == name && k.api_version() == api_version)
        });
        let hint = near.map(|near| {
            format!(
                "If it is meant to be read: {} has apiVersion {} and kind {}.",
                near,
                near.api_version(),
                near.as_str()
            )
        });
        let name = self
            .tree
            .field(root, "metadata")
            .and_then(|metadata| self.tree.text(metadata.value, "name"))
            .map_or_else(String::new, |name| format!(" {:?}", shorten(name)));
        let message = format!(
            "{} {}{name} is not of a kind that is read",
            shorten(api_version),
            shorten(kind)
        );
        let place = self
            .tree
            .field(root, "kind")
            .map_or_else(|| self.place(root), |entry| self.tree.field_place(entry));
        let field = FieldPath::root().field("kind");
        self.tell_hint(place, Code::UnsupportedKind, field, (message, hint));
    }

    fn object(&mut self, root: NodeId, kind: Kind) {
        let Some(reference) = self.identity(root, kind) else {
            return;
        };
        let mut issues = Vec::new();
        if !self.flaws.is_empty() {
            collect_flaws(self.tree, &self.flaws, root, &FieldPath::root(), &mut issues);
        }
        let (object, found) = self.decode(root, &reference);
        issues.extend(found);
        issues.sort_by_key(|issue| (issue.fault.place.line, issue.fault.place.column));
        let sound = issues.iter().all(|i| i.fault.code == Code::UnknownField);
        let diagnostics = issues
            .into_iter()
            .map(|issue| Diagnostic {
                code: issue.fault.code,
                object: Some(reference.clone()),
                field: issue.field,
                message: issue.fault.message,
                hint: issue.fault.hint,
                location: Some(locate(self.file, issue.fault.place)),
            })
            .collect();
        self.roots.push(root);
        self.manifest.documents.push(Document {
            reference,
            object: object.filter(|_| sound),
            diagnostics,
            spans: Arc::new(Spans::of(self.file, self.tree, root)),
        });
    }

    /// Kind, namespace and name, if they can be read.
    fn identity(&mut self, root: NodeId, kind: Kind) -> Option<ObjectRef> {
        let Some(metadata) = self.tree.field(root, "metadata") else {
            self.tell_absent(root, "metadata");
            return None;
        };
        if !matches!(self.tree.value(metadata.value), Some(Value::Mapping(_))) {
            let message = "`metadata` must be a mapping with a `name`".to_owned();
            let field = FieldPath::root().field("metadata");
            self.tell(self.tree.field_place(metadata), Code::ManifestType, field, message);
            return None;
        }
        let name = self.identifier(metadata.value, "name", kind)?;
        let namespace = match kind {
            Kind::Namespace => Some(""),
            Kind::IngressRoute
            | Kind::TlsCertificateDelegation
            | Kind::Service
            | Kind::EndpointSlice
            | Kind::Secret => match self.tree.field(metadata.value, "namespace") {
                Some(entry) if !self.tree.is_null(entry.value) => {
                    self.identifier(metadata.value, "namespace", Kind::Namespace)
                }
                _ => Some(DEFAULT_NAMESPACE),
            },
        }?;
        Some(ObjectRef::new(kind, namespace, name))
    }

    /// A field of `metadata` that names an object of `kind`.
    fn identifier(&mut self, metadata: NodeId, name: &str, kind: Kind) -> Option<&'t str> {
        let field = FieldPath::root().field("metadata").field(name);
        let tree = self.tree;
        let Some(entry) = tree.field(metadata, name) else {
            let hint = Some(format!("Add `{name}` to `metadata`."));
            let message = format!("the {kind} has no `{name}`");
            let place = self.place(metadata);
            self.tell_hint(place, Code::MissingField, field, (message, hint));
            return None;
        };
        let place = tree.field_place(entry);
        let Some(text) = tree.text(metadata, name) else {
            let message = format!("`{name}` must be text");
            let hint = Some("Put it into quotes.".to_owned());
            self.tell_hint(place, Code::ManifestType, field, (message, hint));
            return None;
        };
        let (valid, rule) = match kind {
            Kind::Service | Kind::Namespace => (is_dns_label(text), "63"),
            Kind::IngressRoute
            | Kind::TlsCertificateDelegation
            | Kind::EndpointSlice
            | Kind::Secret => (is_dns_subdomain(text), "253"),
        };
        if !valid {
            let message = format!("{:?} cannot be the name of a {kind}", shorten(text));
            let hint = Some(format!(
                "Use a-z, 0-9 and '-', beginning and ending with a letter or digit, up to {rule} characters."
            ));
            self.tell_hint(place, Code::InvalidName, field, (message, hint));
            return None;
        }
        Some(text)
    }

    fn decode(&self, root: NodeId, reference: &ObjectRef) -> (Option<Object>, Vec<Issue>) {
        let at = (root, reference);
        match reference.kind {
            Kind::IngressRoute => self.typed(at, Object::IngressRoute, |o| &mut o.metadata),
            Kind::TlsCertificateDelegation => {
                self.typed(at, Object::TlsCertificateDelegation, |o| &mut o.metadata)
            }
            Kind::Service => self.typed(at, Object::Service, |o| &mut o.metadata),
            Kind::EndpointSlice => self.typed(at, Object::EndpointSlice, |o| &mut o.metadata),
            Kind::Secret => self.typed(at, Object::Secret, |o| &mut o.metadata),
            Kind::Namespace => self.typed(at, Object::Namespace, |o| &mut o.metadata),
        }
    }

    fn typed<T: for<'de> Deserialize<'de>>(
        &self,
        (root, reference): (NodeId, &ObjectRef),
        wrap: fn(T) -> Object,
        metadata: fn(&mut T) -> &mut Metadata,
    ) -> (Option<Object>, Vec<Issue>) {
        let (object, issues) = decode::<T>(self.tree, root, reference.kind);
        let object = object.map(|mut object| {
            metadata(&mut object).namespace = Arc::clone(&reference.name.namespace);
            wrap(object)
        });
        (object, issues)
    }
}

/// Finds the flaws of the text below a node and names their fields.
pub(super) fn collect_flaws(
    tree: &Tree<'_>,
    flaws: &BTreeMap<NodeId, Vec<&Flaw>>,
    id: NodeId,
    path: &FieldPath,
    issues: &mut Vec<Issue>,
) {
    for flaw in flaws.get(&id).into_iter().flatten() {
        issues.push(Issue {
            field: flaw.key.as_ref().map_or_else(|| path.clone(), |k| path.field(k)),
            fault: flaw.fault.clone(),
        });
    }
    match tree.node(id).map(|n| &n.value) {
        Some(Value::Sequence(items)) => {
            for (index, item) in items.iter().enumerate() {
                collect_flaws(tree, flaws, *item, &path.index(index), issues);
            }
        }
        Some(Value::Mapping(entries)) => {
            for entry in entries {
                collect_flaws(tree, flaws, entry.value, &path.field(&entry.key), issues);
            }
        }
        Some(Value::Scalar(_) | Value::Alias(_)) | None => {}
    }
}

/// The flaws of a tree by the node that they are in.
pub(super) fn flaws_by_node<'t>(tree: &'t Tree<'_>) -> BTreeMap<NodeId, Vec<&'t Flaw>> {
    let mut flaws: BTreeMap<NodeId, Vec<&Flaw>> = BTreeMap::new();
    for flaw in &tree.flaws {
        flaws.entry(flaw.node).or_default().push(flaw);
    }
    flaws
}

/// The beginning of a text that may be long.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
