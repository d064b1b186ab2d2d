//! Whether strings are UTF-8, each for itself: many at a time.

use crate::error::{Error, Result};

/// Checks strings that stand back to back in `data` and end at `ends`.
pub(super) fn check(data: &[u8], mut ends: impl Iterator<Item = usize>) -> Result<()> {
    if data.is_ascii() {
        return Ok(());
    }
    let text = text(data)?;
    // Two broken strings may make a whole character together.
    if ends.all(|end| text.is_char_boundary(end)) {
        Ok(())
    } else {
        Err(Error::corrupt("a string ends inside a character: it is not UTF-8"))
    }
}

/// Looks whether bytes are ASCII a little before they are walked over string by string. Where the next string begins waits for
/// the length of the one before; looking does not wait, and brings the bytes near.
pub(super) struct Ahead<'a> {
    bytes: &'a [u8],
    /// Up to here, the bytes were looked at.
    seen: usize,
    /// Where the look before was from.
    from: usize,
    is_ascii: bool,
}

impl<'a> Ahead<'a> {
    const BYTES_MIN: usize = 4 << 10;
    const BYTES_MAX: usize = 64 << 10;

    /// At byte `at`; does nothing if nobody asks.
    pub(super) fn new(bytes: &'a [u8], at: usize, is_asked: bool) -> Ahead<'a> {
        Ahead { bytes, seen: at, from: at, is_ascii: is_asked }
    }

    /// Looks from byte `at` on as far as the walk came since the look before.
    #[inline]
    pub(super) fn look(&mut self, at: usize) {
        if self.is_ascii {
            let bytes = at.saturating_sub(self.from).clamp(Self::BYTES_MIN, Self::BYTES_MAX);
            self.from = at;
            self.look_to(at.saturating_add(bytes));
        }
    }

    fn look_to(&mut self, end: usize) {
        let end = end.min(self.bytes.len());
        if let Some(unseen) = self.bytes.get(self.seen..end) {
            self.is_ascii &= unseen.is_ascii();
            self.seen = end;
        }
    }

    /// Whether all bytes are ASCII up to `end`, which is within them; not known otherwise.
    pub(super) fn is_ascii(&mut self, end: usize) -> bool {
        if self.is_ascii {
            self.look_to(end);
        }
        self.is_ascii
    }
}

/// Checks strings in PLAIN, each behind its length, none of which reaches past the bytes.
pub(super) fn check_plain(bytes: &[u8]) -> Result<()> {
    if bytes.is_ascii() {
        return Ok(());
    }
    // A length whose bytes are ASCII cannot be part of a character, so strings around it are judged together.
    let (mut begin, mut at) = (0, 0);
    while let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        let length = u32::from_le_bytes(*head);
        if length & 0x8080_8080 != 0 {
            text(bytes.get(begin..at).unwrap_or_default())?;
            begin = at + 4;
        }
        at += 4 + length as usize;
    }
    text(bytes.get(begin..).unwrap_or_default())?;
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes)
        .map_err(|_| Error::corrupt("a string is not UTF-8: read the column as binary, or mend the writer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::encoding::plain::encode_byte_array;
    use proptest::prelude::*;

    #[test]
    fn each_string_is_utf8_for_itself() {
        let text = "aé".as_bytes();
        check(text, [1, 3].into_iter()).expect("whole characters");
        assert!(check(text, [2, 3].into_iter()).is_err(), "é is torn in two");
        assert!(check(&[0xff], [1].into_iter()).is_err());
    }

    proptest! {
        #[test]
        fn plain_strings_are_judged_one_by_one(
            strings in prop::collection::vec(
                prop_oneof![
                    "[aé😀]{0,5}".prop_map(String::into_bytes),
                    "[aé]{60,80}".prop_map(String::into_bytes),
                    prop::collection::vec(prop::sample::select(vec![b'a', 0xc3, 0xa9, 0xff]), 0..3),
                ],
                0..6,
            )
        ) {
            let mut bytes = Vec::new();
            strings.iter().for_each(|s| encode_byte_array(s, &mut bytes));
            let all = strings.iter().all(|s| std::str::from_utf8(s).is_ok());
            prop_assert_eq!(check_plain(&bytes).is_ok(), all);
        }
    }
}
