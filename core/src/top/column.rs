//! The columns of each view: what they are called, what they say of a row, and how.

mod certificates;
mod endpoints;
mod envoys;
mod routes;
mod shifts;
mod upstreams;

use std::borrow::Cow;
use std::sync::Arc;

use super::frame::{Fault, Numbers};
use super::item::{self, Item, View};
use super::number::{self, UNKNOWN};

/// Where a cell stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// How a cell is meant. Its text says so too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// As it is.
    #[default]
    Plain,
    /// It can be passed over.
    Faint,
    /// It is well.
    Good,
    /// Somebody should look at it.
    Warn,
    /// It does not work.
    Bad,
}

/// What can be drawn instead of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Graph {
    /// Requests a second, a value for each second, the newest last.
    Trend(Vec<f32>),
    /// Names and their shares in percent.
    Shares(Vec<(Arc<str>, f64)>),
}

/// What stands in a column of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// All of it in words; `-` if it is not known.
    pub text: String,
    /// How it is meant.
    pub mark: Mark,
    /// A drawing of the same.
    pub graph: Option<Graph>,
}

/// What a cell is for those who compare.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// It is not known.
    Unknown,
    /// In the unit that the column says: a second's rate, percent, milliseconds, bytes, seconds.
    Number(f64),
    /// Words.
    Text(Cow<'a, str>),
}

/// What the number of a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A text.
    Words,
    /// A count, or a rate a second.
    Quantity,
    /// Percent.
    Percent,
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in `--columns`, `--sort-by`, filters and CSV.
    pub name: &'static str,
    /// What stands above it.
    pub heading: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// Where its cells stand.
    pub align: Align,
    /// What its numbers are.
    pub unit: Unit,
    /// 0: always shown; the higher, the sooner it is left out where it is narrow.
    pub rank: u8,
    /// Whether it is shown only if it is asked for.
    pub wide: bool,
    /// The least and the most columns of a terminal that it takes.
    pub width: (u16, u16),
    read: for<'a> fn(Item<'a>, u64) -> Value<'a>,
    show: Option<fn(Item<'_>, u64) -> Cell>,
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.help) == (other.name, other.help)
    }
}

impl View {
    /// Its columns, in the order in which they are shown.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Routes => routes::COLUMNS,
            Self::Upstreams => upstreams::COLUMNS,
            Self::Endpoints => endpoints::COLUMNS,
            Self::Envoys => envoys::COLUMNS,
            Self::Certificates => certificates::COLUMNS,
            Self::Shifts => shifts::SHIFTS,
            Self::Events => shifts::EVENTS,
        }
    }

    /// A column by its name, whatever its case.
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// A view by its name, or by how its name begins.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let begins = |view: &Self| !text.is_empty() && view.name().starts_with(&text);
        // `e` may be Endpoints, Envoys or Events.
        let mut found = Self::ALL.into_iter().filter(begins);
        let first = found.next()?;
        (found.next().is_none() || first.name() == text).then_some(first)
    }
}

impl Column {
    /// What it says of a row, at a time in milliseconds since the Unix epoch.
    pub fn cell(&self, item: Item<'_>, now: u64) -> Cell {
        if let Some(show) = self.show {
            return show(item, now);
        }
        match self.value(item, now) {
            Value::Unknown => Cell::unknown(),
            Value::Text(text) if text.is_empty() => Cell::unknown(),
            Value::Text(text) => Cell::plain(text),
            Value::Number(number) => Cell::plain(self.unit.show(number)),
        }
    }

    /// The same for those who compare.
    pub fn value<'a>(&self, item: Item<'a>, now: u64) -> Value<'a> {
        (self.read)(item, now)
    }

    const fn text(
        (name, heading): (&'static str, &'static str),
        help: &'static str,
        width: (u16, u16),
        read: for<'a> fn(Item<'a>, u64) -> Value<'a>,
    ) -> Self {
        Self {
            name,
            heading,
            help,
            align: Align::Left,
            unit: Unit::Words,
            rank: 0,
            wide: false,
            width,
            read,
            show: None,
        }
    }

    const fn number(
        (name, heading): (&'static str, &'static str),
        help: &'static str,
        unit: Unit,
        read: for<'a> fn(Item<'a>, u64) -> Value<'a>,
    ) -> Self {
        let column = Self::text((name, heading), help, (4, 7), read);
        Self { align: Align::Right, unit, ..column }
    }

    const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    const fn wide(self) -> Self {
        Self { wide: true, rank: 9, ..self }
    }

    const fn shown(self, show: fn(Item<'_>, u64) -> Cell) -> Self {
        Self { show: Some(show), ..self }
    }
}

