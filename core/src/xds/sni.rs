//! Which filter chain a TLS connection gets, by the name that its client asks for (SNI).
//!
//! A certificate selector asks the controller for whatever name it is given, so a name that can be
//! none of DNS must not reach it: Envoy would keep it in memory, and names that are not UTF-8 break
//! a string of protobuf. Such a connection is closed at once. See "Matching filter chains in
//! listeners" in Envoy's documentation.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::extensions::matching::common_inputs::network::v3::ServerNameInput;
use envoy_types::pb::google::protobuf::StringValue;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3 as matcher;
use matcher::matcher::matcher_list::predicate::{MatchType, SinglePredicate, single_predicate};
use matcher::matcher::matcher_list::{FieldMatcher, Predicate, predicate::PredicateList};
use matcher::matcher::{MatcherList, MatcherTree, MatcherType, OnMatch, matcher_tree, on_match};
use matcher::{Matcher, RegexMatcher, StringMatcher, regex_matcher, string_matcher};

use super::proto;
use crate::name::Fqdn;

/// Labels of letters, digits, hyphens and underscores with dots in between (RFC 1035, 2.3.4; an
/// underscore is common though no host name has one).
const NAME: &str = "(?:[0-9A-Za-z_-]{1,63}\\.)*[0-9A-Za-z_-]{1,63}";
/// A text of at most 253 characters, the longest name that DNS has.
const SHORT: &str = ".{1,253}";

/// Chains by the hosts that have them, and the chain of every other host, if there is one.
pub(super) fn matcher(hosts: &BTreeMap<String, Vec<Fqdn>>, others: Option<&str>) -> Matcher {
    let other = others.map(|chain| Box::new(to_chain(chain)));
    let by_host = if hosts.is_empty() { None } else { Some(tree(hosts, other.clone())) };
    let on_match = match (by_host, other) {
        (Some(tree), _) => Some(OnMatch {
            on_match: Some(on_match::OnMatch::Matcher(Box::new(tree))),
            ..OnMatch::default()
        }),
        (None, other) => other.map(|chain| *chain),
    };
    let predicates = [NAME, SHORT].map(|regex| Predicate {
        match_type: Some(MatchType::SinglePredicate(SinglePredicate {
            input: Some(server_name()),
            matcher: Some(single_predicate::Matcher::ValueMatch(StringMatcher {
                match_pattern: Some(string_matcher::MatchPattern::SafeRegex(RegexMatcher {
                    regex: regex.to_owned(),
                    engine_type: Some(regex_matcher::EngineType::GoogleRe2(
                        regex_matcher::GoogleRe2::default(),
                    )),
                })),
                ..StringMatcher::default()
            })),
        })),
    });
    let both = MatchType::AndMatcher(PredicateList { predicate: predicates.into() });
    let names = FieldMatcher { predicate: Some(Predicate { match_type: Some(both) }), on_match };
    Matcher {
        matcher_type: Some(MatcherType::MatcherList(MatcherList { matchers: vec![names] })),
        // What has no chain is closed.
        on_no_match: None,
    }
}

fn tree(hosts: &BTreeMap<String, Vec<Fqdn>>, others: Option<Box<OnMatch>>) -> Matcher {
    let domain_matchers = hosts.iter().map(|(chain, hosts)| DomainMatcher {
        domains: hosts.iter().map(ToString::to_string).collect(),
        on_match: Some(to_chain(chain)),
    });
    let by_domain = ServerNameMatcher { domain_matchers: domain_matchers.collect() };
    let tree = MatcherTree {
        input: Some(server_name()),
        tree_type: Some(matcher_tree::TreeType::CustomMatch(extension("hosts", &by_domain))),
    };
    Matcher { matcher_type: Some(MatcherType::MatcherTree(tree)), on_no_match: others }
}

fn to_chain(name: &str) -> OnMatch {
    let action = extension("chain", &StringValue { value: name.to_owned() });
    OnMatch { on_match: Some(on_match::OnMatch::Action(action)), ..OnMatch::default() }
}

fn server_name() -> TypedExtensionConfig {
    extension("sni", &ServerNameInput::default())
}

fn extension<M: prost::Message + prost::Name>(name: &str, message: &M) -> TypedExtensionConfig {
    TypedExtensionConfig { name: name.to_owned(), typed_config: Some(proto::any(message)) }
}

/// `xds.type.matcher.v3.ServerNameMatcher` (`xds/type/matcher/v3/domain.proto`), which the
/// generated types lack.
#[derive(Clone, PartialEq, prost::Message)]
struct ServerNameMatcher {
    #[prost(message, repeated, tag = "1")]
    domain_matchers: Vec<DomainMatcher>,
}

impl prost::Name for ServerNameMatcher {
    const NAME: &'static str = "ServerNameMatcher";
    const PACKAGE: &'static str = "xds.type.matcher.v3";

    fn full_name() -> String {
        "xds.type.matcher.v3.ServerNameMatcher".to_owned()
    }

    fn type_url() -> String {
        "type.googleapis.com/xds.type.matcher.v3.ServerNameMatcher".to_owned()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct DomainMatcher {
    #[prost(string, repeated, tag = "1")]
    domains: Vec<String>,
    #[prost(message, optional, tag = "2")]
    on_match: Option<OnMatch>,
}
