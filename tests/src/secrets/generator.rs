//! Random changes of good Secrets.

#![expect(clippy::indexing_slicing, reason = "positions are drawn from what is there")]

use fastrand::Rng;

use super::parts::{self, oid, tag};
use super::tree::{Body, Node};
use super::{CERTIFICATE, Content, blocks, pem};
use crate::certificates::fixtures;

/// Contents without end. The same seed gives the same ones.
pub struct Generator {
    random: Rng,
    bases: Vec<Content>,
}

/// A block of PEM.
type Block = (String, Vec<u8>);

impl Generator {
    /// Starts anew.
    pub fn new(seed: u64) -> Self {
        let bases = vec![
            Content::new("P-256", fixtures::sec1()),
            Content::new("P-384", fixtures::p384()),
            Content::new("P-521", fixtures::p521()),
            Content::new("Ed25519", fixtures::ed25519()),
            Content::new("RSA", fixtures::rsa2048()),
            Content::new("RSA, PKCS #1", fixtures::pkcs1()),
            Content::new("RSA, exponent 3", fixtures::exponent3()),
            Content::new("secp256k1", fixtures::secp256k1()),
        ];
        Self { random: Rng::with_seed(seed), bases }
    }

    /// A chain and a key, with one change or a few.
    pub fn content(&mut self) -> Content {
        let base = self.base();
        let mut what = base.what.clone();
        let mut chain = own(blocks(&base.chain));
        let mut key = own(blocks(&base.key));
        // Some with a chain: whatever is wrong there counts too.
        if self.random.u8(..4) == 0 {
            chain.extend(own(blocks(&self.base().chain)));
            what.push_str(", chain");
        }
        for _ in 0..=self.random.usize(..3) {
            let is_key = self.random.u8(..3) == 0;
            let change = if is_key { self.change(&mut key) } else { self.change(&mut chain) };
            what.push_str(if is_key { "; key: " } else { "; chain: " });
            what.push_str(&change);
        }
        let (mut chain, mut key) = (text(&chain), text(&key));
        match self.random.u8(..20) {
            0 => what.push_str(&self.scribble(&mut chain)),
            1 => what.push_str(&self.scribble(&mut key)),
            _ => {}
        }
        Content { what, chain, key }
    }

    /// A CA bundle.
    pub fn bundle(&mut self) -> Content {
        let mut what = String::new();
        let mut chain = Vec::new();
        for _ in 0..=self.random.usize(..3) {
            let base = self.base();
            what.push_str(&base.what);
            what.push_str(", ");
            chain.extend(own(blocks(&base.chain)));
        }
        what.push_str(&self.change(&mut chain));
        let mut chain = text(&chain);
        if self.random.u8(..10) == 0 {
            what.push_str(&self.scribble(&mut chain));
        }
        Content { what, chain, key: String::new() }
    }

    fn base(&mut self) -> Content {
        let index = self.random.usize(..self.bases.len());
        self.bases[index].clone()
    }

    /// Changes one of the blocks, or their order.
    fn change(&mut self, all: &mut Vec<Block>) -> String {
        if all.is_empty() {
            return "nothing left".to_owned();
        }
        let at = self.random.usize(..all.len());
        match self.random.u8(..40) {
            0 => {
                all.remove(at);
                "a block removed".to_owned()
            }
            1 => {
                let twin = all[at].clone();
                all.push(twin);
                "a block twice".to_owned()
            }
            2 => {
                all.reverse();
                "reversed".to_owned()
            }
            3 => {
                let other = self.base();
                let text = if all[at].0 == CERTIFICATE { other.chain } else { other.key };
                if let Some(block) = own(blocks(&text)).into_iter().next() {
                    all[at] = block;
                }
                format!("that of {}", other.what)
            }
            4 => {
                let labels = [
                    "PRIVATE KEY",
                    "RSA PRIVATE KEY",
                    "EC PRIVATE KEY",
                    "ENCRYPTED PRIVATE KEY",
                    CERTIFICATE,
                ];
                self.pick(&labels).clone_into(&mut all[at].0);
                format!("labelled {}", all[at].0)
            }
            5..=12 => self.spoil(&mut all[at].1),
            _ => {
                let is_certificate = all[at].0 == CERTIFICATE;
                self.graft(&mut all[at].1, is_certificate)
            }
        }
    }

