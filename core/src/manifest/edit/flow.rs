//! Fields of mappings in braces: JSON, and YAML written like it.

use super::super::tree::Entry;
use super::literal::key;
use super::walk::{Link, Stop, Walk, is_only, own};
use super::{Literal, Obstacle};

/// Names, each the only field of the mapping that is the value of the one before, and a value. In
/// JSON with this between a name and its value.
pub(super) fn chain(names: &[&str], to: &Literal, json: Option<&str>) -> String {
    let is_json = json.is_some();
    let between = json.unwrap_or(": ");
    let Some((name, inside)) = names.split_first() else {
        return to.write(is_json);
    };
    let value = chain(inside, to, json);
    let value = if inside.is_empty() { value } else { format!("{{{value}}}") };
    format!("{}{between}{value}", key(name, is_json))
}

impl<'w, 't> Walk<'w, 't> {
    /// Adds a field behind the last one: on a line of its own if that one has one.
    pub(super) fn insert_inline(
        &mut self,
        trail: &[Link<'w, 't>],
        names: &[&str],
        to: &Literal,
    ) -> Result<(), Stop> {
        let Some(link) = trail.last() else {
            return Ok(());
        };
        let stop = (Obstacle::Layout, link.id);
        let (open, close) = self.braces(*link).ok_or(stop)?;
        let fields = own(link.node);
        let Some(last) = fields.last() else {
            // The space tells it from a mapping that was made for its only field.
            self.layout.comma(open..close).filter(Option::is_none).ok_or(stop)?;
            let json = link.entry.is_some_and(|entry| self.is_quoted(entry));
            let field = chain(names, to, json.then_some(": "));
            self.splice(open..open, format!(" {field}"));
            return Ok(());
        };
        let (start, end) = (last.key_bytes.start, self.end(last));
        let comma = self.layout.comma(end..close).ok_or(stop)?;
        let between = self.between(last);
        let field = chain(names, to, self.is_quoted(last).then_some(between));
        let at = comma.map_or(end, |comma| comma + 1);
        let trailing = if comma.is_some() { "," } else { "" };
        let separating = if comma.is_some() { "" } else { "," };
        let is_first = self.layout.is_first(start);
        let lead = if is_first {
            format!("{}{}", self.layout.line_break(start), self.layout.prefix(start))
        } else {
            self.lead(start, between).to_owned()
        };
        let line_end = self.layout.line_end(at);
        if is_first && line_end < close && line_end > at {
            // A comment, perhaps: it stays with the field that it is about.
            if !separating.is_empty() {
                self.splice(end..end, separating.to_owned());
            }
            self.splice(line_end..line_end, format!("{lead}{field}{trailing}"));
        } else {
            self.splice(at..at, format!("{separating}{lead}{field}{trailing}"));
        }
        Ok(())
    }

    /// What stands between a name and its value.
    fn between(&self, entry: &Entry<'_>) -> &'t str {
        let value = self.tree.node(entry.value).map_or(0, |node| node.bytes.start);
        let between = self.layout.of(entry.key_bytes.end..value);
        if between.contains(':') && between.bytes().all(|b| b == b':' || b == b' ') {
            between
        } else {
            ": "
        }
    }

    /// What stands between the comma and a field that begins at `start`.
    fn lead(&self, start: usize, between: &str) -> &'t str {
        let before = self.layout.of(0..start);
        let blank = before.trim_end_matches([' ', '\t']).len();
        if self.layout.of(0..blank).ends_with(',') {
            self.layout.of(blank..start)
        } else if between == ":" {
            ""
        } else {
            " "
        }
    }

    /// Where a mapping in braces begins and ends, without them.
    fn braces(&self, link: Link<'_, '_>) -> Option<(usize, usize)> {
        let bytes = &link.node.bytes;
        let inside = self.layout.of(bytes.clone()).strip_prefix('{')?.strip_suffix('}')?;
        Some((bytes.start + 1, bytes.start + 1 + inside.len()))
    }

    /// Takes a field away, with the comma that separates it.
    pub(super) fn remove_inline(
        &mut self,
        trail: &[Link<'w, 't>],
        entry: &Entry<'t>,
        end: usize,
    ) -> Result<(), Stop> {
        let Some((link, above)) = trail.split_last() else {
            return Ok(());
        };
        let stop = (Obstacle::Layout, entry.value);
        let (open, close) = self.braces(*link).ok_or(stop)?;
        let start = entry.key_bytes.start;
        let fields = own(link.node);
        let next = fields.iter().map(|one| one.key_bytes.start).find(|next| *next > start);
        let comma = self.layout.comma(end..next.unwrap_or(close)).ok_or(stop)?;
        let end_with_comma = comma.map_or(end, |comma| comma + 1);
        if comma.is_some_and(|comma| !self.layout.is_blank(end..comma)) {
            return Err(stop);
        }
        if is_only(link.node) {
            let made = open == start && self.layout.is_blank(end_with_comma..close);
            return match (link.entry, above.is_empty()) {
                (Some(around), false) if made => self.remove_made(above, (*link, around)),
                _ => {
                    let start = if self.layout.is_blank(open..start) { open } else { start };
                    self.splice(start..end_with_comma, String::new());
                    Ok(())
                }
            };
        }
        let from = if self.layout.is_first(start) {
            self.layout.break_before(self.layout.line_start(start))
        } else {
            self.layout.of(0..start).trim_end_matches([' ', '\t']).len()
        };
        if comma.is_none() {
            let previous =
                fields.iter().rev().find(|one| one.key_bytes.start < start).ok_or(stop)?;
            let gap = self.end(previous)..start;
            let before = self.layout.comma(gap).flatten().ok_or(stop)?;
            if before + 1 == from {
                self.splice(before..end, String::new());
                return Ok(());
            }
            self.splice(before..before + 1, String::new());
        }
        self.splice(from.max(open)..end_with_comma, String::new());
        Ok(())
    }

    /// Takes away a mapping that was made for its only field, with its name, unless that was
    /// there before.
    fn remove_made(
        &mut self,
        above: &[Link<'w, 't>],
        (link, around): (Link<'w, 't>, &Entry<'t>),
    ) -> Result<(), Stop> {
        let is_block = above.last().is_some_and(|outer| outer.node.block);
        if !is_block {
            return self.remove(above, around, link.node.bytes.end);
        }
        let stop = (Obstacle::Layout, link.id);
        let colon = self.layout.after_colon(around.key_bytes.end).ok_or(stop)?;
        if link.node.anchored || !self.layout.is_blank(colon..link.node.bytes.start) {
            return Err(stop);
        }
        self.splice(colon..link.node.bytes.end, String::new());
        Ok(())
    }
}
