//! What may be set: the chart's defaults, and what somebody wants otherwise.

mod schema;
mod set;

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::chart;

/// A set of values for a purpose; each is a file in the chart's directory `profiles`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Two controllers, an Envoy on each node, a load balancer: the values as they are.
    #[default]
    Default,
    /// One of each, without a load balancer: for kind and laptops.
    Minimal,
    /// Three controllers, and Envoys that are spread over nodes and grow with the load.
    Ha,
    /// Reads only the listed namespaces, without a ClusterRole.
    Namespaced,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Minimal, Self::Ha, Self::Namespaced];

    /// Its name, which is the name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Minimal => "minimal",
            Self::Ha => "ha",
            Self::Namespaced => "namespaced",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The path of its file in the chart.
    pub fn path(self) -> String {
        format!("profiles/{}.yaml", self.name())
    }

    /// What it is for, in a sentence or two: the comment at the head of its file.
    pub fn summary(self) -> String {
        let lines = chart::file(&self.path()).unwrap_or_default().lines();
        let lines: Vec<_> = lines.map_while(|line| line.strip_prefix("# ")).collect();
        lines.join(" ")
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that somebody wants otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Override<'a> {
    /// Values as YAML or JSON, as Helm's `-f` reads them from a file.
    File {
        /// What messages call it.
        name: &'a str,
        /// Its content.
        text: &'a str,
    },
    /// `path.to=value`, as Helm's `--set`.
    Set(&'a str),
    /// The same, and every value is text: Helm's `--set-string`.
    SetString(&'a str),
}

/// Something that is wrong with values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such value.
    #[error("{path}: there is no such value{}", nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    Unknown {
        /// What was named.
        path: String,
        /// What is called almost like it.
        nearest: Option<String>,
    },
    /// It is of another type, or out of range.
    #[error("{path}: expected {expected}, found {found}")]
    Unexpected {
        /// Which value.
        path: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It cannot be read.
    #[error("{text}: {why}")]
    Unreadable {
        /// The assignment, or the file's name.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Everything that is wrong with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesError {
    /// At least one, in the order of what was given.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ValuesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, number) in self.faults.iter().zip(0..) {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ValuesError {}

/// The values that the chart is rendered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// What differs from the defaults. `null` removes a default.
    overrides: Map<String, Value>,
}

/// The content of `values.yaml`.
static DEFAULTS: LazyLock<Map<String, Value>> = LazyLock::new(|| of_chart("values.yaml"));

/// The content of `values.schema.json`.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| Value::Object(of_chart("values.schema.json")));

/// A file of the chart; a test sees that each can be read.
fn of_chart(path: &str) -> Map<String, Value> {
    let text = chart::file(path).unwrap_or_default();
    serde_saphyr::from_str(text).unwrap_or_default()
}

impl Values {
    /// Those of a profile.
    pub fn profile(profile: Profile) -> Self {
        Self { overrides: of_chart(&profile.path()) }
    }

    /// Those of a profile with all that somebody wants otherwise, later ones counting more.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn resolve(profile: Profile, overrides: &[Override<'_>]) -> Result<Self, ValuesError> {
        let mut values = Self::profile(profile);
        let mut faults = Vec::new();
        for wanted in overrides {
            let result = match wanted {
                Override::File { name, text } => values.merge_text(name, text),
                Override::Set(text) => values.set(text),
                Override::SetString(text) => values.set_string(text),
            };
            if let Err(error) = result {
                // What two of them do wrong is said once.
                faults.extend(
                    error.faults.into_iter().filter(|f| !faults.contains(f)).collect::<Vec<_>>(),
                );
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(ValuesError { faults }) }
    }

    /// Takes in values as Helm does with a further file: maps are merged, lists and scalars replaced,
    /// and `null` removes.
    ///
    /// # Errors
    /// Everything that is wrong with them; nothing has changed then.
    pub fn merge(&mut self, overrides: &Value) -> Result<(), ValuesError> {
        // An empty file is no override.
        let empty = Map::new();
        let overrides = match overrides {
            Value::Null => &empty,
            Value::Object(map) => map,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let fault = Fault::Unexpected {
                    path: "values".to_owned(),
                    expected: "a map".to_owned(),
                    found: schema::told(overrides),
                };
                return Err(ValuesError { faults: vec![fault] });
            }
        };
        let mut merged = self.overrides.clone();
        merge(&mut merged, overrides);
        self.take(merged, overrides)
    }

    /// Takes in `path.to=value`, as Helm's `--set`: commas separate assignments, `\` takes a
    /// character for itself, `{a,b}` is a list, `[0]` an index, and `true`, `null` and whole numbers
    /// are what they look like.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing has changed then.
    pub fn set(&mut self, assignments: &str) -> Result<(), ValuesError> {
        self.assign(assignments, set::Kind::Typed)
    }

    /// The same, but every value is text, as Helm's `--set-string`.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing has changed then.
    pub fn set_string(&mut self, assignments: &str) -> Result<(), ValuesError> {
        self.assign(assignments, set::Kind::Text)
    }

    /// The defaults with all that differs.
    pub fn to_value(&self) -> Value {
        let mut all = self.overrides.clone();
        complete(&mut all, &DEFAULTS);
        Value::Object(all)
    }

    /// What differs from the defaults, as a file for Helm's `-f`.
    pub fn overrides(&self) -> Value {
        Value::Object(self.overrides.clone())
    }

    /// The chart's defaults.
    pub(crate) fn defaults() -> &'static Map<String, Value> {
        &DEFAULTS
    }

    fn merge_text(&mut self, name: &str, text: &str) -> Result<(), ValuesError> {
        match serde_saphyr::from_str::<Value>(text) {
            Ok(overrides) => self.merge(&overrides),
            Err(error) => Err(unreadable(name, error.to_string())),
        }
    }

    fn assign(&mut self, assignments: &str, kind: set::Kind) -> Result<(), ValuesError> {
        let mut merged = self.overrides.clone();
        set::assign(&mut merged, assignments, kind).map_err(|why| unreadable(assignments, why))?;
        let after = merged.clone();
        self.take(merged, &after)
    }

    /// Makes `merged` what differs, if nothing is wrong with `given`, which is a part of it.
    fn take(
        &mut self,
        merged: Map<String, Value>,
        given: &Map<String, Value>,
    ) -> Result<(), ValuesError> {
        let faults = schema::faults(&SCHEMA, &Value::Object(given.clone()));
        if faults.is_empty() {
            self.overrides = merged;
            Ok(())
        } else {
            Err(ValuesError { faults })
        }
    }
}

fn unreadable(text: &str, why: String) -> ValuesError {
    ValuesError { faults: vec![Fault::Unreadable { text: text.to_owned(), why }] }
}

/// Maps merge, everything else replaces.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (Some(into), _) => into.clone_from(value),
            (None, _) => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

/// Adds defaults; `null` in the place of one removes it, and stays where there is none.
fn complete(values: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (key, default) in defaults {
        match (values.get_mut(key), default) {
            (Some(Value::Null), _) => drop(values.remove(key)),
            (Some(Value::Object(values)), Value::Object(defaults)) => complete(values, defaults),
            (Some(_), _) => {}
            (None, _) => drop(values.insert(key.clone(), default.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
