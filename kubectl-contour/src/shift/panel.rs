//! The live panel on a terminal: what is told goes to its screen, and its keys come back as orders.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::{Command, Counts, Outcome};
use contour_core::shift::state::State;
use contour_tui::shift::{Effect, Event, Judged, Model, Severity, Snapshot, update, view};
use contour_tui::terminal::{Screen, heard, leave, next};
use contour_tui::theme::{Charset, Palette, Theme};
use tokio::sync::mpsc;

use super::args::{self, PanelFlags};
use super::audience::{Told, Tone};
use super::driver::{Audience, Look, Order};
use crate::output::ColorChoice;

/// How long a key may wait until what was heard meanwhile is drawn.
const FRAME: Duration = Duration::from_millis(50);
/// How long the thread that draws may take to end.
const PARTING: Duration = Duration::from_secs(1);
/// How often the clock is drawn.
const TICK: Duration = Duration::from_millis(500);
/// Windows that are kept for their history.
const WINDOWS: usize = 200;

/// What the panel shows that does not change.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The object.
    pub object: ObjectRef,
    /// Where it is, in words.
    pub location: String,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// This client.
    pub holder: Note,
}

/// The panel, on a thread of its own: what is drawn never waits for what is asked of a cluster.
pub struct Panel {
    subject: Subject,
    tell: Sender<Event>,
    screen: JoinHandle<io::Result<()>>,
    windows: Vec<Judged>,
    last: Option<Timestamp>,
    snapshot: Option<Snapshot>,
}

