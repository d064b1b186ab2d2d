//! A data page, from its bytes to levels and values that can be read piece by piece.
//!
//! Spec: README.md, "Data Pages"; parquet.thrift, `DataPageHeader`, `DataPageHeaderV2`; Compression.md.
//!
//! ```text
//! v1   compressed( [length (4)] definition levels, values )        the length only in RLE
//! v2   repetition levels, definition levels, compressed( values )  lengths in the header
//! ```

use std::ops::Deref;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::compress::START_MORE;
use crate::parquet::encoding::{delta_binary_packed, delta_byte_array, delta_length_byte_array, rle};
use crate::parquet::format::{Codec, Encoding, PageHead, PageType, Type};

use super::budget::{Budget, Codecs, IDLE_BYTES_MIN, Idle, Reservation};
use super::levels::Levels;
use super::nested_levels::{self, NestedLevels};
use super::page_start;
use super::raw_page::{RawPage, data_values};
use super::spare::Spare;
use super::transcode;

/// Where the pages of a column come back to.
pub(super) type PageSpare = Spare<u8, Option<Idle>>;

/// The bytes of a page, decompressed.
#[derive(Debug)]
pub(super) enum PageBytes {
    /// In the file's own bytes, as they were fetched.
    Shared(Bytes),
    /// In a buffer that the next page takes over.
    Own(Vec<u8>),
}

impl Default for PageBytes {
    fn default() -> PageBytes {
        PageBytes::Own(Vec::new())
    }
}

impl Deref for PageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            PageBytes::Shared(bytes) => bytes,
            PageBytes::Own(bytes) => bytes,
        }
    }
}

impl PageBytes {
    /// The bytes to share with an array. The next page needs another buffer then: one that `spare` gets back.
    pub(super) fn share(&mut self, spare: &PageSpare) -> Bytes {
        let bytes = match std::mem::take(self) {
            PageBytes::Shared(bytes) => bytes,
            PageBytes::Own(bytes) => spare.lend(bytes),
        };
        *self = PageBytes::Shared(bytes.clone());
        bytes
    }

    /// The buffer for the next page.
    pub(super) fn reclaim(&mut self) -> Vec<u8> {
        match std::mem::take(self) {
            PageBytes::Shared(_) => Vec::new(),
            PageBytes::Own(bytes) => bytes,
        }
    }
}

/// The values of a page, from where the last read ended.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub bytes: PageBytes,
    /// Where shared buffers come back to.
    pub spare: PageSpare,
    /// The lengths of byte arrays that stand back to back; none is negative.
    pub lengths: Vec<i32>,
    /// Where the values begin in `bytes`.
    pub start: usize,
    pub coding: Coding,
    /// How far [`Coding::Deltas`] are read. As few columns have any, it stands apart, like the next one.
    pub deltas: Option<Box<delta_binary_packed::Position>>,
    /// Those of [`Coding::Prefixes`].
    pub picker: Option<Box<delta_byte_array::Picker>>,
}

/// How the values are coded, and how far they are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    /// PLAIN: from this byte (of booleans: bit) on.
    Plain(usize),
    /// Indices into the dictionary.
    Dictionary(rle::Position),
    /// Booleans in the RLE / bit-packing hybrid.
    Rle(rle::Position),
    /// Byte arrays back to back, from the one of this number on, which begins at this byte.
    Lengths(usize, usize),
    /// BYTE_STREAM_SPLIT, from the value of this number on.
    Split(usize),
    /// DELTA_BINARY_PACKED, from [`Values::deltas`] on.
    Deltas,
    /// DELTA_BYTE_ARRAY, to be picked from by [`Values::picker`]: targets are given what was picked.
    Prefixes,
}

impl Default for Coding {
    fn default() -> Coding {
        Coding::Plain(0)
    }
}

impl Values {
    /// The bytes of the values, read ones too.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// All of the page's bytes, to share with an array.
    pub(super) fn share(&mut self) -> Bytes {
        self.bytes.share(&self.spare)
    }
}

/// What to decompress of a page's body.
#[derive(Clone, Copy)]
struct Part {
    /// From this byte on: what stands before is not compressed, and is part of the page's uncompressed size.
    before: usize,
    /// So many bytes are enough.
    enough: Option<usize>,
}

