//! Mutual TLS of the xDS listener, from files that may be replaced at any time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::ads::TlsProvider;
use crate::config::TlsFiles;

/// Why TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or holds no PEM of the kind expected.
    #[error("cannot read {what} from {path}: {reason}", path = path.display())]
    File {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate, the key and the authority do not go together.
    #[error("the certificate in {path} cannot be used: {reason}", path = path.display())]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A provider that reads the files again when they have changed, at the next connection. New
/// files that cannot be used leave the old ones in force, with a warning.
///
/// # Errors
/// If the files cannot be used now.
pub(crate) fn provider(files: &TlsFiles) -> Result<TlsProvider, TlsError> {
    let files = files.clone();
    let state = Mutex::new((stamps(&files), load(&files)?));
    Ok(Arc::new(move || {
        let now = stamps(&files);
        // Held for as long as it takes to read three small files, at most once for each change.
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != now {
            state.0 = now;
            match load(&files) {
                Ok(config) => {
                    state.1 = config;
                    tracing::info!("the certificates for Envoys were read again");
                }
                Err(error) => {
                    tracing::error!("the certificates in use stay in force: {error}");
                }
            }
        }
        Arc::clone(&state.1)
    }))
}

/// What tells one state of the files from another.
fn stamps(files: &TlsFiles) -> [Option<(SystemTime, u64)>; 3] {
    [&files.ca, &files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// What the files hold.
struct Parts {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Parts {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca, "the certificate authority")? {
            roots.add(authority).map_err(|error| TlsError::File {
                what: "the certificate authority",
                path: files.ca.clone(),
                reason: error.to_string(),
            })?;
        }
        let chain = certificates(&files.certificate, "the certificate")?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File {
            what: "the key",
            path: files.key.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { roots, chain, key })
    }
}

fn unusable(files: &TlsFiles, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::Certificate { path: files.certificate.clone(), reason: reason.to_string() }
}

/// How this replica speaks to another: with its own certificate, to one of the same authority.
///
/// # Errors
/// If the files cannot be used.
pub(crate) fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let Parts { roots, chain, key } = Parts::read(files)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(files, &error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let Parts { roots, chain, key } = Parts::read(files)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(files, &error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(files, &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File { what, path: path.to_path_buf(), reason };
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    if all.is_empty() {
        return Err(failed("there is no PEM certificate in it".to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        certificate: String,
        key: String,
    }

    fn pair() -> Pair {
        let made = rcgen::generate_simple_self_signed(["contour".to_owned()]).unwrap();
        Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn files(directory: &Path, pair: &Pair) -> TlsFiles {
        let files = TlsFiles {
            ca: directory.join("ca.crt"),
            certificate: directory.join("tls.crt"),
            key: directory.join("tls.key"),
        };
        std::fs::write(&files.ca, &pair.certificate).unwrap();
        std::fs::write(&files.certificate, &pair.certificate).unwrap();
        std::fs::write(&files.key, &pair.key).unwrap();
        files
    }

    #[test]
    fn files_that_change_are_read_again_and_bad_ones_are_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), &pair());
        let provider = provider(&files).unwrap();
        let first = provider();
        assert!(Arc::ptr_eq(&first, &provider()));
        std::fs::write(&files.key, "garbage").unwrap();
        assert!(Arc::ptr_eq(&first, &provider()));
        let next = pair();
        std::fs::write(&files.certificate, format!("{}\n\n", next.certificate)).unwrap();
        std::fs::write(&files.key, &next.key).unwrap();
        assert!(!Arc::ptr_eq(&first, &provider()));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), &pair());
        std::fs::write(&files.key, pair().key).unwrap();
        let error = provider(&files).err().unwrap().to_string();
        assert!(error.contains("tls.crt"), "{error}");
        std::fs::write(&files.key, "garbage").unwrap();
        let error = provider(&files).err().unwrap().to_string();
        assert!(error.contains("the key from") && error.contains("tls.key"), "{error}");
        std::fs::remove_file(&files.ca).unwrap();
        let error = provider(&files).err().unwrap().to_string();
        assert!(error.contains("ca.crt"), "{error}");
    }
}
