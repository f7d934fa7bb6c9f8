use serde_json::json;

use super::*;
use crate::lower::{Fragment, lower};
use crate::manifest;
use crate::observe::weights;
use crate::options::Options;

fn lowered(spec: &str) -> IngressRoute {
    let text = format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{name: shop.v2, namespace: demo}}\nspec:\n{spec}"
    );
    let mut documents = manifest::read("a.yaml", &text, manifest::Limits::default()).documents;
    let object = documents.pop().and_then(|d| d.object).expect("an object");
    let (fragment, _) = lower(&object, &Options::default()).expect("of our class");
    let Fragment::IngressRoute(route) = fragment else { panic!("{fragment:?}") };
    route
}

const SHOP: &str = "
  virtualhost: {fqdn: shop.test, tls: {passthrough: true}}
  routes:
  - {match: /, services: [{name: blue, port: 80, weight: 0}, {name: green, port: 80}]}
  - {match: /cart, services: [{name: green, port: 80}]}
  - {match: /team, delegate: {name: team}}
  tcpproxy: {services: [{name: red, port: 443, weight: 5}]}";

#[test]
fn weights_are_told_as_they_are_written() {
    let told: Vec<_> = weights(&lowered(SHOP)).iter().map(|w| json!(w).to_string()).collect();
    assert_eq!(
        told,
        [
            r#"{"p":{"r":"/"},"w":[[["blue",80],0],[["green",80],null]]}"#,
            r#"{"p":{"r":"/cart"},"w":[[["green",80],null]]}"#,
            r#"{"p":"tcp","w":[[["red",443],5]]}"#,
        ]
    );
}

#[test]
fn weights_of_a_place_are_not_told_if_a_service_of_it_is_unsound() {
    for service in [
        "{name: blue, port: 0}",
        "{name: blue, port: 80, weight: -1}",
        "{name: green, port: 80, weight: 2}",
    ] {
        let spec = format!(
            "
  virtualhost: {{fqdn: shop.test}}
  routes:
  - {{match: /, services: [{{name: green, port: 80}}, {service}]}}
  - {{match: /cart, services: [{{name: green, port: 80}}]}}"
        );
        let places: Vec<_> =
            weights(&lowered(&spec)).iter().map(|w| w.place().to_string()).collect();
        assert_eq!(places, ["route /cart"], "{service}");
    }
}

#[test]
fn a_question_is_for_the_object_and_its_services_alone() {
    let query = Subject::of(&lowered(SHOP)).query();
    let (path, filter) = query.split_once("&filter=").expect("a filter");
    assert_eq!(path, "/stats?format=json&histogram_buckets=detailed");
    let filter = decoded(filter);
    let regex = regex_lite::Regex::new(&filter).expect("a regular expression");
    for (name, is_asked_for) in [
        ("vhost.shop_test.route.demo/shop%2Ev2:/cart@green:80.upstream_rq_2xx", true),
        ("vhost.shop_test.route.demo/shop%2Ev2:/cart@green:80.upstream_rq_time", true),
        ("vhost.shop_test.route.demo/shop%2Ev2:/cart@green:80.upstream_rq_200", false),
        ("vhost.shop_test.route.demo/shop%2Ev2:/cart@green:80.upstream_rq_retry_success", false),
        ("vhost.shop_test.route.demo/shop:/cart@green:80.upstream_rq_2xx", false),
        ("cluster.demo_green_80.membership_healthy", true),
        ("cluster.demo_red_443.outlier_detection.ejections_active", true),
        ("cluster.demo_red_80.membership_healthy", false),
        ("cluster.demo_green_80.membership_change", false),
    ] {
        assert_eq!(regex.is_match(name), is_asked_for, "{name} {filter}");
    }
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        out.push(char::from(u8::from_str_radix(code, 16).expect("two digits")));
        out.push_str(rest);
    }
    out
}

