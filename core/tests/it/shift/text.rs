//! Weights and state written into texts, of which every other byte stays.

use contour_core::api::Object;
use contour_core::manifest::{self, EditError, Limits, Obstacle};
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::shift::state::ANNOTATION;
use contour_core::shift::text::{Change, TextError, edit};
use contour_core::shift::weights::{Place, Service, WeightError, Weights};
use proptest::prelude::*;

use super::generated::{Manner, manners};

/// Weights of services at port 80 of the route `/`.
pub(super) fn weights(of: &[(&str, Option<u32>)]) -> Weights {
    at(Place::Route("/".into()), of)
}

fn at(place: Place, of: &[(&str, Option<u32>)]) -> Weights {
    let one = |(name, weight): &(&str, Option<u32>)| {
        (Service { name: (*name).into(), port: 80 }, weight.map(i64::from))
    };
    Weights::new(place, of.iter().map(one)).unwrap()
}

pub(super) fn shop() -> ObjectName {
    ObjectName::new("default", "shop")
}

pub(super) fn change(
    text: &str,
    weights: &[Weights],
    annotation: Option<&str>,
) -> Result<String, TextError> {
    edit(text, &shop(), &Change { weights, annotation }, Limits::default())
}

/// The lines that differ, `-` before and `+` after, with their breaks.
pub(super) fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = (&old[head..], &new[head..]);
    let tail = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(a, b)| a == b).count();
    let lines = |sign: char, lines: &[&str]| -> String {
        let differing = &lines[..lines.len() - tail];
        differing.iter().fold(String::new(), |all, line| format!("{all}{sign}{line:?}\n"))
    };
    lines('-', rest.0) + &lines('+', rest.1)
}

/// An IngressRoute with these lines of services in its only route.
fn with(services: &str) -> String {
    format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {{name: shop}}\nspec:\n  routes:\n  - match: /\n    services:\n{services}"
    )
}

/// Sets 75 and 25, and looks at what differs; taking back what was set gives the text again.
fn shifted(text: &str, before: [Option<u32>; 2]) -> String {
    let set = weights(&[("blue", Some(75)), ("green", Some(25))]);
    let back = weights(&[("blue", before[0]), ("green", before[1])]);
    let after = change(text, &[set], None).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let again = change(&after, &[back], None).unwrap_or_else(|e| panic!("{e}\n{after}"));
    assert_eq!(again, text, "{after}");
    difference(text, &after)
}

#[test]
fn a_weight_is_replaced_where_it_stands() {
    for (services, want) in [
        (
            "    - name: blue\n      port: 80\n      weight:  90\t # ours\n    - {name: green, weight: 10 , port: 80}\n",
            "-\"      weight:  90\\t # ours\\n\"\n-\"    - {name: green, weight: 10 , port: 80}\\n\"\n\
             +\"      weight:  75\\t # ours\\n\"\n+\"    - {name: green, weight: 25 , port: 80}\\n\"\n",
        ),
        (
            "    - weight: 90\r\n      name: blue\r\n      port: 80\r\n    - name: green\r\n      weight: # n\r\n        10\r\n      port: 80",
            "-\"    - weight: 90\\r\\n\"\n-\"      name: blue\\r\\n\"\n-\"      port: 80\\r\\n\"\n-\"    - name: green\\r\\n\"\n-\"      weight: # n\\r\\n\"\n-\"        10\\r\\n\"\n\
             +\"    - weight: 75\\r\\n\"\n+\"      name: blue\\r\\n\"\n+\"      port: 80\\r\\n\"\n+\"    - name: green\\r\\n\"\n+\"      weight: # n\\r\\n\"\n+\"        25\\r\\n\"\n",
        ),
        (
            "    - { \"weight\":90, \"name\": blue, \"port\": 80 }\n    - {name: green, port: 80, weight: !!int 10}\n...\n",
            "-\"    - { \\\"weight\\\":90, \\\"name\\\": blue, \\\"port\\\": 80 }\\n\"\n-\"    - {name: green, port: 80, weight: !!int 10}\\n\"\n\
             +\"    - { \\\"weight\\\":75, \\\"name\\\": blue, \\\"port\\\": 80 }\\n\"\n+\"    - {name: green, port: 80, weight: !!int 25}\\n\"\n",
        ),
    ] {
        assert_eq!(shifted(&with(services), [Some(90), Some(10)]), want);
    }
}

