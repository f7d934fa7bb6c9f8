//! `kubectl contour install` and `upgrade`: from an empty cluster to Envoys that serve, with nothing
//! but this program.

mod apply;
mod arguments;
mod difference;
pub mod inventory;
mod plan;
mod readiness;
mod report;
mod safety;
pub mod uninstall;
mod wait;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use contour_deploy::{APP_VERSION, Manifest, Override, Profile, Release, Values, render, to_yaml};
use serde_json::{Value, json};

pub use arguments::{DryRun, InstallArgs, UninstallArgs};

use crate::cluster::Cluster;
use crate::cluster::value::text;
use crate::failure::{Failure, Kind};
use crate::fleet;
use crate::object::Id;
use crate::output::{Printer, confirm};
use apply::Application;
use inventory::{Inventory, NAME, Phase};
use plan::{Manner, Plan, look, survey};
use report::Report;

/// The label of what belongs to an installation.
const PART_OF: &str = "/metadata/labels/app.kubernetes.io~1part-of";

/// Whether the command was `install` or `upgrade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Whatever is there.
    Install,
    /// Only what is there already.
    Upgrade,
}

/// Runs the command.
///
/// # Errors
/// As the help of the command lists them.
pub async fn run(arguments: InstallArgs, verb: Verb, printer: Printer) -> Result<(), Failure> {
    let is_diff = arguments.diff && arguments.dry_run.is_some();
    tokio::select! {
        // First, so that nothing is done before a signal is heeded.
        biased;
        () = interrupted() => Err(Failure::new(Kind::Interrupted, "interrupted")
            .with_hint("what is applied stays; the same command goes on from here")),
        result = install(arguments, verb, printer) => result.map_err(|mut failure| {
            // As `kubectl diff`: 1 is a difference and no error.
            if is_diff && failure.kind == Kind::Error && !failure.message.is_empty() {
                failure.kind = Kind::Usage;
            }
            failure
        }),
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn install(arguments: InstallArgs, verb: Verb, mut printer: Printer) -> Result<(), Failure> {
    let namespace = fleet::namespace(&arguments.cluster);
    let files = arguments.files()?;
    if let Some(directory) = &arguments.chart {
        return write_chart(directory);
    }
    let overrides = arguments.overrides(&files);
    // Faults of the command line are told before anything is asked of a cluster.
    let values = resolve(arguments.profile.unwrap_or_default(), &overrides)?;
    let release = Release { namespace: namespace.clone(), ..Release::default() };
    if arguments.render {
        let manifests = manifests(&values, &release)?;
        let text = to_yaml(&manifests).map_err(faulty)?;
        let _closed = printer.lines(text.trim_end());
        return Ok(());
    }
    if arguments.dry_run == Some(DryRun::Client) {
        let manifests = manifests(&values, &release)?;
        for manifest in &manifests {
            let id = Id::of(&manifest.object, &namespace)
                .map_err(|why| Failure::new(Kind::Error, why))?;
            let _closed = printer.lines(&format!("{id} created (dry run)"));
        }
        return Ok(());
    }
    let cluster = Cluster::connect(&arguments.cluster).await?;
    Installation { cluster, namespace, release, verb, arguments: &arguments, overrides }
        .run(printer)
        .await
}

/// Writes the chart for people who install with Helm.
fn write_chart(directory: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        Failure::new(Kind::Error, format!("cannot write {}: {error}", path.display()))
    };
    for (path, content) in contour_deploy::chart_files() {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        std::fs::write(&path, content).map_err(|error| failed(&path, &error))?;
    }
    crate::failure::write_stderr(&format!(
        "wrote the chart: helm install contour {} -n {} --create-namespace\n",
        directory.display(),
        fleet::NAMESPACE
    ));
    Ok(())
}

fn faulty(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Usage, format!("the values do not go together: {error}"))
}

fn resolve(profile: Profile, overrides: &[Override<'_>]) -> Result<Values, Failure> {
    Values::resolve(profile, overrides).map_err(|error| {
        Failure::new(Kind::Usage, error.to_string())
            .with_hint("docs/values.md lists all values; --render shows what comes of them")
    })
}

fn manifests(values: &Values, release: &Release) -> Result<Vec<Manifest>, Failure> {
    render(values, release).map_err(faulty)
}

/// An installation, before anything is done.
struct Installation<'a> {
    cluster: Cluster,
    namespace: String,
    release: Release,
    verb: Verb,
    arguments: &'a InstallArgs,
    overrides: Vec<Override<'a>>,
}

