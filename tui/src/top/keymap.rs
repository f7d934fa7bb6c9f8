//! The one table of keys: what they do, where, and in which words.

use std::fmt::Write as _;

use contour_core::top::Item;

use super::model::{Model, Overlay};
use super::page::Move;
use super::prompt::Edit;
use crate::key::Key;

/// Where keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Rows of a view.
    Table,
    /// One of them in full.
    Detail,
    /// The line in which a filter is written.
    Filter,
    /// The columns to choose from.
    Columns,
    /// The list of warnings.
    Warnings,
    /// Keys, or the language of filters.
    Help,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Table, Self::Detail, Self::Filter, Self::Columns, Self::Warnings, Self::Help];

    /// Where a model is.
    pub fn of(model: &Model) -> Self {
        match model.overlays.last() {
            Some(Overlay::Filter(_)) => Self::Filter,
            Some(Overlay::Columns(_)) => Self::Columns,
            Some(Overlay::Warnings(_)) => Self::Warnings,
            Some(Overlay::Help(_) | Overlay::Language(_)) => Self::Help,
            None if model.detail().is_some() => Self::Detail,
            None => Self::Table,
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The cursor, or what is on the page, elsewhere.
    Move(Move),
    /// Into what is chosen.
    Open,
    /// What is chosen in full.
    Describe,
    /// Out of it.
    Back,
    /// The view of a digit.
    View,
    /// The next view.
    NextView,
    /// The one before.
    PreviousView,
    /// Where one was before.
    Before,
    /// Write a filter.
    Filter,
    /// Order by the column to the right.
    SortRight,
    /// Order by the column to the left.
    SortLeft,
    /// The other way round.
    Invert,
    /// Choose columns.
    Columns,
    /// Wide columns too.
    Wide,
    /// Only what is not well.
    Faults,
    /// What is warned of.
    Warnings,
    /// Let nothing change.
    Freeze,
    /// More seldom.
    Slower,
    /// More often.
    Faster,
    /// At once.
    Refresh,
    /// The panel of a shift.
    Shift,
    /// Write all of it to a file.
    Export,
    /// Other colours.
    Theme,
    /// Explain the keys.
    Help,
    /// Draw all of the screen.
    Redraw,
    /// Stop the process for a while.
    Suspend,
    /// Leave.
    Quit,
    /// Show or hide a column.
    Toggle,
    /// The columns that a view has by itself.
    Default,
    /// Keep the filter.
    Accept,
    /// Drop the filter.
    Clear,
    /// Explain the language of filters.
    Language,
    /// What is written.
    Edit(Edit),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys, the first of which is shown in the footer.
    pub keys: &'static [Key],
    /// What they ask for.
    pub act: Act,
    /// Where they do.
    pub modes: &'static [Mode],
    /// In a word or two.
    pub label: &'static str,
    /// In a sentence.
    pub help: &'static str,
    /// Which go first from the footer where there is little room: those with more. With 0 it
    /// stays, with [`HIDDEN`] it is never there.
    pub rank: u8,
}

/// The rank of what the footer never has.
pub const HIDDEN: u8 = u8::MAX;

const PAGES: &[Mode] = &[Mode::Table, Mode::Detail];
const TABLE: &[Mode] = &[Mode::Table];
const FILTER: &[Mode] = &[Mode::Filter];
const SCROLLED: &[Mode] = &[Mode::Table, Mode::Detail, Mode::Columns, Mode::Warnings, Mode::Help];
const EXPLAINED: &[Mode] = &[Mode::Table, Mode::Detail, Mode::Columns, Mode::Warnings];

const fn bind(
    keys: &'static [Key],
    act: Act,
    modes: &'static [Mode],
    (label, help): (&'static str, &'static str),
    rank: u8,
) -> Binding {
    Binding { keys, act, modes, label, help, rank }
}

const VIEWS: [Key; 7] = [
    Key::Char('1'),
    Key::Char('2'),
    Key::Char('3'),
    Key::Char('4'),
    Key::Char('5'),
    Key::Char('6'),
    Key::Char('7'),
];

/// All keys, in the order in which they are explained.
pub const BINDINGS: &[Binding] = &[
    bind(
        &[Key::Enter],
        Act::Open,
        TABLE,
        (
            "open",
            "go in: from a route to its upstreams, from these to their endpoints, from a shift to \
             its routes, from others to all that is known of them",
        ),
        1,
    ),
    bind(&[Key::Char('d')], Act::Describe, TABLE, ("describe", "all that is known of the row"), 8),
    bind(
        &[Key::Esc, Key::Backspace],
        Act::Back,
        PAGES,
        ("back", "drop the filter; where there is none, go back"),
        1,
    ),
    bind(&VIEWS, Act::View, PAGES, ("view", "the view of that number"), HIDDEN),
    bind(&[Key::Tab], Act::NextView, PAGES, ("next view", "the next view"), HIDDEN),
    bind(&[Key::BackTab], Act::PreviousView, PAGES, ("view before", "the view before"), HIDDEN),
    bind(&[Key::Char('-')], Act::Before, PAGES, ("last view", "where one was before"), HIDDEN),
    bind(
        &[Key::Char('/')],
        Act::Filter,
        TABLE,
        ("filter", "show only some rows; ? explains how to say which"),
        2,
    ),
    bind(
        &[Key::Char('!')],
        Act::Faults,
        PAGES,
        ("faults", "only what is not well, in every view, or all again"),
        4,
    ),
    bind(
        &[Key::Char('>'), Key::Right],
        Act::SortRight,
        TABLE,
        ("sort", "order by the next column"),
        3,
    ),
    bind(
        &[Key::Char('<'), Key::Left],
        Act::SortLeft,
        TABLE,
        ("sort back", "order by the column before"),
        HIDDEN,
    ),
    bind(
        &[Key::Char('r'), Key::Char('I')],
        Act::Invert,
        TABLE,
        ("invert", "order the other way round"),
        10,
    ),
    bind(&[Key::Char('c')], Act::Columns, TABLE, ("columns", "choose the columns of the view"), 9),
    bind(&[Key::Char('w')], Act::Wide, TABLE, ("wide", "the wide columns too, or not"), 11),
    bind(
        &[Key::Char('W')],
        Act::Warnings,
        PAGES,
        ("warnings", "list what somebody should look at, and go to its rows"),
        6,
    ),
    bind(
        &[Key::Char(' '), Key::Char('f')],
        Act::Freeze,
        PAGES,
        ("freeze", "keep what is shown, or go on with what came meanwhile"),
        7,
    ),
    bind(
        &[Key::Char('s')],
        Act::Shift,
        PAGES,
        ("shift", "open the panel of a shift of the route"),
        5,
    ),
    bind(
        &[Key::Char('e')],
        Act::Export,
        PAGES,
        ("export", "write all that is known now to a file, as JSON"),
        12,
    ),
    bind(&[Key::Char('[')], Act::Faster, PAGES, ("faster", "look more often"), HIDDEN),
    bind(&[Key::Char(']')], Act::Slower, PAGES, ("slower", "look less often"), HIDDEN),
    bind(&[Key::Ctrl('r')], Act::Refresh, PAGES, ("refresh", "look now"), HIDDEN),
    bind(
        &[Key::Char('t')],
        Act::Theme,
        PAGES,
        ("theme", "other colours: usual, told apart by everybody, none"),
        13,
    ),
    bind(&[Key::Up, Key::Char('k')], Act::Move(Move::Up), SCROLLED, ("up", "up"), HIDDEN),
    bind(&[Key::Down, Key::Char('j')], Act::Move(Move::Down), SCROLLED, ("down", "down"), HIDDEN),
    bind(
        &[Key::PageUp, Key::Ctrl('b')],
        Act::Move(Move::PageUp),
        SCROLLED,
        ("page up", "a screen up"),
        HIDDEN,
    ),
    bind(
        &[Key::PageDown, Key::Ctrl('f')],
        Act::Move(Move::PageDown),
        SCROLLED,
        ("page down", "a screen down"),
        HIDDEN,
    ),
    bind(
        &[Key::Ctrl('u')],
        Act::Move(Move::HalfUp),
        SCROLLED,
        ("half up", "half a screen up"),
        HIDDEN,
    ),
    bind(
        &[Key::Ctrl('d')],
        Act::Move(Move::HalfDown),
        SCROLLED,
        ("half down", "half a screen down"),
        HIDDEN,
    ),
    bind(
        &[Key::Home, Key::Char('g')],
        Act::Move(Move::First),
        SCROLLED,
        ("first", "to the begin; in a table, the first row whichever it will be"),
        HIDDEN,
    ),
    bind(
        &[Key::End, Key::Char('G')],
        Act::Move(Move::Last),
        SCROLLED,
        ("last", "to the end"),
        HIDDEN,
    ),
    bind(&[Key::Enter], Act::Accept, FILTER, ("keep", "keep the filter"), 1),
    bind(&[Key::Esc], Act::Clear, FILTER, ("drop", "drop the filter"), 1),
    bind(
        &[Key::Tab],
        Act::Edit(Edit::Complete),
        FILTER,
        ("complete", "complete the name of a column"),
        2,
    ),
    bind(
        &[Key::Char('?')],
        Act::Language,
        FILTER,
        ("explain", "explain how to say which rows, where a term could begin"),
        0,
    ),
    bind(&[Key::Left], Act::Edit(Edit::Left), FILTER, ("left", "to the left"), HIDDEN),
    bind(&[Key::Right], Act::Edit(Edit::Right), FILTER, ("right", "to the right"), HIDDEN),
    bind(
        &[Key::Home, Key::Ctrl('a')],
        Act::Edit(Edit::Home),
        FILTER,
        ("begin", "to the begin"),
        HIDDEN,
    ),
    bind(&[Key::End, Key::Ctrl('e')], Act::Edit(Edit::End), FILTER, ("end", "to the end"), HIDDEN),
    bind(
        &[Key::Backspace, Key::Ctrl('h')],
        Act::Edit(Edit::Erase),
        FILTER,
        ("erase", "erase the character before the cursor"),
        HIDDEN,
    ),
    bind(
        &[Key::Delete],
        Act::Edit(Edit::Delete),
        FILTER,
        ("delete", "erase the one after it"),
        HIDDEN,
    ),
    bind(
        &[Key::Ctrl('w')],
        Act::Edit(Edit::EraseWord),
        FILTER,
        ("erase word", "erase the word"),
        HIDDEN,
    ),
    bind(
        &[Key::Ctrl('u')],
        Act::Edit(Edit::EraseLine),
        FILTER,
        ("erase line", "erase the line"),
        HIDDEN,
    ),
    bind(
        &[Key::Char(' ')],
        Act::Toggle,
        &[Mode::Columns],
        ("show or hide", "show the column, or hide it"),
        1,
    ),
    bind(
        &[Key::Char('r'), Key::Backspace],
        Act::Default,
        &[Mode::Columns],
        ("reset", "the columns that the view has by itself"),
        2,
    ),
    bind(
        &[Key::Esc, Key::Enter, Key::Char('c'), Key::Char('q')],
        Act::Back,
        &[Mode::Columns],
        ("close", "go back to the table"),
        1,
    ),
    bind(&[Key::Enter], Act::Open, &[Mode::Warnings], ("rows", "go to the rows it is about"), 1),
    bind(
        &[Key::Esc, Key::Char('W'), Key::Char('q'), Key::Backspace],
        Act::Back,
        &[Mode::Warnings],
        ("close", "go back to the page"),
        1,
    ),
    bind(
        &[Key::Esc, Key::Char('?'), Key::Char('q'), Key::Char('h'), Key::Enter, Key::Backspace],
        Act::Back,
        &[Mode::Help],
        ("close", "go back"),
        0,
    ),
    bind(&[Key::Char('?'), Key::Char('h')], Act::Help, EXPLAINED, ("help", "explain the keys"), 0),
    bind(&[Key::Ctrl('l')], Act::Redraw, &Mode::ALL, ("redraw", "draw all of it again"), HIDDEN),
    bind(
        &[Key::Ctrl('z')],
        Act::Suspend,
        &Mode::ALL,
        ("suspend", "go back to the shell; fg returns here"),
        HIDDEN,
    ),
    bind(&[Key::Char('q')], Act::Quit, PAGES, ("quit", "leave"), 0),
    bind(&[Key::Ctrl('c')], Act::Quit, &Mode::ALL, ("quit", "leave, from everywhere"), HIDDEN),
];

/// Intervals to choose from, in milliseconds.
const INTERVALS: [u32; 8] = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000];

