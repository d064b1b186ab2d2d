//! Paths of data files as the log writes them: relative URIs.
//!
//! Spec: PROTOCOL.md, "Add File and Remove File" (`path`); RFC 3986, section 2.1.

use crate::error::{Error, Result};

/// Percent-encodes what is not plain. A `:` too: in the first part it would make a scheme.
pub(super) fn encode(path: &str) -> String {
    percent_encode(path, |b| b.is_ascii_alphanumeric() || b"-._~/=".contains(&b))
}

/// Percent-encodes the name or value of a partition column for a folder's name.
pub(super) fn encode_part(text: &str) -> String {
    percent_encode(text, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

fn percent_encode(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The path in the table's storage that a log's `path` means. One that leads elsewhere is
/// [`Error::Unsupported`], one that is not plain [`Error::Corrupt`].
pub(super) fn decode(uri: &str) -> Result<String> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if is_scheme || uri.starts_with('/') {
        let message = format!(
            "file {uri} is outside of the table's folder (a shallow clone?); this version reads only what is inside"
        );
        return Err(Error::unsupported(message));
    }
    let broken = || Error::corrupt(format!("path {uri:?} is not percent-encoded UTF-8"));
    let mut out = Vec::with_capacity(uri.len());
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).ok_or_else(broken);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            out.push(u8::try_from(value).map_err(|_| broken())?);
        } else {
            out.push(byte);
        }
    }
    let path = String::from_utf8(out).map_err(|_| broken())?;
    // One file must have one name, or vacuum would not know it for a live one.
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(Error::corrupt(format!("path {uri:?} has an empty, `.` or `..` part")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for path in ["a.parquet", "k=a%3Ab/part 1.parquet", "c:d", "ü/ß?#[]", "%25", "a+b"] {
            assert_eq!(decode(&encode(path)).unwrap(), path);
        }
        assert_eq!(encode("w=2013-01-01T00%3A00/p"), "w=2013-01-01T00%253A00/p");
        assert_eq!(encode("c:d"), "c%3Ad");
    }

    #[test]
    fn paths_that_lead_elsewhere_or_are_broken_are_refused() {
        for uri in ["s3://bucket/a", "file:///etc/passwd", "/etc/passwd", "C:\\x"] {
            assert!(matches!(decode(uri), Err(Error::Unsupported(_))), "{uri}");
        }
        for uri in ["a%", "a%2", "a%zz", "%ff", "%+1", "", "./a", "a//b", "a/%2e%2e/b", "../a"] {
            assert!(matches!(decode(uri), Err(Error::Corrupt(_))), "{uri}");
        }
        // Parts that other writers leave as they are.
        assert_eq!(decode("k=a:b/p").unwrap(), "k=a:b/p");
        assert_eq!(decode("k=a b/ü").unwrap(), "k=a b/ü");
    }
}
