//! Which file says what, and which of several files that name an object counts. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use contour_core::api::Object;
use contour_core::diagnostic::{Code, Diagnostic, Location};
use contour_core::manifest::{Document, Manifest, Spans};
use contour_core::name::{FieldPath, ObjectRef};
use contour_core::pipeline::Change;
use contour_files::{Refusal, Signature};

use super::unread::Unread;
use crate::source::Batch;

/// What a file says about one object. The object itself is not kept: the pipeline has it.
#[derive(Debug)]
struct Entry {
    reference: ObjectRef,
    /// Hash of the object and of what is wrong with it.
    fingerprint: u64,
    spans: Arc<Spans>,
}

#[derive(Debug)]
struct File {
    /// The name to show.
    shown: Arc<str>,
    /// What was seen when it was last read; `None` if it is to be read again in any case.
    signature: Option<Signature>,
    /// Whether it is there; if not, its objects are about to be dropped.
    present: bool,
    entries: Vec<Entry>,
    /// What is wrong with the file as a file, as long as its text does not change.
    faults: Vec<Diagnostic>,
    /// What was last told about the file.
    told: Vec<Diagnostic>,
}

/// Who names an object.
#[derive(Debug, Default)]
struct Claim {
    /// In the order of the paths. Hardly ever more than one.
    by: Vec<Arc<Path>>,
    /// The file whose form of the object is in force.
    in_force: Option<Arc<Path>>,
}

/// What is wrong with a directory.
#[derive(Debug)]
pub(super) enum Problem {
    /// It cannot be read or watched; what happened.
    Unreadable(String),
    /// It is a symbolic link below the directory that is watched.
    Link,
}

impl Problem {
    fn code(&self) -> Code {
        match self {
            Self::Unreadable(_) => Code::FileUnreadable,
            Self::Link => Code::LinkNotFollowed,
        }
    }

    fn message(self) -> String {
        match self {
            Self::Unreadable(what) => what,
            Self::Link => {
                "this is a symbolic link to a directory, which is not followed".to_owned()
            }
        }
    }
}

/// The files of a directory and the objects that they name.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    files: BTreeMap<Arc<Path>, File>,
    claims: HashMap<ObjectRef, Claim>,
    /// Problems of directories and of the source as a whole, by the name shown.
    others: BTreeMap<Arc<str>, Diagnostic>,
    batch: Batch,
    /// Files whose form of an object is now to take effect but is not at hand.
    reread: BTreeSet<Arc<Path>>,
    unread: Unread,
}

impl Catalog {
    /// What has gathered to be told.
    pub(super) fn take(&mut self) -> Batch {
        self.batch.unread = self.unread.take();
        std::mem::take(&mut self.batch)
    }

    /// The start is over: what is not there now is gone.
    pub(super) fn end_start(&mut self) {
        self.unread.settle();
    }

    /// What has not been read since the start.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Files to be read again, because another one that named the same object no longer does.
    pub(super) fn take_reread(&mut self) -> BTreeSet<Arc<Path>> {
        std::mem::take(&mut self.reread)
    }

    /// Whether the file is as it was when it was last read.
    pub(super) fn is_current(&self, path: &Path, signature: Option<Signature>) -> bool {
        self.files
            .get(path)
            .is_some_and(|f| f.present && f.signature.is_some() && f.signature == signature)
    }

