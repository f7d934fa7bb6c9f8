//! What the API server holds as the status of an object, reduced to what a writer must know.

use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::{CONDITIONS, Truth};
use crate::api::Timestamp;

/// What the API server holds as the status of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    digest: u64,
    /// By the place of the condition's type in [`CONDITIONS`].
    since: [Option<(Truth, Timestamp)>; 3],
}

#[derive(Deserialize)]
struct Conditions {
    #[serde(default)]
    conditions: Vec<Since>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Since {
    r#type: String,
    status: String,
    last_transition_time: Option<String>,
}

impl Written {
    /// Reads the `status` of an object, as JSON. One that is not of the form that we write differs
    /// from all that we would write.
    pub fn read(mut status: Value) -> Self {
        let conditions = Conditions::deserialize(&status).ok();
        let mut since = [None; 3];
        for condition in conditions.into_iter().flat_map(|c| c.conditions) {
            let place = CONDITIONS.iter().position(|kind| *kind == condition.r#type);
            let truth = Truth::parse(&condition.status);
            let time = condition.last_transition_time.as_deref().and_then(Timestamp::parse);
            if let (Some(slot), Some(truth), Some(time)) =
                (place.and_then(|p| since.get_mut(p)), truth, time)
            {
                *slot = Some((truth, time));
            }
        }
        strip(&mut status);
        Self { digest: digest(&status), since }
    }

    /// As [`super::Status::digest`] of the status that is written.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Since when a condition has been what it is to be now.
    pub(super) fn since(&self, kind: usize, status: Truth) -> Option<Timestamp> {
        let (written, since) = (*self.since.get(kind)?)?;
        (written == status).then_some(since)
    }
}

/// Takes out what is no news: conditions of others, when conditions became what they are, and how many Envoys have
/// acknowledged once all have.
fn strip(status: &mut Value) {
    let Some(Value::Array(conditions)) = status.get_mut("conditions") else {
        return;
    };
    // Those of other writers stay where they are, whatever we write, and so does the order.
    let place = |condition: &Value| {
        let kind = condition.get("type").and_then(Value::as_str);
        CONDITIONS.iter().position(|own| Some(*own) == kind)
    };
    conditions.retain(|condition| place(condition).is_some());
    conditions.sort_by_key(place);
    for condition in conditions {
        let Value::Object(fields) = condition else { continue };
        fields.remove("lastTransitionTime");
        let is = |name: &str, value: &str| fields.get(name).and_then(Value::as_str) == Some(value);
        if is("type", "Programmed") && is("status", "True") {
            fields.insert("message".to_owned(), Value::from(""));
        }
    }
}

/// The order of fields does not matter: the API server has its own.
pub(super) fn digest(status: &Value) -> u64 {
    let mut text = String::new();
    canonical(status, &mut text);
    xxh3_64(text.as_bytes())
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}
