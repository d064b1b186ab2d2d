//! One column of the open row group: rows → pages → compressed bytes, and what is known of them.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, *};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;

use super::bloom::BloomBuilder;
use super::boolean::Booleans;
use super::byte_array::{ByteArrays, INT96_BYTES};
use super::choose::{self, SearchChoice, Trial};
use super::convert;
use super::finished_chunk::FinishedChunk;
use super::geospatial::Geospatial;
use super::index::PageEntry;
use super::kernel::{Finished, Kernel, Nulls, put_levels};
use super::memory::{Segments, WriterMemory};
use super::options::{ChunkOptions, PageVersion};
use super::page::{self, Seal};
use super::primitive::{Native, Primitives};
use super::rows::{RowLevels, Rows, count_levels};
use super::source::{FixedBytes, Slots, Source, Strings, Views};
use super::statistics::{ChunkStatistics, Comparison};
use super::validity::Validity;
use crate::error::{Error, Result};
use crate::parquet::arrow::shred::LeafEntries;
use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::compress::{Compression, Compressor};
use crate::parquet::encoding::rle;
use crate::parquet::format::encryption::ChunkCipher;
use crate::parquet::format::{Encoding, Type};

/// A compressor and the buffers that pages pass through; columns of the same codec share it.
#[derive(Debug)]
pub(super) struct Press {
    pub compressor: Compressor,
    pub body: Vec<u8>,
    pub scratch: Vec<u8>,
    /// Where encodings are tried.
    pub trial: Vec<u8>,
}

impl Press {
    pub fn new(compression: Compression) -> Result<Press> {
        let compressor = Compressor::new(compression)?;
        Ok(Press { compressor, body: Vec::new(), scratch: Vec::new(), trial: Vec::new() })
    }
}

/// Writes one column of one row group.
#[derive(Debug)]
pub(super) struct ColumnWriter {
    values: Values,
    chunk: Chunk,
}

#[derive(Debug)]
enum Values {
    Null(Nulls),
    Boolean(Booleans),
    Int32(Primitives<i32>),
    Int64(Primitives<i64>),
    Float16(Primitives<half::f16>),
    Float(Primitives<f32>),
    Double(Primitives<f64>),
    Bytes(ByteArrays),
}

/// Runs the same code for the kernel of each type.
macro_rules! each {
    ($values:expr, $kernel:ident => $body:expr) => {
        match $values {
            Values::Null($kernel) => $body,
            Values::Boolean($kernel) => $body,
            Values::Int32($kernel) => $body,
            Values::Int64($kernel) => $body,
            Values::Float16($kernel) => $body,
            Values::Float($kernel) => $body,
            Values::Double($kernel) => $body,
            Values::Bytes($kernel) => $body,
        }
    };
}

impl ColumnWriter {
    /// Its pages lie in `memory` until they are in the file.
    pub fn new(leaf: &Leaf, options: ChunkOptions, memory: &WriterMemory) -> ColumnWriter {
        let value_type = convert::value_type(&leaf.data_type);
        let values = match leaf.physical {
            _ if *value_type == DataType::Null => Values::Null(Nulls),
            Type::Boolean => Values::Boolean(Booleans::new(&options)),
            Type::Int32 => Values::Int32(Primitives::new(leaf, &options)),
            Type::Int64 => Values::Int64(Primitives::new(leaf, &options)),
            Type::Float => Values::Float(Primitives::new(leaf, &options)),
            Type::Double => Values::Double(Primitives::new(leaf, &options)),
            _ if *value_type == DataType::Float16 => Values::Float16(Primitives::new(leaf, &options)),
            _ => Values::Bytes(ByteArrays::new(leaf, &options)),
        };
        ColumnWriter { values, chunk: Chunk::new(leaf, options, memory) }
    }

    /// The same, encrypted where there is a cipher.
    pub fn with_cipher(mut self, cipher: Option<ChunkCipher>) -> ColumnWriter {
        self.chunk.cipher = cipher;
        self
    }

