//! The gate: a listener in which an Envoy is shown certificates before any client can meet them.
//!
//! Two parsers differ. Envoy 1.40 ends when a handshake meets a certificate that Envoy refused
//! (docs/decisions/0020-the-gate.md). So the xDS server first sends a certificate under
//! [`SECRET`], a name that no client can ask for, and under the name of a host only once that Envoy
//! has acknowledged it. Never bound, never changed by a host.

use std::net::{IpAddr, Ipv4Addr};

use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::network::direct_response::v3 as direct_response;

use super::resource::{Resource, ResourceKey, ResourceType};
use super::{proto, tls};
use crate::options::TlsRules;

/// The name of the listener.
pub const LISTENER: &str = "gate";

/// The name under which certificates are shown. It has 300 bytes: BoringSSL refuses a server name
/// of more than 255 before anything asks for its certificate.
pub const SECRET: &str = concat!(
    "gate/.............................................",
    "..................................................",
    "..................................................",
    "..................................................",
    "..................................................",
    "..................................................",
);

/// The listener, with the TLS parameters of those that serve.
pub(super) fn listener(rules: &TlsRules) -> Resource {
    let filter = listener::Filter {
        name: "envoy.filters.network.direct_response".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(proto::any(
            &direct_response::Config::default(),
        ))),
    };
    let chain = listener::FilterChain {
        filters: vec![filter],
        transport_socket: Some(tls::gate_socket(SECRET, rules)),
        ..listener::FilterChain::default()
    };
    let message = listener::Listener {
        name: LISTENER.to_owned(),
        // Never bound, but listeners may not share an address; those that warm have port 1.
        address: Some(proto::tcp_address(IpAddr::V4(Ipv4Addr::new(127, 255, 0, 0)), 2)),
        bind_to_port: Some(proto::bool_value(false)),
        filter_chains: vec![chain],
        ..listener::Listener::default()
    };
    proto::resource(ResourceKey::new(ResourceType::Listener, LISTENER), &message, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_can_ask_for_the_name_of_the_gate() {
        assert_eq!(SECRET.len(), 300);
    }
}
