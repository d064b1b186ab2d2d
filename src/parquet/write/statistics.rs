//! What is known of a page's and a chunk's values: counts and bounds.
//!
//! Spec: parquet.thrift, `Statistics`, `ColumnOrder`; PageIndex.md.
//!
//! Bounds are kept as the file stores them (PLAIN, without the length of byte arrays). A bound that is not
//! known stays away; one that is there holds for every value, and says whether a value equals it.

use std::cmp::Ordering;

use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::format::schema::LogicalType;
use crate::parquet::format::{Statistics, Type};

/// A bound as the file stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub bytes: Vec<u8>,
    /// Whether it is a value of the page, not cut short.
    pub is_exact: bool,
}

impl Bound {
    pub fn exact(bytes: Vec<u8>) -> Bound {
        Bound { bytes, is_exact: true }
    }
}

/// What is known of one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageStatistics {
    /// Values that are not null.
    pub values: usize,
    pub nulls: usize,
    /// Of floating-point columns only.
    pub nans: Option<usize>,
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    /// Bytes of the values of a BYTE_ARRAY column, without their lengths.
    pub byte_array_bytes: Option<u64>,
}

/// What is known of one chunk: the sum of its pages.
#[derive(Debug, Default)]
pub(super) struct ChunkStatistics {
    pub values: u64,
    pub nulls: u64,
    pub nans: Option<u64>,
    pub byte_array_bytes: Option<u64>,
    min: Known,
    max: Known,
}

/// A bound over the pages so far.
#[derive(Debug, Default)]
enum Known {
    /// No page had a value yet.
    #[default]
    Nothing,
    Bound(Bound),
    /// A page with values had no bound.
    Lost,
}

impl Known {
    /// Takes a page's bound; `closer` is how a bound that replaces the known one compares to it.
    fn add(&mut self, page: Option<&Bound>, order: Comparison, closer: Ordering) {
        let Some(page) = page else {
            *self = Known::Lost;
            return;
        };
        let replaces = match self {
            Known::Nothing => true,
            Known::Lost => false,
            // NaN bound pages of nothing else: among others they do not count.
            Known::Bound(known) if order.is_nan(&page.bytes) != order.is_nan(&known.bytes) => {
                order.is_nan(&known.bytes)
            }
            Known::Bound(known) => match order.compare(&page.bytes, &known.bytes) {
                // A value that equals a cut bound makes it exact.
                Ordering::Equal => page.is_exact && !known.is_exact,
                other => other == closer,
            },
        };
        if replaces {
            *self = Known::Bound(page.clone());
        }
    }

    fn bound(&self) -> Option<&Bound> {
        match self {
            Known::Bound(bound) => Some(bound),
            Known::Nothing | Known::Lost => None,
        }
    }
}

impl ChunkStatistics {
    pub fn add(&mut self, page: &PageStatistics, order: Comparison) {
        self.values += page.values as u64;
        self.nulls += page.nulls as u64;
        if let Some(nans) = page.nans {
            *self.nans.get_or_insert(0) += nans as u64;
        }
        if let Some(bytes) = page.byte_array_bytes {
            *self.byte_array_bytes.get_or_insert(0) += bytes;
        }
        if page.values > 0 {
            self.min.add(page.min.as_ref(), order, Ordering::Less);
            self.max.add(page.max.as_ref(), order, Ordering::Greater);
        }
    }

    /// As the footer has it.
    pub fn finish(&self, order: ValueOrder, distinct: Option<u64>) -> Statistics {
        let (min, max) = (self.min.bound(), self.max.bound());
        // Readers of old compare the deprecated pair as signed numbers.
        let is_signed = matches!(order, ValueOrder::Boolean | ValueOrder::Signed | ValueOrder::Float);
        let old = |bound: Option<&Bound>| bound.filter(|_| is_signed).map(|b| b.bytes.clone());
        Statistics {
            max: old(max),
            min: old(min),
            null_count: Some(self.nulls as i64),
            distinct_count: distinct.map(|n| n as i64),
            max_value: max.map(|b| b.bytes.clone()),
            min_value: min.map(|b| b.bytes.clone()),
            is_max_value_exact: max.map(|b| b.is_exact),
            is_min_value_exact: min.map(|b| b.is_exact),
            nan_count: self.nans.map(|n| n as i64),
        }
    }
}

/// How bounds of one column compare, in the form in which they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    pub order: ValueOrder,
    physical: Type,
}

impl Comparison {
    pub fn of(leaf: &Leaf) -> Comparison {
        Comparison { order: leaf.order, physical: leaf.physical }
    }

