//! The Pods of an installation, and what they tell when they are asked.

use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cluster::value::{items, text};
use crate::cluster::{Cluster, ClusterFlags, ForwardTrouble, PodPort, Trouble};

/// The namespace of an installation, if nobody names another.
pub const NAMESPACE: &str = "projectcontour";
/// The port on a controller's loopback that `/debug` is on.
pub const DEBUG: u16 = 6060;
/// The port of a controller that metrics are on.
pub const METRICS: u16 = 8000;

/// The namespace that the flags mean: that of the context is where applications are.
pub fn namespace(flags: &ClusterFlags) -> String {
    flags.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned())
}

/// What a Pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum App {
    /// A replica of the controller.
    Contour,
    /// An Envoy.
    Envoy,
}

impl App {
    /// The value of its label `app`, and the name of its container.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contour => "contour",
            Self::Envoy => "envoy",
        }
    }
}

/// A Pod, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// What it is for.
    pub app: App,
    /// Its namespace.
    pub namespace: String,
    /// Its name; that of an Envoy is its node id too.
    pub name: String,
    /// The machine that it is on; empty if it is on none yet.
    pub node: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not ready, as far as Kubernetes tells.
    pub why: String,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// How often its containers were started again, all together.
    pub restarts: u64,
    /// The image of the container that does the work.
    pub image: String,
}

impl Pod {
    /// Reads a Pod; `None` if it is none of an installation's, such as that of a Job.
    pub fn read(pod: &Value) -> Option<Self> {
        let label = text(pod, "/metadata/labels/app");
        let app = [App::Contour, App::Envoy].into_iter().find(|app| app.name() == label)?;
        let main = |c: &&Value| text(c, "/name") == app.name();
        let image = text(items(pod, "/spec/containers").iter().find(main)?, "/image");
        if items(pod, "/metadata/ownerReferences").iter().any(|o| text(o, "/kind") == "Job") {
            return None;
        }
        let ready = |c: &&Value| text(c, "/type") == "Ready";
        let condition = items(pod, "/status/conditions").iter().find(ready);
        let statuses = || {
            let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
            lists.into_iter().flat_map(|list| items(pod, list))
        };
        Some(Self {
            app,
            namespace: text(pod, "/metadata/namespace").to_owned(),
            name: text(pod, "/metadata/name").to_owned(),
            node: text(pod, "/spec/nodeName").to_owned(),
            ready: condition.is_some_and(|c| text(c, "/status") == "True"),
            why: why(pod, condition, statuses()),
            terminating: pod.pointer("/metadata/deletionTimestamp").is_some(),
            restarts: statuses().filter_map(|s| s.get("restartCount")?.as_u64()).sum(),
            image: image.to_owned(),
        })
    }

    /// Why it is not ready, with its name.
    pub fn trouble(&self) -> String {
        format!("pod {} is not ready: {}", self.name, self.why)
    }

    /// What its image says about the version: the tag.
    pub fn tag(&self) -> Option<&str> {
        let name = self.image.split('@').next()?;
        let (_, tag) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
        Some(tag.strip_prefix('v').unwrap_or(tag))
    }
}

fn why<'a>(
    pod: &Value,
    ready: Option<&Value>,
    mut statuses: impl Iterator<Item = &'a Value>,
) -> String {
    let waiting = statuses.find_map(|status| {
        let reason = text(status, "/state/waiting/reason");
        let benign = reason.is_empty() || reason == "PodInitializing";
        (!benign).then(|| {
            let message = text(status, "/state/waiting/message");
            let what = format!("container {}: {reason}", text(status, "/name"));
            if message.is_empty() { what } else { format!("{what}: {message}") }
        })
    });
    if let Some(waiting) = waiting {
        return waiting;
    }
    let unscheduled = items(pod, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "PodScheduled" && text(c, "/status") == "False");
    let message = unscheduled.or(ready).map_or("", |condition| text(condition, "/message"));
    match (message, text(pod, "/status/phase")) {
        ("", "") => "it has no status yet".to_owned(),
        ("", phase) => format!("it is {phase}"),
        (message, _) => message.to_owned(),
    }
}

/// The Pods of the installation in a namespace, or of all there are; sorted.
///
/// # Errors
/// If the server cannot be reached, or refuses.
pub async fn pods(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Pod>, Trouble> {
    let selector = "labelSelector=app%20in%20%28contour%2Cenvoy%29";
    let path = match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods?{selector}"),
        None => format!("/api/v1/pods?{selector}"),
    };
    let mut pods: Vec<_> = cluster.list(&path).await?.iter().filter_map(Pod::read).collect();
    if namespace.is_none() {
        // Others label their Envoys so too.
        let ours: std::collections::BTreeSet<_> =
            pods.iter().filter(|p| p.app == App::Contour).map(|p| p.namespace.clone()).collect();
        pods.retain(|pod| ours.contains(&pod.namespace));
    }
    pods.sort_by(|a, b| (&a.namespace, a.app, &a.name).cmp(&(&b.namespace, b.app, &b.name)));
    Ok(pods)
}

