//! What to ask an Envoy about an object, and what its answer says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;

use super::{Envoy, Traffic, Upstream, places};
use crate::ir;
use crate::lower::IngressRoute;
use crate::name::ObjectName;
use crate::shift::weights::{Place, Service};
use crate::xds::stats;

/// The longest list of services that is asked for one by one: a request line has limits. Beyond
/// it those of the whole namespace are asked for.
const LIST_BYTES: usize = 8 << 10;

/// Envoy measures in milliseconds, rounded down.
const MICROS: u64 = 1_000;

/// What Envoys are asked about one object.
#[derive(Clone, Debug)]
pub struct Subject {
    object: ObjectName,
    /// The name of a route as far as it leads to a service, and what it stands for.
    routes: BTreeMap<String, (Place, Service)>,
    services: BTreeSet<Service>,
}

/// An answer that is none of Envoy's.
#[derive(Debug, thiserror::Error)]
#[error("its statistics cannot be read: {0}")]
pub struct UnreadableError(#[from] serde_json::Error);

/// `/stats?format=json`: a list of numbers, with all histograms in one of its elements.
#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

#[derive(Deserialize)]
struct Stat {
    name: Option<String>,
    value: Option<u64>,
    histograms: Option<Histograms>,
}

#[derive(Deserialize)]
struct Histograms {
    #[serde(default)]
    details: Vec<Histogram>,
}

#[derive(Deserialize)]
struct Histogram {
    name: String,
    /// Since Envoy started.
    #[serde(default)]
    totals: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    lower_bound: f64,
    width: f64,
    count: u64,
}

impl Histogram {
    /// The bounds of the buckets that have some, and how many.
    fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let some = self.totals.iter().filter(|bucket| bucket.count > 0);
        some.map(|bucket| (bucket.bound(), bucket.count))
    }
}

impl Bucket {
    /// The bound in microseconds that all of it are below. A measured 7 may have been 7.9.
    fn bound(&self) -> u64 {
        // Bounds are sums of tenths, which are not exact.
        let upper = (self.lower_bound + self.width - 1e-6).ceil();
        let whole = upper.max(self.lower_bound.floor() + 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "such a cast saturates"
        )]
        let millis = whole as u64;
        millis.saturating_mul(MICROS)
    }
}

impl Subject {
    /// What there is to ask about an object.
    pub fn of(route: &IngressRoute) -> Self {
        let mut subject =
            Self { object: route.name.clone(), routes: BTreeMap::new(), services: BTreeSet::new() };
        for (place, services) in places(route) {
            for written in &services.sound {
                let port = written.port;
                let service = Service { name: Arc::clone(&written.name.name), port: port.into() };
                subject.services.insert(service.clone());
                if let Place::Route(prefix) = &place {
                    let route = ir::Route::name_of(&route.name, prefix);
                    let name = stats::route(&route, &written.name, port);
                    subject.routes.insert(name, (place.clone(), service));
                }
            }
        }
        subject
    }

    /// What to ask an Envoy's administration for: a path with a query.
    pub fn query(&self) -> String {
        let object = literally(&stats::object(&self.object));
        let clusters: Vec<_> = self.clusters().into_keys().map(|name| literally(&name)).collect();
        let list = clusters.join("|");
        let clusters = if list.len() > LIST_BYTES {
            format!("{}_[^.]+", literally(&self.object.namespace))
        } else {
            list
        };
        let filter = format!(
            "^(vhost\\.[^.]+\\.route\\.{object}[^.]+\\.upstream_rq_([1-5]xx|retry|time)\
             |cluster\\.({clusters})\\.(membership_(total|healthy)|upstream_rq_active\
             |outlier_detection\\.ejections_active))$"
        );
        filtered("/stats?format=json&histogram_buckets=detailed", &filter)
    }

    /// What an Envoy's answer says. What it does not know yet has not happened.
    ///
    /// # Errors
    /// The answer is of another form.
    pub fn read(&self, node: Arc<str>, answer: &str) -> Result<Envoy, UnreadableError> {
        let answer: Stats = serde_json::from_str(answer)?;
        let mut reading = self.blank();
        for stat in answer.stats {
            if let (Some(name), Some(value)) = (stat.name, stat.value) {
                reading.number(&name, value);
            }
            for histogram in stat.histograms.into_iter().flat_map(|h| h.details) {
                reading.histogram(&histogram);
            }
        }
        Ok(reading.envoy(node))
    }

    fn clusters(&self) -> BTreeMap<String, &Service> {
        let name = |service: &Service| {
            let object =
                ObjectName::new(Arc::clone(&self.object.namespace), Arc::clone(&service.name));
            stats::service(&object, u16::try_from(service.port).unwrap_or(0))
        };
        self.services.iter().map(|service| (name(service), service)).collect()
    }

