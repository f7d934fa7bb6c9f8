use super::*;
use crate::observe::feed::{
    Certificate, Cursor, Destination, Endpoint, Envoy, Gone, Held, Latency, Object, Reason, Rows,
    SCHEMA, ServerState, Service, Traffic,
};
use crate::shift::weights::{self, Weights};
use crate::top::frame::{Fault, Frame, Route};

const START: u64 = 1_767_225_600_000;

fn shop() -> ObjectName {
    ObjectName::new("demo", "shop")
}

fn root() -> Place {
    Place::Route("/".into())
}

fn port(name: &str) -> ServicePort {
    ServicePort::new("demo", name, 80)
}

fn object(weights: [(&str, Option<i64>); 2]) -> Object {
    let services =
        weights.map(|(name, weight)| (weights::Service { name: name.into(), port: 80 }, weight));
    Object {
        name: shop(),
        hosts: vec!["shop.example.com".into()],
        state: Some("valid".into()),
        errors: Vec::new(),
        weights: vec![Weights::new(root(), services).unwrap()],
    }
}

fn named(id: u32, service: &str) -> Destination {
    Destination { id, object: shop(), place: root(), service: port(service) }
}

fn counted(id: u32, good: u64, bad: u64) -> Traffic {
    Traffic { id, classes: [0, good, 0, 0, bad], retries: bad }
}

fn service(name: &str, healthy: u32, members: u32) -> Service {
    Service {
        service: port(name),
        members: Some(members),
        healthy: Some(healthy),
        ejected: members - healthy,
        active: 2,
        connections: 4,
        connect_failures: 0,
        overflows: 0,
        circuit_open: false,
    }
}

fn endpoint(address: &str, reasons: &[(Reason, u32)], requests: u64) -> Endpoint {
    Endpoint {
        service: port("blue"),
        address: address.into(),
        envoys: 1,
        reasons: reasons.to_vec(),
        weight: 1,
        active: 1,
        connections: 1,
        requests,
        errors: requests / 10,
        connect_failures: 0,
        seen_unix_millis: START,
    }
}

fn envoy(node: &str, digest: &str) -> Envoy {
    Envoy {
        node: node.into(),
        version: Some("1.40.0".into()),
        address: None,
        connected_unix_millis: START,
        state: Some(ServerState::Live),
        uptime_seconds: Some(5),
        memory_bytes: Some(1 << 20),
        connections: Some(3),
        requests: 0,
        types: vec![Held {
            kind: "rds".into(),
            held: 3,
            outstanding: 0,
            pending: 0,
            rejected: 0,
            digest: Some(digest.into()),
            acknowledged_unix_millis: Some(START),
        }],
        rejections: Vec::new(),
        trouble: None,
        answered_unix_millis: Some(START),
        cost: Some((900, 4_000)),
    }
}

/// A controller that tells.
struct Controller {
    name: Arc<str>,
    collection: u64,
    tick: u64,
}

impl Controller {
    fn new(name: &str) -> Self {
        Self { name: name.into(), collection: START, tick: 0 }
    }

    /// What has changed, so many seconds after the start.
    fn tell(&mut self, board: &mut Board, second: u64, changed: Rows) {
        self.say(board, second, changed, Gone::default());
    }

    fn say(&mut self, board: &mut Board, second: u64, changed: Rows, gone: Gone) {
        self.tick += 1;
        let increment = Increment {
            schema: SCHEMA,
            at: Cursor { collection: self.collection, tick: self.tick },
            whole: self.tick == 1,
            unix_millis: START + second * 1_000,
            controller: "0.1.0".into(),
            interval_millis: 1_000,
            endpoints_fresh: true,
            changed,
            gone,
        };
        let input = Input::Increment(Arc::clone(&self.name), Box::new(increment));
        board.take(input, START + second * 1_000);
    }
}

fn board() -> Board {
    Board::new(Duration::from_secs(10))
}

