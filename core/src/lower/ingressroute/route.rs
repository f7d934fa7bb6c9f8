//! Routes, TCP proxies and their services.

use std::sync::Arc;
use std::time::Duration;

use super::super::duration;
use super::{Context, SecretName};
use crate::api;
use crate::diagnostic::{Code, Diagnostic};
use crate::ir::{HealthCheck, LoadBalancing, PathPrefix, Retry, Timeout};
use crate::name::{FieldPath, Fqdn, ObjectName, is_dns_label, is_dns_subdomain};

/// The most services that one route may have.
const SERVICES_MAX: usize = 64;
/// The largest weight, that of Gateway API; 64 of them fit Envoy's sum.
const WEIGHT_MAX: i64 = 1_000_000;
const RETRIES_MAX: i64 = 100;
/// A check that hangs delays the warming of clusters, so its time is bounded.
const HEALTH_CHECK_TIMEOUT_MAX: i64 = 60;

/// A checked route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it stands.
    pub field: FieldPath,
    /// The match.
    pub prefix: PathPrefix,
    /// What answers.
    pub action: RouteAction,
    /// Whether the client may upgrade to WebSocket.
    pub websockets: bool,
    /// Whether it is served over plain HTTP too, on a host with TLS.
    pub permit_insecure: bool,
    /// Replaces the matched prefix.
    pub prefix_rewrite: Option<PathPrefix>,
    /// The time limit.
    pub timeout: Timeout,
    /// Retries.
    pub retry: Option<Retry>,
}

/// What answers a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Services, at least one.
    Services(Services),
    /// The routes of another IngressRoute.
    Delegate(ObjectName),
    /// Nothing: the route is broken, and answers 503.
    Unavailable,
}

/// What answers a TCP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpAction {
    /// Services, at least one.
    Services(Services),
    /// The TCP proxy of another IngressRoute.
    Delegate(ObjectName),
}

/// The services of a route or a TCP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// Those that are sound.
    pub sound: Vec<Service>,
    /// Whether these are all that were written.
    pub are_whole: bool,
}

/// A checked service of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it stands.
    pub field: FieldPath,
    /// The Service, in the namespace of the IngressRoute.
    pub name: ObjectName,
    /// The number of its port.
    pub port: u16,
    /// The share as written; unset is not the same as 0 for those who change it.
    pub weight: Option<u32>,
    /// Active health checks.
    pub health_check: Option<HealthCheck>,
    /// How requests are spread.
    pub load_balancing: LoadBalancing,
    /// How to verify its certificate.
    pub validation: Option<Validation>,
}

/// How to verify an upstream's certificate; the CA still a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The Secret with the CA bundle.
    pub secret: SecretName,
    /// The DNS name that the certificate must have.
    pub subject_name: Fqdn,
}

