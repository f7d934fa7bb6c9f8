//! Listeners that bind no port and fetch certificates before the first client asks.
//!
//! Certificates on demand come at the first handshake of a host. Without a controller at that
//! moment it would fail, and nobody would know before whether Envoy takes the certificate. A
//! prefetch list on the serving chain would replace the chain with each host; listeners of their
//! own share the fetched secrets with it (docs/decisions/0008-warm-certificates.md).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::network::direct_response::v3 as direct_response;
use xxhash_rust::xxh3::xxh3_64;

use super::resource::{Resource, ResourceKey, ResourceType};
use super::{proto, tls};
use crate::name::Fqdn;

/// How many listeners hosts are spread over: at 10,000 hosts each names twenty, so that one more
/// host is a message of a kilobyte.
const BUCKETS: u64 = 512;

/// The listener that warms a host's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of a host, always the same.
    pub fn of(fqdn: &Fqdn) -> Self {
        Self(u16::try_from(xxh3_64(fqdn.as_str().as_bytes()) % BUCKETS).unwrap_or(0))
    }

    /// The resource of the bucket's listener.
    pub fn key(self) -> ResourceKey {
        ResourceKey::new(ResourceType::Listener, format!("warm-{}", self.0))
    }

    /// The listener that fetches the certificates of these hosts.
    pub fn listener(self, hosts: &BTreeSet<Fqdn>) -> Resource {
        let key = self.key();
        let filter = listener::Filter {
            name: "envoy.filters.network.direct_response".to_owned(),
            config_type: Some(listener::filter::ConfigType::TypedConfig(proto::any(
                &direct_response::Config::default(),
            ))),
        };
        let names = hosts.iter().map(ToString::to_string).collect();
        let chain = listener::FilterChain {
            filters: vec![filter],
            transport_socket: Some(tls::warming_socket(names)),
            ..listener::FilterChain::default()
        };
        // Never bound, but listeners may not share an address.
        let [high, low] = self.0.to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(127, 255, high, low));
        let message = listener::Listener {
            name: key.name.to_string(),
            address: Some(proto::tcp_address(address, 1)),
            bind_to_port: Some(proto::bool_value(false)),
            // One set of statistics for all of them.
            stat_prefix: "warm".to_owned(),
            filter_chains: vec![chain],
            ..listener::Listener::default()
        };
        proto::resource(key, &message, Vec::new())
    }
}
