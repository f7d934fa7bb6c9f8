//! Certificates that Envoy will accept: parsed, re-encoded, the key checked against the leaf.
//!
//! Envoy refuses a Secret as a whole, and a Secret that it refused can end it (see
//! `docs/secrets.md`), so everything that it checks is checked here before: `der`, `text` and
//! `x509` read what BoringSSL reads, `leaf` and `key` judge as BoringSSL and Envoy do.

mod der;
mod key;
mod leaf;
mod text;
mod x509;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::api::Timestamp;
use crate::name::Fqdn;

pub use key::KeyError;
use key::PrivateKey;
pub use leaf::LeafError;
use leaf::PublicKey;
pub use text::NameError;
use x509::X509;
pub use x509::X509Error;

/// The largest PEM text that is read, in bytes.
const PEM_BYTES_MAX: usize = 256 * 1024;
/// The longest chain, in certificates.
const CHAIN_MAX: usize = 16;

/// Why a certificate chain or a bundle cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More text than is read.
    #[error("has more than {PEM_BYTES_MAX} bytes")]
    TooLarge,
    /// No PEM block of a certificate.
    #[error("holds no PEM certificate")]
    Empty,
    /// The PEM framing is broken.
    #[error("holds broken PEM: {0}")]
    Pem(String),
    /// One of the certificates cannot be read.
    #[error("holds a certificate (number {number}) that {error}")]
    X509 {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        error: X509Error,
    },
    /// More certificates than a chain has.
    #[error("holds more than {CHAIN_MAX} certificates")]
    ChainTooLong,
    /// The first one cannot be a server's.
    #[error("holds a certificate that {0}")]
    Leaf(#[from] LeafError),
}

/// A certificate chain with its private key, in canonical PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: String,
    /// From when the leaf is valid.
    pub not_before: Timestamp,
    /// Until when the leaf is valid.
    pub not_after: Timestamp,
    /// The DNS names of the leaf, in lower case, wildcards included.
    pub dns_names: Vec<String>,
    /// The first certificate of the chain, counted from 1, that signed none of those before it.
    pub unrelated: Option<usize>,
}

/// Never shows the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("dns_names", &self.dns_names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a chain and the key of its leaf, and checks what Envoy would refuse: certificates and
    /// keys that BoringSSL cannot read, those that are not for a server, keys that are weak, of
    /// another kind or of another certificate.
    ///
    /// # Errors
    /// The first fault found, of the chain or of the key.
    pub fn parse(chain: &str, key: &str) -> Result<Self, Result<CertificateError, KeyError>> {
        let blocks = read_blocks(chain).map_err(Ok)?;
        if blocks.len() > CHAIN_MAX {
            return Err(Ok(CertificateError::ChainTooLong));
        }
        let chain = read_certificates(&blocks).map_err(Ok)?;
        let Some((leaf, others)) = chain.split_first() else {
            return Err(Ok(CertificateError::Empty));
        };
        let public = PublicKey::read(&leaf.key).map_err(|error| Ok(error.into()))?;
        leaf::check(leaf, &public).map_err(|error| Ok(error.into()))?;
        let key = PrivateKey::parse(key).map_err(Err)?;
        if key.public != public {
            let owner = others
                .iter()
                .position(|other| PublicKey::read(&other.key).as_ref() == Ok(&key.public));
            return Err(Err(match owner {
                Some(index) => KeyError::LeafNotFirst(index + 2),
                None => KeyError::Mismatch,
            }));
        }
        Ok(Self {
            chain_pem: blocks.iter().map(|der| pem("CERTIFICATE", der)).collect(),
            key_pem: pem(key.label, &key.der),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            dns_names: leaf::dns_names(leaf),
            unrelated: unrelated(&chain),
        })
    }

    /// Whether a client that asks for `fqdn` accepts the certificate's names (RFC 6125: a
    /// wildcard stands for exactly one label).
    pub fn covers(&self, fqdn: &Fqdn) -> bool {
        let host = fqdn.as_str();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.dns_names.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix),
            None => name == host,
        })
    }
}

