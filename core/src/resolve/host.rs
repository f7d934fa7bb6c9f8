//! A host: who may answer for it, and everything that its tree of delegations says.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Context;
use super::tcp::cycle;
use crate::budget::{self, Budget, DEPTH_MAX, Excess, HostCost, What};
use crate::diagnostic::{Code, Collector, Findings};
use crate::ir::{Action, Forward, LoadBalancing, PathPrefix, Route, Tls, VirtualHost};
use crate::lower::{self, IngressRoute, RootTls, RouteAction};
use crate::name::{FieldPath, Fqdn, ObjectName};
use crate::options::{Limits, Options};
use crate::store::{Claim, Precedence, Reader};

/// A host with what there is to say of the objects that have a part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedHost {
    /// The host; `None` if nobody claims it.
    pub host: Option<VirtualHost>,
    /// The IngressRoutes that have a part in it.
    pub visited: BTreeSet<ObjectName>,
    /// Told on those and on roots that claim the host and do not get it.
    pub findings: Findings,
}

/// Links everything that answers for a host.
///
/// One for which there is no room in `budget` has the routes of its root answer 503. What its cost
/// depends on is read in any case: a change of that must lead here.
pub fn host(reader: &Reader<'_>, options: &Options, budget: &Budget, fqdn: &Fqdn) -> ResolvedHost {
    let cost = budget::cost(reader, options, fqdn);
    let mut context = Context {
        reader,
        options,
        budget,
        diagnostics: Collector::default(),
        visited: BTreeSet::new(),
    };
    let claims = reader.claims(fqdn);
    if let Some((winner, losers)) = claims.split_first() {
        for loser in losers {
            let message = conflict(fqdn, winner, loser);
            let field = FieldPath::of(".spec.virtualhost.fqdn");
            context.report(Code::HostConflict, loser.name(), field, message);
        }
    }
    let root = claims.first().and_then(|claim| reader.ingressroute(claim.name()));
    let host = root.map(|root| {
        context.visited.insert(root.name.clone());
        if let Some((excess, cost)) = budget.host(fqdn).zip(cost) {
            let reached = context.refused(root, fqdn, excess, cost);
            context.virtual_host(root, fqdn, reached, true)
        } else {
            let reached = context.reached(root);
            context.virtual_host(root, fqdn, reached, false)
        }
    });
    ResolvedHost { host, visited: context.visited, findings: context.diagnostics.finish() }
}

/// Who has a host that another claims as well, and why.
fn conflict(fqdn: &Fqdn, winner: &Claim, loser: &Claim) -> String {
    let name = winner.name();
    let why = match winner.precedence(loser) {
        Precedence::Age => format!("{name}, which is older, has it"),
        Precedence::Dated => format!("{name}, which has a time of creation, has it"),
        Precedence::Arrival => format!("{name}, which claimed it earlier, has it"),
        Precedence::Name => format!(
            "{name} has it, for its namespace and name come first and nothing else tells them apart"
        ),
    };
    format!("fqdn {:?} is used in multiple IngressRoutes: {why}", fqdn.as_str())
}

/// A route that was reached, before its order and its listener are decided.
struct Reached {
    route: Route,
    permit_insecure: bool,
}

/// The tree of delegations while it is walked.
struct Walk {
    /// The chain from the root to the object being walked.
    chain: Vec<ObjectName>,
    /// The routes reached, by match; the first one counts.
    routes: BTreeMap<PathPrefix, Reached>,
    /// What has been walked already, and under which prefix: a second time would add nothing.
    walked: BTreeSet<(ObjectName, Option<PathPrefix>)>,
    /// Route entries so far, and delegations: a tree in which each object delegates twice to the
    /// next would otherwise double at each level.
    steps: usize,
    /// Bytes of the routes so far.
    bytes: usize,
}

