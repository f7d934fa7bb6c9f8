//! What the view of everything knows, hears, and asks for.

use std::sync::Arc;

use contour_core::name::ObjectName;
use contour_core::shift::weights::Place;
use contour_core::top::{Column, Filter, Frame, Item, View};

use super::page::{Detail, Page, Table};
use super::prompt::Prompt;
use crate::key::Key;
use crate::text;
use crate::theme::{Palette, Theme, Tone};

/// How long a notice stays, in milliseconds; a key ends it sooner.
const NOTICE: u64 = 8_000;

/// How it begins, as flags have it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whose numbers are shown, in words: the context, or a file.
    pub location: String,
    /// The view that is shown first. Filter, order and columns are its.
    pub view: View,
    /// Which of its rows.
    pub filter: Filter,
    /// By which column they are ordered, and whether the largest come first.
    pub sort: Option<(&'static Column, bool)>,
    /// Its columns, in order; unset for those that it has by itself.
    pub columns: Option<Vec<&'static Column>>,
    /// Whether every view has its wide columns too.
    pub wide: bool,
    /// Whether only those rows are shown that are not well, in every view.
    pub faults_only: bool,
    /// How often a frame is made, in milliseconds.
    pub interval_millis: u32,
    /// Why no shift can be opened from here, if none can.
    pub no_shift: Option<String>,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The time, in milliseconds since the Unix epoch, by the clock of the frames.
    pub now_unix_millis: u64,
}

/// What it hears.
#[derive(Clone, Debug)]
pub enum Event {
    /// What there is to be seen now.
    Frame(Arc<Frame>),
    /// A key was pressed.
    Key(Key),
    /// The mouse was used.
    Mouse(Mouse),
    /// The terminal has so many columns and rows.
    Resize(u16, u16),
    /// The time, in milliseconds since the Unix epoch, by the clock of the frames.
    Tick(u64),
    /// Something to be told, such as what became of an effect.
    Notice(String, Tone),
}

/// What was done with the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button was pressed in this column and row, counted from 0.
    Click(u16, u16),
    /// The wheel was turned away.
    WheelUp,
    /// The wheel was turned towards oneself.
    WheelDown,
}

/// What is to be done for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Clear the screen, and draw all of it.
    Redraw,
    /// Stop the process until the shell lets it go on, the terminal being its own meanwhile.
    Suspend,
    /// Make a frame every so many milliseconds.
    Interval(u32),
    /// Make a frame now.
    Refresh,
    /// Leave the screen to the panel of a shift, and come back.
    OpenShift {
        /// The object.
        object: ObjectName,
        /// The place in it, if one was chosen.
        place: Option<Place>,
    },
    /// Write this to a file as JSON, and tell its name by a notice.
    Export(Arc<Frame>),
}

/// One of something for each view.
#[derive(Clone, Debug)]
pub(super) struct Each<T>([T; 7]);

impl<T> Each<T> {
    pub(super) fn new(of: impl FnMut(View) -> T) -> Self {
        Self(View::ALL.map(of))
    }

    pub(super) fn get(&self, view: View) -> &T {
        let [routes, upstreams, endpoints, envoys, certificates, shifts, events] = &self.0;
        match view {
            View::Routes => routes,
            View::Upstreams => upstreams,
            View::Endpoints => endpoints,
            View::Envoys => envoys,
            View::Certificates => certificates,
            View::Shifts => shifts,
            View::Events => events,
        }
    }

    pub(super) fn get_mut(&mut self, view: View) -> &mut T {
        let [routes, upstreams, endpoints, envoys, certificates, shifts, events] = &mut self.0;
        match view {
            View::Routes => routes,
            View::Upstreams => upstreams,
            View::Endpoints => endpoints,
            View::Envoys => envoys,
            View::Certificates => certificates,
            View::Shifts => shifts,
            View::Events => events,
        }
    }
}

/// How tables of a view look, wherever they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// By which column rows are ordered, and whether the largest come first.
    pub(super) sort: Option<(&'static Column, bool)>,
    /// The columns that somebody chose.
    pub(super) columns: Option<Vec<&'static Column>>,
    pub(super) wide: bool,
}

impl Looks {
    /// The columns that are shown if there is room.
    pub(super) fn columns(&self, view: View) -> Vec<&'static Column> {
        let by_itself = || view.columns().iter().filter(|c| self.wide || !c.wide).collect();
        self.columns.clone().unwrap_or_else(by_itself)
    }
}

/// What is shown in front of a page.
#[derive(Clone, Debug)]
pub(super) enum Overlay {
    /// The line in which a filter is written.
    Filter(Prompt),
    /// The columns to choose from, and the row of the cursor.
    Columns(usize),
    /// All warnings, and the row of the cursor.
    Warnings(usize),
    /// The keys, and the first line that is shown.
    Help(usize),
    /// The language of filters, and the first line that is shown.
    Language(usize),
}

