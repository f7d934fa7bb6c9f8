//! Columns of Envoys.

use super::{Cell, Column, Mark, Unit, Value, ago, list, number, owned, whole, words};
use crate::observe::feed::ServerState;
use crate::top::frame::Envoy;
use crate::top::item::Item;
use crate::top::number as show;

pub(super) const COLUMNS: &[Column] = &[
    Column::text(("node", "ENVOY"), "node id: the name of the Pod, in a cluster", (8, 40), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(&e.node))
    }),
    Column::text(("version", "VERSION"), "its version", (6, 10), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(e.version.as_deref().unwrap_or_default()))
    })
    .rank(3),
    Column::text(("state", "STATE"), "live, draining, initializing; unheard: it gives no numbers", (4, 14), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(state(e).0))
    })
    .shown(|item, _| {
        let Some((word, mark)) = of(item).map(state) else { return Cell::unknown() };
        if word.is_empty() { Cell::unknown() } else { Cell::marked(word, mark) }
    }),
    Column::text(
        ("config", "CONFIG"),
        "synced, and how long ago it acknowledged something last; else what it refused, or has not acknowledged",
        (8, 16),
        |item, now| of(item).map_or(Value::Unknown, |e| owned(config(e, now).text)),
    )
    .shown(|item, now| of(item).map_or_else(Cell::unknown, |e| config(e, now))),
    Column::text(("drift", "DRIFT"), "types of resources of which most others have something else", (5, 16), |item, _| {
        of(item).map_or(Value::Unknown, |e| list(&e.drift))
    })
    .rank(2)
    .shown(|item, _| match of(item).map(|e| e.drift.join(",")) {
        None => Cell::unknown(),
        Some(none) if none.is_empty() => Cell::marked("none", Mark::Faint),
        Some(drift) => Cell::marked(drift, Mark::Warn),
    }),
    Column::number(("rps", "RPS"), "requests of clients a second", Unit::Quantity, |item, _| {
        number(of(item).and_then(|e| e.requests_per_second))
    })
    .rank(1),
    Column::number(("connections", "CX"), "connections of clients", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|e| e.connections))
    })
    .rank(3),
    Column::number(("memory", "MEMORY"), "memory that it has allocated", Unit::Bytes, |item, _| {
        whole(of(item).and_then(|e| e.memory_bytes))
    })
    .rank(4),
    Column::number(("uptime", "UPTIME"), "how long it has run", Unit::Seconds, |item, _| {
        whole(of(item).and_then(|e| e.uptime_seconds))
    })
    .rank(4),
    Column::number(("connected", "CONN"), "how long it has been connected", Unit::Seconds, |item, now| {
        of(item).map_or(Value::Unknown, |e| ago(Some(e.connected_unix_millis), now))
    })
    .rank(7),
    Column::number(("resources", "RES"), "resources that it has", Unit::Quantity, |item, _| {
        whole(of(item).map(|e| e.held))
    })
    .rank(5),
    Column::number(
        ("cost", "COST"),
        "how long it takes to answer for its numbers, in milliseconds",
        Unit::Millis,
        |item, _| number(of(item).and_then(|e| e.cost).map(|(micros, _)| millis(micros))),
    )
    .rank(6)
    .shown(|item, _| match of(item).and_then(|e| e.cost) {
        None => Cell::unknown(),
        Some((micros, _)) => Cell::marked(show::millis(millis(micros)), Mark::Faint),
    }),
    Column::text(("address", "ADDRESS"), "where it connects from", (9, 27), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(e.address.as_deref().unwrap_or_default()))
    })
    .wide(),
    Column::text(("controller", "CONTROLLER"), "the controller that it is connected to", (8, 40), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(&e.source))
    })
    .wide(),
    Column::text(("trouble", "TROUBLE"), "why it gives no numbers", (8, 60), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(e.trouble.as_deref().unwrap_or_default()))
    })
    .wide(),
];

fn of(item: Item<'_>) -> Option<&Envoy> {
    if let Item::Envoy(envoy) = item { Some(envoy) } else { None }
}

#[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn state(envoy: &Envoy) -> (&'static str, Mark) {
    if envoy.trouble.is_some() {
        return ("unheard", Mark::Warn);
    }
    match envoy.state {
        None => ("", Mark::Faint),
        Some(ServerState::Live) => ("live", Mark::Good),
        Some(ServerState::Draining) => ("draining", Mark::Warn),
        Some(ServerState::PreInitializing | ServerState::Initializing) => {
            ("initializing", Mark::Warn)
        }
    }
}

fn config(envoy: &Envoy, now: u64) -> Cell {
    let refused = envoy.types.iter().fold(0_u64, |sum, held| sum.saturating_add(held.rejected));
    if refused > 0 {
        return Cell::marked(format!("{refused} rejected"), Mark::Bad);
    }
    if envoy.behind > 0 {
        return Cell::marked(format!("{} behind", envoy.behind), Mark::Warn);
    }
    #[expect(clippy::cast_precision_loss, reason = "nothing is so old")]
    let since = |then: u64| show::span(now.saturating_sub(then) as f64 / 1e3);
    match envoy.acknowledged_unix_millis {
        Some(then) => Cell::marked(format!("synced ({})", since(then)), Mark::Good),
        None => Cell::unknown(),
    }
}
