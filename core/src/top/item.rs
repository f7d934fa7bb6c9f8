//! The rows of a frame, whatever they are of.

use super::frame::{Certificate, Endpoint, Envoy, Event, Fault, Frame, Route, Shift, Upstream};

/// What rows are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Routes.
    #[default]
    Routes,
    /// Ports of Services.
    Upstreams,
    /// Endpoints.
    Endpoints,
    /// Envoys.
    Envoys,
    /// Certificates.
    Certificates,
    /// Shifts.
    Shifts,
    /// Events.
    Events,
}

impl View {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Routes,
        Self::Upstreams,
        Self::Endpoints,
        Self::Envoys,
        Self::Certificates,
        Self::Shifts,
        Self::Events,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Upstreams => "upstreams",
            Self::Endpoints => "endpoints",
            Self::Envoys => "envoys",
            Self::Certificates => "certificates",
            Self::Shifts => "shifts",
            Self::Events => "events",
        }
    }

    /// Its name on a tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Routes => "Routes",
            Self::Upstreams => "Upstreams",
            Self::Endpoints => "Endpoints",
            Self::Envoys => "Envoys",
            Self::Certificates => "Certificates",
            Self::Shifts => "Shifts",
            Self::Events => "Events",
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'a> {
    /// A route.
    Route(&'a Route),
    /// A port of a Service.
    Upstream(&'a Upstream),
    /// An endpoint.
    Endpoint(&'a Endpoint),
    /// An Envoy.
    Envoy(&'a Envoy),
    /// A certificate.
    Certificate(&'a Certificate),
    /// A shift.
    Shift(&'a Shift),
    /// Something that happened.
    Event(&'a Event),
}

impl Frame {
    /// How many rows a view has.
    pub fn len(&self, view: View) -> usize {
        match view {
            View::Routes => self.routes.len(),
            View::Upstreams => self.upstreams.len(),
            View::Endpoints => self.endpoints.len(),
            View::Envoys => self.envoys.len(),
            View::Certificates => self.certificates.len(),
            View::Shifts => self.shifts.len(),
            View::Events => self.events.len(),
        }
    }

    /// A row of a view.
    pub fn item(&self, view: View, index: usize) -> Option<Item<'_>> {
        match view {
            View::Routes => self.routes.get(index).map(Item::Route),
            View::Upstreams => self.upstreams.get(index).map(Item::Upstream),
            View::Endpoints => self.endpoints.get(index).map(Item::Endpoint),
            View::Envoys => self.envoys.get(index).map(Item::Envoy),
            View::Certificates => self.certificates.get(index).map(Item::Certificate),
            View::Shifts => self.shifts.get(index).map(Item::Shift),
            View::Events => self.events.get(index).map(Item::Event),
        }
    }

    /// All rows of a view.
    pub fn items(&self, view: View) -> impl Iterator<Item = Item<'_>> {
        (0..self.len(view)).filter_map(move |index| self.item(view, index))
    }
}

impl Item<'_> {
    /// What it is a row of.
    pub fn view(&self) -> View {
        match self {
            Self::Route(_) => View::Routes,
            Self::Upstream(_) => View::Upstreams,
            Self::Endpoint(_) => View::Endpoints,
            Self::Envoy(_) => View::Envoys,
            Self::Certificate(_) => View::Certificates,
            Self::Shift(_) => View::Shifts,
            Self::Event(_) => View::Events,
        }
    }

    /// What it is known by from frame to frame: `demo/shop:/cart`, `demo/blue:80`.
    pub fn key(&self) -> String {
        match self {
            Self::Route(route) => format!("{}:{}", route.object, route.matches),
            Self::Upstream(upstream) => upstream.service.to_string(),
            Self::Endpoint(endpoint) => format!("{}@{}", endpoint.service, endpoint.address),
            Self::Envoy(envoy) => envoy.node.to_string(),
            Self::Certificate(certificate) => certificate.secret.to_string(),
            Self::Shift(shift) => shift.object.to_string(),
            Self::Event(event) => {
                format!("{}/{}/{}", event.unix_millis, event.reason, event.object)
            }
        }
    }

    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Route(route) => route.fault(),
            Self::Upstream(upstream) => upstream.fault(),
            Self::Endpoint(endpoint) => endpoint.fault(),
            Self::Envoy(envoy) => envoy.fault(),
            Self::Certificate(certificate) => certificate.fault(),
            Self::Shift(shift) => shift.fault,
            Self::Event(event) => event.fault,
        }
    }
}

/// The share of 5xx in percent from which on a route is faulty.
const FAILING: f64 = 5.0;
/// The share from which on somebody should look at it.
const SUSPECT: f64 = 1.0;
/// A certificate is worth a look so many seconds before its end: three weeks, as ACME clients
/// renew a month before.
const RENEWAL: i64 = 21 * 86_400;

/// How bad it is to have so many healthy of so many.
pub(super) fn health(healthy: Option<u32>, members: Option<u32>) -> Option<Fault> {
    match (healthy, members) {
        (Some(0), _) => Some(Fault::Failure),
        (Some(healthy), Some(members)) if healthy < members => Some(Fault::Warning),
        (_, _) => None,
    }
}

/// How bad it is that such a share fails, in percent.
pub(super) fn failing(share: f64) -> Option<Fault> {
    match share {
        share if share >= FAILING => Some(Fault::Failure),
        share if share >= SUSPECT => Some(Fault::Warning),
        _ => None,
    }
}

/// How bad it is to have such shares of answers.
fn answers(classes: Option<[f64; 5]>) -> Option<Fault> {
    let [.., failures] = classes?;
    failing(failures)
}

impl Route {
    /// How it is in a word, and how bad that is: `ok`, `degraded`, `failing`, `down`, `invalid`,
    /// `orphaned`; no word if that is not known. A service without weight harms nobody.
    pub fn status(&self) -> (&'static str, Option<Fault>) {
        let served = || self.destinations.iter().filter(|d| d.share.is_none_or(|s| s > 0.0));
        let answers = answers(self.numbers.classes);
        match self.state.as_deref() {
            Some("invalid") => ("invalid", Some(Fault::Failure)),
            Some("orphaned") => ("orphaned", Some(Fault::Warning)),
            _ if served().any(|d| d.healthy == Some(0)) => ("down", Some(Fault::Failure)),
            _ if answers == Some(Fault::Failure) => ("failing", answers),
            _ if served().any(|d| d.healthy < d.members) => ("degraded", Some(Fault::Warning)),
            Some("valid") => ("ok", answers),
            Some(_) | None => ("", answers),
        }
    }

    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        self.status().1
    }
}

impl Upstream {
    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        let circuit = self.circuit_open.then_some(Fault::Failure);
        let rate = |rate: Option<f64>| rate.filter(|rate| *rate > 0.0).map(|_| Fault::Warning);
        health(self.healthy, self.members)
            .max(circuit)
            .max(rate(self.overflows_per_second))
            .max(rate(self.connect_failures_per_second))
            .max(answers(self.numbers.classes))
    }
}

impl Endpoint {
    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        let of = |reason: &crate::observe::feed::Reason| {
            if reason.is_served() { Fault::Warning } else { Fault::Failure }
        };
        self.reasons.iter().map(|(reason, _)| of(reason)).max()
    }
}

impl Envoy {
    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        if !self.rejections.is_empty() {
            return Some(Fault::Failure);
        }
        let warns = self.trouble.is_some() || !self.drift.is_empty();
        warns.then_some(Fault::Warning)
    }
}

impl Certificate {
    /// How bad it is, if it is.
    pub fn fault(&self) -> Option<Fault> {
        match self.left_seconds {
            left if left <= 0 => Some(Fault::Failure),
            left if left <= RENEWAL => Some(Fault::Warning),
            _ => None,
        }
    }
}
