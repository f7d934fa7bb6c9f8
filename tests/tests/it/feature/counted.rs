//! What Envoy counts by route and service.

use contour_core::name::{Fqdn, ObjectName};
use contour_core::xds::stats;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::load::{Load, Tally};
use contour_tests::stage::{Stage, ingress_route, until_backend, until_status};

/// What the Envoy of a stage has counted on a route of `demo/shop` to a service.
async fn counted(stage: &Stage, prefix: &str, service: &str, what: &str) -> u64 {
    let fqdn = Fqdn::parse("shop.test").unwrap();
    let route = stats::route(&format!("demo/shop:{prefix}"), &ObjectName::new("demo", service), 80);
    let name = format!("vhost.{}.route.{route}.{what}", stats::host(&fqdn));
    stage.envoy.stat(&name).await.unwrap_or_default()
}

/// The answers of class 2xx by service, as Envoy counts them.
async fn answered<const N: usize>(stage: &Stage, prefix: &str, services: [&str; N]) -> [u64; N] {
    let mut counts = [0; N];
    for (count, service) in counts.iter_mut().zip(services) {
        *count = counted(stage, prefix, service, "upstream_rq_2xx").await;
    }
    counts
}

fn by_backend<const N: usize>(tally: &Tally, backends: [&str; N]) -> [u64; N] {
    backends.map(|backend| tally.backends.get(backend).copied().unwrap_or_default())
}

fn difference<const N: usize>(now: [u64; N], before: [u64; N]) -> [u64; N] {
    std::array::from_fn(|index| now[index] - before[index])
}

/// A match, services by weight, and what else is said of the route.
type Line<'a> = (&'a str, &'a [(&'a str, u32)], &'a str);

fn shop(routes: &[Line<'_>]) -> String {
    let route = |(prefix, services, more): &Line<'_>| {
        let service =
            |(name, weight): &(&str, u32)| format!("{{name: {name}, port: 80, weight: {weight}}}");
        let services: Vec<_> = services.iter().map(service).collect();
        format!("- match: {prefix}\n  services: [{}]\n  {more}", services.join(", "))
    };
    let routes: Vec<_> = routes.iter().map(route).collect();
    let spec = format!("virtualhost: {{fqdn: shop.test}}\nroutes:\n{}", routes.join("\n"));
    ingress_route("demo/shop", &spec)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_divided_by_weight_and_counted_by_route_and_service() {
    let stage = Stage::new().await;
    let names = ["blue", "green", "red"];
    let [blue, green, red] = names.map(Backend::http);
    let (blue, green, red) = (blue.await, green.await, red.await);
    stage.serve("demo", &[&blue, &green, &red]).await;
    stage
        .apply(&shop(&[
            ("/", &[("blue", 20), ("green", 30), ("red", 50)], ""),
            ("/cart", &[("blue", 0), ("green", 9), ("red", 1)], ""),
            ("/a.b@c", &[("blue", 1)], ""),
        ]))
        .await
        .fine();
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "red").await;

    let before = answered(&stage, "/", names).await;
    let root = Load::send(&target, &Ask::get("shop.test", "/"), 4, 3_000).await;
    let cart = Load::send(&target, &Ask::get("shop.test", "/cart"), 4, 1_000).await;
    let odd = Load::send(&target, &Ask::get("shop.test", "/a.b@c"), 1, 7).await;
    assert_eq!((root.failures(), cart.failures(), odd.failures()), (0, 0, 0), "{root:?} {cart:?}");
    for (tally, backend, share) in
        [(&root, "blue", 0.2), (&root, "green", 0.3), (&root, "red", 0.5), (&cart, "green", 0.9)]
    {
        // Five standard deviations of 1,000 draws.
        assert!((tally.share(backend) - share).abs() < 0.05, "{backend} {share} {tally:?}");
    }
    assert_eq!(cart.backends.get("blue"), None);

    let now = answered(&stage, "/", names).await;
    assert_eq!(difference(now, before), by_backend(&root, names));
    assert_eq!(answered(&stage, "/cart", names).await, by_backend(&cart, names));
    // Names of stats stand in a query, so what is encoded in them is encoded once more.
    let name = "vhost.shop_test.route.demo/shop:/a%252Eb%2540c@blue:80.upstream_rq_2xx";
    let path = format!("/stats?format=json&filter=^{name}$");
    let stats = stage.envoy.admin_json(&path).await.unwrap();
    assert_eq!(stats["stats"][0]["value"], 7, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_survive_a_service_that_loses_its_whole_weight_and_gets_it_back() {
    let stage = Stage::new().await;
    let names = ["blue", "green"];
    let [blue, green] = names.map(Backend::http);
    let (blue, green) = (blue.await, green.await);
    stage.serve("demo", &[&blue, &green]).await;
    let weights = |blue: u32| shop(&[("/", &[("blue", blue), ("green", 100 - blue)], "")]);
    stage.apply(&weights(50)).await.fine();
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    until_backend(&target, &ask, "blue").await;
    let before = answered(&stage, "/", names).await;

    let load = Load::start(&target, &ask, 4);
    let mut last = before;
    for weight in [50, 0, 50, 100, 0, 100, 50] {
        stage.apply(&weights(weight)).await;
        load.more(100).await;
        let now = answered(&stage, "/", names).await;
        assert!(now[0] >= last[0] && now[1] >= last[1], "{now:?} after {last:?} at {weight}");
        last = now;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
    assert!(tally.share("blue") > 0.1 && tally.share("green") > 0.1, "{tally:?}");
    let now = answered(&stage, "/", names).await;
    assert_eq!(difference(now, before), by_backend(&tally, names));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_counted_once_and_its_retries_apart_at_the_same_service() {
    let stage = Stage::new().await;
    let [blue, green] = ["blue", "green"].map(Backend::http);
    let (blue, green) = (blue.await, green.await);
    stage.serve("demo", &[&blue, &green]).await;
    let services = &[("blue", 1), ("green", 0)][..];
    // Both entries of a rewritten prefix count as one.
    let more = "prefixRewrite: /v2/\n  retryPolicy: {count: 2}";
    stage.apply(&shop(&[("/api", services, more)])).await.fine();
    let target = stage.http().await;
    until_status(&target, &Ask::get("shop.test", "/api"), 200).await;
    let count = async |what: &str| counted(&stage, "/api", "blue", what).await;
    let before = [count("upstream_rq_2xx").await, count("upstream_rq_5xx").await];

    for (path, sees) in [("/api", "/v2/"), ("/api/x", "/v2/x")] {
        let reply = target.ask(&Ask::get("shop.test", path)).await.unwrap();
        assert_eq!(reply.echo()["path"], sees);
    }
    blue.fail_next(1, 503);
    assert_eq!(target.get("shop.test", "/api/x").await.unwrap().status, 200);
    blue.fail_next(3, 503);
    assert_eq!(target.get("shop.test", "/api").await.unwrap().status, 503);

    let now = [count("upstream_rq_2xx").await, count("upstream_rq_5xx").await];
    assert_eq!(difference(now, before), [3, 1]);
    assert_eq!(count("upstream_rq_retry").await, 3);
    assert_eq!(green.requests(), 0);
}
