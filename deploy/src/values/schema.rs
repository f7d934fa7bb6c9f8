//! What is wrong with values, by the chart's schema: the keywords of JSON Schema that it uses.

use serde_json::{Map, Value};

use super::Fault;

/// Everything that a schema finds wrong, in the order of the values.
pub(super) fn faults(schema: &Value, values: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    check(schema, values, "", &mut found);
    found
}

/// What somebody is told that a value is.
pub(super) fn told(value: &Value) -> String {
    match value {
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(map) if map.is_empty() => "an empty map".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
    }
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<Fault>) {
    if !is_expected(schema, value) {
        return found.push(Fault::Unexpected {
            path: path.to_owned(),
            expected: expected(schema),
            found: told(value),
        });
    }
    match value {
        Value::Object(map) => check_map(schema, map, path, found),
        Value::Array(list) => {
            for (item, index) in list.iter().zip(0..) {
                if let Some(schema) = schema.get("items") {
                    check(schema, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_map(schema: &Value, map: &Map<String, Value>, path: &str, found: &mut Vec<Fault>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, value) in map {
        let below = if path.is_empty() { escaped(key) } else { format!("{path}.{}", escaped(key)) };
        let known = properties.and_then(|p| p.get(key));
        match (known, schema.get("additionalProperties")) {
            (Some(schema), _) => check(schema, value, &below, found),
            (None, Some(Value::Bool(false))) => {
                let names = properties.into_iter().flat_map(Map::keys);
                let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
                let nearest = nearest(key, names).map(|name| format!("{prefix}{name}"));
                found.push(Fault::Unknown { path: below, nearest });
            }
            // Here null removes a default.
            (None, Some(schema @ Value::Object(_))) if !value.is_null() => {
                check(schema, value, &below, found);
            }
            (None, _) => {}
        }
    }
}

/// A key as it is written in a path.
fn escaped(key: &str) -> String {
    key.replace('.', "\\.")
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_expected(schema: &Value, value: &Value) -> bool {
    let types = types(schema);
    let of_type = types.is_empty() || types.iter().any(|name| is_of_type(value, name));
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|all| all.contains(value));
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let in_range = value.as_f64().is_none_or(|number| {
        bound("minimum").is_none_or(|least| number >= least)
            && bound("maximum").is_none_or(|most| number <= most)
    });
    let shortest = schema.get("minLength").is_some();
    let long_enough = value.as_str().is_none_or(|text| !shortest || !text.is_empty());
    of_type && listed && in_range && long_enough
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => false,
    }
}

fn expected(schema: &Value) -> String {
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        let all: Vec<_> = all.iter().map(|v| v.as_str().unwrap_or_default()).collect();
        return match all.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => all.join(""),
        };
    }
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
    let range = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" from {least}"),
        _ => String::new(),
    };
    let names: Vec<_> = types(schema)
        .into_iter()
        .map(|name| match name {
            "object" => "a map".to_owned(),
            "array" => "a list".to_owned(),
            "boolean" => "true or false".to_owned(),
            "integer" => format!("a whole number{range}"),
            _ => "text".to_owned(),
        })
        .collect();
    names.join(" or ")
}

/// The name that is almost `key`, if there is one.
fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let longest = key.chars().count().max(3);
    let distances = names.map(|name| (distance(&key.to_lowercase(), &name.to_lowercase()), name));
    distances
        .min_by_key(|(far, _)| *far)
        .filter(|(far, _)| far * 2 <= longest)
        .map(|(_, name)| name)
}

/// How many letters to insert, delete or replace (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (a, number) in from.chars().zip(1..) {
        let mut next = vec![number];
        let mut left = number;
        for (b, pair) in to.chars().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(a != b));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
