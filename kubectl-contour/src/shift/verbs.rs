//! Going on with a shift that has begun.

use contour_core::shift::Note;
use contour_core::shift::machine::{Command, Live, Machine};

use super::args::{DriveFlags, GoArgs, PlaceFlags, SetArgs};
use super::session::{self, Aim, Session};
use super::start::{find, hosts};
use super::target::{Named, Target};
use crate::failure::{Failure, Kind};
use crate::output::{Manner, confirm};

/// Takes a shift into one's hands and does what is asked of it.
///
/// # Errors
/// How it ended, if not well.
pub async fn go_on(
    args: &GoArgs,
    place: &PlaceFlags,
    manner: Manner,
    command: impl FnOnce(Note) -> Command,
) -> Result<(), Failure> {
    let named = Named::parse(&args.target)?;
    let target = super::target(place, &args.cluster).await?;
    take(&target, &named.name, &args.drive, manner, command).await
}

/// The same where the target is known.
pub(super) async fn take(
    target: &Target,
    name: &str,
    drive: &DriveFlags,
    manner: Manner,
    command: impl FnOnce(Note) -> Command,
) -> Result<(), Failure> {
    let (object, found) = find(target, name).await?;
    if found.live.annotation.is_none() {
        let message = format!("no shift is kept at {object}");
        return Err(Failure::new(Kind::Shift(7), message)
            .with_hint(format!("{} begins one", target.command("start", &object))));
    }
    let command = command(target.holder().clone());
    agree(&command, drive.yes, &object.to_string()).await?;
    let aim = Aim::of(&command);
    let hold = target.hold(&object, drive.take_over).await?;
    let resume = |holder, live: &Live| Machine::resume(holder, live, command, target.now());
    let (hold, begun) = session::begin(target, &object, hold, resume).await.map_err(|failure| {
        let hint = "nothing was written; kubectl contour shift status says where it is";
        if failure.hint.is_none() { failure.with_hint(hint) } else { failure }
    })?;
    let hosts = hosts(&found.route);
    Session { target, object: &object, hosts, begun, hold, flags: drive, manner, aim }.drive().await
}

/// `shift set`.
///
/// # Errors
/// How it ended, if not well.
pub async fn set(args: SetArgs, place: &PlaceFlags, manner: Manner) -> Result<(), Failure> {
    let SetArgs { target, percent, drive, cluster } = args;
    let go = GoArgs { target, drive, cluster };
    go_on(&go, place, manner, |_by| Command::Set(percent)).await
}

/// What moves traffic otherwise than the plan does is asked for, where somebody can be asked.
async fn agree(command: &Command, yes: bool, object: &str) -> Result<(), Failure> {
    let question = match command {
        Command::PromoteFully => {
            format!("Move all traffic of {object} to the end of the plan at once?")
        }
        Command::Undo { .. } => format!("Restore the weights that {object} had before the shift?"),
        Command::Rollback { force: true, .. } => {
            format!("Move all traffic of {object} back, even onto a side that is dead?")
        }
        Command::Set(percent) => format!("Set the share of {object} to {percent}?"),
        Command::Pause(_)
        | Command::Resume
        | Command::Promote
        | Command::Abort
        | Command::Rollback { force: false, .. }
        | Command::Retry => return Ok(()),
    };
    if yes {
        return Ok(());
    }
    match confirm(&question).await {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(Kind::Cancelled, "nothing was done")),
        None => Err(Failure::new(Kind::Usage, "nobody can be asked whether that is meant")
            .with_hint("add --yes")),
    }
}
