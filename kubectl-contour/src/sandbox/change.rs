//! Which fields of an object differ.

use serde::Serialize;
use serde_json::{Map, Value};

/// What is shown in place of the values of a Secret.
const MASK: &str = "•••";

/// The keys by which elements of a list are told apart, the first that all of them have.
const KEYS: [&str; 2] = ["match", "name"];

/// The annotation of a shift: thousands of characters, of which the weights say what matters.
const STATE: &str = "metadata.annotations.shift.contour.heptio.com/state";

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its path; elements of a list are named by their `match` or `name` where they have one:
    /// `spec.routes[/].services[blue].weight`.
    pub path: String,
    /// What it was; `None` if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is; `None` if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The fields that differ between two forms of an object. Values of a Secret are not shown.
pub fn between(before: &Value, after: &Value, secret: bool) -> Vec<Field> {
    let mut fields = Vec::new();
    compare("", Some(before), Some(after), &mut fields);
    if secret {
        for field in &mut fields {
            if field.path.starts_with("data") || field.path.starts_with("stringData") {
                field.before = field.before.take().map(|_| MASK.into());
                field.after = field.after.take().map(|_| MASK.into());
            }
        }
    }
    fields
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Field>) {
    match (before, after) {
        (before, after) if before == after || path == STATE => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            members(path, before, after, out);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            elements(path, before, after, out);
        }
        (before, after) => out.push(Field {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn members(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Field>,
) {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    for key in after.keys().chain(gone) {
        let inside = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(&inside, before.get(key), after.get(key), out);
    }
}

fn elements(path: &str, before: &[Value], after: &[Value], out: &mut Vec<Field>) {
    let Some((before, after)) = keyed(before).zip(keyed(after)) else {
        for index in 0..before.len().max(after.len()) {
            let inside = format!("{path}[{index}]");
            compare(&inside, before.get(index), after.get(index), out);
        }
        return;
    };
    let find = |list: &[(String, &Value)], name: &str| {
        list.iter().find(|(key, _)| key == name).map(|(_, value)| (*value).clone())
    };
    let gone = before.iter().filter(|(key, _)| find(&after, key).is_none());
    for (key, _) in after.iter().chain(gone) {
        let inside = format!("{path}[{key}]");
        let (before, after) = (find(&before, key), find(&after, key));
        compare(&inside, before.as_ref(), after.as_ref(), out);
    }
}

/// The elements by their names, if each has one and no two have the same.
fn keyed(list: &[Value]) -> Option<Vec<(String, &Value)>> {
    KEYS.iter().find_map(|key| {
        let named: Vec<(String, &Value)> = list
            .iter()
            .map(|element| Some((element.get(key)?.as_str()?.to_owned(), element)))
            .collect::<Option<_>>()?;
        let mut keys: Vec<&String> = named.iter().map(|(key, _)| key).collect();
        keys.sort();
        keys.windows(2).all(|pair| pair.first() != pair.last()).then_some(named)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: &Value, after: &Value) -> Vec<String> {
        between(before, after, false)
            .into_iter()
            .map(|f| format!("{} {:?} {:?}", f.path, f.before, f.after))
            .collect()
    }

    fn route(services: &Value) -> Value {
        json!({"spec": {"routes": [{"match": "/", "services": services}]}})
    }

    #[test]
    fn elements_are_named_and_their_order_does_not_matter() {
        let before =
            route(&json!([{"name": "blue", "weight": 90}, {"name": "green", "weight": 10}]));
        let after =
            route(&json!([{"name": "green", "weight": 10}, {"name": "blue", "weight": 50}]));
        assert_eq!(
            lines(&before, &after),
            ["spec.routes[/].services[blue].weight Some(Number(90)) Some(Number(50))"]
        );
        assert!(lines(&before, &before).is_empty());
    }

    #[test]
    fn what_comes_and_goes_is_told_whole() {
        let before = route(&json!([{"name": "blue"}]));
        let after = route(&json!([{"name": "green"}]));
        let fields = between(&before, &after, false);
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0].path, "spec.routes[/].services[green]");
        assert_eq!((&fields[0].before, fields[1].after.as_ref()), (&None, None));
    }

    #[test]
    fn elements_that_share_a_name_are_told_by_their_place() {
        let before = route(&json!([{"name": "blue", "port": 80}, {"name": "blue", "port": 81}]));
        let after = route(&json!([{"name": "blue", "port": 80}, {"name": "blue", "port": 82}]));
        assert_eq!(
            lines(&before, &after),
            ["spec.routes[/].services[1].port Some(Number(81)) Some(Number(82))"]
        );
    }

    #[test]
    fn values_of_a_secret_are_not_shown() {
        let fields = between(
            &json!({"stringData": {"tls.key": "old"}, "type": "a"}),
            &json!({"stringData": {"tls.key": "new"}, "type": "b"}),
            true,
        );
        let text = serde_json::to_string(&fields).unwrap();
        assert!(!text.contains("old") && !text.contains("new"), "{text}");
        assert!(text.contains("stringData.tls.key") && text.contains(r#""after":"b""#));
    }
}
