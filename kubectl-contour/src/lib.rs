//! The commands of the plugin, as a library for the tests.
//!
//! `kubectl contour …` and `kubectl-contour …` are the same program: kubectl runs any
//! `kubectl-contour` that it finds on PATH.

pub mod check;
pub mod cli;
pub mod cluster;
pub mod completion;
pub mod create;
pub mod doctor;
pub mod duration;
pub mod failure;
pub mod finding;
pub mod fleet;
pub mod install;
pub mod man;
pub mod object;
pub mod output;
pub mod question;
pub mod request;
pub mod sandbox;
pub mod shift;
pub mod status;
pub mod table;
pub mod tap;
pub mod top;
pub mod version;
pub mod wait;
mod xml;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::{Failure, Kind};
use crate::output::{Format, Manner, Printer};

/// Reads the command line, runs the command and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(words) = completion::asked(&arguments) {
        return completion::answer(words);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    let printer = |format| Printer::new(format, cli.color, cli.quiet);
    let manner = Manner { color: cli.color, quiet: cli.quiet };
    let result = match cli.command {
        Command::Check(arguments) => block_on(check::run(*arguments, printer(Format::Text))),
        Command::Completion(arguments) => completion::run(&arguments, printer(Format::Text)),
        Command::Create(arguments) => block_on(create::run(*arguments, manner)),
        Command::Doctor(arguments) => {
            let printer = printer(arguments.output);
            block_on(doctor::run(*arguments, printer))
        }
        Command::Install(arguments) => {
            let printer = printer(arguments.output);
            block_on(install::run(*arguments, install::Verb::Install, printer))
        }
        Command::Man(arguments) => man::run(&arguments, printer(Format::Text)),
        Command::Sandbox(arguments) => {
            let printer = printer(arguments.output);
            block_on(sandbox::run(*arguments, printer))
        }
        Command::Shift(arguments) => block_on(shift::run(*arguments, manner)),
        Command::Uninstall(arguments) => {
            let printer = printer(arguments.output);
            block_on(install::uninstall::run(*arguments, printer))
        }
        Command::Upgrade(arguments) => {
            let printer = printer(arguments.output);
            block_on(install::run(*arguments, install::Verb::Upgrade, printer))
        }
        Command::Status(arguments) => block_on(status::run(*arguments, printer(Format::Text))),
        Command::Tap(arguments) => block_on(tap::run(*arguments, manner)),
        Command::Top(arguments) => block_on(top::run(*arguments, manner)),
        Command::Version(arguments) => block_on(version::run(*arguments, printer(Format::Text))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure::report(&failure, cli.color),
    }
}

/// Runs a command to its end, on an own runtime.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Error, format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(command);
    // Nothing that is left may hold the program up: what must end in order has ended.
    runtime.shutdown_background();
    result
}
