//! The commands: what they need of the cluster, and what they write.

use std::collections::BTreeSet;

use contour_core::api::{Object, Tls};
use contour_core::manifest::nearest;
use contour_core::name::{Fqdn, Kind as ObjectKind, ObjectName};
use serde_json::Value;

use super::args::{BlueGreenArgs, DelegationArgs, IngressRouteArgs, TlsArgs};
use super::blue_green::{self, Live, Wish};
use super::check::Snapshot;
use super::draft::{self, LiveTeam, RouteWish, TeamWish};
use super::gather::Needs;
use super::live::name;
use super::prompt;
use super::session::Session;
use super::wizard::Wizard;
use crate::cluster::Cluster;
use crate::cluster::value::text;
use crate::failure::{Failure, Kind};
use crate::output::Manner;
use crate::output::is_attended;

const ROUTES: &str = "/apis/contour.heptio.com/v1beta1/namespaces";

pub(super) async fn ingressroute(args: IngressRouteArgs, manner: Manner) -> Result<(), Failure> {
    let asked = args.name.is_some() || args.host.is_some();
    let nothing_given = args.routes.is_empty() && args.delegates.is_empty() && !asked;
    if nothing_given && args.tcpproxy.is_none() && is_attended() {
        return wizard(args, manner).await;
    }
    let Some(name) = args.name else {
        return Err(Failure::new(Kind::Usage, "the name of the IngressRoute is missing")
            .with_hint(
                "kubectl contour create ingressroute NAME --host HOST --route /=SERVICE:PORT",
            ));
    };
    let mut routes = args.routes;
    routes.extend(args.delegates);
    if routes.is_empty() && args.tcpproxy.is_none() {
        return Err(Failure::new(Kind::Usage, "there is nothing to route to")
            .with_hint("name a service: --route /=SERVICE:PORT"));
    }
    if args.tcpproxy.is_some() && args.tls.tls_secret.is_none() && !args.tls.passthrough {
        return Err(Failure::new(Kind::Usage, "--tcpproxy needs TLS: hosts are told apart by SNI")
            .with_hint("--passthrough, if the services terminate TLS; or --tls-secret SECRET"));
    }
    let session = Session::open(&args.cluster, &args.deliver, manner).await?;
    let wish = RouteWish {
        name: ObjectName::new(session.namespace.as_str(), name),
        host: args.host,
        tls: tls(&args.tls),
        routes,
        tcp: args.tcpproxy,
        class: args.class,
    };
    session.finish(vec![draft::ingressroute(&wish)], &args.deliver).await
}

/// Asks for what the command line does not say.
async fn wizard(mut args: IngressRouteArgs, manner: Manner) -> Result<(), Failure> {
    let mut session = Session::open(&args.cluster, &args.deliver, manner).await?;
    let own = BTreeSet::from([session.namespace.clone()]);
    let needs = Needs {
        services: own.clone(),
        secret_namespaces: own,
        namespace: session.namespace.clone(),
        ..Needs::default()
    };
    let snapshot = session.snapshot(&needs).await?;
    let wizard = Wizard::new(&session.namespace, snapshot, session.cluster.is_some());
    let wizard = prompt::ask(wizard, session.palette()).await?;
    if let Some(ending) = wizard.ending() {
        prompt::decide(ending, &mut args.deliver);
    }
    let wish = RouteWish { class: args.class, ..wizard.wish().clone() };
    session.finish(vec![draft::ingressroute(&wish)], &args.deliver).await
}

fn tls(args: &TlsArgs) -> Option<Tls> {
    (args.tls_secret.is_some() || args.passthrough).then(|| Tls {
        secret_name: args.tls_secret.clone(),
        minimum_protocol_version: args.tls_minimum_version.as_deref().map(Into::into),
        passthrough: args.passthrough,
    })
}

