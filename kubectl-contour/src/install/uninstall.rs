//! `kubectl contour uninstall`: says who still depends on it, deletes what the inventory names, and
//! keeps the definitions, and so everybody's routes, unless it is told twice.

use std::time::Instant;

use serde_json::{Value, json};

use super::apply::{PAUSE, delete};
use super::arguments::{DryRun, UninstallArgs};
use super::inventory::{Inventory, NAME, Phase, SELECTOR};
use super::plan::Counts;
use super::report::Report;
use crate::cluster::value::text;
use crate::cluster::{Cluster, Patch};
use crate::failure::{Failure, Kind};
use crate::object::Id;
use crate::output::{Printer, confirm, confirm_by};

/// What the controller and `contour certgen` make for themselves.
const MADE: [(&str, &str, &str); 3] = [
    ("v1", "Secret", "contourcert"),
    ("v1", "Secret", "envoycert"),
    ("coordination.k8s.io/v1", "Lease", "leader-elect"),
];

/// Runs the command.
///
/// # Errors
/// As the help of the command lists them.
pub async fn run(arguments: UninstallArgs, printer: Printer) -> Result<(), Failure> {
    tokio::select! {
        biased;
        () = super::interrupted() => Err(Failure::new(Kind::Interrupted, "interrupted")
            .with_hint("the same command goes on from here")),
        result = uninstall(&arguments, printer) => result,
    }
}

async fn uninstall(arguments: &UninstallArgs, printer: Printer) -> Result<(), Failure> {
    let namespace = crate::fleet::namespace(&arguments.cluster);
    let cluster = Cluster::connect(&arguments.cluster).await?;
    let suffix = match arguments.dry_run {
        None => "",
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
    };
    let mut report = Report::new(printer, suffix);
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/{NAME}");
    let found = cluster.find(&path).await;
    let found =
        found.map_err(|trouble| trouble.failure(&format!("cannot read configmap/{NAME}")))?;
    let Some(found) = found else {
        report.progress().keep(&format!("nothing is installed in the namespace {namespace}"));
        report.end(Counts { created: 0, changed: 0, unchanged: 0, deleted: 0 }, json!({}));
        return Ok(());
    };
    let inventory = Inventory::read(&found).map_err(|why| {
        Failure::new(Kind::Conflict, format!("configmap/{NAME} in {namespace}: {why}"))
    })?;
    let others = others(&cluster, &namespace).await?;
    let doomed = doomed(&inventory, &namespace, &others, arguments.delete_crds);
    let routes = routes(&cluster).await?;
    if arguments.dry_run.is_some() {
        for id in &doomed {
            report.deleted(id, true);
        }
        let deleted = doomed.len();
        report
            .end(Counts { created: 0, changed: 0, unchanged: 0, deleted }, json!({"dryRun": true}));
        return Ok(());
    }
    let address = cluster.find(&format!("/api/v1/namespaces/{namespace}/services/envoy")).await;
    let address = address.ok().flatten().and_then(|service| super::address(&service));
    report.progress().clear();
    agree(arguments, &routes, address.as_deref(), &others).await?;
    remove(&cluster, &namespace, inventory, &doomed, &mut report).await?;
    if arguments.wait {
        gone(&cluster, &doomed, Instant::now() + arguments.timeout, &mut report).await?;
    }
    let deleted = doomed.len();
    report.end(Counts { created: 0, changed: 0, unchanged: 0, deleted }, json!({"dryRun": false}));
    if !arguments.delete_crds && !routes.is_empty() {
        report.progress().keep("IngressRoutes and their definitions are still there");
    }
    Ok(())
}

/// The inventories of other namespaces.
async fn others(cluster: &Cluster, namespace: &str) -> Result<Vec<(String, Inventory)>, Failure> {
    let path = format!(
        "/api/v1/configmaps?labelSelector={}",
        SELECTOR.replace(',', "%2C").replace('=', "%3D")
    );
    let list = match cluster.list(&path).await {
        Ok(list) => list,
        // Whoever may only see one namespace cannot delete what is for the whole cluster either.
        Err(trouble) if trouble.is_forbidden() => return Ok(Vec::new()),
        Err(trouble) => return Err(trouble.failure("cannot look for other installations")),
    };
    let other = |object: &Value| {
        let place = object.pointer("/metadata/namespace")?.as_str()?.to_owned();
        (place != namespace).then_some((place, Inventory::read(object).ok()?))
    };
    Ok(list.iter().filter_map(other).collect())
}

