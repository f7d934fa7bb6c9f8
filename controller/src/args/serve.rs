//! `contour serve`: its flags, and the step from them and the file to checked settings.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use contour_core::name::ObjectName;
use contour_core::options::{Bind, Options, TlsLayout};
use contour_core::shift::percent::Percent;

use super::limits::LimitArg;
use super::{ArgsError, texts, tls_files};
use crate::config::{
    Access, Config, Election, Kubernetes, Listen, Safeguards, Shrink, StatusAddresses, XdsSecurity,
};
use crate::configuration::value::{Format, Parse, Port};
use crate::configuration::{self, Configuration};
use crate::source::Source;

/// Flags of `contour serve`, named as Contour names them. Those that the file can set as well have
/// no default here.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Directory of manifests (*.yaml, *.yml, *.json) to serve and watch, instead of a cluster.
    #[arg(long, value_name = "DIR", conflicts_with = "KubernetesArgs")]
    pub source: Option<PathBuf>,
    /// Contour's configuration file, read once; flags count more than it (docs/configuration.md).
    #[arg(short, long, value_name = "FILE")]
    pub config_path: Option<PathBuf>,
    /// Not built: use --config-path.
    #[arg(long, value_name = "NAME")]
    pub contour_config_name: Option<String>,

    /// Flags about the API server.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,

    /// Address on which Envoys are served.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "xDS")]
    pub xds_address: IpAddr,
    /// Port on which Envoys are served; 0 for any free one, which is logged.
    #[arg(long, value_name = "PORT", default_value_t = 8001, help_heading = "xDS")]
    pub xds_port: u16,
    /// PEM file of the certificate authority that Envoys' certificates must come from.
    #[arg(long, value_name = "FILE", env = "CONTOUR_CAFILE", help_heading = "xDS")]
    pub contour_cafile: Option<PathBuf>,
    /// PEM file of the controller's certificate chain.
    #[arg(long, value_name = "FILE", env = "CONTOUR_CERT_FILE", help_heading = "xDS")]
    pub contour_cert_file: Option<PathBuf>,
    /// PEM file of the key of the controller's certificate.
    #[arg(long, value_name = "FILE", env = "CONTOUR_KEY_FILE", help_heading = "xDS")]
    pub contour_key_file: Option<PathBuf>,
    /// Serve Envoys without TLS: anybody who can connect reads every certificate's key.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "xDS")]
    pub insecure: Option<bool>,

    /// Address on which Envoy serves HTTP.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Envoy")]
    pub envoy_service_http_address: IpAddr,
    /// Port on which Envoy serves HTTP.
    #[arg(long, value_name = "PORT", default_value_t = 8080, help_heading = "Envoy")]
    pub envoy_service_http_port: u16,
    /// Address on which Envoy serves HTTPS.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Envoy")]
    pub envoy_service_https_address: IpAddr,
    /// Port on which Envoy serves HTTPS.
    #[arg(long, value_name = "PORT", default_value_t = 8443, help_heading = "Envoy")]
    pub envoy_service_https_port: u16,
    /// Address on which Envoy serves /ready and /stats/prometheus [default: 0.0.0.0].
    #[arg(long, value_name = "IP", help_heading = "Envoy")]
    pub stats_address: Option<IpAddr>,
    /// Port on which Envoy serves /ready and /stats/prometheus [default: 8002].
    #[arg(long, value_name = "PORT", help_heading = "Envoy")]
    pub stats_port: Option<u16>,
    /// Envoy's access log of HTTP; empty for none.
    #[arg(long, value_name = "FILE", default_value = "/dev/stdout", help_heading = "Envoy")]
    pub envoy_http_access_log: String,
    /// Envoy's access log of HTTPS; empty for none.
    #[arg(long, value_name = "FILE", default_value = "/dev/stdout", help_heading = "Envoy")]
    pub envoy_https_access_log: String,
    /// Format of Envoy's access logs [default: envoy].
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Envoy")]
    pub accesslog_format: Option<Format>,
    /// Expect the PROXY protocol on Envoy's HTTP and HTTPS listeners.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Envoy")]
    pub use_proxy_protocol: Option<bool>,
    /// How hosts with TLS are laid out in Envoy's HTTPS listener.
    #[arg(long, value_enum, default_value_t = Layout::OnDemand, help_heading = "Envoy")]
    pub tls_layout: Layout,
    /// Let Envoy fetch a certificate only when the first client asks for it: saves an Envoy some
    /// 26 kB a host, but a host that nobody has visited needs the controller for its first
    /// handshake.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Envoy")]
    pub disable_certificate_prefetch: Option<bool>,

    /// Namespaces in which root IngressRoutes are allowed; all if not given.
    #[arg(long, value_name = "NS,…", value_delimiter = ',', help_heading = "Objects")]
    pub root_namespaces: Vec<String>,
    /// Ingress classes to serve; if not given, objects without class and of class "contour".
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', help_heading = "Objects")]
    pub ingress_class_name: Vec<String>,
    /// Ignore permitInsecure: hosts with TLS always redirect plain HTTP.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Objects")]
    pub disable_permit_insecure: Option<bool>,
    /// How much objects may expand to, such as namespace.routes=100000 (docs/limits.md).
    #[arg(long, value_name = "NAME=N,…", value_delimiter = ',', value_parser = super::limits::parse, help_heading = "Objects")]
    pub limit: Vec<LimitArg>,
    /// Kinds not to read; accepted, for none of them is read yet.
    #[arg(long, value_enum, value_name = "FEATURE", help_heading = "Objects")]
    pub disable_feature: Vec<Feature>,

    /// How long at most, after a start, Envoys keep what they have while a file, or a kind of the
    /// API server, cannot be read; 0s for not at all.
    #[arg(long, value_name = "DURATION", value_parser = hold, default_value = "1m", help_heading = "Operation")]
    pub unread_hold: Duration,
    /// Keep hosts for a time where more than this share of all, and ten at least, would be gone at
    /// once; 0 for never.
    #[arg(long, value_name = "PERCENT", value_parser = Percent::parse, default_value = "50%", help_heading = "Operation")]
    pub shrink_guard: Percent,
    /// How long they are kept; then they are removed, unless they are there again.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m", help_heading = "Operation")]
    pub shrink_guard_hold: Duration,
    /// Address of /healthz and /readyz.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Operation")]
    pub health_address: IpAddr,
    /// Port of /healthz and /readyz.
    #[arg(long, value_name = "PORT", default_value_t = 8000, help_heading = "Operation")]
    pub health_port: u16,
    /// Address of /metrics [default: 0.0.0.0]; one listener with health if address and port are
    /// the same.
    #[arg(long, value_name = "IP", help_heading = "Operation")]
    pub http_address: Option<IpAddr>,
    /// Port of /metrics [default: 8000].
    #[arg(long, value_name = "PORT", help_heading = "Operation")]
    pub http_port: Option<u16>,
    /// Address of /debug, which must be a loopback address: it has no other protection.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Operation")]
    pub debug_http_address: IpAddr,
    /// Port of /debug.
    #[arg(long, value_name = "PORT", default_value_t = 6060, help_heading = "Operation")]
    pub debug_http_port: u16,
    /// Log in detail.
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Operation")]
    pub debug: Option<bool>,

    /// The namespace of the controller.
    #[arg(long, hide = true, env = "CONTOUR_NAMESPACE", default_value = "projectcontour")]
    pub contour_namespace: String,
    /// Flags of former versions.
    #[command(flatten)]
    pub former: FormerArgs,
}

