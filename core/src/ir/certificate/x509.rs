//! The structure of a certificate (RFC 5280, section 4.1), as BoringSSL reads it: what fails here
//! makes Envoy refuse the whole chain or bundle, at whatever place in it the certificate stands.

use super::der::{
    BIT_STRING, BOOLEAN, NULL, OCTET_STRING, OID, Reader, SEQUENCE, bit_string, constructed,
    is_oid, primitive,
};
use super::text::{self, Name, NameError};
use crate::api::Timestamp;

/// The extension `subjectAltName` (2.5.29.17).
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// Why BoringSSL cannot read a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum X509Error {
    /// The bytes are not DER, or not that of a certificate.
    #[error("is no X.509 certificate in DER")]
    Structure,
    /// Bytes behind the certificate in the same block.
    #[error("has bytes behind its end")]
    Trailing,
    /// A version that does not exist.
    #[error("has a version other than 1, 2 and 3")]
    Version,
    /// Fields that its version does not have.
    #[error("has extensions or unique identifiers, which certificates of version {0} do not have")]
    TooOld(u64),
    /// The serial number is no number.
    #[error("has a malformed serial number")]
    Serial,
    /// The name of an algorithm is none.
    #[error("has a malformed signature algorithm")]
    Algorithm,
    /// The signature is no string of bits.
    #[error("has a malformed signature")]
    Signature,
    /// The issuer cannot be read.
    #[error("has an issuer that is {0}")]
    Issuer(NameError),
    /// The subject cannot be read.
    #[error("has a subject that is {0}")]
    Subject(NameError),
    /// One of the two times is none.
    #[error("has a malformed validity: a date that does not exist, or one in an unknown form")]
    Validity,
    /// The public key is not where it has to be.
    #[error("has a malformed public key")]
    PublicKey,
    /// The list of extensions is not well formed.
    #[error("has malformed extensions")]
    Extensions,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct X509<'a> {
    /// Who signed it.
    pub issuer: Name<'a>,
    /// Whose it is.
    pub subject: Name<'a>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Its public key.
    pub key: SubjectPublicKey<'a>,
    /// Its extensions as kind and value, in order; a kind can be there twice.
    extensions: Vec<(&'a [u8], &'a [u8])>,
}

/// A public key, not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubjectPublicKey<'a> {
    /// Its kind.
    pub algorithm: Algorithm<'a>,
    /// How many bits of the last byte are not used.
    pub unused_bits: u8,
    /// The key.
    pub bytes: &'a [u8],
}

/// The name of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithm<'a> {
    /// The contents of its object identifier.
    pub oid: &'a [u8],
    /// What it is parameterized by.
    pub parameters: Parameters<'a>,
}

/// What an algorithm is parameterized by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters<'a> {
    /// Nothing.
    Absent,
    /// NULL.
    Null,
    /// An object identifier, such as that of a curve.
    Oid(&'a [u8]),
    /// A list of values that nobody reads.
    Sequence,
}

impl<'a> Algorithm<'a> {
    /// Reads an `AlgorithmIdentifier`.
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut fields = reader.nested(SEQUENCE)?;
        let oid = fields.oid()?;
        if fields.is_empty() {
            return Some(Self { oid, parameters: Parameters::Absent });
        }
        let element = fields.element()?;
        fields.end()?;
        let parameters = match element.tag {
            NULL if element.contents.is_empty() => Parameters::Null,
            OID if is_oid(element.contents) => Parameters::Oid(element.contents),
            SEQUENCE => Parameters::Sequence,
            _ => return None,
        };
        Some(Self { oid, parameters })
    }
}

