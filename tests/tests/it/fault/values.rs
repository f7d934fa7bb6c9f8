//! Values that upset Envoy or are dangerous though it takes them: none gets there, each is told,
//! and the neighbours go on.

use contour::event::ControllerEvent;
use contour_core::api::{
    EndpointSlice, HealthCheck, IngressRouteService, IngressRouteSpec, Object, RetryPolicy, Route,
    TimeoutPolicy, Tls, UpstreamValidation, VirtualHost,
};
use contour_core::diagnostic::Code;
use contour_core::pipeline::Change;
use contour_tests::backend::Backend;
use contour_tests::certificates::{authority, fixtures, tls_secret};
use contour_tests::client::Ask;
use contour_tests::objects::{self, ingress_route, route, to, weighted};
use contour_tests::stage::{Stage, read, until_backend};
use contour_tests::worlds::applications;

use super::host;

/// Something bad, and what must be said of it; `None` where it is harmless or neutralised.
struct Case {
    what: String,
    objects: Vec<Object>,
    told: Option<Code>,
}

/// A root `demo/bad` with these routes.
fn bad(what: &str, routes: Vec<Route>, told: impl Into<Option<Code>>) -> Case {
    bad_host(what, "bad.test", None, routes, told)
}

fn bad_host(
    what: &str,
    fqdn: &str,
    tls: Option<Tls>,
    routes: Vec<Route>,
    told: impl Into<Option<Code>>,
) -> Case {
    let virtualhost = Some(VirtualHost { fqdn: fqdn.into(), tls });
    let spec = IngressRouteSpec { virtualhost, routes, tcpproxy: None };
    Case {
        what: what.chars().take(60).collect(),
        objects: vec![ingress_route("demo", "bad", spec)],
        told: told.into(),
    }
}

fn with_service(what: &str, service: IngressRouteService, told: impl Into<Option<Code>>) -> Case {
    bad(what, vec![route("/", vec![service])], told)
}

fn blue() -> Vec<IngressRouteService> {
    vec![to("blue", 80)]
}

fn weights() -> Vec<Case> {
    let mut cases: Vec<_> = [-1, 1_000_001, 4_294_967_295, 4_294_967_296, i64::MAX, i64::MIN]
        .map(|weight| with_service("weight", weighted("blue", 80, weight), Code::WeightInvalid))
        .into();
    let zero = vec![weighted("blue", 80, 0), weighted("green", 80, 0)];
    cases.push(bad("weights of 0", vec![route("/", zero)], None));
    let many = (0..5_000).map(|n| weighted(&format!("s{n}"), 80, 1_000_000)).collect();
    cases.push(bad("too many services", vec![route("/", many)], Code::TooLarge));
    cases
}

fn hosts() -> Vec<Case> {
    let long = "a".repeat(64);
    let longer = "a.".repeat(200);
    let huge = "x".repeat(1 << 20);
    let names = [
        "a.*.com",
        "*foo.com",
        "a b",
        "a\r\nb.test",
        "a\0b",
        "é.test",
        "a..b",
        "bad.test:80",
        "%ENVIRONMENT(HOME)%",
        "[::1]",
        "-a.test",
        &long,
        &longer,
        &huge,
    ];
    let mut cases: Vec<_> = names
        .iter()
        .map(|name| {
            let wildcard = name.contains('*');
            let code = if wildcard { Code::FqdnWildcard } else { Code::FqdnInvalid };
            bad_host(&format!("host {name:?}"), name, None, vec![route("/", blue())], code)
        })
        .collect();
    for (name, code) in [
        ("", Code::FqdnMissing),
        ("*", Code::FqdnWildcard),
        // Another spelling of a host that is taken.
        ("GOOD.test", Code::HostConflict),
        ("good.test.", Code::HostConflict),
    ] {
        cases.push(bad_host(name, name, None, vec![route("/", blue())], code));
    }
    cases
}

