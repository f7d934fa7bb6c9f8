//! What a controller tells of an object to those who watch its traffic.

use std::sync::Arc;
use std::time::Duration;

use contour::serve::Hooks;
use contour_core::observe::{Envoy as Counted, Report, Traffic, Upstream};
use contour_core::shift::weights::{Place, Weights, Written};
use contour_core::xds::{Resource, ResourceType};
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::load::Load;
use contour_tests::stage::{
    NODE, Stage, behind, ingress_route, options, read, until_backend, until_status,
};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use prost::Message as _;

/// Longer than a report is shared for.
const APART: Duration = Duration::from_millis(550);

fn shop(blue: u32, green: u32) -> String {
    let spec = format!(
        "virtualhost: {{fqdn: shop.test}}\nroutes:\n\
         - match: /\n  services:\n  \
           - {{name: blue, port: 80, weight: {blue}}}\n  \
           - {{name: green, port: 80, weight: {green}}}\n  \
           retryPolicy: {{count: 1}}\n\
         - match: /cart\n  services: [{{name: green, port: 80}}]"
    );
    ingress_route("demo/shop", &spec)
}

async fn ask(stage: &Stage, path: &str) -> (u16, String) {
    let debug = Target::plain(stage.controller.bound().debug);
    let reply = debug.get("127.0.0.1", path).await.unwrap();
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}

async fn report_at_once(stage: &Stage) -> Report {
    let (status, body) = ask(stage, "/debug/observe/IngressRoute/demo/shop").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A report of what is so now.
async fn report(stage: &Stage) -> Report {
    tokio::time::sleep(APART).await;
    report_at_once(stage).await
}

fn counted<'a>(report: &'a Report, node: &str) -> &'a Counted {
    report.envoys.iter().find(|envoy| &*envoy.node == node).expect("the Envoy is told of")
}

fn traffic<'a>(envoy: &'a Counted, prefix: &str, service: &str) -> &'a Traffic {
    let place = Place::Route(prefix.into());
    let mut routes = envoy.routes.iter();
    let found = routes.find(|t| t.place == place && &*t.service.name == service);
    found.unwrap_or_else(|| panic!("{prefix} {service} is not told of: {envoy:?}"))
}

fn upstream<'a>(envoy: &'a Counted, service: &str) -> &'a Upstream {
    let mut services = envoy.services.iter();
    services.find(|u| &*u.service.name == service).expect("the service is told of")
}

fn timed(traffic: &Traffic) -> u64 {
    traffic.latency.iter().map(|(_, count)| count).sum()
}

async fn since(stage: &Stage) -> u64 {
    let report = report(stage).await;
    let since = report.fleet.since_unix_millis;
    let since = since.unwrap_or_else(|| panic!("not all have it: {:?}", report.fleet));
    assert!(since <= report.unix_millis, "{since} {}", report.unix_millis);
    since
}

