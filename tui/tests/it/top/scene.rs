//! Frames to look at, and what is seen of them.

use std::sync::Arc;

use contour_core::name::ObjectName;
use contour_core::observe::feed::{Held, Reason, Rejection, ServerState, ServicePort};
use contour_core::top::{
    Certificate, Coverage, Destination, Endpoint, Envoy, Event as News, Fault, Frame, Numbers,
    Route, SCHEMA, Shift, Source, SourceState, Upstream, Warning,
};
use contour_tui::key::Key;
use contour_tui::theme::Theme;
use contour_tui::top::{Effect, Event, Model, Options, update, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::scene::rows;

/// 2026-05-04T14:03:11Z.
pub(crate) const NOW: u64 = 1_777_903_391_000;

fn port(name: &str) -> ServicePort {
    ServicePort::new("demo", name, 80)
}

/// Requests a second of a minute around a mean.
fn trend(mean: f32) -> Vec<f32> {
    let wave = [1.0, 1.1, 1.25, 1.3, 1.2, 1.05, 0.9, 0.75, 0.6, 0.7, 0.8, 0.9];
    (0..5).flat_map(|_| wave).map(|part: f32| (mean * part).round()).collect()
}

/// Numbers of so many requests a second, of which this share fails.
fn numbers(rps: f32, failures: f64) -> Numbers {
    let trend = trend(rps);
    Numbers {
        requests_per_second: Some(f64::from(rps)),
        classes: Some([0.0, 98.0 - failures, 0.0, 2.0, failures]),
        retries_per_second: Some(if failures > 0.0 { 1.5 } else { 0.0 }),
        p50: Some(7.0),
        p95: Some(25.0),
        p99: Some(if failures > 0.0 { 1_250.0 } else { 120.0 }),
        trend,
    }
}

/// A destination: its share, and how many endpoints are healthy of how many.
fn to(name: &str, share: u32, (healthy, members): (u32, u32)) -> Destination {
    Destination {
        service: port(name),
        weight: Some(share),
        share: Some(f64::from(share)),
        numbers: numbers(8.0, 0.0),
        members: Some(members),
        healthy: Some(healthy),
        ejected: members - healthy,
    }
}

fn route(object: (&str, &str), matches: &str, numbers: Numbers, to: Vec<Destination>) -> Route {
    Route {
        object: ObjectName::new(object.0, object.1),
        matches: matches.into(),
        hosts: vec![format!("{}.example.com", object.1).into()],
        state: Some("valid".into()),
        errors: Vec::new(),
        numbers,
        active: Some(12),
        overflows_per_second: Some(0.0),
        destinations: to,
    }
}

fn routes() -> Vec<Route> {
    let blue_green = || vec![to("blue", 75, (3, 3)), to("green", 25, (2, 2))];
    let shop = ("demo", "shop");
    let mut broken = route(("demo", "broken"), "/", Numbers::default(), Vec::new());
    broken.state = Some("invalid".into());
    broken.errors = vec!["route /: Service demo/nothing is not there".into()];
    let mut lonely = route(("demo", "lonely"), "/", Numbers::default(), Vec::new());
    (lonely.state, lonely.active) = (Some("orphaned".into()), None);
    lonely.hosts.clear();
    let mut unknown = route(("payments", "ledger"), "tcpproxy", Numbers::default(), Vec::new());
    (unknown.state, unknown.active, unknown.overflows_per_second) = (None, None, None);
    unknown.destinations =
        vec![Destination { members: None, healthy: None, share: None, ..to("ledger", 1, (0, 0)) }];
    let mut long = route(
        (
            "a-namespace-with-a-rather-long-name",
            "an-object-with-a-name-that-is-about-as-long-as-they-get",
        ),
        "/a/prefix/that/goes/on/and/on/until/nobody/reads/it",
        numbers(1_249.0, 0.0),
        ["one", "two", "three", "four"].map(|name| to(name, 25, (2, 2))).into(),
    );
    long.hosts = (1..=4).map(|n| format!("host-{n}.of-a-long-domain.example.com").into()).collect();
    let mut foreign = route(("demo", "books"), "/日本語/商品", numbers(3.0, 0.0), blue_green());
    foreign.hosts = vec!["bücher.example.com".into()];
    vec![
        long,
        foreign,
        broken,
        lonely,
        route(("demo", "old"), "/", numbers(0.0, 0.0), vec![to("old", 100, (0, 2))]),
        route(shop, "/", numbers(812.0, 0.0), blue_green()),
        route(shop, "/api", numbers(95.0, 12.0), blue_green()),
        route(shop, "/cart", numbers(34.0, 0.4), vec![to("cart", 100, (1, 2))]),
        unknown,
    ]
}

fn upstream(name: &str, (healthy, members): (u32, u32), numbers: Numbers) -> Upstream {
    Upstream {
        service: port(name),
        routes: 2,
        members: Some(members),
        healthy: Some(healthy),
        ejected: 0,
        numbers,
        active: Some(4),
        connections: Some(16),
        connect_failures_per_second: Some(0.0),
        overflows_per_second: Some(0.0),
        circuit_open: false,
    }
}

fn upstreams() -> Vec<Upstream> {
    let mut cart = upstream("cart", (1, 2), numbers(34.0, 0.4));
    (cart.ejected, cart.connect_failures_per_second) = (1, Some(0.7));
    let mut green = upstream("green", (2, 2), numbers(220.0, 3.0));
    (green.circuit_open, green.overflows_per_second) = (true, Some(12.0));
    let mut unknown = upstream("unseen", (0, 0), Numbers::default());
    (unknown.members, unknown.healthy, unknown.active) = (None, None, None);
    vec![
        upstream("blue", (3, 3), numbers(640.0, 0.0)),
        cart,
        green,
        upstream("old", (0, 2), numbers(0.0, 0.0)),
        unknown,
    ]
}

fn endpoint(name: &str, last: u8, reasons: Vec<(Reason, u32)>) -> Endpoint {
    Endpoint {
        service: port(name),
        address: format!("10.1.0.{last}:8080").into(),
        pod: Some(format!("{name}-5d9c7b-x{last}").into()),
        node: Some("node-a".into()),
        envoys: 12,
        reasons,
        weight: Some(1),
        active: Some(2),
        connections: Some(8),
        requests_per_second: Some(213.0),
        errors_percent: Some(0.0),
        connect_failures_per_second: Some(0.0),
        age_millis: 0,
    }
}

fn endpoints() -> Vec<Endpoint> {
    let mut failing = endpoint("cart", 5, Vec::new());
    (failing.errors_percent, failing.connect_failures_per_second) = (Some(7.5), Some(0.7));
    let mut old = endpoint("green", 7, Vec::new());
    old.age_millis = 12_000;
    let mut unknown = endpoint("old", 9, vec![(Reason::EdsUnhealthy, 12)]);
    (unknown.requests_per_second, unknown.errors_percent) = (None, None);
    (unknown.pod, unknown.node) = (None, None);
    vec![
        endpoint("blue", 1, Vec::new()),
        endpoint("blue", 2, Vec::new()),
        endpoint("blue", 3, Vec::new()),
        endpoint("cart", 4, vec![(Reason::FailedOutlierCheck, 3)]),
        failing,
        endpoint("green", 6, Vec::new()),
        old,
        endpoint("old", 8, vec![(Reason::FailedActiveHealthCheck, 12)]),
        unknown,
    ]
}

fn envoy(number: u64) -> Envoy {
    let held = |kind: &str| Held {
        kind: kind.into(),
        held: 9,
        outstanding: 0,
        pending: 0,
        rejected: 0,
        digest: Some("a1".into()),
        acknowledged_unix_millis: Some(NOW - 42_000),
    };
    Envoy {
        node: format!("envoy-7c4f-{number:02}").into(),
        source: "contour-6b8-x1".into(),
        version: Some("1.40.0".into()),
        address: Some(format!("10.2.0.{number}:41230").into()),
        connected_unix_millis: NOW - 3_600_000,
        state: Some(ServerState::Live),
        uptime_seconds: Some(9_000 + number),
        memory_bytes: Some(48 << 20),
        connections: Some(120 + number),
        requests_per_second: Some(81.5),
        held: 54,
        behind: 0,
        acknowledged_unix_millis: Some(NOW - 42_000),
        drift: Vec::new(),
        types: ["cds", "eds", "lds", "rds", "sds"].map(held).into(),
        rejections: Vec::new(),
        trouble: None,
        cost: Some((1_800, 56_000)),
    }
}

fn envoys() -> Vec<Envoy> {
    let mut envoys: Vec<Envoy> = (1..=12).map(envoy).collect();
    envoys[1].behind = 3;
    envoys[2].drift = vec!["rds".into(), "cds".into()];
    envoys[3].types[3].rejected = 1;
    envoys[3].rejections = vec![Rejection {
        resource: "rds:ingress_https/shop.example.com".into(),
        message: "route: unknown cluster demo/shop/80/a1b2".into(),
        owners: vec![ObjectName::new("demo", "shop")],
    }];
    envoys[4].trouble = Some("the stream of numbers was reset".into());
    envoys[4].requests_per_second = None;
    envoys[5].source = "contour-6b8-x2".into();
    envoys[6].state = Some(ServerState::Draining);
    envoys
}

fn certificate(name: &str, days: i64) -> Certificate {
    let now = i64::try_from(NOW / 1_000).unwrap();
    Certificate {
        secret: ObjectName::new("demo", name),
        names: vec![format!("{name}.example.com").into(), format!("www.{name}.example.com").into()],
        hosts: vec![format!("{name}.example.com").into()],
        not_after_unix: now + days * 86_400,
        left_seconds: days * 86_400,
    }
}

fn shift(name: &str, phase: &str, fault: Option<Fault>) -> Shift {
    Shift {
        object: ObjectName::new("demo", name),
        from: "blue:80".into(),
        to: "green:80".into(),
        share: "25%".into(),
        phase: phase.into(),
        why: fault.map(|_| "success rate 69.17% < 99%".into()),
        since_unix: i64::try_from(NOW / 1_000).unwrap() - 80,
        driver: fault.is_none().then(|| "ann@laptop".into()),
        fault,
        over: phase == "completed",
    }
}

fn news(ago: u64, fault: Option<Fault>, (reason, object, text): (&str, &str, &str)) -> News {
    News {
        unix_millis: NOW - ago * 1_000,
        fault,
        reason: reason.into(),
        object: object.into(),
        text: text.into(),
        count: 1,
    }
}

fn warning(code: &str, fault: Fault, text: &str, (view, keys): (&str, &[&str])) -> Warning {
    Warning {
        code: code.into(),
        fault,
        text: text.into(),
        view: (!view.is_empty()).then(|| view.into()),
        keys: keys.iter().map(|key| (*key).into()).collect(),
    }
}

fn source(name: &str, why: Option<&str>) -> Source {
    Source {
        name: name.into(),
        state: if why.is_some() { SourceState::Lost } else { SourceState::Fresh },
        heard_unix_millis: Some(NOW - 400),
        interval_millis: Some(1_000),
        version: Some("0.1.0".into()),
        why: why.map(Into::into),
    }
}

fn warnings() -> Vec<Warning> {
    let (failure, look) = (Fault::Failure, Fault::Warning);
    let down = "1 route has a service without a healthy endpoint: demo/old:/";
    vec![
        warning("no-healthy-endpoint", failure, down, ("routes", &["demo/old:/"])),
        warning(
            "failing",
            failure,
            "1 route answers at least 5% with 5xx: demo/shop:/api",
            ("routes", &["demo/shop:/api"]),
        ),
        warning(
            "endpoint-without-traffic",
            look,
            "3 endpoints get no traffic",
            ("endpoints", &["demo/cart:80@10.1.0.4:8080", "demo/old:80@10.1.0.8:8080"]),
        ),
        warning(
            "controller-unheard",
            look,
            "contour-6b8-x2 is not heard: connection refused",
            ("", &[]),
        ),
    ]
}

fn events() -> Vec<News> {
    vec![
        news(
            4,
            Some(Fault::Warning),
            (
                "Ejected",
                "Endpoint demo/cart:80@10.1.0.4:8080",
                "failed_outlier_check at 3 of 12 Envoys",
            ),
        ),
        news(
            75,
            None,
            ("WeightsChanged", "IngressRoute demo/shop", "/: blue:80 90 to 75, green:80 10 to 25"),
        ),
        news(
            3_700,
            Some(Fault::Failure),
            (
                "Rejected",
                "Envoy envoy-7c4f-04",
                "rds:ingress_https/shop.example.com: route: unknown cluster demo/shop/80/a1b2",
            ),
        ),
    ]
}

/// Everything that can be seen, well and not.
pub(crate) fn rich() -> Frame {
    let coverage = Coverage {
        sources: vec![
            source("contour-6b8-x1", None),
            source("contour-6b8-x2", Some("connection refused")),
        ],
        envoys: 12,
        answered: 11,
        limits: Vec::new(),
        stale_millis: None,
    };
    Frame {
        schema: SCHEMA,
        unix_millis: NOW,
        window_millis: 10_000,
        coverage,
        warnings: warnings(),
        routes: routes(),
        upstreams: upstreams(),
        endpoints: endpoints(),
        envoys: envoys(),
        certificates: vec![
            certificate("shop", 61),
            certificate("books", 6),
            certificate("old", -2),
        ],
        shifts: vec![
            shift("books", "completed", None),
            shift("cart", "held", Some(Fault::Warning)),
            shift("shop", "baking", None),
        ],
        events: events(),
    }
}

/// So many routes, whose requests turn with the time.
pub(crate) fn many(count: u64, seconds: u64) -> Frame {
    let route = |number: u64| {
        let rps = f32::from(u16::try_from((number * 7 + seconds * 13) % 1_000).unwrap());
        let name = format!("app-{number:05}");
        let service = to(&name, 100, (2, 2));
        route(("demo", &name), "/", numbers(rps, 0.0), vec![service])
    };
    Frame {
        routes: (0..count).map(route).collect(),
        unix_millis: NOW + seconds * 1_000,
        warnings: Vec::new(),
        ..rich()
    }
}

/// Nothing but what is well.
pub(crate) fn healthy() -> Frame {
    let mut frame = rich();
    frame.coverage.sources.truncate(1);
    frame.coverage.answered = 12;
    frame.warnings.clear();
    frame.routes.retain(|route| route.fault().is_none());
    frame
}

pub(crate) fn options() -> Options {
    Options {
        location: "context prod".to_owned(),
        interval_millis: 1_000,
        size: (80, 24),
        now_unix_millis: NOW,
        ..Options::default()
    }
}

/// One that shows a frame.
pub(crate) fn showing(frame: Frame) -> Model {
    see(Model::new(options()), frame)
}

pub(crate) fn see(model: Model, frame: Frame) -> Model {
    hear(model, Event::Frame(Arc::new(frame)))
}

/// What asks for nothing.
pub(crate) fn hear(model: Model, event: Event) -> Model {
    let (model, effects) = update(model, event);
    assert_eq!(effects, []);
    model
}

pub(crate) fn press(model: Model, keys: &[Key]) -> Model {
    keys.iter().fold(model, |model, key| hear(model, Event::Key(*key)))
}

/// Presses the keys of these characters.
pub(crate) fn write(model: Model, text: &str) -> Model {
    text.chars().fold(model, |model, c| hear(model, Event::Key(Key::Char(c))))
}

/// What comes of a key.
pub(crate) fn effects(model: &Model, key: Key) -> Vec<Effect> {
    update(model.clone(), Event::Key(key)).1
}

/// The key of the row that is chosen.
pub(crate) fn selected(model: &Model) -> String {
    model.selected().map(|item| item.key()).unwrap_or_default()
}

pub(crate) fn draw(model: &Model, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

pub(crate) fn show(model: &Model, theme: Theme, (width, height): (u16, u16)) -> String {
    // A page is as large as the screen.
    let model = hear(model.clone(), Event::Resize(width, height));
    rows(&draw(&model, theme, width, height)).join("\n")
}
