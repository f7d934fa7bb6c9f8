//! The real Kubernetes: an API server with an etcd of its own for a test that may stop it, one that
//! the tests of a process share, and a cluster of one node that runs Pods.
//!
//! All come from one binary, `kube`, which `tests/cluster/cluster build` makes. Where it is not and
//! cannot be, the tests that need it say so and pass; with `CI=true` they fail.

mod api_server;
mod audit;
mod cluster;
pub mod faults;
mod images;
pub mod kubelet;
mod objects;
pub mod place;
mod process;
pub mod shift;
pub mod stage;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

pub use api_server::{ADMIN, ApiServer, Options, free_port};
pub use audit::{Audit, Request};
pub use cluster::{Cluster, script};
pub use images::Image;
pub use objects::{CRDS, Objects, documents, refusal};

use crate::envoy::workspace;

/// Where `kube` is: `CONTOUR_KUBE`, `.tools/cluster/bin` of the workspace.
pub fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("CONTOUR_KUBE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| workspace().join(".tools/cluster/bin/kube"));
    path.is_file().then_some(path)
}

/// Says what is left out and why, once in a process for each of them.
///
/// # Panics
/// With `CI=true`, where nothing may be left out.
pub fn left_out(what: &str, why: &str) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    assert!(!in_ci(), "{what} cannot be left out where CI=true: {why}");
    let text = format!("left out: {what}: {why}");
    let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !said.contains(&text) {
        // Past the capture of tests that pass: this is for whoever reads their result.
        drop(writeln!(std::io::stderr(), "{text}"));
        said.push(text);
    }
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
