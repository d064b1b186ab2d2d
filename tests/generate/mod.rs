//! Arrays of every type that can be written, from a seed.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod nested;

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType as D, Field, Schema, TimeUnit as U};

/// Numbers without a pattern (xorshift64*), the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// How many of the values are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    None,
    Some,
    All,
}

/// Every type that can be written, with each parameter that matters.
pub fn every_type() -> Vec<D> {
    let mut types = vec![
        D::Null,
        D::Boolean,
        D::Int8,
        D::Int16,
        D::Int32,
        D::Int64,
        D::UInt8,
        D::UInt16,
        D::UInt32,
        D::UInt64,
        D::Float16,
        D::Float32,
        D::Float64,
        D::Utf8,
        D::LargeUtf8,
        D::Utf8View,
        D::Binary,
        D::LargeBinary,
        D::BinaryView,
        D::FixedSizeBinary(1),
        D::FixedSizeBinary(16),
        D::FixedSizeBinary(100),
        D::Date32,
        D::Date64,
        D::Time32(U::Second),
        D::Time32(U::Millisecond),
        D::Time64(U::Microsecond),
        D::Time64(U::Nanosecond),
        D::Decimal32(9, 2),
        D::Decimal64(9, 0),
        D::Decimal64(18, 18),
        D::Decimal128(5, 5),
        D::Decimal128(18, 3),
        D::Decimal128(38, 10),
        D::Decimal256(9, 1),
        D::Decimal256(18, 1),
        D::Decimal256(38, 1),
        D::Decimal256(76, 70),
        D::Dictionary(D::Int8.into(), D::Utf8.into()),
        D::Dictionary(D::UInt16.into(), D::Utf8View.into()),
        D::Dictionary(D::UInt32.into(), D::Int64.into()),
        D::Dictionary(D::Int64.into(), D::FixedSizeBinary(3).into()),
        D::Dictionary(D::Int32.into(), D::Decimal128(30, 2).into()),
        D::Dictionary(D::Int32.into(), D::Timestamp(U::Second, Some("UTC".into())).into()),
    ];
    for unit in [U::Second, U::Millisecond, U::Microsecond, U::Nanosecond] {
        types.push(D::Duration(unit));
        types.push(D::Timestamp(unit, None));
        types.push(D::Timestamp(unit, Some("Europe/Berlin".into())));
    }
    types
}

/// A schema of columns `c0`, `c1`, … of these types.
pub fn schema_of(types: &[D], nullable: bool) -> Arc<Schema> {
    let fields =
        types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t.clone(), nullable || *t == D::Null));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// An array of `rows` values; with `distinct`, of at most so many different ones.
pub fn array(data_type: &D, rows: usize, nulls: Nulls, distinct: Option<u64>, random: &mut Random) -> ArrayRef {
    let valid: Vec<bool> = (0..rows)
        .map(|_| match nulls {
            Nulls::None => true,
            // Runs of either, too.
            Nulls::Some => random.below(3) > 0,
            Nulls::All => false,
        })
        .collect();
    if let D::Dictionary(key, value) = data_type {
        return dictionary(key, value, &valid, nulls, random);
    }
    let seeds: Vec<Option<u64>> = valid
        .iter()
        .map(|&is_valid| {
            let n = random.next();
            is_valid.then_some(match distinct {
                Some(distinct) => Random::new(n % distinct + 1).next(),
                None => n,
            })
        })
        .collect();
    of_seeds(data_type, &seeds)
}

