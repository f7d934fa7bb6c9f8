//! What is to be looked at, and when. No I/O, no clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a name may be gone before its objects are dropped: editors and `mv` delete a file and
/// make it again. Counted from the last disappearance, so that the removal of a whole tree is
/// seen as one.
const GRACE: Duration = Duration::from_millis(200);

/// How long disappearances that keep coming may put off the first of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a directory that has just appeared is looked at for the second time.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// What is to be looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Paths to look at once this instant has come.
    looks: BTreeMap<PathBuf, Instant>,
    /// Directories to look into once more.
    second_looks: Vec<(Instant, PathBuf)>,
    /// Names that have gone.
    gone: BTreeSet<PathBuf>,
    first_gone: Option<Instant>,
    last_gone: Option<Instant>,
}

impl Pending {
    /// The path is to be looked at `after` from now; an earlier appointment stands.
    pub(super) fn look(&mut self, path: PathBuf, now: Instant, after: Duration) {
        let due = now + after;
        self.looks.entry(path).and_modify(|at| *at = due.min(*at)).or_insert(due);
    }

    /// A directory has appeared: files may have been put into it before the watch on it was in
    /// place, so it is looked at now and once more a little later.
    pub(super) fn directory(&mut self, path: PathBuf, now: Instant) {
        self.second_looks.push((now + SECOND_LOOK, path.clone()));
        self.look(path, now, Duration::ZERO);
    }

    /// The name is gone.
    pub(super) fn vanished(&mut self, path: PathBuf, now: Instant) {
        self.looks.remove(&path);
        if self.gone.insert(path) {
            self.first_gone.get_or_insert(now);
            self.last_gone = Some(now);
        }
    }

    /// The name is there (again).
    pub(super) fn appeared(&mut self, path: &std::path::Path) {
        self.gone.remove(path);
        if self.gone.is_empty() {
            self.first_gone = None;
            self.last_gone = None;
        }
    }

    /// No name counts as gone any more.
    pub(super) fn forget_gone(&mut self) {
        self.gone.clear();
        self.first_gone = None;
        self.last_gone = None;
    }

    /// The paths whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<PathBuf> {
        let mut due: Vec<_> =
            self.looks.iter().filter(|(_, at)| **at <= now).map(|(path, _)| path.clone()).collect();
        due.extend(self.second_looks.extract_if(.., |(at, _)| *at <= now).map(|(_, path)| path));
        for path in &due {
            self.looks.remove(path);
        }
        due
    }

    /// Whether names have been gone for long enough.
    pub(super) fn is_gone_due(&self, now: Instant) -> bool {
        self.gone_at().is_some_and(|at| at <= now)
    }

    /// The names that have been gone for long enough.
    pub(super) fn due_gone(&mut self, now: Instant) -> BTreeSet<PathBuf> {
        if self.is_gone_due(now) {
            let gone = std::mem::take(&mut self.gone);
            self.forget_gone();
            gone
        } else {
            BTreeSet::new()
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        let second = self.second_looks.iter().map(|(at, _)| *at);
        self.looks.values().copied().chain(second).chain(self.gone_at()).min()
    }

    fn gone_at(&self) -> Option<Instant> {
        Some((self.last_gone? + GRACE).min(self.first_gone? + PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_appointment_stands() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.look("a".into(), now, GRACE);
        pending.look("a".into(), now, Duration::ZERO);
        pending.look("a".into(), now, GRACE);
        assert_eq!(pending.due(now), [PathBuf::from("a")]);
        assert_eq!(pending.due(now + PATIENCE), Vec::<PathBuf>::new());
        assert_eq!(pending.next(), None);
    }

    #[test]
    fn a_name_that_comes_back_in_time_was_never_gone() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.vanished("a".into(), now);
        assert!(pending.due_gone(now + GRACE / 2).is_empty());
        pending.appeared(std::path::Path::new("a"));
        assert!(pending.due_gone(now + PATIENCE).is_empty());
    }

    #[test]
    fn disappearances_wait_for_each_other_but_not_for_ever() {
        let now = Instant::now();
        let step = GRACE / 2;
        let mut pending = Pending::default();
        let mut at = now;
        let mut dropped_after = None;
        for n in 0..100 {
            pending.vanished(format!("{n}").into(), at);
            at += step;
            if !pending.due_gone(at).is_empty() {
                dropped_after = Some(at - now);
                break;
            }
        }
        assert_eq!(dropped_after, Some(PATIENCE));
    }
}
