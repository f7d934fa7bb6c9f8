//! What it makes of what it hears.

mod go;
mod write;

use std::sync::Arc;

use contour_core::top::{Column, Frame, Unit, View};

use super::keymap::{Act, Binding, Mode, interval};
use super::layout::{Layout, tab_at};
use super::model::{Effect, Event, Model, Mouse, Overlay};
use super::page::{Move, Page, first};
use super::table::Sheet;
use super::{detail, explain};
use crate::key::Key;
use crate::theme::{Theme, Tone};

/// Rows that a turn of the wheel goes by.
const WHEEL: usize = 3;

/// Takes what was heard, and says what to do, in order.
#[must_use]
pub fn update(mut model: Model, event: Event) -> (Model, Vec<Effect>) {
    let effects = match event {
        Event::Frame(frame) => model.see(frame),
        Event::Key(key) => model.press(key),
        Event::Mouse(mouse) => model.point(mouse),
        Event::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Event::Tick(now) => {
            model.tick(now);
            Vec::new()
        }
        Event::Notice(text, tone) => {
            model.tell(&text, tone);
            Vec::new()
        }
    };
    (model, effects)
}

impl Model {
    fn see(&mut self, frame: Arc<Frame>) -> Vec<Effect> {
        if self.frozen && self.frame.is_some() {
            self.newer = Some(frame);
        } else {
            self.now = self.now.max(frame.unix_millis);
            self.frame = Some(frame);
            self.arrange();
        }
        Vec::new()
    }

    /// Puts what is on the page in order: it has changed, or what is asked for has.
    fn arrange(&mut self) {
        let Some(frame) = self.frame.clone() else { return };
        let height = self.page();
        let looks = self.looks.get(self.view()).clone();
        let faults_only = self.faults_only;
        if let Some(Page::Detail(detail)) = self.path.last_mut() {
            detail.follow(&frame);
        } else if let Some(table) = self.table_mut() {
            table.order(&frame, &looks, faults_only, height);
        }
    }

    /// How many rows or lines are on a page.
    fn page(&self) -> usize {
        Layout::of(self, self.size).map_or(1, |layout| layout.rows().max(1))
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        let mode = Mode::of(self);
        let binding = Binding::of(key, mode);
        if let (Some(Overlay::Filter(prompt)), Key::Char(c)) = (self.overlays.last(), key)
            && (binding.is_none() || !prompt.is_at_begin())
        {
            self.notice = None;
            self.write(|prompt| prompt.insert(c));
            return Vec::new();
        }
        let Some(act) = binding.map(|binding| binding.act) else { return Vec::new() };
        // What is told is still on the screen when that is back.
        if !matches!(act, Act::Redraw | Act::Suspend) {
            self.notice = None;
        }
        match act.sense(self) {
            Ok(()) => self.act(act, key),
            Err(why) => {
                self.tell(&why, Tone::Warn);
                Vec::new()
            }
        }
    }

