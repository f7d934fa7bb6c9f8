//! Text from outside, made harmless for terminals and cut to size.

use std::borrow::Cow;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// Columns that a tab is drawn as.
const TAB: &str = "    ";

/// The text with every character that is invisible, steers a terminal or reorders text written as
/// `\u{…}`, and line feeds, returns and tabs as `\n`, `\r` and `\t`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if must_escape(c) {
            out.extend(escaped(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn escaped(c: char) -> std::char::EscapeDefault {
    // For control characters that have a short form it is used, `\u{…}` for the others.
    c.escape_default()
}

/// Control characters, and those of Unicode's category Cf and their like: bidirectional controls,
/// zero-width characters, line and paragraph separators, tags.
fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A line as it is shown.
pub(super) struct Drawn {
    pub(super) text: String,
}

/// Draws a source line, and says which columns the characters `marked` became. A line wider than
/// `width` is cut around them.
pub(super) fn draw(line: &str, marked: Range<usize>, width: usize) -> (Drawn, Range<usize>) {
    let length = line.chars().count();
    let window = window(line, length, &marked, width);
    let mut text = String::new();
    let mut column = 0;
    let mut columns = None;
    let mut end = 0;
    if window.start > 0 {
        text.push('…');
        column += 1;
    }
    let shown = line.chars().enumerate();
    for (index, c) in shown.skip(window.start).take(window.len()) {
        if index == marked.start {
            columns = Some(column);
        }
        let piece = piece(c);
        column += piece_width(&piece);
        text.push_str(&piece);
        if marked.contains(&index) {
            end = column;
        }
    }
    // A place behind the end of the line: a fault at the end of the text.
    let start = columns.unwrap_or(column);
    if window.end < length {
        text.push('…');
    }
    (Drawn { text }, start..end.max(start + 1))
}

/// The characters of a line that are shown.
fn window(line: &str, length: usize, marked: &Range<usize>, width: usize) -> Range<usize> {
    // Most lines are short; only for the others every character is measured.
    if length <= width && line_width(line) <= width {
        return 0..length;
    }
    // A third of the room goes to what stands before the mark.
    let mut start = marked.start.min(length);
    let mut room = width / 3;
    let before: Vec<char> = line.chars().take(start).collect();
    for c in before.iter().rev() {
        let Some(left) = room.checked_sub(piece_width(&piece(*c))) else {
            break;
        };
        room = left;
        start -= 1;
    }
    let mut end = start;
    let mut room = width;
    for c in line.chars().skip(start) {
        let Some(left) = room.checked_sub(piece_width(&piece(c))) else {
            break;
        };
        room = left;
        end += 1;
    }
    start..end
}

fn line_width(line: &str) -> usize {
    line.chars().map(|c| piece_width(&piece(c))).sum()
}

/// A character as it is shown.
fn piece(c: char) -> Cow<'static, str> {
    if c == '\t' {
        Cow::Borrowed(TAB)
    } else if must_escape(c) {
        Cow::Owned(escaped(c).collect())
    } else {
        Cow::Owned(c.to_string())
    }
}

fn piece_width(piece: &str) -> usize {
    piece.chars().map(|c| c.width().unwrap_or(0)).sum()
}
