//! What hosts and objects expand to, counted before it is built, and who gets no part of it where
//! that is more than there is room for: so that no namespace costs all of them an Envoy.
//!
//! A namespace pays for the hosts of its roots, and for the clusters that its objects lead to.
//! Where they are too many, the oldest stay: in the order of their age, each stays that fits beside
//! those before it. Who is cut follows from the objects alone, not from the order in which they
//! came (docs/limits.md).
//!
//! # Cost
//! A change costs what it changes, while what is asked for fits. In a namespace in which it does
//! not, it costs what that namespace asks for; if all together ask for too much, what they do.

mod clusters;
mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use hosts::{DEPTH_MAX, HostCost, cost};

use self::clusters::{Clusters, Cut};
use self::hosts::Hosts;
use crate::api::Timestamp;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::IngressRoute;
use crate::name::{FieldPath, Fqdn, Kind, ObjectName};
use crate::options::{Amounts, Limits};
use crate::store::Store;

/// Who comes first: dated before undated, older before younger, then by namespace and name.
type Seniority = (bool, Option<Timestamp>, ObjectName);

fn seniority(route: &IngressRoute) -> Seniority {
    (route.created.is_none(), route.created, route.name.clone())
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Route entries.
    Routes,
    /// Bytes.
    Bytes,
    /// Clusters.
    Clusters,
    /// Endpoints of clusters.
    Endpoints,
    /// Active health checks.
    Checks,
}

/// Whose limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// That of the namespace.
    Namespace,
    /// That of all namespaces together.
    All,
}

/// A limit that leaves no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excess {
    /// What there is too much of.
    pub what: What,
    /// Whose limit it is.
    pub scope: Scope,
    /// The limit.
    pub limit: usize,
}

impl Excess {
    /// The first limit that amounts exceed.
    fn of(amounts: Amounts, limits: Amounts, scope: Scope) -> Option<Self> {
        let all = [
            (What::Routes, amounts.routes, limits.routes),
            (What::Bytes, amounts.bytes, limits.bytes),
            (What::Clusters, amounts.clusters, limits.clusters),
            (What::Endpoints, amounts.endpoints, limits.endpoints),
            (What::Checks, amounts.checks, limits.checks),
        ];
        let exceeded = all.into_iter().find(|(_, amount, limit)| amount > limit);
        exceeded.map(|(what, _, limit)| Self { what, scope, limit })
    }

