//! Which lines are shown where there is not room for all.

use ratatui::text::Line;

use super::Pen;
use crate::theme::Tone;

/// Lines that belong together.
pub(super) struct Section {
    lines: Vec<Line<'static>>,
    /// What comes first where there is little room; 0 is first.
    rank: u8,
    /// As many lines are shown before any of a later rank.
    least: usize,
    /// Whether a blank line is before it where there is room.
    apart: bool,
    /// Whether it and what follows stand at the end of the page.
    bottom: bool,
    short: Short,
}

/// What is shown of a section for which there is too little room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Short {
    /// The beginning.
    Head,
    /// The beginning, and how many lines are missing.
    Counted,
    /// The end. It takes what others leave.
    Tail,
}

impl Section {
    /// Lines that are all needed.
    pub(super) fn new(rank: u8, lines: Vec<Line<'static>>) -> Self {
        let least = lines.len();
        Self { lines, rank, least, apart: false, bottom: false, short: Short::Head }
    }

    pub(super) fn least(self, least: usize) -> Self {
        Self { least: least.min(self.lines.len()), ..self }
    }

    pub(super) fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    pub(super) fn tail(self) -> Self {
        Self { short: Short::Tail, ..self }
    }

    pub(super) fn bottom(self) -> Self {
        Self { bottom: true, ..self }
    }

    pub(super) fn cut(self) -> Self {
        Self { short: Short::Counted, ..self }
    }

    fn shown(mut self, count: usize, pen: Pen<'_>) -> Vec<Line<'static>> {
        let missing = self.lines.len().saturating_sub(count);
        if missing == 0 {
            return self.lines;
        }
        if self.short == Short::Tail {
            return self.lines.split_off(missing);
        }
        self.lines.truncate(count);
        if let Some(last) = self.lines.last_mut().filter(|_| self.short == Short::Counted) {
            let words = format!("{} and {} more", pen.glyphs().ellipsis, missing + 1);
            *last = pen.line(words, Tone::Faint);
        }
        self.lines
    }
}

/// Takes as much from a budget as there is.
fn take(left: &mut usize, wanted: usize) -> usize {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

/// The lines of a page.
pub(super) fn fit(sections: Vec<Section>, pen: Pen<'_>) -> Vec<Line<'static>> {
    let mut left = pen.height;
    let mut slots: Vec<(Section, usize, bool)> =
        sections.into_iter().filter(|s| !s.lines.is_empty()).map(|s| (s, 0, false)).collect();
    let mut ranks: Vec<u8> = slots.iter().map(|(section, ..)| section.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    for rank in &ranks {
        for (section, count, _) in slots.iter_mut().filter(|(s, ..)| s.rank == *rank) {
            *count = take(&mut left, section.least);
        }
    }
    for rank in &ranks {
        for (section, count, _) in
            slots.iter_mut().filter(|(s, ..)| s.rank == *rank && s.short != Short::Tail)
        {
            *count += take(&mut left, section.lines.len() - *count);
        }
    }
    for (_, _, blank) in slots.iter_mut().filter(|(s, count, _)| s.apart && *count > 0) {
        *blank = take(&mut left, 1) > 0;
    }
    for (section, count, _) in slots.iter_mut().filter(|(s, ..)| s.short == Short::Tail) {
        *count += take(&mut left, section.lines.len() - *count);
    }
    let mut page = Vec::with_capacity(pen.height);
    let mut end = Vec::new();
    let mut at_end = false;
    for (section, count, blank) in slots {
        at_end |= section.bottom;
        let part = if at_end { &mut end } else { &mut page };
        part.extend(blank.then(Line::default));
        part.extend(section.shown(count, pen));
    }
    page.resize(page.len() + left, Line::default());
    page.extend(end);
    page
}
