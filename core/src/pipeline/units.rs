//! The units of computation: a host, and the endpoints of a Service's port.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Batch, Pipeline};
use crate::budget::Budget;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::ir::{self, Action, Destination, EndpointsName, Tls};
use crate::name::{FieldPath, Fqdn, Kind, ObjectName, ObjectRef};
use crate::options::{Options, TlsLayout};
use crate::resolve::{self, ResolvedEndpoints, ResolvedHost};
use crate::store::{Fact, Reader};
use crate::xds::{self, Bucket, Chain, Resource, ResourceKey, ResourceType, Side};

/// What is computed again as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A host with its routes, its certificate and the clusters that it uses.
    Host(Fqdn),
    /// The endpoints of a Service's port.
    Endpoints(EndpointsName),
}

/// What a unit came to.
#[derive(Debug)]
pub(super) enum UnitValue {
    Host(HostValue),
    Endpoints(Findings),
}

#[derive(Debug, Default)]
pub(super) struct HostValue {
    resources: Vec<Arc<Resource>>,
    /// Ordered by key.
    clusters: Box<[(ResourceKey, Arc<ir::Cluster>)]>,
    chain: Option<Chain>,
    /// Whether Envoys fetch the certificate before anybody asks.
    is_warmed: bool,
    /// In order.
    visited: Box<[ObjectName]>,
    findings: Findings,
}

impl HostValue {
    fn uses(&self, cluster: &ResourceKey) -> bool {
        self.clusters.binary_search_by(|(key, _)| key.cmp(cluster)).is_ok()
    }
}

/// Clusters by their users, and the endpoints that those need.
#[derive(Debug, Default)]
pub(super) struct Shared {
    users: BTreeMap<ResourceKey, Users>,
    /// How many clusters have these endpoints.
    endpoints: BTreeMap<EndpointsName, usize>,
    new_endpoints: BTreeSet<EndpointsName>,
}

#[derive(Debug)]
struct Users {
    cluster: Arc<ir::Cluster>,
    hosts: BTreeSet<Fqdn>,
}

impl Shared {
    /// Endpoints that a cluster needs and that have not been computed yet.
    pub(super) fn take_new_endpoints(&mut self) -> BTreeSet<EndpointsName> {
        std::mem::take(&mut self.new_endpoints)
    }
}

impl Pipeline {
    /// Computes a host again. Returns whether the TLS listener is concerned.
    pub(super) fn compute_host(&mut self, fqdn: &Fqdn, batch: &mut Batch) -> bool {
        let unit = Unit::Host(fqdn.clone());
        let value = if self.store.is_claimed(fqdn) {
            let reader = Reader::new(&self.store);
            let (options, budget) = (&self.options, &self.budget);
            let compute = || host_value(&reader, options, budget, fqdn);
            let computed = catch_unwind(AssertUnwindSafe(compute));
            let facts = reader.into_facts();
            match computed {
                Ok(value) => {
                    self.dependencies.record(&unit, facts);
                    value
                }
                Err(_panic) => {
                    self.keep_last_good(&unit, fqdn, &facts);
                    return false;
                }
            }
        } else {
            self.dependencies.forget(&unit);
            HostValue::default()
        };
        self.replace_host(fqdn, unit, value, batch)
    }

    /// A defect of ours met by one host must not stop the others.
    fn keep_last_good(&mut self, unit: &Unit, fqdn: &Fqdn, facts: &[Fact]) {
        self.dependencies.record_more(unit, facts);
        let claims = Reader::new(&self.store).claims(fqdn).first();
        let Some(root) = claims.map(|claim| claim.name().clone()) else { return };
        let message = format!("the translation of host {fqdn} failed");
        let object = root.of(Kind::IngressRoute);
        let diagnostic =
            Diagnostic::new(Code::TranslationPanicked, &object, FieldPath::root(), message);
        let entry = self
            .values
            .entry(unit.clone())
            .or_insert_with(|| UnitValue::Host(HostValue::default()));
        if let UnitValue::Host(value) = entry
            && !value.findings.kept().contains(&diagnostic)
        {
            let findings = value.findings.clone().with(diagnostic);
            let old = std::mem::replace(&mut value.findings, findings);
            let visited = &value.visited;
            self.reports.replace_linked((visited, &old), (visited, &value.findings));
        }
    }

