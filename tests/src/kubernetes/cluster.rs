//! A cluster that runs Pods: that of `tests/cluster/cluster`, or a contributor's own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

use super::audit::Audit;
use super::images::Image;
use super::objects::Objects;
use crate::envoy::workspace;

/// A running cluster. Tests share it, each in Namespaces of its own, and nobody stops it but
/// `cluster run`, which `make test` calls, and `make cluster-down`.
pub struct Cluster {
    kubeconfig: PathBuf,
    own: bool,
}

impl Cluster {
    /// The cluster, started if it does not run; `None`, having said so, where it cannot.
    ///
    /// It is the contributor's own where `KUBECONFIG` names one whose context `kind` has made: any
    /// other may be one that people rely on. `CONTOUR_CLUSTER=own` takes any.
    ///
    /// # Panics
    /// If it does not start; with `CI=true` also where it cannot.
    pub fn get() -> Option<&'static Self> {
        static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
        CLUSTER.get_or_init(|| contributed().or_else(Self::up)).as_ref()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether it is that of `tests/cluster/cluster`, with its node on this machine: then Pods and
    /// Services can be reached at their addresses, and a `LoadBalancer` Service gets one.
    pub fn is_here(&self) -> bool {
        !self.own
    }

    /// What the accounts of the namespace `projectcontour` have asked for, where the node is on this
    /// machine.
    ///
    /// # Panics
    /// If the audit log cannot be read.
    pub fn audit(&self) -> Audit {
        let run = self.kubeconfig.parent().expect("the kubeconfig is in a directory");
        Audit::read(&run.join("audit.log"))
    }

    /// The objects as the administrator sees them. It belongs to the runtime of the test that calls
    /// this.
    pub fn objects(&self) -> Objects {
        Objects::of_kubeconfig(&self.kubeconfig)
    }

    /// Runs kubectl; what it writes to stdout.
    ///
    /// # Errors
    /// If it fails, with what it writes to stderr.
    pub fn try_kubectl(&self, args: &[&str], stdin: &str) -> Result<String> {
        let mut child = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl cannot be run")?;
        let mut pipe = child.stdin.take().context("kubectl has a stdin")?;
        // Whoever does not read it has said so by its arguments.
        drop(pipe.write_all(stdin.as_bytes()));
        drop(pipe);
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {errors}", args.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The same where it has to succeed.
    ///
    /// # Panics
    /// If it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, "").unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// `kubectl apply` of a manifest.
    ///
    /// # Panics
    /// If it fails.
    pub fn apply(&self, manifest: &str) -> String {
        let applied = self.try_kubectl(&["apply", "-f", "-"], manifest);
        applied.unwrap_or_else(|error| panic!("{error:#}\n{manifest}"))
    }

    /// Makes an image, once in a process, and gives it to the node. Containers use it by
    /// [`Image::reference`] with `imagePullPolicy: Never`.
    ///
    /// # Panics
    /// If it cannot be made or loaded.
    pub fn load(&self, image: Image) {
        image.once(|| {
            let archive = image.archive();
            self.load_archive(&archive);
            std::fs::remove_file(&archive).expect("the archive can be removed");
        });
    }

    /// Gives the archive of an image to the node.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub fn load_archive(&self, archive: &Path) {
        let mut command = if self.own {
            let mut kind = Command::new("kind");
            kind.args(["load", "image-archive"]);
            kind
        } else {
            let mut cluster = Command::new(script());
            cluster.arg("load");
            cluster
        };
        let output = command.arg(archive).output();
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
    }

    /// `cluster up`, which waits for another `up` that is under way.
    fn up() -> Option<Self> {
        let check = Command::new(script()).arg("check").output().expect("bash runs");
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stderr);
            super::left_out("tests with a cluster", why.trim());
            return None;
        }
        let up = Command::new(script()).arg("up").stdin(Stdio::null()).output();
        let up = up.expect("bash runs");
        let errors = String::from_utf8_lossy(&up.stderr);
        assert!(up.status.success(), "the cluster does not start:\n{errors}");
        let text = String::from_utf8_lossy(&up.stdout);
        // The kubeconfig's path is what it says last.
        text.lines().last().map(|path| Self { kubeconfig: PathBuf::from(path), own: false })
    }
}

/// `tests/cluster/cluster`.
pub fn script() -> PathBuf {
    workspace().join("tests/cluster/cluster")
}

/// A contributor's own cluster.
fn contributed() -> Option<Cluster> {
    let path = std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty())?;
    let kubeconfig = PathBuf::from(path);
    let cluster = Cluster { kubeconfig, own: true };
    let any = std::env::var("CONTOUR_CLUSTER").is_ok_and(|value| value == "own");
    let context = cluster.try_kubectl(&["config", "current-context"], "").unwrap_or_default();
    (any || context.starts_with("kind-")).then_some(cluster)
}
