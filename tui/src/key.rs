//! Keys of a terminal, as all views know them.

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// One with Control, in lower case.
    Ctrl(char),
    /// Escape.
    Esc,
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Tab with Shift.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// The arrow up.
    Up,
    /// The arrow down.
    Down,
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// Any other.
    Other,
}

impl Key {
    /// As it is shown.
    pub fn name(self) -> String {
        let name = match self {
            Self::Char(' ') => "Space",
            Self::Char(c) => return c.to_string(),
            Self::Ctrl(c) => return format!("Ctrl-{}", c.to_ascii_uppercase()),
            Self::Esc => "Esc",
            Self::Enter => "Enter",
            Self::Tab => "Tab",
            Self::BackTab => "Shift-Tab",
            Self::Backspace => "Backspace",
            Self::Delete => "Delete",
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Left => "Left",
            Self::Right => "Right",
            Self::PageUp => "PgUp",
            Self::PageDown => "PgDn",
            Self::Home => "Home",
            Self::End => "End",
            Self::Other => "-",
        };
        name.to_owned()
    }
}
