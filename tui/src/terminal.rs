//! The terminal itself: the only part that does I/O.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event as Raw, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{DefaultTerminal, Frame};

use crate::key::Key;
use crate::shift::Event;
use crate::top::{self, Mouse};

/// Whether the terminal is to be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the mouse is.
static MOUSE_TAKEN: AtomicBool = AtomicBool::new(false);

/// A screen of our own on stdout, in raw mode; the user's is back when it is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
    mouse: bool,
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
        Ok(Self { terminal, mouse: false })
    }

    /// Takes the mouse too: what is done with it is heard then, and no text is marked.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn take_mouse(&mut self) -> io::Result<()> {
        self.mouse = true;
        MOUSE_TAKEN.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnableMouseCapture)
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// They cannot be asked for.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
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
        if self.mouse {
            self.take_mouse()?;
        }
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
    let mouse = if MOUSE_TAKEN.swap(false, Ordering::SeqCst) {
        execute!(io::stdout(), DisableMouseCapture)
    } else {
        Ok(())
    };
    let raw = terminal::disable_raw_mode();
    let screen = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    mouse.and(raw).and(screen)
}

/// Waits for what the terminal says next, at most this long.
///
/// # Errors
/// Stdin cannot be read.
pub fn next(limit: Duration) -> io::Result<Option<Raw>> {
    if event::poll(limit)? { event::read().map(Some) } else { Ok(None) }
}

/// What the panel of a shift makes of what a terminal says, if anything: keys pressed, and another size.
pub fn heard(event: &Raw) -> Option<Event> {
    match event {
        Raw::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(pressed(*key))),
        Raw::Resize(..) => Some(Event::Resize),
        Raw::Key(_) | Raw::FocusGained | Raw::FocusLost | Raw::Mouse(_) | Raw::Paste(_) => None,
    }
}

/// What the view of everything makes of what a terminal says, if anything: keys, the mouse, and
/// another size.
pub fn heard_by_top(event: &Raw) -> Option<top::Event> {
    match event {
        Raw::Key(key) if key.kind != KeyEventKind::Release => Some(top::Event::Key(pressed(*key))),
        Raw::Resize(columns, rows) => Some(top::Event::Resize(*columns, *rows)),
        Raw::Mouse(mouse) => used(*mouse).map(top::Event::Mouse),
        Raw::Key(_) | Raw::FocusGained | Raw::FocusLost | Raw::Paste(_) => None,
    }
}

fn used(mouse: MouseEvent) -> Option<Mouse> {
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Mouse::Click(mouse.column, mouse.row)),
        MouseEventKind::ScrollUp => Some(Mouse::WheelUp),
        MouseEventKind::ScrollDown => Some(Mouse::WheelDown),
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => None,
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

    #[test]
    fn the_mouse_is_heard_where_it_points_to_something() {
        let none = KeyModifiers::NONE;
        for (kind, expected) in [
            (MouseEventKind::Down(MouseButton::Left), Some(Mouse::Click(7, 3))),
            (MouseEventKind::ScrollUp, Some(Mouse::WheelUp)),
            (MouseEventKind::ScrollDown, Some(Mouse::WheelDown)),
            (MouseEventKind::Down(MouseButton::Right), None),
            (MouseEventKind::Up(MouseButton::Left), None),
            (MouseEventKind::Moved, None),
        ] {
            let raw = Raw::Mouse(MouseEvent { kind, column: 7, row: 3, modifiers: none });
            let heard = match heard_by_top(&raw) {
                Some(top::Event::Mouse(mouse)) => Some(mouse),
                Some(other) => panic!("{other:?}"),
                None => None,
            };
            assert_eq!(heard, expected);
        }
        let resized = heard_by_top(&Raw::Resize(80, 24));
        assert!(matches!(resized, Some(top::Event::Resize(80, 24))), "{resized:?}");
        let key = Raw::Key(KeyEvent::new(KeyCode::Enter, none));
        assert!(matches!(heard_by_top(&key), Some(top::Event::Key(Key::Enter))));
    }
}
