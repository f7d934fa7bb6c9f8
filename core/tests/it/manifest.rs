//! Text to objects and diagnostics with places.

use std::fmt::Write as _;

use contour_core::api::{IngressRoute, Object};
use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::manifest::{Document, Limits, Manifest, read};
use contour_core::name::{FieldPath, Kind};
use proptest::prelude::*;

fn parse(text: &str) -> Manifest {
    read("f.yaml", text, Limits::default())
}

/// The only document of a text that has no fault outside it.
fn document(text: &str) -> Document {
    let mut manifest = parse(text);
    assert_eq!(manifest.diagnostics, [], "{text}");
    assert!(manifest.complete, "{text}");
    assert_eq!(manifest.documents.len(), 1, "{text}");
    manifest.documents.remove(0)
}

fn route(document: &Document) -> &IngressRoute {
    match &document.object {
        Some(Object::IngressRoute(route)) => route,
        other => panic!("{other:?}: {:?}", document.diagnostics),
    }
}

/// `line:column+length code field: message (hint)`.
fn line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.location.as_ref().expect("every fault has a place");
    assert_eq!(&*place.file, "f.yaml");
    format!(
        "{}:{}+{} {} {}: {}{}",
        place.line,
        place.column,
        place.length,
        diagnostic.code,
        diagnostic.field,
        diagnostic.message,
        diagnostic.hint.as_ref().map_or_else(String::new, |h| format!(" ({h})")),
    )
}

fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(line).collect()
}

/// An `IngressRoute` whose spec is `spec`, which begins on line 5.
fn with_spec(spec: &str) -> String {
    format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {{name: shop, namespace: demo}}\nspec:\n{spec}"
    )
}

/// The faults of an `IngressRoute` with this spec, and whether it has an object all the same.
fn faults(spec: &str) -> (Vec<String>, bool) {
    let document = document(&with_spec(spec));
    (lines(&document.diagnostics), document.object.is_some())
}

fn place(document: &Document, field: &str) -> (u32, u32, u32) {
    let place = document.spans.locate(&FieldPath::of(field)).expect("a document has a place");
    (place.line, place.column, place.length)
}

const SHOP: &str = "\
# The shop.
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata:
  name: shop
  namespace: demo
  annotations:
    kubernetes.io/ingress.class: contour   # ours
spec:
  virtualhost:
    fqdn: shop.example.com
    tls: {secretName: shop-tls}
  routes:
    - match: /     # all
      services:
        - name: blue
          port: 80
          weight: 90
        - {name: green, port: 80}
    - match: /cart
      delegate:
        name: cart
";

#[test]
fn an_ingressroute_is_read_whole_and_every_field_has_its_place() {
    let document = document(SHOP);
    assert_eq!(document.diagnostics, []);
    assert_eq!(document.reference.to_string(), "IngressRoute demo/shop");
    let object = route(&document);
    assert_eq!(object.spec.routes.len(), 2);
    assert_eq!(object.spec.routes[0].services[0].weight, Some(90));
    assert_eq!(object.spec.routes[0].services[1].weight, None);
    for (field, want) in [
        ("", (2, 1, 38)),
        (".metadata", (4, 1, 8)),
        (".metadata.annotations[\"kubernetes.io/ingress.class\"]", (8, 34, 7)),
        (".spec.virtualhost.fqdn", (11, 11, 16)),
        (".spec.virtualhost.tls", (12, 10, 22)),
        (".spec.virtualhost.tls.secretName", (12, 23, 8)),
        (".spec.routes", (13, 3, 6)),
        (".spec.routes[0]", (14, 7, 8)),
        (".spec.routes[0].match", (14, 14, 1)),
        (".spec.routes[0].services", (15, 7, 8)),
        (".spec.routes[0].services[0]", (16, 11, 10)),
        (".spec.routes[0].services[0].weight", (18, 19, 2)),
        (".spec.routes[0].services[1]", (19, 11, 23)),
        (".spec.routes[0].services[1].port", (19, 31, 2)),
        (".spec.routes[1].delegate.name", (22, 15, 4)),
        // What is not there is where it would be.
        (".spec.routes[0].services[1].weight", (19, 11, 23)),
        (".spec.routes[7]", (13, 3, 6)),
        (".spec.tcpproxy.services[0].name", (9, 1, 4)),
        ("nonsense", (2, 1, 38)),
    ] {
        assert_eq!(place(&document, field), want, "{field}");
    }
}

