//! A client's part of a shift: from the lease to the exit code.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contour_core::api::Timestamp;
use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::{Action, Command, Holder, Live, Machine, Outcome};
use contour_core::shift::state::State;
use serde_json::Value;
use tokio::sync::mpsc;

use super::args::{DriveFlags, Format};
use super::audience::{Told, Tone};
use super::driver::{Audience, Driver, Ended, Look, Order};
use super::history::{self, Entry};
use super::lease::{Held, Hold};
use super::panel::{self, Panel, Subject};
use super::plan::Interrupt;
use super::report::{document, junit, summary};
use super::show;
use super::target::{Guard, Target};
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Manner, Palette};
use crate::sandbox::signals::Signals;

/// Writes a line for each change, and remembers all of them.
pub struct Teller {
    object: ObjectRef,
    format: Format,
    manner: Manner,
    palette: Palette,
    /// Everything that was told.
    pub told: Vec<Told>,
    trouble: String,
}

impl Teller {
    /// One that writes in a form.
    pub fn new(object: &ObjectRef, format: Format, manner: Manner) -> Self {
        let colored = match format {
            Format::Text => manner.color.on_stdout(),
            Format::Json | Format::Yaml => manner.color.on_stderr(),
            Format::Ndjson => false,
        };
        Self {
            object: object.clone(),
            format,
            manner,
            palette: Palette::new(colored),
            told: Vec::new(),
            trouble: String::new(),
        }
    }

    fn line(&self, told: &Told) -> String {
        let time = told.at.to_string();
        let time =
            time.split_once('T').map_or(time.as_str(), |(_, clock)| clock.trim_end_matches('Z'));
        let message = match told.tone {
            Tone::Plain => told.message.clone(),
            Tone::Good => self.palette.good(&told.message),
            Tone::Warning => self.palette.strong(&told.message),
            Tone::Bad => self.palette.bad(&told.message),
        };
        let (namespace, name) = (&self.object.name.namespace, &self.object.name.name);
        format!("{} {namespace}/{name} {}: {message}", self.palette.faint(time), told.reason)
    }
}

impl Audience for Teller {
    fn told(&mut self, told: &Told) {
        match self.format {
            Format::Text if self.manner.quiet && !told.lasts => {}
            Format::Text => print(&self.line(told)),
            Format::Ndjson => print(&told.json(&self.object).to_string()),
            Format::Json | Format::Yaml if self.manner.quiet => {}
            Format::Json | Format::Yaml => write_stderr(&format!("{}\n", self.line(told))),
        }
        self.told.push(told.clone());
    }

    fn looked(&mut self, _look: &Look<'_>) {
        self.trouble.clear();
    }

    fn trouble(&mut self, why: &str) {
        // Once, not at each look.
        if self.trouble != why {
            why.clone_into(&mut self.trouble);
            write_stderr(&format!("warning: {why}\n"));
        }
    }
}

/// Writes a line to stdout. If nobody reads any more, the shift goes on all the same: it is more
/// than its words.
fn print(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Lines or the panel, and the memory of both.
struct Telling<'t> {
    teller: &'t mut Teller,
    panel: Option<Panel>,
}

impl Audience for Telling<'_> {
    fn told(&mut self, told: &Told) {
        match &mut self.panel {
            None => self.teller.told(told),
            Some(panel) => {
                panel.told(told);
                self.teller.told.push(told.clone());
            }
        }
    }

    fn looked(&mut self, look: &Look<'_>) {
        match &mut self.panel {
            None => self.teller.looked(look),
            Some(panel) => panel.looked(look),
        }
    }

    fn is_watching(&self) -> bool {
        self.panel.is_some()
    }

    fn trouble(&mut self, why: &str) {
        match &mut self.panel {
            None => self.teller.trouble(why),
            Some(panel) => panel.trouble(why),
        }
    }
}

/// A shift that is about to be driven.
pub struct Session<'a> {
    /// Where.
    pub target: &'a Target,
    /// What.
    pub object: &'a ObjectRef,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// The machine and what it wants first.
    pub begun: (Machine, Vec<Action>),
    /// What keeps others out.
    pub hold: Hold,
    /// How to drive.
    pub flags: &'a DriveFlags,
    /// How to speak.
    pub manner: Manner,
    /// What was asked for.
    pub aim: Aim,
}