impl Context<'_> {
    /// `None` if the match cannot be read: there is nothing to answer 503 on.
    pub(super) fn route(&mut self, route: &api::Route, field: &FieldPath) -> Option<Route> {
        let prefix = match PathPrefix::parse(&route.prefix) {
            Ok(prefix) => prefix,
            Err(error) => {
                let message = format!("match {:?} {error}", Shortened(&route.prefix));
                self.report(Code::MatchInvalid, field.field("match"), message);
                return None;
            }
        };
        // Everything is looked at, so that all faults are told at once; one fault in the policy of
        // a route makes it answer 503 rather than do something else than was asked.
        let before = self.errors();
        let prefix_rewrite = self.prefix_rewrite(route, field);
        let timeout = self.timeout(route, field);
        let retry = self.retry(route, field);
        let is_sound = self.errors() == before;
        let action = self.action(route, field);
        Some(Route {
            field: field.clone(),
            prefix,
            action: if is_sound { action } else { RouteAction::Unavailable },
            websockets: route.enable_websockets,
            permit_insecure: route.permit_insecure,
            prefix_rewrite,
            timeout,
            retry,
        })
    }

    pub(super) fn tcp(&mut self, tcp: &api::TcpProxy, field: &FieldPath) -> Option<TcpAction> {
        match (&tcp.delegate, tcp.services.is_empty()) {
            (Some(_), false) => {
                let message =
                    "cannot specify services and delegate in the same tcpproxy".to_owned();
                self.report(Code::TcpProxyServicesAndDelegate, field.clone(), message);
                None
            }
            (None, true) => {
                let message = "either services or a delegate must be specified".to_owned();
                self.report(Code::TcpProxyNothingDefined, field.clone(), message);
                None
            }
            (Some(delegate), true) => self.delegate(delegate, field).map(TcpAction::Delegate),
            (None, false) => {
                let mut services = self.services(&tcp.services, field, true);
                for service in
                    services.sound.iter_mut().filter(|s| s.load_balancing == LoadBalancing::Cookie)
                {
                    service.load_balancing = LoadBalancing::RoundRobin;
                    let message =
                        "strategy Cookie has no meaning for a TCP proxy; RoundRobin is used"
                            .to_owned();
                    self.report(Code::StrategyIgnored, service.field.field("strategy"), message);
                }
                (!services.sound.is_empty()).then_some(TcpAction::Services(services))
            }
        }
    }

    fn errors(&self) -> usize {
        self.diagnostics.errors()
    }

    fn action(&mut self, route: &api::Route, field: &FieldPath) -> RouteAction {
        match (&route.delegate, route.services.is_empty()) {
            (Some(_), false) => {
                let message = format!(
                    "route {:?}: cannot specify services and delegate in the same route",
                    route.prefix
                );
                self.report(Code::ServicesAndDelegate, field.clone(), message);
                RouteAction::Unavailable
            }
            (None, true) => {
                let message =
                    format!("route {:?} has neither services nor a delegate", route.prefix);
                self.report(Code::RouteHasNoAction, field.clone(), message);
                RouteAction::Unavailable
            }
            (Some(delegate), true) => self
                .delegate(delegate, field)
                .map_or(RouteAction::Unavailable, RouteAction::Delegate),
            (None, false) => {
                let services = self.services(&route.services, field, false);
                if services.sound.is_empty() {
                    RouteAction::Unavailable
                } else {
                    RouteAction::Services(services)
                }
            }
        }
    }

    fn delegate(&mut self, delegate: &api::Delegate, field: &FieldPath) -> Option<ObjectName> {
        let namespace = match &delegate.namespace {
            Some(namespace) if !namespace.is_empty() => Arc::clone(namespace),
            _ => Arc::clone(self.namespace),
        };
        if is_dns_label(&namespace) && is_dns_subdomain(&delegate.name) {
            return Some(ObjectName::new(namespace, Arc::clone(&delegate.name)));
        }
        let message = format!("{:?} in {namespace:?} cannot be an IngressRoute", delegate.name);
        self.report(Code::DelegateNotFound, field.field("delegate"), message);
        None
    }

    fn prefix_rewrite(&mut self, route: &api::Route, field: &FieldPath) -> Option<PathPrefix> {
        let text = route.prefix_rewrite.as_ref().filter(|text| !text.is_empty())?;
        PathPrefix::parse(text)
            .map_err(|error| {
                let message = format!("prefixRewrite {:?} {error}", Shortened(text));
                self.report(Code::PrefixRewriteInvalid, field.field("prefixRewrite"), message);
            })
            .ok()
    }

    fn timeout(&mut self, route: &api::Route, field: &FieldPath) -> Timeout {
        let Some(text) = route.timeout_policy.as_ref().and_then(|p| p.request.as_deref()) else {
            return Timeout::Default;
        };
        match (text, duration::parse(text)) {
            ("", _) | (_, Some(Duration::ZERO)) => Timeout::Default,
            ("infinity" | "infinite", _) => Timeout::Infinite,
            (_, Some(duration)) => Timeout::After(duration),
            (_, None) => {
                let message =
                    format!("{:?} is neither a duration nor \"infinity\"", Shortened(text));
                self.report(
                    Code::TimeoutInvalid,
                    field.field("timeoutPolicy").field("request"),
                    message,
                );
                Timeout::Default
            }
        }
    }

    fn retry(&mut self, route: &api::Route, field: &FieldPath) -> Option<Retry> {
        let policy = route.retry_policy.as_ref()?;
        let field = field.field("retryPolicy");
        let count = match u32::try_from(policy.count) {
            Ok(count) if policy.count <= RETRIES_MAX => count.max(1),
            _ => {
                let message = format!("count {} is not between 0 and {RETRIES_MAX}", policy.count);
                self.report(Code::RetryInvalid, field.field("count"), message);
                return None;
            }
        };
        let per_try_timeout = match policy.per_try_timeout.as_deref() {
            None | Some("" | "infinity" | "infinite") => None,
            Some(text) => {
                let parsed = duration::parse(text);
                if parsed.is_none() {
                    let message = format!("{:?} is not a duration", Shortened(text));
                    self.report(Code::TimeoutInvalid, field.field("perTryTimeout"), message);
                }
                parsed.filter(|d| !d.is_zero())
            }
        };
        Some(Retry { count, per_try_timeout })
    }

    fn services(
        &mut self,
        services: &[api::IngressRouteService],
        field: &FieldPath,
        is_tcp: bool,
    ) -> Services {
        if services.len() > SERVICES_MAX {
            let message = format!(
                "has {} services; those after number {SERVICES_MAX} get nothing",
                services.len()
            );
            self.report(Code::TooLarge, field.field("services"), message);
        }
        let mut out: Vec<Service> = Vec::new();
        for (index, service) in services.iter().take(SERVICES_MAX).enumerate() {
            let field = field.field("services").index(index);
            let Some(lowered) = self.service(service, &field) else {
                continue;
            };
            if out.iter().any(|s| s.name == lowered.name && s.port == lowered.port) {
                let message =
                    format!("service {}:{} stands in the route twice", service.name, service.port);
                self.report(Code::DuplicateService, field, message);
            } else {
                out.extend(self.limited(lowered, is_tcp));
            }
        }
        out.shrink_to_fit();
        Services { are_whole: out.len() == services.len(), sound: out }
    }

    fn service(
        &mut self,
        service: &api::IngressRouteService,
        field: &FieldPath,
    ) -> Option<Service> {
        let name_is_valid = is_dns_label(&service.name);
        if !name_is_valid {
            let message = format!("{:?} cannot be the name of a Service", Shortened(&service.name));
            self.report(Code::ServiceNameInvalid, field.field("name"), message);
        }
        let port = u16::try_from(service.port).ok().filter(|p| *p > 0);
        if port.is_none() {
            let message = format!("port {} must be in the range 1-65535", service.port);
            self.report(Code::PortOutOfRange, field.field("port"), message);
        }
        let weight = service.weight.map(|weight| {
            let checked = u32::try_from(weight).ok().filter(|w| i64::from(*w) <= WEIGHT_MAX);
            if checked.is_none() {
                let message = format!("weight {weight} is not between 0 and {WEIGHT_MAX}");
                self.report(Code::WeightInvalid, field.field("weight"), message);
            }
            checked
        });
        let health_check =
            service.health_check.as_ref().map(|check| self.health_check(check, field));
        let load_balancing = self.load_balancing(service, field);
        let validation = service.validation.as_ref().map(|v| self.validation(v, field));
        Some(Service {
            field: field.clone(),
            name: name_is_valid
                .then(|| ObjectName::new(Arc::clone(self.namespace), Arc::clone(&service.name)))?,
            port: port?,
            weight: weight.map_or(Some(None), |weight| weight.map(Some))?,
            health_check: health_check.map_or(Some(None), |check| check.map(Some))?,
            load_balancing,
            validation: validation.map_or(Some(None), |validation| validation.map(Some))?,
        })
    }

    fn load_balancing(
        &mut self,
        service: &api::IngressRouteService,
        field: &FieldPath,
    ) -> LoadBalancing {
        match service.strategy.as_deref() {
            None | Some("" | "RoundRobin") => LoadBalancing::RoundRobin,
            Some("WeightedLeastRequest") => LoadBalancing::LeastRequest,
            Some("Random") => LoadBalancing::Random,
            Some("Cookie") => LoadBalancing::Cookie,
            Some(other) => {
                let message =
                    format!("strategy {:?} is not known; RoundRobin is used", Shortened(other));
                self.report(Code::StrategyUnknown, field.field("strategy"), message);
                LoadBalancing::RoundRobin
            }
        }
    }

    fn health_check(&mut self, check: &api::HealthCheck, field: &FieldPath) -> Option<HealthCheck> {
        let field = field.field("healthCheck");
        let before = self.errors();
        if let Err(error) = PathPrefix::parse(&check.path)
            && !matches!(error, crate::ir::PathError::QueryOrFragment)
        {
            let message = format!("path {:?} {error}", Shortened(&check.path));
            self.report(Code::HealthCheckInvalid, field.field("path"), message);
        }
        let host = check.host.as_ref().filter(|h| !h.is_empty());
        let host = host.map_or_else(|| "contour-envoy-healthcheck".into(), Arc::clone);
        if host.len() > 253
            || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
        {
            let message = format!("host {:?} is not a valid Host header", Shortened(&host));
            self.report(Code::HostHeaderInvalid, field.field("host"), message);
        }
        let mut number = |value: Option<i64>, default: u32, max: i64, name: &str| -> u32 {
            match value.unwrap_or(0) {
                0 => default,
                value if (1..=max).contains(&value) => u32::try_from(value).unwrap_or(default),
                value => {
                    let message = format!("{name} {value} is not between 1 and {max}");
                    let field = field.field(name);
                    self.diagnostics.push(Diagnostic::new(
                        Code::HealthCheckInvalid,
                        self.reference,
                        field,
                        message,
                    ));
                    default
                }
            }
        };
        let interval = number(check.interval_seconds, 10, 3600, "intervalSeconds");
        let timeout = number(check.timeout_seconds, 2, HEALTH_CHECK_TIMEOUT_MAX, "timeoutSeconds");
        let unhealthy_threshold =
            number(check.unhealthy_threshold_count, 3, 1000, "unhealthyThresholdCount");
        let healthy_threshold =
            number(check.healthy_threshold_count, 2, 1000, "healthyThresholdCount");
        (self.errors() == before).then(|| HealthCheck {
            path: Arc::clone(&check.path),
            host,
            interval: Duration::from_secs(interval.into()),
            timeout: Duration::from_secs(timeout.into()),
            unhealthy_threshold,
            healthy_threshold,
        })
    }

    /// A validation that cannot be read takes its service out: sending the traffic unverified
    /// would be worse.
    fn validation(
        &mut self,
        validation: &api::UpstreamValidation,
        field: &FieldPath,
    ) -> Option<Validation> {
        let field = field.field("validation");
        let secret = match self.secret_name(&validation.ca_secret, &field.field("caSecret")) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.report(Code::CaSecretInvalid, field.field("caSecret"), message);
                None
            }
        };
        let subject_name = Fqdn::parse(&validation.subject_name).map_err(|error| {
            let message = format!("subjectName {:?} {error}", Shortened(&validation.subject_name));
            self.report(Code::SubjectNameMissing, field.field("subjectName"), message);
        });
        Some(Validation { secret: secret?, subject_name: subject_name.ok()? })
    }
}

/// A text from outside as it goes into a message: quoted, escaped, and not longer than a line.
struct Shortened<'a>(&'a str);

impl std::fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const CHARS_MAX: usize = 80;
        if self.0.chars().count() <= CHARS_MAX {
            write!(f, "{:?}", self.0)
        } else {
            let head: String = self.0.chars().take(CHARS_MAX).collect();
            write!(f, "{head:?}…")
        }
    }
}