#[test]
fn carriage_returns_and_a_byte_order_mark_move_no_place() {
    let dos = format!("\u{feff}{}", SHOP.replace('\n', "\r\n"));
    let (unix, dos) = (document(SHOP), document(&dos));
    assert_eq!(unix.object, dos.object);
    for field in ["", ".spec.virtualhost.fqdn", ".spec.routes[0]", ".spec.routes[1].match"] {
        assert_eq!(place(&unix, field), place(&dos, field), "{field}");
    }
    let marked =
        document(&format!("\u{feff}{}", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"));
    assert_eq!(place(&marked, ".metadata.name").0, 3);
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let document = document(&with_spec("  {\"virtualhost\": {\"é\": 1, \"fqdn\": x}}\n"));
    assert_eq!(
        lines(&document.diagnostics),
        [
            "5:20+3 CTR003 .spec.virtualhost[\"é\"]: unknown field `é`; it has no effect (Known here: `fqdn`, `tls`.)"
        ]
    );
    assert_eq!(place(&document, ".spec.virtualhost.fqdn"), (5, 36, 1));
}

#[test]
fn json_is_read_as_yaml_is() {
    let json = "{\n\t\"apiVersion\": \"contour.heptio.com/v1beta1\", \"kind\": \"IngressRoute\",\n\t\"metadata\": {\"name\": \"shop\"},\n\t\"spec\":{\"routes\":[{\"match\":\"\\u002fa\\ud83d\\ude00\",\"services\":[{\"name\":\"s\",\"port\":80}]}]}\n}\n";
    let document = document(json);
    assert_eq!(&*route(&document).spec.routes[0].prefix, "/a😀");
    assert_eq!(document.reference.to_string(), "IngressRoute default/shop");
    assert_eq!(place(&document, ".spec.routes[0].services[0].port").0, 4);
}

#[test]
fn documents_are_separated_and_empty_ones_are_nothing() {
    let service =
        |name: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n");
    let text = format!(
        "# first\n---\n{}...\n---\n# nothing\n---\n---\n{}---\n",
        service("a"),
        service("b")
    );
    let manifest = parse(&text);
    assert_eq!(manifest.diagnostics, []);
    let names: Vec<_> = manifest.documents.iter().map(|d| d.reference.to_string()).collect();
    assert_eq!(names, ["Service default/a", "Service default/b"]);
    for empty in ["", "\n", "# only a comment", "---", "---\n...\n", "\u{feff}", "~", "\r\n"] {
        let manifest = parse(empty);
        assert!(manifest.complete, "{empty:?}");
        assert!(manifest.documents.is_empty() && manifest.diagnostics.is_empty(), "{empty:?}");
    }
}

#[test]
fn lists_are_read_as_their_items() {
    let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}
---
{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: bare}}, {apiVersion: v1, kind: Pod, metadata: {name: p}}]}
---
{apiVersion: v1, kind: List, items: }
";
    let manifest = parse(text);
    let names: Vec<_> = manifest.documents.iter().map(|d| d.reference.to_string()).collect();
    assert_eq!(names, ["Namespace a", "Secret a/s", "Service default/bare"]);
    assert_eq!(place(&manifest.documents[1], ".metadata.name"), (10, 53, 1));
    assert_eq!(
        lines(&manifest.diagnostics),
        ["12:94+3 CTR005 .kind: v1 Pod \"p\" is not of a kind that is read"]
    );
    for (text, want) in [
        (
            "{apiVersion: v1, kind: List}",
            "1:1+28 CTR006 .items: the document has no `items` (Add `items`.)",
        ),
        ("{apiVersion: v1, kind: List, items: {}}", "1:37+2 CTR002 .items: `items` must be a list"),
        (
            "{apiVersion: v1, kind: List, items: [x]}",
            "1:38+1 CTR002 : the document must be a mapping with `apiVersion`, `kind` and `metadata` (Write a Kubernetes object, or remove the document.)",
        ),
    ] {
        assert_eq!(lines(&parse(text).diagnostics), [want]);
    }
}

