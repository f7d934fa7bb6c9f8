//! `doctor`: whether `kubectl contour` runs what it should, and what to do if not.

mod judge;
mod world;

use clap::{Args, CommandFactory as _};
use serde_json::{Value, json};

pub use judge::judge;
pub use world::{Directory, File, Kubectl, World};

use crate::cli::Cli;
use crate::cluster::{Cluster, ClusterFlags};
use crate::failure::{Failure, Kind};
use crate::finding::{Finding, Level};
use crate::output::{Format, Palette, Printer};

/// Flags of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The form of what goes to stdout; json: one object
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Where the cluster is; it is not asked.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Runs `doctor`.
///
/// # Errors
/// If something keeps `kubectl contour` from doing what it should.
pub async fn run(arguments: DoctorArgs, mut printer: Printer) -> Result<(), Failure> {
    let mut findings = judge(&World::of_process(commands()));
    findings.push(match Cluster::connect(&arguments.cluster).await {
        Ok(cluster) => {
            let (server, namespace) = (cluster.server().trim_end_matches('/'), cluster.namespace());
            let message = format!("the kubeconfig leads to {server}, namespace {namespace}");
            Finding::fine("kubeconfig", message)
        }
        Err(failure) => {
            let hint = failure.hint.unwrap_or_default();
            Finding { check: "kubeconfig", level: Level::Error, message: failure.message, hint }
        }
    });
    let text = match printer.format() {
        Format::Text => text(&findings, printer.palette(), printer.quiet()),
        Format::Json => json(&findings).to_string(),
    };
    if !text.is_empty() {
        // Whoever closed stdout still gets the exit code.
        let _closed = printer.lines(&text);
    }
    if count(&findings, Level::Error) > 0 { Err(Failure::silent(Kind::Findings)) } else { Ok(()) }
}

/// The commands of the plugin in the file names by which kubectl would look for them, such as
/// `install` and `create-blue_green`.
fn commands() -> Vec<String> {
    fn collect(command: &clap::Command, above: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            for name in std::iter::once(below.get_name()).chain(below.get_all_aliases()) {
                let name = format!("{above}{}", name.replace('-', "_"));
                collect(below, &format!("{name}-"), found);
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    collect(&Cli::command(), "", &mut found);
    found
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

fn text(findings: &[Finding], palette: Palette, quiet: bool) -> String {
    let mut lines = Vec::new();
    for finding in findings.iter().filter(|finding| !quiet || finding.level != Level::Fine) {
        let word = match finding.level {
            Level::Fine => palette.good("ok     "),
            Level::Warning => palette.strong("warning"),
            Level::Error => palette.bad("error  "),
        };
        lines.push(format!("{word}  {}", finding.message));
        lines.extend(finding.hint.lines().map(|line| format!("         {}", palette.link(line))));
    }
    lines.join("\n")
}

fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "check": finding.check,
            "level": finding.level.word(),
            "message": finding.message,
            "hint": finding.hint,
        })
    };
    json!({
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
        "errors": count(findings, Level::Error),
        "warnings": count(findings, Level::Warning),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_names_that_kubectl_looks_for() {
        let commands = commands();
        for expected in ["install", "create", "create-ir", "create-blue_green", "doctor"] {
            assert!(commands.iter().any(|name| name == expected), "{expected}: {commands:?}");
        }
    }

    #[test]
    fn findings_are_told_with_what_to_do() {
        let findings = [
            Finding::fine("kubectl", "kubectl 1.32 is there"),
            Finding {
                check: "hijack",
                level: Level::Error,
                message: "it is hijacked".into(),
                hint: "remove it\nor rename it".into(),
            },
        ];
        let plain = Palette::new(false);
        let expected = "ok       kubectl 1.32 is there\nerror    it is hijacked\n         remove it\n         or rename it";
        assert_eq!(text(&findings, plain, false), expected);
        assert!(!text(&findings, plain, true).contains("ok"));
        let json = json(&findings);
        assert_eq!((&json["errors"], &json["warnings"]), (&json!(1), &json!(0)));
        assert_eq!(json["findings"][1]["level"], "error");
    }
}