impl<'a> X509<'a> {
    /// Reads a certificate.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, X509Error> {
        let mut outer = Reader::new(der);
        let mut certificate = outer.nested(SEQUENCE).ok_or(X509Error::Structure)?;
        if !outer.is_empty() {
            return Err(X509Error::Trailing);
        }
        let mut fields = certificate.nested(SEQUENCE).ok_or(X509Error::Structure)?;
        Algorithm::read(&mut certificate).ok_or(X509Error::Algorithm)?;
        certificate.bit_string_of_any_length().ok_or(X509Error::Signature)?;
        certificate.end().ok_or(X509Error::Structure)?;
        Self::read(&mut fields)
    }

    /// Reads a `TBSCertificate`.
    fn read(fields: &mut Reader<'a>) -> Result<Self, X509Error> {
        let version = version(fields).ok_or(X509Error::Version)?;
        fields.integer().ok_or(X509Error::Serial)?;
        Algorithm::read(fields).ok_or(X509Error::Algorithm)?;
        let issuer = Name::read(fields).map_err(X509Error::Issuer)?;
        let (not_before, not_after) = validity(fields).ok_or(X509Error::Validity)?;
        let subject = Name::read(fields).map_err(X509Error::Subject)?;
        let key = SubjectPublicKey::read(fields).ok_or(X509Error::PublicKey)?;
        let mut extensions = Vec::new();
        if version >= 2 {
            for number in [1, 2] {
                let bits = fields.optional(primitive(number)).ok_or(X509Error::Structure)?;
                if bits.is_some_and(|bits| bit_string(bits).is_none()) {
                    return Err(X509Error::Structure);
                }
            }
        }
        if version >= 3 {
            let wrapper = fields.optional(constructed(3)).ok_or(X509Error::Extensions)?;
            if let Some(wrapper) = wrapper {
                extensions = read_extensions(wrapper).ok_or(X509Error::Extensions)?;
            }
        }
        if fields.is_empty() {
            Ok(Self { issuer, subject, not_before, not_after, key, extensions })
        } else if version < 3 {
            Err(X509Error::TooOld(version))
        } else {
            Err(X509Error::Structure)
        }
    }

    /// The value of the first extension of this kind.
    pub(super) fn extension(&self, kind: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|(oid, _)| *oid == kind).map(|(_, value)| *value)
    }

    /// The alternative names of the subject, as Envoy finds them: none if there are two lists of
    /// them, or if the one is malformed.
    pub(super) fn alternative_names(&self) -> Vec<AlternativeName<'a>> {
        let mut lists = self.extensions.iter().filter(|(oid, _)| *oid == SUBJECT_ALT_NAME);
        match (lists.next(), lists.next()) {
            (Some((_, list)), None) => alternative_names(list).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl<'a> SubjectPublicKey<'a> {
    fn read(fields: &mut Reader<'a>) -> Option<Self> {
        let mut fields = fields.nested(SEQUENCE)?;
        let algorithm = Algorithm::read(&mut fields)?;
        let (unused_bits, bytes) = bit_string(fields.take(BIT_STRING)?)?;
        fields.end()?;
        Some(Self { algorithm, unused_bits, bytes })
    }
}

/// The version of a certificate, counted from 1, which is what is meant by none.
fn version(fields: &mut Reader<'_>) -> Option<u64> {
    let Some(wrapper) = fields.optional(constructed(0))? else { return Some(1) };
    let mut wrapper = Reader::new(wrapper);
    let version = match wrapper.unsigned()? {
        [] => 1,
        [1] => 2,
        [2] => 3,
        _ => return None,
    };
    wrapper.end().map(|()| version)
}

fn validity(fields: &mut Reader<'_>) -> Option<(Timestamp, Timestamp)> {
    let mut fields = fields.nested(SEQUENCE)?;
    let times = (text::time(&mut fields)?, text::time(&mut fields)?);
    fields.end().map(|()| times)
}

fn read_extensions(wrapper: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut wrapper = Reader::new(wrapper);
    let mut list = wrapper.nested(SEQUENCE)?;
    wrapper.end()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let mut fields = list.nested(SEQUENCE)?;
        let oid = fields.oid()?;
        if fields.optional(BOOLEAN)?.is_some_and(|critical| critical.len() != 1) {
            return None;
        }
        all.push((oid, fields.take(OCTET_STRING)?));
        fields.end()?;
    }
    Some(all)
}

/// One of the alternative names of a subject, as far as Envoy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlternativeName<'a> {
    /// A DNS name.
    Dns(&'a [u8]),
    /// An IP address or a URI.
    Address,
    /// Something else.
    Other,
}

/// Reads `GeneralNames` (RFC 5280, section 4.2.1.6). Kinds that no certificate of a server has
/// count as malformed.
fn alternative_names(list: &[u8]) -> Option<Vec<AlternativeName<'_>>> {
    const OTHER: u8 = constructed(0);
    const EMAIL: u8 = primitive(1);
    const DNS: u8 = primitive(2);
    const DIRECTORY: u8 = constructed(4);
    const URI: u8 = primitive(6);
    const IP: u8 = primitive(7);
    const REGISTERED: u8 = primitive(8);
    let mut outer = Reader::new(list);
    let mut names = outer.nested(SEQUENCE)?;
    outer.end()?;
    let mut all = Vec::new();
    while !names.is_empty() {
        let element = names.element()?;
        let mut contents = Reader::new(element.contents);
        all.push(match element.tag {
            DNS => AlternativeName::Dns(element.contents),
            URI | IP => AlternativeName::Address,
            EMAIL => AlternativeName::Other,
            OTHER => {
                contents.oid()?;
                let mut value = contents.nested(constructed(0))?;
                value.element()?;
                value.end()?;
                contents.end()?;
                AlternativeName::Other
            }
            DIRECTORY => {
                Name::read(&mut contents).ok()?;
                contents.end()?;
                AlternativeName::Other
            }
            REGISTERED if is_oid(element.contents) => AlternativeName::Other,
            _ => return None,
        });
    }
    Some(all)
}
