//! The codecs: one file each, all behind [`Compressor`] and [`Decompressor`].
//!
//! Spec: Compression.md.
//!
//! A page names its own size before compression, so a decompressor fills a buffer of exactly that size, and
//! bytes that would give more or fewer are corrupt: a bomb ends where the buffer ends. The caller has checked
//! the size against its budget. Codecs keep their contexts from page to page.

mod brotli;
mod gzip;
mod hadoop;
mod lz4;
mod lz4_raw;
mod lzo;
mod promise;
mod snappy;
mod zstd;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How to compress pages; the number is the codec's level. Written `zstd:3`, `snappy`, `gzip:6`, `brotli:5`,
/// `lz4`, `none`; without a level the codec's usual one is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    Uncompressed,
    /// Fast, and read by everything.
    Snappy,
    /// Level 0 to 9.
    Gzip(u32),
    /// Level 0 to 11.
    Brotli(u32),
    /// Level 1 to 22.
    Zstd(i32),
    /// The LZ4 block format, without a frame.
    Lz4Raw,
}

impl Compression {
    /// The codec's number in the file, as the metadata's type for it: `let codec: Codec = compression.codec()`.
    pub fn codec<C: From<i32>>(self) -> C {
        C::from(match self {
            Compression::Uncompressed => UNCOMPRESSED,
            Compression::Snappy => SNAPPY,
            Compression::Gzip(_) => GZIP,
            Compression::Brotli(_) => BROTLI,
            Compression::Zstd(_) => ZSTD,
            Compression::Lz4Raw => LZ4_RAW,
        })
    }
}

// The numbers of parquet.thrift's CompressionCodec. They stand here, as numbers, because the codecs know nothing of the
// metadata.
const UNCOMPRESSED: i32 = 0;
const SNAPPY: i32 = 1;
const GZIP: i32 = 2;
const LZO: i32 = 3;
const BROTLI: i32 = 4;
const LZ4_HADOOP: i32 = 5;
const ZSTD: i32 = 6;
const LZ4_RAW: i32 = 7;

impl Default for Compression {
    fn default() -> Compression {
        Compression::Zstd(zstd::LEVEL_DEFAULT)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compression::Uncompressed => f.write_str("none"),
            Compression::Snappy => f.write_str("snappy"),
            Compression::Gzip(level) => write!(f, "gzip:{level}"),
            Compression::Brotli(level) => write!(f, "brotli:{level}"),
            Compression::Zstd(level) => write!(f, "zstd:{level}"),
            Compression::Lz4Raw => f.write_str("lz4"),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Compression> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let within = |default: u32, levels: std::ops::RangeInclusive<u32>| -> Result<u32> {
            let Some(level) = level else { return Ok(default) };
            level.parse().ok().filter(|n| levels.contains(n)).ok_or_else(|| {
                Error::invalid(format!(
                    "compression {text:?}: the level of {name} is {} to {}",
                    levels.start(),
                    levels.end()
                ))
            })
        };
        let compression = match name.to_ascii_lowercase().as_str() {
            "zstd" => Compression::Zstd(within(zstd::LEVEL_DEFAULT.unsigned_abs(), 1..=22)?.cast_signed()),
            "gzip" => Compression::Gzip(within(6, 0..=gzip::LEVEL_MAX)?),
            "brotli" => Compression::Brotli(within(5, 0..=brotli::LEVEL_MAX)?),
            "snappy" => Compression::Snappy,
            "lz4" | "lz4_raw" => Compression::Lz4Raw,
            "none" | "uncompressed" => Compression::Uncompressed,
            _ => {
                return Err(Error::invalid(format!(
                    "compression {text:?} is not one of zstd:3, snappy, lz4, gzip:6, brotli:5, none"
                )));
            }
        };
        match (compression, level) {
            (Compression::Snappy | Compression::Lz4Raw | Compression::Uncompressed, Some(_)) => {
                Err(Error::invalid(format!("compression {text:?}: {name} has no levels")))
            }
            _ => Ok(compression),
        }
    }
}

