//! How things look. Colours and glyphs go with words: nothing is said by colour alone.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::text;

/// Which colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// The terminal's own green, yellow and red.
    #[default]
    Color,
    /// Blue, yellow and orange, which are told apart without seeing red or green.
    Safe,
    /// None, as `NO_COLOR` asks for: bold, underlined, faint and reversed text.
    Mono,
}

/// Which characters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Bars, ticks and arrows of one column each.
    #[default]
    Unicode,
    /// Nothing beyond ASCII, names of others included.
    Ascii,
}

/// How something is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// What to look at first.
    Strong,
    /// What can be passed over, or is out of reach, or old.
    Faint,
    /// It is well.
    Good,
    /// Somebody should look at it.
    Warn,
    /// It is not well.
    Bad,
    /// A key to press.
    Key,
}

impl Tone {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Strong, Self::Faint, Self::Good, Self::Warn, Self::Bad, Self::Key];
}

/// Colours and characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Which colours.
    pub palette: Palette,
    /// Which characters.
    pub charset: Charset,
}

/// The characters of a charset.
#[derive(Debug)]
pub struct Glyphs {
    /// Between steps of a plan.
    pub arrow: &'static str,
    /// For what is left out.
    pub ellipsis: &'static str,
    /// Between things on a line.
    pub dot: &'static str,
    /// It is well.
    pub good: &'static str,
    /// Somebody should look at it.
    pub warn: &'static str,
    /// It is not well.
    pub bad: &'static str,
    /// It is not known.
    pub unknown: &'static str,
    /// The part of a bar that is full.
    pub full: &'static str,
    /// The part that is not.
    pub empty: &'static str,
    /// A line between parts.
    pub rule: &'static str,
    /// Levels of a spark line, rising.
    pub levels: &'static [&'static str],
    /// Parts of a bar, one after the other.
    pub shades: &'static [&'static str],
    /// The largest first.
    pub falling: &'static str,
    /// The smallest first.
    pub rising: &'static str,
    /// Into something.
    pub into: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    arrow: "▸",
    ellipsis: "…",
    dot: "·",
    good: "✓",
    warn: "▲",
    bad: "✗",
    unknown: "?",
    full: "█",
    empty: "░",
    rule: "─",
    levels: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    shades: &["█", "▒", "▓", "░"],
    falling: "↓",
    rising: "↑",
    into: "›",
};

const ASCII: Glyphs = Glyphs {
    arrow: ">",
    ellipsis: "~",
    dot: "|",
    good: "+",
    warn: "!",
    bad: "X",
    unknown: "?",
    full: "#",
    empty: ".",
    rule: "-",
    levels: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    shades: &["#", "=", "+", "-"],
    falling: "v",
    rising: "^",
    into: ">",
};

impl Theme {
    /// The characters.
    pub fn glyphs(self) -> &'static Glyphs {
        match self.charset {
            Charset::Unicode => &UNICODE,
            Charset::Ascii => &ASCII,
        }
    }

    /// The mark of an order.
    pub fn direction(self, largest_first: bool) -> &'static str {
        if largest_first { self.glyphs().falling } else { self.glyphs().rising }
    }

    /// The mark of a tone.
    pub fn mark(self, tone: Tone) -> &'static str {
        match tone {
            Tone::Good => self.glyphs().good,
            Tone::Warn => self.glyphs().warn,
            Tone::Bad => self.glyphs().bad,
            Tone::Plain | Tone::Strong | Tone::Faint | Tone::Key => self.glyphs().dot,
        }
    }

    /// A text that looks as a tone.
    pub fn span(self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    /// At most so many columns of a text, the middle left out where it is too long.
    pub fn shorten(self, text: &str, columns: usize) -> String {
        text::shorten(text, columns, self.glyphs().ellipsis)
    }

    /// The beginning of a text, and that something is missing.
    pub fn clip(self, text: &str, columns: usize) -> String {
        if text::width(text) <= columns {
            return text.to_owned();
        }
        let ellipsis = self.glyphs().ellipsis;
        let Some(room) = columns.checked_sub(text::width(ellipsis)) else {
            return String::new();
        };
        text::head(text, room) + ellipsis
    }

    /// Leaves nothing on a screen that its charset lacks. Names are other people's: what is not
    /// ASCII is shown as not shown.
    pub fn settle(self, buffer: &mut Buffer) {
        if self.charset == Charset::Unicode {
            return;
        }
        for cell in &mut buffer.content {
            match cell.symbol() {
                symbol if symbol.is_ascii() => {}
                "µ" => drop(cell.set_symbol("u")),
                _ => drop(cell.set_symbol("?")),
            }
        }
    }

    /// How a tone looks.
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let (good, warn, bad, key) = match self.palette {
            Palette::Color => (Color::Green, Color::Yellow, Color::Red, Color::Cyan),
            // Of the 256 colours, so that a terminal's own palette does not make it red.
            Palette::Safe => {
                (Color::Indexed(33), Color::Indexed(227), Color::Indexed(208), Color::Indexed(33))
            }
            Palette::Mono => return Self::mono(tone),
        };
        match tone {
            Tone::Plain => plain,
            Tone::Strong => plain.add_modifier(Modifier::BOLD),
            Tone::Faint => plain.add_modifier(Modifier::DIM),
            Tone::Good => plain.fg(good),
            Tone::Warn => plain.fg(warn),
            Tone::Bad => plain.fg(bad).add_modifier(Modifier::BOLD),
            Tone::Key => plain.fg(key).add_modifier(Modifier::BOLD),
        }
    }

    fn mono(tone: Tone) -> Style {
        let plain = Style::new();
        match tone {
            Tone::Plain | Tone::Good => plain,
            Tone::Strong | Tone::Key => plain.add_modifier(Modifier::BOLD),
            Tone::Faint => plain.add_modifier(Modifier::DIM),
            Tone::Warn => plain.add_modifier(Modifier::UNDERLINED),
            Tone::Bad => plain.add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED)),
        }
    }

    /// How a line of that tone looks which must not be overlooked.
    pub fn banner(self, tone: Tone) -> Style {
        self.style(tone).add_modifier(Modifier::BOLD.union(Modifier::REVERSED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monochrome_has_no_colour() {
        let theme = Theme { palette: Palette::Mono, charset: Charset::Unicode };
        for tone in Tone::ALL {
            for style in [theme.style(tone), theme.banner(tone)] {
                assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
            }
        }
    }

    #[test]
    fn the_safe_palette_has_neither_red_nor_green() {
        let theme = Theme { palette: Palette::Safe, charset: Charset::Unicode };
        for tone in Tone::ALL {
            let color = theme.style(tone).fg;
            assert!(!matches!(color, Some(Color::Red | Color::Green)), "{tone:?}");
        }
    }

    #[test]
    fn glyphs_take_one_column_and_those_of_ascii_are_ascii() {
        for charset in [Charset::Unicode, Charset::Ascii] {
            let glyphs = Theme { palette: Palette::Mono, charset }.glyphs();
            let all = [
                glyphs.arrow,
                glyphs.ellipsis,
                glyphs.dot,
                glyphs.good,
                glyphs.warn,
                glyphs.bad,
                glyphs.unknown,
                glyphs.full,
                glyphs.empty,
                glyphs.rule,
                glyphs.falling,
                glyphs.rising,
                glyphs.into,
            ];
            for glyph in all.iter().chain(glyphs.levels).chain(glyphs.shades) {
                assert_eq!(crate::text::width(glyph), 1, "{glyph}");
                assert!(charset == Charset::Unicode || glyph.is_ascii(), "{glyph}");
            }
        }
    }
}