/// Flags of `contour serve` about the API server.
#[derive(Args, Debug)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Reach the API server by the pod's service account.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "kubeconfig")]
    pub incluster: Option<bool>,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config or the pod's service account].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Requests a second to the API server, on average [default: 100].
    #[arg(long, value_name = "N", value_parser = qps)]
    pub kubernetes_client_qps: Option<f32>,
    /// Requests to the API server at once after a pause [default: 200].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub kubernetes_client_burst: Option<u32>,
    /// Verbosity of the log about the API server; accepted, without effect.
    #[arg(long, value_name = "LEVEL")]
    pub kubernetes_debug: Option<u32>,
    /// Namespaces whose objects are read; all if not given.
    #[arg(long, value_name = "NS,…", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// IP addresses or host names for the status of objects; those of Envoy's Service if not given.
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    pub ingress_status_address: Vec<String>,
    /// Envoy's Service [default: envoy].
    #[arg(long, value_name = "NAME")]
    pub envoy_service_name: Option<String>,
    /// Namespace of Envoy's Service; the controller's own if not given.
    #[arg(long, value_name = "NS")]
    pub envoy_service_namespace: Option<String>,
    /// Write status without asking other replicas.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub disable_leader_election: Option<bool>,
    /// How long a leader that is silent keeps its place [default: 15s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub leader_election_lease_duration: Option<Duration>,
    /// How long a leader tries to renew before it gives up [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub leader_election_renew_deadline: Option<Duration>,
    /// How often a leader renews and others look [default: 2s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub leader_election_retry_period: Option<Duration>,
    /// The Lease [default: leader-elect].
    #[arg(long, value_name = "NAME")]
    pub leader_election_resource_name: Option<String>,
    /// Namespace of the Lease; the controller's own if not given.
    #[arg(long, value_name = "NS")]
    pub leader_election_resource_namespace: Option<String>,
}

