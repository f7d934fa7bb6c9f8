//! Which files have not been read whole since the start. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use contour_core::pipeline::Gaps;

use crate::source;

/// See the module. A file that was whole once is never unread again: its last good form is known.
#[derive(Debug)]
pub(super) struct Unread {
    /// A file that is not there may come back in a moment, as when somebody replaces it.
    is_starting: bool,
    files: BTreeMap<Arc<Path>, Arc<str>>,
    /// Directories that cannot be listed, by the name shown.
    directories: BTreeSet<Arc<str>>,
    differs: bool,
}

impl Default for Unread {
    fn default() -> Self {
        Self {
            is_starting: true,
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            differs: true,
        }
    }
}

impl Unread {
    /// Nothing is gone for a moment only any more, and what is new from now on was no part of the
    /// start.
    pub(super) fn settle(&mut self) {
        self.differs |= std::mem::take(&mut self.is_starting);
    }

    /// A file that has not been whole yet is not now either.
    pub(super) fn missed(&mut self, path: &Arc<Path>, shown: &Arc<str>) {
        if self.is_starting {
            self.differs |= self.files.insert(Arc::clone(path), Arc::clone(shown)).is_none();
        }
    }

    /// A file is whole, or gone for good.
    pub(super) fn done(&mut self, path: &Path) {
        self.differs |= self.files.remove(path).is_some();
    }

    /// A directory cannot be listed.
    pub(super) fn missed_directory(&mut self, shown: &str) {
        if self.is_starting {
            self.differs |= self.directories.insert(shown.into());
        }
    }

    /// A directory can be listed, or is gone for good.
    pub(super) fn done_directory(&mut self, shown: &str) {
        self.differs |= self.directories.remove(shown);
    }

    /// Whether there are directories that cannot be listed.
    pub(super) fn has_directories(&self) -> bool {
        !self.directories.is_empty()
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.files.keys()
    }

    /// What there is to tell, if it differs from what was told last.
    pub(super) fn take(&mut self) -> Option<source::Unread> {
        if !std::mem::take(&mut self.differs) {
            return None;
        }
        let parts: BTreeSet<_> = self.files.values().chain(&self.directories).cloned().collect();
        let is_whole = parts.is_empty() && !self.is_starting;
        // Any object may stand in a file.
        let gaps = if is_whole { Gaps::default() } else { Gaps::everywhere() };
        Some(source::Unread { gaps, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(unread: &mut Unread) -> Option<(bool, Vec<String>)> {
        let told = unread.take()?;
        let parts = told.parts.iter().map(ToString::to_string).collect();
        Some((told.gaps.is_empty(), parts))
    }

    #[test]
    fn a_start_is_whole_when_it_has_settled_and_every_file_was_read() {
        let (a, b): (Arc<Path>, Arc<Path>) = (Path::new("d/a").into(), Path::new("d/b").into());
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let mut unread = Unread::default();
        unread.missed(&a, &"a".into());
        unread.missed_directory("d");
        assert_eq!(parts(&mut unread), Some((false, names(&["a", "d"]))));
        assert_eq!(parts(&mut unread), None);
        unread.settle();
        assert_eq!(parts(&mut unread), Some((false, names(&["a", "d"]))));
        // It is new, so no Envoy can have anything of it.
        unread.missed(&b, &"b".into());
        assert_eq!(parts(&mut unread), None);
        unread.done(&a);
        unread.done_directory("d");
        assert_eq!(parts(&mut unread), Some((true, Vec::new())));
        unread.missed(&a, &"a".into());
        assert_eq!(parts(&mut unread), None);
    }

    #[test]
    fn a_start_without_trouble_is_whole_once_it_has_settled() {
        let mut unread = Unread::default();
        assert_eq!(parts(&mut unread), Some((false, Vec::new())));
        unread.settle();
        assert_eq!(parts(&mut unread), Some((true, Vec::new())));
    }
}
