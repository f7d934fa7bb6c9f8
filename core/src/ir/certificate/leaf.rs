//! What Envoy demands of the certificate of a server, beside that it can be read.

use super::der::{BIT_STRING, Reader, SEQUENCE, bit_string};
use super::x509::{Algorithm, AlternativeName, Parameters, SubjectPublicKey, X509};

/// The extension `keyUsage` (2.5.29.15).
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
/// The extension TLS feature (1.3.6.1.5.5.7.1.24; RFC 7633).
const TLS_FEATURE: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x18];
/// The list of features by which Envoy knows a certificate that demands a stapled OCSP response:
/// `status_request` alone.
const MUST_STAPLE: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x05];

/// `rsaEncryption` (1.2.840.113549.1.1.1).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey` (1.2.840.10045.2.1).
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `id-Ed25519` (1.3.101.112; RFC 8410).
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

/// The smallest RSA key that Envoy takes, in bits.
const RSA_BITS_MIN: u64 = 2048;
/// The largest RSA key that is served, in bits. Envoy takes twice that, but then each handshake
/// holds one of its threads for a quarter of a second, and anyone may ask for one.
pub(super) const RSA_BITS_MAX: u64 = 8192;
/// The largest public exponent that BoringSSL takes, in bits.
const RSA_EXPONENT_BITS_MAX: u64 = 33;
/// The length of a public key of Ed25519, in bytes.
pub(super) const ED25519_BYTES: usize = 32;

/// Why a certificate that can be read is not one for a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A kind of key that Envoy has no use for.
    #[error(
        "has a key of a kind that Envoy does not serve; use RSA, P-256, P-384, P-521 or Ed25519"
    )]
    UnsupportedKey,
    /// A key that is none.
    #[error("has a malformed public key")]
    MalformedKey,
    /// An RSA key that is too short or too long.
    #[error("has an RSA key of {0} bits; use one of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")]
    RsaSize(u64),
    /// An RSA key with an exponent that is even, 1, or too large.
    #[error(
        "has an RSA key whose public exponent is not an odd number from 3 up to \
         {RSA_EXPONENT_BITS_MAX} bits; use 65537"
    )]
    RsaExponent,
    /// A key that may not be used for signatures, which is all that TLS uses it for.
    #[error(
        "has an elliptic curve key that its KeyUsage does not allow for signatures; issue it with \
         digitalSignature"
    )]
    KeyUsage,
    /// The extension cannot be read.
    #[error("has a malformed KeyUsage")]
    MalformedKeyUsage,
    /// An OCSP response is demanded with each handshake.
    #[error(
        "must be sent with an OCSP response (must-staple, RFC 7633), and none is kept here; issue \
         it without the extension TLS feature"
    )]
    MustStaple,
    /// It is nobody's.
    #[error(
        "names nobody: it has neither a common name nor a DNS name, IP address or URI among its \
         subject alternative names"
    )]
    NoName,
    /// The common name has no characters.
    #[error("has an empty common name; leave it out or give it one")]
    EmptyCommonName,
}

/// A kind of key that Envoy serves, by what its algorithm is parameterized by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind<'a> {
    /// RSA.
    Rsa,
    /// An elliptic curve with this name.
    Ec(&'a [u8]),
    /// Ed25519.
    Ed25519,
}

impl<'a> KeyKind<'a> {
    /// The kind of this algorithm; the inner `None` if its parameters are not those of its kind,
    /// the outer one if Envoy does not serve it.
    #[expect(clippy::option_option, reason = "malformed and unknown are not the same")]
    pub(super) fn of(algorithm: Algorithm<'a>) -> Option<Option<Self>> {
        let Algorithm { oid, parameters } = algorithm;
        if oid == RSA {
            Some((parameters == Parameters::Null).then_some(Self::Rsa))
        } else if oid == ED25519 {
            Some((parameters == Parameters::Absent).then_some(Self::Ed25519))
        } else if oid == EC {
            match parameters {
                Parameters::Oid(name) => Some(Some(Self::Ec(name))),
                // The numbers of a curve in place of its name.
                Parameters::Sequence => None,
                Parameters::Absent | Parameters::Null => Some(None),
            }
        } else {
            None
        }
    }
}

