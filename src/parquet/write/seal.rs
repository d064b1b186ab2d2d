//! Encryption of a file that is written: which keys, and what is sealed with them.
//!
//! Spec: Encryption.md. Pages, page headers, page indexes and Bloom filters of an encrypted column are modules under its key.
//! So is its metadata, unless the footer is encrypted with that same key; a footer in the clear has a copy of it without
//! what tells of values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::format::encryption::{
    self, AesParameters, ChunkCipher, ColumnCryptoMetaData, EncryptionAlgorithm, EncryptionWithColumnKey, FileCipher,
    FileCryptoMetaData, Key, ModuleType,
};
use crate::parquet::format::{ColumnChunk, ColumnMetaData, Empty, FileMetaData, footer, thrift};

/// How pages are encrypted; all else always is by AES-GCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncryptionCipher {
    /// By AES-GCM: a page that was changed or moved does not open.
    #[default]
    AesGcmV1,
    /// By AES-CTR: a little smaller and faster, but changes to a page can go unnoticed.
    AesGcmCtrV1,
}

/// How a file is encrypted. Its `Debug` output shows no key.
///
/// Keys have 16, 24 or 32 bytes, and each file should have keys of its own. Unless columns are named, all of them are
/// encrypted with the footer's key; once some are, the others are written in the clear.
///
/// ```
/// use hypostyle::parquet::write::{Encryption, WriterOptions};
///
/// let encryption = Encryption::new(b"0123456789012345")
///     .with_footer_key_metadata(b"key 7 of the store")
///     .with_column_key("salary", b"1234567890123450")
///     .with_plain_footer(true);
/// let options = WriterOptions::default().with_encryption(encryption);
/// assert!(!format!("{options:?}").contains("123456"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    cipher: EncryptionCipher,
    footer_key: Vec<u8>,
    footer_key_metadata: Option<Vec<u8>>,
    plain_footer: bool,
    /// By path; None: with the footer's key.
    columns: BTreeMap<String, Option<Vec<u8>>>,
    key_metadata: BTreeMap<String, Vec<u8>>,
    aad_prefix: Option<Vec<u8>>,
    stores_aad_prefix: bool,
}

impl Encryption {
    /// Of footer and all columns by one key.
    pub fn new(footer_key: impl Into<Vec<u8>>) -> Encryption {
        Encryption {
            cipher: EncryptionCipher::default(),
            footer_key: footer_key.into(),
            footer_key_metadata: None,
            plain_footer: false,
            columns: BTreeMap::new(),
            key_metadata: BTreeMap::new(),
            aad_prefix: None,
            stores_aad_prefix: true,
        }
    }

    /// With pages encrypted so.
    #[must_use]
    pub fn with_cipher(mut self, cipher: EncryptionCipher) -> Encryption {
        self.cipher = cipher;
        self
    }

    /// With what readers may find the footer's key by; it stands in the file as it is.
    #[must_use]
    pub fn with_footer_key_metadata(mut self, metadata: impl Into<Vec<u8>>) -> Encryption {
        self.footer_key_metadata = Some(metadata.into());
        self
    }

    /// Whether the footer is in the clear, and signed: then who has no key reads the columns that are not encrypted.
    #[must_use]
    pub fn with_plain_footer(mut self, plain: bool) -> Encryption {
        self.plain_footer = plain;
        self
    }

    /// With the column at `path`, or all columns below it, encrypted with a key of its own.
    #[must_use]
    pub fn with_column_key(mut self, path: impl Into<String>, key: impl Into<Vec<u8>>) -> Encryption {
        self.columns.insert(path.into(), Some(key.into()));
        self
    }

    /// With what readers may find the key of the column at `path` by.
    #[must_use]
    pub fn with_column_key_metadata(mut self, path: impl Into<String>, metadata: impl Into<Vec<u8>>) -> Encryption {
        self.key_metadata.insert(path.into(), metadata.into());
        self
    }

    /// With the column at `path`, or all columns below it, encrypted with the footer's key.
    #[must_use]
    pub fn with_column(mut self, path: impl Into<String>) -> Encryption {
        self.columns.insert(path.into(), None);
        self
    }

    /// With a name of the file that everything in it is bound to, so that another file cannot take its place.
    #[must_use]
    pub fn with_aad_prefix(mut self, prefix: impl Into<Vec<u8>>) -> Encryption {
        self.aad_prefix = Some(prefix.into());
        self
    }

    /// Whether the file holds its AAD prefix; true. If not, readers must bring it.
    #[must_use]
    pub fn with_stored_aad_prefix(mut self, stored: bool) -> Encryption {
        self.stores_aad_prefix = stored;
        self
    }

    /// The entry of `columns` that holds for the column at `path`: its own, or that of what it stands below.
    fn entry_of(&self, path: &str) -> Option<(&str, Option<&[u8]>)> {
        let mut at = path;
        loop {
            if let Some((name, key)) = self.columns.get_key_value(at) {
                return Some((name, key.as_deref()));
            }
            at = at.rsplit_once('.')?.0;
        }
    }

    fn check(&self, leaves: &[Leaf]) -> Result<()> {
        let names: Vec<String> = leaves.iter().map(Leaf::name).collect();
        for path in self.columns.keys() {
            let below = format!("{path}.");
            if !names.iter().any(|name| name == path || name.starts_with(&below)) {
                let names = names.join(", ");
                return Err(Error::invalid(format!("a key for column {path}: there is none, only {names}")));
            }
        }
        if let Some(path) = self.key_metadata.keys().find(|path| !matches!(self.columns.get(*path), Some(Some(_)))) {
            return Err(Error::invalid(format!("key metadata for column {path}, which has no key of its own")));
        }
        if !self.stores_aad_prefix && self.aad_prefix.is_none() {
            return Err(Error::invalid("an AAD prefix that is not stored, and none is given"));
        }
        Ok(())
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption")
            .field("cipher", &self.cipher)
            .field("plain_footer", &self.plain_footer)
            .field("columns", &self.columns.keys())
            .field("has_aad_prefix", &self.aad_prefix.is_some())
            .field("stores_aad_prefix", &self.stores_aad_prefix)
            .finish_non_exhaustive()
    }
}