fn paths() -> Vec<Case> {
    let huge = format!("/{}", "x".repeat(1 << 20));
    let mut cases = Vec::new();
    for path in ["", "a", "/a?b", "/a#b", "/a b", "/a\r\nb", "/a\0b", "/é", &huge] {
        let what = format!("match {path:?}");
        cases.push(bad(&what, vec![route(path, blue())], Code::MatchInvalid));
        if path.is_empty() {
            continue;
        }
        let rewritten = Route { prefix_rewrite: Some(path.into()), ..route("/", blue()) };
        let what = format!("rewrite {path:?}");
        cases.push(bad(&what, vec![rewritten], Code::PrefixRewriteInvalid));
        // What is asked for may have a query.
        if path.contains(['?', '#']) {
            continue;
        }
        let check = HealthCheck { path: path.into(), ..HealthCheck::default() };
        let service = IngressRouteService { health_check: Some(check), ..to("blue", 80) };
        cases.push(with_service("health check", service, Code::HealthCheckInvalid));
    }
    let environment =
        Route { prefix_rewrite: Some("/%ENVIRONMENT(HOME)%".into()), ..route("/", blue()) };
    cases.push(bad("a command in a rewrite", vec![environment], None));
    let twice = vec![route("/", blue()), route("/", vec![to("green", 80)])];
    cases.push(bad("the same match twice", twice, Code::DuplicateMatch));
    let many = (0..10_000).map(|n| route(&format!("/{n}"), blue())).collect();
    cases.push(bad("too many routes", many, Code::TooLarge));
    cases
}

fn durations_and_counts() -> Vec<Case> {
    let mut cases = Vec::new();
    for text in ["-5s", "9223372037s", "99999999999999999999h", "1e9s", "NaN", "5", "x"] {
        let timeout = TimeoutPolicy { request: Some(text.into()) };
        let timed = Route { timeout_policy: Some(timeout), ..route("/", blue()) };
        cases.push(bad(&format!("timeout {text}"), vec![timed], Code::TimeoutInvalid));
    }
    for count in [-1, 101, 4_294_967_295, 4_294_967_296, i64::MAX] {
        let retry = RetryPolicy { count, per_try_timeout: None };
        let retried = Route { retry_policy: Some(retry), ..route("/", blue()) };
        cases.push(bad(&format!("{count} retries"), vec![retried], Code::RetryInvalid));
        let check = |edit: fn(&mut HealthCheck, i64)| {
            let mut check = HealthCheck { path: "/".into(), ..HealthCheck::default() };
            edit(&mut check, if count == 101 { 100_000 } else { count });
            let service = IngressRouteService { health_check: Some(check), ..to("blue", 80) };
            with_service(&format!("health check {count}"), service, Code::HealthCheckInvalid)
        };
        cases.push(check(|c, n| c.interval_seconds = Some(n)));
        cases.push(check(|c, n| c.timeout_seconds = Some(n)));
        cases.push(check(|c, n| c.unhealthy_threshold_count = Some(n)));
        cases.push(check(|c, n| c.healthy_threshold_count = Some(n)));
    }
    for port in [0, -1, 65_536, i64::MAX, i64::MIN] {
        cases.push(with_service(&format!("port {port}"), to("blue", port), Code::PortOutOfRange));
    }
    for host in ["a b", "a\r\nx: y", "%ENVIRONMENT(HOME)%", "%", "%BOGUS%", "a\0"] {
        let check =
            HealthCheck { path: "/".into(), host: Some(host.into()), ..HealthCheck::default() };
        let service = IngressRouteService { health_check: Some(check), ..to("blue", 80) };
        cases.push(with_service(&format!("Host {host:?}"), service, Code::HostHeaderInvalid));
    }
    for name in ["", "Blue", "a/b", "../blue", "blu\u{e9}", "a\r\nb"] {
        cases.push(with_service(
            &format!("service {name:?}"),
            to(name, 80),
            Code::ServiceNameInvalid,
        ));
    }
    cases
}

/// A slice of Service `bad` with this address and port.
fn endpoint(address: &str, port: i64) -> EndpointSlice {
    let template = "10.0.0.1:80".parse().unwrap();
    let mut slice = objects::endpoint_slice("demo", "bad-0", "bad", "", template);
    slice.endpoints[0].addresses = vec![address.into()];
    slice.ports[0].port = Some(port);
    slice
}