#[test]
fn a_question_has_a_length_that_a_server_takes_however_many_services_there_are() {
    let services: Vec<_> = (0..60).map(|n| format!("{{name: s{n}, port: 80}}")).collect();
    let route = |n| {
        let services = services.join(", ").replace("name: s", &format!("name: s{n}-"));
        format!("  - {{match: /{n}, services: [{services}]}}\n")
    };
    // As many as one object may have.
    let routes: String = (0..33).map(route).collect();
    let subject = Subject::of(&lowered(&format!(
        "\n  virtualhost: {{fqdn: shop.test}}\n  routes:\n{routes}"
    )));
    assert_eq!(subject.services.len(), 1_980);
    let query = subject.query();
    assert!(query.len() < 60 << 10, "{}", query.len());
    let filter = query.split_once("&filter=").map(|(_, filter)| decoded(filter));
    let regex = regex_lite::Regex::new(&filter.expect("a filter")).expect("an expression");
    assert!(regex.is_match("cluster.demo_s32-59_80.membership_total"));
}

#[test]
fn an_answer_is_read_by_route_and_service_and_what_is_not_there_is_zero() {
    let subject = Subject::of(&lowered(SHOP));
    let name = |host: &str, what: &str| {
        format!("vhost.{host}.route.demo/shop%2Ev2:/@green:80.upstream_rq_{what}")
    };
    let answer = json!({"stats": [
        {"name": name("shop_test", "2xx"), "value": 7},
        {"name": name("shop_test", "5xx"), "value": 2},
        {"name": name("shop_test", "retry"), "value": 3},
        {"name": name("other_test", "2xx"), "value": 1},
        {"name": "vhost.shop_test.route.demo/shop%2Ev2:/gone@green:80.upstream_rq_2xx", "value": 9},
        {"name": "cluster.demo_green_80.membership_total", "value": 3},
        {"name": "cluster.demo_green_80.membership_healthy", "value": 2},
        {"name": "cluster.demo_green_80.outlier_detection.ejections_active", "value": 1},
        {"name": "cluster.demo_green_80.upstream_rq_active", "value": 5},
        {"histograms": {"supported_percentiles": [50], "details": [
            {"name": name("shop_test", "time"), "percentiles": [],
             "intervals": [{"lower_bound": 900, "width": 10, "count": 1}],
             "totals": [
                {"lower_bound": 0, "width": 0, "count": 4},
                {"lower_bound": 1.0, "width": 0.1, "count": 1},
                {"lower_bound": 9.0, "width": 0.099_999_999_999_999_6, "count": 1},
                {"lower_bound": 10.0, "width": 1, "count": 1},
                {"lower_bound": 120, "width": 10, "count": 2},
             ]},
            {"name": name("other_test", "time"),
             "totals": [{"lower_bound": 0, "width": 0, "count": 1}]},
        ]}},
    ]});
    let envoy = subject.read("one".into(), &answer.to_string()).expect("statistics");
    let [root, blue, cart] = [("/", "green"), ("/", "blue"), ("/cart", "green")].map(|(at, to)| {
        let found = envoy.routes.iter().find(|traffic| {
            traffic.place == Place::Route(at.into()) && &*traffic.service.name == to
        });
        found.expect("it is told")
    });
    assert_eq!((root.classes, root.retries), ([0, 8, 0, 0, 2], 3));
    assert_eq!(root.latency, [(1_000, 5), (2_000, 1), (10_000, 1), (11_000, 1), (130_000, 2)]);
    for quiet in [blue, cart] {
        assert_eq!((quiet.classes, quiet.retries), ([0; 5], 0));
        assert!(quiet.latency.is_empty());
    }
    // The TCP proxy is no route, but its service is one.
    assert_eq!(envoy.routes.len(), 3);
    let [blue, green, red] = envoy.services.as_slice() else { panic!("{:?}", envoy.services) };
    assert_eq!((green.members, green.healthy), (Some(3), Some(2)));
    assert_eq!((green.ejected, green.active), (1, 5));
    for unknown in [blue, red] {
        assert_eq!((unknown.members, unknown.healthy), (None, None));
    }
    assert!(subject.read("one".into(), "<html>").is_err());
}
