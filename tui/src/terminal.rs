//! The terminal itself: the only part that does I/O.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, Event as Raw, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{DefaultTerminal, Frame};

use crate::key::Key;
use crate::shift::Event;

/// Whether the terminal is to be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A screen of our own on stdout, in raw mode; the user's is back when it is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it is told.
    ///
    /// # Errors
    /// Stdout is no terminal, or cannot be written to.
    pub fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                // The panic matters more than that its words may be hard to read.
                leave().unwrap_or_default();
                before(info);
            }));
        });
        take()?;
        let backend = CrosstermBackend::new(io::stdout());
        let terminal = DefaultTerminal::new(backend).inspect_err(|_error| {
            leave().unwrap_or_default();
        })?;
        Ok(Self { terminal })
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(view).map(|_drawn| ())
    }

    /// Clears the screen, so that all of it is drawn next time.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn redraw(&mut self) -> io::Result<()> {
        // `clear` would ask the terminal where the cursor is, and wait for the answer on stdin.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Takes the terminal again after [`leave`], and draws all of it next time.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn again(&mut self) -> io::Result<()> {
        take()?;
        self.redraw()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to be told.
        leave().unwrap_or_default();
    }
}

fn take() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide).inspect_err(|_error| {
        leave().unwrap_or_default();
    })
}

/// Gives the terminal back as it was, if it is taken: left twice, the cursor would go to where it
/// was before, over the words of a panic.
///
/// # Errors
/// Stdout cannot be written to; all has been tried then.
pub fn leave() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let raw = terminal::disable_raw_mode();
    let screen = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    raw.and(screen)
}

/// Waits for what the terminal says next, at most this long.
///
/// # Errors
/// Stdin cannot be read.
pub fn next(limit: Duration) -> io::Result<Option<Raw>> {
    if event::poll(limit)? { event::read().map(Some) } else { Ok(None) }
}

/// What the panel makes of what a terminal says, if anything: keys pressed, and another size.
pub fn heard(event: &Raw) -> Option<Event> {
    match event {
        Raw::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(pressed(*key))),
        Raw::Resize(..) => Some(Event::Resize),
        Raw::Key(_) | Raw::FocusGained | Raw::FocusLost | Raw::Mouse(_) | Raw::Paste(_) => None,
    }
}

fn pressed(key: KeyEvent) -> Key {
    let plain = key.modifiers.difference(KeyModifiers::SHIFT);
    if let KeyCode::Char(c) = key.code {
        return if plain.is_empty() {
            Key::Char(c)
        } else if plain == KeyModifiers::CONTROL {
            Key::Ctrl(c.to_ascii_lowercase())
        } else {
            Key::Other
        };
    }
    let named = NAMED.iter().find(|(code, _)| *code == key.code);
    named.map_or(Key::Other, |(_, named)| *named)
}

/// Keys that are no characters; whatever is held down with them.
const NAMED: [(KeyCode, Key); 14] = [
    (KeyCode::Esc, Key::Esc),
    (KeyCode::Enter, Key::Enter),
    (KeyCode::Tab, Key::Tab),
    (KeyCode::BackTab, Key::BackTab),
    (KeyCode::Backspace, Key::Backspace),
    (KeyCode::Delete, Key::Delete),
    (KeyCode::Up, Key::Up),
    (KeyCode::Down, Key::Down),
    (KeyCode::Left, Key::Left),
    (KeyCode::Right, Key::Right),
    (KeyCode::PageUp, Key::PageUp),
    (KeyCode::PageDown, Key::PageDown),
    (KeyCode::Home, Key::Home),
    (KeyCode::End, Key::End),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_were_pressed() {
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('p'), none, Key::Char('p')),
            (KeyCode::Char('P'), KeyModifiers::SHIFT, Key::Char('P')),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Key::Ctrl('c')),
            (KeyCode::Char('C'), KeyModifiers::CONTROL | KeyModifiers::SHIFT, Key::Ctrl('c')),
            (KeyCode::Char('b'), KeyModifiers::ALT, Key::Other),
            (KeyCode::Char('b'), KeyModifiers::ALT | KeyModifiers::CONTROL, Key::Other),
            (KeyCode::Esc, none, Key::Esc),
            (KeyCode::Enter, none, Key::Enter),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Key::BackTab),
            (KeyCode::PageDown, none, Key::PageDown),
            (KeyCode::F(1), none, Key::Other),
        ] {
            let key = KeyEvent::new(code, modifiers);
            assert_eq!(pressed(key), expected, "{key:?}");
            let released = KeyEvent { kind: KeyEventKind::Release, ..key };
            assert!(heard(&Raw::Key(key)).is_some());
            assert!(heard(&Raw::Key(released)).is_none());
        }
        assert!(matches!(heard(&Raw::Resize(80, 24)), Some(Event::Resize)));
        assert!(heard(&Raw::Paste("p".to_owned())).is_none());
    }
}
