//! What the replicas of the controller tell about Envoys, as one table.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::cluster::ForwardTrouble;
use crate::fleet::{App, Pod, Told};

/// The xDS types in the order in which they are sent.
pub const TYPES: [&str; 6] = ["cds", "eds", "sds", "lds", "rds", "srds"];

/// How far an Envoy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It has acknowledged everything.
    InSync,
    /// Something is on its way to it, or going to be.
    Pending,
    /// It refuses something.
    Rejected,
    /// No controller knows it.
    NotConnected,
    /// It is on its way out.
    Terminating,
    /// Not every controller could be asked.
    Unknown,
}

/// What an Envoy has of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfType {
    /// The type: `cds`, `eds`, …
    pub name: &'static str,
    /// Resources acknowledged.
    pub held: u64,
    /// Resources on their way or going to be.
    pub pending: u64,
    /// Resources refused in their newest version.
    pub rejected: u64,
    /// The hash of all that is held; Envoys with the same one hold the same.
    pub digest: Option<String>,
    /// Seconds since something of it was acknowledged on this connection.
    pub age_seconds: Option<i64>,
}

/// An object that has a part in a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The part of it that the resource is made of.
    pub field: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        if self.field.is_empty() { Ok(()) } else { write!(f, " {}", self.field) }
    }
}

/// A resource that an Envoy refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the resource.
    pub name: String,
    /// The version refused.
    pub version: String,
    /// Whose it is.
    pub owners: Vec<Owner>,
    /// What Envoy says.
    pub message: String,
}

/// An Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envoy {
    /// Its namespace.
    pub namespace: String,
    /// Its Pod; `None` of one that is not of the installation's Pods.
    pub pod: Option<String>,
    /// Its node id.
    pub node_id: String,
    /// The machine that it is on.
    pub machine: Option<String>,
    /// Whether its Pod is ready; `None` without a Pod.
    pub ready: Option<bool>,
    /// Why its Pod is not ready.
    pub trouble: Option<String>,
    /// The version: as it says itself, or by the tag of its image.
    pub version: Option<String>,
    /// The replicas that it is connected to.
    pub controllers: Vec<String>,
    /// Seconds since it connected.
    pub connected_seconds: Option<i64>,
    /// How far it has come.
    pub state: State,
    /// How many resources that is about.
    pub count: u64,
    /// By type.
    pub types: Vec<OfType>,
    /// What it refuses.
    pub rejections: Vec<Rejection>,
}

/// A replica of the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Its namespace.
    pub namespace: String,
    /// Its Pod.
    pub pod: String,
    /// Why it told nothing.
    pub error: Option<String>,
    /// Whether that is because the user may not ask.
    #[serde(skip)]
    pub forbidden: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether every Envoy is in sync.
    pub in_sync: bool,
    /// The Envoys.
    pub envoys: Vec<Envoy>,
    /// The controllers.
    pub controllers: Vec<Controller>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every Envoy is in sync.
    InSync,
    /// Some are not.
    Findings,
    /// Nothing is known to be wrong, but not everything is known.
    Unknown,
}

impl Envoy {
    /// How it is called.
    pub fn name(&self) -> &str {
        self.pod.as_deref().unwrap_or(&self.node_id)
    }

    /// Its state in words.
    pub fn state_in_words(&self) -> String {
        match self.state {
            State::InSync => "in sync".to_owned(),
            State::Pending => format!("{} pending", self.count),
            State::Rejected => format!("{} rejected", self.count),
            State::NotConnected => "not connected".to_owned(),
            State::Terminating => "terminating".to_owned(),
            State::Unknown => "unknown".to_owned(),
        }
    }

    fn is_finding(&self) -> bool {
        match self.state {
            State::Pending | State::Rejected | State::NotConnected => true,
            State::Unknown => self.ready == Some(false),
            State::InSync | State::Terminating => false,
        }
    }
}

impl Report {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        if self.envoys.iter().any(Envoy::is_finding) {
            Verdict::Findings
        } else if self.in_sync {
            Verdict::InSync
        } else {
            Verdict::Unknown
        }
    }

    /// Whether no controller may be asked, so that waiting is in vain.
    pub fn forbidden(&self) -> bool {
        !self.controllers.is_empty() && self.controllers.iter().all(|c| c.forbidden)
    }

    /// What keeps it from being in sync, in a line.
    pub fn reason(&self) -> String {
        let named = |envoy: &Envoy| match &envoy.trouble {
            Some(trouble) if envoy.state != State::Rejected => {
                format!("{} is {} ({trouble})", envoy.name(), envoy.state_in_words())
            }
            Some(_) | None => {
                let counts = matches!(envoy.state, State::Pending | State::Rejected);
                let verb = if counts { "has" } else { "is" };
                format!("{} {verb} {}", envoy.name(), envoy.state_in_words())
            }
        };
        let all: Vec<_> = self.envoys.iter().filter(|envoy| envoy.is_finding()).collect();
        let first: Vec<_> = all.iter().take(3).map(|envoy| named(envoy)).collect();
        match (first.as_slice(), all.len()) {
            ([], _) => match self.controllers.iter().find_map(|c| c.error.as_deref()) {
                Some(error) => format!("it is not known whether Envoys are in sync: {error}"),
                None if self.controllers.is_empty() => "there is no controller to ask".to_owned(),
                None => "all Envoys are in sync".to_owned(),
            },
            (first, count) if count > first.len() => {
                format!("{}, and {} more", first.join(", "), count - first.len())
            }
            (first, _) => first.join(", "),
        }
    }
}