fn beginning() -> Rows {
    Rows {
        objects: vec![object([("blue", Some(90)), ("green", Some(10))])],
        destinations: vec![named(0, "blue"), named(1, "green")],
        services: vec![service("blue", 2, 2), service("green", 1, 1)],
        endpoints: vec![endpoint("10.0.0.1:80", &[], 0), endpoint("10.0.0.2:80", &[], 0)],
        envoys: vec![envoy("envoy-1", "a")],
        ..Rows::default()
    }
}

fn at(board: &mut Board, second: u64) -> Frame {
    board.frame(START + second * 1_000)
}

fn only(frame: &Frame) -> &Route {
    let [route] = frame.routes.as_slice() else { panic!("{:#?}", frame.routes) };
    route
}

#[test]
fn one_look_has_no_rates_and_a_second_has() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    let frame = at(&mut board, 0);
    let route = only(&frame);
    assert_eq!(route.numbers.requests_per_second, None);
    assert_eq!(route.status(), ("ok", None));
    assert_eq!(route.hosts, ["shop.example.com".into()]);
    let shares: Vec<_> = route.destinations.iter().map(|d| d.share).collect();
    assert_eq!(shares, [Some(90.0), Some(10.0)]);
    contour.tell(
        &mut board,
        1,
        Rows { traffic: vec![counted(0, 90, 0), counted(1, 5, 5)], ..Rows::default() },
    );
    let frame = at(&mut board, 1);
    let route = only(&frame);
    assert_eq!(route.numbers.requests_per_second, Some(100.0));
    assert_eq!(route.numbers.classes, Some([0.0, 95.0, 0.0, 0.0, 5.0]));
    assert_eq!(route.numbers.retries_per_second, Some(5.0));
    let rates: Vec<_> = route.destinations.iter().map(|d| d.numbers.requests_per_second).collect();
    assert_eq!(rates, [Some(90.0), Some(10.0)]);
    assert_eq!(route.status(), ("failing", Some(Fault::Failure)));
    assert_eq!(frame.upstreams.len(), 2);
    assert_eq!(frame.upstreams[1].numbers.requests_per_second, Some(10.0));
    assert_eq!(frame.upstreams[1].routes, 1);
}

#[test]
fn rates_go_back_as_far_as_the_window_and_end_with_the_traffic() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    let mut rates = Vec::new();
    for second in 1..=25_u64 {
        let sent = second.min(5) * 40;
        let traffic = if second <= 5 { vec![counted(0, sent, 0)] } else { Vec::new() };
        contour.tell(&mut board, second, Rows { traffic, ..Rows::default() });
        rates.push(only(&at(&mut board, second)).numbers.requests_per_second.unwrap());
    }
    assert_eq!(rates[..5], [40.0; 5]);
    assert_eq!(rates[9..10], [20.0]);
    assert_eq!(rates[14..], [0.0; 11]);
}

#[test]
fn trends_have_a_value_for_each_look_and_forget_after_a_minute() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    contour.tell(&mut board, 1, Rows::default());
    contour.tell(&mut board, 2, Rows { traffic: vec![counted(1, 7, 0)], ..Rows::default() });
    contour.tell(&mut board, 3, Rows::default());
    let frame = at(&mut board, 3);
    assert_eq!(only(&frame).numbers.trend, [7.0, 0.0]);
    assert_eq!(frame.upstreams[1].numbers.trend, [7.0, 0.0]);
    for second in 4..70 {
        contour.tell(&mut board, second, Rows::default());
    }
    assert!(only(&at(&mut board, 70)).numbers.trend.is_empty());
}

#[test]
fn percentiles_are_of_what_was_added_and_of_all_controllers_together() {
    let mut board = board();
    let mut controllers = [Controller::new("contour-1"), Controller::new("contour-2")];
    for contour in &mut controllers {
        let latency = vec![Latency(0, vec![(1_000, 50)])];
        contour.tell(&mut board, 0, Rows { latency, ..beginning() });
        contour.tell(&mut board, 5, Rows::default());
    }
    let frame = at(&mut board, 5);
    assert_eq!(only(&frame).numbers.p50, None, "what was there before is not of now");
    for (contour, bound) in controllers.iter_mut().zip([2_000, 8_000]) {
        let latency = vec![Latency(0, vec![(1_000, 50), (bound, 10)])];
        contour.tell(&mut board, 10, Rows { latency, ..Rows::default() });
    }
    let frame = at(&mut board, 10);
    let numbers = &only(&frame).numbers;
    assert_eq!((numbers.p50, numbers.p95, numbers.p99), (Some(2.0), Some(8.0), Some(8.0)));
    assert_eq!(frame.coverage.envoys, 2);
}

