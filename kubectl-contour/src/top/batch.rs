//! Tables instead of a screen: once, or again and again.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use contour_core::top::{Board, Frame, Input, Record};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::readiness::{Readiness, Verdict};
use super::record::{Recorder, Recording};
use super::show::{Show, plain};
use crate::cluster::clock;
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Closed, Printer};
use crate::sandbox::signals::Signals;

/// How long it is waited at most for what is to be shown first, beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long it is waited, where no controller tells anything, for what Kubernetes says.
const FALLBACK: Duration = Duration::from_secs(4);

/// How often something is shown.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one frame to the next.
    pub interval: Duration,
    /// How far back rates go.
    pub window: Duration,
    /// How many frames; for ever if that is not said.
    pub count: Option<u64>,
    /// One frame, of as long a time as the interval; of a recording, its end.
    pub once: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Batch {
    show: Show,
    printer: Printer,
    board: Board,
    readiness: Readiness,
    recorder: Option<Recorder>,
    pace: Pace,
    /// When the next frame is due, in milliseconds since the Unix epoch.
    due: Option<u64>,
    shown: u64,
    headed: bool,
    last: Option<Frame>,
    /// Whether only the end of a recording is to be shown.
    only_the_end: bool,
    /// What was said on stderr.
    said: BTreeSet<Arc<str>>,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Done,
}

impl Batch {
    /// Begins with nothing.
    pub fn new(show: Show, printer: Printer, pace: Pace, recorder: Option<Recorder>) -> Self {
        let span = if pace.once { millis(pace.interval) } else { 0 };
        Self {
            show,
            printer,
            board: Board::new(pace.window),
            readiness: Readiness::new(span),
            recorder,
            pace,
            due: None,
            shown: 0,
            headed: false,
            last: None,
            only_the_end: false,
            said: BTreeSet::new(),
        }
    }

