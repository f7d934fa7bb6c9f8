//! Which status is wanted of each object, and which it has: the latest wins, so nothing queues up.
//!
//! Without I/O and clock; the time is an argument. Only what differs from what the API server
//! holds is ever handed out, and an object's writes never overlap.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use contour_cluster::decode::{Revision, Seen};
use contour_core::name::ObjectRef;
use contour_core::status::{Status, Written};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A status to be written.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) object: ObjectRef,
    pub(crate) status: Status,
    /// What the object has.
    pub(crate) written: Option<Written>,
    /// How often it was tried in vain.
    pub(crate) attempts: u32,
}

/// What came of a write.
#[derive(Debug)]
pub(crate) enum Done {
    /// The API server holds it, in this version of the object.
    Written(Revision, Written),
    /// It failed, and is to be tried again then, unless something newer is wanted by then.
    Again(Box<Write>, Instant),
    /// It makes no sense to try again.
    Dropped,
}

#[derive(Debug, Default)]
struct Entry {
    has: Option<(Revision, Written)>,
    /// The digest of what was last wanted.
    wanted: Option<u64>,
    next: Option<Status>,
    attempts: u32,
    is_queued: bool,
    is_in_flight: bool,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<ObjectRef, Entry>,
    queue: VecDeque<ObjectRef>,
    later: BTreeSet<(Instant, ObjectRef)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    bell: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is what an object is to have. Returns whether that has to be written.
    pub(crate) fn want(&self, object: &ObjectRef, status: Status) -> bool {
        let mut state = self.lock();
        let entry = state.entries.entry(object.clone()).or_default();
        let digest = status.digest();
        entry.wanted = Some(digest);
        entry.attempts = 0;
        let has_it = entry.has.as_ref().is_some_and(|(_, has)| has.digest() == digest);
        if has_it && !entry.is_in_flight {
            entry.next = None;
            return false;
        }
        entry.next = Some(status);
        if !entry.is_queued && !entry.is_in_flight {
            entry.is_queued = true;
            state.queue.push_back(object.clone());
            self.bell.notify_one();
        }
        true
    }

    /// This is what an object has. Returns whether somebody else has changed it, so that what is
    /// wanted has to be said again.
    pub(crate) fn seen(&self, object: &ObjectRef, seen: &Seen) -> bool {
        let mut state = self.lock();
        let entry = state.entries.entry(object.clone()).or_default();
        if entry.has.as_ref().is_some_and(|(has, _)| seen.revision.is_no_news_after(*has)) {
            return false;
        }
        entry.has = Some((seen.revision, seen.written));
        let differs = entry.wanted.is_some_and(|wanted| wanted != seen.written.digest());
        differs && entry.next.is_none() && !entry.is_in_flight
    }

    /// The object is gone.
    pub(crate) fn gone(&self, object: &ObjectRef) {
        self.lock().entries.remove(object);
    }

    /// Nobody wants anything any more: another replica leads.
    pub(crate) fn rest(&self) {
        let mut state = self.lock();
        state.queue.clear();
        state.later.clear();
        for entry in state.entries.values_mut() {
            (entry.next, entry.wanted, entry.is_queued) = (None, None, false);
        }
    }

