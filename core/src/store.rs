//! The set of objects in their checked form, its indexes, and the only way to read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::Timestamp;
use crate::incremental::Reads;
use crate::lower::{Delegation, EndpointSlice, Fragment, IngressRoute, Secret, Service};
use crate::name::{Fqdn, Kind, ObjectName, ObjectRef};

/// Something that can be read, and touched by a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// An object, present or absent.
    Object(ObjectRef),
    /// Which roots claim a host.
    Host(Fqdn),
    /// The EndpointSlices of a Service.
    Slices(ObjectName),
    /// What the Secrets of a namespace are delegated to.
    Delegations(Arc<str>),
}

/// A root's claim of a host; the least claim wins. Among those with a time of creation that is the
/// oldest, among those without the one that came first; between equals the name decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    is_undated: bool,
    created: Option<Timestamp>,
    arrival: u64,
    name: ObjectName,
}

/// Why one claim of a host comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It is older.
    Age,
    /// It has a time of creation, and the other has none.
    Dated,
    /// It came earlier; neither has a time of creation.
    Arrival,
    /// Its namespace and name come first; nothing else tells them apart.
    Name,
}

impl Claim {
    /// The root.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Why this claim comes before `other`, if it does.
    pub fn precedence(&self, other: &Self) -> Precedence {
        if self.is_undated != other.is_undated {
            Precedence::Dated
        } else if self.created != other.created {
            Precedence::Age
        } else if self.arrival != other.arrival {
            Precedence::Arrival
        } else {
            Precedence::Name
        }
    }

    fn of(route: &IngressRoute) -> Option<(Fqdn, Self)> {
        let fqdn = route.root.as_ref()?.fqdn.clone()?;
        let claim = Self {
            is_undated: route.created.is_none(),
            created: route.created,
            arrival: if route.created.is_none() { route.arrival } else { 0 },
            name: route.name.clone(),
        };
        Some((fqdn, claim))
    }
}

/// A set that has one element nearly always: a sorted vector without room to spare.
type Few<T> = Vec<T>;

/// The set of objects.
#[derive(Debug, Default)]
pub struct Store {
    fragments: BTreeMap<ObjectRef, Arc<Fragment>>,
    claims: BTreeMap<Fqdn, Few<Claim>>,
    slices: BTreeMap<ObjectName, Few<ObjectName>>,
    delegations: BTreeMap<Arc<str>, Few<ObjectName>>,
    /// When which Secret's certificate begins or ceases to be valid.
    boundaries: BTreeSet<(Timestamp, ObjectName)>,
    now: Option<Timestamp>,
}

impl Store {
    /// Puts an object in, or takes it out, and adds the facts that this touches to `touched`:
    /// none if the object's checked form is what it was.
    pub fn replace(
        &mut self,
        reference: &ObjectRef,
        fragment: Option<Fragment>,
        touched: &mut BTreeSet<Fact>,
    ) {
        if self.fragments.get(reference).map(AsRef::as_ref) == fragment.as_ref() {
            return;
        }
        touched.insert(Fact::Object(reference.clone()));
        let new = fragment.map(Arc::new);
        let old = match &new {
            Some(new) => self.fragments.insert(reference.clone(), Arc::clone(new)),
            None => self.fragments.remove(reference),
        };
        if let Some(old) = old {
            self.unindex(&reference.name, &old, touched);
        }
        if let Some(new) = new {
            self.index(&reference.name, &new, touched);
        }
    }

    /// Sets the time, touching the Secrets whose validity begins or ends in between.
    pub fn set_time(&mut self, now: Timestamp, touched: &mut BTreeSet<Fact>) {
        let before = self.now.replace(now);
        let (low, high) = match before {
            Some(before) => (before.min(now), before.max(now)),
            None => (Timestamp::from_unix(i64::MIN), Timestamp::from_unix(i64::MAX)),
        };
        let first = (low, ObjectName::new("", ""));
        for (_, name) in self.boundaries.range(first..).take_while(|(at, _)| *at <= high) {
            touched.insert(Fact::Object(name.of(Kind::Secret)));
        }
    }

