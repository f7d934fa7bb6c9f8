//! What to say about a value of the wrong type.

use super::super::scalar::Scalar;
use super::super::tree::Value;

/// What a field wants.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Bool,
    Int,
    Text,
    List,
    Mapping,
}

impl Wanted {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

/// What stands there, without its value if that is secret.
pub(super) fn describe(value: Option<&Value<'_>>, secret: bool) -> String {
    match value {
        Some(Value::Scalar(Scalar::Text(text))) if secret => {
            format!("text of {} characters", text.chars().count())
        }
        Some(Value::Scalar(Scalar::Number(..))) if secret => "a number".to_owned(),
        Some(Value::Scalar(Scalar::Text(text))) => {
            let short: String = text.chars().take(40).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("the text {short:?}{more}")
        }
        Some(Value::Scalar(Scalar::Number(text, value))) => {
            let short: String = text.chars().take(40).collect();
            let digits = short.trim_start_matches(['-', '+']);
            let whole = digits.bytes().all(|b| b.is_ascii_digit());
            if whole && value.is_none() {
                format!("the number {short}, which is out of range")
            } else {
                format!("the number {short}")
            }
        }
        Some(Value::Scalar(Scalar::Bool(value))) => value.to_string(),
        Some(Value::Sequence(_)) => "a list".to_owned(),
        Some(Value::Mapping(_)) => "a mapping".to_owned(),
        Some(Value::Scalar(Scalar::Null) | Value::Alias(_)) | None => "nothing".to_owned(),
    }
}

pub(super) fn hint(wanted: Wanted, value: Option<&Value<'_>>) -> Option<String> {
    let hint = match (wanted, value?) {
        (Wanted::Text, Value::Scalar(Scalar::Number(..) | Scalar::Bool(_))) => {
            "Put it into quotes.".to_owned()
        }
        (Wanted::Int, Value::Scalar(Scalar::Text(text))) if text.parse::<i64>().is_ok() => {
            if text.trim_start_matches(['-', '+']).starts_with('0') && text.len() > 1 {
                "Write the number without leading zeros.".to_owned()
            } else {
                "Write the number without quotes.".to_owned()
            }
        }
        (Wanted::Bool, Value::Scalar(Scalar::Text(text))) => {
            match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => "Write `true`.".to_owned(),
                "no" | "off" | "n" | "false" => "Write `false`.".to_owned(),
                _ => return None,
            }
        }
        (Wanted::List, Value::Mapping(_)) => "Begin each element with `- `.".to_owned(),
        (Wanted::Mapping, Value::Sequence(_)) => {
            "Write the fields without `- ` before them.".to_owned()
        }
        _ => return None,
    };
    Some(hint)
}
