//! The custom resource definitions: what API servers accept, and what is read.

use contour_core::api::crd::{ingressroute, tls_certificate_delegation};
use contour_core::api::{IngressRouteSpec, Object, TlsCertificateDelegationSpec};
use contour_core::manifest::{Limits, read};
use serde_json::{Map, Value, json};

/// A file and what makes its content.
type File = (&'static str, fn() -> Value);

const FILES: [File; 2] = [
    ("deploy/chart/files/crds/ingressroutes.yaml", ingressroute),
    ("deploy/chart/files/crds/tlscertificatedelegations.yaml", tls_certificate_delegation),
];

#[test]
fn the_files_to_deploy_are_generated() {
    for (file, definition) in FILES {
        let yaml = serde_saphyr::to_string(&definition()).expect("JSON is YAML");
        crate::generated::check(file, &yaml);
        let back: Value = serde_saphyr::from_str(&yaml).expect("the file is YAML");
        assert_eq!(back, definition(), "{file}");
    }
}

/// The schema of a field, named by its path.
fn schema(definition: &Value, path: &str) -> Value {
    let root = "/spec/versions/0/schema/openAPIV3Schema";
    definition
        .pointer(&format!("{root}{path}"))
        .cloned()
        .unwrap_or_else(|| panic!("{path} is not in the schema"))
}

/// The keywords that API servers know and that are used.
const KEYWORDS: [&str; 20] = [
    "type",
    "description",
    "properties",
    "required",
    "items",
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "additionalProperties",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "nullable",
];

/// What a structural schema must not have, and what our own must have, by path.
fn faults(schema: &Value, path: &str, in_spec: bool, out: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        return out.push(format!("{path}: is no schema"));
    };
    for keyword in keywords.keys() {
        if !KEYWORDS.contains(&keyword.as_str()) {
            out.push(format!("{path}: has the keyword {keyword}"));
        }
    }
    if !keywords.contains_key("description") && path != ".metadata" && !path.ends_with("[]") {
        out.push(format!("{path}: is not described"));
    }
    let bounded = |keyword: &str| keywords.contains_key(keyword) || !in_spec;
    let of_type = |kind: &str| keywords.get("type").and_then(Value::as_str) == Some(kind);
    if of_type("object") {
        let properties = keywords.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let in_spec = in_spec || path.is_empty() && name == "spec";
            faults(property, &format!("{path}.{name}"), in_spec, out);
        }
        for name in keywords.get("required").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !properties.is_some_and(|p| p.contains_key(name)) {
                out.push(format!("{path}: requires {name}, which it does not have"));
            }
        }
    } else if of_type("array") {
        let items = &schema["items"];
        faults(items, &format!("{path}[]"), in_spec, out);
        if !bounded("maxItems") {
            out.push(format!("{path}: has no maxItems"));
        }
        for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
            let required = items["required"].as_array().is_some_and(|r| r.contains(key));
            let scalar = items["properties"][key.as_str().unwrap_or_default()]["type"].is_string();
            if !required || !scalar {
                out.push(format!("{path}: {key} cannot be a key"));
            }
        }
    } else if of_type("string") {
        if !bounded("maxLength") && !bounded("enum") {
            out.push(format!("{path}: has no maxLength"));
        }
    } else if of_type("integer") {
        if !bounded("maximum") {
            out.push(format!("{path}: has no maximum"));
        }
    } else if !of_type("boolean") {
        out.push(format!("{path}: has no type: {schema}"));
    }
}

#[test]
fn the_schemas_are_structural_described_and_bounded() {
    for (file, definition) in FILES {
        let mut found = Vec::new();
        faults(&schema(&definition(), ""), "", false, &mut found);
        assert_eq!(found, Vec::<String>::new(), "{file}");
    }
    let mut found = Vec::new();
    let bad = json!({"type": "object", "description": "x", "properties": {
        "a": {"$ref": "#"}, "b": {"type": "string", "description": "x"},
        "c": {"type": "array", "description": "x", "items": {"type": "object"}, "x-kubernetes-list-map-keys": ["k"]},
    }, "required": ["z"]});
    faults(&bad, "", true, &mut found);
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn routes_and_services_are_maps_so_that_one_weight_can_have_an_owner() {
    let definition = ingressroute();
    let routes = "/properties/spec/properties/routes";
    for (path, keys) in [
        (routes.to_owned(), json!(["match"])),
        (format!("{routes}/items/properties/services"), json!(["name", "port"])),
        (
            "/properties/spec/properties/tcpproxy/properties/services".to_owned(),
            json!(["name", "port"]),
        ),
        ("/properties/status/properties/conditions".to_owned(), json!(["type"])),
    ] {
        let list = schema(&definition, &path);
        assert_eq!(list["x-kubernetes-list-type"], "map", "{path}");
        assert_eq!(list["x-kubernetes-list-map-keys"], keys, "{path}");
    }
}

/// A value with every property that the schema has.
fn filled(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let fields: Map<_, _> =
                properties.iter().map(|(name, schema)| (name.clone(), filled(schema))).collect();
            Value::Object(fields)
        }
        Some("array") => json!([filled(&schema["items"])]),
        Some("integer") => schema["maximum"].clone(),
        Some("boolean") => json!(true),
        _ => schema["enum"].get(0).cloned().unwrap_or_else(|| json!("x")),
    }
}

