//! The keys that make sense now.

use ratatui::text::{Line, Span};

use super::Canvas;
use crate::text;
use crate::theme::Tone;
use crate::top::keymap::{BINDINGS, HIDDEN, Mode};

/// Blanks between keys.
const GAP: usize = 2;

impl Canvas<'_> {
    /// As many keys as there is room for, those that are needed most first, and help and leaving
    /// always at the end.
    pub(super) fn footer(&mut self) {
        let mode = Mode::of(self.model);
        let sensible = BINDINGS.iter().filter(|b| {
            b.rank != HIDDEN && b.modes.contains(&mode) && b.act.sense(self.model).is_ok()
        });
        let mut bindings: Vec<_> = sensible.collect();
        bindings.sort_by_key(|binding| binding.rank);
        let mut room = self.width() + GAP;
        let mut kept = Vec::new();
        for binding in bindings {
            let key = binding.keys.first().map_or_else(String::new, |key| key.name());
            let label = format!(" {}", binding.label(self.model));
            let width = text::width(&key) + text::width(&label) + GAP;
            if let Some(rest) = room.checked_sub(width) {
                room = rest;
                kept.push((binding.rank == 0, key, label));
            }
        }
        kept.sort_by_key(|(always, ..)| *always);
        let mut spans: Vec<Span<'static>> = Vec::new();
        for (_, key, label) in kept {
            if !spans.is_empty() {
                spans.push(Span::raw(" ".repeat(GAP)));
            }
            spans.push(self.theme.span(key, Tone::Key));
            spans.push(self.theme.span(label, Tone::Plain));
        }
        self.put(self.layout.footer, 0, &Line::from(spans));
    }
}
