//! Reports for pipelines.

use std::fmt::Write as _;

use contour_core::name::ObjectRef;
use contour_core::shift::machine::Outcome;
use contour_core::shift::state::State;

use super::audience::Told;
use super::show;
use crate::xml::escape;

/// The document of some suites.
pub fn document(suites: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

/// A `JUnit` suite: a case for each verdict of the gates, and one for the outcome. A window that
/// failed is a failure only if the shift did not get over it.
pub fn junit(object: &ObjectRef, told: &[Told], outcome: &Outcome) -> String {
    let verdicts: Vec<_> = told.iter().filter(|t| t.fields.contains_key("verdict")).collect();
    let bad = outcome.code() != 0;
    let failed = |t: &Told| bad && matches!(t.reason, "GateFailed" | "GateError");
    let failures = verdicts.iter().filter(|t| failed(t)).count() + usize::from(bad);
    let name = escape(&format!("shift {}/{}", object.name.namespace, object.name.name));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _unused = writeln!(
        out,
        "<testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\">",
        verdicts.len() + 1
    );
    for told in &verdicts {
        let case =
            format!("  <testcase classname=\"gates\" name=\"{}\"", escape(&told.at.to_string()));
        let message = escape(&told.message);
        let _unused = match told.reason {
            _ if failed(told) => {
                writeln!(out, "{case}><failure message=\"{message}\"/></testcase>")
            }
            "GateInconclusive" => {
                writeln!(out, "{case}><skipped message=\"{message}\"/></testcase>")
            }
            _ => writeln!(out, "{case}><system-out>{message}</system-out></testcase>"),
        };
    }
    let message = escape(&outcome.to_string());
    let case = "  <testcase classname=\"shift\" name=\"outcome\"";
    let _unused = if bad {
        writeln!(out, "{case}><failure message=\"{message}\"/></testcase>")
    } else {
        writeln!(out, "{case}><system-out>{message}</system-out></testcase>")
    };
    out.push_str("</testsuite>\n");
    out
}

/// A summary in Markdown, as pipelines show it.
pub fn summary(object: &ObjectRef, state: &State, told: &[Told], outcome: &Outcome) -> String {
    let mark = if outcome.code() == 0 { "✅" } else { "❌" };
    let ends = state.ends().map_or_else(String::new, |(from, to)| format!("{from} → {to}"));
    let mut out = format!(
        "## {mark} Shift of {}/{}: {}\n\n",
        object.name.namespace,
        object.name.name,
        markdown(&outcome.to_string())
    );
    // Writing to a String cannot fail.
    let mut row = |name: &str, value: &str| {
        let _unused = writeln!(out, "| {name} | {} |", markdown(value));
    };
    row("Services", &ends);
    row("---", "---");
    row("Steps", &show::bar(state));
    row("Share", &show::share(state));
    row("Operator", state.progress.holder.as_str());
    row("Reason", state.charter.reason.as_str());
    row("Exit code", &outcome.code().to_string());
    out.push_str("\n| Time | Event | |\n| --- | --- | --- |\n");
    for told in told.iter().filter(|t| t.lasts) {
        let _unused =
            writeln!(out, "| {} | {} | {} |", told.at, told.reason, markdown(&told.message));
    }
    out
}

fn markdown(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    line.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use contour_core::api::Timestamp;
    use contour_core::name::Kind;
    use contour_core::shift::Note;
    use serde_json::Map;

    use super::super::audience::Tone;
    use super::*;

    #[test]
    fn a_junit_report_has_a_case_for_each_verdict() {
        let at = Timestamp::from_unix(0);
        let told = |reason: &'static str, message: &str| Told {
            fields: Map::from_iter([("verdict".to_owned(), reason.into())]),
            ..Told::new(at, reason, Tone::Plain, message)
        };
        let all = [
            told("GatePassed", "success rate 100.00% >= 99%"),
            told("GateFailed", "success rate 95.00% < 99%"),
            told("GateInconclusive", "3 requests to \"to\""),
            Told::new(at, "WeightShifted", Tone::Plain, "no verdict"),
        ];
        let object = ObjectRef::new(Kind::IngressRoute, "demo", "shop");
        let outcome = Outcome::RolledBack(Note::new("95.00% < 99%"));
        insta::assert_snapshot!(document(&junit(&object, &all, &outcome)));
    }
}