/// Services without weights, and the lines that differ once they have some.
const ABSENT: &[(&str, &str)] = &[
    // Block mappings, with comments and odd indentation.
    (
        "    - name: blue\n      port: 80 # p\n      # weight: 1\n    - port: 80\n      name: green",
        "-\"      # weight: 1\\n\"\n-\"    - port: 80\\n\"\n-\"      name: green\"\n\
         +\"      weight: 75\\n\"\n+\"      # weight: 1\\n\"\n+\"    - port: 80\\n\"\n+\"      name: green\\n\"\n+\"      weight: 25\"\n",
    ),
    (
        "     -   name: blue\r\n         port: 80\r\n     -\r\n       name: green\r\n       port: 80  \r\n",
        "-\"     -\\r\\n\"\n-\"       name: green\\r\\n\"\n-\"       port: 80  \\r\\n\"\n\
         +\"         weight: 75\\r\\n\"\n+\"     -\\r\\n\"\n+\"       name: green\\r\\n\"\n+\"       port: 80  \\r\\n\"\n+\"       weight: 25\\r\\n\"\n",
    ),
    // The last field has fields of its own.
    (
        "    - name: blue\n      port: 80\n      healthCheck:\n        path: /\n        host: é # h\n        # end\n\n    - name: green\n      port: 80\n      strategy: >-\n        Random\n\n---\n",
        "-\"        # end\\n\"\n-\"\\n\"\n-\"    - name: green\\n\"\n-\"      port: 80\\n\"\n-\"      strategy: >-\\n\"\n-\"        Random\\n\"\n\
         +\"      weight: 75\\n\"\n+\"        # end\\n\"\n+\"\\n\"\n+\"    - name: green\\n\"\n+\"      port: 80\\n\"\n+\"      strategy: >-\\n\"\n+\"        Random\\n\"\n+\"      weight: 25\\n\"\n",
    ),
    // In braces.
    (
        "    - {name: blue, port: 80}\n    - { port: 80 ,\tname: green , } # g\n",
        "-\"    - {name: blue, port: 80}\\n\"\n-\"    - { port: 80 ,\\tname: green , } # g\\n\"\n\
         +\"    - {name: blue, port: 80, weight: 75}\\n\"\n+\"    - { port: 80 ,\\tname: green ,\\tweight: 25, } # g\\n\"\n",
    ),
    (
        "    - {\n        name: blue, # b\n        port: 80 # p\n      }\n    - {\n        name: green,\n        port: 80, # p\n        # e\n      }\n",
        "-\"        port: 80 # p\\n\"\n-\"      }\\n\"\n-\"    - {\\n\"\n-\"        name: green,\\n\"\n-\"        port: 80, # p\\n\"\n\
         +\"        port: 80, # p\\n\"\n+\"        weight: 75\\n\"\n+\"      }\\n\"\n+\"    - {\\n\"\n+\"        name: green,\\n\"\n+\"        port: 80, # p\\n\"\n+\"        weight: 25,\\n\"\n",
    ),
    (
        "      [{\"name\":\"blue\",\"port\":80},{name: green\n      , port: 80}]",
        "-\"      [{\\\"name\\\":\\\"blue\\\",\\\"port\\\":80},{name: green\\n\"\n-\"      , port: 80}]\"\n\
         +\"      [{\\\"name\\\":\\\"blue\\\",\\\"port\\\":80,\\\"weight\\\":75},{name: green\\n\"\n+\"      , port: 80, weight: 25}]\"\n",
    ),
    (
        "    - {\"name\" : \"blue\",\n       \"port\" : 80}\n    - {name: green,\n       port:\n         80 # é\n         }\n",
        "-\"       \\\"port\\\" : 80}\\n\"\n-\"    - {name: green,\\n\"\n-\"       port:\\n\"\n-\"         80 # é\\n\"\n\
         +\"       \\\"port\\\" : 80,\\n\"\n+\"       \\\"weight\\\" : 75}\\n\"\n+\"    - {name: green,\\n\"\n+\"       port:\\n\"\n+\"         80, # é\\n\"\n+\"       weight: 25\\n\"\n",
    ),
];

