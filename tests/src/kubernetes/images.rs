//! Images of our programs and of Envoy, made from files of this machine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;

use crate::envoy::workspace;
use crate::{envoy, program};

/// An image that the tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The controller: `/bin/contour` is the entry point.
    Contour,
    /// Envoy, the entry point being `/bin/envoy`; `/bin/contour` is there too, to write its
    /// bootstrap and to shut it down.
    Envoy,
    /// The HTTP backend: see `tests/src/bin/backend.rs`.
    Backend,
}

impl Image {
    /// Its name, for a container.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Contour => "localhost/contour:test",
            Self::Envoy => "localhost/envoy:test",
            Self::Backend => "localhost/backend:test",
        }
    }

    /// Makes its archive in the directory of temporary files.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn archive(self) -> PathBuf {
        let (name, programs) = match self {
            Self::Contour => ("contour", vec![(program::contour(), "contour")]),
            Self::Envoy => {
                ("envoy", vec![(envoy::binary(), "envoy"), (program::contour(), "contour")])
            }
            Self::Backend => ("backend", vec![(program::backend(), "backend")]),
        };
        let archive = std::env::temp_dir().join(format!("{name}-{}.tar", std::process::id()));
        let mut command = Command::new(workspace().join("deploy/image"));
        command.arg(&archive).arg(self.reference());
        for (from, to) in programs {
            command.arg("--exec").arg(format!("{}:/bin/{to}", from.display()));
        }
        command.arg("--entrypoint").arg(format!("[\"/bin/{name}\"]"));
        // As `make image` does.
        command.args(["--user", "65534"]);
        let output = command.output().expect("python3 runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        archive
    }

    /// Does something for this image, if it has not been done in this process.
    pub(super) fn once(self, action: impl FnOnce()) {
        static CONTOUR: Once = Once::new();
        static ENVOY: Once = Once::new();
        static BACKEND: Once = Once::new();
        let once = match self {
            Self::Contour => &CONTOUR,
            Self::Envoy => &ENVOY,
            Self::Backend => &BACKEND,
        };
        once.call_once(action);
    }
}
