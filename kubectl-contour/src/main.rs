//! `kubectl-contour`, which kubectl runs as `kubectl contour`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_contour::run(std::env::args_os())
}
