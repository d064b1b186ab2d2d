//! The file's frame: magic, footer, tail.
//!
//! Spec: README.md of parquet-format, "File format".
//!
//! ```text
//! OFFSET          SIZE  DESCRIPTION
//! 0               4     "PAR1"
//! 4               …     pages, page indexes
//! len - 8 - n     n     FileMetaData, thrift compact
//! len - 8         4     n, little-endian
//! len - 4         4     "PAR1"
//! ```
//!
//! "PARE" at both ends instead: the n bytes are FileCryptoMetaData and, encrypted, FileMetaData.

use std::ops::Range;

use super::metadata::FileMetaData;
use super::thrift;
use crate::error::{Error, Result};

/// The first and last bytes of a file.
pub const MAGIC: [u8; 4] = *b"PAR1";
/// The first and last bytes of a file whose footer is encrypted.
pub const MAGIC_ENCRYPTED: [u8; 4] = *b"PARE";
/// Bytes of the tail: the footer's length and the magic.
pub const TAIL_BYTES: u64 = 8;

/// Where the footer lies, from a file's length and its last [`TAIL_BYTES`] bytes, and whether it is encrypted.
pub fn locate(tail: [u8; 8], file_bytes: u64) -> Result<(Range<u64>, bool)> {
    let [a, b, c, d, magic @ ..] = tail;
    let end = file_bytes.saturating_sub(TAIL_BYTES);
    let is_encrypted = magic == MAGIC_ENCRYPTED;
    if magic != MAGIC && !is_encrypted {
        return Err(Error::corrupt("not a Parquet file, or cut short: it does not end with PAR1").at_byte(end + 4));
    }
    let footer_bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
    match end.checked_sub(footer_bytes) {
        Some(start) if start >= MAGIC.len() as u64 => Ok((start..end, is_encrypted)),
        _ => Err(Error::corrupt(format!("a footer of {footer_bytes} bytes in a file of {file_bytes}")).at_byte(end)),
    }
}

/// Decodes the footer from its bytes, which begin at `base` in the file.
pub fn decode(bytes: &[u8], base: u64) -> Result<FileMetaData> {
    thrift::decode::<FileMetaData>(bytes, base).map(|(metadata, _)| metadata)
}

/// The same, which takes no more than `memory_bytes` in memory.
pub fn decode_within(bytes: &[u8], base: u64, memory_bytes: usize) -> Result<FileMetaData> {
    thrift::decode_within(bytes, base, memory_bytes)
}

/// The footer and the tail: everything that ends a file.
pub fn encode(metadata: &FileMetaData) -> Result<Vec<u8>> {
    close(thrift::encode(metadata), MAGIC)
}

/// Puts the tail behind a footer: its length and `magic`.
pub fn close(mut footer: Vec<u8>, magic: [u8; 4]) -> Result<Vec<u8>> {
    let footer_bytes =
        u32::try_from(footer.len()).map_err(|_| Error::limit("the footer is larger than 4 GiB: fewer row groups"))?;
    footer.extend_from_slice(&footer_bytes.to_le_bytes());
    footer.extend_from_slice(&magic);
    Ok(footer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_round_trips() {
        let metadata = FileMetaData {
            version: 2,
            schema: vec![],
            num_rows: 0,
            row_groups: vec![],
            key_value_metadata: None,
            created_by: Some("hypostyle".into()),
            column_orders: None,
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        };
        let mut file = MAGIC.to_vec();
        file.extend(encode(&metadata).expect("encodes"));
        let tail = *file.last_chunk::<8>().expect("a tail");
        let (range, is_encrypted) = locate(tail, file.len() as u64).expect("located");
        assert!(!is_encrypted);
        let bytes = &file[range.start as usize..range.end as usize];
        assert_eq!(decode(bytes, range.start).expect("decodes"), metadata);
    }

    #[test]
    fn a_wrong_length_or_magic_is_named() {
        let e = locate(*b"\xff\xff\xff\x7fPAR1", 100).expect_err("too long");
        assert_eq!(e.to_string(), "at byte 92: a footer of 2147483647 bytes in a file of 100");
        assert!(locate(*b"\x00\x00\x00\x00PAR2", 100).is_err());
        assert_eq!(locate(*b"\x02\x00\x00\x00PARE", 100).expect("located"), (90..92, true));
        // A footer may not reach into the leading magic.
        assert!(locate(*b"\x5a\x00\x00\x00PAR1", 100).is_err());
    }
}
