//! The Lease that keeps a second operator out. It expires by itself, so nothing is ever stuck.

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::sent::{LEASE_PREFIX, LEASE_ROUTE};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::kubernetes::Kubernetes;
use super::target::Guard;
use crate::cluster::value::text;
use crate::cluster::{Patch, Trouble, clock};
use crate::failure::{Failure, Kind};

/// How long it lasts without being renewed, in seconds.
const SECONDS: i64 = 30;
/// How often it is renewed.
const EVERY: Duration = Duration::from_secs(10);
/// How long it is tried again to renew, before the next is due.
const RETRY: Duration = Duration::from_secs(2);
/// The longest name of an object.
const NAME_MAX: usize = 253;

/// A Lease that is held.
pub struct Hold {
    /// Dropping it gives nothing back: [`Lease::release`] does.
    pub guard: Guard,
    /// Until when it is held, by the API server's clock.
    pub until: Timestamp,
}

/// What becomes of a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is held until then.
    Until(Timestamp),
    /// It is another's.
    Lost(Note),
}

/// A Lease, renewed in the background for as long as this lives.
pub struct Lease {
    news: watch::Receiver<Held>,
    renewal: tokio::task::JoinHandle<()>,
    path: String,
    kubernetes: Kubernetes,
}

/// Who has a Lease, as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Who; empty if nobody has it.
    pub name: String,
    /// When it was renewed last.
    pub renewed: Option<Timestamp>,
    /// How long it lasts, in seconds.
    pub seconds: i64,
}

impl Holder {
    /// Reads a Lease.
    pub fn of(lease: &Value) -> Self {
        let renewed = clock::parse(text(lease, "/spec/renewTime")).map(Timestamp::from_unix);
        let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
        Self {
            name: text(lease, "/spec/holderIdentity").to_owned(),
            renewed,
            seconds: seconds.unwrap_or(SECONDS),
        }
    }

    /// Whether somebody has it at that time.
    pub fn is_held(&self, now: Timestamp) -> bool {
        let ends = |at: Timestamp| at.unix().saturating_add(self.seconds);
        !self.name.is_empty() && self.renewed.is_some_and(|at| now.unix() < ends(at))
    }
}

/// The name of the Lease of an object's shifts.
pub fn name(object: &ObjectRef) -> String {
    let name = format!("{LEASE_PREFIX}{}", object.name.name);
    if name.len() <= NAME_MAX {
        return name;
    }
    format!("{LEASE_PREFIX}{:016x}", xxhash_rust::xxh3::xxh3_64(object.name.name.as_bytes()))
}

fn list(object: &ObjectRef) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", object.name.namespace)
}

/// Where the API server has it.
pub fn path(object: &ObjectRef) -> String {
    format!("{}/{}", list(object), name(object))
}

impl Lease {
    /// Takes the Lease, or says who has it.
    ///
    /// # Errors
    /// Another has it, or it cannot be had.
    pub async fn hold(
        kubernetes: &Kubernetes,
        object: &ObjectRef,
        take_over: bool,
    ) -> Result<Hold, Failure> {
        let path = path(object);
        let failed =
            |trouble: Trouble| trouble.failure(&format!("cannot have the lease {}", name(object)));
        // Somebody may come in between, once; who comes again and again has it.
        for _ in 0..5 {
            let now = kubernetes.now();
            let found = kubernetes.cluster().find(&path).await.map_err(failed)?;
            let holder = found.as_ref().map(Holder::of).unwrap_or_default();
            let is_other = holder.name != kubernetes.holder().as_str();
            if is_other && holder.is_held(now) && !take_over {
                return Err(locked(object, &holder));
            }
            let transitions = found
                .as_ref()
                .and_then(|lease| lease.pointer("/spec/leaseTransitions")?.as_i64())
                .map_or(0, |count| count.saturating_add(i64::from(is_other)));
            let spec = json!({
                "holderIdentity": kubernetes.holder().as_str(),
                "leaseDurationSeconds": SECONDS,
                "acquireTime": micro(now),
                "renewTime": micro(now),
                "leaseTransitions": transitions,
            });
            let written = match &found {
                None => {
                    let lease = json!({
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {
                            "name": name(object),
                            "labels": {"app.kubernetes.io/managed-by": "kubectl-contour"},
                            "annotations": {(LEASE_ROUTE): object.name.name},
                        },
                        "spec": spec,
                    });
                    kubernetes.cluster().create(&list(object), lease).await
                }
                Some(lease) => {
                    let version = text(lease, "/metadata/resourceVersion");
                    let taken = json!({"metadata": {"resourceVersion": version}, "spec": spec});
                    kubernetes.cluster().patch(&path, Patch::Merge, taken).await
                }
            };
            match written {
                Ok(_) => return Ok(Self::held(kubernetes.clone(), path, now)),
                Err(trouble) if trouble.is_conflict() => {}
                Err(trouble) => return Err(failed(trouble)),
            }
        }
        Err(Failure::new(
            Kind::Conflict,
            format!("the lease {} is taken again and again", name(object)),
        ))
    }