/// What a command is for: when that is done, it has ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To reach the end of the plan.
    Arrive,
    /// To stop it.
    Stop,
    /// To end it.
    End,
    /// To move traffic back.
    Return,
}

impl Aim {
    /// What a command of an operator is for.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Resume | Command::Promote | Command::PromoteFully | Command::Retry => {
                Self::Arrive
            }
            Command::Pause(_) | Command::Set(_) => Self::Stop,
            Command::Abort => Self::End,
            Command::Rollback { .. } | Command::Undo { .. } => Self::Return,
        }
    }

    /// The exit code for how it ended.
    pub fn code(self, outcome: &Outcome) -> u8 {
        let done = match self {
            Self::Arrive => false,
            Self::Stop => matches!(outcome, Outcome::Paused(_)),
            Self::End => matches!(outcome, Outcome::Aborted { .. }),
            Self::Return => matches!(outcome, Outcome::RolledBack(_)),
        };
        if done { 0 } else { outcome.code() }
    }
}

impl Session<'_> {
    /// Drives it to the end of this client's part.
    ///
    /// # Errors
    /// How it ended, if not well.
    pub async fn drive(self) -> Result<(), Failure> {
        let mut teller = Teller::new(self.object, self.flags.output, self.manner);
        let (tell, mut orders) = mpsc::channel(4);
        let interrupted = Arc::new(AtomicBool::new(false));
        let panel = self.panel(tell.clone())?;
        let heeding = Heeding {
            orders: tell,
            what: self.flags.on_interrupt,
            interrupted: Arc::clone(&interrupted),
            says: panel.is_none(),
        };
        let mut signals = tokio::spawn(heeding.heed());
        let Self { target, object, begun, hold, flags, aim, .. } = self;
        let (mut machine, mut actions) = begun;
        let guard = hold.guard;
        let mut telling = Telling { teller: &mut teller, panel };
        let (ended, state) = loop {
            let mut driver = Driver::new(target, object, machine, &guard, &mut telling);
            let ended = tokio::select! {
                ended = driver.run(actions, &mut orders) => ended,
                _ = &mut signals => Ended::Detached,
            };
            let state = driver.state().clone();
            let Some(panel) = &mut telling.panel else { break (ended, state) };
            // Whoever sits there may read how it ended, and go on.
            let Ended::Outcome(outcome) = &ended else { break (ended, state) };
            panel.ended(&state, outcome, target.now());
            if interrupted.load(Ordering::Acquire) {
                break (ended, state);
            }
            let order = tokio::select! {
                order = orders.recv() => order,
                _ = &mut signals => None,
            };
            let Some(Order::Command(command)) = order else { break (ended, state) };
            match again(target, object, &guard, command).await {
                Ok((next, first)) => (machine, actions) = (next, first),
                Err(outcome) => break (Ended::Outcome(outcome), state),
            }
        };
        if let Some(panel) = telling.panel.take() {
            panel.close();
        }
        signals.abort();
        let part = Part { target, object, state, ended, guard, teller, aim };
        close(vec![part.end(interrupted.load(Ordering::Acquire)).await?], flags)
    }

    fn panel(&self, orders: mpsc::Sender<Order>) -> Result<Option<Panel>, Failure> {
        let wanted =
            self.flags.output == Format::Text && !self.flags.panel.no_panel && !self.manner.quiet;
        if !wanted || !panel::has_terminal() {
            return Ok(None);
        }
        let subject = Subject {
            object: self.object.clone(),
            location: self.target.place(),
            hosts: self.hosts.clone(),
            holder: self.target.holder().clone(),
        };
        let panel =
            Panel::open(subject, self.target.now(), (self.flags.panel, self.manner.color), orders);
        panel.map(Some).map_err(|error| {
            Failure::new(Kind::Error, format!("cannot show the panel: {error}"))
                .with_hint("--no-panel writes lines instead")
        })
    }
}