    fn act(&mut self, act: Act, key: Key) -> Vec<Effect> {
        match act {
            Act::Move(to) => self.scroll(to),
            Act::Open => self.open(),
            Act::Describe => self.describe(),
            Act::Back => self.back(),
            Act::View => self.go_to_digit(key),
            Act::NextView => self.go_beside(1),
            Act::PreviousView => self.go_beside(View::ALL.len() - 1),
            Act::Before => self.go_before(),
            Act::Filter => self.begin_filter(),
            Act::SortRight => self.sort_beside(true),
            Act::SortLeft => self.sort_beside(false),
            Act::Invert => self.invert(),
            Act::Columns => self.overlays.push(Overlay::Columns(0)),
            Act::Wide => self.widen(),
            Act::Faults => {
                self.faults_only = !self.faults_only;
                self.arrange();
            }
            Act::Warnings => self.overlays.push(Overlay::Warnings(0)),
            Act::Freeze => self.freeze(),
            Act::Theme => self.palettes = self.palettes.wrapping_add(1) % 3,
            Act::Help => self.overlays.push(Overlay::Help(0)),
            Act::Toggle => self.toggle(),
            Act::Default => {
                self.looks.get_mut(self.view()).columns = None;
            }
            Act::Accept => self.accept(),
            Act::Clear => self.drop_filter(),
            Act::Language => self.overlays.push(Overlay::Language(0)),
            Act::Edit(edit) => {
                let view = self.view();
                self.write(|prompt| prompt.edit(edit, view));
            }
            Act::Slower | Act::Faster => return self.pace(act == Act::Slower),
            Act::Refresh => return vec![Effect::Refresh],
            Act::Shift => return self.shift(),
            Act::Export => {
                return self.frame.iter().map(|f| Effect::Export(Arc::clone(f))).collect();
            }
            Act::Redraw => return vec![Effect::Redraw],
            Act::Suspend => return vec![Effect::Suspend],
            Act::Quit => return vec![Effect::Quit],
        }
        Vec::new()
    }

    /// Moves the cursor, or what is on the page.
    fn scroll(&mut self, to: Move) {
        let page = self.page();
        if let Some(layout) = Layout::of(self, self.size)
            && let Some(last) = self.last_line(layout)
        {
            let scrolled = match (self.overlays.last_mut(), self.path.last_mut()) {
                (Some(Overlay::Help(top) | Overlay::Language(top)), _) => Some(top),
                (Some(Overlay::Columns(row) | Overlay::Warnings(row)), _) => Some(row),
                (None, Some(Page::Detail(detail))) => Some(&mut detail.scroll),
                (Some(Overlay::Filter(_)) | None, _) => None,
            };
            if let Some(line) = scrolled {
                *line = to.target((*line).min(last), page, last);
            }
            return;
        }
        let Some(frame) = self.frame.clone() else { return };
        let Some(table) = self.table_mut() else { return };
        if to == Move::First {
            table.choose_first();
        } else {
            let last = table.rows.len().saturating_sub(1);
            table.choose(&frame, to.target(table.cursor, page, last), page);
        }
    }

    /// The last line that can be chosen in what is in front, or come first on the page; `None` of
    /// a table.
    fn last_line(&self, layout: Layout) -> Option<usize> {
        let beyond = |lines: usize| lines.saturating_sub(usize::from(layout.body.height));
        let theme = Theme::default();
        let width = usize::from(layout.width);
        match self.overlays.last() {
            Some(Overlay::Help(_)) => Some(beyond(explain::keys(self, theme, width).len())),
            Some(Overlay::Language(_)) => {
                Some(beyond(explain::language(self.view(), theme, width).len()))
            }
            Some(Overlay::Columns(_)) => Some(self.view().columns().len().saturating_sub(1)),
            Some(Overlay::Warnings(_)) => {
                Some(self.frame.as_ref().map_or(0, |f| f.warnings.len()).saturating_sub(1))
            }
            Some(Overlay::Filter(_)) => Some(0),
            None => {
                let detail = self.detail()?;
                Some(beyond(detail::lines(detail, theme, width).len()))
            }
        }
    }

    /// Shows what came meanwhile, or lets nothing change.
    fn freeze(&mut self) {
        self.frozen = !self.frozen;
        if let Some(newer) = self.newer.take().filter(|_| !self.frozen) {
            self.see(newer);
        }
    }

    fn pace(&mut self, longer: bool) -> Vec<Effect> {
        let Some(next) = interval(self.interval_millis, longer) else { return Vec::new() };
        self.interval_millis = next;
        vec![Effect::Interval(next)]
    }

    fn point(&mut self, mouse: Mouse) -> Vec<Effect> {
        let to = match mouse {
            Mouse::WheelUp => Move::Up,
            Mouse::WheelDown => Move::Down,
            Mouse::Click(x, y) => {
                if self.overlays.is_empty() {
                    self.click(x, y);
                }
                return Vec::new();
            }
        };
        for _ in 0..WHEEL {
            self.scroll(to);
        }
        Vec::new()
    }

