//! What somebody should look at, of all that is shown.

use std::sync::Arc;

use crate::top::frame::{Fault, Frame, SourceState, Warning};
use crate::top::item::{Item, View};

/// The most rows that a warning names.
const KEYS: usize = 10;

/// A kind of warning: its code, how bad it is, which rows it is about, and what is said of one and
/// of several.
struct Rule {
    code: &'static str,
    fault: Fault,
    view: View,
    about: fn(Item<'_>) -> bool,
    one: &'static str,
    several: &'static str,
}

const RULES: [Rule; 12] = [
    Rule {
        code: "no-healthy-endpoint",
        fault: Fault::Failure,
        view: View::Routes,
        about: |item| is_status(item, "down"),
        one: "route has a service without a healthy endpoint",
        several: "routes have a service without a healthy endpoint",
    },
    Rule {
        code: "failing",
        fault: Fault::Failure,
        view: View::Routes,
        about: |item| is_status(item, "failing"),
        one: "route answers at least 5% with 5xx",
        several: "routes answer at least 5% with 5xx",
    },
    Rule {
        code: "invalid",
        fault: Fault::Failure,
        view: View::Routes,
        about: |item| is_status(item, "invalid"),
        one: "route is of an invalid object",
        several: "routes are of invalid objects",
    },
    Rule {
        code: "circuit-open",
        fault: Fault::Failure,
        view: View::Upstreams,
        about: |item| matches!(item, Item::Upstream(upstream) if upstream.circuit_open),
        one: "service has an open circuit breaker",
        several: "services have an open circuit breaker",
    },
    Rule {
        code: "rejected",
        fault: Fault::Failure,
        view: View::Envoys,
        about: |item| matches!(item, Item::Envoy(envoy) if !envoy.rejections.is_empty()),
        one: "Envoy refuses some of its configuration",
        several: "Envoys refuse some of their configuration",
    },
    Rule {
        code: "certificate-ended",
        fault: Fault::Failure,
        view: View::Certificates,
        about: |item| matches!(item, Item::Certificate(c) if c.left_seconds <= 0),
        one: "certificate has ended",
        several: "certificates have ended",
    },
    Rule {
        code: "shift-stopped",
        fault: Fault::Warning,
        view: View::Shifts,
        about: |item| matches!(item, Item::Shift(shift) if shift.fault.is_some()),
        one: "shift waits for somebody",
        several: "shifts wait for somebody",
    },
    Rule {
        code: "endpoint-without-traffic",
        fault: Fault::Warning,
        view: View::Endpoints,
        about: |item| matches!(item, Item::Endpoint(e) if e.fault() == Some(Fault::Failure)),
        one: "endpoint gets no traffic",
        several: "endpoints get no traffic",
    },
    Rule {
        code: "drift",
        fault: Fault::Warning,
        view: View::Envoys,
        about: |item| matches!(item, Item::Envoy(envoy) if !envoy.drift.is_empty()),
        one: "Envoy has something else than most others",
        several: "Envoys have something else than most others",
    },
    Rule {
        code: "unheard",
        fault: Fault::Warning,
        view: View::Envoys,
        about: |item| matches!(item, Item::Envoy(envoy) if envoy.trouble.is_some()),
        one: "Envoy gives no numbers",
        several: "Envoys give no numbers",
    },
    Rule {
        code: "orphaned",
        fault: Fault::Warning,
        view: View::Routes,
        about: |item| is_status(item, "orphaned"),
        one: "route is of an orphaned object",
        several: "routes are of orphaned objects",
    },
    Rule {
        code: "certificate-ending",
        fault: Fault::Warning,
        view: View::Certificates,
        about: |item| matches!(item, Item::Certificate(c) if c.fault() == Some(Fault::Warning)),
        one: "certificate ends within three weeks",
        several: "certificates end within three weeks",
    },
];

fn is_status(item: Item<'_>, status: &str) -> bool {
    matches!(item, Item::Route(route) if route.status().0 == status)
}

/// What is to be said of a frame, the worst first.
pub(super) fn of(frame: &Frame) -> Vec<Warning> {
    let lost: Vec<_> = frame
        .coverage
        .sources
        .iter()
        .filter(|source| source.why.is_some() && source.state != SourceState::Fresh)
        .map(|source| {
            let why = source.why.as_deref().unwrap_or_default();
            Warning {
                code: "controller-unheard".into(),
                fault: Fault::Warning,
                text: format!("{} is not heard: {why}", source.name).into(),
                keys: Vec::new(),
                view: None,
            }
        })
        .collect();
    let mut warnings: Vec<_> = RULES.iter().filter_map(|rule| rule.apply(frame)).collect();
    warnings.extend(lost);
    warnings.sort_by_key(|warning| std::cmp::Reverse(warning.fault));
    warnings
}

impl Rule {
    fn apply(&self, frame: &Frame) -> Option<Warning> {
        let mut count = 0_usize;
        let mut keys: Vec<Arc<str>> = Vec::new();
        for item in frame.items(self.view).filter(|item| (self.about)(*item)) {
            count += 1;
            if keys.len() < KEYS {
                keys.push(item.key().into());
            }
        }
        let first = keys.first()?;
        let words = if count == 1 { self.one } else { self.several };
        let example = if count == 1 { format!(": {first}") } else { String::new() };
        Some(Warning {
            code: self.code.into(),
            fault: self.fault,
            text: format!("{count} {words}{example}").into(),
            keys,
            view: Some(self.view.name().into()),
        })
    }
}
