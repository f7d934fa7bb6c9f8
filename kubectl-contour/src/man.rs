//! `man`: manual pages of every command, from the same words as `--help`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::{Failure, Kind};
use crate::output::Printer;

/// Flags of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// The directory to write them into, such as one that MANPATH has with `man1` behind it
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// A manual page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name of its file, such as `kubectl-contour-install.1`.
    pub file: String,
    /// Its source, for `man`.
    pub content: Vec<u8>,
}

/// Runs `man`.
///
/// # Errors
/// If the pages cannot be written.
pub fn run(arguments: &ManArgs, mut printer: Printer) -> Result<(), Failure> {
    let directory = &arguments.dir;
    let cannot = |error: std::io::Error| {
        let message = format!("cannot write manual pages to {}: {error}", directory.display());
        Failure::new(Kind::Error, message)
    };
    std::fs::create_dir_all(directory).map_err(cannot)?;
    let pages = pages().map_err(cannot)?;
    for page in &pages {
        std::fs::write(directory.join(&page.file), &page.content).map_err(cannot)?;
    }
    if !printer.quiet() {
        let text = format!("{} manual pages written to {}", pages.len(), directory.display());
        // Whoever closed stdout does not want to know.
        let _closed = printer.lines(&text);
    }
    Ok(())
}

/// The pages of all commands.
///
/// # Errors
/// Never, in fact: they are written to memory.
pub fn pages() -> std::io::Result<Vec<Page>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<Page>) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone()).title(name.to_uppercase()).manual("kubectl contour");
    let mut content = Vec::new();
    man.render(&mut content)?;
    pages.push(Page { file: format!("{name}.1"), content });
    let shown = |below: &&Command| !below.is_hide_set() && below.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|below| collect(below, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page() {
        let pages = pages().unwrap();
        let files: Vec<_> = pages.iter().map(|page| page.file.as_str()).collect();
        for expected in [
            "kubectl-contour.1",
            "kubectl-contour-install.1",
            "kubectl-contour-create.1",
            "kubectl-contour-create-blue-green.1",
            "kubectl-contour-completion-install.1",
            "kubectl-contour-doctor.1",
        ] {
            assert!(files.contains(&expected), "{expected} is not among {files:?}");
        }
        assert!(!files.iter().any(|file| file.contains("help")), "{files:?}");
        let install = pages.iter().find(|page| page.file == "kubectl-contour-install.1").unwrap();
        let text = String::from_utf8_lossy(&install.content).into_owned();
        assert!(text.contains(".TH KUBECTL-CONTOUR-INSTALL 1"), "{text}");
        assert!(
            text.contains(r"kubectl contour install") && text.contains(r"\-\-profile"),
            "{text}"
        );
    }
}