    /// Takes the rows of an array of the leaf's type, a column of its own.
    pub fn write(&mut self, array: &ArrayRef, press: &mut Press) -> Result<()> {
        let array = convert::flat(array)?;
        let rows = array.len();
        let nulls = convert::nulls(&array);
        if self.chunk.def_max == 0 && (nulls.is_some() || (rows > 0 && *array.data_type() == DataType::Null)) {
            return Err(Error::invalid("a null in a column that is not nullable"));
        }
        self.write_rows(array.as_ref(), Rows::Flat { rows, nulls }, press)
    }

    /// Takes the entries of a leaf below lists or structs.
    pub fn write_nested(&mut self, entries: &LeafEntries, press: &mut Press) -> Result<()> {
        let array = convert::flat(&entries.values)?;
        let levels = RowLevels::new(entries, self.chunk.def_max);
        self.write_rows(array.as_ref(), Rows::Nested(&levels), press)
    }

    fn write_rows(&mut self, array: &dyn Array, rows: Rows<'_>, press: &mut Press) -> Result<()> {
        let chunk = &mut self.chunk;
        match &mut self.values {
            Values::Null(kernel) => chunk.write_nulls(kernel, rows, press),
            Values::Boolean(kernel) => chunk.write_booleans(kernel, array.as_boolean().values(), rows, press),
            Values::Int32(kernel) => {
                let mut scratch = Vec::new();
                let values = convert::int32s(array, &mut scratch)?;
                chunk.write_numbers(kernel, values, rows, press)
            }
            Values::Int64(kernel) => {
                let mut scratch = Vec::new();
                let values = convert::int64s(array, &mut scratch)?;
                chunk.write_numbers(kernel, values, rows, press)
            }
            Values::Float16(kernel) => {
                let mut scratch = Vec::new();
                let values = convert::same::<Float16Type>(array, &mut scratch);
                chunk.write_numbers(kernel, values, rows, press)
            }
            Values::Float(kernel) => {
                let mut scratch = Vec::new();
                let values = convert::same::<Float32Type>(array, &mut scratch);
                chunk.write_numbers(kernel, values, rows, press)
            }
            Values::Double(kernel) => {
                let mut scratch = Vec::new();
                let values = convert::same::<Float64Type>(array, &mut scratch);
                chunk.write_numbers(kernel, values, rows, press)
            }
            Values::Bytes(kernel) => match array.data_type() {
                DataType::Utf8 => chunk.write_bytes(kernel, Strings(array.as_bytes::<Utf8Type>()), rows, press),
                DataType::LargeUtf8 => {
                    chunk.write_bytes(kernel, Strings(array.as_bytes::<LargeUtf8Type>()), rows, press)
                }
                DataType::Binary => chunk.write_bytes(kernel, Strings(array.as_bytes::<BinaryType>()), rows, press),
                DataType::LargeBinary => {
                    chunk.write_bytes(kernel, Strings(array.as_bytes::<LargeBinaryType>()), rows, press)
                }
                DataType::Utf8View => {
                    chunk.write_bytes(kernel, Views(array.as_byte_view::<StringViewType>()), rows, press)
                }
                DataType::BinaryView => {
                    chunk.write_bytes(kernel, Views(array.as_byte_view::<BinaryViewType>()), rows, press)
                }
                DataType::FixedSizeBinary(_) => {
                    chunk.write_bytes(kernel, FixedBytes(array.as_fixed_size_binary()), rows, press)
                }
                _ => {
                    let mut scratch = Vec::new();
                    let width = chunk.width();
                    convert::fixed_bytes(array, width, &mut scratch)?;
                    chunk.write_bytes(kernel, Slots { bytes: &scratch, width }, rows, press)
                }
            },
        }
    }

    /// Bytes that the chunk will take in the file, about: the open page is taken to compress as those before.
    pub fn encoded_bytes(&self) -> u64 {
        let chunk = &self.chunk;
        let stored = chunk.pages.bytes();
        let open = each!(&self.values, kernel => kernel.open_bytes()) as u64;
        match chunk.raw_bytes {
            0 => stored + open,
            raw => stored + (u128::from(open) * u128::from(stored) / u128::from(raw)) as u64,
        }
    }

