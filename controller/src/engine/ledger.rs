//! What was told about objects and files, and what Envoys said about them: enough to tell each
//! thing once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use contour_core::diagnostic::{Code, Diagnostic, Severity};
use contour_core::manifest::Spans;
use contour_core::name::{FieldPath, Kind, ObjectRef};
use contour_core::xds::{Resource, ResourceKey};

/// How many findings about one file are kept.
const OF_FILE: usize = 100;

/// What differs between what was told and what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Findings that are new.
    pub(crate) new: Vec<Diagnostic>,
    /// Findings that no longer stand.
    pub(crate) mended: Vec<Diagnostic>,
}

/// What an Envoy said about a resource that it rejected.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// The objects that had a part in the resource then.
    pub(crate) owners: Vec<ObjectRef>,
    /// What each Envoy says, by its node id.
    pub(crate) messages: BTreeMap<Arc<str>, Arc<str>>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Ledger {
    /// All objects that exist, and where they stand if they came from a file.
    objects: HashMap<ObjectRef, Option<Arc<Spans>>>,
    /// What was told about objects; those with nothing to tell are left out.
    told: BTreeMap<ObjectRef, Vec<Diagnostic>>,
    /// What was told about files, by the name shown.
    files: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    rejections: BTreeMap<ResourceKey, Rejection>,
}

impl Ledger {
    /// The object exists.
    pub(crate) fn exists(&mut self, object: &ObjectRef) {
        if !self.objects.contains_key(object) {
            self.objects.insert(object.clone(), None);
        }
    }

    /// The object exists no more.
    pub(crate) fn gone(&mut self, object: &ObjectRef) {
        self.objects.remove(object);
    }

    /// The object stands there.
    pub(crate) fn place(&mut self, object: ObjectRef, spans: Arc<Spans>) {
        self.objects.insert(object, Some(spans));
    }

    /// All objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// Whether the object exists.
    pub(crate) fn knows(&self, object: &ObjectRef) -> bool {
        self.objects.contains_key(object)
    }

    /// The number of objects of each kind.
    pub(crate) fn count_by_kind(&self) -> BTreeMap<Kind, usize> {
        let mut counts: BTreeMap<_, _> = Kind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for object in self.objects.keys() {
            *counts.entry(object.kind).or_default() += 1;
        }
        counts
    }

    /// The same findings with their places, where these are known.
    pub(crate) fn located(&self, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
        diagnostics.iter().map(|d| self.locate(d)).collect()
    }

    fn locate(&self, diagnostic: &Diagnostic) -> Diagnostic {
        let mut located = diagnostic.clone();
        if located.location.is_none()
            && let Some(object) = &diagnostic.object
            && let Some(Some(spans)) = self.objects.get(object)
        {
            located.location = spans.locate(&diagnostic.field);
        }
        located
    }

    /// These are all the findings about an object now.
    pub(crate) fn findings(&mut self, object: &ObjectRef, now: &[Diagnostic]) -> Difference {
        if now.is_empty() && !self.told.contains_key(object) {
            return Difference::default();
        }
        let now = self.located(now);
        let before = if now.is_empty() {
            self.told.remove(object)
        } else {
            self.told.insert(object.clone(), now.clone())
        };
        difference(before.unwrap_or_default(), now)
    }

    /// What was last told about an object.
    pub(crate) fn told(&self, object: &ObjectRef) -> &[Diagnostic] {
        self.told.get(object).map_or(&[], Vec::as_slice)
    }

    /// These are all the findings about a file now.
    pub(crate) fn file(&mut self, file: &Arc<str>, now: Vec<Diagnostic>) -> Difference {
        let now = bounded(now);
        let before = if now.is_empty() {
            self.files.remove(file)
        } else {
            self.files.insert(Arc::clone(file), now.clone())
        };
        difference(before.unwrap_or_default(), now)
    }

