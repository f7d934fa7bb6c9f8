//! The weights of one route: as written, as Envoy takes them, and with mass moved between two
//! services.
//!
//! A route without weights, or with nothing but zeros, is divided equally; where some are unset,
//! those are 0; weights are relative to their sum, whatever it is. So a service set to 0 beside
//! unset ones can leave a route that is divided equally: weights are made explicit before they are
//! moved, and [`Lever`] cannot be had for a route in which there is nothing to move.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::percent::Percent;
use crate::api::{IngressRouteService, IngressRouteSpec};

/// The largest weight, that of Gateway API.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// A service that a route forwards to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "(Arc<str>, i64)", into = "(Arc<str>, i64)")]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// The port.
    pub port: i64,
}

impl From<(Arc<str>, i64)> for Service {
    fn from((name, port): (Arc<str>, i64)) -> Self {
        Self { name, port }
    }
}

impl From<Service> for (Arc<str>, i64) {
    fn from(service: Service) -> Self {
        (service.name, service.port)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// Where in an IngressRoute a list of services stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Place {
    /// In the route with this match.
    #[serde(rename = "r")]
    Route(Arc<str>),
    /// In the `tcpproxy`.
    #[serde(rename = "tcp")]
    Tcp,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(prefix) => write!(f, "route {prefix}"),
            Self::Tcp => f.write_str("tcpproxy"),
        }
    }
}

/// What is wrong with the weights of a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// A weight beyond what Envoys are given.
    #[error("{place}: weight {weight} of {service} is not between 0 and {WEIGHT_MAX}")]
    Range {
        /// Where.
        place: Place,
        /// Whose.
        service: Service,
        /// Which.
        weight: i64,
    },
    /// A service that is named twice, so that its weight is not one number.
    #[error("{place} names {service} more than once: which weight to move is not clear")]
    Twice {
        /// Where.
        place: Place,
        /// Which.
        service: Service,
    },
    /// A service that is not there.
    #[error("{place} has no service {service}")]
    Absent {
        /// Where.
        place: Place,
        /// Which.
        service: Service,
    },
    /// Both ends are one service.
    #[error("{0} cannot be shifted to itself")]
    Same(Service),
    /// Other services have everything.
    #[error("{0}: the two services have none of the traffic, so there is nothing to move")]
    Nothing(Place),
    /// A service with traffic would have none at this scale.
    #[error("{place}: of a total of {total}, {service} would lose its whole share")]
    Vanishes {
        /// Where.
        place: Place,
        /// Which.
        service: Service,
        /// The total.
        total: u32,
    },
    /// The scale needs weights beyond the limit.
    #[error("{0}: at this scale a weight would be more than {WEIGHT_MAX}")]
    Limit(Place),
    /// A first step that is not beyond what the service has already.
    #[error(
        "{place}: {service} has {has} of {mass} already, so a step to {percent} would move nothing to it: begin with a larger one"
    )]
    Already {
        /// Where.
        place: Place,
        /// Which.
        service: Service,
        /// What it has.
        has: u32,
        /// The weight of both services together.
        mass: u32,
        /// The step.
        percent: Percent,
    },
    /// A step that the weights are too coarse for.
    #[error(
        "{place}: with {mass} to divide, {percent} moves nothing to what comes before it: give a larger total or step"
    )]
    Coarse {
        /// Where.
        place: Place,
        /// The weight of both services together.
        mass: u32,
        /// The step.
        percent: Percent,
    },
}

/// A service and its weight as written; `None` is unset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Written(pub Service, pub Option<u32>);

/// As people read it: `blue 75`, `green unset`.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(weight) => write!(f, "{} {weight}", self.0.name),
            None => write!(f, "{} unset", self.0.name),
        }
    }
}

/// The services of one place with their weights as written: within limits, each service once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Weights {
    #[serde(rename = "p")]
    place: Place,
    #[serde(rename = "w")]
    services: Vec<Written>,
}

#[derive(Deserialize)]
struct RawWeights {
    p: Place,
    w: Vec<Written>,
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawWeights::deserialize(deserializer)?;
        let services = raw.w.into_iter().map(|w| (w.0, w.1.map(i64::from)));
        Self::new(raw.p, services).map_err(serde::de::Error::custom)
    }
}

impl Weights {
    /// Services with weights as written.
    ///
    /// # Errors
    /// A weight out of range, or a service that is named twice.
    pub fn new(
        place: Place,
        services: impl IntoIterator<Item = (Service, Option<i64>)>,
    ) -> Result<Self, WeightError> {
        let mut out: Vec<Written> = Vec::new();
        for (service, weight) in services {
            if out.iter().any(|w| w.0 == service) {
                return Err(WeightError::Twice { place, service });
            }
            let checked = match weight {
                None => None,
                Some(weight) => match u32::try_from(weight) {
                    Ok(checked) if checked <= WEIGHT_MAX => Some(checked),
                    Ok(_) | Err(_) => return Err(WeightError::Range { place, service, weight }),
                },
            };
            out.push(Written(service, checked));
        }
        Ok(Self { place, services: out })
    }

