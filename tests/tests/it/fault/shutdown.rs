//! An Envoy ends as Kubernetes ends its pod: `contour envoy shutdown` drains it while the hook of
//! `contour envoy shutdown-manager` holds up its end.

use std::path::Path;
use std::process::Stdio;

use contour_tests::backend::Backend;
use contour_tests::certificates::authority;
use contour_tests::client::{Ask, PATIENCE, Raw, Target};
use contour_tests::envoy::eventually;
use contour_tests::load::Load;
use contour_tests::program;
use contour_tests::stage::{Stage, behind, ingress_route, until_backend, until_status};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::host;

/// A `contour`, killed when dropped, and its log.
struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(program::contour())
            .args(["envoy", "--log-format=json"])
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    fn shutdown(stage: &Stage, ready: &Path) -> Self {
        let socket = stage.envoy.socket();
        Self::start(&[
            "shutdown",
            "--check-interval=50ms",
            "--admin-address",
            socket.to_str().unwrap(),
            "--ready-file",
            ready.to_str().unwrap(),
        ])
    }

    /// A line of the log that comes and is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let search = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                if wanted(&line) {
                    return line;
                }
            }
            panic!("the log ended before {what}");
        };
        tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("in vain: {what}"))
    }

    async fn succeeds(mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        assert_eq!(ended.expect("it ends").unwrap().code(), Some(0));
    }
}

fn says(words: &str) -> impl Fn(&Value) -> bool {
    move |line| line["message"].as_str().is_some_and(|m| m.contains(words))
}

/// A connection through the TCP proxy, greeted by its backend.
async fn proxied(stage: &Stage) -> (Backend, Raw) {
    let backend = Backend::tls_tcp("db", &authority().leaf(&["db.test"])).await;
    stage.put(&behind("demo", "db", &[&backend])).await;
    let spec = "virtualhost:\n  fqdn: db.test\n  tls: {passthrough: true}\n\
                tcpproxy:\n  services: [{name: db, port: 80}]";
    stage.apply(&ingress_route("demo/db", spec)).await.fine();
    let target = stage.https("db.test").await;
    let raw = eventually("the backend greets", async || {
        let mut raw = target.raw().await.ok()?;
        raw.read_until("db\n").await.ok()?;
        Some(raw)
    })
    .await;
    (backend, raw)
}

async fn echoes(raw: &mut Raw) {
    raw.send("ping\n").await.unwrap();
    assert_eq!(raw.read_until("\n").await.unwrap(), "ping\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_under_load_ends_without_a_failed_request_or_a_cut_connection() {
    let stage = Stage::new().await;
    let (fast, slow) = (Backend::http("fast").await, Backend::http("slow").await);
    stage.serve("demo", &[&fast, &slow]).await;
    stage.apply(&host("fast", "fast")).await.fine();
    stage.apply(&host("slow", "slow")).await.fine();
    let (_db, mut raw) = proxied(&stage).await;
    let (http, ask) = (stage.http().await, Ask::get("fast.test", "/"));
    until_backend(&http, &ask, "fast").await;
    until_status(&http, &Ask::get("slow.test", "/"), 200).await;

    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ok");
    let mut manager = Program::start(&[
        "shutdown-manager",
        "--serve-address=127.0.0.1",
        "--serve-port=0",
        "--ready-file",
        ready.to_str().unwrap(),
    ]);
    let line = manager.until("the address", says("listening")).await;
    let hook = Target::plain(line["address"].as_str().unwrap().parse().unwrap());

    let load = Load::start(&http, &ask, 4);
    load.more(100).await;
    let before = slow.requests();
    slow.delay(std::time::Duration::from_secs(2));
    let patient: Vec<_> = (0..20)
        .map(|_| {
            let http = http.clone();
            tokio::spawn(async move { http.get("slow.test", "/").await })
        })
        .collect();
    let connections = "http.ingress_http.downstream_rq_active";
    eventually("slow requests are under way", async || {
        (stage.envoy.stat(connections).await? >= 20).then_some(())
    })
    .await;

    let waiting = tokio::spawn(async move {
        let mut connection = hook.connect().await?;
        connection.ask(&Ask::get("manager", "/shutdown")).await
    });
    let mut shutdown = Program::shutdown(&stage, &ready);
    shutdown.until("Envoy drains", says("Envoy drains")).await;
    assert_eq!(stage.envoy.admin("/ready").await.unwrap().0, 503);
    // Not everybody has heard of it: whoever comes is still served.
    load.more(100).await;
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    for request in patient {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(slow.requests() - before, 20);
    shutdown.until("the proxied connection alone", |line| line["open"] == 1).await;
    echoes(&mut raw).await;
    assert!(!ready.exists() && !waiting.is_finished());

    drop(raw);
    shutdown.until("the end", says("Envoy may end")).await;
    shutdown.succeeds().await;
    assert!(ready.exists());
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    let pid = manager.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    manager.succeeds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_ends_by_itself_while_it_drains_is_not_waited_for() {
    let mut stage = Stage::new().await;
    let (_db, raw) = proxied(&stage).await;
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ok");
    let mut shutdown = Program::shutdown(&stage, &ready);
    shutdown.until("a connection is open", |line| line["open"] == 1).await;
    assert!(!ready.exists());
    stage.envoy.kill().unwrap();
    shutdown.until("it is noticed", says("Envoy has ended already")).await;
    shutdown.succeeds().await;
    assert!(ready.exists());
    drop(raw);
}