/// The next interval that is longer, or shorter.
pub(super) fn interval(now: u32, longer: bool) -> Option<u32> {
    if longer {
        INTERVALS.into_iter().find(|interval| *interval > now)
    } else {
        INTERVALS.into_iter().rev().find(|interval| *interval < now)
    }
}

impl Binding {
    /// What a key does where a model is.
    pub fn of(key: Key, mode: Mode) -> Option<&'static Self> {
        BINDINGS.iter().find(|b| b.modes.contains(&mode) && b.keys.contains(&key))
    }

    /// Its keys as they are shown.
    pub fn names(&self) -> String {
        let name = |key: Option<&Key>| key.map_or_else(String::new, |key| key.name());
        if self.act == Act::View {
            return format!("{}-{}", name(self.keys.first()), name(self.keys.last()));
        }
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
    }

    /// What it does now, in a word or two.
    pub fn label(&self, model: &Model) -> &'static str {
        match (self.act, model.selected()) {
            (Act::Open, _) if Mode::of(model) != Mode::Table => self.label,
            (Act::Open, Some(Item::Route(_))) => "upstreams",
            (Act::Open, Some(Item::Upstream(_))) => "endpoints",
            (Act::Open, Some(Item::Shift(_))) => "routes",
            (Act::Open, Some(_)) => "describe",
            (Act::Freeze, _) if model.frozen => "go on",
            (Act::Faults, _) if model.faults_only => "all",
            (Act::Back, _) if is_filtered(model) && model.overlays.is_empty() => "drop filter",
            (_, _) => self.label,
        }
    }
}