    /// Changes bytes without a look at what they mean.
    fn spoil(&mut self, bytes: &mut Vec<u8>) -> String {
        if bytes.is_empty() {
            return "still empty".to_owned();
        }
        let at = self.random.usize(..bytes.len());
        match self.random.u8(..6) {
            0..=2 => bytes[at] ^= 1 << self.random.u8(..8),
            3 => bytes[at] = self.random.u8(..),
            4 => bytes.insert(at, self.random.u8(..)),
            _ => {
                bytes.remove(at);
            }
        }
        format!("byte {at}")
    }

    /// Changes a value, with lengths that still fit.
    fn graft(&mut self, bytes: &mut Vec<u8>, is_certificate: bool) -> String {
        let Some(mut tree) = Node::parse(bytes) else {
            return self.spoil(bytes);
        };
        let is_whole = is_certificate
            && [parts::VERSION, parts::SERIAL, parts::VALIDITY, parts::SUBJECT, parts::ISSUER]
                .iter()
                .all(|path| tree.get(path).is_some())
            && tree.get(parts::EXTENSIONS).is_some_and(|list| !list.children().is_empty());
        let change = if is_whole && self.random.bool() {
            self.replace_part(&mut tree)
        } else {
            self.change_any(&mut tree)
        };
        *bytes = tree.encode();
        change
    }

    /// Puts a known part of a certificate in place of its own.
    fn replace_part(&mut self, tree: &mut Node) -> String {
        match self.random.u8(..10) {
            0 => {
                *tree.at(parts::VERSION) = parts::integer(&[self.random.u8(..4)]);
                "version".to_owned()
            }
            1 => {
                let serial: Vec<u8> =
                    (0..self.random.usize(..24)).map(|_| self.random.u8(..)).collect();
                *tree.at(parts::SERIAL) = parts::integer(&serial);
                "serial".to_owned()
            }
            2 | 3 => {
                let is_subject = self.random.u8(..3) > 0;
                let path = if is_subject { parts::SUBJECT } else { parts::ISSUER };
                *tree.at(path) = self.name();
                format!("name {:?}", contents(tree.at(path)))
            }
            4 | 5 => {
                let times = [self.time(), self.time()];
                let change = format!("validity {times:?}");
                let [(a, b), (c, d)] = &times;
                *tree.at(parts::VALIDITY) = parts::validity((*a, b), (*c, d));
                change
            }
            6 => {
                tree.at(parts::EXTENSIONS).children_mut().clear();
                "no extensions".to_owned()
            }
            _ => {
                let extension = self.extension();
                let change = format!("extension {:?}", contents(&extension));
                let list = tree.at(parts::EXTENSIONS).children_mut();
                let at = self.random.usize(..=list.len());
                list.insert(at, extension);
                change
            }
        }
    }

    fn name(&mut self) -> Node {
        let kinds = [
            tag::UTF8,
            tag::PRINTABLE,
            tag::TELETEX,
            tag::IA5,
            tag::UNIVERSAL,
            tag::BMP,
            tag::BIT_STRING,
            tag::INTEGER,
            0x12,
            0x1a,
            0x1b,
        ];
        let texts: [&[u8]; 10] = [
            b"a.example.com",
            b"",
            b"\0a\0b",
            b"\0\0\0a",
            b"\xff",
            b"\xed\xa0\x80",
            b"\xef\xbf\xbe",
            b"\xf4\x8f\xbf\xbf",
            b"\xff\xfe",
            b"\0",
        ];
        let attribute = self.pick(&[oid::COMMON_NAME, oid::ORGANIZATION]);
        let value = Node::bytes(self.pick(&kinds), self.pick(&texts));
        match self.random.u8(..6) {
            0 => parts::sequence([]),
            _ => parts::name(attribute, value),
        }
    }

    fn time(&mut self) -> (u8, String) {
        let number = |random: &mut Rng, high: u8| format!("{:02}", random.u8(..high));
        let kind = if self.random.bool() { tag::UTC_TIME } else { tag::GENERALIZED_TIME };
        let mut text = number(&mut self.random, 100);
        if kind == tag::GENERALIZED_TIME {
            text.push_str(&number(&mut self.random, 100));
        }
        for high in [14, 33, 25, 61, 61] {
            text.push_str(&number(&mut self.random, high));
        }
        let zones = ["Z", "Z", "Z", "", "+0100", "-2359", "+2400", "+0060", ".5Z", "z"];
        text.push_str(self.pick(&zones));
        (kind, text)
    }