/// Whether the panel can be shown.
pub fn has_terminal() -> bool {
    io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The colours and signs that the terminal can show.
pub fn theme(wanted: args::Theme, ascii: bool, color: ColorChoice) -> Theme {
    let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
    Theme {
        palette: match wanted {
            args::Theme::Color if color.on_stdout() => Palette::Color,
            args::Theme::Safe if color.on_stdout() => Palette::Safe,
            args::Theme::Color | args::Theme::Safe | args::Theme::Mono => Palette::Mono,
        },
        charset: if unicode && !ascii { Charset::Unicode } else { Charset::Ascii },
    }
}

impl Panel {
    /// Takes the terminal. Keys that ask for something become orders.
    ///
    /// # Errors
    /// If the terminal cannot be taken.
    pub fn open(
        subject: Subject,
        now: Timestamp,
        (flags, color): (PanelFlags, ColorChoice),
        orders: mpsc::Sender<Order>,
    ) -> io::Result<Self> {
        let screen = Screen::enter()?;
        let (tell, events) = channel();
        let painter = Painter {
            screen,
            model: Model::new(now),
            theme: theme(flags.theme, flags.ascii, color),
            orders,
            holder: subject.holder.clone(),
            began: (Instant::now(), now),
        };
        let screen = std::thread::Builder::new()
            .name("panel".to_owned())
            .spawn(move || painter.until_closed(&events))?;
        let (windows, last, snapshot) = (Vec::new(), None, None);
        Ok(Self { subject, tell, screen, windows, last, snapshot })
    }

    fn send(&self, event: Event) {
        // A panel that has ended has sent its order to leave.
        drop(self.tell.send(event));
    }

    /// This client's part has ended; the panel stays for whoever wants to read it or to go on.
    pub fn ended(&mut self, state: &State, outcome: &Outcome, now: Timestamp) {
        if let Some(mut snapshot) = self.snapshot.clone() {
            (snapshot.state, snapshot.outcome) = (state.clone(), Some(outcome.clone()));
            snapshot.now = now;
            self.send(Event::Snapshot(Box::new(snapshot)));
        }
    }

    /// Gives the terminal back.
    pub fn close(self) {
        drop(self.tell);
        // What was on the screen is gone with it; nothing is lost.
        drop(part(self.screen));
    }
}

impl Audience for Panel {
    fn told(&mut self, told: &Told) {
        let severity = match told.tone {
            Tone::Plain => Severity::Note,
            Tone::Good => Severity::Good,
            Tone::Warning => Severity::Warning,
            Tone::Bad => Severity::Failure,
        };
        self.send(Event::Told(told.message.clone(), severity));
    }

    fn looked(&mut self, look: &Look<'_>) {
        if let Counts::Over(window) = &look.seen.counts
            && self.last.is_none_or(|last| window.begin > last)
        {
            self.last = Some(window.begin);
            self.windows.extend(Judged::of(&look.state.charter.policy, look.seen));
            let surplus = self.windows.len().saturating_sub(WINDOWS);
            self.windows.drain(..surplus);
        }
        let snapshot = Snapshot {
            object: self.subject.object.clone(),
            location: self.subject.location.clone(),
            hosts: self.subject.hosts.clone(),
            state: look.state.clone(),
            observation: Some(look.seen.clone()),
            baked: look.baked,
            windows: self.windows.clone(),
            outcome: None,
            now: look.now,
        };
        self.snapshot = Some(snapshot.clone());
        self.send(Event::Snapshot(Box::new(snapshot)));
    }

    fn is_watching(&self) -> bool {
        true
    }

    fn trouble(&mut self, why: &str) {
        self.send(Event::Stale(why.to_owned()));
    }
}

/// What owns the screen.
struct Painter {
    screen: Screen,
    model: Model,
    theme: Theme,
    orders: mpsc::Sender<Order>,
    holder: Note,
    /// A moment by both clocks.
    began: (Instant, Timestamp),
}

impl Painter {
    /// A terminal that cannot be used any more leaves the shift as it is.
    fn until_closed(self, events: &Receiver<Event>) -> io::Result<()> {
        let orders = self.orders.clone();
        self.run(events).inspect_err(|_error| drop(orders.blocking_send(Order::Detach)))
    }

    fn run(mut self, events: &Receiver<Event>) -> io::Result<()> {
        let mut ticked = Instant::now();
        self.draw()?;
        loop {
            let mut news = false;
            loop {
                match events.try_recv() {
                    Ok(event) => {
                        self.take(event)?;
                        news = true;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            if let Some(event) = next(FRAME)?.as_ref().and_then(heard) {
                self.take(event)?;
                news = true;
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.take(Event::Tick(self.now()))?;
                news = true;
            }
            if news {
                self.draw()?;
            }
        }
    }

    fn now(&self) -> Timestamp {
        let (instant, then) = self.began;
        let passed = i64::try_from(instant.elapsed().as_secs()).unwrap_or(0);
        Timestamp::from_unix(then.unix().saturating_add(passed))
    }

    fn draw(&mut self) -> io::Result<()> {
        let (model, theme) = (&self.model, self.theme);
        self.screen.draw(|frame| view(model, theme, frame))
    }

    fn take(&mut self, event: Event) -> io::Result<()> {
        let (model, effects) = update(self.model.clone(), event);
        self.model = model;
        for effect in effects {
            match effect {
                Effect::Redraw => self.screen.redraw()?,
                Effect::Suspend => suspend(&mut self.screen)?,
                Effect::Pause
                | Effect::Resume
                | Effect::Promote
                | Effect::PromoteFully
                | Effect::Rollback
                | Effect::Abort
                | Effect::Set(_)
                | Effect::Detach => {
                    if let Some(order) = order(effect, &self.holder) {
                        // Whoever drives has ended if it does not listen.
                        drop(self.orders.blocking_send(order));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits for the thread that draws, and gives the terminal back if it does not: a read of a terminal
/// that is gone may never come back.
///
/// # Errors
/// What the thread ended with.
pub fn part(screen: JoinHandle<io::Result<()>>) -> io::Result<()> {
    let begun = Instant::now();
    while !screen.is_finished() {
        if begun.elapsed() >= PARTING {
            return leave();
        }
        std::thread::sleep(FRAME / 5);
    }
    screen.join().unwrap_or_else(|_panic| Err(io::Error::other("the screen has broken down")))
}

/// Gives the terminal to the shell until it lets this process go on. What drives a shift stands still
/// with it, and its lease may expire.
///
/// # Errors
/// If the terminal cannot be left, or taken again.
pub fn suspend(screen: &mut Screen) -> io::Result<()> {
    leave()?;
    let pid = std::process::id().to_string();
    std::process::Command::new("kill").args(["-TSTP", &pid]).status()?;
    screen.again()
}

fn order(effect: Effect, holder: &Note) -> Option<Order> {
    Some(Order::Command(match effect {
        Effect::Pause => Command::Pause(Note::new("asked for on the panel")),
        Effect::Resume => Command::Resume,
        Effect::Promote => Command::Promote,
        Effect::PromoteFully => Command::PromoteFully,
        Effect::Rollback => Command::Rollback { by: holder.clone(), force: false },
        Effect::Abort => Command::Abort,
        Effect::Set(percent) => Command::Set(percent),
        Effect::Detach => return Some(Order::Detach),
        Effect::Suspend | Effect::Redraw => return None,
    }))
}
