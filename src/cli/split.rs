//! The options that pick row groups without looking into them.

use std::ops::Range;

use clap::Args;

use crate::error::{Error, Result};
use crate::parquet::read::ScanOptions;
use crate::table::Part;

/// Which row groups of Parquet files, apart from what is in them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Row groups of Parquet files")]
pub(super) struct Split {
    /// Only row groups whose middle is in this range of the file's bytes, such as 0..134217728 or 134217728..
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    byte_range: Option<Range<u64>>,
    /// Only row groups that begin at these bytes, with commas between
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    start_offsets: Option<Vec<u64>>,
    /// Only these row groups, counted from 0, with commas between
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    row_groups: Option<Vec<usize>>,
    /// Only part K of N of a table or file, K from 0 on: the N parts have each row once
    #[arg(long, value_name = "K/N", value_parser = parse_part, conflicts_with = "byte_range")]
    part: Option<Part>,
}

impl Split {
    /// The part of a table.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that are about one file.
    pub(super) fn of_table(&self) -> Result<Option<Part>> {
        if self.byte_range.is_some() || self.start_offsets.is_some() || self.row_groups.is_some() {
            return Err(Error::invalid(
                "--byte-range, --start-offsets and --row-groups are about one file; a table is divided by --part",
            ));
        }
        Ok(self.part)
    }

    /// Adds itself to the options of a scan of a file of `bytes` bytes.
    pub(super) fn of_file(self, bytes: u64, options: ScanOptions) -> ScanOptions {
        let byte_range = self.byte_range.or_else(|| self.part.map(|part| part_of_file(part, bytes)));
        ScanOptions { byte_range, start_offsets: self.start_offsets, row_groups: self.row_groups, ..options }
    }

    /// Nothing, for a format without row groups.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is something.
    pub(super) fn of_others(&self) -> Result<()> {
        self.of_table()?;
        match self.part {
            Some(_) => Err(Error::invalid("--part is about tables and Parquet files")),
            None => Ok(()),
        }
    }
}

/// The bytes of a part; the last one has no end.
fn part_of_file(part: Part, bytes: u64) -> Range<u64> {
    let Range { start, end } = part.of_bytes(u128::from(bytes));
    let byte = |at: u128| u64::try_from(at).unwrap_or(u64::MAX);
    byte(start)..if part.number + 1 == part.of { u64::MAX } else { byte(end) }
}

fn parse_range(text: &str) -> std::result::Result<Range<u64>, String> {
    let wrong = || format!("{text} is no range: FROM..TO, FROM.. or ..TO in bytes");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str, none: u64| match text {
        "" => Ok(none),
        text => text.parse().map_err(|_| wrong()),
    };
    let range = number(from, 0)?..number(to, u64::MAX)?;
    if range.start > range.end { Err(wrong()) } else { Ok(range) }
}

fn parse_part(text: &str) -> std::result::Result<Part, String> {
    let wrong = || format!("{text} is no part: K/N, K from 0 to N - 1");
    let (number, of) = text.split_once('/').ok_or_else(wrong)?;
    let part = Part { number: number.parse().map_err(|_| wrong())?, of: of.parse().map_err(|_| wrong())? };
    if part.number < part.of { Ok(part) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_parts_are_read() {
        assert_eq!(parse_range("4..9").unwrap(), 4..9);
        assert_eq!((parse_range("..9").unwrap(), parse_range("4..").unwrap()), (0..9, 4..u64::MAX));
        for wrong in ["", "4", "9..4", "a..b", "-1..3"] {
            assert!(parse_range(wrong).unwrap_err().contains("is no range"), "{wrong}");
        }
        assert_eq!(parse_part("0/2").unwrap(), Part { number: 0, of: 2 });
        for wrong in ["2/2", "1", "0/0", "-1/2", "a/b"] {
            assert!(parse_part(wrong).unwrap_err().contains("is no part"), "{wrong}");
        }
    }

    #[test]
    fn parts_of_a_file_leave_nothing_out() {
        for bytes in [0, 1, 7, 1000, u64::MAX] {
            for of in [1, 2, 3, 16] {
                let parts: Vec<_> = (0..of).map(|number| part_of_file(Part { number, of }, bytes)).collect();
                assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, u64::MAX));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            }
        }
    }
}
