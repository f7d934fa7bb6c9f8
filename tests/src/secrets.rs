//! Contents of TLS Secrets, good and bad: as anyone may write them into a cluster.
//!
//! [`Content`] is a chain and its key. [`Generator`] makes any number of them, which follow from a
//! seed alone: the fixtures of every kind of key, changed in bytes, in PEM, and as trees of DER,
//! with parts swapped. A test takes them one by one: [`Generator::content`] gives what goes into
//! `tls.crt` and `tls.key`, [`Content::secret`] the object of it, and [`Generator::bundle`] what
//! goes into `ca.crt`. [`table`] has contents by hand, with what is to become of them.

mod generator;
pub mod parts;
pub mod table;
mod tree;

use contour_core::api::Object;
use rustls::pki_types::pem::{PemObject as _, SectionKind};

use crate::certificates::{Pair, tls_secret};

pub use generator::Generator;
pub use tree::{Body, Node};

/// The label of a certificate in PEM.
pub const CERTIFICATE: &str = "CERTIFICATE";

/// What a TLS Secret holds.
#[derive(Clone, Debug)]
pub struct Content {
    /// What is particular about it.
    pub what: String,
    /// `tls.crt`.
    pub chain: String,
    /// `tls.key`.
    pub key: String,
}

impl Content {
    /// The content of a pair.
    pub fn new(what: impl Into<String>, pair: Pair) -> Self {
        Self { what: what.into(), chain: pair.certificate, key: pair.key }
    }

    /// The same as a Secret of type `kubernetes.io/tls`.
    pub fn secret(&self, namespace: &str, name: &str) -> Object {
        tls_secret(namespace, name, &self.chain, &self.key)
    }
}

/// Bytes as PEM with this label.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = crate::certificates::base64(der);
    let places = (0..text.len()).step_by(64);
    let lines: Vec<&str> = places.filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The labels and bytes of all blocks that are certificates or private keys.
pub fn blocks(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let all = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes());
    all.filter_map(Result::ok)
        .filter_map(|(kind, der)| {
            let label = match kind {
                SectionKind::Certificate => CERTIFICATE,
                SectionKind::RsaPrivateKey => "RSA PRIVATE KEY",
                SectionKind::EcPrivateKey => "EC PRIVATE KEY",
                SectionKind::PrivateKey => "PRIVATE KEY",
                SectionKind::PublicKey | SectionKind::Crl | SectionKind::Csr | _ => return None,
            };
            Some((label, der))
        })
        .collect()
}
