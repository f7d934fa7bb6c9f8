//! Waits until what was applied serves, saying of each object why it does not yet.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::apply::PAUSE;
use super::readiness::{Readiness, pod, readiness};
use super::report::Report;
use crate::cluster::Cluster;
use crate::cluster::value::text;
use crate::failure::{Failure, Kind};
use crate::object::Id;

/// Waits for all of them.
///
/// # Errors
/// If something fails for good, or the deadline comes first: with what is missing, and why.
pub(super) async fn wait(
    cluster: &Cluster,
    ids: &[Id],
    deadline: Instant,
    report: &mut Report,
) -> Result<(), Failure> {
    let ids: Vec<_> = ids
        .iter()
        .filter(|id| ["Deployment", "DaemonSet", "Job"].contains(&id.kind.as_str()))
        .collect();
    let mut ready: BTreeMap<&Id, bool> = BTreeMap::new();
    loop {
        let mut reasons = Vec::new();
        for id in &ids {
            let live = cluster.find(&id.path()).await;
            let live = live.map_err(|trouble| trouble.failure(&format!("cannot read {id}")))?;
            let Some(live) = live else {
                reasons.push(format!("{id} does not exist"));
                continue;
            };
            let is_ready = match readiness(&live) {
                Readiness::Ready => true,
                Readiness::Failed(why) => {
                    let message = format!("{id} does not come up: {why}");
                    let pods = why_not(cluster, &live).await;
                    return Err(missing(&message, &pods, &id.namespace));
                }
                Readiness::Waiting(why) => {
                    reasons.push(format!("{id}: {why}"));
                    reasons.extend(why_not(cluster, &live).await);
                    false
                }
            };
            if is_ready && ready.insert(id, true) != Some(true) {
                report.ready(id);
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let namespace = ids.first().map_or("", |id| &id.namespace);
            return Err(missing("not everything is ready in time", &reasons, namespace));
        }
        report.waiting(&reasons);
        tokio::time::sleep(PAUSE).await;
    }
}

fn missing(what: &str, reasons: &[String], namespace: &str) -> Failure {
    let mut message = what.to_owned();
    for reason in reasons {
        message.push_str("\n  ");
        message.push_str(reason);
    }
    Failure::new(Kind::Timeout, message).with_hint(format!(
        "what is applied stays: the same command goes on from here; --timeout waits longer\nkubectl get pods,events -n {namespace} shows more"
    ))
}

/// Why the pods of a workload are not ready. What cannot be read is not told.
pub(super) async fn why_not(cluster: &Cluster, workload: &Value) -> Vec<String> {
    let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let namespace = workload.pointer("/metadata/namespace").and_then(Value::as_str);
    let (Some(labels), Some(namespace)) = (labels, namespace) else { return Vec::new() };
    let selector: Vec<_> = labels
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}%3D{}", value.as_str()?)))
        .collect();
    let path =
        format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}", selector.join("%2C"));
    let mut pods = cluster.list(&path).await.unwrap_or_default();
    pods.sort_by_key(|pod| text(pod, "/metadata/creationTimestamp").to_owned());
    // Of Pods that a Job has given up one after the other, the last one tells.
    let failed = pods.iter().rposition(|pod| text(pod, "/status/phase") == "Failed");
    pods.iter()
        .enumerate()
        .filter(|(index, pod)| failed == Some(*index) || text(pod, "/status/phase") != "Failed")
        .filter_map(|(_, object)| {
            Some(format!("  pod {}: {}", text(object, "/metadata/name"), pod(object)?))
        })
        .collect()
}