#[test]
fn unknown_fields_are_named_with_what_was_probably_meant_and_the_object_is_kept() {
    let text = "\
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: shop, uid: x, managedFields: [{a: b}], anotations: {}}
sepc: {}
spec:
  routes:
  - match: /
    servces: []
    services:
    - {name: a, port: 80, wieght: 3, zzz: 1}
    timeoutPolicy: {response: 1s}
status: {currentStatus: valid, anything: 1}
";
    let document = document(text);
    assert_eq!(
        lines(&document.diagnostics),
        [
            "3:57+10 CTR003 .metadata.anotations: unknown field `anotations`; it has no effect (Did you mean `annotations`?)",
            "4:1+4 CTR003 .sepc: unknown field `sepc`; it has no effect (Did you mean `spec`?)",
            "8:5+7 CTR003 .spec.routes[0].servces: unknown field `servces`; it has no effect (Did you mean `services`?)",
            "10:27+6 CTR003 .spec.routes[0].services[0].wieght: unknown field `wieght`; it has no effect (Did you mean `weight`?)",
            "10:38+3 CTR003 .spec.routes[0].services[0].zzz: unknown field `zzz`; it has no effect (Known here: `name`, `port`, `weight`, `healthCheck`, `strategy`, `validation`.)",
            "11:21+8 CTR003 .spec.routes[0].timeoutPolicy.response: unknown field `response`; it has no effect (Known here: `request`.)",
        ]
    );
    assert_eq!(route(&document).spec.routes[0].services.len(), 1);
    // Kubernetes' own kinds have fields that are not read.
    let service =
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, ports: []}}";
    assert_eq!(self::document(service).diagnostics, []);
}

#[test]
fn a_field_at_the_wrong_depth_is_told_where_it_belongs() {
    let (found, _) = faults(
        "  fqdn: a.com\n  virtualhost:\n    fqdn: a.com\n    routes: []\n  routes:\n  - match: /\n    weight: 1\n    path: /\n    name: x\n",
    );
    let hint = |line: &str| line.split_once(" (").map(|(_, hint)| hint.to_owned());
    let hints: Vec<_> = found.iter().filter_map(|line| hint(line)).collect();
    let known = "Known here: `match`, `services`, `delegate`, `enableWebsockets`, `permitInsecure`, `prefixRewrite`, `timeoutPolicy`, `retryPolicy`.";
    assert_eq!(
        hints,
        [
            "Known here: `virtualhost`, `routes`, `tcpproxy`. `fqdn` is a field of `.spec.virtualhost`.)".to_owned(),
            "Known here: `fqdn`, `tls`. `routes` is a field of `.spec`.)".to_owned(),
            format!("{known} `weight` is a field of `.spec.routes[].services[]` and of `.spec.tcpproxy.services[]`.)"),
            format!("{known} `path` is a field of `.spec.routes[].services[].healthCheck` and of `.spec.tcpproxy.services[].healthCheck`.)"),
            // A name that many mappings have says nothing.
            format!("{known})"),
        ]
    );
}

