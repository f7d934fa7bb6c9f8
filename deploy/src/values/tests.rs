use serde_json::json;

use super::*;

fn set(assignments: &str) -> Value {
    let mut map = Map::new();
    set::assign(&mut map, assignments, set::Kind::Typed).unwrap();
    Value::Object(map)
}

fn faults(overrides: &[Override<'_>]) -> Vec<String> {
    let error = Values::resolve(Profile::Default, overrides).unwrap_err();
    error.faults.iter().map(Fault::to_string).collect()
}

#[test]
fn every_profile_is_read_and_known() {
    for profile in Profile::ALL {
        let text = chart::file(&profile.path()).expect("the chart has it");
        let values: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(Values::default().merge(&values), Ok(()), "{profile}");
        assert_eq!(Values::profile(profile).overrides(), values);
        assert_eq!(Profile::named(profile.name()), Some(profile));
        assert!(profile.summary().ends_with('.'), "{}", profile.summary());
    }
    assert!(!Values::default().to_value()["envoy"].is_null());
}

#[test]
fn assignments_are_read_as_helm_reads_them() {
    for (text, expected) in [
        ("a=1", json!({"a": 1})),
        ("a.b=x,a.c=true", json!({"a": {"b": "x", "c": true}})),
        ("a=NULL,b=False", json!({"a": null, "b": false})),
        ("a=0,b=01,c=-4,d=1.5", json!({"a": 0, "b": "01", "c": -4, "d": "1.5"})),
        ("a=", json!({"a": ""})),
        (r"a\.b/c=x\,y", json!({"a.b/c": "x,y"})),
        ("a={x,2,true},b=1", json!({"a": ["x", 2, true], "b": 1})),
        ("a={}", json!({"a": []})),
        ("a[1]=x", json!({"a": [null, "x"]})),
        ("a[0].b=x,a[0].c=y,a[1].b=z", json!({"a": [{"b": "x", "c": "y"}, {"b": "z"}]})),
        ("a[0][1]=x", json!({"a": [[null, "x"]]})),
        ("a=b=c", json!({"a": "b=c"})),
    ] {
        assert_eq!(set(text), expected, "{text}");
    }
    let mut map = Map::new();
    set::assign(&mut map, "a=1,b={true}", set::Kind::Text).unwrap();
    assert_eq!(Value::Object(map), json!({"a": "1", "b": ["true"]}));
}

#[test]
fn assignments_that_make_no_sense_are_refused() {
    let deep = "a.".repeat(40) + "b=1";
    let nested = format!("a{}=1", "[0]".repeat(40));
    for text in [
        "a",
        "a,b=1",
        "=1",
        "a.",
        "a.=1",
        "a={x",
        "a[",
        "a[x]=1",
        "a[-1]=1",
        "a[99999999]=1",
        "a[0]x=1",
        "a=1,a.b=2",
        "a=1,a[0]=2",
        &deep,
        &nested,
    ] {
        let mut map = Map::new();
        assert!(set::assign(&mut map, text, set::Kind::Typed).is_err(), "{text}: {map:?}");
    }
}

#[test]
fn overrides_merge_as_helm_merges_them() {
    let mut values = Values::profile(Profile::Ha);
    values.merge(&json!({"contour": {"config": {"a": {"b": 1, "c": 2}, "list": [1, 2]}}})).unwrap();
    values.set("contour.config.a.b=null,contour.config.list[0]=3").unwrap();
    values.set_string("contour.podAnnotations.on=true").unwrap();
    values.set("contour.resources.requests.cpu=null").unwrap();
    let all = values.to_value();
    assert_eq!(all["contour"]["config"], json!({"a": {"b": null, "c": 2}, "list": [3, 2]}));
    assert_eq!(all["contour"]["podAnnotations"], json!({"on": "true"}));
    assert_eq!(all["contour"]["resources"], json!({"requests": {"memory": "256Mi"}}));
    assert_eq!(all["contour"]["replicas"], 3);
    // An index is one of what was given, not of the defaults.
    values.set("networkPolicies.egress.apiServerPorts[0]=8443").unwrap();
    assert_eq!(values.to_value()["networkPolicies"]["egress"]["apiServerPorts"], json!([8443]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let file = "
contur: {replicas: 3}
envoy:
  kind: Daemonset
  replica: 3
  service: {annotations: {a.b/c: 5}, httpPort: 0}
  autoscaling: true
  extraArgs: [a, 1, '']
watchNamespaces: demo
";
    assert_eq!(
        faults(&[
            Override::File { name: "mine.yaml", text: file },
            Override::Set("contour.replicas=three,nonsense.at.all=1"),
            Override::SetString("contour.replicas=3"),
            Override::Set("contour.replicas"),
            Override::Set("contour.replicas=null"),
            Override::File { name: "bad.yaml", text: "- a" },
        ]),
        [
            "contur: there is no such value; did you mean contour?",
            "envoy.kind: expected DaemonSet or Deployment, found the text \"Daemonset\"",
            "envoy.replica: there is no such value; did you mean envoy.replicas?",
            "envoy.service.annotations.a\\.b/c: expected text, found the number 5",
            "envoy.service.httpPort: expected a whole number from 1 to 65535, found the number 0",
            "envoy.autoscaling: expected a map, found true",
            "envoy.extraArgs[1]: expected text, found the number 1",
            "envoy.extraArgs[2]: expected text, found an empty text",
            "watchNamespaces: expected a list, found the text \"demo\"",
            "contour.replicas: expected a whole number from 0, found the text \"three\"",
            "nonsense: there is no such value",
            "contour.replicas: expected a whole number from 0, found the text \"3\"",
            "contour.replicas: replicas has no value; write NAME=VALUE",
            "contour.replicas: expected a whole number from 0, found null",
            "values: expected a map, found a list",
        ]
    );
}

#[test]
fn an_empty_file_and_a_wrong_one_change_nothing() {
    let mut values = Values::profile(Profile::Minimal);
    let before = values.clone();
    values.merge(&Value::Null).unwrap();
    values.merge(&json!({"envoy": {"replicas": "x"}})).unwrap_err();
    values.set("envoy.replicas=2,envoy.replikas=3").unwrap_err();
    assert_eq!(values, before);
    let wrong = faults(&[Override::File { name: "wrong.yaml", text: "a: [" }]);
    assert!(wrong[0].starts_with("wrong.yaml: "), "{wrong:?}");
}
