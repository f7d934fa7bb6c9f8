//! Columns of shifts and of events.

use super::{Cell, Column, Unit, Value, ago, number, words};
use crate::top::frame::{Event, Shift};
use crate::top::item::Item;

pub(super) const SHIFTS: &[Column] = &[
    Column::text(("namespace", "NAMESPACE"), "namespace of the object", (4, 20), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.object.namespace))
    })
    .rank(3),
    Column::text(("name", "NAME"), "name of the object", (4, 30), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.object.name))
    }),
    Column::text(("from", "FROM"), "the service that traffic is moved from", (4, 24), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.from))
    })
    .rank(2),
    Column::text(("to", "TO"), "the service that it is moved to", (4, 24), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.to))
    }),
    Column::text(("share", "SHARE"), "the share that the new service has", (5, 10), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.share))
    }),
    Column::text(("phase", "PHASE"), "in which phase it is", (6, 14), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(&s.phase))
    })
    .shown(|item, _| {
        let Some(shift) = shift(item) else { return Cell::unknown() };
        Cell::marked(shift.phase.to_string(), shift.fault.into())
    }),
    Column::number(("since", "SINCE"), "how long it has been in it", Unit::Seconds, |item, now| {
        let millis = |s: &Shift| u64::try_from(s.since_unix).ok()?.checked_mul(1_000);
        shift(item).map_or(Value::Unknown, |s| ago(millis(s), now))
    })
    .rank(1),
    Column::text(("driver", "DRIVER"), "who drives it", (6, 30), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(s.driver.as_deref().unwrap_or_default()))
    })
    .rank(4),
    Column::text(("why", "WHY"), "why it is in that phase", (6, 80), |item, _| {
        shift(item).map_or(Value::Unknown, |s| words(s.why.as_deref().unwrap_or_default()))
    })
    .rank(2),
];

pub(super) const EVENTS: &[Column] = &[
    Column::number(("age", "AGE"), "how long ago it happened", Unit::Seconds, |item, now| {
        event(item).map_or(Value::Unknown, |e| ago(Some(e.unix_millis), now))
    }),
    Column::text(("reason", "REASON"), "what happened, in a word", (6, 24), |item, _| {
        event(item).map_or(Value::Unknown, |e| words(&e.reason))
    })
    .shown(|item, _| {
        let Some(event) = event(item) else { return Cell::unknown() };
        Cell::marked(event.reason.to_string(), event.fault.into())
    }),
    Column::text(("object", "OBJECT"), "what it happened to", (8, 44), |item, _| {
        event(item).map_or(Value::Unknown, |e| words(&e.object))
    }),
    Column::number(("count", "COUNT"), "how often", Unit::Quantity, |item, _| {
        number(event(item).map(|e| f64::from(e.count)))
    })
    .rank(3),
    Column::text(("text", "MESSAGE"), "what happened, in words", (10, 120), |item, _| {
        event(item).map_or(Value::Unknown, |e| words(&e.text))
    })
    .rank(1),
];

fn shift(item: Item<'_>) -> Option<&Shift> {
    if let Item::Shift(shift) = item { Some(shift) } else { None }
}

fn event(item: Item<'_>) -> Option<&Event> {
    if let Item::Event(event) = item { Some(event) } else { None }
}
