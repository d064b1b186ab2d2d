//! ALP: floating-point numbers that are really decimals, as small integers.
//!
//! Spec: AlpEncoding.md, "ALP (Adaptive Lossless floating-Point) Encoding".
//!
//! ```text
//! page    = mode (1: 0) integers (1: 0) log2 of vector size (1) count (4) | offset (4) × vectors | vector…
//! vector  = exponent (1) factor (1) exceptions (2) | least integer (4 or 8) width (1)
//!         | packed integers | exception's position (2) × exceptions | exception's value (4 or 8) × exceptions
//! value   = integer × 10^factor × 10^-exponent, as two multiplications in this order
//! ```
//!
//! An exception is a value that does not come back to the bit; it is stored as it is.

use super::bit_pack::{self, BLOCK};
use super::plain::Fixed;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// Values per vector that we write: 2^10.
const LOG_VECTOR: u8 = 10;
/// Values of a page that the choice of exponent and factor looks at.
const SAMPLE: usize = 256;
/// Neighbours in the sample.
const STRETCH: usize = 16;

/// A float that ALP can encode.
pub trait Float: Fixed + PartialEq {
    /// Bytes of the integers: those of the float.
    const WIDTH: usize;
    /// Greatest exponent.
    const EXPONENT_MAX: u8;
    /// The nearest integer to `self × 10^e × 10^-f`, sign-extended; none beyond the type.
    fn to_integer(self, e: u8, f: u8) -> Option<i64>;
    /// `integer × 10^f × 10^-e`.
    fn of_integer(integer: i64, e: u8, f: u8) -> Self;
    /// The IEEE 754 bits are the same.
    fn same(self, other: Self) -> bool;
}

macro_rules! float {
    ($t:ty, $int:ty, $max:literal, [$($up:literal)*], [$($down:literal)*]) => {
        impl Float for $t {
            const WIDTH: usize = size_of::<$t>();
            const EXPONENT_MAX: u8 = $max;
            #[inline(always)]
            fn to_integer(self, e: u8, f: u8) -> Option<i64> {
                const UP: &[$t] = &[$($up),*];
                const DOWN: &[$t] = &[$($down),*];
                let scaled = (self * UP.get(usize::from(e))? * DOWN.get(usize::from(f))?).round_ties_even();
                // The least integer of the type is exact as a float, the greatest may not be.
                (scaled >= <$int>::MIN as $t && scaled < -(<$int>::MIN as $t)).then(|| i64::from(scaled as $int))
            }
            #[inline(always)]
            fn of_integer(integer: i64, e: u8, f: u8) -> $t {
                const UP: &[$t] = &[$($up),*];
                const DOWN: &[$t] = &[$($down),*];
                let (up, down) = (UP.get(usize::from(f)), DOWN.get(usize::from(e)));
                integer as $int as $t * up.copied().unwrap_or(1.0) * down.copied().unwrap_or(1.0)
            }
            #[inline(always)]
            fn same(self, other: $t) -> bool {
                self.to_bits() == other.to_bits()
            }
        }
    };
}
float!(f32, i32, 10, [1e0 1e1 1e2 1e3 1e4 1e5 1e6 1e7 1e8 1e9 1e10],
    [1e0 1e-1 1e-2 1e-3 1e-4 1e-5 1e-6 1e-7 1e-8 1e-9 1e-10]);
float!(f64, i64, 18, [1e0 1e1 1e2 1e3 1e4 1e5 1e6 1e7 1e8 1e9 1e10 1e11 1e12 1e13 1e14 1e15 1e16 1e17 1e18],
    [1e0 1e-1 1e-2 1e-3 1e-4 1e-5 1e-6 1e-7 1e-8 1e-9 1e-10 1e-11 1e-12 1e-13 1e-14 1e-15 1e-16 1e-17 1e-18]);

/// Appends a page of `values`, encoded; more than `i32::MAX` are an error.
pub fn encode<T: Float>(values: &[T], out: &mut Vec<u8>) -> Result<()> {
    let count = i32::try_from(values.len()).map_err(|_| Error::limit("an ALP page holds at most 2^31 - 1 values"))?;
    out.extend([0, 0, LOG_VECTOR]);
    out.extend(count.to_le_bytes());
    let vector_values = 1 << LOG_VECTOR;
    let offsets_at = out.len();
    out.resize(offsets_at + values.len().div_ceil(vector_values) * 4, 0);
    let (e, f) = choose(values);
    for (i, vector) in values.chunks(vector_values).enumerate() {
        let offset = u32::try_from(out.len() - offsets_at).map_err(|_| Error::limit("an ALP page beyond 4 GiB"))?;
        if let Some(slot) = out.get_mut(offsets_at + 4 * i..offsets_at + 4 * i + 4) {
            slot.copy_from_slice(&offset.to_le_bytes());
        }
        encode_vector(vector, e, f, out);
    }
    Ok(())
}

