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
use crate::cluster::value::text;
use crate::create::live::{name, without_server_fields};

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

/// What is there already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveTeam {
    /// The root.
    pub root: Option<Value>,
    /// The team's IngressRoute.
    pub team: Option<Value>,
}

/// The documents. Of what is there already they are that, with one route more.
///
/// # Errors
/// If one has another route of the prefix already.
pub fn delegation(wish: &TeamWish, live: &LiveTeam) -> Result<Vec<Document>, String> {
    let comment = format!(
        "The paths below {} belong to the IngressRoute {} in the namespace {}.",
        wish.prefix, wish.team.name, wish.team.namespace
    );
    let mut documents = vec![if let Some(root) = &live.root {
        amended(root, &delegating(wish), &comment)?
    } else {
        let mut root = wish.root.clone();
        root.routes.push(delegating(wish));
        ingressroute(&root)
    }];
    if !wish.services.is_empty() {
        documents.push(match &live.team {
            Some(live) => amended(live, &served(wish), "What was delegated.")?,
            None => team(wish),
        });
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

/// The route of the team that serves.
fn served(wish: &TeamWish) -> Route {
    Route { prefix: Arc::clone(&wish.prefix), services: wish.services.clone(), ..Route::default() }
}

fn team(wish: &TeamWish) -> Document {
    let mut document = ingressroute(&RouteWish {
        name: wish.team.clone(),
        host: None,
        tls: None,
        routes: vec![served(wish)],
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

/// An IngressRoute as it is, with one route more.
fn amended(live: &Value, route: &Route, comment: &str) -> Result<Document, String> {
    let added = serde_json::to_value(route).unwrap_or_default();
    let mut value = without_server_fields(live);
    let same = |r: &Value| text(r, "/match") == &*route.prefix;
    let mut index = 0;
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        let routes = spec.entry("routes").or_insert_with(|| json!([]));
        if let Some(routes) = routes.as_array_mut() {
            match routes.iter().position(same) {
                Some(there) if routes.get(there) == Some(&added) => index = there,
                Some(_) => {
                    return Err(format!(
                        "IngressRoute {} has another route {} already: remove that one first",
                        name(live),
                        route.prefix
                    ));
                }
                None => {
                    index = routes.len();
                    routes.push(added);
                }
            }
        }
    }
    let headline = format!("IngressRoute {} as it is, with one route more.", name(live));
    let mut document = Document::new(value, &headline);
    document.base = Some(live.clone());
    document.comment(&format!(".spec.routes[{index}]"), comment);
    Ok(document)
}
