//! Modular encryption: each module of a file (footer, page header, page, index) is a ciphertext of its own.
//!
//! Spec: Encryption.md.
//!
//! ```text
//! AES-GCM   length (4, little-endian) nonce (12) ciphertext tag (16)        length counts what follows it
//! AES-CTR   length (4, little-endian) nonce (12) ciphertext                 pages under AES_GCM_CTR_V1
//! AAD       prefix, file id, module type (1), row group (2), column (2), page (2)      as far as the type has them
//! ```
//!
//! The AAD is not stored but authenticated: a module that was moved does not decrypt.

use std::fmt;
use std::sync::Arc;

use aes::cipher::{KeyIvInit, StreamCipher};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, Nonce};

use super::schema::Empty;
use super::thrift::{choice, record};
use crate::cursor::Cursor;
use crate::error::{Error, Result};

record! {
    pub struct AesParameters {
        1: optional aad_prefix: Vec<u8>,
        /// Made by the writer for each file, at random.
        2: optional aad_file_unique: Vec<u8>,
        /// The prefix is not in the file: readers must bring it.
        3: optional supply_aad_prefix: bool,
    }
}

choice! {
    pub enum EncryptionAlgorithm {
        1: AesGcmV1(AesParameters),
        2: AesGcmCtrV1(AesParameters),
    }
}

record! {
    /// Before an encrypted footer.
    pub struct FileCryptoMetaData {
        1: required encryption_algorithm: EncryptionAlgorithm,
        2: optional key_metadata: Vec<u8>,
    }
}

record! {
    pub struct EncryptionWithColumnKey {
        1: required path_in_schema: Vec<String>,
        2: optional key_metadata: Vec<u8>,
    }
}

choice! {
    pub enum ColumnCryptoMetaData {
        1: FooterKey(Empty),
        2: ColumnKey(EncryptionWithColumnKey),
    }
}

/// What a module is; its number in the AAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ModuleType {
    Footer = 0,
    ColumnMetaData = 1,
    DataPage = 2,
    DictionaryPage = 3,
    DataPageHeader = 4,
    DictionaryPageHeader = 5,
    ColumnIndex = 6,
    OffsetIndex = 7,
    BloomFilterHeader = 8,
    BloomFilterBitset = 9,
}

/// Where a module stands: what its AAD says beside the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    pub kind: ModuleType,
    pub row_group: i16,
    pub column: i16,
    /// Counts the data pages of the chunk.
    pub page: i16,
}

impl Module {
    /// The footer, which stands nowhere else.
    pub const FOOTER: Module = Module { kind: ModuleType::Footer, row_group: 0, column: 0, page: 0 };

    /// The AAD, behind `file`: prefix and file id.
    pub fn aad(&self, file: &[u8]) -> Vec<u8> {
        let mut aad = file.to_vec();
        aad.push(self.kind as u8);
        if self.kind != ModuleType::Footer {
            aad.extend(self.row_group.to_le_bytes());
            aad.extend(self.column.to_le_bytes());
        }
        if matches!(self.kind, ModuleType::DataPage | ModuleType::DataPageHeader) {
            aad.extend(self.page.to_le_bytes());
        }
        aad
    }
}

/// What the modules of one file have in common: the start of every AAD, and how pages are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCipher {
    aad: Arc<[u8]>,
    pages_by_ctr: bool,
}

impl FileCipher {
    /// For a file that says `algorithm`; `prefix` is that of its AAD, whether the file has it or not.
    pub fn new(algorithm: &EncryptionAlgorithm, prefix: &[u8]) -> Result<FileCipher> {
        let (parameters, pages_by_ctr) = algorithm.parameters()?;
        let unique = parameters.aad_file_unique.as_deref().unwrap_or_default();
        Ok(FileCipher { aad: [prefix, unique].concat().into(), pages_by_ctr })
    }

    /// The AAD of the footer.
    pub fn footer_aad(&self) -> Vec<u8> {
        Module::FOOTER.aad(&self.aad)
    }

    /// For the chunk at these ordinals, whose key is `key`; [`Error::Limit`] when they are beyond 32767.
    pub fn chunk(&self, key: Arc<Key>, row_group: usize, column: usize) -> Result<ChunkCipher> {
        Ok(ChunkCipher {
            key,
            file: self.clone(),
            row_group: ordinal(row_group as u64, "row groups")?,
            column: ordinal(column as u64, "columns")?,
        })
    }
}

