//! The controller.

use serde_json::Value;

use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Snapshot, known};
use crate::cluster::clock;
use crate::cluster::value::text;
use crate::fleet::{App, Pod};

/// So many restarts are not looked at: a node may have been started again.
const RESTARTS: u64 = 3;

/// The Pods of a kind that are to stay.
pub(super) fn pods(snapshot: &Snapshot, app: App) -> Result<Vec<&Pod>, Problem> {
    let pods = known(&snapshot.pods)?.iter();
    Ok(pods.filter(|pod| pod.app == app && !pod.terminating).collect())
}

/// That there are Pods of a kind, and all of them ready.
pub(super) fn all_ready(snapshot: &Snapshot, app: App) -> Judged {
    let pods = pods(snapshot, app)?;
    let namespace = &snapshot.namespace;
    let name = app.name();
    let hint = format!("kubectl -n {namespace} describe pods -l app={name}");
    if pods.is_empty() {
        return Err(Problem::error(
            format!("there is no pod {name} in namespace {namespace}"),
            hint,
        ));
    }
    let bad: Vec<_> = pods.iter().filter(|pod| !pod.ready).map(|pod| pod.trouble()).collect();
    if bad.is_empty() { Ok(()) } else { Err(Problem::error(listed(&bad), hint)) }
}

pub(in crate::check) fn ready(snapshot: &Snapshot) -> Judged {
    all_ready(snapshot, App::Contour)
}

pub(in crate::check) fn restarts(snapshot: &Snapshot) -> Judged {
    let restless = pods(snapshot, App::Contour)?.into_iter().filter(|p| p.restarts > RESTARTS);
    let restless: Vec<_> = restless
        .map(|pod| format!("pod {} was started again {} times", pod.name, pod.restarts))
        .collect();
    if restless.is_empty() {
        return Ok(());
    }
    let hint = format!("kubectl -n {} logs POD --previous says why", snapshot.namespace);
    Err(Problem::warning(listed(&restless), hint))
}

pub(in crate::check) fn leader(snapshot: &Snapshot) -> Judged {
    let namespace = &snapshot.namespace;
    let hint = "without a leader, nobody writes the status of routes; traffic is not concerned";
    let lease = Snapshot::exists(&snapshot.lease, || {
        Problem::warning(format!("there is no Lease {namespace}/leader-elect"), hint)
    })?;
    let holder = text(lease, "/spec/holderIdentity");
    if holder.is_empty() {
        return Err(Problem::error(format!("nobody holds Lease {namespace}/leader-elect"), hint));
    }
    let duration = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
    let renewed = clock::parse(text(lease, "/spec/renewTime"));
    let (Some(duration), Some(renewed)) = (duration, renewed) else { return Ok(()) };
    let late = snapshot.server_time() - renewed - duration;
    // The clocks of nodes differ too.
    if late <= duration {
        return Ok(());
    }
    Err(Problem::error(format!("{holder} leads, but has not renewed the lease for {late} s"), hint))
}

pub(in crate::check) fn permissions(snapshot: &Snapshot) -> Judged {
    let (mut off, mut unknown) = (Vec::new(), Vec::new());
    for told in &snapshot.metrics {
        match &told.answer {
            Ok(metrics) => off.extend(unwatched(metrics).map(|kind| {
                format!("controller {} cannot watch objects of kind {kind}", told.replica)
            })),
            Err(trouble) => unknown.push(trouble.to_string()),
        }
    }
    let namespace = &snapshot.namespace;
    if !off.is_empty() {
        let hint = format!(
            "kubectl -n {namespace} logs -l app=contour says what to grant; kubectl contour install \
             grants all of it"
        );
        return Err(Problem::error(listed(&off), hint));
    }
    if snapshot.metrics.is_empty() {
        return Err(Problem::skip("there is no controller to ask"));
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Problem::warning(listed(&unknown), "without it, what controllers lack is not known"))
}

/// The kinds that a controller's metrics say it does not watch.
fn unwatched(metrics: &str) -> impl Iterator<Item = &str> {
    metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix("contour_kubernetes_watching{kind=\"")?;
        let (kind, value) = rest.split_once("\"}")?;
        (value.trim() == "0").then_some(kind)
    })
}
