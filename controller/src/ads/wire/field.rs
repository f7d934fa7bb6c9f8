//! The fields of a protobuf message, one after the other.
//!
//! See "Encoding" in the documentation of Protocol Buffers: a key of tag and wire type, then the
//! value.

use bytes::{Buf as _, Bytes};

/// Wire types.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// The length-delimited fields of a message with their tags, as far as they can be told apart.
/// Fields of other types are passed over.
pub(super) fn fields(message: Bytes) -> impl Iterator<Item = (u32, Bytes)> {
    let mut rest = message;
    std::iter::from_fn(move || next(&mut rest))
}

fn next(rest: &mut Bytes) -> Option<(u32, Bytes)> {
    loop {
        let key = varint(rest)?;
        let passed_over = match key & 7 {
            LENGTH_DELIMITED => {
                let length = usize::try_from(varint(rest)?).ok()?;
                let value = (length <= rest.len()).then(|| rest.split_to(length))?;
                return Some((u32::try_from(key >> 3).ok()?, value));
            }
            VARINT => varint(rest).map(|_| 0)?,
            FIXED_64 => 8,
            FIXED_32 => 4,
            // Groups are no part of proto3.
            _ => return None,
        };
        if passed_over > rest.len() {
            return None;
        }
        rest.advance(passed_over);
    }
}

/// A number of up to ten bytes, seven bits in each; `None` if it has no end.
fn varint(rest: &mut Bytes) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
