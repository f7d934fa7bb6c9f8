//! What is to be seen of a shift from here: which Envoys of all replicas have its route, and whether
//! both sides have endpoints.

use contour_core::name::{ObjectName, ObjectRef};
use contour_core::shift::Note;
use contour_core::shift::gate::Health;
use contour_core::shift::machine::{Fleet, Live, Observation};
use contour_core::shift::state::State;
use tokio::sync::Mutex;

use crate::engine::query::{Inquiry, RouteView};
use crate::kubernetes::peers::{Answer, Asker, Standing};

/// Asks the engine and the other replicas.
pub(super) struct Lookout {
    pub(super) inquiry: Inquiry,
    pub(super) asker: Mutex<Asker>,
}

/// What is seen of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    fleet: Option<Fleet>,
    from: Option<Health>,
    to: Option<Health>,
}

impl Lookout {
    /// Whether this controller serves the route, as far as it knows yet.
    pub(super) async fn serves(&self, route: &ObjectRef) -> bool {
        self.inquiry.route(route.clone(), Vec::new()).await.flatten().is_some()
    }

    /// Looks at a route and at both services of its shift. Nothing is seen of one that is not in
    /// force.
    pub(super) async fn look(&self, route: &ObjectRef, state: &State) -> Sight {
        let namespace = &route.name.namespace;
        let ports = state.ends().into_iter().flat_map(|(from, to)| [from, to]);
        let ports =
            ports.map(|s| (ObjectName::new(namespace.as_ref(), s.name.as_ref()), s.port)).collect();
        let Some(Some(view)) = self.inquiry.route(route.clone(), ports).await else {
            return Sight::default();
        };
        let RouteView { generation, question, ready } = view;
        let answers = self.asker.lock().await.ask(vec![question]).await;
        Sight::of(generation, answers.first(), &ready)
    }
}

impl Sight {
    /// Endpoints count as healthy that are ready; how Envoys find them is not asked.
    fn of(generation: Option<i64>, answer: Option<&Answer>, ready: &[usize]) -> Self {
        let health = |index: usize| {
            let healthy = u32::try_from(*ready.get(index)?).unwrap_or(u32::MAX);
            Some(Health { healthy, ejected: 0 })
        };
        // What only some replicas tell is not all.
        let fleet = answer.filter(|answer| answer.is_whole).zip(generation);
        let fleet = fleet.map(|(answer, generation)| {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let waiting = answer.all.iter().filter_map(|(node, standing)| match standing {
                Standing::Acknowledged => None,
                Standing::Waiting => Some(Note::new(node)),
                Standing::Refused(why) => Some(Note::new(&format!("{node} (rejected: {why})"))),
            });
            let waiting: Vec<_> = waiting.collect();
            Fleet {
                generation,
                connected: count(answer.all.len()),
                acknowledged: count(answer.all.len().saturating_sub(waiting.len())),
                since: None,
                waiting,
            }
        });
        Self { fleet, from: health(0), to: health(1) }
    }

    /// With the object as it was read after that.
    pub(super) fn observation(self, live: Option<Live>) -> Observation {
        let Self { fleet, from, to } = self;
        Observation { live, fleet, from, to, ..Observation::default() }
    }
}

#[cfg(test)]
mod tests {
    use contour_core::name::Kind;

    use super::*;

    fn answer(is_whole: bool) -> Answer {
        let all = [
            ("a", Standing::Acknowledged),
            ("b", Standing::Waiting),
            ("c", Standing::Refused("no".into())),
        ];
        Answer {
            object: ObjectRef::new(Kind::IngressRoute, "demo", "shop"),
            revision: 3,
            all: all.into_iter().map(|(node, standing)| (node.into(), standing)).collect(),
            is_whole,
        }
    }

    #[test]
    fn what_all_replicas_tell_is_the_fleet_and_less_is_not() {
        let fleet =
            |generation, is_whole| Sight::of(generation, Some(&answer(is_whole)), &[]).fleet;
        let seen = fleet(Some(7), true).unwrap();
        assert_eq!((seen.generation, seen.acknowledged, seen.connected), (7, 1, 3));
        assert_eq!(seen.waiting, ["b", "c (rejected: no)"].map(Note::new));
        assert_eq!(fleet(Some(7), false), None);
        assert_eq!(fleet(None, true), None);
    }

    #[test]
    fn endpoints_that_are_ready_are_healthy() {
        let sight = Sight::of(Some(1), None, &[2, 0]);
        let health = |healthy| Some(Health { healthy, ejected: 0 });
        assert_eq!((sight.from, sight.to), (health(2), health(0)));
        assert_eq!(Sight::of(Some(1), None, &[]).from, None);
    }
}
