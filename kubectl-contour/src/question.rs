//! Questions on the terminal: one line asked, one line read. No mode of the terminal is changed, so
//! there is none to restore.

use std::fmt::Write as _;
use std::io::BufRead as _;

use contour_core::manifest::nearest;

use crate::create::yaml::wrap;
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::Palette;

/// How many choices are listed.
const LISTED: usize = 15;
/// How wide reasons are.
const WIDTH: usize = 90;
/// How many candidates are named.
const NAMED: usize = 6;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question, without a question mark.
    pub text: String,
    /// What can be chosen.
    pub choices: Vec<Choice>,
    /// What an empty answer means.
    pub default: Option<String>,
}

impl Question {
    /// A question with its choices, and what an empty answer means.
    pub fn new(text: impl Into<String>, choices: Vec<Choice>, default: Option<&str>) -> Self {
        Self { text: text.into(), choices, default: default.map(str::to_owned) }
    }

    /// What an answer means: an empty one is the default.
    ///
    /// # Errors
    /// If there is none.
    pub fn meant(&self, answer: &str) -> Result<String, String> {
        match (&self.default, answer.trim()) {
            (Some(default), "") => Ok(default.clone()),
            (None, "") => Err("an answer is needed".to_owned()),
            (_, text) => Ok(text.to_owned()),
        }
    }
}

/// Asks, and reads a line.
///
/// # Errors
/// If the user ends it by Ctrl-C or Ctrl-D.
pub async fn ask(question: &Question, palette: Palette) -> Result<String, Failure> {
    write_stderr(&draw(question, palette));
    line().await
}

/// Says why an answer will not do.
pub fn refuse(reason: &str, palette: Palette) {
    write_stderr(&indented(reason, palette.bad("no:")));
}

/// Says what should be known of an answer that will do.
pub fn note(remark: &str, palette: Palette) {
    write_stderr(&indented(remark, palette.faint("note:")));
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// What is chosen.
    pub value: String,
    /// What helps to choose it.
    pub about: String,
}

impl Choice {
    /// A choice and what is said about it.
    pub fn new(value: &str, about: &str) -> Self {
        Self { value: value.to_owned(), about: about.to_owned() }
    }
}

/// What an answer chooses; `None` if it is nothing like any of the choices.
///
/// # Errors
/// If it is like several of them, or a number that none of them has.
pub fn pick<'c>(answer: &str, choices: &'c [Choice]) -> Result<Option<&'c Choice>, String> {
    if let Some(exact) = choices.iter().find(|choice| choice.value == answer) {
        return Ok(Some(exact));
    }
    if let Ok(number) = answer.parse::<usize>() {
        let found = number.checked_sub(1).and_then(|index| choices.get(index));
        return match found {
            Some(choice) => Ok(Some(choice)),
            None if choices.is_empty() => Ok(None),
            None => Err(format!("there is no number {number}, but 1 to {}", choices.len())),
        };
    }
    let wanted = answer.to_lowercase();
    let tests: [&dyn Fn(&str) -> bool; 3] = [
        &|value| value.starts_with(&wanted),
        &|value| value.contains(&wanted),
        // What is written out in full is no abbreviation.
        &|value| !wanted.contains(':') && is_within(&wanted, value),
    ];
    for test in tests {
        let found: Vec<&Choice> = choices.iter().filter(|choice| test(&choice.value)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Some(one)),
            several => {
                let names: Vec<&str> =
                    several.iter().take(NAMED).map(|choice| choice.value.as_str()).collect();
                let more = if several.len() > NAMED { ", …" } else { "" };
                return Err(format!("{answer:?} may be {}{more}", names.join(", ")));
            }
        }
    }
    let near = nearest(&wanted, choices.iter().map(|choice| choice.value.as_str()));
    match near {
        Some(near) => Err(format!("{answer:?} is none of them; did you mean {near}?")),
        None => Ok(None),
    }
}

/// Whether the letters stand in the text in this order.
fn is_within(letters: &str, text: &str) -> bool {
    let mut rest = text.chars();
    letters.chars().all(|letter| rest.any(|c| c == letter))
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
