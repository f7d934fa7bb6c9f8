//! A test's own place in the API server that all share: a Namespace, and users who may do
//! everything there.

use std::path::PathBuf;
use std::time::Duration;

use contour::config::{Election, Kubernetes, StatusAddresses};
use contour_core::name::ObjectName;
use serde_json::{Value, json};

use super::{ApiServer, Audit, Objects};
use crate::envoy::eventually;

/// See the module.
pub struct Place {
    /// The API server.
    pub server: &'static ApiServer,
    /// The Namespace.
    pub namespace: &'static str,
    /// The objects as the administrator sees them.
    pub admin: Objects,
}

impl Place {
    /// Makes one; `None` where there is no API server.
    pub async fn new(namespace: &'static str) -> Option<Self> {
        let server = ApiServer::shared().await?;
        let admin = server.admin();
        admin.namespace(namespace).await;
        Some(Self { server, namespace, admin })
    }

    /// The kubeconfig of a user who may do everything in this Namespace and nothing elsewhere.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn user(&self, name: &str) -> PathBuf {
        let kubeconfig = self.server.service_account(self.namespace, name).await;
        self.bind(name, "ClusterRole", "cluster-admin").await;
        let leases = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases?user={name}",
            self.namespace
        );
        let objects = Objects::of_kubeconfig(&kubeconfig);
        // The authorizer hears of it a moment later.
        eventually("the role counts", async || objects.get(&leases).await.ok()).await;
        kubeconfig
    }

    /// Binds a user to a role in this Namespace.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn bind(&self, user: &str, kind: &str, role: &str) {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"namespace": self.namespace, "name": format!("{user}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": self.namespace}],
        });
        self.admin.apply_value(&binding).await.expect("a RoleBinding is accepted");
    }

    /// What a user has asked for so far.
    pub fn audit(&self, user: &str) -> Audit {
        let user = format!("system:serviceaccount:{}:{user}", self.namespace);
        self.server.audit().by(&user)
    }

    /// Settings of a controller that reads this Namespace alone, keeps its Lease there, and takes
    /// addresses from the Service `envoy` there.
    pub fn settings(&self, kubeconfig: PathBuf) -> Kubernetes {
        Kubernetes {
            watch_namespaces: vec![self.namespace.into()],
            namespace: self.namespace.into(),
            election: Some(Election {
                lease_duration: Duration::from_secs(4),
                renew_deadline: Duration::from_secs(3),
                retry_period: Duration::from_millis(250),
                name: "leader-elect".into(),
                namespace: self.namespace.into(),
            }),
            addresses: StatusAddresses::Service(ObjectName::new(self.namespace, "envoy")),
            ..super::stage::settings(kubeconfig)
        }
    }

    /// The Events about an object, by its UID, as `kubectl describe` looks for them: reason, type
    /// and note.
    pub async fn events(&self, object: &Value) -> Vec<(String, String, String)> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.namespace);
        let Ok(events) = self.admin.get(&path).await else { return Vec::new() };
        let items = events.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let same = |event: &Value, field: &str| {
            let regarding = event.get("regarding").and_then(|regarding| regarding.get(field));
            regarding.is_some() && regarding == object.get("metadata").and_then(|m| m.get(field))
        };
        let text = |event: &Value, field: &str| {
            event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        items
            .iter()
            .filter(|event| same(event, "uid") && same(event, "name"))
            .map(|event| (text(event, "reason"), text(event, "type"), text(event, "note")))
            .collect()
    }
}