#[test]
fn every_value_of_a_wrong_type_is_named_and_only_the_identity_is_kept() {
    let (found, has_object) = faults(
        "  virtualhost: [a]
  routes:
  - match: 3
    permitInsecure: yes
    enableWebsockets: \"no\"
    services:
    - {name: a, port: \"80\", weight: 99999999999999999999}
    - {name: b, port: 080, weight: 1.5}
    - http
    - ~
    retryPolicy: {count: true}
    delegate: cart
  - {match: [/], services: {name: a}}
  - match: \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee\"
    services: 1
",
    );
    assert_eq!(
        found,
        [
            "5:16+3 CTR002 .spec.virtualhost: `virtualhost` must be a mapping, not a list (Write the fields without `- ` before them.)",
            "7:12+1 CTR002 .spec.routes[0].match: `match` must be text, not the number 3 (Put it into quotes.)",
            "8:21+3 CTR002 .spec.routes[0].permitInsecure: `permitInsecure` must be true or false, not the text \"yes\" (Write `true`.)",
            "9:23+4 CTR002 .spec.routes[0].enableWebsockets: `enableWebsockets` must be true or false, not the text \"no\" (Write `false`.)",
            "11:23+4 CTR002 .spec.routes[0].services[0].port: `port` must be a whole number, not the text \"80\" (Write the number without quotes.)",
            "11:37+20 CTR002 .spec.routes[0].services[0].weight: `weight` must be a whole number, not the number 99999999999999999999, which is out of range",
            "12:23+3 CTR002 .spec.routes[0].services[1].port: `port` must be a whole number, not the text \"080\" (Write the number without leading zeros.)",
            "12:36+3 CTR002 .spec.routes[0].services[1].weight: `weight` must be a whole number, not the number 1.5",
            "13:7+4 CTR002 .spec.routes[0].services[2]: element 2 of `services` must be a mapping, not the text \"http\"",
            "14:7+1 CTR002 .spec.routes[0].services[3]: element 3 of `services` must be a mapping, not nothing",
            "15:26+4 CTR002 .spec.routes[0].retryPolicy.count: `count` must be a whole number, not true",
            "16:15+4 CTR002 .spec.routes[0].delegate: `delegate` must be a mapping, not the text \"cart\"",
            "17:13+3 CTR002 .spec.routes[1].match: `match` must be text, not a list",
            "17:28+9 CTR002 .spec.routes[1].services: `services` must be a list, not a mapping (Begin each element with `- `.)",
            "19:15+1 CTR002 .spec.routes[2].services: `services` must be a list, not the number 1",
        ]
    );
    assert!(!has_object);
}

#[test]
fn every_missing_field_is_named() {
    let (found, has_object) = faults(
        "  routes:
  - services:
    - name: a
    - {port: 80}
    - {}
  - match:
    services:
    - {name: a, port: 80, healthCheck: {}, validation: {caSecret: ca}}
",
    );
    assert_eq!(
        found,
        [
            "6:5+9 CTR006 .spec.routes[0]: the required field `match` is missing (Add `match`.)",
            "7:7+7 CTR006 .spec.routes[0].services[0]: the required field `port` is missing (Add `port`.)",
            "8:7+10 CTR006 .spec.routes[0].services[1]: the required field `name` is missing (Add `name`.)",
            "9:7+2 CTR006 .spec.routes[0].services[2]: the required field `name` is missing (Add `name`.)",
            "9:7+2 CTR006 .spec.routes[0].services[2]: the required field `port` is missing (Add `port`.)",
            "10:5+6 CTR006 .spec.routes[1]: the required field `match` is missing (Add `match`.)",
            "12:40+2 CTR006 .spec.routes[1].services[0].healthCheck: the required field `path` is missing (Add `path`.)",
            "12:56+14 CTR006 .spec.routes[1].services[0].validation: the required field `subjectName` is missing (Add `subjectName`.)",
        ]
    );
    assert!(!has_object);
    let bare = "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {name: a}\n";
    let document = document(bare);
    assert_eq!(
        lines(&document.diagnostics),
        ["1:1+38 CTR006 : the required field `spec` is missing (Add `spec`.)"]
    );
    assert!(document.object.is_none());
}

#[test]
fn a_field_without_value_counts_as_absent() {
    let document = document(&with_spec(
        "  virtualhost:\n  routes:\n  - match: /\n    services: ~\n    retryPolicy: null\n",
    ));
    assert_eq!(document.diagnostics, []);
    assert_eq!(route(&document).spec.routes[0].services, []);
    let slice = self::document(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a-x}, addressType: IPv4, endpoints: null, ports: null}",
    );
    let Some(Object::EndpointSlice(slice)) = slice.object else {
        panic!("{:?}", slice.diagnostics)
    };
    assert_eq!(slice.endpoints, []);
}

#[test]
fn a_field_that_stands_twice_is_an_error_wherever_it_stands() {
    let (found, has_object) = faults(
        "  routes:\n  - match: /\n    match: /a\n    services:\n    - {name: a, port: 1, port: 2}\n  routes: []\n",
    );
    assert_eq!(
        found,
        [
            "7:5+5 CTR004 .spec.routes[0].match: `match` stands here and in line 6",
            "9:26+4 CTR004 .spec.routes[0].services[0].port: `port` stands here and in line 9",
            "10:3+6 CTR004 .spec.routes: `routes` stands here and in line 5",
        ]
    );
    assert!(!has_object);
}

