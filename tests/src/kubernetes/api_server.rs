//! An API server with an etcd of its own, and nothing else: no controllers, no node.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::audit::Audit;
use super::objects::Objects;
use super::process::{Guard, Process};
use crate::certificates::{Authority, base64};

/// The user who may do everything.
pub const ADMIN: &str = "admin";

/// How long it may take to start, on a machine that has other things to do.
const START: Duration = Duration::from_mins(2);

/// An address that no machine has (RFC 5737): the API server has to publish one of its own that is
/// not loopback, and nobody goes there.
const NOWHERE: &str = "192.0.2.1";

/// What an API server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    users: Vec<(String, Vec<String>)>,
    flags: Vec<String>,
}

impl Options {
    /// A further user, who may do only what RBAC grants to the user or to one of the groups.
    #[must_use]
    pub fn user(mut self, name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        self.users.push((name.to_owned(), groups));
        self
    }

    /// A further flag of kube-apiserver, such as `--goaway-chance=0.02`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }
}

/// A running kube-apiserver and its etcd, on ports of 127.0.0.1; both are killed when it is
/// dropped, and when this process ends in any way.
///
/// There is no controller manager: a deleted Namespace stays `Terminating`, no `EndpointSlice` follows
/// from a Service, and Pods can be written only where they name a `ServiceAccount` that exists.
pub struct ApiServer {
    api: Process,
    etcd: Process,
    guard: Guard,
    directory: TempDir,
    authority: Authority,
    ports: Ports,
    flags: Vec<String>,
    users: Vec<String>,
}

#[derive(Clone, Copy)]
struct Ports {
    api: u16,
    etcd: u16,
}

impl ApiServer {
    /// Starts one of this test's own; `None`, having said so, where there is no `kube`.
    ///
    /// # Panics
    /// If it does not become ready; with `CI=true` also where there is no `kube`.
    pub async fn start(options: Options) -> Option<Self> {
        let Some(kube) = super::binary() else {
            let why = "no kube: run `tests/cluster/cluster build` or set CONTOUR_KUBE";
            super::left_out("tests with an API server", why);
            return None;
        };
        let directory = tempfile::Builder::new().prefix("contour-api-").tempdir();
        let directory = directory.expect("a directory can be made");
        let authority = Authority::new("API server of tests");
        write_keys(directory.path(), &authority, &options);
        let ports = Ports { api: free_port(), etcd: free_port() };
        let mut guard = Guard::start(directory.path());
        let etcd = start_etcd(&kube, directory.path(), ports);
        let api = start_api(&kube, directory.path(), ports, &options.flags);
        guard.watch(&[&etcd, &api]);
        let users = options.users.into_iter().map(|(name, _)| name);
        let users: Vec<_> = std::iter::once(ADMIN.to_owned()).chain(users).collect();
        let flags = options.flags;
        let mut server = Self { api, etcd, guard, directory, authority, ports, flags, users };
        for user in &server.users {
            server.write_kubeconfig(user, &token(user));
        }
        server.ready().await;
        Some(server)
    }

