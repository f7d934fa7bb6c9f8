//! What must be so before a shift begins. Nothing is left out silently: what could not be looked at
//! is a finding too.

use std::collections::BTreeSet;

use contour_core::api::IngressRoute;
use contour_core::manifest::nearest;
use contour_core::name::ObjectRef;
use contour_core::observe::watch::troubles;
use contour_core::observe::{Report, Upstream};
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::Plan;
use contour_core::shift::sent::MANAGER;
use contour_core::shift::weights::{Lever, Place, Scale, Service, Weights};
use serde_json::{Value, json};

use super::kubernetes::Kubernetes;
use super::target::{Found, Heard, Target};
use crate::cluster::value::{items, text};
use crate::failure::{Failure, Kind};
use crate::finding::Finding;

/// A finding for programs.
pub fn json(finding: &Finding) -> Value {
    json!({
        "level": finding.level.word(), "check": finding.check,
        "message": finding.message, "remedy": finding.hint,
    })
}

/// The services as the operator names them, found in the routes.
///
/// # Errors
/// There is none of that name, with the nearest; or several ports.
pub fn service(route: &IngressRoute, wanted: &str, flag: &str) -> Result<Service, Failure> {
    let all: BTreeSet<Service> = Weights::of_spec(&route.spec)
        .into_iter()
        .flatten()
        .flat_map(|weights| weights.services().iter().map(|w| w.0.clone()).collect::<Vec<_>>())
        .collect();
    let (name, port) = match wanted.rsplit_once(':') {
        None => (wanted, None),
        Some((name, port)) => {
            let number = port.parse::<i64>().map_err(|_error| {
                Failure::new(Kind::Usage, format!("{flag} {wanted}: {port:?} is no port"))
            })?;
            (name, Some(number))
        }
    };
    let fits = |s: &&Service| *s.name == *name && port.is_none_or(|port| port == s.port);
    let found: Vec<_> = all.iter().filter(fits).collect();
    let object = route.metadata.object_name();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let names: BTreeSet<&str> = all.iter().map(|s| &*s.name).collect();
            let near = nearest(name, names.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("its routes have {}", list(all.iter().map(ToString::to_string))),
            };
            let message = format!("{flag} {wanted}: no route of {object} has such a service");
            Err(Failure::new(Kind::Shift(7), message).with_hint(hint))
        }
        several => {
            let message = format!("{flag} {wanted}: {object} has several ports of it");
            let ports = list(several.iter().map(ToString::to_string));
            Err(Failure::new(Kind::Usage, message).with_hint(format!("name one of {ports}")))
        }
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Whether some route has both services.
pub fn is_between(route: &IngressRoute, from: &Service, to: &Service) -> bool {
    let has = |weights: &Weights, s: &Service| weights.effective_of(s).is_some();
    let mut weights = Weights::of_spec(&route.spec).into_iter().flatten();
    weights.any(|weights| from != to && has(&weights, from) && has(&weights, to))
}

/// The largest share that the new service has of what both have together, at any place.
pub fn share(route: &IngressRoute, from: &Service, to: &Service) -> Percent {
    let of = |weights: &Weights| {
        let (from, to) = (weights.effective_of(from)?, weights.effective_of(to)?);
        let (to, mass) = (u64::from(to), u64::from(from) + u64::from(to));
        let hundredths = (to * u64::from(Percent::ALL.as_hundredths())).checked_div(mass)?;
        u16::try_from(hundredths).ok().and_then(Percent::hundredths)
    };
    let weights = Weights::of_spec(&route.spec).into_iter().flatten();
    weights.filter_map(|weights| of(&weights)).max().unwrap_or_default()
}

