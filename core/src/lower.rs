//! One object as written to its checked form, references still names.
//!
//! Whatever is wrong with the object by itself is found here, once for each version of the
//! object; what is wrong with its references is found by `resolve`.

mod address;
mod delegation;
mod duration;
mod endpointslice;
mod ingressroute;
mod secret;
mod service;

pub use delegation::Delegation;
pub use duration::parse as go_duration;
pub use endpointslice::{EndpointSlice, Ready};
pub use ingressroute::{
    Expansion, IngressRoute, Root, RootTls, Route, RouteAction, SecretName, Service as Destination,
    Services, TcpAction, Upstream, Validation, is_of_class,
};
pub use secret::{Fault, Secret};
pub use service::{Service, ServicePort};

use crate::api::Object;
use crate::diagnostic::{Collector, Findings};
use crate::options::Options;

/// The checked form of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// An IngressRoute.
    IngressRoute(IngressRoute),
    /// What a TLSCertificateDelegation grants.
    Delegation(Delegation),
    /// A Service.
    Service(Service),
    /// An EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// A Secret.
    Secret(Secret),
    /// A Namespace; nothing is read of it yet.
    Namespace,
}

/// Checks an object. Returns `None` for an IngressRoute of a class that is not served.
pub fn lower(object: &Object, options: &Options) -> Option<(Fragment, Findings)> {
    let reference = object.reference();
    let mut diagnostics = Collector::default();
    let fragment = match object {
        Object::IngressRoute(object) => {
            if !is_of_class(&object.metadata, options) {
                return None;
            }
            Fragment::IngressRoute(ingressroute::lower(
                object,
                &reference,
                options,
                &mut diagnostics,
            ))
        }
        Object::TlsCertificateDelegation(object) => {
            Fragment::Delegation(delegation::lower(object, &reference, &mut diagnostics))
        }
        Object::Service(object) => {
            Fragment::Service(service::lower(object, &reference, &mut diagnostics))
        }
        Object::EndpointSlice(object) => Fragment::EndpointSlice(endpointslice::lower(
            object,
            &reference,
            options,
            &mut diagnostics,
        )),
        Object::Secret(object) => Fragment::Secret(secret::lower(object)),
        Object::Namespace(_) => Fragment::Namespace,
    };
    Some((fragment, diagnostics.finish()))
}
