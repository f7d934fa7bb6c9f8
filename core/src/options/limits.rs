//! How much objects may expand to. docs/limits.md has the reasons for the defaults.

use std::ops::{AddAssign, SubAssign};

/// How much one object, one host, one namespace and all of them together may expand to: what is
/// beyond is not built, and reported on the object that asks for it (CTR108).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Different active health checks that the services of one object may ask for; further ones
    /// are not made.
    pub object_checks: usize,
    /// Different clusters that the services of one object may lead to; further services are not
    /// used.
    pub object_clusters: usize,
    /// Route entries of one host; further routes are not served.
    pub host_routes: usize,
    /// Bytes of the routes of one host; further routes are not served.
    pub host_bytes: usize,
    /// What the hosts and objects of one namespace may come to.
    pub namespace: Amounts,
    /// What all hosts and objects together may come to.
    pub all: Amounts,
}

/// Amounts of what costs memory, time or open files in Envoys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Route entries: one for each service of each route of each host, and two for each side
    /// (HTTP, HTTPS) of a host itself.
    pub routes: usize,
    /// Bytes of routes and certificates of hosts; of clusters, the bytes of their CA bundles.
    pub bytes: usize,
    /// Clusters.
    pub clusters: usize,
    /// Endpoints, each counted for every cluster that has it.
    pub endpoints: usize,
    /// Active health checks, each counted for every endpoint that it is made of: each is an open
    /// file of every Envoy.
    pub checks: usize,
}

/// Where a limit stands.
type Place = fn(&mut Limits) -> &mut usize;

impl Limits {
    /// Every limit by the name under which it is set.
    pub const NAMED: [(&'static str, Place); 14] = [
        ("object.health-checks", |limits| &mut limits.object_checks),
        ("object.clusters", |limits| &mut limits.object_clusters),
        ("host.routes", |limits| &mut limits.host_routes),
        ("host.bytes", |limits| &mut limits.host_bytes),
        ("namespace.routes", |limits| &mut limits.namespace.routes),
        ("namespace.bytes", |limits| &mut limits.namespace.bytes),
        ("namespace.clusters", |limits| &mut limits.namespace.clusters),
        ("namespace.endpoints", |limits| &mut limits.namespace.endpoints),
        ("namespace.health-checks", |limits| &mut limits.namespace.checks),
        ("all.routes", |limits| &mut limits.all.routes),
        ("all.bytes", |limits| &mut limits.all.bytes),
        ("all.clusters", |limits| &mut limits.all.clusters),
        ("all.endpoints", |limits| &mut limits.all.endpoints),
        ("all.health-checks", |limits| &mut limits.all.checks),
    ];
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            object_checks: 100,
            object_clusters: 2_000,
            host_routes: 20_000,
            host_bytes: 16 * MIB,
            namespace: Amounts {
                routes: 75_000,
                bytes: 128 * MIB,
                clusters: 12_000,
                endpoints: 50_000,
                checks: 2_500,
            },
            all: Amounts {
                routes: 300_000,
                bytes: 512 * MIB,
                clusters: 40_000,
                endpoints: 200_000,
                checks: 5_000,
            },
        }
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.routes += other.routes;
        self.bytes += other.bytes;
        self.clusters += other.clusters;
        self.endpoints += other.endpoints;
        self.checks += other.checks;
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.routes -= other.routes;
        self.bytes -= other.bytes;
        self.clusters -= other.clusters;
        self.endpoints -= other.endpoints;
        self.checks -= other.checks;
    }
}
