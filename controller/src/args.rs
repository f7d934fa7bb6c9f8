//! The command line: clap's types, and the step from them to checked settings.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contour_core::pipeline::{Bind, Options, TlsLayout};

use crate::config::{Config, Listen, TlsFiles, XdsSecurity};
use crate::exit::Exit;
use crate::source::Source;

/// Routes traffic through Envoy as IngressRoutes say.
#[derive(Debug, Parser)]
#[command(name = "contour", version, arg_required_else_help = true)]
pub struct Cli {
    /// Format of the log, which goes to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Formats of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve Envoys by xDS.
    Serve(Box<ServeArgs>),
    /// Write the configuration with which an Envoy finds the controller.
    Bootstrap(Box<BootstrapArgs>),
}

/// Flags of `contour serve`, named as Contour names them.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct ServeArgs {
    /// Directory of manifests (*.yaml, *.yml, *.json) to serve and watch.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,

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
    #[arg(long, help_heading = "xDS")]
    pub insecure: bool,

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
    /// Address on which Envoy serves /ready and /stats/prometheus.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Envoy")]
    pub stats_address: IpAddr,
    /// Port on which Envoy serves /ready and /stats/prometheus.
    #[arg(long, value_name = "PORT", default_value_t = 8002, help_heading = "Envoy")]
    pub stats_port: u16,
    /// Envoy's access log of HTTP; empty for none.
    #[arg(long, value_name = "FILE", default_value = "/dev/stdout", help_heading = "Envoy")]
    pub envoy_http_access_log: String,
    /// Envoy's access log of HTTPS; empty for none.
    #[arg(long, value_name = "FILE", default_value = "/dev/stdout", help_heading = "Envoy")]
    pub envoy_https_access_log: String,
    /// Expect the PROXY protocol on Envoy's HTTP and HTTPS listeners.
    #[arg(long, help_heading = "Envoy")]
    pub use_proxy_protocol: bool,
    /// How hosts with TLS are laid out in Envoy's HTTPS listener.
    #[arg(long, value_enum, default_value_t = Layout::OnDemand, help_heading = "Envoy")]
    pub tls_layout: Layout,
    /// Let Envoy fetch a certificate only when the first client asks for it: saves an Envoy some
    /// 26 kB a host, but a host that nobody has visited needs the controller for its first
    /// handshake.
    #[arg(long, help_heading = "Envoy")]
    pub disable_certificate_prefetch: bool,

    /// Namespaces in which root IngressRoutes are allowed; all if not given.
    #[arg(long, value_name = "NS,…", value_delimiter = ',', help_heading = "Objects")]
    pub root_namespaces: Vec<String>,
    /// Ingress classes to serve; if not given, objects without class and of class "contour".
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', help_heading = "Objects")]
    pub ingress_class_name: Vec<String>,
    /// Ignore permitInsecure: hosts with TLS always redirect plain HTTP.
    #[arg(long, help_heading = "Objects")]
    pub disable_permit_insecure: bool,

    /// Address of /healthz and /readyz.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Operation")]
    pub health_address: IpAddr,
    /// Port of /healthz and /readyz.
    #[arg(long, value_name = "PORT", default_value_t = 8000, help_heading = "Operation")]
    pub health_port: u16,
    /// Address of /metrics; one listener with health if address and port are the same.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Operation")]
    pub http_address: IpAddr,
    /// Port of /metrics.
    #[arg(long, value_name = "PORT", default_value_t = 8000, help_heading = "Operation")]
    pub http_port: u16,
    /// Address of /debug, which must be a loopback address: it has no other protection.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Operation")]
    pub debug_http_address: IpAddr,
    /// Port of /debug.
    #[arg(long, value_name = "PORT", default_value_t = 6060, help_heading = "Operation")]
    pub debug_http_port: u16,
    /// Log in detail.
    #[arg(short, long, help_heading = "Operation")]
    pub debug: bool,
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

/// Flags of `contour bootstrap`, named as Contour names them.
#[derive(Args, Debug)]
pub struct BootstrapArgs {
    /// File to write, or - for standard output.
    #[arg(value_name = "PATH|-")]
    pub path: PathBuf,

