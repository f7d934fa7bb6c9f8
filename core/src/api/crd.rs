//! The `CustomResourceDefinitions` of our own kinds, made of the types that read them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{IngressRouteSpec, TlsCertificateDelegationSpec};
use crate::name::Kind;

/// A host name, in any case, without wildcard. The length of labels is checked later.
pub(super) const FQDN: &str =
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*\.?$";
/// A DNS label.
pub(super) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A DNS label, or nothing for one's own namespace.
pub(super) const NAMESPACE: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$";
/// A namespace, or `*` for all.
pub(super) const TARGET: &str = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$";
/// A DNS subdomain.
pub(super) const SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The name of a Secret, perhaps with its namespace before it.
pub(super) const SECRET: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A path of printable ASCII without query and fragment.
pub(super) const PATH: &str = r#"^/[!"$->@-~]*$"#;
/// A path, or nothing for no rewriting.
pub(super) const REWRITE: &str = r#"^(/[!"$->@-~]*)?$"#;
/// A duration as Go writes it, `infinity`, or nothing for the default.
pub(super) const DURATION: &str =
    r"^(infinity|infinite|0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)?$";
/// The strategies, with two that Contour dropped in 0.13: objects may still name them.
pub(super) const STRATEGIES: [&str; 6] =
    ["RoundRobin", "WeightedLeastRequest", "Random", "Cookie", "RingHash", "Maglev"];

/// How a kind is called by its users.
struct Names {
    kind: Kind,
    plural: &'static str,
    singular: &'static str,
    short: &'static str,
}

/// The definition of `IngressRoute`.
pub fn ingressroute() -> Value {
    let names = Names {
        kind: Kind::IngressRoute,
        plural: "ingressroutes",
        singular: "ingressroute",
        short: "ir",
    };
    let columns = json!([
        column("FQDN", ".spec.virtualhost.fqdn", "The host, of a root"),
        column("TLS Secret", ".spec.virtualhost.tls.secretName", "The Secret with the certificate"),
        column("First route", ".spec.routes[0].match", "The match of the first route"),
        column("Status", ".status.currentStatus", "valid, invalid or orphaned"),
        column("Status Description", ".status.description", "What is wrong, if anything is"),
        age(),
    ]);
    let status = object(
        "What became of the object; written by the controller.",
        [
            ("currentStatus", text("valid, invalid or orphaned.", 32)),
            ("description", text("What is wrong, or that nothing is.", 32_768)),
            ("observedGeneration", generation()),
            ("conditions", conditions()),
            ("loadBalancer", load_balancer()),
        ],
    );
    let description =
        "Routes of a virtual host, or a part of them that another IngressRoute delegates to.";
    definition(&names, description, (spec::<IngressRouteSpec>(), status), &columns)
}

/// The definition of `TLSCertificateDelegation`.
pub fn tls_certificate_delegation() -> Value {
    let names = Names {
        kind: Kind::TlsCertificateDelegation,
        plural: "tlscertificatedelegations",
        singular: "tlscertificatedelegation",
        short: "tlscerts",
    };
    let columns = json!([
        column("Secrets", ".spec.delegations[*].secretName", "The Secrets delegated"),
        age(),
    ]);
    let status = object(
        "What became of the object; written by the controller.",
        [("observedGeneration", generation()), ("conditions", conditions())],
    );
    let description = "Lets other namespaces use TLS Secrets of this one.";
    let spec = spec::<TlsCertificateDelegationSpec>();
    definition(&names, description, (spec, status), &columns)
}

