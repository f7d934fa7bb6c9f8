//! Weights and state written into the text of a route, which otherwise stays as it is.

use super::state::ANNOTATION;
use super::weights::{Place, Service, WeightError, Weights, Written};
use crate::api::{IngressRouteService, IngressRouteSpec, Object};
use crate::manifest::{self, Edit, EditError, Limits, Literal};
use crate::name::{FieldPath, Kind, ObjectName};

/// What a route is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'c> {
    /// Weights of some of its places, of some of the services there; an unset one takes the field
    /// away.
    pub weights: &'c [Weights],
    /// The state of the shift; `None` takes the annotation away.
    pub annotation: Option<&'c str>,
}

/// Why a text was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text cannot be edited.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A service is not there, or is there more than once.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The route has no such place, or more than one.
    #[error("{0} is not in the IngressRoute, or is there more than once")]
    Place(Place),
}

/// Changes an IngressRoute in a text of YAML or JSON documents. What was not there before goes
/// away without a trace once it is unset.
///
/// # Errors
/// See [`manifest::edit`]; and where a place or service is not there, or not clear.
pub fn edit(
    text: &str,
    route: &ObjectName,
    change: &Change<'_>,
    limits: Limits,
) -> Result<String, TextError> {
    let object = route.of(Kind::IngressRoute);
    let documents = manifest::read("", text, limits).documents;
    let spec = documents.iter().filter(|one| one.reference == object).find_map(|one| {
        match one.object.as_ref()? {
            Object::IngressRoute(route) => Some(&route.spec),
            Object::TlsCertificateDelegation(_)
            | Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Secret(_)
            | Object::Namespace(_) => None,
        }
    });
    let annotation = FieldPath::root().field("metadata").field("annotations").field(ANNOTATION);
    let to = change.annotation.map(|text| Literal::Text(text.to_owned()));
    let mut edits = vec![Edit { field: annotation, to }];
    // Without a spec the object is not there or has faults, which the edit tells.
    for weights in spec.iter().flat_map(|_| change.weights) {
        let services = spec.and_then(|spec| services(spec, weights.place()));
        let (field, services) =
            services.ok_or_else(|| TextError::Place(weights.place().clone()))?;
        for Written(service, weight) in weights.services() {
            let index = index(services, weights.place(), service)?;
            let to = weight.map(|weight| Literal::Number(weight.into()));
            edits.push(Edit { field: field.index(index).field("weight"), to });
        }
    }
    Ok(manifest::edit(text, &object, &edits, limits)?)
}

/// The services of a place, and which field they are; `None` if there is no such place, or more
/// than one.
fn services<'s>(
    spec: &'s IngressRouteSpec,
    place: &Place,
) -> Option<(FieldPath, &'s [IngressRouteService])> {
    let field = FieldPath::root().field("spec");
    match place {
        Place::Route(prefix) => {
            let mut found = spec.routes.iter().enumerate().filter(|(_, r)| r.prefix == *prefix);
            let (index, route) = found.next().filter(|_| found.next().is_none())?;
            let field = field.field("routes").index(index).field("services");
            Some((field, &route.services))
        }
        Place::Tcp => {
            let services = &spec.tcpproxy.as_ref()?.services;
            Some((field.field("tcpproxy").field("services"), services))
        }
    }
}

fn index(
    services: &[IngressRouteService],
    place: &Place,
    service: &Service,
) -> Result<usize, WeightError> {
    let mut found = services
        .iter()
        .enumerate()
        .filter(|(_, one)| one.name == service.name && one.port == service.port);
    let (place, service) = (place.clone(), service.clone());
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(WeightError::Twice { place, service }),
        (None, _) => Err(WeightError::Absent { place, service }),
    }
}
