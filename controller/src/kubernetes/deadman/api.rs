//! What the deadman asks an API server.

use std::sync::Arc;

use contour_cluster::scope;
use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::sent::MANAGER;
use http::Request;
use http::header::{CONTENT_TYPE, DATE};
use http_body_util::BodyExt as _;
use k8s_openapi::jiff::fmt::rfc2822;
use kube::client::Body;
use serde_json::Value;

use super::lease::{Key, SELECTOR};
use crate::kubernetes::pace::Pace;
use crate::kubernetes::{Fault, PATIENCE, send};

/// See the module.
pub(super) struct Api {
    pub(super) client: kube::Client,
    pub(super) pace: Arc<Pace>,
}

impl Api {
    /// The Leases of all shifts of a namespace, or of all, and what time it is there. What is
    /// listed may be a little old, which does no harm: a Lease is taken as it was read.
    pub(super) async fn leases(
        &self,
        namespace: Option<&str>,
    ) -> Result<(Timestamp, Vec<Value>), Fault> {
        self.pace.wait().await;
        let within = namespace.map(|n| format!("/namespaces/{n}")).unwrap_or_default();
        let path = format!(
            "/apis/coordination.k8s.io/v1{within}/leases?labelSelector={SELECTOR}&resourceVersion=0"
        );
        let request = Request::get(path).body(Body::empty()).map_err(unmade)?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let response = self.client.send(request).await.map_err(Fault::from)?;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.map_err(Fault::from)?.to_bytes();
            Ok::<_, Fault>((head, bytes))
        });
        let Ok(answer) = answer.await else {
            return Err(Fault::Unanswered(format!("no answer in {PATIENCE:?}")));
        };
        let (head, bytes) = answer?;
        let mut value: Value = serde_json::from_slice(&bytes).map_err(unread)?;
        if !head.status.is_success() {
            let message = value.get("message").and_then(Value::as_str).unwrap_or_default();
            let (code, message) = (head.status.as_u16(), message.to_owned());
            return Err(Fault::Refused { code, message });
        }
        let date = head.headers.get(DATE).and_then(|date| date.to_str().ok());
        let now = date.and_then(|date| rfc2822::parse(date).ok());
        let now = now.ok_or_else(|| Fault::Unanswered("it does not say what time it is".into()))?;
        let items = value.get_mut("items").map(Value::take);
        let Some(Value::Array(items)) = items else {
            return Err(Fault::Unanswered("the answer is no list".to_owned()));
        };
        Ok((Timestamp::from_unix(now.timestamp().as_second()), items))
    }

    /// A route; `None` if there is none.
    pub(super) async fn route(&self, object: &ObjectRef) -> Result<Option<Value>, Fault> {
        self.pace.wait().await;
        let request = Request::get(path(object)).body(Vec::new()).map_err(unmade)?;
        match send(&self.client, request).await {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(unread),
            Err(Fault::Refused { code: 404, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Changes a route; returns it as it is then.
    pub(super) async fn patch_route(
        &self,
        object: &ObjectRef,
        change: &Value,
    ) -> Result<Value, Fault> {
        self.pace.wait().await;
        self.patch(&path(object), change).await
    }

    /// Changes a Lease; returns its version then. Renewing one waits for nothing else.
    pub(super) async fn patch_lease(
        &self,
        (namespace, name): &Key,
        change: &Value,
    ) -> Result<String, Fault> {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}");
        let value = self.patch(&path, change).await?;
        let version = value.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        Ok(version.unwrap_or_default().to_owned())
    }

    async fn patch(&self, path: &str, change: &Value) -> Result<Value, Fault> {
        let request = Request::patch(format!("{path}?fieldManager={MANAGER}"))
            .header(CONTENT_TYPE, "application/json-patch+json")
            .body(change.to_string().into_bytes())
            .map_err(unmade)?;
        let text = send(&self.client, request).await?;
        serde_json::from_str(&text).map_err(unread)
    }
}

fn path(object: &ObjectRef) -> String {
    let collection = scope::path(object.kind, Some(&object.name.namespace));
    format!("{collection}/{}", object.name.name)
}

#[expect(clippy::needless_pass_by_value, reason = "maps an error")]
fn unmade(error: http::Error) -> Fault {
    Fault::Unanswered(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "maps an error")]
fn unread(error: serde_json::Error) -> Fault {
    Fault::Unanswered(format!("the answer cannot be read: {error}"))
}
