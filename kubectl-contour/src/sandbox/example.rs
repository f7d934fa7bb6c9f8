//! The example directory: written once, then the user's.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::failure::{Failure, Kind};

/// The plaintext host of the example.
pub const SHOP: &str = "shop.example.com";
/// The host with TLS of the example.
pub const SECURE: &str = "secure.example.com";
/// The file, in the example directory, with the authority of the certificate of [`SECURE`].
pub const AUTHORITY: &str = "ca.crt";

/// Where the demo services of a new example listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Port of blue.
    pub blue: u16,
    /// Port of green.
    pub green: u16,
    /// Port of the team's service.
    pub team: u16,
}

/// A file of the example.
struct File {
    name: &'static str,
    text: String,
    /// Whether only the owner may read it.
    private: bool,
}

/// Writes the example: into a directory beside `directory` first, which then takes its name, so
/// that there is never half an example.
///
/// # Errors
/// `directory` exists, or cannot be written.
pub fn write(directory: &Path, ports: Ports) -> Result<(), Failure> {
    let files = files(ports)?;
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(Kind::Error, format!("cannot {what}: {error}"))
            .with_hint("name a directory that can be written: kubectl contour sandbox DIR")
    };
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    std::fs::create_dir_all(parent)
        .map_err(|error| failed(&format!("create {}", parent.display()), error))?;
    let staging = tempfile::Builder::new()
        .prefix(".sandbox-example-")
        .tempdir_in(parent)
        .map_err(|error| failed(&format!("create a directory in {}", parent.display()), error))?;
    let inside = staging.path().join("example");
    std::fs::create_dir(&inside)
        .and_then(|()| files.iter().try_for_each(|file| write_file(&inside, file)))
        .and_then(|()| std::fs::rename(&inside, directory))
        .map_err(|error| failed(&format!("write the example to {}", directory.display()), error))
}

fn write_file(directory: &Path, file: &File) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if file.private { 0o600 } else { 0o644 })
        .open(directory.join(file.name))?
        .write_all(file.text.as_bytes())
}

fn files(ports: Ports) -> Result<Vec<File>, Failure> {
    let public = |name, text: &str| File { name, text: text.to_owned(), private: false };
    let certificate = certificate().map_err(|error| {
        Failure::new(Kind::Error, format!("cannot make a certificate: {error}"))
    })?;
    let services = include_str!("../../example/services.yaml")
        .replace("@BLUE@", &ports.blue.to_string())
        .replace("@GREEN@", &ports.green.to_string());
    let team = include_str!("../../example/team.yaml").replace("@TEAM@", &ports.team.to_string());
    let secret = include_str!("../../example/certificate.yaml")
        .replace("@CERTIFICATE@", &indent(&certificate.chain))
        .replace("@KEY@", &indent(&certificate.key));
    Ok(vec![
        public("shop.yaml", include_str!("../../example/shop.yaml")),
        public("secure.yaml", include_str!("../../example/secure.yaml")),
        public("team.yaml", &team),
        public("services.yaml", &services),
        File { name: "certificate.yaml", text: secret, private: true },
        public(AUTHORITY, &certificate.authority),
    ])
}

/// PEM text as a YAML block of depth two.
fn indent(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

struct Certificate {
    chain: String,
    key: String,
    authority: String,
}

/// A certificate for [`SECURE`] from an authority that exists for it alone.
fn certificate() -> Result<Certificate, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    lifetime(&mut params);
    params.distinguished_name.push(DnType::CommonName, "kubectl contour sandbox");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);

    let mut params = CertificateParams::new(vec![SECURE.to_owned()])?;
    lifetime(&mut params);
    params.distinguished_name.push(DnType::CommonName, SECURE);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;
    Ok(Certificate { chain: leaf.pem(), key: key.serialize_pem(), authority: authority.pem() })
}

/// An example directory may lie about for years; nothing but curl on this machine trusts it.
fn lifetime(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
}