/// The keys of one file, ready to seal.
#[derive(Debug)]
pub(super) struct FileSeal {
    algorithm: EncryptionAlgorithm,
    cipher: FileCipher,
    footer_key: Arc<Key>,
    footer_key_metadata: Option<Vec<u8>>,
    plain_footer: bool,
    /// Of each leaf: its key, and what the footer says of that.
    columns: Vec<Option<(Arc<Key>, ColumnCryptoMetaData)>>,
}

impl FileSeal {
    pub fn new(options: &Encryption, leaves: &[Leaf]) -> Result<FileSeal> {
        options.check(leaves)?;
        let prefix = options.aad_prefix.as_deref();
        let parameters = AesParameters {
            aad_prefix: prefix.filter(|_| options.stores_aad_prefix).map(<[u8]>::to_vec),
            aad_file_unique: Some(encryption::random::<FILE_ID_BYTES>()?.to_vec()),
            supply_aad_prefix: (!options.stores_aad_prefix).then_some(true),
        };
        let algorithm = match options.cipher {
            EncryptionCipher::AesGcmV1 => EncryptionAlgorithm::AesGcmV1(parameters),
            EncryptionCipher::AesGcmCtrV1 => EncryptionAlgorithm::AesGcmCtrV1(parameters),
        };
        let footer_key = Arc::new(Key::new(&options.footer_key)?);
        let mut columns = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let name = leaf.name();
            let entry = options.entry_of(&name);
            columns.push(match entry {
                None if !options.columns.is_empty() => None,
                None | Some((_, None)) => Some((Arc::clone(&footer_key), ColumnCryptoMetaData::FooterKey(Empty {}))),
                Some((path, Some(key))) => {
                    let key = Arc::new(Key::new(key).map_err(|e| e.in_column(&name))?);
                    let of_column = EncryptionWithColumnKey {
                        path_in_schema: leaf.path.clone(),
                        key_metadata: options.key_metadata.get(path).cloned(),
                    };
                    Some((key, ColumnCryptoMetaData::ColumnKey(of_column)))
                }
            });
        }
        Ok(FileSeal {
            cipher: FileCipher::new(&algorithm, prefix.unwrap_or_default())?,
            algorithm,
            footer_key,
            footer_key_metadata: options.footer_key_metadata.clone(),
            plain_footer: options.plain_footer,
            columns,
        })
    }

    /// What the file begins and ends with.
    pub fn magic(&self) -> [u8; 4] {
        if self.plain_footer { footer::MAGIC } else { footer::MAGIC_ENCRYPTED }
    }

    /// What seals the modules of a chunk; None of one that is not encrypted.
    pub fn chunk(&self, row_group: usize, column: usize) -> Result<Option<ChunkCipher>> {
        match self.columns.get(column) {
            Some(Some((key, _))) => self.cipher.chunk(Arc::clone(key), row_group, column).map(Some),
            _ => Ok(None),
        }
    }

    /// Takes from the footer's entry of a chunk what only its key shall open.
    pub fn hide(&self, chunk: &mut ColumnChunk, column: usize, cipher: &ChunkCipher) -> Result<()> {
        let Some(Some((_, crypto))) = self.columns.get(column) else { return Ok(()) };
        let of_footer = matches!(crypto, ColumnCryptoMetaData::FooterKey(_));
        chunk.crypto_metadata = Some(crypto.clone());
        if of_footer && !self.plain_footer {
            return Ok(());
        }
        let Some(metadata) = chunk.meta_data.take() else { return Ok(()) };
        let sealed = cipher.seal(ModuleType::ColumnMetaData, 0, &thrift::encode(&metadata))?;
        chunk.encrypted_column_metadata = Some(sealed);
        chunk.meta_data = self.plain_footer.then(|| stripped(metadata));
        Ok(())
    }

    /// The footer and the tail.
    pub fn footer(&self, metadata: &mut FileMetaData) -> Result<Vec<u8>> {
        let aad = self.cipher.footer_aad();
        if self.plain_footer {
            metadata.encryption_algorithm = Some(self.algorithm.clone());
            metadata.footer_signing_key_metadata = self.footer_key_metadata.clone();
            let mut out = thrift::encode(metadata);
            out.extend(self.footer_key.sign(&out, &aad)?);
            return footer::close(out, self.magic());
        }
        let mut out = thrift::encode(&FileCryptoMetaData {
            encryption_algorithm: self.algorithm.clone(),
            key_metadata: self.footer_key_metadata.clone(),
        });
        out.extend(self.footer_key.seal(&thrift::encode(metadata), &aad)?);
        footer::close(out, self.magic())
    }
}

/// What readers without the key need to pass over the chunk: where it lies and how long it is.
fn stripped(metadata: ColumnMetaData) -> ColumnMetaData {
    ColumnMetaData {
        key_value_metadata: None,
        statistics: None,
        encoding_stats: None,
        bloom_filter_offset: None,
        bloom_filter_length: None,
        size_statistics: None,
        geospatial_statistics: None,
        ..metadata
    }
}

const FILE_ID_BYTES: usize = 16;
