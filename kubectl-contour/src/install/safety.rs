//! What must not be done by accident: a step back, a takeover of what others have installed, a
//! definition under which stored objects cannot be read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::inventory::{Inventory, Phase, is_later};
use super::plan::Found;
use crate::failure::{Failure, Kind};

/// Whether an earlier installation may be followed by this version.
///
/// # Errors
/// If it is of a later version, or is being removed.
pub(super) fn follows(earlier: &Inventory, version: &str, downgrade: bool) -> Result<(), Failure> {
    if earlier.phase == Phase::Removing {
        return Err(Failure::new(Kind::Conflict, "an uninstall of it was begun and not finished")
            .with_hint("finish it with `kubectl contour uninstall`, then install"));
    }
    if is_later(&earlier.version, version) && !downgrade {
        let message = format!(
            "version {} is installed, and this is {version}, an earlier one",
            earlier.version
        );
        return Err(Failure::new(Kind::Conflict, message)
            .with_hint("use the plugin of that version, or go back with --allow-downgrade"));
    }
    Ok(())
}

/// Whether somebody else has installed what the chart has. Objects are ours if the inventory names
/// them, or our field manager has applied them.
///
/// # Errors
/// If there are such objects; all are named, with who made them.
pub(super) fn is_ours(
    found: &[Found],
    earlier: Option<&Inventory>,
    manager: &str,
) -> Result<(), Failure> {
    let foreign: Vec<_> = found
        .iter()
        .filter(|found| found.id.kind != "Namespace")
        .filter(|found| !earlier.is_some_and(|inventory| inventory.objects.contains(&found.id)))
        .filter_map(|found| {
            let live = found.live.as_ref()?;
            let managers = managers(live);
            (!managers.contains(manager)).then_some((&found.id, live, managers))
        })
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let helm = foreign.iter().any(|(_, live, _)| {
        live.pointer("/metadata/annotations/meta.helm.sh~1release-name").is_some()
    });
    let lines: Vec<_> = foreign
        .iter()
        .map(|(id, _, managers)| {
            let managers: Vec<_> = managers.iter().map(String::as_str).collect();
            format!("{id} (made by {})", managers.join(", "))
        })
        .collect();
    let message = format!(
        "there is an installation of Contour that this command has not made:\n  {}",
        lines.join("\n  ")
    );
    let hint = if helm {
        "it is Helm's: upgrade it with Helm and the chart that `kubectl contour install --chart DIR` writes,\nor uninstall it with Helm first, or take its objects over with --adopt"
    } else {
        "install beside it with -n and an ingress class of its own, delete it first, or take its objects over with --adopt"
    };
    Err(Failure::new(Kind::Conflict, message).with_hint(hint))
}

/// Who has written fields of an object, its status aside.
fn managers(object: &Value) -> BTreeSet<String> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("subresource").is_none())
        .filter_map(|entry| entry.get("manager").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// Whether stored objects can still be read under the chart's definitions.
///
/// # Errors
/// If a version in which objects may be stored, or which is served, would be gone.
pub(super) fn keeps_versions(found: &[Found]) -> Result<(), Failure> {
    let mut lost = Vec::new();
    for found in found.iter().filter(|found| found.id.kind == "CustomResourceDefinition") {
        let Some(live) = &found.live else { continue };
        let new = versions(&found.manifest.object, |_| true);
        let stored: BTreeSet<_> = live
            .pointer("/status/storedVersions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|version| version.as_str().map(str::to_owned))
            .collect();
        let served =
            versions(live, |version| version.get("served").and_then(Value::as_bool) == Some(true));
        for version in stored.union(&served).filter(|version| !new.contains(*version)) {
            let what = if stored.contains(version) { "stored" } else { "served" };
            lost.push(format!("{}: objects are {what} as {version}", found.id.name));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "this version does not know versions that the cluster uses:\n  {}",
        lost.join("\n  ")
    );
    Err(Failure::new(Kind::Conflict, message).with_hint(
        "write all objects anew and remove the version from .status.storedVersions first,\nor leave definitions alone with --set crds.install=false",
    ))
}

fn versions(object: &Value, wanted: fn(&Value) -> bool) -> BTreeSet<String> {
    let list = object.pointer("/spec/versions").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter(|version| wanted(version))
        .filter_map(|version| version.get("name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use contour_deploy::{Manifest, Stage};
    use serde_json::json;

    use super::*;
    use crate::object::Id;

    fn inventory(version: &str, phase: Phase) -> Inventory {
        Inventory {
            version: version.to_owned(),
            phase,
            profile: "default".to_owned(),
            values: json!({}),
            objects: Vec::new(),
        }
    }

    fn found(object: Value, live: Value) -> Found {
        let id = Id::of(&object, "edge").unwrap();
        let manifest = Manifest { source: String::new(), object, stage: Stage::Definitions };
        Found { id, manifest, live: Some(live) }
    }

    #[test]
    fn a_later_version_is_not_replaced_unasked() {
        let later = inventory("0.2.0", Phase::Complete);
        assert_eq!(follows(&later, "0.1.0", false).unwrap_err().kind, Kind::Conflict);
        assert!(follows(&later, "0.1.0", true).is_ok());
        assert!(follows(&inventory("0.1.0", Phase::Applying), "0.1.0", false).is_ok());
        assert!(follows(&inventory("0.1.0", Phase::Removing), "0.1.0", false).is_err());
    }

    #[test]
    fn an_installation_of_others_is_named_with_its_makers() {
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "contour", "managedFields": [
                {"manager": "kubectl-client-side-apply"},
                {"manager": "kube-controller-manager", "subresource": "status"},
            ]},
        });
        let foreign = found(live.clone(), live);
        let failure = is_ours(std::slice::from_ref(&foreign), None, "kubectl-contour").unwrap_err();
        assert_eq!(failure.kind, Kind::Conflict);
        let expected = "deployment.apps/contour (made by kubectl-client-side-apply)";
        assert!(failure.message.ends_with(expected), "{}", failure.message);

        let mut ours = inventory("0.1.0", Phase::Complete);
        ours.objects.push(foreign.id.clone());
        assert!(is_ours(&[foreign], Some(&ours), "kubectl-contour").is_ok());
    }

    #[test]
    fn a_stored_version_is_never_lost() {
        let definition = |versions: Value| {
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "ingressroutes.contour.heptio.com"},
                "spec": {"versions": versions},
                "status": {"storedVersions": ["v1alpha1", "v1beta1"]},
            })
        };
        let old =
            json!([{"name": "v1alpha1", "served": false}, {"name": "v1beta1", "served": true}]);
        let new = json!([{"name": "v1beta1", "served": true}]);
        let both = found(definition(new), definition(old));
        let failure = keeps_versions(&[both]).unwrap_err();
        assert!(failure.message.contains("stored as v1alpha1"), "{}", failure.message);
    }
}
