//! What is wrong with documents, given what a cluster has: the controller's own judgement before
//! anything is applied. Pure.

mod hint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contour_core::api::{Object, Timestamp};
use contour_core::diagnostic::{Code, Diagnostic, Severity};
use contour_core::manifest::{self, Limits, Spans};
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::pipeline::{Change, Options, Pipeline};

pub use hint::as_service;

/// Annotations that name the ingress class, as the controller reads them.
const CLASSES: [&str; 3] = [
    "projectcontour.io/ingress.class",
    "contour.heptio.com/ingress.class",
    "kubernetes.io/ingress.class",
];

/// What a cluster has, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The objects.
    pub objects: Vec<Object>,
    /// Kinds that are not known whole: what is missing of them may be there.
    pub unknown: BTreeSet<Kind>,
    /// The time, by which certificates expire.
    pub now: Option<Timestamp>,
}

impl Snapshot {
    /// A snapshot of a cluster of which nothing is known.
    pub fn offline(now: Option<Timestamp>) -> Self {
        let unknown = Kind::ALL.into_iter().collect();
        Self { objects: Vec::new(), unknown, now }
    }

    /// The object of this identity.
    pub fn get(&self, reference: &ObjectRef) -> Option<&Object> {
        self.objects.iter().find(|object| object.reference() == *reference)
    }

    /// The objects of a kind in a namespace.
    pub fn of(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Object> {
        self.objects
            .iter()
            .filter(move |o| o.kind() == kind && &*o.metadata().namespace == namespace)
    }
}

/// What is wrong with the documents of `text`, which the user knows as `file`: with them, and with
/// others because of them. Errors first.
///
/// # Guarantees
/// Nothing is said of what cannot be known from the snapshot.
pub fn check(snapshot: &Snapshot, file: &str, text: &str) -> Vec<Diagnostic> {
    let manifest = manifest::read(file, text, Limits::default());
    let mut found = manifest.diagnostics;
    let mut drafts = BTreeMap::new();
    let mut objects = Vec::new();
    for document in manifest.documents {
        found.extend(document.diagnostics);
        if let Some(object) = document.object {
            objects.push(as_it_will_be(snapshot, object));
        }
        drafts.insert(document.reference, document.spans);
    }
    found.retain(|diagnostic| diagnostic.code != Code::UnsupportedKind);
    let judged = judge(snapshot, &objects, &drafts);
    found
        .extend(judged.into_iter().map(|diagnostic| hint::improve(snapshot, &objects, diagnostic)));
    for diagnostic in &mut found {
        let spans = diagnostic.object.as_ref().and_then(|object| drafts.get(object));
        if let Some(spans) = spans.filter(|_| diagnostic.location.is_none()) {
            diagnostic.location = spans.locate(&diagnostic.field);
        }
    }
    found.retain(|diagnostic| is_known(snapshot, diagnostic));
    found.sort_by_key(|d| (d.severity(), d.location.clone(), d.code));
    found.dedup();
    found
}

/// Whether something that was asked for would not be served.
pub fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
}

/// An object that is there already keeps its age, which decides who has a host.
fn as_it_will_be(snapshot: &Snapshot, mut object: Object) -> Object {
    let created =
        snapshot.get(&object.reference()).and_then(|live| live.metadata().creation_timestamp);
    match &mut object {
        Object::IngressRoute(o) => o.metadata.creation_timestamp = created,
        Object::TlsCertificateDelegation(o) => o.metadata.creation_timestamp = created,
        Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Secret(_)
        | Object::Namespace(_) => {}
    }
    object
}

fn judge(
    snapshot: &Snapshot,
    drafts: &[Object],
    spans: &BTreeMap<ObjectRef, Arc<Spans>>,
) -> Vec<Diagnostic> {
    let apply = |object: &Object| Change::Apply(Box::new(object.clone()), Arc::from([]));
    let mut pipeline = Pipeline::new(options(drafts));
    let mut changes: Vec<Change> = snapshot.objects.iter().map(apply).collect();
    changes.extend(snapshot.now.map(Change::Clock));
    pipeline.apply(changes);
    let before: BTreeSet<Diagnostic> = told(&pipeline).collect();
    pipeline.apply(drafts.iter().map(apply).collect());
    let services = routed_to(drafts);
    let concerns = |diagnostic: &Diagnostic| match &diagnostic.object {
        Some(object) => {
            spans.contains_key(object)
                || (object.kind == Kind::Service && services.contains(&object.name))
                || !before.contains(diagnostic)
        }
        None => true,
    };
    told(&pipeline).filter(concerns).collect()
}

fn told(pipeline: &Pipeline) -> impl Iterator<Item = Diagnostic> {
    pipeline.statuses().flat_map(|(_, status)| status.diagnostics.clone())
}

/// The settings of a controller that serves the class of the documents.
fn options(drafts: &[Object]) -> Options {
    let class = drafts.iter().find_map(|object| object.metadata().annotation(&CLASSES));
    let class = class.filter(|class| *class != "contour").map(Arc::from);
    Options { ingress_classes: class.into_iter().collect(), ..Options::default() }
}

/// The Services that the documents route to.
fn routed_to(drafts: &[Object]) -> BTreeSet<ObjectName> {
    let mut services = BTreeSet::new();
    for object in drafts {
        let Object::IngressRoute(route) = object else { continue };
        let tcp = route.spec.tcpproxy.iter().flat_map(|tcp| &tcp.services);
        let all = route.spec.routes.iter().flat_map(|route| &route.services).chain(tcp);
        let namespace = &route.metadata.namespace;
        services.extend(all.map(|s| ObjectName::new(Arc::clone(namespace), Arc::clone(&s.name))));
    }
    services
}

/// Whether the snapshot is whole enough to say this.
fn is_known(snapshot: &Snapshot, diagnostic: &Diagnostic) -> bool {
    const NEEDS: [(Code, &[Kind]); 7] = [
        (Code::ServiceNotFound, &[Kind::Service]),
        (Code::NoEndpoints, &[Kind::Service, Kind::EndpointSlice]),
        (Code::SecretNotFound, &[Kind::Secret]),
        (Code::CaSecretInvalid, &[Kind::Secret]),
        (Code::DelegationNotPermitted, &[Kind::TlsCertificateDelegation]),
        (Code::DelegateNotFound, &[Kind::IngressRoute]),
        (Code::Orphaned, &[Kind::IngressRoute]),
    ];
    let needs = NEEDS.iter().find(|(code, _)| *code == diagnostic.code);
    needs.is_none_or(|(_, kinds)| kinds.iter().all(|kind| !snapshot.unknown.contains(kind)))
}

#[cfg(test)]
mod tests;
