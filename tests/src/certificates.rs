//! Certificates and keys, good and bad, as PEM and as Secrets.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use contour_core::api::{Metadata, Object, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate chain and the key of its first certificate.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The chain, leaf first, as PEM.
    pub certificate: String,
    /// The private key as PEM.
    pub key: String,
}

impl Pair {
    /// The certificates of the chain.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .expect("the chain is PEM")
    }

    /// The first certificate of the chain.
    pub fn leaf(&self) -> CertificateDer<'static> {
        self.chain().into_iter().next().expect("the chain has a leaf")
    }

    /// The private key.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("the key is PEM")
    }

    /// The pair as a Secret of type `kubernetes.io/tls`.
    pub fn secret(&self, namespace: &str, name: &str) -> Object {
        tls_secret(namespace, name, &self.certificate, &self.key)
    }
}

/// An authority that signs leaves.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("a CA signs itself").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The authority's own certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// A leaf for these hosts, valid now, with a P-256 key.
    pub fn leaf(&self, hosts: &[&str]) -> Pair {
        self.sign(hosts, &PKCS_ECDSA_P256_SHA256, |_| ())
    }

    /// A leaf with a P-384 key.
    pub fn leaf_p384(&self, hosts: &[&str]) -> Pair {
        self.sign(hosts, &PKCS_ECDSA_P384_SHA384, |_| ())
    }

    /// A leaf whose time has passed.
    pub fn expired(&self, hosts: &[&str]) -> Pair {
        self.sign(hosts, &PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    /// A leaf whose time has not come.
    pub fn not_yet_valid(&self, hosts: &[&str]) -> Pair {
        self.sign(hosts, &PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = date_time_ymd(4000, 1, 1);
            params.not_after = date_time_ymd(4001, 1, 1);
        })
    }

    /// A leaf whose time begins now, as those of most issuers.
    pub fn fresh(&self, hosts: &[&str]) -> Pair {
        self.sign(hosts, &PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = SystemTime::now().into();
        })
    }

    /// A certificate with the key of another.
    pub fn mismatched(&self, hosts: &[&str]) -> Pair {
        Pair { certificate: self.leaf(hosts).certificate, key: self.leaf(hosts).key }
    }

    /// The authority's certificate as a Secret with `ca.crt`.
    pub fn secret(&self, namespace: &str, name: &str) -> Object {
        secret(namespace, name, "Opaque", &[("ca.crt", &self.certificate)])
    }

    fn sign(
        &self,
        hosts: &[&str],
        algorithm: &'static SignatureAlgorithm,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("hosts are DNS names");
        edit(&mut params);
        let key = KeyPair::generate_for(algorithm).expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// The authority that all tests of a process share.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("tests"))
}

/// Pairs from `fixtures/certificates`, which `rcgen` cannot make.
pub mod fixtures {
    use super::Pair;

    macro_rules! pair {
        ($name:ident, $crt:literal, $key:literal, $doc:literal) => {
            #[doc = $doc]
            pub fn $name() -> Pair {
                Pair {
                    certificate: include_str!(concat!("../fixtures/certificates/", $crt)).into(),
                    key: include_str!(concat!("../fixtures/certificates/", $key)).into(),
                }
            }
        };
    }

    pair!(rsa1024, "rsa1024.crt", "rsa1024.key", "An RSA key shorter than Envoy takes.");
    pair!(rsa2048, "rsa2048.crt", "rsa2048.key", "An RSA key in PKCS#8.");
    pair!(pkcs1, "rsa2048.crt", "pkcs1.key", "An RSA key in PKCS#1.");
    pair!(secp256k1, "secp256k1.crt", "secp256k1.key", "A curve that Envoy does not take.");
    pair!(encrypted, "encrypted.crt", "encrypted.key", "A key with a pass phrase.");
    pair!(p384, "p384.crt", "p384.key", "A key of the curve P-384.");
    pair!(p521, "p521.crt", "p521.key", "A key of the curve P-521.");
    pair!(ed25519, "ed25519.crt", "ed25519.key", "A key of Ed25519.");
    pair!(exponent3, "exponent3.crt", "exponent3.key", "An RSA key with the exponent 3.");
    pair!(rsa8192, "rsa8192.crt", "rsa8192.key", "The longest RSA key that is served.");
    pair!(sec1, "sec1.crt", "sec1.key", "A key in the older form `EC PRIVATE KEY`.");
}

/// A Secret of type `kubernetes.io/tls`.
pub fn tls_secret(namespace: &str, name: &str, certificate: &str, key: &str) -> Object {
    secret(namespace, name, "kubernetes.io/tls", &[("tls.crt", certificate), ("tls.key", key)])
}

/// A Secret with these values, encoded as the API server hands them out.
pub fn secret(namespace: &str, name: &str, kind: &str, values: &[(&str, &str)]) -> Object {
    Object::Secret(Secret {
        metadata: Metadata {
            name: name.into(),
            namespace: namespace.into(),
            ..Metadata::default()
        },
        kind: Some(kind.into()),
        data: values
            .iter()
            .map(|(k, v)| (Arc::from(*k), Arc::from(base64(v.as_bytes()))))
            .collect(),
        ..Secret::default()
    })
}

/// Base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0_u8; 3];
        word.iter_mut().zip(chunk).for_each(|(w, b)| *w = *b);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            if place > chunk.len() {
                out.push('=');
            } else {
                let index = (bits >> (18 - 6 * place)) & 63;
                let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
                out.push(char::from(letter));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