/// Something that is told for a while.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) tone: Tone,
    until: u64,
}

/// Its state.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) location: String,
    pub(super) no_shift: Option<String>,
    pub(super) now: u64,
    pub(super) size: (u16, u16),
    /// What is shown.
    pub(super) frame: Option<Arc<Frame>>,
    /// What came since then, while it is frozen.
    pub(super) newer: Option<Arc<Frame>>,
    pub(super) frozen: bool,
    pub(super) interval_millis: u32,
    pub(super) faults_only: bool,
    pub(super) looks: Each<Looks>,
    /// The view on whose tab one is.
    pub(super) tab: View,
    /// The table that each tab begins with.
    pub(super) roots: Each<Table>,
    /// The pages that one went into from there, the last of which is shown.
    pub(super) path: Vec<Page>,
    /// Where one was before.
    pub(super) before: Option<(View, Vec<Page>)>,
    /// What is in front of the page, the last one foremost.
    pub(super) overlays: Vec<Overlay>,
    pub(super) notice: Option<Notice>,
    /// How often another palette was asked for.
    pub(super) palettes: usize,
}

impl Model {
    /// One that has heard nothing yet.
    pub fn new(options: Options) -> Self {
        let view = options.view;
        let mut looks = Each::new(|_| Looks { wide: options.wide, ..Looks::default() });
        let mut roots = Each::new(Table::new);
        let own: &mut Looks = looks.get_mut(view);
        (own.sort, own.columns) = (options.sort, options.columns.filter(|c| !c.is_empty()));
        roots.get_mut(view).filter = options.filter;
        Self {
            location: text::one_line(&options.location),
            no_shift: options.no_shift,
            now: options.now_unix_millis,
            size: options.size,
            frame: None,
            newer: None,
            frozen: false,
            interval_millis: options.interval_millis,
            faults_only: options.faults_only,
            looks,
            tab: view,
            roots,
            path: Vec::new(),
            before: None,
            overlays: Vec::new(),
            notice: None,
            palettes: 0,
        }
    }

    /// What is shown.
    pub fn frame(&self) -> Option<&Arc<Frame>> {
        self.frame.as_ref()
    }

    /// What the rows, or the row, on the page are of.
    pub fn view(&self) -> View {
        match self.path.last() {
            Some(Page::Table(table)) => table.view,
            Some(Page::Detail(detail)) => detail.view,
            None => self.tab,
        }
    }

    /// The row that is chosen, or described.
    pub fn selected(&self) -> Option<Item<'_>> {
        match self.path.last() {
            Some(Page::Detail(detail)) => detail.item(),
            Some(Page::Table(_)) | None => {
                let frame = self.frame.as_deref()?;
                self.table().and_then(|table| table.selected(frame))
            }
        }
    }

    /// How many rows are shown, and of how many.
    pub fn count(&self) -> Option<(usize, usize)> {
        self.table().map(|table| (table.rows.len(), table.total))
    }

    /// Whether what comes is kept aside.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// A theme with the palette that was asked for since.
    pub fn theme(&self, theme: Theme) -> Theme {
        let next = |palette| match palette {
            Palette::Color => Palette::Safe,
            Palette::Safe => Palette::Mono,
            Palette::Mono => Palette::Color,
        };
        Theme { palette: (0..self.palettes % 3).fold(theme.palette, |p, _| next(p)), ..theme }
    }

    /// The table on the page, unless a row is described there.
    pub(super) fn table(&self) -> Option<&Table> {
        match self.path.last() {
            Some(Page::Table(table)) => Some(table),
            Some(Page::Detail(_)) => None,
            None => Some(self.roots.get(self.tab)),
        }
    }

    pub(super) fn table_mut(&mut self) -> Option<&mut Table> {
        match self.path.last_mut() {
            Some(Page::Table(table)) => Some(table),
            Some(Page::Detail(_)) => None,
            None => Some(self.roots.get_mut(self.tab)),
        }
    }

    pub(super) fn detail(&self) -> Option<&Detail> {
        match self.path.last() {
            Some(Page::Detail(detail)) => Some(detail),
            Some(Page::Table(_)) | None => None,
        }
    }

    pub(super) fn tell(&mut self, text: &str, tone: Tone) {
        let until = self.now.saturating_add(NOTICE);
        self.notice = Some(Notice { text: text::one_line(text), tone, until });
    }

    pub(super) fn tick(&mut self, now: u64) {
        self.now = now;
        if self.notice.as_ref().is_some_and(|notice| notice.until <= now) {
            self.notice = None;
        }
    }
}