/// Makes a machine of the object as it is once it is held. If that cannot be, it is let go.
pub(super) async fn begin(
    target: &Target,
    object: &ObjectRef,
    hold: Hold,
    make: impl FnOnce(Holder, &Live) -> Result<(Machine, Vec<Action>), Outcome>,
) -> Result<(Hold, (Machine, Vec<Action>)), Failure> {
    let holder = Holder { name: target.holder().clone(), until: hold.until };
    // What was looked at before may be old by now.
    let begun = match target.read(object).await {
        Ok(Some(found)) => make(holder, &found.live)
            .map_err(|outcome| Failure::new(Kind::Shift(outcome.code()), outcome.to_string())),
        Ok(None) => Err(Failure::new(Kind::Shift(8), format!("{object} was deleted"))),
        Err(failure) => Err(failure),
    };
    match begun {
        Ok(begun) => Ok((hold, begun)),
        Err(failure) => {
            release(hold.guard, None).await;
            Err(failure)
        }
    }
}

/// Goes on with a shift whose lease is still held.
pub(super) async fn again(
    target: &Target,
    object: &ObjectRef,
    guard: &Guard,
    command: Command,
) -> Result<(Machine, Vec<Action>), Outcome> {
    let until = match guard {
        Guard::File(_) => Timestamp::from_unix(i64::MAX),
        Guard::Lease(lease) => match &*lease.news().borrow() {
            Held::Until(until) => *until,
            Held::Lost(to) => return Err(Outcome::Locked(to.clone())),
        },
    };
    let holder = Holder { name: target.holder().clone(), until };
    let gone = |why: &str| Outcome::Superseded(Note::new(why));
    let found = target.read(object).await.map_err(|failure| gone(&failure.message))?;
    let found = found.ok_or_else(|| gone("the object was deleted"))?;
    Machine::resume(holder, &found.live, command, target.now())
}

/// What signals do.
pub(super) struct Heeding {
    /// Whom the first one is told.
    pub(super) orders: mpsc::Sender<Order>,
    /// What it means.
    pub(super) what: Interrupt,
    /// Whether one has come.
    pub(super) interrupted: Arc<AtomicBool>,
    /// Whether to say so: not over a panel.
    pub(super) says: bool,
}

impl Heeding {
    /// The first signal ends the shift in order; with the second this ends, and the shift is let be.
    pub(super) async fn heed(self) {
        let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
        let why = signals.next().await;
        self.interrupted.store(true, Ordering::Release);
        let command = match self.what {
            Interrupt::Hold => Command::Pause(Note::new(why)),
            Interrupt::Rollback => Command::Rollback { by: Note::new(why), force: false },
        };
        if self.says {
            write_stderr(&format!("{why}: ending in order; once more ends at once\n"));
        }
        drop(self.orders.send(Order::Command(command)).await);
        signals.next().await;
    }
}

/// A part that has ended, and what is left to do for it.
pub(super) struct Part<'a> {
    /// Where.
    pub(super) target: &'a Target,
    /// What.
    pub(super) object: &'a ObjectRef,
    /// Where the shift is.
    pub(super) state: State,
    /// How the part ended.
    pub(super) ended: Ended,
    /// What kept others out.
    pub(super) guard: Guard,
    /// What was told.
    pub(super) teller: Teller,
    /// What was asked for.
    pub(super) aim: Aim,
}

/// What is to be said and written of a part.
pub(super) struct Closing {
    /// For programs.
    pub(super) value: Value,
    /// A `JUnit` suite.
    pub(super) junit: String,
    /// In Markdown.
    pub(super) summary: String,
    /// The failure to end with, if it did not end well.
    pub(super) failure: Option<Failure>,
}

