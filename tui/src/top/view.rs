//! What it looks like.
//!
//! Nothing is drawn that is not on the screen, and nothing is put in order here.

mod body;
mod keys;
mod status;

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::top::{Fault, SourceState};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::text::{Line, Span};

use super::layout::{Band, Layout, banners, tabs};
use super::model::{Model, Overlay};
use super::page::Page;
use crate::text;
use crate::theme::{Theme, Tone};

/// Blanks between what is at the right of a line.
const GAP: usize = 2;
/// The fewest columns for the name of where it is.
const PLACE: usize = 6;

/// Draws it, which changes nothing. The palette is the theme's until another one was asked for.
pub fn view(model: &Model, theme: Theme, frame: &mut Frame<'_>) {
    let theme = model.theme(theme);
    let area = frame.area();
    let buffer = frame.buffer_mut();
    match Layout::of(model, (area.width, area.height)) {
        Some(layout) => {
            let mut canvas = Canvas { model, theme, layout, buffer };
            canvas.header();
            canvas.tabs();
            canvas.crumbs();
            canvas.banners();
            canvas.warning();
            let seen = canvas.body();
            canvas.status(&seen);
            canvas.footer();
        }
        None => drop(buffer.set_line(0, 0, &tiny(model, theme), area.width)),
    }
    theme.settle(buffer);
}

/// The one thing that matters most.
fn tiny(model: &Model, theme: Theme) -> Line<'static> {
    if let Some(Overlay::Filter(prompt)) = model.overlays.last() {
        return Line::from(theme.span(format!("/{}", prompt.text), Tone::Plain));
    }
    let Some(frame) = model.frame.as_deref() else {
        return Line::from(theme.span("waiting", Tone::Plain));
    };
    if frame.coverage.stale_millis.is_some() {
        let words = format!("{} stale", theme.mark(Tone::Warn));
        return Line::from(theme.span(words, Tone::Warn));
    }
    let Some(worst) = frame.warnings.first() else {
        let words = format!("{} {}", theme.mark(Tone::Good), envoys(model).0);
        return Line::from(theme.span(words, Tone::Good));
    };
    let tone = tone(worst.fault);
    let words = format!("{} {}", theme.mark(tone), text::one_line(&worst.text));
    Line::from(theme.span(words, tone))
}

/// How bad something looks.
fn tone(fault: Fault) -> Tone {
    match fault {
        Fault::Warning => Tone::Warn,
        Fault::Failure => Tone::Bad,
    }
}

/// Of how many Envoys there are numbers.
fn envoys(model: &Model) -> (String, Tone) {
    let Some(coverage) = model.frame.as_deref().map(|frame| &frame.coverage) else {
        return ("Envoys -".to_owned(), Tone::Plain);
    };
    let heard = coverage.sources.iter().any(|source| source.state == SourceState::Fresh);
    match (coverage.answered, coverage.envoys) {
        (0, 0) if !heard => ("Envoys -".to_owned(), Tone::Plain),
        (0, 0) => ("Envoys 0".to_owned(), Tone::Bad),
        (all, envoys) if all == envoys => (format!("Envoys {all}/{envoys}"), Tone::Plain),
        (some, envoys) => (format!("Envoys {some}/{envoys}"), Tone::Warn),
    }
}

/// How many controllers are heard.
fn controllers(model: &Model) -> Option<(String, Tone)> {
    let sources = &model.frame.as_deref()?.coverage.sources;
    if sources.is_empty() {
        return None;
    }
    let fresh = sources.iter().filter(|source| source.state == SourceState::Fresh).count();
    let tone = if fresh < sources.len() { Tone::Warn } else { Tone::Plain };
    Some((format!("controllers {fresh}/{}", sources.len()), tone))
}

/// A short time: `500ms`, `2s`, `5m`.
fn short(millis: u64) -> String {
    if millis.is_multiple_of(1_000) {
        text::span(Duration::from_millis(millis))
    } else {
        format!("{millis}ms")
    }
}

/// What was drawn, for those who tell of it.
#[derive(Debug, Default)]
struct Seen {
    /// Columns for which there is no room.
    left_out: usize,
    /// The first and the last line, and of how many.
    lines: Option<(usize, usize, usize)>,
}

/// The screen while it is drawn.
struct Canvas<'a> {
    model: &'a Model,
    theme: Theme,
    layout: Layout,
    buffer: &'a mut Buffer,
}

