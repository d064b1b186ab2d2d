//! Whether the rows of a group are in the order that it promises.

use std::cmp::Ordering;

use arrow_array::{Array, ArrayRef};
use arrow_ord::ord::make_comparator;
use arrow_schema::SortOptions;
use arrow_select::concat::concat;

use crate::error::{Error, Result};
use crate::parquet::read::field::FieldReader;
use crate::parquet::read::file::FileParts;
use crate::parquet::read::selection::Selection;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 4096;

/// [`Error::Corrupt`] where two rows are out of order. Columns behind one that does not compare here (nested ones, floats) are
/// not looked at, nor are groups that cannot be read: that is said elsewhere.
pub(super) fn check(file: &FileParts, group: usize) -> Result<()> {
    let Some(sorting) = file.footer.groups.get(group).and_then(|g| g.sorting_columns.as_ref()) else { return Ok(()) };
    let rows = file.group_rows(group)?;
    let mut columns: Vec<(FieldReader, SortOptions)> = Vec::new();
    for by in sorting {
        let leaf = usize::try_from(by.column_idx).ok().and_then(|n| file.leaf(n).ok());
        let leaf =
            leaf.ok_or_else(|| Error::corrupt(format!("rows sorted by column {}, which is not there", by.column_idx)))?;
        if !leaf.is_flat() || leaf.data_type.is_floating() || leaf.data_type.is_nested() {
            break;
        }
        let Ok(mut reader) = FieldReader::new(file, leaf.field, &file.budget, true) else { break };
        if reader.start(file, &file.input, group, rows, &Selection::all(rows), false).is_err() {
            return Ok(());
        }
        columns.push((reader, SortOptions { descending: by.descending, nulls_first: by.nulls_first }));
    }
    let mut last: Vec<ArrayRef> = Vec::new();
    let mut at = 0;
    while at < rows && !columns.is_empty() {
        let count = BATCH_ROWS.min(rows - at);
        let mut comparators = Vec::with_capacity(columns.len());
        let mut lasts = Vec::with_capacity(columns.len());
        let mut length = 0;
        for (number, (reader, options)) in columns.iter_mut().enumerate() {
            let Ok(array) = reader.read(count).and_then(|()| reader.finish()) else { return Ok(()) };
            let array = match last.get(number) {
                Some(before) => concat(&[before.as_ref(), array.as_ref()])?,
                None => array,
            };
            length = array.len();
            let Ok(comparator) = make_comparator(&array, &array, *options) else { return Ok(()) };
            comparators.push(comparator);
            lasts.push(array.slice(length - 1, 1));
        }
        let order = |row: usize| comparators.iter().map(|c| c(row, row + 1)).find(|o| *o != Ordering::Equal);
        if let Some(row) = (0..length.saturating_sub(1)).find(|&row| order(row) == Some(Ordering::Greater)) {
            let row = at + row - usize::from(!last.is_empty());
            return Err(Error::corrupt(format!(
                "row {} of row group {group} is out of the order that is promised",
                row + 1
            )));
        }
        last = lasts;
        at += count;
    }
    Ok(())
}
