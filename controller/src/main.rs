//! The `contour` command.

use std::process::ExitCode;

use clap::Parser as _;
use contour::args::{Cli, Command};
use contour::{bootstrap, certgen, envoy, exit::Exit, logging, serve, version};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Serve(args) => {
            let prepared = args.prepare();
            logging::start(cli.log_format, prepared.as_ref().is_ok_and(|p| p.debug));
            match prepared {
                Ok(prepared) => {
                    tell_without_effect(&prepared.without_effect);
                    serve::block_on(prepared.config)
                }
                Err(error) => failed(&error, error.exit()),
            }
        }
        Command::Bootstrap(args) => {
            logging::start(cli.log_format, false);
            bootstrap::run(*args).map_or_else(|error| failed(&error, error.exit()), |()| Exit::Done)
        }
        Command::Certgen(args) => {
            logging::start(cli.log_format, false);
            certgen::run(*args).map_or_else(|error| failed(&error, error.exit()), |()| Exit::Done)
        }
        Command::Envoy(args) => {
            logging::start(cli.log_format, false);
            envoy::run(*args).unwrap_or_else(|error| failed(&error, error.exit()))
        }
        Command::Version(args) => {
            logging::start(cli.log_format, false);
            version::run(&args).map_or_else(|error| failed(&error, error.exit()), |()| Exit::Done)
        }
    };
    ExitCode::from(exit.code())
}

fn tell_without_effect(names: &[String]) {
    if !names.is_empty() {
        tracing::warn!("accepted, without effect: {}", names.join(", "));
    }
}

/// Several findings are several lines.
fn failed(error: &dyn std::error::Error, exit: Exit) -> Exit {
    for line in error.to_string().lines() {
        tracing::error!("{line}");
    }
    exit
}
