//! The table of values, from the comments of `values.yaml`.

use serde_json::Value;

use crate::chart;
use crate::values::{Profile, Values};

/// The content of docs/values.md.
pub fn reference() -> String {
    let mut text = String::from(
        "# The values of the chart\n\n\
         Written from `deploy/chart/values.yaml`; `CONTOUR_UPDATE_DOCS=1 cargo test -p contour-deploy docs` writes it again.\n\n\
         They are the same for Helm and for `kubectl contour install`: files of them by `-f`, one by one \
         by `--set`. Unknown names and values of the wrong type are refused. Names of objects are fixed, \
         so there is one release in a namespace.\n\n\
         | value | default | meaning |\n|---|---|---|\n",
    );
    for (path, meaning) in described_values() {
        let pointer = format!("/{}", path.replace('.', "/"));
        let defaults = Value::Object(Values::defaults().clone());
        let default = defaults.pointer(&pointer).map(Value::to_string).unwrap_or_default();
        let row = format!("| `{path}` | `{default}` | {meaning} |\n");
        text.push_str(&row);
    }
    text.push_str("\n## Profiles\n\nFiles of values in `deploy/chart/profiles`, for Helm's `-f` too.\n\n| profile | |\n|---|---|\n");
    for profile in Profile::ALL {
        let row = format!("| `{profile}` | {} |\n", profile.summary());
        text.push_str(&row);
    }
    text
}

/// The path of every value that may be set, such as `contour.replicas`, with what it means.
pub fn described_values() -> Vec<(String, String)> {
    entries(chart::file("values.yaml").unwrap_or_default())
}

/// The values that have a comment, with it.
fn entries(values: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some((key, _)) = text.split_once(':')
            && !text.starts_with('-')
        {
            above.retain(|(outer, _)| *outer < indent);
            above.push((indent, key));
            if !comment.is_empty() {
                let path: Vec<_> = above.iter().map(|(_, key)| *key).collect();
                found.push((path.join("."), comment.join(" ")));
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// Every value that the schema knows and that has no names below it.
    fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
        match schema.get("properties").and_then(Value::as_object) {
            None => found.push(path.trim_start_matches('.').to_owned()),
            Some(properties) => {
                for (key, schema) in properties {
                    leaves(schema, &format!("{path}.{key}"), found);
                }
            }
        }
    }

    #[test]
    fn schema_comments_and_defaults_tell_of_the_same_values() {
        let schema: Map<String, Value> =
            serde_saphyr::from_str(chart::file("values.schema.json").unwrap()).unwrap();
        let mut known = Vec::new();
        leaves(&Value::Object(schema), "", &mut known);
        let mut told: Vec<_> = entries(chart::file("values.yaml").unwrap())
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        let defaults = Value::Object(Values::defaults().clone());
        for path in &known {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(defaults.pointer(&pointer).is_some(), "{path} has no default");
        }
        known.sort();
        told.sort();
        assert_eq!(known, told);
        assert_eq!(Values::default().merge(&defaults), Ok(()), "the defaults have faults");
    }
}
