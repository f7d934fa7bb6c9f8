//! What is watched: a kind, everywhere or in one namespace.

use std::fmt;
use std::sync::Arc;

use contour_core::name::{Kind, ObjectName};

/// Types of Secrets that never hold a certificate; they are not even sent to us. Helm's releases
/// alone are most of the Secrets, by bytes, of many clusters.
const SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token,\
                       type!=kubernetes.io/dockercfg,type!=kubernetes.io/dockerconfigjson,\
                       type!=bootstrap.kubernetes.io/token,type!=kubernetes.io/basic-auth,\
                       type!=kubernetes.io/ssh-auth";

/// Something that is watched by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The objects of a kind.
    Objects {
        /// The kind.
        kind: Kind,
        /// The namespace; all if unset.
        namespace: Option<Arc<str>>,
    },
    /// The addresses in the status of one Service.
    Addresses(ObjectName),
}

impl Scope {
    /// What a controller watches: objects of every kind that it reads, in `namespaces` (all if
    /// empty), and the addresses of `service`.
    pub fn all(namespaces: &[Arc<str>], service: Option<&ObjectName>) -> Vec<Self> {
        let kinds = [
            Kind::IngressRoute,
            Kind::TlsCertificateDelegation,
            Kind::Service,
            Kind::EndpointSlice,
            Kind::Secret,
        ];
        let places: Vec<Option<Arc<str>>> = if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().cloned().map(Some).collect()
        };
        let objects = kinds.into_iter().flat_map(|kind| {
            places.iter().map(move |namespace| Self::Objects { kind, namespace: namespace.clone() })
        });
        objects.chain(service.cloned().map(Self::Addresses)).collect()
    }

    /// The kind of what is sent.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Objects { kind, .. } => *kind,
            Self::Addresses(_) => Kind::Service,
        }
    }

    /// Whether the kind is defined by a CustomResourceDefinition, which may be missing.
    pub fn is_custom(&self) -> bool {
        matches!(self.kind(), Kind::IngressRoute | Kind::TlsCertificateDelegation)
    }

    /// The path of the list at the API server.
    pub fn path(&self) -> String {
        let namespace = match self {
            Self::Objects { namespace, .. } => namespace.as_deref(),
            Self::Addresses(service) => Some(&*service.namespace),
        };
        path(self.kind(), namespace)
    }

    /// The `fieldSelector`, if not all are of interest.
    pub fn field_selector(&self) -> Option<String> {
        match self {
            Self::Objects { kind: Kind::Secret, .. } => Some(SECRETS.to_owned()),
            Self::Objects { .. } => None,
            Self::Addresses(service) => Some(format!("metadata.name={}", service.name)),
        }
    }
}

/// The path of the objects of a kind at the API server, in one namespace or everywhere.
pub fn path(kind: Kind, namespace: Option<&str>) -> String {
    let (group, plural) = match kind {
        Kind::IngressRoute => ("/apis/contour.heptio.com/v1beta1", "ingressroutes"),
        Kind::TlsCertificateDelegation => {
            ("/apis/contour.heptio.com/v1beta1", "tlscertificatedelegations")
        }
        Kind::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
        Kind::Service => ("/api/v1", "services"),
        Kind::Secret => ("/api/v1", "secrets"),
        Kind::Namespace => ("/api/v1", "namespaces"),
    };
    match namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{plural}"),
    }
}

/// `IngressRoute`, `Secret in demo`, `the addresses of Service projectcontour/envoy`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Objects { kind, namespace: None } => write!(f, "{kind}"),
            Self::Objects { kind, namespace: Some(namespace) } => {
                write!(f, "{kind} in {namespace}")
            }
            Self::Addresses(service) => write!(f, "the addresses of Service {service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_watched_in_each_namespace() {
        let service = ObjectName::new("projectcontour", "envoy");
        let all = Scope::all(&[], Some(&service));
        let paths: Vec<_> = all.iter().map(Scope::path).collect();
        assert_eq!(
            paths,
            [
                "/apis/contour.heptio.com/v1beta1/ingressroutes",
                "/apis/contour.heptio.com/v1beta1/tlscertificatedelegations",
                "/api/v1/services",
                "/apis/discovery.k8s.io/v1/endpointslices",
                "/api/v1/secrets",
                "/api/v1/namespaces/projectcontour/services",
            ]
        );
        let two = Scope::all(&["a".into(), "b".into()], None);
        assert_eq!(two.len(), 10);
        assert_eq!(two[1].path(), "/apis/contour.heptio.com/v1beta1/namespaces/b/ingressroutes");
        assert_eq!(two[1].to_string(), "IngressRoute in b");
        assert_eq!(all[5].field_selector().as_deref(), Some("metadata.name=envoy"));
    }
}
