//! What the shell offers on TAB: for `kubectl contour`, by way of `kubectl_complete-contour`, and
//! for `kubectl-contour`, by way of a script of the shell.
//!
//! Both end in `kubectl-contour __complete WORD…`, which kubectl's own way of asking plugins
//! prescribes: lines of `value<TAB>description`, and last `:N` with what the shell has to do.

mod cache;
mod candidates;
mod engine;
mod install;
mod live;
mod script;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Subcommand};

use crate::cli::Cli;
use crate::failure::{Failure, Kind};
use crate::output::Printer;

pub use install::{EXECUTABLE, is_ours};
pub use script::Shell;

/// Flags of `completion`.
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// What to do about it.
    #[command(subcommand)]
    pub what: What,
}

/// What `completion` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Write the script for bash to stdout
    Bash,
    /// Write the script for zsh to stdout
    Zsh,
    /// Write the script for fish to stdout
    Fish,
    /// Write the script for PowerShell to stdout
    Powershell,
    /// Put the shell's script and `kubectl_complete-contour` where shell and kubectl look for them
    ///
    /// A file that is not ours is left alone, and nothing is written then, unless --force is given.
    Install(InstallArgs),
}

/// Flags of `completion install`.
#[derive(Args, Clone, Debug)]
pub struct InstallArgs {
    /// The shell [default: that of the environment variable SHELL]
    #[arg(value_enum)]
    pub shell: Option<Shell>,
    /// The directory on PATH for `kubectl_complete-contour` [default: that of this program]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Replace files that are not ours
    #[arg(long)]
    pub force: bool,
}

/// Runs `completion`.
///
/// # Errors
/// If what it writes cannot be written, or is there and not ours.
pub fn run(arguments: &CompletionArgs, mut printer: Printer) -> Result<(), Failure> {
    let shell = match &arguments.what {
        What::Bash => Shell::Bash,
        What::Zsh => Shell::Zsh,
        What::Fish => Shell::Fish,
        What::Powershell => Shell::Powershell,
        What::Install(arguments) => return install::run(arguments, &mut printer),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(script::of(shell).as_bytes())
        .map_err(|error| Failure::new(Kind::Error, format!("cannot write to stdout: {error}")))
}

/// The words to complete, if that is what the program was called for.
pub fn asked(arguments: &[OsString]) -> Option<&[OsString]> {
    let (name, rest) = arguments.split_first()?;
    if Path::new(name).file_stem() == Some(OsStr::new(EXECUTABLE)) {
        // The script hands on what kubectl gave it; a link of that name is given the same.
        return Some(rest);
    }
    let (first, words) = rest.split_first()?;
    (first == "__complete").then_some(words)
}

/// Writes what the last of the words may become. Whatever goes wrong, there is nothing to offer and
/// nothing to say: a shell that completes has no place for words.
pub fn answer(words: &[OsString]) -> ExitCode {
    let offered = engine::complete(Cli::command(), words);
    let mut text = String::new();
    for candidate in &offered {
        text.push_str(&candidate.line());
        text.push('\n');
    }
    text.push_str(directive(&offered));
    text.push('\n');
    // Nobody reads: nothing to be offered to nobody.
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}

/// What the shell has to do (cobra's `ShellCompDirective`): offer no files, and put no space behind
/// what is not the end of a word.
fn directive(offered: &[candidates::Candidate]) -> &'static str {
    let open = |candidate: &candidates::Candidate| candidate.value.ends_with(['=', '/', ':']);
    if !offered.is_empty() && offered.iter().all(open) { ":6" } else { ":4" }
}

#[cfg(test)]
mod tests {
    use super::candidates::Candidate;
    use super::*;

    #[test]
    fn completion_is_asked_for_by_word_or_by_name() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (arguments, expected) in [
            (&["kubectl-contour", "__complete", "install", ""][..], Some(&["install", ""][..])),
            (&["kubectl-contour", "__complete"], Some(&[])),
            (&["bin/kubectl_complete-contour", "-n", ""], Some(&["-n", ""])),
            (&["kubectl_complete-contour"], Some(&[])),
            (&["kubectl-contour", "install", "__complete"], None),
            (&["kubectl-contour"], None),
            (&[], None),
        ] {
            let arguments = words(arguments);
            assert_eq!(asked(&arguments).map(<[_]>::to_vec), expected.map(words), "{arguments:?}");
        }
    }

    #[test]
    fn no_space_follows_what_goes_on() {
        let offered = |values: &[&str]| {
            let new = |value: &&str| Candidate::new(*value, "");
            values.iter().map(new).collect::<Vec<_>>()
        };
        assert_eq!(directive(&offered(&["envoy.kind="])), ":6");
        assert_eq!(directive(&offered(&["a/", "b"])), ":4");
        assert_eq!(directive(&[]), ":4");
    }
}
