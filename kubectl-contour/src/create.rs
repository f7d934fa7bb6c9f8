//! `create`: writes routing objects, judged by the controller's own rules before anybody applies
//! them.

pub mod apply;
pub mod args;
pub mod blue_green;
pub mod certificate;
pub mod check;
mod commands;
pub mod deliver;
pub mod draft;
pub mod edit;
pub mod gather;
pub mod live;
pub mod prompt;
pub mod session;
pub mod value;
pub mod wizard;
pub mod yaml;

use args::{CreateArgs, What};

use crate::failure::Failure;
use crate::output::Manner;

/// Runs `create`.
///
/// # Errors
/// If what was asked for cannot be written, or has errors.
pub async fn run(args: CreateArgs, manner: Manner) -> Result<(), Failure> {
    match args.what {
        What::Ingressroute(args) => commands::ingressroute(*args, manner).await,
        What::BlueGreen(args) => commands::blue_green(*args, manner).await,
        What::Delegation(args) => commands::delegation(*args, manner).await,
    }
}
