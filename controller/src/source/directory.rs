//! Watches a directory of manifests.
//!
//! # Guarantees
//! - A file is read when it is closed after writing, renamed into place, or linked; not while it
//!   is being written. Only files that were touched are read.
//! - A file that cannot be read, or is no longer YAML, keeps its objects as they were, and says so.
//! - A file that is gone for less than 200 ms (editors do that) was never gone.
//! - Of several files that name an object, the first by path counts; the others are told, and the
//!   next one takes over when the first goes away.
//! - If the whole directory goes away, everything stays in force until it is back.
//! - At the start, files that are being written are waited for, up to two seconds.
//! - At the start there is no last good form. A file that cannot be read then is told as unread
//!   until it has been whole once, and for a moment anything may be missing.

mod catalog;
mod pending;
mod read;
mod unread;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use contour_core::manifest::{self, Document, Limits};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use self::catalog::Catalog;
use self::pending::Pending;
use self::read::{Identity, Reading};
use super::{Batch, SourceError};

/// Signals that may wait between the watcher and us; beyond that we look at everything anew.
const SIGNALS: usize = 4096;

/// How long after the start a file that is not there may only be gone for a moment.
const SETTLE: Duration = Duration::from_secs(2);

/// At the start nobody tells whether a file is being written. One that was not written to for so
/// long is not.
const QUIET: Duration = Duration::from_millis(200);

/// How long the start waits at most for files that are being written.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often we see whether the directory is still the one that we watch.
const ROOT_CHECK: Duration = Duration::from_secs(1);

/// What the watcher saw.
#[derive(Debug)]
enum Signal {
    /// The path has new content.
    Touched(PathBuf),
    /// The name is new; its content may still be on its way.
    Created(PathBuf),
    /// The name is gone.
    Gone(PathBuf),
    /// A directory has appeared.
    Directory(PathBuf),
    /// Permissions or the like have changed.
    Attributes(PathBuf),
    /// Look at everything.
    Everything,
    /// Stop watching.
    Stop,
}

/// A directory being watched, on a thread of its own. Dropping it stops the thread.
#[derive(Debug)]
pub struct Directory {
    signals: SyncSender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Directory {
    /// Begins to watch `root`. The first batch holds everything that is there and is marked
    /// `synced`; later ones hold what changes. The thread ends when `batches` is closed.
    ///
    /// # Errors
    /// If the directory is missing, is no directory, or cannot be listed or watched.
    pub fn start(given: &Path, batches: mpsc::Sender<Batch>) -> Result<Self, SourceError> {
        let (signals, incoming) = sync_channel(SIGNALS);
        let overflow = Arc::new(AtomicBool::new(false));
        let missing = |source: std::io::Error| {
            let path = given.to_path_buf();
            if source.kind() == std::io::ErrorKind::NotADirectory {
                SourceError::NotADirectory { path }
            } else {
                SourceError::Directory { path, source }
            }
        };
        let failed = |error: &dyn std::fmt::Display| SourceError::Watch {
            path: given.to_path_buf(),
            message: error.to_string(),
        };
        // The watcher speaks of absolute paths.
        let root = std::path::absolute(given).map_err(missing)?;
        let identity = read::identity(&root).map_err(missing)?;
        std::fs::read_dir(&root).map_err(missing)?;
        let mut watcher = watcher(&root, &signals, &overflow).map_err(|e| failed(&e))?;
        watcher.watch(&root, RecursiveMode::Recursive).map_err(|e| failed(&e))?;
        let state = State {
            given: given.to_path_buf(),
            root,
            watched: Some(identity),
            watcher,
            catalog: Catalog::default(),
            pending: Pending::default(),
            overflow,
            limits: Limits::default(),
        };
        let thread = std::thread::Builder::new()
            .name("directory".to_owned())
            .spawn(move || state.run(&incoming, &batches))
            .map_err(|e| failed(&e))?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Whether the watching thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // With a full channel the thread finds `batches` closed soon enough.
        let stopped = self.signals.try_send(Signal::Stop).is_ok();
        if let Some(thread) = self.thread.take()
            && stopped
            && thread.join().is_err()
        {
            tracing::error!("the directory watcher had panicked");
        }
    }
}

/// A watcher that puts what matters into `signals` and never blocks: if there is no room,
/// `overflow` is set.
fn watcher(
    root: &Path,
    signals: &SyncSender<Signal>,
    overflow: &Arc<AtomicBool>,
) -> notify::Result<RecommendedWatcher> {
    let (root, signals, overflow) = (root.to_path_buf(), signals.clone(), Arc::clone(overflow));
    let handler = move |event: notify::Result<Event>| {
        for signal in translate(&root, event) {
            if let Err(TrySendError::Full(_)) = signals.try_send(signal) {
                overflow.store(true, Ordering::Release);
            }
        }
    };
    RecommendedWatcher::new(handler, notify::Config::default().with_follow_symlinks(false))
}

fn translate(root: &Path, event: notify::Result<Event>) -> Vec<Signal> {
    let event = match event {
        Ok(event) if event.need_rescan() => return vec![Signal::Everything],
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(%error, "cannot watch all of the directory; changes may go unseen");
            return vec![Signal::Everything];
        }
    };
    let signal: fn(PathBuf) -> Signal = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Signal::Touched,
        EventKind::Create(CreateKind::Folder) => Signal::Directory,
        EventKind::Create(_) => Signal::Created,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Signal::Gone
        }
        EventKind::Modify(ModifyKind::Metadata(_)) => Signal::Attributes,
        // Reads (ours among them), single writes, and the second report of a rename.
        EventKind::Any | EventKind::Access(_) | EventKind::Modify(_) | EventKind::Other => {
            return Vec::new();
        }
    };
    event.paths.into_iter().filter_map(|path| sift(root, path, signal)).collect()
}