/// A data page that is being read.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Rows (of a nested column: level entries) that are not read or skipped yet.
    pub rows_left: usize,
    /// Rows behind these, which nobody wants: their values may not be there.
    pub rows_cut: usize,
    pub ordinal: u64,
    pub offset: u64,
    /// Of a flat column.
    pub levels: Levels,
    /// Of a nested column.
    pub nested: NestedLevels,
    pub values: Values,
}

impl Page {
    /// Of a column of this budget's.
    pub(super) fn new(budget: &Budget) -> Page {
        let values = Values { spare: PageSpare::before(budget.idle()), ..Values::default() };
        Page { values, ..Page::default() }
    }

    /// Forgets the rows that are not read; how many.
    pub(super) fn close(&mut self) -> usize {
        std::mem::take(&mut self.rows_left) + std::mem::take(&mut self.rows_cut)
    }
}

/// What it takes to open pages of one column.
#[derive(Debug)]
pub(super) struct PageOpener {
    codecs: Codecs,
    idle: Idle,
    verify_crc: bool,
    memory: Reservation,
    /// What a page takes that was decrypted.
    decrypted: Reservation,
    /// A buffer for pages that are turned into PLAIN.
    plain: Vec<u8>,
    /// One of less than [`IDLE_BYTES_MIN`], for dictionaries.
    small: Vec<u8>,
    /// Encodings whose values need not be turned into PLAIN.
    takes: &'static [Encoding],
    /// Whether values that are passed over need not be made.
    pub picks: bool,
}

impl PageOpener {
    pub(super) fn new(verify_crc: bool, budget: &Budget) -> PageOpener {
        let (memory, decrypted) = (budget.reservation(), budget.reservation());
        let (codecs, idle) = (budget.codecs().clone(), budget.idle().clone());
        PageOpener {
            codecs,
            idle,
            verify_crc,
            memory,
            decrypted,
            plain: Vec::new(),
            small: Vec::new(),
            takes: &[],
            picks: false,
        }
    }

    /// For a target that [`takes`](super::target::Target::takes) these encodings.
    pub(super) fn with(mut self, takes: &'static [Encoding]) -> PageOpener {
        self.takes = takes;
        self
    }

    /// Opens a data page into `page`, whose buffers it reuses. `rows_max` is what the row group has left; of a flat column, no
    /// row is wanted behind the first `rows_wanted`.
    pub(super) fn open(
        &mut self,
        raw: &RawPage,
        leaf: &Leaf,
        codec: Codec,
        rows_max: usize,
        rows_wanted: usize,
        page: &mut Page,
    ) -> Result<()> {
        if rows_wanted < data_values(&raw.header).unwrap_or(0)
            && let Some(bytes) = page_start::likely_bytes(&raw.header, leaf, codec, rows_wanted)
            && self.open_with(raw, leaf, codec, rows_max, Some(bytes), page).is_ok()
            && page_start::holds(page, leaf, rows_wanted)
        {
            page.rows_cut = page.rows_left - rows_wanted;
            page.rows_left = rows_wanted;
            return Ok(());
        }
        self.open_with(raw, leaf, codec, rows_max, None, page)
    }