/// What a replica of the controller tells, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// The namespace of the replica.
    pub namespace: String,
    /// Its Pod.
    pub replica: String,
    /// What it tells.
    pub answer: Result<T, ForwardTrouble>,
}

/// Asks every replica of the controller that runs; the answers come in the order of the Pods.
pub async fn ask(cluster: &Cluster, pods: &[Pod], port: u16, path: &str) -> Vec<Told<Bytes>> {
    let mut asked = JoinSet::new();
    let running = pods.iter().filter(|p| p.app == App::Contour && !p.node.is_empty());
    for (index, pod) in running.enumerate() {
        let (cluster, path) = (cluster.clone(), path.to_owned());
        let at = PodPort { namespace: pod.namespace.clone(), pod: pod.name.clone(), port };
        asked.spawn(async move {
            let answer = cluster.get_from_pod(&at, &path).await;
            (index, Told { namespace: at.namespace, replica: at.pod, answer })
        });
    }
    let mut told: Vec<_> = Vec::new();
    while let Some(joined) = asked.join_next().await {
        told.extend(joined.ok());
    }
    told.sort_by_key(|(index, _)| *index);
    told.into_iter().map(|(_, told)| told).collect()
}

/// The same where the answer is JSON.
pub async fn ask_json(cluster: &Cluster, pods: &[Pod], path: &str) -> Vec<Told<Value>> {
    let told = ask(cluster, pods, DEBUG, path).await;
    told.into_iter().map(|told| read_json(told, path)).collect()
}

fn read_json(told: Told<Bytes>, path: &str) -> Told<Value> {
    let Told { namespace, replica, answer } = told;
    let answer = answer.and_then(|body| {
        serde_json::from_slice(&body).map_err(|error| ForwardTrouble::Failed {
            pod: replica.clone(),
            port: DEBUG,
            reason: format!("what it answers to {path} is no JSON: {error}"),
        })
    });
    Told { namespace, replica, answer }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A Pod that is ready.
    pub(crate) fn pod(app: App, name: &str) -> Pod {
        Pod {
            app,
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
            node: "node-1".to_owned(),
            ready: true,
            why: String::new(),
            terminating: false,
            restarts: 0,
            image: match app {
                App::Contour => {
                    format!("registry.test:5000/contour:v{}", env!("CARGO_PKG_VERSION"))
                }
                App::Envoy => "docker.io/envoyproxy/envoy:v1.40.0".to_owned(),
            },
        }
    }

    #[test]
    fn a_pod_says_why_it_is_not_ready() {
        let with = |status: Value| {
            let pod = json!({
                "metadata": {"namespace": "ns", "name": "envoy-x", "labels": {"app": "envoy"}},
                "spec": {"containers": [{"name": "envoy", "image": "envoy:v1.40.0"}]},
                "status": status,
            });
            let pod = Pod::read(&pod).unwrap();
            (pod.ready, pod.restarts, pod.why)
        };
        let (ready, restarts, why) = with(json!({
            "conditions": [{"type": "Ready", "status": "False", "message": "containers with unready status: [envoy]"}],
            "containerStatuses": [
                {"name": "envoy", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}},
                {"name": "shutdown-manager", "restartCount": 1, "state": {"running": {}}},
            ],
        }));
        assert_eq!((ready, restarts), (false, 4));
        assert_eq!(why, "container envoy: CrashLoopBackOff: back-off 40s");
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"},
        ]});
        assert_eq!(with(unscheduled).2, "0/1 nodes are available");
        assert_eq!(with(json!({"phase": "Pending"})).2, "it is Pending");
        assert!(with(json!({"conditions": [{"type": "Ready", "status": "True"}]})).0);
    }

    #[test]
    fn pods_of_jobs_and_of_others_are_none_of_ours() {
        let of = |app: &str, container: &str, owner: &str| {
            Pod::read(&json!({
                "metadata": {"name": "x", "labels": {"app": app}, "ownerReferences": [{"kind": owner}]},
                "spec": {"containers": [{"name": container}]},
            }))
        };
        assert!(of("contour", "contour", "ReplicaSet").is_some());
        assert!(of("contour", "contour", "Job").is_none());
        assert!(of("envoy", "istio-proxy", "ReplicaSet").is_none());
        assert!(of("web", "contour", "ReplicaSet").is_none());
    }

    #[test]
    fn the_tag_of_an_image_is_a_version() {
        let tag = |image: &str| {
            let pod = Pod { image: image.to_owned(), ..pod(App::Envoy, "x") };
            pod.tag().map(str::to_owned)
        };
        assert_eq!(tag("docker.io/envoyproxy/envoy:v1.40.0@sha256:abc").as_deref(), Some("1.40.0"));
        assert_eq!(tag("localhost:5000/envoy"), None);
        assert_eq!(tag("envoy"), None);
    }
}
