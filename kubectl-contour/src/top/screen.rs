//! The live screen: what is told goes to a board, its frames to the screen, and what is asked for by
//! keys is done. Drawing has a thread of its own, so that a key never waits for what is asked of a
//! cluster, nor for a board.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use contour_core::top::{Board, Frame, Input, Record};
use contour_tui::terminal::{Screen, heard_by_top, next};
use contour_tui::theme::{Theme, Tone};
use contour_tui::top::{Effect, Event, Model, Options, update, view};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::away::{Away, export};
use super::clock::Clock;
use super::record::Recorder;
use super::show::Show;
use super::tape::Tape;
use crate::failure::{Failure, Kind};
use crate::sandbox::signals::{INTERRUPTED, Signals};
use crate::shift::panel::{part, suspend};

/// How long a key may wait until what was heard meanwhile is drawn.
const DRAWN: Duration = Duration::from_millis(50);
/// How often the time is told.
const TICK: Duration = Duration::from_millis(500);

/// What the screen is made of.
#[derive(Debug)]
pub struct Setup {
    /// How it begins.
    pub options: Options,
    /// Its colours and signs.
    pub theme: Theme,
    /// Whether the mouse is its own.
    pub mouse: bool,
    /// How far back rates go.
    pub window: Duration,
    /// The rows that there are at all.
    pub show: Show,
    /// Where all that is told is added.
    pub recorder: Option<Recorder>,
    /// What a shift is opened with.
    pub away: Away,
}

/// What the thread that draws wants.
#[derive(Debug)]
enum Wish {
    /// A frame every so many milliseconds.
    Interval(u32),
    /// A frame now.
    Refresh,
}

/// Shows what is told until somebody leaves.
///
/// # Errors
/// If the terminal cannot be used, or a signal ends it.
pub async fn run(setup: Setup, tape: Tape) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let (events, heard) = channel();
    let (wishes, asked_for) = mpsc::unbounded_channel();
    let away = Arc::new(AtomicBool::new(false));
    let Setup { options, theme, mouse, window, show, recorder, away: shift } = setup;
    let interval = options.interval_millis;
    let mut screen = Screen::enter().map_err(unusable)?;
    if mouse {
        screen.take_mouse().map_err(unusable)?;
    }
    let size = screen.size().map_err(unusable)?;
    let clock = tape.clock();
    let options = Options { size, now_unix_millis: clock.now(), ..options };
    let painter = Painter {
        screen,
        model: Model::new(options),
        theme,
        wishes,
        is_away: Arc::clone(&away),
        shift,
        runtime: Handle::current(),
    };
    let painter = std::thread::Builder::new()
        .name("screen".to_owned())
        .spawn(move || painter.until_left(&heard))
        .map_err(|error| Failure::new(Kind::Error, format!("cannot start a thread: {error}")))?;
    let mut teller = Teller {
        board: Board::new(window),
        show,
        recorder,
        clock,
        events,
        interval: Duration::from_millis(interval.into()),
    };
    let ended = tokio::select! {
        why = ended(&mut signals, &away) => Err(Failure::new(Kind::Interrupted, why)),
        () = teller.tell(tape, asked_for) => Ok(()),
    };
    // Without anybody to hear of, the thread gives the terminal back and ends.
    drop(teller);
    let left = tokio::task::spawn_blocking(move || part(painter)).await;
    let left = left.unwrap_or_else(|error| Err(io::Error::other(error)));
    ended?;
    left.map_err(unusable)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what maps errors")]
fn unusable(error: io::Error) -> Failure {
    Failure::new(Kind::Error, format!("the terminal cannot be used: {error}"))
        .with_hint("--once and -b write tables instead")
}

/// Waits for a signal that is for the screen: what interrupts a shift that was opened from it is not.
async fn ended(signals: &mut Signals, away: &AtomicBool) -> &'static str {
    loop {
        let why = signals.next().await;
        if why != INTERRUPTED || !away.load(Ordering::SeqCst) {
            return why;
        }
    }
}

/// What makes frames.
struct Teller {
    board: Board,
    show: Show,
    recorder: Option<Recorder>,
    clock: Clock,
    events: Sender<Event>,
    interval: Duration,
}