#[test]
fn a_controller_that_begins_anew_makes_no_spike() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    contour.tell(&mut board, 1, Rows { traffic: vec![counted(0, 100, 0)], ..Rows::default() });
    let mut anew = Controller { collection: START + 1, ..Controller::new("contour-1") };
    anew.tell(&mut board, 2, Rows { traffic: vec![counted(0, 50_000, 0)], ..beginning() });
    assert_eq!(only(&at(&mut board, 2)).numbers.requests_per_second, None);
    anew.tell(&mut board, 3, Rows { traffic: vec![counted(0, 50_010, 0)], ..Rows::default() });
    assert_eq!(only(&at(&mut board, 3)).numbers.requests_per_second, Some(10.0));
}

#[test]
fn what_is_gone_is_not_shown_and_a_whole_increment_has_everything() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    let gone = Gone {
        objects: vec![shop()],
        destinations: vec![0, 1],
        services: vec![port("green")],
        endpoints: vec![(port("blue"), "10.0.0.2:80".into())],
        envoys: vec!["envoy-1".into()],
        certificates: Vec::new(),
    };
    contour.say(&mut board, 1, Rows::default(), gone);
    let frame = at(&mut board, 1);
    assert!(frame.routes.is_empty() && frame.envoys.is_empty());
    assert_eq!((frame.upstreams.len(), frame.endpoints.len()), (1, 1));
    let reasons: Vec<_> = frame.events.iter().map(|event| &*event.reason).collect();
    assert_eq!(reasons, ["EnvoyGone"]);
    let mut anew = Controller { collection: START + 9, ..Controller::new("contour-1") };
    anew.tell(
        &mut board,
        2,
        Rows { endpoints: vec![endpoint("10.0.0.3:80", &[], 0)], ..beginning() },
    );
    let addresses: Vec<_> =
        at(&mut board, 2).endpoints.iter().map(|e| e.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.3:80"]);
}

#[test]
fn an_ejected_endpoint_is_a_fault_a_warning_and_an_event() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    let ejected = [(Reason::FailedOutlierCheck, 1)];
    let endpoints = vec![endpoint("10.0.0.2:80", &ejected, 50)];
    let services = vec![service("blue", 1, 2)];
    contour.tell(&mut board, 1, Rows { services, endpoints, ..Rows::default() });
    board.take(Input::Pods(vec![("10.0.0.2".into(), "blue-x".into(), "node-1".into())]), START);
    let frame = at(&mut board, 1);
    assert_eq!(only(&frame).status(), ("degraded", Some(Fault::Warning)));
    let endpoint = &frame.endpoints[1];
    assert_eq!(endpoint.fault(), Some(Fault::Failure));
    assert_eq!(endpoint.requests_per_second, Some(50.0));
    assert_eq!(endpoint.errors_percent, Some(10.0));
    assert_eq!(endpoint.pod.as_deref(), Some("blue-x"));
    let codes: Vec<_> = frame.warnings.iter().map(|warning| &*warning.code).collect();
    assert_eq!(codes, ["endpoint-without-traffic"]);
    assert_eq!(&*frame.warnings[0].text, "1 endpoint gets no traffic: demo/blue:80@10.0.0.2:80");
    assert_eq!(&*frame.events[0].text, "failed_outlier_check");
    contour.tell(
        &mut board,
        2,
        Rows { endpoints: vec![super::tests::endpoint("10.0.0.2:80", &[], 50)], ..Rows::default() },
    );
    let frame = at(&mut board, 2);
    assert_eq!(&*frame.events[0].text, "was failed_outlier_check");
    assert!(frame.warnings.is_empty());
}

