//! Waiting for something to become well, and saying what for.

use std::time::{Duration, Instant};

use clap::Args;

use crate::duration;
use crate::output::Progress;

/// How long it is waited between two looks.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Flags about waiting.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct WaitFlags {
    /// Look again until all is well, at most this long [default: 5m]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "5m",
          value_parser = duration::parse)]
    pub wait: Option<Duration>,
    /// With --wait: at most this long
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
}

impl WaitFlags {
    /// How long to wait; `None`: not at all.
    pub fn limit(&self) -> Option<Duration> {
        self.wait.map(|wait| self.timeout.unwrap_or(wait))
    }
}

/// A wait, and what is said of it on stderr.
#[derive(Debug)]
pub struct Waiting {
    started: Instant,
    progress: Progress,
}

impl Waiting {
    /// One that begins now.
    pub fn start(quiet: bool) -> Self {
        Self { started: Instant::now(), progress: Progress::new(quiet) }
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// It is waited for this.
    pub fn say(&mut self, reason: &str) {
        self.progress.say(&format!("waiting: {reason}"));
    }

    /// The wait is over; what follows begins on an empty line.
    pub fn end(&mut self) {
        self.progress.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_either_flag() {
        let seconds = |n| Some(Duration::from_secs(n));
        let flags = |wait, timeout| WaitFlags { wait, timeout }.limit();
        assert_eq!(flags(None, None), None);
        assert_eq!(flags(seconds(300), None), seconds(300));
        assert_eq!(flags(seconds(300), seconds(9)), seconds(9));
    }
}
