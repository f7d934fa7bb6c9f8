//! Which rows of a view are shown, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::column::{Column, Value};
use super::filter::Filter;
use super::frame::Frame;
use super::item::{Item, View};
use crate::name::ObjectName;
use crate::observe::feed::ServicePort;

/// What is asked for; by default all, in the order of the frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Which rows.
    pub filter: Filter,
    /// Whether only those that are not well.
    pub faults_only: bool,
    /// The part of all that somebody went into.
    pub scope: Option<Scope>,
    /// By which column, and whether the largest come first.
    pub sort: Option<(&'static Column, bool)>,
}

/// A part of all, and of what it is, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What belongs to some services.
    Services(BTreeSet<ServicePort>, Arc<str>),
    /// What belongs to an object.
    Object(ObjectName),
    /// Some rows, by their keys.
    Keys(BTreeSet<String>, Arc<str>),
}

impl Scope {
    /// Of what it is.
    pub fn title(&self) -> String {
        match self {
            Self::Services(_, title) | Self::Keys(_, title) => title.to_string(),
            Self::Object(object) => object.to_string(),
        }
    }

    fn holds(&self, item: Item<'_>) -> bool {
        match (self, item) {
            (Self::Keys(keys, _), item) => keys.contains(&item.key()),
            (Self::Services(services, _), Item::Route(route)) => {
                route.destinations.iter().any(|d| services.contains(&d.service))
            }
            (Self::Services(services, _), Item::Upstream(upstream)) => {
                services.contains(&upstream.service)
            }
            (Self::Services(services, _), Item::Endpoint(endpoint)) => {
                services.contains(&endpoint.service)
            }
            (Self::Object(object), Item::Route(route)) => route.object == *object,
            (Self::Object(object), Item::Shift(shift)) => shift.object == *object,
            (Self::Services(..) | Self::Object(_), _) => true,
        }
    }
}

/// The rows of a view that are asked for, as their indices in the frame. Those whose cell in the
/// column of the order is not known come last; equal ones stay in the order of the frame.
pub fn select(frame: &Frame, view: View, selection: &Selection) -> Vec<usize> {
    let now = frame.unix_millis;
    let wanted = |item: Item<'_>| {
        (!selection.faults_only || item.fault().is_some())
            && selection.scope.as_ref().is_none_or(|scope| scope.holds(item))
            && selection.filter.matches(item, now)
    };
    let rows = frame.items(view).enumerate().filter(|(_, item)| wanted(*item));
    let Some((column, reversed)) = selection.sort else {
        return rows.map(|(index, _)| index).collect();
    };
    let mut rows: Vec<_> = rows.map(|(index, item)| (column.value(item, now), index)).collect();
    rows.sort_by(|(a, _), (b, _)| compare(a, b, reversed));
    rows.into_iter().map(|(_, index)| index).collect()
}

fn compare(a: &Value<'_>, b: &Value<'_>, reversed: bool) -> Ordering {
    let order = match (a, b) {
        (Value::Unknown, Value::Unknown) => return Ordering::Equal,
        (Value::Unknown, _) => return Ordering::Greater,
        (_, Value::Unknown) => return Ordering::Less,
        (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Number(_), Value::Text(_)) => Ordering::Less,
        (Value::Text(_), Value::Number(_)) => Ordering::Greater,
    };
    if reversed { order.reverse() } else { order }
}

#[cfg(test)]
mod tests;
