//! What the panel looks like.
//!
//! Parts are made as lines for a width, and then as many of each are shown as there is height for:
//! what matters most first ([`page`]).

mod table;
mod page;
mod phase;
mod plan;
mod traffic;
mod gates;
mod keys;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::model::{Model, Severity, Snapshot};
use crate::text;
use crate::theme::{Glyphs, Theme, Tone};
use page::Section;

/// Below this many columns or rows there is one line.
const LEAST: (u16, u16) = (24, 4);
/// From this many columns on there is a margin and there are labels.
const ROOMY: u16 = 60;
/// The columns of a label.
const LABEL: usize = 8;
/// Words that are longer take so many lines at most.
const LINES_MAX: usize = 3;
/// Below so many rows gates have one line, and words two.
const TALL: usize = 16;

/// Draws the panel, which changes nothing.
pub fn view(model: &Model, theme: Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let margin = u16::from(area.width >= ROOMY);
    let inner = Rect { x: area.x + margin, width: area.width.saturating_sub(2 * margin), ..area };
    let pen = Pen {
        model,
        theme,
        width: usize::from(inner.width),
        height: usize::from(inner.height),
        roomy: margin > 0,
    };
    let lines = if area.width < LEAST.0 || area.height < LEAST.1 {
        vec![pen.tiny()]
    } else if model.help {
        keys::help(pen)
    } else {
        page::fit(pen.sections(), pen)
    };
    let buffer = frame.buffer_mut();
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        buffer.set_line(inner.x, y, line, inner.width);
    }
    theme.settle(buffer);
}

/// What lines are made with.
#[derive(Clone, Copy)]
struct Pen<'a> {
    model: &'a Model,
    theme: Theme,
    /// The columns of a line.
    width: usize,
    /// The rows of the screen.
    height: usize,
    /// Whether there is room for labels.
    roomy: bool,
}