/// Each value a function of its seed.
fn of_seeds(data_type: &D, seeds: &[Option<u64>]) -> ArrayRef {
    macro_rules! primitive {
        ($t:ty, $f:expr) => {{
            let to: fn(u64) -> <$t as ArrowPrimitiveType>::Native = $f;
            let array: PrimitiveArray<$t> = seeds.iter().map(|s| s.map(to)).collect();
            Arc::new(array.with_data_type(data_type.clone())) as ArrayRef
        }};
    }
    // Numbers of few digits and of many.
    let digits = |s: u64, digits: u8| {
        (s as i128).wrapping_mul(s as i128 + 12_345).rem_euclid(10i128.pow(u32::from(digits)))
            * if s & 1 == 0 { 1 } else { -1 }
    };
    match data_type {
        D::Null => Arc::new(NullArray::new(seeds.len())),
        D::Boolean => Arc::new(seeds.iter().map(|s| s.map(|s| s & 1 == 1)).collect::<BooleanArray>()),
        D::Int8 => primitive!(Int8Type, |s| s as i8),
        D::Int16 => primitive!(Int16Type, |s| s as i16),
        D::Int32 => primitive!(Int32Type, |s| s as i32),
        D::Int64 => primitive!(Int64Type, |s| s as i64),
        D::UInt8 => primitive!(UInt8Type, |s| s as u8),
        D::UInt16 => primitive!(UInt16Type, |s| s as u16),
        D::UInt32 => primitive!(UInt32Type, |s| s as u32),
        D::UInt64 => primitive!(UInt64Type, |s| s),
        D::Float16 => primitive!(Float16Type, |s| half::f16::from_f64((s as i64 as f64) / 1e16)),
        D::Float32 => primitive!(Float32Type, |s| if s.is_multiple_of(50) { -0.0 } else { s as i64 as f32 }),
        D::Float64 => primitive!(Float64Type, |s| if s.is_multiple_of(50) { 0.0 } else { s as i64 as f64 / 3.0 }),
        D::Utf8 => Arc::new(seeds.iter().map(|s| s.map(text)).collect::<StringArray>()),
        D::LargeUtf8 => Arc::new(seeds.iter().map(|s| s.map(text)).collect::<LargeStringArray>()),
        D::Utf8View => Arc::new(seeds.iter().map(|s| s.map(text)).collect::<StringViewArray>()),
        D::Binary => Arc::new(seeds.iter().map(|s| s.map(bytes)).collect::<BinaryArray>()),
        D::LargeBinary => Arc::new(seeds.iter().map(|s| s.map(bytes)).collect::<LargeBinaryArray>()),
        D::BinaryView => Arc::new(seeds.iter().map(|s| s.map(bytes)).collect::<BinaryViewArray>()),
        D::FixedSizeBinary(width) => {
            let mut builder = FixedSizeBinaryBuilder::new(*width);
            for seed in seeds {
                match seed {
                    Some(s) => {
                        let mut random = Random::new(*s);
                        let value: Vec<u8> = (0..*width).map(|_| random.next() as u8).collect();
                        builder.append_value(value).expect("of that width");
                    }
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        D::Date32 => primitive!(Date32Type, |s| s as i32),
        D::Date64 => primitive!(Date64Type, |s| i64::from(s as i32 / 64) * 86_400_000),
        D::Time32(U::Second) => primitive!(Time32SecondType, |s| (s % 86_400) as i32),
        D::Time32(_) => primitive!(Time32MillisecondType, |s| (s % 86_400_000) as i32),
        D::Time64(U::Microsecond) => primitive!(Time64MicrosecondType, |s| (s % 86_400_000_000) as i64),
        D::Time64(_) => primitive!(Time64NanosecondType, |s| (s % 86_400_000_000_000) as i64),
        D::Timestamp(U::Second, _) => primitive!(TimestampSecondType, |s| i64::from(s as i32)),
        D::Timestamp(U::Millisecond, _) => primitive!(TimestampMillisecondType, |s| s as i64),
        D::Timestamp(U::Microsecond, _) => primitive!(TimestampMicrosecondType, |s| s as i64),
        D::Timestamp(U::Nanosecond, _) => primitive!(TimestampNanosecondType, |s| s as i64),
        D::Duration(U::Second) => primitive!(DurationSecondType, |s| s as i64),
        D::Duration(U::Millisecond) => primitive!(DurationMillisecondType, |s| s as i64),
        D::Duration(U::Microsecond) => primitive!(DurationMicrosecondType, |s| s as i64),
        D::Duration(U::Nanosecond) => primitive!(DurationNanosecondType, |s| s as i64),
        D::Decimal32(p, _) => {
            let array: Decimal32Array = seeds.iter().map(|s| s.map(|s| digits(s, *p) as i32)).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        D::Decimal64(p, _) => {
            let array: Decimal64Array = seeds.iter().map(|s| s.map(|s| digits(s, *p) as i64)).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        D::Decimal128(p, _) => {
            let array: Decimal128Array = seeds.iter().map(|s| s.map(|s| digits(s, *p))).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        D::Decimal256(p, _) => {
            let wide = |s: u64| {
                let value = i256::from_i128(digits(s, (*p).min(38)));
                if *p > 38 { value.wrapping_mul(i256::from_i128(10i128.pow(u32::from(*p - 38)))) } else { value }
            };
            let array: Decimal256Array = seeds.iter().map(|s| s.map(wide)).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        other => unimplemented!("{other}"),
    }
}

/// A dictionary of few values, with a null among them and one that no key names; null by key or by value.
fn dictionary(key: &D, value: &D, valid: &[bool], nulls: Nulls, random: &mut Random) -> ArrayRef {
    const VALUES: u64 = 20;
    let seeds: Vec<Option<u64>> =
        (0..VALUES).map(|i| (i != 3 || nulls == Nulls::None).then(|| random.next())).collect();
    let values = of_seeds(value, &seeds);
    let keys: Vec<Option<u8>> = valid
        .iter()
        .map(|&is_valid| match (is_valid, nulls, random.below(2)) {
            (false, _, 0) => None,
            (false, _, _) => Some(3),
            (true, Nulls::None, _) => Some(random.below(VALUES - 1) as u8),
            (true, _, _) => Some(4 + random.below(VALUES - 5) as u8),
        })
        .collect();
    macro_rules! with_keys {
        ($t:ty) => {{
            let keys: PrimitiveArray<$t> =
                keys.iter().map(|k| k.map(|k| k as <$t as ArrowPrimitiveType>::Native)).collect();
            Arc::new(DictionaryArray::new(keys, values)) as ArrayRef
        }};
    }
    match key {
        D::Int8 => with_keys!(Int8Type),
        D::Int32 => with_keys!(Int32Type),
        D::Int64 => with_keys!(Int64Type),
        D::UInt16 => with_keys!(UInt16Type),
        D::UInt32 => with_keys!(UInt32Type),
        other => unimplemented!("keys of {other}"),
    }
}

/// Short and long, of one and of more bytes a character.
fn text(seed: u64) -> String {
    let mut random = Random::new(seed);
    let length = if seed.is_multiple_of(7) { random.below(200) } else { random.below(12) };
    let letters = ['a', 'b', 'z', 'é', '日', '\u{10ffff}', '\u{7f}'];
    (0..length).map(|_| letters[random.below(letters.len() as u64) as usize]).collect()
}

fn bytes(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let length = if seed.is_multiple_of(7) { random.below(200) } else { random.below(12) };
    (0..length).map(|_| if random.below(3) == 0 { 0xff } else { random.next() as u8 }).collect()
}