/// A bundle of CA certificates, in canonical PEM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateAuthority {
    /// The bundle.
    pub pem: Arc<str>,
}

impl CertificateAuthority {
    /// Reads a bundle.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(bundle: &str) -> Result<Self, CertificateError> {
        let blocks = read_blocks(bundle)?;
        read_certificates(&blocks)?;
        Ok(Self {
            pem: blocks.iter().map(|der| pem("CERTIFICATE", der)).collect::<String>().into(),
        })
    }
}

fn read_blocks(text: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    if text.len() > PEM_BYTES_MAX {
        return Err(CertificateError::TooLarge);
    }
    let blocks: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| CertificateError::Pem(e.to_string()))?;
    if blocks.is_empty() { Err(CertificateError::Empty) } else { Ok(blocks) }
}

fn read_certificates<'a>(
    blocks: &'a [CertificateDer<'static>],
) -> Result<Vec<X509<'a>>, CertificateError> {
    let blocks = blocks.iter().enumerate();
    blocks
        .map(|(index, der)| {
            let number = index + 1;
            X509::parse(der).map_err(|error| CertificateError::X509 { number, error })
        })
        .collect()
}

/// The first certificate that signed none of those before it, counted from 1.
fn unrelated(chain: &[X509<'_>]) -> Option<usize> {
    let index = (1..chain.len()).find(|index| {
        let (before, rest) = chain.split_at(*index);
        let signed =
            |signer: &X509<'_>| before.iter().any(|other| other.issuer.raw == signer.subject.raw);
        rest.first().is_some_and(|signer| !signed(signer))
    })?;
    Some(index + 1)
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 64 + 64);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    for line in encoded.as_bytes().chunks(64) {
        out.extend(line.iter().map(|b| char::from(*b)));
        out.push('\n');
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// An authority by this name: its certificate, and what signs with it.
    fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    fn leaf(issuer: &Issuer<'_, KeyPair>) -> (String, String) {
        let params = CertificateParams::new(["A.Test".to_owned(), "*.b.test".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_read_and_knows_its_hosts() {
        let (_, issuer) = authority("one");
        let (chain, key) = leaf(&issuer);
        let read = Certificate::parse(&chain, &key).unwrap();
        assert_eq!(read.dns_names, ["a.test", "*.b.test"]);
        assert_eq!(read.chain_pem.replace('\n', ""), chain.replace(['\n', '\r'], ""));
        assert_eq!(Certificate::parse(&read.chain_pem, &read.key_pem), Ok(read.clone()));
        let covers = |host: &str| read.covers(&Fqdn::parse(host).unwrap());
        assert!(covers("a.test") && covers("x.b.test"));
        assert!(!covers("b.test") && !covers("x.y.b.test") && !covers("x.a.test"));
        assert!(!format!("{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn the_key_is_that_of_the_first_certificate_and_else_it_is_said_whose() {
        let (one, issuer) = authority("one");
        let (chain, key) = leaf(&issuer);
        let (other, _) = leaf(&issuer);
        let fault = |chain: String| Certificate::parse(&chain, &key).unwrap_err();
        assert_eq!(fault(format!("{one}{chain}")), Err(KeyError::LeafNotFirst(2)));
        assert_eq!(fault(format!("{one}{other}{chain}")), Err(KeyError::LeafNotFirst(3)));
        assert_eq!(fault(other), Err(KeyError::Mismatch));
    }

    #[test]
    fn a_certificate_that_signed_none_before_it_is_noticed() {
        let ((one, issuer), (two, _)) = (authority("one"), authority("two"));
        let (chain, key) = leaf(&issuer);
        let unrelated = |chain: String| Certificate::parse(&chain, &key).unwrap().unrelated;
        assert_eq!(unrelated(chain.clone()), None);
        assert_eq!(unrelated(format!("{chain}{one}")), None);
        assert_eq!(unrelated(format!("{chain}{two}")), Some(2));
        assert_eq!(unrelated(format!("{chain}{one}{two}")), Some(3));
        assert_eq!(unrelated(format!("{chain}{two}{one}")), Some(2));
    }
}