    /// Whether a bound is NaN, as total order has them.
    fn is_nan(self, bound: &[u8]) -> bool {
        self.order == ValueOrder::FloatTotal
            && match self.physical {
                Type::Float => bound.first_chunk().is_some_and(|v| f32::from_le_bytes(*v).is_nan()),
                Type::Double => bound.first_chunk().is_some_and(|v| f64::from_le_bytes(*v).is_nan()),
                _ => bound.first_chunk().is_some_and(|v| half::f16::from_le_bytes(*v).is_nan()),
            }
    }

    /// Of bounds that this writer made: both have the type's width.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        fn number<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.first_chunk::<N>().copied().unwrap_or([0; N])
        }
        match (self.order, self.physical) {
            (ValueOrder::Signed, Type::Int32) => i32::from_le_bytes(number(a)).cmp(&i32::from_le_bytes(number(b))),
            (ValueOrder::Signed, _) => i64::from_le_bytes(number(a)).cmp(&i64::from_le_bytes(number(b))),
            (ValueOrder::Unsigned, Type::Int32) => u32::from_le_bytes(number(a)).cmp(&u32::from_le_bytes(number(b))),
            (ValueOrder::Unsigned, _) => u64::from_le_bytes(number(a)).cmp(&u64::from_le_bytes(number(b))),
            // Bounds are no NaN, and their zeros have the sign that the bound needs.
            (ValueOrder::Chronological, _) => int96_key(a).cmp(&int96_key(b)),
            (ValueOrder::Float | ValueOrder::FloatTotal, Type::Float) => {
                f32::from_le_bytes(number(a)).total_cmp(&f32::from_le_bytes(number(b)))
            }
            (ValueOrder::Float | ValueOrder::FloatTotal, Type::Double) => {
                f64::from_le_bytes(number(a)).total_cmp(&f64::from_le_bytes(number(b)))
            }
            (ValueOrder::Float | ValueOrder::FloatTotal, _) => {
                half::f16::from_le_bytes(number(a)).total_cmp(&half::f16::from_le_bytes(number(b)))
            }
            (ValueOrder::SignedBytes, _) => compare_signed(a, b),
            (ValueOrder::Boolean | ValueOrder::Bytes | ValueOrder::Undefined, _) => a.cmp(b),
        }
    }
}

/// What orders the values of INT96: the day, then the nanosecond. Spec: parquet.thrift, `ColumnOrder`.
pub(super) fn int96_key(value: &[u8]) -> (i32, i64) {
    let nanosecond = value.first_chunk().map_or(0, |v| i64::from_le_bytes(*v));
    (value.last_chunk().map_or(0, |v| i32::from_le_bytes(*v)), nanosecond)
}

/// Big-endian numbers in two's complement, of one width.
pub(super) fn compare_signed(a: &[u8], b: &[u8]) -> Ordering {
    let sign = |bytes: &[u8]| bytes.first().map(|b| b.cast_signed());
    sign(a).cmp(&sign(b)).then_with(|| a.cmp(b))
}

/// The lower bound of values whose least is `value`, of at most `bytes_max` bytes. A prefix comes before all
/// that it begins.
pub(super) fn lower(value: &[u8], bytes_max: usize, is_utf8: bool) -> Bound {
    match prefix(value, bytes_max, is_utf8) {
        None => Bound::exact(value.to_vec()),
        Some(prefix) => Bound { bytes: prefix.to_vec(), is_exact: false },
    }
}

/// The upper bound of values whose greatest is `value`, of at most `bytes_max` bytes: the least string of that
/// length after all that the prefix begins. None when there is none, as for a prefix of bytes 0xff.
pub(super) fn upper(value: &[u8], bytes_max: usize, is_utf8: bool) -> Option<Bound> {
    let Some(prefix) = prefix(value, bytes_max, is_utf8) else {
        return Some(Bound::exact(value.to_vec()));
    };
    let bytes = match std::str::from_utf8(prefix) {
        Ok(text) if is_utf8 => after_text(text, bytes_max)?,
        _ => after_bytes(prefix)?,
    };
    Some(Bound { bytes, is_exact: false })
}

/// The longest prefix within the limit, at a character's end for text; None when the value is within it.
fn prefix(value: &[u8], bytes_max: usize, is_utf8: bool) -> Option<&[u8]> {
    let mut prefix = value.get(..bytes_max).filter(|p| p.len() < value.len())?;
    if is_utf8 {
        // Back to where a character begins: its first byte is no continuation byte.
        let mut end = prefix.len();
        while end > 0 && value.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
            end -= 1;
        }
        prefix = prefix.get(..end).unwrap_or_default();
    }
    Some(prefix)
}

fn after_bytes(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&b| b != 0xff)?;
    let mut bytes = prefix.get(..=last)?.to_vec();
    if let Some(byte) = bytes.last_mut() {
        *byte += 1;
    }
    Some(bytes)
}

