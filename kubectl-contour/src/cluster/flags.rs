//! The flags by which kubectl's own commands find a cluster, under the same names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use contour_cluster::access::reason;
use http::{HeaderName, HeaderValue, Uri};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::duration;
use crate::failure::{Failure, Kind};

/// How long a connection to the API server may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the cluster is and as whom to ask, as every command of kubectl takes it
/// (k8s.io/cli-runtime's `ConfigFlags`).
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterFlags {
    /// The kubeconfig file [default: `$KUBECONFIG`, then `~/.kube/config`, then the pod's service
    /// account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig [default: that of the context]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The user of the kubeconfig [default: that of the context]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The address of the API server
    #[arg(short, long, value_name = "URL", hide_short_help = true)]
    pub server: Option<Uri>,
    /// A bearer token
    #[arg(long, value_name = "TOKEN", hide_short_help = true)]
    pub token: Option<String>,
    /// The user to ask as
    #[arg(long = "as", value_name = "USER", hide_short_help = true)]
    pub impersonate: Option<String>,
    /// A group to ask as; may be repeated
    #[arg(
        long = "as-group",
        value_name = "GROUP",
        requires = "impersonate",
        hide_short_help = true
    )]
    pub impersonate_groups: Vec<String>,
    /// The uid to ask as
    #[arg(long = "as-uid", value_name = "UID", requires = "impersonate", hide_short_help = true)]
    pub impersonate_uid: Option<String>,
    /// An extra field to ask as, KEY=VALUE; may be repeated
    #[arg(long = "as-user-extra", value_name = "KEY=VALUE", requires = "impersonate",
          value_parser = pair, hide_short_help = true)]
    pub impersonate_extra: Vec<(String, String)>,
    /// The file of the authorities that sign for the API server
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// The file of the client's certificate
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,
    /// The file of the client's key
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Do not check the API server's certificate: whoever is in between can read and change all
    #[arg(long, conflicts_with = "certificate_authority", hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,
    /// The name that the API server's certificate has to carry
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// How long one request to the API server may take; 0: as long as it likes
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = timeout, hide_short_help = true)]
    pub request_timeout: Duration,
    /// Where completion keeps for a moment what it has asked for [default: `~/.kube/cache`]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub cache_dir: Option<PathBuf>,
    /// Ask the API server for answers that are not compressed; they never are
    #[arg(long, hide_short_help = true)]
    pub disable_compression: bool,
}

/// Reads a time limit as kubectl does: a bare number counts seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_not_a_number| duration::parse(text))
}