    /// Envoy's administration: path of a unix socket, or an IP address together with --admin-port.
    #[arg(long, value_name = "PATH|IP", default_value = "/admin/admin.sock")]
    pub admin_address: String,
    /// Port of Envoy's administration, if --admin-address is an IP address.
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<u16>,
    /// Host name or IP address of the controller.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub xds_address: String,
    /// Port of the controller.
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    pub xds_port: u16,
    /// Version of the xDS resources; there is only one.
    #[arg(long, value_name = "VERSION", default_value = "v3", value_parser = ["v3"])]
    pub xds_resource_version: String,
    /// PEM file of the certificate authority that the controller's certificate must come from.
    #[arg(long, value_name = "FILE", env = "ENVOY_CAFILE")]
    pub envoy_cafile: Option<PathBuf>,
    /// PEM file of Envoy's certificate chain.
    #[arg(long, value_name = "FILE", env = "ENVOY_CERT_FILE")]
    pub envoy_cert_file: Option<PathBuf>,
    /// PEM file of the key of Envoy's certificate.
    #[arg(long, value_name = "FILE", env = "ENVOY_KEY_FILE")]
    pub envoy_key_file: Option<PathBuf>,
    /// Connect to the controller without TLS.
    #[arg(long)]
    pub insecure: bool,
    /// Directory for files that point to the certificates; with it, Envoy reloads certificates
    /// when they are replaced.
    #[arg(long, value_name = "DIR")]
    pub resources_dir: Option<PathBuf>,
    /// Envoy's node id; without it, Envoy needs --service-node.
    #[arg(long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Envoy's cluster name; without it, Envoy needs --service-cluster.
    #[arg(long, value_name = "NAME")]
    pub node_cluster: Option<String>,
    /// Namespace of the controller.
    #[arg(long, env = "CONTOUR_NAMESPACE", default_value = "projectcontour")]
    pub namespace: String,
    /// How the controller's host name is resolved.
    #[arg(long, value_enum, default_value_t = DnsFamily::Auto)]
    pub dns_lookup_family: DnsFamily,
    /// Bytes of heap beyond which Envoy sheds load; 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub overload_max_heap: u64,
    /// Downstream connections that Envoy accepts at a time; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub overload_downstream_max_conn: u64,
}

/// How a host name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DnsFamily {
    /// IPv6 if there is any, else IPv4.
    Auto,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    All,
}

/// Why flags do not make sense together.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// Objects would have to come from Kubernetes.
    #[error(
        "serving from a Kubernetes API server is not built yet; give a directory of manifests with --source DIR"
    )]
    NoSource,
    /// TLS was neither set up nor declined.
    #[error(
        "{missing} not given: {program} needs a certificate authority, a certificate and a key for mutual TLS; name the PEM files, or use --insecure on a machine of your own"
    )]
    TlsIncomplete {
        /// The flags that are missing.
        missing: String,
        /// Who needs them.
        program: &'static str,
    },
    /// The debug listener would be open to the network.
    #[error(
        "--debug-http-address {0} is not a loopback address; use 127.0.0.1 or ::1 and forward the port"
    )]
    DebugNotLoopback(IpAddr),
    /// The administration's address is an IP address, but has no port.
    #[error("--admin-address {0} is an IP address; give its port with --admin-port")]
    AdminPortMissing(IpAddr),
}

impl ArgsError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSource => Exit::NotBuilt,
            Self::TlsIncomplete { .. } | Self::DebugNotLoopback(_) | Self::AdminPortMissing(_) => {
                Exit::Usage
            }
        }
    }
}

