//! Flatbuffers, read where something is asked for: a table's field is found without a look at any other table.
//!
//! Spec: FlatBuffers, "Internals".
//!
//! ```text
//! table    i32 how far before it its vtable begins; then its fields
//! vtable   u16 bytes of the vtable, u16 bytes of the table, u16 for each field: how far behind the table's start, 0 = not there
//! offset   u32 how far behind itself the string, vector or table begins
//! string, vector   u32 count, elements
//! ```
//!
//! The bytes come from outside. Nothing is verified before: each step looks whether what it wants is there, and what is not
//! there is None. Tables may be shared, so that a few bytes can stand for many tables: what is taken is counted.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A buffer, and how much of it may still be taken.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    left: AtomicUsize,
}

/// A table in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    buffer: &'a Buffer,
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
}

/// As often may all of a buffer be taken: tables and strings of the same content may be stored once.
const SHARED_MAX: usize = 8;

impl Buffer {
    pub fn new(bytes: Vec<u8>) -> Buffer {
        let left = AtomicUsize::new(bytes.len().saturating_mul(SHARED_MAX));
        Buffer { bytes, left }
    }

    /// The table that is all others' root.
    pub fn root(&self) -> Option<Table<'_>> {
        self.table(self.offset(0)?)
    }

    fn table(&self, at: usize) -> Option<Table<'_>> {
        let back = i32::from_le_bytes(self.read(at)?);
        let vtable = usize::try_from(i64::try_from(at).ok()? - i64::from(back)).ok()?;
        let vtable_bytes = usize::from(u16::from_le_bytes(self.read(vtable)?));
        self.take(size_of::<u32>())?;
        Some(Table { buffer: self, at, vtable, vtable_bytes })
    }

    fn offset(&self, at: usize) -> Option<usize> {
        at.checked_add(usize::try_from(u32::from_le_bytes(self.read(at)?)).ok()?)
    }

    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    fn take(&self, bytes: usize) -> Option<()> {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).ok().map(|_| ())
    }
}

/// Fields are named by the places of their entries in the vtable, as generated code has them (`VT_…`).
impl<'a> Table<'a> {
    /// Where a field stands.
    fn find(&self, field: u16) -> Option<usize> {
        let entry = usize::from(field);
        if entry + size_of::<u16>() > self.vtable_bytes {
            return None;
        }
        match u16::from_le_bytes(self.buffer.read(self.vtable.checked_add(entry)?)?) {
            0 => None,
            distance => self.at.checked_add(usize::from(distance)),
        }
    }

    /// Whether there is one, broken or not.
    pub fn has(&self, field: u16) -> bool {
        self.find(field).is_some()
    }

    pub fn u8(&self, field: u16) -> u8 {
        self.find(field).and_then(|at| self.buffer.read(at)).map_or(0, u8::from_le_bytes)
    }

    pub fn bool(&self, field: u16) -> bool {
        self.u8(field) != 0
    }

    pub fn i16(&self, field: u16, default: i16) -> i16 {
        self.find(field).and_then(|at| self.buffer.read(at)).map_or(default, i16::from_le_bytes)
    }

    pub fn i32(&self, field: u16, default: i32) -> i32 {
        self.find(field).and_then(|at| self.buffer.read(at)).map_or(default, i32::from_le_bytes)
    }

    pub fn table(&self, field: u16) -> Option<Table<'a>> {
        self.buffer.table(self.buffer.offset(self.find(field)?)?)
    }

    pub fn string(&self, field: u16) -> Option<&'a str> {
        let (start, count) = self.vector(field)?;
        self.buffer.take(count)?;
        std::str::from_utf8(self.buffer.bytes.get(start..start.checked_add(count)?)?).ok()
    }

    /// The tables of a vector, none where there is no vector.
    pub fn tables(self, field: u16) -> impl Iterator<Item = Option<Table<'a>>> {
        let count = self.vector(field).map_or(0, |(_, count)| count);
        // Each takes four bytes, so that no count beyond the buffer passes.
        let count = count.checked_mul(size_of::<u32>()).and_then(|n| self.buffer.take(n)).map_or(0, |()| count);
        (0..count).map(move |number| self.table_of(field, number))
    }

    /// One of a vector's tables.
    pub fn table_of(&self, field: u16, number: usize) -> Option<Table<'a>> {
        let (start, count) = self.vector(field)?;
        let at = start.checked_add(number.checked_mul(size_of::<u32>())?).filter(|_| number < count)?;
        self.buffer.table(self.buffer.offset(at)?)
    }

    /// Where a vector's elements begin, and how many they are.
    fn vector(&self, field: u16) -> Option<(usize, usize)> {
        let at = self.buffer.offset(self.find(field)?)?;
        let count = usize::try_from(u32::from_le_bytes(self.buffer.read(at)?)).ok()?;
        Some((at.checked_add(size_of::<u32>())?, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with a number (entry 4), a string (6) and a vector without elements (8).
    fn buffer() -> Vec<u8> {
        let mut bytes = vec![14, 0, 0, 0];
        bytes.extend([10u16, 16, 4, 8, 12].map(u16::to_le_bytes).concat());
        bytes.extend([10i32, 7, 8, 11, 3].map(i32::to_le_bytes).concat());
        bytes.extend(*b"abc");
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn fields_are_found_by_their_entries() {
        let buffer = Buffer::new(buffer());
        let root = buffer.root().expect("a root");
        assert_eq!((root.i32(4, 0), root.i16(4, 0), root.u8(4), root.bool(4)), (7, 7, 7, true));
        assert_eq!(root.string(6), Some("abc"));
        assert_eq!((root.i32(10, -1), root.has(10), root.string(10)), (-1, false, None));
        assert_eq!(root.tables(8).count(), 0);
    }

    #[test]
    fn no_more_is_taken_than_is_there_or_was_shared() {
        let bytes = buffer();
        for end in 0..bytes.len() {
            let buffer = Buffer::new(bytes[..end].to_vec());
            let Some(root) = buffer.root() else { continue };
            assert!(root.string(6).is_none_or(|text| text == "abc"));
            root.tables(8).for_each(drop);
        }
        // Offsets are unsigned: a vector of billions, none of which is there.
        let mut many = bytes.clone();
        let at = many.len() - 4;
        many[at..].fill(0xff);
        assert_eq!(Buffer::new(many).root().expect("a root").tables(8).count(), 0);
        let buffer = Buffer::new(bytes);
        let root = buffer.root().expect("a root");
        let taken = std::iter::repeat_with(|| root.string(6)).take_while(Option::is_some).count();
        assert!(taken > 50 && taken < 200, "{taken}");
        assert!(buffer.root().is_none());
    }
}
