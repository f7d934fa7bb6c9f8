//! The clusters and active health checks that objects lead to, and whose are made.
//!
//! Objects that lead to the same cluster share it, so that it counts once in a namespace. Whether
//! an object is delegated to makes no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Excess, Scope, Seniority, compare, seniority};
use crate::lower::{Fragment, IngressRoute, Upstream};
use crate::name::{Kind, ObjectName};
use crate::options::Amounts;
use crate::store::Store;

/// What is not made of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Why its services get nothing.
    pub(super) clusters: Option<Excess>,
    /// Why their active health checks are not made.
    pub(super) checks: Option<Excess>,
}

/// A cluster with what it costs.
#[derive(Clone, Copy, Debug)]
struct Use {
    objects: usize,
    amounts: Amounts,
}

#[derive(Debug, Default)]
struct Namespace {
    objects: BTreeSet<ObjectName>,
    total: Amounts,
    admitted: Amounts,
    cut: BTreeMap<ObjectName, Cut>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Clusters {
    limit: Amounts,
    limit_of_all: Amounts,
    /// A Service is in the namespace of the objects that lead to it.
    uses: BTreeMap<Upstream, Use>,
    /// The clusters that are verified by a CA bundle.
    verified: BTreeMap<ObjectName, BTreeSet<Upstream>>,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    dirty: BTreeSet<Arc<str>>,
    /// Objects that came since it was settled.
    fresh: BTreeSet<ObjectName>,
    admitted: Amounts,
    cut: BTreeMap<ObjectName, Cut>,
}

impl Clusters {
    pub(super) fn new(limit: Amounts, limit_of_all: Amounts) -> Self {
        Self {
            limit,
            limit_of_all,
            uses: BTreeMap::new(),
            verified: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            dirty: BTreeSet::new(),
            fresh: BTreeSet::new(),
            admitted: Amounts::default(),
            cut: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, route: &IngressRoute, store: &Store) {
        let upstreams = route.upstreams();
        if upstreams.is_empty() {
            return;
        }
        let name = &route.name;
        let namespace = self.namespaces.entry(Arc::clone(&name.namespace)).or_default();
        namespace.objects.insert(name.clone());
        for upstream in upstreams {
            let user = self.uses.entry(upstream.clone()).or_insert_with(|| {
                let amounts = amounts(&upstream, store);
                namespace.total += amounts;
                Use { objects: 0, amounts }
            });
            user.objects += 1;
            if let Some(secret) = &upstream.authority {
                self.verified.entry(secret.clone()).or_default().insert(upstream);
            }
        }
        self.dirty.insert(Arc::clone(&name.namespace));
        self.fresh.insert(name.clone());
    }

    pub(super) fn remove(&mut self, route: &IngressRoute) {
        let name = &route.name;
        self.fresh.remove(name);
        let Some(namespace) = self.namespaces.get_mut(&name.namespace) else { return };
        namespace.objects.remove(name);
        self.dirty.insert(Arc::clone(&name.namespace));
        for upstream in route.upstreams() {
            let Some(user) = self.uses.get_mut(&upstream) else { continue };
            user.objects -= 1;
            if user.objects > 0 {
                continue;
            }
            namespace.total -= user.amounts;
            self.uses.remove(&upstream);
            if let Some(secret) = &upstream.authority
                && let Some(clusters) = self.verified.get_mut(secret)
            {
                clusters.remove(&upstream);
                if clusters.is_empty() {
                    self.verified.remove(secret);
                }
            }
        }
    }

    pub(super) fn service_changed(&mut self, service: &ObjectName, store: &Store) {
        let first =
            Upstream { service: service.clone(), identity: 0, is_checked: false, authority: None };
        let uses = self.uses.range_mut(first..).take_while(|(u, _)| u.service == *service);
        let Some(namespace) = self.namespaces.get_mut(&service.namespace) else { return };
        for (upstream, user) in uses {
            reweigh(upstream, user, namespace, store);
            self.dirty.insert(Arc::clone(&service.namespace));
        }
    }

    pub(super) fn secret_changed(&mut self, secret: &ObjectName, store: &Store) {
        for upstream in self.verified.get(secret).into_iter().flatten() {
            let owner = &upstream.service.namespace;
            if let Some(user) = self.uses.get_mut(upstream)
                && let Some(namespace) = self.namespaces.get_mut(owner)
            {
                reweigh(upstream, user, namespace, store);
                self.dirty.insert(Arc::clone(owner));
            }
        }
    }

    /// The objects of which it is decided anew, or that are new and to which something is refused.
    pub(super) fn settle(&mut self, store: &Store) -> BTreeSet<ObjectName> {
        let mut differing = BTreeSet::new();
        let dirty = std::mem::take(&mut self.dirty);
        for name in &dirty {
            let Some(namespace) = self.namespaces.get_mut(name) else { continue };
            self.admitted -= namespace.admitted;
            let fits = Excess::of(namespace.total, self.limit, Scope::Namespace).is_none();
            let (cut, admitted) = if fits {
                (BTreeMap::new(), namespace.total)
            } else {
                let mut fitting = Fitting::new(self.limit, Scope::Namespace, &self.uses);
                for (_, route) in in_order(namespace.objects.iter(), store) {
                    fitting.take(route, Cut::default());
                }
                (fitting.cut, fitting.sum)
            };
            compare(&namespace.cut, &cut, &mut differing);
            self.admitted += admitted;
            (namespace.cut, namespace.admitted) = (cut, admitted);
            if namespace.objects.is_empty() {
                self.namespaces.remove(name);
            }
        }
        if !dirty.is_empty() {
            let cut = self.settle_all(store);
            compare(&self.cut, &cut, &mut differing);
            self.cut = cut;
        }
        let fresh = std::mem::take(&mut self.fresh);
        differing.extend(fresh.into_iter().filter(|name| self.cut(name) != Cut::default()));
        differing
    }

    fn settle_all(&self, store: &Store) -> BTreeMap<ObjectName, Cut> {
        if Excess::of(self.admitted, self.limit_of_all, Scope::All).is_none() {
            return BTreeMap::new();
        }
        let mut fitting = Fitting::new(self.limit_of_all, Scope::All, &self.uses);
        let objects = self.namespaces.values().flat_map(|namespace| &namespace.objects);
        for (_, route) in in_order(objects, store) {
            let own = self.namespaces.get(&route.name.namespace);
            let own = own.and_then(|namespace| namespace.cut.get(&route.name)).copied();
            fitting.take(route, own.unwrap_or_default());
        }
        fitting.cut
    }

    pub(super) fn cut(&self, object: &ObjectName) -> Cut {
        let own = self.namespaces.get(&object.namespace).and_then(|n| n.cut.get(object));
        let (own, all) = (own.copied().unwrap_or_default(), self.cut.get(object).copied());
        let all = all.unwrap_or_default();
        Cut { clusters: own.clusters.or(all.clusters), checks: own.checks.or(all.checks) }
    }
}

/// What a cluster costs.
fn amounts(upstream: &Upstream, store: &Store) -> Amounts {
    let endpoints = store.addresses(&upstream.service);
    let authority = upstream.authority.as_ref();
    let bytes = authority.map_or(0, |secret| match store.get(&secret.of(Kind::Secret)) {
        Some(Fragment::Secret(secret)) => secret.authority.as_ref().map_or(0, |a| a.pem.len()),
        _ => 0,
    });
    // A check of a Service that has no endpoints yet is about to have one.
    let checks = if upstream.is_checked { endpoints.max(1) } else { 0 };
    Amounts { routes: 0, bytes, clusters: 1, endpoints, checks }
}

fn reweigh(upstream: &Upstream, user: &mut Use, namespace: &mut Namespace, store: &Store) {
    namespace.total -= user.amounts;
    user.amounts = amounts(upstream, store);
    namespace.total += user.amounts;
}

/// The objects with their fragments, the oldest first.
fn in_order<'s>(
    names: impl Iterator<Item = &'s ObjectName>,
    store: &'s Store,
) -> impl Iterator<Item = (Seniority, &'s IngressRoute)> {
    let routes = names.filter_map(|name| match store.get(&name.of(Kind::IngressRoute)) {
        Some(Fragment::IngressRoute(route)) => Some((seniority(route), route)),
        _ => None,
    });
    let mut routes: Vec<_> = routes.collect();
    routes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    routes.into_iter()
}

/// Objects taken in order, each if it fits beside those before it.
struct Fitting<'a> {
    limit: Amounts,
    scope: Scope,
    uses: &'a BTreeMap<Upstream, Use>,
    clusters: BTreeSet<Upstream>,
    checks: BTreeSet<Upstream>,
    sum: Amounts,
    cut: BTreeMap<ObjectName, Cut>,
}