impl Canvas<'_> {
    fn width(&self) -> usize {
        usize::from(self.layout.width)
    }

    /// Draws a line in a row of a band, if it has one.
    fn put(&mut self, band: Band, row: usize, line: &Line<'_>) {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        if row < band.height {
            self.buffer.set_line(self.layout.margin, band.y + row, line, self.layout.width);
        }
    }

    /// Parts at the right of a line, as many as there is room for, the first being the last to go.
    fn spread(&self, left: &str, right: Vec<(String, Tone)>) -> Line<'static> {
        let mut room = self.width().saturating_sub(PLACE.min(text::width(left)));
        let mut kept = Vec::new();
        for (words, tone) in right {
            let words = match tone {
                Tone::Warn | Tone::Bad => format!("{} {words}", self.theme.mark(tone)),
                Tone::Plain | Tone::Strong | Tone::Faint | Tone::Good | Tone::Key => words,
            };
            let Some(rest) = room.checked_sub(text::width(&words) + GAP) else { break };
            room = rest;
            kept.push((words, tone));
        }
        let used: usize = kept.iter().map(|(words, _)| text::width(words) + GAP).sum();
        let left = self.theme.shorten(left, self.width().saturating_sub(used));
        let blank = self.width().saturating_sub(used + text::width(&left));
        let mut spans: Vec<Span<'static>> =
            vec![self.theme.span(left, Tone::Strong), Span::raw(" ".repeat(blank))];
        for (words, tone) in kept {
            spans.push(Span::raw(" ".repeat(GAP)));
            spans.push(self.theme.span(words, tone));
        }
        Line::from(spans)
    }

    /// Where it is, who was heard, and when.
    fn header(&mut self) {
        let model = self.model;
        let mut parts = vec![envoys(model)];
        let now = i64::try_from(model.now / 1_000).unwrap_or(i64::MAX);
        parts.push((text::clock(Timestamp::from_unix(now)), Tone::Plain));
        parts.extend(controllers(model));
        let every = format!("every {}", short(u64::from(model.interval_millis)));
        parts.push((every, Tone::Faint));
        if let Some(frame) = model.frame.as_deref().filter(|frame| frame.window_millis > 0) {
            parts.push((format!("over {}", short(frame.window_millis)), Tone::Faint));
        }
        let line = self.spread(&model.location, parts);
        self.put(self.layout.header, 0, &line);
    }

    fn tabs(&mut self) {
        let band = self.layout.tabs;
        if band.height == 0 {
            return;
        }
        let right = self.layout.margin + self.layout.width;
        for (view, from, words) in tabs(self.model, self.layout.width) {
            let here = view == self.model.tab;
            let (words, style) = if here {
                (format!("[{words}]"), self.theme.banner(Tone::Plain))
            } else {
                (format!(" {words} "), self.theme.style(Tone::Plain))
            };
            let x = self.layout.margin + from.saturating_sub(1);
            if x < right {
                // The blank after a tab is the bracket of the next one.
                let width = if here { text::width(&words) } else { text::width(&words) - 1 };
                let room = usize::from(right - x).min(width);
                let skipped = usize::from(!here && from > 1);
                let words = words.get(skipped..).unwrap_or_default();
                let (x, room) = (x + u16::try_from(skipped).unwrap_or(0), room - skipped);
                self.buffer.set_stringn(x, band.y, words, room, style);
            }
        }
    }

    /// From where one went into what.
    fn crumbs(&mut self) {
        let mut names = vec![self.model.tab.title().to_owned()];
        for page in &self.model.path {
            match page {
                Page::Table(table) => {
                    names.extend(table.scope.as_ref().map(contour_core::top::Scope::title));
                    names.push(table.view.title().to_owned());
                }
                Page::Detail(detail) => names.push(detail.title()),
            }
        }
        let into = format!(" {} ", self.theme.glyphs().into);
        let words = text::one_line(&names.join(&into));
        let words = self.theme.shorten(&words, self.width());
        let line = Line::from(self.theme.span(words, Tone::Strong));
        self.put(self.layout.crumbs, 0, &line);
    }

    fn banners(&mut self) {
        for (row, (words, tone)) in banners(self.model).into_iter().enumerate() {
            let words = format!("{} {}", self.theme.mark(tone), text::one_line(&words));
            let words = self.theme.clip(&words, self.width().saturating_sub(2));
            let blank = self.width().saturating_sub(text::width(&words) + 1);
            let words = format!(" {words}{}", " ".repeat(blank));
            let line = Line::from(Span::styled(words, self.theme.banner(tone)));
            self.put(self.layout.banners, row, &line);
        }
    }

    /// The worst of what somebody should look at, and how many more there are.
    fn warning(&mut self) {
        let Some(frame) = self.model.frame.as_deref() else { return };
        let Some(worst) = frame.warnings.first() else { return };
        let more = match frame.warnings.len() - 1 {
            0 => "W lists it".to_owned(),
            more => format!("+{more} more, W lists them"),
        };
        let tone = tone(worst.fault);
        let words = format!("{} {}", self.theme.mark(tone), text::one_line(&worst.text));
        let room = self.width().saturating_sub(text::width(&more) + GAP);
        let (more, room) =
            if room < self.width() / 2 { (String::new(), self.width()) } else { (more, room) };
        let words = self.theme.clip(&words, room);
        let blank = self.width().saturating_sub(text::width(&words) + text::width(&more));
        let line = Line::from_iter([
            self.theme.span(words, tone),
            Span::raw(" ".repeat(blank)),
            self.theme.span(more, Tone::Faint),
        ]);
        self.put(self.layout.warning, 0, &line);
    }
}
