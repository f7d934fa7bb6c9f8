//! Reads and writes DER (X.690, section 10), as strictly as the TLS library of Envoy, BoringSSL,
//! reads it: definite and minimal lengths, tags of one byte.

/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// NULL.
pub(super) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub(super) const OID: u8 = 0x06;
/// `UTCTime`.
pub(super) const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE and SEQUENCE OF.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET and SET OF.
pub(super) const SET: u8 = 0x31;

/// The number of a tag whose number does not fit into one byte.
const TAG_NUMBER_LONG: u8 = 0x1f;
/// The most bytes of a length that is not minimal, as in [`Reader::bit_string_of_any_length`].
const LENGTH_BYTES_MAX: usize = 4;

/// A context-specific tag of a value that holds others.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// A context-specific tag of a value that holds bytes.
pub(super) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The tag, with its class and whether it holds other values.
    pub tag: u8,
    /// What is behind tag and length.
    pub contents: &'a [u8],
    /// All of it.
    pub raw: &'a [u8],
}

/// Values one after another. Each method takes one; `None` if it is not there or malformed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The values in these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no byte is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Some` if no byte is left.
    pub(super) fn end(self) -> Option<()> {
        self.is_empty().then_some(())
    }

    /// Any value.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        self.element_with(true)
    }

    /// The contents of a value with this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.tag == tag).map(|element| element.contents)
    }

    /// A value with this tag, to be read on.
    pub(super) fn nested(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// The contents of a value with this tag, if the next one has it; the outer `None` if that one
    /// is malformed.
    #[expect(clippy::option_option, reason = "malformed and absent are not the same")]
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Some(None) }
    }

    /// An INTEGER, of any size and sign: its contents.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        self.take(INTEGER).filter(|contents| is_integer(contents))
    }

    /// An INTEGER that is not negative, as its bytes without leading zeros.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        let contents = self.integer()?;
        let (first, rest) = contents.split_first()?;
        match first {
            0 => Some(rest),
            0x80.. => None,
            _ => Some(contents),
        }
    }

    /// An OBJECT IDENTIFIER: its contents.
    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        self.take(OID).filter(|contents| is_oid(contents))
    }

    /// A BIT STRING of whole bytes.
    pub(super) fn bytes_of_bits(&mut self) -> Option<&'a [u8]> {
        let (unused, bytes) = bit_string(self.take(BIT_STRING)?)?;
        (unused == 0).then_some(bytes)
    }

    /// A BIT STRING whose length need not be minimal: BoringSSL forgives that in the signature of
    /// a certificate alone.
    pub(super) fn bit_string_of_any_length(&mut self) -> Option<&'a [u8]> {
        let element = self.element_with(false).filter(|element| element.tag == BIT_STRING)?;
        bit_string(element.contents).map(|(_, bytes)| bytes)
    }

    fn element_with(&mut self, is_minimal: bool) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        // The tag 0 is that of an end of contents, which only indefinite lengths need.
        if tag == 0 || tag & TAG_NUMBER_LONG == TAG_NUMBER_LONG {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > LENGTH_BYTES_MAX {
                return None;
            }
            let length = digits.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
            if is_minimal && (length < 0x80 || digits.first() == Some(&0)) {
                return None;
            }
            (length, rest)
        };
        let (contents, after) = rest.split_at_checked(length)?;
        let raw = self.0.get(..self.0.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, contents, raw })
    }
}

/// Whether these are the contents of an INTEGER: not empty, and not longer than need be.
pub(super) fn is_integer(contents: &[u8]) -> bool {
    match contents {
        [] => false,
        [0, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// Whether these are the contents of an OBJECT IDENTIFIER: whole numbers, none with leading zeros.
pub(super) fn is_oid(contents: &[u8]) -> bool {
    let mut begins = true;
    for byte in contents {
        if begins && *byte == 0x80 {
            return false;
        }
        begins = byte & 0x80 == 0;
    }
    begins && !contents.is_empty()
}

/// How many bits of the last byte are not used, and the bytes; those bits have to be zero.
pub(super) fn bit_string(contents: &[u8]) -> Option<(u8, &[u8])> {
    let (&unused, bytes) = contents.split_first()?;
    let mask = match unused {
        0..=7 => (1_u8 << unused) - 1,
        _ => return None,
    };
    let rest = bytes.last().map_or(unused, |last| last & mask);
    (rest == 0).then_some((unused, bytes))
}

/// Writes a value.
pub(super) fn write(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        // A length has at most eight bytes.
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0x7f));
        out.extend(digits);
    }
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_definite_and_minimal() {
        let long = write(OCTET_STRING, &[&[7; 200]]);
        assert_eq!(long[..3], [OCTET_STRING, 0x81, 200]);
        assert_eq!(Reader::new(&long).take(OCTET_STRING).map(<[u8]>::len), Some(200));
        let longer = write(OCTET_STRING, &[&[7; 300], &[8; 5]]);
        assert_eq!(longer[..4], [OCTET_STRING, 0x82, 1, 49]);
        assert_eq!(Reader::new(&longer).element().map(|e| e.raw.len()), Some(309));
        for bad in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 1, 0],
            &[4, 0x85, 0, 0, 0, 0, 1, 0],
            &[0, 0],
            &[0x1f, 0x81, 1, 0],
        ] {
            assert_eq!(Reader::new(bad).element(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_signature_alone_may_have_a_length_that_is_not_minimal() {
        for (bytes, is_fine) in [
            (&[3, 0x81, 2, 0, 1][..], true),
            (&[3, 0x84, 0, 0, 0, 2, 0, 1], true),
            (&[3, 0x85, 0, 0, 0, 0, 2, 0, 1], false),
            (&[3, 0x80, 0, 0], false),
        ] {
            let read = Reader::new(bytes).bit_string_of_any_length();
            assert_eq!(read.is_some(), is_fine, "{bytes:?}");
        }
    }

    #[test]
    fn integers_are_minimal() {
        for (contents, unsigned) in [
            (&[][..], None),
            (&[0], Some(&[][..])),
            (&[1], Some(&[1])),
            (&[0, 1], None),
            (&[0, 0x80], Some(&[0x80])),
            (&[0xff], None),
            (&[0xff, 0x80], None),
        ] {
            let bytes = write(INTEGER, &[contents]);
            assert_eq!(Reader::new(&bytes).unsigned(), unsigned, "{contents:?}");
        }
        assert!(is_integer(&[0xff]) && is_integer(&[0xff, 0x7f]) && !is_integer(&[0xff, 0x80]));
    }

    #[test]
    fn object_identifiers_end_and_have_no_padding() {
        assert!(is_oid(&[0x55, 0x1d, 0x0f]) && is_oid(&[0x2a, 0x86, 0x48]));
        for bad in [&[][..], &[0x2a, 0x86], &[0x2a, 0x80, 1]] {
            assert!(!is_oid(bad), "{bad:?}");
        }
    }

    #[test]
    fn bits_that_are_not_used_are_zero() {
        assert_eq!(bit_string(&[3, 0xf8]), Some((3, &[0xf8][..])));
        assert_eq!(bit_string(&[0]), Some((0, &[][..])));
        for bad in [&[][..], &[1], &[3, 0xff], &[8, 0]] {
            assert_eq!(bit_string(bad), None, "{bad:?}");
        }
    }
}