#[test]
fn kinds_that_are_not_read_are_told_with_the_nearest_one_that_is() {
    for (text, want) in [
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n",
            "2:7+10 CTR005 .kind: apps/v1 Deployment \"web\" is not of a kind that is read",
        ),
        (
            "apiVersion: contour.heptio.com/v1\nkind: IngressRoute\n",
            "2:7+12 CTR005 .kind: contour.heptio.com/v1 IngressRoute is not of a kind that is read (If it is meant to be read: IngressRoute has apiVersion contour.heptio.com/v1beta1 and kind IngressRoute.)",
        ),
        (
            "apiVersion: contour.heptio.com/v1beta1\nkind: Ingressroutes\n",
            "2:7+13 CTR005 .kind: contour.heptio.com/v1beta1 Ingressroutes is not of a kind that is read (If it is meant to be read: IngressRoute has apiVersion contour.heptio.com/v1beta1 and kind IngressRoute.)",
        ),
        (
            "apiVersion: v1\nmetadata: {}\n",
            "1:1+14 CTR006 .kind: the document has no `kind` (Add `kind`.)",
        ),
        ("apiVersion: 1\nkind: x\n", "1:13+1 CTR002 .apiVersion: `apiVersion` must be text"),
        (
            "foo: bar\n",
            "1:1+8 CTR006 .apiVersion: the document has no `apiVersion` (Add `apiVersion`.)",
        ),
    ] {
        let manifest = parse(text);
        assert_eq!(lines(&manifest.diagnostics), [want]);
        assert!(manifest.complete && manifest.documents.is_empty());
    }
}

#[test]
fn an_object_without_a_valid_name_is_no_object() {
    let of = |kind: &str, metadata: &str| {
        let manifest = parse(&format!("apiVersion: v1\nkind: {kind}\n{metadata}"));
        assert!(manifest.documents.is_empty(), "{metadata}");
        lines(&manifest.diagnostics)
    };
    for (kind, metadata, want) in [
        (
            "Service",
            "",
            "1:1+14 CTR006 .metadata: the document has no `metadata` (Add `metadata`.)",
        ),
        (
            "Service",
            "metadata: x",
            "3:11+1 CTR002 .metadata: `metadata` must be a mapping with a `name`",
        ),
        (
            "Service",
            "metadata: {}",
            "3:11+2 CTR006 .metadata.name: the Service has no `name` (Add `name` to `metadata`.)",
        ),
        (
            "Service",
            "metadata: {name: 12}",
            "3:18+2 CTR002 .metadata.name: `name` must be text (Put it into quotes.)",
        ),
        (
            "Service",
            "metadata: {name: a.b}",
            "3:18+3 CTR009 .metadata.name: \"a.b\" cannot be the name of a Service (Use a-z, 0-9 and '-', beginning and ending with a letter or digit, up to 63 characters.)",
        ),
        (
            "Secret",
            "metadata: {name: \"a\\u001b[31m\"}",
            "3:18+13 CTR009 .metadata.name: \"a\\u{1b}[31m\" cannot be the name of a Secret (Use a-z, 0-9 and '-', beginning and ending with a letter or digit, up to 253 characters.)",
        ),
        (
            "Secret",
            "metadata: {name: a, namespace: ../b}",
            "3:32+4 CTR009 .metadata.namespace: \"../b\" cannot be the name of a Namespace (Use a-z, 0-9 and '-', beginning and ending with a letter or digit, up to 63 characters.)",
        ),
    ] {
        assert_eq!(of(kind, metadata), [want]);
    }
    let secret = document("{apiVersion: v1, kind: Secret, metadata: {name: a.b}}");
    assert_eq!(secret.reference.to_string(), "Secret default/a.b");
    let namespace =
        document("{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: x}}");
    assert_eq!(namespace.reference.to_string(), "Namespace a");
}

#[test]
fn what_comes_before_a_fault_of_syntax_is_returned_and_the_text_is_incomplete() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n";
    for (rest, want) in [
        ("a: [", "5:4+1 CTR001 : the text cannot be read on: unclosed bracket '['"),
        (
            "a: b: c",
            "5:5+1 CTR001 : the text cannot be read on: mapping values are not allowed in this context",
        ),
        ("a: 'b", "5:4+1 CTR001 : the text cannot be read on: unclosed quote"),
        (
            "a: *b",
            "5:4+1 CTR001 : the text cannot be read on: while parsing node, found unknown anchor",
        ),
        ("a: @", "5:4+1 CTR001 : the text cannot be read on: unexpected character: `@'"),
        (
            "a: &a {b: *a}",
            "5:11+2 CTR001 : the alias stands inside what it refers to (Write the value out instead of the alias.)",
        ),
    ] {
        let manifest = parse(&format!("{service}{rest}"));
        assert!(!manifest.complete, "{rest}");
        assert_eq!(lines(&manifest.diagnostics), [want]);
        assert_eq!(manifest.documents.len(), 1, "{rest}");
    }
}

