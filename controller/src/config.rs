//! What the controller runs with, checked: nobody behind this point reads flags or environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use contour_core::pipeline::Options;

use crate::source::Source;

/// What `contour serve` runs with.
#[derive(Debug)]
pub struct Config {
    /// Where the objects come from.
    pub source: Source,
    /// Settings of the translation.
    pub options: Options,
    /// Where the controller listens; port 0 takes any free one.
    pub listen: Listen,
    /// How Envoys are told from strangers.
    pub security: XdsSecurity,
}

impl Config {
    /// A configuration for use inside another program: plaintext, all listeners on free ports of
    /// the loopback address, endpoints on loopback allowed.
    pub fn local(source: Source) -> Self {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            source,
            options: Options { allow_loopback_endpoints: true, ..Options::default() },
            listen: Listen { xds: any, health: any, metrics: any, debug: any },
            security: XdsSecurity::Plaintext,
        }
    }
}

/// Addresses that the controller listens on. Also used to tell which ones were bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// xDS, for Envoys.
    pub xds: SocketAddr,
    /// `/healthz`, `/readyz`.
    pub health: SocketAddr,
    /// `/metrics`; the same listener as `health` if the addresses are equal.
    pub metrics: SocketAddr,
    /// `/debug`.
    pub debug: SocketAddr,
}

/// How the xDS listener tells Envoys from strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XdsSecurity {
    /// Anybody may connect, unencrypted.
    Plaintext,
    /// Mutual TLS by these PEM files.
    Mutual(TlsFiles),
}

/// PEM files for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities that the other side's certificate must come from.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub certificate: PathBuf,
    /// The key of our certificate.
    pub key: PathBuf,
}