/// Brings together what Kubernetes and each replica know at the time `now`.
pub fn merge(pods: &[Pod], told: &[Told<Value>], now: i64) -> Report {
    let mut views = views(told);
    let mut envoys = Vec::new();
    for pod in pods.iter().filter(|pod| pod.app == App::Envoy) {
        let of_pod = views.remove(&(pod.namespace.clone(), pod.name.clone())).unwrap_or_default();
        let here = told.iter().filter(|t| t.namespace == pod.namespace);
        let all_told = here.clone().all(|t| t.answer.is_ok()) && here.count() > 0;
        let mut envoy = envoy(&of_pod, (&pod.namespace, &pod.name), now);
        if of_pod.is_empty() {
            envoy.state = if all_told { State::NotConnected } else { State::Unknown };
        }
        if pod.terminating {
            envoy.state = State::Terminating;
        }
        envoy.pod = Some(pod.name.clone());
        envoy.machine = Some(pod.node.clone()).filter(|node| !node.is_empty());
        envoy.ready = Some(pod.ready);
        envoy.trouble = (!pod.ready).then(|| pod.trouble());
        envoy.version = envoy.version.or_else(|| pod.tag().map(str::to_owned));
        envoys.push(envoy);
    }
    for ((namespace, node), of_node) in &views {
        envoys.push(envoy(of_node, (namespace, node), now));
    }
    let controllers: Vec<_> = told
        .iter()
        .map(|t| Controller {
            namespace: t.namespace.clone(),
            pod: t.replica.clone(),
            error: t.answer.as_ref().err().map(ToString::to_string),
            forbidden: matches!(t.answer, Err(ForwardTrouble::Forbidden { .. })),
        })
        .collect();
    let settled = |e: &Envoy| matches!(e.state, State::InSync | State::Terminating);
    let in_sync = envoys.iter().all(settled) && envoys.iter().any(|e| e.state == State::InSync);
    Report { in_sync, envoys, controllers }
}

/// What one replica knows of an Envoy, the replica's name and its newest revision.
struct View<'a> {
    replica: &'a str,
    revision: u64,
    envoy: &'a Value,
}

/// The views of Envoys, by namespace of the replica and node id. Clients that are no Envoy are left
/// out.
fn views(told: &[Told<Value>]) -> BTreeMap<(String, String), Vec<View<'_>>> {
    let mut views: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for told in told {
        let Ok(answer) = &told.answer else { continue };
        let revision = number(answer, "revision");
        let envoys = answer.get("envoys").and_then(Value::as_array);
        for envoy in envoys.into_iter().flatten().filter(|e| !text(e, "version").is_empty()) {
            let key = (told.namespace.clone(), text(envoy, "node").to_owned());
            let view = View { replica: &told.replica, revision, envoy };
            views.entry(key).or_default().push(view);
        }
    }
    views
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn envoy(views: &[View<'_>], (namespace, node): (&str, &str), now: i64) -> Envoy {
    let mut types: BTreeMap<usize, OfType> = BTreeMap::new();
    let mut rejections = Vec::new();
    let mut controllers = Vec::new();
    let mut behind = false;
    for view in views {
        behind |= number(view.envoy, "in_sync") < view.revision;
        if !controllers.iter().any(|c| c == view.replica) {
            controllers.push(view.replica.to_owned());
        }
        let list = view.envoy.get("rejections").and_then(Value::as_array);
        rejections.extend(list.into_iter().flatten().map(rejection));
        for (index, name) in TYPES.into_iter().enumerate() {
            let of = view.envoy.get("types").and_then(|types| types.get(name));
            if let Some(of) = of {
                // One stream for all types, or one for each: a type is on one of them.
                types.entry(index).or_insert_with(|| of_type(name, of, now));
            }
        }
    }
    let pending: u64 = types.values().map(|of| of.pending).sum();
    let rejected = rejections.len() as u64;
    let (state, count) = match (rejected, pending) {
        (1.., _) => (State::Rejected, rejected),
        (0, 0) if !behind => (State::InSync, 0),
        (0, pending) => (State::Pending, pending.max(1)),
    };
    let seconds = |view: &View<'_>| i64::try_from(number(view.envoy, "connected_unix")).ok();
    let version = views.iter().map(|view| text(view.envoy, "version")).find(|v| !v.is_empty());
    Envoy {
        namespace: namespace.to_owned(),
        pod: None,
        node_id: node.to_owned(),
        machine: None,
        ready: None,
        trouble: None,
        version: version.map(str::to_owned),
        controllers,
        connected_seconds: views.iter().filter_map(seconds).min().map(|at| (now - at).max(0)),
        state,
        count,
        types: types.into_values().collect(),
        rejections,
    }
}

fn of_type(name: &'static str, of: &Value, now: i64) -> OfType {
    let at = of.get("acknowledged_unix").and_then(Value::as_i64);
    OfType {
        name,
        held: number(of, "held"),
        pending: number(of, "pending") + number(of, "outstanding"),
        rejected: number(of, "rejected"),
        digest: of.get("digest").and_then(Value::as_str).map(str::to_owned),
        age_seconds: at.map(|at| (now - at).max(0)),
    }
}

fn rejection(value: &Value) -> Rejection {
    let owners = value.get("owners").and_then(Value::as_array);
    let owner = |value: &Value| Owner {
        kind: text(value, "kind").to_owned(),
        namespace: text(value, "namespace").to_owned(),
        name: text(value, "name").to_owned(),
        field: text(value, "field").to_owned(),
    };
    Rejection {
        kind: text(value, "type").to_owned(),
        name: text(value, "name").to_owned(),
        version: text(value, "version").to_owned(),
        owners: owners.into_iter().flatten().map(owner).collect(),
        message: text(value, "message").to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