impl EncryptionAlgorithm {
    /// What it says of AADs, and whether pages are encrypted by AES-CTR; [`Error::Unsupported`] when it is not known.
    pub fn parameters(&self) -> Result<(&AesParameters, bool)> {
        match self {
            EncryptionAlgorithm::AesGcmV1(parameters) => Ok((parameters, false)),
            EncryptionAlgorithm::AesGcmCtrV1(parameters) => Ok((parameters, true)),
            EncryptionAlgorithm::Unknown(id) => {
                Err(Error::unsupported(format!("the file is encrypted by an algorithm of the number {id}")))
            }
        }
    }
}

/// Seals and opens the modules of one column chunk.
#[derive(Debug, Clone)]
pub struct ChunkCipher {
    key: Arc<Key>,
    file: FileCipher,
    row_group: i16,
    column: i16,
}

impl ChunkCipher {
    /// The module of `plain`; `page` counts data pages, and is passed over where the kind has no page.
    pub fn seal(&self, kind: ModuleType, page: u64, plain: &[u8]) -> Result<Vec<u8>> {
        if self.is_by_ctr(kind) {
            return self.key.seal_ctr(plain);
        }
        self.key.seal(plain, &self.aad(kind, page)?)
    }

    /// The module of this kind and page at the start of `bytes`, and the bytes that it took.
    pub fn open(&self, kind: ModuleType, page: u64, bytes: &[u8]) -> Result<(Vec<u8>, usize)> {
        if self.is_by_ctr(kind) {
            return self.key.open_ctr(bytes);
        }
        self.key.open(bytes, &self.aad(kind, page)?)
    }

    fn is_by_ctr(&self, kind: ModuleType) -> bool {
        self.file.pages_by_ctr && matches!(kind, ModuleType::DataPage | ModuleType::DictionaryPage)
    }

    fn aad(&self, kind: ModuleType, page: u64) -> Result<Vec<u8>> {
        let has_page = matches!(kind, ModuleType::DataPage | ModuleType::DataPageHeader);
        let page = if has_page { ordinal(page, "pages of a column chunk")? } else { 0 };
        Ok(Module { kind, row_group: self.row_group, column: self.column, page }.aad(&self.file.aad))
    }
}

fn ordinal(number: u64, of_what: &str) -> Result<i16> {
    i16::try_from(number).map_err(|_| {
        Error::limit(format!("number {number} of the {of_what}: encrypted files have numbers up to {}", i16::MAX))
    })
}

/// The bytes of a module, as the length before it says, without opening it.
pub fn module_bytes(bytes: &[u8]) -> Result<usize> {
    Ok((Cursor::new(bytes).u32_le()? as usize).saturating_add(LENGTH_BYTES))
}

const LENGTH_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes of the signature behind a footer in the clear.
pub const SIGNATURE_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// A key of 16, 24 or 32 bytes, ready to use. Its bytes are not shown.
#[derive(Clone)]
pub struct Key {
    gcm: Gcm,
    bytes: Vec<u8>,
}

type Aes192Gcm = AesGcm<aes::Aes192, aes_gcm::aead::consts::U12>;

#[derive(Clone)]
enum Gcm {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<Aes192Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bits)", self.bytes.len() * 8)
    }
}

impl Key {
    /// From its bytes; [`Error::Invalid`] unless they are 16, 24 or 32.
    pub fn new(bytes: &[u8]) -> Result<Key> {
        let wrong = |_| Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {}", bytes.len()));
        let gcm = match bytes.len() {
            16 => Gcm::Aes128(Box::new(Aes128Gcm::new_from_slice(bytes).map_err(wrong)?)),
            24 => Gcm::Aes192(Box::new(Aes192Gcm::new_from_slice(bytes).map_err(wrong)?)),
            _ => Gcm::Aes256(Box::new(Aes256Gcm::new_from_slice(bytes).map_err(wrong)?)),
        };
        Ok(Key { gcm, bytes: bytes.to_vec() })
    }

