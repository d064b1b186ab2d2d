//! A file of keys: what `--keys` and `--encrypt-keys` name.
//!
//! ```json
//! {"footer_key": "30313233343536373839303132333435", "column_keys": {"salary": "…"}, "aad_prefix": "staff-2026"}
//! ```
//!
//! Who writes may add "footer_key_metadata" and "column_key_metadata", which stand in the file as they are.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::parquet::read::Decryption;
use crate::parquet::write::{Encryption, EncryptionCipher};
use crate::storage::{Local, Storage};

/// The keys of encrypted Parquet files.
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The keys of an encrypted Parquet file, as JSON: {"footer_key": HEX, "column_keys": {PATH: HEX}, "aad_prefix": TEXT}
    #[arg(long = "keys", value_name = "FILE")]
    file: Option<String>,
}

impl Keys {
    /// The keys, if the user named any.
    pub(super) fn read(&self) -> Result<Option<Decryption>> {
        let Some(path) = &self.file else { return Ok(None) };
        let file = KeyFile::read(path)?;
        // Whoever names a file and its keys by hand sees what is read; a table may have files of both kinds.
        let mut keys = Decryption::new().with_plain_files(true);
        let in_file = |e: Error| e.in_file(path);
        if let Some(key) = file.footer_key().map_err(in_file)? {
            keys = keys.with_footer_key(key);
        }
        for (path, key) in file.column_keys().map_err(in_file)? {
            keys = keys.with_column_key(path, key);
        }
        if let Some(prefix) = file.aad_prefix {
            keys = keys.with_aad_prefix(prefix);
        }
        Ok(Some(keys))
    }
}

/// How a Parquet file is encrypted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Parquet output")]
pub(super) struct EncryptionArgs {
    /// Encrypt with the keys of this file, of the shape that --keys has; without column keys, all with the footer's
    #[arg(long, value_name = "FILE")]
    encrypt_keys: Option<String>,
    /// How pages are encrypted
    #[arg(long, value_name = "CIPHER", default_value = "gcm", requires = "encrypt_keys")]
    encrypt_cipher: PageCipher,
    /// Sign the footer and leave it in the clear, for readers without keys
    #[arg(long, requires = "encrypt_keys")]
    plain_footer: bool,
    /// Leave the AAD prefix out of the file: readers must know it
    #[arg(long, requires = "encrypt_keys")]
    no_stored_aad_prefix: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PageCipher {
    /// AES_GCM_V1
    Gcm,
    /// AES_GCM_CTR_V1
    GcmCtr,
}

impl EncryptionArgs {
    pub(super) fn read(&self) -> Result<Option<Encryption>> {
        let Some(path) = &self.encrypt_keys else { return Ok(None) };
        let in_file = |e: Error| e.in_file(path);
        let file = KeyFile::read(path)?;
        let footer_key = file.footer_key().map_err(in_file)?;
        let footer_key = footer_key.ok_or_else(|| in_file(Error::invalid("has no footer_key, which writing needs")))?;
        let mut encryption = Encryption::new(footer_key)
            .with_cipher(match self.encrypt_cipher {
                PageCipher::Gcm => EncryptionCipher::AesGcmV1,
                PageCipher::GcmCtr => EncryptionCipher::AesGcmCtrV1,
            })
            .with_plain_footer(self.plain_footer)
            .with_stored_aad_prefix(!self.no_stored_aad_prefix);
        for (path, key) in file.column_keys().map_err(in_file)? {
            encryption = encryption.with_column_key(path, key);
        }
        if let Some(metadata) = file.footer_key_metadata {
            encryption = encryption.with_footer_key_metadata(metadata);
        }
        for (path, metadata) in file.column_key_metadata {
            encryption = encryption.with_column_key_metadata(path, metadata);
        }
        if let Some(prefix) = file.aad_prefix {
            encryption = encryption.with_aad_prefix(prefix);
        }
        Ok(Some(encryption))
    }
}

/// What such a file holds. No `Debug`: keys are not shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    footer_key: Option<String>,
    #[serde(default)]
    column_keys: BTreeMap<String, String>,
    aad_prefix: Option<String>,
    /// What stands in the file for a reader to find the key by.
    footer_key_metadata: Option<String>,
    #[serde(default)]
    column_key_metadata: BTreeMap<String, String>,
}

impl KeyFile {
    fn read(path: &str) -> Result<KeyFile> {
        const BYTES_MAX: u64 = 1 << 20;
        let (folder, name) = Local::file(path)?;
        let input = folder.open(&name)?;
        if input.bytes() > BYTES_MAX {
            return Err(Error::limit(format!("is longer than {BYTES_MAX} bytes, which no keys are")).in_file(path));
        }
        let bytes = input.read(0..input.bytes())?;
        // The reason may quote the text, so only its place is told.
        serde_json::from_slice(&bytes).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            let shape = r#"{"footer_key": HEX, "column_keys": {PATH: HEX}, "aad_prefix": TEXT}"#;
            Error::invalid(format!("is no file of keys, {shape}: line {line}, column {column}")).in_file(path)
        })
    }

    fn footer_key(&self) -> Result<Option<Vec<u8>>> {
        self.footer_key.as_deref().map(|hex| key(hex, "the footer")).transpose()
    }

    fn column_keys(&self) -> Result<Vec<(String, Vec<u8>)>> {
        self.column_keys.iter().map(|(path, hex)| Ok((path.clone(), key(hex, path)?))).collect()
    }
}

fn key(hex: &str, of: &str) -> Result<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    let bytes = pairs.collect::<Option<Vec<u8>>>().filter(|bytes| matches!(bytes.len(), 16 | 24 | 32));
    bytes.ok_or_else(|| Error::invalid(format!("the key of {of} is not 32, 48 or 64 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal() {
        assert_eq!(key("000102030405060708090a0B0c0d0e0F", "a").unwrap(), (0..16).collect::<Vec<u8>>());
        for wrong in ["", "00", "0g0102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f0"] {
            let e = key(wrong, "salary").unwrap_err().to_string();
            assert!(e.contains("salary") && !e.contains("0102"), "{e}");
        }
    }
}
