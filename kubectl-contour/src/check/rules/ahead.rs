//! Whether a cluster is ready for an installation.

use serde_json::Value;

use super::definitions::present;
use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Right, Snapshot, known, label};
use crate::cluster::value::{items, text};

/// The definition by which Contour is known.
pub(in crate::check) const HTTP_PROXY: &str = "httpproxies.projectcontour.io";

const fn right(group: &'static str, resource: &'static str, namespaced: bool) -> Right {
    Right { group, resource, namespaced, verb: "create" }
}

/// What it takes to install.
pub(in crate::check) const RIGHTS: [Right; 16] = [
    right("", "namespaces", false),
    right("apiextensions.k8s.io", "customresourcedefinitions", false),
    right("rbac.authorization.k8s.io", "clusterroles", false),
    right("rbac.authorization.k8s.io", "clusterrolebindings", false),
    right("rbac.authorization.k8s.io", "roles", true),
    right("rbac.authorization.k8s.io", "rolebindings", true),
    right("", "serviceaccounts", true),
    right("", "configmaps", true),
    right("", "services", true),
    right("apps", "deployments", true),
    right("apps", "daemonsets", true),
    right("batch", "jobs", true),
    right("batch", "cronjobs", true),
    right("policy", "poddisruptionbudgets", true),
    right("networking.k8s.io", "networkpolicies", true),
    right("autoscaling", "horizontalpodautoscalers", true),
];

pub(in crate::check) fn may_install(snapshot: &Snapshot) -> Judged {
    let mut denied = Vec::new();
    for (right, may) in &snapshot.rights {
        if !*known(may)? {
            let Right { group, resource, verb, .. } = right;
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            denied.push(format!("{verb} {resource}{group}"));
        }
    }
    if denied.is_empty() {
        return Ok(());
    }
    let namespace = &snapshot.namespace;
    Err(Problem::error(
        format!("you may not in namespace {namespace}: {}", denied.join(", ")),
        "have a cluster administrator install, or grant it: kubectl auth can-i --list",
    ))
}

pub(in crate::check) fn alone(snapshot: &Snapshot) -> Judged {
    let others: Vec<_> = known(&snapshot.inventories)?
        .iter()
        .filter(|inventory| text(inventory, "/metadata/namespace") != snapshot.namespace)
        .map(|inventory| {
            let namespace = text(inventory, "/metadata/namespace");
            match text(inventory, "/data/version") {
                "" => format!("namespace {namespace} has one"),
                version => format!("namespace {namespace} has one of version {version}"),
            }
        })
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Problem::error(
        listed(&others),
        "both would serve and write the status of the same objects: upgrade that one (-n), or \
         uninstall it first",
    ))
}

pub(in crate::check) fn deployment(snapshot: &Snapshot) -> Judged {
    let (deployment, inventory) = (known(&snapshot.deployment)?, known(&snapshot.inventory)?);
    let (Some(deployment), None) = (deployment, inventory) else { return Ok(()) };
    let owner = match helm_release(deployment) {
        Some(release) => format!("Helm release {release} owns it"),
        None => "it is in no inventory of kubectl contour install".to_owned(),
    };
    Err(Problem::error(
        format!("Deployment {}/contour exists: {owner}", snapshot.namespace),
        "remove what it belongs to, or install in another namespace (-n)",
    ))
}

/// The Helm release that an object belongs to.
fn helm_release(object: &Value) -> Option<String> {
    let annotations = object.pointer("/metadata/annotations")?.as_object()?;
    let release = annotations.get("meta.helm.sh/release-name")?.as_str()?;
    let namespace = annotations.get("meta.helm.sh/release-namespace").and_then(Value::as_str);
    Some(namespace.map_or_else(|| release.to_owned(), |n| format!("{n}/{release}")))
}

pub(in crate::check) fn definitions_owned(snapshot: &Snapshot) -> Judged {
    let (mut helm, mut others) = (Vec::new(), Vec::new());
    for (name, definition) in present(snapshot)? {
        if let Some(release) = helm_release(definition) {
            helm.push(format!("{name} belongs to Helm release {release}"));
            continue;
        }
        let managers = items(definition, "/metadata/managedFields")
            .iter()
            .filter(|fields| text(fields, "/subresource").is_empty())
            .map(|fields| text(fields, "/manager"))
            .filter(|manager| !manager.contains("contour") && *manager != "kube-apiserver");
        let mut managers: Vec<_> = managers.collect();
        managers.sort_unstable();
        managers.dedup();
        if !managers.is_empty() {
            others.push(format!("{name} has fields of {}", managers.join(", ")));
        }
    }
    if !helm.is_empty() {
        let hint = "Helm would set back or delete what is installed: uninstall the release first";
        return Err(Problem::error(listed(&helm), hint));
    }
    if others.is_empty() {
        return Ok(());
    }
    let hint =
        "the installation says so if it wants them otherwise; --force-conflicts takes them over";
    Err(Problem::warning(listed(&others), hint))
}

pub(in crate::check) fn contour(snapshot: &Snapshot) -> Judged {
    match snapshot.definition(HTTP_PROXY)? {
        None => Ok(()),
        Some(_) => Err(Problem::warning(
            format!("{HTTP_PROXY} exists, so Contour is or was installed"),
            "the two may run side by side, in different namespaces and on different ports and \
             addresses",
        )),
    }
}

pub(in crate::check) fn pod_security(snapshot: &Snapshot) -> Judged {
    let Some(space) = known(&snapshot.space)? else { return Ok(()) };
    let level = label(space, "pod-security.kubernetes.io/enforce");
    // The Pods keep to the strictest of them.
    if matches!(level, "" | "privileged" | "baseline" | "restricted") {
        return Ok(());
    }
    Err(Problem::warning(
        format!(
            "namespace {} enforces the Pod Security level {level:?}, which is not known",
            snapshot.namespace
        ),
        "label it pod-security.kubernetes.io/enforce=restricted",
    ))
}

pub(in crate::check) fn load_balancer(snapshot: &Snapshot) -> Judged {
    let services = known(&snapshot.services)?.iter();
    let balanced: Vec<_> =
        services.filter(|service| text(service, "/spec/type") == "LoadBalancer").collect();
    let served = |service: &&Value| !items(service, "/status/loadBalancer/ingress").is_empty();
    if balanced.is_empty() || balanced.iter().any(served) {
        return Ok(());
    }
    Err(Problem::warning(
        format!("{} of type LoadBalancer, and none has an address", plural(balanced.len())),
        "where nothing gives addresses, such as MetalLB or a cloud, reach Envoy by node ports or \
         host ports",
    ))
}

fn plural(count: usize) -> String {
    if count == 1 { "there is 1 Service".to_owned() } else { format!("there are {count} Services") }
}