/// Flags that former versions of Contour had: known so that the message can say what to do.
#[derive(Args, Debug)]
pub struct FormerArgs {
    /// Of Contour up to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub ingressroute_root_namespaces: Option<Option<String>>,
    /// Of Contour up to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub envoy_external_http_port: Option<Option<String>>,
    /// Of Contour up to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub envoy_external_https_port: Option<Option<String>>,
    /// Of Contour up to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub enable_leader_election: Option<Option<String>>,
    /// Of Contour up to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub experimental_service_apis: Option<Option<String>>,
    /// Of Contour 1.1 to 1.5.
    #[arg(long, hide = true, num_args = 0..=1)]
    pub accesslog_fields: Option<Option<String>>,
}

impl FormerArgs {
    fn check(&self) -> Result<(), ArgsError> {
        let former = [
            (
                &self.ingressroute_root_namespaces,
                "--ingressroute-root-namespaces",
                "use --root-namespaces",
            ),
            (
                &self.envoy_external_http_port,
                "--envoy-external-http-port",
                "leave it out: hosts match with any port",
            ),
            (
                &self.envoy_external_https_port,
                "--envoy-external-https-port",
                "leave it out: hosts match with any port",
            ),
            (
                &self.enable_leader_election,
                "--enable-leader-election",
                "leave it out: leaders are elected unless --disable-leader-election is given",
            ),
            (
                &self.experimental_service_apis,
                "--experimental-service-apis",
                "leave it out: Gateway API is not built",
            ),
            (
                &self.accesslog_fields,
                "--accesslog-fields",
                "write json-fields into the file of --config-path",
            ),
        ];
        former
            .into_iter()
            .find(|(given, ..)| given.is_some())
            .map_or(Ok(()), |(_, flag, advice)| Err(ArgsError::Former { flag, advice }))
    }
}

/// How hosts with TLS are laid out in Envoy's HTTPS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// One filter chain for all; a change costs the same at any number of hosts. No session
    /// resumption.
    OnDemand,
    /// One filter chain a host, with session resumption.
    PerHost,
}

/// Kinds that Contour can be told not to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Feature {
    /// `ExtensionService`.
    ExtensionServices,
    /// `TLSRoute`.
    TlsRoutes,
    /// `GRPCRoute`.
    GrpcRoutes,
    /// `TCPRoute`.
    TcpRoutes,
    /// `BackendTLSPolicy`.
    BackendTlsPolicies,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    <Duration as Parse>::parse(text).ok_or_else(|| Duration::complaint(text))
}

/// A time that may be none.
fn hold(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { duration(text) }
}

fn qps(text: &str) -> Result<f32, String> {
    <f32 as Parse>::parse(text).ok_or_else(|| f32::complaint(text))
}

/// What `contour serve` runs with, and what to say about it.
#[derive(Debug)]
pub struct Prepared {
    /// What it runs with.
    pub config: Config,
    /// Whether to log in detail.
    pub debug: bool,
    /// Flags and keys that were accepted and have no effect.
    pub without_effect: Vec<String>,
}

impl ServeArgs {
    /// Reads the file, if there is one, and checks it and the flags against each other.
    ///
    /// # Errors
    /// Says which flag or key to change.
    pub fn prepare(self) -> Result<Prepared, ArgsError> {
        self.former.check()?;
        if let Some(name) = self.contour_config_name {
            return Err(ArgsError::ContourConfiguration(name));
        }
        let file = match &self.config_path {
            Some(path) => configuration::load(path)?,
            None => Configuration::default(),
        };
        let debug = self.debug.or(file.debug).unwrap_or(false);
        let without_effect = self.without_effect(&file);
        let config = self.into_config(&file)?;
        Ok(Prepared { config, debug, without_effect })
    }