/// Whether something makes sense now, and why not.
type Condition = fn(&Model) -> Result<(), String>;

/// When something makes sense; what is not here always does.
const CONDITIONS: &[(Act, Condition)] = &[
    (Act::Open, |model| {
        let listed = Mode::of(model) == Mode::Warnings;
        given(listed || model.selected().is_some(), "no row is chosen")
    }),
    (Act::Describe, |model| given(model.selected().is_some(), "no row is chosen")),
    (Act::Back, |model| {
        let inside = !model.overlays.is_empty() || !model.path.is_empty();
        given(is_filtered(model) || inside, "there is nothing to go back to; q leaves")
    }),
    (Act::Before, |model| given(model.before.is_some(), "there was no view before")),
    (Act::Invert, |model| {
        let sorted = model.looks.get(model.view()).sort.is_some();
        given(sorted, "no column was chosen to order by: > does")
    }),
    (Act::Warnings, |model| {
        let warned = model.frame.as_ref().is_some_and(|frame| !frame.warnings.is_empty());
        given(warned, "nothing is warned of")
    }),
    (Act::Shift, |model| match (model.selected(), &model.no_shift) {
        (Some(Item::Route(_) | Item::Shift(_)), None) => Ok(()),
        (Some(Item::Route(_) | Item::Shift(_)), Some(why)) => Err(why.clone()),
        (_, _) => Err("only a route can be shifted".to_owned()),
    }),
    (Act::Export, |model| given(model.frame.is_some(), "nothing is known yet")),
    (Act::Faster, |model| {
        let next = interval(model.interval_millis, false);
        given(next.is_some(), "it looks as often as it can")
    }),
    (Act::Slower, |model| {
        let next = interval(model.interval_millis, true);
        given(next.is_some(), "it looks as seldom as it can")
    }),
];

