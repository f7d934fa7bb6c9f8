//! Services of a route to clusters by weight.

use std::sync::Arc;

use super::Context;
use crate::diagnostic::{Code, Diagnostic};
use crate::ir::{Cluster, Destination, EndpointsName, Protocol, Validation};
use crate::lower;
use crate::name::{Kind, ObjectName};

impl Context<'_> {
    /// The usable services with their shares; empty if none can be sent anything.
    ///
    /// All weights 0 as written means equal shares. If only services of weight 0 are left because
    /// the others are unusable, nothing is sent to them: they were given no share.
    pub(super) fn destinations(
        &mut self,
        owner: &ObjectName,
        services: &[lower::Destination],
    ) -> Vec<Destination> {
        if self.budget.refuses_clusters(owner) {
            return Vec::new();
        }
        let is_unchecked = self.budget.refuses_checks(owner);
        let equal = services.iter().all(|s| s.weight.unwrap_or(0) == 0);
        let mut destinations = Vec::with_capacity(services.len());
        for service in services {
            if let Some(mut cluster) = self.cluster(owner, service) {
                if is_unchecked {
                    cluster.health_check = None;
                }
                let weight = if equal { 1 } else { service.weight.unwrap_or(0) };
                destinations.push(Destination { cluster: Arc::new(cluster), weight });
            }
        }
        if destinations.iter().all(|d| d.weight == 0) { Vec::new() } else { destinations }
    }

    fn cluster(&mut self, owner: &ObjectName, service: &lower::Destination) -> Option<Cluster> {
        let found = self.service(owner, service)?;
        let port = self.port(owner, service, found)?;
        let validation = match &service.validation {
            None => None,
            Some(validation) => Some(self.validation(owner, validation)?),
        };
        if validation.is_some() && !port.protocol.is_tls() {
            let message =
                format!("Service {} port {} does not speak TLS", service.name, service.port);
            let field = service.field.field("validation");
            self.report(Code::ValidationWithoutTls, owner, field, message);
        }
        Some(Cluster {
            service: service.name.clone(),
            port: service.port,
            endpoints: EndpointsName {
                service: service.name.clone(),
                port: Arc::clone(&port.name),
            },
            protocol: port.protocol,
            load_balancing: service.load_balancing,
            health_check: service.health_check.clone(),
            validation: validation.filter(|_| port.protocol.is_tls()),
            circuit_breakers: found.circuit_breakers,
            settings: Arc::clone(&self.options.upstream),
        })
    }

    fn service<'s>(
        &mut self,
        owner: &ObjectName,
        service: &lower::Destination,
    ) -> Option<&'s lower::Service>
    where
        Self: 's,
    {
        let field = service.field.field("name");
        let Some(found) = self.reader.service(&service.name) else {
            let message =
                format!("Service [{}:{}] is invalid or missing", service.name, service.port);
            self.report(Code::ServiceNotFound, owner, field, message);
            return None;
        };
        if found.is_external_name {
            let message = format!("Service {} is of type ExternalName", service.name);
            self.report(Code::ExternalNameNotAllowed, owner, field, message);
            return None;
        }
        Some(found)
    }

    fn port<'s>(
        &mut self,
        owner: &ObjectName,
        service: &lower::Destination,
        found: &'s lower::Service,
    ) -> Option<&'s lower::ServicePort> {
        let field = service.field.field("port");
        let Some(port) = found.ports.iter().find(|p| p.port == service.port) else {
            let ports: Vec<String> = found.ports.iter().map(|p| p.port.to_string()).collect();
            let message = format!("Service {} has no port {}", service.name, service.port);
            let object = owner.of(Kind::IngressRoute);
            let mut found = Diagnostic::new(Code::ServicePortNotFound, &object, field, message);
            if !ports.is_empty() {
                let hint = format!("Use a port that the Service lists: {}.", ports.join(", "));
                found = found.with_hint(hint);
            }
            self.found(found);
            return None;
        };
        if !port.is_tcp {
            let message =
                format!("port {} of Service {} is not a TCP port", service.port, service.name);
            self.report(Code::ServiceProtocolUnsupported, owner, field, message);
            return None;
        }
        Some(port)
    }

    fn validation(
        &mut self,
        owner: &ObjectName,
        validation: &lower::Validation,
    ) -> Option<Validation> {
        let secret = &validation.secret;
        if !self.may_use(owner, secret) {
            return None;
        }
        let fault = match self.reader.secret(&secret.name) {
            Some(found) => match &found.authority {
                Ok(authority) => {
                    let subject_name = validation.subject_name.clone();
                    return Some(Validation { authority: Arc::clone(authority), subject_name });
                }
                Err(fault) => fault.message.clone(),
            },
            None => "does not exist".to_owned(),
        };
        let message = format!("Secret {}: {fault}", secret.name);
        self.report(Code::CaSecretInvalid, owner, secret.field.clone(), message);
        None
    }

    /// Whether the owner may use a Secret; if not, tells the owner.
    pub(super) fn may_use(&mut self, owner: &ObjectName, secret: &lower::SecretName) -> bool {
        if self.reader.may_use_secret(&secret.name, &owner.namespace) {
            return true;
        }
        let message = format!("{}: certificate delegation not permitted", secret.name);
        let hint = format!(
            "Create a {} in namespace {} with secretName {} and target namespace {}.",
            Kind::TlsCertificateDelegation,
            secret.name.namespace,
            secret.name.name,
            owner.namespace
        );
        let (object, field) = (owner.of(Kind::IngressRoute), secret.field.clone());
        let found = Diagnostic::new(Code::DelegationNotPermitted, &object, field, message);
        self.found(found.with_hint(hint));
        false
    }
}

/// TCP proxies carry bytes: what the endpoints speak inside does not matter to Envoy.
pub(super) fn as_tcp(destinations: Vec<Destination>) -> Vec<Destination> {
    let plain = |d: Destination| {
        let cluster =
            Cluster { protocol: Protocol::Http1, validation: None, ..Cluster::clone(&d.cluster) };
        Destination { cluster: Arc::new(cluster), ..d }
    };
    destinations.into_iter().map(plain).collect()
}
