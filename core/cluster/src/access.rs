//! How the API server is found.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// How long a connection to the API server may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How the API server is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// By the service account of the pod.
    InCluster,
    /// By `$KUBECONFIG`, `~/.kube/config` or the service account of the pod, the first that there is.
    #[default]
    Inferred,
    /// By this kubeconfig file.
    Kubeconfig(PathBuf),
}

/// Why there is no way to the API server. Whether it answers is another matter.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be used.
    #[error("cannot use the kubeconfig {path}: {reason}; name another with --kubeconfig", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The process is in no pod.
    #[error("--incluster is given, but this is no pod with a service account: {0}")]
    InCluster(String),
    /// Neither a kubeconfig nor a service account.
    #[error(
        "found neither a kubeconfig nor a service account: {0}; name a file with --kubeconfig, or serve a directory with --source"
    )]
    Nowhere(String),
    /// The configuration leads to no client.
    #[error("cannot set up the connection to the API server: {0}")]
    Client(String),
}

/// A client for the API server. Nothing is asked of the server yet.
///
/// # Errors
/// If the configuration is missing or cannot be used.
pub async fn connect(access: &Access) -> Result<Client, AccessError> {
    let mut config = match access {
        Access::InCluster => {
            Config::incluster().map_err(|error| AccessError::InCluster(reason(&error)))?
        }
        Access::Inferred => {
            Config::infer().await.map_err(|error| AccessError::Nowhere(reason(&error)))?
        }
        Access::Kubeconfig(path) => {
            let unusable = |reason: String| AccessError::Kubeconfig { path: path.clone(), reason };
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(reason(&error)))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|error| unusable(reason(&error)))?
        }
    };
    config.connect_timeout = Some(CONNECT);
    // Whoever asks decides when to ask again: a retry that nobody sees is load that nobody counts.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| AccessError::Client(reason(&error)))
}

/// An error with its causes, in one line.
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
