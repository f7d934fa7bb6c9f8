//! Certificates as Secrets of a cluster.

use std::time::Duration;

use contour_cluster::access::reason;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::{Found, State, layout};
use crate::config::Access;
use crate::exit::Exit;

/// How long connecting to the API server and each of its answers may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Shown as who wrote the Secrets.
const MANAGER: &str = "contour-certgen";

/// Why the cluster was not written to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no way to it.
    #[error("cannot find the cluster: {0}")]
    Unknown(String),
    /// It does not answer.
    #[error("cannot reach the API server at {server} to {verb} Secret {secret}: {reason}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What was asked.
        verb: &'static str,
        /// Namespace and name.
        secret: String,
        /// What is wrong.
        reason: String,
    },
    /// It says no.
    #[error("the API server did not {verb} Secret {secret}: {reason}{hint}")]
    Refused {
        /// What was asked.
        verb: &'static str,
        /// Namespace and name.
        secret: String,
        /// What it says.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Somebody else has made a part.
    #[error(
        "Secret {0} exists, but others do not, and nobody can sign what would match: add --overwrite to make all of them anew"
    )]
    Incomplete(String),
}

/// The Secrets of the controller's namespace.
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
    server: String,
}

impl Secrets {
    pub(super) async fn connect(access: Access, namespace: &str) -> Result<Self, ClusterError> {
        let unknown = |error: &dyn std::error::Error| ClusterError::Unknown(reason(error));
        let mut config = match access {
            Access::InCluster => Config::incluster().map_err(|e| unknown(&e))?,
            Access::Inferred => Config::infer().await.map_err(|e| unknown(&e))?,
            Access::Kubeconfig(path) => {
                let file = Kubeconfig::read_from(path).map_err(|e| unknown(&e))?;
                let options = KubeConfigOptions::default();
                Config::from_custom_kubeconfig(file, &options).await.map_err(|e| unknown(&e))?
            }
        };
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|e| unknown(&e))?;
        let api = Api::namespaced(client, namespace);
        Ok(Self { api, namespace: namespace.to_owned(), server })
    }

    /// What there is of a Secret.
    pub(super) async fn find(&self, name: &str) -> Result<Found, ClusterError> {
        let state = match self.api.get_opt(name).await {
            Ok(Some(secret)) => State::Present(layout::texts(secret)),
            Ok(None) => State::Absent,
            // Contour's own Role for this allows no more than to create and to update.
            Err(kube::Error::Api(status)) if status.is_forbidden() => State::Hidden,
            Err(error) => return Err(self.failed("get", name, &error)),
        };
        let name = format!("Secret {}/{name}", self.namespace);
        Ok(Found { name, state, exit: Exit::Kubernetes })
    }

    /// Writes Secrets. `false` if they exist and are kept.
    pub(super) async fn write(
        &self,
        secrets: &[Secret],
        overwrite: bool,
    ) -> Result<bool, ClusterError> {
        let (mut created, mut kept) = (0, None);
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        for secret in secrets {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let full = format!("{}/{name}", self.namespace);
            match self.api.create(&params, secret).await {
                Ok(_) => {
                    created += 1;
                    tracing::info!("created Secret {full}");
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    if overwrite {
                        self.replace(name, &params, secret).await?;
                        tracing::info!("replaced Secret {full}");
                    } else {
                        tracing::info!(
                            "Secret {full} exists and is kept; whether it expires soon cannot be seen without the verb get"
                        );
                        kept = Some(full);
                    }
                }
                Err(error) => return Err(self.failed("create", name, &error)),
            }
        }
        match kept {
            Some(kept) if created > 0 => Err(ClusterError::Incomplete(kept)),
            kept => Ok(kept.is_none()),
        }
    }

    /// Lets the authorities of these Secrets be trusted already, while the certificates stay those
    /// that are there.
    pub(super) async fn announce(&self, secrets: &[Secret]) -> Result<(), ClusterError> {
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        for secret in secrets {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let old = self.api.get_opt(name).await;
            let Some(mut old) = old.map_err(|error| self.failed("get", name, &error))? else {
                continue;
            };
            let authorities = layout::authorities(secret);
            if authorities.is_empty() {
                continue;
            }
            old.data.get_or_insert_default().extend(authorities);
            old.metadata.managed_fields = None;
            let replaced = self.api.replace(name, &params, &old).await;
            replaced.map_err(|error| self.failed("update", name, &error))?;
        }
        Ok(())
    }

    /// Labels and annotations of others stay, if we may look.
    async fn replace(
        &self,
        name: &str,
        params: &PostParams,
        wanted: &Secret,
    ) -> Result<(), ClusterError> {
        let mut new = wanted.clone();
        match self.api.get_opt(name).await {
            Ok(Some(old)) => {
                let labels = new.metadata.labels.take();
                new.metadata = old.metadata;
                new.metadata.managed_fields = None;
                new.metadata.labels.get_or_insert_default().extend(labels.unwrap_or_default());
            }
            Ok(None) => {}
            Err(kube::Error::Api(status)) if status.is_forbidden() => {}
            Err(error) => return Err(self.failed("get", name, &error)),
        }
        let replaced = self.api.replace(name, params, &new).await;
        replaced.map(|_| ()).map_err(|error| self.failed("update", name, &error))
    }

    fn failed(&self, verb: &'static str, name: &str, error: &kube::Error) -> ClusterError {
        let secret = format!("{}/{name}", self.namespace);
        let kube::Error::Api(status) = error else {
            let server = self.server.clone();
            return ClusterError::Unreachable { server, verb, secret, reason: reason(error) };
        };
        let hint = if status.is_forbidden() {
            format!(
                "; grant the verbs get, create and update on secrets in namespace {}",
                self.namespace
            )
        } else if status.is_not_found() {
            "; create the namespace, or name another with --namespace".to_owned()
        } else if status.is_conflict() {
            "; somebody else has written it meanwhile: try again".to_owned()
        } else {
            String::new()
        };
        ClusterError::Refused { verb, secret, reason: status.message.clone(), hint }
    }
}