impl Unit {
    fn show(self, number: f64) -> String {
        match self {
            Self::Words | Self::Quantity => number::quantity(number),
            Self::Percent => number::percent(number),
            Self::Millis => number::millis(number),
            Self::Bytes => number::bytes(number),
            Self::Seconds => number::span(number),
        }
    }
}

impl Cell {
    fn unknown() -> Self {
        Self { text: UNKNOWN.to_owned(), mark: Mark::Faint, graph: None }
    }

    fn plain(text: impl Into<String>) -> Self {
        Self::marked(text, Mark::Plain)
    }

    fn marked(text: impl Into<String>, mark: Mark) -> Self {
        Self { text: text.into(), mark, graph: None }
    }
}

impl From<Option<Fault>> for Mark {
    fn from(fault: Option<Fault>) -> Self {
        match fault {
            None => Self::Plain,
            Some(Fault::Warning) => Self::Warn,
            Some(Fault::Failure) => Self::Bad,
        }
    }
}

fn number<'a>(number: Option<f64>) -> Value<'a> {
    number.map_or(Value::Unknown, Value::Number)
}

fn whole<'a>(number: Option<impl Into<u64>>) -> Value<'a> {
    #[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
    number.map_or(Value::Unknown, |number| Value::Number(number.into() as f64))
}

fn words(text: &str) -> Value<'_> {
    if text.is_empty() { Value::Unknown } else { Value::Text(Cow::Borrowed(text)) }
}

fn owned<'a>(text: String) -> Value<'a> {
    if text.is_empty() { Value::Unknown } else { Value::Text(Cow::Owned(text)) }
}

fn list(texts: &[Arc<str>]) -> Value<'_> {
    match texts {
        [] => Value::Unknown,
        [one] => Value::Text(Cow::Borrowed(one)),
        several => Value::Text(Cow::Owned(several.join(","))),
    }
}

/// How long ago a time was, in seconds.
#[expect(clippy::cast_precision_loss, reason = "no time is so far away")]
fn ago<'a>(unix_millis: Option<u64>, now: u64) -> Value<'a> {
    number(unix_millis.map(|then| now.saturating_sub(then) as f64 / 1e3))
}

/// The share of a class of answers, from 1 to 5.
fn class(numbers: &Numbers, class: usize) -> Option<f64> {
    numbers.classes?.get(class.checked_sub(1)?).copied()
}

/// A share of what fails.
fn suspect(share: Option<f64>) -> Cell {
    let Some(share) = share else { return Cell::unknown() };
    Cell::marked(number::percent(share), item::failing(share).into())
}

/// A rate that is well only if it is 0.
fn unwelcome(rate: Option<f64>) -> Cell {
    match rate {
        None => Cell::unknown(),
        Some(rate) if rate > 0.0 => Cell::marked(number::quantity(rate), Mark::Warn),
        Some(_) => Cell::marked("0", Mark::Faint),
    }
}

/// `2/3`: those that get traffic of all.
fn healthy_of((healthy, members): (Option<u32>, Option<u32>)) -> Cell {
    let (Some(healthy), Some(members)) = (healthy, members) else { return Cell::unknown() };
    let mark = item::health(Some(healthy), Some(members)).into();
    Cell::marked(format!("{healthy}/{members}"), mark)
}

/// The share of endpoints that get traffic, in percent.
fn healthy_percent((healthy, members): (Option<u32>, Option<u32>)) -> Option<f64> {
    let members = members.filter(|members| *members > 0)?;
    Some(f64::from(healthy?) * 100.0 / f64::from(members))
}

fn trend(numbers: &Numbers) -> Cell {
    let trend = &numbers.trend;
    let most = trend.iter().copied().fold(0.0_f32, f32::max);
    if trend.is_empty() {
        return Cell::unknown();
    }
    let text = format!("max {}", number::quantity(f64::from(most)));
    Cell { text, mark: Mark::Plain, graph: Some(Graph::Trend(trend.clone())) }
}

#[cfg(test)]
mod tests;