impl Part<'_> {
    /// Tells how it ended, remembers it, and lets others in.
    pub(super) async fn end(mut self, was_interrupted: bool) -> Result<Closing, Failure> {
        let now = self.target.now();
        let outcome = match self.ended.clone() {
            Ended::Outcome(outcome) => outcome,
            Ended::Failed(failure) => {
                let resume = self.resume();
                release(self.guard, None).await;
                return Err(failure.with_hint(resume));
            }
            Ended::Detached => {
                let resume = self.resume();
                release(self.guard, None).await;
                let message = "left as it is: nobody drives it now";
                return Err(Failure::new(Kind::Interrupted, message).with_hint(resume));
            }
        };
        let told = Told::ended(&outcome, now);
        if told.lasts {
            self.target.publish(self.object, &self.state.charter.uid, &told).await;
        }
        self.teller.told(&told);
        let history = self.remember(&outcome, now).await;
        let mut value = show::json(self.object, &self.state, None, None);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("outcome".to_owned(), outcome.to_string().into());
            fields.insert("exitCode".to_owned(), self.aim.code(&outcome).into());
        }
        let closing = Closing {
            value,
            junit: junit(self.object, &self.teller.told, &outcome),
            summary: summary(self.object, &self.state, &self.teller.told, &outcome),
            failure: self.failure(&outcome, was_interrupted),
        };
        release(self.guard, history).await;
        Ok(closing)
    }

    fn failure(&self, outcome: &Outcome, was_interrupted: bool) -> Option<Failure> {
        let code = self.aim.code(outcome);
        if code == 0 {
            return None;
        }
        if was_interrupted {
            let failure = Failure::new(Kind::Interrupted, outcome.to_string());
            return Some(failure.with_hint(self.resume()));
        }
        let failure = Failure::new(Kind::Shift(code), outcome.to_string());
        Some(match self.remedy(outcome) {
            Some(remedy) => failure.with_hint(remedy),
            None => failure,
        })
    }

    fn resume(&self) -> String {
        format!("{} goes on with it", self.target.command("resume", self.object))
    }

    fn remedy(&self, outcome: &Outcome) -> Option<String> {
        let command = |verb: &str| self.target.command(verb, self.object);
        Some(match outcome {
            Outcome::Paused(_) => format!(
                "{} goes on, {} goes to the next step whatever gates say, {} moves all traffic back",
                command("resume"),
                command("promote"),
                command("rollback")
            ),
            Outcome::Held(_) | Outcome::Incomplete(_) | Outcome::Aborted { at_baseline: false } => {
                format!(
                    "{} says where it is; {} tries again to go on, {} to move all traffic back",
                    command("status"),
                    command("retry"),
                    command("rollback")
                )
            }
            Outcome::Locked(_) | Outcome::Conflict(_) => {
                format!("{} follows it", command("watch"))
            }
            Outcome::Drifted(_) => format!(
                "nothing was overwritten; when the weights are as they should be: {}",
                command("resume")
            ),
            Outcome::Superseded(_) => format!("{} says where it is", command("status")),
            Outcome::Done { .. }
            | Outcome::Undone
            | Outcome::RolledBack(_)
            | Outcome::Aborted { at_baseline: true }
            | Outcome::Preflight(_)
            | Outcome::Refused(_) => return None,
        })
    }

    async fn remember(&self, outcome: &Outcome, now: Timestamp) -> Option<String> {
        let (Guard::Lease(_), Target::Kubernetes(kubernetes)) = (&self.guard, self.target) else {
            return None;
        };
        let path = super::lease::path(self.object);
        let lease = kubernetes.cluster().find(&path).await.ok().flatten().unwrap_or(Value::Null);
        history::with(history::read(&lease), Entry::of(&self.state, outcome, now))
    }
}

/// Lets others in, with what is to be remembered.
pub(super) async fn release(guard: Guard, history: Option<String>) {
    match guard {
        Guard::Lease(lease) => lease.release(history).await,
        Guard::File(lock) => drop(lock),
    }
}

/// Writes what is to be written of all parts, and says how it ended: as the first that did not end
/// well.
///
/// # Errors
/// That, or a report cannot be written.
pub(super) fn close(closings: Vec<Closing>, flags: &DriveFlags) -> Result<(), Failure> {
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| {
            Failure::new(Kind::Error, format!("cannot write {}: {error}", path.display()))
        })
    };
    if let Some(path) = &flags.junit_file {
        let suites: String = closings.iter().map(|closing| closing.junit.as_str()).collect();
        write(path, document(&suites))?;
    }
    if let Some(path) = &flags.summary_file {
        let parts: Vec<_> = closings.iter().map(|closing| closing.summary.as_str()).collect();
        write(path, parts.join("\n"))?;
    }
    let values = || -> Value {
        match closings.as_slice() {
            [only] => only.value.clone(),
            several => several.iter().map(|closing| closing.value.clone()).collect(),
        }
    };
    match flags.output {
        Format::Json => print(&serde_json::to_string_pretty(&values())?),
        Format::Yaml => print(yaml(&values())?.trim_end()),
        Format::Text | Format::Ndjson => {}
    }
    closings.into_iter().find_map(|closing| closing.failure).map_or(Ok(()), Err)
}

/// As YAML.
pub fn yaml(value: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value)
        .map_err(|error| Failure::new(Kind::Error, format!("cannot write YAML: {error}")))
}
