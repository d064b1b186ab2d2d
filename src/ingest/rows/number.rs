//! Decimal text → an integer of so many digits after the point, exactly or not at all.

/// The number times `10^scale`, if it is one of at most `precision` digits then and none is lost.
pub(crate) fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // Ten digits are more than enough for an exponent, and do not overflow.
        Some((mantissa, exponent)) if exponent.len() <= 10 => (mantissa, exponent.parse::<i64>().ok()?),
        Some(_) => return None,
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || (fraction.is_empty() && mantissa.contains('.')) {
        return None;
    }
    let digits = whole.bytes().chain(fraction.bytes());
    if !digits.clone().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The point is this many digits from where the column has it.
    let mut shift = exponent - fraction.len() as i64 + i64::from(scale);
    let mut zeros = 0;
    let mut value: i128 = 0;
    // Zeros are held back until a digit follows: those at the end may be what the shift takes away.
    for digit in digits {
        if digit == b'0' {
            zeros += i64::from(value != 0);
            continue;
        }
        value = value.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()? + 1)?)?;
        value = value.checked_add(i128::from(digit - b'0'))?;
        zeros = 0;
    }
    shift += zeros;
    if value == 0 {
        return Some(0);
    }
    let value = value.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    let fits = value < 10i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::parse_decimal;
    use proptest::prelude::*;

    #[test]
    fn exact_or_not_at_all() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0.000", Some(0)),
            ("1", Some(100)),
            ("1.5", Some(150)),
            ("-12.34", Some(-1234)),
            ("12.340000", Some(1234)),
            ("1e1", Some(1000)),
            ("1234e-2", Some(1234)),
            ("120e-3", Some(12)),
            ("0.001e1", Some(1)),
            ("99999999.99", Some(9_999_999_999)),
            ("100000000", None),
            ("1.234", None),
            ("1e-3", None),
            ("1e99999999999", None),
            ("1e9999999999", None),
            ("0e9999999999", Some(0)),
            ("1.", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("1 ", None),
            ("+1", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_decimal(text, 10, 2), value, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(parse_decimal(&nines, 38, 0), Some(10i128.pow(38) - 1));
        assert_eq!(parse_decimal(&format!("{nines}9"), 38, 0), None);
        assert_eq!(parse_decimal(&format!("1{}", "0".repeat(1000)), 38, 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in -9_999_999_999i128..10_000_000_000) {
            let text = format!("{}{}.{:02}", if value < 0 { "-" } else { "" }, value.abs() / 100, value.abs() % 100);
            prop_assert_eq!(parse_decimal(&text, 10, 2), Some(value));
        }
    }
}
