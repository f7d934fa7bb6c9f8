use proptest::prelude::*;

use super::*;
use crate::name::ObjectName;
use crate::top::{Numbers, Route};

fn route(name: &str) -> Route {
    Route {
        object: ObjectName::new("demo", name),
        matches: "/cart".into(),
        hosts: vec!["shop.example.com".into(), "www.example.com".into()],
        state: Some("valid".into()),
        errors: vec!["a secret word".into()],
        numbers: Numbers {
            requests_per_second: Some(1_500.0),
            classes: Some([0.0, 97.0, 0.0, 1.0, 2.0]),
            p99: Some(250.0),
            ..Numbers::default()
        },
        active: Some(3),
        overflows_per_second: None,
        destinations: Vec::new(),
    }
}

fn matches(text: &str) -> bool {
    let filter = Filter::parse(text, View::Routes).unwrap_or_else(|e| panic!("{text}: {e}"));
    filter.matches(Item::Route(&route("shop")), 0)
}

#[test]
fn all_terms_must_hold() {
    for (text, expected) in [
        ("", true),
        ("shop", true),
        ("SHOP cart", true),
        ("^shop$", true),
        ("blue", false),
        ("!blue", true),
        ("!shop", false),
        ("secret", false),
        ("errors~secret", true),
        ("name=shop", true),
        ("name=sho", false),
        ("name!=shop", false),
        ("name~^s.*p$", true),
        ("name!~^s.*p$", false),
        ("host=www.example.com", true),
        ("5xx>1", true),
        ("5xx>2", false),
        ("5xx>=2%", true),
        ("5xx=2", true),
        ("5xx!=2", false),
        ("p99<=250ms", true),
        ("p99<0.25s", false),
        ("rps>=1.5k", true),
        ("p50>0", false),
        ("p50<1000", false),
        ("p50=-", true),
        ("p99=-", false),
        ("status=ok 5xx>1 !canary", true),
        ("status=ok 5xx>3", false),
        (r#"match="/cart""#, true),
        ("2xx<98 4xx<5", true),
    ] {
        assert_eq!(matches(text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, at, message) in [
        ("shop nmae=x", 5, "routes have no column \"nmae\"; did you mean name?"),
        ("rps>fast", 0, "\"fast\" is no number, such as 10 or 1.5k"),
        ("p99>1h", 0, "\"1h\" is no number, such as 250ms or 1.5s"),
        ("name>x", 0, "\"x\" is no number"),
        ("a (b", 2, "\"(b\" is no expression"),
        ("a \"b", 2, "this quote is not closed"),
        ("name=", 0, "name= lacks a value"),
        ("name=\"\" shop", 0, "name= lacks a value"),
        ("!", 0, "an expression is missing"),
    ] {
        let error = Filter::parse(text, View::Routes).unwrap_err();
        assert_eq!(error.at, at, "{text}");
        assert!(error.message.starts_with(message), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error_within_it(text in r#"[ a-z0-9!=~<>"().*é-]{0,24}"#) {
        match Filter::parse(&text, View::Routes) {
            Ok(filter) => {
                filter.matches(Item::Route(&route("shop")), 0);
                prop_assert_eq!(filter.to_string(), text.trim());
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.at) && error.at < text.len()),
        }
    }

    #[test]
    fn a_term_and_its_negation_are_never_both_true(term in "(name|rps|p50|host)(=|~)[a-z0-9]{1,3}") {
        let negated = term.replacen('=', "!=", 1).replacen('~', "!~", 1);
        let number = |t: &str| Filter::parse(t, View::Routes).is_ok();
        prop_assume!(number(&term) && number(&negated));
        prop_assert!(!(matches(&term) && matches(&negated)), "{term}");
    }
}
