//! Pages: the rows of a view, or one of them in full.

use std::sync::Arc;

use contour_core::top::{Filter, Frame, Item, Scope, Selection, View, select};

use super::model::Looks;

/// What one can be at.
#[derive(Clone, Debug)]
pub(super) enum Page {
    /// Rows.
    Table(Table),
    /// One of them in full.
    Detail(Detail),
}

/// Rows of a view, and the one that is chosen.
///
/// Rows are put in order when a frame comes or somebody asks for another order, never on drawing.
/// The row that was chosen stays so wherever it goes, in the same row of the screen if it can.
/// Before one was chosen, it is the first, whichever that is.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) view: View,
    /// The part of the view that one went into.
    pub(super) scope: Option<Scope>,
    pub(super) filter: Filter,
    /// Indices in the frame.
    pub(super) rows: Vec<usize>,
    /// How many rows there are without the filter.
    pub(super) total: usize,
    pub(super) cursor: usize,
    /// The first row on the screen.
    pub(super) top: usize,
    /// The key of the row that was chosen.
    chosen: Option<String>,
}

/// A row in full.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    pub(super) view: View,
    pub(super) key: String,
    /// The frame in which it was last.
    pub(super) frame: Arc<Frame>,
    index: usize,
    /// Whether it is not in the present frame.
    pub(super) gone: bool,
    /// The first line on the screen.
    pub(super) scroll: usize,
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The row, or line, above.
    Up,
    /// The one below.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// Half a screen up.
    HalfUp,
    /// Half a screen down.
    HalfDown,
    /// To the begin.
    First,
    /// To the end.
    Last,
}

impl Move {
    /// Where that is, from a row of which there are so many on a screen.
    pub(super) fn target(self, now: usize, page: usize, last: usize) -> usize {
        let half = page.div_ceil(2);
        let to = match self {
            Self::Up => now.saturating_sub(1),
            Self::Down => now.saturating_add(1),
            Self::PageUp => now.saturating_sub(page),
            Self::PageDown => now.saturating_add(page),
            Self::HalfUp => now.saturating_sub(half),
            Self::HalfDown => now.saturating_add(half),
            Self::First => 0,
            Self::Last => last,
        };
        to.min(last)
    }
}

/// The first row on a screen of so many, so that the cursor is on it.
pub(super) fn first(top: usize, cursor: usize, rows: usize, height: usize) -> usize {
    let least = cursor.saturating_add(1).saturating_sub(height);
    top.min(rows.saturating_sub(height)).max(least).min(cursor)
}

impl Table {
    pub(super) fn new(view: View) -> Self {
        Self {
            view,
            scope: None,
            filter: Filter::default(),
            rows: Vec::new(),
            total: 0,
            cursor: 0,
            top: 0,
            chosen: None,
        }
    }

    pub(super) fn within(view: View, scope: Scope) -> Self {
        Self { scope: Some(scope), ..Self::new(view) }
    }

    /// Puts the rows of a frame in order.
    pub(super) fn order(&mut self, frame: &Frame, looks: &Looks, faults_only: bool, height: usize) {
        let below = self.cursor.saturating_sub(self.top);
        let all = Selection { scope: self.scope.clone(), ..Selection::default() };
        let selection =
            Selection { filter: self.filter.clone(), faults_only, sort: looks.sort, ..all.clone() };
        self.rows = select(frame, self.view, &selection);
        self.total = if self.scope.is_none() {
            frame.len(self.view)
        } else {
            select(frame, self.view, &all).len()
        };
        self.cursor = self.found(frame).unwrap_or(self.cursor);
        self.top = self.cursor.saturating_sub(below);
        if self.chosen.is_some() {
            self.choose(frame, self.cursor, height);
        } else {
            (self.cursor, self.top) = (0, 0);
        }
    }

    /// Where the row is now that was chosen.
    fn found(&self, frame: &Frame) -> Option<usize> {
        let chosen = self.chosen.as_deref()?;
        let is_it =
            |index: &usize| frame.item(self.view, *index).is_some_and(|item| item.key() == chosen);
        // Most often it is where it was.
        if self.rows.get(self.cursor).is_some_and(is_it) {
            return Some(self.cursor);
        }
        self.rows.iter().position(is_it)
    }

    /// Chooses a row, or the last one if there are fewer.
    pub(super) fn choose(&mut self, frame: &Frame, row: usize, height: usize) {
        self.cursor = row.min(self.rows.len().saturating_sub(1));
        self.top = first(self.top, self.cursor, self.rows.len(), height);
        // While no row is shown, the one that was chosen may come back.
        if let Some(item) = self.selected(frame) {
            self.chosen = Some(item.key());
        }
    }

    /// Chooses the first row, whichever that will be.
    pub(super) fn choose_first(&mut self) {
        (self.cursor, self.top, self.chosen) = (0, 0, None);
    }

    pub(super) fn selected<'a>(&self, frame: &'a Frame) -> Option<Item<'a>> {
        frame.item(self.view, *self.rows.get(self.cursor)?)
    }

    /// The key by which a page that was left can find its rows again does not change meanwhile.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
    }
}

impl Detail {
    /// A row of a frame.
    pub(super) fn of(frame: &Arc<Frame>, table: &Table) -> Option<Self> {
        let index = *table.rows.get(table.cursor)?;
        let item = frame.item(table.view, index)?;
        Some(Self {
            view: table.view,
            key: item.key(),
            frame: Arc::clone(frame),
            index,
            gone: false,
            scroll: 0,
        })
    }

    pub(super) fn item(&self) -> Option<Item<'_>> {
        self.frame.item(self.view, self.index)
    }

    /// What it is called.
    pub(super) fn title(&self) -> String {
        match self.item() {
            Some(Item::Event(event)) => format!("{} {}", event.reason, event.object),
            Some(_) | None => self.key.clone(),
        }
    }

    /// Looks for the row in another frame.
    pub(super) fn follow(&mut self, frame: &Arc<Frame>) {
        let is_it = |item: Item<'_>| item.key() == self.key;
        let same = frame.item(self.view, self.index).filter(|item| is_it(*item));
        let found = same.map(|_| self.index).or_else(|| frame.items(self.view).position(is_it));
        self.gone = found.is_none();
        if let Some(index) = found {
            (self.index, self.frame) = (index, Arc::clone(frame));
        }
    }
}
