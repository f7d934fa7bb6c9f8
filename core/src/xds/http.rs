//! The HTTP connection managers.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::common::mutation_rules::v3 as mutation;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file;
use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as manager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder::fragment_builder;
use envoy_types::pb::envoy::extensions::http::early_header_mutation::header_mutation::v3 as early;

use super::{SCOPE_HEADER, Side, fold, proto};

/// Idle connections of clients are closed after this time, Contour's default.
const IDLE_TIMEOUT_SECONDS: u64 = 60;

/// A connection manager whose routes are chosen by scope.
pub(super) fn connection_manager(side: Side, access_log: &str) -> listener::Filter {
    let (stat_prefix, host) = match side {
        Side::Http => (super::HTTP_LISTENER, "%REQ(:authority)%"),
        Side::Https => (super::HTTPS_LISTENER, "%REQUESTED_SERVER_NAME%"),
    };
    let scope = format!("{}|{host}", side.as_str());
    let mut http_filters = Vec::new();
    if side == Side::Http {
        // On the TLS side Envoy itself folds the SNI.
        http_filters.push(http_filter(fold::NAME, &fold::fold_host_case()));
    }
    http_filters.push(router());
    let message = hcm::HttpConnectionManager {
        early_header_mutation_extensions: vec![set_scope(&scope)],
        route_specifier: Some(manager::RouteSpecifier::ScopedRoutes(scoped_routes(stat_prefix))),
        http_filters,
        access_log: access_logs(access_log),
        ..base(stat_prefix)
    };
    filter(&message)
}

/// What all connection managers have in common, the settings that Contour chose.
pub(super) fn base(stat_prefix: &str) -> hcm::HttpConnectionManager {
    hcm::HttpConnectionManager {
        stat_prefix: stat_prefix.to_owned(),
        use_remote_address: Some(proto::bool_value(true)),
        // What routing sees and what the backend sees must be the same path.
        normalize_path: Some(proto::bool_value(true)),
        merge_slashes: true,
        strip_trailing_host_dot: true,
        preserve_external_request_id: true,
        http_protocol_options: Some(core::Http1ProtocolOptions {
            accept_http_10: true,
            ..core::Http1ProtocolOptions::default()
        }),
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: Some(proto::seconds(IDLE_TIMEOUT_SECONDS)),
            ..core::HttpProtocolOptions::default()
        }),
        ..hcm::HttpConnectionManager::default()
    }
}

pub(super) fn filter(message: &hcm::HttpConnectionManager) -> listener::Filter {
    listener::Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(proto::any(message))),
    }
}

pub(super) fn router() -> hcm::HttpFilter {
    http_filter("envoy.filters.http.router", &router::Router::default())
}

/// An access log in Envoy's own text format; none for an empty path.
pub(super) fn access_logs(path: &str) -> Vec<accesslog::AccessLog> {
    if path.is_empty() {
        return Vec::new();
    }
    let message = file::FileAccessLog { path: path.to_owned(), ..file::FileAccessLog::default() };
    vec![accesslog::AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(proto::any(&message))),
        ..accesslog::AccessLog::default()
    }]
}

/// Runs before routing and overwrites whatever a client sent.
fn set_scope(value: &str) -> core::TypedExtensionConfig {
    let option = core::HeaderValueOption {
        header: Some(core::HeaderValue {
            key: SCOPE_HEADER.to_owned(),
            value: value.to_owned(),
            ..core::HeaderValue::default()
        }),
        append_action: core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..core::HeaderValueOption::default()
    };
    let mutation = mutation::HeaderMutation {
        action: Some(mutation::header_mutation::Action::Append(option)),
    };
    proto::extension("scope", &early::HeaderMutation { mutations: vec![mutation] })
}

/// The scope is the header without a port.
fn scoped_routes(name: &str) -> hcm::ScopedRoutes {
    let extractor = fragment_builder::HeaderValueExtractor {
        name: SCOPE_HEADER.to_owned(),
        element_separator: ":".to_owned(),
        extract_type: Some(fragment_builder::header_value_extractor::ExtractType::Index(0)),
    };
    let fragment = scope_key_builder::FragmentBuilder {
        r#type: Some(fragment_builder::Type::HeaderValueExtractor(extractor)),
    };
    hcm::ScopedRoutes {
        name: name.to_owned(),
        scope_key_builder: Some(scoped_routes::ScopeKeyBuilder { fragments: vec![fragment] }),
        rds_config_source: Some(proto::ads()),
        config_specifier: Some(scoped_routes::ConfigSpecifier::ScopedRds(hcm::ScopedRds {
            scoped_rds_config_source: Some(proto::ads()),
            ..hcm::ScopedRds::default()
        })),
    }
}

fn http_filter<M: prost::Message + prost::Name>(name: &str, message: &M) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(proto::any(message))),
        ..hcm::HttpFilter::default()
    }
}