/// The places that have both services, ready to be moved.
///
/// # Errors
/// There is none, or one whose weights cannot be moved so.
pub fn levers(
    route: &IngressRoute,
    place: Option<&str>,
    (from, to): (&Service, &Service),
    plan: &Plan,
    scale: Scale,
) -> Result<Vec<Lever>, Failure> {
    let object = route.metadata.object_name();
    let cannot = |message: String| Failure::new(Kind::Shift(7), format!("{object}: {message}"));
    let is_meant = |found: &Place| match (place, found) {
        (None, _) => true,
        (Some(wanted), Place::Route(prefix)) => **prefix == *wanted,
        (Some(_), Place::Tcp) => false,
    };
    let has = |weights: &Weights, service: &Service| weights.effective_of(service).is_some();
    let mut out = Vec::new();
    let mut matches = Vec::new();
    for weights in Weights::of_spec(&route.spec) {
        let weights = match weights {
            Ok(weights) => weights,
            Err(error) => return Err(cannot(error.to_string()).with_hint("correct it first")),
        };
        if let Place::Route(prefix) = weights.place() {
            matches.push(prefix.to_string());
        }
        if is_meant(weights.place()) && has(&weights, from) && has(&weights, to) {
            let lever = Lever::new(weights, from, to, scale, &plan.percents());
            out.push(lever.map_err(|error| {
                cannot(error.to_string()).with_hint(
                    "--normalize exact makes every step whole; other --steps, or --normalize 1000, may do as well",
                )
            })?);
        }
    }
    if !out.is_empty() {
        return Ok(out);
    }
    let failure = match place {
        Some(place) if !matches.iter().any(|m| m == place) => {
            let near = nearest(place, matches.iter().map(String::as_str));
            let hint = near.map_or_else(
                || format!("its routes match {}", list(matches.iter().cloned())),
                |near| format!("did you mean {near}?"),
            );
            cannot(format!("no route matches {place}")).with_hint(hint)
        }
        Some(_) | None => cannot(format!("no route has both {from} and {to}")).with_hint(
            "add the new service to the route with weight 0: kubectl contour create blue-green",
        ),
    };
    Err(failure)
}

/// Looks at all of it.
pub async fn look(
    target: &Target,
    found: &Found,
    heard: &Heard,
    ends: (&Service, &Service),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let object = target.object(&found.route.metadata.name);
    if let Target::Kubernetes(kubernetes) = target {
        rights(kubernetes, &object, &mut findings).await;
        clock(kubernetes, &mut findings);
        if let Ok(Some(value)) = kubernetes.get(&object).await {
            owners(&value, &mut findings);
        }
    }
    fleet(heard, &mut findings);
    for report in &heard.reports {
        state(report, &mut findings);
    }
    endpoints(&heard.reports, ends, &mut findings);
    // Replicas mostly say the same.
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings {
        if !told.contains(&finding) {
            told.push(finding);
        }
    }
    told
}

async fn rights(kubernetes: &Kubernetes, object: &ObjectRef, findings: &mut Vec<Finding>) {
    let namespace = &*object.name.namespace;
    let contour = kubernetes.contour_namespace();
    let of = |namespace: &str, group: &str, resource: &str, verb: &str| json!({"namespace": namespace, "group": group, "resource": resource, "verb": verb});
    let mut forward = of(contour, "", "pods", "create");
    if let Some(fields) = forward.as_object_mut() {
        fields.insert("subresource".to_owned(), json!("portforward"));
    }
    let wanted = [
        (of(namespace, "contour.heptio.com", "ingressroutes", "patch"), true),
        (of(namespace, "coordination.k8s.io", "leases", "get"), true),
        (of(namespace, "coordination.k8s.io", "leases", "create"), true),
        (of(namespace, "coordination.k8s.io", "leases", "patch"), true),
        (of(contour, "", "pods", "list"), true),
        (forward, true),
        (of(namespace, "events.k8s.io", "events", "create"), false),
    ];
    let mut missing = 0;
    for (attributes, is_needed) in wanted {
        let words = || {
            let sub = match text(&attributes, "/subresource") {
                "" => String::new(),
                sub => format!("/{sub}"),
            };
            let (verb, resource) = (text(&attributes, "/verb"), text(&attributes, "/resource"));
            format!("{verb} {resource}{sub} in {}", text(&attributes, "/namespace"))
        };
        let remedy = "ask for it: docs/shift.md has the Role";
        match kubernetes.cluster().may(attributes.clone()).await {
            Ok(true) => {}
            Ok(false) if is_needed => {
                missing += 1;
                findings.push(Finding::error("rights", format!("you may not {}", words()), remedy));
            }
            Ok(false) => {
                missing += 1;
                let message = format!("you may not {}: nobody will be told by Events", words());
                findings.push(Finding::warning("rights", message, remedy));
            }
            Err(trouble) => {
                missing += 1;
                let message = format!("whether you may {} is not known: {trouble}", words());
                findings.push(Finding::warning("rights", message, ""));
            }
        }
    }
    if missing == 0 {
        findings.push(Finding::fine("rights", "you may do all that it takes"));
    }
}

fn clock(kubernetes: &Kubernetes, findings: &mut Vec<Finding>) {
    let ahead = kubernetes.ahead();
    findings.push(if ahead.abs() <= 5 {
        Finding::fine("clock", "your clock and the API server's agree")
    } else {
        let message =
            format!("the API server's clock is {ahead} s ahead of yours; its time is used");
        Finding::warning("clock", message, "set your clock")
    });
}

