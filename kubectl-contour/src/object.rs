//! Objects of the kinds that are applied: what kubectl calls them, where the API server has them, and
//! what of them counts as a change.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cluster::value::text;

/// A kind that an installation may consist of.
struct Kind {
    group_version: &'static str,
    name: &'static str,
    plural: &'static str,
    namespaced: bool,
}

const fn kind(
    group_version: &'static str,
    name: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Kind {
    Kind { group_version, name, plural, namespaced }
}

const KINDS: [Kind; 20] = [
    kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    kind("v1", "Namespace", "namespaces", false),
    kind("v1", "ServiceAccount", "serviceaccounts", true),
    kind("v1", "ConfigMap", "configmaps", true),
    kind("v1", "Secret", "secrets", true),
    kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
    kind("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
    kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    kind("batch/v1", "Job", "jobs", true),
    kind("batch/v1", "CronJob", "cronjobs", true),
    kind("v1", "Service", "services", true),
    kind("apps/v1", "Deployment", "deployments", true),
    kind("apps/v1", "DaemonSet", "daemonsets", true),
    kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    kind("coordination.k8s.io/v1", "Lease", "leases", true),
    kind("contour.heptio.com/v1beta1", "IngressRoute", "ingressroutes", true),
    kind(
        "contour.heptio.com/v1beta1",
        "TLSCertificateDelegation",
        "tlscertificatedelegations",
        true,
    ),
];

/// Which object it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Id {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; empty for objects of the whole cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Id {
    /// Which object a manifest describes. One of a namespaced kind that names none is in
    /// `namespace`.
    ///
    /// # Errors
    /// If it has no kind or name, or is of a kind that no installation consists of.
    pub fn of(object: &Value, namespace: &str) -> Result<Self, String> {
        let mut id = Self::named(object);
        if id.name.is_empty() {
            return Err(format!("an object of kind {:?} has no name", id.kind));
        }
        let Some(known) = id.known() else {
            let Self { api_version, kind, name, .. } = id;
            return Err(format!(
                "{name} is of kind {kind} ({api_version}), of which no installation consists"
            ));
        };
        if !known.namespaced {
            id.namespace.clear();
        } else if id.namespace.is_empty() {
            namespace.clone_into(&mut id.namespace);
        }
        Ok(id)
    }

    /// What a manifest names, whatever its kind.
    pub fn named(object: &Value) -> Self {
        let text = |pointer| text(object, pointer).to_owned();
        Self {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    fn known(&self) -> Option<&'static Kind> {
        KINDS.iter().find(|k| k.group_version == self.api_version && k.name == self.kind)
    }

    /// The plural name of its kind, as permissions have it.
    pub fn plural(&self) -> String {
        self.known()
            .map_or_else(|| format!("{}s", self.kind.to_lowercase()), |k| k.plural.to_owned())
    }

    /// The group of its kind; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The path of all objects of its kind in its namespace.
    pub fn list_path(&self) -> String {
        let base = if self.group().is_empty() { "/api" } else { "/apis" };
        let (version, plural) = (&self.api_version, self.plural());
        if self.namespace.is_empty() {
            format!("{base}/{version}/{plural}")
        } else {
            format!("{base}/{version}/namespaces/{}/{plural}", self.namespace)
        }
    }

    /// Its path.
    pub fn path(&self) -> String {
        format!("{}/{}", self.list_path(), self.name)
    }
}

/// As kubectl writes it: `deployment.apps/contour`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_lowercase();
        if self.group().is_empty() {
            write!(f, "{kind}/{}", self.name)
        } else {
            write!(f, "{kind}.{}/{}", self.group(), self.name)
        }
    }
}

/// An object without what the server keeps for itself, so that two states of it can be compared.
pub fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            for field in
                ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]
            {
                metadata.remove(field);
            }
            if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                // Counted by the server at each change of a template.
                annotations.remove("deprecated.daemonset.template.generation");
                annotations.remove("deployment.kubernetes.io/revision");
            }
            remove_if_empty(metadata, "annotations");
        }
    }
    object
}

fn remove_if_empty(fields: &mut Map<String, Value>, name: &str) {
    if fields.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_found_where_the_server_has_it() {
        for (object, shown, path) in [
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "contour"}}),
                "deployment.apps/contour",
                "/apis/apps/v1/namespaces/edge/deployments/contour",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}}),
                "service/a",
                "/api/v1/namespaces/b/services/a",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}}),
                "namespace/edge",
                "/api/v1/namespaces/edge",
            ),
        ] {
            let id = Id::of(&object, "edge").unwrap();
            assert_eq!(id.to_string(), shown);
            assert_eq!(id.path(), path);
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        assert!(Id::of(&pod, "edge").unwrap_err().contains("Pod"));
    }

    #[test]
    fn what_the_server_keeps_is_no_change() {
        let ours =
            json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "ClusterIP"}});
        let mut live = ours.clone();
        live["metadata"]["resourceVersion"] = json!("7");
        live["metadata"]["managedFields"] = json!([]);
        live["status"] = json!({"loadBalancer": {}});
        assert_eq!(essence(&live), essence(&ours));
    }
}
