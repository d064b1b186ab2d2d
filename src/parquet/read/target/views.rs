//! String and binary views: short values stand in the array, long ones stay in the page's bytes, which the
//! array shares.
//!
//! Built without the checks of the Arrow constructors, which look at each view again.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryViewArray, StringViewArray};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use bytes::Bytes;

use super::byte_strings::ends_of;
use super::spread::spread;
use super::{Layout, Target, no_dictionary, not_boolean, not_numbers, not_picked, utf8};
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::dictionary;
use crate::parquet::encoding::plain::ByteArrays;
use crate::parquet::format::{Encoding, Type};
use crate::parquet::read::budget::{Budget, Idle, Reservation};
use crate::parquet::read::page::{Coding, PageBytes, PageSpare, Values};
use crate::parquet::read::spare::Filling;

/// Values up to this long stand in their view.
const INLINE_BYTES: u32 = 12;

#[derive(Debug)]
struct Views {
    is_utf8: bool,
    views: Filling<u128>,
    /// Views before they are spread.
    dense: Vec<u128>,
    indices: Vec<u32>,
    /// What the batch's views point into.
    buffers: Vec<Bytes>,
    buffer_bytes: usize,
    dictionary: Option<Dictionary>,
    /// Of the dictionary before.
    kept: Vec<u128>,
    idle: Idle,
    memory: Reservation,
}

#[derive(Debug)]
struct Dictionary {
    /// None where all values stand in their views.
    bytes: Option<Bytes>,
    /// Point into buffer `block`.
    views: Vec<u128>,
    block: u32,
}

/// The views of so many values are kept when their dictionary ends, for those of the next one.
const KEPT: usize = 256;

pub(super) fn new(leaf: &Leaf, data_type: &DataType, budget: &Budget) -> Option<Box<dyn Target>> {
    (leaf.physical == Type::ByteArray).then(|| {
        Box::new(Views {
            is_utf8: *data_type == DataType::Utf8View,
            views: Filling::default(),
            dense: Vec::new(),
            indices: Vec::new(),
            buffers: Vec::new(),
            buffer_bytes: 0,
            dictionary: None,
            kept: Vec::new(),
            idle: budget.idle().clone(),
            memory: budget.reservation(),
        }) as Box<dyn Target>
    })
}

impl Views {
    fn append(&mut self, values: &mut Values, count: usize, into_dense: bool) -> Result<()> {
        self.append_picked(values, std::slice::from_ref(&(0..count)), count, into_dense)
    }

    /// Those at `ranges` of the next `span`.
    fn append_picked(
        &mut self,
        values: &mut Values,
        ranges: &[Range<usize>],
        span: usize,
        into_dense: bool,
    ) -> Result<()> {
        values.coding = match values.coding {
            Coding::Plain(at) => {
                let start = values.start;
                let page = values.share();
                let block = self.block(&page)?;
                let out = if into_dense { &mut self.dense } else { self.views.values() };
                let (mut byte, mut value) = (start + at, 0);
                let gap = |byte: usize, count: usize| -> Result<usize> {
                    let mut strings = ByteArrays::new(page.get(byte..).unwrap_or_default());
                    strings.skip(count)?;
                    Ok(byte + strings.position())
                };
                for range in ranges {
                    byte = gap(byte, range.start - value)?;
                    byte += append_plain(&page, byte, range.len(), block, self.is_utf8, out)?;
                    value = range.end;
                }
                Coding::Plain(gap(byte, span - value)? - start)
            }
            Coding::Lengths(next, at) => {
                let start = values.start;
                let page = values.share();
                let block = self.block(&page)?;
                let lengths = super::lengths(values, next, span)?;
                let out = if into_dense { &mut self.dense } else { self.views.values() };
                let (mut byte, mut value) = (start + at, 0);
                let of = |range: Range<usize>| lengths.get(range).unwrap_or_default();
                let bytes = |range: Range<usize>| of(range).iter().map(|&n| n as usize).sum::<usize>();
                for range in ranges {
                    byte += bytes(value..range.start);
                    byte += append_lengths(&page, byte, of(range.clone()), block, self.is_utf8, out)?;
                    value = range.end;
                }
                Coding::Lengths(next + span, byte + bytes(value..span) - start)
            }
            Coding::Dictionary(position) => {
                let bytes = self.dictionary.as_ref().ok_or_else(no_dictionary)?.bytes.clone();
                let block = bytes.map(|bytes| self.block(&bytes)).transpose()?;
                let dictionary = self.dictionary.as_mut().ok_or_else(no_dictionary)?;
                block.into_iter().for_each(|block| dictionary.move_to(block));
                let out = if into_dense { &mut self.dense } else { self.views.values() };
                let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
                match ranges {
                    // Without a list of indices where all are wanted.
                    [all] if *all == (0..span) => indices.gather(&dictionary.views, span, out)?,
                    _ => {
                        self.indices.clear();
                        indices.pick(ranges, span, &mut self.indices)?;
                        dictionary::values_at(&dictionary.views, &self.indices, out)?;
                    }
                }
                Coding::Dictionary(indices.position())
            }
            Coding::Rle(_) => return Err(not_boolean()),
            Coding::Prefixes => return Err(not_picked()),
            Coding::Split(_) | Coding::Deltas => return Err(not_numbers()),
        };
        self.take_memory()
    }

