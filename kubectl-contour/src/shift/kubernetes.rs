//! A route in a cluster: what is read of it, and the one write that changes it.

use std::sync::Mutex;

use contour_core::api::{IngressRoute, Timestamp};
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::{Answer, Write};
use contour_core::shift::sent::{self, MANAGER};
use serde_json::{Value, json};

use super::audience::{Told, Tone};
use super::controller;
use super::target::{Found, Heard};
use crate::cluster::value::text;
use crate::cluster::{Cluster, ForwardTrouble, Patch, Trouble, clock};
use crate::failure::{Failure, Kind};
use crate::fleet::{self, App, Pod};

/// How long the list of Pods is good, in seconds.
const PODS_FOR: i64 = 10;

const GROUP: &str = "/apis/contour.heptio.com/v1beta1";

/// A cluster, and who works with it.
pub struct Kubernetes {
    cluster: Cluster,
    contour_namespace: String,
    /// By how many seconds the API server's clock is ahead.
    ahead: i64,
    holder: Note,
    user: String,
    /// The Pods of the installation, and when they were listed.
    pods: Mutex<Option<(i64, Vec<Pod>)>>,
}

impl Clone for Kubernetes {
    fn clone(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            contour_namespace: self.contour_namespace.clone(),
            ahead: self.ahead,
            holder: self.holder.clone(),
            user: self.user.clone(),
            pods: Mutex::new(None),
        }
    }
}

impl Kubernetes {
    /// Gets to know a cluster: its clock, and who its user is.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn connect(cluster: Cluster, contour_namespace: &str) -> Result<Self, Failure> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let user = match cluster.create(path, review).await {
            Ok(answer) => text(&answer.body, "/status/userInfo/username").to_owned(),
            Err(trouble @ Trouble::Unreachable { .. }) => {
                return Err(trouble.failure("cannot ask who you are"));
            }
            // An old server, or one that does not tell.
            Err(Trouble::Refused { .. }) => String::new(),
        };
        let ahead = cluster.clock_ahead().await.unwrap_or(0);
        let holder = super::holder(&user);
        let contour_namespace = contour_namespace.to_owned();
        Ok(Self { cluster, contour_namespace, ahead, holder, user, pods: Mutex::new(None) })
    }

    /// The connection.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The namespace of routes.
    pub fn namespace(&self) -> &str {
        self.cluster.namespace()
    }

    /// The namespace of the installation.
    pub fn contour_namespace(&self) -> &str {
        &self.contour_namespace
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        self.cluster.server()
    }

    /// The API server's time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix(clock::now().saturating_add(self.ahead))
    }

    /// By how many seconds the API server's clock is ahead of ours.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    /// This client.
    pub fn holder(&self) -> &Note {
        &self.holder
    }

    /// The user, as the API server knows them; empty if it does not say.
    pub fn user(&self) -> &str {
        &self.user
    }

    fn path(object: &ObjectRef) -> String {
        format!("{GROUP}/namespaces/{}/ingressroutes/{}", object.name.namespace, object.name.name)
    }

    /// The object as the API server has it.
    pub(super) async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, Trouble> {
        self.cluster.find(&Self::path(object)).await
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If it cannot be read, or is none that could be shifted.
    pub async fn read(&self, object: &ObjectRef) -> Result<Option<Found>, Failure> {
        let found = self.get(object).await;
        let found = found.map_err(|trouble| trouble.failure(&format!("cannot read {object}")))?;
        found.map(|value| read(object, &value)).transpose()
    }

    /// All IngressRoutes of the namespace, or of all.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn routes(&self, everywhere: bool) -> Result<Vec<IngressRoute>, Failure> {
        let path = if everywhere {
            format!("{GROUP}/ingressroutes")
        } else {
            format!("{GROUP}/namespaces/{}/ingressroutes", self.namespace())
        };
        let list = self.cluster.list(&path).await;
        let list = list.map_err(|trouble| trouble.failure("cannot list IngressRoutes"))?;
        Ok(list.iter().filter_map(sent::decode).collect())
    }

    /// Writes weights and state in one JSON patch, which tests all that it relies on.
    pub async fn write(&self, object: &ObjectRef, write: &Write) -> Answer {
        let value = match self.get(object).await {
            Ok(Some(value)) => value,
            Ok(None) => return Answer::Conflict,
            Err(trouble) => return refused(&trouble),
        };
        let Some(operations) = sent::patch(&value, write) else { return Answer::Conflict };
        let path = format!("{}?fieldManager={MANAGER}", Self::path(object));
        match self.cluster.patch(&path, Patch::Json, operations).await {
            Ok(answer) => {
                let generation =
                    answer.body.pointer("/metadata/generation").and_then(Value::as_i64);
                let version = Note::new(text(&answer.body, "/metadata/resourceVersion"));
                Answer::Done(version, generation.unwrap_or(0))
            }
            Err(trouble) => refused(&trouble),
        }
    }

    /// What the replicas of the controller tell.
    pub async fn hear(&self, object: &ObjectRef) -> Heard {
        let pods = match self.installation().await {
            Ok(pods) => pods,
            Err(trouble) => {
                return Heard { reports: Vec::new(), troubles: vec![trouble.to_string()] };
            }
        };
        let told = fleet::ask(&self.cluster, &pods, fleet::DEBUG, &controller::path(object)).await;
        let mut heard = Heard::default();
        for told in told {
            let terminating = pods.iter().any(|pod| pod.name == told.replica && pod.terminating);
            match told.answer.map_err(|trouble| in_words(&trouble)).and_then(|body| {
                controller::read(&body).map_err(|why| format!("controller {}: {why}", told.replica))
            }) {
                Ok(report) => heard.reports.push(report),
                // Its Envoys have gone elsewhere, or are about to.
                Err(_why) if terminating => {}
                Err(why) => heard.troubles.push(why),
            }
        }
        if heard.reports.is_empty() && heard.troubles.is_empty() {
            let place = &self.contour_namespace;
            heard.troubles.push(format!("no controller runs in the namespace {place}"));
        }
        if !heard.troubles.is_empty() {
            // Another Pod may have taken its place.
            self.forget();
        }
        heard
    }

    fn forget(&self) {
        *self.pods.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    async fn installation(&self) -> Result<Vec<Pod>, Trouble> {
        let known = {
            let pods = self.pods.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            pods.clone()
        };
        if let Some((_, pods)) = known.filter(|(at, _)| clock::now() - at < PODS_FOR) {
            return Ok(pods);
        }
        let mut pods = fleet::pods(&self.cluster, Some(&self.contour_namespace)).await?;
        pods.retain(|pod| pod.app == App::Contour);
        *self.pods.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some((clock::now(), pods.clone()));
        Ok(pods)
    }

    /// Tells it as an Event of the object. What cannot be told is dropped: the state says it too.
    pub async fn publish(&self, object: &ObjectRef, uid: &Note, told: &Told) {
        let namespace = &object.name.namespace;
        let serial = fastrand::u32(..);
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{}.{:x}{serial:08x}", object.name.name, told.at.unix()),
                "namespace": namespace,
            },
            "eventTime": told.at.to_string().replace('Z', ".000000Z"),
            "reportingController": "kubectl-contour",
            "reportingInstance": self.holder.as_str().chars().take(120).collect::<String>(),
            "action": "Shift",
            "reason": told.reason,
            "regarding": {
                "apiVersion": object.kind.api_version(),
                "kind": object.kind.as_str(),
                "namespace": namespace,
                "name": object.name.name,
                "uid": uid.as_str(),
            },
            "note": told.message.chars().take(1000).collect::<String>(),
            "type": match told.tone {
                Tone::Plain | Tone::Good => "Normal",
                Tone::Warning | Tone::Bad => "Warning",
            },
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        drop(self.cluster.create(&path, event).await);
    }
}

