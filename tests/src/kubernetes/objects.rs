//! Objects of a cluster, read and written as JSON.

use std::path::Path;

use http::Method;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::client::PATIENCE;
use crate::envoy::{eventually, workspace};

/// The CustomResourceDefinitions of `deploy/chart/files/crds`: the file, the name, and where their objects are.
pub const CRDS: &[(&str, &str, &str)] = &[
    (
        "ingressroutes.yaml",
        "ingressroutes.contour.heptio.com",
        "/apis/contour.heptio.com/v1beta1/ingressroutes",
    ),
    (
        "tlscertificatedelegations.yaml",
        "tlscertificatedelegations.contour.heptio.com",
        "/apis/contour.heptio.com/v1beta1/tlscertificatedelegations",
    ),
];

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A manager of fields for server-side apply.
const MANAGER: &str = "tests";

/// The objects of a cluster as a user sees them. Paths are those of the API, for instance
/// `/api/v1/namespaces/demo/services/blue`; a query may follow.
#[derive(Clone)]
pub struct Objects {
    client: kube::Client,
}

impl Objects {
    /// Those of a kubeconfig's current context.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn of_kubeconfig(path: &Path) -> Self {
        let config = Kubeconfig::read_from(path);
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let options = KubeConfigOptions::default();
        // It is ready at once but where it has to ask the disk for a certificate.
        let config = futures_util::FutureExt::now_or_never(kube::Config::from_custom_kubeconfig(
            config, &options,
        ));
        let mut config = config.expect("reading is not asynchronous").expect("a good kubeconfig");
        config.proxy_url = None;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        Self { client: kube::Client::try_from(config).expect("a client can be made") }
    }

    /// The client, for watches and other things.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn get(&self, path: &str) -> Result<Value, kube::Error> {
        self.ask(Method::GET, path, "application/json", None).await
    }

    /// Creates an object in a collection.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, kube::Error> {
        self.ask(Method::POST, path, "application/json", Some(object)).await
    }

    /// Puts an object in the place of another.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, kube::Error> {
        self.ask(Method::PUT, path, "application/json", Some(object)).await
    }

    /// Changes some fields (RFC 7396); `null` removes one.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn merge(&self, path: &str, fields: &Value) -> Result<Value, kube::Error> {
        self.ask(Method::PATCH, path, "application/merge-patch+json", Some(fields)).await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Value, kube::Error> {
        self.ask(Method::DELETE, path, "application/json", None).await
    }

    /// Applies every document of a manifest on the server's side; stops at the first that is
    /// refused. Where no Namespace is written, it is `default`.
    ///
    /// # Errors
    /// If one is refused or there is no answer.
    ///
    /// # Panics
    /// If the manifest is not YAML.
    pub async fn apply(&self, manifest: &str) -> Result<Vec<Value>, kube::Error> {
        let mut stored = Vec::new();
        for object in documents(manifest) {
            stored.push(self.apply_value(&object).await?);
        }
        Ok(stored)
    }

    /// Applies one object on the server's side.
    ///
    /// # Errors
    /// If it is refused or there is no answer.
    pub async fn apply_value(&self, object: &Value) -> Result<Value, kube::Error> {
        let path = self.path(object).await?;
        let path = format!("{path}?fieldManager={MANAGER}&force=true");
        self.ask(Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await
    }

    /// Creates every document of a manifest, as `kubectl create` does.
    ///
    /// # Errors
    /// If one is refused or there is no answer.
    ///
    /// # Panics
    /// If the manifest is not YAML.
    pub async fn create_all(&self, manifest: &str) -> Result<Vec<Value>, kube::Error> {
        let mut stored = Vec::new();
        for object in documents(manifest) {
            let path = self.path(&object).await?;
            let collection = path.rsplit_once('/').map_or("", |(collection, _)| collection);
            stored.push(self.create(collection, &object).await?);
        }
        Ok(stored)
    }

    /// Makes a Namespace, if there is none.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn namespace(&self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply_value(&object).await.expect("a Namespace is accepted");
    }

    /// The path of an object, by what the API server says about its kind.
    ///
    /// # Errors
    /// If the API server does not know its group and version.
    ///
    /// # Panics
    /// If it does not know the kind, or if the object has no name.
    pub async fn path(&self, object: &Value) -> Result<String, kube::Error> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let version = text("/apiVersion").expect("an object has an apiVersion");
        let kind = text("/kind").expect("an object has a kind");
        let name = text("/metadata/name").expect("an object has a name");
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let known = self.get(&format!("{root}/{version}")).await?;
        let resources = known.get("resources").and_then(Value::as_array).map(Vec::as_slice);
        let resources = resources.unwrap_or_default();
        let of_kind = |r: &&Value| {
            r["kind"] == kind && r["name"].as_str().is_some_and(|name| !name.contains('/'))
        };
        let resource = resources.iter().find(of_kind);
        let resource = resource.unwrap_or_else(|| panic!("no {kind} in {version}"));
        let plural = resource["name"].as_str().unwrap_or_default();
        if resource["namespaced"] == true {
            let namespace = text("/metadata/namespace").unwrap_or("default");
            Ok(format!("{root}/{version}/namespaces/{namespace}/{plural}/{name}"))
        } else {
            Ok(format!("{root}/{version}/{plural}/{name}"))
        }
    }

    /// Installs `deploy/chart/files/crds` and waits until their objects are served.
    ///
    /// # Panics
    /// If one is refused or not established in time.
    pub async fn install_crds(&self) {
        for (file, name, collection) in CRDS {
            self.define(&definition(file), name, collection).await;
        }
    }

    /// Stores an object that its CustomResourceDefinition refuses, as one that was stored before
    /// the schema became strict. The definition is loosened meanwhile: not for a shared API server.
    ///
    /// # Panics
    /// If it is no object of [`CRDS`], or refused even so.
    pub async fn store_past_schema(&self, object: &Value) {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let found =
            CRDS.iter().find(|(_, name, _)| name.split('.').next() == Some(&format!("{kind}s")));
        let (file, name, collection) = found.expect("an object of one of our kinds");
        let strict = definition(file);
        let mut loose = strict.clone();
        let versions = loose.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
        for version in versions.expect("a CustomResourceDefinition has versions") {
            let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            version["schema"] = json!({"openAPIV3Schema": anything});
        }
        self.define(&loose, name, collection).await;
        let path = self.path(object).await.expect("the kind is served");
        let into = path.rsplit_once('/').map_or("", |(into, _)| into);
        // A changed schema takes a moment to be the one that counts.
        eventually("the loose schema counts", async || match self.create(into, object).await {
            Ok(_) => Some(()),
            Err(error) if refusal(&error).is_some_and(|(code, _)| code == 422) => None,
            Err(error) => panic!("the object is refused: {error}"),
        })
        .await;
        self.define(&strict, name, collection).await;
        let mut again = object.clone();
        if let Some(name) = again.pointer_mut("/metadata/name") {
            *name = json!("refused");
        }
        let dry = format!("{into}?dryRun=All");
        eventually("the strict schema counts", async || {
            let refused = self.create(&dry, &again).await.err()?;
            refusal(&refused).is_some_and(|(code, _)| code == 422 || code == 400).then_some(())
        })
        .await;
    }

    async fn define(&self, definition: &Value, name: &str, collection: &str) {
        let path = format!("{DEFINITIONS}/{name}");
        let put = match self.get(&path).await {
            Ok(mut there) => {
                if let (Some(to), Some(from)) = (there.get_mut("spec"), definition.get("spec")) {
                    to.clone_from(from);
                }
                self.replace(&path, &there).await
            }
            Err(_) => self.create(DEFINITIONS, definition).await,
        };
        put.unwrap_or_else(|error| panic!("{name} is refused: {error}"));
        eventually(&format!("{name} is established"), async || {
            let there = self.get(&path).await.ok()?;
            let conditions = there.pointer("/status/conditions")?.as_array()?;
            let established =
                conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True");
            // It is served a moment after it is said to be.
            (established && self.get(collection).await.is_ok()).then_some(())
        })
        .await;
    }

    /// Whether the API server says that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.expect("the path is good");
        self.client.request_text(request).await.is_ok()
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .header("accept", "application/json")
            .body(body);
        self.client.request(request.expect("the path is good")).await
    }
}

/// The status and the words with which the API server refused something; `None` if it did not
/// answer at all.
pub fn refusal(error: &kube::Error) -> Option<(u16, &str)> {
    if let kube::Error::Api(status) = error { Some((status.code, &status.message)) } else { None }
}

/// The documents of a manifest.
///
/// # Panics
/// If it is not YAML.
pub fn documents(manifest: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple::<Value>(manifest);
    let documents = documents.unwrap_or_else(|error| panic!("{error}\n{manifest}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The CustomResourceDefinition in a file of `deploy/chart/files/crds`.
fn definition(file: &str) -> Value {
    let path = workspace().join("deploy/chart/files/crds").join(file);
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    documents(&text).into_iter().next().expect("the file has a document")
}
