//! Public keys in certificates, and private keys.

#![expect(
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a table of what fixtures are made into"
)]

use super::super::parts::{self, oid, tag};
use super::super::tree::Node;
use super::super::{blocks, pem};
use super::Expected::{Refused, Rewritten, Served};
use super::{Case, Expected, case, edited, leaf, nothing, put};
use crate::certificates::{Pair, fixtures};

/// The key of a pair, changed and under this label.
fn key(what: &str, pair: &Pair, expected: Expected, edit: impl FnOnce(&mut Node)) -> Case {
    let (label, der) = blocks(&pair.key).remove(0);
    let mut node = Node::parse(&der).expect("the fixture is DER");
    edit(&mut node);
    case(what, &pair.certificate, &pem(label, &node.encode()), expected)
}

/// Public keys in certificates.
pub(super) fn public() -> Vec<Case> {
    const BITS: &[usize] = &[0, 6, 1];
    const CURVE: &[usize] = &[0, 6, 0, 1];
    let pair = fixtures::sec1();
    let mut tree = Node::parse(&pair.leaf()).expect("the fixture is DER");
    let point = parts::contents(tree.at(BITS));
    let bits = |bytes: Vec<u8>| put(BITS, Node::bytes(tag::BIT_STRING, bytes));
    let short = [&[0, 2 + (point[65] & 1)], &point[2..34]].concat();
    let mut beside = point;
    beside[65] ^= 1;
    let (rsa, ed25519) = (fixtures::rsa2048(), fixtures::ed25519());
    let rsa_key =
        |what, expected, edit: fn(&mut Node)| case(what, &edited(&rsa, edit), &rsa.key, expected);
    vec![
        leaf("a point in short form", Served, bits(short)),
        leaf("a point beside the curve", Refused("malformed public key"), bits(beside)),
        leaf("the point at infinity", Refused("malformed public key"), bits(vec![0, 0])),
        leaf("no curve", Refused("malformed public key"), put(CURVE, nothing())),
        leaf("a curve by its numbers", Refused("of a kind"), put(CURVE, parts::sequence([]))),
        leaf("more behind the key", Refused("malformed public key"), |leaf| {
            leaf.at(parts::PUBLIC_KEY).children_mut().push(nothing());
        }),
        rsa_key("RSA without NULL", Refused("malformed public key"), |leaf| {
            leaf.at(&[0, 6, 0]).children_mut().pop();
        }),
        rsa_key("RSA with an even exponent", Refused("exponent"), |leaf| {
            *leaf.at(&[0, 6, 1, 0, 1]) = parts::integer(&[4]);
        }),
        rsa_key("RSA with the exponent 1", Refused("exponent"), |leaf| {
            *leaf.at(&[0, 6, 1, 0, 1]) = parts::integer(&[1]);
        }),
        rsa_key("RSA with an exponent of 34 bits", Refused("exponent"), |leaf| {
            *leaf.at(&[0, 6, 1, 0, 1]) = parts::integer(&[3, 0, 0, 0, 1]);
        }),
        case(
            "Ed25519 with NULL",
            &edited(&ed25519, |leaf| leaf.at(&[0, 6, 0]).children_mut().push(nothing())),
            &ed25519.key,
            Refused("malformed public key"),
        ),
    ]
}

