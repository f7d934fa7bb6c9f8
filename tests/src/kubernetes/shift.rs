//! A shift whose client is not there: as it is kept at a route and in a Lease.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contour_core::api::Timestamp;
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{ANNOTATION, Charter, Policy, Share, State};
use contour_core::shift::weights::{Lever, Scale, Service};
use contour_core::shift::{Note, sent};
use serde_json::{Value, json};

use super::stage::path;
use super::{Objects, refusal};
use crate::envoy::eventually;

/// Who drove it.
pub const CLIENT: &str = "gone@nowhere";

/// Halfway.
const SHARE: u16 = 50;

/// Brings the route `name`, with a first route to `blue` and `green`, halfway from one to the other.
/// Returns it as it is then.
///
/// # Panics
/// If there is no such route, or it is refused.
pub async fn halfway(
    objects: &Objects,
    route: (&str, &str),
    policy: Policy,
    phase: &Value,
) -> Value {
    let path = path(route.0, route.1);
    eventually("nobody writes its status in between", async || {
        let object = objects.get(&path).await.expect("there is such a route");
        match objects.replace(&path, &moved(object, policy.clone(), phase)).await {
            Err(error) if refusal(&error).is_some_and(|(code, _)| code == 409) => None,
            put => Some(put.expect("the route is taken")),
        }
    })
    .await
}

fn moved(mut object: Value, policy: Policy, phase: &Value) -> Value {
    let (live, _) = sent::read(&object).expect("the route can be read");
    let baseline = live.weights.first().cloned().expect("it has services");
    let service = |name: &str| Service { name: name.into(), port: 80 };
    let half = Percent::whole(SHARE).expect("a share");
    let (from, to) = (service("blue"), service("green"));
    let lever = Lever::new(baseline, &from, &to, Scale::Keep, &[half]).expect("it can be moved");
    let weights = lever.at(half);
    let charter = Charter {
        id: Note::new("test"),
        uid: live.uid,
        plan: Plan::new(&Settings::of(Schedule::To(half))).expect("a plan"),
        policy,
        places: vec![lever],
        operator: Note::new(CLIENT),
        reason: Note::new("a test"),
        deadline: None,
        tool: Note::new("test"),
    };
    let state = State::new(charter, Note::new(CLIENT), now());
    let mut kept: Value = serde_json::from_str(&state.write().expect("it fits")).expect("JSON");
    let at = kept.get_mut("at").and_then(Value::as_object_mut).expect("how far it has come");
    at.insert("share".to_owned(), json!(Share::At(half)));
    at.insert("phase".to_owned(), phase.clone());
    let annotation = kept.to_string();
    assert!(State::read(&annotation).is_ok_and(|state| state.weights() == [weights.clone()]));
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.expect("metadata").entry("annotations").or_insert(json!({}));
    let annotations = annotations.as_object_mut().expect("annotations");
    annotations.insert(ANNOTATION.to_owned(), json!(annotation));
    let services = object.pointer_mut("/spec/routes/0/services").and_then(Value::as_array_mut);
    for service in services.expect("it has services") {
        let own = weights
            .services()
            .iter()
            .find(|w| service.get("name").and_then(Value::as_str) == Some(&*w.0.name));
        let service = service.as_object_mut().expect("a service");
        service.insert("weight".to_owned(), json!(own.and_then(|written| written.1)));
    }
    object
}

/// The Lease of a shift, which its holder renewed last so long ago.
pub fn lease((namespace, name): (&str, &str), holder: &str, ago: Duration) -> Value {
    let ago = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX);
    let renewed = Timestamp::from_unix(now().unix() - ago).to_string();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "namespace": namespace, "name": format!("contour-shift-{name}"),
            "labels": {"app.kubernetes.io/managed-by": "kubectl-contour"},
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 1,
            "renewTime": format!("{}.000000Z", renewed.trim_end_matches('Z')),
        },
    })
}

/// The path of the Lease of a shift.
pub fn lease_path((namespace, name): (&str, &str)) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/contour-shift-{name}")
}

/// What is kept at a route.
///
/// # Panics
/// If nothing is, or it cannot be read.
pub fn state(object: &Value) -> State {
    let annotations = object.pointer("/metadata/annotations");
    let text = annotations.and_then(|a| a.get(ANNOTATION)).and_then(Value::as_str);
    State::read(text.expect("a shift is kept")).expect("it can be read")
}

/// The weights of the first route.
pub fn weights(object: &Value) -> Vec<Option<u64>> {
    let services = object.pointer("/spec/routes/0/services").and_then(Value::as_array);
    let services = services.into_iter().flatten();
    services.map(|service| service.get("weight").and_then(Value::as_u64)).collect()
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