#[test]
fn a_weight_that_is_not_there_becomes_the_last_field_in_the_same_layout() {
    for (services, want) in ABSENT {
        assert_eq!(shifted(&with(services), [None, None]), *want, "{services}");
    }
}

#[test]
fn weights_are_removed_from_wherever_they_stand() {
    let unset = weights(&[("blue", None), ("green", None)]);
    for (services, want) in [
        (
            "    - weight: 1\n      name: blue\n      port: 80\n    - name: green\n      weight: 2 # w\n      port: 80\n",
            "    - name: blue\n      port: 80\n    - name: green\n      # w\n      port: 80\n",
        ),
        (
            "    - {weight: 1, name: blue, port: 80}\n    - {name: green, weight: 2, port: 80}\n",
            "    - { name: blue, port: 80}\n    - {name: green, port: 80}\n",
        ),
        (
            "    - {\n      weight: 1,\n      name: blue, port: 80, }\n    - {name: green,\n       # two\n       weight: 2, # w\n       port: 80}\n",
            "    - {\n      name: blue, port: 80, }\n    - {name: green,\n       # two # w\n       port: 80}\n",
        ),
        (
            "    - {name: blue, port: 80, # c\n       weight: 1}\n    - {name: green, port: 80,\n       weight: 2 # w\n       }\n",
            "    - {name: blue, port: 80 # c}\n    - {name: green, port: 80 # w\n       }\n",
        ),
    ] {
        let outcome = change(&with(services), std::slice::from_ref(&unset), None);
        if services.contains("# c\n") {
            // The comment would swallow the brace.
            assert_eq!(outcome, Err(EditError::Unsure(shop().of(Kind::IngressRoute)).into()));
        } else {
            assert_eq!(outcome, Ok(with(want)), "{services}");
        }
    }
}

/// Beginnings of a text up to its spec, and the lines that differ once it is annotated.
const METADATA: &[(&str, &str)] = &[
    (
        "metadata:\n  name: shop # s\n# end\n",
        "+\"  annotations:\\n\"\n+\"    shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'\\n\"\n",
    ),
    (
        "metadata:\r\n    labels:\r\n        a: b\r\n    name: shop\r\n",
        "+\"    annotations:\\r\\n\"\n+\"        shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'\\r\\n\"\n",
    ),
    (
        "metadata:\n  annotations:\n    a: |\n      b\n      c\n\n  name: shop\n",
        "+\"    shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'\\n\"\n",
    ),
    (
        "metadata:\n  annotations:\n    a: |+\n      b\n\n\n  name: shop\n",
        "+\"    shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'\\n\"\n",
    ),
    (
        "metadata:\n  name: shop\n  annotations: # none\n    # a: b\n",
        "-\"  annotations: # none\\n\"\n+\"  annotations: {shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'} # none\\n\"\n",
    ),
    (
        "metadata:\n  annotations: { }\n  name: shop\n",
        "-\"  annotations: { }\\n\"\n+\"  annotations: { shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}' }\\n\"\n",
    ),
    (
        "metadata: {name: shop}\n",
        "-\"metadata: {name: shop}\\n\"\n+\"metadata: {name: shop, annotations: {shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'}}\\n\"\n",
    ),
    (
        "metadata: {annotations: {}, name: shop}\n",
        "-\"metadata: {annotations: {}, name: shop}\\n\"\n+\"metadata: {annotations: { shift.contour.heptio.com/state: '{\\\"v\\\":\\\"it''s\\\"}'}, name: shop}\\n\"\n",
    ),
    (
        "metadata: {\"name\":\"shop\"}\n",
        "-\"metadata: {\\\"name\\\":\\\"shop\\\"}\\n\"\n+\"metadata: {\\\"name\\\":\\\"shop\\\",\\\"annotations\\\":{\\\"shift.contour.heptio.com/state\\\":\\\"{\\\\\\\"v\\\\\\\":\\\\\\\"it's\\\\\\\"}\\\"}}\\n\"\n",
    ),
    (
        "metadata: {\n  \"annotations\": {\n    \"a\": \"b\"\n  },\n  \"name\": \"shop\" }\n",
        "-\"    \\\"a\\\": \\\"b\\\"\\n\"\n+\"    \\\"a\\\": \\\"b\\\",\\n\"\n+\"    \\\"shift.contour.heptio.com/state\\\": \\\"{\\\\\\\"v\\\\\\\":\\\\\\\"it's\\\\\\\"}\\\"\\n\"\n",
    ),
];