    fn without_effect(&self, file: &Configuration) -> Vec<String> {
        let mut names = file.without_effect();
        if self.kubernetes.kubernetes_debug.is_some() {
            names.push("--kubernetes-debug".to_owned());
        }
        if !self.disable_feature.is_empty() {
            names.push("--disable-feature".to_owned());
        }
        if self.source.is_some() {
            let kubernetes = [
                "incluster",
                "kubeconfig",
                "kubernetesClientQPS",
                "kubernetesClientBurst",
                "ingress-status-address",
                "envoy-service-namespace",
                "envoy-service-name",
            ];
            let given = file.given();
            let given = given.into_iter().map(|(path, _)| path);
            let given = given.filter(|path| kubernetes.contains(&path.as_str()));
            names.extend(given.map(|path| format!("{path} (with --source)")));
        }
        names
    }

    fn into_config(self, file: &Configuration) -> Result<Config, ArgsError> {
        if !self.debug_http_address.is_loopback() {
            return Err(ArgsError::DebugNotLoopback(self.debug_http_address));
        }
        let roots: Vec<Arc<str>> = texts(self.root_namespaces.clone());
        let options = self.options(file, roots.clone());
        let listen = self.listen(file);
        let security = if self.insecure == Some(true) {
            XdsSecurity::Plaintext
        } else {
            XdsSecurity::Mutual(tls_files(
                [
                    ("--contour-cafile", self.contour_cafile),
                    ("--contour-cert-file", self.contour_cert_file),
                    ("--contour-key-file", self.contour_key_file),
                ],
                "the controller",
            )?)
        };
        let source = if let Some(directory) = self.source {
            Source::Directory(directory)
        } else {
            let kubernetes = self.kubernetes.check(file, self.contour_namespace.into())?;
            inside(&roots, &kubernetes.watch_namespaces)?;
            Source::Kubernetes(Box::new(kubernetes))
        };
        let shrink = Shrink { share: self.shrink_guard, hold: self.shrink_guard_hold };
        let safeguards = Safeguards {
            unread_hold: self.unread_hold,
            shrink: (shrink.share != Percent::NONE).then_some(shrink),
        };
        Ok(Config { source, options, listen, security, safeguards })
    }

    fn listen(&self, file: &Configuration) -> Listen {
        let metrics = &file.metrics.contour;
        let address = self.http_address.or_else(|| metrics.address.as_ref().map(|a| a.0));
        let port = self.http_port.or_else(|| metrics.port.map(Port::port));
        Listen {
            xds: SocketAddr::new(self.xds_address, self.xds_port),
            health: SocketAddr::new(self.health_address, self.health_port),
            metrics: SocketAddr::new(address.unwrap_or(ANY), port.unwrap_or(8000)),
            debug: SocketAddr::new(self.debug_http_address, self.debug_http_port),
        }
    }

    fn options(&self, file: &Configuration, root_namespaces: Vec<Arc<str>>) -> Options {
        let bind = |address, port| Bind { address, port };
        let stats = &file.metrics.envoy;
        let address = self.stats_address.or_else(|| stats.address.as_ref().map(|a| a.0));
        let port = self.stats_port.or_else(|| stats.port.map(Port::port));
        let options = Options {
            http: bind(self.envoy_service_http_address, self.envoy_service_http_port),
            https: bind(self.envoy_service_https_address, self.envoy_service_https_port),
            stats: Some(bind(address.unwrap_or(ANY), port.unwrap_or(8002))),
            http_access_log: self.envoy_http_access_log.as_str().into(),
            https_access_log: self.envoy_https_access_log.as_str().into(),
            root_namespaces,
            ingress_classes: texts(self.ingress_class_name.clone()),
            // Whoever writes the files operates the machine; no tenant of a cluster does.
            allow_loopback_endpoints: self.source.is_some(),
            use_proxy_protocol: self.use_proxy_protocol == Some(true),
            tls_layout: match self.tls_layout {
                Layout::OnDemand => TlsLayout::OnDemand,
                Layout::PerHost => TlsLayout::PerHost,
            },
            prefetch_certificates: self.disable_certificate_prefetch != Some(true),
            ..Options::default()
        };
        let mut options = file.options(options, self.accesslog_format);
        if let Some(disabled) = self.disable_permit_insecure {
            options.disable_permit_insecure = disabled;
        }
        for limit in &self.limit {
            limit.apply(&mut options.limits);
        }
        options
    }
}

