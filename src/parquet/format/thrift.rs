//! The Thrift compact protocol, as far as Parquet's metadata uses it.
//!
//! Spec: Apache Thrift, "Thrift Compact protocol encoding".
//!
//! ```text
//! struct  = field* 0x00
//! field   = (id delta: 4 bits, 1..=15 | type: 4 bits) value          short form
//!         | (0: 4 bits | type: 4 bits) zigzag(id) value              long form
//! list    = (size: 4 bits, 0..=14 | type: 4 bits) element*
//!         | (0xf: 4 bits | type: 4 bits) varint(size) element*
//! binary  = varint(length) byte*          i16, i32, i64 = zigzag varint
//! bool    = in the field's type (1 true, 2 false); in a list one byte of the same values
//! double  = 8 bytes, little-endian
//! ```
//!
//! [`record!`], [`open_enum!`] and [`choice!`] turn a table of field ids into a type with both directions.
//! A field that is not in the table is skipped, so files of future writers stay readable.

use super::skip;
use crate::cursor::{Cursor, put_varint, put_zigzag};
use crate::error::{Error, Result};

/// How deep unknown structs and lists may nest before the bytes are refused.
const DEPTH_MAX: u32 = 64;
/// Memory that a list is given ahead for each byte that is left.
const MEMORY_PER_BYTE: usize = 8;

/// The type nibble of a field or list element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    True = 1,
    False = 2,
    I8 = 3,
    I16 = 4,
    I32 = 5,
    I64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Set = 10,
    Map = 11,
    Struct = 12,
    Uuid = 13,
}

impl Kind {
    fn of(nibble: u8, at: &Cursor<'_>) -> Result<Kind> {
        Ok(match nibble {
            1 => Kind::True,
            2 => Kind::False,
            3 => Kind::I8,
            4 => Kind::I16,
            5 => Kind::I32,
            6 => Kind::I64,
            7 => Kind::Double,
            8 => Kind::Binary,
            9 => Kind::List,
            10 => Kind::Set,
            11 => Kind::Map,
            12 => Kind::Struct,
            13 => Kind::Uuid,
            _ => return Err(at.corrupt(format!("thrift type {nibble} does not exist"))),
        })
    }

    fn is_bool(self) -> bool {
        matches!(self, Kind::True | Kind::False)
    }
}

/// Reads one value after another; keeps the nesting depth.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub cursor: Cursor<'a>,
    depth: u32,
    /// What may be allocated yet, in bytes: a byte of input can stand for a large struct.
    memory_left: usize,
}

