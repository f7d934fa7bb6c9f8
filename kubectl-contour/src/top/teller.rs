//! Where everybody tells what they know, and what is known of who tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contour_core::observe::feed::Increment;
use contour_core::top::Input;
use tokio::sync::mpsc;

/// What cannot be shown, by what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Which controllers there are.
    Replicas,
    /// Asking them.
    Controllers,
    /// What Kubernetes knows instead.
    Objects,
    /// Shifts.
    Shifts,
    /// Events.
    Events,
    /// The Pods behind addresses.
    Pods,
}

/// See the module. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Teller {
    inputs: mpsc::Sender<Input>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    limits: BTreeMap<Topic, Arc<str>>,
    /// The controllers that tell.
    telling: BTreeSet<Arc<str>>,
    /// The controllers that do not.
    lost: BTreeSet<Arc<str>>,
    /// The namespaces of services that are served.
    namespaces: BTreeSet<Arc<str>>,
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deaf;

impl Teller {
    /// One that tells whoever has the other end.
    pub fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { inputs, known: Arc::default() }
    }

    /// Tells something.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn tell(&self, input: Input) -> Result<(), Deaf> {
        {
            let mut known = self.known();
            match &input {
                Input::Sources(names) => {
                    known.telling.retain(|name| names.contains(name));
                    known.lost.retain(|name| names.contains(name));
                }
                Input::Increment(name, increment) => {
                    known.telling.insert(Arc::clone(name));
                    known.lost.remove(name);
                    known.take(increment);
                }
                Input::Lost(name, _) => {
                    known.telling.remove(name);
                    known.lost.insert(Arc::clone(name));
                }
                Input::Shifts(_)
                | Input::Events(_)
                | Input::Kubernetes(_)
                | Input::Pods(_)
                | Input::Limits(_) => {}
            }
        }
        self.inputs.send(input).await.map_err(|_closed| Deaf)
    }

    /// Says that something cannot be shown, or that it can again.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn limit(&self, topic: Topic, why: Option<String>) -> Result<(), Deaf> {
        let limits: Vec<_> = {
            let mut known = self.known();
            let before = known.limits.get(&topic).map(ToString::to_string);
            if before == why {
                return Ok(());
            }
            match why {
                Some(why) => known.limits.insert(topic, why.into()),
                None => known.limits.remove(&topic),
            };
            known.limits.values().cloned().collect()
        };
        self.tell(Input::Limits(limits)).await
    }

    /// Whether no controller tells anything, and none is to be waited for.
    pub fn is_unheard(&self) -> bool {
        let known = self.known();
        known.telling.is_empty()
            && (!known.lost.is_empty() || known.limits.contains_key(&Topic::Replicas))
    }

    /// The namespaces of services that are served.
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        self.known().namespaces.iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self, increment: &Increment) {
        for service in &increment.changed.services {
            let namespace = &service.service.service.namespace;
            if !self.namespaces.contains(namespace) {
                self.namespaces.insert(Arc::clone(namespace));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_is_told_when_it_changes_with_all_others() {
        let (sender, mut inputs) = mpsc::channel(8);
        let teller = Teller::new(sender);
        let why = || Some("no right".to_owned());
        for (topic, why) in [
            (Topic::Shifts, why()),
            (Topic::Shifts, why()),
            (Topic::Events, Some("none".to_owned())),
            (Topic::Shifts, None),
            (Topic::Pods, None),
        ] {
            assert_eq!(teller.limit(topic, why).await, Ok(()));
        }
        drop(teller);
        let mut told = Vec::new();
        while let Some(input) = inputs.recv().await {
            told.push(input);
        }
        let limits = |texts: &[&str]| Input::Limits(texts.iter().map(|t| (*t).into()).collect());
        assert_eq!(told, [limits(&["no right"]), limits(&["no right", "none"]), limits(&["none"])]);
    }

    #[tokio::test]
    async fn nobody_is_heard_only_once_that_is_certain() {
        let (sender, mut inputs) = mpsc::channel(8);
        let teller = Teller::new(sender);
        assert!(!teller.is_unheard(), "they have not been asked yet");
        teller.tell(Input::Sources(vec!["a".into()])).await.unwrap();
        assert!(!teller.is_unheard());
        teller.tell(Input::Lost("a".into(), "gone".into())).await.unwrap();
        assert!(teller.is_unheard());
        teller.tell(Input::Sources(Vec::new())).await.unwrap();
        assert!(!teller.is_unheard());
        teller.limit(Topic::Replicas, Some("none runs".to_owned())).await.unwrap();
        assert!(teller.is_unheard());
        inputs.close();
        assert_eq!(teller.tell(Input::Pods(Vec::new())).await, Err(Deaf));
    }
}
