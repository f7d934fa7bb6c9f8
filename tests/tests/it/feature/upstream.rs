//! How Envoy speaks to backends.

use contour_core::diagnostic::Code;
use contour_tests::backend::Backend;
use contour_tests::certificates::{Authority, authority};
use contour_tests::client::Ask;
use contour_tests::stage::{Stage, ingress_route, speaking, until, until_backend, until_status};

fn route(service: &str) -> String {
    ingress_route(
        "demo/shop",
        &format!(
            "virtualhost: {{fqdn: shop.test}}\nroutes:\n- match: /\n  services:\n  - {service}"
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_of_a_backend_is_told_by_annotation_or_app_protocol() {
    let stage = Stage::new().await;
    let pair = authority().leaf(&["app.test"]);
    let plain = Backend::http("plain").await;
    let tls = Backend::tls("tls", &pair).await;
    stage.apply(&route("{name: app, port: 80}")).await;
    let target = stage.http().await;
    for (backend, annotation, app_protocol, protocol) in [
        (&plain, None, None, "HTTP/1.1"),
        (&plain, Some("h2c"), None, "HTTP/2.0"),
        (&plain, None, Some("kubernetes.io/h2c"), "HTTP/2.0"),
        (&plain, None, Some("http"), "HTTP/1.1"),
        (&tls, Some("h2"), None, "HTTP/2.0"),
        (&tls, Some("tls"), None, "HTTP/1.1"),
        (&tls, None, Some("https"), "HTTP/1.1"),
    ] {
        let objects = speaking("demo", "app", backend, annotation, app_protocol);
        stage.put(&objects).await;
        until(&target, &Ask::get("shop.test", "/"), |reply| {
            reply.backend().as_deref() == Some(&backend.name)
                && reply.echo()["protocol"] == protocol
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_certificate_is_verified_by_authority_and_name() {
    let stage = Stage::new().await;
    let pair = authority().leaf(&["app.test"]);
    let tls = Backend::tls("tls", &pair).await;
    stage.put(&speaking("demo", "app", &tls, Some("tls"), None)).await;
    stage.put(&[authority().secret("demo", "ca")]).await;
    let stranger = Authority::new("stranger").secret("demo", "stranger");
    stage.put(&[stranger]).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    for (ca, name, works) in [
        ("ca", "app.test", true),
        ("ca", "other.test", false),
        ("ca", "app.test", true),
        ("stranger", "app.test", false),
    ] {
        let validation = format!("validation: {{caSecret: {ca}, subjectName: {name}}}");
        let route = route(&format!("{{name: app, port: 80, {validation}}}"));
        stage.apply(&route).await.fine();
        if works {
            until_backend(&target, &ask, "tls").await;
        } else {
            until_status(&target, &ask, 503).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_that_cannot_be_done_fails_closed_and_is_told() {
    let stage = Stage::new().await;
    let pair = authority().leaf(&["app.test"]);
    let tls = Backend::tls("tls", &pair).await;
    stage.put(&speaking("demo", "app", &tls, Some("tls"), None)).await;
    stage.put(&[pair.secret("demo", "leaf")]).await;
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    for (validation, code) in [
        ("{caSecret: missing, subjectName: app.test}", Code::CaSecretInvalid),
        ("{caSecret: leaf, subjectName: app.test}", Code::CaSecretInvalid),
        ("{caSecret: leaf, subjectName: \"\"}", Code::SubjectNameMissing),
    ] {
        stage.apply(&route("{name: app, port: 80}")).await;
        until_backend(&target, &ask, "tls").await;
        let service = format!("{{name: app, port: 80, validation: {validation}}}");
        stage.apply(&route(&service)).await.expect(code, "demo/shop");
        until_status(&target, &ask, 503).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_used_as_soon_as_it_comes() {
    let stage = Stage::new().await;
    let pair = authority().leaf(&["app.test"]);
    let tls = Backend::tls("tls", &pair).await;
    stage.put(&speaking("demo", "app", &tls, Some("tls"), None)).await;
    let validation = "validation: {caSecret: ca, subjectName: app.test}";
    let route = route(&format!("{{name: app, port: 80, {validation}}}"));
    let told = stage.apply(&route).await;
    told.expect(Code::CaSecretInvalid, "demo/shop");
    let target = stage.http().await;
    let ask = Ask::get("shop.test", "/");
    until_status(&target, &ask, 503).await;
    stage.put(&[authority().secret("demo", "ca")]).await;
    until_backend(&target, &ask, "tls").await;
}