fn in_words(trouble: &ForwardTrouble) -> String {
    if let ForwardTrouble::Unexpected { pod, status: 404, .. } = trouble {
        return format!("controller {pod} knows no such object, or is older than this program");
    }
    trouble.to_string()
}

fn read(object: &ObjectRef, value: &Value) -> Result<Found, Failure> {
    let found = sent::read(value).ok_or_else(|| {
        let message = format!("{object} has fields that cannot be read");
        Failure::new(Kind::Shift(7), message)
            .with_hint("kubectl contour create ingressroute --edit shows what is wrong with one")
    })?;
    let (live, route) = found;
    Ok(Found { live, route })
}

/// What became of a write that was not answered well.
fn refused(trouble: &Trouble) -> Answer {
    match trouble {
        Trouble::Refused { status: 409, .. } => Answer::Conflict,
        // A test of the patch has failed; what the schema forbids has causes.
        Trouble::Refused { status: 422, causes, .. } if causes.is_empty() => Answer::Conflict,
        Trouble::Unreachable { .. } | Trouble::Refused { status: 429 | 500.., .. } => {
            Answer::Unknown
        }
        Trouble::Refused { message, .. } => Answer::Refused(Note::new(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_conflict_only_where_something_else_was_there() {
        let refusal = |status: u16, causes: &[&str]| {
            refused(&Trouble::Refused {
                status,
                reason: String::new(),
                message: "no".to_owned(),
                causes: causes.iter().map(|c| ((*c).to_owned(), String::new())).collect(),
            })
        };
        assert_eq!(refusal(409, &[]), Answer::Conflict);
        assert_eq!(refusal(422, &[]), Answer::Conflict);
        assert_eq!(refusal(422, &["spec"]), Answer::Refused(Note::new("no")));
        assert_eq!(refusal(403, &[]), Answer::Refused(Note::new("no")));
        assert_eq!(refusal(503, &[]), Answer::Unknown);
    }
}
