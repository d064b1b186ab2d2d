//! Values of a fixed width in the array: numbers, dates, times, decimals.
//!
//! Spec: Encodings.md, "Plain"; LogicalTypes.md, "DECIMAL", "Temporal Types".

use std::any::Any;
use std::ops::Range;

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, i256};
use arrow_data::ArrayData;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use half::f16;

use super::convert::{
    decimal32, decimal64, decimal128, decimal256, each, each_decimal, each_of, each_string, int96, int96_running_over,
    interval, interval_days, interval_months, try_each,
};
use super::entries::{AsStands, Decode, Entries};
use super::spread::spread;
use super::{Layout, Target, no_dictionary, not_boolean, not_lengths, not_numbers};
use crate::error::Result;
use crate::parquet::arrow::{DAY_MS, INTERVAL_BYTES, Leaf, Scaling};
use crate::parquet::encoding::delta_binary_packed::{self, Delta};
use crate::parquet::encoding::plain::{self, Fixed};
use crate::parquet::encoding::{byte_stream_split, dictionary};
use crate::parquet::format::{Encoding, Type};
use crate::parquet::read::budget::Reservation;
use crate::parquet::read::page::{Coding, PageBytes, Values};
use crate::parquet::read::spare::Filling;

#[derive(Debug)]
struct Numbers<T> {
    data_type: DataType,
    layout: Layout,
    width: usize,
    decode: Decode<T>,
    /// Where it takes values as they are.
    as_stands: Option<AsStands<T>>,
    out: Filling<T>,
    /// Values before they are spread.
    dense: Vec<T>,
    /// Values in PLAIN, [`SCRATCH_BYTES`] at most.
    scratch: Vec<u8>,
    dictionary: Option<Entries<T>>,
    /// For the values of the next dictionary.
    kept: Vec<T>,
    memory: Reservation,
}