    /// Whether the file could not be read as a file last time.
    pub(super) fn was_refused(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|f| {
            f.faults.iter().any(|d| matches!(d.code, Code::FileUnreadable | Code::ManifestTooLarge))
        })
    }

    /// Whether any file below or at `path` is known.
    pub(super) fn below(&self, path: &Path) -> Vec<Arc<Path>> {
        let whole: Arc<Path> = path.into();
        self.files
            .range(whole..)
            .map(|(p, _)| Arc::clone(p))
            .take_while(|p| p.starts_with(path))
            .collect()
    }

    /// The file now reads so.
    pub(super) fn update(&mut self, path: &Path, shown: &str, from: (Signature, Manifest)) {
        let (signature, mut manifest) = from;
        let known = self.files.get(path).is_some_and(|f| !f.entries.is_empty());
        let decoded = manifest.documents.iter().all(|document| document.object.is_some());
        self.note_whole(path, shown, manifest.complete && decoded);
        let file = self.open(path, shown);
        file.signature = Some(signature);
        if known && !manifest.complete {
            // What stands before the fault may itself be half of something.
            file.faults = manifest.diagnostics;
            return self.touch(path);
        }
        let entries = self.entries(path, &mut manifest);
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.faults = manifest.diagnostics;
        let before = std::mem::replace(&mut file.entries, entries);
        let mut affected = self.release(path, before);
        self.claim(path, manifest.documents, &mut affected);
        self.report(affected);
        self.touch(path);
    }

    /// The file is there, but its content is of no use; what it said before stays in force.
    pub(super) fn refuse(&mut self, path: &Path, shown: &str, why: (Signature, Refusal)) {
        let (signature, refusal) = why;
        let diagnostic = refused(shown, &refusal);
        self.note_whole(path, shown, false);
        let file = self.open(path, shown);
        file.signature = Some(signature);
        file.faults = vec![diagnostic];
        self.touch(path);
    }

    /// The file is empty. That is also how many programs begin to write one, so what it said
    /// before stays in force.
    pub(super) fn empty(&mut self, path: &Path, shown: &str, signature: Signature) {
        self.note_whole(path, &format!("{shown} (it is empty)"), false);
        let file = self.open(path, shown);
        file.signature = Some(signature);
        file.faults.clear();
        if file.entries.is_empty() {
            return self.touch(path);
        }
        file.faults = vec![Diagnostic {
            code: Code::ManifestSyntax,
            object: None,
            field: FieldPath::root(),
            message: "the file is suddenly empty; its objects stay in force".to_owned(),
            hint: Some("Write the file again, or delete it to remove its objects.".to_owned()),
            location: Some(start_of(shown)),
        }];
        self.touch(path);
    }

    /// The file's name is gone. Its objects stay until [`Catalog::remove`], unless another file
    /// names them.
    pub(super) fn vanish(&mut self, path: &Path) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        if !std::mem::replace(&mut file.present, false) {
            return;
        }
        file.signature = None;
        let references: Vec<_> = file.entries.iter().map(|e| e.reference.clone()).collect();
        for reference in references {
            self.settle(&reference);
        }
    }

    /// The file is gone for good, and its objects with it, unless another file names them.
    pub(super) fn remove(&mut self, path: &Path) {
        self.unread.done(path);
        let Some(file) = self.files.remove(path) else {
            return;
        };
        let shown = file.shown;
        let affected = self.release(path, file.entries);
        self.report(affected);
        if !file.told.is_empty() {
            self.batch.problems.push((Arc::clone(&shown), Vec::new()));
        }
        self.batch.files.push(shown);
    }

    /// Something is wrong with a directory (or, with `None`, no longer is).
    pub(super) fn problem(&mut self, shown: &str, problem: Option<Problem>) {
        let told = self.others.contains_key(shown);
        match problem {
            Some(Problem::Unreadable(_)) => self.unread.missed_directory(shown),
            Some(Problem::Link) | None => self.unread.done_directory(shown),
        }
        let diagnostic = problem.map(|problem| Diagnostic {
            code: problem.code(),
            object: None,
            field: FieldPath::root(),
            message: problem.message(),
            hint: None,
            location: Some(start_of(shown)),
        });
        let all: Vec<_> = diagnostic.iter().cloned().collect();
        match diagnostic {
            Some(diagnostic) => {
                if self.others.get(shown) == Some(&diagnostic) {
                    return;
                }
                self.others.insert(shown.into(), diagnostic);
            }
            None if told => {
                self.others.remove(shown);
            }
            None => return,
        }
        self.batch.problems.push((shown.into(), all));
    }

    /// The names shown of directories with problems.
    pub(super) fn troubled_directories(&self) -> Vec<Arc<str>> {
        self.others.keys().cloned().collect()
    }

    /// Whether a directory has a problem, by the name shown.
    pub(super) fn is_troubled(&self, shown: &str) -> bool {
        self.others.contains_key(shown)
    }

    /// Notes whether a file was read whole, which counts if it never was before.
    fn note_whole(&mut self, path: &Path, shown: &str, is_whole: bool) {
        if is_whole {
            self.unread.done(path);
        } else if self.files.get(path).is_none_or(|f| f.entries.is_empty()) {
            self.unread.missed(&path.into(), &shown.into());
        }
    }

    fn open(&mut self, path: &Path, shown: &str) -> &mut File {
        let file = self.files.entry(path.into()).or_insert_with(|| File {
            shown: shown.into(),
            signature: None,
            present: true,
            entries: Vec::new(),
            faults: Vec::new(),
            told: Vec::new(),
        });
        file.present = true;
        file
    }

    /// Notes that the file was looked at, and reports on it and nobody else.
    fn touch(&mut self, path: &Path) {
        if let Some((key, file)) = self.files.get_key_value(path) {
            let (key, shown) = (Arc::clone(key), Arc::clone(&file.shown));
            self.batch.files.push(shown);
            self.report(BTreeSet::from([key]));
        }
    }

    /// What the documents of a manifest say; of two about the same object the second is reported
    /// and dropped from the manifest.
    fn entries(&self, path: &Path, manifest: &mut Manifest) -> Vec<Entry> {
        let shown = self.files.get(path).map(|f| Arc::clone(&f.shown));
        let mut seen: HashMap<ObjectRef, Option<Location>> = HashMap::new();
        let mut entries = Vec::with_capacity(manifest.documents.len());
        let mut duplicates = Vec::new();
        manifest.documents.retain(|document| {
            let place = document.spans.locate(&FieldPath::root());
            if let Some(first) = seen.get(&document.reference) {
                let first = first.as_ref().map(ToString::to_string);
                let first = first.or_else(|| shown.as_ref().map(ToString::to_string));
                duplicates.push(duplicate(&document.reference, place, &first.unwrap_or_default()));
                return false;
            }
            seen.insert(document.reference.clone(), place);
            entries.push(Entry {
                reference: document.reference.clone(),
                fingerprint: fingerprint(document),
                spans: Arc::clone(&document.spans),
            });
            true
        });
        manifest.diagnostics.extend(duplicates);
        entries
    }

    /// Takes back claims of a file, except for those that it still has entries for. Returns the
    /// files whose reports may differ now.
    fn release(&mut self, path: &Path, before: Vec<Entry>) -> BTreeSet<Arc<Path>> {
        let mut affected = BTreeSet::new();
        let kept: HashMap<ObjectRef, u64> = self.files.get(path).map_or_else(HashMap::new, |f| {
            f.entries.iter().map(|e| (e.reference.clone(), e.fingerprint)).collect()
        });
        for entry in before {
            if let Some(now) = kept.get(&entry.reference) {
                // What is in force is what the file said before: it has to be told again.
                if *now != entry.fingerprint
                    && let Some(claim) = self.claims.get_mut(&entry.reference)
                    && claim.in_force.as_deref() == Some(path)
                {
                    claim.in_force = None;
                }
                continue;
            }
            if let Some(claim) = self.claims.get_mut(&entry.reference) {
                claim.by.retain(|p| **p != *path);
                affected.extend(claim.by.iter().cloned());
            }
            self.settle(&entry.reference);
        }
        affected
    }

    /// Claims the objects of a file's documents and puts those in force that count.
    fn claim(&mut self, path: &Path, documents: Vec<Document>, affected: &mut BTreeSet<Arc<Path>>) {
        let Some(key) = self.files.get_key_value(path).map(|(k, _)| Arc::clone(k)) else {
            return;
        };
        for document in documents {
            let reference = document.reference.clone();
            let claim = self.claims.entry(reference.clone()).or_default();
            if let Err(at) = claim.by.binary_search(&key) {
                claim.by.reserve_exact(1);
                claim.by.insert(at, Arc::clone(&key));
            }
            if claim.by.len() > 1 {
                affected.extend(claim.by.iter().cloned());
            }
            let first = first_present(&self.files, claim);
            if first.as_deref() == Some(path) {
                let spans = Arc::clone(&document.spans);
                let changed = claim.in_force.as_deref() != Some(path);
                claim.in_force = Some(Arc::clone(&key));
                self.batch.places.push((reference, Some(spans)));
                if changed {
                    self.batch.changes.push(change(document));
                }
            } else {
                self.settle(&reference);
            }
        }
    }

    /// Sees to it that the right file's form of an object is in force, or none.
    fn settle(&mut self, reference: &ObjectRef) {
        let Some(claim) = self.claims.get(reference) else {
            return;
        };
        if claim.by.is_empty() {
            self.claims.remove(reference);
            self.batch.changes.push(Change::Delete(reference.clone()));
            self.batch.places.push((reference.clone(), None));
        } else if let Some(first) = first_present(&self.files, claim)
            && claim.in_force.as_ref() != Some(&first)
        {
            self.reread.insert(first);
        }
    }

    /// Tells what is wrong with files, where it is not what was last told.
    fn report(&mut self, affected: BTreeSet<Arc<Path>>) {
        for path in affected {
            let Some(file) = self.files.get(&path) else {
                continue;
            };
            let mut all = file.faults.clone();
            for entry in &file.entries {
                let Some(claim) = self.claims.get(&entry.reference) else {
                    continue;
                };
                if claim.by.len() < 2 || !file.present {
                    continue;
                }
                if let Some(first) = first_present(&self.files, claim)
                    && first != path
                    && let Some(winner) = self.files.get(&first)
                {
                    let place = entry.spans.locate(&FieldPath::root());
                    all.push(duplicate(&entry.reference, place, &winner.shown));
                }
            }
            if let Some(file) = self.files.get_mut(&path)
                && file.told != all
            {
                file.told.clone_from(&all);
                let shown = Arc::clone(&file.shown);
                self.batch.problems.push((shown, all));
            }
        }
    }
}