/// Who else writes these weights.
fn owners(value: &Value, findings: &mut Vec<Finding>) {
    let mark = |key: &str| {
        ["labels", "annotations"]
            .iter()
            .any(|of| value.pointer(&format!("/metadata/{of}")).and_then(|m| m.get(key)).is_some())
    };
    let argo = mark("argocd.argoproj.io/instance") || mark("argocd.argoproj.io/tracking-id");
    let flux = mark("kustomize.toolkit.fluxcd.io/name") || mark("helm.toolkit.fluxcd.io/name");
    let flagger =
        items(value, "/metadata/ownerReferences").iter().any(|o| text(o, "/kind") == "Canary");
    let others: BTreeSet<&str> = items(value, "/metadata/managedFields")
        .iter()
        .filter(|entry| entry.to_string().contains("\"f:weight\""))
        .map(|entry| text(entry, "/manager"))
        .filter(|manager| !matches!(*manager, "" | MANAGER))
        .filter(|manager| !manager.starts_with("kubectl"))
        .collect();
    if argo {
        findings.push(Finding::warning(
            "owner",
            "Argo CD applies this route, and would take its weights back",
            "in the Application: spec.ignoreDifferences: [{group: contour.heptio.com, kind: IngressRoute, \
             jqPathExpressions: ['.spec.routes[].services[].weight']}] and syncOptions: [RespectIgnoreDifferences=true]",
        ));
    }
    if flux {
        findings.push(Finding::warning(
            "owner",
            "Flux applies this route, and would take its weights back",
            "suspend it for as long: flux suspend kustomization NAME; or shift the files: -f DIR",
        ));
    }
    if flagger {
        findings.push(Finding::error(
            "owner",
            "Flagger owns this route and sets its weights",
            "let Flagger do the release, or delete its Canary first",
        ));
    }
    for other in &others {
        let message = format!("{other} has written weights of this route before");
        findings.push(Finding::warning(
            "owner",
            message,
            "see to it that it does not during the shift",
        ));
    }
    if !argo && !flux && !flagger && others.is_empty() {
        findings.push(Finding::fine("owner", "nobody else is known to write these weights"));
    }
}

fn fleet(heard: &Heard, findings: &mut Vec<Finding>) {
    for trouble in &heard.troubles {
        let remedy = "kubectl contour check says more; kubectl contour version compares versions";
        findings.push(Finding::error("controller", trouble.clone(), remedy));
    }
    if heard.reports.is_empty() {
        if heard.troubles.is_empty() {
            findings.push(Finding::error(
                "controller",
                "no controller answers",
                "kubectl contour check",
            ));
        }
        return;
    }
    let sum = |of: fn(&Report) -> u32| {
        heard.reports.iter().fold(0_u32, |all, r| all.saturating_add(of(r)))
    };
    let (connected, acknowledged) = (sum(|r| r.fleet.connected), sum(|r| r.fleet.acknowledged));
    let waiting = heard.reports.iter().flat_map(|r| &r.fleet.waiting);
    let waiting = list(waiting.map(|(node, why)| format!("{node} ({why})")));
    findings.push(match (connected, acknowledged) {
        (0, _) => Finding::error("envoys", "no Envoy is connected", "kubectl contour status"),
        (all, have) if all == have => {
            Finding::fine("envoys", format!("{have}/{all} Envoys have the route"))
        }
        (all, have) => Finding::error(
            "envoys",
            format!("{have}/{all} Envoys have the route; waiting: {waiting}"),
            "kubectl contour status says what they reject",
        ),
    });
    for (node, why) in troubles(&heard.reports) {
        let message = format!("Envoy {node} does not say what it counts: {why}");
        findings.push(Finding::warning("statistics", message, "gates would not see its traffic"));
    }
}

fn state(report: &Report, findings: &mut Vec<Finding>) {
    match report.state.as_deref() {
        None | Some("valid" | "programmed" | "accepted") if report.errors.is_empty() => {
            findings.push(Finding::fine("state", "the controller serves the route"));
        }
        state => {
            let errors = list(report.errors.iter().map(ToString::to_string));
            let message = format!("the route is {}: {errors}", state.unwrap_or("not in order"));
            findings.push(Finding::error("state", message, "correct the route first"));
        }
    }
}

