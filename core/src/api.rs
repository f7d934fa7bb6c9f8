//! The objects as their owners write them, reduced to what is read.

pub mod crd;
mod delegation;
mod ingressroute;
mod kubernetes;
mod metadata;

pub use delegation::{
    CertificateDelegation, TlsCertificateDelegation, TlsCertificateDelegationSpec,
};
pub use ingressroute::{
    Delegate, HealthCheck, IngressRoute, IngressRouteService, IngressRouteSpec, RetryPolicy, Route,
    TcpProxy, TimeoutPolicy, Tls, UpstreamValidation, VirtualHost,
};
pub use kubernetes::{
    Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Namespace, Secret, Service,
    ServicePort, ServiceSpec,
};
pub use metadata::{Metadata, Timestamp};

use crate::name::{Kind, ObjectRef};

/// An object of any kind that the pipeline reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An `IngressRoute`.
    IngressRoute(IngressRoute),
    /// A `TLSCertificateDelegation`.
    TlsCertificateDelegation(TlsCertificateDelegation),
    /// A `Service`.
    Service(Service),
    /// An `EndpointSlice`.
    EndpointSlice(EndpointSlice),
    /// A `Secret`.
    Secret(Secret),
    /// A `Namespace`.
    Namespace(Namespace),
}

impl Object {
    /// The kind of the object.
    pub fn kind(&self) -> Kind {
        match self {
            Self::IngressRoute(_) => Kind::IngressRoute,
            Self::TlsCertificateDelegation(_) => Kind::TlsCertificateDelegation,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Secret(_) => Kind::Secret,
            Self::Namespace(_) => Kind::Namespace,
        }
    }

    /// The object's metadata.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::IngressRoute(o) => &o.metadata,
            Self::TlsCertificateDelegation(o) => &o.metadata,
            Self::Service(o) => &o.metadata,
            Self::EndpointSlice(o) => &o.metadata,
            Self::Secret(o) => &o.metadata,
            Self::Namespace(o) => &o.metadata,
        }
    }

    /// The same, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        match self {
            Self::IngressRoute(o) => &mut o.metadata,
            Self::TlsCertificateDelegation(o) => &mut o.metadata,
            Self::Service(o) => &mut o.metadata,
            Self::EndpointSlice(o) => &mut o.metadata,
            Self::Secret(o) => &mut o.metadata,
            Self::Namespace(o) => &mut o.metadata,
        }
    }

    /// The object's identity.
    pub fn reference(&self) -> ObjectRef {
        let meta = self.metadata();
        ObjectRef { kind: self.kind(), name: meta.object_name() }
    }
}
