//! The Envoys.

use super::controller::all_ready;
use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::Snapshot;
use crate::fleet::App;
use crate::status::report::{Envoy, Report, State};

const MORE: &str = "kubectl contour status shows what each Envoy has";

pub(in crate::check) fn ready(snapshot: &Snapshot) -> Judged {
    all_ready(snapshot, App::Envoy)
}

fn status(snapshot: &Snapshot) -> Judged<&Report> {
    let status = snapshot.status.as_ref();
    let status = status.ok_or_else(|| Problem::skip("controllers were not asked"))?;
    if status.controllers.is_empty() {
        return Err(Problem::skip("there is no controller to ask"));
    }
    Ok(status)
}

/// Those of which `says` says something.
fn those(status: &Report, says: impl Fn(&Envoy) -> Option<String>) -> Vec<String> {
    status.envoys.iter().filter_map(says).collect()
}

/// What is not known because some controller tells nothing.
fn all_told(status: &Report) -> Judged {
    match status.controllers.iter().find_map(|controller| controller.error.as_ref()) {
        Some(error) => Err(Problem::warning(error.clone(), "without it, Envoys are not known")),
        None => Ok(()),
    }
}

pub(in crate::check) fn connected(snapshot: &Snapshot) -> Judged {
    let status = status(snapshot)?;
    let bad = those(status, |envoy| {
        let lost = envoy.state == State::NotConnected;
        lost.then(|| format!("{} is connected to no controller", envoy.name()))
    });
    if bad.is_empty() {
        return all_told(status);
    }
    let hint = format!(
        "kubectl -n {} logs POD -c envoy says why: certificates, names or network policies",
        snapshot.namespace
    );
    Err(Problem::error(listed(&bad), hint))
}

pub(in crate::check) fn rejections(snapshot: &Snapshot) -> Judged {
    let status = status(snapshot)?;
    let rejections = status.envoys.iter().flat_map(|envoy| {
        envoy.rejections.iter().map(|rejection| {
            let owners: Vec<_> = rejection.owners.iter().map(ToString::to_string).collect();
            let (kind, name) = (&rejection.kind, &rejection.name);
            let (owners, message) = (owners.join(", "), rejection.message.trim());
            format!("{} rejects {kind} {name} of {owners}: {message}", envoy.name())
        })
    });
    let rejections: Vec<_> = rejections.collect();
    if rejections.is_empty() {
        return all_told(status);
    }
    Err(Problem::error(listed(&rejections), MORE))
}

pub(in crate::check) fn in_sync(snapshot: &Snapshot) -> Judged {
    let status = status(snapshot)?;
    let late = those(status, |envoy| {
        let late = envoy.state == State::Pending;
        late.then(|| format!("{}: {}", envoy.name(), envoy.state_in_words()))
    });
    if late.is_empty() {
        return all_told(status);
    }
    Err(Problem::error(listed(&late), MORE))
}
