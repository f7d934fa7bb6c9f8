//! The command line of `shift`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use contour_core::shift::percent::Percent;

use super::plan::{Interrupt, PlanArgs};
use crate::cluster::ClusterFlags;
use crate::duration;

/// What the exit codes of `shift` mean; the same table is in docs/shift.md.
pub const CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate failed or it was ended, and all traffic is back, \
4 it failed or was ended, and weights stay moved, 5 another operator has it, 6 paused: nothing conclusive, or not live in \
time, 7 it cannot begin, 8 somebody else changed what is shifted, 9 no cluster, or it does not allow it, \
130 interrupted (resumable). With --dry-run: 0 nothing would change, 1 weights would";

/// Flags of `shift`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ShiftArgs {
    /// The IngressRoute, such as `shop` or `ingressroute/shop#/cart`: on a terminal, asks what to
    /// shift; elsewhere, says how its shift is going
    #[arg(value_name = "ROUTE")]
    pub target: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceFlags,
    /// How to drive what is asked for.
    #[command(flatten)]
    pub drive: DriveFlags,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do with a shift.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Move traffic from one service to another, step by step
    #[command(after_help = CODES)]
    Start(Box<StartArgs>),
    /// Say what a shift would do, weight by weight, and whether it could begin; changes nothing
    #[command(after_help = CODES)]
    Plan(Box<PlanOnlyArgs>),
    /// Say how a shift is going
    #[command(after_help = CODES)]
    Status(StatusArgs),
    /// Follow a shift that another client drives, without touching it
    #[command(after_help = CODES)]
    Watch(StatusArgs),
    /// Stop a shift where it is
    #[command(after_help = CODES)]
    Pause(GoArgs),
    /// Go on with a shift that was paused, or whose client is gone
    #[command(after_help = CODES)]
    Resume(GoArgs),
    /// Go on with the next step, whatever the gates say; with --full to the end
    #[command(after_help = CODES)]
    Promote(PromoteArgs),
    /// Set the share of the new service by hand; the shift is paused there
    #[command(after_help = CODES)]
    Set(SetArgs),
    /// End a shift and leave the weights where they are
    #[command(after_help = CODES)]
    Abort(GoArgs),
    /// Move all traffic back to where it was before the shift
    #[command(after_help = CODES)]
    Rollback(BackArgs),
    /// Try the step again at which a shift was held or ended
    #[command(after_help = CODES)]
    Retry(GoArgs),
    /// Restore the weights from before the shift, exactly as they were written, even if it is over
    #[command(after_help = CODES)]
    Undo(BackArgs),
    /// List the shifts that an IngressRoute has seen
    #[command(after_help = CODES)]
    History(StatusArgs),
    /// List the shifts of a namespace, or of all
    #[command(after_help = CODES)]
    List(ListArgs),
}

/// Where the route is, and how to reach those who serve it.
#[derive(Args, Clone, Debug)]
pub struct PlaceFlags {
    /// Shift a route that stands in this file or directory, which a controller serves: weights are
    /// edited in place, all else is kept
    #[arg(short = 'f', long, value_name = "PATH", global = true)]
    pub filename: Option<PathBuf>,
    /// With -f: where the controller that serves those files answers /debug [default: as the
    /// sandbox notes beside the files]
    #[arg(long, value_name = "IP:PORT", requires = "filename", global = true)]
    pub controller: Option<SocketAddr>,
    /// The namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = crate::fleet::NAMESPACE, global = true)]
    pub contour_namespace: String,
}

/// Flags about driving a shift.
#[derive(Args, Clone, Debug)]
pub struct DriveFlags {
    /// The form of what goes to stdout
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// The panel.
    #[command(flatten)]
    pub panel: PanelFlags,
    /// Take the shift from another client that holds it
    #[arg(long)]
    pub take_over: bool,
    /// Why, for events and history, such as a change number
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// What to do on Ctrl-C and SIGTERM where nobody can be asked
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_interrupt: Interrupt,
    /// Write the gates' verdicts and the outcome as a `JUnit` report
    #[arg(long, value_name = "FILE")]
    pub junit_file: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub summary_file: Option<PathBuf>,
}

/// Flags about the panel.
#[derive(Args, Clone, Copy, Debug)]
pub struct PanelFlags {
    /// Lines instead of the live panel, as where there is no terminal
    #[arg(long)]
    pub no_panel: bool,
    /// The colours of the panel
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub theme: Theme,
    /// A panel without characters beyond ASCII, as where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
}

/// The colours of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Green, yellow and red; none if --color or `NO_COLOR` says so.
    #[default]
    Color,
    /// Such as are told apart without seeing red or green.
    Safe,
    /// None.
    Mono,
}

/// The form of what goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The live panel on a terminal; elsewhere a line for each change.
    #[default]
    Text,
    /// One JSON object at the end.
    Json,
    /// The same as YAML.
    Yaml,
    /// A JSON object for each event, on a line.
    Ndjson,
}

/// Which routes.
#[derive(Args, Clone, Debug)]
pub struct RouteFlags {
    /// The IngressRoute, such as `shop`, or one of its routes: `ingressroute/shop#/cart`; several are
    /// shifted together, and if one goes back all do
    #[arg(value_name = "ROUTE", required_unless_present = "all_routes")]
    pub routes: Vec<String>,
    /// Every IngressRoute of the namespace that has both services
    #[arg(long, conflicts_with = "routes")]
    pub all_routes: bool,
}

/// Flags of `start`.
#[derive(Args, Clone, Debug)]
pub struct StartArgs {
    /// What to shift.
    #[command(flatten)]
    pub routes: RouteFlags,
    /// What to do.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Begin even if the preflight has errors
    #[arg(long)]
    pub force: bool,
    /// How to do it.
    #[command(flatten)]
    pub drive: DriveFlags,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of `plan`.
#[derive(Args, Clone, Debug)]
pub struct PlanOnlyArgs {
    /// What to shift.
    #[command(flatten)]
    pub routes: RouteFlags,
    /// What to do.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The form of what goes to stdout
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of verbs that change nothing.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The IngressRoute
    #[arg(value_name = "ROUTE")]
    pub target: String,
    /// The form of what goes to stdout
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of `list`.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// The form of what goes to stdout
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of verbs that go on with a shift.
#[derive(Args, Clone, Debug)]
pub struct GoArgs {
    /// The IngressRoute
    #[arg(value_name = "ROUTE")]
    pub target: String,
    /// How to do it.
    #[command(flatten)]
    pub drive: DriveFlags,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of `promote`.
#[derive(Args, Clone, Debug)]
pub struct PromoteArgs {
    /// To the end of the plan at once
    #[arg(long)]
    pub full: bool,
    /// All else.
    #[command(flatten)]
    pub go: GoArgs,
}

/// Flags of `set`.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// The IngressRoute
    #[arg(value_name = "ROUTE")]
    pub target: String,
    /// The share of the new service, such as 25 or 0.5%
    #[arg(value_name = "PERCENT", value_parser = percent)]
    pub percent: Percent,
    /// How to do it.
    #[command(flatten)]
    pub drive: DriveFlags,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags of `rollback` and `undo`.
#[derive(Args, Clone, Debug)]
pub struct BackArgs {
    /// Even onto a service that has no healthy endpoint
    #[arg(long)]
    pub force: bool,
    /// All else.
    #[command(flatten)]
    pub go: GoArgs,
}

/// Reads a percentage, exactly.
pub(super) fn percent(text: &str) -> Result<Percent, String> {
    Percent::parse(text).map_err(|error| error.to_string())
}

/// Reads a duration.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text)
}
