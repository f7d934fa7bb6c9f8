//! Settings of the configuration file, as far as Envoy is told of them.

use contour::configuration::{self, format};
use contour::serve::Hooks;
use contour_core::options::{Options, TlsLayout};
use contour_core::pipeline::{Change, Pipeline};
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::{self, eventually};
use contour_tests::stage::{
    Stage, certificate, ingress_route, options, read, until_backend, until_status,
};
use contour_tests::validate::Batch;
use contour_tests::worlds;
use rustls::version::{TLS12, TLS13};

/// Every key that Envoy is told of, none at its default.
const EVERYTHING: &str = "\
accesslog-format: json
accesslog-level: error
disablePermitInsecure: true
disableAllowChunkedLength: false
disableMergeSlashes: true
serverHeaderTransformation: append_if_absent
default-http-versions: [HTTP/2]
tls:
  minimum-protocol-version: 1.2
  maximum-protocol-version: 1.2
  cipher-suites: [CIPHERS]
  ecdh-curves: [CURVES]
  fingerprint: {ja3: true, ja4: true}
timeouts:
  request-timeout: 1m
  connection-idle-timeout: infinity
  stream-idle-timeout: 2m
  max-connection-duration: 1h
  delayed-close-timeout: 3s
  connection-shutdown-grace-period: 4s
  connect-timeout: 5s
cluster:
  max-requests-per-connection: 10
  per-connection-buffer-limit-bytes: 4096
  circuit-breakers:
    max-connections: 1
    max-pending-requests: 2
    max-requests: 3
    max-retries: 4
    per-host-max-connections: 5
  upstream-tls:
    minimum-protocol-version: 1.2
    maximum-protocol-version: 1.3
    cipher-suites: [CIPHERS]
    ecdh-curves: [CURVES]
network: {num-trusted-hops: 1, strip-trailing-host-dot: false}
listener:
  connection-balancer: exact
  max-requests-per-connection: 6
  per-connection-buffer-limit-bytes: 8192
  http2-max-concurrent-streams: 7
  max-connections-to-accept-per-socket-event: 8
  socket-options: {tos: 64, traffic-class: 64}
";

fn quoted(list: &[&str]) -> String {
    list.iter().map(|item| format!("'{item}'")).collect::<Vec<_>>().join(", ")
}

fn everything() -> String {
    EVERYTHING
        .replace("CIPHERS", &quoted(&configuration::value::CIPHERS))
        .replace("CURVES", &quoted(&configuration::value::CURVES))
}

fn settings(file: &str) -> Options {
    let file = configuration::parse("contour.yaml", file).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(file.without_effect(), Vec::<String>::new());
    file.options(options(), None)
}

/// Hosts of every sort: plain, with TLS, with TLS 1.3, with TCP; upstreams of every protocol.
fn world() -> Vec<Change> {
    let secrets = ["a", "b", "c"];
    let secrets = secrets.map(|name| certificate("demo", name, &[&format!("{name}.test")]).0);
    let mut changes = worlds::applications(&secrets);
    changes.extend(read(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: blue\n  namespace: demo\n  annotations:\n    \
         contour.heptio.com/upstream-protocol.tls: '443'\n    \
         contour.heptio.com/upstream-protocol.h2: '444'\n    \
         contour.heptio.com/upstream-protocol.h2c: '81'\n    \
         contour.heptio.com/max-retries: '9'\n\
         spec:\n  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 81}\n  \
         - {name: c, port: 443}\n  - {name: d, port: 444}\n",
    ));
    let routes = "routes:\n- {match: /, services: [{name: blue, port: 80}, {name: blue, port: 81}, \
                  {name: blue, port: 443}, {name: blue, port: 444}]}";
    for (name, spec) in [
        ("demo/plain", format!("virtualhost: {{fqdn: plain.test}}\n{routes}")),
        ("demo/a", format!("virtualhost: {{fqdn: a.test, tls: {{secretName: a}}}}\n{routes}")),
        (
            "demo/b",
            format!(
                "virtualhost: {{fqdn: b.test, tls: {{secretName: b, minimumProtocolVersion: '1.3'}}}}\n{routes}"
            ),
        ),
        (
            "demo/c",
            "virtualhost: {fqdn: c.test, tls: {secretName: c}}\ntcpproxy: {services: [{name: blue, port: 80}]}"
                .to_owned(),
        ),
    ] {
        changes.extend(read(&ingress_route(name, &spec)));
    }
    changes
}

fn judge(file: &str, adapt: impl Fn(Options) -> Options) {
    let mut pipeline = Pipeline::new(adapt(settings(file)));
    drop(pipeline.apply(world()));
    let mut batch = Batch::default();
    batch.add(pipeline.resources()).unwrap();
    let [clusters, listeners, _] = batch.parts();
    assert!(clusters >= 4 && listeners >= 2, "{clusters} clusters, {listeners} listeners");
    envoy::validate(&batch.bootstrap()).unwrap_or_else(|error| panic!("{file}\n{error:#}"));
}

