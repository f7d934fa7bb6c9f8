//! Remembers which unit read which fact, so that a touched fact names the units to compute again.
//!
//! Knows nothing of Kubernetes or Envoy. A unit reads facts only through [`Reads`], which records
//! each one, the absent ones too: something that appears later must reach the units that looked
//! for it in vain.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Records the facts that one computation reads.
#[derive(Debug)]
pub struct Reads<F>(RefCell<Vec<F>>);

impl<F: Ord> Reads<F> {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Records a read.
    pub fn record(&self, fact: F) {
        self.0.borrow_mut().push(fact);
    }

    /// The facts read, each once, in order.
    pub fn into_facts(self) -> Box<[F]> {
        let mut facts = self.0.into_inner();
        facts.sort_unstable();
        facts.dedup();
        facts.into_boxed_slice()
    }
}

impl<F: Ord> Default for Reads<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// Most facts have one reader; a set for each would be most of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Readers<U> {
    One(U),
    Many(BTreeSet<U>),
}

/// Which unit read which fact.
#[derive(Debug)]
pub struct Dependencies<U, F> {
    reads: BTreeMap<U, Box<[F]>>,
    readers: BTreeMap<F, Readers<U>>,
}

impl<U, F> Default for Dependencies<U, F> {
    fn default() -> Self {
        Self { reads: BTreeMap::new(), readers: BTreeMap::new() }
    }
}

impl<U: Ord + Clone + Debug, F: Ord + Clone + Debug> Dependencies<U, F> {
    /// Replaces what `unit` has read.
    pub fn record(&mut self, unit: &U, facts: Box<[F]>) {
        let old = self.reads.get(unit).cloned().unwrap_or_default();
        for fact in old.iter().filter(|f| facts.binary_search(f).is_err()) {
            self.remove_reader(fact, unit);
        }
        for fact in facts.iter().filter(|f| old.binary_search(f).is_err()) {
            self.add_reader(fact, unit);
        }
        self.reads.insert(unit.clone(), facts);
    }

    /// Adds to what `unit` has read, for a computation that did not come to its end.
    pub fn record_more(&mut self, unit: &U, facts: &[F]) {
        let mut all: Vec<F> = self.reads.get(unit).map(|f| f.to_vec()).unwrap_or_default();
        all.extend_from_slice(facts);
        all.sort_unstable();
        all.dedup();
        self.record(unit, all.into_boxed_slice());
    }

    /// Forgets a unit.
    pub fn forget(&mut self, unit: &U) {
        for fact in self.reads.remove(unit).unwrap_or_default() {
            self.remove_reader(&fact, unit);
        }
    }

    /// What `unit` has read.
    pub fn reads(&self, unit: &U) -> &[F] {
        self.reads.get(unit).map_or(&[], AsRef::as_ref)
    }

    /// The units that read `fact`, added to `units`.
    pub fn affected(&self, fact: &F, units: &mut BTreeSet<U>) {
        match self.readers.get(fact) {
            None => {}
            Some(Readers::One(unit)) => {
                units.insert(unit.clone());
            }
            Some(Readers::Many(set)) => units.extend(set.iter().cloned()),
        }
    }

    fn add_reader(&mut self, fact: &F, unit: &U) {
        match self.readers.get_mut(fact) {
            None => {
                self.readers.insert(fact.clone(), Readers::One(unit.clone()));
            }
            Some(Readers::Many(set)) => {
                set.insert(unit.clone());
            }
            Some(readers @ Readers::One(_)) => {
                let mut set = BTreeSet::from([unit.clone()]);
                if let Readers::One(first) = readers {
                    set.insert(first.clone());
                }
                *readers = Readers::Many(set);
            }
        }
    }

    fn remove_reader(&mut self, fact: &F, unit: &U) {
        let gone = match self.readers.get_mut(fact) {
            None => false,
            Some(Readers::One(one)) => one == unit,
            Some(Readers::Many(set)) => {
                set.remove(unit);
                set.is_empty()
            }
        };
        if gone {
            self.readers.remove(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affected(dependencies: &Dependencies<u8, char>, fact: char) -> Vec<u8> {
        let mut units = BTreeSet::new();
        dependencies.affected(&fact, &mut units);
        units.into_iter().collect()
    }

    fn facts(text: &str) -> Box<[char]> {
        let reads = Reads::new();
        text.chars().for_each(|c| reads.record(c));
        reads.into_facts()
    }

    #[test]
    fn a_fact_names_its_readers_and_no_others() {
        let mut dependencies = Dependencies::default();
        dependencies.record(&1, facts("aba"));
        dependencies.record(&2, facts("bc"));
        assert_eq!(affected(&dependencies, 'a'), [1]);
        assert_eq!(affected(&dependencies, 'b'), [1, 2]);
        dependencies.record(&1, facts("c"));
        assert!(affected(&dependencies, 'a').is_empty());
        assert_eq!(affected(&dependencies, 'b'), [2]);
        assert_eq!(affected(&dependencies, 'c'), [1, 2]);
        dependencies.record_more(&1, &['z']);
        assert_eq!(affected(&dependencies, 'c'), [1, 2]);
        assert_eq!(affected(&dependencies, 'z'), [1]);
        dependencies.forget(&1);
        dependencies.forget(&2);
        assert!(dependencies.readers.is_empty() && dependencies.reads.is_empty());
    }
}
