//! Findings as they are made: of each object, the first of a code are kept and the others counted,
//! so that no object costs memory, log lines or Events by the number of its faults.

use std::collections::BTreeMap;

use super::{Code, Diagnostic};
use crate::name::{FieldPath, ObjectRef};

/// How many findings of one code about one object are kept.
pub const SHOWN: usize = 20;

/// Characters of a message that are kept.
const MESSAGE_MAX: usize = 1024;

/// Which object, and which code.
type Group = (Option<ObjectRef>, Code);

/// Takes findings in while something is computed.
#[derive(Debug, Default)]
pub struct Collector {
    groups: BTreeMap<Group, Collected>,
    errors: usize,
}

#[derive(Debug, Default)]
struct Collected {
    first: Vec<Diagnostic>,
    count: usize,
}

impl Collector {
    /// Takes a finding in; one that is there already is not counted again.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        if diagnostic.severity() == super::Severity::Error {
            self.errors += 1;
        }
        let group = self.groups.entry((diagnostic.object.clone(), diagnostic.code)).or_default();
        if group.first.contains(&diagnostic) {
            return;
        }
        group.count += 1;
        if group.first.len() < SHOWN {
            shorten(&mut diagnostic.message);
            group.first.push(diagnostic);
        }
    }

    /// How many errors were found so far, kept or not.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// All that was found.
    pub fn finish(self) -> Findings {
        let mut kept = Vec::new();
        let mut counts = Vec::new();
        for (group, Collected { first, count }) in self.groups {
            if count > first.len() {
                counts.push((group, count));
            }
            kept.extend(first);
        }
        Findings { kept: kept.into(), counts: counts.into() }
    }
}

impl Extend<Diagnostic> for Collector {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

/// What was found by one computation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// By object and code, each in the order in which they were made.
    kept: Box<[Diagnostic]>,
    /// How many there were, where not all are kept.
    counts: Box<[(Group, usize)]>,
}

impl Findings {
    /// Those that are kept.
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// Objects and codes of which not all findings are kept, and how many there were.
    pub fn counts(&self) -> impl Iterator<Item = (Option<&ObjectRef>, Code, usize)> {
        self.counts.iter().map(|((object, code), count)| (object.as_ref(), *code, *count))
    }

    /// The same with one more, which is kept in any case.
    #[must_use]
    pub fn with(self, diagnostic: Diagnostic) -> Self {
        let kept = self.kept.into_iter().chain([diagnostic]).collect();
        Self { kept, ..self }
    }

    /// The same with what was found before them, in the text that the object was read from.
    #[must_use]
    pub fn after(self, earlier: &[Diagnostic]) -> Self {
        if earlier.is_empty() {
            return self;
        }
        let mut earlier: Self = earlier.iter().cloned().collect();
        earlier.kept = earlier.kept.into_iter().chain(self.kept).collect();
        earlier.counts = earlier.counts.into_iter().chain(self.counts).collect();
        earlier
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl FromIterator<Diagnostic> for Findings {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        let mut collector = Collector::default();
        collector.extend(diagnostics);
        collector.finish()
    }
}

/// Says that there are more findings of a code about an object than those that are shown.
pub fn more(code: Code, object: &ObjectRef, count: usize) -> Diagnostic {
    let s = if count == 1 { "" } else { "s" };
    let message = format!("and {count} more finding{s} of this kind");
    let hint = format!("Resolve the {SHOWN} that are shown; others take their place.");
    Diagnostic::new(code, object, FieldPath::root(), message).with_hint(hint)
}

fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_MAX) {
        message.truncate(end);
        message.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Kind;

    fn finding(name: &str, code: Code, number: usize) -> Diagnostic {
        let object = ObjectRef::new(Kind::IngressRoute, "a", name);
        Diagnostic::new(code, &object, FieldPath::of(".routes").index(number), "missing")
    }

    #[test]
    fn the_first_of_each_object_and_code_are_kept_and_all_are_counted() {
        let mut collector = Collector::default();
        for number in 0..1_000 {
            collector.push(finding("r", Code::ServiceNotFound, number));
            collector.push(finding("r", Code::ServiceNotFound, 0));
        }
        collector.push(finding("r", Code::NoEndpoints, 0));
        collector.push(finding("s", Code::ServiceNotFound, 0));
        assert_eq!(collector.errors(), 2_001);
        let findings = collector.finish();
        assert_eq!(findings.kept().len(), SHOWN + 2);
        let fields = findings.kept().iter().filter(|d| d.code == Code::ServiceNotFound);
        let last = fields.filter_map(|d| d.field.as_str().strip_prefix(".routes[19")).count();
        assert_eq!(last, 1, "{findings:?}");
        let r = ObjectRef::new(Kind::IngressRoute, "a", "r");
        let counts: Vec<_> = findings.counts().collect();
        assert_eq!(counts, [(Some(&r), Code::ServiceNotFound, 1_000)]);
    }

    #[test]
    fn a_message_is_kept_to_a_length() {
        let mut long = finding("r", Code::FqdnInvalid, 0);
        long.message = "é".repeat(1 << 20);
        let findings: Findings = [long].into_iter().collect();
        assert_eq!(findings.kept()[0].message.chars().count(), MESSAGE_MAX + 1);
    }
}