    /// The number of this buffer among the batch's.
    fn block(&mut self, bytes: &Bytes) -> Result<u32> {
        // The page or dictionary that was used last is used again.
        let same = |b: &Bytes| b.as_ptr() == bytes.as_ptr() && b.len() == bytes.len();
        let found = self.buffers.iter().rposition(same);
        let at = found.unwrap_or(self.buffers.len());
        if found.is_none() {
            self.buffers.push(bytes.clone());
            self.buffer_bytes = self.buffer_bytes.saturating_add(bytes.len());
        }
        // Views have 31 bits for it.
        u32::try_from(at)
            .ok()
            .filter(|&at| i32::try_from(at).is_ok())
            .ok_or_else(|| Error::limit("a batch of strings in more than 2^31 pages: lower batch_rows"))
    }

    fn take_memory(&mut self) -> Result<()> {
        let dictionary = self.dictionary.as_ref().map_or(0, Dictionary::memory_bytes);
        let views = (self.views.len() + self.kept.capacity()) * size_of::<u128>() + self.views.waiting();
        self.memory.resize(dictionary.saturating_add(self.buffer_bytes).saturating_add(views))
    }
}

impl Target for Views {
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, _: bool) -> Result<()> {
        // A value takes four bytes at least.
        if count > bytes.len() / 4 {
            return Err(Error::corrupt(format!("a dictionary of {count} strings in {} bytes", bytes.len())));
        }
        self.memory.grow(bytes.len().saturating_add(count.saturating_mul(size_of::<u128>())))?;
        let mut views = if count > KEPT { self.idle.take(count) } else { std::mem::take(&mut self.kept) };
        views.clear();
        views.reserve_exact(count);
        append_plain(bytes, 0, count, 0, self.is_utf8, &mut views)?;
        let points = views.iter().any(|&view| view as u32 > INLINE_BYTES);
        let bytes = points.then(|| bytes.share(&PageSpare::before(&self.idle)));
        self.dictionary = Some(Dictionary { bytes, views, block: 0 });
        self.take_memory()
    }

    fn clear_dictionary(&mut self) -> PageBytes {
        let views = self.dictionary.take().map(|dictionary| dictionary.views).unwrap_or_default();
        match views.capacity() {
            0 => {}
            1..=KEPT => self.kept = views,
            _ => self.idle.give(views),
        }
        PageBytes::default()
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.append(values, count, false)
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.dense.clear();
        self.append(values, present, true)?;
        spread(&self.dense, mask, self.views.values());
        self.take_memory()
    }

    fn pick(
        &mut self,
        values: &mut Values,
        ranges: &[Range<usize>],
        span: usize,
        mask: Option<&BooleanBufferBuilder>,
    ) -> Result<()> {
        let Some(mask) = mask else { return self.append_picked(values, ranges, span, false) };
        self.dense.clear();
        self.append_picked(values, ranges, span, true)?;
        spread(&self.dense, mask, self.views.values());
        self.take_memory()
    }

    fn picks(&self) -> bool {
        true
    }

    fn layout(&self) -> Layout {
        Layout::Variable
    }

    fn takes(&self) -> &'static [Encoding] {
        &[Encoding::DeltaLengthByteArray, Encoding::DeltaByteArray]
    }

    #[expect(unsafe_code, reason = "the strings were checked page by page, a third of reading them is spared")]
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let rows = self.views.len();
        let views = ScalarBuffer::new(Buffer::from(self.views.take()), 0, rows);
        let buffers: Vec<Buffer> = self.buffers.drain(..).map(Buffer::from).collect();
        self.buffer_bytes = 0;
        self.take_memory()?;
        if nulls.as_ref().is_some_and(|n| n.len() != views.len()) {
            return Err(Error::corrupt("strings and their validity differ in number"));
        }
        Ok(if self.is_utf8 {
            // SAFETY: as below; and both check that the strings are UTF-8 before the views count.
            Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) })
        } else {
            // SAFETY: `append_plain` and `append_lengths` make each view of a string that lies within its page or dictionary, which is in `buffers` at the
            // place the view names (`block`), with its prefix, or in the view itself with zeros behind it; a null's view is
            // 0, the empty string. There are as many views as bits of validity.
            Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) })
        })
    }
}

