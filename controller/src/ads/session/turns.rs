//! Whose resources are sent next: owners take turns, so that one who changes much does not hold up
//! one who changes little.
//!
//! An owner is a namespace. One that had nothing waiting goes first, then all go in turn, a
//! resource each. In one response those of the quiet owners so stand before those of the busy one,
//! and Envoy applies what stands before a resource that it refuses.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A namespace; `None` of what belongs to nobody.
pub(super) type Owner = Option<Arc<str>>;

/// Names that wait, by owner.
#[derive(Default)]
pub(super) struct Turns {
    /// Names whose owners have not been looked up.
    new: VecDeque<Arc<str>>,
    queues: HashMap<Owner, VecDeque<Arc<str>>>,
    /// The owners with names that wait, the next one first.
    ring: VecDeque<Owner>,
    waiting: usize,
}

impl Turns {
    pub(super) fn push(&mut self, name: Arc<str>) {
        self.new.push_back(name);
        self.waiting += 1;
    }

    /// How many names wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Takes the next name, with its owner.
    pub(super) fn next(&mut self, owner: impl Fn(&Arc<str>) -> Owner) -> Option<(Arc<str>, Owner)> {
        self.sort(owner);
        let owner = self.ring.pop_front()?;
        let queue = self.queues.get_mut(&owner)?;
        let name = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&owner);
        } else {
            self.ring.push_back(owner.clone());
        }
        self.waiting -= 1;
        Some((name, owner))
    }

    /// Puts back a name that [`Self::next`] returned last.
    pub(super) fn put_back(&mut self, name: Arc<str>, owner: Owner) {
        self.ring.retain(|other| *other != owner);
        self.ring.push_front(owner.clone());
        self.queues.entry(owner).or_default().push_front(name);
        self.waiting += 1;
    }

    fn sort(&mut self, owner: impl Fn(&Arc<str>) -> Owner) {
        let mut newcomers = VecDeque::new();
        for name in self.new.drain(..) {
            let owner = owner(&name);
            let queue = self.queues.entry(owner.clone()).or_default();
            if queue.is_empty() {
                newcomers.push_back(owner);
            }
            queue.push_back(name);
        }
        if !newcomers.is_empty() {
            newcomers.append(&mut self.ring);
            self.ring = newcomers;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The owner of `n/x` is `n`.
    fn owner(name: &Arc<str>) -> Owner {
        name.split_once('/').map(|(namespace, _)| namespace.into())
    }

    fn turns(names: &[&str]) -> Turns {
        let mut turns = Turns::default();
        for name in names {
            turns.push((*name).into());
        }
        turns
    }

    fn rest(turns: &mut Turns) -> Vec<String> {
        let names = std::iter::from_fn(|| turns.next(owner));
        names.map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn owners_take_turns() {
        let mut turns = turns(&["a/1", "a/2", "a/3", "b/1", "b/2", "x"]);
        assert_eq!(turns.len(), 6);
        assert_eq!(rest(&mut turns), ["a/1", "b/1", "x", "a/2", "b/2", "a/3"]);
        assert!(turns.is_empty());
    }

    #[test]
    fn an_owner_that_had_nothing_waiting_goes_first() {
        let mut turns = turns(&["a/1", "a/2", "a/3"]);
        assert!(turns.next(owner).is_some());
        turns.push("b/1".into());
        turns.push("a/4".into());
        assert_eq!(rest(&mut turns), ["b/1", "a/2", "a/3", "a/4"]);
    }

    #[test]
    fn what_is_put_back_is_next() {
        let mut turns = turns(&["a/1", "a/2", "b/1"]);
        let (name, owner_of) = turns.next(owner).expect("a name");
        turns.put_back(name, owner_of);
        assert_eq!(rest(&mut turns), ["a/1", "b/1", "a/2"]);
    }
}