pub(super) fn new(leaf: &Leaf, data_type: &DataType, memory: Reservation) -> Option<Box<dyn Target>> {
    use DataType as D;
    use Type as P;

    let make = Make { leaf, data_type, memory };
    Some(match (leaf.physical, data_type) {
        (P::Int32, D::Int8) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as i8)),
        (P::Int32, D::Int16) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as i16)),
        (P::Int32, D::UInt8) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as u8)),
        (P::Int32, D::UInt16) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as u16)),
        (P::Int32, D::UInt32) => make.own::<u32>(),
        (P::Int32, D::Time32(TimeUnit::Second)) if leaf.scaling() == Scaling::Seconds => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v).div_euclid(1000)))
        }
        (P::Int32, D::Int32 | D::Date32 | D::Time32(_) | D::Decimal32(..)) => make.own::<i32>(),
        (P::Int32, D::Date64) => {
            // 2^31 days of 86,400,000 ms stay within 64 bits.
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from(i32::from_le_bytes(v)) * DAY_MS))
        }
        (P::Int32, D::Decimal64(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from(i32::from_le_bytes(v))))
        }
        (P::Int32, D::Decimal128(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i128::from(i32::from_le_bytes(v))))
        }
        (P::Int32, D::Decimal256(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i256::from(i32::from_le_bytes(v))))
        }
        (P::Int64, D::UInt64) => make.own::<u64>(),
        (P::Int64, D::Timestamp(TimeUnit::Second, _)) if leaf.scaling() == Scaling::Seconds => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from_le_bytes(v).div_euclid(1000)))
        }
        (P::Int64, D::Int64 | D::Date64 | D::Time64(_) | D::Timestamp(..) | D::Duration(_) | D::Decimal64(..)) => {
            make.own::<i64>()
        }
        (P::Int64, D::Decimal128(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i128::from(i64::from_le_bytes(v))))
        }
        (P::Int64, D::Decimal256(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i256::from(i64::from_le_bytes(v))))
        }
        (P::Int96, D::Timestamp(TimeUnit::Microsecond, _)) if leaf.runs_over => {
            make.fixed(|b, _, n, out| each(b, n, out, int96_running_over::<1000>))
        }
        (P::Int96, D::Timestamp(TimeUnit::Nanosecond, _)) if leaf.runs_over => {
            make.fixed(|b, _, n, out| each(b, n, out, int96_running_over::<1>))
        }
        (P::Int96, D::Timestamp(unit, _)) => match unit {
            TimeUnit::Second => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1_000_000_000>)),
            TimeUnit::Millisecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1_000_000>)),
            TimeUnit::Microsecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1000>)),
            TimeUnit::Nanosecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1>)),
        },
        (P::FixedLenByteArray, D::Interval(unit)) if leaf.type_length == INTERVAL_BYTES => match unit {
            IntervalUnit::YearMonth => make.fixed(|b, _, n, out| try_each(b, n, out, interval_months)),
            IntervalUnit::DayTime => make.fixed(|b, _, n, out| try_each(b, n, out, interval_days)),
            IntervalUnit::MonthDayNano => make.fixed(|b, _, n, out| try_each(b, n, out, interval)),
        },
        (P::Float, D::Float32) => make.own::<f32>(),
        (P::Double, D::Float64) => make.own::<f64>(),
        (P::FixedLenByteArray, D::Float16) if leaf.type_length == 2 => make.own::<f16>(),
        (P::FixedLenByteArray, D::Decimal32(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i32::from_be_bytes(v) >> s, decimal32))
        }
        (P::FixedLenByteArray, D::Decimal64(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i64::from_be_bytes(v) >> s, decimal64))
        }
        (P::FixedLenByteArray, D::Decimal128(..)) if leaf.type_length <= 8 => make.fixed(|b, w, n, out| {
            each_decimal(b, w, n, out, |v, s| i128::from(i64::from_be_bytes(v) >> s), decimal128)
        }),
        (P::FixedLenByteArray, D::Decimal128(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i128::from_be_bytes(v) >> s, decimal128))
        }
        (P::FixedLenByteArray, D::Decimal256(..)) => make.fixed(|b, w, n, out| each_of(b, w, n, out, decimal256)),
        (P::ByteArray, D::Decimal128(..)) => make.variable(|b, _, n, out| each_string(b, n, out, decimal128)),
        (P::ByteArray, D::Decimal256(..)) => make.variable(|b, _, n, out| each_string(b, n, out, decimal256)),
        _ => return None,
    })
}

struct Make<'a> {
    leaf: &'a Leaf,
    data_type: &'a DataType,
    memory: Reservation,
}

impl Make<'_> {
    fn fixed<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        let width = match self.leaf.physical {
            Type::Int32 | Type::Float => 4,
            Type::Int64 | Type::Double => 8,
            Type::Int96 => 12,
            _ => self.leaf.type_length,
        };
        self.target(Layout::Fixed(width), width, decode)
    }

    /// Values that are in the array what they are in the file.
    fn own<T: ArrowNativeType + Fixed>(self) -> Box<dyn Target> {
        let decode: Decode<T> = |bytes, _, count, out| {
            plain::decode_fixed(bytes, count, out)?;
            Ok(count * T::BYTES)
        };
        let as_stands = Some(AsStands::new());
        Box::new(Numbers { as_stands, ..self.numbers(Layout::Fixed(T::BYTES), T::BYTES, decode) })
    }

    fn variable<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        self.target(Layout::Variable, 0, decode)
    }

    fn target<T: ArrowNativeType>(self, layout: Layout, width: usize, decode: Decode<T>) -> Box<dyn Target> {
        Box::new(self.numbers(layout, width, decode))
    }

    fn numbers<T: ArrowNativeType>(self, layout: Layout, width: usize, decode: Decode<T>) -> Numbers<T> {
        Numbers {
            data_type: self.data_type.clone(),
            layout,
            width,
            decode,
            as_stands: None,
            out: Filling::default(),
            dense: Vec::new(),
            scratch: Vec::new(),
            dictionary: None,
            kept: Vec::new(),
            memory: self.memory,
        }
    }
}