impl<'a> Reader<'a> {
    /// `base` is the file position of the first byte, for errors.
    pub fn new(bytes: &'a [u8], base: u64) -> Reader<'a> {
        Reader { cursor: Cursor::with_base(bytes, base), depth: 0, memory_left: usize::MAX }
    }

    /// The same, which allocates no more than `memory_bytes`.
    pub fn within(bytes: &'a [u8], base: u64, memory_bytes: usize) -> Reader<'a> {
        Reader { memory_left: memory_bytes, ..Reader::new(bytes, base) }
    }

    /// Asked before `bytes` are allocated; [`Error::Limit`] where they are too many.
    #[inline]
    pub fn take_memory(&mut self, bytes: usize) -> Result<()> {
        match self.memory_left.checked_sub(bytes) {
            Some(left) => {
                self.memory_left = left;
                Ok(())
            }
            None => Err(self.no_memory(bytes)),
        }
    }

    /// For how many of a list's `count` elements memory is to be had at once: for all, unless bytes that are left say that they
    /// are hardly there.
    pub fn ahead<T>(&self, count: usize) -> usize {
        let bytes = self.cursor.remaining().saturating_mul(MEMORY_PER_BYTE).max(4096);
        count.min(bytes / size_of::<T>().max(1) + 1)
    }

    #[cold]
    fn no_memory(&self, bytes: usize) -> Error {
        let message = format!("metadata that takes {bytes} bytes more in memory, {} are left", self.memory_left);
        let at = self.cursor.corrupt("").place().byte;
        Error::limit(format!("{message}: raise memory_bytes")).at_byte(at.unwrap_or_default())
    }

    /// What may be allocated yet, in bytes.
    pub fn memory_left(&self) -> usize {
        self.memory_left
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.cursor.corrupt(format!("thrift nests deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }

    /// Calls `field` for each field with its id and type until the struct's end; what it does not
    /// handle it must [`skip`](Self::skip).
    #[inline]
    pub fn fields(&mut self, mut field: impl FnMut(&mut Self, i16, Kind) -> Result<()>) -> Result<()> {
        self.enter()?;
        let mut last = 0i16;
        loop {
            let head = self.cursor.u8()?;
            if head == 0 {
                break;
            }
            let kind = Kind::of(head & 0xf, &self.cursor)?;
            let id = match head >> 4 {
                0 => i16::try_from(self.cursor.zigzag()?)
                    .map_err(|_| self.cursor.corrupt("thrift field id beyond 16 bits"))?,
                delta => last
                    .checked_add(i16::from(delta))
                    .ok_or_else(|| self.cursor.corrupt("thrift field id beyond 16 bits"))?,
            };
            last = id;
            field(self, id, kind)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The element type and count of a list or set.
    pub fn list(&mut self) -> Result<(Kind, usize)> {
        let head = self.cursor.u8()?;
        let count = match head >> 4 {
            15 => self.cursor.varint()?,
            n => u64::from(n),
        };
        // Every element takes a byte at least, so a longer list cannot be there.
        let count = usize::try_from(count).ok().filter(|&n| n <= self.cursor.remaining()).ok_or_else(|| {
            self.cursor.corrupt(format!("list of {count} elements in {} bytes", self.cursor.remaining()))
        })?;
        if count == 0 && head & 0xf == 0 {
            return Ok((Kind::Struct, 0));
        }
        Ok((Kind::of(head & 0xf, &self.cursor)?, count))
    }

    /// A length-prefixed byte string.
    #[inline]
    pub fn binary(&mut self) -> Result<&'a [u8]> {
        let n = self.cursor.varint()?;
        let n = usize::try_from(n).map_err(|_| self.cursor.corrupt("length beyond this machine"))?;
        self.cursor.take(n)
    }

    /// Skips one value of type `kind`.
    #[inline]
    pub fn skip(&mut self, kind: Kind) -> Result<()> {
        let (bytes, at) = (self.cursor.all(), self.cursor.position());
        match skip::value(bytes, at, kind as u8, DEPTH_MAX.saturating_sub(self.depth)) {
            Some(end) => self.cursor.skip(end - at),
            None => self.skip_slowly(kind),
        }
    }

    /// The same, with an error that says where.
    #[cold]
    fn skip_slowly(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::I8 => self.cursor.skip(1),
            Kind::I16 | Kind::I32 | Kind::I64 => self.cursor.varint().map(|_| ()),
            Kind::Double => self.cursor.skip(8),
            Kind::Uuid => self.cursor.skip(16),
            Kind::Binary => self.binary().map(|_| ()),
            Kind::Struct => self.fields(|r, _, kind| r.skip_slowly(kind)),
            Kind::List | Kind::Set => {
                let (kind, count) = self.list()?;
                self.enter()?;
                for _ in 0..count {
                    self.skip_element(kind)?;
                }
                self.depth -= 1;
                Ok(())
            }
            Kind::Map => {
                let count = self.cursor.varint()?;
                if count == 0 {
                    return Ok(());
                }
                if count > self.cursor.remaining() as u64 {
                    return Err(self.cursor.corrupt(format!("map of {count} entries is longer than its bytes")));
                }
                let kinds = self.cursor.u8()?;
                let (key, value) = (Kind::of(kinds >> 4, &self.cursor)?, Kind::of(kinds & 0xf, &self.cursor)?);
                self.enter()?;
                for _ in 0..count {
                    self.skip_element(key)?;
                    self.skip_element(value)?;
                }
                self.depth -= 1;
                Ok(())
            }
        }
    }

    fn skip_element(&mut self, kind: Kind) -> Result<()> {
        if kind.is_bool() { self.cursor.skip(1) } else { self.skip_slowly(kind) }
    }

    /// A value of type `T`, whose wire type was read as `kind`. One of another type is skipped, as a field that is
    /// not known: some writers keep fields of their own under ids that were given to others later.
    #[inline]
    pub fn value<T: Value>(&mut self, kind: Kind) -> Result<Option<T>> {
        if kind != T::KIND && !(kind.is_bool() && T::KIND.is_bool()) {
            return self.skip(kind).map(|()| None);
        }
        T::read(self, kind).map(Some)
    }
}

/// Appends one value after another.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub out: Vec<u8>,
}

impl Writer {
    /// Starts a field's head: `last` is the id of the struct's field before it.
    fn head(&mut self, last: &mut i16, id: i16, kind: Kind) {
        let delta = id - *last;
        if (1..=15).contains(&delta) {
            self.out.push((delta as u8) << 4 | kind as u8);
        } else {
            self.out.push(kind as u8);
            put_zigzag(&mut self.out, i64::from(id));
        }
        *last = id;
    }

    /// One field of a struct.
    #[inline]
    pub fn field<T: Value>(&mut self, last: &mut i16, id: i16, value: &T) {
        self.head(last, id, value.kind());
        value.write(self);
    }

    /// Ends a struct.
    pub fn stop(&mut self) {
        self.out.push(0);
    }
}

/// A type with a place in the compact protocol.
pub(crate) trait Value: Sized {
    /// Its wire type ([`Kind::True`] for both booleans).
    const KIND: Kind;
    /// Its wire type, for this value (a boolean's value is in its type).
    fn kind(&self) -> Kind {
        Self::KIND
    }
    fn read(r: &mut Reader<'_>, kind: Kind) -> Result<Self>;
    fn write(&self, w: &mut Writer);
    /// Like `read`, as an element of a list.
    fn read_element(r: &mut Reader<'_>, kind: Kind) -> Result<Self> {
        Self::read(r, kind)
    }
    fn write_element(&self, w: &mut Writer) {
        self.write(w);
    }
}

impl Value for bool {
    const KIND: Kind = Kind::True;
    fn kind(&self) -> Kind {
        if *self { Kind::True } else { Kind::False }
    }
    fn read(_: &mut Reader<'_>, kind: Kind) -> Result<bool> {
        Ok(kind == Kind::True)
    }
    fn write(&self, _: &mut Writer) {}
    fn read_element(r: &mut Reader<'_>, _: Kind) -> Result<bool> {
        // Writers disagree whether false is 0 or 2; only 1 is true.
        Ok(r.cursor.u8()? == 1)
    }
    fn write_element(&self, w: &mut Writer) {
        w.out.push(self.kind() as u8);
    }
}

impl Value for i8 {
    const KIND: Kind = Kind::I8;
    fn read(r: &mut Reader<'_>, _: Kind) -> Result<i8> {
        r.cursor.u8().map(|b| b as i8)
    }
    fn write(&self, w: &mut Writer) {
        w.out.push(*self as u8);
    }
}

macro_rules! integers {
    ($($t:ty => $kind:ident),*) => {$(
        impl Value for $t {
            const KIND: Kind = Kind::$kind;
            #[inline]
            fn read(r: &mut Reader<'_>, _: Kind) -> Result<$t> {
                let v = r.cursor.zigzag()?;
                <$t>::try_from(v).map_err(|_| r.cursor.corrupt(format!("{v} is beyond {}", stringify!($t))))
            }
            fn write(&self, w: &mut Writer) {
                put_zigzag(&mut w.out, i64::from(*self));
            }
        }
    )*};
}
integers!(i16 => I16, i32 => I32, i64 => I64);

impl Value for f64 {
    const KIND: Kind = Kind::Double;
    fn read(r: &mut Reader<'_>, _: Kind) -> Result<f64> {
        r.cursor.array().map(f64::from_le_bytes)
    }
    fn write(&self, w: &mut Writer) {
        w.out.extend_from_slice(&self.to_le_bytes());
    }
}

/// Thrift's `binary`, whose element type `u8` is no `Value` of its own.
impl Value for Vec<u8> {
    const KIND: Kind = Kind::Binary;
    fn read(r: &mut Reader<'_>, _: Kind) -> Result<Vec<u8>> {
        let bytes = r.binary()?;
        r.take_memory(bytes.len())?;
        Ok(bytes.to_vec())
    }
    fn write(&self, w: &mut Writer) {
        put_varint(&mut w.out, self.len() as u64);
        w.out.extend_from_slice(self);
    }
}

impl Value for String {
    const KIND: Kind = Kind::Binary;
    fn read(r: &mut Reader<'_>, _: Kind) -> Result<String> {
        // Names in real files are not always UTF-8; a lossy name beats an unreadable file.
        let bytes = r.binary()?;
        // A byte that is no UTF-8 becomes three.
        r.take_memory(bytes.len())?;
        // Nearly all are; to look for what is not takes several times as long.
        Ok(str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned))
    }
    fn write(&self, w: &mut Writer) {
        put_varint(&mut w.out, self.len() as u64);
        w.out.extend_from_slice(self.as_bytes());
    }
}

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = Kind::List;
    fn read(r: &mut Reader<'_>, _: Kind) -> Result<Vec<T>> {
        let (kind, count) = r.list()?;
        if count > 0 && kind != T::KIND && !(kind.is_bool() && T::KIND.is_bool()) {
            return Err(r.cursor.corrupt(format!("list of {kind:?} where {:?} belong", T::KIND)));
        }
        // The count is bounded by the bytes, not by what the elements take in memory.
        r.take_memory(count.saturating_mul(size_of::<T>()))?;
        let mut list = Vec::with_capacity(r.ahead::<T>(count));
        for _ in 0..count {
            list.push(T::read_element(r, kind)?);
        }
        Ok(list)
    }
    fn write(&self, w: &mut Writer) {
        match self.len() {
            n @ 0..=14 => w.out.push((n as u8) << 4 | T::KIND as u8),
            n => {
                w.out.push(0xf0 | T::KIND as u8);
                put_varint(&mut w.out, n as u64);
            }
        }
        for element in self {
            element.write_element(w);
        }
    }
}

/// Decodes one struct at the start of `bytes`; also the bytes that it took.
///
/// `base` is the file position of the first byte. Source: the caller names the file.
pub(crate) fn decode<T: Value>(bytes: &[u8], base: u64) -> Result<(T, usize)> {
    let mut r = Reader::new(bytes, base);
    let value = T::read(&mut r, T::KIND)?;
    Ok((value, r.cursor.position()))
}

/// The same, which allocates no more than `memory_bytes`.
pub(crate) fn decode_within<T: Value>(bytes: &[u8], base: u64, memory_bytes: usize) -> Result<T> {
    T::read(&mut Reader::within(bytes, base, memory_bytes), T::KIND)
}

/// Where the struct at the start of `bytes` ends, without the fast way.
#[cfg(test)]
pub(super) fn skip_slowly(bytes: &[u8]) -> Option<usize> {
    let mut r = Reader::new(bytes, 0);
    r.skip_slowly(Kind::Struct).ok()?;
    Some(r.cursor.position())
}

/// Encodes one struct.
pub(crate) fn encode<T: Value>(value: &T) -> Vec<u8> {
    let mut w = Writer::default();
    value.write(&mut w);
    w.out
}

/// The error for a required field that is not there.
#[cold]
pub(crate) fn missing(r: &Reader<'_>, record: &str, field: &str) -> Error {
    r.cursor.corrupt(format!("{record} has no {field}"))
}

/// A struct with numbered fields, required or optional, and its [`Value`].
macro_rules! record {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$fdoc:meta])* $id:literal: $need:ident $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $crate::parquet::format::thrift::record!(@type $need $type),)*
        }
        impl $crate::parquet::format::thrift::Value for $name {
            const KIND: $crate::parquet::format::thrift::Kind = $crate::parquet::format::thrift::Kind::Struct;
            fn read(
                r: &mut $crate::parquet::format::thrift::Reader<'_>,
                _: $crate::parquet::format::thrift::Kind,
            ) -> $crate::error::Result<$name> {
                $(let mut $field: Option<$type> = None;)*
                r.fields(|r, id, kind| {
                    match id {
                        $($id => $field = r.value::<$type>(kind)?.or($field.take()),)*
                        _ => r.skip(kind)?,
                    }
                    Ok(())
                })?;
                Ok($name {
                    $($field: $crate::parquet::format::thrift::record!(@take $need $field r $name),)*
                })
            }
            fn write(&self, w: &mut $crate::parquet::format::thrift::Writer) {
                #[allow(unused_mut, unused_variables, reason = "a record may have no fields")]
                let mut last = 0i16;
                $($crate::parquet::format::thrift::record!(@put $need self w last $id $field);)*
                w.stop();
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@take required $field:ident $r:ident $name:ident) => {
        $field.ok_or_else(|| {
            $crate::parquet::format::thrift::missing($r, stringify!($name), stringify!($field))
        })?
    };
    (@take optional $field:ident $r:ident $name:ident) => { $field };
    (@put required $self:ident $w:ident $last:ident $id:literal $field:ident) => {
        $w.field(&mut $last, $id, &$self.$field)
    };
    (@put optional $self:ident $w:ident $last:ident $id:literal $field:ident) => {
        if let Some(value) = &$self.$field {
            $w.field(&mut $last, $id, value)
        }
    };
}
pub(crate) use record;

