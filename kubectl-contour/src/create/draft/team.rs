//! A part of a host for another team: the root's delegation, the team's route and the loan of the
//! certificate.

use std::sync::Arc;

use contour_core::api::{
    CertificateDelegation, Delegate, IngressRouteService, Route, TlsCertificateDelegationSpec,
};
use contour_core::name::ObjectName;
use serde_json::{Value, json};

use super::route::{RouteWish, ingressroute};
use super::{Document, object};
use crate::create::live::{text, without_server_fields};

/// What is to be delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamWish {
    /// The root: its own routes without the delegated one.
    pub root: RouteWish,
    /// The prefix that is delegated.
    pub prefix: Arc<str>,
    /// The team's IngressRoute.
    pub team: ObjectName,
    /// The team's services below the prefix; empty if the team's IngressRoute is there already.
    pub services: Vec<IngressRouteService>,
    /// Whether the namespace of the certificate has lent it already.
    pub lent: bool,
}

/// The documents. `live` is the root as it is, if there is one: then it is that one, with the
/// delegation added.
///
/// # Errors
/// If the root has the prefix already, with services of its own.
pub fn delegation(wish: &TeamWish, live: Option<&Value>) -> Result<Vec<Document>, String> {
    let mut documents = vec![if let Some(live) = live {
        amended(wish, live)?
    } else {
        let mut root = wish.root.clone();
        root.routes.push(delegating(wish));
        ingressroute(&root)
    }];
    if !wish.services.is_empty() {
        documents.push(team(wish));
    }
    documents.extend(loan(wish));
    Ok(documents)
}

/// The route of the root that delegates.
fn delegating(wish: &TeamWish) -> Route {
    let namespace = Some(Arc::clone(&wish.team.namespace));
    let delegate = Some(Delegate { name: Arc::clone(&wish.team.name), namespace });
    Route { prefix: Arc::clone(&wish.prefix), delegate, ..Route::default() }
}

fn team(wish: &TeamWish) -> Document {
    let route = Route {
        prefix: Arc::clone(&wish.prefix),
        services: wish.services.clone(),
        ..Route::default()
    };
    let mut document = ingressroute(&RouteWish {
        name: wish.team.clone(),
        host: None,
        tls: None,
        routes: vec![route],
        tcp: None,
        class: wish.root.class.clone(),
    });
    let host = wish.root.host.as_ref().map_or("the host", |host| host.as_str());
    let comment = format!(
        "What the namespace {} owns of {host}: the paths below {}. Who may edit this needs no \
         access to the root. It has no `virtualhost`: it serves only below the prefix that was \
         delegated.",
        wish.team.namespace, wish.prefix
    );
    document.comment("", &comment);
    document
}

fn loan(wish: &TeamWish) -> Option<Document> {
    let secret = wish.root.tls.as_ref()?.secret_name.as_deref()?;
    let (namespace, name) = secret.split_once('/')?;
    let borrower = &wish.root.name.namespace;
    if wish.lent || *namespace == **borrower {
        return None;
    }
    let spec = TlsCertificateDelegationSpec {
        delegations: vec![CertificateDelegation {
            secret_name: name.into(),
            target_namespaces: vec![Arc::clone(borrower)],
        }],
    };
    let spec = serde_json::to_value(spec).unwrap_or_default();
    let own = ObjectName::new(namespace, format!("{name}-to-{borrower}"));
    let value = object("TLSCertificateDelegation", &own, None, &spec);
    let comment = format!(
        "Lends the certificate to the namespace {borrower}. Without it the host is not served \
         over TLS. Who owns the namespace {namespace} has to apply it."
    );
    Some(Document::new(value, &comment))
}

/// The root as it is, with the delegation added or replaced.
fn amended(wish: &TeamWish, live: &Value) -> Result<Document, String> {
    let route = serde_json::to_value(delegating(wish)).unwrap_or_default();
    let mut value = without_server_fields(live);
    let same = |r: &Value| text(r, "/match") == &*wish.prefix;
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        let routes = spec.entry("routes").or_insert_with(|| json!([]));
        if let Some(routes) = routes.as_array_mut() {
            match routes.iter_mut().find(|r| same(r)) {
                Some(there) if there["services"].is_array() => {
                    return Err(format!(
                        "IngressRoute {} routes {} to services of its own: remove that route first",
                        wish.root.name, wish.prefix
                    ));
                }
                Some(there) => *there = route.clone(),
                None => routes.push(route.clone()),
            }
        }
    }
    let index = value
        .pointer("/spec/routes")
        .and_then(Value::as_array)
        .and_then(|routes| routes.iter().position(same))
        .unwrap_or_default();
    let name = &wish.root.name;
    let sent = object("IngressRoute", name, None, &json!({ "routes": [route] }));
    let comment = format!("IngressRoute {name} as it is, with one route more.");
    let mut document = Document::new(value, &comment);
    document.sent = Some(sent);
    let comment = format!(
        "The paths below {} belong to the IngressRoute {} in the namespace {}.",
        wish.prefix, wish.team.name, wish.team.namespace
    );
    document.comment(&format!(".spec.routes[{index}]"), &comment);
    Ok(document)
}