/// Reads KEY=VALUE.
fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    if key.is_empty() {
        return Err(format!("{text:?} has no key"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl ClusterFlags {
    /// The connection that the flags, the environment and the kubeconfig describe. Nothing is asked
    /// of the server.
    ///
    /// # Errors
    /// If the kubeconfig cannot be used, names no such context, cluster or user, or there is none.
    pub(crate) async fn config(&self) -> Result<Config, Failure> {
        let mut config = match self.file()? {
            Some(file) => self.of_file(file).await?,
            None => self.of_pod()?,
        };
        if let Some(server) = &self.server {
            config.cluster_url = server.clone();
        }
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        self.identify(&mut config)?;
        self.trust(&mut config)?;
        config.disable_compression = self.disable_compression;
        config.connect_timeout = Some(CONNECT);
        config.default_retry = false;
        Ok(config)
    }

    /// The kubeconfig's contents; none if none is named and there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn file(&self) -> Result<Option<Kubeconfig>, Failure> {
        if let Some(path) = &self.kubeconfig {
            return Kubeconfig::read_from(path).map(Some).map_err(|error| unusable(path, &error));
        }
        match Kubeconfig::read() {
            Ok(file) => Ok(Some(file)),
            Err(kube::config::KubeconfigError::ReadConfig(error, path))
                if error.kind() == std::io::ErrorKind::NotFound
                    && std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty()) =>
            {
                Err(unusable(&path, &error))
            }
            Err(
                kube::config::KubeconfigError::ReadConfig(..)
                | kube::config::KubeconfigError::FindPath,
            ) => Ok(None),
            Err(error) => Err(Failure::new(
                Kind::Cluster,
                format!("cannot use the kubeconfig: {}", reason(&error)),
            )),
        }
    }

    async fn of_file(&self, file: Kubeconfig) -> Result<Config, Failure> {
        let contexts: Vec<_> = file.contexts.iter().map(|context| context.name.clone()).collect();
        if let Some(wanted) = &self.context
            && !contexts.contains(wanted)
        {
            return Err(no_context(wanted, &contexts));
        }
        // As kubectl has it: --server alone is enough, a file without a context notwithstanding.
        if let Some(server) = &self.server
            && self.context.is_none()
            && file.current_context.as_deref().is_none_or(str::is_empty)
        {
            return Ok(Config::new(server.clone()));
        }
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error| {
            Failure::new(Kind::Cluster, format!("cannot use the kubeconfig: {}", reason(&error)))
                .with_hint("kubectl config get-contexts lists what it has; --context names one")
        })
    }

    /// Without a kubeconfig: the address of the command line, or the pod's service account.
    fn of_pod(&self) -> Result<Config, Failure> {
        if let Some(wanted) = &self.context {
            return Err(no_context(wanted, &[]));
        }
        if let Some(server) = &self.server {
            return Ok(Config::new(server.clone()));
        }
        Config::incluster().map_err(|_error| {
            Failure::new(Kind::Cluster, "no cluster is known: there is no kubeconfig")
                .with_hint("name one with --kubeconfig FILE, or set KUBECONFIG\nwithout a cluster: kubectl contour sandbox")
        })
    }

    fn identify(&self, config: &mut Config) -> Result<(), Failure> {
        let auth = &mut config.auth_info;
        if let Some(token) = &self.token {
            auth.token = Some(token.clone().into());
            auth.token_file = None;
            auth.exec = None;
            auth.auth_provider = None;
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        if let Some(path) = &self.client_certificate {
            auth.client_certificate = Some(text(path));
            auth.client_certificate_data = None;
        }
        if let Some(path) = &self.client_key {
            auth.client_key = Some(text(path));
            auth.client_key_data = None;
        }
        if let Some(user) = &self.impersonate {
            auth.impersonate = Some(user.clone());
            auth.impersonate_groups =
                Some(self.impersonate_groups.clone()).filter(|groups| !groups.is_empty());
        }
        // The client sends user and groups; uid and extra fields are for us to send
        // (kubernetes.io/docs/reference/access-authn-authz/authentication, "User impersonation").
        let uid = self.impersonate_uid.clone().or_else(|| auth.impersonate_uid.clone());
        let mut extra: BTreeMap<String, Vec<String>> =
            auth.impersonate_user_extra.clone().unwrap_or_default().into_iter().collect();
        for (key, value) in &self.impersonate_extra {
            extra.entry(key.clone()).or_default().push(value.clone());
        }
        let fields = uid.map(|uid| ("impersonate-uid".to_owned(), vec![uid])).into_iter().chain(
            extra.into_iter().map(|(key, values)| {
                let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
                (format!("impersonate-extra-{}", key.to_ascii_lowercase()), values)
            }),
        );
        for (name, values) in fields {
            for value in values {
                let header = HeaderName::try_from(name.as_str())
                    .ok()
                    .zip(HeaderValue::try_from(&value).ok());
                let header = header.ok_or_else(|| {
                    Failure::new(
                        Kind::Usage,
                        format!("{name}: {value:?} cannot be sent as a header"),
                    )
                })?;
                config.headers.push(header);
            }
        }
        Ok(())
    }

    fn trust(&self, config: &mut Config) -> Result<(), Failure> {
        if let Some(path) = &self.certificate_authority {
            if let Err(error) = std::fs::metadata(path) {
                return Err(Failure::new(
                    Kind::Usage,
                    format!("--certificate-authority {}: {error}", path.display()),
                ));
            }
            config.root_cert = None;
            config.root_cert_file = Some(path.clone());
            config.accept_invalid_certs = false;
        }
        if self.insecure_skip_tls_verify {
            config.accept_invalid_certs = true;
        }
        if let Some(name) = &self.tls_server_name {
            config.tls_server_name = Some(name.clone());
        }
        Ok(())
    }
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> Failure {
    let message = format!("cannot use the kubeconfig {}: {}", path.display(), reason(error));
    Failure::new(Kind::Cluster, message).with_hint("name another one with --kubeconfig FILE")
}

fn no_context(wanted: &str, known: &[String]) -> Failure {
    let failure = Failure::new(Kind::Cluster, format!("the kubeconfig has no context {wanted:?}"));
    if known.is_empty() {
        failure
    } else {
        failure.with_hint(format!("it has {}", known.join(", ")))
    }
}