impl Context<'_> {
    /// What is left of a host for which there is no room: the answer 503.
    fn refused(
        &mut self,
        root: &IngressRoute,
        fqdn: &Fqdn,
        excess: Excess,
        cost: HostCost,
    ) -> Vec<Reached> {
        let amounts = cost.amounts();
        let count = match excess.what {
            What::Bytes => format!("{} bytes of routes and certificate", amounts.bytes),
            What::Routes | What::Clusters | What::Endpoints | What::Checks => {
                format!("{} route entries", amounts.routes)
            }
        };
        let left = excess.room(&root.name.namespace);
        let message = format!("host {fqdn} is not served: its {count} are more than {left}");
        self.report(Code::TooLarge, &root.name, FieldPath::of(".spec.virtualhost.fqdn"), message);
        // They have a part in it, however little is served of them.
        self.visited.extend(cost.visited);
        if root.routes.is_empty() {
            return Vec::new();
        }
        let prefix = PathPrefix::root();
        let name = Route::name_of(&root.name, prefix.as_str());
        let route = Route { name, prefix, action: Action::Unavailable };
        vec![Reached { route, permit_insecure: false }]
    }

    /// All that the tree of a host says, the most specific first.
    fn reached(&mut self, root: &IngressRoute) -> Vec<Reached> {
        let mut walk = Walk {
            chain: Vec::new(),
            routes: BTreeMap::new(),
            walked: BTreeSet::new(),
            steps: 0,
            bytes: 0,
        };
        self.walk(root, None, &mut walk);
        let mut reached: Vec<Reached> = walk.routes.into_values().collect();
        // Longer prefixes first; between equally long ones the order has no effect, but is fixed.
        reached.sort_by(|a, b| {
            let key =
                |r: &Reached| (Reverse(r.route.prefix.as_str().len()), r.route.prefix.clone());
            key(a).cmp(&key(b))
        });
        reached
    }

    fn virtual_host(
        &mut self,
        root: &IngressRoute,
        fqdn: &Fqdn,
        reached: Vec<Reached>,
        is_refused: bool,
    ) -> VirtualHost {
        let tls = root.root.as_ref().map_or(&RootTls::Plain, |r| &r.tls);
        let tcp = root.tcp.as_ref();
        if tcp.is_some() && matches!(tls, RootTls::Plain) {
            let message = "tcpproxy is ignored: the host has no TLS".to_owned();
            self.report(
                Code::TcpProxyWithoutTls,
                &root.name,
                FieldPath::of(".spec.tcpproxy"),
                message,
            );
        }
        let tcp = tcp.filter(|_| !matches!(tls, RootTls::Plain));
        if let Some(tcp) = tcp {
            let tcp = Some(tcp).filter(|_| !is_refused);
            return self.tcp_host(root, fqdn, tcp, reached);
        }
        let tls_side = match tls {
            RootTls::Plain | RootTls::Broken => None,
            RootTls::Passthrough => {
                let message = "TLS passthrough needs a tcpproxy".to_owned();
                let field = FieldPath::of(".spec.virtualhost.tls.passthrough");
                self.report(Code::PassthroughWithRoutes, &root.name, field, message);
                None
            }
            RootTls::Terminate { secret, profile } => {
                self.certificate(&root.name, secret, fqdn).map(|certificate| Tls::Https {
                    profile: *profile,
                    certificate,
                    routes: reached.iter().map(|r| r.route.clone()).collect(),
                })
            }
        };
        let http = match tls {
            RootTls::Plain => reached.into_iter().map(|r| r.route).collect(),
            // TLS was asked for: even if it cannot be had, plain HTTP stays closed.
            RootTls::Broken | RootTls::Passthrough | RootTls::Terminate { .. } => {
                self.insecure_routes(reached)
            }
        };
        VirtualHost { fqdn: fqdn.clone(), http: Some(http), tls: tls_side }
    }

    /// The TLS side forwards bytes, so the routes are for plain HTTP, without redirect.
    fn tcp_host(
        &mut self,
        root: &IngressRoute,
        fqdn: &Fqdn,
        tcp: Option<&lower::TcpAction>,
        reached: Vec<Reached>,
    ) -> VirtualHost {
        if !reached.is_empty() {
            let message =
                "the host has a tcpproxy, so its routes are served over plain HTTP only".to_owned();
            self.report(
                Code::RouteIgnoredByTcpProxy,
                &root.name,
                FieldPath::of(".spec.routes"),
                message,
            );
        }
        let destinations = tcp.map_or_else(Vec::new, |tcp| self.tcp(root, tcp));
        let tls = match root.root.as_ref().map_or(&RootTls::Plain, |r| &r.tls) {
            RootTls::Plain | RootTls::Broken => None,
            RootTls::Passthrough => Some(Tls::Passthrough { destinations }),
            RootTls::Terminate { secret, profile } => self
                .certificate(&root.name, secret, fqdn)
                .map(|certificate| Tls::Terminate { profile: *profile, certificate, destinations }),
        };
        let http = (!reached.is_empty()).then(|| reached.into_iter().map(|r| r.route).collect());
        VirtualHost { fqdn: fqdn.clone(), http, tls }
    }

    /// The plain HTTP side of a host with TLS: a redirect, except for routes that permit
    /// otherwise.
    fn insecure_routes(&self, reached: Vec<Reached>) -> Vec<Route> {
        let permitted = |r: &Reached| r.permit_insecure && !self.options.disable_permit_insecure;
        if !reached.iter().any(permitted) {
            // One redirect does for all of them, whatever their number.
            let name =
                reached.first().map_or_else(|| "redirect".into(), |r| Arc::clone(&r.route.name));
            let route = Route { name, prefix: PathPrefix::root(), action: Action::RedirectToHttps };
            return vec![route];
        }
        let redirect = |r: Reached| {
            if permitted(&r) {
                r.route
            } else {
                Route { action: Action::RedirectToHttps, ..r.route }
            }
        };
        reached.into_iter().map(redirect).collect()
    }

    fn walk(&mut self, object: &IngressRoute, parent: Option<&PathPrefix>, walk: &mut Walk) {
        if !walk.walked.insert((object.name.clone(), parent.cloned())) {
            return;
        }
        walk.chain.push(object.name.clone());
        for route in &object.routes {
            let outside = parent.filter(|parent| !route.prefix.is_within(parent));
            let has_room = match outside {
                Some(parent) => {
                    self.report_outside(object, route, parent);
                    self.takes(walk, 1, 0)
                }
                None => self.route(object, route, walk),
            };
            if !has_room {
                let Limits { host_routes, host_bytes, .. } = self.options.limits;
                let message = format!(
                    "the host has more than {host_routes} route entries and delegations, or more than {host_bytes} bytes of them"
                );
                self.report(Code::TooLarge, &object.name, route.field.clone(), message);
                break;
            }
        }
        walk.chain.pop();
    }

    fn report_outside(&mut self, object: &IngressRoute, route: &lower::Route, parent: &PathPrefix) {
        let message = format!(
            "the path prefix {:?} does not match the parent's path prefix {:?}",
            route.prefix.as_str(),
            parent.as_str()
        );
        let field = route.field.field("match");
        self.report(Code::PrefixOutsideParent, &object.name, field, message);
    }

    /// Adds what a route leads to. Whether there is room for it.
    fn route(&mut self, object: &IngressRoute, route: &lower::Route, walk: &mut Walk) -> bool {
        if let RouteAction::Delegate(target) = &route.action
            && let Some(child) = self.delegate(object, route, target, walk)
        {
            if !self.takes(walk, 1, 0) {
                return false;
            }
            self.visited.insert(target.clone());
            self.walk(child, Some(&route.prefix), walk);
            return true;
        }
        if let Some(first) = walk.routes.get(&route.prefix) {
            let prefix = route.prefix.as_str();
            let message = format!("match {prefix:?} is already served by {}", first.route.name);
            self.report(Code::DuplicateMatch, &object.name, route.field.field("match"), message);
            return self.takes(walk, 1, 0);
        }
        let destinations = match &route.action {
            RouteAction::Services(services) => self.destinations(&object.name, &services.sound),
            RouteAction::Delegate(_) | RouteAction::Unavailable => Vec::new(),
        };
        let (entries, bytes) = match route.size(&object.name) {
            (entries, bytes) if destinations.is_empty() => (1, bytes / entries.max(1)),
            size => size,
        };
        if !self.takes(walk, entries, bytes) {
            return false;
        }
        let action = if destinations.is_empty() {
            Action::Unavailable
        } else {
            forward(route, destinations)
        };
        let name = Route::name_of(&object.name, route.prefix.as_str());
        let reached = Reached {
            route: Route { name, prefix: route.prefix.clone(), action },
            permit_insecure: route.permit_insecure,
        };
        walk.routes.insert(route.prefix.clone(), reached);
        true
    }

    /// Counts what is to be added to a host, if there is room for it.
    fn takes(&self, walk: &mut Walk, steps: usize, bytes: usize) -> bool {
        let Limits { host_routes, host_bytes, .. } = self.options.limits;
        let (steps, bytes) = (walk.steps + steps, walk.bytes + bytes);
        if steps > host_routes || bytes > host_bytes {
            return false;
        }
        (walk.steps, walk.bytes) = (steps, bytes);
        true
    }

    /// The IngressRoute delegated to, if it can be followed.
    fn delegate<'s>(
        &mut self,
        object: &IngressRoute,
        route: &lower::Route,
        target: &ObjectName,
        walk: &Walk,
    ) -> Option<&'s IngressRoute>
    where
        Self: 's,
    {
        let field = route.field.field("delegate");
        if walk.chain.contains(target) {
            let message =
                format!("route creates a delegation cycle: {}", cycle(&walk.chain, target));
            self.report(Code::DelegationCycle, &object.name, field, message);
            return None;
        }
        if walk.chain.len() >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} IngressRoutes delegate in a chain");
            self.report(Code::DelegationTooDeep, &object.name, field, message);
            return None;
        }
        let Some(child) = self.reader.ingressroute(target) else {
            let message = format!("IngressRoute {target} does not exist");
            self.report(Code::DelegateNotFound, &object.name, field, message);
            return None;
        };
        if child.root.is_some() {
            let message =
                format!("root ingressroute cannot delegate to another root ingressroute: {target}");
            self.report(Code::DelegateToRoot, &object.name, field, message);
            return None;
        }
        Some(child)
    }
}

fn forward(route: &lower::Route, destinations: Vec<crate::ir::Destination>) -> Action {
    let session_affinity =
        destinations.iter().any(|d| d.cluster.load_balancing == LoadBalancing::Cookie);
    Action::Forward(Forward {
        destinations,
        websockets: route.websockets,
        prefix_rewrite: route.prefix_rewrite.clone(),
        timeout: route.timeout,
        retry: route.retry,
        session_affinity,
    })
}
