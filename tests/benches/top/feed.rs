//! A simulated feed of one controller.

use std::sync::Arc;

use contour_core::name::ObjectName;
use contour_core::observe::feed::{
    Cursor, Destination, Endpoint, Envoy, Gone, Held, Increment, Latency, Object, Rows, SCHEMA,
    ServerState, Service, ServicePort, Traffic,
};
use contour_core::shift::weights::{self, Place, Weights};

use super::watch::World;

/// When it all begins.
pub(crate) const START: u64 = 1_767_225_600_000;

/// Buckets of a route's latencies.
const BUCKETS: u64 = 30;

/// See the module.
pub(crate) struct Feed {
    world: World,
    second: u64,
}

impl Feed {
    pub(crate) fn new(world: World) -> Self {
        Self { world, second: 0 }
    }

    /// The line of the next second.
    pub(crate) fn line(&mut self) -> serde_json::Result<String> {
        let second = self.second;
        self.second += 1;
        let changed = if second == 0 { self.whole() } else { self.counts(second) };
        let increment = Increment {
            schema: SCHEMA,
            at: Cursor { collection: START, tick: second + 1 },
            whole: second == 0,
            unix_millis: START + second * 1_000,
            controller: "0.1.0".into(),
            interval_millis: 1_000,
            endpoints_fresh: false,
            changed,
            gone: Gone::default(),
        };
        serde_json::to_string(&increment)
    }

    fn whole(&self) -> Rows {
        let routes = 0..self.world.routes;
        Rows {
            objects: routes.clone().map(object).collect(),
            destinations: routes.clone().flat_map(|i| [named(i, 0), named(i, 1)]).collect(),
            traffic: Vec::new(),
            latency: Vec::new(),
            services: routes.clone().flat_map(|i| [service(i, 0, 0), service(i, 1, 0)]).collect(),
            endpoints: routes.flat_map(|i| [endpoint(i, 0, 0), endpoint(i, 1, 0)]).collect(),
            envoys: (0..self.world.envoys).map(|i| envoy(i, 0)).collect(),
            certificates: Vec::new(),
        }
    }

    /// What differs in a second.
    fn counts(&self, second: u64) -> Rows {
        let active = || (0..self.world.routes).filter(|i| i % 100 < self.world.active);
        let both = || active().flat_map(|i| [2 * i, 2 * i + 1]);
        let traffic = |id| {
            let good = second * (20 + u64::from(id % 7));
            Traffic { id, classes: [0, good, 0, second, second / 4], retries: second / 8 }
        };
        let latency = |id| {
            let bucket = |b: u64| ((b + 1) * 1_000, second * (BUCKETS - b));
            Latency(id, (0..BUCKETS).map(bucket).collect())
        };
        let asked = || (0..self.world.routes).filter(|i| u64::from(i % 50) == second % 50);
        Rows {
            traffic: both().map(traffic).collect(),
            latency: if second.is_multiple_of(5) {
                both().map(latency).collect()
            } else {
                Vec::new()
            },
            services: active()
                .flat_map(|i| [service(i, 0, second), service(i, 1, second)])
                .collect(),
            endpoints: asked()
                .flat_map(|i| [endpoint(i, 0, second), endpoint(i, 1, second)])
                .collect(),
            envoys: (0..self.world.envoys).map(|i| envoy(i, second)).collect(),
            ..Rows::default()
        }
    }
}

fn name(index: u32) -> ObjectName {
    ObjectName::new(format!("team-{:02}", index % 40), format!("shop-{index:05}"))
}

fn color(which: u32) -> &'static str {
    if which == 0 { "blue" } else { "green" }
}

fn port(index: u32, which: u32) -> ServicePort {
    let object = name(index);
    ServicePort::new(object.namespace, format!("{}-{}", object.name, color(which)), 80)
}

fn place() -> Place {
    Place::Route("/".into())
}

fn object(index: u32) -> Object {
    let of = |which, weight| {
        (weights::Service { name: port(index, which).service.name, port: 80 }, Some(weight))
    };
    let weights = Weights::new(place(), [of(0, 90), of(1, 10)]);
    Object {
        name: name(index),
        hosts: vec![format!("shop-{index:05}.example.com").into()],
        state: Some("valid".into()),
        errors: Vec::new(),
        weights: weights.into_iter().collect(),
    }
}

fn named(index: u32, which: u32) -> Destination {
    let (id, service) = (2 * index + which, port(index, which));
    Destination { id, object: name(index), place: place(), service }
}

fn service(index: u32, which: u32, second: u64) -> Service {
    Service {
        service: port(index, which),
        members: Some(2),
        healthy: Some(2),
        ejected: 0,
        active: second % 5,
        connections: 8,
        connect_failures: 0,
        overflows: 0,
        circuit_open: false,
    }
}

fn endpoint(index: u32, which: u32, second: u64) -> Endpoint {
    Endpoint {
        service: port(index, which),
        address: format!("10.{}.{}.{}:8080", index / 250, index % 250, which + 1).into(),
        envoys: 20,
        reasons: Vec::new(),
        weight: 1,
        active: 1,
        connections: 4,
        requests: second * 20,
        errors: 0,
        connect_failures: 0,
        seen_unix_millis: START + second * 1_000,
    }
}

fn envoy(index: u32, second: u64) -> Envoy {
    let held = |kind: &str| Held {
        kind: kind.into(),
        held: 10_000,
        outstanding: 0,
        pending: 0,
        rejected: 0,
        digest: Some("3b1f".into()),
        acknowledged_unix_millis: Some(START),
    };
    let node: Arc<str> = format!("envoy-{index:02}").into();
    Envoy {
        node,
        version: Some("1.40.0".into()),
        address: Some(format!("10.250.0.{}:41000", index + 1).into()),
        connected_unix_millis: START,
        state: Some(ServerState::Live),
        uptime_seconds: Some(second),
        memory_bytes: Some(300 << 20),
        connections: Some(120),
        requests: second * 2_000,
        types: ["cds", "eds", "sds", "lds", "rds", "srds"].map(held).to_vec(),
        rejections: Vec::new(),
        trouble: None,
        answered_unix_millis: Some(START + second * 1_000),
        cost: Some((12_000, 900_000)),
    }
}