    /// Bytes in memory of the dictionary, while values are looked up in it.
    pub fn dictionary_bytes(&self) -> usize {
        each!(&self.values, kernel => kernel.dictionary_bytes())
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        let chunk = &self.chunk;
        let bounds = chunk.options.bounds_bytes_max.min(64) * 2;
        each!(&self.values, kernel => kernel.memory_bytes())
            + chunk.pages.memory_bytes()
            + chunk.bloom.as_ref().map_or(0, BloomBuilder::memory_bytes)
            + chunk.def_levels.bytes()
            + chunk.validity.memory_bytes()
            + chunk.rep_levels.bytes()
            + chunk.entries.capacity() * (size_of::<PageEntry>() + bounds)
    }

    /// Closes the last page; the chunk as it goes into the file.
    pub fn finish(mut self, press: &mut Press) -> Result<FinishedChunk> {
        let chunk = &mut self.chunk;
        if chunk.page_rows > 0 {
            each!(&mut self.values, kernel => chunk.close_page(kernel, true, press))?;
        }
        let mut dictionary = chunk.pages.another();
        let mut dictionary_raw = 0;
        let mut distinct = None;
        let Press { compressor, body, scratch, .. } = press;
        body.clear();
        let (page, entries) = each!(&self.values, kernel => kernel.dictionary_page(body));
        if entries > 0 {
            let kind = page::Kind::Dictionary { entries };
            let crc = chunk.options.crc;
            let seal = chunk.cipher.as_ref().map(|cipher| Seal { cipher, page: 0 });
            let search = choose::search_of_dictionary(page, compressor, scratch)?;
            let bytes = page::write(kind, page, crc, seal, (compressor, search), scratch, &mut dictionary)?;
            dictionary_raw = bytes.raw;
            // Floats are told apart by their bits, which are more than their values.
            let only_indices = chunk.encodings.iter().all(|(encoding, _)| *encoding == Encoding::RleDictionary);
            let is_float = matches!(chunk.comparison.order, ValueOrder::Float | ValueOrder::FloatTotal);
            let is_exact = only_indices && !is_float;
            distinct = is_exact.then_some(entries as u64);
        }
        Ok(FinishedChunk { dictionary, dictionary_raw, distinct, chunk: self.chunk })
    }
}

/// The part of a column that does not depend on its type.
#[derive(Debug)]
pub(super) struct Chunk {
    pub options: ChunkOptions,
    /// Of an encrypted chunk.
    pub cipher: Option<ChunkCipher>,
    /// Where the chunk has a Bloom filter.
    pub bloom: Option<BloomBuilder>,
    pub physical: Type,
    pub type_length: usize,
    pub path: Vec<String>,
    pub comparison: Comparison,
    pub def_max: u16,
    pub rep_max: u16,
    /// Whether each row has one entry, a value or null.
    pub is_flat: bool,
    /// Levels of the open page, where the column has them.
    pub def_levels: rle::Encoder,
    pub rep_levels: rle::Encoder,
    /// The same of a flat column, instead of its definition levels.
    pub validity: Validity,
    /// Rows, level entries and entries without a value of the open page.
    pub page_rows: usize,
    pub page_entries: usize,
    pub page_nulls: usize,
    /// Rows and level entries of the pages that are closed.
    pub rows: u64,
    pub total_entries: u64,
    /// How often each level stands; of a column below lists or structs.
    pub def_histogram: Vec<i64>,
    pub rep_histogram: Vec<i64>,
    pub pages: Segments,
    pub raw_bytes: u64,
    pub search: SearchChoice,
    /// How many data pages there are of each encoding.
    pub encodings: Vec<(Encoding, usize)>,
    pub entries: Vec<PageEntry>,
    pub statistics: ChunkStatistics,
    /// Of columns of geometries.
    pub geospatial: Option<Geospatial>,
}

