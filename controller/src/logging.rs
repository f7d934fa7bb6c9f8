//! Sets up the log, which goes to standard error.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use crate::args::LogFormat;

/// Begins to log. Of our own crates everything from `info` on, with `debug` from `debug` on; of
/// others only what somebody should look at.
pub fn start(format: LogFormat, debug: bool) {
    let own = if debug { "debug" } else { "info" };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(format!("contour={own},contour_core={own}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call (tests that run several controllers) changes nothing.
    let _already = match format {
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
