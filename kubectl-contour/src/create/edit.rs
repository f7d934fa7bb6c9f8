//! The user's editor.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use contour_core::diagnostic::{Diagnostic, Severity};

use super::yaml::wrap;
use crate::failure::{Failure, Kind};

/// How lines begin that are ours and go when the file is read.
const OURS: &str = "#> ";

/// How wide those lines are.
const WIDTH: usize = 94;

/// The variables that name an editor, as kubectl reads them.
const VARIABLES: [&str; 3] = ["KUBE_EDITOR", "VISUAL", "EDITOR"];

/// What the user made of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// Another text.
    Changed(String),
    /// The same.
    Same,
    /// Nothing is left.
    Empty,
}

/// Opens a text in the editor and waits for it to be closed. `faults` are shown above the text.
///
/// # Errors
/// If there is no editor, or it fails.
pub fn edit(text: &str, faults: &[Diagnostic]) -> Result<Edited, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Error, format!("cannot write a file to edit: {error}"))
    };
    let mut file = tempfile::Builder::new()
        .prefix("kubectl-contour-")
        .suffix(".yaml")
        .tempfile()
        .map_err(failed)?;
    let shown = with_faults(text, faults);
    file.write_all(shown.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
    run(file.path())?;
    let after = std::fs::read_to_string(file.path()).map_err(failed)?;
    Ok(judge(text, &without_ours(&after)))
}

/// Whether a person sits at the terminal, who can be shown the faults and try again.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal()
}

fn judge(before: &str, after: &str) -> Edited {
    let content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !after.lines().any(|line| content(&line)) {
        Edited::Empty
    } else if before == after {
        Edited::Same
    } else {
        Edited::Changed(after.to_owned())
    }
}

fn with_faults(text: &str, faults: &[Diagnostic]) -> String {
    let mut lines = vec![
        "What you save is checked again. Lines that begin with #> are removed. Save an empty file \
         to give up."
            .to_owned(),
    ];
    for fault in faults.iter().filter(|fault| fault.severity() == Severity::Error) {
        lines.push(String::new());
        lines.push(fault.to_string());
        lines.push(format!("  help: {}", fault.remedy()));
    }
    let ours = lines.iter().flat_map(|line| wrap(line, WIDTH));
    let mut out = ours.fold(String::new(), |out, line| {
        let line = format!("{OURS}{line}");
        format!(
            "{out}{}
",
            line.trim_end()
        )
    });
    out.push_str(text);
    out
}

fn without_ours(text: &str) -> String {
    let theirs = |line: &&str| line.trim_end() != OURS.trim_end() && !line.starts_with(OURS);
    text.split_inclusive('\n').filter(theirs).collect()
}

fn run(path: &Path) -> Result<(), Failure> {
    let named = VARIABLES
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|value| !value.trim().is_empty()));
    let editor = named.unwrap_or_else(|| "vi".to_owned());
    let failed = |why: String| {
        Failure::new(Kind::Error, format!("the editor {editor:?} {why}"))
            .with_hint("KUBE_EDITOR, VISUAL or EDITOR name another one")
    };
    // As kubectl does, the variable may have arguments, so a shell takes it apart.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path);
    if !std::io::stdout().is_terminal() {
        // What goes to stdout is data: the editor draws on stderr.
        let screen = std::io::stderr().as_fd().try_clone_to_owned();
        command.stdout(screen.map_or_else(|_error| Stdio::null(), Stdio::from));
    }
    let status = command.status().map_err(|error| failed(format!("does not start: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("failed: {status}"))) }
}

#[cfg(test)]
mod tests {
    use contour_core::diagnostic::Code;
    use contour_core::name::{FieldPath, Kind, ObjectRef};

    use super::*;

    #[test]
    fn faults_stand_above_the_text_and_go_again() {
        let object = ObjectRef::new(Kind::IngressRoute, "demo", "shop");
        let field = FieldPath::of(".spec.routes[0]");
        let fault = Diagnostic::new(Code::RouteHasNoAction, &object, field, "has nothing");
        let shown = with_faults("a: 1\n", &[fault]);
        assert!(
            shown.contains("#> error CTR203 IngressRoute demo/shop .spec.routes[0]: has nothing\n"),
            "{shown}"
        );
        assert!(shown.ends_with("a: 1\n"), "{shown}");
        assert_eq!(without_ours(&shown), "a: 1\n");
    }

    #[test]
    fn what_was_saved_is_changed_the_same_or_nothing() {
        assert_eq!(judge("a: 1\n", "a: 1\n"), Edited::Same);
        assert_eq!(judge("a: 1\n", "a: 2\n"), Edited::Changed("a: 2\n".to_owned()));
        assert_eq!(judge("a: 1\n", "\n# a: 1\n"), Edited::Empty);
    }
}
