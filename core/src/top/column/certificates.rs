//! Columns of certificates.

use super::{Cell, Column, Unit, Value, list, number, owned, words};
use crate::api::Timestamp;
use crate::top::frame::Certificate;
use crate::top::item::Item;
use crate::top::number as show;

pub(super) const COLUMNS: &[Column] = &[
    Column::text(("namespace", "NAMESPACE"), "namespace of the Secret", (4, 20), |item, _| {
        of(item).map_or(Value::Unknown, |c| words(&c.secret.namespace))
    })
    .rank(3),
    Column::text(("secret", "SECRET"), "name of the Secret", (6, 34), |item, _| {
        of(item).map_or(Value::Unknown, |c| words(&c.secret.name))
    }),
    Column::number(("left", "LEFT"), "how long until it ends", Unit::Seconds, |item, _| {
        #[expect(clippy::cast_precision_loss, reason = "no certificate lasts so long")]
        number(of(item).map(|c| c.left_seconds as f64))
    })
    .shown(|item, _| {
        let Some(certificate) = of(item) else { return Cell::unknown() };
        #[expect(clippy::cast_precision_loss, reason = "no certificate lasts so long")]
        let text = match certificate.left_seconds {
            left if left <= 0 => "ended".to_owned(),
            left => show::span(left as f64),
        };
        Cell::marked(text, certificate.fault().into())
    }),
    Column::text(("ends", "ENDS"), "when it ends", (10, 20), |item, _| {
        let ends = |c: &Certificate| Timestamp::from_unix(c.not_after_unix).to_string();
        of(item).map_or(Value::Unknown, |c| owned(ends(c)))
    })
    .rank(2),
    Column::text(("names", "NAMES"), "the hosts that it is for", (8, 60), |item, _| {
        of(item).map_or(Value::Unknown, |c| list(&c.names))
    })
    .rank(1),
    Column::text(("hosts", "SERVED AT"), "the hosts that it is served at", (8, 60), |item, _| {
        of(item).map_or(Value::Unknown, |c| list(&c.hosts))
    })
    .rank(1),
];

fn of(item: Item<'_>) -> Option<&Certificate> {
    if let Item::Certificate(certificate) = item { Some(certificate) } else { None }
}
