//! `kubectl contour check`: whether an installation is well, or a cluster ready for one.
//!
//! What is fetched is one [`snapshot::Snapshot`]; each check is a function of it, so that what is
//! said in which case needs no cluster to be tested.

pub mod catalog;
mod fetch;
pub mod report;
mod rules;
pub mod show;
pub mod snapshot;

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};

use crate::cluster::{Cluster, ClusterFlags};
use crate::failure::{Failure, Kind};
use crate::fleet;
use crate::output::Printer;
use crate::wait::{PAUSE, WaitFlags, Waiting};
use catalog::{Category, Check};
use report::{Report, evaluate};
use show::Marks;
use snapshot::Snapshot;

/// What the command's exit codes mean.
pub const CODES: &str = "Exit codes: 0 all is well (warnings allowed), 1 failed, 2 wrong usage, 7 something is wrong, \
9 no cluster";

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Check whether the cluster is ready for an installation
    #[arg(long)]
    pub pre: bool,
    /// The form of the answer; short: only what is not well
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Form,
    /// Only checks of these categories
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub category: Vec<Category>,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitFlags,
    /// The cluster; its namespace is that of the installation [default: projectcontour].
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Only what is not well.
    Short,
    /// All checks.
    #[default]
    Table,
    /// A JSON object.
    Json,
    /// `JUnit` XML, for CI.
    Junit,
}

impl CheckArgs {
    /// The checks to make; none if no category has any. Whether there is a cluster at all is always
    /// one of them: without it, that others were skipped would look as if all were well.
    fn checks(&self) -> Vec<&'static Check> {
        let all = catalog::of(self.pre);
        let wanted = |check: &Check| self.category.contains(&check.category);
        if self.category.is_empty() {
            return all.iter().collect();
        }
        if !all.iter().any(wanted) {
            return Vec::new();
        }
        all.iter().filter(|check| check.anchor == catalog::FIRST || wanted(check)).collect()
    }
}

/// Runs the command.
///
/// # Errors
/// If something is wrong.
pub async fn run(args: CheckArgs, mut printer: Printer) -> Result<(), Failure> {
    let checks = args.checks();
    if checks.is_empty() {
        let which = if args.pre { "with" } else { "without" };
        let message = format!("no check of these categories is made {which} --pre");
        return Err(Failure::new(Kind::Usage, message));
    }
    let limit = args.wait.limit().unwrap_or_default();
    let mut waiting = Waiting::start(printer.quiet());
    let (report, reached) = loop {
        let snapshot = look(&args).await;
        let report = evaluate(&checks, &snapshot);
        match report.waits_for() {
            Some(reason) if snapshot.may_improve() && waiting.elapsed() < limit => {
                waiting.say(&reason);
            }
            Some(_) | None => break (report, snapshot.unreachable()),
        }
        tokio::time::sleep(PAUSE).await;
    };
    waiting.end();
    let text = match args.output {
        Form::Json => serde_json::to_string_pretty(&report)?,
        Form::Junit => show::junit(&report),
        Form::Short | Form::Table => {
            let short = args.output == Form::Short || printer.quiet();
            show::text(&report, short, Marks::of(marks_are_understood()), printer.palette())
        }
    };
    if !text.is_empty() {
        // Whoever closes the output has seen enough; the verdict stands.
        let _closed = printer.lines(text.trim_end());
    }
    ended(&report, reached)
}

/// Whether stdout takes more than ASCII: a terminal in UTF-8.
fn marks_are_understood() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    let utf8 = locale.is_some_and(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    });
    utf8 && std::io::stdout().is_terminal()
}

fn ended(report: &Report, unreachable: Option<String>) -> Result<(), Failure> {
    if report.success {
        return Ok(());
    }
    if let Some(reason) = unreachable {
        let hint = "kubectl cluster-info says whether kubectl reaches it; --context and --server name another";
        return Err(Failure::new(Kind::Cluster, reason).with_hint(hint));
    }
    let count = report.failed();
    let checks = if count == 1 { "check" } else { "checks" };
    Err(Failure::new(Kind::Findings, format!("{count} {checks} failed")))
}

async fn look(args: &CheckArgs) -> Snapshot {
    let namespace = fleet::namespace(&args.cluster);
    match Cluster::connect(&args.cluster).await {
        Ok(cluster) => fetch::snapshot(&cluster, namespace, args.pre).await,
        Err(failure) => Snapshot::without_cluster(namespace, &failure.message),
    }
}
