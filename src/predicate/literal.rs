//! Constants: what a person wrote, exactly, before a column's type is known.

use arrow_buffer::i256;

/// A constant of a predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// No value: every comparison with it is unknown.
    Null,
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// A finite number, exactly.
    Number(Number),
    /// Not a number; greater than every number, equal to itself.
    NaN,
    /// Greater than every finite number.
    Infinity,
    /// Less than every finite number.
    NegativeInfinity,
    /// Text. Against a timestamp, date or time column it is read as one.
    String(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// An instant, in nanoseconds since 1970-01-01T00:00:00Z.
    Timestamp(i128),
    /// A day, counted from 1970-01-01.
    Date(i32),
    /// A time of day, in nanoseconds since midnight.
    Time(i64),
}

/// A finite decimal number of any size, exactly: `digits * 10^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// Decimal digits, neither starting nor ending in `0`; empty is zero.
    digits: String,
    exponent: i64,
}

/// A number on the grid of the multiples of `10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnGrid {
    /// It is this many grid steps.
    Exact(i256),
    /// It lies between this many steps and one more.
    Above(i256),
    /// It is less than 10^77 steps below zero.
    TooSmall,
    /// It is more than 10^77 steps above zero.
    TooLarge,
}

/// `i256` holds every number of 76 digits.
const DIGITS_MAX: i64 = 76;

/// No exponent that means anything is beyond this; it keeps sums of exponents far from overflow.
const EXPONENT_MAX: i64 = 1_000_000_000_000;

