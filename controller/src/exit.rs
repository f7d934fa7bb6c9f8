//! The process's exit codes, in one table; docs/exit-codes.md is written from it.

use std::fmt::Write as _;

macro_rules! exits {
    ($($variant:ident $code:literal $meaning:literal $remedy:literal;)*) => {
        /// How the `contour` process ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Exit {
            $(#[doc = $meaning] $variant,)*
        }

        impl Exit {
            /// Every way, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number that the parent process sees.
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// What happened, a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do next, a sentence.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

exits! {
    Done 0
        "The command did what it was asked; `serve` was told to stop by SIGTERM or SIGINT and drained."
        "Nothing.";
    Failed 1
        "A part of the running controller ended unexpectedly."
        "Restart it (Kubernetes and systemd do) and report the last lines of the log.";
    Usage 2
        "The command line is wrong: an unknown flag, a malformed value, or flags that do not go together."
        "Correct the flag that the message names; `--help` lists them.";
    Unreadable 3
        "A file or directory that a flag names is missing, cannot be read or written, or does not hold what it should."
        "Correct the path, the permissions or the content that the message names.";
    AddressInUse 4
        "An address to listen on is in use or cannot be bound."
        "Stop the other process, or choose another address or port with the flag that the message names.";
    Kubernetes 6
        "The Kubernetes API server refused what a command needs of it, or cannot be reached. `serve` does not end for it, but waits."
        "See the message: correct the kubeconfig or the context, or grant the permission that it names.";
    Interrupted 130
        "A second signal arrived while the first was still being obeyed; the process ended at once."
        "Nothing; Envoys keep serving what they hold.";
}

/// docs/exit-codes.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Exit codes of `contour`\n\n\
         Written from the table in `controller/src/exit.rs`; \
         `CONTOUR_UPDATE_DOCS=1 cargo test -p contour docs` writes it again.\n\n\
         | code | meaning | what to do |\n|---|---|---|\n",
    );
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _unused = writeln!(out, "| {} | {} | {} |", exit.code(), exit.meaning(), exit.remedy());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ways_to_end_share_a_code() {
        let codes: std::collections::BTreeSet<_> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
    }
}
