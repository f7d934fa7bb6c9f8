//! The command line of `create`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use contour_core::api::{IngressRouteService, Route, TcpProxy};
use contour_core::name::{Fqdn, ObjectName};

use super::value;
use crate::cluster::ClusterFlags;

/// What an option of a route is; shown by `--help`.
const ROUTE_HELP: &str = "\
A route: /prefix=SERVICE:PORT[,OPTION…][;SERVICE:PORT[,OPTION…]…]; may be repeated

Options of a service:
  weight=N               share of the traffic, relative to the sum of the weights
  strategy=NAME          RoundRobin, WeightedLeastRequest, Random or Cookie
  health-path=/PATH      ask each endpoint for this path; 200 is healthy
  health-host=HOST       the Host header of those requests
  ca-secret=[NS/]NAME    the CA that the upstream's certificate must come from
  subject-name=HOST      the name that the upstream's certificate must have
Options of the route, behind any of its services:
  websocket              clients may upgrade to WebSocket
  permit-insecure        serve plain HTTP too, where the host has TLS
  prefix-rewrite=/PATH   replace the prefix before the request goes upstream
  timeout=TIME           time for the whole answer, such as 30s, or infinity
  retries=N              try again so often on 5xx
  try-timeout=TIME       time for each try";

/// Flags of `create`.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// What to create.
    #[command(subcommand)]
    pub what: What,
}

/// What can be created.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Write an `IngressRoute`: a host with its routes
    ///
    /// Without NAME and --host, on a terminal, it asks for everything.
    #[command(visible_alias = "ir", after_help = EXAMPLES_ROUTE)]
    Ingressroute(Box<IngressRouteArgs>),
    /// Write a second version beside a Service: Deployment, Service and the route to both
    ///
    /// The new Deployment is a copy of the one behind the Service, with a label of its own. Each
    /// `IngressRoute` that routes to the Service gets the new one beside it, with weight 0; where
    /// there is none, a new one is written.
    #[command(after_help = EXAMPLES_BLUE_GREEN)]
    BlueGreen(Box<BlueGreenArgs>),
    /// Write the delegation of a part of a host to another team
    ///
    /// That is a root `IngressRoute` which delegates a prefix, the team's `IngressRoute` in its own
    /// namespace and, if the certificate is in a third one, the `TLSCertificateDelegation`. A root
    /// that is there already is left as it is but for the new route.
    #[command(after_help = EXAMPLES_DELEGATION)]
    Delegation(Box<DelegationArgs>),
}

const EXAMPLES_ROUTE: &str = "Examples:
  # Ask for everything
  kubectl contour create ingressroute
  # One host, one service
  kubectl contour create ingressroute shop --host shop.example.com --route /=web:80
  # TLS, and a tenth of the traffic to the new version
  kubectl contour create ingressroute shop --host shop.example.com --tls-secret shop-tls \\
    --route '/=web:80,weight=90;web-green:80,weight=10' --apply

Exit codes: 0 done, 1 failed, 2 wrong usage, 5 somebody else owns a field, 7 what was asked for has \
errors, 8 cancelled, 9 no cluster, 130 interrupted";

const EXAMPLES_BLUE_GREEN: &str = "Examples:
  # The second version of what Service web runs, to be looked at
  kubectl contour create blue-green web --image example.com/web:2.0
  # The same for the IngressRoute's only service, at once
  kubectl contour create blue-green ingressroute/shop --image example.com/web:2.0 --apply

Exit codes: 0 done, 1 failed, 2 wrong usage, 5 somebody else owns a field, 7 what was asked for has \
errors, 8 cancelled, 9 no cluster, 130 interrupted";

const EXAMPLES_DELEGATION: &str = "Examples:
  # /team of shop.example.com is team-a's, who serve it by Service reports
  kubectl contour create delegation shop --host shop.example.com --route /=web:80 \\
    --prefix /team --to team-a/reports --service reports:80
  # With the certificate of the namespace tls
  kubectl contour create delegation shop --host shop.example.com --tls-secret tls/shop \\
    --prefix /team --to team-a/reports --service reports:80

Exit codes: 0 done, 1 failed, 2 wrong usage, 5 somebody else owns a field, 7 what was asked for has \
errors, 8 cancelled, 9 no cluster, 130 interrupted";

