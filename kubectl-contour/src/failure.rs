//! Why a command ended otherwise than hoped, as an exit code and words.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::output::ColorChoice;

/// What kind of failure it is: it decides the exit code, on which scripts rely. The codes 3 to 5 have
/// meanings of their own with some commands; each command's `--help` lists its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything that has no number of its own.
    Error,
    /// The command line, or the files it names, ask for something that makes no sense.
    Usage,
    /// No Envoy was found, or it is too old.
    NoEnvoy,
    /// A port is taken.
    PortInUse,
    /// Envoy ended by itself.
    EnvoyDied,
    /// Somebody else owns what would have to be changed.
    Conflict,
    /// What was waited for has not come in time.
    Timeout,
    /// What was looked at has faults.
    Findings,
    /// The user said no.
    Cancelled,
    /// The API server is not known, cannot be reached, or does not allow it.
    Cluster,
    /// A shift ended otherwise than hoped, with this exit code (`contour_core::shift`'s `Outcome`).
    Shift(u8),
    /// A signal ended it.
    Interrupted,
}

impl Kind {
    /// The kinds of `sandbox`.
    pub const SANDBOX: [Self; 5] =
        [Self::Error, Self::Usage, Self::NoEnvoy, Self::PortInUse, Self::EnvoyDied];

    /// The kinds of commands that work with a cluster.
    pub const CLUSTER: [Self; 8] = [
        Self::Error,
        Self::Usage,
        Self::Conflict,
        Self::Timeout,
        Self::Findings,
        Self::Cancelled,
        Self::Cluster,
        Self::Interrupted,
    ];

    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::Usage => 2,
            Self::NoEnvoy => 3,
            Self::PortInUse => 4,
            Self::EnvoyDied | Self::Conflict => 5,
            Self::Timeout => 6,
            Self::Findings => 7,
            Self::Cancelled => 8,
            Self::Cluster => 9,
            Self::Shift(code) => code,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command failed, and what to do next.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// An exit code without words: what there is to say has been said.
    pub fn silent(kind: Kind) -> Self {
        Self::new(kind, "")
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Kind::Error, format!("{error:#}"))
    }
}

/// Writes a failure to standard error.
pub fn report(failure: &Failure, color: ColorChoice) -> ExitCode {
    if failure.message.is_empty() {
        return ExitCode::from(failure.kind.code());
    }
    let (red, cyan, off) =
        if color.on_stderr() { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error:{off} {}\n", failure.message);
    if let Some(hint) = &failure.hint {
        text.push('\n');
        for (index, line) in hint.lines().enumerate() {
            let label = if index == 0 { "hint:" } else { "     " };
            // Writing to a String cannot fail.
            let _unused = writeln!(text, "{cyan}{label}{off} {line}");
        }
    }
    write_stderr(&text);
    ExitCode::from(failure.kind.code())
}

/// Writes what clap has to say: help and version are no failures.
pub fn report_usage(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or_else(|_| Kind::Usage.code());
    match error.print() {
        // Nobody reads: nothing to be said to nobody.
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

/// Writes words to standard error.
pub fn write_stderr(text: &str) {
    // If standard error is closed there is nobody left to tell.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
