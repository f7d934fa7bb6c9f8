//! What differs between two states of an object, field by field.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where it is, as error messages of Kubernetes have it: `.spec.containers[envoy].image`.
    pub(super) path: String,
    /// What it is; `None` if it is not there.
    pub(super) from: Option<Value>,
    /// What it will be; `None` if it goes.
    pub(super) to: Option<Value>,
}

/// The fields that differ, in the order of `to`. Elements of a list that all have a name, or else a
/// port, key or type of their own, are matched by it, so that one more at the front is one more and
/// not a change of all.
pub(super) fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), from, to, &mut found);
    found
}

fn compare(path: String, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    match (from, to) {
        _ if from == to => {}
        (Value::Object(old), Value::Object(new)) => {
            let all = new.keys().chain(old.keys().filter(|key| !new.contains_key(*key)));
            for key in all {
                let inner = format!("{path}{}", step(key));
                both(inner, old.get(key), new.get(key), found);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            if let (Some(old), Some(new)) = (by_name(old), by_name(new)) {
                for (name, value) in &new {
                    both(format!("{path}[{name}]"), old.get(name).copied(), Some(value), found);
                }
                for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
                    both(format!("{path}[{name}]"), Some(value), None, found);
                }
            } else if old.len() == new.len() {
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    compare(format!("{path}[{index}]"), old, new, found);
                }
            } else {
                found.push(Difference { path, from: Some(from.clone()), to: Some(to.clone()) });
            }
        }
        _ => found.push(Difference { path, from: Some(from.clone()), to: Some(to.clone()) }),
    }
}

fn both(path: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Difference>) {
    match (from, to) {
        (Some(from), Some(to)) => compare(path, from, to, found),
        (from, to) => found.push(Difference { path, from: from.cloned(), to: to.cloned() }),
    }
}

fn step(key: &str) -> String {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { format!(".{key}") } else { format!("[{key:?}]") }
}

/// The elements by the field that tells them apart; `None` if no field does.
fn by_name(list: &[Value]) -> Option<BTreeMap<String, &Value>> {
    ["name", "mountPath", "containerPort", "port", "topologyKey"].iter().find_map(|field| {
        let named: BTreeMap<_, _> = list
            .iter()
            .filter_map(|element| {
                let name = match element.get(*field)? {
                    Value::String(name) => name.clone(),
                    Value::Number(number) => number.to_string(),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                        return None;
                    }
                };
                Some((name, element))
            })
            .collect();
        (!list.is_empty() && named.len() == list.len()).then_some(named)
    })
}

/// The differences as lines, without colour: `.spec.replicas: 2 → 3`. With `masked`, values are not
/// shown, since they are secret.
pub(super) fn describe(differences: &[Difference], masked: bool) -> Vec<(char, String)> {
    let mut lines = Vec::new();
    for difference in differences {
        let short = |value: &Value| if masked { "***".to_owned() } else { value.to_string() };
        let is_short = |value: &Value| !value.is_object() && !value.is_array();
        match (&difference.from, &difference.to) {
            (Some(from), Some(to)) if masked || (is_short(from) && is_short(to)) => {
                lines.push(('~', format!("{}: {} → {}", difference.path, short(from), short(to))));
            }
            (from, to) => {
                for (sign, value) in [('-', from), ('+', to)] {
                    let Some(value) = value else { continue };
                    if masked || is_short(value) {
                        lines.push((sign, format!("{}: {}", difference.path, short(value))));
                    } else {
                        lines.push((sign, format!("{}:", difference.path)));
                        lines.extend(indented(value).map(|line| (sign, line)));
                    }
                }
            }
        }
    }
    lines
}

/// A value as YAML, each line indented.
fn indented(value: &Value) -> impl Iterator<Item = String> {
    let text = yaml(value);
    let lines: Vec<_> = text.lines().map(|line| format!("  {line}")).collect();
    lines.into_iter()
}

/// A value as YAML.
pub(super) fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_else(|_error| {
        let mut text = String::new();
        // Writing to a String cannot fail; JSON is YAML.
        let _unused = writeln!(text, "{value:#}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(from: &Value, to: &Value) -> Vec<String> {
        let lines = describe(&differences(from, to), false);
        lines.into_iter().map(|(sign, line)| format!("{sign} {line}")).collect()
    }

    #[test]
    fn a_changed_field_is_shown_with_both_values() {
        let from = json!({"spec": {"replicas": 2, "paused": true}});
        let to = json!({"spec": {"replicas": 3, "minReadySeconds": 5}});
        assert_eq!(
            lines(&from, &to),
            ["~ .spec.replicas: 2 → 3", "+ .spec.minReadySeconds: 5", "- .spec.paused: true"]
        );
    }

    #[test]
    fn a_container_more_is_not_a_change_of_all() {
        let envoy = json!({"name": "envoy", "image": "envoy:1"});
        let from = json!({"containers": [envoy]});
        let to = json!({"containers": [{"name": "first", "image": "a"}, envoy]});
        assert_eq!(lines(&from, &to), ["+ .containers[first]:", "+   name: first", "+   image: a"]);
    }

    #[test]
    fn keys_with_dots_can_be_told_from_paths() {
        let to = json!({"metadata": {"labels": {"app.kubernetes.io/name": "contour"}}});
        let from = json!({"metadata": {"labels": {}}});
        let expected = r#"+ .metadata.labels["app.kubernetes.io/name"]: "contour""#;
        assert_eq!(lines(&from, &to), [expected]);
    }

    #[test]
    fn secret_values_are_not_shown() {
        let from = json!({"data": {"tls.key": "b2xk", "new": 1}});
        let to = json!({"data": {"tls.key": "bmV3"}});
        let shown = format!("{:?}", describe(&differences(&from, &to), true));
        assert!(
            shown.contains("***") && !shown.contains("bmV3") && !shown.contains("b2xk"),
            "{shown}"
        );
    }
}
