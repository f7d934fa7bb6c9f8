//! What rows are to be shown: `ns=shop 5xx>1 !canary`.
//!
//! Terms stand between blanks, and all must hold. `word` is an expression that some cell must
//! match, `!word` one that none may. `column=value`, `!=`, `~expression`, `!~`, `>`, `>=`, `<`,
//! `<=` are about one column. Case does not matter. A value may be in double quotes. What is not
//! known meets no comparison; `column=-` asks for it.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

use super::column::{Column, Unit, Value};
use super::item::{Item, View};
use super::number::UNKNOWN;
use crate::manifest;

/// Which rows are to be shown; by default all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// The byte of the text at which the term begins that is wrong.
    pub at: usize,
    /// What is wrong with it.
    pub message: String,
}

#[derive(Clone, Debug)]
struct Term {
    column: Option<&'static Column>,
    test: Test,
    negated: bool,
}

#[derive(Clone, Debug)]
enum Test {
    /// The whole cell.
    Is(String),
    Matches(Regex),
    Number(Order, f64),
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

/// Operators, longer ones before those that they begin with.
const OPERATORS: [&str; 8] = ["!=", "!~", ">=", "<=", "=", "~", ">", "<"];

/// The largest compiled expression, in bytes: what is typed is matched against every cell.
const EXPRESSION_BYTES: usize = 64 << 10;

impl Filter {
    /// Reads a filter for a view.
    ///
    /// # Errors
    /// Says where it is wrong, and how: an unknown column, a number that is none, an expression
    /// that is none.
    pub fn parse(text: &str, view: View) -> Result<Self, FilterError> {
        let mut terms = Vec::new();
        for (at, word) in words(text)? {
            let term = Term::parse(&word, view).map_err(|message| FilterError { at, message })?;
            terms.push(term);
        }
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    /// Whether a row is to be shown, at a time in milliseconds since the Unix epoch.
    pub fn matches(&self, item: Item<'_>, now: u64) -> bool {
        self.terms.iter().all(|term| term.holds(item, now))
    }

    /// Whether it shows everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The words of a text and where they begin, quotes kept together.
fn words(text: &str) -> Result<Vec<(usize, String)>, FilterError> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut quoted = None;
    let mut within = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => {
                quoted = if quoted.is_some() { None } else { Some(at) };
                // Quotes around nothing are a word too.
                if !within {
                    words.push((at, String::new()));
                    within = true;
                }
            }
            c if c.is_whitespace() && quoted.is_none() => within = false,
            c => {
                if !within {
                    words.push((at, String::new()));
                    within = true;
                }
                if let Some((_, word)) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    match quoted {
        Some(at) => Err(FilterError { at, message: "this quote is not closed".to_owned() }),
        None => Ok(words),
    }
}

impl Term {
    fn parse(word: &str, view: View) -> Result<Self, String> {
        let first = OPERATORS
            .iter()
            .filter_map(|operator| Some((word.find(operator)?, *operator)))
            // `!=` and `=` both are found in `a!=b`: the one that begins first, and is longer.
            .min_by_key(|(at, operator)| (*at, std::cmp::Reverse(operator.len())));
        if let Some((at, operator)) = first
            && let (Some(name), Some(value)) = (word.get(..at), word.get(at + operator.len()..))
            && !name.is_empty()
        {
            return Self::of_column(name, operator, value, view);
        }
        let (negated, expression) = match word.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        if expression.is_empty() {
            return Err("an expression is missing".to_owned());
        }
        Ok(Self { column: None, test: Test::Matches(compile(expression)?), negated })
    }

    fn of_column(name: &str, operator: &str, value: &str, view: View) -> Result<Self, String> {
        let column = view.column(name).ok_or_else(|| unknown_column(name, view))?;
        if value.is_empty() {
            return Err(format!("{name}{operator} lacks a value"));
        }
        let (order, negated) = match operator {
            "~" | "!~" => {
                let test = Test::Matches(compile(value)?);
                return Ok(Self { column: Some(column), test, negated: operator == "!~" });
            }
            ">" => (Order::Greater, false),
            ">=" => (Order::GreaterOrEqual, false),
            "<" => (Order::Less, false),
            "<=" => (Order::LessOrEqual, false),
            _ => (Order::Equal, operator == "!="),
        };
        let test = match (column.unit.read(value), order) {
            (Some(number), order) if column.unit != Unit::Words => Test::Number(order, number),
            (_, Order::Equal) => Test::Is(value.to_lowercase()),
            (Some(number), order) => Test::Number(order, number),
            (None, _) => return Err(format!("{value:?} is no number{}", column.unit.example())),
        };
        Ok(Self { column: Some(column), test, negated })
    }

    fn holds(&self, item: Item<'_>, now: u64) -> bool {
        let held = if let Some(column) = self.column {
            self.test.holds(column, item, now)
        } else {
            // What is not shown is not searched: nobody would see why a row is there.
            let shown = item.view().columns().iter().filter(|column| !column.wide);
            let mut held = shown.map(|column| self.test.holds(column, item, now));
            Some(held.any(|held| held == Some(true)))
        };
        match (held, &self.test) {
            (Some(held), _) => held != self.negated,
            // What is not known is not what was named, but neither less nor more nor equal.
            (None, Test::Is(_) | Test::Matches(_)) => self.negated,
            (None, Test::Number(..)) => false,
        }
    }
}

impl Test {
    /// Whether a cell passes; `None` if it is not known.
    fn holds(&self, column: &Column, item: Item<'_>, now: u64) -> Option<bool> {
        let value = column.value(item, now);
        match (self, value) {
            (Self::Number(order, limit), Value::Number(number)) => {
                Some(order.holds(number, *limit))
            }
            (Self::Number(order, limit), Value::Text(text)) => {
                Some(order.holds(column.unit.read(&text)?, *limit))
            }
            (Self::Is(wanted), Value::Unknown) => (wanted == UNKNOWN).then_some(true),
            (Self::Number(..) | Self::Matches(_), Value::Unknown) => None,
            // A cell with several names is each of them.
            (Self::Is(wanted), Value::Text(text)) => {
                let text = text.to_lowercase();
                Some(text == *wanted || text.split([',', ' ']).any(|part| part == wanted))
            }
            (Self::Is(wanted), Value::Number(_)) => {
                Some(column.cell(item, now).text.to_lowercase() == *wanted)
            }
            (Self::Matches(expression), Value::Text(text)) => Some(expression.is_match(&text)),
            (Self::Matches(expression), Value::Number(_)) => {
                Some(expression.is_match(&column.cell(item, now).text))
            }
        }
    }
}

impl Order {
    fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Greater => number > limit,
            Self::GreaterOrEqual => number >= limit,
            // What was typed has few digits.
            Self::Equal => (number - limit).abs() <= limit.abs() * 1e-9,
        }
    }
}

impl Unit {
    /// A number as it is written, in the unit of the column.
    fn read(self, text: &str) -> Option<f64> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)));
        let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
        let number: f64 = digits.parse().ok()?;
        let factor = match (self, unit) {
            (_, "")
            | (Self::Percent, "%")
            | (Self::Millis, "ms")
            | (Self::Seconds, "s")
            | (Self::Bytes, "B")
            | (Self::Quantity, "/s") => 1.0,
            (Self::Millis, "us" | "µs") | (Self::Seconds, "ms") => 1e-3,
            (Self::Millis, "s") | (Self::Quantity | Self::Words, "k") => 1e3,
            (Self::Quantity | Self::Words, "M") => 1e6,
            (Self::Millis, "m") => 60e3,
            (Self::Seconds, "m") => 60.0,
            (Self::Seconds, "h") => 3_600.0,
            (Self::Seconds, "d") => 86_400.0,
            (Self::Bytes, "k" | "K" | "Ki") => 1024.0,
            (Self::Bytes, "M" | "Mi") => 1_048_576.0,
            (Self::Bytes, "G" | "Gi") => 1_073_741_824.0,
            (_, _) => return None,
        };
        Some(number * factor)
    }

    fn example(self) -> &'static str {
        match self {
            Self::Words => "",
            Self::Quantity => ", such as 10 or 1.5k",
            Self::Percent => ", such as 5 or 0.1%",
            Self::Millis => ", such as 250ms or 1.5s",
            Self::Bytes => ", such as 500Mi",
            Self::Seconds => ", such as 90s, 2h or 3d",
        }
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(expression);
    let compiled = builder.case_insensitive(true).size_limit(EXPRESSION_BYTES).build();
    compiled.map_err(|error| format!("{expression:?} is no expression: {error}"))
}

/// What to say of a name that no column has.
pub fn unknown_column(name: &str, view: View) -> String {
    let names: Vec<_> = view.columns().iter().map(|column| column.name).collect();
    let near = manifest::nearest(name, names.iter().copied());
    let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let list = names.join(", ");
    format!("{} have no column {name:?}{meant}; there are {list}", view.name())
}

#[cfg(test)]
mod tests;