impl Dictionary {
    fn memory_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, Bytes::len) + self.views.capacity() * size_of::<u128>()
    }

    /// Makes the views point into buffer `block`.
    fn move_to(&mut self, block: u32) {
        if block == self.block {
            return;
        }
        for view in &mut self.views {
            if *view as u32 > INLINE_BYTES {
                // Length and prefix stand in the low half, then the buffer, then the offset.
                *view = (*view & !(u128::from(u32::MAX) << 64)) | u128::from(block) << 64;
            }
        }
        self.block = block;
    }
}

/// The view of the value at byte `start` of buffer `block`; `head` is its length and the twelve bytes from there on.
#[inline(always)]
fn view(head: u128, block: u32, start: usize) -> u128 {
    /// What of a head is of the view, by the value's length; the last one is for all values that do not stand in their view.
    const MASKS: [u128; INLINE_BYTES as usize + 2] = {
        let mut masks = [u64::MAX as u128; INLINE_BYTES as usize + 2];
        let mut length = 0;
        while length <= INLINE_BYTES as usize {
            #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
            {
                masks[length] = u128::MAX >> (96 - 8 * length);
            }
            length += 1;
        }
        masks
    };
    let length = head as u32;
    // Without a branch: lengths around the limit come in any order.
    let is_long = u64::from(length > INLINE_BYTES).wrapping_neg();
    let mask = MASKS.get(length.min(INLINE_BYTES + 1) as usize).copied().unwrap_or_default();
    // A page is shorter than 2 GiB.
    let place = (u64::from(block) | (start as u64) << 32) & is_long;
    head & mask | u128::from(place) << 64
}

/// Appends views of the strings of these lengths, or none if one of them is broken, which stand back to back from byte `at` of
/// `page` on; the bytes that these take.
#[expect(unsafe_code, reason = "as in `append_plain`; and a bound for each value is a tenth of reading them")]
fn append_lengths(
    page: &[u8],
    at: usize,
    lengths: &[i32],
    block: u32,
    is_utf8: bool,
    out: &mut Vec<u128>,
) -> Result<usize> {
    // Of 32 bits each, so many that they have room in memory: the sum does not run over.
    let total: u64 = lengths.iter().map(|&n| u64::from(n.cast_unsigned())).sum();
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    let Some(bytes) = page.get(at..).and_then(|rest| rest.get(..total)) else {
        return Err(too_short(page, at));
    };
    if is_utf8 {
        utf8::check(bytes, ends_of(lengths))?;
    }
    let (before, count) = (out.len(), lengths.len());
    out.reserve(count);
    let slots = out.spare_capacity_mut().get_mut(..count).unwrap_or_default();
    let length_of = |number: usize| lengths.get(number).map_or(0, |n| n.cast_unsigned() as usize);
    // Values at the page's ends: those with less than four bytes before them, and less than twelve behind them.
    let (mut first, mut start) = (0, at);
    while start < 4 && first < count {
        if let Some(slot) = slots.get_mut(first) {
            slot.write(near_an_end(page, start, length_of(first), block));
        }
        start += length_of(first);
        first += 1;
    }
    let (mut last, mut behind) = (count, 0);
    while behind < 12 && last > first {
        last -= 1;
        behind += length_of(last);
        if let Some(slot) = slots.get_mut(last) {
            slot.write(near_an_end(page, at + total - behind, length_of(last), block));
        }
    }
    let between = lengths.get(first..last).unwrap_or_default();
    for (slot, &length) in slots.get_mut(first..last).unwrap_or_default().iter_mut().zip(between) {
        let length = length.cast_unsigned();
        // SAFETY: the four bytes before the value and its first twelve are in the page: `start` is 4 at least behind the values
        // at the page's start; all values are the `total` bytes from `at` on, which are there, and at least 12 of these stand
        // behind this one, in those at the end.
        let head: [u8; 16] = unsafe { page.as_ptr().add(start - 4).cast::<[u8; 16]>().read() };
        let head = u128::from_le_bytes(head) >> 32 << 32;
        slot.write(view(head | u128::from(length), block, start));
        start += length as usize;
    }
    // SAFETY: all `count` slots behind the vector's end have been written: there was room for so many.
    unsafe { out.set_len(before + count) };
    Ok(total)
}