    fn click(&mut self, x: u16, y: u16) {
        let Some(layout) = Layout::of(self, self.size) else { return };
        let Some(x) = x.checked_sub(layout.margin) else { return };
        self.notice = None;
        if layout.tabs.contains(y) {
            if let Some(view) = tab_at(self, layout.width, x) {
                self.go(view, Vec::new());
            }
            return;
        }
        let Some(frame) = self.frame.clone() else { return };
        let height = layout.rows();
        let looks = self.looks.get(self.view()).clone();
        let Some(table) = self.table_mut().filter(|_| layout.body.contains(y)) else { return };
        match usize::from(y - layout.body.y).checked_sub(1) {
            None => {
                let size = (layout.width, height);
                let sheet = Sheet::of((table, &looks), &frame, Theme::default(), size);
                if let Some(column) = sheet.column_at(x) {
                    self.sort_by(column);
                }
            }
            Some(below) => {
                let row = first(table.top, table.cursor, table.rows.len(), height) + below;
                if row < table.rows.len() {
                    table.choose(&frame, row, height);
                }
            }
        }
    }

    /// Orders by a column, or the other way round if it does already.
    fn sort_by(&mut self, column: &'static Column) {
        let looks = self.looks.get_mut(self.view());
        let reversed = match looks.sort {
            Some((by, reversed)) if by == column => !reversed,
            Some(_) | None => largest_first(column),
        };
        looks.sort = Some((column, reversed));
        self.arrange();
    }

    /// Orders by the column beside the present one, or by none beyond the ends.
    fn sort_beside(&mut self, right: bool) {
        let view = self.view();
        let looks = self.looks.get_mut(view);
        let columns = looks.columns(view);
        let at = looks.sort.and_then(|(by, _)| columns.iter().position(|column| *column == by));
        let next = match (at, right) {
            (None, true) => Some(0),
            (None, false) => columns.len().checked_sub(1),
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
        };
        let next = next.and_then(|at| columns.get(at).copied());
        looks.sort = next.map(|column| (column, largest_first(column)));
        self.arrange();
    }

    fn invert(&mut self) {
        if let Some((_, reversed)) = &mut self.looks.get_mut(self.view()).sort {
            *reversed = !*reversed;
        }
        self.arrange();
    }

    fn widen(&mut self) {
        let looks = self.looks.get_mut(self.view());
        if looks.columns.is_some() {
            let why = "its columns were chosen one by one: c and then r goes back to its own";
            self.tell(why, Tone::Warn);
        } else {
            looks.wide = !looks.wide;
        }
    }

    /// Shows or hides the column of the cursor.
    fn toggle(&mut self) {
        let view = self.view();
        let Some(Overlay::Columns(row)) = self.overlays.last() else { return };
        let Some(column) = view.columns().get(*row) else { return };
        let looks = self.looks.get_mut(view);
        let mut columns = looks.columns(view);
        if let Some(at) = columns.iter().position(|shown| *shown == column) {
            if columns.len() == 1 {
                self.tell("one column must be left", Tone::Warn);
                return;
            }
            columns.remove(at);
        } else {
            // Before the first of those that come after it by themselves.
            let place = |of: &Column| view.columns().iter().position(|c| c == of);
            let after = columns.iter().position(|shown| place(shown) > place(column));
            columns.insert(after.unwrap_or(columns.len()), column);
        }
        looks.columns = Some(columns);
    }
}

/// Whether the largest are those that one looks for.
fn largest_first(column: &Column) -> bool {
    match column.unit {
        Unit::Words | Unit::Seconds => false,
        Unit::Quantity | Unit::Percent | Unit::Millis | Unit::Bytes => true,
    }
}
