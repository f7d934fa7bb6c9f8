use std::time::Duration;

use contour_core::options::{HttpVersions, Limit, LogFormat, LogLevel, TlsVersion, Upstream};

use super::*;

fn findings(text: &str) -> Vec<String> {
    match parse("c.yaml", text) {
        Err(ConfigurationError::Content(findings)) => findings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_without_content_changes_nothing() {
    for text in ["", "---\n", "# nothing\n", "{}", "tls:\n", "server: {}"] {
        let read = parse("c.yaml", text).unwrap();
        assert_eq!(read.given(), [], "{text:?}");
        assert_eq!(read.upstream(), Upstream::default());
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "\
timeouts:
  request-timout: 5s
  connect-timeout: 0s
  stream-idle-timeout: 5
cluster:
  circuit-breakers:
    max-retries: many
    max-requests: -1
request-timeout: 1s
leaderelection: {}
max-connections: 3
debug: yes
debug: true
tls:
  cipher-suites: [AES128-SHA, AES128-SHA2, AES256]
  minimum-protocol-version: 1.1
json-fields: [methd, 'a=%DURATON%']
metrics: [1]
unheard-of: 1
";
    let told = findings(text);
    let begins = [
        "c.yaml:2:3: timeouts.request-timout: unknown key `request-timout`. Did you mean `request-timeout`?",
        "c.yaml:3:20: timeouts.connect-timeout: must be a duration above 0",
        "c.yaml:4:24: timeouts.stream-idle-timeout: must be a duration such as 30s or 1h30m, or infinity, not \"5\"",
        "c.yaml:7:18: cluster.circuit-breakers.max-retries: invalid type: string \"many\", expected a whole number",
        "c.yaml:8:19: cluster.circuit-breakers.max-requests: must be a whole number from 0 to 4294967295, not -1",
        "c.yaml:9:1: request-timeout: unknown key `request-timeout`. Write it into `timeouts`.",
        "c.yaml:10:1: leaderelection: unknown key `leaderelection`. Use the flags --leader-election",
        "c.yaml:11:1: max-connections: unknown key `max-connections`.",
        "c.yaml:12:8: debug: `debug` must be true or false",
        "c.yaml:13:1: debug: ",
        "c.yaml:15:31: tls.cipher-suites[1]: unknown cipher suite \"AES128-SHA2\"; did you mean AES128-SHA?",
        "c.yaml:15:44: tls.cipher-suites[2]: unknown cipher suite \"AES256\"",
        "c.yaml:16:29: tls.minimum-protocol-version: must be 1.2 or 1.3, not \"1.1\"",
        "c.yaml:17:15: json-fields[0]: unknown field \"methd\"; did you mean method?",
        "c.yaml:17:22: json-fields[1]: unknown operator %DURATON%; did you mean %DURATION%?",
        "c.yaml:18:10: metrics: `metrics` must be a mapping",
        "c.yaml:19:1: unheard-of: unknown key `unheard-of`. Known here: `debug`",
    ];
    for (begin, line) in begins.iter().zip(&told) {
        assert!(line.starts_with(begin), "{begin}\n{told:#?}");
    }
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    let elsewhere = "`max-connections` is a key of `cluster.circuit-breakers`.";
    assert!(told[7].ends_with(elsewhere), "{}", told[7]);
}

#[test]
fn broken_text_and_contradictions_are_told() {
    assert!(findings("tls: {")[0].starts_with("c.yaml:1:"));
    assert!(findings("debug: true\n---\ndebug: true\n")[0].contains("a second document"));
    assert!(findings("- debug")[0].contains("must be a mapping"));
    assert!(findings("featureFlags: [x]")[0].contains("unknown feature flag"));
    let told = findings("tls: {minimum-protocol-version: 1.3, maximum-protocol-version: '1.2'}");
    assert!(told[0].contains("is above tls.maximum-protocol-version"), "{told:?}");
    let missing = load(Path::new("no/such/file")).unwrap_err().to_string();
    assert!(missing.contains("no/such/file"), "{missing}");
}

#[test]
fn values_arrive_as_settings() {
    let read = parse(
        "c.yaml",
        "\
timeouts: {request-timeout: infinity, connection-idle-timeout: 5m, stream-idle-timeout: 0s, connect-timeout: 500ms}
default-http-versions: [HTTP/2]
network: {num-trusted-hops: 2, strip-trailing-host-dot: false}
disableMergeSlashes: true
tls: {minimum-protocol-version: 1.3, ecdh-curves: [P-256]}
listener: {connection-balancer: exact, socket-options: {tos: 64}}
cluster: {circuit-breakers: {max-retries: 9, max-requests: 0}, upstream-tls: {maximum-protocol-version: 1.2}}
accesslog-format: json
json-fields: [method, 'took=%DURATION%']
accesslog-level: critical
",
    )
    .unwrap();
    let timeouts = read.timeouts();
    assert_eq!(timeouts.request, Limit::Infinite);
    assert_eq!(timeouts.connection_idle, Limit::After(Duration::from_mins(5)));
    assert_eq!(timeouts.stream_idle, Limit::Envoy);
    let rules = read.http_rules();
    assert_eq!((rules.versions, rules.trusted_hops), (HttpVersions::Http2, 2));
    assert!(!rules.merge_slashes && !rules.strip_trailing_host_dot && !rules.allow_chunked_length);
    assert_eq!(read.tls().minimum, TlsVersion::V1_3);
    assert!(read.downstream().balance_exactly);
    assert_eq!(read.downstream().type_of_service, Some(64));
    let upstream = read.upstream();
    assert_eq!(upstream.connect_timeout, Duration::from_millis(500));
    assert_eq!(upstream.circuit_breakers.max_retries, Some(9));
    assert_eq!(upstream.circuit_breakers.max_requests, None);
    assert_eq!(upstream.tls.map(|tls| tls.maximum), Some(TlsVersion::V1_2));
    let log = read.access_log(None);
    assert_eq!(log.level, LogLevel::Critical);
    assert_eq!(
        log.format,
        LogFormat::Json(vec![
            ("method".into(), "%REQ(:METHOD)%".into()),
            ("took".into(), "%DURATION%".into()),
        ])
    );
    assert_eq!(read.without_effect(), Vec::<String>::new());
}

#[test]
fn every_key_is_told_of_once() {
    let keys = keys::keys();
    let paths: BTreeSet<_> = keys.iter().map(|k| k.path.as_str()).collect();
    assert_eq!(paths.len(), keys.len());
    assert!(paths.contains("listener.socket-options.traffic-class"));
    assert!(keys.iter().all(|k| !k.text.contains('|')), "a table");
}