/// The view of a value near one of the page's ends, where the bytes around it are not all there.
#[cold]
fn near_an_end(page: &[u8], start: usize, length: usize, block: u32) -> u128 {
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().zip(page.get(start..).unwrap_or_default().iter().take(12)) {
        *to = *from;
    }
    view(u128::from_le_bytes(bytes) << 32 | length as u128, block, start)
}

/// Values that are walked over between two looks at what comes.
const AHEAD_VALUES: usize = 256;

/// Appends `count` views of the strings, or none if one of them is broken, from byte `at` of `page` on; the bytes that these take.
#[expect(unsafe_code, reason = "the vector grows once for all views, a tenth of making them")]
fn append_plain(page: &[u8], at: usize, count: usize, block: u32, is_utf8: bool, out: &mut Vec<u128>) -> Result<usize> {
    let mut next = at;
    let before = out.len();
    out.reserve(count);
    let mut written = 0;
    let mut ahead = utf8::Ahead::new(page, at, is_utf8);
    for slot in out.spare_capacity_mut().get_mut(..count).unwrap_or_default() {
        if written % AHEAD_VALUES == 0 {
            ahead.look(next);
        }
        // A length and the twelve bytes behind it are the view of a short value; of a long one, its length and prefix. Where the
        // next value begins must wait for nothing but the length: no choice of bytes that may not be there.
        let head = match page.get(next..).and_then(<[u8]>::first_chunk) {
            Some(head) => u128::from_le_bytes(*head),
            None => padded(page, next).ok_or_else(|| cut_short(page, at, count))?,
        };
        let length = head as u32;
        let start = next + 4;
        // Behind a value that reaches past the page no other begins, so whether one does is asked once, behind the last. The
        // sum of a place in memory and 32 bits runs over on 32 bits only, and to saturate takes longer.
        next = match usize::BITS {
            ..=32 => start.saturating_add(length as usize),
            _ => start.wrapping_add(length as usize),
        };
        slot.write(view(head, block, start));
        written += 1;
    }
    if next > page.len() {
        return Err(cut_short(page, at, count));
    }
    if is_utf8 && !ahead.is_ascii(next) {
        utf8::check_plain(page.get(at..next).unwrap_or_default())?;
    }
    // SAFETY: the first `written` slots behind the vector's end have been written, and there is room for them.
    unsafe { out.set_len(before + written) };
    Ok(next - at)
}

/// The head of a value near the page's end, zeros behind that; none without a length.
#[cold]
fn padded(page: &[u8], at: usize) -> Option<u128> {
    let rest = page.get(at..).filter(|rest| rest.len() >= 4)?;
    let mut head = [0u8; 16];
    for (to, from) in head.iter_mut().zip(rest) {
        *to = *from;
    }
    Some(u128::from_le_bytes(head))
}

/// The error for the first of `count` values from byte `at` on that reaches past the page.
#[cold]
fn cut_short(page: &[u8], at: usize, count: usize) -> Error {
    let mut strings = ByteArrays::new(page.get(at..).unwrap_or_default());
    let mut place = 0;
    for _ in 0..count {
        if strings.skip(1).is_err() {
            break;
        }
        place = strings.position();
    }
    too_short(page, at + place)
}

