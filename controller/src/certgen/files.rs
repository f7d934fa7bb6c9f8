//! Certificates as files: PEM, or manifests of Secrets.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;

use super::layout::{self, Layout};
use super::make::Certificates;
use super::{CertgenError, Found, State};
use crate::exit::Exit;

/// What a file may be read by: a certificate by everybody, a key by its owner.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Contour's names: the authority's certificate, then certificates, then keys. A reader that looks
/// while they are replaced trusts both authorities before it sees a new certificate.
const PEM: [&str; 5] =
    ["cacert.pem", "contourcert.pem", "envoycert.pem", "contourkey.pem", "envoykey.pem"];

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CertgenError {
    let path = path.to_path_buf();
    move |source| CertgenError::File { what, path, source }
}

/// The PEM files that are there.
pub(super) fn find_pem(directory: &Path) -> Result<Vec<Found>, CertgenError> {
    PEM.iter().map(|name| find(&directory.join(name), |text| vec![text])).collect()
}

/// The manifests that are there.
pub(super) fn find_manifests(
    directory: &Path,
    layout: &Layout,
) -> Result<Vec<Found>, CertgenError> {
    layout
        .names()
        .iter()
        .map(|name| {
            find(&manifest(directory, name), |text| {
                // Whatever else it is holds no certificate of ours.
                serde_saphyr::from_str::<Secret>(&text).map(layout::texts).unwrap_or_default()
            })
        })
        .collect()
}

fn manifest(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.yaml"))
}

fn find(path: &Path, texts: impl FnOnce(String) -> Vec<String>) -> Result<Found, CertgenError> {
    let state = match fs::read(path) {
        Ok(bytes) => State::Present(texts(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => State::Absent,
        Err(error) => return Err(failed("read", path)(error)),
    };
    Ok(Found { name: path.display().to_string(), state, exit: Exit::Unreadable })
}

/// Writes the PEM files.
pub(super) fn write_pem(
    directory: &Path,
    made: &Certificates,
    overwrite: bool,
) -> Result<(), CertgenError> {
    let [authority, contour, envoy, contour_key, envoy_key] = PEM;
    for (name, text, mode) in [
        (authority, &made.authorities, PUBLIC),
        (contour, &made.contour.certificate, PUBLIC),
        (contour_key, &made.contour.key, PRIVATE),
        (envoy, &made.envoy.certificate, PUBLIC),
        (envoy_key, &made.envoy.key, PRIVATE),
    ] {
        write(&directory.join(name), text, mode, overwrite)?;
    }
    Ok(())
}

/// Writes a manifest for each Secret; there are keys in them.
pub(super) fn write_manifests(
    directory: &Path,
    secrets: &[Secret],
    overwrite: bool,
) -> Result<(), CertgenError> {
    for secret in secrets {
        let text = serde_saphyr::to_string(secret)
            .map_err(|error| CertgenError::Make(error.to_string()))?;
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        write(&manifest(directory, name), &text, PRIVATE, overwrite)?;
    }
    Ok(())
}

/// Whole or not at all: nobody reads half a file, and nothing is overwritten unasked.
fn write(path: &Path, text: &str, mode: u32, overwrite: bool) -> Result<(), CertgenError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
    }
    if overwrite {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        // Of a run that was interrupted.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &new)(error));
            }
            Ok(()) | Err(_) => {}
        }
        create(&new, text, mode)?;
        fs::rename(&new, path).map_err(failed("replace", path))?;
    } else {
        create(path, text, mode)?;
    }
    tracing::info!("wrote {}", path.display());
    Ok(())
}

fn create(path: &Path, text: &str, mode: u32) -> Result<(), CertgenError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed("create", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", path))
}
