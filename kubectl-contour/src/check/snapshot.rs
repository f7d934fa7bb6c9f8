//! What is known of a cluster at a moment, as the checks look at it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::{Judged, Problem};
use crate::cluster::{Trouble, clock};
use crate::fleet::{Pod, Told};
use crate::object::Id;
use crate::status::report::Report as Status;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It was not asked for, as no check of this run needs it.
    Unasked,
    /// The user may not read it.
    Forbidden(String),
    /// The API server does not answer.
    Unreachable(String),
    /// It is not known where it is.
    NoCluster(String),
    /// It answers with something else.
    Failed(String),
}

impl From<Trouble> for Missing {
    fn from(trouble: Trouble) -> Self {
        let text = trouble.to_string();
        match trouble.status() {
            None => Self::Unreachable(text),
            Some(401 | 403) => Self::Forbidden(text),
            Some(_) => Self::Failed(text),
        }
    }
}

/// Something that was asked for.
pub type Known<T> = Result<T, Missing>;

/// An object that may be there or not.
pub type Found = Known<Option<Value>>;

/// What a check has to know.
///
/// # Errors
/// A warning if the user may not read it, so that nothing is held against the cluster for it.
pub fn known<T>(asked: &Known<T>) -> Result<&T, Problem> {
    let hint = "kubectl auth can-i --list says what you may do; --as asks as another user";
    asked.as_ref().map_err(|missing| match missing {
        Missing::Unasked => Problem::skip("it was not asked for"),
        Missing::Forbidden(text) => Problem::warning(format!("you may not see: {text}"), hint),
        Missing::Unreachable(text) | Missing::NoCluster(text) | Missing::Failed(text) => {
            Problem::error(text.clone(), "")
        }
    })
}

/// What the API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its release.
    pub version: String,
    /// By how many seconds its clock is ahead of ours, if it tells.
    pub ahead: Option<i64>,
}

/// Something the user has to be allowed for an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, in the plural.
    pub resource: &'static str,
    /// Whether it is in a namespace.
    pub namespaced: bool,
    /// What is done.
    pub verb: &'static str,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The time here, in seconds since 1970.
    pub now: i64,
    /// The namespace of the installation.
    pub namespace: String,
    /// The API server.
    pub api: Known<Api>,
    /// Definitions of kinds, by name.
    pub definitions: BTreeMap<&'static str, Found>,
    /// The Namespace.
    pub space: Found,
    /// What the user may do.
    pub rights: Vec<(Right, Known<bool>)>,
    /// The inventories in all namespaces.
    pub inventories: Known<Vec<Value>>,
    /// The inventory in this namespace.
    pub inventory: Found,
    /// The objects that it names, and whether they are there.
    pub objects: Vec<(Id, Known<bool>)>,
    /// The Deployment `contour`.
    pub deployment: Found,
    /// The Secrets with the certificates between controller and Envoys, by name.
    pub secrets: BTreeMap<&'static str, Found>,
    /// The `CronJob`s of the namespace.
    pub cron_jobs: Known<Vec<Value>>,
    /// The Pods of controller and Envoys.
    pub pods: Known<Vec<Pod>>,
    /// The Lease of the leader.
    pub lease: Found,
    /// The metrics of each replica of the controller.
    pub metrics: Vec<Told<String>>,
    /// What the controllers tell of Envoys.
    pub status: Option<Status>,
    /// The Services of the namespace; ahead of an installation, those of all.
    pub services: Known<Vec<Value>>,
    /// The `EndpointSlice`s of the namespace.
    pub slices: Known<Vec<Value>>,
    /// The `IngressRoute`s of all namespaces.
    pub routes: Known<Vec<Value>>,
}

impl Snapshot {
    /// One in which nothing has been asked for yet.
    pub fn new(namespace: String) -> Self {
        Self {
            now: clock::now(),
            namespace,
            api: Err(Missing::Unasked),
            definitions: BTreeMap::new(),
            space: Err(Missing::Unasked),
            rights: Vec::new(),
            inventories: Err(Missing::Unasked),
            inventory: Err(Missing::Unasked),
            objects: Vec::new(),
            deployment: Err(Missing::Unasked),
            secrets: BTreeMap::new(),
            cron_jobs: Err(Missing::Unasked),
            pods: Err(Missing::Unasked),
            lease: Err(Missing::Unasked),
            metrics: Vec::new(),
            status: None,
            services: Err(Missing::Unasked),
            slices: Err(Missing::Unasked),
            routes: Err(Missing::Unasked),
        }
    }

    /// One of no cluster.
    pub fn without_cluster(namespace: String, reason: &str) -> Self {
        let api = Err(Missing::NoCluster(reason.to_owned()));
        Self { api, ..Self::new(namespace) }
    }

    /// Why there is no API server to ask, if so.
    pub fn unreachable(&self) -> Option<String> {
        match &self.api {
            Err(
                Missing::Unreachable(reason)
                | Missing::NoCluster(reason)
                | Missing::Forbidden(reason),
            ) => Some(reason.clone()),
            Err(Missing::Unasked | Missing::Failed(_)) | Ok(_) => None,
        }
    }

    /// Whether another look may show something else: a kubeconfig does not get well by itself.
    pub fn may_improve(&self) -> bool {
        !matches!(self.api, Err(Missing::NoCluster(_)))
    }

    /// The time by the clock of the API server.
    pub fn server_time(&self) -> i64 {
        self.now + self.api.as_ref().ok().and_then(|api| api.ahead).unwrap_or(0)
    }

    /// A definition of a kind, if it is there.
    ///
    /// # Errors
    /// If it is not known.
    pub fn definition(&self, name: &str) -> Result<Option<&Value>, Problem> {
        match self.definitions.get(name) {
            Some(found) => Ok(known(found)?.as_ref()),
            None => Err(Problem::skip("it was not asked for")),
        }
    }

    /// Asserts that something is there.
    ///
    /// # Errors
    /// If it is not, or not known.
    pub fn exists(found: &Found, problem: impl FnOnce() -> Problem) -> Judged<&Value> {
        known(found)?.as_ref().ok_or_else(problem)
    }
}

/// A label of an object; empty if it has none.
pub fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    labels.and_then(|labels| labels.get(name)?.as_str()).unwrap_or("")
}