fn endpoints(reports: &[Report], (from, to): (&Service, &Service), findings: &mut Vec<Finding>) {
    if reports.is_empty() {
        return;
    }
    let least = |service: &Service| -> Option<u32> {
        let all = reports.iter().flat_map(|r| &r.envoys).flat_map(|e| &e.services);
        all.filter(|u: &&Upstream| u.service == *service).filter_map(|u| u.healthy).min()
    };
    let (old, new) = (least(from), least(to));
    let remedy = |service: &Service| {
        format!("kubectl get endpointslices -l kubernetes.io/service-name={}", service.name)
    };
    findings.push(match new {
        Some(0) => Finding::error("to", format!("{to} has no healthy endpoint"), remedy(to)),
        Some(count) => Finding::fine("to", format!("{to} has {count} healthy endpoints")),
        None => {
            Finding::warning("to", format!("nothing is known of the endpoints of {to}"), remedy(to))
        }
    });
    findings.push(match old {
        Some(0) => Finding::warning(
            "from",
            format!("{from} has no healthy endpoint: nothing could be rolled back"),
            remedy(from),
        ),
        Some(count) => Finding::fine("from", format!("{from} has {count} healthy endpoints")),
        None => Finding::warning(
            "from",
            format!("nothing is known of the endpoints of {from}"),
            remedy(from),
        ),
    });
    if let (Some(old), Some(new)) = (old, new)
        && new > 0
        && new < old
    {
        let message =
            format!("{to} has {new} healthy endpoints, and {from} has {old} for the same traffic");
        findings.push(Finding::warning(
            "capacity",
            message,
            "scale it first, if its endpoints are no larger",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contour_core::shift::sent::decode;

    fn route() -> IngressRoute {
        decode(&json!({
                "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
                "metadata": {"name": "shop", "namespace": "demo"},
                "spec": {"virtualhost": {"fqdn": "a.example"}, "routes": [
                    {"match": "/", "services": [{"name": "blue", "port": 80}, {"name": "green", "port": 80, "weight": 0}]},
                    {"match": "/api", "services": [{"name": "blue", "port": 80}, {"name": "green", "port": 80}, {"name": "red", "port": 80}]},
                    {"match": "/old", "services": [{"name": "blue", "port": 80}, {"name": "blue", "port": 81}]},
                ]},
            }))
        .unwrap()
    }

    #[test]
    fn a_service_is_found_by_name_and_port() {
        let said = |wanted: &str| match service(&route(), wanted, "--to") {
            Ok(service) => service.to_string(),
            Err(failure) => format!(
                "{}: {} ({})",
                failure.kind.code(),
                failure.message,
                failure.hint.unwrap_or_default()
            ),
        };
        insta::assert_snapshot!(
            ["green", "green:80", "blue", "blue:81", "gren", "payments", "green:x", "green:81"]
                .map(|wanted| format!("{wanted:10} {}", said(wanted)))
                .join("\n")
        );
    }

    #[test]
    fn places_that_have_both_are_moved() {
        let plan = super::super::plan::plan_of("60,100");
        let of = |from: &str, to: &str, place: Option<&str>| {
            let route = route();
            let ends =
                (service(&route, from, "--from").unwrap(), service(&route, to, "--to").unwrap());
            match levers(&route, place, (&ends.0, &ends.1), &plan, Scale::Exact) {
                Ok(levers) => list(levers.iter().map(|l| l.place().to_string())),
                Err(failure) => format!(
                    "{}: {} ({})",
                    failure.kind.code(),
                    failure.message,
                    failure.hint.unwrap_or_default()
                ),
            }
        };
        insta::assert_snapshot!(
            [
                of("blue:80", "green", None),
                of("blue:80", "green", Some("/api")),
                of("blue:80", "red", None),
                of("blue:80", "green", Some("/apo")),
                of("red", "blue:81", None),
            ]
            .join("\n")
        );
    }

    #[test]
    fn who_else_writes_weights_is_told() {
        let said = |value: Value| {
            let mut findings = Vec::new();
            owners(&value, &mut findings);
            findings
                .iter()
                .map(|f| format!("{}: {}", f.level.word(), f.message))
                .collect::<Vec<_>>()
                .join("\n")
        };
        insta::assert_snapshot!(
            [
                said(json!({"metadata": {}})),
                said(json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}})),
                said(json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}})),
                said(json!({"metadata": {"ownerReferences": [{"kind": "Canary"}]}})),
                said(json!({"metadata": {"managedFields": [
                    {"manager": "robot", "fieldsV1": {"f:spec": {"f:weight": {}}}},
                    {"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {"f:weight": {}}}},
                    {"manager": "contour", "fieldsV1": {"f:status": {}}},
                ]}})),
            ]
            .join("\n")
        );
    }
}