#[test]
fn what_several_controllers_say_of_an_endpoint_is_one_row_and_one_event() {
    let mut board = board();
    let mut controllers = [Controller::new("contour-1"), Controller::new("contour-2")];
    for contour in &mut controllers {
        contour.tell(&mut board, 0, beginning());
    }
    for (contour, requests) in controllers.iter_mut().zip([100, 300]) {
        let failed = [(Reason::FailedActiveHealthCheck, 1)];
        let endpoints = vec![endpoint("10.0.0.1:80", &failed, requests)];
        contour.tell(&mut board, 1, Rows { endpoints, ..Rows::default() });
    }
    let frame = at(&mut board, 1);
    let endpoint = &frame.endpoints[0];
    assert_eq!((endpoint.envoys, endpoint.reasons[0].1), (2, 2));
    assert_eq!(endpoint.requests_per_second, Some(400.0));
    assert_eq!(endpoint.errors_percent, Some(10.0));
    assert_eq!(frame.events.len(), 1);
}

#[test]
fn an_envoy_that_has_something_else_than_most_drifts_but_not_one_that_is_on_its_way() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    let mut late = envoy("envoy-4", "old");
    late.types[0].outstanding = 1;
    let envoys = vec![envoy("envoy-1", "a"), envoy("envoy-2", "a"), envoy("envoy-3", "b"), late];
    contour.tell(&mut board, 0, Rows { envoys, ..Rows::default() });
    let frame = at(&mut board, 0);
    let drifting: Vec<_> =
        frame.envoys.iter().map(|envoy| (envoy.drift.len(), envoy.behind)).collect();
    assert_eq!(drifting, [(0, 0), (0, 0), (1, 0), (0, 1)]);
    assert_eq!(&*frame.warnings[0].code, "drift");
}

#[test]
fn changed_weights_and_states_are_events() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut board, 0, beginning());
    let mut changed = object([("blue", Some(50)), ("green", None)]);
    changed.state = Some("invalid".into());
    changed.errors = vec!["service green is missing".into()];
    contour.tell(&mut board, 1, Rows { objects: vec![changed], ..Rows::default() });
    let frame = at(&mut board, 1);
    let mut texts: Vec<_> = frame.events.iter().map(|event| event.text.to_string()).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "route /: blue 50, green unset, were blue 90, green 10",
            "was valid, is invalid: service green is missing",
        ]
    );
    let shares: Vec<_> = only(&frame).destinations.iter().map(|d| d.share).collect();
    assert_eq!(shares, [Some(100.0), Some(0.0)]);
    assert_eq!(only(&frame).status(), ("invalid", Some(Fault::Failure)));
}

#[test]
fn weights_that_are_all_unset_or_nothing_divide_equally() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    for (second, weights) in [[None, None], [Some(0), Some(0)]].into_iter().enumerate() {
        let [blue, green] = weights;
        let objects = vec![object([("blue", blue), ("green", green)])];
        contour.tell(&mut board, second as u64, Rows { objects, ..Rows::default() });
        let frame = at(&mut board, second as u64);
        let shares: Vec<_> = only(&frame).destinations.iter().map(|d| d.share).collect();
        assert_eq!(shares, [Some(50.0), Some(50.0)]);
    }
}

#[test]
fn a_controller_that_is_lost_leaves_old_numbers_and_their_age() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    board.take(Input::Sources(vec!["contour-1".into(), "contour-2".into()]), START);
    contour.tell(&mut board, 0, beginning());
    contour.tell(&mut board, 1, Rows { traffic: vec![counted(0, 30, 0)], ..Rows::default() });
    assert_eq!(at(&mut board, 2).coverage.stale_millis, None);
    assert_eq!(at(&mut board, 9).coverage.stale_millis, Some(8_000), "it says nothing at all");
    board.take(Input::Lost("contour-1".into(), "connection refused".into()), START + 3_000);
    let frame = at(&mut board, 4);
    assert_eq!(frame.coverage.stale_millis, Some(3_000));
    assert_eq!(only(&frame).numbers.requests_per_second, Some(30.0));
    let states: Vec<_> = frame.coverage.sources.iter().map(|source| source.state).collect();
    assert_eq!(states, [SourceState::Lost, SourceState::Waiting]);
    assert_eq!(&*frame.warnings[0].text, "contour-1 is not heard: connection refused");
    board.take(Input::Sources(vec!["contour-2".into()]), START + 5_000);
    assert!(at(&mut board, 5).routes.is_empty());
}