#[test]
fn envoy_accepts_whatever_the_file_may_say() {
    let six = std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    let log = |options: Options| Options {
        http_access_log: "/dev/null".into(),
        https_access_log: "/dev/null".into(),
        ..options
    };
    judge(&everything(), log);
    judge(&everything(), |options| Options { tls_layout: TlsLayout::PerHost, ..log(options) });
    judge(&everything(), |mut options| {
        options.http.address = six;
        options.https.address = six;
        options
    });
    for file in [
        "default-http-versions: [HTTP/1.1]\nserverHeaderTransformation: pass_through",
        "tls: {minimum-protocol-version: 1.3}\ncluster: {upstream-tls: {minimum-protocol-version: 1.3}}",
        "timeouts: {request-timeout: infinity, stream-idle-timeout: infinity, max-connection-duration: infinity, delayed-close-timeout: infinity, connection-shutdown-grace-period: infinity}",
        "accesslog-level: critical",
        "accesslog-level: disabled",
    ] {
        judge(file, log);
    }
}

#[test]
fn envoy_knows_every_operator_and_field_of_access_logs_that_is_let_through() {
    let plain = format::PLAIN.map(|name| format!("%{name}%")).join(" ");
    let arguments = format::WITH_ARGUMENT.map(|(name, of)| format!("%{name}({of}):9%")).join(" ");
    let log = |options: Options| Options { http_access_log: "/dev/null".into(), ..options };
    judge(
        &format!("accesslog-format-string: '{plain} {arguments} %START_TIME(%s.%3f)% 100%%'"),
        log,
    );
    let fields = format::FIELDS.map(|(name, _)| name);
    judge(&format!("accesslog-format: json\njson-fields: [{}]", quoted(&fields)), log);
}

async fn stage(options: Options) -> (Stage, Backend) {
    let stage = Stage::with(options, Hooks::default()).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let (secret, _) = certificate("demo", "a", &["a.test"]);
    stage.put(&[secret]).await;
    let routes = "routes:\n- {match: /, permitInsecure: true, services: [{name: blue, port: 80}]}";
    let host = format!("virtualhost: {{fqdn: a.test, tls: {{secretName: a}}}}\n{routes}");
    stage.apply(&ingress_route("demo/a", &host)).await.fine();
    (stage, blue)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_says_of_http_holds() {
    let file = "disableMergeSlashes: true\nserverHeaderTransformation: pass_through\n\
                disableAllowChunkedLength: false\nnetwork: {num-trusted-hops: 1}\n\
                listener: {max-requests-per-connection: 1, connection-balancer: exact, socket-options: {tos: 64}}\n";
    let (stage, _blue) = stage(settings(file)).await;
    let target = stage.http().await;
    let ask = Ask::get("a.test", "/x//y").header("x-forwarded-for", "203.0.113.9");
    let reply = until_backend(&target, &ask, "blue").await;
    assert_eq!(reply.echo()["path"], "/x//y");
    assert_eq!(reply.header("server"), "");
    assert_eq!(reply.header("connection"), "close");
    assert_eq!(reply.echo()["headers"]["x-envoy-external-address"][0], "203.0.113.9");
    let mut raw = target.raw().await.unwrap();
    raw.send(
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await
    .unwrap();
    let head = raw.read_until("\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_says_of_tls_and_versions_holds() {
    let file = "tls: {minimum-protocol-version: 1.3}\ndefault-http-versions: [HTTP/2]\n";
    let (stage, _blue) = stage(settings(file)).await;
    let target = stage.https("a.test").await.http2();
    until_backend(&target, &Ask::get("a.test", "/"), "blue").await;
    let old = stage.https("a.test").await.http2().versions(&[&TLS12]);
    assert!(old.connect().await.is_err(), "TLS 1.2");
    let new = stage.https("a.test").await.http2().versions(&[&TLS13]);
    assert!(new.connect().await.is_ok(), "TLS 1.3");
    assert!(stage.http().await.get("a.test", "/").await.is_err(), "HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_holds_what_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let file = "accesslog-format: json\naccesslog-level: error\n\
                json-fields: [method, path, response_code, 'kind=%ROUTE_NAME%', x_trace_id]\n";
    let log = path.to_str().unwrap().into();
    let (stage, blue) = stage(Options { http_access_log: log, ..settings(file) }).await;
    let target = stage.http().await;
    until_backend(&target, &Ask::get("a.test", "/fine"), "blue").await;
    blue.fail_next(1, 500);
    until_status(&target, &Ask::get("a.test", "/broken"), 500).await;
    let line = eventually("the failure is logged", async || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.lines().find(|line| line.contains("/broken")).map(str::to_owned)
    })
    .await;
    let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        entry,
        serde_json::json!({
            "method": "GET", "path": "/broken", "response_code": 500, "kind": "demo/a:/",
        })
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("/fine"), "{text}");
}
