//! An Envoy with the limits of `contour bootstrap` sheds load step by step, and comes back.

use std::path::Path;

use contour::bootstrap::{Admin, Bootstrap, Overload};
use contour_tests::client::{Ask, Reply, Target};
use contour_tests::envoy::{ADMIN, Envoy, eventually};
use serde_json::{Value, json};

/// A listener that answers 200, in an Envoy with these limits.
fn bootstrap(overload: Overload) -> Value {
    const HTTP: &str = "type.googleapis.com/envoy.extensions.filters";
    let local = Bootstrap::local(Admin::Socket(ADMIN.into()), 1, "overload");
    let rendered = Bootstrap { overload, ..local }.render().config;
    let manager = json!({
        "@type": format!("{HTTP}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "plain",
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{HTTP}.http.router.v3.Router")},
        }],
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "direct_response": {"status": 200}},
        ]}]},
    });
    json!({
        "node": rendered["node"],
        "overload_manager": rendered["overload_manager"],
        "static_resources": {"listeners": [{
            "name": "plain",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }]}],
        }]},
    })
}

async fn start(bootstrap: &Value) -> (Envoy, Target) {
    let envoy = Envoy::start(bootstrap).unwrap();
    envoy.ready().await;
    let target = Target::plain(envoy.listener("plain").await);
    (envoy, target)
}

/// Waits until a new connection leads to this.
async fn until(target: &Target, what: &str, wanted: impl Fn(Option<&Reply>) -> bool) {
    eventually(what, async || {
        let reply = target.ask(&Ask::get("any.test", "/")).await.ok();
        wanted(reply.as_ref()).then_some(())
    })
    .await;
}

fn is(status: u16, is_last: bool) -> impl Fn(Option<&Reply>) -> bool {
    move |reply| {
        reply.is_some_and(|reply| {
            let closes = reply.headers.get("connection").is_some_and(|value| value == "close");
            reply.status == status && closes == is_last
        })
    }
}

/// Says how much of the heap is taken, as Envoy will read it.
fn press(file: &Path, share: f64) {
    let new = file.with_extension("new");
    std::fs::write(&new, share.to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_the_heap_fills_keepalive_goes_then_requests_then_connections_and_all_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pressure");
    press(&file, 0.5);
    let mut bootstrap = bootstrap(Overload { max_heap: Some(1 << 30), max_connections: None });
    // The share is said by a file in place of the allocator.
    let monitor = &mut bootstrap["overload_manager"]["resource_monitors"][0];
    assert_eq!(monitor["typed_config"]["max_heap_size_bytes"], 1 << 30);
    monitor["typed_config"] = json!({
        "@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
        "filename": file,
    });
    let (envoy, target) = start(&bootstrap).await;
    for _ in 0..2 {
        press(&file, 0.94);
        until(&target, "everything is served", is(200, false)).await;
        press(&file, 0.96);
        until(&target, "connections are closed after a request", is(200, true)).await;
        press(&file, 0.985);
        until(&target, "requests are refused", is(503, true)).await;
        press(&file, 0.995);
        until(&target, "connections are refused", |reply| reply.is_none()).await;
        let shrunk = "overload.envoy.overload_actions.shrink_heap.active";
        assert_eq!(envoy.stat(shrunk).await, Some(1));
    }
    press(&file, 0.5);
    until(&target, "everything is served again", is(200, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_without_room_on_its_heap_refuses_everybody_and_lives() {
    let overload = Overload { max_heap: Some(1_000_000), max_connections: None };
    let (envoy, target) = start(&bootstrap(overload)).await;
    until(&target, "connections are refused", |reply| reply.is_none()).await;
    for _ in 0..100 {
        assert!(target.ask(&Ask::get("any.test", "/")).await.is_err());
    }
    let refused = "listener.127.0.0.1_0.downstream_cx_overload_reject";
    assert!(envoy.stat(refused).await.is_some_and(|count| count >= 100));
    envoy.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_refused_until_others_go() {
    let overload = Overload { max_heap: None, max_connections: Some(3) };
    let (_envoy, target) = start(&bootstrap(overload)).await;
    let ask = Ask::get("any.test", "/");
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = target.connect().await.unwrap();
        assert_eq!(connection.ask(&ask).await.unwrap().status, 200);
        open.push(connection);
    }
    for _ in 0..3 {
        assert!(target.ask(&ask).await.is_err());
    }
    assert_eq!(open[0].ask(&ask).await.unwrap().status, 200);
    drop(open.pop());
    until(&target, "there is room again", is(200, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_flags_connections_fit_into_the_files_that_envoy_may_open() {
    let overload = Overload::local();
    let limit = overload.max_connections.expect("Linux says how many files may be open");
    assert_eq!(overload.max_heap, None);
    let (envoy, target) = start(&bootstrap(overload)).await;
    until(&target, "everything is served", is(200, false)).await;
    // Envoy raises its own limit to the hard one when it starts.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", envoy.pid())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files = files.split_whitespace().next().unwrap();
    assert!(files.parse().is_ok_and(|files: u64| limit * 2 <= files), "{limit} in {files}");
}