    /// The same, for all rows if nothing is `enough`, else for those of so many decompressed bytes or more.
    fn open_with(
        &mut self,
        raw: &RawPage,
        leaf: &Leaf,
        codec: Codec,
        rows_max: usize,
        enough: Option<usize>,
        page: &mut Page,
    ) -> Result<()> {
        page.rows_left = 0;
        page.rows_cut = 0;
        page.ordinal = raw.ordinal;
        page.offset = raw.offset;
        self.memory.check_page(&raw.header)?;
        self.check_crc(raw)?;
        let values = data_values(&raw.header).unwrap_or(0);
        if leaf.is_flat() && values > rows_max {
            return Err(Error::corrupt(format!("a page of {values} values, the row group has {rows_max} rows left")));
        }
        let raw_body = raw.open(|bytes| self.decrypted.resize(bytes))?;
        let encoding = match (&raw.header.data_page_header, &raw.header.data_page_header_v2) {
            (Some(v1), _) if raw.header.type_ == PageType::DataPage => {
                let spare = Some(&page.values.spare);
                self.decompress(
                    &raw.header,
                    codec,
                    &raw_body,
                    Part { before: 0, enough },
                    &mut page.values.bytes,
                    spare,
                )?;
                let encodings = (v1.repetition_level_encoding, v1.definition_level_encoding);
                page.values.start = match leaf.is_flat() {
                    true => levels_v1(&page.values.bytes, leaf, encodings.1, values, &mut page.levels)?,
                    false => nested_v1(&page.values.bytes, leaf, encodings, values, &mut page.nested)?,
                };
                v1.encoding
            }
            (_, Some(v2)) => {
                if leaf.def_max == 0 && v2.num_nulls != 0 {
                    return Err(Error::corrupt(format!("{} nulls in a column that is required", v2.num_nulls)));
                }
                let size = |n: i32| usize::try_from(n).ok().filter(|&n| n <= raw_body.len());
                let (Some(rep), Some(def)) =
                    (size(v2.repetition_levels_byte_length), size(v2.definition_levels_byte_length))
                else {
                    return Err(Error::corrupt("the page's levels are longer than the page"));
                };
                let levels = raw_body.get(rep..rep + def).ok_or_else(|| {
                    Error::corrupt(format!("levels of {rep} and {def} bytes in a page of {}", raw_body.len()))
                })?;
                match leaf.def_max {
                    _ if !leaf.is_flat() => {
                        let rep = raw_body.get(..rep).unwrap_or_default();
                        match leaf.rep_max {
                            0 => page.nested.rep.set_zero(),
                            max => page.nested.rep.set_rle(rep, max),
                        }
                        match leaf.def_max {
                            0 => page.nested.def.set_zero(),
                            max => page.nested.def.set_rle(levels, max),
                        }
                    }
                    0 => page.levels.set_all_present(),
                    _ => page.levels.set_rle(levels),
                }
                let codec = if v2.is_compressed == Some(false) { Codec::Uncompressed } else { codec };
                let (spare, part) = (Some(&page.values.spare), Part { before: rep + def, enough });
                self.decompress(&raw.header, codec, &raw_body, part, &mut page.values.bytes, spare)?;
                page.values.start = 0;
                v2.encoding
            }
            _ => return Err(Error::corrupt("the page's header is of another kind than the page")),
        };
        self.set_coding(encoding, leaf, values, &mut page.values)?;
        page.rows_left = values;
        Ok(())
    }

    fn set_coding(&mut self, encoding: Encoding, leaf: &Leaf, values_max: usize, values: &mut Values) -> Result<()> {
        // A page of nothing but nulls may be without what stands before values.
        let is_taken = self.takes.contains(&encoding) && !values.bytes().is_empty();
        values.coding = match encoding {
            Encoding::Plain => Coding::Plain(0),
            Encoding::RleDictionary | Encoding::PlainDictionary => Coding::Dictionary(rle::Position::default()),
            Encoding::Rle if leaf.physical == Type::Boolean => {
                // A length goes before them, as before levels.
                let mut cursor = Cursor::new(values.bytes());
                if !cursor.is_empty() {
                    let length = cursor.u32_le()?;
                    cursor.take(length as usize)?;
                    values.start += 4;
                }
                Coding::Rle(rle::Position::default())
            }
            Encoding::ByteStreamSplit if is_taken && transcode::width(leaf) > 0 => Coding::Split(0),
            Encoding::DeltaBinaryPacked if is_taken && matches!(leaf.physical, Type::Int32 | Type::Int64) => {
                **values.deltas.get_or_insert_default() = delta_binary_packed::Position::default();
                Coding::Deltas
            }
            Encoding::DeltaLengthByteArray if is_taken && leaf.physical == Type::ByteArray => {
                let mut lengths = std::mem::take(&mut values.lengths);
                self.memory.resize(values.bytes.len().saturating_add(lengths_bytes(values_max)))?;
                let all = values.bytes();
                let before = all.len() - delta_length_byte_array::read_lengths(all, values_max, &mut lengths)?.len();
                values.lengths = lengths;
                values.start += before;
                Coding::Lengths(0, 0)
            }
            Encoding::DeltaByteArray if is_taken && self.picks && leaf.physical == Type::ByteArray => {
                let held = values.bytes.len().saturating_add(lengths_bytes(values_max).saturating_mul(2));
                self.memory.resize(held)?;
                let mut picker = values.picker.take().unwrap_or_default();
                let started = picker.start(values.bytes(), values_max);
                values.picker = Some(picker);
                started?;
                Coding::Prefixes
            }
            Encoding::DeltaByteArray if is_taken && leaf.physical == Type::ByteArray => {
                let held = values.bytes.len().saturating_add(lengths_bytes(values_max).saturating_mul(3));
                self.memory.resize(held)?;
                let mut lengths = std::mem::take(&mut values.lengths);
                let mut whole = match self.plain.capacity() {
                    0 => values.spare.take(),
                    _ => std::mem::take(&mut self.plain),
                };
                let take_memory = |bytes: usize| self.memory.resize(held.saturating_add(bytes));
                let decoder = delta_byte_array::Decoder::new(values.bytes(), values_max)?;
                decoder.read_all(&mut lengths, &mut whole, take_memory)?;
                values.lengths = lengths;
                self.plain = std::mem::replace(&mut values.bytes, PageBytes::Own(whole)).reclaim();
                values.start = 0;
                Coding::Lengths(0, 0)
            }
            other => {
                let mut plain = std::mem::take(&mut self.plain);
                let page_bytes = values.bytes.len();
                let take_memory = |bytes: usize| self.memory.resize(page_bytes.saturating_add(bytes));
                transcode::to_plain(other, leaf, values.bytes(), values_max, take_memory, &mut plain)?;
                // The page's own buffer is the next one to be filled with PLAIN.
                self.plain = std::mem::replace(&mut values.bytes, PageBytes::Own(plain)).reclaim();
                values.start = 0;
                Coding::Plain(0)
            }
        };
        Ok(())
    }

