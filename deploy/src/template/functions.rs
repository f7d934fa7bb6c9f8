//! The functions of templates.

use serde_json::{Number, Value};

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    match (name, arguments) {
        ("toJson", [value]) => {
            let mut text = String::new();
            json(value, &mut text);
            Ok(Value::String(text))
        }
        ("quote", [Value::String(text)]) => Ok(Value::String(quote(text))),
        ("printf", [Value::String(format), arguments @ ..]) => printf(format, arguments),
        ("replace", [Value::String(from), Value::String(to), Value::String(text)]) => {
            Ok(Value::String(text.replace(from, to)))
        }
        ("nindent", [Value::Number(by), Value::String(text)]) => {
            let by = by.as_u64().and_then(|by| usize::try_from(by).ok()).filter(|by| *by < 100);
            let by = " ".repeat(by.ok_or("nindent takes a number below 100")?);
            Ok(Value::String(format!("\n{by}{}", text.replace('\n', &format!("\n{by}")))))
        }
        ("default", [default, given]) => {
            Ok(if is_true(given) { given.clone() } else { default.clone() })
        }
        ("dig", [keys @ .., default, map]) => dig(keys, map).map(|found| {
            let found = found.unwrap_or(default);
            found.clone()
        }),
        ("not", [value]) => Ok(Value::Bool(!is_true(value))),
        ("and", [first, rest @ ..]) => {
            let decides = arguments.iter().find(|value| !is_true(value));
            Ok(decides.or_else(|| rest.last()).unwrap_or(first).clone())
        }
        ("eq", [Value::String(a), Value::String(b)]) => Ok(Value::Bool(a == b)),
        ("eq", [Value::Bool(a), Value::Bool(b)]) => Ok(Value::Bool(a == b)),
        _ => {
            let arguments: Vec<_> = arguments.iter().map(Value::to_string).collect();
            Err(format!("{name} is no function for these arguments: {}", arguments.join(", ")))
        }
    }
}

/// The value at the end of a path of keys, if all of them are there.
fn dig<'a>(keys: &[Value], map: &'a Value) -> Result<Option<&'a Value>, String> {
    let mut value = map;
    for key in keys {
        match (key, value) {
            (Value::String(key), Value::Object(map)) => match map.get(key) {
                Some(found) => value = found,
                None => return Ok(None),
            },
            _ => return Err(format!("dig: {key} is not looked for in {value}")),
        }
    }
    Ok(Some(value))
}

/// Whether `if` takes a value for true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// What an action puts into the text. Go prints large numbers as `1e+06`, and lists and maps in a
/// form of its own; nobody may rely on that.
pub(super) fn printed(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("toJson is missing for {value}"))
        }
    }
}

fn printf(format: &str, arguments: &[Value]) -> Result<Value, String> {
    let mut pieces = format.split("%s");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut arguments = arguments.iter();
    for piece in pieces {
        match arguments.next() {
            Some(Value::String(argument)) => text.push_str(argument),
            other => return Err(format!("printf: %s is given {other:?}")),
        }
        text.push_str(piece);
    }
    if arguments.next().is_some() || format.replace("%s", "").contains('%') {
        return Err(format!("printf: {format:?} does not go with its arguments"));
    }
    Ok(Value::String(text))
}

/// A text in quotes, as Go and YAML read it.
fn quote(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push_str(&escape(c)),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(c: char) -> String {
    let code = u32::from(c);
    if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") }
}

/// JSON as Go writes it: keys in order, `<`, `>` and `&` escaped, whole numbers without a point.
fn json(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => out.push_str(&go_number(number)),
        Value::String(text) => out.push_str(&go_text(text)),
        Value::Array(list) => {
            let mut separator = "[";
            for item in list {
                out.push_str(separator);
                json(item, out);
                separator = ",";
            }
            out.push_str(if list.is_empty() { "[]" } else { "]" });
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let mut separator = "{";
            for (key, item) in entries {
                out.push_str(separator);
                out.push_str(&go_text(key));
                out.push(':');
                json(item, out);
                separator = ",";
            }
            out.push_str(if map.is_empty() { "{}" } else { "}" });
        }
    }
}

fn go_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
            format!("{float:.0}")
        }
        _ => number.to_string(),
    }
}

fn go_text(text: &str) -> String {
    let text = Value::from(text).to_string();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&escape(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}