    fn replace_host(
        &mut self,
        fqdn: &Fqdn,
        unit: Unit,
        value: HostValue,
        batch: &mut Batch,
    ) -> bool {
        let old = match self.values.remove(&unit) {
            Some(UnitValue::Host(old)) => old,
            _ => HostValue::default(),
        };
        for resource in
            old.resources.iter().filter(|o| !value.resources.iter().any(|n| n.key == o.key))
        {
            self.publish(&resource.key, None, batch);
        }
        for resource in &value.resources {
            self.publish(&resource.key, Some(Arc::clone(resource)), batch);
        }
        for (key, cluster) in value.clusters.iter().filter(|(key, _)| !old.uses(key)) {
            self.use_cluster(fqdn, key, cluster, batch);
        }
        for (key, _) in old.clusters.iter().filter(|(key, _)| !value.uses(key)) {
            self.leave_cluster(fqdn, key, batch);
        }
        let chains_differ = old.chain != value.chain;
        if chains_differ {
            match &value.chain {
                Some(chain) => self.chains.insert(fqdn.clone(), chain.clone()),
                None => self.chains.remove(fqdn),
            };
        }
        if old.is_warmed != value.is_warmed {
            self.warm(fqdn, value.is_warmed, batch);
        }
        self.reports
            .replace_linked((&old.visited, &old.findings), (&value.visited, &value.findings));
        if self.store.is_claimed(fqdn) {
            self.values.insert(unit, UnitValue::Host(value));
        }
        chains_differ
    }

    fn warm(&mut self, fqdn: &Fqdn, is_warmed: bool, batch: &mut Batch) {
        let bucket = Bucket::of(fqdn);
        batch.buckets.insert(bucket);
        if is_warmed {
            self.warmed.entry(bucket).or_default().insert(fqdn.clone());
        } else if let Some(hosts) = self.warmed.get_mut(&bucket) {
            hosts.remove(fqdn);
            if hosts.is_empty() {
                self.warmed.remove(&bucket);
            }
        }
    }

    fn use_cluster(
        &mut self,
        fqdn: &Fqdn,
        key: &ResourceKey,
        cluster: &Arc<ir::Cluster>,
        batch: &mut Batch,
    ) {
        if let Some(users) = self.shared.users.get_mut(key) {
            users.hosts.insert(fqdn.clone());
            return;
        }
        let users = Users { cluster: Arc::clone(cluster), hosts: BTreeSet::from([fqdn.clone()]) };
        self.shared.users.insert(key.clone(), users);
        let resource = xds::cluster(cluster).owned_by(&cluster.service.namespace);
        self.publish(key, Some(Arc::new(resource)), batch);
        let count = self.shared.endpoints.entry(cluster.endpoints.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.shared.new_endpoints.insert(cluster.endpoints.clone());
        }
    }

    fn leave_cluster(&mut self, fqdn: &Fqdn, key: &ResourceKey, batch: &mut Batch) {
        let Some(users) = self.shared.users.get_mut(key) else {
            return;
        };
        users.hosts.remove(fqdn);
        if !users.hosts.is_empty() {
            return;
        }
        let endpoints = users.cluster.endpoints.clone();
        self.shared.users.remove(key);
        self.publish(key, None, batch);
        let Some(count) = self.shared.endpoints.get_mut(&endpoints) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.shared.endpoints.remove(&endpoints);
        self.shared.new_endpoints.remove(&endpoints);
        self.publish(&xds::endpoints_name(&endpoints), None, batch);
        let unit = Unit::Endpoints(endpoints);
        self.dependencies.forget(&unit);
        if let Some(UnitValue::Endpoints(old)) = self.values.remove(&unit) {
            self.reports.replace_linked((&[], &old), (&[], &Findings::default()));
        }
    }

