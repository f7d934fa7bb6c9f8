//! What an API server has not let us read since the start: kinds that are forbidden or missing, and
//! objects that could not be decoded. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contour_cluster::scope::Scope;
use contour_cluster::watch::{Health, Output};
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::{Change, Gaps};

use crate::source;

/// See the module. What was read once is never unread again: it stays in force as it was.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Scopes of which no list has been whole yet.
    scopes: BTreeMap<Arc<str>, Kind>,
    /// Scopes of which one has.
    read: BTreeSet<Arc<str>>,
    objects: BTreeSet<ObjectRef>,
    /// From then on an object that cannot be decoded is a new one, or known as it was.
    is_synced: bool,
    differs: bool,
}

impl Unread {
    /// This was heard of a scope.
    pub(crate) fn heard(&mut self, scope: &Scope, output: &Output) {
        // Addresses are no part of what is served.
        let Scope::Objects { kind, .. } = scope else {
            return;
        };
        let name: Arc<str> = scope.to_string().into();
        match &output.health {
            Some(Health::Watching) => {
                self.differs |= self.scopes.remove(&name).is_some();
                self.read.insert(name);
            }
            Some(Health::Absent | Health::Forbidden(_)) if !self.read.contains(&name) => {
                self.differs |= self.scopes.insert(name, *kind).is_none();
            }
            Some(Health::Absent | Health::Forbidden(_) | Health::Failing(_)) | None => {}
        }
        for change in &output.changes {
            match change {
                Change::Undecodable(object, _) if !self.is_synced => {
                    self.differs |= self.objects.insert(object.clone());
                }
                Change::Apply(object, _) if !self.objects.is_empty() => {
                    self.differs |= self.objects.remove(&object.reference());
                }
                Change::Delete(object) => self.differs |= self.objects.remove(object),
                Change::Apply(..) | Change::Undecodable(..) | Change::Clock(_) => {}
            }
        }
    }

    /// All that there was at the start has been told.
    pub(crate) fn synced(&mut self) {
        self.is_synced = true;
    }

    /// What there is to tell, if it differs from what was told last.
    pub(crate) fn take(&mut self) -> Option<source::Unread> {
        if !std::mem::take(&mut self.differs) {
            return None;
        }
        let objects = self.objects.iter().map(|object| object.to_string().into());
        Some(source::Unread {
            gaps: Gaps {
                kinds: self.scopes.values().copied().collect(),
                objects: self.objects.clone(),
            },
            parts: self.scopes.keys().cloned().chain(objects).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use contour_core::api::{Object, Service};

    use super::*;

    fn scope(kind: Kind, namespace: Option<&str>) -> Scope {
        Scope::Objects { kind, namespace: namespace.map(Into::into) }
    }

    fn health(health: Health) -> Output {
        Output { health: Some(health), ..Output::default() }
    }

    fn changes(changes: Vec<Change>) -> Output {
        Output { changes, ..Output::default() }
    }

    fn forbidden() -> Output {
        health(Health::Forbidden("no".to_owned()))
    }

    #[test]
    fn a_kind_that_must_not_be_read_is_unread_until_it_was_once() {
        let mut unread = Unread::default();
        let (services, secrets) = (scope(Kind::Service, None), scope(Kind::Secret, None));
        assert_eq!(unread.take(), None);
        unread.heard(&services, &health(Health::Watching));
        assert_eq!(unread.take(), None);
        unread.heard(&secrets, &forbidden());
        let told = unread.take().expect("it differs");
        assert_eq!(told.gaps.kinds, BTreeSet::from([Kind::Secret]));
        assert_eq!(told.parts, BTreeSet::from([secrets.to_string().into()]));
        // It is no better for failing otherwise, and said once.
        unread.heard(&secrets, &health(Health::Failing("503".to_owned())));
        unread.heard(&secrets, &health(Health::Absent));
        assert_eq!(unread.take(), None);
        unread.heard(&secrets, &health(Health::Watching));
        assert_eq!(unread.take(), Some(source::Unread::default()));
        // What was read once stays as it was, whatever comes.
        for scope in [&services, &secrets] {
            unread.heard(scope, &forbidden());
            assert_eq!(unread.take(), None);
        }
    }

    #[test]
    fn a_kind_is_unread_while_it_is_in_any_namespace() {
        let mut unread = Unread::default();
        let (one, two) = (scope(Kind::Secret, Some("one")), scope(Kind::Secret, Some("two")));
        unread.heard(&one, &forbidden());
        unread.heard(&two, &forbidden());
        unread.heard(&one, &health(Health::Watching));
        let told = unread.take().expect("it differs");
        assert_eq!(told.gaps.kinds, BTreeSet::from([Kind::Secret]));
        assert_eq!(told.parts, BTreeSet::from([two.to_string().into()]));
    }

    #[test]
    fn an_object_that_was_never_decoded_is_unread_until_it_is_or_is_gone() {
        let mut unread = Unread::default();
        let services = scope(Kind::Service, None);
        let undecodable = |name: &str| {
            let object = ObjectRef::new(Kind::Service, "demo", name);
            Change::Undecodable(object, Arc::from([]))
        };
        unread.heard(&services, &changes(vec![undecodable("a"), undecodable("b")]));
        assert_eq!(unread.take().expect("it differs").gaps.objects.len(), 2);
        unread.synced();
        unread.heard(&services, &changes(vec![undecodable("c")]));
        assert_eq!(unread.take(), None);
        let mut service = Service::default();
        (service.metadata.namespace, service.metadata.name) = ("demo".into(), "a".into());
        let good = Change::Apply(Box::new(Object::Service(service)), Arc::from([]));
        let gone = Change::Delete(ObjectRef::new(Kind::Service, "demo", "b"));
        unread.heard(&services, &changes(vec![good, gone]));
        assert_eq!(unread.take(), Some(source::Unread::default()));
    }
}
