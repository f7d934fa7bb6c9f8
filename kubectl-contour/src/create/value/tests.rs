use super::*;

fn told(result: Result<impl fmt::Debug, Flaw>) -> String {
    result.expect_err("the value has a flaw").to_string()
}

#[test]
fn a_route_has_a_prefix_services_and_options_of_both() {
    let text = "/api=web:80,weight=90,timeout=5s,retries=3,try-timeout=1s;web-green:8080,weight=10,\
                strategy=cookie,health-path=/healthz,websocket,permit-insecure,prefix-rewrite=/v1";
    let route = route(text).unwrap();
    let value = serde_json::to_value(&route).unwrap();
    let expected = serde_json::json!({
        "match": "/api",
        "services": [
            {"name": "web", "port": 80, "weight": 90},
            {"name": "web-green", "port": 8080, "weight": 10,
             "healthCheck": {"path": "/healthz"}, "strategy": "Cookie"},
        ],
        "enableWebsockets": true,
        "permitInsecure": true,
        "prefixRewrite": "/v1",
        "timeoutPolicy": {"request": "5s"},
        "retryPolicy": {"count": 3, "perTryTimeout": "1s"},
    });
    assert_eq!(value, expected);
}

#[test]
fn what_is_wrong_with_a_route_is_told_with_its_place() {
    for (text, expected) in [
        ("/", "at character 1: a route is /prefix=service:port"),
        (
            "api=web:80",
            "at character 1: the prefix \"api\" must begin with '/'; did you mean \"/api\"?",
        ),
        ("/=", "at character 3: a service is missing: write service:port"),
        ("/=web", "at character 3: \"web\" names no port: write web:80"),
        (
            "/=Web_1:80",
            "at character 3: \"Web_1\" is no name of a Service; did you mean \"web-1\"?",
        ),
        ("/=web:http", "at character 7: the port \"http\" is no number from 1 to 65535"),
        ("/=web:0", "at character 7: the port \"0\" is no number from 1 to 65535"),
        (
            "/=web:80,wieght=9",
            "at character 10: \"wieght\" is no option here; did you mean \"weight\"?",
        ),
        ("/=web:80,", "at character 10: an option is missing behind the comma"),
        ("/=web:80,weight", "at character 10: weight needs a value: weight=…"),
        ("/=web:80,weight=-1", "at character 17: \"-1\" is no number from 0 to 1000000"),
        ("/=web:80;web:80", "at character 10: web:80 stands twice in the route"),
        (
            "/=web:80,timeout=30",
            "at character 18: \"30\" is no time such as 30s, 1m30s or 500ms; did you mean \"30s\"?",
        ),
        (
            "/=web:80,try-timeout=infinity",
            "at character 22: \"infinity\" is no time such as 30s, 1m30s or 500ms",
        ),
        (
            "/=web:80,strategy=Randm",
            "at character 19: \"Randm\" is no strategy; did you mean \"Random\"?",
        ),
        ("/=web:80,websocket=1", "at character 20: websocket takes no value"),
        ("/é=web:80,x=1", "at character 1: the prefix \"/é\" "),
        ("/=web:80,ca-secret=ca", "at character 3: ca-secret and subject-name need each other"),
        ("/=web:80,health-host=a.b", "at character 3: health-host=a.b needs health-path"),
    ] {
        let told = told(route(text));
        assert!(told.starts_with(expected), "{text}\n{told}\n{expected}");
    }
}

#[test]
fn a_delegation_names_an_ingressroute() {
    let value = serde_json::to_value(delegate("/team=team-a/reports").unwrap()).unwrap();
    let expected = serde_json::json!({
        "match": "/team", "delegate": {"name": "reports", "namespace": "team-a"},
    });
    assert_eq!(value, expected);
    assert_eq!(delegate("/team=reports").unwrap().delegate.unwrap().namespace, None);
    assert_eq!(told(delegate("/team")), "at character 1: a delegation is /prefix=namespace/name");
    assert_eq!(told(delegate("/team=A/b")), "at character 7: \"A\" is no namespace");
    assert_eq!(
        told(delegate("/team=a/b/c")),
        "at character 9: \"b/c\" is no name of an IngressRoute"
    );
}

#[test]
fn a_host_is_freed_of_what_browsers_put_around_it() {
    assert_eq!(host("Shop.Example.com").unwrap().as_str(), "shop.example.com");
    let url = told(host("https://shop.example.com/cart"));
    assert!(url.ends_with("did you mean \"shop.example.com\"?"), "{url}");
    let port = told(host("shop.example.com:443"));
    assert!(port.ends_with("did you mean \"shop.example.com\"?"), "{port}");
    assert!(told(host("*.example.com")).contains("wildcards"));
}

#[test]
fn names_and_secrets_are_those_of_kubernetes() {
    assert_eq!(secret("tls/shop").as_deref(), Ok("tls/shop"));
    assert_eq!(told(secret("a/B")), "at character 3: \"B\" is no name of a Secret");
    assert!(told(name("My_Shop")).ends_with("did you mean \"my-shop\"?"));
    let tcp = tcp_proxy("db:5432;db-2:5432,weight=1").unwrap();
    assert_eq!(tcp.services.len(), 2);
    assert!(told(tcp_proxy("db:5432,wight=1")).ends_with("did you mean \"weight\"?"));
}
