//! TLSCertificateDelegation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api;
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::name::{FieldPath, ObjectRef, is_dns_label, is_dns_subdomain};

/// Who may use a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Targets {
    All,
    Namespaces(BTreeSet<Arc<str>>),
}

/// What a TLSCertificateDelegation grants: Secrets of its namespace to namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegation {
    grants: BTreeMap<Arc<str>, Vec<Targets>>,
}

impl Delegation {
    /// Whether objects of `namespace` may use `secret`.
    pub fn permits(&self, secret: &str, namespace: &str) -> bool {
        self.grants.get(secret).is_some_and(|all| {
            all.iter().any(|targets| match targets {
                Targets::All => true,
                Targets::Namespaces(set) => set.contains(namespace),
            })
        })
    }
}

pub(super) fn lower(
    object: &api::TlsCertificateDelegation,
    reference: &ObjectRef,
    diagnostics: &mut Collector,
) -> Delegation {
    let list = FieldPath::of(".spec.delegations");
    let mut delegation = Delegation::default();
    for (index, entry) in object.spec.delegations.iter().enumerate() {
        let field = list.index(index);
        let mut refuse = |field: FieldPath, message: String| {
            diagnostics.push(Diagnostic::new(
                Code::CertificateDelegationInvalid,
                reference,
                field,
                message,
            ));
        };
        if !is_dns_subdomain(&entry.secret_name) {
            refuse(
                field.field("secretName"),
                format!("{:?} cannot be the name of a Secret", entry.secret_name),
            );
            continue;
        }
        let names = &entry.target_namespaces;
        let targets = if names.iter().any(|n| &**n == "*") {
            if names.len() > 1 {
                refuse(
                    field.field("targetNamespaces"),
                    "'*' stands beside other namespaces".to_owned(),
                );
                continue;
            }
            Targets::All
        } else if let Some(bad) = names.iter().position(|n| !is_dns_label(n)) {
            let message = format!("{:?} cannot be a namespace", names.get(bad).map_or("", |n| n));
            refuse(field.field("targetNamespaces").index(bad), message);
            continue;
        } else {
            Targets::Namespaces(names.iter().cloned().collect())
        };
        delegation.grants.entry(Arc::clone(&entry.secret_name)).or_default().push(targets);
    }
    delegation
}
