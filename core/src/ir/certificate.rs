//! Certificates that Envoy will accept: parsed, re-encoded, the key checked against the leaf.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::api::Timestamp;
use crate::name::Fqdn;

/// The largest PEM text that is read, in bytes.
const PEM_BYTES_MAX: usize = 256 * 1024;
/// The longest chain, in certificates.
const CHAIN_MAX: usize = 16;
/// The smallest RSA key that Envoy accepts, in bits.
const RSA_BITS_MIN: usize = 2048;

/// Why a certificate chain cannot be served.
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
    /// A block is no X.509 certificate.
    #[error("holds a block (number {0}) that is no X.509 certificate")]
    NotX509(usize),
    /// More certificates than a chain has.
    #[error("holds more than {CHAIN_MAX} certificates")]
    ChainTooLong,
    /// A kind of key that Envoy refuses.
    #[error(
        "has a public key that Envoy does not accept: use RSA of at least 2048 bits, P-256 or P-384"
    )]
    UnsupportedKey,
}

/// Why a private key cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// More text than is read.
    #[error("has more than {PEM_BYTES_MAX} bytes")]
    TooLarge,
    /// No PEM block of a private key.
    #[error("holds no PEM private key")]
    Empty,
    /// The key is protected by a passphrase.
    #[error("holds an encrypted private key; store it without passphrase")]
    Encrypted,
    /// The PEM framing is broken.
    #[error("holds broken PEM: {0}")]
    Pem(String),
    /// The key cannot be read, or is of a kind that Envoy refuses.
    #[error(
        "holds a private key that cannot be used: use RSA of at least 2048 bits, P-256 or P-384"
    )]
    Unsupported,
    /// The key is another certificate's.
    #[error("does not belong to the certificate")]
    Mismatch,
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
    /// Reads a chain and the key of its leaf, and checks what Envoy would refuse: broken PEM,
    /// keys that are weak, of another kind or of another certificate.
    ///
    /// # Errors
    /// The first fault found, of the chain or of the key.
    pub fn parse(chain: &str, key: &str) -> Result<Self, Result<CertificateError, KeyError>> {
        let chain = read_chain(chain).map_err(Ok)?;
        let Some(leaf) = chain.first() else {
            return Err(Ok(CertificateError::Empty));
        };
        let (_, x509) =
            X509Certificate::from_der(leaf).map_err(|_e| Ok(CertificateError::NotX509(1)))?;
        if !is_supported(&x509) {
            return Err(Ok(CertificateError::UnsupportedKey));
        }
        let key = read_key(key).map_err(Err)?;
        let signer = any_supported_type(&key).map_err(|_e| Err(KeyError::Unsupported))?;
        let matches =
            signer.public_key().is_some_and(|spki| spki.as_ref() == x509.public_key().raw);
        if !matches {
            return Err(Err(KeyError::Mismatch));
        }
        Ok(Self {
            chain_pem: chain.iter().map(|der| pem("CERTIFICATE", der)).collect(),
            key_pem: pem(key_label(&key), key.secret_der()),
            not_before: Timestamp::from_unix(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix(x509.validity().not_after.timestamp()),
            dns_names: dns_names(&x509),
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
        let chain = read_blocks(bundle)?;
        for (index, der) in chain.iter().enumerate() {
            X509Certificate::from_der(der).map_err(|_e| CertificateError::NotX509(index + 1))?;
        }
        Ok(Self { pem: chain.iter().map(|der| pem("CERTIFICATE", der)).collect::<String>().into() })
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

fn read_chain(text: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = read_blocks(text)?;
    if chain.len() > CHAIN_MAX {
        return Err(CertificateError::ChainTooLong);
    }
    for (index, der) in chain.iter().enumerate() {
        let parsed = X509Certificate::from_der(der);
        if !parsed.is_ok_and(|(rest, _)| rest.is_empty()) {
            return Err(CertificateError::NotX509(index + 1));
        }
    }
    Ok(chain)
}

fn read_key(text: &str) -> Result<PrivateKeyDer<'static>, KeyError> {
    if text.len() > PEM_BYTES_MAX {
        return Err(KeyError::TooLarge);
    }
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
        if matches!(error, rustls::pki_types::pem::Error::NoItemsFound) {
            KeyError::Empty
        } else {
            KeyError::Pem(error.to_string())
        }
    })
}

fn is_supported(x509: &X509Certificate<'_>) -> bool {
    match x509.public_key().parsed() {
        // The modulus comes with a leading zero byte where its highest bit is set.
        Ok(PublicKey::RSA(rsa)) => rsa.key_size() >= RSA_BITS_MIN,
        Ok(PublicKey::EC(point)) => matches!(point.key_size(), 256 | 384),
        _ => false,
    }
}

fn dns_names(x509: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = x509.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| {
            if let GeneralName::DNSName(dns) = name { Some(dns.to_ascii_lowercase()) } else { None }
        })
        .collect()
}

fn key_label(key: &PrivateKeyDer<'_>) -> &'static str {
    match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        // PKCS #8, and whatever the non-exhaustive type gains.
        PrivateKeyDer::Pkcs8(_) | _ => "PRIVATE KEY",
    }
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
