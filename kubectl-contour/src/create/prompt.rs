//! The terminal of the wizard: one line asked, one line read. No mode of the terminal is changed,
//! so there is none to restore.

use std::fmt::Write as _;
use std::io::BufRead as _;

use super::draft::{ingressroute, text};
use super::wizard::{Ending, Question, Wizard};
use super::yaml::wrap;
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::Palette;

/// How many choices are listed.
const LISTED: usize = 15;

/// How wide reasons are.
const WIDTH: usize = 90;

/// Asks until everything is answered.
///
/// # Errors
/// If the user ends it by Ctrl-C or Ctrl-D.
pub async fn ask(mut wizard: Wizard, palette: Palette) -> Result<Wizard, Failure> {
    while wizard.ending().is_none() {
        if wizard.is_written() {
            let document = ingressroute(wizard.wish());
            write_stderr(&format!("\n{}\n", text(&[document])));
        }
        write_stderr(&draw(&wizard.question(), palette));
        let answer = line().await?;
        match wizard.answer(&answer) {
            Ok(remarks) => {
                for remark in remarks {
                    write_stderr(&indented(&remark, palette.faint("note:")));
                }
            }
            Err(reason) => write_stderr(&indented(&reason, palette.bad("no:"))),
        }
    }
    Ok(wizard)
}

/// What the end of the wizard means for the flags.
pub fn decide(ending: &Ending, flags: &mut super::args::DeliverArgs) {
    match ending {
        Ending::Print => {}
        Ending::Save(file) => flags.save = Some(file.into()),
        Ending::Apply => flags.apply = true,
    }
}

fn draw(question: &Question, palette: Palette) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (choice, number) in question.choices.iter().zip(1..).take(LISTED) {
        let about = palette.faint(&choice.about);
        let _infallible = writeln!(out, "  {number:>2}  {:<24} {about}", choice.value);
    }
    if let Some(more) = question.choices.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _infallible = writeln!(out, "      and {more} more: type a part of the name");
    }
    let default = question.default.as_ref().map(|default| format!(" [{default}]"));
    let _infallible =
        write!(out, "{}{}: ", palette.strong(&question.text), default.unwrap_or_default());
    out
}

fn indented(reason: &str, label: String) -> String {
    let mut out = label;
    for (index, line) in reason.lines().flat_map(|line| wrap(line, WIDTH)).enumerate() {
        out.push_str(if index == 0 { " " } else { "      " });
        out.push_str(&line);
        out.push('\n');
    }
    out
}

async fn line() -> Result<String, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|count| (count, line))
    });
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            write_stderr("\n");
            drop(interrupted);
            Err(Failure::new(Kind::Interrupted, "interrupted; nothing was written"))
        }
        line = read => match line {
            Ok(Ok((0, _))) => {
                write_stderr("\n");
                Err(Failure::new(Kind::Cancelled, "the input has ended; nothing was written"))
            }
            Ok(Ok((_, line))) => Ok(line),
            Ok(Err(error)) => Err(Failure::new(Kind::Error, format!("cannot read the terminal: {error}"))),
            Err(error) => Err(Failure::new(Kind::Error, format!("cannot read the terminal: {error}"))),
        },
    }
}
