//! Asks the cluster for what the checks look at.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::JoinSet;

use super::rules::ahead::{HTTP_PROXY, RIGHTS};
use super::rules::certificates::SECRETS;
use super::snapshot::{Api, Known, Missing, Right, Snapshot};
use crate::cluster::value::{items, text};
use crate::cluster::{Cluster, clock};
use crate::fleet::{self, METRICS, Told};
use crate::install::inventory::NAME as INVENTORY;
use crate::object::Id;
use crate::status::report;
use crate::version::DEFINITIONS;

const DEFINED: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Everything that the checks of either kind need.
pub(super) async fn snapshot(cluster: &Cluster, namespace: String, ahead: bool) -> Snapshot {
    let mut snapshot = Snapshot::new(namespace);
    snapshot.now = clock::now();
    snapshot.api = api(cluster).await;
    if snapshot.api.is_err() {
        return snapshot;
    }
    let of_contour = ahead.then_some(HTTP_PROXY);
    for name in DEFINITIONS.into_iter().chain(of_contour) {
        let found = cluster.find(&format!("{DEFINED}/{name}")).await.map_err(Missing::from);
        snapshot.definitions.insert(name, found);
    }
    let space = format!("/api/v1/namespaces/{}", snapshot.namespace);
    snapshot.space = cluster.find(&space).await.map_err(Missing::from);
    let inventory = format!("{space}/configmaps/{INVENTORY}");
    snapshot.inventory = cluster.find(&inventory).await.map_err(Missing::from);
    if ahead {
        before(cluster, &mut snapshot).await;
    } else {
        installed(cluster, &mut snapshot).await;
    }
    snapshot
}

async fn api(cluster: &Cluster) -> Known<Api> {
    let version = cluster.get("/version").await?.body;
    let version = text(&version, "/gitVersion").to_owned();
    Ok(Api { version, ahead: cluster.clock_ahead().await })
}

async fn before(cluster: &Cluster, snapshot: &mut Snapshot) {
    snapshot.rights = rights(cluster, &snapshot.namespace).await;
    let everywhere = format!("/api/v1/configmaps?fieldSelector=metadata.name%3D{INVENTORY}");
    snapshot.inventories = cluster.list(&everywhere).await.map_err(Missing::from);
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/contour", snapshot.namespace);
    snapshot.deployment = cluster.find(&path).await.map_err(Missing::from);
    snapshot.services = cluster.list("/api/v1/services").await.map_err(Missing::from);
}

async fn rights(cluster: &Cluster, namespace: &str) -> Vec<(Right, Known<bool>)> {
    let mut asked = JoinSet::new();
    for (index, right) in RIGHTS.into_iter().enumerate() {
        let namespace = if right.namespaced { namespace } else { "" };
        let attributes = serde_json::json!({
            "group": right.group, "resource": right.resource, "verb": right.verb,
            "namespace": namespace,
        });
        let cluster = cluster.clone();
        asked.spawn(async move {
            let may = cluster.may(attributes).await.map_err(Missing::from);
            (index, (right, may))
        });
    }
    let mut rights = BTreeMap::new();
    while let Some(joined) = asked.join_next().await {
        rights.extend(joined.ok());
    }
    rights.into_values().collect()
}

async fn installed(cluster: &Cluster, snapshot: &mut Snapshot) {
    let namespace = snapshot.namespace.clone();
    if let Ok(Some(inventory)) = &snapshot.inventory {
        snapshot.objects = objects(cluster, references(inventory)).await;
    }
    for name in SECRETS {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        snapshot.secrets.insert(name, cluster.find(&path).await.map_err(Missing::from));
    }
    let list = async |group: &str, resource: &str| {
        let path = format!("/{group}/namespaces/{namespace}/{resource}");
        cluster.list(&path).await.map_err(Missing::from)
    };
    snapshot.cron_jobs = list("apis/batch/v1", "cronjobs").await;
    snapshot.services = list("api/v1", "services").await;
    snapshot.slices = list("apis/discovery.k8s.io/v1", "endpointslices").await;
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/leader-elect");
    snapshot.lease = cluster.find(&lease).await.map_err(Missing::from);
    let routes = "/apis/contour.heptio.com/v1beta1/ingressroutes";
    snapshot.routes = match cluster.list(routes).await {
        Err(trouble) if trouble.is_not_found() => Ok(Vec::new()),
        listed => listed.map_err(Missing::from),
    };
    snapshot.pods = fleet::pods(cluster, Some(&namespace)).await.map_err(Missing::from);
    if let Ok(pods) = &snapshot.pods {
        let told = fleet::ask_json(cluster, pods, "/debug/envoys").await;
        let metrics = fleet::ask(cluster, pods, METRICS, "/metrics").await;
        snapshot.metrics = metrics
            .into_iter()
            .map(|Told { namespace, replica, answer }| {
                let answer = answer.map(|body| String::from_utf8_lossy(&body).into_owned());
                Told { namespace, replica, answer }
            })
            .collect();
        snapshot.status = Some(report::merge(pods, &told, snapshot.now));
    }
}

