//! What an installation consists of, kept in the cluster itself: so that an upgrade knows what is no
//! longer needed and which values were chosen, and an interrupted one can go on.

use contour_deploy::Profile;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::object::Id;

/// The name of the `ConfigMap`.
pub const NAME: &str = "contour-inventory";

/// The label by which inventories of all namespaces are found.
pub const SELECTOR: &str =
    "app.kubernetes.io/component=inventory,app.kubernetes.io/part-of=contour";

/// How far an installation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Objects are being applied; whoever did it may be gone.
    Applying,
    /// Everything has been applied, and what was too much is gone.
    Complete,
    /// Objects are being deleted.
    Removing,
}

/// An installation, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The version of the plugin that wrote it.
    pub version: String,
    /// How far it has come.
    pub phase: Phase,
    /// The profile.
    pub profile: String,
    /// What differs from the chart's defaults.
    pub values: Value,
    /// The objects, in the order in which they are applied.
    pub objects: Vec<Id>,
}

impl Inventory {
    /// The profile; the default one if it is of a version that has others.
    pub fn profile(&self) -> Profile {
        Profile::named(&self.profile).unwrap_or_default()
    }

    /// The `ConfigMap` that holds it.
    pub fn to_object(&self, namespace: &str) -> Value {
        let phase = serde_json::to_value(self.phase).unwrap_or_default();
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/component": "inventory",
                    "app.kubernetes.io/part-of": "contour",
                },
            },
            "data": {
                "version": self.version,
                "phase": phase,
                "profile": self.profile,
                "values": self.values.to_string(),
                "objects": serde_json::to_string(&self.objects).unwrap_or_default(),
            },
        })
    }

    /// Reads the `ConfigMap`.
    ///
    /// # Errors
    /// If somebody has changed it into something else.
    pub fn read(object: &Value) -> Result<Self, String> {
        let text = |key: &str| {
            let value =
                object.pointer("/data").and_then(|data| data.get(key)).and_then(Value::as_str);
            value.ok_or_else(|| format!(".data.{key} is missing"))
        };
        let parsed = |key: &str| {
            serde_json::from_str(text(key)?).map_err(|error| format!(".data.{key}: {error}"))
        };
        let phase = Value::String(text("phase")?.to_owned());
        let objects: Value = parsed("objects")?;
        Ok(Self {
            version: text("version")?.to_owned(),
            phase: serde_json::from_value(phase)
                .map_err(|error| format!(".data.phase: {error}"))?,
            profile: text("profile")?.to_owned(),
            values: parsed("values")?,
            objects: serde_json::from_value(objects)
                .map_err(|error| format!(".data.objects: {error}"))?,
        })
    }
}

/// Whether a version is later than another; what is no version is not.
pub fn is_later(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let text = text.split(['-', '+']).next()?;
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    match (numbers(version), numbers(than)) {
        (Some(one), Some(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_read_as_it_was_written() {
        let object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "contour"}});
        let inventory = Inventory {
            version: "0.1.0".to_owned(),
            phase: Phase::Applying,
            profile: "ha".to_owned(),
            values: json!({"contour": {"replicas": 3}}),
            objects: vec![Id::of(&object, "edge").unwrap()],
        };
        assert_eq!(Inventory::read(&inventory.to_object("edge")), Ok(inventory));
    }

    #[test]
    fn a_damaged_inventory_names_the_field() {
        let mut object = json!({"data": {"version": "1"}});
        assert!(Inventory::read(&object).unwrap_err().contains(".data.phase"));
        object["data"]["phase"] = json!("asleep");
        object["data"]["objects"] = json!("[");
        assert!(Inventory::read(&object).unwrap_err().contains(".data.objects"));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_later("0.10.0", "0.9.3"));
        assert!(!is_later("0.9.3", "0.10.0") && !is_later("1.0.0", "1.0.0"));
        assert!(!is_later("main", "1.0.0"));
    }
}
