//! `contour version`: what this is, and what it works with.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::ads::Settings;
use crate::exit::Exit;

/// Flags of `contour version`.
#[derive(Args, Debug)]
pub struct VersionArgs {
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What this is, and what it works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The release.
    pub version: &'static str,
    /// The commit, if it was known at build time (`CONTOUR_COMMIT`).
    pub commit: Option<&'static str>,
    /// The oldest release of Envoy that is served.
    pub minimum_envoy: String,
    /// The APIs whose objects are read.
    pub apis: &'static [Api],
}

/// An API whose objects are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// Group and version.
    pub api_version: &'static str,
    /// The kind.
    pub kind: &'static str,
}

const APIS: &[Api] = &[
    Api { api_version: "contour.heptio.com/v1beta1", kind: "IngressRoute" },
    Api { api_version: "contour.heptio.com/v1beta1", kind: "TLSCertificateDelegation" },
];

impl Version {
    /// Of this program.
    pub fn own() -> Self {
        let (major, minor) = Settings::default().tls_layout_minimum_envoy;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("CONTOUR_COMMIT").filter(|commit| !commit.is_empty()),
            minimum_envoy: format!("{major}.{minor}"),
            apis: APIS,
        }
    }

    fn text(&self) -> String {
        let apis: Vec<_> =
            self.apis.iter().map(|api| format!("{} {}", api.api_version, api.kind)).collect();
        format!(
            "Version: {}\nCommit:  {}\nEnvoy:   {} or newer\nAPIs:    {}\n",
            self.version,
            self.commit.unwrap_or("not known"),
            self.minimum_envoy,
            apis.join(", "),
        )
    }
}

/// Why the version could not be told.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// Standard output is closed or full.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] std::io::Error),
    /// It cannot be encoded.
    #[error("cannot encode the version: {0}")]
    Encode(String),
}

impl VersionError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// `contour version`.
///
/// # Errors
/// If it cannot be written.
pub fn run(args: &VersionArgs) -> Result<(), VersionError> {
    let version = Version::own();
    let text = match args.output {
        Output::Text => version.text(),
        Output::Json => serde_json::to_string_pretty(&version)
            .map(|json| format!("{json}\n"))
            .map_err(|error| VersionError::Encode(error.to_string()))?,
        Output::Yaml => serde_saphyr::to_string(&version)
            .map_err(|error| VersionError::Encode(error.to_string()))?,
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