/// The exponent and factor that make a sample of the page smallest.
fn choose<T: Float>(values: &[T]) -> (u8, u8) {
    // Stretches, not every n-th value: a stride would fall in step with values that repeat.
    let stretches = values.len().div_ceil(STRETCH);
    let step = stretches.div_ceil(SAMPLE / STRETCH).max(1);
    let sample: Vec<T> = values.chunks(STRETCH).step_by(step).flatten().copied().collect();
    let mut best = (usize::MAX, (0, 0));
    for e in 0..=T::EXPONENT_MAX {
        for f in 0..=e {
            let (mut least, mut greatest, mut exceptions) = (i64::MAX, i64::MIN, 0);
            for &value in &sample {
                match value.to_integer(e, f).filter(|&i| T::of_integer(i, e, f).same(value)) {
                    Some(i) => (least, greatest) = (least.min(i), greatest.max(i)),
                    None => exceptions += 1,
                }
            }
            let range = if least > greatest { 0 } else { greatest.wrapping_sub(least) as u64 };
            let width = (64 - range.leading_zeros()) as usize;
            let bits = sample.len() * width + exceptions * 8 * (T::WIDTH + 2);
            // Of equals the smaller exponent, which comes first.
            if bits < best.0 {
                best = (bits, (e, f));
            }
        }
    }
    best.1
}

fn encode_vector<T: Float>(values: &[T], e: u8, f: u8, out: &mut Vec<u8>) {
    let mut integers = Vec::with_capacity(values.len());
    let mut exceptions: Vec<(u16, T)> = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        match value.to_integer(e, f).filter(|&i| T::of_integer(i, e, f).same(value)) {
            Some(integer) => integers.push(Some(integer)),
            None => {
                integers.push(None);
                exceptions.push((i as u16, value));
            }
        }
    }
    // An exception's place is taken by a value of the vector, so that the range stays narrow.
    let filler = integers.iter().flatten().next().copied().unwrap_or(0);
    let least = integers.iter().flatten().min().copied().unwrap_or(0);
    let greatest = integers.iter().flatten().max().copied().unwrap_or(0);
    let width = 64 - (greatest.wrapping_sub(least) as u64).leading_zeros();

    out.extend([e, f]);
    out.extend((exceptions.len() as u16).to_le_bytes());
    out.extend(least.to_le_bytes().iter().take(T::WIDTH));
    out.push(width as u8);
    let packed_at = out.len();
    for block in integers.chunks(BLOCK) {
        let mut deltas = [0u64; BLOCK];
        for (to, from) in deltas.iter_mut().zip(block) {
            *to = from.unwrap_or(filler).wrapping_sub(least) as u64;
        }
        bit_pack::pack_block_wide(&deltas, width, out);
    }
    out.truncate(packed_at + bit_pack::packed_bytes(values.len(), width));
    exceptions.iter().for_each(|(at, _)| out.extend(at.to_le_bytes()));
    let originals: Vec<T> = exceptions.into_iter().map(|(_, value)| value).collect();
    T::encode(&originals, out);
}

/// A page's frame: where each vector lies.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    /// From the start of the offsets.
    bytes: &'a [u8],
    count: usize,
    log_vector: u8,
}

