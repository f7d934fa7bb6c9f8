//! How traffic comes in, and what the routes say.

use serde_json::Value;

use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Snapshot, known, label};
use crate::cluster::value::{items, text};

fn envoy(snapshot: &Snapshot) -> Judged<&Value> {
    let services = known(&snapshot.services)?;
    let envoy = services.iter().find(|service| text(service, "/metadata/name") == "envoy");
    envoy.ok_or_else(|| {
        let what = format!("there is no Service {}/envoy", snapshot.namespace);
        Problem::error(what, "kubectl contour install creates it")
    })
}

pub(in crate::check) fn service(snapshot: &Snapshot) -> Judged {
    envoy(snapshot).map(drop)
}

pub(in crate::check) fn endpoints(snapshot: &Snapshot) -> Judged {
    let of_envoy = |slice: &&Value| label(slice, "kubernetes.io/service-name") == "envoy";
    let slices = known(&snapshot.slices)?.iter().filter(of_envoy);
    let endpoints: Vec<_> = slices.flat_map(|slice| items(slice, "/endpoints")).collect();
    let ready = |endpoint: &&&Value| {
        // Nothing said means ready (discovery.k8s.io/v1, EndpointConditions).
        endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
    };
    match (endpoints.iter().filter(ready).count(), endpoints.len()) {
        (1.., _) => Ok(()),
        (0, 0) => Err(Problem::error(
            "Service envoy leads to no Pod",
            format!("kubectl -n {} get pods -l app=envoy", snapshot.namespace),
        )),
        (0, all) => Err(Problem::error(
            format!("none of the {all} endpoints of Service envoy is ready"),
            format!("kubectl -n {} describe pods -l app=envoy", snapshot.namespace),
        )),
    }
}

pub(in crate::check) fn address(snapshot: &Snapshot) -> Judged {
    let service = envoy(snapshot)?;
    let balanced = text(service, "/spec/type") == "LoadBalancer";
    if !balanced || !items(service, "/status/loadBalancer/ingress").is_empty() {
        return Ok(());
    }
    Err(Problem::warning(
        "Service envoy is of type LoadBalancer and has no address yet",
        "kubectl describe service envoy says whether somebody is at it; where nothing gives \
         addresses, reach Envoy by node ports or host ports",
    ))
}

pub(in crate::check) fn routes(snapshot: &Snapshot) -> Judged {
    let mut bad = Vec::new();
    let (mut invalid, mut orphaned) = (0, 0);
    for route in known(&snapshot.routes)? {
        let status = text(route, "/status/currentStatus");
        match status {
            "invalid" => invalid += 1,
            "orphaned" => orphaned += 1,
            _ => continue,
        }
        let (namespace, name) = (text(route, "/metadata/namespace"), text(route, "/metadata/name"));
        bad.push(format!("{namespace}/{name} is {status}: {}", text(route, "/status/description")));
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Problem::warning(
        format!("{invalid} invalid, {orphaned} orphaned\n{}", listed(&bad)),
        "kubectl describe ingressroute says what is wrong with each",
    ))
}
