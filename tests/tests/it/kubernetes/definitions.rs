//! The CustomResourceDefinitions in a real API server.

use contour_tests::kubernetes::{ApiServer, CRDS, documents, refusal};
use serde_json::json;

const VALID: &str = "
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: shop, namespace: valid}
spec:
  virtualhost: {fqdn: shop.test}
  routes:
  - match: /
    services: [{name: blue, port: 80, weight: 90}, {name: green, port: 80, weight: 10}]
";

#[tokio::test(flavor = "multi_thread")]
async fn they_are_accepted_and_established() {
    let Some(server) = ApiServer::shared().await else { return };
    let admin = server.admin();
    for (_, name, collection) in CRDS {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let there = admin.get(&path).await.unwrap();
        let conditions = there["status"]["conditions"].as_array().unwrap();
        let is = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
        assert!(is("Established") && is("NamesAccepted"), "{conditions:?}");
        assert!(!is("NonStructuralSchema"), "{conditions:?}");
        assert!(admin.get(collection).await.unwrap()["items"].is_array());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_object_is_stored_as_it_was_written() {
    let Some(server) = ApiServer::shared().await else { return };
    let admin = server.admin();
    admin.namespace("valid").await;
    let written = documents(VALID).remove(0);
    let stored = admin.create_all(VALID).await.unwrap().remove(0);
    assert_eq!(stored["spec"], written["spec"]);
    let path = admin.path(&written).await.unwrap();
    assert_eq!(path, "/apis/contour.heptio.com/v1beta1/namespaces/valid/ingressroutes/shop");

    let weights = json!({"spec": {"routes": [
        {"match": "/", "services": [{"name": "blue", "port": 80, "weight": 1}]},
    ]}});
    admin.merge(&path, &weights).await.unwrap();
    let changed = admin.get(&path).await.unwrap();
    assert_eq!(changed["spec"]["routes"], weights["spec"]["routes"]);
    assert_eq!(changed["spec"]["virtualhost"], written["spec"]["virtualhost"]);

    admin.delete(&path).await.unwrap();
    let gone = admin.get(&path).await.unwrap_err();
    assert_eq!(refusal(&gone).unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_object_is_refused_with_the_field() {
    let Some(server) = ApiServer::shared().await else { return };
    let admin = server.admin();
    admin.namespace("invalid").await;
    for (from, to, field) in [
        ("fqdn: shop.test", "fqdn: 'not a host'", "spec.virtualhost.fqdn"),
        ("weight: 90", "weight: many", "spec.routes[0].services[0].weight"),
        ("port: 80, weight: 90", "weight: 90", "spec.routes[0].services[0].port"),
    ] {
        let text = VALID.replace("namespace: valid", "namespace: invalid").replace(from, to);
        let error = admin.create_all(&text).await.unwrap_err();
        let (code, message) = refusal(&error).unwrap();
        assert_eq!(code, 422, "{message}");
        assert!(message.contains(field), "{message}");
    }
    let list = "/apis/contour.heptio.com/v1beta1/namespaces/invalid/ingressroutes";
    assert_eq!(admin.get(list).await.unwrap()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_from_before_the_schema_stays_readable() {
    let Some(server) = ApiServer::start(<_>::default()).await else { return };
    let admin = server.admin();
    admin.install_crds().await;
    let poison = json!({
        "apiVersion": "contour.heptio.com/v1beta1",
        "kind": "IngressRoute",
        "metadata": {"name": "old", "namespace": "default"},
        "spec": {"virtualhost": "no mapping", "routes": 7},
    });
    admin.store_past_schema(&poison).await;

    let list = "/apis/contour.heptio.com/v1beta1/namespaces/default/ingressroutes";
    let listed = admin.get(list).await.unwrap();
    assert_eq!(listed["items"][0]["spec"], poison["spec"]);
    let mut twin = poison.clone();
    twin["metadata"]["name"] = json!("new");
    let error = admin.create(list, &twin).await.unwrap_err();
    assert_eq!(refusal(&error).unwrap().0, 422, "{error}");
}