fn is_filtered(model: &Model) -> bool {
    model.table().is_some_and(|table| !table.filter.is_empty())
}

fn given(sensible: bool, otherwise: &str) -> Result<(), String> {
    if sensible { Ok(()) } else { Err(otherwise.to_owned()) }
}

impl Act {
    /// Whether it makes sense now.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    pub fn sense(self, model: &Model) -> Result<(), String> {
        let condition = CONDITIONS.iter().find(|(act, _)| *act == self);
        condition.map_or(Ok(()), |(_, condition)| condition(model))
    }
}

/// The keys as a section of docs/top.md.
pub fn markdown() -> String {
    let mut text = String::new();
    for (title, mode) in [
        ("In tables, and where a row is described", Mode::Table),
        ("While a filter is written", Mode::Filter),
        ("While columns are chosen", Mode::Columns),
        ("In the list of warnings", Mode::Warnings),
    ] {
        writeln!(text, "{title}:\n\n| Key | What it does |\n| --- | --- |").unwrap_or_default();
        let own = |b: &&Binding| {
            b.modes.contains(&mode) && (mode == Mode::Table || !b.modes.contains(&Mode::Table))
        };
        for binding in BINDINGS.iter().filter(own) {
            let keys = binding.keys.iter().map(|key| format!("`{}`", key.name()));
            let keys = if binding.act == Act::View {
                format!("`{}`", binding.names())
            } else {
                keys.collect::<Vec<_>>().join(" ")
            };
            writeln!(text, "| {keys} | {} |", binding.help).unwrap_or_default();
        }
        text.push('\n');
    }
    text
}