fn definition(
    names: &Names,
    description: &str,
    (spec, status): (Value, Value),
    columns: &Value,
) -> Value {
    let (group, version) = names.kind.api_version().split_once('/').unwrap_or_default();
    let mut schema = object(
        description,
        [
            (
                "apiVersion",
                json!({"type": "string", "description": "The version of the schema, contour.heptio.com/v1beta1."}),
            ),
            ("kind", json!({"type": "string", "description": "The kind of the object."})),
            ("metadata", json!({"type": "object"})),
            ("spec", spec),
            ("status", status),
        ],
    );
    insert(&mut schema, "required", json!(["metadata", "spec"]));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{group}", names.plural),
            // With a definition go all objects of its kind: Helm is not to remove it.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/part-of": "contour"},
        },
        "spec": {
            "group": group,
            "names": {
                "kind": names.kind.as_str(),
                "listKind": format!("{}List", names.kind),
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short],
                "categories": ["contour"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

fn column(name: &str, path: &str, description: &str) -> Value {
    json!({"name": name, "type": "string", "jsonPath": path, "description": description})
}

fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}

/// The schema of a spec as API servers want it.
fn spec<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    make_structural(&mut schema);
    schema
}

/// Takes out what API servers do not have: titles, and `null` beside a type. Defaults go, too:
/// the server would write them into objects, where unset has a meaning of its own.
fn make_structural(schema: &mut Value) {
    let Value::Object(keywords) = schema else {
        return;
    };
    for keyword in ["title", "default", "$schema"] {
        keywords.shift_remove(keyword);
    }
    if let Some(Value::Array(types)) = keywords.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let Some(kind) = types.first().cloned() {
            keywords.insert("type".to_owned(), kind);
        }
    }
    // The server warns of int64, which it does not know.
    if keywords.get("type").and_then(Value::as_str) == Some("integer") {
        keywords.shift_remove("format");
    }
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    // What the type is and means stands first, for those who read the file.
    for keyword in ["description", "type"] {
        if let Some(value) = keywords.shift_remove(keyword) {
            keywords.shift_insert(0, keyword.to_owned(), value);
        }
    }
    if let Some(Value::Object(properties)) = keywords.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    if let Some(items) = keywords.get_mut("items") {
        make_structural(items);
    }
}

fn object<const N: usize>(description: &str, properties: [(&str, Value); N]) -> Value {
    let properties: Map<_, _> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "description": description, "properties": properties})
}

fn text(description: &str, length: usize) -> Value {
    json!({"type": "string", "description": description, "maxLength": length})
}

fn generation() -> Value {
    json!({
        "type": "integer",
        "description": "The generation of the spec that the status is about.",
    })
}

/// `metav1.Condition`, with its own bounds.
fn conditions() -> Value {
    let mut item = object(
        "An aspect of what became of the object.",
        [
            (
                "type",
                json!({"type": "string", "description": "The aspect.", "minLength": 1, "maxLength": 316}),
            ),
            (
                "status",
                json!({"type": "string", "description": "Whether it holds.", "enum": ["True", "False", "Unknown"]}),
            ),
            ("observedGeneration", generation()),
            (
                "lastTransitionTime",
                json!({"type": "string", "format": "date-time", "description": "When the status last changed."}),
            ),
            (
                "reason",
                json!({"type": "string", "description": "Why, as a word.", "minLength": 1, "maxLength": 1024}),
            ),
            ("message", text("Why, as a sentence.", 32_768)),
        ],
    );
    let required = json!(["type", "status", "lastTransitionTime", "reason", "message"]);
    insert(&mut item, "required", required);
    json!({
        "type": "array",
        "description": "Aspects of what became of the object.",
        "maxItems": 32,
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

fn load_balancer() -> Value {
    let item = object(
        "An address.",
        [("ip", text("An IP address.", 64)), ("hostname", text("A host name.", 253))],
    );
    let ingress = json!({
        "type": "array",
        "description": "The addresses.",
        "maxItems": 64,
        "items": item,
        "x-kubernetes-list-type": "atomic",
    });
    object("Where the host is served.", [("ingress", ingress)])
}

fn insert(schema: &mut Value, keyword: &str, value: Value) {
    if let Value::Object(keywords) = schema {
        keywords.insert(keyword.to_owned(), value);
    }
}
