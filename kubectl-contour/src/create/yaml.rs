//! YAML as people write it: comments, no quotes where none are needed, lists not indented.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Comments by the field that they stand above, such as `.spec.routes[0]`; the empty field is the
/// document as a whole.
pub type Comments = BTreeMap<String, String>;

/// How wide a comment is, its indentation included.
const WIDTH: usize = 98;

/// Writes one document.
///
/// # Guarantees
/// Read as YAML 1.2, the text is `value` again.
pub fn write(value: &Value, comments: &Comments) -> String {
    let mut writer = Writer { out: String::new(), comments };
    writer.comment("", 0);
    if let Some(fields) = mapping(value) {
        writer.fields(fields, "", 0, false);
    } else if let Some(items) = list(value) {
        writer.items(items, "", 0);
    } else {
        writer.push(&format!("{}\n", scalar(value)));
    }
    writer.out
}

struct Writer<'a> {
    out: String,
    comments: &'a Comments,
}

impl Writer<'_> {
    /// Writes `fields` at `depth`; the first one on a line that is begun already, if `begun`.
    fn fields(
        &mut self,
        fields: &serde_json::Map<String, Value>,
        path: &str,
        depth: usize,
        begun: bool,
    ) {
        for (index, (name, value)) in fields.iter().enumerate() {
            let path = format!("{path}.{name}");
            if index > 0 || !begun {
                self.comment(&path, depth);
                self.indent(depth);
            }
            let key = plain_or_quoted(name);
            if let Some(inner) = mapping(value) {
                self.push(&format!("{key}:\n"));
                self.fields(inner, &path, depth + 2, false);
            } else if let Some(items) = list(value) {
                self.push(&format!("{key}:\n"));
                self.items(items, &path, depth);
            } else {
                self.push(&format!("{key}: {}\n", scalar(value)));
            }
        }
    }

    fn items(&mut self, items: &[Value], path: &str, depth: usize) {
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.comment(&path, depth);
            self.indent(depth);
            self.push("- ");
            match mapping(item) {
                Some(inner) => self.fields(inner, &path, depth + 2, true),
                // A list in a list has no place of its own in our kinds; in flow style it is right.
                None => self.push(&format!("{}\n", scalar(item))),
            }
        }
    }

    fn comment(&mut self, path: &str, depth: usize) {
        let Some(comment) = self.comments.get(path) else { return };
        for paragraph in comment.lines() {
            for line in wrap(paragraph, WIDTH.saturating_sub(depth + 2)) {
                self.indent(depth);
                let text = format!("# {line}");
                self.push(text.trim_end());
                self.push("\n");
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        // Writing to a String cannot fail.
        let _infallible = write!(self.out, "{:depth$}", "");
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }
}

/// A mapping with something in it.
fn mapping(value: &Value) -> Option<&serde_json::Map<String, Value>> {
    value.as_object().filter(|fields| !fields.is_empty())
}

/// A list with something in it.
fn list(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().filter(|items| !items.is_empty())
}

/// Lines of at most `width` characters, where the words allow it.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let Some(line) = lines.last_mut() else { continue };
        if line.is_empty() {
            line.push_str(&word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

fn scalar(value: &Value) -> String {
    match value.as_str() {
        Some(text) => plain_or_quoted(text),
        // JSON is YAML: empty lists and mappings, lists in lists, numbers, booleans and null.
        None => escape(&value.to_string()),
    }
}

fn plain_or_quoted(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { escape(&Value::from(text).to_string()) }
}

/// Whether every reader of YAML takes the bare text for a string, of version 1.1 too.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let inside = |c: char| c.is_ascii_alphanumeric() || "/._-+@$()[]{},=;".contains(c);
    // Within brackets and braces a reader of flow style would stop; at block level it does not.
    let word = text.to_ascii_lowercase();
    let meaning = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    // A time: no reader takes digits and one of these units for a number.
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.len() < text.len() && ["s", "m", "h", "ms"].contains(&unit) {
        return true;
    }
    begins
        && text.chars().all(|c| inside(c) || c == ':')
        && !text.ends_with(':')
        && !meaning.contains(&word.as_str())
}

/// Escapes what JSON may hold bare and YAML may not, or what would deceive the eye.
fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let hidden = matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200e}' | '\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}'
        );
        if hidden {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_as_people_write_it() {
        let value = json!({
            "kind": "IngressRoute",
            "metadata": {"name": "shop", "labels": {}, "annotations": {"a.b/c": "1"}},
            "spec": {"routes": [
                {"match": "/", "services": [{"name": "web", "port": 80}]},
                {"match": "/no", "delegate": {"name": "no"}},
            ], "args": ["-v", "a b", ["x", "y"], []]},
        });
        let mut comments = Comments::new();
        comments.insert(String::new(), "A shop.".to_owned());
        comments.insert(".spec.routes[1]".to_owned(), "Another team's.\nTheirs.".to_owned());
        comments.insert(".spec.routes[0].services".to_owned(), "By weight.".to_owned());
        let expected = r#"# A shop.
kind: IngressRoute
metadata:
  name: shop
  labels: {}
  annotations:
    a.b/c: "1"
spec:
  routes:
  - match: /
    # By weight.
    services:
    - name: web
      port: 80
  # Another team's.
  # Theirs.
  - match: /no
    delegate:
      name: "no"
  args:
  - "-v"
  - "a b"
  - ["x","y"]
  - []
"#;
        assert_eq!(write(&value, &comments), expected);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "",
            " ",
            "a",
            "a: b",
            "a:b",
            "a:",
            "#",
            "a #b",
            "- a",
            "yes",
            "30s",
            "1h2",
            "007m",
            "No",
            "null",
            "~",
            "1",
            "0x1",
            "1e3",
            "1_000",
            "2026-01-31",
            "a\nb",
            "a\tb",
            "\u{1}",
            "\u{85}",
            "\u{2028}",
            "é",
            "🦀",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "'a'",
            "\"a\"",
            "\\",
            "{a}",
            "[a",
            "a]",
            "a{b",
            ".inf",
            "=",
            "<<",
            "a,b",
            "$(POD_IP):80",
            "/[x]",
            "/a:b",
        ] {
            let value = json!({"a": text, text: [text, {"b": text}]});
            let written = write(&value, &Comments::new());
            let read: Value =
                serde_saphyr::from_str(&written).unwrap_or_else(|e| panic!("{e}\n{written}"));
            assert_eq!(read, value, "{written}");
        }
    }

    #[test]
    fn comments_are_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("a\u{1b}[31mb", 7), ["a[31mb"]);
    }
}