    /// The number of findings about files.
    pub(crate) fn file_problems(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// The number of findings by severity, those about files and rejections included.
    pub(crate) fn count_by_severity(&self) -> BTreeMap<Severity, usize> {
        let all = [Severity::Error, Severity::Warning, Severity::Info];
        let mut counts: BTreeMap<_, _> = all.into_iter().map(|severity| (severity, 0)).collect();
        for diagnostic in self.told.values().chain(self.files.values()).flatten() {
            *counts.entry(diagnostic.severity()).or_default() += 1;
        }
        *counts.entry(Code::EnvoyRejected.severity()).or_default() += self.rejections.len();
        counts
    }

    /// An Envoy rejected a resource.
    pub(crate) fn rejected(
        &mut self,
        key: &ResourceKey,
        by: (&Arc<str>, &Arc<str>),
        owners: Vec<ObjectRef>,
    ) {
        let (node, message) = by;
        let rejection = self
            .rejections
            .entry(key.clone())
            .or_insert_with(|| Rejection { owners: Vec::new(), messages: BTreeMap::new() });
        rejection.owners = owners;
        rejection.messages.insert(Arc::clone(node), Arc::clone(message));
    }

    /// An Envoy accepted a resource that it had rejected. Returns the objects concerned.
    pub(crate) fn recovered(&mut self, key: &ResourceKey, node: &str) -> Vec<ObjectRef> {
        let Some(rejection) = self.rejections.get_mut(key) else {
            return Vec::new();
        };
        rejection.messages.remove(node);
        let owners = rejection.owners.clone();
        if rejection.messages.is_empty() {
            self.rejections.remove(key);
        }
        owners
    }

    /// Resources have changed: what Envoys said about the earlier versions no longer counts.
    pub(crate) fn changed(&mut self, resources: &BTreeMap<ResourceKey, Option<Arc<Resource>>>) {
        if !self.rejections.is_empty() {
            self.rejections.retain(|key, _| !resources.contains_key(key));
        }
    }

    /// An Envoy went away, and what it said with it. Returns the objects concerned.
    pub(crate) fn disconnected(&mut self, node: &str) -> Vec<ObjectRef> {
        let mut relieved = Vec::new();
        self.rejections.retain(|_, rejection| {
            if rejection.messages.remove(node).is_some() {
                relieved.extend(rejection.owners.iter().cloned());
            }
            !rejection.messages.is_empty()
        });
        relieved
    }

    /// The resources that an Envoy has rejected.
    pub(crate) fn rejections(&self) -> &BTreeMap<ResourceKey, Rejection> {
        &self.rejections
    }

    /// What Envoys say against an object, as findings.
    pub(crate) fn rejections_of(&self, object: &ObjectRef) -> Vec<Diagnostic> {
        self.rejections
            .iter()
            .filter(|(_, rejection)| rejection.owners.contains(object))
            .map(|(key, rejection)| {
                let nodes: Vec<_> = rejection.messages.keys().map(AsRef::as_ref).collect();
                let messages: BTreeSet<_> =
                    rejection.messages.values().map(AsRef::as_ref).collect();
                let messages: Vec<&str> = messages.into_iter().collect();
                let text =
                    format!("Envoy {} rejected {key}: {}", nodes.join(", "), messages.join("; "));
                self.locate(&Diagnostic::new(Code::EnvoyRejected, object, FieldPath::root(), text))
            })
            .collect()
    }
}

/// Of the findings about a file no more than one can read, and how many others there are.
fn bounded(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let hidden = findings.len().saturating_sub(OF_FILE);
    findings.truncate(OF_FILE);
    if hidden > 0
        && let Some(last) = findings.last()
    {
        let message = format!("and {hidden} more findings about this file");
        findings.push(Diagnostic { message, hint: None, ..last.clone() });
    }
    findings
}

/// Compares findings regardless of their places, which move with every line above them.
fn difference(before: Vec<Diagnostic>, now: Vec<Diagnostic>) -> Difference {
    let bare = |diagnostic: &Diagnostic| {
        let mut bare = diagnostic.clone();
        bare.location = None;
        bare
    };
    let old: BTreeSet<_> = before.iter().map(bare).collect();
    let new: BTreeSet<_> = now.iter().map(bare).collect();
    Difference {
        new: now.into_iter().filter(|d| !old.contains(&bare(d))).collect(),
        mended: before.into_iter().filter(|d| !new.contains(&bare(d))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use contour_core::diagnostic::Location;
    use contour_core::xds::ResourceType;

    use super::*;

    fn object() -> ObjectRef {
        ObjectRef::new(Kind::IngressRoute, "demo", "shop")
    }

    fn finding(message: &str, line: u32) -> Diagnostic {
        let root = FieldPath::root();
        let mut finding = Diagnostic::new(Code::ServiceNotFound, &object(), root, message);
        finding.location = Some(Location { file: "a.yaml".into(), line, column: 1, length: 1 });
        finding
    }

    #[test]
    fn a_finding_is_told_once_even_if_it_moves_to_another_line() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.findings(&object(), &[finding("a", 1)]).new.len(), 1);
        let moved = ledger.findings(&object(), &[finding("a", 2)]);
        assert!(moved.new.is_empty() && moved.mended.is_empty());
        let other = ledger.findings(&object(), &[finding("b", 2)]);
        assert_eq!(other.new, [finding("b", 2)]);
        assert_eq!(other.mended, [finding("a", 2)]);
        assert_eq!(ledger.findings(&object(), &[]).mended.len(), 1);
        assert!(ledger.told(&object()).is_empty());
    }

    #[test]
    fn the_findings_about_a_file_are_counted_beyond_the_first() {
        let mut ledger = Ledger::default();
        let file = "a.yaml".into();
        let many = (0..100_000).map(|line| finding(&format!("fault {line}"), line)).collect();
        let told = ledger.file(&file, many);
        assert_eq!(told.new.len(), OF_FILE + 1);
        assert_eq!(told.new[OF_FILE].message, "and 99900 more findings about this file");
        assert_eq!(ledger.file_problems(), OF_FILE + 1);
        assert_eq!(ledger.file(&file, Vec::new()).mended.len(), OF_FILE + 1);
    }

    #[test]
    fn a_rejection_is_a_finding_on_its_owners_until_the_resource_changes() {
        let mut ledger = Ledger::default();
        let key = ResourceKey::new(ResourceType::Route, "http/shop");
        let (one, two) = ("one".into(), "two".into());
        ledger.rejected(&key, (&one, &"no".into()), vec![object()]);
        ledger.rejected(&key, (&two, &"no".into()), vec![object()]);
        let findings = ledger.rejections_of(&object());
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].message.contains("one, two rejected rds:http/shop: no"),
            "{}",
            findings[0]
        );
        assert_eq!(ledger.recovered(&key, "one"), [object()]);
        assert_eq!(ledger.rejections_of(&object()).len(), 1);
        ledger.changed(&BTreeMap::from([(key, None)]));
        assert!(ledger.rejections_of(&object()).is_empty());
    }
}