impl<'a> Decoder<'a> {
    /// Reads the page's header. A page without values may be empty.
    pub fn new(bytes: &'a [u8]) -> Result<Decoder<'a>> {
        if bytes.is_empty() {
            return Ok(Decoder { bytes, count: 0, log_vector: LOG_VECTOR });
        }
        let mut c = Cursor::new(bytes);
        let [mode, integers, log_vector] = c.array()?;
        if mode != 0 || integers != 0 {
            return Err(Error::unsupported(format!("ALP mode {mode} with integer encoding {integers}")));
        }
        if !(3..=15).contains(&log_vector) {
            return Err(c.corrupt(format!("ALP vectors of 2^{log_vector} values; 2^3 to 2^15 are allowed")));
        }
        let count = i32::from_le_bytes(c.array()?);
        let count = usize::try_from(count).map_err(|_| c.corrupt(format!("{count} ALP values")))?;
        let vectors = count.div_ceil(1 << log_vector);
        if c.remaining() / 4 < vectors {
            return Err(c.corrupt(format!("{vectors} ALP vectors in {} bytes", c.remaining())));
        }
        Ok(Decoder { bytes: c.rest(), count, log_vector })
    }

    /// Values of the page.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the page has no values.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends values `skip..skip + n`; only the vectors that hold them are decoded.
    pub fn read<T: Float>(&self, skip: usize, n: usize, out: &mut Vec<T>) -> Result<()> {
        let end = skip.checked_add(n).filter(|&end| end <= self.count).ok_or_else(|| {
            Error::corrupt(format!("ALP values {skip} to {skip} + {n} wanted, {} are there", self.count))
        })?;
        let vector_values = 1usize << self.log_vector;
        let mut at = skip;
        while at < end {
            let vector = at >> self.log_vector;
            let first = vector << self.log_vector;
            let values = vector_values.min(self.count - first);
            let (from, to) = (at - first, values.min(end - first));
            let start = out.len();
            self.vector(vector, values, out)?;
            // Of a vector at the edge only a part is wanted.
            out.truncate(start + to);
            out.drain(start..start + from);
            at = first + to;
        }
        Ok(())
    }

    fn vector<T: Float>(&self, vector: usize, values: usize, out: &mut Vec<T>) -> Result<()> {
        let offset = self.bytes.get(4 * vector..).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes);
        let bytes = offset.and_then(|o| self.bytes.get(o as usize..)).ok_or_else(|| {
            Error::corrupt(format!("ALP vector {vector} begins at {offset:?} of {} bytes", self.bytes.len()))
        })?;
        let mut c = Cursor::with_base(bytes, (self.bytes.len() - bytes.len()) as u64);
        let [e, f] = c.array()?;
        let exceptions = usize::from(u16::from_le_bytes(c.array()?));
        if e > T::EXPONENT_MAX || f > e || exceptions > values {
            return Err(c.corrupt(format!("an ALP vector of exponent {e}, factor {f}, {exceptions} exceptions")));
        }
        let mut least = [0u8; 8];
        for (to, from) in least.iter_mut().zip(c.take(T::WIDTH)?) {
            *to = *from;
        }
        let least = u64::from_le_bytes(least);
        let width = u32::from(c.u8()?);
        if width as usize > 8 * T::WIDTH {
            return Err(c.corrupt(format!("ALP integers of {width} bits")));
        }
        let mut packed = c.take(bit_pack::packed_bytes(values, width))?;
        let start = out.len();
        let mut block = [0u64; BLOCK];
        for done in (0..values).step_by(BLOCK) {
            packed = bit_pack::unpack_block_wide(packed, width, &mut block);
            let block = block.iter().take(values - done);
            out.extend(block.map(|&delta| T::of_integer(least.wrapping_add(delta) as i64, e, f)));
        }
        let (positions, _) = c.take(2 * exceptions)?.as_chunks::<2>();
        let mut originals = Vec::with_capacity(exceptions);
        T::decode(c.take(T::WIDTH * exceptions)?, &mut originals);
        for (at, original) in positions.iter().zip(originals) {
            let at = usize::from(u16::from_le_bytes(*at));
            match out.get_mut(start + at) {
                Some(slot) => *slot = original,
                None => return Err(c.corrupt(format!("an ALP exception at {at} of {values} values"))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<T: Float + std::fmt::Debug>(values: &[T]) -> usize {
        let mut out = Vec::new();
        encode(values, &mut out).expect("encodes");
        let mut back = Vec::new();
        let d = Decoder::new(&out).expect("header");
        assert_eq!(d.len(), values.len());
        d.read::<T>(0, values.len(), &mut back).expect("decodes");
        for (i, (a, b)) in values.iter().zip(&back).enumerate() {
            assert!(a.same(*b), "value {i}: {a:?} came back as {b:?}");
        }
        out.len()
    }

    #[test]
    fn the_specifications_worked_example() {
        let mut vector = Vec::new();
        encode_vector(&[1500.0, f64::NAN, 2500.0, 333.5], 4, 3, &mut vector);
        assert_eq!(vector.len(), 31);
        assert_eq!(vector[..4], [4, 3, 1, 0]);
        assert_eq!(vector[4..12], 3335u64.to_le_bytes());
        assert_eq!(vector[12], 15);
        assert_eq!(vector[21..23], [1, 0]);
        assert_eq!(vector[23..], f64::NAN.to_le_bytes());
    }

    #[test]
    fn prices_take_few_bits_and_odd_values_survive() {
        let prices: Vec<f64> = (0..5000).map(|i| f64::from(i * 37 % 10_000) / 100.0).collect();
        assert!(round_trip(&prices) < 5000 * 2);
        round_trip(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN, f64::MAX, 1e-300, 0.1]);
        round_trip(&[0.0f32, -0.0, f32::INFINITY, f32::NAN, f32::MIN, f32::MAX, 2.5, 1e-30, 2_147_483_648.0]);
        round_trip::<f32>(&[]);
    }

    #[test]
    fn a_stretch_decodes_alone() {
        let values: Vec<f32> = (0..3000).map(|i| i as f32 / 8.0).collect();
        let mut out = Vec::new();
        encode(&values, &mut out).expect("encodes");
        let d = Decoder::new(&out).expect("header");
        for (skip, n) in [(0, 3000), (1, 5), (1020, 10), (1024, 1024), (2999, 1), (3000, 0), (5, 2500)] {
            let mut back = vec![9.0f32];
            d.read(skip, n, &mut back).expect("decodes");
            assert_eq!(back[1..], values[skip..skip + n]);
        }
        assert!(d.read::<f32>(2999, 2, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_doubles_round_trip(values in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..1500)) {
            round_trip(&values);
        }

        #[test]
        fn any_floats_round_trip(values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..1500)) {
            round_trip(&values);
        }

        #[test]
        fn any_bytes_end_in_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), log in 3u8..6, count in 0i32..100) {
            let page = [&[0, 0, log][..], &count.to_le_bytes(), &bytes].concat();
            for page in [&page, &bytes] {
                if let Ok(d) = Decoder::new(page) {
                    let _ = d.read::<f64>(0, d.len(), &mut Vec::new());
                    let _ = d.read::<f32>(0, d.len(), &mut Vec::new());
                }
            }
        }
    }
}
