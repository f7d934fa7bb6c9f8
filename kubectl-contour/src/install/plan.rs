//! What applying an installation will change, found out by the API server itself without changing
//! anything: a server-side apply that is a dry run
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>).

use std::collections::BTreeSet;

use contour_deploy::{Manifest, Stage};
use serde_json::Value;

use super::difference::{Difference, differences};
use crate::cluster::{Answer, Cluster, Patch, Trouble};
use crate::failure::{Failure, Kind};
use crate::object::{Id, essence};

/// What will happen to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is made.
    Create,
    /// These fields of it change.
    Update(Vec<Difference>),
    /// It cannot be changed in place: it is deleted and made anew.
    Replace,
    /// Nothing.
    Nothing,
}

impl Change {
    /// As kubectl says it when it has happened.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update(_) => "configured",
            Self::Replace => "replaced",
            Self::Nothing => "unchanged",
        }
    }
}

/// An object, and what will happen to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Which one.
    pub(super) id: Id,
    /// When.
    pub(super) stage: Stage,
    /// What is applied.
    pub(super) object: Value,
    /// What that changes.
    pub(super) change: Change,
}

/// What will happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The objects of the chart, in the order in which they are applied.
    pub(super) steps: Vec<Step>,
    /// What an earlier installation needed and this one does not, in the order in which it is
    /// deleted.
    pub(super) superfluous: Vec<Id>,
}

impl Plan {
    /// Whether nothing will happen.
    pub(super) fn is_empty(&self) -> bool {
        self.superfluous.is_empty() && self.steps.iter().all(|step| step.change == Change::Nothing)
    }

    /// How many objects are created, changed, left alone and deleted.
    pub(super) fn counts(&self) -> Counts {
        let count = |wanted: fn(&Change) -> bool| {
            self.steps.iter().filter(|step| wanted(&step.change)).count()
        };
        Counts {
            created: count(|change| *change == Change::Create),
            changed: count(|change| matches!(change, Change::Update(_) | Change::Replace)),
            unchanged: count(|change| *change == Change::Nothing),
            deleted: self.superfluous.len(),
        }
    }
}

/// How many objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    /// Made.
    pub(super) created: usize,
    /// Changed, or made anew.
    pub(super) changed: usize,
    /// Left alone.
    pub(super) unchanged: usize,
    /// Deleted.
    pub(super) deleted: usize,
}

/// How objects are applied.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// The field manager.
    pub(super) manager: String,
    /// Whether fields of other managers are taken over.
    pub(super) force: bool,
}

impl Manner {
    /// The path of a server-side apply of an object.
    pub(super) fn path(&self, id: &Id, dry_run: bool) -> String {
        let manager: String = form_urlencoded::byte_serialize(self.manager.as_bytes()).collect();
        let force = if self.force { "&force=true" } else { "" };
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        format!("{}?fieldManager={manager}&fieldValidation=Strict{force}{dry_run}", id.path())
    }
}

/// An object of the chart, and what is there in its place.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Which one.
    pub(super) id: Id,
    /// What is to be applied.
    pub(super) manifest: Manifest,
    /// What is there.
    pub(super) live: Option<Value>,
}

/// Looks what is there.
///
/// # Errors
/// If the server cannot be reached or does not let look.
pub(super) async fn look(
    cluster: &Cluster,
    manifests: Vec<Manifest>,
    namespace: &str,
) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for manifest in manifests {
        let id = Id::of(&manifest.object, namespace)
            .map_err(|why| Failure::new(Kind::Error, format!("the chart is faulty: {why}")))?;
        let live = cluster.find(&id.path()).await;
        let live = live.map_err(|trouble| trouble.failure(&format!("cannot read {id}")))?;
        found.push(Found { id, manifest, live });
    }
    Ok(found)
}

/// Finds out what applying the chart's objects changes, and what the server warns of. Every refusal
/// is gathered, so that all are told at once.
///
/// # Errors
/// If the server cannot be reached, does not allow something, or somebody else owns fields.
pub(super) async fn survey(
    cluster: &Cluster,
    found: Vec<Found>,
    manner: &Manner,
) -> Result<(Vec<Step>, Vec<String>), Failure> {
    let mut steps = Vec::new();
    let mut warnings = BTreeSet::new();
    let mut refusals = Vec::new();
    for Found { id, manifest, live } in found {
        let path = manner.path(&id, true);
        let answer = cluster.patch(&path, Patch::Apply, manifest.object.clone()).await;
        match change(&id, live.as_ref(), answer) {
            Ok((change, said)) => {
                warnings.extend(said);
                steps.push(Step { id, stage: manifest.stage, object: manifest.object, change });
            }
            Err(trouble @ Trouble::Unreachable { .. }) => return Err(trouble.failure("")),
            Err(trouble) => refusals.push((id, trouble)),
        }
    }
    match refused(&refusals) {
        Some(failure) => Err(failure),
        None => Ok((steps, warnings.into_iter().collect())),
    }
}