const STATE: &str = r#"{"v":"it's"}"#;

fn with_metadata(metadata: &str) -> String {
    format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n{metadata}spec:\n  routes: [{{match: /, services: [{{name: blue, port: 80}}]}}]\n"
    )
}

#[test]
fn an_annotation_is_inserted_in_the_layout_of_the_metadata_and_goes_without_a_trace() {
    for (metadata, want) in METADATA {
        let text = with_metadata(metadata);
        let after = change(&text, &[], Some(STATE)).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(difference(&text, &after), *want, "{text}");
        let other = change(&after, &[], Some("{\"v\":\"\"}")).unwrap();
        assert_eq!(change(&other, &[], Some(STATE)).as_ref(), Ok(&after), "{other}");
        assert_eq!(change(&after, &[], None), Ok(text), "{after}");
    }
}

#[test]
fn an_annotation_is_replaced_however_it_is_written() {
    for (written, replaced) in [
        ("\"a\\\n      b\"", "'{\"v\":\"it''s\"}'"),
        ("plain\n      text # c", "'{\"v\":\"it''s\"}' # c"),
        ("|\n      a\n      # b\n   # c", "'{\"v\":\"it''s\"}'\n   # c"),
        (">+2\n\n      a\n\n", "'{\"v\":\"it''s\"}'"),
        ("'{\"v\":\"it''s\"}'", "'{\"v\":\"it''s\"}'"),
        ("\"{\\\"v\\\":\\\"it's\\\"}\"", "\"{\\\"v\\\":\\\"it's\\\"}\""),
    ] {
        let text = |value| {
            with_metadata(&format!(
                "metadata:\n  annotations:\n    {ANNOTATION}: {value}\n  name: shop\n"
            ))
        };
        assert_eq!(change(&text(written), &[], Some(STATE)), Ok(text(replaced)), "{written}");
        assert_eq!(
            change(&text(written), &[], None).map(|t| t.contains(ANNOTATION)),
            Ok(false),
            "{written}"
        );
    }
}

#[test]
fn what_cannot_stand_in_single_quotes_is_escaped() {
    let text = with_metadata("metadata:\n  name: shop\n");
    let long = "'\"".repeat(8 * 1024);
    for state in [&long, "a\nb", " \t\u{7f}\u{85}\u{2028}\u{feff}\\\"", "é\u{1f600}", "", "#"] {
        let after = change(&text, &[], Some(state)).unwrap();
        let manifest = manifest::read("", &after, Limits::default());
        let Some(Object::IngressRoute(route)) = &manifest.documents[0].object else {
            panic!("{after}")
        };
        assert_eq!(route.metadata.annotations[ANNOTATION].as_ref(), state);
        assert_eq!(after.lines().count(), text.lines().count() + 2, "{after}");
        assert_eq!(change(&after, &[], None).as_ref(), Ok(&text));
    }
}