    fn extension(&mut self) -> Node {
        let bits = self.random.u8(..);
        let unused = self.random.u8(..9);
        match self.random.u8(..8) {
            0 => parts::tls_feature(&[5]),
            1 => parts::tls_feature(&[17, self.random.u8(..20)]),
            2 => parts::key_usage(unused, &[bits]),
            3 => parts::key_usage(0, &[bits]),
            4 => parts::extension(oid::KEY_USAGE, &[bits]),
            5 => {
                let kind = self.random.u8(..10);
                parts::alternative_name(
                    kind,
                    self.pick(&[b"a.example.com".as_slice(), b"", b"\xff"]),
                )
            }
            6 => parts::extension(oid::ALTERNATIVE_NAMES, &[bits]),
            _ => parts::extension(
                self.pick(&[oid::UNKNOWN, oid::CONSTRAINTS, oid::EXTENDED_KEY_USAGE]),
                &[bits],
            ),
        }
    }

    /// Changes a value anywhere.
    fn change_any(&mut self, tree: &mut Node) -> String {
        let paths = tree.paths();
        let path = paths[self.random.usize(..paths.len())].clone();
        let other = tree.at(&paths[self.random.usize(..paths.len())]).clone();
        let Some((last, parent)) = path.split_last() else {
            return "root".to_owned();
        };
        let siblings = tree.at(parent).children_mut();
        let action = match self.random.u8(..10) {
            0 => {
                siblings.remove(*last);
                "removed"
            }
            1 => {
                let twin = siblings[*last].clone();
                siblings.insert(*last, twin);
                "twice"
            }
            2 => {
                let next = self.random.usize(..siblings.len());
                siblings.swap(*last, next);
                "swapped"
            }
            3 => {
                siblings[*last].tag = match self.random.u8(..3) {
                    0 => self.random.u8(1..0x1f),
                    1 => 0x80 | self.random.u8(..8),
                    _ => 0xa0 | self.random.u8(..8),
                };
                "tagged anew"
            }
            4 => {
                siblings[*last] = other;
                "replaced"
            }
            5 => {
                siblings.insert(*last, other);
                "another before it"
            }
            _ => {
                let mut bytes = parts::contents(&siblings[*last]);
                self.alter(&mut bytes);
                siblings[*last].body = Body::Bytes(bytes);
                "contents"
            }
        };
        format!("{action} at {path:?}")
    }

    /// Changes a number, a string or whatever it is.
    fn alter(&mut self, bytes: &mut Vec<u8>) {
        match self.random.u8(..8) {
            0 => bytes.clear(),
            1 => bytes.insert(0, 0),
            2 => bytes.insert(0, 0xff),
            3 => bytes.push(self.random.u8(..)),
            4 => {
                bytes.pop();
            }
            5 => {
                if let Some(last) = bytes.last_mut() {
                    *last = last.wrapping_add(2);
                }
            }
            _ => {
                if !bytes.is_empty() {
                    let at = self.random.usize(..bytes.len());
                    bytes[at] ^= 1 << self.random.u8(..8);
                }
            }
        }
    }

    /// Changes the text of PEM.
    fn scribble(&mut self, text: &mut String) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return "; no text".to_owned();
        }
        let at = self.random.usize(..lines.len());
        let change = match self.random.u8(..7) {
            0 => {
                lines.remove(at);
                "line removed"
            }
            1 => {
                lines.insert(at, "# a remark".to_owned());
                "remark"
            }
            2 => {
                lines[at].insert(0, ' ');
                "indented"
            }
            3 => {
                lines[at].push('\r');
                "carriage return"
            }
            4 => {
                lines[at].pop();
                "cut"
            }
            5 => {
                lines.insert(at, "-----BEGIN CERTIFICATE-----".to_owned());
                "begin"
            }
            _ => {
                lines.insert(at, String::new());
                "empty line"
            }
        };
        *text = lines.join("\n");
        text.push('\n');
        format!("; text, line {at}: {change}")
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.usize(..all.len())]
    }
}

fn own(blocks: Vec<(&'static str, Vec<u8>)>) -> Vec<Block> {
    blocks.into_iter().map(|(label, der)| (label.to_owned(), der)).collect()
}

fn text(blocks: &[Block]) -> String {
    blocks.iter().map(|(label, der)| pem(label, der)).collect()
}

fn contents(node: &Node) -> Vec<u8> {
    parts::contents(node)
}
