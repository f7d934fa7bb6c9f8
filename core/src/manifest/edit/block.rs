//! Fields of mappings that are written by indentation, one per line.

use super::super::tree::Entry;
use super::literal::key;
use super::walk::{Link, Stop, Walk, is_only, own};
use super::{Literal, Obstacle};

impl<'w, 't> Walk<'w, 't> {
    /// Adds a field, in mappings of its own for all names but the last, behind the line on which
    /// the last field ends.
    pub(super) fn insert_line(
        &mut self,
        trail: &[Link<'w, 't>],
        names: &[&str],
        to: &Literal,
    ) -> Result<(), Stop> {
        let Some((link, above)) = trail.split_last() else {
            return Ok(());
        };
        let fields = own(link.node);
        let (Some(last), Some((name, around))) = (fields.last(), names.split_last()) else {
            return Err((Obstacle::Merge, link.id));
        };
        let start = last.key_bytes.start;
        let line_break = self.layout.line_break(start);
        let step = self.step(*link, above);
        let mut indent = self.layout.indent(start);
        let mut with = String::new();
        for name in around {
            with.extend([line_break, &indent, &key(name, false), ":"]);
            indent.push_str(&step);
        }
        with.extend([line_break, &indent, &key(name, false), ": ", &to.write(false)]);
        let at = self.layout.line_end(self.end(last));
        self.splice(at..at, with);
        Ok(())
    }

    /// By how much the fields of a mapping are indented more than the mapping's own name.
    fn step(&self, link: Link<'w, 't>, above: &[Link<'w, 't>]) -> String {
        const USUAL: usize = 2;
        let column = |entry: &Entry<'_>| self.layout.prefix(entry.key_bytes.start).chars().count();
        let inner = own(link.node).first().map(|entry| column(entry));
        let outer = link.entry.filter(|_| !above.is_empty()).map(column);
        let step = inner.zip(outer).and_then(|(inner, outer)| inner.checked_sub(outer));
        " ".repeat(step.filter(|step| *step > 0).unwrap_or(USUAL))
    }

    /// Takes away the lines of a field, and those of the mapping around it if it has no other.
    /// Comments stay.
    pub(super) fn remove_line(
        &mut self,
        trail: &[Link<'w, 't>],
        entry: &Entry<'t>,
        end: usize,
    ) -> Result<(), Stop> {
        let Some((link, above)) = trail.split_last() else {
            return Ok(());
        };
        let stop = (Obstacle::Layout, entry.value);
        let start = entry.key_bytes.start;
        let line_end = self.layout.line_end(end);
        let rest = self.layout.of(end..line_end);
        if self.layout.is_first(start) {
            match rest.find('#') {
                None if rest.trim().is_empty() => {
                    let from = self.layout.break_before(self.layout.line_start(start));
                    self.splice(from..line_end, String::new());
                }
                Some(comment) if self.layout.is_blank(end..end + comment) => {
                    self.splice(start..end + comment, String::new());
                }
                None | Some(_) => return Err(stop),
            }
        } else {
            let fields = own(link.node);
            let next = fields.iter().map(|one| one.key_bytes.start).find(|next| *next > start);
            match next {
                Some(next) if self.layout.is_blank(end..next) => {
                    self.splice(start..next, String::new());
                }
                Some(_) | None => return Err(stop),
            }
        }
        match (link.entry, above.is_empty()) {
            (Some(around), false) if is_only(link.node) => {
                let colon = self.layout.after_colon(around.key_bytes.end).ok_or(stop)?;
                self.remove(above, around, colon)
            }
            _ => Ok(()),
        }
    }
}
