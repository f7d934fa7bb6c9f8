//! Columns of ports of Services.

use super::{Cell, Column, Mark, Unit, Value, class, healthy_of, healthy_percent, number, owned};
use super::{suspect, trend, unwelcome, whole, words};
use crate::top::frame::Upstream;
use crate::top::item::Item;

pub(super) const COLUMNS: &[Column] = &[
    Column::text(("namespace", "NAMESPACE"), "namespace of the Service", (4, 20), |item, _| {
        of(item).map_or(Value::Unknown, |u| words(&u.service.service.namespace))
    })
    .rank(4),
    Column::text(("service", "SERVICE"), "Service and port", (6, 34), |item, _| {
        let name = |u: &Upstream| format!("{}:{}", u.service.service.name, u.service.port);
        of(item).map_or(Value::Unknown, |u| owned(name(u)))
    }),
    Column::text(
        ("healthy", "HEALTHY"),
        "endpoints that get traffic, of all, at the Envoy where they are the fewest",
        (5, 9),
        |item, _| number(of(item).and_then(|u| healthy_percent((u.healthy, u.members)))),
    )
    .shown(|item, _| of(item).map_or_else(Cell::unknown, |u| healthy_of((u.healthy, u.members)))),
    Column::number(
        ("ejected", "EJECT"),
        "endpoints that outlier detection took out",
        Unit::Quantity,
        |item, _| whole(of(item).map(|u| u.ejected)),
    )
    .rank(2)
    .shown(|item, _| match of(item).map(|u| u.ejected) {
        None => Cell::unknown(),
        Some(0) => Cell::marked("0", Mark::Faint),
        Some(ejected) => Cell::marked(ejected.to_string(), Mark::Warn),
    }),
    Column::number(
        ("rps", "RPS"),
        "requests a second, of all routes",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|u| u.numbers.requests_per_second)),
    ),
    Column::number(("5xx", "5XX%"), "share of answers with 5xx", Unit::Percent, |item, _| {
        number(of(item).and_then(|u| class(&u.numbers, 5)))
    })
    .shown(|item, _| suspect(of(item).and_then(|u| class(&u.numbers, 5)))),
    Column::number(
        ("p50", "P50"),
        "half of the answers took at most this",
        Unit::Millis,
        |item, _| number(of(item).and_then(|u| u.numbers.p50)),
    )
    .rank(5),
    Column::number(("p95", "P95"), "95 of 100 took at most this", Unit::Millis, |item, _| {
        number(of(item).and_then(|u| u.numbers.p95))
    })
    .rank(7),
    Column::number(("p99", "P99"), "99 of 100 took at most this", Unit::Millis, |item, _| {
        number(of(item).and_then(|u| u.numbers.p99))
    })
    .rank(1),
    Column::number(("active", "ACTIVE"), "requests under way", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|u| u.active))
    })
    .rank(3),
    Column::number(("connections", "CX"), "connections open", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|u| u.connections))
    })
    .rank(6),
    Column::number(
        ("connectfailures", "CXFAIL"),
        "connections a second that did not come about",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|u| u.connect_failures_per_second)),
    )
    .rank(3)
    .shown(|item, _| unwelcome(of(item).and_then(|u| u.connect_failures_per_second))),
    Column::number(
        ("retries", "RETRY"),
        "tries a second that were repeated",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|u| u.numbers.retries_per_second)),
    )
    .rank(6)
    .shown(|item, _| unwelcome(of(item).and_then(|u| u.numbers.retries_per_second))),
    Column::number(
        ("overflows", "OVERFL"),
        "requests and retries a second that a circuit breaker refused",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|u| u.overflows_per_second)),
    )
    .rank(5)
    .shown(|item, _| unwelcome(of(item).and_then(|u| u.overflows_per_second))),
    Column::text(("circuit", "CIRCUIT"), "whether a circuit breaker is open", (4, 7), |item, _| {
        of(item).map_or(Value::Unknown, |u| words(if u.circuit_open { "open" } else { "closed" }))
    })
    .rank(7)
    .shown(|item, _| match of(item).map(|u| u.circuit_open) {
        None => Cell::unknown(),
        Some(true) => Cell::marked("open", Mark::Bad),
        Some(false) => Cell::marked("closed", Mark::Faint),
    }),
    Column::number(("routes", "ROUTES"), "routes that lead to it", Unit::Quantity, |item, _| {
        whole(of(item).map(|u| u.routes))
    })
    .rank(8),
    Column::text(("trend", "TREND"), "requests a second of the last minute", (6, 20), |item, _| {
        number(of(item).and_then(|u| u.numbers.requests_per_second))
    })
    .rank(8)
    .shown(|item, _| of(item).map_or_else(Cell::unknown, |u| trend(&u.numbers))),
];

fn of(item: Item<'_>) -> Option<&Upstream> {
    if let Item::Upstream(upstream) = item { Some(upstream) } else { None }
}