/// UTF-8 orders as its characters do, so the next character gives the next string, even if it is longer.
fn after_text(prefix: &str, bytes_max: usize) -> Option<Vec<u8>> {
    let mut text = prefix.to_string();
    while let Some(last) = text.pop() {
        let next = match last {
            // Between lies what is no character.
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next.filter(|c| text.len() + c.len_utf8() <= bytes_max) {
            text.push(next);
            return Some(text.into_bytes());
        }
    }
    None
}

/// Whether the values of a leaf are text.
pub(super) fn is_utf8(leaf: &Leaf) -> bool {
    matches!(leaf.logical, Some(LogicalType::String(_) | LogicalType::Json(_) | LogicalType::Enum(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_and_the_upper_bound_is_raised() {
        assert_eq!(lower(b"abcdef", 3, false), Bound { bytes: b"abc".to_vec(), is_exact: false });
        assert_eq!(lower(b"abc", 3, false), Bound::exact(b"abc".to_vec()));
        let raised = |v: &[u8], n| upper(v, n, false).map(|b| (b.bytes, b.is_exact));
        assert_eq!(raised(b"abcdef", 3), Some((b"abd".to_vec(), false)));
        assert_eq!(raised(b"abc", 3), Some((b"abc".to_vec(), true)));
        assert_eq!(raised(b"a\xff\xffdef", 3), Some((b"b".to_vec(), false)));
        assert_eq!(raised(b"\xff\xff\xffdef", 3), None);
        assert_eq!(raised(b"\xff\xff\xff", 3), Some((b"\xff\xff\xff".to_vec(), true)));
        assert_eq!(raised(b"a", 0), None);
        assert_eq!(lower(b"a", 0, false).bytes, b"");
    }

    #[test]
    fn text_is_cut_between_characters_and_stays_text() {
        let cut = |s: &str, n| {
            let low = lower(s.as_bytes(), n, true);
            let high = upper(s.as_bytes(), n, true).map(|b| String::from_utf8(b.bytes).expect("text"));
            (String::from_utf8(low.bytes).expect("text"), high)
        };
        assert_eq!(cut("aéz", 2), ("a".into(), Some("b".into())));
        assert_eq!(cut("aéz", 3), ("aé".into(), Some("aê".into())));
        assert_eq!(cut("日本語", 5), ("日".into(), Some("\u{65e6}".into())));
        assert_eq!(cut("日", 2), (String::new(), None));
        assert_eq!(cut("a\u{10ffff}z", 5), ("a\u{10ffff}".into(), Some("b".into())));
        assert_eq!(cut("\u{10ffff}z", 4), ("\u{10ffff}".into(), None));
        assert_eq!(cut("\u{d7ff}z", 3), ("\u{d7ff}".into(), Some("\u{e000}".into())));
        // The next character is longer and would not fit: the one before is raised.
        assert_eq!(cut("a\u{7f}z", 2), ("a\u{7f}".into(), Some("b".into())));
        assert_eq!(cut("a\u{7f}zz", 3), ("a\u{7f}z".into(), Some("a\u{7f}{".into())));
    }

    #[test]
    fn bounds_enclose_whatever_is_cut() {
        let words = ["", "a", "ab", "abc", "abd", "b", "é", "éa", "日本", "日本語", "\u{10ffff}\u{10ffff}", "zz"];
        for value in words {
            for n in 0..12 {
                let low = lower(value.as_bytes(), n, true);
                assert!(low.bytes.as_slice() <= value.as_bytes() && low.bytes.len() <= n.max(value.len()));
                if let Some(high) = upper(value.as_bytes(), n, true) {
                    assert!(high.bytes.as_slice() >= value.as_bytes(), "{value} {n} {high:?}");
                    assert!(std::str::from_utf8(&high.bytes).is_ok() && (high.is_exact || high.bytes.len() <= n));
                }
            }
        }
    }

    fn page(min: &[u8], max: Option<&[u8]>, is_exact: bool) -> PageStatistics {
        let bound = |b: &[u8]| Bound { bytes: b.to_vec(), is_exact };
        PageStatistics { values: 1, min: Some(bound(min)), max: max.map(bound), ..PageStatistics::default() }
    }

    #[test]
    fn a_chunk_sums_its_pages() {
        let order = Comparison { order: ValueOrder::Bytes, physical: Type::ByteArray };
        let mut chunk = ChunkStatistics::default();
        chunk.add(&PageStatistics { nulls: 3, ..PageStatistics::default() }, order);
        assert_eq!(chunk.finish(ValueOrder::Bytes, None).min_value, None);
        chunk.add(&page(b"k", Some(b"m"), true), order);
        chunk.add(&page(b"b", Some(b"l"), false), order);
        let s = chunk.finish(ValueOrder::Bytes, Some(2));
        assert_eq!((s.min_value.as_deref(), s.is_min_value_exact), (Some(&b"b"[..]), Some(false)));
        assert_eq!((s.max_value.as_deref(), s.is_max_value_exact), (Some(&b"m"[..]), Some(true)));
        assert_eq!((s.null_count, s.distinct_count, s.min, s.max), (Some(3), Some(2), None, None));
        // An exact bound that equals a cut one is the value itself.
        chunk.add(&page(b"b", Some(b"c"), true), order);
        assert_eq!(chunk.finish(ValueOrder::Bytes, None).is_min_value_exact, Some(true));
        // A page that does not know its greatest value hides the chunk's, for good.
        chunk.add(&page(b"b", None, true), order);
        chunk.add(&page(b"b", Some(b"z"), true), order);
        let s = chunk.finish(ValueOrder::Bytes, None);
        assert_eq!((s.max_value, s.is_max_value_exact, s.min_value.as_deref()), (None, None, Some(&b"b"[..])));
    }

    #[test]
    fn nan_bound_a_chunk_of_nothing_else() {
        let order = Comparison { order: ValueOrder::FloatTotal, physical: Type::Double };
        let of = |bounds: &[(f64, f64)]| {
            let mut chunk = ChunkStatistics::default();
            for (low, high) in bounds {
                chunk.add(&page(&low.to_le_bytes(), Some(&high.to_le_bytes()), true), order);
            }
            let s = chunk.finish(ValueOrder::FloatTotal, None);
            assert_eq!((s.min, s.max), (None, None), "readers of old know no such order");
            let bits = |b: Option<Vec<u8>>| u64::from_le_bytes(b.expect("known").try_into().expect("8 bytes"));
            (bits(s.min_value), bits(s.max_value))
        };
        let (nan, low_nan) = (f64::from_bits(0x7ff8 << 48), f64::from_bits(0xfff8 << 48));
        assert_eq!(of(&[(low_nan, nan), (-1.0, 2.0), (low_nan, low_nan)]), ((-1f64).to_bits(), 2f64.to_bits()));
        assert_eq!(of(&[(0.0, 2.0), (-0.0, -0.0)]), ((-0f64).to_bits(), 2f64.to_bits()));
        assert_eq!(of(&[(nan, nan), (low_nan, nan)]), (low_nan.to_bits(), nan.to_bits()));
    }

    #[test]
    fn numbers_compare_by_their_order() {
        use Ordering::{Greater, Less};
        let compare = |order, physical, a: &[u8], b: &[u8]| Comparison { order, physical }.compare(a, b);
        let (minus, one) = ((-1i32).to_le_bytes(), 1i32.to_le_bytes());
        assert_eq!(compare(ValueOrder::Signed, Type::Int32, &minus, &one), Less);
        assert_eq!(compare(ValueOrder::Unsigned, Type::Int32, &minus, &one), Greater);
        let (minus, big) = ((-1i64).to_le_bytes(), 256i64.to_le_bytes());
        assert_eq!(compare(ValueOrder::Signed, Type::Int64, &minus, &big), Less);
        assert_eq!(compare(ValueOrder::Unsigned, Type::Int64, &minus, &big), Greater);
        assert_eq!(compare(ValueOrder::Float, Type::Double, &(-2f64).to_le_bytes(), &(-1f64).to_le_bytes()), Less);
        assert_eq!(compare(ValueOrder::Float, Type::Float, &2f32.to_le_bytes(), &(-1f32).to_le_bytes()), Greater);
        assert_eq!(compare(ValueOrder::FloatTotal, Type::Float, &(-0f32).to_le_bytes(), &0f32.to_le_bytes()), Less);
        // Day before nanosecond, both signed: a day before the Julian era, and the last one there is.
        let int96 = |day: i32, ns: i64| [&ns.to_le_bytes()[..], &day.to_le_bytes()].concat();
        for (a, b) in [(int96(-1, 9), int96(0, 1)), (int96(1, 9), int96(2, 1)), (int96(1, -1), int96(1, 0))] {
            assert_eq!(compare(ValueOrder::Chronological, Type::Int96, &a, &b), Less);
        }
        assert_eq!(compare(ValueOrder::SignedBytes, Type::FixedLenByteArray, &[0xff, 0xfe], &[0xff, 0xff]), Less);
        assert_eq!(compare(ValueOrder::SignedBytes, Type::FixedLenByteArray, &[0x80, 0], &[0x7f, 0]), Less);
        assert_eq!(compare(ValueOrder::Bytes, Type::FixedLenByteArray, &[0x80, 0], &[0x7f, 0]), Greater);
    }
}
