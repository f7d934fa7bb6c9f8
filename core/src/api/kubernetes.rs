//! Kubernetes' own kinds, pruned to the fields that are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Metadata;

/// A `Service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Metadata.
    pub metadata: Metadata,
    /// The spec.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// The spec of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(default, rename = "type")]
    pub kind: Option<Arc<str>>,
    /// The ports.
    #[serde(default)]
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The name; EndpointSlices name their ports by it. Empty for a lone unnamed port.
    #[serde(default)]
    pub name: Arc<str>,
    /// The number.
    pub port: i64,
    /// `TCP` (default), `UDP` or `SCTP`.
    #[serde(default)]
    pub protocol: Option<Arc<str>>,
    /// The application protocol, such as `kubernetes.io/h2c`.
    #[serde(default)]
    pub app_protocol: Option<Arc<str>>,
}

/// An `EndpointSlice`. It belongs to the Service named by its label
/// `kubernetes.io/service-name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Metadata.
    pub metadata: Metadata,
    /// `IPv4`, `IPv6` or `FQDN`.
    #[serde(default)]
    pub address_type: Option<Arc<str>>,
    /// The endpoints.
    #[serde(default, deserialize_with = "null_as_default")]
    pub endpoints: Vec<Endpoint>,
    /// The ports, the same for each endpoint.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: Vec<EndpointPort>,
}

/// An endpoint of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// The addresses; the first one counts.
    #[serde(default)]
    pub addresses: Vec<Arc<str>>,
    /// The conditions.
    #[serde(default)]
    pub conditions: EndpointConditions,
}

/// The conditions of an endpoint; unset `ready` means ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointConditions {
    /// Takes new traffic.
    #[serde(default)]
    pub ready: Option<bool>,
    /// Still answers, ready or terminating.
    #[serde(default)]
    pub serving: Option<bool>,
    /// Is going away.
    #[serde(default)]
    pub terminating: Option<bool>,
}

/// A port of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointPort {
    /// The name of the Service's port.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: Arc<str>,
    /// The number.
    #[serde(default)]
    pub port: Option<i64>,
    /// `TCP` (default), `UDP` or `SCTP`.
    #[serde(default)]
    pub protocol: Option<Arc<str>>,
}

/// A `Secret`. Its values are text as far as they are read: PEM.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Metadata.
    pub metadata: Metadata,
    /// The type, such as `kubernetes.io/tls`.
    #[serde(default, rename = "type")]
    pub kind: Option<Arc<str>>,
    /// Values in base64.
    #[serde(default)]
    pub data: BTreeMap<Arc<str>, Arc<str>>,
    /// Values as text, which win over `data` as the API server lets them.
    #[serde(default)]
    pub string_data: BTreeMap<Arc<str>, Arc<str>>,
}

/// Shows which keys there are, never their values.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.metadata.object_name())
            .field("data", &self.data.keys().collect::<Vec<_>>())
            .field("string_data", &self.string_data.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A `Namespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// Metadata.
    pub metadata: Metadata,
}

/// EndpointSlices are written with explicit nulls by some clients.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