    /// A module of `plain`, by AES-GCM with `aad`, under a random nonce.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let nonce = nonce()?;
        let sealed = self.gcm_encrypt(&nonce, plain, aad)?;
        frame(&nonce, &sealed)
    }

    /// The module at the start of `bytes`, by AES-GCM, and the bytes that it took.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is cut short, was changed or moved, or is of another key.
    pub fn open(&self, bytes: &[u8], aad: &[u8]) -> Result<(Vec<u8>, usize)> {
        let (nonce, sealed, used) = unframe(bytes, TAG_BYTES)?;
        let payload = Payload { msg: sealed, aad };
        let nonce = Nonce::from(nonce);
        let plain = match &self.gcm {
            Gcm::Aes128(c) => c.decrypt(&nonce, payload),
            Gcm::Aes192(c) => c.decrypt(&nonce, payload),
            Gcm::Aes256(c) => c.decrypt(&nonce, payload),
        };
        let plain = plain.map_err(|_| {
            Error::corrupt(
                "an encrypted module does not open: it was changed or moved, or the key or AAD prefix is wrong",
            )
        })?;
        Ok((plain, used))
    }

    /// A page by AES-CTR, which nothing authenticates, under a random nonce.
    pub fn seal_ctr(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = nonce()?;
        let mut sealed = plain.to_vec();
        self.ctr(&nonce, &mut sealed)?;
        frame(&nonce, &sealed)
    }

    /// The page at the start of `bytes`, by AES-CTR, and the bytes that it took.
    pub fn open_ctr(&self, bytes: &[u8]) -> Result<(Vec<u8>, usize)> {
        let (nonce, sealed, used) = unframe(bytes, 0)?;
        let mut plain = sealed.to_vec();
        self.ctr(&nonce, &mut plain)?;
        Ok((plain, used))
    }

    /// The signature behind a plain footer: nonce and tag of encrypting it. Spec: Encryption.md, "Plaintext footer mode".
    pub fn sign(&self, footer: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let nonce = nonce()?;
        let tag = self.tag(&nonce, footer, aad)?;
        Ok([&nonce[..], &tag].concat())
    }

    /// Whether `signature` is that of `footer`.
    pub fn verify(&self, footer: &[u8], aad: &[u8], signature: &[u8]) -> Result<()> {
        let nonce = signature.first_chunk::<NONCE_BYTES>();
        let tag = signature.get(NONCE_BYTES..).filter(|t| t.len() == TAG_BYTES);
        match (nonce, tag) {
            (Some(nonce), Some(tag)) if self.tag(nonce, footer, aad)? == tag => Ok(()),
            _ => Err(Error::corrupt("the footer's signature is wrong: it was changed, or the key is another")),
        }
    }

    fn tag(&self, nonce: &[u8; NONCE_BYTES], footer: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = self.gcm_encrypt(nonce, footer, aad)?;
        Ok(sealed.split_off(sealed.len().saturating_sub(TAG_BYTES)))
    }

    fn gcm_encrypt(&self, nonce: &[u8; NONCE_BYTES], plain: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let payload = Payload { msg: plain, aad };
        let nonce = Nonce::from(*nonce);
        match &self.gcm {
            Gcm::Aes128(c) => c.encrypt(&nonce, payload),
            Gcm::Aes192(c) => c.encrypt(&nonce, payload),
            Gcm::Aes256(c) => c.encrypt(&nonce, payload),
        }
        .map_err(|_| Error::limit("a module of 64 GiB or more cannot be encrypted"))
    }

    /// The counter is the last four bytes, big-endian, from 1.
    fn ctr(&self, nonce: &[u8; NONCE_BYTES], bytes: &mut [u8]) -> Result<()> {
        let mut iv = [0; 16];
        for (to, from) in iv.iter_mut().zip(nonce.iter().chain(&[0, 0, 0, 1])) {
            *to = *from;
        }
        let wrong = |_| Error::limit("a page of 64 GiB or more cannot be encrypted");
        match self.bytes.len() {
            16 => {
                ctr::Ctr32BE::<aes::Aes128>::new_from_slices(&self.bytes, &iv).map(|mut c| c.try_apply_keystream(bytes))
            }
            24 => {
                ctr::Ctr32BE::<aes::Aes192>::new_from_slices(&self.bytes, &iv).map(|mut c| c.try_apply_keystream(bytes))
            }
            _ => {
                ctr::Ctr32BE::<aes::Aes256>::new_from_slices(&self.bytes, &iv).map(|mut c| c.try_apply_keystream(bytes))
            }
        }
        .map_err(|_| Error::invalid("an AES key of a wrong length"))?
        .map_err(wrong)
    }
}

fn nonce() -> Result<[u8; NONCE_BYTES]> {
    random()
}

