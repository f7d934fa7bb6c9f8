//! Private keys: read, checked as BoringSSL checks them, and written as it reads them.

use num_bigint::BigUint;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::PEM_BYTES_MAX;
use super::der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, constructed, is_oid, write};
use super::leaf::{Curve, ED25519_BYTES, KeyKind, PublicKey, RSA_BITS_MAX};
use super::x509::Algorithm;

/// The labels of private keys in PEM, and whether the key is encrypted.
const LABELS: [(&str, bool); 4] = [
    ("PRIVATE KEY", false),
    ("RSA PRIVATE KEY", false),
    ("EC PRIVATE KEY", false),
    ("ENCRYPTED PRIVATE KEY", true),
];
/// The first line of a key in an older form that is encrypted (RFC 1421).
const ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";

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
    /// Not a private key of the form that its label says.
    #[error("holds a malformed private key; write it anew with openssl pkey")]
    Malformed,
    /// A kind of key that Envoy has no use for, or a curve described by its numbers.
    #[error(
        "holds a private key of a kind that Envoy does not serve; use RSA, P-256, P-384, P-521 or \
         Ed25519, and name the curve"
    )]
    Unsupported,
    /// The numbers of an RSA key contradict each other.
    #[error("holds an RSA key whose numbers do not fit each other; restore it from its source")]
    Inconsistent,
    /// The key is another certificate's.
    #[error("does not belong to the certificate")]
    Mismatch,
    /// The key is that of a certificate further behind in the chain.
    #[error(
        "belongs to certificate number {0} of tls.crt; put that one first, and behind it the one \
         that signed it"
    )]
    LeafNotFirst(usize),
}

/// A private key.
pub(super) struct PrivateKey {
    /// Its public key, computed from it.
    pub public: PublicKey,
    /// The label of its form in PEM.
    pub label: &'static str,
    /// Its form in DER.
    pub der: Vec<u8>,
}

impl PrivateKey {
    /// Reads the first key in this PEM.
    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > PEM_BYTES_MAX {
            return Err(KeyError::TooLarge);
        }
        if is_encrypted(text) {
            return Err(KeyError::Encrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
            if matches!(error, rustls::pki_types::pem::Error::NoItemsFound) {
                KeyError::Empty
            } else {
                KeyError::Pem(error.to_string())
            }
        })?;
        // Like Envoy, whatever is behind the key in the same block is not looked at.
        let der = Reader::new(key.secret_der()).element().ok_or(KeyError::Malformed)?.raw;
        // Some write a key in the newer form under a label of the older ones, and all read it.
        let older = match &key {
            PrivateKeyDer::Pkcs1(_) => rsa(der).map(|public| (public, "RSA PRIVATE KEY")),
            PrivateKeyDer::Sec1(_) => ec(der, None).map(|public| (public, "EC PRIVATE KEY")),
            // PKCS #8, and whatever the non-exhaustive type gains.
            PrivateKeyDer::Pkcs8(_) | _ => Err(KeyError::Malformed),
        };
        match older {
            Ok((public, label)) => Ok(Self { public, label, der: der.to_vec() }),
            Err(KeyError::Malformed) => pkcs8(der),
            Err(error) => Err(error),
        }
    }
}

/// Whether the first private key in this PEM is encrypted.
fn is_encrypted(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        LABELS.iter().find(|(known, _)| *known == label).map(|(_, is_encrypted)| *is_encrypted)
    });
    first == Some(true) || (first == Some(false) && lines.next() == Some(ENCRYPTED))
}

/// Reads a key in PKCS #8 (RFC 5958). It is written without what may be behind it, attributes and
/// the public key, since BoringSSL does not read all forms of them.
fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let parts = || {
        let mut outer = Reader::new(der);
        let mut fields = outer.nested(SEQUENCE)?;
        outer.end()?;
        let is_known = matches!(fields.unsigned()?, [] | [1]);
        let mut algorithm = fields;
        let raw = fields.element()?.raw;
        let algorithm = Algorithm::read(&mut algorithm)?;
        let inner = fields.take(OCTET_STRING)?;
        is_known.then_some((raw, algorithm, inner))
    };
    let (raw, algorithm, inner) = parts().ok_or(KeyError::Malformed)?;
    let der = write(SEQUENCE, &[&write(INTEGER, &[&[0]]), raw, &write(OCTET_STRING, &[inner])]);
    let kind = KeyKind::of(algorithm).ok_or(KeyError::Unsupported)?;
    let public = match kind.ok_or(KeyError::Malformed)? {
        KeyKind::Rsa => rsa(inner)?,
        KeyKind::Ec(name) => ec(inner, Some(Curve::named(name).ok_or(KeyError::Unsupported)?))?,
        KeyKind::Ed25519 => ed25519(&der)?,
    };
    Ok(PrivateKey { public, label: "PRIVATE KEY", der })
}

