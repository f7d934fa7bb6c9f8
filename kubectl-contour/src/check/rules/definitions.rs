//! Definitions of kinds.

use serde_json::Value;

use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::Snapshot;
use crate::cluster::value::{items, text};
use crate::version::DEFINITIONS;

/// The version in which objects are read.
const VERSION: &str = "v1beta1";

/// Those of our definitions that are there.
pub(super) fn present(snapshot: &Snapshot) -> Result<Vec<(&'static str, &Value)>, Problem> {
    let mut present = Vec::new();
    for name in DEFINITIONS {
        present.extend(snapshot.definition(name)?.map(|definition| (name, definition)));
    }
    Ok(present)
}

pub(in crate::check) fn exist(snapshot: &Snapshot) -> Judged {
    let present = present(snapshot)?;
    let missing = DEFINITIONS.iter().filter(|name| !present.iter().any(|(p, _)| p == *name));
    let missing: Vec<_> = missing.map(|name| format!("{name} does not exist")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Problem::error(listed(&missing), "kubectl contour install creates them"))
}

pub(in crate::check) fn established(snapshot: &Snapshot) -> Judged {
    let mut bad = Vec::new();
    for (name, definition) in present(snapshot)? {
        let conditions = items(definition, "/status/conditions");
        let is = |kind: &str| {
            conditions.iter().find(|c| text(c, "/type") == kind && text(c, "/status") == "True")
        };
        let serves = items(definition, "/spec/versions")
            .iter()
            .any(|v| text(v, "/name") == VERSION && v.get("served") == Some(&Value::Bool(true)));
        if is("Terminating").is_some() {
            bad.push(format!("{name} is being deleted, with all its objects"));
        } else if is("Established").is_none() {
            let said = conditions.iter().map(|c| text(c, "/message")).find(|m| !m.is_empty());
            bad.push(format!("{name} is not established: {}", said.unwrap_or("no reason given")));
        } else if !serves {
            bad.push(format!("{name} does not serve {VERSION}"));
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Problem::error(
        listed(&bad),
        "kubectl describe crd says what the API server has against it",
    ))
}

pub(in crate::check) fn stored(snapshot: &Snapshot) -> Judged {
    let mut bad = Vec::new();
    for (name, definition) in present(snapshot)? {
        for stored in items(definition, "/status/storedVersions").iter().filter_map(Value::as_str) {
            if stored != VERSION {
                bad.push(format!("objects of {name} may be stored as {stored}"));
            }
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    let hint = format!(
        "write every object once more, so that it is stored as {VERSION}, and take the other \
         version out of status.storedVersions"
    );
    Err(Problem::error(listed(&bad), hint))
}
