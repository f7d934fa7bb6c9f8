//! Text, names and times in a certificate.
//!
//! BoringSSL folds the names of a certificate as it reads them, so text that its type does not
//! allow makes the whole certificate unreadable.

use super::der::{
    BIT_STRING, Element, GENERALIZED_TIME, OCTET_STRING, Reader, SEQUENCE, SET, UTC_TIME,
    bit_string,
};
use crate::api::Timestamp;

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const VIDEOTEX_STRING: u8 = 0x15;
const IA5_STRING: u8 = 0x16;
const GRAPHIC_STRING: u8 = 0x19;
const VISIBLE_STRING: u8 = 0x1a;
const GENERAL_STRING: u8 = 0x1b;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

/// The attribute `commonName` (2.5.4.3).
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Why the name of a subject or issuer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not the structure of a name.
    #[error("malformed")]
    Malformed,
    /// A `UTF8String` that is none.
    #[error("marked as UTF-8 but is not")]
    Utf8,
    /// A `BMPString` that is none.
    #[error("marked as UCS-2 (BMPString) but is not")]
    Bmp,
    /// A `UniversalString` that is none.
    #[error("marked as UTF-32 (UniversalString) but is not")]
    Universal,
    /// An attribute that is no text.
    #[error("not text but an ASN.1 value with tag {0}")]
    NotText(u8),
}

/// The name of a subject or issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// As it is encoded, to be compared with others.
    pub raw: &'a [u8],
    /// The bytes of the first common name.
    pub common_name: Option<&'a [u8]>,
}

impl<'a> Name<'a> {
    /// Reads a name (RFC 5280, section 4.1.2.4).
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, NameError> {
        let malformed = NameError::Malformed;
        let element = reader.element().filter(|e| e.tag == SEQUENCE).ok_or(malformed)?;
        let mut common_name = None;
        let mut parts = Reader::new(element.contents);
        while !parts.is_empty() {
            let mut part = parts.nested(SET).filter(|part| !part.is_empty()).ok_or(malformed)?;
            while !part.is_empty() {
                let mut attribute = part.nested(SEQUENCE).ok_or(malformed)?;
                let kind = attribute.oid().ok_or(malformed)?;
                let value = attribute.element().ok_or(malformed)?;
                attribute.end().ok_or(malformed)?;
                check(value)?;
                if kind == COMMON_NAME && common_name.is_none() {
                    let unused = usize::from(value.tag == BIT_STRING);
                    common_name = value.contents.get(unused..);
                }
            }
        }
        Ok(Self { raw: element.raw, common_name })
    }
}

/// Checks that a value is the text that it is marked as.
fn check(value: Element<'_>) -> Result<(), NameError> {
    let bytes = value.contents;
    let fault = match value.tag {
        UTF8_STRING => {
            let text = std::str::from_utf8(bytes).ok();
            (!text.is_some_and(|text| text.chars().all(is_character))).then_some(NameError::Utf8)
        }
        BMP_STRING => (!are_characters(bytes, 2)).then_some(NameError::Bmp),
        UNIVERSAL_STRING => (!are_characters(bytes, 4)).then_some(NameError::Universal),
        BIT_STRING => bit_string(bytes).is_none().then_some(NameError::Malformed),
        // Each byte is a character of Latin-1 or left as it is.
        NUMERIC_STRING | PRINTABLE_STRING | TELETEX_STRING | VIDEOTEX_STRING | IA5_STRING
        | GRAPHIC_STRING | VISIBLE_STRING | GENERAL_STRING | OCTET_STRING => None,
        other => Some(NameError::NotText(other)),
    };
    fault.map_or(Ok(()), Err)
}

/// Whether these are characters of so many bytes each, the highest first.
fn are_characters(bytes: &[u8], width: usize) -> bool {
    let chunks = bytes.chunks_exact(width);
    chunks.remainder().is_empty()
        && chunks
            .map(|chunk| chunk.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)))
            .all(|number| char::from_u32(number).is_some_and(is_character))
}

/// Whether it is no noncharacter of Unicode (23.7), which BoringSSL does not take.
fn is_character(c: char) -> bool {
    let number = u32::from(c);
    !(0xfdd0..=0xfdef).contains(&number) && number & 0xfffe != 0xfffe
}

