//! The façade: owns the objects and what was made of them; the only thing consumers construct.

mod gaps;
mod reports;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Object, Timestamp};
use crate::budget::{self, Budget, Excess};
use crate::diagnostic::Diagnostic;
use crate::incremental::Dependencies;
use crate::ir;
use crate::lower::{Fragment, IngressRoute, lower};
use crate::name::{Fqdn, Kind, ObjectName, ObjectRef};
pub use crate::options::{Amounts, Bind, Options, TlsLayout};
pub use crate::pipeline::gaps::Gaps;
use crate::pipeline::reports::Reports;
use crate::pipeline::units::{Shared, Unit, UnitValue};
use crate::resolve;
pub use crate::status::{ObjectStatus, State};
use crate::store::{Fact, Reader, Store};
use crate::xds::{self, Bucket, Chain, Resource, ResourceKey};

/// One change of the world.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is now as given.
    Apply(Box<Object>, Arc<[Diagnostic]>),
    /// The object is gone.
    Delete(ObjectRef),
    /// The object exists but cannot be decoded: what it was before stays in force, and the
    /// diagnostics say why.
    Undecodable(ObjectRef, Arc<[Diagnostic]>),
    /// Time has come to this instant; certificates may have expired.
    Clock(Timestamp),
}

/// What a batch of changes led to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Resources that are new or differ; `None` for those that are gone.
    pub resources: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
    /// Objects whose status differs; `None` for those that are gone.
    pub statuses: BTreeMap<ObjectRef, Option<Arc<ObjectStatus>>>,
    /// How many units were computed again: the work that the change cost.
    pub units: usize,
}

/// The single writer of the world.
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    store: Store,
    /// Who gets what of what there is room for.
    budget: Budget,
    dependencies: Dependencies<Unit, Fact>,
    values: BTreeMap<Unit, UnitValue>,
    /// Clusters and endpoints, which many hosts share.
    shared: Shared,
    /// Hosts that need something of the TLS listener.
    chains: BTreeMap<Fqdn, Chain>,
    /// Hosts whose certificates Envoys fetch before anybody asks.
    warmed: BTreeMap<Bucket, BTreeSet<Fqdn>>,
    resources: BTreeMap<ResourceKey, Arc<Resource>>,
    reports: Reports,
}

