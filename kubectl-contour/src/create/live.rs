//! Objects as the API server has them, as values.

use serde_json::{Map, Value};

use crate::cluster::value::text;

/// Annotations that say something of this object alone.
const OWN_ANNOTATIONS: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// A live object as its owner would write it: without status and without what the server adds.
pub fn without_server_fields(live: &Value) -> Value {
    let mut value = live.clone();
    let Some(fields) = value.as_object_mut() else { return value };
    fields.shift_remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        let mut kept = Map::new();
        for name in ["namespace", "name", "labels", "annotations"] {
            if let Some(value) = metadata.get(name) {
                kept.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(annotations) = kept.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !OWN_ANNOTATIONS.contains(&key.as_str()));
        }
        for name in ["labels", "annotations"] {
            if kept.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
                kept.shift_remove(name);
            }
        }
        *metadata = kept;
    }
    let mut ordered = Map::new();
    for name in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = fields.shift_remove(name) {
            ordered.insert(name.to_owned(), value);
        }
    }
    ordered.append(fields);
    Value::Object(ordered)
}

/// Sets a field of a mapping.
pub fn set(value: &mut Value, field: &str, to: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(field.to_owned(), to);
    }
}

/// The name of an object.
pub fn name(value: &Value) -> &str {
    text(value, "/metadata/name")
}

/// Whether labels have everything that a selector asks for; an empty one selects nothing.
pub fn selects(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let Some(selector) = selector.and_then(Value::as_object).filter(|s| !s.is_empty()) else {
        return false;
    };
    selector.iter().all(|(key, value)| labels.and_then(|l| l.get(key)) == Some(value))
}
