//! Several routes shifted together. The API server has no transaction over objects: each has a
//! machine of its own, and what one cannot do the others do not keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contour_core::name::ObjectRef;
use contour_core::shift::Note;
use contour_core::shift::machine::{Action, Command, Machine, Outcome};
use contour_core::shift::state::State;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::args::DriveFlags;
use super::driver::{Driver, Ended, Order};
use super::session::{Aim, Heeding, Part, Teller, again, close};
use super::start::Begun;
use super::target::{Guard, Target};
use crate::failure::Failure;
use crate::output::Manner;

/// One of several routes.
struct One {
    target: Arc<Target>,
    object: ObjectRef,
    guard: Guard,
    teller: Teller,
    orders: mpsc::Receiver<Order>,
}

/// One whose part has ended.
struct Over {
    one: One,
    ended: Ended,
    state: State,
}

impl One {
    async fn drive(mut self, machine: Machine, actions: Vec<Action>) -> Over {
        let mut driver =
            Driver::new(&self.target, &self.object, machine, &self.guard, &mut self.teller);
        let ended = driver.run(actions, &mut self.orders).await;
        let state = driver.state().clone();
        Over { one: self, ended, state }
    }
}

/// What the others do when one has ended.
fn follow(over: &Over) -> Option<Command> {
    let because = |what: &str| Note::new(&format!("{} {what}", over.one.object));
    let back = || Command::Rollback { by: because("went back"), force: false };
    match &over.ended {
        Ended::Outcome(outcome) => match outcome {
            Outcome::Done { .. } | Outcome::Undone => None,
            Outcome::Paused(_) => Some(Command::Pause(because("paused"))),
            Outcome::RolledBack(_)
            | Outcome::Held(_)
            | Outcome::Incomplete(_)
            | Outcome::Aborted { .. }
            | Outcome::Locked(_)
            | Outcome::Conflict(_)
            | Outcome::Preflight(_)
            | Outcome::Drifted(_)
            | Outcome::Superseded(_)
            | Outcome::Refused(_) => Some(back()),
        },
        Ended::Detached => None,
        Ended::Failed(_) => Some(back()),
    }
}

/// Drives all of them to their ends.
///
/// # Errors
/// How the first of them ended that did not end well.
pub(super) async fn drive(
    begun: Vec<Begun>,
    flags: &DriveFlags,
    manner: Manner,
) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (tell, mut orders) = mpsc::channel(4);
    let heeding = Heeding {
        orders: tell,
        what: flags.on_interrupt,
        interrupted: Arc::clone(&interrupted),
        says: true,
    };
    let mut signals = tokio::spawn(heeding.heed());
    let (mut running, mut senders) = (JoinSet::new(), Vec::new());
    for Begun { target, object, first: (machine, actions), hold, .. } in begun {
        let (sender, orders) = mpsc::channel(4);
        senders.push(sender);
        let teller = Teller::new(&object, flags.output, manner);
        let one = One { target, object, guard: hold.guard, teller, orders };
        running.spawn(one.drive(machine, actions));
    }
    let tell_all = async |order: &Order| {
        for sender in &senders {
            // Whoever does not listen has ended.
            drop(sender.send(order.clone()).await);
        }
    };
    let (mut over, mut cause, mut let_be) = (Vec::new(), None, false);
    loop {
        let ended: Over = tokio::select! {
            joined = running.join_next() => match joined {
                None => break,
                Some(Ok(ended)) => ended,
                Some(Err(_panicked)) => continue,
            },
            Some(order) = orders.recv() => {
                tell_all(&order).await;
                continue;
            }
            _ = &mut signals, if !let_be => {
                let_be = true;
                tell_all(&Order::Detach).await;
                continue;
            }
        };
        let follows = follow(&ended);
        over.push(ended);
        if let (Some(command), None) = (follows, &cause) {
            cause = Some(command.clone());
            tell_all(&Order::Command(command)).await;
        }
    }
    signals.abort();
    if let Some(command @ Command::Rollback { .. }) = cause {
        over = take_back(over, &command).await;
    }
    let was_interrupted = interrupted.load(Ordering::Acquire);
    let mut closings = Vec::new();
    for Over { one, ended, state } in over {
        let One { target, object, guard, teller, .. } = one;
        let aim = Aim::Arrive;
        let part = Part { target: &target, object: &object, state, ended, guard, teller, aim };
        closings.push(part.end(was_interrupted).await?);
    }
    close(closings, flags)
}

/// Those that had reached the end of the plan already go back too.
async fn take_back(over: Vec<Over>, command: &Command) -> Vec<Over> {
    let Command::Rollback { by, force } = command else { return over };
    let mut all = Vec::new();
    for ended in over {
        let Ended::Outcome(Outcome::Done { .. }) = &ended.ended else {
            all.push(ended);
            continue;
        };
        let undo = Command::Undo { by: by.clone(), force: *force };
        let one = &ended.one;
        match again(&one.target, &one.object, &one.guard, undo).await {
            Ok((machine, actions)) => all.push(ended.one.drive(machine, actions).await),
            Err(outcome) => all.push(Over { ended: Ended::Outcome(outcome), ..ended }),
        }
    }
    all
}
