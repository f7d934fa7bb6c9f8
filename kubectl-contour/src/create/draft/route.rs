//! An IngressRoute from what the command line or the wizard asks for.

use std::sync::Arc;

use contour_core::api::{IngressRouteSpec, Route, TcpProxy, Tls, VirtualHost};
use contour_core::name::{Fqdn, ObjectName};
use serde_json::Value;

use super::{Document, object};

/// What an IngressRoute is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteWish {
    /// Its name.
    pub name: ObjectName,
    /// The host; none for one that is delegated to.
    pub host: Option<Fqdn>,
    /// TLS for the host.
    pub tls: Option<Tls>,
    /// The routes.
    pub routes: Vec<Route>,
    /// Where TLS connections are forwarded to, instead.
    pub tcp: Option<TcpProxy>,
    /// The ingress class.
    pub class: Option<String>,
}

/// The IngressRoute as a document.
pub fn ingressroute(wish: &RouteWish) -> Document {
    let spec = IngressRouteSpec {
        virtualhost: wish
            .host
            .as_ref()
            .map(|host| VirtualHost { fqdn: host.as_str().into(), tls: wish.tls.clone() }),
        routes: wish.routes.clone(),
        tcpproxy: wish.tcp.clone(),
    };
    let value = object("IngressRoute", &wish.name, wish.class.as_deref(), &as_value(&spec));
    let mut document = Document::new(value, &headline(wish));
    comment_tls(wish, &mut document);
    for (index, route) in wish.routes.iter().enumerate() {
        comment_route(route, &format!(".spec.routes[{index}]"), wish.tls.is_some(), &mut document);
    }
    if wish.tcp.is_some() {
        document.comment(
            ".spec.tcpproxy",
            "Forwards the bytes of TLS connections; requests are not looked at.",
        );
    }
    document
}

/// A spec as it is written.
fn as_value(spec: &IngressRouteSpec) -> Value {
    // A type of strings, numbers and lists has no value that JSON could not hold.
    serde_json::to_value(spec).unwrap_or_default()
}

fn headline(wish: &RouteWish) -> String {
    match &wish.host {
        Some(host) if wish.tls.is_some() => {
            let redirect = if wish.tcp.is_some() && wish.routes.is_empty() {
                ""
            } else {
                " Plain HTTP is redirected to HTTPS."
            };
            format!("https://{host}: a host with TLS.{redirect}")
        }
        Some(host) => format!("http://{host}: plain HTTP; set .spec.virtualhost.tls for HTTPS."),
        None => "It has no `virtualhost`, so it serves only where another IngressRoute delegates \
                 to it, and only below the prefix that was delegated."
            .to_owned(),
    }
}

fn comment_tls(wish: &RouteWish, document: &mut Document) {
    let Some(tls) = &wish.tls else { return };
    if tls.passthrough {
        document.comment(
            ".spec.virtualhost.tls.passthrough",
            "The services terminate TLS themselves and have the certificate.",
        );
    }
    let foreign = tls.secret_name.as_deref().and_then(|name| name.split_once('/'));
    if let Some((namespace, name)) = foreign.filter(|(ns, _)| **ns != *wish.name.namespace) {
        let comment = format!(
            "The certificate belongs to the namespace {namespace}, which has to lend it: a \
             TLSCertificateDelegation there with secretName {name} and the target namespace {}.",
            wish.name.namespace
        );
        document.comment(".spec.virtualhost.tls.secretName", &comment);
    }
}

fn comment_route(route: &Route, field: &str, tls: bool, document: &mut Document) {
    let services = &route.services;
    if let Some(delegate) = &route.delegate {
        let namespace = delegate.namespace.as_deref().map(|n| format!(" in the namespace {n}"));
        let comment = format!(
            "The paths below {} belong to the IngressRoute {}{}, whose matches begin with {0}.",
            route.prefix,
            delegate.name,
            namespace.unwrap_or_default(),
        );
        document.comment(field, &comment);
    } else if services.len() > 1 {
        document.comment(&format!("{field}.services"), &shares(services));
    }
    if tls && route.permit_insecure {
        let field = format!("{field}.permitInsecure");
        document.comment(&field, "Plain HTTP is served too, without redirect.");
    }
    if let Some(rewrite) = &route.prefix_rewrite {
        let prefix = &route.prefix;
        let comment = format!("{prefix}… goes upstream as {rewrite}…");
        document.comment(&format!("{field}.prefixRewrite"), &comment);
    }
}

/// How the traffic is shared, in words.
fn shares(services: &[contour_core::api::IngressRouteService]) -> String {
    let total: i64 = services.iter().filter_map(|s| s.weight).sum();
    if total == 0 {
        return "Equal shares, since no service has a weight above 0.".to_owned();
    }
    let share = |name: &Arc<str>, weight: i64| {
        let tenths = weight * 1000 / total;
        let (whole, rest) = (tenths / 10, tenths % 10);
        let rest = if rest == 0 { String::new() } else { format!(".{rest}") };
        (format!("{whole}{rest} %"), Arc::clone(name))
    };
    let parts = services.iter().map(|s| share(&s.name, s.weight.unwrap_or_default()));
    let mut words = String::new();
    for (index, (share, name)) in parts.enumerate() {
        let joint = if index == 0 { " of the requests go to " } else { " to " };
        let comma = if index == 0 { "" } else { ", " };
        words = format!("{words}{comma}{share}{joint}{name}");
    }
    format!("{words}.")
}
