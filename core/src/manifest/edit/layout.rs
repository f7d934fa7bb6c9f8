//! A text as lines, and what stands between two values.

use std::ops::Range;

const BREAKS: [char; 2] = ['\n', '\r'];

/// A text whose bytes are looked at.
#[derive(Clone, Copy)]
pub(super) struct Layout<'t>(pub(super) &'t str);

impl<'t> Layout<'t> {
    /// These bytes; nothing where they are none.
    pub(super) fn of(self, bytes: Range<usize>) -> &'t str {
        self.0.get(bytes).unwrap_or_default()
    }

    /// Whether nothing but white space stands there.
    pub(super) fn is_blank(self, bytes: Range<usize>) -> bool {
        self.0.get(bytes).is_some_and(|text| text.trim().is_empty())
    }

    /// Where the line begins in which `at` is.
    pub(super) fn line_start(self, at: usize) -> usize {
        let mark = if self.0.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        self.of(0..at).rfind(BREAKS).map_or_else(|| mark.min(at), |found| found + 1)
    }

    /// Where that line ends, its break excluded.
    pub(super) fn line_end(self, at: usize) -> usize {
        self.of(at..self.0.len()).find(BREAKS).map_or(self.0.len(), |found| at + found)
    }

    /// Where the line break begins that ends at `at`; `at` itself if none does.
    pub(super) fn break_before(self, at: usize) -> usize {
        let before = self.of(0..at);
        let cut = before.strip_suffix('\n').unwrap_or(before);
        cut.strip_suffix('\r').unwrap_or(cut).len()
    }

    /// Where the line break ends that begins at `at`; `at` itself if none does.
    fn break_after(self, at: usize) -> usize {
        let after = self.of(at..self.0.len());
        let cut = after.strip_prefix('\r').unwrap_or(after);
        self.0.len() - cut.strip_prefix('\n').unwrap_or(cut).len()
    }

    /// The line break that is used around `at`.
    pub(super) fn line_break(self, at: usize) -> &'t str {
        let start = self.line_start(at);
        let end = self.line_end(at);
        let before = self.of(self.break_before(start)..start);
        let after = self.of(end..self.break_after(end));
        [before, after].into_iter().find(|found| !found.is_empty()).unwrap_or("\n")
    }

    /// What stands before `at` on its line.
    pub(super) fn prefix(self, at: usize) -> &'t str {
        self.of(self.line_start(at)..at)
    }

    /// Whether what begins at `at` is the first on its line.
    pub(super) fn is_first(self, at: usize) -> bool {
        self.prefix(at).trim().is_empty()
    }

    /// As much white space as `at` is indented by.
    pub(super) fn indent(self, at: usize) -> String {
        let prefix = self.prefix(at);
        if self.is_first(at) { prefix.to_owned() } else { " ".repeat(prefix.chars().count()) }
    }

    /// The comma in a gap that consists of white space, comments and at most one comma: the outer
    /// `None` if it does not.
    #[expect(clippy::option_option, reason = "no comma, and no such gap, are two things")]
    pub(super) fn comma(self, gap: Range<usize>) -> Option<Option<usize>> {
        let mut comma = None;
        let mut at = gap.start;
        while at < gap.end {
            let rest = self.of(at..gap.end);
            let next = rest.chars().next()?;
            match next {
                '#' => at = self.line_end(at),
                ',' if comma.is_none() => {
                    comma = Some(at);
                    at += 1;
                }
                c if c.is_whitespace() => at += c.len_utf8(),
                _ => return None,
            }
        }
        Some(comma)
    }

    /// Where the colon after a name ends that ends at `at`.
    pub(super) fn after_colon(self, at: usize) -> Option<usize> {
        let rest = self.of(at..self.0.len());
        let colon = rest.trim_start().strip_prefix(':')?;
        Some(self.0.len() - colon.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_any_break() {
        let layout = Layout("\u{feff}a\r\n b\rc\n\n");
        assert_eq!(layout.prefix(3), "");
        assert_eq!((layout.line_start(7), layout.line_end(7)), (6, 8));
        assert_eq!(
            (layout.break_before(6), layout.break_before(9), layout.break_before(3)),
            (4, 8, 3)
        );
        assert_eq!(
            (layout.line_break(3), layout.line_break(7), layout.line_break(9)),
            ("\r\n", "\r\n", "\r")
        );
        assert_eq!(Layout("a").line_break(0), "\n");
        assert_eq!(
            (layout.indent(7), Layout("- é: a").indent(2)),
            (" ".to_owned(), "  ".to_owned())
        );
    }

    #[test]
    fn a_gap_has_one_comma_at_most() {
        let comma = |text: &str| Layout(text).comma(0..text.len());
        assert_eq!(comma(""), Some(None));
        assert_eq!(comma(" # a, b\n , # c"), Some(Some(9)));
        assert_eq!(comma(",,"), None);
        assert_eq!(comma(" x"), None);
    }
}