/// Private keys.
pub(super) fn private() -> Vec<Case> {
    let (sec1, pkcs1) = (fixtures::sec1(), fixtures::pkcs1());
    let (p521, ed25519) = (fixtures::p521(), fixtures::ed25519());
    let rsa = fixtures::rsa2048();
    let odd = |what, expected, path: &'static [usize], change: fn(&mut Vec<u8>)| {
        key(what, &pkcs1, expected, |key| {
            let mut bytes = parts::contents(key.at(path));
            change(&mut bytes);
            *key.at(path) = parts::integer(&bytes);
        })
    };
    let last = |bytes: &mut Vec<u8>| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 4;
        }
    };
    let (misfit, broken) = ("do not fit each other", "malformed private key");
    let public = {
        let mut leaf = Node::parse(&ed25519.leaf()).expect("the fixture is DER");
        parts::contents(leaf.at(&[0, 6, 1]))
    };
    vec![
        odd("RSA, another modulus", Refused(misfit), &[1], last),
        odd("RSA, another exponent", Refused(misfit), &[2], last),
        odd("RSA, another private exponent", Refused(misfit), &[3], last),
        odd("RSA, another prime", Refused(misfit), &[4], last),
        odd("RSA, another second prime", Refused(misfit), &[5], last),
        odd("RSA, another first exponent", Refused(misfit), &[6], last),
        odd("RSA, another second exponent", Refused(misfit), &[7], last),
        odd("RSA, another coefficient", Refused(misfit), &[8], last),
        odd("RSA, no primes", Refused(misfit), &[4], |bytes| *bytes = vec![0]),
        odd("RSA, of three primes", Refused(broken), &[0], |bytes| *bytes = vec![1]),
        odd("RSA, padded modulus", Refused(broken), &[1], |bytes| bytes.insert(0, 0)),
        odd("RSA, negative prime", Refused(broken), &[4], |bytes| bytes.insert(0, 0xff)),
        key("RSA, primes swapped", &pkcs1, Refused(misfit), |key| {
            key.children_mut().swap(4, 5);
        }),
        key("RSA, more behind it", &pkcs1, Refused(broken), |key| {
            key.children_mut().push(nothing());
        }),
        key("RSA, PKCS #8 without NULL", &rsa, Refused(broken), |key| {
            key.at(&[1]).children_mut().pop();
        }),
        case(
            "RSA, PKCS #8 under the older label",
            &rsa.certificate,
            &rsa.key.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
            Served,
        ),
        key("SEC1 without its public key", &sec1, Served, |key| {
            key.children_mut().pop();
        }),
        key("SEC1 without its curve", &sec1, Refused(broken), |key| {
            key.children_mut().remove(2);
        }),
        key("SEC1 of another curve", &sec1, Refused(broken), |key| {
            *key.at(&[2, 0]) = Node::bytes(tag::OID, [0x2b, 0x81, 0x04, 0x00, 0x22]);
        }),
        key("SEC1 of an unknown curve", &sec1, Refused("of a kind"), |key| {
            *key.at(&[2, 0]) = Node::bytes(tag::OID, oid::UNKNOWN);
        }),
        key("SEC1 with leading zeros", &sec1, Served, |key| {
            let scalar = parts::contents(key.at(&[1]));
            *key.at(&[1]) = Node::bytes(tag::OCTET_STRING, [vec![0; 3], scalar].concat());
        }),
        key("SEC1 of zero", &sec1, Refused(broken), |key| {
            *key.at(&[1]) = Node::bytes(tag::OCTET_STRING, [0; 32]);
            key.children_mut().pop();
        }),
        key("SEC1 beyond the order", &sec1, Refused(broken), |key| {
            *key.at(&[1]) = Node::bytes(tag::OCTET_STRING, [0xff; 32]);
            key.children_mut().pop();
        }),
        key("SEC1 with another public key", &sec1, Refused(broken), |key| {
            let point = key.at(&[3, 0]);
            let mut bytes = parts::contents(point);
            last(&mut bytes);
            *point = Node::bytes(tag::BIT_STRING, bytes);
        }),
        key("SEC1 of version 2", &sec1, Refused(broken), |key| {
            *key.at(&[0]) = parts::integer(&[2]);
        }),
        key("PKCS #8 with attributes", &p521, Served, |key| {
            key.children_mut().push(Node::nodes(0xa0, []));
        }),
        key("PKCS #8 with odd attributes", &p521, Rewritten, |key| {
            key.children_mut().push(Node::bytes(0xa0, b"x"));
        }),
        key("PKCS #8 with more behind it", &p521, Rewritten, |key| {
            key.children_mut().push(nothing());
        }),
        case(
            "bytes behind the key",
            &p521.certificate,
            &{
                let (label, der) = blocks(&p521.key).remove(0);
                pem(label, &[der.as_slice(), &[0]].concat())
            },
            Served,
        ),
        key("PKCS #8 of version 3", &p521, Refused(broken), |key| {
            *key.at(&[0]) = parts::integer(&[2]);
        }),
        key("PKCS #8 with its public key, as Rust writes it", &ed25519, Rewritten, |key| {
            *key.at(&[0]) = parts::integer(&[1]);
            key.children_mut().push(Node::bytes(0x81, public));
        }),
        key("Ed25519 too short", &ed25519, Refused(broken), |key| {
            *key.at(&[2]) = Node::bytes(tag::OCTET_STRING, [&[4, 31][..], &[7; 31]].concat());
        }),
        key("Ed25519 with NULL", &ed25519, Refused(broken), |key| {
            key.at(&[1]).children_mut().push(nothing());
        }),
        key("X25519", &ed25519, Refused("of a kind"), |key| {
            *key.at(&[1, 0]) = Node::bytes(tag::OID, [0x2b, 0x65, 0x6e]);
        }),
        case("a key of another kind", &sec1.certificate, &p521.key, Refused("not belong")),
    ]
}