    fn blank(&self) -> Reading<'_> {
        let traffic = |(place, service): &(Place, Service)| Traffic {
            place: place.clone(),
            service: service.clone(),
            classes: [0; 5],
            retries: 0,
            latency: Vec::new(),
        };
        let upstream = |service: &Service| Upstream {
            service: service.clone(),
            members: None,
            healthy: None,
            ejected: 0,
            active: 0,
        };
        let routes = self.routes.iter().map(|(name, of)| (name.as_str(), traffic(of)));
        let clusters = self.clusters().into_iter().map(|(name, of)| (name, upstream(of)));
        Reading { routes: routes.collect(), clusters: clusters.collect(), latency: BTreeMap::new() }
    }
}

/// A path with a query of an Envoy's administration, and an expression in it.
pub(super) fn filtered(path: &str, expression: &str) -> String {
    let mut query = format!("{path}&filter=");
    for byte in expression.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _infallible = write!(query, "%{byte:02X}");
        }
    }
    query
}

/// The text as a regular expression.
pub(super) fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Envoy's expressions take a backslash before `_` for a mistake.
        if c.is_ascii_punctuation() && c != '_' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What has been read of an answer.
struct Reading<'a> {
    routes: BTreeMap<&'a str, Traffic>,
    clusters: BTreeMap<String, Upstream>,
    /// By route and bound: an object may be served by several hosts.
    latency: BTreeMap<(String, u64), u64>,
}

impl Reading<'_> {
    fn number(&mut self, name: &str, value: u64) {
        if let Some((route, what)) = of_route(name) {
            let Some(traffic) = self.routes.get_mut(route) else { return };
            let class = what.strip_suffix("xx").and_then(|c| c.parse::<usize>().ok());
            let count = match class.and_then(|c| c.checked_sub(1)) {
                Some(class) => traffic.classes.get_mut(class),
                None => (what == "retry").then_some(&mut traffic.retries),
            };
            if let Some(count) = count {
                *count = count.saturating_add(value);
            }
        } else if let Some((cluster, what)) =
            name.strip_prefix("cluster.").and_then(|rest| rest.split_once('.'))
            && let Some(upstream) = self.clusters.get_mut(cluster)
        {
            let small = u32::try_from(value).unwrap_or(u32::MAX);
            match what {
                "membership_total" => upstream.members = Some(small),
                "membership_healthy" => upstream.healthy = Some(small),
                "outlier_detection.ejections_active" => upstream.ejected = small,
                "upstream_rq_active" => upstream.active = value,
                _ => {}
            }
        }
    }

    fn histogram(&mut self, histogram: &Histogram) {
        let Some((route, "time")) = of_route(&histogram.name) else { return };
        if !self.routes.contains_key(route) {
            return;
        }
        for (bound, added) in histogram.buckets() {
            let count = self.latency.entry((route.to_owned(), bound)).or_default();
            *count = count.saturating_add(added);
        }
    }

    fn envoy(mut self, node: Arc<str>) -> Envoy {
        for ((route, bound), count) in self.latency {
            if let Some(traffic) = self.routes.get_mut(route.as_str()) {
                traffic.latency.push((bound, count));
            }
        }
        let mut routes: Vec<_> = self.routes.into_values().collect();
        routes.sort_by(|a, b| (&a.place, &a.service).cmp(&(&b.place, &b.service)));
        let mut services: Vec<_> = self.clusters.into_values().collect();
        services.sort_by(|a, b| a.service.cmp(&b.service));
        Envoy { node, trouble: None, routes, services }
    }
}

/// All histograms of an answer: the name, and the bounds in microseconds with the counts of the
/// buckets that have some, since Envoy started. A bound may come more than once.
pub(super) fn histograms(
    answer: &str,
) -> Result<impl Iterator<Item = (String, Vec<(u64, u64)>)>, UnreadableError> {
    let answer: Stats = serde_json::from_str(answer)?;
    let details =
        answer.stats.into_iter().filter_map(|stat| stat.histograms).flat_map(|h| h.details);
    Ok(details.map(|histogram| {
        let buckets = histogram.buckets().collect();
        (histogram.name, buckets)
    }))
}

/// Route and the rest of `vhost.<host>.route.<route>.upstream_rq_<rest>`.
pub(super) fn of_route(name: &str) -> Option<(&str, &str)> {
    let mut parts = name.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("vhost"), Some(_), Some("route"), Some(route), Some(what), None) => {
            Some((route, what.strip_prefix("upstream_rq_")?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