    /// Computes endpoints again, if any cluster needs them.
    pub(super) fn compute_endpoints(&mut self, name: &EndpointsName, batch: &mut Batch) {
        if !self.shared.endpoints.contains_key(name) {
            return;
        }
        let unit = Unit::Endpoints(name.clone());
        let reader = Reader::new(&self.store);
        let ResolvedEndpoints { endpoints, findings } = resolve::endpoints(&reader, name);
        self.dependencies.record(&unit, reader.into_facts());
        let resource = xds::endpoints(&endpoints).owned_by(&name.service.namespace);
        self.publish(&resource.key.clone(), Some(Arc::new(resource)), batch);
        let old = match self.values.insert(unit, UnitValue::Endpoints(findings.clone())) {
            Some(UnitValue::Endpoints(old)) => old,
            _ => Findings::default(),
        };
        self.reports.replace_linked((&[], &old), (&[], &findings));
    }

    /// The resources that an object had a part in.
    ///
    /// # Cost
    /// Follows the number of hosts that read the object.
    pub fn resources_of(&self, object: &ObjectRef) -> Vec<ResourceKey> {
        let mut units = BTreeSet::new();
        self.dependencies.affected(&Fact::Object(object.clone()), &mut units);
        let mut keys = BTreeSet::new();
        for unit in &units {
            match (unit, self.values.get(unit)) {
                (Unit::Host(fqdn), Some(UnitValue::Host(value))) => {
                    self.resources_of_host((fqdn, value), object, &mut keys);
                }
                (Unit::Endpoints(name), Some(_)) if is_of(object, Kind::Service, &name.service) => {
                    keys.insert(xds::endpoints_name(name));
                }
                _ => {}
            }
        }
        keys.into_iter().collect()
    }

    fn resources_of_host(
        &self,
        (fqdn, value): (&Fqdn, &HostValue),
        object: &ObjectRef,
        keys: &mut BTreeSet<ResourceKey>,
    ) {
        let clusters = value.clusters.iter();
        match object.kind {
            Kind::IngressRoute if value.visited.contains(&object.name) => {
                keys.extend(value.resources.iter().map(|r| r.key.clone()));
                for (key, cluster) in clusters {
                    keys.insert(key.clone());
                    keys.insert(xds::endpoints_name(&cluster.endpoints));
                }
                if value.chain.is_some() {
                    keys.insert(ResourceKey::new(ResourceType::Listener, xds::HTTPS_LISTENER));
                }
            }
            Kind::Service => {
                let own = clusters.filter(|(_, cluster)| cluster.service == object.name);
                keys.extend(own.map(|(key, _)| key.clone()));
            }
            Kind::Secret
                if self.dependencies_of(fqdn).any(|fact| *fact == Fact::Object(object.clone())) =>
            {
                keys.extend(
                    value
                        .resources
                        .iter()
                        .filter(|r| r.key.kind == ResourceType::Secret)
                        .map(|r| r.key.clone()),
                );
            }
            Kind::IngressRoute
            | Kind::Secret
            | Kind::TlsCertificateDelegation
            | Kind::EndpointSlice
            | Kind::Namespace => {}
        }
    }

    fn dependencies_of(&self, fqdn: &Fqdn) -> impl Iterator<Item = &Fact> {
        self.dependencies.reads(&Unit::Host(fqdn.clone())).iter()
    }

    /// The Service behind a cluster in force.
    pub(super) fn service_of_cluster(&self, key: &ResourceKey) -> Option<&ObjectName> {
        self.shared.users.get(key).map(|users| &users.cluster.service)
    }

