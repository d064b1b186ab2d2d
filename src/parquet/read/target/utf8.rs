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