impl<T: ArrowNativeType> Target for Numbers<T> {
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, is_sparse: bool) -> Result<()> {
        // No value takes less than a byte, so this bounds a count that the bytes cannot hold.
        let slots = count.min(bytes.len());
        self.take_memory(bytes.len() + slots.saturating_mul(size_of::<T>()), self.out.len())?;
        // Where the page is kept as it stands, this is too much until the next values are taken.
        let kept = std::mem::take(&mut self.kept);
        let entries = Entries::new(bytes, self.width, count, is_sparse, self.decode, self.as_stands, kept)?;
        self.dictionary = Some(entries);
        Ok(())
    }

    fn clear_dictionary(&mut self) -> PageBytes {
        let (page, values) = self.dictionary.take().map(Entries::into_parts).unwrap_or_default();
        self.kept = values.unwrap_or_default();
        page
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.take_memory(self.dictionary_bytes(), self.out.len() + count)?;
        let mut source = Source {
            decode: self.decode,
            is_own: self.as_stands.is_some(),
            width: self.width,
            dictionary: self.dictionary.as_mut(),
        };
        source.append(values, count, &mut self.scratch, self.out.values())
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.take_memory(self.dictionary_bytes(), self.out.len() + mask.len())?;
        self.dense.clear();
        let mut source = Source {
            decode: self.decode,
            is_own: self.as_stands.is_some(),
            width: self.width,
            dictionary: self.dictionary.as_mut(),
        };
        source.append(values, present, &mut self.scratch, &mut self.dense)?;
        spread(&self.dense, mask, self.out.values());
        Ok(())
    }

    fn pick(
        &mut self,
        values: &mut Values,
        ranges: &[Range<usize>],
        span: usize,
        mask: Option<&BooleanBufferBuilder>,
    ) -> Result<()> {
        let count: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let is_direct = match values.coding {
            Coding::Plain(_) => self.width > 0,
            coding => matches!(coding, Coding::Dictionary(_)),
        };
        let whole = if is_direct { 0 } else { span };
        let slots = self.out.len() + mask.map_or(count, |mask| mask.len().saturating_add(count));
        self.take_memory(self.dictionary_bytes(), slots.saturating_add(whole))?;
        let mut source = Source {
            decode: self.decode,
            is_own: self.as_stands.is_some(),
            width: self.width,
            dictionary: self.dictionary.as_mut(),
        };
        self.dense.clear();
        let out = if mask.is_none() { self.out.values() } else { &mut self.dense };
        match is_direct {
            true => source.pick(values, ranges, span, out)?,
            false => {
                let mut all = Vec::new();
                source.append(values, span, &mut self.scratch, &mut all)?;
                ranges.iter().for_each(|range| out.extend_from_slice(all.get(range.clone()).unwrap_or_default()));
            }
        }
        if let Some(mask) = mask {
            spread(&self.dense, mask, self.out.values());
        }
        Ok(())
    }

    fn picks(&self) -> bool {
        true
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn takes(&self) -> &'static [Encoding] {
        match self.layout {
            Layout::Fixed(_) => &[Encoding::ByteStreamSplit, Encoding::DeltaBinaryPacked],
            _ => &[],
        }
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let rows = self.out.len();
        let values = self.out.take();
        let data = ArrayData::builder(self.data_type.clone())
            .len(rows)
            .add_buffer(Buffer::from(values))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}

impl<T: ArrowNativeType> Numbers<T> {
    fn dictionary_bytes(&self) -> usize {
        self.dictionary.as_ref().map_or(0, Entries::bytes)
    }

    fn take_memory(&mut self, dictionary_bytes: usize, slots: usize) -> Result<()> {
        let values = slots.saturating_add(self.kept.capacity()).saturating_mul(size_of::<T>());
        self.memory.resize(dictionary_bytes.saturating_add(values).saturating_add(self.out.waiting()))
    }
}

