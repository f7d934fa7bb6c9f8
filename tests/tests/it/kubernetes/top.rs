//! What `top` and `tap` show of an installation, by a real API server, and what they make of too few
//! rights.

use std::time::{Duration, Instant};

use contour_tests::envoy::eventually;
use contour_tests::kubernetes::kubelet::run_pod;
use contour_tests::kubernetes::stage::{NAMESPACE, shop};
use serde_json::{Value, json};

use super::inspection::{ENVOY, Installed, plugin};

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_forward_ports_sees_routes_without_traffic() {
    let Some(installed) = Installed::start().await else { return };
    let _envoy = installed.stage.envoy(ENVOY).await;
    installed.admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let viewer = installed.server.kubeconfig("viewer");
    let said = plugin(&viewer, &["tap", "-c", "1"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert!(said.err.contains("cannot list the Pods of Envoys"), "{}", said.err);

    let begun = Instant::now();
    let said = plugin(&viewer, &["top", "-o", "json"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert!(said.err.contains("you may not list pods in projectcontour"), "{}", said.err);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let routes = json!({
        "apiGroups": ["contour.heptio.com"], "resources": ["ingressroutes"], "verbs": ["list"],
    });
    installed.grant(routes).await;
    let said = eventually("the role counts", async || {
        let begun = Instant::now();
        let said = plugin(&viewer, &["top", "-o", "json"]).await;
        (said.code == 0).then(|| (said, begun.elapsed()))
    })
    .await;
    let (said, took) = said;
    assert!(took < Duration::from_secs(10), "nobody is waited for: {took:?}");
    let frame = said.json();
    assert_eq!(frame["routes"][0]["state"], "valid", "{frame:#}");
    assert_eq!(frame["upstreams"][0]["healthy"], Value::Null, "{frame:#}");
    assert!(said.err.contains("verb list on services and endpointslices"), "{}", said.err);

    let read = json!({
        "apiGroups": ["", "contour.heptio.com", "discovery.k8s.io"],
        "resources": ["pods", "services", "ingressroutes", "endpointslices"],
        "verbs": ["list"],
    });
    installed.grant(read).await;
    let said = eventually("the role counts", async || {
        let said = plugin(&viewer, &["top", "-o", "json"]).await;
        (said.code == 0).then_some(said)
    })
    .await;
    let frame = said.json();
    let route = &frame["routes"][0];
    assert_eq!(route["object"], "demo/shop", "{frame:#}");
    assert_eq!((&route["hosts"][0], &route["state"]), (&json!("shop.test"), &json!("valid")));
    assert_eq!(route["requestsPerSecond"], Value::Null);
    let upstream = &frame["upstreams"][0];
    assert_eq!(upstream["service"], "demo/blue:80", "{frame:#}");
    assert_eq!((&upstream["healthy"], &upstream["members"]), (&json!(1), &json!(1)));
    let address = frame["endpoints"][0]["address"].as_str().unwrap();
    assert!(address.ends_with(":9"), "{address}");
    let coverage = &frame["coverage"];
    let why = coverage["sources"][0]["why"].as_str().unwrap();
    assert!(why.contains("verb create (and get) on pods/portforward"), "{why}");
    let limits = texts(&coverage["limits"]);
    for expected in ["no controller is heard", "it takes the verb list on events"] {
        assert!(limits.iter().any(|limit| limit.contains(expected)), "{limits:?}");
        assert_eq!(said.err.matches(expected).count(), 1, "{}", said.err);
    }

    let said = plugin(&viewer, &["tap", "-c", "1"]).await;
    assert_eq!(said.code, 9, "{}{}", said.out, said.err);
    assert!(said.err.contains("it takes the verb get on pods/log"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_followed_through_the_api_server_and_one_that_is_not_heard_is_named() {
    let Some(installed) = Installed::start().await else { return };
    let _envoy = installed.stage.envoy(ENVOY).await;
    installed.admin.apply_value(&shop("demo", "shop", "shop.test", &[("blue", 1)])).await.unwrap();
    let frame = eventually("the route is served", async || {
        let said = installed.run(&["top", "-o", "json"]).await;
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let frame = said.json();
        let told = frame["routes"][0]["requestsPerSecond"].is_number() && said.err.is_empty();
        told.then_some(frame)
    })
    .await;
    assert_eq!(frame["routes"][0]["object"], "demo/shop", "{frame:#}");
    assert_eq!(
        (&frame["envoys"][0]["node"], &frame["envoys"][0]["source"]),
        (&json!(ENVOY), &json!("contour-1"))
    );
    let coverage = &frame["coverage"];
    assert_eq!(
        (&coverage["envoys"], &coverage["answered"]),
        (&json!(1), &json!(1)),
        "{coverage:#}"
    );
    assert_eq!(coverage["limits"], json!([]));

    let image = "localhost/contour:test";
    run_pod(&installed.admin, NAMESPACE, "contour", "contour-2", image).await;
    let said = installed.run(&["top", "-o", "json"]).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let frame = said.json();
    let source = |name: &str| {
        let sources = frame["coverage"]["sources"].as_array().unwrap();
        sources.iter().find(|source| source["name"] == name).cloned().unwrap()
    };
    assert_eq!(source("contour-1")["state"], "fresh");
    let lost = source("contour-2");
    assert!(lost["why"].as_str().unwrap().contains("nobody listens on port 6060"), "{lost}");
    assert!(frame["routes"][0]["requestsPerSecond"].is_number(), "{frame:#}");
    assert!(said.err.contains("contour-2 is not heard"), "{}", said.err);
}