    /// Shows what is told, until enough was shown; whether the last of it is faulty. `fallback`: whether there is somebody left to
    /// tell something if no controller does.
    ///
    /// # Errors
    /// If nothing is told, or a signal ends it.
    pub async fn live(
        mut self,
        inputs: &mut mpsc::Receiver<Input>,
        fallback: bool,
    ) -> Result<bool, Failure> {
        let mut signals = Signals::listen()?;
        let deadline = Instant::now()
            + PATIENCE
            + if self.pace.once { self.pace.interval } else { Duration::ZERO };
        let mut silence: Option<Instant> = None;
        loop {
            let first = silence.map_or(deadline, |silence| deadline.min(silence));
            let wake = self.due.map_or(first, |due| {
                Instant::now() + Duration::from_millis(due.saturating_sub(clock::now_millis()))
            });
            let heard = tokio::select! {
                biased;
                why = signals.next() => return Err(Failure::new(Kind::Interrupted, why)),
                () = sleep_until(wake) => None,
                input = inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => return Err(Failure::new(Kind::Error, "who asks has ended by itself")),
                },
            };
            let now = clock::now_millis();
            let flow = match heard {
                Some(input) => self.take(Record { unix_millis: now, input })?,
                None if self.due.is_some() => self.beat(now)?,
                None => self.late(now)?,
            };
            if flow == Flow::Done {
                return Ok(self.is_faulty());
            }
            match self.readiness.verdict() {
                Verdict::Silent(why) if self.due.is_none() && !fallback => {
                    return Err(silent(&why));
                }
                Verdict::Silent(_) => {
                    silence.get_or_insert_with(|| Instant::now() + FALLBACK);
                }
                Verdict::Ready | Verdict::Wait => silence = None,
            }
        }
    }

    /// Shows what was recorded; `speed`: how many times faster than it was, or else at once.
    ///
    /// # Errors
    /// If it cannot be read, or a signal ends it.
    pub async fn replay<R: BufRead>(
        mut self,
        mut recording: Recording<R>,
        speed: Option<f64>,
    ) -> Result<bool, Failure> {
        let mut signals = Signals::listen()?;
        self.only_the_end = self.pace.once;
        let mut last: Option<u64> = None;
        while let Some(record) = recording.read_next()? {
            if let (Some(speed), Some(last)) = (speed, last) {
                let pause = Duration::from_millis(record.unix_millis.saturating_sub(last));
                tokio::select! {
                    why = signals.next() => return Err(Failure::new(Kind::Interrupted, why)),
                    () = sleep(pause.div_f64(speed)) => {}
                }
            }
            last = Some(record.unix_millis);
            if self.take(record)? == Flow::Done {
                return Ok(self.is_faulty());
            }
        }
        let Some(last) = last else {
            return Err(Failure::new(Kind::Usage, "the recording is empty")
                .with_hint("top --record FILE writes recordings"));
        };
        if self.shown == 0 {
            self.frame(last)?;
        }
        Ok(self.is_faulty())
    }

    /// Takes what is told, after what was due before.
    fn take(&mut self, record: Record) -> Result<Flow, Failure> {
        let Record { unix_millis: now, .. } = record;
        if self.beat(now)? == Flow::Done {
            return Ok(Flow::Done);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.add(&record)?;
        }
        self.say(&record.input);
        self.readiness.take(&record.input);
        self.board.take(record.input, now);
        if self.due.is_none() && self.readiness.verdict() == Verdict::Ready && !self.only_the_end {
            return self.frame(now);
        }
        Ok(Flow::On)
    }

    /// Whether something of what was shown last is faulty.
    fn is_faulty(&self) -> bool {
        self.last.as_ref().is_some_and(|frame| self.show.is_faulty(frame))
    }

    /// Shows what is due.
    fn beat(&mut self, now: u64) -> Result<Flow, Failure> {
        let interval = millis(self.pace.interval).max(1);
        while let Some(due) = self.due.filter(|due| *due <= now) {
            if self.frame(due)? == Flow::Done {
                return Ok(Flow::Done);
            }
            // Whoever could not keep up does not make up for it.
            if let Some(next) = self.due.filter(|next| now.saturating_sub(*next) > 10 * interval) {
                self.due = Some(next + (now - next) / interval * interval);
            }
        }
        Ok(Flow::On)
    }

    /// It was waited long enough for the first frame.
    fn late(&mut self, now: u64) -> Result<Flow, Failure> {
        if self.readiness.has_something() {
            return self.frame(now);
        }
        match self.readiness.verdict() {
            Verdict::Silent(why) => Err(silent(&why)),
            Verdict::Wait | Verdict::Ready => Err(silent("nobody has answered in time")),
        }
    }

    fn frame(&mut self, at: u64) -> Result<Flow, Failure> {
        self.due = Some(at.saturating_add(millis(self.pace.interval).max(1)));
        let frame = self.board.frame(at);
        let head = self.show.head().filter(|_| !std::mem::replace(&mut self.headed, true));
        let body = self.show.frame(&frame)?;
        if self.pace.once {
            self.warn(&frame);
        }
        let text: Vec<_> = head.into_iter().chain(body).collect();
        let gap = if self.show.has_blocks() && self.shown > 0 { "\n" } else { "" };
        self.shown += 1;
        self.last = Some(frame);
        if !text.is_empty()
            && self.printer.lines(&format!("{gap}{}", text.join("\n"))) == Err(Closed)
        {
            // Whoever closes the output has seen enough.
            return Ok(Flow::Done);
        }
        let enough = self.pace.once || self.pace.count.is_some_and(|count| self.shown >= count);
        Ok(if enough { Flow::Done } else { Flow::On })
    }

    /// Says on stderr what is not in a table: what cannot be shown, each once.
    fn say(&mut self, input: &Input) {
        let news: Vec<Arc<str>> = match input {
            Input::Limits(limits) => limits.clone(),
            Input::Lost(name, why) => vec![format!("{name} is not heard: {why}").into()],
            Input::Sources(_)
            | Input::Increment(..)
            | Input::Shifts(_)
            | Input::Events(_)
            | Input::Kubernetes(_)
            | Input::Pods(_) => Vec::new(),
        };
        for text in news {
            if self.said.insert(Arc::clone(&text)) {
                write_stderr(&format!("warning: {}\n", plain(&text)));
            }
        }
    }

    /// Says on stderr what somebody should look at.
    fn warn(&self, frame: &Frame) {
        if !self.show.is_for_people() || self.printer.quiet() {
            return;
        }
        for warning in &frame.warnings {
            write_stderr(&format!("warning: {}\n", plain(&warning.text)));
        }
    }
}

fn silent(why: &str) -> Failure {
    let message = match why {
        "" => "no controller tells anything".to_owned(),
        why => format!("no controller tells anything: {why}"),
    };
    Failure::new(Kind::Cluster, message)
        .with_hint("kubectl contour check says what may be wrong with an installation\nkubectl contour sandbox starts one on this machine, and top -f DIR shows it")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
