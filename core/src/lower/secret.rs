//! Secrets: whatever may be read of them, judged but not reported.
//!
//! A Secret that nobody refers to is nobody's business, so its faults are reported on the object
//! that refers to it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api;
use crate::ir::{Certificate, CertificateAuthority, KeyError};

/// A Secret as certificate and as CA bundle; the `Err` says why it is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The certificate chain and key under `tls.crt` and `tls.key`.
    pub certificate: Result<Arc<Certificate>, Fault>,
    /// The CA bundle under `ca.crt`.
    pub authority: Result<Arc<CertificateAuthority>, Fault>,
}

/// Why a Secret is not what it is used as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether certificate and key are fine each by itself but do not belong together.
    pub is_mismatch: bool,
    /// The fault as a sentence that begins with the key of the Secret.
    pub message: String,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { is_mismatch: false, message }
    }
}

pub(super) fn lower(object: &api::Secret) -> Secret {
    Secret { certificate: certificate(object), authority: authority(object) }
}

fn value(object: &api::Secret, key: &str) -> Result<String, Fault> {
    if let Some(text) = object.string_data.get(key) {
        return Ok(text.to_string());
    }
    let encoded = object.data.get(key).ok_or_else(|| Fault::from(format!("{key} is missing")))?;
    let folded: String = encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes =
        STANDARD.decode(folded).map_err(|_e| Fault::from(format!("{key} is not base64")))?;
    String::from_utf8(bytes)
        .map_err(|_e| Fault::from(format!("{key} is not text, so it holds no PEM")))
}

fn certificate(object: &api::Secret) -> Result<Arc<Certificate>, Fault> {
    if let Some(kind) = &object.kind
        && !matches!(&**kind, "kubernetes.io/tls" | "Opaque" | "")
    {
        return Err(format!("its type is {kind}, not kubernetes.io/tls").into());
    }
    let chain = value(object, "tls.crt")?;
    let key = value(object, "tls.key")?;
    Certificate::parse(&chain, &key).map(Arc::new).map_err(|fault| match fault {
        Ok(error) => format!("tls.crt {error}").into(),
        Err(error) => Fault {
            is_mismatch: matches!(error, KeyError::Mismatch | KeyError::LeafNotFirst(_)),
            message: format!("tls.key {error}"),
        },
    })
}

fn authority(object: &api::Secret) -> Result<Arc<CertificateAuthority>, Fault> {
    let bundle = value(object, "ca.crt")?;
    CertificateAuthority::parse(&bundle)
        .map(Arc::new)
        .map_err(|error| format!("ca.crt {error}").into())
}