fn endpoints() -> Vec<Case> {
    let mut all: Vec<(EndpointSlice, Option<Code>)> = Vec::new();
    // Loopback is allowed in tests, as for files on one's own machine.
    for address in [
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "fe80::1",
        "fec0::1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
    ] {
        all.push((endpoint(address, 80), Some(Code::EndpointNotAllowed)));
    }
    for address in [
        "localhost",
        "/var/run/admin.sock",
        "@abstract",
        "",
        "010.0.0.1",
        "0x7f000001",
        "127.1",
        "10.0.0.1:80",
        "10.0.0.1%eth0",
        "metadata.internal",
    ] {
        all.push((endpoint(address, 80), Some(Code::EndpointInvalid)));
    }
    for port in [0, -1, 65_536, i64::MAX] {
        all.push((endpoint("10.0.0.1", port), Some(Code::EndpointInvalid)));
    }
    let mut twice = endpoint("127.0.0.1", 9);
    let again = twice.endpoints[0].clone();
    twice.endpoints.extend([again.clone(), again]);
    all.push((twice, None));
    all.into_iter()
        .map(|(slice, told)| {
            let address = &slice.endpoints[0].addresses[0];
            let what = format!("endpoint {address} {:?}", slice.ports[0].port);
            let mut case = bad(&what, vec![route("/", vec![to("bad", 80)])], told);
            case.objects.push(Object::Service(objects::service("demo", "bad", 80)));
            case.objects.push(Object::EndpointSlice(slice));
            case
        })
        .collect()
}

fn certificates() -> Vec<Case> {
    let hosts = ["bad.test"];
    let good = authority().leaf(&hosts);
    let (crt, key) = (good.certificate.as_str(), good.key.as_str());
    let half = crt.split_at(crt.len() / 2).0;
    let invalid = Some(Code::SecretInvalid);
    let pair = |pair: contour_tests::certificates::Pair| (pair.certificate, pair.key);
    let one_line = crt.replace('\n', "");
    let all: Vec<(&str, (String, String), Option<Code>)> = vec![
        ("RSA 1024", pair(fixtures::rsa1024()), invalid),
        ("secp256k1", pair(fixtures::secp256k1()), invalid),
        ("an encrypted key", pair(fixtures::encrypted()), invalid),
        ("another key", pair(authority().mismatched(&hosts)), Some(Code::KeyMismatch)),
        ("nothing", (String::new(), String::new()), invalid),
        ("a key as certificate", (key.into(), key.into()), invalid),
        ("a certificate as key", (crt.into(), crt.into()), invalid),
        ("half a certificate", (half.into(), key.into()), invalid),
        ("half a second one", (format!("{crt}{half}"), key.into()), invalid),
        ("1 MB", ("x".repeat(1 << 20), key.into()), invalid),
        ("1,000 certificates", (crt.repeat(1_000), key.into()), invalid),
        ("one line", (one_line, key.into()), invalid),
        ("expired", pair(authority().expired(&hosts)), Some(Code::CertificateExpired)),
        (
            "of the future",
            pair(authority().not_yet_valid(&hosts)),
            Some(Code::CertificateNotYetValid),
        ),
        ("another host", pair(authority().leaf(&["x.test"])), Some(Code::CertificateHostMismatch)),
        ("noise around", (format!("noise\n{crt}noise\n"), format!("noise\n{key}")), None),
        ("CRLF", (crt.replace('\n', "\r\n"), key.replace('\n', "\r\n")), None),
    ];
    let tls = Tls { secret_name: Some("bad".into()), ..Tls::default() };
    all.into_iter()
        .map(|(what, (crt, key), told)| {
            let routes = vec![route("/", blue())];
            let mut case = bad_host(what, "bad.test", Some(tls.clone()), routes, told);
            case.objects.push(tls_secret("demo", "bad", &crt, &key));
            case
        })
        .collect()
}