fn refused(text: &str) -> String {
    let set = weights(&[("blue", Some(75)), ("green", Some(25))]);
    change(text, &[set], Some(STATE)).expect_err(text).to_string()
}

#[test]
fn what_is_used_elsewhere_is_not_edited() {
    for (services, line, column, obstacle) in [
        (
            "    - {name: blue, port: 80, weight: &w 1}\n    - {name: green, port: 80, weight: 2}\n",
            8,
            41,
            Obstacle::Anchor,
        ),
        (
            "    - {name: blue, port: &p 80, weight: *p}\n    - {name: green, port: 80}\n",
            8,
            41,
            Obstacle::Alias,
        ),
        (
            "    - &b {name: blue, port: 80}\n    - <<: *b\n      name: green\n",
            8,
            10,
            Obstacle::Anchor,
        ),
        (
            "    - <<: {port: 80, weight: 2}\n      name: blue\n    - {name: green, port: 80}\n",
            8,
            7,
            Obstacle::Merge,
        ),
        (
            "    - <<: {name: blue, port: 80}\n    - {name: green, port: 80}\n",
            8,
            7,
            Obstacle::Merge,
        ),
        (
            "    - {name: blue, port: 80, weight: null}\n    - {name: green, port: 80}\n",
            8,
            38,
            Obstacle::Null,
        ),
        (
            "      &s\n      - {name: blue, port: 80}\n      - {name: green, port: 80}\n  - match: /a\n    services: *s\n",
            9,
            7,
            Obstacle::Anchor,
        ),
    ] {
        let set = weights(&[("blue", Some(75)), ("green", Some(25))]);
        let error = change(&with(services), &[set], None).expect_err(services);
        let TextError::Edit(EditError::Field { field, line: l, column: c, obstacle: o }) = &error
        else {
            panic!("{error}: {services}")
        };
        assert!(field.as_str().ends_with(".weight"), "{error}");
        assert_eq!((*l, *c, *o), (line, column, obstacle), "{error}: {services}");
    }
}

#[test]
fn an_anchor_that_nobody_uses_or_that_stands_beside_is_in_nobodys_way() {
    let text = with(
        "    - &b\n      name: blue\n      port: &p 80\n    - {name: green, port: *p, healthCheck: &h {path: /}}\n  - match: /a\n    services: [{name: x, port: 80, healthCheck: *h}]\n",
    );
    assert_eq!(shifted(&text, [None, None]).lines().filter(|l| l.contains("weight")).count(), 2);
}

#[test]
fn only_an_object_that_is_there_once_and_sound_is_edited() {
    let good = with("    - {name: blue, port: 80}\n    - {name: green, port: 80}\n");
    let twice = format!("{good}---\n{good}");
    assert_eq!(
        refused(&twice),
        "IngressRoute default/shop stands in the text more than once: which one to edit is not clear"
    );
    assert_eq!(
        refused(&good.replace("shop", "mall")),
        "IngressRoute default/shop is not in the text"
    );
    assert_eq!(refused(""), "IngressRoute default/shop is not in the text");
    assert_eq!(
        refused(&format!("{good}---\na: [")),
        "line 11, column 4: the text cannot be read on: unclosed bracket '['"
    );
    assert_eq!(
        refused(&good.replace("port: 80}", "port: 80, weight: \"5\"}")),
        "line 8, column 38: `weight` must be a whole number, not the text \"5\""
    );
    assert!(
        refused(&good.replace("port: 80}", "port: 80, port: 80}")).contains("`port` stands here")
    );
    assert_eq!(refused(&good.replace("green", "red")), "route / has no service green:80");
    assert_eq!(
        refused(&good.replace("green", "blue")),
        "route / names blue:80 more than once: which weight to move is not clear"
    );
    assert_eq!(
        refused(&good.replace("match: /", "match: /a")),
        "route / is not in the IngressRoute, or is there more than once"
    );
    let tcp = at(Place::Tcp, &[("blue", None)]);
    assert_eq!(change(&good, &[tcp], None), Err(TextError::Place(Place::Tcp)));
    assert!(matches!(
        change(
            &good.replace(
                "\n    services:",
                "\n    delegate: {name: x}\n  tcpproxy:\n    services:"
            ),
            &[at(Place::Tcp, &[("x", None)])],
            None
        ),
        Err(TextError::Weights(WeightError::Absent { .. }))
    ));
    let set = weights(&[("blue", Some(1)), ("blue2", None)]);
    let small = Limits { bytes: 10, ..Limits::default() };
    let change = Change { weights: &[set], annotation: None };
    assert!(matches!(
        edit(&good, &shop(), &change, small),
        Err(TextError::Edit(EditError::Faulty { line: 1, .. }))
    ));
}