const ANY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// A root in a namespace that is not read would never be found.
fn inside(roots: &[Arc<str>], watched: &[Arc<str>]) -> Result<(), ArgsError> {
    let outside: Vec<_> = roots.iter().filter(|root| !watched.contains(root)).cloned().collect();
    if watched.is_empty() || outside.is_empty() {
        return Ok(());
    }
    Err(ArgsError::RootsOutside(outside.join(", ")))
}

impl KubernetesArgs {
    fn check(self, file: &Configuration, namespace: Arc<str>) -> Result<Kubernetes, ArgsError> {
        let default = Kubernetes::default();
        let access = self.access(file);
        let addresses = self.addresses(file, &namespace);
        let election = if self.disable_leader_election == Some(true) {
            None
        } else {
            Some(self.election(&namespace)?)
        };
        Ok(Kubernetes {
            access,
            qps: self
                .kubernetes_client_qps
                .or_else(|| file.kubernetes_client_qps.as_ref().map(|q| q.0))
                .unwrap_or(default.qps),
            burst: self
                .kubernetes_client_burst
                .or_else(|| file.kubernetes_client_burst.map(|b| b.0))
                .unwrap_or(default.burst),
            watch_namespaces: texts(self.watch_namespaces),
            namespace,
            election,
            addresses,
            watch: default.watch,
            deadman: default.deadman,
        })
    }

    /// As in Contour, `incluster` counts more than `kubeconfig` where the file has both.
    fn access(&self, file: &Configuration) -> Access {
        let kubeconfig = || file.kubeconfig.as_ref().filter(|path| !path.is_empty());
        match (self.incluster, &self.kubeconfig) {
            (Some(true), _) => Access::InCluster,
            (_, Some(path)) => Access::Kubeconfig(path.clone()),
            (None, None) if file.incluster == Some(true) => Access::InCluster,
            (Some(false) | None, None) => {
                kubeconfig().map_or(Access::Inferred, |path| Access::Kubeconfig(path.into()))
            }
        }
    }

    fn addresses(&self, file: &Configuration, namespace: &Arc<str>) -> StatusAddresses {
        let fixed: Vec<Arc<str>> = match &file.ingress_status_address {
            Some(list) if self.ingress_status_address.is_empty() => {
                texts(list.split(',').map(str::to_owned).collect())
            }
            _ => texts(self.ingress_status_address.clone()),
        };
        if !fixed.is_empty() {
            return StatusAddresses::Fixed(fixed);
        }
        let or = |flag: &Option<String>, key: &Option<String>, default: &str| {
            flag.as_ref().or(key.as_ref()).map_or_else(|| default.to_owned(), Clone::clone)
        };
        let service = ObjectName::new(
            or(&self.envoy_service_namespace, &file.envoy_service_namespace, namespace),
            or(&self.envoy_service_name, &file.envoy_service_name, "envoy"),
        );
        StatusAddresses::Service(service)
    }

    fn election(&self, namespace: &Arc<str>) -> Result<Election, ArgsError> {
        let default = Election::default();
        let text = |given: &Option<String>, default: &Arc<str>| {
            given.as_deref().map_or_else(|| Arc::clone(default), Arc::from)
        };
        let election = Election {
            lease_duration: self.leader_election_lease_duration.unwrap_or(default.lease_duration),
            renew_deadline: self.leader_election_renew_deadline.unwrap_or(default.renew_deadline),
            retry_period: self.leader_election_retry_period.unwrap_or(default.retry_period),
            name: text(&self.leader_election_resource_name, &default.name),
            namespace: text(&self.leader_election_resource_namespace, namespace),
        };
        let (lease, renew) = (election.lease_duration, election.renew_deadline);
        for (longer, duration, shorter, limit) in [
            ("lease-duration", lease, "renew-deadline", renew),
            ("renew-deadline", renew, "retry-period", election.retry_period),
        ] {
            if duration <= limit {
                return Err(ArgsError::ElectionOrder { longer, duration, shorter, limit });
            }
        }
        Ok(election)
    }
}

#[cfg(test)]
mod tests;
