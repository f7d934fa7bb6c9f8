//! Contour's configuration file: what is in it, and what becomes of it.

pub mod format;
pub mod keys;
mod translate;
pub mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::manifest::{self, Limits};
pub use keys::Configuration;
use keys::{Effect, Key};

/// Keys of former versions of Contour, and what there is instead.
const FORMER: [(&str, &str); 4] = [
    (".leaderelection", "Use the flags --leader-election-resource-name and so on."),
    (".server.xds-server-type", "Remove it: there is one xDS server."),
    (".request-timeout", "Write it into `timeouts`."),
    (".gateway.controllerName", "Remove it: Gateway API is not built."),
];

/// Why the file cannot be used.
#[derive(Debug)]
pub enum ConfigurationError {
    /// It cannot be read.
    File(PathBuf, std::io::Error),
    /// All that is wrong with its content, in the order of the text.
    Content(Vec<String>),
}

impl std::error::Error for ConfigurationError {}

/// One line for each finding.
impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => {
                write!(f, "cannot read the configuration file {}: {error}", path.display())
            }
            Self::Content(findings) => f.write_str(&findings.join("\n")),
        }
    }
}

/// Reads the file.
///
/// # Errors
/// If it cannot be read, or for everything that is wrong with it at once.
pub fn load(path: &Path) -> Result<Configuration, ConfigurationError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigurationError::File(path.to_owned(), error))?;
    parse(&path.display().to_string(), &text)
}

/// Reads the text of a file of that name.
///
/// # Errors
/// Everything that is wrong with it at once.
pub fn parse(file: &str, text: &str) -> Result<Configuration, ConfigurationError> {
    let configuration: Configuration =
        manifest::settings(file, text, Limits::default()).map_err(|found| {
            let keys = keys::keys();
            ConfigurationError::Content(found.iter().map(|d| finding(d, &keys)).collect())
        })?;
    let contradictions = configuration.contradictions();
    if contradictions.is_empty() {
        return Ok(configuration);
    }
    let lines = contradictions.into_iter().map(|told| format!("{file}: {told}"));
    Err(ConfigurationError::Content(lines.collect()))
}

/// `contour.yaml:3:5: timeouts.request-timout: unknown key …`.
fn finding(diagnostic: &Diagnostic, keys: &[Key]) -> String {
    let field = diagnostic.field.as_str();
    let place = diagnostic.location.as_ref().map(|place| format!("{place}: "));
    let name = Some(field.trim_start_matches('.')).filter(|name| !name.is_empty());
    let former = FORMER.iter().find(|(path, _)| *path == field).map(|(_, advice)| *advice);
    let hint = former.or(diagnostic.hint.as_deref()).map(|hint| format!(". {hint}"));
    let last = field.rsplit('.').next().unwrap_or_default();
    let is_unknown = diagnostic.code == Code::UnknownField && former.is_none();
    let places = if is_unknown { places(last, keys).join(" and of ") } else { String::new() };
    [
        place,
        name.map(|name| format!("{name}: ")),
        Some(diagnostic.message.clone()),
        hint,
        (!places.is_empty()).then(|| format!(" `{last}` is a key of {places}.")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The sections that have a key or a section of that name.
fn places(name: &str, keys: &[Key]) -> Vec<String> {
    let mut places = BTreeSet::new();
    for key in keys {
        let steps: Vec<&str> = key.path.split('.').collect();
        for (index, step) in steps.iter().enumerate() {
            if *step == name {
                let above = steps.iter().take(index).copied().collect::<Vec<_>>().join(".");
                let above =
                    if above.is_empty() { "the top".to_owned() } else { format!("`{above}`") };
                places.insert(above);
            }
        }
    }
    places.into_iter().collect()
}

impl Configuration {
    /// The keys that were accepted and have no effect, each with the reason if there is one.
    pub fn without_effect(&self) -> Vec<String> {
        let idle = self.given().into_iter().filter_map(|(path, effect)| match effect {
            Effect::Works => None,
            Effect::Later => Some(path),
            Effect::Never(reason) => Some(format!("{path} ({reason})")),
        });
        idle.collect()
    }

    /// What keys say against each other.
    fn contradictions(&self) -> Vec<String> {
        let mut told = Vec::new();
        let tls = (&self.tls.minimum, &self.tls.maximum);
        let upstream = (&self.cluster.tls.minimum, &self.cluster.tls.maximum);
        for (section, (minimum, maximum)) in [("tls", tls), ("cluster.upstream-tls", upstream)] {
            if let (Some(minimum), Some(maximum)) = (minimum, maximum)
                && minimum.0 > maximum.0
            {
                told.push(format!(
                    "{section}.minimum-protocol-version is above {section}.maximum-protocol-version; lower the one or raise the other"
                ));
            }
        }
        told
    }
}

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# The configuration file of `contour serve`\n\n\
         Written from the table in `controller/src/configuration/keys.rs`; \
         `CONTOUR_UPDATE_DOCS=1 cargo test -p contour docs` writes it again.\n\n\
         `contour serve --config-path FILE` reads Contour's configuration file. A flag counts more \
         than the file, and the file more than the default. The file is read once: to change \
         something, change it and restart the controller; Envoys go on serving meanwhile.\n\n\
         Unknown keys, values of the wrong type and values out of range end the start with exit \
         code 3, all of them named at once with their lines. Durations are written as Go does \
         (`1h30m`, `500ms`); `infinity` is no limit, and `0` counts as not given. `yes`, `no`, \
         `on` and `off` are text, as YAML 1.2 has it: write `true` or `false`.\n\n\
         Keys without effect are accepted, and named in one line of the log at the start. With \
         `--source`, so are those about Kubernetes.\n\n\
         | key | effect | meaning (default) |\n|---|---|---|\n",
    );
    for Key { path, effect, text } in keys::keys() {
        let effect = match effect {
            Effect::Works => "works".to_owned(),
            Effect::Later => "none yet".to_owned(),
            Effect::Never(reason) => format!("none: {reason}"),
        };
        // Writing to a String cannot fail.
        let _unused = writeln!(out, "| `{path}` | {effect} | {text} |");
    }
    out.push_str(
        "\n`server` is an empty section. Contour's JSON fields `contour_config_kind`, \
         `contour_config_namespace` and `contour_config_name` are unknown; `route_name` has the \
         object and its match.\n",
    );
    out
}

#[cfg(test)]
mod tests;
