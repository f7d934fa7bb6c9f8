//! `kubectl-contour`, which kubectl runs as `kubectl contour`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kubectl_contour::run(std::env::args_os())
}
