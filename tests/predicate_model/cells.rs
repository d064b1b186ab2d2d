//! The columns, and their values as the interpreter knows them.

use std::sync::Arc;

use arrow_array::*;
use arrow_buffer::i256;
use half::f16;

/// A value as the interpreter knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    Bool(bool),
    /// Millionths.
    Num(i128),
    F16(f64),
    F32(f64),
    F64(f64),
    Text(&'static str),
    Bytes(&'static [u8]),
    /// Nanoseconds since 1970.
    Instant(i128),
    /// Nanoseconds since midnight.
    Clock(i64),
}
pub use Cell::*;

pub struct Column {
    pub name: &'static str,
    pub pool: Vec<Cell>,
    pub array: fn(&[Option<Cell>]) -> ArrayRef,
}

macro_rules! ints {
    ($cells:expr, $array:ty, $unit:expr) => {
        Arc::new(
            $cells
                .iter()
                .map(|c| {
                    c.map(|c| match c {
                        Num(n) | Instant(n) => (n / $unit).try_into().unwrap(),
                        Clock(n) => (i128::from(n) / $unit).try_into().unwrap(),
                        other => panic!("{other:?}"),
                    })
                })
                .collect::<$array>(),
        )
    };
}

macro_rules! floats {
    ($cells:expr, $array:ty, $cast:expr) => {
        Arc::new(
            $cells
                .iter()
                .map(|c| c.map(|c| if let F16(f) | F32(f) | F64(f) = c { $cast(f) } else { panic!("{c:?}") }))
                .collect::<$array>(),
        )
    };
}

pub fn text(c: &Option<Cell>) -> Option<&'static str> {
    c.map(|c| if let Text(t) = c { t } else { panic!("{c:?}") })
}

pub fn bytes(c: &Option<Cell>) -> Option<&'static [u8]> {
    c.map(|c| if let Bytes(b) = c { b } else { panic!("{c:?}") })
}

pub const M: i128 = 1_000_000;
pub const S: i128 = 1_000_000_000;
pub const DAY: i128 = 86_400 * S;
pub const TEXTS: [&str; 9] = ["", "a", "ab", "abc", "b", "a%c", "A", "ß", "a\u{10FFFF}z"];

pub fn columns() -> Vec<Column> {
    let nums = |all: &[i128]| all.iter().map(|n| Num(n * M)).collect::<Vec<_>>();
    let specials = [f64::NAN, -f64::NAN, -0.0, 0.0, 1.5, 0.1, f64::INFINITY, f64::NEG_INFINITY, -2.0];
    let texts = TEXTS.map(Text).to_vec();
    vec![
        Column { name: "i8", pool: nums(&[-128, -1, 0, 1, 2, 100, 127]), array: |c| ints!(c, Int8Array, M) },
        Column {
            name: "i64",
            pool: nums(&[i64::MIN.into(), -1, 0, 1, 2, 100, i64::MAX.into()]),
            array: |c| ints!(c, Int64Array, M),
        },
        Column {
            name: "u64",
            pool: nums(&[0, 1, 2, 100, 1 << 63, u64::MAX.into()]),
            array: |c| ints!(c, UInt64Array, M),
        },
        Column {
            name: "dec",
            pool: [-25, 0, 150, 200, 9_999_999_975].map(|n| Num(n * 10_000)).to_vec(),
            array: |c| {
                let values: Decimal128Array =
                    c.iter().map(|c| c.map(|c| if let Num(n) = c { n / 10_000 } else { panic!() })).collect();
                Arc::new(values.with_precision_and_scale(10, 2).unwrap())
            },
        },
        Column {
            name: "dec256",
            pool: [-250, 0, 1500, 2000, 250].map(|n| Num(n * 1000)).to_vec(),
            array: |c| {
                let values: Decimal256Array = c
                    .iter()
                    .map(|c| c.map(|c| if let Num(n) = c { i256::from_i128(n / 1000) } else { panic!() }))
                    .collect();
                Arc::new(values.with_precision_and_scale(50, 3).unwrap())
            },
        },
        Column {
            name: "f16",
            pool: specials.map(|f| F16(f16::from_f64(f).to_f64())).to_vec(),
            array: |c| floats!(c, Float16Array, f16::from_f64),
        },
        Column {
            name: "f32",
            pool: specials.iter().map(|f| F32(f64::from(*f as f32))).chain([F32(f32::MAX.into())]).collect(),
            array: |c| floats!(c, Float32Array, |f| f as f32),
        },
        Column { name: "f64", pool: specials.map(F64).to_vec(), array: |c| floats!(c, Float64Array, |f| f) },
        Column {
            name: "bool",
            pool: vec![Bool(false), Bool(true)],
            array: |c| Arc::new(c.iter().map(|c| c.map(|c| c == Bool(true))).collect::<BooleanArray>()),
        },
        Column { name: "utf8", pool: texts.clone(), array: |c| Arc::new(c.iter().map(text).collect::<StringArray>()) },
        Column {
            name: "view",
            pool: texts.clone(),
            array: |c| Arc::new(c.iter().map(text).collect::<StringViewArray>()),
        },
        Column {
            name: "dict",
            pool: texts,
            array: |c| Arc::new(c.iter().map(text).collect::<DictionaryArray<types::Int8Type>>()),
        },
        Column {
            name: "bin",
            pool: vec![Bytes(b""), Bytes(b"a"), Bytes(b"ab"), Bytes(b"\xff"), Bytes(b"b")],
            array: |c| Arc::new(c.iter().map(bytes).collect::<BinaryArray>()),
        },
        Column {
            name: "fixed",
            pool: vec![Bytes(b"\0\0"), Bytes(b"a\0"), Bytes(b"ab"), Bytes(b"\xff\xff")],
            array: |c| Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(c.iter().map(bytes), 2).unwrap()),
        },
        Column {
            name: "ts_s",
            pool: [i64::MIN.into(), -1, 0, 1, 86_400, i64::MAX.into()].map(|n: i128| Instant(n * S)).to_vec(),
            array: |c| ints!(c, TimestampSecondArray, S),
        },
        Column {
            name: "ts_us",
            pool: [-1, 0, 1, 1_500_000, 86_400_000_000].map(|n| Instant(n * 1000)).to_vec(),
            array: |c| {
                let array: Arc<TimestampMicrosecondArray> = ints!(c, TimestampMicrosecondArray, 1000);
                Arc::new(array.as_ref().clone().with_timezone("UTC"))
            },
        },
        Column {
            name: "date32",
            pool: [-1, 0, 1, 10].map(|n| Instant(n * DAY)).to_vec(),
            array: |c| ints!(c, Date32Array, DAY),
        },
        Column {
            name: "time",
            pool: [0, 1, 1500, 86_399_999].map(|n| Clock(n * 1_000_000)).to_vec(),
            array: |c| ints!(c, Time32MillisecondArray, M),
        },
        Column { name: "null", pool: vec![Bool(true)], array: |c| Arc::new(NullArray::new(c.len())) },
    ]
}
