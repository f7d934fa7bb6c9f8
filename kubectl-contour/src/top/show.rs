//! A frame as text, in each of its forms.

use std::borrow::Cow;
use std::fmt::Write as _;

use contour_core::api::Timestamp;
use contour_core::top::{Align, Column, Frame, Item, Mark, Selection, Value, View, select};

use super::args::Format;
use crate::failure::Failure;
use crate::output::Palette;
use crate::table::{self, Cell, Side, Tone};

/// What is shown of each frame, and in which form.
#[derive(Debug)]
pub struct Show {
    /// The form.
    pub format: Format,
    /// What the rows are of, and which.
    pub view: View,
    /// Of JSON, only the rows of that view; all otherwise.
    pub alone: bool,
    /// Which rows, for each of [`View::ALL`].
    pub selections: Vec<(View, Selection)>,
    /// Which columns of a table.
    pub columns: Vec<&'static Column>,
    /// Whether one frame follows the other.
    pub again: bool,
    /// The colours of a table.
    pub palette: Palette,
}

impl Show {
    /// What is written before all frames.
    pub fn head(&self) -> Option<String> {
        if self.format != Format::Csv {
            return None;
        }
        let time = self.again.then_some("time");
        let names = time.into_iter().chain(self.columns.iter().map(|column| column.name));
        Some(names.map(|name| quoted(name).into_owned()).collect::<Vec<_>>().join(","))
    }

    /// Whether it is read by people, who want to know more than what was asked for.
    pub fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Whether a frame is a block that is set apart from the next.
    pub fn has_blocks(&self) -> bool {
        self.again && self.is_for_people()
    }

    /// A frame; `None` if there is nothing to be written of it.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn frame(&self, frame: &Frame) -> Result<Option<String>, Failure> {
        let text = match self.format {
            Format::Table | Format::Wide => self.table(frame),
            Format::Json => serde_json::to_string_pretty(&self.narrow(frame.clone()))?,
            Format::Ndjson => serde_json::to_string(&self.narrow(frame.clone()))?,
            Format::Csv => self.values(frame),
            Format::Name => {
                let keys = self.rows(frame).map(|item| plain(&item.key()).into_owned());
                keys.collect::<Vec<_>>().join("\n")
            }
        };
        let text = text.trim_end().to_owned();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Whether something that is shown of it is faulty.
    pub fn is_faulty(&self, frame: &Frame) -> bool {
        let faulty = |view: View| self.rows_of(frame, view).any(|item| item.fault().is_some());
        if self.alone { faulty(self.view) } else { View::ALL.into_iter().any(faulty) }
    }

    fn rows<'f>(&self, frame: &'f Frame) -> impl Iterator<Item = Item<'f>> {
        self.rows_of(frame, self.view)
    }

    fn rows_of<'f>(&self, frame: &'f Frame, view: View) -> impl Iterator<Item = Item<'f>> {
        let indices = self.indices(frame, view);
        indices.into_iter().filter_map(move |index| frame.item(view, index))
    }

    fn indices(&self, frame: &Frame, view: View) -> Vec<usize> {
        let selection = self.selections.iter().find(|(of, _)| *of == view);
        selection.map_or_else(Vec::new, |(_, selection)| select(frame, view, selection))
    }

    fn table(&self, frame: &Frame) -> String {
        let now = frame.unix_millis;
        let headings: Vec<_> = self.columns.iter().map(|column| column.heading).collect();
        let sides: Vec<_> = self
            .columns
            .iter()
            .map(|column| match column.align {
                Align::Left => Side::Left,
                Align::Right => Side::Right,
            })
            .collect();
        let rows: Vec<Vec<Cell>> = self
            .rows(frame)
            .map(|item| {
                let cells = self.columns.iter().map(|column| column.cell(item, now));
                cells.map(|cell| Cell::new(plain(&cell.text), tone(cell.mark))).collect()
            })
            .collect();
        let mut text = String::new();
        if self.again {
            let (shown, all) = (rows.len(), frame.len(self.view));
            let of = if shown == all { String::new() } else { format!(" of {all}") };
            let coverage = &frame.coverage;
            let head = format!(
                "{}  {} {shown}{of}, Envoys {}/{}",
                time(now),
                self.view.name(),
                coverage.answered,
                coverage.envoys
            );
            // Writing to a String cannot fail.
            let _unused = writeln!(text, "{}", self.palette.strong(&head));
        }
        text.push_str(&table::render_aligned(&headings, &sides, &rows, self.palette));
        text
    }

    fn values(&self, frame: &Frame) -> String {
        let now = frame.unix_millis;
        let mut text = String::new();
        for item in self.rows(frame) {
            let time = self.again.then(|| time(now));
            let values = self.columns.iter().map(|column| match column.value(item, now) {
                Value::Unknown => String::new(),
                Value::Number(number) => decimal(number),
                Value::Text(text) => quoted(&plain(&text)).into_owned(),
            });
            let fields: Vec<_> = time.into_iter().chain(values).collect();
            text.push_str(&fields.join(","));
            text.push('\n');
        }
        text
    }

    /// A frame with the rows that are asked for, and no others.
    pub fn narrow(&self, frame: Frame) -> Frame {
        let keep = |view: View| -> Vec<usize> {
            if self.alone && view != self.view { Vec::new() } else { self.indices(&frame, view) }
        };
        let [routes, upstreams, endpoints, envoys, certificates, shifts, events] =
            View::ALL.map(keep);
        Frame {
            routes: rows(frame.routes, routes),
            upstreams: rows(frame.upstreams, upstreams),
            endpoints: rows(frame.endpoints, endpoints),
            envoys: rows(frame.envoys, envoys),
            certificates: rows(frame.certificates, certificates),
            shifts: rows(frame.shifts, shifts),
            events: rows(frame.events, events),
            ..frame
        }
    }
}

/// The rows of these indices, each of which is named once.
fn rows<T>(all: Vec<T>, keep: Vec<usize>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(Some).collect();
    keep.into_iter().filter_map(|index| all.get_mut(index)?.take()).collect()
}

/// A time as RFC 3339 has it, with milliseconds.
pub fn time(unix_millis: u64) -> String {
    let seconds = i64::try_from(unix_millis / 1_000).unwrap_or(i64::MAX);
    let text = Timestamp::from_unix(seconds).to_string();
    format!("{}.{:03}Z", text.trim_end_matches('Z'), unix_millis % 1_000)
}

/// A text of others without characters that a terminal obeys, or that end a line.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !c.is_control()) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(field)
    }
}

/// A number with at most three digits behind the point.
fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn tone(mark: Mark) -> Tone {
    match mark {
        Mark::Plain => Tone::Plain,
        Mark::Faint => Tone::Faint,
        Mark::Good => Tone::Good,
        Mark::Warn => Tone::Warning,
        Mark::Bad => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_cannot_command_a_terminal() {
        assert_eq!(plain("shop"), "shop");
        assert_eq!(plain("a\x1b[2Jb\nc\u{9b}d"), "a\\u{1b}[2Jb\\nc\\u{9b}d");
    }

    #[test]
    fn fields_are_quoted_only_where_they_must_be() {
        assert_eq!(quoted("shop"), "shop");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"no\""), "\"say \"\"no\"\"\"");
    }

    #[test]
    fn numbers_are_written_without_what_they_do_not_say() {
        assert_eq!([0.0, 12.0, 1.5, 0.3333].map(decimal), ["0", "12", "1.5", "0.333"]);
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(1_767_225_600_007), "2026-01-01T00:00:00.007Z");
    }
}