#[test]
fn aliases_and_merge_keys_are_followed_and_keep_their_places() {
    let text = with_spec(
        "  routes:
  - match: /
    services: &both
    - &blue {name: blue, port: 80}
    - <<: *blue
      name: green
  - match: /x
    services: *both
  - <<: [{permitInsecure: true}, {permitInsecure: false, match: /y}]
    services: [*blue]
",
    );
    let document = document(&text);
    assert_eq!(document.diagnostics, []);
    let routes = &route(&document).spec.routes;
    assert_eq!(routes[0].services, routes[1].services);
    assert_eq!((&*routes[0].services[1].name, routes[0].services[1].port), ("green", 80));
    assert!(routes[2].permit_insecure);
    assert_eq!(&*routes[2].prefix, "/y");
    for (field, want) in [
        (".spec.routes[0].services[1].port", (8, 32, 2)),
        (".spec.routes[1].services", (12, 15, 5)),
        (".spec.routes[1].services[1].name", (10, 13, 5)),
        (".spec.routes[2].services[0]", (14, 16, 5)),
        (".spec.routes[2].services[0].name", (8, 20, 4)),
    ] {
        assert_eq!(place(&document, field), want, "{field}");
    }
    assert_eq!(
        faults("  routes:\n  - <<: 3\n    match: /\n").0,
        ["6:9+1 CTR002 .spec.routes[0]: only mappings can be merged by `<<`"]
    );
}

#[test]
fn tags_and_keys_that_have_no_meaning_are_faults() {
    assert_eq!(
        faults("  routes:\n  - match: !!str /\n    services: !!seq []\n    prefixRewrite: ! 12\n"),
        (vec![], true)
    );
    assert_eq!(
        faults(
            "  routes:\n  - match: !path /\n    permitInsecure: !!bool maybe\n    ? [a]\n    : b\n"
        )
        .0,
        [
            "6:18+1 CTR002 .spec.routes[0].match: the tag `!path` has no meaning here",
            "7:28+5 CTR002 .spec.routes[0].permitInsecure: the tag `!!bool` has no meaning here",
            "7:28+5 CTR002 .spec.routes[0].permitInsecure: `permitInsecure` must be true or false, not the text \"maybe\"",
            "8:7+3 CTR002 .spec.routes[0]: the key of a field must be text",
        ]
    );
}

#[test]
fn no_message_shows_a_value_of_a_secret() {
    let text = "\
apiVersion: v1
kind: Secret
metadata: {name: s, creationTimestamp: hunter2}
type: [hunter2]
data:
  a: {hunter2: hunter2}
  b: 123456
stringData: hunter2
";
    let document = document(text);
    assert!(document.object.is_none());
    assert_eq!(
        lines(&document.diagnostics),
        [
            "3:40+7 CTR002 .metadata.creationTimestamp: the value is malformed",
            "4:7+9 CTR002 .type: `type` must be text, not a list",
            "6:6+18 CTR002 .data.a: `a` must be text, not a mapping",
            "7:6+6 CTR002 .data.b: `b` must be text, not a number (Put it into quotes.)",
            "8:13+7 CTR002 .stringData: `stringData` must be a mapping, not text of 7 characters",
        ]
    );
    assert!(!format!("{document:?}").contains("hunter2"));
    let whole = self::document(
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {tls.crt: aGk=}, stringData: {k: v, empty: }}",
    );
    let Some(Object::Secret(secret)) = &whole.object else { panic!("{:?}", whole.diagnostics) };
    assert_eq!(secret.data.get("tls.crt").map(|v| &**v), Some("aGk="));
    assert_eq!(secret.string_data.get("empty").map(|v| &**v), Some(""));
}