/// Leaves out what cannot concern us. Kubernetes swaps the content of a mounted ConfigMap by
/// renaming the link `..data`, through which the visible names lead.
fn sift(root: &Path, path: PathBuf, signal: fn(PathBuf) -> Signal) -> Option<Signal> {
    let inside = path.strip_prefix(root).unwrap_or(&path);
    if inside.file_name().is_some_and(|name| name == "..data") {
        return Some(Signal::Everything);
    }
    let hidden = inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    if hidden {
        return None;
    }
    let plausible = inside.as_os_str().is_empty()
        || read::is_manifest(&path)
        // A directory may be called anything, and what is gone cannot be asked.
        || matches!(signal(PathBuf::new()), Signal::Gone(_) | Signal::Directory(_))
        || path.is_dir();
    plausible.then(|| signal(path))
}

struct State {
    /// The directory as the user named it, for messages.
    given: PathBuf,
    /// The same, absolute.
    root: PathBuf,
    /// The directory that the watch is on; `None` while there is none.
    watched: Option<Identity>,
    watcher: RecommendedWatcher,
    catalog: Catalog,
    pending: Pending,
    overflow: Arc<AtomicBool>,
    limits: Limits,
}

impl State {
    fn run(mut self, signals: &Receiver<Signal>, batches: &mpsc::Sender<Batch>) {
        self.wait_for_quiet(batches);
        self.scan(&self.root.clone());
        let mut first = self.catalog.take();
        first.synced = true;
        if batches.blocking_send(first).is_err() {
            return;
        }
        let mut root_check = Instant::now() + ROOT_CHECK;
        let settle = Instant::now() + SETTLE;
        loop {
            let now = Instant::now();
            let due = self.pending.next().map_or(root_check, |at| at.min(root_check));
            match signals.recv_timeout(due.saturating_duration_since(now)) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(signal) => self.note(signal),
                Err(RecvTimeoutError::Timeout) => {}
            }
            while let Ok(signal) = signals.try_recv() {
                if matches!(signal, Signal::Stop) {
                    return;
                }
                self.note(signal);
            }
            let now = Instant::now();
            if now >= root_check {
                root_check = now + ROOT_CHECK;
                self.check_root();
                self.check_unread();
            }
            self.work(now);
            if now >= settle {
                self.catalog.end_start();
            }
            let batch = self.catalog.take();
            if batches.is_closed() || (!batch.is_empty() && batches.blocking_send(batch).is_err()) {
                return;
            }
        }
    }

    /// Waits until no file has been written to for a moment, or somebody writes without end.
    fn wait_for_quiet(&self, batches: &mpsc::Sender<Batch>) {
        let end = Instant::now() + PATIENCE;
        while !batches.is_closed() && Instant::now() < end {
            let now = SystemTime::now();
            let files = read::list(&self.root).files;
            let ages = files.iter().filter_map(|(_, signature)| signature.as_ref()?.age(now));
            match ages.min().and_then(|age| QUIET.checked_sub(age)) {
                Some(left) if !left.is_zero() => std::thread::sleep(left),
                Some(_) | None => return,
            }
        }
    }

    /// Notes what is to be done about a signal; does nothing yet.
    fn note(&mut self, signal: Signal) {
        let now = Instant::now();
        match signal {
            Signal::Touched(path) if path.is_dir() => self.pending.directory(path, now),
            Signal::Touched(path) => self.pending.look(path, now, Duration::ZERO),
            Signal::Created(path) if read::appears_whole(&path) => {
                self.pending.look(path, now, Duration::ZERO);
            }
            Signal::Created(path) => self.pending.look(path, now, read::CREATION),
            Signal::Directory(path) => self.pending.directory(path, now),
            Signal::Attributes(path) => {
                if self.catalog.was_refused(&path) || self.catalog.is_troubled(&self.shown(&path)) {
                    self.pending.look(path, now, Duration::ZERO);
                }
            }
            Signal::Gone(path) => {
                if path == self.root {
                    // Whatever is there under the same name is another directory.
                    self.watched = None;
                    self.check_root();
                }
                for file in self.catalog.below(&path) {
                    self.catalog.vanish(&file);
                    self.pending.vanished(file.to_path_buf(), now);
                }
            }
            Signal::Everything => self.pending.look(self.root.clone(), now, Duration::ZERO),
            Signal::Stop => {}
        }
    }

    /// Does what is due.
    fn work(&mut self, now: Instant) {
        if self.overflow.swap(false, Ordering::AcqRel) {
            self.pending.look(self.root.clone(), now, Duration::ZERO);
        }
        for path in self.pending.due(now) {
            self.look(&path);
        }
        if self.pending.is_gone_due(now) {
            // If the directory is another one or none, nothing counts as gone any more.
            self.check_root();
        }
        for path in self.pending.due_gone(now) {
            self.catalog.remove(&path);
        }
        // A file that is read again takes over whatever it was read for, or is refused or gone and
        // takes over nothing, so this ends.
        loop {
            let again = self.catalog.take_reread();
            if again.is_empty() {
                break;
            }
            for path in again {
                self.look(&path);
            }
        }
    }

    fn look(&mut self, path: &Path) {
        let shown = self.shown(path);
        match read::read(path, self.limits.bytes) {
            Reading::Directory => self.scan(path),
            Reading::Missing => {
                for file in self.catalog.below(path) {
                    self.catalog.vanish(&file);
                    self.pending.vanished(file.to_path_buf(), Instant::now());
                }
            }
            _ if !read::is_manifest(path) => {}
            Reading::Refused(signature, refusal) => {
                self.pending.appeared(path);
                self.catalog.refuse(path, &shown, (signature, refusal));
            }
            Reading::Text(signature, text) => {
                self.pending.appeared(path);
                if text.trim().is_empty() {
                    return self.catalog.empty(path, &shown, signature);
                }
                let mut manifest = manifest::read(&shown, &text, self.limits);
                manifest.documents.iter_mut().for_each(Document::forget_age);
                self.catalog.update(path, &shown, (signature, manifest));
            }
        }
    }

    /// The path as the user would write it.
    fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        if inside.as_os_str().is_empty() {
            return self.given.display().to_string();
        }
        self.given.join(inside).display().to_string()
    }

    /// Reads what is new or different below a directory, and notes what is gone.
    fn scan(&mut self, directory: &Path) {
        let listing = read::list(directory);
        let troubled: Vec<_> = listing
            .unreadable
            .iter()
            .map(|(path, why)| (path.as_path(), self.shown(path), why))
            .collect();
        let prefix = self.shown(directory);
        for shown in self.catalog.troubled_directories() {
            let solved = Path::new(shown.as_ref()).starts_with(&prefix)
                && !troubled.iter().any(|(_, t, _)| **t == *shown);
            if solved {
                self.catalog.problem(&shown, None);
            }
        }
        for (_, shown, why) in &troubled {
            let message = format!("the directory cannot be read: {why}");
            self.catalog.problem(shown, Some(&message));
        }
        for known in self.catalog.below(directory) {
            let listed =
                listing.files.binary_search_by(|(path, _)| path.as_path().cmp(&known)).is_ok();
            // What stands in a directory that cannot be listed is not known to be gone.
            let unknown = troubled.iter().any(|(d, ..)| known.starts_with(d));
            if !listed && !unknown {
                self.catalog.vanish(&known);
                self.pending.vanished(known.to_path_buf(), Instant::now());
            }
        }
        for (path, signature) in listing.files {
            if !self.catalog.is_current(&path, signature) {
                self.look(&path);
            }
        }
    }

    /// Looks again at that of which nothing is known: what made it unreadable may have ended where
    /// no watch sees it.
    fn check_unread(&mut self) {
        let unread = self.catalog.unread();
        let files: Vec<_> = unread.files().cloned().collect();
        if unread.has_directories() {
            self.scan(&self.root.clone());
        }
        for path in files {
            if !self.catalog.is_current(&path, read::signature(&path)) {
                self.look(&path);
            }
        }
    }

    /// Sees whether the directory is still the one that we watch, and if not, watches the one that
    /// is there now.
    fn check_root(&mut self) {
        let shown = self.given.display().to_string();
        let found = read::identity(&self.root).ok();
        if found.is_some() && found == self.watched {
            return;
        }
        // The old watch may already be gone with its directory.
        let _unwatched = self.watcher.unwatch(&self.root);
        self.watched = None;
        self.pending.forget_gone();
        let Some(identity) = found else {
            let message =
                "the directory is gone; everything that it said stays in force until it is back";
            self.catalog.problem(&shown, Some(message));
            return;
        };
        match self.watcher.watch(&self.root, RecursiveMode::Recursive) {
            Ok(()) => {
                self.watched = Some(identity);
                self.catalog.problem(&shown, None);
                self.scan(&self.root.clone());
            }
            Err(error) => {
                let message = format!("the directory cannot be watched: {error}");
                self.catalog.problem(&shown, Some(&message));
            }
        }
    }
}
