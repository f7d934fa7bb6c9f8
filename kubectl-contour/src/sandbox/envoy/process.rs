//! A running Envoy that cannot outlive us.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::task::AbortOnDropHandle;

use super::Binary;
use crate::failure::{Failure, Kind, write_stderr};

/// How long Envoy may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the access log may get before another takes its place.
const ACCESS_LOG_BYTES: u64 = 8 * 1_024 * 1_024;

/// How many lines of its log are shown when Envoy dies.
const LAST_LINES: usize = 20;

/// What an Envoy is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which one.
    pub binary: Binary,
    /// Its configuration, in JSON.
    pub bootstrap: PathBuf,
    /// The unix socket of its admin interface, as the configuration says.
    pub admin: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Where its access log goes.
    pub access_log: PathBuf,
    /// What of its log is written: `warning`, `info`, `debug`.
    pub log_level: &'static str,
    /// Whether its log is also shown on stderr.
    pub show_log: bool,
}

/// A running Envoy, stopped when dropped.
///
/// # Guarantees
/// It ends when this value is dropped, by a panic too. It also ends when this whole process is
/// killed: a shell waits on a pipe from us and kills Envoy when the pipe closes with no word that
/// Envoy has ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Option<Child>,
    start: Start,
    pid: u32,
    _follow: Option<AbortOnDropHandle<()>>,
    _bound: AbortOnDropHandle<()>,
}

impl Process {
    /// Starts Envoy, apart from the terminal's process group, so that Ctrl-C reaches us alone and
    /// we stop things in order.
    ///
    /// # Errors
    /// It, or the shell that watches over it, cannot be started.
    pub fn start(start: Start) -> Result<Self, Failure> {
        let log = std::fs::File::create(&start.log)
            .with_context(|| format!("cannot create {}", start.log.display()))?;
        let errors =
            log.try_clone().with_context(|| format!("cannot share {}", start.log.display()))?;
        let child = Command::new(&start.binary.path)
            .arg("--config-path")
            .arg(&start.bootstrap)
            .args(["--disable-hot-restart", "--concurrency", "2"])
            .args(["--log-level", start.log_level])
            // Envoy writes its access log every 10 s otherwise, which is late for whoever taps.
            .args(["--file-flush-interval-msec", "200"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", start.binary.path.display()))?;
        let pid = child.id().context("Envoy ended before it could be watched")?;
        let guard = watch_over(pid)?;
        let follow =
            start.show_log.then(|| AbortOnDropHandle::new(tokio::spawn(follow(start.log.clone()))));
        let bound = tokio::spawn(bound(start.admin.clone(), start.access_log.clone()));
        let bound = AbortOnDropHandle::new(bound);
        Ok(Self { child, guard: Some(guard), start, pid, _follow: follow, _bound: bound })
    }

    /// The binary that runs.
    pub fn binary(&self) -> &Binary {
        &self.start.binary
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until Envoy says that it serves.
    ///
    /// # Errors
    /// It died, or did not get ready in the time given.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), Failure> {
        let admin = self.start.admin.clone();
        let ready = async {
            // The socket appears some time after the start; there is nothing to wait on but it.
            while !matches!(ask(&admin, Method::GET, "/ready").await, Ok(StatusCode::OK)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            failure = self.died() => Err(failure),
            () = tokio::time::sleep(limit) => Err(Failure::new(
                Kind::Error,
                format!(
                    "Envoy was not ready within {} s; the end of its log:\n{}",
                    limit.as_secs_f64().ceil(),
                    self.last_lines()
                ),
            )),
        }
    }

    /// Waits until Envoy dies and says how.
    pub async fn died(&mut self) -> Failure {
        let status = self.child.wait().await;
        release(self.guard.take()).await;
        let how = match status {
            Ok(status) => describe(status),
            Err(error) => format!("in an unknown way ({error})"),
        };
        Failure::new(
            Kind::EnvoyDied,
            format!(
                "Envoy (process {}) ended by itself, {how}; the end of its log:\n{}",
                self.pid,
                self.last_lines()
            ),
        )
        .with_hint("start the sandbox again; --verbose shows Envoy's whole log")
    }

    /// Asks Envoy to end, and kills it if it does not.
    pub async fn stop(mut self) {
        let asked = ask(&self.start.admin, Method::POST, "/quitquitquit");
        // If it cannot be asked it is killed below.
        drop(tokio::time::timeout(PATIENCE, asked).await);
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            // Fails only where it has ended meanwhile.
            drop(self.child.kill().await);
        }
        release(self.guard.take()).await;
    }

    fn last_lines(&self) -> String {
        let bytes = std::fs::read(&self.start.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let skip = lines.len().saturating_sub(LAST_LINES);
        if lines.is_empty() {
            return "  (empty)".to_owned();
        }
        lines.iter().skip(skip).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

/// Shows what is added to a log on stderr.
async fn follow(log: PathBuf) {
    let mut shown: usize = 0;
    loop {
        if let Ok(bytes) = tokio::fs::read(&log).await
            && let Some(new) = bytes.get(shown..)
        {
            write_stderr(&String::from_utf8_lossy(new));
            shown = bytes.len();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Keeps an access log from filling the disk: when it has grown, another takes its place, and it is
/// kept until the next does, for those who have not read it to its end.
async fn bound(admin: PathBuf, log: PathBuf) {
    let before = log.with_extension("log.before");
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let found = tokio::fs::metadata(&log).await;
        if found.is_ok_and(|found| found.len() > ACCESS_LOG_BYTES)
            && tokio::fs::rename(&log, &before).await.is_ok()
        {
            // If it cannot be asked it goes on with the old file, which is there under its new name.
            drop(ask(&admin, Method::POST, "/reopen_logs").await);
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit code {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

/// Starts the shell that kills process `pid` when we are gone without having told it not to.
fn watch_over(pid: u32) -> Result<Child, Failure> {
    let script: &OsStr = OsStr::new("read -r ended || kill -KILL \"$1\"");
    let child = Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg("envoy-guard")
        .arg(pid.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start /bin/sh to watch over Envoy")?;
    Ok(child)
}

/// Tells the shell that Envoy has ended, so that it does not kill who has its number next.
async fn release(guard: Option<Child>) {
    let Some(mut guard) = guard else {
        return;
    };
    if let Some(mut pipe) = guard.stdin.take() {
        // If it is gone already it kills nobody either.
        drop(pipe.write_all(b"ended\n").await);
        drop(pipe.shutdown().await);
    }
    drop(tokio::time::timeout(PATIENCE, guard.wait()).await);
}

/// One request to an admin interface.
async fn ask(admin: &Path, method: Method, path: &str) -> anyhow::Result<StatusCode> {
    let stream = UnixStream::connect(admin).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "envoy")
        .body(Empty::<Bytes>::new())?;
    tokio::pin!(connection);
    tokio::select! {
        biased;
        response = sender.send_request(request) => Ok(response?.status()),
        ended = &mut connection => {
            ended?;
            anyhow::bail!("the connection closed before an answer")
        }
    }
}