    fn held(kubernetes: Kubernetes, path: String, since: Timestamp) -> Hold {
        let until = after(since);
        let (tell, news) = watch::channel(Held::Until(until));
        let renewal = tokio::spawn(renew(kubernetes.clone(), path.clone(), tell));
        Hold { guard: Guard::Lease(Box::new(Self { news, renewal, path, kubernetes })), until }
    }

    /// What becomes of it.
    pub fn news(&self) -> watch::Receiver<Held> {
        self.news.clone()
    }

    /// Gives it back, so that the next need not wait, with what is to be remembered, if anything.
    /// Another's is left as it is.
    pub async fn release(self, history: Option<String>) {
        self.renewal.abort();
        let (cluster, holder) = (self.kubernetes.cluster(), self.kubernetes.holder());
        let Ok(Some(lease)) = cluster.find(&self.path).await else { return };
        if Holder::of(&lease).name != holder.as_str() {
            return;
        }
        let version = text(&lease, "/metadata/resourceVersion");
        let annotations = history.map(|text| json!({(super::history::ANNOTATION): text}));
        let given = json!({
            "metadata": {"resourceVersion": version, "annotations": annotations.unwrap_or_else(|| json!({}))},
            "spec": {"holderIdentity": ""},
        });
        // It expires anyway.
        drop(cluster.patch(&self.path, Patch::Merge, given).await);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(kubernetes: Kubernetes, path: String, tell: watch::Sender<Held>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let mut tries = 0_u32;
        loop {
            match once(&kubernetes, &path).await {
                Ok(held @ Held::Until(_)) => {
                    tell.send_replace(held);
                    break;
                }
                Ok(lost @ Held::Lost(_)) => {
                    tell.send_replace(lost);
                    return;
                }
                // The machine stops writing by itself when the time is over.
                Err(_trouble) if tries < 100 => tries += 1,
                Err(_trouble) => return,
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn once(kubernetes: &Kubernetes, path: &str) -> Result<Held, Trouble> {
    let now = kubernetes.now();
    let Some(lease) = kubernetes.cluster().find(path).await? else {
        return Ok(Held::Lost(Note::new("nobody: the lease was deleted")));
    };
    let holder = Holder::of(&lease);
    if holder.name != kubernetes.holder().as_str() {
        return Ok(Held::Lost(Note::new(&holder.name)));
    }
    let version = text(&lease, "/metadata/resourceVersion");
    let renewed =
        json!({"metadata": {"resourceVersion": version}, "spec": {"renewTime": micro(now)}});
    kubernetes.cluster().patch(path, Patch::Merge, renewed).await?;
    Ok(Held::Until(after(now)))
}

/// When a Lease ends that was renewed then: a little before anybody else may take it.
fn after(renewed: Timestamp) -> Timestamp {
    Timestamp::from_unix(renewed.unix().saturating_add(SECONDS - 2))
}

/// As a `MicroTime` is written.
fn micro(at: Timestamp) -> String {
    at.to_string().replace('Z', ".000000Z")
}

fn locked(object: &ObjectRef, holder: &Holder) -> Failure {
    let since = holder.renewed.map_or_else(String::new, |at| format!(", last heard of at {at}"));
    let name = &object.name.name;
    Failure::new(Kind::Conflict, format!("{object} is being shifted by {}{since}", holder.name))
        .with_hint(format!(
            "kubectl contour shift watch {name} follows it; --take-over takes it from them"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_held_until_its_time_is_over() {
        let lease = json!({"spec": {
            "holderIdentity": "ann", "renewTime": "1970-01-01T00:01:40.000000Z", "leaseDurationSeconds": 30,
        }});
        let holder = Holder::of(&lease);
        assert!(holder.is_held(Timestamp::from_unix(129)));
        assert!(!holder.is_held(Timestamp::from_unix(130)));
        assert!(!Holder { name: String::new(), ..holder }.is_held(Timestamp::from_unix(101)));
        assert!(!Holder::default().is_held(Timestamp::from_unix(0)));
        assert!(after(Timestamp::from_unix(100)).unix() < 130);
        assert_eq!(micro(Timestamp::from_unix(100)), "1970-01-01T00:01:40.000000Z");
    }

    #[test]
    fn a_long_name_still_has_a_lease() {
        let of = |object: &str| {
            name(&ObjectRef::new(contour_core::name::Kind::IngressRoute, "ns", object))
        };
        assert_eq!(of("shop"), "contour-shift-shop");
        let long = "a".repeat(250);
        assert!(of(&long).len() <= NAME_MAX);
        assert_ne!(of(&long), of(&"b".repeat(250)));
    }
}