    /// The values of a dictionary page in PLAIN, and their count.
    pub(super) fn open_dictionary(&mut self, raw: &RawPage, codec: Codec) -> Result<(PageBytes, usize)> {
        self.memory.check_page(&raw.header)?;
        self.check_crc(raw)?;
        let header = raw.header.dictionary_page_header.as_ref();
        let header = header.ok_or_else(|| Error::corrupt("a dictionary page without its header"))?;
        match header.encoding {
            // The old name stands for PLAIN here.
            Encoding::Plain | Encoding::PlainDictionary => {}
            other => return Err(Error::unsupported(format!("a dictionary in the encoding {other:?}"))),
        }
        let is_small = usize::try_from(raw.header.uncompressed_page_size).is_ok_and(|bytes| bytes < IDLE_BYTES_MIN);
        let mut bytes = PageBytes::Own(if is_small { std::mem::take(&mut self.small) } else { Vec::new() });
        let body = raw.open(|bytes| self.decrypted.resize(bytes))?;
        self.decompress(&raw.header, codec, &body, Part { before: 0, enough: None }, &mut bytes, None)?;
        Ok((bytes, usize::try_from(header.num_values).unwrap_or(0)))
    }

    /// A part of `body`, decompressed.
    fn decompress(
        &mut self,
        header: &PageHead,
        codec: Codec,
        body: &Bytes,
        part: Part,
        out: &mut PageBytes,
        spare: Option<&PageSpare>,
    ) -> Result<()> {
        let Part { before, enough } = part;
        if codec == Codec::Uncompressed {
            // The size is the body's; where the header says otherwise, what is read from it tells.
            *out = PageBytes::Shared(body.slice(before.min(body.len())..));
            return Ok(());
        }
        let size = usize::try_from(header.uncompressed_page_size).ok().and_then(|n| n.checked_sub(before));
        let size = size.ok_or_else(|| {
            Error::corrupt(format!("a page of {} bytes, {before} of them levels", header.uncompressed_page_size))
        })?;
        let mut buffer = out.reclaim();
        if buffer.capacity() == 0 {
            buffer = spare.map(PageSpare::take).unwrap_or_default();
        }
        // An array that shares a start shall not keep a whole page's buffer.
        let wanted = enough.map_or(size, |bytes| bytes.saturating_add(START_MORE).min(size));
        if buffer.capacity() == 0 && wanted >= IDLE_BYTES_MIN {
            buffer = self.idle.take(wanted);
        }
        // The buffer keeps the largest page's size.
        let waiting = spare.map_or(0, PageSpare::bytes).saturating_add(self.plain.capacity() + self.small.capacity());
        self.memory.resize(size.max(buffer.capacity()).saturating_add(waiting))?;
        let body = body.get(before..).unwrap_or_default();
        let result = self.codecs.with(|codecs| match enough {
            Some(wanted) => codecs.decompress_start(codec, body, &mut buffer, size, wanted),
            None => codecs.decompress(codec, body, &mut buffer, size),
        });
        *out = PageBytes::Own(buffer);
        result
    }