/// What is deleted, in order: what runs first, and the namespace last. What another installation
/// has too stays.
fn doomed(
    inventory: &Inventory,
    namespace: &str,
    others: &[(String, Inventory)],
    crds: bool,
) -> Vec<Id> {
    let is_shared = |id: &Id| others.iter().any(|(_, other)| other.objects.contains(id));
    let made = MADE.iter().map(|(api_version, kind, name)| Id {
        api_version: (*api_version).to_owned(),
        kind: (*kind).to_owned(),
        namespace: namespace.to_owned(),
        name: (*name).to_owned(),
    });
    let own: Vec<_> = inventory.objects.iter().rev().filter(|id| !is_shared(id)).collect();
    let of = |kind: &str| -> Vec<Id> {
        own.iter().filter(|id| id.kind == kind).map(|id| (*id).clone()).collect()
    };
    let special = ["CustomResourceDefinition", "Namespace"];
    let rest = own.iter().filter(|id| !special.contains(&id.kind.as_str())).map(|id| (*id).clone());
    let definitions = if crds { of("CustomResourceDefinition") } else { Vec::new() };
    rest.chain(made).chain(definitions).chain(of("Namespace")).collect()
}

/// The routes of the cluster: namespace, name and host.
async fn routes(cluster: &Cluster) -> Result<Vec<(String, String)>, Failure> {
    let list = match cluster.list("/apis/contour.heptio.com/v1beta1/ingressroutes").await {
        Ok(list) => list,
        Err(trouble) if trouble.is_not_found() || trouble.is_forbidden() => return Ok(Vec::new()),
        Err(trouble) => return Err(trouble.failure("cannot list the routes")),
    };
    let name = |route: &Value| {
        format!("{}/{}", text(route, "/metadata/namespace"), text(route, "/metadata/name"))
    };
    let host = |route: &Value| text(route, "/spec/virtualhost/fqdn").to_owned();
    Ok(list.iter().map(|route| (name(route), host(route))).collect())
}

