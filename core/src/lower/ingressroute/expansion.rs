//! What an IngressRoute expands to: counted from the object alone, before anything is built.

use std::collections::BTreeSet;
use std::hash::Hash;

use xxhash_rust::xxh3::Xxh3;

use super::{Context, IngressRoute, Route, RouteAction, Service, TcpAction};
use crate::diagnostic::Code;
use crate::ir::{LoadBalancing, Timeout};
use crate::name::{FieldPath, ObjectName};
use crate::options::Limits;

/// What an IngressRoute adds to each host that has it in its tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Route entries at most, those of delegations left out.
    pub routes: usize,
    /// Bytes of these at most.
    pub bytes: usize,
    /// Whether any route is served over plain HTTP on a host with TLS.
    pub permits_insecure: bool,
    /// Which routes are delegations.
    pub delegations: Box<[usize]>,
}

impl Expansion {
    pub(super) fn of(name: &ObjectName, routes: &[Route]) -> Self {
        let is_delegation =
            |(index, route): (usize, &Route)| route.is_delegation().then_some(index);
        let mut expansion = Self {
            permits_insecure: routes.iter().any(|route| route.permit_insecure),
            delegations: routes.iter().enumerate().filter_map(is_delegation).collect(),
            ..Self::default()
        };
        for route in routes.iter().filter(|route| !route.is_delegation()) {
            let (entries, bytes) = route.size(name);
            expansion.routes += entries;
            expansion.bytes += bytes;
        }
        expansion
    }
}

impl Route {
    /// Whether it delegates to another IngressRoute.
    pub fn is_delegation(&self) -> bool {
        matches!(self.action, RouteAction::Delegate(_))
    }

    /// How many route entries of Envoy it becomes at most in a host, and how many bytes these
    /// have. `object` is the one that it stands in.
    pub fn size(&self, object: &ObjectName) -> (usize, usize) {
        let prefix = self.prefix.as_str();
        let name = object.namespace.len() + object.name.len() + prefix.len() + 2;
        let own = FRAME + name + prefix.len();
        let RouteAction::Services(services) = &self.action else { return (1, own) };
        // In the name that Envoy counts under, three bytes stand for each of these.
        let escaped = [&*object.name, prefix].map(|text| text.matches(['.', '@', '|', '#', '%']));
        let escaped: usize = escaped.into_iter().map(|found| 2 * found.count()).sum();
        let is_affine = |s: &Service| s.load_balancing == LoadBalancing::Cookie;
        let policy = usize::from(self.websockets) * 24
            + usize::from(self.retry.is_some()) * 32
            + usize::from(self.timeout != Timeout::Default) * 16
            + usize::from(services.sound.iter().any(is_affine)) * 64;
        let rewrite = self.prefix_rewrite.as_ref().map_or("", |rewrite| rewrite.as_str());
        let each = own + name + escaped + policy + rewrite.len();
        let bytes = services.sound.iter().map(|service| {
            let service = &service.name;
            // In the name that Envoy counts under, and in that of the cluster.
            each + 2 * (service.namespace.len() + service.name.len() + 8) + 16
        });
        let bytes: usize = bytes.sum();
        // A rewrite may need an entry for the prefix with a slash and one for that without.
        let times = if rewrite.ends_with('/') && !prefix.ends_with('/') { 2 } else { 1 };
        (times * services.sound.len(), times * (bytes + 4 * services.sound.len()))
    }
}

/// Bytes of a route entry beside its texts: tags, lengths and numbers.
const FRAME: usize = 64;

/// One of the clusters that the services of an IngressRoute lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// The Service.
    pub service: ObjectName,
    /// Tells clusters of the Service apart.
    pub identity: u64,
    /// Whether its endpoints are checked actively.
    pub is_checked: bool,
    /// The Secret with the CA bundle by which its endpoints are verified.
    pub authority: Option<ObjectName>,
}

impl Upstream {
    fn of(service: &Service, is_tcp: bool) -> Self {
        let validation = service.validation.as_ref().filter(|_| !is_tcp);
        let authority = validation.map(|validation| &validation.secret.name);
        let subject = validation.map(|validation| &validation.subject_name);
        let own = (service.port, service.load_balancing, &service.health_check, is_tcp);
        let mut hasher = Xxh3::new();
        (own, authority, subject).hash(&mut hasher);
        Self {
            service: service.name.clone(),
            identity: hasher.digest(),
            is_checked: service.health_check.is_some(),
            authority: authority.cloned(),
        }
    }
}

impl IngressRoute {
    /// The clusters that its services lead to, each once.
    pub fn upstreams(&self) -> BTreeSet<Upstream> {
        let routes = self.routes.iter().filter_map(|route| match &route.action {
            RouteAction::Services(services) => Some(&services.sound),
            RouteAction::Delegate(_) | RouteAction::Unavailable => None,
        });
        let tcp = match &self.tcp {
            Some(TcpAction::Services(services)) => services.sound.as_slice(),
            Some(TcpAction::Delegate(_)) | None => &[],
        };
        let routes = routes.flatten().map(|service| Upstream::of(service, false));
        routes.chain(tcp.iter().map(|service| Upstream::of(service, true))).collect()
    }
}

/// The clusters and health checks that an object asks for while it is looked at.
#[derive(Debug, Default)]
pub(super) struct Asked {
    clusters: Kinds,
    checks: Kinds,
}

/// Different ones of something: so many are taken, and all are counted.
#[derive(Debug, Default)]
struct Kinds {
    taken: BTreeSet<Upstream>,
    refused: BTreeSet<Upstream>,
    /// Where the first stands that is refused.
    first: Option<FieldPath>,
}

impl Kinds {
    fn takes(&mut self, upstream: Upstream, limit: usize, field: &FieldPath) -> bool {
        if self.taken.contains(&upstream) {
            return true;
        }
        if self.taken.len() < limit {
            self.taken.insert(upstream);
            return true;
        }
        self.refused.insert(upstream);
        self.first.get_or_insert_with(|| field.clone());
        false
    }

    fn count(&self) -> usize {
        self.taken.len() + self.refused.len()
    }
}

impl Context<'_> {
    /// Takes the health check off a service, or refuses the service, where the object asks for
    /// too many different ones.
    pub(super) fn limited(&mut self, mut service: Service, is_tcp: bool) -> Option<Service> {
        let Limits { object_checks, object_clusters, .. } = self.limits;
        let upstream = Upstream::of(&service, is_tcp);
        if upstream.is_checked && !self.asked.checks.takes(upstream, object_checks, &service.field)
        {
            service.health_check = None;
        }
        let upstream = Upstream::of(&service, is_tcp);
        let is_taken = self.asked.clusters.takes(upstream, object_clusters, &service.field);
        is_taken.then_some(service)
    }

    /// Reports what `limited` has left out.
    pub(super) fn report_limits(&mut self) {
        let Limits { object_checks, object_clusters, .. } = self.limits;
        let Asked { clusters, checks } = std::mem::take(&mut self.asked);
        let (asked, led) = (checks.count(), clusters.count());
        if let Some(first) = checks.first {
            let message = format!(
                "asks for {asked} different active health checks, of which {object_checks} are made; the other services are used without"
            );
            self.report(Code::TooLarge, first.field("healthCheck"), message);
        }
        if let Some(first) = clusters.first {
            let message = format!(
                "leads to {led} different clusters, of which {object_clusters} are made; the other services get nothing"
            );
            self.report(Code::TooLarge, first, message);
        }
    }
}
