//! A real terminal, by `script` of util-linux.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use super::program::PATIENCE;

/// What a terminal shows, as far as it was read.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    out: std::sync::mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Runs a command line on a terminal of 80 by 24.
    pub(crate) fn open(line: &str) -> Self {
        let line = format!("stty rows 24 cols 80; echo process $$.; exec {line}");
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script, of util-linux, is there");
        let (keys, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, out) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 4_096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut shown, &mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, out, seen: String::new() }
    }

    /// Waits until something is shown that was not before.
    pub(crate) fn shows(&mut self, text: &str) {
        let (from, begun) = (self.seen.len(), Instant::now());
        while !self.seen.get(from..).unwrap_or_default().contains(text) {
            // Something is drawn each second, whether it is this or not.
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let more = self.out.recv_timeout(left);
            let new = self.seen.get(from..).unwrap_or_default();
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not shown: {new:?}"));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// The process id of what runs there.
    pub(crate) fn pid(&self) -> String {
        let (_, from) = self.seen.split_once("process ").unwrap();
        from.split_once('.').unwrap().0.to_owned()
    }

    /// Types something.
    pub(crate) fn press(&mut self, keys: &str) {
        std::io::Write::write_all(&mut self.keys, keys.as_bytes()).unwrap();
        std::io::Write::flush(&mut self.keys).unwrap();
    }

    /// Takes the terminal away from what runs there.
    pub(crate) fn hang_up(self) {
        drop(self);
    }

    /// Waits for the end: the exit code, and all that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        while let Ok(more) = self.out.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    /// What runs there ends with it.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