#[test]
fn what_exceeds_a_limit_is_refused_before_it_costs_anything() {
    let limits = Limits { bytes: 2000, depth: 8, nodes: 200 };
    let refused = |text: &str| {
        let manifest = read("f.yaml", text, limits);
        assert!(!manifest.complete);
        assert_eq!(manifest.documents.len(), 0);
        let [fault] = manifest.diagnostics.as_slice() else { panic!("{:?}", manifest.diagnostics) };
        assert_eq!(fault.code, Code::ManifestTooLarge, "{fault}");
        line(fault)
    };
    assert_eq!(
        refused(&" ".repeat(2001)),
        "1:1+1 CTR007 : the text has 2001 bytes, of which at most 2000 are read"
    );
    let deep = "mappings and lists are nested deeper here than is read";
    assert!(refused(&"[".repeat(300)).ends_with(deep));
    assert!(refused(&"- ".repeat(300)).ends_with(deep));
    assert!(refused("a: &a [[[[]]]]\nb: [[[[*a]]]]\n").ends_with(deep));
    let many = "the text has more values, counted with its aliases, than are read";
    assert!(refused(&format!("[{}]", "a,".repeat(300))).ends_with(many));
    let list = "apiVersion: v1\nkind: List\nitems: []\n---\n";
    assert!(refused(&list.repeat(40)).ends_with(many));
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..7 {
        let below = level - 1;
        writeln!(bomb, "a{level}: &a{level} [*a{below},*a{below},*a{below},*a{below},*a{below}]")
            .expect("a string takes any text");
    }
    assert!(refused(&bomb).ends_with(many));
    let mut merges = "a0: &a0 {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}\n".to_owned();
    for level in 1..20 {
        writeln!(merges, "a{level}: &a{level} {{<<: *a{}, k{level}: 1}}", level - 1)
            .expect("a string takes any text");
    }
    assert!(refused(&merges).ends_with(many));
}

#[test]
fn hostile_texts_of_a_megabyte_are_read_or_refused() {
    let big = "x".repeat(1 << 20);
    for text in [
        big.clone(),
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: {big}}}}}"),
        format!("{{apiVersion: v1, kind: {big}, metadata: {{name: a}}}}"),
        with_spec(&format!("  routes: [{{match: /{big}}}]\n")),
        with_spec(&format!("  {big}: 1\n")),
        with_spec(&format!("  routes: {big}\n")),
        "a: ".repeat(1 << 18),
        "{".repeat(1 << 20),
        "? ".repeat(1 << 19),
        "&a ".repeat(1 << 18),
        "!a ".repeat(1 << 18),
        "#\n".repeat(1 << 19),
        "---\n".repeat(1 << 18),
        "\"\\".repeat(1 << 19),
    ] {
        let manifest = parse(&text);
        for diagnostic in manifest
            .diagnostics
            .iter()
            .chain(manifest.documents.iter().flat_map(|d| &d.diagnostics))
        {
            assert!(diagnostic.message.len() < 1000, "{}", diagnostic.code);
        }
    }
}

#[test]
fn many_faults_of_one_object_are_told_up_to_a_bound() {
    let routes = "  - {match: 1, services: 2}\n".repeat(1000);
    let (found, has_object) = faults(&format!("  routes:\n{routes}"));
    assert!(!has_object);
    assert!((20..=200).contains(&found.len()), "{}", found.len());
    let routes = "  - {}\n".repeat(1000);
    let (found, has_object) = faults(&format!("  routes:\n{routes}"));
    assert!(!has_object);
    assert_eq!(found.len(), 20);
}

#[test]
fn a_second_place_of_an_object_is_told_with_the_first() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let manifest = parse(&format!("{text}---\n{text}"));
    let [first, second] = manifest.documents.as_slice() else { panic!("{manifest:?}") };
    assert_eq!(
        line(&second.duplicate_of(first)),
        "5:1+14 CTR008 : Service default/a stands in f.yaml:1:1 already"
    );
}

/// Pieces out of which texts are made that look like manifests from afar.
const PIECES: [&str; 46] = [
    "apiVersion: contour.heptio.com/v1beta1\n",
    "apiVersion: v1\n",
    "kind: IngressRoute\n",
    "kind: Secret\n",
    "kind: List\n",
    "metadata:\n",
    "  name: a\n",
    "spec:\n",
    "  routes:\n",
    "  - match: /\n",
    "    services:\n",
    "    - name: x\n",
    "      port: 80\n",
    "items:\n",
    "- ",
    "  ",
    "\n",
    "\r",
    "\t",
    "---\n",
    "...\n",
    ": ",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "# c\n",
    "? ",
    "%YAML 1.2\n",
    "%TAG ! x\n",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "é😀",
    "1e999",
];

