//! The report for people.

use std::fmt::Write as _;

use super::report::{Envoy, Report, State, TYPES};
use crate::output::Palette;
use crate::table::{Cell, Tone, age, render};

/// A table, and below it what is rejected and what is wrong with Pods.
pub(super) fn table(report: &Report, wide: bool, namespaces: bool, palette: Palette) -> String {
    let mut headings = Vec::new();
    if namespaces {
        headings.push("NAMESPACE");
    }
    headings.extend(["ENVOY", "READY", "VERSION", "CONTROLLER", "STATE"]);
    if wide {
        headings.extend(["NODE ID", "MACHINE", "CONNECTED"]);
    }
    let types = TYPES.map(str::to_ascii_uppercase);
    headings.extend(types.iter().map(String::as_str));
    let rows: Vec<_> = report.envoys.iter().map(|e| row(e, wide, namespaces)).collect();
    let mut text = render(&headings, &rows, palette);
    for envoy in &report.envoys {
        if let Some(trouble) = &envoy.trouble {
            // Writing to a String cannot fail.
            let _unused = write!(text, "\n{}\n", palette.bad(trouble));
        }
        for rejection in &envoy.rejections {
            let owners: Vec<_> = rejection.owners.iter().map(ToString::to_string).collect();
            let owners = if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") };
            let head = format!("rejected by {}", envoy.name());
            let _unused = write!(
                text,
                "\n{}: {} {}\n  of {owners}\n  Envoy says: {}\n",
                palette.bad(&head),
                rejection.kind,
                rejection.name,
                rejection.message.trim()
            );
        }
    }
    text
}

fn row(envoy: &Envoy, wide: bool, namespaces: bool) -> Vec<Cell> {
    let mut row: Vec<Cell> = Vec::new();
    if namespaces {
        row.push(envoy.namespace.as_str().into());
    }
    let tone = match envoy.state {
        State::InSync => Tone::Good,
        State::Pending | State::Rejected | State::NotConnected => Tone::Bad,
        State::Terminating | State::Unknown => Tone::Faint,
    };
    let ready = match envoy.ready {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    row.extend([
        envoy.name().into(),
        Cell::from(ready),
        envoy.version.clone().unwrap_or_default().into(),
        envoy.controllers.join(",").into(),
        Cell::new(envoy.state_in_words(), tone),
    ]);
    if wide {
        row.extend([
            Cell::from(envoy.node_id.as_str()),
            envoy.machine.clone().unwrap_or_default().into(),
            envoy.connected_seconds.map(age).unwrap_or_default().into(),
        ]);
    }
    row.extend(TYPES.iter().map(|name| cell(envoy, name, wide)));
    row
}

/// How many resources of a type are held and since when: `12 (3m)`; wide: `12 9f3a1c07 (3m)`.
fn cell(envoy: &Envoy, name: &str, wide: bool) -> Cell {
    let Some(of) = envoy.types.iter().find(|of| of.name == name) else {
        return Cell::default();
    };
    let mut text = of.held.to_string();
    if let Some(digest) = of.digest.as_deref().and_then(|d| d.get(..8)).filter(|_| wide) {
        text = format!("{text} {digest}");
    }
    if let Some(seconds) = of.age_seconds {
        text = format!("{text} ({})", age(seconds));
    }
    text.into()
}