/// The objects that an inventory names: JSON in `data.objects`, a list of objects with
/// `apiVersion` (or `group` and `version`), `kind`, `namespace` and `name`; or a line for each,
/// `apiVersion kind namespace/name`.
fn references(inventory: &Value) -> Vec<Id> {
    let data = text(inventory, "/data/objects");
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let (api_version, kind, path) = (words.next()?, words.next()?, words.next()?);
        let (namespace, name) = path.split_once('/').unwrap_or(("", path));
        Some(reference(api_version, kind, namespace, name))
    };
    match serde_json::from_str::<Value>(data) {
        Ok(Value::Array(list)) => list
            .iter()
            .filter_map(|entry| match entry {
                Value::String(line) => of_line(line),
                object @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_)) => of_object(object),
            })
            .collect(),
        Ok(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_),
        )
        | Err(_) => data.lines().filter_map(of_line).collect(),
    }
}

fn of_object(object: &Value) -> Option<Id> {
    let (kind, name) = (text(object, "/kind"), text(object, "/name"));
    let api_version = match (text(object, "/apiVersion"), text(object, "/group")) {
        ("", "") => text(object, "/version").to_owned(),
        ("", group) => format!("{group}/{}", text(object, "/version")),
        (api_version, _) => api_version.to_owned(),
    };
    let is_named = !kind.is_empty() && !name.is_empty();
    is_named.then(|| reference(&api_version, kind, text(object, "/namespace"), name))
}

fn reference(api_version: &str, kind: &str, namespace: &str, name: &str) -> Id {
    let [api_version, kind, namespace, name] =
        [api_version, kind, namespace, name].map(str::to_owned);
    Id { api_version, kind, namespace, name }
}

/// Whether objects are there.
async fn objects(cluster: &Cluster, references: Vec<Id>) -> Vec<(Id, Known<bool>)> {
    let mut served: BTreeMap<String, Known<Vec<Value>>> = BTreeMap::new();
    let mut objects = Vec::new();
    for reference in references {
        let version = reference.api_version.clone();
        let root = if version.contains('/') { "/apis" } else { "/api" };
        if !served.contains_key(&version) {
            let listed = cluster.get(&format!("{root}/{version}")).await;
            let listed = listed.map(|answer| items(&answer.body, "/resources").to_vec());
            served.insert(version.clone(), listed.map_err(Missing::from));
        }
        let resources = served.get(&version).cloned().unwrap_or(Err(Missing::Unasked));
        let exists = match resources {
            Ok(resources) => exists(cluster, root, &reference, &resources).await,
            Err(missing) => Err(missing),
        };
        objects.push((reference, exists));
    }
    objects
}

async fn exists(cluster: &Cluster, root: &str, reference: &Id, resources: &[Value]) -> Known<bool> {
    let of_kind =
        |r: &&Value| text(r, "/kind") == reference.kind && !text(r, "/name").contains('/');
    let Some(resource) = resources.iter().find(of_kind) else { return Ok(false) };
    let Id { api_version, namespace, name, .. } = reference;
    let plural = text(resource, "/name");
    let path = if namespace.is_empty() {
        format!("{root}/{api_version}/{plural}/{name}")
    } else {
        format!("{root}/{api_version}/namespaces/{namespace}/{plural}/{name}")
    };
    Ok(cluster.find(&path).await?.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inventory_is_read_in_either_form() {
        let expected = [
            reference("apps/v1", "Deployment", "projectcontour", "contour"),
            reference("rbac.authorization.k8s.io/v1", "ClusterRole", "", "contour"),
        ];
        let list = json!([
            {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "projectcontour", "name": "contour"},
            {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "contour"},
        ]);
        let lines = "apps/v1 Deployment projectcontour/contour\n\
                     rbac.authorization.k8s.io/v1 ClusterRole contour\n";
        for text in [list.to_string(), lines.to_owned()] {
            assert_eq!(references(&json!({"data": {"objects": text}})), expected);
        }
        assert!(references(&json!({"data": {}})).is_empty());
    }
}
