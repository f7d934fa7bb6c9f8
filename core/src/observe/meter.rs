//! What was added to the counts of all Envoys, however they restart, come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Report, Traffic};
use crate::shift::gate::{Histogram, Sample};
use crate::shift::weights::{Place, Service};

/// Sums what Envoys count at some places of an object, from the first report on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    places: Vec<Place>,
    /// What each Envoy said last.
    last: BTreeMap<(Arc<str>, Place, Service), Sample>,
    sums: BTreeMap<Service, Sample>,
}

impl Meter {
    /// Sums the traffic of these places.
    pub fn new(places: Vec<Place>) -> Self {
        Self { places, last: BTreeMap::new(), sums: BTreeMap::new() }
    }

    /// Takes what Envoys say now. The first that one says is where its count begins; where it says
    /// less than before it has started anew, and all that it says is new.
    pub fn take(&mut self, report: &Report) {
        for envoy in &report.envoys {
            for traffic in envoy.routes.iter().filter(|t| self.places.contains(&t.place)) {
                let key = (Arc::clone(&envoy.node), traffic.place.clone(), traffic.service.clone());
                let now = sample(traffic);
                let added = match self.last.get(&key) {
                    None => Sample::default(),
                    Some(before) if before.requests > now.requests => now.clone(),
                    Some(before) => now.since(before),
                };
                self.sums.entry(traffic.service.clone()).or_default().merge(&added);
                self.last.insert(key, now);
            }
        }
    }

    /// What was added for a service since the first report.
    pub fn sum(&self, service: &Service) -> Sample {
        self.sums.get(service).cloned().unwrap_or_default()
    }
}

fn sample(traffic: &Traffic) -> Sample {
    let mut latency = Histogram::default();
    for (micros, count) in &traffic.latency {
        latency.add(Duration::from_micros(*micros), *count);
    }
    let [_, _, _, _, failures] = traffic.classes;
    Sample {
        requests: traffic.classes.iter().fold(0, |sum, count| sum.saturating_add(*count)),
        failures,
        masked: traffic.retries,
        latency,
    }
}