pub(super) async fn delegation(args: DelegationArgs, manner: Manner) -> Result<(), Failure> {
    if args.to.namespace.is_empty() {
        return Err(Failure::new(Kind::Usage, "--to names no namespace")
            .with_hint(format!("--to NAMESPACE/{}", args.to.name)));
    }
    let mut session = Session::open(&args.cluster, &args.deliver, manner).await?;
    let root = ObjectName::new(session.namespace.as_str(), args.name.as_str());
    let live = LiveTeam {
        root: there(session.cluster.as_ref(), &root).await,
        team: there(session.cluster.as_ref(), &args.to).await,
    };
    if live.root.is_none() && args.host.is_none() {
        return Err(Failure::new(
            Kind::Usage,
            format!("there is no IngressRoute {root} yet, and no host for it"),
        )
        .with_hint("name the host: --host shop.example.com"));
    }
    if let Some(root) = &live.root {
        fits(root, &args)?;
    }
    let known = live.root.as_ref();
    let known = known.and_then(|root| Fqdn::parse(text(root, "/spec/virtualhost/fqdn")).ok());
    let secret = args.tls_secret.clone();
    let lent = match secret.as_deref().and_then(|secret| secret.split_once('/')) {
        Some((namespace, name)) => {
            let needs = Needs { namespace: namespace.to_owned(), ..Needs::default() };
            let snapshot = session.snapshot(&needs).await?;
            is_lent(&snapshot, &ObjectName::new(namespace, name), &root.namespace)
        }
        None => false,
    };
    let tls = secret.map(|secret| Tls { secret_name: Some(secret), ..Tls::default() });
    let wish = TeamWish {
        root: RouteWish {
            name: root,
            host: args.host.or(known),
            tls,
            routes: args.routes,
            tcp: None,
            class: args.class,
        },
        prefix: args.prefix,
        team: args.to,
        services: args.services,
        lent,
    };
    let documents =
        draft::delegation(&wish, &live).map_err(|message| Failure::new(Kind::Error, message))?;
    session.finish(documents, &args.deliver).await
}

/// An IngressRoute, if it is there. A cluster that cannot be asked is told of by the check that
/// follows.
async fn there(cluster: Option<&Cluster>, route: &ObjectName) -> Option<Value> {
    let path = format!("{ROUTES}/{}/ingressroutes/{}", route.namespace, route.name);
    cluster?.find(&path).await.ok().flatten()
}

/// Whether a root that is there already is what the command line says it is.
fn fits(live: &Value, args: &DelegationArgs) -> Result<(), Failure> {
    let there = |what: &str| {
        let message = format!("IngressRoute {} is there already, {what}", args.name);
        Err(Failure::new(Kind::Usage, message)
            .with_hint("leave the flag out: the root stays as it is but for the new route"))
    };
    let host = text(live, "/spec/virtualhost/fqdn");
    if host.is_empty() {
        let message = format!("IngressRoute {} is no root: it has no virtualhost", args.name);
        return Err(Failure::new(Kind::Error, message));
    }
    if args.host.as_ref().is_some_and(|wanted| Fqdn::parse(host).as_ref() != Ok(wanted)) {
        return there(&format!("for the host {host}: --host"));
    }
    let secret = text(live, "/spec/virtualhost/tls/secretName");
    if args.tls_secret.as_deref().is_some_and(|wanted| wanted != secret) {
        let secret = if secret.is_empty() { "without a Secret" } else { secret };
        return there(&format!("with TLS {secret}: --tls-secret"));
    }
    if !args.routes.is_empty() {
        return there("with routes of its own: --route");
    }
    Ok(())
}

/// Whether a TLSCertificateDelegation lends a Secret to a namespace already.
fn is_lent(snapshot: &Snapshot, secret: &ObjectName, borrower: &str) -> bool {
    snapshot.of(ObjectKind::TlsCertificateDelegation, &secret.namespace).any(|object| {
        let Object::TlsCertificateDelegation(delegation) = object else { return false };
        delegation.spec.delegations.iter().any(|lent| {
            lent.secret_name == secret.name
                && lent.target_namespaces.iter().any(|to| **to == *borrower || &**to == "*")
        })
    })
}

pub(super) async fn blue_green(args: BlueGreenArgs, manner: Manner) -> Result<(), Failure> {
    let session = Session::open(&args.cluster, &args.deliver, manner).await?;
    let Some(cluster) = &session.cluster else {
        return Err(Failure::new(Kind::Cluster, "the first version has to be read from a cluster")
            .with_hint("name one: --kubeconfig, --context"));
    };
    let live = look(cluster, &session.namespace, &args).await?;
    let image = args.image.map(|image| match image.split_once('=') {
        Some((container, image)) => (Some(container.to_owned()), image.to_owned()),
        None => (None, image),
    });
    let wish = Wish {
        version: args.version_name,
        image,
        host: args.host,
        prefix: args.prefix.to_string(),
        class: args.class,
    };
    let plan = blue_green::plan(&wish, &live)?;
    for remark in &plan.remarks {
        session.remark(remark);
    }
    session.finish(plan.documents, &args.deliver).await
}

