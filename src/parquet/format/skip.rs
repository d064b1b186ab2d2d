//! Passing over thrift values, fast: what a scan does not ask for is most of a large footer.
//!
//! Works on places in a slice and gives none where the bytes are broken: [`Reader::skip`](super::thrift::Reader::skip)
//! goes over them once more then, slowly, to say what is wrong and where.

/// The high bit of each byte: set in all bytes of a varint but its last.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// Wire types, as in the low nibble of a field's head.
mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// The place behind the value of type `kind` at `at`; `depth` is how deep structs and lists may nest in it.
///
/// None where the bytes end before the value does, nest too deep, or hold what is too rare to be known here.
#[inline]
pub(super) fn value(bytes: &[u8], at: usize, kind: u8, depth: u32) -> Option<usize> {
    match kind {
        kind::TRUE | kind::FALSE => Some(at),
        kind::I8 => Some(at + 1),
        kind::I16 | kind::I32 | kind::I64 => varint(bytes, at),
        kind::DOUBLE => Some(at + 8),
        kind::UUID => Some(at + 16),
        kind::BINARY => binary(bytes, at),
        kind::LIST | kind::SET => list(bytes, at, depth.checked_sub(1)?),
        kind::STRUCT => structure(bytes, at, depth.checked_sub(1)?),
        _ => None,
    }
    .filter(|&end| end <= bytes.len())
}

fn structure(bytes: &[u8], mut at: usize, depth: u32) -> Option<usize> {
    loop {
        let head = *bytes.get(at)?;
        at += 1;
        if head == 0 {
            return Some(at);
        }
        if head < 0x10 {
            // The long form: the id follows.
            at = varint(bytes, at)?;
        }
        at = value(bytes, at, head & 0xf, depth)?;
    }
}

fn list(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    let head = *bytes.get(at)?;
    let (count, mut at) = match head >> 4 {
        15 => length(bytes, at + 1)?,
        n => (usize::from(n), at + 1),
    };
    // Every element takes a byte at least.
    if count > bytes.len().checked_sub(at)? {
        return None;
    }
    match head & 0xf {
        _ if count == 0 => Some(at),
        kind::TRUE | kind::FALSE | kind::I8 => at.checked_add(count),
        kind::I16 | kind::I32 | kind::I64 => varints(bytes, at, count),
        kind::DOUBLE => at.checked_add(count.checked_mul(8)?),
        kind => {
            for _ in 0..count {
                at = value(bytes, at, kind, depth)?;
            }
            Some(at)
        }
    }
}

#[inline]
fn binary(bytes: &[u8], at: usize) -> Option<usize> {
    let (count, at) = length(bytes, at)?;
    at.checked_add(count)
}

/// A varint as a length, and the place behind it.
#[inline]
fn length(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((usize::from(first), at + 1));
    }
    let mut value = usize::from(first & 0x7f);
    // Longer than a footer can be: left to the slow way.
    for (shift, &byte) in (7..=28).step_by(7).zip(bytes.get(at + 1..)?) {
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at + 2 + shift / 7 - 1));
        }
    }
    None
}

/// The place behind a varint of at most ten bytes.
#[inline]
fn varint(bytes: &[u8], at: usize) -> Option<usize> {
    if let Some(word) = word(bytes, at) {
        let last = !word & CONTINUED;
        if last != 0 {
            return Some(at + 1 + (last.trailing_zeros() / 8) as usize);
        }
    }
    let rest = bytes.get(at..)?;
    let continued = rest.iter().take(10).position(|&byte| byte < 0x80)?;
    Some(at + continued + 1)
}

/// The place behind `count` varints.
fn varints(bytes: &[u8], mut at: usize, mut count: usize) -> Option<usize> {
    while count > 8 {
        let Some(word) = word(bytes, at) else { break };
        count -= (!word & CONTINUED).count_ones() as usize;
        at += 8;
    }
    // A varint that began in the last word ends as one here.
    for _ in 0..count {
        at = varint(bytes, at)?;
    }
    Some(at)
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{put_varint, put_zigzag};
    use crate::parquet::format::thrift;

    #[test]
    fn varints_of_all_lengths_are_passed_over() {
        for tail in 0..12 {
            for shift in 0..64 {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, 1 << shift);
                let end = bytes.len();
                bytes.resize(end + tail, 0x81);
                assert_eq!(varint(&bytes, 0), Some(end), "{shift} {tail}");
                if end <= 5 {
                    assert_eq!(length(&bytes, 0), Some((1 << shift, end)), "{shift} {tail}");
                }
            }
        }
        assert_eq!(varint(&[0x80; 20], 0), None);
        assert_eq!(varint(&[0x80; 3], 0), None);
    }

    #[test]
    fn lists_of_varints_are_passed_over_by_words() {
        for count in [0usize, 1, 7, 8, 9, 30, 100] {
            for spread in [1u64, 300, 1 << 40] {
                let mut bytes = Vec::new();
                (0..count as u64).for_each(|i| put_zigzag(&mut bytes, (i * spread) as i64));
                let end = bytes.len();
                bytes.extend([0xff; 9]);
                assert_eq!(varints(&bytes, 0, count), Some(end), "{count} of {spread}");
            }
        }
    }

    #[test]
    fn what_ends_early_or_nests_too_deep_is_none() {
        // A struct of a list of two structs, each with a binary of 3 bytes.
        let whole = [0x19, 0x2c, 0x18, 3, 1, 2, 3, 0, 0x18, 3, 1, 2, 3, 0, 0];
        assert_eq!(value(&whole, 0, kind::STRUCT, 3), Some(whole.len()));
        assert_eq!(value(&whole, 0, kind::STRUCT, 2), None);
        for n in 0..whole.len() {
            assert_eq!(value(&whole[..n], 0, kind::STRUCT, 9), None, "{n} bytes");
        }
        assert_eq!(value(&[0x3c; 100], 0, kind::STRUCT, 64), None);
        for kind in [kind::I8, kind::DOUBLE, kind::UUID] {
            assert_eq!(value(&[], 0, kind, 9), None);
        }
    }

    #[test]
    fn the_fast_way_ends_where_the_slow_way_does() {
        // Long forms, every kind, nested lists.
        let mut w = thrift::Writer::default();
        let mut last = 0;
        w.field(&mut last, 40, &-7i32);
        w.field(&mut last, 41, &true);
        w.field(&mut last, 42, &vec![true, false]);
        w.field(&mut last, 90, &vec![vec![1i64, i64::MIN], vec![]]);
        w.field(&mut last, 91, &vec![1.5f64, 2.5]);
        w.field(&mut last, 92, &vec![String::from("a"), String::from("bc")]);
        w.field(&mut last, 93, &7i8);
        w.field(&mut last, 94, &(0..40i32).collect::<Vec<_>>());
        w.stop();
        assert_eq!(value(&w.out, 0, kind::STRUCT, 9), Some(w.out.len()));
        assert_eq!(thrift::skip_slowly(&w.out), Some(w.out.len()));
    }
}
