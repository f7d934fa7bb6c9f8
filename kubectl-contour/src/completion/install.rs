//! `completion install`: puts two files where they are looked for.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::InstallArgs;
use super::script::{self, FOR_KUBECTL, MARK, Shell};
use crate::failure::{Failure, Kind};
use crate::output::Printer;

/// What kubectl 1.26 and newer runs to complete `kubectl contour`.
pub const EXECUTABLE: &str = "kubectl_complete-contour";

/// Whether the content of a file is something that we wrote.
pub fn is_ours(content: &str) -> bool {
    content.contains(MARK) || content.contains("exec kubectl-contour __complete ")
}

/// A file that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    path: PathBuf,
    content: String,
    executable: bool,
}

/// What has to be done about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Created,
    Configured,
    Unchanged,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The directories that decide where a shell looks.
#[derive(Clone, Debug, Default)]
struct Homes {
    home: Option<PathBuf>,
    data: Option<PathBuf>,
    config: Option<PathBuf>,
    bash: Option<PathBuf>,
}

impl Homes {
    fn of_process() -> Self {
        let path = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        Self {
            home: path("HOME"),
            data: path("XDG_DATA_HOME"),
            config: path("XDG_CONFIG_HOME"),
            bash: path("BASH_COMPLETION_USER_DIR"),
        }
    }

    /// Where a shell's script belongs, and what else its user has to do.
    fn place(&self, shell: Shell) -> Option<(PathBuf, Option<String>)> {
        let home = |below: &str| self.home.as_ref().map(|home| home.join(below));
        let data = || self.data.clone().or_else(|| home(".local/share"));
        let config = || self.config.clone().or_else(|| home(".config"));
        Some(match shell {
            Shell::Bash => {
                let user = self.bash.clone().or_else(|| Some(data()?.join("bash-completion")))?;
                let to_do = "bash reads it with the package bash-completion".to_owned();
                (user.join("completions/kubectl-contour"), Some(to_do))
            }
            Shell::Zsh => {
                let directory = data()?.join("zsh/site-functions");
                let to_do = format!(
                    "zsh reads it if ~/.zshrc has, before compinit: fpath=('{}' $fpath)",
                    directory.display()
                );
                (directory.join("_kubectl-contour"), Some(to_do))
            }
            Shell::Fish => (config()?.join("fish/completions/kubectl-contour.fish"), None),
            Shell::Powershell => {
                let path = config()?.join("powershell/kubectl-contour.ps1");
                let to_do = format!("PowerShell reads it if $PROFILE has: . '{}'", path.display());
                (path, Some(to_do))
            }
        })
    }
}

/// Runs `completion install`.
pub(super) fn run(arguments: &InstallArgs, printer: &mut Printer) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Some(shell) => shell,
        None => of_environment()?,
    };
    let (path, to_do) = Homes::of_process().place(shell).ok_or_else(|| {
        Failure::new(Kind::Usage, "the environment variable HOME is not set")
            .with_hint("kubectl contour completion SHELL writes the script to stdout")
    })?;
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => own_directory(std::env::args_os().next())?,
    };
    let executable = directory.join(EXECUTABLE);
    let wanted = [
        Wanted { path, content: script::of(shell), executable: false },
        Wanted { path: executable, content: FOR_KUBECTL.to_owned(), executable: true },
    ];
    let changes = [look(&wanted[0], arguments.force)?, look(&wanted[1], arguments.force)?];
    let mut lines = Vec::new();
    for (file, change) in wanted.iter().zip(changes) {
        if change != Change::Unchanged {
            write(file)?;
        }
        lines.push(format!("{} {}", file.path.display(), change.word()));
    }
    if changes != [Change::Unchanged; 2] && !printer.quiet() {
        lines.extend(to_do);
        lines.push("a new shell completes kubectl contour (kubectl 1.26 or newer, with its own completion)".to_owned());
    }
    // Whoever closed stdout does not want to know.
    let _closed = printer.lines(&lines.join("\n"));
    Ok(())
}

fn of_environment() -> Result<Shell, Failure> {
    let path = PathBuf::from(std::env::var_os("SHELL").unwrap_or_default());
    Shell::of_program(&path).ok_or_else(|| {
        let message = format!("cannot tell the shell from SHELL={:?}", path.display().to_string());
        Failure::new(Kind::Usage, message)
            .with_hint("name it: kubectl contour completion install bash|zsh|fish|powershell")
    })
}

/// The directory that this program was found in. By the name that it was called by: a plugin
/// manager's link is on PATH, what it leads to is not.
fn own_directory(name: Option<OsString>) -> Result<PathBuf, Failure> {
    let called = name.map(PathBuf::from).unwrap_or_default();
    if let Some(parent) = called.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        return Ok(parent.to_path_buf());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).find(|dir| dir.join(&called).is_file()) {
        return Ok(found);
    }
    let own = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_path_buf()));
    own.ok_or_else(|| {
        Failure::new(Kind::Error, "cannot tell where this program is")
            .with_hint("name a directory on PATH with --dir")
    })
}

