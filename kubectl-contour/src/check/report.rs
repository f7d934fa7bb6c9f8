//! What the checks find.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::catalog::{Category, Check};
use super::snapshot::Snapshot;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can be said.
    Skipped,
    /// It may be meant so.
    Warning,
    /// It is wrong.
    Error,
}

/// What a check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, with what.
    pub what: String,
    /// What to do next; may be empty.
    pub hint: String,
}

/// What a check comes to.
pub type Judged<T = ()> = Result<T, Problem>;

impl Problem {
    /// Something is wrong.
    pub fn error(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), hint: hint.into() }
    }

    /// Something may be wrong.
    pub fn warning(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), hint: hint.into() }
    }

    /// Nothing can be said.
    pub fn skip(why: impl Into<String>) -> Self {
        Self { severity: Severity::Skipped, what: why.into(), hint: String::new() }
    }
}

/// A check that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The check.
    pub check: &'static Check,
    /// What it found.
    pub result: Judged,
}

impl Made {
    /// The result as programs know it.
    pub fn result_name(&self) -> &'static str {
        match &self.result {
            Ok(()) => "success",
            Err(problem) => match problem.severity {
                Severity::Skipped => "skipped",
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
        }
    }

    /// Where there is more to read about it.
    pub fn see(&self) -> String {
        format!("docs/checks.md#{}", self.check.anchor)
    }

    fn failed(&self) -> bool {
        matches!(&self.result, Err(problem) if problem.severity == Severity::Error)
    }
}

impl Serialize for Made {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Made", 5)?;
        fields.serialize_field("description", self.check.what)?;
        let problem = self.result.as_ref().err();
        let hint = problem.map(|p| p.hint.as_str()).filter(|hint| !hint.is_empty());
        fields.serialize_field("hint", &hint)?;
        fields.serialize_field("error", &problem.map(|p| p.what.as_str()))?;
        fields.serialize_field("result", self.result_name())?;
        fields.serialize_field("see", &self.see())?;
        fields.end()
    }
}

/// The checks of a category.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The category.
    pub category_name: &'static str,
    /// Its checks.
    pub checks: Vec<Made>,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing is wrong; warnings do not count.
    pub success: bool,
    /// By category.
    pub categories: Vec<Group>,
}

impl Report {
    /// The checks that were made.
    pub fn all(&self) -> impl Iterator<Item = &Made> {
        self.categories.iter().flat_map(|group| &group.checks)
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.all().filter(|made| made.failed()).count()
    }

    /// What may still become well by itself, in a line; `None` if all is well, or will never be.
    pub fn waits_for(&self) -> Option<String> {
        let made = self.all().find(|made| made.failed() && made.check.patient)?;
        let problem = made.result.as_ref().err()?;
        let first = problem.what.lines().next().unwrap_or_default();
        Some(format!("{}: {first}", made.check.what))
    }
}

/// A problem, but skipped if the same was found by a check before it in its category: what one may
/// not see need not be said five times.
fn unless_said(problem: Problem, categories: &[Group], category: Category) -> Problem {
    if problem.severity == Severity::Skipped {
        return problem;
    }
    let group = categories.last().filter(|group| group.category_name == category.name());
    let said = |made: &Made| made.result.as_ref().err() == Some(&problem);
    if group.is_some_and(|group| group.checks.iter().any(said)) {
        return Problem::skip("for the same reason as before");
    }
    problem
}

/// Makes the checks. After a fatal one that failed, the others of its category are skipped; after
/// one about the API server, all others are.
pub fn evaluate(checks: &[&'static Check], snapshot: &Snapshot) -> Report {
    let mut stopped: BTreeSet<Category> = BTreeSet::new();
    let mut categories: Vec<Group> = Vec::new();
    for check in checks {
        let stop = stopped.contains(&check.category) || stopped.contains(&Category::KubernetesApi);
        let result = if stop {
            Err(Problem::skip("what it depends on is not well"))
        } else {
            (check.judge)(snapshot)
        };
        let result = result.map_err(|problem| unless_said(problem, &categories, check.category));
        let made = Made { check, result };
        if check.fatal && made.failed() {
            stopped.insert(check.category);
        }
        let name = check.category.name();
        match categories.last_mut().filter(|group| group.category_name == name) {
            Some(group) => group.checks.push(made),
            None => categories.push(Group { category_name: name, checks: vec![made] }),
        }
    }
    let mut report = Report { success: true, categories };
    report.success = report.failed() == 0;
    report
}
