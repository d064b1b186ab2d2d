//! ZSTD: frames of Zstandard. Spec: Compression.md, "ZSTD".

use zstd::bulk;
use zstd::zstd_safe::{CParameter, Strategy};

use super::{Search, broken};
use crate::error::{Error, Result};

/// The usual level.
pub(super) const LEVEL_DEFAULT: i32 = 3;

/// What the usual level stands for here. The library looks by two tables of hashes, as large as pages are, and for four or five
/// bytes by their size; pages of about a quarter of a megabyte take twice the time of smaller ones for it, and tables of
/// another size than the page before had are made anew. The same for each page is quicker and finds as much.
const USUAL: [CParameter; 3] = [CParameter::MinMatch(5), CParameter::HashLog(16), CParameter::ChainLog(14)];
/// The same for [`Search::Wide`]: the library's own for pages of more than a quarter of a megabyte.
const WIDE: [CParameter; 3] = [CParameter::MinMatch(5), CParameter::HashLog(17), CParameter::ChainLog(16)];
/// Entries of the one table of hashes, as a power of two: they stay in the second cache.
const HASHES_LOG: u32 = 15;

type Context = bulk::Compressor<'static>;

pub(super) struct Compressor {
    level: i32,
    context: Context,
    /// The one for long pages, once that was asked for.
    wide: Option<Context>,
    /// The context that looks by one table, once that was asked for, and its least match.
    fast: Option<(Context, u32)>,
    /// What the contexts have grown to: they keep their tables from page to page.
    pub memory_bytes: usize,
}

impl Compressor {
    pub(super) fn new(level: i32) -> Result<Compressor> {
        let range = zstd::compression_level_range();
        let level = level.clamp(*range.start(), *range.end());
        // Level 0 would mean the default to the library.
        let level = if level == 0 { LEVEL_DEFAULT } else { level };
        let context = if level == LEVEL_DEFAULT { with(level, USUAL)? } else { bulk::Compressor::new(level)? };
        Ok(Compressor { level, context, wide: None, fast: None, memory_bytes: 0 })
    }

    /// At other levels the caller has chosen to spend less, or more.
    pub(super) fn can_search(&self) -> bool {
        self.level == LEVEL_DEFAULT
    }

    pub(super) fn compress(&mut self, search: Search, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
        let tail = out.get_mut(start..).unwrap_or_default();
        let context = match search {
            Search::Wide if self.can_search() => match &mut self.wide {
                Some(context) => context,
                empty => empty.insert(with(self.level, WIDE)?),
            },
            Search::Level | Search::Wide => &mut self.context,
            Search::Fast { least } => fast(self.level, &mut self.fast, least)?,
        };
        let written = context.compress_to_buffer(input, tail).map_err(|e| Error::limit(format!("zstd: {e}")))?;
        out.truncate(start + written);
        let contexts = [Some(&mut self.context), self.wide.as_mut(), self.fast.as_mut().map(|(context, _)| context)];
        self.memory_bytes = contexts.into_iter().flatten().map(|context| context.context_mut().sizeof()).sum();
        Ok(())
    }
}

fn with(level: i32, parameters: [CParameter; 3]) -> Result<Context> {
    let mut context = bulk::Compressor::new(level)?;
    parameters.into_iter().try_for_each(|parameter| context.set_parameter(parameter))?;
    Ok(context)
}

/// The context that finds matches of `least` bytes and more by one table.
fn fast(level: i32, slot: &mut Option<(Context, u32)>, least: u32) -> Result<&mut Context> {
    let (mut context, before) = match slot.take() {
        Some(known) => known,
        None => {
            let mut context = bulk::Compressor::new(level)?;
            context.set_parameter(CParameter::Strategy(Strategy::ZSTD_fast))?;
            context.set_parameter(CParameter::HashLog(HASHES_LOG))?;
            (context, 0)
        }
    };
    if least != before {
        context.set_parameter(CParameter::MinMatch(least))?;
    }
    Ok(&mut slot.insert((context, least)).0)
}

pub(super) struct Decompressor {
    context: bulk::Decompressor<'static>,
}

impl Decompressor {
    pub(super) fn new() -> Result<Decompressor> {
        Ok(Decompressor { context: bulk::Decompressor::new()? })
    }

    /// Frames one after another are one output; the whole goes into `out` in one call, so no window is kept.
    pub(super) fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.context.decompress_to_buffer(input, out).map_err(|e| broken("zstd", e))
    }
}
