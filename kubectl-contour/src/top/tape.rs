//! What is told, one after the other, at its time: as it comes, or as it was recorded.

use std::fs::File;
use std::future::pending;
use std::io::BufReader;
use std::time::Duration;

use contour_core::top::Record;
use tokio::time::{Instant, sleep_until};

use super::clock::Clock;
use super::record::Recording;
use super::source::Asked;
use crate::cluster::clock;
use crate::failure::Failure;

/// See the module.
#[derive(Debug)]
pub enum Tape {
    /// As it comes.
    Live(Asked),
    /// As it was recorded.
    Recorded(Recorded),
}

/// A recording that is played.
#[derive(Debug)]
pub struct Recorded {
    recording: Option<Recording<BufReader<File>>>,
    speed: f64,
    /// When its first line was told, and of which time that is.
    began: Option<(Instant, u64)>,
    /// What is told next.
    pending: Option<Record>,
}

impl Tape {
    /// A recording, so many times faster than it was.
    pub fn recorded(recording: Recording<BufReader<File>>, speed: f64) -> Self {
        Self::Recorded(Recorded { recording: Some(recording), speed, began: None, pending: None })
    }

    /// The clock that goes with it.
    pub fn clock(&self) -> Clock {
        match self {
            Self::Live(_) => Clock::Live,
            Self::Recorded(recorded) => Clock::of_recording(recorded.speed),
        }
    }

    /// What is told next, once it is time; `None` at the end of a recording, once. Nothing is lost
    /// if it is not waited for to the end.
    ///
    /// # Errors
    /// If a recording cannot be read, once.
    pub async fn next(&mut self) -> Result<Option<Record>, Failure> {
        match self {
            Self::Live(asked) => match asked.inputs.recv().await {
                Some(input) => Ok(Some(Record { unix_millis: clock::now_millis(), input })),
                None => pending().await,
            },
            Self::Recorded(recorded) => recorded.next().await,
        }
    }
}

impl Recorded {
    async fn next(&mut self) -> Result<Option<Record>, Failure> {
        if self.pending.is_none() {
            let Some(recording) = &mut self.recording else { return pending().await };
            match tokio::task::block_in_place(|| recording.read_next()) {
                Ok(Some(record)) => self.pending = Some(record),
                end => {
                    self.recording = None;
                    return end;
                }
            }
        }
        let at = self.pending.as_ref().map_or(0, |record| record.unix_millis);
        let (instant, then) = *self.began.get_or_insert_with(|| (Instant::now(), at));
        let later = Duration::from_millis(at.saturating_sub(then)).div_f64(self.speed);
        sleep_until(instant + later).await;
        Ok(self.pending.take())
    }
}
