//! Values and names as they are written.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::super::scalar::{Scalar, plain};

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

impl Literal {
    /// As it is written: text in double quotes as JSON has it, or in single ones if they can hold
    /// it.
    pub(super) fn write(&self, json: bool) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) if json || !text.chars().all(is_printed) => quoted(text),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
        }
    }

    pub(super) fn scalar(&self) -> Scalar<'static> {
        match self {
            Self::Number(number) => Scalar::Number(Cow::Owned(number.to_string()), Some(*number)),
            Self::Text(text) => Scalar::Text(Cow::Owned(text.clone())),
        }
    }

    /// Whether a value says this, however it is written.
    pub(super) fn is(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Number(number), Scalar::Number(_, value)) => *value == Some(*number),
            (Self::Text(text), Scalar::Text(value)) => value == text,
            (Self::Number(_) | Self::Text(_), _) => false,
        }
    }
}

/// The name of a field as it is written.
pub(super) fn key(name: &str, json: bool) -> String {
    if json {
        return quoted(name);
    }
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && matches!(plain(Cow::Borrowed(name)), Scalar::Text(_));
    if is_plain { name.to_owned() } else { Literal::Text(name.to_owned()).write(false) }
}

/// Whether a character can stand in a line of quoted text as it is, for every reader.
fn is_printed(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Text in double quotes, by what JSON and YAML have in common.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_printed(c) => out.push(c),
            c => {
                // Writing to a String cannot fail, and these are all below 2^16.
                let _unused = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
