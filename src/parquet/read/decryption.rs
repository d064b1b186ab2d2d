//! Keys of encrypted files, and what they open: the footer, metadata of column chunks, and ciphers for the rest.
//!
//! Spec: Encryption.md. A key is asked for when something is read that it opens, and not before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::parquet::format::encryption::{
    AesParameters, ChunkCipher, ColumnCryptoMetaData, EncryptionAlgorithm, FileCipher, FileCryptoMetaData, Key,
    ModuleType, SIGNATURE_BYTES,
};
use crate::parquet::format::{ColumnChunk, ColumnMetaData, Footer, FooterLimits, SchemaElement, thrift};

/// Gives the key that a file's key metadata stands for.
pub type KeyRetriever = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// The keys of encrypted files, and what is asked of such files. Its `Debug` output shows no key.
///
/// Keys have 16, 24 or 32 bytes. One that is given outright goes before one from the retriever. A column of which
/// there is no key is an error when it is read; all others are read.
///
/// ```
/// use std::sync::Arc;
/// use hypostyle::parquet::read::{Decryption, ReaderOptions};
///
/// let keys = Decryption::new()
///     .with_footer_key(b"0123456789012345")
///     .with_column_key("salary", b"1234567890123450")
///     .with_retriever(Arc::new(|metadata| match metadata {
///         b"key of the addresses" => Ok(b"1234567890123451".to_vec()),
///         _ => Err(hypostyle::Error::invalid("the key store has no such key")),
///     }));
/// let options = ReaderOptions::default().with_decryption(keys);
/// assert!(!format!("{options:?}").contains("123456"));
/// ```
#[derive(Clone, Default)]
pub struct Decryption {
    footer_key: Option<Vec<u8>>,
    column_keys: BTreeMap<String, Vec<u8>>,
    retriever: Option<KeyRetriever>,
    aad_prefix: Option<Vec<u8>>,
    allows_plain_files: bool,
    trusts_footers: bool,
}

impl Decryption {
    /// No keys yet.
    pub fn new() -> Decryption {
        Decryption::default()
    }

    /// With the key of the footer, and of columns that have none of their own.
    #[must_use]
    pub fn with_footer_key(mut self, key: impl Into<Vec<u8>>) -> Decryption {
        self.footer_key = Some(key.into());
        self
    }

    /// With the key of the column at `path`, or of all columns below it.
    #[must_use]
    pub fn with_column_key(mut self, path: impl Into<String>, key: impl Into<Vec<u8>>) -> Decryption {
        self.column_keys.insert(path.into(), key.into());
        self
    }

    /// With a callback that gives a key by its metadata in the file. It is called once a column and file, when the
    /// column is first read.
    #[must_use]
    pub fn with_retriever(mut self, retriever: KeyRetriever) -> Decryption {
        self.retriever = Some(retriever);
        self
    }

    /// With the AAD prefix that the file was written with: needed where the file does not have it, and compared where it
    /// has.
    #[must_use]
    pub fn with_aad_prefix(mut self, prefix: impl Into<Vec<u8>>) -> Decryption {
        self.aad_prefix = Some(prefix.into());
        self
    }

    /// Whether files that are not encrypted at all are read too. False by default, so that nobody can put a file of their
    /// own in an encrypted one's place.
    #[must_use]
    pub fn with_plain_files(mut self, allowed: bool) -> Decryption {
        self.allows_plain_files = allowed;
        self
    }

    /// Whether the signature of a footer in the clear goes unread. False by default: it is verified whenever the footer's
    /// key is there, or a retriever for it.
    #[must_use]
    pub fn with_unverified_footers(mut self, trusted: bool) -> Decryption {
        self.trusts_footers = trusted;
        self
    }

    /// The key of the footer, if there is one.
    fn footer_key(&self, metadata: Option<&[u8]>) -> Result<Option<Arc<Key>>> {
        let key = match (&self.footer_key, &self.retriever, metadata) {
            (Some(key), _, _) => Key::new(key),
            (None, Some(retriever), Some(metadata)) => Key::new(&retriever(metadata)?),
            _ => return Ok(None),
        };
        key.map(|key| Some(Arc::new(key))).map_err(|e| Error::invalid(format!("the footer's key: {}", e.message())))
    }

    /// The same of the column at `path`, which has a key of its own.
    fn column_key(&self, path: &str, metadata: Option<&[u8]>) -> Result<Arc<Key>> {
        let mut at = path;
        let given = loop {
            match (self.column_keys.get(at), at.rsplit_once('.')) {
                (Some(key), _) => break Some(key),
                (None, Some((parent, _))) => at = parent,
                (None, None) => break None,
            }
        };
        let key = match (given, &self.retriever, metadata) {
            (Some(key), _, _) => Key::new(key),
            (None, Some(retriever), Some(metadata)) => Key::new(&retriever(metadata)?),
            _ => {
                let named = key_metadata(metadata);
                return Err(Error::invalid(format!("it is encrypted, and its key is not given{named}")));
            }
        };
        key.map(Arc::new).map_err(|e| Error::invalid(format!("its key: {}", e.message())))
    }

