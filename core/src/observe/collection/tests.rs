use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::observe::feed::ServerState;
use crate::observe::survey;
use crate::xds::stats;

const START: u64 = 1_767_225_600_000;

fn shop() -> ObjectName {
    ObjectName::new("demo", "shop")
}

fn port(name: &str) -> ServicePort {
    ServicePort::new("demo", name, 80)
}

fn stat(service: &str) -> String {
    stats::route("demo/shop:/", &ObjectName::new("demo", service), 80)
}

fn watched(services: &[&str]) -> Watched {
    let to = |service: &&str| (Place::Route("/".into()), port(service), Some(stat(service)));
    Watched {
        object: Object {
            name: shop(),
            hosts: vec!["shop.example.com".into()],
            state: Some("valid".into()),
            errors: Vec::new(),
            weights: Vec::new(),
        },
        destinations: services.iter().map(to).collect(),
        certificate: None,
    }
}

fn envoy(node: &str) -> Envoy {
    Envoy {
        node: node.into(),
        version: Some("1.40.0".into()),
        address: None,
        connected_unix_millis: START,
        state: None,
        uptime_seconds: None,
        memory_bytes: None,
        connections: None,
        requests: 0,
        types: Vec::new(),
        rejections: Vec::new(),
        trouble: None,
        answered_unix_millis: None,
        cost: None,
    }
}

/// An Envoy's answer: requests of each service, and how many were answered with 503.
fn numbers(counts: &[Counts<'_>]) -> String {
    let mut out = "server.state: 0\nserver.uptime: 7\nserver.memory_allocated: 4096\n".to_owned();
    for (service, good, bad) in counts {
        let name = format!("vhost.shop_example_com.route.{}.upstream_rq", stat(service));
        writeln!(out, "{name}_2xx: {good}\n{name}_5xx: {bad}\n{name}_retry: {bad}").unwrap();
        writeln!(out, "cluster.demo_{service}_80.membership_total: 2").unwrap();
        writeln!(out, "cluster.demo_{service}_80.membership_healthy: 1").unwrap();
        writeln!(out, "cluster.demo_{service}_80.upstream_cx_connect_fail: {bad}").unwrap();
    }
    let total: u64 = counts.iter().map(|(_, good, bad)| good + bad).sum();
    writeln!(out, "http.ingress_http.downstream_rq_total: {total}").unwrap();
    out
}

fn clusters(service: &str, hosts: &[(&str, bool, u64)]) -> Endpoints {
    let host = |(address, ejected, requests): &(&str, bool, u64)| {
        let health = if *ejected { r#""failed_outlier_check":true,"# } else { "" };
        format!(
            r#"{{"address":{{"socket_address":{{"address":"{address}","port_value":8080}}}},
            "stats":[{{"name":"rq_total","value":"{requests}"}},{{"name":"rq_error"}}],
            "health_status":{{{health}"eds_health_status":"HEALTHY"}},"weight":1}}"#
        )
    };
    let hosts: Vec<_> = hosts.iter().map(host).collect();
    let hosts = hosts.join(",");
    let text = format!(
        r#"{{"cluster_statuses":[{{"name":"demo/{service}/80/0a","observability_name":"demo_{service}_80","host_statuses":[{hosts}]}}]}}"#
    );
    survey::endpoints(&text).unwrap()
}

fn collection(services: &[&str], nodes: &[&str]) -> Collection {
    let mut collection = Collection::new(START, "0.1.0");
    collection.begin(START, 1_000);
    collection.objects(vec![(shop(), Some(watched(services)))]);
    collection.connected(nodes.iter().map(|node| envoy(node)).collect());
    collection
}

/// Requests of a service, and those of them that were answered with 503.
type Counts<'a> = (&'a str, u64, u64);