    /// How many objects wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        state.queue.len() + state.later.len()
    }

    /// The next status to be written, at once or when its time has come.
    pub(crate) async fn take(&self) -> Write {
        loop {
            let wake = {
                let mut state = self.lock();
                match state.take(Instant::now()) {
                    Ok(write) => return write,
                    Err(wake) => wake,
                }
            };
            match wake {
                None => self.bell.notified().await,
                Some(at) => tokio::select! {
                    () = self.bell.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    /// A write that was taken has come to an end.
    pub(crate) fn done(&self, object: &ObjectRef, done: Done) {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(object) else { return };
        entry.is_in_flight = false;
        match done {
            Done::Written(revision, written) => {
                entry.attempts = 0;
                if entry.has.as_ref().is_none_or(|(has, _)| has.is_older_than(revision)) {
                    entry.has = Some((revision, written));
                }
                let has = entry.has.as_ref().map(|(_, has)| has.digest());
                if entry.next.as_ref().is_some_and(|next| Some(next.digest()) == has) {
                    entry.next = None;
                }
            }
            Done::Again(write, at) => {
                if entry.next.is_none() && entry.wanted.is_some() {
                    let Write { object, status, attempts, .. } = *write;
                    entry.next = Some(status);
                    entry.attempts = attempts;
                    entry.is_queued = true;
                    state.later.insert((at, object));
                    self.bell.notify_one();
                    return;
                }
            }
            Done::Dropped => entry.attempts = 0,
        }
        if entry.next.is_some() && !entry.is_queued {
            entry.is_queued = true;
            state.queue.push_back(object.clone());
            self.bell.notify_one();
        }
    }
}

impl State {
    /// The next write, or when to look again.
    fn take(&mut self, now: Instant) -> Result<Write, Option<Instant>> {
        while self.later.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, object)) = self.later.pop_first()
        {
            self.queue.push_back(object);
        }
        while let Some(object) = self.queue.pop_front() {
            let Some(entry) = self.entries.get_mut(&object) else { continue };
            entry.is_queued = false;
            let Some(status) = entry.next.take() else { continue };
            entry.is_in_flight = true;
            let written = entry.has.as_ref().map(|(_, written)| *written);
            return Ok(Write { object, status, written, attempts: entry.attempts });
        }
        Err(self.later.first().map(|(at, _)| *at))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use contour_core::api::Timestamp;
    use contour_core::name::Kind;
    use contour_core::status::{ObjectStatus, Programmed, State as Became};
    use futures_util::FutureExt as _;

    use super::*;

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::IngressRoute, "demo", name)
    }

    fn status(generation: i64) -> Status {
        let became = ObjectStatus { state: Became::Valid, diagnostics: Vec::new() };
        let nothing = Arc::from([]);
        Status::new(&object("a"), Some(generation), &became, Some(&Programmed::NoEnvoy), &nothing)
    }

    fn written(status: &Status) -> Written {
        Written::read(status.to_json(None, Timestamp::from_unix(0)))
    }

    fn seen(version: &str, status: &Status) -> Seen {
        Seen {
            revision: Revision::of(version),
            generation: None,
            uid: None,
            written: written(status),
        }
    }

    fn taken(board: &Board) -> Option<Write> {
        board.take().now_or_never()
    }

    #[test]
    fn only_what_differs_is_written_and_only_the_latest() {
        let board = Board::default();
        board.seen(&object("a"), &seen("1", &status(1)));
        assert!(!board.want(&object("a"), status(1)));
        assert!(taken(&board).is_none());
        assert!(board.want(&object("a"), status(2)));
        assert!(board.want(&object("a"), status(3)));
        let write = taken(&board).unwrap();
        assert_eq!((write.status, write.written), (status(3), Some(written(&status(1)))));
        assert!(taken(&board).is_none());
    }

    #[test]
    fn writes_of_an_object_do_not_overlap_and_what_was_written_is_not_written_again() {
        let board = Board::default();
        board.want(&object("a"), status(1));
        let _first = taken(&board).unwrap();
        board.want(&object("a"), status(2));
        assert!(taken(&board).is_none());
        board.done(&object("a"), Done::Written(Revision::of("5"), written(&status(1))));
        assert_eq!(taken(&board).unwrap().status, status(2));
        board.done(&object("a"), Done::Written(Revision::of("6"), written(&status(2))));
        assert!(!board.seen(&object("a"), &seen("5", &status(1))), "an event that comes late");
        assert!(!board.want(&object("a"), status(2)));
    }

    #[test]
    fn a_change_back_while_writing_is_written_after() {
        let board = Board::default();
        board.seen(&object("a"), &seen("1", &status(1)));
        board.want(&object("a"), status(2));
        let _write = taken(&board).unwrap();
        assert!(board.want(&object("a"), status(1)), "the object will have the other one");
        board.done(&object("a"), Done::Written(Revision::of("2"), written(&status(2))));
        assert_eq!(taken(&board).unwrap().status, status(1));
    }

    #[test]
    fn what_somebody_else_wrote_is_noticed() {
        let board = Board::default();
        board.seen(&object("a"), &seen("1", &status(1)));
        board.want(&object("a"), status(1));
        assert!(board.seen(&object("a"), &seen("2", &status(9))));
        board.rest();
        assert!(!board.seen(&object("a"), &seen("3", &status(8))), "another replica leads");
    }

    #[tokio::test]
    async fn a_failure_is_tried_again_later_unless_something_newer_is_wanted() {
        let board = Board::default();
        board.want(&object("a"), status(1));
        let write = taken(&board).unwrap();
        let later = Instant::now() + Duration::from_hours(1);
        board.done(&object("a"), Done::Again(Box::new(write), later));
        assert!(taken(&board).is_none());
        assert_eq!(board.waiting(), 1);
        let again = board.lock().take(later).unwrap();
        assert_eq!(again.status, status(1));
        board.want(&object("a"), status(2));
        board.done(&object("a"), Done::Again(Box::new(again), later));
        assert_eq!(taken(&board).unwrap().status, status(2));
    }

    #[test]
    fn what_failed_while_another_replica_began_to_lead_is_not_tried_again() {
        let board = Board::default();
        board.want(&object("a"), status(1));
        let write = taken(&board).unwrap();
        board.rest();
        board.done(&object("a"), Done::Again(Box::new(write), Instant::now()));
        assert_eq!(board.waiting(), 0);
        assert!(taken(&board).is_none());
    }

    #[test]
    fn what_is_gone_is_not_written() {
        let board = Board::default();
        board.want(&object("a"), status(1));
        board.want(&object("b"), status(1));
        board.gone(&object("a"));
        assert_eq!(taken(&board).unwrap().object, object("b"));
        assert!(taken(&board).is_none());
    }
}
