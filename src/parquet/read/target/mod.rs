//! What a column's values are decoded into: the buffers of the batch's array, one kind of target a layout.
//!
//! The dispatch on physical and Arrow type happens in [`new`], once a column; what a target does per page or
//! run is a loop over values of one type.
//!
//! Where a file stores integers wider than their annotation allows (an INT32 of 300 as a UInt8), the low bits
//! are kept, as other readers do.

mod booleans;
mod byte_strings;
mod convert;
mod entries;
mod fixed_bytes;
mod nothing;
mod numbers;
mod spread;
mod utf8;
mod views;

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::delta_binary_packed::{self, Delta};
use crate::parquet::encoding::plain::{self, ByteArrays};
use crate::parquet::encoding::{dictionary, rle};
use crate::parquet::format::Encoding;

use super::budget::Budget;
use super::page::{Coding, PageBytes, Values};

/// An array that is being filled.
pub(super) trait Target: Send + std::fmt::Debug {
    /// Takes the values of a dictionary page: `count` in PLAIN. What it does not keep of `bytes` is left there. With `is_sparse`,
    /// few of them are likely asked for.
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, is_sparse: bool) -> Result<()>;

    /// Forgets the dictionary: that of another chunk stands for nothing in this one. What it has of the dictionary's page.
    fn clear_dictionary(&mut self) -> PageBytes {
        PageBytes::default()
    }

    /// Appends the next `count` values.
    fn read(&mut self, values: &mut Values, count: usize) -> Result<()>;

    /// Appends a slot for each bit of `mask`: the next value where it is set, of which there are `present`.
    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()>;

    /// Appends the values at `ranges` of the next `span`, and passes over the others: as they are, or spread as by
    /// [`read_spaced`](Self::read_spaced).
    fn pick(
        &mut self,
        values: &mut Values,
        ranges: &[Range<usize>],
        span: usize,
        mask: Option<&BooleanBufferBuilder>,
    ) -> Result<()> {
        let _ = (values, ranges, span, mask);
        Err(Error::unsupported("to pick values of this type"))
    }

    /// Whether [`pick`](Self::pick) is there.
    fn picks(&self) -> bool {
        false
    }

    /// How its values stand in PLAIN.
    fn layout(&self) -> Layout;

    /// Encodings that it reads as they stand; all others are turned into PLAIN first, but for indices into the dictionary.
    fn takes(&self) -> &'static [Encoding] {
        &[]
    }

    /// The array; empty again.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef>;

    /// Passes over the next `count` values.
    fn skip(&mut self, values: &mut Values, count: usize) -> Result<()> {
        skip(values, count, self.layout())
    }
}

/// How values stand in PLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// So many bytes each.
    Fixed(usize),
    /// A length before each.
    Variable,
    /// A bit each.
    Bits,
    /// There are none.
    Nothing,
}

/// The target for the values of `leaf`, of its own type: a dictionary's is that of its values.
pub(super) fn new(leaf: &Leaf, budget: &Budget) -> Result<Box<dyn Target>> {
    let value_type = match &leaf.data_type {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let target = match value_type {
        DataType::Null => Some(nothing::new()),
        DataType::Boolean => booleans::new(leaf),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
            byte_strings::new(leaf, value_type, budget.reservation())
        }
        DataType::Utf8View | DataType::BinaryView => views::new(leaf, value_type, budget),
        DataType::FixedSizeBinary(_) => fixed_bytes::new(leaf, value_type, budget.reservation()),
        _ => numbers::new(leaf, value_type, budget.reservation()),
    };
    target.ok_or_else(|| {
        let physical = leaf.physical;
        Error::unsupported(format!("values of {physical:?} as {}", leaf.data_type)).in_column(leaf.name())
    })
}

fn skip(values: &mut Values, count: usize, layout: Layout) -> Result<()> {
    values.coding = match (values.coding, layout) {
        (_, Layout::Nothing) => values.coding,
        (Coding::Plain(at), Layout::Fixed(width)) => {
            plain::split(values.bytes().get(at..).unwrap_or_default(), count, width)?;
            Coding::Plain(at + count * width)
        }
        (Coding::Plain(at), Layout::Variable) => {
            let mut strings = ByteArrays::new(values.bytes().get(at..).unwrap_or_default());
            strings.skip(count)?;
            Coding::Plain(at + strings.position())
        }
        (Coding::Plain(at), Layout::Bits) => {
            booleans::check(values.bytes(), at, count)?;
            Coding::Plain(at + count)
        }
        (Coding::Dictionary(position), _) => {
            let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
            indices.skip(count)?;
            Coding::Dictionary(indices.position())
        }
        (Coding::Lengths(next, at), _) => {
            let lengths = lengths(values, next, count)?;
            Coding::Lengths(next + count, at + lengths.iter().map(|&n| n as usize).sum::<usize>())
        }
        (Coding::Prefixes, Layout::Variable) => {
            values.picker.as_deref_mut().ok_or_else(not_picked)?.skip(count)?;
            Coding::Prefixes
        }
        (Coding::Prefixes, _) => return Err(not_lengths()),
        (Coding::Split(at), Layout::Fixed(width)) => {
            let (end, total) = (at.saturating_add(count), values.bytes().len() / width.max(1));
            if end > total {
                return Err(Error::corrupt(format!("values to {end} wanted, {total} are there")));
            }
            Coding::Split(end)
        }
        (Coding::Deltas, Layout::Fixed(4)) => skip_deltas::<i32>(values, count)?,
        (Coding::Deltas, Layout::Fixed(8)) => skip_deltas::<i64>(values, count)?,
        (Coding::Split(_) | Coding::Deltas, _) => return Err(not_numbers()),
        (Coding::Rle(position), _) => {
            let mut bits = rle::Decoder::resume(values.bytes(), 1, position)?;
            bits.skip(count)?;
            Coding::Rle(bits.position())
        }
    };
    Ok(())
}

fn skip_deltas<T: Delta>(values: &mut Values, count: usize) -> Result<Coding> {
    let mut position = values.deltas.take().unwrap_or_default();
    let mut decoder = delta_binary_packed::Decoder::<T>::resume(values.bytes(), &position)?;
    decoder.skip(count)?;
    *position = decoder.position();
    values.deltas = Some(position);
    Ok(Coding::Deltas)
}

/// The lengths of the `count` byte arrays from number `next` on.
fn lengths(values: &Values, next: usize, count: usize) -> Result<&[i32]> {
    values.lengths.get(next..next.saturating_add(count)).ok_or_else(|| {
        let left = values.lengths.len().saturating_sub(next);
        Error::corrupt(format!("{count} values wanted, {left} are left"))
    })
}

/// The error for the encoding of byte arrays where other values stand.
#[cold]
fn not_lengths() -> Error {
    Error::corrupt("values of this type have no lengths")
}

/// The error for prefixes from which nothing was picked.
#[cold]
fn not_picked() -> Error {
    Error::corrupt("values that share their beginnings have to be put together first")
}

/// The error for the encodings of numbers where other values stand.
#[cold]
fn not_numbers() -> Error {
    Error::corrupt("values of this type are neither split into streams nor packed as differences")
}

/// The error for booleans' encoding where other values stand.
#[cold]
fn not_boolean() -> Error {
    Error::corrupt("values of this type are never run-length encoded")
}

/// The error for indices before any dictionary.
#[cold]
fn no_dictionary() -> Error {
    Error::corrupt("the page's values are indices, but the chunk has no dictionary page before it")
}
