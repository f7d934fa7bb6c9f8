//! Everything about a row, in words.

use super::column::{Column, Mark};
use super::frame::{Destination, Envoy, Route};
use super::item::{self, Item};
use super::number;
use crate::api::Timestamp;

/// A line of a description: what it is of (empty for what goes on with the line before), what is
/// said of it, and how that is meant.
pub type Line = (&'static str, String, Mark);

/// Everything about a row, at a time in milliseconds since the Unix epoch.
pub fn describe(item: Item<'_>, now: u64) -> Vec<Line> {
    let mut lines: Vec<Line> = item
        .view()
        .columns()
        .iter()
        .filter(|column| !is_told_below(column, item))
        .map(|column| {
            let cell = column.cell(item, now);
            (column.heading, cell.text, cell.mark)
        })
        .collect();
    match item {
        Item::Route(route) => of_route(route, &mut lines),
        Item::Envoy(envoy) => of_envoy(envoy, now, &mut lines),
        Item::Event(event) => {
            let at = Timestamp::from_unix(i64::try_from(event.unix_millis / 1_000).unwrap_or(0));
            lines.push(("AT", at.to_string(), Mark::Plain));
        }
        Item::Upstream(_) | Item::Endpoint(_) | Item::Certificate(_) | Item::Shift(_) => {}
    }
    lines
}

/// Whether a column's cell is said in full by what follows.
fn is_told_below(column: &Column, item: Item<'_>) -> bool {
    matches!(item, Item::Route(_)) && matches!(column.name, "weights" | "errors" | "host")
}

fn of_route(route: &Route, lines: &mut Vec<Line>) {
    listed("HOSTS", route.hosts.iter().map(|host| (host.to_string(), Mark::Plain)), lines);
    listed("ERRORS", route.errors.iter().map(|error| (error.to_string(), Mark::Bad)), lines);
    listed("DESTINATIONS", route.destinations.iter().map(destination), lines);
}

fn destination(destination: &Destination) -> (String, Mark) {
    let known = |number: Option<f64>, show: fn(f64) -> String| {
        number.map_or_else(|| number::UNKNOWN.to_owned(), show)
    };
    let weight = destination.weight.map_or_else(|| "unset".to_owned(), |w| w.to_string());
    let numbers = &destination.numbers;
    let failures = numbers.classes.map(|[_, _, _, _, failures]| failures);
    let health = match (destination.healthy, destination.members) {
        (Some(healthy), Some(members)) => format!("{healthy}/{members} healthy"),
        (_, _) => "endpoints unknown".to_owned(),
    };
    let ejected = match destination.ejected {
        0 => String::new(),
        ejected => format!(", {ejected} ejected"),
    };
    let text = format!(
        "{}  weight {weight} ({}%)  {} rps  5xx {}%  p50 {}  p99 {}  {health}{ejected}",
        destination.service,
        known(destination.share, number::percent),
        known(numbers.requests_per_second, number::quantity),
        known(failures, number::percent),
        known(numbers.p50, number::millis),
        known(numbers.p99, number::millis),
    );
    let mark = item::health(destination.healthy, destination.members).into();
    (text, mark)
}

fn of_envoy(envoy: &Envoy, now: u64, lines: &mut Vec<Line>) {
    #[expect(clippy::cast_precision_loss, reason = "nothing is so old")]
    let since = |then: u64| number::span(now.saturating_sub(then) as f64 / 1e3);
    let types = envoy.types.iter().map(|held| {
        let last = held.acknowledged_unix_millis.map_or_else(
            || "never acknowledged".to_owned(),
            |then| format!("acknowledged {} ago", since(then)),
        );
        let (held_now, behind) = (held.held, held.outstanding.saturating_add(held.pending));
        let text = format!(
            "{:4} {held_now} held, {behind} behind, {} rejected, {last}",
            held.kind, held.rejected
        );
        let mark = match (held.rejected, behind) {
            (0, 0) => Mark::Plain,
            (0, _) => Mark::Warn,
            (_, _) => Mark::Bad,
        };
        (text, mark)
    });
    listed("RESOURCES", types, lines);
    let rejections = envoy.rejections.iter().map(|rejection| {
        let owners: Vec<_> = rejection.owners.iter().map(ToString::to_string).collect();
        let of =
            if owners.is_empty() { String::new() } else { format!(" (of {})", owners.join(", ")) };
        (format!("{}{of}: {}", rejection.resource, rejection.message), Mark::Bad)
    });
    listed("REJECTED", rejections, lines);
}

/// A line for each text, the first with the label.
fn listed(label: &'static str, texts: impl Iterator<Item = (String, Mark)>, lines: &mut Vec<Line>) {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    lines.extend(labels.zip(texts).map(|(label, (text, mark))| (label, text, mark)));
}
