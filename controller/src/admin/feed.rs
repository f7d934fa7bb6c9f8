//! `/debug/observe`: everything that is observed, once a second, as lines of what has changed.
//!
//! One collection serves all who watch, begins with the first of them and ends a while after the
//! last. A client that reads slowly is told less often, and no more is kept for it than where it
//! is.

mod collect;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use contour_core::observe::collection::Collection;
use contour_core::observe::feed::{Cursor, CursorError};
use futures_util::stream;
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Admin, Answer, text};
use crate::web::streamed;

/// The feed, for as long as somebody watches.
pub(crate) struct Feed {
    running: Mutex<Option<Running>>,
    stop: CancellationToken,
}

/// What all who watch share.
#[derive(Clone)]
struct Running {
    collection: Arc<Mutex<Collection>>,
    /// How many looks there were; closed when the collection has ended.
    ticks: watch::Receiver<u64>,
    /// Held by each who watches.
    alive: Arc<()>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    after: Option<Cursor>,
    once: bool,
}

/// A client, and where it is.
struct Viewer {
    running: Running,
    stop: CancellationToken,
    after: Option<Cursor>,
    /// Whether it has what it wanted.
    served: bool,
    once: bool,
}

impl Wish {
    /// Reads the query of a request: `after=<cursor>`, `once`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(query: Option<&str>) -> Result<Self, String> {
        let mut wish = Self::default();
        for part in query.into_iter().flat_map(|query| query.split('&')).filter(|p| !p.is_empty()) {
            match part.split_once('=').unwrap_or((part, "")) {
                ("after", cursor) => {
                    let read = cursor.parse();
                    wish.after =
                        Some(read.map_err(|e: CursorError| format!("after={cursor}: {e}\n"))?);
                }
                ("once", "" | "true") => wish.once = true,
                _ => return Err(format!("{part:?} is neither after=<cursor> nor once\n")),
            }
        }
        Ok(wish)
    }
}

impl Feed {
    /// A feed that nobody watches yet, and that ends with `stop`.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { running: Mutex::new(None), stop }
    }

    /// Answers with lines for as long as the client listens.
    pub(super) fn answer(&self, admin: &Arc<Admin>, query: Option<&str>) -> Answer {
        let wish = match Wish::read(query) {
            Ok(wish) => wish,
            Err(message) => return text(StatusCode::BAD_REQUEST, message),
        };
        let viewer = Viewer {
            running: self.join(admin),
            stop: self.stop.clone(),
            after: wish.after,
            served: false,
            once: wish.once,
        };
        let lines = stream::unfold(viewer, |mut viewer| async {
            let line = viewer.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(line)), viewer))
        });
        streamed("application/x-ndjson", StreamBody::new(lines))
    }

    /// Joins those who watch; the first begins a collection.
    fn join(&self, admin: &Arc<Admin>) -> Running {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running
            && running.ticks.has_changed().is_ok()
        {
            return running.clone();
        }
        let (ticks, ticked) = watch::channel(0);
        let id = admin.ads.unix_millis();
        let collection = Collection::new(id, env!("CARGO_PKG_VERSION"));
        let new = Running {
            collection: Arc::new(Mutex::new(collection)),
            ticks: ticked,
            alive: Arc::default(),
        };
        let collector = collect::Collector::new(Arc::clone(admin), new.clone(), self.stop.clone());
        tokio::spawn(collector.run(ticks));
        *running = Some(new.clone());
        new
    }

    /// Forgets a collection that has ended.
    fn ended(&self, collection: &Arc<Mutex<Collection>>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.collection, collection)) {
            *running = None;
        }
    }
}

impl Running {
    fn with<T>(&self, work: impl FnOnce(&mut Collection) -> T) -> T {
        work(&mut self.collection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many watch; the one who collects and the feed itself do not.
    fn viewers(&self) -> usize {
        Arc::strong_count(&self.alive).saturating_sub(2)
    }
}

impl Viewer {
    /// The next line, once there is something new to say.
    async fn next(&mut self) -> Option<Bytes> {
        if self.served && self.once {
            return None;
        }
        // What is not of this collection is no place in it: the client is told everything.
        let at = self.running.with(|collection| collection.at());
        let known =
            self.after.filter(|after| after.collection == at.collection && after.tick <= at.tick);
        self.after = known;
        let seen = known.map_or(0, |after| after.tick);
        loop {
            if *self.running.ticks.borrow_and_update() > seen {
                break;
            }
            tokio::select! {
                changed = self.running.ticks.changed() => changed.ok()?,
                () = self.stop.cancelled() => return None,
            }
        }
        let increment = self.running.with(|collection| collection.since(self.after));
        (self.after, self.served) = (Some(increment.at), true);
        let mut line = serde_json::to_vec(&increment).ok()?;
        line.push(b'\n');
        Some(line.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_say_where_it_is() {
        let cursor = Cursor { collection: 7, tick: 3 };
        for (query, expected) in [
            (None, Wish::default()),
            (Some(""), Wish::default()),
            (Some("after=7-3"), Wish { after: Some(cursor), once: false }),
            (Some("once&after=7-3"), Wish { after: Some(cursor), once: true }),
        ] {
            assert_eq!(Wish::read(query), Ok(expected), "{query:?}");
        }
        for query in ["after=", "after=7", "after=x-1", "every=1s"] {
            assert!(Wish::read(Some(query)).is_err(), "{query}");
        }
    }
}
