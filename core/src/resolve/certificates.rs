//! The certificate of a host.

use std::sync::Arc;

use super::Context;
use crate::diagnostic::Code;
use crate::ir::Certificate;
use crate::lower;
use crate::name::{Fqdn, ObjectName};

impl Context<'_> {
    /// The certificate that a root names, if there is one that may be used and that Envoy will
    /// accept. Expiry is told, but does not stop the certificate from being served: that would
    /// turn a warning in a browser into an outage.
    pub(super) fn certificate(
        &mut self,
        owner: &ObjectName,
        secret: &lower::SecretName,
        fqdn: &Fqdn,
    ) -> Option<Arc<Certificate>> {
        if !self.may_use(owner, secret) {
            return None;
        }
        let field = || secret.field.clone();
        let Some(found) = self.reader.secret(&secret.name) else {
            let message = format!(
                "TLS Secret [{}] not found or is malformed: it does not exist",
                secret.name
            );
            self.report(Code::SecretNotFound, owner, field(), message);
            return None;
        };
        let certificate = match &found.certificate {
            Ok(certificate) => Arc::clone(certificate),
            Err(fault) => {
                let code = if fault.is_mismatch { Code::KeyMismatch } else { Code::SecretInvalid };
                let message = format!(
                    "TLS Secret [{}] not found or is malformed: {}",
                    secret.name, fault.message
                );
                self.report(code, owner, field(), message);
                return None;
            }
        };
        if let Some(now) = self.reader.now() {
            if now > certificate.not_after {
                let message = format!("the certificate in Secret {} has expired", secret.name);
                self.report(Code::CertificateExpired, owner, field(), message);
            }
            if now < certificate.not_before {
                let message = format!("the certificate in Secret {} is not valid yet", secret.name);
                self.report(Code::CertificateNotYetValid, owner, field(), message);
            }
        }
        if let Some(number) = certificate.unrelated {
            let message = format!(
                "certificate number {number} of the chain in Secret {} signed none of those before it",
                secret.name
            );
            self.report(Code::CertificateChainOrder, owner, field(), message);
        }
        if !certificate.covers(fqdn) {
            let names = if certificate.dns_names.is_empty() {
                "no DNS name".to_owned()
            } else {
                certificate.dns_names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
            };
            let message =
                format!("the certificate in Secret {} is for {names}, not {fqdn}", secret.name);
            self.report(Code::CertificateHostMismatch, owner, field(), message);
        }
        Some(certificate)
    }
}
