//! `kubectl contour status`: what each Envoy has of what the controllers serve.

pub mod report;
mod show;

use clap::{Args, ValueEnum};

use crate::cluster::{Cluster, ClusterFlags, clock};
use crate::failure::{Failure, Kind, write_stderr};
use crate::fleet::{self, App, Pod};
use crate::output::Printer;
use crate::wait::{PAUSE, WaitFlags, Waiting};
use report::{Report, Verdict};

/// What the command's exit codes mean.
pub const CODES: &str = "Exit codes: 0 every Envoy is in sync, 1 failed, 2 wrong usage, 6 not in sync in time (--wait), \
7 some are not in sync, 9 no cluster, or it does not allow to ask the controllers";

/// Flags of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Of the installations in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitFlags,
    /// The cluster; its namespace is that of the installation [default: projectcontour].
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Table,
    /// A table with more columns.
    Wide,
    /// A JSON object.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Runs the command.
///
/// # Errors
/// If some Envoy is not in sync, or that cannot be told.
pub async fn run(args: StatusArgs, mut printer: Printer) -> Result<(), Failure> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let namespace = (!args.all_namespaces).then(|| fleet::namespace(&args.cluster));
    let limit = args.wait.limit();
    let mut waiting = Waiting::start(printer.quiet());
    let (report, late) = loop {
        let report = look(&cluster, namespace.as_deref()).await;
        let left = limit.is_some_and(|limit| waiting.elapsed() < limit);
        // What was waited for is said even if the first look took all the time.
        if limit.is_some()
            && let Ok(report) = &report
            && report.verdict() != Verdict::InSync
        {
            waiting.say(&report.reason());
        }
        match report {
            Ok(report) if report.verdict() == Verdict::InSync || !left => break (report, !left),
            Ok(report) if report.forbidden() => break (report, false),
            Ok(_) => {}
            Err(failure) if left && failure.kind == Kind::Cluster => waiting.say(&failure.message),
            Err(failure) => {
                waiting.end();
                return Err(failure);
            }
        }
        tokio::time::sleep(PAUSE).await;
    };
    waiting.end();
    for replica in report.controllers.iter().filter(|replica| replica.error.is_some()) {
        let error = replica.error.as_deref().unwrap_or_default();
        write_stderr(&format!("warning: controller {} tells nothing: {error}\n", replica.pod));
    }
    let text = match args.output {
        Format::Table | Format::Wide => {
            let wide = args.output == Format::Wide;
            show::table(&report, wide, args.all_namespaces, printer.palette())
        }
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Yaml => serde_saphyr::to_string(&report)
            .map_err(|error| Failure::new(Kind::Error, format!("cannot write YAML: {error}")))?,
    };
    // Whoever closes the output has seen enough; the verdict stands.
    let _closed = printer.lines(text.trim_end());
    match ended(&report, limit.is_some() && late) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Why it ends otherwise than well; `late` if it was waited for in vain.
fn ended(report: &Report, late: bool) -> Option<Failure> {
    let hint = "kubectl contour check says what may be wrong with the installation";
    match report.verdict() {
        Verdict::InSync => None,
        Verdict::Unknown => {
            let failure = Failure::new(Kind::Cluster, report.reason());
            Some(failure.with_hint("what is shown comes from Kubernetes alone"))
        }
        Verdict::Findings => {
            let kind = if late { Kind::Timeout } else { Kind::Findings };
            Some(Failure::new(kind, report.reason()).with_hint(hint))
        }
    }
}

async fn look(cluster: &Cluster, namespace: Option<&str>) -> Result<Report, Failure> {
    let pods = fleet::pods(cluster, namespace).await;
    let pods: Vec<Pod> = pods.map_err(|trouble| trouble.failure("cannot list pods"))?;
    if !pods.iter().any(|pod| pod.app == App::Envoy) {
        let place =
            namespace.map_or_else(|| "any namespace".to_owned(), |n| format!("namespace {n}"));
        let failure = Failure::new(Kind::Findings, format!("there is no Envoy in {place}"));
        return Err(failure.with_hint(
            "-n names the namespace of the installation, -A looks everywhere\nkubectl contour install installs one",
        ));
    }
    let told = fleet::ask_json(cluster, &pods, "/debug/envoys").await;
    Ok(report::merge(&pods, &told, clock::now()))
}