impl Teller {
    /// Tells the screen until it is left.
    async fn tell(&mut self, mut tape: Tape, mut wished: mpsc::UnboundedReceiver<Wish>) {
        let mut due = Instant::now();
        let mut tick = Instant::now();
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                wish = wished.recv() => match wish {
                    Some(Wish::Interval(millis)) => {
                        self.interval = Duration::from_millis(millis.max(100).into());
                        due = due.min(Instant::now() + self.interval);
                    }
                    Some(Wish::Refresh) => due = Instant::now(),
                    // It was left.
                    None => return,
                },
                () = sleep_until(due), if told => {
                    due = Instant::now() + self.interval;
                    self.frame();
                }
                () = sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    self.send(Event::Tick(self.clock.now()));
                }
                record = tape.next() => match record {
                    Ok(Some(record)) => {
                        // Something is to be seen as soon as there is something.
                        if !told && matches!(record.input, Input::Increment(..) | Input::Kubernetes(_)) {
                            due = Instant::now();
                        }
                        told = true;
                        self.take(record);
                    }
                    Ok(None) => {
                        self.clock.end();
                        self.notice("the recording ends here", Tone::Plain);
                    }
                    Err(failure) => self.notice(&failure.message, Tone::Bad),
                },
            }
        }
    }

    fn take(&mut self, record: Record) {
        self.clock.heard(record.unix_millis, Instant::now());
        if let Some(recorder) = &mut self.recorder
            && let Err(failure) = recorder.add(&record)
        {
            self.recorder = None;
            self.notice(&failure.message, Tone::Bad);
        }
        self.board.take(record.input, record.unix_millis);
    }

    fn frame(&mut self) {
        let frame: Frame =
            tokio::task::block_in_place(|| self.show.narrow(self.board.frame(self.clock.now())));
        self.send(Event::Frame(Arc::new(frame)));
    }

    fn notice(&self, text: &str, tone: Tone) {
        self.send(Event::Notice(text.to_owned(), tone));
    }

    fn send(&self, event: Event) {
        // A screen that was left has nothing more to hear.
        drop(self.events.send(event));
    }
}

/// What owns the screen.
struct Painter {
    screen: Screen,
    model: Model,
    theme: Theme,
    wishes: mpsc::UnboundedSender<Wish>,
    /// Whether the terminal is another's for now.
    is_away: Arc<AtomicBool>,
    shift: Away,
    runtime: Handle,
}

/// Whether the screen stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Left,
}

impl Painter {
    fn until_left(mut self, events: &Receiver<Event>) -> io::Result<()> {
        self.draw()?;
        loop {
            let mut news = false;
            loop {
                match events.try_recv() {
                    Ok(event) => {
                        news = true;
                        if self.take(event)? == Flow::Left {
                            return Ok(());
                        }
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            // All that was typed or resized at once is drawn once.
            let mut wait = if news { Duration::ZERO } else { DRAWN };
            while let Some(raw) = next(wait)? {
                wait = Duration::ZERO;
                if let Some(event) = heard_by_top(&raw) {
                    news = true;
                    if self.take(event)? == Flow::Left {
                        return Ok(());
                    }
                }
            }
            if news {
                self.draw()?;
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let (model, theme) = (&self.model, self.theme);
        self.screen.draw(|frame| view(model, theme, frame))
    }

    fn take(&mut self, event: Event) -> io::Result<Flow> {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let (model, effects) = update(self.model.clone(), event);
            self.model = model;
            for effect in effects {
                match effect {
                    Effect::Quit => return Ok(Flow::Left),
                    Effect::Redraw => self.screen.redraw()?,
                    Effect::Suspend => suspend(&mut self.screen)?,
                    Effect::Interval(millis) => self.wish(Wish::Interval(millis)),
                    Effect::Refresh => self.wish(Wish::Refresh),
                    Effect::OpenShift { object, place } => {
                        self.is_away.store(true, Ordering::SeqCst);
                        let came_back = self.shift.open(&self.runtime, &object, place.as_ref());
                        self.is_away.store(false, Ordering::SeqCst);
                        came_back?;
                        self.screen.again()?;
                        self.wish(Wish::Refresh);
                        let (columns, rows) = self.screen.size()?;
                        events.push(Event::Resize(columns, rows));
                    }
                    Effect::Export(frame) => {
                        let (text, tone) = match export(&frame) {
                            Ok(name) => (format!("written to {name}"), Tone::Good),
                            Err(why) => (why, Tone::Bad),
                        };
                        events.push(Event::Notice(text, tone));
                    }
                }
            }
        }
        Ok(Flow::On)
    }

    fn wish(&self, wish: Wish) {
        // Whoever makes frames has ended, and so will this.
        drop(self.wishes.send(wish));
    }
}
