//! What hosts cost, and which of them are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Excess, Scope, Seniority, compare, first_fit, seniority};
use crate::ir::PathPrefix;
use crate::lower::{IngressRoute, RootTls, RouteAction, TcpAction};
use crate::name::{Fqdn, ObjectName};
use crate::options::{Amounts, Limits, Options};
use crate::store::Reader;

/// The longest chain of delegations that is followed.
pub const DEPTH_MAX: usize = 16;

/// Route entries that a side of a host counts for by itself: its scope and its virtual host.
const SIDE: usize = 2;
/// Bytes of a side of a host without its routes, and without the host's name.
const SIDE_BYTES: usize = 256;

/// What a host costs at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCost {
    /// The root that has it; its namespace pays.
    root: Seniority,
    amounts: Amounts,
    /// The IngressRoutes that have a part in it.
    pub visited: BTreeSet<ObjectName>,
}

impl HostCost {
    /// How much it is.
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }
}

/// What a host costs at most; `None` if nobody claims it.
///
/// # Cost
/// Follows the number of IngressRoutes in its tree and of their delegations, not of their routes.
pub fn cost(reader: &Reader<'_>, options: &Options, fqdn: &Fqdn) -> Option<HostCost> {
    let claims = reader.claims(fqdn);
    let root = reader.ingressroute(claims.first()?.name())?;
    let mut walk = Walk::new(reader, options.limits);
    walk.visit(root, None);
    let tls = root.root.as_ref().map_or(&RootTls::Plain, |root| &root.tls);
    let permits = walk.permits_insecure && !options.disable_permit_insecure;
    let (plain, secure) = match (tls, &root.tcp) {
        (RootTls::Plain, _) => (true, false),
        // Its routes are for plain HTTP.
        (_, Some(tcp)) => {
            walk.tcp(root, tcp);
            (true, false)
        }
        // Without a route that permits it, plain HTTP has one that redirects.
        (RootTls::Broken | RootTls::Passthrough, None) => (permits, false),
        (RootTls::Terminate { .. }, None) => (permits, true),
    };
    let times = usize::from(plain) + usize::from(secure);
    let sides = if matches!(tls, RootTls::Plain) { 1 } else { 2 };
    let routes = times * walk.routes + usize::from(!plain) + sides * SIDE + walk.destinations;
    let mut bytes = times * walk.bytes + sides * (SIDE_BYTES + 4 * fqdn.as_str().len());
    if let RootTls::Terminate { secret, .. } = tls
        && reader.may_use_secret(&secret.name, &root.name.namespace)
        && let Some(certificate) =
            reader.secret(&secret.name).and_then(|s| s.certificate.as_ref().ok())
    {
        bytes += certificate.chain_pem.len() + certificate.key_pem.len();
    }
    let amounts = Amounts { routes, bytes, ..Amounts::default() };
    Some(HostCost { root: seniority(root), amounts, visited: walk.visited })
}

/// The tree of delegations while it is walked.
struct Walk<'a> {
    reader: &'a Reader<'a>,
    limits: Limits,
    chain: Vec<ObjectName>,
    walked: BTreeSet<(ObjectName, Option<PathPrefix>)>,
    visited: BTreeSet<ObjectName>,
    routes: usize,
    bytes: usize,
    /// Where a TCP proxy leads.
    destinations: usize,
    /// Route entries and delegations.
    steps: usize,
    permits_insecure: bool,
}

impl<'a> Walk<'a> {
    fn new(reader: &'a Reader<'a>, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            chain: Vec::new(),
            walked: BTreeSet::new(),
            visited: BTreeSet::new(),
            routes: 0,
            bytes: 0,
            destinations: 0,
            steps: 0,
            permits_insecure: false,
        }
    }

    /// As `resolve` does, except that routes are counted as if each was served.
    fn visit(&mut self, object: &IngressRoute, parent: Option<&PathPrefix>) {
        if !self.walked.insert((object.name.clone(), parent.cloned())) {
            return;
        }
        self.visited.insert(object.name.clone());
        self.chain.push(object.name.clone());
        let expansion = &object.expansion;
        self.count(expansion.routes, expansion.bytes);
        self.permits_insecure |= expansion.permits_insecure;
        for index in &expansion.delegations {
            if self.steps >= self.limits.host_routes {
                // What is left out here may be built in the place of what was counted.
                self.count(self.limits.host_routes, self.limits.host_bytes);
                break;
            }
            let Some(route) = object.routes.get(*index) else { continue };
            let RouteAction::Delegate(target) = &route.action else { continue };
            if parent.is_some_and(|parent| !route.prefix.is_within(parent)) {
                continue;
            }
            if let Some(child) = self.follow(target) {
                self.steps += 1;
                self.visit(child, Some(&route.prefix));
            } else {
                // It answers 503.
                let (entries, bytes) = route.size(&object.name);
                self.count(entries, bytes);
            }
        }
        self.chain.pop();
    }

    /// What is beyond the limits of a host is not built.
    fn count(&mut self, routes: usize, bytes: usize) {
        self.steps += routes;
        self.routes = (self.routes + routes).min(self.limits.host_routes);
        self.bytes = (self.bytes + bytes).min(self.limits.host_bytes);
    }

    fn follow(&self, target: &ObjectName) -> Option<&'a IngressRoute> {
        if self.chain.contains(target) || self.chain.len() >= DEPTH_MAX {
            return None;
        }
        self.reader.ingressroute(target).filter(|child| child.root.is_none())
    }

    fn tcp(&mut self, root: &IngressRoute, tcp: &TcpAction) {
        self.chain = vec![root.name.clone()];
        let mut action = tcp;
        loop {
            let target = match action {
                TcpAction::Services(services) => {
                    self.destinations = services.sound.len();
                    return;
                }
                TcpAction::Delegate(target) => target,
            };
            let Some(child) = self.follow(target) else { return };
            self.visited.insert(target.clone());
            self.chain.push(target.clone());
            let Some(next) = &child.tcp else { return };
            action = next;
        }
    }
}