fn references() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["/", "a/", "/a", "a/b/c", "../a", "*", "Demo/cert", "a\0"] {
        let tls = Tls { secret_name: Some(name.into()), ..Tls::default() };
        let what = format!("secret {name:?}");
        let mut case = bad_host(&what, "bad.test", Some(tls), vec![route("/", blue())], None);
        case.told = Some(Code::TlsConfigInvalid);
        cases.push(case);
    }
    for subject in ["", "*", "a b", "a\0", "\r\n"] {
        let validation =
            UpstreamValidation { ca_secret: "ca".into(), subject_name: subject.into() };
        let service = IngressRouteService { validation: Some(validation), ..to("secure", 80) };
        cases.push(with_service(
            &format!("subject {subject:?}"),
            service,
            Code::SubjectNameMissing,
        ));
    }
    cases
}

/// What an Envoy has refused so far, of each type.
async fn refused(stage: &Stage) -> u64 {
    let mut all = 0;
    for name in ["listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected"] {
        all += stage.envoy.stat(name).await.unwrap_or_default();
    }
    all
}

/// Tries the cases one after the other beside a host that must not notice.
async fn try_all(cases: Vec<Case>) {
    let stage = Stage::new().await;
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    let secure = contour_tests::stage::speaking("demo", "secure", &blue, Some("tls"), None);
    stage.put(&secure).await;
    stage.put(&[authority().secret("demo", "ca")]).await;
    let (target, ask) = (stage.http().await, Ask::get("good.test", "/"));
    let mut events = stage.controller.events();
    let mut wrong = Vec::new();
    for (case, service) in cases.into_iter().zip(["blue", "green"].into_iter().cycle()) {
        let mut changes = applications(&case.objects);
        changes.extend(read(&older(&host("good", service))));
        let told = stage.change(changes).await;
        until_backend(&target, &ask, service).await;
        if let Some(code) = case.told
            && !told.diagnostics.iter().any(|d| d.code == code)
        {
            let codes: Vec<_> = told.diagnostics.iter().map(|d| d.code).collect();
            wrong.push(format!("{}: {codes:?} instead of {code:?}", case.what));
        }
        if case.told.is_some_and(|c| c.severity() == contour_core::diagnostic::Severity::Error) {
            let about = told.diagnostics.iter().all(|d| {
                d.object.as_ref().is_some_and(|o| o.name.name.starts_with("bad"))
                    && !d.remedy().is_empty()
            });
            if !about {
                wrong.push(format!("{}: told of others: {:?}", case.what, told.diagnostics));
            }
        }
        let gone = case.objects.iter().map(|o| Change::Delete(o.reference()));
        stage.change(gone.collect()).await;
    }
    while let Ok(event) = events.try_recv() {
        if let ControllerEvent::Rejected { resource, message, .. } = event {
            wrong.push(format!("Envoy rejected {resource}: {message}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(refused(&stage).await, 0);
}

/// The same manifest with a time of creation, so that it wins conflicts.
fn older(manifest: &str) -> String {
    manifest.replace(
        "namespace: demo}",
        "namespace: demo, creationTimestamp: \"2001-01-01T00:00:00Z\"}",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_weight_or_number_out_of_range_gets_to_envoy() {
    try_all(weights().into_iter().chain(durations_and_counts()).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_or_path_that_is_none_gets_to_envoy() {
    try_all(hosts().into_iter().chain(paths()).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_endpoint_that_is_none_gets_to_envoy() {
    try_all(endpoints()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_certificate_or_reference_gets_to_envoy() {
    try_all(certificates().into_iter().chain(references()).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_envoys_formats_stays_text() {
    let stage = Stage::new().await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    let rewrite = host("shop", "blue")
        .replace("match: /,", "match: /, prefixRewrite: \"/%ENVIRONMENT(HOME)%/%REQ(host)%\",");
    stage.apply(&rewrite).await.fine();
    let reply = until_backend(&stage.http().await, &Ask::get("shop.test", "/x"), "blue").await;
    assert_eq!(reply.echo()["path"], "/%ENVIRONMENT(HOME)%/%REQ(host)%/x");
}