    /// The one that the tests of this process share, with the CRDs of `deploy/chart/files/crds`. It must not be
    /// stopped or restarted, nor its CRDs changed; a test works in a Namespace of its own.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<ApiServer>> = OnceCell::const_new();
        let server = SHARED.get_or_init(async || {
            let server = Self::start(Options::default()).await?;
            server.admin().install_crds().await;
            Some(server)
        });
        server.await.as_ref()
    }

    /// Its address, with `https://`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// The kubeconfig of a user.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        assert!(self.users.iter().any(|u| u == user), "no user {user} among {:?}", self.users);
        self.kubeconfig_path(user)
    }

    /// The objects as a user sees them. It belongs to the runtime of the test that calls this.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn objects(&self, user: &str) -> Objects {
        Objects::of_kubeconfig(&self.kubeconfig(user))
    }

    /// The objects as [`ADMIN`] sees them.
    pub fn admin(&self) -> Objects {
        self.objects(ADMIN)
    }

    /// Makes a `ServiceAccount`, if there is none, and returns a kubeconfig with a token of it that
    /// lasts an hour. Its requests are those of the user `system:serviceaccount:NAMESPACE:NAME`.
    ///
    /// # Panics
    /// If the API server refuses, for instance because the Namespace does not exist.
    pub async fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let admin = self.admin();
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": name},
        });
        admin.apply_value(&account).await.expect("a ServiceAccount is accepted");
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        });
        let answer = admin.create(&path, &request).await.expect("a token is given");
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        let token = token.expect("a token is a string");
        self.write_kubeconfig(&format!("{namespace}.{name}"), token);
        self.kubeconfig_path(&format!("{namespace}.{name}"))
    }

    /// Every request that it has answered since it was first started.
    ///
    /// # Panics
    /// If its audit log cannot be read.
    pub fn audit(&self) -> Audit {
        Audit::read(&self.directory.path().join("audit.log"))
    }

    /// The process id of kube-apiserver.
    pub fn pid(&self) -> u32 {
        self.api.pid()
    }

    /// The end of kube-apiserver's log.
    pub fn log(&self) -> String {
        self.api.last_lines()
    }

    /// Stops it where it stands (`SIGSTOP`): connections stay open, nothing is answered.
    pub fn stop(&self) {
        self.api.signal("STOP");
    }

    /// Lets it go on after [`Self::stop`].
    pub fn cont(&self) {
        self.api.signal("CONT");
    }

    /// Kills it (`SIGKILL`); etcd stays.
    pub fn kill(&mut self) {
        self.api.kill();
    }

    /// Kills it and starts it anew, on the same port and with the same etcd; returns when it is
    /// ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn restart(&mut self) {
        self.kill();
        let kube = super::binary().expect("kube was there before");
        self.api = start_api(&kube, self.directory.path(), self.ports, &self.flags);
        self.guard.watch(&[&self.etcd, &self.api]);
        self.ready().await;
    }

    /// The same with other flags in place of those of [`Options::flag`].
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn restart_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|f| (*f).to_owned()).collect();
        self.restart().await;
    }

    /// Waits until it says that it is ready and has made the Namespace `default`.
    async fn ready(&mut self) {
        let begin = Instant::now();
        let admin = self.admin();
        loop {
            self.etcd.assert_running();
            self.api.assert_running();
            if admin.is_ready().await && admin.get("/api/v1/namespaces/default").await.is_ok() {
                return;
            }
            assert!(begin.elapsed() < START, "the API server is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn kubeconfig_path(&self, user: &str) -> PathBuf {
        self.directory.path().join(format!("{user}.kubeconfig"))
    }

    fn write_kubeconfig(&self, user: &str, token: &str) {
        let authority = base64(self.authority.pem().as_bytes());
        let cluster = json!({"server": self.url(), "certificate-authority-data": authority});
        let config: Value = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        });
        write(&self.kubeconfig_path(user), &config.to_string());
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the log belongs to the failed test")]
            for line in self.log().lines() {
                eprintln!("kube-apiserver: {line}");
            }
        }
    }
}

fn start_etcd(kube: &Path, directory: &Path, ports: Ports) -> Process {
    let url = format!("http://127.0.0.1:{}", ports.etcd);
    let mut command = Command::new(kube);
    command.args(["etcd", "--name=test", "--unsafe-no-fsync", "--log-level=warn"]);
    // It has nobody to agree with: an election need not take a second.
    command.args(["--heartbeat-interval=20", "--election-timeout=200"]);
    command.args([format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}")]);
    // A lone member is never spoken to by a peer; any free port does.
    command.arg("--listen-peer-urls=http://127.0.0.1:0");
    command.arg("--data-dir").arg(directory.join("etcd"));
    Process::start(&mut command, directory.join("etcd.log"))
}

fn start_api(kube: &Path, directory: &Path, ports: Ports, flags: &[String]) -> Process {
    let file = |flag: &str, name: &str| format!("--{flag}={}", directory.join(name).display());
    let mut command = Command::new(kube);
    command.arg("kube-apiserver").args([
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--secure-port={}", ports.api),
        format!("--advertise-address={NOWHERE}"),
        file("cert-dir", ""),
        file("tls-cert-file", "tls.crt"),
        file("tls-private-key-file", "tls.key"),
        file("token-auth-file", "tokens.csv"),
        // The public key is taken from the certificate.
        file("service-account-key-file", "tls.crt"),
        file("service-account-signing-key-file", "tls.key"),
        file("audit-policy-file", "audit.json"),
        file("audit-log-path", "audit.log"),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--audit-log-mode=blocking",
        "--profiling=false",
    ]);
    command.args(flags);
    Process::start(&mut command, directory.join("api.log"))
}

fn write_keys(directory: &Path, authority: &Authority, options: &Options) {
    let pair = authority.leaf(&["127.0.0.1", "localhost"]);
    write(&directory.join("tls.crt"), &pair.certificate);
    write(&directory.join("tls.key"), &pair.key);
    let line = |user: &str, groups: &str| format!("{},{user},{user},\"{groups}\"\n", token(user));
    let others = options.users.iter().map(|(user, groups)| line(user, &groups.join(",")));
    let tokens: String = std::iter::once(line(ADMIN, "system:masters")).chain(others).collect();
    write(&directory.join("tokens.csv"), &tokens);
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    });
    write(&directory.join("audit.json"), &policy.to_string());
}

fn token(user: &str) -> String {
    format!("token-of-{user}")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A free port that the kernel gives to nobody who asks for any: it has to stay free while a server
/// that is being restarted is away.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    let ports = 16_000_u16..30_000;
    for attempt in 0..1000 {
        let random = RandomState::new().hash_one(attempt) % u64::from(ports.end - ports.start);
        let port = ports.start + u16::try_from(random).expect("the remainder is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {ports:?} is free");
}
