//! Whether what was applied does its work, and if not, why.

use serde_json::Value;

/// How an object is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It does what it is for.
    Ready,
    /// Not yet; the reason in a few words.
    Waiting(String),
    /// It never will as it is; the reason.
    Failed(String),
}

/// How an object is doing, by its own status. Kinds without one are ready once they exist.
pub(super) fn readiness(object: &Value) -> Readiness {
    match object.get("kind").and_then(Value::as_str) {
        Some("Deployment") => deployment(object),
        Some("DaemonSet") => daemon_set(object),
        Some("Job") => job(object),
        Some("CustomResourceDefinition") => definition(object),
        _ => Readiness::Ready,
    }
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn is_observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration") >= number(object, "/metadata/generation")
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
}

fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c.get("status").and_then(Value::as_str) == Some("True"))
}

fn message(condition: &Value) -> String {
    let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or("");
    match (text("reason"), text("message")) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// As `kubectl rollout status` decides it.
fn deployment(object: &Value) -> Readiness {
    if !is_observed(object) {
        return Readiness::Waiting("not taken up yet".to_owned());
    }
    if let Some(progressing) = condition(object, "Progressing")
        && progressing.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    {
        return Readiness::Failed(message(progressing));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let (updated, available, all) = (
        number(object, "/status/updatedReplicas"),
        number(object, "/status/availableReplicas"),
        number(object, "/status/replicas"),
    );
    if updated < wanted {
        return Readiness::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if available < updated {
        return Readiness::Waiting(format!("{available} of {wanted} pods are ready"));
    }
    if all > updated {
        return Readiness::Waiting(format!("{} earlier pods are ending", all - updated));
    }
    Readiness::Ready
}

fn daemon_set(object: &Value) -> Readiness {
    if !is_observed(object) {
        return Readiness::Waiting("not taken up yet".to_owned());
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let (updated, available) = (
        number(object, "/status/updatedNumberScheduled"),
        number(object, "/status/numberAvailable"),
    );
    if wanted == 0 {
        return Readiness::Waiting("no node takes it".to_owned());
    }
    if updated < wanted {
        return Readiness::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if available < wanted {
        return Readiness::Waiting(format!("{available} of {wanted} pods are ready"));
    }
    Readiness::Ready
}

fn job(object: &Value) -> Readiness {
    if holds(object, "Complete") {
        return Readiness::Ready;
    }
    if let Some(failed) = condition(object, "Failed")
        && holds(object, "Failed")
    {
        return Readiness::Failed(message(failed));
    }
    let failed = number(object, "/status/failed");
    if failed > 0 {
        return Readiness::Waiting(format!("failed {failed} times, tries again"));
    }
    Readiness::Waiting("not done".to_owned())
}

fn definition(object: &Value) -> Readiness {
    if let Some(accepted) = condition(object, "NamesAccepted")
        && accepted.get("status").and_then(Value::as_str) == Some("False")
    {
        return Readiness::Failed(message(accepted));
    }
    if holds(object, "Established") {
        Readiness::Ready
    } else {
        Readiness::Waiting("not established".to_owned())
    }
}

/// Why a pod is not ready; `None` if it is, or has ended well.
pub(super) fn pod(object: &Value) -> Option<String> {
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending");
    if phase == "Succeeded" || holds(object, "Ready") {
        return None;
    }
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return None;
    }
    if let Some(scheduled) = condition(object, "PodScheduled")
        && !holds(object, "PodScheduled")
    {
        return Some(message(scheduled));
    }
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .iter()
        .filter_map(|pointer| object.pointer(pointer)?.as_array())
        .flatten();
    for status in statuses {
        let name = status.get("name").and_then(Value::as_str).unwrap_or("?");
        if let Some(waiting) = status.pointer("/state/waiting") {
            let why = message(waiting);
            // PodInitializing and ContainerCreating say nothing: what they wait for does.
            if !["PodInitializing", "ContainerCreating"].contains(&why.as_str()) {
                let last = status.pointer("/lastState/terminated").map(ended);
                let last = last.map(|ended| format!(" ({ended})")).unwrap_or_default();
                return Some(format!("container {name}: {why}{last}"));
            }
        }
        if let Some(terminated) = status.pointer("/state/terminated")
            && number(terminated, "/exitCode") != 0
        {
            return Some(format!("container {name}: {}", ended(terminated)));
        }
        let is_ready = status.get("ready").and_then(Value::as_bool).unwrap_or(false);
        if status.pointer("/state/running").is_some() && !is_ready {
            return Some(format!("container {name} runs, but is not ready"));
        }
    }
    Some(phase.to_lowercase())
}

fn ended(terminated: &Value) -> String {
    let code = number(terminated, "/exitCode");
    let said = terminated.get("message").and_then(Value::as_str).unwrap_or("").trim();
    let last = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
    format!("ended with exit code {code}{last}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_ready_when_all_of_it_is_new_and_available() {
        let state = |updated: u64, available: u64, all: u64| {
            readiness(&json!({
                "kind": "Deployment",
                "metadata": {"generation": 2},
                "spec": {"replicas": 2},
                "status": {"observedGeneration": 2, "updatedReplicas": updated,
                           "availableReplicas": available, "replicas": all},
            }))
        };
        assert_eq!(state(2, 2, 2), Readiness::Ready);
        assert_eq!(state(1, 2, 3), Readiness::Waiting("1 of 2 pods are new".to_owned()));
        assert_eq!(state(2, 1, 2), Readiness::Waiting("1 of 2 pods are ready".to_owned()));
        assert_eq!(state(2, 2, 3), Readiness::Waiting("1 earlier pods are ending".to_owned()));
    }

    #[test]
    fn what_the_controllers_have_not_seen_is_not_ready() {
        let unseen = json!({"kind": "DaemonSet", "metadata": {"generation": 1}});
        assert_eq!(readiness(&unseen), Readiness::Waiting("not taken up yet".to_owned()));
        let nowhere = json!({"kind": "DaemonSet", "metadata": {"generation": 1},
                             "status": {"observedGeneration": 1, "desiredNumberScheduled": 0}});
        assert_eq!(readiness(&nowhere), Readiness::Waiting("no node takes it".to_owned()));
    }

    #[test]
    fn a_job_that_has_failed_for_good_is_not_waited_for() {
        let failed = json!({"kind": "Job", "status": {"conditions": [
            {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]}});
        let expected = Readiness::Failed("BackoffLimitExceeded: too often".to_owned());
        assert_eq!(readiness(&failed), expected);
    }

    #[test]
    fn a_pod_tells_why_it_is_not_ready() {
        for (status, why) in [
            (
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
                None,
            ),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "0/1 nodes are available"}]}),
                Some("Unschedulable: 0/1 nodes are available"),
            ),
            (
                json!({"phase": "Pending", "containerStatuses": [{"name": "envoy", "state": {"waiting":
                    {"reason": "ErrImageNeverPull", "message": "no image"}}}]}),
                Some("container envoy: ErrImageNeverPull: no image"),
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"name": "contour", "state": {"waiting":
                    {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 2,
                    "message": "a\nno such flag"}}}]}),
                Some("container contour: CrashLoopBackOff (ended with exit code 2: no such flag)"),
            ),
        ] {
            assert_eq!(pod(&json!({"status": status})).as_deref(), why);
        }
    }
}