/// How a codec shall look for what stood before, where it has more than one way that costs about as much as its level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Search {
    /// As its level says.
    #[default]
    Level,
    /// The same with more places to look at: more is found in long pages of texts, whose words come again far behind.
    Wide,
    /// At one place, for so many bytes at least: soon done, and where numbers have no more than some bytes in common, better.
    Fast { least: u32 },
}

impl Search {
    /// Of a page that was not searched: of so many bytes.
    pub(crate) fn of_page(bytes: usize) -> Search {
        /// In shorter ones no more is found for the time that it takes.
        const LONG_BYTES: usize = 384 << 10;
        if bytes > LONG_BYTES { Search::Wide } else { Search::Level }
    }
}

/// Compresses page after page with one codec and level.
pub struct Compressor {
    codec: CompressorOf,
}

enum CompressorOf {
    Uncompressed,
    Snappy(Box<snappy::Compressor>),
    Gzip(gzip::Compressor),
    Brotli(brotli::Compressor),
    Zstd(zstd::Compressor),
    Lz4Raw(lz4_raw::Compressor),
}

impl Compressor {
    /// A level beyond the codec's range is brought into it.
    pub fn new(compression: Compression) -> Result<Compressor> {
        let codec = match compression {
            Compression::Uncompressed => CompressorOf::Uncompressed,
            Compression::Snappy => CompressorOf::Snappy(Box::new(snappy::Compressor::new())),
            Compression::Gzip(level) => CompressorOf::Gzip(gzip::Compressor::new(level)),
            Compression::Brotli(level) => CompressorOf::Brotli(brotli::Compressor::new(level)),
            Compression::Zstd(level) => CompressorOf::Zstd(zstd::Compressor::new(level)?),
            Compression::Lz4Raw => CompressorOf::Lz4Raw(lz4_raw::Compressor::new()),
        };
        Ok(Compressor { codec })
    }

    /// What the codec keeps from page to page, where that is much: a megabyte of tables for ZSTD.
    pub fn memory_bytes(&self) -> usize {
        match &self.codec {
            CompressorOf::Zstd(c) => c.memory_bytes,
            CompressorOf::Gzip(_) => DEFLATE_BYTES,
            _ => 0,
        }
    }

    /// Whether pages stay as they are.
    pub fn is_none(&self) -> bool {
        matches!(self.codec, CompressorOf::Uncompressed)
    }

    /// Whether the codec, at its level, can look for matches by any [`Search`]; else they are all the same.
    pub(crate) fn can_search(&self) -> bool {
        matches!(&self.codec, CompressorOf::Zstd(c) if c.can_search())
    }

    /// Appends `input`, compressed.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.compress_by(Search::of_page(input.len()), input, out)
    }

    /// The same by a search; where the codec has but one, by that.
    pub(crate) fn compress_by(&mut self, search: Search, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match &mut self.codec {
            CompressorOf::Uncompressed => {
                out.extend_from_slice(input);
                Ok(())
            }
            CompressorOf::Snappy(c) => c.compress(input, out),
            CompressorOf::Gzip(c) => c.compress(input, out),
            CompressorOf::Brotli(c) => c.compress(input, out),
            CompressorOf::Zstd(c) => c.compress(search, input, out),
            CompressorOf::Lz4Raw(c) => c.compress(input, out),
        }
    }
}

/// Window, hash chains and pending output.
const DEFLATE_BYTES: usize = 320 << 10;

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.codec {
            CompressorOf::Uncompressed => "Compressor(none)",
            CompressorOf::Snappy(_) => "Compressor(snappy)",
            CompressorOf::Gzip(_) => "Compressor(gzip)",
            CompressorOf::Brotli(_) => "Compressor(brotli)",
            CompressorOf::Zstd(_) => "Compressor(zstd)",
            CompressorOf::Lz4Raw(_) => "Compressor(lz4)",
        })
    }
}

/// Decompresses pages of any codec; the contexts of those it has met are kept.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<zstd::Decompressor>,
    gzip: Option<gzip::Decompressor>,
    /// What the start of a page is made of.
    start: Vec<u8>,
}

impl Decompressor {
    /// Nothing is allocated before the first page.
    pub fn new() -> Decompressor {
        Decompressor::default()
    }