impl Number {
    /// Parses `[-|+]digits[.digits][(e|E)[-|+]digits]`, as SQL and JSON write numbers; `None` when it is none.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction_digits = i64::try_from(fraction.len()).ok()?;
        Some(Number::normal(negative, format!("{whole}{fraction}"), exponent - fraction_digits))
    }

    fn normal(negative: bool, digits: String, exponent: i64) -> Number {
        let kept = digits.trim_end_matches('0');
        let exponent = exponent + (digits.len() - kept.len()) as i64;
        let kept = kept.trim_start_matches('0');
        if kept.is_empty() {
            return Number { negative: false, digits: String::new(), exponent: 0 };
        }
        Number { negative, digits: kept.to_owned(), exponent: exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) }
    }

    /// The same distance on the other side of zero.
    #[must_use]
    pub fn negated(mut self) -> Number {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// Where it lies on the grid of multiples of `10^-scale`.
    pub(super) fn on_grid(&self, scale: i64) -> OnGrid {
        let shift = self.exponent + scale;
        let len = self.digits.len() as i64;
        if self.digits.is_empty() {
            return OnGrid::Exact(i256::ZERO);
        }
        if len + shift > DIGITS_MAX {
            return if self.negative { OnGrid::TooSmall } else { OnGrid::TooLarge };
        }
        // The digits before the grid's point; what is cut off is never all zeros, since digits end in another one.
        let (steps, exact) = if shift >= 0 {
            (format!("{}{}", self.digits, "0".repeat(shift as usize)), true)
        } else {
            (self.digits.get(..(len + shift).max(0) as usize).unwrap_or_default().to_owned(), false)
        };
        let steps = if steps.is_empty() { Some(i256::ZERO) } else { i256::from_string(&steps) };
        let Some(steps) = steps else {
            return if self.negative { OnGrid::TooSmall } else { OnGrid::TooLarge };
        };
        match (exact, self.negative) {
            (true, false) => OnGrid::Exact(steps),
            (true, true) => OnGrid::Exact(steps.wrapping_neg()),
            (false, false) => OnGrid::Above(steps),
            (false, true) => OnGrid::Above(steps.wrapping_neg().wrapping_sub(i256::ONE)),
        }
    }

    /// The nearest float of type `F`, or an infinity.
    pub(super) fn nearest<F: std::str::FromStr>(&self) -> Option<F> {
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        format!("{sign}{digits}e{}", self.exponent).parse().ok()
    }

    /// Order by value.
    pub(super) fn order(&self, other: &Number) -> std::cmp::Ordering {
        let sign = |n: &Number| match (n.digits.is_empty(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        // Same sign: the one whose first digit stands for more is farther from zero; then digit by digit.
        let magnitude = |n: &Number| n.digits.len() as i64 + n.exponent;
        let farther = magnitude(self).cmp(&magnitude(other)).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then(if self.negative { farther.reverse() } else { farther })
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let limit = if text.starts_with('-') { -EXPONENT_MAX } else { EXPONENT_MAX };
    Some(text.parse::<i64>().map_or(limit, |n| n.clamp(-EXPONENT_MAX, EXPONENT_MAX)))
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let len = self.digits.len() as i64;
        let point = len + self.exponent;
        match self.digits.split_at_checked(usize::try_from(point).unwrap_or(usize::MAX)) {
            _ if self.digits.is_empty() => f.write_str("0"),
            _ if (0..=20).contains(&self.exponent) => {
                write!(f, "{sign}{}{}", self.digits, "0".repeat(self.exponent as usize))
            }
            Some((whole, fraction)) if point > 0 => write!(f, "{sign}{whole}.{fraction}"),
            _ if (-20..=0).contains(&point) => {
                write!(f, "{sign}0.{}{}", "0".repeat(point.unsigned_abs() as usize), self.digits)
            }
            _ => write!(f, "{sign}{}e{}", self.digits, self.exponent),
        }
    }
}

macro_rules! literals_of_numbers {
    ($($t:ty),*) => {
        $(impl From<$t> for Literal {
            fn from(value: $t) -> Literal {
                let digits = value.unsigned_abs_digits();
                Literal::Number(Number::normal(value.is_below_zero(), digits, 0))
            }
        })*
    };
}

/// The sign and digits of the integer types, which have no common trait for them.
trait Digits {
    fn unsigned_abs_digits(&self) -> String;
    fn is_below_zero(&self) -> bool;
}

macro_rules! digits {
    ($($t:ty),*) => {
        $(impl Digits for $t {
            fn unsigned_abs_digits(&self) -> String {
                self.to_string().trim_start_matches('-').to_owned()
            }

            #[allow(unused_comparisons, reason = "unsigned types are never below zero")]
            fn is_below_zero(&self) -> bool {
                *self < 0
            }
        })*
    };
}

digits!(i8, i16, i32, i64, i128, u8, u16, u32, u64);
literals_of_numbers!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl From<f64> for Literal {
    /// The shortest decimal number that reads back as `value`: 0.1 is 0.1, and not the binary fraction near it.
    fn from(value: f64) -> Literal {
        if value.is_nan() {
            return Literal::NaN;
        }
        match Number::parse(&value.to_string()) {
            Some(number) => Literal::Number(number),
            None if value > 0.0 => Literal::Infinity,
            None => Literal::NegativeInfinity,
        }
    }
}

impl From<f32> for Literal {
    /// As from `f64`.
    fn from(value: f32) -> Literal {
        match Number::parse(&value.to_string()) {
            Some(number) => Literal::Number(number),
            None => Literal::from(f64::from(value)),
        }
    }
}

impl From<bool> for Literal {
    fn from(value: bool) -> Literal {
        Literal::Boolean(value)
    }
}

impl From<&str> for Literal {
    fn from(value: &str) -> Literal {
        Literal::String(value.to_owned())
    }
}

impl From<String> for Literal {
    fn from(value: String) -> Literal {
        Literal::String(value)
    }
}

impl From<Vec<u8>> for Literal {
    fn from(value: Vec<u8>) -> Literal {
        Literal::Binary(value)
    }
}

impl<T: Into<Literal>> From<Option<T>> for Literal {
    fn from(value: Option<T>) -> Literal {
        value.map_or(Literal::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_read_and_print() {
        for (text, printed) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("1e3", "1000"),
            ("-12.50", "-12.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1E-3", "0.001"),
            ("120e-1", "12"),
            ("1e40", "1e40"),
            ("1e-40", "1e-40"),
            ("+3", "3"),
        ] {
            assert_eq!(number(text).to_string(), printed, "{text}");
            assert_eq!(number(printed), number(text), "{text}");
        }
        for text in ["", "-", ".", "1e", "e5", "1x", "--1", "1e5.5", "NaN", "inf", "1 ", "0x10"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_fall_on_the_grid_or_above_a_step() {
        let at = |n: i128| OnGrid::Exact(i256::from_i128(n));
        let above = |n: i128| OnGrid::Above(i256::from_i128(n));
        assert_eq!(number("1.5").on_grid(0), above(1));
        assert_eq!(number("-1.5").on_grid(0), above(-2));
        assert_eq!(number("-0.001").on_grid(0), above(-1));
        assert_eq!(number("0.001").on_grid(0), above(0));
        assert_eq!(number("1.5").on_grid(1), at(15));
        assert_eq!(number("-1.5").on_grid(3), at(-1500));
        assert_eq!(number("1500").on_grid(-2), at(15));
        assert_eq!(number("1e-999999999999999").on_grid(0), above(0));
        assert_eq!(number("1e999999999999999").on_grid(0), OnGrid::TooLarge);
        assert_eq!(number("-1e80").on_grid(0), OnGrid::TooSmall);
        assert_eq!(
            number("1e75").on_grid(0),
            OnGrid::Exact(i256::from_string(&format!("1{}", "0".repeat(75))).unwrap())
        );
    }

    #[test]
    fn numbers_have_an_order() {
        let sorted = ["-1e9", "-12", "-1.5", "-0.01", "0", "1e-5", "0.1", "0.11", "0.2", "1", "1.5", "2", "11", "1e9"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(number(a).order(&number(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn rust_numbers_keep_their_value() {
        assert_eq!(Literal::from(i64::MIN), Literal::Number(number("-9223372036854775808")));
        assert_eq!(Literal::from(u64::MAX), Literal::Number(number("18446744073709551615")));
        assert_eq!(Literal::from(0.1), Literal::Number(number("0.1")));
        assert_eq!(Literal::from(0.1f32), Literal::Number(number("0.1")));
        assert_eq!(Literal::from(f64::NAN), Literal::NaN);
        assert_eq!(Literal::from(f32::NEG_INFINITY), Literal::NegativeInfinity);
        assert_eq!(number("0.1").nearest::<f64>(), Some(0.1));
        assert_eq!(number("1e400").nearest::<f64>(), Some(f64::INFINITY));
        assert_eq!(number("-1e-999999999").nearest::<f64>(), Some(-0.0));
    }
}