#[test]
fn other_documents_and_items_of_a_list_stay() {
    let one = "  - apiVersion: contour.heptio.com/v1beta1\n    kind: IngressRoute\n    metadata: {name: NAME}\n    spec:\n      tcpproxy:\n        services:\n        - name: blue\n          port: 80\n";
    let text = format!(
        "# head\n%YAML 1.2\n---\nkind: Other\napiVersion: v1\nmetadata: &m {{name: x}}\n...\n---\napiVersion: v1\nkind: List\nitems:\n{}{}\n...\n--- # last\n{{}}\n",
        one.replace("NAME", "mall"),
        one.replace("NAME", "shop")
    );
    let set = at(Place::Tcp, &[("blue", Some(7))]);
    let after = change(&text, &[set], Some("x")).unwrap();
    assert_eq!(
        difference(&text, &after),
        "-\"    metadata: {name: shop}\\n\"\n-\"    spec:\\n\"\n-\"      tcpproxy:\\n\"\n-\"        services:\\n\"\n-\"        - name: blue\\n\"\n-\"          port: 80\\n\"\n\
         +\"    metadata: {name: shop, annotations: {shift.contour.heptio.com/state: 'x'}}\\n\"\n+\"    spec:\\n\"\n+\"      tcpproxy:\\n\"\n+\"        services:\\n\"\n+\"        - name: blue\\n\"\n+\"          port: 80\\n\"\n+\"          weight: 7\\n\"\n"
    );
    let unset = at(Place::Tcp, &[("blue", None)]);
    assert_eq!(change(&after, &[unset], None), Ok(text));
}

#[test]
fn a_byte_order_mark_stays() {
    let text = format!(
        "\u{feff}{}",
        with("    - name: blue\n      port: 80\n    - name: green\n      port: 80\n")
    );
    assert_eq!(shifted(&text, [None, None]).lines().filter(|l| l.starts_with('-')).count(), 2);
}

#[test]
fn what_is_so_already_is_not_touched_however_it_is_written() {
    let text = with(
        "    - {name: blue, port: 80, weight: 0x4B}\n    - {name: green, port: 80, weight: &w +25}\n",
    );
    let set = weights(&[("blue", Some(75)), ("green", Some(25))]);
    assert_eq!(change(&text, &[set], None), Ok(text));
}

