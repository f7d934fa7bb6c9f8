//! The command line of `tap`.

use std::path::PathBuf;

use clap::Args;

use super::want::Statuses;
use crate::cluster::ClusterFlags;
use crate::output::Format;

/// What the exit codes of `tap` mean; the same table is in docs/tap.md.
pub const CODES: &str = "Examples:
  kubectl contour tap                                  requests as they come
  kubectl contour tap --host shop.example.com --status 5xx
  kubectl contour tap --path /cart --method POST -o json | jq .durationMillis
  kubectl contour tap -f ./sandbox-example -c 10       ten requests of a sandbox

Exit codes: 0 as many were shown as asked for, or nobody reads any more, 1 failed, 2 wrong usage, 9 no cluster, or it does \
not allow to read the logs of Envoys, 130 interrupted";

/// Flags of `tap`.
#[derive(Args, Clone, Debug)]
pub struct TapArgs {
    /// The form; json: one object on each line
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// End after as many requests
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// At most so many requests a second; others are counted; 0: all [default: 50, with -o json all]
    #[arg(long, value_name = "N")]
    pub max_rate: Option<u32>,
    /// Which requests.
    #[command(flatten)]
    pub want: WantFlags,
    /// The requests of the sandbox that serves this directory
    #[arg(short = 'f', long, value_name = "DIR")]
    pub filename: Option<PathBuf>,
    /// The cluster; its namespace is that of the installation [default: projectcontour].
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags about which requests.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which requests")]
pub struct WantFlags {
    /// Of this host; *.example.com: of all below it
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Of paths that begin so
    #[arg(long, value_name = "PREFIX")]
    pub path: Option<String>,
    /// With one of these methods
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',')]
    pub method: Vec<String>,
    /// Answered so: 404, 5xx, 400-499; several with commas; 0: not answered
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',')]
    pub status: Vec<Statuses>,
    /// Sent to an address or a cluster of which this is a part
    #[arg(long, value_name = "PART")]
    pub upstream: Option<String>,
    /// Served by an Envoy of whose name this is a part
    #[arg(long, value_name = "PART")]
    pub envoy: Option<String>,
    /// With one of these response flags of Envoy's, such as UF
    #[arg(long, value_name = "FLAG,…", value_delimiter = ',')]
    pub flag: Vec<String>,
}