/// An enum on the wire as i32, open to values of the future.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A value that this crate does not know.
            Unknown(i32),
        }
        impl From<i32> for $name {
            fn from(value: i32) -> $name {
                match value { $($value => $name::$variant,)* other => $name::Unknown(other) }
            }
        }
        impl From<$name> for i32 {
            fn from(value: $name) -> i32 {
                match value { $($name::$variant => $value,)* $name::Unknown(other) => other }
            }
        }
        impl $crate::parquet::format::thrift::Value for $name {
            const KIND: $crate::parquet::format::thrift::Kind = $crate::parquet::format::thrift::Kind::I32;
            fn read(
                r: &mut $crate::parquet::format::thrift::Reader<'_>,
                kind: $crate::parquet::format::thrift::Kind,
            ) -> $crate::error::Result<$name> {
                <i32 as $crate::parquet::format::thrift::Value>::read(r, kind).map($name::from)
            }
            fn write(&self, w: &mut $crate::parquet::format::thrift::Writer) {
                $crate::parquet::format::thrift::Value::write(&i32::from(*self), w);
            }
        }
    };
}
pub(crate) use open_enum;

/// A union: a struct of which one field is set; open to members of the future.
macro_rules! choice {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $id:literal: $variant:ident($type:ty),)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $($(#[$vdoc])* $variant($type),)*
            /// A member that this crate does not know, by its field id (0: none was set).
            Unknown(i16),
        }
        impl $crate::parquet::format::thrift::Value for $name {
            const KIND: $crate::parquet::format::thrift::Kind = $crate::parquet::format::thrift::Kind::Struct;
            fn read(
                r: &mut $crate::parquet::format::thrift::Reader<'_>,
                _: $crate::parquet::format::thrift::Kind,
            ) -> $crate::error::Result<$name> {
                let mut member = $name::Unknown(0);
                r.fields(|r, id, kind| {
                    member = match id {
                        $($id => r.value::<$type>(kind)?.map_or($name::Unknown($id), $name::$variant),)*
                        other => { r.skip(kind)?; $name::Unknown(other) }
                    };
                    Ok(())
                })?;
                Ok(member)
            }
            fn write(&self, w: &mut $crate::parquet::format::thrift::Writer) {
                let mut last = 0i16;
                match self {
                    $($name::$variant(value) => w.field(&mut last, $id, value),)*
                    $name::Unknown(_) => {}
                }
                w.stop();
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests;
