//! The time of what is shown: this machine's, or that of a recording.

use tokio::time::Instant;

use crate::cluster::clock;

/// See the module.
#[derive(Clone, Debug)]
pub enum Clock {
    /// This machine's.
    Live,
    /// That of a recording, from a moment on so many times faster.
    Recording {
        /// How many times.
        speed: f64,
        /// The moment, and the time of the recording then.
        began: Option<(Instant, u64)>,
        /// The time of its last line, if it is known.
        last: u64,
        /// Whether that was its end.
        ended: bool,
    },
}

impl Clock {
    /// That of a recording.
    pub fn of_recording(speed: f64) -> Self {
        Self::Recording { speed, began: None, last: 0, ended: false }
    }

    /// Something was heard of this time.
    pub fn heard(&mut self, unix_millis: u64, at: Instant) {
        if let Self::Recording { began, last, .. } = self {
            began.get_or_insert((at, unix_millis));
            *last = unix_millis;
        }
    }

    /// Nothing more is to be heard: its time stands still.
    pub fn end(&mut self) {
        if let Self::Recording { ended, .. } = self {
            *ended = true;
        }
    }

    /// The time, in milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> u64 {
        match self {
            Self::Live => clock::now_millis(),
            Self::Recording { began: None, .. } => 0,
            Self::Recording { last, ended: true, .. } => *last,
            Self::Recording { speed, began: Some((instant, then)), last, .. } => {
                let passed = moment.saturating_duration_since(*instant).mul_f64(*speed);
                let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
                then.saturating_add(passed).max(*last)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_of_a_recording_goes_on_from_its_beginning_and_stands_at_its_end() {
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let mut clock = Clock::of_recording(10.0);
        assert_eq!(clock.at(begin), 0);
        clock.heard(5_000, begin);
        assert_eq!(clock.at(after(100)), 6_000);
        clock.heard(6_500, after(100));
        assert_eq!(clock.at(after(100)), 6_500, "it does not go back before what was heard");
        clock.end();
        assert_eq!(clock.at(after(1_100)), 6_500);
    }
}