    /// The objects that had a part in a resource, those first whose owners can mend it.
    pub fn owners(&self, resource: &ResourceKey) -> Vec<ObjectRef> {
        match resource.kind {
            ResourceType::Route | ResourceType::ScopedRoute => {
                let host = resource.name.split_once('/').map_or("", |(_, host)| host);
                self.owners_of_host(host)
            }
            ResourceType::Secret => self.owners_of_host(&resource.name),
            ResourceType::Cluster => {
                let Some(users) = self.shared.users.get(resource) else {
                    return Vec::new();
                };
                let mut owners = self.owners_of_hosts(&users.hosts);
                owners.push(users.cluster.service.of(Kind::Service));
                owners
            }
            ResourceType::Endpoint => {
                let mut parts = resource.name.split('/');
                match (parts.next(), parts.next()) {
                    (Some(namespace), Some(name)) => {
                        vec![ObjectRef::new(Kind::Service, namespace, name)]
                    }
                    _ => Vec::new(),
                }
            }
            ResourceType::Listener => {
                match self.warmed.iter().find(|(bucket, _)| bucket.key() == *resource) {
                    Some((_, hosts)) => self.owners_of_hosts(hosts),
                    None => self.owners_of_hosts(self.chains.keys()),
                }
            }
        }
    }

    /// Each once, in order.
    fn owners_of_hosts<'a>(&self, hosts: impl IntoIterator<Item = &'a Fqdn>) -> Vec<ObjectRef> {
        let owners = hosts.into_iter().flat_map(|fqdn| self.owners_of_host(fqdn.as_str()));
        owners.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn owners_of_host(&self, host: &str) -> Vec<ObjectRef> {
        let Ok(fqdn) = Fqdn::parse(host) else {
            return Vec::new();
        };
        match self.values.get(&Unit::Host(fqdn)) {
            Some(UnitValue::Host(value)) => {
                value.visited.iter().map(|name| name.of(Kind::IngressRoute)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn is_of(object: &ObjectRef, kind: Kind, name: &ObjectName) -> bool {
    object.kind == kind && object.name == *name
}

fn host_value(reader: &Reader<'_>, options: &Options, budget: &Budget, fqdn: &Fqdn) -> HostValue {
    let ResolvedHost { host, visited, findings } = resolve::host(reader, options, budget, fqdn);
    let Some(host) = host else {
        return HostValue {
            visited: visited.into_iter().collect(),
            findings,
            ..HostValue::default()
        };
    };
    let root = reader.claims(fqdn).first().map(|root| Arc::clone(&root.name().namespace));
    let owned = |resource: Resource| match &root {
        Some(namespace) => Arc::new(resource.owned_by(namespace)),
        None => Arc::new(resource),
    };
    let mut resources = Vec::new();
    let mut clusters = BTreeMap::new();
    if let Some(routes) = &host.http {
        gather(routes, &mut clusters);
        resources.extend(xds::routes(Side::Http, fqdn, routes).map(owned));
    }
    match &host.tls {
        Some(Tls::Https { certificate, routes, .. }) => {
            gather(routes, &mut clusters);
            resources.extend(xds::routes(Side::Https, fqdn, routes).map(owned));
            resources.push(owned(xds::secret(fqdn, certificate)));
        }
        Some(Tls::Terminate { certificate, destinations, .. }) => {
            gather_destinations(destinations, &mut clusters);
            resources.push(owned(xds::secret(fqdn, certificate)));
        }
        Some(Tls::Passthrough { destinations }) => gather_destinations(destinations, &mut clusters),
        None => {}
    }
    let chain = host.tls.as_ref().and_then(|tls| Chain::of(fqdn, tls, options.tls_layout));
    let is_warmed = options.prefetch_certificates
        && options.tls_layout == TlsLayout::OnDemand
        && matches!(host.tls, Some(Tls::Https { .. }));
    HostValue {
        resources,
        clusters: clusters.into_iter().collect(),
        chain,
        is_warmed,
        visited: visited.into_iter().collect(),
        findings,
    }
}

fn gather(routes: &[ir::Route], clusters: &mut BTreeMap<ResourceKey, Arc<ir::Cluster>>) {
    for route in routes {
        if let Action::Forward(forward) = &route.action {
            gather_destinations(&forward.destinations, clusters);
        }
    }
}

fn gather_destinations(
    destinations: &[Destination],
    clusters: &mut BTreeMap<ResourceKey, Arc<ir::Cluster>>,
) {
    for destination in destinations {
        clusters
            .entry(xds::cluster_name(&destination.cluster))
            .or_insert_with(|| Arc::clone(&destination.cluster));
    }
}
