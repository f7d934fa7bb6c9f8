//! What a change costs, at different numbers of hosts, with real Envoy: `make bench`.
//!
//! One run prints one table, so that its rows can be compared: machines are noisy, ratios are
//! less so. The controller and Envoy run as processes of their own, reading files as in the
//! sandbox; CPU time is what the kernel says of them.
//!
//! `COST_HOSTS=100,1000` and `COST_REPEATS=50` make it shorter, `COST_SOURCE=files` or `kubernetes`
//! leaves the other one out.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is this program's data, its progress words"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "averages of small counts"
)]

#[path = "cost/controller.rs"]
mod controller;
#[path = "cost/kubernetes.rs"]
mod kubernetes;
#[path = "cost/measure.rs"]
mod measure;
#[path = "cost/process.rs"]
mod process;
#[path = "cost/table.rs"]
mod table;
#[path = "cost/world.rs"]
mod world;

use anyhow::Result;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.get(1).map(String::as_str) {
        Some(controller::ARGUMENT) => runtime.block_on(controller::run(&arguments)),
        _ => runtime.block_on(async {
            let source = std::env::var("COST_SOURCE").unwrap_or_default();
            if source != "kubernetes" {
                measure::run().await?;
            }
            if source != "files" {
                kubernetes::run().await?;
            }
            Ok(())
        }),
    }
}
