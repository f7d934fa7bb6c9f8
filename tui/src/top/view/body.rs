//! The page: rows of a table, or lines, or what is in front of them.

use contour_core::top::{Align, Cell, Frame, Graph, Item, SourceState};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Canvas, Seen, tone};
use crate::text;
use crate::theme::{Theme, Tone};
use crate::top::model::{Model, Overlay};
use crate::top::page::{Table, first};
use crate::top::table::{BAR, Placed, Row, SENTENCE, Sheet};
use crate::top::{detail, explain, graph};

/// An endpoint that was seen so long ago, in milliseconds, is shown as old.
const OLD: u64 = 5_000;

impl Canvas<'_> {
    pub(super) fn body(&mut self) -> Seen {
        let width = self.width();
        match self.model.overlays.last() {
            Some(Overlay::Help(top)) => {
                self.lines(&explain::keys(self.model, self.theme, width), *top)
            }
            Some(Overlay::Language(top)) => {
                self.lines(&explain::language(self.model.view(), self.theme, width), *top)
            }
            Some(Overlay::Columns(row)) => self.columns(*row),
            Some(Overlay::Warnings(row)) => self.warnings(*row),
            Some(Overlay::Filter(_)) | None => match self.model.detail() {
                Some(detail) => {
                    self.lines(&detail::lines(detail, self.theme, width), detail.scroll)
                }
                None => self.table(),
            },
        }
    }

    fn lines(&mut self, lines: &[Line<'static>], top: usize) -> Seen {
        let height = usize::from(self.layout.body.height);
        let top = top.min(lines.len().saturating_sub(height));
        for (row, line) in lines.iter().skip(top).take(height).enumerate() {
            self.put(self.layout.body, row, line);
        }
        let last = (top + height).min(lines.len());
        Seen { lines: Some((top + 1, last, lines.len())), ..Seen::default() }
    }

    fn table(&mut self) -> Seen {
        let (Some(frame), Some(table)) = (self.model.frame.as_deref(), self.model.table()) else {
            return self.say(&waiting(self.model));
        };
        if table.rows.is_empty() {
            return self.say(&why_empty(self.model, frame, table));
        }
        let looks = self.model.looks.get(table.view);
        let size = (self.layout.width, self.layout.rows());
        let sheet = Sheet::of((table, looks), frame, self.theme, size);
        for placed in &sheet.columns {
            let sorted = looks.sort.is_some_and(|(by, _)| by == placed.column);
            let tone = if sorted { Tone::Strong } else { Tone::Faint };
            let words = self.theme.clip(&placed.heading, usize::from(placed.width));
            self.cell(placed, self.layout.body.y, &words, self.theme.style(tone));
        }
        for (y, row) in (self.layout.body.y + 1..).zip(&sheet.rows) {
            self.row(frame, &sheet.columns, row, y);
        }
        Seen { left_out: sheet.left_out, ..Seen::default() }
    }

    fn row(&mut self, frame: &Frame, columns: &[Placed], row: &Row<'_>, y: u16) {
        let old = is_old(frame, row.item);
        let x = self.layout.margin;
        if row.chosen {
            let style = self.theme.style(Tone::Strong);
            self.buffer.set_stringn(x, y, ">", usize::from(self.layout.width), style);
        }
        if let Some(fault) = row.item.fault() {
            let tone = tone(fault);
            let room = usize::from(self.layout.width.saturating_sub(1));
            self.buffer.set_stringn(x + 1, y, self.theme.mark(tone), room, self.theme.style(tone));
        }
        for (placed, cell) in columns.iter().zip(&row.cells) {
            let tone = match (old, detail::tone(cell.mark)) {
                (true, Tone::Plain | Tone::Good) => Tone::Faint,
                (_, tone) => tone,
            };
            let words = shown(cell, placed, self.theme);
            self.cell(placed, y, &words, self.theme.style(tone));
        }
        if row.chosen {
            let area = Rect { x, y, width: self.layout.width, height: 1 };
            self.buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
        }
    }

    /// Draws words where they stand in their column.
    fn cell(&mut self, placed: &Placed, y: u16, words: &str, style: Style) {
        let room = usize::from(placed.width);
        let blank = match placed.column.align {
            Align::Left => 0,
            Align::Right => room.saturating_sub(text::width(words)),
        };
        let within = usize::from(self.layout.width.saturating_sub(placed.x));
        let x = self.layout.margin + placed.x + u16::try_from(blank).unwrap_or(0);
        let room = room.min(within).saturating_sub(blank);
        if room > 0 {
            self.buffer.set_stringn(x, y, words, room, style);
        }
    }

    /// Words where rows would be.
    fn say(&mut self, words: &str) -> Seen {
        let words = text::one_line(words);
        let lines = text::wrap(&words, self.width()).into_iter();
        let lines = lines.map(|line| Line::from(self.theme.span(line, Tone::Plain)));
        for (row, line) in (1..).zip(lines.collect::<Vec<_>>()) {
            self.put(self.layout.body, row, &line);
        }
        Seen::default()
    }

    /// A title, and rows of which one is chosen.
    fn list(&mut self, title: String, rows: &[Vec<Span<'static>>], cursor: usize) -> Seen {
        let title = Line::from(self.theme.span(title, Tone::Strong));
        self.put(self.layout.body, 0, &title);
        let height = self.layout.rows();
        let top = first(0, cursor, rows.len(), height);
        for (at, row) in rows.iter().enumerate().skip(top).take(height) {
            let mark = if at == cursor { "> " } else { "  " };
            let mut line = Line::from(self.theme.span(mark, Tone::Strong));
            line.spans.extend(row.iter().cloned());
            self.put(self.layout.body, 1 + at - top, &line);
            if at == cursor {
                let below = u16::try_from(1 + at - top).unwrap_or(0);
                let (x, width) = (self.layout.margin, self.layout.width);
                let area = Rect { x, y: self.layout.body.y + below, width, height: 1 };
                self.buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
        let last = (top + height).min(rows.len());
        Seen { lines: Some((top + 1, last, rows.len())), ..Seen::default() }
    }

    fn columns(&mut self, cursor: usize) -> Seen {
        let view = self.model.view();
        let shown = self.model.looks.get(view).columns(view);
        let all = view.columns();
        let name = all.iter().map(|column| text::width(column.name)).max().unwrap_or(0) + 2;
        let head = all.iter().map(|column| text::width(column.heading)).max().unwrap_or(0) + 2;
        let room = self.width().saturating_sub(6 + name + head);
        let rows: Vec<Vec<Span<'static>>> = all
            .iter()
            .map(|column| {
                let on = shown.contains(&column);
                let tone = if on { Tone::Plain } else { Tone::Faint };
                let mark = if on { "[x] " } else { "[ ] " };
                vec![
                    self.theme.span(mark, tone),
                    self.theme.span(format!("{:name$}", column.name), tone),
                    self.theme.span(format!("{:head$}", column.heading), tone),
                    self.theme.span(self.theme.clip(column.help, room), Tone::Faint),
                ]
            })
            .collect();
        self.list(format!("Columns of {}", view.title()), &rows, cursor.min(all.len() - 1))
    }

    fn warnings(&mut self, cursor: usize) -> Seen {
        let warnings = self.model.frame.as_deref().map_or(&[][..], |frame| &frame.warnings);
        let code = warnings.iter().map(|w| text::width(&w.code)).max().unwrap_or(0);
        let room = self.width().saturating_sub(4 + code + 2);
        let rows: Vec<Vec<Span<'static>>> = warnings
            .iter()
            .map(|warning| {
                let tone = tone(warning.fault);
                let words = self.theme.clip(&text::one_line(&warning.text), room);
                let blank = room.saturating_sub(text::width(&words)) + 2;
                vec![
                    self.theme.span(format!("{} {words}", self.theme.mark(tone)), tone),
                    Span::raw(" ".repeat(blank)),
                    self.theme.span(text::one_line(&warning.code), Tone::Faint),
                ]
            })
            .collect();
        let title = "Somebody should look at this, the worst first".to_owned();
        self.list(title, &rows, cursor.min(warnings.len().saturating_sub(1)))
    }
}

/// A cell in as many columns as it has.
fn shown(cell: &Cell, placed: &Placed, theme: Theme) -> String {
    let room = usize::from(placed.width);
    match &cell.graph {
        Some(Graph::Trend(values)) => return graph::spark(values, room, theme),
        Some(Graph::Shares(shares)) if text::width(&cell.text) + 1 + BAR <= room => {
            return format!("{} {}", graph::bar(shares, BAR, theme.glyphs()), cell.text);
        }
        Some(Graph::Shares(_)) | None => {}
    }
    if placed.column.width.1 >= SENTENCE {
        theme.clip(&cell.text, room)
    } else {
        theme.shorten(&cell.text, room)
    }
}

/// Whether what is said of a row may not be so any more.
fn is_old(frame: &Frame, item: Item<'_>) -> bool {
    let lost = |name: &str| {
        let sources = &frame.coverage.sources;
        sources.iter().any(|s| s.state == SourceState::Lost && *s.name == *name)
    };
    match item {
        Item::Endpoint(endpoint) if endpoint.age_millis >= OLD => true,
        Item::Envoy(envoy) => envoy.trouble.is_some() || lost(&envoy.source),
        Item::Shift(shift) => shift.over,
        Item::Event(_) => false,
        Item::Route(_) | Item::Upstream(_) | Item::Endpoint(_) | Item::Certificate(_) => {
            frame.coverage.stale_millis.is_some()
        }
    }
}

/// What is waited for.
fn waiting(model: &Model) -> String {
    match &*model.location {
        "" => "waiting for the first numbers".to_owned(),
        location => format!("waiting for the first numbers of {location}"),
    }
}

/// Why there is no row.
fn why_empty(model: &Model, frame: &Frame, table: &Table) -> String {
    let (name, hidden) = (table.view.name(), table.total);
    let filter = &table.filter;
    let all_of_it = match &table.scope {
        Some(scope) => format!("{name} of {}", scope.title()),
        None => name.to_owned(),
    };
    match (hidden, filter.is_empty(), model.faults_only) {
        (0, ..) => {}
        (_, true, true) => {
            return format!("nothing is faulty: {hidden} {all_of_it} are well; ! shows them");
        }
        (_, false, true) => {
            return format!(
                "no faulty row matches {filter}: {hidden} {all_of_it} are hidden; \
                 Esc drops the filter, ! shows what is well"
            );
        }
        (_, _, false) => {
            return format!(
                "no row matches {filter}: {hidden} {all_of_it} are hidden; Esc drops the filter"
            );
        }
    }
    let sources = &frame.coverage.sources;
    let silent = sources.iter().filter(|source| source.state == SourceState::Waiting);
    let silent: Vec<_> = silent.map(|source| &*source.name).collect();
    if !silent.is_empty() && silent.len() == sources.len() {
        return format!("waiting for {}", silent.join(", "));
    }
    match &table.scope {
        Some(_) => format!("there are no {all_of_it}; Esc goes back"),
        None => format!("there are no {all_of_it}"),
    }
}