impl Chunk {
    fn new(leaf: &Leaf, options: ChunkOptions, memory: &WriterMemory) -> Chunk {
        Chunk {
            options,
            cipher: None,
            bloom: BloomBuilder::new(leaf.physical, &options),
            physical: leaf.physical,
            type_length: leaf.type_length,
            path: leaf.path.clone(),
            comparison: Comparison::of(leaf),
            def_max: leaf.def_max,
            rep_max: leaf.rep_max,
            is_flat: leaf.path.len() == 1 && leaf.rep_max == 0,
            def_levels: rle::Encoder::new(rle::width_of(u32::from(leaf.def_max))),
            rep_levels: rle::Encoder::new(rle::width_of(u32::from(leaf.rep_max))),
            validity: Validity::new(),
            page_rows: 0,
            page_entries: 0,
            page_nulls: 0,
            rows: 0,
            total_entries: 0,
            def_histogram: vec![0; usize::from(leaf.def_max) + 1],
            rep_histogram: vec![0; usize::from(leaf.rep_max) + 1],
            pages: Segments::new(memory),
            raw_bytes: 0,
            search: SearchChoice::default(),
            encodings: Vec::new(),
            entries: Vec::new(),
            statistics: ChunkStatistics::default(),
            geospatial: Geospatial::of(leaf).filter(|_| options.statistics),
        }
    }

    /// Bytes of each value, of values of one width.
    fn width(&self) -> usize {
        if self.physical == Type::Int96 { INT96_BYTES } else { self.type_length }
    }

    /// Rows that the open page may take before it is asked whether it shall close; never 0.
    fn rows_room(&self) -> usize {
        let (least, most) = (self.options.page_rows_least, self.options.page_rows);
        if self.page_rows < least { least - self.page_rows } else { most - self.page_rows }
    }

    /// Whether the open page has rows and bytes enough; one of few bytes goes on, up to its rows.
    fn is_large_enough(&self, kernel: &impl Kernel) -> bool {
        let options = &self.options;
        let levels = || self.rep_levels.bytes() + self.def_levels.bytes();
        self.page_rows >= options.page_rows
            || (self.page_rows >= options.page_rows_least && kernel.page_bytes() + levels() >= options.page_bytes_least)
    }

    /// `values` are those of the rows that are not null.
    fn write_numbers<T: Native>(
        &mut self,
        kernel: &mut Primitives<T>,
        values: &[T],
        rows: Rows<'_>,
        press: &mut Press,
    ) -> Result<()> {
        if let Some(bloom) = &mut self.bloom {
            bloom.add_numbers(values);
        }
        let mut rest = values;
        let mut at = 0;
        while at < rows.len() {
            let room = kernel.room(&self.options);
            let count = self.step(rows, at, room);
            if self.must_close_before(rows, at, count, room) {
                self.close_page(kernel, false, press)?;
                continue;
            }
            let taken = self.take_rows(rows, at..at + count);
            let (values, after) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            rest = after;
            let is_full = kernel.push(values, &self.options);
            self.close_if(is_full, kernel, press)?;
            at += count;
        }
        Ok(())
    }

    fn write_booleans(
        &mut self,
        kernel: &mut Booleans,
        values: &BooleanBuffer,
        rows: Rows<'_>,
        press: &mut Press,
    ) -> Result<()> {
        let mut at = 0;
        while at < rows.len() {
            let room = kernel.room(&self.options);
            let count = self.step(rows, at, room);
            if self.must_close_before(rows, at, count, room) {
                self.close_page(kernel, false, press)?;
                continue;
            }
            self.take_rows(rows, at..at + count);
            let is_full = match rows {
                Rows::Flat { nulls: None, .. } => kernel.push(&values.slice(at, count), &self.options),
                Rows::Flat { nulls: Some(nulls), .. } => {
                    let piece = values.slice(at, count);
                    let mut dense = BooleanBufferBuilder::new(count);
                    for (start, end) in nulls.slice(at, count).valid_slices() {
                        dense.append_buffer(&piece.slice(start, end - start));
                    }
                    kernel.push(&dense.finish(), &self.options)
                }
                Rows::Nested(levels) => {
                    let range = levels.values(at..at + count);
                    kernel.push(&values.slice(range.start, range.len()), &self.options)
                }
            };
            self.close_if(is_full, kernel, press)?;
            at += count;
        }
        Ok(())
    }