    /// As people read them: `blue 75, green unset`.
    pub fn words(&self) -> String {
        self.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Every list of services of an IngressRoute.
    pub fn of_spec(spec: &IngressRouteSpec) -> Vec<Result<Self, WeightError>> {
        let written = |services: &[IngressRouteService]| -> Vec<_> {
            let one = |s: &IngressRouteService| {
                (Service { name: Arc::clone(&s.name), port: s.port }, s.weight)
            };
            services.iter().map(one).collect()
        };
        let routes = spec.routes.iter().filter(|r| !r.services.is_empty());
        let tcp = spec.tcpproxy.iter().filter(|t| !t.services.is_empty());
        routes
            .map(|r| Self::new(Place::Route(Arc::clone(&r.prefix)), written(&r.services)))
            .chain(tcp.map(|t| Self::new(Place::Tcp, written(&t.services))))
            .collect()
    }

    /// Where they stand.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The services with their weights as written.
    pub fn services(&self) -> &[Written] {
        &self.services
    }

    /// What Envoy makes of them: never all 0.
    pub fn effective(&self) -> impl Iterator<Item = u32> {
        let equal = self.services.iter().all(|w| w.1.unwrap_or(0) == 0);
        self.services.iter().map(move |w| if equal { 1 } else { w.1.unwrap_or(0) })
    }

    /// The sum of the weights as Envoy takes them.
    pub fn total(&self) -> u64 {
        self.effective().map(u64::from).sum()
    }

    /// What Envoy makes of a service's weight.
    pub fn effective_of(&self, service: &Service) -> Option<u32> {
        self.services.iter().zip(self.effective()).find_map(|(w, e)| (w.0 == *service).then_some(e))
    }

    /// Whether both say the same of the same services, in whatever order.
    pub fn agrees(&self, other: &Self) -> bool {
        self.place == other.place
            && self.services.len() == other.services.len()
            && self.services.iter().all(|w| other.services.contains(w))
    }
}

/// What the total of explicit weights is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What it is now, each unset weight of an equal division counting as 1.
    Keep,
    /// This total. Shares are rounded by largest remainders, ties to the service written first.
    Total(u32),
    /// The smallest whole multiple of what it is now at which all steps are exact.
    Exact,
}

/// The explicit weights of one place, with two services between which mass can be moved: the sum
/// is fixed, other services are out of reach, and there is something to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lever {
    /// As it was written, to be restored exactly.
    #[serde(rename = "b")]
    baseline: Weights,
    /// The explicit weights in the same order.
    #[serde(rename = "e")]
    explicit: Vec<u32>,
    #[serde(rename = "f")]
    from: usize,
    #[serde(rename = "t")]
    to: usize,
}

#[derive(Deserialize)]
struct RawLever {
    b: Weights,
    e: Vec<u32>,
    f: usize,
    t: usize,
}

impl<'de> Deserialize<'de> for Lever {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawLever::deserialize(deserializer)?;
        let lever = Self { baseline: raw.b, explicit: raw.e, from: raw.f, to: raw.t };
        let (from, to) = (lever.explicit.get(lever.from), lever.explicit.get(lever.to));
        let sound = lever.explicit.len() == lever.baseline.services.len()
            && lever.from != lever.to
            && lever.explicit.iter().all(|w| *w <= WEIGHT_MAX)
            && from.zip(to).is_some_and(|(f, t)| (1..=WEIGHT_MAX).contains(&(f + t)));
        sound.then_some(lever).ok_or_else(|| serde::de::Error::custom("weights are not sound"))
    }
}

impl Lever {
    /// Makes the weights explicit, so that `steps` can be reached from where they are.
    ///
    /// # Errors
    /// A service is absent; there is nothing to move; the scale is beyond limits or too coarse.
    pub fn new(
        baseline: Weights,
        from: &Service,
        to: &Service,
        scale: Scale,
        steps: &[Percent],
    ) -> Result<Self, WeightError> {
        if from == to {
            return Err(WeightError::Same(from.clone()));
        }
        let place = baseline.place.clone();
        let find = |service: &Service| {
            let at = baseline.services.iter().position(|w| w.0 == *service);
            at.ok_or_else(|| WeightError::Absent { place: place.clone(), service: service.clone() })
        };
        let (from, to) = (find(from)?, find(to)?);
        let effective: Vec<u32> = baseline.effective().collect();
        let mass = sum_of(&effective, from, to);
        if mass == 0 {
            return Err(WeightError::Nothing(place));
        }
        let explicit = match scale {
            Scale::Keep => effective,
            Scale::Total(total) => divided(&baseline, &effective, total)?,
            Scale::Exact => {
                let factor = factor(mass, steps);
                let scaled = effective.iter().map(|w| u64::from(*w) * factor);
                let scaled: Option<Vec<u32>> = scaled.map(|w| u32::try_from(w).ok()).collect();
                scaled.ok_or_else(|| WeightError::Limit(place.clone()))?
            }
        };
        if explicit.iter().any(|w| *w > WEIGHT_MAX)
            || sum_of(&explicit, from, to) > u64::from(WEIGHT_MAX)
        {
            return Err(WeightError::Limit(place));
        }
        let lever = Self { baseline, explicit, from, to };
        lever.check(steps)?;
        Ok(lever)
    }

