//! `shift` without a verb: on a terminal it asks what to do.

use std::sync::Arc;

use contour_core::shift::Note;
use contour_core::shift::machine::Command;
use contour_core::shift::state::State;

use super::args::{DriveFlags, ShiftArgs, StatusArgs};
use super::target::{Named, Target};
use super::wizard::Wizard;
use super::{look, show, start, verbs};
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Manner, Palette, is_attended};
use crate::question::{self, Choice, Question, pick, refuse};

/// On a terminal, asks what to do; elsewhere, says how it is going.
///
/// # Errors
/// How it ended, if not well.
pub(super) async fn bare(args: &ShiftArgs, manner: Manner) -> Result<(), Failure> {
    if !is_attended() {
        let Some(target) = args.target.clone() else {
            let hint = "kubectl contour shift --help lists the verbs; kubectl contour shift list shows what is going on";
            let message = "name an IngressRoute, or say what to do";
            return Err(Failure::new(Kind::Usage, message).with_hint(hint));
        };
        let (output, cluster) = (args.drive.output, args.cluster.clone());
        return look::status(&StatusArgs { target, output, cluster }, &args.place, manner).await;
    }
    let named = args.target.as_deref().map(Named::parse).transpose()?;
    let target = super::target(&args.place, &args.cluster).await?;
    if let Some(named) = &named
        && let Some(state) = unfinished(&target, &named.name).await?
    {
        return running(&target, &named.name, &state, &args.drive, manner).await;
    }
    let palette = Palette::new(manner.color.on_stderr());
    let routes = target.routes().await?;
    let mut wizard = Wizard::new(routes, named.as_ref().map(|named| &*named.name))?;
    while !wizard.is_done() {
        let answer = question::ask(&wizard.question(), palette).await?;
        if let Err(why) = wizard.answer(&answer) {
            refuse(&why, palette);
        }
    }
    let name = wizard.target();
    if let Some(state) = unfinished(&target, name.split('#').next().unwrap_or_default()).await? {
        return running(&target, &name, &state, &args.drive, manner).await;
    }
    let command = target.command("start", &target.object(&name));
    let same = format!("the same without questions: {command} {}", wizard.flags().join(" "));
    write_stderr(&format!("{}\n\n", palette.faint(&same)));
    let target = Arc::new(target);
    let prepared = start::prepare(&target, &name, &wizard.plan()?, &args.drive.reason).await?;
    start::begin(vec![prepared], &args.drive, false, manner).await
}

/// The shift that a route is in the middle of.
async fn unfinished(target: &Target, name: &str) -> Result<Option<State>, Failure> {
    let (_object, found) = start::find(target, name).await?;
    let state = found.live.annotation.as_deref().and_then(|text| State::read(text).ok());
    Ok(state.filter(|state| !state.is_spent(&found.live.uid)))
}

/// Asks what is to become of a shift that is not over.
async fn running(
    target: &Target,
    name: &str,
    state: &State,
    drive: &DriveFlags,
    manner: Manner,
) -> Result<(), Failure> {
    let palette = Palette::new(manner.color.on_stderr());
    let name = name.split('#').next().unwrap_or_default();
    write_stderr(&show::text(&target.object(name), state, None, None));
    let choices = vec![
        Choice::new("resume", "go on with it"),
        Choice::new("promote", "go on with the next step, whatever the gates say"),
        Choice::new("rollback", "move all traffic back"),
        Choice::new("abort", "end it and leave the weights"),
        Choice::new("nothing", "leave it as it is"),
    ];
    let question = Question::new("What now", choices, Some("nothing"));
    let command = loop {
        let answer = question.meant(&question::ask(&question, palette).await?).unwrap_or_default();
        match pick(&answer, &question.choices).map(|c| c.map(|c| c.value.as_str())) {
            Ok(Some("resume")) => break Command::Resume,
            Ok(Some("promote")) => break Command::Promote,
            Ok(Some("rollback")) => {
                break Command::Rollback { by: target.holder().clone(), force: false };
            }
            Ok(Some("abort")) => break Command::Abort,
            Ok(Some(_)) => return Ok(()),
            Ok(None) => refuse("that is none of these", palette),
            Err(why) => refuse(&why, palette),
        }
    };
    verbs::take(target, name, drive, manner, |_by: Note| command).await
}