/// The public key of an `ECPrivateKey` (RFC 5915). The curve is named in it, unless it is known.
fn ec(der: &[u8], known: Option<Curve>) -> Result<PublicKey, KeyError> {
    let parts = || {
        let mut outer = Reader::new(der);
        let mut fields = outer.nested(SEQUENCE)?;
        outer.end()?;
        (fields.unsigned()? == [1]).then_some(())?;
        let scalar = fields.take(OCTET_STRING)?;
        let named = fields.optional(constructed(0))?;
        let public = fields.optional(constructed(1))?;
        fields.end()?;
        let public = match public {
            Some(wrapper) => {
                let mut wrapper = Reader::new(wrapper);
                let point = wrapper.bytes_of_bits()?;
                wrapper.end()?;
                Some(point)
            }
            None => None,
        };
        Some((scalar, named, public))
    };
    let (scalar, named, public) = parts().ok_or(KeyError::Malformed)?;
    let curve = match named {
        Some(wrapper) => {
            let mut wrapper = Reader::new(wrapper);
            let element = wrapper.element().filter(|_| wrapper.is_empty());
            let element = element.ok_or(KeyError::Malformed)?;
            if element.tag != OID || !is_oid(element.contents) {
                return Err(KeyError::Unsupported);
            }
            let curve = Curve::named(element.contents).ok_or(KeyError::Unsupported)?;
            if known.is_some_and(|known| known != curve) {
                return Err(KeyError::Malformed);
            }
            curve
        }
        None => known.ok_or(KeyError::Malformed)?,
    };
    let point = curve.multiply(scalar).ok_or(KeyError::Malformed)?;
    if public.is_some_and(|public| curve.point(public).as_ref() != Some(&point)) {
        return Err(KeyError::Malformed);
    }
    Ok(PublicKey::Ec { curve, point })
}

/// The public key of an `RSAPrivateKey` of two primes (RFC 8017, A.1.2), whose numbers have to fit
/// each other as BoringSSL demands. Whether the primes are prime is not looked at: if they are
/// not, handshakes of the one host fail.
fn rsa(der: &[u8]) -> Result<PublicKey, KeyError> {
    let parts = || {
        let mut outer = Reader::new(der);
        let mut fields = outer.nested(SEQUENCE)?;
        outer.end()?;
        fields.unsigned()?.is_empty().then_some(())?;
        let mut numbers = [&[][..]; 8];
        for number in &mut numbers {
            *number = fields.unsigned()?;
        }
        fields.end()?;
        Some(numbers)
    };
    let numbers = parts().ok_or(KeyError::Malformed)?;
    let [modulus, exponent, ..] = numbers;
    // What follows takes time in proportion to the square of this.
    if numbers.iter().any(|number| number.len() as u64 * 8 > RSA_BITS_MAX) {
        return Err(KeyError::Unsupported);
    }
    let number = BigUint::from_bytes_be;
    let [n, e, private, prime1, prime2, exponent1, exponent2, coefficient] = numbers.map(number);
    let one = BigUint::from(1_u8);
    if private >= n || prime1 >= n || prime2 >= n || &prime1 * &prime2 != n || !n.bit(0) {
        return Err(KeyError::Inconsistent);
    }
    // Both primes are odd and not 1, since their product is odd and larger than both.
    let (order1, order2) = (&prime1 - &one, &prime2 - &one);
    let is_inverse = |a: &BigUint, b: &BigUint, modulus: &BigUint| a * b % modulus == one;
    let is_consistent = is_inverse(&private, &e, &order1)
        && is_inverse(&private, &e, &order2)
        && (exponent1 < order1 && is_inverse(&exponent1, &e, &order1))
        && (exponent2 < order2 && is_inverse(&exponent2, &e, &order2))
        && (coefficient < prime1 && is_inverse(&coefficient, &prime2, &prime1));
    if !is_consistent {
        return Err(KeyError::Inconsistent);
    }
    Ok(PublicKey::Rsa { modulus: modulus.into(), exponent: exponent.into() })
}

/// The public key of a private one of Ed25519 in PKCS #8 (RFC 8410).
fn ed25519(der: &[u8]) -> Result<PublicKey, KeyError> {
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(der)).map_err(|_e| KeyError::Malformed)?;
    let info = key.public_key().ok_or(KeyError::Malformed)?;
    let public = info.last_chunk::<ED25519_BYTES>().ok_or(KeyError::Malformed)?;
    Ok(PublicKey::Ed25519((*public).into()))
}