/// Bytes of values that are turned into PLAIN at a time, or one value: they stay in the nearest cache.
const SCRATCH_BYTES: usize = 8 << 10;

/// What turns coded values into numbers.
struct Source<'a, T> {
    decode: Decode<T>,
    is_own: bool,
    width: usize,
    dictionary: Option<&'a mut Entries<T>>,
}

impl<T: ArrowNativeType> Source<'_, T> {
    fn append(&mut self, values: &mut Values, count: usize, scratch: &mut Vec<u8>, out: &mut Vec<T>) -> Result<()> {
        values.coding = match values.coding {
            Coding::Plain(at) => {
                let taken = (self.decode)(values.bytes().get(at..).unwrap_or_default(), self.width, count, out)?;
                Coding::Plain(at + taken)
            }
            Coding::Dictionary(position) => {
                let entries = self.dictionary.as_mut().ok_or_else(no_dictionary)?;
                let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
                entries.gather(&mut indices, count, self.decode, out)?;
                Coding::Dictionary(indices.position())
            }
            Coding::Split(at) => {
                let mut next = at;
                let at_once = self.at_once();
                scratch.resize(at_once * self.width, 0);
                while next < at + count {
                    let n = at_once.min(at + count - next);
                    let piece = scratch.get_mut(..n * self.width).unwrap_or_default();
                    byte_stream_split::decode(values.bytes(), self.width, next, piece)?;
                    (self.decode)(piece, self.width, n, out)?;
                    next += n;
                }
                Coding::Split(next)
            }
            Coding::Deltas => {
                match self.width {
                    4 => self.deltas::<i32>(values, count, scratch, out)?,
                    8 => self.deltas::<i64>(values, count, scratch, out)?,
                    _ => return Err(not_numbers()),
                }
                Coding::Deltas
            }
            Coding::Rle(_) => return Err(not_boolean()),
            Coding::Lengths(..) | Coding::Prefixes => return Err(not_lengths()),
        };
        Ok(())
    }

    /// Those at `ranges` of the next `span`, of PLAIN and of fixed width or in a dictionary.
    fn pick(&mut self, values: &mut Values, ranges: &[Range<usize>], span: usize, out: &mut Vec<T>) -> Result<()> {
        values.coding = match values.coding {
            Coding::Dictionary(position) => {
                let entries = self.dictionary.as_mut().ok_or_else(no_dictionary)?;
                let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
                entries.pick(&mut indices, ranges, span, self.decode, out)?;
                Coding::Dictionary(indices.position())
            }
            Coding::Plain(at) => {
                let (bytes, _) = plain::split(values.bytes().get(at..).unwrap_or_default(), span, self.width)?;
                for range in ranges {
                    let from = bytes.get(range.start * self.width..).unwrap_or_default();
                    (self.decode)(from, self.width, range.len(), out)?;
                }
                Coding::Plain(at + span * self.width)
            }
            _ => return Err(not_numbers()),
        };
        Ok(())
    }

    /// Values for which there is room in scratch. The page has one of them at least, so none is wider than the page.
    fn at_once(&self) -> usize {
        (SCRATCH_BYTES / self.width.max(1)).max(1)
    }

    fn deltas<D: Delta + Fixed>(
        &self,
        values: &mut Values,
        count: usize,
        scratch: &mut Vec<u8>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        let mut position = values.deltas.take().unwrap_or_default();
        let mut decoder = delta_binary_packed::Decoder::<D>::resume(values.bytes(), &position)?;
        let mut left = count;
        if self.is_own
            && let Some(out) = (out as &mut dyn Any).downcast_mut::<Vec<D>>()
        {
            out.reserve(count);
            decoder.read(count, out)?;
            left = 0;
        }
        while left > 0 {
            let n = self.at_once().min(left);
            scratch.clear();
            decoder.read_plain(n, scratch)?;
            (self.decode)(scratch, self.width, n, out)?;
            left -= n;
        }
        *position = decoder.position();
        values.deltas = Some(position);
        Ok(())
    }
}