/// The next look: what each Envoy says.
fn look(collection: &mut Collection, answers: &[(&str, &[Counts<'_>])]) {
    for (node, counts) in answers {
        collection.numbers(&Arc::from(*node), Numbers::read(&numbers(counts)), (100, 10));
    }
    collection.end();
    collection.begin(collection.unix_millis + 1_000, 1_000);
}

fn total(collection: &Collection) -> ([u64; 5], u64) {
    let rows = collection.since(None).changed.traffic;
    rows.iter().fold(([0; 5], 0), |(mut sums, retries), row| {
        sums.iter_mut().zip(row.classes).for_each(|(sum, count)| *sum += count);
        (sums, retries + row.retries)
    })
}

#[test]
fn counting_begins_with_the_first_that_is_heard_of_an_envoy() {
    let mut all = collection(&["blue"], &["a", "b"]);
    look(&mut all, &[("a", &[("blue", 1_000, 10)])]);
    assert_eq!(total(&all), ([0; 5], 0));
    look(&mut all, &[("a", &[("blue", 1_007, 12)]), ("b", &[("blue", 500, 0)])]);
    assert_eq!(total(&all), ([0, 7, 0, 0, 2], 2));
    // It has begun anew, so all that it says is new.
    look(&mut all, &[("a", &[("blue", 3, 0)]), ("b", &[("blue", 501, 0)])]);
    assert_eq!(total(&all), ([0, 11, 0, 0, 2], 2));
    let service = &all.since(None).changed.services[0];
    assert_eq!((service.members, service.healthy), (Some(2), Some(1)));
    assert_eq!(service.connect_failures, 2);
    let envoys = all.since(None).changed.envoys;
    assert_eq!(envoys[0].requests, 9 + 3);
    assert_eq!(envoys[0].state, Some(ServerState::Live));
}

#[test]
fn a_route_that_turns_up_later_in_an_envoy_that_is_known_began_at_nothing() {
    let mut all = collection(&["blue", "green"], &["a"]);
    look(&mut all, &[("a", &[("blue", 5, 0)])]);
    look(&mut all, &[("a", &[("blue", 5, 0), ("green", 4, 0)])]);
    assert_eq!(total(&all).0, [0, 4, 0, 0, 0]);
}

#[test]
fn an_envoy_that_cannot_be_asked_keeps_its_numbers_and_says_why() {
    let mut all = collection(&["blue"], &["a"]);
    look(&mut all, &[("a", &[("blue", 5, 0)])]);
    all.trouble(&"a".into(), "it does not answer");
    all.connected(vec![envoy("a")]);
    all.end();
    let row = &all.since(None).changed.envoys[0];
    assert_eq!(row.trouble.as_deref(), Some("it does not answer"));
    assert_eq!(row.memory_bytes, Some(4_096));
    all.begin(START + 5_000, 1_000);
    look(&mut all, &[("a", &[("blue", 6, 0)])]);
    assert_eq!(all.since(None).changed.envoys[0].trouble, None);
    assert_eq!(total(&all).0[1], 1);
}

#[test]
fn destinations_that_are_gone_take_their_counts_with_them() {
    let mut all = collection(&["blue", "green"], &["a"]);
    look(&mut all, &[("a", &[("green", 5, 0)])]);
    look(&mut all, &[("a", &[("green", 9, 0)])]);
    let before = all.at();
    assert_eq!(all.since(Some(before)).at, before, "a look that goes on is no place to be");
    all.objects(vec![(shop(), Some(watched(&["blue"])))]);
    look(&mut all, &[("a", &[("green", 12, 0)])]);
    let since = all.since(Some(before));
    assert_eq!(since.gone.destinations, [2]);
    assert!(since.changed.traffic.is_empty() && !since.whole);
    all.objects(vec![(shop(), None)]);
    all.end();
    let whole = all.since(None).changed;
    assert!(whole.objects.is_empty() && whole.destinations.is_empty());
}

#[test]
fn latencies_are_summed_by_bucket_from_the_first_answer_on() {
    let answer = |counts: &[(f64, u64)]| {
        let bucket = |(lower, count): &(f64, u64)| {
            format!(r#"{{"lower_bound":{lower},"width":1,"count":{count}}}"#)
        };
        let totals: Vec<_> = counts.iter().map(bucket).collect();
        let text = format!(
            r#"{{"stats":[{{"histograms":{{"details":[{{"name":"vhost.h.route.{}.upstream_rq_time","totals":[{}]}}]}}}}]}}"#,
            stat("blue"),
            totals.join(",")
        );
        survey::latencies(&text).unwrap()
    };
    let mut all = collection(&["blue"], &["a", "b"]);
    for node in ["a", "b"] {
        all.latencies(&node.into(), answer(&[(10.0, 50)]));
    }
    all.end();
    assert!(all.since(None).changed.latency.is_empty());
    all.begin(START + 5_000, 1_000);
    all.latencies(&"a".into(), answer(&[(10.0, 52), (20.0, 1)]));
    all.latencies(&"b".into(), answer(&[(10.0, 4)]));
    all.end();
    assert_eq!(all.since(None).changed.latency, [Latency(1, vec![(11_000, 6), (21_000, 1)])]);
    assert!(survey::latencies("no JSON").is_err());
}

#[test]
fn an_endpoint_says_at_how_many_envoys_it_is_out_and_goes_when_nobody_has_it() {
    let mut all = collection(&["blue"], &["a", "b"]);
    look(&mut all, &[("a", &[("blue", 0, 0)]), ("b", &[("blue", 0, 0)])]);
    assert_eq!(all.to_ask(), [port("blue")]);
    let both = [("10.0.0.1", false, 5), ("10.0.0.2", true, 5)];
    all.endpoints(&"a".into(), &clusters("blue", &both));
    all.endpoints(&"b".into(), &clusters("blue", &[("10.0.0.2", false, 7)]));
    all.end();
    let rows = all.since(None).changed.endpoints;
    let seen: Vec<_> = rows.iter().map(|r| (&*r.address, r.envoys, r.reasons.clone())).collect();
    assert_eq!(
        seen,
        [("10.0.0.1:8080", 1, vec![]), ("10.0.0.2:8080", 2, vec![(Reason::FailedOutlierCheck, 1)])]
    );
    assert!(all.since(None).endpoints_fresh);
    let before = all.at();
    all.begin(START + 2_000, 1_000);
    all.to_ask();
    for node in ["a", "b"] {
        all.endpoints(&node.into(), &clusters("blue", &[("10.0.0.2", false, 9)]));
    }
    all.end();
    let since = all.since(Some(before));
    assert_eq!(since.gone.endpoints, [(port("blue"), "10.0.0.1:8080".into())]);
    assert_eq!((since.changed.endpoints[0].requests, since.changed.endpoints.len()), (4 + 2, 1));
    // Nothing but the time differs.
    let before = all.at();
    all.begin(START + 3_000, 1_000);
    all.to_ask();
    for node in ["a", "b"] {
        all.endpoints(&node.into(), &clusters("blue", &[("10.0.0.2", false, 9)]));
    }
    all.end();
    assert!(all.since(Some(before)).changed.endpoints.is_empty());
}

#[test]
fn of_many_services_those_are_asked_about_first_that_something_is_wrong_with() {
    let names: Vec<String> = (0..500).map(|i| format!("s{i:03}")).collect();
    let services: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut all = collection(&services, &["a"]);
    let mut text = String::new();
    for name in &names {
        let healthy = if name == "s333" { 1 } else { 2 };
        writeln!(text, "cluster.demo_{name}_80.membership_total: 2").unwrap();
        writeln!(text, "cluster.demo_{name}_80.membership_healthy: {healthy}").unwrap();
    }
    let mut seen = BTreeSet::new();
    for round in 0..4 {
        all.numbers(&"a".into(), Numbers::read(&text), (1, 1));
        let asked = all.to_ask();
        assert!(asked.len() <= SERVICES && (round == 0 || asked.contains(&port("s333"))));
        seen.extend(asked);
        all.end();
        assert!(!all.since(None).endpoints_fresh);
        all.begin(START + round * 1_000, 1_000);
    }
    assert_eq!(seen.len(), 500, "all have had their turn");
}

#[test]
fn the_certificate_of_several_hosts_is_one_row() {
    let mut all = Collection::new(START, "0.1.0");
    all.begin(START, 1_000);
    let of = |name: &str, host: &str| {
        let certificate = Served {
            secret: ObjectName::new("demo", "wildcard"),
            names: vec!["*.example.com".into()],
            not_after_unix: 5,
            host: host.into(),
        };
        let watched = Watched { certificate: Some(certificate), ..watched(&[]) };
        (ObjectName::new("demo", name), Some(watched))
    };
    all.objects(vec![of("b", "b.example.com"), of("a", "a.example.com")]);
    let hosts = |all: &Collection| all.since(None).changed.certificates[0].hosts.clone();
    assert_eq!(hosts(&all), ["a.example.com".into(), "b.example.com".into()]);
    all.objects(vec![(ObjectName::new("demo", "b"), None)]);
    assert_eq!(hosts(&all), ["a.example.com".into()]);
}

/// What a client knows that puts increments together.
#[derive(Debug, Default, PartialEq)]
struct Client {
    at: Option<Cursor>,
    objects: BTreeMap<ObjectName, Object>,
    destinations: BTreeMap<u32, Destination>,
    traffic: BTreeMap<u32, Traffic>,
    services: BTreeMap<ServicePort, Service>,
    envoys: BTreeMap<Arc<str>, Envoy>,
}

impl Client {
    fn take(&mut self, increment: Increment) {
        if increment.whole {
            *self = Self::default();
        }
        self.at = Some(increment.at);
        let Increment { changed, gone, .. } = increment;
        self.objects.extend(changed.objects.into_iter().map(|row| (row.name.clone(), row)));
        self.destinations.extend(changed.destinations.into_iter().map(|row| (row.id, row)));
        self.traffic.extend(changed.traffic.into_iter().map(|row| (row.id, row)));
        self.services.extend(changed.services.into_iter().map(|row| (row.service.clone(), row)));
        self.envoys.extend(changed.envoys.into_iter().map(|row| (Arc::clone(&row.node), row)));
        gone.objects.iter().for_each(|name| drop(self.objects.remove(name)));
        for id in &gone.destinations {
            self.destinations.remove(id);
            self.traffic.remove(id);
        }
        gone.services.iter().for_each(|name| drop(self.services.remove(name)));
        gone.envoys.iter().for_each(|node| drop(self.envoys.remove(node)));
    }
}

/// Something that happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    /// An Envoy serves requests.
    Requests(usize, usize, u64),
    /// It starts anew.
    Restart(usize),
    /// It comes or goes.
    Toggle(usize),
    /// The object leads to these services, or is gone.
    Object(Vec<bool>),
    /// The slow client asks.
    Ask,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3, 0_usize..3, 1_u64..50).prop_map(|(e, s, n)| Step::Requests(e, s, n)),
        1 => (0_usize..3).prop_map(Step::Restart),
        1 => (0_usize..3).prop_map(Step::Toggle),
        1 => prop::collection::vec(any::<bool>(), 3).prop_map(Step::Object),
        2 => Just(Step::Ask),
    ]
}

proptest! {
    #[test]
    fn increments_from_anywhere_come_to_the_whole_and_sums_never_fall(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let (services, nodes) = (["blue", "green", "red"], ["a", "b", "c"]);
        let mut all = collection(&services, &nodes);
        let mut counts = [[0_u64; 3]; 3];
        let mut there = [true; 3];
        let (mut quick, mut slow) = (Client::default(), Client::default());
        for step in steps {
            let sums = |client: &Client| client.traffic.clone();
            let before = sums(&quick);
            match step {
                Step::Requests(envoy, service, n) => counts[envoy][service] += n,
                Step::Restart(envoy) => counts[envoy] = [0; 3],
                Step::Toggle(envoy) => there[envoy] = !there[envoy],
                Step::Object(to) => {
                    let to = services.iter().zip(to).filter(|(_, is)| *is);
                    let to: Vec<_> = to.map(|(service, _)| *service).collect();
                    let object = (!to.is_empty()).then(|| watched(&to));
                    all.objects(vec![(shop(), object)]);
                }
                Step::Ask => slow.take(all.since(slow.at)),
            }
            let connected = nodes.iter().zip(there).filter(|(_, is)| *is);
            all.connected(connected.map(|(node, _)| envoy(node)).collect());
            for (node, counts) in nodes.iter().zip(counts) {
                let used = services.iter().zip(counts).filter(|(_, n)| *n > 0);
                let used: Vec<_> = used.map(|(service, n)| (*service, n, 0)).collect();
                all.numbers(&Arc::from(*node), Numbers::read(&numbers(&used)), (1, 1));
            }
            all.end();
            quick.take(all.since(quick.at));
            for (id, row) in &quick.traffic {
                let old = before.get(id).map_or(0, |row| row.classes[1]);
                prop_assert!(row.classes[1] >= old, "{id}: {old} -> {row:?}");
            }
            all.begin(all.unix_millis + 1_000, 1_000);
        }
        all.end();
        let mut whole = Client::default();
        whole.take(all.since(None));
        slow.take(all.since(slow.at));
        quick.take(all.since(quick.at));
        prop_assert_eq!(&whole, &slow);
        prop_assert_eq!(&whole, &quick);
    }

    #[test]
    fn whoever_was_away_for_too_long_is_told_everything(ticks in 1_u64..400) {
        let mut all = collection(&["blue"], &["a"]);
        all.end();
        let at = all.at();
        for _ in 0..ticks {
            all.begin(START, 1_000);
            all.end();
        }
        prop_assert_eq!(all.since(Some(at)).whole, ticks > MEMORY);
        let other = Cursor { collection: at.collection + 1, ..at };
        prop_assert!(all.since(Some(other)).whole);
        let later = Cursor { tick: all.at().tick + 1, ..at };
        prop_assert!(all.since(Some(later)).whole);
    }
}
