//! Small pieces of Envoy configuration that several resources need.

use std::net::Ipv4Addr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::network::direct_response::v3 as direct_response;
use envoy_types::pb::google::protobuf;
use prost::{Message, Name};

use super::resource::{Resource, ResourceKey};

/// Packs a message.
pub(super) fn any<M: Message + Name>(message: &M) -> protobuf::Any {
    protobuf::Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A message as a resource. Encoding is deterministic as long as no map has two entries.
pub(super) fn resource<M: Message>(
    key: ResourceKey,
    message: &M,
    requires: Vec<ResourceKey>,
) -> Resource {
    Resource::new(key, message.encode_to_vec(), requires)
}

pub(super) fn duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

pub(super) fn seconds(seconds: u64) -> protobuf::Duration {
    duration(Duration::from_secs(seconds))
}

pub(super) fn u32_value(value: u32) -> protobuf::UInt32Value {
    protobuf::UInt32Value { value }
}

pub(super) fn bool_value(value: bool) -> protobuf::BoolValue {
    protobuf::BoolValue { value }
}

/// The aggregated stream as a source of configuration.
pub(super) fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource::default(),
        )),
        ..core::ConfigSource::default()
    }
}

pub(super) fn tcp_address(address: std::net::IpAddr, port: u16) -> core::Address {
    core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: address.to_string(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
            ..core::SocketAddress::default()
        })),
    }
}

/// A listener that binds no port, for the sake of the secrets that its TLS fetches. Listeners may
/// not share an address, though this one is never bound.
pub(super) fn unbound_listener(
    name: &str,
    (address, port): (Ipv4Addr, u16),
    transport_socket: core::TransportSocket,
) -> listener::Listener {
    let filter = listener::Filter {
        name: "envoy.filters.network.direct_response".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(any(
            &direct_response::Config::default(),
        ))),
    };
    let chain = listener::FilterChain {
        filters: vec![filter],
        transport_socket: Some(transport_socket),
        ..listener::FilterChain::default()
    };
    listener::Listener {
        name: name.to_owned(),
        address: Some(tcp_address(address.into(), port)),
        bind_to_port: Some(bool_value(false)),
        filter_chains: vec![chain],
        ..listener::Listener::default()
    }
}

pub(super) fn extension<M: Message + Name>(name: &str, message: &M) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig { name: name.to_owned(), typed_config: Some(any(message)) }
}

pub(super) fn inline(text: &str) -> core::DataSource {
    core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(text.to_owned())),
        ..core::DataSource::default()
    }
}
