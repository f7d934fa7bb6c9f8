//! Columns of endpoints.

use super::{Cell, Column, Mark, Unit, Value, number, owned, suspect, unwelcome, whole, words};
use crate::top::frame::Endpoint;
use crate::top::item::Item;

pub(super) const COLUMNS: &[Column] = &[
    Column::text(("namespace", "NAMESPACE"), "namespace of the Service", (4, 20), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(&e.service.service.namespace))
    })
    .rank(5),
    Column::text(("service", "SERVICE"), "Service and port", (6, 34), |item, _| {
        let name = |e: &Endpoint| format!("{}:{}", e.service.service.name, e.service.port);
        of(item).map_or(Value::Unknown, |e| owned(name(e)))
    }),
    Column::text(("address", "ADDRESS"), "address and port", (9, 27), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(&e.address))
    }),
    Column::text(
        ("health", "HEALTH"),
        "healthy, or why it gets no traffic or less, in Envoy's words, and at how many Envoys if not at all",
        (7, 34),
        |item, _| of(item).map_or(Value::Unknown, |e| owned(health(e))),
    )
    .shown(|item, _| {
        let Some(endpoint) = of(item) else { return Cell::unknown() };
        let mark = match endpoint.fault() {
            None => Mark::Good,
            fault => fault.into(),
        };
        Cell::marked(health(endpoint), mark)
    }),
    Column::number(("rps", "RPS"), "requests a second", Unit::Quantity, |item, _| {
        number(of(item).and_then(|e| e.requests_per_second))
    })
    .rank(1),
    Column::number(
        ("errors", "ERR%"),
        "share of requests that failed: answered with 5xx, or not at all",
        Unit::Percent,
        |item, _| number(of(item).and_then(|e| e.errors_percent)),
    )
    .rank(1)
    .shown(|item, _| suspect(of(item).and_then(|e| e.errors_percent))),
    Column::number(("active", "ACTIVE"), "requests under way", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|e| e.active))
    })
    .rank(3),
    Column::number(("connections", "CX"), "connections open", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|e| e.connections))
    })
    .rank(5),
    Column::number(
        ("connectfailures", "CXFAIL"),
        "connections a second that did not come about",
        Unit::Quantity,
        |item, _| number(of(item).and_then(|e| e.connect_failures_per_second)),
    )
    .rank(2)
    .shown(|item, _| unwelcome(of(item).and_then(|e| e.connect_failures_per_second))),
    Column::text(("pod", "POD"), "the Pod behind it", (6, 40), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(e.pod.as_deref().unwrap_or_default()))
    })
    .rank(4),
    Column::text(("node", "NODE"), "the machine of the Pod", (6, 30), |item, _| {
        of(item).map_or(Value::Unknown, |e| words(e.node.as_deref().unwrap_or_default()))
    })
    .rank(7),
    Column::number(("weight", "WEIGHT"), "weight among the endpoints", Unit::Quantity, |item, _| {
        whole(of(item).and_then(|e| e.weight))
    })
    .wide(),
    Column::number(("envoys", "ENVOYS"), "Envoys that know it", Unit::Quantity, |item, _| {
        whole(of(item).map(|e| e.envoys))
    })
    .rank(7),
    Column::number(("age", "AGE"), "how old this is, if not of now", Unit::Seconds, |item, _| {
        #[expect(clippy::cast_precision_loss, reason = "nothing is so old")]
        number(of(item).map(|e| e.age_millis as f64 / 1e3))
    })
    .rank(6)
    .shown(|item, _| {
        #[expect(clippy::cast_precision_loss, reason = "nothing is so old")]
        match of(item).map(|e| e.age_millis) {
            None | Some(0..2_000) => Cell::unknown(),
            Some(age) => Cell::marked(crate::top::number::span(age as f64 / 1e3), Mark::Faint),
        }
    }),
];

fn of(item: Item<'_>) -> Option<&Endpoint> {
    if let Item::Endpoint(endpoint) = item { Some(endpoint) } else { None }
}

/// `healthy`, or the reasons: `failed_active_hc`, `failed_outlier_check(1/2)`.
pub(super) fn health(endpoint: &Endpoint) -> String {
    if endpoint.reasons.is_empty() {
        return "healthy".to_owned();
    }
    let one = |(reason, envoys): &(crate::observe::feed::Reason, u32)| {
        if *envoys < endpoint.envoys {
            format!("{}({envoys}/{})", reason.as_str(), endpoint.envoys)
        } else {
            reason.as_str().to_owned()
        }
    };
    endpoint.reasons.iter().map(one).collect::<Vec<_>>().join(",")
}