    /// The time, once it has been told.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// The checked form of an object. Only [`Reader`] records reads; this is for showing.
    pub fn get(&self, reference: &ObjectRef) -> Option<&Fragment> {
        self.fragments.get(reference).map(AsRef::as_ref)
    }

    /// How many objects there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        let first = ObjectRef::new(kind, "", "");
        self.fragments.range(first..).take_while(|(r, _)| r.kind == kind).count()
    }

    /// Whether there is anything of a fact: the object, a claim, a slice, a delegation.
    pub fn has(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Object(object) => self.fragments.contains_key(object),
            Fact::Host(fqdn) => self.is_claimed(fqdn),
            Fact::Slices(service) => self.slices.contains_key(service),
            Fact::Delegations(namespace) => self.delegations.contains_key(namespace),
        }
    }

    /// How many endpoints a port of a Service has at most, ready or not.
    pub fn addresses(&self, service: &ObjectName) -> usize {
        let names = self.slices.get(service).into_iter().flatten();
        let slices = names.map(|name| match self.get(&name.of(Kind::EndpointSlice)) {
            Some(Fragment::EndpointSlice(slice)) => {
                let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
                for (name, _) in &slice.ports {
                    *numbers.entry(name).or_default() += 1;
                }
                slice.addresses.len() * numbers.into_values().max().unwrap_or(0)
            }
            _ => 0,
        });
        slices.sum()
    }

    /// Whether any root claims a host.
    pub fn is_claimed(&self, fqdn: &Fqdn) -> bool {
        self.claims.contains_key(fqdn)
    }

    /// The roots that claim a host; the first has it. Only [`Reader`] records reads.
    pub fn claimants(&self, fqdn: &Fqdn) -> impl Iterator<Item = &ObjectName> {
        self.claims.get(fqdn).into_iter().flatten().map(|claim| &claim.name)
    }

    /// How many hosts are claimed.
    pub fn hosts(&self) -> usize {
        self.claims.len()
    }

    fn index(&mut self, name: &ObjectName, fragment: &Fragment, touched: &mut BTreeSet<Fact>) {
        match fragment {
            Fragment::IngressRoute(route) => {
                if let Some((fqdn, claim)) = Claim::of(route) {
                    touched.insert(Fact::Host(fqdn.clone()));
                    insert(&mut self.claims, fqdn, claim);
                }
            }
            Fragment::EndpointSlice(slice) => {
                if let Some(service) = &slice.service {
                    touched.insert(Fact::Slices(service.clone()));
                    insert(&mut self.slices, service.clone(), name.clone());
                }
            }
            Fragment::Delegation(_) => {
                touched.insert(Fact::Delegations(Arc::clone(&name.namespace)));
                insert(&mut self.delegations, Arc::clone(&name.namespace), name.clone());
            }
            Fragment::Secret(secret) => {
                for at in boundaries(secret) {
                    self.boundaries.insert((at, name.clone()));
                }
            }
            Fragment::Service(_) | Fragment::Namespace => {}
        }
    }

    fn unindex(&mut self, name: &ObjectName, fragment: &Fragment, touched: &mut BTreeSet<Fact>) {
        match fragment {
            Fragment::IngressRoute(route) => {
                if let Some((fqdn, claim)) = Claim::of(route) {
                    touched.insert(Fact::Host(fqdn.clone()));
                    remove(&mut self.claims, &fqdn, &claim);
                }
            }
            Fragment::EndpointSlice(slice) => {
                if let Some(service) = &slice.service {
                    touched.insert(Fact::Slices(service.clone()));
                    remove(&mut self.slices, service, name);
                }
            }
            Fragment::Delegation(_) => {
                touched.insert(Fact::Delegations(Arc::clone(&name.namespace)));
                remove(&mut self.delegations, &name.namespace, name);
            }
            Fragment::Secret(secret) => {
                for at in boundaries(secret) {
                    self.boundaries.remove(&(at, name.clone()));
                }
            }
            Fragment::Service(_) | Fragment::Namespace => {}
        }
    }
}