/// Bytes that nobody can foretell.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::io(format!("the system has no random numbers: {e}")))?;
    Ok(bytes)
}

fn frame(nonce: &[u8; NONCE_BYTES], sealed: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(NONCE_BYTES + sealed.len())
        .map_err(|_| Error::limit("an encrypted module beyond 4 GiB: smaller pages"))?;
    Ok([&length.to_le_bytes()[..], nonce, sealed].concat())
}

fn unframe(bytes: &[u8], tag_bytes: usize) -> Result<([u8; NONCE_BYTES], &[u8], usize)> {
    let mut c = Cursor::new(bytes);
    let length = c.u32_le()? as usize;
    if length < NONCE_BYTES + tag_bytes {
        return Err(c.corrupt(format!("an encrypted module of {length} bytes")));
    }
    let nonce = c.array()?;
    let sealed = c.take(length - NONCE_BYTES)?;
    Ok((nonce, sealed, LENGTH_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 3] = [b"0123456789012345", b"012345678901234567890123", b"01234567890123456789012345678901"];

    #[test]
    fn modules_open_with_their_key_and_place_only() {
        for bytes in KEYS {
            let key = Key::new(bytes).expect("a key");
            let at = Module { kind: ModuleType::DataPage, row_group: 1, column: 2, page: 3 };
            let mut sealed = key.seal(b"a page", &at.aad(b"file")).expect("seals");
            assert_eq!(sealed.len(), 4 + 12 + 6 + 16);
            sealed.extend(b"what follows");
            assert_eq!(key.open(&sealed, &at.aad(b"file")).expect("opens"), (b"a page".to_vec(), 38));
            for moved in [
                Module { page: 4, ..at },
                Module { column: 0, ..at },
                Module { kind: ModuleType::DictionaryPage, ..at },
            ] {
                assert!(key.open(&sealed, &moved.aad(b"file")).is_err());
            }
            assert!(key.open(&sealed, &at.aad(b"elif")).is_err());
            assert!(Key::new(&[7; 16]).expect("a key").open(&sealed, &at.aad(b"file")).is_err());
            for at_byte in 0..38 {
                let mut changed = sealed.clone();
                changed[at_byte] ^= 1;
                assert!(key.open(&changed, &at.aad(b"file")).is_err(), "byte {at_byte}");
                assert!(key.open(&sealed[..at_byte], &at.aad(b"file")).is_err(), "cut at {at_byte}");
            }
        }
        assert!(matches!(Key::new(b"short"), Err(Error::Invalid(_))));
    }

    #[test]
    fn pages_by_counter_come_back() {
        for bytes in KEYS {
            let key = Key::new(bytes).expect("a key");
            let sealed = key.seal_ctr(&[5; 100]).expect("seals");
            assert_eq!(sealed.len(), 4 + 12 + 100);
            assert_eq!(key.open_ctr(&sealed).expect("opens"), (vec![5; 100], 116));
            assert!(key.open_ctr(&sealed[..115]).is_err());
        }
    }

    #[test]
    fn counter_mode_is_the_standards() {
        // RFC 3686, test vector 1: its nonce (4 bytes) and IV (8 bytes) are our 12, its counter starts at 1.
        let key =
            Key::new(&[0xAE, 0x68, 0x52, 0xF8, 0x12, 0x10, 0x67, 0xCC, 0x4B, 0xF7, 0xA5, 0x76, 0x55, 0x77, 0xF3, 0x9E])
                .expect("a key");
        let mut text = *b"Single block msg";
        key.ctr(&[0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0], &mut text).expect("encrypts");
        assert_eq!(
            text,
            [0xE4, 0x09, 0x5D, 0x4F, 0xB7, 0xA7, 0xB3, 0x79, 0x2D, 0x61, 0x75, 0xA3, 0x26, 0x13, 0x11, 0xB8]
        );
    }

    #[test]
    fn a_signed_footer_cannot_be_changed() {
        let key = Key::new(KEYS[0]).expect("a key");
        let signature = key.sign(b"footer", b"aad").expect("signs");
        assert_eq!(signature.len(), 28);
        key.verify(b"footer", b"aad", &signature).expect("verifies");
        assert!(key.verify(b"footeR", b"aad", &signature).is_err());
        assert!(key.verify(b"footer", b"dda", &signature).is_err());
        assert!(key.verify(b"footer", b"aad", &signature[..27]).is_err());
    }
}
