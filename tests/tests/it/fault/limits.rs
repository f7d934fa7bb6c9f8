//! A namespace that asks for more than there is room for costs nobody else anything: neither Envoy
//! nor requests.

use contour::serve::Hooks;
use contour_core::api::{HealthCheck, IngressRouteService, IngressRouteSpec, Object, VirtualHost};
use contour_core::diagnostic::Code;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::Envoy;
use contour_tests::load::Load;
use contour_tests::objects;
use contour_tests::stage::{Stage, behind, options, until_backend, until_status};

use super::host;

/// Resident memory in MB.
fn memory(envoy: &Envoy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", envoy.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn open_files(envoy: &Envoy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", envoy.pid())).unwrap().count()
}

fn root(namespace: &str, name: &str, routes: Vec<contour_core::api::Route>) -> Object {
    let virtualhost = VirtualHost { fqdn: format!("{name}.test").into(), tls: None };
    let spec = IngressRouteSpec { virtualhost: Some(virtualhost), routes, tcpproxy: None };
    objects::ingress_route(namespace, name, spec)
}

/// A stage on which `demo/shop` is served.
async fn stage() -> (Stage, Backend) {
    let stage = Stage::with(options(), Hooks::default()).await;
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    stage.apply(&host("shop", "blue")).await.fine();
    (stage, blue)
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_many_hosts_share_are_bounded_for_their_namespace() {
    const PART: usize = 1_990;
    let (stage, blue) = stage().await;
    let http = stage.http().await;
    stage.put(&behind("a", "s", &[&blue])).await.fine();
    let before = memory(&stage.envoy);
    let load = Load::start(&http, &Ask::get("shop.test", "/"), 2);

    let part = |number: usize, extra: usize| {
        let routes = (0..PART + extra)
            .map(|n| objects::route(&format!("/w{number}/{n}"), vec![objects::to("s", 80)]));
        let spec = IngressRouteSpec { routes: routes.collect(), ..IngressRouteSpec::default() };
        objects::ingress_route("a", &format!("w{number}"), spec)
    };
    let mut all: Vec<Object> = (0..10).map(|number| part(number, 0)).collect();
    for number in 10..50 {
        let delegates =
            (0..10).map(|n| objects::delegate(&format!("/w{n}"), None, &format!("w{n}")));
        all.push(root("a", &format!("r{number}"), delegates.collect()));
    }
    let told = stage.put(&all).await;
    // 19,900 routes each, and 75,000 for the namespace: three have room.
    let refused = told.diagnostics.iter().filter(|d| d.code == Code::TooLarge).count();
    assert_eq!(refused, 37, "{:#?}", told.diagnostics);
    let finding = told.expect(Code::TooLarge, "a/r49");
    assert!(
        finding.message.contains("its 19902 route entries are more than")
            && finding.message.contains("75000"),
        "{finding}"
    );
    until_backend(&http, &Ask::get("r12.test", "/w9/1989"), "blue").await;
    until_status(&http, &Ask::get("r13.test", "/w9/1989"), 503).await;
    // A change of what they share, and one of somebody else behind it.
    let told = stage.put(&[part(0, 5)]).await;
    let finding = told.expect(Code::TooLarge, "a/r49");
    assert!(finding.message.contains("its 19907 route entries"), "{finding}");
    stage.apply(&host("late", "blue")).await.fine();
    until_backend(&http, &Ask::get("late.test", "/"), "blue").await;
    let after = memory(&stage.envoy);
    assert!(after < before + 300, "{before} MB, then {after} MB");

    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_of_one_object_are_bounded() {
    const SERVICES: usize = 12;
    let (stage, blue) = stage().await;
    let http = stage.http().await;
    let mut all = Vec::new();
    for number in 0..SERVICES {
        all.extend(behind("f", &format!("s{number}"), &[&blue]));
    }
    stage.put(&all).await.fine();
    let before = (memory(&stage.envoy), open_files(&stage.envoy));
    let load = Load::start(&http, &Ask::get("shop.test", "/"), 2);

    let checked = |path: usize| {
        let to = move |number: usize| IngressRouteService {
            health_check: Some(HealthCheck {
                path: format!("/h{path}").into(),
                interval_seconds: Some(1),
                ..HealthCheck::default()
            }),
            ..objects::to(&format!("s{number}"), 80)
        };
        objects::route(&format!("/r{path}"), (0..SERVICES).map(to).collect())
    };
    let told = stage.put(&[root("f", "k", (0..2_000).map(checked).collect())]).await;
    let findings: Vec<_> =
        told.diagnostics.iter().filter(|d| d.code == Code::TooLarge).map(|d| &d.message).collect();
    assert!(
        findings.iter().any(|m| m.contains("24000 different active health checks, of which 100")),
        "{findings:#?}"
    );
    // Those that are checked, and those that are used without a check.
    until_backend(&http, &Ask::get("k.test", "/r0"), "blue").await;
    until_backend(&http, &Ask::get("k.test", "/r1500"), "blue").await;
    let checks = stage.envoy.admin_json("/clusters?format=json").await.unwrap();
    let clusters = checks["cluster_statuses"].as_array().unwrap();
    let of_f = clusters.iter().filter(|c| c["name"].as_str().is_some_and(|n| n.starts_with("f/")));
    assert_eq!(of_f.count(), 100 + SERVICES);
    stage.apply(&host("late", "blue")).await.fine();
    until_backend(&http, &Ask::get("late.test", "/"), "blue").await;
    let after = (memory(&stage.envoy), open_files(&stage.envoy));
    assert!(after.0 < before.0 + 300 && after.1 < before.1 + 300, "{before:?}, then {after:?}");

    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
