//! The gate: a listener in which an Envoy is shown certificates before any client can meet them.
//!
//! Two parsers differ. Envoy 1.40 ends when a handshake meets a certificate that Envoy refused
//! (docs/decisions/0020-the-gate.md). So the xDS server first sends a certificate under
//! [`SECRET`], a name that no client can ask for, and under the name of a host only once that Envoy
//! has acknowledged it. Never bound, never changed by a host.

use std::net::Ipv4Addr;

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
    // Those that warm have port 1.
    let address = (Ipv4Addr::new(127, 255, 0, 0), 2);
    let message = proto::unbound_listener(LISTENER, address, tls::gate_socket(SECRET, rules));
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