fn anything() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..60)
        .prop_map(|pieces| pieces.concat());
    let characters = prop::collection::vec(any::<char>(), 0..100).prop_map(String::from_iter);
    let cut = (0..SHOP.len(), 0..SHOP.len(), prop::sample::select(PIECES.as_slice())).prop_map(
        |(from, to, piece)| {
            let (head, tail) = (SHOP.get(..from), SHOP.get(to..));
            format!("{}{piece}{}", head.unwrap_or(""), tail.unwrap_or(""))
        },
    );
    prop_oneof![pieces, characters, cut]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn reading_any_text_ends_with_places_inside_it(text in anything()) {
        let manifest = parse(&text);
        let lines: Vec<&str> = text.split('\n').collect();
        let all = manifest.diagnostics.iter().chain(manifest.documents.iter().flat_map(|d| &d.diagnostics));
        for diagnostic in all {
            let place = diagnostic.location.as_ref().expect("every fault has a place");
            prop_assert!(place.line >= 1 && place.column >= 1 && place.length >= 1);
            // A lone carriage return ends a line for YAML.
            prop_assert!(place.line as usize <= lines.len() + text.matches('\r').count() + 1);
        }
        for document in &manifest.documents {
            prop_assert!(Kind::ALL.contains(&document.reference.kind));
            let sound = document.diagnostics.iter().all(|d| d.code == Code::UnknownField);
            prop_assert_eq!(document.object.is_some(), sound);
        }
    }

    #[test]
    fn what_is_written_is_read_and_stands_where_it_was_written(routes in routes()) {
        let mut out = Written::default();
        out.text.push_str(&with_spec("  routes:\n"));
        out.line = 6;
        for (index, route) in routes.iter().enumerate() {
            route.write(index, &mut out);
        }
        let document = document(&out.text);
        prop_assert_eq!(&document.diagnostics, &[]);
        prop_assert_eq!(self::route(&document).spec.routes.len(), routes.len());
        for (read, written) in self::route(&document).spec.routes.iter().zip(&routes) {
            prop_assert_eq!(&*read.prefix, written.prefix.as_str());
            let services: Vec<_> = read.services.iter().map(|s| (s.name.to_string(), s.port)).collect();
            prop_assert_eq!(&services, &written.services);
        }
        for (field, want) in &out.places {
            prop_assert_eq!(place(&document, field), *want, "{}\n{}", field, out.text);
        }
    }
}

/// A route as it is going to be written.
#[derive(Clone, Debug)]
struct Draft {
    prefix: String,
    services: Vec<(String, i64)>,
    flow: bool,
    comment: bool,
    quote: Option<char>,
}

#[derive(Default)]
struct Written {
    text: String,
    line: u32,
    places: Vec<(String, (u32, u32, u32))>,
}

impl Written {
    /// Ends a line that was pushed.
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.line += u32::try_from(text.matches('\n').count()).expect("texts are short");
    }

    fn column(&self) -> u32 {
        let last = self.text.rsplit('\n').next().unwrap_or_default();
        u32::try_from(last.chars().count()).expect("lines are short") + 1
    }

    fn value(&mut self, field: String, text: &str) {
        let length = u32::try_from(text.chars().count()).expect("values are short");
        self.places.push((field, (self.line, self.column(), length)));
        self.push(text);
    }
}

impl Draft {
    fn write(&self, index: usize, out: &mut Written) {
        if self.comment {
            out.push("  # é: [\n");
        }
        out.push("  - match: ");
        let prefix = match self.quote {
            Some(quote) => format!("{quote}{}{quote}", self.prefix),
            None => self.prefix.clone(),
        };
        out.value(format!(".spec.routes[{index}].match"), &prefix);
        out.push(if self.comment { "   # {\n" } else { "\n" });
        out.push("    services: ");
        out.push(if self.flow { "[" } else { "\n" });
        for (at, (name, port)) in self.services.iter().enumerate() {
            let field = format!(".spec.routes[{index}].services[{at}]");
            out.push(if self.flow { "{name: " } else { "    - name: " });
            out.value(format!("{field}.name"), name);
            out.push(if self.flow { ", port: " } else { "\n      port: " });
            out.value(format!("{field}.port"), &port.to_string());
            out.push(if self.flow { "}, " } else { "\n" });
        }
        if self.flow {
            out.push("]\n");
        }
    }
}

fn routes() -> impl Strategy<Value = Vec<Draft>> {
    let services = prop::collection::vec(("[a-z]{1,8}x", 1_i64..70000), 0..4);
    let quote = prop::sample::select(vec![None, Some('"'), Some('\'')]);
    let draft = ("/[a-zé😀/]{0,12}", services, any::<bool>(), any::<bool>(), quote);
    let draft = draft.prop_map(|(prefix, services, flow, comment, quote)| Draft {
        prefix,
        services,
        flow,
        comment,
        quote,
    });
    prop::collection::vec(draft, 1..5)
}