/// What the plan needs: the Service that is meant, and everything around it.
async fn look(cluster: &Cluster, namespace: &str, args: &BlueGreenArgs) -> Result<Live, Failure> {
    let list = async |what: &str, path: String, kind: (&str, &str)| {
        let items = cluster.list(&path).await;
        let mut items =
            items.map_err(|trouble| trouble.failure(&format!("cannot list the {what}")))?;
        // Items of a list do not say what they are.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.insert("apiVersion".to_owned(), kind.0.into());
            item.insert("kind".to_owned(), kind.1.into());
        }
        Ok::<_, Failure>(items)
    };
    let routes = list(
        "IngressRoutes",
        format!("{ROUTES}/{namespace}/ingressroutes"),
        ("contour.heptio.com/v1beta1", "IngressRoute"),
    );
    let routes = routes.await?;
    let services =
        list("Services", format!("/api/v1/namespaces/{namespace}/services"), ("v1", "Service"));
    let services = services.await?;
    let deployments = list(
        "Deployments",
        format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        ("apps/v1", "Deployment"),
    );
    let deployments = deployments.await?;
    let (service, routes) = meant(namespace, args, &services, routes)?;
    Ok(Live { service, deployments, services, routes })
}

/// The Service that is meant, and the IngressRoutes to edit.
fn meant(
    namespace: &str,
    args: &BlueGreenArgs,
    services: &[Value],
    routes: Vec<Value>,
) -> Result<(Value, Vec<Value>), Failure> {
    let (kind, target) = match args.target.split_once('/') {
        Some((kind, name)) => (Some(kind), name),
        None => (None, args.target.as_str()),
    };
    let (route, service) = match kind {
        None => (true, true),
        Some("ingressroute" | "ingressroutes" | "ir" | "ingressroute.contour.heptio.com") => {
            (true, false)
        }
        Some("service" | "services" | "svc") => (false, true),
        Some(other) => {
            return Err(Failure::new(
                Kind::Usage,
                format!("{other:?} is neither a route nor a service"),
            )
            .with_hint(format!("service/{target} or ingressroute/{target}")));
        }
    };
    let find = |wanted: &str| services.iter().find(|s| name(s) == wanted).cloned();
    // A Service is the more precise answer; where it and a route share a name, they belong together.
    if service && let Some(found) = find(target) {
        return Ok((found, routes));
    }
    if route && let Some(found) = routes.iter().find(|r| name(r) == target) {
        let wanted = one_service(found, args.service.as_deref())?;
        let service = find(&wanted).ok_or_else(|| {
            let message =
                format!("IngressRoute {target} routes to Service {wanted}, which does not exist");
            Failure::new(Kind::Error, message)
        })?;
        let found = found.clone();
        return Ok((service, vec![found]));
    }
    let names: Vec<&str> = services.iter().filter(|_| service).map(name).collect();
    let names = names.into_iter().chain(routes.iter().filter(|_| route).map(name));
    let failure = Failure::new(
        Kind::Error,
        format!("the namespace {namespace} has no Service and no IngressRoute {target:?}"),
    );
    Err(match nearest(target, names) {
        Some(meant) => failure.with_hint(format!("did you mean {meant}?")),
        None => failure,
    })
}

/// The only service of a route, or the one that is wanted of them.
fn one_service(route: &Value, wanted: Option<&str>) -> Result<String, Failure> {
    let routes = route.pointer("/spec/routes").and_then(Value::as_array);
    let services = routes.into_iter().flatten().filter_map(|r| r["services"].as_array()).flatten();
    let mut names: Vec<&str> = services.map(|service| text(service, "/name")).collect();
    names.sort_unstable();
    names.dedup();
    match (wanted, names.as_slice()) {
        (Some(wanted), names) if names.contains(&wanted) => Ok(wanted.to_owned()),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => {
            let message = format!("IngressRoute {} routes to no service itself", name(route));
            Err(Failure::new(Kind::Error, message))
        }
        (_, names) => {
            let message = format!("IngressRoute {} routes to {}", name(route), names.join(", "));
            Err(Failure::new(Kind::Usage, message).with_hint("say which of them: --service NAME"))
        }
    }
}
