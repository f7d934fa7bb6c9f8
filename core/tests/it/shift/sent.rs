//! What is written to an API server.

use contour_core::api::Timestamp;
use contour_core::shift::Note;
use contour_core::shift::machine::Write;
use contour_core::shift::sent::{patch, read};
use contour_core::shift::weights::{Place, Service, Weights};
use serde_json::{Value, json};

fn weights(place: &str, list: &[(&str, Option<i64>)]) -> Weights {
    let one = |(name, weight): &(&str, Option<i64>)| {
        (Service { name: (*name).into(), port: 80 }, *weight)
    };
    Weights::new(Place::Route(place.into()), list.iter().map(one)).unwrap()
}

fn write() -> Write {
    Write {
        uid: Note::new("u"),
        version: Note::new("7"),
        expected: vec![weights("/b", &[("blue", None), ("third", Some(2)), ("green", Some(0))])],
        not_after: Timestamp::from_unix(0),
        weights: vec![weights("/b", &[("blue", Some(3)), ("third", Some(2)), ("green", None)])],
        annotation: "{}".to_owned(),
    }
}

fn object() -> Value {
    json!({
        "metadata": {"uid": "u", "resourceVersion": "7"},
        "spec": {"routes": [
            {"match": "/a", "services": [{"name": "blue", "port": 80}]},
            {"match": "/b", "services": [
                {"name": "green", "port": 80, "weight": 0},
                {"name": "blue", "port": 80},
                {"name": "third", "port": 80, "weight": 2},
            ]},
        ]},
    })
}

#[test]
fn a_patch_changes_weights_and_the_annotation_alone() {
    let patch = patch(&object(), &write()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&patch).unwrap());
}

#[test]
fn what_is_not_as_expected_is_not_patched() {
    for (pointer, other) in [
        ("/metadata/uid", json!("v")),
        ("/metadata/resourceVersion", json!("8")),
        ("/spec/routes/1/services/0/weight", json!(1)),
        ("/spec/routes/1/services/1/name", json!("red")),
        ("/spec/routes/1/match", json!("/c")),
    ] {
        let mut value = object();
        *value.pointer_mut(pointer).unwrap() = other;
        assert_eq!(patch(&value, &write()), None, "{pointer}");
    }
}

#[test]
fn what_is_read_is_what_a_write_is_for() {
    let mut value = object();
    value["kind"] = json!("IngressRoute");
    value["apiVersion"] = json!("contour.heptio.com/v1beta1");
    value["metadata"]["name"] = json!("shop");
    value["metadata"]["namespace"] = json!("demo");
    value["metadata"]["generation"] = json!(3);
    let (live, route) = read(&value).unwrap();
    assert_eq!((live.uid, live.version, live.generation), (Note::new("u"), Note::new("7"), 3));
    assert_eq!((live.weights.len(), live.annotation, &*route.metadata.name), (2, None, "shop"));
    value["spec"]["routes"] = json!(3);
    assert_eq!(read(&value), None);
}
