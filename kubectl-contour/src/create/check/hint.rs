//! What was probably meant: the nearest of what there is.

use contour_core::api::{IngressRoute, IngressRouteService, Object, Service};
use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::ir::Certificate;
use contour_core::manifest::nearest;
use contour_core::name::{FieldPath, Fqdn, Kind};

use super::Snapshot;
use crate::create::certificate;

/// How many names are listed.
const NAMES: usize = 8;

/// The diagnostic, with a hint that knows what the cluster has.
pub(super) fn improve(
    snapshot: &Snapshot,
    drafts: &[Object],
    mut diagnostic: Diagnostic,
) -> Diagnostic {
    let Some(object) = diagnostic.object.clone() else { return diagnostic };
    let Some(Object::IngressRoute(route)) = drafts.iter().find(|d| d.reference() == object) else {
        return diagnostic;
    };
    let namespace = &*object.name.namespace;
    let service = || service_at(route, &diagnostic.field);
    let code = diagnostic.code;
    let hint = if code == Code::ServiceNotFound {
        service().and_then(|s| nearest_service(snapshot, drafts, namespace, s))
    } else if code == Code::ServicePortNotFound {
        service().and_then(|s| ports_of(snapshot, drafts, namespace, s))
    } else if code == Code::SecretNotFound {
        secret_hint(snapshot, namespace, route)
    } else if code == Code::DelegateNotFound {
        delegate_hint(snapshot, namespace, (route, &diagnostic))
    } else if code == Code::HostConflict {
        let hint = "Delegate from the IngressRoute that has it (kubectl contour create delegation), or \
                    choose another host.";
        Some(hint.to_owned())
    } else {
        None
    };
    if hint.is_some() {
        diagnostic.hint = hint;
    }
    diagnostic
}

fn secret_hint(snapshot: &Snapshot, namespace: &str, route: &IngressRoute) -> Option<String> {
    let host = route.spec.virtualhost.as_ref()?;
    let secret = host.tls.as_ref()?.secret_name.as_deref()?;
    let (namespace, name) = secret.split_once('/').unwrap_or((namespace, secret));
    nearest_secret(snapshot, namespace, name, &host.fqdn)
}

fn delegate_hint(
    snapshot: &Snapshot,
    namespace: &str,
    (route, diagnostic): (&IngressRoute, &Diagnostic),
) -> Option<String> {
    let index = number(diagnostic.field.as_str().strip_prefix(".spec.routes[")?)?;
    let delegate = route.spec.routes.get(index)?.delegate.as_ref()?;
    let namespace = delegate.namespace.as_deref().unwrap_or(namespace);
    nearest_route(snapshot, namespace, &delegate.name)
}

/// The number before a closing bracket.
fn number(text: &str) -> Option<usize> {
    text.split_once(']')?.0.parse().ok()
}

/// The service that a field such as `.spec.routes[0].services[1].port` is of.
fn service_at<'r>(route: &'r IngressRoute, field: &FieldPath) -> Option<&'r IngressRouteService> {
    let (before, after) = field.as_str().split_once(".services[")?;
    let services = match before.strip_prefix(".spec.routes[") {
        Some(index) => &route.spec.routes.get(number(index)?)?.services,
        None => &route.spec.tcpproxy.as_ref()?.services,
    };
    services.get(number(after)?)
}

fn services<'s>(
    snapshot: &'s Snapshot,
    drafts: &'s [Object],
    namespace: &'s str,
) -> impl Iterator<Item = &'s Service> {
    let drafts = drafts.iter().filter(move |o| &*o.metadata().namespace == namespace);
    snapshot.of(Kind::Service, namespace).chain(drafts).filter_map(as_service)
}

/// The object as a Service, if it is one.
pub fn as_service(object: &Object) -> Option<&Service> {
    if let Object::Service(service) = object { Some(service) } else { None }
}

fn nearest_service(
    snapshot: &Snapshot,
    drafts: &[Object],
    namespace: &str,
    wanted: &IngressRouteService,
) -> Option<String> {
    let all: Vec<&Service> = services(snapshot, drafts, namespace).collect();
    let names = || all.iter().map(|service| &*service.metadata.name);
    let Some(name) = nearest(&wanted.name, names()) else {
        return listed(names(), "Service", namespace);
    };
    let found = all.iter().find(|service| *service.metadata.name == *name)?;
    Some(format!("Did you mean {name}? It has {}.", ports(found)))
}

fn ports_of(
    snapshot: &Snapshot,
    drafts: &[Object],
    namespace: &str,
    wanted: &IngressRouteService,
) -> Option<String> {
    let found = services(snapshot, drafts, namespace).find(|s| s.metadata.name == wanted.name)?;
    let (name, port) = (&wanted.name, wanted.port);
    Some(format!("service {namespace}/{name} has no port {port}; it has {}.", ports(found)))
}

/// The ports of a Service in words: `80 (http), 8443 (https)`.
fn ports(service: &Service) -> String {
    let port = |port: &contour_core::api::ServicePort| {
        let name = if port.name.is_empty() { String::new() } else { format!(" ({})", port.name) };
        format!("{}{name}", port.port)
    };
    let all: Vec<String> = service.spec.ports.iter().map(port).collect();
    if all.is_empty() { "no port".to_owned() } else { all.join(", ") }
}

fn nearest_secret(
    snapshot: &Snapshot,
    namespace: &str,
    wanted: &str,
    host: &str,
) -> Option<String> {
    let usable: Vec<(&str, Certificate)> = certificate::all(snapshot, namespace).collect();
    let covers =
        |certificate: &Certificate| Fqdn::parse(host).is_ok_and(|host| certificate.covers(&host));
    if let Some(name) = nearest(wanted, usable.iter().map(|(name, _)| *name)) {
        return Some(format!("Did you mean {name}?"));
    }
    if let Some((name, _)) = usable.iter().find(|(_, certificate)| covers(certificate)) {
        return Some(format!("Secret {namespace}/{name} has a certificate for {host}."));
    }
    listed(usable.iter().map(|(name, _)| *name), "TLS Secret", namespace)
}

fn nearest_route(snapshot: &Snapshot, namespace: &str, wanted: &str) -> Option<String> {
    let all: Vec<&str> = snapshot
        .of(Kind::IngressRoute, namespace)
        .filter(|object| {
            matches!(object, Object::IngressRoute(route) if route.spec.virtualhost.is_none())
        })
        .map(|object| &*object.metadata().name)
        .collect();
    match nearest(wanted, all.iter().copied()) {
        Some(name) => Some(format!("Did you mean {name}?")),
        None => listed(all.into_iter(), "IngressRoute without a virtualhost", namespace),
    }
}

/// What there is; `None` if there is nothing, which the code's own remedy suits.
fn listed<'n>(names: impl Iterator<Item = &'n str>, kind: &str, namespace: &str) -> Option<String> {
    let all: Vec<&str> = names.collect();
    let more = if all.len() > NAMES { ", …" } else { "" };
    let list = all.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    let plural = if all.len() == 1 { "" } else { "s" };
    (!all.is_empty())
        .then(|| format!("The namespace {namespace} has the {kind}{plural} {list}{more}."))
}