    fn write_bytes(
        &mut self,
        kernel: &mut ByteArrays,
        source: impl Source,
        rows: Rows<'_>,
        press: &mut Press,
    ) -> Result<()> {
        if let Some(geospatial) = &mut self.geospatial {
            match rows {
                Rows::Flat { rows, nulls } => (0..rows)
                    .filter(|&row| nulls.is_none_or(|n| n.is_valid(row)))
                    .for_each(|row| geospatial.add(source.get(row))),
                Rows::Nested(levels) => levels.values(0..rows.len()).for_each(|i| geospatial.add(source.get(i))),
            }
        }
        if let Some(bloom) = &mut self.bloom {
            bloom.add_bytes(source, rows);
        }
        let mut at = 0;
        while at < rows.len() {
            let (taken, is_full) = match rows {
                Rows::Flat { rows, nulls } => {
                    let count = (rows - at).min(self.rows_room());
                    kernel.push(source, nulls, at..at + count, self.page_rows == 0, &self.options)?
                }
                // A row's values stay together: it opens a page of its own rather than overfill the open one.
                Rows::Nested(levels) => {
                    let count = (rows.len() - at).min(self.rows_room());
                    let (room, _) = kernel.fit(source, levels.values(at..at + count), &self.options);
                    let taken = self.step(rows, at, room);
                    if self.must_close_before(rows, at, taken, room) {
                        self.close_page(kernel, false, press)?;
                        continue;
                    }
                    kernel.push_values(source, levels.values(at..at + taken), &self.options)?;
                    (taken, taken < count)
                }
            };
            self.take_rows(rows, at..at + taken);
            self.close_if(is_full, kernel, press)?;
            at += taken;
        }
        Ok(())
    }

    fn write_nulls(&mut self, kernel: &mut Nulls, rows: Rows<'_>, press: &mut Press) -> Result<()> {
        let mut at = 0;
        while at < rows.len() {
            let count = (rows.len() - at).min(self.rows_room());
            match rows {
                Rows::Flat { .. } => {
                    self.validity.push_run(false, count);
                    self.page_rows += count;
                    self.page_entries += count;
                    self.page_nulls += count;
                }
                Rows::Nested(_) => {
                    self.take_rows(rows, at..at + count);
                }
            }
            self.close_if(false, kernel, press)?;
            at += count;
        }
        Ok(())
    }

    /// How many rows from `at` on the open page takes next, by its rows and by the values that it has room for; one
    /// at least.
    fn step(&self, rows: Rows<'_>, at: usize, room: usize) -> usize {
        let count = (rows.len() - at).min(self.rows_room());
        match rows {
            Rows::Flat { .. } => count.min(room),
            Rows::Nested(levels) => levels.rows_of(at, room).clamp(1, count.max(1)),
        }
    }

    /// Whether the next row alone is more than the open page has room for; it opens a page of its own then.
    fn must_close_before(&self, rows: Rows<'_>, at: usize, count: usize, room: usize) -> bool {
        match rows {
            Rows::Flat { .. } => false,
            Rows::Nested(levels) => self.page_rows > 0 && levels.values(at..at + count).len() > room,
        }
    }

    /// Counts rows into the open page and appends their levels; how many values they have.
    fn take_rows(&mut self, rows: Rows<'_>, range: Range<usize>) -> usize {
        let count = range.len();
        self.page_rows += count;
        let nulls = match rows {
            Rows::Nested(levels) => return self.take_levels(levels, range),
            Rows::Flat { nulls, .. } => nulls,
        };
        self.page_entries += count;
        if self.def_max == 0 {
            return count;
        }
        let Some(nulls) = nulls.map(|nulls| nulls.slice(range.start, count)).filter(|nulls| nulls.null_count() > 0)
        else {
            self.validity.push_run(true, count);
            return count;
        };
        self.validity.push(&nulls);
        self.page_nulls += nulls.null_count();
        count - nulls.null_count()
    }

