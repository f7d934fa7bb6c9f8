//! Processes that end with whoever started them, however that ends.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A component of Kubernetes, killed when dropped.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, what it says going to the end of a log.
    pub(super) fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.expect("a log can be written");
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log can be shared"));
        // Apart from the terminal's group: Ctrl-C is for the tests, and they end this.
        let child = command.stderr(file).process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        let text = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &text]).status().expect("sh runs");
        assert!(status.success(), "{text}: {status}\n{}", self.last_lines());
    }

    /// Kills it (`SIGKILL`) and waits for its end; it may have ended before.
    pub(super) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// # Panics
    /// If it has ended by itself, with the end of its log.
    pub(super) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("{} ended with {status}:\n{}", self.log.display(), self.last_lines());
        }
    }

    /// The end of its log.
    pub(super) fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell that waits on a pipe from this process and, once it closes, kills what is left and
/// removes a directory: a static value is never dropped, and a killed process drops nothing.
pub(super) struct Guard {
    shell: Child,
}

const WATCH: &str = r#"trap '' INT TERM HUP
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids 2> /dev/null
rm -rf "$1""#;

impl Guard {
    pub(super) fn start(directory: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "guard"]).arg(directory).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { shell: command.spawn().expect("sh runs") }
    }

    /// What it has to kill from now on.
    pub(super) fn watch(&mut self, processes: &[&Process]) {
        let pids: Vec<_> = processes.iter().map(|p| p.pid().to_string()).collect();
        let pipe = self.shell.stdin.as_mut().expect("the shell has a pipe");
        writeln!(pipe, "{}", pids.join(" ")).expect("the shell reads");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            // Nothing is left to kill. A shell that has ended needs no word.
            drop(writeln!(pipe));
        }
        drop(self.shell.wait());
    }
}
