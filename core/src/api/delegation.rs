//! `TLSCertificateDelegation`: lets other namespaces use a TLS Secret of this one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;
use super::crd::{SUBDOMAIN, TARGET};

/// Delegates TLS Secrets of its own namespace to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TlsCertificateDelegation {
    /// Metadata.
    pub metadata: Metadata,
    /// What is delegated.
    pub spec: TlsCertificateDelegationSpec,
}

/// What is delegated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct TlsCertificateDelegationSpec {
    /// One entry for each Secret.
    #[schemars(length(max = 256))]
    pub delegations: Vec<CertificateDelegation>,
}

/// A Secret and the namespaces that may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "size(self.targetNamespaces) == 1 || !self.targetNamespaces.exists(n, n == '*')",
        "message": "'*' stands for all namespaces and must stand alone"
    }
]))]
pub struct CertificateDelegation {
    /// Name of a Secret in the namespace of the TLSCertificateDelegation.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub secret_name: Arc<str>,
    /// Namespaces that may use it; `*`, alone, stands for all.
    #[schemars(length(max = 1024), inner(length(min = 1, max = 63), regex(pattern = TARGET)))]
    pub target_namespaces: Vec<Arc<str>>,
}