    /// The AAD prefix of a file that says `algorithm`.
    fn prefix<'a>(&'a self, algorithm: &'a EncryptionAlgorithm) -> Result<&'a [u8]> {
        let (parameters, _) = algorithm.parameters()?;
        let stored = parameters.aad_prefix.as_deref().filter(|p| !p.is_empty());
        match (stored, self.aad_prefix.as_deref()) {
            (Some(stored), Some(given)) if stored != given => Err(Error::invalid(format!(
                "the file's AAD prefix is {}, not {}: it is another file than was asked for",
                shown(stored),
                shown(given)
            ))),
            (Some(stored), _) => Ok(stored),
            (None, None) if parameters.supply_aad_prefix == Some(true) => {
                Err(Error::invalid("the file was encrypted with an AAD prefix that it does not hold: it must be given"))
            }
            (None, Some(_)) if parameters.supply_aad_prefix != Some(true) => {
                Err(Error::invalid("the file was encrypted without an AAD prefix, and one is given"))
            }
            (None, given) => Ok(given.unwrap_or_default()),
        }
    }
}

impl PartialEq for Decryption {
    fn eq(&self, other: &Decryption) -> bool {
        let same_retriever = match (&self.retriever, &other.retriever) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same_retriever
            && (&self.footer_key, &self.column_keys, &self.aad_prefix)
                == (&other.footer_key, &other.column_keys, &other.aad_prefix)
            && (self.allows_plain_files, self.trusts_footers) == (other.allows_plain_files, other.trusts_footers)
    }
}

impl Eq for Decryption {}

impl fmt::Debug for Decryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryption")
            .field("has_footer_key", &self.footer_key.is_some())
            .field("columns_with_keys", &self.column_keys.keys())
            .field("has_retriever", &self.retriever.is_some())
            .field("aad_prefix", &self.aad_prefix.as_deref().map(shown))
            .field("allows_plain_files", &self.allows_plain_files)
            .field("trusts_footers", &self.trusts_footers)
            .finish()
    }
}

/// The footer of a file, and what opens the rest of it, where that is encrypted.
pub(super) struct OpenedFooter {
    pub footer: Footer,
    pub elements: Vec<SchemaElement>,
    pub decryptor: Option<Decryptor>,
}

/// Decodes the footer from its bytes, which begin at `base` in the file: the encrypted one or the plain one.
pub(super) fn open_footer(
    bytes: Bytes,
    base: u64,
    is_encrypted: bool,
    keys: Option<&Decryption>,
    limits: FooterLimits,
) -> Result<OpenedFooter> {
    if is_encrypted {
        return open_encrypted(&bytes, base, keys, limits);
    }
    let (footer, elements) = Footer::decode(bytes.clone(), base, limits)?;
    let Some(algorithm) = &footer.encryption_algorithm else {
        if keys.is_some_and(|keys| !keys.allows_plain_files) {
            return Err(Error::invalid("the file is not encrypted, and keys are given: allow plain files to read it"));
        }
        return Ok(OpenedFooter { footer, elements, decryptor: None });
    };
    let given = keys.is_some();
    let keys = keys.cloned().unwrap_or_default();
    // Without keys, only what is plain can be read, and nothing of the algorithm matters to that.
    let cipher = match keys.prefix(algorithm).and_then(|prefix| FileCipher::new(algorithm, prefix)) {
        Ok(cipher) => cipher,
        Err(_) if !given => FileCipher::new(&EncryptionAlgorithm::AesGcmV1(NO_PARAMETERS), &[])?,
        Err(e) => return Err(e),
    };
    let mut footer_key = None;
    if !keys.trusts_footers {
        footer_key = keys.footer_key(footer.footer_signing_key_metadata.as_deref())?;
        if let Some(key) = &footer_key {
            let footer_bytes = bytes.len().saturating_sub(SIGNATURE_BYTES);
            let (signed, signature) = bytes.split_at_checked(footer_bytes).unwrap_or((&bytes, &[]));
            let at = base + footer_bytes as u64;
            key.verify(signed, &cipher.footer_aad(), signature).map_err(|e| e.at_byte(at))?;
        }
    }
    let key_metadata = footer.footer_signing_key_metadata.clone();
    let decryptor = Some(Decryptor::new(keys, cipher, footer_key, key_metadata, &footer));
    Ok(OpenedFooter { footer, elements, decryptor })
}

fn open_encrypted(bytes: &[u8], base: u64, keys: Option<&Decryption>, limits: FooterLimits) -> Result<OpenedFooter> {
    let (crypto, used) = thrift::decode::<FileCryptoMetaData>(bytes, base)?;
    let metadata = crypto.key_metadata.as_deref();
    let keys = keys.cloned().unwrap_or_default();
    let Some(key) = keys.footer_key(metadata)? else {
        let named = key_metadata(metadata);
        return Err(Error::invalid(format!("the footer is encrypted, and its key is not given{named}")));
    };
    let cipher = FileCipher::new(&crypto.encryption_algorithm, keys.prefix(&crypto.encryption_algorithm)?)?;
    let sealed = bytes.get(used..).unwrap_or_default();
    let start = base + used as u64;
    let (plain, _) = key.open(sealed, &cipher.footer_aad()).map_err(|e| e.at_byte(start))?;
    let (footer, elements) = Footer::decode(plain.into(), 0, limits)
        .map_err(|e| Error::corrupt(format!("{} (in the decrypted footer)", e.message())).at_byte(start))?;
    let decryptor = Some(Decryptor::new(keys, cipher, Some(key), crypto.key_metadata, &footer));
    Ok(OpenedFooter { footer, elements, decryptor })
}

