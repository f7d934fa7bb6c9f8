//! Watches a directory of manifests.
//!
//! # Guarantees
//! - A file is read when it is closed after writing, renamed into place, or linked; not while it
//!   is being written. Only files that were touched are read.
//! - A file that cannot be read, or is no longer YAML, keeps its objects as they were, and says so.
//! - A file that is gone for less than 200 ms (editors do that) was never gone.
//! - Of several files that name an object, the first by path counts; the others are told, and the
//!   next one takes over when the first goes away.
//! - If the whole directory goes away, everything stays in force until it is back. It may be a
//!   symbolic link: where that leads to another directory, that is the one.
//! - Symbolic links to files are read, and looked at each second, for what they lead to is not
//!   watched. Those to directories are not followed, and told.
//! - At the start, files that are being written are waited for, up to two seconds.
//! - At the start there is no last good form. A file that cannot be read then is told as unread
//!   until it has been whole once, and for a moment anything may be missing.

mod catalog;
mod pending;
mod unread;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use contour_core::manifest::{self, Document, Limits};
use contour_files::{self as files, Identity, Reading};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use self::catalog::{Catalog, Problem};
use self::pending::Pending;
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

/// How long a new file without further hard links may take until it is closed.
const CREATION: Duration = Duration::from_millis(200);

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
        let identity = files::identity(&root).map_err(missing)?;
        std::fs::read_dir(&root).map_err(missing)?;
        let mut watcher = watcher(&root, &signals, &overflow).map_err(|e| failed(&e))?;
        watcher.watch(&inside(&root), RecursiveMode::Recursive).map_err(|e| failed(&e))?;
        if files::is_link(&root)
            && let Some(parent) = root.parent()
            && let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive)
        {
            tracing::debug!(%error, "another end of the link is seen within a second only");
        }
        let state = State {
            given: given.to_path_buf(),
            root,
            watched: Some(identity),
            watcher,
            catalog: Catalog::default(),
            pending: Pending::default(),
            overflow,
            links: BTreeSet::new(),
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

/// The directory that `root` leads to: a watch on the bare name of a symbolic link would be one on
/// the link.
fn inside(root: &Path) -> PathBuf {
    root.join("")
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
    // What stands beside a root that is a link is nothing to us.
    let inside = path.strip_prefix(root).ok()?;
    if inside.file_name().is_some_and(|name| name == "..data") {
        return Some(Signal::Everything);
    }
    let hidden = inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    if hidden {
        return None;
    }
    let plausible = inside.as_os_str().is_empty()
        || files::is_manifest(&path)
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
    /// Files that are symbolic links.
    links: BTreeSet<PathBuf>,
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
                self.check_unseen();
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
            let files = files::list(&self.root).files;
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
            Signal::Touched(path) | Signal::Created(path) if path == self.root => self.check_root(),
            Signal::Touched(path) if path.is_dir() => self.pending.directory(path, now),
            Signal::Touched(path) => self.pending.look(path, now, Duration::ZERO),
            Signal::Created(path) if files::appears_whole(&path) => {
                self.pending.look(path, now, Duration::ZERO);
            }
            Signal::Created(path) => self.pending.look(path, now, CREATION),
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
                } else if self.catalog.is_troubled(&self.shown(&path)) {
                    self.catalog.problem(&self.shown(&path), None);
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
        let is_link = path != self.root && files::is_link(path);
        if !is_link {
            self.links.remove(path);
        } else if files::is_manifest(path) {
            self.links.insert(path.to_path_buf());
        }
        match files::read(path, self.limits.bytes) {
            Reading::Directory if is_link => self.catalog.problem(&shown, Some(Problem::Link)),
            Reading::Directory => self.scan(path),
            Reading::Missing => {
                for file in self.catalog.below(path) {
                    self.catalog.vanish(&file);
                    self.pending.vanished(file.to_path_buf(), Instant::now());
                }
            }
            _ if !files::is_manifest(path) => {}
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
        let listing = files::list(directory);
        let unreadable = listing.unreadable.iter().map(|(path, why)| {
            let what = format!("the directory cannot be read: {why}");
            (path.as_path(), self.shown(path), Problem::Unreadable(what))
        });
        let links = listing.links.iter();
        let links = links.map(|path| (path.as_path(), self.shown(path), Problem::Link));
        let troubled: Vec<_> = unreadable.chain(links).collect();
        let prefix = self.shown(directory);
        for shown in self.catalog.troubled_directories() {
            let solved = Path::new(shown.as_ref()).starts_with(&prefix)
                && !troubled.iter().any(|(_, t, _)| **t == *shown);
            if solved {
                self.catalog.problem(&shown, None);
            }
        }
        let unknown: Vec<_> = troubled.iter().map(|(path, ..)| *path).collect();
        for (_, shown, problem) in troubled {
            self.catalog.problem(&shown, Some(problem));
        }
        for known in self.catalog.below(directory) {
            let listed =
                listing.files.binary_search_by(|(path, _)| path.as_path().cmp(&known)).is_ok();
            // What stands in a directory that cannot be listed is not known to be gone.
            let is_unknown = unknown.iter().any(|directory| known.starts_with(directory));
            if !listed && !is_unknown {
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

    /// Looks again where no watch sees what happens: at the ends of links, and at that of which
    /// nothing is known yet, for what made it unreadable may end anywhere.
    fn check_unseen(&mut self) {
        let unread = self.catalog.unread();
        let mut unseen: BTreeSet<PathBuf> = unread.files().map(|path| path.to_path_buf()).collect();
        unseen.extend(self.links.iter().cloned());
        if unread.has_directories() {
            self.scan(&self.root.clone());
        }
        for path in unseen {
            if !self.catalog.is_current(&path, files::signature(&path)) {
                self.look(&path);
            }
        }
    }

    /// Sees whether the directory is still the one that we watch, and if not, watches the one that
    /// is there now.
    fn check_root(&mut self) {
        let shown = self.given.display().to_string();
        let found = files::identity(&self.root).ok();
        if found.is_some() && found == self.watched {
            return;
        }
        // The old watch may already be gone with its directory.
        let _unwatched = self.watcher.unwatch(&inside(&self.root));
        self.watched = None;
        self.pending.forget_gone();
        let Some(identity) = found else {
            let message =
                "the directory is gone; everything that it said stays in force until it is back";
            self.catalog.problem(&shown, Some(Problem::Unreadable(message.to_owned())));
            return;
        };
        match self.watcher.watch(&inside(&self.root), RecursiveMode::Recursive) {
            Ok(()) => {
                self.watched = Some(identity);
                self.catalog.problem(&shown, None);
                self.scan(&self.root.clone());
            }
            Err(error) => {
                let message = format!("the directory cannot be watched: {error}");
                self.catalog.problem(&shown, Some(Problem::Unreadable(message)));
            }
        }
    }
}
