//! `TLSCertificateDelegation`: lets other namespaces use a TLS Secret of this one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metadata;

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
    pub delegations: Vec<CertificateDelegation>,
}

/// A Secret and the namespaces that may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDelegation {
    /// Name of a Secret in the namespace of the TLSCertificateDelegation.
    pub secret_name: Arc<str>,
    /// Namespaces that may use it; `*`, alone, stands for all.
    pub target_namespaces: Vec<Arc<str>>,
}
