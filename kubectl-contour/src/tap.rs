//! `kubectl contour tap`: requests as Envoys serve them, by their access logs.

pub mod flags;
pub mod entry;
pub mod args;
pub mod want;
pub mod show;
pub mod file;
pub mod source;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use args::TapArgs;
use entry::{Entry, Line};
use source::News;

use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Closed, Format, Manner, Printer};
use crate::sandbox::signals::Signals;
use crate::top::show::plain;

/// Lines a second for people, if nothing else is said.
const RATE: u32 = 50;

/// Runs `tap`.
///
/// # Errors
/// If logs cannot be read, or a signal ends it.
pub async fn run(args: TapArgs, manner: Manner) -> Result<(), Failure> {
    let printer = Printer::new(args.output, manner.color, manner.quiet);
    let mut signals = Signals::listen()?;
    let mut logs = source::follow(&args).await?;
    let mut tap = Tap::new(args, printer);
    if tap.begin().is_err() {
        return Ok(());
    }
    let ended = loop {
        let news = tokio::select! {
            biased;
            why = signals.next() => break Err(Failure::new(Kind::Interrupted, why)),
            news = logs.news.recv() => news,
        };
        match news {
            Some(News::Line { envoy, line }) => match tap.line(&line, &envoy, Instant::now()) {
                Ok(Flow::On) => {}
                Ok(Flow::Done) => break Ok(()),
                Err(failure) => break Err(failure),
            },
            Some(News::Trouble(why)) => tap.warn(&why),
            Some(News::Failed(failure)) => break Err(failure),
            Some(News::End) | None => {
                tap.warn("the log has ended");
                break Ok(());
            }
        }
    };
    tap.end();
    ended
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Done,
}

/// What is shown of lines.
#[derive(Debug)]
struct Tap {
    args: TapArgs,
    printer: Printer,
    rate: Rate,
    shown: u64,
    /// Lines of a form that is not known.
    unknown: u64,
    said: BTreeSet<String>,
}

impl Tap {
    fn new(args: TapArgs, printer: Printer) -> Self {
        let usual = if args.output == Format::Json { 0 } else { RATE };
        let rate = Rate::new(args.max_rate.unwrap_or(usual));
        Self { args, printer, rate, shown: 0, unknown: 0, said: BTreeSet::new() }
    }

    fn begin(&mut self) -> Result<(), Closed> {
        if self.args.output == Format::Json || self.printer.quiet() {
            return Ok(());
        }
        let heading = self.printer.palette().strong(show::HEADING);
        self.printer.lines(&heading)
    }

    fn line(&mut self, line: &str, envoy: &str, now: Instant) -> Result<Flow, Failure> {
        let entry: Box<Entry> = match entry::read(line, envoy) {
            Line::Entry(entry) => entry,
            Line::Other => return Ok(Flow::On),
            Line::Unknown => {
                self.unknown += 1;
                let why =
                    "lines of another form than Envoy's own and JSON are left out: docs/tap.md";
                self.warn(why);
                return Ok(Flow::On);
            }
        };
        if !self.args.want.wants(&entry) {
            return Ok(Flow::On);
        }
        if let Some(left_out) = self.rate.is_new_second(now) {
            self.left_out(left_out);
        }
        if !self.rate.admits() {
            return Ok(Flow::On);
        }
        let text = show::line(&entry, self.args.output, self.printer.palette())?;
        if self.printer.lines(&text) == Err(Closed) {
            return Ok(Flow::Done);
        }
        self.shown += 1;
        let enough = self.args.count.is_some_and(|count| self.shown >= count);
        Ok(if enough { Flow::Done } else { Flow::On })
    }

    /// Says what cannot be shown, once.
    fn warn(&mut self, why: &str) {
        if self.said.insert(why.to_owned()) {
            write_stderr(&format!("warning: {}\n", plain(why)));
        }
    }

    fn left_out(&self, count: u64) {
        if count > 0 {
            let limit = self.rate.limit;
            write_stderr(&format!(
                "… {count} more in that second were left out (--max-rate {limit})\n"
            ));
        }
    }

    fn end(&self) {
        self.left_out(self.rate.left_out);
        if self.unknown > 0 {
            write_stderr(&format!("{} lines could not be read\n", self.unknown));
        }
    }
}

/// At most so many a second.
#[derive(Debug)]
struct Rate {
    /// 0: as many as there are.
    limit: u32,
    began: Option<Instant>,
    admitted: u32,
    left_out: u64,
}

impl Rate {
    fn new(limit: u32) -> Self {
        Self { limit, began: None, admitted: 0, left_out: 0 }
    }

    /// Begins another second, if the last is over: how many were left out in that.
    fn is_new_second(&mut self, now: Instant) -> Option<u64> {
        let over = |began: Instant| now.saturating_duration_since(began) >= Duration::from_secs(1);
        if !self.began.is_none_or(over) {
            return None;
        }
        (self.began, self.admitted) = (Some(now), 0);
        Some(std::mem::take(&mut self.left_out))
    }

    fn admits(&mut self) -> bool {
        if self.limit > 0 && self.admitted >= self.limit {
            self.left_out += 1;
            return false;
        }
        self.admitted = self.admitted.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_of_a_second_is_counted() {
        let begin = Instant::now();
        let mut rate = Rate::new(2);
        assert_eq!(rate.is_new_second(begin), Some(0));
        assert_eq!([(); 5].map(|()| rate.admits()), [true, true, false, false, false]);
        assert_eq!(rate.is_new_second(begin + Duration::from_millis(999)), None);
        assert_eq!(rate.is_new_second(begin + Duration::from_secs(1)), Some(3));
        assert!(rate.admits());
        let mut all = Rate::new(0);
        assert!((0..1_000).all(|_| all.admits()));
    }
}
