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

/// The place behind the value of type `kind` at `at`; `depth` is how deep structs, and lists in lists, may nest in it.
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
        kind::STRUCT => structure(bytes, at, depth.checked_sub(1)?).map(|(end, _)| end),
        _ => None,
    }
    .filter(|&end| end <= bytes.len())
}

/// Structs in structs, and lists of them, that are gone over without a call for each.
const LEVELS: usize = 12;

/// The place behind a struct, and whether the ids of its fields ascend, as all do that are in the short form. A field and
/// most of its value are taken in one word of the bytes.
fn structure(bytes: &[u8], mut at: usize, depth: u32) -> Option<(usize, bool)> {
    // Of the structs that are open, how many more like it follow in its list.
    let mut follow = [0usize; LEVELS];
    let mut level = 0usize;
    let mut ascends = true;
    loop {
        let word = match word(bytes, at) {
            Some(word) => word,
            None => last_word(bytes, at)?,
        };
        let (head, next) = (word as u8, (word >> 8) as u8);
        at += 1;
        if head == 0 {
            match follow.get_mut(level)? {
                0 if level == 0 => return Some((at, ascends)),
                0 => level -= 1,
                more => *more -= 1,
            }
            continue;
        }
        let kind = head & 0xf;
        if head < 0x10 {
            // The long form: the id follows.
            ascends = false;
            at = value(bytes, varint(bytes, at)?, kind, depth.checked_sub(level as u32)?)?;
            continue;
        }
        let count = match kind {
            kind::I16 | kind::I32 | kind::I64 => {
                at = match !(word >> 8) & (CONTINUED >> 8) {
                    0 => varint(bytes, at)?,
                    last => at + 1 + (last.trailing_zeros() / 8) as usize,
                };
                continue;
            }
            kind::BINARY if next < 0x80 => {
                at += 1 + usize::from(next);
                continue;
            }
            kind::TRUE | kind::FALSE => continue,
            kind::STRUCT => 1,
            kind::LIST | kind::SET if matches!(next, 0x1c..=0xec) && next & 0xf == kind::STRUCT => {
                at += 1;
                usize::from(next >> 4)
            }
            // The names of a path; a few small numbers, such as encodings and level histograms.
            kind::LIST if matches!(next, 0x10..=0xef) && next & 0xf == kind::BINARY => {
                at += 1;
                for _ in 0..next >> 4 {
                    at = binary(bytes, at)?;
                }
                continue;
            }
            kind::LIST
                if matches!(next, 0x10..=0x6f)
                    && matches!(next & 0xf, kind::I32 | kind::I64)
                    && are_small(word >> 16, next >> 4) =>
            {
                at += 1 + usize::from(next >> 4);
                continue;
            }
            kind => {
                at = value(bytes, at, kind, depth.checked_sub(level as u32)?)?;
                continue;
            }
        };
        level += 1;
        if level > depth as usize {
            return None;
        }
        *follow.get_mut(level)? = count - 1;
    }
}

/// Whether so many bytes of the word, from the lowest on, are each a varint.
#[inline]
fn are_small(word: u64, count: u8) -> bool {
    word & CONTINUED & ((1 << (8 * u32::from(count))) - 1) == 0
}