impl<'a> Pen<'a> {
    fn glyphs(self) -> &'static Glyphs {
        self.theme.glyphs()
    }

    fn span(self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        self.theme.span(text, tone)
    }

    fn line(self, text: impl Into<String>, tone: Tone) -> Line<'static> {
        Line::from(self.span(text, tone))
    }

    fn shorten(self, text: &str, columns: usize) -> String {
        self.theme.shorten(text, columns)
    }

    fn snapshot(self) -> Option<&'a Snapshot> {
        self.model.snapshot.as_deref()
    }

    /// The beginning of a text, and that something is missing.
    fn clip(self, text: &str, columns: usize) -> String {
        self.theme.clip(text, columns)
    }

    /// A text as at most so many lines, and that something is missing.
    fn wrap(self, text: &str, columns: usize, most: usize) -> Vec<String> {
        let mut lines = text::wrap(&text::one_line(text), columns);
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                let ellipsis = self.glyphs().ellipsis;
                *last = text::head(last, columns.saturating_sub(text::width(ellipsis))) + ellipsis;
            }
        }
        lines
    }

    fn lines_max(self) -> usize {
        if self.height < TALL { 2 } else { LINES_MAX }
    }

    /// How what was seen looks, if it may not be so any more.
    fn seen(self, tone: Tone) -> Tone {
        if self.model.stale.is_some() { Tone::Faint } else { tone }
    }

    /// The columns beside a label.
    fn beside(self) -> usize {
        if self.roomy { self.width.saturating_sub(LABEL) } else { self.width }
    }

    /// Lines with a label before the first.
    fn labelled(self, label: &str, lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
        if !self.roomy {
            return lines;
        }
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        let lines = lines.into_iter().zip(labels).map(|(mut line, label)| {
            line.spans.insert(0, self.span(format!("{label:LABEL$}"), Tone::Faint));
            line
        });
        lines.collect()
    }

    /// Words as lines beside a label.
    fn words(self, label: &str, words: &str, tone: Tone) -> Vec<Line<'static>> {
        let lines = self.wrap(words, self.beside(), self.lines_max());
        let lines = lines.into_iter().map(|line| self.line(line, tone)).collect();
        self.labelled(label, lines)
    }

    /// Words that must not be overlooked, over the whole width.
    fn banner(self, words: &str, tone: Tone, most: usize) -> Vec<Line<'static>> {
        let style = self.theme.banner(tone);
        let lines = self.wrap(words, self.width.saturating_sub(2), most);
        let fill = |line: String| {
            let blank = self.width.saturating_sub(text::width(&line) + 1);
            Line::from(Span::styled(format!(" {line}{}", " ".repeat(blank)), style))
        };
        lines.into_iter().map(fill).collect()
    }

    /// The share and the phase, or what is asked.
    fn tiny(self) -> Line<'static> {
        if let Some(question) = self.model.question {
            return self.line(keys::question(question, self), Tone::Warn);
        }
        let Some(snapshot) = self.snapshot() else { return self.line("-", Tone::Plain) };
        let mark = if self.model.stale.is_some() { self.glyphs().warn } else { "" };
        let (share, name) = (plan::share(&snapshot.state), snapshot.phase().name());
        self.line(format!("{mark}{share} {name}"), Tone::Strong)
    }

    /// All parts, from top to bottom.
    fn sections(self) -> Vec<Section> {
        let mut sections = vec![Section::new(3, self.title()).least(1)];
        if let Some(snapshot) = self.snapshot() {
            sections.push(Section::new(9, self.about(snapshot)).least(0));
            sections.push(Section::new(1, self.banners(snapshot)));
            sections.push(Section::new(2, plan::lines(self, snapshot)).apart());
            sections.push(Section::new(0, phase::lines(self, snapshot)).least(1));
            sections.push(Section::new(4, traffic::fleet(self, snapshot)).least(1));
            sections.push(Section::new(5, traffic::sides(self, snapshot)).apart());
            sections.push(Section::new(8, traffic::places(self, snapshot)).least(0).cut());
            let gates = if self.height < TALL { gates::brief } else { gates::lines };
            sections.push(Section::new(6, gates(self, snapshot)).least(3).apart().cut());
        } else {
            let words = "nothing is known of the shift yet";
            sections.push(Section::new(0, vec![self.line(words, Tone::Plain)]).apart());
            sections.push(Section::new(1, self.stale()));
        }
        let told = self.told();
        sections.push(Section::new(7, told).least(4).apart().tail());
        sections.push(Section::new(0, keys::prompt(self)).bottom());
        sections.push(Section::new(3, keys::footer(self)).least(1).bottom());
        sections
    }

    fn title(self) -> Vec<Line<'static>> {
        let Some(snapshot) = self.snapshot() else {
            return vec![self.line("shift", Tone::Strong)];
        };
        let name = text::one_line(&format!("shift {}", snapshot.object));
        let location = text::one_line(&snapshot.location);
        let rest = self.width.saturating_sub(text::width(&name) + 2);
        if text::width(&location) > rest {
            return vec![
                self.line(self.shorten(&name, self.width), Tone::Strong),
                self.line(self.shorten(&location, self.width), Tone::Plain),
            ];
        }
        let gap = " ".repeat(rest - text::width(&location) + 2);
        let spans = [
            self.span(name, Tone::Strong),
            self.span(gap, Tone::Plain),
            self.span(location, Tone::Plain),
        ];
        vec![Line::from_iter(spans)]
    }

    /// Who moves traffic, why, and whose.
    fn about(self, snapshot: &Snapshot) -> Vec<Line<'static>> {
        let charter = &snapshot.state.charter;
        let mut parts = vec![match charter.reason.as_str() {
            "" => format!("by {}", charter.operator),
            reason => format!("by {}: {reason}", charter.operator),
        }];
        if !snapshot.hosts.is_empty() {
            parts.push(snapshot.hosts.join(", "));
        }
        let dot = format!(" {} ", self.glyphs().dot);
        let lines = self.wrap(&parts.join(&dot), self.width, LINES_MAX);
        lines.into_iter().map(|line| self.line(line, Tone::Faint)).collect()
    }

    fn banners(self, snapshot: &Snapshot) -> Vec<Line<'static>> {
        let mut lines = self.stale();
        if let Some((head, words, tone)) = phase::ended(snapshot) {
            let mark = self.mark(tone);
            let words = format!("{mark} {head}: {words}");
            lines.extend(self.banner(&words, tone, self.lines_max()));
        }
        lines
    }

    fn stale(self) -> Vec<Line<'static>> {
        let Some(why) = &self.model.stale else { return Vec::new() };
        let age = self.snapshot().map(|s| text::span(text::since(s.now, self.model.now)));
        let age = age.map_or_else(String::new, |age| format!(" for {age}"));
        let words = format!("{} nothing is heard{age}: {why}", self.glyphs().warn);
        self.banner(&words, Tone::Warn, self.lines_max())
    }

    fn mark(self, tone: Tone) -> &'static str {
        self.theme.mark(tone)
    }

    /// What happened, newest last: no more lines than could be shown.
    fn told(self) -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> = Vec::new();
        for told in self.model.told.iter().rev().take(self.height) {
            let tone = match told.severity {
                Severity::Note => Tone::Plain,
                Severity::Good => Tone::Good,
                Severity::Warning => Tone::Warn,
                Severity::Failure => Tone::Bad,
            };
            let clock = if self.roomy { text::clock(told.at) + " " } else { String::new() };
            let indent = text::width(&clock) + 2;
            let columns = self.width.saturating_sub(indent);
            let wrapped = self.wrap(&told.text, columns, LINES_MAX);
            let mark = self.mark(tone);
            let rows = wrapped.into_iter().enumerate().map(|(row, text)| {
                let (clock, mark) = if row == 0 { (clock.as_str(), mark) } else { ("", " ") };
                Line::from_iter([
                    self.span(format!("{clock:0$}", indent - 2), Tone::Faint),
                    self.span(format!("{mark} {text}"), tone),
                ])
            });
            lines.splice(0..0, rows);
        }
        lines
    }
}
