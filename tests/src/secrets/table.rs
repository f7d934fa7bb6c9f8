//! Contents with what is to become of them: what Envoy 1.40 was seen to do, and what we do.

mod keys;

use Expected::{Refused, Served, Stricter};

use super::parts::{self, oid, tag};
use super::tree::{Body, Node};
use super::{CERTIFICATE, Content, blocks, pem};
use crate::certificates::{Pair, authority, fixtures};

/// What is to become of a content.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// It is served.
    Served,
    /// It is served, though Envoy refuses it as it is written.
    Rewritten,
    /// Both refuse it; the words are in our reason.
    Refused(&'static str),
    /// We refuse it, though Envoy takes it: `docs/secrets.md` says so.
    Stricter(&'static str),
}

/// A content and what is to become of it.
pub type Case = (Content, Expected);

fn case(what: &str, chain: &str, key: &str, expected: Expected) -> Case {
    (Content { what: what.to_owned(), chain: chain.to_owned(), key: key.to_owned() }, expected)
}

fn whole(what: &str, pair: Pair, expected: Expected) -> Case {
    (Content::new(what, pair), expected)
}

/// The leaf of a pair, changed.
///
/// # Panics
/// If the change does.
pub fn edited(pair: &Pair, edit: impl FnOnce(&mut Node)) -> String {
    let mut leaf = Node::parse(&pair.leaf()).expect("the fixture is DER");
    edit(&mut leaf);
    pem(CERTIFICATE, &leaf.encode())
}

/// A certificate with a key of P-256, changed.
fn leaf(what: &str, expected: Expected, edit: impl FnOnce(&mut Node)) -> Case {
    let pair = fixtures::sec1();
    case(what, &edited(&pair, edit), &pair.key, expected)
}

/// Puts a node into the place at this path.
fn put(path: &'static [usize], node: Node) -> impl FnOnce(&mut Node) {
    move |leaf| *leaf.at(path) = node
}

/// Adds extensions.
fn with(extensions: impl Into<Vec<Node>>) -> impl FnOnce(&mut Node) {
    let extensions = extensions.into();
    move |leaf| leaf.at(parts::EXTENSIONS).children_mut().extend(extensions)
}

/// A certificate with this subject and these extensions alone.
fn named(subject: Node, extensions: impl Into<Vec<Node>>) -> impl FnOnce(&mut Node) {
    let extensions = extensions.into();
    move |leaf| {
        *leaf.at(parts::SUBJECT) = subject;
        *leaf.at(parts::EXTENSIONS).children_mut() = extensions;
    }
}

fn nothing() -> Node {
    Node::bytes(tag::NULL, [])
}

/// All of them.
pub fn all() -> Vec<Case> {
    let certificates = [kinds(), structure(), names(), times(), extensions()];
    let all = certificates.into_iter().chain([keys::public(), keys::private(), texts()]);
    all.flatten().collect()
}

fn kinds() -> Vec<Case> {
    let hosts = ["a.example.com"];
    vec![
        whole("P-256", authority().leaf(&hosts), Served),
        whole("P-256, SEC1", fixtures::sec1(), Served),
        whole("P-384", fixtures::p384(), Served),
        whole("P-521", fixtures::p521(), Served),
        whole("Ed25519", fixtures::ed25519(), Served),
        whole("RSA 2048", fixtures::rsa2048(), Served),
        whole("RSA 2048, PKCS #1", fixtures::pkcs1(), Served),
        whole("RSA 2048, exponent 3", fixtures::exponent3(), Served),
        whole("RSA 8192", fixtures::rsa8192(), Served),
        whole("RSA 1024", fixtures::rsa1024(), Refused("RSA key of 1024 bits")),
        whole("secp256k1", fixtures::secp256k1(), Refused("of a kind")),
        whole("expired", authority().expired(&hosts), Served),
        whole("not valid yet", authority().not_yet_valid(&hosts), Served),
        whole("of another key", authority().mismatched(&hosts), Refused("not belong")),
        whole("encrypted", fixtures::encrypted(), Refused("encrypted")),
    ]
}

fn structure() -> Vec<Case> {
    let version = |number: u8| put(parts::VERSION, parts::integer(&[number]));
    let bare = |leaf: &mut Node| {
        leaf.at(&[0]).children_mut().pop();
    };
    let padded = |first: u8| put(parts::SERIAL, parts::integer(&[first, first & 0x80 | 1]));
    let bits = |path, bytes: &[u8]| put(path, Node::bytes(tag::BIT_STRING, bytes));
    let algorithm =
        |node: Node| move |leaf: &mut Node| leaf.at(parts::ALGORITHM).children_mut().push(node);
    let (odd, unread) = ("malformed", "X.509");
    vec![
        leaf("version 1 with extensions", Refused("of version 1"), version(0)),
        leaf("version 2 with extensions", Refused("of version 2"), version(1)),
        leaf("version 4", Refused("version other than"), version(3)),
        leaf("no version, with extensions", Refused("of version 1"), |leaf| {
            leaf.at(&[0]).children_mut().remove(0);
        }),
        leaf("version 1", Served, |leaf| {
            bare(leaf);
            leaf.at(&[0]).children_mut().remove(0);
        }),
        leaf("version 2", Served, |leaf| {
            bare(leaf);
            version(1)(leaf);
        }),
        leaf("no extensions", Served, bare),
        leaf("serial 0", Served, put(parts::SERIAL, parts::integer(&[0]))),
        leaf("negative serial", Served, put(parts::SERIAL, parts::integer(&[0x85]))),
        leaf("serial of 100 bytes", Served, put(parts::SERIAL, parts::integer(&[1; 100]))),
        leaf("empty serial", Refused("serial number"), put(parts::SERIAL, parts::integer(&[]))),
        leaf("serial with leading zeros", Refused("serial number"), padded(0)),
        leaf("serial with leading ones", Refused("serial number"), padded(0xff)),
        leaf("algorithm with NULL", Served, algorithm(nothing())),
        leaf("algorithm with two parameters", Refused(odd), |leaf| {
            leaf.at(parts::ALGORITHM).children_mut().extend([nothing(), nothing()]);
        }),
        leaf("algorithm with text", Stricter(odd), algorithm(Node::bytes(tag::UTF8, "x"))),
        leaf("algorithm without name", Refused(odd), |leaf| {
            leaf.at(&[1, 0]).body = Body::Bytes(Vec::new());
        }),
        leaf("no bits of signature", Served, bits(parts::SIGNATURE, &[0])),
        leaf("no signature", Refused("signature"), bits(parts::SIGNATURE, &[])),
        leaf("signature with odd bits", Refused("signature"), bits(parts::SIGNATURE, &[3, 0xff])),
        leaf("more behind the signature", Refused(unread), |leaf| {
            leaf.children_mut().push(nothing());
        }),
        leaf("more behind the extensions", Refused(unread), |leaf| {
            leaf.at(&[0]).children_mut().push(nothing());
        }),
        leaf("a unique identifier", Served, |leaf| {
            leaf.at(&[0]).children_mut().insert(7, Node::bytes(0x81, [0, 7]));
        }),
        leaf("an empty unique identifier", Refused(unread), |leaf| {
            leaf.at(&[0]).children_mut().insert(7, Node::bytes(0x81, []));
        }),
    ]
}

fn names() -> Vec<Case> {
    let subject = |kind, bytes: &[u8]| put(parts::SUBJECT, parts::common_name(kind, bytes));
    let issuer = |kind, bytes: &[u8]| put(parts::ISSUER, parts::common_name(kind, bytes));
    let nobody = || parts::sequence([]);
    let organization = || parts::name(oid::ORGANIZATION, Node::bytes(tag::UTF8, "an organization"));
    let dns = || parts::alternative_name(2, b"a.example.com");
    let utf8 = "UTF-8";
    vec![
        leaf("subject not UTF-8", Refused(utf8), subject(tag::UTF8, b"\xff")),
        leaf("issuer not UTF-8", Refused(utf8), issuer(tag::UTF8, b"\xff")),
        leaf("subject with half a pair", Refused(utf8), subject(tag::UTF8, b"\xed\xa0\x80")),
        leaf("subject with U+FFFE", Refused(utf8), subject(tag::UTF8, b"\xef\xbf\xbe")),
        leaf("subject of three bytes of BMP", Refused("UCS-2"), subject(tag::BMP, b"abc")),
        leaf("subject of BMP", Served, subject(tag::BMP, b"\0a\0b")),
        leaf("subject of odd UTF-32", Refused("UTF-32"), subject(tag::UNIVERSAL, b"abc")),
        leaf("subject of UTF-32", Served, subject(tag::UNIVERSAL, b"\0\0\0a")),
        leaf("subject in Latin", Served, subject(tag::PRINTABLE, b"Z\xfcrich")),
        leaf("subject a bad number", Refused("not text"), subject(tag::INTEGER, b"")),
        leaf("subject a number", Stricter("not text"), subject(tag::INTEGER, b"\x05")),
        leaf("subject with an empty part", Refused("malformed"), |leaf| {
            *leaf.at(parts::SUBJECT) = parts::sequence([Node::nodes(tag::SET, [])]);
        }),
        leaf("empty common name", Refused("empty common name"), subject(tag::UTF8, b"")),
        leaf("nobody", Refused("names nobody"), named(nobody(), [])),
        leaf("an organization", Refused("names nobody"), named(organization(), [])),
        leaf("a DNS name alone", Served, named(nobody(), [dns()])),
        leaf("an IP address alone", Served, {
            named(nobody(), [parts::alternative_name(7, &[127, 0, 0, 1])])
        }),
        leaf("an email address alone", Refused("names nobody"), {
            named(nobody(), [parts::alternative_name(1, b"a@example.com")])
        }),
        leaf("two lists of names alone", Refused("names nobody"), named(nobody(), [dns(), dns()])),
        leaf("a malformed list of names alone", Refused("names nobody"), {
            named(nobody(), [parts::extension(oid::ALTERNATIVE_NAMES, b"x")])
        }),
        leaf("a common name and a malformed list of names", Served, {
            named(
                parts::common_name(tag::UTF8, b"a.example.com"),
                [parts::extension(oid::ALTERNATIVE_NAMES, b"x")],
            )
        }),
    ]
}

fn times() -> Vec<Case> {
    let later = (tag::UTC_TIME, "350101000000Z");
    let from = |kind, text| put(parts::VALIDITY, parts::validity((kind, text), later));
    let refused = Refused("validity");
    vec![
        leaf("until 9999", Served, {
            let times = (later, (tag::GENERALIZED_TIME, "99991231235959Z"));
            put(parts::VALIDITY, parts::validity(times.0, times.1))
        }),
        leaf("the wrong way around", Served, {
            put(parts::VALIDITY, parts::validity(later, (tag::UTC_TIME, "250101000000Z")))
        }),
        leaf("from elsewhere", Served, from(tag::UTC_TIME, "250101000000+0130")),
        leaf("from 30 February", refused, from(tag::UTC_TIME, "250230000000Z")),
        leaf("from 24:00", refused, from(tag::UTC_TIME, "250101240000Z")),
        leaf("without seconds", refused, from(tag::UTC_TIME, "2501010000Z")),
        leaf("without Z", refused, from(tag::UTC_TIME, "250101000000")),
        leaf("with a fraction", refused, from(tag::GENERALIZED_TIME, "20250101000000.5Z")),
        leaf("a time that is text", refused, from(tag::UTF8, "250101000000Z")),
        leaf("one time", refused, |leaf| {
            leaf.at(parts::VALIDITY).children_mut().pop();
        }),
        leaf("three times", refused, |leaf| {
            let time = Node::bytes(tag::UTC_TIME, "250101000000Z");
            leaf.at(parts::VALIDITY).children_mut().push(time);
        }),
    ]
}

fn extensions() -> Vec<Case> {
    let usage = |unused, byte| with([parts::key_usage(unused, &[byte])]);
    let unknown = |value: &[u8]| parts::extension(oid::UNKNOWN, value);
    let raw = |contents: &[u8]| with([parts::extension(oid::KEY_USAGE, contents)]);
    let odd = "malformed extensions";
    let rsa = fixtures::rsa2048();
    let rsa_usage = edited(&rsa, usage(3, 0x08));
    vec![
        leaf("must-staple", Refused("must-staple"), with([parts::tls_feature(&[5])])),
        leaf("features other than must-staple", Served, with([parts::tls_feature(&[17])])),
        leaf("usage for signatures", Served, usage(7, 0x80)),
        leaf("usage for key agreement", Refused("digitalSignature"), usage(3, 0x08)),
        leaf("usage for nothing", Refused("digitalSignature"), usage(7, 0)),
        leaf("malformed usage", Refused("malformed KeyUsage"), raw(b"x")),
        leaf("usage with odd bits", Refused("malformed KeyUsage"), usage(7, 0x81)),
        leaf("two usages, the first good", Served, {
            with([parts::key_usage(7, &[0x80]), parts::key_usage(3, &[0x08])])
        }),
        leaf("two usages, the second good", Refused("digitalSignature"), {
            with([parts::key_usage(3, &[0x08]), parts::key_usage(7, &[0x80])])
        }),
        case("RSA with usage for key agreement", &rsa_usage, &rsa.key, Served),
        leaf("an unknown extension twice", Served, with([unknown(b"x"), unknown(b"x")])),
        leaf("malformed constraints", Served, with([parts::extension(oid::CONSTRAINTS, b"x")])),
        leaf("an empty list of extensions", Served, {
            put(parts::EXTENSIONS, parts::sequence([]))
        }),
        leaf("extensions without a list", Refused(odd), |leaf| {
            leaf.at(&[0, 7]).children_mut().clear();
        }),
        leaf("two lists of extensions", Refused(odd), |leaf| {
            leaf.at(&[0, 7]).children_mut().push(parts::sequence([]));
        }),
        leaf("an extension without a value", Refused(odd), {
            with([parts::sequence([Node::bytes(tag::OID, oid::UNKNOWN)])])
        }),
        leaf("an extension of text", Refused(odd), {
            with([parts::sequence([
                Node::bytes(tag::OID, oid::UNKNOWN),
                Node::bytes(tag::UTF8, "x"),
            ])])
        }),
        leaf("an extension that is critical in two bytes", Refused(odd), {
            with([parts::sequence([
                Node::bytes(tag::OID, oid::UNKNOWN),
                Node::bytes(tag::BOOLEAN, [0xff, 0xff]),
                Node::bytes(tag::OCTET_STRING, b"x"),
            ])])
        }),
    ]
}

fn texts() -> Vec<Case> {
    let pair = fixtures::sec1();
    let (crt, key) = (pair.certificate.as_str(), pair.key.as_str());
    let other = fixtures::rsa2048();
    let der = blocks(crt).remove(0).1;
    let behind = pem(CERTIFICATE, &[der.as_slice(), &[0]].concat());
    let unreadable = edited(&pair, put(parts::SUBJECT, parts::common_name(tag::UTF8, b"\xff")));
    let half = crt.split_at(crt.len() / 2).0;
    let encrypted = fixtures::encrypted().key;
    let with_key = |what, text: String, expected| case(what, crt, &text, expected);
    let with_chain = |what, text: String, expected| case(what, &text, key, expected);
    vec![
        with_chain("nothing", String::new(), Refused("no PEM certificate")),
        with_chain("remarks around it", format!("one\n{crt}two\n"), Served),
        with_chain("CRLF", crt.replace('\n', "\r\n"), Served),
        with_chain("half", half.to_owned(), Refused("broken PEM")),
        with_chain("bytes behind it", behind.clone(), Refused("behind its end")),
        with_chain("a longer chain", format!("{crt}{}", authority().pem()), Served),
        with_chain("half a second one", format!("{crt}{half}"), Refused("broken PEM")),
        with_chain("a second that is none", format!("{crt}{}", pem(CERTIFICATE, b"abc")), {
            Refused("number 2")
        }),
        with_chain("a second with bytes behind it", format!("{crt}{behind}"), {
            Stricter("number 2")
        }),
        with_chain("a second that is not UTF-8", format!("{crt}{unreadable}"), {
            Refused("number 2")
        }),
        with_chain(
            "a second with a weak key",
            format!("{crt}{}", fixtures::rsa1024().certificate),
            Served,
        ),
        with_chain("the wrong order", format!("{}{crt}", other.certificate), {
            Refused("certificate number 2 of tls.crt; put that one first")
        }),
        with_chain("a key before it", format!("{key}{crt}"), Served),
        with_chain("17 certificates", crt.repeat(17), Stricter("more than 16 certificates")),
        with_chain("as trusted", crt.replace(CERTIFICATE, "TRUSTED CERTIFICATE"), {
            Stricter("no PEM certificate")
        }),
        with_key("no key", String::new(), Refused("no PEM private key")),
        with_key("a certificate as key", crt.to_owned(), Refused("no PEM private key")),
        with_key("half a key", key.split_at(key.len() / 2).0.to_owned(), Refused("broken PEM")),
        with_key(
            "the curve before the key",
            {
                format!(
                    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}"
                )
            },
            Served,
        ),
        with_key("an encrypted key behind it", format!("{key}{encrypted}"), Served),
        with_key("an encrypted key before it", format!("{encrypted}{key}"), Refused("encrypted")),
        with_key("another key behind it", format!("{key}{}", other.key), Served),
        with_key("another key before it", format!("{}{key}", other.key), Refused("not belong")),
        with_key(
            "encrypted as it was once done",
            {
                key.replace(
                    "KEY-----\n",
                    "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
                )
            },
            Refused("encrypted"),
        ),
    ]
}
