//! Numbers drawn with characters: spark lines, charts and bars.

use std::sync::Arc;

use crate::theme::{Charset, Glyphs, Theme};

/// How high a value is, in steps: what is not nothing has one at least, and nothing has none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a screen has few steps, and the share is between 0 and 1"
)]
fn steps(value: f32, most: f32, all: usize) -> usize {
    if value > 0.0 && most > 0.0 {
        let share = (value / most).clamp(0.0, 1.0);
        ((share * all as f32).round() as usize).clamp(1, all.max(1))
    } else {
        0
    }
}

/// As many values as there are columns: the mean of what falls into one.
pub(super) fn fitted(values: &[f32], columns: usize) -> Vec<f32> {
    if values.len() <= columns || columns == 0 {
        return values.to_vec();
    }
    let mean = |column: usize| {
        let (from, to) = (column * values.len() / columns, (column + 1) * values.len() / columns);
        let part = values.get(from..to).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a minute has few seconds")]
        let count = part.len().max(1) as f32;
        part.iter().sum::<f32>() / count
    };
    (0..columns).map(mean).collect()
}

fn most(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

/// A line of at most so many columns, the newest value last.
pub(super) fn spark(values: &[f32], columns: usize, theme: Theme) -> String {
    let levels = theme.glyphs().levels;
    let values = fitted(values, columns);
    let most = most(&values);
    let glyph = |value: &f32| {
        let step = steps(*value, most, levels.len().saturating_sub(1));
        levels.get(step).copied().unwrap_or_default()
    };
    values.iter().map(glyph).collect()
}

/// Lines of at most so many columns, the highest values first.
pub(super) fn chart(values: &[f32], (columns, rows): (usize, usize), theme: Theme) -> Vec<String> {
    let parts: &[&str] = match theme.charset {
        Charset::Unicode => theme.glyphs().levels,
        Charset::Ascii => &[".", "#"],
    };
    let wide = usize::from(values.len() * 2 <= columns) + 1;
    let values = fitted(values, columns);
    let most = most(&values);
    let line = |row: usize| {
        let below = rows.saturating_sub(row + 1) * parts.len();
        let glyph = |value: &f32| {
            let within = steps(*value, most, rows * parts.len()).saturating_sub(below);
            let glyph = within.checked_sub(1).map_or(Some(&" "), |at| parts.get(at));
            glyph.or_else(|| parts.last()).copied().unwrap_or_default().repeat(wide)
        };
        values.iter().map(glyph).collect()
    };
    (0..rows).map(line).collect()
}

/// A bar of so many columns that is divided as shares are.
pub(super) fn bar(shares: &[(Arc<str>, f64)], columns: usize, glyphs: &Glyphs) -> String {
    let all: f64 = shares.iter().map(|(_, share)| share.max(0.0)).sum();
    if all <= 0.0 {
        return glyphs.empty.repeat(columns);
    }
    let mut bar = String::new();
    let (mut until, mut drawn) = (0.0, 0);
    for ((_, share), shade) in shares.iter().zip(glyphs.shades.iter().cycle()) {
        until += share.max(0.0) / all;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of the columns of a screen"
        )]
        let end = ((until * columns as f64).round() as usize).min(columns);
        bar.push_str(&shade.repeat(end.saturating_sub(drawn)));
        drawn = end.max(drawn);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Palette;

    const UNICODE: Theme = Theme { palette: Palette::Mono, charset: Charset::Unicode };
    const ASCII: Theme = Theme { palette: Palette::Mono, charset: Charset::Ascii };

    #[test]
    fn spark_lines_tell_nothing_from_little() {
        let values = [0.0, 0.1, 50.0, 100.0];
        assert_eq!(spark(&values, 10, UNICODE), "▁▂▅█");
        assert_eq!(spark(&values, 10, ASCII), "0159");
        assert_eq!(spark(&values, 2, ASCII), "19");
        assert_eq!(spark(&[0.0, 0.0], 10, ASCII), "00");
        assert_eq!(spark(&[f32::NAN, -1.0, 1.0], 10, ASCII), "009");
        assert_eq!(spark(&[], 10, ASCII), "");
        assert_eq!(spark(&values, 0, ASCII), "0159");
    }

    #[test]
    fn charts_have_their_rows() {
        assert_eq!(chart(&[0.0, 1.0, 2.0, 4.0], (4, 2), UNICODE), ["   █", " ▄██"]);
        assert_eq!(chart(&[0.0, 1.0, 4.0], (3, 2), ASCII), ["  #", " .#"]);
        assert_eq!(chart(&[1.0, 2.0], (4, 1), ASCII), ["..##"]);
    }

    #[test]
    fn bars_are_divided_as_shares_are() {
        let shares = |parts: &[f64]| -> Vec<(Arc<str>, f64)> {
            parts.iter().map(|share| ("x".into(), *share)).collect()
        };
        for (parts, expected) in [
            (&[75.0, 25.0][..], "######=="),
            (&[0.0, 100.0], "========"),
            (&[50.0, 25.0, 25.0], "####==++"),
            (&[0.0, 0.0], "........"),
            (&[f64::NAN], "........"),
            (&[33.4, 33.3, 33.3], "###==+++"),
        ] {
            assert_eq!(bar(&shares(parts), 8, ASCII.glyphs()), expected, "{parts:?}");
        }
    }
}
