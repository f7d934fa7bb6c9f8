//! Columns of routes.

use super::{
    Align, Cell, Column, Graph, Mark, Unit, Value, class, healthy_of, list, number, owned,
};
use super::{suspect, trend, unwelcome, whole, words};
use crate::top::frame::{Destination, Route};
use crate::top::item::Item;
use crate::top::number as show;

pub(super) const COLUMNS: &[Column] = &[
    Column::text(("namespace", "NAMESPACE"), "namespace of the object", (4, 20), |item, _| {
        of(item).map_or(Value::Unknown, |route| words(&route.object.namespace))
    })
    .rank(5),
    Column::text(("name", "NAME"), "name of the object", (4, 30), |item, _| {
        of(item).map_or(Value::Unknown, |route| words(&route.object.name))
    }),
    Column::text(("host", "HOST"), "hosts that it is served at", (6, 34), |item, _| {
        of(item).map_or(Value::Unknown, |route| list(&route.hosts))
    })
    .rank(4),
    Column::text(("match", "MATCH"), "match of the route, or tcpproxy", (3, 26), |item, _| {
        of(item).map_or(Value::Unknown, |route| words(&route.matches))
    }),
    Column::text(
        ("status", "STATUS"),
        "ok; degraded: endpoints of its services get no traffic; failing: 5% of the answers are 5xx; \
         down: a service with weight has no healthy endpoint; invalid, orphaned: see errors",
        (4, 8),
        |item, _| of(item).map_or(Value::Unknown, |route| words(route.status().0)),
    )
    .shown(|item, _| {
        let Some((word, fault)) = of(item).map(Route::status) else { return Cell::unknown() };
        match (word, fault) {
            ("", _) => Cell::unknown(),
            ("ok", _) => Cell::marked(word, Mark::Good),
            (word, fault) => Cell::marked(word, fault.into()),
        }
    }),
    Column::number(("rps", "RPS"), "requests a second", Unit::Quantity, |item, _| {
        number(of(item).and_then(|route| route.numbers.requests_per_second))
    }),
    share("2xx", "2XX%", "share of answers with 2xx", 2, 6),
    share("3xx", "3XX%", "share of answers with 3xx", 3, 9).wide(),
    share("4xx", "4XX%", "share of answers with 4xx", 4, 3),
    share("5xx", "5XX%", "share of answers with 5xx", 5, 0).shown(|item, _| {
        suspect(of(item).and_then(|route| class(&route.numbers, 5)))
    }),
    Column::number(("p50", "P50"), "half of the answers took at most this", Unit::Millis, |item, _| {
        number(of(item).and_then(|route| route.numbers.p50))
    })
    .rank(4),
    Column::number(("p95", "P95"), "95 of 100 took at most this", Unit::Millis, |item, _| {
        number(of(item).and_then(|route| route.numbers.p95))
    })
    .rank(7),
    Column::number(("p99", "P99"), "99 of 100 took at most this", Unit::Millis, |item, _| {
        number(of(item).and_then(|route| route.numbers.p99))
    })
    .rank(1),
    Column::number(
        ("active", "ACTIVE"),
        "requests under way at its services, of whatever route",
        Unit::Quantity,
        |item, _| whole(of(item).and_then(|route| route.active)),
    )
    .rank(6),
    Column::number(("retries", "RETRY"), "tries a second that were repeated", Unit::Quantity, |item, _| {
        number(of(item).and_then(|route| route.numbers.retries_per_second))
    })
    .rank(7)
    .shown(|item, _| unwelcome(of(item).and_then(|route| route.numbers.retries_per_second))),
    Column::number(
        ("overflows", "OVERFL"),
        "requests a second that circuit breakers of its services refused, of whatever route",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|route| route.overflows_per_second)),
    )
    .wide()
    .shown(|item, _| unwelcome(of(item).and_then(|route| route.overflows_per_second))),
    Column::text(
        ("weights", "WEIGHTS"),
        "services with their shares in percent, by the weights in force",
        (8, 32),
        |item, _| of(item).map_or(Value::Unknown, |route| owned(weights(route))),
    )
    .rank(2)
    .shown(|item, _| of(item).map_or_else(Cell::unknown, weights_cell)),
    Column::text(
        ("healthy", "HEALTHY"),
        "endpoints of its services that get traffic, of all",
        (5, 9),
        |item, _| number(of(item).and_then(healthy_share)),
    )
    .rank(3)
    .shown(|item, _| of(item).map_or_else(Cell::unknown, |route| healthy_of(members(route)))),
    Column::text(("trend", "TREND"), "requests a second of the last minute", (6, 20), |item, _| {
        number(of(item).and_then(|route| route.numbers.requests_per_second))
    })
    .rank(8)
    .shown(|item, _| of(item).map_or_else(Cell::unknown, |route| trend(&route.numbers))),
    Column::text(("errors", "ERRORS"), "what is wrong with the object", (10, 60), |item, _| {
        of(item).map_or(Value::Unknown, |route| list(&route.errors))
    })
    .wide(),
];

const fn share(
    name: &'static str,
    heading: &'static str,
    help: &'static str,
    of_class: usize,
    rank: u8,
) -> Column {
    let read: for<'a> fn(Item<'a>, u64) -> Value<'a> = match of_class {
        2 => |item, _| number(of(item).and_then(|route| class(&route.numbers, 2))),
        3 => |item, _| number(of(item).and_then(|route| class(&route.numbers, 3))),
        4 => |item, _| number(of(item).and_then(|route| class(&route.numbers, 4))),
        _ => |item, _| number(of(item).and_then(|route| class(&route.numbers, 5))),
    };
    let column = Column::number((name, heading), help, Unit::Percent, read);
    Column { rank, align: Align::Right, ..column }
}

fn of(item: Item<'_>) -> Option<&Route> {
    if let Item::Route(route) = item { Some(route) } else { None }
}

fn weights(route: &Route) -> String {
    let one = |d: &Destination| {
        let name = &d.service.service.name;
        d.share.map_or_else(|| name.to_string(), |share| format!("{name} {}", show::percent(share)))
    };
    route.destinations.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn weights_cell(route: &Route) -> Cell {
    let shares = route
        .destinations
        .iter()
        .filter_map(|d| Some((std::sync::Arc::clone(&d.service.service.name), d.share?)));
    let shares: Vec<_> = shares.collect();
    let text = weights(route);
    if text.is_empty() {
        return Cell::unknown();
    }
    let graph = (shares.len() > 1).then_some(Graph::Shares(shares));
    Cell { text, mark: Mark::Plain, graph }
}

/// Healthy endpoints and all of them, over its services.
fn members(route: &Route) -> (Option<u32>, Option<u32>) {
    let sum = |of: fn(&Destination) -> Option<u32>| {
        let known: Vec<_> = route.destinations.iter().filter_map(of).collect();
        (!known.is_empty()).then(|| known.into_iter().fold(0_u32, u32::saturating_add))
    };
    (sum(|d| d.healthy), sum(|d| d.members))
}

fn healthy_share(route: &Route) -> Option<f64> {
    super::healthy_percent(members(route))
}