/// Reads a time (RFC 5280, section 4.1.2.5). BoringSSL also takes a distance from UTC in place of
/// the `Z` of a `UTCTime`.
pub(super) fn time(reader: &mut Reader<'_>) -> Option<Timestamp> {
    let element = reader.element()?;
    let text = std::str::from_utf8(element.contents).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, zone) = number(rest, 2)?;
    let local = Timestamp::from_civil([year, month, day], [hour, minute, second])?;
    let east = match (zone.split_at_checked(1)?, element.tag) {
        (("Z", ""), _) => 0,
        (("+", distance), UTC_TIME) => seconds(distance)?,
        (("-", distance), UTC_TIME) => -seconds(distance)?,
        _ => return None,
    };
    Some(Timestamp::from_unix(local.unix() - east))
}

/// The number in the first so many digits, and what follows them.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((is_number.then(|| number.parse().ok())??, rest))
}

/// `hhmm` in seconds.
fn seconds(distance: &str) -> Option<i64> {
    let (hours, rest) = number(distance, 2)?;
    let (minutes, rest) = number(rest, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::super::der::{OID, write};
    use super::*;

    fn common_name(tag: u8, bytes: &[u8]) -> Result<(), NameError> {
        let attribute = write(SEQUENCE, &[&write(OID, &[&COMMON_NAME]), &write(tag, &[bytes])]);
        let name = write(SEQUENCE, &[&write(SET, &[&attribute])]);
        let text = if tag == BIT_STRING { bytes.get(1..) } else { Some(bytes) };
        Name::read(&mut Reader::new(&name)).map(|name| assert_eq!(name.common_name, text))
    }

    #[test]
    fn text_is_what_it_is_marked_as() {
        use NameError::{Bmp, Malformed, NotText, Universal, Utf8};
        for (tag, bytes, expected) in [
            (UTF8_STRING, "Zürich".as_bytes(), Ok(())),
            (UTF8_STRING, b"a\0b", Ok(())),
            (UTF8_STRING, b"\xff", Err(Utf8)),
            (UTF8_STRING, b"\xed\xa0\x80", Err(Utf8)),
            (UTF8_STRING, "\u{fffe}".as_bytes(), Err(Utf8)),
            (UTF8_STRING, "\u{fdd0}".as_bytes(), Err(Utf8)),
            (UTF8_STRING, "\u{10ffff}".as_bytes(), Err(Utf8)),
            (BMP_STRING, b"\0a\0b", Ok(())),
            (BMP_STRING, b"\0a\0", Err(Bmp)),
            (BMP_STRING, b"\xd8\x00\xdc\x00", Err(Bmp)),
            (UNIVERSAL_STRING, b"\0\0\0a", Ok(())),
            (UNIVERSAL_STRING, b"\0\0\0", Err(Universal)),
            (UNIVERSAL_STRING, b"\x7f\0\0\0", Err(Universal)),
            (PRINTABLE_STRING, b"\xff", Ok(())),
            (BIT_STRING, b"\0a", Ok(())),
            (BIT_STRING, b"", Err(Malformed)),
            (0x02, b"\x05", Err(NotText(2))),
            (0x2c, b"", Err(NotText(0x2c))),
        ] {
            assert_eq!(common_name(tag, bytes), expected, "{tag:#x} {bytes:?}");
        }
    }

    #[test]
    fn times_are_real_and_written_as_demanded() {
        let read = |tag, text: &str| {
            let time = time(&mut Reader::new(&write(tag, &[text.as_bytes()])));
            time.map(|time| time.to_string())
        };
        for (tag, text, expected) in [
            (UTC_TIME, "250101123456Z", Some("2025-01-01T12:34:56Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (UTC_TIME, "240229000000Z", Some("2024-02-29T00:00:00Z")),
            (UTC_TIME, "250101000000+0130", Some("2024-12-31T22:30:00Z")),
            (UTC_TIME, "250101000000-2359", Some("2025-01-01T23:59:00Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (GENERALIZED_TIME, "00000101000000Z", Some("0000-01-01T00:00:00Z")),
            (UTC_TIME, "250229000000Z", None),
            (UTC_TIME, "251301000000Z", None),
            (UTC_TIME, "250100000000Z", None),
            (UTC_TIME, "250101240000Z", None),
            (UTC_TIME, "250101006000Z", None),
            (UTC_TIME, "250101000060Z", None),
            (UTC_TIME, "2501010000Z", None),
            (UTC_TIME, "250101000000", None),
            (UTC_TIME, "250101000000+2400", None),
            (UTC_TIME, "250101000000+0060", None),
            (UTC_TIME, "+50101000000Z", None),
            (UTC_TIME, "", None),
            (GENERALIZED_TIME, "20250101000000.5Z", None),
            (GENERALIZED_TIME, "20250101000000+0100", None),
            (UTF8_STRING, "250101000000Z", None),
        ] {
            assert_eq!(read(tag, text).as_deref(), expected, "{text}");
        }
    }
}
