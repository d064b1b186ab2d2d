//! Where a column's byte strings come from, by row.

use arrow_array::types::{ByteArrayType, ByteViewType};
use arrow_array::{FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray};

/// Byte strings, by row.
pub(super) trait Source: Copy {
    /// The value of a row that is not null.
    fn get(&self, row: usize) -> &[u8];
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
}

impl Source for Slots<'_> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        self.bytes.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }
}