/// The word at the end of the bytes, as if zeros followed.
#[cold]
fn last_word(bytes: &[u8], at: usize) -> Option<u64> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    Some(rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
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
        kind::BINARY => {
            for _ in 0..count {
                at = binary(bytes, at)?;
            }
            Some(at)
        }
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

/// Reads the few fields of a struct that its reader wants, and passes over the others; none where [`value`] would give
/// none, or where a number is too long.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field's id and the wire type of its value.
pub(super) type Field = (i16, u8);

impl<'a> Walk<'a> {
    /// How deep what is passed over may nest: less than where [`Reader`](super::thrift::Reader) refuses it.
    const DEPTH: u32 = 32;

    pub(super) fn new(bytes: &'a [u8], at: usize) -> Walk<'a> {
        Walk { bytes, at }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next field of a struct whose last one had the id `last`: `Some(None)` at the struct's end.
    #[inline]
    pub(super) fn field(&mut self, last: &mut i16) -> Option<Option<Field>> {
        let head = *self.bytes.get(self.at)?;
        self.at += 1;
        if head == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.integer()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some(Some((*last, head & 0xf)))
    }

    /// Goes back to where it stood, so that a field is read anew.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// Passes over a struct, or what is left of one; whether the ids of its fields ascend for sure.
    #[inline]
    pub(super) fn skip_struct(&mut self) -> Option<bool> {
        let (end, ascends) = structure(self.bytes, self.at, Walk::DEPTH)?;
        self.at = end;
        (end <= self.bytes.len()).then_some(ascends)
    }

    /// Passes over a value.
    #[inline]
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.at = value(self.bytes, self.at, kind, Walk::DEPTH)?;
        Some(())
    }

    /// The integer of a field of type `kind`; `before` of one of another type, which is passed over.
    #[inline]
    pub(super) fn i32(&mut self, kind: u8, before: Option<i32>) -> Option<Option<i32>> {
        if kind == kind::I32 {
            return i32::try_from(self.integer()?).ok().map(Some);
        }
        self.skip(kind)?;
        Some(before)
    }

    /// The same of an `i64`.
    #[inline]
    pub(super) fn i64(&mut self, kind: u8, before: Option<i64>) -> Option<Option<i64>> {
        if kind == kind::I64 {
            return self.integer().map(Some);
        }
        self.skip(kind)?;
        Some(before)
    }

    /// The same of a boolean, whose value is in its type.
    #[inline]
    pub(super) fn boolean(&mut self, kind: u8, before: Option<bool>) -> Option<Option<bool>> {
        match kind {
            kind::TRUE => Some(Some(true)),
            kind::FALSE => Some(Some(false)),
            kind => self.skip(kind).map(|()| before),
        }
    }

    /// The count of a list of `i32`, whose elements come next.
    #[inline]
    pub(super) fn list_of_i32(&mut self) -> Option<usize> {
        let head = *self.bytes.get(self.at)?;
        let (count, at) = match head >> 4 {
            15 => length(self.bytes, self.at + 1)?,
            n => (usize::from(n), self.at + 1),
        };
        self.at = at;
        (count == 0 || head & 0xf == kind::I32).then_some(count)
    }

    /// A zigzag varint.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let first = *self.bytes.get(self.at)?;
        let encoded = if first < 0x80 {
            self.at += 1;
            u64::from(first)
        } else {
            let word = word(self.bytes, self.at)?;
            let last = !word & CONTINUED;
            if last == 0 {
                return None;
            }
            let end = last.trailing_zeros() + 1;
            self.at += (end / 8) as usize;
            squeeze(word & (u64::MAX >> (64 - end)))
        };
        Some((encoded >> 1) as i64 ^ -((encoded & 1) as i64))
    }
}

/// The low seven bits of each byte, side by side.
#[inline]
fn squeeze(word: u64) -> u64 {
    let word = word & !CONTINUED;
    let word = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = word & 0x0000_3fff_0000_3fff | (word & 0x3fff_0000_3fff_0000) >> 2;
    word & 0x0fff_ffff | (word & 0x0fff_ffff_0000_0000) >> 4
}

/// Wire types that a [`Walk`] is asked for by name.
pub(super) use kind::{BINARY, LIST, STRUCT};

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
    fn integers_of_all_lengths_are_read() {
        for shift in 0..64 {
            for n in [1i64 << shift, !(-1 << shift), -1 << shift] {
                let mut bytes = Vec::new();
                put_zigzag(&mut bytes, n);
                let end = bytes.len();
                bytes.resize(end + 8, 0xff);
                let mut walk = Walk::new(&bytes, 0);
                // Those of nine and ten bytes are left to the slow way.
                match walk.integer() {
                    Some(found) => assert_eq!((found, walk.at()), (n, end)),
                    None => assert!(end > 8, "{n}"),
                }
            }
        }
        assert_eq!(Walk::new(&[0x80; 20], 0).integer(), None);
        assert_eq!(Walk::new(&[0x80], 0).integer(), None);
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
        assert_eq!(value(&whole, 0, kind::STRUCT, 2), Some(whole.len()));
        assert_eq!(value(&whole, 0, kind::STRUCT, 1), None);
        for n in 0..whole.len() {
            assert_eq!(value(&whole[..n], 0, kind::STRUCT, 9), None, "{n} bytes");
        }
        assert_eq!(value(&[0x3c; 100], 0, kind::STRUCT, 64), None);
        for kind in [kind::I8, kind::DOUBLE, kind::UUID] {
            assert_eq!(value(&[], 0, kind, 9), None);
        }
    }

    #[test]
    fn structs_in_lists_are_passed_over_to_the_last() {
        // Lists of structs that hold a struct, a list of structs and a number each, up to 20 in a list.
        for count in [0usize, 1, 2, 14, 15, 20] {
            let element = [0x1c, 0x15, 2, 0, 0x19, 0x1c, 0x11, 0, 0x16, 0xff, 0xff, 3, 0];
            let mut bytes = vec![0x19];
            match count {
                15.. => bytes.extend([0xfc, count as u8]),
                _ => bytes.push((count as u8) << 4 | 0xc),
            }
            bytes.extend(element.repeat(count));
            bytes.push(0);
            let end = bytes.len();
            assert_eq!(thrift::skip_slowly(&bytes), Some(end), "{count}");
            for tail in [0, 1, 9] {
                bytes.resize(end + tail, 0xff);
                assert_eq!(value(&bytes, 0, kind::STRUCT, 9), Some(end), "{count} {tail}");
            }
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
        w.field(&mut last, 95, &vec![0i32, -64, 63]);
        w.field(&mut last, 96, &vec![0i32, 64, 1, 2, 3, 4]);
        w.field(&mut last, 97, &vec![vec![7u8; 127], vec![], vec![8; 128]]);
        w.stop();
        assert_eq!(value(&w.out, 0, kind::STRUCT, 9), Some(w.out.len()));
        assert_eq!(thrift::skip_slowly(&w.out), Some(w.out.len()));
    }
}
