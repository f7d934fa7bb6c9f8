//! Where words go: stdout is data, for people or for programs; stderr is for trouble.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;

use crate::failure::{Failure, write_stderr};

/// The form of what a command writes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether to colour what goes to stdout.
    pub fn on_stdout(self) -> bool {
        self.resolve(std::io::stdout().is_terminal(), plain_wanted())
    }

    /// Whether to colour what goes to stderr.
    pub fn on_stderr(self) -> bool {
        self.resolve(std::io::stderr().is_terminal(), plain_wanted())
    }

    /// The choice, given whether the stream is a terminal and the environment wants no colour.
    pub fn resolve(self, terminal: bool, plain: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && !plain,
        }
    }
}

/// Whether the environment asks for no colour (no-color.org: set to anything but nothing).
fn plain_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// How a command talks to its user.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether to colour.
    pub color: ColorChoice,
    /// Whether only what matters is said.
    pub quiet: bool,
}

/// Colours by meaning. Every one goes with a word, so that nothing is said by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    enabled: bool,
}

impl Palette {
    /// A palette that colours, or one that leaves text alone.
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    /// The diagnostic renderer's name for the same choice.
    pub fn style(self) -> contour_core::diagnostic::Style {
        if self.enabled {
            contour_core::diagnostic::Style::Colour
        } else {
            contour_core::diagnostic::Style::Plain
        }
    }

    /// Headings.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What can be passed over.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What somebody should look at.
    pub fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What to type or to open.
    pub fn link(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.enabled { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Writes a command's results to stdout.
#[derive(Debug)]
pub struct Printer {
    format: Format,
    palette: Palette,
    quiet: bool,
    terminal: bool,
    /// Whether a line that the next one replaces stands on the terminal.
    transient: bool,
}

/// Standard output is closed: whoever read it has seen enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Printer {
    /// A printer for this process's stdout.
    pub fn new(format: Format, color: ColorChoice, quiet: bool) -> Self {
        Self {
            format,
            palette: Palette::new(color.on_stdout() && format == Format::Text),
            quiet,
            terminal: std::io::stdout().is_terminal(),
            transient: false,
        }
    }

    /// The form that was asked for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The colours to use.
    pub fn palette(&self) -> Palette {
        self.palette
    }

    /// Whether only what matters should be written.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Writes lines that stay.
    ///
    /// # Errors
    /// Stdout is closed.
    pub fn lines(&mut self, text: &str) -> Result<(), Closed> {
        let erase = self.erase();
        write(&format!("{erase}{text}\n"))
    }

    /// Writes a line that the next one replaces; off a terminal, a line that stays.
    ///
    /// # Errors
    /// Stdout is closed.
    pub fn transient(&mut self, text: &str) -> Result<(), Closed> {
        if !self.terminal {
            return self.lines(text);
        }
        let erase = self.erase();
        self.transient = true;
        write(&format!("{erase}{}", unwrapped(text)))
    }

    fn erase(&mut self) -> &'static str {
        erase(&mut self.transient)
    }
}

/// What takes away a line that the next one replaces, if one stands there.
fn erase(transient: &mut bool) -> &'static str {
    if std::mem::take(transient) { "\r\x1b[2K" } else { "" }
}

/// Without wrapping, so that one line is what the next one replaces.
fn unwrapped(text: &str) -> String {
    format!("\x1b[?7l{text}\x1b[?7h")
}

/// Words about what is going on, on stderr: a line that is replaced on a terminal, and elsewhere a
/// line for each change, so that a log of CI stays readable.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    terminal: bool,
    transient: bool,
    last: String,
}

impl Progress {
    /// For this process's stderr.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { quiet, terminal, transient: false, last: String::new() }
    }

    /// Says what is going on now.
    pub fn say(&mut self, text: &str) {
        if self.quiet || text == self.last {
            return;
        }
        text.clone_into(&mut self.last);
        if self.terminal {
            let erase = self.erase();
            self.transient = true;
            write_stderr(&format!("{erase}{}", unwrapped(text)));
        } else {
            write_stderr(&format!("{text}\n"));
        }
    }

    /// Says what stays.
    pub fn keep(&mut self, text: &str) {
        if !self.quiet {
            let erase = self.erase();
            write_stderr(&format!("{erase}{text}\n"));
        }
    }

    /// Makes room for what others write to the terminal.
    pub fn clear(&mut self) {
        let erase = self.erase();
        if !erase.is_empty() {
            write_stderr(erase);
        }
        self.last.clear();
    }

    fn erase(&mut self) -> &'static str {
        erase(&mut self.transient)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether there is somebody at the terminal to ask.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal whether to go on: only `y` or `yes` is a yes. `None` where nobody can be
/// asked, because stdin or stderr is no terminal.
pub async fn confirm(question: &str) -> Option<bool> {
    if !is_attended() {
        return None;
    }
    write_stderr(&format!("{question} [y/N] "));
    Some(matches!(answer().await.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// Asks on the terminal for a word, which has to be typed as it is. `None` as above.
pub async fn confirm_by(question: &str, word: &str) -> Option<bool> {
    if !is_attended() {
        return None;
    }
    write_stderr(&format!("{question}\nType {word:?} to go on: "));
    Some(answer().await.trim() == word)
}

async fn answer() -> String {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        // What cannot be read is no yes.
        drop(std::io::stdin().read_line(&mut line));
        line
    });
    read.await.unwrap_or_default()
}

fn write(text: &str) -> Result<(), Closed> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_error| Closed)
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(anyhow::Error::new(error).context("cannot write JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_nobody_who_objects() {
        assert!(ColorChoice::Auto.resolve(true, false));
        assert!(!ColorChoice::Auto.resolve(false, false));
        assert!(!ColorChoice::Auto.resolve(true, true));
        assert!(ColorChoice::Always.resolve(false, true));
        assert!(!ColorChoice::Never.resolve(true, false));
    }
}
