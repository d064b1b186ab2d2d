//! Two columns compared: the common type that holds the values of both.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{ArrayRef, Decimal128Array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::coerce::unit_ns;
use crate::error::{Error, Result};

/// How the values of two columns are made comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Common {
    /// They are.
    Same,
    /// Cast both.
    Cast(DataType),
    /// Both are times: count nanoseconds, in as many bits as that takes.
    Nanoseconds,
}

impl Common {
    /// What holds both types (without dictionaries); `None` when one of them holds only NULL.
    ///
    /// An integer or decimal against a float is compared as the nearest 64-bit float.
    pub(super) fn of(left: &DataType, right: &DataType) -> Result<Option<Common>> {
        use DataType::*;
        let string = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
        let binary = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView | FixedSizeBinary(_));
        let instant = |t: &DataType| matches!(t, Timestamp(..) | Date32 | Date64);
        let time = |t: &DataType| matches!(t, Time32(_) | Time64(_));
        let number = |t: &DataType| t.is_numeric();
        let (l, r) = (left, right);
        let both = |is: &dyn Fn(&DataType) -> bool| is(l) && is(r);
        if *l == Null || *r == Null {
            return Ok(None);
        }
        let comparable = both(&string)
            || both(&binary)
            || both(&instant)
            || both(&time)
            || both(&number)
            || (l == r && matches!(l, Boolean | Duration(_)));
        Ok(Some(if !comparable {
            return Err(Error::invalid(format!("values of types {l} and {r} cannot be compared")));
        } else if l == r {
            Common::Same
        } else if both(&string) {
            Common::Cast(LargeUtf8)
        } else if both(&binary) {
            Common::Cast(LargeBinary)
        } else if both(&instant) || both(&time) {
            Common::Nanoseconds
        } else if l.is_floating() || r.is_floating() {
            Common::Cast(Float64)
        } else if both(&|t| t.is_integer() && *t != UInt64) {
            Common::Cast(Int64)
        } else {
            let (digits_l, scale_l) = decimal(l);
            let (digits_r, scale_r) = decimal(r);
            let scale = scale_l.max(scale_r);
            match digits_l.max(digits_r) + i16::from(scale) {
                precision @ 0..=38 => Common::Cast(Decimal128(precision.max(1) as u8, scale)),
                precision @ 39..=76 => Common::Cast(Decimal256(precision as u8, scale)),
                _ => return Err(Error::unsupported(format!("no decimal type holds the values of both {l} and {r}"))),
            }
        }))
    }

    /// An array's values in the common type.
    pub(super) fn widen(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        match self {
            Common::Same => Ok(Arc::clone(array)),
            Common::Cast(to) if array.data_type() == to => Ok(Arc::clone(array)),
            Common::Cast(to) => Ok(cast_with_options(array, to, &exact)?),
            Common::Nanoseconds => {
                let unit = match array.data_type() {
                    DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => unit_ns(*unit),
                    DataType::Date64 => unit_ns(TimeUnit::Millisecond),
                    _ => 86_400 * unit_ns(TimeUnit::Second),
                };
                // Arrow reads 32-bit times and dates as 32-bit integers only.
                let counts = match array.data_type() {
                    DataType::Date32 | DataType::Time32(_) => cast_with_options(array, &DataType::Int32, &exact)?,
                    _ => Arc::clone(array),
                };
                let counts = cast_with_options(&counts, &DataType::Int64, &exact)?;
                let ns: Decimal128Array = counts.as_primitive::<Int64Type>().unary(|n| i128::from(n) * unit);
                Ok(Arc::new(ns))
            }
        }
    }
}

/// Digits before and after the point that a type's numbers have at most.
fn decimal(data_type: &DataType) -> (i16, i8) {
    match data_type {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => (i16::from(*p) - i16::from(*s), *s),
        _ => (20, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::*;

    #[test]
    fn the_common_type_holds_both() {
        use DataType::*;
        let common = |l, r| Common::of(&l, &r).unwrap();
        assert_eq!(common(Int8, UInt32), Some(Common::Cast(Int64)));
        assert_eq!(common(Int8, UInt64), Some(Common::Cast(Decimal128(20, 0))));
        assert_eq!(common(Decimal128(10, 2), Int32), Some(Common::Cast(Decimal128(22, 2))));
        assert_eq!(common(Decimal128(38, 0), Decimal128(38, 10)), Some(Common::Cast(Decimal256(48, 10))));
        assert_eq!(common(Float32, Int64), Some(Common::Cast(Float64)));
        assert_eq!(common(Utf8, Utf8View), Some(Common::Cast(LargeUtf8)));
        assert_eq!(common(Null, Utf8View), None);
        assert!(Common::of(&Utf8, &Int8).is_err());
        assert!(Common::of(&Boolean, &Int8).is_err());
        assert!(Common::of(&Decimal256(76, 0), &Decimal256(76, 76)).is_err());
    }

    #[test]
    fn times_widen_to_nanoseconds_without_overflow() {
        let ns = |array: ArrayRef| Common::Nanoseconds.widen(&array).unwrap().as_primitive::<Decimal128Type>().value(0);
        assert_eq!(ns(Arc::new(TimestampSecondArray::from(vec![i64::MAX]))), i128::from(i64::MAX) * 1_000_000_000);
        assert_eq!(ns(Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("+02:00"))), -1000);
        assert_eq!(ns(Arc::new(Date32Array::from(vec![1]))), 86_400_000_000_000);
        assert_eq!(ns(Arc::new(Date64Array::from(vec![1]))), 1_000_000);
        assert_eq!(ns(Arc::new(Time32MillisecondArray::from(vec![1]))), 1_000_000);
        assert_eq!(ns(Arc::new(Time64NanosecondArray::from(vec![1]))), 1);
    }
}
