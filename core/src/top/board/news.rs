//! What is seen to happen from one increment to the next.

use std::sync::Arc;

use super::source::Source;
use crate::observe::feed::{Endpoint, Envoy, Increment, Object, Reason, ServerState};
use crate::top::frame::{Event, Fault};

/// More than this at once is one event: a cluster that comes up is no news by the thousand.
const AT_ONCE: usize = 20;

/// What an increment says has happened, given what was known before. What is told first has not
/// happened just now.
pub(super) fn of(before: &Source, increment: &Increment, now: u64) -> Vec<Event> {
    if !before.has_told() {
        return Vec::new();
    }
    let mut news = Vec::new();
    let mut tell = |fault, reason: &str, object: String, text: String| {
        news.push(Event {
            unix_millis: now,
            fault,
            reason: reason.into(),
            object: object.into(),
            text: text.into(),
            count: 1,
        });
    };
    for object in &increment.changed.objects {
        if let Some(known) = before.objects.get(&object.name) {
            of_object(known, object, &mut tell);
        }
    }
    for endpoint in &increment.changed.endpoints {
        let key = (endpoint.service.clone(), Arc::clone(&endpoint.address));
        let known = before.endpoints.get(&key).map(|known| &known.row);
        of_endpoint(known, endpoint, &mut tell);
    }
    for envoy in &increment.changed.envoys {
        match before.envoys.get(&envoy.node) {
            Some(known) => of_envoy(&known.row, envoy, &mut tell),
            None => tell(None, "EnvoyConnected", format!("Envoy {}", envoy.node), connected(envoy)),
        }
    }
    let listed = |node: &Arc<str>| increment.changed.envoys.iter().any(|e| e.node == *node);
    for node in before.envoys.keys() {
        if increment.gone.envoys.contains(node) || (increment.whole && !listed(node)) {
            let text = "it is not connected any more".to_owned();
            tell(Some(Fault::Warning), "EnvoyGone", format!("Envoy {node}"), text);
        }
    }
    if news.len() > AT_ONCE {
        let more = news.len() - AT_ONCE;
        news.truncate(AT_ONCE);
        if let Some(last) = news.last_mut() {
            last.text = format!("{}; and {more} more at the same time", last.text).into();
        }
    }
    news
}

type Tell<'a> = dyn FnMut(Option<Fault>, &str, String, String) + 'a;

fn of_object(known: &Object, object: &Object, tell: &mut Tell<'_>) {
    let name = || format!("IngressRoute {}", object.name);
    if known.state != object.state {
        let fault = match object.state.as_deref() {
            Some("invalid") => Some(Fault::Failure),
            Some("orphaned") => Some(Fault::Warning),
            _ => None,
        };
        let word = |state: &Option<Arc<str>>| state.as_deref().unwrap_or("unknown").to_owned();
        let mut text = format!("was {}, is {}", word(&known.state), word(&object.state));
        if let Some(first) = object.errors.first() {
            text = format!("{text}: {first}");
        }
        tell(fault, "StateChanged", name(), text);
    }
    for weights in &object.weights {
        let before = known.weights.iter().find(|w| w.place() == weights.place());
        if let Some(before) = before.filter(|before| *before != weights) {
            let text = format!("{}: {}, were {}", weights.place(), weights.words(), before.words());
            tell(None, "WeightsChanged", name(), text);
        }
    }
}

fn of_endpoint(known: Option<&Endpoint>, endpoint: &Endpoint, tell: &mut Tell<'_>) {
    let words = |endpoint: &Endpoint| -> Vec<Reason> {
        endpoint.reasons.iter().map(|(reason, _)| *reason).collect()
    };
    let (before, now) = (known.map(words).unwrap_or_default(), words(endpoint));
    if before == now {
        return;
    }
    let name = format!("Endpoint {} of {}", endpoint.address, endpoint.service);
    let listed = |reasons: &[Reason]| {
        reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ")
    };
    match now.as_slice() {
        [] => tell(None, "Healthy", name, format!("was {}", listed(&before))),
        reasons if reasons.contains(&Reason::FailedOutlierCheck) => {
            tell(Some(Fault::Failure), "Ejected", name, listed(reasons));
        }
        reasons => {
            let served = reasons.iter().all(|reason| reason.is_served());
            let fault = if served { Fault::Warning } else { Fault::Failure };
            tell(Some(fault), "Unhealthy", name, listed(reasons));
        }
    }
}

fn connected(envoy: &Envoy) -> String {
    envoy.version.as_ref().map_or_else(
        || "it is connected".to_owned(),
        |version| format!("version {version} is connected"),
    )
}

fn of_envoy(known: &Envoy, envoy: &Envoy, tell: &mut Tell<'_>) {
    let name = || format!("Envoy {}", envoy.node);
    if known.connected_unix_millis != envoy.connected_unix_millis {
        tell(None, "EnvoyConnected", name(), connected(envoy));
    }
    if known.state != envoy.state && envoy.state == Some(ServerState::Draining) {
        tell(Some(Fault::Warning), "EnvoyDraining", name(), "it drains".to_owned());
    }
    for rejection in &envoy.rejections {
        if !known.rejections.contains(rejection) {
            let text = format!("{}: {}", rejection.resource, rejection.message);
            tell(Some(Fault::Failure), "Rejected", name(), text);
        }
    }
    if known.rejections.len() > envoy.rejections.len() && envoy.rejections.is_empty() {
        tell(None, "RejectionMended", name(), "it refuses nothing any more".to_owned());
    }
    match (&known.trouble, &envoy.trouble) {
        (None, Some(trouble)) => {
            tell(Some(Fault::Warning), "EnvoyUnheard", name(), trouble.to_string());
        }
        (Some(_), None) => tell(None, "EnvoyHeard", name(), "it gives numbers again".to_owned()),
        (_, _) => {}
    }
}
