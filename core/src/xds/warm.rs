//! Listeners that bind no port and fetch certificates before the first client asks.
//!
//! Certificates on demand come at the first handshake of a host. Without a controller at that
//! moment it would fail, and nobody would know before whether Envoy takes the certificate. A
//! prefetch list on the serving chain would replace the chain with each host; listeners of their
//! own share the fetched secrets with it (docs/decisions/0008-warm-certificates.md).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use envoy_types::pb::envoy::config::listener::v3 as listener;
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
        let names = hosts.iter().map(ToString::to_string).collect();
        let [high, low] = self.0.to_be_bytes();
        let address = Ipv4Addr::new(127, 255, high, low);
        let message = listener::Listener {
            // One set of statistics for all of them.
            stat_prefix: "warm".to_owned(),
            ..proto::unbound_listener(&key.name, (address, 1), tls::warming_socket(names))
        };
        proto::resource(key, &message, Vec::new())
    }
}