/// The file that counts for an object: the first by path of those that are there.
fn first_present(files: &BTreeMap<Arc<Path>, File>, claim: &Claim) -> Option<Arc<Path>> {
    claim.by.iter().find(|p| files.get(*p).is_some_and(|f| f.present)).cloned()
}

fn change(document: Document) -> Change {
    let diagnostics: Arc<[Diagnostic]> = document.diagnostics.into();
    match document.object {
        Some(object) => Change::Apply(Box::new(object), diagnostics),
        None => Change::Undecodable(document.reference, diagnostics),
    }
}

/// Hashes all that a document says. `Debug` shows every field of every kind, except the values
/// of secrets, which are added.
fn fingerprint(document: &Document) -> u64 {
    struct Writer(DefaultHasher);
    impl std::fmt::Write for Writer {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut writer = Writer(DefaultHasher::new());
    document.diagnostics.hash(&mut writer.0);
    if let Some(Object::Secret(secret)) = &document.object {
        secret.data.hash(&mut writer.0);
        secret.string_data.hash(&mut writer.0);
        secret.kind.hash(&mut writer.0);
    }
    // Hashing cannot fail, so neither can this write.
    let _unused = write!(writer, "{:?}", document.object);
    if let Some(object) = &document.object {
        let _unused = write!(writer, "{:?}", object.metadata());
    }
    writer.0.finish()
}

fn duplicate(reference: &ObjectRef, place: Option<Location>, first: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(
        Code::DuplicateObject,
        reference,
        FieldPath::root(),
        format!("the object also stands in {first}, which counts"),
    );
    diagnostic.location = place;
    diagnostic
}

fn refused(shown: &str, refusal: &Refusal) -> Diagnostic {
    let code = match refusal {
        Refusal::Unreadable(_) => Code::FileUnreadable,
        Refusal::TooLarge(_) => Code::ManifestTooLarge,
        Refusal::NotText(_) => Code::ManifestSyntax,
    };
    Diagnostic {
        code,
        object: None,
        field: FieldPath::root(),
        message: format!("the file cannot be read: {refusal}"),
        hint: None,
        location: Some(start_of(shown)),
    }
}

fn start_of(shown: &str) -> Location {
    Location { file: shown.into(), line: 1, column: 1, length: 1 }
}
