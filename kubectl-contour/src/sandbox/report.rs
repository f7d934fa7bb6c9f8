//! Tells events, in the form that was asked for.

use std::time::Instant;

use super::event::Event;
use super::text::{Line, Words};
use crate::failure::Failure;
use crate::output::{Closed, Format, Printer};

/// Tells events as they happen.
#[derive(Debug)]
pub struct Reporter {
    printer: Printer,
    began: Instant,
}

impl Reporter {
    /// A reporter that counts time from now.
    pub fn new(printer: Printer) -> Self {
        Self { printer, began: Instant::now() }
    }

    /// Milliseconds since the start.
    pub fn millis(&self) -> f64 {
        (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    /// Tells an event.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn tell(&mut self, event: &Event) -> Result<(), Closed> {
        match self.printer.format() {
            Format::Json => {
                // Events hold nothing that JSON cannot say.
                let line = serde_json::to_string(event).unwrap_or_default();
                self.printer.lines(&line)
            }
            Format::Text => {
                let words = Words { palette: self.printer.palette(), quiet: self.printer.quiet() };
                match words.say(event, self.began.elapsed()) {
                    Line::Stays(text) => self.printer.lines(&text),
                    Line::Passes(text) => self.printer.transient(&text),
                    Line::Nothing => Ok(()),
                }
            }
        }
    }

    /// Tells of something that could not be done and that is gone on without.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn trouble(&mut self, failure: Failure) -> Result<(), Closed> {
        self.tell(&Event::Trouble { message: failure.message, hint: failure.hint })
    }
}
