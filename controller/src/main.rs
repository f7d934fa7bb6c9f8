//! The `contour` command.

use std::process::ExitCode;

use clap::Parser as _;
use contour::args::{Cli, Command};
use contour::{bootstrap, exit::Exit, logging, serve};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Serve(args) => {
            logging::start(cli.log_format, args.debug);
            args.into_config().map_or_else(|error| failed(&error, error.exit()), serve::block_on)
        }
        Command::Bootstrap(args) => {
            logging::start(cli.log_format, false);
            bootstrap::run(*args).map_or_else(|error| failed(&error, error.exit()), |()| Exit::Done)
        }
    };
    ExitCode::from(exit.code())
}

fn failed(error: &dyn std::error::Error, exit: Exit) -> Exit {
    tracing::error!("{error}");
    exit
}
