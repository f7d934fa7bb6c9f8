//! The line below the page: what is written, or told, or how the page was made.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Canvas, Seen};
use crate::text;
use crate::theme::Tone;
use crate::top::model::Overlay;
use crate::top::prompt::Prompt;

/// What stands before a filter.
const SIGN: &str = "/ ";

impl Canvas<'_> {
    pub(super) fn status(&mut self, seen: &Seen) {
        if let Some(Overlay::Filter(prompt)) = self.model.overlays.last() {
            let (line, cut) = self.written(prompt);
            self.put(self.layout.status, 0, &line);
            let line = self.told().unwrap_or_else(|| self.judged(prompt, cut));
            self.put(self.layout.status, 1, &line);
            return;
        }
        let line = self.told().unwrap_or_else(|| {
            let dot = format!(" {} ", self.theme.glyphs().dot);
            let words = self.made(seen).join(&dot);
            let words = self.theme.clip(&text::one_line(&words), self.width());
            Line::from(self.theme.span(words, Tone::Faint))
        });
        self.put(self.layout.status, 0, &line);
    }

    /// What is told for a while.
    fn told(&self) -> Option<Line<'static>> {
        let notice = self.model.notice.as_ref()?;
        let mark = match notice.tone {
            Tone::Good | Tone::Warn | Tone::Bad => format!("{} ", self.theme.mark(notice.tone)),
            Tone::Plain | Tone::Strong | Tone::Faint | Tone::Key => String::new(),
        };
        let words = self.theme.clip(&format!("{mark}{}", notice.text), self.width());
        Some(Line::from(self.theme.span(words, notice.tone)))
    }

    /// How the page was made.
    fn made(&self, seen: &Seen) -> Vec<String> {
        if let Some((first, last, all)) = seen.lines {
            return vec![if all == last.saturating_sub(first) + 1 {
                format!("{all} lines")
            } else {
                format!("lines {first}-{last} of {all}")
            }];
        }
        let Some(table) = self.model.table() else { return Vec::new() };
        let mut parts = Vec::new();
        if !table.rows.is_empty() {
            parts.push(format!("row {} of {}", table.cursor + 1, table.rows.len()));
        }
        let hidden = table.total.saturating_sub(table.rows.len());
        if hidden > 0 {
            parts.push(format!("{hidden} hidden"));
        }
        if !table.filter.is_empty() {
            parts.push(format!("filter {}", table.filter));
        }
        if self.model.faults_only {
            parts.push("faults only".to_owned());
        }
        let looks = self.model.looks.get(table.view);
        if let Some((column, largest_first)) = looks.sort {
            let arrow = self.theme.direction(largest_first);
            parts.push(format!("by {} {arrow}", column.heading));
        }
        match seen.left_out {
            0 => {}
            1 => parts.push("1 column left out".to_owned()),
            more => parts.push(format!("{more} columns left out")),
        }
        parts
    }

    /// What is written, and how many columns of it are beyond the left end.
    fn written(&self, prompt: &Prompt) -> (Line<'static>, usize) {
        let (before, after) = prompt.parts();
        let room = self.width().saturating_sub(text::width(SIGN) + 1);
        let shown = text::tail(before, room);
        let cut = text::width(before).saturating_sub(text::width(&shown));
        let mut rest = after.chars();
        let under = rest.next().map_or_else(|| " ".to_owned(), String::from);
        let cursor = Style::new().add_modifier(Modifier::REVERSED);
        let spans = [
            self.theme.span(SIGN, Tone::Key),
            self.theme.span(shown, Tone::Plain),
            Span::styled(under, cursor),
            self.theme.span(rest.as_str().to_owned(), Tone::Plain),
        ];
        (Line::from_iter(spans), cut)
    }

    /// What is wrong with it and where, or what it could become, or what comes of it.
    fn judged(&self, prompt: &Prompt, cut: usize) -> Line<'static> {
        if let Some(error) = &prompt.error {
            let before = prompt.text.get(..error.at).unwrap_or(&prompt.text);
            let at = (text::width(before) + text::width(SIGN)).saturating_sub(cut);
            let words = text::one_line(&error.message);
            let room = self.width().saturating_sub(at + 2);
            // Words go where they are whole: after the caret, or before it, or instead of it.
            let words = if text::width(&words) <= room || at <= text::width(SIGN) {
                format!("{}^ {words}", " ".repeat(at))
            } else if text::width(&words) < at {
                format!("{words:>0$} ^", at - 1)
            } else {
                words
            };
            return Line::from(self.theme.span(self.theme.clip(&words, self.width()), Tone::Bad));
        }
        let words = prompt.hint.clone().unwrap_or_else(|| {
            let (shown, all) = self.model.count().unwrap_or_default();
            format!("{}{shown} of {all} rows", " ".repeat(text::width(SIGN)))
        });
        Line::from(self.theme.span(self.theme.clip(&words, self.width()), Tone::Faint))
    }
}