/// Who depends on it, a line each.
fn dependents(
    routes: &[(String, String)],
    address: Option<&str>,
    others: &[(String, Inventory)],
) -> String {
    const SHOWN: usize = 10;
    let mut lines = Vec::new();
    if let Some(address) = address {
        lines.push(format!("clients come to {address}; whatever points there ends"));
    }
    if !routes.is_empty() && others.is_empty() {
        lines.push(format!("{} IngressRoutes will be served by nobody:", routes.len()));
        lines.extend(routes.iter().take(SHOWN).map(|(name, host)| format!("  {name} {host}")));
        if let Some(more) = routes.len().checked_sub(SHOWN + 1) {
            lines.push(format!("  and {} more", more + 1));
        }
    }
    for (place, other) in others {
        lines.push(format!("another installation, {} in {place}, stays", other.version));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Says who depends on it, and asks.
async fn agree(
    arguments: &UninstallArgs,
    routes: &[(String, String)],
    address: Option<&str>,
    others: &[(String, Inventory)],
) -> Result<(), Failure> {
    crate::failure::write_stderr(&dependents(routes, address, others));
    let cancelled = || Failure::new(Kind::Cancelled, "cancelled: nothing was deleted");
    if !arguments.yes {
        match confirm("Delete it?").await {
            Some(true) => {}
            Some(false) => return Err(cancelled()),
            None => {
                return Err(Failure::new(
                    Kind::Cancelled,
                    "nobody can be asked here: nothing was deleted",
                )
                .with_hint("agree with --yes; --dry-run says what would be deleted"));
            }
        }
    }
    if !arguments.delete_crds || routes.is_empty() || arguments.and_all_routes {
        return Ok(());
    }
    let word = format!("delete {} routes", routes.len());
    match confirm_by(
        "With the definitions, every IngressRoute of every namespace is deleted.",
        &word,
    )
    .await
    {
        Some(true) => Ok(()),
        Some(false) => Err(cancelled()),
        None => {
            let message = format!(
                "--delete-crds would delete {} IngressRoutes: nothing was deleted",
                routes.len()
            );
            Err(Failure::new(Kind::Cancelled, message)
                .with_hint("say it a second time with --and-all-routes"))
        }
    }
}

async fn remove(
    cluster: &Cluster,
    namespace: &str,
    mut inventory: Inventory,
    doomed: &[Id],
    report: &mut Report,
) -> Result<(), Failure> {
    inventory.phase = Phase::Removing;
    let object = inventory.to_object(namespace);
    let id = Id::of(&object, namespace).map_err(|why| Failure::new(Kind::Error, why))?;
    let phase = json!({"data": {"phase": Phase::Removing}});
    let noted = cluster.patch(&id.path(), Patch::Merge, phase).await;
    noted.map_err(|trouble| trouble.failure(&format!("cannot write {id}")))?;
    report.stage("deleting");
    for doomed in doomed.iter().filter(|id| id.kind != "Namespace") {
        let was_there = delete(cluster, doomed).await?;
        report.deleted(doomed, was_there);
    }
    // The inventory goes last, so that an interrupted uninstall can be gone on with.
    delete(cluster, &id).await?;
    for doomed in doomed.iter().filter(|id| id.kind == "Namespace") {
        match foreign(cluster, namespace).await? {
            None => {
                let was_there = delete(cluster, doomed).await?;
                report.deleted(doomed, was_there);
            }
            Some(other) => report
                .progress()
                .keep(&format!("the namespace {namespace} stays: {other} is in it")),
        }
    }
    Ok(())
}

/// Something in the namespace that is not of the installation.
async fn foreign(cluster: &Cluster, namespace: &str) -> Result<Option<String>, Failure> {
    let kinds = [
        ("/api/v1", "services", "service"),
        ("/api/v1", "secrets", "secret"),
        ("/api/v1", "configmaps", "configmap"),
        ("/api/v1", "persistentvolumeclaims", "persistentvolumeclaim"),
        ("/apis/apps/v1", "deployments", "deployment"),
        ("/apis/apps/v1", "statefulsets", "statefulset"),
        ("/apis/apps/v1", "daemonsets", "daemonset"),
        ("/apis/contour.heptio.com/v1beta1", "ingressroutes", "ingressroute"),
    ];
    for (base, plural, kind) in kinds {
        let list = match cluster.list(&format!("{base}/namespaces/{namespace}/{plural}")).await {
            Ok(list) => list,
            Err(trouble) if trouble.is_not_found() => continue,
            Err(trouble) => {
                return Err(trouble.failure(&format!("cannot list {plural} of {namespace}")));
            }
        };
        let other = list.iter().find_map(|object| {
            let name = object.pointer("/metadata/name")?.as_str()?;
            let is_ours = object.pointer("/metadata/labels/app.kubernetes.io~1part-of")
                == Some(&json!("contour"))
                || object.pointer("/metadata/deletionTimestamp").is_some();
            (!is_ours && name != "kube-root-ca.crt").then(|| format!("{kind}/{name}"))
        });
        if other.is_some() {
            return Ok(other);
        }
    }
    Ok(None)
}

async fn gone(
    cluster: &Cluster,
    doomed: &[Id],
    deadline: Instant,
    report: &mut Report,
) -> Result<(), Failure> {
    report.stage("until gone");
    loop {
        let mut left = Vec::new();
        for id in doomed {
            let found = cluster.find(&id.path()).await;
            let found = found.map_err(|trouble| trouble.failure(&format!("cannot read {id}")))?;
            if found.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some()) {
                left.push(id.to_string());
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let message = format!("not everything is gone in time: {}", left.join(", "));
            return Err(Failure::new(Kind::Timeout, message));
        }
        report.waiting(&left);
        tokio::time::sleep(PAUSE).await;
    }
}
