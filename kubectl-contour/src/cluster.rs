//! The API server, as this program's user may ask it.

mod answer;
pub mod clock;
mod flags;
mod forward;
pub mod value;

use std::time::Duration;

use bytes::Bytes;
use contour_cluster::access::reason;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

pub use answer::{Answer, Trouble};
pub use flags::ClusterFlags;
pub use forward::{ForwardTrouble, PodLines, PodPort};

use crate::failure::{Failure, Kind};
use crate::request::Lines;

/// How a request's body is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Server-side apply (<https://kubernetes.io/docs/reference/using-api/server-side-apply>).
    Apply,
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            Self::Apply => "application/apply-patch+yaml",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// A connection to the API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    server: String,
    timeout: Option<Duration>,
}

impl Cluster {
    /// Gets ready to ask the server that the flags name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If there is no kubeconfig, or it cannot be used.
    pub async fn connect(flags: &ClusterFlags) -> Result<Self, Failure> {
        let config = flags.config().await?;
        let namespace = config.default_namespace.clone();
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| {
            let why = reason(&error);
            Failure::new(Kind::Cluster, format!("cannot set up the connection to {server}: {why}"))
        })?;
        let timeout = Some(flags.request_timeout).filter(|timeout| !timeout.is_zero());
        Ok(Self { client, namespace, server, timeout })
    }

    /// The client below, for what is not said in single requests.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace of the command line or of the context.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The address of the server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Reads what is at a path, such as `/api/v1/namespaces/shop/services/blue`.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn get(&self, path: &str) -> Result<Answer, Trouble> {
        self.ask(Method::GET, path, None, Value::Null).await
    }

    /// The same, where that there is nothing is an answer too.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses for another reason.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, Trouble> {
        match self.get(path).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(trouble) if trouble.is_not_found() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// The items of a list, in pages of 500.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Trouble> {
        let mut items = Vec::new();
        let mut more = String::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut body = self.get(&format!("{path}{joint}limit=500{more}")).await?.body;
            if let Some(Value::Array(page)) = body.get_mut("items").map(Value::take) {
                items.extend(page);
            }
            let token = body.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or("");
            if token.is_empty() {
                return Ok(items);
            }
            let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
            more = format!("&continue={token}");
        }
    }

    /// What is at a path, line by line, for as long as it goes on.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn lines(&self, path: &str) -> Result<Lines<Body>, Trouble> {
        let request = Request::get(path).body(Body::empty());
        let request = request.map_err(|error| self.unreachable(&error))?;
        let response = self.client.send(request).await.map_err(|error| self.unreachable(&error))?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Lines::of(body));
        }
        let body = body.collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
        Err(answer::refusal(parts.status, &body))
    }

    /// Creates an object in the list at a path.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn create(&self, path: &str, object: Value) -> Result<Answer, Trouble> {
        self.ask(Method::POST, path, Some("application/json"), object).await
    }

    /// Changes the object at a path.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn patch(&self, path: &str, kind: Patch, body: Value) -> Result<Answer, Trouble> {
        self.ask(Method::PATCH, path, Some(kind.content_type()), body).await
    }

    /// Deletes the object at a path, with these options (`DeleteOptions`).
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn delete(&self, path: &str, options: Value) -> Result<Answer, Trouble> {
        self.ask(Method::DELETE, path, Some("application/json"), options).await
    }

    /// Whether the user may do something, as the server answers it (`SelfSubjectAccessReview`).
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses to say.
    pub async fn may(&self, attributes: Value) -> Result<bool, Trouble> {
        let review = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.create(path, review).await?;
        Ok(answer.body.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        content: Option<&'static str>,
        body: Value,
    ) -> Result<Answer, Trouble> {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content) = content {
            request = request.header(http::header::CONTENT_TYPE, content);
        }
        let request = request.body(Body::from(bytes)).map_err(|error| self.unreachable(&error))?;
        let exchange = async {
            let response =
                self.client.send(request).await.map_err(|error| self.unreachable(&error))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
            Ok(Response::from_parts(parts, body))
        };
        let response: Response<Bytes> = match self.timeout {
            Some(timeout) => {
                tokio::time::timeout(timeout, exchange).await.map_err(|_elapsed| {
                    let reason = format!("no answer within --request-timeout {timeout:?}");
                    Trouble::Unreachable { server: self.server.clone(), reason }
                })??
            }
            None => exchange.await?,
        };
        let (parts, body) = response.into_parts();
        if parts.status == StatusCode::UNAUTHORIZED || !parts.status.is_success() {
            return Err(answer::refusal(parts.status, &body));
        }
        Ok(answer::read(&parts.headers, &body))
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> Trouble {
        Trouble::Unreachable { server: self.server.clone(), reason: reason(error) }
    }
}
