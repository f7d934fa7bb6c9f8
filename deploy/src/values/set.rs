//! `path.to=value`, as Helm's `--set` reads it (`strvals` in its sources), its oddities included.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

/// Levels of maps, and lengths of lists, that Helm takes.
const DEEPEST: usize = 30;
const LONGEST: usize = 65536;

/// What values are taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For what they look like.
    Typed,
    /// For text.
    Text,
}

/// Writes assignments into a map.
pub(super) fn assign(into: &mut Map<String, Value>, text: &str, kind: Kind) -> Result<(), String> {
    let mut reader = Reader { rest: text.chars().peekable(), kind };
    while reader.rest.peek().is_some() {
        reader.key(into, 0)?;
    }
    Ok(())
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    kind: Kind,
}

impl Reader<'_> {
    /// Reads up to one of `stops`; what was read, and the stop, unless the text ended.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut read = String::new();
        while let Some(c) = self.rest.next() {
            if stops.contains(&c) {
                return (read, Some(c));
            }
            if c == '\\' {
                // The last one of a text stands for itself no more.
                read.extend(self.rest.next());
            } else {
                read.push(c);
            }
        }
        (read, None)
    }

    fn key(&mut self, into: &mut Map<String, Value>, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} levels"));
        }
        let (key, stop) = self.until(&['=', '[', ',', '.']);
        if key.is_empty() && stop.is_some() {
            return Err("a name is missing".to_owned());
        }
        match stop {
            Some('.') => {
                if self.rest.peek().is_none() {
                    return Err(format!("{key} has no value"));
                }
                let entry = into.entry(key).or_insert(Value::Null);
                self.key(as_map(entry)?, depth + 1)
            }
            Some('[') => {
                let entry = into.entry(key).or_insert(Value::Null);
                self.item(entry, depth)
            }
            Some('=') => {
                let value = self.value()?;
                into.insert(key, value);
                Ok(())
            }
            _ => Err(format!("{key} has no value; write NAME=VALUE")),
        }
    }

    /// After `[`: an index, and what is at it.
    fn item(&mut self, list: &mut Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} levels"));
        }
        let (index, _) = self.until(&[']']);
        let index = index.parse::<usize>().ok().filter(|index| *index <= LONGEST);
        let index = index.ok_or_else(|| format!("an index is a number up to {LONGEST}"))?;
        let list = as_list(list)?;
        if list.len() <= index {
            list.resize(index + 1, Value::Null);
        }
        let Some(item) = list.get_mut(index) else {
            return Err("an index is out of range".to_owned());
        };
        match self.rest.next() {
            Some('=') => *item = self.value()?,
            Some('.') => self.key(as_map(item)?, depth + 1)?,
            Some('[') => self.item(item, depth + 1)?,
            _ => return Err("an index is followed by =, . or [".to_owned()),
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.rest.next_if_eq(&'{').is_none() {
            let (text, _) = self.until(&[',']);
            return Ok(self.typed(text));
        }
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                Some(',') => list.push(self.typed(text)),
                Some(_) => {
                    // `{}` is an empty list, but `{a,}` has an empty text at its end.
                    if !(text.is_empty() && list.is_empty()) {
                        list.push(self.typed(text));
                    }
                    self.rest.next_if_eq(&',');
                    return Ok(Value::Array(list));
                }
                None => return Err("a list ends with }".to_owned()),
            }
        }
    }

    fn typed(&self, text: String) -> Value {
        if self.kind == Kind::Text {
            return Value::String(text);
        }
        match text.to_lowercase().as_str() {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            "null" => return Value::Null,
            "0" => return Value::from(0),
            _ => {}
        }
        // With a zero before it, it is no number but, for instance, a date.
        let number = if text.starts_with('0') { None } else { text.parse::<i64>().ok() };
        number.map_or(Value::String(text), Value::from)
    }
}

fn as_map(value: &mut Value) -> Result<&mut Map<String, Value>, String> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value
        .as_object_mut()
        .ok_or_else(|| "one name is given both a value and names below it".to_owned())
}

fn as_list(value: &mut Value) -> Result<&mut Vec<Value>, String> {
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value
        .as_array_mut()
        .ok_or_else(|| "one name is given both an index and something else".to_owned())
}
