//! The HTTP connection managers.

use envoy_types::pb::envoy::config::common::mutation_rules::v3 as mutation;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as manager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::scoped_routes::scope_key_builder::fragment_builder;
use envoy_types::pb::envoy::extensions::http::early_header_mutation::header_mutation::v3 as early;
use envoy_types::pb::google::protobuf;

use super::{SCOPE_HEADER, Side, accesslog, fold, proto};
use crate::options::{HttpVersions, Limit, Options, ServerHeader, Timeouts};

/// A connection manager whose routes are chosen by scope.
pub(super) fn connection_manager(side: Side, options: &Options) -> listener::Filter {
    let (stat_prefix, host, log) = match side {
        Side::Http => (super::HTTP_LISTENER, "%REQ(:authority)%", &options.http_access_log),
        Side::Https => {
            (super::HTTPS_LISTENER, "%REQUESTED_SERVER_NAME%", &options.https_access_log)
        }
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
        access_log: accesslog::access_logs(log, &options.access_log),
        ..of_clients(stat_prefix, options)
    };
    filter(&message)
}

/// What the settings say of all connections of clients.
fn of_clients(stat_prefix: &str, options: &Options) -> hcm::HttpConnectionManager {
    let (rules, timeouts) = (&options.http_rules, &options.timeouts);
    let codec = match rules.versions {
        HttpVersions::Both => manager::CodecType::Auto,
        HttpVersions::Http1 => manager::CodecType::Http1,
        HttpVersions::Http2 => manager::CodecType::Http2,
    };
    let server = match rules.server_header {
        ServerHeader::Overwrite => manager::ServerHeaderTransformation::Overwrite,
        ServerHeader::AppendIfAbsent => manager::ServerHeaderTransformation::AppendIfAbsent,
        ServerHeader::PassThrough => manager::ServerHeaderTransformation::PassThrough,
    };
    let limit = options.downstream.max_concurrent_streams;
    hcm::HttpConnectionManager {
        codec_type: codec.into(),
        server_header_transformation: server.into(),
        merge_slashes: rules.merge_slashes,
        strip_trailing_host_dot: rules.strip_trailing_host_dot,
        xff_num_trusted_hops: rules.trusted_hops,
        request_timeout: time(timeouts.request),
        stream_idle_timeout: time(timeouts.stream_idle),
        delayed_close_timeout: time(timeouts.delayed_close),
        drain_timeout: time(timeouts.drain),
        http_protocol_options: Some(core::Http1ProtocolOptions {
            accept_http_10: true,
            allow_chunked_length: rules.allow_chunked_length,
            ..core::Http1ProtocolOptions::default()
        }),
        http2_protocol_options: limit.map(|limit| core::Http2ProtocolOptions {
            max_concurrent_streams: Some(proto::u32_value(limit)),
            ..core::Http2ProtocolOptions::default()
        }),
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: time(timeouts.connection_idle),
            max_connection_duration: time(timeouts.connection),
            max_requests_per_connection: options
                .downstream
                .max_requests_per_connection
                .map(proto::u32_value),
            ..core::HttpProtocolOptions::default()
        }),
        ..base(stat_prefix)
    }
}

/// Envoy takes 0 for no limit.
fn time(limit: Limit) -> Option<protobuf::Duration> {
    match limit {
        Limit::Envoy => None,
        Limit::Infinite => Some(proto::seconds(0)),
        Limit::After(duration) => Some(proto::duration(duration)),
    }
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
            idle_timeout: time(Timeouts::default().connection_idle),
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
