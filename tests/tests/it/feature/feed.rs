//! What a controller tells those who watch everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contour::serve::Hooks;
use contour_core::observe::feed::{Cursor, Increment, Reason, ServicePort};
use contour_core::top::{Board, Frame, Input, Route};
use contour_core::xds::{Resource, ResourceType};
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::eventually;
use contour_tests::feed::Feed;
use contour_tests::load::Load;
use contour_tests::stage::{
    NODE, Stage, behind, ingress_route, options, read, until_backend, until_status,
};
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use envoy_types::pb::google::protobuf::{Duration as Span, UInt32Value};
use prost::Message as _;

/// Rates of the tests go back to the beginning.
const WINDOW: Duration = Duration::from_mins(10);

/// Somebody who watches.
struct Viewer {
    feed: Feed,
    board: Board,
    last: Option<Increment>,
}

impl Viewer {
    async fn at(debug: SocketAddr, query: &str) -> Self {
        Self { feed: Feed::follow(debug, query).await, board: Board::new(WINDOW), last: None }
    }

    async fn of(stage: &Stage) -> Self {
        Self::at(stage.controller.bound().debug, "").await
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Increment> {
        let increment = self.feed.next().await?;
        let now = increment.unix_millis;
        self.board.take(Input::Increment("contour".into(), Box::new(increment.clone())), now);
        self.last = Some(increment.clone());
        Some(increment)
    }

    /// What is to be seen after the next line.
    async fn look(&mut self) -> Frame {
        let increment = self.next().await.expect("it goes on");
        self.board.frame(increment.unix_millis)
    }

    /// What is to be seen once something holds of it.
    async fn until(&mut self, what: &str, holds: impl Fn(&Frame) -> bool) -> Frame {
        for _ in 0..30 {
            let frame = self.look().await;
            if holds(&frame) {
                return frame;
            }
        }
        panic!("{what}: {:#?}", self.last);
    }

    fn cursor(&self) -> Cursor {
        self.last.as_ref().unwrap().at
    }

    /// Seconds from the first line to the last, as rates see them.
    fn requests(&self, frame: &Frame, of: impl Fn(&Route) -> Option<f64>) -> f64 {
        let began = self.cursor().collection;
        let last = self.last.as_ref().unwrap().unix_millis;
        #[expect(clippy::cast_precision_loss, reason = "it is some seconds")]
        let seconds = (last - began) as f64 / 1e3;
        of(shop(frame)).unwrap() * seconds
    }
}

fn shop(frame: &Frame) -> &Route {
    let mut routes = frame.routes.iter();
    routes.find(|route| &*route.object.name == "shop" && &*route.matches == "/").unwrap()
}

fn manifest(blue: u32, green: u32) -> String {
    let spec = format!(
        "virtualhost: {{fqdn: shop.test}}\nroutes:\n\
         - match: /\n  services:\n  \
           - {{name: blue, port: 80, weight: {blue}}}\n  \
           - {{name: green, port: 80, weight: {green}}}\n  \
           retryPolicy: {{count: 1}}"
    );
    ingress_route("demo/shop", &spec)
}

fn green() -> ServicePort {
    ServicePort::new("demo", "green", 80)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_sent_is_what_everybody_who_watches_sees() {
    let mut stage = Stage::new().await;
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    stage.apply(&manifest(0, 100)).await.fine();
    let second = stage.join("envoy-2").await;
    let (first, other) = (stage.http().await, Target::plain(second.listener("ingress_http").await));
    let root = Ask::get("shop.test", "/");
    for target in [&first, &other] {
        until_status(target, &root, 200).await;
    }
    let mut viewer = Viewer::of(&stage).await;
    let frame = viewer.until("both Envoys are heard", |f| f.coverage.answered == 2).await;
    assert_eq!(shop(&frame).hosts, ["shop.test".into()]);
    assert_eq!(shop(&frame).state.as_deref(), Some("valid"));
    Load::send(&first, &root, 4, 300).await;
    Load::send(&other, &root, 4, 100).await;
    green.fail_next(20, 503);
    let failed = Load::send(&first, &root, 1, 10).await;
    assert_eq!(failed.statuses.get(&503), Some(&10), "{failed:?}");
    let sent = |frame: &Frame| frame.envoys.iter().all(|e| e.requests_per_second > Some(0.0));
    viewer.until("both have served", sent).await;
    let frame = viewer.look().await;
    let total = viewer.requests(&frame, |route| route.numbers.requests_per_second);
    assert!((total - 410.0).abs() < 0.5, "{total}");
    let retries = viewer.requests(&frame, |route| route.numbers.retries_per_second);
    assert!((retries - 10.0).abs() < 0.5, "{retries}");
    let [_, good, _, _, bad] = shop(&frame).numbers.classes.unwrap();
    assert!((good - 400.0 / 4.1).abs() < 0.1 && (bad - 10.0 / 4.1).abs() < 0.1, "{good} {bad}");
    let rates = |i: usize| shop(&frame).destinations[i].numbers.requests_per_second.unwrap();
    assert!(rates(0) < 0.001 && rates(1) > 0.0, "{:?}", shop(&frame).destinations);
    assert_eq!(shop(&frame).destinations[1].share, Some(100.0));
    let frame = viewer.until("answers are timed", |f| shop(f).numbers.p99.is_some()).await;
    assert!(shop(&frame).numbers.p50 >= Some(1.0), "{:?}", shop(&frame).numbers);

    // Whoever comes later sees the same objects, and counts from then on.
    let mut late = Viewer::of(&stage).await;
    let frame = late.look().await;
    assert_eq!(frame.routes.len(), 1);
    assert_eq!(late.cursor().collection, viewer.cursor().collection);

    stage.apply(&manifest(100, 0)).await.fine();
    let changed = |f: &Frame| shop(f).destinations[0].share == Some(100.0);
    let frame = viewer.until("the weights are others", changed).await;
    let event = frame.events.iter().find(|e| &*e.reason == "WeightsChanged").unwrap();
    assert_eq!(&*event.text, "route /: blue 100, green 0, were blue 0, green 100");
    stage.delete(contour_core::name::Kind::IngressRoute, "demo", "shop").await;
    viewer.until("it is gone", |f| f.routes.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_begins_anew_takes_nothing_back() {
    let mut stage = Stage::new().await;
    let backend = Backend::http("green").await;
    stage.serve("demo", &[&backend]).await;
    stage.apply(&manifest(0, 1).replace("blue", "green2")).await;
    let mut second = stage.join("envoy-2").await;
    let root = Ask::get("shop.test", "/");
    let other = Target::plain(second.listener("ingress_http").await);
    until_status(&other, &root, 200).await;
    let mut viewer = Viewer::of(&stage).await;
    viewer.until("both Envoys are heard", |f| f.coverage.answered == 2).await;
    Load::send(&other, &root, 2, 50).await;
    let sum = |increment: &Increment| {
        increment.changed.traffic.iter().map(|row| row.classes[1]).max().unwrap_or(0)
    };
    let mut most = 0;
    while most < 50 {
        most = sum(&viewer.next().await.unwrap()).max(most);
    }
    second.kill().unwrap();
    viewer.until("it is gone", |f| f.coverage.envoys == 1).await;
    second.restart().unwrap();
    viewer.until("it is back", |f| f.coverage.answered == 2).await;
    let other = Target::plain(second.listener("ingress_http").await);
    until_status(&other, &root, 200).await;
    Load::send(&other, &root, 2, 20).await;
    let mut last = most;
    while last < most + 20 {
        let now = sum(&viewer.next().await.unwrap());
        assert!(now == 0 || now >= last, "{now} after {last}");
        last = now.max(last);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_what_differs_and_nobody_asks_envoys_for_nobody() {
    let stage = Stage::new().await;
    let backend = Backend::http("green").await;
    stage.serve("demo", &[&backend]).await;
    stage.apply(&manifest(0, 1)).await;
    let debug = stage.controller.bound().debug;
    let asked = async || stage.envoy.stat("http.admin.downstream_rq_total").await.unwrap();
    let mut viewer = Viewer::of(&stage).await;
    viewer.next().await.unwrap();
    let (from, before) = (viewer.cursor(), asked().await);
    for _ in 0..4 {
        viewer.next().await.unwrap();
    }
    let (alone, looks) = (asked().await - before, viewer.cursor().tick - from.tick);
    // Ten watch, and Envoy is asked as often as for one: three questions a look at most.
    let mut many = Vec::new();
    for _ in 0..10 {
        many.push(Viewer::of(&stage).await);
    }
    let (from, before) = (viewer.cursor(), asked().await);
    for _ in 0..4 {
        viewer.next().await.unwrap();
        for other in &mut many {
            other.next().await.unwrap();
        }
    }
    let (together, more) = (asked().await - before, viewer.cursor().tick - from.tick);
    assert!(
        alone <= 3 * looks + 4 && together <= 3 * more + 4,
        "{alone}/{looks} {together}/{more}"
    );
    drop(many);
    let cursor = viewer.cursor();
    drop(viewer);
    let mut back = Viewer::at(debug, &format!("?after={cursor}")).await;
    let increment = back.next().await.unwrap();
    assert!(!increment.whole && increment.at > cursor, "{increment:?}");
    assert!(increment.changed.objects.is_empty(), "{increment:?}");
    drop(back);
    let mut once = Viewer::at(debug, "?once&after=1-1").await;
    assert!(once.next().await.unwrap().whole);
    assert!(once.next().await.is_none());
    drop(once);
    // The collection outlives its last viewer a little, and then Envoy is left alone.
    let left_alone = async || {
        let before = asked().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        (asked().await == before + 1).then_some(())
    };
    eventually("nobody asks", left_alone).await;
    let anew = Viewer::at(debug, &format!("?after={cursor}")).await.next().await.unwrap();
    assert!(anew.whole && anew.at.collection > cursor.collection);
    let reply = Target::plain(debug).get("127.0.0.1", "/debug/observe?after=yesterday").await;
    assert_eq!(reply.unwrap().status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_out_is_told_with_its_reason() {
    let ejecting = |resource: &Resource| {
        let is_green =
            resource.key.kind == ResourceType::Cluster && resource.key.name.contains("/green/");
        let mut cluster = Cluster::decode(resource.body.clone()).ok().filter(|_| is_green)?;
        cluster.outlier_detection = Some(OutlierDetection {
            consecutive_5xx: Some(UInt32Value { value: 1 }),
            interval: Some(Span { seconds: 0, nanos: 100_000_000 }),
            base_ejection_time: Some(Span { seconds: 5, nanos: 0 }),
            max_ejection_percent: Some(UInt32Value { value: 100 }),
            ..OutlierDetection::default()
        });
        let requires = resource.requires.to_vec();
        Some(Resource::new(resource.key.clone(), cluster.encode_to_vec(), requires))
    };
    let stage = Stage::with(options(), Hooks { rewrite: Some(Arc::new(ejecting)) }).await;
    let (one, two) = (Backend::http("green").await, Backend::http("green").await);
    let blue = Backend::http("blue").await;
    stage.serve("demo", &[&blue]).await;
    stage.put(&behind("demo", "green", &[&one, &two])).await;
    stage.apply(&manifest(0, 1)).await;
    let target = stage.http().await;
    let root = Ask::get("shop.test", "/");
    until_backend(&target, &root, "green").await;
    let mut viewer = Viewer::of(&stage).await;
    viewer
        .until("all endpoints are well", |f| {
            let own = f.endpoints.iter().filter(|e| e.service == green());
            own.filter(|e| e.reasons.is_empty()).count() == 2
        })
        .await;
    one.fail_next(1, 503);
    Load::send(&target, &root, 1, 10).await;
    let ejected = |f: &Frame| {
        f.endpoints.iter().any(|e| {
            e.address.ends_with(&format!(":{}", one.address.port()))
                && e.reasons == [(Reason::FailedOutlierCheck, 1)]
        })
    };
    let frame = viewer.until("it is out", ejected).await;
    let upstream = frame.upstreams.iter().find(|u| u.service == green()).unwrap();
    assert_eq!((upstream.healthy, upstream.members, upstream.ejected), (Some(1), Some(2), 1));
    assert_eq!(shop(&frame).status().0, "degraded");
    assert!(frame.events.iter().any(|e| &*e.reason == "Ejected"), "{:?}", frame.events);
    viewer.until("it is back", |f| !ejected(f)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_its_check_is_told_until_it_passes() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("green").await, Backend::http("green").await);
    stage.put(&behind("demo", "green", &[&one, &two])).await;
    let check = "{path: /healthz, intervalSeconds: 1, timeoutSeconds: 1, \
                 unhealthyThresholdCount: 1, healthyThresholdCount: 1}";
    let service = format!("{{name: green, port: 80, healthCheck: {check}}}");
    let spec =
        format!("virtualhost: {{fqdn: shop.test}}\nroutes: [{{match: /, services: [{service}]}}]");
    stage.apply(&ingress_route("demo/shop", &spec)).await;
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "green").await;
    let mut viewer = Viewer::of(&stage).await;
    let failed = |f: &Frame| {
        let reasons = f.endpoints.iter().flat_map(|e| &e.reasons);
        reasons.filter(|(reason, _)| *reason == Reason::FailedActiveHealthCheck).count()
    };
    viewer.until("both are well", |f| f.endpoints.len() == 2 && failed(f) == 0).await;
    one.set_healthy(false);
    let frame = viewer.until("one fails its check", |f| failed(f) == 1).await;
    assert!(frame.events.iter().any(|e| &*e.reason == "Unhealthy"), "{:?}", frame.events);
    two.set_healthy(false);
    let frame = viewer.until("both fail it", |f| failed(f) == 2).await;
    assert_eq!(shop(&frame).status().0, "down");
    one.set_healthy(true);
    viewer.until("one passes", |f| failed(f) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_stands_still_or_rejects_is_told_and_others_are_heard() {
    let refused = |resource: &Resource| {
        let is_cluster =
            resource.key.kind == ResourceType::Cluster && resource.key.name.contains("/green/");
        let mut cluster = Cluster::decode(resource.body.clone()).ok().filter(|_| is_cluster)?;
        cluster.connect_timeout = Some(Span { seconds: -1, nanos: 0 });
        let requires = resource.requires.to_vec();
        Some(Resource::new(resource.key.clone(), cluster.encode_to_vec(), requires))
    };
    let mut stage = Stage::with(options(), Hooks { rewrite: Some(Arc::new(refused)) }).await;
    let (blue, other) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &other]).await;
    let second = stage.join("envoy-2").await;
    let mut viewer = Viewer::of(&stage).await;
    viewer.until("both Envoys are heard", |f| f.coverage.answered == 2).await;
    let mut events = stage.controller.events();
    stage.tell(&mut events, read(&manifest(1, 1))).await;
    let rejects = |f: &Frame| f.envoys.iter().all(|e| !e.rejections.is_empty());
    let frame = viewer.until("the rejection is told", rejects).await;
    let rejection = &frame.envoys[0].rejections[0];
    assert!(rejection.resource.starts_with("cds:demo/green/80/"), "{rejection:?}");
    assert_eq!(rejection.owners.iter().map(ToString::to_string).collect::<Vec<_>>(), ["demo/shop"]);
    assert!(shop(&frame).errors.iter().any(|e| e.contains("rejected")), "{:?}", shop(&frame));
    second.signal("STOP");
    let silent = |f: &Frame| f.coverage.envoys == 2 && f.coverage.answered == 1;
    let frame = viewer.until("it does not answer", silent).await;
    let [first, still] = frame.envoys.as_slice() else { panic!("{:?}", frame.envoys) };
    let (first, still) = if &*first.node == NODE { (first, still) } else { (still, first) };
    assert_eq!(first.trouble, None);
    assert!(still.trouble.as_deref().unwrap().contains("does not answer within 2s"));
    second.signal("CONT");
    viewer.until("it answers", |f| f.coverage.answered == 2).await;
}