    /// Every step must move something, and forward.
    fn check(&self, steps: &[Percent]) -> Result<(), WeightError> {
        let mut before = self.to_before();
        for (percent, number) in steps.iter().zip(1..) {
            let to = self.share(*percent);
            if number == 1 && self.has(*percent) {
                return Err(self.already(*percent));
            }
            if to <= before {
                let place = self.place().clone();
                return Err(WeightError::Coarse { place, mass: self.mass(), percent: *percent });
            }
            before = to;
        }
        Ok(())
    }

    /// Whether `to` has such a share before anything is moved.
    fn has(&self, percent: Percent) -> bool {
        let whole = u64::from(Percent::ALL.as_hundredths());
        let wanted = u64::from(percent.as_hundredths()) * u64::from(self.mass());
        wanted > 0 && wanted <= u64::from(self.to_before()) * whole
    }

    fn already(&self, percent: Percent) -> WeightError {
        let (place, mass) = (self.place().clone(), self.mass());
        let Some((_, service)) = self.ends() else { return WeightError::Nothing(place) };
        let (service, has) = (service.clone(), self.to_before());
        WeightError::Already { place, service, has, mass, percent }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.baseline.place
    }

    /// The weights as they were written before.
    pub fn baseline(&self) -> &Weights {
        &self.baseline
    }

    /// The weight of both services together: from 1 to [`WEIGHT_MAX`].
    pub fn mass(&self) -> u32 {
        u32::try_from(sum_of(&self.explicit, self.from, self.to)).unwrap_or(WEIGHT_MAX)
    }

    /// What `to` has of the mass before anything is moved.
    pub fn to_before(&self) -> u32 {
        self.explicit.get(self.to).copied().unwrap_or(0)
    }

    /// The weight of `to` at this percentage of the mass: the nearest, a tie being decided for
    /// `from`, which keeps at least 1 until 100 %.
    pub fn share(&self, percent: Percent) -> u32 {
        let mass = self.mass();
        let parts = u64::from(mass) * u64::from(percent.as_hundredths());
        let whole = u64::from(Percent::ALL.as_hundredths());
        let nearest = u32::try_from((2 * parts + whole - 1) / (2 * whole)).unwrap_or(mass);
        if percent == Percent::ALL { mass } else { nearest.min(mass - 1) }
    }

    /// The weights at this percentage: the same sum, and others as they were.
    pub fn at(&self, percent: Percent) -> Weights {
        let to = self.share(percent);
        let from = self.mass() - to;
        let services = self.baseline.services.iter().zip(&self.explicit).enumerate();
        let moved = services.map(|(index, (written, weight))| {
            let weight = match index {
                i if i == self.from => from,
                i if i == self.to => to,
                _ => *weight,
            };
            Written(written.0.clone(), Some(weight))
        });
        Weights { place: self.place().clone(), services: moved.collect() }
    }

    /// The two services: from, to. Both are there by construction.
    pub fn ends(&self) -> Option<(&Service, &Service)> {
        let service = |index: usize| self.baseline.services.get(index).map(|w| &w.0);
        service(self.from).zip(service(self.to))
    }
}

fn sum_of(weights: &[u32], from: usize, to: usize) -> u64 {
    [from, to].iter().filter_map(|i| weights.get(*i)).map(|w| u64::from(*w)).sum()
}

/// The smallest factor by which the mass must grow for every step to be whole.
fn factor(mass: u64, steps: &[Percent]) -> u64 {
    let whole = u64::from(Percent::ALL.as_hundredths());
    steps.iter().fold(1, |all, percent| {
        let parts = mass * u64::from(percent.as_hundredths());
        let one = whole / gcd(whole, parts);
        all / gcd(all, one) * one
    })
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Shares of a new total by largest remainders, ties to the first.
fn divided(baseline: &Weights, effective: &[u32], total: u32) -> Result<Vec<u32>, WeightError> {
    let sum = baseline.total();
    let parts = |weight: &u32| u64::from(*weight) * u64::from(total);
    let mut out: Vec<u64> = effective.iter().map(|w| parts(w) / sum).collect();
    let missing = u64::from(total) - out.iter().sum::<u64>();
    let mut order: Vec<(u64, usize)> =
        effective.iter().enumerate().map(|(i, w)| (parts(w) % sum, i)).collect();
    order.sort_by_key(|(remainder, index)| (std::cmp::Reverse(*remainder), *index));
    for ((_, index), _) in order.into_iter().zip(0..missing) {
        if let Some(weight) = out.get_mut(index) {
            *weight += 1;
        }
    }
    for ((written, before), after) in baseline.services.iter().zip(effective).zip(&out) {
        if *before > 0 && *after == 0 {
            let (place, service) = (baseline.place.clone(), written.0.clone());
            return Err(WeightError::Vanishes { place, service, total });
        }
    }
    let limit = || WeightError::Limit(baseline.place.clone());
    out.into_iter().map(|w| u32::try_from(w).map_err(|_overflow| limit())).collect()
}
