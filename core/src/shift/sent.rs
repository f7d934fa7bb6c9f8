//! An IngressRoute as the API server sends it, and the one patch that a shift writes.

use serde_json::{Value, json};

use super::Note;
use super::machine::{Live, Write};
use super::state::ANNOTATION;
use super::weights::{Place, Weights, Written};
use crate::api::{IngressRoute, Object};
use crate::manifest::{self, Limits};
use crate::name::Kind;

/// Who writes weights, as `managedFields` says it: the same whoever drives a shift, so that its
/// fields are not of two owners.
pub const MANAGER: &str = "kubectl-contour-shift";

/// What the name of the Lease of a route's shifts begins with; the rest is the name of the route, if
/// it is short enough.
pub const LEASE_PREFIX: &str = "contour-shift-";

/// The annotation of the Lease that names the route, whose name may be too long for that of the Lease.
pub const LEASE_ROUTE: &str = "shift.contour.heptio.com/route";

/// Decodes it; `None` if a field has the wrong type.
pub fn decode(value: &Value) -> Option<IngressRoute> {
    let manifest = manifest::read_sent(Kind::IngressRoute, &value.to_string(), Limits::default());
    manifest.documents.into_iter().find_map(|document| match document.object {
        Some(Object::IngressRoute(route)) => Some(route),
        Some(_) | None => None,
    })
}

/// What a shift needs of it, and all of it; `None` if a field has the wrong type.
pub fn read(value: &Value) -> Option<(Live, IngressRoute)> {
    let route = decode(value)?;
    let annotation = value.pointer("/metadata/annotations").and_then(|a| a.get(ANNOTATION));
    let live = Live {
        uid: Note::new(text(value, "/metadata/uid")),
        version: Note::new(text(value, "/metadata/resourceVersion")),
        generation: value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0),
        weights: Weights::of_spec(&route.spec).into_iter().flatten().collect(),
        annotation: annotation.and_then(Value::as_str).map(str::to_owned),
    };
    Some((live, route))
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The JSON patch (RFC 6902) from what is there to what is to be: it tests all that it relies on, and
/// touches weights and the annotation alone. `None` if what is there is not what the write is for.
pub fn patch(value: &Value, write: &Write) -> Option<Value> {
    let is = |pointer: &str, note: &Note| text(value, pointer) == note.as_str();
    if !is("/metadata/uid", &write.uid) || !is("/metadata/resourceVersion", &write.version) {
        return None;
    }
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": write.uid.as_str()}),
        // With this the server itself compares versions, and answers 409.
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": write.version.as_str()}),
    ];
    for (expected, wanted) in write.expected.iter().zip(&write.weights) {
        let list = list(value, expected.place())?;
        for (index, service) in items(value, &list).iter().enumerate() {
            let known = |w: &&Written| {
                service.get("name").and_then(Value::as_str) == Some(&*w.0.name)
                    && service.get("port").and_then(Value::as_i64) == Some(w.0.port)
            };
            let (before, after) =
                (expected.services().iter().find(known)?, wanted.services().iter().find(known)?);
            let at = service.get("weight").and_then(Value::as_u64);
            if at != before.1.map(u64::from) {
                return None;
            }
            let path = format!("{list}/{index}/weight");
            match (before.1, after.1) {
                (before, after) if before == after => {}
                (Some(_), None) => operations.push(json!({"op": "remove", "path": path})),
                (_, after) => operations.push(json!({"op": "add", "path": path, "value": after})),
            }
        }
    }
    if value.pointer("/metadata/annotations").is_none() {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    let annotation = format!("/metadata/annotations/{}", ANNOTATION.replace('/', "~1"));
    operations.push(json!({"op": "add", "path": annotation, "value": write.annotation}));
    Some(operations.into())
}

/// The JSON pointer of a place's services.
fn list(value: &Value, place: &Place) -> Option<String> {
    match place {
        Place::Tcp => Some("/spec/tcpproxy/services".to_owned()),
        Place::Route(prefix) => {
            let routes = items(value, "/spec/routes");
            let at = routes
                .iter()
                .position(|r| r.get("match").and_then(Value::as_str) == Some(prefix))?;
            Some(format!("/spec/routes/{at}/services"))
        }
    }
}
