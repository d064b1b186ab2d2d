//! Moments: RFC 3339 text and counts since 1970 → microseconds, and the window that one is in.
//!
//! All is in UTC, and in the years 1 to 9999, which is what every reader of a table knows.

use arrow_schema::TimeUnit;

/// Microseconds since 1970 of RFC 3339 text with a zone; finer parts are cut off towards the past.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    parse_usual(text.as_bytes()).or_else(|| parse_any(text)).filter(|us| in_range(*us))
}

/// `2013-01-31` as days since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let days = days_of(bytes)?;
    i32::try_from(days).ok()
}

/// A count since 1970 as microseconds; nanoseconds are cut off towards the past.
pub(crate) fn from_unit(count: i64, unit: TimeUnit) -> Option<i64> {
    let us = match unit {
        TimeUnit::Second => count.checked_mul(1_000_000)?,
        TimeUnit::Millisecond => count.checked_mul(1_000)?,
        TimeUnit::Microsecond => count,
        TimeUnit::Nanosecond => count.div_euclid(1_000),
    };
    Some(us).filter(|us| in_range(*us))
}

/// The start of the window that holds a moment, unless it is before the year 1.
pub(crate) fn window_start(event_us: i64, window_us: i64) -> Option<i64> {
    event_us.div_euclid(window_us).checked_mul(window_us).filter(|us| in_range(*us))
}

fn in_range(us: i64) -> bool {
    (YEAR_1_US..YEAR_10000_US).contains(&us)
}

/// `YYYY-MM-DDTHH:MM:SS`, perhaps `.` and up to nine digits, then `Z` or `±HH:MM`.
fn parse_usual(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let (time, rest) = rest.split_first_chunk::<9>()?;
    let days = days_of(date)?;
    let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_us, zone) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            let (fraction, zone) = rest.split_at_checked(digits)?;
            let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
            (padded.fold(0, |us, digit| us * 10 + i64::from(digit - b'0')), zone)
        }
    };
    let offset_minutes = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_minutes * 60;
    Some(seconds * 1_000_000 + fraction_us)
}

/// What else RFC 3339 allows: small letters, a blank for the `T`, leap seconds.
fn parse_any(text: &str) -> Option<i64> {
    // jiff knows more than RFC 3339: names of zones in brackets, and years of six digits.
    if text.contains('[') || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000)).ok()
}

fn days_of(date: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > month_days {
        return None;
    }
    // Years that begin in March have their leap day last, and 153 days in every five months.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = shifted_year.div_euclid(4) - shifted_year.div_euclid(100) + shifted_year.div_euclid(400);
    Some(shifted_year * 365 + leap_days + (153 * shifted_month + 2) / 5 + day - 1 - DAYS_TO_1970)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digit = |b: u8| b.is_ascii_digit().then(|| i64::from(b - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Days from the first of March of the year 0 to 1970.
const DAYS_TO_1970: i64 = 719_468;
const YEAR_1_US: i64 = -62_135_596_800_000_000;
const YEAR_10000_US: i64 = 253_402_300_800_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2013-01-01T05:15:00Z", 1_357_017_300_000_000),
            ("2013-01-01T05:15:00+05:15", 1_356_998_400_000_000),
            ("2013-01-01T05:15:00.5-00:30", 1_357_019_100_500_000),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2012-02-29T00:00:00.123456789Z", 1_330_473_600_123_456),
            ("0001-01-01T00:00:00Z", YEAR_1_US),
            ("9999-12-31T23:59:59.999999Z", YEAR_10000_US - 1),
            // The slow way.
            ("2013-01-01t05:15:00z", 1_357_017_300_000_000),
            ("2013-01-01 05:15:00Z", 1_357_017_300_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(us), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "2013-01-01",
            "2013-01-01T05:15:00",
            "2013-02-29T05:15:00Z",
            "2013-13-01T05:15:00Z",
            "2013-01-01T24:15:00Z",
            "2013-01-01T05:15:00.Z",
            "2013-01-01T05:15:00Z[UTC]",
            "2013-01-01T05:15:00ZZ",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "+002013-01-01T05:15:00Z",
            "2013-01-01T05:15:00Ä",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(parse_date("2012-02-29"), Some(15_399));
        assert_eq!(parse_date("2013-02-29"), None);
        assert_eq!(parse_date("2012-2-29"), None);
        assert_eq!(from_unit(i64::MAX, TimeUnit::Second), None);
        assert_eq!(from_unit(-1, TimeUnit::Nanosecond), Some(-1));
    }

    #[test]
    fn a_window_starts_before_what_it_holds_in_the_past_too() {
        assert_eq!(window_start(-1, 1_000_000), Some(-1_000_000));
        assert_eq!(window_start(0, 1_000_000), Some(0));
        assert_eq!(window_start(1_999_999, 1_000_000), Some(1_000_000));
        assert_eq!(window_start(YEAR_1_US, 7 * 86_400_000_000), None);
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_jiff(us in YEAR_1_US..YEAR_10000_US, offset in -1439i32..1440) {
            let timestamp = jiff::Timestamp::from_microsecond(us).unwrap();
            let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
            for text in [timestamp.to_string(), timestamp.display_with_offset(zone).to_string()] {
                if text.len() < 40 && text.as_bytes()[0].is_ascii_digit() && !text.starts_with("0000") {
                    prop_assert_eq!(parse_usual(text.as_bytes()), Some(us), "{}", text);
                    prop_assert_eq!(parse_any(&text), Some(us), "{}", text);
                }
            }
        }
    }
}