fn boundaries(secret: &Secret) -> Vec<Timestamp> {
    secret.certificate.as_ref().map_or_else(|_| Vec::new(), |c| vec![c.not_before, c.not_after])
}

fn insert<K: Ord, V: Ord>(map: &mut BTreeMap<K, Few<V>>, key: K, value: V) {
    let set = map.entry(key).or_insert_with(|| Vec::with_capacity(1));
    if let Err(at) = set.binary_search(&value) {
        set.insert(at, value);
    }
}

fn remove<K: Ord, V: Ord>(map: &mut BTreeMap<K, Few<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        if let Ok(at) = set.binary_search(value) {
            set.remove(at);
        }
        if set.is_empty() {
            map.remove(key);
        }
    }
}

/// Reads the store for one computation and records what was read.
#[derive(Debug)]
pub struct Reader<'a> {
    store: &'a Store,
    reads: Reads<Fact>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing.
    pub fn new(store: &'a Store) -> Self {
        Self { store, reads: Reads::new() }
    }

    /// What was read.
    pub fn into_facts(self) -> Box<[Fact]> {
        self.reads.into_facts()
    }

    /// The claims of a host; the first has it.
    pub fn claims(&self, fqdn: &Fqdn) -> &'a [Claim] {
        self.reads.record(Fact::Host(fqdn.clone()));
        self.store.claims.get(fqdn).map_or(&[], Vec::as_slice)
    }

    /// An IngressRoute.
    pub fn ingressroute(&self, name: &ObjectName) -> Option<&'a IngressRoute> {
        if let Fragment::IngressRoute(route) = self.object(name, Kind::IngressRoute)? {
            Some(route)
        } else {
            None
        }
    }

    /// A Service.
    pub fn service(&self, name: &ObjectName) -> Option<&'a Service> {
        if let Fragment::Service(service) = self.object(name, Kind::Service)? {
            Some(service)
        } else {
            None
        }
    }

    /// A Secret.
    pub fn secret(&self, name: &ObjectName) -> Option<&'a Secret> {
        if let Fragment::Secret(secret) = self.object(name, Kind::Secret)? {
            Some(secret)
        } else {
            None
        }
    }

    /// Whether objects of `namespace` may use a Secret: their own, or one that is delegated to
    /// them. This is the only place that decides it.
    pub fn may_use_secret(&self, secret: &ObjectName, namespace: &str) -> bool {
        if &*secret.namespace == namespace {
            return true;
        }
        self.reads.record(Fact::Delegations(Arc::clone(&secret.namespace)));
        let names = self.store.delegations.get(&secret.namespace).into_iter().flatten();
        let mut delegations = names.filter_map(|name| self.delegation(name));
        delegations.any(|delegation| delegation.permits(&secret.name, namespace))
    }

    /// The EndpointSlices of a Service.
    pub fn slices(&self, service: &ObjectName) -> impl Iterator<Item = &'a EndpointSlice> {
        self.reads.record(Fact::Slices(service.clone()));
        let names = self.store.slices.get(service).into_iter().flatten();
        names.filter_map(|name| {
            if let Fragment::EndpointSlice(slice) = self.store.get(&name.of(Kind::EndpointSlice))? {
                Some(slice)
            } else {
                None
            }
        })
    }

    /// The time, once it has been told; a reader of a Secret's validity is touched through the
    /// Secret.
    pub fn now(&self) -> Option<Timestamp> {
        self.store.now
    }

    fn delegation(&self, name: &ObjectName) -> Option<&'a Delegation> {
        // Covered by `Fact::Delegations`, which every change of one touches.
        if let Fragment::Delegation(delegation) =
            self.store.get(&name.of(Kind::TlsCertificateDelegation))?
        {
            Some(delegation)
        } else {
            None
        }
    }

    fn object(&self, name: &ObjectName, kind: Kind) -> Option<&'a Fragment> {
        let reference = name.of(kind);
        let found = self.store.fragments.get(&reference).map(AsRef::as_ref);
        self.reads.record(Fact::Object(reference));
        found
    }
}
