//! Where a column's byte strings come from, by row.

use std::ops::Range;

use arrow_array::types::{ByteArrayType, ByteViewType};
use arrow_array::{FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray};
use arrow_buffer::ArrowNativeType;

/// Byte strings, by row.
pub(super) trait Source: Copy {
    /// The value of a row that is not null.
    fn get(&self, row: usize) -> &[u8];

    /// How many rows from the first on take at most `room` bytes, with so many more for each; and their own bytes.
    fn fit(&self, rows: Range<usize>, room: usize, more: usize) -> (usize, usize) {
        let (mut taken, mut bytes) = (0, 0);
        let count = rows.take_while(|&row| {
            let length = self.get(row).len();
            taken += length + more;
            if taken <= room {
                bytes += length;
            }
            taken <= room
        });
        (count.count(), bytes)
    }

    /// Appends the lengths and the bytes of rows that are not null.
    fn append(&self, rows: Range<usize>, lengths: &mut Vec<i32>, bytes: &mut Vec<u8>) {
        for row in rows {
            let value = self.get(row);
            lengths.push(value.len() as i32);
            bytes.extend_from_slice(value);
        }
    }
}

/// Strings or binary values behind offsets.
pub(super) struct Strings<'a, T: ByteArrayType>(pub &'a GenericByteArray<T>);

/// Strings or binary values behind views.
pub(super) struct Views<'a, T: ByteViewType + ?Sized>(pub &'a GenericByteViewArray<T>);

/// Values of one width, as Arrow has them.
#[derive(Clone, Copy)]
pub(super) struct FixedBytes<'a>(pub &'a FixedSizeBinaryArray);

/// Values of one width that were converted, one a row.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    pub bytes: &'a [u8],
    pub width: usize,
}

// Derived, these would ask the type parameter for `Copy`.
impl<T: ByteArrayType> Copy for Strings<'_, T> {}
impl<T: ByteArrayType> Clone for Strings<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: ByteViewType + ?Sized> Copy for Views<'_, T> {}
impl<T: ByteViewType + ?Sized> Clone for Views<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ByteArrayType> Source for Strings<'_, T> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        self.0.value(row).as_ref()
    }

    fn fit(&self, rows: Range<usize>, room: usize, more: usize) -> (usize, usize) {
        let Some([first, ends @ ..]) = self.0.value_offsets().get(rows.start..=rows.end) else { return (0, 0) };
        let bytes = |end: &T::Offset| end.as_usize() - first.as_usize();
        // The sum grows with each row, so the last one that fits is found by halving.
        let (mut low, mut high) = (0, ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match ends.get(middle).is_some_and(|end| bytes(end) + (middle + 1) * more <= room) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        (low, low.checked_sub(1).and_then(|last| ends.get(last)).map_or(0, bytes))
    }

    fn append(&self, rows: Range<usize>, lengths: &mut Vec<i32>, bytes: &mut Vec<u8>) {
        let offsets = self.0.value_offsets().get(rows.start..=rows.end).unwrap_or_default();
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return };
        let pairs = offsets.iter().zip(offsets.iter().skip(1));
        lengths.extend(pairs.map(|(start, end)| (end.as_usize() - start.as_usize()) as i32));
        bytes.extend_from_slice(self.0.value_data().get(first.as_usize()..last.as_usize()).unwrap_or_default());
    }
}

impl<T: ByteViewType + ?Sized> Source for Views<'_, T> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        self.0.value(row).as_ref()
    }
}

impl Source for FixedBytes<'_> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        self.0.value(row)
    }

    fn fit(&self, rows: Range<usize>, room: usize, more: usize) -> (usize, usize) {
        fit_of_width(self.0.value_length() as usize, rows, room, more)
    }

    fn append(&self, rows: Range<usize>, lengths: &mut Vec<i32>, bytes: &mut Vec<u8>) {
        append_of_width(self.0.value_data(), self.0.value_length() as usize, rows, lengths, bytes);
    }
}

impl Source for Slots<'_> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        self.bytes.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    fn fit(&self, rows: Range<usize>, room: usize, more: usize) -> (usize, usize) {
        fit_of_width(self.width, rows, room, more)
    }

    fn append(&self, rows: Range<usize>, lengths: &mut Vec<i32>, bytes: &mut Vec<u8>) {
        append_of_width(self.bytes, self.width, rows, lengths, bytes);
    }
}

fn fit_of_width(width: usize, rows: Range<usize>, room: usize, more: usize) -> (usize, usize) {
    let count = rows.len().min(room.checked_div(width + more).unwrap_or(usize::MAX));
    (count, count * width)
}

fn append_of_width(values: &[u8], width: usize, rows: Range<usize>, lengths: &mut Vec<i32>, bytes: &mut Vec<u8>) {
    lengths.extend(std::iter::repeat_n(width as i32, rows.len()));
    bytes.extend_from_slice(values.get(rows.start * width..rows.end * width).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source with nothing but its values.
    #[derive(Clone, Copy)]
    struct Each<S: Source>(S);

    impl<S: Source> Source for Each<S> {
        fn get(&self, row: usize) -> &[u8] {
            self.0.get(row)
        }
    }

    #[test]
    fn values_of_one_width_are_taken_at_once_as_one_by_one() {
        fn check(source: impl Source) {
            let each = Each(source);
            for (room, more) in [(0, 0), (2, 0), (3, 0), (20, 4), (21, 4), (1000, 0), (1000, 4)] {
                assert_eq!(source.fit(2..9, room, more), each.fit(2..9, room, more), "{room}, {more}");
            }
            let of = |append: &dyn Fn(&mut Vec<i32>, &mut Vec<u8>)| {
                let (mut lengths, mut bytes) = (vec![7], vec![42]);
                append(&mut lengths, &mut bytes);
                (lengths, bytes)
            };
            let got = of(&|lengths, bytes| source.append(2..9, lengths, bytes));
            assert_eq!(got, of(&|lengths, bytes| each.append(2..9, lengths, bytes)));
            assert_eq!((got.0.len(), got.1.len()), (8, 22));
        }
        let bytes: Vec<u8> = (0..90).collect();
        check(Slots { bytes: &bytes, width: 3 });
        let array = FixedSizeBinaryArray::try_from_iter(bytes.chunks(3)).expect("of one width");
        check(FixedBytes(&array));
        check(FixedBytes(&array.slice(5, 12)));
    }
}
