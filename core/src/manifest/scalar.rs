//! The types of scalars by the YAML 1.2 core schema.

use std::borrow::Cow;

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written; the value if it is a whole one that fits.
    Number(Cow<'a, str>, Option<i64>),
    /// Text.
    Text(Cow<'a, str>),
}

/// Types an unquoted scalar.
///
/// `yes`, `no`, `on` and `off` are text, as YAML 1.2 says. So are `010` and `1_000`: readers
/// disagree on what number they are, so that a field that needs a number reports them.
pub(super) fn plain(text: Cow<'_, str>) -> Scalar<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ => match number(&text) {
            Some(Numeral::Whole(value)) => Scalar::Number(text, Some(value)),
            Some(Numeral::Other) => Scalar::Number(text, None),
            None => Scalar::Text(text),
        },
    }
}

/// What a text is that is a number.
#[derive(Clone, Copy)]
enum Numeral {
    Whole(i64),
    /// A fraction, or out of range.
    Other,
}

fn whole(value: Option<i64>) -> Numeral {
    value.map_or(Numeral::Other, Numeral::Whole)
}

fn number(text: &str) -> Option<Numeral> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_digits(unsigned) {
        let ambiguous = unsigned.starts_with('0') && unsigned != "0";
        return (!ambiguous).then(|| whole(text.parse().ok()));
    }
    is_float(text, unsigned).then_some(Numeral::Other)
}

fn radix(digits: &str, radix: u32) -> Option<Numeral> {
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    valid.then(|| whole(i64::from_str_radix(digits, radix).ok()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, infinities and NaN.
fn is_float(text: &str, unsigned: &str) -> bool {
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_is_whole =
        exponent.is_none_or(|e| is_digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let mantissa_is_decimal = match mantissa.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(mantissa) && exponent.is_some(),
    };
    exponent_is_whole && mantissa_is_decimal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_typed_by_the_core_schema() {
        let number = |text: &'static str, value| Scalar::Number(text.into(), value);
        for (text, want) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("NULL", Scalar::Null),
            ("nULL", Scalar::Text("nULL".into())),
            ("true", Scalar::Bool(true)),
            ("False", Scalar::Bool(false)),
            ("yes", Scalar::Text("yes".into())),
            ("on", Scalar::Text("on".into())),
            ("0", number("0", Some(0))),
            ("-12", number("-12", Some(-12))),
            ("+12", number("+12", Some(12))),
            ("0x1F", number("0x1F", Some(31))),
            ("0o17", number("0o17", Some(15))),
            ("010", Scalar::Text("010".into())),
            ("1_000", Scalar::Text("1_000".into())),
            ("9223372036854775808", number("9223372036854775808", None)),
            ("1.5", number("1.5", None)),
            (".5e-3", number(".5e-3", None)),
            ("1.", number("1.", None)),
            ("1e3", number("1e3", None)),
            ("-.inf", number("-.inf", None)),
            (".nan", number(".nan", None)),
            ("-.nan", Scalar::Text("-.nan".into())),
            (".", Scalar::Text(".".into())),
            ("e3", Scalar::Text("e3".into())),
            ("1e", Scalar::Text("1e".into())),
            ("0x", Scalar::Text("0x".into())),
            ("0xg", Scalar::Text("0xg".into())),
            ("1.2.3", Scalar::Text("1.2.3".into())),
            ("2026-01-01T00:00:00Z", Scalar::Text("2026-01-01T00:00:00Z".into())),
            ("<<", Scalar::Text("<<".into())),
        ] {
            assert_eq!(plain(text.into()), want, "{text:?}");
        }
    }
}
