//! Objects for those who watch all of them: all at first, and then those that differ.
//!
//! What differs is noted only while somebody watches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contour_core::lower::{IngressRoute, RootTls};
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::observe::collection::{Served, Watched};
use contour_core::observe::{destinations, feed, weights};
use contour_core::pipeline::Outcome;
use contour_core::xds::ResourceType;

use super::Engine;

/// Who has not asked for so long does not watch any more.
const AWAY: Duration = Duration::from_secs(30);

/// Objects with what became of them; `None` for those that are gone.
pub(crate) type Changed = Vec<(ObjectName, Option<Watched>)>;

/// What differs since it was asked for last.
#[derive(Debug)]
pub(super) struct Watching {
    touched: BTreeSet<ObjectName>,
    asked: Instant,
}

impl Engine {
    /// What differs since this was asked for last; everything if it is asked anew, or was not for
    /// some time. The second says whether it is everything.
    pub(super) fn watch(&mut self, anew: bool) -> (Changed, bool) {
        let empty = Watching { touched: BTreeSet::new(), asked: Instant::now() };
        let before = self.watching.replace(empty).filter(|_| !anew);
        let whole = before.is_none();
        let names = before.map_or_else(
            || {
                let routes = self.ledger.objects().filter(|o| o.kind == Kind::IngressRoute);
                routes.map(|object| object.name.clone()).collect()
            },
            |watching| watching.touched,
        );
        let changed = names.into_iter().map(|name| {
            let watched = self.watched(&name);
            (name, watched)
        });
        (changed.collect(), whole)
    }

    /// Notes of which objects there is something new to say.
    pub(super) fn note_watched(&mut self, outcome: &Outcome, objects: &BTreeSet<ObjectRef>) {
        if self.watching.is_none() {
            return;
        }
        let keys = outcome.resources.keys().filter(|key| key.kind != ResourceType::Endpoint);
        let owners: Vec<_> = keys.flat_map(|key| self.pipeline.owners(key)).collect();
        let all = owners.iter().chain(outcome.statuses.keys()).chain(objects);
        self.touch_watched(all);
    }

    pub(super) fn touch_watched<'a>(&mut self, objects: impl Iterator<Item = &'a ObjectRef>) {
        if self.watching.as_ref().is_some_and(|watching| watching.asked.elapsed() > AWAY) {
            self.watching = None;
        }
        if let Some(watching) = &mut self.watching {
            let routes = objects.filter(|object| object.kind == Kind::IngressRoute);
            watching.touched.extend(routes.map(|object| object.name.clone()));
        }
    }

    fn watched(&self, name: &ObjectName) -> Option<Watched> {
        let reference = name.of(Kind::IngressRoute);
        if !self.ledger.knows(&reference) {
            return None;
        }
        let route = self.pipeline.ingress_route(name);
        let object = feed::Object {
            name: name.clone(),
            hosts: self.hosts(&reference, route),
            state: self.pipeline.status(&reference).map(|status| status.state.as_str().into()),
            errors: self.errors(&reference),
            weights: route.map(weights).unwrap_or_default(),
        };
        Some(Watched {
            object,
            destinations: route.map(destinations).unwrap_or_default(),
            certificate: route.and_then(|route| self.served(route)),
        })
    }

    /// The hosts that an object is served at: its own, and those of whoever delegates to it.
    fn hosts(&self, object: &ObjectRef, route: Option<&IngressRoute>) -> Vec<Arc<str>> {
        let keys = self.pipeline.resources_of(object);
        let scopes = keys.iter().filter(|key| key.kind == ResourceType::ScopedRoute);
        let mut hosts: BTreeSet<Arc<str>> =
            scopes.filter_map(|key| Some(key.name.split_once('/')?.1.into())).collect();
        let own = route.and_then(|route| route.root.as_ref()?.fqdn.as_ref());
        hosts.extend(own.map(|fqdn| fqdn.as_str().into()));
        hosts.into_iter().collect()
    }

    fn served(&self, route: &IngressRoute) -> Option<Served> {
        let root = route.root.as_ref()?;
        let RootTls::Terminate { secret, .. } = &root.tls else { return None };
        let certificate = self.pipeline.certificate(&secret.name)?;
        Some(Served {
            secret: secret.name.clone(),
            names: certificate.dns_names.iter().map(|name| name.as_str().into()).collect(),
            not_after_unix: certificate.not_after.unix(),
            host: root.fqdn.as_ref()?.as_str().into(),
        })
    }
}
