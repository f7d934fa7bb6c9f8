//! Does what a plan says.

use std::time::{Duration, Instant};

use contour_deploy::Stage;
use serde_json::{Value, json};

use super::inventory::{Inventory, NAME};
use super::plan::{Change, Manner, Plan, Step};
use super::readiness::{Readiness, readiness};
use super::report::{Report, title};
use super::wait::why_not;
use crate::cluster::{Cluster, Patch};
use crate::failure::{Failure, Kind};
use crate::object::Id;

/// How often is looked whether something has come about.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// How long the server may take to serve a new definition, or to delete a Job.
const SOON: Duration = Duration::from_mins(1);

/// An installation under way.
pub(super) struct Application<'a> {
    /// The cluster.
    pub(super) cluster: &'a Cluster,
    /// The namespace.
    pub(super) namespace: &'a str,
    /// How objects are applied.
    pub(super) manner: &'a Manner,
    /// Until when to wait for certificates; `None`: not at all.
    pub(super) deadline: Option<Instant>,
}

impl Application<'_> {
    /// Applies what the plan says, stage by stage. What is to be there is written down first, so
    /// that an installation that ends half-way can be gone on with, and removed.
    ///
    /// # Errors
    /// If the server refuses something, cannot be reached, or something does not come about.
    pub(super) async fn run(
        &self,
        plan: &Plan,
        inventory: &Inventory,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut is_noted = false;
        for stage in Stage::ALL {
            let steps: Vec<_> = plan.steps.iter().filter(|step| step.stage == stage).collect();
            if steps.is_empty() {
                continue;
            }
            // It needs the namespace, and comes before whatever is in it.
            if stage > Stage::Namespace && !is_noted {
                self.note(inventory).await?;
                is_noted = true;
            }
            report.stage(title(stage));
            for step in &steps {
                self.step(step).await?;
                report.step(step);
            }
            self.settle(stage, &steps, report).await?;
        }
        if !plan.superfluous.is_empty() {
            report.stage("no longer needed");
            for id in &plan.superfluous {
                let is_gone = delete(self.cluster, id).await?;
                report.deleted(id, is_gone);
            }
        }
        Ok(())
    }

    /// Writes down how far the installation has come.
    ///
    /// # Errors
    /// If the server refuses or cannot be reached.
    pub(super) async fn note(&self, inventory: &Inventory) -> Result<(), Failure> {
        let object = inventory.to_object(self.namespace);
        let id = Id::of(&object, self.namespace).map_err(|why| Failure::new(Kind::Error, why))?;
        let manner = Manner { force: true, ..self.manner.clone() };
        let answer = self.cluster.patch(&manner.path(&id, false), Patch::Apply, object).await;
        answer
            .map(drop)
            .map_err(|trouble| trouble.failure(&format!("cannot write configmap/{NAME}")))
    }

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        if step.change == Change::Nothing {
            return Ok(());
        }
        let failed = |trouble: &crate::cluster::Trouble| {
            trouble.failure(&format!("cannot apply {}", step.id))
        };
        if step.change == Change::Replace {
            delete(self.cluster, &step.id).await?;
            let end = Instant::now() + SOON;
            while self.cluster.find(&step.id.path()).await.map_err(|t| failed(&t))?.is_some() {
                if Instant::now() > end {
                    let message = format!("{} is not gone after {SOON:?}", step.id);
                    return Err(Failure::new(Kind::Timeout, message));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        let path = self.manner.path(&step.id, false);
        let answer = self.cluster.patch(&path, Patch::Apply, step.object.clone()).await;
        answer.map(drop).map_err(|trouble| failed(&trouble))
    }

    /// Waits for what the next stage needs: definitions that are served, and, if there is time to
    /// wait, certificates.
    async fn settle(
        &self,
        stage: Stage,
        steps: &[&Step],
        report: &mut Report,
    ) -> Result<(), Failure> {
        let end = match (stage, self.deadline) {
            (Stage::Definitions, _) => Instant::now() + SOON,
            (Stage::Certificates, Some(deadline)) => deadline,
            _ => return Ok(()),
        };
        for step in steps {
            loop {
                let live = self.cluster.find(&step.id.path()).await;
                let live =
                    live.map_err(|trouble| trouble.failure(&format!("cannot read {}", step.id)))?;
                let why = match live.as_ref().map_or(Readiness::Ready, readiness) {
                    Readiness::Ready => break,
                    Readiness::Failed(why) => {
                        return Err(Failure::new(
                            Kind::Timeout,
                            format!("{} has failed: {why}", step.id),
                        )
                        .with_hint(format!(
                            "kubectl logs -n {} {} tells more",
                            self.namespace, step.id
                        )));
                    }
                    Readiness::Waiting(why) => why,
                };
                let mut reasons = vec![format!("{}: {why}", step.id)];
                if let Some(live) = &live {
                    reasons.extend(why_not(self.cluster, live).await);
                }
                if Instant::now() > end {
                    let message = format!("not done in time: {}", reasons.join("\n  "));
                    return Err(Failure::new(Kind::Timeout, message));
                }
                report.waiting(&reasons);
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

/// Deletes an object; whether it was there.
///
/// # Errors
/// If the server refuses or cannot be reached.
pub(super) async fn delete(cluster: &Cluster, id: &Id) -> Result<bool, Failure> {
    let options: Value = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
    });
    match cluster.delete(&id.path(), options).await {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_not_found() => Ok(false),
        Err(trouble) => Err(trouble.failure(&format!("cannot delete {id}"))),
    }
}
