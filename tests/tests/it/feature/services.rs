//! Services and their endpoints: ports by name, conditions, limits.

use std::time::Duration;

use contour_core::diagnostic::Code;
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::eventually;
use contour_tests::load::Load;
use contour_tests::stage::{Stage, ingress_route, until_backend, until_status};

fn shop(services: &str) -> String {
    ingress_route("demo/shop", &format!("virtualhost: {{fqdn: shop.test}}\nroutes:\n{services}"))
}

/// A slice of Service `app`; `ports` is a list of YAML.
fn slice(name: &str, endpoints: &str, ports: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, namespace: demo, labels: {{kubernetes.io/service-name: app}}}}\n\
         addressType: IPv4\nendpoints: {endpoints}\nports: {ports}\n"
    )
}

fn service(ports: &str, annotations: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\n\
         metadata: {{name: app, namespace: demo, annotations: {{{annotations}}}}}\n\
         spec: {{ports: {ports}}}\n"
    )
}

const LOCAL: &str = "[{addresses: [127.0.0.1]}]";

#[tokio::test(flavor = "multi_thread")]
async fn each_port_of_a_service_leads_to_the_port_of_its_name() {
    let stage = Stage::new().await;
    let (web, api) = (Backend::http("web").await, Backend::http("api").await);
    let ports =
        "[{name: web, port: 80}, {name: api, port: 8080}, {name: dns, port: 53, protocol: UDP}]";
    stage.apply(&service(ports, "")).await.fine();
    let ports = format!(
        "[{{name: api, port: {}}}, {{name: web, port: {}}}]",
        api.address.port(),
        web.address.port()
    );
    stage.apply(&slice("app", LOCAL, &ports)).await.fine();
    let told = stage
        .apply(&shop(
            "- {match: /, services: [{name: app, port: 80}]}\n\
             - {match: /api, services: [{name: app, port: 8080}]}\n\
             - {match: /dns, services: [{name: app, port: 53}]}",
        ))
        .await;
    told.expect(Code::ServiceProtocolUnsupported, "demo/shop");
    let target = stage.http().await;
    until_backend(&target, &Ask::get("shop.test", "/"), "web").await;
    until_backend(&target, &Ask::get("shop.test", "/api"), "api").await;
    until_status(&target, &Ask::get("shop.test", "/dns"), 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_not_ready_get_nothing_until_there_are_no_others() {
    let stage = Stage::new().await;
    let (one, two) = (Backend::http("one").await, Backend::http("two").await);
    stage.apply(&service("[{port: 80}]", "")).await.fine();
    stage.apply(&shop("- {match: /, services: [{name: app, port: 80}]}")).await;
    let port = |backend: &Backend| format!("[{{name: \"\", port: {}}}]", backend.address.port());
    let with =
        |conditions: &str| format!("[{{addresses: [127.0.0.1], conditions: {{{conditions}}}}}]");
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    let leaving = "ready: false, serving: true, terminating: true";
    for (first, second, answers) in [
        ("ready: true", "ready: true", &["one", "two"][..]),
        ("ready: false", "ready: true", &["two"]),
        (leaving, "ready: true", &["two"]),
        (leaving, "ready: false, serving: false, terminating: true", &["one"]),
        (leaving, leaving, &["one", "two"]),
    ] {
        let text = [
            slice("first", &with(first), &port(&one)),
            slice("second", &with(second), &port(&two)),
        ];
        stage.apply(&text.concat()).await;
        eventually(&format!("{answers:?} answer"), async || {
            let tally = Load::send(&target, &ask, 2, 40).await;
            let who: Vec<_> = tally.backends.keys().map(String::as_str).collect();
            (tally.failures() == 0 && who == answers).then_some(())
        })
        .await;
    }
    let none = [slice("first", "[]", &port(&one)), slice("second", "null", "null")];
    stage.apply(&none.concat()).await;
    until_status(&target, &ask, 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_service_are_kept_to() {
    let stage = Stage::new().await;
    let slow = Backend::http("slow").await;
    slow.delay(Duration::from_millis(300));
    let ports = format!("[{{name: \"\", port: {}}}]", slow.address.port());
    stage.apply(&slice("app", LOCAL, &ports)).await;
    stage.apply(&shop("- {match: /, services: [{name: app, port: 80}]}")).await;
    let (target, ask) = (stage.http().await, Ask::get("shop.test", "/"));
    for group in ["contour.heptio.com", "projectcontour.io"] {
        stage.apply(&service("[{port: 80}]", "")).await;
        eventually("nothing is refused without a limit", async || {
            let tally = Load::send(&target, &ask, 6, 6).await;
            (tally.failures() == 0).then_some(())
        })
        .await;
        let limits = ["max-requests", "max-connections", "max-pending-requests"]
            .map(|limit| format!("{group}/{limit}: \"1\""));
        stage.apply(&service("[{port: 80}]", &limits.join(", "))).await.fine();
        eventually("what is too much is refused", async || {
            let tally = Load::send(&target, &ask, 6, 6).await;
            (tally.statuses.get(&503) > Some(&0) && tally.statuses.get(&200) > Some(&0))
                .then_some(())
        })
        .await;
    }
    let told = stage.apply(&service("[{port: 80}]", "contour.heptio.com/max-requests: many")).await;
    told.expect(Code::CircuitBreakerInvalid, "demo/app");
}