#[test]
fn the_schemas_and_what_is_read_have_the_same_fields() {
    for (file, definition) in FILES {
        let definition = definition();
        let spec = filled(&schema(&definition, "/properties/spec"));
        let object = json!({
            "apiVersion": "contour.heptio.com/v1beta1",
            "kind": definition["spec"]["names"]["kind"],
            "metadata": {"name": "a"},
            "spec": spec,
            "status": {},
        });
        let manifest = read(file, &object.to_string(), Limits::default());
        let [document] = manifest.documents.as_slice() else { panic!("{manifest:?}") };
        assert_eq!(document.diagnostics, [], "{file}");
        let back = match &document.object {
            Some(Object::IngressRoute(object)) => serde_json::to_value(&object.spec),
            Some(Object::TlsCertificateDelegation(object)) => serde_json::to_value(&object.spec),
            other => panic!("{other:?}"),
        };
        assert_eq!(back.expect("a spec is JSON"), spec, "{file}");
    }
}

#[test]
fn what_is_required_of_objects_is_required_by_the_schemas() {
    let definition = ingressroute();
    let empty = serde_json::from_value::<IngressRouteSpec>(json!({}));
    assert!(empty.is_ok(), "nothing of a spec is required by itself");
    assert!(schema(&definition, "/properties/spec").get("required").is_none());
    let services = "/properties/spec/properties/routes/items/properties/services/items";
    assert_eq!(schema(&definition, services)["required"], json!(["name", "port"]));
    let routes = "/properties/spec/properties/routes/items";
    assert_eq!(schema(&definition, routes)["required"], json!(["match"]));
    let delegations = schema(&tls_certificate_delegation(), "/properties/spec");
    assert_eq!(delegations["required"], json!(["delegations"]));
    // Not of what is read, so that a root without host can be told so by the controller.
    let host = schema(&definition, "/properties/spec/properties/virtualhost");
    assert_eq!(host["required"], json!(["fqdn"]));
    assert!(serde_json::from_value::<TlsCertificateDelegationSpec>(json!({})).is_err());
}

#[test]
fn a_route_of_old_passes_and_hostile_ones_do_not() {
    let definition = ingressroute();
    let patterns = |path: &str| {
        schema(&definition, path)["pattern"].as_str().expect("it has a pattern").to_owned()
    };
    let host = "/properties/spec/properties/virtualhost/properties";
    let route = "/properties/spec/properties/routes/items/properties";
    for (path, good, bad) in [
        (
            format!("{host}/fqdn"),
            vec!["example.com", "a", "A-1.Example.COM", "a.b."],
            vec!["", "*.example.com", "a b", "-a", "a..b", "a:80", "é", "a/b"],
        ),
        (
            format!("{host}/tls/properties/secretName"),
            vec!["a", "ns/a.b", "a-1/b"],
            vec!["", "/a", "a/", "a/b/c", "A", "../a", "a\nb"],
        ),
        (
            format!("{route}/match"),
            vec!["/", "/a/b~", "/%20!$&'()*+,;=:@"],
            vec!["", "a", "/a?b", "/a#b", "/a b", "/\r\n", "/é"],
        ),
        (
            format!("{route}/timeoutPolicy/properties/request"),
            vec!["", "0", "infinity", "1h30m", "1.5s", ".5s", "300ms"],
            vec!["5", "1d", "-1s", "1s ", "forever", "s"],
        ),
        (
            format!("{route}/services/items/properties/name"),
            vec!["a", "a-1", "1a"],
            vec!["", "a.b", "A", "-a", "a_b"],
        ),
    ] {
        let pattern = patterns(&path);
        for text in good {
            assert!(matches(&pattern, text), "{text:?} fits {pattern}");
        }
        for text in bad {
            assert!(!matches(&pattern, text), "{text:?} does not fit {pattern}");
        }
    }
}

/// Whether a text fits an anchored pattern.
fn matches(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern).expect("patterns are regular expressions").is_match(text)
}
