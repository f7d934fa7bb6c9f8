//! Finds the scope of a host that a client wrote in capitals.
//!
//! Host names have no case, scope keys do. A matcher runs the folding filter only for requests
//! whose `:authority` holds a capital, so that all others pay for one regular expression and
//! nothing else (docs/decisions/0005-fold-host-case.md).

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::common::matching::v3 as matching;
use envoy_types::pb::envoy::extensions::filters::http::composite::v3 as composite;
use envoy_types::pb::envoy::extensions::filters::http::lua::v3 as lua;
use envoy_types::pb::envoy::r#type::matcher::v3 as input;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::xds::core::v3 as xds;
use envoy_types::pb::xds::r#type::matcher::v3 as matcher;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list::predicate;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::{OnMatch, on_match};

use super::proto;

/// The extension as a whole, to be named in the list of HTTP filters.
pub(super) const NAME: &str = "contour.fold_host_case";

/// A constant: no text of an object ever becomes part of it.
const FOLD: &str = r#"function envoy_on_request(handle)
  local headers = handle:headers()
  local scope = headers:get("x-contour-scope")
  if scope ~= nil then
    headers:replace("x-contour-scope", string.lower(scope))
    handle:clearRouteCache()
  end
end
"#;

/// A whole `:authority` with a capital somewhere.
const WITH_CAPITAL: &str = "[^A-Z]*[A-Z].*";

/// The filter that folds the scope header and looks the route up again, where needed.
pub(super) fn fold_host_case() -> matching::ExtensionWithMatcher {
    let lua = lua::Lua { default_source_code: Some(proto::inline(FOLD)), ..lua::Lua::default() };
    let action = composite::ExecuteFilterAction {
        typed_config: Some(core::TypedExtensionConfig {
            name: "fold".to_owned(),
            typed_config: Some(proto::any(&lua)),
        }),
        ..composite::ExecuteFilterAction::default()
    };
    let field = matcher_list::FieldMatcher {
        predicate: Some(has_capital()),
        on_match: Some(OnMatch {
            on_match: Some(on_match::OnMatch::Action(extension("fold", proto::any(&action)))),
            ..OnMatch::default()
        }),
    };
    let list = matcher::matcher::MatcherList { matchers: vec![field] };
    matching::ExtensionWithMatcher {
        xds_matcher: Some(matcher::Matcher {
            matcher_type: Some(matcher::matcher::MatcherType::MatcherList(list)),
            ..matcher::Matcher::default()
        }),
        extension_config: Some(proto::extension("composite", &composite::Composite::default())),
        ..matching::ExtensionWithMatcher::default()
    }
}

fn has_capital() -> matcher_list::Predicate {
    let authority = input::HttpRequestHeaderMatchInput { header_name: ":authority".to_owned() };
    let regex = matcher::RegexMatcher {
        regex: WITH_CAPITAL.to_owned(),
        engine_type: Some(matcher::regex_matcher::EngineType::GoogleRe2(
            matcher::regex_matcher::GoogleRe2::default(),
        )),
    };
    let text = matcher::StringMatcher {
        match_pattern: Some(matcher::string_matcher::MatchPattern::SafeRegex(regex)),
        ..matcher::StringMatcher::default()
    };
    matcher_list::Predicate {
        match_type: Some(predicate::MatchType::SinglePredicate(predicate::SinglePredicate {
            input: Some(extension("authority", proto::any(&authority))),
            matcher: Some(predicate::single_predicate::Matcher::ValueMatch(text)),
        })),
    }
}

fn extension(name: &str, message: Any) -> xds::TypedExtensionConfig {
    xds::TypedExtensionConfig { name: name.to_owned(), typed_config: Some(message) }
}
