//! Server-side apply.

use serde_json::{Value, json};

use super::draft::Document;
use super::live::without_server_fields;
use crate::cluster::value::text;
use crate::cluster::{Cluster, Patch};
use crate::failure::{Failure, Kind};
use crate::object::{Id, essence};

/// Who owns the fields that are applied.
pub const MANAGER: &str = "kubectl-contour";

/// How to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// Whether nothing is stored.
    pub dry_run: bool,
    /// Whether fields of others are taken over.
    pub force: bool,
}

/// What applying an object did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Created,
    /// It was there and differs now.
    Configured,
    /// It was there, the same.
    Unchanged,
}

impl Change {
    /// The word as kubectl has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// An object that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The object as the server has it.
    pub object: Value,
    /// What it did.
    pub change: Change,
    /// What the server warned of.
    pub warnings: Vec<String>,
}

/// The kinds that are written.
const WRITTEN: [(&str, &str); 4] = [
    ("contour.heptio.com/v1beta1", "IngressRoute"),
    ("contour.heptio.com/v1beta1", "TLSCertificateDelegation"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
];

/// Applies a document.
///
/// # Errors
/// If the server refuses, or the document is of another kind than is written here.
pub async fn apply(cluster: &Cluster, document: &Document, how: How) -> Result<Applied, Failure> {
    let path = path(&document.value)?;
    let tried = format!("cannot apply {}", full_name(&document.value));
    let dry = if how.dry_run { "&dryRun=All" } else { "" };
    let query = format!("{path}?fieldManager={MANAGER}&fieldValidation=Strict{dry}");
    let (before, answer) = if let Some(base) = &document.base {
        let Some(change) = difference(base, &document.value) else {
            let object = without_managed_fields(base.clone());
            return Ok(Applied { object, change: Change::Unchanged, warnings: Vec::new() });
        };
        (Some(base.clone()), cluster.patch(&query, Patch::Json, change).await)
    } else {
        let before = cluster.find(&path).await.map_err(|trouble| trouble.failure(&tried))?;
        let query = format!("{query}&force={}", how.force);
        (before, cluster.patch(&query, Patch::Apply, document.value.clone()).await)
    };
    let answer = answer.map_err(|trouble| {
        let failure = trouble.failure(&tried);
        match (trouble.is_conflict(), &document.base) {
            (true, Some(_)) => {
                failure.with_hint("somebody has changed it meanwhile: run this again")
            }
            (true, None) => failure.with_hint(
                "--force-conflicts takes the fields over; their owner may set them again",
            ),
            (false, _) => failure,
        }
    })?;
    let change = match &before {
        None => Change::Created,
        Some(before) if essence(before) == essence(&answer.body) => Change::Unchanged,
        Some(_) => Change::Configured,
    };
    Ok(Applied { object: without_managed_fields(answer.body), change, warnings: answer.warnings })
}

/// What turns an object into another, as a JSON Patch that holds for this version of it alone;
/// `None` if nothing does. Whoever owns what stays the same goes on owning it. Server-side apply of
/// a part would not do: what a manager has applied once and does not apply again, goes.
fn difference(base: &Value, wanted: &Value) -> Option<Value> {
    let ours = without_server_fields(base);
    let mut changes = Vec::new();
    for pointer in ["/spec", "/metadata/labels", "/metadata/annotations"] {
        let wanted = wanted.pointer(pointer);
        if let Some(value) = wanted.filter(|_| wanted != ours.pointer(pointer)) {
            changes.push(json!({ "op": "add", "path": pointer, "value": value }));
        }
    }
    if changes.is_empty() {
        return None;
    }
    let version = text(base, "/metadata/resourceVersion");
    let path = "/metadata/resourceVersion";
    changes.insert(0, json!({ "op": "replace", "path": path, "value": version }));
    Some(Value::Array(changes))
}

/// Where an object is, or would be.
fn path(value: &Value) -> Result<String, Failure> {
    let id = Id::named(value);
    if !WRITTEN.contains(&(&id.api_version, &id.kind)) {
        let message = format!("{} ({}) is no kind that is applied here", id.kind, id.api_version);
        return Err(Failure::new(Kind::Usage, message)
            .with_hint("save it and apply it with kubectl apply -f"));
    }
    Ok(id.path())
}

/// The object as kubectl names it: `ingressroute.contour.heptio.com/shop`.
pub fn full_name(value: &Value) -> String {
    Id::named(value).to_string()
}

fn without_managed_fields(mut value: Value) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_changed_and_only_of_the_version_that_was_seen() {
        let base = json!({
            "metadata": {"name": "shop", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"x": 1}, "status": {"y": 1},
        });
        let mut wanted = without_server_fields(&base);
        assert_eq!(difference(&base, &wanted), None);
        wanted["spec"] = json!({"x": 2});
        let expected = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": "/spec", "value": {"x": 2}},
        ]);
        assert_eq!(difference(&base, &wanted), Some(expected));
    }

    #[test]
    fn objects_are_named_and_found_as_kubectl_does() {
        let route = json!({
            "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
            "metadata": {"namespace": "demo", "name": "shop"},
        });
        assert_eq!(full_name(&route), "ingressroute.contour.heptio.com/shop");
        let expected = "/apis/contour.heptio.com/v1beta1/namespaces/demo/ingressroutes/shop";
        assert_eq!(path(&route).unwrap(), expected);
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "demo", "name": "web"},
        });
        assert_eq!(full_name(&service), "service/web");
        assert_eq!(path(&service).unwrap(), "/api/v1/namespaces/demo/services/web");
        let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}});
        assert_eq!(path(&other).unwrap_err().kind, Kind::Usage);
    }
}