/// The metadata of a chunk that is a module of its own.
pub(super) fn column_metadata(sealed: &[u8], cipher: &ChunkCipher) -> Result<ColumnMetaData> {
    let (plain, _) = cipher.open(ModuleType::ColumnMetaData, 0, sealed)?;
    let (metadata, _) = thrift::decode::<ColumnMetaData>(&plain, 0)
        .map_err(|e| Error::corrupt(format!("{} (in the column's decrypted metadata)", e.message())))?;
    Ok(metadata)
}

/// Opens what is encrypted in one file.
#[derive(Debug)]
pub(super) struct Decryptor {
    keys: Decryption,
    cipher: FileCipher,
    footer_key: OnceLock<Arc<Key>>,
    footer_key_metadata: Option<Vec<u8>>,
    /// Of each leaf.
    column_keys: Vec<OnceLock<FoundKey>>,
}

#[derive(Debug)]
struct FoundKey {
    /// By which it was found.
    metadata: Option<Vec<u8>>,
    key: Arc<Key>,
}

impl Decryptor {
    fn new(
        keys: Decryption,
        cipher: FileCipher,
        footer_key: Option<Arc<Key>>,
        footer_key_metadata: Option<Vec<u8>>,
        footer: &Footer,
    ) -> Decryptor {
        let columns = footer.groups.iter().map(|g| g.columns).max().unwrap_or(0);
        Decryptor {
            keys,
            cipher,
            footer_key: footer_key.map_or_else(OnceLock::new, OnceLock::from),
            footer_key_metadata,
            column_keys: (0..columns).map(|_| OnceLock::new()).collect(),
        }
    }

    /// What opens the modules of a chunk: leaf `column`, called `name`, of the row group `ordinal`. None of one that is
    /// not encrypted.
    pub(super) fn chunk(
        &self,
        chunk: &ColumnChunk,
        ordinal: usize,
        column: usize,
        name: &str,
    ) -> Result<Option<ChunkCipher>> {
        let key = match &chunk.crypto_metadata {
            None => return Ok(None),
            Some(ColumnCryptoMetaData::FooterKey(_)) => self.footer_key()?,
            Some(ColumnCryptoMetaData::ColumnKey(of_column)) => {
                self.column_key(column, name, of_column.key_metadata.as_deref())?
            }
            Some(ColumnCryptoMetaData::Unknown(id)) => {
                return Err(Error::unsupported(format!("it is encrypted with a key of an unknown kind, number {id}")));
            }
        };
        self.cipher.chunk(key, ordinal, column).map(Some)
    }

    fn footer_key(&self) -> Result<Arc<Key>> {
        if let Some(key) = self.footer_key.get() {
            return Ok(Arc::clone(key));
        }
        let metadata = self.footer_key_metadata.as_deref();
        match self.keys.footer_key(metadata)? {
            Some(key) => Ok(Arc::clone(self.footer_key.get_or_init(|| key))),
            None => {
                let named = key_metadata(metadata);
                Err(Error::invalid(format!("it is encrypted with the footer's key, which is not given{named}")))
            }
        }
    }

    fn column_key(&self, column: usize, name: &str, metadata: Option<&[u8]>) -> Result<Arc<Key>> {
        let slot = self.column_keys.get(column);
        if let Some(found) = slot.and_then(OnceLock::get)
            && found.metadata.as_deref() == metadata
        {
            return Ok(Arc::clone(&found.key));
        }
        let key = self.keys.column_key(name, metadata)?;
        if let Some(slot) = slot {
            // Another thread may have been here: its key is the same one.
            let _ = slot.set(FoundKey { metadata: metadata.map(<[u8]>::to_vec), key: Arc::clone(&key) });
        }
        Ok(key)
    }
}

/// The key metadata as an error names it.
fn key_metadata(metadata: Option<&[u8]>) -> String {
    metadata.map_or(String::new(), |metadata| format!(" (key metadata {})", shown(metadata)))
}

/// Key metadata and AAD prefixes for people: as text if they are that, and not long.
fn shown(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 60;
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => {
            let cut: String = text.chars().take(CHARS_MAX).collect();
            let more = if cut.len() < text.len() { "…" } else { "" };
            format!("\"{cut}{more}\"")
        }
        _ => format!("of {} bytes", bytes.len()),
    }
}

const NO_PARAMETERS: AesParameters = AesParameters { aad_prefix: None, aad_file_unique: None, supply_aad_prefix: None };