/// Flags of `create ingressroute`.
#[derive(Clone, Debug, Args)]
pub struct IngressRouteArgs {
    /// The name of the `IngressRoute`
    #[arg(value_parser = value::name)]
    pub name: Option<String>,
    /// The host; without one it is an `IngressRoute` that another one delegates to
    #[arg(long, value_name = "HOST", value_parser = value::host)]
    pub host: Option<Fqdn>,
    #[arg(long = "route", value_name = "ROUTE", value_parser = value::route,
          help = "A route: /prefix=SERVICE:PORT[,OPTION…][;…]; may be repeated", long_help = ROUTE_HELP)]
    #[expect(missing_docs, reason = "its help is said above")]
    pub routes: Vec<Route>,
    /// Delegate a prefix to another `IngressRoute`: /prefix=NAMESPACE/NAME or /prefix=NAME; may be
    /// repeated
    #[arg(long = "delegate", value_name = "DELEGATION", value_parser = value::delegate)]
    pub delegates: Vec<Route>,
    /// Flags about TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Forward TLS connections whole: SERVICE:PORT[;SERVICE:PORT…]; needs --passthrough or
    /// --tls-secret
    #[arg(long, value_name = "SERVICE:PORT", value_parser = value::tcp_proxy)]
    pub tcpproxy: Option<TcpProxy>,
    /// The ingress class, for a controller that does not serve the default one
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Flags about what becomes of it.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Flags about the cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags about TLS.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArgs {
    /// The Secret with the certificate, NAME or NAMESPACE/NAME
    #[arg(long, value_name = "SECRET", value_parser = value::secret, requires = "host",
          conflicts_with = "passthrough")]
    pub tls_secret: Option<std::sync::Arc<str>>,
    /// The lowest TLS version
    #[arg(long, value_name = "VERSION", value_parser = ["1.2", "1.3"], requires = "tls_secret")]
    pub tls_minimum_version: Option<String>,
    /// The services behind --tcpproxy terminate TLS
    #[arg(long, requires = "tcpproxy", requires = "host")]
    pub passthrough: bool,
}

/// Flags of `create blue-green`.
#[derive(Clone, Debug, Args)]
pub struct BlueGreenArgs {
    /// The Service, or the `IngressRoute` that routes to it: NAME, service/NAME or
    /// ingressroute/NAME
    #[arg(value_name = "ROUTE|SERVICE")]
    pub target: String,
    /// The image of the new version, IMAGE or CONTAINER=IMAGE [default: that of the first]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// What the new version is called
    #[arg(long, value_name = "NAME", default_value = "green", value_parser = value::name)]
    pub version_name: String,
    /// Which service of the `IngressRoute`, if it has several
    #[arg(long, value_name = "SERVICE", value_parser = value::name)]
    pub service: Option<String>,
    /// The host of a new `IngressRoute`, where none routes to the Service yet
    #[arg(long, value_name = "HOST", value_parser = value::host)]
    pub host: Option<Fqdn>,
    /// The prefix of a new `IngressRoute`
    #[arg(long, value_name = "PREFIX", default_value = "/", value_parser = value::prefix)]
    pub prefix: std::sync::Arc<str>,
    /// The ingress class of a new `IngressRoute`
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Flags about what becomes of it.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Flags about the cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of `create delegation`.
#[derive(Clone, Debug, Args)]
pub struct DelegationArgs {
    /// The name of the root `IngressRoute`, in the namespace of -n
    #[arg(value_parser = value::name)]
    pub name: String,
    /// The host; needed if the root is not there yet
    #[arg(long, value_name = "HOST", value_parser = value::host)]
    pub host: Option<Fqdn>,
    /// The prefix that the team gets
    #[arg(long, value_name = "PREFIX", value_parser = value::prefix)]
    pub prefix: std::sync::Arc<str>,
    /// The team's `IngressRoute`, NAMESPACE/NAME
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = value::reference)]
    pub to: ObjectName,
    /// A service of the team, SERVICE:PORT, for its `IngressRoute` to be written too; may be
    /// repeated
    #[arg(long = "service", value_name = "SERVICE:PORT", value_parser = value::service)]
    pub services: Vec<IngressRouteService>,
    /// A route of the root itself, as for `create ingressroute`; may be repeated
    #[arg(long = "route", value_name = "ROUTE", value_parser = value::route)]
    pub routes: Vec<Route>,
    /// The Secret with the certificate, NAME or NAMESPACE/NAME
    #[arg(long, value_name = "SECRET", value_parser = value::secret)]
    pub tls_secret: Option<std::sync::Arc<str>>,
    /// The ingress class
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Flags about what becomes of it.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Flags about the cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags about what becomes of what was written.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DeliverArgs {
    /// The form of what goes to stdout [default: yaml; with --apply: a line for each object]
    #[arg(short, long, value_enum)]
    pub output: Option<Form>,
    /// client: write nothing to the cluster; server: let it check everything and store nothing
    #[arg(long, value_enum, value_name = "WHERE", default_value_t, num_args = 0..=1,
          default_missing_value = "client", require_equals = true)]
    pub dry_run: DryRun,
    /// Open it in an editor first: `KUBE_EDITOR`, `VISUAL` or `EDITOR`
    #[arg(long)]
    pub edit: bool,
    /// Apply it to the cluster (server-side, as field manager kubectl-contour)
    #[arg(long)]
    pub apply: bool,
    /// Write it to a new file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Go on in spite of errors that were found
    #[arg(long)]
    pub force: bool,
    /// Take fields over that another field manager owns
    #[arg(long, requires = "apply")]
    pub force_conflicts: bool,
    /// Ask no cluster; what it would tell is not checked
    #[arg(long, conflicts_with = "apply")]
    pub offline: bool,
}

/// The form of what goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// YAML; with comments, unless it comes from the server.
    Yaml,
    /// JSON; several objects as a List.
    Json,
    /// `kind.group/name`, one on each line.
    Name,
}

/// Where a dry run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// It is none.
    #[default]
    None,
    /// Before the cluster.
    Client,
    /// Before the cluster's storage.
    Server,
}