#[cold]
fn too_short(page: &[u8], at: usize) -> Error {
    let left = page.len().saturating_sub(at);
    Error::corrupt(format!("a string reaches past the page, of which {left} bytes are left")).at_byte(at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::encoding::plain::encode_byte_array;
    use crate::parquet::encoding::rle::Position;
    use crate::parquet::read::budget::Budget;
    use arrow_array::builder::make_view;
    use arrow_array::cast::AsArray;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn views_are_of_the_bytes_at_their_lengths(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..12),
            (before, behind) in (0usize..6, 0usize..20),
        ) {
            let mut page = vec![0xaa; before];
            values.iter().for_each(|value| page.extend(value));
            page.extend(vec![0xbb; behind]);
            let lengths: Vec<i32> = values.iter().map(|value| value.len() as i32).collect();
            let mut views = vec![7];
            let total = append_lengths(&page, before, &lengths, 3, false, &mut views).expect("all there");
            let mut start = before;
            let want = values.iter().map(|value| {
                start += value.len();
                make_view(value, 3, (start - value.len()) as u32)
            });
            prop_assert_eq!(&views[1..], &want.collect::<Vec<_>>()[..]);
            prop_assert_eq!((total, start), (page.len() - before - behind, page.len() - behind));
            // One byte fewer, and a length that no string has.
            let short = page.get(..start.saturating_sub(1)).unwrap_or_default();
            prop_assert_eq!(append_lengths(short, before, &lengths, 3, false, &mut views).is_ok(), total == 0 && before == 0);
            prop_assert!(append_lengths(&page, before, &[-1], 3, false, &mut views).is_err());
            prop_assert_eq!(views.len(), 1 + values.len() + if total == 0 && before == 0 { values.len() } else { 0 });
        }
    }

    #[test]
    fn the_first_string_that_reaches_past_the_page_is_named() {
        let mut page = Vec::new();
        ["one", "a string that is longer than a view holds", "two"]
            .iter()
            .for_each(|s| encode_byte_array(s.as_bytes(), &mut page));
        let read = |page: &[u8], count: usize| {
            let mut out = vec![7];
            let read = append_plain(page, 0, count, 0, true, &mut out);
            assert_eq!(out.len(), 1 + if read.is_ok() { count } else { 0 }, "all or none");
            read.map_err(|e| e.place().byte)
        };
        assert_eq!(read(&page, 3), Ok(page.len()));
        assert_eq!(read(&page, 4), Err(Some(page.len() as u64)));
        let last = page.len() - 7;
        for cut in 1..7 {
            assert_eq!(read(&page[..page.len() - cut], 3), Err(Some(last as u64)), "{cut}");
        }
        for length in [u32::MAX, 1 << 31, page.len() as u32, 50] {
            let mut page = page.clone();
            page[7..11].copy_from_slice(&length.to_le_bytes());
            for count in [2, 3, 9] {
                assert_eq!(read(&page, count), Err(Some(7)), "{length}");
            }
        }
    }

    #[test]
    fn one_broken_string_among_many_is_found() {
        // Short ones, and some that are longer than what is looked at ahead.
        let lengths: Vec<usize> = (0..3000).map(|i| if i % 701 == 700 { 100_000 } else { i * 7 % 50 + 1 }).collect();
        for broken in [None, Some(0), Some(255), Some(256), Some(700), Some(1401), Some(2998), Some(2999)] {
            for (text, is_sound) in [("é".as_bytes(), true), (&[0xc3], false)] {
                let mut page = vec![0xff; 3];
                for (number, &length) in lengths.iter().enumerate() {
                    let mut string = vec![b'a'; length];
                    if broken == Some(number) {
                        string.extend(text);
                    }
                    encode_byte_array(&string, &mut page);
                }
                page.extend([0xff; 40]);
                for count in [1, 256, 257, 3000] {
                    let is_sound = is_sound || broken.is_none_or(|broken| broken >= count);
                    let (mut views, mut of_any) = (vec![7], vec![7]);
                    let end = append_plain(&page, 3, count, 1, false, &mut of_any).expect("any bytes");
                    match append_plain(&page, 3, count, 1, true, &mut views) {
                        Ok(of_text) => assert!(is_sound && of_text == end && views == of_any, "{broken:?} of {count}"),
                        Err(_) => assert!(!is_sound && views == [7], "{broken:?} of {count}"),
                    }
                    assert_eq!(of_any.len(), 1 + count);
                }
            }
        }
    }

    #[test]
    fn a_dictionary_moves_with_the_batch() {
        let strings = ["short", "a string that is longer than a view holds", "and another one of that kind"];
        let mut bytes = Vec::new();
        strings.iter().for_each(|s| encode_byte_array(s.as_bytes(), &mut bytes));
        let mut target = Views {
            is_utf8: true,
            views: Filling::default(),
            dense: Vec::new(),
            indices: Vec::new(),
            buffers: Vec::new(),
            buffer_bytes: 0,
            dictionary: None,
            kept: Vec::new(),
            idle: Budget::new(1 << 20).idle().clone(),
            memory: Budget::new(1 << 20).reservation(),
        };
        target.set_dictionary(&mut PageBytes::Own(bytes.clone()), 3, false).expect("dictionary");
        let plain = || Values { bytes: PageBytes::Own(bytes.clone()), ..Values::default() };
        let indices = || Values {
            bytes: PageBytes::Own(crate::parquet::encoding::dictionary::encode(&[2, 1, 0, 1], 3)),
            coding: Coding::Dictionary(Position::default()),
            ..Values::default()
        };
        for plain_first in [true, false] {
            if plain_first {
                target.read(&mut plain(), 3).expect("reads");
            }
            target.read(&mut indices(), 4).expect("reads");
            let array = target.finish(None).expect("sound");
            let got: Vec<&str> = array.as_string_view().iter().flatten().collect();
            let all = [strings[0], strings[1], strings[2], strings[2], strings[1], strings[0], strings[1]];
            assert_eq!(got, if plain_first { &all[..] } else { &all[3..] });
        }
    }
}
