//! The report in its forms.

use std::fmt::Write as _;

use super::report::{Made, Report, Severity};
use crate::output::Palette;
use crate::xml::escape;

/// What stands before a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    good: &'static str,
    warning: &'static str,
    bad: &'static str,
    skipped: &'static str,
}

impl Marks {
    /// Signs, or words where signs may not be understood.
    pub fn of(signs: bool) -> Self {
        if signs {
            Self { good: "√", warning: "‼", bad: "×", skipped: "-" }
        } else {
            Self { good: "[ok]", warning: "[warn]", bad: "[fail]", skipped: "[skip]" }
        }
    }

    fn of_check(self, made: &Made, palette: Palette) -> String {
        match &made.result {
            Ok(()) => palette.good(self.good),
            Err(problem) => match problem.severity {
                Severity::Skipped => palette.faint(self.skipped),
                Severity::Warning => palette.strong(self.warning),
                Severity::Error => palette.bad(self.bad),
            },
        }
    }
}

/// For people; `short` leaves out what is well.
pub fn text(report: &Report, short: bool, marks: Marks, palette: Palette) -> String {
    let mut out = String::new();
    for group in &report.categories {
        let shown = |made: &&Made| match &made.result {
            Ok(()) => !short,
            Err(problem) => !(short && problem.severity == Severity::Skipped),
        };
        let checks: Vec<_> = group.checks.iter().filter(shown).collect();
        if checks.is_empty() {
            continue;
        }
        let name = group.category_name;
        // Writing to a String cannot fail.
        let _unused = writeln!(out, "{}\n{}", palette.strong(name), "-".repeat(name.len()));
        for made in checks {
            one(&mut out, made, marks, palette);
        }
        out.push('\n');
    }
    let _unused = if report.success {
        writeln!(out, "Status check results are {}", palette.good(marks.good))
    } else {
        writeln!(out, "Status check results are {}", palette.bad(marks.bad))
    };
    out
}

fn one(out: &mut String, made: &Made, marks: Marks, palette: Palette) {
    let (mark, what) = (marks.of_check(made, palette), made.check.what);
    // Writing to a String cannot fail.
    let _unused = match &made.result {
        Err(problem) if problem.severity == Severity::Skipped => {
            let why = palette.faint(&format!("{what}: skipped, {}", problem.what));
            writeln!(out, "{mark} {why}")
        }
        Ok(()) | Err(_) => writeln!(out, "{mark} {what}"),
    };
    let problem = made.result.as_ref().err().filter(|p| p.severity != Severity::Skipped);
    let Some(problem) = problem else { return };
    for line in problem.what.lines() {
        let _unused = writeln!(out, "    {line}");
    }
    for line in problem.hint.lines() {
        let _unused = writeln!(out, "    {} {line}", palette.link("hint:"));
    }
    let _unused = writeln!(out, "    see {}", palette.link(&made.see()));
}

/// `JUnit` XML: a suite for each category, a case for each check. Warnings are cases that passed
/// and say something.
pub fn junit(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let count = |severity| counted(report.all(), severity);
    // Writing to a String cannot fail.
    let _unused = writeln!(
        out,
        "<testsuites name=\"kubectl contour check\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
        report.all().count(),
        count(Severity::Error),
        count(Severity::Skipped)
    );
    for group in &report.categories {
        let _unused = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
            escape(group.category_name),
            group.checks.len(),
            counted(group.checks.iter(), Severity::Error),
            counted(group.checks.iter(), Severity::Skipped)
        );
        for made in &group.checks {
            case(&mut out, group.category_name, made);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counted<'a>(checks: impl Iterator<Item = &'a Made>, severity: Severity) -> usize {
    checks.filter(|made| made.result.as_ref().is_err_and(|p| p.severity == severity)).count()
}

fn case(out: &mut String, category: &str, made: &Made) {
    let (class, name) = (escape(category), escape(made.check.what));
    // Writing to a String cannot fail.
    let _unused = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\"");
    let Err(problem) = &made.result else {
        out.push_str("/>\n");
        return;
    };
    let what = escape(&problem.what);
    let more = escape(&format!("{}\n{}\nsee {}", problem.what, problem.hint, made.see()));
    let _unused = match problem.severity {
        Severity::Skipped => write!(out, ">\n      <skipped message=\"{what}\"/>\n"),
        Severity::Warning => write!(out, ">\n      <system-out>warning: {more}</system-out>\n"),
        Severity::Error => {
            write!(out, ">\n      <failure message=\"{what}\">{more}</failure>\n")
        }
    };
    out.push_str("    </testcase>\n");
}

#[cfg(test)]
mod tests;
