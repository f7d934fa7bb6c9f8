//! Parts of certificates and keys, as trees: where they are, and others to put in their place.

use super::tree::{Body, Node};

/// Tags of ASN.1.
pub mod tag {
    #![expect(missing_docs, reason = "the names are those of X.680")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const UTF8: u8 = 0x0c;
    pub const PRINTABLE: u8 = 0x13;
    pub const TELETEX: u8 = 0x14;
    pub const IA5: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const UNIVERSAL: u8 = 0x1c;
    pub const BMP: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
}

/// The path of the version in a certificate.
pub const VERSION: &[usize] = &[0, 0, 0];
/// The path of the serial number.
pub const SERIAL: &[usize] = &[0, 1];
/// The path of the algorithm of the signature, outside of what is signed.
pub const ALGORITHM: &[usize] = &[1];
/// The path of the issuer.
pub const ISSUER: &[usize] = &[0, 3];
/// The path of the two times.
pub const VALIDITY: &[usize] = &[0, 4];
/// The path of the subject.
pub const SUBJECT: &[usize] = &[0, 5];
/// The path of the public key with its algorithm.
pub const PUBLIC_KEY: &[usize] = &[0, 6];
/// The path of the list of extensions.
pub const EXTENSIONS: &[usize] = &[0, 7, 0];
/// The path of the signature.
pub const SIGNATURE: &[usize] = &[2];

/// Attributes and extensions by their object identifiers.
pub mod oid {
    /// `commonName`.
    pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    /// `organizationName`.
    pub const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    /// `subjectAltName`.
    pub const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
    /// `keyUsage`.
    pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    /// `basicConstraints`.
    pub const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    /// `extKeyUsage`.
    pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    /// TLS feature (RFC 7633).
    pub const TLS_FEATURE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x18];
    /// Nobody's.
    pub const UNKNOWN: &[u8] = &[0x2a, 0x03, 0x04];
}

/// A SEQUENCE.
pub fn sequence(nodes: impl Into<Vec<Node>>) -> Node {
    Node::nodes(tag::SEQUENCE, nodes)
}

/// An INTEGER with these contents.
pub fn integer(contents: &[u8]) -> Node {
    Node::bytes(tag::INTEGER, contents)
}

/// A name of one attribute.
pub fn name(attribute: &[u8], value: Node) -> Node {
    sequence([Node::nodes(tag::SET, [sequence([Node::bytes(tag::OID, attribute), value])])])
}

/// A name that is a common name alone.
pub fn common_name(kind: u8, bytes: &[u8]) -> Node {
    name(oid::COMMON_NAME, Node::bytes(kind, bytes))
}

/// A validity of two times.
pub fn validity(not_before: (u8, &str), not_after: (u8, &str)) -> Node {
    let time = |(kind, text): (u8, &str)| Node::bytes(kind, text);
    sequence([time(not_before), time(not_after)])
}

/// An extension.
pub fn extension(kind: &[u8], value: &[u8]) -> Node {
    sequence([Node::bytes(tag::OID, kind), Node::bytes(tag::OCTET_STRING, value)])
}

/// The extension TLS feature with these features.
pub fn tls_feature(features: &[u8]) -> Node {
    let features: Vec<Node> = features.iter().map(|feature| integer(&[*feature])).collect();
    extension(oid::TLS_FEATURE, &sequence(features).encode())
}

/// The extension `keyUsage` with these bytes of bits.
pub fn key_usage(unused: u8, bits: &[u8]) -> Node {
    let bits = [&[unused], bits].concat();
    extension(oid::KEY_USAGE, &Node::bytes(tag::BIT_STRING, bits).encode())
}

/// The extension `subjectAltName` with one name of this kind.
pub fn alternative_name(kind: u8, bytes: &[u8]) -> Node {
    let names = sequence([Node::bytes(0x80 | kind, bytes)]);
    extension(oid::ALTERNATIVE_NAMES, &names.encode())
}

/// A list of nodes, whatever held them.
pub fn contents(node: &Node) -> Vec<u8> {
    match &node.body {
        Body::Bytes(bytes) => bytes.clone(),
        Body::Nodes(prefix, nodes) => {
            prefix.iter().copied().chain(nodes.iter().flat_map(Node::encode)).collect()
        }
    }
}