impl Pipeline {
    /// A pipeline over an empty world.
    pub fn new(options: Options) -> Self {
        let mut pipeline = Self {
            budget: Budget::new(&options.limits),
            options,
            store: Store::default(),
            dependencies: Dependencies::default(),
            values: BTreeMap::new(),
            shared: Shared::default(),
            chains: BTreeMap::new(),
            warmed: BTreeMap::new(),
            resources: BTreeMap::new(),
            reports: Reports::default(),
        };
        pipeline.publish_listeners(&mut Batch::default());
        pipeline
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The resources that exist before any object does: the listeners.
    pub fn initial(&self) -> Outcome {
        let all =
            self.resources.iter().map(|(key, resource)| (key.clone(), Some(Arc::clone(resource))));
        Outcome { resources: all.collect(), ..Outcome::default() }
    }

    /// Applies changes, computes again what read something that they touched, and says what
    /// differs.
    ///
    /// # Cost
    /// Follows the size of the changes, not of the world.
    pub fn apply(&mut self, changes: Vec<Change>) -> Outcome {
        let mut batch = Batch::default();
        let mut touched = BTreeSet::new();
        for change in changes {
            self.take_in(change, &mut touched);
        }
        let mut dirty = BTreeSet::new();
        for fact in &touched {
            self.dependencies.affected(fact, &mut dirty);
            if let Fact::Host(fqdn) = fact {
                dirty.insert(Unit::Host(fqdn.clone()));
            }
        }
        self.settle(&touched, &mut dirty);
        let mut chains_differ = false;
        // Hosts come before endpoints in the order of units, and decide which endpoints there are.
        for unit in &dirty {
            if let Unit::Host(fqdn) = unit {
                batch.units += 1;
                chains_differ |= self.compute_host(fqdn, &mut batch);
            }
        }
        let mut endpoints = self.shared.take_new_endpoints();
        endpoints.extend(dirty.into_iter().filter_map(|unit| match unit {
            Unit::Endpoints(name) => Some(name),
            Unit::Host(_) => None,
        }));
        for name in endpoints {
            batch.units += 1;
            self.compute_endpoints(&name, &mut batch);
        }
        if chains_differ {
            self.publish_listeners(&mut batch);
        }
        for bucket in std::mem::take(&mut batch.buckets) {
            self.publish_bucket(bucket, &mut batch);
        }
        Outcome {
            resources: self.differences(batch.before),
            statuses: self.reports.take_changed(),
            units: batch.units,
        }
    }

    /// Notes in objects without a time of creation that claims of hosts which are new came at
    /// `arrival`, and that others came when they did. To be called before [`Self::apply`] where a
    /// source knows no ages: then who has a host keeps it for as long as it claims it. The order of
    /// arrival becomes part of the objects, so that they alone decide who has what.
    pub fn date(&self, changes: &mut [Change], arrival: u64) {
        for change in changes {
            if let Change::Apply(object, _) = change
                && object.metadata().creation_timestamp.is_none()
                && object.kind() == Kind::IngressRoute
            {
                object.metadata_mut().arrival = self.arrival_of(object, arrival);
            }
        }
    }

    fn arrival_of(&self, object: &Object, arrival: u64) -> u64 {
        let Some((Fragment::IngressRoute(new), _)) = lower(object, &self.options) else {
            return arrival;
        };
        let host = |route: &IngressRoute| route.root.as_ref().and_then(|root| root.fqdn.clone());
        match self.ingress_route(&new.name) {
            Some(old) if old.created.is_none() && host(old) == host(&new) => old.arrival,
            Some(_) | None => arrival,
        }
    }

    /// All resources in force, ordered by key.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// A resource in force.
    pub fn resource(&self, key: &ResourceKey) -> Option<&Arc<Resource>> {
        self.resources.get(key)
    }

    /// The checked form of an IngressRoute; `None` for one that is not served.
    pub fn ingress_route(&self, name: &ObjectName) -> Option<&IngressRoute> {
        match self.store.get(&name.of(Kind::IngressRoute))? {
            Fragment::IngressRoute(route) => Some(route),
            Fragment::Delegation(_)
            | Fragment::Service(_)
            | Fragment::EndpointSlice(_)
            | Fragment::Secret(_)
            | Fragment::Namespace => None,
        }
    }

    /// The certificate in a Secret, if it is sound.
    pub fn certificate(&self, secret: &ObjectName) -> Option<&ir::Certificate> {
        match self.store.get(&secret.of(Kind::Secret))? {
            Fragment::Secret(secret) => secret.certificate.as_deref().ok(),
            Fragment::IngressRoute(_)
            | Fragment::Delegation(_)
            | Fragment::Service(_)
            | Fragment::EndpointSlice(_)
            | Fragment::Namespace => None,
        }
    }

    /// What became of an object; `None` if there is nothing to say of it.
    pub fn status(&self, object: &ObjectRef) -> Option<&Arc<ObjectStatus>> {
        self.reports.status(object)
    }

    /// What became of every object of a kind that has a status, and of every other object of
    /// which there is something to say.
    pub fn statuses(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<ObjectStatus>)> {
        self.reports.statuses()
    }

    /// Whether an object is in force: there is one, and it is of a class that is served.
    pub fn has(&self, object: &ObjectRef) -> bool {
        self.store.get(object).is_some()
    }

    /// How many hosts roots claim.
    pub fn hosts(&self) -> usize {
        self.store.hosts()
    }

    /// The roots that claim a host; the first has it.
    pub fn claimants(&self, fqdn: &Fqdn) -> impl Iterator<Item = &ObjectName> {
        self.store.claimants(fqdn)
    }

    /// What a host counts for against the limits; `None` if nobody claims it.
    pub fn amounts(&self, fqdn: &Fqdn) -> Option<Amounts> {
        self.budget.amounts(fqdn)
    }

    /// Why a host that is claimed is not served, if there is no room for it.
    pub fn excess(&self, fqdn: &Fqdn) -> Option<Excess> {
        self.budget.host(fqdn)
    }

    /// How many endpoints of a Service's port are ready.
    pub fn ready(&self, service: &ObjectName, port: i64) -> usize {
        resolve::ready(&Reader::new(&self.store), service, port)
    }

    /// How many objects of a kind are in force.
    ///
    /// # Cost
    /// Follows the number of objects of the kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.store.count(kind)
    }

