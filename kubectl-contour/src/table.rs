//! Tables for people, as kubectl prints them.

use unicode_width::UnicodeWidthStr as _;

use crate::output::Palette;

/// How a cell is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// Somebody should look at it.
    Warning,
    /// It is not.
    Bad,
    /// It can be passed over.
    Faint,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell that is meant in some way.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Words.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// Lays out rows below their headings, three blanks between columns; empty cells are `-`.
pub fn render(headings: &[&str], rows: &[Vec<Cell>], palette: Palette) -> String {
    render_aligned(headings, &[], rows, palette)
}

/// The same with the sides of columns; those that are not named are on the left.
pub fn render_aligned(
    headings: &[&str],
    sides: &[Side],
    rows: &[Vec<Cell>],
    palette: Palette,
) -> String {
    let heading: Vec<Cell> = headings.iter().map(|heading| Cell::from(*heading)).collect();
    let mut widths = vec![0; headings.len()];
    for row in std::iter::once(&heading).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.text.width().max(1).max(*width);
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let shown = if cell.text.is_empty() { "-" } else { &cell.text };
            let painted = match cell.tone {
                Tone::Plain => shown.to_owned(),
                Tone::Good => palette.good(shown),
                Tone::Warning => palette.warning(shown),
                Tone::Bad => palette.bad(shown),
                Tone::Faint => palette.faint(shown),
            };
            let space = width - shown.width();
            let right = sides.get(index) == Some(&Side::Right);
            let (before, after) = if right { (space, 0) } else { (0, space) };
            line.extend(std::iter::repeat_n(' ', before));
            line.push_str(&painted);
            if index + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', after + 3));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// An age as kubectl writes it: `7s`, `3m`, `5h`, `12d`.
#[expect(clippy::cast_precision_loss, reason = "nothing is so old")]
pub fn age(seconds: i64) -> String {
    contour_core::top::span(seconds.max(0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let rows = [
            vec!["a".into(), Cell::new("in sync", Tone::Good)],
            vec!["long name".into(), "".into()],
        ];
        let plain = render(&["NAME", "STATE"], &rows, Palette::new(false));
        assert_eq!(plain, "NAME        STATE\na           in sync\nlong name   -\n");
        let coloured = render(&["NAME", "STATE"], &rows, Palette::new(true));
        assert!(coloured.contains("a           \u{1b}[32min sync\u{1b}[0m\n"), "{coloured:?}");
    }

    #[test]
    fn numbers_stand_on_the_right() {
        let rows = [vec!["a".into(), "5".into(), "x".into()], vec!["b".into(), "1000".into()]];
        let sides = [Side::Left, Side::Right];
        let text = render_aligned(&["NAME", "RPS", "C"], &sides, &rows, Palette::new(false));
        assert_eq!(text, "NAME    RPS   C\na         5   x\nb      1000\n");
    }

    #[test]
    fn ages_have_one_unit() {
        let shown = [-5, 0, 119, 120, 7_200, 200_000].map(age);
        assert_eq!(shown, ["0s", "0s", "119s", "2m", "2h", "2d"]);
    }
}