/// A curve that Envoy serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// The curve with this name, as the contents of an object identifier.
    pub(super) fn named(oid: &[u8]) -> Option<Self> {
        match oid {
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(Self::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Some(Self::P521),
            _ => None,
        }
    }

    /// A point other than infinity, in its long form, from its long form or its short one.
    pub(super) fn point(self, bytes: &[u8]) -> Option<Box<[u8]>> {
        // Other forms exist, which BoringSSL does not take.
        if !matches!(bytes.first(), Some(2..=4)) {
            return None;
        }
        match self {
            Self::P256 => Some(p256::PublicKey::from_sec1_bytes(bytes).ok()?.to_sec1_bytes()),
            Self::P384 => Some(p384::PublicKey::from_sec1_bytes(bytes).ok()?.to_sec1_bytes()),
            Self::P521 => Some(p521::PublicKey::from_sec1_bytes(bytes).ok()?.to_sec1_bytes()),
        }
    }

    /// The public key of a private one, in its long form.
    pub(super) fn multiply(self, scalar: &[u8]) -> Option<Box<[u8]>> {
        let width = match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        };
        let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
        let digits = scalar.get(zeros..)?;
        let mut padded = vec![0; width];
        padded.get_mut(width.checked_sub(digits.len())?..)?.copy_from_slice(digits);
        match self {
            Self::P256 => {
                p256::SecretKey::from_slice(&padded).ok().map(|k| k.public_key().to_sec1_bytes())
            }
            Self::P384 => {
                p384::SecretKey::from_slice(&padded).ok().map(|k| k.public_key().to_sec1_bytes())
            }
            Self::P521 => {
                p521::SecretKey::from_slice(&padded).ok().map(|k| k.public_key().to_sec1_bytes())
            }
        }
    }
}

/// A public key that Envoy serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Modulus and exponent, without leading zeros.
    Rsa { modulus: Box<[u8]>, exponent: Box<[u8]> },
    /// A point in its long form.
    Ec { curve: Curve, point: Box<[u8]> },
    /// The 32 bytes.
    Ed25519(Box<[u8]>),
}

impl PublicKey {
    /// Reads a key and checks that Envoy serves it.
    pub(super) fn read(key: &SubjectPublicKey<'_>) -> Result<Self, LeafError> {
        let kind = KeyKind::of(key.algorithm).ok_or(LeafError::UnsupportedKey)?;
        if key.unused_bits != 0 {
            return Err(LeafError::MalformedKey);
        }
        match kind.ok_or(LeafError::MalformedKey)? {
            KeyKind::Rsa => rsa(key.bytes),
            KeyKind::Ec(name) => {
                let curve = Curve::named(name).ok_or(LeafError::UnsupportedKey)?;
                let point = curve.point(key.bytes).ok_or(LeafError::MalformedKey)?;
                Ok(Self::Ec { curve, point })
            }
            KeyKind::Ed25519 if key.bytes.len() == ED25519_BYTES => {
                Ok(Self::Ed25519(key.bytes.into()))
            }
            KeyKind::Ed25519 => Err(LeafError::MalformedKey),
        }
    }
}

fn rsa(bytes: &[u8]) -> Result<PublicKey, LeafError> {
    let mut outer = Reader::new(bytes);
    let numbers = outer.nested(SEQUENCE).filter(|_| outer.is_empty()).and_then(|mut fields| {
        let numbers = (fields.unsigned()?, fields.unsigned()?);
        fields.end().map(|()| numbers)
    });
    let (modulus, exponent) = numbers.ok_or(LeafError::MalformedKey)?;
    let size = bits(modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&size) {
        return Err(LeafError::RsaSize(size));
    }
    if !is_odd(exponent) || exponent == [1] || bits(exponent) > RSA_EXPONENT_BITS_MAX {
        return Err(LeafError::RsaExponent);
    }
    if !is_odd(modulus) {
        return Err(LeafError::MalformedKey);
    }
    Ok(PublicKey::Rsa { modulus: modulus.into(), exponent: exponent.into() })
}

/// The bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> u64 {
    let leading = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() as u64 * 8).saturating_sub(u64::from(leading))
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

/// Checks that Envoy serves this certificate.
pub(super) fn check(x509: &X509<'_>, key: &PublicKey) -> Result<(), LeafError> {
    // BoringSSL asks of elliptic curves alone, since their keys could be for key agreement.
    if let (PublicKey::Ec { .. }, Some(usage)) = (key, x509.extension(&KEY_USAGE)) {
        let mut usage = Reader::new(usage);
        let bits = usage.take(BIT_STRING).and_then(bit_string).filter(|_| usage.is_empty());
        let (_, bits) = bits.ok_or(LeafError::MalformedKeyUsage)?;
        if bits.first().is_none_or(|byte| byte & 0x80 == 0) {
            return Err(LeafError::KeyUsage);
        }
    }
    if x509.extension(&TLS_FEATURE).is_some_and(|features| features == MUST_STAPLE) {
        return Err(LeafError::MustStaple);
    }
    match x509.subject.common_name {
        Some([]) => Err(LeafError::EmptyCommonName),
        Some(_) => Ok(()),
        None => {
            let names = x509.alternative_names();
            let is_named = names.iter().any(|name| *name != AlternativeName::Other);
            if is_named { Ok(()) } else { Err(LeafError::NoName) }
        }
    }
}

/// The DNS names, in lower case, wildcards included.
pub(super) fn dns_names(x509: &X509<'_>) -> Vec<String> {
    let names = x509.alternative_names().into_iter();
    names
        .filter_map(|name| match name {
            AlternativeName::Dns(name) => std::str::from_utf8(name).ok(),
            AlternativeName::Address | AlternativeName::Other => None,
        })
        .map(str::to_ascii_lowercase)
        .collect()
}
