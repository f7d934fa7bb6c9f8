//! Columns that shrink, or go, until they fit.

use ratatui::text::{Line, Span};

use super::Pen;
use crate::text;
use crate::theme::Tone;

/// Blanks between columns.
const GAP: usize = 2;

/// What stands in a row of a column.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// A text; where it is too long, it loses its middle.
    Text(String, Tone),
    /// Glyphs, the last of which are shown.
    Trail(Vec<(&'static str, Tone)>),
    /// A part of the whole, in hundredths of a percent; unset if it is not known.
    Bar(Option<u16>, Tone),
}

impl Cell {
    fn width(&self, most: usize) -> usize {
        match self {
            Self::Text(text, _) => text::width(text).min(most),
            Self::Trail(glyphs) => glyphs.len().min(most),
            Self::Bar(..) => most,
        }
    }

    fn spans(&self, width: usize, pen: Pen<'_>) -> Vec<Span<'static>> {
        let (mut spans, used) = match self {
            Self::Text(text, tone) => {
                let short = pen.shorten(text, width);
                let used = text::width(&short);
                (vec![pen.span(short, *tone)], used)
            }
            Self::Trail(glyphs) => {
                let last = glyphs.get(glyphs.len().saturating_sub(width)..).unwrap_or_default();
                let spans = last.iter().map(|(glyph, tone)| pen.span(*glyph, *tone));
                (spans.collect(), last.len())
            }
            Self::Bar(part, tone) => (bar(*part, width, *tone, pen), width),
        };
        spans.push(Span::raw(" ".repeat(width.saturating_sub(used))));
        spans
    }
}

/// A bar of so many columns.
pub(super) fn bar(part: Option<u16>, width: usize, tone: Tone, pen: Pen<'_>) -> Vec<Span<'static>> {
    let Some(part) = part else {
        return vec![pen.span(format!("{:width$}", "-"), Tone::Faint)];
    };
    let exact = width * usize::from(part);
    // Something is not nothing, and not all is not everything.
    let full = match (exact + 5_000) / 10_000 {
        0 if exact > 0 => 1,
        all if all >= width && part < 10_000 => width.saturating_sub(1),
        nearest => nearest.min(width),
    };
    vec![
        pen.span(pen.glyphs().full.repeat(full), tone),
        pen.span(pen.glyphs().empty.repeat(width - full), Tone::Faint),
    ]
}

/// A column.
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) cells: Vec<Cell>,
    /// It does not become narrower.
    pub(super) least: usize,
    /// It does not become wider.
    pub(super) most: usize,
    /// Which goes first where there is not room for all; one with 0 stays.
    pub(super) rank: u8,
}

impl Column {
    /// A column of texts that go whole or not at all.
    pub(super) fn rigid(heading: &'static str, rank: u8, cells: Vec<Cell>) -> Self {
        Self { heading, cells, least: usize::MAX, most: usize::MAX, rank }
    }

    fn natural(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.width(self.most)).max().unwrap_or(0);
        cells.max(text::width(self.heading))
    }

    fn is_drawn(&self) -> bool {
        self.cells.iter().any(|cell| !matches!(cell, Cell::Text(..)))
    }
}

/// Rows below their headings; without any, if none says something.
pub(super) fn lines(mut columns: Vec<Column>, pen: Pen<'_>) -> Vec<Line<'static>> {
    let widths = loop {
        let widths = widths(&columns, pen.width);
        if total(&widths) <= pen.width {
            break widths;
        }
        let last = columns.iter().enumerate().max_by_key(|(_, column)| column.rank);
        match last.filter(|(_, column)| column.rank > 0).map(|(index, _)| index) {
            Some(index) => drop(columns.remove(index)),
            None => break widths,
        }
    };
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
    let headed = columns.iter().any(|column| !column.heading.is_empty());
    let mut lines = Vec::with_capacity(rows + 1);
    if headed {
        let headings = columns.iter().map(|c| Cell::Text(c.heading.to_owned(), Tone::Faint));
        lines.push(row(headings, &widths, pen));
    }
    for index in 0..rows {
        let blank = || Cell::Text(String::new(), Tone::Plain);
        let cells = columns.iter().map(|c| c.cells.get(index).cloned().unwrap_or_else(blank));
        lines.push(row(cells, &widths, pen));
    }
    lines
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Bars shrink first, then the widest texts.
fn widths(columns: &[Column], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(Column::natural).collect();
    for drawn in [true, false] {
        let mut excess = total(&widths).saturating_sub(room);
        while excess > 0 {
            let shrinkable = columns.iter().zip(widths.iter_mut()).filter(|(column, width)| {
                let least = column.least.max(text::width(column.heading));
                column.is_drawn() == drawn && **width > least
            });
            let Some((_, width)) = shrinkable.max_by_key(|(_, width)| **width) else { break };
            *width -= 1;
            excess -= 1;
        }
    }
    widths
}

fn row(cells: impl Iterator<Item = Cell>, widths: &[usize], pen: Pen<'_>) -> Line<'static> {
    let mut spans = Vec::new();
    for (cell, width) in cells.zip(widths) {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        spans.extend(cell.spans(*width, pen));
    }
    Line::from(spans)
}
