//! Rows that know when they changed.

use std::collections::BTreeMap;

/// Rows by what names them, each with the tick in which it changed last, and the names of those
/// that are gone, for as long as somebody may have to be told.
#[derive(Clone, Debug)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, (u64, V)>,
    graves: BTreeMap<K, u64>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), graves: BTreeMap::new() }
    }
}

impl<K: Clone + Ord, V: Clone + PartialEq> Table<K, V> {
    /// Puts a row, which changes something only if it differs.
    pub(super) fn put(&mut self, tick: u64, key: K, row: V) {
        self.put_unless(tick, key, row, V::eq);
    }

    /// Puts a row, which is told only if it is not as good as the one before.
    pub(super) fn put_unless(
        &mut self,
        tick: u64,
        key: K,
        row: V,
        is_same: impl Fn(&V, &V) -> bool,
    ) {
        self.graves.remove(&key);
        let changed = match self.rows.get(&key) {
            Some((before, old)) if is_same(old, &row) => *before,
            _ => tick,
        };
        self.rows.insert(key, (changed, row));
    }

    pub(super) fn remove(&mut self, tick: u64, key: &K) {
        if self.rows.remove(key).is_some() {
            self.graves.insert(key.clone(), tick);
        }
    }

    /// Removes the rows whose names are not to stay.
    pub(super) fn retain(&mut self, tick: u64, stays: impl Fn(&K) -> bool) {
        let gone: Vec<_> = self.rows.keys().filter(|key| !stays(key)).cloned().collect();
        for key in gone {
            self.remove(tick, &key);
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, row)| row)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|(_, row)| row)
    }

    /// The rows that changed after a tick; all of them after 0.
    pub(super) fn changed(&self, after: u64) -> Vec<V> {
        let changed = self.rows.values().filter(|(tick, _)| *tick > after);
        changed.map(|(_, row)| row.clone()).collect()
    }

    /// The names of those that were removed after a tick.
    pub(super) fn gone(&self, after: u64) -> Vec<K> {
        let gone = self.graves.iter().filter(|(_, tick)| **tick > after);
        gone.map(|(key, _)| key.clone()).collect()
    }

    /// Forgets who was removed up to a tick.
    pub(super) fn forget(&mut self, tick: u64) {
        self.graves.retain(|_, at| *at > tick);
    }
}