#[test]
fn kubernetes_alone_shows_objects_without_numbers_until_a_controller_is_heard() {
    let mut board = board();
    board.take(Input::Limits(vec!["no rates: no controller runs".into()]), START);
    let rows = Rows { destinations: Vec::new(), envoys: Vec::new(), ..beginning() };
    board.take(Input::Kubernetes(Box::new(rows)), START);
    let frame = at(&mut board, 1);
    let route = only(&frame);
    assert_eq!(route.numbers, crate::top::Numbers::default());
    assert_eq!(route.destinations[0].healthy, Some(2));
    assert_eq!((frame.endpoints.len(), frame.endpoints[0].active), (2, None));
    assert_eq!(frame.coverage.limits.len(), 1);
    let mut contour = Controller::new("contour-1");
    let other =
        Object { name: ObjectName::new("demo", "other"), ..object([("a", None), ("b", None)]) };
    contour.tell(&mut board, 2, Rows { objects: vec![other], ..Rows::default() });
    let frame = at(&mut board, 2);
    assert_eq!(&*only(&frame).object.name, "other");
}

#[test]
fn an_object_without_a_sound_route_is_there() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    let broken = Object {
        weights: Vec::new(),
        state: Some("invalid".into()),
        ..object([("a", None), ("b", None)])
    };
    contour.tell(&mut board, 0, Rows { objects: vec![broken], ..Rows::default() });
    assert_eq!(only(&at(&mut board, 0)).status().0, "invalid");
}

#[test]
fn certificates_count_down() {
    let (mut board, mut contour) = (board(), Controller::new("contour-1"));
    let start = i64::try_from(START / 1_000).unwrap();
    let certificate = |name: &str, left: i64| Certificate {
        secret: ObjectName::new("demo", name),
        names: vec!["shop.example.com".into()],
        not_after_unix: start + left,
        hosts: Vec::new(),
    };
    let certificates =
        vec![certificate("a", 90 * 86_400), certificate("b", 86_400), certificate("c", -5)];
    contour.tell(&mut board, 0, Rows { certificates, ..Rows::default() });
    let frame = at(&mut board, 0);
    let faults: Vec<_> = frame.certificates.iter().map(crate::top::Certificate::fault).collect();
    assert_eq!(faults, [None, Some(Fault::Warning), Some(Fault::Failure)]);
    let codes: Vec<_> = frame.warnings.iter().map(|warning| &*warning.code).collect();
    assert_eq!(codes, ["certificate-ended", "certificate-ending"]);
}

#[test]
fn a_recording_is_read_as_it_was_written() {
    let (mut first, mut contour) = (board(), Controller::new("contour-1"));
    contour.tell(&mut first, 0, beginning());
    let increment = Increment {
        schema: SCHEMA,
        at: Cursor { collection: START, tick: 2 },
        whole: false,
        unix_millis: START + 1_000,
        controller: "0.1.0".into(),
        interval_millis: 1_000,
        endpoints_fresh: true,
        changed: Rows {
            traffic: vec![counted(0, 3, 1)],
            endpoints: vec![endpoint("10.0.0.1:80", &[(Reason::EdsDraining, 1)], 1)],
            ..Rows::default()
        },
        gone: Gone { endpoints: vec![(port("blue"), "10.0.0.2:80".into())], ..Gone::default() },
    };
    let input = Input::Increment("contour-1".into(), Box::new(increment));
    let record = crate::top::Record { unix_millis: START + 1_000, input };
    let line = serde_json::to_string(&record).unwrap();
    assert!(line.contains(r#""traffic":[[0,[0,3,0,0,1],1]]"#), "{line}");
    assert_eq!(serde_json::from_str::<crate::top::Record>(&line).unwrap(), record);
    first.take(record.input, record.unix_millis);
    let frame = at(&mut first, 1);
    let json = serde_json::to_string(&frame).unwrap();
    let read: Frame = serde_json::from_str(&json).unwrap();
    assert_eq!(read, frame);
}