    /// Takes the buffer of a page that is read no more, for others.
    pub(super) fn give_back(&mut self, bytes: &mut PageBytes) -> Result<()> {
        if let PageBytes::Own(buffer) = bytes
            && buffer.capacity() > 0
        {
            let buffer = std::mem::take(buffer);
            if buffer.capacity() < IDLE_BYTES_MIN {
                // What is taken of the budget for it is taken for the next page.
                self.keep_small(buffer);
                return Ok(());
            }
            self.memory.resize(self.plain.capacity() + self.small.capacity())?;
            self.idle.give(buffer);
        }
        Ok(())
    }

    /// The same of a dictionary's page that a target had.
    pub(super) fn give_back_dictionary(&mut self, bytes: PageBytes) {
        match bytes {
            PageBytes::Own(buffer) if buffer.capacity() >= IDLE_BYTES_MIN => self.idle.give(buffer),
            PageBytes::Own(buffer) => self.keep_small(buffer),
            PageBytes::Shared(_) => {}
        }
    }

    fn keep_small(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > self.small.capacity() {
            self.small = buffer;
        }
    }

    /// The same of all that a column has at its end.
    pub(super) fn end(&mut self, page: &mut Page, dictionary: PageBytes) {
        self.give_back_dictionary(dictionary);
        let plain = std::mem::take(&mut self.plain);
        self.give_back_dictionary(PageBytes::Own(plain));
        self.small = Vec::new();
        // It becomes less.
        let _ = self.give_back(&mut page.values.bytes);
    }

    fn check_crc(&self, raw: &RawPage) -> Result<()> {
        match raw.header.crc {
            Some(crc) if self.verify_crc => {
                let found = crc32fast::hash(&raw.body);
                if crc.cast_unsigned() == found {
                    return Ok(());
                }
                Err(Error::corrupt(format!(
                    "the page's checksum is {found:08x}, {:08x} is promised",
                    crc.cast_unsigned()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// What the lengths of so many values take.
fn lengths_bytes(values: usize) -> usize {
    values.saturating_mul(size_of::<i32>())
}

/// Finds the definition levels before the values of a v1 page of a flat column; the bytes that they take.
fn levels_v1(bytes: &[u8], leaf: &Leaf, encoding: Encoding, values: usize, levels: &mut Levels) -> Result<usize> {
    if leaf.def_max == 0 {
        levels.set_all_present();
        return Ok(0);
    }
    let mut cursor = Cursor::new(bytes);
    let bytes = one_level_v1(&mut cursor, 1, encoding, values)?;
    match encoding {
        Encoding::BitPacked => levels.set_bit_packed(bytes),
        _ => levels.set_rle(bytes),
    }
    Ok(cursor.position())
}

/// The same for both levels of a nested column.
fn nested_v1(
    bytes: &[u8],
    leaf: &Leaf,
    encodings: (Encoding, Encoding),
    values: usize,
    levels: &mut NestedLevels,
) -> Result<usize> {
    let mut cursor = Cursor::new(bytes);
    for (max, encoding, stream) in
        [(leaf.rep_max, encodings.0, &mut levels.rep), (leaf.def_max, encodings.1, &mut levels.def)]
    {
        if max == 0 {
            stream.set_zero();
            continue;
        }
        let bytes = one_level_v1(&mut cursor, max, encoding, values)?;
        match encoding {
            Encoding::BitPacked => stream.set_bit_packed(bytes, max),
            _ => stream.set_rle(bytes, max),
        }
    }
    Ok(cursor.position())
}

/// The bytes of one kind of level.
fn one_level_v1<'a>(cursor: &mut Cursor<'a>, max: u16, encoding: Encoding, values: usize) -> Result<&'a [u8]> {
    match encoding {
        Encoding::Rle => {
            let length = cursor.u32_le()?;
            cursor.take(length as usize)
        }
        Encoding::BitPacked => {
            let bits = values.saturating_mul(nested_levels::width(max) as usize);
            cursor.take(bits.div_ceil(8))
        }
        other => Err(Error::unsupported(format!("levels in the encoding {other:?}"))),
    }
}
