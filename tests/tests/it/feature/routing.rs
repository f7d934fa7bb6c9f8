//! Hosts, prefixes, rewrites and weights.

use contour_core::diagnostic::Code;
use contour_core::name::Kind;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::load::Load;
use contour_tests::stage::{Stage, behind, ingress_route, until_backend, until_status};

/// Two backends, `blue` and `green`, behind Services of namespace `demo`.
async fn colours(stage: &Stage) -> (Backend, Backend) {
    let (blue, green) = (Backend::http("blue").await, Backend::http("green").await);
    stage.serve("demo", &[&blue, &green]).await;
    (blue, green)
}

fn shop(routes: &str) -> String {
    let routes = routes.replace('\n', "\n  ");
    ingress_route("demo/shop", &format!("virtualhost: {{fqdn: shop.test}}\nroutes:\n  {routes}"))
}

async fn who(target: &Target, host: &str, path: &str) -> String {
    let reply = target.get(host, path).await.unwrap();
    reply.backend().unwrap_or_else(|| reply.status.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_prefix_answers_whatever_the_order_in_the_object() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let routes = [
        "- {match: /, services: [{name: blue, port: 80}]}",
        "- {match: /a/b, services: [{name: blue, port: 80}]}",
        "- {match: /a, services: [{name: green, port: 80}]}",
    ];
    let target = stage.http().await;
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let routes: Vec<_> = order.iter().map(|i| routes[*i]).collect();
        stage.apply(&shop(&routes.join("\n"))).await.fine();
        until_backend(&target, &Ask::get("shop.test", "/a"), "green").await;
        for (path, backend) in [
            ("/", "blue"),
            ("/b", "blue"),
            ("/a", "green"),
            ("/a/", "green"),
            ("/a/x", "green"),
            ("/a?x=/a/b", "green"),
            ("/a/b", "blue"),
            ("/a/b/c", "blue"),
        ] {
            assert_eq!(who(&target, "shop.test", path).await, backend, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_found_in_capitals_with_a_port_and_by_http2() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let spec = "- {match: /, services: [{name: blue, port: 80}]}";
    stage.apply(&shop(spec)).await.fine();
    let plain = stage.http().await;
    until_backend(&plain, &Ask::get("shop.test", "/"), "blue").await;
    for target in [plain.clone(), plain.clone().http2()] {
        for host in ["shop.test", "SHOP.Test", "shop.test:8080", "Shop.TEST:80"] {
            assert_eq!(who(&target, host, "/").await, "blue", "{host} {target:?}");
        }
        for host in ["other.test", "shop.test.evil", "evil.shop.test"] {
            assert_eq!(who(&target, host, "/").await, "404", "{host} {target:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_choose_its_scope_by_a_header_and_no_upstream_sees_it() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let spec = "- {match: /, services: [{name: blue, port: 80}]}";
    stage.apply(&shop(spec)).await.fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    for value in ["shop.test", "http|shop.test", "ingress_http|shop.test", "*"] {
        let ask = Ask::get("other.test", "/").header("x-contour-scope", value);
        assert_eq!(target.ask(&ask).await.unwrap().status, 404, "{value}");
        let ask = Ask::get("shop.test", "/").header("x-contour-scope", value);
        let echo = target.ask(&ask).await.unwrap().echo();
        let headers = echo["headers"].as_object().unwrap();
        let ours = headers.keys().find(|name| name.contains("contour"));
        assert_eq!(ours, None, "{echo}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_rewritten_without_doubled_or_missing_slashes() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let target = stage.http().await;
    let cases = [
        ("/api", "/", ["/api > /", "/api/v1?q=1 > /v1?q=1", "/api/ > /"]),
        ("/api", "/v2", ["/api > /v2", "/api/x > /v2/x", "/api/ > /v2/"]),
        ("/api/", "/v2/", ["/api/ > /v2/", "/api/x > /v2/x", "/api/?q > /v2/?q"]),
        ("/api/", "/v2", ["/api/ > /v2/", "/api/x > /v2/x", "/api/?q > /v2/?q"]),
        ("/", "/new/", ["/ > /new/", "/x > /new/x", "/?q > /new/?q"]),
        ("/", "/new", ["/ > /new/", "/x > /new/x", "/?q > /new/?q"]),
    ];
    for (prefix, rewrite, expected) in cases {
        let route = format!(
            "- {{match: {prefix}, prefixRewrite: {rewrite}, services: [{{name: blue, port: 80}}]}}"
        );
        stage.apply(&shop(&route)).await.fine();
        for (path, seen) in expected.map(|pair| pair.split_once(" > ").unwrap()) {
            let ask = Ask::get("shop.test", path);
            contour_tests::stage::until(&target, &ask, |reply| {
                reply.backend().is_some() && reply.echo()["path"] == seen
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_out_the_traffic() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    for (blue, green) in [(90, 10), (50, 50), (0, 100), (1, 3), (1_000_000, 0)] {
        let route = format!(
            "- match: /\n  services:\n  - {{name: blue, port: 80, weight: {blue}}}\n  - {{name: green, port: 80, weight: {green}}}"
        );
        stage.apply(&shop(&route)).await.fine();
        until_status(&target, &ask, 200).await;
        let only = match (blue, green) {
            (0, _) => Some("green"),
            (_, 0) => Some("blue"),
            _ => None,
        };
        if let Some(only) = only {
            until_backend(&target, &ask, only).await;
        }
        // Envoy draws lots: 1.5 percentage points are four standard deviations.
        let tally = Load::send(&target, &ask, 4, 20_000).await;
        let share = tally.share("blue");
        let wanted = f64::from(blue) / f64::from(blue + green);
        assert_eq!(tally.failures(), 0, "{tally:?}");
        assert!((share - wanted).abs() < 0.015, "{share} of {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_are_all_zero_or_unset_share_evenly() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let target = stage.http().await;
    for weight in ["", ", weight: 0"] {
        let route = format!(
            "- match: /\n  services:\n  - {{name: blue, port: 80{weight}}}\n  - {{name: green, port: 80{weight}}}"
        );
        stage.apply(&shop(&route)).await.fine();
        let ask = Ask::get("shop.test", "/");
        until_status(&target, &ask, 200).await;
        let tally = Load::send(&target, &ask, 4, 2_000).await;
        assert!((tally.share("blue") - 0.5).abs() < 0.05, "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_one_service_share_its_traffic_and_follow_their_slices() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("one").await, Backend::http("two").await);
    stage.put(&behind("demo", "app", &[&one, &two])).await;
    let spec = "- {match: /, services: [{name: app, port: 80}]}";
    stage.apply(&shop(spec)).await.fine();
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    until_backend(&target, &ask, "one").await;
    until_backend(&target, &ask, "two").await;
    stage.delete(Kind::EndpointSlice, "demo", "app-0").await;
    contour_tests::envoy::eventually("one is left alone", async || {
        let tally = Load::send(&target, &ask, 2, 50).await;
        assert_eq!(tally.failures(), 0, "{tally:?}");
        (tally.backends.get("two") == Some(&50)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service_answers_503_and_its_siblings_serve() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let routes = "- {match: /, services: [{name: blue, port: 80}]}\n\
                  - {match: /gone, services: [{name: gone, port: 80}]}\n\
                  - {match: /port, services: [{name: blue, port: 81}]}";
    let told = stage.apply(&shop(routes)).await;
    let missing = told.expect(Code::ServiceNotFound, "demo/shop");
    assert_eq!(missing.field.as_str(), ".spec.routes[1].services[0].name");
    told.expect(Code::ServicePortNotFound, "demo/shop");

    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    assert_eq!(who(&target, "shop.test", "/gone").await, "503");
    assert_eq!(who(&target, "shop.test", "/port").await, "503");

    let gone = Backend::http("gone").await;
    stage.put(&behind("demo", "gone", &[&gone])).await;
    until_backend(&target, &Ask::get("shop.test", "/gone"), "gone").await;
    stage.delete(Kind::Service, "demo", "gone").await;
    until_status(&target, &Ask::get("shop.test", "/gone"), 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_endpoints_answers_503() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let empty = contour_tests::objects::service("demo", "empty", 80);
    stage.put(&[contour_core::api::Object::Service(empty)]).await;
    let routes = "- {match: /, services: [{name: blue, port: 80}]}\n\
                  - {match: /empty, services: [{name: empty, port: 80}]}";
    stage.apply(&shop(routes)).await.expect(Code::NoEndpoints, "demo/empty");
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    assert_eq!(who(&target, "shop.test", "/empty").await, "503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_route_is_gone_and_its_neighbours_stay() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let spec = "- {match: /, services: [{name: blue, port: 80}]}";
    stage.apply(&shop(spec)).await.fine();
    let other = ingress_route(
        "demo/other",
        "virtualhost: {fqdn: other.test}\nroutes:\n- {match: /, services: [{name: green, port: 80}]}",
    );
    stage.apply(&other).await.fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    until_backend(&target, &Ask::get("other.test", "/"), "green").await;
    stage.delete(Kind::IngressRoute, "demo", "shop").await;
    until_status(&target, &Ask::get("shop.test", "/"), 404).await;
    assert_eq!(who(&target, "other.test", "/").await, "green");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_matched_as_the_backend_will_read_them() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let routes = "- {match: /, services: [{name: blue, port: 80}]}\n\
                  - {match: /admin, services: [{name: green, port: 80}]}";
    stage.apply(&shop(routes)).await.fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/admin"), "green").await;
    for path in ["/x/../admin", "//admin", "/x/%2e%2e/admin", "/./admin"] {
        assert_eq!(who(&target, "shop.test", path).await, "green", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_reaches_the_backend_as_http1_unless_it_speaks_it() {
    let stage = Stage::new().await;
    let _colours = colours(&stage).await;
    let spec = "- {match: /, services: [{name: blue, port: 80}]}";
    stage.apply(&shop(spec)).await.fine();
    let target = stage.http().await.http2();
    let reply = until_backend(&target, &Ask::get("shop.test", "/"), "blue").await;
    assert_eq!(reply.echo()["protocol"], "HTTP/1.1");
    assert_eq!(reply.echo()["headers"]["host"][0], "shop.test");
}
