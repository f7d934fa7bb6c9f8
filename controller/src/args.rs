//! The command line: clap's types, and the step from them to checked settings.

mod limits;
mod serve;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use limits::LimitArg;
pub(crate) use serve::duration;
pub use serve::{Feature, FormerArgs, KubernetesArgs, Layout, Prepared, ServeArgs};

use crate::certgen::CertgenArgs;
use crate::config::TlsFiles;
use crate::configuration::ConfigurationError;
use crate::envoy::EnvoyArgs;
use crate::exit::Exit;
use crate::version::VersionArgs;

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
    /// Make the certificates by which controller and Envoys know each other.
    Certgen(Box<CertgenArgs>),
    /// Run beside an Envoy, so that it can end without breaking a request.
    Envoy(Box<EnvoyArgs>),
    /// Say which version this is, and what it works with.
    Version(VersionArgs),
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
    /// Bytes of memory that Envoy may use, such as the limit of its container.
    #[arg(long, value_name = "BYTES", env = "ENVOY_MEMORY_LIMIT")]
    pub memory_limit: Option<u64>,
    /// Bytes of heap beyond which Envoy sheds load; 0 for no limit [default: nine tenths of
    /// --memory-limit, if given].
    #[arg(long, value_name = "BYTES")]
    pub overload_max_heap: Option<u64>,
    /// Connections of clients that Envoy accepts at a time; 0 for no limit [default: what the
    /// files that a process may open here are enough for].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub overload_downstream_max_conn: Option<u64>,
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
    /// The configuration should come from an object.
    #[error(
        "--contour-config-name {0}: configuration by a ContourConfiguration is not built; write the same settings into a file and name it with --config-path"
    )]
    ContourConfiguration(String),
    /// A flag of a former version of Contour.
    #[error("{flag} is a flag of former versions of Contour; {advice}")]
    Former {
        /// The flag.
        flag: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// Roots are wanted where nothing is read.
    #[error(
        "--root-namespaces names {0}, which --watch-namespaces does not; name it in both, or in neither"
    )]
    RootsOutside(String),
    /// The times of leader election do not go together.
    #[error(
        "--leader-election-{longer} is {duration:?} and must be longer than --leader-election-{shorter}, which is {limit:?}"
    )]
    ElectionOrder {
        /// What must be longer.
        longer: &'static str,
        /// How long it is.
        duration: Duration,
        /// What it must be longer than.
        shorter: &'static str,
        /// How long that is.
        limit: Duration,
    },
    /// The configuration file.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl ArgsError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::TlsIncomplete { .. }
            | Self::DebugNotLoopback(_)
            | Self::AdminPortMissing(_)
            | Self::ContourConfiguration(_)
            | Self::Former { .. }
            | Self::RootsOutside(_)
            | Self::ElectionOrder { .. } => Exit::Usage,
            Self::Configuration(_) => Exit::Unreadable,
        }
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

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