fn change(
    id: &Id,
    live: Option<&Value>,
    answer: Result<Answer, Trouble>,
) -> Result<(Change, Vec<String>), Trouble> {
    match (answer, live) {
        (Ok(answer), None) => Ok((Change::Create, answer.warnings)),
        (Ok(answer), Some(live)) => {
            let found = differences(&essence(live), &essence(&answer.body));
            let change = if found.is_empty() { Change::Nothing } else { Change::Update(found) };
            Ok((change, answer.warnings))
        }
        // Its namespace is not there yet; whether we may create it there has been decided before.
        (Err(trouble), None) if trouble.is_not_found() => Ok((Change::Create, Vec::new())),
        (Err(trouble), Some(_)) if trouble.status() == Some(422) && id.kind == "Job" => {
            Ok((Change::Replace, Vec::new()))
        }
        (Err(trouble), _) => Err(trouble),
    }
}

/// Everything that was refused, in one message.
fn refused(refusals: &[(Id, Trouble)]) -> Option<Failure> {
    let (_, first) = refusals.first()?;
    let lines: Vec<_> = refusals.iter().map(|(id, trouble)| told(id, trouble)).collect();
    let kind = first.failure("").kind;
    let all = lines.join("\n  ");
    if let Some(managers) = managers(refusals) {
        let message = format!("{managers} owns fields that this would change:\n  {all}");
        return Some(Failure::new(Kind::Conflict, message).with_hint(
            "take them over with --force-conflicts, or set the values to what is there with --set",
        ));
    }
    if refusals.iter().all(|(_, trouble)| trouble.is_forbidden()) {
        let message = format!("this user may not do all that is needed:\n  {all}");
        return Some(Failure::new(Kind::Cluster, message).with_hint(
            "ask as somebody who may, with --context, --user or --as; --render writes what an administrator can apply",
        ));
    }
    Some(Failure::new(kind, format!("the API server refuses:\n  {all}")))
}

fn told(id: &Id, trouble: &Trouble) -> String {
    let place =
        if id.namespace.is_empty() { String::new() } else { format!(" in {}", id.namespace) };
    match trouble {
        Trouble::Refused { status: 409, causes, .. } if !causes.is_empty() => {
            let fields: Vec<_> =
                causes.iter().map(|(field, why)| format!("{field} ({why})")).collect();
            format!("{id}{place}: {}", fields.join(", "))
        }
        Trouble::Unreachable { .. } | Trouble::Refused { .. } => format!("{id}{place}: {trouble}"),
    }
}

/// The managers that a server-side apply conflicts with; none if that is not what was refused.
fn managers(refusals: &[(Id, Trouble)]) -> Option<String> {
    let mut names = BTreeSet::new();
    for (_, trouble) in refusals {
        let Trouble::Refused { status: 409, causes, .. } = trouble else { return None };
        names.extend(causes.iter().filter_map(|(_, why)| manager(why)));
    }
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// `conflict with "kubectl-scale" using apps/v1`: the name in quotes.
fn manager(cause: &str) -> Option<String> {
    cause.strip_prefix("conflict with ")?.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> Id {
        let object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "contour"}});
        Id::of(&object, "edge").unwrap()
    }

    fn refusal(status: u16, causes: &[(&str, &str)]) -> Trouble {
        Trouble::Refused {
            status,
            reason: String::new(),
            message: "not like this".to_owned(),
            causes: causes.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        }
    }

    #[test]
    fn a_conflict_names_the_other_manager_and_the_field() {
        let causes = [(".spec.replicas", r#"conflict with "kubectl-scale" using apps/v1"#)];
        let failure = refused(&[(id(), refusal(409, &causes))]).unwrap();
        assert_eq!(failure.kind, Kind::Conflict);
        assert!(failure.message.starts_with("kubectl-scale owns"), "{}", failure.message);
        assert!(failure.message.contains("deployment.apps/contour in edge: .spec.replicas"));
    }

    #[test]
    fn all_that_is_not_allowed_is_told_at_once() {
        let failure = refused(&[(id(), refusal(403, &[])), (id(), refusal(403, &[]))]).unwrap();
        assert_eq!(failure.kind, Kind::Cluster);
        assert_eq!(failure.message.lines().count(), 3);
    }

    #[test]
    fn a_dry_run_can_be_told_from_the_paths_that_change() {
        let manner = Manner { manager: "kubectl-contour".to_owned(), force: true };
        assert!(manner.path(&id(), true).ends_with("&force=true&dryRun=All"));
        assert!(!manner.path(&id(), false).contains("dryRun"));
    }
}