    fn take_in(&mut self, change: Change, touched: &mut BTreeSet<Fact>) {
        match change {
            Change::Apply(object, manifest) => {
                let reference = object.reference();
                match lower(&object, &self.options) {
                    Some((fragment, found)) => {
                        let is_root = matches!(&fragment, Fragment::IngressRoute(route) if route.root.is_some());
                        let own = found.after(&manifest);
                        self.reports.set_own(&reference, own, is_root);
                        self.replace(&reference, Some(fragment), touched);
                    }
                    None => self.remove(&reference, touched),
                }
            }
            Change::Delete(reference) => self.remove(&reference, touched),
            Change::Undecodable(reference, diagnostics) => {
                // One that was never read may be a root: nothing is known of it but its faults.
                let is_root = match self.store.get(&reference) {
                    Some(Fragment::IngressRoute(route)) => route.root.is_some(),
                    _ => true,
                };
                let own = diagnostics.iter().cloned().collect();
                self.reports.set_own(&reference, own, is_root);
            }
            Change::Clock(now) => self.store.set_time(now, touched),
        }
    }

    fn remove(&mut self, reference: &ObjectRef, touched: &mut BTreeSet<Fact>) {
        self.reports.remove_own(reference);
        self.replace(reference, None, touched);
    }

    fn replace(
        &mut self,
        reference: &ObjectRef,
        fragment: Option<Fragment>,
        touched: &mut BTreeSet<Fact>,
    ) {
        if let Some(Fragment::IngressRoute(before)) = self.store.get(reference) {
            self.budget.remove(before);
        }
        self.store.replace(reference, fragment, touched);
        if let Some(Fragment::IngressRoute(now)) = self.store.get(reference) {
            self.budget.add(now, &self.store);
        }
    }

    /// Decides anew who gets what, and adds the hosts that this changes to those that have to be
    /// computed again.
    fn settle(&mut self, touched: &BTreeSet<Fact>, dirty: &mut BTreeSet<Unit>) {
        for fact in touched {
            match fact {
                Fact::Slices(service) => self.budget.service_changed(service, &self.store),
                Fact::Object(object) if object.kind == Kind::Secret => {
                    self.budget.secret_changed(&object.name, &self.store);
                }
                Fact::Object(_) | Fact::Host(_) | Fact::Delegations(_) => {}
            }
        }
        for object in self.budget.settle_objects(&self.store) {
            let reference = object.of(Kind::IngressRoute);
            let findings = self.budget.findings(&object, self.ingress_route(&object));
            self.reports.set_refused(&reference, findings);
            self.dependencies.affected(&Fact::Object(reference), dirty);
        }
        for unit in dirty.iter() {
            if let Unit::Host(fqdn) = unit {
                let cost = budget::cost(&Reader::new(&self.store), &self.options, fqdn);
                self.budget.weigh(fqdn, cost);
            }
        }
        dirty.extend(self.budget.settle_hosts().into_iter().map(Unit::Host));
    }

    fn publish_listeners(&mut self, batch: &mut Batch) {
        let built = xds::listeners(&self.options, self.chains.values());
        let https = ResourceKey::new(xds::ResourceType::Listener, xds::HTTPS_LISTENER);
        if !built.iter().any(|r| r.key == https) {
            self.publish(&https, None, batch);
        }
        for resource in built {
            let key = resource.key.clone();
            self.publish(&key, Some(Arc::new(resource)), batch);
        }
    }

    fn publish_bucket(&mut self, bucket: Bucket, batch: &mut Batch) {
        let resource = self.warmed.get(&bucket).map(|hosts| Arc::new(bucket.listener(hosts)));
        self.publish(&bucket.key(), resource, batch);
    }

    /// Puts a resource in force or out of it.
    fn publish(&mut self, key: &ResourceKey, resource: Option<Arc<Resource>>, batch: &mut Batch) {
        if self.resources.get(key) == resource.as_ref() {
            return;
        }
        let before = match resource {
            Some(resource) => self.resources.insert(key.clone(), resource),
            None => self.resources.remove(key),
        };
        batch.before.entry(key.clone()).or_insert(before);
    }

    /// What differs from before the batch: what one host let go of, another may have taken up.
    fn differences(
        &self,
        before: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
    ) -> BTreeMap<ResourceKey, Option<Arc<Resource>>> {
        let now = before.into_iter().map(|(key, before)| {
            let now = self.resources.get(&key).map(Arc::clone);
            (key, before, now)
        });
        now.filter(|(_, before, now)| before != now).map(|(key, _, now)| (key, now)).collect()
    }
}

/// What a batch of changes has done so far.
#[derive(Debug, Default)]
struct Batch {
    /// The resources touched, as they were before.
    before: BTreeMap<ResourceKey, Option<Arc<Resource>>>,
    units: usize,
    /// Buckets of which a host came or went.
    buckets: BTreeSet<Bucket>,
}

#[cfg(test)]
mod tests;
