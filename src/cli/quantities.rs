//! Durations and sizes, as people write them and as they like to read them.

use std::time::Duration;

use crate::error::{Error, Result};

/// `90s`, `15m`, `1h`, `1d`, `1w`, `500ms`; a whole number and its unit.
pub(super) fn parse_duration(text: &str) -> Result<Duration> {
    let (number, unit) = split(text);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => 0,
    };
    let ms = number.parse::<u64>().ok().filter(|_| unit_ms > 0).and_then(|n| n.checked_mul(unit_ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| Error::invalid(format!("{text:?} is no duration; write 1d, 1h, 15m, 90s or 500ms")))
}

/// `1048576`, `64MiB`, `128MB`, `1g`. The short letters and those with an `i` count in steps of 1024, `kB`, `MB`, `GB` and `TB`
/// in steps of 1000.
pub(super) fn parse_bytes(text: &str) -> Result<u64> {
    let (number, unit) = split(text);
    let factor: Option<u64> = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let bytes = factor.zip(number.parse::<u64>().ok()).and_then(|(factor, n)| n.checked_mul(factor));
    bytes.ok_or_else(|| Error::invalid(format!("{text:?} is no size; write 64MiB, 128MB, 1g or a number of bytes")))
}

/// [`parse_bytes`] for what is kept in memory.
pub(super) fn parse_memory(text: &str) -> Result<usize> {
    let bytes = parse_bytes(text)?;
    usize::try_from(bytes).map_err(|_| Error::invalid(format!("{text} are more bytes than this machine can address")))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    (number, unit.trim_start())
}

/// A size in the unit that fits: `0 B`, `1023 B`, `1.0 KiB`, `33.4 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        // 1023.95 and more would be shown as 1024.0.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A number with its thousands set apart: `336,776`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`, `1,024 files`.
pub(super) fn of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |text| parse_duration(text).unwrap().as_secs_f64();
        assert_eq!(seconds("1d"), 86_400.0);
        assert_eq!(seconds("1h"), 3_600.0);
        assert_eq!(seconds("15m"), 900.0);
        assert_eq!(seconds("90s"), 90.0);
        assert_eq!(seconds("500ms"), 0.5);
        assert_eq!(seconds("1w"), 604_800.0);
        assert_eq!(seconds("0s"), 0.0);
        for text in ["", "1", "d", "1.5h", "-1d", "1 fortnight", "99999999999999999999d", "18446744073709551615w"] {
            let e = parse_duration(text).unwrap_err();
            assert_eq!(e.to_string(), format!("{text:?} is no duration; write 1d, 1h, 15m, 90s or 500ms"));
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1048576", 1 << 20),
            ("64MiB", 64 << 20),
            ("128MB", 128_000_000),
            ("1g", 1 << 30),
            ("2 kib", 2048),
            ("1kB", 1000),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["", "MB", "1x", "-1", "1.5g", "18446744073709551615k"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(bytes(35_000_000), "33.4 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1_336_776), "1,336,776");
        assert_eq!(of(1, "file", "files"), "1 file");
        assert_eq!(of(0, "file", "files"), "0 files");
    }
}