async fn colours(stage: &Stage) -> (Backend, Backend) {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    (blue, green)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_envoy_has_counted_is_told_by_route_and_service() {
    let mut stage = Stage::new().await;
    let (blue, green) = colours(&stage).await;
    let more = Backend::http("green").await;
    stage.put(&behind("demo", "green", &[&green, &more])).await;
    stage.apply(&shop(0, 100)).await.fine();
    let second = stage.join("envoy-2").await;
    let (first, other) = (stage.http().await, Target::plain(second.listener("ingress_http").await));
    let cart = Ask::get("shop.test", "/cart");
    for target in [&first, &other] {
        until_status(target, &cart, 200).await;
    }
    let before = report(&stage).await;
    assert_eq!((before.fleet.connected, before.fleet.acknowledged), (2, 2), "{before:?}");
    assert_eq!(before.state.as_deref(), Some("valid"));
    assert!(before.errors.is_empty() && before.uid.is_none() && before.generation.is_none());
    let weights: Vec<_> = before.weights.iter().flat_map(Weights::services).collect();
    let weights: Vec<_> = weights.iter().map(|Written(s, w)| (&*s.name, *w)).collect();
    assert_eq!(weights, [("blue", Some(0)), ("green", Some(100)), ("green", None)]);
    let root = traffic(counted(&before, NODE), "/", "green");
    assert_eq!((root.classes, root.retries), ([0; 5], 0));

    let root = Ask::get("shop.test", "/");
    let sent = Load::send(&first, &root, 4, 50).await;
    assert_eq!(sent.failures(), 0, "{sent:?}");
    Load::send(&other, &root, 4, 30).await;
    Load::send(&first, &cart, 2, 20).await;
    // Once hidden by a retry, once not.
    for backend in [&green, &more] {
        backend.fail_next(2, 503);
    }
    let failed = Load::send(&first, &root, 1, 2).await;
    assert_eq!(failed.statuses.get(&503), Some(&2), "{failed:?}");
    let after = report(&stage).await;
    let [one, two] = [NODE, "envoy-2"].map(|node| counted(&after, node));
    assert_eq!(traffic(one, "/", "green").classes, [0, 50, 0, 0, 2]);
    assert_eq!(traffic(one, "/", "green").retries, 2);
    assert_eq!(traffic(one, "/", "blue").classes, [0; 5]);
    assert_eq!(traffic(two, "/", "green").classes, [0, 30, 0, 0, 0]);
    let carts = |report: &Report| traffic(counted(report, NODE), "/cart", "green").classes[1];
    assert_eq!(carts(&after) - carts(&before), 20);
    let told = upstream(one, "green");
    assert_eq!((told.members, told.healthy, told.ejected), (Some(2), Some(2), 0));
    assert_eq!(upstream(one, "blue").members, Some(1));
    assert_eq!(blue.requests(), 0);

    // Envoy sums up latencies every 5 s.
    let told = eventually("all answers are timed", async || {
        let report = report(&stage).await;
        (timed(traffic(counted(&report, NODE), "/", "green")) >= 52).then_some(report)
    })
    .await;
    let timings = traffic(counted(&told, NODE), "/", "green");
    assert_eq!(timed(timings), 52);
    assert!(timings.latency.iter().all(|(bound, _)| (1_000..5_000_000).contains(bound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn since_when_all_have_it_moves_with_a_change_and_with_whoever_comes_or_lags() {
    let mut stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&shop(100, 0)).await.fine();
    let first = since(&stage).await;
    assert_eq!(since(&stage).await, first, "it moves although nothing has happened");

    let other = ingress_route(
        "demo/other",
        "virtualhost: {fqdn: other.test}\nroutes: [{match: /, services: [{name: blue, port: 80}]}]",
    );
    stage.apply(&other).await.fine();
    assert_eq!(since(&stage).await, first, "it moves with what concerns others");

    stage.apply(&shop(90, 10)).await.fine();
    let changed = since(&stage).await;
    assert!(changed > first, "{changed} {first}");

    let mut second = stage.join("envoy-2").await;
    let joined = since(&stage).await;
    assert!(joined > changed, "{joined} {changed}");

    // There and back between two looks: all have what they had, but not all the time.
    stage.apply(&shop(80, 20)).await.fine();
    stage.apply(&shop(90, 10)).await.fine();
    let back = since(&stage).await;
    assert!(back > joined, "{back} {joined}");

    second.kill().unwrap();
    eventually("it is gone", async || (report(&stage).await.fleet.connected == 1).then_some(()))
        .await;
    // It had all, for as long as it was there, give or take a tenth of a second.
    let left = since(&stage).await;
    assert!((back..back + 200).contains(&left), "{left} {back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_stands_still_is_named_and_does_not_hold_up_the_others() {
    let mut stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&shop(100, 0)).await.fine();
    let second = stage.join("envoy-2").await;
    let before = since(&stage).await;
    second.signal("STOP");
    let mut events = stage.controller.events();
    stage.tell(&mut events, read(&shop(50, 50))).await;
    let lagging = eventually("the other has the change", async || {
        let report = report(&stage).await;
        (report.fleet.acknowledged == 1).then_some(report)
    })
    .await;
    assert_eq!(lagging.fleet.connected, 2);
    assert_eq!(lagging.fleet.since_unix_millis, None);
    let why = &lagging.fleet.waiting["envoy-2"];
    assert!(why.starts_with("sent: rds:http/shop.test"), "{why}");
    let trouble = counted(&lagging, "envoy-2").trouble.clone().expect("it does not answer");
    assert!(trouble.contains("it does not answer within 2s"), "{trouble}");
    assert!(counted(&lagging, "envoy-2").routes.is_empty());
    assert_eq!(counted(&lagging, NODE).trouble, None);
    assert_eq!(counted(&lagging, NODE).routes.len(), 3);

    second.signal("CONT");
    let again = eventually("it has caught up", async || {
        let report = report(&stage).await;
        (report.fleet.acknowledged == 2).then_some(report)
    })
    .await;
    assert_eq!(counted(&again, "envoy-2").trouble, None);
    assert!(again.fleet.since_unix_millis > Some(before), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_a_time_get_one_report_and_nobody_asks_envoys_otherwise() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    stage.apply(&shop(100, 0)).await.fine();
    let (target, request) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &request, "blue").await;
    let asked = async || stage.envoy.stat("http.admin.downstream_rq_total").await.unwrap();
    let [one, two] = [report_at_once(&stage).await, report_at_once(&stage).await];
    assert_eq!(one, two);
    // A question after the number of questions is one as well.
    let begin = asked().await;
    tokio::time::sleep(APART).await;
    assert_eq!(asked().await, begin + 1);
    let (one, two) = tokio::join!(report_at_once(&stage), report_at_once(&stage));
    assert_eq!(one, two);
    assert_eq!(asked().await, begin + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_envoy_rejects_and_what_is_wrong_with_an_object_is_told() {
    let twins = |resource: &Resource| {
        let is_shop =
            resource.key.kind == ResourceType::Route && resource.key.name.contains("shop.test");
        let mut routes = RouteConfiguration::decode(resource.body.clone()).ok()?;
        let twin = routes.virtual_hosts.first().filter(|_| is_shop)?.clone();
        routes.virtual_hosts.push(twin);
        let requires = resource.requires.to_vec();
        Some(Resource::new(resource.key.clone(), routes.encode_to_vec(), requires))
    };
    let stage = Stage::with(options(), Hooks { rewrite: Some(Arc::new(twins)) }).await;
    let _colours = colours(&stage).await;
    let mut events = stage.controller.events();
    stage.tell(&mut events, read(&shop(1, 1))).await;
    let told = eventually("the rejection is told", async || {
        let report = report(&stage).await;
        let why = report.fleet.waiting.get(NODE)?;
        why.starts_with("rejected: rds:http/shop.test: ").then_some(report)
    })
    .await;
    assert_eq!((told.fleet.acknowledged, told.fleet.since_unix_millis), (0, None));
    assert!(told.errors.iter().any(|e| e.contains("rejected rds:http/shop.test")), "{told:?}");
    // Envoy does not know the routes, so nothing has happened on them.
    assert_eq!(traffic(counted(&told, NODE), "/cart", "green").classes, [0; 5]);

    let gone = shop(1, 1).replace("blue", "nobody");
    stage.tell(&mut events, read(&gone)).await;
    let told = report(&stage).await;
    assert_eq!(told.state.as_deref(), Some("invalid"));
    assert!(told.errors.iter().any(|e| e.contains("nobody")), "{told:?}");
    assert_eq!(upstream(counted(&told, NODE), "nobody").members, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_observed() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    for (path, answer) in [
        ("IngressRoute/demo/nobody", "there is no IngressRoute demo/nobody"),
        ("Service/demo/blue", "has no traffic of its own"),
        ("Cupboard/demo/shop", "there is no kind \"Cupboard\""),
    ] {
        let (status, body) = ask(&stage, &format!("/debug/observe/{path}")).await;
        assert_eq!(status, 404, "{body}");
        assert!(body.contains(answer), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_route_is_counted_where_it_stands_on_all_its_hosts() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    for name in ["one", "two"] {
        let spec = format!(
            "virtualhost: {{fqdn: {name}.test}}\nroutes:\n\
             - {{match: /, services: [{{name: blue, port: 80}}]}}\n\
             - {{match: /team, delegate: {{name: shop}}}}"
        );
        stage.apply(&ingress_route(&format!("demo/{name}"), &spec)).await;
    }
    let team = "routes: [{match: /team, services: [{name: green, port: 80}]}]";
    stage.apply(&ingress_route("demo/shop", team)).await;
    let target = stage.http().await;
    for name in ["one", "two"] {
        let team = Ask::get(&format!("{name}.test"), "/team");
        until_backend(&target, &team, "green").await;
        let before = traffic(counted(&report(&stage).await, NODE), "/team", "green").classes[1];
        Load::send(&target, &team, 2, 10).await;
        Load::send(&target, &Ask::get(&format!("{name}.test"), "/"), 2, 5).await;
        let after = report(&stage).await;
        let envoy = counted(&after, NODE);
        assert_eq!(traffic(envoy, "/team", "green").classes[1] - before, 10);
        assert_eq!(envoy.routes.len(), 1, "{envoy:?}");
    }
}