/// The hosts of one namespace.
#[derive(Debug, Default)]
struct Namespace {
    hosts: BTreeMap<Fqdn, (Seniority, Amounts)>,
    total: Amounts,
    /// What those come to that are not cut.
    admitted: Amounts,
    cut: BTreeMap<Fqdn, Excess>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hosts {
    limit: Amounts,
    limit_of_all: Amounts,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    /// Which namespace pays for a host.
    payers: BTreeMap<Fqdn, Arc<str>>,
    dirty: BTreeSet<Arc<str>>,
    /// What all those come to that their namespaces have room for.
    admitted: Amounts,
    /// Those of them for which there is no room among all.
    cut: BTreeMap<Fqdn, Excess>,
}

impl Hosts {
    pub(super) fn new(limit: Amounts, limit_of_all: Amounts) -> Self {
        Self {
            limit,
            limit_of_all,
            namespaces: BTreeMap::new(),
            payers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            admitted: Amounts::default(),
            cut: BTreeMap::new(),
        }
    }

    pub(super) fn weigh(&mut self, fqdn: &Fqdn, cost: Option<HostCost>) {
        if let Some(payer) = self.payers.remove(fqdn)
            && let Some(namespace) = self.namespaces.get_mut(&payer)
            && let Some((_, amounts)) = namespace.hosts.remove(fqdn)
        {
            namespace.total -= amounts;
            self.dirty.insert(payer);
        }
        let Some(HostCost { root, amounts, .. }) = cost else { return };
        let payer = Arc::clone(&root.2.namespace);
        let namespace = self.namespaces.entry(Arc::clone(&payer)).or_default();
        namespace.hosts.insert(fqdn.clone(), (root, amounts));
        namespace.total += amounts;
        self.dirty.insert(Arc::clone(&payer));
        self.payers.insert(fqdn.clone(), payer);
    }

    pub(super) fn settle(&mut self) -> BTreeSet<Fqdn> {
        let mut differing = BTreeSet::new();
        let dirty = std::mem::take(&mut self.dirty);
        for name in &dirty {
            let Some(namespace) = self.namespaces.get_mut(name) else { continue };
            self.admitted -= namespace.admitted;
            let fits = Excess::of(namespace.total, self.limit, Scope::Namespace).is_none();
            let (cut, admitted) = if fits {
                (BTreeMap::new(), namespace.total)
            } else {
                first_fit(in_order(namespace.hosts.iter()), self.limit, Scope::Namespace)
            };
            compare(&namespace.cut, &cut, &mut differing);
            self.admitted += admitted;
            (namespace.cut, namespace.admitted) = (cut, admitted);
            if namespace.hosts.is_empty() {
                self.namespaces.remove(name);
            }
        }
        if dirty.is_empty() {
            return differing;
        }
        let cut = if Excess::of(self.admitted, self.limit_of_all, Scope::All).is_none() {
            BTreeMap::new()
        } else {
            let admitted = self.namespaces.values().flat_map(|namespace| {
                namespace.hosts.iter().filter(|(fqdn, _)| !namespace.cut.contains_key(fqdn))
            });
            first_fit(in_order(admitted), self.limit_of_all, Scope::All).0
        };
        compare(&self.cut, &cut, &mut differing);
        self.cut = cut;
        differing
    }

    pub(super) fn amounts(&self, fqdn: &Fqdn) -> Option<Amounts> {
        let namespace = self.namespaces.get(self.payers.get(fqdn)?)?;
        namespace.hosts.get(fqdn).map(|(_, amounts)| *amounts)
    }

    pub(super) fn cut(&self, fqdn: &Fqdn) -> Option<Excess> {
        let payer = self.payers.get(fqdn)?;
        let own = self.namespaces.get(payer).and_then(|namespace| namespace.cut.get(fqdn));
        own.or_else(|| self.cut.get(fqdn)).copied()
    }
}

/// The oldest first.
fn in_order<'a>(
    hosts: impl Iterator<Item = (&'a Fqdn, &'a (Seniority, Amounts))>,
) -> impl Iterator<Item = (Fqdn, Amounts)> {
    let mut hosts: Vec<_> = hosts.map(|(fqdn, (age, amounts))| (age, fqdn, *amounts)).collect();
    hosts.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    hosts.into_iter().map(|(_, fqdn, amounts)| (fqdn.clone(), amounts))
}