    /// `the 75000 that namespace shop may have (--limit namespace.routes)`.
    pub fn room(self, namespace: &str) -> impl fmt::Display {
        let (owner, scope) = match self.scope {
            Scope::Namespace => (format!("namespace {namespace}"), "namespace"),
            Scope::All => ("all namespaces together".to_owned(), "all"),
        };
        let what = match self.what {
            What::Routes => "routes",
            What::Bytes => "bytes",
            What::Clusters => "clusters",
            What::Endpoints => "endpoints",
            What::Checks => "health-checks",
        };
        format!("what is left of the {} that {owner} may have (--limit {scope}.{what})", self.limit)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Budget {
    hosts: Hosts,
    clusters: Clusters,
}

impl Budget {
    /// Nothing asked for yet.
    pub fn new(limits: &Limits) -> Self {
        let (namespace, all) = (limits.namespace, limits.all);
        Self { hosts: Hosts::new(namespace, all), clusters: Clusters::new(namespace, all) }
    }

    /// An object is there.
    pub fn add(&mut self, route: &IngressRoute, store: &Store) {
        self.clusters.add(route, store);
    }

    /// An object that was there is so no more.
    pub fn remove(&mut self, route: &IngressRoute) {
        self.clusters.remove(route);
    }

    /// The endpoints of a Service differ.
    pub fn service_changed(&mut self, service: &ObjectName, store: &Store) {
        self.clusters.service_changed(service, store);
    }

    /// A Secret differs.
    pub fn secret_changed(&mut self, secret: &ObjectName, store: &Store) {
        self.clusters.secret_changed(secret, store);
    }

    /// Decides which objects' clusters and health checks are made. Returns those of which it is
    /// decided anew.
    pub fn settle_objects(&mut self, store: &Store) -> BTreeSet<ObjectName> {
        self.clusters.settle(store)
    }

    /// This is what a host costs; `None` if nobody claims it.
    pub fn weigh(&mut self, fqdn: &Fqdn, cost: Option<HostCost>) {
        self.hosts.weigh(fqdn, cost);
    }

    /// Decides which hosts are served. Returns those of which it is decided anew.
    pub fn settle_hosts(&mut self) -> BTreeSet<Fqdn> {
        self.hosts.settle()
    }

    /// What a host counts for.
    pub fn amounts(&self, fqdn: &Fqdn) -> Option<Amounts> {
        self.hosts.amounts(fqdn)
    }

    /// Why a host is not served.
    pub fn host(&self, fqdn: &Fqdn) -> Option<Excess> {
        self.hosts.cut(fqdn)
    }

    /// Whether the services of an object get nothing.
    pub fn refuses_clusters(&self, object: &ObjectName) -> bool {
        self.clusters.cut(object).clusters.is_some()
    }

    /// Whether the services of an object are used without its active health checks.
    pub fn refuses_checks(&self, object: &ObjectName) -> bool {
        self.clusters.cut(object).checks.is_some()
    }

    /// What there is to say of an object that leads to more than there is room for.
    pub fn findings(&self, object: &ObjectName, route: Option<&IngressRoute>) -> Vec<Diagnostic> {
        let Some(route) = route else { return Vec::new() };
        let Cut { clusters, checks } = self.clusters.cut(object);
        let upstreams =
            if clusters.or(checks).is_some() { route.upstreams() } else { return Vec::new() };
        let namespace = &object.namespace;
        let clusters = clusters.map(|excess| {
            let (count, room) = (upstreams.len(), excess.room(namespace));
            let what = match excess.what {
                What::Endpoints => {
                    format!("the endpoints of the {count} clusters that its services lead to are")
                }
                What::Bytes => {
                    format!("the CA bundles of the {count} clusters that its services lead to are")
                }
                What::Routes | What::Clusters | What::Checks => {
                    format!("its services lead to {count} clusters, which is")
                }
            };
            format!("{what} more than {room}; its services get nothing")
        });
        let checks = checks.map(|excess| {
            let count = upstreams.iter().filter(|upstream| upstream.is_checked).count();
            let room = excess.room(namespace);
            format!(
                "it asks for {count} active health checks, each of all endpoints of a Service, which is more than {room}; its services are used without"
            )
        });
        let reference = object.of(Kind::IngressRoute);
        let field = FieldPath::of(".spec");
        let finding = |message| Diagnostic::new(Code::TooLarge, &reference, field.clone(), message);
        clusters.into_iter().chain(checks).map(finding).collect()
    }
}

/// Those that fit, and those that do not, taken in order: each stays that fits beside the ones
/// before it. `add` is told to add one to what is there, and says what that comes to.
fn first_fit<K: Ord>(
    in_order: impl IntoIterator<Item = (K, Amounts)>,
    limits: Amounts,
    scope: Scope,
) -> (BTreeMap<K, Excess>, Amounts) {
    let mut cut = BTreeMap::new();
    let mut sum = Amounts::default();
    for (key, amounts) in in_order {
        sum += amounts;
        if let Some(excess) = Excess::of(sum, limits, scope) {
            sum -= amounts;
            cut.insert(key, excess);
        }
    }
    (cut, sum)
}

/// The keys at which two maps differ, added to `differing`.
fn compare<K: Ord + Clone, V: PartialEq>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
    differing: &mut BTreeSet<K>,
) {
    for (one, other) in [(left, right), (right, left)] {
        let keys = one.iter().filter(|(key, value)| other.get(key) != Some(value));
        differing.extend(keys.map(|(key, _)| key.clone()));
    }
}
