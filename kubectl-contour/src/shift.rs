//! `kubectl contour shift`: moves the traffic of existing routes from one service to another.
//!
//! The decisions are the core's (`contour_core::shift`); here is what reads, writes, looks, asks and
//! tells. What a shift has reached is kept with the weights, so any client can go on with it.

pub mod args;
mod ask;
pub mod audience;
pub mod controller;
pub mod driver;
pub mod file;
mod group;
pub mod history;
pub mod kubernetes;
pub mod lease;
pub mod look;
pub mod panel;
pub mod plan;
pub mod preflight;
pub mod report;
pub mod session;
pub mod show;
pub mod start;
pub mod target;
pub mod verbs;
pub mod wizard;

use std::path::Path;

use contour_core::shift::Note;
use contour_core::shift::machine::Command;

use args::{PlaceFlags, ShiftArgs, Verb};
use file::Files;
use kubernetes::Kubernetes;
use target::{Local, Target};

use crate::cluster::{Cluster, ClusterFlags};
use crate::failure::Failure;
use crate::output::Manner;

/// Runs `shift`.
///
/// # Errors
/// How it ended, if not well.
pub async fn run(args: ShiftArgs, manner: Manner) -> Result<(), Failure> {
    let place = &args.place;
    let Some(verb) = args.verb else {
        return ask::bare(&args, manner).await;
    };
    match verb {
        Verb::Start(args) => start::run(*args, place, manner).await,
        Verb::Plan(args) => start::plan(*args, place, manner).await,
        Verb::Status(args) => look::status(&args, place, manner).await,
        Verb::Watch(args) => look::watch(&args, place, manner).await,
        Verb::History(args) => look::history(&args, place, manner).await,
        Verb::List(args) => look::list(&args, place, manner).await,
        Verb::Pause(args) => {
            let why = match args.drive.reason.as_str() {
                "" => "asked for",
                reason => reason,
            };
            let command = Command::Pause(Note::new(why));
            verbs::go_on(&args, place, manner, |_by| command).await
        }
        Verb::Resume(args) => verbs::go_on(&args, place, manner, |_by| Command::Resume).await,
        Verb::Retry(args) => verbs::go_on(&args, place, manner, |_by| Command::Retry).await,
        Verb::Abort(args) => verbs::go_on(&args, place, manner, |_by| Command::Abort).await,
        Verb::Promote(args) => {
            let command = if args.full { Command::PromoteFully } else { Command::Promote };
            verbs::go_on(&args.go, place, manner, |_by| command).await
        }
        Verb::Set(args) => verbs::set(args, place, manner).await,
        Verb::Rollback(args) => {
            let force = args.force;
            verbs::go_on(&args.go, place, manner, |by| Command::Rollback { by, force }).await
        }
        Verb::Undo(args) => {
            let force = args.force;
            verbs::go_on(&args.go, place, manner, |by| Command::Undo { by, force }).await
        }
    }
}

/// Where the route stands, as the flags say.
async fn target(place: &PlaceFlags, flags: &ClusterFlags) -> Result<Target, Failure> {
    let Some(path) = &place.filename else {
        let cluster = Cluster::connect(flags).await?;
        let kubernetes = Kubernetes::connect(cluster, &place.contour_namespace).await?;
        return Ok(Target::Kubernetes(kubernetes));
    };
    target::exists(path)?;
    Ok(Target::Files(Local {
        files: Files::open(path)?,
        path: path.clone(),
        controller: controller::locate(path, place.controller)?,
        namespace: flags.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        holder: holder(""),
    }))
}

/// A name for this client that no other has: `user@host/pid/random`. `user`: as the API server knows
/// them, if it does.
fn holder(user: &str) -> Note {
    let user = match user {
        "" => std::env::var("USER").unwrap_or_else(|_unset| "somebody".to_owned()),
        user => user.to_owned(),
    };
    let host = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname"))
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "unknown" } else { host };
    Note::new(&format!("{user}@{host}/{}/{:08x}", std::process::id(), fastrand::u32(..)))
}
