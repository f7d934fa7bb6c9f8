//! The objects of an installation.

use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Snapshot, known};
use crate::cluster::value::text;
use crate::object::Id;

pub(in crate::check) fn namespace(snapshot: &Snapshot) -> Judged {
    let name = &snapshot.namespace;
    let space = Snapshot::exists(&snapshot.space, || {
        let hint = "-n names the namespace of the installation; kubectl contour install makes one";
        Problem::error(format!("there is no namespace {name}"), hint)
    })?;
    if text(space, "/status/phase") == "Terminating" {
        let hint = "wait until it is gone, and install again";
        return Err(Problem::error(format!("namespace {name} is being deleted"), hint));
    }
    Ok(())
}

pub(in crate::check) fn inventory(snapshot: &Snapshot) -> Judged {
    let inventory = Snapshot::exists(&snapshot.inventory, || {
        let name = &snapshot.namespace;
        Problem::warning(
            format!("there is no ConfigMap {name}/contour-inventory"),
            "what was not installed by kubectl contour install is not checked for completeness",
        )
    })?;
    let again = "run kubectl contour install again: it goes on where it stopped";
    match text(inventory, "/data/phase") {
        "applying" => {
            Err(Problem::warning("an installation is under way, or was interrupted", again))
        }
        "removing" => {
            let hint = "run kubectl contour uninstall again, or install";
            Err(Problem::warning("a removal is under way, or was interrupted", hint))
        }
        _ => Ok(()),
    }
}

pub(in crate::check) fn complete(snapshot: &Snapshot) -> Judged {
    if known(&snapshot.inventory)?.is_none() {
        return Err(Problem::skip("there is no inventory"));
    }
    let (mut missing, mut unknown) = (Vec::new(), Vec::new());
    for (reference, exists) in &snapshot.objects {
        match exists {
            Ok(true) => {}
            // A Job that is done removes itself.
            Ok(false) if reference.kind == "Job" => {}
            Ok(false) => missing.push(format!("{} does not exist", shown(reference))),
            Err(_) => unknown.push(format!("whether {} exists is not known", shown(reference))),
        }
    }
    if !missing.is_empty() {
        let hint = "kubectl contour install creates what is missing";
        return Err(Problem::error(listed(&missing), hint));
    }
    if !unknown.is_empty() {
        return Err(Problem::warning(listed(&unknown), "you may not be allowed to see them"));
    }
    if snapshot.objects.is_empty() {
        return Err(Problem::warning("the inventory names no objects that are understood", ""));
    }
    Ok(())
}

fn shown(id: &Id) -> String {
    let place = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{} {place}{}", id.kind, id.name)
}
