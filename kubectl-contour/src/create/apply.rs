//! Server-side apply.

use serde_json::Value;

use super::draft::Document;
use super::live::{name, text};
use crate::cluster::{Cluster, Patch};
use crate::failure::{Failure, Kind};

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

/// The kinds that are written, and the collections they are in.
const COLLECTIONS: [(&str, &str, &str); 4] = [
    ("contour.heptio.com/v1beta1", "IngressRoute", "ingressroutes"),
    ("contour.heptio.com/v1beta1", "TLSCertificateDelegation", "tlscertificatedelegations"),
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
];

/// Applies a document.
///
/// # Errors
/// If the server refuses, or the document is of another kind than is written here.
pub async fn apply(cluster: &Cluster, document: &Document, how: How) -> Result<Applied, Failure> {
    let path = path(&document.value)?;
    let tried = format!("cannot apply {}", full_name(&document.value));
    let before = cluster.find(&path).await.map_err(|trouble| trouble.failure(&tried))?;
    let dry = if how.dry_run { "&dryRun=All" } else { "" };
    let query =
        format!("{path}?fieldManager={MANAGER}&force={}&fieldValidation=Strict{dry}", how.force);
    let body = document.sent.clone().unwrap_or_else(|| document.value.clone());
    let answer = cluster.patch(&query, Patch::Apply, body).await.map_err(|trouble| {
        let failure = trouble.failure(&tried);
        if trouble.is_conflict() {
            failure.with_hint(
                "--force-conflicts takes the fields over; their owner may set them again",
            )
        } else {
            failure
        }
    })?;
    let change = match &before {
        None => Change::Created,
        Some(before) if same(before, &answer.body) => Change::Unchanged,
        Some(_) => Change::Configured,
    };
    Ok(Applied { object: without_managed_fields(answer.body), change, warnings: answer.warnings })
}

/// Where an object is, or would be.
fn path(value: &Value) -> Result<String, Failure> {
    let (api_version, kind) = (text(value, "/apiVersion"), text(value, "/kind"));
    let found = COLLECTIONS.iter().find(|c| (c.0, c.1) == (api_version, kind));
    let Some((_, _, collection)) = found else {
        let message = format!("{kind} ({api_version}) is no kind that is applied here");
        return Err(Failure::new(Kind::Usage, message)
            .with_hint("save it and apply it with kubectl apply -f"));
    };
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let namespace = text(value, "/metadata/namespace");
    Ok(format!("/{root}/{api_version}/namespaces/{namespace}/{collection}/{}", name(value)))
}

/// The object as kubectl names it: `ingressroute.contour.heptio.com/shop`.
pub fn full_name(value: &Value) -> String {
    let kind = text(value, "/kind").to_lowercase();
    let group = text(value, "/apiVersion").split_once('/').map(|(group, _)| format!(".{group}"));
    format!("{kind}{}/{}", group.unwrap_or_default(), name(value))
}

/// Whether two states of an object differ in what was applied, or in who owns it.
fn same(before: &Value, after: &Value) -> bool {
    let bare = |value: &Value| {
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("status");
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["managedFields", "resourceVersion", "generation"] {
                metadata.shift_remove(field);
            }
        }
        value
    };
    bare(before) == bare(after)
}

fn without_managed_fields(mut value: Value) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
