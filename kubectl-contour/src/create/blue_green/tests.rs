use super::*;
use crate::create::draft;

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "demo", "name": "web", "uid": "u", "resourceVersion": "7",
            "labels": {"app": "web"},
            "annotations": {
                "contour.heptio.com/max-requests": "10", "cloud.example.com/lb": "internal",
            },
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "selector": {"app": "web", "tier": "front"}, "sessionAffinity": "None",
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080,
                       "protocol": "TCP"}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn deployment(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "namespace": "demo", "name": name, "generation": 3, "labels": {"app": "web"},
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"creationTimestamp": null, "labels": labels},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
        "status": {"replicas": 2},
    })
}

fn route(services: &Value) -> Value {
    json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {"namespace": "demo", "name": "shop", "managedFields": []},
        "spec": {
            "virtualhost": {"fqdn": "shop.example.com"},
            "routes": [
                {"match": "/", "services": services, "enableWebsockets": true},
                {"match": "/other", "services": [{"name": "other", "port": 80}]},
            ],
        },
    })
}

fn live() -> Live {
    Live {
        service: service(),
        deployments: vec![
            deployment("web-blue", &json!({"app": "web", "tier": "front", "x": "y"})),
            deployment("other", &json!({"app": "other"})),
        ],
        services: vec![service()],
        routes: vec![route(&json!([{"name": "web", "port": 80}]))],
    }
}

fn wish() -> Wish {
    Wish {
        version: "green".to_owned(),
        image: Some((None, "example.com/web:2".to_owned())),
        host: None,
        prefix: "/".to_owned(),
        class: None,
    }
}

#[test]
fn the_second_version_is_the_first_with_a_label_of_its_own() {
    let plan = plan(&wish(), &live()).unwrap();
    assert_eq!(plan.remarks, Vec::<String>::new());
    insta::assert_snapshot!(draft::text(&plan.documents));
}

#[test]
fn neither_service_selects_the_pods_of_the_other() {
    for labels in
        [json!({"app": "web", "tier": "front"}), json!({"app": "web", "tier": "front", "z": "1"})]
    {
        let live = Live { deployments: vec![deployment("web", &labels)], ..live() };
        let plan = plan(&wish(), &live).unwrap();
        let (green, service) = (&plan.documents[0].value, &plan.documents[1].value);
        let pods = green.pointer("/spec/template/metadata/labels");
        assert!(selects(service.pointer("/spec/selector"), pods));
        assert!(selects(green.pointer("/spec/selector/matchLabels"), pods));
        assert!(!selects(live.service.pointer("/spec/selector"), pods));
        assert!(!selects(live.deployments[0].pointer("/spec/selector/matchLabels"), pods));
        assert!(!selects(service.pointer("/spec/selector"), Some(&labels)));
    }
}

#[test]
fn a_selector_without_a_common_label_gets_two() {
    let mut live = live();
    live.service["spec"]["selector"] = json!({"tier": "front"});
    let plan = plan(&wish(), &live).unwrap();
    let pods = plan.documents[0].value.pointer("/spec/template/metadata/labels").unwrap();
    assert_eq!(*pods, json!({"app": "web-green", "tier": "front-green", "x": "y"}));
    assert_eq!(plan.documents[1].value["spec"]["selector"], json!({"tier": "front-green"}));
}

#[test]
fn another_service_that_takes_the_new_pods_is_told_of() {
    let mut live = live();
    let mut metrics = service();
    metrics["metadata"]["name"] = json!("metrics");
    metrics["spec"]["selector"] = json!({"tier": "front"});
    live.services.push(metrics);
    let plan = plan(&wish(), &live).unwrap();
    let expected =
        "Service metrics selects the Pods of web-green too: requests to it reach both versions";
    assert_eq!(plan.remarks, [expected]);
}

#[test]
fn weights_that_went_without_saying_are_said() {
    for (services, expected) in [
        (json!([{"name": "web", "port": 80}]), json!([["web", 100], ["web-green", 0]])),
        (json!([{"name": "web", "port": 80, "weight": 5}]), json!([["web", 5], ["web-green", 0]])),
        (
            json!([{"name": "web", "port": 80}, {"name": "b", "port": 80}]),
            json!([["web", 100], ["web-green", 0], ["b", 100]]),
        ),
        (
            json!([{"name": "b", "port": 80, "weight": 3}, {"name": "web", "port": 80}]),
            json!([["b", 3], ["web", 0], ["web-green", 0]]),
        ),
        (
            json!([{"name": "web", "port": 80, "weight": 9},
                   {"name": "web-green", "port": 80, "weight": 1}]),
            json!([["web", 9], ["web-green", 1]]),
        ),
    ] {
        let live = Live { routes: vec![route(&services)], ..live() };
        let plan = plan(&wish(), &live).unwrap();
        let found = plan.documents[2].value["spec"]["routes"][0]["services"].clone();
        let found: Vec<Value> =
            found.as_array().unwrap().iter().map(|s| json!([s["name"], s["weight"]])).collect();
        assert_eq!(Value::from(found), expected, "{services}");
    }
}

#[test]
fn a_route_that_is_there_is_changed_from_what_it_is() {
    let live = live();
    let plan = plan(&wish(), &live).unwrap();
    assert_eq!(plan.documents[2].base.as_ref(), live.routes.first());
}

#[test]
fn what_stands_in_the_way_is_told() {
    let told = |wish: &Wish, live: &Live| plan(wish, live).unwrap_err().message;
    let nothing = Live { deployments: Vec::new(), ..live() };
    assert_eq!(told(&wish(), &nothing), "no Deployment has Pods that Service web selects");
    let mut two = live();
    let twin = two.deployments[0].clone();
    two.deployments.push(twin);
    assert!(told(&wish(), &two).starts_with("Service web selects the Pods of web-blue and of "));
    let unrouted = Live { routes: Vec::new(), ..live() };
    assert!(told(&wish(), &unrouted).contains("no host is given"));
    let image = Some((Some("wbe".to_owned()), "x".to_owned()));
    let told = told(&Wish { image, ..wish() }, &live());
    assert_eq!(told, "--image: there is no container \"wbe\"");
}

#[test]
fn without_a_route_a_host_makes_one() {
    let live = Live { routes: Vec::new(), ..live() };
    let host = Some(crate::create::value::host("shop.example.com").unwrap());
    let plan = plan(&Wish { host, ..wish() }, &live).unwrap();
    insta::assert_snapshot!(draft::text(&plan.documents[2..]));
}
