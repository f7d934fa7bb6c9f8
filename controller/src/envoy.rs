//! `contour envoy`: what runs beside an Envoy so that it can end without breaking a request.
//!
//! Kubernetes calls the hooks of both containers of the pod at once: Envoy's asks the shutdown
//! manager for `/shutdown`, which waits for a file; the shutdown manager's runs
//! `contour envoy shutdown`, which writes it when Envoy has drained (docs/shutdown.md).

pub(crate) mod administration;
mod connections;
mod drain;
mod shutdown_manager;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::args::ArgsError;
use crate::exit::Exit;
pub use drain::ShutdownArgs;
pub use shutdown_manager::ShutdownManagerArgs;

/// `contour envoy`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub struct EnvoyArgs {
    /// What to do for the Envoy.
    #[command(subcommand)]
    pub command: EnvoyCommand,
}

/// What to do for an Envoy.
#[derive(Debug, Subcommand)]
pub enum EnvoyCommand {
    /// Answer the hook that holds up Envoy's end until its connections are done.
    ShutdownManager(ShutdownManagerArgs),
    /// Have Envoy drain, wait for its connections, and say so to the shutdown manager.
    Shutdown(ShutdownArgs),
}

/// Why a command for an Envoy failed.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// There is no runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
    /// The address is in use or not ours.
    #[error(
        "cannot listen on {address}: {source}; choose others with --serve-address and --serve-port"
    )]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The flags do not go together.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The file that tells of the drained Envoy cannot be written or removed.
    #[error(
        "cannot {what} the ready file {path}: {source}; --ready-file has to name a file in a directory that both containers share",
        path = path.display()
    )]
    ReadyFile {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Envoy's administration cannot be asked.
    #[error(transparent)]
    Administration(#[from] drain::Abandoned),
}

impl EnvoyError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Runtime(_) | Self::Signals(_) | Self::Administration(_) => Exit::Failed,
            Self::Bind { .. } => Exit::AddressInUse,
            Self::Args(error) => error.exit(),
            Self::ReadyFile { .. } => Exit::Unreadable,
        }
    }
}

/// `contour envoy`, with a runtime of its own.
///
/// # Errors
/// What went wrong, and what to do about it.
pub fn run(args: EnvoyArgs) -> Result<Exit, EnvoyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EnvoyError::Runtime)?;
    runtime.block_on(async {
        match args.command {
            EnvoyCommand::ShutdownManager(args) => shutdown_manager::run(args).await,
            EnvoyCommand::Shutdown(args) => drain::run(args).await.map(|()| Exit::Done),
        }
    })
}

/// Removes what an earlier drain left: it says nothing of the Envoy that runs now.
fn remove_ready_file(path: &Path) -> Result<(), EnvoyError> {
    match std::fs::remove_file(path) {
        Ok(()) => {
            tracing::info!(file = %path.display(), "removed the ready file of an earlier drain");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            Err(EnvoyError::ReadyFile { what: "remove", path: path.to_path_buf(), source })
        }
    }
}
