//! The flags of `install`, `upgrade` and `uninstall`.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use contour_deploy::{Override, Profile};

use crate::cluster::ClusterFlags;
use crate::duration;
use crate::failure::{Failure, Kind};
use crate::output::Format;

/// What a dry run asks the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Nothing: says what would be applied.
    Client,
    /// Everything, but nothing is stored: says what would change.
    Server,
}

/// Flags of `install` and `upgrade`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct InstallArgs {
    /// What to install it for; `docs/install.md` says what each is [default: default]
    #[arg(long, value_name = "default|minimal|ha|namespaced", value_parser = profile)]
    pub profile: Option<Profile>,
    /// Values, as for the Helm chart; may be repeated; - reads stdin
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// One value or several, such as `contour.replicas=3`; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// The same where every value is text
    #[arg(long, value_name = "PATH=VALUE")]
    pub set_string: Vec<String>,
    /// Forget the values of the earlier installation
    #[arg(long)]
    pub reset_values: bool,
    /// Write the manifests to stdout, for Git or `kubectl apply`, and do nothing else
    #[arg(long, conflicts_with_all = ["dry_run", "diff", "chart"])]
    pub render: bool,
    /// Write the Helm chart into a directory, and do nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "diff"])]
    pub chart: Option<PathBuf>,
    /// Say what would be done; client: ask nothing of the cluster; server: let it say what would
    /// change
    #[arg(long, value_enum, value_name = "client|server", num_args = 0..=1, require_equals = true,
          default_missing_value = "client")]
    pub dry_run: Option<DryRun>,
    /// Show each field that changes; with --dry-run=server the exit code is 1 if any does
    #[arg(long)]
    pub diff: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Wait until controllers and Envoys are ready, saying what is missing
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub timeout: Duration,
    /// The field manager that applies
    #[arg(long, value_name = "NAME", default_value = "kubectl-contour")]
    pub field_manager: String,
    /// Take over fields that other managers own
    #[arg(long)]
    pub force_conflicts: bool,
    /// Take over an installation that was made by other means
    #[arg(long)]
    pub adopt: bool,
    /// Go back to this version from a later one
    #[arg(long)]
    pub allow_downgrade: bool,
    /// The form of what goes to stdout; json: one object at the end
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

fn profile(text: &str) -> Result<Profile, String> {
    let names = Profile::ALL.map(Profile::name).join(", ");
    Profile::named(text).ok_or_else(|| format!("there are {names}"))
}

/// A file of values: its name and content.
pub(super) type ValuesFile = (String, String);

impl InstallArgs {
    /// Reads the files of values.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(super) fn files(&self) -> Result<Vec<ValuesFile>, Failure> {
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            let text = if name == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                std::fs::read_to_string(path)
            };
            match text {
                Ok(text) => Ok((name, text)),
                Err(error) => {
                    Err(Failure::new(Kind::Usage, format!("cannot read --values {name}: {error}")))
                }
            }
        };
        self.values.iter().map(read).collect()
    }

    /// All that is wanted otherwise: files first, then single values.
    pub(super) fn overrides<'a>(&'a self, files: &'a [ValuesFile]) -> Vec<Override<'a>> {
        let files = files.iter().map(|(name, text)| Override::File { name, text });
        let sets = self.set.iter().map(|set| Override::Set(set));
        let texts = self.set_string.iter().map(|set| Override::SetString(set));
        files.chain(sets).chain(texts).collect()
    }
}

/// Flags of `uninstall`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct UninstallArgs {
    /// Delete the definitions too, and with them every IngressRoute of the cluster
    #[arg(long)]
    pub delete_crds: bool,
    /// Agree to that a second time, where nobody can be asked
    #[arg(long, requires = "delete_crds")]
    pub and_all_routes: bool,
    /// Say what would be deleted
    #[arg(long, value_enum, value_name = "client|server", num_args = 0..=1, require_equals = true,
          default_missing_value = "client")]
    pub dry_run: Option<DryRun>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Wait until everything is gone
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "6m", value_parser = duration::parse)]
    pub timeout: Duration,
    /// The form of what goes to stdout; json: one object at the end
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}
