//! The keys, and the language of filters, in words.

use contour_core::top::{Unit, View};
use ratatui::text::Line;

use super::keymap::{BINDINGS, Binding, Mode};
use super::model::Model;
use crate::text;
use crate::theme::{Theme, Tone};

/// Blanks between columns.
const GAP: usize = 2;

/// Terms of a filter, and what they ask for.
const TERMS: [(&str, &str); 9] = [
    ("shop", "rows in which some cell that is shown has shop in it"),
    ("!canary", "rows in which none has canary in it"),
    ("a.*b", "an expression: some cell has an a, and a b later"),
    ("status=down", "the cell in that column is just this; != is not this"),
    ("match~^/api", "the cell matches an expression; !~ does not match it"),
    ("5xx>1", "more than; also >=, < and <="),
    ("p99>250ms", "units are those of the columns: 250ms 1.5s 5% 10k 2Mi 3d"),
    ("host=\"a b\"", "a value with blanks in it"),
    ("rps=-", "what is not known, which is neither more nor less than anything"),
];

/// Each key that does something on the page, what it does, and why not now.
pub(super) fn keys(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let page = if model.detail().is_some() { Mode::Detail } else { Mode::Table };
    let own = |binding: &&Binding| binding.modes.contains(&page);
    let entries = BINDINGS.iter().filter(own).map(|binding| {
        // What is in front has nothing to do with it.
        let (words, tone) = match binding.act.sense(model) {
            Err(why) => (format!("{} (not now: {why})", binding.help), Tone::Faint),
            Ok(()) => (binding.help.to_owned(), Tone::Plain),
        };
        (binding.names(), words, tone)
    });
    let mut lines = listed(entries.collect(), theme, width);
    let glyphs = theme.glyphs();
    let legend = format!(
        "> chosen, {} somebody should look at it, {} it does not work, - not known, faint: old",
        glyphs.warn, glyphs.bad
    );
    lines.push(Line::default());
    let mouse =
        "The mouse: a click on a tab, a row, or a heading to order by it; the wheel scrolls.";
    for words in [mouse, &legend] {
        let words = text::wrap(words, width).into_iter();
        lines.extend(words.map(|line| Line::from(theme.span(line, Tone::Plain))));
    }
    lines
}

/// How to say which rows of a view are to be shown.
pub(super) fn language(view: View, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let said = "Terms stand between blanks, and all of them must hold. Case does not matter.";
    let said = text::wrap(said, width).into_iter();
    let mut lines: Vec<_> = said.map(|line| Line::from(theme.span(line, Tone::Plain))).collect();
    lines.push(Line::default());
    let terms =
        TERMS.iter().map(|(term, words)| ((*term).to_owned(), (*words).to_owned(), Tone::Plain));
    lines.extend(listed(terms.collect(), theme, width));
    lines.push(Line::default());
    lines.push(Line::from(theme.span(format!("Columns of {}", view.name()), Tone::Strong)));
    let columns = view.columns().iter().map(|column| {
        let unit = match column.unit {
            Unit::Words | Unit::Quantity => "",
            Unit::Percent => ", in percent",
            Unit::Millis => ", as 250ms",
            Unit::Bytes => ", as 2Mi",
            Unit::Seconds => ", as 3d",
        };
        (column.name.to_owned(), format!("{}{unit}", column.help), Tone::Plain)
    });
    lines.extend(listed(columns.collect(), theme, width));
    lines
}

/// Names in a column of their own, and what they mean beside it.
fn listed(entries: Vec<(String, String, Tone)>, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let longest = entries.iter().map(|(name, ..)| text::width(name)).max().unwrap_or(0);
    // Where there is little room, long names go into the words.
    let column = (longest + GAP).min(width / 2);
    let mut lines = Vec::new();
    for (name, words, tone) in entries {
        let rows = text::wrap(&words, width.saturating_sub(column));
        let name = theme.clip(&name, column.saturating_sub(1));
        for (row, words) in rows.into_iter().enumerate() {
            let name = if row == 0 { name.as_str() } else { "" };
            lines.push(Line::from_iter([
                theme.span(format!("{name:column$}"), Tone::Key),
                theme.span(words, tone),
            ]));
        }
    }
    lines
}