    fn take_levels(&mut self, levels: &RowLevels<'_>, rows: Range<usize>) -> usize {
        let (entries, values) = (levels.entries(rows.clone()), levels.values(rows).len());
        for (levels, encoder, histogram) in [
            (levels.rep, &mut self.rep_levels, &mut self.rep_histogram),
            (levels.def, &mut self.def_levels, &mut self.def_histogram),
        ] {
            let levels = levels.and_then(|l| l.get(entries.clone())).unwrap_or_default();
            encoder.extend(levels);
            count_levels(levels, histogram);
        }
        self.page_entries += entries.len();
        self.page_nulls += entries.len() - values;
        values
    }

    fn close_if(&mut self, is_full: bool, kernel: &mut impl Kernel, press: &mut Press) -> Result<()> {
        if is_full || self.is_large_enough(kernel) { self.close_page(kernel, false, press) } else { Ok(()) }
    }

    fn close_page(&mut self, kernel: &mut impl Kernel, is_last: bool, press: &mut Press) -> Result<()> {
        let body = &mut press.body;
        body.clear();
        let (rep_bytes, def_bytes) = self.put_levels(body);
        let mut trial = Trial {
            compressor: &mut press.compressor,
            encoded: &mut press.trial,
            compressed: &mut press.scratch,
            is_last,
        };
        let Finished { encoding, mut statistics } = kernel.finish_page(&self.options, body, &mut trial)?;
        statistics.nulls = self.page_nulls;
        let entries = self.page_entries;
        let kind = match self.options.page_version {
            PageVersion::V1 => page::Kind::Data { entries, encoding },
            PageVersion::V2 => page::Kind::DataV2 {
                entries,
                encoding,
                nulls: self.page_nulls,
                rows: self.page_rows,
                rep_bytes,
                def_bytes,
            },
        };
        let offset = self.pages.bytes();
        let crc = self.options.crc;
        let seal = self.cipher.as_ref().map(|cipher| Seal { cipher, page: self.entries.len() as u64 });
        let (compressor, scratch) = (&mut press.compressor, &mut press.scratch);
        let search = self.search.of_page((encoding, body), self.raw_bytes, compressor, scratch)?;
        let bytes = page::write(kind, body, crc, seal, (compressor, search), scratch, &mut self.pages)
            .map_err(|e| e.in_page(self.entries.len() as u64))?;
        self.raw_bytes += bytes.raw;
        match self.encodings.iter_mut().find(|(known, _)| *known == encoding) {
            Some((_, pages)) => *pages += 1,
            None => self.encodings.push((encoding, 1)),
        }
        self.statistics.add(&statistics, self.comparison);
        let levels = match self.is_flat {
            true => [Vec::new(), Vec::new()],
            false => [self.rep_histogram.clone(), self.def_histogram.clone()],
        };
        self.entries.push(PageEntry { offset, bytes: bytes.stored, first_row: self.rows, statistics, levels });
        self.rows += self.page_rows as u64;
        self.total_entries += self.page_entries as u64;
        (self.page_rows, self.page_entries, self.page_nulls) = (0, 0, 0);
        Ok(())
    }

    /// Appends the page's levels; how many bytes the repetition and the definition levels take.
    fn put_levels(&mut self, body: &mut Vec<u8>) -> (usize, usize) {
        let version = self.options.page_version;
        // The header of a v2 page has their lengths.
        let put = |body: &mut Vec<u8>, levels: &mut dyn FnMut(&mut Vec<u8>)| match version {
            PageVersion::V1 => put_levels(body, levels),
            PageVersion::V2 => levels(body),
        };
        if self.rep_max > 0 {
            put(body, &mut |body| body.extend_from_slice(&self.rep_levels.finish()));
        }
        let rep_bytes = body.len();
        if self.def_max > 0 && self.is_flat {
            put(body, &mut |body| self.validity.finish(body));
        } else if self.def_max > 0 {
            put(body, &mut |body| body.extend_from_slice(&self.def_levels.finish()));
        }
        (rep_bytes, body.len() - rep_bytes)
    }
}
