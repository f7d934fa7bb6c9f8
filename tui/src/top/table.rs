//! The rows of a table that are on the screen, in the columns for which there is room.

use contour_core::top::{Align, Cell, Column, Frame, Graph, Item};

use super::model::Looks;
use super::page::{Table, first};
use crate::text;
use crate::theme::Theme;

/// Columns before the first cell: whether the row is chosen, how bad it is, and a blank.
pub(super) const GUTTER: u16 = 3;
/// The columns of a bar of shares, beside their words.
pub(super) const BAR: usize = 8;
/// Below so many columns those of a table stand close together.
const ROOMY: u16 = 60;
/// A text of so many columns is not cut to make room for another column.
const WORD: u16 = 14;
/// Nor is a part of a name of that many.
const NAME: u16 = 20;
/// Nor of a sentence, which is what can be as long as [`SENTENCE`].
const PHRASE: u16 = 30;
/// From so many columns on a text is a sentence, which says most at its begin.
pub(super) const SENTENCE: u16 = 60;

/// A column and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) column: &'static Column,
    pub(super) heading: String,
    /// From the left of the table.
    pub(super) x: u16,
    pub(super) width: u16,
}

/// A row on the screen.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) item: Item<'a>,
    pub(super) chosen: bool,
    /// In the order of the columns.
    pub(super) cells: Vec<Cell>,
}

/// What is on the screen of a table.
#[derive(Clone, Debug)]
pub(super) struct Sheet<'a> {
    pub(super) columns: Vec<Placed>,
    pub(super) rows: Vec<Row<'a>>,
    /// How many columns there is no room for.
    pub(super) left_out: usize,
}

/// A column while room is looked for.
struct Candidate {
    column: &'static Column,
    heading: String,
    rank: u8,
    /// Where it is among the columns.
    at: usize,
    /// It is not shown narrower, unless it must be.
    enough: u16,
    /// It says all that is in it.
    natural: u16,
    /// What it gets; unset if it is left out.
    width: Option<u16>,
}

impl<'a> Sheet<'a> {
    /// Of so many columns and rows.
    pub(super) fn of(
        (table, looks): (&Table, &Looks),
        frame: &'a Frame,
        theme: Theme,
        (width, height): (u16, usize),
    ) -> Self {
        let top = first(table.top, table.cursor, table.rows.len(), height);
        let shown = table.rows.iter().enumerate().skip(top).take(height);
        let columns = looks.columns(table.view);
        let rows = shown.filter_map(|(row, index)| {
            let item = frame.item(table.view, *index)?;
            let cells = columns.iter().map(|column| column.cell(item, frame.unix_millis));
            let cells = cells.map(|cell| Cell { text: text::one_line(&cell.text), ..cell });
            Some(Row { item, chosen: row == table.cursor, cells: cells.collect() })
        });
        let mut rows: Vec<Row<'a>> = rows.collect();
        let mut candidates: Vec<Candidate> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = rows.iter().filter_map(|row| row.cells.get(at));
                Candidate { at, ..Candidate::of(column, looks, cells, theme) }
            })
            .collect();
        let gap = if width < ROOMY { 1 } else { 2 };
        fit(&mut candidates, width.saturating_sub(GUTTER), gap);
        for row in &mut rows {
            let placed = candidates.iter().map(|candidate| candidate.width.is_some());
            let mut placed = placed.collect::<Vec<_>>().into_iter();
            row.cells.retain(|_| placed.next().unwrap_or(false));
        }
        let left_out = candidates.iter().filter(|candidate| candidate.width.is_none()).count();
        let mut x = GUTTER;
        let place = |candidate: Candidate| {
            let placed = Placed {
                column: candidate.column,
                heading: candidate.heading,
                x,
                width: candidate.width?,
            };
            x = x.saturating_add(placed.width).saturating_add(gap);
            Some(placed)
        };
        Self { columns: candidates.into_iter().filter_map(place).collect(), rows, left_out }
    }

    /// The column that stands in a column of the screen.
    pub(super) fn column_at(&self, x: u16) -> Option<&'static Column> {
        let begun = self.columns.iter().rev().find(|placed| placed.x <= x);
        begun.filter(|placed| x <= placed.x.saturating_add(placed.width)).map(|p| p.column)
    }
}

impl Candidate {
    fn of<'c>(
        column: &'static Column,
        looks: &Looks,
        cells: impl Iterator<Item = &'c Cell>,
        theme: Theme,
    ) -> Self {
        let sorted = looks.sort.filter(|(by, _)| *by == column);
        let arrow = sorted.map_or("", |(_, largest_first)| theme.direction(largest_first));
        let heading = format!("{}{arrow}", column.heading);
        let (least, most) = column.width;
        let head = columns_of(text::width(&heading));
        let widest = cells.map(|cell| natural(cell, most)).max().unwrap_or(0);
        let natural = widest.clamp(least, most.max(least)).max(head);
        let enough = match column.align {
            Align::Right => natural,
            Align::Left if most >= SENTENCE => natural.min(PHRASE),
            Align::Left => natural.min((most / 2).clamp(WORD, NAME)).max(head),
        };
        // What rows are ordered by is seen.
        let rank = if sorted.is_some() { 0 } else { column.rank };
        Self { column, heading, rank, at: 0, enough, natural, width: None }
    }

    /// The least that makes sense: numbers are not cut.
    fn shortest(&self) -> u16 {
        match self.column.align {
            Align::Right => self.enough,
            Align::Left if self.column.width.1 <= WORD => self.enough,
            Align::Left => self.enough.min(self.column.width.0),
        }
    }

    fn admit(&mut self, width: u16, gap: u16, left: &mut u16) {
        if let Some(rest) = left.checked_sub(width.saturating_add(gap)) {
            (*left, self.width) = (rest, Some(width));
        }
    }
}

fn columns_of(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

/// How many columns a cell takes to say all.
fn natural(cell: &Cell, most: u16) -> u16 {
    let words = text::width(&cell.text);
    match &cell.graph {
        Some(Graph::Trend(_)) => most,
        Some(Graph::Shares(_)) => columns_of(words + 1 + BAR),
        None => columns_of(words),
    }
}

/// Gives those that are always shown what is enough, then as many others as it can, those of a low
/// rank first, and what is left to those that could use more.
fn fit(candidates: &mut [Candidate], room: u16, gap: u16) {
    // There is no gap after the last one.
    let mut left = room.saturating_add(gap);
    candidates.sort_by_key(|candidate| candidate.rank);
    let always = candidates.iter().take_while(|candidate| candidate.rank == 0).count();
    let (always, others) = candidates.split_at_mut(always);
    for candidate in always.iter_mut() {
        let least = candidate.shortest();
        candidate.admit(least, gap, &mut left);
    }
    grow(always, |candidate| candidate.enough, &mut left);
    for candidate in others {
        candidate.admit(candidate.enough, gap, &mut left);
    }
    grow(candidates, |candidate| candidate.natural, &mut left);
    candidates.sort_by_key(|candidate| candidate.at);
}

/// Divides what is left among those that could use more, a column for each in turn.
fn grow(candidates: &mut [Candidate], wanted: fn(&Candidate) -> u16, left: &mut u16) {
    let mut before = None;
    while before != Some(*left) {
        before = Some(*left);
        for candidate in candidates.iter_mut() {
            let wanted = wanted(candidate);
            if let Some(width) = candidate.width.as_mut().filter(|width| **width < wanted)
                && let Some(rest) = left.checked_sub(1)
            {
                (*left, *width) = (rest, *width + 1);
            }
        }
    }
}