    /// Replaces `out` by the `exact_bytes` bytes that `input` was before compression.
    ///
    /// `codec` is the metadata's, by its number. More or fewer, or bytes that are not the codec's, are
    /// [`Error::Corrupt`]; an unknown codec is [`Error::Unsupported`]. Beyond `out` itself a codec allocates its own window at most (16 MiB).
    pub fn decompress(
        &mut self,
        codec: impl Into<i32>,
        input: &[u8],
        out: &mut Vec<u8>,
        exact_bytes: usize,
    ) -> Result<()> {
        let codec = codec.into();
        promise::check(codec, input, exact_bytes)?;
        resize_exact(out, exact_bytes);
        let written = match codec {
            UNCOMPRESSED if input.len() == exact_bytes => {
                out.copy_from_slice(input);
                return Ok(());
            }
            UNCOMPRESSED => input.len(),
            // Some writers compress no values into no bytes.
            _ if exact_bytes == 0 && input.is_empty() => return Ok(()),
            SNAPPY => snappy::decompress(input, out)?,
            GZIP => self.gzip.get_or_insert_with(gzip::Decompressor::new).decompress(input, out)?,
            BROTLI => brotli::decompress(input, out)?,
            ZSTD => {
                if self.zstd.is_none() {
                    self.zstd = Some(zstd::Decompressor::new()?);
                }
                match &mut self.zstd {
                    Some(context) => context.decompress(input, out)?,
                    None => 0,
                }
            }
            LZ4_RAW => lz4_raw::decompress(input, out)?,
            LZ4_HADOOP => lz4::decompress(input, out)?,
            LZO => lzo::decompress(input, out)?,
            other => return Err(Error::unsupported(format!("pages compressed with codec number {other}"))),
        };
        if written == exact_bytes {
            Ok(())
        } else {
            Err(Error::corrupt(format!("the page decompresses to {written} bytes, {exact_bytes} were promised")))
        }
    }

    /// The same for the first bytes alone, `wanted` of them or more, where the codec has them for less than all of them;
    /// else `out` is replaced by all of them.
    ///
    /// What `input` is behind them is not looked at.
    pub fn decompress_start(
        &mut self,
        codec: impl Into<i32>,
        input: &[u8],
        out: &mut Vec<u8>,
        exact_bytes: usize,
        wanted: usize,
    ) -> Result<()> {
        let codec = codec.into();
        if decompresses_start(codec, exact_bytes, wanted) {
            promise::check(codec, input, exact_bytes)?;
            let asked = wanted + START_MORE;
            let written = snappy::decompress_start(input, out, exact_bytes, asked, &mut self.start);
            if let Some(written) = written.filter(|&written| written >= wanted) {
                out.truncate(written);
                return Ok(());
            }
        }
        self.decompress(codec, input, out, exact_bytes)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressor")
    }
}

/// What is asked for beyond the start that is wanted: as long a piece as Snappy's encoders copy does not fit at the end.
pub(crate) const START_MORE: usize = 64;

/// Makes the buffer so long, in so much memory where it has less. What is in it is overwritten, so only its growth is zeroed.
fn resize_exact(out: &mut Vec<u8>, bytes: usize) {
    out.reserve_exact(bytes.saturating_sub(out.len()));
    out.resize(bytes, 0);
}

/// Whether the first `wanted` of `exact_bytes` bytes are had for less than all of them.
pub(crate) fn decompresses_start(codec: impl Into<i32>, exact_bytes: usize, wanted: usize) -> bool {
    // Of more, not enough is spared.
    codec.into() == SNAPPY && wanted < exact_bytes / 4 * 3
}

