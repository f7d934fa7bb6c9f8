//! Certificates: made, and read again.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How far clocks may be behind ours when the certificates are new.
const SKEW: i64 = 3600;
const DAY: i64 = 24 * 3600;

/// A certificate and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// What controller and Envoys need to know each other.
pub(super) struct Certificates {
    /// The authorities to trust, the new one first.
    pub(super) authorities: String,
    pub(super) contour: Pair,
    pub(super) envoy: Pair,
}

/// New certificates of a new authority, valid from now (in seconds since 1970) for so many days.
/// The authorities of `previous` stay in the bundle.
pub(super) fn certificates(
    namespace: &str,
    (now, days): (i64, u32),
    previous: &[String],
) -> Result<Certificates, rcgen::Error> {
    let valid = (now.saturating_sub(SKEW), now.saturating_add(i64::from(days) * DAY));
    let authority = Authority::new(valid)?;
    let mut authorities = authority.certificate.clone();
    for other in previous {
        authorities.push_str(other.trim_end());
        authorities.push('\n');
    }
    Ok(Certificates {
        authorities,
        // Replicas of the controller are clients of each other.
        contour: authority.sign(
            "contour",
            namespace,
            &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        )?,
        envoy: authority.sign("envoy", namespace, &[ExtendedKeyUsagePurpose::ClientAuth])?,
    })
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    valid: (i64, i64),
}

impl Authority {
    fn new(valid: (i64, i64)) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(Vec::new(), valid)?;
        // Each authority has a name of its own: whoever looks for the issuer of a certificate in
        // a bundle of two finds the right one.
        let bytes = key.public_key_raw().iter().skip(1).take(8);
        let unique = bytes.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        params
            .distinguished_name
            .push(DnType::CommonName, format!("contour authority {unique:016x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate, valid })
    }

    /// A certificate for a Service of this name and for nothing else.
    fn sign(
        &self,
        service: &str,
        namespace: &str,
        usages: &[ExtendedKeyUsagePurpose],
    ) -> Result<Pair, rcgen::Error> {
        let names = vec![
            service.to_owned(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ];
        let mut params = params(names, self.valid)?;
        params.distinguished_name.push(DnType::CommonName, service);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }
}

fn params(
    names: Vec<String>,
    (from, until): (i64, i64),
) -> Result<CertificateParams, rcgen::Error> {
    let time = |seconds: i64| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = time(from);
    params.not_after = time(until);
    Ok(params)
}

/// The authorities that have signed a certificate among these texts and have not expired, each
/// once: those of peers that still use what is overwritten. Authorities of which nothing is left
/// are not among them.
pub(super) fn authorities_in_use<'a>(
    texts: impl Iterator<Item = &'a str>,
    now: i64,
) -> Vec<String> {
    let blocks: Vec<(&str, Vec<u8>)> = texts.flat_map(blocks).collect();
    let parsed: Vec<(&str, X509Certificate<'_>)> = blocks
        .iter()
        .filter_map(|(text, der)| Some((*text, X509Certificate::from_der(der).ok()?.1)))
        .collect();
    let mut kept: Vec<String> = Vec::new();
    for (text, authority) in parsed.iter().filter(|(_, c)| c.is_ca()) {
        let expired = authority.validity().not_after.timestamp() <= now;
        let used = parsed.iter().any(|(_, c)| !c.is_ca() && is_issuer(authority, c));
        if used && !expired && !kept.iter().any(|other| other == text) {
            kept.push((*text).to_owned());
        }
    }
    kept
}

/// When the first of the certificates in these texts ends, in seconds since 1970.
pub(super) fn earliest_end<'a>(texts: impl Iterator<Item = &'a str>) -> Option<i64> {
    texts
        .flat_map(blocks)
        .filter_map(|(_, der)| {
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            // What is left of an authority before the last rotation is not what expires.
            (!certificate.is_ca()).then(|| certificate.validity().not_after.timestamp())
        })
        .min()
}

/// The certificates of a PEM text, as text and decoded. What is none is left out.
fn blocks(text: &str) -> Vec<(&str, Vec<u8>)> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.match_indices(BEGIN)
        .filter_map(|(at, _)| {
            let rest = text.get(at..)?;
            let block = rest.get(..rest.find(END)? + END.len())?;
            let (_, pem) = parse_x509_pem(block.as_bytes()).ok()?;
            Some((block, pem.contents))
        })
        .collect()
}

/// By the key identifiers where both sides have them, else by name.
fn is_issuer(authority: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    if authority.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    let own = authority.extensions().iter().find_map(|extension| {
        let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() else {
            return None;
        };
        Some(id.0)
    });
    let named = certificate.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else {
            return None;
        };
        id.key_identifier.as_ref().map(|id| id.0)
    });
    own.zip(named).is_none_or(|(own, named)| own == named)
}

#[cfg(test)]
mod tests;