#[test]
fn a_commented_file_with_every_field_reads_like_this() {
    let text = include_str!("texts/full.yaml");
    let set = [
        weights(&[("blue", Some(990_000)), ("green", Some(10_000))]),
        at(Place::Route("/cart".into()), &[("blue", Some(99)), ("green", Some(1))]),
        at(Place::Tcp, &[("blue", Some(3)), ("green", Some(4))]),
    ];
    let back = [
        weights(&[("blue", None), ("green", None)]),
        at(Place::Route("/cart".into()), &[("blue", Some(100)), ("green", Some(0))]),
        at(Place::Tcp, &[("blue", None), ("green", None)]),
    ];
    let state = r#"{"v":1,"shift":{"id":"5f","reason":"it's \"new\""}}"#;
    let after = change(text, &set, Some(state)).unwrap();
    insta::assert_snapshot!(after);
    assert_eq!(change(&after, &back, None).as_deref(), Ok(text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_but_what_was_asked_changes_and_it_can_be_taken_back(
        manner in manners(),
        shares in (0_u32..=1_000_000, 0_u32..=1_000_000),
        state in "\\PC{0,40}",
    ) {
        let Manner { text, weights: before, place, pieces } = manner;
        let set = at(place.clone(), &[("blue", Some(shares.0)), ("green", Some(shares.1))]);
        let back = at(place, &[("blue", before[0]), ("green", before[1])]);
        let after = change(&text, std::slice::from_ref(&set), Some(&state));
        let after = after.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let object = ObjectRef { kind: Kind::IngressRoute, name: shop() };
        let manifest = manifest::read("", &after, Limits::default());
        let document = manifest.documents.iter().find(|d| d.reference == object);
        let Some(Some(Object::IngressRoute(route))) = document.map(|d| &d.object) else {
            return Err(TestCaseError::fail(after));
        };
        prop_assert_eq!(route.metadata.annotations[ANNOTATION].as_ref(), &*state);
        let found: Vec<_> = Weights::of_spec(&route.spec).into_iter().flatten().collect();
        prop_assert!(found.iter().any(|w| w.agrees(&set)), "{}", after);
        // What was there is there, in the same order.
        prop_assert!(is_within(&pieces, &after), "{}\n{}", text, after);
        let again = change(&after, &[back], None);
        prop_assert_eq!(again.as_deref(), Ok(&*text), "{}", after);
    }
}

/// Where a text is cut, what is cut away and what is put there.
fn damages() -> impl Strategy<Value = (prop::sample::Index, usize, &'static str)> {
    let put = prop::sample::select(vec![
        "",
        " ",
        "\n",
        "\t",
        "#",
        " #",
        ",",
        ":",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "{",
        "}",
        "|\n",
        "\r",
        "é",
        "---\n",
        "~",
        "'",
        "\"",
        "!x ",
        "weight: ",
        "weight: 5\n",
        "\u{85}",
        "\u{2028}",
    ]);
    (any::<prop::sample::Index>(), 0_usize..4, put)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_damaged_text_is_refused_or_edited_so_that_it_can_be_taken_back(
        manner in manners(),
        damages in prop::collection::vec(damages(), 1..3),
    ) {
        let mut chars: Vec<char> = manner.text.chars().collect();
        for (at, cut, put) in damages {
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        let text: String = chars.into_iter().collect();
        let manifest = manifest::read("", &text, Limits::default());
        let name = shop().of(Kind::IngressRoute);
        let document = manifest.documents.iter().find(|d| d.reference == name);
        let Some(Some(Object::IngressRoute(route))) = document.map(|d| &d.object) else {
            prop_assert!(change(&text, &[], Some(STATE)).is_err());
            return Ok(());
        };
        let back: Vec<_> = Weights::of_spec(&route.spec).into_iter().flatten().collect();
        let set: Vec<_> = back.iter().map(|weights| {
            let services = weights.services().iter().map(|w| (w.0.clone(), Some(7)));
            Weights::new(weights.place().clone(), services).unwrap()
        }).collect();
        if let Ok(after) = change(&text, &set, Some(STATE)) {
            let before = route.metadata.annotations.get(ANNOTATION).map(AsRef::as_ref);
            let again = change(&after, &back, before);
            prop_assert_eq!(again.as_deref(), Ok(&*text), "{:?}", after);
        }
    }
}

/// Whether all of some pieces stand in a text, one after the other.
fn is_within(pieces: &[String], text: &str) -> bool {
    let mut rest = text;
    pieces.iter().all(|piece| match rest.split_once(piece.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