impl Installation<'_> {
    async fn run(self, printer: Printer) -> Result<(), Failure> {
        let arguments = self.arguments;
        let is_dry = arguments.dry_run.is_some();
        let mut report = Report::new(printer, if is_dry { " (server dry run)" } else { "" });
        report.progress().say(&format!("looking at {}", self.cluster.server()));
        let earlier = self.earlier().await?;
        if let Some(earlier) = &earlier {
            safety::follows(earlier, APP_VERSION, arguments.allow_downgrade)?;
            if earlier.phase == Phase::Applying {
                report.progress().keep("an earlier installation has not ended: going on with it");
            }
        }
        let values = self.values(earlier.as_ref(), &mut report)?;
        let manner = Manner {
            manager: arguments.field_manager.clone(),
            force: arguments.force_conflicts || arguments.adopt,
        };
        let plan = self.plan(&values, earlier.as_ref(), &manner, &mut report).await?;
        if arguments.diff {
            report.differences(&plan);
        }
        if is_dry {
            return self.dry(&plan, report);
        }
        if plan.is_empty() && earlier.as_ref().is_some_and(|e| e.phase == Phase::Complete) {
            for step in &plan.steps {
                report.step(step);
            }
        } else {
            self.agree(&plan, &mut report).await?;
            let inventory = self.inventory(&values, earlier.as_ref(), &plan);
            self.apply(&plan, inventory, &manner, &mut report).await?;
        }
        self.finish(&plan, report).await
    }

    /// What is written down of an earlier installation in this namespace.
    async fn earlier(&self) -> Result<Option<Inventory>, Failure> {
        let path = format!("/api/v1/namespaces/{}/configmaps/{NAME}", self.namespace);
        let found = self.cluster.find(&path).await;
        let found =
            found.map_err(|trouble| trouble.failure(&format!("cannot read configmap/{NAME}")))?;
        let earlier = found.as_ref().map(Inventory::read).transpose().map_err(|why| {
            let message = format!("configmap/{NAME} in {}: {why}", self.namespace);
            Failure::new(Kind::Conflict, message)
                .with_hint("it was not written by this command; --adopt does without it once you have deleted it")
        })?;
        if self.verb == Verb::Upgrade && earlier.is_none() {
            let message = format!("nothing is installed in the namespace {}", self.namespace);
            return Err(Failure::new(Kind::Error, message)
                .with_hint("`kubectl contour install` installs it; -n names another namespace"));
        }
        Ok(earlier)
    }

    /// The values: those of the earlier installation stay, unless `--reset-values` is given.
    fn values(&self, earlier: Option<&Inventory>, report: &mut Report) -> Result<Values, Failure> {
        let Some(earlier) = earlier.filter(|_| !self.arguments.reset_values) else {
            return resolve(self.arguments.profile.unwrap_or_default(), &self.overrides);
        };
        let profile = self.arguments.profile.unwrap_or_else(|| earlier.profile());
        if profile != earlier.profile() {
            report.progress().keep(&format!(
                "profile {profile} in place of {}: values of the earlier installation are not kept",
                earlier.profile()
            ));
            return resolve(profile, &self.overrides);
        }
        let text = earlier.values.to_string();
        let kept = Override::File { name: "the values of the earlier installation", text: &text };
        if earlier.values.as_object().is_some_and(|values| !values.is_empty()) {
            report.progress().keep(&format!(
                "values of the earlier installation are kept (--reset-values does not): {text}"
            ));
        }
        let all: Vec<_> = std::iter::once(kept).chain(self.overrides.iter().copied()).collect();
        resolve(profile, &all)
    }

    async fn plan(
        &self,
        values: &Values,
        earlier: Option<&Inventory>,
        manner: &Manner,
        report: &mut Report,
    ) -> Result<Plan, Failure> {
        let mut values = values.clone();
        if self.makes_namespace().await? {
            values.merge(&json!({"namespace": {"create": true}})).map_err(faulty)?;
        }
        let manifests = manifests(&values, &self.release)?;
        let found = look(&self.cluster, manifests, &self.namespace).await?;
        if !self.arguments.adopt {
            safety::is_ours(&found, earlier, &manner.manager)?;
        }
        safety::keeps_versions(&found)?;
        let (steps, warnings) = survey(&self.cluster, found, manner).await?;
        for warning in warnings {
            report.progress().keep(&format!("Warning: {warning}"));
        }
        let wanted: BTreeSet<_> = steps.iter().map(|step| &step.id).collect();
        let superfluous: Vec<_> = earlier
            .into_iter()
            .flat_map(|inventory| inventory.objects.iter().rev())
            // A definition that goes takes every route with it: that is never a side effect.
            .filter(|id| {
                !wanted.contains(id)
                    && !["CustomResourceDefinition", "Namespace"].contains(&id.kind.as_str())
            })
            .cloned()
            .collect();
        Ok(Plan { steps, superfluous })
    }

    /// Whether the namespace is to be made: it is not there, or an earlier installation has made it.
    /// One that is there already is changed only if the values say so.
    async fn makes_namespace(&self) -> Result<bool, Failure> {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        let there = self.cluster.find(&path).await;
        let there = there.map_err(|trouble| trouble.failure("cannot read the namespace"))?;
        Ok(there.is_none_or(|live| text(&live, PART_OF) == "contour"))
    }

    /// Ends a dry run: with exit code 1 if something would change and the difference was asked for.
    fn dry(&self, plan: &Plan, mut report: Report) -> Result<(), Failure> {
        if !self.arguments.diff {
            for step in &plan.steps {
                report.step(step);
            }
            for id in &plan.superfluous {
                report.deleted(id, true);
            }
        }
        report.end(plan.counts(), json!({"dryRun": true}));
        if self.arguments.diff && !plan.is_empty() {
            return Err(Failure::silent(Kind::Error));
        }
        Ok(())
    }

    /// Asks before something changes. Where nobody can be asked, only a deletion needs `--yes`.
    async fn agree(&self, plan: &Plan, report: &mut Report) -> Result<(), Failure> {
        if self.arguments.yes {
            return Ok(());
        }
        let counts = plan.counts();
        report.progress().clear();
        let question = format!(
            "{} in namespace {}: {} to create, {} to change, {} to delete.",
            self.cluster.server(),
            self.namespace,
            counts.created,
            counts.changed,
            counts.deleted
        );
        let deleted = plan.superfluous.iter().map(|id| format!("\n  delete {id}"));
        let question = question + &deleted.collect::<String>();
        match confirm(&format!("{question}\nGo on?")).await {
            Some(true) => Ok(()),
            Some(false) => Err(Failure::new(Kind::Cancelled, "cancelled: nothing was changed")),
            // A Job that has ended serves nobody.
            None if plan.superfluous.iter().all(|id| id.kind == "Job") => Ok(()),
            None => {
                Err(Failure::new(Kind::Cancelled, format!("{question}\nNobody can be asked here"))
                    .with_hint("agree with --yes; --dry-run=server --diff shows all that changes"))
            }
        }
    }

    /// What is there while the plan is carried out: until they are deleted, objects of the earlier
    /// installation are part of it.
    fn inventory(&self, values: &Values, earlier: Option<&Inventory>, plan: &Plan) -> Inventory {
        let steps = plan.steps.iter().map(|step| &step.id);
        let profile = self.arguments.profile.or_else(|| earlier.map(Inventory::profile));
        Inventory {
            version: APP_VERSION.to_owned(),
            phase: Phase::Applying,
            profile: profile.unwrap_or_default().name().to_owned(),
            values: values.overrides(),
            objects: steps.chain(plan.superfluous.iter().rev()).cloned().collect(),
        }
    }

    async fn apply(
        &self,
        plan: &Plan,
        mut inventory: Inventory,
        manner: &Manner,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let application = Application {
            cluster: &self.cluster,
            namespace: &self.namespace,
            manner,
            deadline: self.arguments.wait.then(|| Instant::now() + self.arguments.timeout),
        };
        application.run(plan, &inventory, report).await?;
        inventory.phase = Phase::Complete;
        inventory.objects.retain(|id| !plan.superfluous.contains(id));
        application.note(&inventory).await
    }

    async fn finish(&self, plan: &Plan, mut report: Report) -> Result<(), Failure> {
        if self.arguments.wait {
            report.stage("until ready");
            let ids: Vec<_> = plan.steps.iter().map(|step| step.id.clone()).collect();
            wait::wait(&self.cluster, &ids, Instant::now() + self.arguments.timeout, &mut report)
                .await?;
        }
        let service = self
            .cluster
            .find(&format!("/api/v1/namespaces/{}/services/envoy", self.namespace))
            .await;
        let address = service.ok().flatten().and_then(|service| address(&service));
        report.end(plan.counts(), json!({"dryRun": false, "address": address}));
        report.next(&self.namespace, address.as_deref(), self.arguments.wait);
        Ok(())
    }
}

/// Where clients reach Envoy, as far as its Service tells.
fn address(service: &Value) -> Option<String> {
    let ingress = "/status/loadBalancer/ingress/0";
    let given = ["ip", "hostname"].map(|field| text(service, &format!("{ingress}/{field}")));
    given.into_iter().find(|address| !address.is_empty()).map(str::to_owned)
}