impl ServeArgs {
    /// Checks the flags against each other.
    ///
    /// # Errors
    /// Says which flag to change.
    pub fn into_config(self) -> Result<Config, ArgsError> {
        let security = if self.insecure {
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
        if !self.debug_http_address.is_loopback() {
            return Err(ArgsError::DebugNotLoopback(self.debug_http_address));
        }
        let source = self.source.ok_or(ArgsError::NoSource)?;
        let bind = |address, port| Bind { address, port };
        let options = Options {
            http: bind(self.envoy_service_http_address, self.envoy_service_http_port),
            https: bind(self.envoy_service_https_address, self.envoy_service_https_port),
            stats: Some(bind(self.stats_address, self.stats_port)),
            http_access_log: self.envoy_http_access_log.into(),
            https_access_log: self.envoy_https_access_log.into(),
            root_namespaces: texts(self.root_namespaces),
            ingress_classes: texts(self.ingress_class_name),
            // Whoever writes the files operates the machine; no tenant does.
            allow_loopback_endpoints: true,
            disable_permit_insecure: self.disable_permit_insecure,
            use_proxy_protocol: self.use_proxy_protocol,
            tls_layout: match self.tls_layout {
                Layout::OnDemand => TlsLayout::OnDemand,
                Layout::PerHost => TlsLayout::PerHost,
            },
            prefetch_certificates: !self.disable_certificate_prefetch,
        };
        Ok(Config {
            source: Source::Directory(source),
            options,
            listen: Listen {
                xds: SocketAddr::new(self.xds_address, self.xds_port),
                health: SocketAddr::new(self.health_address, self.health_port),
                metrics: SocketAddr::new(self.http_address, self.http_port),
                debug: SocketAddr::new(self.debug_http_address, self.debug_http_port),
            },
            security,
        })
    }
}

/// Empty elements come from `--flag=` and trailing commas.
fn texts<T: From<String>>(list: Vec<String>) -> Vec<T> {
    list.into_iter()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .map(T::from)
        .collect()
}

/// All of CA, certificate and key, or an error that names those that are missing.
pub(crate) fn tls_files(
    flags: [(&str, Option<PathBuf>); 3],
    program: &'static str,
) -> Result<TlsFiles, ArgsError> {
    let missing: Vec<_> =
        flags.iter().filter(|(_, file)| file.is_none()).map(|(flag, _)| *flag).collect();
    let missing = missing.join(", ");
    let [(_, ca), (_, certificate), (_, key)] = flags;
    match (ca, certificate, key) {
        (Some(ca), Some(certificate), Some(key)) => Ok(TlsFiles { ca, certificate, key }),
        _ => Err(ArgsError::TlsIncomplete { missing, program }),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn serve(flags: &[&str]) -> Result<Config, ArgsError> {
        let cli = Cli::try_parse_from(["contour", "serve"].iter().chain(flags));
        let cli = cli.unwrap_or_else(|error| panic!("{error}"));
        match cli.command {
            Command::Serve(args) => args.into_config(),
            Command::Bootstrap(_) => unreachable!(),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_contour() {
        let config = serve(&["--source", "d", "--insecure"]).unwrap();
        assert_eq!(config.listen.xds.to_string(), "127.0.0.1:8001");
        assert_eq!(config.listen.health.to_string(), "0.0.0.0:8000");
        assert_eq!(config.listen.metrics, config.listen.health);
        assert_eq!(config.listen.debug.to_string(), "127.0.0.1:6060");
        let options = Options { allow_loopback_endpoints: true, ..Options::default() };
        assert_eq!(config.options, options);
    }

    #[test]
    fn tls_is_required_unless_declined_and_what_is_missing_is_named() {
        let error = serve(&["--source", "d", "--contour-cafile", "ca.pem"]).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(
            error.to_string().starts_with("--contour-cert-file, --contour-key-file not given"),
            "{error}"
        );
        let files =
            ["--contour-cafile", "a", "--contour-cert-file", "b", "--contour-key-file", "c"];
        let config = serve(&[&["--source", "d"], &files[..]].concat()).unwrap();
        assert!(matches!(config.security, XdsSecurity::Mutual(f) if f.key.as_os_str() == "c"));
    }

    #[test]
    fn without_a_directory_there_is_nothing_to_serve_yet() {
        let error = serve(&["--insecure"]).unwrap_err();
        assert_eq!(error.exit(), Exit::NotBuilt);
        assert!(error.to_string().contains("--source"), "{error}");
    }

    #[test]
    fn the_debug_listener_stays_on_the_machine() {
        let error = serve(&["--source", "d", "--insecure", "--debug-http-address", "0.0.0.0"]);
        assert!(matches!(error, Err(ArgsError::DebugNotLoopback(_))));
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let config = serve(&[
            "--source",
            "d",
            "--insecure",
            "--root-namespaces",
            "a, b,",
            "--ingress-class-name=",
        ])
        .unwrap();
        let names: Vec<_> = config.options.root_namespaces.iter().map(|n| &**n).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(config.options.ingress_classes.is_empty());
    }
}
