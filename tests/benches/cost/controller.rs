//! The controller as a process of its own, telling its events with the time of day.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use contour::config::{Access, Config, Kubernetes};
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::pipeline::{Bind, Options, TlsLayout};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::broadcast::error::RecvError;

/// Makes this program the controller.
pub(crate) const ARGUMENT: &str = "controller";

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs until its parent goes away.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let path = PathBuf::from(arguments.get(2).context("no source")?);
    let layout = match arguments.get(3).map(String::as_str) {
        Some("per-host") => TlsLayout::PerHost,
        _ => TlsLayout::OnDemand,
    };
    let any = Bind { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };
    let source = if path.is_dir() {
        Source::Directory(path)
    } else {
        Source::Kubernetes(Box::new(Kubernetes {
            access: Access::Kubeconfig(path),
            ..Kubernetes::default()
        }))
    };
    let mut config = Config::local(source);
    config.options = Options {
        http: any.clone(),
        https: any,
        stats: None,
        http_access_log: "".into(),
        https_access_log: "".into(),
        allow_loopback_endpoints: true,
        tls_layout: layout,
        ..Options::default()
    };
    let controller = Controller::start(config, Hooks::default()).await?;
    let mut events = controller.events();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{}",
        json!({"event": "bound", "xds": controller.bound().xds.to_string(),
            "metrics": controller.bound().metrics.to_string(),
            "debug": controller.bound().debug.to_string(), "at": now()})
    )?;
    loop {
        // When everything changes, more happens than is told; nobody counts events then.
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Ok(()),
        };
        let at = now();
        let line = match event {
            ControllerEvent::Applied { revision, resources, units, micros, .. } => {
                json!({"event": "applied", "at": at, "revision": revision, "resources": resources, "units": units, "micros": micros})
            }
            ControllerEvent::Acknowledged { revision, elapsed, .. } => {
                json!({"event": "acknowledged", "at": at, "revision": revision, "elapsed": elapsed.as_micros()})
            }
            ControllerEvent::Rejected { resource, message, .. } => {
                json!({"event": "rejected", "at": at, "resource": resource.to_string(), "message": message.as_ref()})
            }
            ControllerEvent::Recovered { .. }
            | ControllerEvent::Connected { .. }
            | ControllerEvent::Disconnected { .. }
            | ControllerEvent::Refused { .. }
            | ControllerEvent::SourceProblem { .. }
            | ControllerEvent::SourceMended { .. } => continue,
        };
        writeln!(out, "{line}")?;
        out.flush()?;
    }
}

/// The controller process, seen from outside.
pub(crate) struct Remote {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) xds: std::net::SocketAddr,
    pub(crate) metrics: std::net::SocketAddr,
    pub(crate) debug: std::net::SocketAddr,
    /// From its start until everything had been read and was published.
    pub(crate) ready: Duration,
}

/// A change as the controller saw it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) resources: u64,
    pub(crate) units: u64,
    pub(crate) micros: u64,
    /// From the given instant until Envoy had acknowledged.
    pub(crate) acknowledged: Duration,
}

impl Remote {
    pub(crate) async fn start(source: &std::path::Path, layout: &str) -> Result<Self> {
        let started = now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(source)
            .arg(layout)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let bound: Value =
            serde_json::from_str(&lines.next_line().await?.context("the controller ended")?)?;
        let address = |name: &str| bound.get(name).and_then(Value::as_str).context("no address");
        let (xds, metrics) = (address("xds")?.parse()?, address("metrics")?.parse()?);
        let debug = address("debug")?.parse()?;
        let mut remote = Self { child, lines, xds, metrics, debug, ready: Duration::ZERO };
        let applied = remote.next("applied").await?;
        remote.ready = Duration::from_nanos(at(&applied) - started);
        Ok(remote)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Waits for the next event of a kind.
    pub(crate) async fn next(&mut self, kind: &str) -> Result<Value> {
        loop {
            let line = tokio::time::timeout(Duration::from_mins(2), self.lines.next_line()).await;
            let line = line
                .with_context(|| format!("no event {kind}"))??
                .context("the controller ended")?;
            let event: Value = serde_json::from_str(&line)?;
            match event.get("event").and_then(Value::as_str) {
                Some("rejected") => anyhow::bail!("Envoy rejected: {event}"),
                Some(found) if found == kind => return Ok(event),
                _ => {}
            }
        }
    }

    /// Waits until Envoy has acknowledged the change that was made at `since`.
    pub(crate) async fn change(&mut self, since: SystemTime) -> Result<Seen> {
        let applied = self.next("applied").await?;
        let number = |name: &str| applied.get(name).and_then(Value::as_u64).unwrap_or_default();
        let mut seen = Seen {
            resources: number("resources"),
            units: number("units"),
            micros: number("micros"),
            acknowledged: Duration::ZERO,
        };
        loop {
            let acknowledged = self.next("acknowledged").await?;
            if acknowledged.get("revision").and_then(Value::as_u64) >= Some(number("revision")) {
                let since = since.duration_since(UNIX_EPOCH)?;
                seen.acknowledged = Duration::from_nanos(at(&acknowledged)).saturating_sub(since);
                return Ok(seen);
            }
        }
    }
}

fn at(event: &Value) -> u64 {
    event.get("at").and_then(Value::as_u64).unwrap_or_default()
}