/// What has to be done about a file.
fn look(wanted: &Wanted, force: bool) -> Result<Change, Failure> {
    let path = wanted.path.display();
    let linked = std::fs::canonicalize(&wanted.path).ok();
    if wanted.executable && linked.is_some() && linked == own_program() {
        // A link to the program answers by its name.
        return Ok(Change::Unchanged);
    }
    match std::fs::read(&wanted.path) {
        Ok(content) => {
            if content == wanted.content.as_bytes() && mode_is_right(wanted) {
                return Ok(Change::Unchanged);
            }
            if force || is_ours(&String::from_utf8_lossy(&content)) {
                return Ok(Change::Configured);
            }
            Err(Failure::new(
                Kind::Conflict,
                format!("{path} is there and was not made by this program"),
            )
            .with_hint("move it away, or replace it with --force; nothing has been written"))
        }
        // A link that leads nowhere is there too.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if std::fs::symlink_metadata(&wanted.path).is_ok() && !force {
                let message = format!("{path} is a link that leads nowhere");
                return Err(Failure::new(Kind::Conflict, message)
                    .with_hint("remove it, or replace it with --force; nothing has been written"));
            }
            Ok(Change::Created)
        }
        Err(error) => Err(Failure::new(Kind::Error, format!("cannot read {path}: {error}"))),
    }
}

fn own_program() -> Option<PathBuf> {
    std::fs::canonicalize(std::env::current_exe().ok()?).ok()
}

#[cfg(unix)]
fn mode_is_right(wanted: &Wanted) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&wanted.path).map(|data| data.permissions().mode());
    !wanted.executable || mode.is_ok_and(|mode| mode & 0o111 == 0o111)
}

#[cfg(not(unix))]
fn mode_is_right(_wanted: &Wanted) -> bool {
    true
}

/// Writes a file at once: nobody reads a half of it.
fn write(wanted: &Wanted) -> Result<(), Failure> {
    let path = wanted.path.display();
    let cannot = |error: std::io::Error| {
        let hint = if wanted.executable {
            "name another directory on PATH with --dir"
        } else {
            "kubectl contour completion SHELL writes the script to stdout"
        };
        Failure::new(Kind::Error, format!("cannot write {path}: {error}")).with_hint(hint)
    };
    let directory = wanted.path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory).map_err(cannot)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let mode = {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::Permissions::from_mode(if wanted.executable { 0o755 } else { 0o644 })
    };
    #[cfg(unix)]
    builder.permissions(mode);
    let mut file = builder.tempfile_in(directory).map_err(cannot)?;
    file.write_all(wanted.content.as_bytes()).map_err(cannot)?;
    file.persist(&wanted.path).map_err(|error| cannot(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_go_where_the_shell_looks() {
        let homes = Homes { home: Some("h".into()), ..Homes::default() };
        let place = |homes: &Homes, shell| homes.place(shell).unwrap().0;
        for (shell, expected) in [
            (Shell::Bash, "h/.local/share/bash-completion/completions/kubectl-contour"),
            (Shell::Zsh, "h/.local/share/zsh/site-functions/_kubectl-contour"),
            (Shell::Fish, "h/.config/fish/completions/kubectl-contour.fish"),
            (Shell::Powershell, "h/.config/powershell/kubectl-contour.ps1"),
        ] {
            assert_eq!(place(&homes, shell), Path::new(expected));
        }
        let moved = Homes { data: Some("d".into()), config: Some("c".into()), ..homes };
        let bash = place(&moved, Shell::Bash);
        assert_eq!(bash, Path::new("d/bash-completion/completions/kubectl-contour"));
        let fish = place(&moved, Shell::Fish);
        assert_eq!(fish, Path::new("c/fish/completions/kubectl-contour.fish"));
        assert!(Homes::default().place(Shell::Bash).is_none());
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/file");
        let wanted = Wanted { path: path.clone(), content: FOR_KUBECTL.into(), executable: true };
        assert_eq!(look(&wanted, false).unwrap(), Change::Created);
        write(&wanted).unwrap();
        assert_eq!(look(&wanted, false).unwrap(), Change::Unchanged);
        let older = "#!/bin/sh\nexec kubectl-contour __complete \"$@\"\n";
        std::fs::write(&path, older).unwrap();
        assert_eq!(look(&wanted, false).unwrap(), Change::Configured);
        std::fs::write(&path, "echo mine\n").unwrap();
        assert_eq!(look(&wanted, false).unwrap_err().kind, Kind::Conflict);
        assert_eq!(look(&wanted, true).unwrap(), Change::Configured);
    }

    #[test]
    fn the_directory_is_that_of_the_name_it_was_called_by() {
        let directory = own_directory(Some("some/bin/kubectl-contour".into())).unwrap();
        assert_eq!(directory, Path::new("some/bin"));
    }
}