impl<'a> Fitting<'a> {
    fn new(limit: Amounts, scope: Scope, uses: &'a BTreeMap<Upstream, Use>) -> Self {
        Self {
            limit,
            scope,
            uses,
            clusters: BTreeSet::new(),
            checks: BTreeSet::new(),
            sum: Amounts::default(),
            cut: BTreeMap::new(),
        }
    }

    /// `refused` is what is refused already, and takes no room.
    fn take(&mut self, route: &IngressRoute, refused: Cut) {
        if refused.clusters.is_some() {
            return;
        }
        let upstreams = route.upstreams();
        let mut cut = Cut::default();
        let new: Vec<_> = upstreams.iter().filter(|u| !self.clusters.contains(*u)).collect();
        let more = self.amounts(&new, |all| Amounts { checks: 0, ..all });
        cut.clusters = self.room_for(more);
        if cut.clusters.is_none() {
            self.sum += more;
            self.clusters.extend(new.into_iter().cloned());
        }
        if cut.clusters.is_none() && refused.checks.is_none() {
            let new: Vec<_> =
                upstreams.iter().filter(|u| u.is_checked && !self.checks.contains(*u)).collect();
            let more =
                self.amounts(&new, |all| Amounts { checks: all.checks, ..Amounts::default() });
            cut.checks = self.room_for(more);
            if cut.checks.is_none() {
                self.sum += more;
                self.checks.extend(new.into_iter().cloned());
            }
        }
        if cut != Cut::default() {
            self.cut.insert(route.name.clone(), cut);
        }
    }

    fn amounts(&self, upstreams: &[&Upstream], part: impl Fn(Amounts) -> Amounts) -> Amounts {
        let mut sum = Amounts::default();
        for user in upstreams.iter().filter_map(|upstream| self.uses.get(*upstream)) {
            sum += part(user.amounts);
        }
        sum
    }

    /// Why there is no room for more.
    fn room_for(&self, more: Amounts) -> Option<Excess> {
        let mut sum = self.sum;
        sum += more;
        Excess::of(sum, self.limit, self.scope)
    }
}