/// The error for bytes that a codec refuses.
#[cold]
fn broken(codec: &str, why: impl fmt::Display) -> Error {
    Error::corrupt(format!("not {codec} of the promised size: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Compression; 8] = [
        Compression::Uncompressed,
        Compression::Snappy,
        Compression::Gzip(6),
        Compression::Brotli(5),
        Compression::Brotli(11),
        Compression::Zstd(3),
        Compression::Zstd(1),
        Compression::Lz4Raw,
    ];

    fn compress(compression: Compression, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compressor::new(compression).expect("context").compress(input, &mut out).expect("compresses");
        out
    }

    /// Words, runs and noise, as pages have them.
    fn page(bytes: usize) -> Vec<u8> {
        let mut x = 0x9e37_79b9_u32;
        (0..bytes)
            .map(|i| {
                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                if i % 100 < 60 { b"the quick brown fox jumps"[i % 25] } else { (x >> 28) as u8 }
            })
            .collect()
    }

    #[test]
    fn every_codec_round_trips_with_one_context() {
        for compression in ALL {
            let mut compressor = Compressor::new(compression).expect("context");
            let mut decompressor = Decompressor::new();
            let mut back = Vec::new();
            for bytes in [100_000, 0, 1, 70_000, 7, 65_535, 600_000, 12] {
                let input = page(bytes);
                let mut out = vec![42];
                compressor.compress(&input, &mut out).expect("compresses");
                let (&first, compressed) = out.split_first().expect("kept");
                assert_eq!(first, 42, "{compression} appends");
                decompressor
                    .decompress(compression.codec::<i32>(), compressed, &mut back, bytes)
                    .expect("decompresses");
                assert_eq!(back, input, "{compression}, {bytes} bytes");
            }
        }
    }

    #[test]
    fn pages_round_trip_by_every_search() {
        let mut compressor = Compressor::new(Compression::default()).expect("context");
        // It is long.
        let wide = compress(Compression::default(), &page(600_000));
        let (mut decompressor, mut back) = (Decompressor::new(), Vec::new());
        let mut lengths = Vec::new();
        // One context is for each of them, one after another.
        for bytes in [70_000, 600_000, 12, 0] {
            for search in
                [Search::Fast { least: 6 }, Search::Wide, Search::Fast { least: 4 }, Search::Fast { least: 6 }]
            {
                let input = page(bytes);
                let mut out = Vec::new();
                compressor.compress_by(search, &input, &mut out).expect("compresses");
                decompressor.decompress(ZSTD, &out, &mut back, bytes).expect("decompresses");
                assert_eq!(back, input, "{search:?}, {bytes} bytes");
                lengths.push(out.len());
            }
        }
        let [first, wide_again, other, again] = lengths[4..8] else { panic!("four of each") };
        assert_eq!((first, wide_again), (again, wide.len()));
        assert!(other != first && other != wide_again, "{lengths:?}");
        compressor.compress_by(Search::Level, &page(600_000), &mut back).expect("compresses");
        assert_ne!(back.len(), wide.len());
    }

    #[test]
    fn a_start_is_had_without_the_rest() {
        let (mut decompressor, mut out) = (Decompressor::new(), Vec::new());
        for compression in ALL {
            for bytes in [70_000, 600, 600_000, 1] {
                let input = page(bytes);
                let compressed = compress(compression, &input);
                let codec = compression.codec::<i32>();
                for wanted in [0, 1, bytes / 7, bytes / 2, bytes - 1, bytes] {
                    decompressor.decompress_start(codec, &compressed, &mut out, bytes, wanted).expect("decompresses");
                    assert!(out.len() >= wanted && input.starts_with(&out), "{compression}, {wanted} of {bytes}");
                    let is_short = compression == Compression::Snappy && bytes > 600 && wanted <= bytes / 2;
                    let most = if is_short { wanted + 100 } else { bytes };
                    assert!(out.len() <= most, "{compression}, {wanted} of {bytes}: {}", out.len());
                }
            }
        }
        // What begins with noise is compressed less there than all of it, and decompressed whole, in no more memory than that.
        let mut x = 1u64;
        let mut noise = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        };
        let input: Vec<u8> = (0..100_000).map(|at| if at < 61_000 { noise() } else { 0 }).collect();
        let compressed = compress(Compression::Snappy, &input);
        let mut fresh = Vec::new();
        decompressor.decompress_start(SNAPPY, &compressed, &mut fresh, input.len(), 60_000).expect("decompresses");
        assert_eq!((fresh.len(), fresh.capacity()), (100_000, 100_000));
        assert_eq!(fresh, input);
        // What is broken behind it is not seen, as is a page that nobody reads.
        let input = page(70_000);
        let mut compressed = compress(Compression::Snappy, &input);
        let end = compressed.len() - 1000;
        compressed[end..].fill(0xff);
        decompressor.decompress_start(SNAPPY, &compressed, &mut out, input.len(), 10_000).expect("its start");
        assert!(out.len() >= 10_000 && input.starts_with(&out));
        assert!(decompressor.decompress_start(SNAPPY, &compressed, &mut out, input.len(), 69_000).is_err());
        // Nor one whose size is wrong.
        assert!(decompressor.decompress_start(SNAPPY, &compressed, &mut out, input.len() + 1, 10_000).is_err());
    }

    #[test]
    fn a_size_that_is_not_the_promised_one_is_corrupt() {
        let input = page(10_000);
        for compression in ALL {
            let compressed = compress(compression, &input);
            for wrong in [0, 1, 9_999, 10_001, 1 << 20] {
                let e = Decompressor::new()
                    .decompress(compression.codec::<i32>(), &compressed, &mut Vec::new(), wrong)
                    .expect_err("another size");
                assert!(matches!(e, Error::Corrupt(_)), "{compression}, {wrong}: {e}");
            }
        }
    }

    #[test]
    fn a_bomb_ends_at_the_promised_size() {
        let zeros = vec![0u8; 16 << 20];
        for compression in [Compression::Gzip(9), Compression::Brotli(5), Compression::Zstd(3), Compression::Lz4Raw] {
            let bomb = compress(compression, &zeros);
            let mut out = Vec::new();
            assert!(Decompressor::new().decompress(compression.codec::<i32>(), &bomb, &mut out, 1000).is_err());
            assert!(out.capacity() < 10_000, "{compression} took {}", out.capacity());
        }
    }

    #[test]
    fn cut_and_flipped_bytes_are_no_panic() {
        let input = page(3_000);
        for compression in ALL {
            let compressed = compress(compression, &input);
            let mut decompressor = Decompressor::new();
            let mut out = Vec::new();
            if compression != Compression::Uncompressed {
                for cut in 0..compressed.len() {
                    let r =
                        decompressor.decompress(compression.codec::<i32>(), &compressed[..cut], &mut out, input.len());
                    assert!(r.is_err(), "{compression} cut to {cut} of {}", compressed.len());
                }
            }
            for at in 0..compressed.len() {
                for bit in [1, 0x10, 0x80, 0xff] {
                    let mut flipped = compressed.clone();
                    flipped[at] ^= bit;
                    if decompressor.decompress(compression.codec::<i32>(), &flipped, &mut out, input.len()).is_ok() {
                        assert_eq!(out.len(), input.len());
                    }
                    let start =
                        decompressor.decompress_start(compression.codec::<i32>(), &flipped, &mut out, input.len(), 999);
                    assert!(start.is_err() || (999..=input.len()).contains(&out.len()));
                }
            }
            // The context survives what it was given.
            decompressor
                .decompress(compression.codec::<i32>(), &compressed, &mut out, input.len())
                .expect("whole again");
            assert_eq!(out, input);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_the_size_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 0usize..2000) {
            for compression in ALL {
                let mut out = Vec::new();
                if Decompressor::new().decompress(compression.codec::<i32>(), &bytes, &mut out, size).is_ok() {
                    prop_assert_eq!(out.len(), size);
                }
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_shown() {
        for compression in ALL {
            assert_eq!(compression.to_string().parse::<Compression>().expect("parses"), compression);
        }
        assert_eq!("zstd".parse::<Compression>().expect("parses"), Compression::default());
        assert_eq!(Compression::default().to_string(), "zstd:3");
        for wrong in ["", "zip", "zstd:0", "zstd:23", "zstd:x", "gzip:10", "brotli:12", "snappy:1", "none:", "lz4:1"] {
            assert!(matches!(wrong.parse::<Compression>(), Err(Error::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_codec_is_named() {
        let e = Decompressor::new().decompress(99, &[1], &mut Vec::new(), 1).expect_err("not ours");
        assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("99"), "{e}");
    }
}
