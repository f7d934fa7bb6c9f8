//! Text in columns of a terminal, in which a character can be two wide, or none.

use std::time::Duration;

use contour_core::api::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text on one line: control characters, which could move the cursor, become blanks.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most so many columns of a text, the middle left out where it is too long: names differ at
/// both ends.
pub fn shorten(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(width(ellipsis)).filter(|room| *room > 1) else {
        return head(text, columns);
    };
    let first = head(text, room.div_ceil(2));
    let last = tail(text, room - width(&first));
    format!("{first}{ellipsis}{last}")
}

/// The beginning of a text, at most so many columns.
pub fn head(text: &str, columns: usize) -> String {
    kept(text.chars(), columns).into_iter().collect()
}

/// The end of a text, at most so many columns.
pub fn tail(text: &str, columns: usize) -> String {
    kept(text.chars().rev(), columns).into_iter().rev().collect()
}

fn kept(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    let mut kept = Vec::new();
    for c in chars {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        kept.push(c);
    }
    kept
}

/// Breaks a text between words into lines of at most so many columns, and words that are longer
/// within themselves. No text is one empty line.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        while let Some(line) = lines.last_mut() {
            let gap = usize::from(!line.is_empty());
            if width(line) + gap + width(&word) <= columns {
                line.push_str(" ".get(..gap).unwrap_or_default());
                line.push_str(&word);
                break;
            }
            if gap == 0 {
                // Nothing fits that is wider than the screen; it must not be tried for ever.
                let part = head(&word, columns);
                if part.is_empty() {
                    break;
                }
                word = word.split_off(part.len());
                *line = part;
            }
            lines.push(String::new());
        }
    }
    if lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A duration in whole seconds, as kubectl has it: `45s`, `1m20s`, `2h5m`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{rest}s"),
        (0, _, 0) => format!("{minutes}m"),
        (0, _, _) => format!("{minutes}m{rest}s"),
        (_, 0, _) => format!("{hours}h"),
        (_, _, _) => format!("{hours}h{minutes}m"),
    }
}

/// The time of the day, in UTC: `14:03:11Z`.
pub fn clock(time: Timestamp) -> String {
    let full = time.to_string();
    full.split_once('T').map_or_else(|| full.clone(), |(_, time)| time.to_owned())
}

/// How long ago a time was; nothing if it is yet to come.
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.unix().saturating_sub(then.unix())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle() {
        for (text, columns, expected) in [
            ("shop-blue", 9, "shop-blue"),
            ("shop-blue", 8, "shop…lue"),
            ("shop-blue", 3, "s…e"),
            ("shop-blue", 2, "sh"),
            ("shop-blue", 0, ""),
            ("日本語です", 7, "日…です"),
            ("日本語です", 8, "日本…す"),
            ("日本", 1, ""),
        ] {
            let short = shorten(text, columns, "…");
            assert_eq!(short, expected, "{text} in {columns}");
            assert!(width(&short) <= columns);
        }
    }

    #[test]
    fn lines_break_between_words_where_they_can() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one abcdefghij two", 4), ["one", "abcd", "efgh", "ij", "two"]);
        assert_eq!(wrap("  one  ", 80), ["one"]);
        assert_eq!(wrap("", 80), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("日本語 a", 1), ["a"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\r\nc"), "a [2Jb  c");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let spans = [0, 59, 60, 80, 3600, 3661, 90_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["0s", "59s", "1m", "1m20s", "1h", "1h1m", "25h"]);
    }

    #[test]
    fn a_time_yet_to_come_is_no_time_ago() {
        let [early, late] = [0, 5].map(Timestamp::from_unix);
        assert_eq!(since(early, late), Duration::from_secs(5));
        assert_eq!(since(late, early), Duration::ZERO);
        assert_eq!(clock(early), "00:00:00Z");
    }
}
